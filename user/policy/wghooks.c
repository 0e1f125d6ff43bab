// SPDX-License-Identifier: GPL-2.0
#include "policy/wghooks.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/array.h"
#include "util/cleanup.h"
#include "util/text.h"

#define MAIN_TABLE 254

struct reader {
	struct eg_wghooks *hooks;
	const char *ifname;
	bool failed;
};

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

bool eg_wgword_is_fwmark(const char *text)
{
	const char *show = strstr(text, "wg show");

	return show && strstr(show, "fwmark");
}

/* --- words ------------------------------------------------------------------------------------ */

static bool same(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static bool one_of(const char *word, const char *const *words)
{
	for (; *words; words++) {
		if (same(word, *words))
			return true;
	}
	return false;
}

/* `ip` takes any beginning of its words. */
static bool begins(const char *word, const char *whole)
{
	return *word && strncmp(word, whole, strlen(word)) == 0;
}

static bool is_tunnel(const struct reader *reader, const char *word)
{
	return same(word, "%i") || same(word, "${INTERFACE}") ||
	       (reader->ifname && same(word, reader->ifname));
}

/* The same thing said in another way is the same. */
static const char *normal(const struct reader *reader, const char *word)
{
	static const char *const pairs[][2] = {
		{"--append", "-A"},
		{"--insert", "-I"},
		{"--delete", "-D"},
		{"--jump", "-j"},
		{"--out-interface", "-o"},
		{"--in-interface", "-i"},
		{"--destination", "-d"},
		{"--dst", "-d"},
		{"--source", "-s"},
		{"--src", "-s"},
		{"--protocol", "-p"},
		{"--proto", "-p"},
		{"--match", "-m"},
		{"--table", "-t"},
		{"--goto", "-g"},
		{"--flush", "-F"},
		{"--policy", "-P"},
		{"--new-chain", "-N"},
		{"--new", "-N"},
		{"--delete-chain", "-X"},
		{"--check", "-C"},
		{"--destination-port", "--dport"},
		{"lookup", "table"},
		{"pref", "priority"},
		{"preference", "priority"},
		{"order", "priority"},
	};

	if (is_tunnel(reader, word))
		return "%i";
	if (eg_wgword_is_fwmark(word))
		return "$(wg show %i fwmark)";
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (same(word, pairs[i][0]))
			return pairs[i][1];
	}
	return word;
}

static const char *word_at(const struct eg_shell_command *command, size_t i)
{
	return i < command->n_words ? command->words[i].text : "";
}

/* --- ip --------------------------------------------------------------------------------------- */

static void take_table(struct eg_wgop *op, const struct eg_shell_word *word)
{
	char *end;
	unsigned long number = strtoul(word->text, &end, 0);

	if (eg_wgword_is_fwmark(word->text)) {
		op->table = EG_WGTABLE_FWMARK;
	} else if (same(word->text, "main")) {
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

	if (same(word->text, "default") || begins("default", word->text)) {
		op->is_default = true;
		return;
	}
	if (slash && same(slash, "/0")) {
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

	return one_of(word, words);
}

static void read_route(struct reader *reader, const struct eg_shell_command *command, size_t from,
		       const struct eg_wghook *hook, struct eg_wgop *op)
{
	bool have = false;

	for (size_t i = from; command->words && i < command->n_words; i++) {
		const struct eg_shell_word *word = &command->words[i];
		const struct eg_shell_word *next = i + 1 < command->n_words ? word + 1 : NULL;

		if (next && same(word->text, "via")) {
			op->has_via = true;
			if ((same(next->text, "inet6") || same(next->text, "inet")) &&
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
		} else if (next && same(word->text, "dev")) {
			op->to_tunnel = is_tunnel(reader, next->text);
			op->has_dev = true;
			op->dev = op->to_tunnel ? "%i" : next->text;
			i++;
		} else if (next && same(word->text, "metric")) {
			op->metric = next->text;
			i++;
		} else if (next && (same(word->text, "table") || same(word->text, "t"))) {
			take_table(op, next);
			i++;
		} else if (has_value(word->text)) {
			i++;
		} else if (!have && !same(word->text, "to")) {
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
		const char *word = word_at(command, i);
		bool more = i + 1 < command->n_words;

		if (more && same(word, "to")) {
			take_prefix(op, &command->words[++i]);
		} else if (more && (same(word, "table") || same(word, "lookup"))) {
			take_table(op, &command->words[++i]);
		} else if (more && one_of(word, priorities)) {
			op->has_priority = true;
			op->priority = strtoul(word_at(command, ++i), NULL, 0);
		} else if (more && begins("suppress_prefixlength", word)) {
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
		eg_text_printf(text, "%s", op->is_default ? "default" : word_at(command, from));
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

static void add_words(const struct reader *reader, struct eg_text *text,
		      const struct eg_shell_command *command, size_t from)
{
	for (size_t i = from; i < command->n_words; i++) {
		const char *word = normal(reader, command->words[i].text);

		/* waiting for a lock, or telling a step, changes nothing of what is meant */
		if (same(word, "-w") || same(word, "--wait")) {
			i += isdigit((unsigned char)*word_at(command, i + 1)) != 0;
			continue;
		}
		eg_text_printf(text, " %s", word);
	}
}

static enum eg_wgact read_act(const char *word, bool *ret_known)
{
	*ret_known = true;
	if (begins(word, "add") || begins(word, "append"))
		return EG_WGACT_ADD;
	if (begins(word, "replace") || begins(word, "change"))
		return EG_WGACT_REPLACE;
	if (begins(word, "delete") || begins(word, "flush"))
		return EG_WGACT_DELETE;
	*ret_known = false;
	return EG_WGACT_ADD;
}

/* `ip [-4|-6|…] route|rule VERB …` */
static void read_ip(struct reader *reader, const struct eg_shell_command *command, size_t at,
		    const struct eg_wghook *hook, struct eg_wgop *op)
{
	EG_AUTO_TEXT struct eg_text spec = {};
	const char *object;
	bool act_known;

	op->family = EG_FAMILY_IPV4;
	for (; word_at(command, at)[0] == '-'; at++) {
		if (same(word_at(command, at), "-6"))
			op->family = EG_FAMILY_IPV6;
		if (same(word_at(command, at), "-f") || same(word_at(command, at), "-family"))
			op->family = begins("inet6", word_at(command, ++at)) ? EG_FAMILY_IPV6
									     : op->family;
	}
	object = word_at(command, at++);
	op->act = read_act(word_at(command, at++), &act_known);
	op->kind = EG_WGOP_HARMLESS;
	if (!act_known || command->n_words <= at)
		return;
	if (begins(object, "route")) {
		op->kind = EG_WGOP_ROUTE;
		read_route(reader, command, at, hook, op);
		add_route_spec(&spec, op, command, at);
	} else if (begins(object, "rule")) {
		op->kind = EG_WGOP_RULE;
		read_rule(command, at, op);
		eg_text_printf(&spec, "rule %d", op->family);
		add_words(reader, &spec, command, at);
	}
	op->spec = eg_text_take(&spec);
	reader->failed |= !op->spec;
}

/* --- iptables --------------------------------------------------------------------------------- */

static bool is_tables(const char *name)
{
	static const char *const names[] = {
		"iptables",         "ip6tables", "iptables-nft", "ip6tables-nft", "iptables-legacy",
		"ip6tables-legacy", NULL};

	return one_of(name, names);
}

/* The words before the rule itself; what is left is the rule. */
static void read_tables(struct reader *reader, const struct eg_shell_command *command, size_t at,
			struct eg_wgop *op)
{
	static const char *const plain[] = {"-v", "--verbose", "-n", "--numeric", "-4", "-6", NULL};
	EG_AUTO_TEXT struct eg_text spec = {};

	op->kind = EG_WGOP_TABLES;
	op->family = strncmp(op->tool, "ip6", 3) == 0 ? EG_FAMILY_IPV6 : EG_FAMILY_IPV4;
	op->table_name = "filter";
	op->verb = '?';
	for (; at < command->n_words; at++) {
		const char *word = normal(reader, word_at(command, at));

		if (same(word, "-t")) {
			op->table_name = word_at(command, ++at);
		} else if (strncmp(word, "--table=", strlen("--table=")) == 0) {
			op->table_name = word + strlen("--table=");
		} else if (one_of(word, plain)) {
			continue;
		} else if (same(word, "-w") || same(word, "--wait")) {
			at += isdigit((unsigned char)*word_at(command, at + 1)) != 0;
		} else if (word[0] == '-' && word[1] && strchr("AIDNXFPCRLSZ", word[1]) &&
			   !word[2]) {
			op->verb = word[1];
			op->chain = at + 1 < command->n_words ? word_at(command, ++at) : "";
			at++;
			break;
		} else {
			break;
		}
	}
	if (op->verb == 'I' && isdigit((unsigned char)*word_at(command, at)))
		op->position = atoi(word_at(command, at++));
	op->first_word = at;
	op->act = op->verb == 'D' || op->verb == 'X' || op->verb == 'F' ? EG_WGACT_DELETE
									: EG_WGACT_ADD;
	eg_text_printf(&spec, "%s %s %s%s", op->family == EG_FAMILY_IPV6 ? "ip6tables" : "iptables",
		       op->table_name, op->verb == 'N' || op->verb == 'X' ? "chain " : "",
		       op->chain ? op->chain : "");
	/* `-t` may also stand behind the chain */
	for (size_t i = at; i + 1 < command->n_words; i++) {
		if (same(normal(reader, word_at(command, i)), "-t"))
			op->table_name = word_at(command, i + 1);
	}
	add_words(reader, &spec, command, at);
	op->spec = eg_text_take(&spec);
	reader->failed |= !op->spec;
}

/* --- others ----------------------------------------------------------------------------------- */

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

	return one_of(name, names);
}

static void read_wg(struct reader *reader, const struct eg_shell_command *command, size_t at,
		    struct eg_wgop *op)
{
	op->kind = EG_WGOP_HARMLESS;
	if (!same(word_at(command, at), "set") || !is_tunnel(reader, word_at(command, at + 1)))
		return;
	for (size_t i = at + 2; i + 1 < command->n_words; i++) {
		if (!same(word_at(command, i), "fwmark") || same(word_at(command, i + 1), "off") ||
		    same(word_at(command, i + 1), "0"))
			continue;
		op->kind = EG_WGOP_FWMARK;
		op->fwmark = strtoul(word_at(command, i + 1), NULL, 0);
	}
}

/* `net.ipv6.conf.all.disable_ipv6`, with dots or slashes: the interface in it, or NULL. */
static char *find_ipv6_switch(struct reader *reader, const char *name)
{
	static const char begin[] = "net/ipv6/conf/", end[] = "/disable_ipv6";
	char text[128];
	char *stop;

	snprintf(text, sizeof(text), "%s", name);
	for (char *c = text; *c; c++)
		*c = *c == '.' ? '/' : *c;
	stop = strstr(text, end);
	if (strncmp(text, begin, strlen(begin)) != 0 || !stop || stop[strlen(end)] ||
	    stop < text + strlen(begin))
		return NULL;
	*stop = '\0';
	stop = strdup(is_tunnel(reader, text + strlen(begin)) ? "%i" : text + strlen(begin));
	reader->failed |= !stop;
	return stop;
}

static void take_no_ipv6(struct eg_wgop *op, char *interface)
{
	if (!interface)
		return;
	op->kind = EG_WGOP_NO_IPV6;
	op->spec = interface;
	op->dev = interface;
}

/* `sysctl -w NAME=1`, `sysctl -w 'NAME = 1'` */
static void read_sysctl(struct reader *reader, const struct eg_shell_command *command, size_t at,
			struct eg_wgop *op)
{
	op->kind = EG_WGOP_HARMLESS;
	for (size_t i = at; i < command->n_words && op->kind == EG_WGOP_HARMLESS; i++) {
		char name[128];
		const char *word = word_at(command, i);
		const char *value = word + strcspn(word, "=");

		snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, " ="), word);
		value += strspn(value, "= \t");
		if (*value == '1')
			take_no_ipv6(op, find_ipv6_switch(reader, name));
	}
}

/* `echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6`, and by way of `tee`. */
static void read_writes(struct reader *reader, const struct eg_shell_command *command,
			struct eg_wgop *op)
{
	static const char sys[] = "/proc/sys/";
	const char *to = command->writes ? command->writes : word_at(command, 1);
	bool zero = false;

	for (size_t i = 1; i < command->n_words && command->writes; i++)
		zero |= same(word_at(command, i), "0");
	if (!zero && strncmp(to, sys, strlen(sys)) == 0)
		take_no_ipv6(op, find_ipv6_switch(reader, to + strlen(sys)));
}

static void read_nft(const struct eg_shell_command *command, size_t at, struct eg_wgop *op)
{
	op->kind = EG_WGOP_NFT;
	for (size_t i = at; i < command->n_words; i++) {
		op->drops |= strstr(word_at(command, i), "drop") ||
			     strstr(word_at(command, i), "reject");
		op->act = same(word_at(command, i), "delete") || same(word_at(command, i), "flush")
				  ? EG_WGACT_DELETE
				  : op->act;
	}
}

/* The command's own name: without its path, and without what only runs it. */
static size_t find_name(const struct eg_shell_command *command, const char **ret_name)
{
	static const char *const runners[] = {"sudo", "command", "exec", "nice", "builtin", NULL};
	size_t at = 0;
	const char *slash;

	while (at + 1 < command->n_words && one_of(word_at(command, at), runners))
		at++;
	slash = strrchr(word_at(command, at), '/');
	*ret_name = slash ? slash + 1 : word_at(command, at);
	return at + 1;
}

/* --- one command ------------------------------------------------------------------------------ */

static bool is_no_op(const struct eg_shell_command *command)
{
	return command->n_words == 1 &&
	       (same(word_at(command, 0), "true") || same(word_at(command, 0), ":"));
}

/* `test -e /proc/net/if_inet6`: without that file there is no IPv6 to hold back. */
static bool asks_for_ipv6(const struct eg_shell_command *command)
{
	for (size_t i = 0; i < command->n_words; i++) {
		if (same(word_at(command, i), "/proc/net/if_inet6"))
			return true;
	}
	return false;
}

static bool is_test(const struct eg_shell_command *command)
{
	static const char *const tests[] = {"test", "[", "[[", "grep", "false", "ping", NULL};

	return one_of(word_at(command, 0), tests);
}

/* `iptables -C X || iptables -A X`: the rule is there afterwards, either way. */
static bool is_check(const struct eg_shell_command *command)
{
	for (size_t i = 0; i < command->n_words; i++) {
		if (same(word_at(command, i), "-C") || same(word_at(command, i), "--check") ||
		    same(word_at(command, i), "-N"))
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

		if (!same(word_at(other, 0), "exit") && !same(word_at(other, 0), "return"))
			continue;
		if (before == 0 || !asks_for_ipv6(&shell->commands[before - 1]))
			op->conditional = true;
	}
}

static void read_command(struct reader *reader, size_t hook_at, size_t i)
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
	} else if (same(name, "ip")) {
		read_ip(reader, command, at, hook, &op);
	} else if (is_tables(name)) {
		op.tool = name;
		read_tables(reader, command, at, &op);
	} else if (same(name, "nft")) {
		read_nft(command, at, &op);
	} else if (same(name, "sysctl")) {
		read_sysctl(reader, command, at, &op);
	} else if (same(name, "wg")) {
		read_wg(reader, command, at, &op);
	} else {
		op.kind = is_harmless(name) ? EG_WGOP_HARMLESS : EG_WGOP_UNKNOWN;
		if (op.kind == EG_WGOP_HARMLESS)
			read_writes(reader, command, &op);
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

static void read_hook(struct reader *reader, const struct eg_wgfile *file, size_t at)
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
	struct reader reader = {.hooks = hooks, .ifname = ifname};

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
