/* SPDX-License-Identifier: GPL-2.0 */
/* Clears away what no longer guards anything. */
#ifndef EG_REAP_H
#define EG_REAP_H

#include "kern/pins.h"

/*
 * Removes guards whose namespace is gone for certain: nothing holds it, and no interface that they
 * were attached to exists any more. (A namespace that only an open descriptor keeps alive is not
 * found in /proc, yet its interfaces are still there; such a guard stays.) Needs the lock.
 */
int eg_reap(struct eg_pins *pins, struct eg_error *error);

/* Removes what killed commands left half-made. That may be all that is in force on a namespace, so
 * it comes last, when the command's own work is done. Needs the lock. */
int eg_sweep(struct eg_pins *pins, struct eg_error *error);

#endif /* EG_REAP_H */
