// SPDX-License-Identifier: GPL-2.0
/* The layer `socket` of a guard: its place in the set of programs that all share (shared.h). */
#include <errno.h>
#include <string.h>

#include "kern/shared.h"
#include "util/cleanup.h"

static const __u32 zero;

/* --- a guard's place in it ------------------------------------------------------------------ */

static bool is_free(const struct eg_shared_entries *entries, __u32 index)
{
	for (size_t i = 0; i < entries->n; i++)
		if (entries->all[i].value.index == index)
			return false;
	return true;
}

/* Not the one that was freed last: a process may be on its way to it. */
static int take_index(const struct eg_shared_set *set, const struct eg_shared_entries *entries,
		      __u32 *ret_index)
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

static int enter_guard(const struct eg_shared_set *set, struct eg_guard *guard, __u64 cookie,
		       __u32 index)
{
	const struct eg_shared_entry entry = {
		.index = index,
		.prog_id = guard->prog_ids[EG_PROG_SOCK_CREATE],
	};

	for (enum eg_hook hook = 0; hook < EG_HOOK_COUNT; hook++) {
		int prog_fd = eg_guard_prog(guard, eg_hooks[hook].prog);

		if (prog_fd == -ENOENT && !guard->prog_ids[eg_hooks[hook].prog])
			continue; /* one that it has no use for */
		if (prog_fd < 0)
			return prog_fd;
		if (bpf_map_update_elem(set->calls_fd[hook], &index, &prog_fd, BPF_ANY) < 0)
			return -errno;
	}
	return bpf_map_update_elem(set->cookies_fd, &cookie, &entry, BPF_ANY) < 0 ? -errno : 0;
}

static int enter(const struct eg_shared_set *set, struct eg_guard *guard,
		 const struct eg_netns *netns, struct eg_error *error)
{
	EG_AUTO(eg_shared_entries_free) struct eg_shared_entries entries = {};
	const struct eg_shared_place *entry;
	__u64 cookie = netns->cookie;
	__u32 index = 0;
	int err = eg_shared_entries(set->cookies_fd, &entries);

	if (err)
		return eg_shared_failed(set, err, "read the guards", error);
	entry = eg_shared_find_prog(&entries, guard->prog_ids[EG_PROG_SOCK_CREATE]);
	if (!cookie && entry)
		cookie = entry->cookie;
	if (!cookie)
		err = eg_shared_ask_cookie(set, netns, &cookie, error);
	if (err)
		return err;
	entry = eg_shared_find_cookie(&entries, cookie);
	if (entry)
		index = entry->value.index;
	else
		err = take_index(set, &entries, &index);
	if (!err)
		err = enter_guard(set, guard, cookie, index);
	if (err == -E2BIG)
		return eg_shared_cannot(error, "it serves as many guards as it can");
	return err ? eg_shared_failed(set, err, "enter the guard", error) : 0;
}

/* --- the layer ------------------------------------------------------------------------------ */

/* For tests: packet sockets may go round tc egress as if the kernel had no such hook. */
static bool setsockopt_is_off(void)
{
	const char *off = getenv("EGRESSGUARD_NO_SETSOCKOPT");

	return off && strcmp(off, "1") == 0;
}

static unsigned int guard_progs(const struct eg_shared_set *set)
{
	unsigned int progs = 0;

	for (enum eg_hook hook = 0; hook < EG_HOOK_COUNT; hook++)
		if (eg_shared_has(set, hook) &&
		    !(hook == EG_HOOK_SETSOCKOPT && setsockopt_is_off()))
			progs |= 1U << eg_hooks[hook].prog;
	return progs;
}

unsigned int eg_shared_progs(int root_fd)
{
	EG_AUTO(eg_shared_close) struct eg_shared_set set = EG_SHARED_SET_NONE;
	const char *missing;

	set.root_fd = root_fd;
	return eg_shared_open(&set, &missing) ? 0 : guard_progs(&set);
}

static int need_progs(const struct eg_shared_set *set, struct eg_guard *guard,
		      struct eg_error *error)
{
	char why[EG_ERROR_LEN / 2];
	int err = eg_guard_need_some(guard, guard_progs(set), error);

	if (!err || !eg_load_is_lasting(err))
		return err;
	snprintf(why, sizeof(why), "this kernel does not load its programs (%s): %s",
		 strerror(-err), eg_libbpf_why());
	return eg_shared_cannot(error, why);
}

int eg_guard_cover_sockets(struct eg_guard *guard, const struct eg_netns *netns,
			   struct eg_error *error)
{
	EG_AUTO(eg_shared_close) struct eg_shared_set set = EG_SHARED_SET_NONE;
	int err;

	if (guard->other_abi)
		return -EPROTO;
	set.root_fd = guard->root_fd;
	set.root_path = guard->root_path;
	err = eg_shared_have(&set, error);
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

static int check_calls(const struct eg_shared_set *set, const struct eg_guard *guard, __u32 index)
{
	for (enum eg_hook hook = 0; hook < EG_HOOK_COUNT; hook++) {
		__u32 id = 0, wanted = guard->prog_ids[eg_hooks[hook].prog];

		if (!wanted && !eg_hooks[hook].always)
			continue;
		if (!eg_shared_has(set, hook))
			return -ENOENT;
		if (bpf_map_lookup_elem(set->calls_fd[hook], &index, &id) < 0)
			return -errno;
		if (!id || id != wanted)
			return -ENOENT;
	}
	return 0;
}

static int look(struct eg_shared_set *set, const struct eg_guard *guard, const char **ret_missing)
{
	EG_AUTO(eg_shared_entries_free) struct eg_shared_entries entries = {};
	const struct eg_shared_place *entry;
	int err = eg_shared_open(set, ret_missing);

	if (err)
		return err;
	*ret_missing = "the guard's entry in " EG_SHARED_COOKIES;
	err = eg_shared_entries(set->cookies_fd, &entries);
	if (err)
		return err;
	entry = eg_shared_find_prog(&entries, guard->prog_ids[EG_PROG_SOCK_CREATE]);
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
	EG_AUTO(eg_shared_close) struct eg_shared_set set = EG_SHARED_SET_NONE;
	int err;

	*ret_missing = NULL;
	if (guard->other_abi || guard->meta.flags & EG_META_NO_SOCKET)
		return EG_SOCKETS_NONE;
	set.root_fd = guard->root_fd;
	set.root_path = guard->root_path;
	err = look(&set, guard, ret_missing);
	return err ? EG_SOCKETS_MISSING : EG_SOCKETS_ATTACHED;
}
