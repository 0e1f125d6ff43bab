// SPDX-License-Identifier: GPL-2.0
#include "policy/wgmodel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policy/address.h"
#include "policy/array.h"
#include "policy/networks.h"
#include "util/cleanup.h"

const struct eg_prefix *const eg_wglan_networks[EG_WGLAN_NETWORKS] = {
	&eg_lan_prefixes[0],
	&eg_lan_prefixes[1],
	&eg_lan_prefixes[2],
};

/* --- values ----------------------------------------------------------------------------------- */

static int add_prefix(struct eg_wgprefix **list, size_t *n, const struct eg_wgline *line,
		      const struct eg_wgword *word)
{
	struct eg_wgprefix one = {.place = {line->number, word->column}};
	union eg_addr host;

	if (eg_prefix_parse_host(word->text, &one.prefix, &host, NULL) < 0)
		return 0;
	return EG_ARRAY_ADD(*list, *n, one);
}

static int read_addresses(struct eg_wgmodel *model, const struct eg_wgline *line)
{
	struct eg_wgword word;
	size_t at = 0;
	int result = 0;

	while (result == 0 && eg_wgword_next(line, &at, &word)) {
		if (line->key == EG_WGKEY_ADDRESS)
			result = add_prefix(&model->addresses, &model->n_addresses, line, &word);
		else if (eg_wgword_is_dns_server(word.text))
			result = add_prefix(&model->dns, &model->n_dns, line, &word);
	}
	return result;
}

static int read_allowed(struct eg_wgmodel *model, const struct eg_wgline *line)
{
	struct eg_wgword word;
	size_t at = 0;
	int result = 0;

	while (result == 0 && eg_wgword_between_commas(line, &at, &word))
		result = add_prefix(&model->allowed, &model->n_allowed, line, &word);
	return result;
}

static int read_endpoint(struct eg_wgmodel *model, const struct eg_wgline *line)
{
	struct eg_wgendpoint one = {.place = {line->number, line->value.column}};
	struct eg_wgword word;
	size_t at = 0;
	int result;

	if (!eg_wgword_between_commas(line, &at, &word) ||
	    eg_endpoint_parse(word.text, &one.endpoint, NULL) < 0)
		return 0;
	model->n_names += one.endpoint.host != NULL;
	result = EG_ARRAY_ADD(model->endpoints, model->n_endpoints, one);
	if (result < 0)
		free(one.endpoint.host);
	return result;
}

/* A number as wg and ip read it: figures, or hexadecimal ones after 0x. */
static __u32 read_number(const struct eg_token *value)
{
	char text[32] = "";

	if (value->len < sizeof(text))
		memcpy(text, value->text, value->len);
	return (__u32)strtoul(text, NULL, 0);
}

static void read_table(struct eg_wgmodel *model, const struct eg_wgline *line)
{
	if (eg_token_is(&line->value, "off")) {
		model->way = EG_WGWAY_OFF;
	} else if (eg_token_is(&line->value, "auto") || line->value.len == 0) {
		model->way = EG_WGWAY_RULES;
	} else if (eg_token_is(&line->value, "main")) {
		model->way = EG_WGWAY_MAIN;
	} else {
		model->way = EG_WGWAY_NUMBER;
		model->table = read_number(&line->value);
	}
}

static int read_setting(struct eg_wgmodel *model, const struct eg_wgline *line)
{
	if (line->kind != EG_WGLINE_SETTING || line->section != eg_wgkey_section(line->key))
		return 0;
	if (line->key == EG_WGKEY_ADDRESS || line->key == EG_WGKEY_DNS)
		return read_addresses(model, line);
	if (line->key == EG_WGKEY_ALLOWED_IPS)
		return read_allowed(model, line);
	if (line->key == EG_WGKEY_ENDPOINT)
		return read_endpoint(model, line);
	if (line->key == EG_WGKEY_TABLE)
		read_table(model, line);
	if (line->key == EG_WGKEY_FWMARK)
		model->fwmark = eg_token_is(&line->value, "off") ? 0 : read_number(&line->value);
	return 0;
}

/* --- what follows ----------------------------------------------------------------------------- */

static bool has_default(const struct eg_wgmodel *model, __u8 family)
{
	for (size_t i = 0; i < model->n_allowed; i++) {
		if (model->allowed[i].prefix.family == family && model->allowed[i].prefix.len == 0)
			return true;
	}
	return false;
}

static bool has_family(const struct eg_wgprefix *list, size_t n, __u8 family)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].prefix.family == family)
			return true;
	}
	return false;
}

bool eg_wgmodel_has_address(const struct eg_wgmodel *model, __u8 family)
{
	return has_family(model->addresses, model->n_addresses, family);
}

bool eg_wgmodel_has_allowed(const struct eg_wgmodel *model, __u8 family)
{
	return has_family(model->allowed, model->n_allowed, family);
}

static bool tunnels_address(const struct eg_wgmodel *model, __u8 family, __u8 first, __u8 second)
{
	struct eg_prefix address = {.family = family, .len = eg_family_bits(family)};

	address.addr.bytes[0] = first;
	address.addr.bytes[1] = second;
	address.addr.bytes[2] = 1;
	address.addr.bytes[3] = 1;
	return eg_wgmodel_tunnels(model, &address);
}

/* Whether the public addresses of each /8 go there: by a default route, by its halves, or by a list
 * that leaves the private networks out. */
static bool takes_all4(const struct eg_wgmodel *model)
{
	for (unsigned int first = 1; first < 224; first++) {
		if (first != 10 && first != 127 &&
		    !tunnels_address(model, EG_FAMILY_IPV4, (__u8)first, 1))
			return false;
	}
	return true;
}

/* 2000::/3 is what is public. */
static bool takes_all6(const struct eg_wgmodel *model)
{
	static const struct eg_prefix global = {
		.addr = {.bytes = {0x20}}, .family = EG_FAMILY_IPV6, .len = 3};

	if (eg_wgmodel_tunnels(model, &global))
		return true;
	for (unsigned int second = 0; second < 0x2000; second++) {
		if (!tunnels_address(model, EG_FAMILY_IPV6, (__u8)(0x20 + second / 256),
				     (__u8)(second % 256)))
			return false;
	}
	return true;
}

static void find_ipv6(struct eg_wgmodel *model)
{
	model->no_ipv6 = model->facts && model->facts->ipv6_off;
	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (op->kind != EG_WGOP_NO_IPV6 || !eg_wgkey_is_up(op->phase) ||
		    strcmp(op->dev, "%i") == 0 || strcmp(op->dev, "default") == 0)
			continue; /* the interfaces to leave by are there already */
		if (op->tolerant) /* /proc/sys is read-only in most containers */
			continue;
		if (strcmp(op->dev, "all") == 0 && !op->conditional)
			model->no_ipv6 = true;
		else if (!model->less_ipv6)
			model->less_ipv6 = op;
	}
}

/* `# egressguard wgconf render: begin, --kill-switch egressguard` */
static void find_marker(struct eg_wgmodel *model)
{
	static const char marker[] = EG_WGRENDER_BEGIN ", --kill-switch egressguard";

	for (size_t i = 0; i < model->file->n_lines; i++) {
		const struct eg_wgline *line = &model->file->lines[i];

		if (line->raw_len >= strlen(marker) &&
		    memcmp(line->raw, marker, strlen(marker)) == 0)
			model->guard_only = true;
	}
}

int eg_wgmodel_read(const struct eg_wgfile *file, const struct eg_wgfacts *facts,
		    struct eg_wgmodel **ret_model)
{
	EG_AUTO_WGMODEL struct eg_wgmodel *model = calloc(1, sizeof(*model));
	int result = model ? 0 : -ENOMEM;

	if (result < 0)
		return result;
	model->file = file;
	model->facts = facts;
	for (size_t i = 0; i < file->n_lines && result == 0; i++)
		result = read_setting(model, &file->lines[i]);
	if (result == 0)
		result = eg_wghooks_read(file, facts->ifname, &model->hooks);
	if (result == 0)
		result = eg_wgchain_read(model->hooks, EG_FAMILY_IPV4, facts->ifname,
					 &model->chain4);
	if (result == 0)
		result = eg_wgchain_read(model->hooks, EG_FAMILY_IPV6, facts->ifname,
					 &model->chain6);
	if (result < 0)
		return result;
	model->default4 = has_default(model, EG_FAMILY_IPV4);
	model->default6 = has_default(model, EG_FAMILY_IPV6);
	model->full4 = takes_all4(model);
	model->full6 = takes_all6(model);
	if (model->way == EG_WGWAY_RULES && !model->default4 && !model->default6)
		model->way = EG_WGWAY_MAIN;
	if (model->way == EG_WGWAY_RULES)
		model->table = model->fwmark;
	find_ipv6(model);
	find_marker(model);
	result = eg_wgmodel_order(model, EG_FAMILY_IPV4, &model->order4);
	if (result == 0)
		result = eg_wgmodel_order(model, EG_FAMILY_IPV6, &model->order6);
	if (result < 0)
		return result;
	*ret_model = EG_TAKE(model);
	return 0;
}

void eg_wgmodel_free(struct eg_wgmodel *model)
{
	if (!model)
		return;
	for (size_t i = 0; i < model->n_endpoints; i++)
		free(model->endpoints[i].endpoint.host);
	free(model->addresses);
	free(model->dns);
	free(model->allowed);
	free(model->endpoints);
	eg_wgchain_free(&model->chain4);
	eg_wgchain_free(&model->chain6);
	eg_wghooks_free(model->hooks);
	free(model);
}

/* --- questions -------------------------------------------------------------------------------- */

bool eg_wgmodel_tunnels(const struct eg_wgmodel *model, const struct eg_prefix *prefix)
{
	for (size_t i = 0; i < model->n_allowed; i++) {
		if (eg_prefix_covers(&model->allowed[i].prefix, prefix))
			return true;
	}
	return false;
}

bool eg_wgmodel_is_endpoint(const struct eg_wgmodel *model, const struct eg_prefix *prefix)
{
	for (size_t i = 0; i < model->n_endpoints; i++) {
		const struct eg_endpoint *endpoint = &model->endpoints[i].endpoint;

		if (!endpoint->host && endpoint->family == prefix->family &&
		    eg_prefix_contains(prefix, endpoint->family, &endpoint->addr) &&
		    prefix->len == eg_family_bits(prefix->family))
			return true;
	}
	return false;
}

bool eg_wgop_excludes(const struct eg_wgop *op)
{
	return op->kind == EG_WGOP_ROUTE && op->act != EG_WGACT_DELETE &&
	       eg_wgkey_is_up(op->phase) && op->has_prefix && !op->to_tunnel && !op->conditional;
}

bool eg_wgop_rule_excludes(const struct eg_wgmodel *model, const struct eg_wgop *op, bool *ret_sure)
{
	if (op->kind != EG_WGOP_RULE || op->act == EG_WGACT_DELETE || !eg_wgkey_is_up(op->phase) ||
	    !op->has_prefix || op->table != EG_WGTABLE_MAIN || op->suppresses)
		return false;
	*ret_sure = model->way == EG_WGWAY_RULES && !op->conditional && !op->narrow &&
		    op->asked < (op->family == EG_FAMILY_IPV6 ? model->order6.tunnel
							      : model->order4.tunnel);
	return model->way == EG_WGWAY_RULES || model->way == EG_WGWAY_NUMBER;
}

bool eg_wgop_in_policy_table(const struct eg_wgmodel *model, const struct eg_wgop *op)
{
	if (op->table == EG_WGTABLE_FWMARK)
		return eg_wgmodel_has_mark(model);
	if (op->table != EG_WGTABLE_NUMBER)
		return false;
	if (model->way == EG_WGWAY_RULES)
		return op->table_number == (model->fwmark ? model->fwmark : EG_WGTABLE_DEFAULT);
	return model->way == EG_WGWAY_NUMBER && op->table_number == model->table;
}

bool eg_wgop_falls_into_tunnel(const struct eg_wgmodel *model, const struct eg_wgop *op)
{
	return eg_wgop_excludes(op) && eg_wgop_in_policy_table(model, op) && op->has_via &&
	       !op->has_dev && op->phase == EG_WGKEY_POST_UP &&
	       (op->family == EG_FAMILY_IPV6 ? model->default6 : model->default4);
}

bool eg_wgmodel_is_markless(const struct eg_wgmodel *model, __u8 family)
{
	bool by_rules = family == EG_FAMILY_IPV6 ? model->default6 : model->default4;

	return model->way == EG_WGWAY_MAIN || (model->way == EG_WGWAY_RULES && !by_rules);
}

bool eg_wgmodel_has_mark(const struct eg_wgmodel *model)
{
	if (model->way == EG_WGWAY_RULES || model->fwmark)
		return true;
	for (size_t i = 0; i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (op->kind == EG_WGOP_FWMARK && eg_wgkey_is_up(op->phase) && !op->conditional)
			return true;
	}
	return false;
}
