// SPDX-License-Identifier: GPL-2.0
/* What `verify` sends, and what it makes of what it sees. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "packets.h"
#include "policy/explain.h"
#include "util/cleanup.h"
#include "verify/judge.h"

static const __u8 run[EG_TOKEN_RUN_LEN] = {0x93, 0x11, 0xfe, 0x07, 0x5a, 0xc3, 0x80, 0x21};

/* --- packets --------------------------------------------------------------------------------- */

static struct eg_probe probe_of(enum eg_probe_row row, __u8 family)
{
	struct eg_probe probe = {
		.content = eg_probe_rows[row].content,
		.family = family,
		.dst = eg_test_address(family),
		.via = eg_test_lan(family),
		.sport = 40001,
		.dport = 40002,
		.src_mac = {2, 0, 0, 0, 0, 2},
		.dst_mac = {2, 0, 0, 0, 0, 3},
	};

	probe.src = eg_test_lan(family);
	probe.src.bytes[family == EG_FAMILY_IPV4 ? 3 : 15] ^= 1;
	if (probe.content == EG_CONTENT_SOURCE) {
		probe.src = eg_test_source(family);
		probe.dst = eg_test_lan(family);
	} else if (probe.content == EG_CONTENT_ENDPOINT) {
		probe.dst = (union eg_addr){.bytes = {203, 0, 113, 9}};
		probe.dport = EG_PORT_WG;
	} else if (probe.content == EG_CONTENT_DNS) {
		probe.dport = EG_PORT_DNS;
	} else if (probe.content == EG_CONTENT_WIREGUARD) {
		probe.dport = EG_PORT_WG;
	}
	eg_token_make(probe.token, run, 7U << 16 | row);
	return probe;
}

static enum eg_reason judge(const struct eg_image *image, const __u8 *bytes, size_t len,
			    struct eg_packet *packet)
{
	const struct eg_host_frame frame = {
		.bytes = bytes, .captured = (__u32)len, .length = (__u32)len, .link_header = 1};

	return eg_image_judge(image, &frame, packet);
}

static enum eg_reason expected(enum eg_probe_row row)
{
	switch (eg_probe_rows[row].content) {
	case EG_CONTENT_SOURCE:
		return EG_REASON_SOURCE;
	case EG_CONTENT_SOURCE_ROUTE:
		return EG_REASON_SOURCE_ROUTE;
	case EG_CONTENT_NOT_IP:
		return EG_REASON_ETHERTYPE;
	case EG_CONTENT_ENDPOINT:
		return EG_REASON_NOT_WIREGUARD;
	case EG_CONTENT_DNS:
		return EG_REASON_DNS_OFF_TUNNEL;
	case EG_CONTENT_UDP:
	case EG_CONTENT_TCP:
	case EG_CONTENT_ECHO:
	case EG_CONTENT_BIG:
	case EG_CONTENT_WIREGUARD:
	case EG_CONTENT_FRAGMENT:
	case EG_CONTENT_EXTENSIONS:
	case EG_CONTENT_VLAN:
	case EG_CONTENT_QINQ:
		break;
	}
	return EG_REASON_PUBLIC;
}

/* Each is what it says it is, in the eyes of the guard's own parser, and holds its token. */
static void test_frames(void **state)
{
	EG_AUTO_POLICY struct eg_policy *policy =
		packets_policy("[Lan]\nDns = tunnel\n[WireGuard]\nEndpoint = 203.0.113.9:51820\n");
	EG_AUTO_IMAGE struct eg_image *image = NULL;

	(void)state;
	assert_int_equal(eg_image_compile(policy, &image, NULL), 0);
	for (enum eg_probe_row row = 0; row < EG_PROBE_ROW_COUNT; row++) {
		const struct eg_probe probe =
			probe_of(row, eg_probe_rows[row].family ?: EG_FAMILY_IPV4);
		struct eg_packet packet = {};
		__u8 frame[EG_PROBE_MAX];
		size_t len = eg_probe_frame(&probe, frame);
		__u32 number = 0;

		assert_in_range(len, 60 - 6, EG_PROBE_MAX);
		assert_string_equal(eg_reason_names[judge(image, frame, len, &packet)],
				    eg_reason_names[expected(row)]);
		if (probe.content == EG_CONTENT_TCP) {
			assert_true(eg_probe_has_ports(&probe, frame, len));
			assert_int_equal(packet.tcp_flags, 2);
			continue;
		}
		assert_true(eg_token_find(run, frame, len, &number));
		assert_int_equal(number, 7U << 16 | row);
	}
}

static __u32 add_up(__u32 sum, const __u8 *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? bytes[i] : (__u32)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* A receiver would take them: a sum over all, the checksum included, is all ones. */
static void test_checksums(void **state)
{
	static const enum eg_probe_row rows[] = {
		EG_PROBE_ROW_UDP,  EG_PROBE_ROW_UDP6,   EG_PROBE_ROW_TCP,    EG_PROBE_ROW_TCP6,
		EG_PROBE_ROW_ICMP, EG_PROBE_ROW_ICMPV6, EG_PROBE_ROW_SOURCE, EG_PROBE_ROW_DNS,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct eg_probe probe = probe_of(rows[i], eg_probe_rows[rows[i]].family);
		const bool v4 = probe.family == EG_FAMILY_IPV4;
		__u8 packet[EG_PROBE_MAX];
		size_t len = eg_probe_packet(&probe, packet), header = v4 ? 20 : 40;
		__u32 sum = v4 ? packet[9] : packet[6];

		if (v4)
			assert_int_equal(add_up(0, packet, header), 0xffff);
		if (rows[i] == EG_PROBE_ROW_ICMP) {
			assert_int_equal(add_up(0, packet + header, len - header), 0xffff);
			continue;
		}
		sum += (__u32)(len - header);
		sum = add_up(sum, packet + (v4 ? 12 : 8), v4 ? 8 : 32);
		assert_int_equal(add_up(sum, packet + header, len - header), 0xffff);
	}
}

/* Each fragment of the large one has a token of its own. */
static void test_tokens(void **state)
{
	const struct eg_probe probe = probe_of(EG_PROBE_ROW_BIG, EG_FAMILY_IPV4);
	__u8 payload[EG_PROBE_MAX], arp[EG_ARP_FRAME_LEN];
	const __u8 other[EG_TOKEN_RUN_LEN] = {1};
	size_t len = eg_probe_payload(&probe, payload);
	__u32 number;

	(void)state;
	assert_int_equal(len, 3000);
	for (size_t at = 0; at + 2 * EG_TOKEN_LEN <= len; at++)
		assert_true(eg_token_find(run, payload + at, 2 * EG_TOKEN_LEN, &number));
	assert_false(eg_token_find(other, payload, len, &number));
	assert_false(eg_token_find(run, payload, EG_TOKEN_LEN - 1, &number));
	assert_false(eg_token_find(run, payload, 0, &number));
	eg_probe_arp(&probe, (const __u8[]){1, 2, 3, 4}, arp);
	assert_true(eg_token_find(run, arp, sizeof(arp), &number));
	assert_int_equal(number, 7U << 16 | EG_PROBE_ROW_BIG);
}

/* What every policy lets pass, even one that allows nothing. */
static void test_arp(void **state)
{
	EG_AUTO_POLICY struct eg_policy *policy = packets_policy("[Lan]\nLan = no\n");
	EG_AUTO_IMAGE struct eg_image *image = NULL;
	const struct eg_probe probe = probe_of(EG_PROBE_ROW_UDP, EG_FAMILY_IPV4);
	struct eg_packet packet = {};
	__u8 arp[EG_ARP_FRAME_LEN];

	(void)state;
	assert_int_equal(eg_image_compile(policy, &image, NULL), 0);
	eg_probe_arp(&probe, (const __u8[]){1, 2, 3, 4}, arp);
	assert_int_equal(judge(image, arp, sizeof(arp), &packet), EG_REASON_CONTROL);
}

/* --- verdicts -------------------------------------------------------------------------------- */

struct example {
	const char *name;
	struct eg_evidence evidence;
	enum eg_row_result result;
	int layer;
};

#define GUARD .guarded = true, .watched = true, .control = true, .routed = true
#define NONE  .watched = true, .control = true, .routed = true

static const struct eg_evidence twin_dropped = {GUARD, .dropped = {[EG_LAYER_DEVICE] = 1},
						.by = "AF_XDP"};
static const struct eg_evidence twin_leaked = {GUARD, .seen = 1, .by = "AF_XDP"};
static const struct eg_evidence twin_silent = {GUARD, .by = "AF_XDP"};
static const struct eg_evidence twin_absent = {GUARD, .absent = true, .call = "no AF_XDP"};

static const struct example examples[] = {
	{"dropped", {GUARD, .dropped = {[EG_LAYER_DEVICE] = 1}}, EG_ROW_STOPPED, EG_LAYER_DEVICE},
	{"dropped at peer, where the capture sees it first",
	 {GUARD, .dropped = {[EG_LAYER_PEER] = 1}, .seen = 1},
	 EG_ROW_STOPPED,
	 EG_LAYER_PEER},
	{"one of two dropped at peer",
	 {GUARD, .dropped = {[EG_LAYER_PEER] = 1}, .seen = 2},
	 EG_ROW_LEAKED,
	 -1},
	{"dropped at device, and seen all the same",
	 {GUARD, .dropped = {[EG_LAYER_DEVICE] = 1}, .seen = 1},
	 EG_ROW_LEAKED,
	 -1},
	{"seen", {GUARD, .seen = 1}, EG_ROW_LEAKED, -1},
	{"seen, but events were lost", {GUARD, .seen = 1, .events_lost = 1}, EG_ROW_UNKNOWN, -1},
	{"audit",
	 {GUARD, .seen = 1, .would_drop = {[EG_LAYER_DEVICE] = 1, [EG_LAYER_PEER] = 1}},
	 EG_ROW_LEAKED,
	 EG_LAYER_DEVICE},
	{"audit, not seen",
	 {GUARD, .would_drop = {[EG_LAYER_DEVICE] = 1}},
	 EG_ROW_UNKNOWN,
	 EG_LAYER_DEVICE},
	{"neither dropped nor seen", {GUARD}, EG_ROW_UNKNOWN, -1},
	{"dropped, but the capture is blind",
	 {.guarded = true, .watched = true, .dropped = {[EG_LAYER_DEVICE] = 1}},
	 EG_ROW_UNKNOWN,
	 EG_LAYER_DEVICE},
	{"dropped, but frames were lost",
	 {GUARD, .dropped = {[EG_LAYER_DEVICE] = 1}, .frames_lost = 1},
	 EG_ROW_UNKNOWN,
	 EG_LAYER_DEVICE},
	{"dropped, no far end",
	 {.guarded = true, .dropped = {[EG_LAYER_DEVICE] = 1}},
	 EG_ROW_STOPPED,
	 EG_LAYER_DEVICE},
	{"no far end, no word", {.guarded = true}, EG_ROW_UNKNOWN, -1},
	{"refused inside",
	 {GUARD, .ordinary = true, .call = "connect", .refused_errno = EPERM},
	 EG_ROW_UNKNOWN,
	 -1},
	{"refused inside, the twin dropped",
	 {GUARD, .ordinary = true, .call = "connect", .refused_errno = EPERM,
	  .twin = &twin_dropped},
	 EG_ROW_STOPPED,
	 EG_LAYER_DEVICE},
	{"held back inside, the twin leaked",
	 {GUARD, .ordinary = true, .twin = &twin_leaked},
	 EG_ROW_LEAKED,
	 -1},
	{"held back inside, the twin too",
	 {GUARD, .ordinary = true, .twin = &twin_silent},
	 EG_ROW_UNKNOWN,
	 -1},
	{"a packet socket refused",
	 {GUARD, .call = "sendto", .refused_errno = EPERM},
	 EG_ROW_UNKNOWN,
	 -1},
	{"refused by the socket layer",
	 {GUARD, .call = "PACKET_QDISC_BYPASS", .refused_errno = EPERM,
	  .dropped = {[EG_LAYER_SOCKET] = 1}},
	 EG_ROW_STOPPED,
	 EG_LAYER_SOCKET},
	{"refused by the socket layer, beneath it dropped",
	 {GUARD, .call = "PACKET_QDISC_BYPASS", .refused_errno = EPERM,
	  .dropped = {[EG_LAYER_SOCKET] = 1}, .twin = &twin_dropped},
	 EG_ROW_STOPPED,
	 EG_LAYER_SOCKET},
	{"refused by the socket layer, beneath it leaked",
	 {GUARD, .call = "PACKET_QDISC_BYPASS", .refused_errno = EPERM,
	  .dropped = {[EG_LAYER_SOCKET] = 1}, .twin = &twin_leaked},
	 EG_ROW_LEAKED,
	 EG_LAYER_SOCKET},
	{"refused by the socket layer, beneath it silent",
	 {GUARD, .call = "PACKET_QDISC_BYPASS", .refused_errno = EPERM,
	  .dropped = {[EG_LAYER_SOCKET] = 1}, .twin = &twin_silent},
	 EG_ROW_UNKNOWN,
	 EG_LAYER_SOCKET},
	{"refused by the socket layer, nothing to try beneath",
	 {GUARD, .call = "PACKET_QDISC_BYPASS", .refused_errno = EPERM,
	  .dropped = {[EG_LAYER_SOCKET] = 1}, .twin = &twin_absent},
	 EG_ROW_STOPPED,
	 EG_LAYER_SOCKET},
	{"refused by somebody else",
	 {GUARD, .call = "PACKET_QDISC_BYPASS", .refused_errno = EPERM},
	 EG_ROW_UNKNOWN,
	 -1},
	{"refused to connect, the twin dropped",
	 {GUARD, .ordinary = true, .call = "connect", .refused_errno = EPERM,
	  .dropped = {[EG_LAYER_SOCKET] = 1}, .twin = &twin_dropped},
	 EG_ROW_STOPPED,
	 EG_LAYER_SOCKET},
	{"refused to connect, the twin leaked",
	 {GUARD, .ordinary = true, .call = "connect", .refused_errno = EPERM,
	  .dropped = {[EG_LAYER_SOCKET] = 1}, .twin = &twin_leaked},
	 EG_ROW_LEAKED,
	 EG_LAYER_SOCKET},
	{"not here", {GUARD, .absent = true, .call = "no IPv6 here"}, EG_ROW_NOT_HERE, -1},
	{"not here, and seen", {GUARD, .absent = true, .seen = 1}, EG_ROW_LEAKED, -1},
	{"no guard: seen", {NONE, .seen = 1}, EG_ROW_LEAKED, -1},
	{"no guard: not seen", {NONE}, EG_ROW_STOPPED, -1},
	{"no guard: not seen, frames lost", {NONE, .frames_lost = 1}, EG_ROW_UNKNOWN, -1},
	{"no guard: blind", {.watched = true}, EG_ROW_UNKNOWN, -1},
	{"no guard: no far end", {.routed = true}, EG_ROW_UNKNOWN, -1},
	{"no guard: rejected",
	 {NONE, .ordinary = true, .call = "sendto", .refused_errno = EPERM},
	 EG_ROW_STOPPED,
	 -1},
	{"no guard: could not be tried",
	 {NONE, .call = "bind", .refused_errno = EBUSY},
	 EG_ROW_UNKNOWN,
	 -1},
	{"no guard: nothing gets as far",
	 {.watched = true, .control = true, .ordinary = true},
	 EG_ROW_UNKNOWN,
	 -1},
};

static void test_verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		const struct example *example = &examples[i];
		struct eg_row_verdict verdict;

		eg_row_judge(&example->evidence, &verdict);
		if (verdict.result != example->result || verdict.layer != example->layer)
			fail_msg("%s: %s, layer %d (%s)", example->name,
				 eg_row_result_names[verdict.result], verdict.layer,
				 verdict.detail);
	}
}

/* Whatever else is known, a frame that was seen and not dropped at the far end is never stopped,
 * and silence alone never is where there is a guard. */
static void test_never_safe(void **state)
{
	(void)state;
	for (unsigned int bits = 0; bits < 1 << 12; bits++) {
		struct eg_evidence evidence = {
			.guarded = bits & 1,
			.watched = bits & 2,
			.control = bits & 4,
			.routed = bits & 8,
			.ordinary = bits & 16,
			.call = bits & 32 ? "sendto" : NULL,
			.refused_errno = bits & 32 ? EPERM : 0,
			.events_lost = bits & 64 ? 3 : 0,
			.frames_lost = bits & 128 ? 3 : 0,
			.dropped = {[EG_LAYER_DEVICE] = (bits & 257) == 257 ? 1 : 0,
				    [EG_LAYER_PEER] = (bits & 513) == 513 ? 1 : 0},
			.would_drop = {[EG_LAYER_DEVICE] = (bits & 1025) == 1025 ? 1 : 0},
			.twin = bits & 2048 ? &twin_silent : NULL,
		};
		bool silent = !(bits & (256 | 512));
		struct eg_row_verdict verdict;

		eg_row_judge(&evidence, &verdict);
		if (evidence.guarded && silent)
			assert_int_not_equal(verdict.result, EG_ROW_STOPPED);
		if (!evidence.control && (evidence.watched || !evidence.guarded))
			assert_int_not_equal(verdict.result, EG_ROW_STOPPED);
		if (evidence.frames_lost && evidence.watched)
			assert_int_not_equal(verdict.result, EG_ROW_STOPPED);
		evidence.seen = evidence.dropped[EG_LAYER_PEER] + 1;
		eg_row_judge(&evidence, &verdict);
		assert_true(verdict.result == EG_ROW_LEAKED || verdict.result == EG_ROW_UNKNOWN);
	}
}

static void test_conclusion(void **state)
{
	(void)state;
	assert_int_equal(eg_verify_conclude((const size_t[4]){[EG_ROW_STOPPED] = 5}, 0),
			 EG_VERIFY_SEALED);
	assert_int_equal(eg_verify_conclude(
				 (const size_t[4]){[EG_ROW_STOPPED] = 5, [EG_ROW_NOT_HERE] = 2}, 0),
			 EG_VERIFY_SEALED);
	assert_int_equal(eg_verify_conclude((const size_t[4]){[EG_ROW_STOPPED] = 5}, 1),
			 EG_VERIFY_UNKNOWN);
	assert_int_equal(eg_verify_conclude(
				 (const size_t[4]){[EG_ROW_STOPPED] = 5, [EG_ROW_UNKNOWN] = 1}, 0),
			 EG_VERIFY_UNKNOWN);
	assert_int_equal(
		eg_verify_conclude((const size_t[4]){[EG_ROW_LEAKED] = 1, [EG_ROW_UNKNOWN] = 1}, 3),
		EG_VERIFY_LEAK);
	assert_int_equal(eg_verify_conclude((const size_t[4]){[EG_ROW_NOT_HERE] = 9}, 0),
			 EG_VERIFY_UNKNOWN);
	assert_int_equal(eg_verify_conclude((const size_t[4]){}, 0), EG_VERIFY_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),     cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_tokens),     cmocka_unit_test(test_arp),
		cmocka_unit_test(test_verdicts),   cmocka_unit_test(test_never_safe),
		cmocka_unit_test(test_conclusion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
