// SPDX-License-Identifier: GPL-2.0
#include "fixture.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "eg_packet.h"
#include "util/cleanup.h"

#define PIN_DIR "/sys/fs/bpf/egressguard-test"

/* A test run takes at most a page, with room for what an skb needs beside the bytes. */
#define RUN_BYTES_MAX 3000

static void leave(const char *name, const char *why, int status)
{
	printf("%s %s: %s\n", status ? "FAIL" : "SKIP", name, why);
	fflush(stdout);
	_exit(status);
}

void fixture_enter(const char *name)
{
	if (geteuid() != 0)
		leave(name, "needs root", 0);
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=700") < 0 || mkdir(PIN_DIR, 0700) < 0)
		leave(name, strerror(errno), 1);
}

static const char test_text[] = "";

/* From now on, as for hours. */
static void set_names_open(struct fixture *fixture, bool open)
{
	if (eg_guard_set_window(fixture->guard, open ? 1U << 30 : 0) < 0)
		fail_msg("cannot write when names may be asked for");
	fixture->names_open = open;
}

void fixture_load(struct fixture *fixture, struct eg_policy *policy)
{
	static unsigned int made;
	struct eg_meta meta = {.target = "test"};
	struct eg_error error = {};

	snprintf(meta.name, sizeof(meta.name), "test-%u", made++);
	*fixture = (struct fixture){.policy = policy, .image = packets_compile(policy)};
	if (eg_pins_open(PIN_DIR, true, &fixture->pins, &error) < 0 ||
	    eg_guard_create(&fixture->pins, &meta, test_text, fixture->image, &fixture->guard,
			    &error) < 0)
		fail_msg("%s", error.message);
	/* Those of packets; what a kernel may lack of the others is test_load's. */
	for (enum eg_prog prog = EG_PROG_DEVICE; prog <= EG_PROG_PEER; prog++)
		if (eg_guard_need(fixture->guard, prog, &error) < 0)
			fail_msg("%s", error.message);
	fixture->guard->grace_ns = 0;
	set_names_open(fixture, true);
}

void fixture_open(struct fixture *fixture, const char *policy_text)
{
	fixture_load(fixture, packets_policy(policy_text));
}

void fixture_replace(struct fixture *fixture, struct eg_policy *policy)
{
	struct eg_image *image = packets_compile(policy);
	struct eg_error error = {};

	if (eg_guard_replace(fixture->guard, test_text, image, &error) < 0)
		fail_msg("%s", error.message);
	eg_image_free(fixture->image);
	eg_policy_free(fixture->policy);
	fixture->image = image;
	fixture->policy = policy;
}

void fixture_close(struct fixture *fixture)
{
	eg_guard_abort(fixture->guard);
	eg_guard_close(fixture->guard);
	eg_pins_close(&fixture->pins);
	eg_image_free(fixture->image);
	eg_policy_free(fixture->policy);
}

enum eg_prog fixture_device(const struct eg_host_frame *frame)
{
	return frame->link_header ? EG_PROG_DEVICE : EG_PROG_DEVICE_L3;
}

bool fixture_can_run(const struct eg_host_frame *frame)
{
	__u32 least = 14;

	if (frame->vlan_tags || frame->checksum_pending || frame->captured != frame->length ||
	    frame->length > RUN_BYTES_MAX || frame->length < least)
		return false;
	/* The kernel takes bytes 12 and 13 for an Ethernet header's type, whatever they are. */
	if (frame->bytes[12] == 0x08 && frame->bytes[13] == 0x00)
		least += 20;
	if (frame->bytes[12] == 0x86 && frame->bytes[13] == 0xdd)
		least += 40;
	return frame->length >= least;
}

void fixture_open_names(struct fixture *fixture, const struct eg_host_frame *frame)
{
	if (fixture->names_open != frame->names_open)
		set_names_open(fixture, frame->names_open);
}

int fixture_run(struct fixture *fixture, enum eg_prog prog, const struct eg_host_frame *frame,
		__u32 gso_segs)
{
	struct __sk_buff context = {.gso_size = frame->gso_size, .gso_segs = gso_segs};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame->bytes, .data_size_in = frame->length,
		    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = 1);
	int err;

	fixture_open_names(fixture, frame);
	err = bpf_prog_test_run_opts(fixture->guard->progs[prog], &run);

	if (err < 0)
		fail_msg("test run of %u bytes: %s", frame->length, strerror(errno));
	return (int)run.retval;
}

enum eg_reason fixture_judge(const struct fixture *fixture, const struct eg_host_frame *frame,
			     struct eg_packet *ret_packet)
{
	struct eg_packet packet;

	return eg_image_judge(fixture->image, frame, ret_packet ? ret_packet : &packet);
}

void fixture_count(struct fixture *fixture, struct fixture_counters *ret_counters)
{
	assert_int_equal(eg_guard_counters(fixture->guard, ret_counters->all), 0);
}

void fixture_count_layer(struct fixture *fixture, enum eg_layer layer,
			 struct fixture_counters *ret_counters)
{
	struct eg_counter per_cpu[libbpf_num_possible_cpus()];
	__u32 first = eg_counter_index(layer, 0, 0);

	memset(ret_counters, 0, sizeof(*ret_counters));
	for (__u32 i = first; i < first + EG_REASON_COUNT; i++) {
		assert_int_equal(
			bpf_map_lookup_elem(fixture->guard->maps[EG_MAP_COUNTERS], &i, per_cpu), 0);
		for (int cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++) {
			ret_counters->all[i].packets += per_cpu[cpu].packets;
			ret_counters->all[i].bytes += per_cpu[cpu].bytes;
		}
	}
}

struct eg_counter fixture_counted(const struct fixture_counters *before,
				  const struct fixture_counters *after, __u32 index)
{
	return (struct eg_counter){
		.packets = after->all[index].packets - before->all[index].packets,
		.bytes = after->all[index].bytes - before->all[index].bytes,
	};
}

struct eg_counter fixture_counted_all(const struct fixture_counters *before,
				      const struct fixture_counters *after)
{
	struct eg_counter sum = {};

	for (__u32 i = 0; i < EG_COUNTERS_ALL; i++) {
		struct eg_counter one = fixture_counted(before, after, i);

		sum.packets += one.packets;
		sum.bytes += one.bytes;
	}
	return sum;
}
