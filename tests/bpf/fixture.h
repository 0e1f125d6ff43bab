/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guard of the test's own, made by the same code that `attach` uses, in a bpffs of the test's
 * own, and its programs run by BPF_PROG_TEST_RUN.
 */
#ifndef EG_TESTS_FIXTURE_H
#define EG_TESTS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kern/internal.h"
#include "unit/packets.h"

/* Packets of a container's, to be sketched further (packets.h). */
#define FIXTURE_V4(to, protocol, ...)                                                              \
	{                                                                                          \
		.family = EG_FAMILY_IPV4, .src = "172.18.0.2", .dst = (to), .proto = (protocol),   \
		.sport = 40412, __VA_ARGS__                                                        \
	}
#define FIXTURE_V6(to, protocol, ...)                                                              \
	{                                                                                          \
		.family = EG_FAMILY_IPV6, .src = "fd00:18::2", .dst = (to), .proto = (protocol),   \
		.sport = 40412, __VA_ARGS__                                                        \
	}

struct fixture {
	struct eg_pins pins;
	struct eg_guard *guard;
	bool names_open;          /* an endpoint's name may be asked for */
	struct eg_policy *policy; /* owned */
	struct eg_image *image;
};

/* Call it first in main(): without root there is nothing to test, which is said, and the program
 * ends. Mounts and interfaces made from here on are seen by this process alone. */
void fixture_enter(const char *name);

/* Any failure ends the test. fixture_load() takes the policy. */
void fixture_open(struct fixture *fixture, const char *policy_text);
void fixture_load(struct fixture *fixture, struct eg_policy *policy);
/* Switches to another policy, without the wait that a switch under traffic needs. */
void fixture_replace(struct fixture *fixture, struct eg_policy *policy);
void fixture_close(struct fixture *fixture);

/* The program that sees such a frame: `device` by its link-layer header. */
enum eg_prog fixture_device(const struct eg_host_frame *frame);

/* What a test run cannot have: tags beside the bytes, a pending checksum, bytes beyond a page, and
 * less than the kernel itself wants to see of a frame. */
bool fixture_can_run(const struct eg_host_frame *frame);

/* Has endpoints' names asked for, or not, as the frame wants it. fixture_run() does it. */
void fixture_open_names(struct fixture *fixture, const struct eg_host_frame *frame);

#define FIXTURE_PASS (-1)
#define FIXTURE_DROP 2
/* What the program returns. `gso_segs` is told to the kernel beside the frame's gso_size. */
int fixture_run(struct fixture *fixture, enum eg_prog prog, const struct eg_host_frame *frame,
		__u32 gso_segs);

/* What the policy says on the host; the packet may be NULL. */
enum eg_reason fixture_judge(const struct fixture *fixture, const struct eg_host_frame *frame,
			     struct eg_packet *ret_packet);

struct fixture_counters {
	struct eg_counter all[EG_COUNTERS_ALL];
};
void fixture_count(struct fixture *fixture, struct fixture_counters *ret_counters);
/* Only what the layer has dropped: a tenth of the system calls. The rest is 0. */
void fixture_count_layer(struct fixture *fixture, enum eg_layer layer,
			 struct fixture_counters *ret_counters);
struct eg_counter fixture_counted(const struct fixture_counters *before,
				  const struct fixture_counters *after, __u32 index);
/* Everything that was counted in between. */
struct eg_counter fixture_counted_all(const struct fixture_counters *before,
				      const struct fixture_counters *after);

#endif /* EG_TESTS_FIXTURE_H */
