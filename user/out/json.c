// SPDX-License-Identifier: GPL-2.0
/*
 * For scripts. Objects are made with jansson; lines of `events` are json_lines.c.
 *
 * All is ASCII: what is not, is written as \uNNNN, so that a terminal is not at its mercy.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "eg_packet.h"
#include "out/json_internal.h"
#include "policy/address.h"

const char *eg_json_family(__u8 family)
{
	switch (family) {
	case EG_FAMILY_IPV4:
		return "ipv4";
	case EG_FAMILY_IPV6:
		return "ipv6";
	default:
		return NULL;
	}
}

/* A string or null. jansson takes nothing that is not UTF-8. NULL if memory is out. */
static json_t *string_of(const char *string)
{
	struct eg_text text = {};
	json_t *value;

	if (!string)
		return json_null();
	eg_put_utf8(&text, string);
	value = text.failed ? NULL : json_string(text.data ? text.data : "");
	eg_text_free(&text);
	return value;
}

static json_t *time_of(__u64 realtime_ns)
{
	struct eg_text text = {};
	json_t *value;

	if (!realtime_ns)
		return json_null();
	eg_put_rfc3339(&text, realtime_ns);
	value = text.failed ? NULL : json_string(text.data);
	eg_text_free(&text);
	return value;
}

static json_t *strings_of(char *const *strings)
{
	json_t *array = json_array();

	for (; strings && *strings; strings++) {
		if (json_array_append_new(array, string_of(*strings)) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* "wg0", or "wg0,wg1". */
static json_t *joined_of(char *const *strings)
{
	struct eg_text text = {};
	json_t *value;

	if (!strings || !*strings)
		return json_null();
	for (char *const *string = strings; *string; string++) {
		if (string != strings)
			eg_put(&text, ",");
		eg_put_utf8(&text, *string);
	}
	value = text.failed ? NULL : json_string(text.data);
	eg_text_free(&text);
	return value;
}

/* Consumes `value`. One failure makes the whole object NULL, and json_dumpf() refuses that. */
static void set(json_t **object, const char *key, json_t *value)
{
	if (!*object) {
		json_decref(value);
		return;
	}
	if (json_object_set_new(*object, key, value) < 0) {
		json_decref(*object);
		*object = NULL;
	}
}

static json_t *number_of(__u64 number)
{
	return json_integer((json_int_t)number);
}

static json_t *counter_of(const struct eg_counter *counter)
{
	json_t *object = json_object();

	set(&object, "packets", number_of(counter->packets));
	set(&object, "bytes", number_of(counter->bytes));
	return object;
}

/* All reasons that can have this verdict, so that a script finds zero and not null. */
static json_t *by_reason(const struct eg_counter counters[EG_REASON_COUNT], enum eg_verdict verdict)
{
	json_t *object = json_object();

	for (enum eg_reason reason = 0; reason < EG_REASON_COUNT; reason++) {
		if (eg_reason_verdict(reason) == verdict)
			set(&object, eg_reason_names[reason], counter_of(&counters[reason]));
	}
	return object;
}

static json_t *layer_counters_of(const struct eg_guard_view *guard, enum eg_layer layer)
{
	const struct eg_counter *is = &guard->counters[eg_counter_index(layer, 0, 0)];
	const struct eg_counter *would = &guard->counters[eg_counter_index(layer, 1, 0)];
	json_t *object = json_object();

	set(&object, "allowed", by_reason(is, EG_VERDICT_ALLOW));
	set(&object, "dropped", by_reason(is, EG_VERDICT_DROP));
	set(&object, "would_drop", by_reason(would, EG_VERDICT_DROP));
	return object;
}

static json_t *by_layer(const struct eg_guard_view *guard)
{
	json_t *object = json_object();

	for (enum eg_layer layer = 0; layer < EG_LAYER_COUNT; layer++) {
		for (size_t i = 0; i < guard->n_layers; i++) {
			if (strcmp(guard->layers[i].name, eg_layer_names[layer]) == 0 &&
			    strcmp(guard->layers[i].state, "not available") != 0)
				set(&object, eg_layer_names[layer],
				    layer_counters_of(guard, layer));
		}
	}
	return object;
}

/* What `verify` sent and was blocked, which is in none of the other figures. */
static json_t *probes_of(const struct eg_guard_view *guard)
{
	struct eg_totals totals;
	json_t *object = json_object();

	eg_totals_of_probes(guard->counters, &totals);
	set(&object, "dropped", by_reason(totals.dropped, EG_VERDICT_DROP));
	set(&object, "would_drop", by_reason(totals.would_drop, EG_VERDICT_DROP));
	return object;
}

/* null where nothing is answered. */
static json_t *answers_of(const struct eg_guard_view *guard)
{
	json_t *object;

	if (!guard->answers)
		return json_null();
	object = json_object();
	set(&object, "sent", number_of(guard->answers_sent));
	set(&object, "withheld", number_of(guard->answers_withheld));
	return object;
}

static json_t *counters_of(const struct eg_guard_view *guard)
{
	struct eg_totals totals;
	json_t *object;

	if (!guard->have_counters)
		return json_null();
	eg_totals(guard->counters, &totals);
	object = json_object();
	set(&object, "allowed", by_reason(totals.allowed, EG_VERDICT_ALLOW));
	set(&object, "dropped", by_reason(totals.dropped, EG_VERDICT_DROP));
	set(&object, "would_drop", by_reason(totals.would_drop, EG_VERDICT_DROP));
	set(&object, "all_allowed", counter_of(&totals.all_allowed));
	set(&object, "all_dropped", counter_of(&totals.all_dropped));
	set(&object, "all_would_drop", counter_of(&totals.all_would_drop));
	set(&object, "bypass_attempts", number_of(totals.bypass_packets));
	set(&object, "probes", probes_of(guard));
	set(&object, "by_layer", by_layer(guard));
	set(&object, "answers", answers_of(guard));
	return object;
}

static json_t *address_of(__u8 family, const union eg_addr *addr)
{
	char text[EG_ADDRESS_TEXT_LEN];

	return family == EG_FAMILY_NONE ? json_null()
					: json_string(eg_addr_format(text, family, addr));
}

static json_t *proto_of(__u8 family, __u8 proto)
{
	struct eg_text text = {};
	json_t *value;

	if (family == EG_FAMILY_NONE)
		return json_null();
	eg_put_proto(&text, proto);
	value = text.failed ? NULL : json_string(text.data);
	eg_text_free(&text);
	return value;
}

static json_t *recent_of(const struct eg_recent_view *recent)
{
	enum eg_verdict verdict = recent->would ? EG_VERDICT_WOULD_DROP : EG_VERDICT_DROP;
	json_t *object = json_object();

	set(&object, "family", string_of(eg_json_family(recent->family)));
	set(&object, "proto", proto_of(recent->family, recent->proto));
	set(&object, "dst", address_of(recent->family, &recent->dst));
	set(&object, "dport", recent->dport ? number_of(recent->dport) : json_null());
	set(&object, "verdict", json_string(eg_verdict_names[verdict]));
	set(&object, "reason", json_string(eg_reason_names[recent->reason]));
	set(&object, "layer", json_string(eg_layer_names[recent->layer]));
	set(&object, "packets", number_of(recent->packets));
	set(&object, "bytes", number_of(recent->bytes));
	set(&object, "first", time_of(recent->first_realtime_ns));
	set(&object, "last", time_of(recent->last_realtime_ns));
	set(&object, "pid", recent->pid ? number_of(recent->pid) : json_null());
	set(&object, "comm", string_of(recent->comm));
	set(&object, "cgroup", string_of(recent->cgroup));
	set(&object, "container", string_of(recent->container));
	return object;
}

static json_t *recents_of(const struct eg_guard_view *guard)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < guard->n_recent; i++) {
		if (json_array_append_new(array, recent_of(&guard->recent[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *layers_of(const struct eg_guard_view *guard)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < guard->n_layers; i++) {
		const struct eg_layer_view *layer = &guard->layers[i];
		json_t *object = json_object();

		set(&object, "name", json_string(layer->name));
		set(&object, "state", json_string(layer->state));
		set(&object, "interfaces", strings_of(layer->interfaces));
		set(&object, "detail", string_of(layer->detail));
		if (json_array_append_new(array, object) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

/* In milliseconds. In audit mode nothing holds it at any time. */
static json_t *unguarded_of(const struct eg_guard_view *guard)
{
	const __u64 ms = guard->unguarded_ns / 1000000;

	if (!guard->target_started_realtime_ns ||
	    (guard->mode && strcmp(guard->mode, "audit") == 0))
		return json_null();
	return json_real((double)ms / 1e3);
}

static json_t *guard_of(const struct eg_guard_view *guard)
{
	json_t *object = json_object();

	set(&object, "name", string_of(guard->name));
	set(&object, "target", string_of(guard->target));
	set(&object, "mode", string_of(guard->mode));
	set(&object, "state", json_string(eg_guard_state_names[guard->state]));
	set(&object, "detail", string_of(guard->reason));
	set(&object, "since", time_of(guard->since_realtime_ns));
	set(&object, "target_started", time_of(guard->target_started_realtime_ns));
	set(&object, "unguarded_seconds", unguarded_of(guard));
	set(&object, "tunnel", joined_of(guard->tunnels));
	set(&object, "tunnels", strings_of(guard->tunnels));
	set(&object, "tunnel_state", string_of(guard->tunnel_state));
	set(&object, "endpoints", strings_of(guard->endpoints));
	set(&object, "dns", string_of(guard->dns));
	set(&object, "dns_detail", string_of(guard->dns_detail));
	set(&object, "dns_resolver", string_of(guard->dns_resolver));
	set(&object, "dns_refused", json_boolean(guard->dns_refused));
	set(&object, "holds_against", string_of(guard->holds_against));
	set(&object, "hidden", json_boolean(guard->hidden));
	set(&object, "layers", layers_of(guard));
	set(&object, "notes", strings_of(guard->notes));
	set(&object, "counters", counters_of(guard));
	set(&object, "recent", recents_of(guard));
	set(&object, "policy", string_of(guard->policy));
	return object;
}

/* Consumes `object`. */
static int dump(json_t *object, FILE *to)
{
	int result;

	if (!object)
		return -ENOMEM;
	errno = 0;
	result = json_dumpf(object, to, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(object);
	if (result < 0 || fputc('\n', to) == EOF)
		return errno ? -errno : -EIO;
	return 0;
}

static json_t *strandeds_of(const struct eg_status_view *status)
{
	json_t *array = status->looked_for_stranded ? json_array() : json_null();

	for (size_t i = 0; array && i < status->n_stranded; i++) {
		const struct eg_stranded_view *stranded = &status->stranded[i];
		json_t *object = json_object();

		set(&object, "engine", json_string(stranded->engine));
		set(&object, "container", string_of(stranded->container));
		set(&object, "owner", string_of(stranded->owner));
		set(&object, "cause", json_string(stranded->cause));
		set(&object, "fix", string_of(stranded->fix));
		if (json_array_append_new(array, object) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static int json_status(const struct eg_status_view *status, FILE *to)
{
	json_t *object = json_object(), *guards = json_array();

	for (size_t i = 0; guards && i < status->n_guards; i++) {
		if (json_array_append_new(guards, guard_of(&status->guards[i])) < 0) {
			json_decref(guards);
			guards = NULL;
		}
	}
	set(&object, "version", string_of(status->version));
	set(&object, "pin_dir", string_of(status->pin_dir));
	set(&object, "guards", guards);
	set(&object, "stranded", strandeds_of(status));
	set(&object, "stranded_detail", string_of(status->stranded_why));
	return dump(object, to);
}

static int json_explanation(const struct eg_question *question,
			    const struct eg_explanation *explanation, FILE *to)
{
	json_t *object = json_object();

	set(&object, "family", string_of(eg_json_family(question->family)));
	set(&object, "proto", proto_of(question->family, question->proto));
	set(&object, "dst", address_of(question->family, &question->dst));
	set(&object, "dport", question->dport ? number_of(question->dport) : json_null());
	set(&object, "wireguard", json_boolean(question->wireguard));
	set(&object, "verdict", json_string(eg_verdict_names[explanation->verdict]));
	set(&object, "reason", json_string(eg_reason_names[explanation->reason]));
	set(&object, "row", number_of(explanation->row));
	set(&object, "why", string_of(explanation->why[0] ? explanation->why : NULL));
	set(&object, "hint", string_of(explanation->hint[0] ? explanation->hint : NULL));
	return dump(object, to);
}

static int json_features(const struct eg_feature_view *features, size_t n, FILE *to)
{
	json_t *object = json_object(), *all = json_object();

	for (size_t i = 0; i < n; i++) {
		json_t *feature = json_object();

		set(&feature, "present",
		    features[i].unknown ? json_null() : json_boolean(features[i].present));
		set(&feature, "what", string_of(features[i].what));
		set(&feature, "detail", string_of(features[i].detail));
		set(&all, features[i].name, feature);
	}
	set(&object, "features", all);
	return dump(object, to);
}

static json_t *wgfinding_of(const struct eg_wgfinding *finding)
{
	const struct eg_wgfinding_info *info = &eg_wgfinding_infos[finding->id];
	json_t *object = json_object();

	set(&object, "id", json_string(info->id));
	set(&object, "severity", json_string(eg_wgseverity_names[info->severity]));
	set(&object, "line", finding->line ? number_of(finding->line) : json_null());
	set(&object, "column", finding->line ? number_of(finding->column) : json_null());
	set(&object, "what", string_of(finding->what));
	set(&object, "why", string_of(info->why));
	set(&object, "fix", string_of(finding->fix));
	return object;
}

static int json_wgreport(const char *path, const struct eg_wgreport *report, FILE *to)
{
	json_t *object = json_object(), *findings = json_array();

	for (size_t i = 0; findings && i < report->n_findings; i++) {
		if (json_array_append_new(findings, wgfinding_of(&report->findings[i])) < 0) {
			json_decref(findings);
			findings = NULL;
		}
	}
	set(&object, "file", string_of(path));
	set(&object, "errors", number_of(report->counts[EG_WGSEVERITY_ERROR]));
	set(&object, "warnings", number_of(report->counts[EG_WGSEVERITY_WARNING]));
	set(&object, "notes", number_of(report->counts[EG_WGSEVERITY_NOTE]));
	set(&object, "findings", findings);
	return dump(object, to);
}

static json_t *verify_row_of(const struct eg_verify_row_view *row)
{
	const struct eg_row_verdict *verdict = &row->verdict;
	json_t *object = json_object();

	set(&object, "name", json_string(eg_probe_rows[row->row].name));
	set(&object, "what", json_string(eg_probe_rows[row->row].what));
	set(&object, "result", json_string(eg_row_result_names[verdict->result]));
	set(&object, "layer",
	    verdict->layer < 0 ? json_null() : json_string(eg_layer_names[verdict->layer]));
	set(&object, "reason",
	    verdict->reason < 0 ? json_null() : json_string(eg_reason_names[verdict->reason]));
	set(&object, "seen", number_of(row->seen));
	set(&object, "detail", string_of(verdict->detail[0] ? verdict->detail : NULL));
	return object;
}

static json_t *verify_underlay_of(const struct eg_verify_underlay_view *underlay)
{
	json_t *object = json_object(), *rows = json_array();

	for (size_t i = 0; rows && i < underlay->n_rows; i++) {
		if (json_array_append_new(rows, verify_row_of(&underlay->rows[i])) < 0) {
			json_decref(rows);
			rows = NULL;
		}
	}
	set(&object, "name", string_of(underlay->name));
	set(&object, "far_end", string_of(underlay->far_end));
	set(&object, "detail", string_of(underlay->detail));
	set(&object, "rows", rows);
	return object;
}

static json_t *verify_check_of(const struct eg_verify_check_view *check)
{
	json_t *object = json_object();

	set(&object, "what", json_string(check->what));
	set(&object, "name", string_of(check->name));
	set(&object, "state", json_string(check->state));
	set(&object, "detail", string_of(check->detail));
	return object;
}

static int json_verification(const struct eg_verify_view *verify, FILE *to)
{
	json_t *object = json_object(), *underlays = json_array(), *checks = json_array();
	bool failed = !underlays || !checks;

	for (size_t i = 0; !failed && i < verify->n_underlays; i++)
		failed = json_array_append_new(underlays,
					       verify_underlay_of(&verify->underlays[i])) < 0;
	for (size_t i = 0; !failed && i < verify->n_checks; i++)
		failed = json_array_append_new(checks, verify_check_of(&verify->checks[i])) < 0;
	set(&object, "version", json_string(EG_VERSION));
	set(&object, "guard", string_of(verify->guard));
	set(&object, "target", string_of(verify->target));
	set(&object, "mode", string_of(verify->mode));
	set(&object, "holds_against", string_of(verify->holds_against));
	set(&object, "result", json_string(eg_verify_result_names[verify->result]));
	set(&object, "doubts", strings_of(verify->doubts));
	set(&object, "underlays", underlays);
	set(&object, "checks", checks);
	if (failed) {
		json_decref(object);
		return -ENOMEM;
	}
	return dump(object, to);
}

static json_t *remedy_of(const struct eg_doctor_remedy *remedy)
{
	json_t *object = json_object(), *commands = json_array();

	for (size_t i = 0; i < remedy->n_commands; i++) {
		if (json_array_append_new(commands, json_string(remedy->commands[i])) < 0) {
			json_decref(object);
			json_decref(commands);
			return NULL;
		}
	}
	set(&object, "what", string_of(remedy->what));
	set(&object, "commands", commands);
	return object;
}

static json_t *doctor_finding_of(const struct eg_doctor_finding *finding)
{
	const struct eg_doctor_info *info = &eg_doctor_infos[finding->id];
	json_t *object = json_object(), *remedies = json_array();

	for (size_t i = 0; i < finding->n_remedies; i++) {
		if (json_array_append_new(remedies, remedy_of(&finding->remedies[i])) < 0) {
			json_decref(object);
			json_decref(remedies);
			return NULL;
		}
	}
	set(&object, "id", json_string(info->id));
	set(&object, "severity", json_string(eg_wgseverity_names[finding->severity]));
	set(&object, "what", string_of(finding->what));
	set(&object, "evidence", string_of(finding->evidence));
	set(&object, "why", string_of(info->why));
	set(&object, "fix", string_of(finding->fix));
	set(&object, "remedies", remedies);
	return object;
}

static json_t *doctor_check_of(const struct eg_doctor_check *check)
{
	json_t *object = json_object();

	set(&object, "name", json_string(check->name));
	set(&object, "state", json_string(eg_doctor_state_names[check->state]));
	set(&object, "detail", string_of(check->detail));
	return object;
}

static int json_doctor(const struct eg_doctor_report *report, FILE *to)
{
	json_t *object = json_object(), *findings = json_array(), *checks = json_array();
	bool failed = !findings || !checks;

	for (size_t i = 0; !failed && i < report->n_findings; i++)
		failed = json_array_append_new(findings, doctor_finding_of(&report->findings[i])) <
			 0;
	for (size_t i = 0; !failed && i < report->n_checks; i++)
		failed = json_array_append_new(checks, doctor_check_of(&report->checks[i])) < 0;
	set(&object, "version", json_string(EG_VERSION));
	set(&object, "target", string_of(report->target));
	set(&object, "healthy", json_boolean(eg_doctor_is_healthy(report)));
	set(&object, "errors", number_of(report->counts[EG_WGSEVERITY_ERROR]));
	set(&object, "warnings", number_of(report->counts[EG_WGSEVERITY_WARNING]));
	set(&object, "notes", number_of(report->counts[EG_WGSEVERITY_NOTE]));
	set(&object, "findings", findings);
	set(&object, "checks", checks);
	if (failed) {
		json_decref(object);
		return -ENOMEM;
	}
	return dump(object, to);
}

const struct eg_renderer eg_render_json = {
	.status = json_status,
	.event = eg_json_event,
	.lost = eg_json_lost,
	.state = eg_json_state_line,
	.explanation = json_explanation,
	.verification = json_verification,
	.features = json_features,
	.wgreport = json_wgreport,
	.doctor = json_doctor,
};
