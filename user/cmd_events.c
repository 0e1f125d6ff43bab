// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>

#include "cmd.h"
#include "collect.h"
#include "ifnames.h"
#include "kern/guard.h"
#include "log.h"
#include "options.h"
#include "out/render.h"
#include "owners.h"
#include "policy/explain.h"
#include "select.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/text.h"

#define NS_PER_S         1000000000ULL
#define NS_PER_MS        1000000ULL
#define TICK_NS          NS_PER_S
#define PASS_NS          (50 * NS_PER_MS)
#define DRAIN_NS         (2 * NS_PER_S)
#define RECHECK_NS       (200 * NS_PER_MS)
#define EVENTS_PER_CLOCK 256
#define OWNER_WAIT_MS    300
#define OUTPUT_SIZE      (64 << 10)
#define COUNT_MAX        1000000000000ULL
#define DURATION_MAX     1e9

enum own_option {
	OPTION_COUNT = EG_OPTION_OWN,
	OPTION_DURATION,
	OPTION_REASON,
	OPTION_PCAP,
};

static const struct eg_option option_table[] = {
	EG_OPTION_ENTRY_NETNS,
	EG_OPTION_ENTRY_JSON,
	{OPTION_COUNT, "--count", "N", "end after N events"},
	{OPTION_DURATION, "--duration", "S", "end after S seconds (1.5 is fine)"},
	{OPTION_REASON, "--reason", "R", "show only events of this reason; may be repeated"},
	{OPTION_PCAP, "--pcap", "FILE",
	 "write the packets' first 128 bytes to FILE as well (pcapng); - is standard output, and "
	 "nothing else then goes there"},
	EG_OPTION_ENTRY_PIN_DIR,
	{},
};

static const struct eg_help help = {
	.command = "events",
	.usage = "[GUARD | --netns TARGET] [--json] [--count N] [--duration S]\n"
		 "[--reason R] [--pcap FILE]",
	.summary =
		"Show what a guard blocks, as it happens, until Ctrl-C or until the guard or its "
		"namespace goes.",
	.options = option_table,
	.example = "egressguard events wireguard --reason public --json",
};

struct request {
	struct eg_common common;
	__u64 count;       /* 0: no end */
	__u64 duration_ns; /* 0: no end */
	bool reasons[EG_REASON_COUNT];
	bool all_reasons;
	const char *pcap;
};

/* --- options ------------------------------------------------------------------------------------
 */

static int read_count(const char *value, __u64 *ret_count, struct eg_error *error)
{
	char *end = NULL;
	unsigned long long count;

	errno = 0;
	count = strtoull(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno || !count || count > COUNT_MAX)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--count '%s': not a number of events, 1 or more", value);
	*ret_count = count;
	return 0;
}

static int read_duration(const char *value, __u64 *ret_ns, struct eg_error *error)
{
	char *end = NULL;
	double seconds = strtod(value, &end);

	/* Digits and a point: no hexadecimal, no "inf". */
	if (strspn(value, "0123456789.") != strlen(value) || end == value || *end ||
	    !(seconds > 0) || seconds > DURATION_MAX)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--duration '%s': not a number of seconds above 0", value);
	*ret_ns = (__u64)(seconds * (double)NS_PER_S);
	return 0;
}

static int read_reason(const char *value, struct request *request, struct eg_error *error)
{
	const char *names[EG_REASON_COUNT + 1] = {};
	int reason = eg_reason_parse(value);
	size_t n = 0;
	char safe[256];
	const char *nearest;

	if (reason >= 0 && eg_reason_verdict((enum eg_reason)reason) == EG_VERDICT_DROP) {
		request->reasons[reason] = true;
		request->all_reasons = false;
		return 0;
	}
	eg_escape(safe, sizeof(safe), value, strlen(value));
	if (reason >= 0)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--reason '%s': such packets are allowed, and events are of "
				    "what is blocked",
				    safe);
	for (int i = EG_REASON_ETHERTYPE; i < EG_REASON_COUNT; i++)
		names[n++] = eg_reason_names[i];
	nearest = eg_nearest(value, names);
	if (nearest)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--reason '%s': there is no such reason; did you mean %s?",
				    safe, nearest);
	return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
			    "--reason '%s': there is no such reason; public and private are "
			    "common ones, egressguard(8) lists all",
			    safe);
}

static int read_options(int argc, char **argv, struct request *request, struct eg_error *error)
{
	struct eg_options options = {.help = &help, .argc = argc, .argv = argv};
	const char *value = NULL;
	int id = 0, result;

	while ((result = eg_options_next(&options, &id, &value, error)) > 0) {
		if (id == OPTION_COUNT)
			result = read_count(value, &request->count, error);
		else if (id == OPTION_DURATION)
			result = read_duration(value, &request->duration_ns, error);
		else if (id == OPTION_REASON)
			result = read_reason(value, request, error);
		else if (id == OPTION_PCAP)
			request->pcap = value;
		else
			result = eg_common_take(&request->common, id, value, error);
		if (result < 0)
			return result;
	}
	return result;
}

/* --- watching -----------------------------------------------------------------------------------
 */

/* What ends a pass over the buffer before its end, as eg_viewer_consume() hands it on: it took
 * PASS_NS, or nothing more is to be shown. */
#define PASS_LONG  (-EAGAIN)
#define PASS_ENDED (-ECANCELED)

/* Which directory a guard's name is: another one after it was made anew. */
struct identity {
	dev_t dev;
	ino_t inode;
};

struct watch {
	const struct request *request;
	const struct eg_renderer *renderer; /* NULL: the pcap file is standard output */
	FILE *pcap;                         /* NULL: none */

	struct eg_pins *pins;
	const char *name;
	struct identity identity;
	struct eg_guard *guard;   /* owned */
	struct eg_viewer *viewer; /* owned */
	struct eg_ifnames ifnames;
	struct eg_owners *owners;

	__s64 offset; /* realtime - monotonic */
	__u64 now_ns;
	__u64 tick_at_ns;
	__u64 pass_until_ns;
	__u64 until_ns; /* events after this are not shown; 0: no end */
	unsigned int since_clock;

	__u64 shown;
	__u64 lost_before; /* by viewers that were replaced */
	__u64 lost_told;
	bool guard_missing, netns_missing; /* at the last look */
	bool ended;
	int failed; /* -errno of writing */
};

static __u64 realtime_now(const struct watch *watch)
{
	return watch->now_ns + (__u64)watch->offset;
}

static int show(struct watch *watch, const struct eg_event *event)
{
	const struct eg_owner *owner = NULL;
	struct eg_event_view view = {
		.event = event,
		.realtime_ns = event->time_ns + (__u64)watch->offset,
		.guard = watch->name,
		.ifname =
			eg_ifname_get(&watch->ifnames, event->layer, event->ifindex, watch->now_ns),
	};
	int result = 0;

	if (event->cgroup_id)
		owner = eg_owners_get(watch->owners, event->cgroup_id, OWNER_WAIT_MS);
	if (owner) {
		view.cgroup = owner->cgroup;
		view.container = owner->container;
		view.container_id = owner->container_id[0] ? owner->container_id : NULL;
	}
	if (watch->renderer)
		result = watch->renderer->event(&view, stdout);
	if (result == 0 && watch->pcap)
		result = eg_pcap_event(&view, watch->pcap);
	return result;
}

static int on_event(const struct eg_event *event, void *argument)
{
	struct watch *watch = argument;
	const struct request *request = watch->request;

	/* A flood must keep neither the heartbeat nor a signal from being noticed. */
	if (++watch->since_clock >= EVENTS_PER_CLOCK) {
		watch->since_clock = 0;
		watch->now_ns = eg_monotonic_ns();
	}
	if (watch->until_ns && event->time_ns > watch->until_ns) {
		watch->ended = true;
		return PASS_ENDED;
	}
	if (event->reason < EG_REASON_COUNT &&
	    (request->all_reasons || request->reasons[event->reason])) {
		watch->failed = show(watch, event);
		if (watch->failed)
			return PASS_ENDED;
		watch->shown++;
		if (watch->shown == request->count) {
			watch->ended = true;
			return PASS_ENDED;
		}
	}
	return watch->now_ns >= watch->pass_until_ns ? PASS_LONG : 0;
}

static int flush(struct watch *watch)
{
	if (!watch->failed && fflush(stdout) != 0)
		watch->failed = -errno;
	if (!watch->failed && watch->pcap && fflush(watch->pcap) != 0)
		watch->failed = -errno;
	return watch->failed;
}

static __u64 lost_total(struct watch *watch)
{
	return watch->lost_before + (watch->viewer ? eg_viewer_lost(watch->viewer) : 0);
}

static void tell_lost(struct watch *watch)
{
	__u64 total = lost_total(watch);

	if (total == watch->lost_told || watch->failed)
		return;
	if (watch->renderer)
		watch->failed = watch->renderer->lost(watch->name, total - watch->lost_told, total,
						      realtime_now(watch), stdout);
	watch->lost_told = total;
}

static void tell_state(struct watch *watch, const char *state, const char *detail)
{
	watch->now_ns = eg_monotonic_ns();
	if (watch->renderer && !watch->failed)
		watch->failed = watch->renderer->state(watch->name, state, detail,
						       realtime_now(watch), stdout);
}

/* One pass over the buffer. Returns whether more is to come. */
static bool pass(struct watch *watch)
{
	int result;

	watch->now_ns = eg_monotonic_ns();
	watch->pass_until_ns = watch->now_ns + PASS_NS;
	result = eg_viewer_consume(watch->viewer);
	flush(watch);
	return result == PASS_LONG && !watch->failed && !watch->ended;
}

/* Shows what the buffer still has of a guard that is gone. */
static void drain(struct watch *watch)
{
	__u64 at_most_ns = eg_monotonic_ns() + DRAIN_NS;

	while (pass(watch) && watch->now_ns < at_most_ns)
		;
	tell_lost(watch);
}

static int identify(const struct eg_pins *pins, const char *name, struct identity *ret_identity)
{
	char pin_name[3 * EG_NAME_MAX + 1];
	struct stat info;

	if (eg_pin_name_escape(pin_name, sizeof(pin_name), name) < 0)
		return -EINVAL;
	if (fstatat(pins->dir_fd, pin_name, &info, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*ret_identity = (struct identity){.dev = info.st_dev, .inode = info.st_ino};
	return 0;
}

static int open_viewer(struct watch *watch, struct eg_error *error)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	struct eg_viewer *viewer = NULL;
	const struct eg_meta *meta;
	struct identity identity;
	int result = identify(watch->pins, watch->name, &identity);

	if (result == 0)
		result = eg_guard_open(watch->pins, watch->name, &guard, error);
	else
		eg_error_set(error, EG_EXIT_NO_SUCH, -result, "the guard is gone");
	if (result == 0)
		result = eg_viewer_open(guard, on_event, watch, &viewer, error);
	if (result < 0)
		return result;
	meta = eg_guard_meta(guard);
	eg_ifnames_free(&watch->ifnames);
	watch->ifnames = (struct eg_ifnames){.netns = eg_netns_of_meta(meta)};
	watch->identity = identity;
	watch->viewer = viewer;
	watch->guard = EG_TAKE(guard);
	return 0;
}

static void close_viewer(struct watch *watch)
{
	if (watch->viewer) {
		watch->lost_before += eg_viewer_lost(watch->viewer);
		eg_viewer_close(watch->viewer);
	}
	watch->viewer = NULL;
	eg_guard_close(watch->guard);
	watch->guard = NULL;
}

static void swap_viewer(struct watch *watch, struct eg_guard **guard, struct eg_viewer **viewer)
{
	struct eg_guard *other_guard = watch->guard;
	struct eg_viewer *other_viewer = watch->viewer;

	watch->guard = *guard;
	watch->viewer = *viewer;
	*guard = other_guard;
	*viewer = other_viewer;
}

/* The name is another guard now. The new viewer is there before the old one goes, so that nothing
 * is missed but what happened before this was noticed. */
static void reopen(struct watch *watch)
{
	struct eg_guard *guard = watch->guard;
	struct eg_viewer *viewer = watch->viewer;
	struct eg_error why = {};

	if (open_viewer(watch, &why) < 0) {
		drain(watch);
		tell_state(watch, "replaced", why.message);
		watch->ended = true;
		return;
	}
	swap_viewer(watch, &guard, &viewer);
	drain(watch);
	close_viewer(watch);
	swap_viewer(watch, &guard, &viewer);
	tell_state(watch, "replaced", "a new guard of this name is in force");
}

/* Each is looked at twice before it is believed: a guard that is being made anew has no name for a
 * moment, and /proc is not read in one instant. */
static void check_guard(struct watch *watch)
{
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	const struct eg_netns *of_guard = &watch->ifnames.netns;
	struct identity identity;
	int result = identify(watch->pins, watch->name, &identity);
	bool guard_missing = result == -ENOENT;
	bool netns_missing = false;

	if (result == 0 &&
	    (identity.dev != watch->identity.dev || identity.inode != watch->identity.inode)) {
		reopen(watch);
	} else if (result == 0 && eg_guard_meta(watch->guard)->flags & EG_META_CGROUP) {
		netns_missing = eg_guard_is_dead(watch->guard);
	} else if (result == 0) {
		netns_missing = eg_netns_find(of_guard->dev, of_guard->inode, of_guard->cookie,
					      &netns) == -ENOENT;
	}
	if ((guard_missing && watch->guard_missing) || (netns_missing && watch->netns_missing)) {
		drain(watch);
		if (guard_missing)
			tell_state(watch, "detached", "the guard was taken away");
		else
			tell_state(watch, "gone",
				   eg_guard_meta(watch->guard)->flags & EG_META_CGROUP
					   ? "the cgroup was removed"
					   : "nothing holds the namespace any more");
		watch->ended = true;
	}
	watch->guard_missing = guard_missing;
	watch->netns_missing = netns_missing;
}

/* What ends the watch. Under nohup(1), a hangup does not. */
static void handled_signals(sigset_t *mask)
{
	struct sigaction hangup;

	sigemptyset(mask);
	sigaddset(mask, SIGINT);
	sigaddset(mask, SIGTERM);
	if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
		sigaddset(mask, SIGHUP);
}

/* A descriptor that is readable when one of them came. */
static int catch_signals(void)
{
	sigset_t mask;

	signal(SIGPIPE, SIG_IGN);
	handled_signals(&mask);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void tick(struct watch *watch)
{
	eg_viewer_beat(watch->viewer);
	watch->offset = eg_realtime_offset();
	tell_lost(watch);
	check_guard(watch);
	watch->now_ns = eg_monotonic_ns();
	watch->tick_at_ns = watch->now_ns +
			    (watch->guard_missing || watch->netns_missing ? RECHECK_NS : TICK_NS);
}

/* The first Ctrl-C ends the watch at this moment and lets the buffer's rest be shown; a second one
 * is a second one. */
static void stop_on_signal(struct watch *watch, int signals)
{
	struct signalfd_siginfo info;
	sigset_t mask;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return;
	watch->until_ns = watch->now_ns;
	handled_signals(&mask);
	sigprocmask(SIG_UNBLOCK, &mask, NULL);
}

/* Until there are events, a signal comes, or it is time for something. A reader that has gone away
 * is noticed though nothing is written. */
static void wait_for_events(struct watch *watch, int signals)
{
	struct pollfd fds[] = {
		{.fd = eg_viewer_fd(watch->viewer), .events = POLLIN},
		{.fd = signals, .events = POLLIN},
		{.fd = STDOUT_FILENO},
	};
	__u64 at = watch->tick_at_ns;
	struct timespec timeout = {};

	watch->now_ns = eg_monotonic_ns();
	if (watch->until_ns && watch->until_ns < at)
		at = watch->until_ns;
	if (at > watch->now_ns) {
		timeout.tv_sec = (time_t)((at - watch->now_ns) / NS_PER_S);
		timeout.tv_nsec = (long)((at - watch->now_ns) % NS_PER_S);
	}
	if (ppoll(fds, sizeof(fds) / sizeof(fds[0]), &timeout, NULL) <= 0)
		return;
	watch->now_ns = eg_monotonic_ns();
	if (fds[1].revents)
		stop_on_signal(watch, signals);
	if (fds[2].revents & (POLLERR | POLLHUP))
		watch->failed = -EPIPE;
}

static void watch_events(struct watch *watch, int signals)
{
	while (!watch->ended && !watch->failed) {
		bool more;

		wait_for_events(watch, signals);
		if (watch->failed)
			break;
		more = pass(watch);
		if (watch->until_ns && watch->now_ns >= watch->until_ns && !more)
			watch->ended = true;
		if (watch->now_ns >= watch->tick_at_ns && !watch->ended && !watch->failed)
			tick(watch);
		flush(watch);
	}
	tell_lost(watch);
	flush(watch);
}

/* --- the command ----------------------------------------------------------------------------- */

static int start_pcap(const char *path, FILE **ret_file, struct eg_error *error)
{
	EG_AUTO_FCLOSE FILE *file = NULL;
	char safe[512];
	bool to_stdout = strcmp(path, "-") == 0;
	int result;

	if (to_stdout && isatty(STDOUT_FILENO))
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--pcap -: a capture is nothing for a terminal");
	/* A copy of the descriptor, so that this file may be closed like any other. */
	file = to_stdout ? fdopen(dup(STDOUT_FILENO), "we") : fopen(path, "we");
	result = file ? eg_pcap_start(file) : -errno;
	if (result == 0 && fflush(file) != 0)
		result = -errno;
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "--pcap '%s': %s",
				    eg_escape(safe, sizeof(safe), path, strlen(path)),
				    strerror(-result));
	*ret_file = EG_TAKE(file);
	return 0;
}

static int watch_guard(struct watch *watch, struct eg_error *error)
{
	EG_AUTO_FCLOSE FILE *pcap = NULL;
	EG_AUTO_CLOSE int signals = -1;
	int result = 0;

	if (watch->request->pcap)
		result = start_pcap(watch->request->pcap, &pcap, error);
	if (result == 0)
		result = open_viewer(watch, error);
	if (result < 0)
		return result;
	watch->pcap = pcap;
	setvbuf(stdout, NULL, _IOFBF, OUTPUT_SIZE);
	signals = catch_signals();
	watch->offset = eg_realtime_offset();
	watch->now_ns = eg_monotonic_ns();
	watch->tick_at_ns = watch->now_ns + TICK_NS;
	if (watch->request->duration_ns)
		watch->until_ns = watch->now_ns + watch->request->duration_ns;
	watch_events(watch, signals);
	close_viewer(watch);
	/* Whoever closed the pipe has seen enough. */
	if (watch->failed == -EPIPE)
		return 0;
	if (watch->failed)
		return eg_error_set(error, EG_EXIT_FAILED, -watch->failed,
				    "cannot write what was blocked: %s", strerror(-watch->failed));
	eg_log_note("events", "%llu event%s shown, %llu lost", (unsigned long long)watch->shown,
		    watch->shown == 1 ? "" : "s", (unsigned long long)watch->lost_before);
	return 0;
}

static int events(const struct request *request, struct eg_error *error)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	EG_AUTO_OWNERS struct eg_owners *owners = NULL;
	EG_AUTO_FREE char *name = NULL;
	struct watch watch = {.request = request, .pins = &pins};
	int result = eg_select_open(&request->common, &pins, &name, error);

	if (result < 0)
		return result;
	result = eg_owners_new(&owners);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "%s", strerror(-result));
	watch.name = name;
	watch.owners = owners;
	eg_collect_warn_absent("events", &pins, name);
	if (!request->pcap || strcmp(request->pcap, "-") != 0)
		watch.renderer = request->common.json ? &eg_render_json : &eg_render_text;
	result = watch_guard(&watch, error);
	eg_ifnames_free(&watch.ifnames);
	return result;
}

int cmd_events(int argc, char **argv)
{
	struct request request = {.all_reasons = true};
	struct eg_error error = {};
	int result = read_options(argc, argv, &request, &error);

	if (result == 0 && request.common.help) {
		eg_help_print(&help, stdout);
		return EG_EXIT_OK;
	}
	if (result == 0)
		result = events(&request, &error);
	return result < 0 ? eg_log_error("events", result, &error) : EG_EXIT_OK;
}
