/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Docker's resolver, 127.0.0.11, on the loopback interface of a namespace in which it is a way out:
 * the engine asks others on its behalf, maybe from a namespace that no layer sees. Docker's own
 * address translation has been done when a packet comes here, so its port may be any.
 *
 * Only what can reach that address on loopback is looked at; everything else passes uncounted. In
 * doubt a frame does not pass: one with a VLAN tag, which the receiving side would look through, or
 * one that is going to be rewritten.
 */
#ifndef EG_LO_H
#define EG_LO_H

#include "frame.h"

#include "record.h"

#define EG_DOCKER_RESOLVER_BE ((__be32)EG_BE32(0x7f00000b))

struct eg_lo_headers {
	struct eg_ethernet ethernet;
	struct eg_ipv4 ip;
} __attribute__((packed));

/* Whether the checksum is written into the IP header, so that the address becomes another one. */
EG_INLINE int eg_lo_is_rewritten(const struct eg_frame *frame)
{
	__u32 start = (__u32)frame->checksum;
	__u32 offset = (__u32)(frame->checksum >> 32) & 0xffff;

	return eg_checksum_is_pending(frame) &&
	       (start > 0xffff || start + offset < sizeof(struct eg_lo_headers));
}

/* EG_PARSED: it passes. */
EG_INLINE int eg_lo_judge(const struct eg_frame *frame, const struct eg_tables *tables)
{
	const union eg_addr resolver = {.v4_be = EG_DOCKER_RESOLVER_BE};
	struct eg_lo_headers headers;
	struct eg_addr_value value;
	__u32 options;
	int reason;

	if (frame->vlan_tags)
		return EG_REASON_ETHERTYPE;
	if (frame->length < sizeof(headers))
		return EG_PARSED; /* nobody takes it for IP */
	if (eg_skb_own(frame->skb, sizeof(headers)) < 0 ||
	    bpf_skb_load_bytes(frame->skb, 0, &headers, sizeof(headers)) < 0)
		return EG_REASON_MALFORMED;
	if (headers.ethernet.type_be == EG_BE16(EG_ETHERTYPE_VLAN) ||
	    headers.ethernet.type_be == EG_BE16(EG_ETHERTYPE_QINQ))
		return EG_REASON_ETHERTYPE;
	if (headers.ethernet.type_be != EG_BE16(EG_ETHERTYPE_IPV4))
		return EG_PARSED;
	if (eg_lo_is_rewritten(frame))
		return EG_REASON_MALFORMED;
	if (headers.ip.dst_be == EG_DOCKER_RESOLVER_BE) {
		value = eg_table_addr(tables, EG_FAMILY_IPV4, &resolver);
		return value.flags & EG_ADDR_DNS_EXCEPT ? EG_PARSED : EG_REASON_DNS_OFF_TUNNEL;
	}
	options = (headers.ip.version_ihl & 0xf) * 4;
	if (options <= sizeof(headers.ip))
		return EG_PARSED;
	/* A source route would lead there by another address. */
	reason = eg_skb_ipv4_options(frame->skb, sizeof(headers), options - sizeof(headers.ip));
	return reason == EG_REASON_SOURCE_ROUTE ? EG_REASON_SOURCE_ROUTE : EG_PARSED;
}

EG_INLINE int eg_guard_lo(struct __sk_buff *skb)
{
	struct eg_tables tables;
	struct eg_frame frame;
	int reason;

	if (eg_tables_open(&tables))
		return EG_HOOK_DROP;
	if (!(tables.config->flags & EG_CONFIG_DNS_TUNNEL))
		return EG_HOOK_PASS;
	frame = eg_frame_open(skb, 1, eg_skb_forget(skb, eg_skb_inspect(skb, skb->gso_size)));
	reason = eg_lo_judge(&frame, &tables);
	if (reason == EG_PARSED)
		return EG_HOOK_PASS;
	return eg_record(&frame, &tables, EG_LAYER_DEVICE, eg_forget(reason, tables.slot));
}

#endif /* EG_LO_H */
