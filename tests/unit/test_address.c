// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include <errno.h>

#include "policy/address.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint32_t random_u32(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16);
}

/* What went wrong, as "column: message"; an empty text where nothing did. */
static const char *outcome(char to[EG_ERROR_LEN + 16], int result, const struct eg_error *error)
{
	to[0] = '\0';
	if (result == 0)
		return to;
	assert_int_equal(result, -EINVAL);
	assert_int_equal(error->exit, EG_EXIT_USAGE);
	assert_int_equal(error->line, 1);
	snprintf(to, EG_ERROR_LEN + 16, "%u: %s", error->column, error->message);
	return to;
}

struct wrong {
	const char *text;
	unsigned int column;
	const char *part; /* of the message */
};

static void check_wrong(const struct wrong *wrong, int result, const struct eg_error *error)
{
	char got[EG_ERROR_LEN + 16];

	outcome(got, result, error);
	if (result == 0 || error->column != wrong->column || !strstr(error->message, wrong->part))
		fail_msg("'%s' gave \"%s\", not %u: ...%s...", wrong->text, got, wrong->column,
			 wrong->part);
}

/* --- addresses -------------------------------------------------------------------------------- */

static const struct {
	const char *text;
	__u8 family;
	const char *normal; /* NULL: the same */
} addresses[] = {
	{"0.0.0.0", EG_FAMILY_IPV4, NULL},
	{"10.1.2.3", EG_FAMILY_IPV4, NULL},
	{"255.255.255.255", EG_FAMILY_IPV4, NULL},
	{"127.0.0.11", EG_FAMILY_IPV4, NULL},
	{"::", EG_FAMILY_IPV6, NULL},
	{"::1", EG_FAMILY_IPV6, NULL},
	{"1::", EG_FAMILY_IPV6, NULL},
	{"fd00::1", EG_FAMILY_IPV6, NULL},
	{"FD00:0:0:0::0001", EG_FAMILY_IPV6, "fd00::1"},
	{"2001:db8:1:2:3:4:5:6", EG_FAMILY_IPV6, NULL},
	{"2001:db8:1:2:3:4:5::", EG_FAMILY_IPV6, "2001:db8:1:2:3:4:5:0"},
	{"::2:3:4:5:6:7:8", EG_FAMILY_IPV6, "0:2:3:4:5:6:7:8"},
	{"1:0:0:2:0:0:0:3", EG_FAMILY_IPV6, "1:0:0:2::3"},
	{"64:ff9b::203.0.113.9", EG_FAMILY_IPV6, "64:ff9b::cb00:7109"},
	{"1:2:3:4:5:6:1.2.3.4", EG_FAMILY_IPV6, "1:2:3:4:5:6:102:304"},
	{"::fffe:0:1", EG_FAMILY_IPV6, NULL},
};

static void reads_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(addresses); i++) {
		const char *normal = addresses[i].normal ? addresses[i].normal : addresses[i].text;
		char got[EG_ERROR_LEN + 16];
		char text[EG_ADDRESS_TEXT_LEN];
		struct eg_error error = {};
		union eg_addr addr;
		__u8 expected[16] = {};
		__u8 family = 0;
		int result = eg_addr_parse(addresses[i].text, &family, &addr, &error);

		assert_string_equal(outcome(got, result, &error), "");
		assert_int_equal(family, addresses[i].family);
		inet_pton(family == EG_FAMILY_IPV4 ? AF_INET : AF_INET6, addresses[i].text,
			  expected);
		assert_memory_equal(addr.bytes, expected, sizeof(expected));
		assert_ptr_equal(eg_addr_format(text, family, &addr), text);
		assert_string_equal(text, normal);
	}
}

static const struct wrong wrong_addresses[] = {
	{"", 1, "an address is missing"},
	{"10.0.0", 7, "'10.0.0' has 3 of the four numbers"},
	{"10.0.0.", 8, "is not an IPv4 or IPv6 address"},
	{"10.0.0.1.", 9, "is not an IPv4 or IPv6 address"},
	{"10.0.0.1.2", 9, "is not an IPv4 or IPv6 address"},
	{"10.0.0.256", 8, "number over 255"},
	{"10.0.0.99999999999999999999", 8, "number over 255"},
	{"10.00.0.1", 4, "leading zero"},
	{"010.0.0.1", 1, "leading zero"},
	{"10.0.0.01", 8, "leading zero"},
	{"10.0..1", 6, "is not an IPv4 or IPv6 address"},
	{"10", 3, "1 of the four numbers"},
	{" 10.0.0.1", 1, "is not an IPv4 or IPv6 address"},
	{"10.0.0.1 ", 9, "is not an IPv4 or IPv6 address"},
	{"10.0.0.1\n", 9, "'10.0.0.1\\x0a' is not"},
	{"-1.0.0.1", 1, "is not an IPv4 or IPv6 address"},
	{"localhost", 1, "a host name cannot stand here"},
	{"10.0.0.1:53", 9, "has a port"},
	{"10.0.0.0/8", 9, "is a prefix"},
	{"fd00::/8", 7, "is a prefix"},
	{"[fd00::1]", 1, "has brackets"},
	{":", 1, "':' without a group"},
	{":1", 1, "':' without a group"},
	{"1:", 2, "':' without a group"},
	{"::1:", 4, "':' without a group"},
	{":::", 3, "is not an IPv4 or IPv6 address"},
	{"1::2::3", 5, "'::' twice"},
	{"12345::", 1, "more than four hexadecimal digits"},
	{"1:2:3:4:5:6:7:8:9", 17, "more than the eight groups"},
	{"1:2:3:4:5:6:7:8::", 1, "eight groups and a '::'"},
	{"::1:2:3:4:5:6:7:8", 1, "eight groups and a '::'"},
	{"1:2:3:4:5:6:7", 14, "7 of the eight groups"},
	{"1:2:3:4:5:6:7:1.2.3.4", 15, "more than the eight groups"},
	{"1:2:3:4:5:6:7:8:1.2.3.4", 17, "more than the eight groups"},
	{"::1.2.3", 8, "3 of the four numbers"},
	{"::1.2.3.4.5", 10, "is not"},
	{"::1.2.3.256", 9, "number over 255"},
	{"::g", 3, "is not an IPv4 or IPv6 address"},
	{"fe80::1%eth0", 8, "names a zone"},
	{"::ffff:10.0.0.1", 1, "write 10.0.0.1"},
	{"::ffff:cb00:7109", 1, "write 203.0.113.9"},
	{"\x1b[31m:", 1, "'\\x1b[31m:'"},
};

static void refuses_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(wrong_addresses); i++) {
		struct eg_error error = {};
		union eg_addr addr = {.bytes = {42}};
		__u8 family = 77;
		int result = eg_addr_parse(wrong_addresses[i].text, &family, &addr, &error);

		check_wrong(&wrong_addresses[i], result, &error);
		assert_int_equal(family, 77);
		assert_int_equal(addr.bytes[0], 42);
		assert_int_equal(eg_addr_parse(wrong_addresses[i].text, &family, &addr, NULL),
				 -EINVAL);
	}
}

static bool is_mapped(const __u8 bytes[16])
{
	static const __u8 start[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(bytes, start, sizeof(start)) == 0;
}

/* The C library's reader is the oracle: the same texts, the same bytes. */
static void reads_what_inet_pton_reads(void **state)
{
	static const char alphabet[] = "0123456789abcdefF:.::..%/g 10";
	unsigned int accepted = 0;

	(void)state;
	for (int round = 0; round < 400000; round++) {
		const char *seed = addresses[random_u32() % COUNT(addresses)].text;
		char text[64];
		union eg_addr addr = {};
		__u8 expected[16] = {};
		__u8 family;
		bool good;

		snprintf(text, sizeof(text), "%s", seed);
		for (uint32_t i = random_u32() % 4; i > 0; i--) {
			size_t len = strlen(text);
			size_t at = random_u32() % (len + 1);

			if (random_u32() % 2 && at < len)
				memmove(text + at, text + at + 1, len - at);
			else if (len + 1 < sizeof(text)) {
				memmove(text + at + 1, text + at, len - at + 1);
				text[at] = alphabet[random_u32() % (sizeof(alphabet) - 1)];
			}
		}
		good = inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, expected) == 1 &&
		       !(strchr(text, ':') && is_mapped(expected));
		if ((eg_addr_parse(text, &family, &addr, NULL) == 0) != good)
			fail_msg("'%s' should be %s", text, good ? "accepted" : "refused");
		if (good)
			assert_memory_equal(addr.bytes, expected, sizeof(expected));
		accepted += good;
	}
	assert_true(accepted > 10000);
}

/* --- prefixes --------------------------------------------------------------------------------- */

static const struct {
	const char *text;
	const char *normal;
	unsigned int len;
} prefixes[] = {
	{"10.0.0.0/8", "10.0.0.0/8", 8},
	{"10.0.0.5", "10.0.0.5", 32},
	{"10.0.0.5/32", "10.0.0.5", 32},
	{"0.0.0.0/0", "0.0.0.0/0", 0},
	{"128.0.0.0/1", "128.0.0.0/1", 1},
	{"198.51.100.254/31", "198.51.100.254/31", 31},
	{"::/0", "::/0", 0},
	{"fc00::/7", "fc00::/7", 7},
	{"FD00:EC2::/32", "fd00:ec2::/32", 32},
	{"fd00::1/128", "fd00::1", 128},
	{"2001:db8::fe/127", "2001:db8::fe/127", 127},
};

static void reads_prefixes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(prefixes); i++) {
		char got[EG_ERROR_LEN + 16];
		char text[EG_ADDRESS_TEXT_LEN];
		struct eg_error error = {};
		struct eg_prefix prefix;
		int result = eg_prefix_parse(prefixes[i].text, &prefix, &error);

		assert_string_equal(outcome(got, result, &error), "");
		assert_int_equal(prefix.len, prefixes[i].len);
		assert_string_equal(eg_prefix_format(text, &prefix), prefixes[i].normal);
	}
}

static const struct wrong wrong_prefixes[] = {
	{"", 1, "an address is missing"},
	{"/8", 1, "an address is missing"},
	{"10.0.0.0/", 10, "the prefix length is missing: a number from 0 to 32"},
	{"10.0.0.0/33", 10, "the prefix length '33' is not from 0 to 32"},
	{"10.0.0.0/4294967304", 10, "is not from 0 to 32"},
	{"fd00::/129", 8, "is not from 0 to 128"},
	{"10.0.0.0/08", 10, "leading zero"},
	{"10.0.0.0/+8", 10, "is not a number"},
	{"10.0.0.0/8 ", 11, "unexpected ' ' after the prefix length, '8'"},
	{"10.0.0.0/8, 192.168.0.0/16", 11, "unexpected ', 192.168.0.0/16'"},
	{"10.0.0.0/8/8", 11, "unexpected '/8'"},
	{"10.0.0.0/255.0.0.0", 10, "is a netmask: write its length, /8"},
	{"10.0.0.0/0.0.0.255", 11, "unexpected '.0.0.255'"},
	{"10.0.0.1/8", 1, "'10.0.0.1/8' has host bits set: the network is 10.0.0.0/8"},
	{"192.168.1.1/0", 1, "the network is 0.0.0.0/0"},
	{"10.0.0.1/31", 1, "the network is 10.0.0.0/31"},
	{"fd00::1/64", 1, "the network is fd00::/64"},
	{"fdff::/7", 1, "the network is fc00::/7"},
	{"::ffff:10.0.0.0/104", 1, "write 10.0.0.0/8"},
	{"::ffff:10.0.0.1", 1, "write 10.0.0.1"},
	{"::ffff:0:0/96", 1, "write 0.0.0.0/0"},
	{"192.168.1.1:53", 12, "has a port"},
	{"[fd00::1]:53", 1, "has brackets"},
	{"example.com", 1, "a host name cannot stand here"},
};

static void refuses_prefixes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(wrong_prefixes); i++) {
		struct eg_error error = {};
		struct eg_prefix prefix = {.len = 77};

		check_wrong(&wrong_prefixes[i],
			    eg_prefix_parse(wrong_prefixes[i].text, &prefix, &error), &error);
		assert_int_equal(prefix.len, 77);
	}
}

static void keeps_host_bits_where_asked(void **state)
{
	char text[EG_ADDRESS_TEXT_LEN];
	struct eg_prefix prefix;
	union eg_addr host;

	(void)state;
	assert_int_equal(eg_prefix_parse_host("10.2.0.9/16", &prefix, &host, NULL), 0);
	assert_string_equal(eg_prefix_format(text, &prefix), "10.2.0.0/16");
	assert_string_equal(eg_addr_format(text, EG_FAMILY_IPV4, &host), "10.2.0.9");
	assert_int_equal(eg_prefix_parse_host("fd00::9", &prefix, &host, NULL), 0);
	assert_string_equal(eg_prefix_format(text, &prefix), "fd00::9");
	assert_int_equal(eg_prefix_parse_host("::ffff:1.2.3.4/96", &prefix, &host, NULL), -EINVAL);
}

static void reads_back_what_the_kernel_said(void **state)
{
	struct eg_endpoint endpoint;
	struct eg_prefix prefix;
	char text[EG_ADDRESS_TEXT_LEN];

	(void)state;
	assert_int_equal(eg_prefix_parse_own("::ffff:1.2.3.4", &prefix, NULL), 0);
	assert_string_equal(eg_prefix_format(text, &prefix), "::ffff:1.2.3.4");
	assert_int_equal(eg_endpoint_parse_own("[::ffff:1.2.3.4]:5", &endpoint, NULL), 0);
	assert_string_equal(eg_endpoint_format(text, &endpoint), "[::ffff:1.2.3.4]:5");
	assert_int_equal(eg_endpoint_parse("[::ffff:1.2.3.4]:5", &endpoint, NULL), -EINVAL);
}

static struct eg_prefix random_prefix(void)
{
	struct eg_prefix prefix = {};
	unsigned int bits;

	prefix.family = random_u32() % 2 ? EG_FAMILY_IPV4 : EG_FAMILY_IPV6;
	bits = eg_family_bits(prefix.family);
	prefix.len = (__u8)(random_u32() % (bits + 1));
	/* few different bits, so that prefixes cover one another */
	for (unsigned int i = 0; i < prefix.len; i++) {
		if (random_u32() % 8 == 0)
			prefix.addr.bytes[i / 8] |= (__u8)(0x80 >> i % 8);
	}
	return prefix;
}

static bool bit_of(const union eg_addr *addr, unsigned int bit)
{
	return addr->bytes[bit / 8] & 0x80 >> bit % 8;
}

static void prefixes_relate(void **state)
{
	unsigned int covered = 0;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		struct eg_prefix a = random_prefix();
		struct eg_prefix b = random_prefix();
		char text[EG_ADDRESS_TEXT_LEN];
		struct eg_prefix again = {};
		bool same = a.family == b.family;

		for (unsigned int i = 0; same && i < a.len; i++)
			same = bit_of(&a.addr, i) == bit_of(&b.addr, i);
		assert_int_equal(eg_prefix_contains(&a, b.family, &b.addr), same);
		assert_int_equal(eg_prefix_covers(&a, &b), same && a.len <= b.len);
		covered += same && a.len && a.len <= b.len;
		assert_true(eg_prefix_covers(&a, &a));
		assert_int_equal(eg_prefix_compare(&a, &a), 0);
		assert_true((eg_prefix_compare(&a, &b) < 0) == (eg_prefix_compare(&b, &a) > 0));
		if (same && a.len < b.len)
			assert_true(eg_prefix_compare(&a, &b) < 0);
		assert_int_equal(eg_prefix_parse_own(eg_prefix_format(text, &a), &again, NULL), 0);
		assert_int_equal(eg_prefix_compare(&again, &a), 0);
	}
	assert_true(covered > 1000);
}

static int compare(const void *a, const void *b)
{
	return eg_prefix_compare(a, b);
}

/* What the compiler of policies needs: sorted, a prefix stands before all that it covers, and
 * nothing that it does not cover stands between. */
static void sorting_nests(void **state)
{
	struct eg_prefix sorted[300];

	(void)state;
	for (size_t i = 0; i < COUNT(sorted); i++)
		sorted[i] = random_prefix();
	qsort(sorted, COUNT(sorted), sizeof(sorted[0]), compare);
	for (size_t i = 0; i < COUNT(sorted); i++) {
		bool inside = true;

		for (size_t j = i + 1; j < COUNT(sorted); j++) {
			bool covers = eg_prefix_covers(&sorted[i], &sorted[j]);

			assert_false(covers && !inside);
			inside = covers;
		}
	}
}

/* --- rules ------------------------------------------------------------------------------------ */

static const struct {
	const char *text;
	const char *normal; /* NULL: the same */
	unsigned int len;
	unsigned int port;
	int proto;
} rules[] = {
	{"10.0.0.0/8", NULL, 8, 0, -1},
	{"10.0.0.5", NULL, 32, 0, -1},
	{"10.0.0.5/32", "10.0.0.5", 32, 0, -1},
	{"192.168.1.5:53", NULL, 32, 53, -1},
	{"192.168.1.5:53/udp", NULL, 32, 53, 17},
	{"192.168.1.5/32:53/17", "192.168.1.5:53/udp", 32, 53, 17},
	{"192.168.1.0/24:65535/tcp", NULL, 24, 65535, 6},
	{"10.0.0.5:1/sctp", NULL, 32, 1, 132},
	{"10.0.0.5:*", "10.0.0.5", 32, 0, -1},
	{"10.0.0.5:*/esp", NULL, 32, 0, 50},
	{"10.0.0.5:*/50", "10.0.0.5:*/esp", 32, 0, 50},
	{"10.0.0.5:*/tcp", NULL, 32, 0, 6},
	{"10.0.0.5:*/253", NULL, 32, 0, 253},
	{"10.0.0.5:*/0", NULL, 32, 0, 0},
	{"10.0.0.5:*/icmp", NULL, 32, 0, 1},
	{"240.0.0.0/4", NULL, 4, 0, -1},
	{"fc00::/7", NULL, 7, 0, -1},
	{"fd00::1", NULL, 128, 0, -1},
	{"FD00::1/128", "fd00::1", 128, 0, -1},
	{"fd00::1:53", NULL, 128, 0, -1}, /* an address: a port would need brackets */
	{"64:ff9b::10.0.0.1", "64:ff9b::a00:1", 128, 0, -1},
	{"[fd00::/8]:443/tcp", NULL, 8, 443, 6},
	{"[fd00::/8]:443", NULL, 8, 443, -1},
	{"[fd00::1/128]:443", "[fd00::1]:443", 128, 443, -1},
	{"[fd00::1]:*", "fd00::1", 128, 0, -1},
	{"[fd00::1]:*/esp", NULL, 128, 0, 50},
	{"[fd00::1]:*/icmpv6", NULL, 128, 0, 58},
	{"[1111:2222:3333:4444:5555:6666:7777:8880/124]:65535/sctp", NULL, 124, 65535, 132},
};

static void reads_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rules); i++) {
		const char *normal = rules[i].normal ? rules[i].normal : rules[i].text;
		char got[EG_ERROR_LEN + 16];
		char text[EG_ADDRESS_TEXT_LEN];
		struct eg_error error = {};
		struct eg_rule rule;
		int result = eg_rule_parse(rules[i].text, &rule, &error);

		assert_string_equal(outcome(got, result, &error), "");
		assert_int_equal(rule.prefix.len, rules[i].len);
		assert_int_equal(rule.port, rules[i].port);
		assert_int_equal(rule.proto, rules[i].proto);
		assert_string_equal(eg_rule_format(text, &rule), normal);
	}
}

static const struct wrong wrong_rules[] = {
	{"", 1, "an address is missing"},
	{"0.0.0.0/0", 1, "the guard is as good as off"},
	{"::/0", 1, "the guard is as good as off"},
	{"0.0.0.0/3", 1, "of IPv4 is at least /4"},
	{"128.0.0.0/1", 1, "of IPv4 is at least /4"},
	{"2000::/3", 1, "of IPv6 is at least /7"},
	{"fc00::/6", 1, "of IPv6 is at least /7"},
	{"0.0.0.0/0:443/tcp", 1, "the guard is as good as off"},
	{"[::/0]:443/tcp", 1, "the guard is as good as off"},
	{"10.0.0.1/8", 1, "the network is 10.0.0.0/8"},
	{"10.0.0.1/8:53/udp", 1, "the network is 10.0.0.0/8"},
	{"[fd00::1/8]:443", 2, "the network is fd00::/8"},
	{"10.0.0.5:", 10, "the port is missing"},
	{"10.0.0.5:0", 10, "the port '0' is not from 1 to 65535"},
	{"10.0.0.5:65536", 10, "the port '65536' is not from 1 to 65535"},
	{"10.0.0.5:99999999999999999999", 10, "is not from 1 to 65535"},
	{"10.0.0.5:053", 10, "leading zero"},
	{"10.0.0.5:00", 10, "leading zero"},
	{"10.0.0.5:-1", 10, "is not a number from 1 to 65535"},
	{"10.0.0.5:http", 10, "is not a number from 1 to 65535"},
	{"10.0.0.5:80-90", 12, "is a range of ports"},
	{"10.0.0.5:80,443", 12, "unexpected ',443' after the port, '80'"},
	{"10.0.0.5:80 ", 12, "unexpected ' '"},
	{"10.0.0.5:80/", 13, "the protocol is missing"},
	{"10.0.0.5:80/tpc", 13, "unknown protocol 'tpc': did you mean 'tcp'?"},
	{"10.0.0.5:80/TCP", 13, "did you mean 'tcp'?"},
	{"10.0.0.5:80/quicksilver", 13, "unknown protocol 'quicksilver': it is a name"},
	{"10.0.0.5:*/256", 12, "unknown protocol '256'"},
	{"10.0.0.5:*/06", 12, "unknown protocol '06'"},
	{"10.0.0.5:80/tcp/udp", 13, "unknown protocol 'tcp/udp'"},
	{"10.0.0.5:80/esp", 10, "'esp' has no ports to name: write *, as in ADDR:*/esp"},
	{"10.0.0.5/tcp", 9, "write 10.0.0.5:*/tcp"},
	{"fd00::1/tcp", 8, "write [fd00::1]:*/tcp"},
	{"10.0.0.5:*/icmpv6", 1, "the ICMP of IPv4 is icmp"},
	{"[fd00::1]:*/icmp", 1, "the ICMP of IPv6 is icmpv6"},
	{"[fd00::1:443", 1, "lacks the ']'"},
	{"[fd00::1]", 10, "brackets but no port: write fd00::1, or"},
	{"[fd00::]/8:443", 9, "stands inside the brackets"},
	{"[fd00::1]443", 10, "after ']' comes ':'"},
	{"[fd00::1]:", 11, "the port is missing"},
	{"[10.0.0.1]:53", 1, "which only an IPv6 address has"},
	{"[]:53", 2, "an address is missing"},
	{"[::ffff:10.0.0.1]:53", 2, "write 10.0.0.1"},
	{"fd00::/8:443", 1, "needs brackets"},
	{"fd00::1:*", 1, "needs brackets"},
	{"fd00::1]:443", 8, "is not an IPv4 or IPv6 address"},
	{"10.0.0.1:53:53", 12, "unexpected ':53' after the port"},
	{"example.com:443", 1, "a host name cannot stand here"},
	{"example.com", 1, "a host name cannot stand here"},
	{":53", 1, "an address is missing"},
	{"*:53", 1, "is not an IPv4 or IPv6 address"},
};

static void refuses_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(wrong_rules); i++) {
		struct eg_error error = {};
		struct eg_rule rule = {.port = 777};

		check_wrong(&wrong_rules[i], eg_rule_parse(wrong_rules[i].text, &rule, &error),
			    &error);
		assert_int_equal(rule.port, 777);
	}
}

static void names_protocols(void **state)
{
	(void)state;
	assert_string_equal(eg_proto_name(6), "tcp");
	assert_string_equal(eg_proto_name(58), "icmpv6");
	assert_null(eg_proto_name(253));
	for (int i = 0; i < 256; i++) {
		const char *name = eg_proto_name((__u8)i);
		char number[16];

		if (name)
			assert_int_equal(eg_proto_parse(name), i);
		snprintf(number, sizeof(number), "%d", i);
		assert_int_equal(eg_proto_parse(number), i);
	}
	assert_int_equal(eg_proto_parse(""), -EINVAL);
	assert_int_equal(eg_proto_parse("256"), -EINVAL);
	assert_int_equal(eg_proto_parse("-1"), -EINVAL);
	assert_int_equal(eg_proto_parse("TCP"), -EINVAL);
}

/* --- endpoints and ports ---------------------------------------------------------------------- */

static const struct {
	const char *text;
	const char *host; /* NULL: an address */
	unsigned int port;
} endpoints[] = {
	{"203.0.113.9:51820", NULL, 51820},
	{"[2001:db8::9]:1", NULL, 1},
	{"[2001:db8:1111:2222:3333:4444:5555:6666]:65535", NULL, 65535},
	{"vpn.example.com:51820", "vpn.example.com", 51820},
	{"vpn.example.com.:51820", "vpn.example.com.", 51820},
	{"localhost:1", "localhost", 1},
	{"a:1", "a", 1},
	{"xn--bcher-kva.example:443", "xn--bcher-kva.example", 443},
	{"1a.2b:7", "1a.2b", 7},
	{"host_1.example:7", "host_1.example", 7},
	{"1.2.3.4.example:7", "1.2.3.4.example", 7},
};

static void reads_endpoints(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(endpoints); i++) {
		char got[EG_ERROR_LEN + 16];
		char text[EG_ADDRESS_TEXT_LEN];
		struct eg_error error = {};
		struct eg_endpoint endpoint;
		int result = eg_endpoint_parse(endpoints[i].text, &endpoint, &error);

		assert_string_equal(outcome(got, result, &error), "");
		assert_int_equal(endpoint.port, endpoints[i].port);
		if (endpoints[i].host) {
			assert_int_equal(endpoint.family, EG_FAMILY_NONE);
			assert_string_equal(endpoint.host, endpoints[i].host);
		} else {
			assert_null(endpoint.host);
			assert_string_equal(eg_endpoint_format(text, &endpoint), endpoints[i].text);
		}
		free(endpoint.host);
	}
}

#define X63 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct wrong wrong_endpoints[] = {
	{"", 1, "an address is missing"},
	{"203.0.113.9", 12, "has no port: write ADDR:PORT"},
	{"vpn.example.com", 16, "has no port"},
	{"203.0.113.9:", 13, "the port is missing"},
	{"203.0.113.9:0", 13, "is not from 1 to 65535"},
	{"203.0.113.9:65536", 13, "is not from 1 to 65535"},
	{"203.0.113.9:51820 ", 18, "unexpected ' '"},
	{"203.0.113.9:51820/udp", 18, "unexpected '/udp'"},
	{":51820", 1, "an address is missing before the port"},
	{"203.0.113.256:51820", 11, "number over 255"},
	{"203.0.113:51820", 10, "3 of the four numbers"},
	{"0203.0.113.9:51820", 1, "leading zero"},
	{"3405803785:51820", 1, "number over 255"},
	{"0xcb007109:51820", 1, "ends in a number like an address"},
	{"0xcb.0x007109:51820", 1, "ends in a number like an address"},
	{"vpn.example.1:51820", 1, "ends in a number like an address"},
	{"2001:db8::9:51820", 1, "needs brackets"},
	{"[2001:db8::9:51820", 1, "lacks the ']'"},
	{"[2001:db8::9]", 14, "after ']' comes ':' and a port"},
	{"[2001:db8::9]51820", 14, "after ']' comes ':' and a port"},
	{"[2001:db8::9]:", 15, "the port is missing"},
	{"[203.0.113.9]:51820", 1, "which only an IPv6 address has"},
	{"[vpn.example]:51820", 2, "is not an IPv4 or IPv6 address"},
	{"[fe80::1%eth0]:51820", 9, "names a zone"},
	{"[::ffff:203.0.113.9]:51820", 2, "write 203.0.113.9"},
	{"a b:51820", 2, "neither an address nor a host name"},
	{"b\xc3\xbc"
	 "cher.example:51820",
	 2, "xn-- form"},
	{"a..b:51820", 3, "a part between dots is empty"},
	{".a:51820", 1, "a part between dots is empty"},
	{".:51820", 1, "a part between dots is empty"},
	{"-a.b:51820", 1, "starts or ends with '-'"},
	{"a.b-:51820", 3, "starts or ends with '-'"},
	{X63 "x.b:51820", 1, "longer than 63 bytes"},
	{X63 "." X63 "." X63 "." X63 ":51820", 1, "longer than 253 bytes"},
};

static void refuses_endpoints(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(wrong_endpoints); i++) {
		struct eg_error error = {};
		struct eg_endpoint endpoint = {.port = 777};

		check_wrong(&wrong_endpoints[i],
			    eg_endpoint_parse(wrong_endpoints[i].text, &endpoint, &error), &error);
		assert_int_equal(endpoint.port, 777);
	}
}

static void reads_ports(void **state)
{
	static const struct wrong wrong[] = {
		{"", 1, "the port is missing"}, {"0", 1, "not from 1"},
		{"65536", 1, "not from 1"},     {"01", 1, "leading zero"},
		{"1x", 2, "unexpected 'x'"},    {" 1", 1, "not a number"},
		{"+1", 1, "not a number"},      {"4294967297", 1, "not from 1"},
	};
	__u16 port = 0;

	(void)state;
	for (unsigned int i = 1; i <= 65535; i++) {
		char text[8];

		snprintf(text, sizeof(text), "%u", i);
		assert_int_equal(eg_port_parse(text, &port, NULL), 0);
		assert_int_equal(port, i);
	}
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct eg_error error = {};

		port = 7;
		check_wrong(&wrong[i], eg_port_parse(wrong[i].text, &port, &error), &error);
		assert_int_equal(port, 7);
	}
}

/* Whatever the text, a message stays printable and whole. */
static void messages_are_safe(void **state)
{
	static char text[5000];

	(void)state;
	for (int first = 1; first < 256; first++) {
		struct eg_error error = {};
		struct eg_endpoint endpoint;
		struct eg_rule rule;

		memset(text, first, sizeof(text) - 1);
		if (eg_rule_parse(text, &rule, &error) == 0 ||
		    eg_endpoint_parse(text, &endpoint, &error) == 0)
			fail_msg("a text of %d is accepted", first);
		for (size_t i = 0; error.message[i]; i++)
			assert_true((unsigned char)error.message[i] >= 0x20 &&
				    (unsigned char)error.message[i] < 0x7f);
		assert_true(strlen(error.message) < 600);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_addresses),
		cmocka_unit_test(refuses_addresses),
		cmocka_unit_test(reads_what_inet_pton_reads),
		cmocka_unit_test(reads_prefixes),
		cmocka_unit_test(refuses_prefixes),
		cmocka_unit_test(keeps_host_bits_where_asked),
		cmocka_unit_test(reads_back_what_the_kernel_said),
		cmocka_unit_test(prefixes_relate),
		cmocka_unit_test(sorting_nests),
		cmocka_unit_test(reads_rules),
		cmocka_unit_test(refuses_rules),
		cmocka_unit_test(names_protocols),
		cmocka_unit_test(reads_endpoints),
		cmocka_unit_test(refuses_endpoints),
		cmocka_unit_test(reads_ports),
		cmocka_unit_test(messages_are_safe),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
