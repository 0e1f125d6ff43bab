// SPDX-License-Identifier: GPL-2.0
#include "policy/wgchain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
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

/* --- one rule --------------------------------------------------------------------------------- */

static void take_out(const struct reader *reader, struct eg_wgrule *rule, const char *name,
		     bool not )
{
	bool tunnel = same(name, "%i") || (reader->ifname && same(name, reader->ifname));

	if (tunnel && not )
		rule->out_not_tunnel = true;
	else if (tunnel)
		rule->out_tunnel = true;
	else if (same(name, "lo") && !not )
		rule->out_lo = true;
	else if (!same(name, "lo"))
		rule->out_other = name;
}

/* -d A,B,C */
static void take_destination(struct reader *reader, struct eg_wgrule *rule, const char *text,
			     bool not )
{
	rule->dst_not = not ;
	while (*text) {
		size_t len = strcspn(text, ",");
		char one[EG_ADDRESS_TEXT_LEN] = "";
		struct eg_prefix prefix;
		union eg_addr host;

		if (len < sizeof(one))
			memcpy(one, text, len);
		if (eg_prefix_parse_host(one, &prefix, &host, NULL) < 0)
			rule->dst_unknown = true;
		else if (EG_ARRAY_ADD(rule->dst, rule->n_dst, prefix) < 0)
			reader->failed = true;
		text += len + (text[len] == ',');
	}
}

static void take_target(struct eg_wgrule *rule, const char *target)
{
	if (same(target, "ACCEPT"))
		rule->verdict = EG_WGVERDICT_ACCEPT;
	else if (same(target, "DROP") || same(target, "REJECT"))
		rule->verdict = EG_WGVERDICT_DROP;
	else if (same(target, "RETURN"))
		rule->verdict = EG_WGVERDICT_RETURN;
	else if (same(target, "LOG") || same(target, "NFLOG") || same(target, "MARK") ||
		 same(target, "CONNMARK"))
		rule->verdict = EG_WGVERDICT_OTHER;
	else
		rule->verdict = EG_WGVERDICT_UNKNOWN;
}

/* What a match says; false: it is none of those that we know. */
static bool take_match(struct reader *reader, struct eg_wgrule *rule, const char *option,
		       const char *value, bool not )
{
	if (same(option, "-o") || same(option, "--out-interface")) {
		take_out(reader, rule, value, not );
	} else if (same(option, "-d") || same(option, "--dst") || same(option, "--destination")) {
		take_destination(reader, rule, value, not );
	} else if (same(option, "--mark")) {
		if (not )
			rule->not_mark = value;
		else
			rule->mark = value;
	} else if (same(option, "--dst-type")) {
		rule->not_local |= not &&same(value, "LOCAL");
		rule->local |= !not &&same(value, "LOCAL");
		rule->narrow |= !same(value, "LOCAL");
	} else if (same(option, "--state") || same(option, "--ctstate")) {
		rule->established = true;
	} else {
		return false;
	}
	return true;
}

static bool says_nothing(const char *option)
{
	return same(option, "-m") || same(option, "--match") || same(option, "--comment") ||
	       same(option, "--reject-with") || same(option, "--log-prefix") ||
	       same(option, "--log-level") || same(option, "-t") || same(option, "--table");
}

/* Returns the chain that it jumps to where that is one of the hooks' own, or NULL. */
static const char *read_rule(struct reader *reader, const struct eg_wgop *op,
			     struct eg_wgrule *rule)
{
	const struct eg_shell_command *command = eg_wgop_command(reader->hooks, op);
	const char *jump = NULL;
	bool not = false;

	rule->op = op;
	rule->verdict = EG_WGVERDICT_OTHER;
	for (size_t i = op->first_word; i < command->n_words; i++) {
		const char *word = command->words[i].text;
		const char *value = i + 1 < command->n_words ? command->words[i + 1].text : "";

		if (same(word, "!")) {
			not = true;
			continue;
		}
		if (same(value, "!") && i + 2 < command->n_words) { /* as it was written once */
			not = true;
			value = command->words[++i + 1].text;
		}
		if (same(word, "-j") || same(word, "--jump") || same(word, "-g")) {
			take_target(rule, value);
			jump = rule->verdict == EG_WGVERDICT_UNKNOWN ? value : NULL;
			i++;
		} else if (take_match(reader, rule, word, value, not ) || says_nothing(word)) {
			i++;
		} else if (!same(word, "-w") && !same(word, "--wait")) {
			rule->narrow = true;
		}
		not = false;
	}
	return jump;
}

bool eg_wgrule_is_kill_switch(const struct eg_wgrule *rule)
{
	return rule->verdict == EG_WGVERDICT_DROP && !rule->op->conditional && !rule->narrow &&
	       !rule->out_tunnel && !rule->out_lo && !rule->mark && !rule->established &&
	       !rule->local && (rule->n_dst == 0 || rule->dst_not) && !rule->dst_unknown &&
	       !rule->out_other;
}

bool eg_wgrule_is_named_kill_switch(const struct eg_wgrule *rule)
{
	return rule->verdict == EG_WGVERDICT_DROP && rule->out_other && !rule->narrow &&
	       !rule->mark && !rule->established && !rule->local && !rule->dst_unknown &&
	       (rule->n_dst == 0 || rule->dst_not);
}

int eg_wgrule_read(const struct eg_wghooks *hooks, const struct eg_wgop *op, const char *ifname,
		   struct eg_wgrule *ret_rule)
{
	struct reader reader = {.hooks = hooks, .ifname = ifname};

	*ret_rule = (struct eg_wgrule){};
	read_rule(&reader, op, ret_rule);
	return reader.failed ? -ENOMEM : 0;
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
		struct eg_wgrule rule = {};
		const char *jump = read_rule(reader, list.ops[i].op, &rule);

		rule.inside = inside;
		if (jump && jumps < JUMPS_MAX && is_made(reader, jump) && !rule.narrow &&
		    !rule.n_dst && !rule.dst_unknown && !rule.mark && !rule.not_mark &&
		    !rule.out_tunnel && !rule.out_not_tunnel && !rule.established &&
		    !rule.out_other && !rule.out_lo) {
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
