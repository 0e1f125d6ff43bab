// SPDX-License-Identifier: GPL-2.0
/*
 * SIGKILL before every step that changes something: whatever was in force stays in force, and the
 * next command carries on. The steps are the calls below, which stand before those of the C library
 * and of libbpf. A thread on each hook looks all the time whether it is covered.
 *
 * Each attach costs its time in the kernel's verifier, so that by default all steps around covering
 * and renaming are tried, but of the others only every few, others in each run; EG_CRASH_ALL=1
 * tries all. time-limit: 600
 */
#include "bed.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"

static void free_image(struct eg_image **image)
{
	eg_image_free(*image);
}
#define AUTO_BED_IMAGE EG_AUTO(free_image)

/* --- steps ---------------------------------------------------------------------------------- */

static unsigned int die_before; /* 0: never */
static unsigned int steps;

/* What the parent learns of a child that is not killed: where the delicate steps are. */
static struct course {
	unsigned int n;
	unsigned int first; /* the first that covers something, 0: none */
	unsigned int last;  /* the last that renames */
} * course;                 /* shared */

static void step(void)
{
	if (++steps == die_before)
		kill(getpid(), SIGKILL);
	if (course)
		course->n = steps;
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned int flags)
{
	step();
	if (course)
		course->last = steps;
	return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int unlinkat(int dir_fd, const char *path, int flags)
{
	step();
	return (int)syscall(SYS_unlinkat, dir_fd, path, flags);
}

int mkdirat(int dir_fd, const char *path, mode_t mode)
{
	step();
	return (int)syscall(SYS_mkdirat, dir_fd, path, mode);
}

static int call_bpf(int command, union bpf_attr *attr)
{
	step();
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

int bpf_obj_pin(int fd, const char *path)
{
	union bpf_attr attr = {.bpf_fd = (__u32)fd, .pathname = (__u64)(unsigned long)path};

	if (course && !course->first && strstr(path, "link_"))
		course->first = steps + 1;
	return call_bpf(BPF_OBJ_PIN, &attr);
}

int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
	union bpf_attr attr = {.map_fd = (__u32)fd};

	attr.key = (__u64)(unsigned long)key;
	attr.value = (__u64)(unsigned long)value;
	attr.flags = flags;
	return call_bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

int bpf_map_delete_elem(int fd, const void *key)
{
	union bpf_attr attr = {.map_fd = (__u32)fd};

	attr.key = (__u64)(unsigned long)key;
	return call_bpf(BPF_MAP_DELETE_ELEM, &attr);
}

int bpf_link_detach(int fd)
{
	union bpf_attr attr = {.link_detach.link_fd = (__u32)fd};

	return call_bpf(BPF_LINK_DETACH, &attr);
}

/* --- watching ------------------------------------------------------------------------------- */

struct watch {
	const struct eg_netns *netns;
	__u32 ifindex;
	enum eg_direction direction;
	atomic_bool must; /* be covered */
	atomic_bool stop;
	atomic_ulong looks;
	atomic_ulong gaps;
	pthread_t thread;
};

static int look_all_the_time(void *argument)
{
	struct watch *watch = argument;
	__u32 ids[EG_TCX_MAX];

	while (!atomic_load(&watch->stop)) {
		bool must = atomic_load(&watch->must);
		bool covered = eg_tcx_query(watch->ifindex, watch->direction, ids, NULL) > 0;

		atomic_fetch_add(&watch->looks, 1);
		if (must && !covered && atomic_load(&watch->must))
			atomic_fetch_add(&watch->gaps, 1);
	}
	return 0;
}

static void *watch_thread(void *argument)
{
	struct watch *watch = argument;

	eg_netns_run(watch->netns, look_all_the_time, watch);
	return NULL;
}

static struct watch device_watch, peer_watch;

static void start_watch(struct watch *watch, const struct eg_netns *netns, __u32 ifindex,
			enum eg_direction direction)
{
	memset(watch, 0, sizeof(*watch));
	watch->netns = netns;
	watch->ifindex = ifindex;
	watch->direction = direction;
	assert_int_equal(pthread_create(&watch->thread, NULL, watch_thread, watch), 0);
}

static void must_be_covered(bool device, bool peer)
{
	atomic_store(&device_watch.must, device);
	atomic_store(&peer_watch.must, peer);
}

static void stop_watch(struct watch *watch)
{
	atomic_store(&watch->stop, true);
	pthread_join(watch->thread, NULL);
	assert_true(atomic_load(&watch->looks) > 100);
	assert_int_equal(atomic_load(&watch->gaps), 0);
}

/* --- what is killed ------------------------------------------------------------------------- */

static struct bed_container container;
static const char *const prefixes[] = {"10.77.0.0/16", "10.1.0.0/24", "10.2.0.0/24"};

/* The text says how many prefixes the image has, so that the two can be compared. */
static struct eg_image *image_of(const char *text)
{
	return bed_image((size_t)atoi(text), prefixes);
}

/* All as a command does it, errors included. */
static int attach(const char *text)
{
	AUTO_BED_IMAGE struct eg_image *image = image_of(text);
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	struct eg_meta meta = bed_meta("crash", &container);
	int err = eg_guard_create(&pins, &meta, text, image, &guard, NULL);

	if (!err)
		err = eg_guard_cover_device(guard, &container.netns, &container.link, NULL);
	if (!err)
		err = eg_guard_cover_peer(guard, &container.link, &container.peer, NULL);
	if (!err)
		err = eg_guard_commit(guard, NULL);
	return err;
}

static int replace(const char *text)
{
	AUTO_BED_IMAGE struct eg_image *image = image_of(text);
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	int err = eg_guard_open(&pins, "crash", &guard, NULL);

	if (err)
		return err;
	guard->grace_ns = 0;
	return eg_guard_replace(guard, text, image, NULL);
}

static int remove_it(const char *text)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();

	(void)text;
	return eg_guard_remove(&pins, "crash", NULL);
}

/* Returns whether it was killed; false: it came to its end first. */
static bool kill_before(unsigned int number, int (*command)(const char *text), const char *text)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		die_before = number;
		steps = 0;
		_exit(command(text) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		return true;
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	return false;
}

/* Whether this step is among those to be tried, by the course of a run that was not killed. */
static bool is_tried(unsigned int number, const struct course *whole, unsigned int offset)
{
	const unsigned int stride = 8;

	if (getenv("EG_CRASH_ALL") || number % stride == offset % stride)
		return true;
	return whole->first && number + 1 >= whole->first && number <= whole->first + 5;
}

static struct course learn_course(int (*command)(const char *text), const char *text)
{
	memset(course, 0, sizeof(*course));
	assert_false(kill_before(0, command, text));
	return *course;
}

/* --- what is checked ------------------------------------------------------------------------ */

static int count_slot(const void *key, const void *value, void *argument)
{
	const struct eg_addr4_key *addr = key;
	__u32 *count = argument;

	(void)value;
	if (addr->slot == count[0])
		count[1]++;
	return 0;
}

/* There is a guard; its text is one of the two; and its tables are those of its text. */
static void assert_whole(const char *before, const char *after)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	EG_AUTO_FREE char *text = NULL;
	struct eg_control control;
	__u32 count[2] = {}, zero = 0;
	size_t len = 0;

	assert_int_equal(eg_guard_open(&pins, "crash", &guard, NULL), 0);
	assert_int_equal(eg_guard_policy(guard, &text, &len), 0);
	assert_true(strcmp(text, before) == 0 || strcmp(text, after) == 0);
	assert_int_equal(bpf_map_lookup_elem(guard->maps[EG_MAP_CONTROL], &zero, &control), 0);
	count[0] = control.slot;
	assert_int_equal(eg_map_visit(guard->maps[EG_MAP_ADDR4], sizeof(struct eg_addr4_key),
				      sizeof(struct eg_addr_value), count_slot, count),
			 0);
	assert_int_equal(count[1], atoi(text));
}

static void assert_clean(size_t entries)
{
	EG_AUTO_PINS struct eg_pins pins = bed_pins();

	assert_int_equal(eg_pins_sweep(&pins), 0);
	assert_int_equal(bed_entries(), entries);
}

static int up(void **state)
{
	(void)state;
	srand((unsigned int)time(NULL));
	if (!course)
		course = mmap(NULL, sizeof(*course), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(course != MAP_FAILED);
	container = bed_container_start(0);
	start_watch(&device_watch, &container.netns, container.link.ifindex, EG_EGRESS);
	start_watch(&peer_watch, &container.peer.netns, container.peer.ifindex, EG_INGRESS);
	return 0;
}

static int down(void **state)
{
	(void)state;
	stop_watch(&device_watch);
	stop_watch(&peer_watch);
	bed_container_stop(&container);
	return 0;
}

/* --- tests ---------------------------------------------------------------------------------- */

/* A new guard beside the one in force. */
static void test_attach_again(void **state)
{
	unsigned int offset = (unsigned int)rand();
	struct course whole;

	(void)state;
	assert_int_equal(attach("1 first"), 0);
	must_be_covered(true, true);
	whole = learn_course(attach, "1 first");
	assert_true(whole.first && whole.last > whole.first);
	for (unsigned int number = 1; number <= whole.n; number++) {
		if (!is_tried(number, &whole, offset))
			continue;
		assert_true(kill_before(number, attach, "2 second"));
		assert_whole("1 first", "2 second");
		/* Killed a second time, by the next attach. */
		kill_before(1 + (unsigned int)rand() % whole.n, attach, "2 second");
		assert_whole("1 first", "2 second");
		if (number % 2)
			assert_clean(1);
		assert_int_equal(attach("1 first"), 0);
		assert_whole("1 first", "1 first");
		assert_int_equal(bed_entries(), 1);
	}
	print_message("attach beside another: %u steps, covering from %u\n", whole.n, whole.first);
	must_be_covered(false, false);
	assert_int_equal(remove_it(NULL), 0);
}

/* The first guard: what is covered by the killed ones stays covered until the next is in force. */
static void test_first_attach(void **state)
{
	struct course whole = learn_course(attach, "1 first");
	unsigned int offset = (unsigned int)rand(), covered = 0;

	(void)state;
	assert_int_equal(remove_it(NULL), 0);
	for (unsigned int number = 1; number <= whole.n; number++) {
		if (!is_tried(number, &whole, offset))
			continue;
		assert_true(kill_before(number, attach, "1 first"));
		usleep(50 * 1000); /* links without a pin go a little later */
		must_be_covered(bed_device_covered(&container), bed_peer_covered(&container));
		covered += bed_device_covered(&container);
		kill_before(1 + (unsigned int)rand() % whole.n, attach, "1 first");
		assert_int_equal(attach("1 first"), 0);
		must_be_covered(false, false);
		assert_whole("1 first", "1 first");
		assert_int_equal(bed_entries(), 1);
		assert_int_equal(remove_it(NULL), 0);
		assert_int_equal(bed_entries(), 0);
	}
	print_message("first attach: %u steps, covering from %u\n", whole.n, whole.first);
	assert_true(covered);
}

static void test_replace(void **state)
{
	unsigned int number = 1;

	(void)state;
	assert_int_equal(attach("1 first"), 0);
	must_be_covered(true, true);
	while (kill_before(number, replace, "3 third, which is longer")) {
		assert_whole("1 first", "3 third, which is longer");
		assert_int_equal(replace("1 first"), 0);
		assert_whole("1 first", "1 first");
		number++;
	}
	print_message("replace has %u steps\n", number);
	assert_whole("3 third, which is longer", "3 third, which is longer");
	assert_clean(1);
	must_be_covered(false, false);
	assert_int_equal(remove_it(NULL), 0);
}

/* The next one takes the rest away; or an attach puts a new guard beside the rest. */
static void test_remove(void **state)
{
	unsigned int offset = (unsigned int)rand() % 3;
	struct course whole;

	(void)state;
	assert_int_equal(attach("1 first"), 0);
	whole = learn_course(remove_it, NULL);
	for (unsigned int number = 1; number <= whole.n; number++) {
		if (!getenv("EG_CRASH_ALL") && number % 3 != offset && number > 4)
			continue;
		assert_int_equal(attach("1 first"), 0);
		assert_true(kill_before(number, remove_it, NULL));
		if (number % 2) {
			assert_int_equal(attach("1 first"), 0);
			assert_whole("1 first", "1 first");
			assert_int_equal(bed_entries(), 1);
		}
		assert_int_equal(remove_it(NULL), 0);
		assert_int_equal(bed_entries(), 0);
		assert_false(bed_device_covered(&container));
		assert_false(bed_peer_covered(&container));
	}
	print_message("remove: %u steps\n", whole.n);
	assert_clean(0);
}

/* At any moment, not only before our own steps. */
static void test_any_moment(void **state)
{
	(void)state;
	assert_int_equal(attach("1 first"), 0);
	must_be_covered(true, true);
	for (int round = 0; round < 40; round++) {
		pid_t pid = fork();

		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				if (replace("2 second") || replace("1 first"))
					_exit(1);
		}
		usleep((useconds_t)(1000 + rand() % 30000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_whole("1 first", "2 second");
	}
	for (int round = 0; round < 6; round++) {
		pid_t pid = fork();

		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			_exit(attach("2 second") ? 1 : 0);
		}
		usleep((useconds_t)(rand() % 500000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_whole("1 first", "2 second");
	}
	must_be_covered(false, false);
	assert_int_equal(remove_it(NULL), 0);
	assert_clean(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_attach_again, up, down),
		cmocka_unit_test_setup_teardown(test_first_attach, up, down),
		cmocka_unit_test_setup_teardown(test_replace, up, down),
		cmocka_unit_test_setup_teardown(test_remove, up, down),
		cmocka_unit_test_setup_teardown(test_any_moment, up, down),
	};

	return cmocka_run_group_tests_name("crash", tests, bed_up, bed_down);
}
