/* SPDX-License-Identifier: GPL-2.0 */
/* What /proc says of processes. Any of them may vanish, or its number change hands, at any time. */
#ifndef EG_PROCESS_H
#define EG_PROCESS_H

#include "net/netns.h"

/* Calls `visit` for each process, ascending, with a descriptor of /proc; stops when it returns
 * non-zero and returns that. */
int eg_processes_visit(int (*visit)(pid_t pid, int proc_fd, void *argument), void *argument);

/* The number of its network namespace. `proc_fd`: of /proc. */
int eg_process_netns_inode(pid_t pid, int proc_fd, ino_t *ret_inode);

/* 1 or 0; 0 also where it is gone meanwhile, or hidden from us. */
int eg_process_in_netns(pid_t pid, int proc_fd, const struct eg_netns *netns);

/* CLOCK_REALTIME nanoseconds, 0: not known. */
__u64 eg_process_started(pid_t pid);

/* False, too, where it is gone or cannot be told. */
bool eg_process_is_kernel_thread(pid_t pid);

/* A decimal PID, 0 if `text` is not one. PURE. */
pid_t eg_pid_parse(const char *text);

/* eg_netns_visit() without the cookies, which take a thread for each namespace. */
int eg_netns_each(int (*visit)(const struct eg_netns *netns, void *argument), void *argument);

/* Looks for one: as eg_netns_each(), until `is_it` returns 1. Where the calling thread's last
 * search ended is looked at first but one, so that many searches with the same end take no look at
 * each. */
int eg_netns_search(int (*is_it)(const struct eg_netns *netns, void *argument), void *argument);

/* Calls `visit` for each directory in which files keep namespaces; stops when it returns non-zero
 * and returns that. */
int eg_netns_kept_visit(int (*visit)(const char *directory, void *argument), void *argument);

/* Fills in the cookie, if the kernel tells it. */
void eg_netns_learn_cookie(struct eg_netns *netns);

#endif /* EG_PROCESS_H */
