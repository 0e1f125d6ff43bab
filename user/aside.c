// SPDX-License-Identifier: GPL-2.0
#include "aside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kern/guard.h"
#include "util/cleanup.h"

#define INODE_LEN 24 /* its digits, the hyphen, the NUL */

int eg_aside(struct eg_pins *pins, const char *name, char **ret_name, struct eg_error *error)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	EG_AUTO_FREE char *aside = NULL;
	int result = eg_guard_open(pins, name, &guard, error);

	if (result < 0)
		return result;
	if (asprintf(&aside, "%.*s-%llu", EG_NAME_MAX - INODE_LEN, name,
		     (unsigned long long)eg_guard_meta(guard)->netns_inode) < 0) {
		aside = NULL;
		return eg_error_no_memory(error);
	}
	result = eg_guard_rename(pins, name, aside, error);
	if (result == 0)
		*ret_name = EG_TAKE(aside);
	return result;
}

static bool was_set_aside(const char *name, const struct eg_meta *meta)
{
	char end[INODE_LEN];
	size_t len =
		(size_t)snprintf(end, sizeof(end), "-%llu", (unsigned long long)meta->netns_inode);

	return strlen(name) > len && strcmp(name + strlen(name) - len, end) == 0;
}

static bool yields(const struct eg_pins *pins, const char *name, const struct eg_netns *netns,
		   eg_ask_yields ask, void *argument)
{
	struct eg_meta meta;
	struct eg_netns guarded;

	if (eg_guard_identity(pins, name, &meta) < 0 ||
	    meta.flags & (EG_META_CGROUP | EG_META_STARTED))
		return false;
	guarded = eg_netns_of_meta(&meta);
	if (!eg_netns_same(&guarded, netns))
		return false;
	switch (ask(argument, name, netns)) {
	case EG_YIELDS_YES:
		return true;
	case EG_YIELDS_NO:
		return false;
	case EG_YIELDS_UNKNOWN:
		break;
	}
	return was_set_aside(name, &meta);
}

/* What of that name is on nothing any more. */
static int make_free(struct eg_pins *pins, const char *name, struct eg_error *error)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	int result = eg_guard_open(pins, name, &guard, error);

	if (result == -ENOENT)
		return 0;
	if (result < 0)
		return result;
	return eg_guard_is_dead(guard) ? eg_guard_remove(pins, name, error) : -EEXIST;
}

int eg_take_over(struct eg_pins *pins, const char *name, const struct eg_netns *netns,
		 eg_ask_yields ask, void *argument, char **ret_former, struct eg_error *error)
{
	EG_AUTO_FREE char *former = NULL;
	char **names = NULL;
	int result = eg_pins_list(pins, false, &names);

	for (char **other = names; result == 0 && !former && other && *other; other++) {
		if (strcmp(*other, name) == 0 || !yields(pins, *other, netns, ask, argument))
			continue;
		former = strdup(*other);
		result = former ? make_free(pins, name, error) : -ENOMEM;
		if (result == 0)
			result = eg_guard_rename(pins, former, name, error);
	}
	eg_names_free(names);
	if (result < 0 || !former)
		return result;
	*ret_former = EG_TAKE(former);
	return 1;
}
