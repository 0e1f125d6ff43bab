/* SPDX-License-Identifier: GPL-2.0 */
/* What a namespace has: its declared tunnels, and its underlays with the host-side ends of their
 * veths. `attach` covers what this says; `status` compares with it. */
#ifndef EG_SURVEY_H
#define EG_SURVEY_H

#include "net/link.h"
#include "net/wireguard.h"

struct eg_tunnel {
	struct eg_link link;
	enum eg_tunnel_kind kind; /* EG_TUNNEL_KERNEL or EG_TUNNEL_USERSPACE */
};

struct eg_underlay {
	struct eg_link link;
	bool has_peer; /* a veth whose other end is in another namespace that we can reach */
	struct eg_peer peer;
	bool by_others; /* it leads nowhere but to other interfaces here, and needs no peer */
};

/* Owns what it points to. Indexes ascend. */
struct eg_survey {
	struct eg_tunnel *tunnels;
	size_t n_tunnels;
	struct eg_underlay *underlays;
	size_t n_underlays;
	/* The user has said that `device` alone is enough: what it is on holds nobody inside who
	 * could change an address. Set by who knows. */
	bool device_alone_accepted;
};
void eg_survey_free(struct eg_survey *survey);
#define EG_AUTO_SURVEY __attribute__((cleanup(eg_survey_free)))

/*
 * An interface is a tunnel if the policy (NULL: none) declares it and it really is one
 * (eg_tunnel_kind()); every other one except loopback is an underlay, a veth called wg0 and an
 * undeclared WireGuard device among them.
 */
int eg_survey_take(const struct eg_netns *netns, const struct eg_policy *policy,
		   struct eg_survey *ret_survey, struct eg_error *error);

/* The same, for who does not ask again in vain: root inside can give interfaces other names all the
 * time. Where the list does not come to rest, nothing is taken for a tunnel. */
int eg_survey_take_anyway(const struct eg_netns *netns, const struct eg_policy *policy,
			  struct eg_survey *ret_survey, struct eg_error *error);

#endif /* EG_SURVEY_H */
