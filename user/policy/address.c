// SPDX-License-Identifier: GPL-2.0
#include "policy/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eg_packet.h"
#include "util/cleanup.h"

/* The part of a text, from `from` up to `to`, that one function reads; columns are those of the
 * whole text. */
struct part {
	const char *text;
	size_t from;
	size_t to;
	struct eg_error *error;
	bool own; /* we wrote it: v4-mapped addresses are all right */
};

#define FAIL(part, at, ...) eg_error_at((part)->error, 1, (unsigned int)(at) + 1, __VA_ARGS__)

static struct part whole(const char *text, struct eg_error *error)
{
	return (struct part){.text = text, .to = strlen(text), .error = error};
}

static struct part between(const struct part *part, size_t from, size_t to)
{
	struct part inner = *part;

	inner.from = from;
	inner.to = to;
	return inner;
}

static char *quote(char to[EG_QUOTE_LEN], const struct part *part)
{
	return eg_quote(to, part->text + part->from, part->to - part->from);
}

/* Where `c` is first in the part, or its end. */
static size_t find(const struct part *part, char c)
{
	size_t at = part->from;

	while (at < part->to && part->text[at] != c)
		at++;
	return at;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool has_letter(const struct part *part)
{
	for (size_t i = part->from; i < part->to; i++) {
		if ((part->text[i] | 0x20) >= 'a' && (part->text[i] | 0x20) <= 'z')
			return true;
	}
	return false;
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* All of the part, in decimal, from `min` to `max`. `what` is "the port" or the like. */
static int read_number(const struct part *part, const char *what, unsigned int min,
		       unsigned int max, unsigned int *ret_value)
{
	unsigned int value = 0;
	char quoted[EG_QUOTE_LEN];
	char rest[EG_QUOTE_LEN];
	size_t at = part->from;

	if (at == part->to)
		return FAIL(part, at, "%s is missing: a number from %u to %u", what, min, max);
	for (; at < part->to && is_digit(part->text[at]); at++)
		value = value > max ? value : value * 10 + (unsigned int)(part->text[at] - '0');
	if (at == part->from)
		return FAIL(part, at, "%s %s is not a number from %u to %u", what,
			    quote(quoted, part), min, max);
	if (at < part->to) {
		struct part junk = between(part, at, part->to);
		struct part number = between(part, part->from, at);

		return FAIL(part, at, "unexpected %s after %s, %s", quote(rest, &junk), what,
			    quote(quoted, &number));
	}
	if (part->text[part->from] == '0' && part->to - part->from > 1)
		return FAIL(part, part->from, "%s %s has a leading zero: write it without", what,
			    quote(quoted, part));
	if (value < min || value > max)
		return FAIL(part, part->from, "%s %s is not from %u to %u", what,
			    quote(quoted, part), min, max);
	*ret_value = value;
	return 0;
}

static int read_port(const struct part *part, __u16 *ret_port)
{
	unsigned int port;
	int result = read_number(part, "the port", 1, 65535, &port);

	if (result == 0)
		*ret_port = (__u16)port;
	return result;
}

int eg_port_parse(const char *text, __u16 *ret_port, struct eg_error *error)
{
	struct part part = whole(text, error);

	return read_port(&part, ret_port);
}

/* --- addresses -------------------------------------------------------------------------------- */

static int not_an_address(const struct part *part, size_t at)
{
	char quoted[EG_QUOTE_LEN];

	if (part->from == part->to)
		return FAIL(part, at, "an address is missing");
	return FAIL(part, at, "%s is not an IPv4 or IPv6 address%s", quote(quoted, part),
		    has_letter(part) && find(part, ':') == part->to
			    ? ", and a host name cannot stand here"
			    : "");
}

static int read_ipv4_byte(const struct part *part, size_t *at, __u8 *ret_byte)
{
	size_t start = *at;
	unsigned int value = 0;
	char quoted[EG_QUOTE_LEN];

	while (*at < part->to && is_digit(part->text[*at]) && value <= 255)
		value = value * 10 + (unsigned int)(part->text[(*at)++] - '0');
	if (*at == start)
		return not_an_address(part, start);
	if (part->text[start] == '0' && *at - start > 1)
		return FAIL(part, start,
			    "%s has a number with a leading zero, which some programs read as "
			    "octal: write it without",
			    quote(quoted, part));
	if (value > 255)
		return FAIL(part, start, "%s has a number over 255: it is not an IPv4 address",
			    quote(quoted, part));
	*ret_byte = (__u8)value;
	return 0;
}

static int read_ipv4(const struct part *part, __u8 ret_bytes[4])
{
	size_t at = part->from;
	__u8 bytes[4];
	char quoted[EG_QUOTE_LEN];

	for (int i = 0; i < 4; i++) {
		int result;

		if (i && at == part->to)
			return FAIL(part, at, "%s has %d of the four numbers of an IPv4 address",
				    quote(quoted, part), i);
		if (i && part->text[at++] != '.')
			return not_an_address(part, at - 1);
		result = read_ipv4_byte(part, &at, &bytes[i]);
		if (result < 0)
			return result;
	}
	if (at < part->to)
		return not_an_address(part, at);
	memcpy(ret_bytes, bytes, sizeof(bytes));
	return 0;
}

#define IPV6_GROUPS 8

/* What was read of an IPv6 address: its 16-bit groups, and where among them the `::` stands. */
struct groups {
	__u8 bytes[2 * IPV6_GROUPS];
	int n;
	int gap; /* -1: there is none */
};

static int too_many_groups(const struct part *part, size_t at)
{
	char quoted[EG_QUOTE_LEN];

	return FAIL(part, at, "%s has more than the eight groups of an IPv6 address",
		    quote(quoted, part));
}

/* One group, or the IPv4 address that may end an IPv6 one. */
static int read_group(const struct part *part, size_t *at, struct groups *groups)
{
	struct part tail = between(part, *at, part->to);
	unsigned int value = 0;
	size_t start = *at;
	char quoted[EG_QUOTE_LEN];

	if (groups->n == IPV6_GROUPS)
		return too_many_groups(part, start);
	while (*at < part->to && hex_value(part->text[*at]) >= 0 && *at - start < 5)
		value = value << 4 | (unsigned int)hex_value(part->text[(*at)++]);
	if (*at < part->to && part->text[*at] == '.' && *at > start) {
		int result;

		if (groups->n > IPV6_GROUPS - 2)
			return too_many_groups(part, start);
		result = read_ipv4(&tail, groups->bytes + 2 * groups->n);
		if (result < 0)
			return result;
		groups->n += 2;
		*at = part->to;
		return 0;
	}
	if (*at == start)
		return not_an_address(part, start);
	if (*at - start > 4)
		return FAIL(part, start, "%s has a group of more than four hexadecimal digits",
			    quote(quoted, part));
	groups->bytes[2 * groups->n] = (__u8)(value >> 8);
	groups->bytes[2 * groups->n + 1] = (__u8)value;
	groups->n++;
	return 0;
}

/* Past the `:` or `::` at `at`. */
static int read_colons(const struct part *part, size_t *at, struct groups *groups)
{
	char quoted[EG_QUOTE_LEN];

	if (part->text[*at] != ':')
		return not_an_address(part, *at);
	if (*at + 1 < part->to && part->text[*at + 1] == ':') {
		if (groups->gap >= 0)
			return FAIL(part, *at, "%s has '::' twice", quote(quoted, part));
		groups->gap = groups->n;
		*at += 2;
		return 0;
	}
	if (groups->n == 0 || *at + 1 == part->to)
		return FAIL(part, *at, "%s has a ':' without a group beside it",
			    quote(quoted, part));
	*at += 1;
	return 0;
}

static int read_groups(const struct part *part, struct groups *ret_groups)
{
	struct groups groups = {.gap = -1};
	size_t at = part->from;
	char quoted[EG_QUOTE_LEN];
	int result = 0;

	if (part->text[at] == ':')
		result = read_colons(part, &at, &groups);
	while (result == 0 && at < part->to) {
		result = read_group(part, &at, &groups);
		if (result == 0 && at < part->to)
			result = read_colons(part, &at, &groups);
	}
	if (result < 0)
		return result;
	if (groups.gap >= 0 && groups.n == IPV6_GROUPS)
		return FAIL(part, part->from,
			    "%s has eight groups and a '::', which stands for none",
			    quote(quoted, part));
	if (groups.gap < 0 && groups.n < IPV6_GROUPS)
		return FAIL(part, part->to, "%s has %d of the eight groups of an IPv6 address",
			    quote(quoted, part), groups.n);
	*ret_groups = groups;
	return 0;
}

static int read_ipv6(const struct part *part, __u8 ret_bytes[16])
{
	size_t zone = find(part, '%');
	char quoted[EG_QUOTE_LEN];
	struct groups groups;
	size_t before;
	size_t after;
	int result;

	if (zone < part->to)
		return FAIL(part, zone,
			    "%s names a zone after the '%%', which means something else on each "
			    "machine: write the address without it",
			    quote(quoted, part));
	result = read_groups(part, &groups);
	if (result < 0)
		return result;
	before = 2 * (size_t)(groups.gap < 0 ? groups.n : groups.gap);
	after = 2 * (size_t)groups.n - before;
	memset(ret_bytes, 0, 16);
	memcpy(ret_bytes, groups.bytes, before);
	if (after)
		memcpy(ret_bytes + 16 - after, groups.bytes + before, after);
	return 0;
}

/* ::ffff:0:0/96, RFC 4291, 2.5.5.2 */
static bool is_v4_mapped(const union eg_addr *addr)
{
	static const __u8 start[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(addr->bytes, start, sizeof(start)) == 0;
}

static union eg_addr unmapped(const union eg_addr *addr)
{
	union eg_addr v4 = {};

	memcpy(v4.bytes, addr->bytes + 12, 4);
	return v4;
}

/* 10.0.0.1:53 where no port may follow is no IPv6 address with a typo. */
static bool is_ipv4_with_port(const struct part *part)
{
	size_t colon = find(part, ':');

	return colon < part->to && find(part, '.') < colon;
}

/* The address in the part, v4-mapped ones included. */
static int read_any_addr(const struct part *part, __u8 *ret_family, union eg_addr *ret_addr)
{
	union eg_addr addr = {};
	size_t colon = find(part, ':');
	char quoted[EG_QUOTE_LEN];
	int result;

	if (part->from == part->to)
		return not_an_address(part, part->from);
	if (part->text[part->from] == '[')
		return FAIL(part, part->from,
			    "%s has brackets, which only an address with a port after it has",
			    quote(quoted, part));
	if (is_ipv4_with_port(part))
		return FAIL(part, colon, "%s has a port, and none can stand here",
			    quote(quoted, part));
	result = colon < part->to ? read_ipv6(part, addr.bytes) : read_ipv4(part, addr.bytes);
	if (result < 0)
		return result;
	*ret_family = colon < part->to ? EG_FAMILY_IPV6 : EG_FAMILY_IPV4;
	*ret_addr = addr;
	return 0;
}

/* What to write in the place of a v4-mapped prefix. */
static int refuse_v4_mapped(const struct part *part, const union eg_addr *addr, unsigned int len)
{
	struct eg_prefix v4 = {unmapped(addr), EG_FAMILY_IPV4, len < 96 ? 32 : (__u8)(len - 96)};
	char quoted[EG_QUOTE_LEN];
	char text[EG_ADDRESS_TEXT_LEN];

	return FAIL(part, part->from,
		    "%s is an IPv4 address mapped into IPv6, which no packet carries: write %s",
		    quote(quoted, part), eg_prefix_format(text, &v4));
}

static int read_addr(const struct part *part, __u8 *ret_family, union eg_addr *ret_addr)
{
	union eg_addr addr;
	__u8 family;
	int result = read_any_addr(part, &family, &addr);

	if (result < 0)
		return result;
	if (!part->own && family == EG_FAMILY_IPV6 && is_v4_mapped(&addr))
		return refuse_v4_mapped(part, &addr, 128);
	*ret_family = family;
	*ret_addr = addr;
	return 0;
}

int eg_addr_parse(const char *text, __u8 *ret_family, union eg_addr *ret_addr,
		  struct eg_error *error)
{
	struct part part = whole(text, error);
	size_t slash = find(&part, '/');
	char quoted[EG_QUOTE_LEN];

	if (slash < part.to && slash > 0)
		return FAIL(&part, slash,
			    "%s is a prefix, and only a single address can stand here",
			    quote(quoted, &part));
	return read_addr(&part, ret_family, ret_addr);
}

char *eg_addr_format(char to[EG_ADDRESS_TEXT_LEN], __u8 family, const union eg_addr *addr)
{
	inet_ntop(family == EG_FAMILY_IPV4 ? AF_INET : AF_INET6, addr->bytes, to,
		  EG_ADDRESS_TEXT_LEN);
	return to;
}

/* --- prefixes --------------------------------------------------------------------------------- */

static union eg_addr network_of(const union eg_addr *addr, unsigned int len)
{
	union eg_addr network = *addr;
	unsigned int byte = len / 8;

	if (byte < sizeof(network.bytes)) {
		network.bytes[byte] &= (__u8)(0xff00 >> len % 8);
		memset(network.bytes + byte + 1, 0, sizeof(network.bytes) - byte - 1);
	}
	return network;
}

/* The length of a netmask that was written in its place, -1 if it is none. */
static int netmask_len(const struct part *part)
{
	struct part quiet = *part;
	union eg_addr mask = {};
	int len = 0;

	quiet.error = NULL;
	if (read_ipv4(&quiet, mask.bytes) < 0)
		return -1;
	while (len < 32 && mask.bytes[len / 8] & 0x80 >> len % 8)
		len++;
	for (int bit = len; bit < 32; bit++) {
		if (mask.bytes[bit / 8] & 0x80 >> bit % 8)
			return -1;
	}
	return len;
}

static int read_prefix_len(const struct part *part, __u8 family, unsigned int *ret_len)
{
	int mask_len = netmask_len(part);
	char quoted[EG_QUOTE_LEN];

	if (mask_len >= 0 && family == EG_FAMILY_IPV4)
		return FAIL(part, part->from, "%s is a netmask: write its length, /%d",
			    quote(quoted, part), mask_len);
	return read_number(part, "the prefix length", 0, eg_family_bits(family), ret_len);
}

/* ADDR or ADDR/LEN, with host bits: in `ret_host`, cleared in `ret_prefix`. */
static int read_network(const struct part *part, struct eg_prefix *ret_prefix,
			union eg_addr *ret_host)
{
	size_t slash = find(part, '/');
	struct part addr_part = between(part, part->from, slash);
	unsigned int len;
	union eg_addr addr;
	__u8 family;
	int result;

	/* not the part before the slash alone: a message quotes both */
	if (part->from < part->to && part->text[part->from] == '[')
		addr_part = *part;
	result = read_any_addr(&addr_part, &family, &addr);
	if (result < 0)
		return result;
	len = eg_family_bits(family);
	if (slash < part->to) {
		struct part len_part = between(part, slash + 1, part->to);

		result = read_prefix_len(&len_part, family, &len);
	}
	if (result < 0)
		return result;
	if (!part->own && family == EG_FAMILY_IPV6 && is_v4_mapped(&addr))
		return refuse_v4_mapped(part, &addr, len);
	*ret_prefix = (struct eg_prefix){network_of(&addr, len), family, (__u8)len};
	*ret_host = addr;
	return 0;
}

static int read_prefix(const struct part *part, struct eg_prefix *ret_prefix)
{
	struct eg_prefix prefix;
	union eg_addr host;
	int result = read_network(part, &prefix, &host);
	char quoted[EG_QUOTE_LEN];
	char text[EG_ADDRESS_TEXT_LEN];

	if (result < 0)
		return result;
	if (memcmp(&prefix.addr, &host, sizeof(host)) != 0)
		return FAIL(part, part->from, "%s has host bits set: the network is %s",
			    quote(quoted, part), eg_prefix_format(text, &prefix));
	*ret_prefix = prefix;
	return 0;
}

int eg_prefix_parse(const char *text, struct eg_prefix *ret_prefix, struct eg_error *error)
{
	struct part part = whole(text, error);

	return read_prefix(&part, ret_prefix);
}

int eg_prefix_parse_own(const char *text, struct eg_prefix *ret_prefix, struct eg_error *error)
{
	struct part part = whole(text, error);

	part.own = true;
	return read_prefix(&part, ret_prefix);
}

int eg_prefix_parse_host(const char *text, struct eg_prefix *ret_prefix, union eg_addr *ret_host,
			 struct eg_error *error)
{
	struct part part = whole(text, error);

	return read_network(&part, ret_prefix, ret_host);
}

char *eg_prefix_format(char to[EG_ADDRESS_TEXT_LEN], const struct eg_prefix *prefix)
{
	eg_addr_format(to, prefix->family, &prefix->addr);
	if (prefix->len != eg_family_bits(prefix->family)) {
		size_t len = strlen(to);

		snprintf(to + len, EG_ADDRESS_TEXT_LEN - len, "/%u", prefix->len);
	}
	return to;
}

bool eg_prefix_contains(const struct eg_prefix *prefix, __u8 family, const union eg_addr *addr)
{
	unsigned int byte = prefix->len / 8;
	unsigned int rest = prefix->len % 8;

	if (prefix->family != family || memcmp(prefix->addr.bytes, addr->bytes, byte) != 0)
		return false;
	return rest == 0 || ((prefix->addr.bytes[byte] ^ addr->bytes[byte]) & 0xff00 >> rest) == 0;
}

bool eg_prefix_covers(const struct eg_prefix *outer, const struct eg_prefix *inner)
{
	return outer->len <= inner->len && eg_prefix_contains(outer, inner->family, &inner->addr);
}

int eg_prefix_compare(const struct eg_prefix *a, const struct eg_prefix *b)
{
	int order;

	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	order = memcmp(a->addr.bytes, b->addr.bytes, sizeof(a->addr.bytes));
	if (order)
		return order;
	return (a->len > b->len) - (a->len < b->len);
}

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
	struct part part = whole(text, NULL);
	unsigned int number;

	for (size_t i = 0; i < N_PROTOCOLS; i++) {
		if (strcmp(protocols[i].name, text) == 0)
			return protocols[i].number;
	}
	return read_number(&part, "the protocol", 0, 255, &number) < 0 ? -EINVAL : (int)number;
}

static const char *nearest_protocol(const char *text)
{
	const char *names[N_PROTOCOLS + 1] = {};

	for (size_t i = 0; i < N_PROTOCOLS; i++)
		names[i] = protocols[i].name;
	return eg_nearest(text, names);
}

/* The parser of packets reads ports of these. */
static bool has_ports(int proto)
{
	return proto == EG_PROTO_TCP || proto == EG_PROTO_UDP || proto == EG_PROTO_SCTP;
}

/* --- rules ------------------------------------------------------------------------------------ */

static int unknown_protocol(const struct part *part)
{
	const char *nearest = nearest_protocol(part->text + part->from);
	char quoted[EG_QUOTE_LEN];

	if (part->from == part->to)
		return FAIL(part, part->from,
			    "the protocol is missing: a name such as tcp, or a number");
	if (nearest)
		return FAIL(part, part->from, "unknown protocol %s: did you mean '%s'?",
			    quote(quoted, part), nearest);
	return FAIL(part, part->from,
		    "unknown protocol %s: it is a name such as tcp, or a number from 0 to 255",
		    quote(quoted, part));
}

/* The text of a protocol, which ends where the rule does. */
static int read_proto(const struct part *part, __s16 *ret_proto)
{
	int proto = eg_proto_parse(part->text + part->from);

	if (proto < 0)
		return unknown_protocol(part);
	*ret_proto = (__s16)proto;
	return 0;
}

/* PORT[/PROTO], the rest of a rule */
static int read_port_and_proto(const struct part *part, struct eg_rule *rule)
{
	struct part port_part = between(part, part->from, find(part, '/'));
	struct part proto_part = between(part, port_part.to + 1, part->to);
	size_t dash = find(&port_part, '-');
	char quoted[EG_QUOTE_LEN];
	const char *name;
	int result = 0;

	if (port_part.to == port_part.from + 1 && part->text[port_part.from] == '*')
		rule->port = 0;
	else if (dash > port_part.from && dash < port_part.to)
		return FAIL(part, dash, "%s is a range of ports: write one rule for each port",
			    quote(quoted, &port_part));
	else
		result = read_port(&port_part, &rule->port);
	if (result < 0 || port_part.to == part->to)
		return result;
	result = read_proto(&proto_part, &rule->proto);
	if (result < 0 || rule->port == 0 || has_ports(rule->proto))
		return result;
	name = part->text + proto_part.from;
	return FAIL(part, port_part.from, "%s has no ports to name: write *, as in ADDR:*/%s",
		    quote(quoted, &proto_part), name);
}

/* 10.0.0.5/tcp and fd00::1/tcp: what was meant is a rule for any port. */
static int check_for_protocol(const struct part *part)
{
	size_t slash = find(part, '/');
	struct part addr = between(part, part->from, slash);
	bool v6 = find(part, ':') < part->to;
	char quoted[EG_QUOTE_LEN];
	char written[EG_QUOTE_LEN];

	if (slash == part->to || is_digit(part->text[slash + 1]) ||
	    eg_proto_parse(part->text + slash + 1) < 0)
		return 0;
	eg_escape(written, sizeof(written), addr.text + addr.from, addr.to - addr.from);
	return FAIL(part, slash, "%s has a protocol but no port: write %s%s%s:*%s",
		    quote(quoted, part), v6 ? "[" : "", written, v6 ? "]" : "", part->text + slash);
}

/* [fd00::/8]:443/tcp */
static int read_bracketed_rule(const struct part *part, struct eg_rule *rule)
{
	size_t close = find(part, ']');
	struct part inside = between(part, part->from + 1, close);
	struct part rest = between(part, close + 2, part->to);
	char quoted[EG_QUOTE_LEN];
	int result;

	if (close == part->to)
		return FAIL(part, part->from, "%s lacks the ']' of its '['", quote(quoted, part));
	result = read_prefix(&inside, &rule->prefix);
	if (result < 0)
		return result;
	if (rule->prefix.family == EG_FAMILY_IPV4)
		return FAIL(part, part->from,
			    "%s has brackets, which only an IPv6 address has here",
			    quote(quoted, part));
	if (close + 1 == part->to)
		return FAIL(part, part->to,
			    "%s has brackets but no port: write %.*s, or a port after a ':'",
			    quote(quoted, part), (int)(inside.to - inside.from),
			    part->text + inside.from);
	if (part->text[close + 1] == '/')
		return FAIL(part, close + 1,
			    "%s: the length of a prefix stands inside the brackets, a protocol "
			    "after a port ([fd00::/8]:443/tcp)",
			    quote(quoted, part));
	if (part->text[close + 1] != ':')
		return FAIL(part, close + 1, "%s: after ']' comes ':' and a port",
			    quote(quoted, part));
	return read_port_and_proto(&rest, rule);
}

/* fd00::/8:443 and fd00::1:* */
static int check_for_brackets(const struct part *part)
{
	struct part rest = between(part, find(part, '/'), part->to);
	size_t colon = find(&rest, ':');
	char quoted[EG_QUOTE_LEN];

	if (colon == part->to && part->text[part->to - 1] != '*')
		return 0;
	return FAIL(part, part->from,
		    "%s: an IPv6 address or prefix with a port needs brackets, [ADDR/LEN]:PORT",
		    quote(quoted, part));
}

static int read_plain_rule(const struct part *part, struct eg_rule *rule)
{
	size_t colon = find(part, ':');
	struct part prefix_part = between(part, part->from, colon);
	struct part rest = between(part, colon + 1, part->to);
	int result;

	/* a second colon makes it IPv6, without a port; but 10.0.0.1:53:53 is just wrong */
	if (colon < part->to && !is_ipv4_with_port(part) && find(&rest, ':') < part->to) {
		result = check_for_protocol(part);
		if (result == 0)
			result = check_for_brackets(part);
		return result < 0 ? result : read_prefix(part, &rule->prefix);
	}
	if (colon == part->to) {
		result = check_for_protocol(part);
		if (result < 0)
			return result;
	}
	result = read_prefix(&prefix_part, &rule->prefix);
	return result < 0 || colon == part->to ? result : read_port_and_proto(&rest, rule);
}

static int check_rule(const struct part *part, const struct eg_rule *rule)
{
	bool v4 = rule->prefix.family == EG_FAMILY_IPV4;
	unsigned int min_len = v4 ? EG_RULE_MIN_LEN_IPV4 : EG_RULE_MIN_LEN_IPV6;
	int other_icmp = v4 ? EG_PROTO_ICMPV6 : EG_PROTO_ICMP;
	char quoted[EG_QUOTE_LEN];

	if (rule->prefix.len < min_len)
		return FAIL(part, part->from,
			    "%s would let so much of the internet out in the clear that the guard "
			    "is as good as off: a prefix of %s is at least /%u long",
			    quote(quoted, part), v4 ? "IPv4" : "IPv6", min_len);
	if (rule->proto == other_icmp)
		return FAIL(part, part->from, "%s: the ICMP of %s is %s", quote(quoted, part),
			    v4 ? "IPv4" : "IPv6", v4 ? "icmp" : "icmpv6");
	return 0;
}

int eg_rule_parse(const char *text, struct eg_rule *ret_rule, struct eg_error *error)
{
	struct part part = whole(text, error);
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

/* --- endpoints -------------------------------------------------------------------------------- */

#define HOST_MAX  253 /* RFC 1035, 3.1, as text */
#define LABEL_MAX 63

/* Whether the system's resolver would read it as an address (127.1, 0x7f000001): then it has to be
 * one in full. */
static bool ends_in_number(const struct part *part)
{
	size_t to = part->to;
	size_t from;

	if (to > part->from && part->text[to - 1] == '.')
		to--;
	for (from = to; from > part->from && part->text[from - 1] != '.';)
		from--;
	if (from + 1 < to && part->text[from] == '0' && (part->text[from + 1] | 0x20) == 'x')
		return true;
	for (size_t i = from; i < to; i++) {
		if (!is_digit(part->text[i]))
			return false;
	}
	return from < to;
}

static int check_label(const struct part *host, size_t from, size_t to)
{
	char quoted[EG_QUOTE_LEN];

	if (to == from)
		return FAIL(host, from, "%s is no host name: a part between dots is empty",
			    quote(quoted, host));
	if (to - from > LABEL_MAX)
		return FAIL(host, from, "%s is no host name: a part is longer than %d bytes",
			    quote(quoted, host), LABEL_MAX);
	if (host->text[from] == '-' || host->text[to - 1] == '-')
		return FAIL(host, from, "%s is no host name: a part starts or ends with '-'",
			    quote(quoted, host));
	return 0;
}

static int check_host_bytes(const struct part *host)
{
	char quoted[EG_QUOTE_LEN];

	for (size_t i = host->from; i < host->to; i++) {
		char c = host->text[i];

		if (is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
		    c == '.' || c == '_')
			continue;
		return FAIL(host, i, "%s is neither an address nor a host name%s",
			    quote(quoted, host),
			    c & 0x80 ? ": write a name with other letters in its xn-- form" : "");
	}
	return 0;
}

static int check_host(const struct part *host)
{
	char quoted[EG_QUOTE_LEN];
	size_t from = host->from;
	int result;

	if (host->from == host->to)
		return FAIL(host, host->from, "an address is missing before the port");
	if (host->to - host->from > HOST_MAX)
		return FAIL(host, host->from, "%s is no host name: it is longer than %d bytes",
			    quote(quoted, host), HOST_MAX);
	result = check_host_bytes(host);
	/* a last dot, which says that the name is complete, has nothing after it */
	while (result == 0 && (from < host->to || from == host->from)) {
		struct part rest = between(host, from, host->to);
		size_t dot = find(&rest, '.');

		result = check_label(host, from, dot);
		from = dot + 1;
	}
	return result;
}

/* A host name, copied, or an IPv4 address. */
static int read_host(const struct part *part, struct eg_endpoint *endpoint)
{
	char quoted[EG_QUOTE_LEN];
	int result;

	if (ends_in_number(part) && has_letter(part))
		return FAIL(part, part->from, "%s ends in a number like an address, but is none",
			    quote(quoted, part));
	if (ends_in_number(part))
		return read_addr(part, &endpoint->family, &endpoint->addr);
	result = check_host(part);
	if (result < 0)
		return result;
	endpoint->host = strndup(part->text + part->from, part->to - part->from);
	if (!endpoint->host)
		return eg_error_set(part->error, EG_EXIT_FAILED, ENOMEM, "out of memory");
	return 0;
}

static int read_bracketed_endpoint(const struct part *part, struct eg_endpoint *endpoint)
{
	size_t close = find(part, ']');
	struct part inside = between(part, part->from + 1, close);
	struct part port = between(part, close + 2, part->to);
	char quoted[EG_QUOTE_LEN];
	int result;

	if (close == part->to)
		return FAIL(part, part->from, "%s lacks the ']' of its '['", quote(quoted, part));
	result = read_addr(&inside, &endpoint->family, &endpoint->addr);
	if (result < 0)
		return result;
	if (endpoint->family == EG_FAMILY_IPV4)
		return FAIL(part, part->from, "%s has brackets, which only an IPv6 address has",
			    quote(quoted, part));
	if (close + 1 == part->to || part->text[close + 1] != ':')
		return FAIL(part, close + 1, "%s: after ']' comes ':' and a port",
			    quote(quoted, part));
	return read_port(&port, &endpoint->port);
}

static int read_plain_endpoint(const struct part *part, struct eg_endpoint *endpoint)
{
	size_t colon = find(part, ':');
	struct part host = between(part, part->from, colon);
	struct part port = between(part, colon + 1, part->to);
	char quoted[EG_QUOTE_LEN];
	int result;

	if (part->from == part->to)
		return not_an_address(part, part->from);
	if (colon == part->to)
		return FAIL(part, part->to, "%s has no port: write ADDR:PORT", quote(quoted, part));
	if (!is_ipv4_with_port(part) && find(&port, ':') < part->to)
		return FAIL(part, part->from,
			    "%s: an IPv6 address with a port needs brackets, [ADDR]:PORT",
			    quote(quoted, part));
	result = read_port(&port, &endpoint->port);
	return result < 0 ? result : read_host(&host, endpoint);
}

static int read_endpoint(const struct part *part, struct eg_endpoint *ret_endpoint)
{
	struct eg_endpoint endpoint = {};
	int result = *part->text == '[' ? read_bracketed_endpoint(part, &endpoint)
					: read_plain_endpoint(part, &endpoint);

	if (result == 0)
		*ret_endpoint = endpoint;
	return result;
}

int eg_endpoint_parse(const char *text, struct eg_endpoint *ret_endpoint, struct eg_error *error)
{
	struct part part = whole(text, error);

	return read_endpoint(&part, ret_endpoint);
}

int eg_endpoint_parse_own(const char *text, struct eg_endpoint *ret_endpoint,
			  struct eg_error *error)
{
	struct part part = whole(text, error);

	part.own = true;
	return read_endpoint(&part, ret_endpoint);
}

char *eg_endpoint_format(char to[EG_ADDRESS_TEXT_LEN], const struct eg_endpoint *endpoint)
{
	char addr[EG_ADDRESS_TEXT_LEN];
	bool v6 = endpoint->family == EG_FAMILY_IPV6;

	eg_addr_format(addr, endpoint->family, &endpoint->addr);
	snprintf(to, EG_ADDRESS_TEXT_LEN, "%s%.48s%s:%u", v6 ? "[" : "", addr, v6 ? "]" : "",
		 endpoint->port);
	return to;
}
