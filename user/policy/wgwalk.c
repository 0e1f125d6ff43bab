// SPDX-License-Identifier: GPL-2.0
#include "policy/wgwalk.h"

#include <string.h>

#include "policy/address.h"

/* How many of the packets a rule is for; of several matches the least counts. */
enum match {
	MATCH_NONE,
	MATCH_UNSURE, /* that depends on what no file tells */
	MATCH_SOME,
	MATCH_ALL,
};

static enum match least(enum match a, enum match b)
{
	return a < b ? a : b;
}

/* A name that only the shell knows is the underlay's where it asks the routes for it. */
static bool is_known_name(const char *name)
{
	return !strchr(name, '$') || strstr(name, "route");
}

/* `eth+` is each name that begins with `eth`. */
static bool name_covers(const char *pattern, const char *name)
{
	size_t len = strlen(pattern);

	if (len && pattern[len - 1] == '+')
		return strncmp(pattern, name, len - 1) == 0;
	return strcmp(pattern, name) == 0;
}

static enum match match_out(const struct eg_wgrule *rule, const struct eg_wgpacket *packet)
{
	bool underlay = !packet->tunnel && !packet->loopback;

	if ((rule->out_tunnel && !packet->tunnel) || (rule->out_not_tunnel && packet->tunnel) ||
	    (rule->out_lo && !packet->loopback) || (rule->out_not_lo && packet->loopback))
		return MATCH_NONE;
	if (!rule->out_other)
		return MATCH_ALL;
	if (underlay && packet->out && !strchr(rule->out_other, '$'))
		return name_covers(rule->out_other, packet->out) != rule->out_other_not
			       ? MATCH_ALL
			       : MATCH_NONE;
	if (underlay || !is_known_name(rule->out_other))
		return MATCH_UNSURE;
	return rule->out_other_not ? MATCH_ALL : MATCH_NONE;
}

/* Half of the internet, say. */
static bool is_wide(const struct eg_prefix *prefix)
{
	return prefix->len <
	       (prefix->family == EG_FAMILY_IPV4 ? EG_RULE_MIN_LEN_IPV4 : EG_RULE_MIN_LEN_IPV6);
}

static enum match match_public(const struct eg_wgrule *rule, const struct eg_wgpacket *packet)
{
	if (rule->n_dst == 0 || rule->dst_not)
		return MATCH_ALL;
	for (size_t i = 0; i < rule->n_dst; i++) {
		if (is_wide(&rule->dst[i]) || packet->named)
			return MATCH_UNSURE;
	}
	return MATCH_NONE;
}

static enum match match_destination(const struct eg_wgrule *rule, const struct eg_wgpacket *packet)
{
	bool inside = false, touches = false;

	if (rule->dst_unknown)
		return MATCH_UNSURE;
	if (!packet->dst)
		return match_public(rule, packet);
	for (size_t i = 0; i < rule->n_dst; i++) {
		inside |= eg_prefix_covers(&rule->dst[i], packet->dst);
		touches |= eg_prefix_covers(packet->dst, &rule->dst[i]);
	}
	if (rule->n_dst == 0 || inside != rule->dst_not)
		return rule->dst_not && touches ? MATCH_SOME : MATCH_ALL;
	/* what it accepts of a network is not the network */
	return touches && !rule->dst_not && rule->verdict == EG_WGVERDICT_DROP ? MATCH_SOME
									       : MATCH_NONE;
}

static enum match match_rule(const struct eg_wgrule *rule, const struct eg_wgpacket *packet)
{
	enum match match = least(match_out(rule, packet), match_destination(rule, packet));

	if (rule->never || rule->no_unicast || (rule->local && !packet->loopback) ||
	    (rule->not_local && packet->loopback) || (rule->mark && !packet->marked) ||
	    (rule->not_mark && packet->marked))
		return MATCH_NONE;
	if (rule->established)
		match = least(match, packet->answers ? MATCH_SOME : MATCH_NONE);
	/* of a connection it holds all back that was not there before */
	if (rule->unclear || rule->source ||
	    (rule->connecting && rule->verdict == EG_WGVERDICT_DROP))
		return least(match, MATCH_UNSURE);
	return rule->narrow ? least(match, MATCH_SOME) : match;
}

struct state {
	struct eg_wgwalk walk;
	bool may_pass, may_drop;
	unsigned int left, asked;     /* chains that all returned from, or some */
	const struct eg_wgop *behind; /* what drops those then */
};

static void note_unsure(struct state *state, const struct eg_wgrule *rule, bool pass, bool drop)
{
	state->may_pass |= pass;
	state->may_drop |= drop;
	if (!state->walk.unsure)
		state->walk.unsure = rule;
}

static struct eg_wgwalk settle(struct state *state, const struct eg_wgop *by, bool drops)
{
	state->walk.by = drops && state->behind && !state->walk.some_pass ? state->behind : by;
	if (drops ? state->may_pass : state->may_drop)
		state->walk.end = EG_WGEND_UNSURE;
	else
		state->walk.end = drops ? EG_WGEND_DROPPED : EG_WGEND_PASSES;
	return state->walk;
}

static bool decides(const struct eg_wgrule *rule)
{
	return rule->verdict == EG_WGVERDICT_ACCEPT || rule->verdict == EG_WGVERDICT_DROP ||
	       (rule->verdict == EG_WGVERDICT_RETURN && !rule->inside);
}

/* A rule that is not for all of the packets. */
static void take_part(struct state *state, const struct eg_wgrule *rule, enum match match,
		      bool policy_drops)
{
	bool drops = rule->verdict == EG_WGVERDICT_DROP ||
		     (rule->verdict == EG_WGVERDICT_RETURN && !rule->inside && policy_drops);
	bool passes = !drops && decides(rule);

	if (match == MATCH_UNSURE || rule->verdict == EG_WGVERDICT_UNKNOWN)
		note_unsure(state, rule, !drops, !passes);
	else
		state->walk.some_pass |= passes;
}

/* What is a tunnel's or a bridge's name is none to leave by. */
static bool is_underlay(const char *name)
{
	static const char *const others[] = {"tun", "tap", "wg", "docker", "br-", "veth", "$"};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (strncmp(name, others[i], strlen(others[i])) == 0)
			return false;
	}
	return true;
}

const char *eg_wgchain_underlay(const struct eg_wgchain *chain)
{
	const char *found = NULL;

	for (size_t i = 0; i < chain->n_rules; i++) {
		const char *name = chain->rules[i].out_other;

		if (!name || !is_underlay(name))
			continue;
		if (found && strcmp(found, name) != 0)
			return NULL;
		found = name;
	}
	return found;
}

/* What drops packets that a chain hands back, of what is behind the jump to it. NULL: some pass, or
 * may. */
static const struct eg_wgop *find_drop_behind(const struct eg_wgchain *chain,
					      const struct eg_wgpacket *packet, size_t from,
					      unsigned int left)
{
	for (size_t i = from; i < chain->n_rules; i++) {
		const struct eg_wgrule *rule = &chain->rules[i];
		enum match match = rule->inside == left ? MATCH_NONE : match_rule(rule, packet);

		if (match == MATCH_NONE || rule->verdict == EG_WGVERDICT_OTHER)
			continue;
		if (rule->verdict != EG_WGVERDICT_DROP)
			return NULL;
		if (match == MATCH_ALL)
			return rule->op;
	}
	return chain->policy_drops ? chain->policy_op : NULL;
}

/* Some of the packets, by their protocol or port, leave the chain. */
static void hand_back(struct state *state, const struct eg_wgchain *chain,
		      const struct eg_wgpacket *packet, size_t at)
{
	unsigned int inside = chain->rules[at].inside;

	if (state->asked == inside)
		return;
	state->asked = inside;
	state->behind = find_drop_behind(chain, packet, at + 1, inside);
	state->walk.some_pass |= !state->behind;
}

struct eg_wgwalk eg_wgwalk_chain(const struct eg_wgchain *chain, const struct eg_wgpacket *packet)
{
	struct state state = {};

	for (size_t i = 0; i < chain->n_rules; i++) {
		const struct eg_wgrule *rule = &chain->rules[i];
		enum match match = match_rule(rule, packet);
		bool returns = rule->verdict == EG_WGVERDICT_RETURN;

		if ((state.left && rule->inside == state.left) || match == MATCH_NONE ||
		    rule->verdict == EG_WGVERDICT_OTHER)
			continue;
		if (returns && rule->inside && match == MATCH_ALL)
			state.left = rule->inside;
		else if (returns && rule->inside && match == MATCH_SOME)
			hand_back(&state, chain, packet, i);
		else if (returns && match == MATCH_ALL)
			break;
		else if (match == MATCH_ALL && decides(rule))
			return settle(&state, rule->op, rule->verdict == EG_WGVERDICT_DROP);
		else
			take_part(&state, rule, match, chain->policy_drops);
	}
	return settle(&state, chain->policy_drops ? chain->policy_op : NULL, chain->policy_drops);
}
