// SPDX-License-Identifier: GPL-2.0
/* Viewers: each sees every event, what does not fit is counted exactly, and a dead one is passed
 * over. */
#include "fixture.h"

#include <errno.h>
#include <string.h>

#include "eg_packet.h"
#include "util/clock.h"

#define VIEWERS 3

struct view {
	struct eg_viewer *viewer;
	unsigned int n;
	__u16 ports[64]; /* of the first events, to see that they come in order */
};

static struct fixture fixture;
static struct view views[VIEWERS];
static struct packets_frame blocked, allowed;

static int keep(const struct eg_event *event, void *argument)
{
	struct view *view = argument;

	if (view->n < sizeof(view->ports) / sizeof(view->ports[0]))
		view->ports[view->n] = EG_FROM_BE16(event->dport_be);
	view->n++;
	return 0;
}

static void open_views(unsigned int n)
{
	memset(views, 0, sizeof(views));
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(
			eg_viewer_open(fixture.guard, keep, &views[i], &views[i].viewer, NULL), 0);
}

static void close_views(void)
{
	for (unsigned int i = 0; i < VIEWERS; i++) {
		eg_viewer_close(views[i].viewer);
		views[i].viewer = NULL;
	}
}

static void consume(struct view *view)
{
	while (eg_viewer_consume(view->viewer) > 0)
		;
}

static void send_port(__u16 port)
{
	const struct packets_sketch sketch = {.family = EG_FAMILY_IPV4,
					      .src = "172.18.0.2",
					      .dst = "203.0.113.7",
					      .proto = EG_PROTO_UDP,
					      .dport = port,
					      .payload_len = 20};

	packets_build(&sketch, &blocked);
	assert_int_equal(fixture_run(&fixture, EG_PROG_DEVICE, &blocked.host, 0), FIXTURE_DROP);
}

/* Many at once, by the kernel's own repetition. */
static void send_many(__u32 n)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = blocked.bytes,
		    .data_size_in = blocked.host.length, .repeat = (int)n);

	assert_int_equal(bpf_prog_test_run_opts(fixture.guard->progs[EG_PROG_DEVICE], &run), 0);
	assert_int_equal((int)run.retval, FIXTURE_DROP);
}

static __u64 lost_at(__u32 slot)
{
	__u64 lost = 0;

	assert_int_equal(bpf_map_lookup_elem(fixture.guard->maps[EG_MAP_VIEWER_LOST], &slot, &lost),
			 0);
	return lost;
}

static __u64 lost_of_all(void)
{
	__u64 sum = 0;

	for (__u32 slot = 0; slot < EG_VIEWERS; slot++)
		sum += lost_at(slot);
	return sum;
}

static void set_beat(__u32 slot, __u64 beat_ns)
{
	struct eg_viewer_beats beats;
	__u32 zero = 0;
	int fd = fixture.guard->maps[EG_MAP_VIEWER_BEATS];

	assert_int_equal(bpf_map_lookup_elem(fd, &zero, &beats), 0);
	beats.beat_ns[slot] = beat_ns;
	assert_int_equal(bpf_map_update_elem(fd, &zero, &beats, BPF_ANY), 0);
}

static void test_none(void **state)
{
	__u64 lost = lost_of_all();

	(void)state;
	send_port(1);
	assert_int_equal(lost_of_all(), lost);
}

static void test_each_sees_all(void **state)
{
	(void)state;
	for (unsigned int n = 1; n <= VIEWERS; n++) {
		open_views(n);
		for (__u16 port = 1; port <= 50; port++) {
			send_port(port);
			assert_int_equal(fixture_run(&fixture, EG_PROG_DEVICE, &allowed.host, 0),
					 FIXTURE_PASS);
		}
		for (unsigned int i = 0; i < n; i++) {
			consume(&views[i]);
			assert_int_equal(views[i].n, 50);
			assert_int_equal(eg_viewer_lost(views[i].viewer), 0);
			for (__u16 port = 1; port <= 50; port++)
				assert_int_equal(views[i].ports[port - 1], port);
		}
		close_views();
	}
}

static void test_late_and_early(void **state)
{
	(void)state;
	open_views(1);
	send_port(1);
	assert_int_equal(eg_viewer_open(fixture.guard, keep, &views[1], &views[1].viewer, NULL), 0);
	send_port(2);
	consume(&views[0]);
	eg_viewer_close(views[0].viewer);
	views[0].viewer = NULL;
	send_port(3);
	consume(&views[1]);
	assert_int_equal(views[0].n, 2);
	assert_int_equal(views[1].n, 2);
	assert_int_equal(views[1].ports[0], 2);
	assert_int_equal(views[1].ports[1], 3);
	close_views();
}

/* One reads, one does not: delivered and lost make what was blocked, for each. */
static void test_lost(void **state)
{
	const __u32 rounds = 40, each = 5000;

	(void)state;
	open_views(2);
	send_port(7);
	for (__u32 i = 0; i < rounds; i++) {
		assert_int_equal(eg_viewer_beat(views[0].viewer), 0);
		assert_int_equal(eg_viewer_beat(views[1].viewer), 0);
		send_many(each);
		consume(&views[0]);
	}
	consume(&views[1]);
	assert_int_equal(views[0].n, 1 + rounds * each);
	assert_int_equal(eg_viewer_lost(views[0].viewer), 0);
	assert_true(eg_viewer_lost(views[1].viewer) > 0);
	assert_true(views[1].n > 1000);
	assert_int_equal(views[1].n + eg_viewer_lost(views[1].viewer), 1 + rounds * each);

	/* Once it reads again, it sees again. */
	views[1].n = 0;
	send_many(10);
	consume(&views[1]);
	assert_int_equal(views[1].n, 10);
	close_views();
}

static void test_stale(void **state)
{
	__u64 lost;

	(void)state;
	open_views(1);
	lost = lost_of_all();
	set_beat(0, eg_monotonic_ns() - EG_VIEWER_STALE_NS - 1);
	send_port(1);
	set_beat(0, 0);
	send_port(2);
	consume(&views[0]);
	assert_int_equal(views[0].n, 0);
	assert_int_equal(lost_of_all(), lost);

	set_beat(0, eg_monotonic_ns() - EG_VIEWER_STALE_NS + 1000000000);
	send_port(3);
	/* The viewer's clock may be ahead of the program's. */
	set_beat(0, eg_monotonic_ns() + 1000000000);
	send_port(4);
	consume(&views[0]);
	assert_int_equal(views[0].n, 2);
	assert_int_equal(views[0].ports[0], 3);
	assert_int_equal(views[0].ports[1], 4);
	set_beat(0, 0);
	close_views();
}

/* A live slot without a ring: what its viewer would have got is lost. */
static void test_no_ring(void **state)
{
	const __u32 slot = EG_VIEWERS - 1;
	__u64 lost = lost_at(slot);

	(void)state;
	set_beat(slot, eg_monotonic_ns());
	send_port(1);
	send_port(2);
	set_beat(slot, 0);
	assert_int_equal(lost_at(slot), lost + 2);
}

static int set_up(void **state)
{
	const struct packets_sketch sketch = {.family = EG_FAMILY_IPV4,
					      .src = "172.18.0.2",
					      .dst = "192.168.1.5",
					      .proto = EG_PROTO_UDP,
					      .dport = 80,
					      .payload_len = 20};

	(void)state;
	packets_build(&sketch, &allowed);
	fixture_open(&fixture, "");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fixture_close(&fixture);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),           cmocka_unit_test(test_each_sees_all),
		cmocka_unit_test(test_late_and_early), cmocka_unit_test(test_lost),
		cmocka_unit_test(test_stale),          cmocka_unit_test(test_no_ring),
	};

	fixture_enter("test_viewers");
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
