/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The OUTPUT chain that the hooks of a wg0.conf leave behind once the tunnel is up, rule by rule in
 * the order in which a packet meets them. PURE.
 */
#ifndef EG_WGCHAIN_H
#define EG_WGCHAIN_H

#include "policy/wgrule.h"

struct eg_wgchain {
	struct eg_wgrule *rules;
	size_t n_rules;
	bool policy_drops; /* -P OUTPUT DROP, the last rule as it were */
	const struct eg_wgop *policy_op;
	const struct eg_wgop *unsure; /* something that may or may not be in force, NULL */
	unsigned int n_inside;        /* chains that OUTPUT jumps to */
};

/* 0 or -ENOMEM. */
int eg_wgchain_read(const struct eg_wghooks *hooks, __u8 family, const char *ifname,
		    struct eg_wgchain *ret_chain);
void eg_wgchain_free(struct eg_wgchain *chain);
#define EG_AUTO_WGCHAIN __attribute__((cleanup(eg_wgchain_free)))

#endif /* EG_WGCHAIN_H */
