/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guard's programs of the layer `socket`. Nothing attaches them: those at the root of the cgroup
 * hierarchy, which all guards share, call them for sockets of the guarded namespace (shared.bpf.c).
 *
 * They remember whose a socket is, and refuse at once what no route could make legal. They cannot
 * judge more: whether the tunnel will carry what a socket sends is not known before it is routed.
 * So whatever they cannot tell passes here, and is judged as a packet.
 *
 * All of them can be preempted: counters take atomic adds.
 */
#ifndef EG_SOCKET_H
#define EG_SOCKET_H

#include "record.h"

/* What a hook of a cgroup says. */
#define EG_SOCKET_REFUSE 0
#define EG_SOCKET_PASS   1

/* TCP over several paths; its first path is a TCP connection. Not a number that fits a packet. */
#define EG_SOCKET_PROTO_MPTCP 262

/* --- whose it is ---------------------------------------------------------------------------- */

EG_INLINE void eg_owner_current(struct eg_maker *owner)
{
	owner->cgroup_id = bpf_get_current_cgroup_id();
	owner->pid = bpf_get_current_pid_tgid() >> 32;
	owner->uid = (__u32)bpf_get_current_uid_gid();
	bpf_get_current_comm(owner->comm, sizeof(owner->comm));
}

SEC("cgroup/sock_create")
int eg_sock_create(struct bpf_sock *sk)
{
	struct eg_maker owner = {};

	eg_owner_current(&owner);
	bpf_sk_storage_get(&owners, sk, &owner, BPF_SK_STORAGE_GET_F_CREATE);
	return EG_SOCKET_PASS;
}

/* One that was made before the guard is its who connects it first. */
EG_INLINE void eg_owner_remember(struct bpf_sock *sk)
{
	struct eg_maker owner = {};

	if (bpf_sk_storage_get(&owners, sk, NULL, 0))
		return;
	eg_owner_current(&owner);
	bpf_sk_storage_get(&owners, sk, &owner, BPF_SK_STORAGE_GET_F_CREATE);
}

/* --- what is refused ------------------------------------------------------------------------ */

EG_INLINE void eg_socket_count(__u32 index)
{
	struct eg_counter *counter = bpf_map_lookup_elem(&counters, &index);

	if (counter)
		__sync_fetch_and_add(&counter->packets, 1);
}

static __attribute__((noinline)) int eg_socket_tell(__u32 viewer, const struct eg_blocked *blocked,
						    __u32 ifindex)
{
	struct eg_event *event;

	if (!blocked)
		return -1;
	event = eg_viewer_reserve(viewer);
	if (!event)
		return -1;
	eg_event_fill(blocked, event);
	event->ifindex = ifindex;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

EG_INLINE void eg_socket_watch(const struct eg_blocked *blocked, __u32 ifindex, __u64 now)
{
	const struct eg_viewer_beats *beats;
	__u32 zero = 0;

	beats = bpf_map_lookup_elem(&viewer_beats, &zero);
	if (!beats || !eg_viewers_any(beats))
		return;
	EG_UNROLL
	for (__u32 i = 0; i < EG_VIEWERS; i++)
		if (eg_viewer_is_live(beats->beat_ns[i], now))
			eg_socket_tell(i, blocked, ifindex);
}

/* Counts and shows what was refused, and says what the hook is to do. blocked->pkt is filled in. */
EG_INLINE int eg_socket_blocked(const struct eg_maker *owner, struct eg_blocked *blocked,
				const struct eg_tables *tables, enum eg_reason reason,
				__u32 ifindex, int is_probe)
{
	__u32 would = tables->config->flags & EG_CONFIG_AUDIT ? 1 : 0;
	__u64 now = bpf_ktime_get_ns();

	eg_socket_count(eg_counter_index(EG_LAYER_SOCKET, would, reason) +
			(is_probe ? EG_COUNTERS_PROBES : 0));
	blocked->verdict = would ? EG_VERDICT_WOULD_DROP : EG_VERDICT_DROP;
	blocked->key.dst = blocked->pkt.dst;
	blocked->key.dport_be = blocked->pkt.dport_be;
	blocked->key.family = blocked->pkt.family;
	blocked->key.proto = blocked->pkt.proto;
	blocked->key.reason = reason;
	blocked->key.layer = EG_LAYER_SOCKET;
	blocked->key.would = would;
	blocked->value.packets = 1;
	blocked->value.first_ns = now;
	blocked->value.last_ns = now;
	blocked->value.uid = EG_UID_UNKNOWN;
	if (owner) {
		blocked->key.cgroup_id = owner->cgroup_id;
		blocked->value.uid = owner->uid;
		blocked->flags |= EG_EVENT_SOCKET;
		eg_owner_name(owner, blocked);
	}
	if (is_probe)
		blocked->flags |= EG_EVENT_PROBE;
	eg_owner_forget(blocked, (__u32)now);
	blocked->key.cgroup_id =
		eg_words(eg_forget(eg_word(blocked->key.cgroup_id, 0), (__u32)now),
			 eg_forget(eg_word(blocked->key.cgroup_id, 1), (__u32)now));
	if (!is_probe && eg_recent_add(blocked))
		eg_recent_begin(blocked);
	eg_socket_watch(blocked, ifindex, now);
	return would ? EG_SOCKET_PASS : EG_SOCKET_REFUSE;
}

/* --- connect -------------------------------------------------------------------------------- */

EG_INLINE __u8 eg_socket_proto(const struct bpf_sock_addr *ctx)
{
	__u32 proto = ctx->protocol;

	return proto == EG_SOCKET_PROTO_MPTCP ? EG_PROTO_TCP : (__u8)proto;
}

/*
 * Row 6 is for packets: a socket may have no source yet. Rows 7 and 8 are, too: what it will send
 * to an endpoint may well be WireGuard's, or to a resolver an endpoint's name. The namespace's own
 * addresses are reached by loopback, whatever a socket is bound to.
 */
EG_INLINE enum eg_reason eg_socket_decide(struct eg_packet *pkt, const struct eg_tables *tables)
{
	struct eg_addr_value dst = eg_table_addr(tables, pkt->family, &pkt->dst);

	if (eg_addr_is_unspecified(pkt->family, &pkt->dst) || (dst.flags & EG_ADDR_SOURCE))
		return EG_REASON_LOOPBACK;
	pkt->wireguard = 1;
	pkt->asks_name = 1;
	if (tables->config->source_port_be)
		pkt->sport_be = tables->config->source_port_be;
	return eg_decide_destination(pkt, tables->config, tables, dst,
				     eg_is_control(pkt, tables->config, dst.flags));
}

/* A global function (common.h): `ports` as on the wire, `what` is family and protocol. */
EG_GLOBAL int eg_socket_judge(__u64 first, __u64 second, __u32 ports, __u32 what, __u32 slot)
{
	struct eg_packet pkt = {};
	struct eg_tables tables = {.slot = slot};

	tables.config = bpf_map_lookup_elem(&config, &slot);
	tables.front4 = bpf_map_lookup_elem(&front4, &slot);
	if (!tables.config || !tables.front4)
		return EG_REASON_LOOPBACK;
	pkt.ports = ports;
	pkt.proto = (__u8)what;
	pkt.dst.v6_be[0] = eg_word(first, 0);
	if (what >> 8 == EG_FAMILY_IPV4) {
		pkt.family = EG_FAMILY_IPV4;
		return eg_socket_decide(&pkt, &tables);
	}
	pkt.family = EG_FAMILY_IPV6;
	pkt.dst.v6_be[1] = eg_word(first, 1);
	pkt.dst.v6_be[2] = eg_word(second, 0);
	pkt.dst.v6_be[3] = eg_word(second, 1);
	return eg_socket_decide(&pkt, &tables);
}

/* Whether what this socket sends leaves by an underlay, whatever the routes say. */
EG_INLINE int eg_socket_is_bound(const struct bpf_sock *sk)
{
	__u32 ifindex = sk->bound_dev_if;

	return ifindex && bpf_map_lookup_elem(&underlays, &ifindex);
}

/* `blocked` with family and addresses. */
EG_INLINE int eg_socket_connect(struct bpf_sock_addr *ctx, struct bpf_sock *sk,
				struct eg_blocked *blocked)
{
	struct eg_packet *pkt = &blocked->pkt;
	struct eg_tables tables;
	enum eg_reason reason;
	__u16 sport = (__u16)sk->src_port;

	if (eg_tables_open(&tables))
		return EG_SOCKET_PASS;
	pkt->proto = eg_socket_proto(ctx);
	pkt->dport_be = (__be16)ctx->user_port;
	pkt->sport_be = EG_BE16(sport);
	reason = eg_socket_judge(eg_words(pkt->dst.v6_be[0], pkt->dst.v6_be[1]),
				 eg_words(pkt->dst.v6_be[2], pkt->dst.v6_be[3]), pkt->ports,
				 (__u32)pkt->family << 8 | pkt->proto, tables.slot);
	if (reason >= EG_REASON_COUNT || eg_reason_verdict(reason) == EG_VERDICT_ALLOW)
		return EG_SOCKET_PASS;
	blocked->socket_cookie = bpf_get_socket_cookie(ctx);
	return eg_socket_blocked(bpf_sk_storage_get(&owners, sk, NULL, 0), blocked, &tables, reason,
				 sk->bound_dev_if, eg_cookie_is_probe(blocked->socket_cookie));
}

SEC("cgroup/connect4")
int eg_connect4(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct eg_blocked blocked = {};

	if (!sk)
		return EG_SOCKET_PASS;
	eg_owner_remember(sk);
	if (!eg_socket_is_bound(sk))
		return EG_SOCKET_PASS;
	blocked.pkt.family = EG_FAMILY_IPV4;
	blocked.pkt.ethertype_be = EG_BE16(EG_ETHERTYPE_IPV4);
	blocked.pkt.src.v4_be = sk->src_ip4;
	blocked.pkt.dst.v4_be = ctx->user_ip4;
	return eg_socket_connect(ctx, sk, &blocked);
}

/* An IPv4 destination in the words of IPv6 (::ffff:a.b.c.d) leaves as IPv4. */
EG_INLINE int eg_socket_is_mapped(const union eg_addr *addr)
{
	return !addr->v6_be[0] && !addr->v6_be[1] && addr->v6_be[2] == EG_BE32(0xffff);
}

SEC("cgroup/connect6")
int eg_connect6(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct eg_blocked blocked = {};
	union eg_addr dst;

	if (!sk)
		return EG_SOCKET_PASS;
	eg_owner_remember(sk);
	if (!eg_socket_is_bound(sk))
		return EG_SOCKET_PASS;
	dst.v6_be[0] = ctx->user_ip6[0];
	dst.v6_be[1] = ctx->user_ip6[1];
	dst.v6_be[2] = ctx->user_ip6[2];
	dst.v6_be[3] = ctx->user_ip6[3];
	if (eg_socket_is_mapped(&dst)) {
		blocked.pkt.family = EG_FAMILY_IPV4;
		blocked.pkt.ethertype_be = EG_BE16(EG_ETHERTYPE_IPV4);
		blocked.pkt.src.v4_be = sk->src_ip4;
		blocked.pkt.dst.v4_be = dst.v6_be[3];
	} else {
		blocked.pkt.family = EG_FAMILY_IPV6;
		blocked.pkt.ethertype_be = EG_BE16(EG_ETHERTYPE_IPV6);
		blocked.pkt.src.v6_be[0] = sk->src_ip6[0];
		blocked.pkt.src.v6_be[1] = sk->src_ip6[1];
		blocked.pkt.src.v6_be[2] = sk->src_ip6[2];
		blocked.pkt.src.v6_be[3] = sk->src_ip6[3];
		blocked.pkt.dst = dst;
	}
	return eg_socket_connect(ctx, sk, &blocked);
}

/* --- setsockopt ----------------------------------------------------------------------------- */

/* Whether this process is `verify`: of a packet socket no cookie is known here. */
EG_GLOBAL int eg_pid_is_probe(__u32 pid)
{
	const struct eg_probes *of_verify = eg_probes_live();

	return of_verify && pid && of_verify->pid == pid;
}

/* Whether it is a socket of `verify`'s, which is to show what would hold if this layer did not. */
EG_INLINE int eg_socket_is_permitted(struct bpf_sock *sk)
{
	const struct eg_maker *maker = sk ? bpf_sk_storage_get(&owners, sk, NULL, 0) : NULL;

	return maker && maker->cgroup_id == EG_MAKER_IS_VERIFY;
}

/*
 * PACKET_QDISC_BYPASS: what such a packet socket sends never comes by tc egress. The kernel tells
 * no maker of a packet socket, but here it is the process itself that asks.
 */
SEC("cgroup/setsockopt")
int eg_setsockopt(struct bpf_sockopt *ctx)
{
	const __s32 *value = ctx->optval;
	struct eg_blocked blocked = {};
	struct eg_maker owner = {};
	struct eg_tables tables;

	if (value + 1 > (const __s32 *)ctx->optval_end || !*value || eg_tables_open(&tables) ||
	    eg_socket_is_permitted(ctx->sk))
		return EG_SOCKET_PASS;
	eg_owner_current(&owner);
	return eg_socket_blocked(&owner, &blocked, &tables, EG_REASON_QDISC_BYPASS, 0,
				 eg_pid_is_probe(owner.pid));
}

#endif /* EG_SOCKET_H */
