/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Renderers: text for people (aligned; coloured on a terminal only, unless NO_COLOR), JSON
 * (jansson), Prometheus, pcap. A command picks one table and never asks again.
 */
#ifndef EG_RENDER_H
#define EG_RENDER_H

#include <stdio.h>

#include "doctor/judge.h"
#include "out/model.h"
#include "policy/explain.h"
#include "policy/wgcheck.h"

/* Each returns 0 or -errno (a closed pipe, a full disk). */
struct eg_renderer {
	int (*status)(const struct eg_status_view *status, FILE *to);
	int (*event)(const struct eg_event_view *event, FILE *to);
	/* events lost since the last such line, and in all */
	int (*lost)(const char *guard, __u64 lost, __u64 total, __u64 realtime_ns, FILE *to);
	/* the guard's state changed: "replaced", "gone", "detached" */
	int (*state)(const char *guard, const char *state, const char *detail, __u64 realtime_ns,
		     FILE *to);
	int (*explanation)(const struct eg_question *question,
			   const struct eg_explanation *explanation, FILE *to);
	int (*verification)(const struct eg_verify_view *verify, FILE *to);
	int (*features)(const struct eg_feature_view *features, size_t n, FILE *to);
	int (*wgreport)(const char *path, const struct eg_wgreport *report, FILE *to);
	int (*doctor)(const struct eg_doctor_report *report, FILE *to);
};
extern const struct eg_renderer eg_render_text;
extern const struct eg_renderer eg_render_json;

/* `status` alone. */
int eg_render_prometheus(const struct eg_status_view *status, FILE *to);

/* pcapng or pcap file of blocked packets: the header once, then each event's snapshot. */
int eg_pcap_start(FILE *to);
int eg_pcap_event(const struct eg_event_view *event, FILE *to);

/* What comes after a renderer has written to stdout, and returned `result`: whether all of it was
 * really written. 0, or -errno and `error` says so. */
int eg_render_end(int result, struct eg_error *error);

/* Whether to colour what goes to this stream. */
bool eg_color(FILE *to);

#endif /* EG_RENDER_H */
