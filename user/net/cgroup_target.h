/* SPDX-License-Identifier: GPL-2.0 */
/* A cgroup v2 directory as the target of a guard. */
#ifndef EG_CGROUP_TARGET_H
#define EG_CGROUP_TARGET_H

#include "net/netns.h"

/* What the text of such a target begins with; the absolute path follows. */
#define EG_CGROUP_PREFIX "cgroup:"

struct eg_cgroup {
	int fd; /* owned; -1: none */
	__u64 id;
	char *path; /* owned; absolute */
};
#define EG_CGROUP_NONE ((struct eg_cgroup){.fd = -1})
void eg_cgroup_close(struct eg_cgroup *cgroup);
#define EG_AUTO_CGROUP __attribute__((cleanup(eg_cgroup_close)))

/*
 * Opens a directory of the cgroup v2 hierarchy, named as any directory is, or as /proc/PID/cgroup
 * names it, from the hierarchy's root. EG_EXIT_USAGE: it is something else, or the root, in which
 * the whole machine is. EG_EXIT_NO_SUCH: there is none.
 */
int eg_cgroup_open(const char *dir, struct eg_cgroup *ret_cgroup, struct eg_error *error);

/* 1 if the cgroup with this id is still there, 0 if it is gone, -errno if that cannot be told. */
int eg_cgroup_exists(__u64 id);

/*
 * The network namespaces that the processes in it, and in all beneath it, are in just now: each
 * once, in no order. The caller frees with eg_cgroup_netns_free().
 */
int eg_cgroup_netns(const struct eg_cgroup *cgroup, struct eg_netns **ret_list, size_t *ret_n);
void eg_cgroup_netns_free(struct eg_netns *list, size_t n);

#endif /* EG_CGROUP_TARGET_H */
