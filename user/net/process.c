// SPDX-License-Identifier: GPL-2.0
#include "net/process.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/file.h"

#define NS_PER_S     1000000000ULL
#define STAT_MAX     4096
#define STAT_NAME    2
#define STAT_FLAGS   9 /* fields of proc_pid_stat(5) */
#define STAT_STARTED 22

/* linux/sched.h of the kernel itself */
#define PF_KTHREAD 0x00200000ULL

pid_t eg_pid_parse(const char *text)
{
	long pid = 0;

	for (const char *at = text; *at; at++) {
		if (!isdigit((unsigned char)*at))
			return 0;
		pid = pid * 10 + (*at - '0');
		if (pid > INT_MAX)
			return 0;
	}
	return (pid_t)pid;
}

int eg_processes_visit(int (*visit)(pid_t pid, int proc_fd, void *argument), void *argument)
{
	EG_AUTO_CLOSEDIR DIR *proc = opendir("/proc");
	int result = 0;

	if (!proc)
		return -errno;
	while (!result) {
		const struct dirent *entry;
		pid_t pid;

		errno = 0;
		entry = readdir(proc);
		if (!entry)
			return -errno;
		pid = eg_pid_parse(entry->d_name);
		if (pid)
			result = visit(pid, dirfd(proc), argument);
	}
	return result;
}

/* What the link says: to look at what it leads to takes the kernel three times as long, and a
 * machine has many processes. */
int eg_process_netns_inode(pid_t pid, int proc_fd, ino_t *ret_inode)
{
	unsigned long long inode;
	char path[32], target[32];
	ssize_t len;

	snprintf(path, sizeof(path), "%d/ns/net", pid);
	len = readlinkat(proc_fd, path, target, sizeof(target) - 1);
	if (len < 0)
		return -errno;
	target[len] = '\0';
	if (sscanf(target, "net:[%llu]", &inode) != 1)
		return -EINVAL;
	*ret_inode = (ino_t)inode;
	return 0;
}

/* All namespaces are of one file system, and have numbers of their own. */
int eg_process_in_netns(pid_t pid, int proc_fd, const struct eg_netns *netns)
{
	ino_t inode;
	int result = eg_process_netns_inode(pid, proc_fd, &inode);

	if (result < 0)
		return result == -ENOENT || result == -ESRCH || result == -EACCES ||
				       result == -EINVAL
			       ? 0
			       : result;
	return inode == netns->inode;
}

/* A number of proc_pid_stat(5), by its place there. */
static bool read_stat(pid_t pid, int place, unsigned long long *ret_number)
{
	EG_AUTO_FREE char *stat = NULL;
	char path[32], *field;
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (eg_file_read(AT_FDCWD, path, STAT_MAX, &stat, &len) < 0)
		return false;
	/* The process chose its name, which may hold spaces and brackets; what follows the last one
	 * is the kernel's. */
	field = strrchr(stat, ')');
	for (int i = STAT_NAME; field && i < place; i++)
		field = strchr(field + 1, ' ');
	return field && sscanf(field, " %llu", ret_number) == 1;
}

__u64 eg_process_started(pid_t pid)
{
	unsigned long long ticks;

	if (!read_stat(pid, STAT_STARTED, &ticks))
		return 0;
	return eg_realtime_ns() - eg_boottime_ns() +
	       ticks * (NS_PER_S / (__u64)sysconf(_SC_CLK_TCK));
}

bool eg_process_is_kernel_thread(pid_t pid)
{
	unsigned long long flags;

	return read_stat(pid, STAT_FLAGS, &flags) && flags & PF_KTHREAD;
}
