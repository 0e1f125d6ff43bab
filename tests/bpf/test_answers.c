// SPDX-License-Identifier: GPL-2.0
/*
 * OnBlock = reject: which of random and damaged frames under random policies are answered, told
 * again here from the frame alone, and that each answer is what it should be, byte for byte where
 * that matters. Nothing but a drop or a redirect may come of a frame that is dropped. time-limit:
 * 120
 *
 * EG_SEED=N and EG_FRAMES=N in the environment change the sequence and its length.
 */
#include "fixture.h"

#include <linux/pkt_cls.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eg_packet.h"
#include "util/cleanup.h"

#define FRAMES            60000
#define FRAMES_PER_POLICY 800 /* less than the limit of a second */
#define FEATURES          (PACKETS_NO_LINK_HEADER | PACKETS_GSO | PACKETS_TRUNCATED)
#define OUT_MAX           4096

static struct fixture fixture;
static __u64 seed = 20261123;
static __u32 n_frames = FRAMES;
static __u32 n_resets, n_errors, n_silent;

static const bool answered[EG_REASON_COUNT] = {
	[EG_REASON_NOT_WIREGUARD] = true, [EG_REASON_TUNNEL_ONLY] = true,
	[EG_REASON_DENIED] = true,        [EG_REASON_DNS_OFF_TUNNEL] = true,
	[EG_REASON_PROTOCOL] = true,      [EG_REASON_PRIVATE] = true,
	[EG_REASON_PUBLIC] = true,
};

/* --- what is expected ---------------------------------------------------------------------------
 */

static __u16 be16_at(const __u8 *bytes)
{
	return (__u16)(bytes[0] << 8 | bytes[1]);
}

static bool is_host4(const __u8 *addr)
{
	return addr[0] && addr[0] != 127 && addr[0] < 224;
}

static bool is_host6(const __u8 *addr)
{
	static const __u8 zero[15];

	return addr[0] != 0xff && (memcmp(addr, zero, 15) != 0 || addr[15] > 1);
}

static bool transport_is_answered(const __u8 *transport, __u8 proto, __u8 icmp, __u8 echo)
{
	if (proto == EG_PROTO_TCP)
		return !(transport[13] & 0x04);
	return proto != icmp || transport[0] == echo;
}

static bool packet_is_answered(const __u8 *ip, __u32 len)
{
	if (ip[0] >> 4 == 4)
		return ip[0] == 0x45 && !(be16_at(ip + 6) & 0x3fff) && is_host4(ip + 12) &&
		       is_host4(ip + 16) && len >= 28 &&
		       transport_is_answered(ip + 20, ip[9], EG_PROTO_ICMP, 8);
	return ip[6] != 0 && ip[6] != 43 && ip[6] != 44 && ip[6] != 60 && is_host6(ip + 8) &&
	       is_host6(ip + 24) && len >= 48 &&
	       transport_is_answered(ip + 40, ip[6], EG_PROTO_ICMPV6, 128);
}

static bool is_answered(const struct eg_host_frame *frame, enum eg_reason reason)
{
	__u32 offset = frame->link_header ? 14 : 0;

	if (!answered[reason] || (fixture.image->config.flags & EG_CONFIG_AUDIT))
		return false;
	if (frame->link_header &&
	    ((frame->bytes[0] & 1) || (be16_at(frame->bytes + 12) != EG_ETHERTYPE_IPV4 &&
				       be16_at(frame->bytes + 12) != EG_ETHERTYPE_IPV6)))
		return false;
	return packet_is_answered(frame->bytes + offset, frame->length - offset);
}

/* --- what has come ------------------------------------------------------------------------------
 */

static __u32 sum_of(__u32 sum, const __u8 *bytes, __u32 len)
{
	for (__u32 i = 0; i + 1 < len; i += 2)
		sum += be16_at(bytes + i);
	return sum;
}

static bool is_whole(__u32 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

static void check_transport(const __u8 *in, const __u8 *out, __u32 header, __u8 proto, __u32 len,
			    bool reset)
{
	if (reset) {
		assert_int_equal(proto, EG_PROTO_TCP);
		assert_int_equal(len, header + 20);
		assert_memory_equal(out, in + 2, 2);
		assert_memory_equal(out + 2, in, 2);
		assert_int_equal(be16_at(out + 4) | be16_at(out + 6), 0);
		assert_int_equal((__u32)be16_at(out + 8) << 16 | be16_at(out + 10),
				 (__u32)(((__u32)be16_at(in + 4) << 16 | be16_at(in + 6)) + 1));
		assert_int_equal(out[12], 5 << 4);
		assert_int_equal(out[13], 0x14);
		n_resets++;
		return;
	}
	assert_int_equal(len, header + 8 + header + 8);
	assert_memory_equal(out + 8, in - header, header + 8);
	n_errors++;
}

static void check_answer4(const __u8 *in, const __u8 *out, __u32 len)
{
	bool reset = in[9] == EG_PROTO_TCP && (in[33] & 0x12) == 0x02;

	assert_int_equal(out[0], 0x45);
	assert_int_equal(be16_at(out + 2), len);
	assert_memory_equal(out + 12, in + 16, 4);
	assert_memory_equal(out + 16, in + 12, 4);
	assert_true(is_whole(sum_of(0, out, 20)));
	if (reset) {
		assert_true(is_whole(sum_of(sum_of(EG_PROTO_TCP + 20, out + 12, 8), out + 20, 20)));
	} else {
		assert_int_equal(out[9], EG_PROTO_ICMP);
		assert_int_equal(out[20], 3);
		assert_int_equal(out[21], 13);
		assert_true(is_whole(sum_of(0, out + 20, len - 20)));
	}
	check_transport(in + 20, out + 20, 20, out[9], len, reset);
}

static void check_answer6(const __u8 *in, const __u8 *out, __u32 len)
{
	bool reset = in[6] == EG_PROTO_TCP && (in[53] & 0x12) == 0x02;

	assert_int_equal(out[0], 0x60);
	assert_int_equal(be16_at(out + 4), len - 40);
	assert_memory_equal(out + 8, in + 24, 16);
	assert_memory_equal(out + 24, in + 8, 16);
	assert_true(is_whole(sum_of(sum_of(out[6] + len - 40, out + 8, 32), out + 40, len - 40)));
	if (!reset) {
		assert_int_equal(out[6], EG_PROTO_ICMPV6);
		assert_int_equal(out[40], 1);
		assert_int_equal(out[41], 1);
	}
	check_transport(in + 40, out + 40, 40, out[6], len, reset);
}

static void check_answer(const struct eg_host_frame *frame, const __u8 *out, __u32 len)
{
	__u32 offset = frame->link_header ? 14 : 0;

	assert_true(len > offset);
	if (offset) {
		assert_memory_equal(out, frame->bytes + 6, 6);
		assert_memory_equal(out + 6, frame->bytes, 6);
		assert_memory_equal(out + 12, frame->bytes + 12, 2);
	}
	if (frame->bytes[offset] >> 4 == 4)
		check_answer4(frame->bytes + offset, out + offset, len - offset);
	else
		check_answer6(frame->bytes + offset, out + offset, len - offset);
}

/* --- the test -----------------------------------------------------------------------------------
 */

static int run(const struct eg_host_frame *frame, __u8 out[OUT_MAX], __u32 *ret_len)
{
	struct __sk_buff context = {.gso_size = frame->gso_size, .gso_segs = 2};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame->bytes, .data_size_in = frame->length,
		    .data_out = out, .data_size_out = OUT_MAX, .ctx_in = &context,
		    .ctx_size_in = sizeof(context), .repeat = 1);

	fixture_open_names(&fixture, frame);
	if (bpf_prog_test_run_opts(fixture.guard->progs[fixture_device(frame)], &opts) < 0)
		fail_msg("test run of %u bytes: %m", frame->length);
	*ret_len = opts.data_size_out;
	return (int)opts.retval;
}

static void check_frame(const struct eg_host_frame *frame)
{
	static __u8 out[OUT_MAX];
	enum eg_reason reason = fixture_judge(&fixture, frame, NULL);
	bool drop = eg_reason_verdict(reason) == EG_VERDICT_DROP &&
		    !(fixture.image->config.flags & EG_CONFIG_AUDIT);
	int wanted = !drop                        ? FIXTURE_PASS
		     : is_answered(frame, reason) ? TC_ACT_REDIRECT
						  : TC_ACT_SHOT;
	__u32 len = 0;
	int verdict = run(frame, out, &len);

	if (verdict != wanted) {
		for (__u32 i = 0; i < frame->length && i < 120; i++)
			fprintf(stderr, "%02x%s", frame->bytes[i], i % 16 == 15 ? "\n" : " ");
		fail_msg("seed %llu: %s, link header %d: %d, not %d", (unsigned long long)seed,
			 eg_reason_names[reason], frame->link_header, verdict, wanted);
	}
	if (verdict == TC_ACT_REDIRECT)
		check_answer(frame, out, len);
	n_silent += verdict == TC_ACT_SHOT;
}

/* The limit is the matter of tests/e2e/test_reject. */
static void forget_answers(void)
{
	EG_AUTO_FREE struct eg_answers *zeros =
		calloc((size_t)libbpf_num_possible_cpus(), sizeof(*zeros));
	__u32 zero = 0;

	assert_non_null(zeros);
	assert_int_equal(bpf_map_update_elem(fixture.guard->maps[EG_MAP_ANSWERS], &zero, zeros, 0),
			 0);
}

static struct eg_policy *random_policy(struct packets_random *random)
{
	struct eg_policy *policy = packets_random_policy(random);

	policy->on_block = EG_ON_BLOCK_REJECT;
	return policy;
}

static void test_answers(void **state)
{
	static struct packets_frame frame;
	struct packets_random random = {.state = seed};

	(void)state;
	fixture_load(&fixture, random_policy(&random));
	for (__u32 done = 0; done < n_frames; done++) {
		do
			packets_random_frame(&random, fixture.policy, FEATURES, &frame);
		while (!fixture_can_run(&frame.host));
		check_frame(&frame.host);
		if (done % FRAMES_PER_POLICY == FRAMES_PER_POLICY - 1) {
			fixture_replace(&fixture, random_policy(&random));
			forget_answers();
		}
	}
	fixture_close(&fixture);
	printf("%u resets, %u errors, %u dropped without a word\n", n_resets, n_errors, n_silent);
	assert_true(n_frames < FRAMES || (n_resets > 100 && n_errors > 1000 && n_silent > 1000));
}

/* Without OnBlock = reject nothing is ever answered. */
static void test_no_answers(void **state)
{
	static struct packets_frame frame;
	struct packets_random random = {.state = seed};
	__u8 out[OUT_MAX];
	__u32 len;

	(void)state;
	fixture_load(&fixture, packets_random_policy(&random));
	fixture.policy->on_block = EG_ON_BLOCK_DROP;
	for (__u32 done = 0; done < FRAMES / 20; done++) {
		do
			packets_random_frame(&random, fixture.policy, FEATURES, &frame);
		while (!fixture_can_run(&frame.host));
		assert_int_not_equal(run(&frame.host, out, &len), TC_ACT_REDIRECT);
	}
	fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_no_answers),
	};

	if (getenv("EG_SEED"))
		seed = strtoull(getenv("EG_SEED"), NULL, 0);
	if (getenv("EG_FRAMES"))
		n_frames = (__u32)strtoul(getenv("EG_FRAMES"), NULL, 0);
	fixture_enter("test_answers");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
