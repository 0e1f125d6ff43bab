// SPDX-License-Identifier: GPL-2.0
#include "select.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kern/guard.h"
#include "net/target.h"
#include "reap.h"
#include "util/cleanup.h"
#include "util/text.h"

#define SAFE_LEN (4 * EG_NAME_MAX)

static void cleanup_names(char ***names)
{
	if (*names)
		eg_names_free(*names);
}
#define AUTO_NAMES EG_AUTO(cleanup_names)

static int list(const struct eg_pins *pins, char ***ret_names, struct eg_error *error)
{
	int result = eg_pins_list(pins, false, ret_names);

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot list the guards in %s: %s", pins->path,
				    strerror(-result));
	return 0;
}

static int no_such_guard(char **names, const char *name, struct eg_error *error)
{
	char safe[SAFE_LEN], safe_nearest[SAFE_LEN];
	const char *nearest = eg_nearest(name, (const char *const *)names);

	eg_escape(safe, sizeof(safe), name, strlen(name));
	if (nearest)
		return eg_error_set(
			error, EG_EXIT_NO_SUCH, ENOENT,
			"no guard is called '%s'; did you mean '%s'?", safe,
			eg_escape(safe_nearest, sizeof(safe_nearest), nearest, strlen(nearest)));
	if (!names[0])
		return eg_error_set(error, EG_EXIT_NO_SUCH, ENOENT,
				    "no guard is called '%s': there are none; "
				    "`egressguard attach --netns TARGET` makes one",
				    safe);
	return eg_error_set(
		error, EG_EXIT_NO_SUCH, ENOENT,
		"no guard is called '%s'; `egressguard status` lists them, and "
		"`egressguard status --netns TARGET` finds that of a container or namespace",
		safe);
}

/* Keeps the one that has this name. */
static int keep_name(char **names, const char *name, struct eg_error *error)
{
	size_t found = 0;

	while (names[found] && strcmp(names[found], name) != 0)
		found++;
	if (!names[found])
		return no_such_guard(names, name, error);
	for (size_t i = 0; names[i]; i++) {
		if (i != found)
			free(names[i]);
	}
	names[0] = names[found];
	names[1] = NULL;
	return 0;
}

static bool text_matches(const struct eg_meta *meta, const char *text)
{
	const char *colon = strchr(meta->target, ':');

	return strcmp(meta->target, text) == 0 || (colon && strcmp(colon + 1, text) == 0);
}

/* Whether a guard is on a namespace, or was attached to a target of that name. */
static bool is_on(struct eg_pins *pins, const char *name, const struct eg_netns *netns,
		  const char *text)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	const struct eg_meta *meta;
	struct eg_netns of_guard;

	if (eg_guard_open(pins, name, &guard, NULL) < 0)
		return false;
	meta = eg_guard_meta(guard);
	if (meta->flags & EG_META_CGROUP)
		return false;
	of_guard = eg_netns_of_meta(meta);
	if (text)
		return text_matches(meta, text);
	/* Of one that may have ended its name tells, if that is the same. */
	return eg_netns_same(netns, &of_guard) && !eg_has_ended(guard, netns);
}

/* Moves those that are on it to the front; returns how many. */
static size_t partition(struct eg_pins *pins, char **names, const struct eg_netns *netns,
			const char *text)
{
	size_t kept = 0;

	for (size_t i = 0; names[i]; i++) {
		if (is_on(pins, names[i], netns, text)) {
			char *name = names[i];

			names[i] = names[kept];
			names[kept++] = name;
		}
	}
	return kept;
}

static int keep_target(struct eg_pins *pins, char **names, const char *text, struct eg_error *error)
{
	EG_AUTO_TARGET struct eg_target target = {.netns = EG_NETNS_NONE};
	char safe[4 * EG_TARGET_MAX];
	size_t kept = 0;
	int result = eg_target_resolve(text, &target, error);

	if (result == 0)
		kept = partition(pins, names, &target.netns, NULL);
	if (!kept)
		kept = partition(pins, names, NULL, text);
	if (!kept && result < 0)
		return result;
	if (!kept)
		return eg_error_set(
			error, EG_EXIT_NO_SUCH, ENOENT,
			"no guard is on '%s'; `egressguard attach --netns %s` makes one",
			eg_escape(safe, sizeof(safe), text, strlen(text)), safe);
	for (size_t i = kept; names[i]; i++)
		free(names[i]);
	names[kept] = NULL;
	return 0;
}

int eg_select_guards(struct eg_pins *pins, const struct eg_common *common, char ***ret_names,
		     struct eg_error *error)
{
	AUTO_NAMES char **names = NULL;
	int result = list(pins, &names, error);

	if (result == 0 && common->guard)
		result = keep_name(names, common->guard, error);
	else if (result == 0 && common->netns)
		result = keep_target(pins, names, common->netns, error);
	if (result < 0)
		return result;
	*ret_names = EG_TAKE(names);
	return 0;
}

static int not_one(char **names, struct eg_error *error)
{
	EG_AUTO_TEXT struct eg_text text = {};
	char safe[SAFE_LEN];

	if (!names[0])
		return eg_error_set(
			error, EG_EXIT_NO_SUCH, ENOENT,
			"there are no guards; `egressguard attach --netns TARGET` makes "
			"one");
	for (size_t i = 0; names[i]; i++)
		eg_text_printf(&text, "%s%s", i ? ", " : "",
			       eg_escape(safe, sizeof(safe), names[i], strlen(names[i])));
	return eg_error_set(error, EG_EXIT_USAGE, EINVAL, "which guard? There are: %s",
			    text.failed ? "several" : text.data);
}

int eg_select_guard(struct eg_pins *pins, const struct eg_common *common, char **ret_name,
		    struct eg_error *error)
{
	AUTO_NAMES char **names = NULL;
	int result = eg_select_guards(pins, common, &names, error);

	if (result < 0)
		return result;
	if (!names[0] || names[1])
		return not_one(names, error);
	*ret_name = EG_TAKE(names[0]);
	return 0;
}

int eg_select_open(const struct eg_common *common, struct eg_pins *ret_pins, char **ret_name,
		   struct eg_error *error)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	char *none[] = {NULL};
	int result = eg_pins_open(common->pin_dir, false, &pins, error);

	if (result == -ENOENT)
		return common->guard ? no_such_guard(none, common->guard, error)
				     : not_one(none, error);
	if (result < 0)
		return result;
	result = eg_select_guard(&pins, common, ret_name, error);
	if (result < 0)
		return result;
	*ret_pins = pins;
	pins = (struct eg_pins){.dir_fd = -1, .lock_fd = -1};
	return 0;
}
