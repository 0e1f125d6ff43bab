/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small, honest reader of shell: which simple commands a line would run, with quotes, variables
 * set earlier in it, `;`, `&&`, `||`, pipes, and `for` over words that are known. What it cannot
 * follow it says (`opaque`), and what may or may not run is marked `conditional`. It runs nothing.
 * PURE.
 */
#ifndef EG_SHELL_H
#define EG_SHELL_H

#include <stdbool.h>
#include <stddef.h>

enum eg_shell_join {
	EG_SHELL_THEN, /* the first, or after `;` */
	EG_SHELL_AND,
	EG_SHELL_OR,
	EG_SHELL_PIPE,
};

struct eg_shell_word {
	char *text;    /* variables put in; `$(…)` as it stands, its blanks squeezed */
	size_t offset; /* in the text that was read */
	bool dynamic;  /* only the shell will know all of it */
};

struct eg_shell_command {
	struct eg_shell_word *words; /* at least one */
	size_t n_words;
	enum eg_shell_join join;
	size_t list;      /* commands joined by && || | have the same */
	bool conditional; /* inside `if`, `while`, a function: may run, or not */
	char *writes;     /* the file that its output goes to, NULL */
};

/* A variable that nothing before has set, or one that was set. */
struct eg_shell_name {
	char *name;
	size_t offset;
};

/* Where a list of commands (joined by && || |) stands, without what separates it from others. */
struct eg_shell_span {
	size_t from, to;
	bool assigns; /* nothing but variables are set */
};

struct eg_shell {
	struct eg_shell_command *commands;
	size_t n_commands;
	struct eg_shell_name *unset; /* used, and not set before */
	size_t n_unset;
	struct eg_shell_name *set;
	size_t n_set;
	struct eg_shell_span *spans; /* by `list` */
	size_t n_spans;
	const char *opaque; /* what could not be followed, NULL: nothing */
	size_t opaque_offset;
	const char *unclosed; /* "a quote", …: the line ends within it */
	size_t unclosed_offset;
	const char *broken; /* what the shell refuses the whole line for, NULL: nothing */
	size_t broken_offset;
	bool lost; /* not all of the line was read */
};

/* A variable that is known from elsewhere. */
struct eg_shell_variable {
	const char *name;
	const char *value; /* NULL: set, but to what is not known */
};

/* `known` ends with a NULL name. 0 or -ENOMEM. */
int eg_shell_read(const char *text, size_t len, const struct eg_shell_variable *known,
		  struct eg_shell **ret_shell);
void eg_shell_free(struct eg_shell *shell);
static inline void eg_shell_freep(struct eg_shell **shell)
{
	eg_shell_free(*shell);
}
#define EG_AUTO_SHELL __attribute__((cleanup(eg_shell_freep)))

#endif /* EG_SHELL_H */
