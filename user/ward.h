/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One guard that the daemon keeps in force: what a file says of it, its target, and the process's
 * part of it (follow.h). What to do next is daemon/plan.h's word; here it is found out and done.
 */
#ifndef EG_WARD_H
#define EG_WARD_H

#include "aside.h"
#include "eg_abi.h"
#include "follow.h"
#include "net/runtime.h"

struct eg_ward;

/* `name` is the guard's. It has no file until eg_ward_set_policy(). NULL: out of memory. What it
 * has to wait for it adds to `epoll_fd`, with itself as data. */
struct eg_ward *eg_ward_new(const char *pin_dir, const char *name, int epoll_fd);

/* Whom it asks for a guard that its namespace has by another name (aside.h). */
void eg_ward_set_ask(struct eg_ward *ward, eg_ask_yields ask, void *argument);

/* What is to be answered of its guard. */
enum eg_yields eg_ward_yields(struct eg_ward *ward, const struct eg_netns *netns);

/* Lets go of it; what is pinned stays in force. */
void eg_ward_free(struct eg_ward *ward);

const char *eg_ward_name(const struct eg_ward *ward);

/* The file's text when it last parsed, NULL: none. Of a file that is gone, what is in force is kept
 * up, and nothing put in its place. */
const char *eg_ward_policy(const struct eg_ward *ward);
int eg_ward_set_policy(struct eg_ward *ward, const char *text, const char *target);
void eg_ward_drop_policy(struct eg_ward *ward);

/* Whether the file does not parse, so that what it said before counts: the guard says so. */
void eg_ward_set_spoilt(struct eg_ward *ward, bool is_spoilt);

/* A guard in force under that name says which policy it was made with: what counts where the file
 * never parsed. -ENOENT: there is none. */
int eg_ward_recall_policy(struct eg_ward *ward, struct eg_error *error);

/* Does what following asks for, when `epoll_fd` says so. */
void eg_ward_follow_work(struct eg_ward *ward);

/* What may have changed, so that it is looked at anew: whatever it is; the guard's pins; a
 * namespace that a file keeps; a container, by id and name (each may be NULL: any). */
void eg_ward_touch(struct eg_ward *ward);
void eg_ward_touch_pins(struct eg_ward *ward);
void eg_ward_touch_files(struct eg_ward *ward);
void eg_ward_touch_container(struct eg_ward *ward, enum eg_runtime runtime, const char *id,
			     const char *name);

/* Whether it answers. One that does not is not asked: it may take long over not answering. */
void eg_ward_set_engine(struct eg_ward *ward, enum eg_runtime runtime, bool up);

/* Whether a container engine may have to say something of its target. */
bool eg_ward_asks(const struct eg_ward *ward, enum eg_runtime runtime);

/* CLOCK_MONOTONIC nanoseconds at which eg_ward_work() has something to do. */
__u64 eg_ward_due_ns(const struct eg_ward *ward);

/* Does it. True: it gave its guard away to another name, *ret_aside, the caller's to free, which is
 * to be kept up from now on. */
bool eg_ward_work(struct eg_ward *ward, char **ret_aside);

/* Whether what should be in force is in force: when that is to be looked at, and the look, which
 * takes some milliseconds. What it finds is for the next eg_ward_work(). */
__u64 eg_ward_check_due_ns(const struct eg_ward *ward);
void eg_ward_check(struct eg_ward *ward);

/* To be followed when eg_ward_follow_now() says so, and not at once: to load what holds the layer
 * `netns` takes a hundred times as long as to see that a guard is in force. Meanwhile an interface
 * that appears is not covered. */
void eg_ward_follow_later(struct eg_ward *ward);
/* Whether that is what it waits for. */
bool eg_ward_waits_to_follow(const struct eg_ward *ward);
/* The next eg_ward_work() does it; as does each from now on, without delay. */
void eg_ward_follow_now(struct eg_ward *ward);

/* Whether its target is there, and could not be guarded when that was last tried. */
bool eg_ward_is_open(const struct eg_ward *ward);

/* Whether it has guarded the namespace that this process is in. */
bool eg_ward_guards_self(const struct eg_ward *ward);

/* Whether its target may come, or come back as another namespace. */
bool eg_ward_may_come(const struct eg_ward *ward);
/* Whether there is no guard of its name. */
bool eg_ward_is_missing(const struct eg_ward *ward);

/* Without a file, and nothing left to keep up. */
bool eg_ward_is_over(const struct eg_ward *ward);

#endif /* EG_WARD_H */
