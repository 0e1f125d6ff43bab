// SPDX-License-Identifier: GPL-2.0
/*
 * The program of the layer `netns`: at netfilter's post-routing, the last place that all packets of
 * the IP stack pass, whatever interface they leave by. It judges those for interfaces that have no
 * `device` yet, from their first one.
 *
 * It reads the kernel's own structures by BTF, and so is absent where the kernel has none.
 */
#include "nf_frame.h"

#include "record.h"
#include "tunnel.h"

/* eg_frame_owner() has been asked already. */
EG_INLINE int eg_frame_is_probe(const struct eg_frame *frame)
{
	return frame->socket_cookie && eg_cookie_is_probe(frame->socket_cookie);
}

EG_INLINE void eg_owner_find(EG_CONTEXT *frame, struct eg_blocked *blocked)
{
	blocked->value.uid = EG_UID_UNKNOWN;
	blocked->key.cgroup_id = frame->cgroup_id;
	if (frame->cgroup_id)
		blocked->flags |= EG_EVENT_SOCKET;
}

EG_INLINE void eg_owner_ask(EG_CONTEXT *frame, struct eg_blocked *blocked)
{
	if (!(blocked->flags & EG_EVENT_SOCKET))
		return;
	blocked->socket_cookie = frame->socket_cookie;
	blocked->value.uid = frame->uid;
}

/* Of the process that holds the layer, and not pinned. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct eg_hold_settings);
} hold SEC(".maps");

#define EG_NFPROTO_IPV4 2
#define EG_IFF_LOOPBACK 0x8

/* --- the interface ---------------------------------------------------------------------------- */

/* Whether `device` is on it, and first in its chain: by what hangs there at this moment, since an
 * index may be another interface's a moment later. */
EG_INLINE int eg_is_covered(const struct net_device *dev, const struct eg_hold_settings *settings)
{
	const struct bpf_mprog_entry *chain;
	const struct bpf_prog *first;
	__u32 id;

	if (!bpf_core_field_exists(dev->tcx_egress))
		return 0;
	chain = dev->tcx_egress;
	if (!chain)
		return 0;
	first = chain->fp_items[0].prog;
	if (!first)
		return 0;
	id = first->aux->id;
	return id && (id == settings->device_prog || id == settings->device_l3_prog);
}

/* A tun's owner is asked by whoever holds the layer, as a packet cannot. */
EG_INLINE int eg_is_known_tun(const struct net_device *dev, const struct eg_hold_settings *settings)
{
	__u32 ifindex = (__u32)dev->ifindex;
	int found = 0;

	for (__u32 i = 0; i < EG_TUNNELS_MAX; i++)
		if (ifindex && settings->tuns[i] == ifindex)
			found = 1;
	return found && dev->type == EG_ARPHRD_NONE;
}

/* Read in words that end where the text does, its NUL included: behind that there may be nothing,
 * but where another text stands, what cannot be read is no match either. */
EG_INLINE int eg_kind_is_wireguard(const void *kind)
{
	const char text[] = "wireguard";
	__u64 first;
	__u16 last;

	_Static_assert(sizeof(text) == sizeof(first) + sizeof(last), "all of it");
	__builtin_memcpy(&first, text, sizeof(first));
	__builtin_memcpy(&last, text + sizeof(first), sizeof(last));
	return *(const __u64 *)kind == first && *(const __u16 *)(kind + sizeof(first)) == last;
}

EG_INLINE int eg_kind_is_tun(const void *kind)
{
	const char text[] = "tun";
	__u32 all;

	_Static_assert(sizeof(text) == sizeof(all), "all of it");
	__builtin_memcpy(&all, text, sizeof(all));
	return *(const __u32 *)kind == all;
}

/* By name and link kind at this moment: a tunnel that was made again is one, a veth of its name is
 * none. */
EG_INLINE int eg_is_tunnel(const struct net_device *dev, const struct eg_hold_settings *settings,
			   __u32 slot)
{
	const __u64 *words = (const void *)dev->name;
	const __u64 name[EG_TUNNEL_NAME_WORDS] = {words[0], words[1]};
	const struct rtnl_link_ops *ops;
	const void *kind;

	if (!eg_tunnel_is_declared(name, slot))
		return 0;
	ops = dev->rtnl_link_ops;
	if (!ops)
		return 0;
	kind = bpf_rdonly_cast(ops->kind, bpf_core_type_id_kernel(struct in6_addr));
	if (eg_kind_is_wireguard(kind))
		return 1;
	return eg_kind_is_tun(kind) && eg_is_known_tun(dev, settings);
}

/* --- the packet ------------------------------------------------------------------------------- */

/* Of a longer question than the copy holds the end is not seen: it is dropped here. */
EG_GLOBAL int eg_nf_asks_name(const struct eg_frame *frame, __u32 offset, __u32 family, __u32 slot,
			      __u32 which)
{
	const struct eg_bootstrap_name *name = eg_table_name(slot, which);

	return frame && name && eg_question_asks(frame, offset, family, name);
}

EG_GLOBAL int eg_nf_asks(const struct eg_frame *frame, __u32 offset, __u32 family, __u32 slot)
{
	if (!frame || !eg_window_is_open(slot))
		return 0;
	for (__u32 which = 0; which < EG_BOOTSTRAP_NAMES; which++)
		if (eg_nf_asks_name(frame, offset, family, slot, which))
			return 1;
	return 0;
}

static inline int eg_frame_asks(const struct eg_frame *frame, __u32 offset, __u32 family,
				__u32 slot)
{
	return eg_nf_asks(frame, offset, family, slot);
}

EG_GLOBAL int eg_nf_judge(struct eg_frame *frame, __u32 slot, __u32 pf)
{
	struct eg_tables tables = {.slot = slot};
	struct eg_packet pkt = {};

	tables.config = bpf_map_lookup_elem(&config, &slot);
	tables.front4 = bpf_map_lookup_elem(&front4, &slot);
	if (!frame || !tables.config || !tables.front4)
		return EG_REASON_MALFORMED;
	return pf == EG_NFPROTO_IPV4
		       ? eg_judge_ip(frame, 0, EG_FAMILY_IPV4, tables.config, &tables, &pkt)
		       : eg_judge_ip(frame, 0, EG_FAMILY_IPV6, tables.config, &tables, &pkt);
}

EG_GLOBAL int eg_nf_blocked(struct eg_frame *frame, __u32 outcome, __u32 packets,
			    __u64 active_since_ns)
{
	if (!frame)
		return -1;
	return eg_blocked_record(frame, frame, outcome, packets, active_since_ns);
}

EG_INLINE int eg_frame_blocked(const struct eg_frame *frame, __u32 outcome, __u32 packets,
			       __u64 active_since_ns)
{
	return eg_nf_blocked((struct eg_frame *)frame, outcome, packets, active_since_ns);
}

SEC("netfilter")
int eg_netns(struct bpf_nf_ctx *ctx)
{
	const struct net_device *dev = ctx->state->out;
	const struct eg_hold_settings *settings;
	struct eg_tables tables;
	struct eg_frame frame;
	enum eg_reason reason;
	__u32 zero = 0;

	settings = bpf_map_lookup_elem(&hold, &zero);
	if (!settings)
		return EG_HOOK_DROP;
	if (eg_is_covered(dev, settings))
		return EG_HOOK_PASS;
	if (eg_tables_open(&tables))
		return EG_HOOK_DROP;
	eg_frame_measure(ctx->skb, dev, &frame);
	if (dev->flags & EG_IFF_LOOPBACK)
		reason = EG_REASON_LOOPBACK;
	else if (eg_is_tunnel(dev, settings, tables.slot))
		reason = EG_REASON_TUNNEL;
	else if (eg_frame_open(ctx->skb, &frame))
		reason = EG_REASON_MALFORMED;
	else
		reason = eg_nf_judge(&frame, tables.slot, ctx->state->pf);
	if (eg_reason_verdict(reason) != EG_VERDICT_ALLOW)
		eg_frame_owner(ctx->skb, &frame);
	return eg_record(&frame, &tables, EG_LAYER_NETNS, reason);
}

char LICENSE[] SEC("license") = "GPL";
