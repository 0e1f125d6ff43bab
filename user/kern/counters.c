// SPDX-License-Identifier: GPL-2.0
/* What a guard counted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kern/internal.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* All of them with one system call, where the kernel has that for such maps (5.13). */
static int read_batch(int map_fd, void *per_cpu)
{
	__u32 keys[EG_COUNTERS_ALL], next, n = EG_COUNTERS_ALL;
	LIBBPF_OPTS(bpf_map_batch_opts, opts);

	if (bpf_map_lookup_batch(map_fd, NULL, &next, keys, per_cpu, &n, &opts) < 0 &&
	    errno != ENOENT)
		return -errno;
	/* An array is read from its first entry on. */
	return n == EG_COUNTERS_ALL && keys[n - 1] == n - 1 ? 0 : -EINVAL;
}

static int read_each(int map_fd, struct eg_counter *per_cpu, size_t cpus)
{
	for (__u32 i = 0; i < EG_COUNTERS_ALL; i++)
		if (bpf_map_lookup_elem(map_fd, &i, per_cpu + i * cpus) < 0)
			return -errno;
	return 0;
}

int eg_guard_counters(struct eg_guard *guard, struct eg_counter ret_counters[EG_COUNTERS_ALL])
{
	EG_AUTO_FREE struct eg_counter *per_cpu = NULL;
	int map_fd = eg_guard_map(guard, EG_MAP_COUNTERS);
	int cpus = libbpf_num_possible_cpus();
	int err;

	if (guard->other_abi)
		return -EPROTO;
	if (map_fd < 0)
		return map_fd;
	if (cpus < 0)
		return cpus;
	per_cpu = calloc((size_t)cpus * EG_COUNTERS_ALL, sizeof(*per_cpu));
	if (!per_cpu)
		return -ENOMEM;
	err = read_batch(map_fd, per_cpu);
	if (err)
		err = read_each(map_fd, per_cpu, (size_t)cpus);
	if (err)
		return err;
	memset(ret_counters, 0, EG_COUNTERS_ALL * sizeof(*ret_counters));
	for (size_t i = 0; i < EG_COUNTERS_ALL * (size_t)cpus; i++) {
		ret_counters[i / (size_t)cpus].packets += per_cpu[i].packets;
		ret_counters[i / (size_t)cpus].bytes += per_cpu[i].bytes;
	}
	return 0;
}

int eg_guard_answers(struct eg_guard *guard, __u64 *ret_sent, __u64 *ret_withheld)
{
	EG_AUTO_FREE struct eg_answers *per_cpu = NULL;
	int cpus = libbpf_num_possible_cpus(), err;
	__u32 zero = 0;

	if (guard->other_abi)
		return -EPROTO;
	if (cpus < 0)
		return cpus;
	per_cpu = calloc((size_t)cpus, sizeof(*per_cpu));
	if (!per_cpu)
		return -ENOMEM;
	err = eg_guard_lookup(guard, EG_MAP_ANSWERS, &zero, per_cpu);
	if (err)
		return err;
	*ret_sent = *ret_withheld = 0;
	for (int cpu = 0; cpu < cpus; cpu++) {
		*ret_sent += per_cpu[cpu].sent;
		*ret_withheld += per_cpu[cpu].withheld;
	}
	return 0;
}

/* --- what was blocked lately ----------------------------------------------------------------- */

struct recents {
	struct eg_recent *list;
	size_t n;
	size_t room;
};

static int keep_recent(const void *key, const void *value, void *argument)
{
	struct recents *recents = argument;

	if (recents->n == recents->room) {
		size_t room = recents->room ? recents->room * 2 : 256;
		struct eg_recent *list = reallocarray(recents->list, room, sizeof(*list));

		if (!list)
			return -ENOMEM;
		recents->list = list;
		recents->room = room;
	}
	memcpy(&recents->list[recents->n].key, key, sizeof(struct eg_recent_key));
	memcpy(&recents->list[recents->n].value, value, sizeof(struct eg_recent_value));
	recents->n++;
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct eg_recent_key));
}

static int compare_newest_first(const void *a, const void *b)
{
	const struct eg_recent *left = a, *right = b;

	if (left->value.last_ns != right->value.last_ns)
		return left->value.last_ns < right->value.last_ns ? 1 : -1;
	return compare_keys(a, b);
}

/* Programs write while we read, so that a key may be seen twice. */
static void drop_duplicates(struct recents *recents)
{
	size_t kept = 0;

	qsort(recents->list, recents->n, sizeof(*recents->list), compare_keys);
	for (size_t i = 0; i < recents->n; i++)
		if (!kept || compare_keys(&recents->list[kept - 1], &recents->list[i]) != 0)
			recents->list[kept++] = recents->list[i];
	recents->n = kept;
}

int eg_guard_recent(struct eg_guard *guard, struct eg_recent **ret_recent, size_t *ret_n)
{
	struct recents recents = {};
	int err, map_fd;

	if (guard->other_abi)
		return -EPROTO;
	map_fd = eg_guard_map(guard, EG_MAP_RECENT);
	if (map_fd < 0)
		return map_fd;
	err = eg_map_visit(map_fd, sizeof(struct eg_recent_key), sizeof(struct eg_recent_value),
			   keep_recent, &recents);
	if (err) {
		free(recents.list);
		return err;
	}
	if (recents.n) {
		drop_duplicates(&recents);
		qsort(recents.list, recents.n, sizeof(*recents.list), compare_newest_first);
	}
	*ret_recent = recents.list;
	*ret_n = recents.n;
	return 0;
}

/* --- probes of `verify` ---------------------------------------------------------------------- */

int eg_guard_set_probes(struct eg_guard *guard, const __u64 *cookies, size_t n, __u32 pid,
			unsigned int ms)
{
	struct eg_probes probes = {.until_ns = n || pid ? eg_monotonic_ns() + ms * 1000000ULL : 0,
				   .pid = pid};
	__u32 zero = 0;

	if (guard->other_abi)
		return -EPROTO;
	if (n > EG_PROBE_SOCKETS)
		return -E2BIG;
	for (size_t i = 0; i < n; i++)
		probes.cookies[i] = cookies[i];
	return eg_guard_update(guard, EG_MAP_PROBES, &zero, &probes);
}

int eg_guard_set_window(struct eg_guard *guard, unsigned int ms)
{
	struct eg_bootstrap_window window = {.until_ns =
						     ms ? eg_monotonic_ns() + ms * 1000000ULL : 0};
	__u32 zero = 0;

	if (guard->other_abi)
		return -EPROTO;
	return eg_guard_update(guard, EG_MAP_WINDOW, &zero, &window);
}

int eg_guard_window(struct eg_guard *guard, unsigned int *ret_ms)
{
	struct eg_bootstrap_window window = {};
	__u64 now = eg_monotonic_ns();
	__u32 zero = 0;
	int err;

	if (guard->other_abi)
		return -EPROTO;
	err = eg_guard_lookup(guard, EG_MAP_WINDOW, &zero, &window);
	if (err)
		return err;
	*ret_ms = window.until_ns > now ? (unsigned int)((window.until_ns - now) / 1000000) + 1 : 0;
	return 0;
}

__u32 eg_guard_maker_of(struct eg_guard *guard, int socket_fd)
{
	struct eg_maker maker = {};

	if (guard->other_abi || eg_guard_lookup(guard, EG_MAP_OWNERS, &socket_fd, &maker))
		return 0;
	return maker.pid;
}

int eg_guard_permit_bypass(struct eg_guard *guard, int socket_fd, bool permitted)
{
	const struct eg_maker mark = {.cgroup_id = EG_MAKER_IS_VERIFY, .uid = EG_UID_UNKNOWN};

	if (guard->other_abi)
		return -EPROTO;
	return permitted ? eg_guard_update(guard, EG_MAP_OWNERS, &socket_fd, &mark)
			 : eg_guard_delete(guard, EG_MAP_OWNERS, &socket_fd);
}

int eg_guard_has_probes(struct eg_guard *guard)
{
	struct eg_probes probes;
	__u32 zero = 0;
	int err;

	if (guard->other_abi)
		return -EPROTO;
	err = eg_guard_lookup(guard, EG_MAP_PROBES, &zero, &probes);
	if (err)
		return err;
	return probes.until_ns > eg_monotonic_ns();
}
