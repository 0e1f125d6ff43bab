// SPDX-License-Identifier: GPL-2.0
#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aside.h"
#include "attach.h"
#include "collect.h"
#include "config_dir.h"
#include "cover.h"
#include "kern/guard.h"
#include "net/cgroup.h"
#include "net/cgroup_target.h"
#include "net/mute.h"
#include "net/process.h"
#include "net/target.h"
#include "policy_options.h"
#include "util/cleanup.h"
#include "util/text.h"

#define LOCK_WAIT_MS 30000
#define SHORT_ID_LEN 12 /* what engines show of an id */
#define PIDS_MAX     4096

/* All that one start works with. */
struct start {
	const struct eg_start_request *request;
	const struct eg_netns *netns;
	struct eg_start_result *result;
	struct eg_policy *policy;
	bool is_template;
	struct eg_pins pins;
	bool same_guard; /* that of this container is on the namespace already */
};

void eg_start_result_free(struct eg_start_result *result)
{
	free(result->aside);
	eg_text_free(&result->warnings);
}

/* --- what is asked for --------------------------------------------------------------------------
 */

static int check_netns(const struct eg_netns *netns, struct eg_error *error)
{
	EG_AUTO_NETNS struct eg_netns own = EG_NETNS_NONE;

	if (eg_netns_is_initial(netns))
		return eg_error_set(
			error, EG_EXIT_USAGE, EPERM,
			"the container has the machine's own network (--network=host or "
			"hostNetwork, "
			"say), and a guard on that would cover this whole machine: give the "
			"container a "
			"network of its own, or start it without egressguard; `egressguard attach "
			"--host` is for guarding the machine");
	if (eg_netns_open_self(&own) < 0 || eg_netns_same(&own, netns))
		return eg_error_set(
			error, EG_EXIT_USAGE, EPERM,
			"the container has the network namespace of its engine (--network=host or "
			"hostNetwork, say), and a guard on that would cover all that is in it: "
			"give the "
			"container a network of its own, or start it without egressguard");
	return 0;
}

static int check_policy_name(const char *name, struct eg_error *error)
{
	char quoted[EG_QUOTE_LEN];

	if (name && *name && *name != '.' && !strchr(name, '/') && strlen(name) < EG_NAME_MAX)
		return 0;
	if (!name || !*name)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "no policy is named: it takes one to start this container");
	return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
			    "%s is no name of a policy: it is a file's name without .conf, and no "
			    "path",
			    eg_quote(quoted, name, strlen(name)));
}

static int read_policy_at(struct start *start, const char *between, struct eg_error *error)
{
	const struct eg_start_request *request = start->request;
	const char *dir = request->config_dir ? request->config_dir : EG_CONFIG_DIR;
	EG_AUTO_FREE char *path = NULL;

	if (asprintf(&path, "%s/%s%s.conf", dir, between, request->policy) < 0) {
		path = NULL;
		eg_error_no_memory(error);
		return -ENOMEM;
	}
	if (access(path, F_OK) < 0)
		return -errno;
	return eg_policy_read_file(path, &start->policy, error);
}

/* One of our own: it is completed when it is put in force. */
static int copy_policy(struct start *start, struct eg_error *error)
{
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	EG_AUTO_FREE char *text = eg_policy_format(start->request->given, false);
	int result = text ? eg_policy_new(&policy) : -ENOMEM;

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "out of memory");
	result = eg_policy_parse(policy, text, strlen(text), false, error);
	if (result == 0)
		start->policy = EG_TAKE(policy);
	return result;
}

static int read_policy(struct start *start, struct eg_error *error)
{
	const struct eg_start_request *request = start->request;
	const char *dir = request->config_dir ? request->config_dir : EG_CONFIG_DIR;
	char quoted[EG_QUOTE_LEN];
	int result = check_policy_name(request->policy, error);

	if (result < 0)
		return result;
	eg_quote(quoted, request->policy, strlen(request->policy));
	result = read_policy_at(start, "", error);
	if (result == -ENOENT && !start->policy && !error->message[0]) {
		start->is_template = true;
		result = read_policy_at(start, EG_TEMPLATES "/", error);
	}
	if (result == -ENOENT && !error->message[0])
		return eg_error_set(error, EG_EXIT_USAGE, ENOENT,
				    "there is no policy %s, neither in %s nor in %s/" EG_TEMPLATES
				    " (with .conf after it): write one (egressguard.conf(5)), or "
				    "name one that is there",
				    quoted, dir, dir);
	if (result < 0)
		return error->message[0] ? result
					 : eg_error_set(error, EG_EXIT_USAGE, -result,
							"cannot look for the policy %s in %s: %s",
							quoted, dir, strerror(-result));
	if (start->policy && start->policy->target &&
	    strncmp(start->policy->target, EG_CGROUP_PREFIX, strlen(EG_CGROUP_PREFIX)) == 0)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "the policy %s is for a cgroup, and this is a network "
				    "namespace: write another one for it",
				    quoted);
	return 0;
}

/* An image, too, may give the guard a name: what is asked by that of a file's must not be told of
 * another container, nor that file's be kept from starting. */
static int check_not_a_files(const struct eg_start_request *request, struct eg_error *error)
{
	const char *dir = request->config_dir ? request->config_dir : EG_CONFIG_DIR;
	EG_AUTO_FREE char *path = NULL;
	char quoted[EG_QUOTE_LEN];

	if (!request->policy || strcmp(request->name, request->policy) == 0)
		return 0;
	if (asprintf(&path, "%s/%s.conf", dir, request->name) < 0) {
		path = NULL;
		return eg_error_no_memory(error);
	}
	if (access(path, F_OK) < 0 &&
	    (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG))
		return 0;
	return eg_error_set(error, EG_EXIT_USAGE, EEXIST,
			    "the guard cannot be called %s: that is the name of another policy "
			    "file's guard; give it another one (the annotation egressguard.name)",
			    eg_quote(quoted, request->name, strlen(request->name)));
}

static int set_name(struct start *start, struct eg_error *error)
{
	const struct eg_start_request *request = start->request;
	char *name = start->result->name, quoted[EG_QUOTE_LEN];
	const size_t size = sizeof(start->result->name);
	int len;

	if (request->name && *request->name && check_not_a_files(request, error) < 0)
		return -EEXIST;
	if (request->name && *request->name)
		len = snprintf(name, size, "%s", request->name);
	else if (start->is_template && request->container_id && *request->container_id)
		len = snprintf(name, size, "%s-%.*s", request->policy, SHORT_ID_LEN,
			       request->container_id);
	else
		len = snprintf(name, size, "%s", request->policy);
	if (len >= 0 && (size_t)len < size)
		return 0;
	*name = '\0';
	return eg_error_set(error, EG_EXIT_USAGE, ENAMETOOLONG,
			    "the guard's name, of the policy %s, is too long: at most %zu bytes",
			    eg_quote(quoted, request->policy, strlen(request->policy)), size - 1);
}

/* --- guards that are there ----------------------------------------------------------------------
 */

static struct eg_netns netns_of(const struct eg_guard *guard)
{
	return eg_netns_of_meta(eg_guard_meta(guard));
}

/* Root inside can take `device` off where that is a filter, but not `peer`. */
static bool is_on(struct eg_guard *guard, const struct eg_netns *netns,
		  const struct eg_underlay *underlay)
{
	bool tcx;

	return eg_guard_device_state(guard, netns, &underlay->link, &tcx) != EG_COVER_NONE ||
	       (underlay->has_peer && eg_guard_peer_state(guard, &underlay->link, &underlay->peer,
							  &tcx) != EG_COVER_NONE);
}

/* The same one, started again, does not run where the guard was made for it. */
static bool is_started_again(const struct start *start, const struct eg_meta *meta)
{
	return meta->container_id[0] && start->request->container_id &&
	       strcmp(meta->container_id, start->request->container_id) == 0;
}

/* Where nothing names it, who was there before the guard is its owner: the next namespace of that
 * number has younger ones alone. */
static bool is_its_owner(const struct start *start, const struct eg_meta *meta, pid_t pid)
{
	__u64 started = eg_process_started(pid);

	if (started && started < meta->guarded_since_realtime_ns)
		return true;
	return meta->container_id[0] && !is_started_again(start, meta) &&
	       eg_cgroup_holds(pid, meta->container_id);
}

/* In the namespace of this start; what cannot be told is there. */
static bool has_owner_here(const struct start *start, const struct eg_meta *meta)
{
	EG_AUTO_FREE pid_t *pids = calloc(PIDS_MAX, sizeof(*pids));
	size_t n = 0;

	if (!pids || eg_netns_pids(start->netns, pids, PIDS_MAX, &n) < 0)
		return true;
	for (size_t i = 0; i < n; i++)
		if (is_its_owner(start, meta, pids[i]))
			return true;
	return false;
}

/* Before 5.14 a namespace is known by its number, which the next one may get: a guard that is on
 * nothing here is that of one that has ended, and may have any policy. Unless its owner is here,
 * and root inside has taken away what it was on. */
static bool is_stale(const struct start *start, struct eg_guard *guard)
{
	EG_AUTO_SURVEY struct eg_survey survey = {};

	if (eg_guard_meta(guard)->netns_cookie && start->netns->cookie)
		return false;
	if (eg_survey_take(start->netns, start->policy, &survey, NULL) < 0)
		return false;
	for (size_t i = 0; i < survey.n_underlays; i++)
		if (is_on(guard, start->netns, &survey.underlays[i]))
			return false;
	return !has_owner_here(start, eg_guard_meta(guard));
}

/* *ret_guard stays NULL where none is on the namespace. */
static int find_on_it(struct start *start, struct eg_guard **ret_guard, struct eg_error *error)
{
	char **names = NULL, quoted[EG_QUOTE_LEN];
	int result = eg_pins_list(&start->pins, false, &names);

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "cannot list the guards: %s",
				    strerror(-result));
	for (char **name = names; result == 0 && !*ret_guard && name && *name; name++) {
		EG_AUTO_GUARD struct eg_guard *guard = NULL;
		struct eg_netns of;
		int opened = eg_guard_open(&start->pins, *name, &guard, NULL);

		if (!guard)
			continue;
		of = netns_of(guard);
		if (eg_guard_meta(guard)->flags & EG_META_CGROUP ||
		    !eg_netns_same(&of, start->netns))
			continue;
		if (opened == 0 && is_stale(start, guard))
			result = eg_guard_remove(&start->pins, *name, error);
		else if (opened == 0)
			*ret_guard = EG_TAKE(guard);
		else
			result = eg_error_set(error, EG_EXIT_FAILED, EPROTO,
					      "this namespace has the guard %s of another version "
					      "of egressguard: `egressguard attach --replace` with "
					      "the policy wanted puts a new one in its place",
					      eg_quote(quoted, *name, strlen(*name)));
	}
	eg_names_free(names);
	return result;
}

static bool is_same_container(const struct start *start, const struct eg_meta *meta)
{
	return !meta->container_id[0] || !start->request->container_id ||
	       strcmp(meta->container_id, start->request->container_id) == 0;
}

/* Only where it is all that this container's policy could ask of it. */
static int check_joined(struct start *start, struct eg_guard *guard,
			const struct eg_policy *in_force, struct eg_error *error)
{
	EG_AUTO_SURVEY struct eg_survey survey = {};
	char quoted[EG_QUOTE_LEN];
	const char *what = NULL;
	int result = eg_guard_is_genuine(guard, &what);

	eg_quote(quoted, eg_guard_meta(guard)->name, sizeof(eg_guard_meta(guard)->name));
	if (result <= 0)
		return eg_error_set(error, EG_EXIT_FAILED, EPERM,
				    "this network has the guard %s, which is not what it was made "
				    "as: see `egressguard status`, and attach it again",
				    quoted);
	if (in_force->mode == EG_MODE_AUDIT && start->policy->mode != EG_MODE_AUDIT)
		return eg_error_set(error, EG_EXIT_FAILED, EPERM,
				    "this network has the guard %s, which is in audit mode and "
				    "drops nothing, and the container's policy is to enforce",
				    quoted);
	result = eg_survey_take(start->netns, in_force, &survey, error);
	if (result < 0)
		return result;
	if (eg_cover_is_behind(guard, start->netns, &survey))
		return eg_error_set(error, EG_EXIT_FAILED, EPERM,
				    "this network has the guard %s, and another program was "
				    "attached in front of it: attach it again",
				    quoted);
	return 0;
}

/* Another container's network: its guard is left as it is, but for interfaces that it lacks. */
static int join(struct start *start, struct eg_guard *guard, struct eg_error *error)
{
	const struct eg_meta *meta = eg_guard_meta(guard);
	EG_AUTO_POLICY struct eg_policy *in_force = NULL;
	int result = eg_collect_policy(guard, &in_force, error);

	if (result == 0)
		result = check_joined(start, guard, in_force, error);
	if (result == 0)
		result =
			eg_cover_all(guard, start->netns, in_force,
				     meta->flags & EG_META_ACCEPT_DEVICE_ONLY, EG_COVER_ALL, error);
	if (result < 0)
		return result;
	snprintf(start->result->name, sizeof(start->result->name), "%s", meta->name);
	start->result->outcome = EG_START_JOINED;
	start->result->has_endpoint = in_force->n_endpoints || in_force->derived.n_endpoints;
	return 0;
}

/* Whether who it was made for still runs there; what cannot be told does. */
static bool is_in_use(const struct start *start, const struct eg_meta *meta)
{
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	EG_AUTO_FREE pid_t *pids = calloc(PIDS_MAX, sizeof(*pids));
	size_t n = 0;
	int result = eg_netns_find(meta->netns_dev, meta->netns_inode, meta->netns_cookie, &netns);

	if (result == -ENOENT)
		return false;
	if (is_started_again(start, meta))
		return false;
	if (result < 0 || !pids || eg_netns_pids(&netns, pids, PIDS_MAX, &n) < 0)
		return true;
	if (!meta->container_id[0])
		return n > 0;
	for (size_t i = 0; i < n; i++)
		if (eg_cgroup_holds(pids[i], meta->container_id))
			return true;
	return false;
}

/* A guard of this name on another namespace. What is dead is removed with the new one's start; who
 * runs there still may get an interface again, but which one has its number is known by a cookie
 * alone. */
static int make_room(struct start *start, struct eg_error *error)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	const char *name = start->result->name;
	char quoted[EG_QUOTE_LEN];
	int opened = eg_guard_open(&start->pins, name, &guard, error);

	if (opened == -ENOENT) {
		*error = (struct eg_error){};
		return 0;
	}
	if (!guard)
		return opened;
	if (opened == 0 && eg_guard_is_dead(guard) &&
	    !(eg_guard_meta(guard)->netns_cookie && is_in_use(start, eg_guard_meta(guard))))
		return 0;
	if (is_in_use(start, eg_guard_meta(guard)))
		return eg_error_set(
			error, EG_EXIT_FAILED, EBUSY,
			"the guard %s is in force on another container's network, which is in "
			"use: a policy that has a target is for one container at a time; put it "
			"into the directory '" EG_TEMPLATES
			"' to use it for several, or give this container "
			"another one",
			eg_quote(quoted, name, strlen(name)));
	*error = (struct eg_error){};
	/* Of another version, on a namespace that nobody is in any more. */
	if (opened < 0)
		return eg_guard_remove(&start->pins, name, error);
	return eg_aside(&start->pins, name, &start->result->aside, error);
}

/* --- sealing ------------------------------------------------------------------------------------
 */

/* What the guard says of its target: the daemon's word where it is the daemon's guard. */
static void set_text(const struct start *start, struct eg_target *target)
{
	const struct eg_start_request *request = start->request;
	const char *text = start->policy->target;
	const char *kind =
		request->engine == EG_START_ENGINE_OTHER ? NULL : eg_runtime_names[request->engine];
	bool is_daemons =
		text && !start->is_template && strcmp(start->result->name, request->policy) == 0;

	if (is_daemons && kind && !strpbrk(text, ":/"))
		snprintf(target->text, sizeof(target->text), "%s:%s", kind, text);
	else if (is_daemons)
		snprintf(target->text, sizeof(target->text), "%s", text);
	else if (kind && request->container_id)
		snprintf(target->text, sizeof(target->text), "%s:%s", kind, request->container_id);
	else
		snprintf(target->text, sizeof(target->text), "net:[%llu]",
			 (unsigned long long)start->netns->inode);
}

static int make_target(const struct start *start, struct eg_target *target, struct eg_error *error)
{
	const struct eg_start_request *request = start->request;
	const char *colon;

	target->netns = *start->netns;
	target->netns.fd = fcntl(start->netns->fd, F_DUPFD_CLOEXEC, 3);
	if (target->netns.fd < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno, "cannot keep the namespace: %m");
	target->kind = EG_TARGET_PATH;
	snprintf(target->name, sizeof(target->name), "%s", start->result->name);
	set_text(start, target);
	if (request->engine == EG_START_ENGINE_OTHER || !request->container_id)
		return 0;
	colon = strchr(target->text, ':');
	target->kind = EG_TARGET_CONTAINER;
	target->container.runtime = (enum eg_runtime)request->engine;
	target->container.running = true;
	target->container.name = strdup(colon ? colon + 1 : target->text);
	snprintf(target->container.id, sizeof(target->container.id), "%s", request->container_id);
	return target->container.name ? 0 : eg_error_no_memory(error);
}

static int attach(struct start *start, struct eg_error *error)
{
	EG_AUTO(eg_attach_result_free) struct eg_attach_result attached = {};
	EG_AUTO_TARGET struct eg_target target = {.netns = EG_NETNS_NONE};
	const struct eg_attach_request request = {
		.given = &target,
		.name = start->result->name,
		.pin_dir = start->request->pin_dir,
		.accept_device_only = start->request->accept_device_only,
		/* Never anything else of that name. */
		.replace = start->same_guard && !start->request->of_namespace,
		.unattended = true,
		.starting = true,
	};
	int result = make_target(start, &target, error);

	if (result == 0)
		result = eg_attach(&request, start->policy, &attached, error);
	if (attached.warnings.len)
		eg_text_add(&start->result->warnings, attached.warnings.data,
			    attached.warnings.len);
	if (result < 0)
		return result;
	start->result->outcome =
		attached.outcome == EG_ATTACH_CREATED ? EG_START_SEALED : EG_START_AGAIN;
	start->result->has_endpoint =
		start->policy->n_endpoints || start->policy->derived.n_endpoints;
	return 0;
}

/* Under the lock: what there is already. True: the namespace has all that it needs. */
static int look(struct start *start, bool *ret_done, struct eg_error *error)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	int result = eg_pins_open(start->request->pin_dir, true, &start->pins, error);

	if (result == 0)
		result = eg_pins_lock(&start->pins, LOCK_WAIT_MS, error);
	if (result == 0)
		result = find_on_it(start, &guard, error);
	if (result < 0)
		return result;
	if (!guard)
		return make_room(start, error);
	if (start->request->of_namespace)
		snprintf(start->result->name, sizeof(start->result->name), "%s",
			 eg_guard_meta(guard)->name);
	start->same_guard = strcmp(eg_guard_meta(guard)->name, start->result->name) == 0 &&
			    is_same_container(start, eg_guard_meta(guard));
	*ret_done = !start->same_guard;
	return start->same_guard ? 0 : join(start, guard, error);
}

static int find_interface(struct start *start, struct eg_error *error)
{
	EG_AUTO_SURVEY struct eg_survey survey = {};
	int result = eg_survey_take(start->netns, start->policy, &survey, error);

	start->result->has_interface = survey.n_underlays > 0;
	return result;
}

static int run(struct start *start, struct eg_error *error)
{
	bool done = false;
	int result = check_netns(start->netns, error);

	if (result == 0)
		result = start->request->given ? copy_policy(start, error)
					       : read_policy(start, error);
	if (result == 0)
		result = set_name(start, error);
	if (result == 0)
		result = look(start, &done, error);
	/* attach() takes the lock itself. Who takes the name meanwhile has it. */
	eg_pins_close(&start->pins);
	if (result == 0 && !done)
		result = attach(start, error);
	return result < 0 ? result : find_interface(start, error);
}

int eg_start_seal(const struct eg_netns *netns, const struct eg_start_request *request,
		  struct eg_start_result *result, struct eg_error *error)
{
	struct start start = {
		.request = request,
		.netns = netns,
		.result = result,
		.pins = {.dir_fd = -1, .lock_fd = -1},
	};
	int status;

	*error = (struct eg_error){};
	status = run(&start, error);
	eg_policy_free(start.policy);
	return status;
}

int eg_start_mute(const struct eg_netns *netns, struct eg_error *error)
{
	int result;

	*error = (struct eg_error){};
	result = check_netns(netns, error);
	return result < 0 ? result : eg_mute(netns, error);
}

int eg_start_policy(const struct eg_start_request *request, struct eg_policy **ret_policy,
		    struct eg_error *error)
{
	struct start start = {.request = request};
	int result;

	*error = (struct eg_error){};
	result = read_policy(&start, error);
	if (result < 0)
		eg_policy_free(start.policy);
	else
		*ret_policy = start.policy;
	return result;
}
