// SPDX-License-Identifier: GPL-2.0
#include "net/container_netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/text.h"

#define ESCAPED_LEN 512

const char *eg_container_shares_with(const struct eg_container *container)
{
	static const char shared[] = "container:";

	if (!container->network_mode ||
	    strncmp(container->network_mode, shared, strlen(shared)) != 0)
		return NULL;
	return container->network_mode + strlen(shared);
}

/* The user namespace that another one belongs to. */
static int owner_of(int fd, struct stat *ret_owner)
{
	EG_AUTO_CLOSE int owner = ioctl(fd, NS_GET_USERNS);

	return owner < 0 || fstat(owner, ret_owner) < 0 ? -errno : 0;
}

/* 1 or 0. Its PID namespace a process never leaves, and an engine makes both in one user namespace
 * where it does not make them in its own; what a container makes is in one of the container's. */
static int is_engines(const struct eg_netns *netns, pid_t pid)
{
	EG_AUTO_CLOSE int fd = -1;
	struct stat of_netns, of_pids;
	char path[32];
	int result = eg_netns_is_ours(netns);

	if (result != 0)
		return result;
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	result = owner_of(fd, &of_pids);
	if (result == -EPERM) /* above ours */
		return 0;
	if (result == 0)
		result = owner_of(netns->fd, &of_netns);
	return result < 0 ? result
			  : of_pids.st_dev == of_netns.st_dev && of_pids.st_ino == of_netns.st_ino;
}

/* The one that the engine keeps. -ENOENT: it keeps none for this container, or where we do not see
 * it. */
static int open_kept(const struct eg_container *container, struct eg_netns *ret_netns)
{
	if (eg_container_shares_with(container) || !container->sandbox ||
	    container->sandbox[0] != '/' ||
	    eg_netns_open_path(container->sandbox, ret_netns, NULL) < 0)
		return -ENOENT;
	return 0;
}

int eg_container_netns(const struct eg_container *container, struct eg_netns *ret_netns,
		       struct eg_error *error)
{
	EG_AUTO_NETNS struct eg_netns of_process = EG_NETNS_NONE, kept = EG_NETNS_NONE;
	struct eg_netns *found = &of_process;
	char name[ESCAPED_LEN];
	int result = eg_netns_open_pid(container->pid, &of_process, error);

	if (result < 0)
		return result;
	if (open_kept(container, &kept) == 0 &&
	    (eg_netns_same(&kept, &of_process) || eg_runtime_is_roots(container->runtime)))
		found = &kept;
	else
		result = is_engines(&of_process, container->pid);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot tell whose the network namespace of process %d is: %s",
				    container->pid, strerror(-result));
	if (found == &of_process && result == 0)
		return eg_error_set(
			error, EG_EXIT_FAILED, EPERM,
			"the first process of the container '%s' is in a network namespace that "
			"the "
			"container can have made itself, and its engine does not tell which one it "
			"has: what else runs there is not guarded by a guard on that. Name the "
			"namespace (netns:NAME, or pid:N of another of its processes)",
			eg_escape(name, sizeof(name), container->name, strlen(container->name)));
	*ret_netns = *found;
	found->fd = -1;
	return 0;
}
