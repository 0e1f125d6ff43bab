// SPDX-License-Identifier: GPL-2.0
/*
 * The layer `cgroup`: random and damaged packets under random policies, of which the program says
 * what the same function says on the host; and which devices are free to it (row 0).
 */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "net/netns.h"
#include "util/cleanup.h"

#define POLICIES 40
#define FRAMES   500 /* of each */
#define FEATURES (PACKETS_NO_LINK_HEADER | PACKETS_GSO | PACKETS_TRUNCATED)

#define PASS 1
#define DROP 0

/* A test run takes an Ethernet header, which it takes off again. A type of no protocol's keeps the
 * kernel from looking at what follows. */
#define LINK_LEN 14

static struct fixture fixture;
static __u32 underlay; /* the index of an interface that is nothing in particular */

static void load(struct eg_policy *policy)
{
	struct eg_error error = {};

	fixture_load(&fixture, policy);
	if (eg_guard_need(fixture.guard, EG_PROG_CGROUP, &error) < 0)
		fail_msg("%s", error.message);
}

static bool can_run(const struct eg_host_frame *host)
{
	return !host->link_header && !host->vlan_tags && !host->checksum_pending &&
	       host->captured == host->length && host->length >= 1 && host->length <= 3000;
}

static int run(const struct eg_host_frame *host, __u32 ifindex, __u32 segs)
{
	static __u8 bytes[LINK_LEN + 3000] = {[12] = 0x88, [13] = 0xb5};
	struct __sk_buff context = {
		.gso_size = host->gso_size,
		.gso_segs = segs,
		.ifindex = ifindex,
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = bytes,
		    .data_size_in = LINK_LEN + host->length, .ctx_in = &context,
		    .ctx_size_in = sizeof(context), .repeat = 1);

	memcpy(bytes + LINK_LEN, host->bytes, host->length);
	fixture_open_names(&fixture, host);
	if (bpf_prog_test_run_opts(fixture.guard->progs[EG_PROG_CGROUP], &opts) < 0)
		fail_msg("test run of %u bytes: %s", host->length, strerror(errno));
	return (int)opts.retval;
}

/* --- the decision ----------------------------------------------------------------------------- */

static void say(const struct eg_host_frame *host)
{
	fprintf(stderr, "gso_size %u, %u bytes:", host->gso_size, host->length);
	for (__u32 i = 0; i < host->length && i < 200; i++)
		fprintf(stderr, "%s%02x", i % 16 ? " " : "\n  ", host->bytes[i]);
	fputc('\n', stderr);
}

/* One frame; what is to be counted for it is added to `expected`. */
static void try_frame(const struct packets_frame *frame, __u32 segs,
		      struct eg_counter expected[EG_COUNTERS_ALL])
{
	enum eg_reason reason = fixture_judge(&fixture, &frame->host, NULL);
	int drop = eg_reason_verdict(reason) == EG_VERDICT_DROP;
	__u32 would = drop && (fixture.image->config.flags & EG_CONFIG_AUDIT);
	__u32 index = eg_counter_index(EG_LAYER_CGROUP, would, reason);
	int wanted = drop && !would ? DROP : PASS, said = run(&frame->host, underlay, segs);

	if (said != wanted) {
		say(&frame->host);
		fail_msg("the program returns %d, and the host says %s", said,
			 eg_reason_names[reason]);
	}
	expected[index].packets += segs ? segs : 1;
	expected[index].bytes += frame->host.length;
}

static void try_policy(struct packets_random *random, __u32 seen[EG_REASON_COUNT])
{
	static struct packets_frame frame;
	struct eg_counter expected[EG_COUNTERS_ALL] = {};
	struct fixture_counters before, after;

	fixture_count(&fixture, &before);
	for (__u32 i = 0; i < FRAMES;) {
		__u32 segs = 0;

		packets_random_frame(random, fixture.policy, FEATURES, &frame);
		if (!can_run(&frame.host))
			continue;
		if (frame.host.gso_size)
			segs = 1 + packets_below(random, 40);
		try_frame(&frame, segs, expected);
		seen[fixture_judge(&fixture, &frame.host, NULL)]++;
		i++;
	}
	fixture_count(&fixture, &after);
	for (__u32 i = 0; i < EG_COUNTERS_ALL; i++) {
		struct eg_counter counted = fixture_counted(&before, &after, i);

		if (counted.packets != expected[i].packets || counted.bytes != expected[i].bytes)
			fail_msg("counter %u: %llu packets, %llu bytes instead of %llu, %llu", i,
				 (unsigned long long)counted.packets,
				 (unsigned long long)counted.bytes,
				 (unsigned long long)expected[i].packets,
				 (unsigned long long)expected[i].bytes);
	}
}

static void test_frames(void **state)
{
	struct packets_random random = {.state = 20261123};
	__u32 seen[EG_REASON_COUNT] = {};

	(void)state;
	load(packets_random_policy(&random));
	for (__u32 i = 0; i < POLICIES; i++) {
		try_policy(&random, seen);
		fixture_replace(&fixture, packets_random_policy(&random));
	}
	for (enum eg_reason reason = EG_REASON_CONTROL; reason < EG_REASON_COUNT; reason++) {
		if (reason == EG_REASON_QDISC_BYPASS)
			continue; /* of a call, not of a packet */
		print_message("%-15s %u\n", eg_reason_names[reason], seen[reason]);
		assert_true(seen[reason] > 0);
	}
	fixture_close(&fixture);
}

/* --- row 0 ------------------------------------------------------------------------------------ */

static void build_public(struct packets_frame *ret_frame)
{
	const struct packets_sketch sketch = {
		.no_link_header = true,
		.family = EG_FAMILY_IPV4,
		.src = "192.168.1.2",
		.dst = "203.0.113.7",
		.proto = EG_PROTO_UDP,
		.sport = 1000,
		.dport = 2000,
		.payload_len = 20,
	};

	packets_build(&sketch, ret_frame);
}

/* Which reason the program gives to a public destination by this interface. */
static enum eg_reason reason_by(__u32 ifindex)
{
	static struct packets_frame frame;
	struct fixture_counters before, after;

	build_public(&frame);
	fixture_count(&fixture, &before);
	run(&frame.host, ifindex, 0);
	fixture_count(&fixture, &after);
	for (enum eg_reason reason = 0; reason < EG_REASON_COUNT; reason++)
		if (fixture_counted(&before, &after, eg_counter_index(EG_LAYER_CGROUP, 0, reason))
			    .packets)
			return reason;
	fail_msg("it was not counted");
	return EG_REASON_COUNT;
}

static int make_tun(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		fail_msg("cannot make a tun: %s", strerror(errno));
	return fd;
}

static void test_devices(void **state)
{
	EG_AUTO_CLOSE int tun_fd = make_tun("wg0"), other_fd = make_tun("wg00");
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	__u32 tun = if_nametoindex("wg0"), other = if_nametoindex("wg00");
	struct eg_home home = {}, wrong;

	(void)state;
	assert_int_equal(eg_netns_open_self(&netns), 0);
	load(packets_policy("[Guard]\nTunnel = wg0\n"));
	home.netns_inode = netns.inode;
	home.netns_dev = netns.dev;
	home.netns_cookie = netns.cookie;
	home.tuns[EG_TUNNELS_MAX - 1] = tun;
	home.tuns[0] = other;

	assert_int_equal(reason_by(1), EG_REASON_LOOPBACK);
	assert_int_equal(reason_by(underlay), EG_REASON_PUBLIC);
	assert_int_equal(reason_by(tun), EG_REASON_PUBLIC); /* no home */

	assert_int_equal(eg_guard_set_home(fixture.guard, &home), 0);
	if (eg_guard_meta(fixture.guard)->flags & EG_META_NO_CHECKSUM_TEST) {
		assert_int_equal(reason_by(tun), EG_REASON_PUBLIC); /* nothing tells it */
		fixture_close(&fixture);
		return;
	}
	assert_int_equal(reason_by(tun), EG_REASON_TUNNEL);
	assert_int_equal(reason_by(other), EG_REASON_PUBLIC);    /* not declared */
	assert_int_equal(reason_by(underlay), EG_REASON_PUBLIC); /* no tun */

	wrong = home;
	wrong.netns_inode++;
	assert_int_equal(eg_guard_set_home(fixture.guard, &wrong), 0);
	assert_int_equal(reason_by(tun), EG_REASON_PUBLIC);
	if (netns.cookie) {
		wrong = home;
		wrong.netns_cookie++;
		assert_int_equal(eg_guard_set_home(fixture.guard, &wrong), 0);
		assert_int_equal(reason_by(tun), EG_REASON_PUBLIC);
	}
	wrong = home;
	wrong.tuns[EG_TUNNELS_MAX - 1] = 0;
	assert_int_equal(eg_guard_set_home(fixture.guard, &wrong), 0);
	assert_int_equal(reason_by(tun), EG_REASON_PUBLIC);
	assert_int_equal(eg_guard_set_home(fixture.guard, &home), 0);
	assert_int_equal(reason_by(tun), EG_REASON_TUNNEL);
	assert_int_equal(eg_guard_set_home(fixture.guard, &(struct eg_home){}), 0);
	assert_int_equal(reason_by(tun), EG_REASON_PUBLIC);
	fixture_close(&fixture);
}

/* A veth that has the tunnel's name, and an index that was a tun's. */
static void test_forged(void **state)
{
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	struct eg_home home = {.tuns = {underlay}};

	(void)state;
	assert_int_equal(eg_netns_open_self(&netns), 0);
	home.netns_inode = netns.inode;
	home.netns_dev = netns.dev;
	home.netns_cookie = netns.cookie;
	load(packets_policy("[Guard]\nTunnel = test0\n"));
	assert_int_equal(eg_guard_set_home(fixture.guard, &home), 0);
	assert_int_equal(reason_by(underlay), EG_REASON_PUBLIC);
	fixture_close(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_forged),
	};

	fixture_enter("test_cgroup");
	if (system("ip link add test0 type veth peer name test1") != 0) {
		printf("FAIL test_cgroup: cannot make a veth\n");
		return 1;
	}
	underlay = if_nametoindex("test0");
	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
