// SPDX-License-Identifier: GPL-2.0
#include "cover.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"

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
		char name[IFNAMSIZ * 4];

		if (survey->underlays[i].has_peer || survey->underlays[i].by_others)
			continue;
		eg_escape(name, sizeof(name), link->name, sizeof(link->name));
		eg_text_printf(&names, "%s%s (%s)", names.len ? ", " : "", name, why_no_peer(link));
	}
	if (names.failed)
		return eg_error_set(error, EG_EXIT_FAILED, ENOMEM, "out of memory");
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

int eg_cover_one(struct eg_guard *guard, const struct eg_netns *netns,
		 const struct eg_underlay *underlay, struct eg_error *error)
{
	int result;

	if (is_covered(guard, netns, underlay))
		return 0;
	result = cover_underlay(guard, netns, underlay, error);
	if (result < 0)
		return result;
	return is_covered(guard, netns, underlay);
}

int eg_cover_all(struct eg_guard *guard, const struct eg_netns *netns,
		 const struct eg_policy *policy, bool accept_device_only, struct eg_error *error)
{
	for (int round = 0; round < ROUNDS_MAX; round++) {
		EG_AUTO_SURVEY struct eg_survey survey = {};
		bool complete = true;
		int result = eg_survey_take(netns, policy, &survey, error);

		if (result == 0)
			result = eg_cover_check(&survey, accept_device_only, error);
		for (size_t i = 0; result == 0 && i < survey.n_underlays; i++) {
			if (is_covered(guard, netns, &survey.underlays[i]))
				continue;
			complete = false;
			result = cover_underlay(guard, netns, &survey.underlays[i], error);
		}
		if (result < 0)
			return result;
		if (complete)
			return 0;
	}
	return eg_error_set(
		error, EG_EXIT_FAILED, EAGAIN,
		"the namespace's interfaces change faster than they can be covered: try "
		"again when it has come to rest");
}

bool eg_cover_what_can_be(struct eg_guard *guard, const struct eg_netns *netns,
			  const struct eg_policy *policy)
{
	EG_AUTO_SURVEY struct eg_survey survey = {};
	bool put_on = false;

	if (eg_survey_take(netns, policy, &survey, NULL) < 0)
		return false;
	for (size_t i = 0; i < survey.n_underlays; i++) {
		if (!is_covered(guard, netns, &survey.underlays[i]) &&
		    cover_underlay(guard, netns, &survey.underlays[i], NULL) == 0)
			put_on = true;
	}
	return put_on;
}

bool eg_cover_is_behind(struct eg_guard *guard, const struct eg_netns *netns,
			const struct eg_survey *survey)
{
	for (size_t i = 0; i < survey->n_underlays; i++) {
		const struct eg_underlay *underlay = &survey->underlays[i];
		bool tcx;

		if (eg_guard_device_state(guard, netns, &underlay->link, &tcx) == EG_COVER_BEHIND)
			return true;
		if (underlay->has_peer &&
		    eg_guard_peer_state(guard, &underlay->link, &underlay->peer, &tcx) ==
			    EG_COVER_BEHIND)
			return true;
	}
	return false;
}

int eg_cover_free_tunnels(struct eg_guard *guard, const struct eg_netns *netns,
			  const struct eg_policy *policy, bool accept_device_only,
			  struct eg_error *error)
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
	/* Whatever had the tunnel's index in that moment has its layers again. */
	return survey.n_tunnels ? eg_cover_all(guard, netns, policy, accept_device_only, error) : 0;
}
