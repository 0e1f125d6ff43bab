// SPDX-License-Identifier: GPL-2.0
/* The layer `socket`: one set for all guards of a pin directory, and each guard's place in it. */
#include "bed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

static const char *const lan[] = {"10.77.0.0/16"};

static void free_image(struct eg_image **image)
{
	eg_image_free(*image);
}
#define AUTO_BED_IMAGE EG_AUTO(free_image)

static void skip_without_cgroup2(void)
{
	const char *obstacle = eg_sockets_obstacle();

	if (!obstacle)
		return;
	print_message("%s\n", obstacle);
	skip();
}

static void cover(struct eg_guard *guard, const struct bed_container *container)
{
	struct eg_error error = {};

	if (eg_guard_cover_sockets(guard, &container->netns, &error) != 0)
		fail_msg("%s", error.message);
}

static enum eg_sockets_state state_of(struct eg_guard *guard)
{
	const char *missing;

	return eg_guard_sockets_state(guard, &missing);
}

static int open_shared(struct eg_pins *pins, const char *pin)
{
	char path[EG_PIN_PATH_LEN];
	EG_AUTO_CLOSE int dir_fd = openat(pins->dir_fd, "_shared", O_RDONLY | O_DIRECTORY);
	int fd = bpf_obj_get(eg_pin_path(path, dir_fd, pin));

	assert_true(fd >= 0);
	return fd;
}

/* How many guards there are in it, and the index of the last one. */
static unsigned int entries(struct eg_pins *pins, __u32 *ret_index)
{
	EG_AUTO_CLOSE int fd = open_shared(pins, "cookies");
	struct eg_shared_entry entry = {};
	__u64 cookie, *before = NULL;
	unsigned int n = 0;

	for (; bpf_map_get_next_key(fd, before, &cookie) == 0; n++) {
		assert_int_equal(bpf_map_lookup_elem(fd, &cookie, &entry), 0);
		before = &cookie;
	}
	if (ret_index)
		*ret_index = entry.index;
	return n;
}

static void remove_guard(struct eg_pins *pins, const char *name)
{
	struct eg_error error = {};

	if (eg_guard_remove(pins, name, &error) != 0)
		fail_msg("%s", error.message);
}

static void test_life(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container one = bed_container_start(0), two = bed_container_start(1);
	struct eg_guard *first, *second;
	struct bed_ids ids;
	__u32 index = 0, next = 0;

	(void)state;
	skip_without_cgroup2();
	first = bed_guard(&pins, "first", &one, "first", image);
	assert_false(bed_has("_shared"));
	assert_int_equal(state_of(first), EG_SOCKETS_MISSING);
	cover(first, &one);
	cover(first, &one);
	assert_int_equal(state_of(first), EG_SOCKETS_ATTACHED);
	assert_int_equal(entries(&pins, NULL), 1);

	second = bed_guard(&pins, "second", &two, "second", image);
	cover(second, &two);
	assert_int_equal(entries(&pins, NULL), 2);
	ids = bed_ids(second);
	eg_guard_close(second);
	remove_guard(&pins, "second");
	assert_true(bed_ids_gone(&ids));
	assert_int_equal(entries(&pins, &index), 1);
	assert_int_equal(state_of(first), EG_SOCKETS_ATTACHED);

	/* A process may be on its way by the index that was freed. */
	second = bed_guard(&pins, "second", &two, "second", image);
	cover(second, &two);
	eg_guard_close(first);
	remove_guard(&pins, "first");
	assert_int_equal(entries(&pins, &next), 1);
	assert_int_equal(next, index + 2);
	assert_int_equal(state_of(second), EG_SOCKETS_ATTACHED);
	eg_guard_close(second);
	remove_guard(&pins, "second");
	assert_int_equal(bed_entries(), 0);
	bed_container_stop(&one);
	bed_container_stop(&two);
}

/* The new one takes the old one's place, so that the end of the old one takes nothing away. */
static void test_new_beside_old(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_meta meta = bed_meta("twice", &container);
	struct eg_guard *old, *new = NULL;
	struct eg_error error = {};
	__u32 index = 0, same = 1;

	(void)state;
	skip_without_cgroup2();
	old = bed_guard(&pins, "twice", &container, "old", image);
	cover(old, &container);
	entries(&pins, &index);
	assert_int_equal(eg_guard_create(&pins, &meta, "new", image, &new, &error), 0);
	bed_cover(new, &container);
	cover(new, &container);
	assert_int_equal(entries(&pins, &same), 1);
	assert_int_equal(same, index);
	assert_int_equal(eg_guard_commit(new, &error), 0);
	assert_int_equal(state_of(new), EG_SOCKETS_ATTACHED);
	assert_int_equal(state_of(old), EG_SOCKETS_MISSING);
	eg_guard_close(old);
	eg_guard_close(new);
	remove_guard(&pins, "twice");
	assert_int_equal(bed_entries(), 0);
	bed_container_stop(&container);
}

/* Nobody is left who would call what a guard that was never committed has put in. */
static void test_aborted(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_meta meta = bed_meta("aborted", &container);
	struct eg_guard *guard = NULL;
	struct eg_error error = {};
	struct bed_ids ids;

	(void)state;
	skip_without_cgroup2();
	assert_int_equal(eg_guard_create(&pins, &meta, "text", image, &guard, &error), 0);
	cover(guard, &container);
	ids = bed_ids(guard);
	eg_guard_abort(guard);
	eg_guard_close(guard);
	assert_true(bed_ids_gone(&ids));
	assert_int_equal(bed_entries(), 0);
	bed_container_stop(&container);
}

/* Pins that somebody removed by hand leave an entry of nobody's: the next sweep clears it. */
static void test_orphan(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container one = bed_container_start(0), two = bed_container_start(1);
	struct eg_guard *orphan, *other;
	struct bed_ids ids;

	(void)state;
	skip_without_cgroup2();
	orphan = bed_guard(&pins, "orphan", &one, "text", image);
	other = bed_guard(&pins, "other", &two, "text", image);
	cover(orphan, &one);
	cover(other, &two);
	/* A clsact filter, which no pin holds, keeps the others. */
	ids = (struct bed_ids){
		.progs = {
			[EG_PROG_SOCK_CREATE] = orphan->prog_ids[EG_PROG_SOCK_CREATE],
			[EG_PROG_CONNECT4] = orphan->prog_ids[EG_PROG_CONNECT4],
			[EG_PROG_CONNECT6] = orphan->prog_ids[EG_PROG_CONNECT6],
		}};
	eg_guard_close(orphan);
	bed_run(NULL, "rm -r %s/orphan", bed_pin_dir);
	assert_int_equal(eg_pins_sweep(&pins), 0);
	assert_int_equal(entries(&pins, NULL), 1);
	assert_true(bed_ids_gone(&ids));
	assert_int_equal(state_of(other), EG_SOCKETS_ATTACHED);
	eg_guard_close(other);
	bed_run(NULL, "rm -r %s/other", bed_pin_dir);
	assert_int_equal(eg_pins_sweep(&pins), 0);
	assert_int_equal(bed_entries(), 0);
	bed_container_stop(&one);
	bed_container_stop(&two);
}

/* A set of another version is made anew; guards of this version are put in again one by one. */
static void test_other_version(void **state)
{
	const struct eg_shared_meta other = {EG_ABI_MAGIC, EG_SHARED_VERSION + 1, 0, 0};
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_guard *guard;
	__u32 zero = 0;
	int fd;

	(void)state;
	skip_without_cgroup2();
	guard = bed_guard(&pins, "version", &container, "text", image);
	cover(guard, &container);
	fd = open_shared(&pins, "shared_meta");
	assert_int_equal(bpf_map_update_elem(fd, &zero, &other, BPF_ANY), 0);
	close(fd);
	assert_int_equal(state_of(guard), EG_SOCKETS_MISSING);
	cover(guard, &container);
	assert_int_equal(state_of(guard), EG_SOCKETS_ATTACHED);
	assert_int_equal(entries(&pins, NULL), 1);
	eg_guard_close(guard);
	remove_guard(&pins, "version");
	assert_int_equal(bed_entries(), 0);
	bed_container_stop(&container);
}

/* What is in its place is not touched, and the guard does without. */
static void test_foreign(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_error error = {};
	struct eg_guard *guard;
	char path[256];
	int fd;

	(void)state;
	skip_without_cgroup2();
	guard = bed_guard(&pins, "foreign", &container, "text", image);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "foreign", 4, 4, 1, NULL);
	assert_true(fd >= 0);
	snprintf(path, sizeof(path), "%s/_shared", bed_pin_dir);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
	close(fd);
	assert_int_equal(eg_guard_cover_sockets(guard, &container.netns, &error), -EOPNOTSUPP);
	assert_non_null(strstr(error.message, "_shared"));
	eg_guard_close(guard);
	remove_guard(&pins, "foreign");
	assert_true(bed_has("_shared"));
	bed_run(NULL, "rm %s/_shared", bed_pin_dir);
	bed_container_stop(&container);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),          cmocka_unit_test(test_new_beside_old),
		cmocka_unit_test(test_aborted),       cmocka_unit_test(test_orphan),
		cmocka_unit_test(test_other_version), cmocka_unit_test(test_foreign),
	};

	return cmocka_run_group_tests_name("sockets", tests, bed_up, bed_down);
}
