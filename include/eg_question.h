/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whether a packet asks for an endpoint's address by its name, and does nothing else: one DNS
 * question over UDP, for one of the policy's names, of type A or AAAA. Compiled for the kernel and
 * for the host.
 *
 * Nothing in such a packet may carry more than that: no options of IP, no extension header, no
 * fragment, no byte between the UDP length and the packet's end, no second question, no record but
 * an OPT (RFC 6891) without options, which resolvers of libc send. What is left to the sender's
 * choice is what any packet has (ports, identifiers, TTL) and the case of the name's letters, which
 * careful resolvers draw by lot (0x20).
 *
 * Whoever includes this file gives it eg_frame_copy(), of eg_parse.h.
 */
#ifndef EG_QUESTION_H
#define EG_QUESTION_H

#include "eg_parse.h"

/* RFC 1035, 4.1.1. RD, AD (RFC 6840) and CD may be set, and nothing else. */
struct eg_dns_header {
	__be16 id_be;
	__be16 flags_be;
	__be16 questions_be;
	__be16 answers_be;
	__be16 authorities_be;
	__be16 additionals_be;
} EG_WIRE;

#define EG_DNS_FLAGS_FREE 0x0130

/* What follows the name. */
struct eg_dns_kind {
	__be16 type_be;
	__be16 class_be;
} EG_WIRE;

/* RFC 6891, 6.1.2: the size of an answer that is welcome, and whether DNSSEC is (DO). */
struct eg_dns_opt {
	__u8 root;
	__be16 type_be;
	__be16 size_be;
	__u8 extended_rcode;
	__u8 version;
	__be16 flags_be;
	__be16 options_len_be;
} __attribute__((packed));
_Static_assert(sizeof(struct eg_dns_opt) == 11, "as on the wire, whatever the alignment");

#define EG_DNS_OPT_DO 0x8000

/* The longest frame that could be one: Ethernet, two tags, IPv6, UDP. */
#define EG_QUESTION_FRAME_MAX                                                                      \
	(14 + 8 + 40 + 8 + sizeof(struct eg_dns_header) + EG_QNAME_MAX +                           \
	 sizeof(struct eg_dns_kind) + sizeof(struct eg_dns_opt))

/* Where the message begins, and how long it is; 0: this is none, or comes with something else. */
EG_INLINE __u32 eg_question_find(const struct eg_frame *frame, __u32 offset, __u32 family,
				 __u32 *ret_at)
{
	struct eg_udp udp;
	__u32 room;

	if (frame->gso_size)
		return 0;
	if (family == EG_FAMILY_IPV4) {
		struct eg_ipv4 ip;

		if (eg_frame_copy(frame, offset, sizeof(ip), &ip) < 0 || ip.version_ihl != 0x45 ||
		    (ip.frag_be & ~EG_BE16(0x4000)) || ip.proto != EG_PROTO_UDP)
			return 0;
		room = EG_FROM_BE16(ip.total_len_be) - (__u32)sizeof(ip);
		offset += sizeof(ip);
	} else {
		struct eg_ipv6 ip;

		if (eg_frame_copy(frame, offset, sizeof(ip), &ip) < 0 ||
		    ip.next_header != EG_PROTO_UDP)
			return 0;
		room = EG_FROM_BE16(ip.payload_len_be);
		offset += sizeof(ip);
	}
	if (eg_frame_copy(frame, offset, sizeof(udp), &udp) < 0 ||
	    EG_FROM_BE16(udp.len_be) != room || room < sizeof(udp))
		return 0;
	*ret_at = offset + (__u32)sizeof(udp);
	return room - (__u32)sizeof(udp);
}

/* How many records follow the question, 0 or 1; else the message is something else. */
EG_INLINE int eg_question_header(const struct eg_frame *frame, __u32 at)
{
	struct eg_dns_header header;

	if (eg_frame_copy(frame, at, sizeof(header), &header) < 0 ||
	    (header.flags_be & ~EG_BE16(EG_DNS_FLAGS_FREE)) || header.questions_be != EG_BE16(1) ||
	    header.answers_be || header.authorities_be || (header.additionals_be & ~EG_BE16(1)))
		return -1;
	return header.additionals_be != 0;
}

/* Type and class, and what may follow them. */
EG_INLINE int eg_question_ends(const struct eg_frame *frame, __u32 at, int records)
{
	struct eg_dns_kind kind;
	struct eg_dns_opt opt;

	if (eg_frame_copy(frame, at, sizeof(kind), &kind) < 0 ||
	    (kind.type_be != EG_BE16(EG_DNS_TYPE_A) && kind.type_be != EG_BE16(EG_DNS_TYPE_AAAA)) ||
	    kind.class_be != EG_BE16(EG_DNS_CLASS_IN))
		return 0;
	if (!records)
		return 1;
	return eg_frame_copy(frame, at + sizeof(kind), sizeof(opt), &opt) == 0 && !opt.root &&
	       opt.type_be == EG_BE16(EG_DNS_TYPE_OPT) && !opt.extended_rcode && !opt.version &&
	       !(opt.flags_be & ~EG_BE16(EG_DNS_OPT_DO)) && !opt.options_len_be;
}

EG_INLINE int eg_question_is_name(const struct eg_frame *frame, __u32 at, __u32 len,
				  const struct eg_bootstrap_name *name)
{
	__u32 word;

	for (__u32 i = 0; i < EG_QNAME_WORDS; i++) {
		if (i * 4 + 4 > len)
			break;
		if (eg_frame_copy(frame, at + i * 4, sizeof(word), &word) < 0 ||
		    (word | name->fold[i]) != name->words[i])
			return 0;
	}
	return eg_frame_copy(frame, at + len - 4, sizeof(word), &word) == 0 &&
	       (word | name->tail_fold) == name->tail;
}

/* Whether the packet with its IP header at `offset` asks for this name, to the byte. */
EG_INLINE int eg_question_asks(const struct eg_frame *frame, __u32 offset, __u32 family,
			       const struct eg_bootstrap_name *name)
{
	__u32 at = 0, len = eg_question_find(frame, offset, family, &at);
	__u32 name_len = name->len, expected;
	int records;

	if (!len || name_len < EG_QNAME_MIN || name_len > EG_QNAME_MAX)
		return 0;
	at = eg_forget(at, name_len);
	len = eg_forget(len, name_len);
	records = eg_question_header(frame, at);
	if (records < 0)
		return 0;
	expected = (__u32)(sizeof(struct eg_dns_header) + sizeof(struct eg_dns_kind)) + name_len;
	if (records)
		expected += (__u32)sizeof(struct eg_dns_opt);
	if (len != expected)
		return 0;
	at = eg_forget(at + (__u32)sizeof(struct eg_dns_header), name_len);
	name_len = eg_forget(name_len, at);
	return eg_question_ends(frame, at + name_len, records) &&
	       eg_question_is_name(frame, at, name_len, name);
}

#endif /* EG_QUESTION_H */
