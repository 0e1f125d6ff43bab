// SPDX-License-Identifier: GPL-2.0
/* Whether the configuration is the one in force, and right. */
#include <stdio.h>
#include <string.h>

#include "doctor/remedy.h"
#include "policy/address.h"

#define NS_PER_S 1000000000ULL
/* An image may write the file anew as it starts. */
#define CONF_SLACK_NS (10 * NS_PER_S)
/* Clocks are read at different moments. */
#define CLOCK_SLACK_NS (1 * NS_PER_S)

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

/* A peer's line that names another server than the one that is in use; 0: none does. */
static unsigned int line_of_other_server(const struct eg_doctor_facts *facts)
{
	const struct eg_wgmodel *model = facts->model;

	for (size_t i = 0; facts->have_wg && i < model->n_endpoints; i++) {
		const struct eg_endpoint *endpoint = &model->endpoints[i].endpoint;
		bool used = endpoint->host != NULL;

		for (size_t k = 0; !used && k < facts->wg.n_peers; k++) {
			const struct eg_endpoint *live = &facts->wg.peers[k].endpoint;

			used = !live->family ||
			       (live->family == endpoint->family && live->port == endpoint->port &&
				memcmp(&live->addr, &endpoint->addr, sizeof(live->addr)) == 0);
		}
		if (!used)
			return model->endpoints[i].place.line;
	}
	return 0;
}

static void tell_stale(struct eg_doctor_judging *judging, unsigned int peer, __u64 since,
		       const char *what)
{
	const struct eg_doctor_facts *facts = judging->facts;
	unsigned int server = line_of_other_server(facts);
	unsigned long long later = (facts->conf_changed_realtime_ns - since) / NS_PER_S;

	eg_doctor_find(judging, EG_DOCTOR_FOUND_STALE_CONF, "%s was changed after %s", facts->conf,
		       what);
	judging->other_server = peer || server;
	if (peer)
		eg_doctor_evidence(
			judging, "%llu s after it; and the peer of line %u is not one that %s has",
			later, peer, facts->tunnel);
	else if (server)
		eg_doctor_evidence(judging,
				   "%llu s after it; and the Endpoint of line %u is not in use",
				   later, server);
	else
		eg_doctor_evidence(judging, "%llu s after it", later);
	eg_doctor_fix_restart(judging);
}

/* What is in force was read when the tunnel got its addresses; where that is not known, not before
 * the container started. */
static void judge_age(struct eg_doctor_judging *judging, unsigned int line)
{
	const struct eg_doctor_facts *facts = judging->facts;
	__u64 changed = facts->conf_changed_realtime_ns;

	if (!facts->tunnel_link)
		return; /* nothing is in force */
	if (changed && facts->now_realtime_ns &&
	    changed > facts->now_realtime_ns + CLOCK_SLACK_NS) {
		eg_doctor_doubt(judging,
				"the file's time is in the future, so it tells nothing of when it "
				"was changed");
		return;
	}
	if (changed && facts->tunnel_made_realtime_ns) {
		if (changed > facts->tunnel_made_realtime_ns + CLOCK_SLACK_NS)
			tell_stale(judging, line, facts->tunnel_made_realtime_ns,
				   "the tunnel was made");
		return;
	}
	if (!facts->started_realtime_ns || !changed) {
		if (!line)
			eg_doctor_doubt(judging,
					"when %s is not known, so it may be newer than "
					"what is in force",
					facts->started_realtime_ns ? "the file was changed"
								   : "the container started");
		return;
	}
	if (changed > facts->started_realtime_ns + CONF_SLACK_NS)
		tell_stale(judging, line, facts->started_realtime_ns, "the container had started");
}

static void judge_errors(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_wgreport *report = facts->conf_report;
	unsigned int n = report ? report->counts[EG_WGSEVERITY_ERROR] : 0;

	if (!n)
		return;
	eg_doctor_find(judging, EG_DOCTOR_FOUND_CONF_ERRORS, "%s has %u error%s", facts->conf, n,
		       n == 1 ? "" : "s");
	for (size_t i = 0; i < report->n_findings; i++) {
		const struct eg_wgfinding *one = &report->findings[i];

		if (eg_wgfinding_infos[one->id].severity != EG_WGSEVERITY_ERROR)
			continue;
		if (one->line)
			eg_doctor_evidence(judging, "the first: line %u, %s [%s]", one->line,
					   one->what, eg_wgfinding_infos[one->id].id);
		else
			eg_doctor_evidence(judging, "the first: %s [%s]", one->what,
					   eg_wgfinding_infos[one->id].id);
		break;
	}
	eg_doctor_fix_render(judging, "let most of it be put right");
	if (facts->words.conf[0]) {
		eg_doctor_fix(judging, "see all of it, each with its fix");
		eg_doctor_run(judging, "egressguard wgconf check %s", facts->words.conf);
	}
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
		eg_doctor_fix_restart(judging);
		eg_doctor_fix(judging, "if the tunnel was made from another file, name that one by "
				       "--conf");
	}
	judge_errors(judging);
	eg_doctor_end(judging, "%s is what was read at the start", facts->conf);
}
