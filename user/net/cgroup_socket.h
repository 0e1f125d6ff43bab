/* SPDX-License-Identifier: GPL-2.0 */
/* Whether the kernel knows of which cgroup a socket is. */
#ifndef EG_CGROUP_SOCKET_H
#define EG_CGROUP_SOCKET_H

#include "net/cgroup_target.h"

/*
 * 1: a socket that is made here belongs to the cgroup of its maker. 0: to the root, whoever makes
 * it, so that what is attached below never sees what it sends: until Linux 5.15 the kernel has one
 * word of a socket for this and for the controllers net_cls and net_prio of cgroup v1, and gives
 * this up for good once either of those is used. Or a negative errno: not known.
 *
 * Found by a socket of our own; where this process is in the root itself, by one that a short-lived
 * process makes in `cgroup` or, where no process may be in that, in another one.
 */
int eg_cgroup_keeps_sockets(const struct eg_cgroup *cgroup);

#endif /* EG_CGROUP_SOCKET_H */
