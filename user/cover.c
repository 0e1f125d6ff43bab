// SPDX-License-Identifier: GPL-2.0
#include "cover.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define ROUNDS_MAX 8

static const char *why_no_peer(const struct eg_link *link)
{
	return strcmp(link->kind, "veth") == 0
		       ? "its other end is in no namespace that can be reached from here"
		       : "it has no other end on the host";
}

int eg_cover_check(const struct eg_survey *survey, bool accept_device_only, struct eg_error *error)
{
	EG_AUTO_TEXT struct eg_text names = {};

	if (accept_device_only)
		return 0;
	for (size_t i = 0; i < survey->n_underlays; i++) {
		const struct eg_link *link = &survey->underlays[i].link;
		char name[EG_LINK_NAME_LEN];

		if (survey->underlays[i].has_peer || survey->underlays[i].by_others)
			continue;
		eg_text_printf(&names, "%s%s (%s)", names.len ? ", " : "", eg_link_name(name, link),
			       why_no_peer(link));
	}
	if (names.failed)
		return eg_error_no_memory(error);
	if (names.len == 0)
		return 0;
	return eg_error_set(
		error, EG_EXIT_KERNEL, EOPNOTSUPP,
		"only the layer 'device' can guard %s: it holds against processes "
		"without NET_ADMIN and NET_RAW (which engines give by default), while others "
		"inside can get past it. If that is enough, add --accept-device-only",
		names.data);
}

static int cover_underlay(struct eg_guard *guard, const struct eg_netns *netns,
			  const struct eg_underlay *underlay, struct eg_error *error)
{
	int result = eg_guard_cover_device(guard, netns, &underlay->link, error);

	if (result == 0 && underlay->has_peer)
		result = eg_guard_cover_peer(guard, &underlay->link, &underlay->peer, error);
	/* An interface that vanished meanwhile needs no cover. */
	return result == -ENODEV ? 0 : result;
}

/* One that came to be behind another is for a new guard to put right. */
static bool is_on(enum eg_cover_state state)
{
	return state == EG_COVER_ATTACHED || state == EG_COVER_BEHIND;
}

static bool is_covered(struct eg_guard *guard, const struct eg_netns *netns,
		       const struct eg_underlay *underlay)
{
	bool tcx;

	if (!is_on(eg_guard_device_state(guard, netns, &underlay->link, &tcx)))
		return false;
	return !underlay->has_peer ||
	       is_on(eg_guard_peer_state(guard, &underlay->link, &underlay->peer, &tcx));
}

/* --- some at a time ----------------------------------------------------------------------------
 */

/* The fewer can be made from inside, the earlier: an interface that leads out is not to wait for
 * those of which root inside can make any number. */
enum rank {
	RANK_WITH_PEER,
	RANK_MAY_LEAD_OUT,
	RANK_STAYS_INSIDE, /* hands what it sends to others in there, or to nobody */
	RANK_COUNT,
};

static enum rank rank_of(const struct eg_underlay *underlay)
{
	if (underlay->has_peer)
		return RANK_WITH_PEER;
	return underlay->by_others ? RANK_STAYS_INSIDE : RANK_MAY_LEAD_OUT;
}

struct work {
	struct eg_guard *guard;
	const struct eg_netns *netns;
	const struct eg_survey *survey;
	struct eg_cover_pass *pass;
	struct eg_error error;
	int failed;
	__u64 spent_ns;
	__u32 last;
};

static void put_on(struct work *work, const struct eg_underlay *underlay)
{
	struct eg_error why = {};
	__u64 started = eg_monotonic_ns();
	int result = cover_underlay(work->guard, work->netns, underlay, &why);

	work->spent_ns += eg_monotonic_ns() - started;
	work->last = underlay->link.ifindex;
	work->pass->n_tried++;
	work->pass->n_put += result == 0;
	if (result < 0 && !work->failed) {
		work->failed = result;
		work->error = why;
	}
	if (result == 0 && work->pass->told && is_covered(work->guard, work->netns, underlay))
		work->pass->told(work->pass->argument, underlay);
}

static void take_one(struct work *work, const struct eg_underlay *underlay)
{
	struct eg_cover_pass *pass = work->pass;

	if (is_covered(work->guard, work->netns, underlay))
		return;
	if (pass->extent == EG_COVER_SHARE && work->spent_ns >= EG_COVER_SHARE_NS)
		pass->n_left++;
	else
		put_on(work, underlay);
}

/* Runs inside the namespace. Of one rank those come first that had no turn in the last pass: some
 * may fail each time. */
static int take_all(void *argument)
{
	struct work *work = argument;
	const struct eg_survey *survey = work->survey;
	__u32 after = work->pass->after;

	for (enum rank rank = 0; rank < RANK_COUNT; rank++)
		for (int before = 0; before < 2; before++)
			for (size_t i = 0; i < survey->n_underlays; i++)
				if (rank_of(&survey->underlays[i]) == rank &&
				    (survey->underlays[i].link.ifindex <= after) == before)
					take_one(work, &survey->underlays[i]);
	work->pass->after = work->pass->n_left ? work->last : 0;
	return 0;
}

int eg_cover_some(struct eg_guard *guard, const struct eg_netns *netns,
		  const struct eg_survey *survey, struct eg_cover_pass *pass,
		  struct eg_error *error)
{
	struct work work = {.guard = guard, .netns = netns, .survey = survey, .pass = pass};
	int result;

	pass->n_tried = pass->n_put = pass->n_left = 0;
	result = eg_netns_run(netns, take_all, &work);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot enter the guard's namespace: %s", strerror(-result));
	if (work.failed && error)
		*error = work.error;
	return work.failed;
}

static int take_survey(const struct eg_netns *netns, const struct eg_policy *policy,
		       enum eg_cover_extent extent, struct eg_survey *ret_survey,
		       struct eg_error *error)
{
	return extent == EG_COVER_ALL ? eg_survey_take(netns, policy, ret_survey, error)
				      : eg_survey_take_anyway(netns, policy, ret_survey, error);
}

int eg_cover_all(struct eg_guard *guard, const struct eg_netns *netns,
		 const struct eg_policy *policy, bool accept_device_only,
		 enum eg_cover_extent extent, struct eg_error *error)
{
	struct eg_cover_pass pass = {.extent = extent};

	for (int round = 0; round < ROUNDS_MAX; round++) {
		EG_AUTO_SURVEY struct eg_survey survey = {};
		int result = take_survey(netns, policy, extent, &survey, error);

		if (result == 0)
			result = eg_cover_check(&survey, accept_device_only, error);
		if (result == 0)
			result = eg_cover_some(guard, netns, &survey, &pass, error);
		if (result < 0)
			return result;
		if (!pass.n_tried || pass.n_left)
			return 0;
	}
	if (extent == EG_COVER_ANYWAY)
		return 0;
	return eg_error_set(
		error, EG_EXIT_FAILED, EAGAIN,
		"the namespace's interfaces change faster than they can be covered: try "
		"again when it has come to rest");
}

bool eg_cover_what_can_be(struct eg_guard *guard, const struct eg_netns *netns,
			  const struct eg_policy *policy, enum eg_cover_extent extent)
{
	EG_AUTO_SURVEY struct eg_survey survey = {};
	struct eg_cover_pass pass = {.extent = extent};

	if (take_survey(netns, policy, extent, &survey, NULL) < 0)
		return false;
	eg_cover_some(guard, netns, &survey, &pass, NULL);
	return pass.n_put > 0;
}

static bool is_behind(struct eg_guard *guard, const struct eg_netns *netns,
		      const struct eg_underlay *underlay)
{
	bool tcx;

	if (eg_guard_device_state(guard, netns, &underlay->link, &tcx) == EG_COVER_BEHIND)
		return true;
	return underlay->has_peer && eg_guard_peer_state(guard, &underlay->link, &underlay->peer,
							 &tcx) == EG_COVER_BEHIND;
}

/* Runs inside the namespace. */
static int find_behind(void *argument)
{
	const struct work *work = argument;

	for (size_t i = 0; i < work->survey->n_underlays; i++)
		if (is_behind(work->guard, work->netns, &work->survey->underlays[i]))
			return 1;
	return 0;
}

bool eg_cover_is_behind(struct eg_guard *guard, const struct eg_netns *netns,
			const struct eg_survey *survey)
{
	struct work work = {.guard = guard, .netns = netns, .survey = survey};

	return eg_netns_run(netns, find_behind, &work) > 0;
}

bool eg_cover_is_on_tunnel(struct eg_guard *guard, const struct eg_netns *netns,
			   const struct eg_survey *survey)
{
	for (size_t i = 0; i < survey->n_tunnels; i++)
		if (eg_guard_has_underlay(guard, netns, &survey->tunnels[i].link))
			return true;
	return false;
}

/* Whatever had a tunnel's index in the moment in which that lost its layers: at once, and not when
 * a share comes to it. */
static int put_back(struct eg_guard *guard, const struct eg_netns *netns,
		    const struct eg_policy *policy, const struct eg_survey *before,
		    struct eg_error *error)
{
	EG_AUTO_SURVEY struct eg_survey now = {};
	int result = eg_survey_take(netns, policy, &now, error);

	for (size_t i = 0; result == 0 && i < now.n_underlays; i++)
		for (size_t j = 0; result == 0 && j < before->n_tunnels; j++)
			if (now.underlays[i].link.ifindex == before->tunnels[j].link.ifindex)
				result = cover_underlay(guard, netns, &now.underlays[i], error);
	return result;
}

int eg_cover_free_tunnels(struct eg_guard *guard, const struct eg_netns *netns,
			  const struct eg_policy *policy, bool accept_device_only,
			  enum eg_cover_extent extent, struct eg_error *error)
{
	EG_AUTO_SURVEY struct eg_survey survey = {};
	int result = eg_survey_take(netns, policy, &survey, error);

	if (result < 0)
		return result;
	for (size_t i = 0; i < survey.n_tunnels; i++) {
		result = eg_guard_uncover(guard, netns, &survey.tunnels[i].link);
		if (result < 0)
			return eg_error_set(error, EG_EXIT_FAILED, -result,
					    "the policy is in force, but the guard cannot be taken "
					    "off the tunnel '%s': %s",
					    survey.tunnels[i].link.name, strerror(-result));
	}
	if (!survey.n_tunnels)
		return 0;
	if (extent == EG_COVER_SHARE)
		result = put_back(guard, netns, policy, &survey, error);
	return result < 0 ? result
			  : eg_cover_all(guard, netns, policy, accept_device_only, extent, error);
}
