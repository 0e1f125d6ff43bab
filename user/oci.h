/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What an OCI hook and an OCI runtime have in common: their options, how a container says which
 * policy it is to have, and the state that a runtime tells of it (the OCI runtime specification,
 * "State" and "POSIX-platform Hooks").
 */
#ifndef EG_OCI_H
#define EG_OCI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "options.h"

#define EG_OCI_PREFIX "egressguard."
#define EG_OCI_POLICY EG_OCI_PREFIX "policy" /* annotations */
#define EG_OCI_NAME   EG_OCI_PREFIX "name"
#define EG_OCI_ENV    "EGRESSGUARD_POLICY"

#define EG_OCI_TEXT_MAX (4U << 20) /* of a state, of a config.json */

struct eg_oci_terms {
	const char *policy; /* of a container that names none; NULL: it is not started */
	const char *engine; /* "docker", "podman", "other"; NULL: by what the state says */
	const char *config_dir;
	const char *pin_dir;
	bool accept_device_only;
	bool optional; /* a container that names no policy is started without a guard */
	bool late;     /* interfaces may come later: it is sealed again before it runs */
	bool starts;   /* that is now: its process runs next */
	bool mute;     /* no more is asked than to keep its network mute until it is sealed */
};

enum eg_oci_option {
	EG_OCI_OPTION_POLICY = EG_OPTION_OWN,
	EG_OCI_OPTION_ENGINE,
	EG_OCI_OPTION_CONFIG_DIR,
	EG_OCI_OPTION_ACCEPT_DEVICE_ONLY,
	EG_OCI_OPTION_OPTIONAL,
	EG_OCI_OPTION_LATE,
	EG_OCI_OPTION_MUTE,
	EG_OCI_OPTION_OWN, /* a command's own start here */
};

#define EG_OCI_OPTION_ENTRIES                                                                      \
	{EG_OCI_OPTION_POLICY, "--policy", "NAME",                                                 \
	 "the policy of a container that names none: NAME.conf in --config-dir, or in its "        \
	 "directory templates"},                                                                   \
		{EG_OCI_OPTION_OPTIONAL, "--optional", NULL,                                       \
		 "start a container that names no policy without a guard; else it is not "         \
		 "started"},                                                                       \
		{EG_OCI_OPTION_ENGINE, "--engine", "ENGINE",                                       \
		 "whose containers they are: docker, podman or other (default: by what is said "   \
		 "of them)"},                                                                      \
		{EG_OCI_OPTION_CONFIG_DIR, "--config-dir", "DIR",                                  \
		 "the directory of policy files (default: /etc/egressguard)"},                     \
		{EG_OCI_OPTION_ACCEPT_DEVICE_ONLY, "--accept-device-only", NULL,                   \
		 "as for attach: interfaces that have no other end on the host may be guarded by " \
		 "the layer `device` alone"},                                                      \
		EG_OPTION_ENTRY_PIN_DIR

/* One of those options; an operand is an error of its command's. */
int eg_oci_take(struct eg_oci_terms *terms, int id, const char *value, struct eg_error *error);

extern const struct eg_help eg_oci_hook_help;

/* Reads the hook's command line; argv[0] is "oci-hook". *ret_help: --help was asked for; NULL: it
 * must not be. */
int eg_oci_terms_read(int argc, char **argv, struct eg_oci_terms *terms, bool *ret_help,
		      struct eg_error *error);

/*
 * Seals the namespace of the container that a state (JSON) tells of, before its process runs, and
 * lets it speak where it was mute, but where it is sealed again later.
 * Warnings go to stderr, which runtimes throw away if all went well, and to the system's log. 0
 * also where terms->optional, and no policy is named.
 */
int eg_oci_seal(const char *command, const char *state, size_t len,
		const struct eg_oci_terms *terms, struct eg_error *error);

/* Keeps that namespace mute until it is sealed (net/mute.h). */
int eg_oci_mute(const char *state, size_t len, struct eg_error *error);

/* Of the annotations that begin with EG_OCI_PREFIX, those alone that there are: EINVAL names
 * another, for its container would be started by a policy that was not meant, or by none. */
int eg_oci_check_annotations(const json_t *annotations, struct eg_error *error);

#endif /* EG_OCI_H */
