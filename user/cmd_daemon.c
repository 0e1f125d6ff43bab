// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>

#include "adopt.h"
#include "capabilities.h"
#include "catch_up.h"
#include "checks.h"
#include "cmd.h"
#include "config_dir.h"
#include "engines.h"
#include "journal.h"
#include "kern/features.h"
#include "kern/spare.h"
#include "log.h"
#include "open_files.h"
#include "options.h"
#include "policy_files.h"
#include "service.h"
#include "stopgap.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "wards.h"

#define NS_PER_MS       1000000ULL
#define ENGINES_WAIT_MS 1000
#define EVENTS          256
#define MOUNTS_SPACE_NS (10 * NS_PER_MS)
/* Of guards that are in force already, those are followed before it is ready that this suffices
 * for: a hundred and more. */
#define START_FOLLOW_NS (10000 * NS_PER_MS)

enum own_option {
	OPTION_CONFIG_DIR = EG_OPTION_OWN,
	OPTION_STATE_DIR,
};

static const struct eg_option option_table[] = {
	{OPTION_CONFIG_DIR, "--config-dir", "DIR",
	 "the policy files, NAME.conf for the guard NAME (default: " EG_CONFIG_DIR ")"},
	{OPTION_STATE_DIR, "--state-dir", "DIR",
	 "copies of those that parsed, for when they do not after a reboot (default: " EG_COPIES_DIR
	 ", with the default of --config-dir)"},
	EG_OPTION_ENTRY_PIN_DIR,
	{},
};

static const struct eg_help help = {
	.command = "daemon",
	.usage = "[--config-dir DIR] [--state-dir DIR] [--pin-dir DIR]",
	.summary = "Keep the guards of " EG_CONFIG_DIR "/*.conf in force: whenever their targets "
		   "appear, and whatever happens to them.",
	.options = option_table,
	.example = "egressguard daemon",
	.more = "SIGHUP reads the files anew. When it ends, however that comes, what is in force "
		"stays in force.",
};

struct daemon {
	const char *config_dir;
	const char *state_dir;      /* NULL: not given */
	struct eg_stopgap *stopgap; /* NULL: nothing of ours is shut */
	struct eg_policy_files files;
	struct eg_text open; /* names of what could not be guarded, as it was last told */
	const char *pin_dir; /* NULL: the usual place */
	int epoll_fd, signal_fd, mounts_fd;
	int pins_fd; /* tells of guards, -1: nobody does */
	struct eg_wards wards;
	struct eg_engines engines;
	struct eg_checks checks;
	struct eg_service service;
	bool starts; /* those that are in force are followed when all have been looked at */
	struct eg_catch_up catch_up;
	__u64 files_ns, looked_ns; /* when to look at namespaces' files, 0: not; when that was */
	bool reload, stop;
};

/* --- wards ------------------------------------------------------------------------------------ */

static enum eg_yields ask_ward(void *argument, const char *name, const struct eg_netns *netns)
{
	const struct daemon *daemon = argument;
	struct eg_ward *ward = eg_wards_find(&daemon->wards, name);

	return ward ? eg_ward_yields(ward, netns) : EG_YIELDS_UNKNOWN;
}

static struct eg_ward *get_ward(struct daemon *daemon, const char *name)
{
	struct eg_ward *ward = eg_wards_find(&daemon->wards, name);

	if (ward)
		return ward;
	ward = eg_ward_new(daemon->pin_dir, name, daemon->epoll_fd);
	if (ward && eg_wards_add(&daemon->wards, ward)) {
		eg_ward_set_ask(ward, ask_ward, daemon);
		if (daemon->starts)
			eg_ward_follow_later(ward);
		eg_engines_tell(&daemon->engines, ward);
		return ward;
	}
	eg_ward_free(ward);
	eg_journal("daemon", EG_JOURNAL_ERROR, name, "out of memory");
	return NULL;
}

/* One that has no file: kept up, and no policy put in the place of its own. */
static void adopt(void *argument, const char *name)
{
	struct eg_ward *ward = get_ward(argument, name);

	if (ward && !eg_ward_policy(ward))
		eg_ward_touch(ward);
}

static void touch_pins(void *argument, const char *name)
{
	const struct daemon *daemon = argument;

	for (size_t i = 0; i < daemon->wards.n; i++)
		if (!name || strcmp(eg_ward_name(daemon->wards.ward[i]), name) == 0)
			eg_ward_touch_pins(daemon->wards.ward[i]);
}

/* --- files ------------------------------------------------------------------------------------ */

static bool has_file(const struct eg_config_file *files, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(files[i].name, name) == 0)
			return true;
	return false;
}

static int read_files(struct daemon *daemon, struct eg_error *error)
{
	struct eg_config_file *files = NULL;
	size_t n = 0;
	int result = eg_config_dir_read(daemon->config_dir, &files, &n, error);

	if (result < 0)
		return result;
	eg_stopgap_take_files(&daemon->stopgap, files, n);
	eg_policy_files_begin(&daemon->files);
	daemon->files.own_is_shut = eg_stopgap_is_shut(daemon->stopgap);
	for (size_t i = 0; i < n; i++) {
		struct eg_ward *ward = get_ward(daemon, files[i].name);

		if (ward)
			eg_policy_files_take(&daemon->files, ward, &files[i]);
	}
	eg_policy_files_end(&daemon->files, daemon->config_dir, files, n);
	for (size_t i = 0; i < daemon->wards.n; i++) {
		struct eg_ward *ward = daemon->wards.ward[i];

		if (!eg_ward_policy(ward) || has_file(files, n, eg_ward_name(ward)))
			continue;
		eg_journal("daemon", EG_JOURNAL_NOTICE, eg_ward_name(ward),
			   "its file is gone: a guard in force stays, until `egressguard detach`, "
			   "and no new one is made");
		eg_ward_drop_policy(ward);
	}
	if (n == 0)
		eg_journal("daemon", EG_JOURNAL_WARNING, NULL,
			   "there is no policy file (NAME.conf) in %s: it guards nothing",
			   daemon->config_dir);
	eg_config_files_free(files, n);
	eg_engines_choose(&daemon->engines);
	return 0;
}

static void say_files(struct daemon *daemon, const char *what)
{
	eg_text_free(&daemon->open);
	daemon->open = (struct eg_text){};
	eg_wards_name_open(&daemon->wards, &daemon->open);
	daemon->files.own_is_shut = eg_stopgap_is_shut(daemon->stopgap);
	eg_policy_files_say(&daemon->files, what, &daemon->open);
}

/* When that is others than it was. */
static void show_open(struct daemon *daemon)
{
	EG_AUTO_TEXT struct eg_text names = {};

	eg_wards_name_open(&daemon->wards, &names);
	if (names.failed || (names.len == daemon->open.len &&
			     (!names.len || strcmp(names.data, daemon->open.data) == 0)))
		return;
	eg_text_free(&daemon->open);
	daemon->open = names;
	names = (struct eg_text){};
	eg_policy_files_show(&daemon->files, &daemon->open);
}

static void reload(struct daemon *daemon)
{
	struct eg_error error = {};

	eg_service_reload();
	if (read_files(daemon, &error) < 0)
		eg_journal("daemon", EG_JOURNAL_ERROR, NULL, "%s: all is kept as it was",
			   error.message);
	else
		say_files(daemon, "the policy files were read again");
	daemon->reload = false;
}

/* --- waiting ---------------------------------------------------------------------------------- */

static int wait_for(struct daemon *daemon, int fd, __u32 events, void *data)
{
	struct epoll_event event = {.events = events, .data.ptr = data};

	return epoll_ctl(daemon->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int start_waiting(struct daemon *daemon)
{
	struct eg_error why = {};
	sigset_t signals;
	int result;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	daemon->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	daemon->engines = (struct eg_engines){&daemon->wards, daemon->epoll_fd, {}};
	daemon->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (eg_adopt_watch(daemon->pin_dir, &daemon->pins_fd, &why) < 0)
		eg_journal("daemon", EG_JOURNAL_WARNING, NULL,
			   "%s: guards that the start of a container makes are not followed, but "
			   "for those that have a file",
			   why.message);
	daemon->mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (daemon->epoll_fd < 0 || daemon->signal_fd < 0 || daemon->mounts_fd < 0)
		return -errno;
	result = wait_for(daemon, daemon->signal_fd, EPOLLIN, &daemon->signal_fd);
	if (result == 0 && daemon->pins_fd >= 0)
		result = wait_for(daemon, daemon->pins_fd, EPOLLIN, &daemon->pins_fd);
	if (result == 0 && eg_stopgap_fd(daemon->stopgap) >= 0)
		result =
			wait_for(daemon, eg_stopgap_fd(daemon->stopgap), EPOLLIN, &daemon->stopgap);
	/* A name in /run/netns is a mount: that it appears or goes is told by this. */
	return result < 0 ? result
			  : wait_for(daemon, daemon->mounts_fd, EPOLLPRI | EPOLLET,
				     &daemon->mounts_fd);
}

static void take_signals(struct daemon *daemon)
{
	struct signalfd_siginfo signal;

	while (read(daemon->signal_fd, &signal, sizeof(signal)) == (ssize_t)sizeof(signal)) {
		if (signal.ssi_signo == SIGHUP)
			daemon->reload = true;
		else
			daemon->stop = true;
	}
}

static __u64 later(__u64 a, __u64 b)
{
	return a > b ? a : b;
}

static __u64 earlier(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

static int timeout_ms(const struct daemon *daemon)
{
	__u64 now = eg_monotonic_ns(), due = now + 60000 * NS_PER_MS;

	if (daemon->catch_up.left)
		return 0;
	due = eg_wards_due_ns(&daemon->wards, due);
	due = earlier(due, eg_checks_due_ns(&daemon->checks, &daemon->wards));
	due = earlier(due, eg_service_due_ns(&daemon->service));
	if (daemon->files_ns)
		due = earlier(due, daemon->files_ns);
	/* Rounded up: too early would be again and again. */
	return due <= now ? 0 : (int)((due - now + NS_PER_MS - 1) / NS_PER_MS);
}

static void wait(struct daemon *daemon, int at_most_ms)
{
	struct epoll_event events[EVENTS];
	int timeout = eg_policy_files_has_work(&daemon->files) ? 0 : timeout_ms(daemon);
	int n = epoll_wait(daemon->epoll_fd, events, EVENTS,
			   timeout < at_most_ms ? timeout : at_most_ms);

	for (int i = 0; i < n; i++) {
		void *data = events[i].data.ptr;

		if (data == &daemon->signal_fd)
			take_signals(daemon);
		else if (data == &daemon->pins_fd)
			eg_adopt_new(daemon->pin_dir, daemon->pins_fd, adopt, touch_pins, daemon);
		else if (data == &daemon->mounts_fd)
			daemon->files_ns =
				later(eg_monotonic_ns(), daemon->looked_ns + MOUNTS_SPACE_NS);
		else if (data == &daemon->stopgap)
			eg_stopgap_work(daemon->stopgap);
		else if (!eg_engines_work(&daemon->engines, data))
			eg_ward_follow_work(data);
	}
}

/* --- work ------------------------------------------------------------------------------------- */

/* Mounts may come in great numbers. */
static void look_at_files(struct daemon *daemon)
{
	if (!daemon->files_ns || eg_monotonic_ns() < daemon->files_ns)
		return;
	daemon->files_ns = 0;
	daemon->looked_ns = eg_monotonic_ns();
	for (size_t i = 0; i < daemon->wards.n; i++)
		eg_ward_touch_files(daemon->wards.ward[i]);
}

static void work(struct daemon *daemon)
{
	__u64 now = eg_monotonic_ns();

	eg_service_beat(&daemon->service);
	look_at_files(daemon);
	for (size_t i = 0; i < daemon->wards.n && !daemon->stop; i++) {
		EG_AUTO_FREE char *aside = NULL;

		if (eg_ward_due_ns(daemon->wards.ward[i]) > now)
			continue;
		if (eg_ward_work(daemon->wards.ward[i], &aside))
			get_ward(daemon, aside);
		eg_stopgap_look(&daemon->stopgap, daemon->wards.ward, daemon->wards.n);
		/* Many at once take long. */
		now = eg_monotonic_ns();
		eg_service_beat(&daemon->service);
		take_signals(daemon);
	}
	if (!daemon->stop && daemon->service.is_ready) {
		eg_checks_work(&daemon->checks, &daemon->wards);
		eg_policy_files_work(&daemon->files);
	}
	eg_wards_drop_finished(&daemon->wards);
}

/* Those that are likely to be made at once. */
static unsigned int count_missing(const struct daemon *daemon)
{
	unsigned int n = 0;

	for (size_t i = 0; i < daemon->wards.n && n < EG_SPARES_MAX; i++)
		n += eg_ward_may_come(daemon->wards.ward[i]) &&
		     eg_ward_is_missing(daemon->wards.ward[i]);
	return n;
}

/* For whatever comes; the next one is made while that is attached. */
static void keep_spare(const struct daemon *daemon)
{
	bool any = false;

	for (size_t i = 0; i < daemon->wards.n && !any; i++)
		any = eg_ward_may_come(daemon->wards.ward[i]);
	eg_spares_want(daemon->pin_dir, any);
}

/* The next one of those that were in force when we started; what happens comes first. */
static void follow_next(struct daemon *daemon)
{
	if (!daemon->catch_up.left ||
	    eg_catch_up_next(&daemon->catch_up, daemon->pin_dir, &daemon->wards) ||
	    !daemon->service.is_ready)
		return;
	eg_journal("daemon", EG_JOURNAL_INFO, NULL, "all guards in force are followed");
}

/* For tests: as if there were so many guards that none was followed in time. */
static bool is_followed_late(void)
{
	const char *late = getenv("EGRESSGUARD_FOLLOW_LATE");

	return late && strcmp(late, "1") == 0;
}

/* Until they are, or until others should not wait any more. */
static void start_following(struct daemon *daemon)
{
	__u64 until = eg_monotonic_ns() + (is_followed_late() ? 0 : START_FOLLOW_NS);

	daemon->starts = false;
	eg_catch_up_begin(&daemon->catch_up, &daemon->wards);
	while (!daemon->stop && daemon->catch_up.left && eg_monotonic_ns() < until) {
		follow_next(daemon);
		work(daemon);
		wait(daemon, 0);
	}
	if (daemon->catch_up.left)
		eg_journal("daemon", EG_JOURNAL_NOTICE, NULL,
			   "%zu guards in force are yet to be followed: until then an interface "
			   "that appears there is not covered",
			   daemon->catch_up.left);
}

/* What is there already is guarded before anybody is told that we are ready. An engine whose socket
 * is there, but that starts only after us, is not waited for. */
static void start_work(struct daemon *daemon)
{
	__u64 until = eg_monotonic_ns() + ENGINES_WAIT_MS * NS_PER_MS;

	eg_spares_want(daemon->pin_dir, count_missing(daemon));
	work(daemon);
	while (!daemon->stop && !eg_engines_are_settled(&daemon->engines) &&
	       eg_monotonic_ns() < until) {
		wait(daemon, ENGINES_WAIT_MS / 10);
		work(daemon);
	}
	start_following(daemon);
}

static void open_copies(struct daemon *daemon)
{
	EG_AUTO_FREE char *place = eg_policy_files_place(daemon->state_dir, daemon->config_dir);

	eg_policy_files_open(&daemon->files, place);
}

static int run(struct daemon *daemon, struct eg_error *error)
{
	EG_AUTO_CLOSE int lock_fd = -1;
	int result;

	/* First of all: others may be in this network already. */
	daemon->stopgap = eg_stopgap_begin(daemon->config_dir);
	result = eg_features_check(error);
	if (result == 0)
		result = eg_config_dir_lock(daemon->config_dir, &lock_fd, error);
	if (result < 0)
		return result;
	eg_open_files_raise();
	result = eg_capabilities_drop();
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot give up the privileges that are not needed: %s",
				    strerror(-result));
	result = start_waiting(daemon);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "cannot wait: %s",
				    strerror(-result));
	eg_service_begin(&daemon->service);
	/* What does not parse leaves nothing open where all is shut. */
	if (!eg_stopgap_is_shut(daemon->stopgap))
		open_copies(daemon);
	daemon->starts = true;
	result = read_files(daemon, error);
	if (result < 0)
		return result;
	eg_adopt_all(daemon->pin_dir, adopt, daemon);
	eg_open_files_check(daemon->wards.n);
	start_work(daemon);
	keep_spare(daemon);
	say_files(daemon, "ready");
	eg_service_ready(&daemon->service);
	while (!daemon->stop) {
		wait(daemon, INT_MAX);
		if (daemon->reload) {
			reload(daemon);
			eg_open_files_check(daemon->wards.n);
			work(daemon);
			keep_spare(daemon);
			eg_service_ready(&daemon->service);
		} else {
			work(daemon);
		}
		follow_next(daemon);
		show_open(daemon);
	}
	eg_service_stop();
	while (eg_policy_files_has_work(&daemon->files))
		eg_policy_files_work(&daemon->files);
	eg_journal("daemon", EG_JOURNAL_NOTICE, NULL,
		   "stopped: what is in force stays in force, the layer `netns` ends");
	return 0;
}

static void daemon_end(struct daemon *daemon)
{
	eg_spares_end();
	eg_engines_end(&daemon->engines);
	eg_wards_free(&daemon->wards);
	eg_stopgap_free(daemon->stopgap);
	eg_policy_files_free(&daemon->files);
	eg_text_free(&daemon->open);
	eg_cleanup_close(&daemon->epoll_fd);
	eg_cleanup_close(&daemon->signal_fd);
	eg_cleanup_close(&daemon->mounts_fd);
	eg_cleanup_close(&daemon->pins_fd);
}

int cmd_daemon(int argc, char **argv)
{
	struct eg_options options = {.help = &help, .argc = argc, .argv = argv};
	struct daemon daemon = {.config_dir = EG_CONFIG_DIR,
				.epoll_fd = -1,
				.signal_fd = -1,
				.mounts_fd = -1,
				.pins_fd = -1};
	struct eg_error error = {};
	const char *value = NULL;
	int id = 0, next;

	while ((next = eg_options_next(&options, &id, &value, &error)) > 0) {
		if (id == EG_OPTION_HELP) {
			eg_help_print(&help, stdout);
			return EG_EXIT_OK;
		}
		if (id == OPTION_CONFIG_DIR)
			daemon.config_dir = value;
		else if (id == OPTION_STATE_DIR)
			daemon.state_dir = value;
		else if (id == EG_OPTION_PIN_DIR)
			daemon.pin_dir = value;
		else {
			next = eg_error_set(&error, EG_EXIT_USAGE, EINVAL,
					    "'%s': daemon takes no operand; what is guarded is "
					    "said by the files of --config-dir",
					    value);
			break;
		}
	}
	if (next == 0)
		next = run(&daemon, &error);
	daemon_end(&daemon);
	return next < 0 ? eg_log_error("daemon", next, &error) : EG_EXIT_OK;
}
