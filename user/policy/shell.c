// SPDX-License-Identifier: GPL-2.0
#include "policy/shell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/array.h"
#include "util/cleanup.h"
#include "util/text.h"

/* What a line may grow to by its loops and variables before we give up following it. */
#define COMMANDS_MAX 2048
#define WORD_MAX     4096
#define DEPTH_MAX    16

struct variable {
	char *name;
	char *value;
	bool dynamic;
};

struct parser {
	const char *text;
	size_t len;
	size_t at;
	struct eg_shell *shell;
	struct variable *variables;
	size_t n_variables;
	struct eg_shell_command command; /* being read */
	bool in_command;                 /* anything of it was read: a word, or an assignment */
	bool assigned;                   /* it has set variables */
	enum eg_shell_join join;         /* before the next command */
	bool new_list;
	unsigned int conditions; /* `if`s and the like around */
	unsigned int depth;
	bool quiet; /* inside a substitution: only the use of variables counts */
	bool failed;
};

/* A word being read. */
struct word {
	struct eg_text text;
	size_t offset;
	bool any;   /* there is a word, if an empty one: quotes */
	bool plain; /* nothing of it was quoted or put in */
	bool dynamic;
};

static void parse_list(struct parser *parser, const char *until);

/* --- small things ----------------------------------------------------------------------------- */

static char *keep(struct parser *parser, const char *text, size_t len)
{
	char *copy = strndup(text, len);

	if (!copy)
		parser->failed = true;
	return copy;
}

static void opaque(struct parser *parser, const char *what)
{
	if (parser->shell->opaque)
		return;
	parser->shell->opaque = what;
	parser->shell->opaque_offset = parser->at < parser->len ? parser->at : parser->len;
}

static void unclosed(struct parser *parser, const char *what, size_t from)
{
	parser->at = parser->len;
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

static size_t name_len(const char *text, size_t len)
{
	size_t n = 0;

	if (len == 0 || !is_name_start(*text))
		return 0;
	while (n < len && is_name_char(text[n]))
		n++;
	return n;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The character `ahead` from here, NUL behind the end. */
static char peek(const struct parser *parser, size_t ahead)
{
	return parser->at + ahead < parser->len ? parser->text[parser->at + ahead] : '\0';
}

/* --- variables -------------------------------------------------------------------------------- */

static struct variable *find_variable(struct parser *parser, const char *name, size_t len)
{
	for (size_t i = 0; i < parser->n_variables; i++) {
		if (strlen(parser->variables[i].name) == len &&
		    memcmp(parser->variables[i].name, name, len) == 0)
			return &parser->variables[i];
	}
	return NULL;
}

static void add_name(struct parser *parser, struct eg_shell_name **names, size_t *n,
		     const char *name, size_t len, size_t offset)
{
	struct eg_shell_name one = {.name = keep(parser, name, len), .offset = offset};

	if (one.name && EG_ARRAY_ADD(*names, *n, one) < 0) {
		free(one.name);
		parser->failed = true;
	}
}

/* `value` NULL: only the shell will know. */
static void set_variable(struct parser *parser, const char *name, size_t len, const char *value,
			 bool dynamic)
{
	struct variable *known = find_variable(parser, name, len);
	struct variable one = {.dynamic = dynamic || !value};

	one.value = keep(parser, value ? value : "", value ? strlen(value) : 0);
	if (known) {
		free(known->value);
		known->value = one.value;
		known->dynamic = one.dynamic;
		return;
	}
	one.name = keep(parser, name, len);
	if (!one.name || EG_ARRAY_ADD(parser->variables, parser->n_variables, one) < 0) {
		free(one.name);
		free(one.value);
		parser->failed = true;
	}
}

static void note_set(struct parser *parser, const char *name, size_t len)
{
	add_name(parser, &parser->shell->set, &parser->shell->n_set, name, len, parser->at);
}

/* --- words ------------------------------------------------------------------------------------ */

static void put(struct parser *parser, struct word *word, const char *text, size_t len)
{
	word->any = true;
	if (word->text.len + len > WORD_MAX) {
		opaque(parser, "a very long word");
		return;
	}
	eg_text_add(&word->text, text, len);
}

/* Ends the word: it becomes one of the command's. */
static void end_word(struct parser *parser, struct word *word)
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
	*word = (struct word){.offset = parser->at, .plain = true};
}

/* An unquoted value falls into words at its blanks. */
static void put_split(struct parser *parser, struct word *word, const char *value)
{
	while (*value) {
		size_t len = strcspn(value, " \t\n");

		if (len)
			put(parser, word, value, len);
		value += len;
		if (*value)
			end_word(parser, word);
		value += strspn(value, " \t\n");
	}
}

static void put_variable(struct parser *parser, struct word *word, const char *name, size_t len,
			 bool quoted)
{
	struct variable *known = find_variable(parser, name, len);
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
static size_t find_close(const struct parser *parser, size_t from)
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

static void put_squeezed(struct parser *parser, struct word *word, const char *text, size_t len)
{
	bool blank = true;

	for (size_t i = 0; i < len; i++) {
		bool is_blank = is_space(text[i]) || text[i] == '\n';

		if (!is_blank)
			put(parser, word, &text[i], 1);
		else if (!blank && i + 1 < len)
			put(parser, word, " ", 1);
		blank = is_blank;
	}
}

/* Reads what a substitution would run, only to see which variables it uses. */
static void look_inside(struct parser *parser, size_t from, size_t to)
{
	struct eg_shell *shell = parser->shell;
	size_t n_commands = shell->n_commands, n_spans = shell->n_spans;
	struct parser inner = {
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

	if (inner.depth > DEPTH_MAX) {
		opaque(parser, "substitutions within substitutions");
		return;
	}
	parse_list(&inner, NULL);
	while (shell->n_commands > n_commands) {
		struct eg_shell_command *command = &shell->commands[--shell->n_commands];

		for (size_t i = 0; i < command->n_words; i++)
			free(command->words[i].text);
		free(command->words);
	}
	shell->n_spans = n_spans;
	/* it may have moved, and grown: what is set in there is not taken back, which only makes
	 * fewer variables unset */
	parser->variables = inner.variables;
	parser->n_variables = inner.n_variables;
	parser->failed |= inner.failed;
}

/* `$(…)`, with parser->at behind the `(`. */
static void read_substitution(struct parser *parser, struct word *word, const char *open)
{
	size_t from = parser->at, to = find_close(parser, from);

	word->plain = false;
	word->dynamic = true;
	if (to >= parser->len) {
		unclosed(parser, open, from - 1);
		return;
	}
	look_inside(parser, from, to);
	put(parser, word, "$(", 2);
	put_squeezed(parser, word, parser->text + from, to - from);
	put(parser, word, ")", 1);
	parser->at = to + 1;
}

static void read_backquotes(struct parser *parser, struct word *word)
{
	size_t from = parser->at + 1, to = from;

	while (to < parser->len && parser->text[to] != '`')
		to += parser->text[to] == '\\' ? 2 : 1;
	word->plain = false;
	word->dynamic = true;
	if (to >= parser->len) {
		unclosed(parser, "a `", from - 1);
		return;
	}
	look_inside(parser, from, to);
	put(parser, word, "$(", 2);
	put_squeezed(parser, word, parser->text + from, to - from);
	put(parser, word, ")", 1);
	parser->at = to + 1;
}

/* `${…}`, with parser->at at the `{`. */
static void read_braces(struct parser *parser, struct word *word, bool quoted)
{
	size_t from = parser->at + 1, len;
	const char *end = memchr(parser->text + parser->at, '}', parser->len - parser->at);

	word->plain = false;
	if (!end) {
		unclosed(parser, "a ${", parser->at);
		return;
	}
	len = name_len(parser->text + from, (size_t)(end - parser->text) - from);
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
static void read_dollar(struct parser *parser, struct word *word, bool quoted)
{
	char next = peek(parser, 1);
	size_t len;

	if (next == '(') {
		parser->at += 2;
		read_substitution(parser, word, "a $(");
	} else if (next == '{') {
		parser->at++;
		read_braces(parser, word, quoted);
	} else if (is_name_start(next)) {
		len = name_len(parser->text + parser->at + 1, parser->len - parser->at - 1);
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

static void read_double_quotes(struct parser *parser, struct word *word)
{
	size_t from = parser->at++;

	word->any = true;
	word->plain = false;
	while (peek(parser, 0) != '"') {
		char c = peek(parser, 0);

		if (parser->at >= parser->len) {
			unclosed(parser, "a \"", from);
			return;
		}
		if (c == '$') {
			read_dollar(parser, word, true);
		} else if (c == '`') {
			read_backquotes(parser, word);
		} else {
			if (c == '\\' && peek(parser, 1) && strchr("$`\"\\", peek(parser, 1)))
				parser->at++;
			put(parser, word, parser->text + parser->at++, 1);
		}
	}
	parser->at++;
}

static void read_single_quotes(struct parser *parser, struct word *word)
{
	size_t from = parser->at + 1;
	const char *end = memchr(parser->text + from, '\'', parser->len - from);

	word->any = true;
	word->plain = false;
	if (!end) {
		unclosed(parser, "a '", parser->at);
		return;
	}
	put(parser, word, parser->text + from, (size_t)(end - parser->text) - from);
	parser->at = (size_t)(end - parser->text) + 1;
}

/* Reads up to a blank or an operator, and may end words in between. False if there is no word. */
static bool read_word(struct parser *parser, struct word *word)
{
	*word = (struct word){.offset = parser->at, .plain = true};
	while (parser->at < parser->len) {
		char c = peek(parser, 0);

		if (is_space(c) || strchr("\n;&|<>()", c))
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

/* --- commands --------------------------------------------------------------------------------- */

static void drop_command(struct parser *parser)
{
	for (size_t i = 0; i < parser->command.n_words; i++)
		free(parser->command.words[i].text);
	free(parser->command.words);
	parser->command = (struct eg_shell_command){};
}

/* `read a b`: sets both, to what only the shell will know. */
static void take_read(struct parser *parser)
{
	const struct eg_shell_command *command = &parser->command;

	if (command->n_words < 2 || strcmp(command->words[0].text, "read") != 0)
		return;
	for (size_t i = 1; i < command->n_words; i++) {
		const char *name = command->words[i].text;

		if (name_len(name, strlen(name)) != strlen(name) || !*name)
			continue;
		set_variable(parser, name, strlen(name), NULL, true);
		note_set(parser, name, strlen(name));
	}
}

static struct eg_shell_span *this_span(struct parser *parser)
{
	struct eg_shell *shell = parser->shell;
	struct eg_shell_span span = {.from = parser->len, .assigns = true};

	if (parser->new_list) {
		if (EG_ARRAY_ADD(shell->spans, shell->n_spans, span) < 0) {
			parser->failed = true;
			return NULL;
		}
		parser->new_list = false;
	}
	return shell->n_spans ? &shell->spans[shell->n_spans - 1] : NULL;
}

static void end_command(struct parser *parser)
{
	struct eg_shell *shell = parser->shell;
	struct eg_shell_span *span;

	if (!parser->in_command)
		return;
	span = this_span(parser);
	if (span)
		span->to = parser->at;
	take_read(parser);
	if (parser->command.n_words == 0 || !span || shell->n_commands >= COMMANDS_MAX) {
		if (shell->n_commands >= COMMANDS_MAX)
			opaque(parser, "very many commands");
		drop_command(parser);
	} else {
		span->assigns = false;
		parser->command.join = parser->join;
		parser->command.list = shell->n_spans - 1;
		parser->command.conditional = parser->conditions > 0;
		if (EG_ARRAY_ADD(shell->commands, shell->n_commands, parser->command) < 0) {
			parser->failed = true;
			drop_command(parser);
		}
		parser->command = (struct eg_shell_command){};
	}
	parser->in_command = false;
	parser->assigned = false;
}

static void start_command(struct parser *parser)
{
	struct eg_shell_span *span;

	if (parser->in_command)
		return;
	span = this_span(parser);
	if (span && parser->at < span->from)
		span->from = parser->at;
}

/* What stands behind `NAME=`: it does not fall into words. */
static void read_value(struct parser *parser, const char *name, size_t len, bool adds)
{
	struct eg_shell_command outer = parser->command;
	EG_AUTO_TEXT struct eg_text value = {};
	struct word word;
	bool dynamic;

	parser->command = (struct eg_shell_command){};
	read_word(parser, &word);
	dynamic = word.dynamic;
	for (size_t i = 0; i < parser->command.n_words; i++) {
		eg_text_printf(&value, "%s ", parser->command.words[i].text);
		dynamic |= parser->command.words[i].dynamic;
	}
	eg_text_add(&value, word.text.data ? word.text.data : "", word.text.len);
	eg_text_free(&word.text);
	drop_command(parser);
	parser->command = outer;
	parser->failed |= value.failed;
	set_variable(parser, name, len, adds || value.failed ? NULL : value.data, dynamic);
}

/* `NAME=value` where a command may begin. */
static bool take_assignment(struct parser *parser)
{
	size_t len = name_len(parser->text + parser->at, parser->len - parser->at);
	const char *name = parser->text + parser->at;
	bool adds;

	if (!len || parser->command.n_words > 0)
		return false;
	adds = name[len] == '+' && parser->at + len + 1 < parser->len && name[len + 1] == '=';
	if (!adds && (parser->at + len >= parser->len || name[len] != '='))
		return false;
	parser->at += len + 1 + adds;
	read_value(parser, name, len, adds);
	note_set(parser, name, len);
	parser->in_command = true;
	parser->assigned = true;
	return true;
}

/* `>file`, `2>&1`, `<file`, `<<<word`: read and left out. */
static void take_redirection(struct parser *parser)
{
	struct word word;
	bool document = peek(parser, 0) == '<' && peek(parser, 1) == '<' && peek(parser, 2) != '<';

	if (peek(parser, 1) == '(' ||
	    (peek(parser, 1) == peek(parser, 0) && peek(parser, 2) == '(')) {
		struct word inner = {.plain = true};

		parser->at += 2;
		read_substitution(parser, &inner, "a <(");
		inner.any = true;
		end_word(parser, &inner);
		eg_text_free(&inner.text);
		return;
	}
	while (peek(parser, 0) && strchr("<>&|", peek(parser, 0)))
		parser->at++;
	while (is_space(peek(parser, 0)))
		parser->at++;
	if (document)
		opaque(parser, "a here-document");
	if (peek(parser, 0) == '<' && peek(parser, 1) == '(') {
		take_redirection(parser);
		return;
	}
	if (read_word(parser, &word) && word.text.failed)
		parser->failed = true;
	eg_text_free(&word.text);
}

/* `[[ … ]]`: what stands in it is no command. */
static void skip_test(struct parser *parser)
{
	const char *rest = parser->text + parser->at;
	const char *end = memmem(rest, parser->len - parser->at, "]]", 2);

	if (!end)
		unclosed(parser, "a [[", parser->at);
	else
		parser->at = (size_t)(end - parser->text) + 2;
}

static bool is(const struct word *word, const char *text)
{
	return word->plain && word->text.data && strcmp(word->text.data, text) == 0;
}

static bool is_any(const struct word *word, const char *const *texts)
{
	for (; *texts; texts++) {
		if (is(word, *texts))
			return true;
	}
	return false;
}

static void skip_blanks(struct parser *parser, bool lines)
{
	while (is_space(peek(parser, 0)) ||
	       (lines && (peek(parser, 0) == '\n' || peek(parser, 0) == ';')))
		parser->at++;
}

/* The words between `in` and `do`. */
static struct eg_shell_command read_values(struct parser *parser)
{
	struct eg_shell_command values;
	struct word word;

	drop_command(parser);
	for (skip_blanks(parser, false); read_word(parser, &word); skip_blanks(parser, false))
		end_word(parser, &word);
	eg_text_free(&word.text);
	values = parser->command;
	parser->command = (struct eg_shell_command){};
	parser->in_command = false;
	skip_blanks(parser, true);
	return values;
}

/* The body once, with the variable set to a word; NULL: to what is not known. */
static void run_body(struct parser *parser, const struct eg_shell_name *name, size_t body,
		     const struct eg_shell_word *word)
{
	bool sure = word && !word->dynamic;

	if (!sure)
		opaque(parser, "a 'for' over what is found at run time");
	parser->at = body;
	set_variable(parser, name->name, strlen(name->name), word ? word->text : NULL, !sure);
	parser->conditions += !sure;
	parse_list(parser, "done");
	parser->conditions -= !sure;
}

/* All that a loop runs is one list: it cannot be taken apart. */
static void merge_lists(struct parser *parser, size_t first_command, size_t list)
{
	struct eg_shell *shell = parser->shell;

	for (size_t i = first_command; i < shell->n_commands; i++)
		shell->commands[i].list = list;
	if (list < shell->n_spans) {
		shell->n_spans = list + 1;
		shell->spans[list].to = parser->at;
		shell->spans[list].assigns = first_command == shell->n_commands;
	}
}

/* Behind `for`: runs its body for each word. */
static void take_for(struct parser *parser)
{
	size_t first_command = parser->shell->n_commands, list = parser->shell->n_spans - 1, body;
	struct eg_shell_command values;
	struct eg_shell_name name = {};
	size_t len;

	skip_blanks(parser, false);
	len = name_len(parser->text + parser->at, parser->len - parser->at);
	name.name = keep(parser, parser->text + parser->at, len);
	parser->at += len;
	skip_blanks(parser, false);
	if (!name.name || !len || peek(parser, 0) != 'i' || peek(parser, 1) != 'n' ||
	    parser->depth >= DEPTH_MAX) {
		opaque(parser, "a 'for'");
		parser->at = parser->len;
		free(name.name);
		return;
	}
	parser->at += 2;
	note_set(parser, name.name, len);
	values = read_values(parser);
	if (peek(parser, 0) == 'd' && peek(parser, 1) == 'o')
		parser->at += 2;
	else
		opaque(parser, "a 'for'");
	body = parser->at;
	parser->depth++;
	if (values.n_words == 0)
		run_body(parser, &name, body, NULL);
	for (size_t i = 0; i < values.n_words && parser->shell->n_commands < COMMANDS_MAX; i++)
		run_body(parser, &name, body, &values.words[i]);
	parser->depth--;
	merge_lists(parser, first_command, list);
	parser->command = values;
	drop_command(parser);
	free(name.name);
	parser->in_command = false;
}

/* Words of the shell's own where a command may begin. True if the word was one. */
static bool take_reserved(struct parser *parser, const struct word *word)
{
	static const char *const opens[] = {"if", "while", "until", "select", NULL};
	static const char *const goes_on[] = {"then", "else", "elif", "do", "{",
					      "}",    "!",    "time", NULL};
	static const char *const closes[] = {"fi", "done", "esac", NULL};

	if (parser->command.n_words > 0 || parser->assigned)
		return false;
	if (is(word, "for")) {
		take_for(parser);
	} else if (is_any(word, opens)) {
		opaque(parser, "an 'if' or a loop");
		parser->conditions++;
	} else if (is_any(word, closes)) {
		if (parser->conditions)
			parser->conditions--;
		else
			opaque(parser, "the end of an 'if' or a loop that never began");
	} else if (is(word, "case") || is(word, "function")) {
		opaque(parser, "a 'case' or a function");
		parser->at = parser->len;
	} else if (is(word, "[[")) {
		struct word test = {.any = true};

		skip_test(parser);
		eg_text_add(&test.text, "[[", 2);
		end_word(parser, &test);
		return true;
	} else {
		return is_any(word, goes_on);
	}
	return true;
}

/* An operator between commands. */
static void take_operator(struct parser *parser)
{
	char c = peek(parser, 0), next = peek(parser, 1);

	if (c == '&' && next == '>') {
		take_redirection(parser);
		return;
	}
	end_command(parser);
	if (c == '&' && next == '&') {
		parser->join = EG_SHELL_AND;
	} else if (c == '|') {
		parser->join = next == '|' ? EG_SHELL_OR : EG_SHELL_PIPE;
	} else {
		parser->join = EG_SHELL_THEN;
		parser->new_list = true;
	}
	parser->at += (c == next && c != '(' && c != ')') || (c == '|' && next == '&') ? 2 : 1;
}

/* A number before `<` or `>` is no word. */
static bool is_descriptor(const struct parser *parser, const struct word *word)
{
	char c = peek(parser, 0);

	return (c == '<' || c == '>') && word->plain && word->text.data &&
	       word->text.data[strspn(word->text.data, "0123456789")] == '\0';
}

/* True at the word `until`. */
static bool take_word(struct parser *parser, const char *until)
{
	struct word word;
	bool first;

	start_command(parser);
	if (take_assignment(parser))
		return false;
	first = parser->command.n_words == 0 && !parser->assigned;
	if (!read_word(parser, &word)) {
		if (parser->at < parser->len && parser->command.n_words == 0 && !word.dynamic &&
		    !strchr("\n;&|<>() \t\r", peek(parser, 0)))
			parser->at++;
		eg_text_free(&word.text);
		return false;
	}
	if (first && until && is(&word, until)) {
		eg_text_free(&word.text);
		return true;
	}
	if (first && peek(parser, 0) == '(' && word.plain) {
		opaque(parser, "a function");
		parser->at = parser->len;
	} else if (!(first && take_reserved(parser, &word)) && !is_descriptor(parser, &word)) {
		end_word(parser, &word);
	}
	eg_text_free(&word.text);
	return false;
}

/* Up to the word `until` where a command may begin, or the end. */
static void parse_list(struct parser *parser, const char *until)
{
	parser->new_list = true;
	parser->join = EG_SHELL_THEN;
	while (parser->at < parser->len && !parser->failed) {
		char c = peek(parser, 0);

		if (is_space(c)) {
			parser->at++;
		} else if (c == '<' || c == '>') {
			start_command(parser);
			parser->in_command = true;
			take_redirection(parser);
		} else if (strchr("\n;&|()", c)) {
			take_operator(parser);
		} else if (take_word(parser, until)) {
			break;
		}
	}
	end_command(parser);
	parser->new_list = true;
	parser->join = EG_SHELL_THEN;
}

/* --- the line --------------------------------------------------------------------------------- */

static void free_variables(struct parser *parser)
{
	for (size_t i = 0; i < parser->n_variables; i++) {
		free(parser->variables[i].name);
		free(parser->variables[i].value);
	}
	free(parser->variables);
}

int eg_shell_read(const char *text, size_t len, const struct eg_shell_variable *known,
		  struct eg_shell **ret_shell)
{
	EG_AUTO_SHELL struct eg_shell *shell = calloc(1, sizeof(*shell));
	struct parser parser = {.text = text, .len = len, .shell = shell};

	if (!shell)
		return -ENOMEM;
	for (; known && known->name; known++)
		set_variable(&parser, known->name, strlen(known->name), known->value,
			     !known->value);
	parse_list(&parser, NULL);
	drop_command(&parser);
	free_variables(&parser);
	if (parser.failed)
		return -ENOMEM;
	*ret_shell = EG_TAKE(shell);
	return 0;
}

static void free_names(struct eg_shell_name *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i].name);
	free(names);
}

void eg_shell_free(struct eg_shell *shell)
{
	if (!shell)
		return;
	for (size_t i = 0; i < shell->n_commands; i++) {
		for (size_t word = 0; word < shell->commands[i].n_words; word++)
			free(shell->commands[i].words[word].text);
		free(shell->commands[i].words);
	}
	free(shell->commands);
	free_names(shell->unset, shell->n_unset);
	free_names(shell->set, shell->n_set);
	free(shell->spans);
	free(shell);
}
