/* SPDX-License-Identifier: GPL-2.0 */
/* A target as the daemon sees it: by the text of its file, again and again. */
#ifndef EG_WARD_TARGET_H
#define EG_WARD_TARGET_H

#include "daemon/plan.h"
#include "finding.h"
#include "follow.h"
#include "net/target.h"

/* "docker:NAME" has the kind "docker". */
bool eg_ward_target_has_kind(const char *target, const char *kind);
/* A name alone, which may be a namespace's, any engine's container's, or a process's number. */
bool eg_ward_target_is_plain(const char *target);
/* Nobody tells of a process before it has been seen, or of a file that appears somewhere. */
bool eg_ward_target_is_untold(const char *target);

/* What it is now: *ret_target (zeroed, its netns EG_NETNS_NONE) where it is there. Engines are
 * asked only where they are known to answer. Otherwise `error` says why not. */
enum eg_plan_target eg_ward_target_look(const char *target, const bool engine_up[EG_RUNTIME_COUNT],
					struct eg_target *ret_target, struct eg_error *error);

struct eg_ward_question {
	const char *target;
	const bool *engine_up;
	unsigned int wait_ms;
	__u64 *ret_asked_ns; /* when, if an engine was and has answered */
};

enum eg_ward_asked {
	EG_WARD_ASKED_NOBODY, /* no engine had to be */
	EG_WARD_ASKED_STILL,  /* and it has not answered yet */
	EG_WARD_ASKED_DONE,   /* it answered, or will not */
};

/* The same, but waits only so long for an engine. Until it has answered the target is unknown, and
 * this is to be called again (finding.h). */
enum eg_plan_target eg_ward_target_ask(const struct eg_ward_question *question,
				       struct eg_finding **finding, enum eg_ward_asked *ret_asked,
				       struct eg_target *ret_target, struct eg_error *error);

/* Containers that share the network of one that was started again sit in the namespace that it had,
 * with nothing but loopback, and look healthy. Says a line for each, with what mends it. */
void eg_ward_target_stranded(const char *target, const bool engine_up[EG_RUNTIME_COUNT],
			     eg_follow_say say, void *argument);

#endif /* EG_WARD_TARGET_H */
