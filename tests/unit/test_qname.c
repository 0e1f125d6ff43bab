// SPDX-License-Identifier: GPL-2.0
/* Host names as DNS questions have them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/qname.h"

static struct eg_bootstrap_name make(const char *host)
{
	struct eg_bootstrap_name name;
	struct eg_error error = {};

	if (eg_qname_make(host, &name, &error) < 0)
		fail_msg("%s", error.message);
	return name;
}

static void check_bytes(const char *host, const char *bytes, size_t len)
{
	struct eg_bootstrap_name name = make(host);
	__u8 written[EG_QNAME_MAX];

	assert_int_equal(name.len, len);
	assert_memory_equal(eg_qname_bytes(&name, written), bytes, len);
}

static void test_bytes(void **state)
{
	(void)state;
	check_bytes("ab", "\2ab", 4);
	check_bytes("a.b", "\1a\1b", 5);
	check_bytes("a.bc", "\1a\2bc", 6);
	check_bytes("VPN.Example.com", "\3vpn\7example\3com", 17);
	check_bytes("vpn.example.com.", "\3vpn\7example\3com", 17);
	check_bytes("us-1_x.9", "\6us-1_x\0019", 10);
}

static void test_text(void **state)
{
	static const char *const hosts[] = {"ab", "a.b", "vpn.example.com", "us-1_x.9"};
	char text[EG_QNAME_TEXT_LEN];
	struct eg_bootstrap_name name;

	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		name = make(hosts[i]);
		assert_string_equal(eg_qname_format(text, &name), hosts[i]);
	}
	name = (struct eg_bootstrap_name){};
	assert_string_equal(eg_qname_format(text, &name), "");
}

/* Only letters fold: what differs in that bit and is no letter is another byte. */
static void test_fold(void **state)
{
	struct eg_bootstrap_name name = make("A-1.b");
	__u8 fold[4];

	(void)state;
	memcpy(fold, &name.fold[0], sizeof(fold));
	assert_memory_equal(fold, "\0\x20\0\0", 4);
	assert_int_equal(name.fold[1], 0);
	memcpy(fold, &name.tail_fold, sizeof(fold));
	assert_memory_equal(fold, "\0\0\x20\0", 4);
}

/* 63 letters, three times, and what is left of 255 bytes. */
static void long_host(char *host, size_t last)
{
	for (int i = 0; i < 3; i++) {
		memset(host, 'a' + i, 63);
		host[63] = '.';
		host += 64;
	}
	memset(host, 'z', last);
	host[last] = '\0';
}

static void test_limits(void **state)
{
	static const char *const bad[] = {"",   ".", "a", "a..b", ".a", "a b", "vpn\xc3\xa9.com",
					  "a/b"};
	struct eg_bootstrap_name name;
	char host[300], text[EG_QNAME_TEXT_LEN];
	struct eg_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(eg_qname_make(bad[i], &name, &error), -EINVAL);
	long_host(host, 61);
	name = make(host);
	assert_int_equal(name.len, EG_QNAME_MAX);
	assert_string_equal(eg_qname_format(text, &name), host);
	long_host(host, 62);
	assert_int_equal(eg_qname_make(host, &name, &error), -EINVAL);
	memset(host, 'a', 64);
	host[64] = '\0';
	assert_int_equal(eg_qname_make(host, &name, &error), -EINVAL);
}

static void test_set(void **state)
{
	static const char *const hosts[] = {"dd", "aa", "vpn.example.com", "bb", "cc"};
	struct eg_bootstrap forwards = {}, backwards = {};
	struct eg_bootstrap_name name;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		name = make(hosts[i]);
		assert_int_equal(eg_qname_add(&forwards, &name), 0);
		assert_int_equal(eg_qname_add(&forwards, &name), 0);
		name = make(hosts[3 - i]);
		assert_int_equal(eg_qname_add(&backwards, &name), 0);
	}
	assert_memory_equal(&forwards, &backwards, sizeof(forwards));
	name = make(hosts[4]);
	assert_false(eg_qname_is_in(&forwards, &name));
	assert_int_equal(eg_qname_add(&forwards, &name), -ENOSPC);
	assert_memory_equal(&forwards, &backwards, sizeof(forwards));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes), cmocka_unit_test(test_text),
		cmocka_unit_test(test_fold),  cmocka_unit_test(test_limits),
		cmocka_unit_test(test_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
