/* SPDX-License-Identifier: GPL-2.0 */
/* The seed pattern's kill switch as iptables-save prints it, and what tests of rules write short.
 * Included by test programs after cmocka.h. */
#ifndef EG_TEST_RULES_H
#define EG_TEST_RULES_H

#include "policy/address.h"

static const char rules4[] =
	"*filter\n"
	":INPUT ACCEPT [0:0]\n"
	":OUTPUT ACCEPT [0:0]\n"
	"-A OUTPUT -d 10.0.0.0/8 ! -o wg0 -j ACCEPT\n"
	"-A OUTPUT -d 172.16.0.0/12 ! -o wg0 -j ACCEPT\n"
	"-A OUTPUT -d 192.168.0.0/16 ! -o wg0 -j ACCEPT\n"
	"-A OUTPUT ! -o wg0 -m mark ! --mark 0xca6c -m addrtype ! --dst-type LOCAL -j REJECT "
	"--reject-with icmp-port-unreachable\n"
	"COMMIT\n";

static struct eg_prefix prefix_of(const char *text)
{
	struct eg_prefix prefix = {};

	assert_int_equal(eg_prefix_parse(text, &prefix, NULL), 0);
	return prefix;
}

#endif /* EG_TEST_RULES_H */
