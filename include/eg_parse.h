/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one packet parser: from the bytes of a frame to struct eg_packet, and rows 1 to 5 of the
 * decision table, which are about the bytes alone. Compiled for the kernel (bpf/) and for the host
 * (policy/, tests/); it calls no helper and no libc.
 *
 * Whoever includes this file gives it the frame's bytes:
 *
 *   struct eg_frame, defined before the inclusion, with the members
 *     __u32 length;           bytes of the frame
 *     __u32 gso_size;         payload bytes of each segment it will be cut into, 0: no GSO frame
 *     __u8 link_header;       starts with an Ethernet header, else with the IP header
 *     __u8 vlan_tags;         tags that are not in the bytes (the kernel keeps the outermost apart)
 *     __u64 checksum;         0, or EG_CHECKSUM_PENDING(start, offset): the kernel or the device
 *                             will write a checksum, computed from `start` on, at start + offset,
 *                             after this check (CHECKSUM_PARTIAL)
 *
 *   const void *eg_frame_at(const struct eg_frame *, __u32 offset, const __u32 len, void *scratch)
 *       `len` bytes at `offset`, in place or copied to `scratch`, NULL where the frame is shorter;
 *
 *   int eg_frame_copy(const struct eg_frame *, __u32 offset, const __u32 len, void *to)
 *       the same, always copied; 0 or negative.
 *
 * Offsets count from the frame's first byte. A frame is never trusted: each length in it is checked
 * against what is there before it is used.
 */
#ifndef EG_PARSE_H
#define EG_PARSE_H

#include "eg_packet.h"

static inline const void *eg_frame_at(const struct eg_frame *frame, __u32 offset, const __u32 len)
	__attribute__((always_inline, unused));
static inline int eg_frame_copy(const struct eg_frame *frame, __u32 offset, const __u32 len,
				void *to) __attribute__((always_inline, unused));

/* eg_parse() says so when no row up to 5 applies. */
#define EG_PARSED (-1)

/* Both in one number; an offset of 0 is no transport's. The bits between are the includer's. */
#define EG_CHECKSUM_PENDING(start, offset)                                                         \
	(1ULL << 63 | (__u64)(__u16)(offset) << 32 | (__u32)(start))
#define EG_CHECKSUM_BITS EG_CHECKSUM_PENDING(~0U, ~0U)

/* Where the IP packet's transport header is. */
struct eg_transport {
	__u32 offset;
	__u32 end; /* first byte after the IP packet */
};

/* Walks an IPv4 header's options (RFC 791, 3.1): EG_REASON_SOURCE_ROUTE where one is a loose or
 * strict source route, EG_REASON_MALFORMED, or EG_PARSED. */
EG_INLINE int eg_parse_ipv4_options(const struct eg_frame *frame, __u32 offset, __u32 len)
{
	int parsed = EG_PARSED;
	__u32 at = 0;

	EG_UNROLL
	for (__u32 i = 0; i < EG_IPV4_OPTS_MAX; i++) {
		__u8 type, size;

		at = eg_forget(at, offset);
		if (at >= len)
			break;
		if (eg_frame_copy(frame, offset + at, sizeof(type), &type) < 0)
			return EG_REASON_MALFORMED;
		if (type == EG_IPV4_OPT_END)
			break;
		if (type == EG_IPV4_OPT_NOP) {
			at++;
			continue;
		}
		if (at + 1 >= len ||
		    eg_frame_copy(frame, offset + at + 1, sizeof(size), &size) < 0 || size < 2 ||
		    at + size > len)
			return EG_REASON_MALFORMED;
		if (type == EG_IPV4_OPT_LSRR || type == EG_IPV4_OPT_SSRR)
			parsed = EG_REASON_SOURCE_ROUTE;
		at += size;
	}
	return parsed;
}

/* These two are rare, and a program may call them out of line (bpf/frame.h). */
#ifndef EG_PARSE_IPV4_OPTIONS
#define EG_PARSE_IPV4_OPTIONS eg_parse_ipv4_options
#endif
#ifndef EG_PARSE_IPV6_CHAIN
#define EG_PARSE_IPV6_CHAIN eg_parse_ipv6_chain
#endif

EG_INLINE int eg_parse_ipv4(const struct eg_frame *frame, __u32 offset, struct eg_packet *pkt,
			    struct eg_transport *transport)
{
	const struct eg_ipv4 *ip = eg_frame_at(frame, offset, sizeof(*ip));
	__u32 header_len, total_len, frag, room;
	int parsed;

	if (!ip)
		return EG_REASON_MALFORMED;
	pkt->family = EG_FAMILY_IPV4;
	pkt->src.v4_be = ip->src_be;
	pkt->dst.v4_be = ip->dst_be;
	pkt->proto = ip->proto;
	pkt->hop_limit = ip->ttl;

	header_len = (ip->version_ihl & 0xf) * 4;
	total_len = EG_FROM_BE16(ip->total_len_be);
	frag = EG_FROM_BE16(ip->frag_be);
	room = frame->length - offset;
	/* "BIG TCP": over 64 KiB, total_len is 0 and the frame's own length counts (linux/ip.h,
	 * iph_totlen()). */
	if (total_len == 0 && frame->gso_size && room > 0xffff)
		total_len = room;
	if ((ip->version_ihl >> 4) != 4 || header_len < sizeof(*ip) || header_len > total_len ||
	    total_len > room)
		return EG_REASON_MALFORMED;

	transport->offset = offset + header_len;
	transport->end = offset + total_len;
	if (frag & EG_IPV4_FRAG_MASK)
		pkt->fragment = EG_FRAGMENT_LATER;
	else if (frag & EG_IPV4_MORE_FRAGS)
		pkt->fragment = EG_FRAGMENT_FIRST;
	if (header_len > sizeof(*ip)) {
		parsed = EG_PARSE_IPV4_OPTIONS(frame, offset + sizeof(*ip),
					       header_len - sizeof(*ip));
		if (parsed == EG_REASON_MALFORMED)
			return EG_REASON_MALFORMED;
		pkt->source_route = parsed == EG_REASON_SOURCE_ROUTE;
	}
	return EG_PARSED;
}

EG_INLINE int eg_is_ext_header(__u8 proto)
{
	return proto == EG_PROTO_HOPOPTS || proto == EG_PROTO_ROUTING ||
	       proto == EG_PROTO_FRAGMENT || proto == EG_PROTO_DSTOPTS;
}

/* Walks the extension headers (RFC 8200, 4) up to the transport header, or to the end of a header
 * chain that a later fragment cannot show. A second fragment header is no chain that RFC 8200
 * knows. */
EG_INLINE int eg_parse_ipv6_chain(const struct eg_frame *frame, struct eg_packet *pkt,
				  struct eg_transport *transport)
{
	__u8 seen_fragment = 0;

	EG_UNROLL
	for (__u32 i = 0; i <= EG_EXT_HEADERS_MAX; i++) {
		struct eg_ext_header ext = {};
		__u32 len, frag;

		if (!eg_is_ext_header(pkt->proto))
			return EG_PARSED;
		if (i == EG_EXT_HEADERS_MAX || transport->offset + sizeof(ext) > transport->end ||
		    eg_frame_copy(frame, transport->offset, sizeof(ext), &ext) < 0)
			return EG_REASON_MALFORMED;
		len = sizeof(ext);
		if (pkt->proto == EG_PROTO_FRAGMENT) {
			if (seen_fragment)
				return EG_REASON_MALFORMED;
			seen_fragment = 1;
			frag = EG_FROM_BE16(ext.frag_be);
			if (frag & ~7U)
				pkt->fragment = EG_FRAGMENT_LATER;
			else if (frag & 1)
				pkt->fragment = EG_FRAGMENT_FIRST;
		} else {
			len += ext.len * 8U;
		}
		if (pkt->proto == EG_PROTO_ROUTING)
			pkt->source_route = 1;
		pkt->proto = ext.next_header;
		transport->offset += len;
		if (transport->offset > transport->end)
			return EG_REASON_MALFORMED;
		if (pkt->fragment == EG_FRAGMENT_LATER)
			return EG_PARSED;
	}
	return EG_REASON_MALFORMED;
}

EG_INLINE int eg_parse_ipv6(const struct eg_frame *frame, __u32 offset, struct eg_packet *pkt,
			    struct eg_transport *transport)
{
	const struct eg_ipv6 *ip = eg_frame_at(frame, offset, sizeof(*ip));
	__u32 payload_len, room;

	if (!ip)
		return EG_REASON_MALFORMED;
	pkt->family = EG_FAMILY_IPV6;
	EG_UNROLL
	for (int i = 0; i < 4; i++) {
		pkt->src.v6_be[i] = ip->src_be[i];
		pkt->dst.v6_be[i] = ip->dst_be[i];
	}
	pkt->proto = ip->next_header;
	pkt->hop_limit = ip->hop_limit;

	payload_len = EG_FROM_BE16(ip->payload_len_be);
	room = frame->length - offset - sizeof(*ip);
	if (payload_len == 0 && frame->gso_size && room > 0xffff)
		payload_len = room; /* "BIG TCP", as for IPv4 */
	if (EG_FROM_BE32(ip->version_class_flow_be) >> 28 != 6 || payload_len > room)
		return EG_REASON_MALFORMED;

	transport->offset = offset + sizeof(*ip);
	transport->end = transport->offset + payload_len;
	return eg_is_ext_header(pkt->proto) ? EG_PARSE_IPV6_CHAIN(frame, pkt, transport)
					    : EG_PARSED;
}

/* Whether a message that begins like this and is this long could be WireGuard's. */
EG_INLINE __u8 eg_is_wireguard(const struct eg_wg_header *message, __u32 len)
{
	switch (message->type_le) {
	case EG_LE32(EG_WG_INITIATION):
		return len == EG_WG_INITIATION_LEN;
	case EG_LE32(EG_WG_RESPONSE):
		return len == EG_WG_RESPONSE_LEN;
	case EG_LE32(EG_WG_COOKIE):
		return len == EG_WG_COOKIE_LEN;
	case EG_LE32(EG_WG_DATA):
		return len >= EG_WG_DATA_MIN_LEN;
	default:
		return 0;
	}
}

/* Of a datagram with this length in its header; of a GSO frame, the payload of the first one. */
EG_INLINE __u32 eg_udp_payload_len(const struct eg_frame *frame, __u32 udp_len)
{
	__u32 len = udp_len - sizeof(struct eg_udp);

	return frame->gso_size && frame->gso_size < len ? frame->gso_size : len;
}

EG_INLINE int eg_parse_udp(const struct eg_frame *frame, const struct eg_transport *transport,
			   struct eg_packet *pkt)
{
	const struct eg_udp *udp = eg_frame_at(frame, transport->offset, sizeof(*udp));
	const struct eg_wg_header *message;
	__u32 len;

	if (!udp)
		return EG_REASON_MALFORMED;
	pkt->ports = udp->ports.both;
	len = EG_FROM_BE16(udp->len_be);
	/* A first fragment carries the length of the whole datagram. */
	if (len < sizeof(*udp) ||
	    (pkt->fragment == EG_FRAGMENT_WHOLE && len > transport->end - transport->offset))
		return EG_REASON_MALFORMED;
	len = eg_udp_payload_len(frame, len);
	if (len >= sizeof(*message) &&
	    transport->offset + sizeof(*udp) + sizeof(*message) <= transport->end) {
		message = eg_frame_at(frame, transport->offset + sizeof(*udp), sizeof(*message));
		if (!message)
			return EG_REASON_MALFORMED;
		pkt->wireguard = eg_is_wireguard(message, len);
	}
	return EG_PARSED;
}

EG_INLINE int eg_parse_tcp(const struct eg_frame *frame, const struct eg_transport *transport,
			   struct eg_packet *pkt)
{
	const struct eg_tcp *tcp = eg_frame_at(frame, transport->offset, sizeof(*tcp));
	__u32 header_len;

	if (!tcp)
		return EG_REASON_MALFORMED;
	pkt->ports = tcp->ports.both;
	pkt->tcp_flags = tcp->flags;
	header_len = (tcp->data_offset >> 4) * 4U;
	if (header_len < sizeof(*tcp) || header_len > transport->end - transport->offset)
		return EG_REASON_MALFORMED;
	return EG_PARSED;
}

EG_INLINE int eg_parse_icmp(const struct eg_frame *frame, const struct eg_transport *transport,
			    struct eg_packet *pkt)
{
	const struct eg_icmp *icmp = eg_frame_at(frame, transport->offset, sizeof(*icmp));

	if (!icmp)
		return EG_REASON_MALFORMED;
	pkt->icmp_type = icmp->type;
	pkt->icmp_code = icmp->code;
	return EG_PARSED;
}

EG_INLINE int eg_parse_sctp(const struct eg_frame *frame, const struct eg_transport *transport,
			    struct eg_packet *pkt)
{
	const struct eg_ports *ports = eg_frame_at(frame, transport->offset, sizeof(*ports));

	if (!ports)
		return EG_REASON_MALFORMED;
	pkt->ports = ports->both;
	return EG_PARSED;
}

/* Where in the header the checksum is. */
#define EG_TCP_CHECKSUM 16
#define EG_UDP_CHECKSUM 6

#define EG_SCTP_LEN   12 /* RFC 9260, 3.1 */
#define EG_ICMP_LEN   8  /* RFC 792 */
#define EG_ICMPV6_LEN 4  /* RFC 4443, 2.1 */

/* Reads the transport header, and tells in *ret_checksum where in it the checksum is (0: not known,
 * or not in this fragment). */
EG_INLINE int eg_parse_transport(const struct eg_frame *frame, const struct eg_transport *transport,
				 const __u8 family, struct eg_packet *pkt, __u32 *ret_checksum)
{
	__u32 room = transport->end - transport->offset;

	*ret_checksum = 0;
	if (pkt->fragment == EG_FRAGMENT_LATER)
		return EG_PARSED;
	switch (pkt->proto) {
	case EG_PROTO_TCP:
		*ret_checksum = EG_TCP_CHECKSUM;
		return room < sizeof(struct eg_tcp) ? EG_REASON_MALFORMED
						    : eg_parse_tcp(frame, transport, pkt);
	case EG_PROTO_UDP:
		*ret_checksum = EG_UDP_CHECKSUM;
		return room < sizeof(struct eg_udp) ? EG_REASON_MALFORMED
						    : eg_parse_udp(frame, transport, pkt);
	case EG_PROTO_SCTP:
		*ret_checksum = 8;
		return room < EG_SCTP_LEN ? EG_REASON_MALFORMED
					  : eg_parse_sctp(frame, transport, pkt);
	case EG_PROTO_ICMP:
		*ret_checksum = 2;
		if (family != EG_FAMILY_IPV4)
			return EG_PARSED;
		return room < EG_ICMP_LEN ? EG_REASON_MALFORMED
					  : eg_parse_icmp(frame, transport, pkt);
	case EG_PROTO_ICMPV6:
		*ret_checksum = 2;
		if (family != EG_FAMILY_IPV6)
			return EG_PARSED;
		return room < EG_ICMPV6_LEN ? EG_REASON_MALFORMED
					    : eg_parse_icmp(frame, transport, pkt);
	default:
		return EG_PARSED;
	}
}

EG_INLINE int eg_checksum_is_pending(const struct eg_frame *frame)
{
	return (frame->checksum & EG_CHECKSUM_PENDING(0, 0)) != 0;
}

/* Row 4's second half. An attacker sets both numbers with PACKET_VNET_HDR, and the kernel then
 * writes over whatever stands there: the destination address, or an ARP frame's type. */
EG_INLINE int eg_checksum_in_place(const struct eg_frame *frame,
				   const struct eg_transport *transport, __u32 field)
{
	return !eg_checksum_is_pending(frame) ||
	       (field && (frame->checksum & EG_CHECKSUM_BITS) ==
				 EG_CHECKSUM_PENDING(transport->offset, field));
}

/*
 * Rows 1 to 3: EG_PARSED where there is an IP packet, and where. On an interface without a
 * link-layer header only the version nibble tells: skb->protocol is the sender's word.
 *
 * A frame whose checksum is pending is refused before row 1 already where that checksum is not a
 * transport's: over an ARP frame the kernel's later write can change the frame's type.
 */
EG_INLINE int eg_parse_link(const struct eg_frame *frame, struct eg_packet *pkt, __u32 *ret_offset)
{
	__u32 tags = frame->vlan_tags;
	__u32 offset = 0;

	if (!frame->link_header) {
		const __u8 *nibble = eg_frame_at(frame, 0, 1);

		if (!nibble)
			return EG_REASON_MALFORMED;
		if (*nibble >> 4 == 4)
			pkt->ethertype_be = EG_BE16(EG_ETHERTYPE_IPV4);
		else if (*nibble >> 4 == 6)
			pkt->ethertype_be = EG_BE16(EG_ETHERTYPE_IPV6);
	} else {
		const struct eg_ethernet *eth = eg_frame_at(frame, 0, sizeof(*eth));

		if (!eth)
			return EG_REASON_MALFORMED;
		pkt->ethertype_be = eth->type_be;
		offset = sizeof(*eth);
		EG_UNROLL
		for (__u32 i = 0; i < EG_VLAN_TAGS_MAX; i++) {
			const struct eg_vlan *vlan;

			if (pkt->ethertype_be != EG_BE16(EG_ETHERTYPE_VLAN) &&
			    pkt->ethertype_be != EG_BE16(EG_ETHERTYPE_QINQ))
				break;
			if (++tags > EG_VLAN_TAGS_MAX)
				return EG_REASON_ETHERTYPE;
			vlan = eg_frame_at(frame, offset, sizeof(*vlan));
			if (!vlan)
				return EG_REASON_MALFORMED;
			pkt->ethertype_be = vlan->type_be;
			offset += sizeof(*vlan);
		}
	}
	if (pkt->ethertype_be == EG_BE16(EG_ETHERTYPE_ARP))
		return eg_checksum_is_pending(frame) ? EG_REASON_MALFORMED : EG_REASON_CONTROL;
	if (pkt->ethertype_be != EG_BE16(EG_ETHERTYPE_IPV4) &&
	    pkt->ethertype_be != EG_BE16(EG_ETHERTYPE_IPV6))
		return EG_REASON_ETHERTYPE;
	*ret_offset = offset;
	return EG_PARSED;
}

/* Rows 4 and 5, of an IP packet at `offset`. */
EG_INLINE int eg_parse_ip(const struct eg_frame *frame, __u32 offset, const __u8 family,
			  struct eg_packet *pkt)
{
	struct eg_transport transport = {};
	__u32 checksum;
	int parsed;

	parsed = family == EG_FAMILY_IPV4 ? eg_parse_ipv4(frame, offset, pkt, &transport)
					  : eg_parse_ipv6(frame, offset, pkt, &transport);
	if (parsed != EG_PARSED)
		return parsed;
	transport.offset = eg_forget(transport.offset, frame->length);
	transport.end = eg_forget(transport.end, frame->length);
	pkt->fragment = (__u8)eg_forget(pkt->fragment, frame->length);
	pkt->source_route = (__u8)eg_forget(pkt->source_route, frame->length);
	parsed = eg_parse_transport(frame, &transport, family, pkt, &checksum);
	if (parsed != EG_PARSED)
		return parsed;
	if (!eg_checksum_in_place(frame, &transport, checksum))
		return EG_REASON_MALFORMED;
	return pkt->source_route ? EG_REASON_SOURCE_ROUTE : EG_PARSED;
}

/*
 * Rows 1 to 5. Returns the reason of the row that applies, or EG_PARSED with `pkt` filled for
 * eg_decide(). `pkt` must be zeroed; on a drop it holds what could be read, for the event.
 */
EG_INLINE int eg_parse(const struct eg_frame *frame, struct eg_packet *pkt)
{
	__u32 offset = 0;
	int parsed = eg_parse_link(frame, pkt, &offset);

	if (parsed != EG_PARSED)
		return parsed;
	offset = eg_forget(offset, frame->length);
	return eg_parse_ip(frame, offset,
			   pkt->ethertype_be == EG_BE16(EG_ETHERTYPE_IPV4) ? EG_FAMILY_IPV4
									   : EG_FAMILY_IPV6,
			   pkt);
}

#endif /* EG_PARSE_H */
