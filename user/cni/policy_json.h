/* SPDX-License-Identifier: GPL-2.0 */
/* A policy as a network configuration has it. PURE. */
#ifndef EG_CNI_POLICY_JSON_H
#define EG_CNI_POLICY_JSON_H

#include <jansson.h>

#include "cni/protocol.h"

/*
 * An object with the keys of a policy file (one that repeats may have an array of values, a switch
 * a boolean), or a string with the text of such a file. Without a target, which is the pod.
 */
int eg_cni_policy_read(const json_t *value, struct eg_policy **ret_policy,
		       struct eg_cni_error *error);

#endif /* EG_CNI_POLICY_JSON_H */
