// SPDX-License-Identifier: GPL-2.0
/* The first tables, front4 and front6, from an image's prefixes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "eg_packet.h"
#include "policy/address.h"
#include "policy/image.h"

/* Of these a table of flags alone can tell all there is. */
#define KNOWN                                                                                      \
	(EG_ADDR_LAN | EG_ADDR_RULE | EG_ADDR_DENIED | EG_ADDR_TUNNEL_ONLY | EG_ADDR_ON_LINK |     \
	 EG_ADDR_SOURCE)

/* Covering entries come first, so a longer one overwrites what it covers. */
static void fill_front4(struct eg_image *image)
{
	for (size_t i = 0; i < image->n_addrs; i++) {
		const struct eg_image_addr *entry = &image->addrs[i];
		__u32 first = EG_FROM_BE32(entry->prefix.addr.v4_be) >> 16;

		if (entry->prefix.family != EG_FAMILY_IPV4)
			continue;
		if (entry->prefix.len > 16)
			image->front4->flags[first] = EG_ADDR_ASK;
		else
			memset(&image->front4->flags[first],
			       entry->value.flags & ~KNOWN ? EG_ADDR_ASK : (int)entry->value.flags,
			       1U << (16 - entry->prefix.len));
	}
}

/* --- front6 ----------------------------------------------------------------------------------- */

/* What is known of the addresses of one cell. */
struct cell {
	struct eg_addr_value
		value; /* of the shortest prefix that is all of the cell, or covers it */
	bool on_link_differs;
	bool differs; /* in more than that */
};

struct node {
	struct eg_prefix prefix;
	struct eg_addr_value value; /* as in its cell */
	bool filled;
};

struct tree {
	const struct eg_image *image;
	struct eg_front6 *front;
	struct node nodes[EG_FRONT6_NODES];
	size_t n;
};

static bool same_value(const struct eg_addr_value *a, const struct eg_addr_value *b, __u32 but)
{
	return (a->flags & ~but) == (b->flags & ~but) && a->rule_set == b->rule_set;
}

/* An entry inside a node: covering ones come first. `byte`: which one of its address. */
static void note_entry(struct cell cells[EG_FRONT6_CELLS], const struct eg_image_addr *entry,
		       unsigned int byte)
{
	unsigned int first = entry->prefix.addr.bytes[byte];
	unsigned int bits = 8 * (byte + 1);
	struct cell *cell = &cells[first];

	if (entry->prefix.len <= bits)
		for (unsigned int i = 0; i < 1U << (bits - entry->prefix.len); i++)
			cells[first + i] = (struct cell){.value = entry->value};
	else if (!same_value(&cell->value, &entry->value, EG_ADDR_ON_LINK))
		cell->differs = true;
	else if (!same_value(&cell->value, &entry->value, 0))
		cell->on_link_differs = true;
}

/* The number of a new node for what begins like `parent` and goes on with `byte`, 0: there is no
 * room for one. */
static size_t add_node(struct tree *tree, const struct node *parent, unsigned int byte,
		       const struct eg_addr_value *value)
{
	unsigned int depth = parent->prefix.len / 8;
	struct node node = {.prefix = parent->prefix, .value = *value};

	if (tree->n == EG_FRONT6_NODES || depth + 1 == EG_FRONT6_DEPTH)
		return 0;
	node.prefix.addr.bytes[depth] = (__u8)byte;
	node.prefix.len = (__u8)(node.prefix.len + 8);
	tree->nodes[tree->n] = node;
	return tree->n++;
}

static __u16 cell_flags(const struct cell *cell)
{
	if (cell->differs || (cell->value.flags & ~KNOWN))
		return EG_ADDR_ASK;
	return (__u16)(cell->value.flags | (cell->on_link_differs ? EG_FRONT6_ON_LINK : 0));
}

static void fill_node(struct tree *tree, struct node *node)
{
	__u16 *filled = &tree->front->cells[(size_t)(node - tree->nodes) * EG_FRONT6_CELLS];
	struct cell cells[EG_FRONT6_CELLS];
	size_t child;

	for (size_t i = 0; i < EG_FRONT6_CELLS; i++)
		cells[i] = (struct cell){.value = node->value};
	for (size_t i = eg_image_up_to(tree->image, &node->prefix);
	     i < tree->image->n_addrs &&
	     eg_prefix_covers(&node->prefix, &tree->image->addrs[i].prefix);
	     i++)
		note_entry(cells, &tree->image->addrs[i], node->prefix.len / 8);
	node->filled = true;
	for (unsigned int i = EG_FRONT6_CELLS; i-- > 0;) {
		child = cells[i].differs ? add_node(tree, node, i, &cells[i].value) : 0;
		filled[i] = child ? (__u16)(EG_FRONT6_NODE | child) : cell_flags(&cells[i]);
	}
}

/* The next one to fill: private addresses first, which matter most where nodes run out, and then
 * level by level, so that the deepest are missing. */
static struct node *next_node(struct tree *tree)
{
	struct node *next = NULL;

	for (size_t i = 0; i < tree->n; i++) {
		struct node *node = &tree->nodes[i];

		if (node->filled)
			continue;
		if (node->prefix.addr.bytes[0] >= 0xfc)
			return node;
		if (!next)
			next = node;
	}
	return next;
}

static void fill_front6(struct eg_image *image)
{
	struct tree tree = {
		.image = image,
		.front = image->front6,
		.nodes = {{.prefix = {.family = EG_FAMILY_IPV6}}},
		.n = 1,
	};
	const struct eg_prefix *first = &tree.nodes[0].prefix;
	size_t n = eg_image_up_to(image, first);
	struct node *node;

	/* An entry for all of IPv6 is no part of the node: it is what holds there. */
	if (n && eg_prefix_covers(&image->addrs[n - 1].prefix, first))
		tree.nodes[0].value = image->addrs[n - 1].value;
	while ((node = next_node(&tree)))
		fill_node(&tree, node);
}

int eg_image_fill_fronts(struct eg_image *image)
{
	image->front4 = calloc(1, sizeof(*image->front4));
	image->front6 = calloc(1, sizeof(*image->front6));
	if (!image->front4 || !image->front6)
		return -ENOMEM;
	fill_front4(image);
	fill_front6(image);
	return 0;
}

__u32 eg_front6_flags(const struct eg_front6 *front, const union eg_addr *addr)
{
	__u32 cell = EG_FRONT6_NODE;

	for (size_t i = 0; i < EG_FRONT6_DEPTH && (cell & EG_FRONT6_NODE); i++)
		cell = front->cells[(cell & (EG_FRONT6_NODES - 1)) * EG_FRONT6_CELLS +
				    addr->bytes[i]];
	return cell & EG_FRONT6_NODE ? EG_ADDR_ASK : cell;
}
