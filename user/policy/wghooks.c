// SPDX-License-Identifier: GPL-2.0
#include "policy/wghooks_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/array.h"
#include "util/cleanup.h"
#include "util/text.h"

/* Hooks run within wg-quick: these are its own variables, and what any process has. */
static const struct eg_shell_variable known[] = {
	{"INTERFACE", "%i"},  {"CONFIG_FILE", NULL}, {"WG_CONFIG", NULL},
	{"ADDRESSES", NULL},  {"MTU", NULL},         {"DNS", NULL},
	{"DNS_SEARCH", NULL}, {"TABLE", NULL},       {"PRE_UP", NULL},
	{"POST_UP", NULL},    {"PRE_DOWN", NULL},    {"POST_DOWN", NULL},
	{"PROGRAM", NULL},    {"SELF", NULL},        {"ARGS", NULL},
	{"PATH", NULL},       {"HOME", NULL},        {"HOSTNAME", NULL},
	{"PWD", NULL},        {"UID", NULL},         {"EUID", NULL},
	{"USER", NULL},       {"IFS", NULL},         {"LANG", NULL},
	{"LC_ALL", NULL},     {"RANDOM", NULL},      {"SECONDS", NULL},
	{"PPID", NULL},       {"SAVE_CONFIG", NULL}, {},
};

struct eg_wgplace eg_wghook_place(const struct eg_wghook *hook, size_t offset)
{
	const struct eg_wgline *line = hook->line;

	/* each line was put in as it stands, its backslash made a blank */
	while (offset >= line->value.len && line->number < hook->file->n_lines &&
	       line[1].kind == EG_WGLINE_CONTINUED) {
		offset -= line->value.len;
		line++;
	}
	return (struct eg_wgplace){line->number, line->value.column + (unsigned int)offset};
}

/* --- one command ------------------------------------------------------------------------------ */

static bool is_tables(const char *name)
{
	static const char *const names[] = {
		"iptables",         "ip6tables", "iptables-nft", "ip6tables-nft", "iptables-legacy",
		"ip6tables-legacy", NULL};

	return eg_wgword_is_of(name, names);
}

static bool is_harmless(const char *name)
{
	static const char *const names[] = {
		"test",       "[",          "[[",       "true",   ":",     "false",    "echo",
		"printf",     "sleep",      "grep",     "awk",    "sed",   "cut",      "head",
		"tail",       "cat",        "tr",       "logger", "ping",  "exit",     "read",
		"resolvectl", "resolvconf", "getent",   "set",    "wg",    "modprobe", "unset",
		"wait",       "tee",        "curl",     "wget",   "touch", "mkdir",    "date",
		"env",        "hostname",   "nslookup", "dig",    "id",    "ls",       "rm",
		"chmod",      "chown",      "ps",       "pgrep",  "nc",    "uptime",   "tc",
		NULL};

	return eg_wgword_is_of(name, names);
}

/* The command's own name: without its path, and without what only runs it. */
static size_t find_name(const struct eg_shell_command *command, const char **ret_name)
{
	static const char *const runners[] = {"sudo", "command", "exec", "nice", "builtin", NULL};
	size_t at = 0;
	const char *slash;

	while (at + 1 < command->n_words && eg_wgword_is_of(eg_wgword_at(command, at), runners))
		at++;
	slash = strrchr(eg_wgword_at(command, at), '/');
	*ret_name = slash ? slash + 1 : eg_wgword_at(command, at);
	return at + 1;
}

static bool is_no_op(const struct eg_shell_command *command)
{
	return command->n_words == 1 && (eg_wgword_is(eg_wgword_at(command, 0), "true") ||
					 eg_wgword_is(eg_wgword_at(command, 0), ":"));
}

/* `test -e /proc/net/if_inet6`: without that file there is no IPv6 to hold back. */
static bool asks_for_ipv6(const struct eg_shell_command *command)
{
	for (size_t i = 0; i < command->n_words; i++) {
		if (eg_wgword_is(eg_wgword_at(command, i), "/proc/net/if_inet6"))
			return true;
	}
	return false;
}

static bool is_test(const struct eg_shell_command *command)
{
	static const char *const tests[] = {"test", "[", "[[", "grep", "false", "ping", NULL};

	return eg_wgword_is_of(eg_wgword_at(command, 0), tests);
}

/* `iptables -C X || iptables -A X`: the rule is there afterwards, either way. */
static bool is_check(const struct eg_shell_command *command)
{
	for (size_t i = 0; i < command->n_words; i++) {
		if (eg_wgword_is(eg_wgword_at(command, i), "-C") ||
		    eg_wgword_is(eg_wgword_at(command, i), "--check") ||
		    eg_wgword_is(eg_wgword_at(command, i), "-N"))
			return true;
	}
	return false;
}

/* What the commands joined to this one say of it. */
static void read_joins(const struct eg_shell *shell, size_t i, struct eg_wgop *op)
{
	const struct eg_shell_command *command = &shell->commands[i];

	op->conditional |= command->conditional;
	for (size_t before = i; before-- > 0 && shell->commands[before].list == command->list;) {
		const struct eg_shell_command *other = &shell->commands[before];
		enum eg_shell_join join = shell->commands[before + 1].join;

		if (before + 1 == i && join == EG_SHELL_OR) {
			op->fallback = true;
			op->conditional |= !is_check(other) && !asks_for_ipv6(other);
		}
		if (is_test(other) && join == EG_SHELL_AND && !asks_for_ipv6(other))
			op->conditional = true;
	}
	for (size_t after = i + 1; after < shell->n_commands; after++) {
		const struct eg_shell_command *other = &shell->commands[after];

		if (other->list != command->list)
			break;
		if (other->join == EG_SHELL_OR) {
			op->tolerant = true;
			if (!is_no_op(other) && is_check(command))
				op->tolerant = true;
		}
	}
	/* `… || exit 0` may have ended the hook before */
	for (size_t before = 0; before < i; before++) {
		const struct eg_shell_command *other = &shell->commands[before];

		if (!eg_wgword_is(eg_wgword_at(other, 0), "exit") &&
		    !eg_wgword_is(eg_wgword_at(other, 0), "return"))
			continue;
		if (before == 0 || !asks_for_ipv6(&shell->commands[before - 1]))
			op->conditional = true;
	}
}

static void read_command(struct eg_wgreader *reader, size_t hook_at, size_t i)
{
	struct eg_wghook *hook = &reader->hooks->hooks[hook_at];
	const struct eg_shell_command *command = &hook->shell->commands[i];
	struct eg_wgop op = {
		.phase = hook->line->key,
		.hook = hook_at,
		.command = i,
		.place = eg_wghook_place(hook, command->words[0].offset),
	};
	const char *name;
	size_t at = find_name(command, &name);

	if (command->words[0].dynamic) {
		op.kind = EG_WGOP_UNKNOWN;
	} else if (eg_wgword_is(name, "ip")) {
		eg_wgread_ip(reader, command, at, hook, &op);
	} else if (is_tables(name)) {
		op.tool = name;
		eg_wgread_tables(reader, command, at, &op);
	} else if (eg_wgword_is(name, "nft")) {
		eg_wgread_nft(command, at, &op);
	} else if (eg_wgword_is(name, "sysctl")) {
		eg_wgread_sysctl(reader, command, at, &op);
	} else if (eg_wgword_is(name, "wg")) {
		eg_wgread_wg(reader, command, at, &op);
	} else {
		op.kind = is_harmless(name) ? EG_WGOP_HARMLESS : EG_WGOP_UNKNOWN;
		if (op.kind == EG_WGOP_HARMLESS)
			eg_wgread_writes(reader, command, &op);
	}
	read_joins(hook->shell, i, &op);
	if (EG_ARRAY_ADD(reader->hooks->ops, reader->hooks->n_ops, op) < 0) {
		free(op.spec);
		reader->failed = true;
	}
}

/* --- hooks ------------------------------------------------------------------------------------ */

/* The hook as it was meant: with the lines that a backslash promised. */
static char *join_lines(const struct eg_wgfile *file, size_t at, bool *ret_continued)
{
	EG_AUTO_TEXT struct eg_text text = {};
	const struct eg_wgline *line = &file->lines[at];
	size_t len = line->value.len;

	eg_text_add(&text, line->value.text, len);
	for (at++; at < file->n_lines && file->lines[at].kind == EG_WGLINE_CONTINUED; at++) {
		line = &file->lines[at];
		if (text.len)
			text.data[text.len - 1] = ' '; /* the backslash */
		eg_text_add(&text, line->value.text, line->value.len);
		*ret_continued = true;
	}
	if (!*ret_continued && text.len && text.data[text.len - 1] == '\\') {
		text.data[text.len - 1] = ' ';
		*ret_continued = true;
	}
	return eg_text_take(&text);
}

static void read_hook(struct eg_wgreader *reader, const struct eg_wgfile *file, size_t at)
{
	struct eg_wghooks *hooks = reader->hooks;
	struct eg_wghook hook = {.file = file, .line = &file->lines[at]};

	hook.text = join_lines(file, at, &hook.continued);
	if (hook.text) {
		hook.len = strlen(hook.text);
		if (eg_shell_read(hook.text, hook.len, known, &hook.shell) < 0)
			hook.shell = NULL;
	}
	if (!hook.shell || EG_ARRAY_ADD(hooks->hooks, hooks->n_hooks, hook) < 0) {
		eg_shell_free(hook.shell);
		free(hook.text);
		reader->failed = true;
		return;
	}
	for (size_t i = 0; i < hook.shell->n_commands; i++)
		read_command(reader, hooks->n_hooks - 1, i);
}

int eg_wghooks_read(const struct eg_wgfile *file, const char *ifname, struct eg_wghooks **ret_hooks)
{
	EG_AUTO_WGHOOKS struct eg_wghooks *hooks = calloc(1, sizeof(*hooks));
	struct eg_wgreader reader = {.hooks = hooks, .ifname = ifname};

	if (!hooks)
		return -ENOMEM;
	for (size_t i = 0; i < file->n_lines && !reader.failed; i++) {
		const struct eg_wgline *line = &file->lines[i];

		if (line->kind == EG_WGLINE_SETTING && eg_wgkey_is_hook(line->key) &&
		    line->section == EG_WGSECTION_INTERFACE)
			read_hook(&reader, file, i);
	}
	if (reader.failed)
		return -ENOMEM;
	*ret_hooks = EG_TAKE(hooks);
	return 0;
}

void eg_wghooks_free(struct eg_wghooks *hooks)
{
	if (!hooks)
		return;
	for (size_t i = 0; i < hooks->n_hooks; i++) {
		eg_shell_free(hooks->hooks[i].shell);
		free(hooks->hooks[i].text);
	}
	for (size_t i = 0; i < hooks->n_ops; i++)
		free(hooks->ops[i].spec);
	free(hooks->hooks);
	free(hooks->ops);
	free(hooks);
}
