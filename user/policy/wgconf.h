/* SPDX-License-Identifier: GPL-2.0 */
/* What a guard takes from wg0.conf. PURE. Never keeps a key. */
#ifndef EG_WGCONF_H
#define EG_WGCONF_H

#include "policy/policy.h"
#include "policy/wgfile.h"

#define EG_WGCONF_MAX EG_WGFILE_MAX

/* Owns what it points to. */
struct eg_wgconf {
	struct eg_prefix *addresses; /* Address =, host bits kept in addresses_host */
	union eg_addr *address_hosts;
	size_t n_addresses;
	struct eg_prefix *dns; /* DNS = servers, whole-length; search domains are skipped */
	size_t n_dns;
	struct eg_endpoint *endpoints; /* [Peer] Endpoint =; may be host names */
	size_t n_endpoints;
	__u16 listen_port; /* 0: not given */
};

/* Sections and keys in any case, repeated keys, comments after #, comma lists; unknown keys and
 * sections are skipped (wgconf check, another command, is the one that lints). An unreadable
 * Address, DNS or Endpoint is an error with its place; a message never quotes a PrivateKey or
 * PresharedKey. */
int eg_wgconf_parse(const char *text, size_t len, struct eg_wgconf **ret_conf,
		    struct eg_error *error);
void eg_wgconf_free(struct eg_wgconf *conf);
static inline void eg_wgconf_freep(struct eg_wgconf **conf)
{
	eg_wgconf_free(*conf);
}
#define EG_AUTO_WGCONF __attribute__((cleanup(eg_wgconf_freep)))

#endif /* EG_WGCONF_H */
