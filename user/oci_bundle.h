/* SPDX-License-Identifier: GPL-2.0 */
/* The config.json of a container's bundle: which policy it names, and our hooks in it. */
#ifndef EG_OCI_BUNDLE_H
#define EG_OCI_BUNDLE_H

#include <jansson.h>

#include "oci.h"

/*
 * Puts the hook there that seals the container by `terms`, which stand in its arguments, with the
 * policy that the container names, or theirs: the last one before its process may run. And, where
 * its network is made with it, the one that keeps that mute until then (net/mute.h): the first of
 * all, since Docker gives it its interface in a hook too. Nothing changes where terms->optional,
 * and no policy is named.
 */
int eg_oci_bundle_add_hooks(const char *bundle, const struct eg_oci_terms *terms,
			    struct eg_error *error);

/* 1: the container names a policy, or they do; 0: it is started without a guard; or an error. */
int eg_oci_bundle_wants_guard(const char *bundle, const struct eg_oci_terms *terms,
			      struct eg_error *error);

/* The terms of the hook that is there; their strings are in *ret_config, which the caller lets go
 * of. -ENOENT: it has none of ours. */
int eg_oci_bundle_find_hook(const char *bundle, json_t **ret_config, struct eg_oci_terms *ret_terms,
			    struct eg_error *error);

#endif /* EG_OCI_BUNDLE_H */
