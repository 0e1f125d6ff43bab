/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's own structures, trimmed by hand to the members that the programs read. Offsets come
 * from the running kernel's BTF when the programs are loaded (CO-RE), so order and the missing rest
 * do not matter; names and kinds do.
 */
#ifndef EG_KERNEL_TYPES_H
#define EG_KERNEL_TYPES_H

#include <linux/types.h>

/* enum of ip_summed in linux/skbuff.h: the checksum is still to be written */
#define EG_CHECKSUM_PARTIAL 3

struct sk_buff {
	__u8 ip_summed : 2;
	__u8 tc_skip_classify : 1; /* tc ingress is left out when it is received */
	__u16 csum_start;          /* from skb->head */
	__u16 csum_offset;         /* from csum_start */
	__u16 mac_header;          /* from skb->head */
} __attribute__((preserve_access_index));

#endif /* EG_KERNEL_TYPES_H */
