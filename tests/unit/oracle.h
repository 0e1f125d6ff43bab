/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A second opinion: the decision table of egressguard(8) in the slowest and plainest way, over a
 * frame's bytes and the policy's own lists. It shares no code with eg_parse.h, eg_decide.h and the
 * compiler of images, so that what both sides say is said twice.
 */
#ifndef EG_TESTS_ORACLE_H
#define EG_TESTS_ORACLE_H

#include "policy/explain.h"
#include "policy/policy.h"

/* Rows 1 to 17. All of the frame must be there: captured is length. */
enum eg_reason oracle_judge(const struct eg_policy *policy, const struct eg_host_frame *frame);

#endif /* EG_TESTS_ORACLE_H */
