// SPDX-License-Identifier: GPL-2.0
/* The renderers over models made by hand: exact lines, keys, and what strangers' strings become. */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eg_packet.h"
#include "out/format.h"
#include "out/render.h"
#include "policy/address.h"

/* 2025-01-31 12:01:33.123456789 UTC */
#define TIME_NS 1738324893123456789ULL

/* An escape sequence, a line's end, an override of direction (U+202E), bytes that are not UTF-8. */
#define HOSTILE "a\033[31m\n\xe2\x80\xae\"\\\xff\xc0\x80z"

struct output {
	char *data;
	size_t len;
	FILE *file;
};

static FILE *output_open(struct output *output)
{
	*output = (struct output){};
	output->file = open_memstream(&output->data, &output->len);
	assert_non_null(output->file);
	return output->file;
}

/* What was written; output_free() frees it. */
static const char *output_text(struct output *output)
{
	assert_int_equal(fclose(output->file), 0);
	output->file = NULL;
	return output->data;
}

static void output_free(struct output *output)
{
	free(output->data);
}

static union eg_addr addr(const char *text)
{
	union eg_addr result = {};
	__u8 family;

	assert_int_equal(eg_addr_parse(text, &family, &result, NULL), 0);
	return result;
}

/* The line that DESIGN.md and egressguard(8) show. */
static struct eg_event tcp_event(void)
{
	return (struct eg_event){
		.src = addr("172.18.0.2"),
		.dst = addr("203.0.113.7"),
		.sport_be = EG_BE16(40412),
		.dport_be = EG_BE16(443),
		.ethertype_be = EG_BE16(EG_ETHERTYPE_IPV4),
		.family = EG_FAMILY_IPV4,
		.proto = EG_PROTO_TCP,
		.tcp_flags = 0x02,
		.reason = EG_REASON_PUBLIC,
		.layer = EG_LAYER_DEVICE,
		.verdict = EG_VERDICT_DROP,
		.flags = EG_EVENT_SOCKET | EG_EVENT_OWNER,
		.ifindex = 2,
		.length = 60,
		.pid = 1234,
		.uid = 1000,
		.cgroup_id = 77,
		.link_header = 1,
		.comm = "qbittorrent-nox",
	};
}

static struct eg_event_view view_of(const struct eg_event *event)
{
	return (struct eg_event_view){
		.event = event,
		.realtime_ns = TIME_NS,
		.guard = "wireguard",
		.ifname = "eth0",
	};
}

static void check_text(const struct eg_event_view *view, const char *expected)
{
	struct output output;

	assert_int_equal(eg_render_text.event(view, output_open(&output)), 0);
	assert_string_equal(output_text(&output), expected);
	output_free(&output);
}

/* Reads one line back; the caller frees it. */
static json_t *parse_line(const char *line)
{
	json_error_t error;
	json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &error);

	if (!object)
		fail_msg("%s at column %d of: %s", error.text, error.column, line);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	return object;
}

static json_t *event_json(const struct eg_event_view *view)
{
	struct output output;
	json_t *object;

	assert_int_equal(eg_render_json.event(view, output_open(&output)), 0);
	object = parse_line(output_text(&output));
	output_free(&output);
	return object;
}

static void check_string(json_t *object, const char *key, const char *expected)
{
	json_t *value = json_object_get(object, key);

	if (!expected) {
		assert_true(json_is_null(value));
		return;
	}
	if (!json_is_string(value))
		fail_msg("'%s' is no string", key);
	assert_string_equal(json_string_value(value), expected);
}

static void check_number(json_t *object, const char *key, long long expected)
{
	json_t *value = json_object_get(object, key);

	if (!json_is_integer(value))
		fail_msg("'%s' is no number", key);
	assert_int_equal(json_integer_value(value), expected);
}

static void check_null(json_t *object, const char *key)
{
	if (!json_is_null(json_object_get(object, key)))
		fail_msg("'%s' is not null", key);
}

/* --- events as text -------------------------------------------------------------------------- */

static void test_text_sample(void **state)
{
	struct eg_event event = tcp_event();
	struct eg_event_view view = view_of(&event);

	(void)state;
	view.container = "qbittorrent";
	check_text(&view, "12:01:33.123456 DROP public eth0 172.18.0.2.40412 > 203.0.113.7.443: "
			  "tcp S, length 60, qbittorrent-nox[1234] in qbittorrent, layer device\n");
}

static void test_text_unknown_sender(void **state)
{
	struct eg_event event = tcp_event();
	struct eg_event_view view = view_of(&event);

	(void)state;
	event.flags = EG_EVENT_SOCKET;
	event.tcp_flags = 0x12;
	view.ifname = NULL;
	view.container_id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	check_text(&view, "12:01:33.123456 DROP public if2 172.18.0.2.40412 > 203.0.113.7.443: "
			  "tcp S., length 60, (sender unknown) in 0123456789ab, layer device\n");
}

static void test_text_icmp(void **state)
{
	struct eg_event event = tcp_event();
	struct eg_event_view view = view_of(&event);

	(void)state;
	event.flags = 0;
	event.proto = EG_PROTO_ICMP;
	event.sport_be = event.dport_be = 0;
	event.icmp_type = 8;
	event.verdict = EG_VERDICT_WOULD_DROP;
	check_text(&view, "12:01:33.123456 WOULD-DROP public eth0 172.18.0.2 > 203.0.113.7: "
			  "icmp echo request, length 60, (sender unknown), layer device\n");
	event.icmp_type = 200;
	event.icmp_code = 3;
	check_text(&view, "12:01:33.123456 WOULD-DROP public eth0 172.18.0.2 > 203.0.113.7: "
			  "icmp type 200 code 3, length 60, (sender unknown), layer device\n");
	/* Type 0 is what an unreadable header leaves: no "echo reply". */
	event.icmp_type = 0;
	event.reason = EG_REASON_MALFORMED;
	check_text(&view, "12:01:33.123456 WOULD-DROP malformed eth0 172.18.0.2 > 203.0.113.7: "
			  "icmp, length 60, (sender unknown), layer device\n");
}

static void test_text_ipv6(void **state)
{
	struct eg_event event = tcp_event();
	struct eg_event_view view = view_of(&event);

	(void)state;
	event.flags = 0;
	event.family = EG_FAMILY_IPV6;
	event.src = addr("fd00::2");
	event.dst = addr("2001:db8::7");
	event.proto = EG_PROTO_UDP;
	check_text(&view, "12:01:33.123456 DROP public eth0 fd00::2.40412 > 2001:db8::7.443: "
			  "udp, length 60, (sender unknown), layer device\n");
	event.proto = EG_PROTO_ICMPV6;
	event.icmp_type = 135;
	check_text(&view, "12:01:33.123456 DROP public eth0 fd00::2 > 2001:db8::7: "
			  "icmpv6 neighbor solicitation, length 60, (sender unknown), layer "
			  "device\n");
	/* A later fragment has no ports, and a number that no list of ours has is a number. */
	event.proto = EG_PROTO_UDP;
	event.sport_be = event.dport_be = 0;
	check_text(&view, "12:01:33.123456 DROP public eth0 fd00::2 > 2001:db8::7: "
			  "udp, length 60, (sender unknown), layer device\n");
	event.proto = 253;
	check_text(&view, "12:01:33.123456 DROP public eth0 fd00::2 > 2001:db8::7: "
			  "proto 253, length 60, (sender unknown), layer device\n");
}

static void test_text_peer(void **state)
{
	struct eg_event event = tcp_event();
	struct eg_event_view view = view_of(&event);

	(void)state;
	event.flags = 0;
	event.layer = EG_LAYER_PEER;
	check_text(&view, "12:01:33.123456 DROP public eth0 172.18.0.2.40412 > 203.0.113.7.443: "
			  "tcp S, length 60, (sender unknown), layer peer (bypass attempt)\n");
	event.flags = EG_EVENT_TRANSITION;
	check_text(&view, "12:01:33.123456 DROP public eth0 172.18.0.2.40412 > 203.0.113.7.443: "
			  "tcp S, length 60, (sender unknown), layer peer (while the policy was "
			  "replaced)\n");
	event.flags = EG_EVENT_PROBE;
	check_text(&view, "12:01:33.123456 DROP public eth0 172.18.0.2.40412 > 203.0.113.7.443: "
			  "tcp S, length 60, (sender unknown), layer peer (a probe of egressguard "
			  "verify)\n");
	/* In audit mode `device` let it pass: nothing was bypassed. */
	event.flags = 0;
	event.verdict = EG_VERDICT_WOULD_DROP;
	check_text(&view, "12:01:33.123456 WOULD-DROP public eth0 172.18.0.2.40412 > "
			  "203.0.113.7.443: tcp S, length 60, (sender unknown), layer peer\n");
}

static void test_text_frame(void **state)
{
	struct eg_event event = {
		.ethertype_be = EG_BE16(0x88cc),
		.reason = EG_REASON_ETHERTYPE,
		.layer = EG_LAYER_DEVICE,
		.verdict = EG_VERDICT_DROP,
		.length = 60,
		.link_header = 1,
		.snap_len = 14,
		.snap = {0x01, 0x80, 0xc2, 0, 0, 0x0e, 0x02, 0, 0, 0, 0, 0x0b, 0x88, 0xcc},
	};
	struct eg_event_view view = view_of(&event);

	(void)state;
	check_text(&view, "12:01:33.123456 DROP ethertype eth0 02:00:00:00:00:0b > "
			  "01:80:c2:00:00:0e: ethertype 0x88cc, length 60, (sender unknown), layer "
			  "device\n");
	event.snap_len = 13;
	check_text(&view, "12:01:33.123456 DROP ethertype eth0 ethertype 0x88cc, length 60, "
			  "(sender unknown), layer device\n");
}

static void check_safe(const char *text)
{
	assert_null(strchr(text, '\033'));
	assert_null(strstr(text, "\xe2\x80\xae"));
	assert_null(strchr(text, '\xff'));
}

static void test_text_hostile(void **state)
{
	struct eg_event event = tcp_event();
	struct eg_event_view view = view_of(&event);
	struct output output;
	const char *text;

	(void)state;
	/* A comm need not end. */
	memset(event.comm, '\033', sizeof(event.comm));
	view.ifname = HOSTILE;
	view.container = HOSTILE;
	assert_int_equal(eg_render_text.event(&view, output_open(&output)), 0);
	text = output_text(&output);
	check_safe(text);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	assert_non_null(strstr(text, "a\\x1b[31m\\x0a"));
	output_free(&output);

	assert_int_equal(
		eg_render_text.state(HOSTILE, "gone", HOSTILE, TIME_NS, output_open(&output)), 0);
	text = output_text(&output);
	check_safe(text);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	output_free(&output);
}

static void test_text_lost_and_state(void **state)
{
	struct output output;

	(void)state;
	assert_int_equal(eg_render_text.lost("wireguard", 3, 10, TIME_NS, output_open(&output)), 0);
	assert_string_equal(output_text(&output),
			    "12:01:33.123456 LOST 3 events of wireguard, 10 in all\n");
	output_free(&output);
	assert_int_equal(
		eg_render_text.state("wireguard", "gone", "why", TIME_NS, output_open(&output)), 0);
	assert_string_equal(output_text(&output), "12:01:33.123456 STATE gone wireguard: why\n");
	output_free(&output);
}

/* No packet was made: there is nothing of one to show. */
static struct eg_event connect_event(void)
{
	struct eg_event event = tcp_event();

	event.layer = EG_LAYER_SOCKET;
	event.src = (union eg_addr){};
	event.sport_be = 0;
	event.tcp_flags = 0;
	event.length = 0;
	event.snap_len = 0;
	return event;
}

static void test_text_connect(void **state)
{
	struct eg_event event = connect_event();
	struct eg_event_view view = view_of(&event);
	struct output output;

	(void)state;
	assert_int_equal(eg_render_text.event(&view, output_open(&output)), 0);
	assert_non_null(strstr(output_text(&output),
			       " DROP public eth0 * > 203.0.113.7.443: tcp "
			       "connect, qbittorrent-nox[1234], layer socket\n"));
	output_free(&output);

	event.src.v4_be = EG_BE32(0xac120002);
	event.sport_be = EG_BE16(40412);
	assert_int_equal(eg_render_text.event(&view, output_open(&output)), 0);
	assert_non_null(strstr(output_text(&output), " 172.18.0.2.40412 > 203.0.113.7.443: tcp "));
	output_free(&output);
}

static void test_pcap_connect(void **state)
{
	struct eg_event event = connect_event();
	struct eg_event_view view = view_of(&event);
	struct output output;

	(void)state;
	assert_int_equal(eg_pcap_event(&view, output_open(&output)), 0);
	assert_string_equal(output_text(&output), "");
	output_free(&output);
}

/* --- events as JSON -------------------------------------------------------------------------- */

static void test_json_keys(void **state)
{
	struct eg_event event = tcp_event();
	struct eg_event_view view = view_of(&event);
	json_t *object;

	(void)state;
	view.container = "qbittorrent";
	view.container_id = "0123";
	view.cgroup = "/docker/0123";
	object = event_json(&view);
	check_string(object, "type", "packet");
	check_string(object, "time", "2025-01-31T12:01:33.123456789Z");
	check_string(object, "guard", "wireguard");
	check_string(object, "verdict", "drop");
	check_string(object, "reason", "public");
	check_string(object, "layer", "device");
	check_string(object, "ifname", "eth0");
	check_number(object, "ifindex", 2);
	check_string(object, "family", "ipv4");
	check_string(object, "proto", "tcp");
	check_string(object, "src", "172.18.0.2");
	check_number(object, "sport", 40412);
	check_string(object, "dst", "203.0.113.7");
	check_number(object, "dport", 443);
	check_number(object, "length", 60);
	check_string(object, "tcp_flags", "S");
	check_number(object, "pid", 1234);
	check_string(object, "comm", "qbittorrent-nox");
	check_number(object, "uid", 1000);
	check_string(object, "cgroup", "/docker/0123");
	check_string(object, "container", "qbittorrent");
	check_string(object, "container_id", "0123");
	check_string(object, "attribution", "socket");
	check_number(object, "ethertype", 0x800);
	check_null(object, "icmp_type");
	check_null(object, "icmp_code");
	assert_true(json_is_false(json_object_get(object, "bypass")));
	assert_true(json_is_false(json_object_get(object, "probe")));
	assert_int_equal(json_object_size(object), 28);
	json_decref(object);
}

static void test_json_connect(void **state)
{
	static const char *const nulls[] = {"src", "sport", "length", "tcp_flags"};
	struct eg_event event = connect_event();
	struct eg_event_view view = view_of(&event);
	json_t *object = event_json(&view);

	(void)state;
	for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++)
		check_null(object, nulls[i]);
	check_string(object, "layer", "socket");
	check_string(object, "dst", "203.0.113.7");
	check_number(object, "dport", 443);
	json_decref(object);
}

/* What is unknown is null, and never a zero that looks like a fact. */
static void test_json_nulls(void **state)
{
	struct eg_event event = {
		.ethertype_be = EG_BE16(0x88cc),
		.reason = EG_REASON_ETHERTYPE,
		.layer = EG_LAYER_PEER,
		.verdict = EG_VERDICT_DROP,
		.uid = EG_UID_UNKNOWN,
	};
	static const char *const nulls[] = {
		"ifname",    "family",       "proto",     "src",       "sport", "dst",
		"dport",     "tcp_flags",    "pid",       "comm",      "uid",   "cgroup",
		"container", "container_id", "icmp_type", "icmp_code",
	};
	struct eg_event_view view = view_of(&event);
	json_t *object;

	(void)state;
	view.ifname = NULL;
	object = event_json(&view);
	for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++)
		check_null(object, nulls[i]);
	check_string(object, "attribution", "none");
	assert_true(json_is_true(json_object_get(object, "bypass")));
	json_decref(object);

	event.flags = EG_EVENT_SOCKET;
	event.uid = 0;
	object = event_json(&view);
	check_number(object, "uid", 0);
	check_null(object, "pid");
	check_string(object, "attribution", "none");
	json_decref(object);
}

static void test_json_icmp(void **state)
{
	struct eg_event event = tcp_event();
	struct eg_event_view view = view_of(&event);
	json_t *object;

	(void)state;
	event.proto = EG_PROTO_ICMP;
	event.icmp_type = 8;
	event.sport_be = event.dport_be = 0;
	object = event_json(&view);
	check_string(object, "proto", "icmp");
	check_number(object, "icmp_type", 8);
	check_number(object, "icmp_code", 0);
	check_null(object, "sport");
	check_null(object, "tcp_flags");
	json_decref(object);
	event.proto = 253;
	object = event_json(&view);
	check_string(object, "proto", "253");
	check_null(object, "icmp_type");
	json_decref(object);
}

/* What a string must come back as: itself, with \xNN for what is not UTF-8. */
static void check_round_trip(const char *string)
{
	struct eg_event event = tcp_event();
	struct eg_event_view view = view_of(&event);
	struct eg_text expected = {};
	struct output output;
	json_t *object;

	view.container = string;
	assert_int_equal(eg_render_json.event(&view, output_open(&output)), 0);
	output_text(&output);
	for (size_t i = 0; i + 1 < output.len; i++)
		assert_in_range((unsigned char)output.data[i], 0x20, 0x7e);
	object = parse_line(output.data);
	eg_put(&expected, "");
	eg_put_utf8(&expected, string);
	check_string(object, "container", expected.data);
	json_decref(object);
	output_free(&output);
	eg_text_free(&expected);
}

static void test_json_hostile(void **state)
{
	static const char *const strings[] = {
		HOSTILE,
		"",
		"\x7f",
		"\xed\xa0\x80",     /* a surrogate */
		"\xf4\x90\x80\x80", /* above U+10FFFF */
		"\xe2\x82",         /* cut off */
		"\xf0\x9f\x98\x80", /* outside the first plane */
		"\xef\xbf\xbf",
		"\\u0041\\",
		"\",\"pid\":0,\"x\":\"",
	};
	unsigned int seed = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		check_round_trip(strings[i]);
	for (int i = 0; i < 5000; i++) {
		char random[24];
		size_t len = (size_t)rand_r(&seed) % sizeof(random);

		for (size_t j = 0; j < len; j++)
			random[j] = (char)(rand_r(&seed) % 255 + 1);
		random[len] = '\0';
		check_round_trip(random);
	}
}

/* What eg_put_utf8() itself makes of it, spelled out: the test above leans on it. */
static void test_utf8(void **state)
{
	struct eg_text text = {};

	(void)state;
	eg_put_utf8(&text, "\xc3\xa4\xff\xc0\x80\xed\xa0\x80\xf0\x9f\x98\x80\xe2\x82");
	assert_string_equal(text.data, "\xc3\xa4\\xff\\xc0\\x80\\xed\\xa0\\x80\xf0\x9f\x98\x80"
				       "\\xe2\\x82");
	eg_text_free(&text);
}

static void test_json_lost_and_state(void **state)
{
	struct output output;
	json_t *object;

	(void)state;
	assert_int_equal(eg_render_json.lost("wireguard", 3, 10, TIME_NS, output_open(&output)), 0);
	object = parse_line(output_text(&output));
	check_string(object, "type", "lost");
	check_string(object, "time", "2025-01-31T12:01:33.123456789Z");
	check_string(object, "guard", "wireguard");
	check_number(object, "lost", 3);
	check_number(object, "total", 10);
	json_decref(object);
	output_free(&output);

	assert_int_equal(
		eg_render_json.state("wireguard", "gone", NULL, TIME_NS, output_open(&output)), 0);
	object = parse_line(output_text(&output));
	check_string(object, "type", "state");
	check_string(object, "state", "gone");
	check_null(object, "detail");
	json_decref(object);
	output_free(&output);
}

/* --- status ---------------------------------------------------------------------------------- */

struct sample {
	char *tunnels[2], *endpoints[2], *interfaces[2], *notes[2];
	struct eg_layer_view layers[3];
	struct eg_recent_view recent[1];
	struct eg_guard_view guard;
	struct eg_status_view status;
};

/* Borrows everything: not for eg_status_view_free(). */
static void make_sample(struct sample *sample)
{
	static char wg0[] = "wg0", endpoint[] = "203.0.113.9:51820", eth0[] = "eth0", tcx[] = "tcx",
		    later[] = "not in this version", name[] = "wireguard",
		    target[] = "docker:wireguard", tunnel[] = "wg0 (WireGuard, up)",
		    dns[] = "tunnel", holds[] = "root with NET_ADMIN inside", note[] = "a note",
		    comm[] = "curl", container[] = "web", policy[] = "[Guard]\nTunnel = wg0\n";
	struct eg_counter *counters;

	*sample = (struct sample){
		.tunnels = {wg0},
		.endpoints = {endpoint},
		.interfaces = {eth0},
		.notes = {note},
		.recent = {{.family = EG_FAMILY_IPV4,
			    .dst = addr("203.0.113.7"),
			    .dport = 443,
			    .proto = EG_PROTO_TCP,
			    .reason = EG_REASON_PUBLIC,
			    .layer = EG_LAYER_DEVICE,
			    .packets = 5,
			    .bytes = 300,
			    .first_realtime_ns = TIME_NS,
			    .last_realtime_ns = TIME_NS + 1000000000,
			    .pid = 99,
			    .comm = comm,
			    .container = container}},
	};
	sample->layers[0] = (struct eg_layer_view){"device", "attached", sample->interfaces, tcx};
	sample->layers[1] = (struct eg_layer_view){"peer", "attached", sample->interfaces, tcx};
	sample->layers[2] = (struct eg_layer_view){"netns", "not available", NULL, later};
	sample->guard = (struct eg_guard_view){
		.name = name,
		.target = target,
		.mode = "enforce",
		.state = EG_STATE_ENFORCING,
		.since_realtime_ns = TIME_NS,
		.target_started_realtime_ns = TIME_NS - 41000000000,
		.unguarded_ns = 41000000000,
		.tunnels = sample->tunnels,
		.tunnel_state = tunnel,
		.endpoints = sample->endpoints,
		.dns = dns,
		.holds_against = holds,
		.layers = sample->layers,
		.n_layers = 3,
		.notes = sample->notes,
		.have_counters = true,
		.recent = sample->recent,
		.n_recent = 1,
		.policy = policy,
	};
	counters = sample->guard.counters;
	counters[eg_counter_index(EG_LAYER_DEVICE, 0, EG_REASON_LAN)] =
		(struct eg_counter){10, 900};
	counters[eg_counter_index(EG_LAYER_PEER, 0, EG_REASON_LAN)] = (struct eg_counter){11, 990};
	counters[eg_counter_index(EG_LAYER_DEVICE, 0, EG_REASON_PUBLIC)] =
		(struct eg_counter){5, 300};
	counters[eg_counter_index(EG_LAYER_PEER, 0, EG_REASON_PUBLIC)] =
		(struct eg_counter){3, 180};
	counters[eg_counter_index(EG_LAYER_DEVICE, 0, EG_REASON_MULTICAST)] =
		(struct eg_counter){7, 700};
	counters[EG_COUNTER_TRANSITION] = (struct eg_counter){1, 60};
	sample->status =
		(struct eg_status_view){.version = "1.2", .guards = &sample->guard, .n_guards = 1};
}

static void test_totals(void **state)
{
	struct eg_counter counters[EG_COUNTERS_ALL] = {};
	struct eg_totals totals;
	struct sample sample;

	(void)state;
	make_sample(&sample);
	eg_totals(sample.guard.counters, &totals);
	/* An allowed packet passes both layers and is one packet. */
	assert_int_equal(totals.allowed[EG_REASON_LAN].packets, 11);
	assert_int_equal(totals.all_allowed.bytes, 990);
	/* A dropped one was dropped once. */
	assert_int_equal(totals.dropped[EG_REASON_PUBLIC].packets, 8);
	assert_int_equal(totals.dropped[EG_REASON_MULTICAST].packets, 7);
	/* The headline is without noise. */
	assert_int_equal(totals.all_dropped.packets, 8);
	assert_int_equal(totals.all_dropped.bytes, 480);
	/* One of the three at `peer` is a switch of policy's. */
	assert_int_equal(totals.bypass_packets, 2);

	/* Audit: each layer counts the same packet. Transition is never more than there is. */
	counters[eg_counter_index(EG_LAYER_DEVICE, 1, EG_REASON_PUBLIC)].packets = 4;
	counters[eg_counter_index(EG_LAYER_PEER, 1, EG_REASON_PUBLIC)].packets = 4;
	counters[EG_COUNTER_TRANSITION].packets = 4;
	eg_totals(counters, &totals);
	assert_int_equal(totals.all_would_drop.packets, 4);
	assert_int_equal(totals.all_dropped.packets, 0);
	assert_int_equal(totals.bypass_packets, 0);

	/* Probes of `verify` are in none of the figures but their own. */
	counters[EG_COUNTERS_PROBES + eg_counter_index(EG_LAYER_PEER, 0, EG_REASON_PUBLIC)]
		.packets = 9;
	eg_totals(counters, &totals);
	assert_int_equal(totals.all_dropped.packets, 0);
	assert_int_equal(totals.bypass_packets, 0);
	eg_totals_of_probes(counters, &totals);
	assert_int_equal(totals.dropped[EG_REASON_PUBLIC].packets, 9);
	assert_int_equal(totals.all_would_drop.packets, 0);
}

static void test_status_text(void **state)
{
	struct sample sample;
	struct output output;

	(void)state;
	make_sample(&sample);
	assert_int_equal(eg_render_text.status(&sample.status, output_open(&output)), 0);
	assert_string_equal(
		output_text(&output),
		"wireguard: enforcing\n"
		"  target        docker:wireguard\n"
		"  mode          enforce\n"
		"  started       2025-01-31 12:00:52\n"
		"  guarded since 2025-01-31 12:01:33 (41 s unguarded)\n"
		"  tunnel        wg0 (WireGuard, up)\n"
		"  endpoints     203.0.113.9:51820\n"
		"  dns           tunnel\n"
		"  holds against root with NET_ADMIN inside\n"
		"  layers        device  attached on eth0; tcx\n"
		"                peer    attached on eth0; tcx\n"
		"                netns   not available: not in this version\n"
		"  notes         a note\n"
		"  allowed       11 packets, 990 bytes\n"
		"                        11 lan             goes to the LAN\n"
		"  dropped       8 packets, 480 bytes\n"
		"                         7 multicast       goes to a multicast group (not in the "
		"sum)\n"
		"                         8 public          goes to the internet in the clear\n"
		"    by layer    device 12, peer 3\n"
		"                2 bypass attempts: what got past `device` was dropped at `peer`\n"
		"  recently blocked\n"
		"                12:01:34.123456 public 203.0.113.7.443: tcp, 5 packets, curl[99] "
		"in "
		"web, layer device\n");
	output_free(&output);
}

/* The name means another namespace now: what the guard was on is not what is told. */
static void test_status_unguarded(void **state)
{
	struct sample sample;
	struct output output;
	const char *text;

	(void)state;
	make_sample(&sample);
	sample.guard.state = EG_STATE_UNGUARDED;
	sample.guard.since_realtime_ns = 0;
	assert_int_equal(eg_render_text.status(&sample.status, output_open(&output)), 0);
	text = output_text(&output);
	assert_non_null(strstr(text, "  started       2025-01-31 12:00:52\n"
				     "  unguarded for 41 s\n"));
	assert_null(strstr(text, "guarded since"));
	output_free(&output);
}

/* Audit blocks nothing, and must not read as if it did. */
static void test_status_audit(void **state)
{
	struct sample sample;
	struct output output;
	const char *text;

	(void)state;
	make_sample(&sample);
	sample.guard.mode = "audit";
	sample.guard.state = EG_STATE_AUDIT;
	assert_int_equal(eg_render_text.status(&sample.status, output_open(&output)), 0);
	text = output_text(&output);
	assert_non_null(
		strstr(text, "  audited since 2025-01-31 12:01:33 (41 s after it started)\n"));
	assert_non_null(strstr(text, "  would be blocked lately\n"));
	assert_null(strstr(text, "guarded since"));
	assert_null(strstr(text, "holds against"));
	output_free(&output);
}

static void test_status_none(void **state)
{
	struct eg_status_view status = {.version = "1.2", .pin_dir = "/somewhere"};
	struct output output;

	(void)state;
	assert_int_equal(eg_render_text.status(&status, output_open(&output)), 0);
	assert_string_equal(output_text(&output), "no guards in /somewhere\n");
	output_free(&output);
	assert_int_equal(eg_render_json.status(&status, output_open(&output)), 0);
	assert_string_equal(output_text(&output),
			    "{\"version\":\"1.2\",\"pin_dir\":\"/somewhere\",\"guards\":[],"
			    "\"stranded\":null,\"stranded_detail\":null}\n");
	output_free(&output);
	eg_status_view_free(&status);
}

static json_t *status_json(const struct eg_status_view *status)
{
	struct output output;
	json_t *object;

	assert_int_equal(eg_render_json.status(status, output_open(&output)), 0);
	object = parse_line(output_text(&output));
	output_free(&output);
	return object;
}

static void test_status_json(void **state)
{
	json_t *object, *guard, *counters, *layer, *recent;
	struct sample sample;

	(void)state;
	make_sample(&sample);
	object = status_json(&sample.status);
	check_string(object, "version", "1.2");
	assert_int_equal(json_array_size(json_object_get(object, "guards")), 1);
	guard = json_array_get(json_object_get(object, "guards"), 0);
	check_string(guard, "name", "wireguard");
	check_string(guard, "target", "docker:wireguard");
	check_string(guard, "mode", "enforce");
	check_string(guard, "state", "enforcing");
	check_string(guard, "since", "2025-01-31T12:01:33.123456789Z");
	check_string(guard, "target_started", "2025-01-31T12:00:52.123456789Z");
	assert_true(json_real_value(json_object_get(guard, "unguarded_seconds")) == 41);
	check_string(guard, "tunnel", "wg0");
	check_string(guard, "dns", "tunnel");
	check_string(guard, "policy", "[Guard]\nTunnel = wg0\n");
	check_null(guard, "detail");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(guard, "endpoints"), 0)),
		"203.0.113.9:51820");

	layer = json_array_get(json_object_get(guard, "layers"), 0);
	check_string(layer, "name", "device");
	check_string(layer, "state", "attached");
	check_string(layer, "detail", "tcx");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(layer, "interfaces"), 0)), "eth0");

	counters = json_object_get(guard, "counters");
	check_number(json_object_get(json_object_get(counters, "allowed"), "lan"), "packets", 11);
	check_number(json_object_get(json_object_get(counters, "dropped"), "public"), "bytes", 480);
	check_number(json_object_get(json_object_get(counters, "dropped"), "denied"), "packets", 0);
	check_number(counters, "bypass_attempts", 2);

	recent = json_array_get(json_object_get(guard, "recent"), 0);
	check_string(recent, "dst", "203.0.113.7");
	check_number(recent, "dport", 443);
	check_string(recent, "proto", "tcp");
	check_string(recent, "reason", "public");
	check_number(recent, "packets", 5);
	check_string(recent, "last", "2025-01-31T12:01:34.123456789Z");
	check_number(recent, "pid", 99);
	check_string(recent, "comm", "curl");
	check_string(recent, "container", "web");
	json_decref(object);
}

/* A guard of another version: nothing is known but its name. */
static void test_status_unknown(void **state)
{
	static char name[] = "old", why[] = "made by another version";
	struct eg_guard_view guard = {.name = name, .state = EG_STATE_DEGRADED, .reason = why};
	struct eg_status_view status = {.version = "1.2", .guards = &guard, .n_guards = 1};
	json_t *object, *value;
	struct output output;

	(void)state;
	object = status_json(&status);
	value = json_array_get(json_object_get(object, "guards"), 0);
	check_string(value, "detail", "made by another version");
	check_null(value, "mode");
	check_null(value, "counters");
	check_null(value, "since");
	check_null(value, "unguarded_seconds");
	check_null(value, "tunnel");
	json_decref(object);
	assert_int_equal(eg_render_text.status(&status, output_open(&output)), 0);
	assert_string_equal(output_text(&output), "old: degraded: made by another version\n");
	output_free(&output);
	assert_int_equal(eg_render_prometheus(&status, output_open(&output)), 0);
	assert_null(strstr(output_text(&output), "verdict="));
	output_free(&output);
}

static void test_status_hostile(void **state)
{
	static char hostile[] = HOSTILE;
	struct sample sample;
	struct output output;
	const char *text;
	json_t *object;

	(void)state;
	make_sample(&sample);
	sample.guard.name = sample.guard.target = sample.guard.reason = hostile;
	sample.guard.tunnel_state = sample.guard.dns = sample.guard.dns_detail = hostile;
	sample.guard.holds_against = sample.guard.policy = hostile;
	sample.tunnels[0] = sample.endpoints[0] = sample.notes[0] = sample.interfaces[0] = hostile;
	sample.layers[0].detail = sample.recent[0].comm = sample.recent[0].container = hostile;
	sample.recent[0].cgroup = hostile;
	assert_int_equal(eg_render_text.status(&sample.status, output_open(&output)), 0);
	check_safe(output_text(&output));
	output_free(&output);

	object = status_json(&sample.status);
	check_string(json_array_get(json_object_get(object, "guards"), 0), "name",
		     "a\033[31m\n\xe2\x80\xae\"\\\\xff\\xc0\\x80z");
	json_decref(object);

	assert_int_equal(eg_render_prometheus(&sample.status, output_open(&output)), 0);
	text = output_text(&output);
	check_safe(text);
	assert_non_null(strstr(text, "{guard=\"a\\\\x1b[31m"));
	/* The one quotation mark of the name does not end the label. */
	assert_non_null(strstr(text, "\\\"\\\\\\\\\\\\xff"));
	output_free(&output);
}

static void test_stranded(void **state)
{
	static char hostile[] = HOSTILE, web[] = "web", vpn[] = "vpn", fix[] = "docker restart web";
	struct eg_stranded_view stranded[] = {
		{"docker", "restarted", web, vpn, fix},
		{"podman", "removed", hostile, NULL, NULL},
	};
	struct eg_status_view status = {.version = "1.2", .pin_dir = "/x"};
	json_t *object, *list;
	struct output output;
	const char *text;

	(void)state;
	object = status_json(&status);
	assert_true(json_is_null(json_object_get(object, "stranded")));
	json_decref(object);
	status.looked_for_stranded = true;
	object = status_json(&status);
	assert_int_equal(json_array_size(json_object_get(object, "stranded")), 0);
	json_decref(object);
	status.stranded = stranded;
	status.n_stranded = 2;
	object = status_json(&status);
	list = json_object_get(object, "stranded");
	assert_int_equal(json_array_size(list), 2);
	check_string(json_array_get(list, 0), "engine", "docker");
	check_string(json_array_get(list, 0), "container", "web");
	check_string(json_array_get(list, 0), "owner", "vpn");
	check_string(json_array_get(list, 0), "cause", "restarted");
	check_string(json_array_get(list, 0), "fix", "docker restart web");
	check_null(json_array_get(list, 1), "owner");
	check_null(json_array_get(list, 1), "fix");
	json_decref(object);
	assert_int_equal(eg_render_text.status(&status, output_open(&output)), 0);
	text = output_text(&output);
	check_safe(text);
	assert_non_null(strstr(text,
			       "\nstranded: the container web (docker) is in a namespace that is "
			       "dead, and has no network: vpn was restarted\n"));
	assert_non_null(strstr(text, "docker restart web\n"));
	output_free(&output);
	assert_int_equal(eg_render_prometheus(&status, output_open(&output)), 0);
	assert_non_null(strstr(output_text(&output), "\negressguard_stranded_containers 2\n"));
	output_free(&output);
}

static void check_has(const char *text, const char *line)
{
	if (!strstr(text, line))
		fail_msg("there is no line: %s", line);
}

static void test_prometheus(void **state)
{
	struct sample sample;
	struct output output;
	const char *text;

	(void)state;
	make_sample(&sample);
	assert_int_equal(eg_render_prometheus(&sample.status, output_open(&output)), 0);
	text = output_text(&output);
	check_has(text, "egressguard_build_info{version=\"1.2\"} 1\n");
	check_has(text, "# TYPE egressguard_packets_total counter\n");
	check_has(text, "\negressguard_packets_total{guard=\"wireguard\",verdict=\"drop\","
			"reason=\"public\",layer=\"device\"} 5\n");
	check_has(text, "\negressguard_packets_total{guard=\"wireguard\",verdict=\"allow\","
			"reason=\"lan\",layer=\"peer\"} 11\n");
	check_has(text, "\negressguard_bytes_total{guard=\"wireguard\",verdict=\"drop\","
			"reason=\"public\",layer=\"device\"} 300\n");
	check_has(text, "\negressguard_guard_state{guard=\"wireguard\",state=\"enforcing\"} 1\n");
	check_has(text, "\negressguard_guard_state{guard=\"wireguard\",state=\"gone\"} 0\n");
	check_has(text, "\negressguard_bypass_attempts_total{guard=\"wireguard\"} 2\n");
	check_has(text, "\negressguard_guard_since_seconds{guard=\"wireguard\"} 1738324893.123\n");
	/* A layer that this version does not have counts nothing. */
	assert_null(strstr(text, "layer=\"netns\""));
	output_free(&output);
}

/* --- pcap ------------------------------------------------------------------------------------ */

static __u32 word(const char *bytes, size_t at)
{
	__u32 value;

	memcpy(&value, bytes + at, sizeof(value));
	return value;
}

/* Walks the blocks; each begins and ends with its length. Returns the offset of packet `n`. */
static size_t find_packet(const struct output *output, size_t n)
{
	size_t at = 0;

	while (at < output->len) {
		__u32 len = word(output->data, at + 4);

		assert_in_range(len, 12, output->len - at);
		assert_int_equal(len % 4, 0);
		assert_int_equal(word(output->data, at + len - 4), len);
		if (word(output->data, at) == 6 && n-- == 0)
			return at;
		at += len;
	}
	fail_msg("there are too few packets");
	return 0;
}

static void test_pcap(void **state)
{
	struct eg_event event = tcp_event();
	struct eg_event_view view = view_of(&event);
	struct output output;
	FILE *file = output_open(&output);
	size_t at;

	(void)state;
	event.snap_len = 17;
	event.length = 60;
	memset(event.snap, 0xab, sizeof(event.snap));
	assert_int_equal(eg_pcap_start(file), 0);
	assert_int_equal(eg_pcap_event(&view, file), 0);
	event.link_header = 0;
	event.snap_len = EG_SNAP_LEN;
	assert_int_equal(eg_pcap_event(&view, file), 0);
	/* A length that a program could not have written leads nowhere. */
	event.snap_len = 0xffff;
	assert_int_equal(eg_pcap_event(&view, file), 0);
	output_text(&output);

	assert_int_equal(word(output.data, 0), 0x0a0d0d0a);
	at = find_packet(&output, 0);
	assert_true(((__u64)word(output.data, at + 12) << 32 | word(output.data, at + 16)) ==
		    TIME_NS);
	assert_int_equal(word(output.data, at + 20), 17);
	assert_int_equal(word(output.data, at + 24), 60);
	assert_int_equal((unsigned char)output.data[at + 28 + 16], 0xab);
	assert_int_equal((unsigned char)output.data[at + 28 + 17], 0);
	assert_memory_equal(output.data + at + 28 + 20, "\1\0\31\0drop public, layer device", 29);

	at = find_packet(&output, 1);
	assert_int_equal(word(output.data, at + 20), EG_SNAP_LEN + 14);
	assert_int_equal(word(output.data, at + 24), EG_SNAP_LEN + 14);
	assert_memory_equal(output.data + at + 28 + 12, "\x08\x00\xab", 3);
	at = find_packet(&output, 2);
	assert_int_equal(word(output.data, at + 20), EG_SNAP_LEN + 14);
	output_free(&output);
}

/* --- explain, features, failures ------------------------------------------------------------- */

static void test_explanation(void **state)
{
	struct eg_question question = {
		.family = EG_FAMILY_IPV4,
		.proto = EG_PROTO_TCP,
		.dst = addr("203.0.113.7"),
		.dport = 443,
	};
	struct eg_explanation explanation = {.reason = EG_REASON_PUBLIC,
					     .verdict = EG_VERDICT_DROP,
					     .row = 17,
					     .why = "because",
					     .hint = ""};
	struct output output;
	json_t *object;

	(void)state;
	assert_int_equal(eg_render_text.explanation(&question, &explanation, output_open(&output)),
			 0);
	assert_string_equal(
		output_text(&output),
		"DROP public: tcp > 203.0.113.7.443 outside the tunnel goes to the internet in "
		"the clear\n"
		"  rule  row 17 of the decision table\n"
		"  why   because\n");
	output_free(&output);
	assert_int_equal(eg_render_json.explanation(&question, &explanation, output_open(&output)),
			 0);
	object = parse_line(output_text(&output));
	check_string(object, "verdict", "drop");
	check_string(object, "reason", "public");
	check_number(object, "row", 17);
	check_string(object, "why", "because");
	check_null(object, "hint");
	json_decref(object);
	output_free(&output);
}

static void test_features(void **state)
{
	static const struct eg_feature_view features[] = {
		{.name = "tcx", .what = "tcx links", .present = true},
		{.name = "btf", .what = "kernel BTF", .detail = "so what"},
		{.name = "jit", .what = "compiler", .unknown = true, .detail = "run as root"},
	};
	struct output output;
	json_t *object, *all;

	(void)state;
	assert_int_equal(eg_render_text.features(features, 3, output_open(&output)), 0);
	assert_string_equal(output_text(&output), "tcx links   yes\n"
						  "kernel BTF  no         so what\n"
						  "compiler    not known  run as root\n");
	output_free(&output);
	assert_int_equal(eg_render_json.features(features, 3, output_open(&output)), 0);
	object = parse_line(output_text(&output));
	all = json_object_get(object, "features");
	assert_true(json_is_true(json_object_get(json_object_get(all, "tcx"), "present")));
	check_string(json_object_get(all, "btf"), "detail", "so what");
	check_null(json_object_get(all, "jit"), "present");
	json_decref(object);
	output_free(&output);
}

/* A full disk is told, by each of them. */
/* --- verify -------------------------------------------------------------------------------------
 */

static char *doubts_of_sample[] = {(char *)"the guard is degraded: eth1 \033[31m", NULL};

static void make_verify(struct eg_verify_view *view, struct eg_verify_underlay_view *underlay,
			struct eg_verify_check_view *check)
{
	*underlay = (struct eg_verify_underlay_view){
		.name = (char *)"eth0",
		.far_end = (char *)"veth\033",
		.rows = {{.row = EG_PROBE_ROW_UDP,
			  .verdict = {EG_ROW_STOPPED, EG_LAYER_DEVICE, EG_REASON_PUBLIC, ""}},
			 {.row = EG_PROBE_ROW_BYPASS,
			  .verdict = {EG_ROW_STOPPED, EG_LAYER_PEER, EG_REASON_PUBLIC, ""},
			  .seen = 1},
			 {.row = EG_PROBE_ROW_XDP,
			  .verdict = {EG_ROW_LEAKED, -1, -1, "nothing stopped it"},
			  .seen = 1}},
		.n_rows = 3,
	};
	*check = (struct eg_verify_check_view){.what = "tunnel",
					       .name = (char *)"wg0",
					       .state = "fails",
					       .detail = (char *)"it is down"};
	*view = (struct eg_verify_view){
		.guard = (char *)"wireguard",
		.target = (char *)"netns:wireguard",
		.mode = "enforce",
		.result = EG_VERIFY_LEAK,
		.doubts = doubts_of_sample,
		.underlays = underlay,
		.n_underlays = 1,
		.checks = check,
		.n_checks = 1,
	};
}

static void test_verification(void **state)
{
	struct eg_verify_underlay_view underlay;
	struct eg_verify_check_view check;
	struct eg_verify_view view;
	json_t *object, *row;
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	(void)state;
	make_verify(&view, &underlay, &check);
	assert_int_equal(eg_render_text.verification(&view, to), 0);
	fclose(to);
	assert_string_equal(
		text,
		"eth0, far end veth\\x1b\n"
		"  UDP                                     stopped      device: public\n"
		"  packet socket past the qdisc            stopped      peer: public; seen at the "
		"far end, and dropped there\n"
		"  AF_XDP                                  leaked       1 packet seen at the far "
		"end; nothing stopped it\n"
		"tunnel  wg0 fails: it is down\n"
		"leak: 1 of 3 ways out that were tried lead out\n"
		"  but the guard is degraded: eth1 \\x1b[31m\n");
	free(text);

	text = NULL;
	to = open_memstream(&text, &len);
	assert_int_equal(eg_render_json.verification(&view, to), 0);
	fclose(to);
	object = json_loads(text, 0, NULL);
	free(text);
	assert_non_null(object);
	check_string(object, "result", "leak");
	check_string(object, "guard", "wireguard");
	row = json_array_get(
		json_object_get(json_array_get(json_object_get(object, "underlays"), 0), "rows"),
		1);
	check_string(row, "name", "bypass");
	check_string(row, "result", "stopped");
	check_string(row, "layer", "peer");
	check_string(row, "reason", "public");
	check_number(row, "seen", 1);
	check_null(row, "detail");
	json_decref(object);
}

static void test_write_failure(void **state)
{
	struct eg_event event = tcp_event();
	struct eg_event_view view = view_of(&event);
	FILE *full = fopen("/dev/full", "w");
	struct sample sample;

	(void)state;
	assert_non_null(full);
	setvbuf(full, NULL, _IONBF, 0);
	make_sample(&sample);
	assert_int_equal(eg_render_text.event(&view, full), -ENOSPC);
	assert_int_equal(eg_render_json.event(&view, full), -ENOSPC);
	assert_int_equal(eg_render_text.status(&sample.status, full), -ENOSPC);
	assert_int_equal(eg_render_json.status(&sample.status, full), -ENOSPC);
	assert_int_equal(eg_render_prometheus(&sample.status, full), -ENOSPC);
	assert_int_equal(eg_pcap_start(full), -ENOSPC);
	assert_int_equal(eg_pcap_event(&view, full), -ENOSPC);
	fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_sample),
		cmocka_unit_test(test_text_unknown_sender),
		cmocka_unit_test(test_text_icmp),
		cmocka_unit_test(test_text_ipv6),
		cmocka_unit_test(test_text_peer),
		cmocka_unit_test(test_text_frame),
		cmocka_unit_test(test_text_hostile),
		cmocka_unit_test(test_text_lost_and_state),
		cmocka_unit_test(test_json_keys),
		cmocka_unit_test(test_json_nulls),
		cmocka_unit_test(test_text_connect),
		cmocka_unit_test(test_json_connect),
		cmocka_unit_test(test_pcap_connect),
		cmocka_unit_test(test_json_icmp),
		cmocka_unit_test(test_json_hostile),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_json_lost_and_state),
		cmocka_unit_test(test_totals),
		cmocka_unit_test(test_status_text),
		cmocka_unit_test(test_status_none),
		cmocka_unit_test(test_status_json),
		cmocka_unit_test(test_status_unknown),
		cmocka_unit_test(test_status_hostile),
		cmocka_unit_test(test_stranded),
		cmocka_unit_test(test_prometheus),
		cmocka_unit_test(test_pcap),
		cmocka_unit_test(test_explanation),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_status_unguarded),
		cmocka_unit_test(test_status_audit),
		cmocka_unit_test(test_write_failure),
		cmocka_unit_test(test_verification),
	};

	setenv("TZ", "UTC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
