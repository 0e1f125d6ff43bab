/* SPDX-License-Identifier: GPL-2.0 */
/* CHECK of the CNI plugin. */
#ifndef EG_CNI_CHECK_H
#define EG_CNI_CHECK_H

#include "cni/protocol.h"

/*
 * Whether the namespace has a guard that is in force and whole, and allows no more than
 * request->policy. -EINVAL and `error`: it has none, or not all of that, or that cannot be told.
 */
int eg_cni_check(const struct eg_cni_request *request, struct eg_cni_error *error);

#endif /* EG_CNI_CHECK_H */
