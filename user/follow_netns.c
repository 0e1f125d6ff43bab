// SPDX-License-Identifier: GPL-2.0
/* The namespace of a guard that is followed: what keeps it beside us, and letting go of it. */
#include <errno.h>
#include <string.h>

#include "follow_parts.h"
#include "kern/hold.h"
#include "net/monitor.h"
#include "reap.h"
#include "util/cleanup.h"
#include "util/clock.h"

static const char *target_path(const struct eg_follow *follow, char path[EG_TARGET_MAX + 1])
{
	memcpy(path, eg_guard_meta(follow->guard)->target, EG_TARGET_MAX);
	path[EG_TARGET_MAX] = '\0';
	return path;
}

/* Where that is not possible, the next tick tells. */
void eg_follow_watch_witness(struct eg_follow *follow)
{
	if (follow->witness.pidfd >= 0 && follow->epoll_fd >= 0)
		(void)eg_follow_wait_for(follow, follow->witness.pidfd);
}

static int find_witness(struct eg_follow *follow)
{
	char path[EG_TARGET_MAX + 1];
	struct eg_witness witness = EG_WITNESS_NONE;
	int result = eg_witness_find(&follow->netns, target_path(follow, path), &witness);

	if (result < 0)
		return result;
	eg_witness_close(&follow->witness);
	follow->witness = witness;
	eg_follow_watch_witness(follow);
	return 0;
}

int eg_follow_start_monitor(struct eg_follow *follow)
{
	int result = eg_monitor_open(&follow->netns, &follow->monitor_fd);

	return result < 0 ? result : eg_follow_wait_for(follow, follow->monitor_fd);
}

void eg_follow_let_go(struct eg_follow *follow)
{
	eg_hold_close(follow->hold);
	follow->hold = NULL;
	follow->claimed = false;
	eg_cleanup_close(&follow->monitor_fd);
	follow->monitor_fd = -1;
	eg_witness_close(&follow->witness);
	eg_netns_close(&follow->netns);
}

int eg_follow_find_namespace(struct eg_follow *follow, struct eg_error *error)
{
	const struct eg_meta *meta = eg_guard_meta(follow->guard);
	int result = eg_netns_find((dev_t)meta->netns_dev, (ino_t)meta->netns_inode,
				   meta->netns_cookie, &follow->netns);
	char path[EG_TARGET_MAX + 1];

	/* A file that is kept elsewhere is known by the target's own word. */
	if (result == -ENOENT && *target_path(follow, path) == '/' &&
	    eg_netns_open_path(path, &follow->netns, NULL) == 0)
		result = eg_follow_is_our_namespace(follow, meta) ? 0 : -ENOENT;
	if (result == 0)
		result = find_witness(follow);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot follow the guard's namespace: no process and no file "
				    "that keeps it is to be seen from here (%s), and by following "
				    "it this process would keep it for ever",
				    strerror(-result));
	return 0;
}

/* --- when the last process has gone ----------------------------------------------------------- */

enum eg_follow_end eg_follow_check_gone(struct eg_follow *follow)
{
	EG_AUTO_NETNS struct eg_netns found = EG_NETNS_NONE;
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	int result =
		eg_netns_find(follow->netns.dev, follow->netns.inode, follow->netns.cookie, &found);

	if (result == 0) {
		struct eg_error error = {};

		follow->netns = found;
		found = EG_NETNS_NONE;
		result = find_witness(follow);
		if (result == 0)
			result = eg_follow_start_monitor(follow);
		if (result == 0)
			result = eg_follow_take_hold(follow, &error);
		if (result < 0) {
			eg_follow_let_go(follow);
			return EG_FOLLOW_GOES_ON;
		}
		eg_follow_tell(follow, false,
			       "its namespace is in use again, and is followed again");
		follow->look_ns = eg_monotonic_ns();
		return EG_FOLLOW_GOES_ON;
	}
	if (result != -ENOENT || !eg_guard_is_dead(follow->guard) ||
	    eg_follow_lock(follow, 0, &pins, NULL) < 0)
		return EG_FOLLOW_GOES_ON;
	return eg_reap(&pins, NULL) < 0 ? EG_FOLLOW_GOES_ON : EG_FOLLOW_GONE;
}

void eg_follow_check_witness(struct eg_follow *follow)
{
	int result;

	if (eg_witness_holds(&follow->witness, &follow->netns))
		return;
	result = find_witness(follow);
	if (result != -ENOENT) /* found, or not known: then it is not given up */
		return;
	eg_follow_tell(follow, false, "nothing else keeps its namespace: let go of it");
	eg_follow_let_go(follow);
}
