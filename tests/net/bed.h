/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of user/net/ share. They change their own namespaces alone: tests/private makes
 * those, and they refuse to run without it. */
#ifndef EG_TESTS_NET_BED_H
#define EG_TESTS_NET_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <sys/types.h>

#include "net/link.h"

/* Ends the program unless it runs below tests/private. */
void bed_check_private(void);

/* Runs a shell command and fails the test if it fails. */
void bed_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Opens /run/netns/NAME. */
struct eg_netns bed_open(const char *name);

/* The interface of that name, which must be there. */
struct eg_link bed_link(const struct eg_netns *netns, const char *name);

/* Starts a program that dies with the test: in the namespace (NULL: this one) and root (NULL: /).
 */
pid_t bed_start(const char *netns, const char *root, const char *const *argv);
void bed_stop(pid_t pid);

/* Waits until `ready` says so, at most ten seconds; fails the test if it never does. */
void bed_wait(bool (*ready)(void *argument), void *argument);

#define BED_SKIP(...)                                                                              \
	do {                                                                                       \
		printf("\nSKIP: " __VA_ARGS__);                                                    \
		printf("\n");                                                                      \
		fflush(stdout);                                                                    \
		skip();                                                                            \
	} while (0)

#endif /* EG_TESTS_NET_BED_H */
