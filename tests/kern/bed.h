/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of kern/ stand on: a mount namespace of their own with a bpffs, a network
 * namespace of their own as the host, and namespaces like a container's, each with a veth to it.
 * All of it goes with the process, whatever kills that.
 */
#ifndef EG_TESTS_KERN_BED_H
#define EG_TESTS_KERN_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "kern/guard.h"
#include "kern/internal.h"

/* Group setup and teardown. Prints a line of TAP and exits where the tests cannot run. */
int bed_up(void **state);
int bed_down(void **state);

/* Root of guards, opened and locked. */
extern const char *bed_pin_dir;
struct eg_pins bed_pins(void);

struct bed_container {
	pid_t pid; /* holds the namespace */
	struct eg_netns netns;
	struct eg_link link;
	struct eg_peer peer;
};

/* With eth0 (10.77.N.2, default route) whose peer is hostN (10.77.N.1) in the host's namespace. */
struct bed_container bed_container_start(int number);
/* Reads eth0 and its peer again. */
void bed_container_look(struct bed_container *container);
void bed_container_stop(struct bed_container *container);

/* Runs a command, which must succeed; in the container's namespace where one is given. */
void bed_run(const struct bed_container *container, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Sends `n` UDP datagrams to ADDR port 9 from inside. */
void bed_send(const struct bed_container *container, const char *addr, unsigned int n);

/* An image that allows these IPv4 prefixes as LAN (a /16 or shorter also in front4). The caller
 * frees it. */
struct eg_image *bed_image(size_t n, const char *const *prefixes);
/* One with `n` different /32 behind 10.0.0.0/8, shifted by `offset`. */
struct eg_image *bed_image_many(size_t n, __u32 offset);

struct eg_meta bed_meta(const char *name, const struct bed_container *container);

/* Creates, covers, commits; or fails the test. */
struct eg_guard *bed_guard(struct eg_pins *pins, const char *name,
			   const struct bed_container *container, const char *text,
			   const struct eg_image *image);
void bed_cover(struct eg_guard *guard, const struct bed_container *container);

/* Whether this kernel has tcx; the guard takes clsact where it has not. */
bool bed_has_tcx(void);

/* Whether any program is in the tcx chain (any BPF filter in clsact, where there is no tcx) of the
 * container's eth0, and of its peer. */
bool bed_device_covered(const struct bed_container *container);
bool bed_peer_covered(const struct bed_container *container);

/* Ids of all of a guard's objects, to see that they go. */
struct bed_ids {
	__u32 maps[EG_MAP_COUNT];
	__u32 progs[EG_PROG_COUNT];
};
struct bed_ids bed_ids(const struct eg_guard *guard);
/* Waits up to two seconds for the kernel to let go of them. */
bool bed_ids_gone(const struct bed_ids *ids);

/* Whether PIN_DIR/entry is there, and how many entries PIN_DIR has. */
bool bed_has(const char *entry);
size_t bed_entries(void);

#endif /* EG_TESTS_KERN_BED_H */
