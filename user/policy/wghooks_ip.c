// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/wghooks_internal.h"
#include "util/text.h"

#define MAIN_TABLE 254

static void take_table(struct eg_wgop *op, const struct eg_shell_word *word)
{
	char *end;
	unsigned long number = strtoul(word->text, &end, 0);

	if (eg_wgword_is_fwmark(word->text)) {
		op->table = EG_WGTABLE_FWMARK;
	} else if (eg_wgword_is(word->text, "main")) {
		op->table = EG_WGTABLE_MAIN;
	} else if (!*end && *word->text) {
		op->table = number == MAIN_TABLE ? EG_WGTABLE_MAIN : EG_WGTABLE_NUMBER;
		op->table_number = (__u32)number;
	} else {
		op->table = EG_WGTABLE_UNKNOWN;
	}
}

static void take_prefix(struct eg_wgop *op, const struct eg_shell_word *word)
{
	union eg_addr host;
	char text[EG_ADDRESS_TEXT_LEN];
	const char *slash = strchr(word->text, '/');

	if (eg_wgword_is(word->text, "default") || eg_wgword_begins("default", word->text)) {
		op->is_default = true;
		return;
	}
	if (slash && eg_wgword_is(slash, "/0")) {
		op->is_default = true;
		if (strchr(word->text, ':'))
			op->family = EG_FAMILY_IPV6;
		return;
	}
	/* `ip` takes 10/8 for 10.0.0.0/8; nobody writes that in a file, so it is not known here */
	snprintf(text, sizeof(text), "%s", word->text);
	if (word->dynamic || eg_prefix_parse_host(text, &op->prefix, &host, NULL) < 0) {
		op->unknown_prefix = true;
		return;
	}
	op->has_prefix = true;
	op->family = op->prefix.family;
}

static bool looks_like_address(const struct eg_shell_word *word)
{
	__u8 family;
	union eg_addr addr;

	return !word->dynamic && eg_addr_parse(word->text, &family, &addr, NULL) == 0;
}

/* Words of `ip route add` that have a value of no interest here. */
static bool has_value(const char *word)
{
	static const char *const words[] = {"metric", "preference", "proto",  "protocol", "scope",
					    "src",    "mtu",        "advmss", "realm",    "type",
					    "weight", "pref",       "tos",    NULL};

	return eg_wgword_is_of(word, words);
}

static void read_route(struct eg_wgreader *reader, const struct eg_shell_command *command,
		       size_t from, const struct eg_wghook *hook, struct eg_wgop *op)
{
	bool have = false;

	for (size_t i = from; command->words && i < command->n_words; i++) {
		const struct eg_shell_word *word = &command->words[i];
		const struct eg_shell_word *next = i + 1 < command->n_words ? word + 1 : NULL;

		if (next && eg_wgword_is(word->text, "via")) {
			op->has_via = true;
			if ((eg_wgword_is(next->text, "inet6") ||
			     eg_wgword_is(next->text, "inet")) &&
			    i + 2 < command->n_words) {
				next++;
				i++;
			}
			op->via = next->text;
			if (looks_like_address(next)) {
				op->gateway = next->text;
				op->gateway_place = eg_wghook_place(hook, next->offset);
			}
			i++;
		} else if (next && eg_wgword_is(word->text, "dev")) {
			op->to_tunnel = eg_wgword_is_tunnel(reader, next->text);
			op->has_dev = true;
			op->dev = op->to_tunnel ? "%i" : next->text;
			i++;
		} else if (next && eg_wgword_is(word->text, "metric")) {
			op->metric = next->text;
			i++;
		} else if (next &&
			   (eg_wgword_is(word->text, "table") || eg_wgword_is(word->text, "t"))) {
			take_table(op, next);
			i++;
		} else if (has_value(word->text)) {
			i++;
		} else if (!have && !eg_wgword_is(word->text, "to")) {
			have = true;
			take_prefix(op, word);
		} else if (word->dynamic) { /* `$via`, with the gateway and, we take it, its device
					     */
			op->has_dev = op->unknown_way = true;
		}
	}
}

/* `to PREFIX lookup TABLE priority N` */
static void read_rule(const struct eg_shell_command *command, size_t from, struct eg_wgop *op)
{
	static const char *const priorities[] = {"priority", "pref", "preference", "order", NULL};

	for (size_t i = from; i < command->n_words; i++) {
		const char *word = eg_wgword_at(command, i);
		bool more = i + 1 < command->n_words;

		if (more && eg_wgword_is(word, "to")) {
			take_prefix(op, &command->words[++i]);
		} else if (more && (eg_wgword_is(word, "table") || eg_wgword_is(word, "lookup"))) {
			take_table(op, &command->words[++i]);
		} else if (more && eg_wgword_is_of(word, priorities)) {
			op->has_priority = true;
			op->priority = strtoul(eg_wgword_at(command, ++i), NULL, 0);
		} else if (more && eg_wgword_begins("suppress_prefixlength", word)) {
			op->suppresses = true;
			i++;
		} else {
			op->narrow = true;
		}
	}
}

static void add_route_spec(struct eg_text *text, const struct eg_wgop *op,
			   const struct eg_shell_command *command, size_t from)
{
	char prefix[EG_ADDRESS_TEXT_LEN];

	eg_text_printf(text, "route %d ", op->family);
	if (op->has_prefix)
		eg_text_printf(text, "%s", eg_prefix_format(prefix, &op->prefix));
	else
		eg_text_printf(text, "%s",
			       op->is_default ? "default" : eg_wgword_at(command, from));
	switch (op->table) {
	case EG_WGTABLE_MAIN:
		break;
	case EG_WGTABLE_NUMBER:
		eg_text_printf(text, " table %u", op->table_number);
		break;
	case EG_WGTABLE_FWMARK:
		eg_text_printf(text, " table fwmark");
		break;
	case EG_WGTABLE_UNKNOWN:
		eg_text_printf(text, " table ?");
		break;
	}
}

static enum eg_wgact read_act(const char *word, bool *ret_known)
{
	*ret_known = true;
	if (eg_wgword_begins(word, "add") || eg_wgword_begins(word, "append"))
		return EG_WGACT_ADD;
	if (eg_wgword_begins(word, "replace") || eg_wgword_begins(word, "change"))
		return EG_WGACT_REPLACE;
	if (eg_wgword_begins(word, "delete") || eg_wgword_begins(word, "flush"))
		return EG_WGACT_DELETE;
	*ret_known = false;
	return EG_WGACT_ADD;
}

/* `ip [-4|-6|…] route|rule VERB …` */
void eg_wgread_ip(struct eg_wgreader *reader, const struct eg_shell_command *command, size_t at,
		  const struct eg_wghook *hook, struct eg_wgop *op)
{
	EG_AUTO_TEXT struct eg_text spec = {};
	const char *object;
	bool act_known;

	op->family = EG_FAMILY_IPV4;
	for (; eg_wgword_at(command, at)[0] == '-'; at++) {
		if (eg_wgword_is(eg_wgword_at(command, at), "-6"))
			op->family = EG_FAMILY_IPV6;
		if (eg_wgword_is(eg_wgword_at(command, at), "-f") ||
		    eg_wgword_is(eg_wgword_at(command, at), "-family"))
			op->family = eg_wgword_begins("inet6", eg_wgword_at(command, ++at))
					     ? EG_FAMILY_IPV6
					     : op->family;
	}
	object = eg_wgword_at(command, at++);
	op->act = read_act(eg_wgword_at(command, at++), &act_known);
	op->kind = EG_WGOP_HARMLESS;
	if (!act_known || command->n_words <= at)
		return;
	if (eg_wgword_begins(object, "route")) {
		op->kind = EG_WGOP_ROUTE;
		read_route(reader, command, at, hook, op);
		add_route_spec(&spec, op, command, at);
	} else if (eg_wgword_begins(object, "rule")) {
		op->kind = EG_WGOP_RULE;
		read_rule(command, at, op);
		eg_text_printf(&spec, "rule %d", op->family);
		eg_wgword_add_all(reader, &spec, command, at);
	}
	op->spec = eg_text_take(&spec);
	reader->failed |= !op->spec;
}
