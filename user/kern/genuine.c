// SPDX-License-Identifier: GPL-2.0
/*
 * Whether what is pinned as a guard's programs and maps is what was loaded. Whoever may write to
 * the pins can put something of his own in their place, under the same names: a program that passes
 * everything, or a map that says what should be while the programs read another one. A program is
 * told by the tag of its instructions, which `meta` has, and by the maps it uses.
 */
#include <errno.h>
#include <string.h>

#include "kern/internal.h"
#include "util/cleanup.h"

/* A program may use 64. */
#define MAPS_MAX 64

struct facts {
	__u64 tag;
	__u32 map_ids[MAPS_MAX];
	__u32 n_maps;
};

static int ask_prog(int prog_fd, struct facts *ret_facts)
{
	struct facts facts = {};
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX,
				     .map_ids = (__u64)(uintptr_t)facts.map_ids};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(prog_fd, &info, &len) < 0)
		return -errno;
	memcpy(&facts.tag, info.tag, sizeof(facts.tag));
	facts.n_maps = info.nr_map_ids < MAPS_MAX ? info.nr_map_ids : MAPS_MAX;
	*ret_facts = facts;
	return 0;
}

static bool uses(const struct facts *facts, __u32 map_id)
{
	for (__u32 i = 0; i < facts->n_maps; i++)
		if (facts->map_ids[i] == map_id)
			return true;
	return false;
}

__u64 eg_prog_tag(int prog_fd)
{
	struct facts facts;

	return ask_prog(prog_fd, &facts) ? 0 : facts.tag;
}

int eg_prog_uses(int prog_fd, int map_fd)
{
	struct facts facts;
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	int err = ask_prog(prog_fd, &facts);

	if (!err && bpf_obj_get_info_by_fd(map_fd, &info, &len) < 0)
		err = -errno;
	return err ? err : uses(&facts, info.id);
}

/* --- which program uses which map ---------------------------------------------------------------
 */

#define BIT(map) (1U << EG_MAP_##map)
_Static_assert(EG_MAP_COUNT <= 32, "a bit for each");

/* What a verdict is made of. */
#define POLICY_MAPS                                                                                \
	(BIT(CONTROL) | BIT(CONFIG) | BIT(FRONT4) | BIT(FRONT6) | BIT(ADDR4) | BIT(ADDR6) |        \
	 BIT(ENDPOINTS) | BIT(RULES))
/* And where the packet itself is there, and not only what a socket is to be connected to. */
#define PACKET_MAPS (POLICY_MAPS | BIT(BOOTSTRAP) | BIT(WINDOW))
/* What becomes of it. */
#define RECORD_MAPS                                                                                \
	(BIT(COUNTERS) | BIT(RECENT) | BIT(VIEWERS) | BIT(VIEWER_BEATS) | BIT(VIEWER_LOST) |       \
	 BIT(PROBES) | BIT(OWNERS))

/* tests/kern/test_genuine.c holds this against what the kernel says of programs just loaded. `meta`
 * and `policy` are for user space alone. */
__u32 eg_prog_maps(enum eg_prog prog, bool with_btf)
{
	switch (prog) {
	case EG_PROG_DEVICE:
	case EG_PROG_DEVICE_L3:
		return PACKET_MAPS | RECORD_MAPS | BIT(ANSWERS);
	case EG_PROG_PEER:
		return PACKET_MAPS | RECORD_MAPS;
	case EG_PROG_LO:
		return BIT(CONTROL) | BIT(CONFIG) | BIT(FRONT4) | BIT(ADDR4) | RECORD_MAPS;
	case EG_PROG_SOCK_CREATE:
		return BIT(OWNERS);
	case EG_PROG_CONNECT4:
	case EG_PROG_CONNECT6:
		return POLICY_MAPS | RECORD_MAPS | BIT(UNDERLAYS);
	case EG_PROG_SETSOCKOPT:
		return BIT(CONTROL) | BIT(CONFIG) | BIT(FRONT4) | RECORD_MAPS;
	case EG_PROG_CGROUP:
		/* Without BTF it cannot tell a tunnel, and asks for none. */
		return PACKET_MAPS | RECORD_MAPS | (with_btf ? BIT(TUNNELS) | BIT(HOME) : 0);
	case EG_PROG_COUNT:
		break;
	}
	return 0;
}

/* The program of `netns` has its own object, and is asked by hold.c. */
__u32 eg_hold_maps(void)
{
	/* The hook knows no socket by which to ask for an owner. */
	return PACKET_MAPS | (RECORD_MAPS & ~BIT(OWNERS)) | BIT(TUNNELS);
}

static int check_prog(struct eg_guard *guard, enum eg_prog prog, const char **ret_what)
{
	__u32 maps = eg_prog_maps(prog, !(guard->meta.flags & EG_META_NO_CHECKSUM_TEST));
	struct facts facts;
	int fd = eg_guard_prog(guard, prog);
	int result = fd < 0 ? fd : ask_prog(fd, &facts);

	if (result < 0)
		return result;
	*ret_what = eg_progs[prog].pin;
	if (!facts.tag || facts.tag != guard->meta.prog_tags[prog])
		return 0;
	for (enum eg_map map = 0; map < EG_MAP_COUNT; map++) {
		__u32 id;

		if (!(maps >> map & 1))
			continue;
		*ret_what = eg_maps[map].name;
		id = eg_guard_map_id(guard, map);
		if (!id || !uses(&facts, id))
			return id ? 0 : -EIO;
	}
	return 1;
}

int eg_guard_is_genuine(struct eg_guard *guard, const char **ret_what)
{
	_Static_assert(EG_PROG_COUNT <= EG_META_PROGS, "a tag for each");

	*ret_what = NULL;
	if (guard->other_abi)
		return -EPROTO;
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++) {
		int result = guard->prog_ids[prog] ? check_prog(guard, prog, ret_what) : 1;

		if (result <= 0)
			return result;
	}
	return 1;
}
