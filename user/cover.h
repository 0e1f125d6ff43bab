/* SPDX-License-Identifier: GPL-2.0 */
/* Puts a guard's layers on every underlay of a namespace. */
#ifndef EG_COVER_H
#define EG_COVER_H

#include "kern/guard.h"
#include "net/survey.h"

/* Whether each underlay can have the layers it needs: fails with EG_EXIT_KERNEL and names those
 * that have `device` alone, unless the user accepts that. Changes nothing. */
int eg_cover_check(const struct eg_survey *survey, bool accept_device_only, struct eg_error *error);

/* How many interfaces a namespace has is up to root inside, and while one guard is put on them no
 * other guard gets anything done. */
enum eg_cover_extent {
	EG_COVER_ALL,
	/* The same; and where the namespace does not come to rest, what is there then, as nobody is
	 * there to try again: eg_survey_take_anyway(). */
	EG_COVER_ANYWAY,
	EG_COVER_SHARE, /* what EG_COVER_SHARE_NS is enough for, one at least; the rest is up to
			   who follows the guard */
};
#define EG_COVER_SHARE_NS 50000000ULL

/* One pass over all of them. */
struct eg_cover_pass {
	enum eg_cover_extent extent;
	/* Told of each that was not covered and is now, NULL: nobody. On another thread. */
	void (*told)(void *argument, const struct eg_underlay *underlay);
	void *argument;
	size_t n_tried; /* those that were not covered, and were taken in hand */
	size_t n_put;   /* of these, those that are covered now, or gone */
	size_t n_left;  /* those that were not, and have to wait for the next pass */
	__u32 after;    /* where that begins: keep it from one to the next */
};

/* Covers those that are not covered: first what leads out to an end outside, then what else may
 * lead out, then all others. The first error, after the others had their turn. */
int eg_cover_some(struct eg_guard *guard, const struct eg_netns *netns,
		  const struct eg_survey *survey, struct eg_cover_pass *pass,
		  struct eg_error *error);

/*
 * Covers all underlays, and those that appear while it works, until a survey finds none that is not
 * covered; -EAGAIN where there is no end to it. What is covered already stays as it is.
 */
int eg_cover_all(struct eg_guard *guard, const struct eg_netns *netns,
		 const struct eg_policy *policy, bool accept_device_only,
		 enum eg_cover_extent extent, struct eg_error *error);

/*
 * Covers what can be covered, whatever else is wrong with the namespace: before anything is asked
 * that something inside could make fail, what the guard in force can do for new interfaces is done.
 * True if it put something on.
 */
bool eg_cover_what_can_be(struct eg_guard *guard, const struct eg_netns *netns,
			  const struct eg_policy *policy, enum eg_cover_extent extent);

/* Whether some underlay has a layer, but another program runs before it and may decide first. */
bool eg_cover_is_behind(struct eg_guard *guard, const struct eg_netns *netns,
			const struct eg_survey *survey);

/* Whether a layer is on what the survey found to be a tunnel: the next one takes it off. */
bool eg_cover_is_on_tunnel(struct eg_guard *guard, const struct eg_netns *netns,
			   const struct eg_survey *survey);

/* Takes the layers off interfaces that are declared tunnels at this moment, whatever was seen
 * before, and sees to it that no other interface has lost its own by that. Only when that policy is
 * in force: it lets out more. */
int eg_cover_free_tunnels(struct eg_guard *guard, const struct eg_netns *netns,
			  const struct eg_policy *policy, bool accept_device_only,
			  enum eg_cover_extent extent, struct eg_error *error);

#endif /* EG_COVER_H */
