// SPDX-License-Identifier: GPL-2.0
/* The set of programs that all guards share: loading, attaching and pinning it (shared.h). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "kern/shared.h"
#include "net/cgroup.h"
#include "shared.skel.h"
#include "util/cleanup.h"

static const __u32 zero;

static void close_object(struct bpf_object **object)
{
	bpf_object__close(*object);
}

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
int eg_shared_cannot(struct eg_error *error, const char *why)
{
	return eg_error_set(error, EG_EXIT_KERNEL, EOPNOTSUPP,
			    "the layer socket is not available: %s", why);
}

static int open_root_cgroup(const struct eg_shared_set *set, int *ret_fd, struct eg_error *error)
{
	int err = eg_cgroup_root_open(ret_fd);

	if (err == -ENOENT || err == -EXDEV)
		return eg_shared_cannot(error, eg_sockets_obstacle());
	return err ? eg_shared_failed(set, err,
				      "find the root of the cgroup v2 hierarchy, for its programs",
				      error)
		   : 0;
}

#define TELL "eg_tell_cookie"

/* What is to be loaded: those hooks, or, where there are none, what tells cookies. */
static bool is_wanted(const char *function, __u32 wanted)
{
	for (enum eg_hook hook = 0; hook < EG_HOOK_COUNT; hook++)
		if (strcmp(function, eg_hooks[hook].function) == 0)
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
		return eg_shared_cannot(error, why);
	return eg_error_set(error, EG_EXIT_FAILED, -err, "the layer socket: %s", why);
}

static int attach_failed(int err, struct eg_error *error)
{
	switch (-err) {
	case E2BIG:
		return eg_shared_cannot(
			error, "64 programs are at the root of the cgroup hierarchy already, "
			       "and the kernel takes no more");
	case EPERM:
	case EACCES:
		return eg_shared_cannot(
			error, "another program claims the root of the cgroup hierarchy for "
			       "itself, or this process may not attach there");
	case EINVAL:
	case EOPNOTSUPP:
	case ENOSYS:
		return eg_shared_cannot(error,
					"this kernel attaches no programs to cgroups by a link");
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

static int pin(const struct eg_shared_set *set, int fd, const char *name, struct eg_error *error)
{
	char path[EG_PIN_PATH_LEN];
	int err = eg_pin_unlink(set->dir_fd, name);

	if (!err && bpf_obj_pin(fd, eg_pin_path(path, set->dir_fd, name)) < 0)
		err = -errno;
	return err ? eg_shared_failed(set, err, "pin programs", error) : 0;
}

/* A map of the object: pinned, if it is new, and kept in *fd. */
static int keep_map(const struct eg_shared_set *set, struct bpf_object *object, const char *name,
		    int *fd, struct eg_error *error)
{
	int err;

	if (*fd >= 0)
		return 0;
	*fd = fcntl(bpf_object__find_map_fd_by_name(object, name), F_DUPFD_CLOEXEC, 3);
	if (*fd < 0)
		return eg_shared_failed(set, -errno, "keep a map", error);
	err = pin(set, *fd, name, error);
	if (err) {
		close(*fd);
		*fd = -1;
	}
	return err;
}

/* The new link before the old one goes. */
static int attach_hook(struct eg_shared_set *set, struct bpf_object *object, int cgroup_fd,
		       enum eg_hook hook, struct eg_error *error)
{
	EG_AUTO_CLOSE int link_fd = -1;
	int prog_fd =
		bpf_program__fd(bpf_object__find_program_by_name(object, eg_hooks[hook].function));
	int err = pin(set, prog_fd, eg_hooks[hook].prog_pin, error);

	if (err)
		return err;
	link_fd = bpf_link_create(prog_fd, cgroup_fd, eg_hooks[hook].attach, NULL);
	if (link_fd < 0)
		return attach_failed(link_fd, error);
	return pin(set, link_fd, eg_hooks[hook].link_pin, error);
}

/* The object with these hooks, over the maps that are there already. */
static int load_hooks(const struct eg_shared_set *set, __u32 wanted, struct bpf_object **ret_object)
{
	EG_AUTO(close_object) struct bpf_object *object = open_object(wanted);
	int err = object ? 0 : -errno;

	if (!err)
		err = reuse(object, EG_SHARED_META, set->meta_fd);
	if (!err)
		err = reuse(object, EG_SHARED_COOKIES, set->cookies_fd);
	for (enum eg_hook hook = 0; hook < EG_HOOK_COUNT && !err; hook++)
		err = reuse(object, eg_hooks[hook].calls, set->calls_fd[hook]);
	if (!err)
		err = bpf_object__load(object);
	if (!err)
		*ret_object = EG_TAKE(object);
	return err;
}

/* With what this kernel has of those that not every kernel has. */
static int load_most(struct eg_shared_set *set, struct bpf_object **ret_object)
{
	__u32 all = 0, always = 0;
	int err;

	for (enum eg_hook hook = 0; hook < EG_HOOK_COUNT; hook++) {
		all |= 1U << hook;
		always |= (__u32)eg_hooks[hook].always << hook;
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
	struct eg_shared_set set = EG_SHARED_SET_NONE;
	int err;

	set.root_path = "";
	err = open_root_cgroup(&set, &cgroup_fd, why);
	if (!err) {
		err = load_most(&set, &object);
		if (err)
			load_failed(err, why);
	}
	*ret_setsockopt = !err && eg_shared_has(&set, EG_HOOK_SETSOCKOPT);
	return !err;
}

static int write_meta(const struct eg_shared_set *set)
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

static int load_set(struct eg_shared_set *set, int cgroup_fd, struct eg_error *error)
{
	EG_AUTO(close_object) struct bpf_object *object = NULL;
	int err = load_most(set, &object);

	if (err)
		return load_failed(err, error);
	err = keep_map(set, object, EG_SHARED_META, &set->meta_fd, error);
	if (!err)
		err = keep_map(set, object, EG_SHARED_COOKIES, &set->cookies_fd, error);
	for (enum eg_hook hook = 0; hook < EG_HOOK_COUNT && !err; hook++)
		err = keep_map(set, object, eg_hooks[hook].calls, &set->calls_fd[hook], error);
	for (enum eg_hook hook = 0; hook < EG_HOOK_COUNT && !err; hook++)
		if (eg_shared_has(set, hook))
			err = attach_hook(set, object, cgroup_fd, hook, error);
	if (err)
		return err;
	err = write_meta(set);
	return err ? eg_shared_failed(set, err, "write the version", error) : 0;
}

/*
 * What is broken, or of another version, is made anew. Maps stay if they are ours and whole; with
 * another version's, entries go, and their guards are without this layer until they are attached
 * again, as their `status` says.
 */
static int make_set(struct eg_shared_set *set, struct eg_error *error)
{
	EG_AUTO_CLOSE int cgroup_fd = -1;
	int err = open_root_cgroup(set, &cgroup_fd, error);

	if (err)
		return err;
	if (set->dir_fd == -EBADF)
		return eg_shared_cannot(error, "the pin directory has a '" EG_SHARED_DIR
					       "' that is not egressguard's");
	if (set->dir_fd < 0 && mkdirat(set->root_fd, EG_SHARED_DIR, 0700) < 0)
		return eg_shared_failed(set, -errno, "make a directory", error);
	if (set->dir_fd < 0)
		set->dir_fd = eg_shared_open_dir(set->root_fd);
	if (set->dir_fd < 0)
		return eg_shared_failed(set, set->dir_fd, "open it", error);
	if (set->meta_fd < 0)
		err = eg_shared_remove_pins(set->dir_fd);
	if (err)
		return eg_shared_failed(set, err, "remove what is not of this version", error);
	if (set->meta_fd >= 0) {
		set->cookies_fd =
			set->cookies_fd < 0 ? eg_shared_open_cookies(set->dir_fd) : set->cookies_fd;
		for (enum eg_hook hook = 0; hook < EG_HOOK_COUNT; hook++)
			if (set->calls_fd[hook] < 0)
				set->calls_fd[hook] = eg_shared_open_calls(set->dir_fd, hook);
	}
	err = load_set(set, cgroup_fd, error);
	/* Half a set serves nobody. */
	if (err)
		eg_shared_end(set->root_fd);
	return err;
}

int eg_shared_have(struct eg_shared_set *set, struct eg_error *error)
{
	const char *missing;
	int err = eg_shared_open(set, &missing);

	if (!err)
		return 0;
	if (!eg_shared_is_missing(err))
		return eg_shared_failed(set, err, "look", error);
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
int eg_shared_ask_cookie(const struct eg_shared_set *set, const struct eg_netns *netns,
			 __u64 *ret_cookie, struct eg_error *error)
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
		return eg_shared_failed(set, err, "learn the cookie of the namespace", error);
	*ret_cookie = asking.cookie;
	return 0;
}
