/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Routes and rules of a namespace, as its kernel has them, and where it would send a packet.
 * rtnetlink over libmnl. Nothing is sent and nothing changes.
 */
#ifndef EG_ROUTE_H
#define EG_ROUTE_H

#include "net/netns.h"
#include "policy/policy.h"

#define EG_TABLE_MAIN 254U

struct eg_route {
	struct eg_prefix prefix; /* len 0: the default route */
	__u32 table;
	__u32 ifindex; /* 0: none (unreachable, blackhole), or by several */
	__u32 metric;
	__u8 type; /* RTN_* */
	bool has_gateway;
	union eg_addr gateway;
};

struct eg_ip_rule {
	__u8 family;
	__u32 priority;
	__u32 table; /* 0: no table, another action */
	__u32 mark, mask;
	bool has_mark;
	bool invert;  /* `not` */
	int suppress; /* suppress_prefixlength, -1: not there */
	bool has_dst;
	struct eg_prefix dst;
	bool narrow; /* a source, an interface, a port: not every packet */
};

/* Both families, all tables but the one of local addresses; by family, table, prefix and metric.
 * The caller frees *ret_routes. */
int eg_routes_get(const struct eg_netns *netns, struct eg_route **ret_routes, size_t *ret_n);

/* Both families, in the order in which they are asked. The caller frees *ret_rules. */
int eg_ip_rules_get(const struct eg_netns *netns, struct eg_ip_rule **ret_rules, size_t *ret_n);

/*
 * Where the kernel would send a packet to `addr` with this mark (0: none), by all its rules and
 * tables. -ENETUNREACH and the like: nowhere. ret_route->prefix is that of the route.
 */
int eg_route_lookup(const struct eg_netns *netns, __u8 family, const union eg_addr *addr,
		    __u32 mark, struct eg_route *ret_route);

/* PURE: an RTM_NEWROUTE or an RTM_NEWRULE message. -EBADMSG; -ENODATA for a family not known. */
struct nlmsghdr;
int eg_route_message_parse(const struct nlmsghdr *message, struct eg_route *ret_route);
int eg_ip_rule_parse(const struct nlmsghdr *message, struct eg_ip_rule *ret_rule);

#endif /* EG_ROUTE_H */
