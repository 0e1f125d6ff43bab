/* SPDX-License-Identifier: GPL-2.0 */
/* Puts a policy in force on a target: makes a guard, replaces the policy of one, or mends one. */
#ifndef EG_ATTACH_H
#define EG_ATTACH_H

#include "net/target.h"
#include "policy/image.h"

struct eg_attach_request {
	const char *target;  /* TARGET of the command line; NULL: */
	const char *cgroup;  /* its DIR */
	const char *name;    /* the guard's; NULL: the target's */
	const char *pin_dir; /* NULL: the usual place */
	bool replace;
	bool accept_device_only;
	bool host;
	/* By a program, which comes again when something changes. What the guard in force has
	 * learned stays even with `replace`; there may be no endpoint yet (EG_DERIVE_UNATTENDED).
	 */
	bool unattended;
	/* What the policy is from says something else by now, which does not parse: noted. */
	bool file_is_spoilt;
	/* Nothing runs in the namespace yet, and its engine waits for us: neither is asked
	 * anything. Unattended as well. `given` is the target then, taken over as it is, and
	 * `target` not looked at. */
	bool starting;
	struct eg_target *given;
	bool foreground;          /* for the caller, who then stays (follow.h) */
	unsigned int try_seconds; /* 0: for good */
};

enum eg_attach_outcome {
	EG_ATTACH_CREATED,
	EG_ATTACH_REPLACED,  /* the policy of a guard in force */
	EG_ATTACH_UNCHANGED, /* the same policy was in force */
};

struct eg_attach_result {
	enum eg_attach_outcome outcome;
	char name[EG_NAME_MAX];
	bool mended;                 /* layers were missing, and are on again */
	bool container;              /* a restart will need a new guard */
	__u64 try_until_realtime_ns; /* --try: when it is taken away again, 0: stays */
	struct eg_image_diff diff;   /* against the policy in force; on -EEXIST too */
	struct eg_text warnings;     /* a line each; on failure too */
};
void eg_attach_result_free(struct eg_attach_result *result);

/*
 * Closed on failure: either the new policy is in force, whole, or nothing changed. -EEXIST: the
 * guard in force is narrower, and request->replace is not set; the difference is in result->diff.
 * `policy` is completed (tunnels, derived). `result` must be zeroed and freed in any case.
 */
int eg_attach(const struct eg_attach_request *request, struct eg_policy *policy,
	      struct eg_attach_result *result, struct eg_error *error);

#endif /* EG_ATTACH_H */
