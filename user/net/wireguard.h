/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The state of a WireGuard interface: generic netlink for the kernel's (linux/wireguard.h), the
 * UAPI socket for userspace implementations (wireguard.com/xplatform). Private and preshared keys
 * are never read into our memory where that can be avoided, and never kept.
 */
#ifndef EG_WIREGUARD_H
#define EG_WIREGUARD_H

#include "net/link.h"

struct eg_wg_peer {
	__u8 public_key[32];
	struct eg_endpoint endpoint; /* family NONE: none known yet */
	__u64 last_handshake_s;      /* CLOCK_REALTIME seconds, 0: never */
	__u64 rx_bytes, tx_bytes;
	bool default_route; /* 0.0.0.0/0 or ::/0 among its allowed IPs */
};

struct eg_wg_device {
	__u16 listen_port;
	__u32 fwmark;
	struct eg_wg_peer *peers; /* owned */
	size_t n_peers;
};
void eg_wg_device_free(struct eg_wg_device *device);
#define EG_AUTO_WG_DEVICE __attribute__((cleanup(eg_wg_device_free)))

/* What an interface is. */
enum eg_tunnel_kind {
	EG_TUNNEL_NOT,       /* no tunnel: a veth called wg0, a tap, … */
	EG_TUNNEL_KERNEL,    /* link kind "wireguard" */
	EG_TUNNEL_USERSPACE, /* a tun in IP mode whose owning process answers WireGuard's UAPI */
	EG_TUNNEL_TUN,       /* a tun in IP mode, but nobody answers */
};
enum eg_tunnel_kind eg_tunnel_kind(const struct eg_netns *netns, const struct eg_link *link);

/*
 * Reads the state by either way. A userspace implementation is found through /proc: the process
 * that holds the tun device (fdinfo "iff:"), its root, and in it /var/run/wireguard/IFACE.sock or
 * /run/wireguard/IFACE.sock, opened with eg_open_in_root(). What it answers is a stranger's:
 * bounded to 1 MiB and two seconds.
 */
int eg_wg_get(const struct eg_netns *netns, const struct eg_link *link,
	      struct eg_wg_device *ret_device, struct eg_error *error);

/*
 * Whether the packets that carry the tunnel leave from another namespace: it is up, and none of the
 * UDP sockets here has the port that it sends from. `device` is what it said just now. 1; 0: no, or
 * it sends nothing; -errno: cannot tell. Who is inside can hide it with a socket of that port.
 */
int eg_wg_sends_elsewhere(const struct eg_netns *netns, const struct eg_link *link,
			  const struct eg_wg_device *device);

/* Resolves a host name in the caller's own namespace, bounded to `timeout_ms`; all its addresses.
 * The caller frees *ret_endpoints. */
int eg_endpoint_resolve(const struct eg_endpoint *endpoint, unsigned int timeout_ms,
			struct eg_endpoint **ret_endpoints, size_t *ret_n, struct eg_error *error);

#endif /* EG_WIREGUARD_H */
