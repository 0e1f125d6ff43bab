// SPDX-License-Identifier: GPL-2.0
/* The kill switch in the OUTPUT chains: whether there is one, and what gets round it. */
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/networks.h"
#include "policy/wgcheck_internal.h"
#include "policy/wgwalk.h"
#include "util/text.h"

/* One family's. */
struct chain {
	__u8 family;
	const struct eg_wgchain *chain;
	const struct eg_wgrule *last; /* the kill switch, NULL: none */
	size_t at;                    /* its index, behind the last rule for a policy */
	struct eg_wgrule policy;
};

static void find_kill_switch(struct chain *chain)
{
	for (size_t i = 0; i < chain->chain->n_rules; i++) {
		if (eg_wgrule_is_kill_switch(&chain->chain->rules[i])) {
			chain->last = &chain->chain->rules[i];
			chain->at = i;
			return;
		}
	}
	if (chain->chain->policy_drops) {
		chain->policy = (struct eg_wgrule){
			.op = chain->chain->policy_op,
			.verdict = EG_WGVERDICT_DROP,
		};
		chain->last = &chain->policy;
		chain->at = chain->chain->n_rules;
	}
}

static const char *tool(const struct chain *chain)
{
	return chain->family == EG_FAMILY_IPV6 ? "ip6tables" : "iptables";
}

static bool accepts(const struct eg_wgrule *rule)
{
	return rule->verdict == EG_WGVERDICT_ACCEPT || rule->verdict == EG_WGVERDICT_RETURN;
}

bool eg_wgcheck_is_private(const struct eg_prefix *prefix)
{
	if (prefix->family == EG_FAMILY_IPV6)
		return (prefix->addr.bytes[0] & 0xfe) == 0xfc || prefix->addr.bytes[0] >= 0xfe;
	return eg_addr_is_lan(prefix->family, &prefix->addr) || prefix->addr.bytes[0] >= 224 ||
	       prefix->addr.bytes[0] == 127 ||
	       (prefix->addr.bytes[0] == 169 && prefix->addr.bytes[1] == 254) ||
	       (prefix->addr.bytes[0] == 100 && (prefix->addr.bytes[1] & 0xc0) == 64);
}

/* --- before it -------------------------------------------------------------------------------- */

/* So wide that it is most of the internet. */
static bool is_wide(const struct eg_wgrule *rule)
{
	for (size_t i = 0; i < rule->n_dst; i++) {
		if (rule->dst[i].len < (rule->dst[i].family == EG_FAMILY_IPV4
						? EG_RULE_MIN_LEN_IPV4
						: EG_RULE_MIN_LEN_IPV6))
			return true;
	}
	return false;
}

/* Nothing says where to: it accepts what goes to the internet on the underlay. */
static bool is_open(const struct eg_wgrule *rule)
{
	return accepts(rule) && !rule->out_tunnel && !rule->out_lo && !rule->local && !rule->mark &&
	       !rule->established && !rule->dst_unknown && !rule->unclear && !rule->never &&
	       !rule->no_unicast && !rule->out_other_not &&
	       (rule->n_dst == 0 || rule->dst_not || is_wide(rule));
}

static const struct eg_prefix *public_destination(const struct eg_wgmodel *model,
						  const struct eg_wgrule *rule)
{
	if (!accepts(rule) || rule->out_tunnel || rule->out_lo || rule->mark || rule->dst_not ||
	    rule->never)
		return NULL;
	for (size_t i = 0; i < rule->n_dst; i++) {
		if (!eg_wgcheck_is_private(&rule->dst[i]) &&
		    !eg_wgmodel_is_endpoint(model, &rule->dst[i]))
			return &rule->dst[i];
	}
	return NULL;
}

/* It accepts what nothing here tells: by a match that is not known, or by whatever interface has
 * another name. */
static bool is_doubtful(const struct eg_wgrule *rule)
{
	return (accepts(rule) && !rule->never && !rule->out_tunnel && !rule->out_lo &&
		!rule->mark && (rule->n_dst == 0 || rule->dst_not) &&
		(rule->unclear || rule->out_other_not)) ||
	       rule->verdict == EG_WGVERDICT_UNKNOWN;
}

static void check_accept(struct eg_wgchecker *checker, const struct chain *chain,
			 const struct eg_wgrule *rule)
{
	const struct eg_prefix *public = public_destination(checker->model, rule);
	char command[EG_WGCOMMAND_LEN], name[EG_ADDRESS_TEXT_LEN];

	eg_wgcommand_format(checker, rule->op, command);
	if (is_open(rule)) {
		eg_wgfind(checker, EG_WGFINDING_KILL_SWITCH_OPEN, rule->op->place,
			  "'%s' accepts %s to any destination, before the kill switch (line %u)",
			  command, rule->narrow ? "some packets" : "packets",
			  chain->last->op->place.line);
		eg_wgfix(checker, "take it out, or say where to: -d and a private network, or -o "
				  "%%i");
	} else if (accepts(rule) && rule->established) {
		eg_wgfind(checker, EG_WGFINDING_ACCEPTS_ESTABLISHED, rule->op->place,
			  "'%s' accepts by the state of a connection", command);
		eg_wgfix(checker, "accept by destination: -d and the LAN's networks");
	} else if (is_doubtful(rule)) {
		eg_wgfind(checker, EG_WGFINDING_CANNOT_TELL, rule->op->place,
			  "what '%s' accepts before the kill switch (line %u) cannot be told",
			  command, chain->last->op->place.line);
		eg_wgfix(checker, rule->verdict == EG_WGVERDICT_UNKNOWN
					  ? "make the chain in this file with -N, and jump to it "
					    "without conditions"
					  : "accept by what is meant: -o %%i, -o lo, or -d and a "
					    "private network");
	} else if (public) {
		eg_wgfind(checker, EG_WGFINDING_ACCEPTS_PUBLIC, rule->op->place,
			  "'%s' accepts packets to %s on any interface", command,
			  eg_prefix_format(name, public));
		eg_wgfix(checker, "take it out, if it is not meant");
	}
}

/* --- behind it -------------------------------------------------------------------------------- */

static bool any_covers(const struct eg_wgrule *rule, const struct eg_prefix *prefix)
{
	for (size_t i = 0; i < rule->n_dst; i++) {
		if (eg_prefix_covers(&rule->dst[i], prefix))
			return true;
	}
	return false;
}

/* Whether the kill switch lets pass by itself what the rule would accept. */
static bool spares(const struct eg_wgrule *last, const struct eg_wgrule *rule)
{
	if ((rule->out_tunnel && last->out_not_tunnel) || (rule->mark && last->not_mark) ||
	    ((rule->out_lo || rule->local) && last->not_local) ||
	    (rule->out_lo && last->out_not_lo))
		return true;
	if (!last->dst_not || rule->n_dst == 0)
		return false;
	for (size_t i = 0; i < rule->n_dst; i++) {
		if (!any_covers(last, &rule->dst[i]))
			return false;
	}
	return true;
}

/* Whether what a rule behind the kill switch accepts gets past that: let go by a rule before it,
 * say.
 */
static bool is_reached(const struct eg_wgchecker *checker, const struct chain *chain,
		       const struct eg_wgrule *rule)
{
	const struct eg_wgmodel *model = checker->model;
	struct eg_wgpacket packet = {
		.tunnel = rule->out_tunnel,
		.loopback = rule->out_lo || rule->local,
		.marked = rule->mark != NULL,
		.answers = true,
	};

	if (!packet.tunnel && !packet.loopback && !packet.marked &&
	    (rule->n_dst == 0 || rule->dst_not))
		return false;
	for (size_t i = 0; i == 0 || (i < rule->n_dst && !rule->dst_not); i++) {
		struct eg_wgwalk walk;

		packet.dst = rule->n_dst && !rule->dst_not ? &rule->dst[i] : NULL;
		/* to an endpoint, it is meant for WireGuard's own */
		packet.marked |= packet.dst && eg_wgmodel_is_endpoint(model, packet.dst);
		walk = eg_wgwalk_chain(
			chain->family == EG_FAMILY_IPV6 ? &model->chain6 : &model->chain4, &packet);
		if (walk.end == EG_WGEND_DROPPED && !walk.some_pass)
			return false;
	}
	return true;
}

/* Returns whether any stands behind it. */
static bool check_early(struct eg_wgchecker *checker, const struct chain *chain)
{
	char command[EG_WGCOMMAND_LEN];

	for (size_t i = chain->at + 1; i < chain->chain->n_rules; i++) {
		const struct eg_wgrule *rule = &chain->chain->rules[i];

		if (!accepts(rule) || spares(chain->last, rule) || is_reached(checker, chain, rule))
			continue;
		eg_wgfind(checker, EG_WGFINDING_KILL_SWITCH_EARLY, chain->last->op->place,
			  "the kill switch comes before '%s' (line %u)",
			  eg_wgcommand_format(checker, rule->op, command), rule->op->place.line);
		eg_wgfix(checker,
			 "make it the last: run it after the others with %s -A OUTPUT, or "
			 "insert the others with -I after it",
			 tool(chain));
		return true;
	}
	return false;
}

/* --- its mark --------------------------------------------------------------------------------- */

/* The mark that the kill switch, or a rule before it, relies on. */
static const char *find_mark(const struct chain *chain, const struct eg_wgop **ret_op)
{
	*ret_op = chain->last->op;
	if (chain->last->not_mark)
		return chain->last->not_mark;
	for (size_t i = 0; i < chain->at && i < chain->chain->n_rules; i++) {
		const struct eg_wgrule *rule = &chain->chain->rules[i];

		if (accepts(rule) && rule->mark) {
			*ret_op = rule->op;
			return rule->mark;
		}
	}
	return NULL;
}

static void check_mark(struct eg_wgchecker *checker, const struct chain *chain)
{
	const struct eg_wgmodel *model = checker->model;
	const struct eg_wgop *op;
	const char *raw = find_mark(chain, &op);
	char mark[64];
	unsigned long number;

	if (!raw)
		return;
	eg_escape(mark, sizeof(mark), raw, strlen(raw));
	number = strtoul(raw, NULL, 0);
	if (!eg_wgmodel_has_mark(model)) {
		eg_wgfind(checker, EG_WGFINDING_KILL_SWITCH_NO_MARK, op->place,
			  "the kill switch lets packets with the mark %s through, and nothing in "
			  "this file sets it",
			  mark);
		eg_wgfix(checker, "FwMark = 51820 in [Interface]");
	} else if (number && model->fwmark && number != model->fwmark) {
		eg_wgfind(checker, EG_WGFINDING_KILL_SWITCH_NO_MARK, op->place,
			  "the kill switch lets the mark %s through, and FwMark sets %u", mark,
			  model->fwmark);
		eg_wgfix(checker, "--mark $(wg show %%i fwmark)");
	} else if (number && number != EG_WGTABLE_DEFAULT && model->way == EG_WGWAY_RULES &&
		   !model->fwmark) {
		eg_wgfind(checker, EG_WGFINDING_KILL_SWITCH_NO_MARK, op->place,
			  "the kill switch lets the mark %s through, and wg-quick sets %u, or the "
			  "next free one",
			  mark, EG_WGTABLE_DEFAULT);
		eg_wgfix(checker, "--mark $(wg show %%i fwmark)");
	} else if (number && model->way == EG_WGWAY_RULES && !model->fwmark) {
		eg_wgfind(checker, EG_WGFINDING_TABLE_BY_HAND, op->place,
			  "the mark %s is written by hand", mark);
		eg_wgfix(checker, "--mark $(wg show %%i fwmark); or pin the number: FwMark = 51820 "
				  "in [Interface]");
	}
}

/* `-o eth0 -j DROP`: as good as the list of interfaces is whole, which no file tells. */
static const struct eg_wgrule *find_named(const struct eg_wgchain *chain)
{
	for (size_t i = 0; chain->rules && i < chain->n_rules; i++) {
		const struct eg_wgrule *rule = &chain->rules[i];

		if (eg_wgrule_is_named_kill_switch(rule))
			return rule;
	}
	return NULL;
}

/* --- whether there is one --------------------------------------------------------------------- */

/* By what this reader does not follow. */
static bool may_be_elsewhere(const struct eg_wgmodel *model)
{
	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (!eg_wgkey_is_up(op->phase) || op->act == EG_WGACT_DELETE)
			continue;
		if ((op->kind == EG_WGOP_NFT && op->drops) || op->kind == EG_WGOP_UNKNOWN)
			return true;
	}
	for (size_t i = 0; i < model->hooks->n_hooks; i++) {
		const struct eg_wghook *hook = &model->hooks->hooks[i];

		if (hook->shell->lost && eg_wgkey_is_up(hook->line->key))
			return true;
	}
	return false;
}

/* `iptables -t mangle -A POSTROUTING ! -o wg0 -j DROP`: not looked into. */
static bool drops_in_other_table(const struct eg_wgmodel *model, const struct eg_wgop *op)
{
	struct eg_wgrule rule;
	bool drops;

	if (op->kind != EG_WGOP_TABLES || !eg_wgkey_is_up(op->phase) || !op->chain ||
	    (op->verb != 'A' && op->verb != 'I') || strcmp(op->table_name, "filter") == 0 ||
	    eg_wgrule_read(model->hooks, op, NULL, &rule, NULL) < 0)
		return false;
	drops = rule.verdict == EG_WGVERDICT_DROP;
	free(rule.dst);
	return drops;
}

static bool may_be_one(const struct eg_wgmodel *model, const struct chain *chain)
{
	const struct eg_wgpacket public = {};

	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (op->family == chain->family && drops_in_other_table(model, op))
			return true;
	}
	return chain->chain->unsure ||
	       eg_wgwalk_chain(chain->chain, &public).end == EG_WGEND_UNSURE;
}

static void tell_named(struct eg_wgchecker *checker, const struct chain *chain)
{
	const struct eg_wgrule *rule = find_named(chain->chain);
	char command[EG_WGCOMMAND_LEN], name[64];

	eg_wgfind(checker, EG_WGFINDING_CANNOT_TELL, rule->op->place,
		  "'%s' is a kill switch for one interface: whether there is another to leave by "
		  "cannot be told",
		  eg_wgcommand_format(checker, rule->op, command));
	eg_wgfix(checker, "write ! -o %%i in the place of -o %s",
		 eg_escape(name, sizeof(name), rule->out_other, strlen(rule->out_other)));
}

static void tell_ipv6_bypass(struct eg_wgchecker *checker)
{
	const struct eg_wgmodel *model = checker->model;

	eg_wgfind(checker, EG_WGFINDING_IPV6_BYPASS,
		  model->n_allowed ? model->allowed[0].place : EG_WGNOWHERE,
		  "AllowedIPs do not take IPv6, and no ip6tables rule holds it back");
	eg_wgfix(checker,
		 "`egressguard wgconf render --in-place %s` writes the rules; by hand: %s"
		 "PostUp = ip6tables -I OUTPUT ! -o %%i ! -d fe80::/10 -m mark ! --mark "
		 "$(wg show %%i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT, and -D in "
		 "PreDown",
		 eg_wgname(checker),
		 eg_wgmodel_has_mark(model) ? "" : "FwMark = 51820 in [Interface]; and ");
}

static void check_ipv6(struct eg_wgchecker *checker, const struct chain *chain4,
		       const struct chain *chain6)
{
	const struct eg_wgmodel *model = checker->model;
	const struct eg_wgrule *rule = chain4->last ? chain4->last : find_named(chain4->chain);
	const struct eg_wgop *op = rule ? rule->op : chain4->chain->unsure;

	if (chain6->last || model->no_ipv6 || model->guard_only)
		return;
	if (find_named(chain6->chain)) {
		tell_named(checker, chain6);
		return;
	}
	if (may_be_one(model, chain6) || model->less_ipv6 ||
	    (!chain4->last && may_be_elsewhere(model))) {
		eg_wgfind(checker, EG_WGFINDING_CANNOT_TELL, EG_WGNOWHERE,
			  "whether IPv6 has a kill switch cannot be told");
		eg_wgfix(checker, "write it as plain ip6tables commands");
		return;
	}
	if (!model->full6)
		tell_ipv6_bypass(checker);
	if (op) {
		eg_wgfind(checker, EG_WGFINDING_KILL_SWITCH_IPV4_ONLY, op->place,
			  "%s one for IPv4 alone",
			  rule ? "the kill switch is" : "what may be a kill switch is");
		eg_wgfix(checker, "the same once more with ip6tables, here and in PreDown");
	}
}

static void check_present(struct eg_wgchecker *checker, const struct chain *chain4)
{
	const struct eg_wgmodel *model = checker->model;

	if (chain4->last)
		return;
	if (model->guard_only) {
		eg_wgfind(
			checker, EG_WGFINDING_GUARD_ENFORCES, EG_WGNOWHERE,
			"the file was rendered for a guard: it leaves enforcement to egressguard");
		eg_wgfix(checker, "`egressguard status` tells whether a guard is in force");
	} else if (find_named(chain4->chain)) {
		tell_named(checker, chain4);
	} else if (may_be_one(model, chain4) || may_be_elsewhere(model)) {
		eg_wgfind(checker, EG_WGFINDING_CANNOT_TELL, EG_WGNOWHERE,
			  "whether there is a kill switch cannot be told: none is among the "
			  "commands that could be followed");
		eg_wgfix(checker,
			 "write it as plain iptables and ip6tables commands; `egressguard "
			 "wgconf render --in-place %s` does",
			 eg_wgname(checker));
	} else {
		eg_wgfind(checker, EG_WGFINDING_NO_KILL_SWITCH, EG_WGNOWHERE,
			  "no rule of PreUp or PostUp drops what does not take the tunnel");
		eg_wgfix(checker,
			 "`egressguard wgconf render --in-place %s` writes one; and guard "
			 "the namespace: `egressguard attach`",
			 eg_wgname(checker));
	}
}

/* What there is of it may not be there when it counts. */
static void check_sure(struct eg_wgchecker *checker, const struct chain *chain)
{
	const struct eg_wgop *unsure = chain->chain->unsure;
	const struct eg_wgop *last = chain->last->op;
	char command[EG_WGCOMMAND_LEN];

	if (last->tolerant) {
		eg_wgfind(checker, EG_WGFINDING_CANNOT_TELL, last->place,
			  "the kill switch may fail without a word: '|| ...' follows it");
		eg_wgfix(checker, "leave '|| ...' out in PostUp: a start that fails is better than "
				  "one that leaks");
	}
	if (unsure) {
		eg_wgfind(checker, EG_WGFINDING_CANNOT_TELL, unsure->place,
			  "whether '%s' leaves the kill switch (line %u) in force cannot be told",
			  eg_wgcommand_format(checker, unsure, command), last->place.line);
		eg_wgfix(checker, "write it with -A, -I and -D, and without conditions");
	}
}

/* Returns whether it comes too early. */
static bool check_chain(struct eg_wgchecker *checker, const struct chain *chain)
{
	bool early;

	if (!chain->last)
		return false;
	check_sure(checker, chain);
	for (size_t i = 0; i < chain->at && i < chain->chain->n_rules; i++)
		check_accept(checker, chain, &chain->chain->rules[i]);
	early = check_early(checker, chain);
	check_mark(checker, chain);
	return early;
}

/* --- chains that hand back -------------------------------------------------------------------- */

/* The rules without those that RETURN out of a chain that is not `inside`: they decide nothing of
 * what comes after it. With `all`, without all that the chains but OUTPUT say for themselves. */
static bool copy_rules(struct eg_wgchecker *checker, const struct eg_wgchain *from,
		       unsigned int inside, bool all, struct eg_wgchain *to)
{
	*to = *from;
	to->n_rules = 0;
	to->rules = calloc(from->n_rules + 1, sizeof(to->rules[0]));
	if (!to->rules) {
		checker->failed = true;
		return false;
	}
	for (size_t i = 0; i < from->n_rules; i++) {
		const struct eg_wgrule *rule = &from->rules[i];

		if (rule->inside && rule->inside != inside && rule->verdict == EG_WGVERDICT_RETURN)
			continue;
		if (all && rule->inside && rule->verdict == EG_WGVERDICT_DROP)
			continue;
		to->rules[to->n_rules++] = *rule;
	}
	return true;
}

/* What a chain hands back meets the rules behind the jump to it: a second kill switch there drops
 * what the first lets pass. */
static void check_rest(struct eg_wgchecker *checker, const struct chain *chain)
{
	struct eg_wgchain rules;
	struct chain rest = {.family = chain->family, .chain = &rules};

	if (!copy_rules(checker, chain->chain, 0, true, &rules))
		return;
	find_kill_switch(&rest);
	if (rest.last && chain->last && chain->last->inside)
		check_mark(checker, &rest);
	free(rules.rules);
}

static void check_family(struct eg_wgchecker *checker, const struct chain *chain)
{
	struct eg_wgchain rules;
	struct chain plain = {.family = chain->family, .chain = &rules};
	bool early;

	if (!copy_rules(checker, chain->chain, chain->last ? chain->last->inside : 0, false,
			&rules))
		return;
	find_kill_switch(&plain);
	early = check_chain(checker, &plain);
	free(rules.rules);
	check_rest(checker, chain);
	eg_wgcheck_passes(checker, chain->family, early);
}

void eg_wgcheck_kill_switch(struct eg_wgchecker *checker)
{
	struct chain chain4 = {.family = EG_FAMILY_IPV4, .chain = &checker->model->chain4};
	struct chain chain6 = {.family = EG_FAMILY_IPV6, .chain = &checker->model->chain6};

	find_kill_switch(&chain4);
	find_kill_switch(&chain6);
	check_present(checker, &chain4);
	check_ipv6(checker, &chain4, &chain6);
	check_family(checker, &chain4);
	check_family(checker, &chain6);
}
