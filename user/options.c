// SPDX-License-Identifier: GPL-2.0
#include "options.h"

#include <errno.h>
#include <string.h>

#include "policy_options.h"
#include "util/text.h"

#define OPTIONS_MAX 64 /* of one command, policy options included; see nearest() */

static const struct eg_option help_option = {EG_OPTION_HELP, "--help", NULL, "print this help"};

/* Calls `visit` for each option the command knows until one is accepted. */
static const struct eg_option *each_option(const struct eg_help *help,
					   bool (*visit)(const struct eg_option *option, void *),
					   void *argument)
{
	for (const struct eg_option *option = help->options; option->name; option++) {
		if (visit(option, argument))
			return option;
	}
	if (help->policy) {
		for (const struct eg_option *option = eg_policy_option_table(); option->name;
		     option++) {
			if (visit(option, argument))
				return option;
		}
	}
	return visit(&help_option, argument) ? &help_option : NULL;
}

static bool has_id(const struct eg_option *option, void *argument)
{
	return option->id == *(const int *)argument;
}

const struct eg_option *eg_option_find(const struct eg_help *help, int id)
{
	return each_option(help, has_id, &id);
}

struct word {
	const char *text;
	size_t len; /* up to `=` */
};

static bool has_name(const struct eg_option *option, void *argument)
{
	const struct word *word = argument;

	return strlen(option->name) == word->len &&
	       memcmp(option->name, word->text, word->len) == 0;
}

struct name_list {
	const char *names[OPTIONS_MAX + 1];
	size_t n;
};

static bool collect_name(const struct eg_option *option, void *argument)
{
	struct name_list *list = argument;

	if (list->n < OPTIONS_MAX)
		list->names[list->n++] = option->name;
	return false;
}

static int unknown_option(const struct eg_help *help, const struct word *word,
			  struct eg_error *error)
{
	struct name_list list = {};
	char name[64], safe[4 * sizeof(name)];
	const char *nearest;

	snprintf(name, sizeof(name), "%.*s", (int)word->len, word->text);
	each_option(help, collect_name, &list);
	nearest = eg_nearest(name, list.names);
	eg_escape(safe, sizeof(safe), name, sizeof(name));
	if (nearest)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "unknown option '%s'; did you mean %s?", safe, nearest);
	return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
			    "unknown option '%s'; see egressguard %s --help", safe, help->command);
}

static int option_value(struct eg_options *options, const struct eg_option *option,
			const char *after_equals, const char **ret_value, struct eg_error *error)
{
	const char *next = options->at + 1 < options->argc ? options->argv[options->at + 1] : NULL;

	if (!option->argument) {
		if (after_equals)
			return eg_error_set(error, EG_EXIT_USAGE, EINVAL, "%s takes no value",
					    option->name);
		*ret_value = NULL;
		return 0;
	}
	if (after_equals) {
		*ret_value = after_equals;
		return 0;
	}
	/* A forgotten value must not swallow the next option. */
	if (!next || strncmp(next, "--", 2) == 0)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL, "%s needs a value: %s %s",
				    option->name, option->name, option->argument);
	options->at++;
	*ret_value = next;
	return 0;
}

int eg_options_next(struct eg_options *options, int *ret_id, const char **ret_value,
		    struct eg_error *error)
{
	const struct eg_option *option;
	const char *argument;
	struct word word;
	int result;

	if (++options->at >= options->argc)
		return 0;
	argument = options->argv[options->at];
	if (!options->operands_only && strcmp(argument, "--") == 0) {
		options->operands_only = true;
		return eg_options_next(options, ret_id, ret_value, error);
	}
	if (options->operands_only || argument[0] != '-' || argument[1] == '\0') {
		*ret_id = EG_OPTION_OPERAND;
		*ret_value = argument;
		return 1;
	}

	word = (struct word){.text = argument, .len = strcspn(argument, "=")};
	option = each_option(options->help, has_name, &word);
	if (!option)
		return unknown_option(options->help, &word, error);
	result = option_value(options, option,
			      argument[word.len] == '=' ? argument + word.len + 1 : NULL, ret_value,
			      error);
	if (result < 0)
		return result;
	*ret_id = option->id;
	return 1;
}

/* --- help ------------------------------------------------------------------------------------ */

#define HELP_WIDTH    79
#define HELP_INDENT   30
#define PARAGRAPH_MAX 1024

/* `text` in lines of HELP_WIDTH, the first one at `column` already. */
static void print_wrapped(const char *text, int column, int indent, FILE *to)
{
	bool first = true;

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (!first && column + 1 + len > HELP_WIDTH) {
			fprintf(to, "\n%*s", indent, "");
			column = indent;
		} else if (!first) {
			fputc(' ', to);
			column++;
		}
		fprintf(to, "%.*s", len, text);
		column += len;
		text += len;
		text += strspn(text, " ");
		first = false;
	}
	fputc('\n', to);
}

static void print_option(const struct eg_option *option, FILE *to)
{
	int column = fprintf(to, "  %s%s%s", option->name, option->argument ? " " : "",
			     option->argument ? option->argument : "");

	if (column >= HELP_INDENT) {
		fputc('\n', to);
		column = 0;
	}
	fprintf(to, "%*s", HELP_INDENT - column, "");
	print_wrapped(option->help, HELP_INDENT, HELP_INDENT, to);
}

/* Divided by line ends. */
static void print_paragraphs(const char *text, FILE *to)
{
	char paragraph[PARAGRAPH_MAX];

	while (*text) {
		int len = (int)strcspn(text, "\n");

		snprintf(paragraph, sizeof(paragraph), "%.*s", len, text);
		fputc('\n', to);
		print_wrapped(paragraph, 0, 0, to);
		text += len;
		text += strspn(text, "\n");
	}
}

void eg_help_print(const struct eg_help *help, FILE *to)
{
	const char *line = help->usage;
	const char *before = "Usage:";

	while (*line) {
		int len = (int)strcspn(line, "\n");

		fprintf(to, "%s egressguard %s %.*s\n", before, help->command, len, line);
		before = "      ";
		line += len + (line[len] == '\n');
	}
	fputc('\n', to);
	print_wrapped(help->summary, 0, 0, to);
	fputs("\nOptions:\n", to);
	for (const struct eg_option *option = help->options; option->name; option++)
		print_option(option, to);
	print_option(&help_option, to);
	if (help->policy) {
		fputs("\nPolicy options:\n", to);
		for (const struct eg_option *option = eg_policy_option_table(); option->name;
		     option++)
			print_option(option, to);
	}
	if (help->more)
		print_paragraphs(help->more, to);
	fprintf(to, "\nExample: %s\n", help->example);
}

/* --- the common ones ------------------------------------------------------------------------- */

int eg_common_take(struct eg_common *common, int id, const char *value, struct eg_error *error)
{
	switch (id) {
	case EG_OPTION_HELP:
		common->help = true;
		return 0;
	case EG_OPTION_JSON:
		common->json = true;
		return 0;
	case EG_OPTION_PIN_DIR:
		common->pin_dir = value;
		return 0;
	case EG_OPTION_NETNS:
		if (common->netns)
			return eg_error_set(error, EG_EXIT_USAGE, EINVAL, "--netns is given twice");
		common->netns = value;
		break;
	case EG_OPTION_OPERAND:
		if (common->guard) {
			char safe[256];

			return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
					    "one GUARD is enough: what is '%s'?",
					    eg_escape(safe, sizeof(safe), value, sizeof(safe)));
		}
		common->guard = value;
		break;
	default:
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL, "unexpected option");
	}
	if (common->guard && common->netns)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "give either GUARD or --netns TARGET, not both");
	return 0;
}

int eg_common_read(struct eg_common *common, const struct eg_help *help, int argc, char **argv,
		   struct eg_error *error)
{
	struct eg_options options = {.help = help, .argc = argc, .argv = argv};
	const char *value;
	int id, result;

	while ((result = eg_options_next(&options, &id, &value, error)) > 0) {
		result = eg_common_take(common, id, value, error);
		if (result < 0)
			break;
	}
	return result;
}
