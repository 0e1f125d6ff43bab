// SPDX-License-Identifier: GPL-2.0
/* Walking over a map's elements. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kern/internal.h"
#include "util/cleanup.h"

typedef int (*eg_element_visit)(const void *key, const void *value, void *argument);

/* A hash table's bucket must fit into one batch. */
#define BATCH     4096
#define BATCH_MAX (BATCH << 6)

/* What the kernel has for "no such operation" inside and outside. */
#define ENOTSUPP_KERNEL 524

bool eg_batch_is_unsupported(int err)
{
	return err == EINVAL || err == EOPNOTSUPP || err == ENOTSUPP_KERNEL;
}

static int visit_batch(const char *keys, size_t key_size, const char *values, size_t value_size,
		       __u32 n, eg_element_visit visit, void *argument)
{
	int result = 0;

	for (__u32 i = 0; i < n && !result; i++)
		result = visit(keys + i * key_size, values + i * value_size, argument);
	return result;
}

/* *ret_begun: something was visited already, so another way would visit it again. */
static int visit_in_batches(int fd, size_t key_size, size_t value_size, eg_element_visit visit,
			    void *argument, bool *ret_begun)
{
	/* The cursor is a key of the map or a number of a bucket. */
	size_t cursor_size = key_size < sizeof(__u32) ? sizeof(__u32) : key_size;
	EG_AUTO_FREE char *cursors = calloc(2, cursor_size);
	EG_AUTO_FREE char *keys = NULL;
	EG_AUTO_FREE char *values = NULL;
	__u32 size = 0, wanted = BATCH;
	int err = 0;

	if (!cursors)
		return -ENOMEM;
	while (err != -ENOENT) {
		__u32 n;
		int result;

		if (size < wanted) {
			free(keys);
			free(values);
			keys = calloc(wanted, key_size);
			values = calloc(wanted, value_size);
			if (!keys || !values)
				return -ENOMEM;
			size = wanted;
		}
		n = size;
		err = bpf_map_lookup_batch(fd, *ret_begun ? cursors : NULL, cursors + cursor_size,
					   keys, values, &n, NULL)
			      ? -errno
			      : 0;
		if (err == -ENOSPC && size < BATCH_MAX) {
			wanted = size * 2;
			continue;
		}
		if (err && err != -ENOENT)
			return err;
		*ret_begun = true;
		result = visit_batch(keys, key_size, values, value_size, n, visit, argument);
		if (result)
			return result;
		memcpy(cursors, cursors + cursor_size, cursor_size);
	}
	return 0;
}

static int visit_one_by_one(int fd, size_t key_size, size_t value_size, eg_element_visit visit,
			    void *argument)
{
	EG_AUTO_FREE char *keys = calloc(2, key_size);
	EG_AUTO_FREE char *value = calloc(1, value_size);
	struct bpf_map_info info = {};
	__u32 len = sizeof(info), steps = 0;
	char *key = NULL, *next;
	int result = 0;

	if (!keys || !value)
		return -ENOMEM;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	next = keys;
	/* If a key is deleted meanwhile, the kernel begins again: this must end all the same. */
	while (!result && steps++ < 4 * info.max_entries) {
		if (bpf_map_get_next_key(fd, key, next) < 0)
			return errno == ENOENT ? 0 : -errno;
		if (bpf_map_lookup_elem(fd, next, value) == 0)
			result = visit(next, value, argument);
		else if (errno != ENOENT)
			result = -errno;
		key = next;
		next = keys + (next == keys ? key_size : 0);
	}
	return result;
}

int eg_map_visit(int fd, size_t key_size, size_t value_size, eg_element_visit visit, void *argument)
{
	bool begun = false;
	int result = visit_in_batches(fd, key_size, value_size, visit, argument, &begun);

	if (eg_batch_is_unsupported(-result) && !begun)
		return visit_one_by_one(fd, key_size, value_size, visit, argument);
	return result;
}
