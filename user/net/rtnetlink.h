/* SPDX-License-Identifier: GPL-2.0 */
/* rtnetlink(7): all that a namespace has of a kind. */
#ifndef EG_RTNETLINK_H
#define EG_RTNETLINK_H

#include "net/netlink.h"

/*
 * Asks for it (RTM_GETLINK, say) over a socket of its own, with a header of that size, all zero.
 * `visit` and `reset` are as for eg_netlink_ask(); where it fails, `reset` is called last, so that
 * the argument holds nothing.
 */
int eg_rtnetlink_dump(const struct eg_netns *netns, __u16 type, size_t header_size,
		      int (*visit)(const struct nlmsghdr *message, void *argument),
		      void (*reset)(void *argument), void *argument);

#endif /* EG_RTNETLINK_H */
