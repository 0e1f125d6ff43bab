/* SPDX-License-Identifier: GPL-2.0 */
/* The policy's tables in maps, as eg_decide.h asks them. */
#ifndef EG_TABLES_H
#define EG_TABLES_H

#include "frame.h"

#include "eg_decide.h"

#include "maps.h"

/* One packet's view: `slot` is read once, so that no packet sees half of a switch. */
struct eg_tables {
	const struct eg_config *config;
	const struct eg_front4 *front4;
	__u32 slot;
};

/* -1 where something that must be there is not. */
EG_INLINE int eg_tables_open(struct eg_tables *ret_tables)
{
	__u32 zero = 0;
	const struct eg_control *switched = bpf_map_lookup_elem(&control, &zero);

	if (!switched)
		return -1;
	ret_tables->slot = *(const volatile __u32 *)&switched->slot;
	ret_tables->config = bpf_map_lookup_elem(&config, &ret_tables->slot);
	ret_tables->front4 = bpf_map_lookup_elem(&front4, &ret_tables->slot);
	return ret_tables->config && ret_tables->front4 ? 0 : -1;
}

EG_INLINE const struct eg_addr_value *eg_table_addr4(const struct eg_tables *tables,
						     const union eg_addr *addr)
{
	struct eg_addr4_key key = {
		.prefix_len = EG_SLOT_PREFIX_LEN + 32,
		.slot = tables->slot,
		.addr_be = addr->v4_be,
	};

	return bpf_map_lookup_elem(&addr4, &key);
}

EG_INLINE const struct eg_addr_value *eg_table_addr6(const struct eg_tables *tables,
						     const union eg_addr *addr)
{
	struct eg_addr6_key key = {
		.prefix_len = EG_SLOT_PREFIX_LEN + 128,
		.slot = tables->slot,
	};

	__builtin_memcpy(key.addr, addr->bytes, sizeof(key.addr));
	return bpf_map_lookup_elem(&addr6, &key);
}

static inline struct eg_addr_value eg_table_addr(const struct eg_tables *tables, __u8 family,
						 const union eg_addr *addr)
{
	struct eg_addr_value value = {};
	const struct eg_addr_value *found;

	if (family == EG_FAMILY_IPV4) {
		__u32 upper = EG_FROM_BE32(addr->v4_be) >> 16;

		/* After a byte swap the verifier of 5.10 knows no bounds; the compiler does, and
		 * must not drop the mask for that. */
		asm volatile("" : "+r"(upper));
		value.flags = tables->front4->flags[upper & (EG_FRONT4_SIZE - 1)];
		if (!EG_UNLIKELY(value.flags & EG_ADDR_ASK))
			return value;
		value.flags = 0;
		found = eg_table_addr4(tables, addr);
	} else {
		found = eg_table_addr6(tables, addr);
	}
	if (found)
		value = *found;
	return value;
}

static inline int eg_table_endpoint(const struct eg_tables *tables, __u8 family,
				    const union eg_addr *addr, __be16 port_be)
{
	struct eg_endpoint_key key = {
		.addr = *addr,
		.slot = tables->slot,
		.port_be = port_be,
		.family = family,
	};

	return bpf_map_lookup_elem(&endpoints, &key) != NULL;
}

static inline int eg_table_rule(const struct eg_tables *tables, __u32 rule_set, __u8 proto,
				__be16 port_be)
{
	struct eg_rule_key key = {
		.slot = tables->slot,
		.rule_set = rule_set,
		.port_be = port_be,
		.proto = proto,
	};

	return bpf_map_lookup_elem(&rules, &key) != NULL;
}

#endif /* EG_TABLES_H */
