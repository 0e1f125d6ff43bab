// SPDX-License-Identifier: GPL-2.0
/*
 * The lines of `events`, by hand: jansson takes a hash table and some sixty allocations for one,
 * which is too slow for what one viewer must show. Strings go through put_string() alone, and the
 * tests read the lines back with jansson.
 */
#include <string.h>

#include "eg_packet.h"
#include "out/json_internal.h"
#include "policy/address.h"

static void put_escaped_code(struct eg_text *line, __u32 code)
{
	if (code == '"' || code == '\\')
		eg_text_printf(line, "\\%c", (int)code);
	else if (code < 0x10000)
		eg_text_printf(line, "\\u%04x", code);
	else
		eg_text_printf(line, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
			       0xdc00 + ((code - 0x10000) & 0x3ff));
}

static bool is_plain(char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* A string of whatever origin, in its quotes. */
static void put_string(struct eg_text *line, const char *string)
{
	eg_text_add(line, "\"", 1);
	while (*string) {
		size_t plain = 0, len;
		__u32 code;

		while (is_plain(string[plain]))
			plain++;
		if (plain) {
			eg_text_add(line, string, plain);
			string += plain;
			continue;
		}
		len = eg_utf8_decode(string, EG_UTF8_MAX, &code);
		if (len) {
			put_escaped_code(line, code);
			string += len;
		} else {
			eg_text_printf(line, "\\\\x%02x", (unsigned char)*string++);
		}
	}
	eg_text_add(line, "\"", 1);
}

/* A key as it stands behind another member. Ours: nothing in it needs an escape. */
#define KEY(name) ",\"" name "\":"

static void put_string_or_null(struct eg_text *line, const char *key, const char *string)
{
	eg_put(line, key);
	if (string)
		put_string(line, string);
	else
		eg_put(line, "null");
}

static void put_number_or_null(struct eg_text *line, const char *key, bool known, __u64 number)
{
	eg_put(line, key);
	if (known)
		eg_put_number(line, number);
	else
		eg_put(line, "null");
}

static void put_address(struct eg_text *line, const char *key, __u8 family,
			const union eg_addr *addr)
{
	eg_put(line, key);
	if (family == EG_FAMILY_NONE) {
		eg_put(line, "null");
		return;
	}
	eg_text_add(line, "\"", 1);
	eg_put_address(line, family, addr);
	eg_text_add(line, "\"", 1);
}

static void put_start(struct eg_text *line, const char *type, __u64 realtime_ns, const char *guard)
{
	eg_put(line, "{\"type\":\"");
	eg_put(line, type);
	eg_put(line, "\",\"time\":\"");
	eg_put_rfc3339(line, realtime_ns);
	eg_put(line, "\"");
	put_string_or_null(line, KEY("guard"), guard);
}

static void put_packet(struct eg_text *line, const struct eg_event *event)
{
	bool ip = event->family != EG_FAMILY_NONE, ports = eg_event_has_ports(event);
	bool connect = eg_event_is_connect(event);

	put_string_or_null(line, KEY("family"), eg_json_family(event->family));
	eg_put(line, KEY("proto"));
	if (ip) {
		eg_text_add(line, "\"", 1);
		eg_put_proto(line, event->proto);
		eg_text_add(line, "\"", 1);
	} else {
		eg_put(line, "null");
	}
	put_address(line, KEY("src"), eg_event_has_source(event) ? event->family : EG_FAMILY_NONE,
		    &event->src);
	put_number_or_null(line, KEY("sport"), ports && (event->sport_be || !connect),
			   EG_FROM_BE16(event->sport_be));
	put_address(line, KEY("dst"), event->family, &event->dst);
	put_number_or_null(line, KEY("dport"), ports, EG_FROM_BE16(event->dport_be));
	put_number_or_null(line, KEY("length"), !connect, event->length);
	eg_put(line, KEY("tcp_flags"));
	if (ports && !connect && event->proto == EG_PROTO_TCP) {
		eg_text_add(line, "\"", 1);
		eg_put_tcp_flags(line, event->tcp_flags);
		eg_text_add(line, "\"", 1);
	} else {
		eg_put(line, "null");
	}
}

static void put_owner(struct eg_text *line, const struct eg_event_view *view)
{
	const struct eg_event *event = view->event;
	bool owner = event->flags & EG_EVENT_OWNER;
	bool known = event->flags & (EG_EVENT_OWNER | EG_EVENT_SOCKET);
	char comm[EG_COMM_LEN + 1] = {};

	memcpy(comm, event->comm, EG_COMM_LEN);
	put_number_or_null(line, KEY("pid"), owner, event->pid);
	put_string_or_null(line, KEY("comm"), owner ? comm : NULL);
	put_number_or_null(line, KEY("uid"), known && event->uid != EG_UID_UNKNOWN, event->uid);
	put_string_or_null(line, KEY("cgroup"), view->cgroup);
	put_string_or_null(line, KEY("container"), view->container);
	put_string_or_null(line, KEY("container_id"), view->container_id);
	put_string_or_null(line, KEY("attribution"), owner ? "socket" : "none");
}

int eg_json_event(const struct eg_event_view *view, FILE *to)
{
	const struct eg_event *event = view->event;
	struct eg_text *line = eg_line_start();
	bool icmp = eg_event_has_icmp(event);

	put_start(line, "packet", view->realtime_ns, view->guard);
	put_string_or_null(line, KEY("verdict"),
			   event->verdict < 3 ? eg_verdict_names[event->verdict] : NULL);
	put_string_or_null(line, KEY("reason"),
			   event->reason < EG_REASON_COUNT ? eg_reason_names[event->reason] : NULL);
	put_string_or_null(line, KEY("layer"),
			   event->layer < EG_LAYER_COUNT ? eg_layer_names[event->layer] : NULL);
	put_string_or_null(line, KEY("ifname"), view->ifname);
	put_number_or_null(line, KEY("ifindex"), event->ifindex, event->ifindex);
	put_packet(line, event);
	put_owner(line, view);
	put_number_or_null(line, KEY("ethertype"),
			   event->ethertype_be || !eg_event_is_connect(event),
			   EG_FROM_BE16(event->ethertype_be));
	put_number_or_null(line, KEY("icmp_type"), icmp, event->icmp_type);
	put_number_or_null(line, KEY("icmp_code"), icmp, event->icmp_code);
	eg_put(line, KEY("bypass"));
	eg_put(line, eg_event_is_bypass(event) ? "true" : "false");
	eg_put(line, KEY("probe"));
	eg_put(line, event->flags & EG_EVENT_PROBE ? "true" : "false");
	eg_put(line, "}\n");
	return eg_line_end(line, to);
}

int eg_json_lost(const char *guard, __u64 lost, __u64 total, __u64 realtime_ns, FILE *to)
{
	struct eg_text *line = eg_line_start();

	put_start(line, "lost", realtime_ns, guard);
	put_number_or_null(line, KEY("lost"), true, lost);
	put_number_or_null(line, KEY("total"), true, total);
	eg_put(line, "}\n");
	return eg_line_end(line, to);
}

int eg_json_state_line(const char *guard, const char *state, const char *detail, __u64 realtime_ns,
		       FILE *to)
{
	struct eg_text *line = eg_line_start();

	put_start(line, "state", realtime_ns, guard);
	put_string_or_null(line, KEY("state"), state);
	put_string_or_null(line, KEY("detail"), detail);
	eg_put(line, "}\n");
	return eg_line_end(line, to);
}
