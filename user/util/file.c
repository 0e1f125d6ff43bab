// SPDX-License-Identifier: GPL-2.0
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "util/cleanup.h"

#define FIRST_SIZE 4096

/* RESOLVE_IN_ROOT fails with EAGAIN when something was renamed meanwhile. */
#define RESOLVE_ATTEMPTS 32

/* What to allocate first: a file of /proc says that it has no bytes. One more than the file has, so
 * that its end is seen without growing. */
static size_t first_size(int fd, size_t max)
{
	struct stat stat;

	if (fstat(fd, &stat) < 0 || stat.st_size < FIRST_SIZE)
		return FIRST_SIZE;
	return ((size_t)stat.st_size < max ? (size_t)stat.st_size : max) + 2;
}

int eg_fd_read(int fd, size_t max, char **ret_data, size_t *ret_len)
{
	EG_AUTO_FREE char *data = NULL;
	size_t size = first_size(fd, max), len = 0;

	data = malloc(size);
	if (!data)
		return -ENOMEM;
	for (;;) {
		ssize_t got;

		if (len + 1 == size) {
			char *grown = realloc(data, size * 2);

			if (!grown)
				return -ENOMEM;
			data = grown;
			size *= 2;
		}
		got = read(fd, data + len, size - len - 1);
		if (got < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (!got)
			break;
		len += (size_t)got;
		if (len > max)
			return -EFBIG;
	}
	data[len] = '\0';
	*ret_data = EG_TAKE(data);
	*ret_len = len;
	return 0;
}

int eg_file_read(int dir_fd, const char *path, size_t max, char **ret_data, size_t *ret_len)
{
	EG_AUTO_CLOSE int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	return eg_fd_read(fd, max, ret_data, ret_len);
}

int eg_open_in_root(int root_fd, const char *path, int flags)
{
	struct open_how how = {.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};

	flags |= O_CLOEXEC;
	/* openat2() refuses flags that mean nothing to O_PATH. */
	if (!(flags & O_PATH))
		flags |= O_NOCTTY | O_NONBLOCK;
	how.flags = (unsigned int)flags;
	for (int i = 0;; i++) {
		long fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN || i == RESOLVE_ATTEMPTS)
			return -errno;
	}
}

int eg_file_read_in_root(int root_fd, const char *path, size_t max, char **ret_data,
			 size_t *ret_len)
{
	EG_AUTO_CLOSE int fd = eg_open_in_root(root_fd, path, O_PATH);
	struct stat info;
	char link[32];

	if (fd < 0)
		return fd;
	if (fstat(fd, &info) < 0)
		return -errno;
	if (!S_ISREG(info.st_mode))
		return -EINVAL;
	/* what was looked at, whatever the path leads to by now */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return eg_file_read(AT_FDCWD, link, max, ret_data, ret_len);
}
