/* SPDX-License-Identifier: GPL-2.0 */
/* Which guards a command line means: GUARD, --netns TARGET, or none of both. */
#ifndef EG_SELECT_H
#define EG_SELECT_H

#include "kern/pins.h"
#include "options.h"

/*
 * Names of the guards meant, sorted, NULL-terminated, for eg_names_free(). All of them if neither
 * GUARD nor --netns is given. --netns: those on the namespace that TARGET is now, else those that
 * were attached to a target of that name (its namespace may be gone). EG_EXIT_NO_SUCH with a
 * message if GUARD or TARGET has none.
 */
int eg_select_guards(struct eg_pins *pins, const struct eg_common *common, char ***ret_names,
		     struct eg_error *error);

/* Exactly one: the only guard there is if none is named, else an error that lists the names. The
 * caller frees *ret_name. */
int eg_select_guard(struct eg_pins *pins, const struct eg_common *common, char **ret_name,
		    struct eg_error *error);

/* Opens the pins of --pin-dir or the default place for reading and selects one guard: what most
 * commands start with. */
int eg_select_open(const struct eg_common *common, struct eg_pins *ret_pins, char **ret_name,
		   struct eg_error *error);

#endif /* EG_SELECT_H */
