// SPDX-License-Identifier: GPL-2.0
#include "verify/judge.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *const eg_row_result_names[4] = {
	[EG_ROW_STOPPED] = "stopped",
	[EG_ROW_LEAKED] = "leaked",
	[EG_ROW_NOT_HERE] = "not here",
	[EG_ROW_UNKNOWN] = "cannot tell",
};

const char *const eg_verify_result_names[3] = {
	[EG_VERIFY_SEALED] = "sealed",
	[EG_VERIFY_LEAK] = "leak",
	[EG_VERIFY_UNKNOWN] = "cannot tell",
};

static __attribute__((format(printf, 3, 4))) void say(struct eg_row_verdict *verdict,
						      enum eg_row_result result, const char *format,
						      ...)
{
	va_list args;

	verdict->result = result;
	va_start(args, format);
	vsnprintf(verdict->detail, sizeof(verdict->detail), format, args);
	va_end(args);
}

/* The layer that a packet meets first, -1: none. They stand in EG_LAYERS from the outside in, but
 * for the first two. */
static int first_layer(const __u32 packets[EG_LAYER_COUNT])
{
	static const enum eg_layer order[EG_LAYER_COUNT] = {
		EG_LAYER_SOCKET, EG_LAYER_CGROUP, EG_LAYER_NETNS, EG_LAYER_DEVICE, EG_LAYER_PEER};

	for (size_t i = 0; i < EG_LAYER_COUNT; i++) {
		if (packets[order[i]])
			return (int)order[i];
	}
	return -1;
}

static void name_layer(struct eg_row_verdict *verdict, const struct eg_evidence *evidence,
		       int layer)
{
	verdict->layer = layer;
	verdict->reason = (int)evidence->reason[layer];
}

/* A capture at the far end sees a frame before `peer` drops it. */
static bool got_out(const struct eg_evidence *evidence)
{
	return evidence->seen > evidence->dropped[EG_LAYER_PEER];
}

static void judge_seen(const struct eg_evidence *evidence, struct eg_row_verdict *verdict)
{
	int would = first_layer(evidence->would_drop);

	if (evidence->events_lost && evidence->guarded) {
		say(verdict, EG_ROW_UNKNOWN,
		    "seen at the far end; what the guard did there is not known, %llu of its "
		    "events were lost",
		    (unsigned long long)evidence->events_lost);
		return;
	}
	if (would >= 0) {
		name_layer(verdict, evidence, would);
		say(verdict, EG_ROW_LEAKED, "audit mode: it would have been dropped");
		return;
	}
	say(verdict, EG_ROW_LEAKED,
	    evidence->guarded ? "no layer of the guard stopped it" : "nothing stopped it");
}

static void judge_dropped(const struct eg_evidence *evidence, int layer,
			  struct eg_row_verdict *verdict)
{
	name_layer(verdict, evidence, layer);
	if (evidence->watched && !evidence->control)
		say(verdict, EG_ROW_UNKNOWN,
		    "dropped, but the far end sees nothing, not even what is allowed");
	else if (evidence->watched && evidence->frames_lost)
		say(verdict, EG_ROW_UNKNOWN, "dropped, but %llu frames were lost at the far end",
		    (unsigned long long)evidence->frames_lost);
	else if (!evidence->watched)
		say(verdict, EG_ROW_STOPPED, "by the guard's own word: no far end can be watched");
	else
		verdict->result = EG_ROW_STOPPED;
}

/* Something inside kept it from the guard: that is worth as much as whoever is root inside wants it
 * to be, so the same packet must be stopped where no rule of theirs is in between. */
static void judge_inside(const struct eg_evidence *evidence, struct eg_row_verdict *verdict)
{
	struct eg_row_verdict twin = {.result = EG_ROW_UNKNOWN, .layer = -1, .reason = -1};
	char why[80] = "held back inside";

	if (evidence->call)
		snprintf(why, sizeof(why), "held back inside (%s: %s)", evidence->call,
			 strerror(evidence->refused_errno));
	if (!evidence->twin) {
		say(verdict, EG_ROW_UNKNOWN, "%s, before the guard could judge it", why);
		return;
	}
	eg_row_judge(evidence->twin, &twin);
	verdict->layer = twin.layer;
	verdict->reason = twin.reason;
	say(verdict, twin.result, "%s; by a packet socket: %s%s%s", why,
	    eg_row_result_names[twin.result], twin.detail[0] ? ", " : "", twin.detail);
}

/* Not even a socket that could send so was to be had. What is beneath is tried by one to which it
 * is permitted, or by the other kind that goes the same way, where there is one. */
static void judge_forbidden(const struct eg_evidence *evidence, struct eg_row_verdict *verdict)
{
	struct eg_row_verdict twin = {.result = EG_ROW_NOT_HERE, .layer = -1};

	judge_dropped(evidence, EG_LAYER_SOCKET, verdict);
	if (verdict->result != EG_ROW_STOPPED)
		return;
	if (evidence->twin)
		eg_row_judge(evidence->twin, &twin);
	if (twin.result == EG_ROW_NOT_HERE)
		say(verdict, EG_ROW_STOPPED,
		    "refused; what is beneath was not tried by it, nor by AF_XDP%s%s",
		    twin.detail[0] ? ": " : "", twin.detail);
	else
		say(verdict, twin.result, "refused; beneath, by %s: %s%s%s", evidence->twin->by,
		    eg_row_result_names[twin.result], twin.detail[0] ? ", " : "", twin.detail);
}

/* The layer `socket` made no packet of it; that the packet would have been stopped counts, too. */
static void judge_refused(const struct eg_evidence *evidence, struct eg_row_verdict *verdict)
{
	struct eg_row_verdict twin = {.result = EG_ROW_UNKNOWN};

	eg_row_judge(evidence->twin, &twin);
	if (twin.result == EG_ROW_STOPPED) {
		judge_dropped(evidence, EG_LAYER_SOCKET, verdict);
		return;
	}
	name_layer(verdict, evidence, EG_LAYER_SOCKET);
	say(verdict, twin.result, "refused; by a packet socket: %s%s%s",
	    eg_row_result_names[twin.result], twin.detail[0] ? ", " : "", twin.detail);
}

/* Whether the kernel would not send it, or rather could not: a rule that rejects, no route. */
static bool is_refusal(const struct eg_evidence *evidence)
{
	switch (evidence->refused_errno) {
	case EPERM:
	case EACCES:
	case ENETUNREACH:
	case EHOSTUNREACH:
	case ECONNREFUSED:
		return evidence->ordinary;
	}
	return false;
}

/* Without a guard: neither seen nor refused proves little by itself. */
static void judge_silence(const struct eg_evidence *evidence, struct eg_row_verdict *verdict)
{
	if (!evidence->watched)
		say(verdict, EG_ROW_UNKNOWN, "no far end can be watched");
	else if (!evidence->control)
		say(verdict, EG_ROW_UNKNOWN, "the far end sees nothing, not even what is allowed");
	else if (evidence->frames_lost)
		say(verdict, EG_ROW_UNKNOWN, "%llu frames were lost at the far end",
		    (unsigned long long)evidence->frames_lost);
	else if (evidence->call)
		say(verdict, is_refusal(evidence) ? EG_ROW_STOPPED : EG_ROW_UNKNOWN, "%s: %s",
		    evidence->call, strerror(evidence->refused_errno));
	else if (evidence->ordinary && !evidence->routed)
		say(verdict, EG_ROW_UNKNOWN,
		    "nothing of an ordinary socket gets to the interface: no route, or no answer "
		    "from the router");
	else
		say(verdict, EG_ROW_STOPPED, "not seen at the far end");
}

bool eg_row_wants_twin(const struct eg_evidence *evidence)
{
	int dropped = first_layer(evidence->dropped);

	if (!evidence->guarded || evidence->absent || first_layer(evidence->would_drop) >= 0 ||
	    got_out(evidence))
		return false;
	return dropped == EG_LAYER_SOCKET || (dropped < 0 && evidence->ordinary);
}

void eg_row_judge(const struct eg_evidence *evidence, struct eg_row_verdict *ret_verdict)
{
	struct eg_row_verdict verdict = {.layer = -1, .reason = -1};
	int layer = first_layer(evidence->dropped);
	int would = first_layer(evidence->would_drop);

	if (got_out(evidence)) {
		judge_seen(evidence, &verdict);
	} else if (evidence->absent) {
		say(&verdict, EG_ROW_NOT_HERE, "%s", evidence->call ? evidence->call : "");
	} else if (layer == EG_LAYER_SOCKET && !evidence->ordinary) {
		judge_forbidden(evidence, &verdict);
	} else if (layer == EG_LAYER_SOCKET && evidence->twin) {
		judge_refused(evidence, &verdict);
	} else if (layer >= 0) {
		judge_dropped(evidence, layer, &verdict);
	} else if (would >= 0) {
		name_layer(&verdict, evidence, would);
		say(&verdict, evidence->watched ? EG_ROW_UNKNOWN : EG_ROW_LEAKED,
		    evidence->watched ? "audit mode let it pass, but the far end did not see it"
				      : "audit mode: it would have been dropped");
	} else if (evidence->guarded && evidence->events_lost) {
		say(&verdict, EG_ROW_UNKNOWN, "%llu events of the guard were lost",
		    (unsigned long long)evidence->events_lost);
	} else if (evidence->guarded && evidence->ordinary) {
		judge_inside(evidence, &verdict);
	} else if (evidence->guarded && evidence->call) {
		say(&verdict, EG_ROW_UNKNOWN, "%s: %s", evidence->call,
		    strerror(evidence->refused_errno));
	} else if (evidence->guarded) {
		say(&verdict, EG_ROW_UNKNOWN,
		    evidence->watched ? "neither the guard nor the far end saw it"
				      : "the guard did not see it, and no far end can be watched");
	} else {
		judge_silence(evidence, &verdict);
	}
	*ret_verdict = verdict;
}

enum eg_verify_result eg_verify_conclude(const size_t rows[4], size_t doubts)
{
	if (rows[EG_ROW_LEAKED])
		return EG_VERIFY_LEAK;
	if (rows[EG_ROW_UNKNOWN] || doubts || !rows[EG_ROW_STOPPED])
		return EG_VERIFY_UNKNOWN;
	return EG_VERIFY_SEALED;
}
