// SPDX-License-Identifier: GPL-2.0
/*
 * A namespace `inner` that is mute: what asks it from here gets no answer, and it can be given
 * addresses and routes.
 *
 *   here: out 172.18.0.1/16, fd00:18::1/64  =  eth0 in `inner` (172.18.0.2/16, fd00:18::2/64)
 */
#include "bed.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "net/mute.h"
#include "net/netns.h"

static int set_up(void **state)
{
	(void)state;
	bed_run("ip netns add inner; ip -n inner link set lo up");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	/* First: with its namespace it would go some time later. */
	bed_run("ip link del out 2>/dev/null || :; ip netns del inner");
	return 0;
}

/* As an engine does it. */
static void connect_it(void)
{
	bed_run("ip link add out type veth peer name eth0 netns inner");
	bed_run("ip addr add 172.18.0.1/16 dev out; ip -6 addr add fd00:18::1/64 dev out nodad");
	bed_run("ip link set out up; ip -n inner addr add 172.18.0.2/16 dev eth0");
	bed_run("ip -n inner -6 addr add fd00:18::2/64 dev eth0 nodad");
	bed_run("ip -n inner link set eth0 up");
	bed_run("ip -n inner route get 172.18.0.1; ip -n inner -6 route get fd00:18::1");
	bed_run("ip -n inner route add default via 172.18.0.1");
	bed_run("ip -n inner -6 route add default via fd00:18::1");
}

static bool answers(const char *address)
{
	char command[128];
	int status;

	snprintf(command, sizeof(command), "ping -q -c 1 -W 1 %s >/dev/null", address);
	status = system(command); /* NOLINT(cert-env33-c) */
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Who is asked by a multicast address looks for the way back without a source. Not ourselves: -L.
 */
#define ALL_NODES "-6 -L -I fd00:18::1 ff02::1%out"

static void mute(const struct eg_netns *netns)
{
	struct eg_error error = {};

	assert_int_equal(eg_mute(netns, &error), 0);
}

static void unmute(const struct eg_netns *netns)
{
	struct eg_error error = {};

	assert_int_equal(eg_unmute(netns, &error), 0);
}

static void test_it_answers_nobody(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner");

	(void)state;
	assert_int_equal(eg_is_mute(&inner), 0);
	mute(&inner);
	assert_int_equal(eg_is_mute(&inner), 1);
	connect_it();
	assert_false(answers("172.18.0.2"));
	assert_false(answers("fd00:18::2"));
	assert_false(answers(ALL_NODES));
	unmute(&inner);
	assert_int_equal(eg_is_mute(&inner), 0);
	assert_true(answers("172.18.0.2"));
	assert_true(answers("fd00:18::2"));
	assert_true(answers(ALL_NODES));
}

static void test_twice_is_once(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner");

	(void)state;
	mute(&inner);
	mute(&inner);
	unmute(&inner);
	assert_int_equal(eg_is_mute(&inner), 0);
	unmute(&inner);
	bed_run("test $(ip -n inner rule | wc -l) = 3");
	bed_run("test $(ip -n inner -6 rule | wc -l) = 2");
}

static void *unmute_too(void *netns)
{
	struct eg_error error = {};

	return (void *)(intptr_t)eg_unmute(netns, &error);
}

/* Two containers of one network that start at once. */
static void test_two_at_once(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner");
	pthread_t other;
	void *result;

	(void)state;
	for (int i = 0; i < 100; i++) {
		mute(&inner);
		assert_int_equal(pthread_create(&other, NULL, unmute_too, &inner), 0);
		unmute(&inner);
		assert_int_equal(pthread_join(other, &result), 0);
		assert_null(result);
		assert_int_equal(eg_is_mute(&inner), 0);
	}
}

static bool somebody_is_in(void *netns)
{
	size_t n = 0;
	pid_t pid;

	return eg_netns_pids(netns, &pid, 1, &n) == 0 && n;
}

static void test_one_that_may_send_is_left(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner");
	pid_t runs;

	(void)state;
	connect_it();
	runs = bed_start("inner", NULL, (const char *const[]){"sleep", "900", NULL});
	bed_wait(somebody_is_in, &inner);
	mute(&inner);
	assert_int_equal(eg_is_mute(&inner), 0);
	assert_true(answers("172.18.0.2"));
	bed_stop(runs);
}

/* It is connected to one network after the other before anything runs there. */
static void test_one_that_nobody_is_in_is_muted_again(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner");

	(void)state;
	connect_it();
	mute(&inner);
	assert_int_equal(eg_is_mute(&inner), 1);
	assert_false(answers("172.18.0.2"));
}

static void test_rules_of_others_stay(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner");

	(void)state;
	bed_run("ip -n inner rule add pref 0 blackhole; ip -n inner -6 rule add pref 0 blackhole");
	assert_int_equal(eg_is_mute(&inner), 0);
	unmute(&inner);
	bed_run("ip -n inner rule | grep -q blackhole; ip -n inner -6 rule | grep -q blackhole");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_it_answers_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_twice_is_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_that_may_send_is_left, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_that_nobody_is_in_is_muted_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_rules_of_others_stay, set_up, tear_down),
	};

	bed_check_private();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
