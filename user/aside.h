/* SPDX-License-Identifier: GPL-2.0 */
/* A guard whose name is wanted for the namespace that its target has now. */
#ifndef EG_ASIDE_H
#define EG_ASIDE_H

#include "kern/pins.h"
#include "net/netns.h"

/* Calls it NAME-INODE, by the namespace that it is on; it is in force all the time. *ret_name is
 * the caller's to free. -ENOENT: there is none of that name. Needs the lock. */
int eg_aside(struct eg_pins *pins, const char *name, char **ret_name, struct eg_error *error);

/* Whether the guard of that name may go by another one from now on. */
enum eg_yields {
	EG_YIELDS_UNKNOWN, /* nobody here looks after it: if it was set aside */
	EG_YIELDS_YES,
	EG_YIELDS_NO,
};
typedef enum eg_yields (*eg_ask_yields)(void *argument, const char *name,
					const struct eg_netns *netns);

/*
 * The other way round: the namespace has a guard that goes by the name of what it was, since
 * containers, or files, were given other names. It is called `name` from now on, and in force all
 * the time. One that a start or a person has made is left to them. 1 and *ret_former, the caller's
 * to free; 0: there is none, or it does not yield. Under the lock.
 */
int eg_take_over(struct eg_pins *pins, const char *name, const struct eg_netns *netns,
		 eg_ask_yields ask, void *argument, char **ret_former, struct eg_error *error);

#endif /* EG_ASIDE_H */
