// SPDX-License-Identifier: GPL-2.0
#include "renew.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "attach.h"
#include "collect.h"
#include "util/cleanup.h"

static int find_netns(const struct eg_meta *meta, struct eg_netns *ret_netns)
{
	return eg_netns_find(meta->netns_dev, meta->netns_inode, meta->netns_cookie, ret_netns);
}

bool eg_can_renew(const struct eg_guard *guard)
{
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	const struct eg_meta *meta = eg_guard_meta(guard);

	/* Without a cookie it may be the number of another one by now. */
	return eg_guard_is_readable(guard) && meta->flags & EG_META_STARTED && meta->netns_cookie &&
	       find_netns(meta, &netns) == 0;
}

/* What it says of its target. */
static int make_target(const struct eg_meta *meta, struct eg_target *target)
{
	int result = find_netns(meta, &target->netns);

	target->kind = EG_TARGET_PATH;
	snprintf(target->name, sizeof(target->name), "%.*s", (int)sizeof(meta->name), meta->name);
	snprintf(target->text, sizeof(target->text), "%.*s", (int)sizeof(meta->target),
		 meta->target);
	target->started_realtime_ns = meta->target_started_realtime_ns;
	if (result < 0 || !meta->container_id[0])
		return result;
	target->kind = EG_TARGET_CONTAINER;
	target->container.runtime =
		strncmp(meta->target, "podman:", 7) == 0 ? EG_RUNTIME_PODMAN : EG_RUNTIME_DOCKER;
	target->container.running = true;
	target->container.name = strndup(meta->container_name, sizeof(meta->container_name));
	snprintf(target->container.id, sizeof(target->container.id), "%.64s", meta->container_id);
	return target->container.name ? 0 : -ENOMEM;
}

/* What somebody has said, without what was learned: that is kept by attach. */
static int read_policy(struct eg_guard *guard, struct eg_policy **ret_policy,
		       struct eg_error *error)
{
	EG_AUTO_POLICY struct eg_policy *in_force = NULL, *policy = NULL;
	EG_AUTO_FREE char *text = NULL;
	int result = eg_collect_policy(guard, &in_force, error);

	if (result < 0)
		return result;
	text = in_force ? eg_policy_format(in_force, false) : NULL;
	result = text ? eg_policy_new(&policy) : -ENOMEM;
	if (result == 0)
		result = eg_policy_parse(policy, text, strlen(text), false, error);
	if (result == 0)
		*ret_policy = EG_TAKE(policy);
	return result;
}

int eg_renew(const char *pin_dir, const char *name, struct eg_error *error)
{
	EG_AUTO(eg_attach_result_free) struct eg_attach_result attached = {};
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	EG_AUTO_TARGET struct eg_target target = {.netns = EG_NETNS_NONE};
	const struct eg_attach_request request = {
		.given = &target,
		.name = name,
		.pin_dir = pin_dir,
		.unattended = true,
		/* As it was made: neither its engine nor what runs there is asked. */
		.starting = true,
	};
	int result = eg_pins_open(pin_dir, false, &pins, error);

	if (result == 0)
		result = eg_guard_open(&pins, name, &guard, error);
	if (result != -EPROTO || !guard)
		return result;
	*error = (struct eg_error){};
	result = make_target(eg_guard_meta(guard), &target);
	if (result == 0)
		result = read_policy(guard, &policy, error);
	eg_pins_close(&pins);
	return result < 0 ? result : eg_attach(&request, policy, &attached, error);
}
