// SPDX-License-Identifier: GPL-2.0
#include "doctor/remedy.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/array.h"

/* --- words of a shell ------------------------------------------------------------------------- */

static bool is_plain(const char *text)
{
	for (; *text; text++) {
		if (!isalnum((unsigned char)*text) && !strchr("-_./:=,+@%", *text))
			return false;
	}
	return true;
}

/* What a terminal does not show as it is, nobody can paste. */
static bool is_shown(const char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

bool eg_doctor_word(char to[EG_DOCTOR_WORD], const char *text)
{
	EG_AUTO_TEXT struct eg_text word = {};

	to[0] = '\0';
	if (!*text || *text == '-' || !is_shown(text))
		return false;
	if (is_plain(text)) {
		eg_text_printf(&word, "%s", text);
	} else {
		eg_text_printf(&word, "'");
		for (; *text; text++)
			eg_text_printf(&word, *text == '\'' ? "'\\''" : "%c", *text);
		eg_text_printf(&word, "'");
	}
	if (word.failed || word.len >= EG_DOCTOR_WORD)
		return false;
	memcpy(to, word.data, word.len + 1);
	return true;
}

/* --- ways ------------------------------------------------------------------------------------- */

static struct eg_doctor_finding *last(struct eg_doctor_judging *judging)
{
	struct eg_doctor_report *report = judging->report;

	return report->n_findings ? &report->findings[report->n_findings - 1] : NULL;
}

void eg_doctor_fix(struct eg_doctor_judging *judging, const char *format, ...)
{
	struct eg_doctor_finding *finding = last(judging);
	struct eg_doctor_remedy remedy = {};
	va_list arguments;

	if (judging->failed || !finding)
		return;
	va_start(arguments, format);
	remedy.what = eg_doctor_format(judging, format, arguments);
	va_end(arguments);
	if (EG_ARRAY_ADD(finding->remedies, finding->n_remedies, remedy) < 0) {
		free(remedy.what);
		judging->failed = true;
	}
}

static void add_command(struct eg_doctor_judging *judging, char *command)
{
	struct eg_doctor_finding *finding = last(judging);
	struct eg_doctor_remedy *remedy;

	if (!command || judging->failed || !finding || !finding->n_remedies) {
		free(command);
		return;
	}
	remedy = &finding->remedies[finding->n_remedies - 1];
	if (EG_ARRAY_ADD(remedy->commands, remedy->n_commands, command) < 0) {
		free(command);
		judging->failed = true;
	}
}

void eg_doctor_run(struct eg_doctor_judging *judging, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add_command(judging, eg_doctor_format(judging, format, arguments));
	va_end(arguments);
}

void eg_doctor_run_inside(struct eg_doctor_judging *judging, const char *format, ...)
{
	EG_AUTO_TEXT struct eg_text text = {};
	va_list arguments;
	char *command;

	if (!judging->facts->words.enter[0])
		return;
	va_start(arguments, format);
	command = eg_doctor_format(judging, format, arguments);
	va_end(arguments);
	eg_text_printf(&text, "%s %s", judging->facts->words.enter, command ? command : "");
	free(command);
	add_command(judging, eg_text_take(&text));
}

char *eg_doctor_fix_text(const struct eg_doctor_finding *finding)
{
	EG_AUTO_TEXT struct eg_text text = {};

	eg_text_add(&text, "", 0);
	for (size_t i = 0; i < finding->n_remedies; i++) {
		const struct eg_doctor_remedy *remedy = &finding->remedies[i];

		eg_text_printf(&text, "%s%s", i ? "; or " : "", remedy->what);
		for (size_t k = 0; k < remedy->n_commands; k++)
			eg_text_printf(&text, "%s%s", k ? "; " : ": ", remedy->commands[k]);
	}
	return eg_text_take(&text);
}

/* --- making everything anew ------------------------------------------------------------------- */

static const char *engine(const struct eg_doctor_facts *facts)
{
	return facts->podman ? "podman" : "docker";
}

/* "docker restart wireguard && docker restart a b" */
static void run_containers(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	EG_AUTO_TEXT struct eg_text text = {};
	char word[EG_DOCTOR_WORD];
	bool any = false;

	if (!eg_doctor_word(word, facts->owner))
		return;
	eg_text_printf(&text, "%s restart %s", engine(facts), word);
	for (size_t i = 0; i < facts->n_containers; i++) {
		if (facts->containers[i].owner_gone ||
		    !eg_doctor_word(word, facts->containers[i].name))
			continue;
		if (!any)
			eg_text_printf(&text, " && %s restart", engine(facts));
		eg_text_printf(&text, " %s", word);
		any = true;
	}
	add_command(judging, eg_text_take(&text));
}

/* `soon`: the tunnel may not be there yet. */
static void run_attach(struct eg_doctor_judging *judging, const char *options, bool soon)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_doctor_words *words = &facts->words;
	EG_AUTO_TEXT struct eg_text text = {};

	if (words->guard[0] && words->guard_target[0])
		eg_text_printf(&text, "egressguard attach --netns %s --name %s",
			       words->guard_target, words->guard);
	else if (words->target[0])
		eg_text_printf(&text, "egressguard attach --netns %s", words->target);
	else
		return;
	if (strcmp(facts->tunnel, "wg0") != 0)
		eg_text_printf(&text, " --tunnel %s", facts->tunnel);
	/* without a tunnel the file alone tells the endpoint; a name it may be that nobody resolves
	 */
	if (words->conf[0] && (words->attach_conf || !facts->tunnel_link ||
			       (soon && facts->model && !facts->model->n_names)))
		eg_text_printf(&text, " --wg-conf %s", words->conf);
	if (words->pin_dir[0])
		eg_text_printf(&text, " --pin-dir %s", words->pin_dir);
	eg_text_printf(&text, "%s", options);
	add_command(judging, eg_text_take(&text));
}

void eg_doctor_run_attach(struct eg_doctor_judging *judging, const char *options)
{
	run_attach(judging, options, false);
}

void eg_doctor_run_restart(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;
	const struct eg_doctor_words *words = &facts->words;

	if (facts->owner) {
		run_containers(judging);
		if (facts->guard == EG_DOCTOR_GUARD_ENFORCING ||
		    facts->guard == EG_DOCTOR_GUARD_OTHER)
			run_attach(judging, "", true); /* it goes with the old namespace */
		return;
	}
	if (!words->quick[0] || !words->conf_there[0])
		return;
	if (facts->tunnel_link)
		eg_doctor_run(judging, "%s wg-quick down %s", words->quick, words->conf_there);
	eg_doctor_run(judging, "%s wg-quick up %s", words->quick, words->conf_there);
}

void eg_doctor_fix_restart(struct eg_doctor_judging *judging)
{
	const struct eg_doctor_facts *facts = judging->facts;

	if (facts->owner)
		eg_doctor_fix(judging, "restart the WireGuard container, then the containers that "
				       "share its namespace");
	else if (!facts->words.conf_there[0])
		eg_doctor_fix(judging,
			      "let what made %s make it anew: with wg-quick, inside the namespace, "
			      "`down` and `up` of its file (`--conf FILE` names it here)",
			      facts->tunnel);
	else if (facts->tunnel_link)
		eg_doctor_fix(judging, "take the tunnel down, and up again");
	else
		eg_doctor_fix(judging, "bring the tunnel up");
	eg_doctor_run_restart(judging);
}

void eg_doctor_fix_render(struct eg_doctor_judging *judging, const char *why)
{
	const struct eg_doctor_words *words = &judging->facts->words;

	if (!words->conf[0]) {
		eg_doctor_fix(judging,
			      "%s, with the name of the tunnel's configuration: egressguard "
			      "wgconf render --in-place FILE; then let it be read anew",
			      why);
		return;
	}
	eg_doctor_fix(judging, "%s, and let it be read", why);
	eg_doctor_run(judging, "egressguard wgconf render --in-place %s", words->conf);
	eg_doctor_run_restart(judging);
}

/* --- iptables --------------------------------------------------------------------------------- */

static char *tool_of(char to[24], const struct eg_doctor_packet *packet,
		     enum eg_doctor_backend backend)
{
	snprintf(to, 24, "%s-%s", packet->far.family == EG_FAMILY_IPV6 ? "ip6tables" : "iptables",
		 eg_doctor_backend_names[backend]);
	return to;
}

char *eg_doctor_say_drop(char to[EG_DOCTOR_WHY], const struct eg_doctor_packet *packet,
			 const struct eg_doctor_drop *drop)
{
	char tool[24], safe[400];

	tool_of(tool, packet, drop->backend);
	if (drop->rule)
		snprintf(to, EG_DOCTOR_WHY, "%s has `-A %s`", tool,
			 eg_escape(safe, sizeof(safe), drop->rule->saved,
				   strlen(drop->rule->saved)));
	else
		snprintf(to, EG_DOCTOR_WHY, "%s: the policy of %s is DROP", tool,
			 packet->incoming ? "INPUT" : "OUTPUT");
	return to;
}

/* A rule's own text where a shell takes it as it stands, which comes from inside and may be
 * anything; else its number. */
static void run_delete(struct eg_doctor_judging *judging, const char *tool,
		       const struct eg_doctor_rule *rule)
{
	char chain[EG_DOCTOR_WORD];
	bool plain = is_shown(rule->saved);

	for (const char *at = rule->saved; plain && *at; at++)
		plain = isalnum((unsigned char)*at) || strchr(" -_./:=,+!", *at);
	if (plain)
		eg_doctor_run_inside(judging, "%s -D %s", tool, rule->saved);
	else if (eg_doctor_word(chain, rule->words[0]))
		eg_doctor_run_inside(judging, "%s -D %s %u", tool, chain, rule->number);
}

void eg_doctor_run_let(struct eg_doctor_judging *judging, const struct eg_doctor_packet *packet,
		       const char *own_option, const char *own_value, const char *match)
{
	for (enum eg_doctor_backend i = 0; i < EG_DOCTOR_BACKENDS; i++) {
		const struct eg_doctor_rule *rule = NULL;
		char tool[24];

		if (!eg_doctor_drops(&judging->facts->tables[i], packet, &rule))
			continue;
		tool_of(tool, packet, i);
		if (rule && eg_doctor_rule_has(rule, own_option, own_value))
			run_delete(judging, tool, rule);
		else
			eg_doctor_run_inside(judging, "%s -I %s %s -j ACCEPT", tool,
					     packet->incoming ? "INPUT" : "OUTPUT", match);
	}
}
