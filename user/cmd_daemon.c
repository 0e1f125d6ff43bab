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
#include "cmd.h"
#include "config_dir.h"
#include "journal.h"
#include "kern/features.h"
#include "kern/spare.h"
#include "log.h"
#include "net/runtime_events.h"
#include "open_files.h"
#include "options.h"
#include "policy_files.h"
#include "stopgap.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/notify.h"
#include "ward.h"

#define NS_PER_MS       1000000ULL
#define ENGINES_WAIT_MS 1000
#define EVENTS          256
#define MOUNTS_SPACE_NS (10 * NS_PER_MS)
/* Checks take a twenty-fifth of a processor, and a tenth of the time, however many guards there
 * are, some at a time; and one that takes long does not keep the others waiting for long. */
#define CHECKS_PROCESSOR 25
#define CHECKS_SHARE     10
#define CHECKS_SLICE_NS  (4 * NS_PER_MS)
#define CHECKS_PAUSE_MAX (1000 * NS_PER_MS)
#define START_BEAT_NS    (5000 * NS_PER_MS)
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
	struct eg_ward **wards;
	size_t n;
	struct engine {
		struct eg_runtime_events *events; /* NULL: nobody asks for its containers */
		bool up, settled;                 /* it answered; that, or that it did not */
	} engines[EG_RUNTIME_COUNT];
	__u64 watchdog_ns; /* half of what the service manager waits for; 0: it does not */
	__u64 watched_ns;
	bool is_ready;
	bool starts; /* those that are in force are followed when all have been looked at */
	size_t to_follow;
	__u64 files_ns, looked_ns; /* when to look at namespaces' files, 0: not; when that was */
	__u64 checks_ns;           /* not before then is a guard checked */
	bool reload, stop;
};

/* --- wards ------------------------------------------------------------------------------------ */

static struct eg_ward *find_ward(const struct daemon *daemon, const char *name)
{
	for (size_t i = 0; i < daemon->n; i++)
		if (strcmp(eg_ward_name(daemon->wards[i]), name) == 0)
			return daemon->wards[i];
	return NULL;
}

static bool add_ward(struct daemon *daemon, struct eg_ward *ward)
{
	struct eg_ward **wards =
		reallocarray(daemon->wards, daemon->n + 1, sizeof(struct eg_ward *));

	if (!wards)
		return false;
	daemon->wards = wards;
	wards[daemon->n++] = ward;
	return true;
}

static enum eg_yields ask_ward(void *argument, const char *name, const struct eg_netns *netns)
{
	struct eg_ward *ward = find_ward(argument, name);

	return ward ? eg_ward_yields(ward, netns) : EG_YIELDS_UNKNOWN;
}

static struct eg_ward *get_ward(struct daemon *daemon, const char *name)
{
	struct eg_ward *ward = find_ward(daemon, name);

	if (ward)
		return ward;
	ward = eg_ward_new(daemon->pin_dir, name, daemon->epoll_fd);
	if (ward && add_ward(daemon, ward)) {
		eg_ward_set_ask(ward, ask_ward, daemon);
		if (daemon->starts)
			eg_ward_follow_later(ward);
		for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++)
			if (daemon->engines[runtime].settled)
				eg_ward_set_engine(ward, runtime, daemon->engines[runtime].up);
		return ward;
	}
	eg_ward_free(ward);
	eg_journal("daemon", EG_JOURNAL_ERROR, name, "out of memory");
	return NULL;
}

static void drop_finished(struct daemon *daemon)
{
	size_t kept = 0;

	for (size_t i = 0; i < daemon->n; i++) {
		if (eg_ward_is_over(daemon->wards[i]))
			eg_ward_free(daemon->wards[i]);
		else
			daemon->wards[kept++] = daemon->wards[i];
	}
	daemon->n = kept;
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

	for (size_t i = 0; i < daemon->n; i++)
		if (!name || strcmp(eg_ward_name(daemon->wards[i]), name) == 0)
			eg_ward_touch_pins(daemon->wards[i]);
}

/* --- container engines ------------------------------------------------------------------------ */

/* One that was never there is none of this machine's, and no news. */
static void say_engine(struct engine *engine, enum eg_runtime runtime, bool up, const char *why)
{
	if (up)
		eg_journal("daemon", EG_JOURNAL_INFO, NULL, "%s answers: its events are followed",
			   eg_runtime_names[runtime]);
	else if (engine->up)
		eg_journal("daemon", EG_JOURNAL_WARNING, NULL,
			   "%s does not answer any more (%s): its containers' guards stay as they "
			   "are, and it is asked again",
			   eg_runtime_names[runtime], why);
}

static void take_event(void *argument, enum eg_runtime runtime, enum eg_runtime_told told,
		       const struct eg_engine_event *event, const char *text)
{
	struct daemon *daemon = argument;
	struct engine *engine = &daemon->engines[runtime];
	bool up = told == EG_RUNTIME_UP;

	if (told != EG_RUNTIME_EVENT) {
		say_engine(engine, runtime, up, text);
		engine->up = up;
		engine->settled = true;
	}
	for (size_t i = 0; i < daemon->n; i++) {
		if (told == EG_RUNTIME_EVENT)
			eg_ward_touch_container(daemon->wards[i], runtime,
						*event->id ? event->id : NULL,
						*event->name ? event->name : NULL);
		else
			eg_ward_set_engine(daemon->wards[i], runtime, up);
	}
}

static bool is_asked(const struct daemon *daemon, enum eg_runtime runtime)
{
	for (size_t i = 0; i < daemon->n; i++)
		if (eg_ward_asks(daemon->wards[i], runtime))
			return true;
	return false;
}

static void start_engine(struct daemon *daemon, enum eg_runtime runtime)
{
	struct engine *engine = &daemon->engines[runtime];
	struct epoll_event event = {.events = EPOLLIN};
	int result = eg_runtime_events_new(runtime, take_event, daemon, &engine->events);

	event.data.ptr = engine;
	if (result == 0 && epoll_ctl(daemon->epoll_fd, EPOLL_CTL_ADD,
				     eg_runtime_events_fd(engine->events), &event) < 0)
		result = -errno;
	if (result == 0)
		return;
	eg_runtime_events_free(engine->events);
	engine->events = NULL;
	engine->settled = true;
	for (size_t i = 0; i < daemon->n; i++)
		eg_ward_set_engine(daemon->wards[i], runtime, false);
	eg_journal("daemon", EG_JOURNAL_ERROR, NULL, "cannot follow the events of %s: %s",
		   eg_runtime_names[runtime],
		   result == -EOPNOTSUPP ? "this build cannot ask for containers (no libcurl)"
					 : strerror(-result));
}

static void stop_engine(struct engine *engine)
{
	eg_runtime_events_free(engine->events);
	*engine = (struct engine){};
}

/* Those alone that some file may mean. */
static void choose_engines(struct daemon *daemon)
{
	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++) {
		struct engine *engine = &daemon->engines[runtime];

		if (is_asked(daemon, runtime) && !engine->events)
			start_engine(daemon, runtime);
		else if (!is_asked(daemon, runtime) && engine->events)
			stop_engine(engine);
	}
}

static bool are_engines_settled(const struct daemon *daemon)
{
	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++)
		if (daemon->engines[runtime].events && !daemon->engines[runtime].settled)
			return false;
	return true;
}

static struct engine *find_engine(struct daemon *daemon, const void *data)
{
	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++)
		if (data == &daemon->engines[runtime])
			return &daemon->engines[runtime];
	return NULL;
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
	for (size_t i = 0; i < daemon->n; i++) {
		struct eg_ward *ward = daemon->wards[i];

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
	choose_engines(daemon);
	return 0;
}

/* What could not be guarded, as it stands now. */
static void name_open(const struct daemon *daemon, struct eg_text *names)
{
	for (size_t i = 0; i < daemon->n; i++)
		if (eg_ward_is_open(daemon->wards[i]))
			eg_policy_files_name(names, eg_ward_name(daemon->wards[i]), "");
}

static void say_files(struct daemon *daemon, const char *what)
{
	eg_text_free(&daemon->open);
	daemon->open = (struct eg_text){};
	name_open(daemon, &daemon->open);
	daemon->files.own_is_shut = eg_stopgap_is_shut(daemon->stopgap);
	eg_policy_files_say(&daemon->files, what, &daemon->open);
}

/* When that is others than it was. */
static void show_open(struct daemon *daemon)
{
	EG_AUTO_TEXT struct eg_text names = {};

	name_open(daemon, &names);
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
	char state[64];

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)(eg_monotonic_ns() / 1000));
	eg_notify(state);
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

/* Who waited longest is first. */
static struct eg_ward *next_to_check(const struct daemon *daemon)
{
	struct eg_ward *next = NULL;

	for (size_t i = 0; i < daemon->n; i++)
		if (!next || eg_ward_check_due_ns(daemon->wards[i]) < eg_ward_check_due_ns(next))
			next = daemon->wards[i];
	return next;
}

static __u64 check_due_ns(const struct daemon *daemon)
{
	const struct eg_ward *next = next_to_check(daemon);

	return next ? later(eg_ward_check_due_ns(next), daemon->checks_ns) : ~0ULL;
}

static int timeout_ms(const struct daemon *daemon)
{
	__u64 now = eg_monotonic_ns(), due = now + 60000 * NS_PER_MS;

	if (daemon->to_follow)
		return 0;
	for (size_t i = 0; i < daemon->n; i++)
		if (eg_ward_due_ns(daemon->wards[i]) < due)
			due = eg_ward_due_ns(daemon->wards[i]);
	if (check_due_ns(daemon) < due)
		due = check_due_ns(daemon);
	if (daemon->watchdog_ns && daemon->watched_ns + daemon->watchdog_ns < due)
		due = daemon->watched_ns + daemon->watchdog_ns;
	if (daemon->files_ns && daemon->files_ns < due)
		due = daemon->files_ns;
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
		struct engine *engine = find_engine(daemon, data);

		if (data == &daemon->signal_fd)
			take_signals(daemon);
		else if (data == &daemon->pins_fd)
			eg_adopt_new(daemon->pin_dir, daemon->pins_fd, adopt, touch_pins, daemon);
		else if (data == &daemon->mounts_fd)
			daemon->files_ns =
				later(eg_monotonic_ns(), daemon->looked_ns + MOUNTS_SPACE_NS);
		else if (data == &daemon->stopgap)
			eg_stopgap_work(daemon->stopgap);
		else if (engine)
			eg_runtime_events_work(engine->events);
		else
			eg_ward_follow_work(data);
	}
}

/* --- work ------------------------------------------------------------------------------------- */

/* To start with a thousand guards takes longer than a service manager waits. */
static void beat(struct daemon *daemon)
{
	__u64 now = eg_monotonic_ns();

	if (!daemon->is_ready) {
		if (now < daemon->watched_ns + START_BEAT_NS)
			return;
		eg_notify("EXTEND_TIMEOUT_USEC=120000000");
		daemon->watched_ns = now;
		return;
	}
	if (!daemon->watchdog_ns || now < daemon->watched_ns + daemon->watchdog_ns)
		return;
	eg_notify("WATCHDOG=1");
	daemon->watched_ns = now;
}

/* Mounts may come in great numbers. */
static void look_at_files(struct daemon *daemon)
{
	if (!daemon->files_ns || eg_monotonic_ns() < daemon->files_ns)
		return;
	daemon->files_ns = 0;
	daemon->looked_ns = eg_monotonic_ns();
	for (size_t i = 0; i < daemon->n; i++)
		eg_ward_touch_files(daemon->wards[i]);
}

/* A few at a time: what happens meanwhile comes first. */
static void check_some(struct daemon *daemon)
{
	__u64 started = eg_monotonic_ns(), now, pause, worked;

	if (started < check_due_ns(daemon))
		return;
	worked = eg_processor_ns();
	do {
		eg_ward_check(next_to_check(daemon));
		now = eg_monotonic_ns();
	} while (now - started < CHECKS_SLICE_NS && now >= check_due_ns(daemon));
	pause = later((now - started) * (CHECKS_SHARE - 1),
		      (eg_processor_ns() - worked) * (CHECKS_PROCESSOR - 1));
	daemon->checks_ns = now + (pause < CHECKS_PAUSE_MAX ? pause : CHECKS_PAUSE_MAX);
}

static void work(struct daemon *daemon)
{
	__u64 now = eg_monotonic_ns();

	beat(daemon);
	look_at_files(daemon);
	for (size_t i = 0; i < daemon->n && !daemon->stop; i++) {
		EG_AUTO_FREE char *aside = NULL;

		if (eg_ward_due_ns(daemon->wards[i]) > now)
			continue;
		if (eg_ward_work(daemon->wards[i], &aside))
			get_ward(daemon, aside);
		eg_stopgap_look(&daemon->stopgap, daemon->wards, daemon->n);
		/* Many at once take long. */
		now = eg_monotonic_ns();
		beat(daemon);
		take_signals(daemon);
	}
	if (!daemon->stop && daemon->is_ready) {
		check_some(daemon);
		eg_policy_files_work(&daemon->files);
	}
	drop_finished(daemon);
}

static __u64 watchdog_period(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	return strtoull(usec, NULL, 10) * 1000 / 2;
}

/* Those that are likely to be made at once. */
static unsigned int count_missing(const struct daemon *daemon)
{
	unsigned int n = 0;

	for (size_t i = 0; i < daemon->n && n < EG_SPARES_MAX; i++)
		n += eg_ward_may_come(daemon->wards[i]) && eg_ward_is_missing(daemon->wards[i]);
	return n;
}

/* For whatever comes; the next one is made while that is attached. */
static void keep_spare(const struct daemon *daemon)
{
	bool any = false;

	for (size_t i = 0; i < daemon->n && !any; i++)
		any = eg_ward_may_come(daemon->wards[i]);
	eg_spares_want(daemon->pin_dir, any);
}

/* The next one of those that were in force when we started; what happens comes first. */
static void follow_next(struct daemon *daemon)
{
	size_t before = daemon->to_follow;
	struct eg_ward *next = NULL;

	if (!before)
		return;
	daemon->to_follow = 0;
	for (size_t i = 0; i < daemon->n; i++) {
		if (!eg_ward_waits_to_follow(daemon->wards[i]))
			continue;
		daemon->to_follow++;
		if (!next)
			next = daemon->wards[i];
	}
	if (next)
		eg_ward_follow_now(next);
	else if (daemon->is_ready)
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
	for (size_t i = 0; i < daemon->n; i++) {
		if (eg_ward_waits_to_follow(daemon->wards[i]))
			daemon->to_follow++;
		else
			eg_ward_follow_now(daemon->wards[i]);
	}
	while (!daemon->stop && daemon->to_follow && eg_monotonic_ns() < until) {
		follow_next(daemon);
		work(daemon);
		wait(daemon, 0);
	}
	if (daemon->to_follow)
		eg_journal("daemon", EG_JOURNAL_NOTICE, NULL,
			   "%zu guards in force are yet to be followed: until then an interface "
			   "that appears there is not covered",
			   daemon->to_follow);
}

/* What is there already is guarded before anybody is told that we are ready. An engine whose socket
 * is there, but that starts only after us, is not waited for. */
static void start_work(struct daemon *daemon)
{
	__u64 until = eg_monotonic_ns() + ENGINES_WAIT_MS * NS_PER_MS;

	eg_spares_want(daemon->pin_dir, count_missing(daemon));
	work(daemon);
	while (!daemon->stop && !are_engines_settled(daemon) && eg_monotonic_ns() < until) {
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
	daemon->watchdog_ns = watchdog_period();
	/* What does not parse leaves nothing open where all is shut. */
	if (!eg_stopgap_is_shut(daemon->stopgap))
		open_copies(daemon);
	daemon->starts = true;
	result = read_files(daemon, error);
	if (result < 0)
		return result;
	eg_adopt_all(daemon->pin_dir, adopt, daemon);
	eg_open_files_check(daemon->n);
	start_work(daemon);
	daemon->is_ready = true;
	keep_spare(daemon);
	say_files(daemon, "ready");
	eg_notify("READY=1");
	while (!daemon->stop) {
		wait(daemon, INT_MAX);
		if (daemon->reload) {
			reload(daemon);
			eg_open_files_check(daemon->n);
			work(daemon);
			keep_spare(daemon);
			eg_notify("READY=1");
		} else {
			work(daemon);
		}
		follow_next(daemon);
		show_open(daemon);
	}
	eg_notify("STOPPING=1");
	while (eg_policy_files_has_work(&daemon->files))
		eg_policy_files_work(&daemon->files);
	eg_journal("daemon", EG_JOURNAL_NOTICE, NULL,
		   "stopped: what is in force stays in force, the layer `netns` ends");
	return 0;
}

static void daemon_end(struct daemon *daemon)
{
	eg_spares_end();
	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++)
		stop_engine(&daemon->engines[runtime]);
	for (size_t i = 0; i < daemon->n; i++)
		eg_ward_free(daemon->wards[i]);
	free(daemon->wards);
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
