// SPDX-License-Identifier: GPL-2.0
#include "policy/wgconf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/array.h"
#include "policy/wgfile.h"
#include "util/cleanup.h"

/* Gives an error within a word its place in the file, and hides what may be a key. */
static int place_error(const char *key, const struct eg_wgline *line, const struct eg_wgword *word,
		       int result, struct eg_error *error)
{
	char message[EG_ERROR_LEN];

	if (!error || result != -EINVAL)
		return result;
	if (eg_wgword_may_hold_key(word->text))
		return eg_error_at(error, line->number, word->column,
				   "%s has what may be a key, which belongs to a line of its own "
				   "(it is not shown here)",
				   key);
	memcpy(message, error->message, sizeof(message));
	return eg_error_at(error, line->number, word->column + error->column - 1, "%s: %.*s", key,
			   EG_ERROR_LEN - 32, message);
}

/* The one word that a value has to be. What else is there is not quoted: it may be anything. */
static int only_word(const char *key, const struct eg_wgline *line, struct eg_wgword *ret_word,
		     struct eg_error *error)
{
	size_t at = 0;
	struct eg_wgword more;

	if (!eg_wgword_next(line, &at, ret_word))
		return eg_error_at(error, line->number, line->value.column, "%s has no value", key);
	if (eg_wgword_next(line, &at, &more))
		return eg_error_at(error, line->number, more.column,
				   "%s has more than one value, and can have only one", key);
	return 0;
}

/* --- keys ------------------------------------------------------------------------------------- */

static int add_address(struct eg_wgconf *conf, const struct eg_wgline *line,
		       const struct eg_wgword *word, struct eg_error *error)
{
	size_t n_hosts = conf->n_addresses;
	struct eg_prefix prefix;
	union eg_addr host;
	int result = eg_prefix_parse_host(word->text, &prefix, &host, error);

	if (result < 0)
		return place_error("Address", line, word, result, error);
	if (EG_ARRAY_ADD(conf->address_hosts, n_hosts, host) < 0 ||
	    eg_policy_add_prefix(&conf->addresses, &conf->n_addresses, &prefix) < 0)
		return eg_error_no_memory(error);
	return 0;
}

static int read_address(struct eg_wgconf *conf, const struct eg_wgline *line,
			struct eg_error *error)
{
	size_t at = 0;
	struct eg_wgword word;
	int result = 0;

	while (result == 0 && eg_wgword_next(line, &at, &word))
		result = add_address(conf, line, &word, error);
	return result;
}

static int read_dns(struct eg_wgconf *conf, const struct eg_wgline *line, struct eg_error *error)
{
	size_t at = 0;
	struct eg_wgword word;

	while (eg_wgword_next(line, &at, &word)) {
		struct eg_prefix server = {};
		int result;

		if (!eg_wgword_is_dns_server(word.text))
			continue;
		result = eg_addr_parse(word.text, &server.family, &server.addr, error);
		if (result < 0)
			return place_error("DNS", line, &word, result, error);
		server.len = eg_family_bits(server.family);
		if (eg_policy_add_prefix(&conf->dns, &conf->n_dns, &server) < 0)
			return eg_error_no_memory(error);
	}
	return 0;
}

static int read_listen_port(struct eg_wgconf *conf, const struct eg_wgline *line,
			    struct eg_error *error)
{
	struct eg_wgword word;
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

static int read_endpoint(struct eg_wgconf *conf, const struct eg_wgline *line,
			 struct eg_error *error)
{
	struct eg_endpoint endpoint;
	struct eg_wgword word;
	int result = only_word("Endpoint", line, &word, error);

	if (result < 0)
		return result;
	result = eg_endpoint_parse(word.text, &endpoint, error);
	if (result < 0)
		return place_error("Endpoint", line, &word, result, error);
	result = eg_policy_add_endpoint(&conf->endpoints, &conf->n_endpoints, &endpoint);
	free(endpoint.host);
	return result < 0 ? eg_error_no_memory(error) : 0;
}

/* --- the file --------------------------------------------------------------------------------- */

/* A key counts in its own section alone. */
static int read_setting(struct eg_wgconf *conf, const struct eg_wgline *line,
			struct eg_error *error)
{
	if (line->kind != EG_WGLINE_SETTING || line->section != eg_wgkey_section(line->key))
		return 0;
	if (line->key == EG_WGKEY_ADDRESS)
		return read_address(conf, line, error);
	if (line->key == EG_WGKEY_DNS)
		return read_dns(conf, line, error);
	if (line->key == EG_WGKEY_LISTEN_PORT)
		return read_listen_port(conf, line, error);
	return line->key == EG_WGKEY_ENDPOINT ? read_endpoint(conf, line, error) : 0;
}

int eg_wgconf_parse(const char *text, size_t len, struct eg_wgconf **ret_conf,
		    struct eg_error *error)
{
	EG_AUTO_WGCONF struct eg_wgconf *conf = NULL;
	EG_AUTO_WGFILE struct eg_wgfile *file = NULL;
	int result = eg_wgfile_parse(text, len, &file, error);

	if (result < 0)
		return result;
	conf = calloc(1, sizeof(*conf));
	if (!conf)
		return eg_error_no_memory(error);
	for (size_t i = 0; i < file->n_lines && result == 0; i++)
		result = read_setting(conf, &file->lines[i], error);
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
