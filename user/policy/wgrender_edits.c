// SPDX-License-Identifier: GPL-2.0
/* What the hooks of a wg0.conf do of the pattern's edits, and whether it can be taken out. */
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/networks.h"
#include "policy/wgrender_internal.h"

/* --- what the file did by hand ---------------------------------------------------------------- */

bool eg_wgedit_is_private(const struct eg_prefix *prefix)
{
	static const struct eg_prefix shared = {
		.addr = {.bytes = {100, 64}}, .family = EG_FAMILY_IPV4, .len = 10};

	for (size_t i = 0; i < EG_LAN_PREFIXES; i++) {
		if (eg_prefix_covers(&eg_lan_prefixes[i], prefix))
			return true;
	}
	return eg_prefix_covers(&shared, prefix);
}

static bool is_dns_server(const struct eg_wgmodel *model, const struct eg_prefix *prefix)
{
	for (size_t i = 0; i < model->n_dns; i++) {
		if (eg_prefix_compare(&model->dns[i].prefix, prefix) == 0)
			return true;
	}
	return false;
}

static bool has_word(const struct eg_wgmodel *model, const struct eg_wgop *op, const char *word)
{
	const struct eg_shell_command *command = eg_wgop_command(model->hooks, op);

	for (size_t i = 0; i < command->n_words; i++) {
		if (strcmp(command->words[i].text, word) == 0)
			return true;
	}
	return false;
}

/* A rule of a kill switch: one that accepts, or that drops all. A user's other rules are his. */
static bool is_kill_switch_rule(const struct eg_wgmodel *model, const struct eg_wgop *op)
{
	struct eg_wgop plain = *op;
	struct eg_wgrule rule = {};
	bool is_one = false;

	plain.conditional = false; /* it is one where it runs */
	if (!op->chain || strcmp(op->table_name, "nat") == 0)
		return false;
	if (strcmp(op->table_name, "filter") != 0 && strcmp(op->chain, "OUTPUT") != 0 &&
	    strcmp(op->chain, "POSTROUTING") != 0)
		return false;
	if (strncmp(op->chain, "EGRESSGUARD", strlen("EGRESSGUARD")) == 0 ||
	    has_word(model, op, EG_WGRENDER_CHAIN))
		return true;
	if (strcmp(op->table_name, "filter") == 0 && strcmp(op->chain, "OUTPUT") != 0)
		return false;
	if (op->verb == 'P' || op->verb == 'F' || has_word(model, op, "ACCEPT"))
		return true;
	if (eg_wgrule_read(model->hooks, &plain, model->facts->ifname, &rule, NULL) == 0)
		is_one = eg_wgrule_is_kill_switch(&rule) || eg_wgrule_is_named_kill_switch(&rule);
	free(rule.dst);
	return is_one;
}

/* A table of nft's that is a kill switch and nothing else, made with plain commands. */
static bool is_kill_switch_table(const struct eg_wgmodel *model, const char *table)
{
	bool output = false, drops = false;

	for (size_t i = 0; i < model->hooks->n_ops && *table; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (op->kind != EG_WGOP_NFT || strcmp(op->nft_table, table) != 0)
			continue;
		if (op->base_other)
			return false;
		if (eg_wgkey_is_up(op->phase)) {
			output |= op->base_output;
			drops |= op->drops;
		}
	}
	return output && drops;
}

/* The recipe that has wg-quick make no routes, and puts the main table's default route into the
 * tunnel by hand. With AllowedIPs that take everything it is what wg-quick does itself, and better:
 * its way leaves that route alone, by which the LAN is reached. */
static bool is_default_by_hand(const struct eg_wgmodel *model)
{
	if (!model->full4 || model->way == EG_WGWAY_NUMBER)
		return false;
	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (eg_wgkey_is_up(op->phase) && op->kind == EG_WGOP_ROUTE && op->is_default &&
		    op->family == EG_FAMILY_IPV4 && op->table == EG_WGTABLE_MAIN && op->to_tunnel &&
		    op->act != EG_WGACT_DELETE && !op->conditional)
			return true;
	}
	return false;
}

static bool is_default_route(const struct eg_wgop *op)
{
	return op->kind == EG_WGOP_ROUTE && op->table == EG_WGTABLE_MAIN && op->is_default;
}

bool eg_wgedit_is_table_off(const struct eg_wgmodel *model, const struct eg_wgline *line)
{
	return line->kind == EG_WGLINE_SETTING && line->key == EG_WGKEY_TABLE &&
	       model->way == EG_WGWAY_OFF && is_default_by_hand(model);
}

/* Whether the line is in the block that was rendered before. */
static bool in_block(const struct eg_wgmodel *model, const struct eg_wgop *op)
{
	for (const struct eg_wgline *line = model->hooks->hooks[op->hook].line;
	     line > model->file->lines; line--) {
		if (eg_wgline_begins(line, EG_WGRENDER_END))
			return false;
		if (eg_wgline_begins(line, EG_WGRENDER_BEGIN))
			return true;
	}
	return false;
}

/* Whether PreUp or PostUp does something that is not followed here. */
static bool has_unseen(const struct eg_wgmodel *model)
{
	for (size_t i = 0; i < model->hooks->n_hooks; i++) {
		const struct eg_wghook *hook = &model->hooks->hooks[i];

		if (eg_wgkey_is_up(hook->line->key) &&
		    (hook->shell->opaque || hook->shell->unclosed))
			return true;
	}
	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (eg_wgkey_is_up(op->phase) && op->kind == EG_WGOP_UNKNOWN)
			return true;
	}
	return false;
}

static bool fits(const struct eg_wgop *removal, const struct eg_wgop *op)
{
	if (!eg_wgkey_is_up(op->phase) || op->kind != removal->kind ||
	    op->family != removal->family)
		return false;
	if (op->kind == EG_WGOP_TABLES && strchr("FXP", removal->verb))
		return op->chain && removal->chain && strcmp(op->chain, removal->chain) == 0;
	return op->spec && removal->spec && strcmp(op->spec, removal->spec) == 0;
}

/* What takes away something that this reader never saw added stays: whatever adds it does. */
static bool removes_unseen(const struct eg_wgmodel *model, const struct eg_wgop *removal)
{
	if (eg_wgkey_is_up(removal->phase) || !has_unseen(model) || in_block(model, removal))
		return false;
	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (fits(removal, op) && !in_block(model, op))
			return false;
	}
	return true;
}

/* Whether this is one of the pattern's edits, which render makes itself. A route to the endpoint is
 * none: without it WireGuard's own packets may go into the tunnel. */
static bool is_edit(const struct eg_wgmodel *model, const struct eg_wgop *op)
{
	bool edit;

	if (op->kind == EG_WGOP_NFT)
		return is_kill_switch_table(model, op->nft_table);
	if (is_default_route(op))
		return is_default_by_hand(model);
	if (op->kind == EG_WGOP_TABLES)
		edit = is_kill_switch_rule(model, op);
	else if (op->kind != EG_WGOP_ROUTE || !op->has_prefix)
		edit = false;
	else if (op->to_tunnel)
		edit = is_dns_server(model, &op->prefix);
	else if (eg_wgmodel_is_endpoint(model, &op->prefix)) /* wg-quick's mark does without */
		edit = model->default4 && is_default_by_hand(model);
	else
		edit = eg_wgedit_is_private(&op->prefix);
	return edit && !removes_unseen(model, op);
}

/* --- lists of commands ------------------------------------------------------------------------ */

static bool word_is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++) {
		if (strcmp(word, *words) == 0)
			return true;
	}
	return false;
}

/* Whether what is between two places of a hook writes to a file. */
static bool writes_file(const struct eg_wghook *hook, size_t from, size_t to)
{
	static const char null[] = "/dev/null";

	for (size_t i = from; i < to; i++) {
		if (hook->text[i] != '>')
			continue;
		for (i++; i < to && strchr("> \t", hook->text[i]);)
			i++;
		if (i < to && hook->text[i] == '&')
			continue;
		if (to - i < strlen(null) || strncmp(hook->text + i, null, strlen(null)) != 0)
			return true;
	}
	return false;
}

/* Whether a command only asks something, or tells that the one before it failed: it is there for
 * the commands that it is joined to, and goes with them. */
static bool is_inert(const struct eg_wgmodel *model, const struct eg_wgop *op)
{
	static const char *const asks[] = {"test", "[",  "[[",   "true", ":",   "false", "exit",
					   "grep", "tr", "head", "tail", "cut", NULL};
	static const char *const shows[] = {"show", "list", "ls", "get", NULL};
	static const char *const tells[] = {"echo", "printf", "logger", "sleep", NULL};
	const struct eg_wghook *hook = &model->hooks->hooks[op->hook];
	const struct eg_shell_command *command = eg_wgop_command(model->hooks, op);
	const struct eg_shell_span *span = &hook->shell->spans[command->list];
	const char *name = command->words[0].text;

	if (op->kind == EG_WGOP_TABLES)
		return op->verb == 'C';
	if (op->kind != EG_WGOP_HARMLESS || writes_file(hook, span->from, span->to))
		return false;
	if (strcmp(name, "ip") == 0 || strcmp(name, "wg") == 0) {
		for (size_t i = 1; i < command->n_words; i++) {
			if (word_is_one_of(command->words[i].text, shows))
				return true;
		}
		return false;
	}
	return word_is_one_of(name, asks) ||
	       (command->join == EG_SHELL_OR && word_is_one_of(name, tells));
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Where the part before a command ends: before the `&&` that joins the two. 0: it is none. */
static size_t find_join(const struct eg_wghook *hook, size_t from, size_t command)
{
	while (command > from && is_blank(hook->text[command - 1]))
		command--;
	if (command < from + 2 || memcmp(hook->text + command - 2, "&&", 2) != 0)
		return 0;
	for (command -= 2; command > from && is_blank(hook->text[command - 1]);)
		command--;
	return command;
}

size_t eg_wgparts_find(const struct eg_wgmodel *model, size_t at, size_t list,
		       struct eg_wgpart parts[EG_WGPARTS_MAX])
{
	const struct eg_wghook *hook = &model->hooks->hooks[at];
	const struct eg_shell_span *span = &hook->shell->spans[list];
	size_t from = span->from, n = 0;

	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];
		const struct eg_shell_command *command = eg_wgop_command(model->hooks, op);
		size_t offset = command->words[0].offset, end;

		if (op->hook != at || command->list != list)
			continue;
		if (command->conditional || offset < from || offset >= span->to ||
		    n + 2 > EG_WGPARTS_MAX || (n && command->join != EG_SHELL_AND))
			return 0;
		end = find_join(hook, from, offset);
		if (!end && (n || offset != from))
			return 0;
		if (end && n)
			parts[n - 1].to = end;
		else if (end) /* variables */
			parts[n++] = (struct eg_wgpart){.from = from, .to = end, .stays = true};
		from = offset;
		parts[n++] = (struct eg_wgpart){
			.from = offset,
			.to = span->to,
			.stays = !is_edit(model, op) && op->verb != 'C',
		};
	}
	for (size_t i = 0; i < n; i++) {
		if (!parts[i].stays &&
		    memmem(hook->text + parts[i].from, parts[i].to - parts[i].from, "&&", 2))
			return 0;
	}
	return n;
}

/* Of one list of commands: it goes where it has edits alone. */
enum eg_wgfate eg_wgfate_of_list(const struct eg_wgmodel *model, size_t hook, size_t list)
{
	struct eg_wgpart parts[EG_WGPARTS_MAX];
	bool edit = false, others = false;

	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (op->hook != hook || eg_wgop_command(model->hooks, op)->list != list)
			continue;
		if (is_edit(model, op))
			edit = true;
		else if (!is_inert(model, op))
			others = true;
	}
	if (!edit)
		return EG_WGFATE_KEEP;
	if (!others)
		return EG_WGFATE_GO;
	return eg_wgparts_find(model, hook, list, parts) ? EG_WGFATE_PART : EG_WGFATE_STUCK;
}

enum eg_wgfate eg_wgfate_of_hook(const struct eg_wgmodel *model, size_t hook)
{
	const struct eg_shell *shell = model->hooks->hooks[hook].shell;
	bool goes = false, stays = false;

	if (shell->opaque || shell->unclosed)
		return EG_WGFATE_KEEP;
	for (size_t list = 0; list < shell->n_spans; list++) {
		enum eg_wgfate fate;

		if (shell->spans[list].assigns)
			continue;
		fate = eg_wgfate_of_list(model, hook, list);
		goes |= fate == EG_WGFATE_GO || fate == EG_WGFATE_PART;
		stays |= fate != EG_WGFATE_GO;
	}
	if (!goes)
		return EG_WGFATE_KEEP;
	return stays ? EG_WGFATE_PART : EG_WGFATE_GO;
}

/* --- what is refused -------------------------------------------------------------------------- */

/* The routes past the tunnel take the default route of the main table for the way out. */
static bool changes_default(const struct eg_wgmodel *model, const struct eg_wgop *op)
{
	const struct eg_shell_command *command = eg_wgop_command(model->hooks, op);

	if (!eg_wgkey_is_up(op->phase) || (is_default_route(op) && is_default_by_hand(model)))
		return false;
	if (op->kind == EG_WGOP_UNKNOWN && strcmp(command->words[0].text, "route") == 0)
		return true;
	if (op->kind != EG_WGOP_ROUTE || op->family != EG_FAMILY_IPV4 ||
	    op->table != EG_WGTABLE_MAIN)
		return false;
	return op->is_default ||
	       (op->act == EG_WGACT_DELETE && !op->has_prefix && !op->unknown_prefix);
}

static int refuse_default(const struct eg_wgmodel *model, struct eg_error *error)
{
	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (changes_default(model, op))
			return eg_error_at(
				error, op->place.line, op->place.column,
				"%s changes the default route of the main table, by which the "
				"routes past the tunnel find their way out: they would lead into "
				"the tunnel, or nowhere. Take the change out of the hooks, and "
				"'Table = off' too: wg-quick routes 0.0.0.0/0 itself, and leaves "
				"the default route alone",
				eg_wgkey_name(op->phase));
	}
	return 0;
}

/* An edit that can neither stay nor be taken out. */
static int refuse_stuck(const struct eg_wgmodel *model, struct eg_error *error)
{
	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];
		const struct eg_shell *shell = model->hooks->hooks[op->hook].shell;
		bool opaque = shell->opaque || shell->unclosed;

		if (!is_edit(model, op) || in_block(model, op) ||
		    (!opaque &&
		     eg_wgfate_of_list(model, op->hook, eg_wgop_command(model->hooks, op)->list) !=
			     EG_WGFATE_STUCK))
			continue;
		return eg_error_at(error, op->place.line, op->place.column,
				   "%s does here what render does itself, and it cannot be taken "
				   "out alone: %s. Write it as a %s line of its own, as plain "
				   "commands with ';' between them, or take it out together with "
				   "what adds or removes it elsewhere",
				   eg_wgkey_name(op->phase),
				   opaque ? "the hook has more than plain commands"
					  : "other commands depend on it, or it on them",
				   eg_wgkey_name(op->phase));
	}
	return 0;
}

int eg_wgedits_refuse(const struct eg_wgmodel *model, struct eg_error *error)
{
	int result = refuse_default(model, error);

	return result < 0 ? result : refuse_stuck(model, error);
}
