// SPDX-License-Identifier: GPL-2.0
#include "util/clock.h"

#include <time.h>

#define MOMENT_NS 100000000ULL

static __u64 clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (__u64)now.tv_sec * 1000000000ULL + (__u64)now.tv_nsec;
}

__u64 eg_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

__s64 eg_monotonic_ms(void)
{
	return (__s64)(clock_ns(CLOCK_MONOTONIC) / 1000000);
}

__u64 eg_moment_in_ns(__u64 ns)
{
	__u64 at = eg_monotonic_ns() + ns;

	return ns < MOMENT_NS ? at : at - at % MOMENT_NS;
}

__u64 eg_boottime_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

__u64 eg_processor_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

__u64 eg_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}
