/* SPDX-License-Identifier: GPL-2.0 */
/* How an OCI runtime is called: runc's command line, which crun, youki and others share. PURE. */
#ifndef EG_OCI_CALL_H
#define EG_OCI_CALL_H

#include "util/error.h"

enum eg_oci_call_kind {
	EG_OCI_CALL_OTHER,   /* starts nothing */
	EG_OCI_CALL_CREATE,  /* of a bundle; what it makes runs after a `start` */
	EG_OCI_CALL_RUN,     /* of a bundle, and it runs */
	EG_OCI_CALL_RESTORE, /* the same, from a checkpoint: not all runtimes call hooks then */
	EG_OCI_CALL_START,   /* of what `create` has made */
};

/* Points into argv. */
struct eg_oci_call {
	enum eg_oci_call_kind kind;
	int command;        /* its place in argv; argc: none (--version, say) */
	const char *root;   /* --root; NULL: not given */
	const char *bundle; /* of CREATE, RUN, RESTORE: --bundle; NULL: the working directory */
	const char *id;     /* of START; NULL: missing */
};

/* `argv` is what follows the runtime's own name. -EINVAL: an option or a command that is not known,
 * so that nobody can tell whether it would start a container. */
int eg_oci_call_read(int argc, char *const *argv, struct eg_oci_call *ret_call,
		     struct eg_error *error);

/* --log of a call, also of one that cannot be read: where the runtime tells its caller what went
 * wrong. NULL: not given. What stands behind the command is never taken for it: that may be a
 * container's own. */
const char *eg_oci_call_log(int argc, char *const *argv);

#endif /* EG_OCI_CALL_H */
