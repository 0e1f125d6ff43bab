/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One attach, eg_attach(): what the files of attach_*.c share. Functions that return an int return
 * 0, or -errno and fill `error`; warnings go to result->warnings.
 */
#ifndef EG_ATTACHMENT_H
#define EG_ATTACHMENT_H

#include "attach.h"
#include "cover.h"
#include "home.h"
#include "kern/guard.h"
#include "net/cgroup_target.h"
#include "net/survey.h"
#include "resolver.h"

/* Owns all that it does not point to const, but for `policy` and `result`, which are the
 * caller's. */
struct eg_attachment {
	const struct eg_attach_request *request;
	struct eg_policy *policy;
	struct eg_attach_result *result;
	struct eg_target target; /* of a guard on a cgroup: what its home is, or no namespace */
	struct eg_cgroup cgroup;
	struct eg_home home;          /* what the programs are told of the tunnel's namespace */
	struct eg_home home_in_force; /* what those of the guard in force were told */
	struct eg_pins pins;
	struct eg_survey survey;
	struct eg_image *image;
	char *text;                 /* the policy's, as it is stored */
	struct eg_policy *in_force; /* of a guard of this name on this target */
	struct eg_guard *older;     /* that guard, where an older version has made it */
	bool accept_device_only;
	const char *forged; /* the pin of the guard in force that is not what was made, or NULL */
	struct eg_resolver resolver; /* Docker's own */
};

/* --- attach_target.c ------------------------------------------------------------------------- */

/* Opens the target and gives the guard its name. */
int eg_attach_open_target(struct eg_attachment *attach, struct eg_error *error);

/* Whether it is a cgroup, and no namespace. */
bool eg_attach_is_on_cgroup(const struct eg_attachment *attach);
/* Whether a guard of that meta is on it. */
bool eg_attach_is_same_target(const struct eg_attachment *attach, const struct eg_meta *meta);

/* --- attach_in_force.c ----------------------------------------------------------------------- */

/* -EBUSY: the target has a guard of another name. */
int eg_attach_refuse_second(struct eg_attachment *attach, struct eg_error *error);

/*
 * The guard of this name on this target, with its layers mended; *ret_guard, which the caller
 * closes, stays NULL where there is none that could be updated in place. Reads the policy in force,
 * and that guard's whom an older version has made (attach->older) too. -EBUSY: it guards another
 * target, which would be open without it.
 */
int eg_attach_find_guard(struct eg_attachment *attach, struct eg_guard **ret_guard,
			 struct eg_error *error);

/* -EBUSY: a guard whose pins are out of reach is on the namespace, and `guard`, the one in force,
 * is NULL. Else such a one is a warning. Needs the survey. */
int eg_attach_refuse_stray(struct eg_attachment *attach, const struct eg_guard *guard,
			   struct eg_error *error);

/* --- attach_learn.c -------------------------------------------------------------------------- */

/* Surveys the target and completes the policy, which the command line or a file began. -EOPNOTSUPP:
 * this kernel, or this target, cannot have the layers that it needs. */
int eg_attach_learn(struct eg_attachment *attach, struct eg_error *error);

/* Asks Docker's resolver by which way its queries leave, where that could not be learned and it is
 * not refused. When the policy is in force, since the question is a packet from inside. */
void eg_attach_ask_resolver(struct eg_attachment *attach);

/* --- attach_compare.c ------------------------------------------------------------------------ */

/* Fills result->diff, from the policy in force to the new one. -EEXIST: the new one lets out more,
 * and the request does not say to replace it. */
int eg_attach_compare(struct eg_attachment *attach, struct eg_error *error);

/* --- attach_layers.c ------------------------------------------------------------------------- */

/* Whether `device` alone is taken where nothing else can be had. */
bool eg_attach_takes_device_only(const struct eg_attachment *attach);

/* How far layers are put on now: of a new guard, and of one in force, which somebody may follow. */
enum eg_cover_extent eg_attach_extent_new(const struct eg_attachment *attach);
enum eg_cover_extent eg_attach_extent_in_force(const struct eg_attachment *attach);

/* All layers, and what refuses Docker's resolver. `before` (NULL: none) is the guard whose layer
 * `socket` must not be lost in silence; it may be `guard` itself. */
int eg_attach_cover(struct eg_attachment *attach, struct eg_guard *guard,
		    const struct eg_guard *before, enum eg_cover_extent extent,
		    struct eg_error *error);
/* A new guard failed: what all guards share is told again of the one in whose place it would have
 * come (NULL: none). */
void eg_attach_cover_again(struct eg_attachment *attach, struct eg_guard *replaced);

/* Whether another program has come to stand in front of some layer. */
bool eg_attach_is_behind(struct eg_attachment *attach, struct eg_guard *guard);

/* Tells a guard on a cgroup the tunnel's namespace: with the policy that frees it, and not before.
 */
int eg_attach_set_home(struct eg_attachment *attach, struct eg_guard *guard,
		       struct eg_error *error);

/* Takes layers off what the policy in force frees: declared tunnels, Docker's resolver. That it
 * fails is a warning: less is let out than could be. */
void eg_attach_uncover(struct eg_attachment *attach, struct eg_guard *guard);

#endif /* EG_ATTACHMENT_H */
