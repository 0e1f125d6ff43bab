// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "policy/address.h"
#include "policy/wgconf.h"
#include "util/cleanup.h"
#include "util/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Keys as wg genkey makes them; of no tunnel anywhere. */
#define KEY_A   "WAmgVYXkbT2bCtdcDwolI88/iVi/aV3/PHcUBTQSYmo="
#define KEY_B   "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define KEY_HEX "5f0a9e1c2b3d4f5061728394a5b6c7d8e9fa0b1c2d3e4f506172839405162738"

/* Everything that was read, as a line. */
static char *summary(const struct eg_wgconf *conf)
{
	struct eg_text text = {};
	char one[EG_ADDRESS_TEXT_LEN];

	for (size_t i = 0; i < conf->n_addresses; i++) {
		eg_text_printf(&text, "A%s", eg_prefix_format(one, &conf->addresses[i]));
		eg_text_printf(
			&text, "(%s) ",
			eg_addr_format(one, conf->addresses[i].family, &conf->address_hosts[i]));
	}
	for (size_t i = 0; i < conf->n_dns; i++)
		eg_text_printf(&text, "D%s ", eg_prefix_format(one, &conf->dns[i]));
	for (size_t i = 0; i < conf->n_endpoints; i++) {
		const struct eg_endpoint *endpoint = &conf->endpoints[i];

		if (endpoint->host)
			eg_text_printf(&text, "E%s:%u ", endpoint->host, endpoint->port);
		else
			eg_text_printf(&text, "E%s ", eg_endpoint_format(one, endpoint));
	}
	if (conf->listen_port)
		eg_text_printf(&text, "L%u ", conf->listen_port);
	return eg_text_take(&text);
}

static int parse_exact(const char *text, size_t len, struct eg_wgconf **ret_conf,
		       struct eg_error *error)
{
	/* just as long as it is, so that ASan sees a byte read too much */
	EG_AUTO_FREE char *exact = malloc(len ? len : 1);

	assert_non_null(exact);
	memcpy(exact, text, len);
	return eg_wgconf_parse(exact, len, ret_conf, error);
}

static const struct {
	const char *text;
	const char *summary;
} good[] = {
	{"", ""},
	{"# nothing\n\n", ""},
	{"[Interface]\n"
	 "PrivateKey = " KEY_A "\n"
	 "Address = 10.64.0.2/24, fd00:64::2/64\n"
	 "DNS = 10.64.0.1, fd00:64::1, example.com\n"
	 "ListenPort = 51820\n"
	 "PostUp = iptables -I OUTPUT ! -o %i -m mark ! --mark $(wg show %i fwmark) -j REJECT\n"
	 "\n"
	 "[Peer]\n"
	 "PublicKey = " KEY_B "\n"
	 "PresharedKey = " KEY_A "\n"
	 "AllowedIPs = 0.0.0.0/0, ::/0\n"
	 "Endpoint = 203.0.113.9:51820\n",
	 "A10.64.0.0/24(10.64.0.2) Afd00:64::/64(fd00:64::2) D10.64.0.1 Dfd00:64::1 "
	 "E203.0.113.9:51820 L51820 "},
	/* any case, any blanks, CRLF, a byte order mark, no end of line at the end */
	{"\xef\xbb\xbf[INTERFACE]\r\n  ADDRESS=10.0.0.2\r\n\tdns\t=\t10.0.0.1\t\r\n[ peer ]\r\n"
	 "endPOINT=[2001:db8::9]:7",
	 "A10.0.0.2(10.0.0.2) D10.0.0.1 E[2001:db8::9]:7 "},
	/* comments anywhere, and no other character starts one */
	{"[Interface] # mine\nAddress = 10.0.0.2/8# x\n#Address = x\nDNS = 10.0.0.1 # , x:y\n",
	 "A10.0.0.0/8(10.0.0.2) D10.0.0.1 "},
	/* repeated keys, sections and separators */
	{"[Interface]\nAddress = 10.0.0.2/8\nAddress = ,10.1.0.3/16,, 10.2.0.4/32 ,\n"
	 "[Peer]\nEndpoint = a.example:1\n[Peer]\nEndpoint = b.example:2\n"
	 "[Interface]\nAddress=fd00::1/64\n",
	 "A10.0.0.0/8(10.0.0.2) A10.1.0.0/16(10.1.0.3) A10.2.0.4(10.2.0.4) Afd00::/64(fd00::1) "
	 "Ea.example:1 Eb.example:2 "},
	/* wg-quick splits at blanks too */
	{"[Interface]\nDNS = 10.0.0.1 10.0.0.2 lan example.com 1x.2 fd00::1\n",
	 "D10.0.0.1 D10.0.0.2 Dfd00::1 "},
	{"[Interface]\nDNS =\nAddress = \nListenPort = 0\n", ""},
	{"[Interface]\nListenPort = 1\nListenPort = 2\n", "L2 "},
	/* keys count in their own section alone */
	{"Address = x\n[Peer]\nAddress = x\nDNS = 1.2.3\n[Interface]\nEndpoint = x\n"
	 "[Other]\nAddress = x\nEndpoint = x\n",
	 ""},
	/* lines that say nothing to us */
	{"[Interface]\nnonsense\n= 5\nTable = off\nSaveConfig = true\n[Peer\nEndpoint = x\n"
	 "[Interface] x\nAddress = x\n",
	 ""},
};

static void reads_what_it_should(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		EG_AUTO_WGCONF struct eg_wgconf *conf = NULL;
		EG_AUTO_FREE char *text = NULL;
		struct eg_error error = {};
		int result = parse_exact(good[i].text, strlen(good[i].text), &conf, &error);

		if (result < 0)
			fail_msg("%u:%u: %s in:\n%s", error.line, error.column, error.message,
				 good[i].text);
		text = summary(conf);
		assert_string_equal(text, good[i].summary);
	}
}

#define PAIR(text) text, sizeof(text) - 1

static const struct {
	const char *text;
	size_t len;
	unsigned int line, column;
	const char *part; /* of the message */
} wrong[] = {
	{PAIR("[Interface]\nAddress = 10.0.0.2/33\n"), 2, 20, "Address: the prefix length '33'"},
	{PAIR("[Interface]\nAddress = 10.0.0.2, 10.0.0.x\n"), 2, 28, "Address: '10.0.0.x' is not"},
	{PAIR("[Interface]\nAddress = wg.example\n"), 2, 11, "a host name cannot stand here"},
	{PAIR("[Interface]\nAddress = ::ffff:10.0.0.2/96\n"), 2, 11, "write 10.0.0.2/0"},
	{PAIR("[Interface]\n\n  DNS = 10.0.0.1, 10.0.0\n"), 3, 25, "DNS: '10.0.0' has 3 of"},
	{PAIR("[Interface]\nDNS = fd00::g\n"), 2, 13, "DNS: 'fd00::g' is not"},
	{PAIR("[Interface]\nDNS = 10.0.0.1:53\n"), 2, 15, "has a port"},
	{PAIR("[Interface]\nListenPort = 65536\n"), 2, 14, "ListenPort: the port '65536'"},
	{PAIR("[Interface]\nListenPort =\n"), 2, 13, "ListenPort has no value"},
	{PAIR("[Interface]\nListenPort = 1 2\n"), 2, 16, "more than one value"},
	{PAIR("[Peer]\nEndpoint = 203.0.113.9\n"), 2, 23, "Endpoint: '203.0.113.9' has no port"},
	{PAIR("[Peer]\nEndpoint = 203.0.113.9:0\n"), 2, 24, "Endpoint: the port '0'"},
	{PAIR("[Peer]\nEndpoint = 2001:db8::9:51820\n"), 2, 12, "needs brackets"},
	{PAIR("[Peer]\nEndpoint = [2001:db8::9:51820\n"), 2, 12, "lacks the ']'"},
	{PAIR("[Peer]\nEndpoint =\n"), 2, 11, "Endpoint has no value"},
	{PAIR("[Peer]\nEndpoint = a.example:1 b.example:1\n"), 2, 24, "more than one value"},
	{PAIR("[Peer]\r\nEndpoint = a..b:1\r\n"), 2, 14, "Endpoint: 'a..b' is no host name"},
	{PAIR("[Peer]\nEndpoint = \x1b[2J:1\n"), 2, 12, "'\\x1b[2J'"},
	{PAIR("[Peer]\nx\0y\n"), 2, 2, "a NUL byte"},
};

static void refuses_what_it_cannot_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++) {
		struct eg_wgconf *conf = NULL;
		struct eg_error error = {};
		int result = parse_exact(wrong[i].text, wrong[i].len, &conf, &error);

		if (result != -EINVAL || error.line != wrong[i].line ||
		    error.column != wrong[i].column || error.exit != EG_EXIT_USAGE ||
		    !strstr(error.message, wrong[i].part))
			fail_msg("%d: %u:%u: %s in:\n%s", result, error.line, error.column,
				 error.message, wrong[i].text);
		assert_null(conf);
		assert_int_equal(parse_exact(wrong[i].text, wrong[i].len, &conf, NULL), -EINVAL);
	}
}

/* Where a key stands in the wrong place, the message does not tell it. */
static const char *const misplaced[] = {
	"[Interface]\nAddress = " KEY_A "\n",
	"[Interface]\nAddress = 10.0.0.2/32 " KEY_A "\n",
	"[Interface]\nAddress = 10.0.0.2/32,PrivateKey=" KEY_A "\n",
	"[Interface]\nAddress = 10.0.0.2/32PrivateKey = " KEY_A "\n",
	"[Interface]\nAddress = 10.0.0.2/" KEY_A "\n",
	"[Interface]\nAddress = \"" KEY_A "\"\n",
	"[Interface]\nAddress = " KEY_HEX "\n",
	"[Interface]\nAddress = 10.0.0.2PrivateKey=WAmgVYXkbT2bCtdcDw\n", /* the half of it */
	"[Interface]\nDNS = x:" KEY_A "\n",
	"[Interface]\nListenPort = " KEY_A "\n",
	"[Interface]\nListenPort = 51820 PrivateKey = " KEY_A "\n",
	"[Peer]\nEndpoint = " KEY_A "\n",
	"[Peer]\nEndpoint = " KEY_A ":51820\n",
	"[Peer]\nEndpoint = 203.0.113.9:51820PresharedKey=" KEY_A "\n",
	"[Peer]\nEndpoint = 203.0.113.9:51820 PresharedKey = " KEY_A "\n",
	"[Peer]\nEndpoint = 203.0.113.9:" KEY_A "\n",
	"[Peer]\nEndpoint = [" KEY_A "]:51820\n",
	"[Peer]\nEndpoint = [2001:db8::9]" KEY_A "\n",
};

static void never_quotes_a_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(misplaced); i++) {
		struct eg_wgconf *conf = NULL;
		struct eg_error error = {};

		assert_int_equal(parse_exact(misplaced[i], strlen(misplaced[i]), &conf, &error),
				 -EINVAL);
		assert_int_equal(error.line, 2);
		/* no eight characters of it */
		for (size_t at = 0; at + 8 <= strlen(KEY_A); at++) {
			char piece[9] = "";

			memcpy(piece, &KEY_A[at], 8);
			if (strstr(error.message, piece))
				fail_msg("a key is told: %s", error.message);
		}
		assert_null(strstr(error.message, "5f0a9e1c"));
	}
}

static void limits_the_text(void **state)
{
	EG_AUTO_FREE char *text = malloc(EG_WGCONF_MAX + 1);
	EG_AUTO_WGCONF struct eg_wgconf *conf = NULL;
	struct eg_wgconf *none = NULL;
	struct eg_error error = {};

	(void)state;
	assert_non_null(text);
	memset(text, 'x', EG_WGCONF_MAX + 1);
	assert_int_equal(eg_wgconf_parse(text, EG_WGCONF_MAX, &conf, &error), 0);
	assert_int_equal(eg_wgconf_parse(text, EG_WGCONF_MAX + 1, &none, &error), -EFBIG);
	assert_null(none);
	assert_int_equal(error.exit, EG_EXIT_USAGE);
}

/* Lists of allowed IPs make long lines, and a value may be long too. */
static void reads_long_lines(void **state)
{
	EG_AUTO_TEXT struct eg_text text = {};
	EG_AUTO_WGCONF struct eg_wgconf *conf = NULL;
	char one[EG_ADDRESS_TEXT_LEN];

	(void)state;
	eg_text_printf(&text, "[Interface]\nAddress = ");
	for (unsigned int i = 0; i < 20000; i++)
		eg_text_printf(&text, "10.%u.%u.1/24, ", i / 256, i % 256);
	eg_text_printf(&text, "\n[Peer]\nAllowedIPs = %0200000d\nEndpoint = a.example:1\n", 0);
	assert_int_equal(eg_wgconf_parse(text.data, text.len, &conf, NULL), 0);
	assert_int_equal(conf->n_addresses, 20000);
	assert_int_equal(conf->n_endpoints, 1);
	for (unsigned int i = 0; i < 20000; i++) {
		char expected[EG_ADDRESS_TEXT_LEN];

		snprintf(expected, sizeof(expected), "10.%u.%u.1", i / 256, i % 256);
		assert_string_equal(eg_addr_format(one, EG_FAMILY_IPV4, &conf->address_hosts[i]),
				    expected);
	}
}

static void limits_words(void **state)
{
	EG_AUTO_TEXT struct eg_text text = {};
	struct eg_wgconf *conf = NULL;
	struct eg_error error = {};

	(void)state;
	eg_text_printf(&text, "[Peer]\nEndpoint = ");
	for (int i = 0; i < 300; i++)
		eg_text_printf(&text, "a.");
	eg_text_printf(&text, "a:1\n");
	assert_int_equal(eg_wgconf_parse(text.data, text.len, &conf, &error), -EINVAL);
	assert_null(conf);
	eg_wgconf_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_it_should),
		cmocka_unit_test(refuses_what_it_cannot_read),
		cmocka_unit_test(never_quotes_a_key),
		cmocka_unit_test(limits_the_text),
		cmocka_unit_test(reads_long_lines),
		cmocka_unit_test(limits_words),
	};

	return cmocka_run_group_tests_name("wgconf", tests, NULL, NULL);
}
