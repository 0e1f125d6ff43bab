/* SPDX-License-Identifier: GPL-2.0 */
/* Guards that the daemon has no file for and keeps up all the same: those that the start of a
 * container has made (start.h), and those that an earlier run of it had a file for, or has set
 * aside (aside.h). It is told of new ones by their pins, and so of what becomes of all others: by
 * one watch for all of them. */
#ifndef EG_ADOPT_H
#define EG_ADOPT_H

#include "util/error.h"

typedef void (*eg_adopt_found)(void *argument, const char *name);

/* Readable when guards have come or gone; owned by the caller. */
int eg_adopt_watch(const char *pin_dir, int *ret_fd, struct eg_error *error);

/* Calls `found` for each that is there. What cannot be read is none. */
void eg_adopt_all(const char *pin_dir, eg_adopt_found found, void *argument);

/* The same for those of the start of a container that `fd` tells of. `changed` is called for each
 * guard, whoever's, that has come, gone or been replaced; with NULL where it may be any. */
void eg_adopt_new(const char *pin_dir, int fd, eg_adopt_found found, eg_adopt_found changed,
		  void *argument);

#endif /* EG_ADOPT_H */
