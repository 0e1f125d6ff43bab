// SPDX-License-Identifier: GPL-2.0
/* Routes, rules, addresses and the settings beside them, against what wg-quick makes of the
 * configuration, or, without one, of the pattern. */
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>

#include "doctor/remedy.h"
#include "policy/address.h"
#include "policy/networks.h"

static const __u8 families[2] = {EG_FAMILY_IPV4, EG_FAMILY_IPV6};

static __u32 tunnel_index(const struct eg_doctor_facts *facts)
{
	return facts->tunnel_link ? facts->tunnel_link->ifindex : 0;
}

static bool uses_rules(const struct eg_doctor_facts *facts)
{
	return facts->model ? facts->model->way == EG_WGWAY_RULES
			    : eg_doctor_wants(facts, EG_FAMILY_IPV4) ||
				      eg_doctor_wants(facts, EG_FAMILY_IPV6);
}

static const char *version(__u8 family)
{
	return family == EG_FAMILY_IPV6 ? "-6" : "-4";
}

/* "in the main table", "in the table 51820" */
static char *say_table(char to[48], __u32 table)
{
	if (table == EG_TABLE_MAIN)
		snprintf(to, 48, "the main table");
	else
		snprintf(to, 48, "the table %u", table);
	return to;
}

/* --- addresses -------------------------------------------------------------------------------- */

static bool tunnel_has(const struct eg_doctor_facts *facts, const struct eg_prefix *prefix)
{
	for (size_t i = 0; i < facts->n_addrs; i++) {
		const struct eg_link_addr *addr = &facts->addrs[i];

		if (addr->ifindex == tunnel_index(facts) && addr->family == prefix->family &&
		    eg_prefix_contains(prefix, addr->family, &addr->addr))
			return true;
	}
	return false;
}

static void tell_no_ipv6(struct eg_doctor_judging *judging, const char *name)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_doctor_sysctls *sysctls = &facts->sysctls;

	eg_doctor_find(judging, EG_DOCTOR_FOUND_IPV6_MISSING,
		       "%s has the IPv6 address %s, and the namespace has no IPv6 on %s",
		       facts->conf, name, facts->tunnel);
	if (sysctls->no_ipv6_all != 1 && sysctls->no_ipv6_tunnel != 1) {
		eg_doctor_evidence(judging, "%s has no such address", facts->tunnel);
		eg_doctor_fix_restart(judging);
		return;
	}
	eg_doctor_evidence(judging, "net.ipv6.conf.%s.disable_ipv6 is 1",
			   sysctls->no_ipv6_tunnel == 1 ? facts->tunnel : "all");
	if (facts->owner) {
		eg_doctor_fix(judging,
			      "in the compose file of the WireGuard container: sysctls: "
			      "net.ipv6.conf.all.disable_ipv6=0; then make it anew. Or take the "
			      "IPv6 address, and ::/0, out of the file");
		return;
	}
	eg_doctor_fix(judging, "switch it on, and let the tunnel be made anew");
	eg_doctor_run_inside(judging, "sysctl -w net.ipv6.conf.all.disable_ipv6=0 "
				      "net.ipv6.conf.default.disable_ipv6=0");
	eg_doctor_run_restart(judging);
}

static void judge_addresses(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	char name[EG_ADDRESS_TEXT_LEN];

	eg_doctor_begin(judging, "addresses");
	if (!facts->model)
		eg_doctor_doubt(judging, "no wg0.conf to compare with");
	for (size_t i = 0; facts->model && i < facts->model->n_addresses; i++) {
		const struct eg_prefix *prefix = &facts->model->addresses[i].prefix;

		if (tunnel_has(facts, prefix))
			continue;
		eg_prefix_format(name, prefix);
		if (prefix->family == EG_FAMILY_IPV6) {
			tell_no_ipv6(judging, name);
			continue;
		}
		eg_doctor_find(judging, EG_DOCTOR_FOUND_ADDRESS_MISSING,
			       "%s does not have the address %s", facts->tunnel, name);
		eg_doctor_evidence(judging,
				   "%s gives it, and `ip address show dev %s` does not "
				   "list it",
				   facts->conf, facts->tunnel);
		eg_doctor_fix(judging, "give it to it");
		/* the network of a prefix is no address: then only the file knows */
		if (prefix->len == eg_family_bits(prefix->family))
			eg_doctor_run_inside(judging, "ip address add %s dev %s", name,
					     facts->tunnel);
		else
			eg_doctor_run_restart(judging);
	}
	eg_doctor_end(judging, "%s has those of the file", facts->tunnel);
}

/* --- rules ------------------------------------------------------------------------------------ */

/* The list is in the order in which they are asked. */
static const struct eg_ip_rule *find_tunnel_rule(const struct eg_doctor_facts *facts, __u8 family)
{
	for (size_t i = 0; i < facts->n_rules; i++) {
		const struct eg_ip_rule *rule = &facts->rules[i];

		if (rule->family == family && rule->invert && rule->has_mark && !rule->narrow &&
		    !rule->has_dst && rule->mark == eg_doctor_table(facts) &&
		    rule->table == eg_doctor_table(facts))
			return rule;
	}
	return NULL;
}

static const struct eg_ip_rule *find_suppress_rule(const struct eg_doctor_facts *facts, __u8 family)
{
	for (size_t i = 0; i < facts->n_rules; i++) {
		const struct eg_ip_rule *rule = &facts->rules[i];

		if (rule->family == family && rule->table == EG_TABLE_MAIN && rule->suppress == 0 &&
		    !rule->narrow && !rule->has_dst && !rule->has_mark)
			return rule;
	}
	return NULL;
}

/* Where wg-quick has its two; the main table's own rule comes right after. */
#define SUPPRESS_PRIORITY 32764U
#define TUNNEL_PRIORITY   32765U

static void run_suppress(struct eg_doctor_judging *judging, __u8 family, bool there)
{
	if (there)
		eg_doctor_run_inside(judging, "ip %s rule del table main suppress_prefixlength 0",
				     version(family));
	eg_doctor_run_inside(judging,
			     "ip %s rule add table main suppress_prefixlength 0 priority %u",
			     version(family), SUPPRESS_PRIORITY);
}

static void run_tunnel_rule(struct eg_doctor_judging *judging, __u8 family, bool there)
{
	__u32 table = eg_doctor_table(judging->facts);

	if (there)
		eg_doctor_run_inside(judging, "ip %s rule del not fwmark %u table %u",
				     version(family), table, table);
	eg_doctor_run_inside(judging, "ip %s rule add not fwmark %u table %u priority %u",
			     version(family), table, table, TUNNEL_PRIORITY);
}

/* What is missing is put back, and what would not stand in its order then is put where wg-quick has
 * it: the main table without its default route first, then the tunnel's. */
static void fix_rules(struct eg_doctor_judging *judging, __u8 family,
		      const struct eg_ip_rule *tunnel, const struct eg_ip_rule *suppress)
{
	bool tunnel_stays = tunnel && tunnel->priority > SUPPRESS_PRIORITY;
	bool suppress_stays = suppress && suppress->priority < TUNNEL_PRIORITY &&
			      (!tunnel_stays || suppress->priority < tunnel->priority);

	eg_doctor_fix(judging, "put it back where it was; what took it away is often a hook of the "
			       "file, or another VPN client");
	if (!suppress_stays)
		run_suppress(judging, family, suppress);
	if (!tunnel_stays)
		run_tunnel_rule(judging, family, tunnel);
	eg_doctor_fix_restart(judging);
}

static void judge_rules_of(struct eg_doctor_judging *judging, __u8 family)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_ip_rule *tunnel = find_tunnel_rule(facts, family);
	const struct eg_ip_rule *suppress = find_suppress_rule(facts, family);
	__u32 table = eg_doctor_table(facts);

	if (!tunnel) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_RULE_MISSING,
			       "%s: the rule that sends everything into the tunnel is missing",
			       eg_doctor_family(family));
		eg_doctor_evidence(judging, "`ip %s rule` has no `not fwmark %u table %u`",
				   version(family), table, table);
	} else if (!suppress) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_RULE_MISSING,
			       "%s: the rule that looks for routes past the tunnel is missing",
			       eg_doctor_family(family));
		eg_doctor_evidence(
			judging,
			"`ip %s rule` has no `table main suppress_prefixlength 0`: routes "
			"of the main table are not looked at",
			version(family));
	} else if (suppress > tunnel) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_RULE_MISSING,
			       "%s: the rule that looks for routes past the tunnel comes too late",
			       eg_doctor_family(family));
		eg_doctor_evidence(judging, "its priority is %u, behind %u of the tunnel's",
				   suppress->priority, tunnel->priority);
	} else {
		return;
	}
	fix_rules(judging, family, tunnel, suppress);
}

static bool family_is_there(const struct eg_doctor_judging *judging, __u8 family)
{
	return eg_doctor_wants(judging->facts, family) &&
	       !(family == EG_FAMILY_IPV6 && eg_doctor_has(judging, EG_DOCTOR_FOUND_IPV6_MISSING));
}

/* Nothing takes these rules away but what has sealed the namespace: who does it by hand had better
 * have a guard there. */
static void judge_mute(struct eg_doctor_judging *judging)
{
	if (!judging->facts->mute)
		return;
	eg_doctor_find(judging, EG_DOCTOR_FOUND_MUTE,
		       "rules of egressguard's own keep the network mute");
	eg_doctor_evidence(judging, "`ip rule` has `not from 0.0.0.0 blackhole proto 101`");
	if (judging->facts->guard != EG_DOCTOR_GUARD_ENFORCING) {
		eg_doctor_fix(
			judging,
			"in the network's list of CNI plugins an entry with the policy has to "
			"come after the plugin that makes the interface "
			"(egressguard-cni(8)); then make the container anew");
		return;
	}
	eg_doctor_fix(judging, "it is guarded by now: take them away");
	/* `ip rule flush` leaves those of this preference. */
	eg_doctor_run_inside(judging, "ip rule delete preference 0 not from 0.0.0.0 blackhole");
	eg_doctor_run_inside(judging, "ip -6 rule delete preference 0 from ::/1 blackhole");
	eg_doctor_run_inside(judging, "ip -6 rule delete preference 0 from 8000::/1 blackhole");
	eg_doctor_run_inside(judging, "ip -6 rule delete preference 0 ipproto ipv6-icmp blackhole");
}

static void judge_rules(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;

	eg_doctor_begin(judging, "rules");
	if (!facts->have_routes)
		eg_doctor_doubt(judging, "they cannot be read: %s",
				strerror(-facts->routes_result));
	else if (!uses_rules(facts))
		eg_doctor_doubt(judging, "the tunnel takes no default route, so wg-quick makes "
					 "none");
	judge_mute(judging);
	if (facts->have_routes && uses_rules(facts)) {
		if (facts->have_wg && !facts->wg.fwmark) {
			eg_doctor_find(judging, EG_DOCTOR_FOUND_NO_MARK, "%s sets no mark",
				       facts->tunnel);
			eg_doctor_evidence(judging, "`wg show %s fwmark` says off", facts->tunnel);
			eg_doctor_fix(
				judging,
				"set it again; what took it away is often a hook of the file");
			eg_doctor_run_inside(judging, "wg set %s fwmark %u", facts->tunnel,
					     eg_doctor_table(facts));
		}
		for (int i = 0; i < 2; i++) {
			if (family_is_there(judging, families[i]))
				judge_rules_of(judging, families[i]);
		}
	}
	eg_doctor_end(judging, "fwmark %u, suppress_prefixlength 0", eg_doctor_table(facts));
}

/* --- routes into the tunnel ------------------------------------------------------------------- */

const struct eg_route *eg_doctor_find_route(const struct eg_doctor_facts *facts,
					    const struct eg_prefix *prefix, __u32 table)
{
	const struct eg_route *found = NULL;

	for (size_t i = 0; i < facts->n_routes; i++) {
		const struct eg_route *route = &facts->routes[i];

		if (route->table == table && eg_prefix_compare(&route->prefix, prefix) == 0 &&
		    (!found || route->metric < found->metric))
			found = route;
	}
	return found;
}

static void judge_tunnel_route(struct eg_doctor_judging *judging, const struct eg_prefix *prefix,
			       __u32 table)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_route *route = eg_doctor_find_route(facts, prefix, table);
	char name[EG_ADDRESS_TEXT_LEN], where[48], in[32] = "";

	if (route && route->ifindex == tunnel_index(facts))
		return;
	eg_prefix_format(name, prefix);
	if (prefix->len == 0)
		snprintf(name, sizeof(name), "default");
	if (table != EG_TABLE_MAIN)
		snprintf(in, sizeof(in), " table %u", table);
	eg_doctor_find(judging, EG_DOCTOR_FOUND_TUNNEL_ROUTE_MISSING,
		       "%s: the route `%s dev %s` is missing in %s",
		       eg_doctor_family(prefix->family), name, facts->tunnel,
		       say_table(where, table));
	if (route)
		eg_doctor_evidence(judging, "there it leads to %s",
				   eg_doctor_link_name(facts, route->ifindex));
	eg_doctor_fix(judging, "put it back");
	eg_doctor_run_inside(judging, "ip %s route replace %s dev %s%s", version(prefix->family),
			     name, facts->tunnel, in);
	eg_doctor_fix_restart(judging);
}

bool eg_doctor_has_table(const struct eg_doctor_facts *facts, const struct eg_wgop *op,
			 __u32 *ret_table)
{
	switch (op->table) {
	case EG_WGTABLE_MAIN:
		*ret_table = EG_TABLE_MAIN;
		return true;
	case EG_WGTABLE_NUMBER:
		*ret_table = op->table_number;
		return true;
	case EG_WGTABLE_FWMARK:
		*ret_table = eg_doctor_table(facts);
		return true;
	case EG_WGTABLE_UNKNOWN:
		break;
	}
	return false;
}

/* Those that hooks of the file add: the tunnel's resolver, most often. */
static void judge_hooks_routes(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_wgmodel *model = facts->model;

	for (size_t i = 0; model && i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];
		__u32 table;

		if (op->kind == EG_WGOP_ROUTE && op->to_tunnel && op->has_prefix &&
		    !op->conditional && op->act != EG_WGACT_DELETE && eg_wgkey_is_up(op->phase) &&
		    eg_doctor_has_table(facts, op, &table))
			judge_tunnel_route(judging, &op->prefix, table);
	}
}

static void judge_tunnel_routes(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_wgmodel *model = facts->model;
	__u32 table = EG_TABLE_MAIN;

	if (uses_rules(facts))
		table = eg_doctor_table(facts);
	else if (model && model->way == EG_WGWAY_NUMBER)
		table = model->table;
	if (model && model->way == EG_WGWAY_OFF) {
		eg_doctor_doubt(judging, "Table = off: which routes are meant is for the hooks to "
					 "say");
		return;
	}
	if (uses_rules(facts)) {
		for (int i = 0; i < 2; i++) {
			struct eg_prefix all = {.family = families[i]};

			if (family_is_there(judging, families[i]))
				judge_tunnel_route(judging, &all, table);
		}
		return;
	}
	for (size_t i = 0; model && i < model->n_allowed; i++) {
		const struct eg_prefix *prefix = &model->allowed[i].prefix;

		if (prefix->family == EG_FAMILY_IPV4 ||
		    !eg_doctor_has(judging, EG_DOCTOR_FOUND_IPV6_MISSING))
			judge_tunnel_route(judging, prefix, table);
	}
	if (!model)
		eg_doctor_doubt(judging, "no wg0.conf to compare with, and no peer takes a default "
					 "route");
}

/* --- routes past the tunnel ------------------------------------------------------------------- */

static bool in_tunnel(const struct eg_doctor_facts *facts, const struct eg_prefix *prefix)
{
	struct eg_prefix address = eg_doctor_inside(prefix);

	for (size_t i = 0; i < facts->n_lookups; i++) {
		if (eg_prefix_compare(&facts->lookups[i].address, &address) == 0)
			return facts->lookups[i].result == 0 &&
			       facts->lookups[i].route.ifindex == tunnel_index(facts);
	}
	return false;
}

/* The published advice, as the kernel understood it. */
static void judge_gateways(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;

	for (size_t i = 0; tunnel_index(facts) && i < facts->n_routes; i++) {
		const struct eg_route *route = &facts->routes[i];
		char name[EG_ADDRESS_TEXT_LEN], gateway[EG_ADDRESS_TEXT_LEN], where[48];
		char table[32] = "";

		if (route->ifindex != tunnel_index(facts) || !route->has_gateway ||
		    !route->prefix.len)
			continue;
		eg_prefix_format(name, &route->prefix);
		eg_addr_format(gateway, route->prefix.family, &route->gateway);
		if (route->table != EG_TABLE_MAIN)
			snprintf(table, sizeof(table), " table %u", route->table);
		eg_doctor_find(judging, EG_DOCTOR_FOUND_GATEWAY_IN_TUNNEL,
			       "the route for %s in %s goes into the tunnel", name,
			       say_table(where, route->table));
		eg_doctor_evidence(
			judging,
			"the kernel has `%s via %s dev %s`: its gateway was looked for in "
			"that table, where the default route is the tunnel's",
			name, gateway, facts->tunnel);
		eg_doctor_fix(judging, "for now, name the device");
		eg_doctor_run_inside(judging, "ip %s route replace %s via %s dev %s%s",
				     version(route->prefix.family), name, gateway,
				     facts->underlay[0] ? facts->underlay : "eth0", table);
		eg_doctor_fix_render(judging, "let the file's hook be written with it");
	}
}

static void tell_lan_route(struct eg_doctor_judging *judging, const struct eg_wgop *op, __u32 table,
			   bool lost)
{
	const struct eg_doctor_facts *facts = judging->facts;
	char name[EG_ADDRESS_TEXT_LEN], where[48], router[EG_ADDRESS_TEXT_LEN], in[32] = "";
	union eg_addr gateway;

	eg_prefix_format(name, &op->prefix);
	eg_doctor_find(judging, EG_DOCTOR_FOUND_LAN_ROUTE_MISSING, "the route for %s is not in %s",
		       name, say_table(where, table));
	eg_doctor_evidence(judging, "%s:%u adds it; %s", facts->conf, op->place.line,
			   lost ? "now packets to there go into the tunnel"
				: "another table still has one, so it works for now");
	if (!lost)
		eg_doctor_severity(judging, EG_WGSEVERITY_WARNING);
	if (eg_doctor_gateway(facts, op->prefix.family, &gateway)) {
		eg_addr_format(router, op->prefix.family, &gateway);
		if (table != EG_TABLE_MAIN)
			snprintf(in, sizeof(in), " table %u", table);
		eg_doctor_fix(judging, "put it back");
		eg_doctor_run_inside(judging, "ip %s route replace %s via %s dev %s%s metric %u",
				     version(op->prefix.family), name, router, facts->underlay, in,
				     EG_WGTABLE_DEFAULT);
	}
	eg_doctor_fix_restart(judging);
	if (facts->words.conf[0]) {
		eg_doctor_fix(judging, "see whether the file's own line is right");
		eg_doctor_run(judging, "egressguard wgconf check %s", facts->words.conf);
	}
}

/* What the hooks of the file add. */
static void judge_exclusion(struct eg_doctor_judging *judging, const struct eg_wgop *op)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_route *route;
	__u32 table;

	if (!eg_doctor_has_table(facts, op, &table)) {
		eg_doctor_doubt(judging, "%s:%u adds a route to a table that only the shell knows",
				facts->conf, op->place.line);
		return;
	}
	route = eg_doctor_find_route(facts, &op->prefix, table);
	if (!route)
		tell_lan_route(judging, op, table, in_tunnel(facts, &op->prefix));
}

static bool touch(const struct eg_prefix *a, const struct eg_prefix *b)
{
	return eg_prefix_covers(a, b) || eg_prefix_covers(b, a);
}

/* Whether somebody has decided what of a network goes past the tunnel: the file, or, without one, a
 * route by a gateway. */
static bool is_decided(const struct eg_doctor_facts *facts, const struct eg_prefix *network)
{
	const struct eg_wgmodel *model = facts->model;
	bool sure;

	for (size_t i = 0; model && i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if ((eg_wgop_excludes(op) || eg_wgop_rule_excludes(model, op, &sure)) &&
		    touch(&op->prefix, network))
			return true;
	}
	for (size_t i = 0; i < facts->n_routes; i++) {
		const struct eg_route *route = &facts->routes[i];

		if (route->has_gateway && route->prefix.len &&
		    route->ifindex != tunnel_index(facts) && touch(&route->prefix, network))
			return true;
	}
	return false;
}

static void judge_lan(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_wgmodel *model = facts->model;
	EG_AUTO_TEXT struct eg_text names = {};
	unsigned int n = 0;

	for (size_t i = 0; model && i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];

		if (eg_wgop_excludes(op))
			judge_exclusion(judging, op);
	}
	if (eg_doctor_has(judging, EG_DOCTOR_FOUND_GATEWAY_IN_TUNNEL))
		return;
	for (size_t i = 0; i < EG_WGLAN_NETWORKS; i++) {
		const struct eg_prefix *network = eg_wglan_networks[i];
		char name[EG_ADDRESS_TEXT_LEN];

		if (!in_tunnel(facts, network) || is_decided(facts, network))
			continue;
		eg_text_printf(&names, "%s%s", n++ ? ", " : "", eg_prefix_format(name, network));
	}
	if (!n)
		return;
	eg_doctor_find(judging, EG_DOCTOR_FOUND_LAN_ROUTE_MISSING, "%s %s no route past the tunnel",
		       names.data ? names.data : "", n == 1 ? "has" : "have");
	eg_doctor_evidence(judging, "the kernel sends what goes there to %s", facts->tunnel);
	eg_doctor_fix_render(judging, "let the routes be written into the file");
}

/* --- where packets really go ------------------------------------------------------------------ */

static bool is_held(const struct eg_doctor_facts *facts, const struct eg_prefix *address,
		    bool *ret_known)
{
	struct eg_doctor_packet packet = eg_doctor_past_tunnel(facts, address);
	enum eg_doctor_fate fate = eg_doctor_fate(facts->tables, &packet, NULL);

	*ret_known = true;
	if (facts->guard == EG_DOCTOR_GUARD_ENFORCING || fate == EG_DOCTOR_DROPPED)
		return true;
	*ret_known = fate == EG_DOCTOR_PASSES;
	return false;
}

/* What of the file sends it past the tunnel, changed; what it has right is made anew. */
static void fix_public(struct eg_doctor_judging *judging, __u8 family)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_wgmodel *model = facts->model;
	bool off = model && (model->way == EG_WGWAY_OFF || model->way == EG_WGWAY_NUMBER);
	const char *all = facts->sysctls.no_ipv6_all == 1 ? "0.0.0.0/0" : "0.0.0.0/0, ::/0";

	if (off) {
		eg_doctor_fix(judging, "let wg-quick make the routes and rules: without `Table =` "
				       "in the file");
		if (facts->words.conf[0]) {
			eg_doctor_run(judging, "sed -i -E '/^[[:blank:]]*Table[[:blank:]]*=/Id' %s",
				      facts->words.conf);
			eg_doctor_run_restart(judging);
		}
	} else if (model && family == EG_FAMILY_IPV4 && !model->full4) {
		eg_doctor_fix(judging, "let the file send it into the tunnel: AllowedIPs = %s",
			      all);
		if (facts->words.conf[0] && model->n_endpoints == 1) {
			eg_doctor_run(judging,
				      "sed -i -E 's|^([[:blank:]]*AllowedIPs[[:blank:]]*=).*|\\1 "
				      "%s|I' %s",
				      all, facts->words.conf);
			eg_doctor_run_restart(judging);
		}
	} else if (family == EG_FAMILY_IPV6 && !eg_doctor_wants(facts, family)) {
		eg_doctor_fix_render(judging, "let the file have a kill switch for IPv6 too");
	} else {
		eg_doctor_fix_restart(judging);
	}
}

static void judge_public(struct eg_doctor_judging *judging, const struct eg_doctor_lookup *lookup)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const char *out = eg_doctor_link_name(facts, lookup->route.ifindex);
	const char *family = eg_doctor_family(lookup->address.family);
	bool wanted = eg_doctor_wants(facts, lookup->address.family) ||
		      (facts->model && lookup->address.family == EG_FAMILY_IPV4);
	char name[EG_ADDRESS_TEXT_LEN], where[48];
	bool known, held;

	if (lookup->result < 0 || lookup->route.type != RTN_UNICAST ||
	    lookup->route.ifindex == tunnel_index(facts))
		return;
	held = is_held(facts, &lookup->address, &known);
	eg_prefix_format(name, &lookup->address);
	if (!held && !wanted && lookup->address.family == EG_FAMILY_IPV6)
		eg_doctor_find(judging, EG_DOCTOR_FOUND_IPV6_BYPASS,
			       "IPv6 leaves by %s, past the tunnel", out);
	else if (!held)
		eg_doctor_find(judging, EG_DOCTOR_FOUND_LEAKING,
			       "%s to the internet leaves by %s%s", family, out,
			       known ? "" : ", and perhaps nothing holds it back");
	else if (wanted && !eg_doctor_has(judging, EG_DOCTOR_FOUND_RULE_MISSING) &&
		 !eg_doctor_has(judging, EG_DOCTOR_FOUND_TUNNEL_ROUTE_MISSING) &&
		 !eg_doctor_has(judging, EG_DOCTOR_FOUND_NO_TUNNEL) &&
		 !eg_doctor_has(judging, EG_DOCTOR_FOUND_TUNNEL_DOWN) &&
		 !eg_doctor_has(judging, EG_DOCTOR_FOUND_IPV6_MISSING))
		eg_doctor_find(judging, EG_DOCTOR_FOUND_NOT_IN_TUNNEL,
			       "%s to the internet is sent to %s, and dropped", family, out);
	else
		return;
	eg_doctor_evidence(judging, "for %s the kernel takes %s, %s", name,
			   say_table(where, lookup->route.table), out);
	if (facts->guard == EG_DOCTOR_GUARD_NONE) {
		eg_doctor_fix(judging, "at once, hold it back; then put its cause right, as said "
				       "with what else is found");
		eg_doctor_run_attach(judging, "");
	}
	fix_public(judging, lookup->address.family);
}

static void judge_lookups(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	bool told[2] = {};

	for (size_t i = 0; i < facts->n_lookups; i++) {
		const struct eg_doctor_lookup *lookup = &facts->lookups[i];
		bool *is_told = &told[lookup->address.family == EG_FAMILY_IPV6];
		size_t before = judging->report->n_findings;

		if (!lookup->public || *is_told)
			continue;
		judge_public(judging, lookup);
		*is_told = judging->report->n_findings > before;
	}
}

/* --- reverse path filtering ------------------------------------------------------------------- */

static int higher(int a, int b)
{
	return a > b ? a : b;
}

static void judge_reverse_path(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_doctor_sysctls *sysctls = &facts->sysctls;
	int filter = higher(sysctls->rp_filter_all, sysctls->rp_filter_underlay);
	int valid = higher(sysctls->valid_mark_all, sysctls->valid_mark_underlay);

	eg_doctor_begin(judging, "reverse path");
	if (filter < 0 || valid < 0)
		eg_doctor_doubt(judging, "rp_filter and src_valid_mark cannot be read");
	else if (filter == 1 && !valid && uses_rules(facts)) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_RP_FILTER,
			       "rp_filter is strict, and src_valid_mark is off");
		eg_doctor_evidence(judging,
				   "net.ipv4.conf.%s.rp_filter = 1, "
				   "net.ipv4.conf.all.src_valid_mark = 0",
				   sysctls->rp_filter_all == 1 ? "all" : facts->underlay);
		eg_doctor_fix(judging, "%s",
			      facts->owner
				      ? "at once; and so that it stays, in the compose file of "
					"the WireGuard container: sysctls: "
					"net.ipv4.conf.all.src_valid_mark=1"
				      : "let the mark count");
		eg_doctor_run_inside(judging, "sysctl -w net.ipv4.conf.all.src_valid_mark=1");
	}
	eg_doctor_end(judging, "rp_filter %d, src_valid_mark %d", filter, valid);
}

/* --- all of it -------------------------------------------------------------------------------- */

void eg_doctor_judge_routes(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	bool up = facts->tunnel_link && facts->tunnel_link->flags & IFF_UP;

	judge_reverse_path(judging);
	if (up) {
		judge_addresses(judging);
		judge_rules(judging);
	}
	eg_doctor_begin(judging, "routes");
	if (!facts->have_routes) {
		eg_doctor_doubt(judging, "they cannot be read: %s",
				strerror(-facts->routes_result));
	} else {
		if (up) {
			judge_tunnel_routes(judging);
			judge_hooks_routes(judging);
			judge_gateways(judging);
			judge_lan(judging);
		}
		judge_lookups(judging);
	}
	eg_doctor_end(judging, "the internet by %s, the LAN past it", facts->tunnel);
}
