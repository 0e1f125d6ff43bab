// SPDX-License-Identifier: GPL-2.0
#include "try.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "kern/guard.h"
#include "util/clock.h"

#define LOCK_WAIT_MS 60000
#define NS           1000000000ULL
#define LOOK_NS      (2 * NS) /* how often to look whether the trial is over */

/* Only the guard that this trial is about: one that was confirmed, or attached anew, has another
 * time in its meta. */
static bool is_still_on_trial(struct eg_pins *pins, const char *name, __u64 until_realtime_ns)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;

	return eg_guard_open(pins, name, &guard, NULL) == 0 &&
	       eg_guard_meta(guard)->try_until_realtime_ns == until_realtime_ns;
}

static void end_trial(const char *pin_dir, const char *name, __u64 until_realtime_ns)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};

	if (eg_pins_open(pin_dir, false, &pins, NULL) == 0 &&
	    eg_pins_lock(&pins, LOCK_WAIT_MS, NULL) == 0 &&
	    is_still_on_trial(&pins, name, until_realtime_ns))
		eg_guard_remove(&pins, name, NULL);
}

static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	signal(SIGHUP, SIG_IGN);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
}

/* On CLOCK_BOOTTIME: a clock that is set meanwhile must not end the trial early or never, and a
 * machine that slept has slept through it. False if the trial ended before: confirmed, detached. */
static bool wait_on_trial(const char *pin_dir, const char *name, __u64 until_realtime_ns, __u64 ns)
{
	__u64 until = eg_boottime_ns() + ns;

	for (;;) {
		EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
		__u64 now = eg_boottime_ns();
		__u64 wake = until - now < LOOK_NS ? until : now + LOOK_NS;
		const struct timespec at = {.tv_sec = (time_t)(wake / NS),
					    .tv_nsec = (long)(wake % NS)};

		if (now >= until)
			return true;
		clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &at, NULL);
		if (eg_pins_open(pin_dir, false, &pins, NULL) < 0 ||
		    !is_still_on_trial(&pins, name, until_realtime_ns))
			return false;
	}
}

int eg_try_start(const char *pin_dir, const char *name, __u64 until_realtime_ns)
{
	__u64 now_ns = eg_realtime_ns();
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid > 0)
		return 0;
	leave_terminal();
	if (wait_on_trial(pin_dir, name, until_realtime_ns,
			  until_realtime_ns > now_ns ? until_realtime_ns - now_ns : 0))
		end_trial(pin_dir, name, until_realtime_ns);
	_exit(0);
}
