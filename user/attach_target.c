// SPDX-License-Identifier: GPL-2.0
/* What is to be guarded, and by what name. */
#include "attachment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool eg_attach_is_on_cgroup(const struct eg_attachment *attach)
{
	return attach->request->cgroup != NULL;
}

bool eg_attach_is_same_target(const struct eg_attachment *attach, const struct eg_meta *meta)
{
	const struct eg_netns guarded = eg_netns_of_meta(meta);
	bool cgroup = meta->flags & EG_META_CGROUP;

	if (cgroup != eg_attach_is_on_cgroup(attach))
		return false;
	return cgroup ? meta->cgroup_id == attach->cgroup.id
		      : eg_netns_same(&guarded, &attach->target.netns);
}

static int set_name(struct eg_attachment *attach, struct eg_error *error)
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
static int open_cgroup(struct eg_attachment *attach, struct eg_error *error)
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

int eg_attach_open_target(struct eg_attachment *attach, struct eg_error *error)
{
	int result;
	bool initial;

	if (eg_attach_is_on_cgroup(attach))
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
