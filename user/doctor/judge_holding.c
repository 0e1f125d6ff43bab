// SPDX-License-Identifier: GPL-2.0
/* What holds back: iptables of both backends, and the guard. */
#include <stdio.h>
#include <string.h>

#include "doctor/judge_internal.h"
#include "policy/address.h"

static bool has_rules(const struct eg_doctor_tables *tables)
{
	const struct eg_wgmodel *model = tables->model;

	return tables->known && model &&
	       (model->chain4.n_rules || model->chain6.n_rules || model->chain4.policy_drops ||
		model->chain6.policy_drops);
}

/* --- both backends ---------------------------------------------------------------------------- */

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
			   legacy->model->chain4.n_rules, legacy->model->chain6.n_rules,
			   nft->model->chain4.n_rules, nft->model->chain6.n_rules);
	eg_doctor_fix(judging,
		      "keep those of the iptables that the container's wg0.conf runs "
		      "(`iptables -V` in it says which), and take the others away, inside "
		      "the namespace: iptables-legacy -S OUTPUT, or iptables-nft -S OUTPUT, "
		      "then -D; a restart of the container takes all of them away");
}

/* --- the LAN ---------------------------------------------------------------------------------- */

static void judge_lan(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_wgmodel *model = facts->model;

	for (size_t i = 0; model && i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];
		struct eg_prefix address;
		char name[EG_ADDRESS_TEXT_LEN];

		if (!eg_wgop_excludes(op) || op->table != EG_WGTABLE_MAIN)
			continue;
		address = eg_doctor_inside(&op->prefix);
		if (eg_doctor_underlay_fate(facts, &address, 0) != EG_DOCTOR_DROPPED)
			continue;
		eg_prefix_format(name, &op->prefix);
		eg_doctor_find(judging, EG_DOCTOR_FOUND_LAN_BLOCKED,
			       "iptables drops what goes to %s", name);
		eg_doctor_evidence(judging,
				   "%s:%u sends it past the tunnel, and the OUTPUT chain "
				   "does not accept it",
				   facts->conf, op->place.line);
		eg_doctor_fix(judging,
			      "before the kill switch: iptables -A OUTPUT -d %s -j ACCEPT; "
			      "`egressguard wgconf render` writes it",
			      name);
		return;
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

static struct eg_prefix public_address(__u8 family)
{
	struct eg_prefix address = {.family = family, .len = eg_family_bits(family)};

	if (family == EG_FAMILY_IPV4)
		memcpy(address.addr.bytes, (const __u8[]){1, 1, 1, 1}, 4);
	else
		memcpy(address.addr.bytes,
		       (const __u8[]){0x26, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 16);
	return address;
}

static enum eg_doctor_fate public_fate(const struct eg_doctor_facts *facts, __u8 family)
{
	struct eg_prefix address = public_address(family);

	return eg_doctor_underlay_fate(facts, &address, 0);
}

static void judge_promised(struct eg_doctor_judging *judging, __u8 family)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_wgchain *chain =
		family == EG_FAMILY_IPV6 ? &facts->model->chain6 : &facts->model->chain4;
	const char *tool = family == EG_FAMILY_IPV6 ? "ip6tables" : "iptables";
	char restart[EG_DOCTOR_RESTART_LEN];

	if (!chain_has_kill_switch(chain) || public_fate(facts, family) != EG_DOCTOR_PASSES)
		return;
	eg_doctor_find(judging, EG_DOCTOR_FOUND_KILL_SWITCH_MISSING,
		       "%s: the kill switch of %s is not in force", eg_doctor_family(family),
		       facts->conf);
	eg_doctor_evidence(judging,
			   "%s, of neither backend, drops what goes to the internet out of %s",
			   tool, facts->underlay[0] ? facts->underlay : "the underlay");
	eg_doctor_fix(judging, "%s", eg_doctor_restart(judging, restart));
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
				"its own, or matches by more than interface, mark and "
				"destination)");
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
	eg_doctor_fix(judging,
		      "egressguard attach --netns %s; where the kernel has no BPF: egressguard "
		      "wgconf render --kill-switch iptables",
		      facts->target);
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
		if (strcmp(facts->guard_state, "audit") == 0)
			eg_doctor_fix(judging,
				      "egressguard attach --netns %s --replace (without "
				      "--audit)",
				      facts->target);
		else
			eg_doctor_fix(judging,
				      "egressguard attach --netns %s; `egressguard status "
				      "%s` says more",
				      facts->target, facts->guard_name);
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
