// SPDX-License-Identifier: GPL-2.0
/* Towards what the file of one of the daemon's guards asks for: what is known, what is next by
 * daemon/plan.h, and doing it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "daemon/plan.h"
#include "net/target.h"
#include "renew.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "ward_parts.h"
#include "ward_target.h"

#define STEPS_MAX    8
#define RETRY_NS     EG_WARD_MS(50) /* after the first failure; twice that after each other one */
#define RETRY_MAX_NS EG_WARD_MS(10000)
/* For an engine's answer: the first time as long as it may take, so that nobody is told that we are
 * ready who is not guarded; then others wait meanwhile. */
#define ASK_FIRST_MS 5000
#define ASK_MS       200
#define ASKED_NS     EG_WARD_MS(50)    /* until it is seen whether it has answered */
#define LOOK_AWAY_NS EG_WARD_MS(1000)  /* for a target that nobody tells of: a process, a path */
#define LOOK_NS      EG_WARD_MS(30000) /* for all others, whatever was told */

/* --- what is known ---------------------------------------------------------------------------- */

static struct eg_netns guarded_netns(const struct eg_guard *guard)
{
	return eg_netns_of_meta(eg_guard_meta(guard));
}

static enum eg_plan_target find_target(struct eg_ward *ward, struct eg_error *error)
{
	EG_AUTO_TARGET struct eg_target target = {.netns = EG_NETNS_NONE};
	const struct eg_ward_question question = {
		.target = ward->target,
		.engine_up = ward->engine_up,
		.wait_ms = ward->was_asked ? ASK_MS : ASK_FIRST_MS,
		.ret_asked_ns = &ward->asked_ns,
	};
	enum eg_plan_target found;

	ward->asked_ns = ~0ULL;
	found = eg_ward_target_ask(&question, &ward->finding, &ward->asked, &target, error);

	ward->was_asked = ward->was_asked || ward->asked != EG_WARD_ASKED_NOBODY;
	if (found != EG_PLAN_TARGET_HERE)
		return found;
	ward->seen = target.netns;
	ward->seen.fd = -1;
	memcpy(ward->container_id, target.container.id, sizeof(ward->container_id));
	return found;
}

/* A namespace that has no interface now may get one; which one has its number is known by a cookie
 * alone. Where the target has another one, what is on nothing gives way to that. */
static bool is_over(struct eg_guard *guard, enum eg_plan_target target)
{
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	const struct eg_meta *meta = eg_guard_meta(guard);

	if (!eg_guard_is_dead(guard))
		return false;
	return target == EG_PLAN_TARGET_HERE || !meta->netns_cookie ||
	       eg_netns_find(meta->netns_dev, meta->netns_inode, meta->netns_cookie, &netns) ==
		       -ENOENT;
}

static enum eg_plan_guard find_guard(const struct eg_ward *ward, enum eg_plan_target target)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	struct eg_netns guarded;
	int result = eg_ward_open_guard(ward, &guard, NULL);

	if (result == -ENOENT)
		return EG_PLAN_GUARD_NONE;
	if (result < 0)
		return guard && eg_can_renew(guard) ? EG_PLAN_GUARD_OLDER
						    : EG_PLAN_GUARD_UNREADABLE;
	guarded = guarded_netns(guard);
	if (target == EG_PLAN_TARGET_HERE && eg_netns_same(&guarded, &ward->seen))
		return EG_PLAN_GUARD_ON_IT;
	return is_over(guard, target) ? EG_PLAN_GUARD_DEAD : EG_PLAN_GUARD_ELSEWHERE;
}

/* Follows nothing that the guard is not on any more. */
static bool is_followed(struct eg_ward *ward, enum eg_plan_guard guard)
{
	return ward->follow && guard != EG_PLAN_GUARD_NONE && guard != EG_PLAN_GUARD_UNREADABLE &&
	       guard != EG_PLAN_GUARD_OLDER;
}

/* What is mostly so, and known without much ado: the target is a file of the namespace that is
 * followed, and the guard that is followed has its name. Whether that is whole is seen by a check.
 */
static bool is_unchanged(struct eg_ward *ward)
{
	const struct eg_netns *netns = ward->follow ? eg_follow_netns(ward->follow) : NULL;

	return ward->text && !ward->is_damaged && netns && eg_netns_same(netns, &ward->seen) &&
	       eg_follow_is_current(ward->follow) && eg_target_is_but_file_of(ward->target, netns);
}

static enum eg_plan_step find_step(struct eg_ward *ward, enum eg_plan_target *ret_target,
				   struct eg_error *error)
{
	struct eg_plan_facts facts = {
		.wanted = ward->text,
		.target = EG_PLAN_TARGET_AWAY,
		.policy_is_new = ward->policy_is_new,
		.is_damaged = ward->is_damaged,
		.has_changed = ward->has_changed,
		.others_follow = ward->others_follow,
	};

	ward->asked = EG_WARD_ASKED_NOBODY;
	if (is_unchanged(ward)) {
		ward->is_here = true;
		facts.target = EG_PLAN_TARGET_HERE;
		facts.guard = EG_PLAN_GUARD_ON_IT;
	} else {
		if (facts.wanted)
			facts.target = find_target(ward, error);
		if (facts.target != EG_PLAN_TARGET_UNKNOWN)
			ward->is_here = facts.target == EG_PLAN_TARGET_HERE;
		facts.guard = find_guard(ward, facts.target);
	}
	facts.followed = is_followed(ward, facts.guard);
	ward->is_over = !facts.wanted &&
			(facts.guard == EG_PLAN_GUARD_NONE || facts.guard == EG_PLAN_GUARD_DEAD);
	*ret_target = facts.target;
	return eg_plan_next(&facts);
}

static bool is_without(const struct eg_ward *ward)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	enum eg_plan_guard guard = find_guard(ward, EG_PLAN_TARGET_HERE);

	/* Where none can be looked for, none can be made. */
	if (guard == EG_PLAN_GUARD_UNREADABLE)
		return eg_pins_open(ward->pin_dir, false, &pins, NULL) < 0;
	return guard == EG_PLAN_GUARD_NONE || guard == EG_PLAN_GUARD_DEAD;
}

/* --- the steps -------------------------------------------------------------------------------- */

static int follow(struct eg_ward *ward, struct eg_error *error)
{
	int result;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = ward};

	eg_ward_unfollow(ward);
	ward->yields = false;
	result = eg_follow_new(ward->pin_dir, ward->name, eg_ward_say, ward, &ward->follow, error);
	if (result == 0 &&
	    epoll_ctl(ward->epoll_fd, EPOLL_CTL_ADD, eg_follow_fd(ward->follow), &event) < 0) {
		result = -errno;
		eg_ward_unfollow(ward);
	}
	/* It was made by somebody else, or by us before we were started again. */
	if (result == 0 && !ward->attached_ns)
		eg_ward_learn_endpoints(ward);
	return result;
}

static int set_aside(struct eg_ward *ward, char **ret_aside, struct eg_error *error)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	int result = eg_pins_open(ward->pin_dir, false, &pins, error);

	eg_ward_unfollow(ward);
	if (result == 0)
		result = eg_pins_lock(&pins, 0, error);
	if (result == 0)
		result = eg_aside(&pins, ward->name, ret_aside, error);
	if (result < 0)
		return result;
	EG_WARD_SAY(ward, EG_JOURNAL_NOTICE,
		    "the target has another namespace now, and the one it had is still in use: its "
		    "guard "
		    "stays in force as '%s'",
		    *ret_aside);
	return 0;
}

static int renew(struct eg_ward *ward, struct eg_error *error)
{
	int result = eg_renew(ward->pin_dir, ward->name, error);

	if (result == 0)
		EG_WARD_SAY(ward, EG_JOURNAL_NOTICE,
			    "its guard was an older version's: one of this version has taken its "
			    "place");
	return result;
}

/* Its namespace has a guard that goes by another name, as containers or files were given others: by
 * that name nobody wants it any more, and its policy is another one's. */
static bool take_over(struct eg_ward *ward)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	EG_AUTO_FREE char *former = NULL;
	char escaped[EG_NAME_MAX * 4];

	if (!ward->ask || eg_pins_open(ward->pin_dir, false, &pins, NULL) < 0 ||
	    eg_pins_lock(&pins, 0, NULL) < 0 ||
	    eg_take_over(&pins, ward->name, &ward->seen, ward->ask, ward->ask_argument, &former,
			 NULL) <= 0)
		return false;
	EG_WARD_SAY(ward, EG_JOURNAL_NOTICE,
		    "the target's namespace is guarded already, by '%s': that guard goes by this "
		    "name now, "
		    "and gets this policy",
		    eg_escape(escaped, sizeof(escaped), former, strlen(former)));
	ward->has_changed = true;
	return true;
}

static int take_step(struct eg_ward *ward, enum eg_plan_step step, char **ret_aside,
		     struct eg_error *error)
{
	switch (step) {
	case EG_PLAN_ASIDE:
		return set_aside(ward, ret_aside, error);
	case EG_PLAN_ATTACH:
		return eg_ward_attach(ward, error);
	case EG_PLAN_FOLLOW:
		return follow(ward, error);
	case EG_PLAN_RENEW:
		return renew(ward, error);
	case EG_PLAN_REST:
	case EG_PLAN_WAIT:
		break;
	}
	return 0;
}

/* --- one after the other ---------------------------------------------------------------------- */

/* Tried again and again, said once. */
static void complain(struct eg_ward *ward, const struct eg_error *error, int result)
{
	const char *message = error->message[0] ? error->message : strerror(-result);

	if (strcmp(ward->complaint, message) == 0)
		return;
	snprintf(ward->complaint, sizeof(ward->complaint), "%s", message);
	EG_WARD_SAY(ward, EG_JOURNAL_WARNING, "%s", message);
}

static void say_away(struct eg_ward *ward, const struct eg_error *error)
{
	struct eg_error waited = {};

	eg_error_set(&waited, error->exit, ENOENT, "its target is waited for: %s",
		     error->message[0] ? error->message : strerror(ENOENT));
	if (ward->was_here)
		EG_WARD_SAY(ward, EG_JOURNAL_INFO,
			    "its target is gone; it is guarded when it comes back");
	else
		complain(ward, &waited, -ENOENT);
	ward->was_here = false;
}

static __u64 retry_after(struct eg_ward *ward)
{
	__u64 after = RETRY_NS << (ward->failures < 8 ? ward->failures : 8);

	ward->failures++;
	return after < RETRY_MAX_NS ? after : RETRY_MAX_NS;
}

static __u64 rest(struct eg_ward *ward, enum eg_plan_target target)
{
	ward->failures = 0;
	if (target == EG_PLAN_TARGET_HERE) {
		ward->was_here = true;
		ward->complaint[0] = '\0';
	} else if (ward->target && eg_ward_target_is_untold(ward->target)) {
		return LOOK_AWAY_NS;
	}
	return LOOK_NS;
}

/* While one is being asked for the first time nobody knows what it has. */
static bool are_engines_told(const struct eg_ward *ward)
{
	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++)
		if (eg_ward_asks(ward, runtime) && !ward->engine_told[runtime])
			return false;
	return ward->target;
}

/* Whether somebody was asked for its target who should know. */
static bool could_ask(const struct eg_ward *ward)
{
	bool asks = false;

	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++) {
		if (!eg_ward_asks(ward, runtime))
			continue;
		if (ward->engine_up[runtime])
			return true;
		asks = true;
	}
	return !asks;
}

/* What the engine has answered may have changed while it was waited for. */
static bool is_outdated(const struct eg_ward *ward)
{
	return ward->asked == EG_WARD_ASKED_DONE && ward->asked_ns < ward->touched_ns;
}

bool eg_ward_go_on(struct eg_ward *ward, char **ret_aside)
{
	for (int i = 0; i < STEPS_MAX; i++) {
		struct eg_error error = {};
		enum eg_plan_target target;
		enum eg_plan_step step = find_step(ward, &target, &error);
		int result;

		ward->waits_to_follow = step == EG_PLAN_FOLLOW && ward->follows_later;
		if (ward->waits_to_follow) {
			ward->is_open = false;
			ward->look_ns = eg_moment_in_ns(LOOK_NS);
			return false;
		}
		if (step == EG_PLAN_WAIT && ward->asked == EG_WARD_ASKED_STILL) {
			ward->look_ns = eg_monotonic_ns() + ASKED_NS;
			return false;
		}
		if (step == EG_PLAN_REST || step == EG_PLAN_WAIT) {
			ward->is_open = target == EG_PLAN_TARGET_UNKNOWN && could_ask(ward) &&
					is_without(ward);
			if (target == EG_PLAN_TARGET_UNKNOWN && are_engines_told(ward))
				complain(ward, &error, -EIO);
			else if (target == EG_PLAN_TARGET_AWAY && are_engines_told(ward))
				say_away(ward, &error);
			ward->look_ns = eg_moment_in_ns(step == EG_PLAN_WAIT ? retry_after(ward)
									     : rest(ward, target));
			if (is_outdated(ward))
				ward->look_ns = eg_monotonic_ns();
			return false;
		}
		error = (struct eg_error){};
		result = take_step(ward, step, ret_aside, &error);
		if (result == -EBUSY && step == EG_PLAN_ATTACH && take_over(ward))
			continue;
		if (result < 0) {
			complain(ward, &error, result);
			ward->is_open = step == EG_PLAN_ATTACH && is_without(ward);
			break;
		}
		if (step == EG_PLAN_ASIDE) {
			ward->look_ns = eg_monotonic_ns();
			return true;
		}
	}
	ward->look_ns = eg_monotonic_ns() + retry_after(ward);
	return false;
}
