/* SPDX-License-Identifier: GPL-2.0 */
/* What became of a packet: counters, the table of what was blocked lately, events to viewers. */
#ifndef EG_RECORD_H
#define EG_RECORD_H

#include "tables.h"

struct eg_outcome {
	__u32 packets; /* segments of a GSO packet */
	__u8 layer;    /* enum eg_layer */
	__u8 reason;   /* enum eg_reason */
	__u8 verdict;  /* enum eg_verdict */
	__u8 link_header;
};

/* Whose packet it is, as far as the kernel knows. */
struct eg_owner {
	__u64 cgroup_id;
	__u64 socket_cookie;
	__u32 uid;
	__u32 pid;
	char comm[EG_COMM_LEN];
	__u8 flags; /* EG_EVENT_SOCKET, EG_EVENT_OWNER */
};

/* A sender in user space (PACKET_VNET_HDR, a VM's tap) leaves gso_segs zero; the segments are then
 * counted by the frame's length, its headers included. */
EG_INLINE __u32 eg_packets(const struct eg_frame *frame)
{
	__u32 segs;

	if (!EG_UNLIKELY(frame->gso_size))
		return 1;
	segs = frame->skb->gso_segs;
	return segs ? segs : (frame->length + frame->gso_size - 1) / frame->gso_size;
}

EG_INLINE int eg_count(__u32 index, __u32 packets, __u32 bytes)
{
	struct eg_counter *counter = bpf_map_lookup_elem(&counters, &index);

	if (!counter)
		return -1;
	/* A tc hook runs with softirqs off: nobody else is at this CPU's copy. */
	counter->packets += packets;
	counter->bytes += bytes;
	return 0;
}

/*
 * The owner is told by the packet's socket, never by `current`, which in softirq is whoever was
 * interrupted. bpf_skb_cgroup_id() is zero unless there is a full socket (or a half-open
 * connection's listener), and uid and cookie are only asked for then: the one would be the overflow
 * uid, 65534, which is also a real user's.
 *
 * pid and comm are not in a socket. The layer `socket` is going to remember them, and this is where
 * they will be looked up.
 */
EG_INLINE void eg_owner_find(struct __sk_buff *skb, struct eg_owner *owner)
{
	owner->uid = EG_UID_UNKNOWN;
	if (!skb->sk)
		return;
	owner->cgroup_id = bpf_skb_cgroup_id(skb);
	if (!owner->cgroup_id)
		return;
	owner->socket_cookie = bpf_get_socket_cookie(skb);
	owner->uid = bpf_get_socket_uid(skb);
	owner->flags = EG_EVENT_SOCKET;
}

EG_INLINE void eg_recent_record(const struct eg_packet *pkt, const struct eg_outcome *outcome,
				const struct eg_owner *owner, __u32 bytes, __u64 now)
{
	struct eg_recent_key key = {
		.dst = pkt->dst,
		.cgroup_id = owner->cgroup_id,
		.dport_be = pkt->dport_be,
		.family = pkt->family,
		.proto = pkt->proto,
		.reason = outcome->reason,
		.layer = outcome->layer,
		.would = outcome->verdict == EG_VERDICT_WOULD_DROP,
	};
	struct eg_recent_value *value = bpf_map_lookup_elem(&recent, &key);

	if (!value) {
		struct eg_recent_value first = {
			.packets = outcome->packets,
			.bytes = bytes,
			.first_ns = now,
			.last_ns = now,
			.pid = owner->pid,
			.uid = owner->uid,
		};

		__builtin_memcpy(first.comm, owner->comm, sizeof(first.comm));
		if (bpf_map_update_elem(&recent, &key, &first, BPF_NOEXIST) == 0)
			return;
		/* Another CPU was first. */
		value = bpf_map_lookup_elem(&recent, &key);
		if (!value)
			return;
	}
	__sync_fetch_and_add(&value->packets, outcome->packets);
	__sync_fetch_and_add(&value->bytes, bytes);
	value->last_ns = now;
}

EG_INLINE void eg_event_build(struct __sk_buff *skb, const struct eg_packet *pkt,
			      const struct eg_outcome *outcome, const struct eg_owner *owner,
			      struct eg_event *event)
{
	__u32 last = skb->len - 1;

	/* A ring's memory holds what was there before. */
	__builtin_memset(event, 0, sizeof(*event));
	event->cgroup_id = owner->cgroup_id;
	event->socket_cookie = owner->socket_cookie;
	event->src = pkt->src;
	event->dst = pkt->dst;
	event->ifindex = skb->ifindex;
	event->length = skb->len;
	event->uid = owner->uid;
	event->pid = owner->pid;
	event->sport_be = pkt->sport_be;
	event->dport_be = pkt->dport_be;
	event->ethertype_be = pkt->ethertype_be;
	event->family = pkt->family;
	event->proto = pkt->proto;
	event->tcp_flags = pkt->tcp_flags;
	event->icmp_type = pkt->icmp_type;
	event->icmp_code = pkt->icmp_code;
	event->reason = outcome->reason;
	event->layer = outcome->layer;
	event->verdict = outcome->verdict;
	event->link_header = outcome->link_header;
	__builtin_memcpy(event->comm, owner->comm, sizeof(event->comm));

	/* In a form in which the verifier of 5.10 sees that the length is from 1 to EG_SNAP_LEN;
	 * the compiler must not see that the mask changes nothing. */
	if (last > EG_SNAP_LEN - 1)
		last = EG_SNAP_LEN - 1;
	asm volatile("" : "+r"(last));
	last &= EG_SNAP_LEN - 1;
	if (bpf_skb_load_bytes(skb, 0, event->snap, last + 1) == 0)
		event->snap_len = last + 1;
}

/* Whether a live viewer has this slot: a killed one costs a comparison. */
EG_INLINE int eg_viewer_is_live(__u64 beat_ns, __u64 now)
{
	/* A beat may be newer than `now`: the viewer runs on another CPU. */
	return beat_ns && (beat_ns > now || now - beat_ns < EG_VIEWER_STALE_NS);
}

/* NULL, and counted as lost, where the viewer's buffer is full. */
EG_INLINE struct eg_event *eg_viewer_reserve(__u32 viewer)
{
	void *ring = bpf_map_lookup_elem(&viewers, &viewer);
	struct eg_event *event = NULL;
	__u64 *lost;

	if (ring)
		event = bpf_ringbuf_reserve(ring, sizeof(*event), 0);
	if (!event) {
		lost = bpf_map_lookup_elem(&viewer_lost, &viewer);
		if (lost)
			__sync_fetch_and_add(lost, 1);
	}
	return event;
}

/* What is known of a blocked packet beside its bytes. */
struct eg_blocked {
	const struct eg_packet *pkt;
	struct eg_outcome outcome;
	struct eg_owner owner;
	__u64 now;
	__u8 flags; /* enum eg_event_flag */
};

/* Not inlined: it is called for each of the slots. */
static __attribute__((noinline)) int eg_viewer_tell(struct __sk_buff *skb, __u32 viewer,
						    const struct eg_blocked *blocked)
{
	struct eg_event *event = eg_viewer_reserve(viewer);

	if (!event)
		return -1;
	eg_event_build(skb, blocked->pkt, &blocked->outcome, &blocked->owner, event);
	event->time_ns = blocked->now;
	event->flags = blocked->flags | blocked->owner.flags;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* Not inlined, so that the allowed path has none of this in its registers and on its stack. */
static __attribute__((noinline)) int eg_record_blocked(struct __sk_buff *skb,
						       const struct eg_packet *pkt,
						       const struct eg_config *policy_config,
						       const struct eg_outcome *outcome)
{
	struct eg_blocked blocked = {
		.pkt = pkt,
		.outcome = *outcome,
		.now = bpf_ktime_get_ns(),
	};
	const struct eg_viewer_beats *beats;
	__u32 zero = 0;

	if (outcome->layer == EG_LAYER_PEER && outcome->verdict == EG_VERDICT_DROP &&
	    blocked.now - policy_config->active_since_ns < EG_TRANSITION_NS) {
		blocked.flags = EG_EVENT_TRANSITION;
		eg_count(EG_COUNTER_TRANSITION, outcome->packets, skb->len);
	}
	eg_owner_find(skb, &blocked.owner);
	eg_recent_record(pkt, outcome, &blocked.owner, skb->len, blocked.now);

	beats = bpf_map_lookup_elem(&viewer_beats, &zero);
	if (!beats)
		return -1;
	EG_UNROLL
	for (__u32 i = 0; i < EG_VIEWERS; i++)
		if (EG_UNLIKELY(eg_viewer_is_live(beats->beat_ns[i], blocked.now)))
			eg_viewer_tell(skb, i, &blocked);
	return 0;
}

/* Records the reason and returns what the hook is to do. */
EG_INLINE int eg_record(const struct eg_frame *frame, const struct eg_packet *pkt,
			const struct eg_tables *tables, enum eg_layer layer, enum eg_reason reason)
{
	struct eg_outcome outcome;
	__u32 would;

	if (!EG_UNLIKELY(eg_reason_verdict(reason) == EG_VERDICT_DROP))
		return eg_count(eg_counter_index(layer, 0, reason), eg_packets(frame),
				frame->length)
			       ? TC_ACT_SHOT
			       : TC_ACT_UNSPEC;

	would = !!(tables->config->flags & EG_CONFIG_AUDIT);
	outcome = (struct eg_outcome){
		.packets = eg_packets(frame),
		.layer = layer,
		.reason = reason,
		.verdict = would ? EG_VERDICT_WOULD_DROP : EG_VERDICT_DROP,
		.link_header = frame->link_header,
	};
	if (eg_count(eg_counter_index(layer, would, reason), outcome.packets, frame->length))
		return TC_ACT_SHOT;
	eg_record_blocked(frame->skb, pkt, tables->config, &outcome);
	return would ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

#endif /* EG_RECORD_H */
