// SPDX-License-Identifier: GPL-2.0
#include "out/model.h"

#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

const char *const eg_guard_state_names[5] = {
	[EG_STATE_ENFORCING] = "enforcing", [EG_STATE_AUDIT] = "audit",
	[EG_STATE_DEGRADED] = "degraded",   [EG_STATE_UNGUARDED] = "unguarded",
	[EG_STATE_GONE] = "gone",
};

static void free_strings(char **strings)
{
	for (char **string = strings; string && *string; string++)
		free(*string);
	free(strings);
}

static void free_guard(struct eg_guard_view *guard)
{
	free(guard->name);
	free(guard->target);
	free(guard->reason);
	free_strings(guard->tunnels);
	free(guard->tunnel_state);
	free_strings(guard->endpoints);
	free(guard->dns);
	free(guard->dns_detail);
	free(guard->holds_against);
	for (size_t i = 0; i < guard->n_layers; i++) {
		free_strings(guard->layers[i].interfaces);
		free(guard->layers[i].detail);
	}
	free(guard->layers);
	free_strings(guard->notes);
	for (size_t i = 0; i < guard->n_recent; i++) {
		free(guard->recent[i].comm);
		free(guard->recent[i].container);
		free(guard->recent[i].cgroup);
	}
	free(guard->recent);
	free(guard->policy);
}

void eg_status_view_free(struct eg_status_view *status)
{
	for (size_t i = 0; i < status->n_guards; i++)
		free_guard(&status->guards[i]);
	free(status->guards);
	for (size_t i = 0; i < status->n_stranded; i++) {
		free(status->stranded[i].container);
		free(status->stranded[i].owner);
		free(status->stranded[i].fix);
	}
	free(status->stranded);
	free(status->stranded_why);
	*status = (struct eg_status_view){};
}

void eg_verify_view_free(struct eg_verify_view *verify)
{
	free(verify->guard);
	free(verify->target);
	free(verify->holds_against);
	free_strings(verify->doubts);
	for (size_t i = 0; i < verify->n_underlays; i++) {
		free(verify->underlays[i].name);
		free(verify->underlays[i].far_end);
		free(verify->underlays[i].detail);
	}
	free(verify->underlays);
	for (size_t i = 0; i < verify->n_checks; i++) {
		free(verify->checks[i].name);
		free(verify->checks[i].detail);
	}
	free(verify->checks);
	*verify = (struct eg_verify_view){};
}

void eg_verify_count(const struct eg_verify_view *verify, size_t ret_rows[4])
{
	size_t rows[4] = {};

	for (size_t i = 0; i < verify->n_underlays; i++) {
		const struct eg_verify_underlay_view *underlay = &verify->underlays[i];

		for (size_t j = 0; j < underlay->n_rows; j++)
			rows[underlay->rows[j].verdict.result]++;
	}
	memcpy(ret_rows, rows, sizeof(rows));
}

static void add(struct eg_counter *to, const struct eg_counter *from)
{
	to->packets += from->packets;
	to->bytes += from->bytes;
}

static void keep_larger(struct eg_counter *to, const struct eg_counter *from)
{
	if (from->packets > to->packets)
		*to = *from;
}

static bool is_noise(enum eg_reason reason)
{
	return reason == EG_REASON_MULTICAST || reason == EG_REASON_BROADCAST;
}

static void total_of_reason(const struct eg_counter *counters, enum eg_reason reason,
			    struct eg_totals *totals)
{
	for (enum eg_layer layer = 0; layer < EG_LAYER_COUNT; layer++) {
		const struct eg_counter *is = &counters[eg_counter_index(layer, 0, reason)];
		const struct eg_counter *would = &counters[eg_counter_index(layer, 1, reason)];

		if (eg_reason_verdict(reason) == EG_VERDICT_ALLOW)
			keep_larger(&totals->allowed[reason], is);
		else
			add(&totals->dropped[reason], is);
		keep_larger(&totals->would_drop[reason], would);
		if (layer == EG_LAYER_PEER && eg_reason_verdict(reason) == EG_VERDICT_DROP)
			totals->bypass_packets += is->packets;
	}
}

static void total(const struct eg_counter *counters, __u64 transition, struct eg_totals *ret_totals)
{
	struct eg_totals totals = {};

	for (enum eg_reason reason = 0; reason < EG_REASON_COUNT; reason++) {
		total_of_reason(counters, reason, &totals);
		add(&totals.all_allowed, &totals.allowed[reason]);
		if (is_noise(reason))
			continue;
		add(&totals.all_dropped, &totals.dropped[reason]);
		add(&totals.all_would_drop, &totals.would_drop[reason]);
	}
	totals.bypass_packets -=
		transition < totals.bypass_packets ? transition : totals.bypass_packets;
	*ret_totals = totals;
}

void eg_totals(const struct eg_counter counters[EG_COUNTERS_ALL], struct eg_totals *ret_totals)
{
	total(counters, counters[EG_COUNTER_TRANSITION].packets, ret_totals);
}

void eg_totals_of_probes(const struct eg_counter counters[EG_COUNTERS_ALL],
			 struct eg_totals *ret_totals)
{
	total(counters + EG_COUNTERS_PROBES, 0, ret_totals);
}
