/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interfaces that lead out of other namespaces of the same root. Whoever is root of a user
 * namespace can move an interface from one of its network namespaces to another, and send there
 * what a guard of the first one never sees.
 */
#ifndef EG_HIDDEN_H
#define EG_HIDDEN_H

#include "net/link.h"

struct eg_hidden {
	const struct eg_netns *netns; /* in which it is */
	const struct eg_link *link;
	/* Its other end, in a namespace of ours. NULL: it is a physical one, or on top of one that
	 * is in another namespace. */
	const struct eg_peer *peer;
};

/*
 * Calls `visit` for each veth that ends in a namespace of our own user namespace, each physical
 * interface, and each on top of one elsewhere (macvlan and the like), in those namespaces that
 * belong to the same user namespace as `netns`, or to one below it, `netns` itself left out; stops
 * when it returns non-zero and returns that. Nothing is visited where `netns` belongs to our own
 * user namespace: its root is root of the host's namespaces too.
 *
 * A namespace is found by a process or a thread in it, by a file of /run/netns, and by a descriptor
 * or a mount of a process of those user namespaces. One that is held by nothing but a socket, or by
 * a descriptor under way in another one's queue, is not. -E2BIG: they hold too much to look
 * through.
 */
int eg_hidden_visit(const struct eg_netns *netns,
		    int (*visit)(const struct eg_hidden *hidden, void *argument), void *argument);

#endif /* EG_HIDDEN_H */
