// SPDX-License-Identifier: GPL-2.0
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/notify.h"

#define START_BEAT_NS 5000000000ULL

static __u64 watchdog_period(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

	if (!usec || (pid && strtol(pid, NULL, 10) != (long)getpid()))
		return 0;
	return strtoull(usec, NULL, 10) * 1000 / 2;
}

void eg_service_begin(struct eg_service *service)
{
	*service = (struct eg_service){.period_ns = watchdog_period()};
}

void eg_service_beat(struct eg_service *service)
{
	__u64 now = eg_monotonic_ns();

	if (!service->is_ready) {
		if (now < service->told_ns + START_BEAT_NS)
			return;
		eg_notify("EXTEND_TIMEOUT_USEC=120000000");
		service->told_ns = now;
		return;
	}
	if (now < eg_service_due_ns(service))
		return;
	eg_notify("WATCHDOG=1");
	service->told_ns = now;
}

__u64 eg_service_due_ns(const struct eg_service *service)
{
	return service->period_ns ? service->told_ns + service->period_ns : ~0ULL;
}

void eg_service_ready(struct eg_service *service)
{
	service->is_ready = true;
	eg_notify("READY=1");
}

void eg_service_reload(void)
{
	char state[64];

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)(eg_monotonic_ns() / 1000));
	eg_notify(state);
}

void eg_service_stop(void)
{
	eg_notify("STOPPING=1");
}
