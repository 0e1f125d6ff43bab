// SPDX-License-Identifier: GPL-2.0
/* `verify`: sending one packet, and what is seen of it. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "verify_run.h"

#define FENCE_WAIT_MS 2000
#define BLIND_WAIT_MS 30  /* where the far end has not seen anything allowed */
#define EVENT_WAIT_MS 150 /* where no far end tells when it is over */
#define GRACE_MS      8   /* for what another processor still has in its hands */
#define PROBES_MS     4000

/* --- what is seen ---------------------------------------------------------------------------- */

static struct trial *trial_by_number(struct run *run, __u32 number)
{
	__u32 lane = number >> NUMBER_LANE, what = number & NUMBER_MASK;

	if (lane >= run->n_lanes)
		return NULL;
	if (what < EG_PROBE_ROW_COUNT)
		return &run->lanes[lane].rows[what];
	if (what >= NUMBER_TWIN && what - NUMBER_TWIN < EG_PROBE_ROW_COUNT)
		return &run->lanes[lane].twins[what - NUMBER_TWIN];
	if (what == NUMBER_ROUTED + EG_FAMILY_IPV4)
		return &run->lanes[lane].routed4;
	if (what == NUMBER_ROUTED + EG_FAMILY_IPV6)
		return &run->lanes[lane].routed6;
	return NULL;
}

static bool is_syn_of(const struct trial *trial, const __u8 *frame, size_t len)
{
	return trial->sent && trial->probe.content == EG_CONTENT_TCP &&
	       eg_probe_has_ports(&trial->probe, frame, len);
}

/* A SYN is small; in longer frames four bytes may be there by chance. */
#define SYN_MAX 128

static struct trial *trial_by_ports(struct lane *lane, const __u8 *frame, size_t len)
{
	if (len > SYN_MAX)
		return NULL;
	for (enum eg_probe_row row = 0; row < EG_PROBE_ROW_COUNT; row++) {
		if (is_syn_of(&lane->rows[row], frame, len))
			return &lane->rows[row];
		if (is_syn_of(&lane->twins[row], frame, len))
			return &lane->twins[row];
	}
	return NULL;
}

void eg_lane_on_frame(const __u8 *frame, size_t len, void *argument)
{
	struct lane *lane = argument;
	struct trial *trial;
	__u32 number;

	if (!eg_token_find(lane->run->token, frame, len, &number)) {
		trial = trial_by_ports(lane, frame, len);
	} else if (number >> NUMBER_LANE == lane->index && (number & NUMBER_MASK) >= NUMBER_FENCE) {
		lane->fence_seen = number & NUMBER_MASK;
		return;
	} else {
		trial = trial_by_number(lane->run, number);
	}
	if (trial)
		trial->evidence.seen++;
}

static void note_event(const struct eg_event *event, struct eg_evidence *evidence)
{
	evidence->reason[event->layer] = event->reason;
	if (event->verdict == EG_VERDICT_DROP)
		evidence->dropped[event->layer]++;
	else if (event->verdict == EG_VERDICT_WOULD_DROP)
		evidence->would_drop[event->layer]++;
}

/* The guard refused an option to a process, and knows of no socket. */
static bool is_our_bypass(const struct run *run, const struct eg_event *event)
{
	return run->bypass && event->layer == EG_LAYER_SOCKET && event->flags & EG_EVENT_PROBE &&
	       event->reason == EG_REASON_QDISC_BYPASS;
}

int eg_run_on_event(const struct eg_event *event, void *argument)
{
	struct run *run = argument;

	if (event->layer >= EG_LAYER_COUNT)
		return 0;
	if (!event->socket_cookie) {
		if (is_our_bypass(run, event))
			note_event(event, &run->bypass->evidence);
		return 0;
	}
	for (size_t i = run->n_cookies; i > 0; i--) {
		if (run->cookies[i - 1].cookie != event->socket_cookie)
			continue;
		note_event(event, &run->cookies[i - 1].trial->evidence);
		break;
	}
	return 0;
}

/* Reads what is there. */
void eg_run_look(struct run *run)
{
	int result = 0;

	if (run->viewer && eg_monotonic_ns() - run->beat_ns > 400 * NS_PER_MS) {
		run->beat_ns = eg_monotonic_ns();
		result = eg_viewer_beat(run->viewer);
	}
	if (run->viewer && result == 0)
		result = eg_viewer_consume(run->viewer);
	for (size_t i = 0; i < run->n_lanes && result >= 0; i++) {
		if (run->lanes[i].far_end)
			result = eg_far_end_read(run->lanes[i].far_end);
	}
	if (result < 0 && !run->failed)
		run->failed = result;
}

/* Until `done` says so, or the time is up. Says whether it was the former. */
bool eg_run_look_for(struct run *run, unsigned int ms, bool (*done)(const void *argument),
		     const void *argument)
{
	const __u64 until_ns = eg_monotonic_ns() + ms * NS_PER_MS;
	const struct timespec nap = {.tv_nsec = NS_PER_MS / 2};

	for (;;) {
		eg_run_look(run);
		if (done && done(argument))
			return true;
		if (run->failed || eg_monotonic_ns() >= until_ns)
			return false;
		nanosleep(&nap, NULL);
	}
}

__u64 eg_run_events_lost(const struct run *run)
{
	return run->viewer ? eg_viewer_lost(run->viewer) : 0;
}

__u64 eg_lane_frames_lost(const struct lane *lane)
{
	return lane->far_end ? eg_far_end_lost(lane->far_end) : 0;
}

/* --- what is allowed ------------------------------------------------------------------------- */

static bool fence_is_seen(const void *argument)
{
	const struct lane *lane = argument;

	return lane->fence_seen == lane->fence_sent;
}

/*
 * A frame that every policy allows, and that takes the way of all frames. Once it is seen at the
 * far end, so has been what was sent before it: so it is both the end of a row and the proof that
 * the far end could have seen something.
 */
bool eg_lane_fence(struct lane *lane, unsigned int ms)
{
	struct eg_probe probe = {.family = EG_FAMILY_IPV4};
	__u8 frame[EG_ARP_FRAME_LEN];
	struct eg_refusal refusal = {};
	const union eg_addr target = eg_test_address(EG_FAMILY_IPV4);

	if (!lane->far_end || !lane->arp)
		return false;
	lane->fence_sent = NUMBER_FENCE + (lane->fence_sent + 1) % (NUMBER_MASK - NUMBER_FENCE);
	eg_token_make(probe.token, lane->run->token, lane->index << NUMBER_LANE | lane->fence_sent);
	memcpy(probe.src_mac, lane->mac, sizeof(probe.src_mac));
	memcpy(probe.dst_mac, lane->nobody, sizeof(probe.dst_mac));
	eg_probe_arp(&probe, target.bytes, frame);
	if (eg_prober_send_frame(lane->arp, frame, sizeof(frame), &refusal) < 0)
		return false;
	return eg_run_look_for(lane->run, ms, fence_is_seen, lane);
}

/* --- sending one ----------------------------------------------------------------------------- */

static int tell_guard(struct run *run)
{
	if (!run->request->guard)
		return 0;
	return eg_guard_set_probes(run->request->guard, run->recent, run->n_recent, run->pid,
				   PROBES_MS);
}

/* From now on the guard counts what this socket sends as ours. */
static int announce(struct run *run, const struct eg_prober *prober, struct trial *trial)
{
	__u64 cookie = eg_prober_cookie(prober);

	if (run->n_cookies == COOKIES_MAX)
		return -E2BIG;
	run->cookies[run->n_cookies++] = (struct sent_by){.cookie = cookie, .trial = trial};
	memmove(run->recent + 1, run->recent, sizeof(run->recent) - sizeof(run->recent[0]));
	run->recent[0] = cookie;
	if (run->n_recent < EG_PROBE_SOCKETS)
		run->n_recent++;
	return tell_guard(run);
}

static void note_refusal(struct trial *trial, const struct eg_refusal *refusal)
{
	struct eg_evidence *evidence = &trial->evidence;

	evidence->call = refusal->call;
	evidence->refused_errno = refusal->errnum;
	if (strcmp(refusal->call, "socket") == 0 && refusal->errnum == EAFNOSUPPORT) {
		evidence->absent = true;
		evidence->call = "this kernel has no such sockets";
	}
}

bool eg_way_is_ordinary(enum eg_probe_way way)
{
	return way != EG_WAY_PACKET && way != EG_WAY_BYPASS && way != EG_WAY_XDP;
}

/* Opens, announces and sends. What the kernel refuses is evidence, not an error. */
void eg_trial_send(struct lane *lane, struct trial *trial, enum eg_probe_way way,
		   unsigned int flags, struct eg_prober **ret_prober)
{
	struct run *run = lane->run;
	const struct eg_prober_request request = {
		.netns = run->request->netns,
		.link = lane->link,
		.way = way,
		.mapped = flags & EG_PROBE_MAPPED,
		.mark = flags & EG_PROBE_MARKED ? run->request->mark : 0,
		.permitting = flags & EG_PROBE_PERMITTED ? run->request->guard : NULL,
		.probe = &trial->probe,
	};
	struct eg_refusal refusal = {};
	int result = 0;

	/* Before the socket is made, as the option may be refused. */
	if (way == EG_WAY_BYPASS) {
		run->bypass = trial;
		result = tell_guard(run);
	}
	if (result < 0) {
		run->failed = result;
		return;
	}
	result = eg_prober_open(&request, ret_prober, &refusal);
	if (result == 0) {
		result = announce(run, *ret_prober, trial);
		if (result < 0) {
			run->failed = result;
			return;
		}
		trial->sent = true;
		result = eg_prober_send(*ret_prober, &refusal);
	}
	if (result < 0)
		note_refusal(trial, &refusal);
}

bool eg_evidence_is_there(const void *argument)
{
	const struct eg_evidence *evidence = argument;

	for (size_t layer = 0; layer < EG_LAYER_COUNT; layer++) {
		if (evidence->dropped[layer] || evidence->would_drop[layer])
			return true;
	}
	return evidence->seen > 0;
}

/* Sends, and waits until nothing more can come of it. */
void eg_trial_try(struct lane *lane, struct trial *trial, enum eg_probe_way way, unsigned int flags)
{
	EG_AUTO_PROBER struct eg_prober *prober = NULL;
	const __u64 frames_before = eg_lane_frames_lost(lane),
		    events_before = eg_run_events_lost(lane->run);
	struct eg_evidence *evidence = &trial->evidence;

	evidence->guarded = lane->run->request->guard != NULL;
	evidence->watched = lane->far_end != NULL;
	evidence->ordinary = eg_way_is_ordinary(way);
	evidence->routed = trial->probe.family == EG_FAMILY_IPV4
				   ? eg_evidence_is_there(&lane->routed4.evidence)
				   : eg_evidence_is_there(&lane->routed6.evidence);
	eg_trial_send(lane, trial, way, flags, &prober);
	if (lane->far_end)
		evidence->control =
			eg_lane_fence(lane, lane->control ? FENCE_WAIT_MS : BLIND_WAIT_MS);
	else
		eg_run_look_for(lane->run, EVENT_WAIT_MS, eg_evidence_is_there, evidence);
	eg_run_look_for(lane->run, GRACE_MS, NULL, NULL);
	evidence->frames_lost = eg_lane_frames_lost(lane) - frames_before;
	evidence->events_lost = eg_run_events_lost(lane->run) - events_before;
}
