// SPDX-License-Identifier: GPL-2.0
/* A guard's life on a veth: made, covered, committed, opened, replaced, counted, taken away. */
#include "bed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

static const char *const lan[] = {"10.77.0.0/16"};
static const char *const narrow[] = {"10.77.9.0/24"};

static void free_image(struct eg_image **image)
{
	eg_image_free(*image);
}
#define AUTO_BED_IMAGE EG_AUTO(free_image)

static __u64 dropped(struct eg_guard *guard, enum eg_layer layer, enum eg_reason reason)
{
	struct eg_counter counters[EG_COUNTERS_ALL];

	assert_int_equal(eg_guard_counters(guard, counters), 0);
	return counters[eg_counter_index(layer, 0, reason)].packets;
}

static void assert_policy(struct eg_guard *guard, const char *expected)
{
	EG_AUTO_FREE char *text = NULL;
	size_t len = 0;

	assert_int_equal(eg_guard_policy(guard, &text, &len), 0);
	assert_int_equal(len, strlen(expected));
	assert_string_equal(text, expected);
}

static void test_life(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	AUTO_BED_IMAGE struct eg_image *second = bed_image(1, narrow);
	struct bed_container container = bed_container_start(0);
	struct eg_meta meta = bed_meta("life", &container);
	struct eg_guard *guard = NULL, *again = NULL;
	struct eg_recent *recent = NULL;
	struct eg_error error = {};
	struct bed_ids ids;
	bool tcx = false;
	size_t n = 0;

	(void)state;
	assert_int_equal(eg_guard_create(&pins, &meta, "first", image, &guard, &error), 0);
	assert_true(bed_has("_new-life"));
	assert_false(bed_has("life"));
	assert_false(bed_device_covered(&container));
	assert_int_equal(eg_guard_open(&pins, "life", &again, &error), -ENOENT);
	assert_int_equal(error.exit, EG_EXIT_NO_SUCH);
	assert_int_equal(eg_guard_device_state(guard, &container.netns, &container.link, &tcx),
			 EG_COVER_NONE);
	bed_cover(guard, &container);
	bed_cover(guard, &container); /* covered already: nothing happens */
	assert_int_equal(eg_guard_device_state(guard, &container.netns, &container.link, &tcx),
			 EG_COVER_ATTACHED);
	assert_int_equal(tcx, bed_has_tcx());
	assert_int_equal(eg_guard_peer_state(guard, &container.link, &container.peer, &tcx),
			 EG_COVER_ATTACHED);
	assert_int_equal(eg_guard_commit(guard, &error), 0);
	assert_true(bed_has("life"));
	assert_int_equal(bed_entries(), 1);
	assert_int_equal(eg_guard_meta(guard)->generation, 0);
	assert_string_equal(eg_guard_meta(guard)->version, EG_VERSION);
	ids = bed_ids(guard);
	eg_guard_close(guard);

	assert_int_equal(eg_guard_open(&pins, "life", &guard, &error), 0);
	assert_policy(guard, "first");
	assert_false(eg_guard_is_dead(guard));
	bed_send(&container, "198.51.100.7", 3);
	bed_send(&container, "10.77.0.1", 2);
	assert_int_equal(dropped(guard, EG_LAYER_DEVICE, EG_REASON_PUBLIC), 3);
	assert_int_equal(dropped(guard, EG_LAYER_DEVICE, EG_REASON_LAN), 2);
	assert_int_equal(dropped(guard, EG_LAYER_PEER, EG_REASON_LAN), 2);
	assert_int_equal(eg_guard_recent(guard, &recent, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(recent->value.packets, 3);
	assert_int_equal(recent->key.reason, EG_REASON_PUBLIC);
	free(recent);

	guard->grace_ns = 0;
	assert_int_equal(eg_guard_replace(guard, "second, longer", second, &error), 0);
	assert_policy(guard, "second, longer");
	assert_int_equal(eg_guard_meta(guard)->generation, 1);
	bed_send(&container, "10.77.0.1", 2);
	assert_int_equal(dropped(guard, EG_LAYER_DEVICE, EG_REASON_LAN), 2);
	assert_int_equal(dropped(guard, EG_LAYER_DEVICE, EG_REASON_SOURCE), 2);
	assert_int_equal(eg_guard_replace(guard, "3rd", image, &error), 0);
	assert_policy(guard, "3rd");

	assert_int_equal(eg_guard_uncover(guard, &container.netns, &container.link), 0);
	assert_false(bed_device_covered(&container));
	assert_true(bed_peer_covered(&container));
	bed_cover(guard, &container);
	assert_true(bed_device_covered(&container));
	eg_guard_close(guard);

	assert_int_equal(eg_guard_remove(&pins, "life", &error), 0);
	assert_false(bed_device_covered(&container));
	assert_false(bed_peer_covered(&container));
	assert_int_equal(bed_entries(), 0);
	assert_true(bed_ids_gone(&ids));
	assert_int_equal(eg_guard_remove(&pins, "life", &error), -ENOENT);
	assert_int_equal(error.exit, EG_EXIT_NO_SUCH);
	bed_container_stop(&container);
}

/* A second guard of the same name is put beside the first, which then goes; aborted, it goes. */
static void test_new_beside_old(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_meta meta = bed_meta("twice", &container);
	struct eg_guard *first = bed_guard(&pins, "twice", &container, "first", image);
	struct bed_ids ids = bed_ids(first), aborted_ids;
	struct eg_guard *second = NULL;
	struct eg_error error = {};
	bool tcx;

	(void)state;
	assert_int_equal(eg_guard_create(&pins, &meta, "aborted", image, &second, &error), 0);
	bed_cover(second, &container);
	assert_int_equal(eg_guard_device_state(second, &container.netns, &container.link, &tcx),
			 EG_COVER_ATTACHED);
	assert_int_equal(eg_guard_device_state(first, &container.netns, &container.link, &tcx),
			 EG_COVER_BEHIND);
	aborted_ids = bed_ids(second);
	eg_guard_abort(second);
	eg_guard_close(second);
	assert_true(bed_ids_gone(&aborted_ids));
	assert_int_equal(eg_guard_device_state(first, &container.netns, &container.link, &tcx),
			 EG_COVER_ATTACHED);
	eg_guard_close(first);

	second = bed_guard(&pins, "twice", &container, "second", image);
	assert_true(bed_ids_gone(&ids));
	assert_int_equal(bed_entries(), 1);
	assert_policy(second, "second");
	eg_guard_close(second);
	assert_int_equal(eg_guard_remove(&pins, "twice", NULL), 0);
	bed_container_stop(&container);
}

/* What the commands do with a guard whose namespace went. */
static void test_dead(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_guard *guard = bed_guard(&pins, "dead", &container, "x", image);
	bool dead = false;

	(void)state;
	assert_false(eg_guard_is_dead(guard));
	bed_container_stop(&container);
	for (int i = 0; i < 100 && !dead; i++) {
		dead = eg_guard_is_dead(guard);
		usleep(20 * 1000);
	}
	assert_true(dead);
	assert_policy(guard, "x");
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "dead", NULL), 0);
}

/* A pin of an interface that is gone must not stand in the way of one with the same index. */
static void test_index_used_again(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_guard *guard = bed_guard(&pins, "index", &container, "x", image);
	__u32 ifindex = container.link.ifindex;

	(void)state;
	bed_run(NULL, "ip link del host0");
	eg_peer_close(&container.peer);
	bed_run(NULL, "ip link add host0 type veth peer name eth0");
	bed_run(NULL, "ip link del host0");
	bed_run(&container, "ip link add eth0 index %u type veth peer name host0 netns %d", ifindex,
		getpid());
	bed_run(NULL, "ip link set host0 up");
	bed_run(&container, "ip link set eth0 up");
	bed_container_look(&container);
	assert_int_equal(container.link.ifindex, ifindex);
	assert_false(bed_device_covered(&container));
	bed_cover(guard, &container);
	assert_true(bed_device_covered(&container));
	assert_true(bed_peer_covered(&container));
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "index", NULL), 0);
	assert_false(bed_device_covered(&container));
	bed_container_stop(&container);
}

/* In clsact the first filter keeps its place: test_clsact. */
static void test_behind(void **state)
{
	if (!bed_has_tcx())
		skip();
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_guard *guard = bed_guard(&pins, "ours", &container, "x", image);
	struct eg_guard *other = bed_guard(&pins, "other", &container, "x", image);
	bool tcx = false;

	(void)state;
	assert_int_equal(eg_guard_device_state(guard, &container.netns, &container.link, &tcx),
			 EG_COVER_BEHIND);
	assert_int_equal(tcx, bed_has_tcx());
	assert_int_equal(eg_guard_peer_state(guard, &container.link, &container.peer, &tcx),
			 EG_COVER_BEHIND);
	eg_guard_close(guard);
	eg_guard_close(other);
	assert_int_equal(eg_guard_remove(&pins, "ours", NULL), 0);
	assert_true(bed_device_covered(&container));
	assert_int_equal(eg_guard_remove(&pins, "other", NULL), 0);
	bed_container_stop(&container);
}

/* Another ABI: opened only as such, replaced without a gap, removed by the names of its pins. */
static void make_other_abi(struct eg_guard *guard)
{
	guard->meta.abi_version = EG_ABI_VERSION + 1;
	assert_int_equal(eg_guard_write_meta(guard), 0);
}

static void test_other_abi(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_guard *guard = bed_guard(&pins, "abi", &container, "x", image);
	struct bed_ids ids = bed_ids(guard);
	struct eg_guard *other = NULL;
	struct eg_error error = {};

	(void)state;
	make_other_abi(guard);
	eg_guard_close(guard);
	assert_int_equal(eg_guard_open(&pins, "abi", &other, &error), -EPROTO);
	assert_non_null(other);
	assert_int_equal(eg_guard_meta(other)->abi_version, EG_ABI_VERSION + 1);
	assert_int_equal(eg_guard_replace(other, "y", image, &error), -EPROTO);
	eg_guard_close(other);

	guard = bed_guard(&pins, "abi", &container, "y", image);
	assert_true(bed_ids_gone(&ids));
	assert_policy(guard, "y");
	ids = bed_ids(guard);
	make_other_abi(guard);
	eg_guard_close(guard);
	bed_run(NULL, "mv %s/abi/front4 %s/abi/renamed_since", bed_pin_dir, bed_pin_dir);
	assert_int_equal(eg_guard_remove(&pins, "abi", &error), 0);
	assert_true(bed_ids_gone(&ids));
	assert_int_equal(bed_entries(), 0);
	bed_container_stop(&container);
}

/* Nothing that is not ours is touched, whatever it is. */
static void assert_refused(struct eg_pins *pins, const struct bed_container *container,
			   const char *name, const struct eg_image *image)
{
	struct eg_meta meta = bed_meta(name, container);
	struct eg_guard *guard = NULL;
	struct eg_error error = {};

	assert_int_equal(eg_guard_open(pins, name, &guard, &error), -EBADF);
	assert_non_null(strstr(error.message, name));
	assert_int_equal(eg_guard_create(pins, &meta, "x", image, &guard, &error), -EBADF);
	assert_non_null(strstr(error.message, name));
	assert_int_equal(eg_guard_remove(pins, name, &error), -EBADF);
	assert_non_null(strstr(error.message, name));
	assert_null(guard);
}

static void pin_array(const char *path, __u32 value_size)
{
	EG_AUTO_CLOSE int fd =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, "foreign", 4, value_size, 1, NULL);

	assert_true(fd >= 0);
	assert_int_equal(bpf_obj_pin(fd, path), 0);
}

static void test_foreign(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_guard *guard;
	char path[256], extra[300];

	(void)state;
	snprintf(path, sizeof(path), "%s/thing", bed_pin_dir);

	pin_array(path, 4); /* a pin in a guard's place */
	assert_refused(&pins, &container, "thing", image);
	assert_int_equal(unlink(path), 0);

	assert_int_equal(mkdir(path, 0700), 0); /* an empty directory */
	assert_refused(&pins, &container, "thing", image);

	snprintf(extra, sizeof(extra), "%s/other", path); /* without meta */
	pin_array(extra, 4);
	assert_refused(&pins, &container, "thing", image);
	assert_int_equal(unlink(extra), 0);

	snprintf(extra, sizeof(extra), "%s/meta",
		 path); /* a meta without our magic, then too small */
	pin_array(extra, sizeof(struct eg_meta));
	assert_refused(&pins, &container, "thing", image);
	assert_int_equal(unlink(extra), 0);
	pin_array(extra, 4);
	assert_refused(&pins, &container, "thing", image);
	assert_int_equal(unlink(extra), 0);
	assert_int_equal(rmdir(path), 0);

	/* ours, with something strange in it */
	guard = bed_guard(&pins, "thing", &container, "x", image);
	eg_guard_close(guard);
	snprintf(extra, sizeof(extra), "%s/strange", path);
	pin_array(extra, 4);
	assert_refused(&pins, &container, "thing", image);
	assert_true(bed_device_covered(&container));
	assert_int_equal(unlink(extra), 0);
	assert_int_equal(eg_guard_remove(&pins, "thing", NULL), 0);

	/* a pin of ours that another map has taken */
	guard = bed_guard(&pins, "thing", &container, "x", image);
	eg_guard_close(guard);
	snprintf(extra, sizeof(extra), "%s/counters", path);
	assert_int_equal(unlink(extra), 0);
	pin_array(extra, 4);
	assert_int_equal(eg_guard_open(&pins, "thing", &guard, NULL), -EBADF);
	assert_int_equal(eg_guard_remove(&pins, "thing", NULL), 0);

	/* foreign leftovers do not keep others from being swept */
	snprintf(path, sizeof(path), "%s/_new-thing", bed_pin_dir);
	pin_array(path, 4);
	assert_int_equal(eg_pins_sweep(&pins), 0);
	assert_true(bed_has("_new-thing"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(bed_entries(), 0);
	bed_container_stop(&container);
}

/* Without the kernel's BTF all works but the checksum test, which meta says. */
static void test_without_btf(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_guard *guard;

	(void)state;
	if (access("/sys/kernel/btf/vmlinux", R_OK) == 0) {
		guard = bed_guard(&pins, "btf", &container, "x", image);
		assert_int_equal(eg_guard_meta(guard)->flags & EG_META_NO_CHECKSUM_TEST, 0);
		eg_guard_close(guard);
		assert_int_equal(mount("tmpfs", "/sys/kernel/btf", "tmpfs", 0, NULL), 0);
	}
	guard = bed_guard(&pins, "btf", &container, "x", image);
	umount2("/sys/kernel/btf", MNT_DETACH);
	assert_true(eg_guard_meta(guard)->flags & EG_META_NO_CHECKSUM_TEST);
	bed_send(&container, "198.51.100.7", 1);
	assert_int_equal(dropped(guard, EG_LAYER_DEVICE, EG_REASON_PUBLIC), 1);
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "btf", NULL), 0);
	bed_container_stop(&container);
}

/* What few interfaces need is loaded when the first one does, over the guard's own maps; where it
 * cannot be, nothing is on that interface, and that is said. */
static void test_later(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_guard *guard = bed_guard(&pins, "later", &container, "x", image);
	struct eg_link link = container.link;
	struct eg_error error = {};
	bool tcx = false;
	int null_fd;

	(void)state;
	assert_true(bed_has("later/prog_device"));
	assert_false(bed_has("later/prog_device_l3"));
	assert_int_equal(eg_guard_uncover(guard, &container.netns, &link), 0);
	link.link_header = false;

	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(dup3(null_fd, guard->maps[EG_MAP_CONFIG], O_CLOEXEC) >= 0);
	close(null_fd);
	assert_true(eg_guard_cover_device(guard, &container.netns, &link, &error) < 0);
	assert_int_not_equal(error.message[0], 0);
	assert_false(bed_device_covered(&container));
	assert_false(bed_has("later/prog_device_l3"));
	eg_guard_close(guard);

	assert_int_equal(eg_guard_open(&pins, "later", &guard, NULL), 0);
	assert_int_equal(eg_guard_cover_device(guard, &container.netns, &link, NULL), 0);
	assert_true(bed_has("later/prog_device_l3"));
	assert_int_equal(eg_guard_device_state(guard, &container.netns, &link, &tcx),
			 EG_COVER_ATTACHED);
	/* The first byte of an Ethernet frame is no IP version; the kernel sends some, too. */
	bed_send(&container, "10.77.0.1", 2);
	assert_true(dropped(guard, EG_LAYER_DEVICE, EG_REASON_ETHERTYPE) >= 2);
	eg_guard_close(guard);

	assert_int_equal(eg_guard_open(&pins, "later", &guard, NULL), 0);
	assert_int_equal(eg_guard_device_state(guard, &container.netns, &link, &tcx),
			 EG_COVER_ATTACHED);
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "later", NULL), 0);
	assert_int_equal(bed_entries(), 0);
	bed_container_stop(&container);
}

static void test_set_meta(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_guard *guard = bed_guard(&pins, "meta", &container, "x", image);
	struct eg_meta meta = *eg_guard_meta(guard);

	(void)state;
	meta.try_until_realtime_ns = 77;
	meta.magic = 0;
	meta.policy_len[0] = 12345;
	assert_int_equal(eg_guard_set_meta(guard, &meta), 0);
	eg_guard_close(guard);
	assert_int_equal(eg_guard_open(&pins, "meta", &guard, NULL), 0);
	assert_int_equal(eg_guard_meta(guard)->try_until_realtime_ns, 77);
	assert_policy(guard, "x");
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "meta", NULL), 0);
	bed_container_stop(&container);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),    cmocka_unit_test(test_new_beside_old),
		cmocka_unit_test(test_dead),    cmocka_unit_test(test_index_used_again),
		cmocka_unit_test(test_behind),  cmocka_unit_test(test_other_abi),
		cmocka_unit_test(test_foreign), cmocka_unit_test(test_without_btf),
		cmocka_unit_test(test_later),   cmocka_unit_test(test_set_meta),
	};
	return cmocka_run_group_tests_name("guard", tests, bed_up, bed_down);
}
