/* SPDX-License-Identifier: GPL-2.0 */
/* The container engines that the daemon listens to: those alone that some guard of it may mean. */
#ifndef EG_ENGINES_H
#define EG_ENGINES_H

#include "net/runtime_events.h"
#include "wards.h"

/* Starts with `wards` and `epoll_fd`, which stay the caller's, and zeroes. */
struct eg_engines {
	const struct eg_wards *wards; /* who is told */
	int epoll_fd;                 /* what it has to wait for is added to that */
	struct eg_engine {
		struct eg_runtime_events *events; /* NULL: nobody asks for its containers */
		bool up, settled;                 /* it answered; that, or that it did not */
	} engine[EG_RUNTIME_COUNT];
};
/* Listens to none any more. */
void eg_engines_end(struct eg_engines *engines);

/* Begins to listen to those that some guard may mean by now, and ends it with the others. An engine
 * that cannot be listened to is one that does not answer: noted in the log. */
void eg_engines_choose(struct eg_engines *engines);

/* Whether each has answered, or is known not to. */
bool eg_engines_are_settled(const struct eg_engines *engines);

/* Tells a guard that is new of those that are settled. */
void eg_engines_tell(const struct eg_engines *engines, struct eg_ward *ward);

/* Does what `epoll_fd` says, whose `data` is given. False: that is none of them. */
bool eg_engines_work(struct eg_engines *engines, const void *data);

#endif /* EG_ENGINES_H */
