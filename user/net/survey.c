// SPDX-License-Identifier: GPL-2.0
#include "net/survey.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/text.h"

/* How often a list is taken anew. */
#define SETTLE_ROUNDS 4

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
	char name[EG_LINK_NAME_LEN];
	int result = -ENOENT;

	*underlay = (struct eg_underlay){.link = *link, .by_others = eg_link_sends_by_others(link)};
	if (strcmp(link->kind, "veth") == 0)
		result = eg_peer_find(netns, link, &underlay->peer);
	underlay->has_peer = result == 0;
	if (result == 0 || result == -ENOENT)
		return 0;
	return eg_error_set(error, EG_EXIT_FAILED, -result,
			    "cannot look for the other end of '%s': %s", eg_link_name(name, link),
			    strerror(-result));
}

/* What tells one interface from another that has taken its place, its index or its name. */
static bool same_link(const struct eg_link *a, const struct eg_link *b)
{
	return a->ifindex == b->ifindex && strcmp(a->name, b->name) == 0 &&
	       strcmp(a->kind, b->kind) == 0 && a->type == b->type && a->tap == b->tap &&
	       a->peer_ifindex == b->peer_ifindex && a->peer_nsid == b->peer_nsid &&
	       a->elsewhere == b->elsewhere;
}

struct links {
	struct eg_link *all;
	size_t n;
	enum eg_tunnel_kind *kinds;
};

static void links_free(struct links *links)
{
	free(links->all);
	free(links->kinds);
	*links = (struct links){};
}
#define AUTO_LINKS __attribute__((cleanup(links_free)))

static bool same_links(const struct links *a, const struct links *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = same_link(&a->all[i], &b->all[i]);
	return same;
}

static int list_links(const struct eg_netns *netns, struct links *ret_links)
{
	struct links links = {};
	int result = eg_links_get(netns, &links.all, &links.n);

	if (result < 0)
		return result;
	links.kinds = calloc(links.n + 1, sizeof(*links.kinds));
	if (!links.kinds) {
		links_free(&links);
		return -ENOMEM;
	}
	*ret_links = links;
	return 0;
}

/*
 * Whether a tun is a tunnel somebody inside answers, who can take his time and meanwhile give an
 * interface's index or name to another one: two of three attachs put `device` on a vxlan that way,
 * and took it off eth0. So all questions come first, and the list counts that is the same before
 * and after them. -EAGAIN: it was not.
 */
static int settled_links(const struct eg_netns *netns, const struct eg_policy *policy,
			 struct links *ret_links)
{
	for (int round = 0; round < SETTLE_ROUNDS; round++) {
		AUTO_LINKS struct links links = {}, again = {};
		bool asked = false;
		int result = list_links(netns, &links);

		for (size_t i = 0; result == 0 && i < links.n; i++) {
			if (links.all[i].loopback || !policy ||
			    !eg_policy_has_tunnel(policy, links.all[i].name))
				continue;
			links.kinds[i] = eg_tunnel_kind(netns, &links.all[i]);
			asked = true;
		}
		if (result == 0 && asked)
			result = list_links(netns, &again);
		if (result < 0)
			return result;
		if (!asked || same_links(&links, &again)) {
			*ret_links = links;
			links = (struct links){};
			return 0;
		}
	}
	return -EAGAIN;
}

int eg_survey_take(const struct eg_netns *netns, const struct eg_policy *policy,
		   struct eg_survey *ret_survey, struct eg_error *error)
{
	EG_AUTO_SURVEY struct eg_survey survey = {};
	AUTO_LINKS struct links links = {};
	int result = settled_links(netns, policy, &links);

	if (result == -EAGAIN)
		return eg_error_set(error, EG_EXIT_FAILED, EAGAIN,
				    "the namespace's interfaces change while its tunnel is asked "
				    "about: try again when it has come to rest");
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot list the namespace's interfaces: %s",
				    strerror(-result));
	survey.tunnels = calloc(links.n + 1, sizeof(*survey.tunnels));
	survey.underlays = calloc(links.n + 1, sizeof(*survey.underlays));
	if (!survey.tunnels || !survey.underlays)
		return eg_error_no_memory(error);

	for (size_t i = 0; i < links.n && result == 0; i++) {
		if (links.all[i].loopback)
			continue;
		if (links.kinds[i] == EG_TUNNEL_KERNEL || links.kinds[i] == EG_TUNNEL_USERSPACE)
			add_tunnel(&survey, &links.all[i], links.kinds[i]);
		else
			result = add_underlay(&survey, netns, &links.all[i], error);
	}
	if (result < 0)
		return result;
	*ret_survey = survey;
	survey = (struct eg_survey){};
	return 0;
}

int eg_survey_take_anyway(const struct eg_netns *netns, const struct eg_policy *policy,
			  struct eg_survey *ret_survey, struct eg_error *error)
{
	int result = eg_survey_take(netns, policy, ret_survey, error);

	if (result != -EAGAIN)
		return result;
	if (error)
		*error = (struct eg_error){};
	return eg_survey_take(netns, NULL, ret_survey, error);
}
