/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A wg0.conf with the edits of the pattern made right: routes past the tunnel for the LAN, and a
 * kill switch. Everything else stays as it is, hooks that did the same are made comments. What was
 * rendered once is replaced as a whole, so doing it again changes nothing. PURE.
 */
#ifndef EG_WGRENDER_H
#define EG_WGRENDER_H

#include "policy/wgcheck.h"

enum eg_wgkill {
	EG_WGKILL_BOTH,        /* the rules, for when no guard is there */
	EG_WGKILL_IPTABLES,    /* the rules alone */
	EG_WGKILL_EGRESSGUARD, /* routes alone */
};
extern const char *const eg_wgkill_names[3];

/*
 * 0 with the new text, and the report on it: where that has errors, they are none that this can
 * put right, and the text is not to be used. -EINVAL and the error, with its place in the file:
 * hooks do what would come to harm beside the rendered ones, or by half. -ENOMEM. *ret_text is the
 * caller's to free.
 */
int eg_wgrender(const struct eg_wgfile *file, const struct eg_wgfacts *facts, enum eg_wgkill kill,
		char **ret_text, struct eg_wgreport **ret_report, struct eg_error *error);

#endif /* EG_WGRENDER_H */
