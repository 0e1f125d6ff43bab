/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's own structures, trimmed by hand to the members that the programs read. Offsets come
 * from the running kernel's BTF when the programs are loaded (CO-RE), so order and the missing rest
 * do not matter; names and kinds do.
 */
#ifndef EG_KERNEL_TYPES_H
#define EG_KERNEL_TYPES_H

#include <linux/types.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "eg_abi.h"

/* enum of ip_summed in linux/skbuff.h: the checksum is still to be written */
#define EG_CHECKSUM_PARTIAL 3
/* of the enum SKB_GSO_* there, which has no name to find it by; since 5.6: packets with headers of
 * their own hang together */
#define EG_GSO_FRAGLIST (1U << 18)

struct sock;
struct net_device;

struct sk_buff {
	struct sock *sk;
	struct net_device *dev;
	unsigned int len;
	unsigned int data_len; /* of it, not in the linear part */
	unsigned char *head;
	__u32 end; /* from skb->head: struct skb_shared_info */
	__u8 ip_summed : 2;
	__u8 tc_skip_classify : 1; /* tc ingress is left out when it is received */
	__u16 csum_start;          /* from skb->head */
	__u16 csum_offset;         /* from csum_start */
	__u16 mac_header;          /* from skb->head */
	__u16 network_header;      /* from skb->head */
} __attribute__((preserve_access_index));

struct skb_shared_info {
	unsigned short gso_size;
	unsigned short gso_segs;
	unsigned int gso_type; /* SKB_GSO_* */
} __attribute__((preserve_access_index));

/* Memory that is only read, as what it is: no helper, no copy. What cannot be read is zero. In the
 * kernel since 6.2. */
extern void *bpf_rdonly_cast(const void *memory, __u32 btf_id) __ksym __weak;

/* Of a packet, which always has it. */
EG_INLINE const struct skb_shared_info *eg_skb_shared(const struct sk_buff *skb)
{
	return bpf_rdonly_cast(skb->head + skb->end,
			       bpf_core_type_id_kernel(struct skb_shared_info));
}

/* --- a network namespace ---------------------------------------------------------------------- */

struct user_namespace {
	int level; /* 0: the initial one */
} __attribute__((preserve_access_index));

struct ns_common {
	unsigned int inum; /* the inode's number, as user space sees it */
} __attribute__((preserve_access_index));

struct net {
	struct user_namespace *user_ns;
	struct ns_common ns;
	__u64 net_cookie; /* before 5.12 of another type, and made when first asked for */
} __attribute__((preserve_access_index));

typedef struct {
	struct net *net;
} possible_net_t;

/* --- an interface, and what hangs on it ------------------------------------------------------- */

struct rtnl_link_ops {
	const char *kind; /* IFLA_INFO_KIND */
} __attribute__((preserve_access_index));

/* Sixteen bytes, whatever they are: as what a kind is read. */
struct in6_addr {
	__u8 bytes[16];
};

struct bpf_prog_aux {
	__u32 id;
} __attribute__((preserve_access_index));

struct bpf_prog {
	struct bpf_prog_aux *aux;
} __attribute__((preserve_access_index));

struct bpf_mprog_fp {
	struct bpf_prog *prog;
} __attribute__((preserve_access_index));

struct bpf_mprog_entry {
	struct bpf_mprog_fp fp_items[64]; /* in the order in which they run */
} __attribute__((preserve_access_index));

struct net_device {
	char name[16];
	unsigned int flags;
	unsigned short type; /* ARPHRD_* */
	int ifindex;
	const struct rtnl_link_ops *rtnl_link_ops; /* NULL: a physical device */
	struct bpf_mprog_entry *tcx_egress;        /* NULL: nothing; from 6.6 on */
	possible_net_t nd_net;
} __attribute__((preserve_access_index));

struct nf_hook_state {
	__u8 pf;
	struct net_device *out;
} __attribute__((preserve_access_index));

/* --- a packet's owner ------------------------------------------------------------------------- */

typedef struct {
	__s64 counter;
} atomic64_t;

typedef struct {
	__u32 val;
} kuid_t;

struct sock_common {
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	atomic64_t skc_cookie;
} __attribute__((preserve_access_index));

struct kernfs_node {
	__u64 id;
} __attribute__((preserve_access_index));

struct cgroup {
	struct kernfs_node *kn;
} __attribute__((preserve_access_index));

struct sock_cgroup_data {
	struct cgroup *cgroup;
} __attribute__((preserve_access_index));

struct sock {
	struct sock_common __sk_common;
	struct sock_cgroup_data sk_cgrp_data;
	kuid_t sk_uid;
} __attribute__((preserve_access_index));

#endif /* EG_KERNEL_TYPES_H */
