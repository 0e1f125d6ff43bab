/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of `verify` share: one run of it, its lanes (one for each underlay), and the
 * trials there. verify.c has the rows, verify_send.c sends and watches, verify_beside.c looks at
 * the tunnel and the LAN. */
#ifndef EG_VERIFY_RUN_H
#define EG_VERIFY_RUN_H

#include "far_end.h"
#include "prober.h"
#include "verify.h"
#include "util/clock.h"

#define NS_PER_MS      1000000ULL
#define TRIES          3
#define ANSWER_WAIT_MS 400
#define COOKIES_MAX    8192
#define DISCARD_PORT   9

/* Numbers in tokens: the lane, and what in it. */
#define NUMBER_LANE   16
#define NUMBER_TWIN   128 /* + row */
#define NUMBER_ROUTED 256 /* + family */
#define NUMBER_FENCE  1024
#define NUMBER_MASK   0xffff

/* One probe and all that is seen of it. */
struct trial {
	bool sent;
	struct eg_probe probe;
	struct eg_evidence evidence;
};

/* One underlay. */
struct lane {
	struct run *run;
	__u32 index;
	const struct eg_underlay *underlay;
	const struct eg_link *link;
	struct eg_far_end *far_end; /* NULL: none */
	struct eg_prober *arp;      /* NULL: none */
	__u8 mac[6], nobody[6];
	union eg_addr addr4, addr6, gateway4, gateway6;
	bool has4, has6, has_gateway4, has_gateway6;
	bool control;
	__u32 fence_sent, fence_seen;
	struct trial routed4, routed6;
	struct trial rows[EG_PROBE_ROW_COUNT], twins[EG_PROBE_ROW_COUNT];
};

struct sent_by {
	__u64 cookie;
	struct trial *trial;
};

struct run {
	const struct eg_verify_request *request;
	struct eg_verify_view *view;
	__u8 token[EG_TOKEN_RUN_LEN];
	struct eg_viewer *viewer; /* NULL: no guard */
	__u64 beat_ns;
	struct lane *lanes;
	size_t n_lanes;
	__u64 recent[EG_PROBE_SOCKETS]; /* cookies that the guard knows to be ours */
	size_t n_recent;
	__u32 pid;            /* ours, as the guard sees it; 0: not known */
	struct trial *bypass; /* the last that asked for PACKET_QDISC_BYPASS */
	struct sent_by *cookies;
	size_t n_cookies;
	size_t done, all;
	int failed;
};

static inline bool eg_lane_is_up(const struct lane *lane)
{
	return lane->link && lane->link->flags & IFF_UP;
}

/* --- verify_send.c --------------------------------------------------------------------------- */

/* What the far end and the guard's viewer call with what they see. */
void eg_lane_on_frame(const __u8 *frame, size_t len, void *argument);
int eg_run_on_event(const struct eg_event *event, void *argument);

/* Reads what is there. */
void eg_run_look(struct run *run);
/* Until `done` says so, or the time is up. Says whether it was the former. */
bool eg_run_look_for(struct run *run, unsigned int ms, bool (*done)(const void *argument),
		     const void *argument);
__u64 eg_run_events_lost(const struct run *run);
__u64 eg_lane_frames_lost(const struct lane *lane);

/* Whether a frame that every policy allows is seen at the far end. All that was sent before it has
 * been seen by then, or never will be. */
bool eg_lane_fence(struct lane *lane, unsigned int ms);

/* Whether anything was seen of it. `argument`: a struct eg_evidence. */
bool eg_evidence_is_there(const void *argument);

/* Opens, announces and sends. What the kernel refuses is evidence, not an error. */
void eg_trial_send(struct lane *lane, struct trial *trial, enum eg_probe_way way,
		   unsigned int flags, struct eg_prober **ret_prober);
/* The same, and waits until nothing more can come of it. */
void eg_trial_try(struct lane *lane, struct trial *trial, enum eg_probe_way way,
		  unsigned int flags);
bool eg_way_is_ordinary(enum eg_probe_way way);

/* --- verify.c -------------------------------------------------------------------------------- */

/* Where a trial's packet comes from and goes to. `number`: what of the lane it is. */
void eg_trial_address(const struct lane *lane, struct trial *trial, __u8 family, __u32 number);

/* --- verify_beside.c ------------------------------------------------------------------------- */

int eg_lane_check_lan(struct lane *lane);
int eg_run_check_tunnel(struct run *run, const struct eg_tunnel *tunnel);

#endif /* EG_VERIFY_RUN_H */
