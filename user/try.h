/* SPDX-License-Identifier: GPL-2.0 */
/* `--try SECONDS`: a process that takes the guard away again, unless it was confirmed. */
#ifndef EG_TRY_H
#define EG_TRY_H

#include "eg_abi.h"

/* Leaves a process of its own behind, detached from the terminal, and returns. If that process is
 * killed, the guard stays. 0 or -errno. */
int eg_try_start(const char *pin_dir, const char *name, __u64 until_realtime_ns);

#endif /* EG_TRY_H */
