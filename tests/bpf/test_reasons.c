// SPDX-License-Identifier: GPL-2.0
/*
 * Each reason of the decision table, with real packets through the programs: verdict, counters, the
 * table of recent drops and the viewer's event, all exactly.
 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eg_packet.h"
#include "policy/address.h"
#include "unit/oracle.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- policies --------------------------------------------------------------------------------- */

#define DERIVED                                                                                    \
	"[Derived]\n"                                                                              \
	"TunnelOnly = 10.2.0.0/16\nTunnelOnly = fd00:2::/32\n"                                     \
	"Source = 198.51.100.2\nSource = 2001:db8:51::2\n"                                         \
	"OnLink = 172.18.0.0/16\nOnLink = 198.51.100.0/28\nOnLink = 2001:db8:51::/64\n"

#define ENDPOINTS "[WireGuard]\nEndpoint = 203.0.113.9:51820\nEndpoint = [2001:db8::9]:51820\n"

enum policy_id {
	MAIN,
	DNS,
	DHCP,
	NO_LAN,
	ANY_SHAPE,
	SOURCE_PORT,
	MULTICAST,
	AUDIT,
	NAMES,
	POLICY_COUNT
};

static const char *const policies[POLICY_COUNT] = {
	[MAIN] = "[Lan]\nDns = lan\n"
		 "Allow = 100.64.0.0/10\nAllow = 203.0.113.80:443/tcp\n"
		 "Allow = [2001:db8:80::1]:443/tcp\nAllow = 192.168.7.7:*/esp\n"
		 "Allow = [fd00:7::7]:*/esp\nAllow = 10.2.0.80:80/tcp\nAllow = 203.0.113.90:*/udp\n"
		 "Allow = [2001:db8:81::/48]:*/udp\nAllowDns = 192.168.1.53\n"
		 "Deny = 192.168.66.0/24\nDeny = fd00:66::/32\n" ENDPOINTS DERIVED,
	[DNS] = "[Lan]\nDns = tunnel\nAllowDns = 192.168.1.53\nAllowDns = fd00::53\n" DERIVED,
	[DHCP] = "[Lan]\nAllowDhcp = yes\n" DERIVED,
	[NO_LAN] = "[Lan]\nLan = no\n" DERIVED,
	[ANY_SHAPE] = ENDPOINTS "EndpointShape = any\n" DERIVED,
	[SOURCE_PORT] = ENDPOINTS "SourcePort = 51000\n" DERIVED,
	[MULTICAST] = "[Lan]\nAllowMulticast = yes\n" DERIVED,
	[NAMES] = "[WireGuard]\nBootstrapDns = 198.51.100.53\nBootstrapDns = fd00::53\n"
		  "BootstrapDns = 192.168.66.53\nBootstrapDns = 10.2.0.53\n"
		  "[Lan]\nDeny = 192.168.66.0/24\n" DERIVED
		  "EndpointName = vpn.example.com:51820\nEndpointName = VPN2.example.com:51820\n",
	[AUDIT] = "[Guard]\nMode = audit\n" ENDPOINTS DERIVED,
};

/* --- packets ---------------------------------------------------------------------------------- */

/* A byte of the network header, or later, to be damaged: at 0 the first. */
struct patch {
	__u16 at;
	__u8 value;
	bool on;
};

struct reason_case {
	const char *name;
	enum policy_id policy;
	enum eg_reason reason;
	struct packets_sketch sketch;
	struct patch patches[2];
	__u32 cut;  /* bytes missing at the frame's end */
	__u32 segs; /* of a GSO frame */
};

#define V4 FIXTURE_V4
#define V6 FIXTURE_V6
#define TCP4(to, port, ...)                                                                        \
	V4(to, EG_PROTO_TCP, .dport = (port), .tcp_flags = 2, .payload_len = 6, __VA_ARGS__)
#define TCP6(to, port, ...)                                                                        \
	V6(to, EG_PROTO_TCP, .dport = (port), .tcp_flags = 2, .payload_len = 6, __VA_ARGS__)
#define UDP4(to, port, ...) V4(to, EG_PROTO_UDP, .dport = (port), .payload_len = 30, __VA_ARGS__)
#define UDP6(to, port, ...) V6(to, EG_PROTO_UDP, .dport = (port), .payload_len = 30, __VA_ARGS__)
#define WG4(type, len, ...)                                                                        \
	V4("203.0.113.9", EG_PROTO_UDP, .dport = 51820, .payload = {type}, .payload_len = (len),   \
	   __VA_ARGS__)
#define WG6(type, len, ...)                                                                        \
	V6("2001:db8::9", EG_PROTO_UDP, .dport = 51820, .payload = {type}, .payload_len = (len),   \
	   __VA_ARGS__)
#define ASKS4(name, ...) V4("198.51.100.53", EG_PROTO_UDP, .dport = 53, .asks = (name), __VA_ARGS__)
#define ASKS6(name, ...) V6("fd00::53", EG_PROTO_UDP, .dport = 53, .asks = (name), __VA_ARGS__)
/* Where things are in such a question, from the network header on. */
#define ASKS4_AT(offset) (20 + 8 + (offset))
#define ASKS6_AT(offset) (40 + 8 + (offset))
#define ASKS_NAME        12
#define ASKS_KIND        (ASKS_NAME + 17) /* of vpn.example.com */
#define ASKS_OPT         (ASKS_KIND + 4)
#define ICMP6(to, icmp, hops, ...)                                                                 \
	V6(to, EG_PROTO_ICMPV6, .icmp_type = (icmp), .ttl = (hops), .payload_len = 20, __VA_ARGS__)

#define PATCH(offset, byte)                                                                        \
	{                                                                                          \
		.at = (offset), .value = (byte), .on = true                                        \
	}

/* What a case leaves out is zero, and what it says twice overrides the usual. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Woverride-init"

/* clang-format off: a table */
static const struct reason_case cases[] = {
	/* row 1 */
	{"arp", MAIN, EG_REASON_CONTROL, {.ethertype = EG_ETHERTYPE_ARP, .payload_len = 28}},
	/* rows 2, 3 */
	{"lldp", MAIN, EG_REASON_ETHERTYPE, {.ethertype = 0x88cc, .payload_len = 46}},
	{"pppoe", MAIN, EG_REASON_ETHERTYPE, {.ethertype = 0x8864, .payload_len = 46}},
	{"three tags", MAIN, EG_REASON_ETHERTYPE, TCP4("192.168.1.5", 80, .vlan_tags = 3)},
	{"three tags, 6", MAIN, EG_REASON_ETHERTYPE, TCP6("fd00::5", 80, .vlan_tags = 3)},
	/* row 4 */
	{"version 5",
	 MAIN,
	 EG_REASON_MALFORMED,
	 TCP4("192.168.1.5", 80, .ethertype = 0x0800),
	 {PATCH(0, 0x55)}},
	{"version 4 in 6",
	 MAIN,
	 EG_REASON_MALFORMED,
	 TCP6("fd00::5", 80, .ethertype = 0x86dd),
	 {PATCH(0, 0x40)}},
	{"header length 16", MAIN, EG_REASON_MALFORMED, TCP4("192.168.1.5", 80), {PATCH(0, 0x44)}},
	{"header length 60, no room",
	 MAIN,
	 EG_REASON_MALFORMED,
	 TCP4("192.168.1.5", 80),
	 {PATCH(0, 0x4f)}},
	{"total length over the frame",
	 MAIN,
	 EG_REASON_MALFORMED,
	 TCP4("192.168.1.5", 80),
	 {PATCH(2, 1)}},
	{"total length under the header",
	 MAIN,
	 EG_REASON_MALFORMED,
	 TCP4("192.168.1.5", 80),
	 {PATCH(3, 19)}},
	{"total length 0", MAIN, EG_REASON_MALFORMED, TCP4("192.168.1.5", 80), {PATCH(3, 0)}},
	{"total length 0, gso",
	 MAIN,
	 EG_REASON_MALFORMED,
	 TCP4("192.168.1.5", 80, .gso_size = 1),
	 {PATCH(3, 0)},
	 .segs = 6},
	{"payload length over the frame",
	 MAIN,
	 EG_REASON_MALFORMED,
	 TCP6("fd00::5", 80),
	 {PATCH(4, 1)}},
	{"tcp cut", MAIN, EG_REASON_MALFORMED, TCP4("192.168.1.5", 80), {PATCH(3, 39)}},
	{"tcp cut, 6", MAIN, EG_REASON_MALFORMED, TCP6("fd00::5", 80), {PATCH(5, 19)}},
	{"frame cut", MAIN, EG_REASON_MALFORMED, TCP4("192.168.1.5", 80), .cut = 1},
	{"frame cut, 6", MAIN, EG_REASON_MALFORMED, TCP6("fd00::5", 80), .cut = 1},
	{"tcp data offset 4",
	 MAIN,
	 EG_REASON_MALFORMED,
	 TCP4("192.168.1.5", 80),
	 {PATCH(20 + 12, 0x40)}},
	{"tcp data offset too far",
	 MAIN,
	 EG_REASON_MALFORMED,
	 TCP4("192.168.1.5", 80),
	 {PATCH(20 + 12, 0x70)}},
	{"tcp data offset 4, 6",
	 MAIN,
	 EG_REASON_MALFORMED,
	 TCP6("fd00::5", 80),
	 {PATCH(40 + 12, 0x40)}},
	{"udp length 7", MAIN, EG_REASON_MALFORMED, UDP4("192.168.1.5", 80), {PATCH(20 + 5, 7)}},
	{"udp length over the packet",
	 MAIN,
	 EG_REASON_MALFORMED,
	 UDP4("192.168.1.5", 80),
	 {PATCH(20 + 5, 39)}},
	{"udp length 7, 6", MAIN, EG_REASON_MALFORMED, UDP6("fd00::5", 80), {PATCH(40 + 5, 7)}},
	{"udp cut", MAIN, EG_REASON_MALFORMED, UDP4("192.168.1.5", 80), {PATCH(3, 27)}},
	{"icmp cut", MAIN, EG_REASON_MALFORMED, V4("192.168.1.5", EG_PROTO_ICMP), {PATCH(3, 27)}},
	{"icmpv6 cut", MAIN, EG_REASON_MALFORMED, V6("fd00::5", EG_PROTO_ICMPV6), {PATCH(5, 3)}},
	{"option length 0", MAIN, EG_REASON_MALFORMED,
	 TCP4("192.168.1.5", 80, .options = {148, 0, 0, 0}, .n_options = 4)},
	{"option length 1", MAIN, EG_REASON_MALFORMED,
	 TCP4("192.168.1.5", 80, .options = {1, 7, 1, 0}, .n_options = 4)},
	{"option over the header", MAIN, EG_REASON_MALFORMED,
	 TCP4("192.168.1.5", 80, .options = {1, 131, 7, 4}, .n_options = 4)},
	{"option without length", MAIN, EG_REASON_MALFORMED,
	 TCP4("192.168.1.5", 80, .options = {1, 1, 1, 131}, .n_options = 4)},
	{"nine extension headers", MAIN, EG_REASON_MALFORMED,
	 TCP6("fd00::5", 80, .exts = {0, 60, 60, 60, 60, 60, 60, 60, 60}, .n_exts = 9)},
	{"two fragment headers", MAIN, EG_REASON_MALFORMED,
	 TCP6("fd00::5", 80, .exts = {44, 44}, .n_exts = 2)},
	{"extension header over the packet",
	 MAIN,
	 EG_REASON_MALFORMED,
	 TCP6("fd00::5", 80, .exts = {60}, .n_exts = 1),
	 {PATCH(41, 200)}},
	{"extension header cut",
	 MAIN,
	 EG_REASON_MALFORMED,
	 TCP6("fd00::5", 80, .exts = {60}, .n_exts = 1),
	 {PATCH(5, 7)}},
	/* row 5 */
	{"loose source route", MAIN, EG_REASON_SOURCE_ROUTE,
	 TCP4("192.168.1.5", 80, .options = {131, 7, 4, 8, 8, 8, 8, 0}, .n_options = 8)},
	{"strict source route", MAIN, EG_REASON_SOURCE_ROUTE,
	 UDP4("192.168.1.5", 80, .options = {137, 7, 4, 8, 8, 8, 8, 0}, .n_options = 8)},
	{"loose source route at the end", MAIN, EG_REASON_SOURCE_ROUTE,
	 TCP4("192.168.1.5", 80, .n_options = 40,
	      .options = {1, 1, 7, 27, 0, 0, 0, 0, 0, 0,   0,  0, 0, 0, 0, 0, 0, 0, 0, 0,
			  0, 0, 0, 0,  0, 0, 0, 0, 0, 131, 11, 4, 8, 8, 8, 8, 9, 9, 9, 9})},
	{"source route after the end of options", MAIN, EG_REASON_LAN,
	 TCP4("192.168.1.5", 80, .options = {1, 0, 131, 7, 4, 8, 8, 8}, .n_options = 8)},
	{"router alert", MAIN, EG_REASON_LAN,
	 TCP4("192.168.1.5", 80, .options = {148, 4, 0, 0}, .n_options = 4)},
	{"routing header", MAIN, EG_REASON_SOURCE_ROUTE,
	 TCP6("fd00::5", 80, .exts = {EG_PROTO_ROUTING}, .n_exts = 1)},
	{"routing header after others", MAIN, EG_REASON_SOURCE_ROUTE,
	 TCP6("fd00::5", 80, .exts = {0, 60, EG_PROTO_ROUTING}, .n_exts = 3)},
	/* row 6 */
	{"forged source", MAIN, EG_REASON_SOURCE, TCP4("192.168.1.5", 80, .src = "8.8.8.8")},
	{"forged source, neighbour's", MAIN, EG_REASON_SOURCE,
	 UDP4("192.168.1.5", 80, .src = "198.51.100.3")},
	{"forged source, echo", MAIN, EG_REASON_SOURCE,
	 V4("172.18.0.1", EG_PROTO_ICMP, .src = "203.0.113.7", .icmp_type = 8)},
	{"forged source to the endpoint", MAIN, EG_REASON_SOURCE, WG4(4, 64, .src = "8.8.8.8")},
	{"forged source, 6", MAIN, EG_REASON_SOURCE, TCP6("fd00::5", 80, .src = "2001:db8:bad::1")},
	{"unspecified source", MAIN, EG_REASON_SOURCE, UDP4("192.168.1.5", 80, .src = "0.0.0.0")},
	{"unspecified source, 6", MAIN, EG_REASON_SOURCE, UDP6("fd00::5", 80, .src = "::")},
	{"own public source", MAIN, EG_REASON_LAN, TCP4("192.168.1.5", 80, .src = "198.51.100.2")},
	{"own public source, 6", MAIN, EG_REASON_LAN, TCP6("fd00::5", 80, .src = "2001:db8:51::2")},
	{"link-local source", MAIN, EG_REASON_LAN, TCP4("192.168.1.5", 80, .src = "169.254.7.7")},
	{"link-local source, 6", MAIN, EG_REASON_LAN, TCP6("fd00::5", 80, .src = "fe80::7")},
	/* rows 7, 8 */
	{"initiation", MAIN, EG_REASON_ENDPOINT, WG4(1, 148)},
	{"response", MAIN, EG_REASON_ENDPOINT, WG4(2, 92)},
	{"cookie", MAIN, EG_REASON_ENDPOINT, WG4(3, 64)},
	{"keepalive", MAIN, EG_REASON_ENDPOINT, WG4(4, 32)},
	{"data", MAIN, EG_REASON_ENDPOINT, WG4(4, 1452)},
	{"data, gso", MAIN, EG_REASON_ENDPOINT, WG4(4, 2400, .gso_size = 800), .segs = 3},
	{"data, first fragment", MAIN, EG_REASON_ENDPOINT,
	 WG4(4, 600, .fragment = EG_FRAGMENT_FIRST)},
	{"initiation, 6", MAIN, EG_REASON_ENDPOINT, WG6(1, 148)},
	{"response, 6", MAIN, EG_REASON_ENDPOINT, WG6(2, 92)},
	{"data, 6", MAIN, EG_REASON_ENDPOINT, WG6(4, 1452)},
	{"data, gso, 6", MAIN, EG_REASON_ENDPOINT, WG6(4, 2400, .gso_size = 800), .segs = 3},
	{"data, atomic fragment", MAIN, EG_REASON_ENDPOINT, WG6(4, 64, .atomic_fragment = true)},
	{"initiation of 149", MAIN, EG_REASON_NOT_WIREGUARD, WG4(1, 149)},
	{"response of 91", MAIN, EG_REASON_NOT_WIREGUARD, WG4(2, 91)},
	{"cookie of 65", MAIN, EG_REASON_NOT_WIREGUARD, WG4(3, 65)},
	{"data of 31", MAIN, EG_REASON_NOT_WIREGUARD, WG4(4, 31)},
	{"type 0", MAIN, EG_REASON_NOT_WIREGUARD, WG4(0, 148)},
	{"type 5", MAIN, EG_REASON_NOT_WIREGUARD, WG4(5, 148)},
	{"no payload", MAIN, EG_REASON_NOT_WIREGUARD, WG4(4, 0)},
	{"three bytes", MAIN, EG_REASON_NOT_WIREGUARD, WG4(4, 3)},
	{"reserved byte", MAIN, EG_REASON_NOT_WIREGUARD, WG4(4, 64), {PATCH(20 + 8 + 3, 1)}},
	{"first segment too short", MAIN, EG_REASON_NOT_WIREGUARD, WG4(4, 93, .gso_size = 31),
	 .segs = 3},
	{"initiation of 149, 6", MAIN, EG_REASON_NOT_WIREGUARD, WG6(1, 149)},
	{"reserved byte, 6", MAIN, EG_REASON_NOT_WIREGUARD, WG6(4, 64), {PATCH(40 + 8 + 1, 1)}},
	{"later fragment to the endpoint", MAIN, EG_REASON_FRAGMENT,
	 WG4(4, 200, .fragment = EG_FRAGMENT_LATER)},
	{"later fragment to the endpoint, 6", MAIN, EG_REASON_FRAGMENT,
	 WG6(4, 200, .fragment = EG_FRAGMENT_LATER)},
	{"other port of the endpoint", MAIN, EG_REASON_PUBLIC, UDP4("203.0.113.9", 51821)},
	{"tcp to the endpoint", MAIN, EG_REASON_PUBLIC, TCP4("203.0.113.9", 51820)},
	{"other port of the endpoint, 6", MAIN, EG_REASON_PUBLIC, UDP6("2001:db8::9", 443)},
	{"any shape", ANY_SHAPE, EG_REASON_ENDPOINT, WG4(9, 77)},
	{"any shape, empty", ANY_SHAPE, EG_REASON_ENDPOINT, WG6(0, 0)},
	{"any shape, later fragment", ANY_SHAPE, EG_REASON_FRAGMENT,
	 WG4(9, 77, .fragment = EG_FRAGMENT_LATER)},
	{"source port pinned", SOURCE_PORT, EG_REASON_ENDPOINT, WG4(4, 64, .sport = 51000)},
	{"other source port", SOURCE_PORT, EG_REASON_NOT_WIREGUARD, WG4(4, 64, .sport = 51001)},
	{"other source port, 6", SOURCE_PORT, EG_REASON_NOT_WIREGUARD, WG6(4, 64, .sport = 51001)},
	/* row 9 */
	{"tunnel's subnet", MAIN, EG_REASON_TUNNEL_ONLY, TCP4("10.2.0.1", 443)},
	{"tunnel's resolver", MAIN, EG_REASON_TUNNEL_ONLY, UDP4("10.2.255.255", 53)},
	{"tunnel's subnet, 6", MAIN, EG_REASON_TUNNEL_ONLY, TCP6("fd00:2::1", 443)},
	{"tunnel's subnet, allowed port", MAIN, EG_REASON_LAN, TCP4("10.2.0.80", 80)},
	{"tunnel's subnet, other port", MAIN, EG_REASON_TUNNEL_ONLY, TCP4("10.2.0.80", 81)},
	{"beside the tunnel's subnet", MAIN, EG_REASON_LAN, TCP4("10.3.0.0", 443)},
	/* row 10 */
	{"router solicitation", MAIN, EG_REASON_CONTROL,
	 ICMP6("ff02::2", 133, 255, .src = "fe80::2")},
	{"neighbour solicitation", MAIN, EG_REASON_CONTROL,
	 ICMP6("ff02::1:ff00:1", 135, 255, .src = "fe80::2")},
	{"address detection", MAIN, EG_REASON_CONTROL,
	 ICMP6("ff02::1:ff00:1", 135, 255, .src = "::")},
	{"neighbour advertisement on link", MAIN, EG_REASON_CONTROL,
	 ICMP6("2001:db8:51::1", 136, 255, .src = "2001:db8:51::2")},
	{"neighbour advertisement, hop limit 64", MAIN, EG_REASON_PUBLIC,
	 ICMP6("2001:db8:51::1", 136, 64, .src = "2001:db8:51::2")},
	{"neighbour advertisement off link", MAIN, EG_REASON_PUBLIC,
	 ICMP6("2001:db8:7::1", 136, 255, .src = "fe80::2")},
	{"router advertisement", MAIN, EG_REASON_CONTROL,
	 ICMP6("ff02::1", 134, 255, .src = "fe80::2")},
	{"router advertisement to a neighbour", MAIN, EG_REASON_CONTROL,
	 ICMP6("fe80::1", 134, 255, .src = "fe80::2")},
	{"neighbour solicitation of a neighbour", MAIN, EG_REASON_CONTROL,
	 ICMP6("fe80::1", 135, 255, .src = "fe80::2")},
	{"neighbour solicitation, hop limit 254", MAIN, EG_REASON_MULTICAST,
	 ICMP6("ff02::1:ff00:1", 135, 254, .src = "fe80::2")},
	{"neighbour solicitation to a wider scope", MAIN, EG_REASON_MULTICAST,
	 ICMP6("ff05::1:ff00:1", 135, 255, .src = "fe80::2")},
	{"neighbour solicitation, hop limit 64, link-local", MAIN, EG_REASON_PRIVATE,
	 ICMP6("fe80::1", 135, 64, .src = "fe80::2")},
	{"neighbour solicitation, forged source", MAIN, EG_REASON_SOURCE,
	 ICMP6("ff02::1:ff00:1", 135, 255, .src = "2001:db8:bad::1")},
	{"neighbour solicitation in fragments", MAIN, EG_REASON_MULTICAST,
	 ICMP6("ff02::1:ff00:1", 135, 255, .src = "fe80::2", .fragment = EG_FRAGMENT_FIRST)},
	{"redirect", MAIN, EG_REASON_PRIVATE, ICMP6("fe80::1", 137, 255, .src = "fe80::2")},
	{"echo to all nodes", MAIN, EG_REASON_MULTICAST,
	 ICMP6("ff02::1", 128, 255, .src = "fe80::2")},
	{"listener query", MAIN, EG_REASON_CONTROL,
	 ICMP6("ff02::1", 130, 1, .src = "fe80::2", .exts = {0}, .n_exts = 1)},
	{"listener report, version 1", MAIN, EG_REASON_CONTROL,
	 ICMP6("ff02::fb", 131, 1, .src = "fe80::2", .exts = {0}, .n_exts = 1)},
	{"listener done", MAIN, EG_REASON_CONTROL,
	 ICMP6("ff02::2", 132, 1, .src = "fe80::2", .exts = {0}, .n_exts = 1)},
	{"listener report before there is an address", MAIN, EG_REASON_CONTROL,
	 ICMP6("ff02::16", 143, 1, .src = "::", .exts = {0}, .n_exts = 1)},
	{"listener report from a wider address", MAIN, EG_REASON_MULTICAST,
	 ICMP6("ff02::16", 143, 1, .exts = {0}, .n_exts = 1)},
	{"listener report to one host", MAIN, EG_REASON_PUBLIC,
	 ICMP6("2001:db8:7::1", 143, 1, .src = "fe80::2", .exts = {0}, .n_exts = 1)},
	{"listener report after a routing header", MAIN, EG_REASON_SOURCE_ROUTE,
	 ICMP6("ff02::16", 143, 1, .src = "fe80::2", .exts = {0, EG_PROTO_ROUTING}, .n_exts = 2)},
	{"listener report", MAIN, EG_REASON_CONTROL,
	 ICMP6("ff02::16", 143, 1, .src = "fe80::2", .exts = {0}, .n_exts = 1)},
	{"listener report, hop limit 2", MAIN, EG_REASON_MULTICAST,
	 ICMP6("ff02::16", 143, 2, .src = "fe80::2", .exts = {0}, .n_exts = 1)},
	{"igmp", MAIN, EG_REASON_CONTROL,
	 V4("224.0.0.22", EG_PROTO_IGMP, .ttl = 1, .options = {148, 4, 0, 0}, .n_options = 4)},
	{"igmp, ttl 2", MAIN, EG_REASON_PROTOCOL, V4("224.0.0.22", EG_PROTO_IGMP, .ttl = 2)},
	{"dhcp", DHCP, EG_REASON_CONTROL,
	 UDP4("255.255.255.255", 67, .src = "0.0.0.0", .sport = 68)},
	{"dhcp renewal", DHCP, EG_REASON_CONTROL, UDP4("172.18.0.1", 67, .sport = 68)},
	{"dhcp not allowed", MAIN, EG_REASON_SOURCE,
	 UDP4("255.255.255.255", 67, .src = "0.0.0.0", .sport = 68)},
	{"dhcpv6", DHCP, EG_REASON_CONTROL, UDP6("ff02::1:2", 547, .src = "fe80::2", .sport = 546)},
	{"dhcpv6 to the server", DHCP, EG_REASON_CONTROL,
	 UDP6("fe80::1", 547, .src = "fe80::2", .sport = 546)},
	{"dhcpv6 to another group", DHCP, EG_REASON_MULTICAST,
	 UDP6("ff05::1:3", 547, .src = "fe80::2", .sport = 546)},
	{"dhcpv6 from another port", DHCP, EG_REASON_MULTICAST,
	 UDP6("ff02::1:2", 547, .src = "fe80::2", .sport = 5460)},
	{"dhcpv6 to the internet", DHCP, EG_REASON_PUBLIC,
	 UDP6("2001:db8:7::1", 547, .src = "fe80::2", .sport = 546)},
	{"dhcpv6 not allowed", MAIN, EG_REASON_MULTICAST,
	 UDP6("ff02::1:2", 547, .src = "fe80::2", .sport = 546)},
	/* row 11 */
	{"denied", MAIN, EG_REASON_DENIED, TCP4("192.168.66.1", 80)},
	{"denied, gso", MAIN, EG_REASON_DENIED, TCP4("192.168.66.1", 80, .gso_size = 2), .segs = 3},
	{"denied, 6", MAIN, EG_REASON_DENIED, TCP6("fd00:66::1", 80)},
	/* row 12 */
	{"dns off the tunnel", DNS, EG_REASON_DNS_OFF_TUNNEL, UDP4("192.168.1.1", 53)},
	{"dns over tls off the tunnel", DNS, EG_REASON_DNS_OFF_TUNNEL, TCP4("192.168.1.1", 853)},
	{"public dns off the tunnel", DNS, EG_REASON_DNS_OFF_TUNNEL, UDP4("8.8.8.8", 53)},
	{"dns off the tunnel, 6", DNS, EG_REASON_DNS_OFF_TUNNEL, UDP6("fd00::1", 53)},
	{"name", NAMES, EG_REASON_BOOTSTRAP_DNS, ASKS4("vpn.example.com")},
	{"name, 6", NAMES, EG_REASON_BOOTSTRAP_DNS, ASKS6("vpn.example.com")},
	{"name, AAAA", NAMES, EG_REASON_BOOTSTRAP_DNS, ASKS4("vpn.example.com", .asks_type = 28)},
	{"name, OPT", NAMES, EG_REASON_BOOTSTRAP_DNS, ASKS4("vpn.example.com", .asks_opt = true)},
	{"name, OPT, 6", NAMES, EG_REASON_BOOTSTRAP_DNS,
	 ASKS6("vpn.example.com", .asks_type = 28, .asks_opt = true)},
	{"name, OPT, DNSSEC",
	 NAMES,
	 EG_REASON_BOOTSTRAP_DNS,
	 ASKS4("vpn.example.com", .asks_opt = true),
	 {PATCH(ASKS4_AT(ASKS_OPT + 7), 0x80)}},
	{"name, drawn by lot", NAMES, EG_REASON_BOOTSTRAP_DNS, ASKS4("vPN.ExaMplE.cOm")},
	{"name, the other one", NAMES, EG_REASON_BOOTSTRAP_DNS, ASKS4("vpn2.EXAMPLE.com")},
	{"name, AD and CD",
	 NAMES,
	 EG_REASON_BOOTSTRAP_DNS,
	 ASKS4("vpn.example.com"),
	 {PATCH(ASKS4_AT(3), 0x30)}},
	{"name, there is a tunnel", NAMES, EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com", .names_closed = true)},
	{"name, there is a tunnel, 6", NAMES, EG_REASON_DNS_OFF_TUNNEL,
	 ASKS6("vpn.example.com", .names_closed = true)},
	{"another name", NAMES, EG_REASON_DNS_OFF_TUNNEL, ASKS4("vpm.example.com")},
	{"another name, 6", NAMES, EG_REASON_DNS_OFF_TUNNEL, ASKS6("vpn.example.con")},
	{"another name, last letter", NAMES, EG_REASON_DNS_OFF_TUNNEL, ASKS4("vpn.example.con")},
	{"another name, a label more", NAMES, EG_REASON_DNS_OFF_TUNNEL, ASKS4("x.vpn.example.com")},
	{"another name, a label less", NAMES, EG_REASON_DNS_OFF_TUNNEL, ASKS4("example.com")},
	{"another name, a byte more", NAMES, EG_REASON_DNS_OFF_TUNNEL, ASKS4("vpnn.example.com")},
	{"another name, labels otherwise", NAMES, EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example-com")},
	{"name, a bit that is no letter's case",
	 NAMES,
	 EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com"),
	 {PATCH(ASKS4_AT(ASKS_NAME), 0x23)}},
	{"name, one byte more", NAMES, EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com", .payload_len = 1)},
	{"name, one byte more, 6", NAMES, EG_REASON_DNS_OFF_TUNNEL,
	 ASKS6("vpn.example.com", .payload_len = 1)},
	{"name, bytes after UDP",
	 NAMES,
	 EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com", .payload_len = 1),
	 {PATCH(20 + 5, 8 + ASKS_KIND + 4)}},
	{"name, bytes after UDP, 6",
	 NAMES,
	 EG_REASON_DNS_OFF_TUNNEL,
	 ASKS6("vpn.example.com", .payload_len = 1),
	 {PATCH(40 + 5, 8 + ASKS_KIND + 4)}},
	{"name, IP options", NAMES, EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com", .options = {148, 4, 0, 0}, .n_options = 4)},
	{"name, extension header", NAMES, EG_REASON_DNS_OFF_TUNNEL,
	 ASKS6("vpn.example.com", .exts = {60}, .n_exts = 1)},
	{"name, fragment", NAMES, EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com", .fragment = EG_FRAGMENT_FIRST)},
	{"name, in segments", NAMES, EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com", .gso_size = 16), .segs = 3},
	{"name, TXT", NAMES, EG_REASON_DNS_OFF_TUNNEL, ASKS4("vpn.example.com", .asks_type = 16)},
	{"name, any type", NAMES, EG_REASON_DNS_OFF_TUNNEL,
	 ASKS6("vpn.example.com", .asks_type = 255)},
	{"name, another class",
	 NAMES,
	 EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com"),
	 {PATCH(ASKS4_AT(ASKS_KIND + 3), 3)}},
	{"name, no question but an update",
	 NAMES,
	 EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com"),
	 {PATCH(ASKS4_AT(2), 0x29)}},
	{"name, an answer",
	 NAMES,
	 EG_REASON_DNS_OFF_TUNNEL,
	 ASKS6("vpn.example.com"),
	 {PATCH(ASKS6_AT(2), 0x81)}},
	{"name, a reserved flag",
	 NAMES,
	 EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com"),
	 {PATCH(ASKS4_AT(3), 0x40)}},
	{"name, two questions",
	 NAMES,
	 EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com"),
	 {PATCH(ASKS4_AT(5), 2)}},
	{"name, OPT with an option",
	 NAMES,
	 EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com", .asks_opt = true, .payload_len = 4),
	 {PATCH(ASKS4_AT(ASKS_OPT + 10), 4)}},
	{"name, OPT with flags",
	 NAMES,
	 EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com", .asks_opt = true),
	 {PATCH(ASKS4_AT(ASKS_OPT + 8), 1)}},
	{"name, OPT of another version",
	 NAMES,
	 EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com", .asks_opt = true),
	 {PATCH(ASKS4_AT(ASKS_OPT + 6), 1)}},
	{"name, a record that is no OPT",
	 NAMES,
	 EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com", .asks_opt = true),
	 {PATCH(ASKS4_AT(ASKS_OPT + 2), 16)}},
	{"name, another resolver", NAMES, EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com", .dst = "198.51.100.54")},
	{"name, a resolver in the LAN", NAMES, EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com", .dst = "192.168.1.1")},
	{"name, another port", NAMES, EG_REASON_PUBLIC, ASKS4("vpn.example.com", .dport = 54)},
	{"name, DNS over TLS' port", NAMES, EG_REASON_DNS_OFF_TUNNEL,
	 ASKS4("vpn.example.com", .dport = 853)},
	{"name, by TCP", NAMES, EG_REASON_DNS_OFF_TUNNEL, TCP4("198.51.100.53", 53)},
	{"name, denied resolver", NAMES, EG_REASON_DENIED,
	 ASKS4("vpn.example.com", .dst = "192.168.66.53")},
	{"name, resolver of the tunnel", NAMES, EG_REASON_TUNNEL_ONLY,
	 ASKS4("vpn.example.com", .dst = "10.2.0.53")},
	{"name, forged source", NAMES, EG_REASON_SOURCE,
	 ASKS4("vpn.example.com", .src = "8.8.8.8")},
	{"name, without such a resolver", DNS, EG_REASON_DNS_OFF_TUNNEL, ASKS4("vpn.example.com")},
	{"dns excepted", DNS, EG_REASON_LAN, UDP4("192.168.1.53", 53)},
	{"dns excepted, 6", DNS, EG_REASON_LAN, UDP6("fd00::53", 53)},
	{"lan dns", MAIN, EG_REASON_LAN_DNS, UDP4("192.168.1.1", 53)},
	{"lan dns over tcp", MAIN, EG_REASON_LAN_DNS, TCP4("192.168.1.1", 53)},
	{"lan dns over tls", MAIN, EG_REASON_LAN_DNS, TCP4("192.168.1.1", 853)},
	{"lan dns, 6", MAIN, EG_REASON_LAN_DNS, UDP6("fd00::1", 53)},
	{"lan dns excepted", MAIN, EG_REASON_LAN, UDP4("192.168.1.53", 53)},
	/* row 13 */
	{"gre", MAIN, EG_REASON_PROTOCOL, V4("192.168.1.5", 47, .payload_len = 24)},
	{"ipip", MAIN, EG_REASON_PROTOCOL, V4("192.168.1.5", 4, .payload_len = 24)},
	{"6in4", MAIN, EG_REASON_PROTOCOL, V4("192.168.1.5", 41, .payload_len = 44)},
	{"esp", MAIN, EG_REASON_PROTOCOL, V4("192.168.1.5", 50, .payload_len = 24)},
	{"sctp", MAIN, EG_REASON_PROTOCOL, V4("192.168.1.5", EG_PROTO_SCTP, .dport = 80)},
	{"icmpv6 in 4", MAIN, EG_REASON_PROTOCOL, V4("192.168.1.5", EG_PROTO_ICMPV6)},
	{"icmp in 6", MAIN, EG_REASON_PROTOCOL, V6("fd00::5", EG_PROTO_ICMP)},
	{"gre, 6", MAIN, EG_REASON_PROTOCOL, V6("fd00::5", 47, .payload_len = 24)},
	{"no next header", MAIN, EG_REASON_PROTOCOL, V6("fd00::5", 59)},
	{"esp, listed", MAIN, EG_REASON_RULE, V4("192.168.7.7", 50, .payload_len = 24)},
	{"esp, listed, 6", MAIN, EG_REASON_RULE, V6("fd00:7::7", 50, .payload_len = 24)},
	/* row 14 */
	{"lan tcp", MAIN, EG_REASON_LAN, TCP4("192.168.1.5", 80)},
	{"lan udp", MAIN, EG_REASON_LAN, UDP4("172.31.255.255", 80)},
	{"lan echo", MAIN, EG_REASON_LAN, V4("10.255.255.255", EG_PROTO_ICMP, .icmp_type = 8)},
	{"lan tcp, gso", MAIN, EG_REASON_LAN,
	 TCP4("192.168.1.5", 80, .payload_len = 2800, .gso_size = 1400), .segs = 2},
	{"lan later fragment", MAIN, EG_REASON_LAN,
	 UDP4("192.168.1.5", 80, .fragment = EG_FRAGMENT_LATER)},
	{"lan tcp, 6", MAIN, EG_REASON_LAN, TCP6("fd00::5", 80)},
	{"lan udp, 6", MAIN, EG_REASON_LAN, UDP6("fdff:ffff::5", 80)},
	{"unique local, first", MAIN, EG_REASON_LAN, TCP6("fc00::1", 80)},
	{"cloud metadata, 6", MAIN, EG_REASON_PRIVATE, TCP6("fd00:ec2::254", 80)},
	{"beside cloud metadata, 6", MAIN, EG_REASON_LAN, TCP6("fd00:ec3::254", 80)},
	{"site-local, which is no more", MAIN, EG_REASON_PUBLIC, TCP6("fec0::1", 80)},
	{"beyond unique local", MAIN, EG_REASON_PUBLIC, TCP6("fe00::1", 80)},
	{"public with extension headers", MAIN, EG_REASON_PUBLIC,
	 TCP6("2001:db8:7::1", 80, .exts = {0, 60}, .n_exts = 2)},
	{"lan echo, 6", MAIN, EG_REASON_LAN, ICMP6("fc00::", 128, 64)},
	{"lan later fragment, 6", MAIN, EG_REASON_LAN,
	 UDP6("fd00::5", 80, .fragment = EG_FRAGMENT_LATER)},
	{"lan with extension headers", MAIN, EG_REASON_LAN,
	 TCP6("fd00::5", 80, .exts = {0, 60, 60, 60, 60, 60, 60, 60}, .n_exts = 8)},
	{"rule, prefix", MAIN, EG_REASON_RULE, TCP4("100.127.255.255", 80)},
	{"rule, port", MAIN, EG_REASON_RULE, TCP4("203.0.113.80", 443)},
	{"rule, port, 6", MAIN, EG_REASON_RULE, TCP6("2001:db8:80::1", 443)},
	{"rule, other port", MAIN, EG_REASON_PUBLIC, TCP4("203.0.113.80", 444)},
	{"rule, other protocol", MAIN, EG_REASON_PUBLIC, UDP4("203.0.113.80", 443)},
	{"rule, later fragment", MAIN, EG_REASON_PUBLIC,
	 TCP4("203.0.113.80", 443, .fragment = EG_FRAGMENT_LATER)},
	{"rule, other port, 6", MAIN, EG_REASON_PUBLIC, TCP6("2001:db8:80::1", 444)},
	{"rule, any port", MAIN, EG_REASON_RULE, UDP4("203.0.113.90", 9)},
	{"rule, any port, 6", MAIN, EG_REASON_RULE, UDP6("2001:db8:81:ffff::1", 9)},
	{"rule, any port, other protocol", MAIN, EG_REASON_PUBLIC, TCP4("203.0.113.90", 9)},
	{"multicast allowed", MULTICAST, EG_REASON_RULE, UDP4("239.255.255.250", 1900)},
	{"multicast allowed, 6", MULTICAST, EG_REASON_RULE, UDP6("ff02::fb", 5353)},
	/* row 15 */
	{"ssdp", MAIN, EG_REASON_MULTICAST, UDP4("239.255.255.250", 1900)},
	{"mdns", MAIN, EG_REASON_MULTICAST, UDP4("224.0.0.251", 5353)},
	{"mdns, 6", MAIN, EG_REASON_MULTICAST, UDP6("ff02::fb", 5353)},
	{"multicast of the world, 6", MULTICAST, EG_REASON_MULTICAST, UDP6("ff0e::1", 5353)},
	{"broadcast", MAIN, EG_REASON_BROADCAST, UDP4("255.255.255.255", 9)},
	/* row 16 */
	{"link-local", MAIN, EG_REASON_PRIVATE, TCP4("169.254.169.254", 80)},
	{"link-local, 6", MAIN, EG_REASON_PRIVATE, TCP6("fe80::1", 80)},
	{"metadata, 6", MAIN, EG_REASON_PRIVATE, TCP6("fd00:ec2::254", 80)},
	{"shared", DNS, EG_REASON_PRIVATE, TCP4("100.64.0.1", 80)},
	{"10/8 without lan", NO_LAN, EG_REASON_PRIVATE,
	 TCP4("10.0.0.1", 80, .src = "198.51.100.2")},
	{"172.16/12 without lan", NO_LAN, EG_REASON_PRIVATE,
	 TCP4("172.18.0.1", 80, .src = "198.51.100.2")},
	{"192.168/16 without lan", NO_LAN, EG_REASON_PRIVATE,
	 TCP4("192.168.0.1", 80, .src = "198.51.100.2")},
	{"fc00::/7 without lan", NO_LAN, EG_REASON_PRIVATE,
	 TCP6("fd00::1", 80, .src = "2001:db8:51::2")},
	/* row 17 */
	{"public", MAIN, EG_REASON_PUBLIC, TCP4("203.0.113.7", 443)},
	{"public, udp", MAIN, EG_REASON_PUBLIC, UDP4("203.0.113.7", 443)},
	{"public, echo", MAIN, EG_REASON_PUBLIC, V4("203.0.113.7", EG_PROTO_ICMP, .icmp_type = 8)},
	{"public, gso", MAIN, EG_REASON_PUBLIC,
	 TCP4("203.0.113.7", 443, .payload_len = 2800, .gso_size = 1000), .segs = 3},
	{"public, 6", MAIN, EG_REASON_PUBLIC, TCP6("2001:db8:7::7", 443)},
	{"public, udp, 6", MAIN, EG_REASON_PUBLIC, UDP6("2001:db8:7::7", 443)},
	{"public, gso, 6", MAIN, EG_REASON_PUBLIC,
	 TCP6("2001:db8:7::7", 443, .payload_len = 2800, .gso_size = 1000), .segs = 3},
	{"public, long", MAIN, EG_REASON_PUBLIC, UDP4("203.0.113.7", 443, .payload_len = 1400)},
	{"audit", AUDIT, EG_REASON_PUBLIC, TCP4("203.0.113.7", 443)},
	{"audit, 6", AUDIT, EG_REASON_PUBLIC, TCP6("2001:db8:7::7", 443)},
	{"audit, malformed",
	 AUDIT,
	 EG_REASON_MALFORMED,
	 TCP4("203.0.113.7", 443),
	 {PATCH(0, 0x44)}},
	{"audit, allowed", AUDIT, EG_REASON_LAN, TCP4("192.168.1.5", 80)},
};

static const struct reason_case no_version = {"version 5",
					      MAIN,
					      EG_REASON_ETHERTYPE,
					      TCP4("192.168.1.5", 80, .no_link_header = true),
					      {PATCH(0, 0x55)}};
/* clang-format on */

static const struct packets_sketch three_segments =
	TCP4("203.0.113.7", 443, .payload_len = 2900, .gso_size = 1000);
#pragma GCC diagnostic pop

/* --- one packet ------------------------------------------------------------------------------- */

static struct fixture fixtures[POLICY_COUNT];
static struct eg_viewer *viewers[POLICY_COUNT];

struct seen_events {
	struct eg_event last;
	unsigned int n;
};
static struct seen_events seen;

static int keep_event(const struct eg_event *event, void *argument)
{
	(void)argument;
	seen.last = *event;
	seen.n++;
	return 0;
}

static void build(const struct reason_case *c, const struct packets_sketch *sketch,
		  struct packets_frame *ret_frame)
{
	__u32 header = sketch->no_link_header ? 0 : 14 + 4U * sketch->vlan_tags;

	packets_build(sketch, ret_frame);
	for (size_t i = 0; i < COUNT(c->patches); i++)
		if (c->patches[i].on)
			ret_frame->bytes[header + c->patches[i].at] = c->patches[i].value;
	ret_frame->host.length -= c->cut;
	ret_frame->host.captured = ret_frame->host.length;
}

static void check_event(const struct reason_case *c, const struct eg_host_frame *frame,
			enum eg_layer layer, __u32 would)
{
	const struct eg_event *event = &seen.last;
	struct eg_packet packet;
	__u32 snap = frame->length < EG_SNAP_LEN ? frame->length : EG_SNAP_LEN;
	__u64 now = eg_monotonic_ns();

	fixture_judge(&fixtures[c->policy], frame, &packet);
	assert_int_equal(event->reason, c->reason);
	assert_int_equal(event->layer, layer);
	assert_int_equal(event->verdict, would ? EG_VERDICT_WOULD_DROP : EG_VERDICT_DROP);
	assert_int_equal(event->length, frame->length);
	assert_int_equal(event->link_header, frame->link_header);
	assert_int_equal(event->snap_len, snap);
	assert_memory_equal(event->snap, frame->bytes, snap);
	assert_memory_equal(&event->src, &packet.src, sizeof(packet.src));
	assert_memory_equal(&event->dst, &packet.dst, sizeof(packet.dst));
	assert_int_equal(event->sport_be, packet.sport_be);
	assert_int_equal(event->dport_be, packet.dport_be);
	assert_int_equal(event->ethertype_be, packet.ethertype_be);
	assert_int_equal(event->family, packet.family);
	assert_int_equal(event->proto, packet.proto);
	assert_int_equal(event->tcp_flags, packet.tcp_flags);
	assert_int_equal(event->icmp_type, packet.icmp_type);
	assert_int_equal(event->icmp_code, packet.icmp_code);
	assert_int_not_equal(event->ifindex, 0);
	assert_true(event->time_ns <= now && now - event->time_ns < 60000000000ULL);
	/* A test run's packet has a socket, made by this process as root. */
	assert_int_equal(event->flags & ~EG_EVENT_TRANSITION, EG_EVENT_SOCKET);
	assert_int_not_equal(event->cgroup_id, 0);
	assert_int_not_equal(event->socket_cookie, 0);
	assert_int_equal(event->uid, 0);
	assert_int_equal(event->pid, 0);
	assert_int_equal(event->comm[0], 0);
}

/* Packets and bytes of the entry for this event, zero if there is none. */
static struct eg_counter recent_of(const struct reason_case *c, const struct eg_host_frame *frame,
				   enum eg_layer layer, __u32 would)
{
	EG_AUTO_FREE struct eg_recent *recent = NULL;
	struct eg_counter sum = {};
	struct eg_packet packet;
	size_t n = 0, found = 0;

	fixture_judge(&fixtures[c->policy], frame, &packet);
	assert_int_equal(eg_guard_recent(fixtures[c->policy].guard, &recent, &n), 0);
	for (size_t i = 0; i < n; i++) {
		const struct eg_recent_key *key = &recent[i].key;

		if (memcmp(&key->dst, &packet.dst, sizeof(key->dst)) ||
		    key->dport_be != packet.dport_be || key->family != packet.family ||
		    key->proto != packet.proto || key->reason != c->reason || key->layer != layer ||
		    key->would != would)
			continue;
		sum.packets += recent[i].value.packets;
		sum.bytes += recent[i].value.bytes;
		found++;
		assert_int_not_equal(key->cgroup_id, 0);
		assert_int_equal(recent[i].value.uid, 0);
		assert_int_equal(recent[i].value.pid, 0);
		assert_true(recent[i].value.first_ns &&
			    recent[i].value.first_ns <= recent[i].value.last_ns);
	}
	assert_true(found <= 1);
	return sum;
}

static void run_frame(const struct reason_case *c, const struct eg_host_frame *frame,
		      enum eg_prog prog)
{
	struct fixture *fixture = &fixtures[c->policy];
	enum eg_layer layer = prog == EG_PROG_PEER ? EG_LAYER_PEER : EG_LAYER_DEVICE;
	int drop = eg_reason_verdict(c->reason) == EG_VERDICT_DROP;
	__u32 would = drop && (fixture->image->config.flags & EG_CONFIG_AUDIT);
	struct eg_counter recent_before = recent_of(c, frame, layer, would), recent_after, one;
	struct fixture_counters before, after;
	__u32 segs = c->segs ? c->segs : 1;

	assert_int_equal(fixture_judge(fixture, frame, NULL), c->reason);
	assert_int_equal(oracle_judge(fixture->policy, frame), c->reason);
	if (!fixture_can_run(frame))
		return;
	assert_int_equal(eg_viewer_beat(viewers[c->policy]), 0);
	eg_viewer_consume(viewers[c->policy]);
	seen.n = 0;
	fixture_count(fixture, &before);
	assert_int_equal(fixture_run(fixture, prog, frame, c->segs),
			 drop && !would ? FIXTURE_DROP : FIXTURE_PASS);
	fixture_count(fixture, &after);
	one = fixture_counted(&before, &after, eg_counter_index(layer, would, c->reason));
	assert_int_equal(one.packets, segs);
	assert_int_equal(one.bytes, frame->length);
	one = fixture_counted(&before, &after, EG_COUNTER_TRANSITION);
	assert_int_equal(one.packets, 0);
	one = fixture_counted_all(&before, &after);
	assert_int_equal(one.packets, segs);

	eg_viewer_consume(viewers[c->policy]);
	assert_int_equal(seen.n, drop ? 1 : 0);
	recent_after = recent_of(c, frame, layer, would);
	assert_int_equal(recent_after.packets - recent_before.packets, drop ? segs : 0);
	assert_int_equal(recent_after.bytes - recent_before.bytes, drop ? frame->length : 0);
	if (drop)
		check_event(c, frame, layer, would);
}

/* --- tests ------------------------------------------------------------------------------------ */

/* As it is, tagged, without a link-layer header, and at the peer. */
static void run_case(const struct reason_case *c)
{
	static struct packets_frame frame;
	struct packets_sketch sketch = c->sketch;

	build(c, &sketch, &frame);
	run_frame(c, &frame.host, EG_PROG_DEVICE);
	run_frame(c, &frame.host, EG_PROG_PEER);
	if (c->sketch.vlan_tags)
		return;
	for (sketch.vlan_tags = 1; sketch.vlan_tags <= EG_VLAN_TAGS_MAX; sketch.vlan_tags++) {
		build(c, &sketch, &frame);
		run_frame(c, &frame.host, EG_PROG_DEVICE);
		run_frame(c, &frame.host, EG_PROG_PEER);
	}
	/* There the version alone tells what it is. */
	if (c->sketch.ethertype || !c->sketch.family)
		return;
	sketch.vlan_tags = 0;
	sketch.no_link_header = true;
	build(c, &sketch, &frame);
	run_frame(c, &frame.host, EG_PROG_DEVICE_L3);
}

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		/* Shown by cmocka when an assertion below fails. */
		print_message("%s: %s\n", cases[i].name, eg_reason_names[cases[i].reason]);
		run_case(&cases[i]);
	}
}

/* Those of the layers here; loopback and tunnel are other layers' words. */
static void test_every_reason_has_a_case(void **state)
{
	(void)state;
	for (enum eg_reason reason = EG_REASON_CONTROL; reason < EG_REASON_COUNT; reason++) {
		unsigned int n[2] = {};

		if (reason == EG_REASON_QDISC_BYPASS)
			continue; /* of a call, not of a packet */
		for (size_t i = 0; i < COUNT(cases); i++)
			if (cases[i].reason == reason)
				n[cases[i].sketch.family == EG_FAMILY_IPV6]++;
		if (!n[0] || (!n[1] && reason != EG_REASON_BROADCAST))
			fail_msg("%s has no case", eg_reason_names[reason]);
	}
}

/* Without a link-layer header, what is neither 4 nor 6 is nothing, whatever its type was. */
static void test_no_version(void **state)
{
	static struct packets_frame frame;

	(void)state;
	build(&no_version, &no_version.sketch, &frame);
	run_frame(&no_version, &frame.host, EG_PROG_DEVICE_L3);
}

/* gso_segs may be zero where a process made the frame; then its length tells. */
static void test_segments_unknown(void **state)
{
	struct fixture_counters before, after;
	static struct packets_frame frame;

	(void)state;
	packets_build(&three_segments, &frame);
	fixture_count(&fixtures[MAIN], &before);
	fixture_run(&fixtures[MAIN], EG_PROG_DEVICE, &frame.host, 0);
	fixture_count(&fixtures[MAIN], &after);
	assert_int_equal(fixture_counted_all(&before, &after).packets, 3);
}

/* What is told apart in the table of recent drops, and what is added up. */
static void test_recent(void **state)
{
	struct fixture fixture;
	EG_AUTO_FREE struct eg_recent *recent = NULL;
	static struct packets_frame frame;
	size_t n = 0;

	(void)state;
	fixture_open(&fixture, policies[MAIN]);
	for (unsigned int i = 0; i < 1000; i++) {
		struct packets_sketch sketch = TCP4("203.0.113.7", (__u16)(443 + i % 2));

		sketch.sport = (__u16)(1024 + i);
		packets_build(&sketch, &frame);
		fixture_run(&fixture, i % 4 < 2 ? EG_PROG_DEVICE : EG_PROG_PEER, &frame.host, 0);
	}
	assert_int_equal(eg_guard_recent(fixture.guard, &recent, &n), 0);
	assert_int_equal(n, 4);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(recent[i].value.packets, 250);
		assert_int_equal(recent[i].value.bytes, 250 * frame.host.length);
	}
	fixture_close(&fixture);
}

/* A drop at `peer` right after a switch of policy is marked; one at `device`, and one later, is
 * not. */
static void test_transition(void **state)
{
	static const struct packets_sketch sketch = TCP4("203.0.113.7", 443);
	struct fixture fixture;
	struct eg_viewer *viewer = NULL;
	struct fixture_counters before, after;
	static struct packets_frame frame;
	struct eg_config config;
	struct eg_control control;
	__u32 zero = 0;

	(void)state;
	packets_build(&sketch, &frame);
	fixture_open(&fixture, policies[MAIN]);
	assert_int_equal(eg_viewer_open(fixture.guard, keep_event, NULL, &viewer, NULL), 0);
	fixture_replace(&fixture, packets_policy(policies[DNS]));
	seen.n = 0;

	fixture_count(&fixture, &before);
	fixture_run(&fixture, EG_PROG_PEER, &frame.host, 0);
	fixture_count(&fixture, &after);
	assert_int_equal(fixture_counted(&before, &after, EG_COUNTER_TRANSITION).packets, 1);
	assert_int_equal(fixture_counted(&before, &after, EG_COUNTER_TRANSITION).bytes,
			 frame.host.length);
	assert_int_equal(fixture_counted_all(&before, &after).packets, 2);
	eg_viewer_consume(viewer);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.last.flags & EG_EVENT_TRANSITION, EG_EVENT_TRANSITION);

	fixture_run(&fixture, EG_PROG_DEVICE, &frame.host, 0);
	fixture_count(&fixture, &before);
	assert_int_equal(fixture_counted(&after, &before, EG_COUNTER_TRANSITION).packets, 0);
	eg_viewer_consume(viewer);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.last.flags & EG_EVENT_TRANSITION, 0);

	/* As if a second had passed. */
	assert_int_equal(bpf_map_lookup_elem(fixture.guard->maps[EG_MAP_CONTROL], &zero, &control),
			 0);
	assert_int_equal(
		bpf_map_lookup_elem(fixture.guard->maps[EG_MAP_CONFIG], &control.slot, &config), 0);
	assert_true(config.active_since_ns > 0);
	config.active_since_ns -= EG_TRANSITION_NS;
	assert_int_equal(bpf_map_update_elem(fixture.guard->maps[EG_MAP_CONFIG], &control.slot,
					     &config, BPF_ANY),
			 0);
	fixture_run(&fixture, EG_PROG_PEER, &frame.host, 0);
	fixture_count(&fixture, &after);
	assert_int_equal(fixture_counted(&before, &after, EG_COUNTER_TRANSITION).packets, 0);
	eg_viewer_consume(viewer);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.last.flags & EG_EVENT_TRANSITION, 0);
	eg_viewer_close(viewer);
	fixture_close(&fixture);
}

/* A word that points nowhere: nothing leaves. */
static void test_no_tables(void **state)
{
	static const struct packets_sketch sketch = TCP4("192.168.1.5", 80);
	struct eg_control control = {.slot = EG_SLOTS};
	struct fixture fixture;
	static struct packets_frame frame;
	__u32 zero = 0;

	(void)state;
	packets_build(&sketch, &frame);
	fixture_open(&fixture, policies[MAIN]);
	assert_int_equal(fixture_run(&fixture, EG_PROG_DEVICE, &frame.host, 0), FIXTURE_PASS);
	assert_int_equal(
		bpf_map_update_elem(fixture.guard->maps[EG_MAP_CONTROL], &zero, &control, BPF_ANY),
		0);
	assert_int_equal(fixture_run(&fixture, EG_PROG_DEVICE, &frame.host, 0), FIXTURE_DROP);
	assert_int_equal(fixture_run(&fixture, EG_PROG_PEER, &frame.host, 0), FIXTURE_DROP);
	fixture_close(&fixture);
}

/* The other slot's tables are of no consequence: an empty one allows nothing. */
static void test_switch(void **state)
{
	static const struct packets_sketch lan = TCP4("192.168.1.5", 80);
	static const struct packets_sketch lan6 = TCP6("fd00::5", 80);
	struct fixture fixture;
	static struct packets_frame frame, frame6;

	(void)state;
	packets_build(&lan, &frame);
	packets_build(&lan6, &frame6);
	fixture_open(&fixture, policies[MAIN]);
	for (int i = 0; i < 6; i++) {
		int expected = i % 2 ? FIXTURE_DROP : FIXTURE_PASS;

		assert_int_equal(fixture_run(&fixture, EG_PROG_DEVICE, &frame.host, 0), expected);
		assert_int_equal(fixture_run(&fixture, EG_PROG_DEVICE, &frame6.host, 0), expected);
		fixture_replace(&fixture, packets_policy(policies[i % 2 ? MAIN : NO_LAN]));
	}
	fixture_close(&fixture);
}

static int set_up(void **state)
{
	(void)state;
	for (int i = 0; i < POLICY_COUNT; i++) {
		fixture_open(&fixtures[i], policies[i]);
		if (eg_viewer_open(fixtures[i].guard, keep_event, NULL, &viewers[i], NULL) < 0)
			return -1;
	}
	/* Before that a drop at `peer` counts as one that the switch of policy explains. */
	usleep(EG_TRANSITION_NS / 1000);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < POLICY_COUNT; i++) {
		eg_viewer_close(viewers[i]);
		fixture_close(&fixtures[i]);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),      cmocka_unit_test(test_every_reason_has_a_case),
		cmocka_unit_test(test_no_version), cmocka_unit_test(test_segments_unknown),
		cmocka_unit_test(test_recent),     cmocka_unit_test(test_transition),
		cmocka_unit_test(test_no_tables),  cmocka_unit_test(test_switch),
	};

	fixture_enter("test_reasons");
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
