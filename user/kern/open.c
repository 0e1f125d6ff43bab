// SPDX-License-Identifier: GPL-2.0
/* A guard opened from its pins: of this version, or what can be read of another one. */
#include <errno.h>
#include <string.h>

#include "kern/internal.h"
#include "util/cleanup.h"
#include "util/text.h"

static const __u32 zero;

/* *ret_pin begins as the identity's. */
static int open_identity(struct eg_guard *guard, const char **ret_pin)
{
	int err = eg_guard_open_map(guard, EG_MAP_META);

	(void)ret_pin;
	return err ? err : eg_guard_read_meta(guard);
}

static int open_pins(struct eg_guard *guard, const char **ret_pin)
{
	for (enum eg_map map = 0; map < EG_MAP_COUNT; map++) {
		int err;

		*ret_pin = eg_maps[map].name;
		err = eg_guard_open_map(guard, map);
		if (err)
			return err;
	}
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++) {
		int err;

		*ret_pin = eg_progs[prog].pin;
		err = eg_guard_open_prog(guard, prog);
		if (err == -ENOENT && eg_progs[prog].when == EG_PROG_LOADED_LATER)
			continue;
		if (err)
			return err;
	}
	return eg_guard_read_meta(guard);
}

/* Who it is and what it enforces, of a version that has that where this one has it. */
static bool read_older(struct eg_guard *guard, const struct eg_meta *meta, __u32 meta_size)
{
	static const enum eg_map maps[] = {EG_MAP_META, EG_MAP_CONTROL, EG_MAP_POLICY};

	if (meta->abi_version < EG_ABI_READABLE || meta->abi_version > EG_ABI_VERSION ||
	    meta_size != sizeof(*meta))
		return false;
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		int fd = eg_pin_open(guard->dir_fd, eg_maps[maps[i]].name, "bpf-map");

		if (fd < 0)
			return false;
		guard->maps[maps[i]] = fd;
		if (eg_map_check(fd, maps[i], NULL) < 0)
			return false;
	}
	guard->meta = *meta;
	return true;
}

/* Only what every version has, and what more can be read. */
static int open_other_abi(struct eg_guard *guard)
{
	EG_AUTO_CLOSE int fd = eg_pin_open(guard->dir_fd, eg_maps[EG_MAP_META].name, "bpf-map");
	EG_AUTO_FREE struct eg_meta *meta = NULL;
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (fd < 0)
		return fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	meta = malloc(info.value_size);
	if (!meta)
		return -ENOMEM;
	if (bpf_map_lookup_elem(fd, &zero, meta) < 0)
		return -errno;
	guard->other_abi = true;
	guard->readable = read_older(guard, meta, info.value_size);
	guard->meta.magic = meta->magic;
	guard->meta.abi_version = meta->abi_version;
	snprintf(guard->meta.name, sizeof(guard->meta.name), "%s", guard->name);
	snprintf(guard->meta.version, sizeof(guard->meta.version), "ABI %u",
		 guard->meta.abi_version);
	return 0;
}

static int open_failed(struct eg_guard *guard, int err, const char *entry, const char *pin,
		       struct eg_error *error)
{
	if (err == -EPERM || err == -EACCES)
		return eg_error_set(error, EG_EXIT_FAILED, -err,
				    "cannot open '%s/%s/%s': %s; run as root", guard->root_path,
				    entry, pin, strerror(-err));
	if (err != -ENOENT && err != -EBADF)
		return eg_error_set(error, EG_EXIT_FAILED, -err, "cannot open '%s/%s/%s': %s",
				    guard->root_path, entry, pin, strerror(-err));
	if (err == -ENOENT)
		return eg_error_set(error, EG_EXIT_FAILED, ENODATA,
				    "the guard in '%s/%s' is incomplete (it has no pin '%s'): put "
				    "a new one beside it, and then take it away, with `egressguard "
				    "attach --replace`",
				    guard->root_path, entry, pin);
	return eg_error_set(error, EG_EXIT_FAILED, EBADF,
			    "'%s/%s/%s' is not what egressguard pinned there: nothing was touched",
			    guard->root_path, entry, pin);
}

typedef int (*open_fn)(struct eg_guard *guard, const char **ret_pin);

static int try_open(struct eg_pins *pins, const char *name, open_fn open_what,
		    struct eg_guard **ret_guard, struct eg_error *error)
{
	EG_AUTO_GUARD struct eg_guard *guard = eg_guard_new(pins, name);
	char entry[EG_PLACE_LEN];
	const char *pin = eg_maps[EG_MAP_META].name;
	int kind, err;

	if (!guard)
		return eg_error_no_memory(error);
	err = eg_place_current(guard->root_fd, name, entry);
	if (err == -ENOENT)
		return err;
	if (err)
		return eg_error_set(error, EG_EXIT_FAILED, -err, "cannot look for '%s' in '%s': %s",
				    name, guard->root_path, strerror(-err));
	kind = eg_dir_check(guard->root_fd, guard->root_path, entry, &guard->dir_fd, error);
	if (kind < 0)
		return kind;
	if (kind == EG_DIR_NONE || kind == EG_DIR_EMPTY)
		return -ENOENT;
	err = kind == EG_DIR_OTHER_ABI ? open_other_abi(guard) : open_what(guard, &pin);
	if (err)
		return open_failed(guard, err, entry, pin, error);
	*ret_guard = EG_TAKE(guard);
	if (kind == EG_DIR_OTHER_ABI)
		return eg_error_set(error, EG_EXIT_FAILED, EPROTO,
				    "the guard '%s' was made by another version of egressguard "
				    "(ABI %u, this one has %u): attach it again to replace it, or "
				    "detach it",
				    name, (*ret_guard)->meta.abi_version, EG_ABI_VERSION);
	return 0;
}

/* Readers take no lock: a guard that moves or goes meanwhile is looked for once more. */
static int open_guard(struct eg_pins *pins, const char *name, open_fn open_what,
		      struct eg_guard **ret_guard, struct eg_error *error)
{
	char escaped[4 * EG_NAME_MAX];
	int err = eg_guard_check_name(name, error);

	if (err)
		return err;
	for (int attempt = 0; attempt < 3; attempt++) {
		err = try_open(pins, name, open_what, ret_guard, error);
		if (err != -ENOENT && err != -EBADF && err != -ENODATA)
			return err;
	}
	if (err == -ENOENT)
		eg_error_set(error, EG_EXIT_NO_SUCH, ENOENT, "there is no guard '%s' in '%s'",
			     eg_escape(escaped, sizeof(escaped), name, strlen(name)), pins->path);
	return err;
}

int eg_guard_open(struct eg_pins *pins, const char *name, struct eg_guard **ret_guard,
		  struct eg_error *error)
{
	return open_guard(pins, name, open_pins, ret_guard, error);
}

int eg_guard_open_identity(struct eg_pins *pins, const char *name, struct eg_guard **ret_guard)
{
	return open_guard(pins, name, open_identity, ret_guard, NULL);
}

/* By its full path, so that nothing is opened but the map itself. */
int eg_guard_identity(const struct eg_pins *pins, const char *name, struct eg_meta *ret_meta)
{
	char entry[EG_PLACE_LEN], pin[EG_PLACE_LEN + 8], path[EG_PIN_PATH_LEN];
	EG_AUTO_CLOSE int fd = -1;
	struct eg_meta meta;
	int err = eg_place_name(entry, EG_PLACE_NAME, 0, name);

	if (err)
		return err;
	snprintf(pin, sizeof(pin), "%s/%s", entry, eg_maps[EG_MAP_META].name);
	fd = bpf_obj_get(eg_pin_path(path, pins->dir_fd, pin));
	if (fd < 0)
		return -errno;
	err = eg_map_check(fd, EG_MAP_META, NULL);
	if (!err && bpf_map_lookup_elem(fd, &zero, &meta) < 0)
		err = -errno;
	if (!err && (meta.magic != EG_ABI_MAGIC || meta.abi_version != EG_ABI_VERSION))
		err = -EPROTO;
	if (!err)
		*ret_meta = meta;
	return err;
}
