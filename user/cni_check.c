// SPDX-License-Identifier: GPL-2.0
#include "cni_check.h"

#include <errno.h>
#include <string.h>

#include "collect.h"
#include "kern/guard.h"
#include "policy/image.h"
#include "policy_options.h"
#include "util/cleanup.h"
#include "util/text.h"

#define DERIVED "\n[Derived]"

static int cannot_tell(const char *what, const struct eg_error *why, struct eg_cni_error *error)
{
	return eg_cni_fail(error, EG_CNI_CANNOT_TELL, "cannot look at %s: %s", what,
			   why->message[0] ? why->message : "out of memory");
}

/* --- whether it is in force ------------------------------------------------------------------- */

static int check_state(const struct eg_cni_request *request, const struct eg_guard_view *view,
		       struct eg_cni_error *error)
{
	bool audit = request->policy->mode == EG_MODE_AUDIT;
	char name[EG_NAME_MAX * 4];

	if (view->state == EG_STATE_ENFORCING || (view->state == EG_STATE_AUDIT && audit))
		return 0;
	eg_escape(name, sizeof(name), view->name, strlen(view->name));
	if (view->state == EG_STATE_AUDIT)
		return eg_cni_fail(error, EG_CNI_UNGUARDED,
				   "the guard '%s' is in audit mode and drops nothing, and the "
				   "network configuration is to enforce",
				   name);
	return eg_cni_fail(error, EG_CNI_UNGUARDED, "the guard '%s' is %s%s%s", name,
			   eg_guard_state_names[view->state], view->reason ? ": " : "",
			   view->reason ? view->reason : "");
}

/* --- whether it allows no more ---------------------------------------------------------------- */

/* What the configuration would be in force as: with what the guard has learned, which is not the
 * configuration's to say, and the addresses that it resolved names to. */
static int complete(const struct eg_policy *wanted, const char *in_force_text,
		    const struct eg_policy *in_force, struct eg_policy **ret_policy)
{
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	EG_AUTO_FREE char *own = eg_policy_format(wanted, false);
	EG_AUTO_TEXT struct eg_text text = {};
	const char *derived = strstr(in_force_text, DERIVED);
	int result;

	if (!own)
		return -ENOMEM;
	eg_text_printf(&text, "%s%s", own, derived ? derived : "");
	if (text.failed)
		return -ENOMEM;
	result = eg_policy_new(&policy);
	if (result == 0)
		result = eg_policy_parse(policy, text.data, text.len, true, NULL);
	if (result == 0 && eg_policy_drop_hosts(policy) > 0)
		for (size_t i = 0; result == 0 && i < in_force->n_endpoints; i++)
			result = eg_policy_add_endpoint(&policy->endpoints, &policy->n_endpoints,
							&in_force->endpoints[i]);
	if (result == 0)
		*ret_policy = EG_TAKE(policy);
	return result;
}

/* One that nobody named is what the guard found: the image does not know tunnels. */
static int check_tunnels(const struct eg_policy *wanted, const struct eg_policy *in_force,
			 struct eg_cni_error *error)
{
	for (size_t i = 0; wanted->n_tunnels && i < in_force->n_tunnels; i++) {
		if (!eg_policy_has_tunnel(wanted, in_force->tunnels[i]))
			return eg_cni_fail(error, EG_CNI_UNGUARDED,
					   "the guard lets everything out through the tunnel %s, "
					   "which the network configuration does not name",
					   in_force->tunnels[i]);
	}
	return 0;
}

static int check_wider(const struct eg_policy *wanted, const struct eg_policy *in_force,
		       struct eg_cni_error *error)
{
	EG_AUTO(eg_image_diff_free) struct eg_image_diff diff = {};
	EG_AUTO_IMAGE struct eg_image *wanted_image = NULL, *image = NULL;
	struct eg_error why = {};
	int result = eg_image_compile(wanted, &wanted_image, &why);

	if (result == 0)
		result = eg_image_compile(in_force, &image, &why);
	if (result == 0)
		result = eg_image_compare(wanted_image, image, &diff);
	if (result < 0)
		return cannot_tell("what the guard allows", &why, error);
	if (!diff.wider)
		return 0;
	return eg_cni_fail(error, EG_CNI_UNGUARDED,
			   "the guard allows more than the network configuration: %.*s",
			   diff.widened.len ? (int)strcspn(diff.widened.data, "\n") : 0,
			   diff.widened.len ? diff.widened.data : "");
}

static int check_policy(const struct eg_cni_request *request, const char *name,
			struct eg_cni_error *error)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	EG_AUTO_POLICY struct eg_policy *in_force = NULL, *wanted = NULL;
	EG_AUTO_FREE char *text = NULL;
	struct eg_error why = {};
	size_t len = 0;
	int result = eg_pins_open(request->pin_dir, false, &pins, &why);

	if (result == 0)
		result = eg_guard_open(&pins, name, &guard, &why);
	if (result == 0)
		result = eg_guard_policy(guard, &text, &len);
	if (result == 0)
		result = eg_collect_policy(guard, &in_force, &why);
	if (result == 0)
		result = complete(request->policy, text, in_force, &wanted);
	if (result < 0 || !in_force || !wanted)
		return cannot_tell("the guard's policy", &why, error);
	result = check_tunnels(request->policy, in_force, error);
	return result < 0 ? result : check_wider(wanted, in_force, error);
}

int eg_cni_check(const struct eg_cni_request *request, struct eg_cni_error *error)
{
	const struct eg_common common = {.netns = request->netns, .pin_dir = request->pin_dir};
	EG_AUTO(eg_status_view_free) struct eg_status_view status = {};
	struct eg_error why = {};
	int result = eg_collect_status(&common, &status, &why);

	if (result < 0 && result != -ENOENT)
		return cannot_tell("the guards", &why, error);
	if (result < 0 || !status.n_guards)
		return eg_cni_fail(error, EG_CNI_UNGUARDED,
				   "the pod '%s' has no guard on its network namespace",
				   request->name);
	for (size_t i = 0; i < status.n_guards; i++) {
		const struct eg_guard_view *view = &status.guards[i];

		if (check_state(request, view, error) < 0 ||
		    check_policy(request, view->name, error) < 0)
			return -EINVAL;
	}
	return 0;
}
