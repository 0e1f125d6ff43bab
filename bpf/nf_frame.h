/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An IP packet at a netfilter hook, as eg_parse.h wants it: its first bytes are copied once, and
 * that copy is all that is judged, recorded and shown.
 *
 * A netfilter hook can be preempted, and what runs instead may run this very program on this CPU.
 * So nothing is kept in per-CPU memory, all of it is on the stack, and counters are added to
 * atomically.
 */
#ifndef EG_NF_FRAME_H
#define EG_NF_FRAME_H

#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "eg_abi.h"

#include "common.h"
#include "kernel_types.h"

/* NF_ACCEPT and NF_DROP of linux/netfilter.h, which wants half of libc. */
#define EG_HOOK_PASS 1
#define EG_HOOK_DROP 0

/* The headers of an allowed packet end within it. More would not fit the stack, of which all
 * functions on the way have 512 bytes together. */
#define EG_HEAD_MAX 96

/* Numbers alone, so that a global function (EG_GLOBAL) takes it: the kernels that have this hook
 * allow such a function memory of a known size. */
struct eg_frame {
	__u64 checksum;
	__u32 length;
	__u32 gso_size;
	__u32 gso_segs;
	__u32 linear;   /* bytes of it that are the kernel's own */
	__u32 head_len; /* bytes of `head` in use */
	__u32 ifindex;
	__u64 cgroup_id;
	__u64 socket_cookie;
	__u32 uid;
	__u8 link_header;
	__u8 vlan_tags;
	__u8 is_chain; /* of fraglist GRO */
	__u8 pad;
	__u8 head[EG_HEAD_MAX];
};
_Static_assert(sizeof(struct eg_frame) == 56 + EG_HEAD_MAX, "no holes that nobody fills");

/* What record.h knows a packet by. */
#define EG_CONTEXT       const struct eg_frame
#define EG_OWNER_BY_HOOK 1

#include "chain.h"

/*
 * Beyond the linear part a packet may lie in pages that its sender still writes to (spliced ones).
 * An honest sender's headers are in the linear part; what may not be is a payload, WireGuard's
 * first bytes that is, and whoever changes those afterwards sends to an endpoint all the same.
 */
static inline const void *eg_frame_at(const struct eg_frame *frame, __u32 offset, const __u32 len)
{
	/* What is tested must be what is added, for the verifier to see the bound. */
	if (!__builtin_constant_p(offset))
		asm volatile("" : "+r"(offset));
	if (offset > EG_HEAD_MAX - len || offset + len > frame->head_len)
		return NULL;
	if (offset + len > frame->linear && len > sizeof(struct eg_wg_header))
		return NULL;
	return frame->head + offset;
}

static inline int eg_frame_copy(const struct eg_frame *frame, __u32 offset, const __u32 len,
				void *to)
{
	const void *at = eg_frame_at(frame, offset, len);

	if (!at || offset + len > frame->linear)
		return -1;
	__builtin_memcpy(to, at, len);
	return 0;
}

EG_GLOBAL int eg_nf_ipv4_options(const struct eg_frame *frame, __u32 offset, __u32 len)
{
	if (!frame || len > EG_IPV4_OPTS_MAX)
		return EG_REASON_MALFORMED;
	return eg_parse_ipv4_options(frame, offset, len);
}

static inline int eg_frame_ipv4_options(const struct eg_frame *frame, __u32 offset, __u32 len)
{
	return eg_nf_ipv4_options(frame, offset, len);
}

EG_GLOBAL int eg_nf_ipv6_chain(const struct eg_frame *frame, __u32 offset, __u32 end, __u32 proto)
{
	if (!frame)
		return (int)(1U << EG_CHAIN_MALFORMED);
	return eg_chain_walk(frame, offset, end, proto);
}

static inline int eg_frame_ipv6_chain(const struct eg_frame *frame, struct eg_packet *pkt,
				      struct eg_transport *transport)
{
	return eg_chain_found(
		(__u32)eg_nf_ipv6_chain(frame, transport->offset, transport->end, pkt->proto), pkt,
		transport);
}

/* --- what record.h asks ----------------------------------------------------------------------- */

EG_INLINE __u32 eg_frame_segments(const struct eg_frame *frame)
{
	if (!EG_UNLIKELY(frame->gso_size))
		return 1;
	return frame->gso_segs ? frame->gso_segs
			       : (frame->length + frame->gso_size - 1) / frame->gso_size;
}

EG_INLINE __u32 eg_context_length(EG_CONTEXT *frame)
{
	return frame->length;
}

EG_INLINE __u32 eg_context_ifindex(EG_CONTEXT *frame)
{
	return frame->ifindex;
}

EG_INLINE int eg_context_snap(EG_CONTEXT *frame, void *to, __u32 len)
{
	if (len > EG_HEAD_MAX)
		len = EG_HEAD_MAX;
	return bpf_probe_read_kernel(to, len, frame->head) ? 0 : (int)len;
}

#define EG_COUNT_ADD(counter, n) __sync_fetch_and_add(&(counter), n)

/* --- from the hook's context ------------------------------------------------------------------ */

struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
};

extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ret_ptr)
	__attribute__((section(".ksyms")));

/* What is counted of a packet. All of it but its head is then there. */
EG_INLINE void eg_frame_measure(const struct sk_buff *skb, const struct net_device *dev,
				struct eg_frame *frame)
{
	const struct skb_shared_info *shared = eg_skb_shared(skb);

	__builtin_memset(frame, 0, __builtin_offsetof(struct eg_frame, head));
	frame->length = skb->len;
	frame->ifindex = (__u32)dev->ifindex;
	frame->gso_size = shared->gso_size;
	frame->gso_segs = shared->gso_segs;
	frame->is_chain = frame->gso_size && (shared->gso_type & EG_GSO_FRAGLIST);
}

/* What is judged of it. At this hook the packet begins with its network header. A chain cannot be
 * judged by its first packet: EG_ESCAPES in frame.h says why. */
EG_INLINE int eg_frame_open(struct sk_buff *skb, struct eg_frame *frame)
{
	struct bpf_dynptr packet;
	__u32 len = frame->length;

	__builtin_memset(frame->head, 0, sizeof(frame->head));
	if (frame->is_chain)
		return -1;
	frame->linear = len - skb->data_len;
	if (BPF_CORE_READ_BITFIELD(skb, ip_summed) == EG_CHECKSUM_PARTIAL)
		frame->checksum = EG_CHECKSUM_PENDING((__u32)skb->csum_start - skb->network_header,
						      skb->csum_offset);
	if (len > EG_HEAD_MAX)
		len = EG_HEAD_MAX;
	frame->head_len = len;
	return bpf_dynptr_from_skb((struct __sk_buff *)skb, 0, &packet) ||
			       bpf_dynptr_read(frame->head, len, &packet, 0, 0)
		       ? -1
		       : 0;
}

/* sk_fullsock() */
#define EG_TCP_TIME_WAIT    6
#define EG_TCP_NEW_SYN_RECV 12

/*
 * By the packet's socket, as in record.h, and read from it as this hook has no helper for that. The
 * uid is one of the initial user namespace; where the network namespace belongs to another one, the
 * other layers tell uids of that, so here none is told.
 */
EG_INLINE void eg_frame_owner(const struct sk_buff *skb, struct eg_frame *frame)
{
	const struct sock *sk = skb->sk;
	__u8 state;

	frame->uid = EG_UID_UNKNOWN;
	if (!sk)
		return;
	state = sk->__sk_common.skc_state;
	if (state == EG_TCP_TIME_WAIT || state == EG_TCP_NEW_SYN_RECV)
		return;
	frame->cgroup_id = sk->sk_cgrp_data.cgroup->kn->id;
	if (!frame->cgroup_id)
		return;
	frame->socket_cookie = (__u64)sk->__sk_common.skc_cookie.counter;
	if (sk->__sk_common.skc_net.net->user_ns->level == 0)
		frame->uid = sk->sk_uid.val;
}

#endif /* EG_NF_FRAME_H */
