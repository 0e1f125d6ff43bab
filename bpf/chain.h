/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Options of IPv4 and extension headers of IPv6 are rare, and loops that jump from one to the next
 * are hard to verify: each hook's frame walks them in global functions (EG_GLOBAL) of its own. Here
 * is what those have in common, and eg_parse.h with them in place. Included where struct eg_frame
 * is known.
 */
#ifndef EG_CHAIN_H
#define EG_CHAIN_H

#include "eg_packet.h"

struct eg_transport;
static inline int eg_frame_ipv4_options(const struct eg_frame *frame, __u32 offset, __u32 len)
	__attribute__((always_inline));
static inline int eg_frame_ipv6_chain(const struct eg_frame *frame, struct eg_packet *pkt,
				      struct eg_transport *transport)
	__attribute__((always_inline));
#define EG_PARSE_IPV4_OPTIONS eg_frame_ipv4_options
#define EG_PARSE_IPV6_CHAIN   eg_frame_ipv6_chain

#include "eg_parse.h"

/* What the chain's walk finds, in one number. Eight headers of at most 2048 bytes end before the
 * 64th KiB. */
#define EG_CHAIN_OFFSET       0xffff
#define EG_CHAIN_PROTO        16
#define EG_CHAIN_FRAGMENT     24
#define EG_CHAIN_SOURCE_ROUTE 26
#define EG_CHAIN_MALFORMED    27

EG_INLINE int eg_chain_walk(const struct eg_frame *frame, __u32 offset, __u32 end, __u32 proto)
{
	struct eg_transport transport = {.offset = offset, .end = end};
	struct eg_packet pkt = {.proto = (__u8)proto};
	int parsed = eg_parse_ipv6_chain(frame, &pkt, &transport);

	return (int)((transport.offset & EG_CHAIN_OFFSET) | (__u32)pkt.proto << EG_CHAIN_PROTO |
		     (__u32)pkt.fragment << EG_CHAIN_FRAGMENT |
		     (__u32)pkt.source_route << EG_CHAIN_SOURCE_ROUTE |
		     (__u32)(parsed != EG_PARSED) << EG_CHAIN_MALFORMED);
}

EG_INLINE int eg_chain_found(__u32 chain, struct eg_packet *pkt, struct eg_transport *transport)
{
	transport->offset = chain & EG_CHAIN_OFFSET;
	pkt->proto = (__u8)(chain >> EG_CHAIN_PROTO);
	pkt->fragment = chain >> EG_CHAIN_FRAGMENT & 3;
	pkt->source_route = chain >> EG_CHAIN_SOURCE_ROUTE & 1;
	return chain >> EG_CHAIN_MALFORMED & 1 ? EG_REASON_MALFORMED : EG_PARSED;
}

#endif /* EG_CHAIN_H */
