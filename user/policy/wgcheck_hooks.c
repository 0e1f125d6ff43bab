// SPDX-License-Identifier: GPL-2.0
/* PreUp, PostUp, PreDown, PostDown: what is run, and what is taken back. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/wgcheck_internal.h"
#include "util/text.h"

static const char *hook_name(const struct eg_wghook *hook)
{
	return eg_wgkey_name(hook->line->key);
}

/* --- one line --------------------------------------------------------------------------------- */

static void check_lines(struct eg_wgchecker *checker, const struct eg_wghook *hook)
{
	const struct eg_wgline *line = hook->line;
	const struct eg_shell *shell = hook->shell;

	if (hook->continued) {
		eg_wgfind(checker, EG_WGFINDING_MULTI_LINE_HOOK,
			  eg_wgat(line, line->value.column + (unsigned int)line->value.len - 1),
			  "%s ends in a backslash, as if it went on in the next line",
			  hook_name(hook));
		eg_wgfix(checker,
			 "write it as one line, with ';' or '&&' between the commands; or as "
			 "several %s lines, which run one after the other",
			 hook_name(hook));
	}
	if (shell->unclosed && line->hash_column) {
		eg_wgfind(checker, EG_WGFINDING_HASH_IN_HOOK, eg_wgat(line, line->hash_column),
			  "the '#' is within %s, and cuts the command in two", shell->unclosed);
		eg_wgfix(checker, "write it without a '#'");
	} else if (shell->unclosed) {
		eg_wgfind(checker, EG_WGFINDING_MULTI_LINE_HOOK,
			  eg_wghook_place(hook, shell->unclosed_offset),
			  "%s opens here and is not closed in this line", shell->unclosed);
		eg_wgfix(checker, "close it in the same line");
	} else if (line->hash_column > 1 && line->raw[line->hash_column - 2] != ' ' &&
		   line->raw[line->hash_column - 2] != '\t') {
		eg_wgfind(checker, EG_WGFINDING_HASH_IN_HOOK, eg_wgat(line, line->hash_column),
			  "the '#' within a word cuts the command in two");
		eg_wgfix(checker, "write it without a '#'; before a comment put a blank");
	}
	if (shell->broken && !shell->unclosed) {
		eg_wgfind(checker, EG_WGFINDING_HOOK_SYNTAX,
			  eg_wghook_place(hook, shell->broken_offset), "%s has %s", hook_name(hook),
			  shell->broken);
		eg_wgfix(checker, "put one ';' or '&&' between two commands; `bash -n -c 'LINE'` "
				  "tells whether the shell takes it");
	}
}

/* --- variables -------------------------------------------------------------------------------- */

static const struct eg_wghook *who_sets(const struct eg_wghooks *hooks, const char *name)
{
	for (size_t i = 0; i < hooks->n_hooks; i++) {
		const struct eg_shell *shell = hooks->hooks[i].shell;

		for (size_t set = 0; set < shell->n_set; set++) {
			if (strcmp(shell->set[set].name, name) == 0)
				return &hooks->hooks[i];
		}
	}
	return NULL;
}

static bool told_before(const struct eg_shell *shell, size_t at)
{
	for (size_t i = 0; i < at; i++) {
		if (strcmp(shell->unset[i].name, shell->unset[at].name) == 0)
			return true;
	}
	return false;
}

static void check_variables(struct eg_wgchecker *checker, const struct eg_wghook *hook)
{
	for (size_t i = 0; i < hook->shell->n_unset; i++) {
		const struct eg_shell_name *use = &hook->shell->unset[i];
		const struct eg_wghook *other = who_sets(checker->model->hooks, use->name);
		struct eg_wgplace place = eg_wghook_place(hook, use->offset);

		if (told_before(hook->shell, i))
			continue;
		if (other) {
			eg_wgfind(checker, EG_WGFINDING_VARIABLE_LOST, place,
				  "%s uses $%s, which is set in %s (line %u), and is empty here",
				  hook_name(hook), use->name, hook_name(other),
				  other->line->number);
			eg_wgfix(checker, "set it in this line too, before its first use: %s=...;",
				 use->name);
		} else {
			eg_wgfind(checker, EG_WGFINDING_CANNOT_TELL, place,
				  "$%s is set nowhere in this file: it must come from the "
				  "environment",
				  use->name);
			eg_wgfix(checker, "write its value, or set it in this line");
		}
	}
}

/* --- what cannot be told ---------------------------------------------------------------------- */

/* Whether the same program was told of already, of the same hook. */
static bool is_told(const struct eg_wghooks *hooks, size_t at)
{
	const struct eg_wgop *ops = hooks->ops;
	const char *name = eg_wgop_command(hooks, &ops[at])->words[0].text;

	for (size_t i = 0; i < at; i++) {
		if (ops[i].hook == ops[at].hook && ops[i].kind == ops[at].kind &&
		    strcmp(eg_wgop_command(hooks, &ops[i])->words[0].text, name) == 0)
			return true;
	}
	return false;
}

static void check_opaque(struct eg_wgchecker *checker, size_t at)
{
	const struct eg_wghooks *hooks = checker->model->hooks;
	const struct eg_wghook *hook = &hooks->hooks[at];

	if (hook->shell->opaque) {
		eg_wgfind(checker, EG_WGFINDING_CANNOT_TELL,
			  eg_wghook_place(hook, hook->shell->opaque_offset),
			  "%s has %s: what of it runs, and when, is not followed here",
			  hook_name(hook), hook->shell->opaque);
		eg_wgfix(checker, "write it as plain commands with ';' between them");
	}
	for (size_t i = 0; i < hooks->n_ops; i++) {
		const struct eg_wgop *op = &hooks->ops[i];
		char command[EG_WGCOMMAND_LEN];

		if (op->hook != at || (op->kind != EG_WGOP_UNKNOWN && op->kind != EG_WGOP_NFT) ||
		    is_told(hooks, i))
			continue;
		eg_wgfind(checker, EG_WGFINDING_CANNOT_TELL, op->place,
			  "what '%s' does to routes and rules cannot be told here",
			  eg_wgcommand_format(checker, op, command));
		eg_wgfix(checker, "look at it yourself: after `wg-quick up`, `ip route show table "
				  "all`, `iptables-save` and `nft list ruleset` show what it did");
	}
}

/* --- routes ----------------------------------------------------------------------------------- */

static bool is_first_of_hook(const struct eg_wghooks *hooks, size_t at,
			     bool (*is_one)(const struct eg_wgop *op))
{
	for (size_t i = 0; i < at; i++) {
		if (hooks->ops[i].hook == hooks->ops[at].hook && is_one(&hooks->ops[i]))
			return false;
	}
	return true;
}

static bool is_route_add(const struct eg_wgop *op)
{
	return op->kind == EG_WGOP_ROUTE && op->act == EG_WGACT_ADD && eg_wgkey_is_up(op->phase) &&
	       !op->to_tunnel && !op->tolerant && !op->conditional;
}

static bool has_gateway(const struct eg_wgop *op)
{
	return op->kind == EG_WGOP_ROUTE && op->gateway && eg_wgkey_is_up(op->phase);
}

static void check_route_ops(struct eg_wgchecker *checker)
{
	const struct eg_wghooks *hooks = checker->model->hooks;

	for (size_t i = 0; i < hooks->n_ops; i++) {
		const struct eg_wgop *op = &hooks->ops[i];
		char command[EG_WGCOMMAND_LEN];

		if (is_route_add(op) && is_first_of_hook(hooks, i, is_route_add)) {
			eg_wgfind(checker, EG_WGFINDING_ROUTE_ADD, op->place,
				  "'%s' fails where the route is there already",
				  eg_wgcommand_format(checker, op, command));
			eg_wgfix(checker, "write `ip route replace` for each `ip route add` of "
					  "this line");
		}
		if (has_gateway(op) && is_first_of_hook(hooks, i, has_gateway)) {
			eg_wgfind(checker, EG_WGFINDING_GATEWAY_BY_HAND, op->gateway_place,
				  "the gateway %s is written by hand", op->gateway);
			eg_wgfix(checker,
				 "find it at run time, in this line: gw=$(ip -4 route show default "
				 "| sed -n '1s/.*via \\([^ ]*\\).*/\\1/p'); ip route replace ... "
				 "via $gw");
		}
	}
}

/* --- added and removed ------------------------------------------------------------------------ */

static bool is_added(const struct eg_wgop *op)
{
	if (!eg_wgkey_is_up(op->phase) || op->act == EG_WGACT_DELETE || !op->spec ||
	    op->conditional)
		return false;
	if (op->kind == EG_WGOP_TABLES)
		return op->verb == 'A' || op->verb == 'I' || op->verb == 'N';
	return op->kind == EG_WGOP_RULE || op->kind == EG_WGOP_ROUTE;
}

/* By what tells a route from another: whether a removal that names it so finds what was added. What
 * only the shell knows may be either. */
static bool is_known(const char *word)
{
	return word && !strchr(word, '$');
}

static bool may_find_route(const struct eg_wgop *removed, const struct eg_wgop *added)
{
	const char *metric = added->metric                     ? added->metric
			     : added->family == EG_FAMILY_IPV6 ? "1024"
							       : "0";

	if (added->unknown_way || removed->unknown_way)
		return true;
	if (is_known(removed->dev) && is_known(added->dev) && strcmp(removed->dev, added->dev) != 0)
		return false;
	if (is_known(removed->via) &&
	    (!added->via || (is_known(added->via) && strcmp(removed->via, added->via) != 0)))
		return false;
	return !is_known(removed->metric) || !is_known(metric) ||
	       strtoul(removed->metric, NULL, 0) == strtoul(metric, NULL, 0);
}

/* `ip rule del` takes the first rule that has all that it names. */
static bool finds_rule(const struct eg_wgop *removed, const struct eg_wgop *added)
{
	const char *word = removed->spec;
	size_t len;

	for (; *word; word += len + (word[len] == ' ')) {
		const char *at = added->spec;

		len = strcspn(word, " ");
		for (; *at; at += strcspn(at, " "), at += *at == ' ') {
			if (strcspn(at, " ") == len && strncmp(at, word, len) == 0)
				break;
		}
		if (!*at)
			return false;
	}
	return true;
}

static bool takes_back(const struct eg_wgop *removed, const struct eg_wgop *added)
{
	if (removed->kind != added->kind)
		return false;
	if (removed->kind == EG_WGOP_RULE)
		return finds_rule(removed, added);
	return strcmp(removed->spec, added->spec) == 0 &&
	       (removed->kind != EG_WGOP_ROUTE || may_find_route(removed, added));
}

static bool is_removed(const struct eg_wgop *op)
{
	return !eg_wgkey_is_up(op->phase) && op->act == EG_WGACT_DELETE && op->spec &&
	       (op->kind != EG_WGOP_TABLES || op->verb == 'D' || op->verb == 'X');
}

/* `iptables -F CHAIN`, and `iptables -F`: all its rules. */
static bool flushes(const struct eg_wgop *flush, const struct eg_wgop *op)
{
	if (flush->kind != EG_WGOP_TABLES || flush->verb != 'F' || op->kind != EG_WGOP_TABLES ||
	    flush->family != op->family || op->verb == 'N' || !flush->chain || !op->chain)
		return false;
	return strcmp(flush->table_name, op->table_name) == 0 &&
	       (!*flush->chain || strcmp(flush->chain, op->chain) == 0);
}

/* Legacy, nft, or whichever the system takes. */
static const char *backend(const struct eg_wgop *op)
{
	const char *dash = op->tool ? strchr(op->tool, '-') : NULL;

	return dash ? dash + 1 : "";
}

static void check_backend(struct eg_wgchecker *checker, const struct eg_wgop *added,
			  const struct eg_wgop *removed)
{
	if (added->kind != EG_WGOP_TABLES || strcmp(backend(added), backend(removed)) == 0)
		return;
	eg_wgfind(checker, EG_WGFINDING_WRONG_BACKEND, removed->place,
		  "%s (line %u) adds the rule, and %s is to remove it", added->tool,
		  added->place.line, removed->tool);
	eg_wgfix(checker, "write %s here too", added->tool);
}

struct pairs {
	const struct eg_wghooks *hooks;
	bool *used; /* by operation: has its counterpart */
	bool unsure;
};

/* `iptables -D OUTPUT 1`: whichever that is. */
static bool is_by_number(const struct eg_wghooks *hooks, const struct eg_wgop *op)
{
	const struct eg_shell_command *command = eg_wgop_command(hooks, op);

	return op->kind == EG_WGOP_TABLES && op->verb == 'D' &&
	       op->first_word + 1 == command->n_words &&
	       isdigit((unsigned char)command->words[op->first_word].text[0]);
}

static void pair_up(struct eg_wgchecker *checker, struct pairs *pairs)
{
	const struct eg_wghooks *hooks = pairs->hooks;

	for (size_t i = 0; i < hooks->n_ops; i++) {
		const struct eg_wgop *op = &hooks->ops[i];

		pairs->unsure |= (op->conditional && op->spec) || is_by_number(hooks, op);
		/* taken away again by the same, or flushed */
		for (size_t k = 0; k < hooks->n_ops && is_added(op) && !pairs->used[i]; k++) {
			const struct eg_wgop *other = &hooks->ops[k];

			if (flushes(other, op) && !eg_wgkey_is_up(other->phase))
				pairs->used[i] = true;
			if (pairs->used[k] || !is_removed(other) || !takes_back(other, op))
				continue;
			pairs->used[i] = pairs->used[k] = true;
			check_backend(checker, op, other);
		}
	}
}

/* `ip route add …` as the removal: the destination and the table tell a route, all of it a rule. */
static bool format_removal(const struct eg_wgchecker *checker, const struct eg_wgop *op,
			   char to[EG_WGCOMMAND_LEN])
{
	static const char *const verbs[] = {"add", "append", "replace", "change"};
	const struct eg_shell_command *command = eg_wgop_command(checker->model->hooks, op);
	EG_AUTO_TEXT struct eg_text text = {};
	size_t verb = 0;

	for (size_t i = 1; i < command->n_words; i++) {
		const char *word = command->words[i].text;

		for (size_t k = 0; k < sizeof(verbs) / sizeof(verbs[0]) && !verb; k++)
			verb = strcmp(word, verbs[k]) == 0 ? i : 0;
		if (op->kind == EG_WGOP_ROUTE && verb && i > verb + 1 &&
		    strcmp(word, "table") != 0 && strcmp(command->words[i - 1].text, "table") != 0)
			continue;
		eg_text_printf(&text, " %s", i == verb ? "del" : word);
	}
	eg_escape(to, EG_WGCOMMAND_LEN, text.data ? text.data : "", text.len);
	return verb != 0;
}

/* The removal that fits what was added. */
static void fix_not_removed(struct eg_wgchecker *checker, const struct eg_wgop *op,
			    const char *command)
{
	char removal[EG_WGCOMMAND_LEN];

	if (op->kind == EG_WGOP_TABLES)
		eg_wgfix(checker, "PreDown = the same with -%c in the place of -%c%s",
			 op->verb == 'N' ? 'X' : 'D', op->verb,
			 op->position ? ", without the number" : "");
	else if (format_removal(checker, op, removal))
		eg_wgfix(checker, "PreDown = ip%s", removal);
	else
		eg_wgfix(checker, "PreDown = the same with 'del' (%s)", command);
}

static void check_pairs(struct eg_wgchecker *checker)
{
	const struct eg_wghooks *hooks = checker->model->hooks;
	struct pairs pairs = {.hooks = hooks, .used = calloc(hooks->n_ops + 1, sizeof(bool))};

	if (!pairs.used) {
		checker->failed = true;
		return;
	}
	pair_up(checker, &pairs);
	for (size_t i = 0; i < hooks->n_ops; i++) {
		const struct eg_wgop *op = &hooks->ops[i];
		char command[EG_WGCOMMAND_LEN];

		if (pairs.used[i] || op->conditional)
			continue;
		eg_wgcommand_format(checker, op, command);
		/* the kernel takes away routes over an interface together with it */
		if (is_added(op) && !(op->kind == EG_WGOP_ROUTE && op->to_tunnel)) {
			eg_wgfind(checker, EG_WGFINDING_NOT_REMOVED, op->place,
				  "'%s' is not taken back by PreDown or PostDown", command);
			fix_not_removed(checker, op, command);
		} else if (is_removed(op) && !op->tolerant && !pairs.unsure) {
			eg_wgfind(checker, EG_WGFINDING_NEVER_ADDED, op->place,
				  "'%s' takes away what PreUp and PostUp never add", command);
			eg_wgfix(checker, "take it out, or write it as it was added; or let it "
					  "fail: put '|| true' behind it");
		}
	}
	free(pairs.used);
}

/* --- rules that are none ---------------------------------------------------------------------- */

static void check_refused(struct eg_wgchecker *checker)
{
	const struct eg_wghooks *hooks = checker->model->hooks;
	char command[EG_WGCOMMAND_LEN];

	for (size_t i = 0; i < hooks->n_ops; i++) {
		const struct eg_wgop *op = &hooks->ops[i];
		struct eg_wgrule rule;

		if (op->kind != EG_WGOP_TABLES || (op->verb != 'A' && op->verb != 'I') ||
		    op->conditional || op->tolerant)
			continue;
		if (eg_wgrule_read(hooks, op, checker->facts->ifname, &rule, NULL) < 0)
			checker->failed = true;
		if (rule.refused) {
			eg_wgfind(checker, EG_WGFINDING_RULE_REFUSED, op->place, "'%s': %s",
				  eg_wgcommand_format(checker, op, command), rule.refused);
			eg_wgfix(checker, "write what is meant in another way: several rules in "
					  "the place of one, say");
		}
		free(rule.dst);
	}
}

/* --- IPv6 that is switched off ---------------------------------------------------------------- */

static const struct eg_wgop *find_ipv6_off(const struct eg_wghooks *hooks)
{
	for (size_t i = 0; i < hooks->n_ops; i++) {
		const struct eg_wgop *op = &hooks->ops[i];

		/* wg-quick makes the interface after PreUp, so `default` is about it */
		if (op->kind == EG_WGOP_NO_IPV6 && op->phase == EG_WGKEY_PRE_UP &&
		    (strcmp(op->dev, "all") == 0 || strcmp(op->dev, "default") == 0))
			return op;
	}
	return NULL;
}

static void check_ipv6_off(struct eg_wgchecker *checker)
{
	const struct eg_wgmodel *model = checker->model;
	const struct eg_wgop *op = find_ipv6_off(model->hooks);
	bool address = eg_wgmodel_has_address(model, EG_FAMILY_IPV6);
	const char *what = address ? "Address" : "AllowedIPs";
	char command[EG_WGCOMMAND_LEN];

	if ((!op && !checker->facts->ipv6_off) ||
	    (!address && !eg_wgmodel_has_allowed(model, EG_FAMILY_IPV6)))
		return;
	if (!op)
		eg_wgfind(checker, EG_WGFINDING_IPV6_OFF, EG_WGNOWHERE,
			  "IPv6 is off where this file is used, and %s has IPv6", what);
	else if (op->conditional || op->tolerant)
		eg_wgfind(checker, EG_WGFINDING_CANNOT_TELL, op->place,
			  "where '%s' succeeds, wg-quick fails at the IPv6 in %s, before any "
			  "PostUp: whether it does cannot be told",
			  eg_wgcommand_format(checker, op, command), what);
	else
		eg_wgfind(checker, EG_WGFINDING_IPV6_OFF, op->place,
			  "'%s' switches IPv6 off, and %s has IPv6",
			  eg_wgcommand_format(checker, op, command), what);
	eg_wgfix(checker, "take IPv6 out of Address and AllowedIPs; or leave it on (in a compose "
			  "file: no `sysctls:` with disable_ipv6), and let ip6tables hold it back");
}

/* --- which tools ------------------------------------------------------------------------------ */

static void check_mixed(struct eg_wgchecker *checker)
{
	const struct eg_wghooks *hooks = checker->model->hooks;
	const struct eg_wgop *first = NULL;

	for (size_t i = 0; i < hooks->n_ops; i++) {
		const struct eg_wgop *op = &hooks->ops[i];
		const char *name = op->kind == EG_WGOP_NFT ? "nft" : op->tool;

		if ((op->kind != EG_WGOP_NFT && op->kind != EG_WGOP_TABLES) ||
		    !eg_wgkey_is_up(op->phase))
			continue;
		if (!first)
			first = op;
		if (op->kind == first->kind && strcmp(backend(op), backend(first)) == 0)
			continue;
		eg_wgfind(checker, EG_WGFINDING_BACKEND_MIXED, op->place,
			  "%s here, and %s in line %u", name,
			  first->kind == EG_WGOP_NFT ? "nft" : first->tool, first->place.line);
		eg_wgfix(checker, "write all rules with one of them");
		return;
	}
}

static bool is_missing(const struct eg_wgfacts *facts, const struct eg_wgop *op)
{
	if (op->kind == EG_WGOP_NFT)
		return !facts->nft;
	if (op->kind != EG_WGOP_TABLES)
		return false;
	return op->family == EG_FAMILY_IPV6 ? !facts->ip6tables : !facts->iptables;
}

static void check_missing_tools(struct eg_wgchecker *checker)
{
	const struct eg_wghooks *hooks = checker->model->hooks;
	bool told[2] = {};

	for (size_t i = 0; i < hooks->n_ops && checker->facts->have_programs; i++) {
		const struct eg_wgop *op = &hooks->ops[i];
		bool nft = op->kind == EG_WGOP_NFT;

		if (!is_missing(checker->facts, op) || told[nft])
			continue;
		told[nft] = true;
		eg_wgfind(checker, EG_WGFINDING_BACKEND_MISSING, op->place,
			  "there is no %s where this file is used", nft ? "nft" : op->tool);
		eg_wgfix(checker,
			 nft ? "write the rules with iptables and ip6tables, or install nft"
			     : "write the rules with nft, or install iptables");
	}
}

void eg_wgcheck_hooks(struct eg_wgchecker *checker)
{
	const struct eg_wghooks *hooks = checker->model->hooks;

	for (size_t i = 0; i < hooks->n_hooks; i++) {
		check_lines(checker, &hooks->hooks[i]);
		check_variables(checker, &hooks->hooks[i]);
		check_opaque(checker, i);
	}
	check_route_ops(checker);
	check_pairs(checker);
	check_refused(checker);
	check_ipv6_off(checker);
	check_mixed(checker);
	check_missing_tools(checker);
}
