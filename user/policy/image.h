/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The policy compiled to what the maps hold, and the difference between two of them. PURE.
 *
 * text -> struct eg_policy -> struct eg_image -> maps (kern/), and for `explain`, the tests and the
 * "is it wider?" of attach, the same image answers eg_decide() on the host.
 */
#ifndef EG_IMAGE_H
#define EG_IMAGE_H

#include "policy/policy.h"

struct eg_image_addr {
	struct eg_prefix prefix;
	struct eg_addr_value value;
};

struct eg_image_rule {
	__u32 rule_set;
	__u16 port; /* host order; 0: any */
	__u8 proto;
};

struct eg_image_endpoint {
	union eg_addr addr;
	__u16 port; /* host order */
	__u8 family;
};

/* Sorted (addrs by eg_prefix_compare(), rules and endpoints by all their members), without
 * duplicates: two policies that mean the same give the same image. */
struct eg_image {
	struct eg_config config; /* active_since_ns is 0 */
	struct eg_image_addr *addrs;
	size_t n_addrs;
	struct eg_image_rule *rules;
	size_t n_rules;
	struct eg_image_endpoint *endpoints;
	size_t n_endpoints;
	struct eg_front4 *front4;
	struct eg_front6 *front6;
	struct eg_bootstrap bootstrap; /* sorted; none unless there is a resolver to be asked */
	struct eg_tunnels tunnels; /* in the policy's order; eg_image_compare() leaves them out */
};

/*
 * Fails with EG_EXIT_USAGE where the policy makes no sense: an endpoint whose host is not resolved,
 * more prefixes than EG_MAX_PREFIXES, a rule that only repeats itself is fine.
 * 100,000 prefixes take well under a second: sort, then one pass with a stack of covering prefixes.
 */
int eg_image_compile(const struct eg_policy *policy, struct eg_image **ret_image,
		     struct eg_error *error);
void eg_image_free(struct eg_image *image);
static inline void eg_image_freep(struct eg_image **image)
{
	eg_image_free(*image);
}
#define EG_AUTO_IMAGE __attribute__((cleanup(eg_image_freep)))

/* Makes front4 and front6 from `addrs`. -ENOMEM. */
int eg_image_fill_fronts(struct eg_image *image);

/* How many of `addrs` do not sort after the prefix. */
size_t eg_image_up_to(const struct eg_image *image, const struct eg_prefix *prefix);

/* What front6 says, with EG_FRONT6_ON_LINK; EG_ADDR_ASK: that it does not know. */
__u32 eg_front6_flags(const struct eg_front6 *front, const union eg_addr *addr);

/* Longest-prefix match, as the kernel's tries do it; zero where nothing matches. */
struct eg_addr_value eg_image_addr(const struct eg_image *image, __u8 family,
				   const union eg_addr *addr);
bool eg_image_endpoint(const struct eg_image *image, __u8 family, const union eg_addr *addr,
		       __u16 port);
bool eg_image_rule(const struct eg_image *image, __u32 rule_set, __u8 proto, __u16 port);

/* The rules of one set, which stay the image's; *ret_n is 0 where there are none. */
const struct eg_image_rule *eg_image_rule_set(const struct eg_image *image, __u32 rule_set,
					      size_t *ret_n);

/* The order of struct eg_image_endpoint, for qsort(3). */
int eg_image_endpoint_compare(const void *a, const void *b);

/* How a new image differs from the one in force. One line a difference, in the user's terms
 * ("allows 100.64.0.0/10", "no longer denies 192.168.1.1", "audit: drops pass"). */
struct eg_image_diff {
	bool same;
	bool wider; /* at least one packet may leave that could not before */
	struct eg_text widened;
	struct eg_text narrowed;
};

/* Semantic and conservative: it may call wider what is not (a prefix wholly covered by longer
 * ones), never the reverse. Lines beyond 50 are counted, not listed. */
int eg_image_compare(const struct eg_image *from, const struct eg_image *to,
		     struct eg_image_diff *ret_diff);
void eg_image_diff_free(struct eg_image_diff *diff);

#endif /* EG_IMAGE_H */
