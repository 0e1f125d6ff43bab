/* SPDX-License-Identifier: GPL-2.0 */
/* What the renderers share: one line in the making, and words for what stands in packets. */
#ifndef EG_FORMAT_H
#define EG_FORMAT_H

#include <stdio.h>

#include "out/model.h"
#include "util/text.h"

/* An empty line in a buffer that is kept from line to line. One at a time. */
struct eg_text *eg_line_start(void);
/* Writes the line: 0 or -errno. */
int eg_line_end(const struct eg_text *line, FILE *to);

void eg_put(struct eg_text *line, const char *text);
void eg_put_number(struct eg_text *line, __u64 number);

/* Local time, "12:01:33.123456", and "2025-01-31 12:01:33". */
void eg_put_clock(struct eg_text *line, __u64 realtime_ns);
void eg_put_date(struct eg_text *line, __u64 realtime_ns);
/* RFC 3339 in UTC with nanoseconds: "2025-01-31T11:01:33.123456789Z". */
void eg_put_rfc3339(struct eg_text *line, __u64 realtime_ns);

/* As eg_addr_format() has it. */
void eg_put_address(struct eg_text *line, __u8 family, const union eg_addr *addr);
/* In tcpdump's letters: "S", "S.", "." */
void eg_put_tcp_flags(struct eg_text *line, __u8 flags);
/* "echo request", NULL for a type without a name here. */
const char *eg_icmp_name(__u8 family, __u8 type);
/* "tcp", else the number */
void eg_put_proto(struct eg_text *line, __u8 proto);

/* Whether a protocol's ports are known: a later fragment has none. */
bool eg_event_has_ports(const struct eg_event *event);
/* Whether type and code are the packet's: a malformed packet's could not be read. */
bool eg_event_has_icmp(const struct eg_event *event);
/* A drop at `peer` that neither a switch of policy nor `verify` explains: something got past
 * `device`. */
bool eg_event_is_bypass(const struct eg_event *event);
/* A connect that was refused: there is no packet yet, so no length, no flags. */
bool eg_event_is_connect(const struct eg_event *event);
/* A socket that connects may have no address of its own yet. */
bool eg_event_has_source(const struct eg_event *event);

/* `string` with what is not UTF-8 as \xNN. */
void eg_put_utf8(struct eg_text *line, const char *string);

/* A stranger's string, safe for a terminal; at most EG_SAFE_LEN bytes. */
#define EG_SAFE_LEN 512
void eg_put_safe(struct eg_text *line, const char *string);

#endif /* EG_FORMAT_H */
