/* SPDX-License-Identifier: GPL-2.0 */
/* The two ways to WireGuard's state, behind eg_wg_get(). */
#ifndef EG_WIREGUARD_WAYS_H
#define EG_WIREGUARD_WAYS_H

#include "net/wireguard.h"

/* Of the kernel's own, over generic netlink. */
int eg_wg_get_kernel(const struct eg_netns *netns, const struct eg_link *link,
		     struct eg_wg_device *ret_device);

/*
 * -ENOENT: no process that holds the tun was found; -ECONNREFUSED: it has no UAPI socket, or nobody
 * listens there; -ETIMEDOUT, -EFBIG, -EBADMSG: what it answers is no answer.
 */
int eg_wg_get_userspace(const struct eg_netns *netns, const struct eg_link *link,
			struct eg_wg_device *ret_device);

#endif /* EG_WIREGUARD_WAYS_H */
