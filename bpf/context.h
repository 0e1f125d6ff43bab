/* SPDX-License-Identifier: GPL-2.0 */
/* What record.h asks of a frame and of its context where that is a struct __sk_buff. Included where
 * struct eg_frame is known, which has `skb`, `length` and `gso_size`. */
#ifndef EG_CONTEXT_H
#define EG_CONTEXT_H

/* A sender in user space (PACKET_VNET_HDR, a VM's tap) leaves gso_segs zero; the segments are then
 * counted by the frame's length, its headers included. */
EG_INLINE __u32 eg_frame_segments(const struct eg_frame *frame)
{
	__u32 segs;

	if (!EG_UNLIKELY(frame->gso_size))
		return 1;
	segs = frame->skb->gso_segs;
	return segs ? segs : (frame->length + frame->gso_size - 1) / frame->gso_size;
}

EG_INLINE __u32 eg_context_length(const EG_CONTEXT *skb)
{
	return skb->len;
}

EG_INLINE __u32 eg_context_ifindex(const EG_CONTEXT *skb)
{
	return skb->ifindex;
}

/* The packet's first bytes, up to `len`, which is from 1 to EG_SNAP_LEN; returns how many. */
EG_INLINE int eg_context_snap(EG_CONTEXT *skb, void *to, __u32 len)
{
	return bpf_skb_load_bytes(skb, 0, to, len) ? 0 : (int)len;
}

#endif /* EG_CONTEXT_H */
