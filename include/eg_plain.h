/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What nearly every frame is: Ethernet without tags, IPv4 without options or IPv6 without extension
 * headers, not a fragment, TCP or UDP, between addresses of which the first tables (`front4`,
 * `front6`) know all, or WireGuard's to the first endpoint. Of such a frame this says what
 * eg_judge() says, by the same eg_decide_destination(), with few instructions: each header stands
 * at a place that the compiler knows, and so do most flags. Of any other, and of what is wrong in
 * any way, it says nothing (EG_NOT_PLAIN), and eg_judge() is asked. tests/unit/test_decide.c holds
 * the two against each other.
 *
 * Whoever includes this file gives it, beside what eg_decide.h wants:
 *
 *   const void *eg_frame_peek(const struct eg_frame *, const __u32 len)
 *       the first `len` bytes in place, NULL where that is not easily had;
 *
 *   struct eg_fronts eg_table_fronts(const struct eg_tables *, const struct eg_packet *)
 *       what front4 or front6 say of its addresses: flags, EG_ADDR_ASK where they do not know.
 */
#ifndef EG_PLAIN_H
#define EG_PLAIN_H

#include "eg_decide.h"

EG_INLINE const void *eg_frame_peek(const struct eg_frame *frame, const __u32 len);

struct eg_fronts {
	__u32 src;
	__u32 dst;
};
static inline struct eg_fronts eg_table_fronts(const struct eg_tables *tables,
					       const struct eg_packet *pkt)
	__attribute__((always_inline, unused));

/* Of no row. */
#define EG_NOT_PLAIN (-2)

/* Beyond the IP header: of TCP its header, of UDP its own and as much of what it carries. */
#define EG_PLAIN_TRANSPORT_LEN sizeof(struct eg_tcp)

/* --- parsing ---------------------------------------------------------------------------------- */

EG_INLINE int eg_plain_tcp(const struct eg_frame *frame, const void *at, const __u32 offset,
			   __u32 room, struct eg_packet *pkt)
{
	const struct eg_transport transport = {.offset = offset};
	const struct eg_tcp *tcp = at;
	__u32 header_len = (tcp->data_offset >> 4) * 4U;

	if (header_len < sizeof(*tcp) || header_len > room ||
	    !eg_checksum_in_place(frame, &transport, EG_TCP_CHECKSUM))
		return EG_NOT_PLAIN;
	pkt->ports = tcp->ports.both;
	pkt->tcp_flags = tcp->flags;
	return EG_PARSED;
}

EG_INLINE int eg_plain_udp(const struct eg_frame *frame, const void *at, const __u32 offset,
			   __u32 room, struct eg_packet *pkt)
{
	const struct eg_transport transport = {.offset = offset};
	const struct eg_udp *udp = at;
	__u32 len = EG_FROM_BE16(udp->len_be);

	if (len < sizeof(*udp) || len > room ||
	    !eg_checksum_in_place(frame, &transport, EG_UDP_CHECKSUM))
		return EG_NOT_PLAIN;
	pkt->ports = udp->ports.both;
	return EG_PARSED;
}

/* Of a datagram that eg_plain_udp() has seen. Its length ends before the IP packet does, so that
 * one of them is enough. */
EG_INLINE __u8 eg_plain_is_wireguard(const struct eg_frame *frame, const __u32 offset)
{
	const void *at = eg_frame_peek(frame, offset + EG_PLAIN_TRANSPORT_LEN);
	const struct eg_udp *udp;
	__u32 len;

	if (!at)
		return 0;
	udp = at + offset;
	len = eg_udp_payload_len(frame, EG_FROM_BE16(udp->len_be));
	return len >= sizeof(struct eg_wg_header) && eg_is_wireguard((const void *)(udp + 1), len);
}

/* What follows the IP header: `room` bytes of transport. `total_len` of 0, of a frame beyond 64
 * KiB, is not plain. */
EG_INLINE int eg_plain_ipv4(const struct eg_frame *frame, const struct eg_ipv4 *ip,
			    struct eg_packet *pkt, __u32 *ret_room)
{
	__u32 total_len = EG_FROM_BE16(ip->total_len_be);

	if (ip->version_ihl != 0x45 ||
	    (ip->frag_be & EG_BE16(EG_IPV4_MORE_FRAGS | EG_IPV4_FRAG_MASK)) ||
	    total_len < sizeof(*ip) || total_len > frame->length - sizeof(struct eg_ethernet))
		return EG_NOT_PLAIN;
	pkt->family = EG_FAMILY_IPV4;
	pkt->src.v4_be = ip->src_be;
	pkt->dst.v4_be = ip->dst_be;
	pkt->hop_limit = ip->ttl;
	*ret_room = total_len - sizeof(*ip);
	return EG_PARSED;
}

EG_INLINE int eg_plain_ipv6(const struct eg_frame *frame, const struct eg_ipv6 *ip,
			    struct eg_packet *pkt, __u32 *ret_room)
{
	const __u32 offset = sizeof(struct eg_ethernet) + sizeof(*ip);
	__u32 payload_len = EG_FROM_BE16(ip->payload_len_be);

	if ((ip->version_class_flow_be & EG_BE32(0xf0000000)) != EG_BE32(0x60000000) ||
	    payload_len > frame->length - offset)
		return EG_NOT_PLAIN;
	pkt->family = EG_FAMILY_IPV6;
	EG_UNROLL
	for (int i = 0; i < 4; i++) {
		pkt->src.v6_be[i] = ip->src_be[i];
		pkt->dst.v6_be[i] = ip->dst_be[i];
	}
	pkt->hop_limit = ip->hop_limit;
	*ret_room = payload_len;
	return EG_PARSED;
}

/* --- deciding --------------------------------------------------------------------------------- */

/* Whether it goes to the first endpoint of its family. */
EG_INLINE int eg_plain_is_to_endpoint(const struct eg_packet *pkt, const struct eg_config *config)
{
	__u32 differ;

	if (pkt->family == EG_FAMILY_IPV4)
		return config->endpoint4_port_be && config->endpoint4_port_be == pkt->dport_be &&
		       config->endpoint4_be == pkt->dst.v4_be;
	differ = 0;
	EG_UNROLL
	for (int i = 0; i < 4; i++)
		differ |= config->endpoint6.v6_be[i] ^ pkt->dst.v6_be[i];
	return config->endpoint6_port_be && config->endpoint6_port_be == pkt->dport_be && !differ;
}

/*
 * Rows 6 to 17, in part. `offset`: of the transport header. ON_LINK of an IPv6 address, which
 * front6 may not know, decides nothing of TCP and UDP (eg_is_control()).
 */
EG_INLINE int eg_plain_decide(const struct eg_frame *frame, const __u32 offset,
			      const struct eg_config *config, const struct eg_tables *tables,
			      struct eg_packet *pkt)
{
	const __u32 known = EG_ADDR_LAN | EG_ADDR_RULE | EG_ADDR_ON_LINK;
	const __u32 blocked = EG_ADDR_DENIED | EG_ADDR_TUNNEL_ONLY;
	const struct eg_fronts fronts = eg_table_fronts(tables, pkt);
	struct eg_addr_value dst = {.flags = fronts.dst & known};

	/* row 6 */
	if ((fronts.src & EG_ADDR_ASK) ||
	    !(fronts.src & (EG_ADDR_LAN | EG_ADDR_RULE | EG_ADDR_SOURCE)))
		return EG_NOT_PLAIN;
	/* rows 7, 8 */
	if (pkt->proto == EG_PROTO_UDP && eg_plain_is_to_endpoint(pkt, config)) {
		pkt->wireguard = eg_plain_is_wireguard(frame, offset);
		return (int)eg_decide_endpoint(pkt, config);
	}
	/* What is left of the flags is no news, but to the compiler, which then leaves out all rows
	 * that are about others. */
	if (!(fronts.dst & ~(known | EG_ADDR_SOURCE)) && (dst.flags & (EG_ADDR_LAN | EG_ADDR_RULE)))
		return (int)eg_decide_destination(pkt, config, tables, dst,
						  eg_is_control(pkt, config, dst.flags));
	if (fronts.dst & ~(known | EG_ADDR_SOURCE | blocked))
		return EG_NOT_PLAIN;
	dst.flags = fronts.dst & (known | blocked);
	return (int)eg_decide_destination(pkt, config, tables, dst,
					  eg_is_control(pkt, config, dst.flags));
}

/* --- both ------------------------------------------------------------------------------------- */

/* `at`: the transport header, which is at `offset`. Written twice, so that in each the protocol is
 * a constant. */
EG_INLINE int eg_plain_transport(const struct eg_frame *frame, __u8 proto, const void *at,
				 const __u32 offset, __u32 room, const struct eg_config *config,
				 const struct eg_tables *tables, struct eg_packet *pkt)
{
	if (proto == EG_PROTO_TCP) {
		pkt->proto = EG_PROTO_TCP;
		if (eg_plain_tcp(frame, at, offset, room, pkt) != EG_PARSED)
			return EG_NOT_PLAIN;
		return eg_plain_decide(frame, offset, config, tables, pkt);
	}
	if (proto == EG_PROTO_UDP) {
		pkt->proto = EG_PROTO_UDP;
		if (eg_plain_udp(frame, at, offset, room, pkt) != EG_PARSED)
			return EG_NOT_PLAIN;
		return eg_plain_decide(frame, offset, config, tables, pkt);
	}
	return EG_NOT_PLAIN;
}

/* The reason, with `pkt` filled as eg_judge() fills it (but for `wireguard` and `asks_name`, which
 * stay zero where nothing asks: a resolver that may be asked is nothing that first tables know), or
 * EG_NOT_PLAIN with something in it. The frame has a link-layer header. `pkt` must be zeroed. */
EG_INLINE int eg_judge_plain(const struct eg_frame *frame, const struct eg_config *config,
			     const struct eg_tables *tables, struct eg_packet *pkt)
{
	const __u32 ipv4_end = sizeof(struct eg_ethernet) + sizeof(struct eg_ipv4);
	const __u32 ipv6_end = sizeof(struct eg_ethernet) + sizeof(struct eg_ipv6);
	const struct eg_ethernet *ethernet =
		eg_frame_peek(frame, ipv4_end + EG_PLAIN_TRANSPORT_LEN);
	const struct eg_ipv4 *ip4;
	const struct eg_ipv6 *ip6;
	__u32 room;

	if (!ethernet || frame->vlan_tags)
		return EG_NOT_PLAIN;
	pkt->ethertype_be = ethernet->type_be;
	if (ethernet->type_be == EG_BE16(EG_ETHERTYPE_IPV4)) {
		ip4 = (const void *)(ethernet + 1);
		if (eg_plain_ipv4(frame, ip4, pkt, &room) != EG_PARSED)
			return EG_NOT_PLAIN;
		return eg_plain_transport(frame, ip4->proto, ip4 + 1, ipv4_end, room, config,
					  tables, pkt);
	}
	if (ethernet->type_be != EG_BE16(EG_ETHERTYPE_IPV6))
		return EG_NOT_PLAIN;
	ethernet = eg_frame_peek(frame, ipv6_end + EG_PLAIN_TRANSPORT_LEN);
	if (!ethernet)
		return EG_NOT_PLAIN;
	ip6 = (const void *)(ethernet + 1);
	if (eg_plain_ipv6(frame, ip6, pkt, &room) != EG_PARSED)
		return EG_NOT_PLAIN;
	return eg_plain_transport(frame, ip6->next_header, ip6 + 1, ipv6_end, room, config, tables,
				  pkt);
}

#endif /* EG_PLAIN_H */
