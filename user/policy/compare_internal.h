/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of eg_image_compare() share. compare.c goes from place to place and compares the
 * switches, compare_probe.c finds what changed at a place, compare_lines.c says it. Functions that
 * return an int return 0 or -ENOMEM.
 */
#ifndef EG_COMPARE_INTERNAL_H
#define EG_COMPARE_INTERNAL_H

#include "policy/image.h"

enum eg_change_kind {
	EG_CHANGE_ALL,       /* TCP, UDP and ICMP, any port */
	EG_CHANGE_PORT,      /* a protocol, a port (0: any) */
	EG_CHANGE_BOOTSTRAP, /* questions for the endpoints' names */
	EG_CHANGE_DNS,       /* DNS queries, where only DNS was or is refused */
	EG_CHANGE_WIREGUARD, /* WireGuard's packets to a port */
	EG_CHANGE_DISGUISED, /* packets to an endpoint that are not WireGuard's */
	EG_CHANGE_CONTROL,   /* a protocol's packets that keep the link working */
	EG_CHANGE_SOURCE,    /* packets from there, wherever they go */
};

struct eg_change {
	enum eg_change_kind kind;
	bool gained; /* else lost */
	__u8 proto;
	__u16 port;             /* host order */
	enum eg_reason refusal; /* of the side that drops */
};

struct eg_changes {
	struct eg_change *change;
	size_t n;
};

/* A prefix that covers the place at hand, with the values that both images have for it. */
struct eg_level {
	struct eg_prefix prefix;
	struct eg_addr_value from;
	struct eg_addr_value to;
	struct eg_changes changes; /* owned, used again by the next place of this level */
};

#define EG_LEVELS_MAX 131 /* two families' grounds are never both there; lengths 0 to 128 */

struct eg_lines {
	struct eg_text *text;
	size_t n; /* those that were not written for their number too */
};

struct eg_comparison {
	const struct eg_image *from;
	const struct eg_image *to;
	struct eg_image_diff *diff;
	struct eg_lines widened;
	struct eg_lines narrowed;
	bool endpoints_differ;
	struct eg_level levels[EG_LEVELS_MAX]; /* each inside the one before */
	size_t n_levels;
	/* The pair of rule sets that was compared last: neighbours tend to have the same. */
	__u32 last_from, last_to;
	bool last_same;
};

/* --- compare_probe.c -------------------------------------------------------------------------- */

/* Adds to the level's changes what differs there, under the switches of `from`. */
int eg_compare_probe(const struct eg_comparison *comparison, struct eg_level *level);

/* --- compare_lines.c -------------------------------------------------------------------------- */

/* NULL: it is not among them. */
const struct eg_change *eg_changes_find(const struct eg_changes *changes,
					const struct eg_change *wanted);
/* Whether a protocol's port was gained (or lost). */
bool eg_changes_has_port(const struct eg_changes *changes, bool gained, __u8 proto, __u16 port);

/* One line, without its end, of what was gained (or lost). That memory is out is noted in the text.
 */
void eg_compare_add_line(struct eg_comparison *comparison, bool gained, const char *line);
/* The last one, which says how many were too many. */
void eg_compare_close_lines(const struct eg_lines *lines);
/* A line for each of the level's changes that is news. The levels around it are those before it. */
void eg_compare_add_changes(struct eg_comparison *comparison, const struct eg_level *level);

#endif /* EG_COMPARE_INTERNAL_H */
