// SPDX-License-Identifier: GPL-2.0
/* What doctor says that the rules of either backend do with a packet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "doctor/chain.h"
#include "policy/address.h"
#include "rules.h"

static enum eg_doctor_fate fate_of(const char *rules, const char *dst, const char *out, __u32 mark)
{
	struct eg_doctor_tables tables[EG_DOCTOR_BACKENDS] = {};
	struct eg_doctor_packet packet = {
		.far = prefix_of(dst),
		.device = out,
		.mark = mark,
	};
	enum eg_doctor_fate fate;

	assert_int_equal(eg_doctor_tables_read(rules, "", &tables[0]), 0);
	assert_int_equal(eg_doctor_tables_read("", "", &tables[1]), 0);
	fate = eg_doctor_fate(tables, &packet, NULL);
	eg_doctor_tables_free(&tables[0]);
	eg_doctor_tables_free(&tables[1]);
	return fate;
}

static void test_chains(void **state)
{
	static const char jumps[] =
		"*filter\n:OUTPUT ACCEPT [1:2]\n:MINE - [0:0]\n"
		"-A OUTPUT -j MINE\n"
		"-A MINE -o lo -j RETURN\n"
		"-A MINE -d 192.168.0.0/16 -m comment --comment \"a # b\" -j RETURN\n"
		"-A MINE -o eth0 -j DROP\nCOMMIT\n";
	static const char narrow[] = "*filter\n:OUTPUT ACCEPT [0:0]\n"
				     "-A OUTPUT -p tcp -m tcp --dport 22 -j ACCEPT\n"
				     "-A OUTPUT ! -o wg0 -j DROP\nCOMMIT\n";
	static const char others[] = "*nat\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j DROP\nCOMMIT\n";

	static const char mangle[] = "*mangle\n:OUTPUT ACCEPT [0:0]\n"
				     "-A OUTPUT ! -o wg0 -j DROP\nCOMMIT\n";
	/* what wg-quick itself makes, where there is no nft */
	static const char spoofed[] =
		"*raw\n:PREROUTING ACCEPT [0:0]\n"
		"-A PREROUTING -d 10.13.13.2/32 ! -i wg0 -m addrtype ! --src-type LOCAL -j DROP\n"
		"COMMIT\n*mangle\n:POSTROUTING ACCEPT [0:0]\n"
		"-A POSTROUTING -p udp -m mark --mark 0xca6c -j CONNMARK --save-mark\nCOMMIT\n";

	(void)state;
	assert_int_equal(fate_of(rules4, "1.1.1.1", "eth0", 0), EG_DOCTOR_DROPPED);
	assert_int_equal(fate_of(rules4, "1.1.1.1", "eth0", 51820), EG_DOCTOR_PASSES);
	assert_int_equal(fate_of(rules4, "1.1.1.1", "wg0", 0), EG_DOCTOR_PASSES);
	assert_int_equal(fate_of(rules4, "192.168.1.10", "eth0", 0), EG_DOCTOR_PASSES);
	assert_int_equal(fate_of(jumps, "192.168.1.10", "eth0", 0), EG_DOCTOR_PASSES);
	assert_int_equal(fate_of(jumps, "1.1.1.1", "eth0", 0), EG_DOCTOR_DROPPED);
	assert_int_equal(fate_of(jumps, "1.1.1.1", "eth1", 0), EG_DOCTOR_PASSES);
	assert_int_equal(fate_of(narrow, "1.1.1.1", "eth0", 0), EG_DOCTOR_MAYBE);
	assert_int_equal(fate_of(others, "1.1.1.1", "eth0", 0), EG_DOCTOR_PASSES);
	assert_int_equal(fate_of(mangle, "1.1.1.1", "eth0", 0), EG_DOCTOR_MAYBE);
	assert_int_equal(fate_of(spoofed, "1.1.1.1", "eth0", 0), EG_DOCTOR_PASSES);
	assert_int_equal(fate_of("", "1.1.1.1", "eth0", 0), EG_DOCTOR_PASSES);
}

/* A rule and what becomes of a packet to, or from, 192.0.2.9:51820 over UDP at eth0. */
static void test_matches(void **state)
{
	static const struct {
		const char *rule;
		bool incoming;
		enum eg_doctor_fate fate;
	} cases[] = {
		{"-A OUTPUT ! -o eth0 -j DROP", false, EG_DOCTOR_PASSES},
		{"-A OUTPUT -o eth+ -j DROP", false, EG_DOCTOR_DROPPED},
		{"-A OUTPUT -o wg+ -j DROP", false, EG_DOCTOR_PASSES},
		{"-A OUTPUT -p udp -m udp --dport 51820 -j DROP", false, EG_DOCTOR_DROPPED},
		{"-A OUTPUT -p udp -m udp --dport 53 -j DROP", false, EG_DOCTOR_PASSES},
		{"-A OUTPUT -p tcp -j DROP", false, EG_DOCTOR_PASSES},
		{"-A OUTPUT -p udp -m multiport --dports 53,51000:52000 -j DROP", false,
		 EG_DOCTOR_DROPPED},
		{"-A OUTPUT -m conntrack --ctstate NEW -j DROP", false, EG_DOCTOR_DROPPED},
		{"-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j DROP", false,
		 EG_DOCTOR_PASSES},
		{"-A OUTPUT -m owner --uid-owner 1000 -j DROP", false, EG_DOCTOR_MAYBE},
		{"-A OUTPUT -m limit --limit 5/min -j DROP", false, EG_DOCTOR_MAYBE},
		{"-A OUTPUT -j NFQUEUE --queue-num 0", false, EG_DOCTOR_MAYBE},
		{"-A OUTPUT -j ACCEPT\n-A OUTPUT -j DROP", false, EG_DOCTOR_PASSES},
		{"-A OUTPUT -o eth0 -j MINE\n-A MINE -d 192.0.2.0/24 -j DROP", false,
		 EG_DOCTOR_DROPPED},
		{"-A OUTPUT -o wg0 -j MINE\n-A MINE -j DROP", false, EG_DOCTOR_PASSES},
		{"-A OUTPUT -g MINE\n-A OUTPUT -j DROP\n-A MINE -o lo -j DROP", false,
		 EG_DOCTOR_PASSES},
		{"-A OUTPUT -j MINE\n-A MINE -j MINE", false, EG_DOCTOR_MAYBE},
		{"-A INPUT -s 192.0.2.9/32 -j DROP", true, EG_DOCTOR_DROPPED},
		{"-A INPUT -s 192.0.2.9/32 -j DROP", false, EG_DOCTOR_PASSES},
		{"-A INPUT -m state --state ESTABLISHED -j ACCEPT\n-A INPUT -j DROP", true,
		 EG_DOCTOR_PASSES},
		{"-A INPUT -m state --state NEW -j DROP", true, EG_DOCTOR_PASSES},
		{"-A INPUT -i eth0 -p udp -m udp --sport 51820 -j REJECT", true, EG_DOCTOR_DROPPED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct eg_doctor_tables tables[EG_DOCTOR_BACKENDS] = {};
		struct eg_doctor_packet packet = {
			.far = prefix_of("192.0.2.9"),
			.device = "eth0",
			.proto = 17,
			.far_port = 51820,
			.incoming = cases[i].incoming,
			.reply = cases[i].incoming,
		};
		char text[512];

		snprintf(text, sizeof(text),
			 "*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:MINE - [0:0]\n%s\n",
			 cases[i].rule);
		assert_int_equal(eg_doctor_tables_read(text, "", &tables[0]), 0);
		assert_int_equal(eg_doctor_tables_read("", "", &tables[1]), 0);
		if (eg_doctor_fate(tables, &packet, NULL) != cases[i].fate)
			fail_msg("%s", cases[i].rule);
		eg_doctor_tables_free(&tables[0]);
		eg_doctor_tables_free(&tables[1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_matches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
