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
 * Each family is judged in a function of its own: the verifier follows it once, for any offset, and
 * the way of a plain frame has none of it in its registers and on its stack.
 */
EG_GLOBAL int eg_skb_judge_ipv4(struct __sk_buff *skb, __u32 offset, __u32 slot, __u64 checksum)
{
	struct eg_frame frame = eg_frame_open(skb, 0, checksum);
	struct eg_packet pkt = {};
	struct eg_tables tables;

	if (eg_tables_look_up(&tables, slot))
		return EG_REASON_MALFORMED;
	return eg_judge_ip(&frame, offset, EG_FAMILY_IPV4, tables.config, &tables, &pkt);
}

static inline enum eg_reason eg_judge_ipv4(const struct eg_frame *frame, __u32 offset,
					   const struct eg_tables *tables)
{
	return eg_skb_judge_ipv4(frame->skb, offset, tables->slot, frame->checksum);
}

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

EG_INLINE int eg_guard_judged(const struct eg_frame *frame, const struct eg_tables *tables,
			      enum eg_layer layer, int reason)
{
	int verdict;

	reason = (int)eg_forget((__u32)reason, tables->slot);
	verdict = eg_record(frame, tables, layer, (enum eg_reason)reason);
	if (layer == EG_LAYER_DEVICE && EG_UNLIKELY(verdict == EG_HOOK_DROP) &&
	    (tables->config->flags & EG_CONFIG_REJECT))
		return eg_skb_answer(frame->skb, frame->link_header, (__u32)reason);
	return verdict;
}

/* The way of nearly every frame is all in here, and short: what is not plain is judged out of line,
 * and of what passes nothing is left to be done but to count it. */
EG_INLINE int eg_guard_ethernet(struct __sk_buff *skb, enum eg_layer layer)
{
	struct eg_packet pkt = {};
	struct eg_tables tables;
	struct eg_frame frame;
	int reason = EG_NOT_PLAIN;

	if (eg_tables_open(&tables))
		return EG_HOOK_DROP;
	frame = eg_frame_open(skb, 1, 0);
	frame.checksum = eg_skb_inspect(skb, frame.gso_size);
	if (!EG_UNLIKELY(frame.checksum & EG_ESCAPES))
		reason = eg_judge_plain(&frame, tables.config, &tables, &pkt);
	/* What was learned on the many ways that lead here, the verifier is to forget. */
	reason = (int)eg_forget((__u32)reason, tables.slot);
	if (!EG_UNLIKELY(reason == EG_NOT_PLAIN) &&
	    eg_reason_verdict((enum eg_reason)reason) == EG_VERDICT_ALLOW)
		return eg_record_allowed(&frame, layer, (enum eg_reason)reason);
	asm volatile("" : "+r"(skb) : : "memory");
	frame = eg_frame_open(skb, 1, eg_skb_forget(skb, frame.checksum));
	if (reason == EG_NOT_PLAIN)
		reason = eg_judge_any(&frame, &tables);
	return eg_guard_judged(&frame, &tables, layer, reason);
}

EG_INLINE int eg_guard_headless(struct __sk_buff *skb, enum eg_layer layer)
{
	struct eg_tables tables;
	struct eg_frame frame;

	if (eg_tables_open(&tables))
		return EG_HOOK_DROP;
	frame = eg_frame_open(skb, 0, eg_skb_forget(skb, eg_skb_inspect(skb, skb->gso_size)));
	return eg_guard_judged(&frame, &tables, layer, eg_judge_any(&frame, &tables));
}

/* tc egress of an underlay with Ethernet frames. */
SEC("tc")
int eg_device(struct __sk_buff *skb)
{
	return eg_guard_ethernet(skb, EG_LAYER_DEVICE);
}

/* tc egress of an underlay without a link-layer header. */
SEC("tc")
int eg_device_l3(struct __sk_buff *skb)
{
	return eg_guard_headless(skb, EG_LAYER_DEVICE);
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
	return eg_guard_ethernet(skb, EG_LAYER_PEER);
}

char LICENSE[] SEC("license") = "GPL";
