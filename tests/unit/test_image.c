// SPDX-License-Identifier: GPL-2.0
/* The compiler of images: what each switch becomes, and flattening against the plain lists. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "eg_packet.h"
#include "packets.h"
#include "policy/address.h"
#include "policy/array.h"
#include "policy/image.h"
#include "policy/networks.h"
#include "util/cleanup.h"
#include "util/text.h"

static struct eg_addr_value value_at(const struct eg_image *image, const char *text)
{
	union eg_addr addr;
	__u8 family;

	assert_int_equal(eg_addr_parse(text, &family, &addr, NULL), 0);
	return eg_image_addr(image, family, &addr);
}

static __u32 flags_at(const struct eg_image *image, const char *text)
{
	return value_at(image, text).flags;
}

static bool rule_at(const struct eg_image *image, const char *text, __u8 proto, __u16 port)
{
	struct eg_addr_value value = value_at(image, text);

	return (value.flags & EG_ADDR_RULES) && eg_image_rule(image, value.rule_set, proto, port);
}

static const struct eg_image_addr *entry_of(const struct eg_image *image, const char *text)
{
	struct eg_prefix prefix;

	assert_int_equal(eg_prefix_parse(text, &prefix, NULL), 0);
	for (size_t i = 0; i < image->n_addrs; i++)
		if (!eg_prefix_compare(&image->addrs[i].prefix, &prefix))
			return &image->addrs[i];
	return NULL;
}

static void test_lan(void **state)
{
	EG_AUTO_IMAGE struct eg_image *lan = packets_image("");
	EG_AUTO_IMAGE struct eg_image *none = packets_image("[Lan]\nLan = no\n");

	(void)state;
	assert_int_equal(flags_at(lan, "10.0.0.0"), EG_ADDR_LAN);
	assert_int_equal(flags_at(lan, "10.255.255.255"), EG_ADDR_LAN);
	assert_int_equal(flags_at(lan, "9.255.255.255"), 0);
	assert_int_equal(flags_at(lan, "11.0.0.0"), 0);
	assert_int_equal(flags_at(lan, "172.16.0.0"), EG_ADDR_LAN);
	assert_int_equal(flags_at(lan, "172.31.255.255"), EG_ADDR_LAN);
	assert_int_equal(flags_at(lan, "172.32.0.0"), 0);
	assert_int_equal(flags_at(lan, "192.168.255.255"), EG_ADDR_LAN);
	assert_int_equal(flags_at(lan, "fc00::"), EG_ADDR_LAN);
	assert_int_equal(flags_at(lan, "fdff::1"), EG_ADDR_LAN);
	assert_int_equal(flags_at(lan, "fd00:ec2::254"), 0);
	assert_int_equal(flags_at(lan, "fd00:ec3::"), EG_ADDR_LAN);
	assert_int_equal(flags_at(lan, "fe00::"), 0);
	assert_int_equal(lan->n_addrs, 5);
	assert_int_equal(none->n_addrs, 0);
}

static void test_rules(void **state)
{
	EG_AUTO_IMAGE struct eg_image *image = packets_image("[Lan]\n"
							     "Lan = no\n"
							     "Allow = 100.64.0.0/10\n"
							     "Allow = 203.0.113.0/24:443\n"
							     "Allow = 203.0.113.5:22/tcp\n"
							     "Allow = 203.0.113.6:22/tcp\n"
							     "Allow = 203.0.113.7:*/esp\n"
							     "Allow = [fd00:ec2::254]:80/tcp\n");

	(void)state;
	assert_int_equal(flags_at(image, "100.127.255.255"), EG_ADDR_RULE);
	assert_int_equal(flags_at(image, "203.0.113.1"), EG_ADDR_RULES);
	assert_true(rule_at(image, "203.0.113.1", 6, 443));
	assert_true(rule_at(image, "203.0.113.1", 17, 443));
	assert_false(rule_at(image, "203.0.113.1", 6, 22));
	/* the covering prefix's pairs hold inside it too */
	assert_true(rule_at(image, "203.0.113.5", 6, 22));
	assert_false(rule_at(image, "203.0.113.5", 17, 22));
	assert_true(rule_at(image, "203.0.113.5", 17, 443));
	assert_true(rule_at(image, "203.0.113.7", 50, 0));
	assert_false(rule_at(image, "203.0.113.6", 50, 0));
	assert_true(rule_at(image, "fd00:ec2::254", 6, 80));
	/* same pairs, same set; ids from 1 in the order of addresses */
	assert_int_equal(value_at(image, "203.0.113.1").rule_set, 1);
	assert_int_equal(value_at(image, "203.0.113.5").rule_set, 2);
	assert_int_equal(value_at(image, "203.0.113.6").rule_set, 2);
	assert_int_equal(value_at(image, "203.0.113.7").rule_set, 3);
}

/* Pairs that decide nothing are no reason for another load per packet. */
static void test_idle_rules(void **state)
{
	EG_AUTO_IMAGE struct eg_image *image = packets_image("[Lan]\n"
							     "Allow = 192.168.1.5:443\n"
							     "Allow = 192.168.1.6:*/esp\n"
							     "Allow = 203.0.113.5:*/tcp\n"
							     "Allow = 203.0.113.5:80/tcp\n"
							     "[Derived]\n"
							     "TunnelOnly = 192.168.2.0/24\n");

	(void)state;
	assert_null(entry_of(image, "192.168.1.5"));
	assert_true(rule_at(image, "192.168.1.6", 50, 0));
	assert_true(rule_at(image, "203.0.113.5", 6, 0));
	assert_false(rule_at(image, "203.0.113.5", 6, 80));
	assert_int_equal(flags_at(image, "192.168.2.1"), EG_ADDR_LAN | EG_ADDR_TUNNEL_ONLY);
}

static void test_deny_dns_multicast(void **state)
{
	EG_AUTO_IMAGE struct eg_image *image = packets_image("[Lan]\n"
							     "Deny = 192.168.1.1\n"
							     "AllowDns = 9.9.9.9\n"
							     "AllowDns = 192.168.1.5\n"
							     "AllowMulticast = yes\n");

	(void)state;
	assert_int_equal(flags_at(image, "192.168.1.1"), EG_ADDR_LAN | EG_ADDR_DENIED);
	assert_int_equal(flags_at(image, "9.9.9.9"), EG_ADDR_DNS_EXCEPT | EG_ADDR_RULES);
	assert_true(rule_at(image, "9.9.9.9", 6, 53));
	assert_true(rule_at(image, "9.9.9.9", 17, 53));
	assert_true(rule_at(image, "9.9.9.9", 6, 853));
	assert_true(rule_at(image, "9.9.9.9", 17, 853));
	assert_false(rule_at(image, "9.9.9.9", 17, 443));
	assert_int_equal(flags_at(image, "192.168.1.5"), EG_ADDR_LAN | EG_ADDR_DNS_EXCEPT);
	assert_int_equal(flags_at(image, "224.0.0.251"), EG_ADDR_RULE);
	assert_int_equal(flags_at(image, "224.0.1.1"), 0);
	assert_int_equal(flags_at(image, "239.255.255.250"), EG_ADDR_RULE);
	assert_int_equal(flags_at(image, "ff00::1"), 0);
	assert_int_equal(flags_at(image, "ff01::1"), EG_ADDR_RULE);
	assert_int_equal(flags_at(image, "ff05::1"), EG_ADDR_RULE);
	assert_int_equal(flags_at(image, "ff06::1"), 0);
}

static void test_tunnel_only(void **state)
{
	EG_AUTO_IMAGE struct eg_image *image = packets_image("[Lan]\n"
							     "Allow = 10.2.0.64/26\n"
							     "Allow = 10.2.0.5:80/tcp\n"
							     "AllowDns = 10.2.0.1\n"
							     "[Derived]\n"
							     "TunnelOnly = 10.2.0.0/24\n"
							     "TunnelOnly = 10.2.0.65\n"
							     "TunnelOnly = 10.64.0.1\n");

	(void)state;
	assert_int_equal(flags_at(image, "10.2.0.2"), EG_ADDR_LAN | EG_ADDR_TUNNEL_ONLY);
	assert_int_equal(flags_at(image, "10.64.0.1"), EG_ADDR_LAN | EG_ADDR_TUNNEL_ONLY);
	/* a rule for any port takes it back, from what lies inside it as well */
	assert_int_equal(flags_at(image, "10.2.0.64"), EG_ADDR_LAN | EG_ADDR_RULE);
	assert_int_equal(flags_at(image, "10.2.0.65"), EG_ADDR_LAN | EG_ADDR_RULE);
	assert_null(entry_of(image, "10.2.0.65"));
	/* a rule for a port takes that port back */
	assert_int_equal(flags_at(image, "10.2.0.5"),
			 EG_ADDR_LAN | EG_ADDR_TUNNEL_ONLY | EG_ADDR_RULES);
	assert_true(rule_at(image, "10.2.0.5", 6, 80));
	assert_true(rule_at(image, "10.2.0.1", 17, 53));
}

static void test_own_addresses(void **state)
{
	static const char text[] = "[Lan]\n%s"
				   "[Derived]\n"
				   "Source = 172.18.0.2\n"
				   "Source = 198.51.100.2\n"
				   "Source = fd00::2\n"
				   "Source = 2001:db8::2\n"
				   "OnLink = 172.18.0.0/16\n"
				   "OnLink = 198.51.100.0/24\n"
				   "OnLink = fd00::/64\n";
	char with[512], without[512];

	(void)state;
	snprintf(without, sizeof(without), text, "");
	snprintf(with, sizeof(with), text, "AllowDhcp = yes\n");
	EG_AUTO_IMAGE struct eg_image *plain = packets_image(without);
	EG_AUTO_IMAGE struct eg_image *dhcp = packets_image(with);

	assert_int_equal(flags_at(plain, "172.18.0.2"), EG_ADDR_LAN);
	assert_int_equal(flags_at(plain, "198.51.100.2"), EG_ADDR_SOURCE);
	assert_int_equal(flags_at(plain, "198.51.100.3"), 0);
	assert_int_equal(flags_at(plain, "fd00::2"), EG_ADDR_LAN | EG_ADDR_ON_LINK);
	assert_int_equal(flags_at(plain, "2001:db8::2"), EG_ADDR_SOURCE);
	assert_int_equal(flags_at(dhcp, "172.18.0.2"), EG_ADDR_LAN | EG_ADDR_ON_LINK);
	assert_int_equal(flags_at(dhcp, "198.51.100.3"), EG_ADDR_ON_LINK);
	/* nothing to ask for in the LAN: one load answers */
	for (int i = 0; i < 65536; i++)
		if (i >> 8 == 10 || i >> 4 == 0xac1 || i == 0xc0a8)
			assert_int_equal(plain->front4->flags[i], EG_ADDR_LAN);
	assert_int_equal(dhcp->front4->flags[0xac12], EG_ADDR_LAN | EG_ADDR_ON_LINK);
	assert_int_equal(plain->front4->flags[0xc633], EG_ADDR_ASK);
}

static void test_endpoints(void **state)
{
	EG_AUTO_IMAGE struct eg_image *image = packets_image("[WireGuard]\n"
							     "Endpoint = 203.0.113.9:51820\n"
							     "Endpoint = [2001:db8::9]:443\n"
							     "[Derived]\n"
							     "Endpoint = 203.0.113.9:51820\n"
							     "Endpoint = 203.0.113.9:51821\n");
	union eg_addr addr = {.bytes = {203, 0, 113, 9}};

	(void)state;
	assert_int_equal(image->n_endpoints, 3);
	assert_int_equal(flags_at(image, "203.0.113.9"), EG_ADDR_ENDPOINT);
	assert_int_equal(flags_at(image, "203.0.113.8"), 0);
	assert_int_equal(flags_at(image, "2001:db8::9"), EG_ADDR_ENDPOINT);
	assert_true(eg_image_endpoint(image, EG_FAMILY_IPV4, &addr, 51820));
	assert_true(eg_image_endpoint(image, EG_FAMILY_IPV4, &addr, 51821));
	assert_false(eg_image_endpoint(image, EG_FAMILY_IPV4, &addr, 51822));
	assert_false(eg_image_endpoint(image, EG_FAMILY_IPV6, &addr, 51820));
	assert_int_equal(image->front4->flags[203 << 8], EG_ADDR_ASK);
	assert_int_equal(image->config.endpoint4_be, addr.v4_be);
	assert_int_equal(image->config.endpoint4_port_be, EG_BE16(51820));
	assert_int_equal(image->config.endpoint6.bytes[15], 9);
	assert_int_equal(image->config.endpoint6_port_be, EG_BE16(443));
}

static void test_unresolved(void **state)
{
	EG_AUTO_POLICY struct eg_policy *policy =
		packets_policy("[WireGuard]\nEndpoint = vpn.example.net:51820\n");
	struct eg_error error = {};
	struct eg_image *image = NULL;

	(void)state;
	assert_int_equal(eg_image_compile(policy, &image, &error), -EINVAL);
	assert_int_equal(error.exit, EG_EXIT_USAGE);
	assert_non_null(strstr(error.message, "vpn.example.net"));
	assert_null(image);
}

static void test_config(void **state)
{
	EG_AUTO_IMAGE struct eg_image *plain = packets_image("");
	EG_AUTO_IMAGE struct eg_image *all = packets_image("[Guard]\n"
							   "Mode = audit\n"
							   "[Lan]\n"
							   "AllowDhcp = yes\n"
							   "[WireGuard]\n"
							   "EndpointShape = any\n"
							   "SourcePort = 51820\n"
							   "[Derived]\n"
							   "DnsServers = yes\n");

	(void)state;
	assert_int_equal(plain->config.flags, 0);
	assert_int_equal(plain->config.source_port_be, 0);
	assert_int_equal(all->config.flags, EG_CONFIG_AUDIT | EG_CONFIG_DNS_TUNNEL |
						    EG_CONFIG_DHCP | EG_CONFIG_SHAPE_ANY);
	assert_int_equal(((unsigned char *)&all->config.source_port_be)[0], 51820 >> 8);
	assert_int_equal(((unsigned char *)&all->config.source_port_be)[1], 51820 & 0xff);
	assert_int_equal(all->config.active_since_ns, 0);
}

static void test_same_meaning(void **state)
{
	EG_AUTO_IMAGE struct eg_image *one = packets_image("[Lan]\n"
							   "Allow = 203.0.113.0/24\n"
							   "Allow = 198.51.100.0/24:443\n");
	EG_AUTO_IMAGE struct eg_image *other = packets_image("[Lan]\n"
							     "Allow = 198.51.100.0/24:443/udp\n"
							     "Allow = 203.0.113.7\n"
							     "Allow = 198.51.100.9:443/tcp\n"
							     "Allow = 198.51.100.0/24:443/tcp\n"
							     "Allow = 203.0.113.0/24\n"
							     "Allow = 203.0.113.0/24:80\n");

	(void)state;
	assert_int_equal(one->n_addrs, other->n_addrs);
	for (size_t i = 0; i < one->n_addrs; i++) {
		const struct eg_image_addr *a = &one->addrs[i], *b = &other->addrs[i];

		assert_int_equal(eg_prefix_compare(&a->prefix, &b->prefix), 0);
		assert_int_equal(a->value.flags, b->value.flags);
		assert_int_equal(a->value.rule_set, b->value.rule_set);
	}
	assert_int_equal(one->n_rules, other->n_rules);
	for (size_t i = 0; i < one->n_rules; i++) {
		assert_int_equal(one->rules[i].rule_set, other->rules[i].rule_set);
		assert_int_equal(one->rules[i].port, other->rules[i].port);
		assert_int_equal(one->rules[i].proto, other->rules[i].proto);
	}
}

/* A survey that forgot to mask must not tear the order. */
static void test_stray_host_bits(void **state)
{
	EG_AUTO_POLICY struct eg_policy *policy = packets_policy("[Lan]\nDeny = 10.5.0.0/16\n");
	struct eg_prefix prefix = {.addr.bytes = {10, 5, 6, 7}, .family = EG_FAMILY_IPV4, .len = 9};

	(void)state;
	assert_int_equal(eg_policy_add_prefix(&policy->derived.tunnel_only,
					      &policy->derived.n_tunnel_only, &prefix),
			 0);
	EG_AUTO_IMAGE struct eg_image *image = packets_compile(policy);
	assert_int_equal(flags_at(image, "10.1.0.0"), EG_ADDR_LAN | EG_ADDR_TUNNEL_ONLY);
	assert_int_equal(flags_at(image, "10.5.0.1"),
			 EG_ADDR_LAN | EG_ADDR_TUNNEL_ONLY | EG_ADDR_DENIED);
	assert_int_equal(flags_at(image, "10.128.0.1"), EG_ADDR_LAN);
}

/* --- properties ------------------------------------------------------------------------------- */

static bool listed(const struct eg_prefix *prefixes, size_t n, __u8 family,
		   const union eg_addr *addr)
{
	for (size_t i = 0; i < n; i++)
		if (eg_prefix_contains(&prefixes[i], family, addr))
			return true;
	return false;
}

/* The flags that the plain lists give an address. */
static __u32 flags_by_lists(const struct eg_policy *policy, __u8 family, const union eg_addr *addr)
{
	const struct eg_derived *derived = &policy->derived;
	bool explicit = false;
	__u32 flags = 0;

	for (size_t i = 0; i < policy->n_allow; i++)
		explicit |= !policy->allow[i].port && policy->allow[i].proto < 0 &&
			    eg_prefix_contains(&policy->allow[i].prefix, family, addr);
	if (policy->lan && listed(eg_lan_prefixes, EG_LAN_PREFIXES, family, addr) &&
	    !eg_prefix_contains(&eg_lan_exception, family, addr))
		flags |= EG_ADDR_LAN;
	if (explicit || (policy->allow_multicast &&
			 listed(eg_multicast_prefixes, EG_MULTICAST_PREFIXES, family, addr)))
		flags |= EG_ADDR_RULE;
	if (listed(policy->deny, policy->n_deny, family, addr))
		flags |= EG_ADDR_DENIED;
	if (listed(policy->allow_dns, policy->n_allow_dns, family, addr))
		flags |= EG_ADDR_DNS_EXCEPT;
	if (derived->n_names &&
	    listed(policy->bootstrap_dns, policy->n_bootstrap_dns, family, addr))
		flags |= EG_ADDR_BOOTSTRAP;
	if (!explicit && listed(derived->tunnel_only, derived->n_tunnel_only, family, addr))
		flags |= EG_ADDR_TUNNEL_ONLY;
	if (!(flags & (EG_ADDR_LAN | EG_ADDR_RULE)) &&
	    listed(derived->sources, derived->n_sources, family, addr))
		flags |= EG_ADDR_SOURCE;
	if ((family == EG_FAMILY_IPV6 || policy->allow_dhcp) &&
	    listed(derived->on_link, derived->n_on_link, family, addr))
		flags |= EG_ADDR_ON_LINK;
	return flags;
}

static void check_sorted(const struct eg_image *image)
{
	for (size_t i = 1; i < image->n_addrs; i++)
		assert_true(eg_prefix_compare(&image->addrs[i - 1].prefix,
					      &image->addrs[i].prefix) < 0);
	for (size_t i = 1; i < image->n_rules; i++) {
		const struct eg_image_rule *a = &image->rules[i - 1], *b = &image->rules[i];

		assert_true(a->rule_set < b->rule_set ||
			    (a->rule_set == b->rule_set &&
			     (a->proto < b->proto || (a->proto == b->proto && a->port < b->port))));
	}
}

static struct eg_addr_value slow_lookup(const struct eg_image *image, __u8 family,
					const union eg_addr *addr)
{
	struct eg_addr_value value = {};
	int len = -1;

	for (size_t i = 0; i < image->n_addrs; i++) {
		const struct eg_image_addr *entry = &image->addrs[i];

		if (entry->prefix.len > len && eg_prefix_contains(&entry->prefix, family, addr)) {
			len = entry->prefix.len;
			value = entry->value;
		}
	}
	return value;
}

static void check_front6(const struct eg_image *image, const union eg_addr *addr,
			 const struct eg_addr_value *value)
{
	__u32 front = eg_front6_flags(image->front6, addr);
	__u32 but = front & EG_FRONT6_ON_LINK ? EG_FRONT6_ON_LINK | EG_ADDR_ON_LINK : 0;

	if (!(front & EG_ADDR_ASK)) {
		assert_int_equal(front & ~but, value->flags & ~but);
		assert_int_equal(value->rule_set, 0);
	}
}

static void check_addr(const struct eg_policy *policy, const struct eg_image *image, __u8 family,
		       const union eg_addr *addr)
{
	__u32 by_lists = flags_by_lists(policy, family, addr);
	struct eg_addr_value value = eg_image_addr(image, family, addr);
	struct eg_addr_value slow = slow_lookup(image, family, addr);
	__u32 not_listed = EG_ADDR_RULES | EG_ADDR_ENDPOINT;

	assert_int_equal(value.flags, slow.flags);
	assert_int_equal(value.rule_set, slow.rule_set);
	assert_int_equal(value.flags & ~not_listed, by_lists);
	assert_int_equal(!value.rule_set, !(value.flags & EG_ADDR_RULES));
	if (family == EG_FAMILY_IPV4) {
		__u8 front = image->front4->flags[addr->bytes[0] << 8 | addr->bytes[1]];

		if (!(front & EG_ADDR_ASK))
			assert_int_equal(front, value.flags);
	} else {
		check_front6(image, addr, &value);
	}
}

static void check_no_idle_entry(const struct eg_image *image)
{
	for (size_t i = 0; i < image->n_addrs; i++) {
		const struct eg_image_addr *entry = &image->addrs[i];
		struct eg_addr_value around = {};
		int len = -1;

		for (size_t j = 0; j < i; j++)
			if (image->addrs[j].prefix.len > len &&
			    eg_prefix_covers(&image->addrs[j].prefix, &entry->prefix)) {
				len = image->addrs[j].prefix.len;
				around = image->addrs[j].value;
			}
		assert_false(around.flags == entry->value.flags &&
			     around.rule_set == entry->value.rule_set);
	}
}

static void test_flattening(void **state)
{
	struct packets_random random = {.state = 1};

	(void)state;
	for (int i = 0; i < 2000; i++) {
		EG_AUTO_POLICY struct eg_policy *policy = packets_random_policy(&random);
		EG_AUTO_IMAGE struct eg_image *image = packets_compile(policy);

		check_sorted(image);
		check_no_idle_entry(image);
		for (int j = 0; j < 60; j++) {
			__u8 family = j % 2 ? EG_FAMILY_IPV4 : EG_FAMILY_IPV6;
			union eg_addr addr = packets_random_addr(&random, policy, family);

			check_addr(policy, image, family, &addr);
		}
	}
}

/* Each /16 that front4 answers for is one whose every address has that value. */
static void test_front4(void **state)
{
	struct packets_random random = {.state = 2};

	(void)state;
	for (int i = 0; i < 40; i++) {
		EG_AUTO_POLICY struct eg_policy *policy = packets_random_policy(&random);
		EG_AUTO_IMAGE struct eg_image *image = packets_compile(policy);
		__u8 inside[EG_FRONT4_SIZE] = {};

		for (size_t j = 0; j < image->n_addrs; j++) {
			const struct eg_prefix *prefix = &image->addrs[j].prefix;

			if (prefix->family == EG_FAMILY_IPV4 && prefix->len > 16)
				inside[prefix->addr.bytes[0] << 8 | prefix->addr.bytes[1]] = 1;
		}
		for (__u32 j = 0; j < EG_FRONT4_SIZE; j++) {
			union eg_addr addr = {.bytes = {(__u8)(j >> 8), (__u8)j}};
			struct eg_addr_value value = eg_image_addr(image, EG_FAMILY_IPV4, &addr);
			__u8 front = image->front4->flags[j];

			if (inside[j] || value.flags >= EG_ADDR_ENDPOINT)
				assert_int_equal(front, EG_ADDR_ASK);
			else
				assert_int_equal(front, value.flags);
		}
	}
}

static __u32 front6_at(const struct eg_image *image, const char *text)
{
	struct eg_prefix prefix;
	struct eg_error error = {};

	assert_int_equal(eg_prefix_parse(text, &prefix, &error), 0);
	return eg_front6_flags(image->front6, &prefix.addr);
}

/* It knows what matters, and says where it does not. */
static void test_front6(void **state)
{
	EG_AUTO_IMAGE struct eg_image *image = packets_image("[Lan]\nDeny = fd00:66::/32\n"
							     "Allow = [2001:db8:80::1]:443/tcp\n"
							     "[Derived]\n"
							     "TunnelOnly = fd00:2::/32\n"
							     "OnLink = fd00:18::/64\n"
							     "Source = 2001:db8::2\n");

	(void)state;
	assert_int_equal(front6_at(image, "fd00:18::2"), EG_ADDR_LAN | EG_FRONT6_ON_LINK);
	assert_int_equal(front6_at(image, "fd00:19::2"), EG_ADDR_LAN);
	assert_int_equal(front6_at(image, "fc12::1"), EG_ADDR_LAN);
	assert_int_equal(front6_at(image, "fd00:66::1"), EG_ADDR_LAN | EG_ADDR_DENIED);
	assert_int_equal(front6_at(image, "fd00:2::1"), EG_ADDR_LAN | EG_ADDR_TUNNEL_ONLY);
	assert_int_equal(front6_at(image, "fd00:ec2::1"), 0);
	assert_int_equal(front6_at(image, "2001:db8:80::1"), EG_ADDR_ASK);
	assert_int_equal(front6_at(image, "2001:db8::2"), EG_ADDR_ASK);
	assert_int_equal(front6_at(image, "2001:db8:7::7"), 0);
	assert_int_equal(front6_at(image, "fe80::1"), 0);
}

/* More places than there are nodes: the LAN's come first, and what is not known is asked for. */
static void test_front6_is_full(void **state)
{
	EG_AUTO_TEXT struct eg_text text = {};

	(void)state;
	eg_text_printf(&text, "[Lan]\n");
	for (unsigned int i = 0; i < 2000; i++)
		eg_text_printf(&text, "Allow = 2a%02x:%x::/40\n", i % 256, i);
	eg_text_printf(&text, "Deny = fd00:66::/32\n");
	EG_AUTO_IMAGE struct eg_image *image = packets_image(text.data);

	assert_int_equal(front6_at(image, "fd00:66::1"), EG_ADDR_LAN | EG_ADDR_DENIED);
	assert_int_equal(front6_at(image, "fd12::1"), EG_ADDR_LAN);
	assert_int_equal(front6_at(image, "2a00:100::1"), EG_ADDR_ASK);
	assert_int_equal(front6_at(image, "2606:4700::1111"), 0);
	assert_int_equal(flags_at(image, "2a00:100::1"), EG_ADDR_RULE);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void test_many_prefixes(void **state)
{
	EG_AUTO_POLICY struct eg_policy *policy = packets_policy("");
	struct packets_random random = {.state = 3};
	union eg_addr addr = {.bytes = {198, 51, 100, 1}};
	double start, took;

	(void)state;
	for (int i = 0; i < 100000; i++) {
		struct eg_rule rule = {.prefix.family = i % 4 ? EG_FAMILY_IPV4 : EG_FAMILY_IPV6,
				       .proto = -1,
				       .port = i % 10 ? 0 : (__u16)(1 + i % 1000)};
		__u64 bits = packets_next(&random);

		memcpy(rule.prefix.addr.bytes, &bits, rule.prefix.family == EG_FAMILY_IPV4 ? 4 : 8);
		rule.prefix.len = (__u8)(16 + packets_below(&random, 17));
		eg_addr_mask(rule.prefix.family, &rule.prefix.addr, rule.prefix.len);
		assert_int_equal(EG_ARRAY_ADD(policy->allow, policy->n_allow, rule), 0);
	}
	start = seconds();
	EG_AUTO_IMAGE struct eg_image *image = packets_compile(policy);
	took = seconds() - start;
	print_message("100,000 prefixes: %.0f ms (sanitizers on), %zu entries, %zu pairs\n",
		      took * 1e3, image->n_addrs, image->n_rules);
	assert_true(image->n_addrs > 50000);
	check_sorted(image);
	/* 300 ms is the goal without sanitizers and on a quiet machine */
	assert_true(took < 3);
	(void)eg_image_addr(image, EG_FAMILY_IPV4, &addr);
}

static void test_too_many_pairs(void **state)
{
	EG_AUTO_POLICY struct eg_policy *policy = packets_policy("[Lan]\nLan = no\n");
	struct eg_error error = {};
	struct eg_image *image = NULL;

	(void)state;
	/* 800 sets of 400 pairs, no two alike */
	for (int i = 0; i < 800; i++) {
		struct eg_rule rule = {
			.prefix = {.addr.bytes = {203, 0, (__u8)(i >> 8), (__u8)i},
				   .family = EG_FAMILY_IPV4,
				   .len = 32},
			.port = (__u16)(1 + i),
			.proto = 6,
		};

		for (int j = 0; j < 400; j++) {
			rule.port = (__u16)(1 + i + j);
			assert_int_equal(EG_ARRAY_ADD(policy->allow, policy->n_allow, rule), 0);
		}
	}
	assert_int_equal(eg_image_compile(policy, &image, &error), -E2BIG);
	assert_int_equal(error.exit, EG_EXIT_USAGE);
	assert_null(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lan),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_idle_rules),
		cmocka_unit_test(test_deny_dns_multicast),
		cmocka_unit_test(test_tunnel_only),
		cmocka_unit_test(test_own_addresses),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_unresolved),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_same_meaning),
		cmocka_unit_test(test_stray_host_bits),
		cmocka_unit_test(test_flattening),
		cmocka_unit_test(test_front4),
		cmocka_unit_test(test_front6),
		cmocka_unit_test(test_front6_is_full),
		cmocka_unit_test(test_many_prefixes),
		cmocka_unit_test(test_too_many_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
