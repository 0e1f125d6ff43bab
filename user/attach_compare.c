// SPDX-License-Identifier: GPL-2.0
/* Whether the new policy lets out more than the one in force. */
#include "attachment.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"

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
static void compare_homes(const struct eg_attachment *attach, struct eg_image_diff *diff)
{
	const struct eg_home *from = &attach->home_in_force, *to = &attach->home;

	if (!eg_attach_is_on_cgroup(attach) || memcmp(from, to, sizeof(*to)) == 0)
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
static int compare_sources_apart(struct eg_attachment *attach, bool *ret_wider,
				 struct eg_error *error)
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

int eg_attach_compare(struct eg_attachment *attach, struct eg_error *error)
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
