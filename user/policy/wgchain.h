/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The OUTPUT chain that the hooks of a wg0.conf leave behind once the tunnel is up, rule by rule in
 * the order in which a packet meets them. PURE.
 */
#ifndef EG_WGCHAIN_H
#define EG_WGCHAIN_H

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
	const char *out_other; /* -o eth0 */
	bool not_local;        /* addrtype ! --dst-type LOCAL */
	bool local;            /* addrtype --dst-type LOCAL */
	const char *mark;      /* --mark M, NULL */
	const char *not_mark;  /* ! --mark M */
	struct eg_prefix *dst; /* any of these */
	size_t n_dst;
	bool dst_not;        /* none of them */
	bool dst_unknown;    /* an address that only the shell knows, or a name */
	bool established;    /* connection state */
	bool narrow;         /* a protocol, a port, a source, and whatever else */
	unsigned int inside; /* which chain that OUTPUT jumps to it is in, 0: OUTPUT itself */
};

struct eg_wgchain {
	struct eg_wgrule *rules;
	size_t n_rules;
	bool policy_drops; /* -P OUTPUT DROP, the last rule as it were */
	const struct eg_wgop *policy_op;
	const struct eg_wgop *unsure; /* something that may or may not be in force, NULL */
	unsigned int n_inside;        /* chains that OUTPUT jumps to */
};

/* 0 or -ENOMEM. */
int eg_wgchain_read(const struct eg_wghooks *hooks, __u8 family, const char *ifname,
		    struct eg_wgchain *ret_chain);
void eg_wgchain_free(struct eg_wgchain *chain);
#define EG_AUTO_WGCHAIN __attribute__((cleanup(eg_wgchain_free)))

/* One rule, as `op` adds or removes it. 0 or -ENOMEM; the caller frees ret_rule->dst. */
int eg_wgrule_read(const struct eg_wghooks *hooks, const struct eg_wgop *op, const char *ifname,
		   struct eg_wgrule *ret_rule);

/* Whether the rule drops whatever is not let out on purpose: neither for one protocol, nor for one
 * destination alone. */
bool eg_wgrule_is_kill_switch(const struct eg_wgrule *rule);
/* Whether it does so for one interface that it names: `-o eth0 -j DROP`. */
bool eg_wgrule_is_named_kill_switch(const struct eg_wgrule *rule);

#endif /* EG_WGCHAIN_H */
