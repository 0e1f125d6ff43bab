// SPDX-License-Identifier: GPL-2.0
#include "attach.h"

#include <errno.h>
#include <string.h>

#include "cover.h"
#include "derive.h"
#include "home.h"
#include "kern/features.h"
#include "kern/guard.h"
#include "names.h"
#include "net/cgroup_socket.h"
#include "net/target.h"
#include "reap.h"
#include "resolver.h"
#include "strays.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* Longer than a command takes whose namespace does its best to be slow. */
#define LOCK_WAIT_MS 30000

/* All that one attach works with. */
struct attach {
	const struct eg_attach_request *request;
	struct eg_policy *policy;
	struct eg_attach_result *result;
	struct eg_target target; /* of a guard on a cgroup: what its home is, or no namespace */
	struct eg_cgroup cgroup;
	struct eg_home home;          /* what the programs are told of the tunnel's namespace */
	struct eg_home home_in_force; /* what those of the guard in force were told */
	struct eg_pins pins;
	struct eg_survey survey;
	struct eg_image *image;
	char *text;                 /* the policy's, as it is stored */
	struct eg_policy *in_force; /* of a guard of this name on this namespace */
	struct eg_guard *older;     /* that guard, where an older version has made it */
	bool accept_device_only;
	const char *forged; /* the pin of the guard in force that is not what was made, or NULL */
	struct eg_resolver resolver; /* Docker's own */
};

static void attach_end(struct attach *attach)
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

static bool on_cgroup(const struct attach *attach)
{
	return attach->request->cgroup != NULL;
}

static bool is_same_target(const struct attach *attach, const struct eg_meta *meta)
{
	const struct eg_netns guarded = eg_netns_of_meta(meta);
	bool cgroup = meta->flags & EG_META_CGROUP;

	if (cgroup != on_cgroup(attach))
		return false;
	return cgroup ? meta->cgroup_id == attach->cgroup.id
		      : eg_netns_same(&guarded, &attach->target.netns);
}

/* --- before anything changes ----------------------------------------------------------------- */

static int set_name(struct attach *attach, struct eg_error *error)
{
	const char *name = attach->request->name ? attach->request->name : attach->target.name;
	char escaped[EG_ERROR_LEN / 2];

	if (!*name)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "a guard needs a name: give it one with --name");
	if (strlen(name) >= sizeof(attach->result->name))
		return eg_error_set(error, EG_EXIT_USAGE, ENAMETOOLONG,
				    "the guard's name '%s' is too long, at most %zu bytes: choose "
				    "another with --name",
				    eg_escape(escaped, sizeof(escaped), name, strlen(name)),
				    sizeof(attach->result->name) - 1);
	strcpy(attach->result->name, name);
	return 0;
}

/* The cgroup's last name is the guard's by default. */
static int open_cgroup(struct attach *attach, struct eg_error *error)
{
	struct eg_target *target = &attach->target;
	int result = eg_cgroup_open(attach->request->cgroup, &attach->cgroup, error);

	if (result < 0)
		return result;
	if (snprintf(target->text, sizeof(target->text), EG_CGROUP_PREFIX "%s",
		     attach->cgroup.path) >= (int)sizeof(target->text))
		return eg_error_set(error, EG_EXIT_USAGE, ENAMETOOLONG,
				    "the cgroup's path is too long, at most %zu bytes",
				    sizeof(target->text) - sizeof(EG_CGROUP_PREFIX));
	snprintf(target->name, sizeof(target->name), "%.*s", (int)sizeof(target->name) - 1,
		 strrchr(attach->cgroup.path, '/') + 1);
	return set_name(attach, error);
}

static int open_target(struct attach *attach, struct eg_error *error)
{
	int result;
	bool initial;

	if (on_cgroup(attach))
		return open_cgroup(attach, error);
	if (attach->request->given) {
		attach->target = *attach->request->given;
		*attach->request->given = (struct eg_target){.netns = EG_NETNS_NONE};
		result = 0;
	} else {
		result = eg_target_resolve(attach->request->target, &attach->target, error);
	}
	if (result < 0)
		return result;
	initial = eg_netns_is_initial(&attach->target.netns);
	if (initial && !attach->request->host && attach->target.kind == EG_TARGET_SELF)
		return eg_error_set(
			error, EG_EXIT_USAGE, EPERM,
			"our own network namespace is that of PID 1. In a container: let it see "
			"the host's processes (`pid: host`, --pid host), or its interfaces cannot "
			"be sealed from outside. On a host: that would be this whole machine; if "
			"that is meant, add --host");
	if (initial && !attach->request->host)
		return eg_error_set(
			error, EG_EXIT_USAGE, EPERM,
			"'%s' is in the initial network namespace: that guard would cover "
			"this whole machine, your remote login included. If that is meant, "
			"add --host, and --try 60 to have it taken away again unless you "
			"confirm",
			attach->target.text);
	if (!initial && attach->request->host)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--host is for the initial network namespace, and '%s' is in "
				    "another: leave it out",
				    attach->target.text);
	attach->result->container = attach->target.kind == EG_TARGET_CONTAINER;
	return set_name(attach, error);
}

/* Told by its identity alone: there may be a thousand. */
static bool is_elsewhere(struct attach *attach, const char *name)
{
	struct eg_meta meta;

	return eg_guard_identity(&attach->pins, name, &meta) == 0 && !is_same_target(attach, &meta);
}

static bool has_ended(const struct attach *attach, struct eg_guard *guard)
{
	return !on_cgroup(attach) && eg_has_ended(guard, &attach->target.netns);
}

/* One target, one guard: with two, neither could say what may leave. */
static int refuse_second_guard(struct attach *attach, struct eg_error *error)
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
		if (is_same_target(attach, eg_guard_meta(guard)) && !has_ended(attach, guard))
			result = eg_error_set(
				error, EG_EXIT_FAILED, EBUSY,
				"this %s has the guard '%s' already, and can have only one: "
				"replace its policy with --name '%s' --replace, or take it away "
				"first: egressguard detach '%s'",
				on_cgroup(attach) ? "cgroup" : "namespace", escaped, escaped,
				escaped);
	}
	eg_names_free(names);
	return result;
}

/* Where it cannot be told, and is not refused by what is in force now, it is asked. */
static void ask_resolver(struct attach *attach)
{
	static const char *const seen_texts[] = {
		[EG_RESOLVER_SEEN_NOWHERE] = "was not seen to leave anywhere",
		[EG_RESOLVER_SEEN_TUNNEL] = "left through the tunnel this time",
		[EG_RESOLVER_SEEN_UNDERLAY] = "left the namespace outside the tunnel",
		[EG_RESOLVER_SEEN_OUTSIDE] = "left from the engine's namespace: outside the guard",
	};
	enum eg_resolver_seen seen;

	if (attach->resolver.way == EG_RESOLVER_UNKNOWN && !attach->request->starting &&
	    !eg_resolver_is_refused(&attach->resolver, attach->policy) &&
	    eg_resolver_ask(&attach->target.netns, &attach->survey, &seen) == 0)
		eg_text_printf(&attach->result->warnings,
			       "a query to Docker's resolver " EG_DOCKER_RESOLVER
			       " for a name that nobody has %s\n",
			       seen_texts[seen]);
}

static void learn_resolver(struct attach *attach)
{
	const struct eg_target *target = &attach->target;

	if (attach->request->starting)
		eg_resolver_presume(target->kind == EG_TARGET_CONTAINER ? &target->container : NULL,
				    &attach->resolver);
	else
		eg_resolver_find(&target->netns,
				 target->kind == EG_TARGET_CONTAINER ? &target->container : NULL,
				 &attach->resolver);
	if (eg_resolver_is_refused(&attach->resolver, attach->policy))
		eg_text_printf(&attach->result->warnings,
			       "Docker's resolver " EG_DOCKER_RESOLVER
			       " is refused, as DNS may go through the tunnel only: %s; or "
			       "--allow-dns " EG_DOCKER_RESOLVER "\n",
			       attach->resolver.why);
}

/* Where the kernel takes each new socket for the root's, a guard below it is open. Where that
 * cannot be told, `status` says so. */
static int check_sockets(const struct attach *attach, struct eg_error *error)
{
	if (eg_cgroup_keeps_sockets(&attach->cgroup) != 0)
		return 0;
	return eg_error_set(
		error, EG_EXIT_KERNEL, EOPNOTSUPP,
		"on this machine sockets do not belong to the cgroup they are made in, so "
		"a guard on one would see nothing: until Linux 5.15 the kernel gives that "
		"up once net_cls or net_prio of cgroup v1 is used. Start the machine with "
		"cgroup_no_v1=net_cls,net_prio, or guard a network namespace");
}

/* The home is looked at as a namespace is; where there is none, the policy has to say it all. */
static int learn_home(struct attach *attach, struct eg_error *error)
{
	struct eg_netns *home = &attach->target.netns;
	int result = check_sockets(attach, error);

	if (attach->policy->on_block == EG_ON_BLOCK_REJECT)
		eg_text_printf(
			&attach->result->warnings,
			"'reject' has no effect on a guard on a cgroup, which answers nothing: "
			"its drops are errors for who sends (EPERM), but a TCP connection "
			"waits\n");
	if (result == 0)
		result = eg_home_find(&attach->cgroup, attach->policy,
				      attach->in_force ? &attach->home_in_force : NULL, home,
				      &attach->result->warnings, error);
	if (result == 0)
		result = eg_derive_tunnels(home, attach->in_force, false, attach->policy,
					   &attach->result->warnings, error);
	if (result == 0 && home->fd >= 0)
		result = eg_survey_take(home, attach->policy, &attach->survey, error);
	/* The guard is on the cgroup: no interface of it has any other layer. */
	attach->survey.device_alone_accepted = true;
	if (result == 0)
		result = eg_derive(&attach->target, &attach->survey,
				   attach->request->replace ? NULL : attach->in_force,
				   EG_DERIVE_BY_HAND, attach->policy, &attach->result->warnings,
				   error);
	if (result == 0)
		eg_home_fill(home, &attach->survey, &attach->home);
	return result;
}

/* Nobody can be asked, and root inside makes a macvlan or a tap in a moment: refused for that, the
 * namespace would have no guard at all. `status` is degraded, as nobody has accepted it. Where
 * nothing runs yet, nothing starts instead. */
static bool takes_device_only(const struct attach *attach)
{
	return attach->accept_device_only ||
	       (attach->request->unattended && !attach->request->starting);
}

static int check_cover(struct attach *attach, struct eg_error *error)
{
	struct eg_error why = {};
	int result = eg_cover_check(&attach->survey, attach->accept_device_only, &why);

	attach->survey.device_alone_accepted = attach->accept_device_only;
	if (result == 0)
		return 0;
	if (why.exit != EG_EXIT_KERNEL || !takes_device_only(attach)) {
		if (error)
			*error = why;
		return result;
	}
	eg_text_printf(&attach->result->warnings, "%s\n", why.message);
	return 0;
}

static int learn(struct attach *attach, struct eg_error *error)
{
	const struct eg_attach_request *request = attach->request;
	enum eg_derive_terms terms = request->starting     ? EG_DERIVE_STARTING
				     : request->unattended ? EG_DERIVE_UNATTENDED
							   : EG_DERIVE_BY_HAND;
	const struct eg_policy *kept =
		request->replace && terms == EG_DERIVE_BY_HAND ? NULL : attach->in_force;
	int result;

	if (on_cgroup(attach))
		return learn_home(attach, error);
	result = eg_derive_tunnels(&attach->target.netns, attach->in_force,
				   terms == EG_DERIVE_UNATTENDED, attach->policy,
				   &attach->result->warnings, error);
	if (result == 0)
		result = terms == EG_DERIVE_UNATTENDED
				 ? eg_survey_take_anyway(&attach->target.netns, attach->policy,
							 &attach->survey, error)
				 : eg_survey_take(&attach->target.netns, attach->policy,
						  &attach->survey, error);
	if (result == 0)
		result = check_cover(attach, error);
	if (result == 0)
		result = eg_derive(&attach->target, &attach->survey, kept, terms, attach->policy,
				   &attach->result->warnings, error);
	if (result == 0)
		learn_resolver(attach);
	return result;
}

/* A guard whose pins are out of reach is one all the same, and cannot be asked what it lets out. */
static int refuse_stray(struct attach *attach, const struct eg_guard *guard, struct eg_error *error)
{
	EG_AUTO_TEXT struct eg_text lines = {};

	if (on_cgroup(attach))
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

static int compile(struct attach *attach, struct eg_error *error)
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

/* --- a new guard ----------------------------------------------------------------------------- */

static void fill_meta(const struct attach *attach, struct eg_meta *meta)
{
	const struct eg_target *target = &attach->target;

	meta->flags &= ~(__u32)(EG_META_ACCEPT_DEVICE_ONLY | EG_META_HOST | EG_META_CGROUP |
				EG_META_FILE_SPOILT);
	if (on_cgroup(attach)) {
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

/* The trial's time counts from when the guard is in force. */
static int start_trial(struct attach *attach, struct eg_guard *guard, struct eg_error *error)
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

/* A guard may be weaker because this kernel is; never because something failed this time. */
static int check_strength(struct attach *attach, const struct eg_guard *guard,
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

/* Nobody is there to put right, or to ask again, what whoever is root inside keeps going wrong. */
static bool is_alone(const struct attach *attach)
{
	return attach->request->unattended && !attach->request->starting;
}

static enum eg_cover_extent all(const struct attach *attach)
{
	return is_alone(attach) ? EG_COVER_ANYWAY : EG_COVER_ALL;
}

/* Of a guard in force: who attaches unattended follows it, too. */
static enum eg_cover_extent extent(const struct attach *attach)
{
	return is_alone(attach) ? EG_COVER_SHARE : EG_COVER_ALL;
}

/* What was free until now has its layers when the policy that says so is in force. */
static bool drops_tunnel(const struct attach *attach)
{
	const struct eg_policy *from = attach->in_force;

	for (size_t i = 0; i < from->n_tunnels; i++)
		if (!eg_policy_has_tunnel(attach->policy, from->tunnels[i]))
			return true;
	return false;
}

/* The layers that hold packets back. */
static int cover(struct attach *attach, struct eg_guard *guard, enum eg_cover_extent extent,
		 struct eg_error *error)
{
	if (on_cgroup(attach))
		return eg_guard_cover_cgroup(guard, attach->cgroup.fd, error);
	return eg_cover_all(guard, &attach->target.netns, attach->policy, takes_device_only(attach),
			    extent, error);
}

/* The tunnel's namespace: with the policy that frees it, and not before. */
static int set_home(struct attach *attach, struct eg_guard *guard, struct eg_error *error)
{
	int result = on_cgroup(attach) ? eg_guard_set_home(guard, &attach->home) : 0;

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot tell the guard the tunnel's namespace: %s",
				    strerror(-result));
	return 0;
}

static bool has_sockets(const struct eg_guard *guard)
{
	return guard && !(eg_guard_meta(guard)->flags & EG_META_NO_SOCKET);
}

/* The layer `socket` holds nothing back that the others would not: without it a guard is as tight.
 * So a machine that cannot have it gets a guard without, but none loses it in silence. */
static int cover_sockets(struct attach *attach, struct eg_guard *guard, bool had,
			 struct eg_error *error)
{
	struct eg_error why = {};
	int result = on_cgroup(attach)
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

/* Before a policy is in force that wants it. */
static int refuse_resolver(struct attach *attach, struct eg_guard *guard, struct eg_error *error)
{
	struct eg_link lo;
	int result;

	if (!eg_resolver_is_refused(&attach->resolver, attach->policy))
		return 0;
	result = find_loopback(&attach->target.netns, &lo, error);
	return result < 0 ? result : eg_guard_cover_lo(guard, &attach->target.netns, &lo, error);
}

/* Whether another program has come to stand in front of what refuses it. */
static bool is_resolver_behind(struct attach *attach, struct eg_guard *guard)
{
	struct eg_link lo;

	return eg_resolver_is_refused(&attach->resolver, attach->policy) &&
	       find_loopback(&attach->target.netns, &lo, NULL) == 0 &&
	       eg_guard_lo_state(guard, &attach->target.netns, &lo) == EG_COVER_BEHIND;
}

/* Once a policy is in force that does not. */
static void free_resolver(struct attach *attach, struct eg_guard *guard)
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

/* Once a policy is in force that declares them. That fails where less is let out than could be, or
 * something is to be covered again, which status then says. */
static void free_tunnels(struct attach *attach, struct eg_guard *guard)
{
	struct eg_error why = {};

	if (eg_cover_free_tunnels(guard, &attach->target.netns, attach->policy,
				  takes_device_only(attach), extent(attach), &why) < 0)
		eg_text_printf(
			&attach->result->warnings,
			"the policy is in force, but whether the guard is off the tunnel, and "
			"on all else, is not known (%s): attach again\n",
			why.message);
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

/* From when all is in force. What the namespace may not ask for then, it can when it is attached
 * again: no failure. */
static void let_names_be_asked(struct attach *attach, struct eg_guard *guard)
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
static int create(struct attach *attach, struct eg_guard *replaced, __u64 since,
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
		result = set_home(attach, guard, error);
	if (result == 0)
		result = cover(attach, guard, all(attach), error);
	if (result == 0)
		result = cover_sockets(attach, guard, has_sockets(replaced), error);
	if (result == 0)
		result = refuse_resolver(attach, guard, error);
	if (result == 0)
		result = note_start(guard, error);
	if (result == 0)
		result = eg_guard_commit(guard, error);
	if (result == 0)
		let_names_be_asked(attach, guard);
	if (result < 0) {
		eg_guard_abort(guard);
		/* What all guards share knew the new one in the old one's place. */
		if (has_sockets(replaced) && !on_cgroup(attach))
			eg_guard_cover_sockets(replaced, &attach->target.netns, NULL);
	} else if (attach->request->try_seconds)
		result = start_trial(attach, guard, error);
	return result;
}

/* --- a guard in force ------------------------------------------------------------------------ */

/* The image does not know tunnels: nothing of ours is attached to them. */
static void compare_tunnels(const struct eg_policy *from, const struct eg_policy *to,
			    struct eg_image_diff *diff)
{
	for (size_t i = 0; i < to->n_tunnels; i++) {
		if (eg_policy_has_tunnel(from, to->tunnels[i]))
			continue;
		diff->same = false;
		diff->wider = true;
		eg_text_printf(&diff->widened, "lets everything out through the tunnel %s\n",
			       to->tunnels[i]);
	}
	for (size_t i = 0; i < from->n_tunnels; i++) {
		if (eg_policy_has_tunnel(to, from->tunnels[i]))
			continue;
		diff->same = false;
		eg_text_printf(&diff->narrowed, "no longer knows the tunnel %s\n",
			       from->tunnels[i]);
	}
}

/* The same tunnel in another namespace is another tunnel. */
static void compare_homes(const struct attach *attach, struct eg_image_diff *diff)
{
	const struct eg_home *from = &attach->home_in_force, *to = &attach->home;

	if (!on_cgroup(attach) || memcmp(from, to, sizeof(*to)) == 0)
		return;
	diff->same = false;
	if (!to->netns_inode) {
		eg_text_printf(&diff->narrowed, "no longer knows the tunnel's namespace\n");
	} else if (!eg_home_same_netns(from, to)) {
		diff->wider = true;
		eg_text_printf(&diff->widened,
			       "lets everything out through the tunnel of another namespace than "
			       "before\n");
	}
}

/*
 * A pod's network is made one interface after the other, each with its own addresses, which are
 * sources then: that is no wider policy. Whether anything else is.
 */
static int compare_sources_apart(struct attach *attach, bool *ret_wider, struct eg_error *error)
{
	EG_AUTO_IMAGE struct eg_image *image = NULL;
	struct eg_derived *before = &attach->in_force->derived;
	const struct eg_derived own = *before;
	struct eg_image_diff diff;
	int result;

	before->sources = attach->policy->derived.sources;
	before->n_sources = attach->policy->derived.n_sources;
	before->on_link = attach->policy->derived.on_link;
	before->n_on_link = attach->policy->derived.n_on_link;
	result = eg_image_compile(attach->in_force, &image, error);
	*before = own;
	if (result < 0)
		return result;
	if (eg_image_compare(image, attach->image, &diff) < 0)
		return eg_error_no_memory(error);
	*ret_wider = diff.wider;
	eg_image_diff_free(&diff);
	return 0;
}

static int compare(struct attach *attach, struct eg_error *error)
{
	EG_AUTO_IMAGE struct eg_image *image = NULL;
	struct eg_image_diff *diff = &attach->result->diff;
	int result = eg_image_compile(attach->in_force, &image, error);

	if (result < 0)
		return result;
	if (eg_image_compare(image, attach->image, diff) < 0)
		return eg_error_no_memory(error);
	if (diff->wider && attach->request->starting)
		result = compare_sources_apart(attach, &diff->wider, error);
	if (result < 0)
		return result;
	compare_tunnels(attach->in_force, attach->policy, diff);
	compare_homes(attach, diff);
	if (!diff->wider || attach->request->replace)
		return 0;
	return eg_error_set(error, EG_EXIT_FAILED, EEXIST,
			    "the guard '%s' in force allows less; to replace it all the same, add "
			    "--replace",
			    attach->result->name);
}

/* Time in audit mode is no guarded time. */
static bool has_begun_to_enforce(const struct attach *attach)
{
	return attach->in_force->mode == EG_MODE_AUDIT && attach->policy->mode == EG_MODE_ENFORCE;
}

/* What the guard says of its target. Confirms a --try, too. */
static int note(const struct attach *attach, struct eg_guard *guard, struct eg_error *error)
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

/* The notes first: once the policy is in force, nothing may fail any more. */
static int replace(struct attach *attach, struct eg_guard *guard, struct eg_error *error)
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
static int check_tables(struct attach *attach, struct eg_guard *guard, struct eg_error *error)
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

/* The new policy into the guard in force; or, where that cannot take it or does not come first any
 * more, a new guard beside it, which then takes its place. */
static int put_in_force(struct attach *attach, struct eg_guard *guard, struct eg_error *error)
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
	if (!on_cgroup(attach) &&
	    (eg_cover_is_behind(guard, &attach->target.netns, &attach->survey) ||
	     is_resolver_behind(attach, guard))) {
		eg_text_printf(
			&attach->result->warnings,
			"another program was attached in front of the guard; the guard is in "
			"front again, but something here has tampered with it\n");
		return create(attach, guard, since, error);
	}
	result = cover(attach, guard, drops_tunnel(attach) ? all(attach) : extent(attach), error);
	if (result == 0)
		result = cover_sockets(attach, guard, has_sockets(guard), error);
	if (result == 0)
		result = refuse_resolver(attach, guard, error);
	if (result < 0)
		return result;
	result = replace(attach, guard, error);
	if (result == -E2BIG || result == -ENOSPC)
		return create(attach, guard, since, error);
	if (result == 0)
		let_names_be_asked(attach, guard);
	if (result == 0 && on_cgroup(attach))
		return set_home(attach, guard, error);
	if (result == 0) {
		free_resolver(attach, guard);
		free_tunnels(attach, guard);
	}
	return result;
}

static int refuse_trial(const struct attach *attach, struct eg_error *error)
{
	if (!attach->request->try_seconds)
		return 0;
	return eg_error_set(error, EG_EXIT_USAGE, EEXIST,
			    "--try is for a new guard, and '%s' is in force: detach it first",
			    attach->result->name);
}

/* New beside old: it judges from before the older one is taken away. */
static int upgrade(struct attach *attach, struct eg_error *error)
{
	__u64 since = has_begun_to_enforce(attach)
			      ? eg_realtime_ns()
			      : eg_guard_meta(attach->older)->guarded_since_realtime_ns;
	int result = refuse_trial(attach, error);

	if (result == 0)
		result = compare(attach, error);
	if (result < 0)
		return result;
	attach->result->outcome = EG_ATTACH_REPLACED;
	return create(attach, attach->older, since, error);
}

static int update(struct attach *attach, struct eg_guard *guard, struct eg_error *error)
{
	int result = refuse_trial(attach, error);

	if (result == 0)
		result = compare(attach, error);
	if (result < 0)
		return result;
	attach->result->outcome =
		attach->result->diff.same ? EG_ATTACH_UNCHANGED : EG_ATTACH_REPLACED;
	result = check_tables(attach, guard, error);
	return result < 0 ? result : put_in_force(attach, guard, error);
}

/* A guard of this name that holds another namespace, which is still in use, is not given up in
 * silence: what it guards would be open. */
static int refuse_orphan(struct attach *attach, struct eg_guard *guard, struct eg_error *error)
{
	if (attach->request->replace || eg_guard_is_dead(guard))
		return 0;
	if (eg_guard_meta(guard)->flags & EG_META_CGROUP || on_cgroup(attach))
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

static int read_in_force(struct attach *attach, struct eg_guard *guard, struct eg_error *error)
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
static bool mend_cgroup(struct attach *attach, struct eg_guard *guard)
{
	if (eg_guard_home(guard, &attach->home_in_force) < 0)
		attach->home_in_force = (struct eg_home){};
	return !eg_guard_is_on_cgroup(guard) &&
	       eg_guard_cover_cgroup(guard, attach->cgroup.fd, NULL) == 0;
}

/* An older version's, of which it is known what it enforces. */
static int take_older(struct attach *attach, struct eg_guard **guard, struct eg_error *error)
{
	int result;

	*error = (struct eg_error){};
	if (!is_same_target(attach, eg_guard_meta(*guard)))
		return refuse_orphan(attach, *guard, error);
	result = read_in_force(attach, *guard, error);
	if (result == 0)
		attach->older = EG_TAKE(*guard);
	return result;
}

/* A container that was started again has another namespace, be its number the same. */
static bool is_of_last_run(const struct attach *attach, struct eg_guard *guard)
{
	__u64 then = eg_guard_meta(guard)->target_started_realtime_ns;

	return attach->target.kind == EG_TARGET_CONTAINER && then &&
	       then != attach->target.started_realtime_ns && has_ended(attach, guard);
}

/* *ret_guard stays NULL where there is none that could be updated in place. */
static int find_guard(struct attach *attach, struct eg_guard **ret_guard, struct eg_error *error)
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
	if (!is_same_target(attach, eg_guard_meta(guard)) || is_of_last_run(attach, guard))
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
			on_cgroup(attach) ? mend_cgroup(attach, guard)
					  : eg_cover_what_can_be(guard, &attach->target.netns,
								 attach->in_force, extent(attach));
	}
	*ret_guard = EG_TAKE(guard);
	return 0;
}

static int attach_run(struct attach *attach, struct eg_error *error)
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
		result = open_target(attach, error);
	if (result == 0)
		result = eg_pins_open(attach->request->pin_dir, true, &attach->pins, error);
	if (result == 0)
		result = eg_pins_lock(&attach->pins, LOCK_WAIT_MS, error);
	if (result == 0)
		result = eg_reap_share(&attach->pins, error);
	if (result == 0)
		result = refuse_second_guard(attach, error);
	if (result == 0)
		result = find_guard(attach, &guard, error);
	if (result == 0)
		result = learn(attach, error);
	if (result == 0)
		result = refuse_stray(attach, guard ? guard : attach->older, error);
	if (result == 0)
		result = compile(attach, error);
	if (result == 0)
		result = guard           ? update(attach, guard, error)
			 : attach->older ? upgrade(attach, error)
					 : create(attach, NULL, 0, error);
	if (result < 0)
		return result;
	ask_resolver(attach);
	/* The guard is in force: leftovers are worth a warning, no failure. */
	if ((!on_cgroup(attach) && eg_reap_ended(&attach->pins, attach->result->name,
						 &attach->target.netns, &sweeping) < 0) ||
	    eg_sweep(&attach->pins, &sweeping) < 0)
		eg_text_printf(&attach->result->warnings, "%s\n", sweeping.message);
	return 0;
}

int eg_attach(const struct eg_attach_request *request, struct eg_policy *policy,
	      struct eg_attach_result *result, struct eg_error *error)
{
	struct attach attach = {
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
