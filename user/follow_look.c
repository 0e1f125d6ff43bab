// SPDX-License-Identifier: GPL-2.0
/* A look at the interfaces of a guard that is followed: layers onto what has none, off what is the
 * tunnel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "follow_parts.h"
#include "kern/hold.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* At all interfaces, whatever was told. */
#define LOOK_NS (30000 * EG_FOLLOW_NS_PER_MS)
/* Between looks, since whoever is inside can ask for many: as long as the last one took, within. */
#define SPACE_NS     (20 * EG_FOLLOW_NS_PER_MS)
#define SPACE_MAX_NS (200 * EG_FOLLOW_NS_PER_MS)
#define AGAIN_NS     (200 * EG_FOLLOW_NS_PER_MS) /* after a failure */

/* --- what it says of it ----------------------------------------------------------------------- */

static const char *escaped(char to[IFNAMSIZ * 4], const char *name)
{
	return eg_escape(to, IFNAMSIZ * 4, name, strnlen(name, IFNAMSIZ));
}

static const struct eg_follow_known *find_known(const struct eg_follow *follow, __u32 ifindex)
{
	for (size_t i = 0; i < follow->n_known; i++)
		if (follow->known[i].ifindex == ifindex)
			return &follow->known[i];
	return NULL;
}

static void add_known(struct eg_follow_known *list, size_t *n, const struct eg_link *link,
		      bool tunnel)
{
	struct eg_follow_known *known = &list[(*n)++];

	known->ifindex = link->ifindex;
	known->tunnel = tunnel;
	memcpy(known->name, link->name, sizeof(known->name));
}

/* Says which have gone, and remembers which are there. */
static void remember(struct eg_follow *follow, const struct eg_survey *survey)
{
	size_t n = 0, room = survey->n_underlays + survey->n_tunnels + 1;
	struct eg_follow_known *list = calloc(room, sizeof(*list));
	char name[IFNAMSIZ * 4];

	if (!list)
		return;
	for (size_t i = 0; i < survey->n_underlays; i++)
		add_known(list, &n, &survey->underlays[i].link, false);
	for (size_t i = 0; i < survey->n_tunnels; i++) {
		const struct eg_link *link = &survey->tunnels[i].link;
		const struct eg_follow_known *known = find_known(follow, link->ifindex);

		add_known(list, &n, link, true);
		if (follow->known && (!known || !known->tunnel))
			eg_follow_tell(follow, false, "%s is the tunnel, and free",
				       escaped(name, link->name));
	}
	for (size_t i = 0; follow->known && i < follow->n_known; i++) {
		bool there = false;

		for (size_t j = 0; j < n; j++)
			there = there || list[j].ifindex == follow->known[i].ifindex;
		if (!there)
			eg_follow_tell(follow, false, "%s is gone",
				       escaped(name, follow->known[i].name));
	}
	free(follow->known);
	follow->known = list;
	follow->n_known = n;
}

/* A declared tun that nobody answers for yet is an underlay, and may be the tunnel soon. */
static bool may_be_tunnel(const struct eg_follow *follow, const struct eg_link *link)
{
	return strcmp(link->kind, "tun") == 0 && !link->tap &&
	       eg_policy_has_tunnel(follow->policy, link->name);
}

static void tell_covered(struct eg_follow *follow, const struct eg_underlay *underlay)
{
	char name[IFNAMSIZ * 4];

	escaped(name, underlay->link.name);
	if (may_be_tunnel(follow, &underlay->link))
		eg_follow_tell(follow, false, "%s is guarded until a WireGuard answers for it",
			       name);
	else if (underlay->has_peer)
		eg_follow_tell(follow, false, "%s is guarded: `device` and `peer` are on it", name);
	else if (underlay->by_others)
		eg_follow_tell(follow, false, "%s is guarded: `device` is on it", name);
	else
		eg_follow_tell(
			follow, true,
			"%s is guarded by `device` alone, as it has no other end in reach: root "
			"inside "
			"can get past it",
			name);
}

static void told(void *argument, const struct eg_underlay *underlay)
{
	tell_covered(argument, underlay);
}

/* --- layers ----------------------------------------------------------------------------------- */

/* A share of them at a time: others wait for the lock, and for this process. */
static int cover(struct eg_follow *follow, const struct eg_survey *survey, struct eg_error *error)
{
	struct eg_cover_pass *pass = &follow->pass;
	int result;

	pass->extent = EG_COVER_SHARE;
	pass->told = told;
	pass->argument = follow;
	result = eg_cover_some(follow->guard, &follow->netns, survey, pass, error);
	if (pass->n_left)
		eg_follow_look_at(follow, eg_monotonic_ns());
	return result;
}

/* What was an underlay until it proved to be the tunnel. */
static int free_tunnels(struct eg_follow *follow, const struct eg_survey *survey,
			struct eg_error *error)
{
	if (!eg_cover_is_on_tunnel(follow->guard, &follow->netns, survey))
		return 0;
	eg_follow_look_at(follow, eg_monotonic_ns());
	return eg_cover_free_tunnels(follow->guard, &follow->netns, follow->policy, true,
				     EG_COVER_SHARE, error);
}

static bool expects_tunnel(const struct eg_follow *follow, const struct eg_survey *survey)
{
	for (size_t i = 0; i < survey->n_underlays; i++)
		if (may_be_tunnel(follow, &survey->underlays[i].link))
			return true;
	return false;
}

static int tell_hold(struct eg_follow *follow, const struct eg_survey *survey)
{
	__u32 tuns[EG_TUNNELS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < survey->n_tunnels && n < EG_TUNNELS_MAX; i++)
		if (survey->tunnels[i].kind == EG_TUNNEL_USERSPACE)
			tuns[n++] = survey->tunnels[i].link.ifindex;
	return follow->hold ? eg_hold_update(follow->hold, follow->guard, tuns, n) : 0;
}

/* --- the look --------------------------------------------------------------------------------- */

/* Under the lock. */
static int look_around(struct eg_follow *follow, struct eg_error *error)
{
	EG_AUTO_SURVEY struct eg_survey survey = {};
	__u64 now;
	int result = eg_follow_read_policy(follow, error);

	if (result == 0)
		result = eg_survey_take_anyway(&follow->netns, follow->policy, &survey, error);
	if (result < 0)
		return result;
	result = cover(follow, &survey, error);
	if (result == 0)
		result = free_tunnels(follow, &survey, error);
	if (tell_hold(follow, &survey) < 0 && result == 0)
		result = eg_error_set(error, EG_EXIT_FAILED, EIO,
				      "cannot tell the layer `netns` of the interfaces");
	remember(follow, &survey);
	eg_guard_clean(follow->guard, &follow->netns);
	(void)eg_viewers_reclaim(follow->guard);
	now = eg_monotonic_ns();
	if (!expects_tunnel(follow, &survey))
		follow->tun_until_ns = now + EG_FOLLOW_TUN_PATIENCE_NS;
	else if (now < follow->tun_until_ns)
		eg_follow_look_at(follow, now + AGAIN_NS);
	return result;
}

/* Others have their turn. */
static void make_space(struct eg_follow *follow, __u64 began_ns)
{
	__u64 now = eg_monotonic_ns(), space = now - began_ns;

	space = space < SPACE_NS ? SPACE_NS : space > SPACE_MAX_NS ? SPACE_MAX_NS : space;
	follow->space_until_ns = now + space;
	if (follow->look_ns < follow->space_until_ns)
		follow->look_ns = follow->space_until_ns;
}

int eg_follow_look(struct eg_follow *follow, unsigned int lock_wait_ms, struct eg_error *error)
{
	__u64 began_ns = eg_monotonic_ns();
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	int result = eg_follow_lock(follow, lock_wait_ms, &pins, error);

	/* What another command has made of it is looked at first. */
	if (result == 0 && eg_guard_is_current(follow->guard) != 1)
		return -EAGAIN;
	follow->look_ns = eg_moment_in_ns(LOOK_NS);
	if (result == 0)
		result = look_around(follow, error);
	if (result == 0 && follow->hold && !follow->claimed) {
		result = eg_follow_claim(follow, eg_hold_id(follow->hold));
		follow->claimed = result == 0;
	}
	eg_guard_rest(follow->guard);
	make_space(follow, began_ns);
	return result;
}

void eg_follow_look_again(struct eg_follow *follow)
{
	struct eg_error error = {};
	int result = eg_follow_look(follow, 0, &error);

	if (result == 0) {
		follow->complaint[0] = '\0';
		return;
	}
	if (*error.message && result != -EWOULDBLOCK && result != -EBUSY)
		eg_follow_complain(follow, &error);
	eg_follow_look_at(follow, eg_monotonic_ns() + AGAIN_NS);
}
