// SPDX-License-Identifier: GPL-2.0
/* Who shares the namespace, and whether the tunnel is there. */
#include <stdio.h>
#include <string.h>

#include "doctor/remedy.h"
#include "policy/address.h"

static const char *safe_name(char to[256], const char *name)
{
	return eg_escape(to, 256, name, strlen(name));
}

static const char *engine(const struct eg_doctor_facts *facts)
{
	return facts->podman ? "podman" : "docker";
}

/* --- containers ------------------------------------------------------------------------------- */

static void judge_container(struct eg_doctor_judging *judging,
			    const struct eg_doctor_container *container)
{
	const struct eg_doctor_facts *facts = judging->facts;
	char name[256], owner[256], word[EG_DOCTOR_WORD];

	safe_name(name, container->name);
	safe_name(owner, facts->owner ? facts->owner : "the owner");
	if (!container->stranded)
		return;
	eg_doctor_find(judging, EG_DOCTOR_FOUND_STRANDED, "the container %s is in a dead namespace",
		       name);
	if (container->owner_gone) {
		eg_doctor_evidence(judging,
				   "it shares the network of a container that exists no more: that "
				   "one was made anew since");
		eg_doctor_fix(judging,
			      "make it anew too, as it was made before (with compose: up "
			      "--force-recreate), since `%s restart` cannot find its network",
			      engine(facts));
		if (container->again)
			eg_doctor_run(judging, "%s", container->again);
		return;
	}
	eg_doctor_evidence(judging,
			   "it shares the network of %s, and its processes are in another network "
			   "namespace: %s was restarted after it",
			   owner, owner);
	eg_doctor_fix(judging, "restart it");
	if (eg_doctor_word(word, container->name))
		eg_doctor_run(judging, "%s restart %s", engine(facts), word);
}

/* A namespace that nothing leads out of. */
static void judge_cut_off(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	char name[256];

	safe_name(name, facts->owner ? facts->owner : facts->target ? facts->target : "");
	eg_doctor_find(judging, EG_DOCTOR_FOUND_STRANDED,
		       "%s is in a namespace without a network: it has no interface but lo", name);
	if (facts->no_network) {
		eg_doctor_evidence(judging, "the container was made so (network_mode: none)");
		eg_doctor_fix(judging, "give it a network, or the one of the WireGuard container "
				       "(network_mode: service:...), and make it anew");
		return;
	}
	eg_doctor_evidence(judging, "that is what is left to those that shared a network when its "
				    "owner was restarted or has ended");
	eg_doctor_fix(judging, "%s, so that it joins the network that is there now",
		      facts->words.rejoin[0] ? "restart what is in it"
					     : "end what is in it, and start it again");
	if (facts->words.rejoin[0])
		eg_doctor_run(judging, "%s", facts->words.rejoin);
}

static void judge_stopped(struct eg_doctor_judging *judging, const char *owner)
{
	const struct eg_doctor_facts *facts = judging->facts;
	char word[EG_DOCTOR_WORD];

	eg_doctor_find(judging, EG_DOCTOR_FOUND_NOT_RUNNING, "the container %s is stopped", owner);
	eg_doctor_fix_restart(judging);
	eg_doctor_fix(judging, "if it does not stay up, its log says why");
	if (facts->owner && eg_doctor_word(word, facts->owner))
		eg_doctor_run(judging, "%s logs --tail 30 %s", engine(facts), word);
}

void eg_doctor_judge_containers(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	EG_AUTO_TEXT struct eg_text names = {};
	char name[256], owner[256];

	safe_name(owner, facts->owner ? facts->owner : facts->target ? facts->target : "");
	eg_doctor_begin(judging, "containers");
	if (facts->stopped)
		judge_stopped(judging, owner);
	if (facts->owner_gone && facts->owner)
		judge_container(judging, &(struct eg_doctor_container){.name = facts->owner,
								       .again = facts->owner_again,
								       .stranded = true,
								       .owner_gone = true});
	else if (facts->cut_off)
		judge_cut_off(judging);
	if (!facts->have_engine)
		eg_doctor_doubt(judging, "%s",
				facts->engine_why[0] ? facts->engine_why : "no engine was asked");
	if (facts->containers_why[0])
		eg_doctor_doubt(judging, "%s", facts->containers_why);
	for (size_t i = 0; i < facts->n_containers; i++) {
		judge_container(judging, &facts->containers[i]);
		eg_text_printf(&names, "%s%s", i ? ", " : "",
			       safe_name(name, facts->containers[i].name));
	}
	if (names.data)
		eg_doctor_end(judging, "%s: its namespace is shared by %s", owner, names.data);
	else
		eg_doctor_end(judging, "no other container shares the namespace");
}

/* --- the interface that is not there ---------------------------------------------------------- */

/* `--mark $(wg show wg0 fwmark)`, where that says "off": iptables takes no such mark. */
static bool has_no_mark(const struct eg_wgfinding *finding)
{
	return finding->id == EG_WGFINDING_KILL_SWITCH_NO_MARK && strstr(finding->what, "wg show");
}

/* What of the file ends wg-quick before there is a tunnel, or takes that away again. */
static const struct eg_wgfinding *find_refusal(const struct eg_doctor_facts *facts)
{
	static const enum eg_wgfinding_id ids[] = {
		EG_WGFINDING_BYTE_ORDER_MARK, EG_WGFINDING_UNKNOWN_LINE,
		EG_WGFINDING_WRONG_SECTION,   EG_WGFINDING_WRONG_VALUE,
		EG_WGFINDING_MISSING,         EG_WGFINDING_MULTI_LINE_HOOK,
		EG_WGFINDING_BACKEND_MISSING, EG_WGFINDING_FILE_NAME,
	};
	const struct eg_wgreport *report = facts->conf_report;

	/* a hook that goes on explains the line that nobody knows */
	for (size_t i = 0; report && i < report->n_findings; i++) {
		if (report->findings[i].id == EG_WGFINDING_MULTI_LINE_HOOK)
			return &report->findings[i];
	}
	for (size_t i = 0; report && i < report->n_findings; i++) {
		for (size_t k = 0; k < sizeof(ids) / sizeof(ids[0]); k++) {
			if (report->findings[i].id == ids[k])
				return &report->findings[i];
		}
	}
	for (size_t i = 0; report && i < report->n_findings; i++) {
		if (has_no_mark(&report->findings[i]))
			return &report->findings[i];
	}
	return NULL;
}

static bool has_ipv6_address(const struct eg_wgmodel *model)
{
	for (size_t i = 0; i < model->n_addresses; i++) {
		if (model->addresses[i].prefix.family == EG_FAMILY_IPV6)
			return true;
	}
	return false;
}

/* Named as the cause where it is one for sure. */
static bool judge_refusal(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_wgfinding *refusal = find_refusal(facts);

	if (!refusal)
		return false;
	if (refusal->line)
		eg_doctor_find(judging, EG_DOCTOR_FOUND_NO_TUNNEL,
			       "there is no %s: wg-quick stops at line %u of %s", facts->tunnel,
			       refusal->line, facts->conf);
	else
		eg_doctor_find(judging, EG_DOCTOR_FOUND_NO_TUNNEL,
			       "there is no %s: wg-quick does not take %s", facts->tunnel,
			       facts->conf);
	eg_doctor_evidence(judging, "%s [%s]; %s", refusal->what,
			   eg_wgfinding_infos[refusal->id].id, eg_wgfinding_infos[refusal->id].why);
	if (has_no_mark(refusal))
		eg_doctor_evidence(judging, "iptables refuses the mark \"off\"");
	if (refusal->id == EG_WGFINDING_MULTI_LINE_HOOK)
		eg_doctor_fix_render(judging, "put each hook on one line: let it be written so");
	else if (has_no_mark(refusal))
		eg_doctor_fix_render(judging, "let a kill switch be written that works here");
	eg_doctor_fix(judging, "by hand: %s", refusal->fix ? refusal->fix : "put it right");
	eg_doctor_run_restart(judging);
	return true;
}

/* Settings of the namespace by which wg-quick fails. */
static bool judge_settings(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_doctor_sysctls *sysctls = &facts->sysctls;
	bool no_ipv6 = sysctls->no_ipv6_all == 1 || sysctls->no_ipv6_default == 1;

	if (!facts->model)
		return false;
	if (has_ipv6_address(facts->model) && no_ipv6) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_NO_TUNNEL,
			       "there is no %s: wg-quick cannot give it its IPv6 address",
			       facts->tunnel);
		eg_doctor_evidence(judging,
				   "%s has an IPv6 address, and IPv6 is off: "
				   "net.ipv6.conf.%s.disable_ipv6 is 1",
				   facts->conf, sysctls->no_ipv6_all == 1 ? "all" : "default");
		if (facts->owner) {
			eg_doctor_fix(
				judging,
				"in the compose file of the WireGuard container: sysctls: "
				"net.ipv6.conf.all.disable_ipv6=0; then make it anew. Or take "
				"the IPv6 address, and ::/0, out of the file");
		} else {
			eg_doctor_fix(judging, "switch IPv6 on, and bring the tunnel up");
			eg_doctor_run_inside(judging, "sysctl -w net.ipv6.conf.all.disable_ipv6=0 "
						      "net.ipv6.conf.default.disable_ipv6=0");
			eg_doctor_run_restart(judging);
		}
		return true;
	}
	if (facts->owner && facts->model->way == EG_WGWAY_RULES && sysctls->valid_mark_all == 0) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_NO_TUNNEL,
			       "there is no %s: wg-quick may not set src_valid_mark",
			       facts->tunnel);
		eg_doctor_evidence(judging, "net.ipv4.conf.all.src_valid_mark is 0; wg-quick sets "
					    "it, and in a container without privileges it cannot: "
					    "then it takes the tunnel away again");
		eg_doctor_fix(judging,
			      "in the compose file of the WireGuard container: sysctls: "
			      "net.ipv4.conf.all.src_valid_mark=1; then make it anew, then "
			      "restart the containers that share its namespace");
		return true;
	}
	return false;
}

/* A gateway in figures that no interface but the tunnel leads to directly. */
static bool is_far(const struct eg_doctor_facts *facts, const char *gateway)
{
	union eg_addr addr;
	__u8 family;

	if (eg_addr_parse(gateway, &family, &addr, NULL) < 0)
		return false;
	for (size_t i = 0; i < facts->n_addrs; i++) {
		const struct eg_link_addr *own = &facts->addrs[i];
		struct eg_prefix subnet = {
			.addr = own->addr, .family = own->family, .len = own->prefix_len};

		if (own->family == family && eg_prefix_contains(&subnet, family, &addr))
			return false;
	}
	return true;
}

/* A hook that fails takes the tunnel away again: `ip route add` of what is there, or by a gateway
 * that cannot be reached. */
static bool judge_hooks(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_wgmodel *model = facts->model;

	for (size_t i = 0; model && i < model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &model->hooks->ops[i];
		const struct eg_route *there = NULL;
		char name[EG_ADDRESS_TEXT_LEN];
		__u32 table;

		if (op->kind != EG_WGOP_ROUTE || !op->has_prefix || op->conditional ||
		    op->tolerant || !eg_wgkey_is_up(op->phase) || op->act == EG_WGACT_DELETE ||
		    !eg_doctor_has_table(facts, op, &table))
			continue;
		if (op->act == EG_WGACT_ADD)
			there = eg_doctor_find_route(facts, &op->prefix, table);
		if ((!there || there->metric) && !(op->gateway && is_far(facts, op->gateway)))
			continue;
		eg_prefix_format(name, &op->prefix);
		eg_doctor_find(
			judging, EG_DOCTOR_FOUND_NO_TUNNEL,
			"there is no %s: the hook at line %u of %s fails, and wg-quick takes "
			"the tunnel away again",
			facts->tunnel, op->place.line, facts->conf);
		if (there && !there->metric)
			eg_doctor_evidence(judging,
					   "it adds a route for %s, and there is one: the kernel "
					   "says 'File exists'",
					   name);
		else
			eg_doctor_evidence(judging,
					   "its route for %s is by the gateway %s, which is in no "
					   "network of the namespace's",
					   name, op->gateway);
		eg_doctor_fix_render(judging, "let the routes of the file be written so that they "
					      "cannot fail");
		return true;
	}
	return false;
}

static void judge_absent(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	EG_AUTO_TEXT struct eg_text others = {};
	char word[EG_DOCTOR_WORD];

	if (judge_refusal(judging) || judge_settings(judging) || judge_hooks(judging))
		return;
	for (size_t i = 0; i < facts->n_links; i++) {
		char safe[64];

		eg_text_printf(&others, "%s%s", i ? ", " : "",
			       eg_escape(safe, sizeof(safe), facts->links[i].name,
					 sizeof(facts->links[i].name)));
	}
	eg_doctor_find(judging, EG_DOCTOR_FOUND_NO_TUNNEL,
		       "there is no tunnel: no interface %s, nor another of WireGuard's",
		       facts->tunnel);
	eg_doctor_evidence(
		judging, "the namespace has: %s%s", others.data ? others.data : "nothing",
		facts->model ? "; nothing was found in the file that would stop wg-quick" : "");
	eg_doctor_fix_restart(judging);
	if (facts->owner && eg_doctor_word(word, facts->owner)) {
		eg_doctor_fix(judging,
			      "if it does not come: wg-quick said why (a line that it refuses, no "
			      "/dev/net/tun and no WireGuard in the kernel, no NET_ADMIN)");
		eg_doctor_run(judging, "%s logs --tail 30 %s", engine(facts), word);
	} else {
		eg_doctor_fix(judging,
			      "if it does not come: read what wg-quick says (a line that it "
			      "refuses, no /dev/net/tun and no WireGuard in the kernel, no "
			      "privileges)");
	}
}

/* --- the interface ---------------------------------------------------------------------------- */

/* The endpoint's name that `wg setconf` asks for, and waits: until it has an answer wg-quick gives
 * the interface no address. NULL: that is not why. */
static const char *find_awaited(const struct eg_doctor_facts *facts)
{
	const struct eg_wgmodel *model = facts->model;

	if (!model || !model->n_addresses)
		return NULL;
	for (size_t i = 0; i < facts->n_addrs; i++) {
		if (facts->addrs[i].ifindex == facts->tunnel_link->ifindex)
			return NULL;
	}
	for (size_t i = 0; i < model->n_endpoints; i++) {
		if (model->endpoints[i].endpoint.host)
			return model->endpoints[i].endpoint.host;
	}
	return NULL;
}

static void judge_down(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const char *host = find_awaited(facts);
	char name[EG_DOCTOR_WORD];

	eg_doctor_find(judging, EG_DOCTOR_FOUND_TUNNEL_DOWN, "the interface %s is down",
		       facts->tunnel);
	if (!host || !eg_doctor_word(name, host)) {
		eg_doctor_evidence(judging, "its routes went with it: to set it up alone does not "
					    "bring them back");
		eg_doctor_fix_restart(judging);
		return;
	}
	eg_doctor_evidence(
		judging,
		"it has no address yet: wg-quick waits for that of the endpoint %s, which "
		"nobody tells it",
		name);
	eg_doctor_fix(judging, "write the endpoint's address into the file, and let it be read");
	if (facts->words.conf[0]) {
		eg_doctor_run(judging,
			      "address=$(getent ahostsv4 %s | awk 'NR == 1 { print $1 }') && [ -n "
			      "\"$address\" ] && sed -i \"s/%s/$address/\" %s",
			      name, name, facts->words.conf);
		eg_doctor_run_restart(judging);
	}
	eg_doctor_fix(judging,
		      "see what the resolver of the WireGuard container is (`dns:` in the compose "
		      "file), and whether it can be reached while there is no tunnel");
}

static void judge_interface(struct eg_doctor_judging *judging, const struct eg_link *link)
{
	const struct eg_doctor_facts *facts = judging->facts;

	if (facts->kind == EG_TUNNEL_NOT) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_NOT_WIREGUARD,
			       "the interface %s is no WireGuard tunnel", facts->tunnel);
		eg_doctor_evidence(judging, "it is %s%s", link->kind[0] ? "of kind " : "a device",
				   link->kind);
		eg_doctor_fix(judging, "take it away, and bring the tunnel up");
		eg_doctor_run_inside(judging, "ip link delete %s", facts->tunnel);
		if (facts->owner)
			eg_doctor_run_restart(judging);
		else if (facts->words.quick[0] && facts->words.conf_there[0])
			eg_doctor_run(judging, "%s wg-quick up %s", facts->words.quick,
				      facts->words.conf_there);
	} else if (!(link->flags & IFF_UP)) {
		judge_down(judging);
	} else if (facts->kind == EG_TUNNEL_TUN) {
		eg_doctor_doubt(judging,
				"%s is a tun, and whoever runs it does not answer as "
				"WireGuard does",
				facts->tunnel);
	}
}

void eg_doctor_judge_tunnel(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_link *link = facts->tunnel_link;

	eg_doctor_begin(judging, "tunnel");
	if (link)
		judge_interface(judging, link);
	else
		judge_absent(judging);
	eg_doctor_end(judging, "%s is up (%s)", facts->tunnel,
		      facts->kind == EG_TUNNEL_KERNEL ? "WireGuard in the kernel"
						      : "userspace WireGuard");
	if (link && facts->kind != EG_TUNNEL_NOT && (link->flags & IFF_UP))
		eg_doctor_judge_handshake(judging);
}
