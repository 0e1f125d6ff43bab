// SPDX-License-Identifier: GPL-2.0
/* Where the tunnel's peers are. */
#include "derivation.h"

#include <errno.h>
#include <string.h>

#include "names.h"
#include "policy/address.h"
#include "policy/peers.h"
#include "util/cleanup.h"
#include "util/text.h"

static struct eg_known_peer known_peer(const struct eg_wg_peer *live)
{
	struct eg_known_peer peer = {.endpoint = eg_endpoint_unmapped(&live->endpoint)};

	memcpy(peer.public_key, live->public_key, sizeof(peer.public_key));
	if (peer.endpoint.port == 0)
		peer.endpoint = (struct eg_endpoint){};
	return peer;
}

/* All peers that it has now, whether they are somewhere yet or not. */
static int take_live_peers(const struct eg_netns *netns, const struct eg_tunnel *tunnel,
			   struct eg_derived *derived, struct eg_error *error)
{
	EG_AUTO_WG_DEVICE struct eg_wg_device device = {};
	int result = eg_wg_get(netns, &tunnel->link, &device, error);

	for (size_t i = 0; result == 0 && i < device.n_peers; i++) {
		struct eg_known_peer peer = known_peer(&device.peers[i]);

		if (eg_peers_add(derived, &peer) < 0)
			result = eg_error_no_memory(error);
	}
	return result;
}

/* Keys are known from when the first of their endpoints is. */
static int learn_peers(const struct eg_netns *netns, const struct eg_survey *survey,
		       struct eg_derived *derived, struct eg_error *error)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < survey->n_tunnels; i++)
		result = take_live_peers(netns, &survey->tunnels[i], derived, error);
	if (result == 0 && eg_peers_to_endpoints(derived) < 0)
		result = eg_error_no_memory(error);
	if (result == 0 && !derived->n_endpoints)
		derived->n_peers = 0;
	return result;
}

/* Where the known ones are now. A tunnel that cannot be asked moves nobody. */
static bool move_peers(const struct eg_netns *netns, const struct eg_survey *survey,
		       struct eg_derived *derived)
{
	bool moved = false;

	for (size_t i = 0; i < survey->n_tunnels; i++) {
		EG_AUTO_WG_DEVICE struct eg_wg_device device = {};

		if (eg_wg_get(netns, &survey->tunnels[i].link, &device, NULL) < 0)
			continue;
		for (size_t j = 0; j < device.n_peers; j++) {
			struct eg_known_peer live = known_peer(&device.peers[j]);

			if (eg_peers_move(derived, live.public_key, &live.endpoint))
				moved = true;
		}
	}
	return moved;
}

static int keep_endpoints(const struct eg_policy *in_force, struct eg_policy *policy)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < in_force->derived.n_endpoints; i++)
		result = eg_policy_add_endpoint(&policy->derived.endpoints,
						&policy->derived.n_endpoints,
						&in_force->derived.endpoints[i]);
	for (size_t i = 0; result == 0 && i < in_force->derived.n_peers; i++)
		result = eg_peers_add(&policy->derived, &in_force->derived.peers[i]);
	return result;
}

static int no_endpoint(const struct eg_target *target, const struct eg_survey *survey,
		       const struct eg_policy *policy, struct eg_error *error)
{
	char safe[512];

	if (policy->wg_conf && *policy->wg_conf == '/')
		return eg_error_set(
			error, EG_EXIT_USAGE, EINVAL,
			"%s names no Endpoint, and no running tunnel tells one: is that "
			"the tunnel's wg0.conf? Else give --endpoint ADDR:PORT as well",
			eg_escape(safe, sizeof(safe), policy->wg_conf, strlen(policy->wg_conf)));
	if (survey->n_tunnels)
		return eg_error_set(
			error, EG_EXIT_USAGE, EINVAL,
			"the tunnel %s knows no endpoint yet: give --endpoint ADDR:PORT "
			"or --wg-conf FILE",
			policy->tunnels[0]);
	if (target->netns.fd < 0)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "the network namespace of the tunnel is not known, and no "
				    "endpoint is given: start the tunnel and a process in the "
				    "cgroup first, or give --endpoint ADDR:PORT or --wg-conf FILE");
	return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
			    "the namespace has no tunnel %s, and no endpoint is given: start the "
			    "tunnel first, or give --endpoint ADDR:PORT or --wg-conf FILE",
			    policy->tunnels[0]);
}

static bool has_endpoints(const struct eg_policy *policy)
{
	return policy && policy->derived.n_endpoints;
}

/* Those in force stay, and follow their peers. */
static int keep_and_move(const struct eg_derivation *derivation)
{
	struct eg_policy *policy = derivation->policy;

	if (keep_endpoints(derivation->in_force, policy) < 0)
		return -ENOMEM;
	return move_peers(&derivation->target->netns, derivation->survey, &policy->derived)
		       ? eg_peers_to_endpoints(&policy->derived)
		       : 0;
}

int eg_derive_endpoints(const struct eg_derivation *derivation, struct eg_error *error)
{
	const struct eg_target *target = derivation->target;
	const struct eg_survey *survey = derivation->survey;
	const struct eg_policy *in_force = derivation->in_force;
	struct eg_policy *policy = derivation->policy;
	bool unattended = derivation->terms != EG_DERIVE_BY_HAND;
	int result;

	if (eg_names_take(policy) < 0)
		return eg_error_no_memory(error);
	result = eg_names_resolve(policy, in_force, unattended, derivation->warnings, error);
	if (result < 0)
		return result;
	/* A name that nobody knows yet is no reason to believe the namespace. */
	if (policy->n_endpoints || policy->derived.n_endpoints || policy->derived.n_names)
		return 0;
	if (unattended && has_endpoints(in_force))
		return keep_and_move(derivation) < 0 ? eg_error_no_memory(error) : 0;
	result = learn_peers(&target->netns, survey, &policy->derived, error);
	if (result < 0)
		return result;
	if (policy->derived.n_endpoints)
		return 0;
	if (has_endpoints(in_force))
		return keep_endpoints(in_force, policy) < 0 ? eg_error_no_memory(error) : 0;
	return unattended ? 0 : no_endpoint(target, survey, policy, error);
}

/* Those that a person or a file named stay, wherever the peers are. */
bool eg_derive_follows_peers(const struct eg_policy *policy)
{
	bool of_file = policy->wg_conf && *policy->wg_conf == '/';

	return policy->n_endpoints == 0 && !policy->derived.n_names && !of_file &&
	       (policy->derived.n_peers || !policy->derived.n_endpoints);
}

bool eg_derive_has_moved(const struct eg_netns *netns, const struct eg_policy *in_force)
{
	EG_AUTO_POLICY struct eg_policy *now = NULL;
	EG_AUTO_SURVEY struct eg_survey survey = {};

	if (!eg_derive_follows_peers(in_force) || eg_policy_new(&now) < 0 ||
	    eg_survey_take(netns, in_force, &survey, NULL) < 0 || !survey.n_tunnels)
		return false;
	if (!in_force->derived.n_endpoints)
		return learn_peers(netns, &survey, &now->derived, NULL) == 0 &&
		       now->derived.n_endpoints;
	return keep_endpoints(in_force, now) == 0 && move_peers(netns, &survey, &now->derived);
}
