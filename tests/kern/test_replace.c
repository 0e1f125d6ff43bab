// SPDX-License-Identifier: GPL-2.0
/* Replacing policies: many times, large ones, and ones that do not fit. run-alone, since it
 * measures. */
#include "bed.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/clock.h"

/* In an emulated machine time says nothing, and a tenth takes long enough. */
static bool emulated(void)
{
	const char *slow = getenv("EG_SLOW");

	return slow && atoi(slow) > 1;
}

static size_t many(void)
{
	return emulated() ? 10000 : 100000;
}

static void free_image(struct eg_image **image)
{
	eg_image_free(*image);
}
#define AUTO_BED_IMAGE EG_AUTO(free_image)

static const char *const lan[] = {"10.77.0.0/16", "10.1.0.0/24", "10.2.0.0/24"};

static double seconds_since(__u64 begin_ns)
{
	return (double)(eg_monotonic_ns() - begin_ns) / 1e9;
}

/* What this process has worked, its system calls included: other ones on a busy machine are no
 * matter of ours. */
static double seconds_worked(void)
{
	struct timespec now;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void assert_policy(struct eg_guard *guard, const char *expected)
{
	EG_AUTO_FREE char *text = NULL;
	size_t len = 0;

	assert_int_equal(eg_guard_policy(guard, &text, &len), 0);
	assert_int_equal(len, strlen(expected));
	assert_string_equal(text, expected);
}

/* --- what the slot in use holds, read from the kernel ------------------------------------------
 */

struct content {
	__u32 slot;
	size_t slot_offset;
	size_t n;
	size_t strange; /* not in the image */
	const struct eg_image *image;
};

static int compare_addrs(const void *a, const void *b)
{
	__u32 left = be32toh(*(const __be32 *)a), right = be32toh(*(const __be32 *)b);

	return left < right ? -1 : left > right;
}

static int see_addr4(const void *key, const void *value, void *argument)
{
	const struct eg_addr4_key *addr = key;
	struct content *content = argument;
	const struct eg_addr_value *flags = value;
	bool found = false;

	if (addr->slot != content->slot)
		return 0;
	content->n++;
	for (size_t i = 0; i < content->image->n_addrs && content->image->n_addrs < 100; i++)
		found |= content->image->addrs[i].prefix.addr.v4_be == addr->addr_be &&
			 content->image->addrs[i].prefix.len + 32U == addr->prefix_len;
	if (content->image->n_addrs >= 100)
		found = bsearch(&addr->addr_be, content->image->addrs, content->image->n_addrs,
				sizeof(*content->image->addrs), compare_addrs) != NULL;
	content->strange += !found || flags->flags != EG_ADDR_LAN;
	return 0;
}

static void assert_holds(struct eg_guard *guard, const struct eg_image *image)
{
	struct content content = {.image = image};
	struct eg_control control;
	__u32 zero = 0;

	assert_int_equal(bpf_map_lookup_elem(guard->maps[EG_MAP_CONTROL], &zero, &control), 0);
	content.slot = control.slot;
	assert_int_equal(eg_map_visit(guard->maps[EG_MAP_ADDR4], sizeof(struct eg_addr4_key),
				      sizeof(struct eg_addr_value), see_addr4, &content),
			 0);
	assert_int_equal(content.n, image->n_addrs);
	assert_int_equal(content.strange, 0);
}

static void sort_image(struct eg_image *image)
{
	_Static_assert(offsetof(struct eg_image_addr, prefix.addr.v4_be) == 0, "compare_addrs");
	qsort(image->addrs, image->n_addrs, sizeof(*image->addrs), compare_addrs);
}

/* --- tests ---------------------------------------------------------------------------------- */

static void test_thousand(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	struct bed_container container = bed_container_start(0);
	struct eg_image *images[3];
	struct eg_guard *guard;
	struct eg_error error = {};
	__u64 begin;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		images[i] = bed_image(i + 1, lan);
	guard = bed_guard(&pins, "thousand", &container, "start", images[0]);
	begin = eg_monotonic_ns();
	for (int i = 0; i < 1000; i++) {
		char text[32];

		snprintf(text, sizeof(text), "policy %d", i);
		if (eg_guard_replace(guard, text, images[i % 3], &error))
			fail_msg("%s", error.message);
		if (i % 100 == 0) {
			assert_policy(guard, text);
			assert_holds(guard, images[i % 3]);
		}
	}
	print_message("1,000 replacements: %.3f s\n", seconds_since(begin));
	assert_int_equal(eg_guard_meta(guard)->generation, 1000);
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "thousand", NULL), 0);
	for (size_t i = 0; i < 3; i++)
		eg_image_free(images[i]);
	bed_container_stop(&container);
}

/* The grace period is kept: a slot is not written again before a second has passed. */
static void test_grace(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	struct bed_container container = bed_container_start(0);
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct eg_guard *guard = bed_guard(&pins, "grace", &container, "start", image);
	__u64 begin;

	(void)state;
	guard->grace_ns = EG_TRANSITION_NS;
	begin = eg_monotonic_ns();
	assert_int_equal(eg_guard_replace(guard, "one", image, NULL), 0);
	assert_int_equal(eg_guard_replace(guard, "two", image, NULL), 0);
	assert_true(seconds_since(begin) >= 1.0);
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "grace", NULL), 0);
	bed_container_stop(&container);
}

static char *long_text(size_t len, char fill)
{
	char *text = malloc(len + 1);

	assert_non_null(text);
	memset(text, fill, len);
	text[len] = '\0';
	return text;
}

static void test_large(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	struct bed_container container = bed_container_start(0);
	AUTO_BED_IMAGE struct eg_image *small = bed_image(1, lan);
	AUTO_BED_IMAGE struct eg_image *first = bed_image_many(many(), 0);
	AUTO_BED_IMAGE struct eg_image *second = bed_image_many(many(), 50);
	EG_AUTO_FREE char *text = long_text(many() * 25, 'a');
	EG_AUTO_FREE char *other = long_text(many() * 24, 'b');
	struct eg_error error = {};
	struct eg_guard *guard;
	__u64 begin = eg_monotonic_ns();
	double worst = 0;

	(void)state;
	sort_image(first);
	sort_image(second);
	guard = bed_guard(&pins, "large", &container, text, first);
	print_message("create, cover, commit with %zu prefixes: %.3f s\n", many(),
		      seconds_since(begin));
	assert_holds(guard, first);
	for (int i = 0; i < 4; i++) {
		double took, start = seconds_worked();

		if (eg_guard_replace(guard, i % 2 ? text : other, i % 2 ? first : second, &error))
			fail_msg("%s", error.message);
		took = seconds_worked() - start;
		print_message("replacement of %zu prefixes: %.3f s\n", many(), took);
		if (took > worst)
			worst = took;
		assert_holds(guard, i % 2 ? first : second);
		assert_policy(guard, i % 2 ? text : other);
	}
	assert_int_equal(eg_guard_replace(guard, "small", small, &error), 0);
	assert_holds(guard, small);
	assert_policy(guard, "small");
	begin = eg_monotonic_ns();
	assert_int_equal(eg_guard_replace(guard, text, first, &error), 0);
	assert_int_equal(eg_guard_replace(guard, text, second, &error), 0);
	print_message("from 1 to %zu and then all different: %.3f s\n", many(),
		      seconds_since(begin));
	assert_holds(guard, second);
	if (!emulated())
		assert_true(worst < 1.0);
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "large", NULL), 0);
	bed_container_stop(&container);
}

/* More than the table was made for: refused with the table's name, and nothing is changed. */
static void test_full(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	struct bed_container container = bed_container_start(0);
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	AUTO_BED_IMAGE struct eg_image *large = bed_image(2, lan);
	struct eg_guard *guard = bed_guard(&pins, "full", &container, "start", image);
	struct eg_error error = {};
	struct eg_meta meta = bed_meta("full", &container);
	struct eg_guard *larger = NULL;

	(void)state;
	large->n_endpoints = 2 * EG_MAX_ENDPOINTS + 1;
	large->endpoints = calloc(large->n_endpoints, sizeof(*large->endpoints));
	for (size_t i = 0; i < large->n_endpoints; i++)
		large->endpoints[i] = (struct eg_image_endpoint){
			.addr.v4_be = htobe32((__u32)i), .port = 51820, .family = EG_FAMILY_IPV4};
	assert_int_equal(eg_guard_replace(guard, "large", large, &error), -E2BIG);
	assert_int_equal(error.exit, EG_EXIT_FAILED);
	assert_non_null(strstr(error.message, "endpoints"));
	assert_non_null(strstr(error.message, "full"));
	assert_policy(guard, "start");
	assert_holds(guard, image);
	assert_int_equal(eg_guard_create(&pins, &meta, "large", large, &larger, &error), -E2BIG);
	assert_non_null(strstr(error.message, "endpoints"));
	assert_int_equal(bed_entries(), 1);

	/* What the failure left in the unused slot is gone with the next policy. */
	large->n_endpoints = 3;
	large->n_addrs = 1;
	assert_int_equal(eg_guard_replace(guard, "fits", large, &error), 0);
	assert_policy(guard, "fits");
	assert_holds(guard, large);
	/* A new guard is made with tables that are large enough. */
	large->n_endpoints = 1000;
	assert_int_equal(eg_guard_create(&pins, &meta, "large", large, &larger, &error), 0);
	eg_guard_abort(larger);
	eg_guard_close(larger);
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "full", NULL), 0);
	bed_container_stop(&container);
}

/* A text that does not fit is refused like a table that is full; leftovers of it do not stay. */
static void test_text_full(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	struct bed_container container = bed_container_start(0);
	AUTO_BED_IMAGE struct eg_image *image = bed_image(1, lan);
	struct eg_guard *guard = bed_guard(&pins, "text", &container, "start", image);
	EG_AUTO_FREE char *text = long_text(3000000, 'x');
	EG_AUTO_FREE char *fits = long_text(200000, 'y');
	struct eg_error error = {};

	(void)state;
	assert_int_equal(eg_guard_replace(guard, text, image, &error), -E2BIG);
	assert_non_null(strstr(error.message, "text of the policy"));
	assert_policy(guard, "start");
	for (int i = 0; i < 4; i++) {
		assert_int_equal(eg_guard_replace(guard, fits, image, &error), 0);
		assert_policy(guard, fits);
	}
	eg_guard_close(guard);
	assert_int_equal(eg_guard_remove(&pins, "text", NULL), 0);
	bed_container_stop(&container);
}

static void test_attach_time(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	struct bed_container container = bed_container_start(0);
	AUTO_BED_IMAGE struct eg_image *image = bed_image(3, lan);
	struct eg_meta meta = bed_meta("time", &container);

	(void)state;
	for (int i = 0; i < 5; i++) {
		__u64 begin = eg_monotonic_ns(), created, covered, committed, opened;
		struct eg_guard *guard = NULL;

		assert_int_equal(eg_guard_create(&pins, &meta, "x", image, &guard, NULL), 0);
		created = eg_monotonic_ns();
		bed_cover(guard, &container);
		covered = eg_monotonic_ns();
		assert_int_equal(eg_guard_commit(guard, NULL), 0);
		committed = eg_monotonic_ns();
		eg_guard_close(guard);
		guard = NULL;
		opened = eg_monotonic_ns();
		assert_int_equal(eg_guard_open(&pins, "time", &guard, NULL), 0);
		print_message("create %.1f ms, cover %.1f ms, commit %.1f ms; open %.2f ms\n",
			      (double)(created - begin) / 1e6, (double)(covered - created) / 1e6,
			      (double)(committed - covered) / 1e6, seconds_since(opened) * 1e3);
		eg_guard_close(guard);
	}
	assert_int_equal(eg_guard_remove(&pins, "time", NULL), 0);
	bed_container_stop(&container);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_attach_time), cmocka_unit_test(test_thousand),
		cmocka_unit_test(test_grace),       cmocka_unit_test(test_large),
		cmocka_unit_test(test_full),        cmocka_unit_test(test_text_full),
	};

	return cmocka_run_group_tests_name("replace", tests, bed_up, bed_down);
}
