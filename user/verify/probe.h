/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What `verify` sends: the rows of its table, the packets of each, and how they are known again at
 * the far end. PURE: no I/O, no clock; whoever calls has the random bytes.
 *
 * Nothing here can reach anybody: the test addresses are of the ranges that are kept for
 * documentation (RFC 5737, RFC 3849), which no network routes. What has to be aimed at a real
 * address (a LAN's, an endpoint's) goes in frames to a hardware address that nobody has.
 */
#ifndef EG_PROBE_H
#define EG_PROBE_H

#include <stdbool.h>
#include <stddef.h>

#include "eg_packet.h"

enum eg_probe_way {
	EG_WAY_TCP,       /* connect() */
	EG_WAY_UDP,       /* sendto() */
	EG_WAY_CONNECTED, /* connect(), send() */
	EG_WAY_ICMP,      /* a raw socket that writes the IP header for us */
	EG_WAY_RAW,       /* a raw socket with an IP header of our own */
	EG_WAY_PACKET,    /* a packet socket */
	EG_WAY_BYPASS,    /* the same, past the queueing discipline and tc egress with it */
	EG_WAY_XDP,       /* AF_XDP, copied */
};

enum eg_probe_content {
	EG_CONTENT_UDP,
	EG_CONTENT_TCP,
	EG_CONTENT_ECHO,
	EG_CONTENT_BIG, /* more than fits one packet */
	EG_CONTENT_DNS,
	EG_CONTENT_WIREGUARD,    /* UDP, shaped like a WireGuard data message */
	EG_CONTENT_ENDPOINT,     /* UDP to the endpoint, not shaped like that */
	EG_CONTENT_FRAGMENT,     /* not the first of its packet */
	EG_CONTENT_EXTENSIONS,   /* UDP behind extension headers */
	EG_CONTENT_SOURCE_ROUTE, /* to the LAN, to be passed on */
	EG_CONTENT_SOURCE,       /* to the LAN, from a public address */
	EG_CONTENT_VLAN,
	EG_CONTENT_QINQ,
	EG_CONTENT_NOT_IP,
};

enum eg_probe_flag {
	EG_PROBE_MAPPED = 1 << 0,    /* IPv4 through an IPv6 socket */
	EG_PROBE_MARKED = 1 << 1,    /* with the tunnel's own mark, or wg-quick's usual one */
	EG_PROBE_PERMITTED = 1 << 2, /* past the qdisc, which the guard lets this socket do */
};

/* X(identifier, "name", "what was tried", family, way, content, flags) */
#define EG_PROBE_ROWS(X)                                                                           \
	X(TCP, "tcp", "TCP", IPV4, TCP, TCP, 0)                                                    \
	X(TCP6, "tcp6", "TCP, IPv6", IPV6, TCP, TCP, 0)                                            \
	X(TCP_MAPPED, "tcp-mapped", "TCP, v4-mapped", IPV4, TCP, TCP, EG_PROBE_MAPPED)             \
	X(UDP, "udp", "UDP", IPV4, UDP, UDP, 0)                                                    \
	X(UDP6, "udp6", "UDP, IPv6", IPV6, UDP, UDP, 0)                                            \
	X(UDP_MAPPED, "udp-mapped", "UDP, v4-mapped", IPV4, UDP, UDP, EG_PROBE_MAPPED)             \
	X(CONNECTED, "connected-udp", "connected UDP", IPV4, CONNECTED, UDP, 0)                    \
	X(CONNECTED6, "connected-udp6", "connected UDP, IPv6", IPV6, CONNECTED, UDP, 0)            \
	X(ICMP, "icmp", "ICMP", IPV4, ICMP, ECHO, 0)                                               \
	X(ICMPV6, "icmpv6", "ICMPv6", IPV6, ICMP, ECHO, 0)                                         \
	X(RAW, "raw", "raw socket", IPV4, RAW, UDP, 0)                                             \
	X(RAW6, "raw6", "raw socket, IPv6", IPV6, RAW, UDP, 0)                                     \
	X(MARK, "mark", "forged mark", IPV4, UDP, UDP, EG_PROBE_MARKED)                            \
	X(MARK6, "mark6", "forged mark, IPv6", IPV6, UDP, UDP, EG_PROBE_MARKED)                    \
	X(BIG, "fragments", "UDP in fragments", IPV4, UDP, BIG, 0)                                 \
	X(BIG6, "fragments6", "UDP in fragments, IPv6", IPV6, UDP, BIG, 0)                         \
	X(DNS, "dns", "DNS off the tunnel", IPV4, UDP, DNS, 0)                                     \
	X(DNS6, "dns6", "DNS off the tunnel, IPv6", IPV6, UDP, DNS, 0)                             \
	X(STRANGER, "wireguard-stranger", "WireGuard's shape to a stranger", IPV4, UDP, WIREGUARD, \
	  0)                                                                                       \
	X(STRANGER6, "wireguard-stranger6", "WireGuard's shape to a stranger, IPv6", IPV6, UDP,    \
	  WIREGUARD, 0)                                                                            \
	X(PACKET, "packet", "packet socket", IPV4, PACKET, UDP, 0)                                 \
	X(PACKET6, "packet6", "packet socket, IPv6", IPV6, PACKET, UDP, 0)                         \
	X(BYPASS, "bypass", "packet socket past the qdisc", IPV4, BYPASS, UDP, 0)                  \
	X(BYPASS6, "bypass6", "packet socket past the qdisc, IPv6", IPV6, BYPASS, UDP, 0)          \
	X(XDP, "xdp", "AF_XDP", IPV4, XDP, UDP, 0)                                                 \
	X(XDP6, "xdp6", "AF_XDP, IPv6", IPV6, XDP, UDP, 0)                                         \
	X(FRAGMENT, "later-fragment", "a later fragment alone", IPV4, PACKET, FRAGMENT, 0)         \
	X(FRAGMENT6, "later-fragment6", "a later fragment alone, IPv6", IPV6, PACKET, FRAGMENT, 0) \
	X(EXTENSIONS, "extension-headers", "behind extension headers", IPV6, PACKET, EXTENSIONS,   \
	  0)                                                                                       \
	X(SOURCE_ROUTE, "source-route", "source route by the LAN", IPV4, PACKET, SOURCE_ROUTE, 0)  \
	X(ROUTING, "routing-header", "routing header by the LAN", IPV6, PACKET, SOURCE_ROUTE, 0)   \
	X(SOURCE, "forged-source", "to the LAN with a public source", IPV4, PACKET, SOURCE, 0)     \
	X(SOURCE6, "forged-source6", "to the LAN with a public source, IPv6", IPV6, PACKET,        \
	  SOURCE, 0)                                                                               \
	X(VLAN, "vlan", "VLAN tag", IPV4, PACKET, VLAN, 0)                                         \
	X(QINQ, "qinq", "two VLAN tags, IPv6", IPV6, PACKET, QINQ, 0)                              \
	X(NOT_IP, "non-ip", "a frame that is not IP", NONE, PACKET, NOT_IP, 0)                     \
	X(ENDPOINT, "endpoint-plain", "to the endpoint, not WireGuard", IPV4, PACKET, ENDPOINT, 0)

enum eg_probe_row {
#define X(id, name, what, family, way, content, flags) EG_PROBE_ROW_##id,
	EG_PROBE_ROWS(X)
#undef X
	EG_PROBE_ROW_COUNT
};

struct eg_probe_info {
	const char *name;
	const char *what;
	__u8 family; /* the endpoint's own for EG_PROBE_ROW_ENDPOINT */
	enum eg_probe_way way;
	enum eg_probe_content content;
	unsigned int flags;
};
extern const struct eg_probe_info eg_probe_rows[EG_PROBE_ROW_COUNT];

/* --- one packet ------------------------------------------------------------------------------ */

#define EG_TOKEN_LEN   12
#define EG_PROBE_MAX   4096 /* bytes of the largest */
#define EG_PORT_DNS    53
#define EG_PORT_WG     51820
#define EG_NOT_IP_TYPE 0x88b6 /* for local experiments (IEEE 802) */

struct eg_probe {
	enum eg_probe_content content;
	__u8 family;
	__u8 token[EG_TOKEN_LEN]; /* in every packet that has room for one, in each of its parts */
	union eg_addr src, dst;
	union eg_addr via; /* EG_CONTENT_SOURCE_ROUTE: where it goes first */
	__u16 sport, dport;
	__u8 src_mac[6], dst_mac[6];
};

/* Where nothing is: 198.51.100.222 and 2001:db8:6567:7264::222; and a second one of each to be
 * forged as a source. */
union eg_addr eg_test_address(__u8 family);
union eg_addr eg_test_source(__u8 family);
/* An address of the LAN's ranges, for where no router is known. */
union eg_addr eg_test_lan(__u8 family);

/* Each writes at most EG_PROBE_MAX bytes and returns how many: what a UDP or ICMP socket is given;
 * the packet from its IP header on; the whole frame. */
size_t eg_probe_payload(const struct eg_probe *probe, __u8 to[EG_PROBE_MAX]);
size_t eg_probe_packet(const struct eg_probe *probe, __u8 to[EG_PROBE_MAX]);
size_t eg_probe_frame(const struct eg_probe *probe, __u8 to[EG_PROBE_MAX]);

/* What every policy allows: an ARP request, which asks for `target`, from `src` (zero where the
 * interface has no IPv4 address). The token stands in its padding. */
#define EG_ARP_FRAME_LEN 60
void eg_probe_arp(const struct eg_probe *probe, const __u8 target[4], __u8 to[EG_ARP_FRAME_LEN]);

/* --- known again ----------------------------------------------------------------------------- */

/* A token: what tells this run, then a number. */
#define EG_TOKEN_RUN_LEN 8
void eg_token_make(__u8 token[EG_TOKEN_LEN], const __u8 run[EG_TOKEN_RUN_LEN], __u32 number);
/* Whatever became of the headers around it. */
bool eg_token_find(const __u8 run[EG_TOKEN_RUN_LEN], const __u8 *frame, size_t len,
		   __u32 *ret_number);
/* A TCP SYN has no payload; its two ports are random and known. */
bool eg_probe_has_ports(const struct eg_probe *probe, const __u8 *frame, size_t len);

#endif /* EG_PROBE_H */
