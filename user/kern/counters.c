// SPDX-License-Identifier: GPL-2.0
/* What a guard counted. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kern/internal.h"
#include "util/cleanup.h"

int eg_guard_counters(struct eg_guard *guard, struct eg_counter ret_counters[EG_COUNTERS_ALL])
{
	EG_AUTO_FREE struct eg_counter *sums = calloc(EG_COUNTERS_ALL, sizeof(*sums));
	EG_AUTO_FREE struct eg_counter *per_cpu = NULL;
	int cpus = libbpf_num_possible_cpus();

	if (guard->other_abi)
		return -EPROTO;
	if (cpus < 0)
		return cpus;
	per_cpu = calloc((size_t)cpus, sizeof(*per_cpu));
	if (!sums || !per_cpu)
		return -ENOMEM;
	for (__u32 i = 0; i < EG_COUNTERS_ALL; i++) {
		if (bpf_map_lookup_elem(guard->maps[EG_MAP_COUNTERS], &i, per_cpu) < 0)
			return -errno;
		for (int cpu = 0; cpu < cpus; cpu++) {
			sums[i].packets += per_cpu[cpu].packets;
			sums[i].bytes += per_cpu[cpu].bytes;
		}
	}
	memcpy(ret_counters, sums, EG_COUNTERS_ALL * sizeof(*sums));
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
	int err;

	if (guard->other_abi)
		return -EPROTO;
	err = eg_map_visit(guard->maps[EG_MAP_RECENT], sizeof(struct eg_recent_key),
			   sizeof(struct eg_recent_value), keep_recent, &recents);
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
