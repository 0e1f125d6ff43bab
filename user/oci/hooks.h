/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hooks put into a container's config.json. PURE.
 *
 * Into its text, which otherwise stays as it is, byte by byte: what a parser makes of numbers
 * beyond its own (2^64 - 1 is a usual limit there), of members that nobody knows yet or of their
 * order would not come out as it went in.
 */
#ifndef EG_OCI_HOOKS_H
#define EG_OCI_HOOKS_H

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"
#include "util/text.h"

/* A runtime calls those of `prestart`, then those of `createRuntime`, while the container's
 * namespaces are there and its process waits. */
struct eg_oci_hook {
	const char *stage;
	bool first;       /* of its stage, before all others; false: after them */
	const char *text; /* a JSON object */
};

/*
 * Adds a hook. -EBADMSG: `config` is no JSON object, or has `hooks` or the stage twice, in other
 * letters, or as something else; `error` says which.
 */
int eg_oci_hooks_add(const char *config, size_t len, const struct eg_oci_hook *hook,
		     struct eg_text *ret_config, struct eg_error *error);

#endif /* EG_OCI_HOOKS_H */
