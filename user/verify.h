/* SPDX-License-Identifier: GPL-2.0 */
/* What `verify` does, apart from its command line: sends each row of its table out of each
 * underlay, and looks at what the guard and the far end saw of it. Leaves nothing behind, however
 * it ends: all it has are descriptors, and a few cookies in the guard that are void after seconds.
 */
#ifndef EG_VERIFY_H
#define EG_VERIFY_H

#include "kern/guard.h"
#include "net/survey.h"
#include "out/model.h"

struct eg_verify_request {
	const struct eg_netns *netns;
	const struct eg_survey *survey;
	struct eg_guard *guard;      /* NULL: whatever else is there is tried */
	struct eg_endpoint endpoint; /* family NONE: none is known */
	__u32 mark;                  /* to be forged */
	/* Called before each row; NULL: nobody watches. */
	void (*progress)(const char *interface, const char *what, size_t done, size_t all);
};

/* Fills in `underlays`, `checks` and what raised doubts. */
int eg_verify_run(const struct eg_verify_request *request, struct eg_verify_view *view,
		  struct eg_error *error);

/* Adds to view->doubts; -ENOMEM. */
int eg_verify_doubt(struct eg_verify_view *view, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* EG_VERIFY_H */
