// SPDX-License-Identifier: GPL-2.0
/* What may have changed for one of the daemon's guards, so that it is looked at anew. */
#include <string.h>

#include "net/target.h"
#include "util/clock.h"
#include "ward_parts.h"
#include "ward_target.h"

#define SETTLE_NS       EG_WARD_MS(200) /* from when addresses change until what they mean is learned */
#define LEARN_SPACE_NS  EG_WARD_MS(2000) /* whoever is inside can have them change all the time */
#define LEARN_SHARE     20               /* and have many: never more than this part of the time */
#define LEARN_SPACE_MAX EG_WARD_MS(30000)

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
			EG_WARD_SAY(ward, EG_JOURNAL_INFO, "its guard goes by another name now");
		else if (ward->text)
			EG_WARD_SAY(
				ward, EG_JOURNAL_WARNING,
				"the guard was taken away: it is put back, as its file is there");
		else
			EG_WARD_SAY(ward, EG_JOURNAL_NOTICE, "the guard was taken away");
		break;
	case EG_FOLLOW_GONE:
		EG_WARD_SAY(ward, EG_JOURNAL_NOTICE,
			    "its namespace has ended, and the guard with it");
		break;
	case EG_FOLLOW_TAKEN_OVER:
		EG_WARD_SAY(ward, EG_JOURNAL_WARNING,
			    "another process follows the guard now: it is left to that one until "
			    "it ends");
		ward->others_follow = true;
		break;
	}
	eg_ward_unfollow(ward);
	eg_ward_touch(ward);
}

void eg_ward_touch(struct eg_ward *ward)
{
	ward->look_ns = ward->touched_ns = eg_monotonic_ns();
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
