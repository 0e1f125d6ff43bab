/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs and maps for guards to come, loaded by threads while nobody waits for them: the verifier
 * is most of what a guard takes to make, and does not ask whose it will be. A spare is attached to
 * nothing, and has empty tables, in which no packet finds anything that would let it pass. Whoever
 * takes none, as all commands but the daemon, loads as ever.
 */
#ifndef EG_SPARE_H
#define EG_SPARE_H

#include "kern/guard.h"

#define EG_SPARES_MAX 4

/* How many are to be kept ready from now on, at most EG_SPARES_MAX, for guards below `pin_dir`
 * (NULL: the usual place). Where one cannot be made, none is until this is called again. To be
 * called by one thread alone, the one that makes the guards, after it has given up privileges. */
void eg_spares_want(const char *pin_dir, unsigned int n);

#define EG_SPARE_HOLDS_MAX 8

/* Loads for these guards, at most EG_SPARE_HOLDS_MAX, what is to hold their layer `netns`, at the
 * same time, and waits for it. Who follows them then (eg_hold_open()) takes that, if it stands over
 * the guard's maps; or, where it could not be loaded, loads as ever. By the same thread. Returns
 * for how many it was loaded. */
size_t eg_spares_hold(const char *pin_dir, const char *const *names, size_t n);

/* None any more; returns when the threads have ended. */
void eg_spares_end(void);

#endif /* EG_SPARE_H */
