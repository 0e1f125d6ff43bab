/* SPDX-License-Identifier: GPL-2.0 */
/* A frame at a tc hook, as eg_parse.h wants it. */
#ifndef EG_FRAME_H
#define EG_FRAME_H

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "common.h"

#ifdef EG_WITH_BTF
#include <bpf/bpf_core_read.h>

#include "kernel_types.h"
#endif

#include "eg_abi.h"

/* To pass is TC_ACT_UNSPEC, which is TCX_NEXT: what comes after us in the chain still runs. */
#define EG_HOOK_PASS TC_ACT_UNSPEC
#define EG_HOOK_DROP TC_ACT_SHOT

/* What record.h knows a packet by. */
#define EG_CONTEXT struct __sk_buff

struct eg_frame {
	EG_CONTEXT *skb;
	__u32 length;
	__u32 gso_size;
	__u64 checksum;
	__u8 link_header;
	__u8 vlan_tags;
	__u8 owned; /* all that eg_frame_copy() reads is in the linear part */
};

#include "chain.h"

/* The verifier wants a bound for what is added to a packet pointer; no header of an allowed packet
 * begins beyond this. */
#define EG_DIRECT_MAX 0x7fff

/* The context's 32 bits become a pointer in the load itself: whatever a compiler put in between,
 * the verifier would see a number. */
#define EG_SKB_POINTER(skb, member)                                                                \
	({                                                                                         \
		const void *pointer_;                                                              \
		asm volatile("%0 = *(u32 *)(%1 + %2)"                                              \
			     : "=r"(pointer_)                                                      \
			     : "r"(skb), "i"(__builtin_offsetof(struct __sk_buff, member)));       \
		pointer_;                                                                          \
	})

/* In place where the skb's linear part has it. */
EG_INLINE const void *eg_frame_direct(const struct eg_frame *frame, __u32 offset, const __u32 len)
{
	const void *data = EG_SKB_POINTER(frame->skb, data);
	const void *data_end = EG_SKB_POINTER(frame->skb, data_end);

	if (offset > EG_DIRECT_MAX)
		return NULL;
	/* On paths that cannot be, the verifier of 5.10 loses the bounds that the test above gave;
	 * the compiler must not see that the mask changes nothing. */
	if (!__builtin_constant_p(offset)) {
		asm volatile("" : "+r"(offset));
		offset &= EG_DIRECT_MAX;
	}
	data += offset;
	if (data + len > data_end)
		return NULL;
	if (!data) /* which no caller then has to ask */
		__builtin_unreachable();
	return data;
}

/* What is moved at once: the headers of nearly every packet. */
#define EG_OWN_LEN 128U

/*
 * Beyond the linear part a packet may lie in pages that its sender still writes to (a TX ring's,
 * spliced ones): what was judged there could be something else when it leaves. So nothing is judged
 * there; what is looked at moves to the linear part first, which is the kernel's own.
 */
EG_GLOBAL int eg_skb_own(struct __sk_buff *skb, __u32 end)
{
	__u32 headers = skb->len;

	if (headers > EG_OWN_LEN)
		headers = EG_OWN_LEN;
	return (int)bpf_skb_pull_data(skb, end > headers ? end : headers);
}

/* Moves it there first where the linear part ends early (segmentation, transmit rings). */
static inline const void *eg_frame_at(const struct eg_frame *frame, __u32 offset, const __u32 len)
{
	const void *at = eg_frame_direct(frame, offset, len);

	if (EG_UNLIKELY(!at)) {
		if (eg_skb_own(frame->skb, offset + len) < 0)
			return NULL;
		at = eg_frame_direct(frame, offset, len);
	}
	return at;
}

EG_INLINE const void *eg_frame_peek(const struct eg_frame *frame, const __u32 len)
{
	return eg_frame_direct(frame, 0, len);
}

static inline int eg_frame_copy(const struct eg_frame *frame, __u32 offset, const __u32 len,
				void *to)
{
	if (!frame->owned && bpf_skb_pull_data(frame->skb, offset + len) < 0)
		return -1;
	return (int)bpf_skb_load_bytes(frame->skb, offset, to, len);
}

/*
 * Options and extension headers are rare, and loops that jump from one to the next are hard to
 * verify. So these are global functions, and they read by helper: what is added to a packet pointer
 * would have to be known precisely in each step.
 */
EG_GLOBAL int eg_skb_ipv4_options(struct __sk_buff *skb, __u32 offset, __u32 len)
{
	struct eg_frame frame = {.skb = skb, .owned = 1};

	/* Not by eg_skb_own(): the fewer calls, the more stack they may have together. */
	if (len > EG_IPV4_OPTS_MAX || bpf_skb_pull_data(skb, offset + len) < 0)
		return EG_REASON_MALFORMED;
	return eg_parse_ipv4_options(&frame, offset, len);
}

static inline int eg_frame_ipv4_options(const struct eg_frame *frame, __u32 offset, __u32 len)
{
	return eg_skb_ipv4_options(frame->skb, offset, len);
}

EG_GLOBAL int eg_skb_ipv6_chain(struct __sk_buff *skb, __u32 offset, __u32 end, __u32 proto)
{
	struct eg_frame frame = {.skb = skb};

	return eg_chain_walk(&frame, offset, end, proto);
}

static inline int eg_frame_ipv6_chain(const struct eg_frame *frame, struct eg_packet *pkt,
				      struct eg_transport *transport)
{
	return eg_chain_found(
		(__u32)eg_skb_ipv6_chain(frame->skb, transport->offset, transport->end, pkt->proto),
		pkt, transport);
}

/* In a frame's `checksum`, too: tc ingress will be left out (eg_skb_copy_and_read()), or more
 * leaves than is seen here (eg_skb_is_chain()). Whatever its addresses, it does not pass. */
#define EG_ESCAPES (1ULL << 62)

#ifdef EG_WITH_BTF
/* The part of struct sk_buff that the checksum test needs, read at once: a helper call costs more
 * than the bytes. It starts with the byte that has ip_summed; on all known kernels (5.10 to 7.3)
 * mac_header follows within 60 bytes. */
struct eg_skb_window {
	__u8 bytes[64];
};

/* Byte offset of a member; a constant once CO-RE has been at it. */
#define EG_SKB_OFFSET(skb, member)                                                                 \
	((__u32)__builtin_preserve_field_info((skb)->member, BPF_FIELD_BYTE_OFFSET))

EG_INLINE __u16 eg_skb_window_u16(const struct eg_skb_window *window, __u32 at)
{
	return *(const __u16 *)(window->bytes + at);
}

/* One bit, found as CO-RE tells; taken as set where it cannot be found. A kernel without tc actions
 * (CONFIG_NET_CLS_ACT) has no such bit, and no tc hook either. */
EG_INLINE __u8 eg_skb_window_skips(const struct sk_buff *skb, const struct eg_skb_window *window,
				   __u32 base)
{
	const __u32 at = EG_SKB_OFFSET(skb, tc_skip_classify) - base;
	__u64 value;

	if (!bpf_core_field_exists(skb->tc_skip_classify))
		return 0;
	if (at >= sizeof(*window) ||
	    __builtin_preserve_field_info(skb->tc_skip_classify, BPF_FIELD_BYTE_SIZE) != 1)
		return 1;
	value = window->bytes[at];
	value <<= __builtin_preserve_field_info(skb->tc_skip_classify, BPF_FIELD_LSHIFT_U64);
	value >>= __builtin_preserve_field_info(skb->tc_skip_classify, BPF_FIELD_RSHIFT_U64);
	return value != 0;
}

/* The context as the kernel's own structure, which is then read in place: no helper, no copy. In
 * the kernel since 6.2, and free: the verifier makes a move of the call. */
extern void *bpf_cast_to_kern_ctx(void *context) __ksym __weak;

/* Of 6.4: where this is, the function is too. CO-RE can ask for types only. */
enum bpf_attach_type___netfilter {
	BPF_NETFILTER___since_6_4 = 45,
};

/* A constant once CO-RE has been at it: what is not for this kernel is not verified, and not there.
 */
EG_INLINE int eg_skb_is_readable(void)
{
	return bpf_core_enum_value_exists(enum bpf_attach_type___netfilter,
					  BPF_NETFILTER___since_6_4);
}

/*
 * Fraglist GRO chains received packets to one. Each keeps its own headers, but what is judged,
 * routed and translated is the first one's; when the chain is cut, a kernel may bring the others
 * out as they came (UDP over IPv4 before 5.12, over IPv6 before 6.15). Only what is forwarded can
 * be such a chain, and only where somebody asked for it (ethtool's rx-gro-list).
 *
 * Here for kernels that let us read in place.
 */
EG_INLINE int eg_skb_is_chain(const struct sk_buff *skb)
{
	return (eg_skb_shared(skb)->gso_type & EG_GSO_FRAGLIST) != 0;
}

/* And for the others. What cannot be read counts as one. */
EG_INLINE int eg_skb_copies_chain(const struct sk_buff *skb)
{
	const struct skb_shared_info *shared;
	const unsigned char *head;
	__u32 end, type;

	if (bpf_probe_read_kernel(&head, sizeof(head), &skb->head) ||
	    bpf_probe_read_kernel(&end, sizeof(end), &skb->end))
		return 1;
	shared = (const void *)(head + end);
	return bpf_probe_read_kernel(&type, sizeof(type), &shared->gso_type) ||
	       (type & EG_GSO_FRAGLIST);
}

/* A bit field in place, by where CO-RE finds it. Of one byte only (EG_SKB_BITS_SIZE()): of another
 * width the shifts would not fit what is loaded. */
#define EG_SKB_BITS_SIZE(skb, member)                                                              \
	__builtin_preserve_field_info((skb)->member, BPF_FIELD_BYTE_SIZE)
#define EG_SKB_BITS(skb, member)                                                                   \
	((__u64) * ((const __u8 *)(skb) + EG_SKB_OFFSET(skb, member))                              \
		 << __builtin_preserve_field_info((skb)->member, BPF_FIELD_LSHIFT_U64) >>          \
	 __builtin_preserve_field_info((skb)->member, BPF_FIELD_RSHIFT_U64))

/* The same as below, for kernels that let us. */
EG_INLINE __u64 eg_skb_read(struct __sk_buff *context, __u32 gso_size)
{
	const struct sk_buff *skb = bpf_cast_to_kern_ctx(context);
	__u64 found = 0;

	if (EG_SKB_BITS_SIZE(skb, ip_summed) != 1)
		return EG_CHECKSUM_PENDING(0, 0);
	if (EG_SKB_BITS(skb, ip_summed) == EG_CHECKSUM_PARTIAL)
		found = EG_CHECKSUM_PENDING((__u32)skb->csum_start - skb->mac_header,
					    skb->csum_offset);
	if (bpf_core_field_exists(skb->tc_skip_classify) &&
	    (EG_SKB_BITS_SIZE(skb, tc_skip_classify) != 1 || EG_SKB_BITS(skb, tc_skip_classify)))
		found |= EG_ESCAPES;
	if (EG_UNLIKELY(gso_size) && eg_skb_is_chain(skb))
		found |= EG_ESCAPES;
	return found;
}

/*
 * Where the checksum is going to be written. __sk_buff does not tell, so struct sk_buff is read. At
 * tc egress and at a veth's ingress, with and without a link-layer header, the frame's first byte
 * is where mac_header points. What cannot be read (lockdown) or found counts as a checksum aimed at
 * nowhere: the frame is malformed.
 *
 * tc_skip_classify is set by an ifb on what it sends on (drivers/net/ifb.c). A veth keeps it, and
 * the other end's receive path then leaves tc ingress out (__netif_receive_skb_core()), and `peer`
 * with it. So what has it must not pass `device`.
 */
EG_GLOBAL __u64 eg_skb_copy_and_read(struct __sk_buff *context)
{
	const struct sk_buff *skb = (const void *)context;
	const __u32 base = EG_SKB_OFFSET(skb, ip_summed);
	const __u32 start = EG_SKB_OFFSET(skb, csum_start) - base;
	const __u32 offset = EG_SKB_OFFSET(skb, csum_offset) - base;
	const __u32 mac_header = EG_SKB_OFFSET(skb, mac_header) - base;
	const __u32 last = sizeof(struct eg_skb_window) - sizeof(__u16);
	struct eg_skb_window window;
	__u64 ip_summed, found = 0;

	if (start > last || offset > last || mac_header > last ||
	    __builtin_preserve_field_info(skb->ip_summed, BPF_FIELD_BYTE_SIZE) != 1 ||
	    bpf_probe_read_kernel(&window, sizeof(window), (const void *)skb + base))
		return EG_CHECKSUM_PENDING(0, 0);
	ip_summed = window.bytes[0];
	ip_summed <<= __builtin_preserve_field_info(skb->ip_summed, BPF_FIELD_LSHIFT_U64);
	ip_summed >>= __builtin_preserve_field_info(skb->ip_summed, BPF_FIELD_RSHIFT_U64);
	if (ip_summed == EG_CHECKSUM_PARTIAL)
		found = EG_CHECKSUM_PENDING((__u32)eg_skb_window_u16(&window, start) -
						    eg_skb_window_u16(&window, mac_header),
					    eg_skb_window_u16(&window, offset));
	if (eg_skb_window_skips(skb, &window, base) ||
	    (EG_UNLIKELY(context->gso_size) && eg_skb_copies_chain(skb)))
		found |= EG_ESCAPES;
	return found;
}

/* `gso_size`: the context's own, which whoever asks has read already. */
EG_INLINE __u64 eg_skb_inspect(struct __sk_buff *context, __u32 gso_size)
{
	return eg_skb_is_readable() ? eg_skb_read(context, gso_size)
				    : eg_skb_copy_and_read(context);
}

/* The verifier knows of what was found on which way it was; what comes after is the same for all.
 */
EG_INLINE __u64 eg_skb_forget(const struct __sk_buff *context, __u64 found)
{
	return (__u64)eg_forget((__u32)(found >> 32), context->len) << 32 |
	       eg_forget((__u32)found, context->len);
}
#else
/* Without the kernel's BTF nobody knows where ip_summed is: uncovered, and reported as such
 * (EG_META_NO_CHECKSUM_TEST). */
EG_INLINE __u64 eg_skb_inspect(struct __sk_buff *skb, __u32 gso_size)
{
	(void)skb;
	(void)gso_size;
	return 0;
}

EG_INLINE __u64 eg_skb_forget(const struct __sk_buff *skb, __u64 found)
{
	(void)skb;
	return found;
}
#endif

EG_INLINE struct eg_frame eg_frame_open(struct __sk_buff *skb, __u8 link_header, __u64 checksum)
{
	return (struct eg_frame){
		.skb = skb,
		.length = skb->len,
		.gso_size = skb->gso_size,
		.checksum = checksum,
		.link_header = link_header,
		.vlan_tags = skb->vlan_present ? 1 : 0,
	};
}

/* --- what record.h asks ----------------------------------------------------------------------- */

#include "context.h"

/* A tc hook runs with softirqs off: nobody else is at this CPU's copy. */
#define EG_COUNT_ADD(counter, n) ((counter) += (n))

/* --- what tables.h asks ----------------------------------------------------------------------- */

/* Each family is judged in a function of its own (eg_skb_judge_ipv4(), eg_skb_judge_ipv6()). */
struct eg_config;
struct eg_tables;
static inline enum eg_reason eg_judge_ipv4(const struct eg_frame *frame, __u32 offset,
					   const struct eg_tables *tables)
	__attribute__((always_inline));
static inline enum eg_reason eg_judge_ipv6(const struct eg_frame *frame, __u32 offset,
					   const struct eg_tables *tables)
	__attribute__((always_inline));
#define EG_JUDGE_IPV4(frame, offset, config, tables, pkt) eg_judge_ipv4(frame, offset, tables)
#define EG_JUDGE_IPV6(frame, offset, config, tables, pkt) eg_judge_ipv6(frame, offset, tables)

#endif /* EG_FRAME_H */
