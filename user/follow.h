/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Follows a guard in force: holds its layer `netns`, puts `device` and `peer` on each interface
 * that appears, takes them off what became the tunnel, clears what is left of those that go. It
 * keeps up with whoever replaces the guard or takes it away, and lets go of the namespace when
 * nothing else keeps it, so that it can end.
 *
 * One object is one guard, and one descriptor to wait for: a process may follow many.
 */
#ifndef EG_FOLLOW_H
#define EG_FOLLOW_H

#include <stdbool.h>

#include "net/netns.h"
#include "util/error.h"

struct eg_follow;
struct eg_hold;

/* What happens, a line each, for whoever runs it: names in it are escaped. */
typedef void (*eg_follow_say)(void *argument, bool warning, const char *line);

/*
 * The guard must be in force. Where this kernel has no layer `netns` that is said, and the rest is
 * done. Fails where nothing can be seen that keeps the namespace: it could then not be told when it
 * ends.
 */
int eg_follow_new(const char *pin_dir, const char *name, eg_follow_say say, void *argument,
		  struct eg_follow **ret_follow, struct eg_error *error);

/* What becomes of the guard's pins is told by the kernel, and not seen within a second. For who
 * follows few: a user has no more than 128 such watches by default. 0 or -errno. */
int eg_follow_watch(struct eg_follow *follow);

/* Lets go; what is pinned stays in force. */
void eg_follow_free(struct eg_follow *follow);
static inline void eg_follow_freep(struct eg_follow **follow)
{
	eg_follow_free(*follow);
}
#define EG_AUTO_FOLLOW __attribute__((cleanup(eg_follow_freep)))

/* The namespace; its fd is -1 where it was let go of. Valid until the next call. */
const struct eg_netns *eg_follow_netns(const struct eg_follow *follow);

/* The layer `netns`, NULL: it is not held. Valid until the next call. */
const struct eg_hold *eg_follow_hold(const struct eg_follow *follow);

/* Whether the guard is in force under its name, on the namespace, which was not let go of: all of
 * that as it was when it was last looked at, and nothing opened. */
bool eg_follow_is_current(const struct eg_follow *follow);

/* Whether interfaces or addresses have changed since this was last asked: what `attach` would learn
 * now may be other than what is in force. */
bool eg_follow_has_changed(struct eg_follow *follow);

/* Whether the namespace may ask for its endpoints' names: there is no tunnel. */
bool eg_follow_names_open(const struct eg_follow *follow);

/* Has the next eg_follow_work() look at once whether the guard is still there, and whether anything
 * keeps the namespace. */
void eg_follow_hurry(struct eg_follow *follow);

/* Readable when there is something to do: for poll(2). */
int eg_follow_fd(const struct eg_follow *follow);

enum eg_follow_end {
	EG_FOLLOW_GOES_ON,
	EG_FOLLOW_DETACHED,   /* the guard was taken away */
	EG_FOLLOW_GONE,       /* its namespace has ended, and it was taken away */
	EG_FOLLOW_TAKEN_OVER, /* another process follows it now */
};

/* Does what is to be done, and does not wait. Failures that may pass are said, and tried again. */
enum eg_follow_end eg_follow_work(struct eg_follow *follow);

#endif /* EG_FOLLOW_H */
