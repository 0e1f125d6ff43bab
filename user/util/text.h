/* SPDX-License-Identifier: GPL-2.0 */
/* A growing buffer of text, lists of strings, and text from strangers. Pure: no I/O. */
#ifndef EG_TEXT_H
#define EG_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Always NUL-terminated once anything was added. Starts as {}. `failed` stays set after the first
 * failed allocation, so that callers check once, at the end. */
struct eg_text {
	char *data;
	size_t len;
	size_t size;
	bool failed;
};

void eg_text_free(struct eg_text *text);
void eg_text_add(struct eg_text *text, const char *bytes, size_t len);
void eg_text_printf(struct eg_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Gives the buffer away (the caller frees it), NULL if an allocation failed. Never NULL otherwise.
 */
char *eg_text_take(struct eg_text *text);

/* Well-formed UTF-8 as RFC 3629, 4 has it: no surrogates, nothing longer than needed. Returns the
 * bytes of the character at `from`, 0 if it is none. `len` may be more than the string has: a NUL
 * continues no character. */
#define EG_UTF8_MAX 4 /* bytes of a character */
size_t eg_utf8_decode(const char *from, size_t len, uint32_t *ret_code);

/*
 * Makes a stranger's string safe for a terminal, a log line or a file name in a message: printable
 * ASCII and valid, printable UTF-8 stay, everything else (controls, escapes, bidirectional
 * overrides, broken UTF-8) becomes \xNN, a backslash becomes \\. Writes at most `size` bytes with
 * the final NUL, never cuts an escape in half, returns `to`. `len` may be more than the string has:
 * it ends at the first NUL.
 */
char *eg_escape(char *to, size_t size, const char *from, size_t len);

/* In place: \ooo, which stands in proc_pid_mountinfo(5) for what would end a field. */
void eg_unescape_octal(char *text);

/* The same in 'quotes', for a message that quotes what was read: a text too long for that is cut,
 * and "..." follows the closing quote. */
#define EG_QUOTE_LEN 160
char *eg_quote(char to[EG_QUOTE_LEN], const char *from, size_t len);

/* The name in `names` (NULL-terminated) that is nearest to `word` in edit distance, at most a third
 * of that name's length away; NULL if none is. Case does not count, two letters in the wrong order
 * are one edit. For "did you mean". */
const char *eg_nearest(const char *word, const char *const *names);

#define EG_AUTO_TEXT __attribute__((cleanup(eg_text_free)))

#endif /* EG_TEXT_H */
