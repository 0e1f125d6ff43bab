// SPDX-License-Identifier: GPL-2.0
/*
 * The programs of the layers `device` and `peer`: unpack, decide, record.
 *
 * Compiled twice: with EG_WITH_BTF the checksum test reads struct sk_buff by the running kernel's
 * BTF; without it, nothing here needs that kernel to have any.
 *
 * To pass is TC_ACT_UNSPEC, which is TCX_NEXT: what comes after us in the chain still runs.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "record.h"

EG_INLINE int eg_guard_frame(struct __sk_buff *skb, enum eg_layer layer, __u8 link_header)
{
	struct eg_packet pkt = {};
	struct eg_tables tables;
	struct eg_frame frame;
	enum eg_reason reason;

	if (eg_tables_open(&tables))
		return TC_ACT_SHOT;
	frame = eg_frame_open(skb, link_header, eg_skb_inspect(skb));
	reason = eg_judge(&frame, tables.config, &tables, &pkt);
	if (EG_UNLIKELY(frame.checksum & EG_SKIPS_INGRESS) &&
	    eg_reason_verdict(reason) == EG_VERDICT_ALLOW)
		reason = EG_REASON_MALFORMED;
	reason = eg_forget(reason, tables.slot);
	return eg_record(&frame, &tables, layer, reason);
}

/* tc egress of an underlay with Ethernet frames. */
SEC("tc")
int eg_device(struct __sk_buff *skb)
{
	return eg_guard_frame(skb, EG_LAYER_DEVICE, 1);
}

/* tc egress of an underlay without a link-layer header. */
SEC("tc")
int eg_device_l3(struct __sk_buff *skb)
{
	return eg_guard_frame(skb, EG_LAYER_DEVICE, 0);
}

/* tc ingress of the host-side end of a veth underlay. */
SEC("tc")
int eg_peer(struct __sk_buff *skb)
{
	return eg_guard_frame(skb, EG_LAYER_PEER, 1);
}

char LICENSE[] SEC("license") = "GPL";
