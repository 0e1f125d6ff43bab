// SPDX-License-Identifier: GPL-2.0
#include "policy/wgfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/array.h"
#include "util/cleanup.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* --- keys ------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum eg_wgsection section;
	bool quick;
} keys[EG_WGKEY_COUNT] = {[EG_WGKEY_NONE] = {"", EG_WGSECTION_NONE, false},
#define X(name, text, section, quick) [EG_WGKEY_##name] = {text, EG_WGSECTION_##section, quick},
			  EG_WGKEYS(X)
#undef X
};

const char *eg_wgkey_name(enum eg_wgkey key)
{
	return keys[key].name;
}

enum eg_wgsection eg_wgkey_section(enum eg_wgkey key)
{
	return keys[key].section;
}

bool eg_wgkey_is_quick(enum eg_wgkey key)
{
	return keys[key].quick;
}

static enum eg_wgkey find_key(const struct eg_token *name)
{
	for (int key = EG_WGKEY_NONE + 1; key < EG_WGKEY_COUNT; key++) {
		if (eg_token_is(name, keys[key].name))
			return (enum eg_wgkey)key;
	}
	return EG_WGKEY_NONE;
}

/* --- what must not be quoted ------------------------------------------------------------------ */

/* A key is 44 characters of base64 with a '=' at the end, or 64 hexadecimal digits. */
#define KEY_RUN_MIN 40

static bool is_key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '+' || c == '/';
}

/* Two lines joined by mistake, say. No address and no host name that we read has a '='. */
bool eg_wgword_may_hold_key(const char *text)
{
	size_t run = 0;

	for (; *text; text++) {
		run = is_key_char(*text) ? run + 1 : 0;
		if (*text == '=' || run >= KEY_RUN_MIN)
			return true;
	}
	return false;
}

/* --- words ------------------------------------------------------------------------------------ */

static bool is_separator(char c)
{
	return c == ',' || eg_is_blank(c);
}

bool eg_wgword_next(const struct eg_wgline *line, size_t *at, struct eg_wgword *ret_word)
{
	const struct eg_token *value = &line->value;
	size_t from = *at;
	size_t to;
	size_t len;

	while (from < value->len && is_separator(value->text[from]))
		from++;
	for (to = from; to < value->len && !is_separator(value->text[to]);)
		to++;
	*at = to;
	if (from == to)
		return false;
	len = to - from < EG_WGWORD_MAX ? to - from : EG_WGWORD_MAX - 1;
	memcpy(ret_word->text, value->text + from, len);
	ret_word->text[len] = '\0';
	ret_word->column = value->column + (unsigned int)from;
	return true;
}

bool eg_wgword_between_commas(const struct eg_wgline *line, size_t *at, struct eg_wgword *ret_word)
{
	const struct eg_token *value = &line->value;
	size_t from = *at, len = 0;

	if (from > value->len)
		return false;
	while (from < value->len && eg_is_blank(value->text[from]))
		from++;
	ret_word->column = value->column + (unsigned int)from;
	for (; from < value->len && value->text[from] != ','; from++) {
		if (!eg_is_blank(value->text[from]) && len + 1 < EG_WGWORD_MAX)
			ret_word->text[len++] = value->text[from];
	}
	ret_word->text[len] = '\0';
	*at = from + 1;
	return true;
}

bool eg_wgword_is_dns_server(const char *text)
{
	return strchr(text, ':') || text[strspn(text, "0123456789.")] == '\0';
}

/* --- the file --------------------------------------------------------------------------------- */

static int split_lines(struct eg_wgfile *file)
{
	const char *at = file->text;
	const char *end = file->text + file->len;

	if (file->len >= strlen(BYTE_ORDER_MARK) &&
	    memcmp(at, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0)
		file->byte_order_mark = true;
	while (at < end) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		struct eg_wgline line = {
			.number = (unsigned int)file->n_lines + 1,
			.raw = at,
			.raw_len = (size_t)((stop ? stop : end) - at),
		};

		if (EG_ARRAY_ADD(file->lines, file->n_lines, line) < 0)
			return -ENOMEM;
		at = stop ? stop + 1 : end;
	}
	return 0;
}

static enum eg_wgsection find_section(const struct eg_token *name)
{
	if (eg_token_is(name, "Interface"))
		return EG_WGSECTION_INTERFACE;
	if (eg_token_is(name, "Peer"))
		return EG_WGSECTION_PEER;
	return EG_WGSECTION_OTHER;
}

static void take_line(struct eg_wgline *to, const struct eg_line *line, enum eg_wgsection *section)
{
	switch (line->kind) {
	case EG_LINE_SECTION:
		to->kind = EG_WGLINE_SECTION;
		*section = find_section(&line->name);
		break;
	case EG_LINE_SETTING:
		to->kind = EG_WGLINE_SETTING;
		to->key = find_key(&line->name);
		break;
	case EG_LINE_OTHER:
		to->kind = EG_WGLINE_OTHER;
		if (line->value.text[0] == '[')
			*section = EG_WGSECTION_OTHER;
		break;
	}
	to->name = line->name;
	to->value = line->value;
}

static bool ends_in_backslash(const struct eg_wgline *line)
{
	return line->value.len > 0 && line->value.text[line->value.len - 1] == '\\';
}

/* A line that begins a setting or a section of the format's own ends what came before. */
static bool continues(const struct eg_wgline *before, const struct eg_wgline *line)
{
	if (before->kind != EG_WGLINE_CONTINUED &&
	    !(before->kind == EG_WGLINE_SETTING && eg_wgkey_is_hook(before->key)))
		return false;
	if (!ends_in_backslash(before))
		return false;
	return line->kind == EG_WGLINE_OTHER ||
	       (line->kind == EG_WGLINE_SETTING && line->key == EG_WGKEY_NONE);
}

static void finish_lines(struct eg_wgfile *file)
{
	for (size_t i = 0; i < file->n_lines; i++) {
		struct eg_wgline *line = &file->lines[i];
		const char *hash = memchr(line->raw, '#', line->raw_len);

		if (hash)
			line->hash_column = (unsigned int)(hash - line->raw) + 1;
		if (i == 0 || !continues(line - 1, line))
			continue;
		if (line->kind == EG_WGLINE_SETTING) { /* `VAR=value \` is one as well */
			line->value.len =
				(size_t)(line->value.text + line->value.len - line->name.text);
			line->value.text = line->name.text;
			line->value.column = line->name.column;
		}
		line->kind = EG_WGLINE_CONTINUED;
	}
}

static int read_lines(struct eg_wgfile *file, struct eg_error *error)
{
	struct eg_lines lines = {
		.text = file->text,
		.len = file->len,
		.comment_chars = "#",
		.comment_anywhere = true,
	};
	enum eg_wgsection section = EG_WGSECTION_NONE;
	struct eg_line line;
	size_t done = 0;
	int result;

	while ((result = eg_lines_next(&lines, &line, error)) > 0) {
		for (; done + 1 < line.number && done < file->n_lines; done++)
			file->lines[done].section = section;
		if (done == file->n_lines) /* never: both split at the same places */
			return -EINVAL;
		take_line(&file->lines[done], &line, &section);
		file->lines[done++].section = section;
	}
	for (; done < file->n_lines; done++)
		file->lines[done].section = section;
	return result;
}

int eg_wgfile_parse(const char *text, size_t len, struct eg_wgfile **ret_file,
		    struct eg_error *error)
{
	EG_AUTO_WGFILE struct eg_wgfile *file = NULL;
	int result;

	if (len > EG_WGFILE_MAX)
		return eg_error_set(error, EG_EXIT_USAGE, EFBIG,
				    "the configuration has %zu bytes, at most %u are read", len,
				    EG_WGFILE_MAX);
	file = calloc(1, sizeof(*file));
	if (file) {
		file->text = text;
		file->len = len;
	}
	if (!file || split_lines(file) < 0)
		return eg_error_no_memory(error);
	result = read_lines(file, error);
	if (result < 0)
		return result;
	finish_lines(file);
	*ret_file = EG_TAKE(file);
	return 0;
}

void eg_wgfile_free(struct eg_wgfile *file)
{
	if (!file)
		return;
	free(file->lines);
	free(file);
}
