/* SPDX-License-Identifier: GPL-2.0 */
/* One iptables rule of a wg0.conf's hooks: what a packet must be like, and what becomes of it.
 * PURE. */
#ifndef EG_WGRULE_H
#define EG_WGRULE_H

#include "policy/wghooks.h"

enum eg_wgverdict {
	EG_WGVERDICT_ACCEPT,
	EG_WGVERDICT_DROP, /* or REJECT */
	EG_WGVERDICT_RETURN,
	EG_WGVERDICT_OTHER, /* LOG and the like: goes on */
	EG_WGVERDICT_UNKNOWN,
};

struct eg_wgrule {
	const struct eg_wgop *op;
	enum eg_wgverdict verdict;
	/* what a packet must be like */
	bool out_tunnel;     /* -o %i */
	bool out_not_tunnel; /* ! -o %i */
	bool out_lo;
	bool out_not_lo;
	const char *out_other; /* -o eth0 */
	bool out_other_not;    /* ! -o eth0 */
	bool not_local;        /* addrtype ! --dst-type LOCAL */
	bool local;            /* addrtype --dst-type LOCAL */
	bool no_unicast;       /* addrtype of nothing but broadcast, multicast and the like */
	const char *mark;      /* --mark M, NULL */
	const char *not_mark;  /* ! --mark M */
	struct eg_prefix *dst; /* any of these */
	size_t n_dst;
	bool dst_not;        /* none of them */
	bool dst_unknown;    /* an address that only the shell knows, or a name */
	bool established;    /* connections from before alone */
	bool connecting;     /* new ones alone */
	bool source;         /* -s, ! -s */
	bool narrow;         /* not all packets: a protocol, a port, a source, and whatever else */
	bool unclear;        /* by something that is not known here, so it may be nearly all */
	bool never;          /* no packet that leaves is like that */
	const char *refused; /* why iptables does not take it, NULL: it does */
	unsigned int inside; /* which chain that OUTPUT jumps to it is in, 0: OUTPUT itself */
};

/*
 * One rule, as `op` adds or removes it. *ret_jump: the chain that it jumps to where that is none of
 * iptables' own targets, or NULL. 0 or -ENOMEM; the caller frees ret_rule->dst.
 */
int eg_wgrule_read(const struct eg_wghooks *hooks, const struct eg_wgop *op, const char *ifname,
		   struct eg_wgrule *ret_rule, const char **ret_jump);

/* Whether the rule drops whatever is not let out on purpose: neither for one protocol, nor for one
 * destination alone. */
bool eg_wgrule_is_kill_switch(const struct eg_wgrule *rule);
/* Whether it does so for one interface that it names: `-o eth0 -j DROP`. */
bool eg_wgrule_is_named_kill_switch(const struct eg_wgrule *rule);
/* Whether it asks nothing of a packet. */
bool eg_wgrule_is_plain(const struct eg_wgrule *rule);

#endif /* EG_WGRULE_H */
