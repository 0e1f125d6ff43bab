// SPDX-License-Identifier: GPL-2.0
#include "oci/hooks.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

struct reader {
	const char *text;
	size_t len;
	size_t at;
};

/* --- pieces of JSON -----------------------------------------------------------------------------
 */

/* The next byte that is no space, '\0' at the end. */
static char peek(struct reader *reader)
{
	while (reader->at < reader->len && strchr(" \t\r\n", reader->text[reader->at]) &&
	       reader->text[reader->at])
		reader->at++;
	return reader->at < reader->len ? reader->text[reader->at] : '\0';
}

static bool take(struct reader *reader, char wanted)
{
	if (peek(reader) != wanted)
		return false;
	reader->at++;
	return true;
}

static bool skip_string(struct reader *reader)
{
	if (!take(reader, '"'))
		return false;
	for (; reader->at < reader->len; reader->at++) {
		char here = reader->text[reader->at];

		if (here == '\\')
			reader->at++;
		else if (here == '"')
			return reader->at++, true;
	}
	return false;
}

static bool skip_word(struct reader *reader)
{
	size_t start = reader->at;

	while (reader->at < reader->len && reader->text[reader->at] &&
	       !strchr(" \t\r\n,:[]{}\"", reader->text[reader->at]))
		reader->at++;
	return reader->at > start;
}

/* What kind of bracket closes what is not looked at: that it is JSON is for its reader to say. */
static bool skip_value(struct reader *reader)
{
	size_t depth = 0;

	do {
		char here = peek(reader);
		bool fine = true;

		if (here == '{' || here == '[') {
			depth++;
			reader->at++;
		} else if ((here == '}' || here == ']') && depth) {
			depth--;
			reader->at++;
		} else if ((here == ',' || here == ':') && depth) {
			reader->at++;
		} else if (here == '"') {
			fine = skip_string(reader);
		} else {
			fine = skip_word(reader);
		}
		if (!fine)
			return false;
	} while (depth);
	return true;
}

/* --- members
 * -------------------------------------------------------------------------------------- */

struct place {
	size_t start, end; /* of the value; 0: there is no such member */
	size_t inside;     /* after the object's opening brace */
	bool empty;        /* the object has no member */
};

static int malformed(struct eg_error *error, const char *what, const char *key)
{
	return eg_error_set(error, EG_EXIT_FAILED, EBADMSG,
			    "config.json: %s%s%s: no hook can be put there, and the container is "
			    "not started without",
			    what, *key ? " " : "", key);
}

/* A reader may take a key in other letters, or escaped, for the same; and the last of two. */
static bool may_be(const char *name, size_t len, const char *key)
{
	return memchr(name, '\\', len) || (len == strlen(key) && strncasecmp(name, key, len) == 0);
}

static int take_member(struct reader *reader, const char *key, struct place *place,
		       struct eg_error *error)
{
	size_t start, len;
	bool named;

	peek(reader);
	start = reader->at + 1;
	if (!skip_string(reader))
		return malformed(error, "it is no JSON", "");
	len = reader->at - 1 - start;
	named = may_be(reader->text + start, len, key);
	if (named && (place->end || strncmp(reader->text + start, key, len) != 0))
		return malformed(error, "it has, twice or in other letters, the member", key);
	if (!take(reader, ':'))
		return malformed(error, "it is no JSON", "");
	peek(reader);
	start = reader->at;
	if (!skip_value(reader))
		return malformed(error, "it is no JSON", "");
	if (named) {
		place->start = start;
		place->end = reader->at;
	}
	return 0;
}

/* Where the object at the reader's place has `key`. */
static int find_member(struct reader *reader, const char *key, struct place *ret_place,
		       struct eg_error *error)
{
	struct place place = {};

	if (!take(reader, '{'))
		return malformed(error, "no object where one should be, around", key);
	place.inside = reader->at;
	place.empty = take(reader, '}');
	while (!place.empty) {
		int result = take_member(reader, key, &place, error);

		if (result < 0)
			return result;
		if (take(reader, '}'))
			break;
		if (!take(reader, ','))
			return malformed(error, "it is no JSON", "");
	}
	*ret_place = place;
	return 0;
}

static bool is_null(const struct reader *reader, const struct place *place)
{
	return place->end - place->start == 4 &&
	       strncmp(reader->text + place->start, "null", 4) == 0;
}

/* --- the hook
 * ---------------------------------------------------------------------------------------
 */

/* `to` gets the text with `new` in the place of what is from `start` to `end`. */
static int splice(const struct reader *reader, size_t start, size_t end, const struct eg_text *new,
		  struct eg_text *to, struct eg_error *error)
{
	eg_text_add(to, reader->text, start);
	eg_text_add(to, new->data, new->len);
	eg_text_add(to, reader->text + end, reader->len - end);
	return new->failed || to->failed ? eg_error_no_memory(error) : 0;
}

/* Into a list that is there. */
static int add_to_list(struct reader *reader, const struct place *list,
		       const struct eg_oci_hook *hook, struct eg_text *to, struct eg_error *error)
{
	EG_AUTO_TEXT struct eg_text new = {};
	size_t at = list->start + 1;
	bool empty;

	reader->at = list->start;
	if (!take(reader, '['))
		return malformed(error, "no list where one should be: hooks", hook->stage);
	empty = peek(reader) == ']';
	if (!hook->first)
		at = list->end - 1;
	eg_text_printf(&new, "%s%s%s", empty || hook->first ? "" : ",", hook->text,
		       empty || !hook->first ? "" : ",");
	return splice(reader, at, at, &new, to, error);
}

/* A member that is not there yet, or is null. */
static int add_member(const struct reader *reader, const struct place *place, const char *member,
		      const char *value, struct eg_text *to, struct eg_error *error)
{
	EG_AUTO_TEXT struct eg_text new = {};

	if (place->end) {
		eg_text_printf(&new, "%s", value);
		return splice(reader, place->start, place->end, &new, to, error);
	}
	eg_text_printf(&new, "\"%s\":%s%s", member, value, place->empty ? "" : ",");
	return splice(reader, place->inside, place->inside, &new, to, error);
}

int eg_oci_hooks_add(const char *config, size_t len, const struct eg_oci_hook *hook,
		     struct eg_text *ret_config, struct eg_error *error)
{
	EG_AUTO_TEXT struct eg_text hooks_value = {}, list_value = {};
	struct reader reader = {.text = config, .len = len};
	struct place hooks = {}, list = {};
	int result = find_member(&reader, "hooks", &hooks, error);

	if (result < 0)
		return result;
	if (peek(&reader))
		return malformed(error, "something follows its end", "");
	eg_text_printf(&list_value, "[%s]", hook->text);
	eg_text_printf(&hooks_value, "{\"%s\":[%s]}", hook->stage, hook->text);
	if (list_value.failed || hooks_value.failed)
		return eg_error_no_memory(error);
	if (!hooks.end || is_null(&reader, &hooks))
		return add_member(&reader, &hooks, "hooks", hooks_value.data, ret_config, error);
	reader.at = hooks.start;
	result = find_member(&reader, hook->stage, &list, error);
	if (result < 0)
		return result;
	if (!list.end || is_null(&reader, &list))
		return add_member(&reader, &list, hook->stage, list_value.data, ret_config, error);
	return add_to_list(&reader, &list, hook, ret_config, error);
}
