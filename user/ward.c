// SPDX-License-Identifier: GPL-2.0
#include "ward.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collect.h"
#include "net/target.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "ward_parts.h"

/* --- what it is made of ----------------------------------------------------------------------- */

void eg_ward_say(void *argument, bool warning, const char *line)
{
	struct eg_ward *ward = argument;

	EG_WARD_SAY(ward, warning ? EG_JOURNAL_WARNING : EG_JOURNAL_INFO, "%s", line);
}

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
	ward->check_ns = eg_monotonic_ns() + EG_WARD_CHECK_NS;
	ward->endpoint_ns = ward->names_ns = ward->learn_ns = ward->stranded_ns = ~0ULL;
	if (ward->name && (!pin_dir || ward->pin_dir))
		return ward;
	eg_ward_free(ward);
	return NULL;
}

void eg_ward_unfollow(struct eg_ward *ward)
{
	eg_follow_free(ward->follow);
	ward->follow = NULL;
}

void eg_ward_free(struct eg_ward *ward)
{
	if (!ward)
		return;
	eg_ward_unfollow(ward);
	eg_finding_free(ward->finding);
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

int eg_ward_open_guard(const struct eg_ward *ward, struct eg_guard **ret_guard,
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
	int result = eg_ward_open_guard(ward, &guard, error);

	if (result == 0)
		result = eg_collect_policy(guard, &policy, error);
	if (result < 0)
		return result;
	text = policy ? eg_policy_format(policy, false) : NULL;
	if (!text || !policy->target) /* the formatter is out of memory, or nobody named it */
		return -ENOENT;
	return eg_ward_set_policy(ward, text, policy->target);
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

/* --- work ------------------------------------------------------------------------------------- */

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
		eg_ward_check_endpoints(ward);
	if (eg_monotonic_ns() >= ward->names_ns)
		eg_ward_check_names(ward);
	if (eg_monotonic_ns() >= ward->learn_ns) {
		ward->learn_ns = ~0ULL;
		ward->learned_ns = eg_monotonic_ns();
		ward->has_changed = true;
		ward->look_ns = 0;
	}
	if (eg_monotonic_ns() >= ward->stranded_ns)
		eg_ward_say_stranded(ward);
	return eg_monotonic_ns() >= ward->look_ns && eg_ward_go_on(ward, ret_aside);
}

/* --- what others ask of it, and tell it to do ------------------------------------------------- */

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
