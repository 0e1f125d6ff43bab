/* SPDX-License-Identifier: GPL-2.0 */
#ifndef EG_CGROUP_H
#define EG_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether this machine's process `pid` is in the container, by its cgroups. */
bool eg_cgroup_holds(pid_t pid, const char *container_id);

#endif /* EG_CGROUP_H */
