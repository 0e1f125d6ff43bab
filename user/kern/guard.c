// SPDX-License-Identifier: GPL-2.0
/* A guard's life: made, committed, its policy replaced, taken away. */
#include "kern/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "kern/internal.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/text.h"

#ifndef EG_VERSION
#define EG_VERSION "unknown"
#endif

static const __u32 zero;

/* --- memory --------------------------------------------------------------------------------- */

struct eg_guard *eg_guard_blank(void)
{
	struct eg_guard *guard = calloc(1, sizeof(*guard));

	if (!guard)
		return NULL;
	guard->dir_fd = guard->root_fd = -1;
	guard->grace_ns = EG_TRANSITION_NS;
	memset(guard->maps, -1, sizeof(guard->maps));
	memset(guard->progs, -1, sizeof(guard->progs));
	return guard;
}

struct eg_guard *eg_guard_new(const struct eg_pins *pins, const char *name)
{
	struct eg_guard *guard = eg_guard_blank();

	if (!guard)
		return NULL;
	snprintf(guard->name, sizeof(guard->name), "%s", name);
	guard->root_path = strdup(pins->path);
	guard->root_fd = fcntl(pins->dir_fd, F_DUPFD_CLOEXEC, 3);
	if (!guard->root_path || guard->root_fd < 0) {
		eg_guard_close(guard);
		return NULL;
	}
	return guard;
}

void eg_guard_close(struct eg_guard *guard)
{
	if (!guard)
		return;
	eg_guard_unload(guard);
	eg_cleanup_close(&guard->dir_fd);
	eg_cleanup_close(&guard->root_fd);
	free(guard->root_path);
	free(guard);
}

int eg_guard_check_name(const char *name, struct eg_error *error)
{
	char escaped[EG_PLACE_LEN], shown[4 * EG_NAME_MAX];

	if (strlen(name) < EG_NAME_MAX && eg_pin_name_escape(escaped, sizeof(escaped), name) == 0)
		return 0;
	eg_escape(shown, sizeof(shown), name, strlen(name));
	return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
			    *name ? "the guard's name '%s' is too long: choose another with --name"
				  : "a guard needs a name%s: give it one with --name",
			    shown);
}

/* --- meta ----------------------------------------------------------------------------------- */

int eg_guard_write_meta(struct eg_guard *guard)
{
	return eg_guard_update(guard, EG_MAP_META, &zero, &guard->meta);
}

int eg_guard_read_meta(struct eg_guard *guard)
{
	return eg_guard_lookup(guard, EG_MAP_META, &zero, &guard->meta);
}

int eg_guard_refresh(struct eg_guard *guard)
{
	return guard->other_abi ? -EPROTO : eg_guard_read_meta(guard);
}

/* A directory stays the same through renames. */
int eg_guard_is_current(struct eg_guard *guard)
{
	char entry[EG_PLACE_LEN];
	struct stat own, named;
	int err = eg_place_current(guard->root_fd, guard->name, entry);

	if (err)
		return err == -ENOENT ? 0 : err;
	if (fstat(guard->dir_fd, &own) < 0)
		return -errno;
	if (fstatat(guard->root_fd, entry, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	return own.st_dev == named.st_dev && own.st_ino == named.st_ino;
}

const struct eg_meta *eg_guard_meta(const struct eg_guard *guard)
{
	return &guard->meta;
}

int eg_guard_set_meta(struct eg_guard *guard, const struct eg_meta *meta)
{
	const __u32 own_flags = EG_META_NO_CHECKSUM_TEST | EG_META_NO_SOCKET;
	struct eg_meta before = guard->meta;
	int err;

	if (guard->other_abi)
		return -EPROTO;
	guard->meta = *meta;
	guard->meta.magic = before.magic;
	guard->meta.abi_version = before.abi_version;
	guard->meta.generation = before.generation;
	memcpy(guard->meta.policy_len, before.policy_len, sizeof(before.policy_len));
	memcpy(guard->meta.prog_tags, before.prog_tags, sizeof(before.prog_tags));
	guard->meta.flags = (meta->flags & ~own_flags) | (before.flags & own_flags);
	err = eg_guard_write_meta(guard);
	if (err)
		guard->meta = before;
	return err;
}

/* --- making one ----------------------------------------------------------------------------- */

/* What a killed command left half-made may be all that is in force: it stays until the commit. */
static int clear_new(struct eg_guard *guard, struct eg_error *error)
{
	EG_AUTO_CLOSE int dir_fd = -1;
	char entry[EG_PLACE_LEN];
	int kind;

	eg_place_name(entry, EG_PLACE_NEW, 0, guard->name);
	kind = eg_dir_check(guard->root_fd, guard->root_path, entry, &dir_fd, error);
	if (kind <= EG_DIR_NONE)
		return kind;
	if (eg_dir_in_force(dir_fd))
		return eg_place_aside(guard->root_fd, guard->root_path, guard->name, error);
	return eg_place_remove(guard->root_fd, guard->root_path, EG_PLACE_NEW, 0, guard->name,
			       error);
}

static int check_place(struct eg_guard *guard, struct eg_error *error)
{
	char entry[EG_PLACE_LEN];
	int kind;

	eg_place_name(entry, EG_PLACE_NAME, 0, guard->name);
	kind = eg_dir_check(guard->root_fd, guard->root_path, entry, NULL, error);
	return kind < 0 ? kind : 0;
}

int eg_pin_make(const struct eg_guard *guard, int fd, const char *name, struct eg_error *error)
{
	char path[EG_PIN_PATH_LEN];

	if (bpf_obj_pin(fd, eg_pin_path(path, guard->dir_fd, name)) < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno, "cannot pin '%s' in '%s': %m",
				    name, guard->root_path);
	return 0;
}

static int pin_all(struct eg_guard *guard, struct eg_error *error)
{
	char entry[EG_PLACE_LEN];
	int err = 0;

	eg_place_name(entry, EG_PLACE_NEW, 0, guard->name);
	if (mkdirat(guard->root_fd, entry, 0700) < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno, "cannot make '%s/%s': %m",
				    guard->root_path, entry);
	guard->made = true;
	guard->dir_fd = openat(guard->root_fd, entry, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (guard->dir_fd < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno, "cannot open '%s/%s': %m",
				    guard->root_path, entry);
	for (enum eg_map map = 0; map < EG_MAP_COUNT && !err; map++)
		err = eg_pin_make(guard, guard->maps[map], eg_maps[map].name, error);
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT && !err; prog++)
		if (guard->progs[prog] >= 0)
			err = eg_pin_make(guard, guard->progs[prog], eg_progs[prog].pin, error);
	return err;
}

static int write_config(struct eg_guard *guard, __u32 slot, const struct eg_image *image)
{
	struct eg_config config = image->config;

	config.active_since_ns = eg_monotonic_ns();
	return eg_guard_update(guard, EG_MAP_CONFIG, &slot, &config);
}

static int write_failed(int err, struct eg_error *error)
{
	return eg_error_set(error, EG_EXIT_FAILED, -err, "cannot write the guard's maps: %s",
			    strerror(-err));
}

static int fill_first(struct eg_guard *guard, const char *policy_text, const struct eg_image *image,
		      struct eg_error *error)
{
	int err = eg_guard_fill(guard, 0, image, error);

	if (!err)
		err = eg_guard_fill_policy(guard, 0, policy_text, strlen(policy_text), error);
	if (err)
		return err;
	err = write_config(guard, 0, image);
	if (!err)
		err = eg_guard_write_meta(guard);
	return err ? write_failed(err, error) : 0;
}

static void set_first_meta(struct eg_guard *guard, const struct eg_meta *meta)
{
	guard->meta = *meta;
	guard->meta.magic = EG_ABI_MAGIC;
	guard->meta.abi_version = EG_ABI_VERSION;
	guard->meta.generation = 0;
	memset(guard->meta.policy_len, 0, sizeof(guard->meta.policy_len));
	snprintf(guard->meta.version, sizeof(guard->meta.version), "%s", EG_VERSION);
}

int eg_guard_create(struct eg_pins *pins, const struct eg_meta *meta, const char *policy_text,
		    const struct eg_image *image, struct eg_guard **ret_guard,
		    struct eg_error *error)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	int err = eg_guard_check_name(meta->name, error);

	if (err)
		return err;
	guard = eg_guard_new(pins, meta->name);
	if (!guard)
		return eg_error_no_memory(error);
	err = eg_place_settle(guard->root_fd, guard->root_path, guard->name, error);
	if (!err)
		err = check_place(guard, error);
	if (!err)
		err = clear_new(guard, error);
	if (err)
		return err;
	set_first_meta(guard, meta);
	err = eg_guard_load(guard, image, strlen(policy_text),
			    meta->flags & EG_META_CGROUP ? 0 : eg_shared_progs(guard->root_fd),
			    error);
	if (!err)
		err = fill_first(guard, policy_text, image, error);
	if (!err)
		err = pin_all(guard, error);
	if (err) {
		eg_guard_abort(guard);
		return err;
	}
	*ret_guard = EG_TAKE(guard);
	return 0;
}

/* All that the new guard covers is covered by now, so that whatever dies here leaves one of them in
 * force as a whole. */
static int rename_into_place(struct eg_guard *guard, struct eg_error *error)
{
	int root_fd = guard->root_fd, err;
	const char *root_path = guard->root_path, *name = guard->name;
	bool moved;

	err = eg_place_move(root_fd, root_path, name, EG_PLACE_NAME, EG_PLACE_OLD, 0, error);
	if (err && err != -ENOENT)
		return err;
	moved = !err;
	err = eg_place_move(root_fd, root_path, name, EG_PLACE_NEW, EG_PLACE_NAME, 0, error);
	if (err && moved)
		eg_place_move(root_fd, root_path, name, EG_PLACE_OLD, EG_PLACE_NAME, 0, NULL);
	return err;
}

int eg_guard_commit(struct eg_guard *guard, struct eg_error *error)
{
	int err;

	if (!guard->made)
		return 0;
	/* What a killed commit left replaced has its successor in place. */
	err = eg_place_settle(guard->root_fd, guard->root_path, guard->name, error);
	if (!err)
		err = eg_place_remove(guard->root_fd, guard->root_path, EG_PLACE_OLD, 0,
				      guard->name, error);
	if (!err || err == -ENOENT)
		err = rename_into_place(guard, error);
	if (err)
		return err;
	guard->made = false;
	/* It is in force: what is left of others, stricter if anything, is for the next sweep. */
	eg_leftovers_remove(guard->root_fd, guard->root_path, guard->name, NULL);
	return 0;
}

int eg_guard_rename(struct eg_pins *pins, const char *name, const char *to, struct eg_error *error)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	char from_entry[EG_PLACE_LEN], to_entry[EG_PLACE_LEN];
	struct eg_meta meta;
	int err = eg_place_settle(pins->dir_fd, pins->path, name, error);

	if (!err)
		err = eg_guard_open(pins, name, &guard, error);
	if (err)
		return err;
	err = eg_place_name(from_entry, EG_PLACE_NAME, 0, name);
	if (!err)
		err = eg_place_name(to_entry, EG_PLACE_NAME, 0, to);
	if (!err &&
	    renameat2(pins->dir_fd, from_entry, pins->dir_fd, to_entry, RENAME_NOREPLACE) < 0)
		err = -errno;
	if (err)
		return eg_error_set(error, EG_EXIT_FAILED, -err, "cannot rename '%s/%s': %s",
				    pins->path, from_entry, strerror(-err));
	meta = *eg_guard_meta(guard);
	snprintf(meta.name, sizeof(meta.name), "%s", to);
	/* As the kernel writes it: what the target's name means now is another one. */
	snprintf(meta.target, sizeof(meta.target), "net:[%llu]",
		 (unsigned long long)meta.netns_inode);
	err = eg_guard_set_meta(guard, &meta);
	if (err)
		return eg_error_set(error, EG_EXIT_FAILED, -err,
				    "cannot write the guard's notes on its target: %s",
				    strerror(-err));
	return 0;
}

void eg_guard_abort(struct eg_guard *guard)
{
	if (!guard || !guard->made)
		return;
	guard->made = false;
	eg_place_remove(guard->root_fd, guard->root_path, EG_PLACE_NEW, 0, guard->name, NULL);
	eg_shared_end(guard->root_fd);
}

/* --- taking it away ------------------------------------------------------------------------- */

int eg_guard_remove(struct eg_pins *pins, const char *name, struct eg_error *error)
{
	char escaped[4 * EG_NAME_MAX];
	int leftovers, err = eg_guard_check_name(name, error);

	if (err)
		return err;
	leftovers = eg_leftovers_remove(pins->dir_fd, pins->path, name, error);
	if (leftovers < 0)
		return leftovers;
	err = eg_place_remove(pins->dir_fd, pins->path, EG_PLACE_NAME, 0, name, error);
	if (err == -ENOENT && leftovers)
		err = 0;
	/* What is left of it is for the next sweep. */
	if (!err)
		eg_shared_end(pins->dir_fd);
	if (err != -ENOENT)
		return err;
	return eg_error_set(error, EG_EXIT_NO_SUCH, ENOENT, "there is no guard '%s' in '%s'",
			    eg_escape(escaped, sizeof(escaped), name, strlen(name)), pins->path);
}

/* --- its policy ----------------------------------------------------------------------------- */

static int get_slot(struct eg_guard *guard, __u32 *ret_slot)
{
	struct eg_control control;
	int err = eg_guard_lookup(guard, EG_MAP_CONTROL, &zero, &control);

	if (err)
		return err;
	if (control.slot >= EG_SLOTS)
		return -EBADF;
	*ret_slot = control.slot;
	return 0;
}

static int read_policy(struct eg_guard *guard, __u32 slot, char **ret_text, size_t *ret_len)
{
	EG_AUTO_FREE struct eg_policy_chunk *chunk = malloc(sizeof(*chunk));
	EG_AUTO_FREE char *text = NULL;
	size_t len;
	int err = eg_guard_read_meta(guard);

	if (!chunk)
		return -ENOMEM;
	if (err)
		return err;
	len = guard->meta.policy_len[slot];
	text = malloc(len + 1);
	if (!text)
		return -ENOMEM;
	for (size_t offset = 0; offset < len; offset += EG_POLICY_CHUNK) {
		struct eg_policy_key key = {.slot = slot,
					    .index = (__u32)(offset / EG_POLICY_CHUNK)};
		size_t part = len - offset < EG_POLICY_CHUNK ? len - offset : EG_POLICY_CHUNK;

		err = eg_guard_lookup(guard, EG_MAP_POLICY, &key, chunk);
		if (err)
			return err;
		memcpy(text + offset, chunk->text, part);
	}
	text[len] = '\0';
	*ret_text = EG_TAKE(text);
	*ret_len = len;
	return 0;
}

bool eg_guard_is_readable(const struct eg_guard *guard)
{
	return !guard->other_abi || guard->readable;
}

int eg_guard_policy(struct eg_guard *guard, char **ret_text, size_t *ret_len)
{
	if (!eg_guard_is_readable(guard))
		return -EPROTO;
	for (int attempt = 0; attempt < 10; attempt++) {
		EG_AUTO_FREE char *text = NULL;
		__u32 slot = 0, slot_after = 0;
		size_t len = 0;
		int err = get_slot(guard, &slot);

		if (err)
			return err;
		err = read_policy(guard, slot, &text, &len);
		if (get_slot(guard, &slot_after) == 0 && slot_after != slot)
			continue;
		if (err)
			return err;
		*ret_text = EG_TAKE(text);
		*ret_len = len;
		return 0;
	}
	return -EAGAIN;
}

/*
 * Two ways in which what decides may not be what the last command put in force: tables that
 * something else has written to, and a switch to the other slot, whose tables and text are those of
 * an earlier policy. Each switch of ours flips the slot and counts one generation.
 */
int eg_guard_check(struct eg_guard *guard, const struct eg_image *image, const char **ret_what)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};

	for (int attempt = 0; attempt < 10; attempt++) {
		__u32 slot = 0, slot_after = 0;
		int result = guard->other_abi ? -EPROTO : get_slot(guard, &slot);
		int read;

		if (result)
			return result;
		result = eg_guard_check_tables(guard, slot, image, ret_what);
		read = eg_guard_read_meta(guard);
		if (read || get_slot(guard, &slot_after))
			return read ? read : -EIO;
		if (slot != slot_after)
			continue;
		if (result <= 0 || guard->meta.generation % EG_SLOTS == slot)
			return result;
		/* A switch counts itself a moment later. */
		nanosleep(&pause, NULL);
	}
	*ret_what = eg_maps[EG_MAP_CONTROL].what;
	return 0;
}

/* Packets in flight may still be judged by the slot that was in use before the last switch. */
static int wait_for_grace(struct eg_guard *guard, __u32 slot)
{
	__u32 next = (slot + 1) % EG_SLOTS;
	struct eg_config config;
	struct timespec until;
	__u64 until_ns;
	int err = eg_guard_lookup(guard, EG_MAP_CONFIG, &next, &config);

	if (err || !config.active_since_ns) /* there was no switch yet */
		return err;
	err = eg_guard_lookup(guard, EG_MAP_CONFIG, &slot, &config);
	if (err)
		return err;
	until_ns = config.active_since_ns + guard->grace_ns;
	until.tv_sec = (time_t)(until_ns / 1000000000ULL);
	until.tv_nsec = (long)(until_ns % 1000000000ULL);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
	return 0;
}

static int flip(struct eg_guard *guard, __u32 slot)
{
	struct eg_control control = {.slot = slot};

	return eg_guard_update(guard, EG_MAP_CONTROL, &zero, &control);
}

/* Everything up to the flip is done in the slot that nobody reads; the flip is one word. */
int eg_guard_replace(struct eg_guard *guard, const char *policy_text, const struct eg_image *image,
		     struct eg_error *error)
{
	__u32 slot = 0, next;
	int err;

	if (guard->other_abi)
		return eg_error_set(error, EG_EXIT_FAILED, EPROTO,
				    "the guard '%s' was made by another version of egressguard",
				    guard->name);
	/* Another command may have replaced it since we opened it. */
	err = eg_guard_read_meta(guard);
	if (!err)
		err = get_slot(guard, &slot);
	if (!err)
		err = wait_for_grace(guard, slot);
	if (err)
		return write_failed(err, error);
	next = (slot + 1) % EG_SLOTS;
	err = eg_guard_fill(guard, next, image, error);
	if (!err)
		err = eg_guard_fill_policy(guard, next, policy_text, strlen(policy_text), error);
	if (err)
		return err;
	err = eg_guard_write_meta(guard);
	if (!err)
		err = write_config(guard, next, image);
	if (!err)
		err = flip(guard, next);
	if (err)
		return write_failed(err, error);
	/* Its parity is the slot's; a command that was killed right here has left it behind. */
	do
		guard->meta.generation++;
	while (guard->meta.generation % EG_SLOTS != next);
	guard->meta.replaced_realtime_ns = eg_realtime_ns();
	/* The new policy is in force: that its number is not is no failure, but status would take
	 * the switch for somebody else's. So it is tried twice. */
	if (eg_guard_write_meta(guard))
		(void)eg_guard_write_meta(guard);
	return 0;
}
