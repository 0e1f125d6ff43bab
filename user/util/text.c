// SPDX-License-Identifier: GPL-2.0
#include "util/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- a growing buffer ------------------------------------------------------------------------- */

#define ROOM_MIN 256

void eg_text_free(struct eg_text *text)
{
	free(text->data);
	*text = (struct eg_text){};
}

/* Makes room for `more` bytes and a NUL. */
static bool make_room(struct eg_text *text, size_t more)
{
	size_t size = text->size ? text->size : ROOM_MIN;
	char *data;

	if (text->failed)
		return false;
	if (more >= SIZE_MAX / 4 - text->len) {
		text->failed = true;
		return false;
	}
	while (size < text->len + more + 1)
		size *= 2;
	if (size == text->size)
		return true;
	data = realloc(text->data, size);
	if (!data) {
		text->failed = true;
		return false;
	}
	text->data = data;
	text->size = size;
	return true;
}

void eg_text_add(struct eg_text *text, const char *bytes, size_t len)
{
	if (!make_room(text, len))
		return;
	if (len)
		memcpy(text->data + text->len, bytes, len);
	text->len += len;
	text->data[text->len] = '\0';
}

void eg_text_printf(struct eg_text *text, const char *format, ...)
{
	va_list args;
	va_list again;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	if (len < 0)
		text->failed = true;
	else if (make_room(text, (size_t)len))
		text->len +=
			(size_t)vsnprintf(text->data + text->len, (size_t)len + 1, format, again);
	va_end(again);
	va_end(args);
}

char *eg_text_take(struct eg_text *text)
{
	char *data;

	eg_text_add(text, "", 0);
	if (text->failed) {
		eg_text_free(text);
		return NULL;
	}
	data = text->data;
	*text = (struct eg_text){};
	return data;
}

/* --- text from strangers ---------------------------------------------------------------------- */

size_t eg_utf8_decode(const char *from, size_t len, uint32_t *ret_code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char first = (unsigned char)from[0];
	size_t bytes = first < 0x80   ? 1
		       : first < 0xc0 ? 0
		       : first < 0xe0 ? 2
		       : first < 0xf0 ? 3
		       : first < 0xf8 ? 4
				      : 0;
	uint32_t code = first;

	if (bytes == 0 || bytes > len)
		return 0;
	if (bytes > 1)
		code &= 0x7fU >> bytes;
	for (size_t i = 1; i < bytes; i++) {
		if (((unsigned char)from[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | ((unsigned char)from[i] & 0x3f);
	}
	if (code < least[bytes] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return bytes;
}

/* Controls, and what changes or hides the text around it: directions, invisible and zero-width
 * characters, separators of lines, variation selectors, tags; private use and noncharacters. */
static bool is_unprintable(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0x0000, 0x001f},   {0x007f, 0x009f},    {0x00ad, 0x00ad},   {0x034f, 0x034f},
		{0x061c, 0x061c},   {0x115f, 0x1160},    {0x17b4, 0x17b5},   {0x180b, 0x180f},
		{0x200b, 0x200f},   {0x2028, 0x202e},    {0x2060, 0x206f},   {0x3164, 0x3164},
		{0xe000, 0xf8ff},   {0xfdd0, 0xfdef},    {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},
		{0xffa0, 0xffa0},   {0xfff0, 0xfffb},    {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
		{0xe0000, 0xe0fff}, {0xf0000, 0x10ffff},
	};

	if ((code & 0xfffe) == 0xfffe)
		return true;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if (code >= ranges[i].first && code <= ranges[i].last)
			return true;
	}
	return false;
}

/* Writes the next character, or the escape of the next byte, and says how much of `from` it was. */
static size_t escape_one(char piece[8], const char *from, size_t len)
{
	uint32_t code;
	size_t bytes = eg_utf8_decode(from, len, &code);

	if (bytes == 1 && code == '\\') {
		memcpy(piece, "\\\\", 3);
	} else if (bytes && !is_unprintable(code)) {
		memcpy(piece, from, bytes);
		piece[bytes] = '\0';
	} else {
		snprintf(piece, 8, "\\x%02x", (unsigned char)*from);
		bytes = 1;
	}
	return bytes;
}

/* Returns whether all of `from` had room. */
static bool escape(char *to, size_t size, const char *from, size_t len)
{
	size_t used = 0;
	size_t at = 0;

	len = strnlen(from, len);
	while (at < len) {
		char piece[8];
		size_t bytes = escape_one(piece, from + at, len - at);
		size_t piece_len = strlen(piece);

		if (piece_len >= size - used)
			break;
		memcpy(to + used, piece, piece_len);
		used += piece_len;
		at += bytes;
	}
	to[used] = '\0';
	return at == len;
}

char *eg_escape(char *to, size_t size, const char *from, size_t len)
{
	if (size)
		escape(to, size, from, len);
	return to;
}

char *eg_quote(char to[EG_QUOTE_LEN], const char *from, size_t len)
{
	bool whole = escape(to + 1, EG_QUOTE_LEN - sizeof("''...") + 1, from, len);

	to[0] = '\'';
	strcat(to, whole ? "'" : "'...");
	return to;
}

/* --- "did you mean" --------------------------------------------------------------------------- */

/* No name of ours is longer, so nothing longer is near one. */
#define WORD_MAX 48

static size_t least_of(size_t a, size_t b)
{
	return a < b ? a : b;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Insertions, deletions, changes and swaps of neighbours (optimal string alignment). */
static size_t edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before_last = rows[0];
	size_t *last = rows[1];
	size_t *row = rows[2];

	for (size_t j = 0; j <= b_len; j++)
		last[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t *unused = before_last;

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			bool same = lower(a[i - 1]) == lower(b[j - 1]);

			row[j] = least_of(last[j - 1] + !same, least_of(last[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
			    lower(a[i - 2]) == lower(b[j - 1]))
				row[j] = least_of(row[j], before_last[j - 2] + 1);
		}
		before_last = last;
		last = row;
		row = unused;
	}
	return last[b_len];
}

const char *eg_nearest(const char *word, const char *const *names)
{
	size_t len = strnlen(word, WORD_MAX + 1);
	const char *nearest = NULL;
	size_t least = SIZE_MAX;

	if (len > WORD_MAX)
		return NULL;
	for (; *names; names++) {
		size_t name_len = strnlen(*names, WORD_MAX + 1);
		size_t distance;

		if (name_len > WORD_MAX)
			continue;
		distance = edit_distance(word, len, *names, name_len);
		if (distance <= name_len / 3 && distance < least) {
			nearest = *names;
			least = distance;
		}
	}
	return nearest;
}

static bool is_octal_byte(const char *text)
{
	return text[0] >= '0' && text[0] <= '3' && text[1] >= '0' && text[1] <= '7' &&
	       text[2] >= '0' && text[2] <= '7';
}

void eg_unescape_octal(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (text[0] == '\\' && is_octal_byte(text + 1)) {
			*to++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 |
				       (text[3] - '0'));
			text += 3;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}
