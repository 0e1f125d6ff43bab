// SPDX-License-Identifier: GPL-2.0
/* Every kind of packet that the decision can tell apart at a place, put to both images. */
#include "policy/compare_internal.h"

#include <errno.h>
#include <string.h>

#include "eg_packet.h"
#include "policy/array.h"
#include "policy/judge.h"

static int add_change(struct eg_changes *changes, const struct eg_change *change)
{
	if (eg_changes_find(changes, change))
		return 0;
	return EG_ARRAY_ADD(changes->change, changes->n, *change);
}

static enum eg_change_kind kind_of(enum eg_reason pass, enum eg_reason refusal)
{
	if (pass == EG_REASON_ENDPOINT)
		return EG_CHANGE_WIREGUARD;
	if (pass == EG_REASON_BOOTSTRAP_DNS)
		return EG_CHANGE_BOOTSTRAP;
	if (pass == EG_REASON_CONTROL)
		return EG_CHANGE_CONTROL;
	if (refusal == EG_REASON_NOT_WIREGUARD || refusal == EG_REASON_FRAGMENT)
		return EG_CHANGE_DISGUISED;
	if (refusal == EG_REASON_DNS_OFF_TUNNEL)
		return EG_CHANGE_DNS;
	return EG_CHANGE_PORT;
}

/* Puts one packet to both images, under the switches of `from`. `src` is what both are told of its
 * source. */
static int probe(const struct eg_comparison *comparison, struct eg_level *level,
		 const struct eg_packet *packet, const struct eg_addr_value *src)
{
	const struct eg_config *config = &comparison->from->config;
	struct eg_case from = {comparison->from, config, src, &level->from};
	struct eg_case to = {comparison->to, config, src, &level->to};
	enum eg_reason before = eg_case_decide(&from, packet);
	enum eg_reason after = eg_case_decide(&to, packet);
	struct eg_change change = {};

	if (eg_reason_verdict(before) == eg_reason_verdict(after))
		return 0;
	change.gained = eg_reason_verdict(after) == EG_VERDICT_ALLOW;
	change.refusal = change.gained ? before : after;
	change.kind = kind_of(change.gained ? after : before, change.refusal);
	if (change.kind == EG_CHANGE_PORT || change.kind == EG_CHANGE_CONTROL)
		change.proto = packet->proto;
	if (change.kind == EG_CHANGE_PORT || change.kind == EG_CHANGE_WIREGUARD)
		change.port = EG_FROM_BE16(packet->dport_be);
	return add_change(&level->changes, &change);
}

static const struct eg_addr_value accepted_source = {.flags = EG_ADDR_SOURCE};
static const struct eg_addr_value unknown_source;

/* A packet to the place that no row but those about addresses and ports takes notice of. Port 0
 * stands for all that nothing names. */
static struct eg_packet plain_packet(const struct eg_prefix *place, __u8 proto, __u16 port)
{
	struct eg_packet packet = {
		.dst = place->addr,
		.family = place->family,
		.proto = proto,
		.hop_limit = 64,
		.dport_be = EG_BE16(port),
	};

	if (place->family == EG_FAMILY_IPV4)
		packet.src.v4_be = EG_BE32(0xa9fe0001); /* 169.254.0.1 */
	else
		packet.src = (union eg_addr){.bytes = {0xfe, 0x80, [15] = 1}};
	return packet;
}

static int probe_port(const struct eg_comparison *comparison, struct eg_level *level, __u8 proto,
		      __u16 port)
{
	struct eg_packet packet = plain_packet(&level->prefix, proto, port);

	return probe(comparison, level, &packet, &accepted_source);
}

/* From its own address, and from none yet. */
static int probe_control(const struct eg_comparison *comparison, struct eg_level *level,
			 struct eg_packet *packet)
{
	int r = probe(comparison, level, packet, &accepted_source);

	packet->src = (union eg_addr){};
	return r < 0 ? r : probe(comparison, level, packet, &unknown_source);
}

static int probe_controls(const struct eg_comparison *comparison, struct eg_level *level)
{
	bool v4 = level->prefix.family == EG_FAMILY_IPV4;
	struct eg_packet dhcp = plain_packet(&level->prefix, EG_PROTO_UDP, v4 ? 67 : 547);
	struct eg_packet member =
		plain_packet(&level->prefix, v4 ? EG_PROTO_IGMP : EG_PROTO_ICMPV6, 0);
	struct eg_packet neighbour = plain_packet(&level->prefix, EG_PROTO_ICMPV6, 0);
	int r;

	dhcp.sport_be = EG_BE16(v4 ? 68 : 546);
	member.hop_limit = 1;
	member.icmp_type = v4 ? 0 : 131;
	neighbour.hop_limit = 255;
	neighbour.icmp_type = 135;
	r = probe_control(comparison, level, &dhcp);
	if (r == 0)
		r = probe_control(comparison, level, &member);
	if (r == 0 && !v4)
		r = probe_control(comparison, level, &neighbour);
	return r;
}

/* To an endpoint's port: WireGuard, and what is not. */
static int probe_endpoint(const struct eg_comparison *comparison, struct eg_level *level,
			  __u16 port)
{
	__be16 pinned_be = comparison->from->config.source_port_be;
	struct eg_packet packet = plain_packet(&level->prefix, EG_PROTO_UDP, port);
	int r;

	packet.sport_be = pinned_be ^ EG_BE16(1);
	r = probe(comparison, level, &packet, &accepted_source);
	packet.sport_be = pinned_be;
	packet.wireguard = 1;
	return r < 0 ? r : probe(comparison, level, &packet, &accepted_source);
}

static int probe_endpoints(const struct eg_comparison *comparison, struct eg_level *level,
			   const struct eg_image *image)
{
	struct eg_packet later = plain_packet(&level->prefix, EG_PROTO_UDP, 0);
	int r;

	if (!((level->from.flags | level->to.flags) & EG_ADDR_ENDPOINT))
		return 0;
	later.fragment = EG_FRAGMENT_LATER;
	r = probe(comparison, level, &later, &accepted_source);
	for (size_t i = 0; i < image->n_endpoints && r == 0; i++)
		if (image->endpoints[i].family == level->prefix.family &&
		    !memcmp(&image->endpoints[i].addr, &level->prefix.addr,
			    sizeof(level->prefix.addr)))
			r = probe_endpoint(comparison, level, image->endpoints[i].port);
	return r;
}

/* What it may be asked for is compared apart (compare_names()). */
static int probe_names(const struct eg_comparison *comparison, struct eg_level *level)
{
	struct eg_packet packet = plain_packet(&level->prefix, EG_PROTO_UDP, EG_PORT_DNS);

	if (!((level->from.flags | level->to.flags) & EG_ADDR_BOOTSTRAP))
		return 0;
	packet.asks_name = 1;
	return probe(comparison, level, &packet, &accepted_source);
}

static int probe_rules(const struct eg_comparison *comparison, struct eg_level *level,
		       const struct eg_image *image, __u32 rule_set)
{
	size_t n;
	const struct eg_image_rule *rules = eg_image_rule_set(image, rule_set, &n);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = probe_port(comparison, level, rules[i].proto, rules[i].port);
	return r;
}

/* A packet from the place to somewhere that lets everything in. */
static int probe_source(const struct eg_comparison *comparison, struct eg_level *level)
{
	static const struct eg_addr_value open = {.flags = EG_ADDR_LAN};
	struct eg_packet packet = plain_packet(&level->prefix, EG_PROTO_TCP, 0);
	struct eg_case from = {comparison->from, &comparison->from->config, &level->from, &open};
	struct eg_case to = {comparison->to, &comparison->from->config, &level->to, &open};
	struct eg_change change = {.kind = EG_CHANGE_SOURCE, .refusal = EG_REASON_SOURCE};
	bool before, after;

	packet.src = level->prefix.addr;
	before = eg_case_decide(&from, &packet) != EG_REASON_SOURCE;
	after = eg_case_decide(&to, &packet) != EG_REASON_SOURCE;
	change.gained = after;
	return before == after ? 0 : add_change(&level->changes, &change);
}

/* Changes for TCP, UDP and ICMP at any port, for the same cause, are one change. */
static int join_plain(struct eg_level *level)
{
	__u8 icmp = level->prefix.family == EG_FAMILY_IPV4 ? EG_PROTO_ICMP : EG_PROTO_ICMPV6;
	struct eg_change wanted = {.kind = EG_CHANGE_PORT, .proto = EG_PROTO_TCP};
	struct eg_change all = {.kind = EG_CHANGE_ALL};
	const struct eg_change *tcp;

	/* The reasons of rows 15 to 17 say what the address is, not what the policy says. */
	for (int gained = 0; gained < 2; gained++) {
		wanted.gained = all.gained = gained;
		tcp = eg_changes_find(&level->changes, &wanted);
		if (!tcp || !eg_changes_has_port(&level->changes, gained, EG_PROTO_UDP, 0) ||
		    !eg_changes_has_port(&level->changes, gained, icmp, 0))
			continue;
		if (tcp->refusal == EG_REASON_DENIED || tcp->refusal == EG_REASON_TUNNEL_ONLY)
			all.refusal = tcp->refusal;
		else
			all.refusal = EG_REASON_PUBLIC;
		if (add_change(&level->changes, &all) < 0)
			return -ENOMEM;
	}
	return 0;
}

int eg_compare_probe(const struct eg_comparison *comparison, struct eg_level *level)
{
	static const __u8 dns_protos[] = {EG_PROTO_TCP, EG_PROTO_UDP};
	__u8 icmp = level->prefix.family == EG_FAMILY_IPV4 ? EG_PROTO_ICMP : EG_PROTO_ICMPV6;
	int r = probe_port(comparison, level, icmp, 0);

	for (size_t i = 0; i < 2 && r == 0; i++) {
		r = probe_port(comparison, level, dns_protos[i], 0);
		if (r == 0)
			r = probe_port(comparison, level, dns_protos[i], EG_PORT_DNS);
		if (r == 0)
			r = probe_port(comparison, level, dns_protos[i], EG_PORT_DNS_TLS);
	}
	if (r == 0)
		r = probe_rules(comparison, level, comparison->from, level->from.rule_set);
	if (r == 0)
		r = probe_rules(comparison, level, comparison->to, level->to.rule_set);
	if (r == 0)
		r = probe_controls(comparison, level);
	if (r == 0)
		r = probe_endpoints(comparison, level, comparison->from);
	if (r == 0)
		r = probe_endpoints(comparison, level, comparison->to);
	if (r == 0)
		r = probe_names(comparison, level);
	if (r == 0)
		r = probe_source(comparison, level);
	return r < 0 ? r : join_plain(level);
}
