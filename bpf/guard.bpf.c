// SPDX-License-Identifier: GPL-2.0
/*
 * The programs of the layers `device` and `peer`: unpack, decide, record. Those of the layer
 * `socket` are in socket.h.
 *
 * Compiled twice: with EG_WITH_BTF the checksum test reads struct sk_buff by the running kernel's
 * BTF; without it, nothing here needs that kernel to have any.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "frame.h"

#include "answer.h"
#include "plain.h"
#include "socket.h"

/* What asks for a name is short, and all of it moves to the linear part before it is read. */
EG_GLOBAL int eg_skb_asks_name(struct __sk_buff *skb, __u32 offset, __u32 family, __u32 slot,
			       __u32 which)
{
	const struct eg_bootstrap_name *name = eg_table_name(slot, which);
	struct eg_frame frame = {.skb = skb, .gso_size = skb->gso_size, .owned = 1};

	if (!name || skb->len > EG_QUESTION_FRAME_MAX || bpf_skb_pull_data(skb, skb->len) < 0)
		return 0;
	return eg_question_asks(&frame, offset, family, name);
}

EG_GLOBAL int eg_skb_asks(struct __sk_buff *skb, __u32 offset, __u32 family, __u32 slot)
{
	if (!eg_window_is_open(slot))
		return 0;
	for (__u32 which = 0; which < EG_BOOTSTRAP_NAMES; which++)
		if (eg_skb_asks_name(skb, offset, family, slot, which))
			return 1;
	return 0;
}

static inline int eg_frame_asks(const struct eg_frame *frame, __u32 offset, __u32 family,
				__u32 slot)
{
	return eg_skb_asks(frame->skb, offset, family, slot);
}

/*
 * All of IPv6 is judged in a function of its own: the verifier follows it once, for any offset, and
 * the way of IPv4 has none of its long addresses in its registers and on its stack.
 */
EG_GLOBAL int eg_skb_judge_ipv6(struct __sk_buff *skb, __u32 offset, __u32 slot, __u64 checksum)
{
	struct eg_frame frame = eg_frame_open(skb, 0, checksum);
	struct eg_tables tables = {.slot = slot};
	struct eg_packet pkt = {};

	tables.config = bpf_map_lookup_elem(&config, &slot);
	if (!tables.config)
		return EG_REASON_MALFORMED;
	return eg_judge_ip(&frame, offset, EG_FAMILY_IPV6, tables.config, &tables, &pkt);
}

static inline enum eg_reason eg_judge_ipv6(const struct eg_frame *frame, __u32 offset,
					   const struct eg_tables *tables)
{
	return eg_skb_judge_ipv6(frame->skb, offset, tables->slot, frame->checksum);
}

/*
 * As a global function: the verifier follows it once, whatever ways lead here. Linux 5.10 allows
 * such a function numbers only, beside the context.
 */
EG_GLOBAL int eg_skb_blocked(struct __sk_buff *skb, __u32 outcome, __u32 packets,
			     __u64 active_since_ns)
{
	struct eg_frame frame = eg_frame_open(
		skb, eg_outcome(outcome, EG_OUTCOME_FLAGS) & EG_OUTCOME_LINK_HEADER, 0);

	return eg_blocked_record(skb, &frame, outcome, packets, active_since_ns);
}

EG_INLINE int eg_frame_blocked(const struct eg_frame *frame, __u32 outcome, __u32 packets,
			       __u64 active_since_ns)
{
	return eg_skb_blocked(frame->skb, outcome, packets, active_since_ns);
}

#include "lo.h"

EG_INLINE int eg_judge_any(const struct eg_frame *frame, const struct eg_tables *tables)
{
	struct eg_packet pkt = {};
	enum eg_reason reason = eg_judge(frame, tables->config, tables, &pkt);

	if (EG_UNLIKELY(frame->checksum & EG_ESCAPES) &&
	    eg_reason_verdict(reason) == EG_VERDICT_ALLOW)
		reason = EG_REASON_MALFORMED;
	return (int)reason;
}

/* All that was learned of the frame on the many ways that lead from one to the other, and then on,
 * the verifier is to forget. */
EG_INLINE int eg_judge_ethernet(struct eg_frame *frame, const struct eg_tables *tables)
{
	struct __sk_buff *skb = frame->skb;
	struct eg_packet pkt = {};
	int reason = EG_NOT_PLAIN;

	if (!EG_UNLIKELY(frame->checksum & EG_ESCAPES))
		reason = eg_judge_plain(frame, tables->config, tables, &pkt);
	if (reason == EG_NOT_PLAIN) {
		asm volatile("" : "+r"(skb) : : "memory");
		*frame = eg_frame_open(skb, 1, eg_skb_forget(skb, frame->checksum));
		reason = eg_judge_any(frame, tables);
	}
	frame->length = eg_forget(frame->length, tables->slot);
	frame->gso_size = eg_forget(frame->gso_size, tables->slot);
	return reason;
}

EG_INLINE int eg_guard_frame(struct __sk_buff *skb, enum eg_layer layer, __u8 link_header)
{
	struct eg_tables tables;
	struct eg_frame frame;
	int reason, verdict;
	__u64 found;

	if (eg_tables_open(&tables))
		return EG_HOOK_DROP;
	found = eg_skb_inspect(skb);
	frame = eg_frame_open(skb, link_header, link_header ? found : eg_skb_forget(skb, found));
	reason = link_header ? eg_judge_ethernet(&frame, &tables) : eg_judge_any(&frame, &tables);
	reason = (int)eg_forget((__u32)reason, tables.slot);
	verdict = eg_record(&frame, &tables, layer, (enum eg_reason)reason);
	if (layer == EG_LAYER_DEVICE && EG_UNLIKELY(verdict == EG_HOOK_DROP) &&
	    (tables.config->flags & EG_CONFIG_REJECT))
		return eg_skb_answer(skb, link_header, (__u32)reason);
	return verdict;
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

/* tc egress of loopback, where Docker's resolver is to be refused. */
SEC("tc")
int eg_lo(struct __sk_buff *skb)
{
	return eg_guard_lo(skb);
}

/* tc ingress of the host-side end of a veth underlay. */
SEC("tc")
int eg_peer(struct __sk_buff *skb)
{
	return eg_guard_frame(skb, EG_LAYER_PEER, 1);
}

char LICENSE[] SEC("license") = "GPL";
