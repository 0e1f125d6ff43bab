// SPDX-License-Identifier: GPL-2.0
/* Lines and values, as wg-quick and wg take them. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/wgcheck_internal.h"
#include "util/text.h"

#define KEY_LEN 44

/* --- lines ------------------------------------------------------------------------------------ */

static const char *nearest_key(const struct eg_token *name)
{
	const char *names[EG_WGKEY_COUNT] = {};
	char word[64] = "";

	for (int key = EG_WGKEY_NONE + 1; key < EG_WGKEY_COUNT; key++)
		names[key - 1] = eg_wgkey_name((enum eg_wgkey)key);
	if (name->len < sizeof(word))
		memcpy(word, name->text, name->len);
	return eg_nearest(word, names);
}

static void check_unknown_key(struct eg_wgchecker *checker, const struct eg_wgline *line)
{
	char quoted[EG_QUOTE_LEN];
	const char *nearest = nearest_key(&line->name);

	eg_wgfind(checker, EG_WGFINDING_UNKNOWN_LINE, eg_wgat(line, line->name.column),
		  "%s is no key of wg-quick or wg",
		  eg_quote(quoted, line->name.text, line->name.len));
	if (nearest)
		eg_wgfix(checker, "write %s, or take the line out", nearest);
	else
		eg_wgfix(checker, "take the line out, or put a '#' before it");
}

static const char *section_name(enum eg_wgsection section)
{
	return section == EG_WGSECTION_PEER ? "[Peer]" : "[Interface]";
}

static void check_place(struct eg_wgchecker *checker, const struct eg_wgline *line)
{
	enum eg_wgsection wanted = eg_wgkey_section(line->key);

	if (line->section == wanted || line->section == EG_WGSECTION_OTHER)
		return;
	eg_wgfind(checker, EG_WGFINDING_WRONG_SECTION, eg_wgat(line, line->name.column),
		  "%s belongs into %s, and stands %s%s", eg_wgkey_name(line->key),
		  section_name(wanted), line->section == EG_WGSECTION_NONE ? "" : "in ",
		  line->section == EG_WGSECTION_NONE ? "before any section"
						     : section_name(line->section));
	eg_wgfix(checker, "move the line to %s", section_name(wanted));
}

/* wg-quick compares the whole line: what wg takes for a section is none to it. */
static void check_section(struct eg_wgchecker *checker, const struct eg_wgline *line)
{
	char quoted[EG_QUOTE_LEN];

	if (line->section == EG_WGSECTION_OTHER) {
		eg_wgfind(checker, EG_WGFINDING_UNKNOWN_LINE, eg_wgat(line, line->name.column),
			  "%s is neither [Interface] nor [Peer]",
			  eg_quote(quoted, line->name.text, line->name.len));
		eg_wgfix(checker, "take the section out");
	} else if (line->section == EG_WGSECTION_INTERFACE &&
		   (line->name.text[-1] != '[' || line->name.text[line->name.len] != ']')) {
		eg_wgfind(checker, EG_WGFINDING_UNKNOWN_LINE, eg_wgat(line, line->name.column),
			  "with blanks in the brackets wg-quick does not see the section: it reads "
			  "no Address, no DNS and no hook after it");
		eg_wgfix(checker, "write [Interface]");
	}
}

static bool is_rest(const struct eg_wgline *line)
{
	return line->kind == EG_WGLINE_OTHER ||
	       (line->kind == EG_WGLINE_SETTING && line->key == EG_WGKEY_NONE);
}

static bool is_indented(const struct eg_wgline *line)
{
	return line->raw_len > 0 && (line->raw[0] == ' ' || line->raw[0] == '\t');
}

/* The hook that an indented line was meant to go on with: right above it, or above others like it.
 */
static const struct eg_wgline *find_hook(const struct eg_wgfile *file, const struct eg_wgline *line)
{
	while (line > file->lines && is_rest(line) && is_indented(line))
		line--;
	while (line > file->lines && line->kind == EG_WGLINE_CONTINUED)
		line--;
	return line->kind == EG_WGLINE_SETTING && eg_wgkey_is_hook(line->key) ? line : NULL;
}

static bool check_rest(struct eg_wgchecker *checker, const struct eg_wgline *line)
{
	const struct eg_wgline *hook = find_hook(checker->file, line);

	if (!is_rest(line) || !hook)
		return false;
	eg_wgfind(checker, EG_WGFINDING_MULTI_LINE_HOOK,
		  eg_wgat(line, (unsigned int)strspn(line->raw, " \t") + 1),
		  "this line seems to go on with %s of line %u, and wg-quick reads each line by "
		  "itself",
		  eg_wgkey_name(hook->key), hook->number);
	eg_wgfix(checker,
		 "join it to that line, with ';' or '&&' between two commands; or begin "
		 "it with '%s ='",
		 eg_wgkey_name(hook->key));
	return true;
}

static void check_line(struct eg_wgchecker *checker, const struct eg_wgline *line)
{
	if (check_rest(checker, line))
		return;
	switch (line->kind) {
	case EG_WGLINE_EMPTY:
	case EG_WGLINE_CONTINUED: /* told at the hook that it belongs to */
		break;
	case EG_WGLINE_SECTION:
		check_section(checker, line);
		break;
	case EG_WGLINE_SETTING:
		if (line->key == EG_WGKEY_NONE)
			check_unknown_key(checker, line);
		else
			check_place(checker, line);
		break;
	case EG_WGLINE_OTHER:
		eg_wgfind(checker, EG_WGFINDING_UNKNOWN_LINE, eg_wgat(line, line->value.column),
			  "this is neither a section nor a setting (it is not shown: it may be a "
			  "part of a key)");
		eg_wgfix(checker, "take the line out, put a '#' before it, or join it to the one "
				  "before");
		break;
	}
}

/* --- values ----------------------------------------------------------------------------------- */

static void wrong(struct eg_wgchecker *checker, const struct eg_wgline *line, unsigned int column,
		  const char *what, const char *fix)
{
	eg_wgfind(checker, EG_WGFINDING_WRONG_VALUE, eg_wgat(line, column), "%s: %s",
		  eg_wgkey_name(line->key), what);
	eg_wgfix(checker, "%s", fix);
}

static void wrong_word(struct eg_wgchecker *checker, const struct eg_wgline *line,
		       const struct eg_wgword *word, const struct eg_error *error)
{
	if (eg_wgword_may_hold_key(word->text))
		wrong(checker, line, word->column, "has what may be a key (it is not shown here)",
		      "a key belongs on a line of its own, behind its own name");
	else
		wrong(checker, line, word->column + (error->column ? error->column - 1 : 0),
		      error->message, "write it as the message says");
}

static void check_key(struct eg_wgchecker *checker, const struct eg_wgline *line)
{
	const struct eg_token *value = &line->value;
	bool good = value->len == KEY_LEN && value->text[KEY_LEN - 1] == '=';

	for (size_t i = 0; good && i < KEY_LEN - 1; i++)
		good = isalnum((unsigned char)value->text[i]) || value->text[i] == '+' ||
		       value->text[i] == '/';
	if (!good)
		wrong(checker, line, value->column,
		      "not a key: that is 44 characters of base64, the last of them '=' (it is not "
		      "shown here)",
		      "copy the key again, whole, on one line");
}

static void check_addresses(struct eg_wgchecker *checker, const struct eg_wgline *line)
{
	struct eg_wgword word;
	size_t at = 0;

	while (eg_wgword_next(line, &at, &word)) {
		struct eg_prefix prefix;
		union eg_addr host;
		struct eg_error error = {};
		__u8 family;

		if (line->key == EG_WGKEY_ADDRESS) {
			if (eg_prefix_parse_host(word.text, &prefix, &host, &error) < 0)
				wrong_word(checker, line, &word, &error);
		} else if (eg_wgword_is_dns_server(word.text) &&
			   eg_addr_parse(word.text, &family, &host, &error) < 0) {
			wrong_word(checker, line, &word, &error);
		}
	}
}

static void check_allowed(struct eg_wgchecker *checker, const struct eg_wgline *line)
{
	struct eg_wgword word;
	size_t at = 0;

	while (eg_wgword_between_commas(line, &at, &word)) {
		struct eg_prefix prefix;
		union eg_addr host;
		struct eg_error error = {};

		if (!*word.text)
			wrong(checker, line, word.column,
			      "nothing stands between the commas, and wg refuses that",
			      "take the comma out");
		else if (eg_prefix_parse_host(word.text, &prefix, &host, &error) < 0)
			wrong_word(checker, line, &word, &error);
	}
}

static void check_endpoint(struct eg_wgchecker *checker, const struct eg_wgline *line)
{
	struct eg_endpoint endpoint = {};
	struct eg_wgword word;
	struct eg_error error = {};
	size_t at = 0;

	eg_wgword_between_commas(line, &at, &word);
	if (eg_endpoint_parse(word.text, &endpoint, &error) < 0)
		wrong_word(checker, line, &word, &error);
	free(endpoint.host);
}

/* Figures alone, or hexadecimal ones after 0x; at most `max`. */
static bool is_number(const struct eg_token *value, bool hex, unsigned long max)
{
	char text[32] = "";
	char *end;
	unsigned long number;

	if (value->len == 0 || value->len >= sizeof(text))
		return false;
	memcpy(text, value->text, value->len);
	if (!isdigit((unsigned char)text[0]))
		return false;
	number = strtoul(text, &end, hex && text[1] == 'x' ? 16 : 10);
	return !*end && number <= max;
}

static void check_number(struct eg_wgchecker *checker, const struct eg_wgline *line)
{
	const struct eg_token *value = &line->value;

	if (line->key == EG_WGKEY_LISTEN_PORT && !is_number(value, false, 65535))
		wrong(checker, line, value->column, "not a port", "write a number up to 65535");
	if (line->key == EG_WGKEY_MTU && !is_number(value, false, 65535))
		wrong(checker, line, value->column, "not a number of bytes",
		      "write a number such as 1420, or take the line out");
	if (line->key == EG_WGKEY_FWMARK && !eg_token_is(value, "off") &&
	    !is_number(value, true, 0xffffffff))
		wrong(checker, line, value->column, "not a mark",
		      "write a number, such as 51820 or 0xca6c");
	if (line->key == EG_WGKEY_PERSISTENT_KEEPALIVE && !eg_token_is(value, "off") &&
	    !is_number(value, false, 65535))
		wrong(checker, line, value->column, "not a number of seconds",
		      "write a number up to 65535, such as 25");
	/* read_bool() of wg-quick still compares without case */
	if (line->key == EG_WGKEY_SAVE_CONFIG && !eg_token_is(value, "true") &&
	    !eg_token_is(value, "false"))
		wrong(checker, line, value->column, "neither true nor false", "write false");
	if (line->key == EG_WGKEY_SAVE_CONFIG && eg_token_is(value, "true")) {
		eg_wgfind(checker, EG_WGFINDING_SAVE_CONFIG, eg_wgat(line, line->name.column),
			  "SaveConfig = true");
		eg_wgfix(checker, "SaveConfig = false");
	}
}

static void check_value(struct eg_wgchecker *checker, const struct eg_wgline *line)
{
	if (line->kind != EG_WGLINE_SETTING || line->section != eg_wgkey_section(line->key))
		return;
	if (line->value.len == 0) {
		/* wg-quick takes an empty value of its own, wg does not */
		if (!eg_wgkey_is_quick(line->key) && line->key != EG_WGKEY_NONE)
			wrong(checker, line, line->name.column,
			      "has no value, and wg refuses a line without one",
			      "write the value, or take the line out");
		return;
	}
	switch (line->key) {
	case EG_WGKEY_PRIVATE_KEY:
	case EG_WGKEY_PUBLIC_KEY:
	case EG_WGKEY_PRESHARED_KEY:
		check_key(checker, line);
		break;
	case EG_WGKEY_ADDRESS:
	case EG_WGKEY_DNS:
		check_addresses(checker, line);
		break;
	case EG_WGKEY_ALLOWED_IPS:
		check_allowed(checker, line);
		break;
	case EG_WGKEY_ENDPOINT:
		check_endpoint(checker, line);
		break;
	case EG_WGKEY_LISTEN_PORT:
	case EG_WGKEY_FWMARK:
	case EG_WGKEY_MTU:
	case EG_WGKEY_SAVE_CONFIG:
	case EG_WGKEY_PERSISTENT_KEEPALIVE:
		check_number(checker, line);
		break;
	case EG_WGKEY_NONE:
	case EG_WGKEY_TABLE:
	case EG_WGKEY_PRE_UP:
	case EG_WGKEY_POST_UP:
	case EG_WGKEY_PRE_DOWN:
	case EG_WGKEY_POST_DOWN:
	case EG_WGKEY_COUNT:
		break;
	}
}

/* --- what must be there ----------------------------------------------------------------------- */

static unsigned int count(const struct eg_wgfile *file, enum eg_wgkey key)
{
	unsigned int n = 0;

	for (size_t i = 0; i < file->n_lines; i++)
		n += file->lines[i].kind == EG_WGLINE_SETTING && file->lines[i].key == key &&
		     file->lines[i].section == eg_wgkey_section(key);
	return n;
}

/* A [Peer] without its key: from line `at` on. */
static void check_peer(struct eg_wgchecker *checker, size_t at)
{
	const struct eg_wgfile *file = checker->file;
	size_t i;

	for (i = at + 1; i < file->n_lines && file->lines[i].kind != EG_WGLINE_SECTION; i++) {
		if (file->lines[i].kind == EG_WGLINE_SETTING &&
		    file->lines[i].key == EG_WGKEY_PUBLIC_KEY)
			return;
	}
	eg_wgfind(checker, EG_WGFINDING_MISSING, eg_wgat(&file->lines[at], 1),
		  "this [Peer] has no PublicKey, and wg refuses it");
	eg_wgfix(checker, "PublicKey = the server's public key");
}

static void check_missing(struct eg_wgchecker *checker)
{
	const struct eg_wgfile *file = checker->file;
	bool peer = false;

	for (size_t i = 0; i < file->n_lines; i++) {
		if (file->lines[i].kind != EG_WGLINE_SECTION ||
		    file->lines[i].section != EG_WGSECTION_PEER)
			continue;
		peer = true;
		check_peer(checker, i);
	}
	if (!peer) {
		eg_wgfind(checker, EG_WGFINDING_MISSING, EG_WGNOWHERE, "there is no [Peer]");
		eg_wgfix(checker, "take the file as the provider gave it");
	}
	if (!count(file, EG_WGKEY_PRIVATE_KEY)) {
		eg_wgfind(checker, EG_WGFINDING_MISSING, EG_WGNOWHERE,
			  "there is no PrivateKey in an [Interface]");
		eg_wgfix(checker, "take the file as the provider gave it");
	}
	if (!count(file, EG_WGKEY_ADDRESS)) {
		eg_wgfind(checker, EG_WGFINDING_MISSING, EG_WGNOWHERE,
			  "there is no Address in [Interface]: the tunnel has no address to send "
			  "from");
		eg_wgfix(checker, "Address = what the provider gave");
	}
}

void eg_wgcheck_format(struct eg_wgchecker *checker)
{
	if (checker->file->byte_order_mark) {
		eg_wgfind(checker, EG_WGFINDING_BYTE_ORDER_MARK, ((struct eg_wgplace){1, 1}),
			  "the file begins with a byte order mark");
		eg_wgfix(checker, "save it as UTF-8 without one (sed -i '1s/^\\xEF\\xBB\\xBF//')");
	}
	for (size_t i = 0; i < checker->file->n_lines; i++) {
		check_line(checker, &checker->file->lines[i]);
		check_value(checker, &checker->file->lines[i]);
	}
	check_missing(checker);
}
