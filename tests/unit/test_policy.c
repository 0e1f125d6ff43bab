// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <time.h>

#include "golden.h"
#include "policy/address.h"
#include "policy/policy.h"
#include "util/cleanup.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint32_t random_below(uint32_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16) % limit;
}

static struct eg_policy *new_policy(void)
{
	struct eg_policy *policy = NULL;

	assert_int_equal(eg_policy_new(&policy), 0);
	return policy;
}

static int parse(struct eg_policy *policy, const char *text, bool derived, struct eg_error *error)
{
	return eg_policy_parse(policy, text, strlen(text), derived, error);
}

static void set(struct eg_policy *policy, enum eg_policy_key_id key, const char *value)
{
	struct eg_error error = {};

	if (eg_policy_set(policy, key, value, &error) != 0)
		fail_msg("%s = %s: %u: %s", eg_policy_keys[key].key, value, error.column,
			 error.message);
}

/* What the text says of a policy, and the same when that is read again. */
static void check_format(const struct eg_policy *policy, bool derived, const char *expected)
{
	EG_AUTO_FREE char *text = eg_policy_format(policy, derived);
	EG_AUTO_FREE char *text_again = NULL;
	EG_AUTO_POLICY struct eg_policy *again = new_policy();
	struct eg_error error = {};

	assert_non_null(text);
	if (expected)
		assert_string_equal(text, expected);
	if (parse(again, text, derived, &error) != 0)
		fail_msg("%u:%u: %s in:\n%s", error.line, error.column, error.message, text);
	text_again = eg_policy_format(again, derived);
	assert_non_null(text_again);
	assert_string_equal(text_again, text);
}

/* --- golden files ----------------------------------------------------------------------------- */

#define PATH_LEN 1024

static char *read_whole(const char *path, size_t *ret_len)
{
	char *text = golden_read(path, ret_len);

	if (!text)
		fail_msg("cannot read %s (EG_GOLDEN says where the golden files are)", path);
	return text;
}

static void write_whole(const char *path, const char *text)
{
	EG_AUTO_FCLOSE FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
}

/* The policy as egressguard writes it, or "file:line:column: message". */
static char *golden_outcome(const char *path, const char *name, bool derived, bool *ret_valid)
{
	EG_AUTO_POLICY struct eg_policy *policy = new_policy();
	EG_AUTO_TEXT struct eg_text text = {};
	EG_AUTO_FREE char *exact = NULL;
	struct eg_error error = {};
	size_t len = 0;
	EG_AUTO_FREE char *read = read_whole(path, &len);

	/* just as long as it is, so that ASan sees a byte read too much */
	exact = malloc(len ? len : 1);
	assert_non_null(exact);
	memcpy(exact, read, len);
	*ret_valid = eg_policy_parse(policy, exact, len, derived, &error) == 0;
	if (*ret_valid) {
		check_format(policy, derived, NULL);
		return eg_policy_format(policy, derived);
	}
	assert_int_equal(error.exit, EG_EXIT_USAGE);
	eg_text_printf(&text, "%s:%u:%u: %s\n", name, error.line, error.column, error.message);
	return eg_text_take(&text);
}

static void check_golden(const char *dir, const char *name, bool valid)
{
	EG_AUTO_FREE char *outcome = NULL;
	EG_AUTO_FREE char *expected = NULL;
	char path[PATH_LEN];
	char out_path[PATH_LEN + 16];
	bool is_valid;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(out_path, sizeof(out_path), "%.*s.out", (int)(strlen(path) - strlen(".conf")),
		 path);
	outcome = golden_outcome(path, name, strncmp(name, "derived-", 8) == 0, &is_valid);
	assert_non_null(outcome);
	if (is_valid != valid)
		fail_msg("%s should be %s:\n%s", path, valid ? "valid" : "invalid", outcome);
	if (getenv("EG_GOLDEN_WRITE")) {
		write_whole(out_path, outcome);
		return;
	}
	expected = read_whole(out_path, &len);
	if (strcmp(outcome, expected) != 0)
		fail_msg("%s gives\n%s\nand not\n%s", path, outcome, expected);
}

static unsigned int check_golden_dir(const char *kind, bool valid)
{
	EG_AUTO_CLOSEDIR DIR *dir = NULL;
	char path[PATH_LEN - 256];
	unsigned int n = 0;
	struct dirent *entry;

	snprintf(path, sizeof(path), "%s/policy/%s", golden_dir(), kind);
	dir = opendir(path);
	if (!dir)
		fail_msg("cannot open %s (EG_GOLDEN says where the golden files are)", path);
	while ((entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);

		if (len < 6 || strcmp(entry->d_name + len - 5, ".conf") != 0)
			continue;
		check_golden(path, entry->d_name, valid);
		n++;
	}
	return n;
}

static void golden_valid(void **state)
{
	(void)state;
	assert_true(check_golden_dir("valid", true) >= 12);
}

static void golden_invalid(void **state)
{
	(void)state;
	assert_true(check_golden_dir("invalid", false) >= 30);
}

/* --- one key ---------------------------------------------------------------------------------- */

static const char defaults[] = "[Guard]\n"
			       "Mode = enforce\n"
			       "OnBlock = drop\n"
			       "\n"
			       "[Lan]\n"
			       "Lan = yes\n"
			       "Dns = auto\n"
			       "AllowDhcp = no\n"
			       "AllowMulticast = no\n"
			       "\n"
			       "[WireGuard]\n"
			       "EndpointShape = wireguard\n";

static void has_defaults(void **state)
{
	EG_AUTO_POLICY struct eg_policy *policy = new_policy();

	(void)state;
	assert_null(policy->target);
	assert_null(policy->wg_conf);
	assert_int_equal(policy->source_port, 0);
	for (size_t i = 0; i < EG_KEY_COUNT; i++)
		assert_false(policy->given[i]);
	check_format(policy, false, defaults);
	eg_policy_free(NULL);
}

static const struct {
	enum eg_policy_key_id key;
	const char *first, *second;
} values[] = {
	{EG_KEY_TARGET, "docker:wireguard", "/run/netns/a b"},
	{EG_KEY_TUNNEL, "wg0", "wg-with-15-byte"},
	{EG_KEY_MODE, "audit", "enforce"},
	{EG_KEY_ON_BLOCK, "reject", "drop"},
	{EG_KEY_LAN, "no", "yes"},
	{EG_KEY_ALLOW, "100.64.0.0/10", "[fd00::/8]:443/tcp"},
	{EG_KEY_DENY, "192.168.1.1", "fd00::/16"},
	{EG_KEY_DNS, "lan", "tunnel"},
	{EG_KEY_ALLOW_DNS, "192.168.1.5", "fd00::53"},
	{EG_KEY_ALLOW_DHCP, "yes", "no"},
	{EG_KEY_ALLOW_MULTICAST, "yes", "no"},
	{EG_KEY_WG_CONF, "auto", "/etc/wireguard/wg0.conf"},
	{EG_KEY_ENDPOINT, "203.0.113.9:51820", "vpn.example.com:51820"},
	{EG_KEY_BOOTSTRAP_DNS, "192.168.1.1", "fd00::53"},
	{EG_KEY_ENDPOINT_SHAPE, "any", "wireguard"},
	{EG_KEY_SOURCE_PORT, "51820", "1"},
};

/* Every key: set, written, read back; set again, which adds or replaces. */
static void sets_every_key(void **state)
{
	bool seen[EG_KEY_COUNT] = {};

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		const struct eg_policy_key_info *info = &eg_policy_keys[values[i].key];
		EG_AUTO_POLICY struct eg_policy *policy = new_policy();
		EG_AUTO_FREE char *text = NULL;
		char first[128];
		char second[128];

		seen[values[i].key] = true;
		snprintf(first, sizeof(first), "\n%s = %s\n", info->key, values[i].first);
		snprintf(second, sizeof(second), "\n%s = %s\n", info->key, values[i].second);
		set(policy, values[i].key, values[i].first);
		for (size_t key = 0; key < EG_KEY_COUNT; key++)
			assert_int_equal(policy->given[key], key == values[i].key);
		text = eg_policy_format(policy, false);
		assert_non_null(strstr(text, first));
		assert_null(strstr(text, second));
		check_format(policy, false, NULL);
		set(policy, values[i].key, values[i].second);
		free(text);
		text = eg_policy_format(policy, false);
		assert_int_equal(strstr(text, first) != NULL, info->repeats);
		assert_non_null(strstr(text, second));
		check_format(policy, false, NULL);
	}
	for (size_t i = 0; i < EG_KEY_COUNT; i++)
		assert_true(seen[i]);
}

static const struct {
	enum eg_policy_key_id key;
	const char *value;
	unsigned int column;
	const char *part; /* of the message */
} wrong_values[] = {
	{EG_KEY_TARGET, "", 1, "Target has no value: it needs TARGET"},
	{EG_KEY_TARGET, "a\nb", 2, "'a\\x0ab' has a control character"},
	{EG_KEY_TARGET, "a\r", 2, "control character"},
	{EG_KEY_TARGET, " a", 1, "starts or ends with a space"},
	{EG_KEY_TARGET, "a ", 2, "starts or ends with a space"},
	{EG_KEY_TARGET, "docker:a # mine", 10, "a comment"},
	{EG_KEY_TARGET, "docker:a\t; mine", 10, "a comment"},
	{EG_KEY_TARGET, "\"docker:a\"", 1, "stands in quotes: write it without"},
	{EG_KEY_TARGET, "docker:", 7, "'docker:' names nothing behind the ':'"},
	{EG_KEY_TUNNEL, "\"wg0\"", 1, "stands in quotes: write it without"},
	{EG_KEY_TUNNEL, "", 1, "Tunnel has no value: it needs IFACE"},
	{EG_KEY_TUNNEL, "wg-with-16-bytes", 16, "at most 15"},
	{EG_KEY_TUNNEL, "wg/0", 3, "has a '/'"},
	{EG_KEY_TUNNEL, "wg:0", 3, "has a ':'"},
	{EG_KEY_TUNNEL, "wg0 wg1", 4, "white space, which no interface's name has: one Tunnel"},
	{EG_KEY_TUNNEL, "wg\n", 3, "white space"},
	{EG_KEY_TUNNEL, "wg\xa0", 3, "white space"},
	{EG_KEY_TUNNEL, ".", 1, "is not an interface's name"},
	{EG_KEY_TUNNEL, "..", 1, "is not an interface's name"},
	{EG_KEY_TUNNEL, "lo", 1, "loopback"},
	{EG_KEY_MODE, "", 1, "it needs enforce|audit"},
	{EG_KEY_MODE, "Enforce", 1, "'Enforce' is not enforce or audit: did you mean 'enforce'?"},
	{EG_KEY_MODE, "off", 1, "'off' is not enforce or audit"},
	{EG_KEY_ON_BLOCK, "rejct", 1, "did you mean 'reject'?"},
	{EG_KEY_LAN, "true", 1, "'true' is not yes or no"},
	{EG_KEY_LAN, "YES", 1, "did you mean 'yes'?"},
	{EG_KEY_ALLOW, "10.0.0.1/8", 1, "has host bits set: the network is 10.0.0.0/8"},
	{EG_KEY_ALLOW, "0.0.0.0/0", 1, "as good as off"},
	{EG_KEY_DENY, "192.168.1.1:53", 12, "has a port"},
	{EG_KEY_DNS, "tunel", 1, "is not auto, lan or tunnel: did you mean 'tunnel'?"},
	{EG_KEY_ALLOW_DNS, "192.168.1.0/24", 12, "is a prefix"},
	{EG_KEY_ALLOW_DNS, "192.168.1.5:53", 12, "has a port"},
	{EG_KEY_ALLOW_DHCP, "", 1, "it needs yes|no"},
	{EG_KEY_ALLOW_DHCP, "y", 1, "'y' is not yes or no"},
	{EG_KEY_WG_CONF, "/a\tb", 3, "control character"},
	{EG_KEY_ENDPOINT, "0.0.0.0:51820", 1, "is not the address of a host"},
	{EG_KEY_ENDPOINT, "255.255.255.255:51820", 1, "is not the address of a host"},
	{EG_KEY_ENDPOINT, "224.0.0.1:51820", 1, "is not the address of a host"},
	{EG_KEY_ENDPOINT, "[::]:51820", 1, "is not the address of a host"},
	{EG_KEY_ENDPOINT, "[ff02::1]:51820", 1, "is not the address of a host"},
	{EG_KEY_ENDPOINT, "vpn.example.com", 16, "has no port"},
	{EG_KEY_ENDPOINT_SHAPE, "awg", 1, "'awg' is not wireguard or any"},
	{EG_KEY_SOURCE_PORT, "0", 1, "is not from 1 to 65535"},
};

static void refuses_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(wrong_values); i++) {
		EG_AUTO_POLICY struct eg_policy *policy = new_policy();
		struct eg_error error = {};
		int result =
			eg_policy_set(policy, wrong_values[i].key, wrong_values[i].value, &error);

		if (result != -EINVAL || error.line != 1 || error.exit != EG_EXIT_USAGE ||
		    error.column != wrong_values[i].column ||
		    !strstr(error.message, wrong_values[i].part))
			fail_msg("%s = %s gave %d: %u:%u: %s",
				 eg_policy_keys[wrong_values[i].key].key, wrong_values[i].value,
				 result, error.line, error.column, error.message);
		/* nothing changed */
		assert_false(policy->given[wrong_values[i].key]);
		check_format(policy, false, defaults);
	}
}

static void limits_lengths(void **state)
{
	EG_AUTO_POLICY struct eg_policy *policy = new_policy();
	char value[4200];
	struct eg_error error = {};

	(void)state;
	memset(value, 'x', sizeof(value));
	value[EG_TARGET_MAX - 1] = '\0';
	set(policy, EG_KEY_TARGET, value);
	value[EG_TARGET_MAX - 1] = 'x';
	value[EG_TARGET_MAX] = '\0';
	assert_int_equal(eg_policy_set(policy, EG_KEY_TARGET, value, &error), -EINVAL);
	assert_int_equal(error.column, EG_TARGET_MAX);
	assert_int_equal(strlen(policy->target), EG_TARGET_MAX - 1);
	value[EG_TARGET_MAX] = 'x';
	value[4000] = '\0';
	set(policy, EG_KEY_WG_CONF, value);
	check_format(policy, false, NULL);
	value[4000] = 'x';
	value[4001] = '\0';
	assert_int_equal(eg_policy_set(policy, EG_KEY_WG_CONF, value, &error), -EINVAL);
}

static void limits_tunnels(void **state)
{
	EG_AUTO_POLICY struct eg_policy *policy = new_policy();
	struct eg_error error = {};
	char name[16];

	(void)state;
	for (int i = 0; i < EG_TUNNELS_MAX; i++) {
		snprintf(name, sizeof(name), "wg%d", i);
		set(policy, EG_KEY_TUNNEL, name);
	}
	check_format(policy, false, NULL);
	assert_int_equal(eg_policy_set(policy, EG_KEY_TUNNEL, "wg5", &error), -EINVAL);
	assert_string_equal(error.message, "the tunnel 'wg5' is named twice");
	assert_int_equal(eg_policy_set(policy, EG_KEY_TUNNEL, "wg16", &error), -EINVAL);
	assert_non_null(strstr(error.message, "at most 16"));
	assert_int_equal(policy->n_tunnels, EG_TUNNELS_MAX);
}

static void dns_auto(void **state)
{
	EG_AUTO_POLICY struct eg_policy *policy = new_policy();

	(void)state;
	assert_int_equal(eg_policy_dns(policy), EG_DNS_LAN);
	policy->derived.dns_servers = true;
	assert_int_equal(eg_policy_dns(policy), EG_DNS_TUNNEL);
	set(policy, EG_KEY_DNS, "lan");
	assert_int_equal(eg_policy_dns(policy), EG_DNS_LAN);
	policy->derived.dns_servers = false;
	set(policy, EG_KEY_DNS, "tunnel");
	assert_int_equal(eg_policy_dns(policy), EG_DNS_TUNNEL);
}

static void adds_copies(void **state)
{
	EG_AUTO_POLICY struct eg_policy *policy = new_policy();
	char host[] = "vpn.example.com";
	struct eg_endpoint endpoint = {.port = 1, .host = host};

	(void)state;
	for (int i = 0; i < 100; i++) {
		endpoint.port = (__u16)(i + 1);
		assert_int_equal(
			eg_policy_add_endpoint(&policy->endpoints, &policy->n_endpoints, &endpoint),
			0);
	}
	host[0] = 'x';
	assert_int_equal(policy->n_endpoints, 100);
	for (int i = 0; i < 100; i++) {
		assert_string_equal(policy->endpoints[i].host, "vpn.example.com");
		assert_int_equal(policy->endpoints[i].port, i + 1);
	}
}

/* --- files ------------------------------------------------------------------------------------ */

static void remembers_what_was_given(void **state)
{
	EG_AUTO_POLICY struct eg_policy *policy = new_policy();

	(void)state;
	assert_int_equal(parse(policy, "[Lan]\nLan = yes\nAllow = 10.0.0.5\n", false, NULL), 0);
	for (size_t i = 0; i < EG_KEY_COUNT; i++)
		assert_int_equal(policy->given[i], i == EG_KEY_LAN || i == EG_KEY_ALLOW);
}

/* A file over a policy: what does not repeat is replaced, what repeats is added. */
static void reads_over_a_policy(void **state)
{
	EG_AUTO_POLICY struct eg_policy *policy = new_policy();

	(void)state;
	set(policy, EG_KEY_TARGET, "old");
	set(policy, EG_KEY_ALLOW, "10.0.0.5");
	assert_int_equal(parse(policy, "[Guard]\nTarget=new\n[Lan]\nAllow=10.0.0.6\n", false, NULL),
			 0);
	assert_string_equal(policy->target, "new");
	assert_int_equal(policy->n_allow, 2);
}

static void derived_needs_leave(void **state)
{
	static const char text[] = "[Derived]\nDnsServers = yes\n";
	EG_AUTO_POLICY struct eg_policy *policy = new_policy();
	struct eg_error error = {};

	(void)state;
	assert_int_equal(parse(policy, text, false, &error), -EINVAL);
	assert_int_equal(error.line, 1);
	assert_int_equal(error.column, 2);
	assert_false(policy->derived.dns_servers);
	assert_int_equal(parse(policy, text, true, &error), 0);
	assert_true(policy->derived.dns_servers);
}

static void fills_no_error_that_is_not_there(void **state)
{
	static const char *const texts[] = {
		"[Lan]\nAllow = x\n",        "[Lan\n", "x\n", "[Lan]\nx=y\n", "a=b\n", "[x]\n",
		"[Lan]\nDns=auto\nDns=lan\n"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		EG_AUTO_POLICY struct eg_policy *policy = new_policy();

		assert_int_equal(parse(policy, texts[i], true, NULL), -EINVAL);
	}
}

static void limits_lines_and_text(void **state)
{
	EG_AUTO_POLICY struct eg_policy *policy = new_policy();
	EG_AUTO_FREE char *text = malloc(EG_POLICY_TEXT_MAX + 1);
	struct eg_error error = {};

	(void)state;
	assert_non_null(text);
	memset(text, '#', EG_POLICY_TEXT_MAX + 1);
	assert_int_equal(eg_policy_parse(policy, text, 4096, false, &error), 0);
	text[4096] = '\n';
	assert_int_equal(eg_policy_parse(policy, text, 4097, false, &error), 0);
	text[4096] = '\r';
	text[4097] = '\n';
	assert_int_equal(eg_policy_parse(policy, text, 4098, false, &error), 0);
	text[4096] = '#';
	assert_int_equal(eg_policy_parse(policy, text, 4098, false, &error), -EINVAL);
	assert_int_equal(error.line, 1);
	assert_int_equal(error.column, 4097);
	assert_non_null(strstr(error.message, "4097 bytes"));
	memset(text, '\n', EG_POLICY_TEXT_MAX + 1);
	assert_int_equal(eg_policy_parse(policy, text, EG_POLICY_TEXT_MAX, false, &error), 0);
	assert_int_equal(eg_policy_parse(policy, text, EG_POLICY_TEXT_MAX + 1, false, &error),
			 -EFBIG);
	assert_int_equal(error.exit, EG_EXIT_USAGE);
	assert_non_null(strstr(error.message, "at most 33554432"));
}

/* --- random policies -------------------------------------------------------------------------- */

static struct eg_prefix random_prefix(unsigned int min_len4, unsigned int min_len6)
{
	struct eg_prefix prefix = {};
	unsigned int bits, min_len;

	prefix.family = random_below(2) ? EG_FAMILY_IPV4 : EG_FAMILY_IPV6;
	bits = eg_family_bits(prefix.family);
	min_len = prefix.family == EG_FAMILY_IPV4 ? min_len4 : min_len6;
	prefix.len = (__u8)(random_below(4) ? min_len + random_below(bits + 1 - min_len) : bits);
	for (unsigned int i = 0; i < prefix.len; i++) {
		if (random_below(1 + random_below(8)) == 0)
			prefix.addr.bytes[i / 8] |= (__u8)(0x80 >> i % 8);
	}
	return prefix;
}

static struct eg_rule random_rule(void)
{
	static const __s16 with_ports[] = {-1, 6, 17, 132};
	struct eg_rule rule = {random_prefix(EG_RULE_MIN_LEN_IPV4, EG_RULE_MIN_LEN_IPV6), 0, -1};

	if (random_below(2)) {
		rule.port = (__u16)(1 + random_below(65535));
		rule.proto = with_ports[random_below(COUNT(with_ports))];
	} else if (random_below(2)) {
		rule.proto = (__s16)random_below(256);
	}
	if (rule.proto == 1 || rule.proto == 58)
		rule.proto = rule.prefix.family == EG_FAMILY_IPV4 ? 1 : 58;
	return rule;
}

static struct eg_endpoint random_endpoint(bool derived)
{
	struct eg_prefix prefix = random_prefix(32, 128);
	struct eg_endpoint endpoint = {
		.addr = prefix.addr,
		.family = prefix.family,
		.port = (__u16)(1 + random_below(65535)),
	};

	if (!derived) /* a host's address: not multicast, not unspecified */
		endpoint.addr.bytes[0] = (__u8)(1 + random_below(200));
	return endpoint;
}

static void random_derived(struct eg_derived *derived)
{
	for (uint32_t i = random_below(4); i > 0; i--) {
		struct eg_endpoint endpoint = random_endpoint(true);

		eg_policy_add_endpoint(&derived->endpoints, &derived->n_endpoints, &endpoint);
	}
	for (uint32_t i = random_below(20); i > 0; i--) {
		struct eg_prefix prefix = random_prefix(0, 0);

		eg_policy_add_prefix(&derived->tunnel_only, &derived->n_tunnel_only, &prefix);
		prefix = random_prefix(32, 128);
		eg_policy_add_prefix(&derived->sources, &derived->n_sources, &prefix);
		prefix = random_prefix(0, 0);
		eg_policy_add_prefix(&derived->on_link, &derived->n_on_link, &prefix);
	}
	derived->dns_servers = random_below(2);
}

static void random_strings(struct eg_policy *policy)
{
	static const char letters[] = "abcXYZ019-_=#;[]\\/.'\" \xc3\xa9";
	char value[40] = "";
	size_t len = 1 + random_below(20);

	if (random_below(2))
		return;
	for (size_t i = 0; i < len; i++)
		value[i] = letters[random_below(sizeof(letters) - 1)];
	/* refused where it starts or ends with a space */
	eg_policy_set(policy, EG_KEY_TARGET, value, NULL);
	eg_policy_set(policy, EG_KEY_WG_CONF, value, NULL);
	value[15] = '\0';
	eg_policy_set(policy, EG_KEY_TUNNEL, value, NULL);
	eg_policy_set(policy, EG_KEY_TUNNEL, value + 1, NULL);
}

static struct eg_policy *random_policy(void)
{
	struct eg_policy *policy = new_policy();
	char text[EG_ADDRESS_TEXT_LEN];

	random_strings(policy);
	policy->mode = (enum eg_policy_mode)random_below(2);
	policy->on_block = (enum eg_on_block)random_below(2);
	policy->lan = random_below(2);
	policy->dns = (enum eg_dns)random_below(3);
	policy->allow_dhcp = random_below(2);
	policy->allow_multicast = random_below(2);
	policy->endpoint_shape = (enum eg_shape)random_below(2);
	policy->source_port = (__u16)(random_below(2) ? random_below(65536) : 0);
	for (uint32_t i = random_below(20); i > 0; i--) {
		struct eg_rule rule = random_rule();
		struct eg_prefix prefix = random_prefix(0, 0);
		struct eg_endpoint endpoint = random_endpoint(false);

		set(policy, EG_KEY_ALLOW, eg_rule_format(text, &rule));
		set(policy, EG_KEY_DENY, eg_prefix_format(text, &prefix));
		prefix = random_prefix(32, 128);
		set(policy, EG_KEY_ALLOW_DNS, eg_prefix_format(text, &prefix));
		eg_policy_add_endpoint(&policy->endpoints, &policy->n_endpoints, &endpoint);
		set(policy, EG_KEY_ENDPOINT, "a.example:1");
	}
	random_derived(&policy->derived);
	return policy;
}

static void same_string(const char *a, const char *b)
{
	assert_int_equal(!a, !b);
	if (a)
		assert_string_equal(a, b);
}

static void same_prefixes(const struct eg_prefix *a, size_t n_a, const struct eg_prefix *b,
			  size_t n_b)
{
	assert_int_equal(n_a, n_b);
	for (size_t i = 0; i < n_a; i++)
		assert_int_equal(eg_prefix_compare(&a[i], &b[i]), 0);
}

static void same_endpoints(const struct eg_endpoint *a, size_t n_a, const struct eg_endpoint *b,
			   size_t n_b)
{
	assert_int_equal(n_a, n_b);
	for (size_t i = 0; i < n_a; i++) {
		assert_int_equal(a[i].family, b[i].family);
		assert_int_equal(a[i].port, b[i].port);
		assert_memory_equal(&a[i].addr, &b[i].addr, sizeof(a[i].addr));
		same_string(a[i].host, b[i].host);
	}
}

static void same_policy(const struct eg_policy *a, const struct eg_policy *b)
{
	same_string(a->target, b->target);
	same_string(a->wg_conf, b->wg_conf);
	assert_int_equal(a->n_tunnels, b->n_tunnels);
	for (size_t i = 0; i < a->n_tunnels; i++)
		assert_string_equal(a->tunnels[i], b->tunnels[i]);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->on_block, b->on_block);
	assert_int_equal(a->lan, b->lan);
	assert_int_equal(a->dns, b->dns);
	assert_int_equal(a->allow_dhcp, b->allow_dhcp);
	assert_int_equal(a->allow_multicast, b->allow_multicast);
	assert_int_equal(a->endpoint_shape, b->endpoint_shape);
	assert_int_equal(a->source_port, b->source_port);
	assert_int_equal(a->n_allow, b->n_allow);
	for (size_t i = 0; i < a->n_allow; i++) {
		assert_int_equal(eg_prefix_compare(&a->allow[i].prefix, &b->allow[i].prefix), 0);
		assert_int_equal(a->allow[i].port, b->allow[i].port);
		assert_int_equal(a->allow[i].proto, b->allow[i].proto);
	}
	same_prefixes(a->deny, a->n_deny, b->deny, b->n_deny);
	same_prefixes(a->allow_dns, a->n_allow_dns, b->allow_dns, b->n_allow_dns);
	same_endpoints(a->endpoints, a->n_endpoints, b->endpoints, b->n_endpoints);
}

static void same_derived(const struct eg_derived *a, const struct eg_derived *b)
{
	same_endpoints(a->endpoints, a->n_endpoints, b->endpoints, b->n_endpoints);
	same_prefixes(a->tunnel_only, a->n_tunnel_only, b->tunnel_only, b->n_tunnel_only);
	same_prefixes(a->sources, a->n_sources, b->sources, b->n_sources);
	same_prefixes(a->on_link, a->n_on_link, b->on_link, b->n_on_link);
	assert_int_equal(a->dns_servers, b->dns_servers);
}

static void random_policies_read_back(void **state)
{
	(void)state;
	for (int round = 0; round < 3000; round++) {
		EG_AUTO_POLICY struct eg_policy *policy = random_policy();
		bool derived = random_below(2);
		EG_AUTO_FREE char *text = eg_policy_format(policy, derived);
		EG_AUTO_POLICY struct eg_policy *again = new_policy();
		struct eg_error error = {};

		if (parse(again, text, derived, &error) != 0)
			fail_msg("%u:%u: %s in:\n%s", error.line, error.column, error.message,
				 text);
		same_policy(policy, again);
		if (derived)
			same_derived(&policy->derived, &again->derived);
		check_format(policy, derived, text);
	}
}

/* --- a big one -------------------------------------------------------------------------------- */

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void add_rules(struct eg_text *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		eg_text_printf(text, "Allow = %zu.%zu.%zu.%zu:%zu/udp\n", 11 + i / 16777216,
			       i / 65536 % 256, i / 256 % 256, i % 256, i % 65535 + 1);
}

/* Time grows with the length, not with its square: ten times the lines take less than 25 times as
 * long; and within a bound that holds under sanitizers too. */
static void reads_big_files_fast(void **state)
{
	double seconds[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		EG_AUTO_POLICY struct eg_policy *policy = new_policy();
		EG_AUTO_TEXT struct eg_text text = {};
		size_t n = i ? 400000 : 40000;
		double start;

		eg_text_printf(&text, "[Lan]\n");
		add_rules(&text, n);
		assert_false(text.failed);
		start = seconds_now();
		assert_int_equal(eg_policy_parse(policy, text.data, text.len, false, NULL), 0);
		seconds[i] = seconds_now() - start;
		assert_int_equal(policy->n_allow, n);
		if (i) {
			assert_true(text.len > 10000000);
			print_message("%zu rules, %zu bytes: %.0f ms\n", n, text.len,
				      seconds[i] * 1000);
		}
	}
	assert_true(seconds[1] < 25 * seconds[0] + 0.05);
	assert_true(seconds[1] < 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_valid),
		cmocka_unit_test(golden_invalid),
		cmocka_unit_test(has_defaults),
		cmocka_unit_test(sets_every_key),
		cmocka_unit_test(refuses_values),
		cmocka_unit_test(limits_lengths),
		cmocka_unit_test(limits_tunnels),
		cmocka_unit_test(dns_auto),
		cmocka_unit_test(adds_copies),
		cmocka_unit_test(remembers_what_was_given),
		cmocka_unit_test(reads_over_a_policy),
		cmocka_unit_test(derived_needs_leave),
		cmocka_unit_test(fills_no_error_that_is_not_there),
		cmocka_unit_test(limits_lines_and_text),
		cmocka_unit_test(random_policies_read_back),
		cmocka_unit_test(reads_big_files_fast),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
