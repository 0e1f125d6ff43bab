// SPDX-License-Identifier: GPL-2.0
/* The addresses of the namespace's interfaces. */
#include "derivation.h"

#include <errno.h>
#include <string.h>

#include "policy/address.h"
#include "policy/networks.h"
#include "util/cleanup.h"

/* They stay once they are known, and root inside can give the tunnel any number of addresses. */
#define TUNNEL_ONLY_MAX 1024

static struct eg_prefix host_prefix(const struct eg_link_addr *addr)
{
	return (struct eg_prefix){
		.addr = addr->addr,
		.family = addr->family,
		.len = eg_family_bits(addr->family),
	};
}

static struct eg_prefix subnet_of(const struct eg_link_addr *addr)
{
	struct eg_prefix subnet = host_prefix(addr);

	subnet.len = addr->prefix_len;
	eg_addr_mask(subnet.family, &subnet.addr, subnet.len);
	return subnet;
}

static bool is_link_local(const struct eg_link_addr *addr)
{
	if (addr->family == EG_FAMILY_IPV4)
		return addr->addr.bytes[0] == 169 && addr->addr.bytes[1] == 254;
	return addr->addr.bytes[0] == 0xfe && (addr->addr.bytes[1] & 0xc0) == 0x80;
}

/* Asked again where the answer was that something failed: without it the guard allows less, and the
 * next attach would be refused for allowing more. */
static bool peer_knows(const struct eg_peer *peer, const struct eg_link_addr *addr,
		       struct eg_prefix *ret_subnet)
{
	int result = eg_peer_route(peer, addr->family, &addr->addr, ret_subnet);

	if (result < 0 && result != -ENOENT)
		result = eg_peer_route(peer, addr->family, &addr->addr, ret_subnet);
	return result == 0;
}

/* Whether some other end on the host leads to an address: it may be a bridge's in the namespace,
 * with the veth as a port. */
static bool known_by_peers(const struct eg_survey *survey, const struct eg_link_addr *addr,
			   struct eg_prefix *ret_subnet)
{
	for (size_t i = 0; i < survey->n_underlays; i++) {
		const struct eg_underlay *underlay = &survey->underlays[i];

		if (underlay->has_peer && peer_knows(&underlay->peer, addr, ret_subnet))
			return true;
	}
	return false;
}

/* Whether something leaves by an interface that nobody outside can be asked about, and that is
 * accepted. */
static bool is_device_only(const struct eg_survey *survey)
{
	if (!survey->device_alone_accepted)
		return false;
	for (size_t i = 0; i < survey->n_underlays; i++) {
		if (!survey->underlays[i].has_peer && !survey->underlays[i].by_others)
			return true;
	}
	return false;
}

/* The subnet of an underlay's address as something outside the namespace knows it. */
static bool known_outside(const struct eg_derivation *derivation,
			  const struct eg_underlay *underlay, const struct eg_link_addr *addr,
			  struct eg_prefix *ret_subnet)
{
	const struct eg_target *target = derivation->target;
	const struct eg_survey *survey = derivation->survey;

	for (size_t i = 0; i < target->container.n_subnets; i++) {
		if (eg_prefix_contains(&target->container.subnets[i], addr->family, &addr->addr)) {
			*ret_subnet = target->container.subnets[i];
			return true;
		}
	}
	if (underlay->by_others && known_by_peers(survey, addr, ret_subnet))
		return true;
	if (underlay->by_others && !is_device_only(survey))
		return false;
	if (underlay->has_peer)
		return peer_knows(&underlay->peer, addr, ret_subnet);
	/* Nothing outside can be asked. */
	if (!survey->device_alone_accepted)
		return false;
	/* Such a guard holds against processes without NET_ADMIN and NET_RAW only, and those cannot
	 * change an address. */
	*ret_subnet = subnet_of(addr);
	return true;
}

/* Nearly all addresses are of the same few. */
static int add_on_link(struct eg_derived *derived, const struct eg_prefix *subnet)
{
	for (size_t i = 0; i < derived->n_on_link; i++)
		if (eg_prefix_compare(&derived->on_link[i], subnet) == 0)
			return 0;
	return eg_policy_add_prefix(&derived->on_link, &derived->n_on_link, subnet);
}

/* *unknown counts those that are the namespace's word alone. */
static int take_underlay_addr(const struct eg_derivation *derivation,
			      const struct eg_underlay *underlay, const struct eg_link_addr *addr,
			      size_t *unknown)
{
	struct eg_policy *policy = derivation->policy;
	struct eg_prefix own = host_prefix(addr);
	char text[EG_ADDRESS_TEXT_LEN];
	char name[EG_LINK_NAME_LEN];
	struct eg_prefix subnet;
	int result;

	if (is_link_local(addr))
		return 0;
	if (!known_outside(derivation, underlay, addr, &subnet)) {
		if (policy->lan && eg_addr_is_lan(addr->family, &addr->addr))
			return 0;
		if ((*unknown)++ >= EG_DERIVE_SHOWN_MAX)
			return 0;
		eg_text_printf(derivation->warnings,
			       "%s has the address %s, which nothing outside the namespace knows: "
			       "unless a rule allows it, packets from it are dropped (source)\n",
			       eg_link_name(name, &underlay->link), eg_prefix_format(text, &own));
		return 0;
	}
	result = eg_policy_add_prefix(&policy->derived.sources, &policy->derived.n_sources, &own);
	if (result == 0)
		result = add_on_link(&policy->derived, &subnet);
	return result;
}

static int take_tunnel_addr(const struct eg_link_addr *addr, struct eg_policy *policy)
{
	struct eg_prefix subnet = subnet_of(addr);

	if (is_link_local(addr) || policy->derived.n_tunnel_only >= TUNNEL_ONLY_MAX)
		return 0;
	return eg_derive_add_tunnel_only(policy, &subnet);
}

int eg_derive_addresses(const struct eg_derivation *derivation, struct eg_error *error)
{
	const struct eg_survey *survey = derivation->survey;
	EG_AUTO_FREE struct eg_link_addr *addrs = NULL;
	size_t n = 0, unknown = 0;
	int result = eg_addrs_get(&derivation->target->netns, &addrs, &n);

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot list the namespace's addresses: %s", strerror(-result));
	for (size_t i = 0; result == 0 && i < n; i++) {
		for (size_t j = 0; result == 0 && j < survey->n_underlays; j++)
			if (survey->underlays[j].link.ifindex == addrs[i].ifindex)
				result = take_underlay_addr(derivation, &survey->underlays[j],
							    &addrs[i], &unknown);
		for (size_t j = 0; result == 0 && j < survey->n_tunnels; j++)
			if (survey->tunnels[j].link.ifindex == addrs[i].ifindex)
				result = take_tunnel_addr(&addrs[i], derivation->policy);
	}
	if (unknown > EG_DERIVE_SHOWN_MAX)
		eg_text_printf(derivation->warnings,
			       "%zu more addresses are there that nothing outside the namespace "
			       "knows\n",
			       unknown - EG_DERIVE_SHOWN_MAX);
	return result < 0 ? eg_error_no_memory(error) : 0;
}
