// SPDX-License-Identifier: GPL-2.0
/*
 * The program of the layer `cgroup`: at the egress of a cgroup and all beneath it. It sees what
 * sockets send that were made in there, wherever that leaves; neither packet sockets nor what the
 * kernel sends by itself.
 *
 * Compiled twice: with EG_WITH_BTF it looks at the outgoing device by the running kernel's BTF;
 * without it nothing tells a tunnel from other devices, so that none is free.
 */
#include "cg_frame.h"

#include "record.h"
#include "tunnel.h"

/* Loopback has this index in every network namespace (the kernel's LOOPBACK_IFINDEX). */
#define EG_LOOPBACK_IFINDEX 1

/* --- the device ------------------------------------------------------------------------------- */

#ifdef EG_WITH_BTF
/* An index and a name mean something in one network namespace only. */
EG_INLINE int eg_is_home(const struct net_device *dev, const struct eg_home *known)
{
	const struct net *net = BPF_CORE_READ(dev, nd_net.net);

	if (!known->netns_inode || known->netns_inode != BPF_CORE_READ(net, ns.inum))
		return 0;
	if (!known->netns_cookie)
		return 1;
	return bpf_core_field_exists(net->net_cookie) &&
	       known->netns_cookie == BPF_CORE_READ(net, net_cookie);
}

EG_INLINE const struct net_device *eg_cg_device(struct __sk_buff *skb)
{
	return BPF_CORE_READ((const struct sk_buff *)(const void *)skb, dev);
}

/* Three global functions, each with one question: the verifier follows their ways one after the
 * other, and not each with each. */
EG_GLOBAL int eg_cg_is_declared(struct __sk_buff *skb, __u32 slot)
{
	const struct net_device *dev = eg_cg_device(skb);
	__u64 name[EG_TUNNEL_NAME_WORDS] = {};

	return !BPF_CORE_READ_INTO(&name, dev, name) && eg_tunnel_is_declared(name, slot);
}

/* A tun's owner was asked when the guard was attached, as a packet cannot. */
EG_GLOBAL int eg_cg_is_known_tun(struct __sk_buff *skb)
{
	__u32 zero = 0, ifindex = skb->ifindex;
	const struct eg_home *known = bpf_map_lookup_elem(&home, &zero);

	if (!known || !ifindex || BPF_CORE_READ(eg_cg_device(skb), type) != EG_ARPHRD_NONE)
		return 0;
	EG_UNROLL
	for (__u32 i = 0; i < EG_TUNNELS_MAX; i++)
		if (known->tuns[i] == ifindex)
			return 1;
	return 0;
}

/* By namespace, name and link kind at this moment: a tunnel that was made again is one, a veth of
 * its name is none. What cannot be read is none either. */
EG_GLOBAL int eg_cg_is_tunnel(struct __sk_buff *skb, __u32 slot)
{
	const struct net_device *dev = eg_cg_device(skb);
	const struct eg_home *known;
	__u64 kind[2] = {};
	__u32 zero = 0;

	known = bpf_map_lookup_elem(&home, &zero);
	if (!known || !dev || !eg_is_home(dev, known) || !eg_cg_is_declared(skb, slot) ||
	    bpf_probe_read_kernel_str(kind, sizeof(kind), BPF_CORE_READ(dev, rtnl_link_ops, kind)) <
		    0)
		return 0;
	if (EG_KIND_IS(kind, "wireguard"))
		return 1;
	return EG_KIND_IS(kind, "tun") && eg_cg_is_known_tun(skb);
}
#else
EG_INLINE int eg_cg_is_tunnel(struct __sk_buff *skb, __u32 slot)
{
	(void)skb;
	(void)slot;
	return 0;
}
#endif

/* --- the packet ------------------------------------------------------------------------------- */

/* What of it is not in the linear part is not known, and then it is none. */
EG_GLOBAL int eg_cg_asks_name(struct __sk_buff *skb, __u32 offset, __u32 family, __u32 slot,
			      __u32 which)
{
	const struct eg_bootstrap_name *name = eg_table_name(slot, which);
	struct eg_frame frame = {
		.skb = skb, .gso_size = skb->gso_size, .linear = eg_cg_linear(skb)};

	return name && eg_question_asks(&frame, offset, family, name);
}

EG_GLOBAL int eg_cg_asks(struct __sk_buff *skb, __u32 offset, __u32 family, __u32 slot)
{
	if (!eg_window_is_open(slot))
		return 0;
	for (__u32 which = 0; which < EG_BOOTSTRAP_NAMES; which++)
		if (eg_cg_asks_name(skb, offset, family, slot, which))
			return 1;
	return 0;
}

static inline int eg_frame_asks(const struct eg_frame *frame, __u32 offset, __u32 family,
				__u32 slot)
{
	return eg_cg_asks(frame->skb, offset, family, slot);
}

/* Rows 2 to 17. A global function: what it returns, the verifier follows once. */
EG_GLOBAL int eg_cg_judge(struct __sk_buff *skb, __u32 slot, __u64 checksum, __u32 linear)
{
	struct eg_frame frame = eg_frame_open(skb, checksum, linear);
	struct eg_tables tables = {.slot = slot};
	struct eg_packet pkt = {};

	tables.config = bpf_map_lookup_elem(&config, &slot);
	tables.front4 = bpf_map_lookup_elem(&front4, &slot);
	if (!tables.config || !tables.front4)
		return EG_REASON_MALFORMED;
	return eg_judge(&frame, tables.config, &tables, &pkt);
}

EG_GLOBAL int eg_cg_blocked(struct __sk_buff *skb, __u32 outcome, __u32 packets,
			    __u64 active_since_ns)
{
	struct eg_frame frame = eg_frame_open(skb, 0, skb->len);

	return eg_blocked_record(skb, &frame, outcome, packets, active_since_ns);
}

EG_INLINE int eg_frame_blocked(const struct eg_frame *frame, __u32 outcome, __u32 packets,
			       __u64 active_since_ns)
{
	return eg_cg_blocked(frame->skb, outcome, packets, active_since_ns);
}

SEC("cgroup_skb/egress")
int eg_cgroup(struct __sk_buff *skb)
{
	struct eg_tables tables;
	struct eg_frame frame;
	enum eg_reason reason;

	if (eg_tables_open(&tables))
		return EG_HOOK_DROP;
	frame = eg_frame_open(skb, 0, 0);
	if (skb->ifindex == EG_LOOPBACK_IFINDEX)
		reason = EG_REASON_LOOPBACK;
	else if (eg_cg_is_tunnel(skb, tables.slot))
		reason = EG_REASON_TUNNEL;
	else
		reason = eg_cg_judge(skb, tables.slot, eg_cg_checksum(skb), eg_cg_linear(skb));
	if (reason >= EG_REASON_COUNT)
		reason = EG_REASON_MALFORMED;
	return eg_record(&frame, &tables, EG_LAYER_CGROUP, reason);
}

char LICENSE[] SEC("license") = "GPL";
