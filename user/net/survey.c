// SPDX-License-Identifier: GPL-2.0
#include "net/survey.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/text.h"

void eg_survey_free(struct eg_survey *survey)
{
	for (size_t i = 0; i < survey->n_underlays; i++) {
		if (survey->underlays[i].has_peer)
			eg_peer_close(&survey->underlays[i].peer);
	}
	free(survey->tunnels);
	free(survey->underlays);
	*survey = (struct eg_survey){};
}

static void add_tunnel(struct eg_survey *survey, const struct eg_link *link,
		       enum eg_tunnel_kind kind)
{
	survey->tunnels[survey->n_tunnels++] = (struct eg_tunnel){.link = *link, .kind = kind};
}

/* That the other end could not be looked for does not mean that there is none. */
static int add_underlay(struct eg_survey *survey, const struct eg_netns *netns,
			const struct eg_link *link, struct eg_error *error)
{
	struct eg_underlay *underlay = &survey->underlays[survey->n_underlays++];
	char name[IFNAMSIZ * 4];
	int result = -ENOENT;

	*underlay = (struct eg_underlay){.link = *link, .by_others = eg_link_sends_by_others(link)};
	if (strcmp(link->kind, "veth") == 0)
		result = eg_peer_find(netns, link, &underlay->peer);
	underlay->has_peer = result == 0;
	if (result == 0 || result == -ENOENT)
		return 0;
	return eg_error_set(
		error, EG_EXIT_FAILED, -result, "cannot look for the other end of '%s': %s",
		eg_escape(name, sizeof(name), link->name, sizeof(link->name)), strerror(-result));
}

int eg_survey_take(const struct eg_netns *netns, const struct eg_policy *policy,
		   struct eg_survey *ret_survey, struct eg_error *error)
{
	EG_AUTO_SURVEY struct eg_survey survey = {};
	EG_AUTO_FREE struct eg_link *links = NULL;
	size_t n_links = 0;
	int result = eg_links_get(netns, &links, &n_links);

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot list the namespace's interfaces: %s",
				    strerror(-result));
	survey.tunnels = calloc(n_links + 1, sizeof(*survey.tunnels));
	survey.underlays = calloc(n_links + 1, sizeof(*survey.underlays));
	if (!survey.tunnels || !survey.underlays)
		return eg_error_set(error, EG_EXIT_FAILED, ENOMEM, "out of memory");

	for (size_t i = 0; i < n_links && result == 0; i++) {
		enum eg_tunnel_kind kind = EG_TUNNEL_NOT;

		if (links[i].loopback)
			continue;
		if (policy && eg_policy_has_tunnel(policy, links[i].name))
			kind = eg_tunnel_kind(netns, &links[i]);
		if (kind == EG_TUNNEL_KERNEL || kind == EG_TUNNEL_USERSPACE)
			add_tunnel(&survey, &links[i], kind);
		else
			result = add_underlay(&survey, netns, &links[i], error);
	}
	if (result < 0)
		return result;
	*ret_survey = survey;
	survey = (struct eg_survey){};
	return 0;
}
