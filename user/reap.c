// SPDX-License-Identifier: GPL-2.0
#include "reap.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* Most guards live, and are not to be opened as a whole for that. */
static bool is_alive(struct eg_pins *pins, const char *name)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;

	return eg_guard_open_identity(pins, name, &guard) == 0 &&
	       !(eg_guard_meta(guard)->flags & EG_META_CGROUP) && !eg_guard_is_dead(guard);
}

static bool is_gone(struct eg_pins *pins, const char *name)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	const struct eg_meta *meta;

	if (is_alive(pins, name) || eg_guard_open(pins, name, &guard, NULL) < 0 ||
	    !eg_guard_is_dead(guard))
		return false;
	meta = eg_guard_meta(guard);
	if (meta->flags & EG_META_CGROUP)
		return true;
	return eg_netns_find(meta->netns_dev, meta->netns_inode, meta->netns_cookie, &netns) ==
	       -ENOENT;
}

static int reap_one(struct eg_pins *pins, const char *name, struct eg_error *error)
{
	int result;

	if (!is_gone(pins, name))
		return 0;
	result = eg_guard_remove(pins, name, error);
	return result < 0 ? result : 1;
}

/* At most so many of them, beginning anywhere; 0: all. */
static int reap(struct eg_pins *pins, size_t most, struct eg_error *error)
{
	char **names = NULL;
	size_t n = 0, first = 0;
	int result = eg_pins_list(pins, false, &names);

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "cannot list the guards: %s",
				    strerror(-result));
	while (names[n])
		n++;
	if (!most || most > n)
		most = n;
	if (most < n && getrandom(&first, sizeof(first), GRND_NONBLOCK) < 0)
		first = 0;
	for (size_t i = 0; result >= 0 && i < most; i++)
		result = reap_one(pins, names[(first % n + i) % n], error);
	eg_names_free(names);
	return result < 0 ? result : 0;
}

int eg_reap(struct eg_pins *pins, struct eg_error *error)
{
	return reap(pins, 0, error);
}

int eg_reap_share(struct eg_pins *pins, struct eg_error *error)
{
	return reap(pins, EG_REAP_SHARE, error);
}

bool eg_has_ended(struct eg_guard *guard, const struct eg_netns *netns)
{
	return !(eg_guard_meta(guard)->netns_cookie && netns->cookie) && eg_guard_is_dead(guard);
}

static bool had_its_number(struct eg_pins *pins, const char *name, const struct eg_netns *netns)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	const struct eg_meta *meta;
	struct eg_netns of_guard;

	if (eg_guard_open(pins, name, &guard, NULL) < 0)
		return false;
	meta = eg_guard_meta(guard);
	of_guard = eg_netns_of_meta(meta);
	return !(meta->flags & EG_META_CGROUP) && eg_netns_same(netns, &of_guard) &&
	       eg_has_ended(guard, netns);
}

int eg_reap_ended(struct eg_pins *pins, const char *kept, const struct eg_netns *netns,
		  struct eg_error *error)
{
	char **names = NULL;
	int result = netns->cookie ? 0 : eg_pins_list(pins, false, &names);

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "cannot list the guards: %s",
				    strerror(-result));
	for (char **name = names; result == 0 && name && *name; name++) {
		if (strcmp(*name, kept) != 0 && had_its_number(pins, *name, netns))
			result = eg_guard_remove(pins, *name, error);
	}
	eg_names_free(names);
	return result;
}

int eg_sweep(struct eg_pins *pins, struct eg_error *error)
{
	int result = eg_pins_sweep(pins);

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot clear what an interrupted command left in %s: %s",
				    pins->path, strerror(-result));
	return 0;
}
