/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One derivation, eg_derive(): what the files of derive_*.c share. Each adds what its source says
 * to policy->derived, and a line to `warnings` for what the user should know. They return 0, or
 * -errno and fill `error`; what was added until then stays, since no policy of a derivation that
 * failed is used.
 */
#ifndef EG_DERIVATION_H
#define EG_DERIVATION_H

#include "derive.h"

/* Owns nothing. */
struct eg_derivation {
	const struct eg_target *target;
	const struct eg_survey *survey;
	const struct eg_policy *in_force; /* whose derived part may stay; NULL: none */
	enum eg_derive_terms terms;
	struct eg_policy *policy;
	struct eg_text *warnings;
};

/* Of what there can be any number of, as root inside has it: how many lines are said, so that
 * nobody's log is drowned. */
#define EG_DERIVE_SHOWN_MAX 4

/* --- derive.c -------------------------------------------------------------------------------- */

/* Adds a prefix that may be reached through the tunnel only, once. 0 or -ENOMEM. */
int eg_derive_add_tunnel_only(struct eg_policy *policy, const struct eg_prefix *prefix);

/* --- derive_conf.c --------------------------------------------------------------------------- */

/*
 * Of the tunnel's configuration (--wg-conf): of a file that the user named, all of it, and
 * policy->wg_conf is its absolute path from then on; of one inside the container only what narrows,
 * and that it cannot be read or does not parse is then a warning.
 */
int eg_derive_conf(const struct eg_derivation *derivation, struct eg_error *error);

/* --- derive_endpoints.c ---------------------------------------------------------------------- */

/* The endpoints, where the user and the configuration name none, and the addresses of those that
 * are names. By hand it is a failure that there is none. */
int eg_derive_endpoints(const struct eg_derivation *derivation, struct eg_error *error);

/* --- derive_addresses.c ---------------------------------------------------------------------- */

/* The tunnels' subnets, which are tunnel-only, and the underlays' addresses and subnets, as far as
 * something outside knows them. The target has a namespace. */
int eg_derive_addresses(const struct eg_derivation *derivation, struct eg_error *error);

#endif /* EG_DERIVATION_H */
