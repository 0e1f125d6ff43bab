// SPDX-License-Identifier: GPL-2.0
#include "daemon/plan.h"

#include <stddef.h>
#include <string.h>

/* A guard that nobody is to put anything in the place of: what is in force is kept up. */
static enum eg_plan_step keep_up(const struct eg_plan_facts *facts)
{
	switch (facts->guard) {
	case EG_PLAN_GUARD_ON_IT:
	case EG_PLAN_GUARD_ELSEWHERE:
		return facts->followed || facts->others_follow ? EG_PLAN_REST : EG_PLAN_FOLLOW;
	case EG_PLAN_GUARD_NONE:
	case EG_PLAN_GUARD_DEAD:
	case EG_PLAN_GUARD_UNREADABLE:
	case EG_PLAN_GUARD_OLDER:
		return EG_PLAN_REST;
	}
	return EG_PLAN_REST;
}

static enum eg_plan_step guard_it(const struct eg_plan_facts *facts)
{
	switch (facts->guard) {
	case EG_PLAN_GUARD_NONE:
	case EG_PLAN_GUARD_DEAD:
	case EG_PLAN_GUARD_UNREADABLE:
	case EG_PLAN_GUARD_OLDER:
		return EG_PLAN_ATTACH;
	case EG_PLAN_GUARD_ELSEWHERE:
		return EG_PLAN_ASIDE;
	case EG_PLAN_GUARD_ON_IT:
		break;
	}
	if (facts->policy_is_new || facts->is_damaged || facts->has_changed)
		return EG_PLAN_ATTACH;
	return keep_up(facts);
}

enum eg_plan_step eg_plan_next(const struct eg_plan_facts *facts)
{
	enum eg_plan_step step;

	if (!facts->wanted)
		return facts->guard == EG_PLAN_GUARD_OLDER ? EG_PLAN_RENEW : keep_up(facts);
	switch (facts->target) {
	case EG_PLAN_TARGET_HERE:
		return guard_it(facts);
	case EG_PLAN_TARGET_AWAY:
		return keep_up(facts);
	case EG_PLAN_TARGET_UNKNOWN:
		step = keep_up(facts);
		return step == EG_PLAN_REST ? EG_PLAN_WAIT : step;
	}
	return EG_PLAN_WAIT;
}

enum eg_plan_file eg_plan_file(const char *before, const char *now, bool is_bad)
{
	if (is_bad)
		return before ? EG_PLAN_FILE_BAD : EG_PLAN_FILE_NEVER_READ;
	if (!now)
		return EG_PLAN_FILE_GONE;
	if (!before)
		return EG_PLAN_FILE_NEW;
	return strcmp(before, now) == 0 ? EG_PLAN_FILE_SAME : EG_PLAN_FILE_CHANGED;
}
