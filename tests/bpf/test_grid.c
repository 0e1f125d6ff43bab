// SPDX-License-Identifier: GPL-2.0
/*
 * Frames at each edge there is, one by one, and not at random: the first and the last address of
 * each prefix that a policy is compiled to and the ones beside them, each value of each byte of the
 * headers, each length from nothing to one too many. The program in the kernel takes the short way
 * of eg_plain.h with most of them; it must say of each what eg_judge() says on the host, and what
 * the oracle does. time-limit: 300
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/image.h"
#include "policy/judge.h"
#include "unit/oracle.h"
#include "util/cleanup.h"

#define RANDOM_POLICIES  40
#define CROWDED_PREFIXES 120
#define CROWDED_POLICIES 4
#define BATCH            4096
#define FRAME_MAX        320

/* Prefixes inside prefixes, on and beside the bytes that front4 and front6 go by. */
static const char nested[] =
	"[Lan]\nLan = yes\nDns = tunnel\nAllowDns = 192.168.1.5\nAllowDns = fd00:1:2:3::5\n"
	"AllowDhcp = yes\nDeny = 10.1.0.0/16\nDeny = 172.16.128.0/17\nDeny = fd00:1::/32\n"
	"Deny = fd00:2:2::/47\nDeny = fd00:4:5:6:7::/80\nAllow = 10.1.2.0/24\nAllow = "
	"100.64.0.0/10\n"
	"Allow = 10.1.2.3:443/tcp\nAllow = [fd00:1:2::/48]:443\nAllow = [fd00:8::1]:*/sctp\n"
	"Allow = 2000::/30\nAllow = 2000:1:2:3:4:5:6:7\n"
	"[WireGuard]\nEndpoint = 203.0.113.9:51820\nEndpoint = [2001:db8::9]:51820\n"
	"Endpoint = 10.9.9.9:51820\nEndpoint = [fd00:9::9]:51821\n"
	"[Derived]\nSource = 198.51.100.7/32\nSource = 2001:db8:1::7/128\nSource = 10.1.9.9/32\n"
	"OnLink = 198.51.100.0/24\nOnLink = 2001:db8:1::/64\nOnLink = fd00:18::/64\n"
	"TunnelOnly = 10.2.0.0/24\nTunnelOnly = fd00:2::/33\n";

struct edges {
	union eg_addr *addrs;
	size_t n;
};

static struct fixture fixture;
static struct kept {
	struct eg_host_frame host;
	enum eg_reason reason;
	__u8 bytes[FRAME_MAX];
} batch[BATCH];
static size_t n_batch;
static unsigned long n_frames, n_plain;

/* --- one frame after the other ------------------------------------------------------------------
 */

static void say_frame(const struct eg_host_frame *host)
{
	fprintf(stderr, "gso_size %u, %u bytes:", host->gso_size, host->length);
	for (__u32 i = 0; i < host->length; i++)
		fprintf(stderr, "%s%02x", i % 16 ? " " : "\n  ", host->bytes[i]);
	fputc('\n', stderr);
}

static void fail_frame(const struct eg_host_frame *host, const char *who, int reason,
		       enum eg_reason expected)
{
	EG_AUTO_FREE char *text = eg_policy_format(fixture.policy, true);

	say_frame(host);
	fprintf(stderr, "policy:\n%s\n", text ? text : "?");
	fail_msg("%s says %s, the host %s", who,
		 reason >= 0 && reason < EG_REASON_COUNT ? eg_reason_names[reason] : "?",
		 eg_reason_names[expected]);
}

static __u32 counter_of(enum eg_reason reason)
{
	int would = eg_reason_verdict(reason) == EG_VERDICT_DROP &&
		    (fixture.image->config.flags & EG_CONFIG_AUDIT);

	return eg_counter_index(EG_LAYER_DEVICE, (__u32)would, reason);
}

/* Which of a batch the kernel judges otherwise. */
static void find_culprit(void)
{
	for (size_t i = 0; i < n_batch; i++) {
		struct fixture_counters before, after;

		fixture_count(&fixture, &before);
		fixture_run(&fixture, EG_PROG_DEVICE, &batch[i].host, 0);
		fixture_count(&fixture, &after);
		for (__u32 at = 0; at < EG_COUNTERS_ALL; at++)
			if (fixture_counted(&before, &after, at).packets &&
			    at != counter_of(batch[i].reason))
				fail_frame(&batch[i].host, "the kernel",
					   (int)(at % EG_REASON_COUNT), batch[i].reason);
	}
	fail_msg("the counters are wrong, yet each frame alone is right");
}

static void run_batch(void)
{
	static struct fixture_counters before, after;
	unsigned long expected[EG_COUNTERS_ALL] = {};

	fixture_count(&fixture, &before);
	for (size_t i = 0; i < n_batch; i++) {
		struct kept *kept = &batch[i];
		bool drop = eg_reason_verdict(kept->reason) == EG_VERDICT_DROP &&
			    !(fixture.image->config.flags & EG_CONFIG_AUDIT);

		if (fixture_run(&fixture, EG_PROG_DEVICE, &kept->host, 0) !=
		    (drop ? FIXTURE_DROP : FIXTURE_PASS))
			fail_frame(&kept->host, "the kernel's verdict", -1, kept->reason);
		expected[counter_of(kept->reason)] +=
			kept->host.gso_size ? (kept->host.length + kept->host.gso_size - 1) /
						      kept->host.gso_size
					    : 1;
	}
	fixture_count(&fixture, &after);
	for (__u32 at = 0; at < EG_COUNTERS_ALL; at++)
		if (fixture_counted(&before, &after, at).packets != expected[at])
			find_culprit();
	n_batch = 0;
}

static void try_frame(const struct eg_host_frame *host)
{
	struct kept *kept = &batch[n_batch];
	struct eg_packet packet = {}, plain = {};
	enum eg_reason oracle;
	int by_plain;

	if (!fixture_can_run(host))
		return;
	assert_true(host->length <= FRAME_MAX);
	memcpy(kept->bytes, host->bytes, host->length);
	kept->host = *host;
	kept->host.bytes = kept->bytes;
	kept->reason = eg_image_judge(fixture.image, &kept->host, &packet);
	oracle = oracle_judge(fixture.policy, &kept->host);
	if (oracle != kept->reason)
		fail_frame(host, "the oracle", (int)oracle, kept->reason);
	by_plain = eg_image_judge_plain(fixture.image, &kept->host, &plain);
	if (by_plain >= 0 && by_plain != (int)kept->reason)
		fail_frame(host, "the short way", by_plain, kept->reason);
	n_plain += by_plain >= 0;
	n_frames++;
	if (++n_batch == BATCH)
		run_batch();
}

static void try_sketch(const struct packets_sketch *sketch)
{
	static struct packets_frame frame;

	packets_build(sketch, &frame);
	try_frame(&frame.host);
}

/* --- addresses ----------------------------------------------------------------------------------
 */

static void add_edge(struct edges *edges, const union eg_addr *addr)
{
	edges->addrs = reallocarray(edges->addrs, edges->n + 1, sizeof(*edges->addrs));
	assert_non_null(edges->addrs);
	edges->addrs[edges->n++] = *addr;
}

/* The next one up or down; of the highest the lowest, and the other way round. */
static union eg_addr beside(union eg_addr addr, __u8 family, int step)
{
	for (unsigned int i = eg_family_bits(family) / 8; i-- > 0;) {
		addr.bytes[i] = (__u8)(addr.bytes[i] + step);
		if (addr.bytes[i] != (step > 0 ? 0 : 0xff))
			break;
	}
	return addr;
}

static union eg_addr last_of(const struct eg_prefix *prefix)
{
	union eg_addr last = prefix->addr;

	for (unsigned int bit = prefix->len; bit < eg_family_bits(prefix->family); bit++)
		last.bytes[bit / 8] |= (__u8)(0x80 >> bit % 8);
	return last;
}

static void add_edges(struct edges *edges, const struct eg_prefix *prefix)
{
	union eg_addr last = last_of(prefix), out;

	add_edge(edges, &prefix->addr);
	add_edge(edges, &last);
	out = beside(prefix->addr, prefix->family, -1);
	add_edge(edges, &out);
	out = beside(last, prefix->family, 1);
	add_edge(edges, &out);
}

static struct edges edges_of(__u8 family)
{
	struct edges edges = {};

	for (size_t i = 0; i < fixture.image->n_addrs; i++)
		if (fixture.image->addrs[i].prefix.family == family)
			add_edges(&edges, &fixture.image->addrs[i].prefix);
	return edges;
}

static const struct shape {
	__u8 proto;
	__u16 sport, dport;
	__u8 payload[4];
	__u32 payload_len;
} shapes[] = {
	{.proto = EG_PROTO_TCP, .sport = 40412, .dport = 443},
	{.proto = EG_PROTO_TCP, .sport = 40412, .dport = 853},
	{.proto = EG_PROTO_UDP, .sport = 40412, .dport = 53},
	{.proto = EG_PROTO_UDP, .sport = 68, .dport = 67},
	{.proto = EG_PROTO_UDP, .sport = 546, .dport = 547},
	{.proto = EG_PROTO_UDP, .sport = 51820, .dport = 51820, {4}, 32},
	{.proto = EG_PROTO_UDP, .sport = 51820, .dport = 51820, {4}, 31},
	{.proto = EG_PROTO_UDP, .sport = 40412, .dport = 51821, {1}, 148},
};

static struct packets_sketch sketch_of(__u8 family, const struct shape *shape)
{
	struct packets_sketch sketch = {
		.family = family,
		.proto = shape->proto,
		.sport = shape->sport,
		.dport = shape->dport,
		.payload_len = shape->payload_len,
	};

	memcpy(sketch.payload, shape->payload, sizeof(sketch.payload));
	return sketch;
}

/* Each as a destination from a good source, and as a source to what is allowed. */
static void try_addresses(__u8 family)
{
	const char *good = family == EG_FAMILY_IPV4 ? "172.18.0.2" : "fd00:18::2";
	struct edges edges = edges_of(family);

	for (size_t i = 0; i < edges.n; i++)
		for (size_t j = 0; j < sizeof(shapes) / sizeof(*shapes); j++) {
			struct packets_sketch sketch = sketch_of(family, &shapes[j]);

			sketch.src = good;
			sketch.dst_addr = edges.addrs[i];
			try_sketch(&sketch);
			sketch = sketch_of(family, &shapes[j]);
			sketch.dst = good;
			sketch.src_addr = edges.addrs[i];
			try_sketch(&sketch);
		}
	/* And each with each other one. */
	for (size_t i = 0; i < edges.n * edges.n; i++) {
		struct packets_sketch sketch =
			sketch_of(family, &shapes[i % (sizeof(shapes) / sizeof(*shapes))]);

		sketch.src_addr = edges.addrs[i / edges.n];
		sketch.dst_addr = edges.addrs[i % edges.n];
		try_sketch(&sketch);
	}
	free(edges.addrs);
}

/* --- headers ------------------------------------------------------------------------------------
 */

/* Each value of each byte of the headers; then each byte's with a wrong length beside it. */
static void try_bytes(const struct packets_sketch *sketch)
{
	static struct packets_frame frame;
	__u32 headers;

	packets_build(sketch, &frame);
	headers = frame.host.length - sketch->payload_len + 4;
	if (headers > frame.host.length)
		headers = frame.host.length;
	for (__u32 at = 12; at < headers; at++) {
		__u8 was = frame.bytes[at];

		for (unsigned int value = 0; value < 256; value++) {
			frame.bytes[at] = (__u8)value;
			try_frame(&frame.host);
		}
		frame.bytes[at] = was;
	}
}

/* Each length that the frame can be cut to, each that its IP header or UDP header can tell, and
 * each size that it can be segmented into. */
static void try_lengths(const struct packets_sketch *sketch)
{
	static struct packets_frame frame;
	const __u32 ip = sketch->family == EG_FAMILY_IPV4 ? 14 + 2 : 14 + 4;
	const __u32 transport = sketch->family == EG_FAMILY_IPV4 ? 14 + 20 : 14 + 40;
	const __u32 fields[] = {ip, transport + 4};
	__u32 whole;

	packets_build(sketch, &frame);
	whole = frame.host.length;
	for (__u32 length = 14; length <= whole; length++) {
		frame.host.length = frame.host.captured = length;
		try_frame(&frame.host);
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		__u8 was[2] = {frame.bytes[fields[i]], frame.bytes[fields[i] + 1]};

		for (__u32 told = 0; told <= whole + 8; told++) {
			frame.bytes[fields[i]] = (__u8)(told >> 8);
			frame.bytes[fields[i] + 1] = (__u8)told;
			try_frame(&frame.host);
		}
		memcpy(&frame.bytes[fields[i]], was, sizeof(was));
	}
	for (__u32 size = 1; size <= sketch->payload_len + 8; size++) {
		frame.host.gso_size = size;
		try_frame(&frame.host);
	}
}

static void try_headers(void)
{
	static const struct shape tcp = {
		.proto = EG_PROTO_TCP, .sport = 40412, .dport = 443, .payload_len = 24};
	static const struct shape udp = {EG_PROTO_UDP, 51820, 51820, {4}, 64};
	static const char *const to[2][3] = {{"192.168.1.9", "203.0.113.9", "10.1.2.3"},
					     {"fd00:18::9", "2001:db8::9", "fd00:1:2::3"}};

	for (int v6 = 0; v6 < 2; v6++)
		for (size_t i = 0; i < 3; i++)
			for (int is_udp = 0; is_udp < 2; is_udp++) {
				struct packets_sketch sketch = sketch_of(
					v6 ? EG_FAMILY_IPV6 : EG_FAMILY_IPV4, is_udp ? &udp : &tcp);

				sketch.src = v6 ? "fd00:18::2" : "172.18.0.2";
				sketch.dst = to[v6][i];
				try_bytes(&sketch);
				try_lengths(&sketch);
			}
}

/* --- policies -----------------------------------------------------------------------------------
 */

static void test_nested(void **state)
{
	(void)state;
	n_batch = 0; /* a test before may have failed */
	fixture_open(&fixture, nested);
	try_headers();
	try_addresses(EG_FAMILY_IPV4);
	try_addresses(EG_FAMILY_IPV6);
	run_batch();
	fixture_close(&fixture);
	print_message("%lu frames, %lu of them plain\n", n_frames, n_plain);
	assert_true(n_plain > n_frames / 10);
}

static void test_random(void **state)
{
	struct packets_random random = {.state = 20261123};

	(void)state;
	n_batch = 0; /* a test before may have failed */
	fixture_load(&fixture, packets_random_policy(&random));
	for (int i = 0; i < RANDOM_POLICIES; i++) {
		try_addresses(EG_FAMILY_IPV4);
		try_addresses(EG_FAMILY_IPV6);
		run_batch();
		fixture_replace(&fixture, packets_random_policy(&random));
	}
	fixture_close(&fixture);
	print_message("%lu frames, %lu of them plain\n", n_frames, n_plain);
}

/* Prefixes of any length that begin alike, and more of them than front6 has nodes for. */
static struct eg_policy *crowded_policy(struct packets_random *random)
{
	static const __u8 bytes[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff};
	struct eg_policy *policy = packets_policy(nested);

	for (int i = 0; i < CROWDED_PREFIXES; i++) {
		bool v6 = packets_chance(random, 70), deny = packets_chance(random, 40);
		struct eg_prefix prefix = {.family = v6 ? EG_FAMILY_IPV6 : EG_FAMILY_IPV4};
		unsigned int bits = eg_family_bits(prefix.family);

		prefix.len = (__u8)(9 + packets_below(random, bits - 8));
		prefix.addr.bytes[0] = v6 ? (packets_chance(random, 70) ? 0xfd : 0x20) : 10;
		for (unsigned int bit = 8; bit < prefix.len; bit++) {
			__u8 byte = bytes[packets_below(random, sizeof(bytes))];

			prefix.addr.bytes[bit / 8] |= (__u8)(byte & 0x80 >> bit % 8);
		}
		assert_int_equal(
			deny ? eg_policy_add_prefix(&policy->deny, &policy->n_deny, &prefix)
			     : eg_policy_add_prefix(&policy->derived.tunnel_only,
						    &policy->derived.n_tunnel_only, &prefix),
			0);
	}
	return policy;
}

static void test_crowded(void **state)
{
	struct packets_random random = {.state = 7};

	(void)state;
	n_batch = 0; /* a test before may have failed */
	fixture_load(&fixture, crowded_policy(&random));
	for (int i = 0; i < CROWDED_POLICIES; i++) {
		try_addresses(EG_FAMILY_IPV4);
		try_addresses(EG_FAMILY_IPV6);
		run_batch();
		fixture_replace(&fixture, crowded_policy(&random));
	}
	fixture_close(&fixture);
	print_message("%lu frames, %lu of them plain\n", n_frames, n_plain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_nested),
					   cmocka_unit_test(test_random),
					   cmocka_unit_test(test_crowded)};

	fixture_enter("test_grid");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
