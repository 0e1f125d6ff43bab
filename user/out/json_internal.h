/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the JSON renderer share. */
#ifndef EG_JSON_INTERNAL_H
#define EG_JSON_INTERNAL_H

#include "out/format.h"
#include "out/render.h"

/* NULL: neither IPv4 nor IPv6. */
const char *eg_json_family(__u8 family);

/* The renderer's event, lost and state (out/render.h): a line each, 0 or -errno. */
int eg_json_event(const struct eg_event_view *view, FILE *to);
int eg_json_lost(const char *guard, __u64 lost, __u64 total, __u64 realtime_ns, FILE *to);
int eg_json_state_line(const char *guard, const char *state, const char *detail, __u64 realtime_ns,
		       FILE *to);

#endif /* EG_JSON_INTERNAL_H */
