// SPDX-License-Identifier: GPL-2.0
/* The names of a kubelet's containers, from files as they should be and as they should not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net/pod.h"
#include "util/cleanup.h"

#define CRI "io.kubernetes.cri."

static void test_pod(void **state)
{
	static const struct {
		const char *config;
		const char *name; /* NULL: none */
	} cases[] = {
		{"{\"annotations\": {\"" CRI "sandbox-namespace\": \"default\", \"" CRI
		 "sandbox-name\": \"web\", \"" CRI "container-name\": \"app\"}}",
		 "default/web/app"},
		{"{\"annotations\": {\"" CRI "sandbox-namespace\": \"default\", \"" CRI
		 "sandbox-name\": \"web\"}, \"limit\": 18446744073709551615}",
		 "default/web"},
		{"{\"annotations\": {\"" CRI "sandbox-name\": \"web\", \"" CRI
		 "container-name\": \"app\"}}",
		 NULL},
		{"{\"annotations\": {\"" CRI "sandbox-namespace\": \"\", \"" CRI
		 "sandbox-name\": \"web\"}}",
		 NULL},
		{"{\"annotations\": {\"" CRI "sandbox-namespace\": 1, \"" CRI
		 "sandbox-name\": [\"web\"]}}",
		 NULL},
		{"{\"annotations\": \"" CRI "sandbox-namespace\"}", NULL},
		{"{}", NULL},
		{"[]", NULL},
		{"{\"annotations\": {\"" CRI "sandbox-namespace\": \"default\"", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		EG_AUTO_FREE char *name = NULL;
		int result = eg_pod_parse(cases[i].config, strlen(cases[i].config), &name);

		assert_int_equal(result, cases[i].name ? 0 : -ENOENT);
		if (cases[i].name)
			assert_string_equal(name, cases[i].name);
		else
			assert_null(name);
	}
}

static void test_pod_long(void **state)
{
	static const char format[] =
		"{\"annotations\": {\"" CRI "sandbox-namespace\": \"default\", \"" CRI
		"sandbox-name\": \"%.*s\"}}";
	char config[512], pod[255];
	EG_AUTO_FREE char *name = NULL;

	(void)state;
	memset(pod, 'a', sizeof(pod));
	snprintf(config, sizeof(config), format, 254, pod);
	assert_int_equal(eg_pod_parse(config, strlen(config), &name), -ENOENT);
	snprintf(config, sizeof(config), format, 253, pod);
	assert_int_equal(eg_pod_parse(config, strlen(config), &name), 0);
	assert_int_equal(strlen(name), strlen("default/") + 253);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pod),
		cmocka_unit_test(test_pod_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
