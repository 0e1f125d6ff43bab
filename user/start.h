/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A namespace is sealed before anything runs in it. What the ways to start without a gap have in
 * common: an OCI hook, an OCI runtime, a CNI plugin. They are called while the engine starts a
 * container and waits for them, so no engine is asked anything here; it could not answer.
 */
#ifndef EG_START_H
#define EG_START_H

#include <stdbool.h>

#include "eg_abi.h"
#include "net/netns.h"
#include "policy/policy.h"
#include "util/text.h"

/* Below the directory of policy files: those that have no target, for any number of containers. */
#define EG_TEMPLATES "templates"

#define EG_START_ENGINE_OTHER (-1)

struct eg_start_request {
	/* NAME: the daemon's file CONFIG_DIR/NAME.conf, or else CONFIG_DIR/templates/NAME.conf. No
	 * path: whoever may choose a policy may not choose any file of the machine. */
	const char *policy;
	/* What the file would say, where there is none: `policy` is NULL then, and `name` is not.
	 */
	const struct eg_policy *given;
	/* A guard that is on the namespace is the one that is meant, whatever it is called and
	 * whose ever it was; it gets the policy unless that allows more: -EEXIST. */
	bool of_namespace;
	/* The guard's. NULL: of the daemon's file NAME, so that the daemon finds it; of a template
	 * NAME-ID, with the beginning of the container's id (NAME, where that is not known). */
	const char *name;
	const char *container_id; /* the engine's; NULL: not known */
	int engine;               /* enum eg_runtime, or EG_START_ENGINE_OTHER */
	const char *config_dir;   /* NULL: EG_CONFIG_DIR */
	const char *pin_dir;      /* NULL: the usual place */
	bool accept_device_only;
};

enum eg_start_outcome {
	EG_START_SEALED, /* a guard was made */
	EG_START_AGAIN,  /* this container's guard was there, and is what the file says now */
	EG_START_JOINED, /* another container's network, which has its guard */
};

struct eg_start_result {
	enum eg_start_outcome outcome;
	char name[EG_NAME_MAX];  /* of the guard that is in force on the namespace */
	char *aside;             /* what the guard is called now that had that name, NULL: none */
	bool has_endpoint;       /* some endpoint may be reached already */
	bool has_interface;      /* there is one to leave by; none: it has yet to come */
	struct eg_text warnings; /* a line each; on failure too */
};
void eg_start_result_free(struct eg_start_result *result);

/*
 * Puts the policy in force on a namespace, whatever interfaces it has by now; called again, on
 * those too that have come since. 0: everything that there is to leave by is guarded. Any failure
 * (no or no right policy, the machine's or the engine's own namespace, a name that a living guard
 * has, a kernel that lacks something): nothing may be started there, and `error` says what to do.
 * `netns` stays the caller's. `result` must be zeroed, and freed in any case.
 */
int eg_start_seal(const struct eg_netns *netns, const struct eg_start_request *request,
		  struct eg_start_result *result, struct eg_error *error);

/* Keeps a namespace mute until it is sealed and eg_unmute() is called, where it is not in use yet
 * (net/mute.h). The machine's and the engine's own are refused. */
int eg_start_mute(const struct eg_netns *netns, struct eg_error *error);

/* Reads the policy that request->policy names, alone. The caller's to free. */
int eg_start_policy(const struct eg_start_request *request, struct eg_policy **ret_policy,
		    struct eg_error *error);

#endif /* EG_START_H */
