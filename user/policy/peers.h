/* SPDX-License-Identifier: GPL-2.0 */
/* The tunnel's peers as the guard knows them: their keys, and where they are. PURE. */
#ifndef EG_PEERS_H
#define EG_PEERS_H

#include "policy/policy.h"

#define EG_KEY_TEXT_LEN 44 /* base64, without the final NUL */

/* A public key as WireGuard's tools write it. */
char *eg_key_format(char to[EG_KEY_TEXT_LEN + 1], const __u8 key[32]);
/* `text` may go on after it. False: it does not begin with a key. */
bool eg_key_parse(const char *text, __u8 ret_key[32]);

/* Remembers a peer. 0 or -ENOMEM. */
int eg_peers_add(struct eg_derived *derived, const struct eg_known_peer *peer);

/*
 * A peer of the live tunnel is at `endpoint` now. If its key is known and it was elsewhere, that is
 * where it is from now on: true. A key that is not known changes nothing.
 */
bool eg_peers_move(struct eg_derived *derived, const __u8 key[32],
		   const struct eg_endpoint *endpoint);

/* Makes `derived->endpoints` those of the known peers, each once. 0 or -ENOMEM, and then they are
 * as they were. */
int eg_peers_to_endpoints(struct eg_derived *derived);

#endif /* EG_PEERS_H */
