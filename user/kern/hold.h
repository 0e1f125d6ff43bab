/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The layer `netns`: BPF netfilter links on IPv4's and IPv6's post-routing, over the guard's own
 * maps. They keep the namespace alive as a process in it would, so they are never pinned: they last
 * as long as whoever holds them, and that one must let go when nobody else keeps the namespace
 * (net/witness.h).
 */
#ifndef EG_HOLD_H
#define EG_HOLD_H

#include "kern/guard.h"

struct eg_hold; /* descriptors of links and a program */
/* The layer ends. */
void eg_hold_close(struct eg_hold *hold);
static inline void eg_hold_closep(struct eg_hold **hold)
{
	eg_hold_close(*hold);
}
#define EG_AUTO_HOLD __attribute__((cleanup(eg_hold_closep)))

/*
 * Loads the program and attaches it, at priority INT_MAX - 1, so that nothing but the confirmation
 * of connections comes after it; one lower for each that is there already. -EOPNOTSUPP with a
 * message where this kernel has no such links, or no BTF that the program could be loaded with.
 */
int eg_hold_open(struct eg_guard *guard, const struct eg_netns *netns, struct eg_hold **ret_hold,
		 struct eg_error *error);

/* The program alone, loaded over the maps of a guard that may be none yet (spare.h), attached to
 * nothing. -EOPNOTSUPP: it cannot be had here. */
int eg_hold_prepare(struct eg_guard *guard, struct eg_hold **ret_hold);

/* Tells the layer what it cannot see itself: `device`'s programs, which may be loaded since, and
 * the indexes of tun interfaces that a userspace WireGuard runs. */
int eg_hold_update(struct eg_hold *hold, const struct eg_guard *guard, const __u32 *tuns, size_t n);

/* What tells this holder from others in the guard's meta (hold_prog_id). */
__u32 eg_hold_id(const struct eg_hold *hold);

/* --- for whoever does not hold it ------------------------------------------------------------- */

/* The netfilter links of this machine that stand over some guard's maps. */
struct eg_holds;
int eg_holds_get(struct eg_holds **ret_holds);
/* Those of `hold` alone, as the kernel has them: the machine may have thousands. */
int eg_holds_by(const struct eg_hold *hold, struct eg_holds **ret_holds);
void eg_holds_free(struct eg_holds *holds);
static inline void eg_holds_freep(struct eg_holds **holds)
{
	eg_holds_free(*holds);
}
#define EG_AUTO_HOLDS __attribute__((cleanup(eg_holds_freep)))

/* Of the holder that the guard's meta names. */
struct eg_held {
	unsigned int ipv4, ipv6; /* links */
	unsigned int
		others; /* links of another: a holder before or after that one, or none of ours */
	__s32 priority; /* the highest number, IPv4's: the one that runs last */
};
int eg_holds_of(const struct eg_holds *holds, struct eg_guard *guard, struct eg_held *ret_held);

/* Whether the layer can be loaded here; `why` says why not. */
bool eg_hold_is_possible(struct eg_error *why);

#endif /* EG_HOLD_H */
