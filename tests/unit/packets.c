// SPDX-License-Identifier: GPL-2.0
#include "packets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eg_packet.h"
#include "policy/address.h"
#include "policy/array.h"
#include "policy/image.h"
#include "util/cleanup.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void give_up(const char *what)
{
	fprintf(stderr, "packets: %s\n", what);
	abort();
}

/* --- random numbers --------------------------------------------------------------------------- */

__u64 packets_next(struct packets_random *random)
{
	__u64 z = random->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

__u32 packets_below(struct packets_random *random, __u32 n)
{
	return (__u32)(packets_next(random) >> 32) % n;
}

bool packets_chance(struct packets_random *random, __u32 percent)
{
	return packets_below(random, 100) < percent;
}

/* --- building --------------------------------------------------------------------------------- */

struct cursor {
	__u8 *bytes;
	__u32 at;
};

static void put8(struct cursor *cursor, __u32 value)
{
	cursor->bytes[cursor->at++] = (__u8)value;
}

static void put16(struct cursor *cursor, __u32 value)
{
	put8(cursor, value >> 8);
	put8(cursor, value);
}

static void put(struct cursor *cursor, const void *bytes, size_t n)
{
	memcpy(cursor->bytes + cursor->at, bytes, n);
	cursor->at += (__u32)n;
}

static void set16(struct cursor *cursor, __u32 at, __u32 value)
{
	cursor->bytes[at] = (__u8)(value >> 8);
	cursor->bytes[at + 1] = (__u8)value;
}

static union eg_addr address_of(const char *text, const union eg_addr *otherwise)
{
	struct eg_error error;
	union eg_addr addr;
	__u8 family;

	if (!text)
		return otherwise ? *otherwise : (union eg_addr){};
	if (eg_addr_parse(text, &family, &addr, &error) < 0)
		give_up(error.message);
	return addr;
}

static void put_link(struct cursor *cursor, const struct packets_sketch *sketch)
{
	static const __u8 macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
	__u32 type = sketch->ethertype;

	if (sketch->no_link_header)
		return;
	if (!type)
		type = sketch->family == EG_FAMILY_IPV4 ? EG_ETHERTYPE_IPV4 : EG_ETHERTYPE_IPV6;
	put(cursor, macs, sizeof(macs));
	for (int i = 0; i < sketch->vlan_tags; i++) {
		put16(cursor, i + 1 < sketch->vlan_tags ? EG_ETHERTYPE_QINQ : EG_ETHERTYPE_VLAN);
		put16(cursor, 100 + (__u32)i);
	}
	put16(cursor, type);
}

/* The places of the length fields, filled in when all is written. */
struct lengths {
	__u32 ip;
	__u32 udp;
	__u32 transport;
	__u32 checksum; /* offset of its field in the transport's header, 0: none */
};

static void put_ipv4(struct cursor *cursor, const struct packets_sketch *sketch,
		     struct lengths *lengths)
{
	union eg_addr src = address_of(sketch->src, &sketch->src_addr);
	union eg_addr dst = address_of(sketch->dst, &sketch->dst_addr);
	__u32 frag = 0;

	if (sketch->fragment == EG_FRAGMENT_FIRST)
		frag = 0x2000;
	else if (sketch->fragment == EG_FRAGMENT_LATER)
		frag = 0x00b9;
	lengths->ip = cursor->at;
	put8(cursor, 0x45U + sketch->n_options / 4U);
	put8(cursor, 0);
	put16(cursor, 0);
	put16(cursor, 1);
	put16(cursor, frag);
	put8(cursor, sketch->ttl ? sketch->ttl : 64);
	put8(cursor, sketch->proto);
	put16(cursor, 0);
	put(cursor, &src, 4);
	put(cursor, &dst, 4);
	put(cursor, sketch->options, sketch->n_options);
}

static void put_ext(struct cursor *cursor, const struct packets_sketch *sketch, __u8 type,
		    __u8 next)
{
	put8(cursor, next);
	put8(cursor, 0);
	if (type != EG_PROTO_FRAGMENT) {
		put8(cursor, 1); /* PadN of four */
		put8(cursor, 4);
	} else {
		put16(cursor, sketch->fragment == EG_FRAGMENT_LATER   ? 185 * 8
			      : sketch->fragment == EG_FRAGMENT_FIRST ? 1
								      : 0);
	}
	put16(cursor, 0);
	put16(cursor, 0);
}

static void put_ipv6(struct cursor *cursor, const struct packets_sketch *sketch,
		     struct lengths *lengths)
{
	union eg_addr src = address_of(sketch->src, &sketch->src_addr);
	union eg_addr dst = address_of(sketch->dst, &sketch->dst_addr);
	__u8 exts[PACKETS_EXTS_MAX + 1];
	__u32 n = sketch->n_exts;

	memcpy(exts, sketch->exts, n);
	if ((sketch->fragment != EG_FRAGMENT_WHOLE || sketch->atomic_fragment) &&
	    !memchr(exts, EG_PROTO_FRAGMENT, n))
		exts[n++] = EG_PROTO_FRAGMENT;
	lengths->ip = cursor->at;
	put16(cursor, 0x6000);
	put16(cursor, 0);
	put16(cursor, 0);
	put8(cursor, n ? exts[0] : sketch->proto);
	put8(cursor, sketch->ttl ? sketch->ttl : 64);
	put(cursor, &src, 16);
	put(cursor, &dst, 16);
	for (__u32 i = 0; i < n; i++)
		put_ext(cursor, sketch, exts[i], i + 1 < n ? exts[i + 1] : sketch->proto);
}

static void put_tcp(struct cursor *cursor, const struct packets_sketch *sketch)
{
	put16(cursor, sketch->sport);
	put16(cursor, sketch->dport);
	put16(cursor, 1);
	put16(cursor, 2);
	put16(cursor, 0);
	put16(cursor, 0);
	put8(cursor, 0x50);
	put8(cursor, sketch->tcp_flags);
	put16(cursor, 0xffff);
	put16(cursor, 0);
	put16(cursor, 0);
}

static void put_transport(struct cursor *cursor, const struct packets_sketch *sketch,
			  struct lengths *lengths)
{
	lengths->transport = cursor->at;
	if (sketch->fragment == EG_FRAGMENT_LATER || !sketch->family)
		return;
	switch (sketch->proto) {
	case EG_PROTO_TCP:
		put_tcp(cursor, sketch);
		lengths->checksum = 16;
		break;
	case EG_PROTO_UDP:
		put16(cursor, sketch->sport);
		put16(cursor, sketch->dport);
		lengths->udp = cursor->at;
		put16(cursor, 0);
		put16(cursor, 0);
		lengths->checksum = 6;
		break;
	case EG_PROTO_SCTP:
		put16(cursor, sketch->sport);
		put16(cursor, sketch->dport);
		put16(cursor, 0);
		put16(cursor, 1);
		put16(cursor, 0);
		put16(cursor, 0);
		lengths->checksum = 8;
		break;
	case EG_PROTO_ICMP:
	case EG_PROTO_ICMPV6:
		put8(cursor, sketch->icmp_type);
		put8(cursor, sketch->icmp_code);
		put16(cursor, 0);
		put16(cursor, 1);
		put16(cursor, 1);
		lengths->checksum = 2;
		break;
	case EG_PROTO_IGMP:
		put16(cursor, 0x1600);
		put16(cursor, 0);
		put(cursor, cursor->bytes + lengths->ip + 16, 4);
		break;
	default:
		break;
	}
}

/* A question, after RFC 1035, 4.1, and RFC 6891, 6.1.2. */
static void put_question(struct cursor *cursor, const struct packets_sketch *sketch)
{
	static const __u8 opt[] = {0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0};
	const char *name = sketch->asks;

	put16(cursor, 0x1234);
	put16(cursor, 0x0100);
	put16(cursor, 1);
	put16(cursor, 0);
	put16(cursor, 0);
	put16(cursor, sketch->asks_opt);
	while (*name) {
		size_t len = strcspn(name, ".");

		put8(cursor, (__u32)len);
		put(cursor, name, len);
		name += len + (name[len] == '.');
	}
	put8(cursor, 0);
	put16(cursor, sketch->asks_type ? sketch->asks_type : 1);
	put16(cursor, 1);
	if (sketch->asks_opt)
		put(cursor, opt, sizeof(opt));
}

static void set_lengths(struct cursor *cursor, const struct packets_sketch *sketch,
			const struct lengths *lengths)
{
	__u32 len = cursor->at - lengths->ip;
	__u32 sum = 0;

	if (lengths->udp && cursor->at - lengths->transport <= 0xffff)
		set16(cursor, lengths->udp, cursor->at - lengths->transport);
	if (sketch->family == EG_FAMILY_IPV6)
		set16(cursor, lengths->ip + 4, len - 40 <= 0xffff ? len - 40 : 0);
	if (sketch->family != EG_FAMILY_IPV4)
		return;
	set16(cursor, lengths->ip + 2, len <= 0xffff ? len : 0);
	for (__u32 i = 0; i < 20U + sketch->n_options; i += 2)
		sum += (__u32)cursor->bytes[lengths->ip + i] << 8 |
		       cursor->bytes[lengths->ip + i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	set16(cursor, lengths->ip + 10, ~sum);
}

void packets_build(const struct packets_sketch *sketch, struct packets_frame *ret_frame)
{
	struct cursor cursor = {.bytes = ret_frame->bytes};
	struct lengths lengths = {};
	__u32 start;

	memset(&ret_frame->host, 0, sizeof(ret_frame->host));
	put_link(&cursor, sketch);
	if (sketch->family == EG_FAMILY_IPV4)
		put_ipv4(&cursor, sketch, &lengths);
	else if (sketch->family == EG_FAMILY_IPV6)
		put_ipv6(&cursor, sketch, &lengths);
	put_transport(&cursor, sketch, &lengths);
	if (sketch->asks && sketch->fragment != EG_FRAGMENT_LATER && sketch->family)
		put_question(&cursor, sketch);
	if (cursor.at + sketch->payload_len > PACKETS_ROOM)
		give_up("the payload is too long");
	start = cursor.at;
	memset(cursor.bytes + start, 0, sketch->payload_len);
	for (__u32 i = 0; i < 4 && i < sketch->payload_len; i++)
		cursor.bytes[start + i] = sketch->payload[i];
	cursor.at += sketch->payload_len;
	set_lengths(&cursor, sketch, &lengths);
	ret_frame->host = (struct eg_host_frame){
		.bytes = ret_frame->bytes,
		.captured = cursor.at,
		.length = cursor.at,
		.gso_size = sketch->gso_size,
		.link_header = !sketch->no_link_header,
		.vlan_tags = sketch->vlan_aside,
		.names_open = !sketch->names_closed,
		.checksum_pending = sketch->checksum_pending,
		.checksum_start = sketch->checksum_pending ? lengths.transport : 0,
		.checksum_offset = sketch->checksum_pending ? lengths.checksum : 0,
	};
}

/* --- random policies -------------------------------------------------------------------------- */

/* Networks that rows know by name and those around them, and strangers. */
static const char *const networks4[] = {
	"10.0.0.0",       "10.2.0.1",        "10.64.0.1",   "172.16.0.0",  "172.18.0.2",
	"172.31.255.255", "192.168.0.0",     "192.168.1.5", "100.64.0.1",  "169.254.169.254",
	"198.18.0.1",     "198.51.100.7",    "203.0.113.9", "224.0.0.251", "239.255.255.250",
	"232.1.2.3",      "255.255.255.255", "0.0.0.0",     "127.0.0.11",  "11.0.0.0",
	"9.255.255.255",  "172.32.0.0",
};
static const char *const networks6[] = {
	"fc00::",    "fd00::1",     "fd00:ec2::254", "fd12:3456::1",    "fe80::1",
	"fe80::ff",  "2001:db8::1", "2001:db8:1::9", "2606:4700::1111", "ff02::1",
	"ff02::1:2", "ff02::16",    "ff01::1",       "ff05::2",         "ff0e::1",
	"::",        "::1",         "fd00:ec3::1",   "fe00::1",         "ff02::1:ff00:1",
};
static const __u8 lengths4[] = {32, 32, 32, 31, 24, 24, 20, 17, 16, 16, 15, 12, 8, 4, 1, 0};
static const __u8 lengths6[] = {128, 128, 128, 127, 64, 64, 56, 48, 32, 32, 16, 10, 8, 7, 1, 0};

static void mask(struct eg_prefix *prefix)
{
	for (unsigned int i = prefix->len; i < eg_family_bits(prefix->family); i++)
		prefix->addr.bytes[i / 8] &= (__u8) ~(0x80 >> i % 8);
}

static void flip_bit(struct packets_random *random, union eg_addr *addr, __u8 family)
{
	__u32 i = packets_below(random, eg_family_bits(family));

	addr->bytes[i / 8] ^= (__u8)(0x80 >> i % 8);
}

static __u8 random_family(struct packets_random *random)
{
	return packets_chance(random, 50) ? EG_FAMILY_IPV4 : EG_FAMILY_IPV6;
}

static union eg_addr known_addr(struct packets_random *random, __u8 family)
{
	const char *text = family == EG_FAMILY_IPV4
				   ? networks4[packets_below(random, COUNT(networks4))]
				   : networks6[packets_below(random, COUNT(networks6))];
	union eg_addr addr = address_of(text, NULL);

	if (packets_chance(random, 15))
		flip_bit(random, &addr, family);
	return addr;
}

static struct eg_prefix random_prefix(struct packets_random *random, bool whole_length)
{
	struct eg_prefix prefix = {.family = random_family(random)};
	__u32 i = packets_below(random, COUNT(lengths4));

	prefix.addr = known_addr(random, prefix.family);
	if (whole_length)
		prefix.len = eg_family_bits(prefix.family);
	else
		prefix.len = prefix.family == EG_FAMILY_IPV4 ? lengths4[i] : lengths6[i];
	/* A default route in a list hides what the others do: seldom. */
	if (prefix.len < 4 && packets_chance(random, 80))
		prefix.len = 9;
	mask(&prefix);
	return prefix;
}

#define ADD(array, n, element)                                                                     \
	do {                                                                                       \
		if (EG_ARRAY_ADD(array, n, element) < 0)                                           \
			give_up("out of memory");                                                  \
	} while (0)

static void add_prefix(struct eg_prefix **array, size_t *n, struct eg_prefix prefix)
{
	ADD(*array, *n, prefix);
}

static void add_prefixes(struct packets_random *random, struct eg_prefix **array, size_t *n,
			 __u32 max, bool whole_length)
{
	for (__u32 i = packets_below(random, max + 1); i; i--)
		add_prefix(array, n, random_prefix(random, whole_length));
}

static const __u16 known_ports[] = {53, 853, 67, 68, 443, 546, 547, 8080, 51820, 1};
static const __u8 known_protos[] = {
	EG_PROTO_TCP,  EG_PROTO_UDP, EG_PROTO_ICMP, EG_PROTO_ICMPV6, EG_PROTO_IGMP,
	EG_PROTO_SCTP, 50 /* ESP */, 47 /* GRE */,  41 /* 6in4 */,   4 /* IPIP */};

static __u16 known_port(struct packets_random *random)
{
	return known_ports[packets_below(random, COUNT(known_ports))];
}

static __u8 known_proto(struct packets_random *random)
{
	return known_protos[packets_below(random, COUNT(known_protos))];
}

static void add_rule(struct packets_random *random, struct eg_policy *policy)
{
	struct eg_rule rule = {.prefix = random_prefix(random, false), .proto = -1};

	if (packets_chance(random, 50))
		rule.port = known_port(random);
	if (packets_chance(random, 50))
		rule.proto = known_proto(random);
	ADD(policy->allow, policy->n_allow, rule);
}

static void add_endpoint(struct packets_random *random, struct eg_endpoint **array, size_t *n)
{
	struct eg_endpoint endpoint = {.family = random_family(random)};

	endpoint.addr = known_addr(random, endpoint.family);
	endpoint.port = packets_chance(random, 70) ? 51820 : known_port(random);
	ADD(*array, *n, endpoint);
}

static const char *const known_names[] = {"vpn.example.com", "a1.example.com", "Vpn.Example.Net",
					  "ab", "vpn.example.co"};

static void add_names(struct packets_random *random, struct eg_policy *policy)
{
	add_prefixes(random, &policy->bootstrap_dns, &policy->n_bootstrap_dns, 2, true);
	for (__u32 i = packets_below(random, 3); i; i--) {
		const struct eg_endpoint name = {
			.host = (char *)known_names[packets_below(random, COUNT(known_names))],
			.port = 51820};

		if (eg_policy_add_endpoint(&policy->derived.names, &policy->derived.n_names,
					   &name) < 0)
			give_up("out of memory");
	}
}

static void add_derived(struct packets_random *random, struct eg_derived *derived)
{
	add_prefixes(random, &derived->tunnel_only, &derived->n_tunnel_only, 3, false);
	add_prefixes(random, &derived->sources, &derived->n_sources, 3, true);
	add_prefixes(random, &derived->on_link, &derived->n_on_link, 3, false);
	for (__u32 i = packets_below(random, 3); i; i--)
		add_endpoint(random, &derived->endpoints, &derived->n_endpoints);
	derived->dns_servers = packets_chance(random, 50);
}

static void set_switches(struct packets_random *random, struct eg_policy *policy)
{
	static const enum eg_dns dns[] = {EG_DNS_AUTO, EG_DNS_LAN, EG_DNS_TUNNEL};

	policy->lan = packets_chance(random, 75);
	policy->dns = dns[packets_below(random, 3)];
	policy->mode = packets_chance(random, 10) ? EG_MODE_AUDIT : EG_MODE_ENFORCE;
	policy->allow_dhcp = packets_chance(random, 50);
	policy->allow_multicast = packets_chance(random, 30);
	policy->endpoint_shape = packets_chance(random, 20) ? EG_SHAPE_ANY : EG_SHAPE_WIREGUARD;
	policy->source_port = packets_chance(random, 20) ? 51820 : 0;
}

static struct eg_policy *new_policy(void)
{
	struct eg_policy *policy;

	if (eg_policy_new(&policy) < 0)
		give_up("out of memory");
	return policy;
}

struct eg_policy *packets_policy(const char *text)
{
	struct eg_policy *policy = new_policy();
	struct eg_error error;

	if (eg_policy_parse(policy, text, strlen(text), true, &error) < 0)
		give_up(error.message);
	return policy;
}

struct eg_image *packets_compile(const struct eg_policy *policy)
{
	struct eg_image *image = NULL;
	struct eg_error error = {};

	if (eg_image_compile(policy, &image, &error) < 0)
		give_up(error.message);
	return image;
}

struct eg_image *packets_image(const char *text)
{
	EG_AUTO_POLICY struct eg_policy *policy = packets_policy(text);

	return packets_compile(policy);
}

struct eg_policy *packets_random_policy(struct packets_random *random)
{
	struct eg_policy *policy = new_policy();

	set_switches(random, policy);
	for (__u32 i = packets_below(random, 6); i; i--)
		add_rule(random, policy);
	add_prefixes(random, &policy->deny, &policy->n_deny, 3, false);
	add_prefixes(random, &policy->allow_dns, &policy->n_allow_dns, 2, true);
	for (__u32 i = packets_below(random, 3); i; i--)
		add_endpoint(random, &policy->endpoints, &policy->n_endpoints);
	add_derived(random, &policy->derived);
	add_names(random, policy);
	return policy;
}

static void drop_one(struct packets_random *random, void *array, size_t *n, size_t size)
{
	char *bytes = array;

	if (!*n)
		return;
	--*n;
	memcpy(bytes + packets_below(random, (__u32)*n + 1) * size, bytes + *n * size, size);
}

static void change_prefixes(struct packets_random *random, struct eg_prefix **array, size_t *n,
			    bool whole_length)
{
	if (packets_chance(random, 50))
		drop_one(random, *array, n, sizeof(**array));
	else
		add_prefix(array, n, random_prefix(random, whole_length));
}

static void change_switch(struct packets_random *random, struct eg_policy *policy)
{
	struct eg_policy other;

	set_switches(random, &other);
	switch (packets_below(random, 7)) {
	case 0:
		policy->lan = other.lan;
		break;
	case 1:
		policy->dns = other.dns;
		break;
	case 2:
		policy->mode = other.mode;
		break;
	case 3:
		policy->allow_dhcp = other.allow_dhcp;
		break;
	case 4:
		policy->allow_multicast = other.allow_multicast;
		break;
	case 5:
		policy->endpoint_shape = other.endpoint_shape;
		break;
	case 6:
		policy->source_port = other.source_port;
		break;
	}
}

void packets_change_policy(struct packets_random *random, struct eg_policy *policy)
{
	struct eg_derived *derived = &policy->derived;

	switch (packets_below(random, 10)) {
	case 0:
		change_switch(random, policy);
		break;
	case 9:
		change_prefixes(random, &policy->bootstrap_dns, &policy->n_bootstrap_dns, true);
		break;
	case 1:
		change_prefixes(random, &policy->deny, &policy->n_deny, false);
		break;
	case 2:
		change_prefixes(random, &policy->allow_dns, &policy->n_allow_dns, true);
		break;
	case 3:
		change_prefixes(random, &derived->tunnel_only, &derived->n_tunnel_only, false);
		break;
	case 4:
		change_prefixes(random, &derived->sources, &derived->n_sources, true);
		break;
	case 5:
		change_prefixes(random, &derived->on_link, &derived->n_on_link, false);
		break;
	case 6:
		if (packets_chance(random, 50))
			drop_one(random, derived->endpoints, &derived->n_endpoints,
				 sizeof(*derived->endpoints));
		else
			add_endpoint(random, &derived->endpoints, &derived->n_endpoints);
		break;
	default:
		if (packets_chance(random, 50))
			drop_one(random, policy->allow, &policy->n_allow, sizeof(*policy->allow));
		else
			add_rule(random, policy);
		break;
	}
}

#define COPY(to, from, member)                                                                     \
	do {                                                                                       \
		for (size_t i = 0; i < (from)->n_##member; i++)                                    \
			ADD((to)->member, (to)->n_##member, (from)->member[i]);                    \
	} while (0)

struct eg_policy *packets_copy_policy(const struct eg_policy *policy)
{
	struct eg_policy *copy = new_policy();

	copy->lan = policy->lan;
	copy->dns = policy->dns;
	copy->mode = policy->mode;
	copy->allow_dhcp = policy->allow_dhcp;
	copy->allow_multicast = policy->allow_multicast;
	copy->endpoint_shape = policy->endpoint_shape;
	copy->source_port = policy->source_port;
	COPY(copy, policy, allow);
	COPY(copy, policy, deny);
	COPY(copy, policy, allow_dns);
	COPY(copy, policy, endpoints);
	COPY(copy, policy, bootstrap_dns);
	for (size_t i = 0; i < policy->derived.n_names; i++)
		if (eg_policy_add_endpoint(&copy->derived.names, &copy->derived.n_names,
					   &policy->derived.names[i]) < 0)
			give_up("out of memory");
	COPY(&copy->derived, &policy->derived, endpoints);
	COPY(&copy->derived, &policy->derived, tunnel_only);
	COPY(&copy->derived, &policy->derived, sources);
	COPY(&copy->derived, &policy->derived, on_link);
	copy->derived.dns_servers = policy->derived.dns_servers;
	return copy;
}

/* --- random frames ---------------------------------------------------------------------------- */

static bool pick_prefix(struct packets_random *random, const struct eg_prefix *prefixes, size_t n,
			struct eg_prefix *ret_prefix)
{
	if (!n)
		return false;
	*ret_prefix = prefixes[packets_below(random, (__u32)n)];
	return true;
}

static bool pick_endpoint(struct packets_random *random, const struct eg_policy *policy,
			  struct eg_endpoint *ret_endpoint)
{
	size_t n = policy->n_endpoints + policy->derived.n_endpoints;
	__u32 i;

	if (!n)
		return false;
	i = packets_below(random, (__u32)n);
	*ret_endpoint = i < policy->n_endpoints
				? policy->endpoints[i]
				: policy->derived.endpoints[i - policy->n_endpoints];
	return true;
}

/* Of one of the policy's lists, each as likely as the other. */
static bool pick_of_policy(struct packets_random *random, const struct eg_policy *policy,
			   struct eg_prefix *ret_prefix)
{
	const struct eg_derived *derived = &policy->derived;
	struct eg_endpoint endpoint;
	size_t i;

	switch (packets_below(random, 7)) {
	case 0:
		if (!policy->n_allow)
			return false;
		i = packets_below(random, (__u32)policy->n_allow);
		*ret_prefix = policy->allow[i].prefix;
		return true;
	case 1:
		return pick_prefix(random, policy->deny, policy->n_deny, ret_prefix);
	case 2:
		return pick_prefix(random, policy->allow_dns, policy->n_allow_dns, ret_prefix);
	case 3:
		return pick_prefix(random, derived->tunnel_only, derived->n_tunnel_only,
				   ret_prefix);
	case 4:
		return pick_prefix(random, derived->sources, derived->n_sources, ret_prefix);
	case 5:
		return pick_prefix(random, derived->on_link, derived->n_on_link, ret_prefix);
	default:
		if (!pick_endpoint(random, policy, &endpoint))
			return false;
		*ret_prefix = (struct eg_prefix){.addr = endpoint.addr,
						 .family = endpoint.family,
						 .len = eg_family_bits(endpoint.family)};
		return true;
	}
}

union eg_addr packets_random_addr(struct packets_random *random, const struct eg_policy *policy,
				  __u8 family)
{
	struct eg_prefix prefix = {};
	__u8 fill;

	for (int tries = 0; tries < 6 && prefix.family != family; tries++)
		if (packets_chance(random, 35) || !pick_of_policy(random, policy, &prefix))
			return known_addr(random, family);
	if (prefix.family != family)
		return known_addr(random, family);
	fill = (__u8)packets_below(random, 3);
	for (unsigned int i = prefix.len; i < eg_family_bits(family); i++)
		if (fill == 1 || (fill == 2 && packets_chance(random, 50)))
			prefix.addr.bytes[i / 8] |= (__u8)(0x80 >> i % 8);
	if (packets_chance(random, 10))
		flip_bit(random, &prefix.addr, family);
	return prefix.addr;
}

/* Most sources are ones that row 6 lets pass, or no later row would be seen. */
static union eg_addr random_source(struct packets_random *random, const struct eg_policy *policy,
				   __u8 family)
{
	__u32 kind = packets_below(random, 20);

	if (kind == 0)
		return (union eg_addr){};
	if (kind < 4)
		return packets_random_addr(random, policy, family);
	if (kind < 8 && policy->lan)
		return address_of(family == EG_FAMILY_IPV4 ? "172.18.0.2" : "fd00::2", NULL);
	return address_of(family == EG_FAMILY_IPV4 ? "169.254.7.7" : "fe80::2", NULL);
}

static __u16 random_port(struct packets_random *random, const struct eg_policy *policy)
{
	struct eg_endpoint endpoint;
	size_t i;

	switch (packets_below(random, 4)) {
	case 0:
		if (!policy->n_allow)
			break;
		i = packets_below(random, (__u32)policy->n_allow);
		return policy->allow[i].port;
	case 1:
		if (!pick_endpoint(random, policy, &endpoint))
			break;
		return endpoint.port;
	case 2:
		return (__u16)packets_next(random);
	default:
		break;
	}
	return known_port(random);
}

static void sketch_anything(struct packets_random *random, const struct eg_policy *policy,
			    struct packets_sketch *sketch)
{
	static const __u8 mostly[] = {EG_PROTO_TCP, EG_PROTO_UDP, EG_PROTO_UDP, EG_PROTO_ICMP,
				      EG_PROTO_ICMPV6};

	sketch->proto = mostly[packets_below(random, COUNT(mostly))];
	if (sketch->proto == EG_PROTO_ICMP && sketch->family == EG_FAMILY_IPV6)
		sketch->proto = EG_PROTO_ICMPV6;
	if (packets_chance(random, 20))
		sketch->proto = known_proto(random);
	if (packets_chance(random, 3))
		sketch->proto = (__u8)packets_next(random);
	sketch->sport = random_port(random, policy);
	sketch->dport = random_port(random, policy);
	sketch->icmp_type = (__u8)(packets_chance(random, 50) ? 128 : packets_below(random, 256));
	sketch->tcp_flags = (__u8)packets_next(random);
	sketch->payload_len = packets_below(random, 200);
}

static void sketch_wireguard(struct packets_random *random, const struct eg_policy *policy,
			     struct packets_sketch *sketch)
{
	static const __u8 lengths[] = {0, 148, 92, 64, 32};
	struct eg_endpoint endpoint;
	__u8 type = (__u8)(1 + packets_below(random, 4));

	sketch->proto = EG_PROTO_UDP;
	sketch->sport = packets_chance(random, 70) ? 51820 : 40000;
	sketch->dport = 51820;
	if (pick_endpoint(random, policy, &endpoint)) {
		sketch->family = endpoint.family;
		sketch->dst_addr = endpoint.addr;
		sketch->dport = endpoint.port;
		sketch->src_addr = random_source(random, policy, sketch->family);
	}
	sketch->payload[0] = packets_chance(random, 90) ? type : (__u8)packets_next(random);
	sketch->payload_len = lengths[type];
	if (packets_chance(random, 10))
		sketch->payload[1 + packets_below(random, 3)] = 1;
	if (packets_chance(random, 15))
		sketch->payload_len = packets_below(random, 200);
}

/* Nearly right, mostly. */
static void sketch_question(struct packets_random *random, const struct eg_policy *policy,
			    struct packets_sketch *sketch)
{
	static const __u16 types[] = {1, 1, 1, 28, 28, 16, 255};
	struct eg_prefix resolver;

	sketch->proto = EG_PROTO_UDP;
	sketch->dport = 53;
	if (packets_chance(random, 85) &&
	    pick_prefix(random, policy->bootstrap_dns, policy->n_bootstrap_dns, &resolver)) {
		sketch->family = resolver.family;
		sketch->dst_addr = resolver.addr;
		sketch->src_addr = random_source(random, policy, sketch->family);
	}
	sketch->asks = policy->derived.n_names && packets_chance(random, 85)
			       ? policy->derived.names[0].host
			       : known_names[packets_below(random, COUNT(known_names))];
	sketch->asks_type = types[packets_below(random, COUNT(types))];
	sketch->asks_opt = packets_chance(random, 40);
	sketch->payload_len = packets_chance(random, 15) ? packets_below(random, 12) : 0;
}

static void sketch_dhcp(struct packets_random *random, struct packets_sketch *sketch)
{
	bool v4 = sketch->family == EG_FAMILY_IPV4;

	sketch->proto = EG_PROTO_UDP;
	sketch->sport = v4 ? 68 : 546;
	sketch->dport = v4 ? 67 : 547;
	sketch->payload_len = 240;
	if (packets_chance(random, 50))
		sketch->dst_addr = address_of(v4 ? "255.255.255.255" : "ff02::1:2", NULL);
	if (packets_chance(random, 50))
		sketch->src_addr = (union eg_addr){};
}

static void sketch_link_control(struct packets_random *random, struct packets_sketch *sketch)
{
	static const __u8 types[] = {130, 131, 132, 143, 133, 134, 135, 136, 137, 129};
	static const __u8 hops[] = {1, 1, 255, 255, 254, 2};

	sketch->ttl = hops[packets_below(random, COUNT(hops))];
	sketch->payload_len = 16;
	if (packets_chance(random, 25))
		sketch->src_addr = (union eg_addr){};
	if (sketch->family == EG_FAMILY_IPV4) {
		sketch->proto = EG_PROTO_IGMP;
		if (packets_chance(random, 70))
			sketch->dst_addr = address_of("224.0.0.22", NULL);
		return;
	}
	sketch->proto = EG_PROTO_ICMPV6;
	sketch->icmp_type = types[packets_below(random, COUNT(types))];
	if (packets_chance(random, 50))
		sketch->dst_addr = address_of("ff02::16", NULL);
}

/* ARP and strangers. */
static void sketch_not_ip(struct packets_random *random, struct packets_sketch *sketch)
{
	static const __u16 types[] = {EG_ETHERTYPE_ARP, EG_ETHERTYPE_ARP, 0x88cc, 0x0842, 0};

	sketch->family = EG_FAMILY_NONE;
	sketch->ethertype = types[packets_below(random, COUNT(types))];
	if (!sketch->ethertype)
		sketch->ethertype = (__u16)packets_next(random);
	sketch->payload_len = packets_below(random, 60);
	sketch->payload[0] = (__u8)packets_next(random);
}

static void sketch_ipv4_options(struct packets_random *random, struct packets_sketch *sketch)
{
	static const __u8 types[] = {0, 1, 1, 7, 68, 131, 137, 148};
	__u32 at = 0, size;

	sketch->n_options = (__u8)(4 * (1 + packets_below(random, 10)));
	while (at < sketch->n_options) {
		sketch->options[at] = types[packets_below(random, COUNT(types))];
		if (sketch->options[at] <= 1 || at + 1 >= sketch->n_options) {
			at++;
			continue;
		}
		size = 2 + packets_below(random, 7);
		if (at + size > sketch->n_options && packets_chance(random, 90))
			size = sketch->n_options - at;
		if (packets_chance(random, 3))
			size = packets_below(random, 256);
		sketch->options[at + 1] = (__u8)size;
		at += size > 2 ? size : 2;
	}
}

static void sketch_ipv6_exts(struct packets_random *random, struct packets_sketch *sketch)
{
	static const __u8 types[] = {EG_PROTO_HOPOPTS, EG_PROTO_DSTOPTS,  EG_PROTO_DSTOPTS,
				     EG_PROTO_DSTOPTS, EG_PROTO_FRAGMENT, EG_PROTO_ROUTING};
	__u32 most = packets_chance(random, 30) ? PACKETS_EXTS_MAX : 3;

	sketch->n_exts = (__u8)packets_below(random, most + 1);
	for (__u32 i = 0; i < sketch->n_exts; i++)
		sketch->exts[i] = types[packets_below(random, most > 3 ? 4 : COUNT(types))];
}

static void add_trouble(struct packets_random *random, unsigned int features,
			struct packets_sketch *sketch)
{
	if (sketch->family == EG_FAMILY_IPV4 && packets_chance(random, 12))
		sketch_ipv4_options(random, sketch);
	if (sketch->family == EG_FAMILY_IPV6 && packets_chance(random, 20))
		sketch_ipv6_exts(random, sketch);
	if (packets_chance(random, 12))
		sketch->fragment = (enum eg_fragment)packets_below(random, 3);
	sketch->atomic_fragment = packets_chance(random, 3);
	if (packets_chance(random, 12))
		sketch->vlan_tags = (__u8)(1 + packets_below(random, 3));
	if ((features & PACKETS_VLAN_ASIDE) && packets_chance(random, 10))
		sketch->vlan_aside = 1;
	if ((features & PACKETS_NO_LINK_HEADER) && packets_chance(random, 10))
		sketch->no_link_header = true;
	if ((features & PACKETS_GSO) && packets_chance(random, 10)) {
		sketch->gso_size = 1 + packets_below(random, 200);
		sketch->payload_len *= 1 + packets_below(random, 6);
	}
	if ((features & PACKETS_BIG) && packets_chance(random, 1)) {
		sketch->gso_size = packets_chance(random, 80) ? 1448 : 0;
		sketch->payload_len = 65000 + packets_below(random, 4000);
	}
	if (features & PACKETS_CHECKSUM)
		sketch->checksum_pending = packets_chance(random, 20);
}

static void damage_bytes(struct packets_random *random, struct packets_frame *frame)
{
	__u32 head = frame->host.length < 100 ? frame->host.length : 100;

	for (__u32 i = 1 + packets_below(random, 3); head && i; i--) {
		__u8 *byte = &frame->bytes[packets_below(random, head)];

		*byte = packets_chance(random, 50) ? (__u8)packets_next(random)
						   : (__u8)(*byte ^ 1U << packets_below(random, 8));
	}
}

static void damage(struct packets_random *random, unsigned int features,
		   struct packets_frame *frame)
{
	struct eg_host_frame *host = &frame->host;

	if (packets_chance(random, 15))
		damage_bytes(random, frame);
	if ((features & PACKETS_TRUNCATED) && packets_chance(random, 7))
		host->length = packets_below(random, host->length + 1);
	if (packets_chance(random, 5) && host->length + 20 < PACKETS_ROOM) {
		memset(frame->bytes + host->length, 0x55, 20); /* padding */
		host->length += 20;
	}
	host->captured = host->length;
	if (host->checksum_pending && packets_chance(random, 30)) {
		if (packets_chance(random, 50))
			host->checksum_start = packets_below(random, 80);
		else
			host->checksum_offset = packets_below(random, 20);
	}
}

void packets_random_frame(struct packets_random *random, const struct eg_policy *policy,
			  unsigned int features, struct packets_frame *ret_frame)
{
	struct packets_sketch sketch = {.family = random_family(random)};
	__u32 kind = packets_below(random, 20);

	sketch.src_addr = random_source(random, policy, sketch.family);
	sketch.dst_addr = packets_random_addr(random, policy, sketch.family);
	sketch_anything(random, policy, &sketch);
	if (kind < 4)
		sketch_wireguard(random, policy, &sketch);
	else if (kind < 5)
		sketch_dhcp(random, &sketch);
	else if (kind < 7)
		sketch_link_control(random, &sketch);
	else if (kind < 8)
		sketch_not_ip(random, &sketch);
	else if (kind < 11)
		sketch_question(random, policy, &sketch);
	sketch.names_closed = packets_chance(random, 15);
	if (packets_chance(random, 60))
		add_trouble(random, features, &sketch);
	packets_build(&sketch, ret_frame);
	damage(random, features, ret_frame);
}
