// SPDX-License-Identifier: GPL-2.0
#include "policy/wgconf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/array.h"
#include "policy/lines.h"
#include "util/cleanup.h"

enum section {
	SECTION_OTHER,
	SECTION_INTERFACE,
	SECTION_PEER
};

/* A word of a value, copied: an address or `host:port`. */
#define WORD_MAX 320

struct word {
	char text[WORD_MAX];
	unsigned int column;
};

/* --- what must not be quoted ------------------------------------------------------------------ */

/* A key is 44 characters of base64 with a '=' at the end, or 64 hexadecimal digits. */
#define KEY_RUN_MIN 40

static bool is_key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '+' || c == '/';
}

/* Whether a key may have slipped into a place where an address belongs: two lines joined by
 * mistake, say. No address and no host name that we read has a '='. */
static bool may_hold_key(const char *text)
{
	size_t run = 0;

	for (; *text; text++) {
		run = is_key_char(*text) ? run + 1 : 0;
		if (*text == '=' || run >= KEY_RUN_MIN)
			return true;
	}
	return false;
}

/* Gives an error within a word its place in the file, and hides what may be a key. */
static int place_error(const char *key, const struct eg_line *line, const struct word *word,
		       int result, struct eg_error *error)
{
	char message[EG_ERROR_LEN];

	if (!error || result != -EINVAL)
		return result;
	if (may_hold_key(word->text))
		return eg_error_at(error, line->number, word->column,
				   "%s has what may be a key, which belongs to a line of its own "
				   "(it is not shown here)",
				   key);
	memcpy(message, error->message, sizeof(message));
	return eg_error_at(error, line->number, word->column + error->column - 1, "%s: %.*s", key,
			   EG_ERROR_LEN - 32, message);
}

/* --- words ------------------------------------------------------------------------------------ */

static bool is_separator(char c)
{
	return c == ',' || eg_is_blank(c);
}

/*
 * The next word of a value, the way wg-quick splits Address and DNS: at commas and blanks. Moves
 * *at behind it. False at the end; a word that is too long for anything we read is cut.
 */
static bool next_word(const struct eg_line *line, size_t *at, struct word *ret_word)
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
	len = to - from < WORD_MAX ? to - from : WORD_MAX - 1;
	memcpy(ret_word->text, value->text + from, len);
	ret_word->text[len] = '\0';
	ret_word->column = value->column + (unsigned int)from;
	return true;
}

/* The one word that a value has to be. What else is there is not quoted: it may be anything. */
static int only_word(const char *key, const struct eg_line *line, struct word *ret_word,
		     struct eg_error *error)
{
	size_t at = 0;
	struct word more;

	if (!next_word(line, &at, ret_word))
		return eg_error_at(error, line->number, line->value.column, "%s has no value", key);
	if (next_word(line, &at, &more))
		return eg_error_at(error, line->number, more.column,
				   "%s has more than one value, and can have only one", key);
	return 0;
}

/* --- keys ------------------------------------------------------------------------------------- */

static int out_of_memory(struct eg_error *error)
{
	return eg_error_set(error, EG_EXIT_FAILED, ENOMEM, "out of memory");
}

static int add_address(struct eg_wgconf *conf, const struct eg_line *line, const struct word *word,
		       struct eg_error *error)
{
	size_t n_hosts = conf->n_addresses;
	struct eg_prefix prefix;
	union eg_addr host;
	int result = eg_prefix_parse_host(word->text, &prefix, &host, error);

	if (result < 0)
		return place_error("Address", line, word, result, error);
	if (EG_ARRAY_ADD(conf->address_hosts, n_hosts, host) < 0 ||
	    eg_policy_add_prefix(&conf->addresses, &conf->n_addresses, &prefix) < 0)
		return out_of_memory(error);
	return 0;
}

static int read_address(struct eg_wgconf *conf, const struct eg_line *line, struct eg_error *error)
{
	size_t at = 0;
	struct word word;
	int result = 0;

	while (result == 0 && next_word(line, &at, &word))
		result = add_address(conf, line, &word, error);
	return result;
}

/* wg-quick takes what has a colon, or digits and dots alone, for a server, and the rest for search
 * domains. */
static bool is_dns_server(const char *text)
{
	return strchr(text, ':') || text[strspn(text, "0123456789.")] == '\0';
}

static int read_dns(struct eg_wgconf *conf, const struct eg_line *line, struct eg_error *error)
{
	size_t at = 0;
	struct word word;

	while (next_word(line, &at, &word)) {
		struct eg_prefix server = {};
		int result;

		if (!is_dns_server(word.text))
			continue;
		result = eg_addr_parse(word.text, &server.family, &server.addr, error);
		if (result < 0)
			return place_error("DNS", line, &word, result, error);
		server.len = eg_family_bits(server.family);
		if (eg_policy_add_prefix(&conf->dns, &conf->n_dns, &server) < 0)
			return out_of_memory(error);
	}
	return 0;
}

static int read_listen_port(struct eg_wgconf *conf, const struct eg_line *line,
			    struct eg_error *error)
{
	struct word word;
	int result = only_word("ListenPort", line, &word, error);

	if (result < 0)
		return result;
	if (strcmp(word.text, "0") == 0) { /* any: as if it were not given */
		conf->listen_port = 0;
		return 0;
	}
	result = eg_port_parse(word.text, &conf->listen_port, error);
	return result < 0 ? place_error("ListenPort", line, &word, result, error) : 0;
}

static int read_endpoint(struct eg_wgconf *conf, const struct eg_line *line, struct eg_error *error)
{
	struct eg_endpoint endpoint;
	struct word word;
	int result = only_word("Endpoint", line, &word, error);

	if (result < 0)
		return result;
	result = eg_endpoint_parse(word.text, &endpoint, error);
	if (result < 0)
		return place_error("Endpoint", line, &word, result, error);
	result = eg_policy_add_endpoint(&conf->endpoints, &conf->n_endpoints, &endpoint);
	free(endpoint.host);
	return result < 0 ? out_of_memory(error) : 0;
}

static const struct {
	enum section section;
	const char *key;
	int (*read)(struct eg_wgconf *conf, const struct eg_line *line, struct eg_error *error);
} keys[] = {
	{SECTION_INTERFACE, "Address", read_address},
	{SECTION_INTERFACE, "DNS", read_dns},
	{SECTION_INTERFACE, "ListenPort", read_listen_port},
	{SECTION_PEER, "Endpoint", read_endpoint},
};

/* --- the file --------------------------------------------------------------------------------- */

static int read_setting(struct eg_wgconf *conf, enum section section, const struct eg_line *line,
			struct eg_error *error)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (keys[i].section == section && eg_token_is(&line->name, keys[i].key))
			return keys[i].read(conf, line, error);
	}
	return 0;
}

static enum section find_section(const struct eg_line *line)
{
	if (eg_token_is(&line->name, "Interface"))
		return SECTION_INTERFACE;
	if (eg_token_is(&line->name, "Peer"))
		return SECTION_PEER;
	return SECTION_OTHER;
}

static int read_lines(struct eg_wgconf *conf, struct eg_lines *lines, struct eg_error *error)
{
	enum section section = SECTION_OTHER;
	struct eg_line line;
	int result;

	while ((result = eg_lines_next(lines, &line, error)) > 0) {
		switch (line.kind) {
		case EG_LINE_SECTION:
			section = find_section(&line);
			break;
		case EG_LINE_SETTING:
			result = read_setting(conf, section, &line, error);
			break;
		case EG_LINE_OTHER:
			if (line.value.text[0] == '[')
				section = SECTION_OTHER;
			break;
		}
		if (result < 0)
			break;
	}
	return result;
}

int eg_wgconf_parse(const char *text, size_t len, struct eg_wgconf **ret_conf,
		    struct eg_error *error)
{
	EG_AUTO_WGCONF struct eg_wgconf *conf = NULL;
	struct eg_lines lines = {
		.text = text,
		.len = len,
		.comment_chars = "#",
		.comment_anywhere = true,
	};
	int result;

	if (len > EG_WGCONF_MAX)
		return eg_error_set(error, EG_EXIT_USAGE, EFBIG,
				    "the configuration has %zu bytes, at most %u are read", len,
				    EG_WGCONF_MAX);
	conf = calloc(1, sizeof(*conf));
	if (!conf)
		return out_of_memory(error);
	result = read_lines(conf, &lines, error);
	if (result < 0)
		return result;
	*ret_conf = EG_TAKE(conf);
	return 0;
}

void eg_wgconf_free(struct eg_wgconf *conf)
{
	if (!conf)
		return;
	for (size_t i = 0; i < conf->n_endpoints; i++)
		free(conf->endpoints[i].host);
	free(conf->addresses);
	free(conf->address_hosts);
	free(conf->dns);
	free(conf->endpoints);
	free(conf);
}
