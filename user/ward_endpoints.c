// SPDX-License-Identifier: GPL-2.0
/* The endpoints of one of the daemon's guards that are not the file's: when to look for where they
 * are now. */
#include "collect.h"
#include "derive.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "ward_parts.h"

#define ENDPOINT_NEW_NS  EG_WARD_MS(100) /* while the tunnel may come up any moment */
#define ENDPOINT_NEW_FOR EG_WARD_MS(30000)
#define ENDPOINT_NS      EG_WARD_MS(2000)
#define NAMES_NEW_NS     EG_WARD_MS(2000) /* while none of a name's addresses is known */
#define NAMES_NS         EG_WARD_MS(30000) /* while there is no tunnel: the server may be elsewhere now */

void eg_ward_learn_endpoints(struct eg_ward *ward)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	EG_AUTO_POLICY struct eg_policy *policy = NULL;

	ward->endpoint_ns = ward->names_ns = ~0ULL;
	if (eg_ward_open_guard(ward, &guard, NULL) < 0 ||
	    eg_collect_policy(guard, &policy, NULL) < 0)
		return;
	ward->watches_endpoints = eg_derive_follows_peers(policy);
	ward->has_endpoints = policy->derived.n_endpoints > 0;
	if (policy->derived.n_names)
		ward->names_ns =
			eg_monotonic_ns() + (ward->has_endpoints ? NAMES_NS : NAMES_NEW_NS);
	if (ward->watches_endpoints)
		ward->endpoint_ns =
			eg_monotonic_ns() + (ward->has_endpoints ? ENDPOINT_NS : ENDPOINT_NEW_NS);
}

void eg_ward_check_endpoints(struct eg_ward *ward)
{
	const struct eg_netns *netns = ward->follow ? eg_follow_netns(ward->follow) : NULL;
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	__u64 now = eg_monotonic_ns();
	bool is_new = !ward->has_endpoints && now < ward->attached_ns + ENDPOINT_NEW_FOR;

	ward->endpoint_ns = is_new ? now + ENDPOINT_NEW_NS : eg_moment_in_ns(ENDPOINT_NS);
	if (!netns || netns->fd < 0 || !ward->text || eg_ward_open_guard(ward, &guard, NULL) < 0 ||
	    eg_collect_policy(guard, &policy, NULL) < 0 || !eg_derive_has_moved(netns, policy))
		return;
	ward->has_changed = true;
	ward->look_ns = now;
}

/* While there is a tunnel, its server is where it was. Without --bootstrap-dns nobody looks whether
 * there is one, and a name is asked for again only if it has no address at all. */
void eg_ward_check_names(struct eg_ward *ward)
{
	ward->names_ns = eg_monotonic_ns() + NAMES_NS;
	if (!ward->text ||
	    (ward->has_endpoints && !(ward->follow && eg_follow_names_open(ward->follow))))
		return;
	ward->has_changed = true;
	ward->look_ns = eg_monotonic_ns();
}
