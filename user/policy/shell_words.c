// SPDX-License-Identifier: GPL-2.0
/* Words: quotes, variables, substitutions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/array.h"
#include "policy/shell_internal.h"
#include "util/cleanup.h"

#define WORD_MAX 4096

/* --- small things ----------------------------------------------------------------------------- */

char *eg_shell_keep(struct eg_shell_parser *parser, const char *text, size_t len)
{
	char *copy = strndup(text, len);

	if (!copy)
		parser->failed = true;
	return copy;
}

void eg_shell_opaque(struct eg_shell_parser *parser, const char *what)
{
	if (parser->shell->opaque)
		return;
	parser->shell->opaque = what;
	parser->shell->opaque_offset = parser->at < parser->len ? parser->at : parser->len;
}

void eg_shell_broken(struct eg_shell_parser *parser, const char *what, size_t offset)
{
	if (parser->shell->broken || parser->quiet || parser->lost)
		return;
	parser->shell->broken = what;
	parser->shell->broken_offset = offset;
}

void eg_shell_lose(struct eg_shell_parser *parser, const char *what)
{
	eg_shell_opaque(parser, what);
	parser->at = parser->len;
	parser->lost = true;
}

void eg_shell_unclosed(struct eg_shell_parser *parser, const char *what, size_t from)
{
	parser->at = parser->len;
	parser->lost = true;
	if (parser->shell->unclosed || parser->quiet)
		return;
	parser->shell->unclosed = what;
	parser->shell->unclosed_offset = from;
}

static bool is_name_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name_char(char c)
{
	return is_name_start(c) || (c >= '0' && c <= '9');
}

size_t eg_shell_name_len(const char *text, size_t len)
{
	size_t n = 0;

	if (len == 0 || !is_name_start(*text))
		return 0;
	while (n < len && is_name_char(text[n]))
		n++;
	return n;
}

/* --- variables -------------------------------------------------------------------------------- */

static struct eg_shell_value *find_variable(struct eg_shell_parser *parser, const char *name,
					    size_t len)
{
	for (size_t i = 0; i < parser->n_variables; i++) {
		if (strlen(parser->variables[i].name) == len &&
		    memcmp(parser->variables[i].name, name, len) == 0)
			return &parser->variables[i];
	}
	return NULL;
}

static void add_name(struct eg_shell_parser *parser, struct eg_shell_name **names, size_t *n,
		     const char *name, size_t len, size_t offset)
{
	struct eg_shell_name one = {.name = eg_shell_keep(parser, name, len), .offset = offset};

	if (one.name && EG_ARRAY_ADD(*names, *n, one) < 0) {
		free(one.name);
		parser->failed = true;
	}
}

/* `value` NULL: only the shell will know. */
void eg_shell_set(struct eg_shell_parser *parser, const char *name, size_t len, const char *value,
		  bool dynamic)
{
	struct eg_shell_value *known = find_variable(parser, name, len);
	struct eg_shell_value one = {.dynamic = dynamic || !value};

	one.value = eg_shell_keep(parser, value ? value : "", value ? strlen(value) : 0);
	if (known) {
		free(known->value);
		known->value = one.value;
		known->dynamic = one.dynamic;
		return;
	}
	one.name = eg_shell_keep(parser, name, len);
	if (!one.name || EG_ARRAY_ADD(parser->variables, parser->n_variables, one) < 0) {
		free(one.name);
		free(one.value);
		parser->failed = true;
	}
}

void eg_shell_note_set(struct eg_shell_parser *parser, const char *name, size_t len)
{
	add_name(parser, &parser->shell->set, &parser->shell->n_set, name, len, parser->at);
}

/* --- words ------------------------------------------------------------------------------------ */

static void put(struct eg_shell_parser *parser, struct eg_shell_reading *word, const char *text,
		size_t len)
{
	word->any = true;
	if (word->text.len + len > WORD_MAX) {
		eg_shell_opaque(parser, "a very long word");
		return;
	}
	eg_text_add(&word->text, text, len);
}

/* Ends the word: it becomes one of the command's. */
void eg_shell_end_word(struct eg_shell_parser *parser, struct eg_shell_reading *word)
{
	struct eg_shell_word one = {.offset = word->offset, .dynamic = word->dynamic};

	if (!word->any)
		return;
	one.text = eg_text_take(&word->text);
	if (!one.text || EG_ARRAY_ADD(parser->command.words, parser->command.n_words, one) < 0) {
		free(one.text);
		parser->failed = true;
	}
	parser->in_command = true;
	*word = (struct eg_shell_reading){.offset = parser->at, .plain = true};
}

/* An unquoted value falls into words at its blanks. */
static void put_split(struct eg_shell_parser *parser, struct eg_shell_reading *word,
		      const char *value)
{
	while (*value) {
		size_t len = strcspn(value, " \t\n");

		if (len)
			put(parser, word, value, len);
		value += len;
		if (*value)
			eg_shell_end_word(parser, word);
		value += strspn(value, " \t\n");
	}
}

static void put_variable(struct eg_shell_parser *parser, struct eg_shell_reading *word,
			 const char *name, size_t len, bool quoted)
{
	struct eg_shell_value *known = find_variable(parser, name, len);
	char reference[128];

	word->plain = false;
	if (quoted)
		word->any = true;
	if (known && *known->value) {
		word->dynamic |= known->dynamic;
		if (quoted || known->dynamic)
			put(parser, word, known->value, strlen(known->value));
		else
			put_split(parser, word, known->value);
		return;
	}
	if (known && !known->dynamic)
		return;
	if (!known)
		add_name(parser, &parser->shell->unset, &parser->shell->n_unset, name, len,
			 parser->at);
	word->dynamic = true;
	snprintf(reference, sizeof(reference), "${%.*s}", (int)(len < 100 ? len : 100), name);
	put(parser, word, reference, strlen(reference));
}

/* Where a `(` that was opened before `from` is closed, parser->len if nowhere. */
static size_t find_close(const struct eg_shell_parser *parser, size_t from)
{
	unsigned int open = 1;

	for (size_t i = from; i < parser->len; i++) {
		char c = parser->text[i];

		if (c == '\\') {
			i++;
		} else if (c == '\'' || c == '"') {
			for (i++; i < parser->len && parser->text[i] != c; i++)
				i += c == '"' && parser->text[i] == '\\';
		} else if (c == '(') {
			open++;
		} else if (c == ')' && --open == 0) {
			return i;
		}
	}
	return parser->len;
}

static void put_squeezed(struct eg_shell_parser *parser, struct eg_shell_reading *word,
			 const char *text, size_t len)
{
	bool blank = true;

	for (size_t i = 0; i < len; i++) {
		bool is_blank = eg_shell_is_space(text[i]) || text[i] == '\n';

		if (!is_blank)
			put(parser, word, &text[i], 1);
		else if (!blank && i + 1 < len)
			put(parser, word, " ", 1);
		blank = is_blank;
	}
}

/* Reads what a substitution would run, only to see which variables it uses. */
static void look_inside(struct eg_shell_parser *parser, size_t from, size_t to)
{
	struct eg_shell *shell = parser->shell;
	size_t n_commands = shell->n_commands, n_spans = shell->n_spans;
	struct eg_shell_parser inner = {
		.text = parser->text,
		.len = to,
		.at = from,
		.shell = shell,
		.variables = parser->variables,
		.n_variables = parser->n_variables,
		.new_list = true,
		.depth = parser->depth + 1,
		.quiet = true,
	};

	if (inner.depth > EG_SHELL_DEPTH_MAX) {
		eg_shell_opaque(parser, "substitutions within substitutions");
		return;
	}
	eg_shell_parse_list(&inner, NULL);
	while (shell->n_commands > n_commands) {
		struct eg_shell_command *command = &shell->commands[--shell->n_commands];

		for (size_t i = 0; i < command->n_words; i++)
			free(command->words[i].text);
		free(command->words);
		free(command->writes);
	}
	shell->n_spans = n_spans;
	/* it may have moved, and grown: what is set in there is not taken back, which only makes
	 * fewer variables unset */
	parser->variables = inner.variables;
	parser->n_variables = inner.n_variables;
	parser->failed |= inner.failed;
	parser->lost |= inner.lost; /* where it ends is not sure */
}

/* What stands between `from` and `to`, where the sign is that ends it. */
static void put_substitution(struct eg_shell_parser *parser, struct eg_shell_reading *word,
			     size_t from, size_t to, const char *open)
{
	word->plain = false;
	word->dynamic = true;
	if (to >= parser->len) {
		eg_shell_unclosed(parser, open, from - 1);
		return;
	}
	look_inside(parser, from, to);
	put(parser, word, "$(", 2);
	put_squeezed(parser, word, parser->text + from, to - from);
	put(parser, word, ")", 1);
	parser->at = to + 1;
}

/* `$(…)`, with parser->at behind the `(`. */
void eg_shell_read_substitution(struct eg_shell_parser *parser, struct eg_shell_reading *word,
				const char *open)
{
	size_t from = parser->at, to = find_close(parser, from);

	put_substitution(parser, word, from, to, open);
}

static void read_backquotes(struct eg_shell_parser *parser, struct eg_shell_reading *word)
{
	size_t from = parser->at + 1, to = from;

	while (to < parser->len && parser->text[to] != '`')
		to += parser->text[to] == '\\' ? 2 : 1;
	put_substitution(parser, word, from, to, "a `");
}

/* `${…}`, with parser->at at the `{`. */
static void read_braces(struct eg_shell_parser *parser, struct eg_shell_reading *word, bool quoted)
{
	size_t from = parser->at + 1, len;
	const char *end = memchr(parser->text + parser->at, '}', parser->len - parser->at);

	word->plain = false;
	if (!end) {
		eg_shell_unclosed(parser, "a ${", parser->at);
		return;
	}
	len = eg_shell_name_len(parser->text + from, (size_t)(end - parser->text) - from);
	if (parser->text + from + len == end) {
		put_variable(parser, word, parser->text + from, len, quoted);
	} else {
		char after = parser->text[from + len];

		/* `${x:-y}` is made for what is not set */
		if (len && after != ':' && after != '-' && after != '=' && after != '+' &&
		    !find_variable(parser, parser->text + from, len))
			add_name(parser, &parser->shell->unset, &parser->shell->n_unset,
				 parser->text + from, len, parser->at);
		word->dynamic = true;
		put(parser, word, parser->text + from - 2, (size_t)(end - parser->text) - from + 3);
	}
	parser->at = (size_t)(end - parser->text) + 1;
}

/* With parser->at at the `$`. */
static void read_dollar(struct eg_shell_parser *parser, struct eg_shell_reading *word, bool quoted)
{
	char next = eg_shell_peek(parser, 1);
	size_t len;

	if (next == '(') {
		parser->at += 2;
		eg_shell_read_substitution(parser, word, "a $(");
	} else if (next == '{') {
		parser->at++;
		read_braces(parser, word, quoted);
	} else if (is_name_start(next)) {
		len = eg_shell_name_len(parser->text + parser->at + 1,
					parser->len - parser->at - 1);
		put_variable(parser, word, parser->text + parser->at + 1, len, quoted);
		parser->at += 1 + len;
	} else if (next && strchr("?$!#@*-0123456789", next)) {
		word->plain = false;
		word->dynamic = true;
		put(parser, word, parser->text + parser->at, 2);
		parser->at += 2;
	} else {
		put(parser, word, "$", 1);
		parser->at++;
	}
}

static void read_double_quotes(struct eg_shell_parser *parser, struct eg_shell_reading *word)
{
	size_t from = parser->at++;

	word->any = true;
	word->plain = false;
	while (eg_shell_peek(parser, 0) != '"') {
		char c = eg_shell_peek(parser, 0);

		if (parser->at >= parser->len) {
			eg_shell_unclosed(parser, "a \"", from);
			return;
		}
		if (c == '$') {
			read_dollar(parser, word, true);
		} else if (c == '`') {
			read_backquotes(parser, word);
		} else {
			if (c == '\\' && eg_shell_peek(parser, 1) &&
			    strchr("$`\"\\", eg_shell_peek(parser, 1)))
				parser->at++;
			put(parser, word, parser->text + parser->at++, 1);
		}
	}
	parser->at++;
}

static void read_single_quotes(struct eg_shell_parser *parser, struct eg_shell_reading *word)
{
	size_t from = parser->at + 1;
	const char *end = memchr(parser->text + from, '\'', parser->len - from);

	word->any = true;
	word->plain = false;
	if (!end) {
		eg_shell_unclosed(parser, "a '", parser->at);
		return;
	}
	put(parser, word, parser->text + from, (size_t)(end - parser->text) - from);
	parser->at = (size_t)(end - parser->text) + 1;
}

/* Reads up to a blank or an operator, and may end words in between. False if there is no word. */
bool eg_shell_read_word(struct eg_shell_parser *parser, struct eg_shell_reading *word)
{
	*word = (struct eg_shell_reading){.offset = parser->at, .plain = true};
	while (parser->at < parser->len) {
		char c = eg_shell_peek(parser, 0);

		if (eg_shell_is_space(c) || strchr("\n;&|<>()", c))
			break;
		if (c == '\'') {
			read_single_quotes(parser, word);
		} else if (c == '"') {
			read_double_quotes(parser, word);
		} else if (c == '`') {
			read_backquotes(parser, word);
		} else if (c == '$') {
			read_dollar(parser, word, false);
		} else if (c == '\\' && parser->at + 1 < parser->len) {
			word->plain = false;
			put(parser, word, parser->text + parser->at + 1, 1);
			parser->at += 2;
		} else {
			put(parser, word, parser->text + parser->at++, 1);
		}
	}
	return word->any;
}
