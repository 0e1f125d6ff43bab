/* SPDX-License-Identifier: GPL-2.0 */
/* PURE: the keys of a policy file, for policy.c alone; others have eg_policy_set(). */
#ifndef EG_POLICY_KEYS_H
#define EG_POLICY_KEYS_H

#include "policy/lines.h"
#include "policy/policy.h"

/* As a file has it: a line for each of its values, none where there is none. */
void eg_policy_put_key(struct eg_text *text, enum eg_policy_key_id key,
		       const struct eg_policy *policy);

/* Of the section [Derived]. -ENOENT: there is no such key; otherwise as eg_policy_set(). */
int eg_policy_set_derived(struct eg_derived *derived, const struct eg_token *key, const char *value,
			  struct eg_error *error);
void eg_policy_put_derived(struct eg_text *text, const struct eg_derived *derived);

#endif /* EG_POLICY_KEYS_H */
