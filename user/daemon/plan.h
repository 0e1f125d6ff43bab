/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the daemon decides: from what is known of a guard that a file asks for, the next step
 * towards it; from what a file said and says, whose word counts. PURE: no I/O, no clock.
 */
#ifndef EG_PLAN_H
#define EG_PLAN_H

#include <stdbool.h>

enum eg_plan_target {
	EG_PLAN_TARGET_AWAY,    /* there is none of that name */
	EG_PLAN_TARGET_HERE,    /* it is there, in a namespace that we have seen */
	EG_PLAN_TARGET_UNKNOWN, /* who could tell does not answer, or it is two things at once */
};

enum eg_plan_guard {
	EG_PLAN_GUARD_NONE,
	EG_PLAN_GUARD_ON_IT,      /* on the namespace that the target is now */
	EG_PLAN_GUARD_ELSEWHERE,  /* on another one (or on the last one seen), which lives on */
	EG_PLAN_GUARD_DEAD,       /* its namespace has ended */
	EG_PLAN_GUARD_UNREADABLE, /* another version's, or not whole */
	EG_PLAN_GUARD_OLDER,      /* an older version's, which the start of a container made */
};

struct eg_plan_facts {
	bool wanted; /* a file that was read asks for it */
	enum eg_plan_target target;
	enum eg_plan_guard guard;
	bool policy_is_new; /* the file was read since it was last put in force */
	bool is_damaged;    /* something that should be in force is not */
	bool has_changed; /* a peer of the tunnel is elsewhere, or what is there to be learned is */
	bool followed;    /* by us, on the namespace that it guards */
	bool others_follow; /* another process does */
};

enum eg_plan_step {
	EG_PLAN_REST,   /* until something changes */
	EG_PLAN_WAIT,   /* ask again */
	EG_PLAN_ASIDE,  /* give the guard another name, in force as it is: its own is wanted */
	EG_PLAN_ATTACH, /* put the file's policy in force on the target */
	EG_PLAN_FOLLOW, /* hold its layer `netns`, and keep up with its interfaces */
	EG_PLAN_RENEW,  /* put one of this version in its place, of the policy that it has */
};

/*
 * A guard in force is never taken away, and nothing is put in its place but a policy that a file
 * gives, or its own. Each step changes the facts: ask again after it.
 */
enum eg_plan_step eg_plan_next(const struct eg_plan_facts *facts);

/* What has become of a file. */
enum eg_plan_file {
	EG_PLAN_FILE_NEW,
	EG_PLAN_FILE_SAME,
	EG_PLAN_FILE_CHANGED,
	EG_PLAN_FILE_BAD,        /* it does not parse: what it said before counts */
	EG_PLAN_FILE_NEVER_READ, /* it does not parse, and never did */
	EG_PLAN_FILE_GONE,
};

/* `before`: what it said when it last parsed, NULL: it never did. `now`: what it says, NULL: it is
 * not there, or (`is_bad`) it does not parse. */
enum eg_plan_file eg_plan_file(const char *before, const char *now, bool is_bad);

#endif /* EG_PLAN_H */
