/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Containers that still sit in the dead namespace of another one: they were to share the network of
 * a container that was started again, stopped or made anew since. They have loopback alone, run on,
 * and look healthy.
 */
#ifndef EG_STRANDED_H
#define EG_STRANDED_H

#include "net/runtime.h"
#include "util/text.h"

enum eg_stranded_cause {
	EG_STRANDED_RESTARTED, /* its owner has another namespace now */
	EG_STRANDED_STOPPED,   /* its owner does not run */
	EG_STRANDED_REMOVED,   /* its owner is no more; one of its name has another id */
};
/* "restarted", "stopped", "removed" */
extern const char *const eg_stranded_cause_names[3];

/* Owns what it points to. Names are as the engine gave them: escape before printing. */
struct eg_stranded {
	enum eg_runtime runtime;
	enum eg_stranded_cause cause;
	char *name;
	char *owner; /* whose network it was to share; NULL: removed */
	char owner_id[65];
	/* The command that mends it, for a shell; NULL: how it was made is not known, or a name
	 * that no terminal shows. */
	char *fix;
};
void eg_stranded_free(struct eg_stranded *stranded);
void eg_strandeds_free(struct eg_stranded *list, size_t n);

/* 1 and *ret_stranded, 0 where it is not; -errno where that cannot be told: its owner could not be
 * asked for, or a namespace not be opened. `container` as eg_runtime_inspect() filled it. */
int eg_stranded_look(const struct eg_container *container, struct eg_stranded *ret_stranded);

/* All of an engine. *ret_unknown: how many containers it could not be told of. -ECONNREFUSED: the
 * engine is not there. */
int eg_stranded_find(enum eg_runtime runtime, struct eg_stranded **ret_list, size_t *ret_n,
		     size_t *ret_unknown, struct eg_error *error);

#endif /* EG_STRANDED_H */
