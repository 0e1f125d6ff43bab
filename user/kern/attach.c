// SPDX-License-Identifier: GPL-2.0
/*
 * The layers `device` and `peer` on interfaces. What holds a layer there is told by a pin: a tcx
 * link by link_LAYER_UNDERLAY; a clsact filter, which no pin holds, by a pin of its program named
 * filter_LAYER_UNDERLAY_NAMESPACE_IFINDEX, made before the filter is, so that none is ever lost.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kern/internal.h"
#include "util/cleanup.h"
#include "util/text.h"

bool eg_force_clsact;

bool eg_clsact_forced(void)
{
	const char *forced = getenv("EGRESSGUARD_FORCE_CLSACT");

	return eg_force_clsact || (forced && strcmp(forced, "1") == 0);
}

/* --- one place to cover --------------------------------------------------------------------- */

struct cover {
	struct eg_guard *guard;
	const char *layer; /* "device", "peer" */
	__u32 underlay;    /* its index in the guarded namespace */
	const struct eg_netns *netns;
	__u32 ifindex;
	const char *ifname;
	enum eg_direction direction;
	enum eg_prog prog;
	__u32 ids[EG_PROG_COUNT]; /* programs that count as the layer */
	size_t n_ids;
	enum eg_cover_state state;
	bool tcx;
	__u32 link_id; /* of the tcx link that is on it */
	struct eg_error error;
};

static enum eg_prog device_prog(const struct eg_link *link)
{
	return link->link_header ? EG_PROG_DEVICE : EG_PROG_DEVICE_L3;
}

static struct cover cover_device(struct eg_guard *guard, const struct eg_netns *netns,
				 const struct eg_link *link)
{
	return (struct cover){
		.guard = guard,
		.layer = "device",
		.underlay = link->ifindex,
		.netns = netns,
		.ifindex = link->ifindex,
		.ifname = link->name,
		.direction = EG_EGRESS,
		.prog = device_prog(link),
		.ids = {guard->prog_ids[EG_PROG_DEVICE], guard->prog_ids[EG_PROG_DEVICE_L3]},
		.n_ids = 2,
	};
}

static struct cover cover_lo(struct eg_guard *guard, const struct eg_netns *netns,
			     const struct eg_link *lo)
{
	return (struct cover){
		.guard = guard,
		.layer = "lo",
		.underlay = lo->ifindex,
		.netns = netns,
		.ifindex = lo->ifindex,
		.ifname = lo->name,
		.direction = EG_EGRESS,
		.prog = EG_PROG_LO,
		.ids = {guard->prog_ids[EG_PROG_LO]},
		.n_ids = 1,
	};
}

static struct cover cover_peer(struct eg_guard *guard, const struct eg_link *link,
			       const struct eg_peer *peer)
{
	return (struct cover){
		.guard = guard,
		.layer = "peer",
		.underlay = link->ifindex,
		.netns = &peer->netns,
		.ifindex = peer->ifindex,
		.ifname = peer->name,
		.direction = EG_INGRESS,
		.prog = EG_PROG_PEER,
		.ids = {guard->prog_ids[EG_PROG_PEER]},
		.n_ids = 1,
	};
}

/* --- pins of what is on an interface ---------------------------------------------------------- */

#define COVER_PIN_LEN 128

static void link_pin(char to[COVER_PIN_LEN], const struct cover *cover)
{
	snprintf(to, COVER_PIN_LEN, "link_%s_%u", cover->layer, cover->underlay);
}

static void filter_pin(char to[COVER_PIN_LEN], const struct cover *cover)
{
	snprintf(to, COVER_PIN_LEN, "filter_%s_%u_%llu_%u", cover->layer, cover->underlay,
		 (unsigned long long)cover->netns->inode, cover->ifindex);
}

static int is_pin_of_link(const char *entry, void *argument)
{
	const struct cover *cover = argument;
	struct eg_tcx_link info;

	return strncmp(entry, "link_", 5) == 0 &&
	       eg_tcx_ask_pin(cover->guard->dir_fd, entry, &info) == 0 && info.id == cover->link_id;
}

/* Without a pin a link ends with whoever has it open. It may have another name than its own: an
 * interface that went away and came back. */
static bool is_link_pinned(struct cover *cover)
{
	char pin[COVER_PIN_LEN];

	link_pin(pin, cover);
	return is_pin_of_link(pin, cover) ||
	       eg_dir_visit(cover->guard->dir_fd, is_pin_of_link, cover) != 0;
}

/* A filter holds by itself; without the pin nobody finds it again to take it away. */
static bool is_filter_pinned(const struct cover *cover)
{
	char pin[COVER_PIN_LEN];

	filter_pin(pin, cover);
	return faccessat(cover->guard->dir_fd, pin, F_OK, 0) == 0;
}

/* --- state ---------------------------------------------------------------------------------- */

static bool is_ours(const struct cover *cover, __u32 id)
{
	for (size_t i = 0; i < cover->n_ids; i++)
		if (id && cover->ids[i] == id)
			return true;
	return false;
}

/* Runs inside the namespace. */
static int look_at_state(void *argument)
{
	struct cover *cover = argument;
	__u32 ids[EG_TCX_MAX] = {}, link_ids[EG_TCX_MAX] = {};
	int n = eg_tcx_query(cover->ifindex, cover->direction, ids, link_ids), err;

	cover->state = EG_COVER_NONE;
	cover->tcx = false;
	if (n < 0 && n != -EINVAL)
		return n; /* -EINVAL: a kernel without tcx */
	for (int i = 0; i < n; i++) {
		if (!is_ours(cover, ids[i]))
			continue;
		cover->state = i ? EG_COVER_BEHIND : EG_COVER_ATTACHED;
		cover->tcx = true;
		cover->link_id = link_ids[i];
		if (!i && !is_link_pinned(cover))
			cover->state = EG_COVER_UNPINNED;
		return 0;
	}
	err = eg_clsact_state(cover->netns, cover->ifindex, cover->direction, cover->ids,
			      cover->n_ids, &cover->state);
	if (err)
		return err;
	/* All of tcx runs before clsact, and may end the matter. */
	if (cover->state == EG_COVER_ATTACHED && n > 0)
		cover->state = EG_COVER_BEHIND;
	if (cover->state == EG_COVER_ATTACHED && !is_filter_pinned(cover))
		cover->state = EG_COVER_UNPINNED;
	return 0;
}

static enum eg_cover_state state_of(struct cover *cover, bool *ret_tcx)
{
	if (cover->guard->other_abi || eg_netns_run(cover->netns, look_at_state, cover) < 0)
		return EG_COVER_NONE;
	if (ret_tcx)
		*ret_tcx = cover->tcx;
	return cover->state;
}

enum eg_cover_state eg_guard_device_state(struct eg_guard *guard, const struct eg_netns *netns,
					  const struct eg_link *link, bool *ret_tcx)
{
	struct cover cover = cover_device(guard, netns, link);

	return state_of(&cover, ret_tcx);
}

enum eg_cover_state eg_guard_lo_state(struct eg_guard *guard, const struct eg_netns *netns,
				      const struct eg_link *lo)
{
	struct cover cover = cover_lo(guard, netns, lo);

	return state_of(&cover, NULL);
}

enum eg_cover_state eg_guard_peer_state(struct eg_guard *guard, const struct eg_link *link,
					const struct eg_peer *peer, bool *ret_tcx)
{
	struct cover cover = cover_peer(guard, link, peer);

	return state_of(&cover, ret_tcx);
}

/* --- covering ------------------------------------------------------------------------------- */

static int cover_failed(struct cover *cover, int err, const char *what)
{
	char name[4 * IFNAMSIZ];

	eg_escape(name, sizeof(name), cover->ifname, IFNAMSIZ);
	if (err == -ENODEV)
		return eg_error_set(&cover->error, EG_EXIT_FAILED, ENODEV,
				    "interface '%s' vanished while the guard was put on it: try "
				    "again",
				    name);
	if (err == -EMEDIUMTYPE)
		return eg_error_set(&cover->error, EG_EXIT_FAILED, -err,
				    "interface '%s' has an `ingress` qdisc, which cannot filter "
				    "what leaves, in the place of clsact: remove it (`tc qdisc del "
				    "dev %s ingress`) or replace it by clsact",
				    name, name);
	return eg_error_set(&cover->error, EG_EXIT_FAILED, -err,
			    "cannot put the layer %s on interface '%s' (%s): %s", cover->layer,
			    name, what, strerror(-err));
}

/*
 * Frees the name of a pin. What has it holds a link that is not on this interface: one whose
 * interface is gone, or, since an index may be used again, one whose interface was moved to another
 * namespace. That one still keeps packets in, so it stays, under a name of its own.
 */
static int free_pin(int dir_fd, const char *pin)
{
	struct eg_tcx_link info;
	char kept[COVER_PIN_LEN + 32];
	int err = eg_tcx_ask_pin(dir_fd, pin, &info);

	if (err == -ENOENT)
		return 0;
	if (err)
		return err;
	if (!info.ifindex)
		return eg_pin_unlink(dir_fd, pin);
	snprintf(kept, sizeof(kept), "%s_moved_%u", pin, info.id);
	return renameat(dir_fd, pin, dir_fd, kept) < 0 ? -errno : 0;
}

static int pin_link(struct cover *cover, int link_fd)
{
	char pin[COVER_PIN_LEN], path[EG_PIN_PATH_LEN];
	int err;

	link_pin(pin, cover);
	err = free_pin(cover->guard->dir_fd, pin);
	if (err)
		return cover_failed(cover, err, "moving an old pin away");
	if (bpf_obj_pin(link_fd, eg_pin_path(path, cover->guard->dir_fd, pin)) < 0)
		return cover_failed(cover, -errno, "pinning its link");
	return 0;
}

static int cover_by_tcx(struct cover *cover)
{
	int prog_fd = eg_guard_prog(cover->guard, cover->prog);
	EG_AUTO_CLOSE int link_fd = -1;

	if (prog_fd < 0)
		return cover_failed(cover, prog_fd, "opening its program");
	link_fd = eg_tcx_attach(prog_fd, cover->ifindex, cover->direction);
	if (link_fd < 0)
		return link_fd == -EINVAL ? -EINVAL : cover_failed(cover, link_fd, "tcx");
	return pin_link(cover, link_fd);
}

static int pin_filter(struct cover *cover)
{
	char pin[COVER_PIN_LEN], path[EG_PIN_PATH_LEN];
	int prog_fd = eg_guard_prog(cover->guard, cover->prog);

	if (prog_fd < 0)
		return cover_failed(cover, prog_fd, "opening its program");
	filter_pin(pin, cover);
	if (bpf_obj_pin(prog_fd, eg_pin_path(path, cover->guard->dir_fd, pin)) < 0 &&
	    errno != EEXIST)
		return cover_failed(cover, -errno, "pinning its program");
	return 0;
}

/* What is on the interface, and has lost its pin. */
static int pin_again(struct cover *cover)
{
	EG_AUTO_CLOSE int link_fd = -1;

	if (!cover->tcx)
		return pin_filter(cover);
	link_fd = bpf_link_get_fd_by_id(cover->link_id);
	if (link_fd < 0)
		return cover_failed(cover, -errno, "opening its link again");
	return pin_link(cover, link_fd);
}

static int cover_by_clsact(struct cover *cover)
{
	char pin[COVER_PIN_LEN], what[640];
	int err = pin_filter(cover), prog_fd;

	if (err)
		return err;
	prog_fd = eg_guard_prog(cover->guard, cover->prog);
	filter_pin(pin, cover);
	eg_libbpf_forget();
	err = eg_clsact_attach(cover->netns, prog_fd, cover->ifindex, cover->direction);
	if (err) {
		snprintf(what, sizeof(what), "clsact, priority 1: %s", eg_libbpf_why());
		/* Only the answer may have been lost: the pin goes when the filter is surely
		 * not there. */
		if (!eg_clsact_detach(cover->netns, cover->ifindex, cover->ids, cover->n_ids))
			unlinkat(cover->guard->dir_fd, pin, 0);
		return cover_failed(cover, err, what);
	}
	return 0;
}

/* Runs inside the namespace. */
static int put_on(void *argument)
{
	struct cover *cover = argument;
	int err = look_at_state(cover);

	if (err)
		return cover_failed(cover, err, "looking at what is on it");
	if (cover->state == EG_COVER_UNPINNED)
		return pin_again(cover);
	if (cover->state != EG_COVER_NONE)
		return 0;
	err = -EINVAL;
	if (!eg_clsact_forced())
		err = cover_by_tcx(cover);
	if (err == -EINVAL)
		err = cover_by_clsact(cover);
	if (err)
		return err;
	err = look_at_state(cover);
	if (err)
		return cover_failed(cover, err, "looking at what is on it");
	return cover->state == EG_COVER_NONE
		       ? cover_failed(cover, -EIO, "the kernel did not keep it")
		       : 0;
}

static int cover_now(struct cover *cover, struct eg_error *error)
{
	int err;

	if (cover->guard->other_abi)
		return -EPROTO;
	err = eg_netns_run(cover->netns, put_on, cover);
	if (err && !*cover->error.message)
		cover_failed(cover, err, "entering its namespace");
	if (err && error)
		*error = cover->error;
	return err;
}

/*
 * A socket that is bound to an underlay leaves through it, whatever the routes say: the layer
 * `socket` may refuse what the policy forbids there. Not so for a VRF, which routes to others. One
 * interface too many for the table is judged by its packets alone.
 */
static int note_underlay(struct cover *cover, const struct eg_link *link)
{
	const __u8 value = 1;
	int err;

	if (strcmp(link->kind, "vrf") == 0)
		return 0;
	err = eg_guard_update(cover->guard, EG_MAP_UNDERLAYS, &link->ifindex, &value);
	return err && err != -E2BIG ? cover_failed(cover, err, "noting it for the layer socket")
				    : 0;
}

int eg_guard_cover_device(struct eg_guard *guard, const struct eg_netns *netns,
			  const struct eg_link *link, struct eg_error *error)
{
	struct cover cover;
	int err = guard->other_abi ? -EPROTO : eg_guard_need(guard, device_prog(link), error);

	if (err)
		return err;
	cover = cover_device(guard, netns, link);
	err = cover_now(&cover, error);
	if (!err)
		err = note_underlay(&cover, link);
	if (err && error && *cover.error.message)
		*error = cover.error;
	return err;
}

int eg_guard_cover_lo(struct eg_guard *guard, const struct eg_netns *netns,
		      const struct eg_link *lo, struct eg_error *error)
{
	struct cover cover;
	int err = guard->other_abi ? -EPROTO : eg_guard_need(guard, EG_PROG_LO, error);

	if (err)
		return err;
	cover = cover_lo(guard, netns, lo);
	return cover_now(&cover, error);
}

int eg_guard_cover_peer(struct eg_guard *guard, const struct eg_link *link,
			const struct eg_peer *peer, struct eg_error *error)
{
	struct cover cover = cover_peer(guard, link, peer);

	return cover_now(&cover, error);
}
