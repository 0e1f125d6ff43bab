// SPDX-License-Identifier: GPL-2.0
#include "net/cgroup_target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "net/cgroup.h"
#include "net/process.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/text.h"

#define PROCS_MAX (64U << 20)
#define DEPTH_MAX 64

void eg_cgroup_close(struct eg_cgroup *cgroup)
{
	eg_cleanup_close(&cgroup->fd);
	free(cgroup->path);
	*cgroup = EG_CGROUP_NONE;
}

/* --- opening --------------------------------------------------------------------------------- */

static int open_dir(int at, const char *path)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static __u32 file_system_of(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) < 0 ? 0 : (__u32)fs.f_type;
}

/* As /proc/PID/cgroup names it. */
static int open_below_root(const char *dir)
{
	EG_AUTO_CLOSE int root_fd = -1;
	int result = eg_cgroup_root_open(&root_fd);

	while (*dir == '/')
		dir++;
	if (result < 0 || !*dir)
		return -ENOENT;
	result = eg_open_in_root(root_fd, dir, O_RDONLY | O_DIRECTORY);
	return result;
}

static int open_failed(const char *dir, int err, struct eg_error *error)
{
	EG_AUTO_CLOSE int root_fd = -1;
	char safe[256];

	eg_escape(safe, sizeof(safe), dir, strlen(dir));
	if (err != -ENOENT && err != -ENOTDIR)
		return eg_error_set(error, EG_EXIT_FAILED, -err, "cannot open '%s': %s", safe,
				    strerror(-err));
	if (eg_cgroup_root_open(&root_fd) == -ENOENT)
		return eg_error_set(error, EG_EXIT_KERNEL, ENOENT,
				    "no cgroup v2 hierarchy is mounted here, and --cgroup takes "
				    "one of its directories: mount -t cgroup2 none DIR");
	return eg_error_set(error, EG_EXIT_NO_SUCH, ENOENT,
			    "there is no cgroup '%s', neither as a directory nor below the root "
			    "of the cgroup v2 hierarchy",
			    safe);
}

static int not_a_cgroup(const char *dir, int fd, struct eg_error *error)
{
	char safe[256];

	eg_escape(safe, sizeof(safe), dir, strlen(dir));
	if (file_system_of(fd) == CGROUP_SUPER_MAGIC)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "'%s' is a directory of cgroup v1, which cannot have a guard: "
				    "name one of cgroup v2, whose mount `findmnt -t cgroup2` tells",
				    safe);
	return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
			    "'%s' is no cgroup: --cgroup takes a directory of the cgroup v2 "
			    "hierarchy (`findmnt -t cgroup2`)",
			    safe);
}

static int get_path(int fd, char **ret_path)
{
	char link[32], path[PATH_MAX];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return -errno;
	path[len] = '\0';
	*ret_path = strdup(path);
	return *ret_path ? 0 : -ENOMEM;
}

/* kernfs' file handle is the id that programs see. */
static int get_id(int fd, __u64 *ret_id)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + sizeof(*ret_id)];
	} by_id = {.handle = {.handle_bytes = sizeof(*ret_id)}};
	int mount_id;

	if (name_to_handle_at(fd, "", &by_id.handle, &mount_id, AT_EMPTY_PATH) < 0)
		return -errno;
	if (by_id.handle.handle_bytes != sizeof(*ret_id))
		return -EBADF;
	memcpy(ret_id, by_id.handle.f_handle, sizeof(*ret_id));
	return 0;
}

/* Only the root has no such file. */
static bool is_root(int fd)
{
	return faccessat(fd, "cgroup.events", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

int eg_cgroup_open(const char *dir, struct eg_cgroup *ret_cgroup, struct eg_error *error)
{
	EG_AUTO_CGROUP struct eg_cgroup cgroup = EG_CGROUP_NONE;
	EG_AUTO_CLOSE int below_fd = -1;
	char safe[256];
	int result;

	eg_escape(safe, sizeof(safe), dir, strlen(dir));
	cgroup.fd = open_dir(AT_FDCWD, dir);
	if (cgroup.fd < 0 || file_system_of(cgroup.fd) != CGROUP2_SUPER_MAGIC)
		below_fd = open_below_root(dir);
	if (below_fd >= 0) {
		eg_cleanup_close(&cgroup.fd);
		cgroup.fd = EG_TAKE_FD(below_fd);
	}
	if (cgroup.fd < 0)
		return open_failed(dir, cgroup.fd, error);
	if (file_system_of(cgroup.fd) != CGROUP2_SUPER_MAGIC)
		return not_a_cgroup(dir, cgroup.fd, error);
	if (is_root(cgroup.fd))
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "'%s' is the root of the cgroup hierarchy: that guard would "
				    "cover this whole machine, your remote login included. Name "
				    "the cgroup of a service or a container",
				    safe);
	result = get_id(cgroup.fd, &cgroup.id);
	if (result == 0)
		result = get_path(cgroup.fd, &cgroup.path);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot tell which cgroup '%s' is: %s", safe,
				    strerror(-result));
	ret_cgroup->fd = EG_TAKE_FD(cgroup.fd);
	ret_cgroup->id = cgroup.id;
	ret_cgroup->path = EG_TAKE(cgroup.path);
	return 0;
}

int eg_cgroup_exists(__u64 id)
{
	EG_AUTO_CLOSE int root_fd = -1;
	int fd, result = eg_cgroup_root_open(&root_fd);

	if (result < 0)
		return result;
	fd = eg_cgroup_open_by_id(root_fd, id);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	/* A removed one that somebody still has open can be opened once more. */
	result = faccessat(fd, "cgroup.procs", F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
	close(fd);
	return result;
}

/* --- the namespaces of its processes --------------------------------------------------------- */

struct found {
	struct eg_netns *list;
	size_t n;
};

void eg_cgroup_netns_free(struct eg_netns *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		eg_netns_close(&list[i]);
	free(list);
}

static void found_free(struct found *found)
{
	eg_cgroup_netns_free(found->list, found->n);
}

static bool is_known(const struct found *found, const struct stat *st)
{
	for (size_t i = 0; i < found->n; i++)
		if (found->list[i].dev == st->st_dev && found->list[i].inode == st->st_ino)
			return true;
	return false;
}

/* What ended meanwhile is in no namespace. Anything else fails: left out, it might be the one that
 * counts. */
static int pass_over_gone(int err)
{
	return err == -ENOENT || err == -ESRCH || err == -ENODEV ? 0 : err;
}

static int add_process(struct found *found, pid_t pid)
{
	struct eg_netns netns = EG_NETNS_NONE, *list;
	char path[64];
	struct stat st;
	int result;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	if (stat(path, &st) < 0)
		return pass_over_gone(-errno);
	if (is_known(found, &st))
		return 0;
	result = eg_netns_open_pid(pid, &netns, NULL);
	if (result < 0)
		return pass_over_gone(result);
	list = reallocarray(found->list, found->n + 1, sizeof(*list));
	if (!list) {
		eg_netns_close(&netns);
		return -ENOMEM;
	}
	found->list = list;
	list[found->n++] = netns;
	return 0;
}

/* In a threaded cgroup only threads can be listed. A process of another PID namespace is 0. */
static int add_processes(struct found *found, int dir_fd)
{
	EG_AUTO_FREE char *text = NULL;
	char *lines, *line;
	size_t len;
	int result = eg_file_read(dir_fd, "cgroup.procs", PROCS_MAX, &text, &len);

	if (result == -EOPNOTSUPP)
		result = eg_file_read(dir_fd, "cgroup.threads", PROCS_MAX, &text, &len);
	if (result < 0)
		return pass_over_gone(result);
	lines = text;
	while (result == 0 && (line = strsep(&lines, "\n"))) {
		pid_t pid = eg_pid_parse(line);

		if (pid > 0)
			result = add_process(found, pid);
	}
	return result;
}

static int add_tree(struct found *found, int dir_fd, unsigned int depth)
{
	EG_AUTO_CLOSEDIR DIR *dir = NULL;
	const struct dirent *entry;
	int fd, result = add_processes(found, dir_fd);

	fd = result == 0 ? open_dir(dir_fd, ".") : result;
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return fd < 0 ? pass_over_gone(fd) : -errno;
	while (result == 0 && (entry = readdir(dir))) {
		EG_AUTO_CLOSE int below_fd = -1;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		below_fd = open_dir(dir_fd, entry->d_name);
		if (below_fd < 0)
			result = pass_over_gone(below_fd);
		else
			result = depth < DEPTH_MAX ? add_tree(found, below_fd, depth + 1) : -ELOOP;
	}
	return result;
}

int eg_cgroup_netns(const struct eg_cgroup *cgroup, struct eg_netns **ret_list, size_t *ret_n)
{
	EG_AUTO(found_free) struct found found = {};
	int result = add_tree(&found, cgroup->fd, 0);

	if (result < 0)
		return result;
	*ret_list = found.list;
	*ret_n = found.n;
	found = (struct found){};
	return 0;
}
