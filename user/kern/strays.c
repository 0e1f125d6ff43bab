// SPDX-License-Identifier: GPL-2.0
#include "kern/strays.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "kern/internal.h"
#include "util/cleanup.h"

#define MAPS_MAX 64
#define IS_SPARE (1U << 31) /* beside the bits of maps */

/* --- what a directory has -----------------------------------------------------------------------
 */

struct ids {
	__u32 *list;
	size_t n;
	int dir_fd; /* the one that is looked into */
};

static void ids_free(struct ids *ids)
{
	free(ids->list);
}

static int add_id(struct ids *ids, __u32 id)
{
	__u32 *list = reallocarray(ids->list, ids->n + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	ids->list = list;
	list[ids->n++] = id;
	return 0;
}

static int compare_ids(const void *a, const void *b)
{
	const __u32 *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static void sort_ids(struct ids *ids)
{
	if (ids->n)
		qsort(ids->list, ids->n, sizeof(*ids->list), compare_ids);
}

/* Of sorted ones. */
static bool has_id(const struct ids *ids, __u32 id)
{
	return ids->n && bsearch(&id, ids->list, ids->n, sizeof(*ids->list), compare_ids);
}

/* A filter's pin has its program too, and so has a half-removed guard's. What cannot be opened is
 * none of ours. */
static int take_pin(const char *entry, void *argument)
{
	struct ids *ids = argument;
	EG_AUTO_CLOSE int fd = -1;

	if (strncmp(entry, "prog_", 5) != 0 && strncmp(entry, "filter_", 7) != 0)
		return 0;
	fd = eg_pin_open(ids->dir_fd, entry, "bpf-prog");
	return fd < 0 ? 0 : add_id(ids, eg_prog_id(fd));
}

struct roots {
	int root_fd;
	struct ids *ids;
};

static int take_guard(const char *entry, void *argument)
{
	const struct roots *roots = argument;
	EG_AUTO_CLOSE int fd =
		openat(roots->root_fd, entry, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int err;

	if (fd < 0)
		return 0;
	roots->ids->dir_fd = fd;
	err = eg_dir_visit(fd, take_pin, roots->ids);
	return err == -ENOENT ? 0 : err; /* it was removed meanwhile */
}

/* --- one program
 * ---------------------------------------------------------------------------------- */

static bool is_function(const char *name)
{
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++)
		if (strcmp(eg_progs[prog].function, name) == 0)
			return true;
	return false;
}

/* Names of functions are anybody's; those of the maps as well make it ours. */
#define TELLING_MAPS (1U << EG_MAP_CONTROL | 1U << EG_MAP_CONFIG | 1U << EG_MAP_COUNTERS)

static unsigned int look_at_map(__u32 map_id, struct eg_stray *stray)
{
	EG_AUTO_CLOSE int fd = bpf_map_get_fd_by_id(map_id);
	struct bpf_map_info info = {};
	__u32 len = sizeof(info), zero = 0;
	struct eg_meta meta;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return 0;
	for (enum eg_map map = 0; map < EG_MAP_COUNT; map++) {
		if (strcmp(info.name, eg_maps[map].name) != 0)
			continue;
		if (map != EG_MAP_META)
			return 1U << map;
		if (info.value_size != sizeof(meta) || bpf_map_lookup_elem(fd, &zero, &meta) < 0 ||
		    meta.magic != EG_ABI_MAGIC || meta.abi_version != EG_ABI_VERSION)
			return 0;
		if (meta.flags & EG_META_SPARE)
			return IS_SPARE;
		stray->known = true;
		snprintf(stray->name, sizeof(stray->name), "%.*s", EG_NAME_MAX - 1, meta.name);
		snprintf(stray->target, sizeof(stray->target), "%.*s", EG_TARGET_MAX, meta.target);
		stray->netns_cookie = meta.netns_cookie;
		stray->netns_inode = meta.netns_inode;
		stray->netns_dev = meta.netns_dev;
		return 1U << map;
	}
	return 0;
}

static bool is_ours(int prog_fd, struct eg_stray *stray)
{
	__u32 map_ids[MAPS_MAX] = {};
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX,
				     .map_ids = (__u64)(unsigned long)map_ids};
	__u32 len = sizeof(info);
	unsigned int maps = 0;

	if (bpf_obj_get_info_by_fd(prog_fd, &info, &len) < 0 ||
	    (info.type != BPF_PROG_TYPE_SCHED_CLS && info.type != BPF_PROG_TYPE_CGROUP_SKB) ||
	    !is_function(info.name))
		return false;
	*stray = (struct eg_stray){.prog_id = info.id};
	memcpy(stray->function, info.name, sizeof(stray->function));
	for (__u32 i = 0; i < info.nr_map_ids && i < MAPS_MAX; i++)
		maps |= look_at_map(map_ids[i], stray);
	/* A daemon's, for a guard to come (spare.h): what it is attached to is none of it. */
	return !(maps & IS_SPARE) && (maps & TELLING_MAPS) == TELLING_MAPS;
}

/* --- all of them
 * ------------------------------------------------------------------------------------ */

struct found {
	const struct eg_pins *pins;
	struct ids own; /* of the programs that have a pin */
	bool own_known;
	struct eg_stray *strays;
	size_t n;
};

static int learn_own(struct found *found)
{
	struct roots roots = {.ids = &found->own};
	int err;

	if (found->own_known || !found->pins)
		return 0;
	found->own_known = true;
	roots.root_fd = found->pins->dir_fd;
	err = eg_dir_visit(found->pins->dir_fd, take_guard, &roots);
	sort_ids(&found->own);
	return err;
}

/* A machine may have a thousand guards: the one that it says it is of is looked at first. */
static bool is_in_its_place(const struct found *found, const struct eg_stray *stray)
{
	EG_AUTO(ids_free) struct ids ids = {};
	struct roots roots = {.ids = &ids};
	char entry[EG_PLACE_LEN];

	if (!found->pins || !stray->known ||
	    eg_place_name(entry, EG_PLACE_NAME, 0, stray->name) < 0)
		return false;
	roots.root_fd = found->pins->dir_fd;
	if (take_guard(entry, &roots))
		return false;
	sort_ids(&ids);
	return has_id(&ids, stray->prog_id);
}

static int look_at_prog(struct found *found, __u32 id)
{
	EG_AUTO_CLOSE int fd = -1;
	struct eg_stray stray, *more;
	int err;

	if (found->own_known && has_id(&found->own, id))
		return 0;
	fd = bpf_prog_get_fd_by_id(id);
	if (fd < 0 || !is_ours(fd, &stray) || is_in_its_place(found, &stray))
		return 0;
	err = learn_own(found);
	if (err || has_id(&found->own, id))
		return err;
	more = reallocarray(found->strays, found->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	found->strays = more;
	more[found->n++] = stray;
	return 0;
}

static int finish(struct found *found, int err, struct eg_stray **ret_strays, size_t *ret_n)
{
	ids_free(&found->own);
	if (err) {
		free(found->strays);
		return err;
	}
	*ret_strays = found->strays;
	*ret_n = found->n;
	return 0;
}

int eg_strays_find(const struct eg_pins *pins, struct eg_stray **ret_strays, size_t *ret_n)
{
	struct found found = {.pins = pins};
	__u32 id = 0;
	int err = learn_own(&found); /* most programs are, and need no further look */

	while (!err) {
		if (bpf_prog_get_next_id(id, &id) < 0) {
			err = errno == ENOENT ? 0 : -errno;
			break;
		}
		err = look_at_prog(&found, id);
	}
	return finish(&found, err, ret_strays, ret_n);
}

/* --- those on an interface
 * -------------------------------------------------------------------------- */

struct place {
	const struct eg_netns *netns;
	__u32 ifindex;
	enum eg_direction direction;
	__u32 ids[2 * EG_TCX_MAX];
	int n;
};

/* Runs inside the namespace. */
static int look_at_place(void *argument)
{
	struct place *place = argument;
	int n = eg_tcx_query(place->ifindex, place->direction, place->ids, NULL);

	place->n = n > 0 ? n : 0; /* there may be no tcx */
	n = eg_clsact_progs(place->netns, place->ifindex, place->direction, place->ids + place->n);
	place->n += n > 0 ? n : 0;
	return 0;
}

static int look_on(struct found *found, const struct eg_netns *netns, __u32 ifindex,
		   enum eg_direction direction)
{
	struct place place = {.netns = netns, .ifindex = ifindex, .direction = direction};
	int err = eg_netns_run(netns, look_at_place, &place);

	for (int i = 0; i < place.n && !err; i++)
		err = look_at_prog(found, place.ids[i]);
	return err;
}

int eg_strays_on(const struct eg_pins *pins, const struct eg_netns *netns,
		 const struct eg_survey *survey, struct eg_stray **ret_strays, size_t *ret_n)
{
	struct found found = {.pins = pins};
	int err = 0;

	for (size_t i = 0; i < survey->n_underlays && !err; i++) {
		const struct eg_underlay *underlay = &survey->underlays[i];

		err = look_on(&found, netns, underlay->link.ifindex, EG_EGRESS);
		if (!err && underlay->has_peer)
			err = look_on(&found, &underlay->peer.netns, underlay->peer.ifindex,
				      EG_INGRESS);
	}
	return finish(&found, err, ret_strays, ret_n);
}
