// SPDX-License-Identifier: GPL-2.0
/* Who shares the namespace, whether the tunnel is there and carries, and whether its configuration
 * is the one in force. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/judge_internal.h"
#include "policy/address.h"

#define NS_PER_S 1000000000ULL
/* A tunnel that is used makes a new handshake every two minutes, and a session ends after three. */
#define HANDSHAKE_OLD_S 180
/* An image may write the file anew as it starts. */
#define CONF_SLACK_NS (10 * NS_PER_S)

static const char *safe_name(char to[256], const char *name)
{
	return eg_escape(to, 256, name, strlen(name));
}

/* --- containers ------------------------------------------------------------------------------- */

static void judge_container(struct eg_doctor_judging *judging,
			    const struct eg_doctor_container *container)
{
	const struct eg_doctor_facts *facts = judging->facts;
	char name[256], owner[256];

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
			      "make it anew too, since `docker restart` cannot find its network: "
			      "docker compose up -d --force-recreate %s",
			      name);
		return;
	}
	eg_doctor_evidence(judging,
			   "it shares the network of %s, and its processes are in another network "
			   "namespace: %s was restarted after it",
			   owner, owner);
	eg_doctor_fix(judging, "docker restart %s", name);
}

void eg_doctor_judge_containers(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	EG_AUTO_TEXT struct eg_text names = {};
	char restart[EG_DOCTOR_RESTART_LEN], name[256], owner[256];

	safe_name(owner, facts->owner ? facts->owner : facts->target ? facts->target : "");
	eg_doctor_begin(judging, "containers");
	if (facts->stopped) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_NOT_RUNNING, "the container %s is stopped",
			       owner);
		eg_doctor_fix(judging, "%s (its log says why it stopped: docker logs %s)",
			      eg_doctor_restart(judging, restart), owner);
	}
	if (facts->owner_gone && facts->owner)
		judge_container(judging, &(struct eg_doctor_container){.name = facts->owner,
								       .stranded = true,
								       .owner_gone = true});
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

/* --- the interface ---------------------------------------------------------------------------- */

static void judge_absent(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	EG_AUTO_TEXT struct eg_text others = {};
	char restart[EG_DOCTOR_RESTART_LEN];

	for (size_t i = 0; i < facts->n_links; i++) {
		char safe[64];

		eg_text_printf(&others, "%s%s", i ? ", " : "",
			       eg_escape(safe, sizeof(safe), facts->links[i].name,
					 sizeof(facts->links[i].name)));
	}
	eg_doctor_find(judging, EG_DOCTOR_FOUND_NO_TUNNEL,
		       "there is no interface %s in the namespace", facts->tunnel);
	eg_doctor_evidence(judging, "there are %s", others.data ? others.data : "none at all");
	eg_doctor_fix(judging,
		      "look why wg-quick failed (`docker logs`, or its own output): a line that it "
		      "refuses, no /dev/net/tun or no WireGuard in the kernel, or no NET_ADMIN. "
		      "`egressguard wgconf check` reads the file. Then %s",
		      eg_doctor_restart(judging, restart));
}

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

/* What may keep WireGuard's packets from leaving, or its answers from coming in. */
static void judge_way_out(struct eg_doctor_judging *judging, const struct eg_wg_peer *peer)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_endpoint *endpoint = &peer->endpoint;
	struct eg_prefix address = {
		.addr = endpoint->addr,
		.family = endpoint->family,
		.len = eg_family_bits(endpoint->family),
	};
	char name[EG_ADDRESS_TEXT_LEN];

	if (!endpoint->family)
		return;
	eg_endpoint_format(name, endpoint);
	if (eg_doctor_underlay_fate(facts, &address, facts->wg.fwmark) == EG_DOCTOR_DROPPED) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_ENDPOINT_BLOCKED,
			       "iptables drops WireGuard's own packets to %s", name);
		eg_doctor_evidence(judging,
				   "the OUTPUT chain drops what goes there out of %s "
				   "with the mark %u",
				   facts->underlay, facts->wg.fwmark);
		eg_doctor_fix(judging, "let them through: in the kill switch, -m mark ! --mark "
				       "$(wg show %%i fwmark); `egressguard wgconf render` writes "
				       "one that does");
	}
	if (facts->guard == EG_DOCTOR_GUARD_ENFORCING && facts->guard_endpoint_known &&
	    !facts->guard_lets_endpoint) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_GUARD_BLOCKS,
			       "the guard does not know the endpoint %s", name);
		eg_doctor_fix(judging,
			      "if it is the provider's: egressguard attach --netns %s --replace "
			      "--endpoint %s",
			      facts->target, name);
	}
	if (facts->have_endpoint && facts->endpoint.result < 0) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_ENDPOINT_UNREACHABLE,
			       "there is no route to the endpoint %s", name);
		eg_doctor_evidence(judging, "the kernel says: %s",
				   strerror(-facts->endpoint.result));
		eg_doctor_fix(judging, "the container needs its default route: `ip route` inside "
				       "shows it; what took it away is often a hook of wg0.conf");
	}
}

static bool is_old(const struct eg_doctor_facts *facts, const struct eg_wg_peer *peer)
{
	__u64 now = facts->now_realtime_ns / NS_PER_S;

	return !peer->last_handshake_s || now > peer->last_handshake_s + HANDSHAKE_OLD_S;
}

static void judge_handshake(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_wg_peer *peer = main_peer(facts);
	__u64 now = facts->now_realtime_ns / NS_PER_S;
	char endpoint[EG_ADDRESS_TEXT_LEN], age[64] = "never";

	eg_doctor_begin(judging, "handshake");
	if (!facts->have_wg || !peer) {
		if (facts->have_wg) {
			eg_doctor_find(judging, EG_DOCTOR_FOUND_NO_HANDSHAKE, "%s has no peer",
				       facts->tunnel);
			eg_doctor_fix(judging, "the file needs a section [Peer] with PublicKey, "
					       "AllowedIPs and Endpoint");
		} else {
			eg_doctor_doubt(judging, "%s", facts->wg_why);
		}
		eg_doctor_end(judging, "-");
		return;
	}
	say_endpoint(endpoint, peer);
	if (peer->last_handshake_s)
		snprintf(age, sizeof(age), "%llu s ago",
			 (unsigned long long)(now - peer->last_handshake_s));
	if (is_old(facts, peer) && (facts->provoked || !peer->last_handshake_s)) {
		judge_way_out(judging, peer);
		eg_doctor_find(judging, EG_DOCTOR_FOUND_NO_HANDSHAKE,
			       "the server (%s) does not answer WireGuard's handshake", endpoint);
		eg_doctor_evidence(judging, "last handshake: %s; %llu bytes sent, %llu received%s",
				   age, (unsigned long long)peer->tx_bytes,
				   (unsigned long long)peer->rx_bytes,
				   facts->provoked ? "; a packet was sent into the tunnel now, and "
						     "none followed"
						   : "");
		eg_doctor_fix(judging,
			      "is the server up, and its address and port right? Is the PublicKey "
			      "the server's, and does the server know yours (a key that was "
			      "revoked, or is in use elsewhere, gets no answer either)? Does the "
			      "line let UDP out to it?");
	} else if (facts->asked && facts->sent && !facts->received) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_TUNNEL_SILENT,
			       "nothing comes back through %s", facts->tunnel);
		eg_doctor_evidence(
			judging,
			"of questions to the resolver %llu bytes were sent to %s now, and "
			"none received; the last handshake was %s",
			(unsigned long long)facts->sent, endpoint, age);
		eg_doctor_fix(judging, "is the server up, and does it still know this peer's key? "
				       "Another device with the same key takes the tunnel away");
	} else if (is_old(facts, peer)) {
		eg_doctor_doubt(judging,
				"the last handshake was %s, and none could be provoked%s%s", age,
				facts->wg_why[0] ? ": " : "", facts->wg_why);
	}
	eg_doctor_end(judging, "%s with %s; %llu bytes sent, %llu received", age, endpoint,
		      (unsigned long long)peer->tx_bytes, (unsigned long long)peer->rx_bytes);
}

void eg_doctor_judge_tunnel(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_link *link = facts->tunnel_link;
	char restart[EG_DOCTOR_RESTART_LEN];

	eg_doctor_begin(judging, "tunnel");
	if (!link) {
		judge_absent(judging);
	} else if (facts->kind == EG_TUNNEL_NOT) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_NOT_WIREGUARD,
			       "the interface %s is no WireGuard tunnel", facts->tunnel);
		eg_doctor_evidence(judging, "it is %s%s", link->kind[0] ? "of kind " : "a device",
				   link->kind);
		eg_doctor_fix(judging, "take it away and %s", eg_doctor_restart(judging, restart));
	} else if (!(link->flags & IFF_UP)) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_TUNNEL_DOWN, "the interface %s is down",
			       facts->tunnel);
		eg_doctor_fix(judging,
			      "%s (`ip link set %s up` alone does not bring its routes back)",
			      eg_doctor_restart(judging, restart), facts->tunnel);
	} else if (facts->kind == EG_TUNNEL_TUN) {
		eg_doctor_doubt(judging,
				"%s is a tun, and whoever runs it does not answer as "
				"WireGuard does",
				facts->tunnel);
	}
	eg_doctor_end(judging, "%s is up (%s)", facts->tunnel,
		      facts->kind == EG_TUNNEL_KERNEL ? "WireGuard in the kernel"
						      : "userspace WireGuard");
	if (link && facts->kind != EG_TUNNEL_NOT && (link->flags & IFF_UP))
		judge_handshake(judging);
}

/* --- its configuration ------------------------------------------------------------------------ */

static int value_of(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* 43 digits and '='. */
static bool decode_key(const struct eg_token *text, __u8 key[32])
{
	unsigned int bits = 0, n_bits = 0;
	size_t n = 0;

	if (text->len != 44 || text->text[43] != '=')
		return false;
	for (size_t i = 0; i < 43; i++) {
		int value = value_of(text->text[i]);

		if (value < 0)
			return false;
		bits = bits << 6 | (unsigned int)value;
		n_bits += 6;
		if (n_bits >= 8 && n < 32) {
			n_bits -= 8;
			key[n++] = (__u8)(bits >> n_bits);
		}
	}
	return n == 32;
}

static bool has_peer(const struct eg_wg_device *wg, const __u8 key[32])
{
	for (size_t i = 0; i < wg->n_peers; i++) {
		if (memcmp(wg->peers[i].public_key, key, 32) == 0)
			return true;
	}
	return false;
}

/* Public keys: they may be shown, and are told by their line all the same. */
static unsigned int line_of_strange_peer(const struct eg_doctor_facts *facts)
{
	for (size_t i = 0; facts->have_wg && i < facts->conf_file->n_lines; i++) {
		const struct eg_wgline *line = &facts->conf_file->lines[i];
		__u8 key[32];

		if (line->kind == EG_WGLINE_SETTING && line->section == EG_WGSECTION_PEER &&
		    line->key == EG_WGKEY_PUBLIC_KEY && decode_key(&line->value, key) &&
		    !has_peer(&facts->wg, key))
			return line->number;
	}
	return 0;
}

static void judge_age(struct eg_doctor_judging *judging, unsigned int line)
{
	const struct eg_doctor_facts *facts = judging->facts;
	char restart[EG_DOCTOR_RESTART_LEN];
	__u64 later = facts->conf_changed_realtime_ns - facts->started_realtime_ns;

	if (!facts->started_realtime_ns || !facts->conf_changed_realtime_ns) {
		if (!line)
			eg_doctor_doubt(judging,
					"when %s is not known, so it may be newer than "
					"what is in force",
					facts->started_realtime_ns ? "the file was changed"
								   : "the container started");
		return;
	}
	if (facts->conf_changed_realtime_ns <= facts->started_realtime_ns + CONF_SLACK_NS)
		return;
	eg_doctor_find(judging, EG_DOCTOR_FOUND_STALE_CONF,
		       "%s was changed after the container had started", facts->conf);
	if (line)
		eg_doctor_evidence(
			judging, "%llu s after it; and the peer of line %u is not one that %s has",
			(unsigned long long)(later / NS_PER_S), line, facts->tunnel);
	else
		eg_doctor_evidence(judging, "%llu s after it",
				   (unsigned long long)(later / NS_PER_S));
	eg_doctor_fix(judging, "%s", eg_doctor_restart(judging, restart));
}

void eg_doctor_judge_conf(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	unsigned int line;

	eg_doctor_begin(judging, "wg0.conf");
	if (!facts->model) {
		eg_doctor_doubt(judging, "%s", facts->conf_why[0] ? facts->conf_why : "not found");
		eg_doctor_end(judging, "-");
		return;
	}
	line = line_of_strange_peer(facts);
	judge_age(judging, line);
	if (line && !judging->wrong) {
		eg_doctor_find(judging, EG_DOCTOR_FOUND_OTHER_CONF, "%s has a peer that %s has not",
			       facts->conf, facts->tunnel);
		eg_doctor_evidence(judging, "%s:%u", facts->conf, line);
		eg_doctor_fix(judging, "if the tunnel was made from another file, name it by "
				       "--conf; else restart the WireGuard container, then the "
				       "containers that share its namespace");
	}
	if (facts->conf_report && facts->conf_report->counts[EG_WGSEVERITY_ERROR]) {
		unsigned int n = facts->conf_report->counts[EG_WGSEVERITY_ERROR];

		eg_doctor_find(judging, EG_DOCTOR_FOUND_CONF_ERRORS, "%s has %u error%s",
			       facts->conf, n, n == 1 ? "" : "s");
		for (size_t i = 0; i < facts->conf_report->n_findings; i++) {
			const struct eg_wgfinding *one = &facts->conf_report->findings[i];

			if (eg_wgfinding_infos[one->id].severity != EG_WGSEVERITY_ERROR)
				continue;
			eg_doctor_evidence(judging, "the first: line %u, %s [%s]", one->line,
					   one->what, eg_wgfinding_infos[one->id].id);
			break;
		}
		eg_doctor_fix(judging,
			      "egressguard wgconf check %s; egressguard wgconf render "
			      "--in-place %s puts most of it right",
			      facts->conf, facts->conf);
	}
	eg_doctor_end(judging, "%s is what was read at the start", facts->conf);
}
