// SPDX-License-Identifier: GPL-2.0
/* When the daemon mends what is not as it should be, and when it says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/mend.h"

#define START 1000000000ULL
#define AGAIN (EG_MEND_AGAIN_NS + 1)

static void test_said_once(void **state)
{
	struct eg_mending mending = {};
	__u64 now = START;

	(void)state;
	assert_int_equal(eg_mend_next(&mending, "no peer", now), EG_MEND_SAY);
	assert_int_equal(eg_mend_next(&mending, "no peer", now + 1), EG_MEND_WAIT);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(eg_mend_next(&mending, "no peer", now + EG_MEND_AGAIN_NS),
				 EG_MEND_WAIT);
		now += EG_MEND_AGAIN_NS + 1;
		assert_int_equal(eg_mend_next(&mending, "no peer", now), EG_MEND_SILENT);
	}
	eg_mend_end(&mending);
}

static void test_said_again_when_it_changes(void **state)
{
	struct eg_mending mending = {};
	__u64 now = START;

	(void)state;
	assert_int_equal(eg_mend_next(&mending, "no peer", now), EG_MEND_SAY);
	now += AGAIN;
	assert_int_equal(eg_mend_next(&mending, "no peer", now), EG_MEND_SILENT);
	assert_int_equal(eg_mend_next(&mending, "no pin", now + 1), EG_MEND_WAIT);
	now += AGAIN;
	assert_int_equal(eg_mend_next(&mending, "no pin", now), EG_MEND_SAY);
	now += AGAIN;
	assert_int_equal(eg_mend_next(&mending, "no pin", now), EG_MEND_SILENT);
	assert_int_equal(eg_mend_next(&mending, "no peer", now + 1), EG_MEND_WAIT);
	now += AGAIN;
	assert_int_equal(eg_mend_next(&mending, "no peer", now), EG_MEND_SAY);
	/* All was well meanwhile. */
	eg_mend_end(&mending);
	assert_int_equal(eg_mend_next(&mending, "no peer", now + 1), EG_MEND_SAY);
	eg_mend_end(&mending);
}

static void test_long_reasons(void **state)
{
	struct eg_mending mending = {};
	char reason[2048];

	(void)state;
	memset(reason, 'x', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	assert_int_equal(eg_mend_next(&mending, reason, START), EG_MEND_SAY);
	assert_int_equal(eg_mend_next(&mending, reason, START + AGAIN), EG_MEND_SILENT);
	/* One more at the end of many is another reason. */
	reason[sizeof(reason) - 2] = 'y';
	assert_int_equal(eg_mend_next(&mending, reason, START + 2 * AGAIN), EG_MEND_SAY);
	eg_mend_end(&mending);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_said_once),
		cmocka_unit_test(test_said_again_when_it_changes),
		cmocka_unit_test(test_long_reasons),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
