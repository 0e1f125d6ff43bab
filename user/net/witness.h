/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who keeps a network namespace. Whoever holds something in it that keeps it alive (a socket, a BPF
 * netfilter link) cannot see it end: it would wait for itself. So it watches one witness, a process
 * in the namespace or a file that it is mounted on, and looks for another one when that goes.
 */
#ifndef EG_WITNESS_H
#define EG_WITNESS_H

#include <limits.h>

#include "net/netns.h"

struct eg_witness {
	pid_t pid;           /* 0: a file */
	int pidfd;           /* owned; -1: a file, or a kernel without */
	char path[PATH_MAX]; /* empty: a process */
};
#define EG_WITNESS_NONE ((struct eg_witness){.pidfd = -1})
void eg_witness_close(struct eg_witness *witness);

/*
 * A file of /run/netns or /run/docker/netns, `path` (NULL: none) or a process that keeps the
 * namespace; the calling process is a witness of none but its own. -ENOENT if nothing does; any
 * other error means that it may be where we could not look.
 */
int eg_witness_find(const struct eg_netns *netns, const char *path, struct eg_witness *ret_witness);

/* Whether it still does. Of a process `pidfd` tells that at once, by poll(2), where it ends; that
 * it went to another namespace, only this. */
bool eg_witness_holds(const struct eg_witness *witness, const struct eg_netns *netns);

#endif /* EG_WITNESS_H */
