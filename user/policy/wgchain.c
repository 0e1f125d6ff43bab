// SPDX-License-Identifier: GPL-2.0
#include "policy/wgchain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/array.h"

#define JUMPS_MAX 4

struct reader {
	const struct eg_wghooks *hooks;
	__u8 family;
	const char *ifname;
	struct eg_wgchain *chain;
	bool failed;
};

static bool same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* --- the chain -------------------------------------------------------------------------------- */

/* The rules of one chain as they stand, by the operations that made them. */
struct entry {
	const struct eg_wgop *op;
};

struct list {
	struct entry *ops;
	size_t n;
};

static void list_remove(struct list *list, size_t at)
{
	for (list->n--; at < list->n; at++)
		list->ops[at] = list->ops[at + 1];
}

static void list_insert(struct reader *reader, struct list *list, size_t at,
			const struct eg_wgop *op)
{
	struct entry entry = {op};

	if (EG_ARRAY_ADD(list->ops, list->n, entry) < 0) {
		reader->failed = true;
		return;
	}
	for (size_t i = list->n - 1; i > at; i--) {
		list->ops[i] = list->ops[i - 1];
		list->ops[i - 1] = entry;
	}
}

static void list_apply(struct reader *reader, struct list *list, const struct eg_wgop *op)
{
	switch (op->verb) {
	case 'A':
		list_insert(reader, list, list->n, op);
		break;
	case 'I':
		list_insert(reader, list, op->position > 1 ? (size_t)op->position - 1 : 0, op);
		break;
	case 'D':
		for (size_t i = 0; i < list->n; i++) {
			if (same(list->ops[i].op->spec, op->spec)) {
				list_remove(list, i);
				break;
			}
		}
		break;
	case 'F':
	case 'X':
		list->n = 0;
		break;
	default: /* nothing that changes which rules there are */
		break;
	}
}

static bool is_of(const struct reader *reader, const struct eg_wgop *op, const char *chain)
{
	return op->kind == EG_WGOP_TABLES && op->family == reader->family &&
	       eg_wgkey_is_up(op->phase) && op->chain && same(op->table_name, "filter") &&
	       (same(op->chain, chain) || (!*op->chain && op->verb == 'F'));
}

static void note_unsure(struct reader *reader, const struct eg_wgop *op)
{
	if (!reader->chain->unsure && strchr("AIDFPR?", op->verb))
		reader->chain->unsure = op;
}

/* A policy is the chain's, of the built-in ones alone. */
static void take_policy(struct reader *reader, const struct eg_wgop *op)
{
	const struct eg_shell_command *command = eg_wgop_command(reader->hooks, op);
	const char *target =
		op->first_word < command->n_words ? command->words[op->first_word].text : "";

	if (op->verb != 'P')
		return;
	reader->chain->policy_drops = same(target, "DROP");
	reader->chain->policy_op = op;
}

/* Whether the hooks make the chain, so that all its rules are theirs. */
static bool is_made(const struct reader *reader, const char *name)
{
	for (size_t i = 0; i < reader->hooks->n_ops; i++) {
		const struct eg_wgop *op = &reader->hooks->ops[i];

		if (is_of(reader, op, name) && op->verb == 'N')
			return true;
	}
	return false;
}

static void read_chain(struct reader *reader, const char *name, unsigned int jumps)
{
	unsigned int inside = jumps ? ++reader->chain->n_inside : 0;
	struct list list = {};

	/* PreUp comes first, wherever it stands in the file */
	for (int phase = EG_WGKEY_PRE_UP; phase <= EG_WGKEY_POST_UP; phase++) {
		for (size_t i = 0; i < reader->hooks->n_ops; i++) {
			const struct eg_wgop *op = &reader->hooks->ops[i];

			if ((int)op->phase != phase || !is_of(reader, op, name))
				continue;
			/* a rule put in the place of another is not followed */
			if (op->conditional || op->verb == 'R' || op->verb == '?') {
				note_unsure(reader, op);
				continue;
			}
			take_policy(reader, op);
			list_apply(reader, &list, op);
		}
	}
	for (size_t i = 0; i < list.n && !reader->failed; i++) {
		struct eg_wgrule rule;
		const char *jump;

		reader->failed |= eg_wgrule_read(reader->hooks, list.ops[i].op, reader->ifname,
						 &rule, &jump) < 0;
		rule.inside = inside;
		if (jump && jumps < JUMPS_MAX && is_made(reader, jump) &&
		    eg_wgrule_is_plain(&rule)) {
			free(rule.dst);
			read_chain(reader, jump, jumps + 1);
		} else if (EG_ARRAY_ADD(reader->chain->rules, reader->chain->n_rules, rule) < 0) {
			free(rule.dst);
			reader->failed = true;
		}
	}
	free(list.ops);
}

int eg_wgchain_read(const struct eg_wghooks *hooks, __u8 family, const char *ifname,
		    struct eg_wgchain *ret_chain)
{
	struct reader reader = {
		.hooks = hooks,
		.family = family,
		.ifname = ifname,
		.chain = ret_chain,
	};

	*ret_chain = (struct eg_wgchain){};
	read_chain(&reader, "OUTPUT", 0);
	return reader.failed ? -ENOMEM : 0;
}

void eg_wgchain_free(struct eg_wgchain *chain)
{
	for (size_t i = 0; i < chain->n_rules; i++)
		free(chain->rules[i].dst);
	free(chain->rules);
	*chain = (struct eg_wgchain){};
}
