/* SPDX-License-Identifier: GPL-2.0 */
/* Which row of the decision table applies to a packet of this policy, and why. PURE. */
#ifndef EG_EXPLAIN_H
#define EG_EXPLAIN_H

#include "eg_packet.h"
#include "policy/image.h"

struct eg_explanation {
	enum eg_reason reason;
	enum eg_verdict verdict; /* would-drop in audit mode */
	unsigned int row;        /* of the decision table in egressguard(8) */
	char why[512];           /* "192.168.1.5 is inside 192.168.0.0/16 (LAN)" */
	char hint[512];          /* what to do if that is not wanted, or empty */
};

/*
 * A packet as a person thinks of it: `proto` and a destination. The source is taken to be the
 * namespace's own (row 6 never applies), the payload to be WireGuard's where `wireguard` is true.
 */
struct eg_question {
	__u8 family;
	__u8 proto;
	union eg_addr dst;
	__u16 dport; /* host order; 0 where the protocol has no ports */
	bool wireguard;
	bool bootstrap;
};

/* PROTO DEST[:PORT], as `egressguard explain` has them: tcp, udp, icmp, icmpv6, a name or number of
 * another protocol, `wireguard` for a WireGuard packet over UDP, or `bootstrap` for a question for
 * an endpoint's name while there is no tunnel; port 53 then, if none is given. */
int eg_question_parse(const char *proto, const char *dest, struct eg_question *ret_question,
		      struct eg_error *error);

/* What the image decides of the question, and what may be said of that. `policy` is what the image
 * was compiled from. */
void eg_explain(const struct eg_policy *policy, const struct eg_image *image,
		const struct eg_question *question, struct eg_explanation *ret_explanation);

/* The whole decision on the host: the same function the kernel runs, over an image. `frame_bytes`
 * starts with an Ethernet header if `link_header`. Fills ret_packet. */
struct eg_host_frame {
	const __u8 *bytes;
	__u32 captured; /* bytes in `bytes`; length may be more */
	__u32 length;
	__u32 gso_size;
	__u32 checksum_start;
	__u32 checksum_offset;
	__u8 link_header;
	__u8 vlan_tags;
	__u8 checksum_pending;
	__u8 names_open; /* there is no tunnel yet: an endpoint's name may be asked for */
};
enum eg_reason eg_image_judge(const struct eg_image *image, const struct eg_host_frame *frame,
			      struct eg_packet *ret_packet);

/* A short advice for people who stumble on this reason at this address ("Tailscale? --allow
 * 100.64.0.0/10"), or NULL. */
const char *eg_reason_hint(enum eg_reason reason, __u8 family, const union eg_addr *dst);

extern const char *const eg_reason_names[EG_REASON_COUNT];
extern const char *const eg_reason_sentences[EG_REASON_COUNT];
extern const char *const eg_layer_names[EG_LAYER_COUNT];
extern const char *const eg_verdict_names[3];
/* -EINVAL if there is none of that name */
int eg_reason_parse(const char *name);

#endif /* EG_EXPLAIN_H */
