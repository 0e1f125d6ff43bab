/* SPDX-License-Identifier: GPL-2.0 */
/* Packets on the wire, and what the decision looks at of one. No helper and no libc. */
#ifndef EG_PACKET_H
#define EG_PACKET_H

#include "eg_abi.h"

#ifdef __bpf__
/* BPF programs read packet bytes at any alignment; only the verifier's word size counts. */
#define EG_WIRE
/* Before a loop. Linux 5.10 takes a loop only if a jump closes it, and a compiler may well lay out
 * one that falls through to its own head. */
#define EG_UNROLL _Pragma("unroll")

/*
 * Where ways through the code meet, the verifier follows what comes after once for each set of
 * values that it knows there: a fragment's kind that is 0 on one way and 2 on another, a reason
 * that is this or that constant. Then the ways multiply. So there it is made to forget them: the
 * value stays the same, but of what has been XORed with an unknown number, twice, the verifier
 * knows nothing, nor does the compiler. `other` is any number that the verifier does not know.
 */
static inline __attribute__((always_inline)) __u32 eg_forget(__u32 value, __u32 other)
{
	asm("%0 ^= %1\n%0 ^= %1" : "+&r"(value) : "r"(other));
	return value;
}
#else
#define EG_WIRE __attribute__((packed))
#define EG_UNROLL
#define eg_forget(value, other) ((void)(other), (value))
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define EG_BE16(x) ((__be16)(__u16)((((__u16)(x)) << 8 & 0xff00) | (((__u16)(x)) >> 8)))
#define EG_BE32(x) ((__be32)__builtin_bswap32((__u32)(x)))
#define EG_LE32(x) ((__le32)(x))
#else
#define EG_BE16(x) ((__be16)(x))
#define EG_BE32(x) ((__be32)(x))
#define EG_LE32(x) ((__le32)__builtin_bswap32((__u32)(x)))
#endif
#define EG_FROM_BE16(x) ((__u16)EG_BE16(x))
#define EG_FROM_BE32(x) ((__u32)EG_BE32(x))

/* IEEE 802 and IANA numbers; the kernel's own headers define them beside much that the host and BPF
 * builds cannot share. */
#define EG_ETHERTYPE_IPV4  0x0800
#define EG_ETHERTYPE_ARP   0x0806
#define EG_ETHERTYPE_VLAN  0x8100
#define EG_ETHERTYPE_IPV6  0x86dd
#define EG_ETHERTYPE_QINQ  0x88a8
#define EG_PROTO_HOPOPTS   0
#define EG_PROTO_ICMP      1
#define EG_PROTO_IGMP      2
#define EG_PROTO_TCP       6
#define EG_PROTO_UDP       17
#define EG_PROTO_ROUTING   43
#define EG_PROTO_FRAGMENT  44
#define EG_PROTO_ICMPV6    58
#define EG_PROTO_DSTOPTS   60
#define EG_PROTO_SCTP      132
#define EG_PORT_DNS        53
#define EG_PORT_DNS_TLS    853
#define EG_DNS_TYPE_A      1
#define EG_DNS_TYPE_AAAA   28
#define EG_DNS_TYPE_OPT    41
#define EG_DNS_CLASS_IN    1
#define EG_IPV4_MORE_FRAGS 0x2000
#define EG_IPV4_FRAG_MASK  0x1fff
#define EG_IPV4_OPT_END    0
#define EG_IPV4_OPT_NOP    1
#define EG_IPV4_OPT_LSRR   131 /* RFC 791 */
#define EG_IPV4_OPT_SSRR   137
#define EG_IPV4_OPTS_MAX   40

#define EG_VLAN_TAGS_MAX   2
#define EG_EXT_HEADERS_MAX 8

/* WireGuard's messages (protocol paper, 5.4; drivers/net/wireguard/messages.h). */
#define EG_WG_INITIATION     1
#define EG_WG_RESPONSE       2
#define EG_WG_COOKIE         3
#define EG_WG_DATA           4
#define EG_WG_INITIATION_LEN 148
#define EG_WG_RESPONSE_LEN   92
#define EG_WG_COOKIE_LEN     64
#define EG_WG_DATA_MIN_LEN   32

struct eg_ethernet {
	__u8 dst[6];
	__u8 src[6];
	__be16 type_be;
} EG_WIRE;

struct eg_vlan {
	__be16 tci_be;
	__be16 type_be;
} EG_WIRE;

struct eg_ipv4 {
	__u8 version_ihl;
	__u8 tos;
	__be16 total_len_be;
	__be16 id_be;
	__be16 frag_be;
	__u8 ttl;
	__u8 proto;
	__be16 checksum_be;
	__be32 src_be;
	__be32 dst_be;
} EG_WIRE;

struct eg_ipv6 {
	__be32 version_class_flow_be;
	__be16 payload_len_be;
	__u8 next_header;
	__u8 hop_limit;
	__be32 src_be[4];
	__be32 dst_be[4];
} EG_WIRE;

struct eg_ext_header {
	__u8 next_header;
	__u8 len; /* hop-by-hop, routing, destination: in 8 bytes, the first not counted */
	__be16 frag_be;
	__be32 id_be;
} EG_WIRE;

struct eg_ports {
	__u32 both;
} EG_WIRE;

struct eg_udp {
	struct eg_ports ports;
	__be16 len_be;
	__be16 checksum_be;
} EG_WIRE;

struct eg_tcp {
	struct eg_ports ports;
	__be32 seq_be;
	__be32 ack_be;
	__u8 data_offset;
	__u8 flags;
	__be16 window_be;
	__be16 checksum_be;
	__be16 urgent_be;
} EG_WIRE;

struct eg_icmp {
	__u8 type;
	__u8 code;
	__be16 checksum_be;
} EG_WIRE;

/* The beginning of each of WireGuard's messages: a byte that tells its type, three that are zero.
 */
struct eg_wg_header {
	__le32 type_le;
} EG_WIRE;

enum eg_fragment {
	EG_FRAGMENT_WHOLE, /* an IPv6 "atomic" fragment (RFC 6946) is whole */
	EG_FRAGMENT_FIRST,
	EG_FRAGMENT_LATER,
};

/* What later rows look at. Members stay zero where the packet has no such thing. */
struct eg_packet {
	union eg_addr src;
	union eg_addr dst;
	union {
		struct {
			__be16 sport_be;
			__be16 dport_be;
		};
		__u32 ports; /* both, as they stand on the wire */
	};
	__be16 ethertype_be;
	__u8 family;
	__u8 proto;
	__u8 hop_limit;
	__u8 fragment; /* enum eg_fragment */
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 tcp_flags;
	__u8 source_route;
	__u8 wireguard; /* a UDP payload, of a GSO packet the first one, shaped like its messages */
	__u8 asks_name; /* for an endpoint's name, and it may be asked for now (eg_question.h) */
};

#endif /* EG_PACKET_H */
