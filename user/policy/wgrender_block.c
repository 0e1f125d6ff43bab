// SPDX-License-Identifier: GPL-2.0
/* The block of hooks that is rendered: routes past the tunnel, and the kill switch. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/array.h"
#include "policy/networks.h"
#include "policy/wgrender_internal.h"

#define CHAIN_F "EGRESSGUARD-%%i" /* EG_WGRENDER_CHAIN in a format */
/* Beside a route of the same network that is there already, such as the bridge's own. */
#define METRIC "metric 51820"

/* --- what goes past the tunnel ---------------------------------------------------------------- */

static void add_lan(struct eg_wgrenderer *renderer, const struct eg_prefix *prefix)
{
	for (size_t i = 0; i < renderer->n_lan; i++) {
		if (eg_prefix_compare(&renderer->lan[i], prefix) == 0)
			return;
	}
	if (EG_ARRAY_ADD(renderer->lan, renderer->n_lan, *prefix) < 0)
		renderer->failed = true;
}

static int compare(const void *a, const void *b)
{
	return eg_prefix_compare(a, b);
}

/* The networks of RFC 1918; where the file had narrower subnets of one, those: never more than its
 * owner let out. And what else is private that he did. */
void eg_wgblock_find_lan(struct eg_wgrenderer *renderer)
{
	bool have[EG_WGLAN_NETWORKS] = {};

	for (size_t i = 0; i < renderer->model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &renderer->model->hooks->ops[i];

		if (!eg_wgop_excludes(op) || op->prefix.family != EG_FAMILY_IPV4 ||
		    !eg_wgedit_is_private(&op->prefix))
			continue;
		add_lan(renderer, &op->prefix);
		for (size_t k = 0; k < EG_WGLAN_NETWORKS; k++)
			have[k] |= eg_prefix_covers(eg_wglan_networks[k], &op->prefix);
	}
	for (size_t k = 0; k < EG_WGLAN_NETWORKS; k++) {
		if (!have[k])
			add_lan(renderer, eg_wglan_networks[k]);
	}
	if (renderer->n_lan)
		qsort(renderer->lan, renderer->n_lan, sizeof(renderer->lan[0]), compare);
}

static bool in_lan(const struct eg_wgrenderer *renderer, const struct eg_prefix *prefix)
{
	for (size_t i = 0; i < renderer->n_lan; i++) {
		if (eg_prefix_covers(&renderer->lan[i], prefix) &&
		    eg_prefix_compare(&renderer->lan[i], prefix) != 0)
			return true;
	}
	return false;
}

/* --- the block -------------------------------------------------------------------------------- */

static void put(struct eg_wgrenderer *renderer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void put(struct eg_wgrenderer *renderer, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	eg_text_add(&renderer->text, text, strlen(text));
}

/* The tunnel's own table, as an argument of `ip route`; "" where there is none but main. */
static const char *table(const struct eg_wgrenderer *renderer, char to[48])
{
	switch (renderer->base->way) {
	case EG_WGWAY_RULES:
		return " table $(wg show %i fwmark)";
	case EG_WGWAY_NUMBER:
		snprintf(to, 48, " table %u", renderer->base->table);
		return to;
	case EG_WGWAY_MAIN:
	case EG_WGWAY_OFF:
		break;
	}
	return "";
}

static void put_route(struct eg_wgrenderer *renderer, const struct eg_prefix *prefix,
		      const char *way)
{
	char name[EG_ADDRESS_TEXT_LEN], number[48];
	const char *own = table(renderer, number);

	eg_prefix_format(name, prefix);
	put(renderer, "; ip -4 route replace %s %s", name, way);
	if (*own)
		put(renderer, "; ip -4 route replace %s %s%s", name, way, own);
}

static void put_no_route(struct eg_wgrenderer *renderer, const struct eg_prefix *prefix,
			 const char **separator)
{
	char name[EG_ADDRESS_TEXT_LEN], number[48];
	const char *own = table(renderer, number);

	eg_prefix_format(name, prefix);
	put(renderer, "%sip -4 route del %s " METRIC " || true", *separator, name);
	*separator = "; ";
	if (*own)
		put(renderer, "; ip -4 route del %s " METRIC "%s || true", name, own);
}

static struct eg_prefix whole(const struct eg_endpoint *endpoint)
{
	return (struct eg_prefix){
		.addr = endpoint->addr,
		.family = endpoint->family,
		.len = eg_family_bits(endpoint->family),
	};
}

/* An endpoint that only a route keeps off the tunnel: there are no rules for a mark. */
static bool needs_route(const struct eg_wgrenderer *renderer, const struct eg_endpoint *endpoint)
{
	struct eg_prefix address = whole(endpoint);

	return eg_wgmodel_is_markless(renderer->base, EG_FAMILY_IPV4) &&
	       endpoint->family == EG_FAMILY_IPV4 && eg_wgmodel_tunnels(renderer->base, &address) &&
	       !in_lan(renderer, &address);
}

static void put_endpoint_routes(struct eg_wgrenderer *renderer, const char **separator)
{
	for (size_t i = 0; i < renderer->base->n_endpoints; i++) {
		const struct eg_endpoint *endpoint = &renderer->base->endpoints[i].endpoint;
		struct eg_prefix address = whole(endpoint);
		char name[EG_ADDRESS_TEXT_LEN];

		if (endpoint->host || !needs_route(renderer, endpoint))
			continue;
		eg_prefix_format(name, &address);
		if (separator) {
			put(renderer, "%sip -4 route del %s " METRIC " || true", *separator, name);
			*separator = "; ";
		} else {
			put(renderer, "; ip -4 route replace %s $via " METRIC, name);
		}
	}
}

/* The provider's resolvers look like LAN, and are to be reached through the tunnel or not at all.
 */
static void put_routes(struct eg_wgrenderer *renderer)
{
	const char *separator = "PreDown = ";

	put(renderer, "PostUp = via=$(ip -4 route show default table main | sed -n "
		      "'1s/^default \\(.*dev [^ ]*\\).*/\\1/p')");
	for (size_t i = 0; i < renderer->n_lan; i++)
		put_route(renderer, &renderer->lan[i], "$via " METRIC);
	put_endpoint_routes(renderer, NULL);
	for (size_t i = 0; i < renderer->base->n_dns; i++) {
		if (in_lan(renderer, &renderer->base->dns[i].prefix))
			put_route(renderer, &renderer->base->dns[i].prefix, "dev %i");
	}
	put(renderer, "%s", renderer->end);
	for (size_t i = 0; i < renderer->n_lan; i++)
		put_no_route(renderer, &renderer->lan[i], &separator);
	put_endpoint_routes(renderer, &separator);
	put(renderer, "%s", renderer->end);
}

/* --- the kill switch -------------------------------------------------------------------------- */

struct rules {
	struct eg_wgrenderer *renderer;
	const char *tool;
	__u8 family;
	unsigned int n;
};

static void put_rule(struct rules *rules, const char *match, const char *verdict)
{
	put(rules->renderer, "; %s -w -I " CHAIN_F " %u %s -j %s", rules->tool, ++rules->n, match,
	    verdict);
}

static void put_destination(struct rules *rules, const struct eg_prefix *prefix,
			    const char *verdict)
{
	char name[EG_ADDRESS_TEXT_LEN], match[EG_ADDRESS_TEXT_LEN + 4];

	if (prefix->family != rules->family)
		return;
	snprintf(match, sizeof(match), "-d %s", eg_prefix_format(name, prefix));
	put_rule(rules, match, verdict);
}

/* What looks like LAN and belongs into the tunnel: resolvers, and the tunnel's own subnets. */
static void put_tunnel_only(struct rules *rules)
{
	const struct eg_wgmodel *base = rules->renderer->base;

	for (size_t i = 0; i < base->n_dns; i++)
		put_destination(rules, &base->dns[i].prefix, "REJECT");
	for (size_t i = 0; i < base->n_addresses; i++) {
		const struct eg_prefix *subnet = &base->addresses[i].prefix;

		if (subnet->len == eg_family_bits(subnet->family) || !eg_wgedit_is_private(subnet))
			continue;
		if (subnet->family == EG_FAMILY_IPV6 ? subnet->len > 16
						     : in_lan(rules->renderer, subnet))
			put_destination(rules, subnet, "REJECT");
	}
}

/* WireGuard's own packets: marked, over UDP, and to the endpoint where the file says which. */
static void put_endpoints(struct rules *rules)
{
	const struct eg_wgmodel *base = rules->renderer->base;
	bool name_told = false;

	for (size_t i = 0; i < base->n_endpoints; i++) {
		const struct eg_endpoint *endpoint = &base->endpoints[i].endpoint;
		char address[EG_ADDRESS_TEXT_LEN], match[256];

		if (endpoint->host && !name_told) {
			put_rule(rules, "-p udp -m mark --mark $(wg show %i fwmark)", "RETURN");
			name_told = true;
		}
		if (endpoint->host || endpoint->family != rules->family)
			continue;
		snprintf(match, sizeof(match),
			 "-p udp -d %s --dport %u -m mark --mark $(wg show %%i fwmark)",
			 eg_addr_format(address, endpoint->family, &endpoint->addr),
			 endpoint->port);
		put_rule(rules, match, "RETURN");
	}
}

static void put_lan(struct rules *rules)
{
	if (rules->family == EG_FAMILY_IPV4) {
		for (size_t i = 0; i < rules->renderer->n_lan; i++)
			put_destination(rules, &rules->renderer->lan[i], "RETURN");
		return;
	}
	/* neighbour discovery and the like, which never leave the link */
	put_rule(rules, "-p ipv6-icmp -d ff02::/16", "RETURN");
	put_rule(rules, "-d fe80::/10", "RETURN");
	put_destination(rules, &eg_lan_exception, "REJECT");
	put_rule(rules, "-d fc00::/7", "RETURN");
}

/* It closes first and opens then: where a command fails, wg-quick stops, and all stays closed. */
static void put_chain(struct eg_wgrenderer *renderer, __u8 family)
{
	struct rules rules = {
		.renderer = renderer,
		.family = family,
		.tool = family == EG_FAMILY_IPV6 ? "ip6tables" : "iptables",
	};
	const char *only = family == EG_FAMILY_IPV6 ? "test -e /proc/net/if_inet6 || exit 0; " : "";
	const char *tool = rules.tool;

	put(renderer,
	    "PostUp = %s%s -w -N " CHAIN_F " 2>/dev/null || %s -w -F " CHAIN_F "; %s -w -A " CHAIN_F
	    " -j REJECT; %s -w -C OUTPUT -j " CHAIN_F " 2>/dev/null || %s -w -I OUTPUT -j " CHAIN_F,
	    only, tool, tool, tool, tool, tool);
	put_rule(&rules, "-o lo", "RETURN");
	put_rule(&rules, "-o %i", "RETURN");
	put_tunnel_only(&rules);
	put_endpoints(&rules);
	put_lan(&rules);
	put(renderer, "%s", renderer->end);
}

static void put_no_chain(struct eg_wgrenderer *renderer, __u8 family)
{
	const char *tool = family == EG_FAMILY_IPV6 ? "ip6tables" : "iptables";
	const char *only = family == EG_FAMILY_IPV6 ? "test -e /proc/net/if_inet6 || exit 0; " : "";

	put(renderer,
	    "PreDown = %s%s -w -D OUTPUT -j " CHAIN_F " || true; %s -w -F " CHAIN_F
	    " || true; %s -w -X " CHAIN_F " || true%s",
	    only, tool, tool, tool, renderer->end);
}

void eg_wgblock_put(struct eg_wgrenderer *renderer)
{
	bool rules = renderer->kill != EG_WGKILL_EGRESSGUARD;

	put(renderer, EG_WGRENDER_BEGIN ", --kill-switch %s%s", eg_wgkill_names[renderer->kill],
	    renderer->end);
	put(renderer,
	    "# Written by `egressguard wgconf render`, which replaces all up to its end.%s",
	    renderer->end);
	if (rules && !eg_wgmodel_has_mark(renderer->base))
		put(renderer, "FwMark = %u%s", EG_WGTABLE_DEFAULT, renderer->end);
	if (rules) {
		put_chain(renderer, EG_FAMILY_IPV4);
		put_chain(renderer, EG_FAMILY_IPV6);
	}
	put_routes(renderer);
	if (rules) {
		put_no_chain(renderer, EG_FAMILY_IPV6);
		put_no_chain(renderer, EG_FAMILY_IPV4);
	}
	put(renderer, EG_WGRENDER_END "%s", renderer->end);
}
