// SPDX-License-Identifier: GPL-2.0
#include "follow.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>
#include <time.h>

#include "follow_parts.h"
#include "kern/hold.h"
#include "names.h"
#include "net/monitor.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define TICK_NS     (1000 * EG_FOLLOW_NS_PER_MS) /* is the witness still there, and the guard ours? */
#define NAMES_SHARE 20 /* and never more than this part of the time for names */

/* --- when ------------------------------------------------------------------------------------- */

void eg_follow_look_at(struct eg_follow *follow, __u64 at_ns)
{
	if (at_ns < follow->space_until_ns)
		at_ns = follow->space_until_ns;
	if (at_ns < follow->look_ns)
		follow->look_ns = at_ns;
}

static void set_timer(struct eg_follow *follow)
{
	__u64 at = follow->tick_ns;
	struct itimerspec timer = {};

	if (follow->netns.fd >= 0 && follow->look_ns < at)
		at = follow->look_ns;
	timer.it_value.tv_sec = (time_t)(at / 1000000000ULL);
	timer.it_value.tv_nsec = (long)(at % 1000000000ULL);
	timerfd_settime(follow->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

int eg_follow_wait_for(struct eg_follow *follow, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(follow->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* --- what it says ----------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) void eg_follow_tell(struct eg_follow *follow, bool warning,
							  const char *format, ...)
{
	char line[EG_ERROR_LEN * 2];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	follow->say(follow->argument, warning, line);
}

/* Tried again and again, said once. */
void eg_follow_complain(struct eg_follow *follow, const struct eg_error *error)
{
	if (strcmp(follow->complaint, error->message) == 0)
		return;
	snprintf(follow->complaint, sizeof(follow->complaint), "%s", error->message);
	eg_follow_tell(follow, true, "%s", error->message);
}

/* --- work ------------------------------------------------------------------------------------- */

/* Only who follows it knows whether there is a tunnel. A namespace that is slow to tell is not
 * asked all the time: the time to ask then ends. */
static void tend_names(struct eg_follow *follow)
{
	__u64 started = eg_monotonic_ns(), took;

	if (!follow->policy || started < follow->names_ns)
		return;
	follow->names_open = false;
	if (!eg_names_are_asked(follow->policy))
		return;
	(void)eg_names_tend(follow->guard, &follow->netns, follow->policy, EG_NAMES_KEPT_MS,
			    &follow->names_open);
	took = eg_monotonic_ns() - started;
	follow->names_ns = started + took * NAMES_SHARE;
}

static void drain(int fd)
{
	char buffer[4096] __attribute__((aligned(8)));

	while (read(fd, buffer, sizeof(buffer)) > 0)
		;
}

static enum eg_follow_end take_events(struct eg_follow *follow)
{
	struct epoll_event events[8];
	bool guard = false;
	int n = epoll_wait(follow->epoll_fd, events, 8, 0);

	for (int i = 0; i < n; i++) {
		int fd = events[i].data.fd;

		if (fd == follow->timer_fd) {
			drain(fd);
		} else if (fd == follow->inotify_fd) {
			drain(fd);
			guard = true;
		} else if (fd == follow->monitor_fd) {
			if (eg_monitor_drain(fd) != 0) {
				eg_follow_look_at(follow, eg_monotonic_ns());
				follow->changed = true;
			}
		} else {
			follow->tick_ns = eg_monotonic_ns(); /* the witness has ended */
		}
	}
	return guard ? eg_follow_check_guard(follow) : EG_FOLLOW_GOES_ON;
}

static enum eg_follow_end tick(struct eg_follow *follow)
{
	enum eg_follow_end end = eg_follow_check_guard(follow);

	follow->tick_ns = eg_moment_in_ns(TICK_NS);
	if (end != EG_FOLLOW_GOES_ON)
		return end;
	if (follow->netns.fd >= 0)
		eg_follow_check_witness(follow);
	if (follow->netns.fd < 0)
		end = eg_follow_check_gone(follow);
	else
		tend_names(follow);
	return end;
}

enum eg_follow_end eg_follow_work(struct eg_follow *follow)
{
	enum eg_follow_end end = take_events(follow);

	if (end == EG_FOLLOW_GOES_ON && eg_monotonic_ns() >= follow->tick_ns)
		end = tick(follow);
	if (end == EG_FOLLOW_GOES_ON && follow->netns.fd >= 0 &&
	    eg_monotonic_ns() >= follow->look_ns)
		eg_follow_look_again(follow);
	set_timer(follow);
	return end;
}

/* --- what is known of it ---------------------------------------------------------------------- */

int eg_follow_fd(const struct eg_follow *follow)
{
	return follow->epoll_fd;
}

const struct eg_netns *eg_follow_netns(const struct eg_follow *follow)
{
	return &follow->netns;
}

const struct eg_hold *eg_follow_hold(const struct eg_follow *follow)
{
	return follow->hold;
}

bool eg_follow_is_current(const struct eg_follow *follow)
{
	return follow->netns.fd >= 0 && eg_guard_is_current(follow->guard) == 1;
}

bool eg_follow_has_changed(struct eg_follow *follow)
{
	bool changed = follow->changed;

	follow->changed = false;
	return changed;
}

bool eg_follow_names_open(const struct eg_follow *follow)
{
	return follow->names_open;
}

void eg_follow_hurry(struct eg_follow *follow)
{
	follow->tick_ns = eg_monotonic_ns();
	set_timer(follow);
}

/* --- beginning and end ------------------------------------------------------------------------ */

void eg_follow_free(struct eg_follow *follow)
{
	if (!follow)
		return;
	eg_follow_disclaim(follow);
	eg_follow_let_go(follow);
	eg_guard_close(follow->guard);
	eg_policy_free(follow->policy);
	eg_cleanup_close(&follow->epoll_fd);
	eg_cleanup_close(&follow->timer_fd);
	eg_cleanup_close(&follow->inotify_fd);
	free(follow->known);
	free(follow->pin_dir);
	free(follow->name);
	free(follow);
}

int eg_follow_watch(struct eg_follow *follow)
{
	follow->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (follow->inotify_fd < 0)
		return -errno;
	if (inotify_add_watch(follow->inotify_fd, follow->pin_dir ? follow->pin_dir : EG_PIN_ROOT,
			      IN_MOVE | IN_DELETE) < 0)
		return -errno;
	return eg_follow_wait_for(follow, follow->inotify_fd);
}

static int make_waiting(struct eg_follow *follow)
{
	follow->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	follow->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return follow->epoll_fd < 0 || follow->timer_fd < 0
		       ? -errno
		       : eg_follow_wait_for(follow, follow->timer_fd);
}

static int start_waiting(struct eg_follow *follow)
{
	int result = make_waiting(follow);

	if (result == 0)
		result = eg_follow_start_monitor(follow);
	return result;
}

static int start(struct eg_follow *follow, struct eg_error *error)
{
	int result = eg_follow_open_guard(follow, &follow->guard, error);

	if (result == 0)
		result = eg_follow_find_namespace(follow, error);
	if (result < 0)
		return result;
	result = start_waiting(follow);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot wait for changes of the namespace: %s",
				    strerror(-result));
	result = eg_follow_take_hold(follow, error);
	if (result < 0)
		return result;
	*error = (struct eg_error){};
	eg_follow_watch_witness(follow);
	follow->tick_ns = eg_moment_in_ns(TICK_NS);
	follow->tun_until_ns = eg_monotonic_ns() + EG_FOLLOW_TUN_PATIENCE_NS;
	result = eg_follow_look(follow, EG_FOLLOW_LOCK_MS, error);
	if (result < 0 && *error->message)
		return result;
	if (result < 0) /* replaced at this very moment: what comes now tells */
		follow->look_ns = 0;
	set_timer(follow);
	return 0;
}

int eg_follow_new(const char *pin_dir, const char *name, eg_follow_say say, void *argument,
		  struct eg_follow **ret_follow, struct eg_error *error)
{
	EG_AUTO_FOLLOW struct eg_follow *follow = calloc(1, sizeof(*follow));
	int result;

	if (!follow)
		return eg_error_set(error, EG_EXIT_FAILED, ENOMEM, "out of memory");
	follow->epoll_fd = follow->monitor_fd = follow->timer_fd = follow->inotify_fd = -1;
	follow->netns = EG_NETNS_NONE;
	follow->witness = EG_WITNESS_NONE;
	follow->look_ns = ~0ULL;
	follow->say = say;
	follow->argument = argument;
	follow->name = strdup(name);
	if (pin_dir)
		follow->pin_dir = strdup(pin_dir);
	if (!follow->name || (pin_dir && !follow->pin_dir))
		return eg_error_set(error, EG_EXIT_FAILED, ENOMEM, "out of memory");
	result = start(follow, error);
	if (result < 0)
		return result;
	*ret_follow = EG_TAKE(follow);
	return 0;
}
