// SPDX-License-Identifier: GPL-2.0
/*
 * For the static binary alone: libelf.a of elfutils 0.192 (Debian 13) refers to its own search
 * trees but does not contain them. These are the four functions that it misses, over tsearch(3).
 * The linker takes them only where they are missing. No lock: one thread alone reads an ELF object
 * here.
 */
#include <search.h>
#include <stddef.h>

struct search_tree {
	void *root;
	/* a lock that libelf.a makes room for */
};

typedef int (*compare_keys)(const void *a, const void *b);

void eu_search_tree_init(struct search_tree *tree);
void eu_search_tree_fini(struct search_tree *tree, void (*free_node)(void *node));
void *eu_tsearch(const void *key, struct search_tree *tree, compare_keys compare);
void *eu_tdelete(const void *key, struct search_tree *tree, compare_keys compare);

void eu_search_tree_init(struct search_tree *tree)
{
	tree->root = NULL;
}

void eu_search_tree_fini(struct search_tree *tree, void (*free_node)(void *node))
{
	tdestroy(tree->root, free_node);
	tree->root = NULL;
}

void *eu_tsearch(const void *key, struct search_tree *tree, compare_keys compare)
{
	return tsearch(key, &tree->root, compare);
}

void *eu_tdelete(const void *key, struct search_tree *tree, compare_keys compare)
{
	return tdelete(key, &tree->root, compare);
}
