/* SPDX-License-Identifier: GPL-2.0 */
/* Which network namespace a guard on a cgroup knows the tunnel of. */
#ifndef EG_USER_HOME_H
#define EG_USER_HOME_H

#include "net/cgroup_target.h"
#include "net/survey.h"
#include "policy/policy.h"

/*
 * Of the namespaces that the cgroup's processes are in, the one that has WireGuard (a tunnel that
 * the policy declares, or any, where it declares none); where none has, the only one there is.
 * Else, where the guard in force has one (`before`, NULL: there is no guard) that still exists,
 * that. *ret_netns is EG_NETNS_NONE where there is none or where it could be several, and
 * `warnings` says so.
 *
 * Only namespaces of our own user namespace count: in any other, a process without privileges may
 * have made itself root, and a WireGuard device.
 */
int eg_home_find(const struct eg_cgroup *cgroup, const struct eg_policy *policy,
		 const struct eg_home *before, struct eg_netns *ret_netns, struct eg_text *warnings,
		 struct eg_error *error);

/* What the programs are told of it. `netns` may be EG_NETNS_NONE. */
void eg_home_fill(const struct eg_netns *netns, const struct eg_survey *survey,
		  struct eg_home *ret_home);

/* The namespace of a guard's home. -ENOENT: it is gone, or the guard has none. */
int eg_home_open(const struct eg_home *home, struct eg_netns *ret_netns);

/* Whether both are of the same namespace, whatever they say of its tunnels. */
bool eg_home_same_netns(const struct eg_home *a, const struct eg_home *b);

#endif /* EG_USER_HOME_H */
