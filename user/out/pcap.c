// SPDX-License-Identifier: GPL-2.0
/*
 * Blocked packets as a pcapng file (IETF draft-ietf-opsawg-pcapng). One interface of link type
 * Ethernet: readers refuse a file that mixes link types, so a packet of an interface without a
 * link-layer header gets one of zero addresses. Each packet's reason and layer are its comment.
 */
#include <errno.h>
#include <string.h>

#include "eg_packet.h"
#include "out/format.h"
#include "out/render.h"

#define BLOCK_SECTION   0x0a0d0d0aU
#define BLOCK_INTERFACE 1U
#define BLOCK_PACKET    6U
#define BYTE_ORDER_MARK 0x1a2b3c4dU
#define LINK_ETHERNET   1
#define OPTION_COMMENT  1
#define OPTION_TSRESOL  9

struct section_block {
	__u32 type, length, byte_order;
	__u16 major, minor;
	__s64 section_length;
	__u32 length_again;
} __attribute__((packed));

struct interface_block {
	__u32 type, length;
	__u16 link_type, reserved;
	__u32 snap_len;
	__u16 tsresol_code, tsresol_len;
	__u8 tsresol, pad[3];
	__u32 end_of_options;
	__u32 length_again;
} __attribute__((packed));

struct packet_block {
	__u32 type, length, interface;
	__u32 time_high, time_low;
	__u32 captured, original;
} __attribute__((packed));

static int put(FILE *to, const void *bytes, size_t len)
{
	errno = 0;
	if (fwrite(bytes, 1, len, to) != len)
		return errno ? -errno : -EIO;
	return 0;
}

int eg_pcap_start(FILE *to)
{
	const struct section_block section = {
		.type = BLOCK_SECTION,
		.length = sizeof(section),
		.byte_order = BYTE_ORDER_MARK,
		.major = 1,
		.section_length = -1,
		.length_again = sizeof(section),
	};
	const struct interface_block interface = {
		.type = BLOCK_INTERFACE,
		.length = sizeof(interface),
		.link_type = LINK_ETHERNET,
		.snap_len = sizeof(struct eg_ethernet) + EG_SNAP_LEN,
		.tsresol_code = OPTION_TSRESOL,
		.tsresol_len = 1,
		.tsresol = 9, /* nanoseconds */
		.length_again = sizeof(interface),
	};
	int result = put(to, &section, sizeof(section));

	return result < 0 ? result : put(to, &interface, sizeof(interface));
}

static size_t padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

/* The frame's beginning, with a header if it has none. */
static size_t copy_frame(const struct eg_event *event, __u8 *to)
{
	size_t len = event->snap_len < EG_SNAP_LEN ? event->snap_len : EG_SNAP_LEN;
	size_t header_len = 0;

	if (!event->link_header) {
		struct eg_ethernet header = {.type_be = event->ethertype_be};

		memcpy(to, &header, sizeof(header));
		header_len = sizeof(header);
	}
	memcpy(to + header_len, event->snap, len);
	return header_len + len;
}

static size_t add_comment(const struct eg_event *event, __u8 *to)
{
	char comment[96];
	__u16 option[2] = {OPTION_COMMENT};
	int len = snprintf(comment, sizeof(comment), "%s %s, layer %s",
			   event->verdict < 3 ? eg_verdict_names[event->verdict] : "?",
			   event->reason < EG_REASON_COUNT ? eg_reason_names[event->reason] : "?",
			   event->layer < EG_LAYER_COUNT ? eg_layer_names[event->layer] : "?");

	if (len >= (int)sizeof(comment))
		len = sizeof(comment) - 1;
	option[1] = (__u16)len;
	memcpy(to, option, sizeof(option));
	memcpy(to + sizeof(option), comment, (size_t)len);
	return sizeof(option) + padded((size_t)len);
}

int eg_pcap_event(const struct eg_event_view *view, FILE *to)
{
	const struct eg_event *event = view->event;
	__u8 bytes[sizeof(struct packet_block) + sizeof(struct eg_ethernet) + EG_SNAP_LEN + 160] =
		{};
	struct packet_block block = {
		.type = BLOCK_PACKET,
		.time_high = (__u32)(view->realtime_ns >> 32),
		.time_low = (__u32)view->realtime_ns,
		.original = event->length +
			    (event->link_header ? 0 : (__u32)sizeof(struct eg_ethernet)),
	};
	size_t at = sizeof(block);

	if (eg_event_is_connect(event))
		return 0; /* no packet was made yet */
	block.captured = (__u32)copy_frame(event, bytes + at);
	if (block.original < block.captured)
		block.original = block.captured;
	at += padded(block.captured);
	at += add_comment(event, bytes + at);
	at += sizeof(__u32); /* end of options */
	block.length = (__u32)(at + sizeof(__u32));
	memcpy(bytes, &block, sizeof(block));
	memcpy(bytes + at, &block.length, sizeof(__u32));
	return put(to, bytes, block.length);
}
