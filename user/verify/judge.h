/* SPDX-License-Identifier: GPL-2.0 */
/* From what was seen of a probe to what may be said of it. PURE. What is not proven is not known:
 * nothing here takes silence for safety. */
#ifndef EG_VERIFY_JUDGE_H
#define EG_VERIFY_JUDGE_H

#include "verify/probe.h"

enum eg_row_result {
	EG_ROW_STOPPED,
	EG_ROW_LEAKED,
	EG_ROW_NOT_HERE, /* it cannot be sent here at all: no IPv6, no AF_XDP */
	EG_ROW_UNKNOWN,
};
extern const char *const eg_row_result_names[4]; /* "stopped", "leaked", … */

#define EG_DETAIL_LEN 200

/* All that is known of one probe. */
struct eg_evidence {
	/* sending it */
	bool absent;       /* there is no such thing here: `call` says what */
	const char *call;  /* what the kernel refused, NULL: nothing */
	int refused_errno; /* why */

	/* whoever could stop it */
	bool guarded; /* there is a guard, and its events are watched */
	__u32 dropped[EG_LAYER_COUNT];
	__u32 would_drop[EG_LAYER_COUNT];
	enum eg_reason reason[EG_LAYER_COUNT]; /* the last one of that layer */
	__u64 events_lost;

	/* the far end */
	bool watched;
	bool control; /* something allowed, sent after it, was seen there */
	bool routed;  /* packets of ordinary sockets get as far as the interface */
	__u64 frames_lost;
	__u32 seen;

	bool ordinary; /* sent by an ordinary socket, by way of routes and the namespace's rules */
	/* The same packet where something kept the first from becoming one, or from getting to the
	 * guard: an ordinary socket's by a packet socket, a packet socket's past the qdisc by
	 * one to which that is permitted, else by AF_XDP; NULL: not tried. */
	const struct eg_evidence *twin;
	const char *by; /* of such a twin: what it was sent by */
};

struct eg_row_verdict {
	enum eg_row_result result;
	int layer;  /* enum eg_layer; -1: none of the guard's */
	int reason; /* enum eg_reason; -1: not known */
	char detail[EG_DETAIL_LEN];
};

/* What may be said of one probe. */
void eg_row_judge(const struct eg_evidence *evidence, struct eg_row_verdict *ret_verdict);

/* Whether the same packet should be tried by another kind of socket: it never became one, or
 * neither the guard nor the far end says anything about it. */
bool eg_row_wants_twin(const struct eg_evidence *evidence);

enum eg_verify_result {
	EG_VERIFY_SEALED,
	EG_VERIFY_LEAK,
	EG_VERIFY_UNKNOWN,
};
extern const char *const eg_verify_result_names[3]; /* "sealed", "leak", "cannot tell" */

/* How many rows ended in which way; `doubts`: other reasons not to call it sealed. */
enum eg_verify_result eg_verify_conclude(const size_t rows[4], size_t doubts);

#endif /* EG_VERIFY_JUDGE_H */
