/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A namespace whose interfaces let nothing out: what stands in a guard's place until that is made,
 * where something may run in there before. A program of two instructions on each, so it is there
 * within a few milliseconds; nobody has to hold it (tcx without a link, or before Linux 6.6 a
 * filter of clsact), so that the end of a process opens nothing. It is told by its name.
 */
#ifndef EG_SHUT_H
#define EG_SHUT_H

#include "net/netns.h"

struct eg_shut_count {
	size_t shut;    /* interfaces that let nothing out now, those of an earlier call included */
	size_t guarded; /* that have a guard's program: they are left to that */
};

/*
 * Shuts every interface that the namespace has now, but loopback and those that a guard is on.
 * They are shut also where another one could not be, which is -errno. An interface that comes later
 * takes another call.
 */
int eg_shut(const struct eg_netns *netns, struct eg_shut_count *ret_count);

/* Opens whatever was ever shut there. -errno: not all of it. */
int eg_shut_open(const struct eg_netns *netns);

#endif /* EG_SHUT_H */
