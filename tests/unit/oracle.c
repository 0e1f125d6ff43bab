// SPDX-License-Identifier: GPL-2.0
#include "oracle.h"

#include <ctype.h>
#include <string.h>

/* What rows ask of a packet. -1 is "not known" or "has none". */
struct facts {
	const struct eg_host_frame *frame;
	int version;
	unsigned char src[16];
	unsigned char dst[16];
	int protocol;
	int ttl;
	bool first_fragment;
	bool later_fragment;
	bool source_route;
	long network;   /* where IP's header starts */
	long transport; /* where its header starts */
	long end;       /* where the IP packet ends */
	int source_port;
	int port;
	int icmp_type;
	long message_len; /* of UDP's payload, the first segment's */
	long message;     /* where it starts */
};

#define GO_ON (-1)

/* --- bytes ------------------------------------------------------------------------------------ */

static bool has(const struct eg_host_frame *frame, long at, long n)
{
	return at >= 0 && n >= 0 && at + n <= (long)frame->length;
}

static int byte(const struct eg_host_frame *frame, long at)
{
	return frame->bytes[at];
}

static int word(const struct eg_host_frame *frame, long at)
{
	return byte(frame, at) * 256 + byte(frame, at + 1);
}

/* --- addresses, bit by bit -------------------------------------------------------------------- */

static int bit(const unsigned char *bytes, int i)
{
	return bytes[i / 8] >> (7 - i % 8) & 1;
}

static bool inside(const unsigned char *addr, int version, int want_version, int len, int a, int b,
		   int c, int d)
{
	const unsigned char net[4] = {(unsigned char)a, (unsigned char)b, (unsigned char)c,
				      (unsigned char)d};

	if (version != want_version)
		return false;
	for (int i = 0; i < len; i++)
		if (bit(addr, i) != bit(net, i))
			return false;
	return true;
}

static bool in_prefix(const struct eg_prefix *prefix, int version, const unsigned char *addr)
{
	if (prefix->family != version)
		return false;
	for (int i = 0; i < prefix->len; i++)
		if (bit(addr, i) != bit(prefix->addr.bytes, i))
			return false;
	return true;
}

static bool in_any(const struct eg_prefix *prefixes, size_t n, int version,
		   const unsigned char *addr)
{
	for (size_t i = 0; i < n; i++)
		if (in_prefix(&prefixes[i], version, addr))
			return true;
	return false;
}

static bool is_zero(const unsigned char *addr, int version)
{
	for (int i = 0; i < (version == 4 ? 4 : 16); i++)
		if (addr[i])
			return false;
	return true;
}

static bool is_link_local(const unsigned char *addr, int version)
{
	return inside(addr, version, 4, 16, 169, 254, 0, 0) ||
	       inside(addr, version, 6, 10, 0xfe, 0x80, 0, 0);
}

static bool is_multicast(const unsigned char *addr, int version)
{
	return inside(addr, version, 4, 4, 224, 0, 0, 0) ||
	       inside(addr, version, 6, 8, 0xff, 0, 0, 0);
}

static bool is_broadcast(const unsigned char *addr, int version)
{
	return inside(addr, version, 4, 32, 255, 255, 255, 255);
}

static bool is_private(const unsigned char *addr, int version)
{
	return inside(addr, version, 4, 8, 10, 0, 0, 0) ||
	       inside(addr, version, 4, 12, 172, 16, 0, 0) ||
	       inside(addr, version, 4, 16, 192, 168, 0, 0) ||
	       inside(addr, version, 4, 10, 100, 64, 0, 0) ||
	       inside(addr, version, 6, 7, 0xfc, 0, 0, 0) || is_link_local(addr, version);
}

/* --- the policy ------------------------------------------------------------------------------- */

static bool is_lan(const struct eg_policy *policy, int version, const unsigned char *addr)
{
	if (!policy->lan || inside(addr, version, 6, 32, 0xfd, 0x00, 0x0e, 0xc2))
		return false;
	return inside(addr, version, 4, 8, 10, 0, 0, 0) ||
	       inside(addr, version, 4, 12, 172, 16, 0, 0) ||
	       inside(addr, version, 4, 16, 192, 168, 0, 0) ||
	       inside(addr, version, 6, 7, 0xfc, 0, 0, 0);
}

static bool allowed_as_a_whole(const struct eg_policy *policy, int version,
			       const unsigned char *addr)
{
	for (size_t i = 0; i < policy->n_allow; i++)
		if (!policy->allow[i].port && policy->allow[i].proto < 0 &&
		    in_prefix(&policy->allow[i].prefix, version, addr))
			return true;
	return false;
}

static bool is_allowed_group(const struct eg_policy *policy, int version, const unsigned char *addr)
{
	if (!policy->allow_multicast)
		return false;
	if (inside(addr, version, 4, 24, 224, 0, 0, 0) || inside(addr, version, 4, 8, 239, 0, 0, 0))
		return true;
	return version == 6 && addr[0] == 0xff && addr[1] >= 1 && addr[1] <= 5;
}

static bool is_allowed_prefix(const struct eg_policy *policy, int version,
			      const unsigned char *addr)
{
	return is_lan(policy, version, addr) || allowed_as_a_whole(policy, version, addr) ||
	       is_allowed_group(policy, version, addr);
}

static bool is_dns_port(const struct facts *facts)
{
	return (facts->protocol == 6 || facts->protocol == 17) &&
	       (facts->port == 53 || facts->port == 853);
}

static bool is_dns_exception(const struct eg_policy *policy, const struct facts *facts)
{
	return in_any(policy->allow_dns, policy->n_allow_dns, facts->version, facts->dst);
}

/* By a rule that names a port or a protocol, or by --allow-dns. */
static bool a_rule_lists_it(const struct eg_policy *policy, const struct facts *facts)
{
	for (size_t i = 0; i < policy->n_allow; i++) {
		const struct eg_rule *rule = &policy->allow[i];

		if (!rule->port && rule->proto < 0)
			continue;
		if (!in_prefix(&rule->prefix, facts->version, facts->dst))
			continue;
		if (rule->port && rule->port != facts->port)
			continue;
		if (rule->proto >= 0 && rule->proto != facts->protocol)
			continue;
		if (rule->proto < 0 && facts->protocol != 6 && facts->protocol != 17)
			continue;
		return true;
	}
	return is_dns_port(facts) && is_dns_exception(policy, facts);
}

static bool dns_is_for_the_tunnel(const struct eg_policy *policy)
{
	return policy->dns == EG_DNS_TUNNEL ||
	       (policy->dns == EG_DNS_AUTO &&
		(policy->derived.dns_servers || policy->n_bootstrap_dns));
}

static bool is_endpoint_in(const struct eg_endpoint *endpoints, size_t n, const struct facts *facts,
			   bool any_port)
{
	for (size_t i = 0; i < n; i++)
		if (endpoints[i].family == facts->version &&
		    !memcmp(endpoints[i].addr.bytes, facts->dst, facts->version == 4 ? 4 : 16) &&
		    (any_port || endpoints[i].port == facts->port))
			return true;
	return false;
}

static bool is_endpoint(const struct eg_policy *policy, const struct facts *facts, bool any_port)
{
	return is_endpoint_in(policy->endpoints, policy->n_endpoints, facts, any_port) ||
	       is_endpoint_in(policy->derived.endpoints, policy->derived.n_endpoints, facts,
			      any_port);
}

/* --- rows 1 to 5: reading --------------------------------------------------------------------- */

static int read_ipv4_options(struct facts *facts, long at, long end)
{
	while (at < end) {
		int type = byte(facts->frame, at);
		int len;

		if (type == 0)
			return GO_ON;
		if (type == 1) {
			at++;
			continue;
		}
		if (at + 2 > end)
			return EG_REASON_MALFORMED;
		len = byte(facts->frame, at + 1);
		if (len < 2 || at + len > end)
			return EG_REASON_MALFORMED;
		if (type == 0x83 || type == 0x89)
			facts->source_route = true;
		at += len;
	}
	return GO_ON;
}

static int read_ipv4(struct facts *facts, long at)
{
	const struct eg_host_frame *frame = facts->frame;
	long header, total;

	if (!has(frame, at, 20) || byte(frame, at) / 16 != 4)
		return EG_REASON_MALFORMED;
	header = byte(frame, at) % 16 * 4L;
	total = word(frame, at + 2);
	if (total == 0 && frame->gso_size && (long)frame->length - at > 65535)
		total = (long)frame->length - at; /* over what the field can hold */
	if (header < 20 || total < header || !has(frame, at, total))
		return EG_REASON_MALFORMED;
	facts->version = 4;
	facts->network = at;
	memcpy(facts->src, frame->bytes + at + 12, 4);
	memcpy(facts->dst, frame->bytes + at + 16, 4);
	facts->protocol = byte(frame, at + 9);
	facts->ttl = byte(frame, at + 8);
	facts->later_fragment = word(frame, at + 6) % 8192 != 0;
	facts->first_fragment = !facts->later_fragment && (word(frame, at + 6) & 0x2000);
	facts->transport = at + header;
	facts->end = at + total;
	return read_ipv4_options(facts, at + 20, at + header);
}

static int read_ipv6(struct facts *facts, long at)
{
	const struct eg_host_frame *frame = facts->frame;
	int headers = 0, fragment_headers = 0, next;
	long len;

	if (!has(frame, at, 40) || byte(frame, at) / 16 != 6)
		return EG_REASON_MALFORMED;
	len = word(frame, at + 4);
	if (len == 0 && frame->gso_size && (long)frame->length - at - 40 > 65535)
		len = (long)frame->length - at - 40;
	if (!has(frame, at + 40, len))
		return EG_REASON_MALFORMED;
	facts->version = 6;
	facts->network = at;
	memcpy(facts->src, frame->bytes + at + 8, 16);
	memcpy(facts->dst, frame->bytes + at + 24, 16);
	facts->ttl = byte(frame, at + 7);
	facts->end = at + 40 + len;
	next = byte(frame, at + 6);
	at += 40;
	/* hop-by-hop options, routing, fragment, destination options; at most eight of them */
	while (!facts->later_fragment && (next == 0 || next == 43 || next == 44 || next == 60)) {
		if (++headers > 8 || at + 8 > facts->end)
			return EG_REASON_MALFORMED;
		if (next == 44) {
			if (++fragment_headers > 1)
				return EG_REASON_MALFORMED;
			facts->later_fragment = word(frame, at + 2) / 8 != 0;
			facts->first_fragment =
				!facts->later_fragment && word(frame, at + 2) % 2 == 1;
			len = 8;
		} else {
			len = byte(frame, at + 1) * 8L + 8;
		}
		if (next == 43)
			facts->source_route = true;
		if (at + len > facts->end)
			return EG_REASON_MALFORMED;
		next = byte(frame, at);
		at += len;
	}
	facts->protocol = next;
	facts->transport = at;
	return GO_ON;
}

static int read_udp(struct facts *facts, long room)
{
	const struct eg_host_frame *frame = facts->frame;
	long len;

	if (room < 8)
		return EG_REASON_MALFORMED;
	len = word(frame, facts->transport + 4);
	if (len < 8 || (!facts->first_fragment && len > room))
		return EG_REASON_MALFORMED;
	facts->message = facts->transport + 8;
	facts->message_len = len - 8;
	if (frame->gso_size && (long)frame->gso_size < facts->message_len)
		facts->message_len = (long)frame->gso_size;
	return GO_ON;
}

static int read_transport(struct facts *facts)
{
	const struct eg_host_frame *frame = facts->frame;
	long room = facts->end - facts->transport, header;

	if (facts->later_fragment)
		return GO_ON;
	if (facts->protocol == 6) {
		if (room < 20)
			return EG_REASON_MALFORMED;
		header = byte(frame, facts->transport + 12) / 16 * 4L;
		if (header < 20 || header > room)
			return EG_REASON_MALFORMED;
	}
	if (facts->protocol == 17 && read_udp(facts, room) != GO_ON)
		return EG_REASON_MALFORMED;
	if (facts->protocol == 132 && room < 12)
		return EG_REASON_MALFORMED;
	if (facts->protocol == 1 && facts->version == 4 && room < 8)
		return EG_REASON_MALFORMED;
	if (facts->protocol == 58 && facts->version == 6 && room < 4)
		return EG_REASON_MALFORMED;
	if (facts->protocol == 6 || facts->protocol == 17 || facts->protocol == 132) {
		facts->source_port = word(frame, facts->transport);
		facts->port = word(frame, facts->transport + 2);
	}
	if (facts->protocol == (facts->version == 4 ? 1 : 58))
		facts->icmp_type = byte(frame, facts->transport);
	return GO_ON;
}

static bool checksum_is_elsewhere(const struct facts *facts)
{
	const struct eg_host_frame *frame = facts->frame;
	long field = -1;

	if (!frame->checksum_pending)
		return false;
	if (facts->protocol == 6)
		field = 16;
	if (facts->protocol == 17)
		field = 6;
	if (facts->protocol == 132)
		field = 8;
	if (facts->protocol == 1 || facts->protocol == 58)
		field = 2;
	return facts->later_fragment || field < 0 ||
	       (long)frame->checksum_start != facts->transport ||
	       (long)frame->checksum_offset != field;
}

/* The ethertype and where the network header is. */
static int read_link(const struct eg_host_frame *frame, int *ret_type, long *ret_at)
{
	int tags = frame->vlan_tags, type;
	long at = 14;

	if (!frame->link_header) {
		if (frame->length < 1)
			return EG_REASON_MALFORMED;
		*ret_at = 0;
		*ret_type = byte(frame, 0) / 16 == 4   ? 0x0800
			    : byte(frame, 0) / 16 == 6 ? 0x86dd
						       : 0;
		return GO_ON;
	}
	if (!has(frame, 0, 14))
		return EG_REASON_MALFORMED;
	type = word(frame, 12);
	while (type == 0x8100 || type == 0x88a8) {
		if (++tags > 2)
			return EG_REASON_ETHERTYPE;
		if (!has(frame, at, 4))
			return EG_REASON_MALFORMED;
		type = word(frame, at + 2);
		at += 4;
	}
	*ret_type = type;
	*ret_at = at;
	return GO_ON;
}

static int read_frame(struct facts *facts)
{
	int type = 0, r;
	long at = 0;

	r = read_link(facts->frame, &type, &at);
	if (r != GO_ON)
		return r;
	if (type == 0x0806)
		return facts->frame->checksum_pending ? EG_REASON_MALFORMED : EG_REASON_CONTROL;
	if (type != 0x0800 && type != 0x86dd)
		return EG_REASON_ETHERTYPE;
	r = type == 0x0800 ? read_ipv4(facts, at) : read_ipv6(facts, at);
	if (r == GO_ON)
		r = read_transport(facts);
	if (r == GO_ON && checksum_is_elsewhere(facts))
		r = EG_REASON_MALFORMED;
	if (r == GO_ON && facts->source_route)
		r = EG_REASON_SOURCE_ROUTE;
	return r;
}

/* --- rows 6 to 17 ----------------------------------------------------------------------------- */

static bool is_control(const struct eg_policy *policy, const struct facts *facts)
{
	const struct eg_derived *derived = &policy->derived;
	bool on_link = in_any(derived->on_link, derived->n_on_link, facts->version, facts->dst);
	static const unsigned char dhcp_servers[16] = {0xff, 2, [13] = 1, [15] = 2};
	bool to_link = is_link_local(facts->dst, facts->version);

	if (facts->first_fragment || facts->later_fragment)
		return false;
	if (facts->protocol == 17 && facts->version == 4)
		return policy->allow_dhcp && facts->source_port == 68 && facts->port == 67 &&
		       (on_link || is_broadcast(facts->dst, 4));
	if (facts->protocol == 17)
		return policy->allow_dhcp && facts->source_port == 546 && facts->port == 547 &&
		       (to_link || !memcmp(facts->dst, dhcp_servers, 16));
	if (facts->version == 4)
		return facts->protocol == 2 && facts->ttl == 1 && is_multicast(facts->dst, 4);
	if (facts->protocol != 58)
		return false;
	if (facts->icmp_type >= 133 && facts->icmp_type <= 136)
		return facts->ttl == 255 &&
		       (on_link || to_link || (facts->dst[0] == 0xff && facts->dst[1] == 2));
	if (facts->icmp_type == 130 || facts->icmp_type == 131 || facts->icmp_type == 132 ||
	    facts->icmp_type == 143)
		return facts->ttl == 1 && is_multicast(facts->dst, 6) &&
		       (is_link_local(facts->src, 6) || is_zero(facts->src, 6));
	return false;
}

static bool looks_like_wireguard(const struct facts *facts)
{
	const struct eg_host_frame *frame = facts->frame;
	long at = facts->message;

	if (facts->message_len < 4 || at + 4 > facts->end || byte(frame, at + 1) ||
	    byte(frame, at + 2) || byte(frame, at + 3))
		return false;
	return (byte(frame, at) == 1 && facts->message_len == 148) ||
	       (byte(frame, at) == 2 && facts->message_len == 92) ||
	       (byte(frame, at) == 3 && facts->message_len == 64) ||
	       (byte(frame, at) == 4 && facts->message_len >= 32);
}

static int rows_7_and_8(const struct eg_policy *policy, const struct facts *facts)
{
	if (facts->protocol != 17)
		return GO_ON;
	if (facts->later_fragment)
		return is_endpoint(policy, facts, true) ? EG_REASON_FRAGMENT : GO_ON;
	if (!is_endpoint(policy, facts, false))
		return GO_ON;
	if (policy->source_port && facts->source_port != policy->source_port)
		return EG_REASON_NOT_WIREGUARD;
	if (policy->endpoint_shape == EG_SHAPE_WIREGUARD && !looks_like_wireguard(facts))
		return EG_REASON_NOT_WIREGUARD;
	return EG_REASON_ENDPOINT;
}

static bool is_tunnel_only(const struct eg_policy *policy, const struct facts *facts)
{
	const struct eg_derived *derived = &policy->derived;

	return in_any(derived->tunnel_only, derived->n_tunnel_only, facts->version, facts->dst) &&
	       !allowed_as_a_whole(policy, facts->version, facts->dst) &&
	       !a_rule_lists_it(policy, facts);
}

/* The name at `at`, letter by letter; where it ends, or -1. */
static long read_name(const struct facts *facts, long at, const char *name)
{
	while (*name) {
		long len = (long)strcspn(name, ".");

		if (at + 1 + len > facts->end || byte(facts->frame, at) != len)
			return -1;
		for (long i = 0; i < len; i++)
			if (tolower(byte(facts->frame, at + 1 + i)) != tolower(name[i]))
				return -1;
		at += 1 + len;
		name += len + (name[len] == '.');
	}
	return at < facts->end && byte(facts->frame, at) == 0 ? at + 1 : -1;
}

/* All of the packet is a question for that name. */
static bool asks_for(const struct facts *facts, const char *name)
{
	const struct eg_host_frame *frame = facts->frame;
	long at = facts->message, records;

	if (facts->end - at < 12)
		return false;
	records = word(frame, at + 10);
	if ((word(frame, at + 2) | 0x0130) != 0x0130 || word(frame, at + 4) != 1 ||
	    word(frame, at + 6) || word(frame, at + 8) || records > 1)
		return false;
	at = read_name(facts, at + 12, name);
	if (at < 0 || facts->end - at != 4 + 11 * records)
		return false;
	if ((word(frame, at) != 1 && word(frame, at) != 28) || word(frame, at + 2) != 1)
		return false;
	at += 4;
	return !records ||
	       (byte(frame, at) == 0 && word(frame, at + 1) == 41 && word(frame, at + 5) == 0 &&
		word(frame, at + 7) % 0x8000 == 0 && word(frame, at + 9) == 0);
}

static bool asks_for_an_endpoint(const struct eg_policy *policy, const struct facts *facts)
{
	long header = facts->version == 4 ? 20 : 40;

	if (!facts->frame->names_open || facts->frame->gso_size || facts->protocol != 17 ||
	    facts->port != 53 || facts->first_fragment || facts->later_fragment ||
	    !in_any(policy->bootstrap_dns, policy->n_bootstrap_dns, facts->version, facts->dst))
		return false;
	/* nothing before UDP's header, and nothing after what its length says */
	if (facts->transport != facts->network + header ||
	    word(facts->frame, facts->transport + 4) != facts->end - facts->transport)
		return false;
	if (facts->version == 4 && word(facts->frame, facts->network + 6) & 0x8000)
		return false;
	for (size_t i = 0; i < policy->derived.n_names; i++)
		if (asks_for(facts, policy->derived.names[i].host))
			return true;
	return false;
}

static bool is_plain(const struct facts *facts)
{
	return facts->protocol == 6 || facts->protocol == 17 ||
	       (facts->protocol == 1 && facts->version == 4) ||
	       (facts->protocol == 58 && facts->version == 6);
}

static enum eg_reason rows_13_to_17(const struct eg_policy *policy, const struct facts *facts)
{
	const unsigned char *dst = facts->dst;
	int version = facts->version;

	if (!is_plain(facts))
		return a_rule_lists_it(policy, facts) ? EG_REASON_RULE : EG_REASON_PROTOCOL;
	if (is_lan(policy, version, dst))
		return is_dns_port(facts) && !is_dns_exception(policy, facts) ? EG_REASON_LAN_DNS
									      : EG_REASON_LAN;
	if (is_allowed_prefix(policy, version, dst) || a_rule_lists_it(policy, facts))
		return EG_REASON_RULE;
	if (is_multicast(dst, version))
		return EG_REASON_MULTICAST;
	if (is_broadcast(dst, version))
		return EG_REASON_BROADCAST;
	if (is_private(dst, version))
		return EG_REASON_PRIVATE;
	return EG_REASON_PUBLIC;
}

enum eg_reason oracle_judge(const struct eg_policy *policy, const struct eg_host_frame *frame)
{
	struct facts facts = {
		.frame = frame, .source_port = -1, .port = -1, .icmp_type = -1, .message_len = -1};
	const struct eg_derived *derived = &policy->derived;
	int r = read_frame(&facts);
	bool control;

	if (r != GO_ON)
		return (enum eg_reason)r;
	control = is_control(policy, &facts);
	/* 6 */
	if (!is_allowed_prefix(policy, facts.version, facts.src) &&
	    !is_link_local(facts.src, facts.version) &&
	    !in_any(derived->sources, derived->n_sources, facts.version, facts.src) &&
	    !(control && is_zero(facts.src, facts.version)))
		return EG_REASON_SOURCE;
	r = rows_7_and_8(policy, &facts);
	if (r != GO_ON)
		return (enum eg_reason)r;
	/* 9 */
	if (is_tunnel_only(policy, &facts))
		return EG_REASON_TUNNEL_ONLY;
	/* 10 */
	if (control)
		return EG_REASON_CONTROL;
	/* 11 */
	if (in_any(policy->deny, policy->n_deny, facts.version, facts.dst))
		return EG_REASON_DENIED;
	/* 12 */
	if (asks_for_an_endpoint(policy, &facts))
		return EG_REASON_BOOTSTRAP_DNS;
	if (dns_is_for_the_tunnel(policy) && is_dns_port(&facts) &&
	    !is_dns_exception(policy, &facts))
		return EG_REASON_DNS_OFF_TUNNEL;
	return rows_13_to_17(policy, &facts);
}
