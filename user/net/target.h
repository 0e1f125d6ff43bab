/* SPDX-License-Identifier: GPL-2.0 */
/* TARGET of the command line: a name in /run/netns, a container, a PID, a path, `self`. */
#ifndef EG_TARGET_H
#define EG_TARGET_H

#include "net/netns.h"
#include "net/runtime.h"

enum eg_target_kind {
	EG_TARGET_NETNS,
	EG_TARGET_PATH,
	EG_TARGET_PID,
	EG_TARGET_CONTAINER,
	EG_TARGET_SELF, /* the namespace that we are in ourselves */
};

/* What that is written as. */
#define EG_TARGET_OF_SELF "self"

struct eg_target {
	enum eg_target_kind kind;
	/* unambiguous: "docker:wireguard", "netns:wg", "pid:12", "/path"; of EG_TARGET_SELF
	 * "net:[4026532000]", by which it is not found again */
	char text[EG_TARGET_MAX];
	char name[EG_NAME_MAX];        /* what a guard is called by default */
	struct eg_netns netns;         /* owned */
	struct eg_container container; /* for EG_TARGET_CONTAINER; owned */
	pid_t pid;                     /* a process in it, 0: none known */
	__u64 started_realtime_ns;     /* 0: not known */
};
void eg_target_close(struct eg_target *target);
#define EG_AUTO_TARGET __attribute__((cleanup(eg_target_close)))

/*
 * Exit status by error->exit: EG_EXIT_NO_SUCH if there is none (with what was looked for, and
 * where), EG_EXIT_USAGE if it is two things at once (says both, and how to be explicit), a stopped
 * container (says so). A number is a PID only as pid:N or where nothing has that name.
 */
int eg_target_resolve(const char *text, struct eg_target *ret_target, struct eg_error *error);

/* Which namespace it is, and no look at all processes of the machine for since when and by whom:
 * that is what eg_target_learn() does. */
int eg_target_find(const char *text, struct eg_target *ret_target, struct eg_error *error);

/* Whether its name in /run/netns, or its path, is a file of that namespace; a name alone may mean a
 * container as well. While the caller has the namespace open, no other has its number. */
bool eg_target_is_file_of(const char *text, const struct eg_netns *netns);
/* The same of a text that can mean nothing but a file. */
bool eg_target_is_but_file_of(const char *text, const struct eg_netns *netns);
void eg_target_learn(struct eg_target *target);

#endif /* EG_TARGET_H */
