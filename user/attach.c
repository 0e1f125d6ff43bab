// SPDX-License-Identifier: GPL-2.0
#include "attachment.h"

#include <errno.h>
#include <string.h>

#include "kern/features.h"
#include "names.h"
#include "reap.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* Longer than a command takes whose namespace does its best to be slow. */
#define LOCK_WAIT_MS 30000

static void attach_end(struct eg_attachment *attach)
{
	eg_survey_free(&attach->survey);
	eg_image_free(attach->image);
	eg_policy_free(attach->in_force);
	eg_guard_close(attach->older);
	eg_pins_close(&attach->pins);
	eg_target_close(&attach->target);
	eg_cgroup_close(&attach->cgroup);
	free(attach->text);
}

void eg_attach_result_free(struct eg_attach_result *result)
{
	eg_image_diff_free(&result->diff);
	eg_text_free(&result->warnings);
}

static int compile(struct eg_attachment *attach, struct eg_error *error)
{
	char *target = strdup(attach->target.text);
	int result;

	if (!target)
		return eg_error_no_memory(error);
	free(attach->policy->target);
	attach->policy->target = target;
	result = eg_image_compile(attach->policy, &attach->image, error);
	if (result < 0)
		return result;
	attach->text = eg_policy_format(attach->policy, true);
	if (!attach->text)
		return eg_error_no_memory(error);
	return 0;
}

/* --- what a guard says of itself -------------------------------------------------------------- */

static void fill_meta(const struct eg_attachment *attach, struct eg_meta *meta)
{
	const struct eg_target *target = &attach->target;

	meta->flags &= ~(__u32)(EG_META_ACCEPT_DEVICE_ONLY | EG_META_HOST | EG_META_CGROUP |
				EG_META_FILE_SPOILT | EG_META_KEPT);
	if (eg_attach_is_on_cgroup(attach)) {
		meta->flags |= EG_META_CGROUP;
		meta->cgroup_id = attach->cgroup.id;
	} else {
		meta->netns_cookie = target->netns.cookie;
		meta->netns_inode = target->netns.inode;
		meta->netns_dev = target->netns.dev;
	}
	meta->target_started_realtime_ns = target->started_realtime_ns;
	if (attach->accept_device_only)
		meta->flags |= EG_META_ACCEPT_DEVICE_ONLY;
	if (attach->request->host)
		meta->flags |= EG_META_HOST;
	if (attach->request->starting)
		meta->flags |= EG_META_STARTED;
	if (attach->request->unattended && !attach->request->starting)
		meta->flags |= EG_META_KEPT;
	if (attach->request->file_is_spoilt)
		meta->flags |= EG_META_FILE_SPOILT;
	snprintf(meta->name, sizeof(meta->name), "%s", attach->result->name);
	snprintf(meta->target, sizeof(meta->target), "%s", target->text);
	if (target->kind == EG_TARGET_CONTAINER) {
		snprintf(meta->container_id, sizeof(meta->container_id), "%s",
			 target->container.id);
		snprintf(meta->container_name, sizeof(meta->container_name), "%s",
			 target->container.name);
	}
	meta->try_until_realtime_ns = attach->result->try_until_realtime_ns;
}

/* All its layers are on, and not a moment before. */
static int note_start(struct eg_guard *guard, struct eg_error *error)
{
	struct eg_meta meta = *eg_guard_meta(guard);
	int result;

	if (meta.guarded_since_realtime_ns)
		return 0;
	meta.guarded_since_realtime_ns = eg_realtime_ns();
	result = eg_guard_set_meta(guard, &meta);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot write when the guard began: %s", strerror(-result));
	return 0;
}

/* The trial's time counts from when the guard is in force. */
static int start_trial(struct eg_attachment *attach, struct eg_guard *guard, struct eg_error *error)
{
	struct eg_meta meta = *eg_guard_meta(guard);
	int result;

	meta.try_until_realtime_ns =
		eg_realtime_ns() + attach->request->try_seconds * 1000000000ULL;
	attach->result->try_until_realtime_ns = meta.try_until_realtime_ns;
	result = eg_guard_set_meta(guard, &meta);
	if (result == 0)
		return 0;
	/* Nobody would take it away again: then it must not stay. */
	eg_guard_remove(&attach->pins, attach->result->name, NULL);
	return eg_error_set(error, EG_EXIT_FAILED, -result, "cannot start the trial: %s",
			    strerror(-result));
}

/* Time in audit mode is no guarded time. */
static bool has_begun_to_enforce(const struct eg_attachment *attach)
{
	return attach->in_force->mode == EG_MODE_AUDIT && attach->policy->mode == EG_MODE_ENFORCE;
}

/* What the guard says of its target. Confirms a --try, too. */
static int note(const struct eg_attachment *attach, struct eg_guard *guard, struct eg_error *error)
{
	struct eg_meta meta = *eg_guard_meta(guard);
	int result;

	fill_meta(attach, &meta);
	if (has_begun_to_enforce(attach))
		meta.guarded_since_realtime_ns = eg_realtime_ns();
	result = eg_guard_set_meta(guard, &meta);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot write the guard's notes on its target: %s",
				    strerror(-result));
	return 0;
}

/* --- a new guard ----------------------------------------------------------------------------- */

/* A guard may be weaker because this kernel is; never because something failed this time. */
static int check_strength(struct eg_attachment *attach, const struct eg_guard *guard,
			  const struct eg_guard *replaced, struct eg_error *error)
{
	if (!(eg_guard_meta(guard)->flags & EG_META_NO_CHECKSUM_TEST))
		return 0;
	if (replaced && !(eg_guard_meta(replaced)->flags & EG_META_NO_CHECKSUM_TEST))
		return eg_error_set(error, EG_EXIT_FAILED, EAGAIN,
				    "the guard '%s' in force can read the kernel's memory by BTF, "
				    "and a new one could not just now, which is weaker: try again",
				    attach->result->name);
	eg_text_printf(&attach->result->warnings,
		       "the guard cannot read this kernel's memory by BTF: it is weaker, and "
		       "`egressguard status` says in what\n");
	return 0;
}

/* From when all is in force. What the namespace may not ask for then, it can when it is attached
 * again: no failure. */
static void let_names_be_asked(struct eg_attachment *attach, struct eg_guard *guard)
{
	bool stays = attach->request->unattended || attach->request->foreground, open = false;

	if (!eg_names_are_asked(attach->policy))
		return;
	if (eg_names_tend(guard, &attach->target.netns, attach->policy,
			  stays ? EG_NAMES_KEPT_MS : EG_NAMES_ALONE_MS, &open) < 0)
		eg_text_printf(
			&attach->result->warnings,
			"whether there is a tunnel already cannot be told, so the endpoint's "
			"name cannot be asked for: attach again\n");
	else if (open && !stays)
		eg_text_printf(&attach->result->warnings,
			       "the endpoint's name may be asked for in the next %u minutes; with "
			       "--foreground, or by the daemon, until there is a tunnel, and again "
			       "when it is gone\n",
			       EG_NAMES_ALONE_MS / 60000);
}

/* `replaced`: the guard in whose place it comes, NULL: none. `since`: when the namespace's guarding
 * began, 0: it does now. */
static int create(struct eg_attachment *attach, struct eg_guard *replaced, __u64 since,
		  struct eg_error *error)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	struct eg_meta meta = {.guarded_since_realtime_ns = since};
	int result;

	fill_meta(attach, &meta);
	result = eg_guard_create(&attach->pins, &meta, attach->text, attach->image, &guard, error);
	if (result < 0)
		return result;
	result = check_strength(attach, guard, replaced, error);
	if (result == 0)
		result = eg_attach_set_home(attach, guard, error);
	if (result == 0)
		result = eg_attach_cover(attach, guard, replaced, eg_attach_extent_new(attach),
					 error);
	if (result == 0)
		result = note_start(guard, error);
	if (result == 0)
		result = eg_guard_commit(guard, error);
	if (result == 0)
		let_names_be_asked(attach, guard);
	if (result < 0) {
		eg_guard_abort(guard);
		/* What all guards share knew the new one in the old one's place. */
		eg_attach_cover_again(attach, replaced);
		return result;
	}
	return attach->request->try_seconds ? start_trial(attach, guard, error) : 0;
}

/* --- a guard in force ------------------------------------------------------------------------ */

/* The notes first: once the policy is in force, nothing may fail any more. */
static int replace(struct eg_attachment *attach, struct eg_guard *guard, struct eg_error *error)
{
	const struct eg_meta before = *eg_guard_meta(guard);
	int result = note(attach, guard, error);

	if (result < 0 || attach->result->outcome != EG_ATTACH_REPLACED)
		return result;
	result = eg_guard_replace(guard, attach->text, attach->image, error);
	if (result < 0)
		eg_guard_set_meta(guard, &before);
	return result;
}

/* Tables that are not what the policy in force makes of them are filled anew. */
static int check_tables(struct eg_attachment *attach, struct eg_guard *guard,
			struct eg_error *error)
{
	EG_AUTO_IMAGE struct eg_image *image = NULL;
	const char *what = NULL;
	int result = eg_image_compile(attach->in_force, &image, error);

	if (result < 0)
		return result;
	result = eg_guard_check(guard, image, &what);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot look at the guard's tables: %s", strerror(-result));
	if (result > 0)
		return 0;
	eg_text_printf(&attach->result->warnings,
		       "the guard's table of %s was not what its policy makes of it; it is again, "
		       "but something on this machine has written to it\n",
		       what);
	attach->result->outcome = EG_ATTACH_REPLACED;
	return 0;
}

/* What was free until now has its layers when the policy that says so is in force. */
static bool drops_tunnel(const struct eg_attachment *attach)
{
	const struct eg_policy *from = attach->in_force;

	for (size_t i = 0; i < from->n_tunnels; i++)
		if (!eg_policy_has_tunnel(attach->policy, from->tunnels[i]))
			return true;
	return false;
}

/* The new policy into the guard in force; or, where that cannot take it or does not come first any
 * more, a new guard beside it, which then takes its place. */
static int put_in_force(struct eg_attachment *attach, struct eg_guard *guard,
			struct eg_error *error)
{
	__u64 since = has_begun_to_enforce(attach)
			      ? eg_realtime_ns()
			      : eg_guard_meta(guard)->guarded_since_realtime_ns;
	int result;

	if (attach->forged) {
		eg_text_printf(&attach->result->warnings,
			       "something else was pinned as the guard's `%s`; the guard was made "
			       "anew, but "
			       "something on this machine has tampered with it\n",
			       attach->forged);
		attach->result->outcome = EG_ATTACH_REPLACED;
		return create(attach, guard, since, error);
	}
	if (eg_attach_is_behind(attach, guard)) {
		eg_text_printf(
			&attach->result->warnings,
			"another program was attached in front of the guard; the guard is in "
			"front again, but something here has tampered with it\n");
		return create(attach, guard, since, error);
	}
	result = eg_attach_cover(attach, guard, guard,
				 drops_tunnel(attach) ? eg_attach_extent_new(attach)
						      : eg_attach_extent_in_force(attach),
				 error);
	if (result < 0)
		return result;
	result = replace(attach, guard, error);
	if (result == -E2BIG || result == -ENOSPC)
		return create(attach, guard, since, error);
	if (result == 0)
		let_names_be_asked(attach, guard);
	if (result == 0 && eg_attach_is_on_cgroup(attach))
		return eg_attach_set_home(attach, guard, error);
	if (result == 0)
		eg_attach_uncover(attach, guard);
	return result;
}

static int refuse_trial(const struct eg_attachment *attach, struct eg_error *error)
{
	if (!attach->request->try_seconds)
		return 0;
	return eg_error_set(error, EG_EXIT_USAGE, EEXIST,
			    "--try is for a new guard, and '%s' is in force: detach it first",
			    attach->result->name);
}

/* New beside old: it judges from before the older one is taken away. */
static int upgrade(struct eg_attachment *attach, struct eg_error *error)
{
	__u64 since = has_begun_to_enforce(attach)
			      ? eg_realtime_ns()
			      : eg_guard_meta(attach->older)->guarded_since_realtime_ns;
	int result = refuse_trial(attach, error);

	if (result == 0)
		result = eg_attach_compare(attach, error);
	if (result < 0)
		return result;
	attach->result->outcome = EG_ATTACH_REPLACED;
	return create(attach, attach->older, since, error);
}

static int update(struct eg_attachment *attach, struct eg_guard *guard, struct eg_error *error)
{
	int result = refuse_trial(attach, error);

	if (result == 0)
		result = eg_attach_compare(attach, error);
	if (result < 0)
		return result;
	attach->result->outcome =
		attach->result->diff.same ? EG_ATTACH_UNCHANGED : EG_ATTACH_REPLACED;
	result = check_tables(attach, guard, error);
	return result < 0 ? result : put_in_force(attach, guard, error);
}

static int attach_run(struct eg_attachment *attach, struct eg_error *error)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	struct eg_error sweeping = {};
	int result = eg_features_check(error);

	/* The end of a trial must not leave more open than its beginning found. */
	if (result == 0 && attach->request->try_seconds && attach->request->replace)
		return eg_error_set(
			error, EG_EXIT_USAGE, EINVAL,
			"--try is for a new guard, and --replace for one in force, which "
			"the end of the trial could not bring back: leave one of them out");
	if (result == 0)
		result = eg_attach_open_target(attach, error);
	if (result == 0)
		result = eg_pins_open(attach->request->pin_dir, true, &attach->pins, error);
	if (result == 0)
		result = eg_pins_lock(&attach->pins, LOCK_WAIT_MS, error);
	if (result == 0)
		result = eg_reap_share(&attach->pins, error);
	if (result == 0)
		result = eg_attach_refuse_second(attach, error);
	if (result == 0)
		result = eg_attach_find_guard(attach, &guard, error);
	if (result == 0)
		result = eg_attach_learn(attach, error);
	if (result == 0)
		result = eg_attach_refuse_stray(attach, guard ? guard : attach->older, error);
	if (result == 0)
		result = compile(attach, error);
	if (result == 0)
		result = guard           ? update(attach, guard, error)
			 : attach->older ? upgrade(attach, error)
					 : create(attach, NULL, 0, error);
	if (result < 0)
		return result;
	eg_attach_ask_resolver(attach);
	/* The guard is in force: leftovers are worth a warning, no failure. */
	if ((!eg_attach_is_on_cgroup(attach) &&
	     eg_reap_ended(&attach->pins, attach->result->name, &attach->target.netns, &sweeping) <
		     0) ||
	    eg_sweep(&attach->pins, &sweeping) < 0)
		eg_text_printf(&attach->result->warnings, "%s\n", sweeping.message);
	return 0;
}

int eg_attach(const struct eg_attach_request *request, struct eg_policy *policy,
	      struct eg_attach_result *result, struct eg_error *error)
{
	struct eg_attachment attach = {
		.request = request,
		.policy = policy,
		.result = result,
		.target.netns = EG_NETNS_NONE,
		.cgroup = EG_CGROUP_NONE,
		.pins = {.dir_fd = -1, .lock_fd = -1},
		.accept_device_only = request->accept_device_only,
	};
	int status = attach_run(&attach, error);

	attach_end(&attach);
	return status;
}
