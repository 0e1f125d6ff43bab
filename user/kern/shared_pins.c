// SPDX-License-Identifier: GPL-2.0
/* The set of programs that all guards share: what of it is pinned (shared.h). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "kern/shared.h"
#include "net/cgroup.h"
#include "util/cleanup.h"

static const __u32 zero;

const struct eg_hook_info eg_hooks[EG_HOOK_COUNT] = {
#define HOOK(id, name, is_always, attach_type)                                                     \
	[EG_HOOK_##id] = {                                                                         \
		.attach = attach_type,                                                             \
		.prog = EG_PROG_##id,                                                              \
		.always = is_always,                                                               \
		.function = "eg_shared_" name,                                                     \
		.calls = "calls_" name,                                                            \
		.prog_pin = "prog_" name,                                                          \
		.link_pin = "link_" name,                                                          \
	},
#define ATTACH_SOCK_CREATE  BPF_CGROUP_INET_SOCK_CREATE
#define ATTACH_CONNECT4     BPF_CGROUP_INET4_CONNECT
#define ATTACH_CONNECT6     BPF_CGROUP_INET6_CONNECT
#define ATTACH_SETSOCKOPT   BPF_CGROUP_SETSOCKOPT
#define X(id, name, always) HOOK(id, name, always, ATTACH_##id)
	EG_SHARED_HOOKS(X)
#undef X
};

void eg_shared_close(struct eg_shared_set *set)
{
	eg_cleanup_close(&set->dir_fd);
	eg_cleanup_close(&set->meta_fd);
	eg_cleanup_close(&set->cookies_fd);
	for (enum eg_hook hook = 0; hook < EG_HOOK_COUNT; hook++)
		eg_cleanup_close(&set->calls_fd[hook]);
}

int eg_shared_failed(const struct eg_shared_set *set, int err, const char *what,
		     struct eg_error *error)
{
	return eg_error_set(error, EG_EXIT_FAILED, -err,
			    "the layer socket: cannot %s in '%s/%s': %s", what, set->root_path,
			    EG_SHARED_DIR, strerror(-err));
}

/* --- what is pinned ------------------------------------------------------------------------- */

/* -ENOENT: there is none. -EBADF: it is not what we pinned there. */
static int open_map(int dir_fd, const char *pin, enum bpf_map_type type, __u32 key_size,
		    __u32 value_size, __u32 entries)
{
	EG_AUTO_CLOSE int fd = eg_pin_open(dir_fd, pin, "bpf-map");
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (fd < 0)
		return fd;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	if (info.type != (__u32)type || info.key_size != key_size ||
	    info.value_size != value_size || info.max_entries != entries)
		return -EBADF;
	return EG_TAKE_FD(fd);
}

int eg_shared_open_cookies(int dir_fd)
{
	return open_map(dir_fd, EG_SHARED_COOKIES, BPF_MAP_TYPE_HASH, sizeof(__u64),
			sizeof(struct eg_shared_entry), EG_SHARED_GUARDS);
}

int eg_shared_open_calls(int dir_fd, enum eg_hook hook)
{
	return open_map(dir_fd, eg_hooks[hook].calls, BPF_MAP_TYPE_PROG_ARRAY, sizeof(__u32),
			sizeof(__u32), EG_SHARED_GUARDS);
}

static int open_meta(int dir_fd, __u32 *ret_hooks)
{
	EG_AUTO_CLOSE int fd = open_map(dir_fd, EG_SHARED_META, BPF_MAP_TYPE_ARRAY, sizeof(__u32),
					sizeof(struct eg_shared_meta), 1);
	struct eg_shared_meta meta;

	if (fd < 0)
		return fd;
	if (bpf_map_lookup_elem(fd, &zero, &meta) < 0)
		return -errno;
	if (meta.magic != EG_ABI_MAGIC || meta.version != EG_SHARED_VERSION)
		return -EBADF;
	*ret_hooks = meta.hooks;
	return EG_TAKE_FD(fd);
}

/* The id of the root of the hierarchy, 0: it cannot be seen from here, as in a container. There is
 * one hierarchy, and as long as the kernel runs its root stays the same: to look for it again takes
 * a list of all mounts, of which each namespace that has a name is one. */
static __u64 root_cgroup_id(void)
{
	static _Thread_local __u64 known;
	EG_AUTO_CLOSE int fd = -1;
	struct stat stat;

	/* A cgroup's id is the inode of its directory. */
	if (!known && eg_cgroup_root_open(&fd) == 0 && fstat(fd, &stat) == 0)
		known = stat.st_ino;
	return known;
}

/* Whether a pinned link holds the program at the root of the cgroups, where alone it sees all of
 * them. What the kernel took away has no cgroup. */
static int check_link(int dir_fd, enum eg_hook hook, __u32 prog_id)
{
	__u64 root_id = root_cgroup_id();
	char path[EG_PIN_PATH_LEN];
	EG_AUTO_CLOSE int fd = bpf_obj_get(eg_pin_path(path, dir_fd, eg_hooks[hook].link_pin));
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	return info.type == BPF_LINK_TYPE_CGROUP && info.prog_id == prog_id &&
			       info.cgroup.cgroup_id &&
			       (!root_id || info.cgroup.cgroup_id == root_id) &&
			       info.cgroup.attach_type == (__u32)eg_hooks[hook].attach
		       ? 0
		       : -EBADF;
}

static int open_hook(struct eg_shared_set *set, enum eg_hook hook)
{
	EG_AUTO_CLOSE int prog_fd = -1;

	set->calls_fd[hook] = eg_shared_open_calls(set->dir_fd, hook);
	if (set->calls_fd[hook] < 0)
		return set->calls_fd[hook];
	prog_fd = eg_pin_open(set->dir_fd, eg_hooks[hook].prog_pin, "bpf-prog");
	if (prog_fd < 0)
		return prog_fd;
	set->prog_ids[hook] = eg_prog_id(prog_fd);
	if (!set->prog_ids[hook])
		return -EIO;
	/* What was put in its place would not call a guard's own. */
	if (eg_prog_uses(prog_fd, set->cookies_fd) == 0 ||
	    eg_prog_uses(prog_fd, set->calls_fd[hook]) == 0)
		return -EBADF;
	return check_link(set->dir_fd, hook, set->prog_ids[hook]);
}

int eg_shared_open_dir(int root_fd)
{
	int fd = openat(root_fd, EG_SHARED_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? -EBADF : -errno;
	return fd;
}

/* 0: all of it is there and in force. `ret_missing`: what is not. */
int eg_shared_open(struct eg_shared_set *set, const char **ret_missing)
{
	*ret_missing = EG_SHARED_DIR;
	set->dir_fd = eg_shared_open_dir(set->root_fd);
	if (set->dir_fd < 0)
		return set->dir_fd;
	*ret_missing = EG_SHARED_META;
	set->meta_fd = open_meta(set->dir_fd, &set->has);
	if (set->meta_fd < 0)
		return set->meta_fd;
	*ret_missing = EG_SHARED_COOKIES;
	set->cookies_fd = eg_shared_open_cookies(set->dir_fd);
	if (set->cookies_fd < 0)
		return set->cookies_fd;
	for (enum eg_hook hook = 0; hook < EG_HOOK_COUNT; hook++) {
		int err = eg_shared_has(set, hook) ? open_hook(set, hook) : 0;

		*ret_missing = eg_hooks[hook].link_pin;
		if (err)
			return err;
	}
	return 0;
}

bool eg_shared_is_missing(int err)
{
	return err == -ENOENT || err == -EBADF;
}

/* --- taking the set away -------------------------------------------------------------------- */

static int unlink_link(const char *entry, void *argument)
{
	return strncmp(entry, "link_", 5) == 0 ? eg_pin_unlink(*(int *)argument, entry) : 0;
}

static int unlink_any(const char *entry, void *argument)
{
	return eg_pin_unlink(*(int *)argument, entry);
}

/* The links first: what they call must be there as long as they are. */
int eg_shared_remove_pins(int dir_fd)
{
	int err = eg_dir_visit(dir_fd, unlink_link, &dir_fd);

	return err ? err : eg_dir_visit(dir_fd, unlink_any, &dir_fd);
}

static int remove_set(int root_fd)
{
	EG_AUTO_CLOSE int dir_fd = eg_shared_open_dir(root_fd);
	int err;

	if (dir_fd < 0)
		return eg_shared_is_missing(dir_fd) ? 0 : dir_fd;
	err = eg_shared_remove_pins(dir_fd);
	if (!err && unlinkat(root_fd, EG_SHARED_DIR, AT_REMOVEDIR) < 0)
		err = -errno;
	return err;
}

static int end_unless_used(int root_fd)
{
	EG_AUTO_CLOSE int dir_fd = eg_shared_open_dir(root_fd);
	EG_AUTO_CLOSE int cookies_fd = -1;
	__u64 first;

	if (dir_fd < 0)
		return eg_shared_is_missing(dir_fd) ? 0 : dir_fd;
	cookies_fd = eg_shared_open_cookies(dir_fd);
	if (cookies_fd < 0 && !eg_shared_is_missing(cookies_fd))
		return cookies_fd;
	if (cookies_fd >= 0 && bpf_map_get_next_key(cookies_fd, NULL, &first) == 0)
		return 0;
	return cookies_fd < 0 || errno == ENOENT ? remove_set(root_fd) : -errno;
}

int eg_shared_end(int root_fd)
{
	int err = end_unless_used(root_fd);

	/* All of it once more where it failed: nobody would come by to take the set away. */
	return err ? end_unless_used(root_fd) : 0;
}

/* --- entries -------------------------------------------------------------------------------- */

void eg_shared_entries_free(struct eg_shared_entries *entries)
{
	free(entries->all);
}

static int add_entry(const void *key, const void *value, void *argument)
{
	struct eg_shared_entries *entries = argument;
	struct eg_shared_place *all = reallocarray(entries->all, entries->n + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	entries->all = all;
	memcpy(&all[entries->n].cookie, key, sizeof(__u64));
	memcpy(&all[entries->n].value, value, sizeof(struct eg_shared_entry));
	entries->n++;
	return 0;
}

int eg_shared_entries(int cookies_fd, struct eg_shared_entries *ret_entries)
{
	return eg_map_visit(cookies_fd, sizeof(__u64), sizeof(struct eg_shared_entry), add_entry,
			    ret_entries);
}

const struct eg_shared_place *eg_shared_find_cookie(const struct eg_shared_entries *entries,
						    __u64 cookie)
{
	for (size_t i = 0; i < entries->n; i++)
		if (entries->all[i].cookie == cookie)
			return &entries->all[i];
	return NULL;
}

const struct eg_shared_place *eg_shared_find_prog(const struct eg_shared_entries *entries,
						  __u32 prog_id)
{
	for (size_t i = 0; i < entries->n; i++)
		if (prog_id && entries->all[i].value.prog_id == prog_id)
			return &entries->all[i];
	return NULL;
}

/* The calls first: whoever is killed in between can still be told by the entry. */
static int drop_entry(int dir_fd, int cookies_fd, const struct eg_shared_place *entry)
{
	for (enum eg_hook hook = 0; hook < EG_HOOK_COUNT; hook++) {
		EG_AUTO_CLOSE int calls_fd = eg_shared_open_calls(dir_fd, hook);

		if (eg_shared_is_missing(calls_fd))
			continue;
		if (calls_fd < 0)
			return calls_fd;
		if (bpf_map_delete_elem(calls_fd, &entry->value.index) < 0 && errno != ENOENT)
			return -errno;
	}
	return bpf_map_delete_elem(cookies_fd, &entry->cookie) < 0 && errno != ENOENT ? -errno : 0;
}

/* Drops the entries whose program `is_unwanted` says so of. */
static int drop_entries(int root_fd, bool (*is_unwanted)(__u32 prog_id, const void *argument),
			const void *argument)
{
	EG_AUTO_CLOSE int dir_fd = eg_shared_open_dir(root_fd);
	EG_AUTO_CLOSE int cookies_fd = -1;
	EG_AUTO(eg_shared_entries_free) struct eg_shared_entries entries = {};
	int err;

	if (dir_fd < 0)
		return eg_shared_is_missing(dir_fd) ? 0 : dir_fd;
	cookies_fd = eg_shared_open_cookies(dir_fd);
	if (cookies_fd < 0)
		return eg_shared_is_missing(cookies_fd) ? 0 : cookies_fd;
	err = eg_shared_entries(cookies_fd, &entries);
	for (size_t i = 0; !err && i < entries.n; i++)
		if (is_unwanted(entries.all[i].value.prog_id, argument))
			err = drop_entry(dir_fd, cookies_fd, &entries.all[i]);
	return err;
}

/* 0: this directory has none. */
static int pinned_prog(int dir_fd, __u32 *ret_id)
{
	EG_AUTO_CLOSE int fd = eg_pin_open(dir_fd, eg_progs[EG_PROG_SOCK_CREATE].pin, "bpf-prog");

	*ret_id = 0;
	if (fd < 0)
		return eg_shared_is_missing(fd) ? 0 : fd;
	*ret_id = eg_prog_id(fd);
	return *ret_id ? 0 : -EIO;
}

static bool is_this(__u32 prog_id, const void *argument)
{
	return prog_id == *(const __u32 *)argument;
}

int eg_shared_forget(int root_fd, int dir_fd, const char *root_path, struct eg_error *error)
{
	const struct eg_shared_set set = {.root_path = root_path};
	__u32 id;
	int err = pinned_prog(dir_fd, &id);

	if (!err && id)
		err = drop_entries(root_fd, is_this, &id);
	return err ? eg_shared_failed(&set, err, "take a guard's programs out", error) : 0;
}

/* --- entries without a guard ---------------------------------------------------------------- */

/* Of a machine with more guards not each is looked at where all seems to be well. */
#define FEW_GUARDS 64

struct progs {
	int root_fd;
	__u32 *ids;
	size_t n;
	size_t n_dirs;
};

static void progs_free(struct progs *progs)
{
	free(progs->ids);
}

static int count_dir(const char *entry, void *argument)
{
	struct progs *progs = argument;

	progs->n_dirs += strcmp(entry, EG_SHARED_DIR) != 0;
	return 0;
}

/* By its full path, so that nothing is opened but the program. */
static int add_prog(const char *entry, void *argument)
{
	struct progs *progs = argument;
	char pin[2 * EG_PLACE_LEN], path[EG_PIN_PATH_LEN];
	EG_AUTO_CLOSE int fd = -1;
	__u32 *ids, id;

	if (strcmp(entry, EG_SHARED_DIR) == 0)
		return 0;
	snprintf(pin, sizeof(pin), "%s/%s", entry, eg_progs[EG_PROG_SOCK_CREATE].pin);
	fd = bpf_obj_get(eg_pin_path(path, progs->root_fd, pin));
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP || errno == ENOENT ? 0 : -errno;
	id = eg_prog_id(fd);
	if (!id)
		return -EIO;
	ids = reallocarray(progs->ids, progs->n + 1, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	progs->ids = ids;
	ids[progs->n++] = id;
	return 0;
}

static bool is_no_guards(__u32 prog_id, const void *argument)
{
	const struct progs *progs = argument;

	for (size_t i = 0; i < progs->n; i++)
		if (progs->ids[i] == prog_id)
			return false;
	return true;
}

/*
 * Each guard has one entry at most. What a killed command leaves is made and dropped while there is
 * a directory of it, and goes with that; so one too many is what somebody else has made, by
 * removing a directory.
 */
static int has_no_more_than_guards(int root_fd, struct progs *progs)
{
	EG_AUTO_CLOSE int dir_fd = eg_shared_open_dir(root_fd);
	EG_AUTO_CLOSE int cookies_fd = dir_fd < 0 ? dir_fd : eg_shared_open_cookies(dir_fd);
	EG_AUTO(eg_shared_entries_free) struct eg_shared_entries entries = {};
	int err = eg_dir_visit(root_fd, count_dir, progs);

	if (err || progs->n_dirs <= FEW_GUARDS || cookies_fd < 0)
		return err;
	err = eg_shared_entries(cookies_fd, &entries);
	return err ? err : entries.n <= progs->n_dirs;
}

int eg_shared_sweep(int root_fd)
{
	EG_AUTO(progs_free) struct progs progs = {.root_fd = root_fd};
	int err;

	if (faccessat(root_fd, EG_SHARED_DIR, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	err = has_no_more_than_guards(root_fd, &progs);
	if (err)
		return err < 0 ? err : 0;
	err = eg_dir_visit(root_fd, add_prog, &progs);
	if (!err)
		err = drop_entries(root_fd, is_no_guards, &progs);
	return err ? err : eg_shared_end(root_fd);
}
