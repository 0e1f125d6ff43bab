// SPDX-License-Identifier: GPL-2.0
/* What holds the layer `netns` of one guard after the other: the same program each time, over the
 * maps of that guard and of no other; and where what was kept of the first cannot be loaded, it is
 * loaded as the first was. */
#include "bed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "kern/features.h"
#include "kern/hold.h"
#include "kern/spare.h"
#include "util/cleanup.h"

#define GUARDS 3

static const char *const lan[] = {"10.77.0.0/16"};
static const char *const names[GUARDS] = {"hold-a", "hold-b", "hold-c"};

static void free_image(struct eg_image **image)
{
	eg_image_free(*image);
}
#define AUTO_BED_IMAGE EG_AUTO(free_image)

static struct eg_pins pins;
static struct bed_container containers[GUARDS];
static struct eg_guard *guards[GUARDS];

static int up(void **state)
{
	AUTO_BED_IMAGE struct eg_image *image = NULL;
	struct eg_error why = {};

	if (bed_up(state) < 0)
		return -1;
	if (!eg_hold_is_possible(&why)) {
		printf("1..0 # SKIP %s\n", why.message);
		bed_down(state);
		exit(0);
	}
	pins = bed_pins();
	image = bed_image(1, lan);
	for (int i = 0; i < GUARDS; i++) {
		containers[i] = bed_container_start(i + 1);
		guards[i] = bed_guard(&pins, names[i], &containers[i], "text", image);
	}
	return 0;
}

static int down(void **state)
{
	for (int i = 0; i < GUARDS; i++) {
		eg_guard_close(guards[i]);
		assert_int_equal(eg_guard_remove(&pins, names[i], NULL), 0);
		bed_container_stop(&containers[i]);
	}
	eg_pins_close(&pins);
	return bed_down(state);
}

struct loaded {
	int prog_fd, own_fd;
};

static struct loaded load(struct eg_guard *guard)
{
	struct loaded loaded = {-1, -1};
	int err = eg_hold_load(guard, &loaded.prog_fd, &loaded.own_fd);

	if (err)
		fail_msg("%s: %s", strerror(-err), eg_libbpf_why());
	return loaded;
}

static void unload(struct loaded *loaded)
{
	close(loaded->prog_fd);
	close(loaded->own_fd);
}

static void assert_over(const struct loaded *loaded, struct eg_guard *guard)
{
	for (enum eg_map map = 0; map < EG_MAP_COUNT; map++)
		assert_int_equal(eg_prog_uses(loaded->prog_fd, guard->maps[map]),
				 eg_hold_maps() >> map & 1);
	assert_int_equal(eg_prog_uses(loaded->prog_fd, loaded->own_fd), 1);
}

static struct bpf_map_info own_map(const struct loaded *loaded)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(loaded->own_fd, &info, &len), 0);
	return info;
}

static void assert_same(const struct loaded *a, const struct loaded *b)
{
	struct bpf_map_info map_a = own_map(a), map_b = own_map(b);

	assert_true(eg_prog_tag(a->prog_fd));
	assert_int_equal(eg_prog_tag(a->prog_fd), eg_prog_tag(b->prog_fd));
	assert_int_equal(map_a.type, map_b.type);
	assert_int_equal(map_a.key_size, map_b.key_size);
	assert_int_equal(map_a.value_size, map_b.value_size);
	assert_int_equal(map_a.max_entries, map_b.max_entries);
	assert_int_equal(map_a.map_flags, map_b.map_flags);
	assert_string_equal(map_a.name, map_b.name);
	assert_int_not_equal(map_a.id, map_b.id);
}

/* How many of this process's descriptors are for types (BTF); `fd` (NULL: not asked): one. */
static size_t types(int *fd)
{
	EG_AUTO_CLOSEDIR DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	char target[64];
	size_t n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

		if (len < 0)
			continue;
		target[len] = '\0';
		if (strcmp(target, "anon_inode:btf") != 0)
			continue;
		n++;
		if (fd)
			*fd = atoi(entry->d_name);
	}
	return n;
}

static void test_each_over_its_own(void **state)
{
	struct loaded loaded[GUARDS];

	(void)state;
	for (int i = 0; i < GUARDS; i++) {
		loaded[i] = load(guards[i]);
		assert_over(&loaded[i], guards[i]);
		if (i)
			assert_same(&loaded[0], &loaded[i]);
	}
	for (int i = 0; i < GUARDS; i++)
		unload(&loaded[i]);
	assert_int_equal(types(NULL), 1);
}

/* What libbpf reads each time, and what was kept of it makes needless. */
static void test_reads_once(void **state)
{
	static const char btf[] = "/sys/kernel/btf/vmlinux";
	struct loaded before = load(guards[0]), after;

	(void)state;
	assert_int_equal(mount("/dev/null", btf, NULL, MS_BIND, NULL), 0);
	after = load(guards[1]);
	assert_int_equal(umount2(btf, MNT_DETACH), 0);
	assert_over(&after, guards[1]);
	assert_same(&before, &after);
	unload(&before);
	unload(&after);
}

/* The types that its functions are told by are gone. */
static void test_falls_back(void **state)
{
	EG_AUTO_CLOSE int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
	EG_AUTO_CLOSE int kept = -1;
	struct loaded before = load(guards[0]), after;
	int fd = -1;

	(void)state;
	assert_int_equal(types(&fd), 1);
	kept = dup(fd);
	assert_int_equal(dup2(nothing, fd), fd);
	after = load(guards[1]);
	assert_over(&after, guards[1]);
	assert_same(&before, &after);
	assert_int_equal(dup2(kept, fd), fd);
	unload(&before);
	unload(&after);
}

/* A map's pin is gone: neither way makes anything of the rest. */
static void test_refuses_a_part(void **state)
{
	struct loaded loaded = {-1, -1};
	int fd = guards[2]->maps[EG_MAP_RULES];
	char path[EG_PIN_PATH_LEN];

	(void)state;
	eg_guard_rest(guards[2]);
	fd = bpf_obj_get(eg_pin_path(path, guards[2]->dir_fd, "rules"));
	assert_true(fd >= 0);
	assert_int_equal(unlinkat(guards[2]->dir_fd, "rules", 0), 0);
	assert_true(eg_hold_load(guards[2], &loaded.prog_fd, &loaded.own_fd) < 0);
	assert_int_equal(loaded.prog_fd, -1);
	assert_int_equal(loaded.own_fd, -1);
	assert_int_equal(bpf_obj_pin(fd, eg_pin_path(path, guards[2]->dir_fd, "rules")), 0);
	close(fd);
	loaded = load(guards[2]);
	unload(&loaded);
}

/* Several at the same time, one of which there is not: each is for its own guard alone. */
static void test_together(void **state)
{
	static const char *const with_none[] = {"hold-c", "hold-none", "hold-a"};

	(void)state;
	assert_int_equal(eg_spares_hold(bed_pin_dir, with_none, 3), 2);
	assert_null(eg_spare_take_hold(guards[1]));
	for (int i = 0; i < GUARDS; i += 2) {
		struct eg_hold *hold = eg_spare_take_hold(guards[i]);

		assert_non_null(hold);
		assert_true(eg_hold_id(hold));
		eg_hold_close(hold);
		assert_null(eg_spare_take_hold(guards[i]));
	}
}

/* --- links of others -----------------------------------------------------------------------------
 */

static bool links_end;

/* Links on the test's own loopback, which pass everything, one after the other. */
static void *make_links(void *argument)
{
	static const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	EG_AUTO_CLOSE int prog_fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, 2, NULL);
	unsigned int *made = argument;

	while (!__atomic_load_n(&links_end, __ATOMIC_RELAXED)) {
		EG_AUTO_CLOSE int fd = bpf_link_create(prog_fd, 1, BPF_XDP, NULL);

		*made += fd >= 0;
	}
	return NULL;
}

static void test_links_in_the_making(void **state)
{
	unsigned int made = 0;
	pthread_t maker;

	(void)state;
	links_end = false;
	assert_int_equal(pthread_create(&maker, NULL, make_links, &made), 0);
	for (int i = 0; i < 2000; i++) {
		EG_AUTO_HOLDS struct eg_holds *holds = NULL;

		assert_int_equal(eg_holds_get(&holds), 0);
	}
	__atomic_store_n(&links_end, true, __ATOMIC_RELAXED);
	pthread_join(maker, NULL);
	assert_true(made > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_over_its_own),
		cmocka_unit_test(test_reads_once),
		cmocka_unit_test(test_falls_back),
		cmocka_unit_test(test_refuses_a_part),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_links_in_the_making),
	};

	return cmocka_run_group_tests_name("hold", tests, up, down);
}
