/* SPDX-License-Identifier: GPL-2.0 */
/* What the daemon tells its service manager (sd_notify(3)): that it is ready, and that it lives. */
#ifndef EG_SERVICE_H
#define EG_SERVICE_H

#include <linux/types.h>
#include <stdbool.h>

/* All times are CLOCK_MONOTONIC nanoseconds. */
struct eg_service {
	__u64 period_ns; /* half of what the manager waits for a sign of life; 0: it does not */
	__u64 told_ns;   /* when it had the last */
	bool is_ready;
};

void eg_service_begin(struct eg_service *service);

/* A sign of life, where it is time for one: call often. Until it is ready, it asks for more time
 * instead: to start with a thousand guards takes longer than a manager waits. */
void eg_service_beat(struct eg_service *service);

/* When the next is due, ~0: never. */
__u64 eg_service_due_ns(const struct eg_service *service);

/* Ready, at first or again after eg_service_reload(). */
void eg_service_ready(struct eg_service *service);
void eg_service_reload(void);
void eg_service_stop(void);

#endif /* EG_SERVICE_H */
