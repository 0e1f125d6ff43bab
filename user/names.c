// SPDX-License-Identifier: GPL-2.0
#include "names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "net/dns.h"
#include "net/wireguard.h"
#include "policy/address.h"
#include "util/cleanup.h"
#include "util/text.h"

/* A person waits for it; a daemon has other guards. */
#define BY_HAND_MS    5000
#define UNATTENDED_MS 1500
/* Of all names together, unattended. */
#define ADDRESSES_KEPT 32
/* After that much time a session of WireGuard is over (REJECT_AFTER_TIME). */
#define HANDSHAKE_OLD_S 180

int eg_names_take(struct eg_policy *policy)
{
	struct eg_derived *derived = &policy->derived;
	size_t kept = 0;
	int result = 0;

	for (size_t i = 0; result == 0 && i < policy->n_endpoints; i++)
		if (policy->endpoints[i].family == EG_FAMILY_NONE)
			result = eg_policy_add_endpoint(&derived->names, &derived->n_names,
							&policy->endpoints[i]);
	if (result < 0)
		return result;
	for (size_t i = 0; i < policy->n_endpoints; i++) {
		if (policy->endpoints[i].family == EG_FAMILY_NONE)
			free(policy->endpoints[i].host);
		else
			policy->endpoints[kept++] = policy->endpoints[i];
	}
	policy->n_endpoints = kept;
	return 0;
}

/* --- addresses -------------------------------------------------------------------------------- */

static bool has_endpoint(const struct eg_derived *derived, const struct eg_endpoint *endpoint)
{
	for (size_t i = 0; i < derived->n_endpoints; i++)
		if (derived->endpoints[i].family == endpoint->family &&
		    derived->endpoints[i].port == endpoint->port &&
		    memcmp(&derived->endpoints[i].addr, &endpoint->addr, sizeof(endpoint->addr)) ==
			    0)
			return true;
	return false;
}

static int add_endpoint(struct eg_derived *derived, const struct eg_endpoint *endpoint)
{
	if (has_endpoint(derived, endpoint))
		return 0;
	return eg_policy_add_endpoint(&derived->endpoints, &derived->n_endpoints, endpoint);
}

/* By the resolvers of the policy, in turn; then by this machine's own. */
static int resolve(const struct eg_policy *policy, const struct eg_endpoint *name,
		   unsigned int timeout_ms, struct eg_endpoint **ret_found, size_t *ret_n,
		   struct eg_text *warnings, struct eg_error *error)
{
	struct eg_error why = {}, own = {};

	for (size_t i = 0; i < policy->n_bootstrap_dns; i++)
		if (eg_dns_resolve(&policy->bootstrap_dns[i], name, timeout_ms, ret_found, ret_n,
				   &why) == 0)
			return 0;
	if (eg_endpoint_resolve(name, timeout_ms, ret_found, ret_n, &own) < 0)
		return eg_error_set(error, own.exit, EHOSTUNREACH, "%s%s%s", why.message,
				    why.message[0] ? "; and this machine's own resolver: " : "",
				    own.message);
	if (policy->n_bootstrap_dns)
		eg_text_printf(warnings,
			       "%s; the addresses are those that this machine's own resolver "
			       "gives, and if the namespace is told others, it does not reach "
			       "them\n",
			       why.message);
	return 0;
}

static bool has_name(const struct eg_policy *policy, const struct eg_endpoint *name)
{
	for (size_t i = 0; policy && i < policy->derived.n_names; i++)
		if (policy->derived.names[i].port == name->port &&
		    strcmp(policy->derived.names[i].host, name->host) == 0)
			return true;
	return false;
}

/* What one of these names was known by. The text in force does not say which one of them: so of all
 * with its port. */
static int keep(const struct eg_policy *in_force, const struct eg_endpoint *name,
		struct eg_derived *derived)
{
	int result = 0;

	if (!has_name(in_force, name))
		return 0;
	for (size_t i = 0; result == 0 && i < in_force->derived.n_endpoints; i++)
		if (in_force->derived.endpoints[i].port == name->port &&
		    derived->n_endpoints < ADDRESSES_KEPT)
			result = add_endpoint(derived, &in_force->derived.endpoints[i]);
	return result;
}

static int resolve_one(struct eg_policy *policy, const struct eg_endpoint *name, bool unattended,
		       struct eg_text *warnings, struct eg_error *error)
{
	EG_AUTO_FREE struct eg_endpoint *found = NULL;
	struct eg_error why = {};
	size_t n = 0;
	int result = resolve(policy, name, unattended ? UNATTENDED_MS : BY_HAND_MS, &found, &n,
			     warnings, &why);

	if (result < 0 && !unattended) {
		*error = why;
		return result;
	}
	if (result < 0)
		eg_text_printf(warnings, "%s\n", why.message);
	result = 0;
	for (size_t i = 0; result == 0 && i < n; i++)
		result = add_endpoint(&policy->derived, &found[i]);
	return result < 0 ? eg_error_no_memory(error) : 0;
}

int eg_names_resolve(struct eg_policy *policy, const struct eg_policy *in_force, bool unattended,
		     struct eg_text *warnings, struct eg_error *error)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < policy->derived.n_names; i++)
		result =
			resolve_one(policy, &policy->derived.names[i], unattended, warnings, error);
	for (size_t i = 0; unattended && result == 0 && i < policy->derived.n_names; i++)
		if (keep(in_force, &policy->derived.names[i], &policy->derived) < 0)
			result = eg_error_no_memory(error);
	return result;
}

/* --- the time to ask -------------------------------------------------------------------------- */

bool eg_names_are_asked(const struct eg_policy *policy)
{
	return policy->n_bootstrap_dns && policy->derived.n_names;
}

/* A time that is yet to come is somebody's clock that was set: it counts as one that has been. */
static bool is_recent(__u64 handshake_s)
{
	time_t now = time(NULL);

	return handshake_s && handshake_s + HANDSHAKE_OLD_S > (__u64)now;
}

static bool has_handshake(const struct eg_netns *netns, const struct eg_survey *survey)
{
	for (size_t i = 0; i < survey->n_tunnels; i++) {
		EG_AUTO_WG_DEVICE struct eg_wg_device device = {};

		if (eg_wg_get(netns, &survey->tunnels[i].link, &device, NULL) < 0)
			continue;
		for (size_t j = 0; j < device.n_peers; j++)
			if (is_recent(device.peers[j].last_handshake_s))
				return true;
	}
	return false;
}

int eg_names_tend(struct eg_guard *guard, const struct eg_netns *netns,
		  const struct eg_policy *policy, unsigned int ms, bool *ret_open)
{
	EG_AUTO_SURVEY struct eg_survey survey = {};
	bool open = eg_names_are_asked(policy);
	int result = 0;

	if (open && netns->fd >= 0)
		result = eg_survey_take(netns, policy, &survey, NULL);
	if (result < 0)
		open = false;
	else if (open)
		open = !has_handshake(netns, &survey);
	if (eg_guard_set_window(guard, open ? ms : 0) < 0)
		return -EIO;
	*ret_open = open;
	return result;
}
