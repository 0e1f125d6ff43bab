// SPDX-License-Identifier: GPL-2.0
#include "copies.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "policy/array.h"
#include "util/cleanup.h"
#include "util/file.h"

#define OTHERS_MAY_WRITE (S_IWGRP | S_IWOTH)
/* A name that nobody else's file has, wherever it is that we are told to keep them. */
#define KEPT ".kept"
#define NEW  ".kept-new"

struct copy {
	char *entry, *text;
};

struct eg_copies {
	char *dir;
	int fd;
	struct copy *waiting; /* the last one is the next */
	size_t n;
};

static void free_copy(struct copy *copy)
{
	free(copy->entry);
	free(copy->text);
}

void eg_copies_free(struct eg_copies *copies)
{
	if (!copies)
		return;
	for (size_t i = 0; i < copies->n; i++)
		free_copy(&copies->waiting[i]);
	free(copies->waiting);
	free(copies->dir);
	eg_cleanup_close(&copies->fd);
	free(copies);
}

static void free_copies(struct eg_copies **copies)
{
	eg_copies_free(*copies);
}

/* root itself may have put anything anywhere. */
static bool is_roots_alone(const struct stat *info)
{
	return info->st_uid == 0 && !(info->st_mode & OTHERS_MAY_WRITE);
}

static int take_dir(int fd, const char *dir, struct eg_error *error)
{
	struct stat info;

	if (fstat(fd, &info) < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno, "%s: %m", dir);
	if (!is_roots_alone(&info))
		return eg_error_set(error, EG_EXIT_FAILED, EPERM,
				    "%s is not root's alone to write to: chown root %s, and "
				    "chmod 700 %s",
				    dir, dir, dir);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno,
				    errno == EWOULDBLOCK ? "%s is another daemon's"
							 : "cannot lock %s: %m",
				    dir);
	return 0;
}

int eg_copies_open(const char *dir, struct eg_copies **ret_copies, struct eg_error *error)
{
	EG_AUTO(free_copies) struct eg_copies *copies = calloc(1, sizeof(*copies));
	int result;

	if (!copies)
		return eg_error_no_memory(error);
	copies->fd = -1;
	copies->dir = strdup(dir);
	if (!copies->dir)
		return eg_error_no_memory(error);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return eg_error_set(error, EG_EXIT_FAILED, errno, "cannot make %s: %m", dir);
	copies->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copies->fd < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno, "cannot open %s: %m", dir);
	result = take_dir(copies->fd, dir, error);
	if (result == 0)
		*ret_copies = EG_TAKE(copies);
	return result;
}

/* --- reading ---------------------------------------------------------------------------------- */

static int name_of(char ret_name[NAME_MAX + 1], const char *entry, const char *suffix)
{
	return snprintf(ret_name, NAME_MAX + 1, "%s%s", entry, suffix) > NAME_MAX ? -ENAMETOOLONG
										  : 0;
}

static int read_text(const struct eg_copies *copies, const char *entry, char **ret_text,
		     size_t *ret_len)
{
	EG_AUTO_CLOSE int fd = -1;
	char name[NAME_MAX + 1];
	struct stat info;

	if (name_of(name, entry, KEPT) < 0)
		return -ENAMETOOLONG;
	fd = openat(copies->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &info) < 0)
		return -errno;
	if (!S_ISREG(info.st_mode) || !is_roots_alone(&info))
		return -EPERM;
	return eg_fd_read(fd, EG_POLICY_TEXT_MAX, ret_text, ret_len);
}

static int refuse(const struct eg_copies *copies, const char *entry, int result,
		  struct eg_error *error)
{
	char name[NAME_MAX * 4];

	eg_escape(name, sizeof(name), entry, strlen(entry));
	return eg_error_set(error, EG_EXIT_FAILED, -result, "%s/%s" KEPT ": %s", copies->dir, name,
			    result == -EPERM ? "others than root could have written it"
					     : strerror(-result));
}

int eg_copies_read(const struct eg_copies *copies, const char *entry, char **ret_text,
		   struct eg_policy **ret_policy, struct eg_error *error)
{
	EG_AUTO_FREE char *text = NULL;
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	struct eg_error at = {};
	size_t len = 0;
	int result = read_text(copies, entry, &text, &len);

	if (result < 0)
		return refuse(copies, entry, result, error);
	result = eg_policy_new(&policy);
	if (result == 0)
		result = eg_policy_parse(policy, text, len, false, &at);
	if (result == 0 && !policy->target)
		result = eg_error_set(&at, EG_EXIT_USAGE, EINVAL, "it has no target");
	if (result < 0)
		return eg_error_set(error, EG_EXIT_USAGE, -result, "%s/%s" KEPT ":%u:%u: %s",
				    copies->dir, entry, at.line, at.column,
				    at.message[0] ? at.message : strerror(-result));
	*ret_text = EG_TAKE(text);
	*ret_policy = EG_TAKE(policy);
	return 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

int eg_copies_keep(struct eg_copies *copies, const char *entry, const char *text)
{
	struct copy copy = {.entry = strdup(entry), .text = strdup(text)};
	int result = copy.entry && copy.text ? 0 : -ENOMEM;

	for (size_t i = 0; result == 0 && i < copies->n; i++) {
		struct copy *older = &copies->waiting[i];

		if (strcmp(older->entry, entry) != 0)
			continue;
		free_copy(older);
		*older = copy;
		return 0;
	}
	if (result == 0)
		result = EG_ARRAY_ADD(copies->waiting, copies->n, copy);
	if (result < 0)
		free_copy(&copy);
	return result;
}

bool eg_copies_has_work(const struct eg_copies *copies)
{
	return copies->n;
}

static bool is_kept(const struct eg_copies *copies, const struct copy *copy)
{
	EG_AUTO_FREE char *kept = NULL;
	size_t len = 0;

	return read_text(copies, copy->entry, &kept, &len) == 0 && kept &&
	       len == strlen(copy->text) && memcmp(kept, copy->text, len) == 0;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t put = write(fd, text, len);

		if (put < 0 && errno != EINTR)
			return -errno;
		if (put > 0) {
			text += put;
			len -= (size_t)put;
		}
	}
	return fsync(fd) < 0 ? -errno : 0;
}

static int write_new(int dir_fd, const char *name, const char *text)
{
	EG_AUTO_CLOSE int fd = -1;

	if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : write_all(fd, text, strlen(text));
}

/* Whole on the disk before it has the name; and the name too, before anybody relies on it. */
static int write_copy(const struct eg_copies *copies, const struct copy *copy)
{
	char name[NAME_MAX + 1], new[NAME_MAX + 1];
	int result;

	if (name_of(name, copy->entry, KEPT) < 0 || name_of(new, copy->entry, NEW) < 0)
		return -ENAMETOOLONG;
	result = write_new(copies->fd, new, copy->text);
	if (result == 0 && renameat(copies->fd, new, copies->fd, name) < 0)
		result = -errno;
	if (result < 0)
		unlinkat(copies->fd, new, 0);
	else if (fsync(copies->fd) < 0)
		result = -errno;
	return result;
}

int eg_copies_work(struct eg_copies *copies, struct eg_error *error)
{
	while (copies->n) {
		struct copy copy = copies->waiting[copies->n - 1];
		int result = 0;

		if (is_kept(copies, &copy)) {
			free_copy(&copy);
			copies->n--;
			continue;
		}
		result = write_copy(copies, &copy);
		if (result < 0)
			result = refuse(copies, copy.entry, result, error);
		free_copy(&copy);
		copies->n--;
		return result;
	}
	return 0;
}

/* What a kill left half-written goes too. */
void eg_copies_sweep(struct eg_copies *copies, eg_copies_is_wanted is_wanted, void *argument)
{
	/* Of its own, since each descriptor has one place in the directory. */
	int fd = openat(copies->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EG_AUTO_CLOSEDIR DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (fd >= 0 && !dir)
		close(fd);
	while (dir && (entry = readdir(dir))) {
		const char *suffix = strrchr(entry->d_name, '.');
		char name[NAME_MAX + 1];

		if (!suffix || (strcmp(suffix, KEPT) != 0 && strcmp(suffix, NEW) != 0))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(suffix - entry->d_name), entry->d_name);
		if (strcmp(suffix, NEW) == 0 || !is_wanted(argument, name))
			unlinkat(copies->fd, entry->d_name, 0);
	}
}
