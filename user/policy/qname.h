/* SPDX-License-Identifier: GPL-2.0 */
/* Host names as DNS questions have them. PURE. */
#ifndef EG_QNAME_H
#define EG_QNAME_H

#include "policy/policy.h"

/* A name of letters, digits, '-' and '_', in labels of at most 63; a final dot may be left out.
 * -EINVAL with a message for all else, and for what is no name but of one letter. */
int eg_qname_make(const char *host, struct eg_bootstrap_name *ret_name, struct eg_error *error);

/* The bytes, in lower case; returns `to`, name->len of which are in use. */
__u8 *eg_qname_bytes(const struct eg_bootstrap_name *name, __u8 to[EG_QNAME_MAX]);

/* As a person writes it. */
#define EG_QNAME_TEXT_LEN (EG_QNAME_MAX + 1)
char *eg_qname_format(char to[EG_QNAME_TEXT_LEN], const struct eg_bootstrap_name *name);

/* Sorted, each once. -ENOSPC: more than there is room for. */
int eg_qname_add(struct eg_bootstrap *bootstrap, const struct eg_bootstrap_name *name);
bool eg_qname_is_in(const struct eg_bootstrap *bootstrap, const struct eg_bootstrap_name *name);

#endif /* EG_QNAME_H */
