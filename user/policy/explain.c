// SPDX-License-Identifier: GPL-2.0
#include "policy/explain.h"

#include <stdio.h>
#include <string.h>

#include "policy/address.h"
#include "policy/judge.h"
#include "policy/networks.h"
#include "policy/qname.h"
#include "util/cleanup.h"

/* --- the packet ------------------------------------------------------------------------------- */

/* DHCP's clients send from a port of their own. */
static __u16 source_port(const struct eg_question *question, const struct eg_image *image)
{
	if (question->wireguard && image->config.source_port_be)
		return EG_FROM_BE16(image->config.source_port_be);
	if (question->proto == EG_PROTO_UDP && question->dport == 67)
		return 68;
	if (question->proto == EG_PROTO_UDP && question->dport == 547)
		return 546;
	return 40000;
}

static struct eg_packet packet_of(const struct eg_question *question, const struct eg_image *image)
{
	struct eg_packet packet = {
		.dst = question->dst,
		.family = question->family,
		.proto = question->proto,
		.hop_limit = question->proto == EG_PROTO_IGMP ? 1 : 64,
	};

	if (question->family == EG_FAMILY_IPV4)
		packet.ethertype_be = EG_BE16(EG_ETHERTYPE_IPV4);
	else
		packet.ethertype_be = EG_BE16(EG_ETHERTYPE_IPV6);
	if (eg_proto_has_ports(question->proto)) {
		packet.sport_be = EG_BE16(source_port(question, image));
		packet.dport_be = EG_BE16(question->dport);
	}
	if (question->proto == EG_PROTO_ICMP)
		packet.icmp_type = 8; /* echo request */
	else if (question->proto == EG_PROTO_ICMPV6)
		packet.icmp_type = 128;
	packet.wireguard = question->wireguard;
	packet.asks_name = question->bootstrap && question->dport == EG_PORT_DNS &&
			   (image->config.flags & EG_CONFIG_BOOTSTRAP);
	return packet;
}

static unsigned int row_of(enum eg_reason reason)
{
	static const unsigned char rows[EG_REASON_COUNT] = {
		[EG_REASON_LOOPBACK] = 0,       [EG_REASON_TUNNEL] = 0,
		[EG_REASON_CONTROL] = 10,       [EG_REASON_ENDPOINT] = 7,
		[EG_REASON_BOOTSTRAP_DNS] = 12, [EG_REASON_LAN] = 14,
		[EG_REASON_LAN_DNS] = 14,       [EG_REASON_RULE] = 14,
		[EG_REASON_ETHERTYPE] = 3,      [EG_REASON_MALFORMED] = 4,
		[EG_REASON_SOURCE_ROUTE] = 5,   [EG_REASON_QDISC_BYPASS] = 0,
		[EG_REASON_SOURCE] = 6,         [EG_REASON_NOT_WIREGUARD] = 8,
		[EG_REASON_FRAGMENT] = 8,       [EG_REASON_TUNNEL_ONLY] = 9,
		[EG_REASON_DENIED] = 11,        [EG_REASON_DNS_OFF_TUNNEL] = 12,
		[EG_REASON_PROTOCOL] = 13,      [EG_REASON_MULTICAST] = 15,
		[EG_REASON_BROADCAST] = 15,     [EG_REASON_PRIVATE] = 16,
		[EG_REASON_PUBLIC] = 17,
	};

	return rows[reason];
}

/* --- what in the policy decided it ------------------------------------------------------------ */

/* The longest that contains the address, NULL if none does. */
static const struct eg_prefix *find_prefix(const struct eg_prefix *prefixes, size_t n,
					   const struct eg_question *question)
{
	const struct eg_prefix *found = NULL;

	for (size_t i = 0; i < n; i++)
		if (eg_prefix_contains(&prefixes[i], question->family, &question->dst) &&
		    (!found || prefixes[i].len > found->len))
			found = &prefixes[i];
	return found;
}

static bool rule_lists(const struct eg_rule *rule, const struct eg_question *question)
{
	if (!eg_prefix_contains(&rule->prefix, question->family, &question->dst))
		return false;
	if (rule->port && rule->port != question->dport)
		return false;
	if (rule->proto >= 0)
		return rule->proto == question->proto;
	if (rule->port)
		return question->proto == EG_PROTO_TCP || question->proto == EG_PROTO_UDP;
	return eg_proto_is_plain(question->family, question->proto);
}

static const struct eg_rule *find_rule(const struct eg_policy *policy,
				       const struct eg_question *question)
{
	const struct eg_rule *found = NULL;

	for (size_t i = 0; i < policy->n_allow; i++)
		if (rule_lists(&policy->allow[i], question) &&
		    (!found || policy->allow[i].prefix.len > found->prefix.len))
			found = &policy->allow[i];
	return found;
}

static bool has_endpoint(const struct eg_endpoint *endpoints, size_t n,
			 const struct eg_question *question)
{
	for (size_t i = 0; i < n; i++)
		if (endpoints[i].family == question->family &&
		    endpoints[i].port == question->dport &&
		    !memcmp(&endpoints[i].addr, &question->dst, sizeof(question->dst)))
			return true;
	return false;
}

struct writer {
	const struct eg_policy *policy;
	const struct eg_image *image;
	const struct eg_question *question;
	char addr[EG_ADDRESS_TEXT_LEN];
	char addr_port[EG_ADDRESS_TEXT_LEN];
	struct eg_explanation *explanation;
};

#define WHY(writer, ...)                                                                           \
	snprintf((writer)->explanation->why, sizeof((writer)->explanation->why), __VA_ARGS__)
#define HINT(writer, ...)                                                                          \
	snprintf((writer)->explanation->hint, sizeof((writer)->explanation->hint), __VA_ARGS__)

/* "ADDR is inside PREFIX (cause)", or "ADDR is cause" where the prefix is just that address. */
static void why_inside(struct writer *writer, const struct eg_prefix *prefix, const char *cause)
{
	char text[EG_ADDRESS_TEXT_LEN];

	eg_prefix_format(text, prefix);
	if (prefix->len == eg_family_bits(prefix->family))
		WHY(writer, "%s is %s", writer->addr, cause);
	else
		WHY(writer, "%s is inside %s (%s)", writer->addr, text, cause);
}

static void why_endpoint(struct writer *writer)
{
	const struct eg_policy *policy = writer->policy;
	bool given = has_endpoint(policy->endpoints, policy->n_endpoints, writer->question);
	const char *from = policy->derived.n_names ? "by its name" : "from the tunnel, at attach";

	WHY(writer, "%s is an endpoint of WireGuard (%s)%s", writer->addr_port,
	    given ? "from the policy" : from,
	    writer->explanation->reason == EG_REASON_ENDPOINT
		    ? ""
		    : ", and this packet is not WireGuard's");
}

static void why_tunnel_only(struct writer *writer)
{
	const struct eg_derived *derived = &writer->policy->derived;
	const struct eg_prefix *prefix =
		find_prefix(derived->tunnel_only, derived->n_tunnel_only, writer->question);

	if (prefix)
		why_inside(writer, prefix, "tunnel-only, by the tunnel's configuration");
}

static void why_denied(struct writer *writer)
{
	const struct eg_policy *policy = writer->policy;
	const struct eg_prefix *prefix =
		find_prefix(policy->deny, policy->n_deny, writer->question);
	char text[EG_ADDRESS_TEXT_LEN];
	char cause[2 * EG_ADDRESS_TEXT_LEN];

	if (!prefix)
		return;
	snprintf(cause, sizeof(cause), "denied by --deny %s", eg_prefix_format(text, prefix));
	why_inside(writer, prefix, cause);
}

static void why_bootstrap(struct writer *writer)
{
	const struct eg_bootstrap *known = &writer->image->bootstrap;
	EG_AUTO_TEXT struct eg_text names = {};
	char name[EG_QNAME_TEXT_LEN];

	for (size_t i = 0; i < EG_BOOTSTRAP_NAMES && known->names[i].len; i++)
		eg_text_printf(&names, "%s%s", i ? " or " : "",
			       eg_qname_format(name, &known->names[i]));
	if (!names.failed)
		WHY(writer,
		    "%s is a resolver of --bootstrap-dns, and may be asked for the address of %s, "
		    "and nothing else, while there is no recent handshake",
		    writer->addr, names.data);
}

static void why_dns_off_tunnel(struct writer *writer)
{
	WHY(writer, "port %u is DNS, %s is off the tunnel, and the policy says %s",
	    writer->question->dport, writer->addr,
	    writer->policy->dns == EG_DNS_AUTO
		    ? writer->policy->derived.dns_servers
			      ? "Dns = auto, which means tunnel, as the tunnel's configuration "
				"names DNS servers"
			      : "Dns = auto, which means tunnel, as there is a BootstrapDns"
		    : "Dns = tunnel");
}

/* The rule that would let just this protocol pass. */
static struct eg_rule protocol_rule(const struct eg_question *question)
{
	return (struct eg_rule){
		.prefix = {.addr = question->dst,
			   .family = question->family,
			   .len = eg_family_bits(question->family)},
		.proto = question->proto,
	};
}

static void why_protocol(struct writer *writer)
{
	const char *name = eg_proto_name(writer->question->proto);
	char number[sizeof("protocol 255")];

	snprintf(number, sizeof(number), "protocol %u", writer->question->proto);
	WHY(writer, "%s is neither TCP, UDP nor %s, and no --allow lists it for %s",
	    name ? name : number, writer->question->family == EG_FAMILY_IPV4 ? "ICMP" : "ICMPv6",
	    writer->addr);
}

static void why_lan(struct writer *writer)
{
	const struct eg_prefix *prefix =
		find_prefix(eg_lan_prefixes, EG_LAN_PREFIXES, writer->question);

	if (prefix)
		why_inside(writer, prefix,
			   writer->explanation->reason == EG_REASON_LAN_DNS
				   ? "LAN; as DNS, it shows the LAN which names are asked for"
				   : "LAN");
}

static void why_rule(struct writer *writer)
{
	const struct eg_policy *policy = writer->policy;
	const struct eg_rule *rule = find_rule(policy, writer->question);
	const struct eg_prefix *prefix;
	char text[EG_ADDRESS_TEXT_LEN];
	char cause[2 * EG_ADDRESS_TEXT_LEN];

	if (rule) {
		snprintf(cause, sizeof(cause), "allowed by --allow %s", eg_rule_format(text, rule));
		why_inside(writer, &rule->prefix, cause);
		return;
	}
	prefix = find_prefix(policy->allow_dns, policy->n_allow_dns, writer->question);
	if (prefix) {
		WHY(writer, "%s may be asked for DNS (--allow-dns %s)", writer->addr, writer->addr);
		return;
	}
	prefix = find_prefix(eg_multicast_prefixes, EG_MULTICAST_PREFIXES, writer->question);
	if (prefix)
		why_inside(writer, prefix, "allowed by --allow-multicast");
}

static void why_control(struct writer *writer)
{
	if (writer->question->proto == EG_PROTO_UDP)
		WHY(writer, "it is DHCP, and the policy allows that (--allow-dhcp)");
	else
		WHY(writer, "it tells the routers of the link which multicast groups are wanted");
}

static void why_private(struct writer *writer)
{
	const struct eg_question *question = writer->question;

	if (eg_prefix_contains(&eg_lan_exception, question->family, &question->dst))
		WHY(writer,
		    "%s is inside fd00:ec2::/32, where cloud metadata lives, which is never LAN, "
		    "and no --allow covers it",
		    writer->addr);
	else if (find_prefix(eg_lan_prefixes, EG_LAN_PREFIXES, question))
		WHY(writer,
		    "%s would be LAN, but the policy says --no-lan, and no --allow covers it",
		    writer->addr);
	else
		WHY(writer,
		    "%s is a link-local or shared address, which is not LAN, and no --allow "
		    "covers it",
		    writer->addr);
}

static void why_uncovered(struct writer *writer, const char *what)
{
	bool port_only = false;

	for (size_t i = 0; i < writer->policy->n_allow; i++)
		port_only |= eg_prefix_contains(&writer->policy->allow[i].prefix,
						writer->question->family, &writer->question->dst);
	WHY(writer, "%s is %s, and outside the tunnel no --allow covers it%s", writer->addr, what,
	    port_only ? " at this port and protocol" : "");
}

static void write_why(struct writer *writer)
{
	/* For what is not about the address, the reason's own sentence. */
	WHY(writer, "the packet %s", eg_reason_sentences[writer->explanation->reason]);
	switch (writer->explanation->reason) {
	case EG_REASON_ENDPOINT:
	case EG_REASON_NOT_WIREGUARD:
	case EG_REASON_FRAGMENT:
		why_endpoint(writer);
		break;
	case EG_REASON_TUNNEL_ONLY:
		why_tunnel_only(writer);
		break;
	case EG_REASON_DENIED:
		why_denied(writer);
		break;
	case EG_REASON_BOOTSTRAP_DNS:
		why_bootstrap(writer);
		break;
	case EG_REASON_DNS_OFF_TUNNEL:
		why_dns_off_tunnel(writer);
		break;
	case EG_REASON_PROTOCOL:
		why_protocol(writer);
		break;
	case EG_REASON_LAN:
	case EG_REASON_LAN_DNS:
		why_lan(writer);
		break;
	case EG_REASON_RULE:
		why_rule(writer);
		break;
	case EG_REASON_CONTROL:
		why_control(writer);
		break;
	case EG_REASON_MULTICAST:
		why_uncovered(writer, "a multicast group");
		break;
	case EG_REASON_BROADCAST:
		why_uncovered(writer, "the limited broadcast address");
		break;
	case EG_REASON_PRIVATE:
		why_private(writer);
		break;
	case EG_REASON_PUBLIC:
		why_uncovered(writer, "a public address");
		break;
	case EG_REASON_LOOPBACK:
		WHY(writer, "%s is the namespace's own loopback", writer->addr);
		break;
	case EG_REASON_TUNNEL:
	case EG_REASON_ETHERTYPE:
	case EG_REASON_MALFORMED:
	case EG_REASON_QDISC_BYPASS:
	case EG_REASON_SOURCE_ROUTE:
	case EG_REASON_SOURCE:
	case EG_REASON_COUNT:
		break;
	}
}

/* --- hints ------------------------------------------------------------------------------------ */

struct place_hint {
	enum eg_reason reason;
	struct eg_prefix prefix;
	const char *hint;
};

#define IPV4(bits, ...)                                                                            \
	{                                                                                          \
		.family = EG_FAMILY_IPV4, .len = bits, .addr.bytes = { __VA_ARGS__ }               \
	}
#define IPV6(bits, ...)                                                                            \
	{                                                                                          \
		.family = EG_FAMILY_IPV6, .len = bits, .addr.bytes = { __VA_ARGS__ }               \
	}

/* Places where people stumble; the first that fits is taken. */
static const struct place_hint place_hints[] = {
	{EG_REASON_LOOPBACK, IPV4(32, 127, 0, 0, 11),
	 "Docker's resolver may ask from the host's namespace, outside the guard: set dns: in the "
	 "compose file to the tunnel's resolver"},
	{EG_REASON_PRIVATE, IPV4(10, 100, 64), "Tailscale? --allow 100.64.0.0/10"},
	{EG_REASON_PRIVATE, IPV4(32, 169, 254, 169, 254),
	 "cloud metadata, which hands out credentials: if that is wanted, --allow 169.254.169.254"},
	{EG_REASON_PRIVATE, IPV6(32, 0xfd, 0x00, 0x0e, 0xc2),
	 "cloud metadata, which hands out credentials: if that is wanted, --allow fd00:ec2::254"},
	{EG_REASON_PRIVATE, IPV4(16, 169, 254), "link-local: --allow 169.254.0.0/16"},
	{EG_REASON_PRIVATE, IPV6(10, 0xfe, 0x80), "link-local: --allow fe80::/10"},
	{EG_REASON_PRIVATE, IPV4(0), "a LAN after all? --allow that subnet"},
	{EG_REASON_PRIVATE, IPV6(0), "a LAN after all? --allow that subnet"},
	{EG_REASON_PUBLIC, IPV4(15, 198, 18),
	 "a Docker network outside the private ranges? --allow 198.18.0.0/15"},
	{EG_REASON_SOURCE, IPV4(32, 255, 255, 255, 255), "DHCP? --allow-dhcp"},
	{EG_REASON_MULTICAST, IPV4(24, 224), "discovery on the LAN? --allow-multicast"},
	{EG_REASON_MULTICAST, IPV4(8, 239), "discovery on the LAN? --allow-multicast"},
	{EG_REASON_MULTICAST, IPV6(16, 0xff, 0x01), "discovery on the LAN? --allow-multicast"},
	{EG_REASON_MULTICAST, IPV6(16, 0xff, 0x02), "discovery on the LAN? --allow-multicast"},
	{EG_REASON_MULTICAST, IPV6(16, 0xff, 0x03), "discovery on the LAN? --allow-multicast"},
	{EG_REASON_MULTICAST, IPV6(16, 0xff, 0x04), "discovery on the LAN? --allow-multicast"},
	{EG_REASON_MULTICAST, IPV6(16, 0xff, 0x05), "discovery on the LAN? --allow-multicast"},
};

const char *eg_reason_hint(enum eg_reason reason, __u8 family, const union eg_addr *dst)
{
	for (size_t i = 0; i < sizeof(place_hints) / sizeof(place_hints[0]); i++)
		if (place_hints[i].reason == reason &&
		    eg_prefix_contains(&place_hints[i].prefix, family, dst))
			return place_hints[i].hint;
	switch (reason) {
	case EG_REASON_FRAGMENT:
		return "the tunnel's MTU is above the path's: lower it (MTU = 1420 in wg0.conf, "
		       "1280 always fits)";
	case EG_REASON_NOT_WIREGUARD:
		return "WARP or AmneziaWG? --endpoint-shape any";
	case EG_REASON_TUNNEL_ONLY:
		return "not the tunnel's but a LAN's? --allow the address";
	case EG_REASON_DNS_OFF_TUNNEL:
		return "a resolver that may be asked off the tunnel? --allow-dns its address";
	case EG_REASON_LAN_DNS:
		return "--dns tunnel refuses DNS queries off the tunnel";
	case EG_REASON_BROADCAST:
		return "DHCP? --allow-dhcp";
	case EG_REASON_SOURCE:
		return "an address that the interface got after attach? run attach again";
	case EG_REASON_LOOPBACK:
	case EG_REASON_TUNNEL:
	case EG_REASON_CONTROL:
	case EG_REASON_ENDPOINT:
	case EG_REASON_BOOTSTRAP_DNS:
	case EG_REASON_LAN:
	case EG_REASON_RULE:
	case EG_REASON_ETHERTYPE:
	case EG_REASON_MALFORMED:
	case EG_REASON_QDISC_BYPASS:
	case EG_REASON_SOURCE_ROUTE:
	case EG_REASON_DENIED:
	case EG_REASON_PROTOCOL:
	case EG_REASON_MULTICAST:
	case EG_REASON_PRIVATE:
	case EG_REASON_PUBLIC:
	case EG_REASON_COUNT:
		break;
	}
	return NULL;
}

/* The rule that would let pass what was asked about, and nothing else. */
static struct eg_rule narrowest_rule(const struct eg_question *question)
{
	struct eg_rule rule = protocol_rule(question);

	rule.port = question->dport;
	return rule;
}

#define WIREGUARD_PORT 51820 /* the one that its own documentation uses */

static void hint_public(struct writer *writer)
{
	const struct eg_question *question = writer->question;
	struct eg_rule rule = narrowest_rule(question);
	char text[EG_ADDRESS_TEXT_LEN];

	eg_rule_format(text, &rule);
	if (question->wireguard)
		HINT(writer, "WireGuard's endpoint? --endpoint %s", writer->addr_port);
	else if (question->proto == EG_PROTO_UDP && question->dport == WIREGUARD_PORT)
		HINT(writer,
		     "WireGuard's endpoint? --endpoint %s; to let anything leave to it in the "
		     "clear: --allow %s",
		     writer->addr_port, text);
	else
		HINT(writer,
		     "it leaves through the tunnel only; to let it leave in the clear: --allow %s",
		     text);
}

/* With the question at hand a hint can be a whole option. */
static void write_hint(struct writer *writer)
{
	const char *hint = eg_reason_hint(writer->explanation->reason, writer->question->family,
					  &writer->question->dst);
	struct eg_rule rule = protocol_rule(writer->question);
	char text[EG_ADDRESS_TEXT_LEN];

	switch (writer->explanation->reason) {
	case EG_REASON_PROTOCOL:
		HINT(writer, "to let it pass: --allow %s", eg_rule_format(text, &rule));
		return;
	case EG_REASON_DNS_OFF_TUNNEL:
		HINT(writer,
		     writer->question->bootstrap
			     ? "to let it be asked for the endpoint's name, and for nothing else, "
			       "until there is a tunnel: --bootstrap-dns %s, with --endpoint "
			       "NAME:PORT"
			     : "to let DNS queries to it leave off the tunnel: --allow-dns %s",
		     writer->addr);
		return;
	case EG_REASON_TUNNEL_ONLY:
		HINT(writer, "to reach it off the tunnel too: --allow %s", writer->addr);
		return;
	case EG_REASON_PUBLIC:
		if (hint)
			break;
		hint_public(writer);
		return;
	case EG_REASON_LOOPBACK:
	case EG_REASON_TUNNEL:
	case EG_REASON_CONTROL:
	case EG_REASON_ENDPOINT:
	case EG_REASON_BOOTSTRAP_DNS:
	case EG_REASON_LAN:
	case EG_REASON_LAN_DNS:
	case EG_REASON_RULE:
	case EG_REASON_ETHERTYPE:
	case EG_REASON_MALFORMED:
	case EG_REASON_QDISC_BYPASS:
	case EG_REASON_SOURCE_ROUTE:
	case EG_REASON_SOURCE:
	case EG_REASON_NOT_WIREGUARD:
	case EG_REASON_FRAGMENT:
	case EG_REASON_DENIED:
	case EG_REASON_MULTICAST:
	case EG_REASON_BROADCAST:
	case EG_REASON_PRIVATE:
	case EG_REASON_COUNT:
		break;
	}
	if (hint)
		HINT(writer, "%s", hint);
}

/* --- the answer ------------------------------------------------------------------------------- */

/* 127/8 and ::1 never reach an underlay. */
static bool is_loopback(const struct eg_question *question)
{
	static const struct eg_prefix loopback[] = {
		IPV4(8, 127),
		IPV6(128, [15] = 1),
	};

	return find_prefix(loopback, 2, question);
}

void eg_explain(const struct eg_policy *policy, const struct eg_image *image,
		const struct eg_question *question, struct eg_explanation *ret_explanation)
{
	static const struct eg_addr_value own_source = {.flags = EG_ADDR_SOURCE};
	struct eg_case asked = {.image = image, .src = &own_source};
	struct eg_packet packet = packet_of(question, image);
	struct eg_endpoint place = {
		.addr = question->dst, .family = question->family, .port = question->dport};
	struct writer writer = {
		.policy = policy,
		.image = image,
		.question = question,
		.explanation = ret_explanation,
	};

	memset(ret_explanation, 0, sizeof(*ret_explanation));
	if (is_loopback(question))
		ret_explanation->reason = EG_REASON_LOOPBACK;
	else
		ret_explanation->reason = eg_case_decide(&asked, &packet);
	ret_explanation->verdict = eg_reason_verdict(ret_explanation->reason);
	if (ret_explanation->verdict == EG_VERDICT_DROP && (image->config.flags & EG_CONFIG_AUDIT))
		ret_explanation->verdict = EG_VERDICT_WOULD_DROP;
	ret_explanation->row = row_of(ret_explanation->reason);
	eg_addr_format(writer.addr, question->family, &question->dst);
	eg_endpoint_format(writer.addr_port, &place);
	write_why(&writer);
	write_hint(&writer);
}
