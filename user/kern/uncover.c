// SPDX-License-Identifier: GPL-2.0
/*
 * What is on interfaces, found by its pins (attach.c): taken off, looked for, cleared when its
 * interface is gone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kern/internal.h"
#include "util/cleanup.h"

/* --- filters by their pins -------------------------------------------------------------------- */

enum filter_place {
	FILTER_PLACE_UNKNOWN, /* its namespace is not to be found, which an open descriptor may hold
			       */
	FILTER_PLACE_THERE,
	FILTER_PLACE_GONE,
};

struct filter_pin {
	__u32 underlay;
	ino_t netns_inode;
	__u32 ifindex; /* 0: a name that another version made; look everywhere */
	__u32 prog_id;
	bool loopback;
	enum filter_place place;
};

struct filter_pins {
	int dir_fd;
	struct filter_pin *list;
	size_t n;
	int failed;
};

static struct filter_pin parse_filter_pin(const char *entry)
{
	struct filter_pin pin = {.loopback = strncmp(entry, "filter_lo_", 10) == 0};
	unsigned long long inode;
	unsigned int underlay, ifindex;

	if (sscanf(entry, "filter_%*[a-z]_%u_%llu_%u", &underlay, &inode, &ifindex) == 3) {
		pin.underlay = underlay;
		pin.netns_inode = (ino_t)inode;
		pin.ifindex = ifindex;
	}
	return pin;
}

static int collect_filter_pin(const char *entry, void *argument)
{
	struct filter_pins *pins = argument;
	struct filter_pin pin = parse_filter_pin(entry);
	struct filter_pin *list;
	EG_AUTO_CLOSE int prog_fd = -1;

	if (strncmp(entry, "filter_", 7) != 0)
		return 0;
	prog_fd = eg_pin_open(pins->dir_fd, entry, "bpf-prog");
	if (prog_fd < 0)
		return prog_fd;
	pin.prog_id = eg_prog_id(prog_fd);
	if (!pin.prog_id)
		return -EIO; /* its filter could not be told from others */
	list = reallocarray(pins->list, pins->n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	pins->list = list;
	list[pins->n++] = pin;
	return 0;
}

struct detaching {
	const struct filter_pins *pins;
	const struct eg_netns *netns;
};

/* Runs inside the namespace. */
static int detach_inside(void *argument)
{
	const struct detaching *detaching = argument;
	const struct filter_pins *pins = detaching->pins;
	int err = 0;

	for (size_t i = 0; i < pins->n && !err; i++)
		if (!pins->list[i].ifindex || pins->list[i].netns_inode == detaching->netns->inode)
			err = eg_clsact_detach(detaching->netns, pins->list[i].ifindex,
					       &pins->list[i].prog_id, 1);
	return err;
}

/* A namespace that nobody can find is gone, and its filters with it. */
static int detach_in_namespace(const struct eg_netns *netns, void *argument)
{
	struct filter_pins *pins = argument;
	struct detaching detaching = {.pins = pins, .netns = netns};

	for (size_t i = 0; i < pins->n; i++)
		if (!pins->list[i].ifindex || pins->list[i].netns_inode == netns->inode) {
			int err = eg_netns_run(netns, detach_inside, &detaching);

			if (err && !pins->failed)
				pins->failed = err;
			break;
		}
	return 0;
}

int eg_filters_detach(int dir_fd, struct eg_error *error)
{
	struct filter_pins pins = {.dir_fd = dir_fd};
	int err = eg_dir_visit(dir_fd, collect_filter_pin, &pins);

	if (!err && pins.n)
		err = eg_netns_visit(detach_in_namespace, &pins);
	free(pins.list);
	if (!err)
		err = pins.failed;
	if (err)
		return eg_error_set(error, EG_EXIT_FAILED, -err,
				    "cannot detach the guard's clsact filters: %s", strerror(-err));
	return 0;
}

/* --- uncovering ----------------------------------------------------------------------------- */

struct uncovering {
	int dir_fd;
	const struct eg_netns *netns;
	__u32 ifindex;
	__u32 link_ids[EG_TCX_MAX]; /* what is on the interface, by the kernel's word */
	int n_links;
};

static bool is_on_interface(const struct uncovering *uncovering, __u32 link_id)
{
	for (int i = 0; i < uncovering->n_links; i++)
		if (uncovering->link_ids[i] == link_id)
			return true;
	return false;
}

/* A pin's name says which index its interface once had; where the link is, only the kernel says. */
static int uncover_link(const struct uncovering *uncovering, const char *pin)
{
	struct eg_tcx_link info;

	int err = eg_tcx_ask_pin(uncovering->dir_fd, pin, &info);

	if (err)
		return err == -ENOENT ? 0 : err;
	if (!info.id || !is_on_interface(uncovering, info.id))
		return 0;
	return eg_pin_unlink(uncovering->dir_fd, pin);
}

static int uncover_filter(const struct uncovering *uncovering, const char *entry)
{
	struct filter_pin pin = parse_filter_pin(entry);
	EG_AUTO_CLOSE int prog_fd = -1;
	__u32 prog_id;
	int err;

	if (pin.netns_inode != uncovering->netns->inode || pin.ifindex != uncovering->ifindex)
		return 0;
	prog_fd = eg_pin_open(uncovering->dir_fd, entry, "bpf-prog");
	if (prog_fd < 0)
		return prog_fd;
	prog_id = eg_prog_id(prog_fd);
	if (!prog_id)
		return -EIO;
	err = eg_clsact_detach(uncovering->netns, pin.ifindex, &prog_id, 1);
	return err ? err : eg_pin_unlink(uncovering->dir_fd, entry);
}

static int uncover_entry(const char *entry, void *argument)
{
	const struct uncovering *uncovering = argument;

	if (strncmp(entry, "link_device_", 12) == 0 || strncmp(entry, "link_lo_", 8) == 0)
		return uncover_link(uncovering, entry);
	if (strncmp(entry, "filter_device_", 14) == 0 || strncmp(entry, "filter_lo_", 10) == 0)
		return uncover_filter(uncovering, entry);
	return 0;
}

/* Runs inside the namespace. */
static int uncover_inside(void *argument)
{
	struct uncovering *uncovering = argument;
	__u32 ids[EG_TCX_MAX] = {};

	uncovering->n_links =
		eg_tcx_query(uncovering->ifindex, EG_EGRESS, ids, uncovering->link_ids);
	/* -EINVAL: a kernel without tcx */
	if (uncovering->n_links < 0 && uncovering->n_links != -EINVAL)
		return uncovering->n_links;
	return eg_dir_visit(uncovering->dir_fd, uncover_entry, uncovering);
}

bool eg_guard_has_underlay(struct eg_guard *guard, const struct eg_netns *netns,
			   const struct eg_link *link)
{
	bool tcx;
	__u8 value;

	return guard->other_abi ||
	       eg_guard_device_state(guard, netns, link, &tcx) != EG_COVER_NONE ||
	       eg_guard_lookup(guard, EG_MAP_UNDERLAYS, &link->ifindex, &value) != -ENOENT;
}

int eg_guard_uncover(struct eg_guard *guard, const struct eg_netns *netns,
		     const struct eg_link *link)
{
	struct uncovering uncovering = {
		.dir_fd = guard->dir_fd,
		.netns = netns,
		.ifindex = link->ifindex,
	};

	int err;

	if (guard->other_abi)
		return -EPROTO;
	err = eg_guard_delete(guard, EG_MAP_UNDERLAYS, &link->ifindex);
	if (err && err != -ENOENT)
		return err;
	return eg_netns_run(netns, uncover_inside, &uncovering);
}

/* --- whether anything is left to cover ---------------------------------------------------------
 */

/* What we cannot judge is alive. */
static int find_live_link(const char *entry, void *argument)
{
	const int *dir_fd = argument;
	struct eg_tcx_link info;
	int err;

	/* Loopback is there as long as its namespace is, and leads nowhere. */
	if (strncmp(entry, "link_", 5) != 0 || strncmp(entry, "link_lo_", 8) == 0)
		return 0;
	err = eg_tcx_ask_pin(*dir_fd, entry, &info);
	return err ? err != -ENOENT : info.ifindex != 0;
}

static bool is_live(const struct filter_pin *pin, const struct eg_netns *netns)
{
	const enum eg_direction directions[] = {EG_EGRESS, EG_INGRESS};

	for (size_t i = 0; i < 2; i++) {
		enum eg_cover_state state = EG_COVER_NONE;

		if (eg_clsact_state(netns, pin->ifindex, directions[i], &pin->prog_id, 1, &state) ||
		    state != EG_COVER_NONE)
			return true;
	}
	return false;
}

static int find_live_filter(const struct eg_netns *netns, void *argument)
{
	const struct filter_pins *pins = argument;

	for (size_t i = 0; i < pins->n; i++)
		if (!pins->list[i].loopback && pins->list[i].netns_inode == netns->inode &&
		    is_live(&pins->list[i], netns))
			return 1;
	return 0;
}

static bool has_live_filter(int dir_fd)
{
	struct filter_pins pins = {.dir_fd = dir_fd};
	int live = eg_dir_visit(dir_fd, collect_filter_pin, &pins);

	for (size_t i = 0; i < pins.n && !live; i++)
		live = !pins.list[i].ifindex;
	if (!live && pins.n)
		live = eg_netns_visit(find_live_filter, &pins);
	free(pins.list);
	return live != 0;
}

bool eg_guard_is_dead(struct eg_guard *guard)
{
	if (guard->meta.flags & EG_META_CGROUP)
		return eg_guard_cgroup_is_gone(guard);
	return eg_dir_visit(guard->dir_fd, find_live_link, &guard->dir_fd) == 0 &&
	       !has_live_filter(guard->dir_fd);
}

/* --- what its interfaces left behind -----------------------------------------------------------
 */

struct cleaning {
	struct eg_guard *guard;
	const struct eg_netns *netns;
};

static int clean_link(const struct cleaning *cleaning, const char *entry)
{
	struct eg_tcx_link info;
	int err = eg_tcx_ask_pin(cleaning->guard->dir_fd, entry, &info);

	if (err)
		return err == -ENOENT ? 0 : err;
	return info.ifindex ? 0 : eg_pin_unlink(cleaning->guard->dir_fd, entry);
}

/* `device` alone: whether the other end of a veth is gone too cannot be told from this side. */
static int clean_filter(const struct cleaning *cleaning, const char *entry)
{
	struct filter_pin pin = parse_filter_pin(entry);
	char name[IFNAMSIZ];

	if (!pin.ifindex || pin.netns_inode != cleaning->netns->inode ||
	    if_indextoname(pin.ifindex, name) || (errno != ENXIO && errno != ENODEV))
		return 0;
	return eg_pin_unlink(cleaning->guard->dir_fd, entry);
}

static int clean_entry(const char *entry, void *argument)
{
	if (strncmp(entry, "link_", 5) == 0)
		return clean_link(argument, entry);
	if (strncmp(entry, "filter_device_", 14) == 0)
		return clean_filter(argument, entry);
	return 0;
}

/* Runs inside the namespace. */
static int clean_inside(void *argument)
{
	const struct cleaning *cleaning = argument;

	return eg_dir_visit(cleaning->guard->dir_fd, clean_entry, argument);
}

int eg_guard_clean(struct eg_guard *guard, const struct eg_netns *netns)
{
	struct cleaning cleaning = {.guard = guard, .netns = netns};

	return guard->other_abi ? -EPROTO : eg_netns_run(netns, clean_inside, &cleaning);
}
