/* SPDX-License-Identifier: GPL-2.0 */
/* A guard of an older version, which no file asks for: the start of a container has made it. */
#ifndef EG_RENEW_H
#define EG_RENEW_H

#include <stdbool.h>

#include "kern/guard.h"

/* Whether it is one, on a namespace that is still there. */
bool eg_can_renew(const struct eg_guard *guard);

/* Puts one of this version beside it, of the same policy and with what it has learned, which then
 * takes its place. On failure it stays as it is. */
int eg_renew(const char *pin_dir, const char *name, struct eg_error *error);

#endif /* EG_RENEW_H */
