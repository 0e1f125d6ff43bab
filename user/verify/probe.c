// SPDX-License-Identifier: GPL-2.0
#include "verify/probe.h"

#include <string.h>

#define TTL           64
#define ICMP_ECHO     8
#define ICMPV6_ECHO   128
#define TCP_SYN       0x02
#define BIG_LEN       3000
#define PAYLOAD_LEN   48
#define FRAGMENT_AT   16 /* in 8 bytes */
#define IPV6_VERSION  0x60000000U
#define ARP_REQUEST   1
#define HARDWARE_ETH  1
#define ROUTING_TYPE2 2
#define OPTION_PADN   1
#define VLAN_ID       5

const struct eg_probe_info eg_probe_rows[EG_PROBE_ROW_COUNT] = {
#define X(id, row_name, row_what, row_family, row_way, row_content, row_flags)                     \
	[EG_PROBE_ROW_##id] = {.name = (row_name),                                                 \
			       .what = (row_what),                                                 \
			       .family = EG_FAMILY_##row_family,                                   \
			       .way = EG_WAY_##row_way,                                            \
			       .content = EG_CONTENT_##row_content,                                \
			       .flags = (row_flags)},
	EG_PROBE_ROWS(X)
#undef X
};

static union eg_addr address(__u8 family, const __u8 v4[4], const __u8 v6[16])
{
	union eg_addr addr = {};

	if (family == EG_FAMILY_IPV4)
		memcpy(addr.bytes, v4, 4);
	else
		memcpy(addr.bytes, v6, 16);
	return addr;
}

union eg_addr eg_test_address(__u8 family)
{
	return address(family, (const __u8[]){198, 51, 100, 222},
		       (const __u8[16]){0x20, 0x01, 0x0d, 0xb8, 0x65, 0x67, 0x72, 0x64, [14] = 0x02,
					0x22});
}

union eg_addr eg_test_source(__u8 family)
{
	return address(family, (const __u8[]){203, 0, 113, 222},
		       (const __u8[16]){0x20, 0x01, 0x0d, 0xb8, 0x65, 0x67, 0x72, 0x64, [14] = 0x03,
					0x33});
}

union eg_addr eg_test_lan(__u8 family)
{
	return address(
		family, (const __u8[]){192, 168, 255, 222},
		(const __u8[16]){0xfd, 0x65, 0x67, 0x72, 0x65, 0x73, 0x73, [14] = 0x02, 0x22});
}

/* --- bytes ----------------------------------------------------------------------------------- */

struct writer {
	__u8 *bytes;
	size_t len;
};

static void put(struct writer *writer, const void *bytes, size_t len)
{
	if (writer->len + len > EG_PROBE_MAX)
		return;
	memcpy(writer->bytes + writer->len, bytes, len);
	writer->len += len;
}

/* The token over and over, so that each fragment has one. */
static void put_tokens(struct writer *writer, const struct eg_probe *probe, size_t len)
{
	while (len) {
		size_t part = len < EG_TOKEN_LEN ? len : EG_TOKEN_LEN;

		put(writer, probe->token, part);
		len -= part;
	}
}

static __u32 sum(__u32 so_far, const void *data, size_t len)
{
	const __u8 *bytes = data;

	for (size_t i = 0; i < len; i++)
		so_far += i % 2 ? bytes[i] : (__u32)bytes[i] << 8;
	return so_far;
}

static __be16 folded(__u32 value)
{
	while (value >> 16)
		value = (value & 0xffff) + (value >> 16);
	return EG_BE16((__u16)~value);
}

static size_t address_len(__u8 family)
{
	return family == EG_FAMILY_IPV4 ? 4 : 16;
}

/* --- payloads -------------------------------------------------------------------------------- */

static void put_dns(struct writer *writer, const struct eg_probe *probe)
{
	static const __u8 header[] = {[2] = 0x01, [5] = 1}; /* recursion desired, one question */
	static const __u8 rest[] = "\7invalid\0\0\1\0\1";   /* RFC 2606; A, IN */
	const __u8 id[2] = {probe->token[0], probe->token[1]}, label = EG_TOKEN_LEN;

	put(writer, id, sizeof(id));
	put(writer, header + 2, sizeof(header) - 2);
	put(writer, (const __u8[6]){}, 6);
	put(writer, &label, 1);
	put(writer, probe->token, EG_TOKEN_LEN);
	put(writer, rest, sizeof(rest) - 1);
}

static void put_payload(struct writer *writer, const struct eg_probe *probe)
{
	static const __u8 data_message[16] = {EG_WG_DATA};

	switch (probe->content) {
	case EG_CONTENT_TCP:
		return;
	case EG_CONTENT_BIG:
		put_tokens(writer, probe, BIG_LEN);
		return;
	case EG_CONTENT_DNS:
		put_dns(writer, probe);
		return;
	case EG_CONTENT_WIREGUARD:
		put(writer, data_message, sizeof(data_message));
		put_tokens(writer, probe, PAYLOAD_LEN);
		return;
	case EG_CONTENT_ENDPOINT: /* a token alone could look like anything */
		put(writer, "egv ", 4);
		put_tokens(writer, probe, PAYLOAD_LEN);
		return;
	case EG_CONTENT_UDP:
	case EG_CONTENT_ECHO:
	case EG_CONTENT_FRAGMENT:
	case EG_CONTENT_EXTENSIONS:
	case EG_CONTENT_SOURCE_ROUTE:
	case EG_CONTENT_SOURCE:
	case EG_CONTENT_VLAN:
	case EG_CONTENT_QINQ:
	case EG_CONTENT_NOT_IP:
		put_tokens(writer, probe, PAYLOAD_LEN);
		return;
	}
}

/* The kernel writes the checksum of an ICMPv6 socket's. */
static void put_echo(struct writer *writer, const struct eg_probe *probe)
{
	__u8 header[8] = {probe->family == EG_FAMILY_IPV4 ? ICMP_ECHO : ICMPV6_ECHO};
	__be16 checksum;
	size_t at = writer->len;

	put(writer, header, sizeof(header));
	put_payload(writer, probe);
	checksum = folded(sum(0, writer->bytes + at, writer->len - at));
	memcpy(writer->bytes + at + 2, &checksum, 2);
}

size_t eg_probe_payload(const struct eg_probe *probe, __u8 to[EG_PROBE_MAX])
{
	struct writer writer = {.bytes = to};

	if (probe->content == EG_CONTENT_ECHO)
		put_echo(&writer, probe);
	else
		put_payload(&writer, probe);
	return writer.len;
}

/* --- transport ------------------------------------------------------------------------------- */

static __u8 transport_of(const struct eg_probe *probe)
{
	if (probe->content == EG_CONTENT_TCP)
		return EG_PROTO_TCP;
	if (probe->content == EG_CONTENT_ECHO)
		return probe->family == EG_FAMILY_IPV4 ? EG_PROTO_ICMP : EG_PROTO_ICMPV6;
	return EG_PROTO_UDP;
}

/* Over the pseudo header and what stands from `at` on. */
static __be16 transport_checksum(const struct writer *writer, size_t at,
				 const struct eg_probe *probe)
{
	size_t len = writer->len - at;
	__u32 total = sum(0, probe->src.bytes, address_len(probe->family));

	total = sum(total, probe->dst.bytes, address_len(probe->family));
	total += (__u32)len + transport_of(probe);
	return folded(sum(total, writer->bytes + at, len));
}

static void put_udp(struct writer *writer, const struct eg_probe *probe)
{
	size_t at = writer->len;
	__be16 header[4] = {EG_BE16(probe->sport), EG_BE16(probe->dport)};

	put(writer, header, sizeof(header));
	put_payload(writer, probe);
	header[2] = EG_BE16(writer->len - at);
	memcpy(writer->bytes + at, header, sizeof(header));
	header[3] = transport_checksum(writer, at, probe);
	memcpy(writer->bytes + at, header, sizeof(header));
}

static void put_tcp(struct writer *writer, const struct eg_probe *probe)
{
	size_t at = writer->len;
	struct eg_tcp tcp = {.data_offset = 5 << 4, .flags = TCP_SYN, .window_be = EG_BE16(64240)};
	__be16 ports[2] = {EG_BE16(probe->sport), EG_BE16(probe->dport)};

	memcpy(&tcp.ports, ports, sizeof(ports));
	memcpy(&tcp.seq_be, probe->token, sizeof(tcp.seq_be));
	put(writer, &tcp, sizeof(tcp));
	tcp.checksum_be = transport_checksum(writer, at, probe);
	memcpy(writer->bytes + at, &tcp, sizeof(tcp));
}

static void put_transport(struct writer *writer, const struct eg_probe *probe)
{
	size_t at = writer->len;
	__be16 checksum = 0;

	switch (probe->content) {
	case EG_CONTENT_TCP:
		put_tcp(writer, probe);
		return;
	case EG_CONTENT_ECHO:
		put_echo(writer, probe);
		if (probe->family != EG_FAMILY_IPV6)
			return;
		memcpy(writer->bytes + at + 2, &checksum, 2);
		checksum = transport_checksum(writer, at, probe);
		memcpy(writer->bytes + at + 2, &checksum, 2);
		return;
	case EG_CONTENT_FRAGMENT:
		put_payload(writer, probe);
		return;
	case EG_CONTENT_UDP:
	case EG_CONTENT_BIG:
	case EG_CONTENT_DNS:
	case EG_CONTENT_WIREGUARD:
	case EG_CONTENT_ENDPOINT:
	case EG_CONTENT_EXTENSIONS:
	case EG_CONTENT_SOURCE_ROUTE:
	case EG_CONTENT_SOURCE:
	case EG_CONTENT_VLAN:
	case EG_CONTENT_QINQ:
	case EG_CONTENT_NOT_IP:
		put_udp(writer, probe);
		return;
	}
}

/* --- IP -------------------------------------------------------------------------------------- */

static void put_ipv4(struct writer *writer, const struct eg_probe *probe)
{
	const bool routed = probe->content == EG_CONTENT_SOURCE_ROUTE;
	__u8 route[8] = {EG_IPV4_OPT_LSRR, 7, 4};
	const size_t at = writer->len, header_len = sizeof(struct eg_ipv4) + (routed ? 8 : 0);
	struct eg_ipv4 ip = {
		.version_ihl = (__u8)(0x40 | header_len / 4),
		.ttl = TTL,
		.proto = transport_of(probe),
		.src_be = probe->src.v4_be,
		.dst_be = routed ? probe->via.v4_be : probe->dst.v4_be,
	};

	memcpy(&ip.id_be, probe->token, sizeof(ip.id_be));
	if (probe->content == EG_CONTENT_FRAGMENT)
		ip.frag_be = EG_BE16(FRAGMENT_AT);
	put(writer, &ip, sizeof(ip));
	if (routed) {
		memcpy(route + 3, probe->dst.bytes, 4);
		put(writer, route, sizeof(route));
	}
	put_transport(writer, probe);
	ip.total_len_be = EG_BE16(writer->len - at);
	memcpy(writer->bytes + at, &ip, sizeof(ip));
	ip.checksum_be = folded(sum(0, writer->bytes + at, header_len));
	memcpy(writer->bytes + at, &ip, sizeof(ip));
}

/* Extension headers in front of the transport; returns the first's number. */
static __u8 put_extensions(struct writer *writer, const struct eg_probe *probe)
{
	__u8 options[2][8] = {{EG_PROTO_DSTOPTS, 0, OPTION_PADN, 4},
			      {transport_of(probe), 0, OPTION_PADN, 4}};
	__u8 routing[24] = {transport_of(probe), 2, ROUTING_TYPE2, 1};
	__u8 fragment[8] = {transport_of(probe)};

	switch (probe->content) {
	case EG_CONTENT_EXTENSIONS:
		put(writer, options, sizeof(options));
		return EG_PROTO_HOPOPTS;
	case EG_CONTENT_SOURCE_ROUTE:
		memcpy(routing + 8, probe->dst.bytes, 16);
		put(writer, routing, sizeof(routing));
		return EG_PROTO_ROUTING;
	case EG_CONTENT_FRAGMENT:
		fragment[3] = FRAGMENT_AT << 3;
		memcpy(fragment + 4, probe->token, 4);
		put(writer, fragment, sizeof(fragment));
		return EG_PROTO_FRAGMENT;
	case EG_CONTENT_UDP:
	case EG_CONTENT_TCP:
	case EG_CONTENT_ECHO:
	case EG_CONTENT_BIG:
	case EG_CONTENT_DNS:
	case EG_CONTENT_WIREGUARD:
	case EG_CONTENT_ENDPOINT:
	case EG_CONTENT_SOURCE:
	case EG_CONTENT_VLAN:
	case EG_CONTENT_QINQ:
	case EG_CONTENT_NOT_IP:
		break;
	}
	return transport_of(probe);
}

static void put_ipv6(struct writer *writer, const struct eg_probe *probe)
{
	const bool routed = probe->content == EG_CONTENT_SOURCE_ROUTE;
	const size_t at = writer->len;
	struct eg_ipv6 ip = {.version_class_flow_be = EG_BE32(IPV6_VERSION), .hop_limit = TTL};

	memcpy(ip.src_be, probe->src.bytes, 16);
	memcpy(ip.dst_be, routed ? probe->via.bytes : probe->dst.bytes, 16);
	put(writer, &ip, sizeof(ip));
	ip.next_header = put_extensions(writer, probe);
	put_transport(writer, probe);
	ip.payload_len_be = EG_BE16(writer->len - at - sizeof(ip));
	memcpy(writer->bytes + at, &ip, sizeof(ip));
}

static void put_packet(struct writer *writer, const struct eg_probe *probe)
{
	if (probe->content == EG_CONTENT_NOT_IP)
		put_payload(writer, probe);
	else if (probe->family == EG_FAMILY_IPV4)
		put_ipv4(writer, probe);
	else
		put_ipv6(writer, probe);
}

size_t eg_probe_packet(const struct eg_probe *probe, __u8 to[EG_PROBE_MAX])
{
	struct writer writer = {.bytes = to};

	put_packet(&writer, probe);
	return writer.len;
}

/* --- frames ---------------------------------------------------------------------------------- */

static void put_ethernet(struct writer *writer, const struct eg_probe *probe, __u16 type)
{
	const __be16 type_be = EG_BE16(type);

	put(writer, probe->dst_mac, sizeof(probe->dst_mac));
	put(writer, probe->src_mac, sizeof(probe->src_mac));
	put(writer, &type_be, sizeof(type_be));
}

static void put_tag(struct writer *writer, __u16 type)
{
	const __be16 tag[2] = {EG_BE16(VLAN_ID), EG_BE16(type)};

	put(writer, tag, sizeof(tag));
}

size_t eg_probe_frame(const struct eg_probe *probe, __u8 to[EG_PROBE_MAX])
{
	const __u16 type = probe->family == EG_FAMILY_IPV4 ? EG_ETHERTYPE_IPV4 : EG_ETHERTYPE_IPV6;
	struct writer writer = {.bytes = to};

	if (probe->content == EG_CONTENT_NOT_IP) {
		put_ethernet(&writer, probe, EG_NOT_IP_TYPE);
	} else if (probe->content == EG_CONTENT_VLAN) {
		put_ethernet(&writer, probe, EG_ETHERTYPE_VLAN);
		put_tag(&writer, type);
	} else if (probe->content == EG_CONTENT_QINQ) {
		put_ethernet(&writer, probe, EG_ETHERTYPE_QINQ);
		put_tag(&writer, EG_ETHERTYPE_VLAN);
		put_tag(&writer, type);
	} else {
		put_ethernet(&writer, probe, type);
	}
	put_packet(&writer, probe);
	return writer.len;
}

void eg_probe_arp(const struct eg_probe *probe, const __u8 target[4], __u8 to[EG_ARP_FRAME_LEN])
{
	static const __u8 request[8] = {0, HARDWARE_ETH, EG_ETHERTYPE_IPV4 >> 8, 0, 6, 4,
					0, ARP_REQUEST};
	__u8 buffer[EG_PROBE_MAX];
	struct writer writer = {.bytes = buffer};

	put_ethernet(&writer, probe, EG_ETHERTYPE_ARP);
	put(&writer, request, sizeof(request));
	put(&writer, probe->src_mac, 6);
	put(&writer, probe->src.bytes, 4);
	put(&writer, (const __u8[6]){}, 6);
	put(&writer, target, 4);
	put(&writer, probe->token, EG_TOKEN_LEN);
	memset(to, 0, EG_ARP_FRAME_LEN);
	memcpy(to, buffer, writer.len < EG_ARP_FRAME_LEN ? writer.len : EG_ARP_FRAME_LEN);
}

/* --- known again ------------------------------------------------------------------------------ */

void eg_token_make(__u8 token[EG_TOKEN_LEN], const __u8 run[EG_TOKEN_RUN_LEN], __u32 number)
{
	const __be32 number_be = EG_BE32(number);

	memcpy(token, run, EG_TOKEN_RUN_LEN);
	memcpy(token + EG_TOKEN_RUN_LEN, &number_be, sizeof(number_be));
}

bool eg_token_find(const __u8 run[EG_TOKEN_RUN_LEN], const __u8 *frame, size_t len,
		   __u32 *ret_number)
{
	__be32 number_be;

	for (size_t i = 0; i + EG_TOKEN_LEN <= len; i++) {
		if (memcmp(frame + i, run, EG_TOKEN_RUN_LEN) != 0)
			continue;
		memcpy(&number_be, frame + i + EG_TOKEN_RUN_LEN, sizeof(number_be));
		*ret_number = EG_FROM_BE32(number_be);
		return true;
	}
	return false;
}

bool eg_probe_has_ports(const struct eg_probe *probe, const __u8 *frame, size_t len)
{
	const __be16 ports[2] = {EG_BE16(probe->sport), EG_BE16(probe->dport)};

	for (size_t i = 0; i + sizeof(ports) <= len; i++) {
		if (memcmp(frame + i, ports, sizeof(ports)) == 0)
			return true;
	}
	return false;
}
