/* SPDX-License-Identifier: GPL-2.0 */
#ifndef EG_CGROUP_H
#define EG_CGROUP_H

#include <linux/types.h>
#include <stdbool.h>
#include <sys/types.h>

/* Whether this machine's process `pid` is in the container, by its cgroups. */
bool eg_cgroup_holds(pid_t pid, const char *container_id);

/* Opens the root of the cgroup v2 hierarchy. -ENOENT: it is mounted nowhere here. -EXDEV: only a
 * part of it is, as in a container. */
int eg_cgroup_root_open(int *ret_fd);

/* Opens the directory of a cgroup by its id, below a mount of the hierarchy. -ENOENT: it is gone,
 * or not below. */
int eg_cgroup_open_by_id(int mount_fd, __u64 cgroup_id);

/* The id of the container that a process is in; false if it is in none. */
bool eg_cgroup_container_of(pid_t pid, char ret_id[65]);

#endif /* EG_CGROUP_H */
