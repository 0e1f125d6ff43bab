/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interfaces of a namespace, which of them are underlays, and where they lead. rtnetlink over
 * libmnl. Names come from the namespace: escape them (util/text.h) before they are printed.
 */
#ifndef EG_LINK_H
#define EG_LINK_H

#include <net/if.h>
#include <stdbool.h>

#include "net/netns.h"
#include "policy/policy.h"

struct eg_link {
	__u32 ifindex;
	char name[IFNAMSIZ];
	char kind[16]; /* IFLA_INFO_KIND: "veth", "wireguard", "tun"…; empty for a physical device
			*/
	__u16 type;    /* ARPHRD_* */
	bool loopback;
	bool link_header;   /* frames start with an Ethernet header (ARPHRD_ETHER) */
	bool tap;           /* kind "tun" in tap mode */
	__u32 peer_ifindex; /* IFLA_LINK, 0: none */
	int peer_nsid;      /* IFLA_LINK_NETNSID, -1: the same namespace, or none */
	bool elsewhere; /* IFLA_LINK_NETNSID is there: what it sends by is in another namespace */
	__u32 master;   /* IFLA_MASTER, 0: none */
	unsigned int flags; /* IFF_* */
};

/* Its name, escaped for a message. Returns `to`. */
#define EG_LINK_NAME_LEN (IFNAMSIZ * 4)
char *eg_link_name(char to[EG_LINK_NAME_LEN], const struct eg_link *link);

/* All interfaces, by index. The caller frees *ret_links. */
int eg_links_get(const struct eg_netns *netns, struct eg_link **ret_links, size_t *ret_n);

/*
 * Whether an interface has no way out of its own: what it sends it hands to the stack of its own
 * namespace (tunnels of IP) or to other interfaces there (bridge, bond, vrf, vlan, a veth whose
 * other end is there too), or to nobody (dummy). So it needs no layer on a host end: whatever
 * leaves comes by an underlay once more, as what it has become. False for what cannot be told: a
 * WireGuard device does not tell whose stack it uses.
 */
bool eg_link_sends_by_others(const struct eg_link *link);

struct eg_link_addr {
	__u32 ifindex;
	union eg_addr addr;
	__u8 family;
	__u8 prefix_len;
	bool made_known;
	__u32 made_cs; /* when it was given: hundredths of a second of CLOCK_MONOTONIC, modulo 2^32
			*/
};
int eg_addrs_get(const struct eg_netns *netns, struct eg_link_addr **ret_addrs, size_t *ret_n);

/* The host-side end of a veth. */
struct eg_peer {
	struct eg_netns netns; /* owned */
	__u32 ifindex;
	__u32 master; /* the bridge it is a port of, 0: none */
	char name[IFNAMSIZ];
};

/*
 * Finds it by IFLA_LINK and IFLA_LINK_NETNSID, in whichever namespace it is, and checks that it is
 * a veth that points back. -ENOENT where it can't be found, or is within the container's reach: in
 * the same namespace, or in one that belongs to another user namespace than ours.
 */
int eg_peer_find(const struct eg_netns *netns, const struct eg_link *veth,
		 struct eg_peer *ret_peer);
void eg_peer_close(struct eg_peer *peer);

/*
 * What the outside knows of an underlay's addresses: whether the peer's namespace has a route,
 * other than a default route, to `addr` through the peer or its bridge (RTM_GETROUTE with
 * RTM_F_FIB_MATCH) and without a gateway: what lies behind a router is not the underlay's own, and
 * half of the internet may be routed that way. The subnet that route names is *ret_subnet. -ENOENT
 * if not.
 */
int eg_peer_route(const struct eg_peer *peer, __u8 family, const union eg_addr *addr,
		  struct eg_prefix *ret_subnet);

/* The router by which the namespace would send to `addr` out of this interface (`ifindex`). A
 * namespace's own word. -ENOENT: no route, or none by a router. */
int eg_gateway_find(const struct eg_netns *netns, __u32 ifindex, __u8 family,
		    const union eg_addr *addr, union eg_addr *ret_gateway);

#endif /* EG_LINK_H */
