// SPDX-License-Identifier: GPL-2.0
#include "mismatch.h"

#include "outer.h"
#include "policy/address.h"
#include "policy/explain.h"
#include "policy/image.h"
#include "util/cleanup.h"

/* How many there are is the namespace's word: nobody's log is to be drowned. */
#define STRAYS_SHOWN 4

static bool lets_reach(const struct eg_policy *policy, const struct eg_image *image,
		       const struct eg_endpoint *endpoint)
{
	struct eg_question question = {
		.family = endpoint->family,
		.proto = EG_PROTO_UDP,
		.dst = endpoint->addr,
		.dport = endpoint->port,
		.wireguard = true,
	};
	struct eg_explanation explanation;

	eg_explain(policy, image, &question, &explanation);
	return explanation.verdict == EG_VERDICT_ALLOW;
}

static void add_stray(const struct eg_tunnel *tunnel, const struct eg_endpoint *live,
		      struct eg_text *lines)
{
	char text[EG_ADDRESS_TEXT_LEN];
	char name[EG_LINK_NAME_LEN];

	eg_endpoint_format(text, live);
	eg_text_printf(
		lines,
		"a peer of %s is at %s, which the policy does not let it reach; if that is "
		"your server: attach --endpoint %s --replace, or Endpoint = %s in the file of a "
		"guard that the daemon keeps\n",
		eg_link_name(name, &tunnel->link), text, text, text);
}

void eg_mismatch_tell(const struct eg_netns *netns, const struct eg_tunnel *tunnel,
		      const struct eg_policy *policy, struct eg_text *lines,
		      struct eg_text *elsewhere)
{
	EG_AUTO_WG_DEVICE struct eg_wg_device device = {};
	EG_AUTO_IMAGE struct eg_image *image = NULL;
	char name[EG_LINK_NAME_LEN];
	size_t strays = 0;

	if (eg_wg_get(netns, &tunnel->link, &device, NULL) < 0 ||
	    eg_image_compile(policy, &image, NULL) < 0)
		return;
	if (elsewhere)
		eg_outer_tell(netns, tunnel, &device, elsewhere);
	eg_link_name(name, &tunnel->link);
	if (policy->source_port && device.listen_port && policy->source_port != device.listen_port)
		eg_text_printf(lines,
			       "%s sends from port %u, and the policy lets it send from port %u "
			       "only: it cannot reach its endpoint\n",
			       name, device.listen_port, policy->source_port);
	for (size_t i = 0; i < device.n_peers; i++) {
		struct eg_endpoint live = eg_endpoint_unmapped(&device.peers[i].endpoint);

		if (live.family == EG_FAMILY_NONE || live.port == 0 ||
		    lets_reach(policy, image, &live))
			continue;
		if (strays++ < STRAYS_SHOWN)
			add_stray(tunnel, &live, lines);
	}
	if (strays > STRAYS_SHOWN)
		eg_text_printf(lines, "%zu more peers of %s are where it may not reach them\n",
			       strays - STRAYS_SHOWN, name);
}
