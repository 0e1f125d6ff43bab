/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A hook put into a container's config.json. PURE.
 *
 * Into its text, which otherwise stays as it is, byte by byte: what a parser makes of numbers
 * beyond its own (2^64 - 1 is a usual limit there), of members that nobody knows yet or of their
 * order would not come out as it went in.
 */
#ifndef EG_OCI_HOOKS_H
#define EG_OCI_HOOKS_H

#include <stddef.h>

#include "util/error.h"
#include "util/text.h"

/*
 * Adds `hook`, a JSON object, as the last of hooks.createRuntime, so that all others of that stage,
 * and those of `prestart`, which come before, have run. -EBADMSG: `config` is no JSON object, or
 * has these members twice, in other letters, or as something else; `error` says which.
 */
int eg_oci_hooks_add(const char *config, size_t len, const char *hook, struct eg_text *ret_config,
		     struct eg_error *error);

#endif /* EG_OCI_HOOKS_H */
