// SPDX-License-Identifier: GPL-2.0
/* What is wider than what, and how it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "packets.h"
#include "policy/explain.h"
#include "policy/image.h"
#include "util/cleanup.h"

static struct eg_image_diff compare(const char *from_text, const char *to_text)
{
	EG_AUTO_IMAGE struct eg_image *from = packets_image(from_text);
	EG_AUTO_IMAGE struct eg_image *to = packets_image(to_text);
	struct eg_image_diff diff;

	assert_int_equal(eg_image_compare(from, to, &diff), 0);
	return diff;
}

static const char *text_of(const struct eg_text *text)
{
	return text->data ? text->data : "";
}

/* `widened` lines one way are what is wider; the other way they are `narrowed`. */
static void check(const char *from, const char *to, const char *widened, const char *narrowed)
{
	struct eg_image_diff diff = compare(from, to);

	assert_string_equal(text_of(&diff.widened), widened);
	assert_string_equal(text_of(&diff.narrowed), narrowed);
	assert_int_equal(diff.wider, *widened != '\0');
	assert_int_equal(diff.same, false);
	eg_image_diff_free(&diff);
}

static void check_same(const char *from, const char *to)
{
	struct eg_image_diff diff = compare(from, to);

	assert_string_equal(text_of(&diff.widened), "");
	assert_string_equal(text_of(&diff.narrowed), "");
	assert_true(diff.same);
	assert_false(diff.wider);
	eg_image_diff_free(&diff);
}

static void test_same(void **state)
{
	(void)state;
	check_same("", "");
	check_same("[Lan]\nAllow = 203.0.113.0/24\nAllow = 203.0.113.9:80\n",
		   "[Lan]\nAllow = 203.0.113.0/24\n");
	check_same("[Lan]\nAllow = 203.0.113.9:80\n",
		   "[Lan]\nAllow = 203.0.113.9:80/udp\nAllow = 203.0.113.9:80/tcp\n");
	check_same("[Lan]\nLan = no\n", "[Lan]\nLan = no\n[Derived]\nOnLink = 10.0.0.0/8\n");
	/* inside the LAN it changes nothing */
	check_same("", "[Lan]\nAllow = 192.168.1.5:443\n");
	check_same("", "[Derived]\nSource = 172.18.0.2\n");
}

/* There and back. */
static void check_both(const char *narrow, const char *wide, const char *widened,
		       const char *narrowed)
{
	check(narrow, wide, widened, "");
	check(wide, narrow, "", narrowed);
}

#define NAMES(dns, name)                                                                           \
	"[Lan]\nDns = tunnel\n[WireGuard]\nBootstrapDns = " dns                                    \
	"\n[Derived]\nEndpointName = " name ":51820\n"
#define NO_NAMES "[Lan]\nDns = tunnel\n"

static void test_names(void **state)
{
	(void)state;
	check_both(NO_NAMES, NAMES("203.0.113.53", "vpn.example.com"),
		   "allows asking for the name vpn.example.com\n"
		   "allows asking 203.0.113.53 for the endpoints' names\n",
		   "no longer allows asking for the name vpn.example.com\n"
		   "no longer allows asking 203.0.113.53 for the endpoints' names\n");
	check(NAMES("203.0.113.53", "vpn.example.com"), NAMES("203.0.113.53", "vpn.example.org"),
	      "allows asking for the name vpn.example.org\n",
	      "no longer allows asking for the name vpn.example.com\n");
	check(NAMES("203.0.113.53", "vpn.example.com"), NAMES("fd00::53", "vpn.example.com"),
	      "allows asking fd00::53 for the endpoints' names\n",
	      "no longer allows asking 203.0.113.53 for the endpoints' names\n");
	check_same(NAMES("203.0.113.53", "vpn.example.com"),
		   NAMES("203.0.113.53", "VPN.example.com."));
	/* one is nothing without the other */
	check_same(NO_NAMES, "[Lan]\nDns = tunnel\n[WireGuard]\nBootstrapDns = 203.0.113.53\n");
	check_same("", "[Derived]\nEndpointName = vpn.example.com:51820\n");
	/* other DNS is for the tunnel then */
	check("[Lan]\nDns = lan\n", "[WireGuard]\nBootstrapDns = 203.0.113.53\n", "",
	      "DNS: through the tunnel only\n");
}

static void test_prefixes(void **state)
{
	(void)state;
	check_both("", "[Lan]\nAllow = 100.64.0.0/10\n", "allows 100.64.0.0/10\n",
		   "no longer allows 100.64.0.0/10\n");
	check_both("[Lan]\nLan = no\n", "",
		   "allows 10.0.0.0/8\nallows 172.16.0.0/12\nallows 192.168.0.0/16\n"
		   "allows fc00::/7\n",
		   "no longer allows 10.0.0.0/8\nno longer allows 172.16.0.0/12\n"
		   "no longer allows 192.168.0.0/16\nno longer allows fc00::/7\n");
	check_both("[Lan]\nDeny = 192.168.1.1\n", "", "no longer denies 192.168.1.1\n",
		   "denies 192.168.1.1\n");
	check_both("[Derived]\nTunnelOnly = 10.2.0.0/24\n", "",
		   "10.2.0.0/24 may be reached outside the tunnel\n",
		   "10.2.0.0/24 may be reached through the tunnel only\n");
	check_both("[Derived]\nTunnelOnly = 10.2.0.0/24\n",
		   "[Lan]\nAllow = 10.2.0.7\n[Derived]\nTunnelOnly = 10.2.0.0/24\n",
		   "10.2.0.7 may be reached outside the tunnel\n",
		   "10.2.0.7 may be reached through the tunnel only\n");
	check_both("", "[Lan]\nAllow = 192.0.0.0/4\nAllow = 203.0.113.9\n", "allows 192.0.0.0/4\n",
		   "no longer allows 192.0.0.0/4\n");
	/* what other lists say of places inside does not repeat the line */
	check_both("[Derived]\nSource = 203.0.113.9\n",
		   "[Lan]\nAllow = 203.0.113.0/24\n[Derived]\nSource = 203.0.113.9\n",
		   "allows 203.0.113.0/24\n", "no longer allows 203.0.113.0/24\n");
	check_both("", "[Lan]\nAllowMulticast = yes\n",
		   "allows 224.0.0.0/24\nallows 239.0.0.0/8\nallows ff01::/16\nallows ff02::/16\n"
		   "allows ff03::/16\nallows ff04::/16\nallows ff05::/16\n",
		   "no longer allows 224.0.0.0/24\nno longer allows 239.0.0.0/8\n"
		   "no longer allows ff01::/16\nno longer allows ff02::/16\n"
		   "no longer allows ff03::/16\nno longer allows ff04::/16\n"
		   "no longer allows ff05::/16\n");
	/* public, and denied on top of it: neither passes */
	check("", "[Lan]\nDeny = 203.0.113.9\n", "", "");
}

static void test_rules(void **state)
{
	(void)state;
	check_both("", "[Lan]\nAllow = 203.0.113.9:443\n", "allows 203.0.113.9:443\n",
		   "no longer allows 203.0.113.9:443\n");
	check_both("", "[Lan]\nAllow = 203.0.113.9:443/tcp\n", "allows 203.0.113.9:443/tcp\n",
		   "no longer allows 203.0.113.9:443/tcp\n");
	check_both("[Lan]\nAllow = 203.0.113.9:443/tcp\n", "[Lan]\nAllow = 203.0.113.9:443\n",
		   "allows 203.0.113.9:443/udp\n", "no longer allows 203.0.113.9:443/udp\n");
	check_both("", "[Lan]\nAllow = 203.0.113.9:*/tcp\n", "allows 203.0.113.9:*/tcp\n",
		   "no longer allows 203.0.113.9:*/tcp\n");
	check_both("", "[Lan]\nAllow = [fd00::5]:*/esp\n", "allows [fd00::5]:*/esp\n",
		   "no longer allows [fd00::5]:*/esp\n");
	check_both("[Lan]\nAllow = 203.0.113.9:443\n", "[Lan]\nAllow = 203.0.113.9\n",
		   "allows 203.0.113.9\n", "no longer allows 203.0.113.9\n");
	/* set ids say nothing: the one for .9 is 1 here and 2 there */
	check("[Lan]\nAllow = 203.0.113.9:443\n",
	      "[Lan]\nAllow = 203.0.113.8:80\nAllow = 203.0.113.9:443\n", "allows 203.0.113.8:80\n",
	      "");
	check("[Lan]\nAllow = 203.0.113.8:80\n", "[Lan]\nAllow = 203.0.113.8:443\n",
	      "allows 203.0.113.8:443\n", "no longer allows 203.0.113.8:80\n");
}

static void test_dns(void **state)
{
	(void)state;
	check_both("[Lan]\nDns = tunnel\n", "[Lan]\nDns = lan\n",
		   "DNS: queries to allowed addresses pass off the tunnel\n",
		   "DNS: through the tunnel only\n");
	check_both("[Lan]\nDns = tunnel\n", "[Lan]\nDns = tunnel\nAllowDns = 192.168.1.5\n",
		   "allows DNS queries to 192.168.1.5\n",
		   "no longer allows DNS queries to 192.168.1.5\n");
	check("[Derived]\nDnsServers = yes\n", "",
	      "DNS: queries to allowed addresses pass off the tunnel\n", "");
}

static void test_switches(void **state)
{
	(void)state;
	check_both("", "[Guard]\nMode = audit\n", "audit: drops pass\n",
		   "enforce: drops are drops\n");
	check_both("", "[Lan]\nAllowDhcp = yes\n", "allows DHCP\n", "no longer allows DHCP\n");
	check_both("[Derived]\nOnLink = 198.51.100.0/24\n",
		   "[Lan]\nAllowDhcp = yes\n[Derived]\nOnLink = 198.51.100.0/24\n", "allows DHCP\n",
		   "no longer allows DHCP\n");
	check_both("[Lan]\nAllowDhcp = yes\n",
		   "[Lan]\nAllowDhcp = yes\n[Derived]\nOnLink = 198.51.100.0/24\n",
		   "allows DHCP with 198.51.100.0/24\n",
		   "no longer allows DHCP with 198.51.100.0/24\n");
	/* in the LAN, only a packet without a source yet makes the difference */
	check_both("[Lan]\nAllowDhcp = yes\n",
		   "[Lan]\nAllowDhcp = yes\n[Derived]\nOnLink = 10.0.0.0/24\n",
		   "allows DHCP with 10.0.0.0/24\n", "no longer allows DHCP with 10.0.0.0/24\n");
	check_both("", "[WireGuard]\nEndpointShape = any\n",
		   "packets to an endpoint may have any payload\n",
		   "packets to an endpoint must look like WireGuard\n");
	check_both("[WireGuard]\nSourcePort = 51820\n", "",
		   "WireGuard's own port is no longer pinned to 51820\n",
		   "WireGuard's own port is pinned to 51820\n");
	check("[WireGuard]\nSourcePort = 51820\n", "[WireGuard]\nSourcePort = 51821\n",
	      "WireGuard's own port is pinned to 51821\n", "");
}

static void test_addresses(void **state)
{
	(void)state;
	check_both("", "[Derived]\nSource = 198.51.100.2\n",
		   "packets with the source address 198.51.100.2 may leave\n",
		   "packets with the source address 198.51.100.2 may no longer leave\n");
	check_both("", "[Derived]\nOnLink = 2001:db8:1::/64\n",
		   "allows neighbour discovery and multicast membership with 2001:db8:1::/64\n",
		   "no longer allows neighbour discovery and multicast membership with "
		   "2001:db8:1::/64\n");
}

static void test_endpoints(void **state)
{
	(void)state;
	check_both("", "[WireGuard]\nEndpoint = 203.0.113.9:51820\n",
		   "allows WireGuard to 203.0.113.9:51820\n",
		   "no longer allows WireGuard to 203.0.113.9:51820\n");
	check("[WireGuard]\nEndpoint = 203.0.113.9:51820\n",
	      "[WireGuard]\nEndpoint = 203.0.113.9:51821\n",
	      "allows WireGuard to 203.0.113.9:51821\n",
	      "no longer allows WireGuard to 203.0.113.9:51820\n");
	/* in the LAN an endpoint takes away what is not WireGuard, and its loss gives that back */
	check_both("[WireGuard]\nEndpoint = 192.168.1.9:51820\n", "",
		   "allows UDP to 192.168.1.9 that is not WireGuard's\n",
		   "no longer allows UDP to 192.168.1.9 that is not WireGuard's\n");
}

static void test_many_lines(void **state)
{
	EG_AUTO_TEXT struct eg_text text = {};
	struct eg_image_diff diff;
	size_t lines = 0;

	(void)state;
	eg_text_printf(&text, "[Lan]\n");
	for (int i = 0; i < 80; i++)
		eg_text_printf(&text, "Allow = 203.0.113.%d\n", 2 * i);
	diff = compare("", text.data);
	for (const char *at = diff.widened.data; *at; at++)
		lines += *at == '\n';
	assert_int_equal(lines, 51);
	assert_non_null(strstr(diff.widened.data, "\nand 30 more\n"));
	eg_image_diff_free(&diff);
}

/* --- at random -------------------------------------------------------------------------------- */

static bool passes(const struct eg_image *image, const struct packets_frame *frame)
{
	struct eg_packet packet;

	return eg_reason_verdict(eg_image_judge(image, &frame->host, &packet)) == EG_VERDICT_ALLOW;
}

static void fail_pair(const struct eg_policy *from, const struct eg_policy *to, const char *what)
{
	EG_AUTO_FREE char *before = eg_policy_format(from, true);
	EG_AUTO_FREE char *after = eg_policy_format(to, true);

	fail_msg("%s\n--- from\n%s\n--- to\n%s", what, before, after);
}

static void check_pair(struct packets_random *random, const struct eg_policy *from,
		       const struct eg_policy *to, unsigned long counts[3])
{
	static struct packets_frame frame;
	EG_AUTO_IMAGE struct eg_image *before = packets_compile(from);
	EG_AUTO_IMAGE struct eg_image *after = packets_compile(to);
	struct eg_image_diff diff;
	bool gained = false, lost = false;

	assert_int_equal(eg_image_compare(before, after, &diff), 0);
	for (int i = 0; i < 60; i++) {
		bool old, new;

		packets_random_frame(random, i % 2 ? from : to, PACKETS_ALL & ~PACKETS_BIG, &frame);
		old = passes(before, &frame);
		new = passes(after, &frame);
		gained |= new && !old;
		lost |= old && !new;
	}
	if (gained && !diff.wider)
		fail_pair(from, to, "not wider, but a packet passes that did not");
	if (diff.same && (gained || lost))
		fail_pair(from, to, "the same, but a packet is judged otherwise");
	if (diff.wider != (diff.widened.len != 0))
		fail_pair(from, to, "wider and its lines disagree");
	if (lost && !diff.narrowed.len)
		fail_pair(from, to, "a packet no longer passes, and no line says so");
	if (diff.same && diff.wider)
		fail_pair(from, to, "the same and wider");
	counts[0] += diff.same;
	counts[1] += diff.wider;
	counts[2] += diff.wider && !gained;
	eg_image_diff_free(&diff);
}

static void test_random(void **state)
{
	const char *seed = getenv("EG_SEED");
	struct packets_random random = {.state = seed ? strtoull(seed, NULL, 0) : 11};
	unsigned long counts[3] = {};

	(void)state;
	for (int i = 0; i < 4000; i++) {
		EG_AUTO_POLICY struct eg_policy *from = packets_random_policy(&random);
		EG_AUTO_POLICY struct eg_policy *to = packets_copy_policy(from);

		for (__u32 j = packets_below(&random, 4); j; j--)
			packets_change_policy(&random, to);
		check_pair(&random, from, to, counts);
	}
	print_message("4000 pairs: %lu the same, %lu wider, of which %lu without a packet to "
		      "show for it\n",
		      counts[0], counts[1], counts[2]);
	assert_true(counts[0] > 1000 && counts[1] > 500 && counts[1] < 2000);
}

/* --- size ------------------------------------------------------------------------------------- */

static void test_many_prefixes(void **state)
{
	EG_AUTO_TEXT struct eg_text text = {};

	(void)state;
	eg_text_printf(&text, "[Lan]\n");
	for (int i = 0; i < 100000; i++)
		eg_text_printf(&text, "Allow = %d.%d.%d.0/24\n", 20 + i / 40000, i / 200 % 200,
			       i % 200);
	EG_AUTO_IMAGE struct eg_image *small = packets_image("");
	EG_AUTO_IMAGE struct eg_image *big = packets_image(text.data);
	struct eg_image_diff diff;

	assert_int_equal(eg_image_compare(small, big, &diff), 0);
	assert_true(diff.wider);
	assert_non_null(strstr(diff.widened.data, "and 99950 more\n"));
	eg_image_diff_free(&diff);
	assert_int_equal(eg_image_compare(big, big, &diff), 0);
	assert_true(diff.same);
	eg_image_diff_free(&diff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),          cmocka_unit_test(test_names),
		cmocka_unit_test(test_prefixes),      cmocka_unit_test(test_rules),
		cmocka_unit_test(test_dns),           cmocka_unit_test(test_switches),
		cmocka_unit_test(test_addresses),     cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_many_lines),    cmocka_unit_test(test_random),
		cmocka_unit_test(test_many_prefixes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
