/* SPDX-License-Identifier: GPL-2.0 */
/* What `status` shows of guards: from kern/ and net/ to out/model.h. Changes nothing, but that the
 * places of dead viewers are emptied. */
#ifndef EG_COLLECT_H
#define EG_COLLECT_H

#include "kern/guard.h"
#include "kern/hold.h"
#include "options.h"
#include "out/model.h"
#include "policy/policy.h"

/*
 * Guards that GUARD, --netns TARGET or neither of them means. One that can't be read (another ABI
 * version, a foreign object) is listed as such. No pins at all are no guards, and no failure.
 */
int eg_collect_status(const struct eg_common *common, struct eg_status_view *ret_status,
		      struct eg_error *error);

/*
 * Of one guard, for whoever follows it and looks every few seconds: its state, the reason for that,
 * and its layers. None of what would not change them, and none of the looks at all processes, all
 * namespaces and all links of the machine that a thousand guards could not afford. `netns` (its
 * namespace, open) and `hold` (its layer `netns`) are the caller's, NULL: look for them. What is in
 * *ret_status is the caller's to free, on failure too.
 */
int eg_collect_state(const char *pin_dir, const char *name, const struct eg_netns *netns,
		     const struct eg_hold *hold, struct eg_status_view *ret_status);

/* Warns where nothing is held to what the guard's policy says, though a command shows it: its
 * target has another namespace now, or none. */
void eg_collect_warn_absent(const char *command, const struct eg_pins *pins, const char *name);

/* CLOCK_REALTIME minus CLOCK_MONOTONIC, in nanoseconds. */
__s64 eg_realtime_offset(void);

/* The policy that a guard has in force. */
int eg_collect_policy(struct eg_guard *guard, struct eg_policy **ret_policy,
		      struct eg_error *error);

/* Adds to it which containers were left in a dead namespace. Each container of an engine is asked
 * for: not for what is asked every few seconds. */
int eg_collect_stranded(struct eg_status_view *status, struct eg_error *error);

#endif /* EG_COLLECT_H */
