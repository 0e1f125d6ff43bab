/* SPDX-License-Identifier: GPL-2.0 */
/* What a wg0.conf makes of routes, marks and rules once wg-quick has read it. PURE. */
#ifndef EG_WGMODEL_H
#define EG_WGMODEL_H

#include "policy/wgchain.h"
#include "policy/wghooks.h"

/* What is known of the file from outside of it. All of it may be left zero. */
struct eg_wgfacts {
	const char *ifname; /* the interface, from the file's name; NULL: not known */
	const char *name;   /* the file's, safe to print; NULL: it has none */
	bool have_mode;
	unsigned int mode;     /* the file's */
	unsigned int dir_mode; /* its directory's */
	bool have_programs;    /* the next three are known */
	bool iptables, ip6tables, nft;
	bool ipv6_off; /* where the file is used: known to be */
};

struct eg_wgprefix {
	struct eg_prefix prefix;
	struct eg_wgplace place;
};

struct eg_wgendpoint {
	struct eg_endpoint endpoint; /* owns its host */
	struct eg_wgplace place;
};

/* How packets find the tunnel. */
enum eg_wgway {
	EG_WGWAY_RULES,  /* a default route: wg-quick's mark, table and two rules */
	EG_WGWAY_MAIN,   /* no default route: into the main table, no mark */
	EG_WGWAY_NUMBER, /* Table = N: the routes there, rules are the hooks' affair */
	EG_WGWAY_OFF,    /* Table = off */
};

#define EG_WGTABLE_DEFAULT 51820

/* Of one IP version's rules, how many are asked before the first that looks into the tunnel's
 * table, and before the first that looks for narrower routes in another (`suppress_prefixlength`).
 */
#define EG_WGASKED_NEVER 0xffffffffU

struct eg_wgorder {
	unsigned int tunnel, suppress;
	const struct eg_wgop *suppress_op; /* NULL: wg-quick's own, or none */
};

struct eg_wgmodel {
	const struct eg_wgfile *file;
	const struct eg_wgfacts *facts;
	struct eg_wgprefix *addresses, *dns, *allowed;
	size_t n_addresses, n_dns, n_allowed;
	struct eg_wgendpoint *endpoints;
	size_t n_endpoints, n_names; /* endpoints that are host names */
	enum eg_wgway way;
	__u32 table;             /* of EG_WGWAY_NUMBER; of EG_WGWAY_RULES where FwMark is set */
	__u32 fwmark;            /* FwMark =, 0: not set */
	bool full4, full6;       /* AllowedIPs take everything */
	bool default4, default6; /* by a /0 */
	bool no_ipv6;            /* IPv6 is switched off, by a hook or before */
	const struct eg_wgop *less_ipv6; /* it is, but for one interface, or perhaps; NULL */
	struct eg_wgorder order4, order6;
	bool guard_only; /* rendered for the guard alone: no kill switch of its own */
	struct eg_wghooks *hooks;
	struct eg_wgchain chain4, chain6;
};

/* A value that cannot be read is left out: the check reads it again, and says so. 0 or -ENOMEM. */
int eg_wgmodel_read(const struct eg_wgfile *file, const struct eg_wgfacts *facts,
		    struct eg_wgmodel **ret_model);
void eg_wgmodel_free(struct eg_wgmodel *model);
static inline void eg_wgmodel_freep(struct eg_wgmodel **model)
{
	eg_wgmodel_free(*model);
}
#define EG_AUTO_WGMODEL __attribute__((cleanup(eg_wgmodel_freep)))

/* The order of one IP version's rules; sets `asked` of the hooks' own. 0 or -ENOMEM. */
int eg_wgmodel_order(struct eg_wgmodel *model, __u8 family, struct eg_wgorder *ret_order);

/* Whether an Address, or AllowedIPs, are of that IP version. */
bool eg_wgmodel_has_address(const struct eg_wgmodel *model, __u8 family);
bool eg_wgmodel_has_allowed(const struct eg_wgmodel *model, __u8 family);

/* Whether AllowedIPs cover the whole of a prefix. */
bool eg_wgmodel_tunnels(const struct eg_wgmodel *model, const struct eg_prefix *prefix);

/* Whether packets of that IP version find the tunnel by routes in the main table, WireGuard's own
 * not excepted: wg-quick makes its rules for those alone that a /0 of AllowedIPs is of. */
bool eg_wgmodel_is_markless(const struct eg_wgmodel *model, __u8 family);

/* Whether it is the one address of an endpoint. */
bool eg_wgmodel_is_endpoint(const struct eg_wgmodel *model, const struct eg_prefix *prefix);

/* Whether a hook adds a route for part of the internet or the LAN past the tunnel, for good. */
bool eg_wgop_excludes(const struct eg_wgop *op);
/* Whether it is a rule that sends a prefix to the main table: past the tunnel's own rules, where it
 * is asked before them and says nothing else (`ret_sure`). */
bool eg_wgop_rule_excludes(const struct eg_wgmodel *model, const struct eg_wgop *op,
			   bool *ret_sure);
/* Whether the table that it goes to is the one that the tunnel's rules look into. */
bool eg_wgop_in_policy_table(const struct eg_wgmodel *model, const struct eg_wgop *op);

/* Whether it is in that table by a gateway alone: the kernel looks for the gateway in the table
 * that the route is for, finds the tunnel's default route there, and sends the packets into the
 * tunnel. */
bool eg_wgop_falls_into_tunnel(const struct eg_wgmodel *model, const struct eg_wgop *op);

/* Whether something sets the mark that `wg show %i fwmark` tells. */
bool eg_wgmodel_has_mark(const struct eg_wgmodel *model);

/* The three networks of RFC 1918. */
#define EG_WGLAN_NETWORKS 3
extern const struct eg_prefix *const eg_wglan_networks[EG_WGLAN_NETWORKS];

/* The comment lines around what `wgconf render` writes. */
#define EG_WGRENDER_BEGIN "# egressguard wgconf render: begin"
#define EG_WGRENDER_END   "# egressguard wgconf render: end"

#endif /* EG_WGMODEL_H */
