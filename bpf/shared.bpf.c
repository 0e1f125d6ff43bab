// SPDX-License-Identifier: GPL-2.0
/*
 * The programs at the root of the cgroup hierarchy: one set for all guards of a pin directory,
 * since a hook there takes 64 programs and no more. Every process of the machine comes by here. All
 * they do is to ask whether the socket's network namespace has a guard; if so, that guard's own
 * program goes on, over its own tables (socket.h). Whatever is missing on that way lets pass.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "eg_abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, struct eg_shared_meta);
} shared_meta SEC(".maps");

/* Cookie of a network namespace -> its guard. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, EG_SHARED_GUARDS);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__type(key, __u64);
	__type(value, struct eg_shared_entry);
} cookies SEC(".maps");

struct eg_calls {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, EG_SHARED_GUARDS);
	__type(key, __u32);
	__type(value, __u32);
};

/* One for each hook: a table of calls takes programs of one kind. */
struct eg_calls calls_sock_create SEC(".maps");
struct eg_calls calls_connect4 SEC(".maps");
struct eg_calls calls_connect6 SEC(".maps");
struct eg_calls calls_setsockopt SEC(".maps");

#define EG_SHARED_PASS 1

#define EG_CALL_GUARD(ctx, calls)                                                                  \
	do {                                                                                       \
		__u64 cookie_ = bpf_get_netns_cookie(ctx);                                         \
		const struct eg_shared_entry *entry_ = bpf_map_lookup_elem(&cookies, &cookie_);    \
                                                                                                   \
		if (entry_)                                                                        \
			bpf_tail_call(ctx, &(calls), entry_->index);                               \
	} while (0)

SEC("cgroup/sock_create")
int eg_shared_sock_create(struct bpf_sock *ctx)
{
	EG_CALL_GUARD(ctx, calls_sock_create);
	return EG_SHARED_PASS;
}

SEC("cgroup/connect4")
int eg_shared_connect4(struct bpf_sock_addr *ctx)
{
	EG_CALL_GUARD(ctx, calls_connect4);
	return EG_SHARED_PASS;
}

SEC("cgroup/connect6")
int eg_shared_connect6(struct bpf_sock_addr *ctx)
{
	EG_CALL_GUARD(ctx, calls_connect6);
	return EG_SHARED_PASS;
}

/* Of a larger option the kernel shows the beginning, and would take that for all of it. */
#define EG_SETSOCKOPT_SHOWN 4096

/*
 * An optlen of 0 has the kernel take what user space has given. Not where that is all here, since
 * another's program, which ran before, may have changed it.
 */
SEC("cgroup/setsockopt")
int eg_shared_setsockopt(struct bpf_sockopt *ctx)
{
	if (ctx->level == EG_SOL_PACKET && ctx->optname == EG_PACKET_QDISC_BYPASS)
		EG_CALL_GUARD(ctx, calls_setsockopt);
	if (ctx->optlen > EG_SETSOCKOPT_SHOWN)
		ctx->optlen = 0;
	return EG_SHARED_PASS;
}

/*
 * Where SO_NETNS_COOKIE is missing (before Linux 5.14) a program can still tell the cookie of a
 * namespace: this one, attached for the moment in which user space makes a socket in it. It notes
 * every socket that is made in that moment, by the socket's own cookie, which nobody can forge.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} told SEC(".maps");

SEC("cgroup/sock_create")
int eg_tell_cookie(struct bpf_sock *ctx)
{
	__u64 socket = bpf_get_socket_cookie(ctx), netns = bpf_get_netns_cookie(ctx);

	bpf_map_update_elem(&told, &socket, &netns, BPF_ANY);
	return EG_SHARED_PASS;
}

char LICENSE[] SEC("license") = "GPL";
