// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "eg_packet.h"
#include "policy/address_internal.h"

static int hex_value(char c)
{
	if (eg_is_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* --- numbers ---------------------------------------------------------------------------------- */

/* All of the part, in decimal, from `min` to `max`. `what` is "the port" or the like. */
int eg_read_number(const struct eg_part *part, const char *what, unsigned int min, unsigned int max,
		   unsigned int *ret_value)
{
	unsigned int value = 0;
	char quoted[EG_QUOTE_LEN];
	char rest[EG_QUOTE_LEN];
	size_t at = part->from;

	if (at == part->to)
		return EG_PART_FAIL(part, at, "%s is missing: a number from %u to %u", what, min,
				    max);
	for (; at < part->to && eg_is_digit(part->text[at]); at++)
		value = value > max ? value : value * 10 + (unsigned int)(part->text[at] - '0');
	if (at == part->from)
		return EG_PART_FAIL(part, at, "%s %s is not a number from %u to %u", what,
				    eg_part_quote(quoted, part), min, max);
	if (at < part->to) {
		struct eg_part junk = eg_part_between(part, at, part->to);
		struct eg_part number = eg_part_between(part, part->from, at);

		return EG_PART_FAIL(part, at, "unexpected %s after %s, %s",
				    eg_part_quote(rest, &junk), what,
				    eg_part_quote(quoted, &number));
	}
	if (part->text[part->from] == '0' && part->to - part->from > 1)
		return EG_PART_FAIL(part, part->from, "%s %s has a leading zero: write it without",
				    what, eg_part_quote(quoted, part));
	if (value < min || value > max)
		return EG_PART_FAIL(part, part->from, "%s %s is not from %u to %u", what,
				    eg_part_quote(quoted, part), min, max);
	*ret_value = value;
	return 0;
}

int eg_read_port(const struct eg_part *part, __u16 *ret_port)
{
	unsigned int port;
	int result = eg_read_number(part, "the port", 1, 65535, &port);

	if (result == 0)
		*ret_port = (__u16)port;
	return result;
}

int eg_port_parse(const char *text, __u16 *ret_port, struct eg_error *error)
{
	struct eg_part part = eg_part_whole(text, error);

	return eg_read_port(&part, ret_port);
}

/* --- addresses -------------------------------------------------------------------------------- */

int eg_not_an_address(const struct eg_part *part, size_t at)
{
	char quoted[EG_QUOTE_LEN];

	if (part->from == part->to)
		return EG_PART_FAIL(part, at, "an address is missing");
	return EG_PART_FAIL(part, at, "%s is not an IPv4 or IPv6 address%s",
			    eg_part_quote(quoted, part),
			    eg_part_has_letter(part) && eg_part_find(part, ':') == part->to
				    ? ", and a host name cannot stand here"
				    : "");
}

static int read_ipv4_byte(const struct eg_part *part, size_t *at, __u8 *ret_byte)
{
	size_t start = *at;
	unsigned int value = 0;
	char quoted[EG_QUOTE_LEN];

	while (*at < part->to && eg_is_digit(part->text[*at]) && value <= 255)
		value = value * 10 + (unsigned int)(part->text[(*at)++] - '0');
	if (*at == start)
		return eg_not_an_address(part, start);
	if (part->text[start] == '0' && *at - start > 1)
		return EG_PART_FAIL(
			part, start,
			"%s has a number with a leading zero, which some programs read as "
			"octal: write it without",
			eg_part_quote(quoted, part));
	if (value > 255)
		return EG_PART_FAIL(part, start,
				    "%s has a number over 255: it is not an IPv4 address",
				    eg_part_quote(quoted, part));
	*ret_byte = (__u8)value;
	return 0;
}

static int read_ipv4(const struct eg_part *part, __u8 ret_bytes[4])
{
	size_t at = part->from;
	__u8 bytes[4];
	char quoted[EG_QUOTE_LEN];

	for (int i = 0; i < 4; i++) {
		int result;

		if (i && at == part->to)
			return EG_PART_FAIL(part, at,
					    "%s has %d of the four numbers of an IPv4 address",
					    eg_part_quote(quoted, part), i);
		if (i && part->text[at++] != '.')
			return eg_not_an_address(part, at - 1);
		result = read_ipv4_byte(part, &at, &bytes[i]);
		if (result < 0)
			return result;
	}
	if (at < part->to)
		return eg_not_an_address(part, at);
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

static int too_many_groups(const struct eg_part *part, size_t at)
{
	char quoted[EG_QUOTE_LEN];

	return EG_PART_FAIL(part, at, "%s has more than the eight groups of an IPv6 address",
			    eg_part_quote(quoted, part));
}

/* One group, or the IPv4 address that may end an IPv6 one. */
static int read_group(const struct eg_part *part, size_t *at, struct groups *groups)
{
	struct eg_part tail = eg_part_between(part, *at, part->to);
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
		return eg_not_an_address(part, start);
	if (*at - start > 4)
		return EG_PART_FAIL(part, start,
				    "%s has a group of more than four hexadecimal digits",
				    eg_part_quote(quoted, part));
	groups->bytes[2 * groups->n] = (__u8)(value >> 8);
	groups->bytes[2 * groups->n + 1] = (__u8)value;
	groups->n++;
	return 0;
}

/* Past the `:` or `::` at `at`. */
static int read_colons(const struct eg_part *part, size_t *at, struct groups *groups)
{
	char quoted[EG_QUOTE_LEN];

	if (part->text[*at] != ':')
		return eg_not_an_address(part, *at);
	if (*at + 1 < part->to && part->text[*at + 1] == ':') {
		if (groups->gap >= 0)
			return EG_PART_FAIL(part, *at, "%s has '::' twice",
					    eg_part_quote(quoted, part));
		groups->gap = groups->n;
		*at += 2;
		return 0;
	}
	if (groups->n == 0 || *at + 1 == part->to)
		return EG_PART_FAIL(part, *at, "%s has a ':' without a group beside it",
				    eg_part_quote(quoted, part));
	*at += 1;
	return 0;
}

static int read_groups(const struct eg_part *part, struct groups *ret_groups)
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
		return EG_PART_FAIL(part, part->from,
				    "%s has eight groups and a '::', which stands for none",
				    eg_part_quote(quoted, part));
	if (groups.gap < 0 && groups.n < IPV6_GROUPS)
		return EG_PART_FAIL(part, part->to,
				    "%s has %d of the eight groups of an IPv6 address",
				    eg_part_quote(quoted, part), groups.n);
	*ret_groups = groups;
	return 0;
}

static int read_ipv6(const struct eg_part *part, __u8 ret_bytes[16])
{
	size_t zone = eg_part_find(part, '%');
	char quoted[EG_QUOTE_LEN];
	struct groups groups;
	size_t before;
	size_t after;
	int result;

	if (zone < part->to)
		return EG_PART_FAIL(
			part, zone,
			"%s names a zone after the '%%', which means something else on each "
			"machine: write the address without it",
			eg_part_quote(quoted, part));
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

bool eg_addr_is_v4_mapped(const union eg_addr *addr)
{
	static const __u8 start[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(addr->bytes, start, sizeof(start)) == 0;
}

union eg_addr eg_addr_unmapped(const union eg_addr *addr)
{
	union eg_addr v4 = {};

	memcpy(v4.bytes, addr->bytes + 12, 4);
	return v4;
}

/* 10.0.0.1:53 where no port may follow is no IPv6 address with a typo. */
bool eg_is_ipv4_with_port(const struct eg_part *part)
{
	size_t colon = eg_part_find(part, ':');

	return colon < part->to && eg_part_find(part, '.') < colon;
}

/* The address in the part, v4-mapped ones included. */
static int read_any_addr(const struct eg_part *part, __u8 *ret_family, union eg_addr *ret_addr)
{
	union eg_addr addr = {};
	size_t colon = eg_part_find(part, ':');
	char quoted[EG_QUOTE_LEN];
	int result;

	if (part->from == part->to)
		return eg_not_an_address(part, part->from);
	if (part->text[part->from] == '[')
		return EG_PART_FAIL(
			part, part->from,
			"%s has brackets, which only an address with a port after it has",
			eg_part_quote(quoted, part));
	if (eg_is_ipv4_with_port(part))
		return EG_PART_FAIL(part, colon, "%s has a port, and none can stand here",
				    eg_part_quote(quoted, part));
	result = colon < part->to ? read_ipv6(part, addr.bytes) : read_ipv4(part, addr.bytes);
	if (result < 0)
		return result;
	*ret_family = colon < part->to ? EG_FAMILY_IPV6 : EG_FAMILY_IPV4;
	*ret_addr = addr;
	return 0;
}

/* What to write in the place of a v4-mapped prefix. */
static int refuse_v4_mapped(const struct eg_part *part, const union eg_addr *addr, unsigned int len)
{
	struct eg_prefix v4 = {eg_addr_unmapped(addr), EG_FAMILY_IPV4,
			       len < 96 ? 32 : (__u8)(len - 96)};
	char quoted[EG_QUOTE_LEN];
	char text[EG_ADDRESS_TEXT_LEN];

	return EG_PART_FAIL(
		part, part->from,
		"%s is an IPv4 address mapped into IPv6, which no packet carries: write %s",
		eg_part_quote(quoted, part), eg_prefix_format(text, &v4));
}

int eg_read_addr(const struct eg_part *part, __u8 *ret_family, union eg_addr *ret_addr)
{
	union eg_addr addr;
	__u8 family;
	int result = read_any_addr(part, &family, &addr);

	if (result < 0)
		return result;
	if (!part->own && family == EG_FAMILY_IPV6 && eg_addr_is_v4_mapped(&addr))
		return refuse_v4_mapped(part, &addr, 128);
	*ret_family = family;
	*ret_addr = addr;
	return 0;
}

int eg_addr_parse(const char *text, __u8 *ret_family, union eg_addr *ret_addr,
		  struct eg_error *error)
{
	struct eg_part part = eg_part_whole(text, error);
	size_t slash = eg_part_find(&part, '/');
	char quoted[EG_QUOTE_LEN];

	if (slash < part.to && slash > 0)
		return EG_PART_FAIL(&part, slash,
				    "%s is a prefix, and only a single address can stand here",
				    eg_part_quote(quoted, &part));
	return eg_read_addr(&part, ret_family, ret_addr);
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
static int netmask_len(const struct eg_part *part)
{
	struct eg_part quiet = *part;
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

static int read_prefix_len(const struct eg_part *part, __u8 family, unsigned int *ret_len)
{
	int mask_len = netmask_len(part);
	char quoted[EG_QUOTE_LEN];

	if (mask_len >= 0 && family == EG_FAMILY_IPV4)
		return EG_PART_FAIL(part, part->from, "%s is a netmask: write its length, /%d",
				    eg_part_quote(quoted, part), mask_len);
	return eg_read_number(part, "the prefix length", 0, eg_family_bits(family), ret_len);
}

/* ADDR or ADDR/LEN, with host bits: in `ret_host`, cleared in `ret_prefix`. */
static int read_network(const struct eg_part *part, struct eg_prefix *ret_prefix,
			union eg_addr *ret_host)
{
	size_t slash = eg_part_find(part, '/');
	struct eg_part addr_part = eg_part_between(part, part->from, slash);
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
		struct eg_part len_part = eg_part_between(part, slash + 1, part->to);

		result = read_prefix_len(&len_part, family, &len);
	}
	if (result < 0)
		return result;
	if (!part->own && family == EG_FAMILY_IPV6 && eg_addr_is_v4_mapped(&addr))
		return refuse_v4_mapped(part, &addr, len);
	*ret_prefix = (struct eg_prefix){network_of(&addr, len), family, (__u8)len};
	*ret_host = addr;
	return 0;
}

int eg_read_prefix(const struct eg_part *part, struct eg_prefix *ret_prefix)
{
	struct eg_prefix prefix;
	union eg_addr host;
	int result = read_network(part, &prefix, &host);
	char quoted[EG_QUOTE_LEN];
	char text[EG_ADDRESS_TEXT_LEN];

	if (result < 0)
		return result;
	if (memcmp(&prefix.addr, &host, sizeof(host)) != 0)
		return EG_PART_FAIL(part, part->from, "%s has host bits set: the network is %s",
				    eg_part_quote(quoted, part), eg_prefix_format(text, &prefix));
	*ret_prefix = prefix;
	return 0;
}

int eg_prefix_parse(const char *text, struct eg_prefix *ret_prefix, struct eg_error *error)
{
	struct eg_part part = eg_part_whole(text, error);

	return eg_read_prefix(&part, ret_prefix);
}

int eg_prefix_parse_own(const char *text, struct eg_prefix *ret_prefix, struct eg_error *error)
{
	struct eg_part part = eg_part_whole(text, error);

	part.own = true;
	return eg_read_prefix(&part, ret_prefix);
}

int eg_prefix_parse_host(const char *text, struct eg_prefix *ret_prefix, union eg_addr *ret_host,
			 struct eg_error *error)
{
	struct eg_part part = eg_part_whole(text, error);

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
