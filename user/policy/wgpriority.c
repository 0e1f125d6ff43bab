// SPDX-License-Identifier: GPL-2.0
/* In which order the kernel asks the rules that choose a table: the hooks', and wg-quick's own. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/array.h"
#include "policy/wgmodel.h"

#define PRIORITY_MAIN 32766

/* One rule, as it is asked. */
struct entry {
	unsigned long priority;
	struct eg_wgop *op;      /* NULL: wg-quick's, or the kernel's */
	bool tunnel, suppresses; /* wg-quick's two */
};

struct list {
	struct entry *entries;
	size_t n;
	bool failed;
};

/* Without a priority of its own a rule comes right before the first that is there, the kernel's at
 * 0 left out. Behind others of its priority. */
static void add(struct list *list, struct entry entry, bool has_priority)
{
	size_t at = 0;

	if (!has_priority)
		entry.priority = (list->n ? list->entries[0].priority : PRIORITY_MAIN) - 1;
	while (at < list->n && list->entries[at].priority <= entry.priority)
		at++;
	if (EG_ARRAY_ADD(list->entries, list->n, entry) < 0) {
		list->failed = true;
		return;
	}
	memmove(&list->entries[at + 1], &list->entries[at],
		(list->n - 1 - at) * sizeof(list->entries[0]));
	list->entries[at] = entry;
}

static void add_ops(struct list *list, const struct eg_wgmodel *model, enum eg_wgkey phase,
		    __u8 family)
{
	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		struct eg_wgop *op = &model->hooks->ops[i];

		if (op->kind == EG_WGOP_RULE && op->phase == phase && op->family == family &&
		    op->act != EG_WGACT_DELETE)
			add(list, (struct entry){.priority = op->priority, .op = op},
			    op->has_priority);
	}
}

static bool to_tunnel(const struct eg_wgmodel *model, const struct entry *entry)
{
	return entry->tunnel || (entry->op && eg_wgop_in_policy_table(model, entry->op));
}

static bool suppresses(const struct entry *entry)
{
	return entry->suppresses || (entry->op && entry->op->suppresses);
}

static struct eg_wgorder read_order(const struct list *list, const struct eg_wgmodel *model)
{
	struct eg_wgorder order = {EG_WGASKED_NEVER, EG_WGASKED_NEVER, NULL};

	for (unsigned int i = 0; i < list->n; i++) {
		struct entry *entry = &list->entries[i];

		if (entry->op)
			entry->op->asked = i;
		if (order.tunnel == EG_WGASKED_NEVER && to_tunnel(model, entry))
			order.tunnel = i;
		if (order.suppress == EG_WGASKED_NEVER && suppresses(entry)) {
			order.suppress = i;
			order.suppress_op = entry->op;
		}
	}
	return order;
}

int eg_wgmodel_order(struct eg_wgmodel *model, __u8 family, struct eg_wgorder *ret_order)
{
	bool rules = model->way == EG_WGWAY_RULES &&
		     (family == EG_FAMILY_IPV6 ? model->default6 : model->default4);
	struct list list = {};

	add(&list, (struct entry){.priority = PRIORITY_MAIN}, true);
	add_ops(&list, model, EG_WGKEY_PRE_UP, family);
	if (rules) {
		add(&list, (struct entry){.tunnel = true}, false);
		add(&list, (struct entry){.suppresses = true}, false);
	}
	add_ops(&list, model, EG_WGKEY_POST_UP, family);
	if (!list.failed)
		*ret_order = read_order(&list, model);
	free(list.entries);
	return list.failed ? -ENOMEM : 0;
}
