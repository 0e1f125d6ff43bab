// SPDX-License-Identifier: GPL-2.0
/* What people notice: names that do not resolve, and pages that do not come. */
#include <stdio.h>
#include <string.h>

#include "doctor/judge_internal.h"
#include "policy/address.h"
#include "policy/networks.h"

/* --- DNS -------------------------------------------------------------------------------------- */

static void fix_dns(struct eg_doctor_judging *judging)
{
	const struct eg_wgmodel *model = judging->facts->model;
	char server[EG_ADDRESS_TEXT_LEN] = "the address of the tunnel's resolver";

	if (model && model->n_dns)
		eg_prefix_format(server, &model->dns[0].prefix);
	eg_doctor_fix(judging,
		      "`dns:` in the compose file of the WireGuard container, with %s; and no "
		      "route past the tunnel for it",
		      server);
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
	fix_dns(judging);
}

static void judge_server(struct eg_doctor_judging *judging, const struct eg_doctor_dns *dns)
{
	const struct eg_doctor_facts *facts = judging->facts;
	__u32 tunnel = facts->tunnel_link ? facts->tunnel_link->ifindex : 0;

	if (!tunnel || eg_doctor_has(judging, EG_DOCTOR_FOUND_TUNNEL_DOWN)) {
		eg_doctor_doubt(judging, "there is no tunnel for it to go through");
		return;
	}
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
	} else if (dns->result == 0 && dns->ifindex != tunnel) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_DNS_OUTSIDE,
			       "DNS goes to %s past the tunnel", dns->server);
		eg_doctor_evidence(judging,
				   "resolv.conf names it, and the kernel sends it out of %s%s",
				   eg_doctor_link_name(facts, dns->ifindex),
				   dns->asked == EG_DOCTOR_DNS_ANSWERED ? "; it answers" : "");
		/* a resolver of the LAN's may be meant, where the file names none */
		if (is_private(dns->server) && !(facts->model && facts->model->n_dns))
			eg_doctor_severity(judging, EG_WGSEVERITY_WARNING);
		fix_dns(judging);
	}
	if (dns->asked == EG_DOCTOR_DNS_SILENT && !eg_doctor_tunnel_is_wrong(judging)) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_DNS_SILENT,
			       "the DNS server %s does not answer", dns->server);
		eg_doctor_evidence(judging, "asked through %s",
				   eg_doctor_link_name(facts, dns->ifindex));
		fix_dns(judging);
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
		eg_doctor_fix(judging, "put those right first");
		return;
	}
	say_evidence(judging, port, "; routes and rules are right");
	eg_doctor_fix(
		judging,
		"the usual suspects: docker-proxy on the host (`ss -tlnp 'sport = :%u'` shows "
		"it) that holds an address which the container has no more: docker restart "
		"the WireGuard container, then those that share its namespace; a firewall of "
		"the host between it and the bridge (nft list ruleset, iptables -S "
		"DOCKER-USER); an MTU larger than the way carries",
		port->host_port);
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
		eg_doctor_fix(judging,
			      port->outside == EG_DOCTOR_REFUSED
				      ? "is it published by the WireGuard container (`docker "
					"ps`; `ports:` belong to the container that owns the "
					"namespace), and to this address?"
				      : "what the service answers is dropped or takes the "
					"tunnel, or a firewall of the host is in between");
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
