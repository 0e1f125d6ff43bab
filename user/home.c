// SPDX-License-Identifier: GPL-2.0
#include "home.h"

#include <errno.h>
#include <string.h>

#include "policy/policy.h"
#include "util/cleanup.h"

/* 1 where it has. */
static int has_tunnel(const struct eg_netns *netns, const struct eg_policy *policy)
{
	EG_AUTO_FREE struct eg_link *links = NULL;
	size_t n = 0;
	int result = eg_links_get(netns, &links, &n);

	if (result < 0)
		return result;
	for (size_t i = 0; i < n; i++) {
		enum eg_tunnel_kind kind;

		if (policy->n_tunnels && !eg_policy_has_tunnel(policy, links[i].name))
			continue;
		kind = eg_tunnel_kind(netns, &links[i]);
		if (kind == EG_TUNNEL_KERNEL || kind == EG_TUNNEL_USERSPACE)
			return 1;
	}
	return 0;
}

/* All of them, and what may be taken for the home. */
struct choice {
	struct eg_netns *list;
	size_t n;
	size_t strangers;            /* of other user namespaces */
	const struct eg_netns *only; /* the only one of ours */
	size_t n_ours;
	const struct eg_netns *tunnel; /* one of ours that has a tunnel */
	size_t n_tunnels;
};

static void choice_free(struct choice *choice)
{
	eg_cgroup_netns_free(choice->list, choice->n);
}

/* One that cannot be looked at fails: taken for a stranger, or for one without a tunnel, it would
 * leave another one the only choice. */
static int look_at_each(struct choice *choice, const struct eg_policy *policy)
{
	for (size_t i = 0; i < choice->n; i++) {
		const struct eg_netns *netns = &choice->list[i];
		int result = eg_netns_is_ours(netns);

		if (result < 0)
			return result;
		if (result == 0) {
			choice->strangers++;
			continue;
		}
		choice->n_ours++;
		choice->only = netns;
		result = has_tunnel(netns, policy);
		if (result < 0)
			return result;
		if (result == 0)
			continue;
		choice->n_tunnels++;
		choice->tunnel = netns;
	}
	return 0;
}

static int take(struct choice *choice, const struct eg_netns *netns, struct eg_netns *ret_netns)
{
	for (size_t i = 0; i < choice->n; i++) {
		if (&choice->list[i] != netns)
			continue;
		*ret_netns = *netns;
		choice->list[i] = EG_NETNS_NONE;
	}
	return 0;
}

static void warn_of_none(const struct choice *choice, struct eg_text *warnings)
{
	static const char follows[] =
		"no tunnel is free to it, and all it sends is judged as if it left in the clear";

	if (choice->n_tunnels > 1)
		eg_text_printf(
			warnings,
			"the cgroup's processes are in %zu network namespaces with a tunnel, "
			"and which one is meant is not known: %s\n",
			choice->n_tunnels, follows);
	else if (choice->n_ours > 1)
		eg_text_printf(warnings,
			       "the cgroup's processes are in %zu network namespaces, none with a "
			       "tunnel: %s; attach again when the tunnel is there\n",
			       choice->n_ours, follows);
	else if (choice->strangers)
		eg_text_printf(warnings,
			       "the cgroup's processes are in network namespaces of other user "
			       "namespaces, where whoever is root there can make any tunnel: %s\n",
			       follows);
	else
		eg_text_printf(
			warnings,
			"no process is in the cgroup, so its network namespace is not known: "
			"%s; attach again, with --replace, when there is one\n",
			follows);
}

int eg_home_find(const struct eg_cgroup *cgroup, const struct eg_policy *policy,
		 const struct eg_home *before, struct eg_netns *ret_netns, struct eg_text *warnings,
		 struct eg_error *error)
{
	EG_AUTO(choice_free) struct choice choice = {};
	int result = eg_cgroup_netns(cgroup, &choice.list, &choice.n);

	*ret_netns = EG_NETNS_NONE;
	if (result == 0)
		result = look_at_each(&choice, policy);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot look at the cgroup's processes: %s", strerror(-result));
	if (choice.n_tunnels == 1)
		return take(&choice, choice.tunnel, ret_netns);
	if (choice.n_tunnels == 0 && before && eg_home_open(before, ret_netns) == 0)
		return 0;
	if (choice.n_ours == 1)
		return take(&choice, choice.only, ret_netns);
	warn_of_none(&choice, warnings);
	return 0;
}

void eg_home_fill(const struct eg_netns *netns, const struct eg_survey *survey,
		  struct eg_home *ret_home)
{
	size_t n = 0;

	*ret_home = (struct eg_home){};
	if (netns->fd < 0)
		return;
	ret_home->netns_cookie = netns->cookie;
	ret_home->netns_inode = netns->inode;
	ret_home->netns_dev = netns->dev;
	for (size_t i = 0; i < survey->n_tunnels && n < EG_TUNNELS_MAX; i++)
		if (survey->tunnels[i].kind == EG_TUNNEL_USERSPACE)
			ret_home->tuns[n++] = survey->tunnels[i].link.ifindex;
}

int eg_home_open(const struct eg_home *home, struct eg_netns *ret_netns)
{
	if (!home->netns_inode)
		return -ENOENT;
	return eg_netns_find((dev_t)home->netns_dev, (ino_t)home->netns_inode, home->netns_cookie,
			     ret_netns);
}

bool eg_home_same_netns(const struct eg_home *a, const struct eg_home *b)
{
	return a->netns_inode == b->netns_inode && a->netns_dev == b->netns_dev &&
	       a->netns_cookie == b->netns_cookie;
}
