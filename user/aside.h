/* SPDX-License-Identifier: GPL-2.0 */
/* A guard whose name is wanted for the namespace that its target has now. */
#ifndef EG_ASIDE_H
#define EG_ASIDE_H

#include "kern/pins.h"

/* Calls it NAME-INODE, by the namespace that it is on; it is in force all the time. *ret_name is
 * the caller's to free. -ENOENT: there is none of that name. Needs the lock. */
int eg_aside(struct eg_pins *pins, const char *name, char **ret_name, struct eg_error *error);

#endif /* EG_ASIDE_H */
