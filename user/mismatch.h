/* SPDX-License-Identifier: GPL-2.0 */
/* Where a running tunnel does otherwise than the policy expects. */
#ifndef EG_MISMATCH_H
#define EG_MISMATCH_H

#include "net/survey.h"
#include "policy/policy.h"

/*
 * Where it will not carry for that: adds a line for each peer that is (or has moved) where the
 * policy does not let it be reached, and for a source port that is not the pinned one. None where
 * the tunnel cannot be asked. Where it is carried past the guard (eg_outer_tell()) is added to
 * `elsewhere`, unless that is NULL.
 */
void eg_mismatch_tell(const struct eg_netns *netns, const struct eg_tunnel *tunnel,
		      const struct eg_policy *policy, struct eg_text *lines,
		      struct eg_text *elsewhere);

#endif /* EG_MISMATCH_H */
