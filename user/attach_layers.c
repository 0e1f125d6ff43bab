// SPDX-License-Identifier: GPL-2.0
/* A guard's layers: put where they belong, before a policy is in force that needs them, and taken
 * off where they do not, once one is in force that does not. */
#include "attachment.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"

/* Nobody is there to put right, or to ask again, what whoever is root inside keeps going wrong. */
static bool is_alone(const struct eg_attachment *attach)
{
	return attach->request->unattended && !attach->request->starting;
}

/* Nobody can be asked, and root inside makes a macvlan or a tap in a moment: refused for that, the
 * namespace would have no guard at all. `status` is degraded, as nobody has accepted it. Where
 * nothing runs yet, nothing starts instead. */
bool eg_attach_takes_device_only(const struct eg_attachment *attach)
{
	return attach->accept_device_only || is_alone(attach);
}

enum eg_cover_extent eg_attach_extent_new(const struct eg_attachment *attach)
{
	return is_alone(attach) ? EG_COVER_ANYWAY : EG_COVER_ALL;
}

/* Who attaches unattended follows it, too. */
enum eg_cover_extent eg_attach_extent_in_force(const struct eg_attachment *attach)
{
	return is_alone(attach) ? EG_COVER_SHARE : EG_COVER_ALL;
}

/* The layers that hold packets back. */
static int cover_packets(struct eg_attachment *attach, struct eg_guard *guard,
			 enum eg_cover_extent extent, struct eg_error *error)
{
	if (eg_attach_is_on_cgroup(attach))
		return eg_guard_cover_cgroup(guard, attach->cgroup.fd, error);
	return eg_cover_all(guard, &attach->target.netns, attach->policy,
			    eg_attach_takes_device_only(attach), extent, error);
}

static bool has_sockets(const struct eg_guard *guard)
{
	return guard && !(eg_guard_meta(guard)->flags & EG_META_NO_SOCKET);
}

/* The layer `socket` holds nothing back that the others would not: without it a guard is as tight.
 * So a machine that cannot have it gets a guard without, but none loses it in silence. */
static int cover_sockets(struct eg_attachment *attach, struct eg_guard *guard, bool had,
			 struct eg_error *error)
{
	struct eg_error why = {};
	int result = eg_attach_is_on_cgroup(attach)
			     ? eg_guard_cover_cgroup_sockets(guard, attach->cgroup.fd, &why)
			     : eg_guard_cover_sockets(guard, &attach->target.netns, &why);
	bool has = result == 0;

	if (result == -EOPNOTSUPP && !had) {
		eg_text_printf(&attach->result->warnings,
			       "%s: events cannot name processes, and a forbidden connect is not "
			       "refused at once\n",
			       why.message);
		result = 0;
	}
	if (result < 0) {
		*error = why;
		return result;
	}
	result = eg_guard_note_sockets(guard, has);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot write the guard's notes on its layers: %s",
				    strerror(-result));
	return 0;
}

static int find_loopback(const struct eg_netns *netns, struct eg_link *ret_lo,
			 struct eg_error *error)
{
	EG_AUTO_FREE struct eg_link *links = NULL;
	size_t n = 0;
	int result = eg_links_get(netns, &links, &n);

	for (size_t i = 0; result == 0 && i < n; i++) {
		if (links[i].loopback) {
			*ret_lo = links[i];
			return 0;
		}
	}
	return eg_error_set(error, EG_EXIT_FAILED, result < 0 ? -result : ENODEV,
			    "cannot find the namespace's loopback: %s",
			    strerror(result < 0 ? -result : ENODEV));
}

static int refuse_resolver(struct eg_attachment *attach, struct eg_guard *guard,
			   struct eg_error *error)
{
	struct eg_link lo;
	int result;

	if (!eg_resolver_is_refused(&attach->resolver, attach->policy))
		return 0;
	result = find_loopback(&attach->target.netns, &lo, error);
	return result < 0 ? result : eg_guard_cover_lo(guard, &attach->target.netns, &lo, error);
}

int eg_attach_cover(struct eg_attachment *attach, struct eg_guard *guard,
		    const struct eg_guard *before, enum eg_cover_extent extent,
		    struct eg_error *error)
{
	int result = cover_packets(attach, guard, extent, error);

	if (result == 0)
		result = cover_sockets(attach, guard, has_sockets(before), error);
	return result < 0 ? result : refuse_resolver(attach, guard, error);
}

void eg_attach_cover_again(struct eg_attachment *attach, struct eg_guard *replaced)
{
	if (has_sockets(replaced) && !eg_attach_is_on_cgroup(attach))
		eg_guard_cover_sockets(replaced, &attach->target.netns, NULL);
}

int eg_attach_set_home(struct eg_attachment *attach, struct eg_guard *guard, struct eg_error *error)
{
	int result = eg_attach_is_on_cgroup(attach) ? eg_guard_set_home(guard, &attach->home) : 0;

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot tell the guard the tunnel's namespace: %s",
				    strerror(-result));
	return 0;
}

static bool is_resolver_behind(struct eg_attachment *attach, struct eg_guard *guard)
{
	struct eg_link lo;

	return eg_resolver_is_refused(&attach->resolver, attach->policy) &&
	       find_loopback(&attach->target.netns, &lo, NULL) == 0 &&
	       eg_guard_lo_state(guard, &attach->target.netns, &lo) == EG_COVER_BEHIND;
}

bool eg_attach_is_behind(struct eg_attachment *attach, struct eg_guard *guard)
{
	return !eg_attach_is_on_cgroup(attach) &&
	       (eg_cover_is_behind(guard, &attach->target.netns, &attach->survey) ||
		is_resolver_behind(attach, guard));
}

static void free_resolver(struct eg_attachment *attach, struct eg_guard *guard)
{
	struct eg_error why = {};
	struct eg_link lo;
	int result;

	if (eg_resolver_is_refused(&attach->resolver, attach->policy))
		return;
	result = find_loopback(&attach->target.netns, &lo, &why);
	if (result == 0)
		result = eg_guard_uncover(guard, &attach->target.netns, &lo);
	/* Less is let out than could be: no failure, and to be mended by the same command. */
	if (result < 0)
		eg_text_printf(&attach->result->warnings,
			       "Docker's resolver is still refused, though the policy in force "
			       "does not want it (%s): attach again\n",
			       why.message[0] ? why.message : strerror(-result));
}

/* That fails where less is let out than could be, or
 * something is to be covered again, which status then says. */
static void free_tunnels(struct eg_attachment *attach, struct eg_guard *guard)
{
	struct eg_error why = {};

	if (eg_cover_free_tunnels(guard, &attach->target.netns, attach->policy,
				  eg_attach_takes_device_only(attach),
				  eg_attach_extent_in_force(attach), &why) < 0)
		eg_text_printf(
			&attach->result->warnings,
			"the policy is in force, but whether the guard is off the tunnel, and "
			"on all else, is not known (%s): attach again\n",
			why.message);
}

void eg_attach_uncover(struct eg_attachment *attach, struct eg_guard *guard)
{
	free_resolver(attach, guard);
	free_tunnels(attach, guard);
}
