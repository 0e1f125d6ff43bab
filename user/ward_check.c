// SPDX-License-Identifier: GPL-2.0
/* Whether what should be in force of one of the daemon's guards is, and mending it. */
#include <string.h>

#include "collect.h"
#include "kern/hold.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "ward_parts.h"

#define CHECK_SHARE 20 /* and never more than this part of the time for it */

static bool is_held(const struct eg_guard_view *view)
{
	for (size_t i = 0; i < view->n_layers; i++)
		if (strcmp(view->layers[i].name, "netns") == 0)
			return strcmp(view->layers[i].state, "attached") == 0;
	return false;
}

/* Its namespace: nothing else keeps that, and its end is waited for. */
static bool has_let_go(const struct eg_ward *ward)
{
	return ward->follow && eg_follow_netns(ward->follow)->fd < 0;
}

static void mend(struct eg_ward *ward, const struct eg_guard_view *view)
{
	const char *reason = view->reason ? view->reason : "degraded";
	__u64 now = eg_monotonic_ns();

	switch (eg_mend_next(&ward->mending, reason, now)) {
	case EG_MEND_WAIT:
		return;
	case EG_MEND_SAY:
		EG_WARD_SAY(ward, EG_JOURNAL_WARNING, "%s: it is mended, if that can be", reason);
		break;
	case EG_MEND_SILENT:
		break;
	}
	ward->is_damaged = ward->text;
	if (!is_held(view) && !has_let_go(ward))
		eg_ward_unfollow(ward);
	ward->look_ns = now;
}

static void is_whole(struct eg_ward *ward)
{
	if (ward->mending.in_vain)
		EG_WARD_SAY(ward, EG_JOURNAL_INFO, "it is as it should be again");
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
	ward->check_ns = eg_moment_in_ns(took * CHECK_SHARE > EG_WARD_CHECK_NS ? took * CHECK_SHARE
									       : EG_WARD_CHECK_NS);
}

/* Another process that followed it may have ended. */
static void check_others(struct eg_ward *ward)
{
	EG_AUTO_HOLDS struct eg_holds *holds = NULL;
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	struct eg_held held = {};

	if (eg_ward_open_guard(ward, &guard, NULL) == 0 && eg_holds_get(&holds) == 0 &&
	    eg_holds_of(holds, guard, &held) == 0 && (held.ipv4 || held.ipv6))
		return;
	ward->others_follow = false;
	ward->look_ns = eg_monotonic_ns();
}

__u64 eg_ward_check_due_ns(const struct eg_ward *ward)
{
	return ward->check_ns;
}

void eg_ward_check(struct eg_ward *ward)
{
	/* What there is to say against it is that it is not followed yet. */
	if (ward->waits_to_follow) {
		ward->check_ns = eg_moment_in_ns(EG_WARD_CHECK_NS);
		return;
	}
	check(ward);
	if (ward->others_follow)
		check_others(ward);
}
