/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A target found on a thread of its own: a container engine may take seconds over a request, or not
 * answer it at all, and meanwhile there are others to be looked after.
 */
#ifndef EG_FINDING_H
#define EG_FINDING_H

#include "net/target.h"

struct eg_finding; /* NULL: nothing is looked for */
/* Whoever still looks is left to end by itself, and tells nobody. */
void eg_finding_free(struct eg_finding *finding);

/*
 * As eg_target_find(), but waits `wait_ms` at most: -EINPROGRESS, and *finding is to be given again
 * later, when nothing new is begun as long as the same is looked for. An answer to what was asked
 * before `since_ns` (CLOCK_MONOTONIC) is not given: something has changed meanwhile, and it is
 * asked again.
 */
int eg_finding_ask(struct eg_finding **finding, const char *target, unsigned int wait_ms,
		   __u64 *ret_asked_ns, struct eg_target *ret_target, struct eg_error *error);

#endif /* EG_FINDING_H */
