/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Endpoints that are given by a host's name: their addresses, as we are told them outside the
 * namespace, and the time in which the namespace may ask for them itself (--bootstrap-dns).
 */
#ifndef EG_NAMES_H
#define EG_NAMES_H

#include "kern/guard.h"
#include "net/survey.h"
#include "policy/policy.h"

/* Moves those of policy->endpoints to policy->derived.names. -ENOMEM. */
int eg_names_take(struct eg_policy *policy);

/*
 * Adds the addresses of policy->derived.names to policy->derived.endpoints: as one of the resolvers
 * of --bootstrap-dns says, asked from our own namespace; where none of them answers, or there is
 * none, as this machine's own does, which is then a warning. Never by way of the guarded namespace:
 * whoever is root in there could answer.
 *
 * A name that cannot be resolved is a failure; `unattended` it is a warning, and what was known of
 * it in `in_force` (NULL: none) stays. Then, too, earlier addresses stay beside later ones, up to a
 * bound: answers that take turns must not move the endpoint from under a running tunnel.
 */
int eg_names_resolve(struct eg_policy *policy, const struct eg_policy *in_force, bool unattended,
		     struct eg_text *warnings, struct eg_error *error);

/* Whether the namespace may ever ask for a name by this policy. */
bool eg_names_are_asked(const struct eg_policy *policy);

/* How long one that nobody follows may ask, from `attach` on. */
#define EG_NAMES_ALONE_MS 300000U
/* How long before whoever follows it must say so again. */
#define EG_NAMES_KEPT_MS 10000U

/*
 * Lets the namespace ask for `ms` from now on if none of its tunnels has had a handshake lately,
 * and else no more. *ret_open: which of both. A tunnel that cannot be asked has had none.
 */
int eg_names_tend(struct eg_guard *guard, const struct eg_netns *netns,
		  const struct eg_policy *policy, unsigned int ms, bool *ret_open);

#endif /* EG_NAMES_H */
