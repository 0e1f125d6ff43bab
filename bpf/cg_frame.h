/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A packet at a cgroup's egress, as eg_parse.h wants it. It begins with the IP header, and is read
 * by helper: `data_end` means nothing in test runs of older kernels, and headers cannot be moved to
 * the linear part here.
 *
 * This hook can be preempted, and what runs instead may run this very program on this CPU. So
 * nothing is kept in per-CPU memory, and counters are added to atomically.
 */
#ifndef EG_CG_FRAME_H
#define EG_CG_FRAME_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "common.h"

#ifdef EG_WITH_BTF
#include <bpf/bpf_core_read.h>

#include "kernel_types.h"
#endif

#include "eg_abi.h"

/* What the kernel takes for an answer at this hook. */
#define EG_HOOK_PASS 1
#define EG_HOOK_DROP 0

/* What record.h knows a packet by. */
#define EG_CONTEXT struct __sk_buff

/* The longest header that is asked for at once: IPv6's. */
#define EG_SCRATCH_LEN 40

struct eg_frame {
	EG_CONTEXT *skb;
	__u64 checksum;
	__u32 length;
	__u32 gso_size;
	__u32 linear; /* bytes of it that are the kernel's own; all of them where that is not known
		       */
	__u8 link_header;
	__u8 vlan_tags;
	__u8 pad[2];
	__u64 scratch[EG_SCRATCH_LEN / 8]; /* what eg_frame_at() found last */
};

#include "chain.h"

/*
 * Beyond the linear part a packet may lie in pages that its sender still writes to (spliced ones).
 * An honest sender's headers are in the linear part; what may not be is a payload, WireGuard's
 * first bytes that is, and whoever changes those afterwards sends to an endpoint all the same.
 */
EG_INLINE int eg_frame_is_own(const struct eg_frame *frame, __u32 offset, const __u32 len)
{
	return offset + len <= frame->linear || len <= sizeof(struct eg_wg_header);
}

/* One at a time: the next one takes its place. The parser is done with a header when it asks for
 * another one. */
static inline const void *eg_frame_at(const struct eg_frame *frame, __u32 offset, const __u32 len)
{
	void *scratch = (void *)frame->scratch;

	_Static_assert(sizeof(struct eg_ipv6) <= EG_SCRATCH_LEN, "a header fits");
	if (len > EG_SCRATCH_LEN || !eg_frame_is_own(frame, offset, len) ||
	    bpf_skb_load_bytes(frame->skb, offset, scratch, len))
		return NULL;
	return scratch;
}

static inline int eg_frame_copy(const struct eg_frame *frame, __u32 offset, const __u32 len,
				void *to)
{
	if (offset + len > frame->linear)
		return -1;
	return (int)bpf_skb_load_bytes(frame->skb, offset, to, len);
}

EG_GLOBAL int eg_cg_ipv4_options(struct __sk_buff *skb, __u32 offset, __u32 len, __u32 linear)
{
	struct eg_frame frame = {.skb = skb, .linear = linear};

	if (len > EG_IPV4_OPTS_MAX)
		return EG_REASON_MALFORMED;
	return eg_parse_ipv4_options(&frame, offset, len);
}

static inline int eg_frame_ipv4_options(const struct eg_frame *frame, __u32 offset, __u32 len)
{
	return eg_cg_ipv4_options(frame->skb, offset, len, frame->linear);
}

EG_GLOBAL int eg_cg_ipv6_chain(struct __sk_buff *skb, __u32 offset, __u32 end, __u32 proto,
			       __u32 linear)
{
	struct eg_frame frame = {.skb = skb, .linear = linear};

	return eg_chain_walk(&frame, offset, end, proto);
}

static inline int eg_frame_ipv6_chain(const struct eg_frame *frame, struct eg_packet *pkt,
				      struct eg_transport *transport)
{
	return eg_chain_found((__u32)eg_cg_ipv6_chain(frame->skb, transport->offset, transport->end,
						      pkt->proto, frame->linear),
			      pkt, transport);
}

/* --- what only the kernel's own structure tells ------------------------------------------------
 */

#ifdef EG_WITH_BTF
/* Where a checksum is going to be written. */
EG_GLOBAL __u64 eg_cg_checksum(struct __sk_buff *context)
{
	const struct sk_buff *skb = (const void *)context;

	if (BPF_CORE_READ_BITFIELD_PROBED(skb, ip_summed) != EG_CHECKSUM_PARTIAL)
		return 0;
	return EG_CHECKSUM_PENDING((__u32)BPF_CORE_READ(skb, csum_start) -
					   BPF_CORE_READ(skb, network_header),
				   BPF_CORE_READ(skb, csum_offset));
}

EG_GLOBAL __u32 eg_cg_linear(struct __sk_buff *context)
{
	const struct sk_buff *skb = (const void *)context;

	return context->len - BPF_CORE_READ(skb, data_len);
}
#else
EG_INLINE __u64 eg_cg_checksum(struct __sk_buff *skb)
{
	(void)skb;
	return 0;
}

EG_INLINE __u32 eg_cg_linear(struct __sk_buff *skb)
{
	return skb->len;
}
#endif

EG_INLINE struct eg_frame eg_frame_open(struct __sk_buff *skb, __u64 checksum, __u32 linear)
{
	return (struct eg_frame){
		.skb = skb,
		.checksum = checksum,
		.length = skb->len,
		.gso_size = skb->gso_size,
		.linear = linear,
	};
}

/* --- what record.h asks ----------------------------------------------------------------------- */

#include "context.h"

#define EG_COUNT_ADD(counter, n) __sync_fetch_and_add(&(counter), n)

#endif /* EG_CG_FRAME_H */
