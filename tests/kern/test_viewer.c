// SPDX-License-Identifier: GPL-2.0
/* Viewers: each sees every event; killed ones are skipped and their slots taken; none writes over
 * another's heartbeat. */
#include "bed.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

static void free_image(struct eg_image **image)
{
	eg_image_free(*image);
}
#define AUTO_BED_IMAGE EG_AUTO(free_image)

static const char *const lan[] = {"10.77.0.0/16"};

struct bed {
	struct eg_pins pins;
	struct bed_container container;
	struct eg_guard *guard;
};

static struct bed bed_start(void)
{
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed bed = {.pins = bed_pins(), .container = bed_container_start(0)};

	bed.guard = bed_guard(&bed.pins, "viewed", &bed.container, "x", image);
	return bed;
}

static void bed_end(struct bed *bed)
{
	eg_guard_close(bed->guard);
	assert_int_equal(eg_guard_remove(&bed->pins, "viewed", NULL), 0);
	bed_container_stop(&bed->container);
	eg_pins_close(&bed->pins);
}

static int count_event(const struct eg_event *event, void *argument)
{
	size_t *n = argument;

	assert_int_equal(event->reason, EG_REASON_PUBLIC);
	assert_int_equal(event->layer, EG_LAYER_DEVICE);
	(*n)++;
	return 0;
}

static int stop_at_third(const struct eg_event *event, void *argument)
{
	size_t *n = argument;

	(void)event;
	return ++*n == 3 ? 42 : 0;
}

static struct eg_viewer *view(struct eg_guard *guard, eg_viewer_event call, void *argument)
{
	struct eg_viewer *viewer = NULL;
	struct eg_error error = {};

	if (eg_viewer_open(guard, call, argument, &viewer, &error))
		fail_msg("%s", error.message);
	return viewer;
}

static __u64 beat_of(struct eg_guard *guard, __u32 slot)
{
	struct eg_viewer_beats beats;
	__u32 zero = 0;

	assert_int_equal(bpf_map_lookup_elem(guard->maps[EG_MAP_VIEWER_BEATS], &zero, &beats), 0);
	return beats.beat_ns[slot];
}

static void set_beat(struct eg_guard *guard, __u32 slot, __u64 beat_ns)
{
	struct eg_viewer_beats *beats =
		mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED,
		     guard->maps[EG_MAP_VIEWER_BEATS], 0);

	assert_true(beats != MAP_FAILED);
	beats->beat_ns[slot] = beat_ns;
	munmap(beats, (size_t)sysconf(_SC_PAGESIZE));
}

static bool has_ring(struct eg_guard *guard, __u32 slot)
{
	__u32 id;

	return bpf_map_lookup_elem(guard->maps[EG_MAP_VIEWERS], &slot, &id) == 0;
}

static void test_two(void **state)
{
	struct bed bed = bed_start();
	size_t first_n = 0, second_n = 0;
	struct eg_viewer *first = view(bed.guard, count_event, &first_n);
	struct eg_viewer *second = view(bed.guard, count_event, &second_n);
	struct pollfd poll_fd = {.fd = eg_viewer_fd(first), .events = POLLIN};

	(void)state;
	assert_int_equal(poll(&poll_fd, 1, 0), 0);
	bed_send(&bed.container, "198.51.100.7", 100);
	bed_send(&bed.container, "10.77.0.1", 10); /* allowed: no event */
	assert_int_equal(poll(&poll_fd, 1, 1000), 1);
	assert_int_equal(eg_viewer_consume(first), 100);
	assert_int_equal(eg_viewer_consume(second), 100);
	assert_int_equal(first_n, 100);
	assert_int_equal(second_n, 100);
	assert_int_equal(eg_viewer_beat(first), 0);
	eg_viewer_close(first);
	assert_false(has_ring(bed.guard, 0));
	assert_int_equal(beat_of(bed.guard, 0), 0);
	bed_send(&bed.container, "198.51.100.7", 7);
	assert_int_equal(eg_viewer_consume(second), 7);
	assert_int_equal(eg_viewer_lost(second), 0);
	eg_viewer_close(second);
	bed_end(&bed);
}

static void test_stop(void **state)
{
	struct bed bed = bed_start();
	size_t n = 0;
	struct eg_viewer *viewer = view(bed.guard, stop_at_third, &n);

	(void)state;
	bed_send(&bed.container, "198.51.100.7", 5);
	assert_int_equal(eg_viewer_consume(viewer), 42);
	assert_int_equal(n, 3);
	assert_int_equal(eg_viewer_consume(viewer), 2);
	eg_viewer_close(viewer);
	bed_end(&bed);
}

/* delivered + lost = blocked, exactly */
static void test_lost(void **state)
{
	const unsigned int blocked = 60000; /* more than 8 MiB hold */
	struct bed bed = bed_start();
	size_t n = 0;
	struct eg_viewer *viewer = view(bed.guard, count_event, &n);

	(void)state;
	for (unsigned int sent = 0; sent < blocked; sent += 10000) {
		bed_send(&bed.container, "198.51.100.7", 10000);
		assert_int_equal(eg_viewer_beat(viewer), 0);
	}
	eg_viewer_consume(viewer);
	assert_true(eg_viewer_lost(viewer) > 0);
	assert_int_equal(n + eg_viewer_lost(viewer), blocked);
	eg_viewer_close(viewer);
	/* The next one does not inherit what this one lost. */
	viewer = view(bed.guard, count_event, &n);
	assert_int_equal(eg_viewer_lost(viewer), 0);
	eg_viewer_close(viewer);
	bed_end(&bed);
}

static void test_all_slots(void **state)
{
	struct bed bed = bed_start();
	struct eg_viewer *viewers[EG_VIEWERS], *more = NULL;
	struct eg_error error = {};
	size_t n[EG_VIEWERS] = {};

	(void)state;
	for (size_t i = 0; i < EG_VIEWERS; i++)
		viewers[i] = view(bed.guard, count_event, &n[i]);
	assert_int_equal(eg_viewer_open(bed.guard, count_event, NULL, &more, &error), -EBUSY);
	assert_non_null(strstr(error.message, "16"));
	bed_send(&bed.container, "198.51.100.7", 5);
	for (size_t i = 0; i < EG_VIEWERS; i++) {
		assert_int_equal(eg_viewer_consume(viewers[i]), 5);
		eg_viewer_close(viewers[i]);
	}
	bed_end(&bed);
}

/* One that slept for too long loses its slot to another, notices, and takes a new one. */
static void test_taken_over(void **state)
{
	struct bed bed = bed_start();
	size_t slow_n = 0, quick_n = 0;
	struct eg_viewer *slow = view(bed.guard, count_event, &slow_n), *quick;
	__u64 stale = eg_monotonic_ns() - 2 * EG_VIEWER_STALE_NS;

	(void)state;
	set_beat(bed.guard, 0, stale);
	bed_send(&bed.container, "198.51.100.7", 3); /* stale: skipped */
	assert_int_equal(eg_viewer_consume(slow), 0);
	quick = view(bed.guard, count_event, &quick_n);
	assert_true(beat_of(bed.guard, 0) > stale);
	assert_int_equal(beat_of(bed.guard, 1), 0);
	assert_int_equal(eg_viewer_beat(slow), 0);
	assert_true(beat_of(bed.guard, 1) > stale);
	bed_send(&bed.container, "198.51.100.7", 3);
	assert_int_equal(eg_viewer_consume(slow), 3);
	assert_int_equal(eg_viewer_consume(quick), 3);
	eg_viewer_close(slow);
	bed_send(&bed.container, "198.51.100.7", 3);
	assert_int_equal(eg_viewer_consume(quick), 3);
	eg_viewer_close(quick);
	bed_end(&bed);
}

static void test_killed(void **state)
{
	struct bed bed = bed_start();
	struct eg_viewer *viewer;
	size_t n = 0;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		view(bed.guard, count_event, &n);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(has_ring(bed.guard, 0));
	assert_int_equal(eg_viewers_reclaim(bed.guard), 0); /* it may only be slow */
	set_beat(bed.guard, 0, eg_monotonic_ns() - EG_VIEWER_STALE_NS);
	assert_int_equal(eg_viewers_reclaim(bed.guard), 1);
	assert_false(has_ring(bed.guard, 0));
	assert_int_equal(beat_of(bed.guard, 0), 0);
	viewer = view(bed.guard, count_event, &n);
	assert_int_equal(eg_viewers_reclaim(bed.guard), 0);
	eg_viewer_close(viewer);
	bed_end(&bed);
}

/* Many processes that come, beat and go at once: each has a slot of its own while it is there, and
 * all are free in the end. */
static void come_and_go(struct eg_guard *guard, unsigned int seed)
{
	for (int round = 0; round < 20; round++) {
		struct eg_viewer *viewer = NULL;
		size_t n = 0;

		if (eg_viewer_open(guard, count_event, &n, &viewer, NULL))
			_exit(1);
		for (int i = 0; i < 200; i++) {
			if (eg_viewer_beat(viewer))
				_exit(2);
			if (rand_r(&seed) % 64 == 0)
				usleep(100);
		}
		eg_viewer_close(viewer);
	}
	_exit(0);
}

static void test_at_once(void **state)
{
	struct bed bed = bed_start();
	pid_t pids[8];

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			come_and_go(bed.guard, i);
	}
	for (size_t i = 0; i < 8; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	for (__u32 slot = 0; slot < EG_VIEWERS; slot++) {
		assert_int_equal(beat_of(bed.guard, slot), 0);
		assert_false(has_ring(bed.guard, slot));
	}
	bed_end(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two),        cmocka_unit_test(test_stop),
		cmocka_unit_test(test_lost),       cmocka_unit_test(test_all_slots),
		cmocka_unit_test(test_taken_over), cmocka_unit_test(test_killed),
		cmocka_unit_test(test_at_once),
	};

	return cmocka_run_group_tests_name("viewer", tests, bed_up, bed_down);
}
