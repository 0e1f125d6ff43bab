// SPDX-License-Identifier: GPL-2.0
/*
 * Whether one image lets out more than another. The prefixes of both, merged, cut the addresses
 * into places where neither changes; at each place every kind of packet that eg_decide() can tell
 * apart there is put to both. So what is wider is what the decision says is wider, and not a second
 * opinion on what flags mean.
 *
 * It goes in two steps, `from` to `to` under the switches of `from`, then from switches to
 * switches. If neither step lets out more, the two together do not.
 */
#include "policy/compare_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eg_packet.h"
#include "policy/address.h"
#include "policy/qname.h"
#include "util/cleanup.h"

/* --- places ----------------------------------------------------------------------------------- */

/* Where rows look at the destination's kind, each kind is a place of its own. */
static const struct eg_prefix kinds[] = {
	{.family = EG_FAMILY_IPV4, .len = 0},
	{.family = EG_FAMILY_IPV4, .len = 16, .addr.bytes = {169, 254}},
	{.family = EG_FAMILY_IPV4, .len = 4, .addr.bytes = {224}},
	{.family = EG_FAMILY_IPV4, .len = 32, .addr.bytes = {255, 255, 255, 255}},
	{.family = EG_FAMILY_IPV6, .len = 0},
	{.family = EG_FAMILY_IPV6, .len = 10, .addr.bytes = {0xfe, 0x80}},
	{.family = EG_FAMILY_IPV6, .len = 8, .addr.bytes = {0xff}},
	{.family = EG_FAMILY_IPV6, .len = 16, .addr.bytes = {0xff, 0x02}},
	{.family = EG_FAMILY_IPV6,
	 .len = 128,
	 .addr.bytes = {0xff, 0x02, [13] = 0x01, [15] = 0x02}}, /* ff02::1:2 */
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static bool same_rules(struct eg_comparison *comparison, __u32 from, __u32 to)
{
	const struct eg_image_rule *left, *right;
	size_t n_left, n_right;
	bool same;

	if (comparison->last_from == from && comparison->last_to == to)
		return comparison->last_same;
	left = eg_image_rule_set(comparison->from, from, &n_left);
	right = eg_image_rule_set(comparison->to, to, &n_right);
	same = n_left == n_right;
	for (size_t i = 0; same && i < n_left; i++)
		same = left[i].proto == right[i].proto && left[i].port == right[i].port;
	comparison->last_from = from;
	comparison->last_to = to;
	comparison->last_same = same;
	return same;
}

static int compare_place(struct eg_comparison *comparison, struct eg_level *level)
{
	int r;

	level->changes.n = 0;
	if (level->from.flags == level->to.flags &&
	    same_rules(comparison, level->from.rule_set, level->to.rule_set) &&
	    !(comparison->endpoints_differ && (level->from.flags & EG_ADDR_ENDPOINT)))
		return 0;
	comparison->diff->same = false;
	r = eg_compare_probe(comparison, level);
	if (r < 0)
		return r;
	eg_compare_add_changes(comparison, level);
	return 0;
}

/* The place inside the levels that cover it; NULL values are those of the place around it. */
static int enter_place(struct eg_comparison *comparison, const struct eg_prefix *prefix,
		       const struct eg_addr_value *from, const struct eg_addr_value *to)
{
	const struct eg_level *around;
	struct eg_level *level;

	while (comparison->n_levels &&
	       !eg_prefix_covers(&comparison->levels[comparison->n_levels - 1].prefix, prefix))
		comparison->n_levels--;
	around = comparison->n_levels ? &comparison->levels[comparison->n_levels - 1] : NULL;
	level = &comparison->levels[comparison->n_levels++];
	level->prefix = *prefix;
	level->from = from ? *from : around ? around->from : (struct eg_addr_value){};
	level->to = to ? *to : around ? around->to : (struct eg_addr_value){};
	return compare_place(comparison, level);
}

static const struct eg_prefix *earlier(const struct eg_prefix *a, const struct eg_prefix *b)
{
	if (!a || !b)
		return a ? a : b;
	return eg_prefix_compare(b, a) < 0 ? b : a;
}

/* Merges three sorted lists of prefixes: of both images, and of the kinds. */
static int compare_places(struct eg_comparison *comparison)
{
	const struct eg_image *from = comparison->from, *to = comparison->to;
	size_t i = 0, j = 0, k = 0;
	int r = 0;

	while (r == 0 && (i < from->n_addrs || j < to->n_addrs || k < KINDS)) {
		const struct eg_image_addr *left = i < from->n_addrs ? &from->addrs[i] : NULL;
		const struct eg_image_addr *right = j < to->n_addrs ? &to->addrs[j] : NULL;
		const struct eg_prefix *next =
			earlier(earlier(left ? &left->prefix : NULL, right ? &right->prefix : NULL),
				k < KINDS ? &kinds[k] : NULL);

		if (left && eg_prefix_compare(&left->prefix, next))
			left = NULL;
		if (right && eg_prefix_compare(&right->prefix, next))
			right = NULL;
		r = enter_place(comparison, next, left ? &left->value : NULL,
				right ? &right->value : NULL);
		if (k < KINDS && !eg_prefix_compare(&kinds[k], next))
			k++;
		i += left != NULL;
		j += right != NULL;
	}
	return r;
}

/* --- the rest --------------------------------------------------------------------------------- */

static void compare_flag(struct eg_comparison *comparison, __u32 flag, const char *on,
			 const char *off, bool on_is_wider)
{
	__u32 before = comparison->from->config.flags & flag;
	__u32 after = comparison->to->config.flags & flag;

	if (before != after)
		eg_compare_add_line(comparison, on_is_wider == (after != 0), after ? on : off);
}

static void compare_source_port(struct eg_comparison *comparison)
{
	__u16 before = EG_FROM_BE16(comparison->from->config.source_port_be);
	__u16 after = EG_FROM_BE16(comparison->to->config.source_port_be);
	char line[EG_ADDRESS_TEXT_LEN];

	if (before == after)
		return;
	if (!after)
		snprintf(line, sizeof(line), "WireGuard's own port is no longer pinned to %u",
			 before);
	else
		snprintf(line, sizeof(line), "WireGuard's own port is pinned to %u", after);
	eg_compare_add_line(comparison, before != 0, line);
}

/* Neither lets anything out. */
static void compare_answers(struct eg_comparison *comparison)
{
	__u32 after = comparison->to->config.flags & EG_CONFIG_REJECT;

	if (after != (comparison->from->config.flags & EG_CONFIG_REJECT))
		eg_compare_add_line(comparison, false,
				    after ? "what is dropped is answered"
					  : "what is dropped is not answered");
}

static void compare_name(struct eg_comparison *comparison, const struct eg_bootstrap *other,
			 const struct eg_bootstrap_name *name, bool gained)
{
	char text[EG_QNAME_TEXT_LEN];
	char line[EG_QNAME_TEXT_LEN + 64];

	if (!name->len || eg_qname_is_in(other, name))
		return;
	snprintf(line, sizeof(line), "%s asking for the name %s",
		 gained ? "allows" : "no longer allows", eg_qname_format(text, name));
	eg_compare_add_line(comparison, gained, line);
}

static void compare_names(struct eg_comparison *comparison)
{
	const struct eg_bootstrap *before = &comparison->from->bootstrap;
	const struct eg_bootstrap *after = &comparison->to->bootstrap;

	for (size_t i = 0; i < EG_BOOTSTRAP_NAMES; i++) {
		compare_name(comparison, before, &after->names[i], true);
		compare_name(comparison, after, &before->names[i], false);
	}
}

static void compare_config(struct eg_comparison *comparison)
{
	compare_flag(comparison, EG_CONFIG_AUDIT, "audit: drops pass", "enforce: drops are drops",
		     true);
	compare_flag(comparison, EG_CONFIG_DNS_TUNNEL, "DNS: through the tunnel only",
		     "DNS: queries to allowed addresses pass off the tunnel", false);
	compare_flag(comparison, EG_CONFIG_DHCP, "allows DHCP", "no longer allows DHCP", true);
	compare_flag(comparison, EG_CONFIG_SHAPE_ANY, "packets to an endpoint may have any payload",
		     "packets to an endpoint must look like WireGuard", true);
	compare_answers(comparison);
	compare_source_port(comparison);
	compare_names(comparison);
}

static bool endpoints_differ(const struct eg_image *from, const struct eg_image *to)
{
	if (from->n_endpoints != to->n_endpoints)
		return true;
	for (size_t i = 0; i < from->n_endpoints; i++)
		if (eg_image_endpoint_compare(&from->endpoints[i], &to->endpoints[i]))
			return true;
	return false;
}

static void comparison_freep(struct eg_comparison **pointer)
{
	struct eg_comparison *comparison = *pointer;

	if (!comparison)
		return;
	for (size_t i = 0; i < EG_LEVELS_MAX; i++)
		free(comparison->levels[i].changes.change);
	free(comparison);
}

int eg_image_compare(const struct eg_image *from, const struct eg_image *to,
		     struct eg_image_diff *ret_diff)
{
	EG_AUTO(comparison_freep) struct eg_comparison *comparison = calloc(1, sizeof(*comparison));
	struct eg_image_diff diff = {.same = true};
	int r;

	if (!comparison)
		return -ENOMEM;
	comparison->from = from;
	comparison->to = to;
	comparison->diff = &diff;
	comparison->widened.text = &diff.widened;
	comparison->narrowed.text = &diff.narrowed;
	comparison->endpoints_differ = endpoints_differ(from, to);
	comparison->last_same = true; /* no rules, and no rules */
	compare_config(comparison);
	r = compare_places(comparison);
	eg_compare_close_lines(&comparison->widened);
	eg_compare_close_lines(&comparison->narrowed);
	if (r < 0 || diff.widened.failed || diff.narrowed.failed) {
		eg_image_diff_free(&diff);
		return -ENOMEM;
	}
	*ret_diff = diff;
	return 0;
}

void eg_image_diff_free(struct eg_image_diff *diff)
{
	eg_text_free(&diff->widened);
	eg_text_free(&diff->narrowed);
}
