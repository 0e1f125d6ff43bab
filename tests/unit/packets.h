/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames and policies for tests: built from a sketch by hand, or at random from a seed. The same
 * seed gives the same sequence everywhere.
 */
#ifndef EG_TESTS_PACKETS_H
#define EG_TESTS_PACKETS_H

#include "policy/explain.h"
#include "policy/policy.h"

/* --- random numbers (splitmix64) ------------------------------------------------------------- */

struct packets_random {
	__u64 state; /* the seed */
};
__u64 packets_next(struct packets_random *random);
/* 0 to n - 1; n > 0 */
__u32 packets_below(struct packets_random *random, __u32 n);
bool packets_chance(struct packets_random *random, __u32 percent);

/* --- frames by hand -------------------------------------------------------------------------- */

#define PACKETS_ROOM     70000
#define PACKETS_EXTS_MAX 12

struct packets_frame {
	struct eg_host_frame host; /* host.bytes is `bytes` */
	__u8 bytes[PACKETS_ROOM];
};

/*
 * What a frame shall be. Zero members mean the ordinary thing: an untagged Ethernet frame with a
 * whole packet whose lengths are right; ttl 64.
 */
struct packets_sketch {
	bool no_link_header;
	__u8 vlan_aside; /* tags that the kernel keeps apart from the bytes */
	__u8 vlan_tags;  /* tags in the bytes */
	__u16 ethertype; /* 0: by family */
	__u8 family;     /* EG_FAMILY_NONE: the payload follows the link-layer header */
	const char *src; /* text; NULL: src_addr */
	const char *dst; /* text; NULL: dst_addr */
	union eg_addr src_addr, dst_addr;
	__u8 proto;
	__u8 ttl;
	__u8 options[40];            /* IPv4 */
	__u8 n_options;              /* bytes, a multiple of 4 */
	__u8 exts[PACKETS_EXTS_MAX]; /* IPv6: extension headers' types, each of eight bytes */
	__u8 n_exts;
	enum eg_fragment
		fragment;     /* IPv6: in the fragment header among exts, or in one at the end */
	bool atomic_fragment; /* IPv6: a fragment header on a whole packet */
	__u16 sport, dport;
	__u8 tcp_flags;
	__u8 icmp_type, icmp_code;
	const char *asks;  /* a name that a DNS question asks for, before the payload; or NULL */
	__u16 asks_type;   /* 0: A */
	bool asks_opt;     /* with an OPT record */
	bool names_closed; /* there is a tunnel */
	__u8 payload[4];   /* its first bytes; the rest is zero */
	__u32 payload_len; /* what follows the transport's header */
	__u32 gso_size;
	bool checksum_pending; /* at the transport's checksum field */
};
void packets_build(const struct packets_sketch *sketch, struct packets_frame *ret_frame);

/* --- at random ------------------------------------------------------------------------------- */

/* What a frame may have that not every way to inject one can carry. */
enum packets_feature {
	PACKETS_NO_LINK_HEADER = 1 << 0,
	PACKETS_VLAN_ASIDE = 1 << 1,
	PACKETS_GSO = 1 << 2,
	PACKETS_CHECKSUM = 1 << 3,
	PACKETS_BIG = 1 << 4,       /* over 64 KiB, with gso_size */
	PACKETS_TRUNCATED = 1 << 5, /* cut anywhere, else only lengths in headers lie */
	PACKETS_ALL = (1 << 6) - 1,
};

/* A policy file's text, with [Derived] if wanted; a mistake in it ends the test. The caller frees.
 */
struct eg_policy *packets_policy(const char *text);

/* What is compiled of it; one that cannot be compiled ends the test. The caller frees. */
struct eg_image *packets_compile(const struct eg_policy *policy);
struct eg_image *packets_image(const char *text);

/* The caller frees. Small, with prefixes that overlap, so that rows meet. */
struct eg_policy *packets_random_policy(struct packets_random *random);

/* Makes `policy` a little wider, narrower or just different. */
void packets_change_policy(struct packets_random *random, struct eg_policy *policy);

/* A copy of what an image is made from: without target, tunnels and the like. */
struct eg_policy *packets_copy_policy(const struct eg_policy *policy);

/* An address that the policy has something to say of: in one of its prefixes, at the edge of one,
 * or beside it. */
union eg_addr packets_random_addr(struct packets_random *random, const struct eg_policy *policy,
				  __u8 family);

/* A frame that is likely to reach any row under `policy`; a part of them is damaged. */
void packets_random_frame(struct packets_random *random, const struct eg_policy *policy,
			  unsigned int features, struct packets_frame *ret_frame);

#endif /* EG_TESTS_PACKETS_H */
