// SPDX-License-Identifier: GPL-2.0
/*
 * The descriptors of a guard's maps and programs. Who follows a guard needs few of them while
 * nothing happens, and may follow a thousand: what is at rest is opened again by its pin, and is
 * the same one, by the kernel's number, or nothing.
 */
#include <errno.h>

#include "kern/internal.h"
#include "util/cleanup.h"

static int ask_map(int fd, struct bpf_map_info *ret_info)
{
	__u32 len = sizeof(*ret_info);

	return bpf_obj_get_info_by_fd(fd, ret_info, &len) < 0 ? -errno : 0;
}

int eg_map_check(int fd, enum eg_map map, __u32 *ret_id)
{
	struct bpf_map_info info = {};
	int err = ask_map(fd, &info);

	if (err)
		return err;
	if (info.type != (__u32)eg_maps[map].type || info.key_size != eg_maps[map].key_size ||
	    info.value_size != eg_maps[map].value_size)
		return -EBADF;
	if (ret_id)
		*ret_id = info.id;
	return 0;
}

int eg_guard_open_map(struct eg_guard *guard, enum eg_map map)
{
	int fd = eg_pin_open(guard->dir_fd, eg_maps[map].name, "bpf-map");

	guard->maps[map] = fd < 0 ? -1 : fd;
	return fd < 0 ? fd : eg_map_check(fd, map, &guard->map_ids[map]);
}

int eg_guard_open_prog(struct eg_guard *guard, enum eg_prog prog)
{
	int fd = eg_pin_open(guard->dir_fd, eg_progs[prog].pin, "bpf-prog");

	guard->progs[prog] = fd < 0 ? -1 : fd;
	if (fd < 0)
		return fd;
	guard->prog_ids[prog] = eg_prog_id(fd);
	/* Nothing on an interface could be told to be ours. */
	return guard->prog_ids[prog] ? 0 : -EIO;
}

static void close_one(int *fd)
{
	eg_cleanup_close(fd);
	*fd = -1;
}

void eg_guard_unload(struct eg_guard *guard)
{
	for (enum eg_map map = 0; map < EG_MAP_COUNT; map++) {
		close_one(&guard->maps[map]);
		guard->map_ids[map] = 0;
	}
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++)
		eg_guard_drop_prog(guard, prog);
}

void eg_guard_drop_prog(struct eg_guard *guard, enum eg_prog prog)
{
	close_one(&guard->progs[prog]);
	guard->prog_ids[prog] = 0;
}

/* --- at rest ---------------------------------------------------------------------------------- */

__u32 eg_guard_map_id(struct eg_guard *guard, enum eg_map map)
{
	struct bpf_map_info info = {};

	if (!guard->map_ids[map] && guard->maps[map] >= 0 && ask_map(guard->maps[map], &info) == 0)
		guard->map_ids[map] = info.id;
	return guard->map_ids[map];
}

int eg_guard_map(struct eg_guard *guard, enum eg_map map)
{
	EG_AUTO_CLOSE int fd = -1;
	__u32 id = 0;
	int err;

	if (guard->maps[map] >= 0)
		return guard->maps[map];
	if (!guard->map_ids[map])
		return -EBADF;
	fd = eg_pin_open(guard->dir_fd, eg_maps[map].name, "bpf-map");
	if (fd < 0)
		return fd;
	err = eg_map_check(fd, map, &id);
	if (err)
		return err;
	if (id != guard->map_ids[map])
		return -EBADF;
	return guard->maps[map] = EG_TAKE_FD(fd);
}

int eg_guard_prog(struct eg_guard *guard, enum eg_prog prog)
{
	EG_AUTO_CLOSE int fd = -1;

	if (guard->progs[prog] >= 0)
		return guard->progs[prog];
	if (!guard->prog_ids[prog])
		return -ENOENT;
	fd = eg_pin_open(guard->dir_fd, eg_progs[prog].pin, "bpf-prog");
	if (fd < 0)
		return fd;
	if (eg_prog_id(fd) != guard->prog_ids[prog])
		return -EBADF;
	return guard->progs[prog] = EG_TAKE_FD(fd);
}

void eg_guard_rest(struct eg_guard *guard)
{
	if (guard->other_abi || guard->dir_fd < 0)
		return;
	for (enum eg_map map = 0; map < EG_MAP_COUNT; map++)
		if (map != EG_MAP_META && eg_guard_map_id(guard, map))
			close_one(&guard->maps[map]);
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++)
		if (guard->prog_ids[prog])
			close_one(&guard->progs[prog]);
}

/* --- an element ------------------------------------------------------------------------------- */

int eg_guard_lookup(struct eg_guard *guard, enum eg_map map, const void *key, void *ret_value)
{
	int fd = eg_guard_map(guard, map);

	if (fd < 0)
		return fd;
	return bpf_map_lookup_elem(fd, key, ret_value) < 0 ? -errno : 0;
}

int eg_guard_update(struct eg_guard *guard, enum eg_map map, const void *key, const void *value)
{
	int fd = eg_guard_map(guard, map);

	if (fd < 0)
		return fd;
	return bpf_map_update_elem(fd, key, value, BPF_ANY) < 0 ? -errno : 0;
}

int eg_guard_delete(struct eg_guard *guard, enum eg_map map, const void *key)
{
	int fd = eg_guard_map(guard, map);

	if (fd < 0)
		return fd;
	return bpf_map_delete_elem(fd, key) < 0 ? -errno : 0;
}
