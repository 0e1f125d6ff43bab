/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The decision: rows 6 to 17 of the table in egressguard(8), as a pure function over a parsed
 * packet and the policy's tables. Compiled for the kernel and for the host.
 *
 * Whoever includes this file gives it the tables:
 *
 *   struct eg_tables;
 *
 *   struct eg_addr_value eg_table_addr(const struct eg_tables *, __u8 family, const union eg_addr
 * *) what the policy says of an address; zero where it says nothing;
 *
 *   int eg_table_endpoint(const struct eg_tables *, __u8 family, const union eg_addr *, __be16
 * port_be) whether this is a known endpoint;
 *
 *   int eg_table_rule(const struct eg_tables *, __u32 rule_set, __u8 proto, __be16 port_be)
 *       whether the set holds exactly this pair; port_be 0 stands for "any port";
 *
 *   int eg_table_asks(const struct eg_tables *, const struct eg_frame *, __u32 offset, __u32
 * family) whether the packet with its IP header at `offset` asks for an endpoint's name
 *       (eg_question.h), and such a question is let out just now.
 */
#ifndef EG_DECIDE_H
#define EG_DECIDE_H

#include "eg_parse.h"
#include "eg_question.h"

struct eg_tables;
static inline struct eg_addr_value eg_table_addr(const struct eg_tables *tables, __u8 family,
						 const union eg_addr *addr)
	__attribute__((always_inline, unused));
static inline int eg_table_endpoint(const struct eg_tables *tables, __u8 family,
				    const union eg_addr *addr, __be16 port_be)
	__attribute__((always_inline, unused));
static inline int eg_table_rule(const struct eg_tables *tables, __u32 rule_set, __u8 proto,
				__be16 port_be) __attribute__((always_inline, unused));
static inline int eg_table_asks(const struct eg_tables *tables, const struct eg_frame *frame,
				__u32 offset, __u32 family) __attribute__((always_inline, unused));

#define EG_PORT_DHCP_SERVER  67
#define EG_PORT_DHCP_CLIENT  68
#define EG_PORT_DHCP6_CLIENT 546
#define EG_PORT_DHCP6_SERVER 547

#define EG_ICMPV6_MLD_QUERY   130
#define EG_ICMPV6_MLD_REPORT  131
#define EG_ICMPV6_MLD_DONE    132
#define EG_ICMPV6_ND_RS       133
#define EG_ICMPV6_ND_NA       136
#define EG_ICMPV6_MLD2_REPORT 143

/* --- kinds of addresses, by the registries of RFC 6890 and RFC 4291 ----------------------------
 */

EG_INLINE int eg_v4_in(__be32 addr_be, __u32 net, __u32 mask)
{
	return (addr_be & EG_BE32(mask)) == EG_BE32(net);
}

EG_INLINE int eg_addr_is_unspecified(__u8 family, const union eg_addr *addr)
{
	if (family == EG_FAMILY_IPV4)
		return addr->v4_be == 0;
	return !(addr->v6_be[0] | addr->v6_be[1] | addr->v6_be[2] | addr->v6_be[3]);
}

/* 169.254/16, fe80::/10 */
EG_INLINE int eg_addr_is_link_local(__u8 family, const union eg_addr *addr)
{
	if (family == EG_FAMILY_IPV4)
		return eg_v4_in(addr->v4_be, 0xa9fe0000, 0xffff0000);
	return (addr->v6_be[0] & EG_BE32(0xffc00000)) == EG_BE32(0xfe800000);
}

/* 224/4, ff00::/8 */
EG_INLINE int eg_addr_is_multicast(__u8 family, const union eg_addr *addr)
{
	if (family == EG_FAMILY_IPV4)
		return eg_v4_in(addr->v4_be, 0xe0000000, 0xf0000000);
	return (addr->v6_be[0] & EG_BE32(0xff000000)) == EG_BE32(0xff000000);
}

EG_INLINE int eg_addr_is_broadcast(__u8 family, const union eg_addr *addr)
{
	return family == EG_FAMILY_IPV4 && addr->v4_be == EG_BE32(0xffffffff);
}

/* ff02::/16 */
EG_INLINE int eg_addr_is_link_multicast(const union eg_addr *addr)
{
	return (addr->v6_be[0] & EG_BE32(0xffff0000)) == EG_BE32(0xff020000);
}

/* Private, link-local or shared: an attempt to reach one is no attempt to reach the internet. */
EG_INLINE int eg_addr_is_private(__u8 family, const union eg_addr *addr)
{
	if (family == EG_FAMILY_IPV4)
		return eg_v4_in(addr->v4_be, 0x0a000000, 0xff000000) ||
		       eg_v4_in(addr->v4_be, 0xac100000, 0xfff00000) ||
		       eg_v4_in(addr->v4_be, 0xc0a80000, 0xffff0000) ||
		       eg_v4_in(addr->v4_be, 0x64400000, 0xffc00000) ||
		       eg_addr_is_link_local(family, addr);
	return eg_addr_is_link_local(family, addr) ||
	       (addr->v6_be[0] & EG_BE32(0xfe000000)) == EG_BE32(0xfc000000);
}

/* --- row 10 ----------------------------------------------------------------------------------- */

/* Neighbour discovery with the checks of RFC 4861, 6.1 and 7.1, that a router makes: hop limit 255
 * means that no router has forwarded it, and none will believe it after forwarding. */
EG_INLINE int eg_is_neighbour_discovery(const struct eg_packet *pkt, __u32 dst_flags)
{
	return pkt->icmp_type >= EG_ICMPV6_ND_RS && pkt->icmp_type <= EG_ICMPV6_ND_NA &&
	       pkt->hop_limit == 255 &&
	       (eg_addr_is_link_multicast(&pkt->dst) ||
		eg_addr_is_link_local(EG_FAMILY_IPV6, &pkt->dst) || (dst_flags & EG_ADDR_ON_LINK));
}

/* RFC 2710, 3 and RFC 3810, 5: hop limit 1, from a link-local or the unspecified address. */
EG_INLINE int eg_is_multicast_listener(const struct eg_packet *pkt)
{
	return ((pkt->icmp_type >= EG_ICMPV6_MLD_QUERY && pkt->icmp_type <= EG_ICMPV6_MLD_DONE) ||
		pkt->icmp_type == EG_ICMPV6_MLD2_REPORT) &&
	       pkt->hop_limit == 1 && eg_addr_is_multicast(EG_FAMILY_IPV6, &pkt->dst) &&
	       (eg_addr_is_link_local(EG_FAMILY_IPV6, &pkt->src) ||
		eg_addr_is_unspecified(EG_FAMILY_IPV6, &pkt->src));
}

EG_INLINE int eg_is_dhcp(const struct eg_packet *pkt, __u32 dst_flags)
{
	if (pkt->family == EG_FAMILY_IPV4)
		return pkt->sport_be == EG_BE16(EG_PORT_DHCP_CLIENT) &&
		       pkt->dport_be == EG_BE16(EG_PORT_DHCP_SERVER) &&
		       (eg_addr_is_broadcast(EG_FAMILY_IPV4, &pkt->dst) ||
			(dst_flags & EG_ADDR_ON_LINK));
	/* ff02::1:2, RFC 8415, 7.1; renewals go to the server's link-local address */
	return pkt->sport_be == EG_BE16(EG_PORT_DHCP6_CLIENT) &&
	       pkt->dport_be == EG_BE16(EG_PORT_DHCP6_SERVER) &&
	       (eg_addr_is_link_local(EG_FAMILY_IPV6, &pkt->dst) ||
		(pkt->dst.v6_be[0] == EG_BE32(0xff020000) && !pkt->dst.v6_be[1] &&
		 !pkt->dst.v6_be[2] && pkt->dst.v6_be[3] == EG_BE32(0x00010002)));
}

EG_INLINE int eg_is_control(const struct eg_packet *pkt, const struct eg_config *config,
			    __u32 dst_flags)
{
	if (pkt->fragment != EG_FRAGMENT_WHOLE)
		return 0;
	if (pkt->proto == EG_PROTO_UDP)
		return (config->flags & EG_CONFIG_DHCP) && eg_is_dhcp(pkt, dst_flags);
	if (pkt->family == EG_FAMILY_IPV4)
		return pkt->proto == EG_PROTO_IGMP && pkt->hop_limit == 1 &&
		       eg_addr_is_multicast(EG_FAMILY_IPV4, &pkt->dst);
	return pkt->proto == EG_PROTO_ICMPV6 &&
	       (eg_is_neighbour_discovery(pkt, dst_flags) || eg_is_multicast_listener(pkt));
}

/* --- rows 13, 14 ------------------------------------------------------------------------------ */

/* ICMP belongs to IPv4 and ICMPv6 to IPv6; the other way round is no transport of either. */
EG_INLINE int eg_is_plain_transport(const struct eg_packet *pkt)
{
	return pkt->proto == EG_PROTO_TCP || pkt->proto == EG_PROTO_UDP ||
	       pkt->proto == (pkt->family == EG_FAMILY_IPV4 ? EG_PROTO_ICMP : EG_PROTO_ICMPV6);
}

EG_INLINE int eg_rule_matches(const struct eg_packet *pkt, const struct eg_tables *tables,
			      const struct eg_addr_value *dst)
{
	if (!(dst->flags & EG_ADDR_RULES))
		return 0;
	if (pkt->dport_be && eg_table_rule(tables, dst->rule_set, pkt->proto, pkt->dport_be))
		return 1;
	return eg_table_rule(tables, dst->rule_set, pkt->proto, 0);
}

EG_INLINE int eg_is_dns(const struct eg_packet *pkt)
{
	return (pkt->proto == EG_PROTO_TCP || pkt->proto == EG_PROTO_UDP) &&
	       (pkt->dport_be == EG_BE16(EG_PORT_DNS) || pkt->dport_be == EG_BE16(EG_PORT_DNS_TLS));
}

/* --- the table -------------------------------------------------------------------------------- */

/* Rows 7 and 8, of UDP to an endpoint's address and port. */
EG_INLINE enum eg_reason eg_decide_endpoint(const struct eg_packet *pkt,
					    const struct eg_config *config)
{
	if (config->source_port_be && config->source_port_be != pkt->sport_be)
		return EG_REASON_NOT_WIREGUARD;
	if (!(config->flags & EG_CONFIG_SHAPE_ANY) && !pkt->wireguard)
		return EG_REASON_NOT_WIREGUARD;
	return EG_REASON_ENDPOINT;
}

/* Rows 7 to 17. `dst`: what the policy says of the destination; `control`: whether the packet is
 * of row 10. */
EG_INLINE enum eg_reason eg_decide_destination(const struct eg_packet *pkt,
					       const struct eg_config *config,
					       const struct eg_tables *tables,
					       struct eg_addr_value dst, int control)
{
	int matches;

	/* rows 7, 8 */
	if ((dst.flags & EG_ADDR_ENDPOINT) && pkt->proto == EG_PROTO_UDP) {
		if (pkt->fragment == EG_FRAGMENT_LATER)
			return EG_REASON_FRAGMENT;
		if (eg_table_endpoint(tables, pkt->family, &pkt->dst, pkt->dport_be))
			return eg_decide_endpoint(pkt, config);
	}

	/* row 9: a rule that names a port takes back just that port */
	matches = eg_rule_matches(pkt, tables, &dst);
	if ((dst.flags & EG_ADDR_TUNNEL_ONLY) && !matches)
		return EG_REASON_TUNNEL_ONLY;
	/* row 10 */
	if (control)
		return EG_REASON_CONTROL;
	/* row 11 */
	if (dst.flags & EG_ADDR_DENIED)
		return EG_REASON_DENIED;
	/* row 12 */
	if (EG_RARELY(pkt->asks_name) && (dst.flags & EG_ADDR_BOOTSTRAP))
		return EG_REASON_BOOTSTRAP_DNS;
	if ((config->flags & EG_CONFIG_DNS_TUNNEL) && eg_is_dns(pkt) &&
	    !(dst.flags & EG_ADDR_DNS_EXCEPT))
		return EG_REASON_DNS_OFF_TUNNEL;
	/* row 13 */
	if (!eg_is_plain_transport(pkt))
		return matches ? EG_REASON_RULE : EG_REASON_PROTOCOL;
	/* row 14 */
	if (dst.flags & EG_ADDR_LAN)
		return eg_is_dns(pkt) && !(dst.flags & EG_ADDR_DNS_EXCEPT) ? EG_REASON_LAN_DNS
									   : EG_REASON_LAN;
	if ((dst.flags & EG_ADDR_RULE) || matches)
		return EG_REASON_RULE;
	/* rows 15 to 17 */
	if (eg_addr_is_multicast(pkt->family, &pkt->dst))
		return EG_REASON_MULTICAST;
	if (eg_addr_is_broadcast(pkt->family, &pkt->dst))
		return EG_REASON_BROADCAST;
	if (eg_addr_is_private(pkt->family, &pkt->dst))
		return EG_REASON_PRIVATE;
	return EG_REASON_PUBLIC;
}

EG_INLINE enum eg_reason eg_decide(const struct eg_packet *pkt, const struct eg_config *config,
				   const struct eg_tables *tables)
{
	struct eg_addr_value src = eg_table_addr(tables, pkt->family, &pkt->src);
	struct eg_addr_value dst = eg_table_addr(tables, pkt->family, &pkt->dst);
	int control = eg_is_control(pkt, config, dst.flags);

	/* row 6 */
	if (!(src.flags & (EG_ADDR_LAN | EG_ADDR_RULE | EG_ADDR_SOURCE)) &&
	    !eg_addr_is_link_local(pkt->family, &pkt->src) &&
	    !(control && eg_addr_is_unspecified(pkt->family, &pkt->src)))
		return EG_REASON_SOURCE;
	return eg_decide_destination(pkt, config, tables, dst, control);
}

/* Rows 4 to 17, of an IP packet at `offset`. */
EG_INLINE enum eg_reason eg_judge_ip(const struct eg_frame *frame, __u32 offset, const __u8 family,
				     const struct eg_config *config, const struct eg_tables *tables,
				     struct eg_packet *pkt)
{
	int parsed = eg_parse_ip(frame, offset, family, pkt);

	if (parsed != EG_PARSED)
		return (enum eg_reason)parsed;
	if (EG_RARELY(config->flags & EG_CONFIG_BOOTSTRAP) && pkt->proto == EG_PROTO_UDP &&
	    pkt->dport_be == EG_BE16(EG_PORT_DNS))
		pkt->asks_name = (__u8)eg_table_asks(tables, frame, offset, family);
	return eg_decide(pkt, config, tables);
}

/* Written twice, so that in each the family is a constant. A program may judge either out of line
 * (bpf/guard.bpf.c). */
#ifndef EG_JUDGE_IPV4
#define EG_JUDGE_IPV4(frame, offset, config, tables, pkt)                                          \
	eg_judge_ip(frame, offset, EG_FAMILY_IPV4, config, tables, pkt)
#endif
#ifndef EG_JUDGE_IPV6
#define EG_JUDGE_IPV6(frame, offset, config, tables, pkt)                                          \
	eg_judge_ip(frame, offset, EG_FAMILY_IPV6, config, tables, pkt)
#endif

/* Rows 1 to 17. `pkt` must be zeroed; it is filled as far as the frame could be read. */
EG_INLINE enum eg_reason eg_judge(const struct eg_frame *frame, const struct eg_config *config,
				  const struct eg_tables *tables, struct eg_packet *pkt)
{
	__u32 offset = 0;
	int parsed = eg_parse_link(frame, pkt, &offset);

	if (parsed != EG_PARSED)
		return (enum eg_reason)parsed;
	return pkt->ethertype_be == EG_BE16(EG_ETHERTYPE_IPV4)
		       ? EG_JUDGE_IPV4(frame, offset, config, tables, pkt)
		       : EG_JUDGE_IPV6(frame, offset, config, tables, pkt);
}

#endif /* EG_DECIDE_H */
