// SPDX-License-Identifier: GPL-2.0
#include "kern/hold.h"

#include <errno.h>
#include <limits.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kern/internal.h"
#include "util/cleanup.h"

#define FIRST_PRIORITY  (INT_MAX - 1) /* the kernel refuses INT_MAX */
#define PRIORITIES      64
#define MAPS_OF_PROGRAM 64

struct eg_hold {
	int links[2]; /* of IPv4, of IPv6 */
	int prog_fd;
	int settings_fd;
	__u32 prog_id;
};

void eg_hold_close(struct eg_hold *hold)
{
	if (!hold)
		return;
	for (size_t i = 0; i < 2; i++)
		eg_cleanup_close(&hold->links[i]);
	eg_cleanup_close(&hold->prog_fd);
	eg_cleanup_close(&hold->settings_fd);
	free(hold);
}

__u32 eg_hold_id(const struct eg_hold *hold)
{
	return hold->prog_id;
}

/* --- loading ---------------------------------------------------------------------------------- */

static int load_failed(int err, struct eg_error *error)
{
	if (eg_libbpf_verifier_refused() || (err != -ENOMEM && err != -EPERM))
		return eg_error_set(error, EG_EXIT_KERNEL, EOPNOTSUPP,
				    "the program of the layer `netns` cannot be loaded here (%s): "
				    "%s",
				    strerror(-err), eg_libbpf_why());
	return eg_error_set(error, EG_EXIT_FAILED, -err,
			    "cannot load the program of the layer `netns`: %s", strerror(-err));
}

static int load(struct eg_guard *guard, struct eg_hold *hold)
{
	int err = eg_hold_load(guard, &hold->prog_fd, &hold->settings_fd);

	if (err)
		return err;
	hold->prog_id = eg_prog_id(hold->prog_fd);
	return hold->prog_id ? 0 : -EIO;
}

static struct eg_hold *hold_new(struct eg_error *error)
{
	struct eg_hold *hold = calloc(1, sizeof(*hold));

	if (!hold) {
		eg_error_set(error, EG_EXIT_FAILED, ENOMEM, "out of memory");
		return NULL;
	}
	hold->links[0] = hold->links[1] = hold->prog_fd = hold->settings_fd = -1;
	return hold;
}

int eg_hold_prepare(struct eg_guard *guard, struct eg_hold **ret_hold)
{
	EG_AUTO_HOLD struct eg_hold *hold = hold_new(NULL);
	int err = hold ? load(guard, hold) : -ENOMEM;

	if (!err)
		*ret_hold = EG_TAKE(hold);
	return err ? load_failed(err, NULL) : 0;
}

bool eg_hold_is_possible(struct eg_error *why)
{
	EG_AUTO_HOLD struct eg_hold *hold = hold_new(why);
	int err;

	if (!hold)
		return false;
	err = load(NULL, hold);
	if (err)
		load_failed(err, why);
	return !err;
}

/* --- attaching -------------------------------------------------------------------------------- */

static int attach_one(int prog_fd, __u32 pf)
{
	struct eg_netfilter_link attr = {
		.prog_fd = (__u32)prog_fd,
		.attach_type = EG_ATTACH_NETFILTER,
		.pf = pf,
		.hooknum = NF_INET_POST_ROUTING,
		.priority = FIRST_PRIORITY,
	};

	for (; attr.priority > FIRST_PRIORITY - PRIORITIES; attr.priority--) {
		int fd = (int)syscall(__NR_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

		if (fd >= 0 || errno != EBUSY)
			return fd < 0 ? -errno : fd;
	}
	return -EBUSY;
}

/* Runs inside the namespace. */
static int attach_inside(void *argument)
{
	static const __u32 families[] = {NFPROTO_IPV4, NFPROTO_IPV6};
	struct eg_hold *hold = argument;

	for (size_t i = 0; i < 2; i++) {
		hold->links[i] = attach_one(hold->prog_fd, families[i]);
		if (hold->links[i] < 0)
			return hold->links[i];
	}
	return 0;
}

static int attach_failed(int err, struct eg_error *error)
{
	if (err == -EINVAL || err == -EOPNOTSUPP || err == -EAFNOSUPPORT)
		return eg_error_set(error, EG_EXIT_KERNEL, EOPNOTSUPP,
				    "this kernel has no BPF netfilter links (%s)", strerror(-err));
	return eg_error_set(error, EG_EXIT_FAILED, -err, "cannot attach the layer `netns`: %s",
			    strerror(-err));
}

int eg_hold_update(struct eg_hold *hold, const struct eg_guard *guard, const __u32 *tuns, size_t n)
{
	struct eg_hold_settings settings = {
		.device_prog = guard->prog_ids[EG_PROG_DEVICE],
		.device_l3_prog = guard->prog_ids[EG_PROG_DEVICE_L3],
	};
	__u32 zero = 0;

	if (n > EG_TUNNELS_MAX)
		return -E2BIG;
	if (n)
		memcpy(settings.tuns, tuns, n * sizeof(*tuns));
	return bpf_map_update_elem(hold->settings_fd, &zero, &settings, BPF_ANY) < 0 ? -errno : 0;
}

int eg_hold_open(struct eg_guard *guard, const struct eg_netns *netns, struct eg_hold **ret_hold,
		 struct eg_error *error)
{
	EG_AUTO_HOLD struct eg_hold *hold = NULL;
	int err;

	if (guard->meta.flags & EG_META_NO_CHECKSUM_TEST)
		return eg_error_set(error, EG_EXIT_KERNEL, EOPNOTSUPP,
				    "this kernel's memory cannot be read by BTF, by which the "
				    "layer `netns` knows interfaces");
	hold = eg_spare_take_hold(guard);
	if (!hold) {
		hold = hold_new(error);
		if (!hold)
			return -ENOMEM;
		err = load(guard, hold);
		if (err)
			return load_failed(err, error);
	}
	err = eg_hold_update(hold, guard, NULL, 0);
	if (!err)
		err = eg_netns_run(netns, attach_inside, hold);
	if (err)
		return attach_failed(err, error);
	/* Its links hold it. */
	eg_cleanup_close(&hold->prog_fd);
	hold->prog_fd = -1;
	*ret_hold = EG_TAKE(hold);
	return 0;
}

/* --- asking the kernel ------------------------------------------------------------------------ */

struct found {
	__u32 prog_id;
	__u32 maps[MAPS_OF_PROGRAM];
	__u32 n_maps;
	__u32 pf;
	__s32 priority;
};

struct eg_holds {
	struct found *list;
	size_t n;
};

void eg_holds_free(struct eg_holds *holds)
{
	if (!holds)
		return;
	free(holds->list);
	free(holds);
}

/* The beginning of struct bpf_link_info, with the part for netfilter that older headers lack. */
struct link_info {
	__u32 type;
	__u32 id;
	__u32 prog_id;
	__u32 pad;
	__u32 pf;
	__u32 hooknum;
	__s32 priority;
	__u32 flags;
};

/* -ENOENT: it is gone meanwhile. */
static int ask_maps(__u32 prog_id, struct found *found)
{
	EG_AUTO_CLOSE int fd = bpf_prog_get_fd_by_id(prog_id);
	struct bpf_prog_info info = {
		.nr_map_ids = MAPS_OF_PROGRAM,
		.map_ids = (__u64)(unsigned long)found->maps,
	};
	__u32 len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	found->n_maps = info.nr_map_ids < MAPS_OF_PROGRAM ? info.nr_map_ids : MAPS_OF_PROGRAM;
	return 0;
}

static int ask_link(int fd, struct eg_holds *holds)
{
	struct link_info info = {};
	struct found found = {}, *larger;
	__u32 len = sizeof(info);
	int err;

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	if (info.type != EG_LINK_TYPE_NETFILTER || info.hooknum != NF_INET_POST_ROUTING)
		return 0;
	err = ask_maps(info.prog_id, &found);
	if (err)
		return err;
	found.prog_id = info.prog_id;
	found.pf = info.pf;
	found.priority = info.priority;
	larger = reallocarray(holds->list, holds->n + 1, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	holds->list = larger;
	larger[holds->n++] = found;
	return 0;
}

int eg_holds_get(struct eg_holds **ret_holds)
{
	EG_AUTO_HOLDS struct eg_holds *holds = calloc(1, sizeof(*holds));
	__u32 id = 0;

	if (!holds)
		return -ENOMEM;
	while (bpf_link_get_next_id(id, &id) == 0) {
		EG_AUTO_CLOSE int fd = bpf_link_get_fd_by_id(id);
		int err = fd < 0 ? -errno : ask_link(fd, holds);

		/* Gone meanwhile; or not in force yet: bpf_link_by_id() of kernel/bpf/syscall.c
		 * has EAGAIN for a link between its number and its end of being made. */
		if (err && err != -ENOENT && err != -EAGAIN)
			return err;
	}
	if (errno != ENOENT)
		return -errno;
	*ret_holds = EG_TAKE(holds);
	return 0;
}

int eg_holds_by(const struct eg_hold *hold, struct eg_holds **ret_holds)
{
	EG_AUTO_HOLDS struct eg_holds *holds = calloc(1, sizeof(*holds));
	int err = holds ? 0 : -ENOMEM;

	for (size_t i = 0; i < 2 && !err; i++)
		err = ask_link(hold->links[i], holds);
	if (err)
		return err;
	*ret_holds = EG_TAKE(holds);
	return 0;
}

static bool stands_over(const struct found *found, __u32 map_id)
{
	for (__u32 i = 0; i < found->n_maps; i++)
		if (found->maps[i] == map_id)
			return true;
	return false;
}

/* 1, 0 or -errno: whether a program uses all of these maps of the guard, a bit for each. */
static int stands_over_all(const struct found *found, struct eg_guard *guard, __u32 maps)
{
	for (enum eg_map map = 0; map < EG_MAP_COUNT; map++) {
		__u32 id;

		if (!(maps >> map & 1))
			continue;
		id = eg_guard_map_id(guard, map);
		if (!id || !stands_over(found, id))
			return id ? 0 : -EIO;
	}
	return 1;
}

/* Whoever may open the pins can put something of his own in the place of one, or have a program of
 * his own stand over them. */
static int is_holders(const struct found *found, struct eg_guard *guard)
{
	return found->prog_id == guard->meta.hold_prog_id
		       ? stands_over_all(found, guard, eg_hold_maps())
		       : 0;
}

int eg_holds_of(const struct eg_holds *holds, struct eg_guard *guard, struct eg_held *ret_held)
{
	struct eg_held held = {};

	if (guard->other_abi)
		return -EPROTO;
	for (size_t i = 0; i < holds->n; i++) {
		const struct found *found = &holds->list[i];
		int over = stands_over_all(found, guard, 1U << EG_MAP_CONTROL);
		int own = over < 0 ? over : is_holders(found, guard);

		if (own < 0)
			return own;
		if (!own) {
			held.others += (unsigned int)over;
			continue;
		}
		if (found->pf == NFPROTO_IPV6) {
			held.ipv6++;
			continue;
		}
		held.ipv4++;
		if (held.ipv4 == 1 || found->priority > held.priority)
			held.priority = found->priority;
	}
	*ret_held = held;
	return 0;
}
