// SPDX-License-Identifier: GPL-2.0
#include "doctor/chain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "util/cleanup.h"
#include "util/text.h"

const char *const eg_doctor_backend_names[EG_DOCTOR_BACKENDS] = {
	[EG_DOCTOR_LEGACY] = "legacy",
	[EG_DOCTOR_NFT] = "nft",
};

/* --- reading ---------------------------------------------------------------------------------- */

/* A '#' would cut the line, and what stands in a comment or a log prefix decides nothing. */
static void add_rule(struct eg_text *text, const char *tool, const char *line, size_t len)
{
	eg_text_printf(text, "PostUp = %s ", tool);
	for (size_t i = 0; i < len; i++)
		eg_text_add(text, line[i] == '#' ? "_" : line + i, 1);
	eg_text_add(text, "\n", 1);
}

/* ":OUTPUT DROP [0:0]", ":MINE - [0:0]" */
static void add_chain(struct eg_text *text, const char *tool, const char *line, size_t len)
{
	char name[128] = "", target[32] = "";
	char copy[256] = "";

	memcpy(copy, line, len < sizeof(copy) ? len : sizeof(copy) - 1);
	if (sscanf(copy, ":%127s %31s", name, target) != 2)
		return;
	if (strcmp(target, "-") == 0)
		eg_text_printf(text, "PostUp = %s -N %s\n", tool, name);
	else if (strcmp(name, "OUTPUT") == 0)
		eg_text_printf(text, "PostUp = %s -P OUTPUT %s\n", tool, target);
}

/* The table `filter` of what iptables-save printed, as hooks that would make it: so one reader
 * knows what rules mean, whoever wrote them. */
static void add_tables(struct eg_text *text, const char *tool, const char *saved)
{
	bool filter = false;

	while (*saved) {
		size_t len = strcspn(saved, "\n");

		if (*saved == '*')
			filter = len == strlen("*filter") && memcmp(saved, "*filter", len) == 0;
		else if (filter && *saved == ':')
			add_chain(text, tool, saved, len);
		else if (filter && len > 3 && memcmp(saved, "-A ", 3) == 0)
			add_rule(text, tool, saved, len);
		saved += len + (saved[len] == '\n');
	}
}

int eg_doctor_tables_read(const char *text4, const char *text6, const char *ifname,
			  struct eg_doctor_tables *ret_tables)
{
	static const char start[] = "[Interface]\n";
	EG_AUTO_TEXT struct eg_text text = {};
	struct eg_doctor_tables tables = {.known = true};
	struct eg_wgfacts facts = {.ifname = ifname};
	int result = -ENOMEM;

	eg_text_add(&text, start, strlen(start));
	add_tables(&text, "iptables", text4);
	add_tables(&text, "ip6tables", text6);
	tables.text = eg_text_take(&text);
	if (tables.text)
		result = eg_wgfile_parse(tables.text, strlen(tables.text), &tables.file, NULL);
	if (result == 0)
		result = eg_wgmodel_read(tables.file, &facts, &tables.model);
	if (result < 0) {
		eg_doctor_tables_free(&tables);
		return result;
	}
	tables.model->facts = NULL; /* it goes out of scope here */
	*ret_tables = tables;
	return 0;
}

void eg_doctor_tables_free(struct eg_doctor_tables *tables)
{
	eg_wgmodel_free(tables->model);
	eg_wgfile_free(tables->file);
	free(tables->text);
	*tables = (struct eg_doctor_tables){};
}

/* --- a packet --------------------------------------------------------------------------------- */

enum match {
	NO,
	YES,
	PERHAPS,
};

static enum match match_dst(const struct eg_wgrule *rule, const struct eg_doctor_packet *packet)
{
	bool inside = false;

	if (rule->dst_unknown)
		return PERHAPS;
	for (size_t i = 0; i < rule->n_dst; i++)
		inside |= eg_prefix_covers(&rule->dst[i], &packet->dst);
	return rule->n_dst == 0 || inside != rule->dst_not ? YES : NO;
}

/* "0xca6c", "51820", "0xca6c/0xffff" */
static bool has_mark(const char *text, __u32 mark)
{
	char *end = NULL;
	__u32 value = (__u32)strtoul(text, &end, 0);
	__u32 mask = *end == '/' ? (__u32)strtoul(end + 1, NULL, 0) : (__u32)-1;

	return (mark & mask) == value;
}

static enum match match_rule(const struct eg_wgrule *rule, const struct eg_doctor_packet *packet)
{
	enum match dst = match_dst(rule, packet);

	if ((rule->out_tunnel && !packet->tunnel) || (rule->out_not_tunnel && packet->tunnel) ||
	    rule->out_lo || rule->local || rule->established || dst == NO)
		return NO;
	if ((rule->mark && !has_mark(rule->mark, packet->mark)) ||
	    (rule->not_mark && has_mark(rule->not_mark, packet->mark)))
		return NO;
	/* `! -o NAME` is kept as the name alone */
	if (rule->out_other)
		return PERHAPS;
	return rule->narrow ? PERHAPS : dst;
}

/* `-o eth0`, as against `! -o eth0` and a name with a `+` */
static enum match match_other(const struct eg_wghooks *hooks, const struct eg_wgrule *rule,
			      const char *out)
{
	const struct eg_shell_command *command = eg_wgop_command(hooks, rule->op);

	for (size_t i = rule->op->first_word; i + 1 < command->n_words; i++) {
		const char *word = command->words[i].text;
		bool negated = i > 0 && strcmp(command->words[i - 1].text, "!") == 0;
		const char *name = command->words[i + 1].text;

		if (strcmp(word, "-o") != 0 && strcmp(word, "--out-interface") != 0)
			continue;
		if (strchr(name, '+'))
			return PERHAPS;
		return (strcmp(name, out) == 0) != negated ? YES : NO;
	}
	return PERHAPS;
}

struct walk {
	bool may_pass, may_drop;
};

static enum eg_doctor_fate settle(const struct walk *walk, bool drops)
{
	if (drops)
		return walk->may_pass ? EG_DOCTOR_MAYBE : EG_DOCTOR_DROPPED;
	return walk->may_drop ? EG_DOCTOR_MAYBE : EG_DOCTOR_PASSES;
}

static enum eg_doctor_fate walk_chain(const struct eg_wghooks *hooks,
				      const struct eg_wgchain *chain,
				      const struct eg_doctor_packet *packet)
{
	struct walk walk = {};
	unsigned int left = 0; /* the chain that was returned from */

	for (size_t i = 0; i < chain->n_rules; i++) {
		const struct eg_wgrule *rule = &chain->rules[i];
		enum match match = match_rule(rule, packet);

		if (left && rule->inside == left)
			continue;
		if (match == PERHAPS && rule->out_other && packet->out) {
			enum match other = match_other(hooks, rule, packet->out);

			match = rule->narrow || rule->dst_unknown ? (other == NO ? NO : PERHAPS)
								  : other;
		}
		if (match == NO)
			continue;
		switch (rule->verdict) {
		case EG_WGVERDICT_ACCEPT:
			if (match == YES)
				return settle(&walk, false);
			walk.may_pass = true;
			break;
		case EG_WGVERDICT_DROP:
			if (match == YES)
				return settle(&walk, true);
			walk.may_drop = true;
			break;
		case EG_WGVERDICT_RETURN:
			if (match == PERHAPS)
				walk.may_pass = walk.may_drop = true;
			else if (!rule->inside)
				return settle(&walk, chain->policy_drops);
			else
				left = rule->inside;
			break;
		case EG_WGVERDICT_UNKNOWN:
			walk.may_pass = walk.may_drop = true;
			break;
		case EG_WGVERDICT_OTHER:
			break;
		}
	}
	return settle(&walk, chain->policy_drops);
}

enum eg_doctor_fate eg_doctor_fate(const struct eg_doctor_tables tables[EG_DOCTOR_BACKENDS],
				   const struct eg_doctor_packet *packet)
{
	bool maybe = false;

	for (int i = 0; i < EG_DOCTOR_BACKENDS; i++) {
		const struct eg_doctor_tables *one = &tables[i];
		bool six = packet->dst.family == EG_FAMILY_IPV6;
		enum eg_doctor_fate fate = EG_DOCTOR_MAYBE;

		if (one->known && one->model && !(six && one->no_ipv6))
			fate = walk_chain(one->model->hooks,
					  six ? &one->model->chain6 : &one->model->chain4, packet);
		if (fate == EG_DOCTOR_PASSES && one->others)
			fate = EG_DOCTOR_MAYBE;
		if (fate == EG_DOCTOR_DROPPED)
			return fate;
		maybe |= fate == EG_DOCTOR_MAYBE;
	}
	return maybe ? EG_DOCTOR_MAYBE : EG_DOCTOR_PASSES;
}
