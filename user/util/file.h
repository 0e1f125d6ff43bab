/* SPDX-License-Identifier: GPL-2.0 */
/* Small I/O. */
#ifndef EG_FILE_H
#define EG_FILE_H

#include <stddef.h>

/* Reads a whole file of at most `max` bytes; -EFBIG if it is longer. *ret_data is NUL-terminated
 * and the caller's to free. `path` is relative to `dir_fd` (AT_FDCWD allowed). */
int eg_file_read(int dir_fd, const char *path, size_t max, char **ret_data, size_t *ret_len);

/* The same from an open file. */
int eg_fd_read(int fd, size_t max, char **ret_data, size_t *ret_len);

/*
 * Opens `path` as the process that owns `root_fd` would, without ever leaving that root: openat2()
 * with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS (Linux 5.6). For every path that a container names.
 * `flags` as in open(2); O_CLOEXEC, O_NOCTTY and O_NONBLOCK are added. Returns a descriptor or
 * -errno.
 */
int eg_open_in_root(int root_fd, const char *path, int flags);

/*
 * Reads a whole file by eg_open_in_root(), as eg_file_read() does. -EINVAL if it is no regular
 * file: to merely open a device that a container made may do something to this machine.
 */
int eg_file_read_in_root(int root_fd, const char *path, size_t max, char **ret_data,
			 size_t *ret_len);

#endif /* EG_FILE_H */
