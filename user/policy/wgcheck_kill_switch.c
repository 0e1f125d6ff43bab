// SPDX-License-Identifier: GPL-2.0
/* The kill switch in the OUTPUT chains: whether there is one, and what gets round it. */
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/networks.h"
#include "policy/wgcheck_internal.h"
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

static bool is_private(const struct eg_prefix *prefix)
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
	       !rule->established && !rule->dst_unknown &&
	       (rule->n_dst == 0 || rule->dst_not || is_wide(rule));
}

static const struct eg_prefix *public_destination(const struct eg_wgmodel *model,
						  const struct eg_wgrule *rule)
{
	if (!accepts(rule) || rule->out_tunnel || rule->out_lo || rule->mark || rule->dst_not)
		return NULL;
	for (size_t i = 0; i < rule->n_dst; i++) {
		if (!is_private(&rule->dst[i]) && !eg_wgmodel_is_endpoint(model, &rule->dst[i]))
			return &rule->dst[i];
	}
	return NULL;
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
	} else if (rule->verdict == EG_WGVERDICT_UNKNOWN) {
		eg_wgfind(checker, EG_WGFINDING_CANNOT_TELL, rule->op->place,
			  "what '%s' accepts before the kill switch (line %u) cannot be told",
			  command, chain->last->op->place.line);
		eg_wgfix(checker, "make the chain in this file with -N, and jump to it without "
				  "conditions");
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
	    ((rule->out_lo || rule->local) && last->not_local))
		return true;
	if (!last->dst_not || rule->n_dst == 0)
		return false;
	for (size_t i = 0; i < rule->n_dst; i++) {
		if (!any_covers(last, &rule->dst[i]))
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

		if (!accepts(rule) || spares(chain->last, rule))
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

/* --- what must get through -------------------------------------------------------------------- */

static bool accepts_lan(const struct chain *chain, const struct eg_prefix *prefix)
{
	if (chain->last->dst_not && any_covers(chain->last, prefix))
		return true;
	for (size_t i = 0; i < chain->at && i < chain->chain->n_rules; i++) {
		const struct eg_wgrule *rule = &chain->chain->rules[i];

		if (accepts(rule) && (rule->dst_unknown || rule->established || is_open(rule) ||
				      (!rule->dst_not && any_covers(rule, prefix))))
			return true;
	}
	return false;
}

static void check_lan_accepted(struct eg_wgchecker *checker, const struct chain *chain)
{
	const struct eg_wgmodel *model = checker->model;
	bool sure = false;

	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];
		char name[EG_ADDRESS_TEXT_LEN];

		if ((!eg_wgop_excludes(op) && !(eg_wgop_rule_excludes(model, op, &sure) && sure)) ||
		    op->prefix.family != chain->family || op->table != EG_WGTABLE_MAIN ||
		    !is_private(&op->prefix) || accepts_lan(chain, &op->prefix))
			continue;
		eg_prefix_format(name, &op->prefix);
		eg_wgfind(checker, EG_WGFINDING_LAN_NOT_ACCEPTED, op->place,
			  "%s has a route past the tunnel, and the kill switch (line %u) drops it",
			  name, chain->last->op->place.line);
		if (chain->last->op->verb == 'I')
			eg_wgfix(checker,
				 "after line %u, in a line of its own: PostUp = %s -I %s -d "
				 "%s -j ACCEPT (-I puts it before the kill switch); and "
				 "-D in PreDown",
				 chain->last->op->place.line, tool(chain), chain->last->op->chain,
				 name);
		else
			eg_wgfix(checker, "before the kill switch: %s -A %s -d %s -j ACCEPT",
				 tool(chain), chain->last->op->chain, name);
	}
}

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

static bool lets_endpoint(const struct chain *chain, const struct eg_endpoint *endpoint)
{
	struct eg_prefix address = {
		.addr = endpoint->addr,
		.family = endpoint->family,
		.len = eg_family_bits(endpoint->family),
	};

	if (chain->last->not_mark || (chain->last->dst_not && any_covers(chain->last, &address)))
		return true;
	for (size_t i = 0; i < chain->at && i < chain->chain->n_rules; i++) {
		const struct eg_wgrule *rule = &chain->chain->rules[i];

		if (accepts(rule) && !rule->out_tunnel && !rule->out_lo &&
		    (rule->mark || rule->dst_unknown || (rule->narrow && rule->n_dst == 0) ||
		     is_open(rule) || (!rule->dst_not && any_covers(rule, &address))))
			return true;
	}
	return false;
}

/* WireGuard's own packets. */
static void check_endpoint_passes(struct eg_wgchecker *checker, const struct chain *chain)
{
	const struct eg_wgmodel *model = checker->model;

	for (size_t i = 0; i < model->n_endpoints; i++) {
		const struct eg_endpoint *endpoint = &model->endpoints[i].endpoint;

		if (endpoint->host || endpoint->family != chain->family ||
		    lets_endpoint(chain, endpoint))
			continue;
		eg_wgfind(checker, EG_WGFINDING_KILL_SWITCH_BLOCKS, chain->last->op->place,
			  "no rule before the kill switch accepts WireGuard's own packets");
		eg_wgfix(checker, "in it: -m mark ! --mark $(wg show %%i fwmark)");
		break;
	}
}

static void check_blocks(struct eg_wgchecker *checker, const struct chain *chain)
{
	const struct eg_wgop *op = chain->last->op;
	bool tunnel = chain->last->out_not_tunnel;

	for (size_t i = 0; i < chain->at && i < chain->chain->n_rules; i++)
		tunnel |= accepts(&chain->chain->rules[i]) &&
			  (chain->chain->rules[i].out_tunnel || is_open(&chain->chain->rules[i]));
	if (!tunnel && checker->model->n_allowed) {
		eg_wgfind(checker, EG_WGFINDING_KILL_SWITCH_BLOCKS, op->place,
			  "no rule before the kill switch accepts what goes into the tunnel");
		eg_wgfix(checker, "before it: %s -A OUTPUT -o %%i -j ACCEPT", tool(chain));
	}
	check_endpoint_passes(checker, chain);
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

static bool may_be_one(const struct eg_wgmodel *model)
{
	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (op->kind == EG_WGOP_NFT && op->drops && op->act != EG_WGACT_DELETE &&
		    eg_wgkey_is_up(op->phase))
			return true;
	}
	return model->chain4.unsure || find_named(&model->chain4);
}

static void check_ipv6(struct eg_wgchecker *checker, const struct chain *chain4,
		       const struct chain *chain6)
{
	const struct eg_wgmodel *model = checker->model;

	if (chain6->last || model->no_ipv6 || model->guard_only)
		return;
	if (model->chain6.unsure || find_named(&model->chain6) ||
	    (!chain4->last && may_be_one(model))) {
		eg_wgfind(checker, EG_WGFINDING_CANNOT_TELL, EG_WGNOWHERE,
			  "whether IPv6 has a kill switch cannot be told");
		eg_wgfix(checker, "write it as plain ip6tables commands");
	} else if (!model->full6) {
		eg_wgfind(checker, EG_WGFINDING_IPV6_BYPASS,
			  model->n_allowed ? model->allowed[0].place : EG_WGNOWHERE,
			  "AllowedIPs do not take IPv6, and no ip6tables rule holds it back");
		eg_wgfix(checker,
			 "`egressguard wgconf render --in-place %s` writes the rules; by hand: %s"
			 "PostUp = ip6tables -I OUTPUT ! -o %%i ! -d fe80::/10 -m mark ! --mark "
			 "$(wg show %%i fwmark) -m addrtype ! --dst-type LOCAL -j REJECT, and -D "
			 "in PreDown",
			 eg_wgname(checker),
			 eg_wgmodel_has_mark(model) ? "" : "FwMark = 51820 in [Interface]; and ");
	} else if (chain4->last) {
		eg_wgfind(checker, EG_WGFINDING_KILL_SWITCH_IPV4_ONLY, chain4->last->op->place,
			  "the kill switch is one for IPv4 alone");
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
	} else if (may_be_one(model)) {
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

static void check_chain(struct eg_wgchecker *checker, const struct chain *chain)
{
	if (!chain->last)
		return;
	check_sure(checker, chain);
	for (size_t i = 0; i < chain->at && i < chain->chain->n_rules; i++)
		check_accept(checker, chain, &chain->chain->rules[i]);
	if (!check_early(checker, chain))
		check_lan_accepted(checker, chain);
	check_mark(checker, chain);
	check_blocks(checker, chain);
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

/* The interface by which a container leaves. */
static bool is_underlay(const char *name)
{
	return strcmp(name, "eth0") == 0 || strcmp(name, "eth+") == 0 || strcmp(name, "e+") == 0;
}

/* `-o eth0 -j DROP` is taken for no kill switch, and WireGuard's own packets meet it all the same.
 */
static void check_named(struct eg_wgchecker *checker, const struct chain *rest)
{
	const struct eg_wgrule *named = find_named(rest->chain);
	struct chain chain = *rest;

	if (!named || !is_underlay(named->out_other))
		return;
	chain.last = named;
	chain.at = (size_t)(named - rest->chain->rules);
	if (!rest->last || rest->at >= chain.at)
		check_endpoint_passes(checker, &chain);
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
	if (rest.last && chain->last && chain->last->inside) {
		check_lan_accepted(checker, &rest);
		check_mark(checker, &rest);
		check_blocks(checker, &rest);
	}
	check_named(checker, &rest);
	free(rules.rules);
}

static void check_family(struct eg_wgchecker *checker, const struct chain *chain)
{
	struct eg_wgchain rules;
	struct chain plain = {.family = chain->family, .chain = &rules};

	if (!copy_rules(checker, chain->chain, chain->last ? chain->last->inside : 0, false,
			&rules))
		return;
	find_kill_switch(&plain);
	check_chain(checker, &plain);
	free(rules.rules);
	check_rest(checker, chain);
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
