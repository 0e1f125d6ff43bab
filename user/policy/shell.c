// SPDX-License-Identifier: GPL-2.0
#include "policy/shell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/array.h"
#include "policy/shell_internal.h"
#include "util/cleanup.h"

/* What a line may grow to by its loops before we give up following it. */
#define COMMANDS_MAX 2048

/* --- commands --------------------------------------------------------------------------------- */

static void drop_command(struct eg_shell_parser *parser)
{
	for (size_t i = 0; i < parser->command.n_words; i++)
		free(parser->command.words[i].text);
	free(parser->command.words);
	free(parser->command.writes);
	parser->command = (struct eg_shell_command){};
}

/* `read a b`: sets both, to what only the shell will know. */
static void take_read(struct eg_shell_parser *parser)
{
	const struct eg_shell_command *command = &parser->command;

	if (command->n_words < 2 || strcmp(command->words[0].text, "read") != 0)
		return;
	for (size_t i = 1; i < command->n_words; i++) {
		const char *name = command->words[i].text;

		if (eg_shell_name_len(name, strlen(name)) != strlen(name) || !*name)
			continue;
		eg_shell_set(parser, name, strlen(name), NULL, true);
		eg_shell_note_set(parser, name, strlen(name));
	}
}

static struct eg_shell_span *this_span(struct eg_shell_parser *parser)
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

/* What was read is a command, or ends with one. */
static void complete(struct eg_shell_parser *parser)
{
	parser->ready = true;
	parser->dangling = false;
}

static void end_command(struct eg_shell_parser *parser)
{
	struct eg_shell *shell = parser->shell;
	struct eg_shell_span *span;

	if (!parser->in_command)
		return;
	complete(parser);
	span = this_span(parser);
	if (span)
		span->to = parser->at;
	take_read(parser);
	if (parser->command.n_words == 0 || !span || shell->n_commands >= COMMANDS_MAX) {
		if (shell->n_commands >= COMMANDS_MAX)
			eg_shell_opaque(parser, "very many commands");
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

static void start_command(struct eg_shell_parser *parser)
{
	struct eg_shell_span *span;

	if (parser->in_command)
		return;
	span = this_span(parser);
	if (span && parser->at < span->from)
		span->from = parser->at;
}

/* What stands behind `NAME=`: it does not fall into words. */
static void read_value(struct eg_shell_parser *parser, const char *name, size_t len, bool adds)
{
	struct eg_shell_command outer = parser->command;
	EG_AUTO_TEXT struct eg_text value = {};
	struct eg_shell_reading word;
	bool dynamic;

	parser->command = (struct eg_shell_command){};
	eg_shell_read_word(parser, &word);
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
	eg_shell_set(parser, name, len, adds || value.failed ? NULL : value.data, dynamic);
}

/* `NAME=value` where a command may begin. */
static bool take_assignment(struct eg_shell_parser *parser)
{
	size_t len = eg_shell_name_len(parser->text + parser->at, parser->len - parser->at);
	const char *name = parser->text + parser->at;
	bool adds;

	if (!len || parser->command.n_words > 0)
		return false;
	adds = name[len] == '+' && parser->at + len + 1 < parser->len && name[len + 1] == '=';
	if (!adds && (parser->at + len >= parser->len || name[len] != '='))
		return false;
	parser->at += len + 1 + adds;
	read_value(parser, name, len, adds);
	eg_shell_note_set(parser, name, len);
	parser->in_command = true;
	parser->assigned = true;
	return true;
}

/* `>file`, `2>&1`, `<file`, `<<<word`: read and left out. */
static void take_redirection(struct eg_shell_parser *parser)
{
	struct eg_shell_reading word;
	bool writes = eg_shell_peek(parser, 0) != '<';
	bool document = eg_shell_peek(parser, 0) == '<' && eg_shell_peek(parser, 1) == '<' &&
			eg_shell_peek(parser, 2) != '<';

	if (eg_shell_peek(parser, 1) == '(' ||
	    (eg_shell_peek(parser, 1) == eg_shell_peek(parser, 0) &&
	     eg_shell_peek(parser, 2) == '(')) {
		struct eg_shell_reading inner = {.plain = true};

		parser->at += 2;
		eg_shell_read_substitution(parser, &inner, "a <(");
		inner.any = true;
		eg_shell_end_word(parser, &inner);
		eg_text_free(&inner.text);
		return;
	}
	while (eg_shell_peek(parser, 0) && strchr("<>&|", eg_shell_peek(parser, 0))) {
		writes &= eg_shell_peek(parser, 0) != '>' || eg_shell_peek(parser, 1) != '&';
		parser->at++;
	}
	while (eg_shell_is_space(eg_shell_peek(parser, 0)))
		parser->at++;
	if (document)
		eg_shell_opaque(parser, "a here-document");
	if (eg_shell_peek(parser, 0) == '<' && eg_shell_peek(parser, 1) == '(') {
		take_redirection(parser);
		return;
	}
	if (eg_shell_read_word(parser, &word) && word.text.failed)
		parser->failed = true;
	if (writes && word.text.data && !parser->command.writes)
		parser->command.writes =
			eg_shell_keep(parser, word.text.data, strlen(word.text.data));
	eg_text_free(&word.text);
}

/* `[[ … ]]`: what stands in it is no command. */
static void skip_test(struct eg_shell_parser *parser)
{
	const char *rest = parser->text + parser->at;
	const char *end = memmem(rest, parser->len - parser->at, "]]", 2);

	if (!end)
		eg_shell_unclosed(parser, "a [[", parser->at);
	else
		parser->at = (size_t)(end - parser->text) + 2;
}

static bool is(const struct eg_shell_reading *word, const char *text)
{
	return word->plain && word->text.data && strcmp(word->text.data, text) == 0;
}

static bool is_any(const struct eg_shell_reading *word, const char *const *texts)
{
	for (; *texts; texts++) {
		if (is(word, *texts))
			return true;
	}
	return false;
}

static void skip_blanks(struct eg_shell_parser *parser, bool lines)
{
	while (eg_shell_is_space(eg_shell_peek(parser, 0)) ||
	       (lines && (eg_shell_peek(parser, 0) == '\n' || eg_shell_peek(parser, 0) == ';')))
		parser->at++;
}

/* The words between `in` and `do`. */
static struct eg_shell_command read_values(struct eg_shell_parser *parser)
{
	struct eg_shell_command values;
	struct eg_shell_reading word;

	drop_command(parser);
	for (skip_blanks(parser, false); eg_shell_read_word(parser, &word);
	     skip_blanks(parser, false))
		eg_shell_end_word(parser, &word);
	eg_text_free(&word.text);
	values = parser->command;
	parser->command = (struct eg_shell_command){};
	parser->in_command = false;
	skip_blanks(parser, true);
	return values;
}

/* The body once, with the variable set to a word; NULL: to what is not known. */
static void run_body(struct eg_shell_parser *parser, const struct eg_shell_name *name, size_t body,
		     const struct eg_shell_word *word)
{
	bool sure = word && !word->dynamic;

	if (!sure)
		eg_shell_opaque(parser, "a 'for' over what is found at run time");
	parser->at = body;
	eg_shell_set(parser, name->name, strlen(name->name), word ? word->text : NULL, !sure);
	parser->conditions += !sure;
	eg_shell_parse_list(parser, "done");
	if (!parser->ended)
		eg_shell_broken(parser, "a 'for' without its 'done'", body);
	parser->conditions -= !sure;
}

/* All that a loop runs is one list: it cannot be taken apart. */
static void merge_lists(struct eg_shell_parser *parser, size_t first_command, size_t list)
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
static void take_for(struct eg_shell_parser *parser)
{
	size_t first_command = parser->shell->n_commands, list = parser->shell->n_spans - 1, body;
	struct eg_shell_command values;
	struct eg_shell_name name = {};
	size_t len;

	skip_blanks(parser, false);
	len = eg_shell_name_len(parser->text + parser->at, parser->len - parser->at);
	name.name = eg_shell_keep(parser, parser->text + parser->at, len);
	parser->at += len;
	skip_blanks(parser, false);
	if (!name.name || !len || eg_shell_peek(parser, 0) != 'i' ||
	    eg_shell_peek(parser, 1) != 'n' || parser->depth >= EG_SHELL_DEPTH_MAX) {
		eg_shell_lose(parser, "a 'for'");
		free(name.name);
		return;
	}
	parser->at += 2;
	eg_shell_note_set(parser, name.name, len);
	values = read_values(parser);
	if (eg_shell_peek(parser, 0) == 'd' && eg_shell_peek(parser, 1) == 'o')
		parser->at += 2;
	else
		eg_shell_opaque(parser, "a 'for'");
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
	complete(parser);
}

/* Words of the shell's own where a command may begin. True if the word was one. */
static bool take_reserved(struct eg_shell_parser *parser, const struct eg_shell_reading *word)
{
	static const char *const opens[] = {"if", "while", "until", "select", NULL};
	static const char *const goes_on[] = {"then", "else", "elif", "do", "{", "!", "time", NULL};
	static const char *const inner[] = {"then", "else", "elif", "do", NULL};
	static const char *const closes[] = {"fi", "done", "esac", NULL};

	if (parser->in_command)
		return false;
	if (is(word, "for")) {
		take_for(parser);
	} else if (is_any(word, opens)) {
		eg_shell_opaque(parser, "an 'if' or a loop");
		parser->conditions++;
		parser->ready = false;
	} else if (is_any(word, closes)) {
		if (parser->conditions)
			parser->conditions--;
		else
			eg_shell_opaque(parser, "the end of an 'if' or a loop that never began");
		complete(parser);
	} else if (is(word, "}")) {
		if (!parser->braces)
			eg_shell_broken(parser, "a '}' that nothing opened", parser->at - 1);
		parser->braces -= parser->braces > 0;
		complete(parser);
	} else if (is(word, "case") || is(word, "function")) {
		eg_shell_lose(parser, "a 'case' or a function");
	} else if (is(word, "[[")) {
		struct eg_shell_reading test = {.any = true};

		skip_test(parser);
		eg_text_add(&test.text, "[[", 2);
		eg_shell_end_word(parser, &test);
		return true;
	} else if (is_any(word, goes_on)) {
		if (is_any(word, inner) && !parser->conditions)
			eg_shell_broken(parser, "a 'then', 'else' or 'do' that belongs to nothing",
					word->offset);
		parser->braces += is(word, "{");
		parser->ready = is(word, "!") || is(word, "time"); /* of nothing, too */
	} else {
		return false;
	}
	return true;
}

/* What bash says "syntax error near unexpected token" of: nothing of the line runs then. */
static void check_operator(struct eg_shell_parser *parser, char c, char next)
{
	size_t at = parser->at;

	if (c == '\n')
		return;
	if (c == '(') {
		if (parser->command.n_words > 0)
			eg_shell_broken(parser, "a '(' within a command", at);
		parser->open++;
		parser->ready = false;
		return;
	}
	if (c == ')' && !parser->open)
		eg_shell_broken(parser, "a ')' that nothing opened", at);
	else if (c == ';' && next == ';')
		eg_shell_broken(parser, "a ';;' outside of 'case'", at);
	else if (!parser->ready && !parser->in_command && (c != ')' || parser->dangling))
		eg_shell_broken(parser,
				c == ')'   ? "a ')' with no command before it"
				: c == ';' ? "a ';' with no command before it"
				: c == '&' ? "a '&' with no command before it"
					   : "a '|' with no command before it",
				at);
	if (c == ')')
		parser->open -= parser->open > 0;
}

/* An operator between commands. */
static void take_operator(struct eg_shell_parser *parser)
{
	char c = eg_shell_peek(parser, 0), next = eg_shell_peek(parser, 1);

	if (c == '&' && next == '>') {
		take_redirection(parser);
		return;
	}
	check_operator(parser, c, next);
	end_command(parser);
	if (c != '\n' && c != '(')
		parser->ready = c == ')';
	parser->dangling = c == '|' || (c == '&' && next == '&');
	parser->operator_at = parser->at;
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
static bool is_descriptor(const struct eg_shell_parser *parser, const struct eg_shell_reading *word)
{
	char c = eg_shell_peek(parser, 0);

	return (c == '<' || c == '>') && word->plain && word->text.data &&
	       word->text.data[strspn(word->text.data, "0123456789")] == '\0';
}

/* True at the word `until`. */
static bool take_word(struct eg_shell_parser *parser, const char *until)
{
	struct eg_shell_reading word;
	bool first;

	start_command(parser);
	if (take_assignment(parser))
		return false;
	first = !parser->in_command;
	if (!eg_shell_read_word(parser, &word)) {
		if (parser->at < parser->len && parser->command.n_words == 0 && !word.dynamic &&
		    !strchr("\n;&|<>() \t\r", eg_shell_peek(parser, 0)))
			parser->at++;
		eg_text_free(&word.text);
		return false;
	}
	if (first && until && is(&word, until)) {
		eg_text_free(&word.text);
		return true;
	}
	if (first && eg_shell_peek(parser, 0) == '(' && word.plain) {
		eg_shell_lose(parser, "a function");
	} else if (!(first && take_reserved(parser, &word)) && !is_descriptor(parser, &word)) {
		eg_shell_end_word(parser, &word);
	}
	eg_text_free(&word.text);
	return false;
}

/* Up to the word `until` where a command may begin, or the end. */
void eg_shell_parse_list(struct eg_shell_parser *parser, const char *until)
{
	parser->new_list = true;
	parser->join = EG_SHELL_THEN;
	parser->ready = false;
	parser->ended = false;
	while (parser->at < parser->len && !parser->failed) {
		char c = eg_shell_peek(parser, 0);

		if (eg_shell_is_space(c)) {
			parser->at++;
		} else if (c == '<' || c == '>') {
			start_command(parser);
			parser->in_command = true;
			take_redirection(parser);
		} else if (strchr("\n;&|()", c)) {
			take_operator(parser);
		} else if (take_word(parser, until)) {
			parser->ended = true;
			break;
		}
	}
	end_command(parser);
	parser->new_list = true;
	parser->join = EG_SHELL_THEN;
}

/* --- the line --------------------------------------------------------------------------------- */

static void free_variables(struct eg_shell_parser *parser)
{
	for (size_t i = 0; i < parser->n_variables; i++) {
		free(parser->variables[i].name);
		free(parser->variables[i].value);
	}
	free(parser->variables);
}

/* What is still open where the line ends. */
static void check_end(struct eg_shell_parser *parser)
{
	if (parser->dangling)
		eg_shell_broken(parser, "nothing behind the last '&&', '||' or '|'",
				parser->operator_at);
	if (parser->conditions)
		eg_shell_broken(parser, "an 'if' or a loop without its end", 0);
	if (parser->open || parser->braces)
		eg_shell_broken(parser, "a bracket that is not closed", 0);
}

int eg_shell_read(const char *text, size_t len, const struct eg_shell_variable *known,
		  struct eg_shell **ret_shell)
{
	EG_AUTO_SHELL struct eg_shell *shell = calloc(1, sizeof(*shell));
	struct eg_shell_parser parser = {.text = text, .len = len, .shell = shell};

	if (!shell)
		return -ENOMEM;
	for (; known && known->name; known++)
		eg_shell_set(&parser, known->name, strlen(known->name), known->value,
			     !known->value);
	eg_shell_parse_list(&parser, NULL);
	check_end(&parser);
	shell->lost = parser.lost;
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
		free(shell->commands[i].writes);
	}
	free(shell->commands);
	free_names(shell->unset, shell->n_unset);
	free_names(shell->set, shell->n_set);
	free(shell->spans);
	free(shell);
}
