/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Looking at whether what should be in force is: at one guard of the daemon's after the other, a
 * few at a time. They take a twenty-fifth of a processor, and a tenth of the time, however many
 * guards there are; and one that takes long does not keep the others waiting for long.
 */
#ifndef EG_CHECKS_H
#define EG_CHECKS_H

#include "wards.h"

/* Starts as {}. */
struct eg_checks {
	__u64 from_ns; /* CLOCK_MONOTONIC: not before then is a guard looked at */
};

/* When the next is to be looked at: CLOCK_MONOTONIC nanoseconds; ~0: there is none. */
__u64 eg_checks_due_ns(const struct eg_checks *checks, const struct eg_wards *wards);

/* Looks at a few, if it is time. */
void eg_checks_work(struct eg_checks *checks, const struct eg_wards *wards);

#endif /* EG_CHECKS_H */
