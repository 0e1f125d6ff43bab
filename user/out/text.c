// SPDX-License-Identifier: GPL-2.0
/* For people. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eg_packet.h"
#include "out/format.h"
#include "out/text_internal.h"
#include "policy/address.h"

#define LABEL   14 /* columns of what stands before a value */
#define RECENTS 10

bool eg_color(FILE *to)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0) &&
	       isatty(fileno(to));
}

/* The same for a stream that gets many lines: asked once. */
static bool color_of_lines(FILE *to)
{
	static FILE *known;
	static bool color;

	if (known != to) {
		known = to;
		color = eg_color(to);
	}
	return color;
}

void eg_put_colored(struct eg_text *line, bool colored, const char *color, const char *text)
{
	if (colored)
		eg_put(line, color);
	eg_put(line, text);
	if (colored)
		eg_put(line, PLAIN);
}

/* --- events ---------------------------------------------------------------------------------- */

static void put_verdict(struct eg_text *line, enum eg_verdict verdict, bool colored)
{
	switch (verdict) {
	case EG_VERDICT_ALLOW:
		eg_put_colored(line, colored, GREEN, "ALLOW");
		break;
	case EG_VERDICT_DROP:
		eg_put_colored(line, colored, RED, "DROP");
		break;
	case EG_VERDICT_WOULD_DROP:
		eg_put_colored(line, colored, YELLOW, "WOULD-DROP");
		break;
	}
}

static void put_port(struct eg_text *line, __be16 port_be)
{
	eg_text_add(line, ".", 1);
	eg_put_number(line, EG_FROM_BE16(port_be));
}

static void put_hardware_address(struct eg_text *line, const __u8 *bytes)
{
	eg_text_printf(line, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2],
		       bytes[3], bytes[4], bytes[5]);
}

/* A frame that is not IP, or so broken that it shows no addresses. */
static void put_frame(struct eg_text *line, const struct eg_event *event)
{
	if (eg_event_is_connect(event)) {
		eg_put(line, "a packet socket's PACKET_QDISC_BYPASS");
		return;
	}
	if (event->link_header && event->snap_len >= sizeof(struct eg_ethernet)) {
		put_hardware_address(line, event->snap + 6);
		eg_put(line, " > ");
		put_hardware_address(line, event->snap);
		eg_put(line, ": ");
	}
	eg_text_printf(line, "ethertype 0x%04x", EG_FROM_BE16(event->ethertype_be));
}

static void put_packet(struct eg_text *line, const struct eg_event *event)
{
	bool ports = eg_event_has_ports(event), connect = eg_event_is_connect(event);

	if (eg_event_has_source(event))
		eg_put_address(line, event->family, &event->src);
	else
		eg_put(line, "*");
	if (ports && (event->sport_be || !connect))
		put_port(line, event->sport_be);
	eg_put(line, " > ");
	eg_put_address(line, event->family, &event->dst);
	if (ports)
		put_port(line, event->dport_be);
	eg_put(line, ": ");

	if (!eg_proto_name(event->proto))
		eg_put(line, "proto ");
	eg_put_proto(line, event->proto);
	if (connect) {
		eg_put(line, " connect");
	} else if (event->proto == EG_PROTO_TCP && ports) {
		eg_text_add(line, " ", 1);
		eg_put_tcp_flags(line, event->tcp_flags);
	} else if (eg_event_has_icmp(event)) {
		const char *name = eg_icmp_name(event->family, event->icmp_type);

		if (name)
			eg_text_printf(line, " %s", name);
		else
			eg_text_printf(line, " type %u code %u", event->icmp_type,
				       event->icmp_code);
	}
}

static void put_owner(struct eg_text *line, const struct eg_event_view *view)
{
	const struct eg_event *event = view->event;

	if (event->flags & EG_EVENT_OWNER) {
		char comm[EG_COMM_LEN + 1] = {};

		memcpy(comm, event->comm, EG_COMM_LEN);
		eg_put_safe(line, comm);
		eg_text_add(line, "[", 1);
		eg_put_number(line, event->pid);
		eg_text_add(line, "]", 1);
	} else {
		eg_put(line, "(sender unknown)");
	}
	if (view->container) {
		eg_put(line, " in ");
		eg_put_safe(line, view->container);
	} else if (view->container_id) {
		/* As container engines shorten it. */
		eg_put(line, " in ");
		eg_text_add(line, view->container_id, strnlen(view->container_id, 12));
	}
}

static int text_event(const struct eg_event_view *view, FILE *to)
{
	const struct eg_event *event = view->event;
	struct eg_text *line = eg_line_start();

	eg_put_clock(line, view->realtime_ns);
	eg_text_add(line, " ", 1);
	put_verdict(line, event->verdict, color_of_lines(to));
	eg_text_add(line, " ", 1);
	eg_put(line, event->reason < EG_REASON_COUNT ? eg_reason_names[event->reason] : "?");
	eg_text_add(line, " ", 1);
	if (view->ifname)
		eg_put_safe(line, view->ifname);
	else if (!event->ifindex)
		eg_put(line, "-");
	else
		eg_text_printf(line, "if%u", event->ifindex);
	eg_text_add(line, " ", 1);
	if (event->family == EG_FAMILY_NONE)
		put_frame(line, event);
	else
		put_packet(line, event);
	if (!eg_event_is_connect(event)) {
		eg_put(line, ", length ");
		eg_put_number(line, event->length);
	}
	eg_put(line, ", ");
	put_owner(line, view);
	eg_put(line, ", layer ");
	eg_put(line, event->layer < EG_LAYER_COUNT ? eg_layer_names[event->layer] : "?");
	if (event->flags & EG_EVENT_PROBE)
		eg_put(line, " (a probe of egressguard verify)");
	else if (eg_event_is_bypass(event))
		eg_put(line, " (bypass attempt)");
	else if (event->flags & EG_EVENT_TRANSITION)
		eg_put(line, " (while the policy was replaced)");
	eg_text_add(line, "\n", 1);
	return eg_line_end(line, to);
}

static int text_lost(const char *guard, __u64 lost, __u64 total, __u64 realtime_ns, FILE *to)
{
	struct eg_text *line = eg_line_start();

	eg_put_clock(line, realtime_ns);
	eg_text_add(line, " ", 1);
	eg_put_colored(line, color_of_lines(to), YELLOW, "LOST");
	eg_text_printf(line, " %llu events of ", (unsigned long long)lost);
	eg_put_safe(line, guard);
	eg_text_printf(line, ", %llu in all\n", (unsigned long long)total);
	return eg_line_end(line, to);
}

static int text_state(const char *guard, const char *state, const char *detail, __u64 realtime_ns,
		      FILE *to)
{
	struct eg_text *line = eg_line_start();

	eg_put_clock(line, realtime_ns);
	eg_text_add(line, " ", 1);
	eg_put_colored(line, color_of_lines(to), YELLOW, "STATE");
	eg_text_printf(line, " %s ", state);
	eg_put_safe(line, guard);
	if (detail) {
		eg_put(line, ": ");
		eg_put_safe(line, detail);
	}
	eg_text_add(line, "\n", 1);
	return eg_line_end(line, to);
}

/* --- status ---------------------------------------------------------------------------------- */

static void put_label(struct eg_text *text, const char *label)
{
	eg_text_printf(text, "  %-*s", LABEL, label);
}

static void put_field(struct eg_text *text, const char *label, const char *value)
{
	if (!value)
		return;
	put_label(text, label);
	eg_put_safe(text, value);
	eg_put(text, "\n");
}

/* "1 packet", "2 packets" */
void eg_put_count(struct eg_text *text, __u64 n, const char *what)
{
	eg_put_number(text, n);
	eg_text_printf(text, " %s%s", what, n == 1 ? "" : "s");
}

static void put_duration(struct eg_text *text, __u64 seconds)
{
	if (seconds < 120)
		eg_text_printf(text, "%llu s", (unsigned long long)seconds);
	else if (seconds < 2 * 3600)
		eg_text_printf(text, "%llu min", (unsigned long long)seconds / 60);
	else if (seconds < 2 * 86400)
		eg_text_printf(text, "%llu h", (unsigned long long)seconds / 3600);
	else
		eg_text_printf(text, "%llu days", (unsigned long long)seconds / 86400);
}

static const char *state_color(enum eg_guard_state state)
{
	switch (state) {
	case EG_STATE_ENFORCING:
		return GREEN;
	case EG_STATE_AUDIT:
	case EG_STATE_DEGRADED:
		return YELLOW;
	case EG_STATE_UNGUARDED:
	case EG_STATE_GONE:
		return RED;
	}
	return PLAIN;
}

static void put_headline(struct eg_text *text, const struct eg_guard_view *guard, bool colored)
{
	if (colored)
		eg_put(text, BOLD);
	eg_put_safe(text, guard->name);
	if (colored)
		eg_put(text, PLAIN);
	eg_put(text, ": ");
	eg_put_colored(text, colored, state_color(guard->state),
		       eg_guard_state_names[guard->state]);
	if (guard->reason) {
		eg_put(text, ": ");
		eg_put_safe(text, guard->reason);
	}
	eg_put(text, "\n");
}

static bool is_audit(const struct eg_guard_view *guard)
{
	return guard->mode && strcmp(guard->mode, "audit") == 0;
}

static void put_times(struct eg_text *text, const struct eg_guard_view *guard)
{
	__u64 since = guard->since_realtime_ns, started = guard->target_started_realtime_ns;

	if (started) {
		put_label(text, "started");
		eg_put_date(text, started);
		eg_put(text, "\n");
	}
	if (started && guard->state == EG_STATE_UNGUARDED) {
		put_label(text, "unguarded for");
		put_duration(text, guard->unguarded_ns / 1000000000);
		eg_put(text, "\n");
	}
	if (!since)
		return;
	put_label(text, is_audit(guard) ? "audited since" : "guarded since");
	eg_put_date(text, since);
	if (started && guard->unguarded_ns >= 1000000000) {
		eg_put(text, " (");
		put_duration(text, guard->unguarded_ns / 1000000000);
		eg_put(text, is_audit(guard) ? " after it started)" : " unguarded)");
	}
	eg_put(text, "\n");
}

static void put_list(struct eg_text *text, const char *label, char *const *strings)
{
	if (!strings || !*strings)
		return;
	put_label(text, label);
	for (char *const *string = strings; *string; string++) {
		if (string != strings)
			eg_put(text, ", ");
		eg_put_safe(text, *string);
	}
	eg_put(text, "\n");
}

static void put_layers(struct eg_text *text, const struct eg_guard_view *guard)
{
	for (size_t i = 0; i < guard->n_layers; i++) {
		const struct eg_layer_view *layer = &guard->layers[i];
		const char *before = "  ";

		put_label(text, i ? "" : "layers");
		eg_text_printf(text, "%-7s %s", layer->name, layer->state);
		for (char **name = layer->interfaces; name && *name; name++) {
			eg_put(text, name == layer->interfaces ? " on " : ", ");
			eg_put_safe(text, *name);
		}
		if (layer->interfaces && layer->interfaces[0])
			before = "; ";
		else if (layer->detail)
			before = ": ";
		if (layer->detail) {
			eg_put(text, before);
			eg_put_safe(text, layer->detail);
		}
		eg_put(text, "\n");
	}
}

/* One line for each reason that has packets. */
static void put_reasons(struct eg_text *text, const char *label, const struct eg_counter *all,
			const struct eg_counter by_reason[EG_REASON_COUNT])
{
	put_label(text, label);
	eg_put_count(text, all->packets, "packet");
	eg_put(text, ", ");
	eg_put_count(text, all->bytes, "byte");
	eg_put(text, "\n");
	for (enum eg_reason reason = 0; reason < EG_REASON_COUNT; reason++) {
		if (!by_reason[reason].packets)
			continue;
		put_label(text, "");
		eg_text_printf(text, "%10llu %-15s %s%s\n",
			       (unsigned long long)by_reason[reason].packets,
			       eg_reason_names[reason], eg_reason_sentences[reason],
			       reason == EG_REASON_MULTICAST || reason == EG_REASON_BROADCAST
				       ? " (not in the sum)"
				       : "");
	}
}

static void put_by_layer(struct eg_text *text, const struct eg_guard_view *guard,
			 const struct eg_totals *totals)
{
	bool first = true;

	for (enum eg_layer layer = 0; layer < EG_LAYER_COUNT; layer++) {
		__u64 dropped = 0;

		for (enum eg_reason reason = EG_REASON_ETHERTYPE; reason < EG_REASON_COUNT;
		     reason++)
			dropped += guard->counters[eg_counter_index(layer, 0, reason)].packets;
		if (!dropped)
			continue;
		if (first)
			put_label(text, "  by layer");
		else
			eg_put(text, ", ");
		eg_text_printf(text, "%s %llu", eg_layer_names[layer], (unsigned long long)dropped);
		first = false;
	}
	if (first)
		return;
	eg_put(text, "\n");
	if (totals->bypass_packets) {
		put_label(text, "");
		eg_put_count(text, totals->bypass_packets, "bypass attempt");
		eg_put(text, ": what got past `device` was dropped at `peer`\n");
	}
}

static void put_counters(struct eg_text *text, const struct eg_guard_view *guard)
{
	struct eg_totals totals;
	bool audit = is_audit(guard);

	if (!guard->have_counters)
		return;
	eg_totals(guard->counters, &totals);
	put_reasons(text, "allowed", &totals.all_allowed, totals.allowed);
	if (audit || totals.all_would_drop.packets)
		put_reasons(text, "would drop", &totals.all_would_drop, totals.would_drop);
	if (!audit || totals.all_dropped.packets)
		put_reasons(text, "dropped", &totals.all_dropped, totals.dropped);
	put_by_layer(text, guard, &totals);
}

static void put_recent_line(struct eg_text *text, const struct eg_recent_view *recent)
{
	put_label(text, "");
	eg_put_clock(text, recent->last_realtime_ns);
	eg_text_printf(text, " %s%s ", recent->would ? "would drop " : "",
		       eg_reason_names[recent->reason]);
	if (recent->family == EG_FAMILY_NONE) {
		eg_put(text, "frame that is not IP");
	} else {
		eg_put_address(text, recent->family, &recent->dst);
		if (recent->dport)
			eg_text_printf(text, ".%u", recent->dport);
		eg_put(text, ": ");
		eg_put_proto(text, recent->proto);
	}
	eg_put(text, ", ");
	eg_put_count(text, recent->packets, "packet");
	if (recent->comm && recent->pid) {
		eg_put(text, ", ");
		eg_put_safe(text, recent->comm);
		eg_text_printf(text, "[%u]", recent->pid);
	}
	if (recent->container) {
		eg_put(text, " in ");
		eg_put_safe(text, recent->container);
	}
	eg_text_printf(text, ", layer %s\n", eg_layer_names[recent->layer]);
}

static void put_recent(struct eg_text *text, const struct eg_guard_view *guard)
{
	if (!guard->n_recent)
		return;
	eg_put(text, is_audit(guard) ? "  would be blocked lately\n" : "  recently blocked\n");
	for (size_t i = 0; i < guard->n_recent && i < RECENTS; i++)
		put_recent_line(text, &guard->recent[i]);
	if (guard->n_recent > RECENTS) {
		put_label(text, "");
		eg_text_printf(text, "and %zu more destinations: see --json\n",
			       guard->n_recent - RECENTS);
	}
}

static void put_guard(struct eg_text *text, const struct eg_guard_view *guard, bool colored)
{
	put_headline(text, guard, colored);
	put_field(text, "target", guard->target);
	put_field(text, "mode", guard->mode);
	put_times(text, guard);
	put_field(text, "tunnel", guard->tunnel_state);
	put_list(text, "endpoints", guard->endpoints);
	put_field(text, "dns", guard->dns);
	put_field(text, "", guard->dns_detail);
	/* What blocks nothing holds against nobody. */
	if (!is_audit(guard))
		put_field(text, "holds against", guard->holds_against);
	put_layers(text, guard);
	for (char **note = guard->notes; note && *note; note++)
		put_field(text, note == guard->notes ? "notes" : "", *note);
	put_counters(text, guard);
	put_recent(text, guard);
}

static void put_stranded(struct eg_text *text, const struct eg_stranded_view *stranded,
			 bool colored)
{
	eg_put(text, "\n");
	eg_put_colored(text, colored, RED, "stranded");
	eg_text_printf(text, ": the container ");
	eg_put_safe(text, stranded->container);
	eg_text_printf(text, " (%s) is in a namespace that is dead, and has no network: ",
		       stranded->engine);
	if (stranded->owner)
		eg_put_safe(text, stranded->owner);
	else
		eg_put(text, "the container that it shared one with");
	eg_text_printf(text, " was %s\n", stranded->cause);
	put_field(text, "mend it", stranded->fix ? stranded->fix : "make it anew, as it was made");
}

static int text_status(const struct eg_status_view *status, FILE *to)
{
	struct eg_text *text = eg_line_start();
	bool colored = eg_color(to);

	if (!status->n_guards)
		eg_text_printf(text, "no guards in %s\n", status->pin_dir);
	for (size_t i = 0; i < status->n_guards; i++) {
		if (i)
			eg_put(text, "\n");
		put_guard(text, &status->guards[i], colored);
	}
	for (size_t i = 0; i < status->n_stranded; i++)
		put_stranded(text, &status->stranded[i], colored);
	return eg_line_end(text, to);
}

/* --- explain, features ----------------------------------------------------------------------- */

static int text_explanation(const struct eg_question *question,
			    const struct eg_explanation *explanation, FILE *to)
{
	struct eg_text *text = eg_line_start();

	put_verdict(text, explanation->verdict, eg_color(to));
	eg_text_printf(text, " %s: ", eg_reason_names[explanation->reason]);
	eg_put_proto(text, question->proto);
	eg_put(text, " > ");
	eg_put_address(text, question->family, &question->dst);
	if (question->dport)
		eg_text_printf(text, ".%u", question->dport);
	if (explanation->row)
		eg_put(text, " outside the tunnel");
	eg_text_printf(text, " %s\n", eg_reason_sentences[explanation->reason]);
	eg_text_printf(text, "  %-*srow %u of the decision table\n", 6, "rule", explanation->row);
	if (explanation->why[0]) {
		eg_text_printf(text, "  %-*s", 6, "why");
		eg_put_safe(text, explanation->why);
		eg_put(text, "\n");
	}
	if (explanation->hint[0]) {
		eg_text_printf(text, "  %-*s", 6, "hint");
		eg_put_safe(text, explanation->hint);
		eg_put(text, "\n");
	}
	return eg_line_end(text, to);
}

static const char *word_of(const struct eg_feature_view *feature)
{
	if (feature->unknown)
		return "not known";
	return feature->present ? "yes" : "no";
}

static int text_features(const struct eg_feature_view *features, size_t n, FILE *to)
{
	struct eg_text *text = eg_line_start();
	bool colored = eg_color(to);
	size_t width = 0, word_width = 0;

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(features[i].what), word_len = strlen(word_of(&features[i]));

		width = len > width ? len : width;
		word_width = word_len > word_width ? word_len : word_width;
	}
	for (size_t i = 0; i < n; i++) {
		const char *word = word_of(&features[i]);

		eg_text_printf(text, "%-*s  ", (int)width, features[i].what);
		eg_put_colored(text, colored, features[i].present ? GREEN : YELLOW, word);
		if (features[i].detail) {
			eg_text_printf(text, "%*s", (int)(word_width - strlen(word)) + 2, "");
			eg_put_safe(text, features[i].detail);
		}
		eg_put(text, "\n");
	}
	return eg_line_end(text, to);
}

static void put_place(struct eg_text *text, const char *path, const struct eg_wgfinding *finding)
{
	eg_put_safe(text, path);
	if (finding->line)
		eg_text_printf(text, ":%u:%u", finding->line, finding->column);
	eg_put(text, ": ");
}

static void put_counts(struct eg_text *text, const struct eg_wgreport *report)
{
	for (int i = EG_WGSEVERITY_ERROR; i <= EG_WGSEVERITY_NOTE; i++)
		eg_text_printf(text, "%s%u %s%s", i ? ", " : "", report->counts[i],
			       eg_wgseverity_names[i], report->counts[i] == 1 ? "" : "s");
}

static int text_wgreport(const char *path, const struct eg_wgreport *report, FILE *to)
{
	static const char *const colors[] = {RED, YELLOW, BOLD};
	struct eg_text *text = eg_line_start();
	bool colored = eg_color(to);

	for (size_t i = 0; i < report->n_findings; i++) {
		const struct eg_wgfinding *finding = &report->findings[i];
		const struct eg_wgfinding_info *info = &eg_wgfinding_infos[finding->id];

		put_place(text, path, finding);
		eg_put_colored(text, colored, colors[info->severity],
			       eg_wgseverity_names[info->severity]);
		eg_text_printf(text, ": %s [%s]\n  why  %s\n", finding->what, info->id, info->why);
		if (finding->fix)
			eg_text_printf(text, "  fix  %s\n", finding->fix);
	}
	eg_put_safe(text, path);
	eg_put(text, ": ");
	if (report->n_findings)
		put_counts(text, report);
	else
		eg_put(text, "ok");
	eg_put(text, "\n");
	return eg_line_end(text, to);
}

const struct eg_renderer eg_render_text = {
	.status = text_status,
	.event = text_event,
	.lost = text_lost,
	.state = text_state,
	.explanation = text_explanation,
	.verification = eg_text_verification,
	.features = text_features,
	.wgreport = text_wgreport,
	.doctor = eg_text_doctor,
};
