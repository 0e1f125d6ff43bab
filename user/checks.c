// SPDX-License-Identifier: GPL-2.0
#include "checks.h"

#include "util/clock.h"

#define NS_PER_MS     1000000ULL
#define PER_PROCESSOR 25
#define PER_TIME      10
#define SLICE_NS      (4 * NS_PER_MS)
#define PAUSE_MAX_NS  (1000 * NS_PER_MS)

static __u64 later(__u64 a, __u64 b)
{
	return a > b ? a : b;
}

/* Who waited longest is first. */
static struct eg_ward *next_of(const struct eg_wards *wards)
{
	struct eg_ward *next = NULL;

	for (size_t i = 0; i < wards->n; i++)
		if (!next || eg_ward_check_due_ns(wards->ward[i]) < eg_ward_check_due_ns(next))
			next = wards->ward[i];
	return next;
}

__u64 eg_checks_due_ns(const struct eg_checks *checks, const struct eg_wards *wards)
{
	const struct eg_ward *next = next_of(wards);

	return next ? later(eg_ward_check_due_ns(next), checks->from_ns) : ~0ULL;
}

void eg_checks_work(struct eg_checks *checks, const struct eg_wards *wards)
{
	__u64 started = eg_monotonic_ns(), now, pause, worked;

	if (started < eg_checks_due_ns(checks, wards))
		return;
	worked = eg_processor_ns();
	do {
		eg_ward_check(next_of(wards));
		now = eg_monotonic_ns();
	} while (now - started < SLICE_NS && now >= eg_checks_due_ns(checks, wards));
	pause = later((now - started) * (PER_TIME - 1),
		      (eg_processor_ns() - worked) * (PER_PROCESSOR - 1));
	checks->from_ns = now + (pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS);
}
