/* SPDX-License-Identifier: GPL-2.0 */
/* Clears away what no longer guards anything. */
#ifndef EG_REAP_H
#define EG_REAP_H

#include "kern/guard.h"
#include "kern/pins.h"
#include "net/netns.h"

/*
 * Removes guards whose namespace is gone for certain: nothing holds it, and no interface that they
 * were attached to exists any more. (A namespace that only an open descriptor keeps alive is not
 * found in /proc, yet its interfaces are still there; such a guard stays.) Needs the lock.
 */
int eg_reap(struct eg_pins *pins, struct eg_error *error);

/* The same, of so many guards at most: a machine may have a thousand, each costs a look, and who is
 * not looked at this time is the next. */
#define EG_REAP_SHARE 16
int eg_reap_share(struct eg_pins *pins, struct eg_error *error);

/*
 * Whether a guard on a namespace of this number may be that of one before. Until Linux 5.14 a
 * namespace is known by its number alone, which the next one gets soon after: so by a guard that is
 * in force nowhere nothing is guarded, whichever of the two it was made for.
 */
bool eg_has_ended(struct eg_guard *guard, const struct eg_netns *netns);

/* Removes such guards, but for the one of the name `kept`, which is in force there now. Needs the
 * lock. */
int eg_reap_ended(struct eg_pins *pins, const char *kept, const struct eg_netns *netns,
		  struct eg_error *error);

/* Removes what killed commands left half-made. That may be all that is in force on a namespace, so
 * it comes last, when the command's own work is done. Needs the lock. */
int eg_sweep(struct eg_pins *pins, struct eg_error *error);

#endif /* EG_REAP_H */
