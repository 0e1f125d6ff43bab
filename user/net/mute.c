// SPDX-License-Identifier: GPL-2.0
#include "net/mute.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/link.h"
#include "net/rtnetlink.h"
#include "util/cleanup.h"

/* Who made a rule: FRA_PROTOCOL, of Linux 4.17, a number that /etc/iproute2/rt_protos names nobody
 * for. */
#define MUTE_PROTOCOL 101

/*
 * All that have a source. A lookup without one has 0.0.0.0 in IPv4, and is matched by no rule with
 * a source in IPv6, by its opposite always (fib6_rule_match(), net/ipv6/fib6_rules.c). And all of
 * ICMPv6: who answers what was sent to a multicast address has no source yet
 * (icmpv6_echo_reply(), net/ipv6/icmp.c).
 */
static const struct rule {
	__u8 family;
	__u32 flags;
	__u8 source_len;
	__u8 source;    /* its first byte, all others are 0 */
	__u8 transport; /* 0: any */
} rules[] = {
	{AF_INET, FIB_RULE_INVERT, 32, 0, 0},
	{AF_INET6, 0, 1, 0, 0},
	{AF_INET6, 0, 1, 0x80, 0},
	{AF_INET6, 0, 0, 0, IPPROTO_ICMPV6},
};
#define RULES (sizeof(rules) / sizeof(*rules))

/* --- the rules ---------------------------------------------------------------------------------
 */

/* Behind `0: from all lookup local`, which is of the same priority and was there before. */
static struct nlmsghdr *rule_request(char *buffer, __u16 type, __u16 flags, const struct rule *rule)
{
	struct nlmsghdr *request = eg_netlink_request(buffer, type, flags);
	struct fib_rule_hdr *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	const union eg_addr source = {.bytes = {rule->source}};

	header->family = rule->family;
	header->action = FR_ACT_BLACKHOLE;
	header->flags = rule->flags;
	header->src_len = rule->source_len;
	if (rule->source_len)
		mnl_attr_put(request, FRA_SRC, rule->family == AF_INET ? 4 : 16, source.bytes);
	if (rule->transport)
		mnl_attr_put_u8(request, FRA_IP_PROTO, rule->transport);
	mnl_attr_put_u32(request, FRA_PRIORITY, 0);
	mnl_attr_put_u8(request, FRA_PROTOCOL, MUTE_PROTOCOL);
	return request;
}

static int nothing(const struct nlmsghdr *message, void *argument)
{
	(void)message;
	(void)argument;
	return 0;
}

/* Which of our rules are there, by their place in `rules`. */
struct found {
	bool rules[RULES];
};

static void forget(void *argument)
{
	*(struct found *)argument = (struct found){};
}

/* The first byte of an attribute, 0 where there is none. */
static __u8 first_byte(const struct nlattr *attr)
{
	return attr && mnl_attr_get_payload_len(attr) ? *(const __u8 *)mnl_attr_get_payload(attr)
						      : 0;
}

static bool is_rule(const struct fib_rule_hdr *header, const struct nlattr *attrs[FRA_MAX + 1],
		    const struct rule *rule)
{
	return header->family == rule->family && header->action == FR_ACT_BLACKHOLE &&
	       header->src_len == rule->source_len &&
	       first_byte(attrs[FRA_PROTOCOL]) == MUTE_PROTOCOL &&
	       first_byte(attrs[FRA_SRC]) == rule->source &&
	       first_byte(attrs[FRA_IP_PROTO]) == rule->transport;
}

static int find(const struct nlmsghdr *message, void *argument)
{
	const struct fib_rule_hdr *header = mnl_nlmsg_get_payload(message);
	const struct nlattr *attrs[FRA_MAX + 1] = {}, *attr;
	struct found *found = argument;

	if (message->nlmsg_type != RTM_NEWRULE ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(*header))
		return -EBADMSG;
	mnl_attr_for_each(attr, message, sizeof(*header))
	{
		if (mnl_attr_get_type(attr) <= FRA_MAX)
			attrs[mnl_attr_get_type(attr)] = attr;
	}
	for (size_t i = 0; i < RULES; i++)
		if (is_rule(header, attrs, &rules[i]))
			found->rules[i] = true;
	return 0;
}

static int find_rules(const struct eg_netns *netns, struct found *ret_found)
{
	*ret_found = (struct found){};
	return eg_rtnetlink_dump(netns, RTM_GETRULE, sizeof(struct fib_rule_hdr), find, forget,
				 ret_found);
}

/* --- the namespace ------------------------------------------------------------------------------
 */

static int try_ipv6(void *argument)
{
	EG_AUTO_CLOSE int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)argument;
	return fd < 0 ? -errno : 0;
}

/* A kernel that was started without it has no rules for it either. */
static bool has_family(const struct eg_netns *netns, int family)
{
	return family != AF_INET6 || eg_netns_run(netns, try_ipv6, NULL) != -EAFNOSUPPORT;
}

/* Devices for tunnels of IP come into each namespace, on some machines, and are down. */
static int may_send(const struct eg_netns *netns)
{
	EG_AUTO_FREE struct eg_link *links = NULL;
	size_t n = 0;
	int result = eg_links_get(netns, &links, &n);

	if (result < 0)
		return result;
	for (size_t i = 0; i < n; i++)
		if (!links[i].loopback && links[i].flags & IFF_UP)
			return 1;
	return 0;
}

/* Interfaces are up already where it is given several networks before anything runs there. */
static int is_in_use(const struct eg_netns *netns)
{
	size_t n = 0;
	pid_t pid;
	int result = eg_netns_pids(netns, &pid, 1, &n);

	return result < 0 ? result : n > 0;
}

static int muting_failed(struct eg_error *error, int errnum)
{
	if (errnum == EAFNOSUPPORT || errnum == EOPNOTSUPP)
		return eg_error_set(
			error, EG_EXIT_KERNEL, errnum,
			"this kernel has no rules for routing (CONFIG_IP_MULTIPLE_TABLES, "
			"CONFIG_IPV6_MULTIPLE_TABLES), which keep a network mute until it "
			"is sealed");
	return eg_error_set(error, EG_EXIT_FAILED, errnum,
			    "the network cannot be kept mute until it is sealed: %s",
			    strerror(errnum));
}

/* 0 also where the rule is there, or its family is not. */
static int add_rule(const struct eg_netns *netns, struct eg_netlink *netlink,
		    const struct rule *rule)
{
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	int result = eg_netlink_ask(
		netlink, rule_request(buffer, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule),
		nothing, NULL, NULL);

	return result == -EEXIST || (result < 0 && !has_family(netns, rule->family)) ? 0 : result;
}

int eg_mute(const struct eg_netns *netns, struct eg_error *error)
{
	EG_AUTO_NETLINK struct eg_netlink *netlink = NULL;
	int result = may_send(netns);

	if (result > 0)
		result = is_in_use(netns);
	if (result > 0)
		return 0;
	if (result == 0)
		result = eg_netlink_open(netns, NETLINK_ROUTE, &netlink);
	for (size_t i = 0; i < RULES && result == 0; i++)
		result = add_rule(netns, netlink, &rules[i]);
	return result < 0 ? muting_failed(error, -result) : 0;
}

static int delete_rules(const struct eg_netns *netns, const struct found *found)
{
	EG_AUTO_NETLINK struct eg_netlink *netlink = NULL;
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	int result = 0;

	for (size_t i = 0; i < RULES && result == 0; i++) {
		if (!found->rules[i])
			continue;
		if (!netlink)
			result = eg_netlink_open(netns, NETLINK_ROUTE, &netlink);
		if (result == 0)
			result = eg_netlink_ask(netlink,
						rule_request(buffer, RTM_DELRULE, 0, &rules[i]),
						nothing, NULL, NULL);
		/* Another container of this network is started just now. */
		if (result == -ENOENT)
			result = 0;
	}
	return result;
}

int eg_unmute(const struct eg_netns *netns, struct eg_error *error)
{
	struct found found;
	int result = find_rules(netns, &found);

	if (result == 0)
		result = delete_rules(netns, &found);
	if (result == 0)
		return 0;
	return eg_error_set(error, EG_EXIT_FAILED, -result,
			    "the network was kept mute until it was sealed, and stays so: %s",
			    strerror(-result));
}

int eg_is_mute(const struct eg_netns *netns)
{
	struct found found;
	int result = find_rules(netns, &found);

	for (size_t i = 0; i < RULES && result == 0; i++)
		result = found.rules[i];
	return result;
}
