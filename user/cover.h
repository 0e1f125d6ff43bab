/* SPDX-License-Identifier: GPL-2.0 */
/* Puts a guard's layers on every underlay of a namespace. */
#ifndef EG_COVER_H
#define EG_COVER_H

#include "kern/guard.h"
#include "net/survey.h"

/* Whether each underlay can have the layers it needs: fails with EG_EXIT_KERNEL and names those
 * that have `device` alone, unless the user accepts that. Changes nothing. */
int eg_cover_check(const struct eg_survey *survey, bool accept_device_only, struct eg_error *error);

/*
 * Covers all underlays, and those that appear while it works, until a survey finds none that is not
 * covered. What is covered already stays as it is.
 */
int eg_cover_all(struct eg_guard *guard, const struct eg_netns *netns,
		 const struct eg_policy *policy, bool accept_device_only, struct eg_error *error);

/*
 * Covers what can be covered, whatever else is wrong with the namespace: before anything is asked
 * that something inside could make fail, what the guard in force can do for new interfaces is done.
 * True if it put something on.
 */
bool eg_cover_what_can_be(struct eg_guard *guard, const struct eg_netns *netns,
			  const struct eg_policy *policy);

/* One underlay. 1: it was not covered and is now, 0: it was, or has vanished; -errno. */
int eg_cover_one(struct eg_guard *guard, const struct eg_netns *netns,
		 const struct eg_underlay *underlay, struct eg_error *error);

/* Whether some underlay has a layer, but another program runs before it and may decide first. */
bool eg_cover_is_behind(struct eg_guard *guard, const struct eg_netns *netns,
			const struct eg_survey *survey);

/* Takes the layers off interfaces that are declared tunnels at this moment, whatever was seen
 * before, and sees to it that no other interface has lost its own by that. Only when that policy is
 * in force: it lets out more. */
int eg_cover_free_tunnels(struct eg_guard *guard, const struct eg_netns *netns,
			  const struct eg_policy *policy, bool accept_device_only,
			  struct eg_error *error);

#endif /* EG_COVER_H */
