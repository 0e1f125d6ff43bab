/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The Container Network Interface, as a chained plugin sees it: what the runtime asks, by CNI_* in
 * the environment and a network configuration on standard input, and what it is answered, as JSON
 * on standard output and a status. PURE: text in, values or one error out.
 */
#ifndef EG_CNI_PROTOCOL_H
#define EG_CNI_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>

#include "eg_abi.h"
#include "policy/policy.h"
#include "util/error.h"

#define EG_CNI_INPUT_MAX (8U << 20) /* bytes: GC names every attachment of a network */

enum eg_cni_command {
	EG_CNI_ADD,
	EG_CNI_CHECK,
	EG_CNI_DEL,
	EG_CNI_GC,
	EG_CNI_STATUS,
	EG_CNI_VERSION,
};
#define EG_CNI_COMMANDS 6
extern const char *const eg_cni_command_names[EG_CNI_COMMANDS]; /* "ADD", … */

/* Codes of the specification; from 100 on they are the plugin's own. */
enum eg_cni_code {
	EG_CNI_BAD_VERSION = 1,
	EG_CNI_BAD_FIELD = 2,
	EG_CNI_BAD_ENVIRONMENT = 4,
	EG_CNI_IO = 5,
	EG_CNI_BAD_JSON = 6,
	EG_CNI_BAD_CONFIG = 7,
	EG_CNI_AGAIN = 11,
	EG_CNI_UNAVAILABLE = 50,
	EG_CNI_FAILED = 100,      /* the guard could not be put in force */
	EG_CNI_UNGUARDED = 101,   /* CHECK: it is not in force, or not whole, or allows more */
	EG_CNI_CANNOT_TELL = 102, /* CHECK could not look */
};

/* As getenv() gives them: NULL is not set, and the empty string is no value either. */
struct eg_cni_environment {
	const char *command;
	const char *container_id;
	const char *netns;
	const char *ifname;
	const char *args;
};

/* What went wrong, in the words of eg_error, and the code that the runtime gets. */
struct eg_cni_error {
	enum eg_cni_code code;
	char message[EG_ERROR_LEN];
};

/* Owns what it points to. Where the command has no use for a member it is NULL. */
struct eg_cni_request {
	enum eg_cni_command command;
	const char *version; /* the configuration's, one of those we know; static */
	char *network;       /* its name */
	char *container_id;
	char *netns; /* a path */
	char *ifname;
	/* What the guard is called: the pod's name as "NAMESPACE.NAME", or NAME, where CNI_ARGS has
	 * one that fits, else the container's id. */
	char name[EG_NAME_MAX];
	struct eg_policy *policy; /* NULL: it is in policy_name */
	char *policy_name;        /* a name in the directory of policy files */
	/* The entry that comes before the plugin that makes the interface, and has no policy: the
	 * namespace is to be mute until the one behind that plugin has sealed it. */
	bool mute;
	bool accept_device_only;
	char *pin_dir; /* NULL: the usual place */
	char *result;  /* ADD: what is answered, as JSON: the previous plugin's result; of `mute`
			  that nothing was made yet */
};
void eg_cni_request_free(struct eg_cni_request *request);
static inline void eg_cni_request_freep(struct eg_cni_request **request)
{
	eg_cni_request_free(*request);
}
#define EG_AUTO_CNI_REQUEST __attribute__((cleanup(eg_cni_request_freep)))

/*
 * Which command it is, before standard input is read. -EINVAL and `error`: none, or one that there
 * is not.
 */
int eg_cni_command(const struct eg_cni_environment *environment, enum eg_cni_command *ret_command,
		   struct eg_cni_error *error);

/*
 * Reads a request of `len` bytes of JSON. DEL and GC are taken as they come, as far as they can be
 * understood: what is to go must go, whatever became of the configuration. VERSION needs no input.
 */
int eg_cni_read(const struct eg_cni_environment *environment, const char *input, size_t len,
		struct eg_cni_request **ret_request, struct eg_cni_error *error);

/* The version that an answer to this input is written in, whatever else is wrong with it: its own
 * where that is one of ours, else our latest. Static. */
const char *eg_cni_version_of(const char *input, size_t len);

/* Answers, with a newline. The caller frees; NULL: out of memory. */
char *eg_cni_format_error(const char *version, const struct eg_cni_error *error);
char *eg_cni_format_versions(const char *version);

/* Fills `error` (which may be NULL) and returns -EINVAL. */
int eg_cni_fail(struct eg_cni_error *error, enum eg_cni_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif /* EG_CNI_PROTOCOL_H */
