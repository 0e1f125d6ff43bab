// SPDX-License-Identifier: GPL-2.0
/*
 * A guard on a cgroup: its programs are attached to that cgroup by links of their own, pinned as
 * link_cgroup_HOOK. The kernel takes them off when the cgroup is removed. All programs at a cgroup
 * and at those above it judge, in whatever order, and one that drops wins: so there is no place in
 * a chain to lose.
 */
#include <errno.h>
#include <string.h>

#include "kern/internal.h"
#include "net/cgroup_target.h"
#include "util/cleanup.h"

static const __u32 zero;

struct hook {
	enum bpf_attach_type attach;
	enum eg_prog prog;
	const char *pin;
};

static const struct hook egress_hook = {BPF_CGROUP_INET_EGRESS, EG_PROG_CGROUP,
					"link_cgroup_egress"};

/* No setsockopt: packet sockets go past this guard with and without what it would refuse. */
static const struct hook socket_hooks[] = {
	{BPF_CGROUP_INET_SOCK_CREATE, EG_PROG_SOCK_CREATE, "link_cgroup_sock_create"},
	{BPF_CGROUP_INET4_CONNECT, EG_PROG_CONNECT4, "link_cgroup_connect4"},
	{BPF_CGROUP_INET6_CONNECT, EG_PROG_CONNECT6, "link_cgroup_connect6"},
};
#define SOCKET_HOOKS (sizeof(socket_hooks) / sizeof(*socket_hooks))

/* --- state ---------------------------------------------------------------------------------- */

/* 0: the pinned link holds the guard's program at its cgroup. What the kernel, or somebody else,
 * took away has no cgroup any more (*ret_id is 0). */
static int look_at_link(const struct eg_guard *guard, const struct hook *hook, __u64 *ret_id)
{
	char path[EG_PIN_PATH_LEN];
	EG_AUTO_CLOSE int fd = bpf_obj_get(eg_pin_path(path, guard->dir_fd, hook->pin));
	struct bpf_link_info info = {};
	__u32 len = sizeof(info);

	*ret_id = 0;
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	if (info.type != BPF_LINK_TYPE_CGROUP)
		return -EBADF;
	*ret_id = info.cgroup.cgroup_id;
	return *ret_id && *ret_id == guard->meta.cgroup_id && guard->prog_ids[hook->prog] &&
			       info.prog_id == guard->prog_ids[hook->prog] &&
			       info.cgroup.attach_type == (__u32)hook->attach
		       ? 0
		       : -EBADF;
}

bool eg_guard_is_on_cgroup(struct eg_guard *guard)
{
	__u64 id;

	return !guard->other_abi && look_at_link(guard, &egress_hook, &id) == 0;
}

enum eg_sockets_state eg_guard_cgroup_sockets_state(struct eg_guard *guard,
						    const char **ret_missing)
{
	__u64 id;

	*ret_missing = NULL;
	if (guard->other_abi || guard->meta.flags & EG_META_NO_SOCKET)
		return EG_SOCKETS_NONE;
	for (size_t i = 0; i < SOCKET_HOOKS; i++) {
		*ret_missing = socket_hooks[i].pin;
		if (look_at_link(guard, &socket_hooks[i], &id))
			return EG_SOCKETS_MISSING;
	}
	*ret_missing = NULL;
	return EG_SOCKETS_ATTACHED;
}

int eg_guard_cgroup_exists(const struct eg_guard *guard)
{
	return eg_cgroup_exists(guard->meta.cgroup_id);
}

bool eg_guard_cgroup_is_gone(struct eg_guard *guard)
{
	__u64 id;
	int err = look_at_link(guard, &egress_hook, &id);

	if (id || (err && err != -EBADF && err != -ENOENT))
		return false;
	return eg_cgroup_exists(guard->meta.cgroup_id) == 0;
}

/* --- attaching ------------------------------------------------------------------------------ */

static int attach_failed(int err, const struct hook *hook, struct eg_error *error)
{
	switch (-err) {
	case E2BIG:
		return eg_error_set(error, EG_EXIT_KERNEL, EOPNOTSUPP,
				    "64 programs are at this cgroup already, and the kernel takes "
				    "no more");
	case EPERM:
	case EACCES:
		return eg_error_set(error, EG_EXIT_KERNEL, EOPNOTSUPP,
				    "the kernel does not let a program be attached to this cgroup: "
				    "another one claims it, or a cgroup above it, for itself "
				    "(`bpftool cgroup tree` shows it), or this process may not");
	case EINVAL:
	case EOPNOTSUPP:
	case ENOSYS:
		return eg_error_set(error, EG_EXIT_KERNEL, EOPNOTSUPP,
				    "this kernel attaches no such programs to cgroups by a link");
	case ENOENT:
	case ENODEV:
		return eg_error_set(error, EG_EXIT_NO_SUCH, -err,
				    "the cgroup was removed meanwhile");
	}
	return eg_error_set(error, EG_EXIT_FAILED, -err, "cannot attach to the cgroup (%s): %s",
			    hook->pin, strerror(-err));
}

/* The new link is in force before the pin of one that is not goes. */
static int attach_hook(struct eg_guard *guard, int cgroup_fd, const struct hook *hook,
		       struct eg_error *error)
{
	EG_AUTO_CLOSE int link_fd = -1;
	char path[EG_PIN_PATH_LEN];
	__u64 id;
	int err, prog_fd;

	if (look_at_link(guard, hook, &id) == 0)
		return 0;
	prog_fd = eg_guard_prog(guard, hook->prog);
	link_fd = prog_fd < 0 ? prog_fd : bpf_link_create(prog_fd, cgroup_fd, hook->attach, NULL);
	if (link_fd < 0)
		return attach_failed(link_fd, hook, error);
	err = eg_pin_unlink(guard->dir_fd, hook->pin);
	if (!err && bpf_obj_pin(link_fd, eg_pin_path(path, guard->dir_fd, hook->pin)) < 0)
		err = -errno;
	if (err)
		return eg_error_set(error, EG_EXIT_FAILED, -err, "cannot pin '%s': %s", hook->pin,
				    strerror(-err));
	return 0;
}

int eg_guard_cover_cgroup(struct eg_guard *guard, int cgroup_fd, struct eg_error *error)
{
	int err = guard->other_abi ? -EPROTO : eg_guard_need(guard, EG_PROG_CGROUP, error);

	return err ? err : attach_hook(guard, cgroup_fd, &egress_hook, error);
}

int eg_guard_cover_cgroup_sockets(struct eg_guard *guard, int cgroup_fd, struct eg_error *error)
{
	unsigned int progs = 0;
	int err;

	for (size_t i = 0; i < SOCKET_HOOKS; i++)
		progs |= 1U << socket_hooks[i].prog;
	err = guard->other_abi ? -EPROTO : eg_guard_need_some(guard, progs, error);
	for (size_t i = 0; i < SOCKET_HOOKS && !err; i++)
		err = attach_hook(guard, cgroup_fd, &socket_hooks[i], error);
	return err;
}

/* --- the tunnel's namespace ----------------------------------------------------------------- */

int eg_guard_home(struct eg_guard *guard, struct eg_home *ret_home)
{
	if (guard->other_abi)
		return -EPROTO;
	return eg_guard_lookup(guard, EG_MAP_HOME, &zero, ret_home);
}

static int write_home(struct eg_guard *guard, const struct eg_home *home)
{
	return eg_guard_update(guard, EG_MAP_HOME, &zero, home);
}

/* A packet may see half of a store: so what is there says nothing until all the rest is written. */
int eg_guard_set_home(struct eg_guard *guard, const struct eg_home *home)
{
	struct eg_home closed = *home, before;
	int err = eg_guard_home(guard, &before);

	if (err || memcmp(&before, home, sizeof(before)) == 0)
		return err;
	before.netns_inode = 0;
	closed.netns_inode = 0;
	err = write_home(guard, &before);
	if (!err)
		err = write_home(guard, &closed);
	return err ? err : write_home(guard, home);
}
