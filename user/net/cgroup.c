// SPDX-License-Identifier: GPL-2.0
/* Which container a cgroup belongs to. */
#include "net/cgroup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

#include "net/parse.h"
#include "util/cleanup.h"
#include "util/file.h"

#define ID_LEN        64
#define CGROUP_MAX    (1U << 20)
#define MOUNTINFO_MAX (16U << 20)

/* The file handle of kernfs: its 64-bit id. Not in the headers of user space. */
#define FILEID_KERNFS 0xfe

/* --- ids ----------------------------------------------------------------------------------- */

static bool is_id_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* The next word of letters and digits that looks like an id; NULL: none. */
static const char *next_id(const char *text)
{
	while (*text) {
		size_t len = 0, digits = 0;

		for (; isalnum((unsigned char)text[len]); len++)
			digits += is_id_digit(text[len]);
		if (len == ID_LEN && digits == ID_LEN)
			return text;
		text += len ? len : 1;
	}
	return NULL;
}

static bool is_after(const char *path, const char *id, const char *prefix)
{
	size_t len = strlen(prefix);

	return (size_t)(id - path) >= len && memcmp(id - len, prefix, len) == 0;
}

/* Podman's monitor runs beside its container, not in it. */
static bool is_monitor(const char *path, const char *id)
{
	return is_after(path, id, "conmon-");
}

/* A pod of Podman's has an id too. Its containers are below it: in
 * machine-libpod_pod_POD.slice/libpod-ID.scope, or in libpod_parent/POD/libpod-ID. */
static bool is_pod(const char *path, const char *id)
{
	static const char container[] = "/libpod-";

	return is_after(path, id, "libpod_pod_") ||
	       (is_after(path, id, "/libpod_parent/") &&
		strncmp(id + ID_LEN, container, strlen(container)) == 0);
}

bool eg_cgroup_container_id(const char *path, char ret_id[65])
{
	/* The first one: those below it are the container's own to make. */
	const char *id = next_id(path);

	if (id && is_pod(path, id))
		id = next_id(id + ID_LEN);
	if (!id || is_monitor(path, id))
		return false;
	memcpy(ret_id, id, ID_LEN);
	ret_id[ID_LEN] = '\0';
	return true;
}

bool eg_cgroup_names_id(const char *text, const char *id)
{
	for (const char *at = next_id(text); at; at = next_id(at + ID_LEN))
		if (memcmp(at, id, ID_LEN) == 0 && !is_monitor(text, at))
			return true;
	return false;
}

bool eg_cgroup_holds(pid_t pid, const char *container_id)
{
	EG_AUTO_FREE char *text = NULL;
	char path[32];
	size_t len;

	if (strlen(container_id) != ID_LEN)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	if (eg_file_read(AT_FDCWD, path, CGROUP_MAX, &text, &len) < 0)
		return false;
	return eg_cgroup_names_id(text, container_id);
}

bool eg_cgroup_container_of(pid_t pid, char ret_id[65])
{
	EG_AUTO_FREE char *text = NULL;
	char path[32];
	size_t len;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	if (eg_file_read(AT_FDCWD, path, CGROUP_MAX, &text, &len) < 0)
		return false;
	for (char *line = text, *next; line && *line; line = next) {
		next = strchrnul(line, '\n');
		if (*next)
			*next++ = '\0';
		if (eg_cgroup_container_id(line, ret_id))
			return true;
	}
	return false;
}

/* --- paths --------------------------------------------------------------------------------- */

/* Undoes the \ooo of mountinfo, in place. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] >= '0' &&
		    text[2] <= '7' && text[3] >= '0' && text[3] <= '7') {
			*to++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 |
				       (text[3] - '0'));
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/* Whether the root of a mount is that of the whole hierarchy: from inside a cgroup namespace it is
 * seen as "/..", "/../.." and so on. */
static bool is_whole(const char *root)
{
	while (strncmp(root, "/..", 3) == 0)
		root += 3;
	return !*root || strcmp(root, "/") == 0;
}

/* The mount point of a line of mountinfo, if it is the root of a cgroup2 file system. In place. */
static char *cgroup2_mount_point(char *line)
{
	char *fields = line, *field = NULL;
	char *type = strstr(line, " - ");

	if (!type || strncmp(type, " - cgroup2 ", strlen(" - cgroup2 ")) != 0)
		return NULL;
	for (int i = 0; i < 4; i++)
		field = strsep(&fields, " ");
	if (!field || !fields || !is_whole(field))
		return NULL;
	field = strsep(&fields, " ");
	unescape(field);
	return field;
}

int eg_cgroup_open_by_id(int mount_fd, __u64 cgroup_id)
{
	union {
		struct file_handle handle;
		char space[sizeof(struct file_handle) + sizeof(cgroup_id)];
	} by_id = {.handle = {.handle_bytes = sizeof(cgroup_id), .handle_type = FILEID_KERNFS}};
	int fd;

	memcpy(by_id.handle.f_handle, &cgroup_id, sizeof(cgroup_id));
	fd = open_by_handle_at(mount_fd, &by_id.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ESTALE ? -ENOENT : -errno;
	return fd;
}

/* -ENOENT also where the cgroup is outside what this mount shows, or another file system is mounted
 * over it. */
static int path_below(const char *mount_point, __u64 cgroup_id, char **ret_path)
{
	EG_AUTO_CLOSE int mount_fd = open(mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EG_AUTO_CLOSE int fd = -1;
	size_t mount_len = strlen(mount_point);
	char link[32], path[PATH_MAX];
	ssize_t len;

	if (mount_fd < 0)
		return -errno;
	fd = eg_cgroup_open_by_id(mount_fd, cgroup_id);
	if (fd < 0)
		return fd;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return -errno;
	path[len] = '\0';
	if (strncmp(path, mount_point, mount_len) != 0)
		return -ENOENT;
	*ret_path = strdup(path[mount_len] ? path + mount_len : "/");
	return *ret_path ? 0 : -ENOMEM;
}

int eg_cgroup_path(__u64 cgroup_id, char **ret_path)
{
	EG_AUTO_FREE char *text = NULL;
	char *lines, *line;
	size_t len;
	int result = eg_file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, &len);

	if (result < 0)
		return result;
	lines = text;
	result = -ENOENT;
	while (result < 0 && (line = strsep(&lines, "\n"))) {
		const char *mount_point = cgroup2_mount_point(line);

		if (mount_point)
			result = path_below(mount_point, cgroup_id, ret_path);
	}
	return result;
}

/* --- the root ------------------------------------------------------------------------------ */

/* What a mount shows may be a part of the hierarchy though it looks whole, from inside a cgroup
 * namespace. Only the root itself has no such file. */
static bool is_root_cgroup(int fd)
{
	return faccessat(fd, "cgroup.events", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

/* As a process sees it: by its list of mounts, below its root. */
static int open_root_of(const char *process, int *ret_fd)
{
	EG_AUTO_FREE char *text = NULL;
	char mounts[32], path[PATH_MAX];
	char *lines, *line;
	size_t len;
	int result;

	snprintf(mounts, sizeof(mounts), "/proc/%s/mountinfo", process);
	result = eg_file_read(AT_FDCWD, mounts, MOUNTINFO_MAX, &text, &len);
	if (result < 0)
		return result;
	lines = text;
	result = -ENOENT;
	while ((line = strsep(&lines, "\n"))) {
		const char *mount_point = cgroup2_mount_point(line);
		EG_AUTO_CLOSE int fd = -1;
		struct statfs fs;

		if (!mount_point || snprintf(path, sizeof(path), "/proc/%s/root%s", process,
					     mount_point) >= (int)sizeof(path))
			continue;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* Another file system may be mounted over it. */
		if (fd < 0 || fstatfs(fd, &fs) < 0 || (__u32)fs.f_type != CGROUP2_SUPER_MAGIC)
			continue;
		if (is_root_cgroup(fd)) {
			*ret_fd = EG_TAKE_FD(fd);
			return 0;
		}
		result = -EXDEV;
	}
	return result;
}

/* A container has its own cgroup where others have the root, but PID 1 may be the machine's. */
int eg_cgroup_root_open(int *ret_fd)
{
	int result = open_root_of("self", ret_fd);

	if ((result == -ENOENT || result == -EXDEV) && open_root_of("1", ret_fd) == 0)
		return 0;
	return result;
}
