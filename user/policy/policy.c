// SPDX-License-Identifier: GPL-2.0
#include "policy/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policy/address.h"
#include "policy/array.h"
#include "policy/keys.h"
#include "util/cleanup.h"

#define LINE_MAX_BYTES 4096

const struct eg_policy_key_info eg_policy_keys[EG_KEY_COUNT] = {
#define X(id, section, key, option, repeats, argument, help)                                       \
	[EG_KEY_##id] = {section, key, option, repeats, argument, help},
	EG_POLICY_KEYS(X)
#undef X
};

#define N_SECTIONS 3
static const char *const sections[N_SECTIONS + 1] = {"Guard", "Lan", "WireGuard", NULL};
static const char derived_section[] = "Derived";

/* --- a policy's memory ------------------------------------------------------------------------ */

int eg_policy_new(struct eg_policy **ret_policy)
{
	struct eg_policy *policy = calloc(1, sizeof(*policy));

	if (!policy)
		return -ENOMEM;
	policy->mode = EG_MODE_ENFORCE;
	policy->on_block = EG_ON_BLOCK_DROP;
	policy->lan = true;
	policy->dns = EG_DNS_AUTO;
	policy->endpoint_shape = EG_SHAPE_WIREGUARD;
	*ret_policy = policy;
	return 0;
}

static void free_endpoints(struct eg_endpoint **array, size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		free((*array)[i].host);
	free(*array);
	*array = NULL;
	*n = 0;
}

static void free_tunnels(struct eg_policy *policy)
{
	for (size_t i = 0; i < policy->n_tunnels; i++)
		free(policy->tunnels[i]);
	policy->n_tunnels = 0;
}

void eg_policy_free(struct eg_policy *policy)
{
	if (!policy)
		return;
	free(policy->target);
	free_tunnels(policy);
	free(policy->allow);
	free(policy->deny);
	free(policy->allow_dns);
	free(policy->wg_conf);
	free_endpoints(&policy->endpoints, &policy->n_endpoints);
	free_endpoints(&policy->derived.endpoints, &policy->derived.n_endpoints);
	free_endpoints(&policy->derived.names, &policy->derived.n_names);
	free(policy->bootstrap_dns);
	free(policy->derived.peers);
	free(policy->derived.tunnel_only);
	free(policy->derived.sources);
	free(policy->derived.on_link);
	free(policy);
}

int eg_policy_add_endpoint(struct eg_endpoint **array, size_t *n,
			   const struct eg_endpoint *endpoint)
{
	EG_AUTO_FREE char *host = NULL;
	struct eg_endpoint copy = *endpoint;

	if (endpoint->host) {
		host = strdup(endpoint->host);
		if (!host)
			return -ENOMEM;
	}
	copy.host = host;
	if (EG_ARRAY_ADD(*array, *n, copy) < 0)
		return -ENOMEM;
	host = NULL;
	return 0;
}

int eg_policy_add_prefix(struct eg_prefix **array, size_t *n, const struct eg_prefix *prefix)
{
	return EG_ARRAY_ADD(*array, *n, *prefix);
}

bool eg_policy_has_tunnel(const struct eg_policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->n_tunnels; i++) {
		if (strcmp(policy->tunnels[i], name) == 0)
			return true;
	}
	return false;
}

enum eg_dns eg_policy_dns(const struct eg_policy *policy)
{
	if (policy->dns != EG_DNS_AUTO)
		return policy->dns;
	return policy->derived.dns_servers || policy->n_bootstrap_dns ? EG_DNS_TUNNEL : EG_DNS_LAN;
}

/* --- the file, read --------------------------------------------------------------------------- */

struct reader {
	struct eg_policy *policy;
	const char *section; /* of `sections`, or derived_section; NULL: none yet */
	bool derived;
	unsigned int first_lines[EG_KEY_COUNT]; /* where a key was first set, 0: not yet */
	struct eg_error *error;
};

static char *quote_token(char to[EG_QUOTE_LEN], const struct eg_token *token)
{
	return eg_quote(to, token->text, token->len);
}

/* Whatever of `names` the token may have meant. */
static const char *nearest_token(const struct eg_token *token, const char *const *names)
{
	char word[64];

	if (token->len >= sizeof(word))
		return NULL;
	memcpy(word, token->text, token->len);
	word[token->len] = '\0';
	return eg_nearest(word, names);
}

static int read_section(struct reader *reader, const struct eg_line *line)
{
	const struct eg_token *name = &line->name;
	const char *nearest = nearest_token(name, sections);
	char quoted[EG_QUOTE_LEN];

	for (size_t i = 0; i < N_SECTIONS; i++) {
		if (eg_token_is(name, sections[i])) {
			reader->section = sections[i];
			return 0;
		}
	}
	if (eg_token_is(name, derived_section)) {
		reader->section = derived_section;
		if (reader->derived)
			return 0;
		return eg_error_at(reader->error, line->number, name->column,
				   "the section 'Derived' is what egressguard found out by itself: "
				   "a policy file cannot have one");
	}
	if (nearest)
		return eg_error_at(reader->error, line->number, name->column,
				   "unknown section %s: did you mean '%s'?",
				   quote_token(quoted, name), nearest);
	return eg_error_at(reader->error, line->number, name->column,
			   "unknown section %s: there are [Guard], [Lan] and [WireGuard]",
			   quote_token(quoted, name));
}

/* The key of this name in `section`, or in any if that is NULL. EG_KEY_COUNT: there is none. */
static enum eg_policy_key_id find_key(const char *section, const struct eg_token *name)
{
	unsigned int i;

	for (i = 0; i < EG_KEY_COUNT; i++) {
		if ((!section || strcmp(eg_policy_keys[i].section, section) == 0) &&
		    eg_token_is(name, eg_policy_keys[i].key))
			break;
	}
	return (enum eg_policy_key_id)i;
}

/* The keys of `section`, or all of them, as a NULL-terminated list. */
static void list_keys(const char *section, const char *names[EG_KEY_COUNT + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < EG_KEY_COUNT; i++) {
		if (!section || strcmp(eg_policy_keys[i].section, section) == 0)
			names[n++] = eg_policy_keys[i].key;
	}
	names[n] = NULL;
}

static const char *section_of(const char *key)
{
	const struct eg_token token = {.text = key, .len = strlen(key)};

	return eg_policy_keys[find_key(NULL, &token)].section;
}

static int unknown_key(const struct reader *reader, const struct eg_line *line)
{
	const char *names[EG_KEY_COUNT + 1];
	enum eg_policy_key_id elsewhere = find_key(NULL, &line->name);
	const char *nearest;
	char quoted[EG_QUOTE_LEN];

	quote_token(quoted, &line->name);
	if (elsewhere != EG_KEY_COUNT)
		return eg_error_at(reader->error, line->number, line->name.column,
				   "%s belongs to the section [%s], not to [%s]", quoted,
				   eg_policy_keys[elsewhere].section, reader->section);
	list_keys(reader->section, names);
	nearest = nearest_token(&line->name, names);
	if (nearest)
		return eg_error_at(reader->error, line->number, line->name.column,
				   "unknown key %s: did you mean '%s'?", quoted, nearest);
	list_keys(NULL, names);
	nearest = nearest_token(&line->name, names);
	if (nearest)
		return eg_error_at(reader->error, line->number, line->name.column,
				   "unknown key %s: did you mean '%s', in the section [%s]?",
				   quoted, nearest, section_of(nearest));
	return eg_error_at(reader->error, line->number, line->name.column,
			   "unknown key %s in the section [%s]: egressguard.conf(5) lists the keys",
			   quoted, reader->section);
}

/* Whether what cannot be read ends in what looks like a comment; where. */
static const char *trailing_comment(const char *value)
{
	for (const char *at = value; *at; at++) {
		if ((*at == '#' || *at == ';') && at > value && eg_is_blank(at[-1]))
			return at;
	}
	return NULL;
}

/* An error within a value becomes one within the file. */
static int place_error(const struct reader *reader, const struct eg_line *line, const char *value,
		       int result)
{
	const char *comment = trailing_comment(value);
	char quoted[EG_QUOTE_LEN];

	if (!reader->error || result != -EINVAL || reader->error->line == 0)
		return result;
	if (comment)
		return eg_error_at(reader->error, line->number,
				   line->value.column + (unsigned int)(comment - value),
				   "%s after a value: a comment stands on a line of its own",
				   eg_quote(quoted, comment, strlen(comment)));
	reader->error->line = line->number;
	reader->error->column += line->value.column - 1;
	return result;
}

static int set_derived(struct reader *reader, const struct eg_line *line, const char *value)
{
	char quoted[EG_QUOTE_LEN];
	int result =
		eg_policy_set_derived(&reader->policy->derived, &line->name, value, reader->error);

	if (result != -ENOENT)
		return place_error(reader, line, value, result);
	return eg_error_at(reader->error, line->number, line->name.column,
			   "unknown key %s in the section [Derived]",
			   quote_token(quoted, &line->name));
}

static int set_key(struct reader *reader, const struct eg_line *line, const char *value)
{
	enum eg_policy_key_id key = find_key(reader->section, &line->name);
	int result;

	if (key == EG_KEY_COUNT)
		return unknown_key(reader, line);
	if (reader->first_lines[key] && !eg_policy_keys[key].repeats)
		return eg_error_at(reader->error, line->number, line->name.column,
				   "%s is already set in line %u, and can be set only once",
				   eg_policy_keys[key].key, reader->first_lines[key]);
	result = place_error(reader, line, value,
			     eg_policy_set(reader->policy, key, value, reader->error));
	if (result == 0 && !reader->first_lines[key])
		reader->first_lines[key] = line->number;
	return result;
}

static int read_setting(struct reader *reader, const struct eg_line *line)
{
	char value[LINE_MAX_BYTES + 1];
	char quoted[EG_QUOTE_LEN];

	if (line->name.len == 0)
		return eg_error_at(reader->error, line->number, line->name.column,
				   "a key is missing before the '='");
	if (!reader->section) {
		enum eg_policy_key_id key = find_key(NULL, &line->name);

		quote_token(quoted, &line->name);
		if (key == EG_KEY_COUNT)
			return eg_error_at(reader->error, line->number, line->name.column,
					   "%s stands before any section: there are [Guard], [Lan] "
					   "and [WireGuard]",
					   quoted);
		return eg_error_at(reader->error, line->number, line->name.column,
				   "%s stands before any section: write [%s] above it", quoted,
				   eg_policy_keys[key].section);
	}
	memcpy(value, line->value.text, line->value.len);
	value[line->value.len] = '\0';
	if (reader->section == derived_section)
		return set_derived(reader, line, value);
	return set_key(reader, line, value);
}

/* A line that is neither a section nor a setting. */
static int refuse_line(const struct reader *reader, const struct eg_line *line)
{
	const struct eg_token *token = &line->value;
	const char *close = memchr(token->text, ']', token->len);
	struct eg_token junk;
	char quoted[EG_QUOTE_LEN];

	if (token->text[0] != '[')
		return eg_error_at(reader->error, line->number, token->column,
				   "%s is neither a section nor 'Key = value'",
				   quote_token(quoted, token));
	if (!close)
		return eg_error_at(reader->error, line->number, token->column,
				   "the section %s lacks its ']'", quote_token(quoted, token));
	for (junk.text = close + 1; eg_is_blank(*junk.text);)
		junk.text++;
	junk.len = token->len - (size_t)(junk.text - token->text);
	junk.column = token->column + (unsigned int)(junk.text - token->text);
	return eg_error_at(reader->error, line->number, junk.column,
			   "%s after a section: settings and comments stand on lines of their own",
			   quote_token(quoted, &junk));
}

static int read_policy_line(struct reader *reader, const struct eg_line *line)
{
	switch (line->kind) {
	case EG_LINE_SECTION:
		return read_section(reader, line);
	case EG_LINE_SETTING:
		return read_setting(reader, line);
	case EG_LINE_OTHER:
		return refuse_line(reader, line);
	}
	return -EINVAL;
}

int eg_policy_parse(struct eg_policy *policy, const char *text, size_t len, bool derived,
		    struct eg_error *error)
{
	struct reader reader = {.policy = policy, .derived = derived, .error = error};
	struct eg_lines lines = {
		.text = text,
		.len = len,
		.comment_chars = "#;",
		.line_max = LINE_MAX_BYTES,
	};
	struct eg_line line;
	int result;

	if (len > EG_POLICY_TEXT_MAX)
		return eg_error_set(error, EG_EXIT_USAGE, EFBIG,
				    "the policy has %zu bytes, at most %u are read", len,
				    EG_POLICY_TEXT_MAX);
	while ((result = eg_lines_next(&lines, &line, error)) > 0) {
		result = read_policy_line(&reader, &line);
		if (result < 0)
			return result;
	}
	return result;
}

/* --- the file, written ------------------------------------------------------------------------ */

char *eg_policy_format(const struct eg_policy *policy, bool derived)
{
	EG_AUTO_TEXT struct eg_text text = {};
	const char *section = NULL;

	for (size_t i = 0; i < EG_KEY_COUNT; i++) {
		const struct eg_policy_key_info *info = &eg_policy_keys[i];

		if (!section || strcmp(section, info->section) != 0)
			eg_text_printf(&text, "%s[%s]\n", section ? "\n" : "", info->section);
		section = info->section;
		eg_policy_put_key(&text, (enum eg_policy_key_id)i, policy);
	}
	if (derived) {
		eg_text_printf(&text, "\n[%s]\n", derived_section);
		eg_policy_put_derived(&text, &policy->derived);
	}
	return eg_text_take(&text);
}
