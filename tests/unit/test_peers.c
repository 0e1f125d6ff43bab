// SPDX-License-Identifier: GPL-2.0
/* Peers of the tunnel: their keys as text, and whom an endpoint follows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/address.h"
#include "policy/peers.h"

/* By `wg pubkey`, and in hexadecimal. */
static const char key_text[] = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
static const __u8 key[32] = {0xc5, 0x32, 0x01, 0x03, 0x9a, 0xdb, 0xa1, 0x4b, 0xe7, 0x1f, 0x88,
			     0x6d, 0xa1, 0xd8, 0xdb, 0xe9, 0xee, 0xbd, 0xed, 0x08, 0xcb, 0x11,
			     0x1b, 0x75, 0x34, 0x00, 0x78, 0x99, 0x9a, 0xa9, 0xf0, 0x38};

static struct eg_endpoint endpoint(const char *text)
{
	struct eg_endpoint made;

	assert_int_equal(eg_endpoint_parse_own(text, &made, NULL), 0);
	return made;
}

static void reads_and_writes_keys(void **state)
{
	char text[EG_KEY_TEXT_LEN + 1];
	__u8 read[32] = {};

	(void)state;
	assert_string_equal(eg_key_format(text, key), key_text);
	assert_true(eg_key_parse(key_text, read));
	assert_memory_equal(read, key, sizeof(key));
	for (unsigned int i = 0; i < 1000; i++) {
		for (size_t j = 0; j < sizeof(read); j++)
			read[j] = (__u8)rand();
		__u8 again[32];

		assert_true(eg_key_parse(eg_key_format(text, read), again));
		assert_memory_equal(again, read, sizeof(read));
	}
}

static void refuses_what_is_no_key(void **state)
{
	__u8 read[32];
	char text[] = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";

	(void)state;
	assert_false(eg_key_parse("", read));
	for (size_t len = 0; len < strlen(key_text); len++) {
		char *cut = strndup(key_text, len);

		assert_false(eg_key_parse(cut, read));
		free(cut);
	}
	text[42] = 'h'; /* bits beyond the 256 */
	assert_false(eg_key_parse(text, read));
	text[42] = 'g';
	text[5] = '-';
	assert_false(eg_key_parse(text, read));
}

static void follows_known_keys_alone(void **state)
{
	struct eg_derived derived = {};
	struct eg_known_peer known = {.endpoint = endpoint("203.0.113.9:51820")};
	struct eg_known_peer other = {.endpoint = endpoint("[2001:db8::9]:51820")};
	struct eg_endpoint to = endpoint("203.0.113.10:1000"), none = {};
	__u8 stranger[32] = {1};

	(void)state;
	memcpy(known.public_key, key, sizeof(key));
	assert_int_equal(eg_peers_add(&derived, &known), 0);
	assert_int_equal(eg_peers_add(&derived, &other), 0);
	assert_int_equal(eg_peers_to_endpoints(&derived), 0);
	assert_int_equal(derived.n_endpoints, 2);

	assert_false(eg_peers_move(&derived, stranger, &to));
	assert_false(eg_peers_move(&derived, key, &none));
	assert_false(eg_peers_move(&derived, key, &known.endpoint));
	assert_true(eg_peers_move(&derived, key, &to));
	assert_int_equal(eg_peers_to_endpoints(&derived), 0);
	/* Where it was before is given up. */
	assert_int_equal(derived.n_endpoints, 2);
	assert_int_equal(derived.endpoints[0].port, 1000);
	assert_int_equal(derived.endpoints[1].family, EG_FAMILY_IPV6);

	/* Two at one place are one endpoint. */
	assert_true(eg_peers_move(&derived, key, &other.endpoint));
	assert_int_equal(eg_peers_to_endpoints(&derived), 0);
	assert_int_equal(derived.n_endpoints, 1);
	free(derived.endpoints);
	free(derived.peers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes_keys),
		cmocka_unit_test(refuses_what_is_no_key),
		cmocka_unit_test(follows_known_keys_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
