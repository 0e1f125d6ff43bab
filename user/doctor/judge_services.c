// SPDX-License-Identifier: GPL-2.0
/* What people notice: names that do not resolve, and pages that do not come. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "doctor/remedy.h"
#include "policy/address.h"
#include "policy/networks.h"

/* --- DNS -------------------------------------------------------------------------------------- */

static bool is_named(const struct eg_wgmodel *model, const struct eg_doctor_dns *dns)
{
	for (size_t i = 0; model && i < model->n_dns; i++) {
		if (eg_prefix_compare(&model->dns[i].prefix, &dns->address) == 0)
			return true;
	}
	return false;
}

/* The tunnel's own resolver, by its address in the LAN's networks: a route of its own leads to it.
 */
static void fix_dns_route(struct eg_doctor_judging *judging, const struct eg_doctor_dns *dns)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const char *version = dns->address.family == EG_FAMILY_IPV6 ? "-6" : "-4";
	char host[EG_ADDRESS_TEXT_LEN];

	eg_addr_format(host, dns->address.family, &dns->address.addr);
	eg_doctor_fix(judging, "send it into the tunnel");
	eg_doctor_run_inside(judging, "ip %s route replace %s dev %s", version, host,
			     facts->tunnel);
	if (facts->model->way == EG_WGWAY_RULES)
		eg_doctor_run_inside(judging, "ip %s route replace %s dev %s table %u", version,
				     host, facts->tunnel, eg_doctor_table(facts));
	eg_doctor_fix_render(judging, "let the file have that route");
}

static void fix_dns(struct eg_doctor_judging *judging, const struct eg_doctor_dns *dns)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_wgmodel *model = facts->model;
	char server[EG_ADDRESS_TEXT_LEN] = "the address of the tunnel's resolver";

	if (is_named(model, dns) && facts->tunnel_link &&
	    dns->ifindex != facts->tunnel_link->ifindex) {
		fix_dns_route(judging, dns);
		return;
	}
	if (is_named(model, dns)) {
		eg_doctor_fix(
			judging,
			"`DNS =` in %s names it: write the one that the provider gives, which "
			"answers through the tunnel; then restart what reads the file",
			facts->conf);
		return;
	}
	if (model && model->n_dns)
		eg_prefix_format(server, &model->dns[0].prefix);
	if (facts->owner)
		eg_doctor_fix(
			judging,
			"`dns:` in the compose file of the WireGuard container, with %s; and no "
			"route past the tunnel for it",
			server);
	else
		eg_doctor_fix(
			judging, "`nameserver` in %s, with %s; and no route past the tunnel for it",
			facts->resolv_conf[0] ? facts->resolv_conf : "its resolv.conf", server);
}

static bool is_private(const char *text)
{
	union eg_addr addr;
	__u8 family;

	return eg_addr_parse(text, &family, &addr, NULL) == 0 && eg_addr_is_lan(family, &addr);
}

static void judge_docker_dns(struct eg_doctor_judging *judging, const struct eg_doctor_dns *dns)
{
	const char *where = NULL;

	if (dns->asked == EG_DOCTOR_DNS_FAILED)
		eg_doctor_doubt(judging, "%s says that it could not ask on", dns->server);
	switch (dns->seen) {
	case EG_DOCTOR_DNS_NOT_SEEN:
		eg_doctor_doubt(judging,
				"Docker's resolver %s was asked, and from where it asks on "
				"was not seen",
				dns->server);
		return;
	case EG_DOCTOR_DNS_TUNNEL:
		return;
	case EG_DOCTOR_DNS_UNDERLAY:
		where = "out of the namespace's underlay";
		break;
	case EG_DOCTOR_DNS_OUTSIDE:
		where = "from the host's namespace, where no kill switch and no guard sees it";
		break;
	}
	eg_doctor_find(judging, EG_DOCTOR_FOUND_DNS_OUTSIDE,
		       "Docker's resolver asks past the tunnel");
	eg_doctor_evidence(judging, "a question to %s went on %s", dns->server, where);
	fix_dns(judging, dns);
}

/* The question, or the answer to it. */
static bool is_dropped(const struct eg_doctor_facts *facts, const struct eg_doctor_dns *dns,
		       bool incoming, struct eg_doctor_packet *ret_packet,
		       struct eg_doctor_drop *ret_drop)
{
	*ret_packet = (struct eg_doctor_packet){
		.far = dns->address,
		.device = eg_doctor_link_name(facts, dns->ifindex),
		.proto = IPPROTO_UDP,
		.far_port = 53,
		.incoming = incoming,
		.reply = incoming,
	};
	return dns->known && dns->result == 0 &&
	       eg_doctor_fate(facts->tables, ret_packet, ret_drop) == EG_DOCTOR_DROPPED;
}

/* Nothing came back. What else is wrong explains that; else, a rule for it alone; else the server
 * is at fault. */
static void judge_unanswered(struct eg_doctor_judging *judging, const struct eg_doctor_dns *dns)
{
	const struct eg_doctor_facts *facts = judging->facts;
	struct eg_doctor_packet packet;
	struct eg_doctor_drop drop;
	char seen[EG_DOCTOR_WHY], host[EG_ADDRESS_TEXT_LEN], own[EG_ADDRESS_TEXT_LEN + 4];
	char match[EG_ADDRESS_TEXT_LEN + 48];
	bool in = false;

	if (eg_doctor_is_silenced(judging)) {
		judging->wrong = true; /* it follows from that */
		return;
	}
	eg_doctor_find(judging, EG_DOCTOR_FOUND_DNS_SILENT, "the DNS server %s does not answer",
		       dns->server);
	if (is_dropped(facts, dns, false, &packet, &drop) ||
	    (in = is_dropped(facts, dns, true, &packet, &drop))) {
		eg_doctor_severity(judging, EG_WGSEVERITY_ERROR);
		eg_doctor_evidence(judging, "iptables drops %s: %s",
				   in ? "what it answers" : "what it is asked",
				   eg_doctor_say_drop(seen, &packet, &drop));
		eg_addr_format(host, dns->address.family, &dns->address.addr);
		snprintf(own, sizeof(own), "%s/%u", host, dns->address.len);
		snprintf(match, sizeof(match), "-p udp %s %s --%s 53", in ? "-s" : "-d", host,
			 in ? "sport" : "dport");
		eg_doctor_fix(judging, "let it through");
		eg_doctor_run_let(judging, &packet, in ? "--sport" : "--dport", "53", match);
		return;
	}
	if (dns->errnum)
		eg_doctor_evidence(judging, "a question to it cannot be sent: %s",
				   strerror(dns->errnum));
	else
		eg_doctor_evidence(judging, "asked through %s",
				   dns->docker || dns->loopback
					   ? "loopback"
					   : eg_doctor_link_name(facts, dns->ifindex));
	fix_dns(judging, dns);
}

static void judge_server(struct eg_doctor_judging *judging, const struct eg_doctor_dns *dns)
{
	const struct eg_doctor_facts *facts = judging->facts;
	__u32 tunnel = facts->tunnel_link ? facts->tunnel_link->ifindex : 0;
	bool outside = !dns->docker && !dns->loopback && dns->known && dns->result == 0 &&
		       dns->ifindex != tunnel;

	if (!tunnel || eg_doctor_has(judging, EG_DOCTOR_FOUND_TUNNEL_DOWN)) {
		eg_doctor_doubt(judging, "there is no tunnel for it to go through");
		return;
	}
	if (dns->asked == EG_DOCTOR_DNS_SILENT && !outside)
		judge_unanswered(judging, dns);
	else if (dns->asked == EG_DOCTOR_DNS_UNASKED && dns->known &&
		 eg_doctor_is_silenced(judging))
		judging->wrong = true; /* it need not be asked */
	else if (dns->asked == EG_DOCTOR_DNS_UNASKED && dns->known)
		eg_doctor_doubt(judging, "%s was not asked", dns->server);
	if (dns->docker) {
		judge_docker_dns(judging, dns);
		return;
	}
	if (dns->loopback) {
		eg_doctor_doubt(judging,
				"%s is a resolver inside the namespace: whom it asks is its "
				"own affair",
				dns->server);
	} else if (!dns->known) {
		eg_doctor_doubt(judging, "the way to %s cannot be told", dns->server);
	} else if (outside) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_DNS_OUTSIDE,
			       "DNS goes to %s past the tunnel", dns->server);
		eg_doctor_evidence(judging,
				   "resolv.conf names it, and the kernel sends it out of %s%s",
				   eg_doctor_link_name(facts, dns->ifindex),
				   dns->asked == EG_DOCTOR_DNS_ANSWERED ? "; it answers"
				   : dns->asked == EG_DOCTOR_DNS_SILENT ? "; nothing answers"
									: "");
		/* a resolver of the LAN's may be meant, where the file names none */
		if (is_private(dns->server) && !(facts->model && facts->model->n_dns))
			eg_doctor_severity(judging, EG_WGSEVERITY_WARNING);
		fix_dns(judging, dns);
	}
}

void eg_doctor_judge_dns(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	EG_AUTO_TEXT struct eg_text servers = {};

	eg_doctor_begin(judging, "dns");
	if (facts->dns_why[0])
		eg_doctor_doubt(judging, "%s", facts->dns_why);
	for (size_t i = 0; i < facts->n_dns; i++) {
		const struct eg_doctor_dns *dns = &facts->dns[i];

		judge_server(judging, dns);
		eg_text_printf(&servers, "%s%s%s", i ? ", " : "", dns->server,
			       dns->asked == EG_DOCTOR_DNS_ANSWERED ? " answers" : "");
		if (!dns->docker && dns->known && dns->result == 0)
			eg_text_printf(&servers, " through %s",
				       eg_doctor_link_name(facts, dns->ifindex));
		else if (dns->seen == EG_DOCTOR_DNS_TUNNEL)
			eg_text_printf(&servers, " asks through %s", facts->tunnel);
	}
	if (!facts->n_dns)
		eg_doctor_doubt(judging, "no resolv.conf was found that names a server");
	eg_doctor_end(judging, "%s", servers.data ? servers.data : "");
}

/* --- published ports -------------------------------------------------------------------------- */

static void say_evidence(struct eg_doctor_judging *judging, const struct eg_doctor_port *port,
			 const char *more)
{
	eg_doctor_evidence(judging, "%s:%u: %s; inside, port %u: %s%s", port->host, port->host_port,
			   eg_doctor_answer_names[port->outside], port->port,
			   eg_doctor_answer_names[port->inside], more);
}

/* Whether there are rules that nothing follows here: nft's own, or of iptables' other tables. */
static bool has_others(const struct eg_doctor_tables *tables)
{
	return tables->others || tables->four.elsewhere || tables->six.elsewhere;
}

static bool have_others(const struct eg_doctor_facts *facts)
{
	return has_others(&facts->tables[EG_DOCTOR_LEGACY]) ||
	       has_others(&facts->tables[EG_DOCTOR_NFT]);
}

static void fix_others(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_tables *tables = judging->facts->tables;

	eg_doctor_fix_render(judging, "let the kill switch be written anew, in the place of one by "
				      "nft, or in the table mangle or raw");
	eg_doctor_fix(judging,
		      "read those rules: one that drops what does not take the tunnel must let "
		      "through what goes to 10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16");
	if (has_others(&tables[EG_DOCTOR_NFT]))
		eg_doctor_run_inside(judging, "nft list ruleset");
	if (has_others(&tables[EG_DOCTOR_LEGACY]))
		eg_doctor_run_inside(judging, "iptables-legacy-save");
}

/* A rule of the namespace's own, for what comes in to that port by the underlay. */
static bool tell_input_rule(struct eg_doctor_judging *judging, const struct eg_doctor_port *port)
{
	const struct eg_doctor_facts *facts = judging->facts;
	struct eg_doctor_packet packet = {
		.device = facts->underlay[0] ? facts->underlay : NULL,
		.proto = IPPROTO_TCP,
		.own_port = port->port,
		.incoming = true,
	};
	struct eg_doctor_drop drop;
	char value[8], match[64], seen[EG_DOCTOR_WHY];

	if (!eg_doctor_gateway(facts, EG_FAMILY_IPV4, &packet.far.addr))
		return false;
	packet.far.family = EG_FAMILY_IPV4;
	packet.far.len = 32;
	if (eg_doctor_fate(facts->tables, &packet, &drop) != EG_DOCTOR_DROPPED)
		return false;
	eg_doctor_evidence(judging, "iptables drops what comes in to port %u: %s", port->port,
			   eg_doctor_say_drop(seen, &packet, &drop));
	snprintf(value, sizeof(value), "%u", port->port);
	snprintf(match, sizeof(match), "-i %s -p tcp --dport %s", facts->underlay, value);
	eg_doctor_fix(judging, "let it through; so that it stays, have the file do the same, in a "
			       "PostUp behind the one that drops it");
	eg_doctor_run_let(judging, &packet, "--dport", value, match);
	return true;
}

static void judge_silence(struct eg_doctor_judging *judging, const struct eg_doctor_port *port)
{
	const struct eg_doctor_facts *facts = judging->facts;

	if (facts->docker_desktop && !eg_doctor_tunnel_is_wrong(judging)) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_WEDGED_PROXY,
			       "Docker Desktop's proxy for port %u is wedged", port->host_port);
		say_evidence(judging, port, "; routes and rules are right");
		eg_doctor_fix(judging, "quit Docker Desktop and start it again, before anything "
				       "else is tried: neither restarting containers nor `docker "
				       "compose down` and `up` helps");
		return;
	}
	eg_doctor_find(judging, EG_DOCTOR_FOUND_PORT_SILENT,
		       "port %u accepts connections on the host, and nothing comes back",
		       port->host_port);
	if (eg_doctor_tunnel_is_wrong(judging)) {
		say_evidence(judging, port,
			     "; routes or rules are wrong, as said: they may be why");
		eg_doctor_fix(judging, "put right what stands before this");
		return;
	}
	if (tell_input_rule(judging, port))
		return;
	if (have_others(facts)) {
		say_evidence(
			judging, port,
			"; routes are right, and nft has rules inside of the namespace that are "
			"not followed here: they may be why");
		fix_others(judging);
	} else {
		say_evidence(judging, port, "; routes and rules are right");
	}
	if (facts->owner) {
		eg_doctor_fix(
			judging,
			"is it the engine's proxy on the host that holds an address which the "
			"container has no more? A restart gives it the right one");
		eg_doctor_run_restart(judging);
	}
	eg_doctor_fix(judging,
		      "see who accepts on the host; what he passes it on to is his setting");
	eg_doctor_run(judging, "ss -tlnp 'sport = :%u'", port->host_port);
	eg_doctor_fix(judging,
		      "is it a firewall of the host's between it and the container, or an MTU "
		      "larger than the way carries? The host's rules");
	eg_doctor_run(judging, "nft list ruleset");
}

static bool is_served(enum eg_doctor_answer answer)
{
	return answer == EG_DOCTOR_ANSWERED || answer == EG_DOCTOR_CLOSED;
}

static void judge_inside(struct eg_doctor_judging *judging, const struct eg_doctor_port *port)
{
	if (port->inside == EG_DOCTOR_REFUSED) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_NO_SERVICE,
			       "nobody listens at port %u inside the namespace", port->port);
		eg_doctor_evidence(judging, "it is published as %s:%u", port->host,
				   port->host_port);
		eg_doctor_fix(judging,
			      "start, or restart, the container that serves it; it must "
			      "share this namespace (network_mode: service:...) and listen "
			      "on 0.0.0.0");
	} else if (port->inside == EG_DOCTOR_SILENT) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_SERVICE_SILENT,
			       "what listens at port %u accepts and does not answer", port->port);
		eg_doctor_severity(judging, EG_WGSEVERITY_NOTE);
		say_evidence(judging, port, "; a page was asked for (HTTP)");
		eg_doctor_fix(judging, "if it serves pages: restart its container");
	}
}

static void fix_unreachable(struct eg_doctor_judging *judging, const struct eg_doctor_port *port)
{
	const struct eg_doctor_facts *facts = judging->facts;

	if (port->outside == EG_DOCTOR_REFUSED) {
		eg_doctor_fix(
			judging,
			"publish it by the container that owns the namespace (`ports:` belong "
			"to that one), and at this address; what is published now");
		if (facts->owner)
			eg_doctor_run(judging, "%s ps --format '{{.Names}} {{.Ports}}'",
				      facts->podman ? "podman" : "docker");
		else
			eg_doctor_run(judging, "ss -tlnp 'sport = :%u'", port->host_port);
		return;
	}
	if (tell_input_rule(judging, port))
		return;
	if (eg_doctor_tunnel_is_wrong(judging))
		eg_doctor_fix(judging, "put right what stands before this");
	else if (have_others(facts))
		fix_others(judging);
	else
		eg_doctor_fix(judging,
			      "what the service answers is dropped or takes the tunnel, or "
			      "a firewall of the host's is in between");
}

static void judge_port(struct eg_doctor_judging *judging, const struct eg_doctor_port *port)
{
	if (port->why[0])
		eg_doctor_doubt(judging, "port %u: %s",
				port->host_port ? port->host_port : port->port, port->why);
	if (!is_served(port->inside)) {
		judge_inside(judging, port);
		return;
	}
	if (port->outside == EG_DOCTOR_SILENT) {
		judge_silence(judging, port);
	} else if (port->outside == EG_DOCTOR_REFUSED || port->outside == EG_DOCTOR_NO_ROUTE) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_PORT_UNREACHABLE,
			       "port %u cannot be reached from the host", port->host_port);
		say_evidence(judging, port, "");
		fix_unreachable(judging, port);
	}
}

void eg_doctor_judge_ports(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	EG_AUTO_TEXT struct eg_text ports = {};

	eg_doctor_begin(judging, "ports");
	if (facts->ports_why[0])
		eg_doctor_doubt(judging, "%s", facts->ports_why);
	for (size_t i = 0; i < facts->n_ports; i++) {
		judge_port(judging, &facts->ports[i]);
		eg_text_printf(&ports, "%s%u %s", i ? ", " : "", facts->ports[i].host_port,
			       eg_doctor_answer_names[facts->ports[i].outside]);
	}
	if (!facts->n_ports)
		eg_doctor_end(judging, "none is published");
	else
		eg_doctor_end(judging, "%s", ports.data ? ports.data : "");
}
