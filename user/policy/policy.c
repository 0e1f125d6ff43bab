// SPDX-License-Identifier: GPL-2.0
#include "policy/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "policy/address.h"
#include "policy/array.h"
#include "policy/lines.h"
#include "policy/peers.h"
#include "util/cleanup.h"

#define LINE_MAX_BYTES   4096
#define CONFIG_MAX_BYTES 4000 /* a path; with its key it fits a line */
#define IFNAME_SIZE      16   /* the kernel's IFNAMSIZ, the final NUL included */

const struct eg_policy_key_info eg_policy_keys[EG_KEY_COUNT] = {
#define X(id, section, key, option, repeats, argument, help)                                       \
	[EG_KEY_##id] = {section, key, option, repeats, argument, help},
	EG_POLICY_KEYS(X)
#undef X
};

#define N_SECTIONS 3
static const char *const sections[N_SECTIONS + 1] = {"Guard", "Lan", "WireGuard", NULL};
static const char derived_section[] = "Derived";

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

static int out_of_memory(struct eg_error *error)
{
	return eg_error_set(error, EG_EXIT_FAILED, ENOMEM, "out of memory");
}

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
		return out_of_memory(error);
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
		return out_of_memory(error);
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

static int set_target(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	return set_string(value, "a target", EG_TARGET_MAX - 1, &policy->target, error);
}

static int set_tunnel(struct eg_policy *policy, const char *value, struct eg_error *error)
{
	int result = check_ifname(value, error);
	char quoted[EG_QUOTE_LEN];
	char *copy;

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
		return out_of_memory(error);
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
	return EG_ARRAY_ADD(policy->allow, policy->n_allow, rule) < 0 ? out_of_memory(error) : 0;
}

static int add_prefix(struct eg_prefix **array, size_t *n, const struct eg_prefix *prefix,
		      struct eg_error *error)
{
	return eg_policy_add_prefix(array, n, prefix) < 0 ? out_of_memory(error) : 0;
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
	return eg_policy_add_endpoint(array, n, endpoint) < 0 ? out_of_memory(error) : 0;
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
		result = eg_error_set(error, EG_EXIT_FAILED, ENOMEM, "out of memory");
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

static void put_derived(struct eg_text *text, const struct eg_derived *derived)
{
	eg_text_printf(text, "\n[%s]\n", derived_section);
	put_endpoints(text, "Endpoint", derived->endpoints, derived->n_endpoints);
	put_endpoints(text, "EndpointName", derived->names, derived->n_names);
	put_peers(text, derived);
	put_prefixes(text, "TunnelOnly", derived->tunnel_only, derived->n_tunnel_only);
	put_prefixes(text, "Source", derived->sources, derived->n_sources);
	put_prefixes(text, "OnLink", derived->on_link, derived->n_on_link);
	put_bool(text, "DnsServers", derived->dns_servers);
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
				   quote(quoted, comment));
	reader->error->line = line->number;
	reader->error->column += line->value.column - 1;
	return result;
}

static int set_derived(struct reader *reader, const struct eg_line *line, const char *value)
{
	char quoted[EG_QUOTE_LEN];

	for (size_t i = 0; i < N_DERIVED_KEYS; i++) {
		if (eg_token_is(&line->name, derived_keys[i].key))
			return place_error(reader, line, value,
					   derived_keys[i].set(&reader->policy->derived, value,
							       reader->error));
	}
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
		functions[i].put(&text, info->key, policy);
	}
	if (derived)
		put_derived(&text, &policy->derived);
	return eg_text_take(&text);
}
