// SPDX-License-Identifier: GPL-2.0
/* The guard that is followed: in force under its name or another one in its place, and by whom its
 * layer `netns` is held. */
#include <errno.h>
#include <string.h>

#include "collect.h"
#include "follow_parts.h"
#include "kern/hold.h"
#include "util/cleanup.h"
#include "util/clock.h"

int eg_follow_open_guard(struct eg_follow *follow, struct eg_guard **ret_guard,
			 struct eg_error *error)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	int result = eg_pins_open(follow->pin_dir, false, &pins, error);

	return result < 0 ? result : eg_guard_open(&pins, follow->name, ret_guard, error);
}

int eg_follow_lock(struct eg_follow *follow, unsigned int wait_ms, struct eg_pins *pins,
		   struct eg_error *error)
{
	int result = eg_pins_open(follow->pin_dir, false, pins, error);

	return result < 0 ? result : eg_pins_lock(pins, wait_ms, error);
}

/* Under the lock. The guard's meta then says which holder is the newest. */
int eg_follow_claim(struct eg_follow *follow, __u32 id)
{
	struct eg_meta meta;
	int result = eg_guard_refresh(follow->guard);

	if (result < 0)
		return result;
	meta = *eg_guard_meta(follow->guard);
	if (meta.hold_prog_id == id)
		return 0;
	meta.hold_prog_id = id;
	return eg_guard_set_meta(follow->guard, &meta);
}

void eg_follow_disclaim(struct eg_follow *follow)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};

	if (!follow->claimed || eg_follow_lock(follow, EG_FOLLOW_LOCK_MS, &pins, NULL) < 0 ||
	    eg_guard_refresh(follow->guard) < 0 ||
	    eg_guard_meta(follow->guard)->hold_prog_id != eg_hold_id(follow->hold))
		return;
	(void)eg_follow_claim(follow, 0);
}

int eg_follow_take_hold(struct eg_follow *follow, struct eg_error *error)
{
	struct eg_hold *hold = NULL;
	int result = eg_hold_open(follow->guard, &follow->netns, &hold, error);

	if (result == -EOPNOTSUPP) {
		if (!follow->cannot_hold)
			eg_follow_tell(
				follow, true,
				"the layer `netns` is not available: %s. An interface that appears "
				"is "
				"not covered until this process has put `device` and `peer` on it",
				error->message);
		follow->cannot_hold = true;
		result = 0;
	}
	if (result < 0)
		return result;
	eg_hold_close(follow->hold);
	follow->hold = hold;
	follow->claimed = false;
	return 0;
}

int eg_follow_read_policy(struct eg_follow *follow, struct eg_error *error)
{
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	int result = eg_guard_refresh(follow->guard);
	__u64 generation = eg_guard_meta(follow->guard)->generation;

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot read the guard's meta: %s", strerror(-result));
	if (follow->policy && follow->policy_generation == generation)
		return 0;
	result = eg_collect_policy(follow->guard, &policy, error);
	if (result < 0)
		return result;
	if (follow->policy)
		eg_follow_tell(follow, false, "the policy was replaced, and is followed");
	eg_policy_free(follow->policy);
	follow->policy = EG_TAKE(policy);
	follow->policy_generation = generation;
	return 0;
}

bool eg_follow_is_our_namespace(const struct eg_follow *follow, const struct eg_meta *meta)
{
	const struct eg_netns guarded = eg_netns_of_meta(meta);

	return eg_netns_same(&guarded, &follow->netns);
}

/* A guard of that name was made beside ours, and ours is no more. */
static enum eg_follow_end follow_successor(struct eg_follow *follow)
{
	EG_AUTO_GUARD struct eg_guard *successor = NULL;
	struct eg_error error = {};
	struct eg_guard *before = follow->guard;
	int result = eg_follow_open_guard(follow, &successor, &error);

	if (result == -ENOENT)
		return EG_FOLLOW_DETACHED;
	if (result == -EPROTO) {
		eg_follow_tell(follow, true, "%s", error.message);
		return EG_FOLLOW_TAKEN_OVER;
	}
	if (result < 0) {
		eg_follow_complain(follow, &error);
		return EG_FOLLOW_GOES_ON;
	}
	if (!eg_follow_is_our_namespace(follow, eg_guard_meta(successor)))
		return EG_FOLLOW_DETACHED;
	follow->guard = successor;
	if (follow->netns.fd >= 0 && !follow->cannot_hold)
		result = eg_follow_take_hold(follow, &error);
	if (result < 0) {
		/* Ours still judges by what was in force. */
		follow->guard = before;
		eg_follow_complain(follow, &error);
		return EG_FOLLOW_GOES_ON;
	}
	successor = before;
	eg_policy_free(follow->policy);
	follow->policy = NULL;
	eg_follow_look_at(follow, eg_monotonic_ns());
	eg_follow_tell(follow, false,
		       "the guard was replaced as a whole, and its successor is followed");
	return EG_FOLLOW_GOES_ON;
}

enum eg_follow_end eg_follow_check_guard(struct eg_follow *follow)
{
	int current = eg_guard_is_current(follow->guard);
	__u32 id;

	if (current == 0)
		return follow_successor(follow);
	if (current < 0 || !follow->claimed || eg_guard_refresh(follow->guard) < 0)
		return EG_FOLLOW_GOES_ON;
	id = eg_guard_meta(follow->guard)->hold_prog_id;
	if (follow->hold && id && id != eg_hold_id(follow->hold))
		return EG_FOLLOW_TAKEN_OVER;
	return EG_FOLLOW_GOES_ON;
}
