/* SPDX-License-Identifier: GPL-2.0 */
/* The policy's tables in maps, as eg_decide.h asks them. Whoever includes this file has a frame:
 * frame.h at a tc hook, nf_frame.h at a netfilter hook. */
#ifndef EG_TABLES_H
#define EG_TABLES_H

#include "common.h"

#include "eg_decide.h"

#include "maps.h"

/* One packet's view: `slot` is read once, so that no packet sees half of a switch. */
struct eg_tables {
	const struct eg_config *config;
	const struct eg_front4 *front4;
	__u32 slot;
};

/* Of this slot. -1 where something that must be there is not. */
EG_INLINE int eg_tables_look_up(struct eg_tables *ret_tables, __u32 slot)
{
	ret_tables->slot = slot;
	ret_tables->config = bpf_map_lookup_elem(&config, &slot);
	ret_tables->front4 = bpf_map_lookup_elem(&front4, &slot);
	return ret_tables->config && ret_tables->front4 ? 0 : -1;
}

EG_INLINE int eg_tables_open(struct eg_tables *ret_tables)
{
	__u32 key = 0;
	const struct eg_control *switched = bpf_map_lookup_elem(&control, &key);

	if (!switched)
		return -1;
	return eg_tables_look_up(ret_tables, *(const volatile __u32 *)&switched->slot);
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

/* The first (0) or second (1) of them. */
EG_INLINE __u32 eg_word(__u64 words, int which)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return which ? (__u32)(words >> 32) : (__u32)words;
#else
	return which ? (__u32)words : (__u32)(words >> 32);
#endif
}

/* What is asked of tries and hash tables is asked by global functions (EG_GLOBAL). They answer with
 * a value in one number. */
EG_INLINE __u64 eg_value_pack(const struct eg_addr_value *value)
{
	return value ? (__u64)value->rule_set << 32 | value->flags : 0;
}

EG_INLINE struct eg_addr_value eg_value_unpack(__u64 packed)
{
	return (struct eg_addr_value){
		.flags = (__u32)packed,
		.rule_set = (__u32)(packed >> 32),
	};
}

EG_GLOBAL __u64 eg_ask_addr4(__u32 slot, __u32 addr_be)
{
	struct eg_addr4_words key = {
		.prefix_len = EG_SLOT_PREFIX_LEN + 32,
		.slot_addr = eg_words(slot, addr_be),
	};

	return eg_value_pack(bpf_map_lookup_elem(&addr4, &key.prefix_len));
}

/* The cell of the last node, for an address that begins with these eight bytes. What is no cell of
 * any image (a node at the last byte) says to ask. */
EG_INLINE __u32 eg_front6_find(const struct eg_front6 *front, __be32 first_be, __be32 second_be)
{
	const __u64 bytes = (__u64)EG_FROM_BE32(first_be) << 32 | EG_FROM_BE32(second_be);
	__u32 cell = EG_FRONT6_NODE;

	EG_UNROLL
	for (int i = 0; i < EG_FRONT6_DEPTH; i++) {
		__u32 at = (cell & (EG_FRONT6_NODES - 1)) * EG_FRONT6_CELLS +
			   (bytes >> (56 - 8 * i) & (EG_FRONT6_CELLS - 1));

		/* As at front4, below. */
		asm volatile("" : "+r"(at));
		cell = front->cells[at & (EG_FRONT6_NODES * EG_FRONT6_CELLS - 1)];
		if (!(cell & EG_FRONT6_NODE))
			return cell;
	}
	return EG_ADDR_ASK;
}

EG_GLOBAL __u64 eg_ask_addr6(__u32 slot, __u64 first, __u64 second)
{
	struct eg_addr6_words key = {
		.prefix_len = EG_SLOT_PREFIX_LEN + 128,
		.slot_addr = eg_words(slot, eg_word(first, 0)),
		.addr_middle = eg_words(eg_word(first, 1), eg_word(second, 0)),
		.addr_last = eg_word(second, 1),
	};
	const struct eg_front6 *front = bpf_map_lookup_elem(&front6, &slot);
	__u32 cell;

	if (!front)
		return 0;
	cell = eg_front6_find(front, eg_word(first, 0), eg_word(first, 1));
	if (!(cell & (EG_ADDR_ASK | EG_FRONT6_ON_LINK)))
		return cell;
	return eg_value_pack(bpf_map_lookup_elem(&addr6, &key.prefix_len));
}

EG_GLOBAL int eg_ask_endpoint(__u64 first, __u64 second, __u32 slot, __u32 port_be, __u32 family)
{
	struct eg_endpoint_key key = {
		.addr.v6_be = {eg_word(first, 0), eg_word(first, 1), eg_word(second, 0),
			       eg_word(second, 1)},
		.slot = slot,
		.port_be = (__be16)port_be,
		.family = (__u8)family,
	};

	return bpf_map_lookup_elem(&endpoints, &key) != NULL;
}

EG_GLOBAL int eg_ask_rule(__u32 slot, __u32 rule_set, __u32 proto, __u32 port_be)
{
	struct eg_rule_key key = {
		.slot = slot,
		.rule_set = rule_set,
		.port_be = (__be16)port_be,
		.proto = (__u8)proto,
	};

	return bpf_map_lookup_elem(&rules, &key) != NULL;
}

EG_INLINE __u32 eg_front4_find(const struct eg_front4 *front, __be32 addr_be)
{
	__u32 upper = EG_FROM_BE32(addr_be) >> 16;

	/* After a byte swap the verifier of 5.10 knows no bounds; the compiler does, and must not
	 * drop the mask for that. */
	asm volatile("" : "+r"(upper));
	return front->flags[upper & (EG_FRONT4_SIZE - 1)];
}

static inline struct eg_addr_value eg_table_addr(const struct eg_tables *tables, __u8 family,
						 const union eg_addr *addr)
{
	__u32 flags;

	if (family != EG_FAMILY_IPV4)
		return eg_value_unpack(eg_ask_addr6(tables->slot,
						    eg_words(addr->v6_be[0], addr->v6_be[1]),
						    eg_words(addr->v6_be[2], addr->v6_be[3])));
	flags = eg_front4_find(tables->front4, addr->v4_be);
	if (!EG_UNLIKELY(flags & EG_ADDR_ASK))
		return (struct eg_addr_value){.flags = flags};
	return eg_value_unpack(eg_ask_addr4(tables->slot, addr->v4_be));
}

static inline int eg_table_endpoint(const struct eg_tables *tables, __u8 family,
				    const union eg_addr *addr, __be16 port_be)
{
	if (family == EG_FAMILY_IPV4)
		return eg_ask_endpoint(eg_words(addr->v4_be, 0), 0, tables->slot, port_be, family);
	return eg_ask_endpoint(eg_words(addr->v6_be[0], addr->v6_be[1]),
			       eg_words(addr->v6_be[2], addr->v6_be[3]), tables->slot, port_be,
			       family);
}

static inline int eg_table_rule(const struct eg_tables *tables, __u32 rule_set, __u8 proto,
				__be16 port_be)
{
	return eg_ask_rule(tables->slot, rule_set, proto, port_be);
}

/* --- endpoints' names ------------------------------------------------------------------------- */

/* Whether they may be asked for just now. */
EG_GLOBAL int eg_window_is_open(__u32 slot)
{
	__u32 zero = 0;
	const struct eg_bootstrap_window *now = bpf_map_lookup_elem(&window, &zero);

	return slot < EG_SLOTS && now && now->until_ns && bpf_ktime_get_ns() < now->until_ns;
}

/* The slot's name `which`, NULL: it has none. */
EG_INLINE const struct eg_bootstrap_name *eg_table_name(__u32 slot, __u32 which)
{
	const struct eg_bootstrap *known = bpf_map_lookup_elem(&bootstrap, &slot);

	if (!known || which >= EG_BOOTSTRAP_NAMES || !known->names[which].len)
		return NULL;
	return &known->names[which];
}

/* Each hook asks for all names in a function of its own (EG_GLOBAL), and for one in another: the
 * verifier follows the way through a question once. */
static inline int eg_frame_asks(const struct eg_frame *frame, __u32 offset, __u32 family,
				__u32 slot) __attribute__((always_inline, unused));

static inline int eg_table_asks(const struct eg_tables *tables, const struct eg_frame *frame,
				__u32 offset, __u32 family)
{
	return eg_frame_asks(frame, offset, family, tables->slot);
}

#endif /* EG_TABLES_H */
