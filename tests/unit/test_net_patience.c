// SPDX-License-Identifier: GPL-2.0
/* How long one namespace may keep us waiting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/patience.h"

#define SLOW  4026531001ULL
#define OTHER 4026531002ULL

static void test_prompt(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		assert_int_equal(eg_patience_left(OTHER, 1000 + i), EG_PATIENCE_MS);
		eg_patience_take(OTHER, 1000 + i, EG_PATIENCE_PROMPT_MS - 1, 1);
	}
}

/* Whoever is asked in between. */
static void test_slow(void **state)
{
	__s64 now = 1000, waited = 0;

	(void)state;
	while (now < 3600 * 1000) {
		__s64 left = eg_patience_left(SLOW, now);

		assert_int_equal(eg_patience_left(OTHER, now), EG_PATIENCE_MS);
		if (left > 2000)
			left = 2000;
		waited += left;
		now += left;
		if (left)
			eg_patience_take(SLOW, now, left, 0);
		now += 100;
	}
	/* six seconds, and a twentieth of the hour */
	assert_in_range(waited, 120 * 1000, 200 * 1000);
}

/* Slow for a while: asked again soon, and trusted again when it answers. */
static void test_recovers(void **state)
{
	__s64 now = 4000 * 1000;

	(void)state;
	for (int i = 0; i < 4; i++, now += 2000)
		eg_patience_take(SLOW, now, 2000, 0);
	assert_int_equal(eg_patience_left(SLOW, now), 0);
	now += EG_PATIENCE_PROMPT_MS * EG_PATIENCE_SHARE;
	assert_in_range(eg_patience_left(SLOW, now), EG_PATIENCE_PROMPT_MS,
			EG_PATIENCE_PROMPT_MS + 200);
	eg_patience_take(SLOW, now, 30, 1);
	assert_int_equal(eg_patience_left(SLOW, now), EG_PATIENCE_MS);
	/* an answer that took long is one, and costs */
	eg_patience_take(SLOW, now, 1500, 1);
	assert_int_equal(eg_patience_left(SLOW, now), EG_PATIENCE_MS - 1500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prompt),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_recovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
