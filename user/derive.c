// SPDX-License-Identifier: GPL-2.0
#include "derivation.h"

#include <string.h>

#include "mismatch.h"
#include "net/cgroup_target.h"
#include "policy/address.h"
#include "policy/image.h"
#include "util/cleanup.h"

int eg_derive_add_tunnel_only(struct eg_policy *policy, const struct eg_prefix *prefix)
{
	/* The interface, its configuration and the policy in force say much the same. */
	for (size_t i = 0; i < policy->derived.n_tunnel_only; i++) {
		if (eg_prefix_compare(&policy->derived.tunnel_only[i], prefix) == 0)
			return 0;
	}
	return eg_policy_add_prefix(&policy->derived.tunnel_only, &policy->derived.n_tunnel_only,
				    prefix);
}

/* Tunnel-only prefixes of the guard in force, and whether there are DNS servers. */
static int keep_narrowing(const struct eg_policy *in_force, struct eg_policy *policy,
			  struct eg_error *error)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < in_force->derived.n_tunnel_only; i++)
		result = eg_derive_add_tunnel_only(policy, &in_force->derived.tunnel_only[i]);
	if (in_force->derived.dns_servers)
		policy->derived.dns_servers = true;
	return result < 0 ? eg_error_no_memory(error) : 0;
}

/* --- what the user should know --------------------------------------------------------------- */

static void warn_overlap(const struct eg_policy *policy, struct eg_text *warnings)
{
	const struct eg_derived *derived = &policy->derived;
	size_t overlaps = 0;

	for (size_t i = 0; i < derived->n_tunnel_only; i++) {
		for (size_t j = 0; j < derived->n_on_link; j++) {
			const struct eg_prefix *tunnel = &derived->tunnel_only[i];
			const struct eg_prefix *underlay = &derived->on_link[j];
			char first[EG_ADDRESS_TEXT_LEN];
			char second[EG_ADDRESS_TEXT_LEN];

			if (!eg_prefix_covers(tunnel, underlay) &&
			    !eg_prefix_covers(underlay, tunnel))
				continue;
			if (overlaps++ >= EG_DERIVE_SHOWN_MAX)
				continue;
			eg_text_printf(
				warnings,
				"the tunnel's own %s overlaps the underlay's %s: it is "
				"reachable through the tunnel only, unless --allow names it\n",
				eg_prefix_format(first, tunnel),
				eg_prefix_format(second, underlay));
		}
	}
	if (overlaps > EG_DERIVE_SHOWN_MAX)
		eg_text_printf(warnings,
			       "%zu more of the tunnel's prefixes overlap the underlay's\n",
			       overlaps - EG_DERIVE_SHOWN_MAX);
}

/* A Docker network outside RFC 1918, say: the gateway and the neighbours are not LAN. */
static void warn_not_lan(const struct eg_policy *policy, struct eg_text *warnings)
{
	EG_AUTO_IMAGE struct eg_image *image = NULL;

	if (!policy->lan || eg_image_compile(policy, &image, NULL) < 0)
		return;
	for (size_t i = 0; i < policy->derived.n_on_link; i++) {
		const struct eg_prefix *subnet = &policy->derived.on_link[i];
		struct eg_addr_value value = eg_image_addr(image, subnet->family, &subnet->addr);
		char text[EG_ADDRESS_TEXT_LEN];

		if (value.flags & (EG_ADDR_LAN | EG_ADDR_RULE))
			continue;
		eg_prefix_format(text, subnet);
		eg_text_printf(
			warnings,
			"the underlay's network %s is not LAN (RFC 1918, fc00::/7): if it is "
			"meant to be reachable, --allow %s\n",
			text, text);
	}
}

static void warn_names(const struct eg_policy *policy, struct eg_text *warnings)
{
	if (policy->n_bootstrap_dns && !policy->derived.n_names)
		eg_text_printf(warnings,
			       "--bootstrap-dns lets nothing be asked, as no endpoint is given by "
			       "name: --endpoint NAME:PORT, or --wg-conf FILE\n");
	if (policy->n_bootstrap_dns && policy->dns == EG_DNS_LAN)
		eg_text_printf(warnings,
			       "with --dns lan any name may be asked for of resolvers in the LAN, "
			       "whatever --bootstrap-dns says\n");
}

static void warn_dns(const struct eg_policy *policy, struct eg_text *warnings)
{
	if (policy->dns == EG_DNS_AUTO && eg_policy_dns(policy) == EG_DNS_LAN)
		eg_text_printf(
			warnings,
			"the tunnel names no DNS servers that are known here, so DNS queries to "
			"the LAN are allowed and counted as lan-dns: --dns tunnel forbids them, "
			"--dns lan accepts them\n");
}

int eg_derive(const struct eg_target *target, const struct eg_survey *survey,
	      const struct eg_policy *in_force, enum eg_derive_terms terms,
	      struct eg_policy *policy, struct eg_text *warnings, struct eg_error *error)
{
	const struct eg_derivation derivation = {target, survey, in_force, terms, policy, warnings};
	/* A guard on a cgroup does not see them wherever they leave. */
	const bool on_cgroup =
		strncmp(target->text, EG_CGROUP_PREFIX, strlen(EG_CGROUP_PREFIX)) == 0;
	int result = eg_derive_conf(&derivation, error);

	if (result == 0)
		result = eg_derive_endpoints(&derivation, error);
	if (result == 0 && in_force)
		result = keep_narrowing(in_force, policy, error);
	if (result == 0 && target->netns.fd >= 0)
		result = eg_derive_addresses(&derivation, error);
	if (result < 0)
		return result;
	for (size_t i = 0; i < survey->n_tunnels; i++)
		eg_mismatch_tell(&target->netns, &survey->tunnels[i], policy, warnings,
				 on_cgroup ? NULL : warnings);
	warn_overlap(policy, warnings);
	warn_not_lan(policy, warnings);
	warn_names(policy, warnings);
	warn_dns(policy, warnings);
	return 0;
}
