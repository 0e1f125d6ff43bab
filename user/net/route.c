// SPDX-License-Identifier: GPL-2.0
#include "net/route.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "net/rtnetlink.h"
#include "policy/address.h"
#include "policy/array.h"
#include "util/cleanup.h"

static __u8 family_of(unsigned char family)
{
	return family == AF_INET ? EG_FAMILY_IPV4 : family == AF_INET6 ? EG_FAMILY_IPV6 : 0;
}

/* --- messages --------------------------------------------------------------------------------- */

static int take_route_attribute(const struct nlattr *attr, struct eg_route *route)
{
	switch (mnl_attr_get_type(attr)) {
	case RTA_DST:
		return eg_netlink_addr(attr, route->prefix.family, &route->prefix.addr);
	case RTA_OIF:
		return eg_netlink_u32(attr, &route->ifindex);
	case RTA_TABLE:
		return eg_netlink_u32(attr, &route->table);
	case RTA_PRIORITY:
		return eg_netlink_u32(attr, &route->metric);
	case RTA_GATEWAY:
		route->has_gateway = true;
		return eg_netlink_addr(attr, route->prefix.family, &route->gateway);
	case RTA_VIA:
		route->has_gateway = true;
		return 0;
	default:
		return 0;
	}
}

int eg_route_message_parse(const struct nlmsghdr *message, struct eg_route *ret_route)
{
	const struct rtmsg *header = mnl_nlmsg_get_payload(message);
	struct eg_route route = {};
	const struct nlattr *attr;

	if (message->nlmsg_type != RTM_NEWROUTE ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(*header))
		return -EBADMSG;
	route.prefix.family = family_of(header->rtm_family);
	if (!route.prefix.family)
		return -ENODATA;
	if (header->rtm_dst_len > eg_family_bits(route.prefix.family))
		return -EBADMSG;
	route.prefix.len = header->rtm_dst_len;
	route.table = header->rtm_table;
	route.type = header->rtm_type;
	mnl_attr_for_each(attr, message, sizeof(*header))
	{
		int result = take_route_attribute(attr, &route);

		if (result < 0)
			return result;
	}
	*ret_route = route;
	return 0;
}

static int take_rule_attribute(const struct nlattr *attr, struct eg_ip_rule *rule)
{
	__u32 number;
	int result;

	switch (mnl_attr_get_type(attr)) {
	case FRA_PRIORITY:
		return eg_netlink_u32(attr, &rule->priority);
	case FRA_TABLE:
		return eg_netlink_u32(attr, &rule->table);
	case FRA_FWMARK:
		rule->has_mark = true;
		return eg_netlink_u32(attr, &rule->mark);
	case FRA_FWMASK:
		return eg_netlink_u32(attr, &rule->mask);
	case FRA_SUPPRESS_PREFIXLEN:
		result = eg_netlink_u32(attr, &number);
		rule->suppress = number == (__u32)-1 ? -1 : (int)number;
		return result;
	case FRA_DST:
		rule->has_dst = true;
		return eg_netlink_addr(attr, rule->family, &rule->dst.addr);
	case FRA_SRC:
	case FRA_IIFNAME:
	case FRA_OIFNAME:
	case FRA_IP_PROTO:
	case FRA_SPORT_RANGE:
	case FRA_DPORT_RANGE:
	case FRA_UID_RANGE:
	case FRA_SUPPRESS_IFGROUP:
		if (mnl_attr_get_type(attr) == FRA_SUPPRESS_IFGROUP &&
		    eg_netlink_u32(attr, &number) == 0 && number == (__u32)-1)
			return 0;
		rule->narrow = true;
		return 0;
	default:
		return 0;
	}
}

int eg_ip_rule_parse(const struct nlmsghdr *message, struct eg_ip_rule *ret_rule)
{
	const struct fib_rule_hdr *header = mnl_nlmsg_get_payload(message);
	struct eg_ip_rule rule = {.suppress = -1, .mask = (__u32)-1};
	const struct nlattr *attr;

	if (message->nlmsg_type != RTM_NEWRULE ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(*header))
		return -EBADMSG;
	rule.family = family_of(header->family);
	if (!rule.family)
		return -ENODATA;
	if (header->dst_len > eg_family_bits(rule.family))
		return -EBADMSG;
	rule.table = header->table;
	rule.invert = header->flags & FIB_RULE_INVERT;
	rule.narrow = header->tos || header->src_len;
	rule.dst = (struct eg_prefix){.family = rule.family, .len = header->dst_len};
	mnl_attr_for_each(attr, message, sizeof(*header))
	{
		int result = take_rule_attribute(attr, &rule);

		if (result < 0)
			return result;
	}
	if (header->action != FR_ACT_TO_TBL)
		rule.table = 0;
	*ret_rule = rule;
	return 0;
}

/* --- lists ------------------------------------------------------------------------------------ */

struct list {
	struct eg_route *routes;
	struct eg_ip_rule *rules;
	size_t n;
};

static void forget(void *argument)
{
	struct list *list = argument;

	free(list->routes);
	free(list->rules);
	*list = (struct list){};
}

/* The kernel's own routes to its own addresses, and copies of routes that it keeps for a while, say
 * nothing of what was set up. */
static int add_route(const struct nlmsghdr *message, void *argument)
{
	const struct rtmsg *header = mnl_nlmsg_get_payload(message);
	struct list *list = argument;
	struct eg_route route;
	int result = eg_route_message_parse(message, &route);

	if (result == -ENODATA)
		return 0;
	if (result < 0)
		return result;
	if (route.table == RT_TABLE_LOCAL || header->rtm_flags & RTM_F_CLONED)
		return 0;
	return EG_ARRAY_ADD(list->routes, list->n, route);
}

static int add_rule(const struct nlmsghdr *message, void *argument)
{
	struct list *list = argument;
	struct eg_ip_rule rule;
	int result = eg_ip_rule_parse(message, &rule);

	if (result == -ENODATA)
		return 0;
	return result < 0 ? result : EG_ARRAY_ADD(list->rules, list->n, rule);
}

static int compare_routes(const void *a, const void *b)
{
	const struct eg_route *left = a, *right = b;
	int order = left->prefix.family - right->prefix.family;

	if (!order)
		order = (left->table > right->table) - (left->table < right->table);
	if (!order)
		order = eg_prefix_compare(&left->prefix, &right->prefix);
	return order ? order : (left->metric > right->metric) - (left->metric < right->metric);
}

int eg_routes_get(const struct eg_netns *netns, struct eg_route **ret_routes, size_t *ret_n)
{
	struct list list = {};
	int result = eg_rtnetlink_dump(netns, RTM_GETROUTE, sizeof(struct rtmsg), add_route, forget,
				       &list);

	if (result < 0)
		return result;
	if (list.n)
		qsort(list.routes, list.n, sizeof(*list.routes), compare_routes);
	*ret_routes = list.routes;
	*ret_n = list.n;
	return 0;
}

int eg_ip_rules_get(const struct eg_netns *netns, struct eg_ip_rule **ret_rules, size_t *ret_n)
{
	struct list list = {};
	int result = eg_rtnetlink_dump(netns, RTM_GETRULE, sizeof(struct fib_rule_hdr), add_rule,
				       forget, &list);

	if (result < 0)
		return result;
	*ret_rules = list.rules;
	*ret_n = list.n;
	return 0;
}

/* --- one packet ------------------------------------------------------------------------------- */

static int take_answer(const struct nlmsghdr *message, void *argument)
{
	return eg_route_message_parse(message, argument);
}

int eg_route_lookup(const struct eg_netns *netns, __u8 family, const union eg_addr *addr,
		    __u32 mark, struct eg_route *ret_route)
{
	EG_AUTO_NETLINK struct eg_netlink *netlink = NULL;
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *request;
	struct rtmsg *header;
	struct eg_route route = {};
	int result = eg_netlink_open(netns, NETLINK_ROUTE, &netlink);

	if (result < 0)
		return result;
	request = eg_netlink_request(buffer, RTM_GETROUTE, 0);
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->rtm_family = family == EG_FAMILY_IPV4 ? AF_INET : AF_INET6;
	header->rtm_dst_len = eg_family_bits(family);
	header->rtm_flags = RTM_F_FIB_MATCH;
	mnl_attr_put(request, RTA_DST, eg_family_bits(family) / 8, addr->bytes);
	if (mark)
		mnl_attr_put_u32(request, RTA_MARK, mark);
	result = eg_netlink_ask(netlink, request, take_answer, NULL, &route);
	if (result < 0)
		return result;
	if (!route.prefix.family)
		return -ENETUNREACH;
	*ret_route = route;
	return 0;
}
