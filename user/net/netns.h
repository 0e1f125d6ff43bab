/* SPDX-License-Identifier: GPL-2.0 */
/* Network namespaces: open, tell apart, enter for one call. */
#ifndef EG_NETNS_H
#define EG_NETNS_H

#include <stdbool.h>
#include <sys/types.h>

#include "eg_abi.h"
#include "util/error.h"

struct eg_netns {
	int fd; /* owned; -1: none */
	dev_t dev;
	ino_t inode;
	__u64 cookie; /* 0: the kernel (before 5.14, SO_NETNS_COOKIE) does not tell */
};
#define EG_NETNS_NONE ((struct eg_netns){.fd = -1})
void eg_netns_close(struct eg_netns *netns);
/* The one that a guard was made for, to compare with: no descriptor is opened. Of a guard of a
 * cgroup it is none (0). */
struct eg_netns eg_netns_of_meta(const struct eg_meta *meta);
#define EG_AUTO_NETNS __attribute__((cleanup(eg_netns_close)))

/* Checks that it is a network namespace (NS_GET_NSTYPE) before it is used as one. */
int eg_netns_open_path(const char *path, struct eg_netns *ret_netns, struct eg_error *error);
int eg_netns_open_pid(pid_t pid, struct eg_netns *ret_netns, struct eg_error *error);
int eg_netns_open_self(struct eg_netns *ret_netns);

/* The namespace of PID 1 (of the kernel's threads where PID 1's is hidden). True if that cannot be
 * told. */
bool eg_netns_is_initial(const struct eg_netns *netns);
bool eg_netns_same(const struct eg_netns *a, const struct eg_netns *b);

/* Finds a namespace that something still holds (a process of /proc, a file of /run/netns or of
 * /run/docker/netns, where overlay networks are) by
 * device, inode and, where both sides know it, cookie. -ENOENT if nothing does; any other error
 * means that it may be where we could not look. */
int eg_netns_find(dev_t dev, ino_t inode, __u64 cookie, struct eg_netns *ret_netns);

/* Runs `call` on a thread of its own inside the namespace and returns what it returned (or -errno
 * if it could not enter). The calling thread never changes its namespace. Sockets and links that
 * the call makes stay bound to the namespace they were made in. From such a call, for the same
 * namespace, it is called on the same thread: a thread takes a hundred times what most calls do. */
int eg_netns_run(const struct eg_netns *netns, int (*call)(void *argument), void *argument);

/* Calls `visit` once for each namespace that a process or a file of /run/netns holds, the caller's
 * own first; stops when it returns non-zero and returns that. The descriptor is closed after it.
 * Where some could not be looked at, all others are visited before the error is returned. */
int eg_netns_visit(int (*visit)(const struct eg_netns *netns, void *argument), void *argument);

/* PIDs with a process in the namespace, ascending; at most `max`. */
int eg_netns_pids(const struct eg_netns *netns, pid_t *pids, size_t max, size_t *ret_n);

/* Until they are forgotten, eg_netns_pids() in this thread tells of the processes that are there
 * now, or were when this was last called, if that is not longer ago than `max_age_ns`: for whoever
 * asks it of many namespaces, and would else look at each process for each. */
void eg_netns_remember_processes(__u64 max_age_ns);
void eg_netns_forget_processes(void);

/* 1 if the namespace belongs to our own user namespace, or to one above it, so that a privilege
 * there is one over the host's namespaces too; 0 if to another one; -errno. */
int eg_netns_is_ours(const struct eg_netns *netns);

#endif /* EG_NETNS_H */
