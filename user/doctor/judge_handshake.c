// SPDX-License-Identifier: GPL-2.0
/* Whether the tunnel carries: what may keep its packets in, and whether the server answers. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "doctor/remedy.h"
#include "policy/address.h"

#define NS_PER_S 1000000000ULL
/* A tunnel that is used makes a new handshake every two minutes, and a session ends after three. */
#define HANDSHAKE_OLD_S 180

static const struct eg_wg_peer *main_peer(const struct eg_doctor_facts *facts)
{
	for (size_t i = 0; i < facts->wg.n_peers; i++) {
		if (facts->wg.peers[i].default_route)
			return &facts->wg.peers[i];
	}
	return facts->wg.n_peers ? &facts->wg.peers[0] : NULL;
}

static void say_endpoint(char to[EG_ADDRESS_TEXT_LEN], const struct eg_wg_peer *peer)
{
	if (peer->endpoint.family)
		eg_endpoint_format(to, &peer->endpoint);
	else
		snprintf(to, EG_ADDRESS_TEXT_LEN, "no endpoint");
}

/* --- into the tunnel, and out of it ----------------------------------------------------------- */

static bool is_answered(const struct eg_doctor_facts *facts)
{
	for (size_t i = 0; i < facts->n_dns; i++) {
		if (facts->dns[i].asked == EG_DOCTOR_DNS_ANSWERED && facts->tunnel_link &&
		    facts->dns[i].ifindex == facts->tunnel_link->ifindex)
			return true;
	}
	return false;
}

/* What iptables does with whatever goes into the tunnel, or comes out of it. */
static bool judge_tunnel_rules(struct eg_doctor_judging *judging, __u8 family, bool incoming)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const char *option = incoming ? "-i" : "-o";
	struct eg_doctor_packet packet = {
		.far = eg_doctor_public(family),
		.device = facts->tunnel,
		.incoming = incoming,
		.reply = incoming,
	};
	struct eg_doctor_drop drop;
	char match[32], seen[EG_DOCTOR_WHY];

	if (eg_doctor_fate(facts->tables, &packet, &drop) != EG_DOCTOR_DROPPED)
		return false;
	judging->one_backend |= drop.n_backends == 1;
	eg_doctor_find(judging, EG_DOCTOR_FOUND_TUNNEL_BLOCKED, "%s: iptables drops what %s %s",
		       eg_doctor_family(family), incoming ? "comes out of" : "goes into",
		       facts->tunnel);
	eg_doctor_evidence(judging, "%s", eg_doctor_say_drop(seen, &packet, &drop));
	snprintf(match, sizeof(match), "%s %s", option, facts->tunnel);
	eg_doctor_fix(judging, "let it through; and keep whatever made that rule, often a hook of "
			       "the tunnel's configuration, from making it again");
	eg_doctor_run_let(judging, &packet, option, facts->tunnel, match);
	return true;
}

/* Rules of nftables' own are not read; what they refuse is felt all the same. */
static void judge_refusal(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;

	if (facts->send_result != -EPERM || is_answered(facts))
		return;
	eg_doctor_find(judging, EG_DOCTOR_FOUND_TUNNEL_BLOCKED,
		       "a rule drops what goes into %s, and it is none that iptables shows",
		       facts->tunnel);
	eg_doctor_evidence(judging, "a packet that was sent into it was refused: %s",
			   strerror(EPERM));
	eg_doctor_fix(judging, "look for the rule that drops it, and take it away");
	eg_doctor_run_inside(judging, "nft -a list ruleset");
}

static void judge_way_in(struct eg_doctor_judging *judging)
{
	static const __u8 families[2] = {EG_FAMILY_IPV4, EG_FAMILY_IPV6};
	bool found = false;

	for (int i = 0; i < 2; i++) {
		if (!eg_doctor_wants(judging->facts, families[i]) ||
		    !eg_doctor_has_address(judging->facts, families[i]))
			continue;
		found |= judge_tunnel_rules(judging, families[i], false);
		found |= judge_tunnel_rules(judging, families[i], true);
	}
	if (!found)
		judge_refusal(judging);
}

/* --- WireGuard's own packets ------------------------------------------------------------------ */

static struct eg_prefix whole(const struct eg_endpoint *endpoint)
{
	return (struct eg_prefix){
		.addr = endpoint->addr,
		.family = endpoint->family,
		.len = eg_family_bits(endpoint->family),
	};
}

static void judge_endpoint_rules(struct eg_doctor_judging *judging,
				 const struct eg_endpoint *endpoint, bool incoming)
{
	const struct eg_doctor_facts *facts = judging->facts;
	struct eg_prefix address = whole(endpoint);
	struct eg_doctor_packet packet = eg_doctor_past_tunnel(facts, &address);
	const char *option = incoming ? "-s" : "-d";
	struct eg_doctor_drop drop;
	char name[EG_ADDRESS_TEXT_LEN], host[EG_ADDRESS_TEXT_LEN], own[EG_ADDRESS_TEXT_LEN + 4];
	char match[EG_ADDRESS_TEXT_LEN + 48], seen[EG_DOCTOR_WHY];

	packet.proto = IPPROTO_UDP;
	packet.far_port = endpoint->port;
	packet.own_port = facts->wg.listen_port;
	packet.mark = incoming ? 0 : facts->wg.fwmark;
	packet.incoming = packet.reply = incoming;
	if (eg_doctor_fate(facts->tables, &packet, &drop) != EG_DOCTOR_DROPPED)
		return;
	judging->one_backend |= drop.n_backends == 1;
	eg_endpoint_format(name, endpoint);
	eg_addr_format(host, endpoint->family, &endpoint->addr);
	eg_doctor_find(judging, EG_DOCTOR_FOUND_ENDPOINT_BLOCKED,
		       incoming ? "iptables drops what WireGuard's server (%s) answers"
				: "iptables drops WireGuard's own packets to %s",
		       name);
	eg_doctor_evidence(judging, "%s; they have the mark %u",
			   eg_doctor_say_drop(seen, &packet, &drop), facts->wg.fwmark);
	/* as iptables-save writes it */
	snprintf(own, sizeof(own), "%s/%u", host, address.len);
	snprintf(match, sizeof(match), "-p udp %s %s --%s %u", option, host,
		 incoming ? "sport" : "dport", endpoint->port);
	eg_doctor_fix(judging, "let them through; `egressguard wgconf render` writes a kill switch "
			       "that does");
	eg_doctor_run_let(judging, &packet, option, own, match);
}

static void judge_guard_blocks(struct eg_doctor_judging *judging,
			       const struct eg_endpoint *endpoint)
{
	const struct eg_doctor_facts *facts = judging->facts;
	char name[EG_ADDRESS_TEXT_LEN], options[EG_ADDRESS_TEXT_LEN + 32];

	if (facts->guard != EG_DOCTOR_GUARD_ENFORCING || !facts->guard_endpoint_known ||
	    facts->guard_lets_endpoint)
		return;
	eg_endpoint_format(name, endpoint);
	eg_doctor_find(judging, EG_DOCTOR_FOUND_GUARD_BLOCKS,
		       "the guard does not know the endpoint %s", name);
	eg_doctor_evidence(judging,
			   "the guard %s lets out other endpoints alone; that is the one "
			   "that %s uses",
			   facts->guard_name, facts->tunnel);
	eg_doctor_fix(judging, "if %s is your provider's, let the guard know it", name);
	snprintf(options, sizeof(options), " --endpoint %s --replace", name);
	eg_doctor_run_attach(judging, options);
}

/* The main table has lost its way out, or the way out leads into the tunnel. */
static void judge_endpoint_route(struct eg_doctor_judging *judging,
				 const struct eg_endpoint *endpoint)
{
	const struct eg_doctor_facts *facts = judging->facts;
	bool into = facts->endpoint.result == 0 && facts->tunnel_link &&
		    facts->endpoint.route.ifindex == facts->tunnel_link->ifindex;
	char name[EG_ADDRESS_TEXT_LEN], host[EG_ADDRESS_TEXT_LEN], router[EG_ADDRESS_TEXT_LEN];
	union eg_addr gateway;

	if (!facts->have_endpoint || (facts->endpoint.result == 0 && !into) ||
	    (into && !facts->wg.fwmark && facts->model && facts->model->way == EG_WGWAY_RULES))
		return; /* its mark is missing, which is told as such */
	eg_endpoint_format(name, endpoint);
	eg_addr_format(host, endpoint->family, &endpoint->addr);
	eg_doctor_find(judging, EG_DOCTOR_FOUND_ENDPOINT_UNREACHABLE,
		       into ? "WireGuard's own packets to %s are sent into the tunnel"
			    : "there is no route to the endpoint %s",
		       name);
	if (into)
		eg_doctor_evidence(judging,
				   "the kernel sends what goes to it, with the mark %u, to "
				   "%s",
				   facts->wg.fwmark, facts->tunnel);
	else
		eg_doctor_evidence(judging,
				   "the kernel says: %s; the main table has no default "
				   "route",
				   strerror(-facts->endpoint.result));
	if (eg_doctor_gateway(facts, endpoint->family, &gateway)) {
		eg_addr_format(router, endpoint->family, &gateway);
		eg_doctor_fix(judging, "put the route back; what took it away is often a hook of "
				       "the tunnel's configuration");
		eg_doctor_run_inside(judging, "ip %s route replace %s via %s dev %s",
				     endpoint->family == EG_FAMILY_IPV6 ? "-6" : "-4",
				     into ? host : "default", router, facts->underlay);
	}
	if (facts->owner)
		eg_doctor_fix_restart(judging); /* the engine gives it its route */
	else
		eg_doctor_fix(judging, "let what made %s give it its route",
			      facts->underlay[0] ? facts->underlay : "the namespace");
}

/* What may keep WireGuard's packets from leaving, or its answers from coming in. */
static void judge_way_out(struct eg_doctor_judging *judging, const struct eg_wg_peer *peer)
{
	const struct eg_doctor_facts *facts = judging->facts;

	if (!peer->endpoint.family || !facts->underlay[0])
		return;
	/* what came just now came through */
	if (!facts->asked || !facts->received) {
		judge_endpoint_rules(judging, &peer->endpoint, false);
		judge_endpoint_rules(judging, &peer->endpoint, true);
		judge_guard_blocks(judging, &peer->endpoint);
	}
	judge_endpoint_route(judging, &peer->endpoint);
}

/* --- the handshake ---------------------------------------------------------------------------- */

static bool is_old(const struct eg_doctor_facts *facts, const struct eg_wg_peer *peer)
{
	__u64 now = facts->now_realtime_ns / NS_PER_S;

	return !peer->last_handshake_s || now > peer->last_handshake_s + HANDSHAKE_OLD_S;
}

/* Of the last finding, whose way to the server is open as far as can be seen. */
static void ask_about_server(struct eg_doctor_judging *judging)
{
	eg_doctor_fix(judging, "is the server up, and its address and port right? Is the PublicKey "
			       "the server's, and does the server know yours (a key that was "
			       "revoked, or is in use elsewhere, gets no answer either)? Does the "
			       "line let UDP out to it?");
}

static void judge_no_handshake(struct eg_doctor_judging *judging, const struct eg_wg_peer *peer,
			       const char *endpoint, const char *age, bool explained)
{
	const struct eg_doctor_facts *facts = judging->facts;

	eg_doctor_find(judging, EG_DOCTOR_FOUND_NO_HANDSHAKE,
		       "the server (%s) does not answer WireGuard's handshake", endpoint);
	eg_doctor_evidence(judging, "last handshake: %s; %llu bytes sent, %llu received%s", age,
			   (unsigned long long)peer->tx_bytes, (unsigned long long)peer->rx_bytes,
			   facts->provoked ? "; a packet was sent into the tunnel now, and "
					     "none followed"
					   : "");
	if (explained)
		eg_doctor_fix(judging, "put right what stands before this, which explains it");
	else
		ask_about_server(judging);
}

static void judge_silence(struct eg_doctor_judging *judging, const char *endpoint, const char *age,
			  bool explained)
{
	const struct eg_doctor_facts *facts = judging->facts;

	eg_doctor_find(judging, EG_DOCTOR_FOUND_TUNNEL_SILENT, "nothing comes back through %s",
		       facts->tunnel);
	eg_doctor_evidence(judging,
			   "%llu bytes were sent to %s now, and none received, although "
			   "WireGuard's server answers whatever it can read within ten seconds; "
			   "the last handshake was %s",
			   (unsigned long long)facts->sent, endpoint, age);
	if (explained)
		eg_doctor_fix(judging, "put right what stands before this, which explains it");
	else
		eg_doctor_fix(judging, "is the server up, and does it still know this peer's key? "
				       "Another device with the same key takes the tunnel away");
}

static void judge_no_peer(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;

	if (facts->have_wg) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_NO_HANDSHAKE, "%s has no peer",
			       facts->tunnel);
		eg_doctor_fix(judging, "the file needs a section [Peer] with PublicKey, "
				       "AllowedIPs and Endpoint");
	} else {
		eg_doctor_doubt(judging, "%s", facts->wg_why);
	}
}

void eg_doctor_judge_handshake(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_wg_peer *peer = facts->have_wg ? main_peer(facts) : NULL;
	__u64 now = facts->now_realtime_ns / NS_PER_S;
	char endpoint[EG_ADDRESS_TEXT_LEN], age[64] = "never";
	bool explained;

	eg_doctor_begin(judging, "handshake");
	judge_way_in(judging);
	if (!peer) {
		judge_no_peer(judging);
		eg_doctor_end(judging, "-");
		return;
	}
	say_endpoint(endpoint, peer);
	if (peer->last_handshake_s)
		snprintf(age, sizeof(age), "%llu s ago",
			 (unsigned long long)(now - peer->last_handshake_s));
	judge_way_out(judging, peer);
	explained = judging->wrong;
	if (is_old(facts, peer) && (facts->provoked || !peer->last_handshake_s)) {
		judge_no_handshake(judging, peer, endpoint, age, explained);
	} else if (facts->asked && facts->sent && !facts->received) {
		judge_silence(judging, endpoint, age, explained);
	} else if (is_old(facts, peer)) {
		eg_doctor_doubt(judging,
				"the last handshake was %s, and none could be provoked%s%s", age,
				facts->wg_why[0] ? ": " : "", facts->wg_why);
	}
	eg_doctor_end(judging, "%s with %s; %llu bytes sent, %llu received", age, endpoint,
		      (unsigned long long)peer->tx_bytes, (unsigned long long)peer->rx_bytes);
}
