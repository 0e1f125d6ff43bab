// SPDX-License-Identifier: GPL-2.0
/* A file of a container's, by a path of this machine's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/text.h"

#define MOUNTS_MAX (1024 * 1024)

/* A line of mountinfo: ID PARENT MAJOR:MINOR ROOT PLACE OPTIONS... */
struct mount {
	const char *device; /* "8:1" */
	char *root;         /* what of the file system is mounted */
	char *place;
};

static bool read_mount(char *line, struct mount *ret_mount)
{
	char *fields[5] = {}, *next = line;

	for (size_t i = 0; i < 5; i++)
		fields[i] = strsep(&next, " ");
	if (!next || !fields[2] || !fields[3] || !fields[4])
		return false;
	eg_unescape_octal(fields[3]);
	eg_unescape_octal(fields[4]);
	*ret_mount = (struct mount){fields[2], fields[3], fields[4]};
	return true;
}

static char *read_mounts(pid_t pid)
{
	char path[64], *text = NULL;
	size_t len;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	else
		snprintf(path, sizeof(path), "/proc/self/mountinfo");
	return eg_file_read(AT_FDCWD, path, MOUNTS_MAX, &text, &len) < 0 ? NULL : text;
}

/* What is left of a path below a directory, with its leading slash; NULL: it is not in there. */
static const char *below(const char *directory, const char *path)
{
	size_t len = strlen(directory);

	if (strcmp(directory, "/") == 0)
		return path;
	return strncmp(path, directory, len) == 0 && (!path[len] || path[len] == '/') ? path + len
										      : NULL;
}

/* Where it is on its file system, by the innermost mount that its path goes through; the last of
 * those at one place lies on top. */
static bool find_source(char *mounts, const char *path, char ret_device[32],
			char ret_path[PATH_MAX])
{
	size_t best = 0;
	char *next = mounts, *line;

	while ((line = strsep(&next, "\n"))) {
		struct mount mount;
		const char *rest;

		if (!read_mount(line, &mount) || strlen(mount.place) < best ||
		    !(rest = below(mount.place, path)))
			continue;
		best = strlen(mount.place);
		snprintf(ret_device, 32, "%s", mount.device);
		if (snprintf(ret_path, PATH_MAX, "%s%s", strcmp(mount.root, "/") ? mount.root : "",
			     rest) >= PATH_MAX)
			return false;
	}
	return best > 0;
}

static bool is_same(const char *path, const struct stat *file)
{
	struct stat info;

	return lstat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_dev == file->st_dev &&
	       info.st_ino == file->st_ino;
}

static bool stat_there(pid_t pid, const char *path, struct stat *ret_file)
{
	EG_AUTO_CLOSE int root_fd = -1, fd = -1;
	char root[64];

	snprintf(root, sizeof(root), "/proc/%d/root", (int)pid);
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd >= 0)
		fd = eg_open_in_root(root_fd, path, O_PATH);
	return fd >= 0 && fstat(fd, ret_file) == 0;
}

bool eg_doctor_here(pid_t pid, const char *path, char ret_path[PATH_MAX])
{
	EG_AUTO_FREE char *theirs = read_mounts(pid), *ours = read_mounts(0);
	char device[32], source[PATH_MAX], *next = ours, *line;
	struct stat file;

	if (!path || !theirs || !ours || !stat_there(pid, path, &file) ||
	    !find_source(theirs, path, device, source))
		return false;
	while ((line = strsep(&next, "\n"))) {
		struct mount mount;
		const char *rest;

		if (!read_mount(line, &mount) || strcmp(mount.device, device) != 0 ||
		    !(rest = below(mount.root, source)) ||
		    snprintf(ret_path, PATH_MAX, "%s%s",
			     strcmp(mount.place, "/") ? mount.place : "", rest) >= PATH_MAX)
			continue;
		if (is_same(ret_path, &file))
			return true;
	}
	ret_path[0] = '\0';
	return false;
}
