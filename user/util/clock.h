/* SPDX-License-Identifier: GPL-2.0 */
/* Time, from clock_gettime(2). */
#ifndef EG_CLOCK_H
#define EG_CLOCK_H

#include <linux/types.h>

/* CLOCK_MONOTONIC: what bpf_ktime_get_ns() tells, too. */
__u64 eg_monotonic_ns(void);
__s64 eg_monotonic_ms(void); /* signed, for what is left until then */

/* In so many nanoseconds, or up to a tenth of a second earlier: at a moment that all who ask share,
 * so that a thousand of them do not wake a process a thousand times. */
__u64 eg_moment_in_ns(__u64 ns);

/* CLOCK_BOOTTIME: goes on while the machine sleeps. */
__u64 eg_boottime_ns(void);

/* What this process has used of processors, for which others' load does not count. */
__u64 eg_processor_ns(void);

/* Since 1970, as whoever set the clock has it. */
__u64 eg_realtime_ns(void);

#endif /* EG_CLOCK_H */
