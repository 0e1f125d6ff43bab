// SPDX-License-Identifier: GPL-2.0
#include "policy/wgrule.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/array.h"

struct reader {
	const struct eg_wgop *op;
	const char *ifname;
	struct eg_wgrule *rule;
	const char *jump;
	/* matches that were loaded, each of which knows its own options */
	bool has_mark, has_addrtype, has_state, has_conntrack, has_connmark, has_protocol,
		has_others;
	bool failed;
};

static bool same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* --- interfaces ------------------------------------------------------------------------------- */

/* `wg+` is each name that begins with `wg`. */
static bool name_covers(const char *pattern, const char *name)
{
	size_t len = strlen(pattern);

	if (len && pattern[len - 1] == '+')
		return strncmp(pattern, name, len - 1) == 0;
	return same(pattern, name);
}

static void take_out(struct reader *reader, const char *name, bool not )
{
	struct eg_wgrule *rule = reader->rule;
	bool tunnel = same(name, "%i") || (reader->ifname && name_covers(name, reader->ifname));

	if (same(name, "+"))
		rule->never |= not ;
	else if (tunnel && not )
		rule->out_not_tunnel = true;
	else if (tunnel)
		rule->out_tunnel = true;
	else if (same(name, "lo") && not )
		rule->out_not_lo = true;
	else if (same(name, "lo"))
		rule->out_lo = true;
	else
		rule->out_other = name;
	if (rule->out_other)
		rule->out_other_not = not ;
}

/* What leaves from here came in nowhere. */
static void take_in(struct reader *reader, const char *name, bool not )
{
	const char *chain = reader->op->chain ? reader->op->chain : "";

	if (same(chain, "OUTPUT") || same(chain, "POSTROUTING"))
		reader->rule->refused = "iptables knows no -i in a chain of what leaves";
	reader->rule->never |= !not &&!same(name, "+");
}

/* --- addresses -------------------------------------------------------------------------------- */

static void take_one(struct reader *reader, const char *text, bool not )
{
	struct eg_wgrule *rule = reader->rule;
	struct eg_prefix prefix;
	union eg_addr host;

	if (eg_prefix_parse_host(text, &prefix, &host, NULL) < 0) {
		rule->dst_unknown = true;
		return;
	}
	if (prefix.family != reader->op->family)
		rule->refused = "the address is of the other IP version";
	if (prefix.len == 0 && prefix.family == reader->op->family) {
		rule->never |= not ; /* else it is any */
		return;
	}
	if (EG_ARRAY_ADD(rule->dst, rule->n_dst, prefix) < 0)
		reader->failed = true;
}

/* -d A,B,C */
static void take_destination(struct reader *reader, const char *text, bool not )
{
	struct eg_wgrule *rule = reader->rule;

	if (not &&strchr(text, ','))
		rule->refused = "iptables takes no '!' before several addresses";
	while (*text) {
		size_t len = strcspn(text, ",");
		char one[EG_ADDRESS_TEXT_LEN] = "";

		if (len < sizeof(one))
			memcpy(one, text, len);
		take_one(reader, one, not );
		text += len + (text[len] == ',');
	}
	rule->dst_not = not &&(rule->n_dst || rule->dst_unknown);
}

static void take_source(struct reader *reader, const char *text, bool not )
{
	const char *slash = strchr(text, '/');

	if (slash && same(slash, "/0")) {
		reader->rule->never |= not ;
		return;
	}
	reader->rule->source = reader->rule->narrow = true;
}

/* Whether a list, A,B,C, has the word. */
static bool lists(const char *list, const char *word)
{
	while (*list) {
		size_t len = strcspn(list, ",");

		if (len == strlen(word) && strncmp(list, word, len) == 0)
			return true;
		list += len + (list[len] == ',');
	}
	return false;
}

/* What the LAN, the tunnel and the internet have are addresses of the kind UNICAST. */
static void take_type(struct reader *reader, const char *types, bool not )
{
	struct eg_wgrule *rule = reader->rule;
	bool local = lists(types, "LOCAL") != not, unicast = lists(types, "UNICAST") != not ;

	if (!reader->has_addrtype)
		rule->refused = "iptables knows --dst-type behind '-m addrtype' alone";
	if (local && !unicast)
		rule->local = true;
	else if (unicast && !local)
		rule->not_local = true;
	else if (!unicast)
		rule->no_unicast = true;
}

/* --- others ----------------------------------------------------------------------------------- */

/* A connection begins with a packet that is NEW. */
static void take_states(struct reader *reader, const char *states, bool not )
{
	struct eg_wgrule *rule = reader->rule;
	bool new = lists(states, "NEW") != not ;
	bool known = (lists(states, "ESTABLISHED") || lists(states, "RELATED")) != not ;

	if (!reader->has_state && !reader->has_conntrack)
		rule->refused = "iptables knows that option behind '-m conntrack' alone";
	if (!new &&known)
		rule->established = true;
	else if (new && !known)
		rule->narrow = rule->connecting = true;
	else
		rule->narrow = true;
}

static void take_mark(struct reader *reader, const char *mark, bool not )
{
	struct eg_wgrule *rule = reader->rule;

	if (reader->has_connmark && !reader->has_mark) { /* the connection's */
		rule->narrow = rule->unclear = true;
		return;
	}
	if (!reader->has_mark)
		rule->refused = "iptables knows --mark behind '-m mark' alone";
	if (not )
		rule->not_mark = mark;
	else
		rule->mark = mark;
}

static void take_target(struct reader *reader, const char *target)
{
	static const char *const others[] = {"LOG", "NFLOG", "MARK", "CONNMARK", "TOS", "DSCP"};
	struct eg_wgrule *rule = reader->rule;

	reader->jump = NULL;
	if (same(target, "ACCEPT"))
		rule->verdict = EG_WGVERDICT_ACCEPT;
	else if (same(target, "DROP") || same(target, "REJECT"))
		rule->verdict = EG_WGVERDICT_DROP;
	else if (same(target, "RETURN"))
		rule->verdict = EG_WGVERDICT_RETURN;
	else
		rule->verdict = EG_WGVERDICT_UNKNOWN;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (same(target, others[i]))
			rule->verdict = EG_WGVERDICT_OTHER;
	}
	if (rule->verdict == EG_WGVERDICT_UNKNOWN)
		reader->jump = target;
}

static void take_match(struct reader *reader, const char *match)
{
	reader->has_mark |= same(match, "mark");
	reader->has_addrtype |= same(match, "addrtype");
	reader->has_state |= same(match, "state");
	reader->has_conntrack |= same(match, "conntrack");
	reader->has_connmark |= same(match, "connmark");
	reader->has_others |= !same(match, "comment");
}

/* --- options ---------------------------------------------------------------------------------- */

enum kind {
	KIND_UNKNOWN,
	KIND_OUT,
	KIND_IN,
	KIND_DESTINATION,
	KIND_SOURCE,
	KIND_PROTOCOL,
	KIND_TARGET,
	KIND_MATCH,
	KIND_MARK,
	KIND_TYPE,
	KIND_STATE,
	KIND_NARROW, /* some packets and not others */
	KIND_NARROW_FLAG,
	KIND_NOTHING, /* with a value that decides nothing */
	KIND_FLAG,
	KIND_WAIT,
};

static const struct {
	const char *name;
	enum kind kind;
} options[] = {
	{"-o", KIND_OUT},
	{"--out-interface", KIND_OUT},
	{"-i", KIND_IN},
	{"--in-interface", KIND_IN},
	{"-d", KIND_DESTINATION},
	{"--dst", KIND_DESTINATION},
	{"--destination", KIND_DESTINATION},
	{"-s", KIND_SOURCE},
	{"--src", KIND_SOURCE},
	{"--source", KIND_SOURCE},
	{"-p", KIND_PROTOCOL},
	{"--proto", KIND_PROTOCOL},
	{"--protocol", KIND_PROTOCOL},
	{"-j", KIND_TARGET},
	{"--jump", KIND_TARGET},
	{"-g", KIND_TARGET},
	{"--goto", KIND_TARGET},
	{"-m", KIND_MATCH},
	{"--match", KIND_MATCH},
	{"--mark", KIND_MARK},
	{"--dst-type", KIND_TYPE},
	{"--state", KIND_STATE},
	{"--ctstate", KIND_STATE},
	{"--dport", KIND_NARROW},
	{"--destination-port", KIND_NARROW},
	{"--sport", KIND_NARROW},
	{"--source-port", KIND_NARROW},
	{"--dports", KIND_NARROW},
	{"--destination-ports", KIND_NARROW},
	{"--sports", KIND_NARROW},
	{"--source-ports", KIND_NARROW},
	{"--ports", KIND_NARROW},
	{"--uid-owner", KIND_NARROW},
	{"--gid-owner", KIND_NARROW},
	{"--icmp-type", KIND_NARROW},
	{"--icmpv6-type", KIND_NARROW},
	{"--limit", KIND_NARROW},
	{"--limit-burst", KIND_NARROW},
	{"--tcp-flags", KIND_NARROW},
	{"--syn", KIND_NARROW_FLAG},
	{"--socket-exists", KIND_NARROW_FLAG},
	{"--comment", KIND_NOTHING},
	{"--reject-with", KIND_NOTHING},
	{"--log-prefix", KIND_NOTHING},
	{"--log-level", KIND_NOTHING},
	{"--nflog-prefix", KIND_NOTHING},
	{"--nflog-group", KIND_NOTHING},
	{"--set-mark", KIND_NOTHING},
	{"--set-xmark", KIND_NOTHING},
	{"-t", KIND_NOTHING},
	{"--table", KIND_NOTHING},
	{"--log-uid", KIND_FLAG},
	{"--log-tcp-options", KIND_FLAG},
	{"--log-ip-options", KIND_FLAG},
	{"-v", KIND_FLAG},
	{"--verbose", KIND_FLAG},
	{"-n", KIND_FLAG},
	{"--numeric", KIND_FLAG},
	{"-4", KIND_FLAG},
	{"-6", KIND_FLAG},
	{"-w", KIND_WAIT},
	{"--wait", KIND_WAIT},
};

/* Of `-o eth0`, `-oeth0`, `--jump DROP` and `--jump=DROP`: what is meant, and in *ret_value the
 * value where it stands in the same word, NULL. */
static enum kind find_kind(const char *word, const char **ret_value)
{
	size_t len = strcspn(word, "=");

	*ret_value = NULL;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		const char *name = options[i].name;

		if (same(word, name))
			return options[i].kind;
		if (name[1] == '-' && strlen(name) == len && strncmp(word, name, len) == 0) {
			*ret_value = word + len + 1;
			return options[i].kind;
		}
		if (name[1] != '-' && word[0] == '-' && word[1] == name[1] && word[1] != '-') {
			*ret_value = word + 2;
			return options[i].kind;
		}
	}
	return KIND_UNKNOWN;
}

static void take_option(struct reader *reader, enum kind kind, const char *value, bool not )
{
	struct eg_wgrule *rule = reader->rule;

	switch (kind) {
	case KIND_OUT:
		take_out(reader, value, not );
		break;
	case KIND_IN:
		take_in(reader, value, not );
		break;
	case KIND_DESTINATION:
		take_destination(reader, value, not );
		break;
	case KIND_SOURCE:
		take_source(reader, value, not );
		break;
	case KIND_PROTOCOL:
		reader->has_protocol = true;
		rule->narrow |= !same(value, "all") && !same(value, "0");
		break;
	case KIND_TARGET:
		take_target(reader, value);
		break;
	case KIND_MATCH:
		take_match(reader, value);
		break;
	case KIND_MARK:
		take_mark(reader, value, not );
		break;
	case KIND_TYPE:
		take_type(reader, value, not );
		break;
	case KIND_STATE:
		take_states(reader, value, not );
		break;
	case KIND_NARROW:
	case KIND_NARROW_FLAG:
		rule->narrow = true;
		if (!reader->has_protocol && !reader->has_others)
			rule->refused = "iptables knows that option behind -p or -m alone";
		break;
	case KIND_UNKNOWN:
		rule->narrow = rule->unclear = true;
		break;
	case KIND_NOTHING:
	case KIND_FLAG:
	case KIND_WAIT:
		break;
	}
}

static bool has_value(enum kind kind, const char *next)
{
	switch (kind) {
	case KIND_UNKNOWN:
	case KIND_FLAG:
	case KIND_NARROW_FLAG:
		return false;
	case KIND_WAIT:
		return isdigit((unsigned char)*next) != 0;
	case KIND_OUT:
	case KIND_IN:
	case KIND_DESTINATION:
	case KIND_SOURCE:
	case KIND_PROTOCOL:
	case KIND_TARGET:
	case KIND_MATCH:
	case KIND_MARK:
	case KIND_TYPE:
	case KIND_STATE:
	case KIND_NARROW:
	case KIND_NOTHING:
		break;
	}
	return true;
}

static void read_words(struct reader *reader, const struct eg_shell_command *command)
{
	bool not = false;

	for (size_t i = reader->op->first_word; i < command->n_words; i++) {
		const char *word = command->words[i].text, *value;
		const char *next = i + 1 < command->n_words ? command->words[i + 1].text : "";
		enum kind kind = find_kind(word, &value);

		if (same(word, "!")) {
			not = !not ;
			continue;
		}
		if (!value && same(next, "!") && i + 2 < command->n_words) { /* as once written */
			not = !not ;
			next = command->words[++i + 1].text;
		}
		if (!value && has_value(kind, next)) {
			value = next;
			i++;
		}
		take_option(reader, kind, value ? value : "", not );
		not = false;
	}
}

int eg_wgrule_read(const struct eg_wghooks *hooks, const struct eg_wgop *op, const char *ifname,
		   struct eg_wgrule *ret_rule, const char **ret_jump)
{
	struct reader reader = {.op = op, .ifname = ifname, .rule = ret_rule};

	*ret_rule = (struct eg_wgrule){.op = op, .verdict = EG_WGVERDICT_OTHER};
	read_words(&reader, eg_wgop_command(hooks, op));
	if (ret_jump)
		*ret_jump = reader.jump;
	return reader.failed ? -ENOMEM : 0;
}

/* --- what it is ------------------------------------------------------------------------------- */

/* A drop of all that is not let out, on the interfaces that it is for. */
static bool drops_widely(const struct eg_wgrule *rule)
{
	return rule->verdict == EG_WGVERDICT_DROP && !rule->narrow && !rule->unclear &&
	       !rule->never && !rule->mark && !rule->established && !rule->local &&
	       !rule->no_unicast && !rule->dst_unknown && (rule->n_dst == 0 || rule->dst_not);
}

bool eg_wgrule_is_kill_switch(const struct eg_wgrule *rule)
{
	return drops_widely(rule) && !rule->op->conditional && !rule->out_tunnel && !rule->out_lo &&
	       !rule->out_other;
}

bool eg_wgrule_is_named_kill_switch(const struct eg_wgrule *rule)
{
	return drops_widely(rule) && rule->out_other && !rule->out_other_not;
}

bool eg_wgrule_is_plain(const struct eg_wgrule *rule)
{
	return !rule->narrow && !rule->unclear && !rule->never && !rule->n_dst &&
	       !rule->dst_unknown && !rule->mark && !rule->not_mark && !rule->out_tunnel &&
	       !rule->out_not_tunnel && !rule->established && !rule->out_other && !rule->out_lo &&
	       !rule->out_not_lo && !rule->local && !rule->not_local && !rule->no_unicast;
}
