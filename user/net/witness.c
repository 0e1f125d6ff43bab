// SPDX-License-Identifier: GPL-2.0
#include "net/witness.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "net/process.h"
#include "util/cleanup.h"

void eg_witness_close(struct eg_witness *witness)
{
	eg_cleanup_close(&witness->pidfd);
	*witness = EG_WITNESS_NONE;
}

/* 1 or 0; 0 also where there is no such file. */
static int file_is(int dir_fd, const char *path, const struct eg_netns *netns)
{
	struct stat stat;

	if (fstatat(dir_fd, path, &stat, 0) == 0)
		return stat.st_dev == netns->dev && stat.st_ino == netns->inode;
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
	case ESRCH:
	case EINVAL:
	case EACCES:
	case ELOOP:
		return 0;
	}
	return -errno;
}

struct search {
	const struct eg_netns *netns;
	struct eg_witness *witness;
	int failed; /* why something could not be looked at */
};

static int take_path(struct search *search, const char *path)
{
	int is = file_is(AT_FDCWD, path, search->netns);

	if (is < 0 && !search->failed)
		search->failed = is;
	if (is <= 0)
		return 0;
	snprintf(search->witness->path, sizeof(search->witness->path), "%s", path);
	return 1;
}

static int search_directory(const char *directory, void *argument)
{
	struct search *search = argument;
	EG_AUTO_CLOSEDIR DIR *dir = opendir(directory);
	const struct dirent *entry;
	int found = 0;

	if (!dir) {
		if (errno != ENOENT && !search->failed)
			search->failed = -errno;
		return 0;
	}
	while (!found && (entry = readdir(dir))) {
		char path[PATH_MAX];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		found = take_path(search, path);
	}
	return found;
}

/* The descriptor first: while it is of a living process, its number is nobody else's. */
static int take_process(pid_t pid, int proc_fd, void *argument)
{
	struct search *search = argument;
	EG_AUTO_CLOSE int pidfd = -1;
	int inside;

	if (pid == getpid() || eg_process_in_netns(pid, proc_fd, search->netns) <= 0)
		return 0;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	inside = eg_process_in_netns(pid, proc_fd, search->netns);
	if (inside < 0 && !search->failed)
		search->failed = inside;
	if (inside <= 0)
		return 0;
	search->witness->pid = pid;
	search->witness->pidfd = EG_TAKE_FD(pidfd);
	return 1;
}

static bool is_our_own(const struct eg_netns *netns)
{
	EG_AUTO_NETNS struct eg_netns own = EG_NETNS_NONE;

	return eg_netns_open_self(&own) == 0 && eg_netns_same(&own, netns);
}

int eg_witness_find(const struct eg_netns *netns, const char *path, struct eg_witness *ret_witness)
{
	struct eg_witness witness = EG_WITNESS_NONE;
	struct search search = {.netns = netns, .witness = &witness};
	int found;

	/* What we keep by being in it does not end before we do. */
	if (is_our_own(netns)) {
		witness.pid = getpid();
		*ret_witness = witness;
		return 0;
	}
	found = eg_netns_kept_visit(search_directory, &search);
	/* What is below /proc is a process's, and goes with it. */
	if (!found && path && path[0] == '/' && strncmp(path, "/proc/", 6) != 0)
		found = take_path(&search, path);
	if (!found)
		found = eg_processes_visit(take_process, &search);
	if (found <= 0)
		return found < 0 ? found : search.failed ? search.failed : -ENOENT;
	*ret_witness = witness;
	return 0;
}

bool eg_witness_holds(const struct eg_witness *witness, const struct eg_netns *netns)
{
	char path[32];

	if (!witness->pid)
		return file_is(AT_FDCWD, witness->path, netns) != 0;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", witness->pid);
	return file_is(AT_FDCWD, path, netns) != 0;
}
