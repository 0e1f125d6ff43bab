// SPDX-License-Identifier: GPL-2.0
/* A guard whose descriptors are at rest does all that one does whose are open, and takes nothing
 * for its own that somebody has put in the place of a pin meanwhile. */
#include "bed.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "kern/hold.h"
#include "util/cleanup.h"

static const char *const lan[] = {"10.77.0.0/16"};
static const char *const other_lan[] = {"10.77.0.0/16", "10.88.0.0/16"};

static void free_image(struct eg_image **image)
{
	eg_image_free(*image);
}
#define AUTO_BED_IMAGE EG_AUTO(free_image)

static size_t descriptors(void)
{
	EG_AUTO_CLOSEDIR DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	return n;
}

static void test_closes(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(1);
	size_t before = descriptors();
	struct eg_guard *guard = bed_guard(&pins, "rest", &container, "text", image);

	(void)state;
	assert_true(descriptors() >= before + EG_MAP_COUNT);
	eg_guard_rest(guard);
	assert_int_equal(descriptors(), before + 3); /* the root, its directory, the identity */
	assert_int_equal(eg_guard_refresh(guard), 0);
	assert_int_equal(eg_guard_is_current(guard), 1);
	assert_int_equal(descriptors(), before + 3);
	eg_guard_close(guard);
	assert_int_equal(descriptors(), before);
	assert_int_equal(eg_guard_remove(&pins, "rest", NULL), 0);
	bed_container_stop(&container);
}

static void assert_counted(struct eg_guard *guard, enum eg_reason reason, __u64 packets)
{
	struct eg_counter counters[EG_COUNTERS_ALL];

	assert_int_equal(eg_guard_counters(guard, counters), 0);
	assert_int_equal(counters[eg_counter_index(EG_LAYER_DEVICE, 0, reason)].packets +
				 counters[eg_counter_index(EG_LAYER_DEVICE, 1, reason)].packets,
			 packets);
}

static void test_wakes(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	AUTO_BED_IMAGE struct eg_image *other = bed_image(2, other_lan);
	struct bed_container container = bed_container_start(1);
	struct eg_guard *guard = bed_guard(&pins, "rest", &container, "text", image);
	EG_AUTO_FREE char *text = NULL;
	const char *what = NULL;
	struct eg_error error = {};
	struct eg_hold *hold = NULL;
	size_t len = 0;
	bool tcx;
	int err;

	(void)state;
	guard->grace_ns = 0;
	eg_guard_rest(guard);
	assert_int_equal(eg_guard_is_genuine(guard, &what), 1);
	eg_guard_rest(guard);
	assert_int_equal(eg_guard_replace(guard, "another", other, &error), 0);
	eg_guard_rest(guard);
	assert_int_equal(eg_guard_policy(guard, &text, &len), 0);
	assert_string_equal(text, "another");
	eg_guard_rest(guard);
	assert_int_equal(eg_guard_check(guard, other, &what), 1);
	assert_int_equal(eg_guard_check(guard, image, &what), 0);

	eg_guard_rest(guard);
	assert_int_equal(eg_guard_uncover(guard, &container.netns, &container.link), 0);
	assert_int_equal(eg_guard_device_state(guard, &container.netns, &container.link, &tcx),
			 EG_COVER_NONE);
	eg_guard_rest(guard);
	bed_cover(guard, &container);
	eg_guard_rest(guard);
	bed_send(&container, "198.51.100.7", 3);
	assert_counted(guard, EG_REASON_PUBLIC, 3);

	/* Loaded only now, over maps that are at rest. */
	eg_guard_rest(guard);
	assert_int_equal(eg_guard_need(guard, EG_PROG_DEVICE_L3, &error), 0);
	eg_guard_rest(guard);
	err = eg_hold_open(guard, &container.netns, &hold, &error);
	assert_true(err == 0 || err == -EOPNOTSUPP);
	eg_hold_close(hold);
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "rest", NULL), 0);
	bed_container_stop(&container);
}

static void put_in_place(const struct eg_guard *guard, int fd, const char *pin)
{
	char path[EG_PIN_PATH_LEN];

	assert_int_equal(unlinkat(guard->dir_fd, pin, 0), 0);
	assert_int_equal(bpf_obj_pin(fd, eg_pin_path(path, guard->dir_fd, pin)), 0);
}

/* Of the same kind as the guard's, and another's. */
static void test_forged(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container one = bed_container_start(1), two = bed_container_start(2);
	struct eg_guard *guard = bed_guard(&pins, "rest", &one, "text", image);
	struct eg_guard *other = bed_guard(&pins, "other", &two, "text", image);
	struct eg_error error = {};

	(void)state;
	eg_guard_rest(guard);
	put_in_place(guard, other->maps[EG_MAP_UNDERLAYS], eg_maps[EG_MAP_UNDERLAYS].name);
	put_in_place(guard, other->progs[EG_PROG_DEVICE], eg_progs[EG_PROG_DEVICE].pin);
	assert_int_equal(eg_guard_map(guard, EG_MAP_UNDERLAYS), -EBADF);
	assert_int_equal(eg_guard_prog(guard, EG_PROG_DEVICE), -EBADF);
	assert_true(eg_guard_has_underlay(guard, &one.netns, &one.link));
	assert_int_not_equal(eg_guard_cover_device(guard, &one.netns, &one.link, &error), 0);
	/* What is on it stays. */
	assert_true(bed_device_covered(&one));
	unlinkat(guard->dir_fd, eg_maps[EG_MAP_CONTROL].name, 0);
	assert_int_equal(eg_guard_map(guard, EG_MAP_CONTROL), -ENOENT);
	assert_int_not_equal(eg_guard_replace(guard, "another", image, &error), 0);
	eg_guard_close(guard);
	eg_guard_close(other);
	assert_int_equal(eg_guard_remove(&pins, "rest", NULL), 0);
	assert_int_equal(eg_guard_remove(&pins, "other", NULL), 0);
	bed_container_stop(&one);
	bed_container_stop(&two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_closes),
		cmocka_unit_test(test_wakes),
		cmocka_unit_test(test_forged),
	};

	return cmocka_run_group_tests(tests, bed_up, bed_down);
}
