/* SPDX-License-Identifier: GPL-2.0 */
/* The first tables, as eg_plain.h asks them. */
#ifndef EG_BPF_PLAIN_H
#define EG_BPF_PLAIN_H

#include "tables.h"

#include "eg_plain.h"

static inline struct eg_fronts eg_table_fronts(const struct eg_tables *tables,
					       const struct eg_packet *pkt)
{
	const struct eg_front6 *front;
	__u32 slot = tables->slot;

	if (pkt->family == EG_FAMILY_IPV4)
		return (struct eg_fronts){
			.src = eg_front4_find(tables->front4, pkt->src.v4_be),
			.dst = eg_front4_find(tables->front4, pkt->dst.v4_be),
		};
	front = bpf_map_lookup_elem(&front6, &slot);
	if (!front)
		return (struct eg_fronts){.src = EG_ADDR_ASK, .dst = EG_ADDR_ASK};
	return (struct eg_fronts){
		.src = eg_front6_find(front, pkt->src.v6_be[0], pkt->src.v6_be[1]) &
		       ~EG_FRONT6_ON_LINK,
		.dst = eg_front6_find(front, pkt->dst.v6_be[0], pkt->dst.v6_be[1]) &
		       ~EG_FRONT6_ON_LINK,
	};
}

#endif /* EG_BPF_PLAIN_H */
