/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What `attach` learns for itself and adds to the user's policy: the tunnel's name, its endpoints,
 * its own subnets and DNS servers, and the underlays' addresses. What the namespace says may narrow
 * the policy; it widens it nowhere, but for the live endpoint (where the user named none) and, on
 * an underlay whose far end we cannot see, the addresses of the interface.
 */
#ifndef EG_DERIVE_H
#define EG_DERIVE_H

#include "net/survey.h"
#include "net/target.h"
#include "policy/policy.h"

/*
 * `netns` may be EG_NETNS_NONE: nothing is there then. Where the policy names no tunnel: that of
 * the policy in force (NULL: none); else the one WireGuard interface that the namespace has, or
 * `wg0` if it has none yet. Fails if there are two, if the one in force is away and another one is
 * there, or if a named one is something else; warns of WireGuard that nobody declared.
 *
 * `unattended`: only warns of all that. What is no tunnel is judged as if it left in the clear, and
 * the guard is not kept away by whoever is root inside.
 */
int eg_derive_tunnels(const struct eg_netns *netns, const struct eg_policy *in_force,
		      bool unattended, struct eg_policy *policy, struct eg_text *warnings,
		      struct eg_error *error);

/* Who takes the live tunnel's endpoints, and on what terms. */
enum eg_derive_terms {
	EG_DERIVE_BY_HAND, /* a person says that what is there now is right; some must be known */
	/* Nobody looks on. There may be none yet, and then the first ones that the tunnel knows are
	 * taken; after that they are those in force, and follow their peers. */
	EG_DERIVE_UNATTENDED,
	/* The same, and nothing runs in the namespace yet: what a container has inside, under
	 * /proc/PID/root, is still the host's. */
	EG_DERIVE_STARTING,
};

/*
 * Fills policy->derived. With no namespace in `target`, of the policy's own words alone. `in_force`
 * is the policy that this namespace's guard enforces now, or NULL: what it derived stays (its
 * tunnel-only prefixes always, its endpoints if none can be learned now), so that attaching again
 * while the tunnel is down takes nothing away. `warnings` gets one line for each thing the user
 * should know.
 */
int eg_derive(const struct eg_target *target, const struct eg_survey *survey,
	      const struct eg_policy *in_force, enum eg_derive_terms terms,
	      struct eg_policy *policy, struct eg_text *warnings, struct eg_error *error);

/* Whether a policy in force has the live tunnel's endpoints, or would have if they were known; not
 * where a person or a file named them. */
bool eg_derive_follows_peers(const struct eg_policy *policy);

/*
 * Whether the live tunnel would now give other endpoints, unattended, than the policy in force has:
 * a known peer has moved, or there were none and some are known now. False where it cannot be told.
 */
bool eg_derive_has_moved(const struct eg_netns *netns, const struct eg_policy *in_force);

#endif /* EG_DERIVE_H */
