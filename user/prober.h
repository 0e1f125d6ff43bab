/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The sockets that `verify` sends from. They are made by a thread inside the namespace and belong
 * to it from then on; nothing else of ours is ever in there, and nothing of theirs runs. All of
 * them are bound to one interface: with the tunnel up, a packet of any other socket goes into it
 * and proves nothing.
 */
#ifndef EG_PROBER_H
#define EG_PROBER_H

#include "kern/guard.h"
#include "net/link.h"
#include "verify/probe.h"

struct eg_prober; /* one socket */

struct eg_prober_request {
	const struct eg_netns *netns;
	const struct eg_link *link;
	enum eg_probe_way way;
	bool mapped;
	__u32 mark; /* 0: none */
	/* The guard that is to let this one socket past the qdisc, NULL: none. */
	struct eg_guard *permitting;
	const struct eg_probe *probe;
};

/* What the kernel refused, and why. */
struct eg_refusal {
	const char *call; /* "socket", "connect", "PACKET_QDISC_BYPASS"; NULL: nothing */
	int errnum;
};

/* 0; or -errno, with `ret_refusal`. */
int eg_prober_open(const struct eg_prober_request *request, struct eg_prober **ret_prober,
		   struct eg_refusal *ret_refusal);
void eg_prober_close(struct eg_prober *prober);
static inline void eg_prober_closep(struct eg_prober **prober)
{
	eg_prober_close(*prober);
}
#define EG_AUTO_PROBER __attribute__((cleanup(eg_prober_closep)))

/* By which the guard knows what it sent. */
__u64 eg_prober_cookie(const struct eg_prober *prober);
int eg_prober_fd(const struct eg_prober *prober);
int eg_prober_send(struct eg_prober *prober, struct eg_refusal *ret_refusal);

/* A packet socket that sends frames as they are, and hears ARP: for what is allowed, and for
 * answers to it. */
int eg_prober_open_arp(const struct eg_netns *netns, const struct eg_link *link,
		       struct eg_prober **ret_prober, struct eg_refusal *ret_refusal);
int eg_prober_send_frame(struct eg_prober *prober, const __u8 *frame, size_t len,
			 struct eg_refusal *ret_refusal);

/* The hardware address of an interface. */
int eg_prober_hardware_address(const struct eg_netns *netns, const char *name, __u8 ret_mac[6]);

/* Runs on one processor from now on, if it can: what is sent one after the other then stays in that
 * order through a veth. */
void eg_prober_stay(void);

#endif /* EG_PROBER_H */
