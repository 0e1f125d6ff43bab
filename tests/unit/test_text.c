// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "util/text.h"

static void text_grows(void **state)
{
	struct eg_text text = {};
	char *whole;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		eg_text_printf(&text, "%d,", i);
		eg_text_add(&text, "xyz", 2);
		assert_int_equal(strlen(text.data), text.len);
	}
	assert_false(text.failed);
	assert_memory_equal(text.data, "0,xy1,xy2,xy", 12);
	assert_string_equal(text.data + text.len - 9, "xy9999,xy");
	whole = eg_text_take(&text);
	assert_non_null(whole);
	assert_null(text.data);
	assert_int_equal(text.len, 0);
	free(whole);
}

static void text_at_every_length(void **state)
{
	static const char bytes[1100] = {};

	(void)state;
	/* the buffer is full to its last byte at some of these */
	for (size_t len = 0; len < sizeof(bytes); len++) {
		EG_AUTO_TEXT struct eg_text text = {};
		EG_AUTO_TEXT struct eg_text printed = {};

		eg_text_add(&text, bytes, len);
		assert_int_equal(text.len, len);
		assert_int_equal(text.data[len], 0);
		eg_text_printf(&printed, "%*s", (int)len, "");
		assert_int_equal(printed.len, len);
		assert_int_equal(strlen(printed.data), len);
	}
}

static void text_empty_is_not_null(void **state)
{
	struct eg_text text = {};
	char *whole = eg_text_take(&text);

	(void)state;
	assert_non_null(whole);
	assert_string_equal(whole, "");
	free(whole);
}

static void text_failure_stays(void **state)
{
	struct eg_text text = {};

	(void)state;
	eg_text_add(&text, "abc", 3);
	eg_text_add(&text, "", SIZE_MAX / 2);
	assert_true(text.failed);
	eg_text_add(&text, "def", 3);
	assert_true(text.failed);
	assert_int_equal(text.len, 3);
	assert_null(eg_text_take(&text));
	assert_null(text.data);
	eg_text_free(&text);
}

static const struct {
	const char *from;
	const char *to;
} escapes[] = {
	{"", ""},
	{"wg0", "wg0"},
	{"a b~!'\"", "a b~!'\""},
	{"back\\slash", "back\\\\slash"},
	{"\x1b[31mred", "\\x1b[31mred"},
	{"a\nb\tc\rd\x7f", "a\\x0ab\\x09c\\x0dd\\x7f"},
	{"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7"},
	{"\xc2\x9b"
	 "31m",
	 "\\xc2\\x9b31m"}, /* C1: CSI in eight bits */
	{"\xe2\x80\xae"
	 "gpj",
	 "\\xe2\\x80\\xaegpj"},                /* U+202E */
	{"\xe2\x81\xa6x", "\\xe2\\x81\\xa6x"}, /* U+2066 */
	{"a\xe2\x80\x8b"
	 "b",
	 "a\\xe2\\x80\\x8bb"},                          /* U+200B */
	{"\xef\xbb\xbfx", "\\xef\\xbb\\xbfx"},          /* U+FEFF */
	{"\xc2\xadx", "\\xc2\\xadx"},                   /* U+00AD */
	{"\xd8\x9cx", "\\xd8\\x9cx"},                   /* U+061C */
	{"\xe2\x80\xa8x", "\\xe2\\x80\\xa8x"},          /* U+2028 */
	{"\xf3\xa0\x80\x81x", "\\xf3\\xa0\\x80\\x81x"}, /* U+E0001 */
	{"\xee\x80\x80", "\\xee\\x80\\x80"},            /* private use */
	{"\xef\xbf\xbf", "\\xef\\xbf\\xbf"},            /* U+FFFF */
	{"\xc0\xaf", "\\xc0\\xaf"},                     /* too long for its value */
	{"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},
	{"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* a surrogate */
	{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* over U+10FFFF */
	{"\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80"},
	{"\x80\xbf", "\\x80\\xbf"},
	{"\xc3", "\\xc3"},
	{"\xe2\x82", "\\xe2\\x82"},
	{"\xc3(", "\\xc3("},
	{"\xe2\x82\xc3\xa9", "\\xe2\\x82\xc3\xa9"},
};

static void escapes_what_is_unsafe(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
		char to[256];

		assert_ptr_equal(
			eg_escape(to, sizeof(to), escapes[i].from, strlen(escapes[i].from)), to);
		assert_string_equal(to, escapes[i].to);
		assert_string_equal(eg_escape(to, sizeof(to), escapes[i].from, 1000),
				    escapes[i].to);
	}
}

static void escape_reads_no_further(void **state)
{
	/* exact allocations, so that ASan sees a byte too much */
	char *from = malloc(2);
	char to[32];

	(void)state;
	assert_non_null(from);
	memcpy(from, "\xe2\x82", 2);
	assert_string_equal(eg_escape(to, sizeof(to), from, 2), "\\xe2\\x82");
	memcpy(from, "ab", 2);
	assert_string_equal(eg_escape(to, sizeof(to), from, 2), "ab");
	assert_string_equal(eg_escape(to, sizeof(to), from, 1), "a");
	assert_string_equal(eg_escape(to, sizeof(to), from, 0), "");
	free(from);
}

/* Whatever the room, what is written is the beginning of the whole, cut between pieces. */
static void escape_cuts_between_pieces(void **state)
{
	static const char from[] = "a\x1b\xc3\xa9\\z";
	static const size_t ends[] = {0, 1, 5, 7, 9, 10};
	static const char whole[] = "a\\x1b\xc3\xa9\\\\z";

	(void)state;
	for (size_t size = 1; size <= sizeof(whole); size++) {
		char *to = malloc(size);
		size_t expected = 0;

		assert_non_null(to);
		for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
			if (ends[i] < size)
				expected = ends[i];
		}
		eg_escape(to, size, from, sizeof(from));
		assert_int_equal(strlen(to), expected);
		assert_memory_equal(to, whole, expected);
		free(to);
	}
	assert_null(eg_escape(NULL, 0, from, sizeof(from)));
}

static void random_bytes_come_out_printable(void **state)
{
	uint32_t seed = 12345;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		char from[24];
		char to[40];

		for (size_t i = 0; i < sizeof(from); i++) {
			seed = seed * 1664525 + 1013904223;
			from[i] = (char)(seed >> 24);
		}
		eg_escape(to, sizeof(to), from, sizeof(from));
		for (size_t i = 0; to[i]; i++)
			assert_true((unsigned char)to[i] >= 0x20 && to[i] != 0x7f);
	}
}

static void quotes(void **state)
{
	char long_text[400];
	char to[EG_QUOTE_LEN];
	size_t len;

	(void)state;
	assert_string_equal(eg_quote(to, "wg0 and more", 3), "'wg0'");
	assert_string_equal(eg_quote(to, "", 0), "''");
	assert_string_equal(eg_quote(to, "a\x1b", 2), "'a\\x1b'");
	memset(long_text, 'x', sizeof(long_text));
	eg_quote(to, long_text, sizeof(long_text));
	len = strlen(to);
	assert_true(len < EG_QUOTE_LEN && len > EG_QUOTE_LEN - 8);
	assert_string_equal(to + len - 5, "x'...");
	eg_quote(to, long_text, EG_QUOTE_LEN - 6);
	assert_string_equal(to + strlen(to) - 2, "x'");
}

static const struct {
	const char *word;
	const char *nearest;
} words[] = {
	{"Tunnel", "Tunnel"},
	{"tunnel", "Tunnel"},
	{"Tunel", "Tunnel"},
	{"Tunnnel", "Tunnel"},
	{"Tunenl", "Tunnel"}, /* a swap */
	{"Allwo", "Allow"},
	{"alow", "Allow"},
	{"AllowDsn", "AllowDns"},
	{"AllowDchp", "AllowDhcp"},
	{"Dsn", "Dns"},
	{"Dnx", "Dns"},
	{"Dxx", NULL}, /* two of three */
	{"Gateway", NULL},
	{"", NULL},
	{"AllowAllowAllowAllowAllowAllowAllowAllowAllowAllowAllowAllowAllow", NULL},
};

static void finds_the_nearest(void **state)
{
	static const char *const names[] = {"Tunnel",    "Allow", "AllowDns",
					    "AllowDhcp", "Dns",   NULL};
	static const char *const none[] = {NULL};

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *nearest = eg_nearest(words[i].word, names);

		if (words[i].nearest) {
			assert_non_null(nearest);
			assert_string_equal(nearest, words[i].nearest);
		} else {
			assert_null(nearest);
		}
	}
	assert_null(eg_nearest("x", none));
}

static void unescapes_octal(void **state)
{
	static const struct {
		const char *from, *to;
	} texts[] = {
		{"/plain", "/plain"}, {"a\\040b", "a b"},     {"\\134\\012", "\\\n"},
		{"\\377", "\xff"},    {"\\400", "\\400"},     {"\\08", "\\08"},
		{"end\\", "end\\"},   {"end\\04", "end\\04"}, {"\\048", "\\048"},
	};
	char text[32];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		snprintf(text, sizeof(text), "%s", texts[i].from);
		eg_unescape_octal(text);
		assert_string_equal(text, texts[i].to);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_grows),
		cmocka_unit_test(text_at_every_length),
		cmocka_unit_test(text_empty_is_not_null),
		cmocka_unit_test(text_failure_stays),
		cmocka_unit_test(escapes_what_is_unsafe),
		cmocka_unit_test(escape_reads_no_further),
		cmocka_unit_test(escape_cuts_between_pieces),
		cmocka_unit_test(random_bytes_come_out_printable),
		cmocka_unit_test(quotes),
		cmocka_unit_test(finds_the_nearest),
		cmocka_unit_test(unescapes_octal),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
