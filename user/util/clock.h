/* SPDX-License-Identifier: GPL-2.0 */
/* Time, from clock_gettime(2). */
#ifndef EG_CLOCK_H
#define EG_CLOCK_H

#include <linux/types.h>

/* CLOCK_MONOTONIC: what bpf_ktime_get_ns() tells, too. */
__u64 eg_monotonic_ns(void);
__s64 eg_monotonic_ms(void); /* signed, for what is left until then */

/* CLOCK_BOOTTIME: goes on while the machine sleeps. */
__u64 eg_boottime_ns(void);

/* Since 1970, as whoever set the clock has it. */
__u64 eg_realtime_ns(void);

#endif /* EG_CLOCK_H */
