// SPDX-License-Identifier: GPL-2.0
/*
 * Whether one image lets out more than another. The prefixes of both, merged, cut the addresses
 * into places where neither changes; at each place every kind of packet that eg_decide() can tell
 * apart there is put to both. So what is wider is what the decision says is wider, and not a second
 * opinion on what flags mean.
 *
 * It goes in two steps, `from` to `to` under the switches of `from`, then from switches to
 * switches. If neither step lets out more, the two together do not.
 */
#include "policy/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "eg_packet.h"
#include "policy/address.h"
#include "policy/array.h"
#include "policy/explain.h"
#include "policy/judge.h"
#include "policy/qname.h"
#include "util/cleanup.h"

#define LINES_MAX 50

/* --- what changed at a place ------------------------------------------------------------------ */

enum change_kind {
	CHANGE_ALL,       /* TCP, UDP and ICMP, any port */
	CHANGE_PORT,      /* a protocol, a port (0: any) */
	CHANGE_BOOTSTRAP, /* questions for the endpoints' names */
	CHANGE_DNS,       /* DNS queries, where only DNS was or is refused */
	CHANGE_WIREGUARD, /* WireGuard's packets to a port */
	CHANGE_DISGUISED, /* packets to an endpoint that are not WireGuard's */
	CHANGE_CONTROL,   /* a protocol's packets that keep the link working */
	CHANGE_SOURCE,    /* packets from there, wherever they go */
};

struct change {
	enum change_kind kind;
	bool gained; /* else lost */
	__u8 proto;
	__u16 port;
	enum eg_reason refusal; /* of the side that drops */
};

struct changes {
	struct change *change;
	size_t n;
};

/* A prefix that covers the place at hand, with the values that both images have for it. */
struct level {
	struct eg_prefix prefix;
	struct eg_addr_value from;
	struct eg_addr_value to;
	struct changes changes;
};

#define LEVELS_MAX 131 /* two families' grounds are never both there; lengths 0 to 128 */

struct lines {
	struct eg_text *text;
	size_t n;
};

struct comparison {
	const struct eg_image *from;
	const struct eg_image *to;
	struct eg_image_diff *diff;
	struct lines widened;
	struct lines narrowed;
	bool endpoints_differ;
	struct level levels[LEVELS_MAX];
	size_t n_levels;
	/* The pair of rule sets that was compared last: neighbours tend to have the same. */
	__u32 last_from, last_to;
	bool last_same;
};

static void add_line(struct comparison *comparison, bool gained, const char *line)
{
	struct lines *lines = gained ? &comparison->widened : &comparison->narrowed;

	comparison->diff->same = false;
	if (gained)
		comparison->diff->wider = true;
	if (lines->n++ < LINES_MAX)
		eg_text_printf(lines->text, "%s\n", line);
}

static void close_lines(const struct lines *lines)
{
	if (lines->n > LINES_MAX)
		eg_text_printf(lines->text, "and %zu more\n", lines->n - LINES_MAX);
}

/* --- lines ------------------------------------------------------------------------------------ */

static void write_all(char *line, size_t size, const struct change *change, const char *where)
{
	if (change->refusal == EG_REASON_DENIED)
		snprintf(line, size, change->gained ? "no longer denies %s" : "denies %s", where);
	else if (change->refusal == EG_REASON_TUNNEL_ONLY)
		snprintf(line, size,
			 change->gained ? "%s may be reached outside the tunnel"
					: "%s may be reached through the tunnel only",
			 where);
	else
		snprintf(line, size, change->gained ? "allows %s" : "no longer allows %s", where);
}

static const char *control_name(__u8 proto)
{
	if (proto == EG_PROTO_UDP)
		return "DHCP";
	if (proto == EG_PROTO_ICMPV6)
		return "neighbour discovery and multicast membership";
	return "multicast membership";
}

/* `both`: TCP and UDP alike. */
static void write_port(char *line, size_t size, const struct change *change,
		       const struct eg_prefix *prefix, bool both)
{
	struct eg_rule rule = {
		.prefix = *prefix,
		.port = change->port,
		.proto = both ? (__s16)-1 : (__s16)change->proto,
	};
	char text[EG_ADDRESS_TEXT_LEN];

	snprintf(line, size, change->gained ? "allows %s" : "no longer allows %s",
		 eg_rule_format(text, &rule));
}

static void write_change(struct comparison *comparison, const struct change *change,
			 const struct eg_prefix *prefix, bool both)
{
	const char *allows = change->gained ? "allows" : "no longer allows";
	struct eg_endpoint endpoint = {
		.addr = prefix->addr, .family = prefix->family, .port = change->port};
	char where[EG_ADDRESS_TEXT_LEN];
	char line[3 * EG_ADDRESS_TEXT_LEN];

	eg_prefix_format(where, prefix);
	switch (change->kind) {
	case CHANGE_ALL:
		write_all(line, sizeof(line), change, where);
		break;
	case CHANGE_PORT:
		write_port(line, sizeof(line), change, prefix, both);
		break;
	case CHANGE_BOOTSTRAP:
		snprintf(line, sizeof(line), "%s asking %s for the endpoints' names", allows,
			 where);
		break;
	case CHANGE_DNS:
		snprintf(line, sizeof(line), "%s DNS queries to %s", allows, where);
		break;
	case CHANGE_WIREGUARD:
		snprintf(line, sizeof(line), "%s WireGuard to %s", allows,
			 eg_endpoint_format(where, &endpoint));
		break;
	case CHANGE_DISGUISED:
		snprintf(line, sizeof(line), "%s UDP to %s that is not WireGuard's", allows, where);
		break;
	case CHANGE_CONTROL:
		snprintf(line, sizeof(line), "%s %s with %s", allows, control_name(change->proto),
			 where);
		break;
	case CHANGE_SOURCE:
		snprintf(line, sizeof(line), "packets with the source address %s may %s", where,
			 change->gained ? "leave" : "no longer leave");
		break;
	}
	add_line(comparison, change->gained, line);
}

static bool same_change(const struct change *a, const struct change *b)
{
	return a->kind == b->kind && a->gained == b->gained && a->proto == b->proto &&
	       a->port == b->port && (a->kind != CHANGE_ALL || a->refusal == b->refusal);
}

static const struct change *find_change(const struct changes *changes, const struct change *wanted)
{
	for (size_t i = 0; i < changes->n; i++)
		if (same_change(&changes->change[i], wanted))
			return &changes->change[i];
	return NULL;
}

static bool has_port(const struct changes *changes, bool gained, __u8 proto, __u16 port)
{
	struct change wanted = {
		.kind = CHANGE_PORT, .gained = gained, .proto = proto, .port = port};

	return find_change(changes, &wanted);
}

static bool has_all(const struct changes *changes, bool gained)
{
	for (size_t i = 0; i < changes->n; i++)
		if (changes->change[i].kind == CHANGE_ALL && changes->change[i].gained == gained)
			return true;
	return false;
}

/* Whether a broader change of the same place says it too. */
static bool is_implied(const struct comparison *comparison, const struct level *level,
		       const struct change *change)
{
	const struct changes *changes = &level->changes;
	__u32 switches = comparison->from->config.flags ^ comparison->to->config.flags;

	switch (change->kind) {
	case CHANGE_PORT:
		return (has_all(changes, change->gained) &&
			eg_proto_is_plain(level->prefix.family, change->proto)) ||
		       (change->port && has_port(changes, change->gained, change->proto, 0));
	case CHANGE_CONTROL:
		return has_all(changes, change->gained) ||
		       (change->proto == EG_PROTO_UDP && (switches & EG_CONFIG_DHCP));
	case CHANGE_BOOTSTRAP:
	case CHANGE_DNS:
	case CHANGE_SOURCE:
		return has_all(changes, change->gained);
	case CHANGE_ALL:
	case CHANGE_WIREGUARD:
	case CHANGE_DISGUISED:
		return false;
	}
	return false;
}

/* Not said by a broader change, and not by the same change of the place around: "allows 10.0.0.0/8"
 * need not be said again of each prefix inside. */
static bool is_news(const struct comparison *comparison, const struct level *level,
		    const struct change *change)
{
	const struct level *around = level->prefix.len ? level - 1 : NULL;

	if (is_implied(comparison, level, change))
		return false;
	return !around || !find_change(&around->changes, change) ||
	       is_implied(comparison, around, change);
}

static bool is_port_news(const struct comparison *comparison, const struct level *level,
			 const struct change *like, __u8 proto)
{
	struct change wanted = *like;

	wanted.proto = proto;
	return find_change(&level->changes, &wanted) && is_news(comparison, level, &wanted);
}

static void write_changes(struct comparison *comparison, const struct level *level)
{
	for (size_t i = 0; i < level->changes.n; i++) {
		const struct change *change = &level->changes.change[i];
		bool both = change->kind == CHANGE_PORT && change->port &&
			    is_port_news(comparison, level, change, EG_PROTO_TCP) &&
			    is_port_news(comparison, level, change, EG_PROTO_UDP);

		if (change->gained)
			comparison->diff->wider = true;
		if (!is_news(comparison, level, change) || (both && change->proto == EG_PROTO_UDP))
			continue;
		write_change(comparison, change, &level->prefix,
			     both && change->proto == EG_PROTO_TCP);
	}
}

/* --- probes ----------------------------------------------------------------------------------- */

static int add_change(struct changes *changes, const struct change *change)
{
	if (find_change(changes, change))
		return 0;
	return EG_ARRAY_ADD(changes->change, changes->n, *change);
}

static enum change_kind kind_of(enum eg_reason pass, enum eg_reason refusal)
{
	if (pass == EG_REASON_ENDPOINT)
		return CHANGE_WIREGUARD;
	if (pass == EG_REASON_BOOTSTRAP_DNS)
		return CHANGE_BOOTSTRAP;
	if (pass == EG_REASON_CONTROL)
		return CHANGE_CONTROL;
	if (refusal == EG_REASON_NOT_WIREGUARD || refusal == EG_REASON_FRAGMENT)
		return CHANGE_DISGUISED;
	if (refusal == EG_REASON_DNS_OFF_TUNNEL)
		return CHANGE_DNS;
	return CHANGE_PORT;
}

/* Puts one packet to both images, under the switches of `from`. `src` is what both are told of its
 * source. */
static int probe(const struct comparison *comparison, struct level *level,
		 const struct eg_packet *packet, const struct eg_addr_value *src)
{
	const struct eg_config *config = &comparison->from->config;
	struct eg_case from = {comparison->from, config, src, &level->from};
	struct eg_case to = {comparison->to, config, src, &level->to};
	enum eg_reason before = eg_case_decide(&from, packet);
	enum eg_reason after = eg_case_decide(&to, packet);
	struct change change = {};

	if (eg_reason_verdict(before) == eg_reason_verdict(after))
		return 0;
	change.gained = eg_reason_verdict(after) == EG_VERDICT_ALLOW;
	change.refusal = change.gained ? before : after;
	change.kind = kind_of(change.gained ? after : before, change.refusal);
	if (change.kind == CHANGE_PORT || change.kind == CHANGE_CONTROL)
		change.proto = packet->proto;
	if (change.kind == CHANGE_PORT || change.kind == CHANGE_WIREGUARD)
		change.port = EG_FROM_BE16(packet->dport_be);
	return add_change(&level->changes, &change);
}

static const struct eg_addr_value accepted_source = {.flags = EG_ADDR_SOURCE};
static const struct eg_addr_value unknown_source;

/* A packet to the place that no row but those about addresses and ports takes notice of. Port 0
 * stands for all that nothing names. */
static struct eg_packet plain_packet(const struct eg_prefix *place, __u8 proto, __u16 port)
{
	struct eg_packet packet = {
		.dst = place->addr,
		.family = place->family,
		.proto = proto,
		.hop_limit = 64,
		.dport_be = EG_BE16(port),
	};

	if (place->family == EG_FAMILY_IPV4)
		packet.src.v4_be = EG_BE32(0xa9fe0001); /* 169.254.0.1 */
	else
		packet.src = (union eg_addr){.bytes = {0xfe, 0x80, [15] = 1}};
	return packet;
}

static int probe_port(const struct comparison *comparison, struct level *level, __u8 proto,
		      __u16 port)
{
	struct eg_packet packet = plain_packet(&level->prefix, proto, port);

	return probe(comparison, level, &packet, &accepted_source);
}

/* From its own address, and from none yet. */
static int probe_control(const struct comparison *comparison, struct level *level,
			 struct eg_packet *packet)
{
	int r = probe(comparison, level, packet, &accepted_source);

	packet->src = (union eg_addr){};
	return r < 0 ? r : probe(comparison, level, packet, &unknown_source);
}

static int probe_controls(const struct comparison *comparison, struct level *level)
{
	bool v4 = level->prefix.family == EG_FAMILY_IPV4;
	struct eg_packet dhcp = plain_packet(&level->prefix, EG_PROTO_UDP, v4 ? 67 : 547);
	struct eg_packet member =
		plain_packet(&level->prefix, v4 ? EG_PROTO_IGMP : EG_PROTO_ICMPV6, 0);
	struct eg_packet neighbour = plain_packet(&level->prefix, EG_PROTO_ICMPV6, 0);
	int r;

	dhcp.sport_be = EG_BE16(v4 ? 68 : 546);
	member.hop_limit = 1;
	member.icmp_type = v4 ? 0 : 131;
	neighbour.hop_limit = 255;
	neighbour.icmp_type = 135;
	r = probe_control(comparison, level, &dhcp);
	if (r == 0)
		r = probe_control(comparison, level, &member);
	if (r == 0 && !v4)
		r = probe_control(comparison, level, &neighbour);
	return r;
}

/* To an endpoint's port: WireGuard, and what is not. */
static int probe_endpoint(const struct comparison *comparison, struct level *level, __u16 port)
{
	__be16 pinned_be = comparison->from->config.source_port_be;
	struct eg_packet packet = plain_packet(&level->prefix, EG_PROTO_UDP, port);
	int r;

	packet.sport_be = pinned_be ^ EG_BE16(1);
	r = probe(comparison, level, &packet, &accepted_source);
	packet.sport_be = pinned_be;
	packet.wireguard = 1;
	return r < 0 ? r : probe(comparison, level, &packet, &accepted_source);
}

static int probe_endpoints(const struct comparison *comparison, struct level *level,
			   const struct eg_image *image)
{
	struct eg_packet later = plain_packet(&level->prefix, EG_PROTO_UDP, 0);
	int r;

	if (!((level->from.flags | level->to.flags) & EG_ADDR_ENDPOINT))
		return 0;
	later.fragment = EG_FRAGMENT_LATER;
	r = probe(comparison, level, &later, &accepted_source);
	for (size_t i = 0; i < image->n_endpoints && r == 0; i++)
		if (image->endpoints[i].family == level->prefix.family &&
		    !memcmp(&image->endpoints[i].addr, &level->prefix.addr,
			    sizeof(level->prefix.addr)))
			r = probe_endpoint(comparison, level, image->endpoints[i].port);
	return r;
}

/* What it may be asked for is compared apart (compare_names()). */
static int probe_names(const struct comparison *comparison, struct level *level)
{
	struct eg_packet packet = plain_packet(&level->prefix, EG_PROTO_UDP, EG_PORT_DNS);

	if (!((level->from.flags | level->to.flags) & EG_ADDR_BOOTSTRAP))
		return 0;
	packet.asks_name = 1;
	return probe(comparison, level, &packet, &accepted_source);
}

/* The image's rules of one set. */
static const struct eg_image_rule *find_set(const struct eg_image *image, __u32 rule_set,
					    size_t *ret_n)
{
	size_t low = 0, high = image->n_rules, n = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (image->rules[middle].rule_set < rule_set)
			low = middle + 1;
		else
			high = middle;
	}
	while (rule_set && low + n < image->n_rules && image->rules[low + n].rule_set == rule_set)
		n++;
	*ret_n = n;
	return image->rules + low;
}

static int probe_rules(const struct comparison *comparison, struct level *level,
		       const struct eg_image *image, __u32 rule_set)
{
	size_t n;
	const struct eg_image_rule *rules = find_set(image, rule_set, &n);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = probe_port(comparison, level, rules[i].proto, rules[i].port);
	return r;
}

/* A packet from the place to somewhere that lets everything in. */
static int probe_source(const struct comparison *comparison, struct level *level)
{
	static const struct eg_addr_value open = {.flags = EG_ADDR_LAN};
	struct eg_packet packet = plain_packet(&level->prefix, EG_PROTO_TCP, 0);
	struct eg_case from = {comparison->from, &comparison->from->config, &level->from, &open};
	struct eg_case to = {comparison->to, &comparison->from->config, &level->to, &open};
	struct change change = {.kind = CHANGE_SOURCE, .refusal = EG_REASON_SOURCE};
	bool before, after;

	packet.src = level->prefix.addr;
	before = eg_case_decide(&from, &packet) != EG_REASON_SOURCE;
	after = eg_case_decide(&to, &packet) != EG_REASON_SOURCE;
	change.gained = after;
	return before == after ? 0 : add_change(&level->changes, &change);
}

/* Changes for TCP, UDP and ICMP at any port, for the same cause, are one change. */
static int join_plain(struct level *level)
{
	__u8 icmp = level->prefix.family == EG_FAMILY_IPV4 ? EG_PROTO_ICMP : EG_PROTO_ICMPV6;
	struct change wanted = {.kind = CHANGE_PORT, .proto = EG_PROTO_TCP};
	struct change all = {.kind = CHANGE_ALL};
	const struct change *tcp;

	/* The reasons of rows 15 to 17 say what the address is, not what the policy says. */
	for (int gained = 0; gained < 2; gained++) {
		wanted.gained = all.gained = gained;
		tcp = find_change(&level->changes, &wanted);
		if (!tcp || !has_port(&level->changes, gained, EG_PROTO_UDP, 0) ||
		    !has_port(&level->changes, gained, icmp, 0))
			continue;
		if (tcp->refusal == EG_REASON_DENIED || tcp->refusal == EG_REASON_TUNNEL_ONLY)
			all.refusal = tcp->refusal;
		else
			all.refusal = EG_REASON_PUBLIC;
		if (add_change(&level->changes, &all) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int probe_place(const struct comparison *comparison, struct level *level)
{
	static const __u8 dns_protos[] = {EG_PROTO_TCP, EG_PROTO_UDP};
	__u8 icmp = level->prefix.family == EG_FAMILY_IPV4 ? EG_PROTO_ICMP : EG_PROTO_ICMPV6;
	int r = probe_port(comparison, level, icmp, 0);

	for (size_t i = 0; i < 2 && r == 0; i++) {
		r = probe_port(comparison, level, dns_protos[i], 0);
		if (r == 0)
			r = probe_port(comparison, level, dns_protos[i], 53);
		if (r == 0)
			r = probe_port(comparison, level, dns_protos[i], 853);
	}
	if (r == 0)
		r = probe_rules(comparison, level, comparison->from, level->from.rule_set);
	if (r == 0)
		r = probe_rules(comparison, level, comparison->to, level->to.rule_set);
	if (r == 0)
		r = probe_controls(comparison, level);
	if (r == 0)
		r = probe_endpoints(comparison, level, comparison->from);
	if (r == 0)
		r = probe_endpoints(comparison, level, comparison->to);
	if (r == 0)
		r = probe_names(comparison, level);
	if (r == 0)
		r = probe_source(comparison, level);
	return r < 0 ? r : join_plain(level);
}

/* --- places ----------------------------------------------------------------------------------- */

/* Where rows look at the destination's kind, each kind is a place of its own. */
static const struct eg_prefix kinds[] = {
	{.family = EG_FAMILY_IPV4, .len = 0},
	{.family = EG_FAMILY_IPV4, .len = 16, .addr.bytes = {169, 254}},
	{.family = EG_FAMILY_IPV4, .len = 4, .addr.bytes = {224}},
	{.family = EG_FAMILY_IPV4, .len = 32, .addr.bytes = {255, 255, 255, 255}},
	{.family = EG_FAMILY_IPV6, .len = 0},
	{.family = EG_FAMILY_IPV6, .len = 10, .addr.bytes = {0xfe, 0x80}},
	{.family = EG_FAMILY_IPV6, .len = 8, .addr.bytes = {0xff}},
	{.family = EG_FAMILY_IPV6, .len = 16, .addr.bytes = {0xff, 0x02}},
	{.family = EG_FAMILY_IPV6,
	 .len = 128,
	 .addr.bytes = {0xff, 0x02, [13] = 0x01, [15] = 0x02}}, /* ff02::1:2 */
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static bool same_rules(struct comparison *comparison, __u32 from, __u32 to)
{
	const struct eg_image_rule *left, *right;
	size_t n_left, n_right;
	bool same;

	if (comparison->last_from == from && comparison->last_to == to)
		return comparison->last_same;
	left = find_set(comparison->from, from, &n_left);
	right = find_set(comparison->to, to, &n_right);
	same = n_left == n_right;
	for (size_t i = 0; same && i < n_left; i++)
		same = left[i].proto == right[i].proto && left[i].port == right[i].port;
	comparison->last_from = from;
	comparison->last_to = to;
	comparison->last_same = same;
	return same;
}

static int compare_place(struct comparison *comparison, struct level *level)
{
	int r;

	level->changes.n = 0;
	if (level->from.flags == level->to.flags &&
	    same_rules(comparison, level->from.rule_set, level->to.rule_set) &&
	    !(comparison->endpoints_differ && (level->from.flags & EG_ADDR_ENDPOINT)))
		return 0;
	comparison->diff->same = false;
	r = probe_place(comparison, level);
	if (r < 0)
		return r;
	write_changes(comparison, level);
	return 0;
}

/* The place inside the levels that cover it; NULL values are those of the place around it. */
static int enter_place(struct comparison *comparison, const struct eg_prefix *prefix,
		       const struct eg_addr_value *from, const struct eg_addr_value *to)
{
	const struct level *around;
	struct level *level;

	while (comparison->n_levels &&
	       !eg_prefix_covers(&comparison->levels[comparison->n_levels - 1].prefix, prefix))
		comparison->n_levels--;
	around = comparison->n_levels ? &comparison->levels[comparison->n_levels - 1] : NULL;
	level = &comparison->levels[comparison->n_levels++];
	level->prefix = *prefix;
	level->from = from ? *from : around ? around->from : (struct eg_addr_value){};
	level->to = to ? *to : around ? around->to : (struct eg_addr_value){};
	return compare_place(comparison, level);
}

static const struct eg_prefix *earlier(const struct eg_prefix *a, const struct eg_prefix *b)
{
	if (!a || !b)
		return a ? a : b;
	return eg_prefix_compare(b, a) < 0 ? b : a;
}

/* Merges three sorted lists of prefixes: of both images, and of the kinds. */
static int compare_places(struct comparison *comparison)
{
	const struct eg_image *from = comparison->from, *to = comparison->to;
	size_t i = 0, j = 0, k = 0;
	int r = 0;

	while (r == 0 && (i < from->n_addrs || j < to->n_addrs || k < KINDS)) {
		const struct eg_image_addr *left = i < from->n_addrs ? &from->addrs[i] : NULL;
		const struct eg_image_addr *right = j < to->n_addrs ? &to->addrs[j] : NULL;
		const struct eg_prefix *next =
			earlier(earlier(left ? &left->prefix : NULL, right ? &right->prefix : NULL),
				k < KINDS ? &kinds[k] : NULL);

		if (left && eg_prefix_compare(&left->prefix, next))
			left = NULL;
		if (right && eg_prefix_compare(&right->prefix, next))
			right = NULL;
		r = enter_place(comparison, next, left ? &left->value : NULL,
				right ? &right->value : NULL);
		if (k < KINDS && !eg_prefix_compare(&kinds[k], next))
			k++;
		i += left != NULL;
		j += right != NULL;
	}
	return r;
}

/* --- the rest --------------------------------------------------------------------------------- */

static void compare_flag(struct comparison *comparison, __u32 flag, const char *on, const char *off,
			 bool on_is_wider)
{
	__u32 before = comparison->from->config.flags & flag;
	__u32 after = comparison->to->config.flags & flag;

	if (before != after)
		add_line(comparison, on_is_wider == (after != 0), after ? on : off);
}

static void compare_source_port(struct comparison *comparison)
{
	__u16 before = EG_FROM_BE16(comparison->from->config.source_port_be);
	__u16 after = EG_FROM_BE16(comparison->to->config.source_port_be);
	char line[EG_ADDRESS_TEXT_LEN];

	if (before == after)
		return;
	if (!after)
		snprintf(line, sizeof(line), "WireGuard's own port is no longer pinned to %u",
			 before);
	else
		snprintf(line, sizeof(line), "WireGuard's own port is pinned to %u", after);
	add_line(comparison, before != 0, line);
}

/* Neither lets anything out. */
static void compare_answers(struct comparison *comparison)
{
	__u32 after = comparison->to->config.flags & EG_CONFIG_REJECT;

	if (after != (comparison->from->config.flags & EG_CONFIG_REJECT))
		add_line(comparison, false,
			 after ? "what is dropped is answered" : "what is dropped is not answered");
}

static void compare_name(struct comparison *comparison, const struct eg_bootstrap *other,
			 const struct eg_bootstrap_name *name, bool gained)
{
	char text[EG_QNAME_TEXT_LEN];
	char line[EG_QNAME_TEXT_LEN + 64];

	if (!name->len || eg_qname_is_in(other, name))
		return;
	snprintf(line, sizeof(line), "%s asking for the name %s",
		 gained ? "allows" : "no longer allows", eg_qname_format(text, name));
	add_line(comparison, gained, line);
}

static void compare_names(struct comparison *comparison)
{
	const struct eg_bootstrap *before = &comparison->from->bootstrap;
	const struct eg_bootstrap *after = &comparison->to->bootstrap;

	for (size_t i = 0; i < EG_BOOTSTRAP_NAMES; i++) {
		compare_name(comparison, before, &after->names[i], true);
		compare_name(comparison, after, &before->names[i], false);
	}
}

static void compare_config(struct comparison *comparison)
{
	compare_flag(comparison, EG_CONFIG_AUDIT, "audit: drops pass", "enforce: drops are drops",
		     true);
	compare_flag(comparison, EG_CONFIG_DNS_TUNNEL, "DNS: through the tunnel only",
		     "DNS: queries to allowed addresses pass off the tunnel", false);
	compare_flag(comparison, EG_CONFIG_DHCP, "allows DHCP", "no longer allows DHCP", true);
	compare_flag(comparison, EG_CONFIG_SHAPE_ANY, "packets to an endpoint may have any payload",
		     "packets to an endpoint must look like WireGuard", true);
	compare_answers(comparison);
	compare_source_port(comparison);
	compare_names(comparison);
}

static bool endpoints_differ(const struct eg_image *from, const struct eg_image *to)
{
	if (from->n_endpoints != to->n_endpoints)
		return true;
	for (size_t i = 0; i < from->n_endpoints; i++) {
		const struct eg_image_endpoint *left = &from->endpoints[i];
		const struct eg_image_endpoint *right = &to->endpoints[i];

		if (left->family != right->family || left->port != right->port ||
		    memcmp(&left->addr, &right->addr, sizeof(left->addr)) != 0)
			return true;
	}
	return false;
}

static void comparison_freep(struct comparison **pointer)
{
	struct comparison *comparison = *pointer;

	if (!comparison)
		return;
	for (size_t i = 0; i < LEVELS_MAX; i++)
		free(comparison->levels[i].changes.change);
	free(comparison);
}

int eg_image_compare(const struct eg_image *from, const struct eg_image *to,
		     struct eg_image_diff *ret_diff)
{
	EG_AUTO(comparison_freep) struct comparison *comparison = calloc(1, sizeof(*comparison));
	struct eg_image_diff diff = {.same = true};
	int r;

	if (!comparison)
		return -ENOMEM;
	comparison->from = from;
	comparison->to = to;
	comparison->diff = &diff;
	comparison->widened.text = &diff.widened;
	comparison->narrowed.text = &diff.narrowed;
	comparison->endpoints_differ = endpoints_differ(from, to);
	comparison->last_same = true; /* no rules, and no rules */
	compare_config(comparison);
	r = compare_places(comparison);
	close_lines(&comparison->widened);
	close_lines(&comparison->narrowed);
	if (r < 0 || diff.widened.failed || diff.narrowed.failed) {
		eg_image_diff_free(&diff);
		return -ENOMEM;
	}
	*ret_diff = diff;
	return 0;
}

void eg_image_diff_free(struct eg_image_diff *diff)
{
	eg_text_free(&diff->widened);
	eg_text_free(&diff->narrowed);
}
