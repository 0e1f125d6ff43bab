// SPDX-License-Identifier: GPL-2.0
/* What must get through the OUTPUT chains: LAN, WireGuard's own packets, the tunnel, loopback. */
#include <stdio.h>
#include <string.h>

#include "policy/address.h"
#include "policy/wgcheck_internal.h"
#include "policy/wgwalk.h"

struct passes {
	struct eg_wgchecker *checker;
	const struct eg_wgmodel *model;
	const struct eg_wgchain *chain;
	__u8 family;
	const char *tool;
	const char *underlay; /* the one that the rules name, NULL */
};

static bool is_dropped(const struct eg_wgwalk *walk)
{
	return walk->end == EG_WGEND_DROPPED && !walk->some_pass;
}

/* Whether what drops is a kill switch, and not a rule for this alone. */
static bool by_kill_switch(const struct passes *passes, const struct eg_wgop *by)
{
	for (size_t i = 0; i < passes->chain->n_rules; i++) {
		if (passes->chain->rules[i].op == by)
			return eg_wgrule_is_kill_switch(&passes->chain->rules[i]);
	}
	return true; /* a policy */
}

/* Where to put a rule that accepts what `by` drops. */
static void fix_accept(const struct passes *passes, const struct eg_wgop *by, const char *match)
{
	if (by->verb == 'I')
		eg_wgfix(passes->checker,
			 "after line %u, in a line of its own: PostUp = %s -I %s %s -j ACCEPT (-I "
			 "puts it before what drops it); and -D in PreDown",
			 by->place.line, passes->tool, by->chain, match);
	else
		eg_wgfix(passes->checker, "before it: %s -A %s %s -j ACCEPT", passes->tool,
			 by->chain, match);
}

/* --- the LAN ---------------------------------------------------------------------------------- */

static bool is_excluded(const struct eg_wgmodel *model, const struct eg_wgop *op)
{
	bool sure = false;

	return eg_wgop_excludes(op) || (eg_wgop_rule_excludes(model, op, &sure) && sure);
}

static bool told_before(const struct eg_wgmodel *model, size_t at)
{
	const struct eg_wgop *ops = model->hooks->ops;

	for (size_t i = 0; i < at; i++) {
		if (is_excluded(model, &ops[i]) &&
		    eg_prefix_compare(&ops[i].prefix, &ops[at].prefix) == 0)
			return true;
	}
	return false;
}

static void tell_lan(const struct passes *passes, const struct eg_wgop *op,
		     const struct eg_wgop *by)
{
	char name[EG_ADDRESS_TEXT_LEN], match[EG_ADDRESS_TEXT_LEN + 4];

	eg_prefix_format(name, &op->prefix);
	eg_wgfind(passes->checker, EG_WGFINDING_LAN_NOT_ACCEPTED, op->place,
		  "%s has a route past the tunnel, and the kill switch (line %u) drops it", name,
		  by->place.line);
	snprintf(match, sizeof(match), "-d %s", name);
	fix_accept(passes, by, match);
}

static void check_lan(const struct passes *passes)
{
	const struct eg_wghooks *hooks = passes->model->hooks;

	for (size_t i = 0; i < hooks->n_ops; i++) {
		const struct eg_wgop *op = &hooks->ops[i];
		struct eg_wgpacket packet = {.answers = true, .dst = &op->prefix};
		struct eg_wgwalk walk;

		if (!is_excluded(passes->model, op) || op->prefix.family != passes->family ||
		    !eg_wgcheck_is_private(&op->prefix) || told_before(passes->model, i))
			continue;
		packet.out = op->dev && !strchr(op->dev, '$') ? op->dev : passes->underlay;
		walk = eg_wgwalk_chain(passes->chain, &packet);
		if (is_dropped(&walk))
			tell_lan(passes, op, walk.by);
	}
}

/* --- WireGuard's own packets ------------------------------------------------------------------ */

static bool reaches(const struct passes *passes, const struct eg_endpoint *endpoint,
		    struct eg_wgwalk *ret_walk)
{
	struct eg_prefix address = {
		.addr = endpoint->addr,
		.family = endpoint->family,
		.len = endpoint->host ? 0 : eg_family_bits(endpoint->family),
	};
	struct eg_wgpacket packet = {
		.marked = true,
		.named = endpoint->host != NULL,
		.dst = endpoint->host ? NULL : &address,
		.out = passes->underlay,
	};

	/* a name has an IPv4 address, if not that alone */
	if (endpoint->host ? passes->family != EG_FAMILY_IPV4 : endpoint->family != passes->family)
		return true;
	*ret_walk = eg_wgwalk_chain(passes->chain, &packet);
	return !is_dropped(ret_walk);
}

static void check_endpoints(const struct passes *passes)
{
	char command[EG_WGCOMMAND_LEN];
	struct eg_wgwalk walk;

	for (size_t i = 0; i < passes->model->n_endpoints; i++) {
		if (reaches(passes, &passes->model->endpoints[i].endpoint, &walk))
			continue;
		if (by_kill_switch(passes, walk.by))
			eg_wgfind(passes->checker, EG_WGFINDING_KILL_SWITCH_BLOCKS, walk.by->place,
				  "no rule before the kill switch accepts WireGuard's own packets");
		else
			eg_wgfind(passes->checker, EG_WGFINDING_KILL_SWITCH_BLOCKS, walk.by->place,
				  "'%s' drops WireGuard's own packets too",
				  eg_wgcommand_format(passes->checker, walk.by, command));
		eg_wgfix(passes->checker, "in it: -m mark ! --mark $(wg show %%i fwmark)");
		break;
	}
}

/* --- the tunnel ------------------------------------------------------------------------------- */

static void tell_tunnel(const struct passes *passes, const struct eg_wgop *by)
{
	char command[EG_WGCOMMAND_LEN];

	if (by_kill_switch(passes, by)) {
		eg_wgfind(passes->checker, EG_WGFINDING_KILL_SWITCH_BLOCKS, by->place,
			  "no rule before the kill switch accepts what goes into the tunnel");
		fix_accept(passes, by, "-o %i");
		return;
	}
	eg_wgfind(passes->checker, EG_WGFINDING_KILL_SWITCH_BLOCKS, by->place,
		  "'%s' drops what goes into the tunnel",
		  eg_wgcommand_format(passes->checker, by, command));
	eg_wgfix(passes->checker, "a kill switch drops what goes elsewhere: ! -o %%i");
}

static void check_tunnel(const struct passes *passes)
{
	const struct eg_wgpacket packet = {.tunnel = true};
	struct eg_wgwalk walk;
	char command[EG_WGCOMMAND_LEN];

	if (!eg_wgmodel_has_address(passes->model, passes->family) ||
	    !eg_wgmodel_has_allowed(passes->model, passes->family))
		return;
	walk = eg_wgwalk_chain(passes->chain, &packet);
	if (is_dropped(&walk)) {
		tell_tunnel(passes, walk.by);
	} else if (walk.unsure && walk.unsure->verdict == EG_WGVERDICT_DROP &&
		   !walk.unsure->source) {
		eg_wgfind(passes->checker, EG_WGFINDING_CANNOT_TELL, walk.unsure->op->place,
			  "whether '%s' drops what goes into the tunnel too cannot be told",
			  eg_wgcommand_format(passes->checker, walk.unsure->op, command));
		fix_accept(passes, walk.unsure->op, "-o %i");
	}
}

/* Docker's resolver, 127.0.0.11, among others. */
static void check_loopback(const struct passes *passes)
{
	const struct eg_wgpacket packet = {.loopback = true};
	struct eg_wgwalk walk;

	if (passes->family != EG_FAMILY_IPV4)
		return;
	walk = eg_wgwalk_chain(passes->chain, &packet);
	if (!is_dropped(&walk))
		return;
	eg_wgfind(passes->checker, EG_WGFINDING_LOOPBACK_BLOCKED, walk.by->place,
		  "no rule before it accepts what goes over loopback");
	fix_accept(passes, walk.by, "-o lo");
}

void eg_wgcheck_passes(struct eg_wgchecker *checker, __u8 family, bool early)
{
	const struct eg_wgmodel *model = checker->model;
	struct passes passes = {
		.checker = checker,
		.model = model,
		.chain = family == EG_FAMILY_IPV6 ? &model->chain6 : &model->chain4,
		.family = family,
		.tool = family == EG_FAMILY_IPV6 ? "ip6tables" : "iptables",
	};

	passes.underlay = eg_wgchain_underlay(passes.chain);
	if (!early)
		check_lan(&passes);
	check_endpoints(&passes);
	check_tunnel(&passes);
	check_loopback(&passes);
}
