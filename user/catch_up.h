/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The daemon's guards that were in force when it started: each is to be followed, and what takes
 * longest of that, to load what holds the layer `netns`, is done for several at a time.
 */
#ifndef EG_CATCH_UP_H
#define EG_CATCH_UP_H

#include <stddef.h>

#include "wards.h"

struct eg_catch_up {
	size_t left;
	size_t loaded; /* how many of the next ones were loaded together */
	bool in_vain;  /* none could be: each is tried by itself from then on */
};

/* Whoever waits to be followed does so until eg_catch_up_next(), all others no longer. */
void eg_catch_up_begin(struct eg_catch_up *catch_up, const struct eg_wards *wards);

/* The next work of one of them is to be followed. False: none is left. */
bool eg_catch_up_next(struct eg_catch_up *catch_up, const char *pin_dir,
		      const struct eg_wards *wards);

#endif /* EG_CATCH_UP_H */
