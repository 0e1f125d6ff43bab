// SPDX-License-Identifier: GPL-2.0
/* Rules of a policy: a prefix, a port, a protocol. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "eg_packet.h"
#include "policy/address_internal.h"

/* --- protocols -------------------------------------------------------------------------------- */

/* What a rule is likely to name, as IANA's registry of protocol numbers has it. */
static const struct {
	const char *name;
	__u8 number;
} protocols[] = {
	{"tcp", 6},   {"udp", 17},  {"icmp", 1},   {"icmpv6", 58}, {"igmp", 2},   {"ipip", 4},
	{"6in4", 41}, {"gre", 47},  {"esp", 50},   {"ah", 51},     {"sctp", 132}, {"dccp", 33},
	{"ospf", 89}, {"pim", 103}, {"vrrp", 112}, {"l2tp", 115},  {"eigrp", 88}, {"udplite", 136},
};
#define N_PROTOCOLS (sizeof(protocols) / sizeof(protocols[0]))

const char *eg_proto_name(__u8 proto)
{
	for (size_t i = 0; i < N_PROTOCOLS; i++) {
		if (protocols[i].number == proto)
			return protocols[i].name;
	}
	return NULL;
}

int eg_proto_parse(const char *text)
{
	struct eg_part part = eg_part_whole(text, NULL);
	unsigned int number;

	for (size_t i = 0; i < N_PROTOCOLS; i++) {
		if (strcmp(protocols[i].name, text) == 0)
			return protocols[i].number;
	}
	return eg_read_number(&part, "the protocol", 0, 255, &number) < 0 ? -EINVAL : (int)number;
}

static const char *nearest_protocol(const char *text)
{
	const char *names[N_PROTOCOLS + 1] = {};

	for (size_t i = 0; i < N_PROTOCOLS; i++)
		names[i] = protocols[i].name;
	return eg_nearest(text, names);
}

bool eg_proto_has_ports(int proto)
{
	return proto == EG_PROTO_TCP || proto == EG_PROTO_UDP || proto == EG_PROTO_SCTP;
}

/* --- rules ------------------------------------------------------------------------------------ */

static int unknown_protocol(const struct eg_part *part)
{
	const char *nearest = nearest_protocol(part->text + part->from);
	char quoted[EG_QUOTE_LEN];

	if (part->from == part->to)
		return EG_PART_FAIL(part, part->from,
				    "the protocol is missing: a name such as tcp, or a number");
	if (nearest)
		return EG_PART_FAIL(part, part->from, "unknown protocol %s: did you mean '%s'?",
				    eg_part_quote(quoted, part), nearest);
	return EG_PART_FAIL(
		part, part->from,
		"unknown protocol %s: it is a name such as tcp, or a number from 0 to 255",
		eg_part_quote(quoted, part));
}

/* The text of a protocol, which ends where the rule does. */
static int read_proto(const struct eg_part *part, __s16 *ret_proto)
{
	int proto = eg_proto_parse(part->text + part->from);

	if (proto < 0)
		return unknown_protocol(part);
	*ret_proto = (__s16)proto;
	return 0;
}

/* PORT[/PROTO], the rest of a rule */
static int read_port_and_proto(const struct eg_part *part, struct eg_rule *rule)
{
	struct eg_part port_part = eg_part_between(part, part->from, eg_part_find(part, '/'));
	struct eg_part proto_part = eg_part_between(part, port_part.to + 1, part->to);
	size_t dash = eg_part_find(&port_part, '-');
	char quoted[EG_QUOTE_LEN];
	const char *name;
	int result = 0;

	if (port_part.to == port_part.from + 1 && part->text[port_part.from] == '*')
		rule->port = 0;
	else if (dash > port_part.from && dash < port_part.to)
		return EG_PART_FAIL(part, dash,
				    "%s is a range of ports: write one rule for each port",
				    eg_part_quote(quoted, &port_part));
	else
		result = eg_read_port(&port_part, &rule->port);
	if (result < 0 || port_part.to == part->to)
		return result;
	result = read_proto(&proto_part, &rule->proto);
	if (result < 0 || rule->port == 0 || eg_proto_has_ports(rule->proto))
		return result;
	name = part->text + proto_part.from;
	return EG_PART_FAIL(part, port_part.from,
			    "%s has no ports to name: write *, as in ADDR:*/%s",
			    eg_part_quote(quoted, &proto_part), name);
}

/* 10.0.0.5/tcp and fd00::1/tcp: what was meant is a rule for any port. */
static int check_for_protocol(const struct eg_part *part)
{
	size_t slash = eg_part_find(part, '/');
	struct eg_part addr = eg_part_between(part, part->from, slash);
	bool v6 = eg_part_find(part, ':') < part->to;
	char quoted[EG_QUOTE_LEN];
	char written[EG_QUOTE_LEN];

	if (slash == part->to || eg_is_digit(part->text[slash + 1]) ||
	    eg_proto_parse(part->text + slash + 1) < 0)
		return 0;
	eg_escape(written, sizeof(written), addr.text + addr.from, addr.to - addr.from);
	return EG_PART_FAIL(part, slash, "%s has a protocol but no port: write %s%s%s:*%s",
			    eg_part_quote(quoted, part), v6 ? "[" : "", written, v6 ? "]" : "",
			    part->text + slash);
}

/* [fd00::/8]:443/tcp */
static int read_bracketed_rule(const struct eg_part *part, struct eg_rule *rule)
{
	size_t close = eg_part_find(part, ']');
	struct eg_part inside = eg_part_between(part, part->from + 1, close);
	struct eg_part rest = eg_part_between(part, close + 2, part->to);
	char quoted[EG_QUOTE_LEN];
	int result;

	if (close == part->to)
		return EG_PART_FAIL(part, part->from, "%s lacks the ']' of its '['",
				    eg_part_quote(quoted, part));
	result = eg_read_prefix(&inside, &rule->prefix);
	if (result < 0)
		return result;
	if (rule->prefix.family == EG_FAMILY_IPV4)
		return EG_PART_FAIL(part, part->from,
				    "%s has brackets, which only an IPv6 address has here",
				    eg_part_quote(quoted, part));
	if (close + 1 == part->to)
		return EG_PART_FAIL(
			part, part->to,
			"%s has brackets but no port: write %.*s, or a port after a ':'",
			eg_part_quote(quoted, part), (int)(inside.to - inside.from),
			part->text + inside.from);
	if (part->text[close + 1] == '/')
		return EG_PART_FAIL(
			part, close + 1,
			"%s: the length of a prefix stands inside the brackets, a protocol "
			"after a port ([fd00::/8]:443/tcp)",
			eg_part_quote(quoted, part));
	if (part->text[close + 1] != ':')
		return EG_PART_FAIL(part, close + 1, "%s: after ']' comes ':' and a port",
				    eg_part_quote(quoted, part));
	return read_port_and_proto(&rest, rule);
}

/* fd00::/8:443 and fd00::1:* */
static int check_for_brackets(const struct eg_part *part)
{
	struct eg_part rest = eg_part_between(part, eg_part_find(part, '/'), part->to);
	size_t colon = eg_part_find(&rest, ':');
	char quoted[EG_QUOTE_LEN];

	if (colon == part->to && part->text[part->to - 1] != '*')
		return 0;
	return EG_PART_FAIL(
		part, part->from,
		"%s: an IPv6 address or prefix with a port needs brackets, [ADDR/LEN]:PORT",
		eg_part_quote(quoted, part));
}

static int read_plain_rule(const struct eg_part *part, struct eg_rule *rule)
{
	size_t colon = eg_part_find(part, ':');
	struct eg_part prefix_part = eg_part_between(part, part->from, colon);
	struct eg_part rest = eg_part_between(part, colon + 1, part->to);
	int result;

	/* a second colon makes it IPv6, without a port; but 10.0.0.1:53:53 is just wrong */
	if (colon < part->to && !eg_is_ipv4_with_port(part) &&
	    eg_part_find(&rest, ':') < part->to) {
		result = check_for_protocol(part);
		if (result == 0)
			result = check_for_brackets(part);
		return result < 0 ? result : eg_read_prefix(part, &rule->prefix);
	}
	if (colon == part->to) {
		result = check_for_protocol(part);
		if (result < 0)
			return result;
	}
	result = eg_read_prefix(&prefix_part, &rule->prefix);
	return result < 0 || colon == part->to ? result : read_port_and_proto(&rest, rule);
}

static int check_rule(const struct eg_part *part, const struct eg_rule *rule)
{
	bool v4 = rule->prefix.family == EG_FAMILY_IPV4;
	unsigned int min_len = v4 ? EG_RULE_MIN_LEN_IPV4 : EG_RULE_MIN_LEN_IPV6;
	int other_icmp = v4 ? EG_PROTO_ICMPV6 : EG_PROTO_ICMP;
	char quoted[EG_QUOTE_LEN];

	if (rule->prefix.len < min_len)
		return EG_PART_FAIL(
			part, part->from,
			"%s would let so much of the internet out in the clear that the guard "
			"is as good as off: a prefix of %s is at least /%u long",
			eg_part_quote(quoted, part), v4 ? "IPv4" : "IPv6", min_len);
	if (rule->proto == other_icmp)
		return EG_PART_FAIL(part, part->from, "%s: the ICMP of %s is %s",
				    eg_part_quote(quoted, part), v4 ? "IPv4" : "IPv6",
				    v4 ? "icmp" : "icmpv6");
	return 0;
}

int eg_rule_parse(const char *text, struct eg_rule *ret_rule, struct eg_error *error)
{
	struct eg_part part = eg_part_whole(text, error);
	struct eg_rule rule = {.proto = -1};
	int result =
		*text == '[' ? read_bracketed_rule(&part, &rule) : read_plain_rule(&part, &rule);

	if (result == 0)
		result = check_rule(&part, &rule);
	if (result == 0)
		*ret_rule = rule;
	return result;
}

char *eg_rule_format(char to[EG_ADDRESS_TEXT_LEN], const struct eg_rule *rule)
{
	char prefix[EG_ADDRESS_TEXT_LEN];
	char port[8] = "*";
	char proto[8] = "";
	const char *name = rule->proto < 0 ? NULL : eg_proto_name((__u8)rule->proto);
	bool v6 = rule->prefix.family == EG_FAMILY_IPV6;

	eg_prefix_format(prefix, &rule->prefix);
	if (rule->port)
		snprintf(port, sizeof(port), "%u", rule->port);
	if (rule->proto >= 0)
		snprintf(proto, sizeof(proto), "%d", rule->proto & 0xff);
	if (rule->port == 0 && rule->proto < 0)
		return strcpy(to, prefix);
	snprintf(to, EG_ADDRESS_TEXT_LEN, "%s%.48s%s:%s%s%s", v6 ? "[" : "", prefix, v6 ? "]" : "",
		 port, rule->proto < 0 ? "" : "/", name ? name : proto);
	return to;
}
