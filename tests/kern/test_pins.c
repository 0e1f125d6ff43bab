// SPDX-License-Identifier: GPL-2.0
/* The place of guards: names, directories that are and are not fit for it, the lock, the lists. */
#include "bed.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kern/features.h"
#include "util/clock.h"
static void test_escape(void **state)
{
	char escaped[512], name[EG_NAME_MAX];

	(void)state;
	assert_int_equal(eg_pin_name_escape(escaped, sizeof(escaped), "my.box_1-a/\xc3\xa9"), 0);
	assert_string_equal(escaped, "my_2Ebox_5F1-a_2F_C3_A9");
	assert_int_equal(eg_pin_name_unescape(name, sizeof(name), escaped), 0);
	assert_string_equal(name, "my.box_1-a/\xc3\xa9");
	for (int c = 1; c < 256; c++) {
		const char one[] = {(char)c, 'x', (char)c, 0};

		assert_int_equal(eg_pin_name_escape(escaped, sizeof(escaped), one), 0);
		assert_null(strpbrk(escaped, "./"));
		assert_int_equal(eg_pin_name_unescape(name, sizeof(name), escaped), 0);
		assert_string_equal(name, one);
	}
	assert_int_equal(eg_pin_name_escape(escaped, 4, "four"), -ENAMETOOLONG);
	assert_int_equal(eg_pin_name_escape(escaped, 5, "four"), 0);
	assert_int_equal(eg_pin_name_escape(escaped, sizeof(escaped), ""), -EINVAL);
}

static void test_unescape_refuses(void **state)
{
	static const char *const bad[] = {"",       "a.b",     "_",      "_4",  "_4x",
					  "_2e",    "_41",     "_00",    "a/b", "_new-a",
					  "_old-a", "_half-a", "_shared"};
	char name[EG_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(eg_pin_name_unescape(name, sizeof(name), bad[i]), -EINVAL);
	assert_int_equal(eg_pin_name_unescape(name, 4, "four"), -ENAMETOOLONG);
}

static void assert_open_fails(const char *dir, bool create, int err, const char *says)
{
	struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	struct eg_error error = {};

	assert_int_equal(eg_pins_open(dir, create, &pins, &error), err);
	if (!strstr(error.message, says) || !strstr(error.message, dir))
		fail_msg("'%s' does not say '%s' of '%s'", error.message, says, dir);
	assert_int_equal(pins.dir_fd, -1);
}

static void test_open(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	char path[256], below[300];

	(void)state;
	assert_open_fails("/tmp", true, -EINVAL, "bpffs");
	assert_open_fails("/tmp/egressguard-not-there", true, -EINVAL, "bpffs");
	assert_int_not_equal(access("/tmp/egressguard-not-there", F_OK), 0);
	assert_open_fails("/tmp/egressguard-not-there", false, -ENOENT, "no guards");
	assert_open_fails("/dev/null", true, -EBADF, "not a directory");
	snprintf(path, sizeof(path), "%.*s/a", (int)(strrchr(bed_pin_dir, '/') - bed_pin_dir),
		 bed_pin_dir);
	snprintf(below, sizeof(below), "%s/b", path);
	assert_open_fails(path, false, -ENOENT, "no guards");
	assert_open_fails(below, true, -ENOENT, "cannot make");
	snprintf(below, sizeof(below), "%s//", path);
	assert_int_equal(eg_pins_open(below, true, &pins, NULL), 0);
	assert_string_equal(pins.path, path);
	assert_int_equal(rmdir(path), 0);
}

/* /sys/fs/bpf is none here or a private one: the default place would die with it. */
static void test_default_must_last(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	struct eg_error error = {};
	int err;

	(void)state;
	bed_run(NULL, "mount -t bpf bpf /sys/fs/bpf");
	err = eg_pins_open(NULL, true, &pins, &error);
	bed_run(NULL, "umount /sys/fs/bpf");
	/* EACCES where PID 1 lets nobody look. */
	assert_true(err == -EXDEV || err == -EACCES);
	assert_int_equal(error.exit, EG_EXIT_FAILED);
	assert_non_null(strstr(error.message, "--pin-dir"));
}

static void test_lock(void **state)
{
	EG_AUTO_PINS struct eg_pins first = bed_pins();
	EG_AUTO_PINS struct eg_pins second = {.dir_fd = -1, .lock_fd = -1};
	struct eg_error error = {};
	__u64 begin = eg_monotonic_ns();

	(void)state;
	assert_int_equal(eg_pins_open(bed_pin_dir, false, &second, NULL), 0);
	assert_int_equal(eg_pins_lock(&first, 0, NULL), 0); /* has it already */
	assert_int_equal(eg_pins_lock(&second, 0, &error), -EBUSY);
	assert_int_equal(eg_pins_lock(&second, 200, &error), -EBUSY);
	assert_true(eg_monotonic_ns() - begin >= 200 * 1000000ULL);
	assert_non_null(strstr(error.message, "another egressguard"));
	eg_pins_close(&first);
	assert_int_equal(eg_pins_lock(&second, 0, &error), 0);
}

static void make(const char *entry)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", bed_pin_dir, entry);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void assert_list(const struct eg_pins *pins, bool leftovers, const char *expected)
{
	char **names, text[256] = "";

	assert_int_equal(eg_pins_list(pins, leftovers, &names), 0);
	for (char **name = names; *name; name++) {
		strcat(text, *name);
		strcat(text, " ");
	}
	eg_names_free(names);
	assert_string_equal(text, expected);
}

static void test_list(void **state)
{
	static const char *const entries[] = {"b",         "_2Ea",    "_new-b",  "_old-b",
					      "_old-c",    "_new-d",  "_gone-e", "_half-f",
					      "_half12-f", "_shared", "_new-g",  "_old-g"};
	EG_AUTO_PINS struct eg_pins pins = bed_pins();

	(void)state;
	assert_list(&pins, false, "");
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++)
		make(entries[i]);
	/* c and g were left between the two renames of a commit. */
	assert_list(&pins, false, ".a b c g ");
	assert_list(&pins, true, "b d e f ");
	for (size_t i = 0; i < sizeof(entries) / sizeof(*entries); i++) {
		char path[512];

		snprintf(path, sizeof(path), "%s/%s", bed_pin_dir, entries[i]);
		assert_int_equal(rmdir(path), 0);
	}
}

static void test_bad_names(void **state)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	struct eg_guard *guard = NULL;
	struct eg_error error = {};
	char name[200];

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(eg_guard_open(&pins, name, &guard, &error), -EINVAL);
	assert_int_equal(error.exit, EG_EXIT_USAGE);
	memset(name, '.', 100); /* three bytes each in bpffs */
	name[100] = '\0';
	assert_int_equal(eg_guard_remove(&pins, name, &error), -EINVAL);
	assert_int_equal(eg_guard_open(&pins, "", &guard, &error), -EINVAL);
	assert_int_equal(eg_guard_open(&pins, "../up", &guard, &error), -ENOENT);
}

static void test_features(void **state)
{
	struct eg_features features;
	struct eg_error error = {};

	(void)state;
	eg_features_probe(&features);
	print_message("kernel %s bpf %d jit %d btf %d checksum %d tcx %d clsact %d netfilter %d "
		      "ringbuf %d cookie %d bpffs %d cgroup2 %s wireguard %d missing '%s'\n",
		      features.kernel, features.bpf, features.jit, features.btf,
		      features.checksum_test, features.tcx, features.clsact,
		      features.netfilter_link, features.ringbuf_maps, features.netns_cookie,
		      features.bpffs, features.cgroup2_path, features.wireguard,
		      features.missing_caps);
	assert_true(features.bpf);
	assert_true(features.ringbuf_maps);
	assert_true(features.tcx || features.clsact);
	assert_string_equal(features.missing_caps, "");
	assert_int_equal(eg_features_check(&error), 0);
}

/* Without privileges: what is missing is named. */
static void test_features_without_privileges(void **state)
{
	EG_AUTO_PINS struct eg_pins there = bed_pins();
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct eg_features features;
		struct eg_error error = {};
		struct eg_pins own;

		if (setresuid(65534, 65534, 65534) < 0)
			_exit(9);
		eg_features_probe(&features);
		if (features.tcx || !strstr(features.missing_caps, "CAP_NET_ADMIN") ||
		    !strstr(features.missing_caps, "CAP_BPF"))
			_exit(1);
		if (eg_features_check(&error) != -EPERM || error.exit != EG_EXIT_FAILED ||
		    !strstr(error.message, "CAP_SYS_ADMIN"))
			_exit(2);
		if (eg_pins_open(bed_pin_dir, false, &own, &error) != -EPERM ||
		    !strstr(error.message, "needs root: sudo"))
			_exit(3);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_unescape_refuses),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_default_must_last),
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_features_without_privileges),
	};

	return cmocka_run_group_tests_name("pins", tests, bed_up, bed_down);
}
