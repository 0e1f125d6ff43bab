// SPDX-License-Identifier: GPL-2.0
#include "policy/wgrender.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/array.h"
#include "policy/networks.h"
#include "util/cleanup.h"
#include "util/text.h"

const char *const eg_wgkill_names[3] = {"both", "iptables", "egressguard"};

#define CHAIN   "EGRESSGUARD-%i"
#define CHAIN_F "EGRESSGUARD-%%i" /* in a format */
/* Beside a route of the same network that is there already, such as the bridge's own. */
#define METRIC     "metric 51820"
#define ROUNDS_MAX 16
#define REPLACED   "# wgconf render: was: "

struct renderer {
	const struct eg_wgfile *file;
	const struct eg_wgmodel *model; /* of the file as it was */
	const struct eg_wgmodel *base;  /* of what is left of it */
	enum eg_wgkill kill;
	struct eg_prefix *lan; /* what goes past the tunnel */
	size_t n_lan;
	const char *end; /* of a line */
	struct eg_text text;
	bool failed;
};

/* --- what goes past the tunnel ---------------------------------------------------------------- */

static bool is_private(const struct eg_prefix *prefix)
{
	static const struct eg_prefix shared = {
		.addr = {.bytes = {100, 64}}, .family = EG_FAMILY_IPV4, .len = 10};

	for (size_t i = 0; i < EG_LAN_PREFIXES; i++) {
		if (eg_prefix_covers(&eg_lan_prefixes[i], prefix))
			return true;
	}
	return eg_prefix_covers(&shared, prefix);
}

static void add_lan(struct renderer *renderer, const struct eg_prefix *prefix)
{
	for (size_t i = 0; i < renderer->n_lan; i++) {
		if (eg_prefix_compare(&renderer->lan[i], prefix) == 0)
			return;
	}
	if (EG_ARRAY_ADD(renderer->lan, renderer->n_lan, *prefix) < 0)
		renderer->failed = true;
}

static int compare(const void *a, const void *b)
{
	return eg_prefix_compare(a, b);
}

/* The networks of RFC 1918; where the file had narrower subnets of one, those: never more than its
 * owner let out. And what else is private that he did. */
static void find_lan(struct renderer *renderer)
{
	bool have[EG_WGLAN_NETWORKS] = {};

	for (size_t i = 0; i < renderer->model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &renderer->model->hooks->ops[i];

		if (!eg_wgop_excludes(op) || op->prefix.family != EG_FAMILY_IPV4 ||
		    !is_private(&op->prefix))
			continue;
		add_lan(renderer, &op->prefix);
		for (size_t k = 0; k < EG_WGLAN_NETWORKS; k++)
			have[k] |= eg_prefix_covers(eg_wglan_networks[k], &op->prefix);
	}
	for (size_t k = 0; k < EG_WGLAN_NETWORKS; k++) {
		if (!have[k])
			add_lan(renderer, eg_wglan_networks[k]);
	}
	if (renderer->n_lan)
		qsort(renderer->lan, renderer->n_lan, sizeof(renderer->lan[0]), compare);
}

static bool in_lan(const struct renderer *renderer, const struct eg_prefix *prefix)
{
	for (size_t i = 0; i < renderer->n_lan; i++) {
		if (eg_prefix_covers(&renderer->lan[i], prefix) &&
		    eg_prefix_compare(&renderer->lan[i], prefix) != 0)
			return true;
	}
	return false;
}

/* --- what the file did by hand ---------------------------------------------------------------- */

static bool begins(const struct eg_wgline *line, const char *text)
{
	return line->raw_len >= strlen(text) && memcmp(line->raw, text, strlen(text)) == 0;
}

static bool is_dns_server(const struct eg_wgmodel *model, const struct eg_prefix *prefix)
{
	for (size_t i = 0; i < model->n_dns; i++) {
		if (eg_prefix_compare(&model->dns[i].prefix, prefix) == 0)
			return true;
	}
	return false;
}

static bool is_endpoint(const struct eg_wgmodel *model, const struct eg_prefix *prefix)
{
	for (size_t i = 0; i < model->n_endpoints; i++) {
		const struct eg_endpoint *endpoint = &model->endpoints[i].endpoint;

		if (!endpoint->host && prefix->family == endpoint->family &&
		    prefix->len == eg_family_bits(prefix->family) &&
		    eg_prefix_contains(prefix, endpoint->family, &endpoint->addr))
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
	if (strcmp(op->table_name, "filter") != 0 || !op->chain)
		return false;
	if (strncmp(op->chain, "EGRESSGUARD", strlen("EGRESSGUARD")) == 0 ||
	    has_word(model, op, CHAIN))
		return true;
	if (strcmp(op->chain, "OUTPUT") != 0)
		return false;
	if (op->verb == 'P' || op->verb == 'F' || has_word(model, op, "ACCEPT"))
		return true;
	if (eg_wgrule_read(model->hooks, &plain, model->facts->ifname, &rule) == 0)
		is_one = eg_wgrule_is_kill_switch(&rule) || eg_wgrule_is_named_kill_switch(&rule);
	free(rule.dst);
	return is_one;
}

/* Whether the line is in the block that was rendered before. */
static bool in_block(const struct eg_wgmodel *model, const struct eg_wgop *op)
{
	for (const struct eg_wgline *line = model->hooks->hooks[op->hook].line;
	     line > model->file->lines; line--) {
		if (begins(line, EG_WGRENDER_END))
			return false;
		if (begins(line, EG_WGRENDER_BEGIN))
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

	if (op->kind == EG_WGOP_TABLES)
		edit = is_kill_switch_rule(model, op);
	else if (op->kind != EG_WGOP_ROUTE || !op->has_prefix)
		edit = false;
	else if (op->to_tunnel)
		edit = is_dns_server(model, &op->prefix);
	else
		edit = is_private(&op->prefix) && !is_endpoint(model, &op->prefix);
	return edit && !removes_unseen(model, op);
}

/* --- lists of commands ------------------------------------------------------------------------ */

enum fate {
	FATE_KEEP,
	FATE_GO,
	FATE_PART,  /* some of its commands go */
	FATE_STUCK, /* some ought to go, and cannot be taken out alone */
};

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

struct part {
	size_t from, to;
	bool stays;
};

#define PARTS_MAX 64

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

/* The commands of a list that `&&` joins, with what stands before the first. Returns how many, 0:
 * they cannot be told apart. */
static size_t find_parts(const struct eg_wgmodel *model, size_t at, size_t list,
			 struct part parts[PARTS_MAX])
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
		    n + 2 > PARTS_MAX || (n && command->join != EG_SHELL_AND))
			return 0;
		end = find_join(hook, from, offset);
		if (!end && (n || offset != from))
			return 0;
		if (end && n)
			parts[n - 1].to = end;
		else if (end) /* variables */
			parts[n++] = (struct part){.from = from, .to = end, .stays = true};
		from = offset;
		parts[n++] = (struct part){
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
static enum fate fate_of_list(const struct eg_wgmodel *model, size_t hook, size_t list)
{
	struct part parts[PARTS_MAX];
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
		return FATE_KEEP;
	if (!others)
		return FATE_GO;
	return find_parts(model, hook, list, parts) ? FATE_PART : FATE_STUCK;
}

static enum fate fate_of_hook(const struct eg_wgmodel *model, size_t hook)
{
	const struct eg_shell *shell = model->hooks->hooks[hook].shell;
	bool goes = false, stays = false;

	if (shell->opaque || shell->unclosed)
		return FATE_KEEP;
	for (size_t list = 0; list < shell->n_spans; list++) {
		enum fate fate;

		if (shell->spans[list].assigns)
			continue;
		fate = fate_of_list(model, hook, list);
		goes |= fate == FATE_GO || fate == FATE_PART;
		stays |= fate != FATE_GO;
	}
	if (!goes)
		return FATE_KEEP;
	return stays ? FATE_PART : FATE_GO;
}

/* --- what is refused -------------------------------------------------------------------------- */

/* The routes past the tunnel take the default route of the main table for the way out. */
static bool changes_default(const struct eg_wgmodel *model, const struct eg_wgop *op)
{
	const struct eg_shell_command *command = eg_wgop_command(model->hooks, op);

	if (!eg_wgkey_is_up(op->phase))
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
		     fate_of_list(model, op->hook, eg_wgop_command(model->hooks, op)->list) !=
			     FATE_STUCK))
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

/* --- lines that stay -------------------------------------------------------------------------- */

static void put_raw(struct renderer *renderer, const struct eg_wgline *line)
{
	eg_text_add(&renderer->text, line->raw, line->raw_len);
	eg_text_add(&renderer->text, "\n", 1);
}

/* A separator, and what stands there without the blanks that end it. */
static void put_piece(struct renderer *renderer, const char *separator, const char *text,
		      size_t len)
{
	while (len && strchr(" \t;", text[len - 1]))
		len--;
	eg_text_printf(&renderer->text, "%s%.*s", separator, (int)len, text);
}

static void put_parts(struct renderer *renderer, size_t at, size_t list, const char *separator)
{
	const struct eg_wghook *hook = &renderer->model->hooks->hooks[at];
	struct part parts[PARTS_MAX];
	size_t n = find_parts(renderer->model, at, list, parts);

	for (size_t i = 0; i < n; i++) {
		if (!parts[i].stays)
			continue;
		put_piece(renderer, separator, hook->text + parts[i].from,
			  parts[i].to - parts[i].from);
		separator = " && ";
	}
}

/* The commands of a hook that stay, as a line of their own. */
static void put_rest(struct renderer *renderer, size_t at)
{
	const struct eg_wghook *hook = &renderer->model->hooks->hooks[at];
	const char *separator = "";

	eg_text_printf(&renderer->text, "%s = ", eg_wgkey_name(hook->line->key));
	for (size_t list = 0; list < hook->shell->n_spans; list++) {
		const struct eg_shell_span *span = &hook->shell->spans[list];
		enum fate fate =
			span->assigns ? FATE_KEEP : fate_of_list(renderer->model, at, list);

		if (span->to <= span->from || fate == FATE_GO)
			continue;
		if (fate == FATE_PART)
			put_parts(renderer, at, list, separator);
		else
			put_piece(renderer, separator, hook->text + span->from,
				  span->to - span->from);
		separator = "; ";
	}
	eg_text_printf(&renderer->text, "%s", renderer->end);
}

/* A hook without its backslashes. */
static void put_joined(struct renderer *renderer, size_t at)
{
	const struct eg_wghook *hook = &renderer->model->hooks->hooks[at];
	const char *separator = "";

	eg_text_printf(&renderer->text, "%s = ", eg_wgkey_name(hook->line->key));
	for (const char *word = hook->text; *word;) {
		size_t len = strcspn(word, "\t");

		eg_text_printf(&renderer->text, "%s%.*s", separator, (int)len, word);
		word += len + strspn(word + len, "\t");
		separator = " ";
	}
	eg_text_printf(&renderer->text, "%s", renderer->end);
}

static size_t find_hook(const struct eg_wgmodel *model, const struct eg_wgline *line)
{
	for (size_t i = 0; i < model->hooks->n_hooks; i++) {
		if (model->hooks->hooks[i].line == line)
			return i;
	}
	return (size_t)-1;
}

/* The hook at line `at` with what continues it. Returns the line after. */
static size_t put_hook(struct renderer *renderer, size_t at, size_t hook)
{
	const struct eg_wgfile *file = renderer->file;
	enum fate fate = fate_of_hook(renderer->model, hook);
	bool continued = renderer->model->hooks->hooks[hook].continued;
	size_t next = at;

	do {
		if (fate != FATE_KEEP || continued)
			eg_text_printf(&renderer->text, REPLACED);
		put_raw(renderer, &file->lines[next++]);
	} while (next < file->n_lines && file->lines[next].kind == EG_WGLINE_CONTINUED);
	if (fate == FATE_PART)
		put_rest(renderer, hook);
	else if (fate == FATE_KEEP && continued)
		put_joined(renderer, hook);
	return next;
}

/* Everything but what was rendered before, with the edits made by hand as comments. */
static void put_base(struct renderer *renderer)
{
	const struct eg_wgfile *file = renderer->file;

	for (size_t i = 0; i < file->n_lines;) {
		const struct eg_wgline *line = &file->lines[i];
		size_t hook = find_hook(renderer->model, line);

		if (begins(line, EG_WGRENDER_BEGIN)) {
			while (i < file->n_lines && !begins(&file->lines[i], EG_WGRENDER_END) &&
			       file->lines[i].kind != EG_WGLINE_SECTION)
				i++;
			i += i < file->n_lines && begins(&file->lines[i], EG_WGRENDER_END);
		} else if (hook != (size_t)-1) {
			i = put_hook(renderer, i, hook);
		} else {
			put_raw(renderer, line);
			i++;
		}
	}
}

/* --- the block -------------------------------------------------------------------------------- */

static void put(struct renderer *renderer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void put(struct renderer *renderer, const char *format, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	eg_text_add(&renderer->text, text, strlen(text));
}

/* The tunnel's own table, as an argument of `ip route`; "" where there is none but main. */
static const char *table(const struct renderer *renderer, char to[48])
{
	switch (renderer->base->way) {
	case EG_WGWAY_RULES:
		return " table $(wg show %i fwmark)";
	case EG_WGWAY_NUMBER:
		snprintf(to, 48, " table %u", renderer->base->table);
		return to;
	case EG_WGWAY_MAIN:
	case EG_WGWAY_OFF:
		break;
	}
	return "";
}

static void put_route(struct renderer *renderer, const struct eg_prefix *prefix, const char *way)
{
	char name[EG_ADDRESS_TEXT_LEN], number[48];
	const char *own = table(renderer, number);

	eg_prefix_format(name, prefix);
	put(renderer, "; ip -4 route replace %s %s", name, way);
	if (*own)
		put(renderer, "; ip -4 route replace %s %s%s", name, way, own);
}

static void put_no_route(struct renderer *renderer, const struct eg_prefix *prefix,
			 const char **separator)
{
	char name[EG_ADDRESS_TEXT_LEN], number[48];
	const char *own = table(renderer, number);

	eg_prefix_format(name, prefix);
	put(renderer, "%sip -4 route del %s " METRIC " || true", *separator, name);
	*separator = "; ";
	if (*own)
		put(renderer, "; ip -4 route del %s " METRIC "%s || true", name, own);
}

static struct eg_prefix whole(const struct eg_endpoint *endpoint)
{
	return (struct eg_prefix){
		.addr = endpoint->addr,
		.family = endpoint->family,
		.len = eg_family_bits(endpoint->family),
	};
}

/* An endpoint that only a route keeps off the tunnel: there are no rules for a mark. */
static bool needs_route(const struct renderer *renderer, const struct eg_endpoint *endpoint)
{
	struct eg_prefix address = whole(endpoint);

	return renderer->base->way == EG_WGWAY_MAIN && endpoint->family == EG_FAMILY_IPV4 &&
	       eg_wgmodel_tunnels(renderer->base, &address) && !in_lan(renderer, &address);
}

static void put_endpoint_routes(struct renderer *renderer, const char **separator)
{
	for (size_t i = 0; i < renderer->base->n_endpoints; i++) {
		const struct eg_endpoint *endpoint = &renderer->base->endpoints[i].endpoint;
		struct eg_prefix address = whole(endpoint);
		char name[EG_ADDRESS_TEXT_LEN];

		if (endpoint->host || !needs_route(renderer, endpoint))
			continue;
		eg_prefix_format(name, &address);
		if (separator) {
			put(renderer, "%sip -4 route del %s " METRIC " || true", *separator, name);
			*separator = "; ";
		} else {
			put(renderer, "; ip -4 route replace %s $via " METRIC, name);
		}
	}
}

/* The provider's resolvers look like LAN, and are to be reached through the tunnel or not at all.
 */
static void put_routes(struct renderer *renderer)
{
	const char *separator = "PreDown = ";

	put(renderer, "PostUp = via=$(ip -4 route show default table main | sed -n "
		      "'1s/^default \\(.*dev [^ ]*\\).*/\\1/p')");
	for (size_t i = 0; i < renderer->n_lan; i++)
		put_route(renderer, &renderer->lan[i], "$via " METRIC);
	put_endpoint_routes(renderer, NULL);
	for (size_t i = 0; i < renderer->base->n_dns; i++) {
		if (in_lan(renderer, &renderer->base->dns[i].prefix))
			put_route(renderer, &renderer->base->dns[i].prefix, "dev %i");
	}
	put(renderer, "%s", renderer->end);
	for (size_t i = 0; i < renderer->n_lan; i++)
		put_no_route(renderer, &renderer->lan[i], &separator);
	put_endpoint_routes(renderer, &separator);
	put(renderer, "%s", renderer->end);
}

/* --- the kill switch -------------------------------------------------------------------------- */

struct rules {
	struct renderer *renderer;
	const char *tool;
	__u8 family;
	unsigned int n;
};

static void put_rule(struct rules *rules, const char *match, const char *verdict)
{
	put(rules->renderer, "; %s -w -I " CHAIN_F " %u %s -j %s", rules->tool, ++rules->n, match,
	    verdict);
}

static void put_destination(struct rules *rules, const struct eg_prefix *prefix,
			    const char *verdict)
{
	char name[EG_ADDRESS_TEXT_LEN], match[EG_ADDRESS_TEXT_LEN + 4];

	if (prefix->family != rules->family)
		return;
	snprintf(match, sizeof(match), "-d %s", eg_prefix_format(name, prefix));
	put_rule(rules, match, verdict);
}

/* What looks like LAN and belongs into the tunnel: resolvers, and the tunnel's own subnets. */
static void put_tunnel_only(struct rules *rules)
{
	const struct eg_wgmodel *base = rules->renderer->base;

	for (size_t i = 0; i < base->n_dns; i++)
		put_destination(rules, &base->dns[i].prefix, "REJECT");
	for (size_t i = 0; i < base->n_addresses; i++) {
		const struct eg_prefix *subnet = &base->addresses[i].prefix;

		if (subnet->len == eg_family_bits(subnet->family) || !is_private(subnet))
			continue;
		if (subnet->family == EG_FAMILY_IPV6 ? subnet->len > 16
						     : in_lan(rules->renderer, subnet))
			put_destination(rules, subnet, "REJECT");
	}
}

/* WireGuard's own packets: marked, over UDP, and to the endpoint where the file says which. */
static void put_endpoints(struct rules *rules)
{
	const struct eg_wgmodel *base = rules->renderer->base;
	bool name_told = false;

	for (size_t i = 0; i < base->n_endpoints; i++) {
		const struct eg_endpoint *endpoint = &base->endpoints[i].endpoint;
		char address[EG_ADDRESS_TEXT_LEN], match[256];

		if (endpoint->host && !name_told) {
			put_rule(rules, "-p udp -m mark --mark $(wg show %i fwmark)", "RETURN");
			name_told = true;
		}
		if (endpoint->host || endpoint->family != rules->family)
			continue;
		snprintf(match, sizeof(match),
			 "-p udp -d %s --dport %u -m mark --mark $(wg show %%i fwmark)",
			 eg_addr_format(address, endpoint->family, &endpoint->addr),
			 endpoint->port);
		put_rule(rules, match, "RETURN");
	}
}

static void put_lan(struct rules *rules)
{
	if (rules->family == EG_FAMILY_IPV4) {
		for (size_t i = 0; i < rules->renderer->n_lan; i++)
			put_destination(rules, &rules->renderer->lan[i], "RETURN");
		return;
	}
	/* neighbour discovery and the like, which never leave the link */
	put_rule(rules, "-p ipv6-icmp -d ff02::/16", "RETURN");
	put_rule(rules, "-d fe80::/10", "RETURN");
	put_destination(rules, &eg_lan_exception, "REJECT");
	put_rule(rules, "-d fc00::/7", "RETURN");
}

/* It closes first and opens then: where a command fails, wg-quick stops, and all stays closed. */
static void put_chain(struct renderer *renderer, __u8 family)
{
	struct rules rules = {
		.renderer = renderer,
		.family = family,
		.tool = family == EG_FAMILY_IPV6 ? "ip6tables" : "iptables",
	};
	const char *only = family == EG_FAMILY_IPV6 ? "test -e /proc/net/if_inet6 || exit 0; " : "";
	const char *tool = rules.tool;

	put(renderer,
	    "PostUp = %s%s -w -N " CHAIN_F " 2>/dev/null || %s -w -F " CHAIN_F "; %s -w -A " CHAIN_F
	    " -j REJECT; %s -w -C OUTPUT -j " CHAIN_F " 2>/dev/null || %s -w -I OUTPUT -j " CHAIN_F,
	    only, tool, tool, tool, tool, tool);
	put_rule(&rules, "-o lo", "RETURN");
	put_rule(&rules, "-o %i", "RETURN");
	put_tunnel_only(&rules);
	put_endpoints(&rules);
	put_lan(&rules);
	put(renderer, "%s", renderer->end);
}

static void put_no_chain(struct renderer *renderer, __u8 family)
{
	const char *tool = family == EG_FAMILY_IPV6 ? "ip6tables" : "iptables";
	const char *only = family == EG_FAMILY_IPV6 ? "test -e /proc/net/if_inet6 || exit 0; " : "";

	put(renderer,
	    "PreDown = %s%s -w -D OUTPUT -j " CHAIN_F " || true; %s -w -F " CHAIN_F
	    " || true; %s -w -X " CHAIN_F " || true%s",
	    only, tool, tool, tool, renderer->end);
}

static void put_block(struct renderer *renderer)
{
	bool rules = renderer->kill != EG_WGKILL_EGRESSGUARD;

	put(renderer, EG_WGRENDER_BEGIN ", --kill-switch %s%s", eg_wgkill_names[renderer->kill],
	    renderer->end);
	put(renderer,
	    "# Written by `egressguard wgconf render`, which replaces all up to its end.%s",
	    renderer->end);
	if (rules && !eg_wgmodel_has_mark(renderer->base))
		put(renderer, "FwMark = %u%s", EG_WGTABLE_DEFAULT, renderer->end);
	if (rules) {
		put_chain(renderer, EG_FAMILY_IPV4);
		put_chain(renderer, EG_FAMILY_IPV6);
	}
	put_routes(renderer);
	if (rules) {
		put_no_chain(renderer, EG_FAMILY_IPV6);
		put_no_chain(renderer, EG_FAMILY_IPV4);
	}
	put(renderer, EG_WGRENDER_END "%s", renderer->end);
}

/* --- the file --------------------------------------------------------------------------------- */

/* The last line of the first [Interface] that says something: the block comes behind it. */
static size_t find_place(const struct eg_wgfile *file)
{
	size_t place = 0;
	bool in = false;

	for (size_t i = 0; i < file->n_lines; i++) {
		const struct eg_wgline *line = &file->lines[i];

		if (line->kind == EG_WGLINE_SECTION) {
			if (in)
				break;
			in = line->section == EG_WGSECTION_INTERFACE;
		}
		if (in && line->kind != EG_WGLINE_EMPTY)
			place = i + 1;
	}
	return place;
}

/* Behind comments that follow a hook at once, too: they belong to it. */
static size_t after_comments(const struct eg_wgfile *file, size_t place)
{
	while (place && place < file->n_lines && file->lines[place].kind == EG_WGLINE_EMPTY &&
	       begins(&file->lines[place], REPLACED))
		place++;
	return place;
}

static const char *line_end(const struct eg_wgfile *file)
{
	if (file->n_lines && file->lines[0].raw_len &&
	    file->lines[0].raw[file->lines[0].raw_len - 1] == '\r')
		return "\r\n";
	return "\n";
}

/* Renders `renderer->file` into its text. */
static int render(struct renderer *renderer, const struct eg_wgfacts *facts)
{
	EG_AUTO_FREE char *base_text = NULL;
	EG_AUTO_WGFILE struct eg_wgfile *base_file = NULL;
	EG_AUTO_WGMODEL struct eg_wgmodel *base = NULL;
	size_t place;

	put_base(renderer);
	base_text = eg_text_take(&renderer->text);
	renderer->text = (struct eg_text){};
	if (!base_text || eg_wgfile_parse(base_text, strlen(base_text), &base_file, NULL) < 0 ||
	    eg_wgmodel_read(base_file, facts, &base) < 0)
		return -ENOMEM;
	renderer->base = base;
	eg_text_add(&renderer->text, "", 0);
	place = after_comments(base_file, find_place(base_file));
	for (size_t i = 0; i < base_file->n_lines; i++) {
		if (i == place && place)
			put_block(renderer);
		put_raw(renderer, &base_file->lines[i]);
	}
	if (place && place == base_file->n_lines)
		put_block(renderer);
	renderer->base = NULL;
	return renderer->failed || renderer->text.failed ? -ENOMEM : 0;
}

/* Without what no reader of the format takes. */
static const char *skip_mark(const struct eg_wgfile *file, size_t *ret_len)
{
	size_t skip = file->byte_order_mark ? 3 : 0;

	*ret_len = file->len - skip;
	return file->text + skip;
}

static int render_once(const char *from, size_t len, const struct eg_wgfacts *facts,
		       enum eg_wgkill kill, char **ret_text, struct eg_error *error)
{
	EG_AUTO_WGFILE struct eg_wgfile *file = NULL;
	EG_AUTO_WGMODEL struct eg_wgmodel *model = NULL;
	struct renderer renderer = {.kill = kill};
	int result = eg_wgfile_parse(from, len, &file, NULL);

	if (result == 0)
		result = eg_wgmodel_read(file, facts, &model);
	if (result == 0 && model)
		result = refuse_default(model, error);
	if (result == 0 && model)
		result = refuse_stuck(model, error);
	if (result < 0 || !model)
		return result;
	renderer.file = file;
	renderer.model = model;
	renderer.end = line_end(file);
	find_lan(&renderer);
	result = renderer.failed ? -ENOMEM : render(&renderer, facts);
	free(renderer.lan);
	if (result == 0)
		*ret_text = eg_text_take(&renderer.text);
	else
		eg_text_free(&renderer.text);
	return result == 0 && !*ret_text ? -ENOMEM : result;
}

/* What is left of a hook may read otherwise than it did before its other half: do it until nothing
 * changes. The first round is nearly always the last. */
static int render_all(const struct eg_wgfile *file, const struct eg_wgfacts *facts,
		      enum eg_wgkill kill, char **ret_text, struct eg_error *error)
{
	EG_AUTO_FREE char *text = NULL;
	size_t len;
	const char *from = skip_mark(file, &len);
	int result = render_once(from, len, facts, kill, &text, error);

	for (int round = 0; result == 0 && text && round < ROUNDS_MAX; round++) {
		char *next = NULL;
		bool done;

		result = render_once(text, strlen(text), facts, kill, &next, error);
		if (result < 0 || !next)
			break;
		done = strcmp(text, next) == 0;
		free(text);
		text = next;
		if (done)
			break;
	}
	if (result == 0)
		*ret_text = EG_TAKE(text);
	return result;
}

int eg_wgrender(const struct eg_wgfile *file, const struct eg_wgfacts *facts, enum eg_wgkill kill,
		char **ret_text, struct eg_wgreport **ret_report, struct eg_error *error)
{
	EG_AUTO_WGFILE struct eg_wgfile *rendered = NULL;
	EG_AUTO_FREE char *text = NULL;
	int result = render_all(file, facts, kill, &text, error);

	if (result == 0 && text)
		result = eg_wgfile_parse(text, strlen(text), &rendered, NULL);
	if (result == 0)
		result = eg_wgcheck(rendered, facts, ret_report);
	if (result == 0)
		*ret_text = EG_TAKE(text);
	return result;
}
