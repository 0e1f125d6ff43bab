/* SPDX-License-Identifier: GPL-2.0 */
/* Between the two files of the reader of shell: words, and the commands made of them. */
#ifndef EG_SHELL_INTERNAL_H
#define EG_SHELL_INTERNAL_H

#include "policy/shell.h"
#include "util/text.h"

/* Substitutions within substitutions, loops within loops. */
#define EG_SHELL_DEPTH_MAX 16

struct eg_shell_value {
	char *name;
	char *value;
	bool dynamic;
};

struct eg_shell_parser {
	const char *text;
	size_t len;
	size_t at;
	struct eg_shell *shell;
	struct eg_shell_value *variables;
	size_t n_variables;
	struct eg_shell_command command; /* being read */
	bool in_command;                 /* anything of it was read: a word, or an assignment */
	bool assigned;                   /* it has set variables */
	enum eg_shell_join join;         /* before the next command */
	bool new_list;
	unsigned int conditions; /* `if`s and the like around */
	unsigned int depth;
	unsigned int open, braces; /* `(`s and `{`s around */
	size_t operator_at;        /* the operator before, for what is refused */
	bool ready;                /* an operator may stand here: there is a command before it */
	bool dangling;             /* behind `&&`, `||` or `|`: there must be another command */
	bool ended;                /* the word that was to end the list was there */
	bool lost;                 /* the rest of the line was not read */
	bool quiet;                /* inside a substitution: only the use of variables counts */
	bool failed;
};

/* A word being read. */
struct eg_shell_reading {
	struct eg_text text;
	size_t offset;
	bool any;   /* there is a word, if an empty one: quotes */
	bool plain; /* nothing of it was quoted or put in */
	bool dynamic;
};

static inline bool eg_shell_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The character `ahead` from here, NUL behind the end. */
static inline char eg_shell_peek(const struct eg_shell_parser *parser, size_t ahead)
{
	return parser->at + ahead < parser->len ? parser->text[parser->at + ahead] : '\0';
}

char *eg_shell_keep(struct eg_shell_parser *parser, const char *text, size_t len);
/* Notes, once, what cannot be followed. */
void eg_shell_opaque(struct eg_shell_parser *parser, const char *what);
/* Notes, once, what the shell refuses the line for. */
void eg_shell_broken(struct eg_shell_parser *parser, const char *what, size_t offset);
/* Gives up on the rest of the line. */
void eg_shell_lose(struct eg_shell_parser *parser, const char *what);
/* The line ends within something that began at `from`. */
void eg_shell_unclosed(struct eg_shell_parser *parser, const char *what, size_t from);
/* How long the name of a variable is that stands at `text`; 0: none does. */
size_t eg_shell_name_len(const char *text, size_t len);
/* `value` NULL: only the shell will know. */
void eg_shell_set(struct eg_shell_parser *parser, const char *name, size_t len, const char *value,
		  bool dynamic);
void eg_shell_note_set(struct eg_shell_parser *parser, const char *name, size_t len);
/* Up to a blank or an operator, and may end words in between. False if there is no word. */
bool eg_shell_read_word(struct eg_shell_parser *parser, struct eg_shell_reading *word);
/* The word becomes one of the command's. */
void eg_shell_end_word(struct eg_shell_parser *parser, struct eg_shell_reading *word);
/* `$(...)`, with parser->at behind the `(`. */
void eg_shell_read_substitution(struct eg_shell_parser *parser, struct eg_shell_reading *word,
				const char *open);
/* Up to the word `until` where a command may begin, or the end. */
void eg_shell_parse_list(struct eg_shell_parser *parser, const char *until);

#endif /* EG_SHELL_INTERNAL_H */
