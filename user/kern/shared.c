// SPDX-License-Identifier: GPL-2.0
/*
 * The layer `socket`: programs at the root of the cgroup v2 hierarchy, one set for all guards of a
 * pin directory, pinned in _shared/ there:
 *
 *   shared_meta   version
 *   cookies       cookie of a network namespace -> index of its guard
 *   calls_HOOK    index -> the guard's own program for that hook
 *   prog_HOOK     the program at the root, which looks up the one and calls the other
 *   link_HOOK     what keeps it there
 *
 * A guard's programs, and its storage of owners, are the guard's own (bpf/socket.h). So nothing is
 * shared but the way to them: a guard is replaced by new entries in calls_HOOK, and what is lost of
 * the set costs a guard the names of new sockets until attach mends it, never what it holds back.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "kern/internal.h"
#include "net/cgroup.h"
#include "shared.skel.h"
#include "util/cleanup.h"

#define SHARED "_shared"

static const __u32 zero;

enum hook {
#define X(id, name, always) HOOK_##id,
	EG_SHARED_HOOKS(X)
#undef X
	HOOK_COUNT
};

struct hook_info {
	enum bpf_attach_type attach;
	enum eg_prog prog; /* the guard's */
	bool always;
	const char *function;
	const char *calls;
	const char *prog_pin;
	const char *link_pin;
};

static const struct hook_info hooks[HOOK_COUNT] = {
#define HOOK(id, name, is_always, attach_type)                                                     \
	[HOOK_##id] = {                                                                            \
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

/* The set's maps: those that are not the calls of a hook. */
#define META    "shared_meta"
#define COOKIES "cookies"

struct set {
	int root_fd;
	const char *root_path;
	int dir_fd; /* of _shared */
	int meta_fd;
	int cookies_fd;
	int calls_fd[HOOK_COUNT];
	__u32 prog_ids[HOOK_COUNT];
	__u32 has; /* a bit for each hook that this kernel has */
};

#define SET_NONE                                                                                   \
	((struct set){.root_fd = -1,                                                               \
		      .dir_fd = -1,                                                                \
		      .meta_fd = -1,                                                               \
		      .cookies_fd = -1,                                                            \
		      .calls_fd = {-1, -1, -1, -1}})
_Static_assert(HOOK_COUNT == 4, "SET_NONE has no descriptor of any hook");

static bool has_hook(const struct set *set, enum hook hook)
{
	return set->has >> hook & 1;
}

static void close_object(struct bpf_object **object)
{
	bpf_object__close(*object);
}

static void set_close(struct set *set)
{
	eg_cleanup_close(&set->dir_fd);
	eg_cleanup_close(&set->meta_fd);
	eg_cleanup_close(&set->cookies_fd);
	for (enum hook hook = 0; hook < HOOK_COUNT; hook++)
		eg_cleanup_close(&set->calls_fd[hook]);
}

static int failed(const struct set *set, int err, const char *what, struct eg_error *error)
{
	return eg_error_set(error, EG_EXIT_FAILED, -err,
			    "the layer socket: cannot %s in '%s/%s': %s", what, set->root_path,
			    SHARED, strerror(-err));
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

static int open_cookies(int dir_fd)
{
	return open_map(dir_fd, COOKIES, BPF_MAP_TYPE_HASH, sizeof(__u64),
			sizeof(struct eg_shared_entry), EG_SHARED_GUARDS);
}

static int open_calls(int dir_fd, enum hook hook)
{
	return open_map(dir_fd, hooks[hook].calls, BPF_MAP_TYPE_PROG_ARRAY, sizeof(__u32),
			sizeof(__u32), EG_SHARED_GUARDS);
}

static int open_meta(int dir_fd, __u32 *ret_hooks)
{
	EG_AUTO_CLOSE int fd = open_map(dir_fd, META, BPF_MAP_TYPE_ARRAY, sizeof(__u32),
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

/* The id of the root of the hierarchy, 0: it cannot be seen from here, as in a container. */
static __u64 root_cgroup_id(void)
{
	EG_AUTO_CLOSE int fd = -1;
	struct stat stat;

	/* A cgroup's id is the inode of its directory. */
	return eg_cgroup_root_open(&fd) < 0 || fstat(fd, &stat) < 0 ? 0 : stat.st_ino;
}

/* Whether a pinned link holds the program at the root of the cgroups, where alone it sees all of
 * them. What the kernel took away has no cgroup. */
static int check_link(int dir_fd, enum hook hook, __u32 prog_id)
{
	__u64 root_id = root_cgroup_id();
	char path[EG_PIN_PATH_LEN];
	EG_AUTO_CLOSE int fd = bpf_obj_get(eg_pin_path(path, dir_fd, hooks[hook].link_pin));
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	return info.type == BPF_LINK_TYPE_CGROUP && info.prog_id == prog_id &&
			       info.cgroup.cgroup_id &&
			       (!root_id || info.cgroup.cgroup_id == root_id) &&
			       info.cgroup.attach_type == (__u32)hooks[hook].attach
		       ? 0
		       : -EBADF;
}

static int open_hook(struct set *set, enum hook hook)
{
	EG_AUTO_CLOSE int prog_fd = -1;

	set->calls_fd[hook] = open_calls(set->dir_fd, hook);
	if (set->calls_fd[hook] < 0)
		return set->calls_fd[hook];
	prog_fd = eg_pin_open(set->dir_fd, hooks[hook].prog_pin, "bpf-prog");
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

static int open_dir(int root_fd)
{
	int fd = openat(root_fd, SHARED, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? -EBADF : -errno;
	return fd;
}

/* 0: all of it is there and in force. `ret_missing`: what is not. */
static int open_set(struct set *set, const char **ret_missing)
{
	*ret_missing = SHARED;
	set->dir_fd = open_dir(set->root_fd);
	if (set->dir_fd < 0)
		return set->dir_fd;
	*ret_missing = META;
	set->meta_fd = open_meta(set->dir_fd, &set->has);
	if (set->meta_fd < 0)
		return set->meta_fd;
	*ret_missing = COOKIES;
	set->cookies_fd = open_cookies(set->dir_fd);
	if (set->cookies_fd < 0)
		return set->cookies_fd;
	for (enum hook hook = 0; hook < HOOK_COUNT; hook++) {
		int err = has_hook(set, hook) ? open_hook(set, hook) : 0;

		*ret_missing = hooks[hook].link_pin;
		if (err)
			return err;
	}
	return 0;
}

static bool is_missing(int err)
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
static int remove_pins(int dir_fd)
{
	int err = eg_dir_visit(dir_fd, unlink_link, &dir_fd);

	return err ? err : eg_dir_visit(dir_fd, unlink_any, &dir_fd);
}

static int remove_set(int root_fd)
{
	EG_AUTO_CLOSE int dir_fd = open_dir(root_fd);
	int err;

	if (dir_fd < 0)
		return is_missing(dir_fd) ? 0 : dir_fd;
	err = remove_pins(dir_fd);
	if (!err && unlinkat(root_fd, SHARED, AT_REMOVEDIR) < 0)
		err = -errno;
	return err;
}

int eg_shared_end(int root_fd)
{
	EG_AUTO_CLOSE int dir_fd = open_dir(root_fd);
	EG_AUTO_CLOSE int cookies_fd = -1;
	__u64 first;

	if (dir_fd < 0)
		return is_missing(dir_fd) ? 0 : dir_fd;
	cookies_fd = open_cookies(dir_fd);
	if (cookies_fd < 0 && !is_missing(cookies_fd))
		return cookies_fd;
	/* Asked once more where it failed: nobody would come by to take the set away. */
	for (int i = 0; cookies_fd >= 0 && i < 2; i++) {
		if (bpf_map_get_next_key(cookies_fd, NULL, &first) == 0)
			return 0;
		if (errno == ENOENT)
			break;
		if (i == 1)
			return -errno;
	}
	return remove_set(root_fd);
}

/* --- entries -------------------------------------------------------------------------------- */

struct entries {
	struct entry {
		__u64 cookie;
		struct eg_shared_entry value;
	} * all;
	size_t n;
};

static void entries_free(struct entries *entries)
{
	free(entries->all);
}

static int add_entry(const void *key, const void *value, void *argument)
{
	struct entries *entries = argument;
	struct entry *all = reallocarray(entries->all, entries->n + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	entries->all = all;
	memcpy(&all[entries->n].cookie, key, sizeof(__u64));
	memcpy(&all[entries->n].value, value, sizeof(struct eg_shared_entry));
	entries->n++;
	return 0;
}

static int read_entries(int cookies_fd, struct entries *ret_entries)
{
	return eg_map_visit(cookies_fd, sizeof(__u64), sizeof(struct eg_shared_entry), add_entry,
			    ret_entries);
}

static const struct entry *find_cookie(const struct entries *entries, __u64 cookie)
{
	for (size_t i = 0; i < entries->n; i++)
		if (entries->all[i].cookie == cookie)
			return &entries->all[i];
	return NULL;
}

static const struct entry *find_prog(const struct entries *entries, __u32 prog_id)
{
	for (size_t i = 0; i < entries->n; i++)
		if (prog_id && entries->all[i].value.prog_id == prog_id)
			return &entries->all[i];
	return NULL;
}

/* The calls first: whoever is killed in between can still be told by the entry. */
static int drop_entry(int dir_fd, int cookies_fd, const struct entry *entry)
{
	for (enum hook hook = 0; hook < HOOK_COUNT; hook++) {
		EG_AUTO_CLOSE int calls_fd = open_calls(dir_fd, hook);

		if (is_missing(calls_fd))
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
	EG_AUTO_CLOSE int dir_fd = open_dir(root_fd);
	EG_AUTO_CLOSE int cookies_fd = -1;
	EG_AUTO(entries_free) struct entries entries = {};
	int err;

	if (dir_fd < 0)
		return is_missing(dir_fd) ? 0 : dir_fd;
	cookies_fd = open_cookies(dir_fd);
	if (cookies_fd < 0)
		return is_missing(cookies_fd) ? 0 : cookies_fd;
	err = read_entries(cookies_fd, &entries);
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
		return is_missing(fd) ? 0 : fd;
	*ret_id = eg_prog_id(fd);
	return *ret_id ? 0 : -EIO;
}

static bool is_this(__u32 prog_id, const void *argument)
{
	return prog_id == *(const __u32 *)argument;
}

int eg_shared_forget(int root_fd, int dir_fd, const char *root_path, struct eg_error *error)
{
	const struct set set = {.root_path = root_path};
	__u32 id;
	int err = pinned_prog(dir_fd, &id);

	if (!err && id)
		err = drop_entries(root_fd, is_this, &id);
	return err ? failed(&set, err, "take a guard's programs out", error) : 0;
}

/* --- entries without a guard ---------------------------------------------------------------- */

struct progs {
	int root_fd;
	__u32 *ids;
	size_t n;
};

static void progs_free(struct progs *progs)
{
	free(progs->ids);
}

static int add_prog(const char *entry, void *argument)
{
	struct progs *progs = argument;
	EG_AUTO_CLOSE int fd =
		openat(progs->root_fd, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	__u32 *ids, id = 0;
	int err;

	if (strcmp(entry, SHARED) == 0)
		return 0;
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP || errno == ENOENT ? 0 : -errno;
	err = pinned_prog(fd, &id);
	if (err || !id)
		return err;
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

int eg_shared_sweep(int root_fd)
{
	EG_AUTO(progs_free) struct progs progs = {.root_fd = root_fd};
	int err;

	if (faccessat(root_fd, SHARED, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	err = eg_dir_visit(root_fd, add_prog, &progs);
	if (!err)
		err = drop_entries(root_fd, is_no_guards, &progs);
	return err ? err : eg_shared_end(root_fd);
}

/* --- making the set ------------------------------------------------------------------------- */

const char *eg_sockets_obstacle(void)
{
	EG_AUTO_CLOSE int fd = -1;

	switch (-eg_cgroup_root_open(&fd)) {
	case 0:
		return NULL;
	case ENOENT:
		return "no cgroup v2 hierarchy is mounted here";
	case EXDEV:
		return "only a part of the cgroup v2 hierarchy can be seen from here, as in a "
		       "container: attach from the host";
	}
	return "the cgroup v2 hierarchy cannot be opened";
}

/* What this machine cannot do, as opposed to what failed this time. */
static int cannot(struct eg_error *error, const char *why)
{
	return eg_error_set(error, EG_EXIT_KERNEL, EOPNOTSUPP,
			    "the layer socket is not available: %s", why);
}

static int open_root_cgroup(const struct set *set, int *ret_fd, struct eg_error *error)
{
	int err = eg_cgroup_root_open(ret_fd);

	if (err == -ENOENT || err == -EXDEV)
		return cannot(error, eg_sockets_obstacle());
	return err ? failed(set, err, "find the root of the cgroup v2 hierarchy, for its programs",
			    error)
		   : 0;
}

#define TELL "eg_tell_cookie"

/* What is to be loaded: those hooks, or, where there are none, what tells cookies. */
static bool is_wanted(const char *function, __u32 wanted)
{
	for (enum hook hook = 0; hook < HOOK_COUNT; hook++)
		if (strcmp(function, hooks[hook].function) == 0)
			return wanted >> hook & 1;
	return !wanted && strcmp(function, TELL) == 0;
}

static struct bpf_object *open_object(__u32 wanted)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "egressguard");
	EG_AUTO(close_object) struct bpf_object *object = NULL;
	struct bpf_program *prog;
	struct bpf_map *map;
	size_t elf_size;
	const void *elf = shared_bpf__elf_bytes(&elf_size);

	eg_libbpf_capture();
	eg_libbpf_forget();
	object = bpf_object__open_mem(elf, elf_size, &opts);
	if (!object)
		return NULL;
	bpf_object__for_each_program(prog, object)
		bpf_program__set_autoload(prog, is_wanted(bpf_program__name(prog), wanted));
	bpf_object__for_each_map(map, object)
	{
		bool tells = strcmp(bpf_map__name(map), "told") == 0;

		bpf_map__set_autocreate(map, wanted ? !tells : tells);
	}
	return EG_TAKE(object);
}

static int load_failed(int err, struct eg_error *error)
{
	char why[640];

	snprintf(why, sizeof(why), "this kernel does not load its programs (%s): %s",
		 strerror(-err), eg_libbpf_why());
	if (eg_load_is_lasting(err))
		return cannot(error, why);
	return eg_error_set(error, EG_EXIT_FAILED, -err, "the layer socket: %s", why);
}

static int attach_failed(int err, struct eg_error *error)
{
	switch (-err) {
	case E2BIG:
		return cannot(error, "64 programs are at the root of the cgroup hierarchy already, "
				     "and the kernel takes no more");
	case EPERM:
	case EACCES:
		return cannot(error, "another program claims the root of the cgroup hierarchy for "
				     "itself, or this process may not attach there");
	case EINVAL:
	case EOPNOTSUPP:
	case ENOSYS:
		return cannot(error, "this kernel attaches no programs to cgroups by a link");
	}
	return eg_error_set(error, EG_EXIT_FAILED, -err,
			    "the layer socket: cannot attach to the root of the cgroup hierarchy: "
			    "%s",
			    strerror(-err));
}

/* Maps that are there already keep what is in them. */
static int reuse(struct bpf_object *object, const char *name, int fd)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);

	if (!map)
		return -ENOENT;
	return fd < 0 ? 0 : bpf_map__reuse_fd(map, fd);
}

static int pin(const struct set *set, int fd, const char *name, struct eg_error *error)
{
	char path[EG_PIN_PATH_LEN];
	int err = eg_pin_unlink(set->dir_fd, name);

	if (!err && bpf_obj_pin(fd, eg_pin_path(path, set->dir_fd, name)) < 0)
		err = -errno;
	return err ? failed(set, err, "pin programs", error) : 0;
}

/* A map of the object: pinned, if it is new, and kept in *fd. */
static int keep_map(const struct set *set, struct bpf_object *object, const char *name, int *fd,
		    struct eg_error *error)
{
	int err;

	if (*fd >= 0)
		return 0;
	*fd = fcntl(bpf_object__find_map_fd_by_name(object, name), F_DUPFD_CLOEXEC, 3);
	if (*fd < 0)
		return failed(set, -errno, "keep a map", error);
	err = pin(set, *fd, name, error);
	if (err) {
		close(*fd);
		*fd = -1;
	}
	return err;
}

/* The new link before the old one goes. */
static int attach_hook(struct set *set, struct bpf_object *object, int cgroup_fd, enum hook hook,
		       struct eg_error *error)
{
	EG_AUTO_CLOSE int link_fd = -1;
	int prog_fd =
		bpf_program__fd(bpf_object__find_program_by_name(object, hooks[hook].function));
	int err = pin(set, prog_fd, hooks[hook].prog_pin, error);

	if (err)
		return err;
	link_fd = bpf_link_create(prog_fd, cgroup_fd, hooks[hook].attach, NULL);
	if (link_fd < 0)
		return attach_failed(link_fd, error);
	return pin(set, link_fd, hooks[hook].link_pin, error);
}

/* The object with these hooks, over the maps that are there already. */
static int load_hooks(const struct set *set, __u32 wanted, struct bpf_object **ret_object)
{
	EG_AUTO(close_object) struct bpf_object *object = open_object(wanted);
	int err = object ? 0 : -errno;

	if (!err)
		err = reuse(object, META, set->meta_fd);
	if (!err)
		err = reuse(object, COOKIES, set->cookies_fd);
	for (enum hook hook = 0; hook < HOOK_COUNT && !err; hook++)
		err = reuse(object, hooks[hook].calls, set->calls_fd[hook]);
	if (!err)
		err = bpf_object__load(object);
	if (!err)
		*ret_object = EG_TAKE(object);
	return err;
}

/* With what this kernel has of those that not every kernel has. */
static int load_most(struct set *set, struct bpf_object **ret_object)
{
	__u32 all = 0, always = 0;
	int err;

	for (enum hook hook = 0; hook < HOOK_COUNT; hook++) {
		all |= 1U << hook;
		always |= (__u32)hooks[hook].always << hook;
	}
	set->has = all;
	err = load_hooks(set, all, ret_object);
	if (!err || !eg_load_is_lasting(err))
		return err;
	set->has = always;
	return load_hooks(set, always, ret_object);
}

bool eg_sockets_are_possible(bool *ret_setsockopt, struct eg_error *why)
{
	EG_AUTO(close_object) struct bpf_object *object = NULL;
	EG_AUTO_CLOSE int cgroup_fd = -1;
	struct set set = SET_NONE;
	int err;

	set.root_path = "";
	err = open_root_cgroup(&set, &cgroup_fd, why);
	if (!err) {
		err = load_most(&set, &object);
		if (err)
			load_failed(err, why);
	}
	*ret_setsockopt = !err && has_hook(&set, HOOK_SETSOCKOPT);
	return !err;
}

static int write_meta(const struct set *set)
{
	const struct eg_shared_meta empty = {};
	struct eg_shared_meta meta;

	if (bpf_map_lookup_elem(set->meta_fd, &zero, &meta) < 0)
		return -errno;
	if (meta.magic != EG_ABI_MAGIC)
		meta = empty;
	meta.magic = EG_ABI_MAGIC;
	meta.version = EG_SHARED_VERSION;
	meta.hooks = set->has;
	return bpf_map_update_elem(set->meta_fd, &zero, &meta, BPF_ANY) < 0 ? -errno : 0;
}

static int load_set(struct set *set, int cgroup_fd, struct eg_error *error)
{
	EG_AUTO(close_object) struct bpf_object *object = NULL;
	int err = load_most(set, &object);

	if (err)
		return load_failed(err, error);
	err = keep_map(set, object, META, &set->meta_fd, error);
	if (!err)
		err = keep_map(set, object, COOKIES, &set->cookies_fd, error);
	for (enum hook hook = 0; hook < HOOK_COUNT && !err; hook++)
		err = keep_map(set, object, hooks[hook].calls, &set->calls_fd[hook], error);
	for (enum hook hook = 0; hook < HOOK_COUNT && !err; hook++)
		if (has_hook(set, hook))
			err = attach_hook(set, object, cgroup_fd, hook, error);
	if (err)
		return err;
	err = write_meta(set);
	return err ? failed(set, err, "write the version", error) : 0;
}

/*
 * What is broken, or of another version, is made anew. Maps stay if they are ours and whole; with
 * another version's, entries go, and their guards are without this layer until they are attached
 * again, as their `status` says.
 */
static int make_set(struct set *set, struct eg_error *error)
{
	EG_AUTO_CLOSE int cgroup_fd = -1;
	int err = open_root_cgroup(set, &cgroup_fd, error);

	if (err)
		return err;
	if (set->dir_fd == -EBADF)
		return cannot(error,
			      "the pin directory has a '" SHARED "' that is not egressguard's");
	if (set->dir_fd < 0 && mkdirat(set->root_fd, SHARED, 0700) < 0)
		return failed(set, -errno, "make a directory", error);
	if (set->dir_fd < 0)
		set->dir_fd = open_dir(set->root_fd);
	if (set->dir_fd < 0)
		return failed(set, set->dir_fd, "open it", error);
	if (set->meta_fd < 0)
		err = remove_pins(set->dir_fd);
	if (err)
		return failed(set, err, "remove what is not of this version", error);
	if (set->meta_fd >= 0) {
		set->cookies_fd = set->cookies_fd < 0 ? open_cookies(set->dir_fd) : set->cookies_fd;
		for (enum hook hook = 0; hook < HOOK_COUNT; hook++)
			if (set->calls_fd[hook] < 0)
				set->calls_fd[hook] = open_calls(set->dir_fd, hook);
	}
	err = load_set(set, cgroup_fd, error);
	/* Half a set serves nobody. */
	if (err)
		eg_shared_end(set->root_fd);
	return err;
}

static int have_set(struct set *set, struct eg_error *error)
{
	const char *missing;
	int err = open_set(set, &missing);

	if (!err)
		return 0;
	if (!is_missing(err))
		return failed(set, err, "look", error);
	return make_set(set, error);
}

/* --- the cookie of a namespace -------------------------------------------------------------- */

struct asking {
	int told_fd;
	__u64 cookie;
};

/* Runs inside the namespace. */
static int make_socket(void *argument)
{
	struct asking *asking = argument;
	EG_AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	__u64 socket_cookie;
	socklen_t len = sizeof(socket_cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_COOKIE, &socket_cookie, &len) < 0)
		return -errno;
	return bpf_map_lookup_elem(asking->told_fd, &socket_cookie, &asking->cookie) < 0 ? -errno
											 : 0;
}

/* Before Linux 5.14, by a program that is there for this moment. */
static int ask_cookie(const struct set *set, const struct eg_netns *netns, __u64 *ret_cookie,
		      struct eg_error *error)
{
	EG_AUTO(close_object) struct bpf_object *object = open_object(0);
	EG_AUTO_CLOSE int cgroup_fd = -1;
	EG_AUTO_CLOSE int link_fd = -1;
	struct asking asking = {};
	int err = object ? bpf_object__load(object) : -errno;

	if (err)
		return load_failed(err, error);
	err = open_root_cgroup(set, &cgroup_fd, error);
	if (err)
		return err;
	link_fd = bpf_link_create(bpf_program__fd(bpf_object__find_program_by_name(object, TELL)),
				  cgroup_fd, BPF_CGROUP_INET_SOCK_CREATE, NULL);
	if (link_fd < 0)
		return attach_failed(link_fd, error);
	asking.told_fd = bpf_object__find_map_fd_by_name(object, "told");
	err = eg_netns_run(netns, make_socket, &asking);
	bpf_link_detach(link_fd);
	if (!err && !asking.cookie)
		err = -ENOENT;
	if (err)
		return failed(set, err, "learn the cookie of the namespace", error);
	*ret_cookie = asking.cookie;
	return 0;
}

/* --- a guard's place in it ------------------------------------------------------------------ */

static bool is_free(const struct entries *entries, __u32 index)
{
	for (size_t i = 0; i < entries->n; i++)
		if (entries->all[i].value.index == index)
			return false;
	return true;
}

/* Not the one that was freed last: a process may be on its way to it. */
static int take_index(const struct set *set, const struct entries *entries, __u32 *ret_index)
{
	struct eg_shared_meta meta;

	if (bpf_map_lookup_elem(set->meta_fd, &zero, &meta) < 0)
		return -errno;
	for (__u32 i = 0; i < EG_SHARED_GUARDS; i++) {
		__u32 index = (meta.next + i) % EG_SHARED_GUARDS;

		if (!is_free(entries, index))
			continue;
		meta.next = index + 1;
		if (bpf_map_update_elem(set->meta_fd, &zero, &meta, BPF_ANY) < 0)
			return -errno;
		*ret_index = index;
		return 0;
	}
	return -E2BIG;
}

static int enter_guard(const struct set *set, const struct eg_guard *guard, __u64 cookie,
		       __u32 index)
{
	const struct eg_shared_entry entry = {
		.index = index,
		.prog_id = guard->prog_ids[EG_PROG_SOCK_CREATE],
	};

	for (enum hook hook = 0; hook < HOOK_COUNT; hook++) {
		int prog_fd = guard->progs[hooks[hook].prog];

		if (prog_fd < 0)
			continue; /* one that it has no use for */
		if (bpf_map_update_elem(set->calls_fd[hook], &index, &prog_fd, BPF_ANY) < 0)
			return -errno;
	}
	return bpf_map_update_elem(set->cookies_fd, &cookie, &entry, BPF_ANY) < 0 ? -errno : 0;
}

static int enter(const struct set *set, const struct eg_guard *guard, const struct eg_netns *netns,
		 struct eg_error *error)
{
	EG_AUTO(entries_free) struct entries entries = {};
	const struct entry *entry;
	__u64 cookie = netns->cookie;
	__u32 index = 0;
	int err = read_entries(set->cookies_fd, &entries);

	if (err)
		return failed(set, err, "read the guards", error);
	entry = find_prog(&entries, guard->prog_ids[EG_PROG_SOCK_CREATE]);
	if (!cookie && entry)
		cookie = entry->cookie;
	if (!cookie)
		err = ask_cookie(set, netns, &cookie, error);
	if (err)
		return err;
	entry = find_cookie(&entries, cookie);
	if (entry)
		index = entry->value.index;
	else
		err = take_index(set, &entries, &index);
	if (!err)
		err = enter_guard(set, guard, cookie, index);
	if (err == -E2BIG)
		return cannot(error, "it serves as many guards as it can");
	return err ? failed(set, err, "enter the guard", error) : 0;
}

/* --- the layer ------------------------------------------------------------------------------ */

/* For tests: packet sockets may go round tc egress as if the kernel had no such hook. */
static bool setsockopt_is_off(void)
{
	const char *off = getenv("EGRESSGUARD_NO_SETSOCKOPT");

	return off && strcmp(off, "1") == 0;
}

static unsigned int guard_progs(const struct set *set)
{
	unsigned int progs = 0;

	for (enum hook hook = 0; hook < HOOK_COUNT; hook++)
		if (has_hook(set, hook) && !(hook == HOOK_SETSOCKOPT && setsockopt_is_off()))
			progs |= 1U << hooks[hook].prog;
	return progs;
}

static int need_progs(const struct set *set, struct eg_guard *guard, struct eg_error *error)
{
	char why[EG_ERROR_LEN / 2];
	int err = eg_guard_need_some(guard, guard_progs(set), error);

	if (!err || !eg_load_is_lasting(err))
		return err;
	snprintf(why, sizeof(why), "this kernel does not load its programs (%s): %s",
		 strerror(-err), eg_libbpf_why());
	return cannot(error, why);
}

int eg_guard_cover_sockets(struct eg_guard *guard, const struct eg_netns *netns,
			   struct eg_error *error)
{
	EG_AUTO(set_close) struct set set = SET_NONE;
	int err;

	if (guard->other_abi)
		return -EPROTO;
	set.root_fd = guard->root_fd;
	set.root_path = guard->root_path;
	err = have_set(&set, error);
	if (!err)
		err = need_progs(&set, guard, error);
	if (!err)
		err = enter(&set, guard, netns, error);
	if (err)
		eg_shared_end(guard->root_fd);
	return err;
}

int eg_guard_note_sockets(struct eg_guard *guard, bool has)
{
	__u32 before = guard->meta.flags;
	int err;

	guard->meta.flags &= ~(__u32)EG_META_NO_SOCKET;
	if (!has)
		guard->meta.flags |= EG_META_NO_SOCKET;
	if (guard->meta.flags == before)
		return 0;
	err = eg_guard_write_meta(guard);
	if (err)
		guard->meta.flags = before;
	return err;
}

static int check_calls(const struct set *set, const struct eg_guard *guard, __u32 index)
{
	for (enum hook hook = 0; hook < HOOK_COUNT; hook++) {
		__u32 id = 0, wanted = guard->prog_ids[hooks[hook].prog];

		if (!wanted && !hooks[hook].always)
			continue;
		if (!has_hook(set, hook))
			return -ENOENT;
		if (bpf_map_lookup_elem(set->calls_fd[hook], &index, &id) < 0)
			return -errno;
		if (!id || id != wanted)
			return -ENOENT;
	}
	return 0;
}

static int look(struct set *set, const struct eg_guard *guard, const char **ret_missing)
{
	EG_AUTO(entries_free) struct entries entries = {};
	const struct entry *entry;
	int err = open_set(set, ret_missing);

	if (err)
		return err;
	*ret_missing = "the guard's entry in " COOKIES;
	err = read_entries(set->cookies_fd, &entries);
	if (err)
		return err;
	entry = find_prog(&entries, guard->prog_ids[EG_PROG_SOCK_CREATE]);
	if (!entry || (guard->meta.netns_cookie && guard->meta.netns_cookie != entry->cookie))
		return -ENOENT;
	*ret_missing = "the guard's own program in its calls";
	return check_calls(set, guard, entry->value.index);
}

bool eg_guard_has_setsockopt(const struct eg_guard *guard)
{
	return guard->prog_ids[EG_PROG_SETSOCKOPT] != 0;
}

enum eg_sockets_state eg_guard_sockets_state(struct eg_guard *guard, const char **ret_missing)
{
	EG_AUTO(set_close) struct set set = SET_NONE;
	int err;

	*ret_missing = NULL;
	if (guard->other_abi || guard->meta.flags & EG_META_NO_SOCKET)
		return EG_SOCKETS_NONE;
	set.root_fd = guard->root_fd;
	set.root_path = guard->root_path;
	err = look(&set, guard, ret_missing);
	return err ? EG_SOCKETS_MISSING : EG_SOCKETS_ATTACHED;
}
