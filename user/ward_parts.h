/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of ward.h share among themselves. */
#ifndef EG_WARD_PARTS_H
#define EG_WARD_PARTS_H

#include "daemon/mend.h"
#include "journal.h"
#include "kern/guard.h"
#include "ward.h"
#include "ward_target.h"

#define EG_WARD_MS(n)    ((n)*1000000ULL)
#define EG_WARD_CHECK_NS EG_WARD_MS(5000) /* is what should be in force in force? */

struct eg_ward {
	int epoll_fd;  /* the daemon's */
	char *pin_dir; /* NULL: the usual place */
	char *name;
	char *text;   /* of the file, NULL: none */
	char *target; /* that it names */

	struct eg_follow *follow;
	eg_ask_yields ask;
	void *ask_argument;
	bool others_follow;
	bool policy_is_new;
	bool file_is_spoilt;
	bool is_damaged;
	bool has_changed;
	bool watches_endpoints; /* the policy in force has the tunnel's own */
	bool has_endpoints;

	bool engine_up[EG_RUNTIME_COUNT];
	bool engine_told[EG_RUNTIME_COUNT]; /* whether it is up was said once */
	struct eg_finding *finding;
	enum eg_ward_asked asked;   /* by the last look */
	bool was_asked;             /* an engine, once at least */
	__u64 asked_ns, touched_ns; /* when that was; when something was told to have changed */
	struct eg_netns seen; /* the target's namespace when it was last there; fd always -1 */
	char container_id[sizeof(((struct eg_container *)0)->id)];

	__u64 look_ns, check_ns, endpoint_ns; /* when each is due */
	__u64 names_ns;                       /* when to ask for names again, ~0: never */
	__u64 learn_ns;                       /* when to learn what has changed, ~0: nothing has */
	__u64 learned_ns, attached_ns;
	struct eg_mending mending;
	__u64 attach_took_ns; /* the last time, of a processor's */
	__u64 stranded_ns;    /* when to look for who was left in the namespace before, ~0: not */
	unsigned int failures;
	bool was_here, is_guarded;
	bool yields;        /* its guard may go by another name from now on */
	bool is_here;       /* by the last look that could tell, in the namespace `seen` */
	bool follows_later; /* when it is told to */
	bool waits_to_follow;
	bool is_open; /* its target is there, and a guard on it could not be made */
	bool is_over; /* no file asks for it, and nothing is there to be kept up */
	char complaint[EG_ERROR_LEN];
	char *warnings; /* the last attach's */
};

#define EG_WARD_SAY(ward, level, ...) eg_journal("daemon", level, (ward)->name, __VA_ARGS__)

/* For whom it calls (eg_follow_say). */
void eg_ward_say(void *argument, bool warning, const char *line);
int eg_ward_open_guard(const struct eg_ward *ward, struct eg_guard **ret_guard,
		       struct eg_error *error);
void eg_ward_unfollow(struct eg_ward *ward);

/* Towards what the file asks for, as far as that goes now; as eg_ward_work(). */
bool eg_ward_go_on(struct eg_ward *ward, char **ret_aside);

int eg_ward_attach(struct eg_ward *ward, struct eg_error *error);
/* Who was left in the namespace that the target had before. */
void eg_ward_say_stranded(struct eg_ward *ward);

/* Whose endpoints they are, for the looks to come; and those looks. */
void eg_ward_learn_endpoints(struct eg_ward *ward);
void eg_ward_check_endpoints(struct eg_ward *ward);
void eg_ward_check_names(struct eg_ward *ward);

#endif /* EG_WARD_PARTS_H */
