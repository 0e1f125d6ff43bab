/* SPDX-License-Identifier: GPL-2.0 */
/* What becomes of a kind of packet in the OUTPUT chain that a wg0.conf's hooks leave behind. PURE.
 */
#ifndef EG_WGWALK_H
#define EG_WGWALK_H

#include "policy/wgchain.h"

/* By way of the underlay, unless one of the first two is set. */
struct eg_wgpacket {
	bool tunnel, loopback;
	bool marked;                 /* it is WireGuard's own */
	bool named;                  /* to an address that the file gives by a name */
	bool answers;                /* or an answer to what came in */
	const struct eg_prefix *dst; /* all of these; NULL: somewhere in the internet */
	const char *out;             /* the underlay's name; NULL: not known */
};

enum eg_wgend {
	EG_WGEND_PASSES,
	EG_WGEND_DROPPED,
	EG_WGEND_UNSURE, /* by a rule that may be for it or not */
};

struct eg_wgwalk {
	enum eg_wgend end;
	const struct eg_wgop *by;       /* which decides, a chain's policy too; NULL: none does */
	const struct eg_wgrule *unsure; /* the first that may be for it */
	bool some_pass;                 /* some of them, by their protocol or port, do */
};

/* The one interface to leave by that the rules name, NULL: none, or several. */
const char *eg_wgchain_underlay(const struct eg_wgchain *chain);

/* What it returns points into the chain. */
struct eg_wgwalk eg_wgwalk_chain(const struct eg_wgchain *chain, const struct eg_wgpacket *packet);

#endif /* EG_WGWALK_H */
