// SPDX-License-Identifier: GPL-2.0
/* The way of kernels without tcx, forced. */
#include "bed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

static void free_image(struct eg_image **image)
{
	eg_image_free(*image);
}
#define AUTO_BED_IMAGE EG_AUTO(free_image)

static const char *const lan[] = {"10.77.0.0/16"};

static int force_clsact(void **state)
{
	(void)state;
	eg_force_clsact = true;
	return 0;
}

static enum eg_cover_state device_state(struct eg_guard *guard,
					const struct bed_container *container)
{
	bool tcx = true;
	enum eg_cover_state state =
		eg_guard_device_state(guard, &container->netns, &container->link, &tcx);

	assert_false(state != EG_COVER_NONE && tcx);
	return state;
}

static enum eg_cover_state peer_state(struct eg_guard *guard, const struct bed_container *container)
{
	bool tcx = true;
	enum eg_cover_state state =
		eg_guard_peer_state(guard, &container->link, &container->peer, &tcx);

	assert_false(state != EG_COVER_NONE && tcx);
	return state;
}

static __u64 dropped(struct eg_guard *guard, enum eg_layer layer)
{
	struct eg_counter counters[EG_COUNTERS_ALL];

	assert_int_equal(eg_guard_counters(guard, counters), 0);
	return counters[eg_counter_index(layer, 0, EG_REASON_PUBLIC)].packets;
}

static void test_life(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_meta meta = bed_meta("life", &container);
	struct eg_guard *first, *second = NULL;
	struct eg_error error = {};
	struct bed_ids ids;

	(void)state;
	first = bed_guard(&pins, "life", &container, "x", image);
	if (bed_has_tcx())
		assert_false(bed_device_covered(&container)); /* it is a filter */
	assert_int_equal(device_state(first, &container), EG_COVER_ATTACHED);
	assert_int_equal(peer_state(first, &container), EG_COVER_ATTACHED);
	bed_cover(first, &container);
	bed_send(&container, "198.51.100.7", 2);
	assert_int_equal(dropped(first, EG_LAYER_DEVICE), 2);
	assert_false(eg_guard_is_dead(first));

	/* New beside old, the new one first. */
	assert_int_equal(eg_guard_create(&pins, &meta, "y", image, &second, &error), 0);
	bed_cover(second, &container);
	assert_int_equal(device_state(second, &container), EG_COVER_ATTACHED);
	assert_int_equal(device_state(first, &container), EG_COVER_BEHIND);
	assert_int_equal(peer_state(first, &container), EG_COVER_BEHIND);
	ids = bed_ids(first);
	assert_int_equal(eg_guard_commit(second, &error), 0);
	assert_int_equal(device_state(first, &container), EG_COVER_NONE);
	assert_int_equal(peer_state(first, &container), EG_COVER_NONE);
	assert_int_equal(device_state(second, &container), EG_COVER_ATTACHED);
	eg_guard_close(first);
	assert_true(bed_ids_gone(&ids));
	bed_send(&container, "198.51.100.7", 2);
	assert_int_equal(dropped(second, EG_LAYER_DEVICE), 2);

	assert_int_equal(eg_guard_uncover(second, &container.netns, &container.link), 0);
	assert_int_equal(device_state(second, &container), EG_COVER_NONE);
	assert_int_equal(peer_state(second, &container), EG_COVER_ATTACHED);
	bed_send(&container, "198.51.100.7", 2);
	assert_int_equal(dropped(second, EG_LAYER_DEVICE), 2);
	bed_cover(second, &container);
	assert_int_equal(device_state(second, &container), EG_COVER_ATTACHED);

	ids = bed_ids(second);
	eg_guard_close(second);
	assert_int_equal(eg_guard_remove(&pins, "life", &error), 0);
	assert_true(bed_ids_gone(&ids));
	/* What may be somebody else's by now stays. */
	bed_run(&container, "tc qdisc show dev eth0 | grep -q clsact");
	bed_container_stop(&container);
}

/* Other people's qdiscs and filters stay as they are. */
static void test_others(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_guard *guard;

	(void)state;
	bed_run(&container, "tc qdisc add dev eth0 clsact");
	bed_run(&container,
		"tc filter add dev eth0 egress pref 7 protocol all u32 match u32 0 0 flowid 1:1");
	guard = bed_guard(&pins, "others", &container, "x", image);
	assert_int_equal(device_state(guard, &container), EG_COVER_ATTACHED);
	bed_send(&container, "198.51.100.7", 1);
	assert_int_equal(dropped(guard, EG_LAYER_DEVICE), 1);
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "others", NULL), 0);
	bed_run(&container, "tc filter show dev eth0 egress | grep -q u32");
	bed_run(&container, "tc filter show dev eth0 egress | { ! grep -q bpf; }");
	bed_container_stop(&container);
}

/* A filter of another kind has our priority: said, and nothing of ours stays. */
static void test_priority_taken(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_meta meta = bed_meta("taken", &container);
	struct eg_guard *guard = NULL;
	struct eg_error error = {};

	(void)state;
	bed_run(&container, "tc qdisc add dev eth0 clsact");
	bed_run(&container,
		"tc filter add dev eth0 egress pref 1 protocol all u32 match u32 0 0 flowid 1:1");
	assert_int_equal(eg_guard_create(&pins, &meta, "x", image, &guard, &error), 0);
	assert_true(eg_guard_cover_device(guard, &container.netns, &container.link, &error) < 0);
	assert_non_null(strstr(error.message, "eth0"));
	assert_non_null(strstr(error.message, "priority 1"));
	print_message("%s\n", error.message);
	eg_guard_abort(guard);
	eg_guard_close(guard);
	assert_int_equal(bed_entries(), 0);
	bed_container_stop(&container);
}

/* An `ingress` qdisc takes an egress filter without a word, and runs it on ingress. */
static void test_ingress_qdisc(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_meta meta = bed_meta("ingress", &container);
	struct eg_guard *guard = NULL;
	struct eg_error error = {};

	(void)state;
	bed_run(&container, "tc qdisc add dev eth0 ingress");
	bed_run(NULL, "tc qdisc add dev host0 ingress");
	assert_int_equal(eg_guard_create(&pins, &meta, "x", image, &guard, &error), 0);
	assert_int_equal(eg_guard_cover_device(guard, &container.netns, &container.link, &error),
			 -EMEDIUMTYPE);
	assert_non_null(strstr(error.message, "ingress"));
	assert_int_equal(device_state(guard, &container), EG_COVER_NONE);
	/* Where it is about ingress, it will do. */
	assert_int_equal(eg_guard_cover_peer(guard, &container.link, &container.peer, &error), 0);
	assert_int_equal(peer_state(guard, &container), EG_COVER_ATTACHED);
	eg_guard_abort(guard);
	eg_guard_close(guard);
	bed_run(NULL, "! tc filter show dev host0 ingress | grep -q bpf");
	bed_container_stop(&container);
}

/* Removed from outside, as NET_ADMIN inside can: not covered, and put on again. */
static void test_deleted(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_guard *guard = bed_guard(&pins, "deleted", &container, "x", image);

	(void)state;
	bed_run(&container, "tc qdisc del dev eth0 clsact");
	assert_int_equal(device_state(guard, &container), EG_COVER_NONE);
	assert_int_equal(peer_state(guard, &container), EG_COVER_ATTACHED);
	bed_cover(guard, &container);
	assert_int_equal(device_state(guard, &container), EG_COVER_ATTACHED);
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "deleted", NULL), 0);
	bed_container_stop(&container);
}

/* tcx runs before clsact, so that clsact is never the first. */
static void test_behind_tcx(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_guard *guard = bed_guard(&pins, "behind", &container, "x", image);
	struct eg_guard *other;

	(void)state;
	eg_force_clsact = false;
	other = bed_guard(&pins, "other", &container, "x", image);
	eg_force_clsact = true;
	assert_int_equal(device_state(guard, &container), EG_COVER_BEHIND);
	eg_guard_close(other);
	assert_int_equal(eg_guard_remove(&pins, "other", NULL), 0);
	assert_int_equal(device_state(guard, &container), EG_COVER_ATTACHED);
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "behind", NULL), 0);
	bed_container_stop(&container);
}

/* A namespace that is gone took its filters with it: nothing stands in the way of removal. */
static void test_gone(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_guard *guard = bed_guard(&pins, "gone", &container, "x", image);

	(void)state;
	assert_false(eg_guard_is_dead(guard));
	bed_container_stop(&container);
	assert_int_equal(device_state(guard, &container), EG_COVER_NONE);
	assert_true(eg_guard_is_dead(guard));
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "gone", NULL), 0);
	assert_int_equal(bed_entries(), 0);
}

/* Another version's: told by the names of its pins, even where one cannot be read. */
static void test_other_abi(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct bed_container container = bed_container_start(0);
	struct eg_guard *guard = bed_guard(&pins, "abi", &container, "x", image);
	struct bed_ids ids = bed_ids(guard);

	(void)state;
	guard->meta.abi_version = EG_ABI_VERSION + 1;
	assert_int_equal(eg_guard_write_meta(guard), 0);
	bed_run(NULL, "cd %s/abi && mv filter_device_* filter_later_form", bed_pin_dir);
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "abi", NULL), 0);
	assert_true(bed_ids_gone(&ids));
	bed_container_stop(&container);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_life, force_clsact),
		cmocka_unit_test_setup(test_others, force_clsact),
		cmocka_unit_test_setup(test_priority_taken, force_clsact),
		cmocka_unit_test_setup(test_ingress_qdisc, force_clsact),
		cmocka_unit_test_setup(test_deleted, force_clsact),
		cmocka_unit_test_setup(test_behind_tcx, force_clsact),
		cmocka_unit_test_setup(test_gone, force_clsact),
		cmocka_unit_test_setup(test_other_abi, force_clsact),
	};

	return cmocka_run_group_tests_name("clsact", tests, bed_up, bed_down);
}
