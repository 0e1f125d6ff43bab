// SPDX-License-Identifier: GPL-2.0
/*
 * Random and damaged frames under random policies: what the program in the kernel decides is what
 * the same function decides on the host, and what the oracle does. time-limit: 300
 *
 * Frames of a policy are grouped by the reason that the host gives, so that reading the counters
 * once a group tells each frame's reason in the kernel. EG_SEED=N and EG_FRAMES=N in the
 * environment change the sequence and its length.
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/oracle.h"
#include "util/cleanup.h"

#define FRAMES            300000
#define FRAMES_PER_POLICY 1500
#define FEATURES          (PACKETS_NO_LINK_HEADER | PACKETS_GSO | PACKETS_TRUNCATED)

struct kept {
	struct eg_host_frame host;
	__u8 *bytes; /* owned */
	__u32 segs;
};

struct group {
	struct kept *kept;
	size_t n;
	size_t room;
};

static struct fixture fixture;
static __u64 seed = 20240607;
static __u32 n_frames = FRAMES;

static void group_free(struct group *group)
{
	for (size_t i = 0; i < group->n; i++)
		free(group->kept[i].bytes);
	free(group->kept);
	*group = (struct group){};
}

static void group_add(struct group *group, const struct eg_host_frame *host, __u32 segs)
{
	struct kept *kept;

	if (group->n == group->room) {
		group->room = group->room ? 2 * group->room : 64;
		group->kept = reallocarray(group->kept, group->room, sizeof(*group->kept));
		assert_non_null(group->kept);
	}
	kept = &group->kept[group->n++];
	*kept = (struct kept){.host = *host, .bytes = malloc(host->length), .segs = segs};
	assert_non_null(kept->bytes);
	memcpy(kept->bytes, host->bytes, host->length);
	kept->host.bytes = kept->bytes;
}

static void say_frame(const struct eg_host_frame *host)
{
	fprintf(stderr, "frame, link header %d, gso_size %u, %u bytes:", host->link_header,
		host->gso_size, host->length);
	for (__u32 i = 0; i < host->length && i < 200; i++)
		fprintf(stderr, "%s%02x", i % 16 ? " " : "\n  ", host->bytes[i]);
	fputc('\n', stderr);
}

static void fail_frame(const struct eg_host_frame *host, const char *who, enum eg_reason reason,
		       enum eg_reason host_reason)
{
	EG_AUTO_FREE char *text = eg_policy_format(fixture.policy, true);

	say_frame(host);
	fprintf(stderr, "policy:\n%s\n", text ? text : "?");
	fail_msg("seed %llu: %s says %s, the host %s", (unsigned long long)seed, who,
		 eg_reason_names[reason], eg_reason_names[host_reason]);
}

/* Which of a group the kernel judges otherwise. */
static void find_culprit(const struct group *group, enum eg_reason expected, __u32 would)
{
	for (size_t i = 0; i < group->n; i++) {
		struct fixture_counters before, after;
		const struct kept *kept = &group->kept[i];

		fixture_count(&fixture, &before);
		fixture_run(&fixture, fixture_device(&kept->host), &kept->host, kept->segs);
		fixture_count(&fixture, &after);
		for (enum eg_reason reason = 0; reason < EG_REASON_COUNT; reason++)
			for (__u32 w = 0; w < 2; w++)
				if (fixture_counted(&before, &after,
						    eg_counter_index(EG_LAYER_DEVICE, w, reason))
					    .packets &&
				    (reason != expected || w != would))
					fail_frame(&kept->host, "the kernel", reason, expected);
	}
	fail_msg("%s: the counters are wrong, yet each frame alone is right",
		 eg_reason_names[expected]);
}

static void run_group(const struct group *group, enum eg_reason reason)
{
	int drop = eg_reason_verdict(reason) == EG_VERDICT_DROP;
	__u32 would = drop && (fixture.image->config.flags & EG_CONFIG_AUDIT);
	int expected = drop && !would ? FIXTURE_DROP : FIXTURE_PASS;
	struct eg_counter sum = {}, one, all;
	struct fixture_counters before, after;

	fixture_count(&fixture, &before);
	for (size_t i = 0; i < group->n; i++) {
		const struct kept *kept = &group->kept[i];
		int result =
			fixture_run(&fixture, fixture_device(&kept->host), &kept->host, kept->segs);

		if (result != expected) {
			say_frame(&kept->host);
			fail_msg("seed %llu: %s, and the program returns %d",
				 (unsigned long long)seed, eg_reason_names[reason], result);
		}
		sum.packets += kept->segs ? kept->segs : 1;
		sum.bytes += kept->host.length;
	}
	fixture_count(&fixture, &after);
	one = fixture_counted(&before, &after, eg_counter_index(EG_LAYER_DEVICE, would, reason));
	all = fixture_counted_all(&before, &after);
	if (one.packets != sum.packets || one.bytes != sum.bytes || all.packets != sum.packets ||
	    all.bytes != sum.bytes)
		find_culprit(group, reason, would);
}

/* Fills `groups` with the next policy's frames, all of which a test run can have. */
static void make_frames(struct packets_random *random, struct group groups[EG_REASON_COUNT],
			__u32 n)
{
	static struct packets_frame frame;

	for (__u32 i = 0; i < n;) {
		enum eg_reason reason, second;
		__u32 segs = 0;

		packets_random_frame(random, fixture.policy, FEATURES, &frame);
		if (!fixture_can_run(&frame.host))
			continue;
		if (frame.host.gso_size)
			segs = 1 + packets_below(random, 40);
		reason = fixture_judge(&fixture, &frame.host, NULL);
		second = oracle_judge(fixture.policy, &frame.host);
		if (second != reason)
			fail_frame(&frame.host, "the oracle", second, reason);
		group_add(&groups[reason], &frame.host, segs);
		i++;
	}
}

static void test_frames(void **state)
{
	struct packets_random random = {.state = seed};
	struct group groups[EG_REASON_COUNT] = {};
	__u32 seen[EG_REASON_COUNT] = {};
	__u32 done = 0;

	(void)state;
	fixture_load(&fixture, packets_random_policy(&random));
	while (done < n_frames) {
		make_frames(&random, groups, FRAMES_PER_POLICY);
		done += FRAMES_PER_POLICY;
		for (enum eg_reason reason = 0; reason < EG_REASON_COUNT; reason++) {
			if (groups[reason].n)
				run_group(&groups[reason], reason);
			seen[reason] += (__u32)groups[reason].n;
			group_free(&groups[reason]);
		}
		fixture_replace(&fixture, packets_random_policy(&random));
	}
	/* What a test run can show at all was shown. */
	for (enum eg_reason reason = EG_REASON_CONTROL; reason < EG_REASON_COUNT; reason++) {
		if (reason == EG_REASON_QDISC_BYPASS)
			continue; /* of a call, not of a packet */
		print_message("%-15s %u\n", eg_reason_names[reason], seen[reason]);
		assert_true(seen[reason] > 0 || n_frames < FRAMES);
	}
	fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_frames)};

	if (getenv("EG_SEED"))
		seed = strtoull(getenv("EG_SEED"), NULL, 0);
	if (getenv("EG_FRAMES"))
		n_frames = (__u32)strtoul(getenv("EG_FRAMES"), NULL, 0);
	fixture_enter("test_differential");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
