// SPDX-License-Identifier: GPL-2.0
/* The guards that are there already: the one to be updated, and those that are in the way. */
#include "attachment.h"

#include <errno.h>
#include <string.h>

#include "cover.h"
#include "reap.h"
#include "strays.h"
#include "util/cleanup.h"

/* Told by its identity alone: there may be a thousand. */
static bool is_elsewhere(struct eg_attachment *attach, const char *name)
{
	struct eg_meta meta;

	return eg_guard_identity(&attach->pins, name, &meta) == 0 &&
	       !eg_attach_is_same_target(attach, &meta);
}

static bool has_ended(const struct eg_attachment *attach, struct eg_guard *guard)
{
	return !eg_attach_is_on_cgroup(attach) && eg_has_ended(guard, &attach->target.netns);
}

/* One target, one guard: with two, neither could say what may leave. */
int eg_attach_refuse_second(struct eg_attachment *attach, struct eg_error *error)
{
	char **names = NULL;
	int result = eg_pins_list(&attach->pins, false, &names);

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "cannot list the guards: %s",
				    strerror(-result));
	for (char **name = names; result == 0 && name && *name; name++) {
		EG_AUTO_GUARD struct eg_guard *guard = NULL;
		char escaped[EG_NAME_MAX * 4];
		int opened;

		if (strcmp(*name, attach->result->name) == 0 || is_elsewhere(attach, *name))
			continue;
		opened = eg_guard_open(&attach->pins, *name, &guard, error);
		/* One that is gone, of a version that cannot be read, or none at all has no say. */
		if (opened == -EPROTO && eg_guard_is_readable(guard))
			opened = 0;
		if (opened == -ENOENT || opened == -EPROTO || opened == -EBADF ||
		    opened == -ENODATA) {
			*error = (struct eg_error){};
			continue;
		}
		if (opened < 0) {
			result = opened;
			break;
		}
		eg_escape(escaped, sizeof(escaped), *name, strlen(*name));
		if (eg_attach_is_same_target(attach, eg_guard_meta(guard)) &&
		    !has_ended(attach, guard))
			result = eg_error_set(
				error, EG_EXIT_FAILED, EBUSY,
				/* Where a file asks for it no option helps. */
				attach->request->unattended
					? "this %s has the guard '%s' already, and can have only "
					  "one: take one of the two policy files away, or, if "
					  "'%s' has none, that guard: egressguard detach '%s'"
					: "this %s has the guard '%s' already, and can have only "
					  "one: replace its policy with --name '%s' --replace, or "
					  "take it away first: egressguard detach '%s'",
				eg_attach_is_on_cgroup(attach) ? "cgroup" : "namespace", escaped,
				escaped, escaped);
	}
	eg_names_free(names);
	return result;
}

/* A guard whose pins are out of reach is one all the same, and cannot be asked what it lets out. */
int eg_attach_refuse_stray(struct eg_attachment *attach, const struct eg_guard *guard,
			   struct eg_error *error)
{
	EG_AUTO_TEXT struct eg_text lines = {};

	if (eg_attach_is_on_cgroup(attach))
		return 0;
	eg_strays_on_tell(&attach->pins, attach->request->pin_dir, &attach->target.netns,
			  &attach->survey, &lines);
	if (lines.len && !lines.failed)
		eg_text_add(&attach->result->warnings, lines.data, lines.len);
	if (!lines.len || guard || attach->request->replace)
		return 0;
	return eg_error_set(error, EG_EXIT_FAILED, EBUSY,
			    "another guard, which is not in %s, is on this namespace's interfaces: "
			    "find it first; --replace puts this one beside it, and both judge",
			    attach->pins.path);
}

/* A guard of this name that holds another namespace, which is still in use, is not given up in
 * silence: what it guards would be open. A daemon sets it aside; one that comes up after it has
 * looked, as another daemon's may, it has to look at first. */
static int refuse_orphan(struct eg_attachment *attach, struct eg_guard *guard,
			 struct eg_error *error)
{
	bool gives_up = attach->request->replace && !attach->request->unattended;

	if (gives_up || eg_guard_is_dead(guard))
		return 0;
	if (eg_guard_meta(guard)->flags & EG_META_CGROUP || eg_attach_is_on_cgroup(attach))
		return eg_error_set(error, EG_EXIT_FAILED, EBUSY,
				    "the guard '%s' is in force on another target: give this one "
				    "another --name, or take that one away with --replace",
				    attach->result->name);
	return eg_error_set(error, EG_EXIT_FAILED, EBUSY,
			    "the guard '%s' is in force on another namespace, which still has "
			    "interfaces: give this one another --name, or take that one away with "
			    "--replace",
			    attach->result->name);
}

static int read_in_force(struct eg_attachment *attach, struct eg_guard *guard,
			 struct eg_error *error)
{
	EG_AUTO_FREE char *text = NULL;
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	size_t len = 0;
	int result = eg_guard_policy(guard, &text, &len);

	if (result == 0)
		result = eg_policy_new(&policy);
	if (result == 0)
		result = eg_policy_parse(policy, text, len, true, NULL);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "the policy of the guard '%s' in force cannot be read: %s",
				    attach->result->name, strerror(-result));
	attach->in_force = EG_TAKE(policy);
	if (eg_guard_meta(guard)->flags & EG_META_ACCEPT_DEVICE_ONLY)
		attach->accept_device_only = true;
	return 0;
}

/* What was taken off the cgroup is on it again before anything else is asked. */
static bool mend_cgroup(struct eg_attachment *attach, struct eg_guard *guard)
{
	if (eg_guard_home(guard, &attach->home_in_force) < 0)
		attach->home_in_force = (struct eg_home){};
	return !eg_guard_is_on_cgroup(guard) &&
	       eg_guard_cover_cgroup(guard, attach->cgroup.fd, NULL) == 0;
}

/* An older version's, of which it is known what it enforces. */
static int take_older(struct eg_attachment *attach, struct eg_guard **guard, struct eg_error *error)
{
	int result;

	*error = (struct eg_error){};
	if (!eg_attach_is_same_target(attach, eg_guard_meta(*guard)))
		return refuse_orphan(attach, *guard, error);
	result = read_in_force(attach, *guard, error);
	if (result == 0)
		attach->older = EG_TAKE(*guard);
	return result;
}

/* A container that was started again has another namespace, be its number the same. */
static bool is_of_last_run(const struct eg_attachment *attach, struct eg_guard *guard)
{
	__u64 then = eg_guard_meta(guard)->target_started_realtime_ns;

	return attach->target.kind == EG_TARGET_CONTAINER && then &&
	       then != attach->target.started_realtime_ns && has_ended(attach, guard);
}

/* *ret_guard stays NULL where there is none that could be updated in place. */
int eg_attach_find_guard(struct eg_attachment *attach, struct eg_guard **ret_guard,
			 struct eg_error *error)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	int result = eg_guard_open(&attach->pins, attach->result->name, &guard, error);

	if (result == -EPROTO && guard && eg_guard_is_readable(guard))
		return take_older(attach, &guard, error);
	if (result == -ENOENT ||
	    ((result == -EPROTO || result == -ENODATA) && attach->request->replace)) {
		*error = (struct eg_error){};
		return 0;
	}
	if (result == -EPROTO)
		return eg_error_set(
			error, EG_EXIT_FAILED, EPROTO,
			"the guard '%s' was made by another version of egressguard (%s), "
			"so its policy cannot be compared: add --replace to put this one "
			"beside it and then take the old one away, without a gap",
			attach->result->name, eg_guard_meta(guard)->version);
	if (result < 0)
		return result;
	if (!eg_attach_is_same_target(attach, eg_guard_meta(guard)) ||
	    is_of_last_run(attach, guard))
		return refuse_orphan(attach, guard, error);
	result = read_in_force(attach, guard, error);
	if (result < 0)
		return result;
	result = eg_guard_is_genuine(guard, &attach->forged);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot look at the programs of the guard '%s' in force: %s",
				    attach->result->name, strerror(-result));
	if (result > 0) {
		attach->forged = NULL;
		attach->result->mended =
			eg_attach_is_on_cgroup(attach)
				? mend_cgroup(attach, guard)
				: eg_cover_what_can_be(guard, &attach->target.netns,
						       attach->in_force,
						       eg_attach_extent_in_force(attach));
	}
	*ret_guard = EG_TAKE(guard);
	return 0;
}
