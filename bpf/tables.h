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

/*
 * The keys of the tries, written in the words in which the kernel reads them: `slot` and what
 * follows at once. Read in other pieces than it was written, memory makes a processor wait longer
 * than the search in a small trie takes.
 */
struct eg_addr4_words {
	__u32 pad;
	__u32 prefix_len;
	__u64 slot_addr;
};
_Static_assert(sizeof(struct eg_addr4_words) == 4 + sizeof(struct eg_addr4_key), "the same key");

struct eg_addr6_words {
	__u32 pad;
	__u32 prefix_len;
	__u64 slot_addr;
	__u64 addr_middle;
	__u32 addr_last;
};

/* Two words as they stand one after the other in memory. */
EG_INLINE __u64 eg_words(__u32 first, __u32 second)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (__u64)second << 32 | first;
#else
	return (__u64)first << 32 | second;
#endif
}

EG_INLINE const struct eg_addr_value *eg_table_addr4(const struct eg_tables *tables,
						     const union eg_addr *addr)
{
	struct eg_addr4_words key = {
		.prefix_len = EG_SLOT_PREFIX_LEN + 32,
		.slot_addr = eg_words(tables->slot, addr->v4_be),
	};

	return bpf_map_lookup_elem(&addr4, &key.prefix_len);
}

EG_INLINE const struct eg_addr_value *eg_table_addr6(const struct eg_tables *tables,
						     const union eg_addr *addr)
{
	struct eg_addr6_words key = {
		.prefix_len = EG_SLOT_PREFIX_LEN + 128,
		.slot_addr = eg_words(tables->slot, addr->v6_be[0]),
		.addr_middle = eg_words(addr->v6_be[1], addr->v6_be[2]),
		.addr_last = addr->v6_be[3],
	};

	return bpf_map_lookup_elem(&addr6, &key.prefix_len);
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
