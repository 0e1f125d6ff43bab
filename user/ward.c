// SPDX-License-Identifier: GPL-2.0
#include "ward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "attach.h"
#include "collect.h"
#include "daemon/mend.h"
#include "daemon/plan.h"
#include "derive.h"
#include "journal.h"
#include "kern/guard.h"
#include "kern/hold.h"
#include "net/target.h"
#include "renew.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/text.h"
#include "ward_target.h"

#define NS_PER_MS 1000000ULL
#define MS(n)     ((n)*NS_PER_MS)

#define STEPS_MAX         8
#define RETRY_NS          MS(50) /* after the first failure; twice that after each other one */
#define RETRY_MAX_NS      MS(10000)
#define LOOK_AWAY_NS      MS(1000)  /* for a target that nobody tells of: a process, a path */
#define LOOK_NS           MS(30000) /* for all others, whatever was told */
#define CHECK_NS          MS(5000)  /* is what should be in force in force? */
#define CHECK_SHARE       20        /* and never more than this part of the time for it */
#define ENDPOINT_NEW_NS   MS(100)   /* while the tunnel may come up any moment */
#define ENDPOINT_NEW_FOR  MS(30000)
#define ENDPOINT_NS       MS(2000)
#define NAMES_NEW_NS      MS(2000)  /* while none of a name's addresses is known */
#define NAMES_NS          MS(30000) /* while there is no tunnel: the server may be elsewhere now */
#define SETTLE_NS         MS(200)   /* from when addresses change until what they mean is learned */
#define LEARN_SPACE_NS    MS(2000)  /* whoever is inside can have them change all the time */
#define LEARN_SHARE       20        /* and have many: never more than this part of the time */
#define LEARN_SPACE_MAX   MS(30000)
#define STRANDED_AFTER_NS MS(5000) /* whoever starts them again has had the time */

struct eg_ward {
	int epoll_fd;  /* the daemon's */
	char *pin_dir; /* NULL: the usual place */
	char *name;
	char *text;   /* of the file, NULL: none */
	char *target; /* that it names */

	struct eg_follow *follow;
	eg_ask_yields ask;
	void *ask_argument;
	bool others_follow;
	bool policy_is_new;
	bool file_is_spoilt;
	bool is_damaged;
	bool has_changed;
	bool watches_endpoints; /* the policy in force has the tunnel's own */
	bool has_endpoints;

	bool engine_up[EG_RUNTIME_COUNT];
	bool engine_told[EG_RUNTIME_COUNT]; /* whether it is up was said once */
	struct eg_netns seen; /* the target's namespace when it was last there; fd always -1 */
	char container_id[sizeof(((struct eg_container *)0)->id)];

	__u64 look_ns, check_ns, endpoint_ns; /* when each is due */
	__u64 names_ns;                       /* when to ask for names again, ~0: never */
	__u64 learn_ns;                       /* when to learn what has changed, ~0: nothing has */
	__u64 learned_ns, attached_ns;
	struct eg_mending mending;
	__u64 attach_took_ns; /* the last time, of a processor's */
	__u64 stranded_ns;    /* when to look for who was left in the namespace before, ~0: not */
	unsigned int failures;
	bool was_here, is_guarded;
	bool yields;        /* its guard may go by another name from now on */
	bool is_here;       /* by the last look that could tell, in the namespace `seen` */
	bool follows_later; /* when it is told to */
	bool waits_to_follow;
	bool is_open; /* its target is there, and a guard on it could not be made */
	bool is_over; /* no file asks for it, and nothing is there to be kept up */
	char complaint[EG_ERROR_LEN];
	char *warnings; /* the last attach's */
};

/* --- what it says ----------------------------------------------------------------------------- */

#define SAY(ward, level, ...) eg_journal("daemon", level, (ward)->name, __VA_ARGS__)

/* Tried again and again, said once. */
static void complain(struct eg_ward *ward, const struct eg_error *error, int result)
{
	const char *message = error->message[0] ? error->message : strerror(-result);

	if (strcmp(ward->complaint, message) == 0)
		return;
	snprintf(ward->complaint, sizeof(ward->complaint), "%s", message);
	SAY(ward, EG_JOURNAL_WARNING, "%s", message);
}

static void say_lines(struct eg_ward *ward, enum eg_journal_level level, const char *prefix,
		      const char *lines)
{
	while (lines && *lines) {
		size_t len = strcspn(lines, "\n");

		SAY(ward, level, "%s%.*s", prefix, (int)len, lines);
		lines += len + (lines[len] == '\n');
	}
}

static void say(void *argument, bool warning, const char *line)
{
	struct eg_ward *ward = argument;

	SAY(ward, warning ? EG_JOURNAL_WARNING : EG_JOURNAL_INFO, "%s", line);
}

/* --- what it is made of -------------------------------------------------------------------------
 */

struct eg_ward *eg_ward_new(const char *pin_dir, const char *name, int epoll_fd)
{
	struct eg_ward *ward = calloc(1, sizeof(*ward));

	if (!ward)
		return NULL;
	ward->epoll_fd = epoll_fd;
	ward->seen = EG_NETNS_NONE;
	ward->name = strdup(name);
	if (pin_dir)
		ward->pin_dir = strdup(pin_dir);
	ward->check_ns = eg_monotonic_ns() + CHECK_NS;
	ward->endpoint_ns = ward->names_ns = ward->learn_ns = ward->stranded_ns = ~0ULL;
	if (ward->name && (!pin_dir || ward->pin_dir))
		return ward;
	eg_ward_free(ward);
	return NULL;
}

static void unfollow(struct eg_ward *ward)
{
	eg_follow_free(ward->follow);
	ward->follow = NULL;
}

void eg_ward_free(struct eg_ward *ward)
{
	if (!ward)
		return;
	unfollow(ward);
	free(ward->pin_dir);
	free(ward->name);
	free(ward->text);
	free(ward->target);
	free(ward->warnings);
	eg_mend_end(&ward->mending);
	free(ward);
}

const char *eg_ward_name(const struct eg_ward *ward)
{
	return ward->name;
}

const char *eg_ward_policy(const struct eg_ward *ward)
{
	return ward->text;
}

int eg_ward_set_policy(struct eg_ward *ward, const char *text, const char *target)
{
	EG_AUTO_FREE char *new_text = strdup(text), *new_target = strdup(target);

	if (!new_text || !new_target)
		return -ENOMEM;
	free(ward->text);
	free(ward->target);
	ward->text = EG_TAKE(new_text);
	ward->target = EG_TAKE(new_target);
	ward->policy_is_new = true;
	/* Nobody has tried it yet. */
	ward->is_open = false;
	eg_ward_touch(ward);
	return 0;
}

void eg_ward_set_spoilt(struct eg_ward *ward, bool is_spoilt)
{
	if (ward->file_is_spoilt == is_spoilt)
		return;
	ward->file_is_spoilt = is_spoilt;
	ward->has_changed = true;
	eg_ward_touch(ward);
}

void eg_ward_drop_policy(struct eg_ward *ward)
{
	free(EG_TAKE(ward->text));
	free(EG_TAKE(ward->target));
	eg_ward_touch(ward);
}

static int open_guard(const struct eg_ward *ward, struct eg_guard **ret_guard,
		      struct eg_error *error)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	int result = eg_pins_open(ward->pin_dir, false, &pins, error);

	return result < 0 ? result : eg_guard_open(&pins, ward->name, ret_guard, error);
}

int eg_ward_recall_policy(struct eg_ward *ward, struct eg_error *error)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	EG_AUTO_FREE char *text = NULL;
	int result = open_guard(ward, &guard, error);

	if (result == 0)
		result = eg_collect_policy(guard, &policy, error);
	if (result < 0)
		return result;
	text = policy ? eg_policy_format(policy, false) : NULL;
	if (!text || !policy->target) /* the formatter is out of memory, or nobody named it */
		return -ENOENT;
	return eg_ward_set_policy(ward, text, policy->target);
}

/* --- what is known ------------------------------------------------------------------------------
 */

static struct eg_netns guarded_netns(const struct eg_guard *guard)
{
	return eg_netns_of_meta(eg_guard_meta(guard));
}

static enum eg_plan_target find_target(struct eg_ward *ward, struct eg_error *error)
{
	EG_AUTO_TARGET struct eg_target target = {.netns = EG_NETNS_NONE};
	enum eg_plan_target found =
		eg_ward_target_look(ward->target, ward->engine_up, &target, error);

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
	int result = open_guard(ward, &guard, NULL);

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

/* --- the steps ----------------------------------------------------------------------------------
 */

/* Whose endpoints they are, for the looks to come. */
static void learn_endpoints(struct eg_ward *ward)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	EG_AUTO_POLICY struct eg_policy *policy = NULL;

	ward->endpoint_ns = ward->names_ns = ~0ULL;
	if (open_guard(ward, &guard, NULL) < 0 || eg_collect_policy(guard, &policy, NULL) < 0)
		return;
	ward->watches_endpoints = eg_derive_follows_peers(policy);
	ward->has_endpoints = policy->derived.n_endpoints > 0;
	if (policy->derived.n_names)
		ward->names_ns =
			eg_monotonic_ns() + (ward->has_endpoints ? NAMES_NS : NAMES_NEW_NS);
	if (ward->watches_endpoints)
		ward->endpoint_ns =
			eg_monotonic_ns() + (ward->has_endpoints ? ENDPOINT_NS : ENDPOINT_NEW_NS);
}

static void say_attached(struct eg_ward *ward, const struct eg_attach_result *result,
			 const struct eg_policy *policy)
{
	static const char *const outcomes[] = {
		[EG_ATTACH_CREATED] = "guarded",
		[EG_ATTACH_REPLACED] = "the policy was replaced",
		[EG_ATTACH_UNCHANGED] = "guarded already",
	};
	char target[EG_TARGET_MAX * 4];

	/* What was the same the last time is no news. */
	if (result->outcome != EG_ATTACH_UNCHANGED || result->mended || !ward->is_guarded)
		SAY(ward, EG_JOURNAL_NOTICE, "%s: %s%s%s", outcomes[result->outcome],
		    eg_escape(target, sizeof(target), policy->target, strlen(policy->target)),
		    result->mended ? ", on new interfaces too" : "",
		    policy->mode == EG_MODE_AUDIT ? " (audit: drops nothing)" : "");
	say_lines(ward, EG_JOURNAL_NOTICE, "+ ", result->diff.widened.data);
	say_lines(ward, EG_JOURNAL_NOTICE, "- ", result->diff.narrowed.data);
	if (result->outcome != EG_ATTACH_UNCHANGED && !policy->n_endpoints &&
	    !policy->derived.n_endpoints)
		SAY(ward, EG_JOURNAL_INFO,
		    "no endpoint is known yet: nothing leaves to one until %s",
		    policy->derived.n_names ? "its name has an address" : "the tunnel names it");
}

static void say_warnings(struct eg_ward *ward, struct eg_text *warnings)
{
	char *text = eg_text_take(warnings);

	if (!text)
		return;
	if (!ward->warnings || strcmp(text, ward->warnings) != 0)
		say_lines(ward, EG_JOURNAL_WARNING, "", text);
	free(ward->warnings);
	ward->warnings = text;
}

static int attach(struct eg_ward *ward, struct eg_error *error)
{
	EG_AUTO(eg_attach_result_free) struct eg_attach_result result = {};
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	const struct eg_attach_request request = {
		.target = ward->target,
		.name = ward->name,
		.pin_dir = ward->pin_dir,
		.replace = true,
		.unattended = true,
		.file_is_spoilt = ward->file_is_spoilt,
	};
	__u64 began = eg_processor_ns();
	int status = eg_policy_new(&policy);

	if (status == 0)
		status = eg_policy_parse(policy, ward->text, strlen(ward->text), false, error);
	if (status == 0)
		status = eg_attach(&request, policy, &result, error);
	ward->attach_took_ns = eg_processor_ns() - began;
	say_warnings(ward, &result.warnings);
	if (status < 0)
		return status;
	say_attached(ward, &result, policy);
	ward->is_guarded = true;
	ward->policy_is_new = ward->is_damaged = ward->has_changed = false;
	ward->attached_ns = eg_monotonic_ns();
	ward->learn_ns = ~0ULL;
	/* What holds its layer `netns` came with its programs (kern/spare.h). */
	if (result.outcome == EG_ATTACH_CREATED)
		ward->follows_later = false;
	if (result.outcome == EG_ATTACH_CREATED && result.container)
		ward->stranded_ns = ward->attached_ns + STRANDED_AFTER_NS;
	/* What was followed may be the namespace that the target had before. */
	if (ward->follow && !eg_netns_same(eg_follow_netns(ward->follow), &ward->seen))
		unfollow(ward);
	learn_endpoints(ward);
	return 0;
}

static int follow(struct eg_ward *ward, struct eg_error *error)
{
	int result;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = ward};

	unfollow(ward);
	ward->yields = false;
	result = eg_follow_new(ward->pin_dir, ward->name, say, ward, &ward->follow, error);
	if (result == 0 &&
	    epoll_ctl(ward->epoll_fd, EPOLL_CTL_ADD, eg_follow_fd(ward->follow), &event) < 0) {
		result = -errno;
		unfollow(ward);
	}
	/* It was made by somebody else, or by us before we were started again. */
	if (result == 0 && !ward->attached_ns)
		learn_endpoints(ward);
	return result;
}

static int set_aside(struct eg_ward *ward, char **ret_aside, struct eg_error *error)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	int result = eg_pins_open(ward->pin_dir, false, &pins, error);

	unfollow(ward);
	if (result == 0)
		result = eg_pins_lock(&pins, 0, error);
	if (result == 0)
		result = eg_aside(&pins, ward->name, ret_aside, error);
	if (result < 0)
		return result;
	SAY(ward, EG_JOURNAL_NOTICE,
	    "the target has another namespace now, and the one it had is still in use: its guard "
	    "stays in force as '%s'",
	    *ret_aside);
	return 0;
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
	SAY(ward, EG_JOURNAL_NOTICE,
	    "the target's namespace is guarded already, by '%s': that guard goes by this name now, "
	    "and gets this policy",
	    eg_escape(escaped, sizeof(escaped), former, strlen(former)));
	ward->has_changed = true;
	return true;
}

void eg_ward_set_ask(struct eg_ward *ward, eg_ask_yields ask, void *argument)
{
	ward->ask = ask;
	ward->ask_argument = argument;
}

enum eg_yields eg_ward_yields(struct eg_ward *ward, const struct eg_netns *netns)
{
	if (ward->text && ward->is_here && eg_netns_same(&ward->seen, netns))
		return EG_YIELDS_NO;
	/* It is let go of when that has happened, and not before: whoever asks has the lock. */
	ward->yields = true;
	return EG_YIELDS_YES;
}

static void say_away(struct eg_ward *ward, const struct eg_error *error)
{
	struct eg_error waited = {};

	eg_error_set(&waited, error->exit, ENOENT, "its target is waited for: %s",
		     error->message[0] ? error->message : strerror(ENOENT));
	if (ward->was_here)
		SAY(ward, EG_JOURNAL_INFO, "its target is gone; it is guarded when it comes back");
	else
		complain(ward, &waited, -ENOENT);
	ward->was_here = false;
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

static int renew(struct eg_ward *ward, struct eg_error *error)
{
	int result = eg_renew(ward->pin_dir, ward->name, error);

	if (result == 0)
		SAY(ward, EG_JOURNAL_NOTICE,
		    "its guard was an older version's: one of this version has taken its place");
	return result;
}

static int take_step(struct eg_ward *ward, enum eg_plan_step step, char **ret_aside,
		     struct eg_error *error)
{
	switch (step) {
	case EG_PLAN_ASIDE:
		return set_aside(ward, ret_aside, error);
	case EG_PLAN_ATTACH:
		return attach(ward, error);
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

static bool is_without(const struct eg_ward *ward)
{
	enum eg_plan_guard guard = find_guard(ward, EG_PLAN_TARGET_HERE);

	return guard == EG_PLAN_GUARD_NONE || guard == EG_PLAN_GUARD_DEAD;
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

/* Towards what the file asks for, as far as that goes now. */
static bool go_on(struct eg_ward *ward, char **ret_aside)
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
		if (step == EG_PLAN_REST || step == EG_PLAN_WAIT) {
			ward->is_open = target == EG_PLAN_TARGET_UNKNOWN && could_ask(ward) &&
					is_without(ward);
			if (target == EG_PLAN_TARGET_UNKNOWN && are_engines_told(ward))
				complain(ward, &error, -EIO);
			else if (target == EG_PLAN_TARGET_AWAY && are_engines_told(ward))
				say_away(ward, &error);
			ward->look_ns = eg_moment_in_ns(step == EG_PLAN_WAIT ? retry_after(ward)
									     : rest(ward, target));
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

/* --- what is looked at, now and then ------------------------------------------------------------
 */

static bool is_held(const struct eg_guard_view *view)
{
	for (size_t i = 0; i < view->n_layers; i++)
		if (strcmp(view->layers[i].name, "netns") == 0)
			return strcmp(view->layers[i].state, "attached") == 0;
	return false;
}

static void mend(struct eg_ward *ward, const struct eg_guard_view *view)
{
	const char *reason = view->reason ? view->reason : "degraded";
	__u64 now = eg_monotonic_ns();

	switch (eg_mend_next(&ward->mending, reason, now)) {
	case EG_MEND_WAIT:
		return;
	case EG_MEND_SAY:
		SAY(ward, EG_JOURNAL_WARNING, "%s: it is mended, if that can be", reason);
		break;
	case EG_MEND_SILENT:
		break;
	}
	ward->is_damaged = ward->text;
	if (!is_held(view))
		unfollow(ward);
	ward->look_ns = now;
}

static void is_whole(struct eg_ward *ward)
{
	if (ward->mending.in_vain)
		SAY(ward, EG_JOURNAL_INFO, "it is as it should be again");
	eg_mend_end(&ward->mending);
}

/* What `status` would say against it. */
static void check(struct eg_ward *ward)
{
	EG_AUTO(eg_status_view_free) struct eg_status_view status = {};
	__u64 started = eg_monotonic_ns(), took;

	if (eg_collect_state(ward->pin_dir, ward->name,
			     ward->follow ? eg_follow_netns(ward->follow) : NULL,
			     ward->follow ? eg_follow_hold(ward->follow) : NULL, &status) == 0) {
		const struct eg_guard_view *view = &status.guards[0];

		if (view->state == EG_STATE_UNGUARDED)
			ward->look_ns = started;
		if (view->state == EG_STATE_DEGRADED)
			mend(ward, view);
		if (view->state == EG_STATE_ENFORCING || view->state == EG_STATE_AUDIT)
			is_whole(ward);
	}
	took = eg_monotonic_ns() - started;
	ward->check_ns =
		eg_moment_in_ns(took * CHECK_SHARE > CHECK_NS ? took * CHECK_SHARE : CHECK_NS);
}

/* Another process that followed it may have ended. */
static void check_others(struct eg_ward *ward)
{
	EG_AUTO_HOLDS struct eg_holds *holds = NULL;
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	struct eg_held held = {};

	if (open_guard(ward, &guard, NULL) == 0 && eg_holds_get(&holds) == 0 &&
	    eg_holds_of(holds, guard, &held) == 0 && (held.ipv4 || held.ipv6))
		return;
	ward->others_follow = false;
	ward->look_ns = eg_monotonic_ns();
}

static void say_stranded(struct eg_ward *ward)
{
	ward->stranded_ns = ~0ULL;
	if (ward->text)
		eg_ward_target_stranded(ward->target, ward->engine_up, say, ward);
}

static void check_endpoints(struct eg_ward *ward)
{
	const struct eg_netns *netns = ward->follow ? eg_follow_netns(ward->follow) : NULL;
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	__u64 now = eg_monotonic_ns();
	bool is_new = !ward->has_endpoints && now < ward->attached_ns + ENDPOINT_NEW_FOR;

	ward->endpoint_ns = is_new ? now + ENDPOINT_NEW_NS : eg_moment_in_ns(ENDPOINT_NS);
	if (!netns || netns->fd < 0 || !ward->text || open_guard(ward, &guard, NULL) < 0 ||
	    eg_collect_policy(guard, &policy, NULL) < 0 || !eg_derive_has_moved(netns, policy))
		return;
	ward->has_changed = true;
	ward->look_ns = now;
}

/* While there is a tunnel, its server is where it was. Without --bootstrap-dns nobody looks whether
 * there is one, and a name is asked for again only if it has no address at all. */
static void check_names(struct eg_ward *ward)
{
	ward->names_ns = eg_monotonic_ns() + NAMES_NS;
	if (!ward->text ||
	    (ward->has_endpoints && !(ward->follow && eg_follow_names_open(ward->follow))))
		return;
	ward->has_changed = true;
	ward->look_ns = eg_monotonic_ns();
}

__u64 eg_ward_due_ns(const struct eg_ward *ward)
{
	__u64 due = ward->look_ns;

	if (ward->follow && ward->endpoint_ns < due)
		due = ward->endpoint_ns;
	if (ward->names_ns < due)
		due = ward->names_ns;
	if (ward->learn_ns < due)
		due = ward->learn_ns;
	if (ward->stranded_ns < due)
		due = ward->stranded_ns;
	return due;
}

bool eg_ward_work(struct eg_ward *ward, char **ret_aside)
{
	if (ward->follow && eg_monotonic_ns() >= ward->endpoint_ns)
		check_endpoints(ward);
	if (eg_monotonic_ns() >= ward->names_ns)
		check_names(ward);
	if (eg_monotonic_ns() >= ward->learn_ns) {
		ward->learn_ns = ~0ULL;
		ward->learned_ns = eg_monotonic_ns();
		ward->has_changed = true;
		ward->look_ns = 0;
	}
	if (eg_monotonic_ns() >= ward->stranded_ns)
		say_stranded(ward);
	return eg_monotonic_ns() >= ward->look_ns && go_on(ward, ret_aside);
}

__u64 eg_ward_check_due_ns(const struct eg_ward *ward)
{
	return ward->check_ns;
}

void eg_ward_check(struct eg_ward *ward)
{
	/* What there is to say against it is that it is not followed yet. */
	if (ward->waits_to_follow) {
		ward->check_ns = eg_moment_in_ns(CHECK_NS);
		return;
	}
	check(ward);
	if (ward->others_follow)
		check_others(ward);
}

void eg_ward_follow_later(struct eg_ward *ward)
{
	ward->follows_later = true;
}

bool eg_ward_waits_to_follow(const struct eg_ward *ward)
{
	return ward->waits_to_follow;
}

void eg_ward_follow_now(struct eg_ward *ward)
{
	ward->follows_later = false;
	if (ward->waits_to_follow)
		ward->look_ns = eg_monotonic_ns();
	ward->waits_to_follow = false;
}

bool eg_ward_is_open(const struct eg_ward *ward)
{
	return ward->target && ward->is_open;
}

bool eg_ward_guards_self(const struct eg_ward *ward)
{
	return ward->target && strcmp(ward->target, EG_TARGET_OF_SELF) == 0 && ward->is_guarded;
}

bool eg_ward_may_come(const struct eg_ward *ward)
{
	return ward->target && strcmp(ward->target, EG_TARGET_OF_SELF) != 0;
}

bool eg_ward_is_missing(const struct eg_ward *ward)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	struct eg_meta meta;

	return eg_pins_open(ward->pin_dir, false, &pins, NULL) < 0 ||
	       eg_guard_identity(&pins, ward->name, &meta) < 0;
}

bool eg_ward_is_over(const struct eg_ward *ward)
{
	return !ward->text && !ward->follow && ward->is_over;
}

/* --- what happens -------------------------------------------------------------------------------
 */

static __u64 learn_space(const struct eg_ward *ward)
{
	__u64 space = ward->attach_took_ns * LEARN_SHARE;

	if (space < LEARN_SPACE_NS)
		return LEARN_SPACE_NS;
	return space < LEARN_SPACE_MAX ? space : LEARN_SPACE_MAX;
}

/* When it has settled; not all the time, whatever goes on inside. */
static void learn_soon(struct eg_ward *ward)
{
	__u64 at = eg_monotonic_ns() + SETTLE_NS;

	if (ward->learned_ns && at < ward->learned_ns + learn_space(ward))
		at = ward->learned_ns + learn_space(ward);
	if (at < ward->learn_ns)
		ward->learn_ns = at;
}

void eg_ward_follow_work(struct eg_ward *ward)
{
	if (!ward->follow)
		return;
	switch (eg_follow_work(ward->follow)) {
	case EG_FOLLOW_GOES_ON:
		if (ward->text && eg_follow_has_changed(ward->follow))
			learn_soon(ward);
		return;
	case EG_FOLLOW_DETACHED:
		if (ward->yields)
			SAY(ward, EG_JOURNAL_INFO, "its guard goes by another name now");
		else if (ward->text)
			SAY(ward, EG_JOURNAL_WARNING,
			    "the guard was taken away: it is put back, as its file is there");
		else
			SAY(ward, EG_JOURNAL_NOTICE, "the guard was taken away");
		break;
	case EG_FOLLOW_GONE:
		SAY(ward, EG_JOURNAL_NOTICE, "its namespace has ended, and the guard with it");
		break;
	case EG_FOLLOW_TAKEN_OVER:
		SAY(ward, EG_JOURNAL_WARNING,
		    "another process follows the guard now: it is left to that one until it ends");
		ward->others_follow = true;
		break;
	}
	unfollow(ward);
	eg_ward_touch(ward);
}

void eg_ward_touch(struct eg_ward *ward)
{
	ward->look_ns = eg_monotonic_ns();
	ward->failures = 0;
	if (ward->follow)
		eg_follow_hurry(ward->follow);
}

void eg_ward_touch_pins(struct eg_ward *ward)
{
	if (ward->follow)
		eg_follow_hurry(ward->follow);
	else if (ward->waits_to_follow)
		ward->look_ns = eg_monotonic_ns();
}

/* While it is followed its namespace is kept, and its number nobody else's. */
static bool is_where_it_was(const struct eg_ward *ward)
{
	const struct eg_netns *netns = ward->follow ? eg_follow_netns(ward->follow) : NULL;

	return netns && netns->fd >= 0 && eg_target_is_file_of(ward->target, netns);
}

void eg_ward_touch_files(struct eg_ward *ward)
{
	if (!ward->target || (!eg_ward_target_has_kind(ward->target, "netns") &&
			      !strchr(ward->target, '/') && !eg_ward_target_is_plain(ward->target)))
		return;
	if (!is_where_it_was(ward))
		eg_ward_touch(ward);
}

void eg_ward_set_engine(struct eg_ward *ward, enum eg_runtime runtime, bool up)
{
	bool news = (up && !ward->engine_up[runtime]) || !ward->engine_told[runtime];

	ward->engine_told[runtime] = true;
	ward->engine_up[runtime] = up;
	if (news && eg_ward_asks(ward, runtime))
		eg_ward_touch(ward);
}

bool eg_ward_asks(const struct eg_ward *ward, enum eg_runtime runtime)
{
	return ward->target && (eg_ward_target_is_plain(ward->target) ||
				eg_ward_target_has_kind(ward->target, eg_runtime_names[runtime]));
}

void eg_ward_touch_container(struct eg_ward *ward, enum eg_runtime runtime, const char *id,
			     const char *name)
{
	const char *own;

	if (!eg_ward_asks(ward, runtime))
		return;
	own = eg_ward_target_is_plain(ward->target) ? ward->target : strchr(ward->target, ':') + 1;
	/* By what name it goes is not always told: it may be the one that is waited for. */
	if ((!name && (!id || !ward->was_here)) || (name && strcmp(name, own) == 0) ||
	    (id && (strncmp(id, own, strlen(own)) == 0 || strcmp(id, ward->container_id) == 0)))
		eg_ward_touch(ward);
}
