/* SPDX-License-Identifier: GPL-2.0 */
/* Addresses, prefixes, ports, rules and endpoints: from text and to text. PURE. */
#ifndef EG_ADDRESS_H
#define EG_ADDRESS_H

#include "policy/policy.h"

/* Enough for any of the texts below, with brackets, prefix, port, protocol and the NUL. */
#define EG_ADDRESS_TEXT_LEN 96

/*
 * Each reads the whole of `text` or fails with -EINVAL and the column of what is wrong. Addresses
 * are strict: four decimal bytes without leading zeros, RFC 4291 for IPv6, no zone, no v4-mapped
 * IPv6 (the packet it would mean is IPv4: the message says which address to write).
 */
int eg_addr_parse(const char *text, __u8 *ret_family, union eg_addr *ret_addr,
		  struct eg_error *error);
/* ADDR or ADDR/LEN; set host bits are an error that names the network that was meant. */
int eg_prefix_parse(const char *text, struct eg_prefix *ret_prefix, struct eg_error *error);
/* ADDR/LEN as an interface has it: *ret_host is the address with its host bits, *ret_prefix its
 * network. */
int eg_prefix_parse_host(const char *text, struct eg_prefix *ret_prefix, union eg_addr *ret_host,
			 struct eg_error *error);
/*
 * A prefix that covers most of the internet is refused, since nearly always it is a mistake that
 * would switch the guard off: the widest are /4 (the size of 240.0.0.0/4) and, in IPv6, /7
 * (fc00::/7). A port needs a protocol that has ports here (TCP, UDP, SCTP), `*` any. ICMP goes with
 * IPv4, ICMPv6 with IPv6.
 */
#define EG_RULE_MIN_LEN_IPV4 4
#define EG_RULE_MIN_LEN_IPV6 7
int eg_rule_parse(const char *text, struct eg_rule *ret_rule, struct eg_error *error);
/* ADDR:PORT, [ADDR]:PORT or HOST:PORT. The caller frees ret_endpoint->host. */
int eg_endpoint_parse(const char *text, struct eg_endpoint *ret_endpoint, struct eg_error *error);
/* 1 to 65535 */
int eg_port_parse(const char *text, __u16 *ret_port, struct eg_error *error);

/* Read back what eg_prefix_format() and eg_endpoint_format() wrote of addresses that the kernel
 * reported: those may be v4-mapped. */
int eg_prefix_parse_own(const char *text, struct eg_prefix *ret_prefix, struct eg_error *error);
int eg_endpoint_parse_own(const char *text, struct eg_endpoint *ret_endpoint,
			  struct eg_error *error);

/* Each returns `to`. */
char *eg_addr_format(char to[EG_ADDRESS_TEXT_LEN], __u8 family, const union eg_addr *addr);
/* A whole-length prefix is written without its length. */
char *eg_prefix_format(char to[EG_ADDRESS_TEXT_LEN], const struct eg_prefix *prefix);
char *eg_rule_format(char to[EG_ADDRESS_TEXT_LEN], const struct eg_rule *rule);
/* Needs a resolved endpoint. */
char *eg_endpoint_format(char to[EG_ADDRESS_TEXT_LEN], const struct eg_endpoint *endpoint);

/* ::ffff:0:0/96, RFC 4291, 2.5.5.2, by which an IPv6 socket names an IPv4 address; its packets are
 * IPv4 all the same. */
bool eg_addr_is_v4_mapped(const union eg_addr *addr);
/* The IPv4 address of such a one. */
union eg_addr eg_addr_unmapped(const union eg_addr *addr);
/* The endpoint that packets go to: IPv4 where it is given by such a one. A copy, which shares
 * `host`. */
struct eg_endpoint eg_endpoint_unmapped(const struct eg_endpoint *endpoint);

/* Whether the parser of packets reads its ports. */
bool eg_proto_has_ports(int proto);
/* "tcp" and the like for an IP protocol number, NULL where it has no name here. */
const char *eg_proto_name(__u8 proto);
/* The number of a protocol's name (lower case) or decimal text, -EINVAL if it is neither. */
int eg_proto_parse(const char *text);

/* 32 or 128 */
static inline __u8 eg_family_bits(__u8 family)
{
	return family == EG_FAMILY_IPV4 ? 32 : 128;
}

bool eg_prefix_contains(const struct eg_prefix *prefix, __u8 family, const union eg_addr *addr);
bool eg_prefix_covers(const struct eg_prefix *outer, const struct eg_prefix *inner);
/* By family, address, then length: a prefix comes right before those it covers. */
int eg_prefix_compare(const struct eg_prefix *a, const struct eg_prefix *b);

#endif /* EG_ADDRESS_H */
