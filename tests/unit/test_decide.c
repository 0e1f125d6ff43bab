// SPDX-License-Identifier: GPL-2.0
/*
 * The decision on the host: each row of the table with a packet made for it, frames cut at each
 * byte, and random frames and policies against the oracle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eg_packet.h"
#include "oracle.h"
#include "packets.h"
#include "policy/judge.h"
#include "util/cleanup.h"

#define TCP    EG_PROTO_TCP
#define UDP    EG_PROTO_UDP
#define ICMP   EG_PROTO_ICMP
#define ICMPV6 EG_PROTO_ICMPV6
#define IGMP   EG_PROTO_IGMP
#define SCTP   EG_PROTO_SCTP
#define GRE    47
#define ESP    50

/* How many plain frames were of each reason. */
static unsigned long plain_seen[EG_REASON_COUNT];

/* What the programs try first says the same, or nothing. */
static void judge_plain(const struct eg_image *image, const struct eg_host_frame *host,
			enum eg_reason reason, const struct eg_packet *packet)
{
	struct eg_packet plain;
	int plain_reason = eg_image_judge_plain(image, host, &plain);

	if (plain_reason < 0)
		return;
	plain_seen[reason]++;
	if (reason == EG_REASON_ENDPOINT || reason == EG_REASON_NOT_WIREGUARD)
		assert_int_equal(plain.wireguard, packet->wireguard);
	plain.wireguard = packet->wireguard;
	plain.asks_name = packet->asks_name;
	assert_int_equal(plain_reason, (int)reason);
	assert_memory_equal(&plain, packet, sizeof(plain));
}

/* From a copy of just the frame's size, so that the sanitizer sees a read past it. */
static enum eg_reason judge(const struct eg_image *image, const struct packets_frame *frame)
{
	EG_AUTO_FREE __u8 *bytes = malloc(frame->host.length ? frame->host.length : 1);
	struct eg_host_frame host = frame->host;
	struct eg_packet packet;
	enum eg_reason reason;

	assert_non_null(bytes);
	memcpy(bytes, frame->bytes, frame->host.length);
	host.bytes = bytes;
	reason = eg_image_judge(image, &host, &packet);
	judge_plain(image, &host, reason, &packet);
	return reason;
}

static void print_frame(const struct packets_frame *frame)
{
	const struct eg_host_frame *host = &frame->host;

	print_error("link %u, vlan aside %u, gso %u, checksum %u at %u + %u, %u bytes:",
		    host->link_header, host->vlan_tags, host->gso_size, host->checksum_pending,
		    host->checksum_start, host->checksum_offset, host->length);
	for (__u32 i = 0; i < host->length && i < 160; i++)
		print_error("%s%02x", i % 16 ? " " : "\n  ", frame->bytes[i]);
	print_error("\n");
}

/* --- the table -------------------------------------------------------------------------------- */

/* Names of the policies below. */
enum {
	USUAL,
	TUNNEL_DNS,
	NO_LAN,
	RULES,
	OPEN, /* DHCP, multicast, any shape */
	PINNED,
	NAMES, /* endpoints by name */
	POLICIES
};

#define DERIVED                                                                                    \
	"[Derived]\n"                                                                              \
	"Endpoint = 203.0.113.9:51820\n"                                                           \
	"Endpoint = [2001:db8::9]:51820\n"                                                         \
	"TunnelOnly = 10.2.0.0/24\n"                                                               \
	"TunnelOnly = fd00:2::/64\n"                                                               \
	"Source = 198.51.100.2\n"                                                                  \
	"Source = 2001:db8:1::2\n"                                                                 \
	"OnLink = 198.51.100.0/24\n"                                                               \
	"OnLink = 2001:db8:1::/64\n"                                                               \
	"OnLink = 172.18.0.0/16\n"

static const char *const policies[POLICIES] = {
	[USUAL] = DERIVED,
	[TUNNEL_DNS] = "[Lan]\nDns = tunnel\nAllowDns = 192.168.1.5\nAllowDns = fd00::5\n" DERIVED,
	[NO_LAN] = "[Lan]\nLan = no\n" DERIVED,
	[RULES] = "[Lan]\n"
		  "Allow = 100.64.0.0/10\n"
		  "Allow = 203.0.113.0/24:443\n"
		  "Allow = 192.168.1.6:*/esp\n"
		  "Allow = 10.2.0.7\n"
		  "Allow = 10.2.0.8:80/tcp\n"
		  "Allow = [fd00:2::8]:80/tcp\n"
		  "Allow = [2001:db8:5::/48]:443/sctp\n"
		  "Allow = 2001:db8:6::/48\n"
		  "Deny = 192.168.1.1\n"
		  "Deny = fd00::1\n" DERIVED,
	[OPEN] = "[Lan]\n"
		 "AllowDhcp = yes\n"
		 "AllowMulticast = yes\n"
		 "Deny = 172.18.0.9\n"
		 "[WireGuard]\n"
		 "EndpointShape = any\n" DERIVED,
	[PINNED] = "[WireGuard]\nSourcePort = 51820\n" DERIVED,
	[NAMES] = "[WireGuard]\nBootstrapDns = 203.0.113.53\nBootstrapDns = fd00::53\n" DERIVED
		  "EndpointName = vpn.example.com:51820\n",
};

struct row {
	const char *name;
	int policy;
	enum eg_reason reason;
	struct packets_sketch sketch;
};

#define V4(source, destination) .family = EG_FAMILY_IPV4, .src = (source), .dst = (destination)
#define V6(source, destination) .family = EG_FAMILY_IPV6, .src = (source), .dst = (destination)
#define OWN4                    "172.18.0.2"
#define OWN6                    "fd00::2"
#define PEER4                   "203.0.113.9"
#define PEER6                   "2001:db8::9"
#define DATA                    .sport = 40000, .payload = {4}, .payload_len = 32

static const struct row rows[] = {
	/* 1 */
	{"ARP", USUAL, EG_REASON_CONTROL, {.ethertype = EG_ETHERTYPE_ARP, .payload_len = 28}},
	{"tagged ARP",
	 USUAL,
	 EG_REASON_CONTROL,
	 {.ethertype = EG_ETHERTYPE_ARP, .vlan_tags = 2, .payload_len = 28}},
	{"ARP without a body", USUAL, EG_REASON_CONTROL, {.ethertype = EG_ETHERTYPE_ARP}},
	{"ARP with a pending checksum",
	 USUAL,
	 EG_REASON_MALFORMED,
	 {.ethertype = EG_ETHERTYPE_ARP, .payload_len = 28, .checksum_pending = true}},
	/* 2 */
	{"two tags", USUAL, EG_REASON_LAN, {V4(OWN4, "10.1.1.1"), .proto = TCP, .vlan_tags = 2}},
	{"two tags, one aside",
	 USUAL,
	 EG_REASON_PUBLIC,
	 {V6(OWN6, "2001:db8:7::1"), .proto = TCP, .vlan_tags = 1, .vlan_aside = 1}},
	{"three tags",
	 USUAL,
	 EG_REASON_ETHERTYPE,
	 {V4(OWN4, "10.1.1.1"), .proto = TCP, .vlan_tags = 3}},
	{"three tags, one aside",
	 USUAL,
	 EG_REASON_ETHERTYPE,
	 {V4(OWN4, "10.1.1.1"), .proto = TCP, .vlan_tags = 2, .vlan_aside = 1}},
	{"IPv4 without a link-layer header",
	 USUAL,
	 EG_REASON_LAN,
	 {V4(OWN4, "10.1.1.1"), .proto = TCP, .no_link_header = true}},
	{"IPv6 without a link-layer header",
	 USUAL,
	 EG_REASON_LAN,
	 {V6(OWN6, "fd00::7"), .proto = TCP, .no_link_header = true}},
	/* 3 */
	{"LLDP", USUAL, EG_REASON_ETHERTYPE, {.ethertype = 0x88cc, .payload_len = 40}},
	{"neither version",
	 USUAL,
	 EG_REASON_ETHERTYPE,
	 {.no_link_header = true, .payload = {0x50}, .payload_len = 40}},
	{"IPv6 that says IPv4",
	 USUAL,
	 EG_REASON_MALFORMED,
	 {V6(OWN6, "fd00::7"), .proto = TCP, .ethertype = EG_ETHERTYPE_IPV4}},
	{"IPv4 that says IPv6",
	 USUAL,
	 EG_REASON_MALFORMED,
	 {V4(OWN4, "10.1.1.1"), .proto = TCP, .payload_len = 40, .ethertype = EG_ETHERTYPE_IPV6}},
	/* 4 */
	{"eight extension headers",
	 USUAL,
	 EG_REASON_LAN,
	 {V6(OWN6, "fd00::7"), .proto = TCP, .n_exts = 8, .exts = {0, 60, 60, 60, 60, 60, 60, 60}}},
	{"nine extension headers",
	 USUAL,
	 EG_REASON_MALFORMED,
	 {V6(OWN6, "fd00::7"), .proto = TCP, .n_exts = 9,
	  .exts = {0, 60, 60, 60, 60, 60, 60, 60, 60}}},
	{"two fragment headers",
	 USUAL,
	 EG_REASON_MALFORMED,
	 {V6(OWN6, "fd00::7"), .proto = TCP, .n_exts = 2, .exts = {44, 44}}},
	{"an option past the header",
	 USUAL,
	 EG_REASON_MALFORMED,
	 {V4(OWN4, "10.1.1.1"), .proto = TCP, .n_options = 4, .options = {7, 5}}},
	{"an option without a length",
	 USUAL,
	 EG_REASON_MALFORMED,
	 {V4(OWN4, "10.1.1.1"), .proto = TCP, .n_options = 4, .options = {1, 1, 1, 7}}},
	{"an option of no length",
	 USUAL,
	 EG_REASON_MALFORMED,
	 {V4(OWN4, "10.1.1.1"), .proto = TCP, .n_options = 4, .options = {7, 0}}},
	{"a checksum in its place",
	 USUAL,
	 EG_REASON_LAN,
	 {V4(OWN4, "10.1.1.1"), .proto = TCP, .checksum_pending = true}},
	{"a checksum in its place, IPv6",
	 USUAL,
	 EG_REASON_LAN,
	 {V6(OWN6, "fd00::7"), .proto = UDP, .checksum_pending = true, .n_exts = 1, .exts = {60}}},
	{"a checksum where none is",
	 RULES,
	 EG_REASON_MALFORMED,
	 {V4(OWN4, "192.168.1.6"), .proto = ESP, .payload_len = 40, .checksum_pending = true}},
	{"a checksum in a later fragment",
	 USUAL,
	 EG_REASON_MALFORMED,
	 {V4(OWN4, "10.1.1.1"), .proto = UDP, .fragment = EG_FRAGMENT_LATER, .payload_len = 40,
	  .checksum_pending = true}},
	/* 5 */
	{"loose source route",
	 USUAL,
	 EG_REASON_SOURCE_ROUTE,
	 {V4(OWN4, "10.1.1.1"), .proto = TCP, .n_options = 8, .options = {131, 7, 4, 8, 8, 8, 8}}},
	{"strict source route",
	 USUAL,
	 EG_REASON_SOURCE_ROUTE,
	 {V4(OWN4, "10.1.1.1"), .proto = TCP, .n_options = 12,
	  .options = {1, 1, 137, 7, 4, 8, 8, 8, 8}}},
	{"no source route after the options' end",
	 USUAL,
	 EG_REASON_LAN,
	 {V4(OWN4, "10.1.1.1"), .proto = TCP, .n_options = 8, .options = {0, 131, 7, 4}}},
	{"record route",
	 USUAL,
	 EG_REASON_LAN,
	 {V4(OWN4, "10.1.1.1"), .proto = TCP, .n_options = 8, .options = {7, 7, 4}}},
	{"routing header",
	 USUAL,
	 EG_REASON_SOURCE_ROUTE,
	 {V6(OWN6, "fd00::7"), .proto = TCP, .n_exts = 2, .exts = {60, 43}}},
	{"routing header to an endpoint",
	 USUAL,
	 EG_REASON_SOURCE_ROUTE,
	 {V6(OWN6, PEER6), .proto = UDP, .dport = 51820, DATA, .n_exts = 1, .exts = {43}}},
	/* 6 */
	{"forged source", USUAL, EG_REASON_SOURCE, {V4("8.8.8.8", "10.1.1.1"), .proto = TCP}},
	{"forged source, IPv6",
	 USUAL,
	 EG_REASON_SOURCE,
	 {V6("2606:4700::1", "fd00::7"), .proto = TCP}},
	{"forged source to an endpoint",
	 USUAL,
	 EG_REASON_SOURCE,
	 {V4("8.8.8.8", PEER4), .proto = UDP, .dport = 51820, DATA}},
	{"own public source", USUAL, EG_REASON_LAN, {V4("198.51.100.2", "10.1.1.1"), .proto = TCP}},
	{"a neighbour's public source",
	 USUAL,
	 EG_REASON_SOURCE,
	 {V4("198.51.100.3", "10.1.1.1"), .proto = TCP}},
	{"own public source, IPv6",
	 USUAL,
	 EG_REASON_LAN,
	 {V6("2001:db8:1::2", "fd00::7"), .proto = TCP}},
	{"link-local source",
	 NO_LAN,
	 EG_REASON_PUBLIC,
	 {V4("169.254.1.1", "9.9.9.9"), .proto = TCP}},
	{"link-local source, IPv6",
	 NO_LAN,
	 EG_REASON_PUBLIC,
	 {V6("fe80::1", "2606:4700::1"), .proto = TCP}},
	{"private source without LAN",
	 NO_LAN,
	 EG_REASON_SOURCE,
	 {V4(OWN4, "9.9.9.9"), .proto = TCP}},
	{"unspecified source",
	 USUAL,
	 EG_REASON_SOURCE,
	 {V4("0.0.0.0", "10.1.1.1"), .proto = UDP, .dport = 80}},
	{"unspecified source, IPv6", USUAL, EG_REASON_SOURCE, {V6("::", "fd00::7"), .proto = TCP}},
	{"duplicate address detection",
	 USUAL,
	 EG_REASON_CONTROL,
	 {V6("::", "ff02::1:ff00:1"), .proto = ICMPV6, .icmp_type = 135, .ttl = 255}},
	{"source that a rule allows",
	 RULES,
	 EG_REASON_LAN,
	 {V4("100.64.1.1", "10.1.1.1"), .proto = TCP}},
	{"source that a rule allows a port of",
	 RULES,
	 EG_REASON_SOURCE,
	 {V4("203.0.113.77", "10.1.1.1"), .proto = TCP}},
	/* 7 */
	{"WireGuard data",
	 USUAL,
	 EG_REASON_ENDPOINT,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51820, DATA}},
	{"WireGuard data, IPv6",
	 USUAL,
	 EG_REASON_ENDPOINT,
	 {V6(OWN6, PEER6), .proto = UDP, .dport = 51820, DATA}},
	{"WireGuard initiation",
	 USUAL,
	 EG_REASON_ENDPOINT,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51820, .payload = {1}, .payload_len = 148}},
	{"WireGuard response",
	 USUAL,
	 EG_REASON_ENDPOINT,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51820, .payload = {2}, .payload_len = 92}},
	{"WireGuard cookie",
	 USUAL,
	 EG_REASON_ENDPOINT,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51820, .payload = {3}, .payload_len = 64}},
	{"WireGuard in segments",
	 USUAL,
	 EG_REASON_ENDPOINT,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51820, .payload = {1}, .payload_len = 600,
	  .gso_size = 148}},
	{"WireGuard's first fragment",
	 USUAL,
	 EG_REASON_ENDPOINT,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51820, DATA, .fragment = EG_FRAGMENT_FIRST}},
	{"anything, where the shape is any",
	 OPEN,
	 EG_REASON_ENDPOINT,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51820, .payload = {9}, .payload_len = 7}},
	{"nothing, where the shape is any",
	 OPEN,
	 EG_REASON_ENDPOINT,
	 {V6(OWN6, PEER6), .proto = UDP, .dport = 51820}},
	{"WireGuard from the pinned port",
	 PINNED,
	 EG_REASON_ENDPOINT,
	 {V4(OWN4, PEER4), .proto = UDP, .sport = 51820, .dport = 51820, .payload = {4},
	  .payload_len = 32}},
	/* 8 */
	{"WireGuard from another port",
	 PINNED,
	 EG_REASON_NOT_WIREGUARD,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51820, DATA}},
	{"an initiation of another length",
	 USUAL,
	 EG_REASON_NOT_WIREGUARD,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51820, .payload = {1}, .payload_len = 149}},
	{"a response of another length",
	 USUAL,
	 EG_REASON_NOT_WIREGUARD,
	 {V6(OWN6, PEER6), .proto = UDP, .dport = 51820, .payload = {2}, .payload_len = 93}},
	{"a cookie of another length",
	 USUAL,
	 EG_REASON_NOT_WIREGUARD,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51820, .payload = {3}, .payload_len = 63}},
	{"short data",
	 USUAL,
	 EG_REASON_NOT_WIREGUARD,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51820, .payload = {4}, .payload_len = 31}},
	{"type 5",
	 USUAL,
	 EG_REASON_NOT_WIREGUARD,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51820, .payload = {5}, .payload_len = 32}},
	{"type 0",
	 USUAL,
	 EG_REASON_NOT_WIREGUARD,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51820, .payload_len = 32}},
	{"reserved bytes",
	 USUAL,
	 EG_REASON_NOT_WIREGUARD,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51820, .payload = {4, 0, 0, 1},
	  .payload_len = 32}},
	{"an empty datagram",
	 USUAL,
	 EG_REASON_NOT_WIREGUARD,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51820}},
	{"segments of another length",
	 USUAL,
	 EG_REASON_NOT_WIREGUARD,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51820, .payload = {1}, .payload_len = 148,
	  .gso_size = 100}},
	{"a later fragment",
	 USUAL,
	 EG_REASON_FRAGMENT,
	 {V4(OWN4, PEER4), .proto = UDP, .fragment = EG_FRAGMENT_LATER, .payload_len = 64}},
	{"a later fragment, IPv6",
	 OPEN,
	 EG_REASON_FRAGMENT,
	 {V6(OWN6, PEER6), .proto = UDP, .fragment = EG_FRAGMENT_LATER, .payload_len = 64}},
	{"another port of an endpoint",
	 USUAL,
	 EG_REASON_PUBLIC,
	 {V4(OWN4, PEER4), .proto = UDP, .dport = 51821, DATA}},
	{"TCP to an endpoint",
	 USUAL,
	 EG_REASON_PUBLIC,
	 {V6(OWN6, PEER6), .proto = TCP, .dport = 51820}},
	/* 9 */
	{"the tunnel's subnet",
	 USUAL,
	 EG_REASON_TUNNEL_ONLY,
	 {V4(OWN4, "10.2.0.1"), .proto = UDP, .dport = 53}},
	{"the tunnel's subnet, IPv6",
	 USUAL,
	 EG_REASON_TUNNEL_ONLY,
	 {V6(OWN6, "fd00:2::1"), .proto = TCP, .dport = 80}},
	{"neighbour discovery there",
	 USUAL,
	 EG_REASON_TUNNEL_ONLY,
	 {V6(OWN6, "fd00:2::1"), .proto = ICMPV6, .icmp_type = 135, .ttl = 255}},
	{"an --allow inside it", RULES, EG_REASON_LAN, {V4(OWN4, "10.2.0.7"), .proto = TCP}},
	{"an allowed port inside it",
	 RULES,
	 EG_REASON_LAN,
	 {V4(OWN4, "10.2.0.8"), .proto = TCP, .dport = 80}},
	{"another port there",
	 RULES,
	 EG_REASON_TUNNEL_ONLY,
	 {V4(OWN4, "10.2.0.8"), .proto = TCP, .dport = 81}},
	{"an allowed port inside it, IPv6",
	 RULES,
	 EG_REASON_LAN,
	 {V6(OWN6, "fd00:2::8"), .proto = TCP, .dport = 80}},
	{"a later fragment there",
	 RULES,
	 EG_REASON_TUNNEL_ONLY,
	 {V4(OWN4, "10.2.0.8"), .proto = TCP, .fragment = EG_FRAGMENT_LATER, .payload_len = 64}},
	/* 10 */
	{"neighbour solicitation",
	 NO_LAN,
	 EG_REASON_CONTROL,
	 {V6("fe80::1", "ff02::1:ff00:1"), .proto = ICMPV6, .icmp_type = 135, .ttl = 255}},
	{"router solicitation",
	 NO_LAN,
	 EG_REASON_CONTROL,
	 {V6("fe80::1", "ff02::2"), .proto = ICMPV6, .icmp_type = 133, .ttl = 255}},
	{"neighbour advertisement, link-local",
	 NO_LAN,
	 EG_REASON_CONTROL,
	 {V6("fe80::1", "fe80::2"), .proto = ICMPV6, .icmp_type = 136, .ttl = 255}},
	{"neighbour advertisement, on-link",
	 NO_LAN,
	 EG_REASON_CONTROL,
	 {V6("fe80::1", "2001:db8:1::7"), .proto = ICMPV6, .icmp_type = 136, .ttl = 255}},
	{"neighbour advertisement, elsewhere",
	 NO_LAN,
	 EG_REASON_PUBLIC,
	 {V6("fe80::1", "2606:4700::1"), .proto = ICMPV6, .icmp_type = 136, .ttl = 255}},
	{"neighbour discovery that was forwarded",
	 NO_LAN,
	 EG_REASON_PUBLIC,
	 {V6("fe80::1", "2001:db8:1::7"), .proto = ICMPV6, .icmp_type = 136, .ttl = 254}},
	{"a redirect",
	 NO_LAN,
	 EG_REASON_PRIVATE,
	 {V6("fe80::1", "fe80::2"), .proto = ICMPV6, .icmp_type = 137, .ttl = 255}},
	{"neighbour discovery in fragments",
	 NO_LAN,
	 EG_REASON_PRIVATE,
	 {V6("fe80::1", "fe80::2"), .proto = ICMPV6, .icmp_type = 136, .ttl = 255,
	  .fragment = EG_FRAGMENT_FIRST}},
	{"MLD report",
	 NO_LAN,
	 EG_REASON_CONTROL,
	 {V6("fe80::1", "ff02::16"), .proto = ICMPV6, .icmp_type = 143, .ttl = 1}},
	{"MLD report with a hop-by-hop header",
	 NO_LAN,
	 EG_REASON_CONTROL,
	 {V6("::", "ff02::16"), .proto = ICMPV6, .icmp_type = 143, .ttl = 1, .n_exts = 1,
	  .exts = {0}}},
	{"MLD from a global address",
	 USUAL,
	 EG_REASON_MULTICAST,
	 {V6(OWN6, "ff02::16"), .proto = ICMPV6, .icmp_type = 131, .ttl = 1}},
	{"MLD that may be forwarded",
	 USUAL,
	 EG_REASON_MULTICAST,
	 {V6("fe80::1", "ff02::16"), .proto = ICMPV6, .icmp_type = 131, .ttl = 2}},
	{"MLD to one host",
	 NO_LAN,
	 EG_REASON_PRIVATE,
	 {V6("fe80::1", "fe80::2"), .proto = ICMPV6, .icmp_type = 131, .ttl = 1}},
	{"IGMP", USUAL, EG_REASON_CONTROL, {V4(OWN4, "224.0.0.22"), .proto = IGMP, .ttl = 1}},
	{"IGMP that may be forwarded",
	 USUAL,
	 EG_REASON_PROTOCOL,
	 {V4(OWN4, "224.0.0.22"), .proto = IGMP, .ttl = 2}},
	{"IGMP to one host",
	 USUAL,
	 EG_REASON_PROTOCOL,
	 {V4(OWN4, "10.1.1.1"), .proto = IGMP, .ttl = 1}},
	{"DHCP",
	 OPEN,
	 EG_REASON_CONTROL,
	 {V4("0.0.0.0", "255.255.255.255"), .proto = UDP, .sport = 68, .dport = 67}},
	{"DHCP renewal on-link",
	 OPEN,
	 EG_REASON_CONTROL,
	 {V4("198.51.100.2", "198.51.100.1"), .proto = UDP, .sport = 68, .dport = 67}},
	{"DHCP renewal at a denied server",
	 OPEN,
	 EG_REASON_CONTROL,
	 {V4(OWN4, "172.18.0.9"), .proto = UDP, .sport = 68, .dport = 67}},
	{"DHCP elsewhere",
	 OPEN,
	 EG_REASON_PUBLIC,
	 {V4(OWN4, "9.9.9.9"), .proto = UDP, .sport = 68, .dport = 67}},
	{"DHCP from another port",
	 OPEN,
	 EG_REASON_BROADCAST,
	 {V4(OWN4, "255.255.255.255"), .proto = UDP, .sport = 69, .dport = 67}},
	{"DHCP where it is not allowed",
	 USUAL,
	 EG_REASON_BROADCAST,
	 {V4(OWN4, "255.255.255.255"), .proto = UDP, .sport = 68, .dport = 67}},
	{"DHCPv6",
	 OPEN,
	 EG_REASON_CONTROL,
	 {V6("fe80::1", "ff02::1:2"), .proto = UDP, .sport = 546, .dport = 547}},
	{"DHCPv6 renewal",
	 OPEN,
	 EG_REASON_CONTROL,
	 {V6("fe80::1", "fe80::2"), .proto = UDP, .sport = 546, .dport = 547}},
	{"DHCPv6 where it is not allowed",
	 USUAL,
	 EG_REASON_MULTICAST,
	 {V6("fe80::1", "ff02::1:2"), .proto = UDP, .sport = 546, .dport = 547}},
	/* 11 */
	{"denied", RULES, EG_REASON_DENIED, {V4(OWN4, "192.168.1.1"), .proto = TCP}},
	{"denied, IPv6", RULES, EG_REASON_DENIED, {V6(OWN6, "fd00::1"), .proto = ESP}},
	/* 12 */
	{"DNS off the tunnel",
	 TUNNEL_DNS,
	 EG_REASON_DNS_OFF_TUNNEL,
	 {V4(OWN4, "192.168.1.1"), .proto = UDP, .dport = 53}},
	{"DNS over TLS off the tunnel",
	 TUNNEL_DNS,
	 EG_REASON_DNS_OFF_TUNNEL,
	 {V6(OWN6, "fd00::7"), .proto = TCP, .dport = 853}},
	{"public DNS",
	 TUNNEL_DNS,
	 EG_REASON_DNS_OFF_TUNNEL,
	 {V4(OWN4, "9.9.9.9"), .proto = TCP, .dport = 53}},
	{"DNS where --allow-dns lets it",
	 TUNNEL_DNS,
	 EG_REASON_LAN,
	 {V4(OWN4, "192.168.1.5"), .proto = UDP, .dport = 53}},
	{"DNS where --allow-dns lets it, IPv6",
	 TUNNEL_DNS,
	 EG_REASON_LAN,
	 {V6(OWN6, "fd00::5"), .proto = UDP, .dport = 853}},
	{"SCTP's port 53",
	 TUNNEL_DNS,
	 EG_REASON_PROTOCOL,
	 {V4(OWN4, "192.168.1.1"), .proto = SCTP, .dport = 53}},
	/* 13 */
	{"GRE", USUAL, EG_REASON_PROTOCOL, {V4(OWN4, "10.1.1.1"), .proto = GRE}},
	{"6in4", USUAL, EG_REASON_PROTOCOL, {V4(OWN4, "10.1.1.1"), .proto = 41}},
	{"ESP, IPv6", USUAL, EG_REASON_PROTOCOL, {V6(OWN6, "fd00::7"), .proto = ESP}},
	{"ICMP in IPv6", USUAL, EG_REASON_PROTOCOL, {V6(OWN6, "fd00::7"), .proto = ICMP}},
	{"ICMPv6 in IPv4", USUAL, EG_REASON_PROTOCOL, {V4(OWN4, "10.1.1.1"), .proto = ICMPV6}},
	{"ESP to an allowed prefix",
	 RULES,
	 EG_REASON_PROTOCOL,
	 {V4(OWN4, "100.64.1.1"), .proto = ESP}},
	{"ESP that a rule lists", RULES, EG_REASON_RULE, {V4(OWN4, "192.168.1.6"), .proto = ESP}},
	{"ESP's fragment that a rule lists",
	 RULES,
	 EG_REASON_RULE,
	 {V4(OWN4, "192.168.1.6"), .proto = ESP, .fragment = EG_FRAGMENT_LATER, .payload_len = 9}},
	{"SCTP that a rule lists",
	 RULES,
	 EG_REASON_RULE,
	 {V6(OWN6, "2001:db8:5::1"), .proto = SCTP, .dport = 443}},
	/* 12 */
	{"the endpoint's name",
	 NAMES,
	 EG_REASON_BOOTSTRAP_DNS,
	 {V4(OWN4, "203.0.113.53"), .proto = UDP, .dport = 53, .asks = "vpn.example.com"}},
	{"the endpoint's name, IPv6",
	 NAMES,
	 EG_REASON_BOOTSTRAP_DNS,
	 {V6(OWN6, "fd00::53"), .proto = UDP, .dport = 53, .asks = "VPN.example.com",
	  .asks_opt = true}},
	{"another name",
	 NAMES,
	 EG_REASON_DNS_OFF_TUNNEL,
	 {V4(OWN4, "203.0.113.53"), .proto = UDP, .dport = 53, .asks = "vpn.example.org"}},
	{"the endpoint's name, and there is a tunnel",
	 NAMES,
	 EG_REASON_DNS_OFF_TUNNEL,
	 {V4(OWN4, "203.0.113.53"), .proto = UDP, .dport = 53, .asks = "vpn.example.com",
	  .names_closed = true}},
	/* 14 */
	{"LAN", USUAL, EG_REASON_LAN, {V4(OWN4, "192.168.1.1"), .proto = TCP, .dport = 80}},
	{"LAN, IPv6", USUAL, EG_REASON_LAN, {V6(OWN6, "fd00::7"), .proto = UDP, .dport = 80}},
	{"a ping", USUAL, EG_REASON_LAN, {V4(OWN4, "10.1.1.1"), .proto = ICMP, .icmp_type = 8}},
	{"a ping, IPv6",
	 USUAL,
	 EG_REASON_LAN,
	 {V6(OWN6, "fd00::7"), .proto = ICMPV6, .icmp_type = 128}},
	{"a later fragment",
	 USUAL,
	 EG_REASON_LAN,
	 {V6(OWN6, "fd00::7"), .proto = TCP, .fragment = EG_FRAGMENT_LATER, .payload_len = 9}},
	{"an atomic fragment",
	 USUAL,
	 EG_REASON_LAN_DNS,
	 {V6(OWN6, "fd00::7"), .proto = UDP, .dport = 53, .atomic_fragment = true}},
	{"DNS to the LAN",
	 USUAL,
	 EG_REASON_LAN_DNS,
	 {V4(OWN4, "192.168.1.1"), .proto = UDP, .dport = 53}},
	{"DNS over TLS to the LAN",
	 USUAL,
	 EG_REASON_LAN_DNS,
	 {V6(OWN6, "fd00::7"), .proto = TCP, .dport = 853}},
	{"a rule's prefix", RULES, EG_REASON_RULE, {V4(OWN4, "100.64.1.1"), .proto = TCP}},
	{"a rule's prefix, IPv6",
	 RULES,
	 EG_REASON_RULE,
	 {V6(OWN6, "2001:db8:6::1"), .proto = ICMPV6, .icmp_type = 128}},
	{"a rule's port",
	 RULES,
	 EG_REASON_RULE,
	 {V4(OWN4, "203.0.113.50"), .proto = TCP, .dport = 443}},
	{"a rule's other port",
	 RULES,
	 EG_REASON_PUBLIC,
	 {V4(OWN4, "203.0.113.50"), .proto = TCP, .dport = 444}},
	{"a later fragment for a rule's port",
	 RULES,
	 EG_REASON_PUBLIC,
	 {V4(OWN4, "203.0.113.50"), .proto = TCP, .fragment = EG_FRAGMENT_LATER, .payload_len = 9}},
	{"a rule's port of another protocol",
	 RULES,
	 EG_REASON_PUBLIC,
	 {V6(OWN6, "2001:db8:5::1"), .proto = TCP, .dport = 443}},
	{"allowed multicast",
	 OPEN,
	 EG_REASON_RULE,
	 {V4(OWN4, "239.255.255.250"), .proto = UDP, .dport = 1900}},
	{"allowed multicast, IPv6",
	 OPEN,
	 EG_REASON_RULE,
	 {V6("fe80::1", "ff02::fb"), .proto = UDP, .dport = 5353}},
	/* 15 */
	{"multicast",
	 USUAL,
	 EG_REASON_MULTICAST,
	 {V4(OWN4, "224.0.0.251"), .proto = UDP, .dport = 5353}},
	{"multicast, IPv6",
	 USUAL,
	 EG_REASON_MULTICAST,
	 {V6(OWN6, "ff02::fb"), .proto = UDP, .dport = 5353}},
	{"broadcast",
	 USUAL,
	 EG_REASON_BROADCAST,
	 {V4(OWN4, "255.255.255.255"), .proto = UDP, .dport = 9}},
	/* 16 */
	{"LAN under --no-lan",
	 NO_LAN,
	 EG_REASON_PRIVATE,
	 {V4("198.51.100.2", "192.168.1.1"), .proto = TCP}},
	{"LAN under --no-lan, IPv6",
	 NO_LAN,
	 EG_REASON_PRIVATE,
	 {V6("2001:db8:1::2", "fd00::1"), .proto = TCP}},
	{"cloud metadata",
	 USUAL,
	 EG_REASON_PRIVATE,
	 {V4(OWN4, "169.254.169.254"), .proto = TCP, .dport = 80}},
	{"cloud metadata, IPv6",
	 USUAL,
	 EG_REASON_PRIVATE,
	 {V6(OWN6, "fd00:ec2::254"), .proto = TCP, .dport = 80}},
	{"shared addresses", USUAL, EG_REASON_PRIVATE, {V4(OWN4, "100.64.0.1"), .proto = TCP}},
	{"link-local", USUAL, EG_REASON_PRIVATE, {V6(OWN6, "fe80::7"), .proto = TCP}},
	/* 17 */
	{"the internet",
	 USUAL,
	 EG_REASON_PUBLIC,
	 {V4(OWN4, "9.9.9.9"), .proto = TCP, .dport = 443}},
	{"the internet, IPv6",
	 USUAL,
	 EG_REASON_PUBLIC,
	 {V6(OWN6, "2606:4700::1111"), .proto = UDP, .dport = 443}},
	{"benchmark addresses", USUAL, EG_REASON_PUBLIC, {V4(OWN4, "198.18.0.1"), .proto = ICMP}},
};

static void check_reason(const char *name, enum eg_reason got, enum eg_reason expected,
			 const struct packets_frame *frame)
{
	if (got == expected)
		return;
	print_frame(frame);
	fail_msg("%s: %s, expected %s", name, eg_reason_names[got], eg_reason_names[expected]);
}

/* Those that eg_judge() never tells: what leaves through these it does not see, and a call that is
 * refused is no packet. */
static bool is_not_judged(int reason)
{
	return reason == EG_REASON_LOOPBACK || reason == EG_REASON_TUNNEL ||
	       reason == EG_REASON_QDISC_BYPASS;
}

static void test_rows(void **state)
{
	static struct packets_frame frame;
	bool seen[EG_REASON_COUNT] = {};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		EG_AUTO_POLICY struct eg_policy *policy = packets_policy(policies[rows[i].policy]);
		EG_AUTO_IMAGE struct eg_image *image = packets_compile(policy);

		packets_build(&rows[i].sketch, &frame);
		check_reason(rows[i].name, judge(image, &frame), rows[i].reason, &frame);
		check_reason(rows[i].name, oracle_judge(policy, &frame.host), rows[i].reason,
			     &frame);
		seen[rows[i].reason] = true;
	}
	for (int i = 0; i < EG_REASON_COUNT; i++)
		if (!seen[i] && !is_not_judged(i))
			fail_msg("no packet for %s", eg_reason_names[i]);
}

/* What a sketch cannot say: lengths that lie. */
static void test_lengths(void **state)
{
	static struct packets_frame frame;
	const struct packets_sketch tcp4 = {V4(OWN4, "10.1.1.1"), .proto = TCP, .payload_len = 8};
	const struct packets_sketch udp4 = {V4(OWN4, "10.1.1.1"), .proto = UDP, .payload_len = 8};
	const struct packets_sketch tcp6 = {V6(OWN6, "fd00::7"), .proto = TCP, .payload_len = 8};
	const struct lie {
		const char *name;
		const struct packets_sketch *sketch;
		__u32 at;
		__u8 value;
	} lies[] = {
		{"header length 4", &tcp4, 14, 0x44},
		{"header longer than the packet", &tcp4, 14, 0x4f},
		{"total length past the frame", &tcp4, 17, 255},
		{"total length 19", &tcp4, 17, 19},
		{"version 6", &tcp4, 14, 0x65},
		{"TCP header of 16 bytes", &tcp4, 14 + 20 + 12, 0x40},
		{"TCP header past the packet", &tcp4, 14 + 20 + 12, 0x80},
		{"UDP length 7", &udp4, 14 + 20 + 5, 7},
		{"UDP length past the packet", &udp4, 14 + 20 + 5, 17},
		{"payload length past the frame", &tcp6, 14 + 5, 29},
		{"payload too short for TCP", &tcp6, 14 + 5, 19},
		{"version 4", &tcp6, 14, 0x40},
	};
	EG_AUTO_POLICY struct eg_policy *policy = packets_policy("");
	EG_AUTO_IMAGE struct eg_image *image = packets_compile(policy);

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		packets_build(lies[i].sketch, &frame);
		check_reason(lies[i].name, judge(image, &frame), EG_REASON_LAN, &frame);
		frame.bytes[lies[i].at] = lies[i].value;
		check_reason(lies[i].name, judge(image, &frame), EG_REASON_MALFORMED, &frame);
		check_reason(lies[i].name, oracle_judge(policy, &frame.host), EG_REASON_MALFORMED,
			     &frame);
	}
}

/* A checksum that the kernel writes later must be the transport's own. */
static void test_checksums(void **state)
{
	static struct packets_frame frame;
	const struct packets_sketch sketches[] = {
		{V4(OWN4, "10.1.1.1"), .proto = TCP, .checksum_pending = true},
		{V4(OWN4, "10.1.1.1"), .proto = ICMP, .checksum_pending = true, .vlan_tags = 1},
		{V6(OWN6, "fd00::7"), .proto = UDP, .checksum_pending = true,
		 .no_link_header = true},
		{V6(OWN6, "fd00::7"), .proto = TCP, .checksum_pending = true, .n_exts = 1,
		 .exts = {60}},
	};
	EG_AUTO_POLICY struct eg_policy *policy = packets_policy("");
	EG_AUTO_IMAGE struct eg_image *image = packets_compile(policy);

	(void)state;
	for (size_t i = 0; i < sizeof(sketches) / sizeof(sketches[0]); i++) {
		__u32 start, offset;

		packets_build(&sketches[i], &frame);
		start = frame.host.checksum_start;
		offset = frame.host.checksum_offset;
		for (__u32 j = 0; j < 100; j++) {
			for (__u32 k = 0; k < 24; k++) {
				frame.host.checksum_start = j;
				frame.host.checksum_offset = k;
				check_reason("checksum", judge(image, &frame),
					     j == start && k == offset ? EG_REASON_LAN
								       : EG_REASON_MALFORMED,
					     &frame);
			}
		}
	}
}

/* --- frames cut at each byte ------------------------------------------------------------------ */

static void check_cuts(const struct row *row, const struct eg_policy *policy,
		       const struct eg_image *image)
{
	static struct packets_frame frame;
	__u32 whole;

	packets_build(&row->sketch, &frame);
	whole = frame.host.length;
	for (__u32 length = 0; length < whole; length++) {
		enum eg_reason got;

		frame.host.length = frame.host.captured = length;
		got = judge(image, &frame);
		/* ARP is judged by its type alone */
		if (row->sketch.family && got != EG_REASON_ETHERTYPE)
			check_reason(row->name, got, EG_REASON_MALFORMED, &frame);
		if (!row->sketch.family && length < 14U * !row->sketch.no_link_header)
			check_reason(row->name, got, EG_REASON_MALFORMED, &frame);
		check_reason(row->name, got, oracle_judge(policy, &frame.host), &frame);
		if (got == EG_REASON_ETHERTYPE && row->sketch.family)
			check_reason(row->name, row->reason, EG_REASON_ETHERTYPE, &frame);
	}
}

static void test_cuts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		EG_AUTO_POLICY struct eg_policy *policy = packets_policy(policies[rows[i].policy]);
		EG_AUTO_IMAGE struct eg_image *image = packets_compile(policy);

		check_cuts(&rows[i], policy, image);
	}
}

/* What was captured of a frame may be less than the frame: that is no reason to pass it. */
static void test_captured(void **state)
{
	static struct packets_frame frame;
	EG_AUTO_POLICY struct eg_policy *policy = packets_policy("");
	EG_AUTO_IMAGE struct eg_image *image = packets_compile(policy);
	const struct packets_sketch sketch = {V4(OWN4, "10.1.1.1"), .proto = TCP,
					      .payload_len = 1000};
	struct eg_packet packet;

	(void)state;
	packets_build(&sketch, &frame);
	frame.host.captured = 14 + 20 + 20;
	assert_int_equal(eg_image_judge(image, &frame.host, &packet), EG_REASON_LAN);
	frame.host.captured--;
	assert_int_equal(eg_image_judge(image, &frame.host, &packet), EG_REASON_MALFORMED);
}

/* --- at random -------------------------------------------------------------------------------- */

#define RANDOM_POLICIES 4000
#define RANDOM_FRAMES   100

/* What is said of plain frames was put to the test, too. */
static void check_plain_seen(void)
{
	static const enum eg_reason reasons[] = {
		EG_REASON_LAN,      EG_REASON_LAN_DNS,       EG_REASON_RULE,
		EG_REASON_ENDPOINT, EG_REASON_NOT_WIREGUARD, EG_REASON_DNS_OFF_TUNNEL,
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		print_message("plain: %s %lu\n", eg_reason_names[reasons[i]],
			      plain_seen[reasons[i]]);
		assert_true(plain_seen[reasons[i]] >= 50);
	}
}

static void test_oracle(void **state)
{
	static struct packets_frame frame;
	const char *seed = getenv("EG_SEED");
	struct packets_random random = {.state = seed ? strtoull(seed, NULL, 0) : 7};
	unsigned long seen[EG_REASON_COUNT] = {};

	(void)state;
	for (int i = 0; i < RANDOM_POLICIES; i++) {
		EG_AUTO_POLICY struct eg_policy *policy = packets_random_policy(&random);
		EG_AUTO_IMAGE struct eg_image *image = packets_compile(policy);

		for (int j = 0; j < RANDOM_FRAMES; j++) {
			enum eg_reason expected;

			packets_random_frame(&random, policy, PACKETS_ALL, &frame);
			expected = oracle_judge(policy, &frame.host);
			seen[expected]++;
			if (judge(image, &frame) != expected) {
				EG_AUTO_FREE char *text = eg_policy_format(policy, true);

				print_error("policy %d, frame %d:\n%s\n", i, j, text);
				check_reason("random", judge(image, &frame), expected, &frame);
			}
		}
	}
	for (int i = 0; i < EG_REASON_COUNT; i++) {
		print_message("%s %lu%s", eg_reason_names[i], seen[i],
			      i + 1 < EG_REASON_COUNT ? ", " : "\n");
		if (!is_not_judged(i) && seen[i] < 200)
			fail_msg("only %lu random frames are %s", seen[i], eg_reason_names[i]);
	}
	check_plain_seen();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),      cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_checksums), cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_captured),  cmocka_unit_test(test_oracle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
