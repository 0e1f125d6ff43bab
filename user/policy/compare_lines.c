// SPDX-License-Identifier: GPL-2.0
/* What changed, in the user's terms: a line a change, and none twice. */
#include "policy/compare_internal.h"

#include <stdio.h>

#include "eg_packet.h"
#include "policy/address.h"
#include "policy/judge.h"

#define LINES_MAX 50

void eg_compare_add_line(struct eg_comparison *comparison, bool gained, const char *line)
{
	struct eg_lines *lines = gained ? &comparison->widened : &comparison->narrowed;

	comparison->diff->same = false;
	if (gained)
		comparison->diff->wider = true;
	if (lines->n++ < LINES_MAX)
		eg_text_printf(lines->text, "%s\n", line);
}

void eg_compare_close_lines(const struct eg_lines *lines)
{
	if (lines->n > LINES_MAX)
		eg_text_printf(lines->text, "and %zu more\n", lines->n - LINES_MAX);
}

static void write_all(char *line, size_t size, const struct eg_change *change, const char *where)
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
static void write_port(char *line, size_t size, const struct eg_change *change,
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

static void write_change(struct eg_comparison *comparison, const struct eg_change *change,
			 const struct eg_prefix *prefix, bool both)
{
	const char *allows = change->gained ? "allows" : "no longer allows";
	struct eg_endpoint endpoint = {
		.addr = prefix->addr, .family = prefix->family, .port = change->port};
	char where[EG_ADDRESS_TEXT_LEN];
	char line[3 * EG_ADDRESS_TEXT_LEN];

	eg_prefix_format(where, prefix);
	switch (change->kind) {
	case EG_CHANGE_ALL:
		write_all(line, sizeof(line), change, where);
		break;
	case EG_CHANGE_PORT:
		write_port(line, sizeof(line), change, prefix, both);
		break;
	case EG_CHANGE_BOOTSTRAP:
		snprintf(line, sizeof(line), "%s asking %s for the endpoints' names", allows,
			 where);
		break;
	case EG_CHANGE_DNS:
		snprintf(line, sizeof(line), "%s DNS queries to %s", allows, where);
		break;
	case EG_CHANGE_WIREGUARD:
		snprintf(line, sizeof(line), "%s WireGuard to %s", allows,
			 eg_endpoint_format(where, &endpoint));
		break;
	case EG_CHANGE_DISGUISED:
		snprintf(line, sizeof(line), "%s UDP to %s that is not WireGuard's", allows, where);
		break;
	case EG_CHANGE_CONTROL:
		snprintf(line, sizeof(line), "%s %s with %s", allows, control_name(change->proto),
			 where);
		break;
	case EG_CHANGE_SOURCE:
		snprintf(line, sizeof(line), "packets with the source address %s may %s", where,
			 change->gained ? "leave" : "no longer leave");
		break;
	}
	eg_compare_add_line(comparison, change->gained, line);
}

static bool same_change(const struct eg_change *a, const struct eg_change *b)
{
	return a->kind == b->kind && a->gained == b->gained && a->proto == b->proto &&
	       a->port == b->port && (a->kind != EG_CHANGE_ALL || a->refusal == b->refusal);
}

const struct eg_change *eg_changes_find(const struct eg_changes *changes,
					const struct eg_change *wanted)
{
	for (size_t i = 0; i < changes->n; i++)
		if (same_change(&changes->change[i], wanted))
			return &changes->change[i];
	return NULL;
}

bool eg_changes_has_port(const struct eg_changes *changes, bool gained, __u8 proto, __u16 port)
{
	struct eg_change wanted = {
		.kind = EG_CHANGE_PORT, .gained = gained, .proto = proto, .port = port};

	return eg_changes_find(changes, &wanted);
}

static bool has_all(const struct eg_changes *changes, bool gained)
{
	for (size_t i = 0; i < changes->n; i++)
		if (changes->change[i].kind == EG_CHANGE_ALL && changes->change[i].gained == gained)
			return true;
	return false;
}

/* Whether a broader change of the same place says it too. */
static bool is_implied(const struct eg_comparison *comparison, const struct eg_level *level,
		       const struct eg_change *change)
{
	const struct eg_changes *changes = &level->changes;
	__u32 switches = comparison->from->config.flags ^ comparison->to->config.flags;

	switch (change->kind) {
	case EG_CHANGE_PORT:
		return (has_all(changes, change->gained) &&
			eg_proto_is_plain(level->prefix.family, change->proto)) ||
		       (change->port &&
			eg_changes_has_port(changes, change->gained, change->proto, 0));
	case EG_CHANGE_CONTROL:
		return has_all(changes, change->gained) ||
		       (change->proto == EG_PROTO_UDP && (switches & EG_CONFIG_DHCP));
	case EG_CHANGE_BOOTSTRAP:
	case EG_CHANGE_DNS:
	case EG_CHANGE_SOURCE:
		return has_all(changes, change->gained);
	case EG_CHANGE_ALL:
	case EG_CHANGE_WIREGUARD:
	case EG_CHANGE_DISGUISED:
		return false;
	}
	return false;
}

/* Not said by a broader change, and not by the same change of the place around: "allows 10.0.0.0/8"
 * need not be said again of each prefix inside. */
static bool is_news(const struct eg_comparison *comparison, const struct eg_level *level,
		    const struct eg_change *change)
{
	const struct eg_level *around = level->prefix.len ? level - 1 : NULL;

	if (is_implied(comparison, level, change))
		return false;
	return !around || !eg_changes_find(&around->changes, change) ||
	       is_implied(comparison, around, change);
}

static bool is_port_news(const struct eg_comparison *comparison, const struct eg_level *level,
			 const struct eg_change *like, __u8 proto)
{
	struct eg_change wanted = *like;

	wanted.proto = proto;
	return eg_changes_find(&level->changes, &wanted) && is_news(comparison, level, &wanted);
}

void eg_compare_add_changes(struct eg_comparison *comparison, const struct eg_level *level)
{
	for (size_t i = 0; i < level->changes.n; i++) {
		const struct eg_change *change = &level->changes.change[i];
		bool both = change->kind == EG_CHANGE_PORT && change->port &&
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
