// SPDX-License-Identifier: GPL-2.0
/* What the target says of itself. */
#include "attachment.h"

#include <errno.h>
#include <string.h>

#include "derive.h"
#include "net/cgroup_socket.h"

/* Where the kernel takes each new socket for the root's, a guard below it is open. Where that
 * cannot be told, `status` says so. */
static int check_sockets(const struct eg_attachment *attach, struct eg_error *error)
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
static int learn_home(struct eg_attachment *attach, struct eg_error *error)
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

static int check_cover(struct eg_attachment *attach, struct eg_error *error)
{
	struct eg_error why = {};
	int result = eg_cover_check(&attach->survey, attach->accept_device_only, &why);

	attach->survey.device_alone_accepted = attach->accept_device_only;
	if (result == 0)
		return 0;
	if (why.exit != EG_EXIT_KERNEL || !eg_attach_takes_device_only(attach)) {
		if (error)
			*error = why;
		return result;
	}
	eg_text_printf(&attach->result->warnings, "%s\n", why.message);
	return 0;
}

static void learn_resolver(struct eg_attachment *attach)
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

int eg_attach_learn(struct eg_attachment *attach, struct eg_error *error)
{
	const struct eg_attach_request *request = attach->request;
	enum eg_derive_terms terms = request->starting     ? EG_DERIVE_STARTING
				     : request->unattended ? EG_DERIVE_UNATTENDED
							   : EG_DERIVE_BY_HAND;
	const struct eg_policy *kept =
		request->replace && terms == EG_DERIVE_BY_HAND ? NULL : attach->in_force;
	int result;

	if (eg_attach_is_on_cgroup(attach))
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

/* Where it cannot be told, and is not refused by what is in force now, it is asked. */
void eg_attach_ask_resolver(struct eg_attachment *attach)
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
