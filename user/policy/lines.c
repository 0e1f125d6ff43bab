// SPDX-License-Identifier: GPL-2.0
#include "policy/lines.h"

#include <string.h>
#include <strings.h>

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

bool eg_is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r' && c != '\n');
}

bool eg_token_is(const struct eg_token *token, const char *word)
{
	return strlen(word) == token->len && strncasecmp(token->text, word, token->len) == 0;
}

static struct eg_token trimmed(const char *line, size_t from, size_t to)
{
	while (from < to && eg_is_blank(line[from]))
		from++;
	while (from < to && eg_is_blank(line[to - 1]))
		to--;
	return (struct eg_token){line + from, to - from, (unsigned int)from + 1};
}

static void skip_byte_order_mark(struct eg_lines *lines)
{
	size_t len = strlen(BYTE_ORDER_MARK);

	if (lines->at == 0 && lines->len >= len && memcmp(lines->text, BYTE_ORDER_MARK, len) == 0) {
		lines->text += len;
		lines->len -= len;
	}
}

/* The next line as it stands, without its end. */
static bool next_raw(struct eg_lines *lines, const char **ret_line, size_t *ret_len)
{
	const char *line;
	const char *end;
	size_t len;

	if (lines->number == 0)
		skip_byte_order_mark(lines);
	if (lines->at >= lines->len)
		return false;
	line = lines->text + lines->at;
	len = lines->len - lines->at;
	end = memchr(line, '\n', len);
	if (end)
		len = (size_t)(end - line);
	lines->at += len + 1;
	lines->number++;
	if (len && line[len - 1] == '\r')
		len--;
	*ret_line = line;
	*ret_len = len;
	return true;
}

static int check_raw(const struct eg_lines *lines, const char *line, size_t len,
		     struct eg_error *error)
{
	const char *nul = memchr(line, '\0', len);

	if (nul)
		return eg_error_at(error, lines->number, (unsigned int)(nul - line) + 1,
				   "a NUL byte: this is not a text file");
	if (lines->line_max && len > lines->line_max)
		return eg_error_at(error, lines->number, (unsigned int)lines->line_max + 1,
				   "the line has %zu bytes, at most %zu are read: is this really "
				   "a text file with one setting a line?",
				   len, lines->line_max);
	return 0;
}

static size_t without_comment(const struct eg_lines *lines, const char *line, size_t len)
{
	if (!lines->comment_anywhere)
		return len;
	for (size_t i = 0; i < len; i++) {
		if (strchr(lines->comment_chars, line[i]))
			return i;
	}
	return len;
}

/* False for a line that says nothing. */
static bool read_line(const struct eg_lines *lines, const char *line, size_t len,
		      struct eg_line *ret_line)
{
	struct eg_token whole = trimmed(line, 0, without_comment(lines, line, len));
	size_t from = whole.column - 1;
	const char *equals;

	if (whole.len == 0 || strchr(lines->comment_chars, *whole.text))
		return false;
	*ret_line = (struct eg_line){.number = lines->number};
	equals = memchr(whole.text, '=', whole.len);
	if (*whole.text == '[' && whole.text[whole.len - 1] == ']') {
		ret_line->kind = EG_LINE_SECTION;
		ret_line->name = trimmed(line, from + 1, from + whole.len - 1);
	} else if (*whole.text == '[' || !equals) {
		ret_line->kind = EG_LINE_OTHER;
		ret_line->value = whole;
	} else {
		size_t middle = (size_t)(equals - line);

		ret_line->kind = EG_LINE_SETTING;
		ret_line->name = trimmed(line, from, middle);
		ret_line->value = trimmed(line, middle + 1, from + whole.len);
	}
	return true;
}

int eg_lines_next(struct eg_lines *lines, struct eg_line *ret_line, struct eg_error *error)
{
	const char *line;
	size_t len;

	while (next_raw(lines, &line, &len)) {
		int result = check_raw(lines, line, len, error);

		if (result < 0)
			return result;
		if (read_line(lines, line, len, ret_line))
			return 1;
	}
	return 0;
}
