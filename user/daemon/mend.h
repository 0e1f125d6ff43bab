/* SPDX-License-Identifier: GPL-2.0 */
/*
 * When what is not as it should be is mended, and when that is said: what does not help is said
 * once, and tried again and again: somebody may undo each time what did help. PURE: no I/O, no
 * clock.
 */
#ifndef EG_MEND_H
#define EG_MEND_H

#include <linux/types.h>
#include <stdbool.h>

#define EG_MEND_AGAIN_NS 30000000000ULL /* what did not help is not done again at once */

/* Zeroed: all is well. */
struct eg_mending {
	__u64 tried_ns; /* 0: it was not */
	bool in_vain;   /* the last time, too */
	char *reason;   /* why, as it was last said */
};

enum eg_mend {
	EG_MEND_WAIT,   /* it was tried a moment ago */
	EG_MEND_SAY,    /* try, and say why */
	EG_MEND_SILENT, /* try; it was said */
};

/* All is well, or nobody asks any more: forgets what was wrong. */
void eg_mend_end(struct eg_mending *mending);

/* Something is wrong at `now_ns` (CLOCK_MONOTONIC, not 0). Another reason than before is said. */
enum eg_mend eg_mend_next(struct eg_mending *mending, const char *reason, __u64 now_ns);

#endif /* EG_MEND_H */
