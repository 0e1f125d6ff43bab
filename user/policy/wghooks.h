/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the hooks of a wg0.conf (PreUp, PostUp, PreDown, PostDown) do: the ip, iptables, ip6tables,
 * nft, sysctl and wg commands in them, and what of them nobody can tell without running it. PURE.
 */
#ifndef EG_WGHOOKS_H
#define EG_WGHOOKS_H

#include "policy/policy.h"
#include "policy/shell.h"
#include "policy/wgfile.h"

enum eg_wgact {
	EG_WGACT_ADD,
	EG_WGACT_REPLACE, /* `ip route replace`: a second time does no harm */
	EG_WGACT_DELETE,
};

enum eg_wgop_kind {
	EG_WGOP_ROUTE,   /* ip route */
	EG_WGOP_RULE,    /* ip rule */
	EG_WGOP_TABLES,  /* iptables, ip6tables */
	EG_WGOP_NFT,     /* not looked into */
	EG_WGOP_NO_IPV6, /* switches IPv6 off, on the interface `dev` */
	EG_WGOP_FWMARK,  /* wg set … fwmark */
	EG_WGOP_HARMLESS,
	EG_WGOP_UNKNOWN, /* another program */
};

enum eg_wgtable {
	EG_WGTABLE_MAIN,
	EG_WGTABLE_NUMBER,
	EG_WGTABLE_FWMARK, /* `$(wg show %i fwmark)` */
	EG_WGTABLE_UNKNOWN,
};

/* Where a value stands. */
struct eg_wgplace {
	unsigned int line, column;
};

struct eg_wgop {
	size_t hook;    /* in eg_wghooks */
	size_t command; /* in the hook's shell */
	struct eg_wgplace place;
	enum eg_wgop_kind kind;
	enum eg_wgact act;
	enum eg_wgkey phase; /* EG_WGKEY_POST_UP, … */
	__u8 family;
	bool conditional; /* may run or not */
	bool tolerant;    /* its failure is not the hook's */
	bool fallback;    /* runs if what is before it failed */
	/* routes: a prefix, the default route, or what only the shell knows */
	bool has_prefix, is_default, unknown_prefix;
	bool to_tunnel; /* dev %i */
	bool has_via, has_dev;
	bool unknown_way;               /* by words that only the shell knows */
	const char *dev, *via, *metric; /* as they stand, NULL */
	/* rules */
	bool suppresses; /* suppress_prefixlength */
	bool narrow;     /* more than where to */
	bool has_priority;
	unsigned long priority; /* where has_priority */
	unsigned int asked;     /* how many rules are asked before it, once the tunnel is up */
	/* nft */
	bool drops;         /* has a verdict that may be a kill switch */
	bool base_output;   /* makes a chain that sees what is sent */
	bool base_other;    /* or one that sees something else */
	char nft_table[64]; /* "inet killswitch", the one that it is all about; "": not known */
	/* iptables */
	char verb; /* A I D N X F P C, or another; '?' */
	struct eg_prefix prefix;
	enum eg_wgtable table;
	__u32 table_number;
	int position; /* -I CHAIN N; 0: none */
	struct eg_wgplace gateway_place;
	const char *gateway;    /* `via` with an address in figures, NULL */
	char *spec;             /* what is added or taken away: equal texts, equal things */
	const char *tool;       /* "iptables-legacy" */
	const char *table_name; /* "filter" */
	const char *chain;      /* "OUTPUT" */
	size_t first_word;      /* of an iptables rule, behind the chain */
	unsigned long fwmark;   /* what is set; 0: not known, or off */
};

struct eg_wghook {
	const struct eg_wgfile *file;
	const struct eg_wgline *line;
	char *text; /* with its continuations, if it was meant to have some */
	size_t len;
	bool continued;
	struct eg_shell *shell;
};

struct eg_wghooks {
	struct eg_wghook *hooks;
	size_t n_hooks;
	struct eg_wgop *ops;
	size_t n_ops;
};

/* `ifname` is what %i means, or NULL. 0 or -ENOMEM. */
int eg_wghooks_read(const struct eg_wgfile *file, const char *ifname,
		    struct eg_wghooks **ret_hooks);
void eg_wghooks_free(struct eg_wghooks *hooks);
static inline void eg_wghooks_freep(struct eg_wghooks **hooks)
{
	eg_wghooks_free(*hooks);
}
#define EG_AUTO_WGHOOKS __attribute__((cleanup(eg_wghooks_freep)))

/* Where in the file a place in a hook's text is. */
struct eg_wgplace eg_wghook_place(const struct eg_wghook *hook, size_t offset);

static inline bool eg_wgkey_is_up(enum eg_wgkey key)
{
	return key == EG_WGKEY_PRE_UP || key == EG_WGKEY_POST_UP;
}

/* Whether a word asks at run time for the tunnel's mark, or for the default route. */
bool eg_wgword_is_fwmark(const char *text);

static inline const struct eg_shell_command *eg_wgop_command(const struct eg_wghooks *hooks,
							     const struct eg_wgop *op)
{
	return &hooks->hooks[op->hook].shell->commands[op->command];
}

#endif /* EG_WGHOOKS_H */
