/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A namespace whose interfaces let nothing out: what stands in a guard's place until that is made,
 * where something may run in there before. A tcx link with a program of two instructions on each,
 * so it is there within a few milliseconds, and gone with the process that holds it.
 */
#ifndef EG_SHUT_H
#define EG_SHUT_H

#include "net/netns.h"

struct eg_shut; /* descriptors of links */

/*
 * Shuts every interface that the namespace has, but loopback and those that have a program there
 * already (a guard's, for one). *ret_n: how many, 0 too; they are shut also where another one
 * could not be, which is -errno: -EINVAL on a kernel without tcx (before Linux 6.6). The caller
 * frees, in any case.
 */
int eg_shut(const struct eg_netns *netns, struct eg_shut **ret_shut, size_t *ret_n);

/* Opens them again. */
void eg_shut_free(struct eg_shut *shut);

#endif /* EG_SHUT_H */
