/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A namespace whose interfaces let nothing out: what stands in a guard's place until that is made,
 * where something may run in there before. A tcx link with a program of two instructions on each,
 * so it is there within a few milliseconds, and gone with the process that holds it.
 */
#ifndef EG_SHUT_H
#define EG_SHUT_H

#include <stdbool.h>
#include <stddef.h>

#include "net/netns.h"

struct eg_shut; /* the program, and descriptors of its links */

int eg_shut_new(struct eg_shut **ret_shut);

/*
 * Shuts every interface that the namespace has now, but loopback and those that have a program
 * there already (a guard's, for one). -errno: one could not be shut, and the others are all the
 * same; -EINVAL on a kernel without tcx (before Linux 6.6).
 */
int eg_shut_look(struct eg_shut *shut, const struct eg_netns *netns);

/* How many it has shut; and whether, when it last looked, that was all of them. */
size_t eg_shut_count(const struct eg_shut *shut);
bool eg_shut_is_whole(const struct eg_shut *shut);

/* Opens them again. */
void eg_shut_free(struct eg_shut *shut);

#endif /* EG_SHUT_H */
