// SPDX-License-Identifier: GPL-2.0
/* The tables and the frame that eg_decide.h and eg_parse.h ask for, as plain memory. */
#include "policy/judge.h"

#include <string.h>

#include "policy/explain.h"

struct eg_frame {
	const __u8 *bytes;
	__u32 captured;
	__u32 length;
	__u32 gso_size;
	__u64 checksum;
	__u8 link_header;
	__u8 vlan_tags;
};

struct eg_tables {
	const struct eg_case *asked;
	const struct eg_packet *packet;
	bool names_open; /* an endpoint's name may be asked for now */
};

#include "eg_decide.h"
#include "eg_plain.h"

static inline const void *eg_frame_at(const struct eg_frame *frame, __u32 offset, const __u32 len)
{
	if (offset > frame->captured || len > frame->captured - offset)
		return NULL;
	return frame->bytes + offset;
}

static inline int eg_frame_copy(const struct eg_frame *frame, __u32 offset, const __u32 len,
				void *to)
{
	const void *from = eg_frame_at(frame, offset, len);

	if (!from)
		return -1;
	memcpy(to, from, len);
	return 0;
}

EG_INLINE const void *eg_frame_peek(const struct eg_frame *frame, const __u32 len)
{
	return eg_frame_at(frame, 0, len);
}

static __u32 front_flags(const struct eg_image *image, __u8 family, const union eg_addr *addr)
{
	if (family == EG_FAMILY_IPV4)
		return image->front4->flags[EG_FROM_BE32(addr->v4_be) >> 16];
	return eg_front6_flags(image->front6, addr) & ~EG_FRONT6_ON_LINK;
}

static inline struct eg_fronts eg_table_fronts(const struct eg_tables *tables,
					       const struct eg_packet *pkt)
{
	return (struct eg_fronts){
		.src = front_flags(tables->asked->image, pkt->family, &pkt->src),
		.dst = front_flags(tables->asked->image, pkt->family, &pkt->dst),
	};
}

static inline struct eg_addr_value eg_table_addr(const struct eg_tables *tables, __u8 family,
						 const union eg_addr *addr)
{
	if (addr == &tables->packet->src && tables->asked->src)
		return *tables->asked->src;
	if (addr == &tables->packet->dst && tables->asked->dst)
		return *tables->asked->dst;
	return eg_image_addr(tables->asked->image, family, addr);
}

static inline int eg_table_endpoint(const struct eg_tables *tables, __u8 family,
				    const union eg_addr *addr, __be16 port_be)
{
	return eg_image_endpoint(tables->asked->image, family, addr, EG_FROM_BE16(port_be));
}

static inline int eg_table_rule(const struct eg_tables *tables, __u32 rule_set, __u8 proto,
				__be16 port_be)
{
	return eg_image_rule(tables->asked->image, rule_set, proto, EG_FROM_BE16(port_be));
}

static inline int eg_table_asks(const struct eg_tables *tables, const struct eg_frame *frame,
				__u32 offset, __u32 family)
{
	const struct eg_bootstrap *known = &tables->asked->image->bootstrap;

	for (size_t i = 0; tables->names_open && i < EG_BOOTSTRAP_NAMES; i++)
		if (known->names[i].len &&
		    eg_question_asks(frame, offset, family, &known->names[i]))
			return 1;
	return 0;
}

static const struct eg_config *case_config(const struct eg_case *asked)
{
	return asked->config ? asked->config : &asked->image->config;
}

enum eg_reason eg_case_decide(const struct eg_case *asked, const struct eg_packet *packet)
{
	struct eg_tables tables = {.asked = asked, .packet = packet};

	return eg_decide(packet, case_config(asked), &tables);
}

static struct eg_frame frame_of(const struct eg_host_frame *host)
{
	return (struct eg_frame){
		.bytes = host->bytes,
		.captured = host->captured < host->length ? host->captured : host->length,
		.length = host->length,
		.gso_size = host->gso_size,
		.checksum = host->checksum_pending ? EG_CHECKSUM_PENDING(host->checksum_start,
									 host->checksum_offset)
						   : 0,
		.link_header = host->link_header,
		.vlan_tags = host->vlan_tags,
	};
}

enum eg_reason eg_image_judge(const struct eg_image *image, const struct eg_host_frame *host,
			      struct eg_packet *ret_packet)
{
	struct eg_case asked = {.image = image};
	struct eg_tables tables = {
		.asked = &asked, .packet = ret_packet, .names_open = host->names_open};
	struct eg_frame frame = frame_of(host);

	memset(ret_packet, 0, sizeof(*ret_packet));
	return eg_judge(&frame, case_config(&asked), &tables, ret_packet);
}

int eg_image_judge_plain(const struct eg_image *image, const struct eg_host_frame *host,
			 struct eg_packet *ret_packet)
{
	struct eg_case asked = {.image = image};
	struct eg_tables tables = {.asked = &asked, .packet = ret_packet};
	struct eg_frame frame = frame_of(host);

	memset(ret_packet, 0, sizeof(*ret_packet));
	if (!host->link_header)
		return EG_NOT_PLAIN;
	return eg_judge_plain(&frame, case_config(&asked), &tables, ret_packet);
}

bool eg_proto_is_plain(__u8 family, __u8 proto)
{
	struct eg_packet packet = {.family = family, .proto = proto};

	return eg_is_plain_transport(&packet);
}
