/* SPDX-License-Identifier: GPL-2.0 */
/* What became of a packet: counters, the table of what was blocked lately, events to viewers. */
#ifndef EG_RECORD_H
#define EG_RECORD_H

#include "tables.h"

/* Calls eg_blocked_record(), out of line: the allowed path has none of it in its registers and on
 * its stack. Each hook has its own. */
static inline int eg_frame_blocked(const struct eg_frame *frame, __u32 outcome, __u32 packets,
				   __u64 active_since_ns);

EG_INLINE int eg_count(__u32 index, __u32 packets, __u32 bytes)
{
	struct eg_counter *counter = bpf_map_lookup_elem(&counters, &index);

	if (!counter)
		return -1;
	EG_COUNT_ADD(counter->packets, packets);
	EG_COUNT_ADD(counter->bytes, bytes);
	return 0;
}

/* All that is known of a blocked packet beside its bytes: what goes into `recent`, and the rest of
 * what goes into an event. */
struct eg_blocked {
	struct eg_packet pkt;
	struct eg_recent_key key;
	struct eg_recent_value value;
	__u64 socket_cookie;
	__u8 verdict; /* enum eg_verdict */
	__u8 link_header;
	__u8 flags; /* enum eg_event_flag */
};

/* NULL where no `verify` is at work, which is nearly always. */
EG_INLINE const struct eg_probes *eg_probes_live(void)
{
	__u32 zero = 0;
	const struct eg_probes *of_verify = bpf_map_lookup_elem(&probes, &zero);

	if (!of_verify || !of_verify->until_ns || of_verify->until_ns < bpf_ktime_get_ns())
		return NULL;
	return of_verify;
}

EG_INLINE int eg_probes_have(const struct eg_probes *of_verify, __u64 cookie)
{
	int found = 0;

	EG_UNROLL
	for (__u32 i = 0; i < EG_PROBE_SOCKETS; i++)
		found |= of_verify->cookies[i] == cookie;
	return cookie && found;
}

/* Whether `verify` sends from the socket with this cookie. */
EG_GLOBAL int eg_cookie_is_probe(__u64 cookie)
{
	const struct eg_probes *of_verify = eg_probes_live();

	return of_verify && eg_probes_have(of_verify, cookie);
}

#ifndef EG_OWNER_BY_HOOK
/* Whether `verify` sent it: not by what is in it, which anybody could send. */
EG_GLOBAL int eg_skb_is_probe(struct __sk_buff *skb)
{
	const struct eg_probes *of_verify = eg_probes_live();

	return of_verify && eg_probes_have(of_verify, bpf_get_socket_cookie(skb));
}

EG_INLINE int eg_frame_is_probe(const struct eg_frame *frame)
{
	return frame->skb->sk && eg_skb_is_probe(frame->skb);
}

/*
 * The owner is told by the packet's socket, never by `current`, which in softirq is whoever was
 * interrupted. bpf_skb_cgroup_id() is zero unless there is a full socket (or a half-open
 * connection's listener), and uid and cookie are only asked for then: the one would be the overflow
 * uid, 65534, which is also a real user's.
 *
 * pid and comm are not in a socket. The layer `socket` remembers them beside it; a half-open
 * connection has those of its listener.
 */
EG_INLINE void eg_owner_find(struct __sk_buff *skb, struct eg_blocked *blocked)
{
	blocked->value.uid = EG_UID_UNKNOWN;
	if (!skb->sk)
		return;
	blocked->key.cgroup_id = bpf_skb_cgroup_id(skb);
	if (blocked->key.cgroup_id)
		blocked->flags |= EG_EVENT_SOCKET;
}

EG_INLINE const struct eg_maker *eg_owner_look_up(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	const struct eg_maker *owner;

	if (!sk)
		return NULL;
	owner = bpf_sk_storage_get(&owners, sk, NULL, 0);
	if (owner)
		return owner;
	sk = bpf_get_listener_sock(sk);
	return sk ? bpf_sk_storage_get(&owners, sk, NULL, 0) : NULL;
}

EG_INLINE void eg_owner_name(const struct eg_maker *owner, struct eg_blocked *blocked)
{
	blocked->value.pid = owner->pid;
	__builtin_memcpy(blocked->value.comm, owner->comm, sizeof(blocked->value.comm));
	blocked->flags |= EG_EVENT_OWNER;
}

/* What is not in the key of `recent`, and so rarely needed. */
EG_INLINE void eg_owner_ask(struct __sk_buff *skb, struct eg_blocked *blocked)
{
	const struct eg_maker *owner;

	if (!(blocked->flags & EG_EVENT_SOCKET))
		return;
	blocked->socket_cookie = bpf_get_socket_cookie(skb);
	blocked->value.uid = bpf_get_socket_uid(skb);
	owner = eg_owner_look_up(skb);
	if (owner)
		eg_owner_name(owner, blocked);
}
#else
EG_INLINE int eg_frame_is_probe(const struct eg_frame *frame);
EG_INLINE void eg_owner_find(EG_CONTEXT *context, struct eg_blocked *blocked);
EG_INLINE void eg_owner_ask(EG_CONTEXT *context, struct eg_blocked *blocked);
#endif

/* What is known of an owner, the verifier is not to know (eg_forget()): it would follow all that
 * comes after for those with and those without. */
EG_INLINE void eg_owner_forget(struct eg_blocked *blocked, __u32 other)
{
	__u32 *comm = (__u32 *)blocked->value.comm;

	blocked->flags = (__u8)eg_forget(blocked->flags, other);
	blocked->value.pid = eg_forget(blocked->value.pid, other);
	blocked->value.uid = eg_forget(blocked->value.uid, other);
	blocked->socket_cookie = eg_words(eg_forget(eg_word(blocked->socket_cookie, 0), other),
					  eg_forget(eg_word(blocked->socket_cookie, 1), other));
	EG_UNROLL
	for (unsigned int i = 0; i < EG_COMM_LEN / sizeof(*comm); i++)
		comm[i] = eg_forget(comm[i], other);
}

/* To what is there already; -1: nothing is. */
EG_INLINE int eg_recent_add(const struct eg_blocked *blocked)
{
	struct eg_recent_value *value = bpf_map_lookup_elem(&recent, &blocked->key);

	if (!value)
		return -1;
	__sync_fetch_and_add(&value->packets, blocked->value.packets);
	__sync_fetch_and_add(&value->bytes, blocked->value.bytes);
	value->last_ns = blocked->value.last_ns;
	return 0;
}

EG_INLINE void eg_recent_begin(const struct eg_blocked *blocked)
{
	if (bpf_map_update_elem(&recent, &blocked->key, &blocked->value, BPF_NOEXIST))
		eg_recent_add(blocked); /* another CPU was first */
}

EG_INLINE void eg_event_fill(const struct eg_blocked *blocked, struct eg_event *event)
{
	const struct eg_packet *pkt = &blocked->pkt;

	/* A ring's memory holds what was there before. */
	__builtin_memset(event, 0, sizeof(*event));
	event->time_ns = blocked->value.last_ns;
	event->cgroup_id = blocked->key.cgroup_id;
	event->socket_cookie = blocked->socket_cookie;
	event->src = pkt->src;
	event->dst = pkt->dst;
	event->uid = blocked->value.uid;
	event->pid = blocked->value.pid;
	event->sport_be = pkt->sport_be;
	event->dport_be = pkt->dport_be;
	event->ethertype_be = pkt->ethertype_be;
	event->family = pkt->family;
	event->proto = pkt->proto;
	event->tcp_flags = pkt->tcp_flags;
	event->icmp_type = pkt->icmp_type;
	event->icmp_code = pkt->icmp_code;
	event->reason = blocked->key.reason;
	event->layer = blocked->key.layer;
	event->verdict = blocked->verdict;
	event->link_header = blocked->link_header;
	event->flags = blocked->flags;
	__builtin_memcpy(event->comm, blocked->value.comm, sizeof(event->comm));
}

EG_INLINE void eg_event_build(EG_CONTEXT *skb, const struct eg_blocked *blocked,
			      struct eg_event *event)
{
	__u32 last;

	eg_event_fill(blocked, event);
	event->ifindex = eg_context_ifindex(skb);
	event->length = eg_context_length(skb);

	last = eg_context_length(skb) - 1;
	/* In a form in which the verifier of 5.10 sees that the length is from 1 to EG_SNAP_LEN;
	 * the compiler must not see that the mask changes nothing. */
	if (last > EG_SNAP_LEN - 1)
		last = EG_SNAP_LEN - 1;
	asm volatile("" : "+r"(last));
	last &= EG_SNAP_LEN - 1;
	event->snap_len = (__u16)eg_context_snap(skb, event->snap, last + 1);
}

/* Whether any slot has a viewer at all: without a branch for each, as mostly none has. */
EG_INLINE int eg_viewers_any(const struct eg_viewer_beats *beats)
{
	__u64 any = 0;

	EG_UNROLL
	for (__u32 i = 0; i < EG_VIEWERS; i++)
		any |= beats->beat_ns[i];
	return any != 0;
}

/* Whether a live viewer has this slot: a killed one costs a comparison. */
EG_INLINE int eg_viewer_is_live(__u64 beat_ns, __u64 now)
{
	/* Signed, as a beat may be newer than `now`: the viewer runs on another CPU. */
	return beat_ns && (__s64)(now - beat_ns) < (__s64)EG_VIEWER_STALE_NS;
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

/* Not inlined: it is called for each of the slots. */
static __attribute__((noinline)) int eg_viewer_tell(EG_CONTEXT *skb, __u32 viewer,
						    const struct eg_blocked *blocked)
{
	struct eg_event *event = eg_viewer_reserve(viewer);

	if (!event)
		return -1;
	eg_event_build(skb, blocked, event);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

/* What became of a packet, in one number. */
#define EG_OUTCOME_REASON  0
#define EG_OUTCOME_LAYER   8
#define EG_OUTCOME_VERDICT 16
#define EG_OUTCOME_FLAGS   24

enum eg_outcome_flag {
	EG_OUTCOME_LINK_HEADER = 1 << 0,
	EG_OUTCOME_PROBE = 1 << 1,
};

EG_INLINE __u8 eg_outcome(__u32 outcome, __u32 member)
{
	return (__u8)(outcome >> member);
}

/* All that follows a drop. What was dropped is read from the frame again, which is little beside
 * the rest. */
EG_INLINE int eg_blocked_record(EG_CONTEXT *skb, const struct eg_frame *frame, __u32 outcome,
				__u32 packets, __u64 active_since_ns)
{
	const __u8 flags = eg_outcome(outcome, EG_OUTCOME_FLAGS);
	struct eg_blocked blocked = {};
	const struct eg_viewer_beats *beats;
	int is_new, is_watched;
	__u32 zero = 0;
	__u64 now;

	(void)eg_parse(frame, &blocked.pkt);
	now = bpf_ktime_get_ns();
	blocked.verdict = eg_outcome(outcome, EG_OUTCOME_VERDICT);
	blocked.link_header = flags & EG_OUTCOME_LINK_HEADER;
	blocked.key.dst = blocked.pkt.dst;
	blocked.key.dport_be = blocked.pkt.dport_be;
	blocked.key.family = blocked.pkt.family;
	blocked.key.proto = blocked.pkt.proto;
	blocked.key.reason = eg_outcome(outcome, EG_OUTCOME_REASON);
	blocked.key.layer = eg_outcome(outcome, EG_OUTCOME_LAYER);
	blocked.key.would = blocked.verdict == EG_VERDICT_WOULD_DROP;
	blocked.value.packets = packets;
	blocked.value.bytes = frame->length;
	blocked.value.first_ns = now;
	blocked.value.last_ns = now;
	if (flags & EG_OUTCOME_PROBE) {
		blocked.flags = EG_EVENT_PROBE;
	} else if (blocked.key.layer == EG_LAYER_PEER && blocked.verdict == EG_VERDICT_DROP &&
		   now - active_since_ns < EG_TRANSITION_NS) {
		blocked.flags = EG_EVENT_TRANSITION;
		eg_count(EG_COUNTER_TRANSITION, packets, frame->length);
	}
	beats = bpf_map_lookup_elem(&viewer_beats, &zero);
	if (!beats)
		return -1;
	eg_owner_find(skb, &blocked);
	is_new = flags & EG_OUTCOME_PROBE ? 0 : eg_recent_add(&blocked);
	is_watched = eg_viewers_any(beats);
	if (!is_new && !EG_UNLIKELY(is_watched))
		return 0;
	eg_owner_ask(skb, &blocked);
	eg_owner_forget(&blocked, (__u32)now);
	if (is_new)
		eg_recent_begin(&blocked);
	if (!is_watched)
		return 0;
	EG_UNROLL
	for (__u32 i = 0; i < EG_VIEWERS; i++)
		if (EG_UNLIKELY(eg_viewer_is_live(beats->beat_ns[i], now)))
			eg_viewer_tell(skb, i, &blocked);
	return 0;
}

/* The same as below, of what passes in any mode. */
EG_INLINE int eg_record_allowed(const struct eg_frame *frame, enum eg_layer layer,
				enum eg_reason reason)
{
	return eg_count(eg_counter_index(layer, 0, reason), eg_frame_segments(frame), frame->length)
		       ? EG_HOOK_DROP
		       : EG_HOOK_PASS;
}

/* Records the reason and returns what the hook is to do. */
EG_INLINE int eg_record(const struct eg_frame *frame, const struct eg_tables *tables,
			enum eg_layer layer, enum eg_reason reason)
{
	enum eg_verdict verdict = eg_reason_verdict(reason);
	__u32 packets = eg_frame_segments(frame);
	__u32 flags = frame->link_header ? EG_OUTCOME_LINK_HEADER : 0;
	__u32 counter;

	if (EG_UNLIKELY(verdict == EG_VERDICT_DROP) && (tables->config->flags & EG_CONFIG_AUDIT))
		verdict = EG_VERDICT_WOULD_DROP;
	counter = eg_counter_index(layer, verdict == EG_VERDICT_WOULD_DROP, reason);
	if (EG_UNLIKELY(verdict != EG_VERDICT_ALLOW) && EG_UNLIKELY(eg_frame_is_probe(frame))) {
		counter += EG_COUNTERS_PROBES;
		flags |= EG_OUTCOME_PROBE;
	}
	if (eg_count(counter, packets, frame->length))
		return EG_HOOK_DROP;
	if (EG_UNLIKELY(verdict != EG_VERDICT_ALLOW))
		eg_frame_blocked(
			frame,
			(__u32)reason << EG_OUTCOME_REASON | (__u32)layer << EG_OUTCOME_LAYER |
				(__u32)verdict << EG_OUTCOME_VERDICT | flags << EG_OUTCOME_FLAGS,
			packets, tables->config->active_since_ns);
	return verdict == EG_VERDICT_DROP ? EG_HOOK_DROP : EG_HOOK_PASS;
}

#endif /* EG_RECORD_H */
