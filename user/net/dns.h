/* SPDX-License-Identifier: GPL-2.0 */
/* One resolver, asked by us, from our own network namespace. */
#ifndef EG_DNS_H
#define EG_DNS_H

#include "policy/policy.h"

/*
 * All addresses, of both families, that the resolver gives for the endpoint's host name, each with
 * the endpoint's port; waits at most `timeout_ms`. The resolver's word is believed, that of nobody
 * else: what comes from another address, for another question (by the case of each letter, which is
 * drawn by lot) or with another number is left out.
 * -EHOSTUNREACH with a message where it names none. The caller frees *ret_endpoints.
 */
int eg_dns_resolve(const struct eg_prefix *resolver, const struct eg_endpoint *endpoint,
		   unsigned int timeout_ms, struct eg_endpoint **ret_endpoints, size_t *ret_n,
		   struct eg_error *error);

#endif /* EG_DNS_H */
