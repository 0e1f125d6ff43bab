/* SPDX-License-Identifier: GPL-2.0 */
/* The networks that the policy's switches stand for. PURE. */
#ifndef EG_NETWORKS_H
#define EG_NETWORKS_H

#include "policy/policy.h"

/* `Lan = yes` */
#define EG_LAN_PREFIXES 4
extern const struct eg_prefix eg_lan_prefixes[EG_LAN_PREFIXES];
/* What is inside them and yet no LAN: cloud metadata over IPv6. */
extern const struct eg_prefix eg_lan_exception;

bool eg_addr_is_lan(__u8 family, const union eg_addr *addr);

/* `AllowMulticast = yes` */
#define EG_MULTICAST_PREFIXES 7
extern const struct eg_prefix eg_multicast_prefixes[EG_MULTICAST_PREFIXES];

/* Clears the bits of `addr` after the first `len`. */
void eg_addr_mask(__u8 family, union eg_addr *addr, unsigned int len);
/* How many leading bits two addresses share. */
unsigned int eg_addr_common_bits(__u8 family, const union eg_addr *a, const union eg_addr *b);

#endif /* EG_NETWORKS_H */
