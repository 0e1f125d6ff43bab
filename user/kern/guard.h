/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guard in the kernel: load, fill, attach, pin; open again from its pins; replace its policy;
 * take it away. The order is the promise: maps are filled before anything is attached, new links
 * are in force before old ones go, and a process killed at any point leaves what was in force.
 */
#ifndef EG_GUARD_H
#define EG_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include "kern/pins.h"
#include "net/link.h"
#include "policy/image.h"

struct eg_guard; /* descriptors of the guard's maps and programs */
/* One that was made and not committed is taken away; what it would have replaced stays in force. */
void eg_guard_close(struct eg_guard *guard);
static inline void eg_guard_closep(struct eg_guard **guard)
{
	eg_guard_close(*guard);
}
#define EG_AUTO_GUARD __attribute__((cleanup(eg_guard_closep)))

/* --- making one ---------------------------------------------------------------------------- */

/*
 * Loads the programs (with the checksum test where the kernel has BTF and lets them read its
 * memory, else without, and sets EG_META_NO_CHECKSUM_TEST), fills the maps, pins all of it as
 * `_new-NAME`. Nothing is attached yet. A leftover `_new-NAME` is first moved aside to
 * `_half-NAME`, still in force until the commit. meta->magic, abi_version, version, policy_len and
 * generation are filled in here.
 */
int eg_guard_create(struct eg_pins *pins, const struct eg_meta *meta, const char *policy_text,
		    const struct eg_image *image, struct eg_guard **ret_guard,
		    struct eg_error *error);

/* Gives a made guard, with its links on, its name, then removes whatever had that name or was left
 * over: new beside old, then old removed. What cannot be removed is left to eg_pins_sweep(). */
int eg_guard_commit(struct eg_guard *guard, struct eg_error *error);

/* Takes a made guard away that was not committed, its links included. The one it would have
 * replaced stays in force. */
void eg_guard_abort(struct eg_guard *guard);

/*
 * Opens a guard from its pins. -ENOENT: there is none. -EPROTO: made by another ABI version
 * (*ret_guard is a guard that only eg_guard_meta() and eg_guard_remove() take). -EBADF: something
 * that is not ours is in its place; `error` says what and where. -ENODATA: a pin is missing.
 */
int eg_guard_open(struct eg_pins *pins, const char *name, struct eg_guard **ret_guard,
		  struct eg_error *error);

/* Closes what can be opened again by its pin, as is done where it is needed: for who keeps many
 * guards open and has little to do with most. */
void eg_guard_rest(struct eg_guard *guard);

/*
 * The same, but of its pins only the identity's, for whoever looks through all guards: a machine
 * may have a thousand. For eg_guard_meta() and, on a namespace, eg_guard_is_dead(). No guard that
 * eg_guard_open() opens is refused here; of the others some are opened.
 */
int eg_guard_open_identity(struct eg_pins *pins, const char *name, struct eg_guard **ret_guard);

/* What a guard of this version says of itself, and nothing else of it: whether it is whole is not
 * looked at. Any failure: eg_guard_open() tells. */
int eg_guard_identity(const struct eg_pins *pins, const char *name, struct eg_meta *ret_meta);

/* Takes the guard of that name away, its links, filters and pins, and any leftovers of it. Works
 * for other ABI versions too: what it removes is told by the names of pins. */
int eg_guard_remove(struct eg_pins *pins, const char *name, struct eg_error *error);

/* Gives the guard of that name another one, which must be free, and has it say "net:[INODE]" of its
 * target; it is in force all the time. For a guard whose name is wanted for the namespace that its
 * target has now. */
int eg_guard_rename(struct eg_pins *pins, const char *name, const char *to, struct eg_error *error);

/* --- covering interfaces ------------------------------------------------------------------- */

/*
 * Puts the layer on an interface unless it is on it already: a tcx link, first in the chain, else
 * (kernel before 6.6) a clsact filter of priority 1. `device` goes on `link` in `netns`; `peer` on
 * `peer_ifindex` in `peer_netns`, and is named after the underlay `link`. Links are pinned at once.
 */
int eg_guard_cover_device(struct eg_guard *guard, const struct eg_netns *netns,
			  const struct eg_link *link, struct eg_error *error);
int eg_guard_cover_peer(struct eg_guard *guard, const struct eg_link *link,
			const struct eg_peer *peer, struct eg_error *error);

/* The program that refuses Docker's resolver, on loopback. */
int eg_guard_cover_lo(struct eg_guard *guard, const struct eg_netns *netns,
		      const struct eg_link *lo, struct eg_error *error);

enum eg_cover_state {
	EG_COVER_NONE,     /* not attached */
	EG_COVER_ATTACHED, /* attached, and first in the chain */
	EG_COVER_BEHIND,   /* attached, but another program runs first */
	EG_COVER_UNPINNED, /* attached, but no pin holds it there (or says where it is) */
};
enum eg_cover_state eg_guard_device_state(struct eg_guard *guard, const struct eg_netns *netns,
					  const struct eg_link *link, bool *ret_tcx);
enum eg_cover_state eg_guard_peer_state(struct eg_guard *guard, const struct eg_link *link,
					const struct eg_peer *peer, bool *ret_tcx);

enum eg_cover_state eg_guard_lo_state(struct eg_guard *guard, const struct eg_netns *netns,
				      const struct eg_link *lo);

/* Whether nothing that the guard was attached to exists any more: none of its links has an
 * interface, and none of its clsact filters is in a namespace that anybody holds; or its cgroup is
 * gone. What cannot be told is alive. */
bool eg_guard_is_dead(struct eg_guard *guard);

/* Whether `device` is on an interface, or the layer `socket` takes it for an underlay; what cannot
 * be told is so. */
bool eg_guard_has_underlay(struct eg_guard *guard, const struct eg_netns *netns,
			   const struct eg_link *link);

/* Takes `device` off an interface that is an underlay no more (it became a declared tunnel), or
 * what is on loopback off that, and off no other one that has had the same index. */
int eg_guard_uncover(struct eg_guard *guard, const struct eg_netns *netns,
		     const struct eg_link *link);

/* Takes away pins of what is on no interface any more: theirs are gone. */
int eg_guard_clean(struct eg_guard *guard, const struct eg_netns *netns);

/* --- sockets -------------------------------------------------------------------------------- */

/*
 * The layer `socket`: puts the guard's programs behind those that all guards of this pin directory
 * share at the root of the cgroup hierarchy (kern/shared.c), which are put there, or mended, first.
 * -EOPNOTSUPP: this kernel or this machine cannot have it; `error` says why. Any other failure is
 * one of this moment.
 */
int eg_guard_cover_sockets(struct eg_guard *guard, const struct eg_netns *netns,
			   struct eg_error *error);

enum eg_sockets_state {
	EG_SOCKETS_NONE,    /* the guard was made without: EG_META_NO_SOCKET */
	EG_SOCKETS_MISSING, /* something of it is not in its place */
	EG_SOCKETS_ATTACHED,
};
/* `ret_missing`: what is not in its place, for a person. */
enum eg_sockets_state eg_guard_sockets_state(struct eg_guard *guard, const char **ret_missing);

/* Whether it refuses PACKET_QDISC_BYPASS. Not every kernel with this layer can. */
bool eg_guard_has_setsockopt(const struct eg_guard *guard);

/* Why this machine cannot have it; NULL: nothing is known against it. */
const char *eg_sockets_obstacle(void);

/* Whether its programs can be loaded here, and their hooks reached; `why` says why not.
 * *ret_setsockopt: whether PACKET_QDISC_BYPASS can be refused. */
bool eg_sockets_are_possible(bool *ret_setsockopt, struct eg_error *why);

/* Notes in the guard's meta whether it has the layer. */
int eg_guard_note_sockets(struct eg_guard *guard, bool has);

/* --- cgroups -------------------------------------------------------------------------------- */

/*
 * The layer `cgroup` of a guard whose meta says EG_META_CGROUP: the program at the egress of that
 * cgroup (`cgroup_fd`), and the programs of the layer `socket` there, unless they are there
 * already. Links are pinned at once. -EOPNOTSUPP: this kernel cannot, or another program claims the
 * cgroup for itself.
 */
int eg_guard_cover_cgroup(struct eg_guard *guard, int cgroup_fd, struct eg_error *error);
int eg_guard_cover_cgroup_sockets(struct eg_guard *guard, int cgroup_fd, struct eg_error *error);

/* Whether it is attached to the guard's cgroup, and pinned. */
bool eg_guard_is_on_cgroup(struct eg_guard *guard);

/* Whether the cgroup that it was attached to is there: 1, or 0 if it was removed, though the kernel
 * may keep what is attached for its sockets; or a negative errno. */
int eg_guard_cgroup_exists(const struct eg_guard *guard);
/* The same of the layer `socket`. `ret_missing`: what is not in its place, for a person. */
enum eg_sockets_state eg_guard_cgroup_sockets_state(struct eg_guard *guard,
						    const char **ret_missing);

/* The namespace whose tunnels are free to it. Closed while it is written: where it changes, none
 * is for that moment. */
int eg_guard_set_home(struct eg_guard *guard, const struct eg_home *home);
int eg_guard_home(struct eg_guard *guard, struct eg_home *ret_home);

/* --- its policy ----------------------------------------------------------------------------- */

/* Whether its meta and its policy can be read: of one that eg_guard_open() has said -EPROTO of,
 * too, where its version is not too old. */
bool eg_guard_is_readable(const struct eg_guard *guard);

/* The text in force, with [Derived]; the caller frees. */
int eg_guard_policy(struct eg_guard *guard, char **ret_text, size_t *ret_len);

/*
 * Fills the slot that is not in use (waiting until EG_TRANSITION_NS have passed since the last
 * switch), then flips the word. Meta (generation, replaced, policy_len, flags, target's identity)
 * follows. On any failure the old policy stays in force. -E2BIG: it does not fit into the tables
 * that this guard was made with (twice what its first policy needed, and a little for small ones);
 * a new guard beside it, eg_guard_create() to eg_guard_commit(), gets larger ones.
 */
int eg_guard_replace(struct eg_guard *guard, const char *policy_text, const struct eg_image *image,
		     struct eg_error *error);

/*
 * Whether what decides is the policy in force, compiled by the caller as `image`, and as the last
 * command left it: 1, 0 (*ret_what: which table), -errno. Somebody with access to the pins may have
 * written to them.
 */
int eg_guard_check(struct eg_guard *guard, const struct eg_image *image, const char **ret_what);

/*
 * Whether its pins are of what it was made of: 1, 0 (*ret_what: the pin that something else has
 * been put in the place of, or which its programs do not use), -errno. Who writes to `meta` as well
 * is not noticed.
 */
int eg_guard_is_genuine(struct eg_guard *guard, const char **ret_what);

/* Whether it is still what its name means: 1; 0: it was taken away or replaced as a whole; -errno.
 */
int eg_guard_is_current(struct eg_guard *guard);
/* Reads its meta again: another command may have written it. */
int eg_guard_refresh(struct eg_guard *guard);

/* As it was last read or written; the guard's. */
const struct eg_meta *eg_guard_meta(const struct eg_guard *guard);
/* Writes it: 0 or -errno. */
int eg_guard_set_meta(struct eg_guard *guard, const struct eg_meta *meta);

/* --- endpoints' names ----------------------------------------------------------------------- */

/* For how long from now on an endpoint's name may be asked for; 0: not any more. And how much of it
 * is left. */
int eg_guard_set_window(struct eg_guard *guard, unsigned int ms);
int eg_guard_window(struct eg_guard *guard, unsigned int *ret_ms);

/* --- what it counted ------------------------------------------------------------------------ */

/* Summed over CPUs; EG_COUNTERS_ALL entries, eg_counter_index(). */
int eg_guard_counters(struct eg_guard *guard, struct eg_counter ret_counters[EG_COUNTERS_ALL]);

/* What `device` answered (OnBlock = reject), summed over CPUs. */
int eg_guard_answers(struct eg_guard *guard, __u64 *ret_sent, __u64 *ret_withheld);

struct eg_recent {
	struct eg_recent_key key;
	struct eg_recent_value value;
};
/* Newest first; the caller frees. */
int eg_guard_recent(struct eg_guard *guard, struct eg_recent **ret_recent, size_t *ret_n);

/* --- probes --------------------------------------------------------------------------------- */

/* Has what these sockets send (at most EG_PROBE_SOCKETS), and the socket options that the process
 * `pid` asks for, counted apart, as `verify`'s, for `ms` from now. Neither sockets nor `pid`: ends
 * it. No verdict changes by it. */
int eg_guard_set_probes(struct eg_guard *guard, const __u64 *cookies, size_t n, __u32 pid,
			unsigned int ms);

/* Lets this one packet socket set PACKET_QDISC_BYPASS, which the layer `socket` refuses to any
 * other, or takes that back. A guard of before knows no exception and refuses all the same. 0 or
 * -errno. */
int eg_guard_permit_bypass(struct eg_guard *guard, int socket_fd, bool permitted);

/* The process that made this socket, by the number that programs see, which in a PID namespace is
 * not our own. 0: not known. */
__u32 eg_guard_maker_of(struct eg_guard *guard, int socket_fd);

/* Whether a `verify` is at work on it, or was until it was killed a moment ago. */
int eg_guard_has_probes(struct eg_guard *guard);

/* --- viewers -------------------------------------------------------------------------------- */

struct eg_viewer;
typedef int (*eg_viewer_event)(const struct eg_event *event, void *argument);

/* Takes a free or stale slot. -EBUSY with a message when all EG_VIEWERS slots are live. */
int eg_viewer_open(struct eg_guard *guard, eg_viewer_event call, void *argument,
		   struct eg_viewer **ret_viewer, struct eg_error *error);
/* Frees the slot. */
void eg_viewer_close(struct eg_viewer *viewer);
/* Readable when events are there: for poll(2). */
int eg_viewer_fd(const struct eg_viewer *viewer);
/* Keeps the slot alive; call at least once a second. */
int eg_viewer_beat(struct eg_viewer *viewer);
/* Consumes what is there. Stops and returns a non-zero result of the callback; else events read. */
int eg_viewer_consume(struct eg_viewer *viewer);
/* Events that this viewer did not get because its buffer was full. */
uint64_t eg_viewer_lost(struct eg_viewer *viewer);
/* Stale slots of a guard are emptied; returns how many were. */
int eg_viewers_reclaim(struct eg_guard *guard);

#endif /* EG_GUARD_H */
