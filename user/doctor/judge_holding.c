// SPDX-License-Identifier: GPL-2.0
/* What holds back: iptables of both backends, and the guard. */
#include <stdio.h>
#include <string.h>

#include "doctor/remedy.h"
#include "policy/address.h"
#include "policy/networks.h"

static bool has_rules(const struct eg_doctor_tables *tables)
{
	return tables->known &&
	       (eg_doctor_rules_count(&tables->four) || eg_doctor_rules_count(&tables->six) ||
		tables->four.output_drops || tables->six.output_drops);
}

/* --- both backends ---------------------------------------------------------------------------- */

/* The rules that the configuration's own iptables did not make go. */
static void judge_backends(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_doctor_tables *legacy = &facts->tables[EG_DOCTOR_LEGACY];
	const struct eg_doctor_tables *nft = &facts->tables[EG_DOCTOR_NFT];

	if (!has_rules(legacy) || !has_rules(nft))
		return;
	eg_doctor_find(judging, EG_DOCTOR_FOUND_BOTH_BACKENDS,
		       "both iptables-legacy and iptables-nft have rules in OUTPUT");
	eg_doctor_evidence(judging, "legacy: %zu for IPv4, %zu for IPv6; nft: %zu and %zu",
			   eg_doctor_rules_count(&legacy->four),
			   eg_doctor_rules_count(&legacy->six), eg_doctor_rules_count(&nft->four),
			   eg_doctor_rules_count(&nft->six));
	eg_doctor_fix(judging,
		      "keep those of the iptables that the tunnel's configuration runs (`iptables "
		      "-V` where it runs says which), and take the others away one by one, by -D; "
		      "this shows both");
	eg_doctor_run_inside(judging, "iptables-legacy -S OUTPUT");
	eg_doctor_run_inside(judging, "iptables-nft -S OUTPUT");
	if (facts->owner) {
		eg_doctor_fix(judging, "take all of them away: a restart does, and then the "
				       "configuration makes its own anew");
		eg_doctor_run_restart(judging);
	}
}

/* --- the LAN ---------------------------------------------------------------------------------- */

static bool is_lan(const struct eg_prefix *prefix)
{
	for (size_t i = 0; i < EG_LAN_PREFIXES; i++) {
		if (eg_prefix_covers(&eg_lan_prefixes[i], prefix))
			return true;
	}
	return false;
}

/* A network that the configuration sends past the tunnel. */
static bool goes_past(const struct eg_doctor_facts *facts, const struct eg_wgop *op)
{
	return eg_wgop_excludes(op) && op->table == EG_WGTABLE_MAIN && is_lan(&op->prefix) &&
	       !(facts->have_endpoint &&
		 eg_prefix_compare(&op->prefix, &facts->endpoint.address) == 0);
}

/* What the rules drop of it, told once, with a command for each network. */
static void judge_lan(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_wgmodel *model = facts->model;
	bool told = false;

	for (size_t i = 0; model && i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];
		struct eg_doctor_packet packet;
		struct eg_doctor_drop drop;
		struct eg_prefix address;
		char name[EG_ADDRESS_TEXT_LEN], match[EG_ADDRESS_TEXT_LEN + 32];
		char seen[EG_DOCTOR_WHY];

		if (!goes_past(facts, op))
			continue;
		address = eg_doctor_inside(&op->prefix);
		packet = eg_doctor_past_tunnel(facts, &address);
		if (eg_doctor_fate(facts->tables, &packet, &drop) != EG_DOCTOR_DROPPED)
			continue;
		eg_prefix_format(name, &op->prefix);
		if (!told) {
			judging->one_backend |= drop.n_backends == 1;
			eg_doctor_find(judging, EG_DOCTOR_FOUND_LAN_BLOCKED,
				       "iptables drops what goes to %s", name);
			eg_doctor_evidence(judging, "%s:%u sends it past the tunnel; %s",
					   facts->conf, op->place.line,
					   eg_doctor_say_drop(seen, &packet, &drop));
			eg_doctor_fix(judging,
				      "let it through, before what drops it; so that it stays: "
				      "`egressguard wgconf render` writes such rules");
		}
		told = true;
		snprintf(match, sizeof(match), "! -o %s -d %s", facts->tunnel, name);
		eg_doctor_run_let(judging, &packet, "-d", name, match);
	}
}

/* --- the kill switch -------------------------------------------------------------------------- */

static bool chain_has_kill_switch(const struct eg_wgchain *chain)
{
	for (size_t i = 0; i < chain->n_rules; i++) {
		if (eg_wgrule_is_kill_switch(&chain->rules[i]) ||
		    eg_wgrule_is_named_kill_switch(&chain->rules[i]))
			return true;
	}
	return chain->policy_drops;
}

static enum eg_doctor_fate public_fate(const struct eg_doctor_facts *facts, __u8 family)
{
	struct eg_prefix address = eg_doctor_public(family);
	struct eg_doctor_packet packet = eg_doctor_past_tunnel(facts, &address);

	return eg_doctor_fate(facts->tables, &packet, NULL);
}

static void judge_promised(struct eg_doctor_judging *judging, __u8 family)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_wgchain *chain =
		family == EG_FAMILY_IPV6 ? &facts->model->chain6 : &facts->model->chain4;
	const char *tool = family == EG_FAMILY_IPV6 ? "ip6tables" : "iptables";

	if (!chain_has_kill_switch(chain) || public_fate(facts, family) != EG_DOCTOR_PASSES)
		return;
	eg_doctor_find(judging, EG_DOCTOR_FOUND_KILL_SWITCH_MISSING,
		       "%s: the kill switch of %s is not in force", eg_doctor_family(family),
		       facts->conf);
	eg_doctor_evidence(judging,
			   "%s, of neither backend, drops what goes to the internet out of %s",
			   tool, facts->underlay[0] ? facts->underlay : "the underlay");
	eg_doctor_fix_restart(judging);
}

/* In one word for both families. */
static enum eg_doctor_fate both_fates(const struct eg_doctor_facts *facts)
{
	enum eg_doctor_fate four = public_fate(facts, EG_FAMILY_IPV4);
	enum eg_doctor_fate six = public_fate(facts, EG_FAMILY_IPV6);
	bool no_ipv6 = facts->sysctls.no_ipv6_all == 1;

	if (four == EG_DOCTOR_PASSES || (six == EG_DOCTOR_PASSES && !no_ipv6))
		return EG_DOCTOR_PASSES;
	return four == EG_DOCTOR_MAYBE || (six == EG_DOCTOR_MAYBE && !no_ipv6) ? EG_DOCTOR_MAYBE
									       : EG_DOCTOR_DROPPED;
}

static void judge_kill_switch(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	enum eg_doctor_fate fate = both_fates(facts);

	eg_doctor_begin(judging, "iptables");
	for (int i = 0; i < EG_DOCTOR_BACKENDS; i++) {
		if (!facts->tables[i].known)
			eg_doctor_doubt(judging, "iptables-%s: %s", eg_doctor_backend_names[i],
					facts->tables[i].why);
	}
	judge_backends(judging);
	judge_lan(judging);
	if (facts->model) {
		judge_promised(judging, EG_FAMILY_IPV4);
		judge_promised(judging, EG_FAMILY_IPV6);
	}
	if (fate == EG_DOCTOR_MAYBE)
		eg_doctor_doubt(judging,
				"the rules in force are more than is followed here (nft of "
				"its own, drops in the tables mangle, raw or security, or matches "
				"by more than interface, mark and destination)");
	eg_doctor_end(judging, "%s",
		      fate == EG_DOCTOR_DROPPED ? "a kill switch is in force, for IPv4 and IPv6"
						: "no kill switch of its own");
}

/* --- the guard -------------------------------------------------------------------------------- */

static void judge_none(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	enum eg_doctor_fate fate = both_fates(facts);

	eg_doctor_find(judging, EG_DOCTOR_FOUND_NO_GUARD, "no guard is attached to this namespace");
	if (fate == EG_DOCTOR_DROPPED) {
		eg_doctor_severity(judging, EG_WGSEVERITY_NOTE);
		eg_doctor_evidence(judging, "iptables hold back what they can: not packet sockets, "
					    "forged marks, nor anything before PostUp");
	} else if (fate == EG_DOCTOR_MAYBE) {
		eg_doctor_severity(judging, EG_WGSEVERITY_WARNING);
		eg_doctor_evidence(judging, "whether iptables or nft hold anything back cannot be "
					    "told");
	} else {
		eg_doctor_evidence(judging, "and iptables has no kill switch that holds for IPv4 "
					    "and IPv6");
	}
	eg_doctor_fix(judging, "attach one");
	eg_doctor_run_attach(judging, "");
	eg_doctor_fix_render(judging,
			     "where the kernel has no BPF, let the file have a kill switch");
}

static void judge_guard(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;

	eg_doctor_begin(judging, "guard");
	switch (facts->guard) {
	case EG_DOCTOR_GUARD_UNKNOWN:
		eg_doctor_doubt(judging, "%s", facts->guard_why);
		break;
	case EG_DOCTOR_GUARD_NONE:
		judge_none(judging);
		break;
	case EG_DOCTOR_GUARD_ENFORCING:
		break;
	case EG_DOCTOR_GUARD_OTHER:
		eg_doctor_find(judging, EG_DOCTOR_FOUND_GUARD_NOT_ENFORCING, "the guard %s is %s",
			       facts->guard_name, facts->guard_state);
		if (facts->guard_why[0])
			eg_doctor_evidence(judging, "%s", facts->guard_why);
		if (strcmp(facts->guard_state, "audit") == 0) {
			eg_doctor_fix(judging, "let it enforce");
			eg_doctor_run_attach(judging, " --replace");
		} else {
			eg_doctor_fix(judging, "attach it anew");
			eg_doctor_run_attach(judging, "");
			eg_doctor_fix(judging, "see what it says of itself");
			eg_doctor_run(judging, "egressguard status%s%s %s",
				      facts->words.pin_dir[0] ? " --pin-dir " : "",
				      facts->words.pin_dir, facts->words.guard);
		}
		break;
	}
	if (facts->guard == EG_DOCTOR_GUARD_NONE)
		eg_doctor_end(judging, "none; iptables hold");
	else
		eg_doctor_end(judging, "%s enforces", facts->guard_name);
}

void eg_doctor_judge_holding(struct eg_doctor_judging *judging)
{
	judge_kill_switch(judging);
	judge_guard(judging);
}
