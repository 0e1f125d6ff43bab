// SPDX-License-Identifier: GPL-2.0
/* Each pin of a guard has something else put in its place, which is of the same kind and says the
 * same: it must be told. */
#include "bed.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "kern/features.h"
#include "kern/hold.h"
#include "util/cleanup.h"

static const char *const lan[] = {"10.77.0.0/16"};

static void free_image(struct eg_image **image)
{
	eg_image_free(*image);
}
#define AUTO_BED_IMAGE EG_AUTO(free_image)

static struct bpf_map_info map_info(int fd)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	return info;
}

/* All programs loaded, those that a namespace has no use for, too. */
static struct eg_guard *whole_guard(struct eg_pins *pins, const struct bed_container *container,
				    const struct eg_image *image)
{
	struct eg_guard *guard = bed_guard(pins, "genuine", container, "text", image);
	struct eg_error error = {};

	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++) {
		int result = eg_guard_need(guard, prog, &error);

		/* Linux 5.10 tells that hook no namespace. */
		if (result && prog != EG_PROG_SETSOCKOPT)
			fail_msg("%s: %s", eg_progs[prog].pin, error.message);
	}
	/* What it says of its programs is in its meta. */
	assert_int_equal(eg_guard_write_meta(guard), 0);
	return guard;
}

static bool with_btf(const struct eg_guard *guard)
{
	return !(eg_guard_meta(guard)->flags & EG_META_NO_CHECKSUM_TEST);
}

/* What this file, and nothing else, says of programs is what the kernel says. `meta` is bound to
 * all of them. */
static void test_uses(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(1);
	struct eg_guard *guard = whole_guard(&pins, &container, image);
	unsigned int wrong = 0;

	(void)state;
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++) {
		for (enum eg_map map = 0; map < EG_MAP_COUNT; map++) {
			bool says = eg_prog_maps(prog, with_btf(guard)) >> map & 1;

			if (guard->progs[prog] < 0 || map == EG_MAP_META)
				continue;
			if (eg_prog_uses(guard->progs[prog], guard->maps[map]) == says)
				continue;
			print_error("%s and %s: not %d\n", eg_progs[prog].pin, eg_maps[map].name,
				    says);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "genuine", NULL), 0);
	bed_container_stop(&container);
}

static void put_in_place(const struct eg_guard *guard, int fd, const char *pin)
{
	char path[EG_PIN_PATH_LEN];

	assert_int_equal(unlinkat(guard->dir_fd, pin, 0), 0);
	assert_int_equal(bpf_obj_pin(fd, eg_pin_path(path, guard->dir_fd, pin)), 0);
}

/* *ret_what: what is told to be another one. */
static int ask(struct eg_pins *pins, const char **ret_what)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	struct eg_error error = {};

	if (eg_guard_open(pins, "genuine", &guard, &error))
		fail_msg("%s", error.message);
	return eg_guard_is_genuine(guard, ret_what);
}

static int copy_of(int map_fd)
{
	const struct bpf_map_info info = map_info(map_fd);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = info.map_flags);
	EG_AUTO_CLOSE int inner_fd = -1;
	EG_AUTO_CLOSE int btf_fd = -1;
	int fd;

	if (info.type == BPF_MAP_TYPE_ARRAY_OF_MAPS) {
		inner_fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "inner", 0, 0, 4096, NULL);
		assert_true(inner_fd >= 0);
		opts.inner_map_fd = (__u32)inner_fd;
	} else if (info.type == BPF_MAP_TYPE_SK_STORAGE) {
		btf_fd = bpf_btf_get_fd_by_id(info.btf_id);
		assert_true(btf_fd >= 0);
		opts.btf_fd = (__u32)btf_fd;
		opts.btf_key_type_id = info.btf_key_type_id;
		opts.btf_value_type_id = info.btf_value_type_id;
	}
	fd = bpf_map_create((enum bpf_map_type)info.type, info.name, info.key_size, info.value_size,
			    info.max_entries, &opts);
	assert_true(fd >= 0);
	return fd;
}

static void test_forged_maps(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(1);
	struct eg_guard *guard = whole_guard(&pins, &container, image);
	unsigned int forged = 0;
	const char *what = NULL;
	__u32 used = 0;

	(void)state;
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++)
		used |= guard->progs[prog] < 0 ? 0 : eg_prog_maps(prog, with_btf(guard));
	assert_int_equal(ask(&pins, &what), 1);
	for (enum eg_map map = 0; map < EG_MAP_COUNT; map++) {
		EG_AUTO_CLOSE int copy = -1;

		if (!(used >> map & 1))
			continue;
		copy = copy_of(guard->maps[map]);
		put_in_place(guard, copy, eg_maps[map].name);
		if (ask(&pins, &what) != 0)
			fail_msg("a forged '%s' is not told", eg_maps[map].name);
		assert_string_equal(what, eg_maps[map].name);
		put_in_place(guard, guard->maps[map], eg_maps[map].name);
		assert_int_equal(ask(&pins, &what), 1);
		forged++;
	}
	assert_true(forged >= (with_btf(guard) ? 18 : 16));
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "genuine", NULL), 0);
	bed_container_stop(&container);
}

static int prog_like(int prog_fd, enum eg_prog prog)
{
	/* r0 = 1; exit */
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1},
		{.code = BPF_JMP | BPF_EXIT},
	};
	static const enum bpf_attach_type attach[EG_PROG_COUNT] = {
		[EG_PROG_SOCK_CREATE] = BPF_CGROUP_INET_SOCK_CREATE,
		[EG_PROG_CONNECT4] = BPF_CGROUP_INET4_CONNECT,
		[EG_PROG_CONNECT6] = BPF_CGROUP_INET6_CONNECT,
		[EG_PROG_SETSOCKOPT] = BPF_CGROUP_SETSOCKOPT,
		[EG_PROG_CGROUP] = BPF_CGROUP_INET_EGRESS,
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach[prog]);
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	int fd;

	assert_int_equal(bpf_obj_get_info_by_fd(prog_fd, &info, &len), 0);
	fd = bpf_prog_load((enum bpf_prog_type)info.type, info.name, "GPL", code, 2, &opts);
	assert_true(fd >= 0);
	return fd;
}

static void test_forged_progs(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(1);
	struct eg_guard *guard = whole_guard(&pins, &container, image);
	const char *what = NULL;

	(void)state;
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++) {
		EG_AUTO_CLOSE int other = -1;

		if (guard->progs[prog] < 0)
			continue;
		other = prog_like(guard->progs[prog], prog);
		put_in_place(guard, other, eg_progs[prog].pin);
		if (ask(&pins, &what) != 0)
			fail_msg("a forged '%s' is not told", eg_progs[prog].pin);
		assert_string_equal(what, eg_progs[prog].pin);
		put_in_place(guard, guard->progs[prog], eg_progs[prog].pin);
		assert_int_equal(ask(&pins, &what), 1);
	}
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "genuine", NULL), 0);
	bed_container_stop(&container);
}

/* --- the layer `netns`, which has no pin ------------------------------------------------------ */

static struct eg_held held_by(struct eg_guard *guard)
{
	EG_AUTO_HOLDS struct eg_holds *holds = NULL;
	struct eg_held held = {};

	assert_int_equal(eg_holds_get(&holds), 0);
	assert_int_equal(eg_holds_of(holds, guard, &held), 0);
	return held;
}

/* Others on this machine look through its links, too, and keep one for that moment. */
static void assert_held(struct eg_guard *guard, unsigned int own, unsigned int others)
{
	struct eg_held held = held_by(guard);

	for (int i = 0; i < 100 && (held.ipv4 != own || held.ipv6 != own || held.others != others);
	     i++) {
		usleep(20 * 1000);
		held = held_by(guard);
	}
	assert_int_equal(held.ipv4, own);
	assert_int_equal(held.ipv6, own);
	assert_int_equal(held.others, others);
}

/* A program counts as the holder's if the guard names it and it reads the guard's own tables. */
static void test_forged_holder(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(1);
	struct eg_guard *guard = bed_guard(&pins, "genuine", &container, "text", image);
	struct eg_hold *first = NULL, *second = NULL;
	struct eg_meta meta = *eg_guard_meta(guard);
	struct eg_error error = {};
	int err = eg_hold_open(guard, &container.netns, &first, &error);
	EG_AUTO_CLOSE int hold_prog = err ? -1 : bpf_prog_get_fd_by_id(eg_hold_id(first));

	(void)state;
	if (err == 0) {
		assert_held(guard, 0, 2);
		meta.hold_prog_id = eg_hold_id(first);
		assert_int_equal(eg_guard_set_meta(guard, &meta), 0);
		assert_held(guard, 1, 0);
		assert_int_equal(eg_hold_open(guard, &container.netns, &second, &error), 0);
		assert_held(guard, 1, 2);
		for (enum eg_map map = 0; map < EG_MAP_COUNT; map++) {
			int own = guard->maps[map];

			guard->maps[map] = copy_of(own);
			guard->map_ids[map] = 0;
			if (eg_hold_maps() >> map & 1)
				assert_held(guard, 0, map == EG_MAP_CONTROL ? 0 : 4);
			else
				assert_int_equal(eg_prog_uses(hold_prog, own), 0);
			close(guard->maps[map]);
			guard->maps[map] = own;
			guard->map_ids[map] = 0;
		}
		assert_held(guard, 1, 2);
		eg_hold_close(first);
		assert_held(guard, 0, 2);
		eg_hold_close(second);
		assert_held(guard, 0, 0);
	}
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "genuine", NULL), 0);
	bed_container_stop(&container);
	if (err)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uses),
		cmocka_unit_test(test_forged_maps),
		cmocka_unit_test(test_forged_progs),
		cmocka_unit_test(test_forged_holder),
	};

	return cmocka_run_group_tests(tests, bed_up, bed_down);
}
