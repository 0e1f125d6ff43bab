// SPDX-License-Identifier: GPL-2.0
/* `explain`: the question's text, and what it answers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eg_packet.h"
#include "packets.h"
#include "policy/address.h"
#include "policy/explain.h"
#include "util/cleanup.h"

static const char policy_text[] = "[Lan]\n"
				  "Allow = 100.64.0.0/10\n"
				  "Allow = 198.51.100.0/24:443\n"
				  "Allow = 192.168.1.6:*/esp\n"
				  "Allow = 10.2.0.8:80/tcp\n"
				  "Deny = 192.168.1.0/28\n"
				  "Deny = 192.168.1.99\n"
				  "Dns = tunnel\n"
				  "AllowDns = 192.168.1.50\n"
				  "AllowDns = 9.9.9.9\n"
				  "AllowDhcp = yes\n"
				  "[WireGuard]\n"
				  "Endpoint = 203.0.113.9:51820\n"
				  "[Derived]\n"
				  "Endpoint = [2001:db8::9]:51820\n"
				  "TunnelOnly = 10.2.0.0/24\n"
				  "TunnelOnly = 10.64.0.1\n";

static struct eg_explanation explain(const char *text, const char *proto, const char *dest)
{
	EG_AUTO_POLICY struct eg_policy *policy = packets_policy(text);
	EG_AUTO_IMAGE struct eg_image *image = NULL;
	struct eg_explanation explanation;
	struct eg_question question;
	struct eg_error error = {};

	if (eg_image_compile(policy, &image, &error) < 0)
		fail_msg("%s", error.message);
	if (eg_question_parse(proto, dest, &question, &error) < 0)
		fail_msg("%s", error.message);
	eg_explain(policy, image, &question, &explanation);
	return explanation;
}

struct answer {
	const char *proto;
	const char *dest;
	enum eg_reason reason;
	unsigned int row;
	const char *why;  /* the whole of it */
	const char *hint; /* a part of it, "" for none */
};

static const struct answer answers[] = {
	{"wireguard", "203.0.113.9:51820", EG_REASON_ENDPOINT, 7,
	 "203.0.113.9:51820 is an endpoint of WireGuard (from the policy)", ""},
	{"wireguard", "[2001:db8::9]:51820", EG_REASON_ENDPOINT, 7,
	 "[2001:db8::9]:51820 is an endpoint of WireGuard (from the tunnel, at attach)", ""},
	{"udp", "203.0.113.9:51820", EG_REASON_NOT_WIREGUARD, 8,
	 "203.0.113.9:51820 is an endpoint of WireGuard (from the policy), and this packet is not "
	 "WireGuard's",
	 "--endpoint-shape any"},
	{"tcp", "10.2.0.8:443", EG_REASON_TUNNEL_ONLY, 9,
	 "10.2.0.8 is inside 10.2.0.0/24 (tunnel-only, by the tunnel's configuration)",
	 "--allow 10.2.0.8"},
	{"udp", "10.64.0.1:53", EG_REASON_TUNNEL_ONLY, 9,
	 "10.64.0.1 is tunnel-only, by the tunnel's configuration", "--allow 10.64.0.1"},
	{"tcp", "10.2.0.8:80", EG_REASON_LAN, 14, "10.2.0.8 is inside 10.0.0.0/8 (LAN)", ""},
	{"udp", "255.255.255.255:67", EG_REASON_CONTROL, 10,
	 "it is DHCP, and the policy allows that (--allow-dhcp)", ""},
	{"igmp", "224.0.0.22", EG_REASON_CONTROL, 10,
	 "it tells the routers of the link which multicast groups are wanted", ""},
	{"tcp", "192.168.1.1:80", EG_REASON_DENIED, 11,
	 "192.168.1.1 is inside 192.168.1.0/28 (denied by --deny 192.168.1.0/28)", ""},
	{"tcp", "192.168.1.99:80", EG_REASON_DENIED, 11,
	 "192.168.1.99 is denied by --deny 192.168.1.99", ""},
	{"udp", "192.168.1.40:53", EG_REASON_DNS_OFF_TUNNEL, 12,
	 "port 53 is DNS, 192.168.1.40 is off the tunnel, and the policy says Dns = tunnel",
	 "--allow-dns 192.168.1.40"},
	{"gre", "192.168.1.40", EG_REASON_PROTOCOL, 13,
	 "gre is neither TCP, UDP nor ICMP, and no --allow lists it for 192.168.1.40",
	 "--allow 192.168.1.40:*/gre"},
	{"199", "fd00::7", EG_REASON_PROTOCOL, 13,
	 "protocol 199 is neither TCP, UDP nor ICMPv6, and no --allow lists it for fd00::7",
	 "--allow [fd00::7]:*/199"},
	{"tcp", "192.168.1.40:80", EG_REASON_LAN, 14, "192.168.1.40 is inside 192.168.0.0/16 (LAN)",
	 ""},
	{"udp", "192.168.1.50:53", EG_REASON_LAN, 14, "192.168.1.50 is inside 192.168.0.0/16 (LAN)",
	 ""},
	{"icmp", "100.64.1.2", EG_REASON_RULE, 14,
	 "100.64.1.2 is inside 100.64.0.0/10 (allowed by --allow 100.64.0.0/10)", ""},
	{"tcp", "198.51.100.7:443", EG_REASON_RULE, 14,
	 "198.51.100.7 is inside 198.51.100.0/24 (allowed by --allow 198.51.100.0/24:443)", ""},
	{"esp", "192.168.1.6", EG_REASON_DENIED, 11,
	 "192.168.1.6 is inside 192.168.1.0/28 (denied by --deny 192.168.1.0/28)", ""},
	{"udp", "9.9.9.9:853", EG_REASON_RULE, 14,
	 "9.9.9.9 may be asked for DNS (--allow-dns 9.9.9.9)", ""},
	{"udp", "224.0.0.251:5353", EG_REASON_MULTICAST, 15,
	 "224.0.0.251 is a multicast group, and outside the tunnel no --allow covers it",
	 "--allow-multicast"},
	{"udp", "232.1.1.1:5353", EG_REASON_MULTICAST, 15,
	 "232.1.1.1 is a multicast group, and outside the tunnel no --allow covers it", ""},
	{"udp", "255.255.255.255:9", EG_REASON_BROADCAST, 15,
	 "255.255.255.255 is the limited broadcast address, and outside the tunnel no --allow "
	 "covers it",
	 "--allow-dhcp"},
	{"tcp", "169.254.169.254:80", EG_REASON_PRIVATE, 16,
	 "169.254.169.254 is a link-local or shared address, which is not LAN, and no --allow "
	 "covers it",
	 "cloud metadata"},
	{"tcp", "[fd00:ec2::254]:80", EG_REASON_PRIVATE, 16,
	 "fd00:ec2::254 is inside fd00:ec2::/32, where cloud metadata lives, which is never LAN, "
	 "and no --allow covers it",
	 "cloud metadata"},
	{"icmpv6", "fe80::7", EG_REASON_PRIVATE, 16,
	 "fe80::7 is a link-local or shared address, which is not LAN, and no --allow covers it",
	 "fe80::/10"},
	{"tcp", "198.18.0.5:80", EG_REASON_PUBLIC, 17,
	 "198.18.0.5 is a public address, and outside the tunnel no --allow covers it",
	 "--allow 198.18.0.0/15"},
	{"tcp", "198.51.100.7:80", EG_REASON_PUBLIC, 17,
	 "198.51.100.7 is a public address, and outside the tunnel no --allow covers it at this "
	 "port and protocol",
	 "--allow 198.51.100.7:80/tcp"},
	{"tcp", "2606:4700::1111", EG_REASON_PUBLIC, 17,
	 "2606:4700::1111 is a public address, and outside the tunnel no --allow covers it",
	 "--allow [2606:4700::1111]:*/tcp"},
	{"tcp", "[2606:4700::1111]:443", EG_REASON_PUBLIC, 17,
	 "2606:4700::1111 is a public address, and outside the tunnel no --allow covers it",
	 "--allow [2606:4700::1111]:443/tcp"},
	{"icmp", "198.51.100.7", EG_REASON_PUBLIC, 17,
	 "198.51.100.7 is a public address, and outside the tunnel no --allow covers it at this "
	 "port "
	 "and protocol",
	 "--allow 198.51.100.7:*/icmp"},
	{"udp", "192.0.2.7:51820", EG_REASON_PUBLIC, 17,
	 "192.0.2.7 is a public address, and outside the tunnel no --allow covers it",
	 "--endpoint 192.0.2.7:51820; to let anything leave to it in the clear: --allow "
	 "192.0.2.7:51820/udp"},
	{"wireguard", "[2606:4700::1111]:2408", EG_REASON_PUBLIC, 17,
	 "2606:4700::1111 is a public address, and outside the tunnel no --allow covers it",
	 "--endpoint [2606:4700::1111]:2408"},
	{"udp", "127.0.0.11:53", EG_REASON_LOOPBACK, 0,
	 "127.0.0.11 is the namespace's own loopback", "Docker"},
	{"tcp", "[::1]:80", EG_REASON_LOOPBACK, 0, "::1 is the namespace's own loopback", ""},
};

static void check_answer(const char *policy, const struct answer *answer)
{
	struct eg_explanation got = explain(policy, answer->proto, answer->dest);

	if (got.reason != answer->reason)
		fail_msg("%s %s: %s, expected %s", answer->proto, answer->dest,
			 eg_reason_names[got.reason], eg_reason_names[answer->reason]);
	assert_int_equal(got.row, answer->row);
	assert_string_equal(got.why, answer->why);
	if (*answer->hint ? !strstr(got.hint, answer->hint) : *got.hint != '\0')
		fail_msg("%s %s: hint '%s' is not about '%s'", answer->proto, answer->dest,
			 got.hint, answer->hint);
	assert_int_equal(got.verdict, eg_reason_verdict(answer->reason));
}

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		check_answer(policy_text, &answers[i]);
}

static void test_other_policies(void **state)
{
	static const struct answer no_lan = {
		"tcp",
		"10.1.1.1:80",
		EG_REASON_PRIVATE,
		16,
		"10.1.1.1 would be LAN, but the policy says --no-lan, and no --allow covers it",
		"--allow that subnet",
	};
	static const struct answer leak = {
		"udp",
		"192.168.1.1:53",
		EG_REASON_LAN_DNS,
		14,
		"192.168.1.1 is inside 192.168.0.0/16 (LAN; as DNS, it shows the LAN which names "
		"are asked for)",
		"--dns tunnel",
	};
	static const struct answer automatic = {
		"udp",
		"192.168.1.1:53",
		EG_REASON_DNS_OFF_TUNNEL,
		12,
		"port 53 is DNS, 192.168.1.1 is off the tunnel, and the policy says Dns = auto, "
		"which means tunnel, as the tunnel's configuration names DNS servers",
		"--allow-dns 192.168.1.1",
	};
	static const struct answer multicast = {
		"udp",
		"[ff02::fb]:5353",
		EG_REASON_RULE,
		14,
		"ff02::fb is inside ff02::/16 (allowed by --allow-multicast)",
		"",
	};
	static const struct answer tailscale = {
		"tcp",
		"100.100.100.100:80",
		EG_REASON_PRIVATE,
		16,
		"100.100.100.100 is a link-local or shared address, which is not LAN, and no "
		"--allow covers it",
		"Tailscale? --allow 100.64.0.0/10",
	};
	static const struct answer pinned = {
		"wireguard",
		"203.0.113.9:51820",
		EG_REASON_ENDPOINT,
		7,
		"203.0.113.9:51820 is an endpoint of WireGuard (from the policy)",
		"",
	};

	(void)state;
	check_answer("[Lan]\nLan = no\n", &no_lan);
	check_answer("", &leak);
	check_answer("[Derived]\nDnsServers = yes\n", &automatic);
	check_answer("[Lan]\nAllowMulticast = yes\n", &multicast);
	check_answer("", &tailscale);
	check_answer("[WireGuard]\nSourcePort = 51821\nEndpoint = 203.0.113.9:51820\n", &pinned);
}

static void test_names_of_endpoints(void **state)
{
	static const char text[] =
		"[WireGuard]\nBootstrapDns = 203.0.113.53\nBootstrapDns = fd00::53\n[Derived]\n"
		"EndpointName = VPN.example.com:51820\nEndpointName = b.example.com:51820\n";
	struct eg_explanation explanation = explain(text, "bootstrap", "203.0.113.53");

	(void)state;
	assert_int_equal(explanation.reason, EG_REASON_BOOTSTRAP_DNS);
	assert_int_equal(explanation.row, 12);
	assert_string_equal(
		explanation.why,
		"203.0.113.53 is a resolver of --bootstrap-dns, and may be asked for the "
		"address of b.example.com or vpn.example.com, and nothing else, while "
		"there is no recent handshake");
	assert_int_equal(explain(text, "bootstrap", "[fd00::53]:53").reason,
			 EG_REASON_BOOTSTRAP_DNS);
	assert_int_equal(explain(text, "bootstrap", "203.0.113.53:54").reason, EG_REASON_PUBLIC);
	explanation = explain(text, "bootstrap", "203.0.113.54");
	assert_int_equal(explanation.reason, EG_REASON_DNS_OFF_TUNNEL);
	assert_non_null(strstr(explanation.hint, "--bootstrap-dns 203.0.113.54"));
	explanation = explain(text, "udp", "203.0.113.53:53");
	assert_int_equal(explanation.reason, EG_REASON_DNS_OFF_TUNNEL);
	assert_non_null(strstr(explanation.why, "as there is a BootstrapDns"));
	assert_int_equal(explain("", "bootstrap", "192.168.1.1").reason, EG_REASON_LAN_DNS);
}

static void test_audit(void **state)
{
	struct eg_explanation drop = explain("[Guard]\nMode = audit\n", "tcp", "9.9.9.9:80");
	struct eg_explanation allow = explain("[Guard]\nMode = audit\n", "tcp", "10.1.1.1:80");

	(void)state;
	assert_int_equal(drop.reason, EG_REASON_PUBLIC);
	assert_int_equal(drop.verdict, EG_VERDICT_WOULD_DROP);
	assert_int_equal(allow.verdict, EG_VERDICT_ALLOW);
}

/* The same packet as a frame must meet the same row. */
static void test_same_as_frames(void **state)
{
	static struct packets_frame frame;
	struct packets_random random = {.state = 5};
	static const __u8 protos[] = {EG_PROTO_TCP, EG_PROTO_UDP, EG_PROTO_SCTP, 50};

	(void)state;
	for (int i = 0; i < 20000; i++) {
		EG_AUTO_POLICY struct eg_policy *policy = packets_random_policy(&random);
		EG_AUTO_IMAGE struct eg_image *image = NULL;
		struct eg_question question = {.family = i % 2 ? EG_FAMILY_IPV4 : EG_FAMILY_IPV6};
		struct packets_sketch sketch = {.family = question.family, .sport = 40000};
		struct eg_explanation explanation;
		struct eg_packet packet;

		assert_int_equal(eg_image_compile(policy, &image, NULL), 0);
		question.proto = protos[packets_below(&random, 4)];
		question.dst = packets_random_addr(&random, policy, question.family);
		question.dport = question.proto == 50 ? 0 : (__u16)(i % 3 ? 53 : 51820);
		eg_explain(policy, image, &question, &explanation);
		if (explanation.reason == EG_REASON_LOOPBACK)
			continue;
		sketch.src = question.family == EG_FAMILY_IPV4 ? "169.254.0.1" : "fe80::1";
		sketch.dst_addr = question.dst;
		sketch.proto = question.proto;
		sketch.dport = question.dport;
		packets_build(&sketch, &frame);
		assert_int_equal(eg_image_judge(image, &frame.host, &packet), explanation.reason);
		assert_true(*explanation.why);
		/* an allowed or refused address is named with what decided it */
		if (explanation.reason != EG_REASON_PROTOCOL &&
		    !strncmp(explanation.why, "the packet", 10))
			fail_msg("%s: %s", eg_reason_names[explanation.reason], explanation.why);
	}
}

static void check_question(const char *proto, const char *dest, __u8 want_proto, __u8 family,
			   __u16 port, bool wireguard)
{
	struct eg_question question;
	struct eg_error error = {};

	if (eg_question_parse(proto, dest, &question, &error) < 0)
		fail_msg("%s", error.message);
	assert_int_equal(question.proto, want_proto);
	assert_int_equal(question.family, family);
	assert_int_equal(question.dport, port);
	assert_int_equal(question.wireguard, wireguard);
}

static void check_no_question(const char *proto, const char *dest, unsigned int column,
			      const char *part)
{
	struct eg_question question;
	struct eg_error error = {};

	assert_int_equal(eg_question_parse(proto, dest, &question, &error), -EINVAL);
	assert_int_equal(error.exit, EG_EXIT_USAGE);
	if (error.column != column || !strstr(error.message, part))
		fail_msg("%s %s: %u: %s", proto, dest, error.column, error.message);
}

static void test_questions(void **state)
{
	(void)state;
	check_question("tcp", "10.0.0.1:80", 6, EG_FAMILY_IPV4, 80, false);
	check_question("tcp", "10.0.0.1", 6, EG_FAMILY_IPV4, 0, false);
	check_question("udp", "[fd00::1]:53", 17, EG_FAMILY_IPV6, 53, false);
	check_question("udp", "[fd00::1]", 17, EG_FAMILY_IPV6, 0, false);
	check_question("udp", "fd00::1", 17, EG_FAMILY_IPV6, 0, false);
	check_question("icmpv6", "fd00::1", 58, EG_FAMILY_IPV6, 0, false);
	check_question("wireguard", "203.0.113.9:51820", 17, EG_FAMILY_IPV4, 51820, true);
	check_question("50", "203.0.113.9", 50, EG_FAMILY_IPV4, 0, false);
	check_question("sctp", "203.0.113.9:80", 132, EG_FAMILY_IPV4, 80, false);
	check_no_question("tpc", "10.0.0.1:80", 1, "'tpc'");
	check_no_question("tcp", "10.0.0.256:80", 8, "10.0.0.256");
	check_no_question("tcp", "10.0.0.1:99999", 10, "99999");
	check_no_question("tcp", "10.0.0.1:", 10, "port");
	check_no_question("tcp", "[fd00::g]:80", 8, "fd00::g");
	check_no_question("tcp", "[fd00::1]:0", 11, "0");
	check_no_question("tcp", "[fd00::1", 1, "bracket");
	check_no_question("tcp", "[fd00::1]80", 1, "bracket");
	check_no_question("tcp", "", 1, "");
	check_no_question("icmp", "10.0.0.1:80", 1, "no ports");
	check_no_question("icmp", "fd00::1", 1, "icmpv6");
	check_no_question("icmpv6", "10.0.0.1", 1, "'icmp'");
	check_no_question("wireguard", "203.0.113.9", 1, "port");
}

static void test_hints(void **state)
{
	static const struct {
		enum eg_reason reason;
		const char *addr;
		const char *part; /* NULL: no hint */
	} hints[] = {
		{EG_REASON_PRIVATE, "100.64.0.1", "Tailscale"},
		{EG_REASON_PUBLIC, "100.64.0.1", NULL},
		{EG_REASON_PRIVATE, "169.254.169.254", "cloud metadata"},
		{EG_REASON_PRIVATE, "169.254.169.253", "169.254.0.0/16"},
		{EG_REASON_PRIVATE, "fd00:ec2::254", "cloud metadata"},
		{EG_REASON_PRIVATE, "fe80::1", "fe80::/10"},
		{EG_REASON_PRIVATE, "192.168.1.1", "--allow that subnet"},
		{EG_REASON_PRIVATE, "fd00::1", "--allow that subnet"},
		{EG_REASON_PUBLIC, "198.19.255.255", "198.18.0.0/15"},
		{EG_REASON_PUBLIC, "198.20.0.0", NULL},
		{EG_REASON_FRAGMENT, "203.0.113.9", "MTU"},
		{EG_REASON_NOT_WIREGUARD, "203.0.113.9", "--endpoint-shape any"},
		{EG_REASON_MULTICAST, "ff02::fb", "--allow-multicast"},
		{EG_REASON_MULTICAST, "ff0e::1", NULL},
		{EG_REASON_DENIED, "10.0.0.1", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
		union eg_addr addr;
		__u8 family;
		const char *hint;

		assert_int_equal(eg_addr_parse(hints[i].addr, &family, &addr, NULL), 0);
		hint = eg_reason_hint(hints[i].reason, family, &addr);
		if (!hints[i].part != !hint || (hint && !strstr(hint, hints[i].part)))
			fail_msg("%s %s: %s", eg_reason_names[hints[i].reason], hints[i].addr,
				 hint ? hint : "no hint");
	}
}

static void test_names(void **state)
{
	(void)state;
	for (int i = 0; i < EG_REASON_COUNT; i++) {
		assert_non_null(eg_reason_names[i]);
		assert_non_null(eg_reason_sentences[i]);
		assert_int_equal(eg_reason_parse(eg_reason_names[i]), i);
	}
	for (int i = 0; i < EG_LAYER_COUNT; i++)
		assert_non_null(eg_layer_names[i]);
	assert_int_equal(eg_reason_parse("Public"), -EINVAL);
	assert_int_equal(eg_reason_parse(""), -EINVAL);
	assert_int_equal(eg_reason_parse("lan-dns"), EG_REASON_LAN_DNS);
	assert_string_equal(eg_verdict_names[EG_VERDICT_WOULD_DROP], "would-drop");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_other_policies),
		cmocka_unit_test(test_names_of_endpoints),
		cmocka_unit_test(test_audit),
		cmocka_unit_test(test_same_as_frames),
		cmocka_unit_test(test_questions),
		cmocka_unit_test(test_hints),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
