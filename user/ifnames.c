// SPDX-License-Identifier: GPL-2.0
#include "ifnames.h"

#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/* In every namespace, as the kernel has it (include/net/flow.h). */
#define LOOPBACK_IFINDEX 1
#define READ_EVERY_NS    1000000000ULL

void eg_ifnames_free(struct eg_ifnames *ifnames)
{
	free(ifnames->names);
	ifnames->names = NULL;
	ifnames->n = 0;
}

static struct eg_ifname *find(const struct eg_ifnames *ifnames, enum eg_layer layer, __u32 ifindex)
{
	for (size_t i = 0; i < ifnames->n; i++) {
		if (ifnames->names[i].layer == layer && ifnames->names[i].ifindex == ifindex)
			return &ifnames->names[i];
	}
	return NULL;
}

/* There is room: see read_names(). */
static void add(struct eg_ifnames *ifnames, enum eg_layer layer, __u32 ifindex, const char *name)
{
	struct eg_ifname *known = find(ifnames, layer, ifindex);
	struct eg_ifname *to = &ifnames->names[ifnames->n];

	if (known) {
		known->ambiguous = true;
		return;
	}
	*to = (struct eg_ifname){.layer = layer, .ifindex = ifindex};
	memcpy(to->name, name, strnlen(name, IFNAMSIZ - 1));
	ifnames->n++;
}

static void read_names(struct eg_ifnames *ifnames)
{
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	EG_AUTO_SURVEY struct eg_survey survey = {};
	struct eg_ifname *names;

	/* With no tunnel declared, each interface but loopback is listed as an underlay. */
	if (eg_netns_find(ifnames->netns.dev, ifnames->netns.inode, ifnames->netns.cookie, &netns) <
		    0 ||
	    eg_survey_take(&netns, NULL, &survey, NULL) < 0)
		return;
	names = calloc(2 * survey.n_underlays + 2, sizeof(*names));
	if (!names)
		return;
	eg_ifnames_free(ifnames);
	ifnames->names = names;
	/* Docker's resolver is refused there. */
	add(ifnames, EG_LAYER_DEVICE, LOOPBACK_IFINDEX, "lo");
	for (size_t i = 0; i < survey.n_underlays; i++) {
		const struct eg_underlay *underlay = &survey.underlays[i];

		add(ifnames, EG_LAYER_DEVICE, underlay->link.ifindex, underlay->link.name);
		if (underlay->has_peer)
			add(ifnames, EG_LAYER_PEER, underlay->peer.ifindex, underlay->link.name);
	}
}

const char *eg_ifname_get(struct eg_ifnames *ifnames, enum eg_layer layer, __u32 ifindex,
			  __u64 now_ns)
{
	const struct eg_ifname *known;

	/* All others see the namespace's own interfaces. */
	if (layer != EG_LAYER_PEER)
		layer = EG_LAYER_DEVICE;
	known = find(ifnames, layer, ifindex);
	if (!known && (!ifnames->read_at_ns || now_ns >= ifnames->read_at_ns + READ_EVERY_NS)) {
		read_names(ifnames);
		ifnames->read_at_ns = now_ns;
		known = find(ifnames, layer, ifindex);
	}
	return known && !known->ambiguous ? known->name : NULL;
}
