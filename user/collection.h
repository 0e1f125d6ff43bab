/* SPDX-License-Identifier: GPL-2.0 */
/* A guard while `status` is being made of it: what the parts of collect_*.c share. */
#ifndef EG_COLLECTION_H
#define EG_COLLECTION_H

#include "kern/guard.h"
#include "kern/hold.h"
#include "net/survey.h"
#include "out/model.h"
#include "owners.h"
#include "policy/policy.h"
#include "util/text.h"

/* A guard while it is collected. Texts hold strangers' names as they came: renderers escape. */
struct eg_collection {
	struct eg_pins *pins;
	const char *pin_dir;
	struct eg_owners *owners;     /* NULL: nobody wants to know whose packets were blocked */
	const struct eg_netns *known; /* that the caller has open, NULL: none */
	struct eg_holds **holds; /* shared by all guards; *holds is NULL until one of them asks */
	struct eg_guard_view *view;
	struct eg_guard *guard;
	const struct eg_meta *meta;
	struct eg_policy *policy; /* NULL: could not be read */
	struct eg_netns netns;
	int lost;   /* why it could not be looked for, 0: it could */
	bool found; /* the namespace is still there */
	bool moved; /* the target's name means another namespace now */
	/* The question is about our own namespace: whatever the target's name means by now. */
	bool of_self;
	/* Nobody reads the notes, nor what it holds against: only whether it is as it should be. */
	bool state_only;
	bool listed; /* `survey` is filled in */
	struct eg_survey survey;
	struct eg_text problems; /* why it is degraded */
	bool failed;             /* memory is out */
	bool device_is_tcx;
};

/* Whether it is a guard on a cgroup. */
bool eg_is_on_cgroup(const struct eg_collection *c);

/* --- strings: each notes in `failed` that memory is out ----------------------------------------
 */

char *eg_keep(struct eg_collection *c, const char *string);
__attribute__((format(printf, 3, 4))) void eg_add_string(struct eg_collection *c, char ***list,
							 const char *format, ...);
/* `before` goes between it and what is there already. */
__attribute__((format(printf, 3, 4))) void eg_add_part(struct eg_text *text, const char *before,
						       const char *format, ...);
/* NULL where it is empty. */
char *eg_take_text(struct eg_collection *c, struct eg_text *text);

#define eg_add_note(c, ...)    eg_add_string(c, &(c)->view->notes, __VA_ARGS__)
#define eg_add_problem(c, ...) eg_add_part(&(c)->problems, "; ", __VA_ARGS__)

/* --- its target, and what is in there (collect_target.c) ---------------------------------------
 */

/* Looks for the namespace that it guards; for a guard on a cgroup, for its tunnel's. */
void eg_find_target(struct eg_collection *c);
void eg_find_home(struct eg_collection *c);
/* Lists the interfaces there. */
void eg_take_survey(struct eg_collection *c);
void eg_look_at_tuns(struct eg_collection *c);
void eg_collect_tunnels(struct eg_collection *c);
void eg_collect_mismatch(struct eg_collection *c);
void eg_collect_dns(struct eg_collection *c);

/* --- its layers (collect_layers.c) --------------------------------------------------------------
 */

void eg_collect_layers(struct eg_collection *c);
/* After that, where Docker's resolver is refused: claims no more than that holds against. */
void eg_except_resolver(struct eg_collection *c);

#endif /* EG_COLLECTION_H */
