/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests and dumps over libmnl. Answers of anybody but the kernel are ignored: whoever has
 * CAP_NET_ADMIN in the namespace may send to our socket.
 */
#ifndef EG_NETLINK_H
#define EG_NETLINK_H

#include <libmnl/libmnl.h>

#include "net/netns.h"
#include "policy/policy.h"

struct eg_netlink;

/* A socket of `bus` (NETLINK_ROUTE, …) that belongs to the namespace, whoever uses it. */
int eg_netlink_open(const struct eg_netns *netns, int bus, struct eg_netlink **ret_netlink);
/* Wipes what was received: it may hold WireGuard's keys. */
void eg_netlink_close(struct eg_netlink *netlink);
static inline void eg_netlink_closep(struct eg_netlink **netlink)
{
	eg_netlink_close(*netlink);
}
#define EG_AUTO_NETLINK __attribute__((cleanup(eg_netlink_closep)))

/* An empty request; its attributes may be put behind it up to MNL_SOCKET_BUFFER_SIZE of `buffer`.
 * NLM_F_DUMP in `flags` makes it a dump. */
struct nlmsghdr *eg_netlink_request(char *buffer, __u16 type, __u16 flags);

/*
 * Sends the request and calls `visit` with each message of the answer, up to its end. An error of
 * `visit` ends the visiting and is returned. A dump that something changed under (NLM_F_DUMP_INTR)
 * is asked for again, after `reset` made the argument forget what it saw; `reset` may be NULL where
 * there is nothing to forget.
 */
int eg_netlink_ask(struct eg_netlink *netlink, struct nlmsghdr *request,
		   int (*visit)(const struct nlmsghdr *message, void *argument),
		   void (*reset)(void *argument), void *argument);

/* What an attribute says; -EBADMSG: it is not that long. An address in network byte order, as
 * EG_FAMILY_* `family` has it. */
int eg_netlink_u32(const struct nlattr *attr, __u32 *ret_number);
int eg_netlink_addr(const struct nlattr *attr, __u8 family, union eg_addr *ret_addr);

#endif /* EG_NETLINK_H */
