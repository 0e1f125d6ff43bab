// SPDX-License-Identifier: GPL-2.0
#include "net/hidden.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/process.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/text.h"

/* The kernel nests user namespaces up to 32 deep. */
#define DEPTH_MAX      33
#define MOUNTS_MAX     (4U << 20)
#define NAMESPACES_MAX 4096
/* What is looked at, at most: whoever is root inside can hold as much as the kernel lets him, and
 * `status` is asked by health checks. A look into a namespace counts for many. All of them took 2.8
 * seconds on a machine that was busy otherwise, too. */
#define LOOKS_MAX  400000
#define NETNS_LOOK 100

struct identity {
	dev_t dev;
	ino_t inode;
};

struct search {
	const struct eg_netns *netns;
	struct identity owner; /* the user namespace that it belongs to */
	struct identity own;   /* that of this process */
	int (*visit)(const struct eg_hidden *hidden, void *argument);
	void *argument;
	struct identity seen[NAMESPACES_MAX];
	size_t n_seen;
	size_t looks;
};

static bool is_same(const struct identity *a, const struct identity *b)
{
	return a->dev == b->dev && a->inode == b->inode;
}

static int identify(int fd, struct identity *ret_identity)
{
	struct stat stat;

	if (fstat(fd, &stat) < 0)
		return -errno;
	*ret_identity = (struct identity){.dev = stat.st_dev, .inode = stat.st_ino};
	return 0;
}

/* --- user namespaces ------------------------------------------------------------------------- */

/* Whether a user namespace is the target's, or one below it. Takes `fd`. The way up ends at our
 * own, above which we may not look (EPERM). */
static bool is_below(const struct search *search, int fd)
{
	bool found = false;

	for (int depth = 0; fd >= 0 && !found && depth < DEPTH_MAX; depth++) {
		struct identity identity = {};
		int parent = -1;

		if (identify(fd, &identity) == 0 && !is_same(&identity, &search->own)) {
			found = is_same(&identity, &search->owner);
			parent = found ? -1 : ioctl(fd, NS_GET_PARENT);
		}
		close(fd);
		fd = parent;
	}
	if (fd >= 0)
		close(fd);
	return found;
}

static bool belongs_to_root(const struct search *search, const struct eg_netns *netns)
{
	return is_below(search, ioctl(netns->fd, NS_GET_USERNS));
}

/* --- one namespace ---------------------------------------------------------------------------- */

static int look_at_link(const struct search *search, const struct eg_netns *netns,
			const struct eg_link *link)
{
	struct eg_hidden hidden = {.netns = netns, .link = link};
	struct eg_peer peer = {.netns = EG_NETNS_NONE};
	int result;

	if (link->loopback)
		return 0;
	if (!link->kind[0] || (strcmp(link->kind, "veth") != 0 && link->elsewhere))
		return search->visit(&hidden, search->argument);
	if (strcmp(link->kind, "veth") != 0)
		return 0;
	result = eg_peer_find(netns, link, &peer);
	if (result < 0)
		return result == -ENOENT ? 0 : result;
	hidden.peer = &peer;
	result = search->visit(&hidden, search->argument);
	eg_peer_close(&peer);
	return result;
}

/* 1 if it was not seen before. More than fit are looked at each time they are met. */
static bool is_new(struct search *search, const struct eg_netns *netns)
{
	const struct identity identity = {.dev = netns->dev, .inode = netns->inode};

	for (size_t i = 0; i < search->n_seen; i++)
		if (is_same(&search->seen[i], &identity))
			return false;
	if (search->n_seen < NAMESPACES_MAX)
		search->seen[search->n_seen++] = identity;
	return true;
}

static int look_at_netns(const struct eg_netns *netns, void *argument)
{
	struct search *search = argument;
	EG_AUTO_FREE struct eg_link *links = NULL;
	size_t n = 0;
	int result = 0;

	if (eg_netns_same(netns, search->netns) || !is_new(search, netns) ||
	    !belongs_to_root(search, netns))
		return 0;
	result = eg_links_get(netns, &links, &n);
	for (size_t i = 0; result == 0 && i < n; i++)
		result = look_at_link(search, netns, &links[i]);
	return result;
}

/* -E2BIG: there is more than may be looked at. */
static int count_looks(struct search *search, size_t n)
{
	search->looks += n;
	return search->looks > LOOKS_MAX ? -E2BIG : 0;
}

/* Whether `name` is a network namespace, as /proc writes it, that has not been looked at. */
static bool is_unknown_netns(const struct search *search, const char *name)
{
	unsigned long long inode;

	if (sscanf(name, "net:[%llu]", &inode) != 1 || inode == search->netns->inode)
		return false;
	for (size_t i = 0; i < search->n_seen; i++)
		if (search->seen[i].inode == inode)
			return false;
	return true;
}

/* What is gone meanwhile, or is no network namespace, is passed over. */
static int look_at_path(struct search *search, const char *path)
{
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	int result = count_looks(search, NETNS_LOOK);

	if (result)
		return result;
	return eg_netns_open_path(path, &netns, NULL) < 0 ? 0 : look_at_netns(&netns, search);
}

/* --- what processes hold -------------------------------------------------------------------------
 */

/* Each entry of /proc/PID/SUBDIR that is, or has below it (`inner`), a link to a network namespace.
 */
static int look_at_entries(struct search *search, pid_t pid, const char *subdir, const char *inner)
{
	EG_AUTO_CLOSEDIR DIR *dir = NULL;
	const struct dirent *entry;
	char path[PATH_MAX], target[32];
	int result = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, subdir);
	dir = opendir(path);
	while (dir && !result && (entry = readdir(dir))) {
		ssize_t len;

		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/%s/%.20s%s", pid, subdir, entry->d_name,
			 inner);
		/* Never opened for a look: what a process has open may be anything. */
		len = readlink(path, target, sizeof(target) - 1);
		result = count_looks(search, 1);
		if (result || len < 0)
			continue;
		target[len] = '\0';
		if (is_unknown_netns(search, target))
			result = look_at_path(search, path);
	}
	return result;
}

/* A line: ID PARENT MAJOR:MINOR ROOT PLACE OPTIONS... - TYPE SOURCE OPTIONS */
static int look_at_mount(struct search *search, int root_fd, char *line)
{
	char *fields[5] = {}, *next = line, path[64];
	EG_AUTO_CLOSE int fd = -1;
	int result = count_looks(search, 1);

	for (size_t i = 0; i < 5; i++)
		fields[i] = strsep(&next, " ");
	if (result || !next || !is_unknown_netns(search, fields[3]))
		return result;
	eg_unescape_octal(fields[4]);
	fd = eg_open_in_root(root_fd, fields[4], O_RDONLY);
	if (fd < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return look_at_path(search, path);
}

static int look_at_mounts(struct search *search, pid_t pid)
{
	EG_AUTO_FREE char *mounts = NULL;
	EG_AUTO_CLOSE int root_fd = -1;
	char path[64], *next, *line;
	size_t len = 0;
	int result = 0;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	if (eg_file_read(AT_FDCWD, path, MOUNTS_MAX, &mounts, &len) < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	next = mounts;
	while (root_fd >= 0 && !result && (line = strsep(&next, "\n")))
		result = look_at_mount(search, root_fd, line);
	return result;
}

static int look_at_process(pid_t pid, int proc_fd, void *argument)
{
	struct search *search = argument;
	struct stat user;
	char path[32];
	int result;

	snprintf(path, sizeof(path), "%d/ns/user", pid);
	if (fstatat(proc_fd, path, &user, 0) < 0 ||
	    (user.st_dev == search->own.dev && user.st_ino == search->own.inode) ||
	    !is_below(search, openat(proc_fd, path, O_RDONLY | O_CLOEXEC)))
		return 0;
	result = look_at_entries(search, pid, "task", "/ns/net");
	if (!result)
		result = look_at_entries(search, pid, "fd", "");
	return result ? result : look_at_mounts(search, pid);
}

int eg_hidden_visit(const struct eg_netns *netns,
		    int (*visit)(const struct eg_hidden *hidden, void *argument), void *argument)
{
	EG_AUTO_FREE struct search *search = NULL;
	EG_AUTO_CLOSE int owner = -1;
	struct stat own;
	int result = eg_netns_is_ours(netns);

	if (result)
		return result < 0 ? result : 0;
	search = calloc(1, sizeof(*search));
	if (!search)
		return -ENOMEM;
	search->netns = netns;
	search->visit = visit;
	search->argument = argument;
	owner = ioctl(netns->fd, NS_GET_USERNS);
	if (owner < 0 || stat("/proc/self/ns/user", &own) < 0)
		return -errno;
	search->own = (struct identity){.dev = own.st_dev, .inode = own.st_ino};
	result = identify(owner, &search->owner);
	if (!result)
		result = eg_netns_each(look_at_netns, search);
	return result ? result : eg_processes_visit(look_at_process, search);
}
