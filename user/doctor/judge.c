// SPDX-License-Identifier: GPL-2.0
#include "doctor/judge.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/remedy.h"
#include "policy/address.h"
#include "policy/array.h"

const struct eg_doctor_info eg_doctor_infos[EG_DOCTOR_ID_COUNT] = {
#define X(name, text, level, reason)                                                               \
	[EG_DOCTOR_FOUND_##                                                                        \
		name] = {.id = (text), .severity = EG_WGSEVERITY_##level, .why = (reason)},
	EG_DOCTOR_FINDINGS(X)
#undef X
};

const char *const eg_doctor_state_names[3] = {
	[EG_DOCTOR_OK] = "ok",
	[EG_DOCTOR_WRONG] = "wrong",
	[EG_DOCTOR_CANNOT_TELL] = "cannot tell",
};

const char *const eg_doctor_answer_names[6] = {
	[EG_DOCTOR_UNTRIED] = "not tried",
	[EG_DOCTOR_REFUSED] = "refused",
	[EG_DOCTOR_NO_ROUTE] = "no connection",
	[EG_DOCTOR_SILENT] = "connects, then silence",
	[EG_DOCTOR_CLOSED] = "connects, then closes",
	[EG_DOCTOR_ANSWERED] = "answers",
};

/* --- what was seen ---------------------------------------------------------------------------- */

void eg_doctor_facts_free(struct eg_doctor_facts *facts)
{
	for (size_t i = 0; i < facts->n_containers; i++) {
		free(facts->containers[i].name);
		free(facts->containers[i].again);
	}
	for (int i = 0; i < EG_DOCTOR_BACKENDS; i++)
		eg_doctor_tables_free(&facts->tables[i]);
	eg_wgreport_free(facts->conf_report);
	eg_wgmodel_free(facts->model);
	eg_wgfile_free(facts->conf_file);
	if (facts->conf_text)
		explicit_bzero(facts->conf_text, strlen(facts->conf_text)); /* keys */
	free(facts->wg.peers);
	free(facts->conf_text);
	free(facts->conf_path);
	free(facts->containers);
	free(facts->links);
	free(facts->addrs);
	free(facts->routes);
	free(facts->rules);
	free(facts->lookups);
	free(facts->dns);
	free(facts->ports);
	free(facts->target);
	free(facts->owner);
	free(facts->owner_again);
	*facts = (struct eg_doctor_facts){};
}

const char *eg_doctor_link_name(const struct eg_doctor_facts *facts, __u32 ifindex)
{
	for (size_t i = 0; i < facts->n_links; i++) {
		if (facts->links[i].ifindex == ifindex)
			return facts->links[i].name;
	}
	return "";
}

/* --- the report ------------------------------------------------------------------------------- */

static void free_finding(struct eg_doctor_finding *finding)
{
	for (size_t i = 0; i < finding->n_remedies; i++) {
		struct eg_doctor_remedy *remedy = &finding->remedies[i];

		for (size_t k = 0; k < remedy->n_commands; k++)
			free(remedy->commands[k]);
		free(remedy->commands);
		free(remedy->what);
	}
	free(finding->remedies);
	free(finding->what);
	free(finding->evidence);
	free(finding->fix);
}

void eg_doctor_report_free(struct eg_doctor_report *report)
{
	if (!report)
		return;
	for (size_t i = 0; i < report->n_findings; i++)
		free_finding(&report->findings[i]);
	for (size_t i = 0; i < report->n_checks; i++)
		free(report->checks[i].detail);
	free(report->findings);
	free(report->checks);
	free(report->target);
	free(report);
}

bool eg_doctor_is_healthy(const struct eg_doctor_report *report)
{
	return !report->counts[EG_WGSEVERITY_ERROR] && !report->counts[EG_WGSEVERITY_WARNING];
}

char *eg_doctor_format(struct eg_doctor_judging *judging, const char *format, va_list arguments)
{
	char *text = NULL;

	if (vasprintf(&text, format, arguments) < 0) {
		judging->failed = true;
		return NULL;
	}
	return text;
}

void eg_doctor_find(struct eg_doctor_judging *judging, enum eg_doctor_id id, const char *format,
		    ...)
{
	struct eg_doctor_report *report = judging->report;
	struct eg_doctor_finding finding = {
		.id = id, .severity = eg_doctor_infos[id].severity, .rank = 2U * id + 1};
	va_list arguments;

	va_start(arguments, format);
	finding.what = eg_doctor_format(judging, format, arguments);
	va_end(arguments);
	if (EG_ARRAY_ADD(report->findings, report->n_findings, finding) < 0) {
		free(finding.what);
		judging->failed = true;
	}
	judging->wrong = true;
}

void eg_doctor_evidence(struct eg_doctor_judging *judging, const char *format, ...)
{
	struct eg_doctor_report *report = judging->report;
	struct eg_doctor_finding *finding;
	va_list arguments;

	if (judging->failed)
		return;
	finding = &report->findings[report->n_findings - 1];
	free(finding->evidence);
	va_start(arguments, format);
	finding->evidence = eg_doctor_format(judging, format, arguments);
	va_end(arguments);
}

void eg_doctor_severity(struct eg_doctor_judging *judging, enum eg_wgseverity severity)
{
	struct eg_doctor_report *report = judging->report;

	if (judging->failed)
		return;
	report->findings[report->n_findings - 1].severity = severity;
	judging->wrong = severity != EG_WGSEVERITY_NOTE;
}

bool eg_doctor_has(const struct eg_doctor_judging *judging, enum eg_doctor_id id)
{
	for (size_t i = 0; i < judging->report->n_findings; i++) {
		if (judging->report->findings[i].id == id)
			return true;
	}
	return false;
}

bool eg_doctor_tunnel_is_wrong(const struct eg_doctor_judging *judging)
{
	for (size_t i = 0; i < judging->report->n_findings; i++) {
		const struct eg_doctor_finding *finding = &judging->report->findings[i];

		if (finding->id <= EG_DOCTOR_FOUND_LAN_BLOCKED &&
		    finding->severity == EG_WGSEVERITY_ERROR)
			return true;
	}
	return false;
}

bool eg_doctor_is_silenced(const struct eg_doctor_judging *judging)
{
	for (size_t i = 0; i < judging->report->n_findings; i++) {
		const struct eg_doctor_finding *finding = &judging->report->findings[i];

		if (finding->id <= EG_DOCTOR_FOUND_NOT_IN_TUNNEL &&
		    finding->id != EG_DOCTOR_FOUND_LAN_ROUTE_MISSING &&
		    finding->id != EG_DOCTOR_FOUND_OTHER_CONF &&
		    finding->severity == EG_WGSEVERITY_ERROR)
			return true;
	}
	return false;
}

/* --- checks ----------------------------------------------------------------------------------- */

void eg_doctor_begin(struct eg_doctor_judging *judging, const char *area)
{
	judging->area = area;
	judging->wrong = false;
	judging->doubt[0] = '\0';
}

/* The first reason tells; there may be many. */
void eg_doctor_doubt(struct eg_doctor_judging *judging, const char *format, ...)
{
	va_list arguments;

	if (judging->doubt[0])
		return;
	va_start(arguments, format);
	vsnprintf(judging->doubt, sizeof(judging->doubt), format, arguments);
	va_end(arguments);
}

void eg_doctor_end(struct eg_doctor_judging *judging, const char *format, ...)
{
	struct eg_doctor_report *report = judging->report;
	struct eg_doctor_check check = {.name = judging->area};
	va_list arguments;

	if (judging->wrong) {
		check.state = EG_DOCTOR_WRONG;
	} else if (judging->doubt[0]) {
		check.state = EG_DOCTOR_CANNOT_TELL;
		check.detail = strdup(judging->doubt);
		judging->failed |= !check.detail;
	} else {
		va_start(arguments, format);
		check.detail = eg_doctor_format(judging, format, arguments);
		va_end(arguments);
	}
	if (EG_ARRAY_ADD(report->checks, report->n_checks, check) < 0) {
		free(check.detail);
		judging->failed = true;
	}
}

/* --- what the parts share --------------------------------------------------------------------- */

const char *eg_doctor_family(__u8 family)
{
	return family == EG_FAMILY_IPV6 ? "IPv6" : "IPv4";
}

bool eg_doctor_has_address(const struct eg_doctor_facts *facts, __u8 family)
{
	for (size_t i = 0; i < facts->n_addrs; i++) {
		const struct eg_link_addr *addr = &facts->addrs[i];
		bool link_local = family == EG_FAMILY_IPV6 && addr->addr.bytes[0] == 0xfe;

		if (facts->tunnel_link && addr->ifindex == facts->tunnel_link->ifindex &&
		    addr->family == family && !link_local)
			return true;
	}
	return false;
}

bool eg_doctor_wants(const struct eg_doctor_facts *facts, __u8 family)
{
	if (facts->model)
		return family == EG_FAMILY_IPV6 ? facts->model->default6 : facts->model->default4;
	for (size_t i = 0; facts->have_wg && i < facts->wg.n_peers; i++) {
		if (facts->wg.peers[i].default_route)
			return eg_doctor_has_address(facts, family);
	}
	return false;
}

__u32 eg_doctor_table(const struct eg_doctor_facts *facts)
{
	if (facts->have_wg && facts->wg.fwmark)
		return facts->wg.fwmark;
	return facts->model && facts->model->fwmark ? facts->model->fwmark : EG_WGTABLE_DEFAULT;
}

struct eg_prefix eg_doctor_inside(const struct eg_prefix *prefix)
{
	struct eg_prefix address = *prefix;
	unsigned int bits = eg_family_bits(prefix->family);

	address.len = (__u8)bits;
	for (unsigned int bit = prefix->len; bit < bits; bit++) {
		/* not the last address of all: that is a broadcast address */
		if (bit == bits - 1 && prefix->len < bits - 1)
			continue;
		address.addr.bytes[bit / 8] |= (__u8)(0x80 >> bit % 8);
	}
	return address;
}

struct eg_prefix eg_doctor_public(__u8 family)
{
	struct eg_prefix address = {.family = family, .len = eg_family_bits(family)};

	if (family == EG_FAMILY_IPV4)
		memcpy(address.addr.bytes, (const __u8[]){1, 1, 1, 1}, 4);
	else
		memcpy(address.addr.bytes,
		       (const __u8[]){0x26, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 16);
	return address;
}

bool eg_doctor_gateway(const struct eg_doctor_facts *facts, __u8 family, union eg_addr *ret_gateway)
{
	for (size_t i = 0; i < facts->n_routes; i++) {
		const struct eg_route *route = &facts->routes[i];

		if (!route->has_gateway || route->prefix.family != family ||
		    strcmp(eg_doctor_link_name(facts, route->ifindex), facts->underlay) != 0)
			continue;
		*ret_gateway = route->gateway;
		return true;
	}
	return false;
}

struct eg_doctor_packet eg_doctor_past_tunnel(const struct eg_doctor_facts *facts,
					      const struct eg_prefix *far)
{
	return (struct eg_doctor_packet){
		.far = *far,
		.device = facts->underlay[0] ? facts->underlay : NULL,
	};
}

/* --- all of it -------------------------------------------------------------------------------- */

static bool comes_before(const struct eg_doctor_finding *a, const struct eg_doctor_finding *b)
{
	bool a_note = a->severity == EG_WGSEVERITY_NOTE, b_note = b->severity == EG_WGSEVERITY_NOTE;

	/* a note explains nothing that is wrong */
	return a_note != b_note ? b_note : a->rank < b->rank;
}

static void put_before(struct eg_doctor_report *report, enum eg_doctor_id id,
		       enum eg_doctor_id before)
{
	for (size_t i = 0; i < report->n_findings; i++) {
		struct eg_doctor_finding *finding = &report->findings[i];

		if (finding->id == id && finding->rank > 2U * before)
			finding->rank = 2U * before;
	}
}

/* What is only suspicious by itself comes late, and before what it explains. */
static void put_in_order(struct eg_doctor_judging *judging)
{
	/* what a file that was not read yet may explain, besides another server */
	static const enum eg_doctor_id by_file[] = {
		EG_DOCTOR_FOUND_ADDRESS_MISSING, EG_DOCTOR_FOUND_LAN_ROUTE_MISSING,
		EG_DOCTOR_FOUND_KILL_SWITCH_MISSING, EG_DOCTOR_FOUND_IPV6_MISSING};
	struct eg_doctor_report *report = judging->report;

	for (size_t i = 0; i < sizeof(by_file) / sizeof(by_file[0]); i++) {
		if (eg_doctor_has(judging, by_file[i]))
			put_before(report, EG_DOCTOR_FOUND_STALE_CONF, by_file[i]);
	}
	if (judging->other_server)
		put_before(report, EG_DOCTOR_FOUND_STALE_CONF, EG_DOCTOR_FOUND_NO_HANDSHAKE);
	if (judging->one_backend)
		put_before(report, EG_DOCTOR_FOUND_BOTH_BACKENDS, EG_DOCTOR_FOUND_TUNNEL_BLOCKED);
	for (size_t i = 1; i < report->n_findings; i++) {
		struct eg_doctor_finding finding = report->findings[i];
		size_t at = i;

		/* what was found first of one kind stays first */
		for (; at && comes_before(&finding, &report->findings[at - 1]); at--)
			report->findings[at] = report->findings[at - 1];
		report->findings[at] = finding;
	}
}

int eg_doctor_judge(const struct eg_doctor_facts *facts, struct eg_doctor_report **ret_report)
{
	EG_AUTO_DOCTOR_REPORT struct eg_doctor_report *report = calloc(1, sizeof(*report));
	struct eg_doctor_judging judging = {.facts = facts, .report = report};

	if (!report)
		return -ENOMEM;
	report->target = strdup(facts->target ? facts->target : "");
	judging.failed = !report->target;
	eg_doctor_judge_containers(&judging);
	/* a dead namespace has nothing else to tell */
	if (!facts->stopped && !facts->owner_gone && !facts->cut_off) {
		eg_doctor_judge_tunnel(&judging);
		eg_doctor_judge_conf(&judging);
		eg_doctor_judge_routes(&judging);
		eg_doctor_judge_holding(&judging);
		eg_doctor_judge_dns(&judging);
		eg_doctor_judge_ports(&judging);
	}
	put_in_order(&judging);
	for (size_t i = 0; i < report->n_findings; i++) {
		struct eg_doctor_finding *finding = &report->findings[i];

		report->counts[finding->severity]++;
		finding->fix = eg_doctor_fix_text(finding);
		judging.failed |= !finding->fix;
	}
	if (judging.failed)
		return -ENOMEM;
	*ret_report = report;
	report = NULL;
	return 0;
}
