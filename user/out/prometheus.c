// SPDX-License-Identifier: GPL-2.0
/* The text format that Prometheus and node_exporter's textfile collector read. */
#include <errno.h>
#include <string.h>

#include "out/format.h"
#include "out/render.h"

/* A label's value: escaped for terminals first (a stranger's string), then for the format. */
static void put_label(struct eg_text *line, const char *value)
{
	char safe[EG_SAFE_LEN];

	eg_escape(safe, sizeof(safe), value, strlen(value));
	for (const char *at = safe; *at; at++) {
		if (*at == '\\' || *at == '"')
			eg_text_add(line, "\\", 1);
		eg_text_add(line, at, 1);
	}
}

static void put_metric(struct eg_text *text, const char *name, const char *type, const char *help)
{
	eg_text_printf(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_guard_label(struct eg_text *text, const char *name,
			    const struct eg_guard_view *guard)
{
	eg_put(text, name);
	eg_put(text, "{guard=\"");
	put_label(text, guard->name);
	eg_put(text, "\"");
}

static bool counts(const struct eg_layer_view *layer)
{
	return strcmp(layer->state, "not available") != 0;
}

static void put_counter(struct eg_text *text, const char *name, bool bytes,
			const struct eg_guard_view *guard, enum eg_layer layer, __u32 would,
			enum eg_reason reason)
{
	const struct eg_counter *counter = &guard->counters[eg_counter_index(layer, would, reason)];
	enum eg_verdict verdict = would ? EG_VERDICT_WOULD_DROP : eg_reason_verdict(reason);

	put_guard_label(text, name, guard);
	eg_text_printf(text, ",verdict=\"%s\",reason=\"%s\",layer=\"%s\"} %llu\n",
		       eg_verdict_names[verdict], eg_reason_names[reason], eg_layer_names[layer],
		       (unsigned long long)(bytes ? counter->bytes : counter->packets));
}

static void put_layer_counters(struct eg_text *text, const char *name, bool bytes,
			       const struct eg_guard_view *guard, enum eg_layer layer)
{
	for (enum eg_reason reason = 0; reason < EG_REASON_COUNT; reason++) {
		put_counter(text, name, bytes, guard, layer, 0, reason);
		if (eg_reason_verdict(reason) == EG_VERDICT_DROP)
			put_counter(text, name, bytes, guard, layer, 1, reason);
	}
}

static void put_counters(struct eg_text *text, const char *name, bool bytes,
			 const struct eg_status_view *status)
{
	put_metric(text, name, "counter",
		   bytes ? "Bytes of the packets that a guard judged, per layer."
			 : "Packets that a guard judged, per layer.");
	for (size_t i = 0; i < status->n_guards; i++) {
		const struct eg_guard_view *guard = &status->guards[i];

		for (size_t j = 0; guard->have_counters && j < guard->n_layers; j++) {
			for (enum eg_layer layer = 0; layer < EG_LAYER_COUNT; layer++) {
				if (counts(&guard->layers[j]) &&
				    strcmp(guard->layers[j].name, eg_layer_names[layer]) == 0)
					put_layer_counters(text, name, bytes, guard, layer);
			}
		}
	}
}

static void put_states(struct eg_text *text, const struct eg_status_view *status)
{
	static const char name[] = "egressguard_guard_state";

	put_metric(text, name, "gauge", "1 for the state that a guard is in.");
	for (size_t i = 0; i < status->n_guards; i++) {
		for (size_t state = 0; state < sizeof(eg_guard_state_names) / sizeof(char *);
		     state++) {
			put_guard_label(text, name, &status->guards[i]);
			eg_text_printf(text, ",state=\"%s\"} %d\n", eg_guard_state_names[state],
				       status->guards[i].state == state);
		}
	}
}

static void put_since(struct eg_text *text, const struct eg_status_view *status)
{
	static const char name[] = "egressguard_guard_since_seconds";

	put_metric(text, name, "gauge", "When a guard was attached, in seconds since 1970.");
	for (size_t i = 0; i < status->n_guards; i++) {
		__u64 ns = status->guards[i].since_realtime_ns;

		if (!ns)
			continue;
		put_guard_label(text, name, &status->guards[i]);
		eg_text_printf(text, "} %llu.%03llu\n", (unsigned long long)(ns / 1000000000),
			       (unsigned long long)(ns / 1000000 % 1000));
	}
}

static void put_bypasses(struct eg_text *text, const struct eg_status_view *status)
{
	static const char name[] = "egressguard_bypass_attempts_total";

	put_metric(text, name, "counter",
		   "Packets that got past the device layer and were dropped by the peer layer.");
	for (size_t i = 0; i < status->n_guards; i++) {
		struct eg_totals totals;

		if (!status->guards[i].have_counters)
			continue;
		eg_totals(status->guards[i].counters, &totals);
		put_guard_label(text, name, &status->guards[i]);
		eg_text_printf(text, "} %llu\n", (unsigned long long)totals.bypass_packets);
	}
}

static void put_answer(struct eg_text *text, const char *name, const struct eg_guard_view *guard,
		       const char *outcome, __u64 n)
{
	put_guard_label(text, name, guard);
	eg_text_printf(text, ",outcome=\"%s\"} %llu\n", outcome, (unsigned long long)n);
}

static void put_answers(struct eg_text *text, const struct eg_status_view *status)
{
	static const char name[] = "egressguard_answers_total";

	put_metric(text, name, "counter",
		   "Dropped packets that were answered, or not for want of room in the limit.");
	for (size_t i = 0; i < status->n_guards; i++) {
		const struct eg_guard_view *guard = &status->guards[i];

		if (!guard->answers)
			continue;
		put_answer(text, name, guard, "sent", guard->answers_sent);
		put_answer(text, name, guard, "withheld", guard->answers_withheld);
	}
}

static void put_stranded(struct eg_text *text, const struct eg_status_view *status)
{
	static const char name[] = "egressguard_stranded_containers";

	if (!status->looked_for_stranded)
		return;
	put_metric(text, name, "gauge", "Containers left in the dead namespace of another.");
	eg_text_printf(text, "%s %zu\n", name, status->n_stranded);
}

int eg_render_prometheus(const struct eg_status_view *status, FILE *to)
{
	struct eg_text *text = eg_line_start();

	put_metric(text, "egressguard_build_info", "gauge", "The version that printed this.");
	eg_put(text, "egressguard_build_info{version=\"");
	put_label(text, status->version);
	eg_put(text, "\"} 1\n");
	put_metric(text, "egressguard_guards", "gauge", "How many guards there are.");
	eg_text_printf(text, "egressguard_guards %zu\n", status->n_guards);
	put_stranded(text, status);
	put_states(text, status);
	put_since(text, status);
	put_counters(text, "egressguard_packets_total", false, status);
	put_counters(text, "egressguard_bytes_total", true, status);
	put_bypasses(text, status);
	put_answers(text, status);
	return eg_line_end(text, to);
}
