// SPDX-License-Identifier: GPL-2.0
/* The keys of a policy file: how each is set, and written again. */
#include "policy/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/array.h"
#include "policy/peers.h"
#include "util/cleanup.h"

#define CONFIG_MAX_BYTES 4000 /* a path; with its key it fits a line */
#define IFNAME_SIZE      16   /* the kernel's IFNAMSIZ, the final NUL included */

/* The words of a setting stand at their values. */
static const char *const mode_words[] = {
	[EG_MODE_ENFORCE] = "enforce",
	[EG_MODE_AUDIT] = "audit",
	NULL,
};
static const char *const on_block_words[] = {
	[EG_ON_BLOCK_DROP] = "drop",
	[EG_ON_BLOCK_REJECT] = "reject",
	NULL,
};
static const char *const dns_words[] = {
	[EG_DNS_AUTO] = "auto",
	[EG_DNS_LAN] = "lan",
	[EG_DNS_TUNNEL] = "tunnel",
	NULL,
};
static const char *const shape_words[] = {
	[EG_SHAPE_WIREGUARD] = "wireguard",
	[EG_SHAPE_ANY] = "any",
	NULL,
};
static const char *const bool_words[] = {"yes", "no", NULL};

/* --- one value -------------------------------------------------------------------------------- */

static char *quote(char to[EG_QUOTE_LEN], const char *value)
{
	return eg_quote(to, value, strlen(value));
}

/* "yes or no", "auto, lan or tunnel" */
static void list_words(struct eg_text *to, const char *const *words)
{
	for (size_t i = 0; words[i]; i++)
		eg_text_printf(to, "%s%s", !i ? "" : words[i + 1] ? ", " : " or ", words[i]);
}

static int set_word(const char *value, const char *const *words, unsigned int *ret_index,
		    struct eg_error *error)
{
	EG_AUTO_TEXT struct eg_text list = {};
	const char *nearest = eg_nearest(value, words);
	char quoted[EG_QUOTE_LEN];

	for (unsigned int i = 0; words[i]; i++) {
		if (strcmp(words[i], value) == 0) {
			*ret_index = i;
			return 0;
		}
	}
	list_words(&list, words);
	if (list.failed)
		return eg_error_no_memory(error);
	if (nearest)
		return eg_error_at(error, 1, 1, "%s is not %s: did you mean '%s'?",
				   quote(quoted, value), list.data, nearest);
	return eg_error_at(error, 1, 1, "%s is not %s", quote(quoted, value), list.data);
}

static int set_bool(const char *value, bool *ret_bool, struct eg_error *error)
{
	unsigned int index;
	int result = set_word(value, bool_words, &index, error);

	if (result == 0)
		*ret_bool = index == 0;
	return result;
}

/* A string that a line of a policy file can hold as it is. */
static int check_string(const char *value, const char *what, size_t max, struct eg_error *error)
{
	size_t len = strlen(value);
	char quoted[EG_QUOTE_LEN];

	if (len > max)
		return eg_error_at(error, 1, (unsigned int)max + 1,
				   "%s is too long for %s, %zu bytes: at most %zu",
				   quote(quoted, value), what, len, max);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
			return eg_error_at(error, 1, (unsigned int)i + 1,
					   "%s has a control character, which %s cannot have",
					   quote(quoted, value), what);
	}
	if (value[0] == ' ' || value[len - 1] == ' ')
		return eg_error_at(error, 1, value[0] == ' ' ? 1 : (unsigned int)len,
				   "%s starts or ends with a space, which %s cannot have",
				   quote(quoted, value), what);
	return 0;
}

static int set_string(const char *value, const char *what, size_t max, char **string,
		      struct eg_error *error)
{
	int result = check_string(value, what, max, error);
	char *copy;

	if (result < 0)
		return result;
	copy = strdup(value);
	if (!copy)
		return eg_error_no_memory(error);
	free(*string);
	*string = copy;
	return 0;
}

/* What dev_valid_name() of the kernel refuses: isspace() there includes the byte 0xa0. */
static int check_ifname(const char *value, struct eg_error *error)
{
	char quoted[EG_QUOTE_LEN];
	size_t len = strlen(value);

	if (len >= IFNAME_SIZE)
		return eg_error_at(error, 1, IFNAME_SIZE,
				   "%s is too long for an interface's name, %zu bytes: at most %d",
				   quote(quoted, value), len, IFNAME_SIZE - 1);
	for (size_t i = 0; i < len; i++) {
		if (strchr(" \t\n\v\f\r/:\xa0", value[i]))
			return eg_error_at(
				error, 1, (unsigned int)i + 1,
				"%s has %s, which no interface's name has%s", quote(quoted, value),
				value[i] == '/'   ? "a '/'"
				: value[i] == ':' ? "a ':'"
						  : "white space",
				value[i] == '/' || value[i] == ':' ? "" : ": one Tunnel a line");
	}
	if (strcmp(value, ".") == 0 || strcmp(value, "..") == 0)
		return eg_error_at(error, 1, 1, "%s is not an interface's name",
				   quote(quoted, value));
	if (strcmp(value, "lo") == 0)
		return eg_error_at(error, 1, 1,
				   "'lo' is the loopback, which is free anyway and is no tunnel");
	return 0;
}

/* --- one key ---------------------------------------------------------------------------------- */

/* Each sets its key from a value that is not empty; on failure nothing changed. */

/* What other formats have at a value, and would be a part of it here: a target that is waited for,
 * for good, a tunnel that never comes. */
static int check_quotes(const char *value, struct eg_error *error)
{
	char quoted[EG_QUOTE_LEN];
	size_t len = strlen(value);

	if (len < 2 || !strchr("\"'", value[0]) || value[len - 1] != value[0])
		return 0;
	return eg_error_at(error, 1, 1, "%s stands in quotes: write it without",
			   quote(quoted, value));
}

static int check_bare(const char *value, struct eg_error *error)
{
	char quoted[EG_QUOTE_LEN];
	size_t len = strlen(value);
	int result = check_quotes(value, error);

	if (result < 0)
		return result;
	if (value[len - 1] == ':')
		return eg_error_at(error, 1, (unsigned int)len, "%s names nothing behind the ':'",
				   quote(quoted, value));
	for (size_t i = 1; i < len; i++)
		if (strchr("#;", value[i]) && strchr(" \t", value[i - 1]))
			return eg_error_at(
				error, 1, (unsigned int)i + 1,
				"%s ends in a comment, which stands on a line of its own",
				quote(quoted, value));
	return 0;
}

static int set_target(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	int result = check_bare(value, error);

	return result < 0
		       ? result
		       : set_string(value, "a target", EG_TARGET_MAX - 1, &policy->target, error);
}

static int set_tunnel(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	int result = check_quotes(value, error);
	char quoted[EG_QUOTE_LEN];
	char *copy;

	if (result == 0)
		result = check_ifname(value, error);
	if (result < 0)
		return result;
	for (size_t i = 0; i < policy->n_tunnels; i++) {
		if (strcmp(policy->tunnels[i], value) == 0)
			return eg_error_at(error, 1, 1, "the tunnel %s is named twice",
					   quote(quoted, value));
	}
	if (policy->n_tunnels == EG_TUNNELS_MAX)
		return eg_error_at(error, 1, 1, "%s is one tunnel too many: a guard has at most %d",
				   quote(quoted, value), EG_TUNNELS_MAX);
	copy = strdup(value);
	if (!copy)
		return eg_error_no_memory(error);
	policy->tunnels[policy->n_tunnels++] = copy;
	return 0;
}

static int set_mode(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	unsigned int index;
	int result = set_word(value, mode_words, &index, error);

	if (result == 0)
		policy->mode = (enum eg_policy_mode)index;
	return result;
}

static int set_on_block(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	unsigned int index;
	int result = set_word(value, on_block_words, &index, error);

	if (result == 0)
		policy->on_block = (enum eg_on_block)index;
	return result;
}

static int set_lan(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	return set_bool(value, &policy->lan, error);
}

static int set_allow(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	struct eg_rule rule;
	int result = eg_rule_parse(value, &rule, error);

	if (result < 0)
		return result;
	if (EG_ARRAY_ADD(policy->allow, policy->n_allow, rule) < 0)
		return eg_error_no_memory(error);
	return 0;
}

static int add_prefix(struct eg_prefix **array, size_t *n, const struct eg_prefix *prefix,
		      struct eg_error *error)
{
	return eg_policy_add_prefix(array, n, prefix) < 0 ? eg_error_no_memory(error) : 0;
}

static int set_deny(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	struct eg_prefix prefix;
	int result = eg_prefix_parse(value, &prefix, error);

	return result < 0 ? result : add_prefix(&policy->deny, &policy->n_deny, &prefix, error);
}

static int set_dns(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	unsigned int index;
	int result = set_word(value, dns_words, &index, error);

	if (result == 0)
		policy->dns = (enum eg_dns)index;
	return result;
}

/* One address, as a prefix. */
static int add_address(const char *value, struct eg_prefix **array, size_t *n,
		       struct eg_error *error)
{
	struct eg_prefix prefix = {};
	int result = eg_addr_parse(value, &prefix.family, &prefix.addr, error);

	if (result < 0)
		return result;
	prefix.len = eg_family_bits(prefix.family);
	return add_prefix(array, n, &prefix, error);
}

static int set_allow_dns(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	return add_address(value, &policy->allow_dns, &policy->n_allow_dns, error);
}

static int set_bootstrap_dns(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	return add_address(value, &policy->bootstrap_dns, &policy->n_bootstrap_dns, error);
}

static int set_allow_dhcp(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	return set_bool(value, &policy->allow_dhcp, error);
}

static int set_allow_multicast(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	return set_bool(value, &policy->allow_multicast, error);
}

static int set_wg_conf(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	return set_string(value, "a file's path", CONFIG_MAX_BYTES, &policy->wg_conf, error);
}

/* 0/8, 224/4 and up, ::, ff00::/8: where no peer can be */
static bool is_no_host(const struct eg_endpoint *endpoint)
{
	static const union eg_addr unspecified = {};
	const __u8 *bytes = endpoint->addr.bytes;

	switch (endpoint->family) {
	case EG_FAMILY_IPV4:
		return bytes[0] == 0 || bytes[0] >= 224;
	case EG_FAMILY_IPV6:
		return bytes[0] == 0xff ||
		       memcmp(bytes, unspecified.bytes, sizeof(unspecified.bytes)) == 0;
	default:
		return false;
	}
}

static int add_endpoint(struct eg_endpoint **array, size_t *n, const struct eg_endpoint *endpoint,
			struct eg_error *error)
{
	return eg_policy_add_endpoint(array, n, endpoint) < 0 ? eg_error_no_memory(error) : 0;
}

static int set_endpoint(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	struct eg_endpoint endpoint;
	char quoted[EG_QUOTE_LEN];
	int result = eg_endpoint_parse(value, &endpoint, error);

	if (result < 0)
		return result;
	if (is_no_host(&endpoint))
		return eg_error_at(error, 1, 1, "%s is not the address of a host",
				   quote(quoted, value));
	result = add_endpoint(&policy->endpoints, &policy->n_endpoints, &endpoint, error);
	free(endpoint.host);
	return result;
}

static int set_endpoint_shape(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	unsigned int index;
	int result = set_word(value, shape_words, &index, error);

	if (result == 0)
		policy->endpoint_shape = (enum eg_shape)index;
	return result;
}

static int set_source_port(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	return eg_port_parse(value, &policy->source_port, error);
}

/* Each writes its key's lines, none where there is nothing to say. */

static void put(struct eg_text *text, const char *key, const char *value)
{
	if (value)
		eg_text_printf(text, "%s = %s\n", key, value);
}

static void put_bool(struct eg_text *text, const char *key, bool value)
{
	put(text, key, bool_words[!value]);
}

static void put_prefixes(struct eg_text *text, const char *key, const struct eg_prefix *prefixes,
			 size_t n)
{
	char value[EG_ADDRESS_TEXT_LEN];

	for (size_t i = 0; i < n; i++)
		put(text, key, eg_prefix_format(value, &prefixes[i]));
}

static void put_endpoints(struct eg_text *text, const char *key,
			  const struct eg_endpoint *endpoints, size_t n)
{
	char value[EG_ADDRESS_TEXT_LEN];

	for (size_t i = 0; i < n; i++) {
		if (endpoints[i].family == EG_FAMILY_NONE)
			eg_text_printf(text, "%s = %s:%u\n", key, endpoints[i].host,
				       endpoints[i].port);
		else
			put(text, key, eg_endpoint_format(value, &endpoints[i]));
	}
}

static void put_target(struct eg_text *text, const char *key, const struct eg_policy *policy)
{
	put(text, key, policy->target);
}

static void put_tunnel(struct eg_text *text, const char *key, const struct eg_policy *policy)
{
	for (size_t i = 0; i < policy->n_tunnels; i++)
		put(text, key, policy->tunnels[i]);
}

static void put_mode(struct eg_text *text, const char *key, const struct eg_policy *policy)
{
	put(text, key, mode_words[policy->mode]);
}

static void put_on_block(struct eg_text *text, const char *key, const struct eg_policy *policy)
{
	put(text, key, on_block_words[policy->on_block]);
}

static void put_lan(struct eg_text *text, const char *key, const struct eg_policy *policy)
{
	put_bool(text, key, policy->lan);
}

static void put_allow(struct eg_text *text, const char *key, const struct eg_policy *policy)
{
	char value[EG_ADDRESS_TEXT_LEN];

	for (size_t i = 0; i < policy->n_allow; i++)
		put(text, key, eg_rule_format(value, &policy->allow[i]));
}

static void put_deny(struct eg_text *text, const char *key, const struct eg_policy *policy)
{
	put_prefixes(text, key, policy->deny, policy->n_deny);
}

static void put_dns(struct eg_text *text, const char *key, const struct eg_policy *policy)
{
	put(text, key, dns_words[policy->dns]);
}

static void put_allow_dns(struct eg_text *text, const char *key, const struct eg_policy *policy)
{
	put_prefixes(text, key, policy->allow_dns, policy->n_allow_dns);
}

static void put_allow_dhcp(struct eg_text *text, const char *key, const struct eg_policy *policy)
{
	put_bool(text, key, policy->allow_dhcp);
}

static void put_allow_multicast(struct eg_text *text, const char *key,
				const struct eg_policy *policy)
{
	put_bool(text, key, policy->allow_multicast);
}

static void put_wg_conf(struct eg_text *text, const char *key, const struct eg_policy *policy)
{
	put(text, key, policy->wg_conf);
}

static void put_endpoint(struct eg_text *text, const char *key, const struct eg_policy *policy)
{
	put_endpoints(text, key, policy->endpoints, policy->n_endpoints);
}

static void put_bootstrap_dns(struct eg_text *text, const char *key, const struct eg_policy *policy)
{
	put_prefixes(text, key, policy->bootstrap_dns, policy->n_bootstrap_dns);
}

static void put_endpoint_shape(struct eg_text *text, const char *key,
			       const struct eg_policy *policy)
{
	put(text, key, shape_words[policy->endpoint_shape]);
}

static void put_source_port(struct eg_text *text, const char *key, const struct eg_policy *policy)
{
	if (policy->source_port)
		eg_text_printf(text, "%s = %u\n", key, policy->source_port);
}

static const struct key_functions {
	int (*set)(struct eg_policy *policy, const char *value, struct eg_error *error);
	void (*put)(struct eg_text *text, const char *key, const struct eg_policy *policy);
} functions[EG_KEY_COUNT] = {
	[EG_KEY_TARGET] = {set_target, put_target},
	[EG_KEY_TUNNEL] = {set_tunnel, put_tunnel},
	[EG_KEY_MODE] = {set_mode, put_mode},
	[EG_KEY_ON_BLOCK] = {set_on_block, put_on_block},
	[EG_KEY_LAN] = {set_lan, put_lan},
	[EG_KEY_ALLOW] = {set_allow, put_allow},
	[EG_KEY_DENY] = {set_deny, put_deny},
	[EG_KEY_DNS] = {set_dns, put_dns},
	[EG_KEY_ALLOW_DNS] = {set_allow_dns, put_allow_dns},
	[EG_KEY_ALLOW_DHCP] = {set_allow_dhcp, put_allow_dhcp},
	[EG_KEY_ALLOW_MULTICAST] = {set_allow_multicast, put_allow_multicast},
	[EG_KEY_WG_CONF] = {set_wg_conf, put_wg_conf},
	[EG_KEY_ENDPOINT] = {set_endpoint, put_endpoint},
	[EG_KEY_BOOTSTRAP_DNS] = {set_bootstrap_dns, put_bootstrap_dns},
	[EG_KEY_ENDPOINT_SHAPE] = {set_endpoint_shape, put_endpoint_shape},
	[EG_KEY_SOURCE_PORT] = {set_source_port, put_source_port},
};

/* What a key's value is, for a message. */
static const char *argument_of(enum eg_policy_key_id key)
{
	return eg_policy_keys[key].argument ? eg_policy_keys[key].argument : "yes|no";
}

int eg_policy_set(struct eg_policy *policy, enum eg_policy_key_id key, const char *value,
		  struct eg_error *error)
{
	int result;

	if (!*value)
		return eg_error_at(error, 1, 1, "%s has no value: it needs %s",
				   eg_policy_keys[key].key, argument_of(key));
	result = functions[key].set(policy, value, error);
	if (result == 0)
		policy->given[key] = true;
	return result;
}

/* --- what attach learned ---------------------------------------------------------------------- */

static int set_derived_endpoint(struct eg_derived *derived, const char *value,
				struct eg_error *error)
{
	struct eg_endpoint endpoint;
	int result = eg_endpoint_parse_own(value, &endpoint, error);

	if (result < 0)
		return result;
	result = add_endpoint(&derived->endpoints, &derived->n_endpoints, &endpoint, error);
	free(endpoint.host);
	return result;
}

static int set_endpoint_name(struct eg_derived *derived, const char *value, struct eg_error *error)
{
	struct eg_endpoint name = {};
	int result = eg_endpoint_parse(value, &name, error);

	if (result == 0)
		result = add_endpoint(&derived->names, &derived->n_names, &name, error);
	free(name.host);
	return result;
}

/* KEY, then where it was, if that is known. */
static int set_peer(struct eg_derived *derived, const char *value, struct eg_error *error)
{
	struct eg_known_peer peer = {};
	const char *rest = value + EG_KEY_TEXT_LEN;
	int result = 0;

	if (!eg_key_parse(value, peer.public_key) || (*rest && *rest != ' '))
		return eg_error_at(error, 1, 1, "a peer begins with its public key");
	if (*rest)
		result = eg_endpoint_parse_own(rest + 1, &peer.endpoint, error);
	if (result == 0 && eg_peers_add(derived, &peer) < 0)
		result = eg_error_no_memory(error);
	return result;
}

static void put_peers(struct eg_text *text, const struct eg_derived *derived)
{
	for (size_t i = 0; i < derived->n_peers; i++) {
		const struct eg_known_peer *peer = &derived->peers[i];
		char key[EG_KEY_TEXT_LEN + 1];
		char endpoint[EG_ADDRESS_TEXT_LEN] = "";

		if (peer->endpoint.family != EG_FAMILY_NONE)
			eg_endpoint_format(endpoint, &peer->endpoint);
		eg_text_printf(text, "Peer = %s%s%s\n", eg_key_format(key, peer->public_key),
			       *endpoint ? " " : "", endpoint);
	}
}

static int set_derived_prefix(struct eg_prefix **array, size_t *n, const char *value,
			      struct eg_error *error)
{
	struct eg_prefix prefix;
	int result = eg_prefix_parse_own(value, &prefix, error);

	return result < 0 ? result : add_prefix(array, n, &prefix, error);
}

static int set_tunnel_only(struct eg_derived *derived, const char *value, struct eg_error *error)
{
	return set_derived_prefix(&derived->tunnel_only, &derived->n_tunnel_only, value, error);
}

static int set_source(struct eg_derived *derived, const char *value, struct eg_error *error)
{
	return set_derived_prefix(&derived->sources, &derived->n_sources, value, error);
}

static int set_on_link(struct eg_derived *derived, const char *value, struct eg_error *error)
{
	return set_derived_prefix(&derived->on_link, &derived->n_on_link, value, error);
}

static int set_dns_servers(struct eg_derived *derived, const char *value, struct eg_error *error)
{
	return set_bool(value, &derived->dns_servers, error);
}

static const struct derived_key {
	const char *key;
	int (*set)(struct eg_derived *derived, const char *value, struct eg_error *error);
} derived_keys[] = {
	{"Endpoint", set_derived_endpoint},
	{"EndpointName", set_endpoint_name},
	{"Peer", set_peer},
	{"TunnelOnly", set_tunnel_only},
	{"Source", set_source},
	{"OnLink", set_on_link},
	{"DnsServers", set_dns_servers},
};
#define N_DERIVED_KEYS (sizeof(derived_keys) / sizeof(derived_keys[0]))

void eg_policy_put_derived(struct eg_text *text, const struct eg_derived *derived)
{
	put_endpoints(text, "Endpoint", derived->endpoints, derived->n_endpoints);
	put_endpoints(text, "EndpointName", derived->names, derived->n_names);
	put_peers(text, derived);
	put_prefixes(text, "TunnelOnly", derived->tunnel_only, derived->n_tunnel_only);
	put_prefixes(text, "Source", derived->sources, derived->n_sources);
	put_prefixes(text, "OnLink", derived->on_link, derived->n_on_link);
	put_bool(text, "DnsServers", derived->dns_servers);
}

void eg_policy_put_key(struct eg_text *text, enum eg_policy_key_id key,
		       const struct eg_policy *policy)
{
	functions[key].put(text, eg_policy_keys[key].key, policy);
}

int eg_policy_set_derived(struct eg_derived *derived, const struct eg_token *key, const char *value,
			  struct eg_error *error)
{
	for (size_t i = 0; i < N_DERIVED_KEYS; i++)
		if (eg_token_is(key, derived_keys[i].key))
			return derived_keys[i].set(derived, value, error);
	return -ENOENT;
}
