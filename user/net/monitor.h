/* SPDX-License-Identifier: GPL-2.0 */
/* Tells that the interfaces of a namespace, or their addresses, have changed: which, and how, a
 * survey says. */
#ifndef EG_MONITOR_H
#define EG_MONITOR_H

#include "net/netns.h"

/* A socket of the namespace, readable when something changed; it keeps the namespace alive. The
 * caller closes it. */
int eg_monitor_open(const struct eg_netns *netns, int *ret_fd);

/* Reads all that is there. 1: something changed, or may have; 0: nothing did. */
int eg_monitor_drain(int fd);

#endif /* EG_MONITOR_H */
