/* SPDX-License-Identifier: GPL-2.0 */
/* The one line reader: sections and `Key = value` lines, for policy files and wg0.conf. PURE. */
#ifndef EG_LINES_H
#define EG_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

/* A part of the text that is read, not NUL-terminated, without blanks around it. */
struct eg_token {
	const char *text;
	size_t len;
	unsigned int column; /* 1-based, in bytes */
};

enum eg_line_kind {
	EG_LINE_SECTION, /* `name` is what stands in the brackets */
	EG_LINE_SETTING, /* `name` = `value`, either may be empty */
	EG_LINE_OTHER,   /* `value` is the whole line */
};

struct eg_line {
	enum eg_line_kind kind;
	unsigned int number; /* 1-based */
	struct eg_token name;
	struct eg_token value;
};

/* Set `text`, `len` and what is wanted; the other members start as zero. */
struct eg_lines {
	const char *text;
	size_t len;
	const char *comment_chars; /* what starts a comment at the start of a line */
	bool comment_anywhere;     /* and not only there */
	size_t line_max;           /* bytes of a line, 0: any */
	size_t at;
	unsigned int number;
};

/* Empty lines and comments are skipped, so are a byte order mark and the CR of a CRLF. 1 with a
 * line, 0 at the end, -EINVAL for a NUL byte or a line that is too long. */
int eg_lines_next(struct eg_lines *lines, struct eg_line *ret_line, struct eg_error *error);

/* Whether the token is this word, case aside. */
bool eg_token_is(const struct eg_token *token, const char *word);

/* Whether blanks around a token are cut there: space, tab, vertical tab, form feed, CR. */
bool eg_is_blank(char c);

#endif /* EG_LINES_H */
