// SPDX-License-Identifier: GPL-2.0
/* What the daemon decides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/plan.h"

#define N_TARGETS 3
#define N_GUARDS  6

static void wants_a_guard_where_its_target_is(void **state)
{
	(void)state;
	struct eg_plan_facts facts = {.wanted = true, .target = EG_PLAN_TARGET_HERE};

	facts.guard = EG_PLAN_GUARD_NONE;
	assert_int_equal(eg_plan_next(&facts), EG_PLAN_ATTACH);
	facts.guard = EG_PLAN_GUARD_DEAD;
	assert_int_equal(eg_plan_next(&facts), EG_PLAN_ATTACH);
	facts.guard = EG_PLAN_GUARD_UNREADABLE;
	assert_int_equal(eg_plan_next(&facts), EG_PLAN_ATTACH);
	facts.guard = EG_PLAN_GUARD_OLDER;
	assert_int_equal(eg_plan_next(&facts), EG_PLAN_ATTACH);
}

static void keeps_what_guards_another_namespace(void **state)
{
	(void)state;
	struct eg_plan_facts facts = {.wanted = true,
				      .target = EG_PLAN_TARGET_HERE,
				      .guard = EG_PLAN_GUARD_ELSEWHERE,
				      .followed = true};

	assert_int_equal(eg_plan_next(&facts), EG_PLAN_ASIDE);
	facts.followed = false;
	facts.policy_is_new = true;
	assert_int_equal(eg_plan_next(&facts), EG_PLAN_ASIDE);
}

static void attaches_again_where_something_changed(void **state)
{
	(void)state;
	const struct eg_plan_facts well = {.wanted = true,
					   .target = EG_PLAN_TARGET_HERE,
					   .guard = EG_PLAN_GUARD_ON_IT,
					   .followed = true};
	struct eg_plan_facts facts = well;

	assert_int_equal(eg_plan_next(&facts), EG_PLAN_REST);
	facts.policy_is_new = true;
	assert_int_equal(eg_plan_next(&facts), EG_PLAN_ATTACH);
	facts = well;
	facts.is_damaged = true;
	assert_int_equal(eg_plan_next(&facts), EG_PLAN_ATTACH);
	facts = well;
	facts.has_changed = true;
	assert_int_equal(eg_plan_next(&facts), EG_PLAN_ATTACH);
}

static void follows_what_is_in_force(void **state)
{
	(void)state;
	struct eg_plan_facts facts = {
		.wanted = true, .target = EG_PLAN_TARGET_HERE, .guard = EG_PLAN_GUARD_ON_IT};

	assert_int_equal(eg_plan_next(&facts), EG_PLAN_FOLLOW);
	facts.others_follow = true;
	assert_int_equal(eg_plan_next(&facts), EG_PLAN_REST);
	facts.others_follow = false;
	/* Before anything else is done to it. */
	facts.policy_is_new = true;
	assert_int_equal(eg_plan_next(&facts), EG_PLAN_ATTACH);
	/* An engine that does not answer is no reason to let go. */
	facts.target = EG_PLAN_TARGET_UNKNOWN;
	facts.guard = EG_PLAN_GUARD_ELSEWHERE;
	assert_int_equal(eg_plan_next(&facts), EG_PLAN_FOLLOW);
	facts.followed = true;
	assert_int_equal(eg_plan_next(&facts), EG_PLAN_WAIT);
}

/* Whatever else is known. */
static void puts_nothing_in_force_that_no_file_asks_for(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < N_TARGETS * N_GUARDS * 32; i++) {
		const struct eg_plan_facts facts = {
			.target = (enum eg_plan_target)(i % N_TARGETS),
			.guard = (enum eg_plan_guard)(i / N_TARGETS % N_GUARDS),
			.policy_is_new = i / (N_TARGETS * N_GUARDS) & 1,
			.is_damaged = i / (N_TARGETS * N_GUARDS) & 2,
			.has_changed = i / (N_TARGETS * N_GUARDS) & 4,
			.followed = i / (N_TARGETS * N_GUARDS) & 8,
			.others_follow = i / (N_TARGETS * N_GUARDS) & 16,
		};
		enum eg_plan_step step = eg_plan_next(&facts);

		assert_true(step == EG_PLAN_REST || step == EG_PLAN_FOLLOW ||
			    step == EG_PLAN_RENEW);
		assert_int_equal(step == EG_PLAN_RENEW, facts.guard == EG_PLAN_GUARD_OLDER);
		if (step == EG_PLAN_FOLLOW)
			assert_true(facts.guard == EG_PLAN_GUARD_ON_IT ||
				    facts.guard == EG_PLAN_GUARD_ELSEWHERE);
	}
}

/* Nor where the target is not known to be there. */
static void attaches_to_what_is_there_alone(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < N_GUARDS * 32; i++) {
		struct eg_plan_facts facts = {
			.wanted = true,
			.guard = (enum eg_plan_guard)(i % N_GUARDS),
			.policy_is_new = i / N_GUARDS & 1,
			.is_damaged = i / N_GUARDS & 2,
			.has_changed = i / N_GUARDS & 4,
			.followed = i / N_GUARDS & 8,
			.others_follow = i / N_GUARDS & 16,
		};

		facts.target = EG_PLAN_TARGET_AWAY;
		assert_true(eg_plan_next(&facts) == EG_PLAN_REST ||
			    eg_plan_next(&facts) == EG_PLAN_FOLLOW);
		facts.target = EG_PLAN_TARGET_UNKNOWN;
		assert_true(eg_plan_next(&facts) == EG_PLAN_WAIT ||
			    eg_plan_next(&facts) == EG_PLAN_FOLLOW);
	}
}

static void tells_what_became_of_a_file(void **state)
{
	(void)state;
	assert_int_equal(eg_plan_file(NULL, "a", false), EG_PLAN_FILE_NEW);
	assert_int_equal(eg_plan_file("a", "a", false), EG_PLAN_FILE_SAME);
	assert_int_equal(eg_plan_file("a", "b", false), EG_PLAN_FILE_CHANGED);
	assert_int_equal(eg_plan_file("a", NULL, true), EG_PLAN_FILE_BAD);
	assert_int_equal(eg_plan_file(NULL, NULL, true), EG_PLAN_FILE_NEVER_READ);
	assert_int_equal(eg_plan_file("a", NULL, false), EG_PLAN_FILE_GONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wants_a_guard_where_its_target_is),
		cmocka_unit_test(keeps_what_guards_another_namespace),
		cmocka_unit_test(attaches_again_where_something_changed),
		cmocka_unit_test(follows_what_is_in_force),
		cmocka_unit_test(puts_nothing_in_force_that_no_file_asks_for),
		cmocka_unit_test(attaches_to_what_is_there_alone),
		cmocka_unit_test(tells_what_became_of_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
