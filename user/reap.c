// SPDX-License-Identifier: GPL-2.0
#include "reap.h"

#include <errno.h>
#include <string.h>

#include "kern/guard.h"
#include "net/netns.h"

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

int eg_reap(struct eg_pins *pins, struct eg_error *error)
{
	char **names = NULL;
	int result = eg_pins_list(pins, false, &names);

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "cannot list the guards: %s",
				    strerror(-result));
	for (char **name = names; result == 0 && name && *name; name++) {
		if (is_gone(pins, *name))
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
