/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guard container's network from its first moment until the guard is made. An engine that starts
 * anew (after a reboot, say) starts the containers that share that network as soon as the guard
 * container's process runs: it knows nothing of what they were made to wait for. So the daemon
 * shuts its own namespace first of all, whatever interfaces come to it too, and opens it when it is
 * guarded, and only then.
 */
#ifndef EG_STOPGAP_H
#define EG_STOPGAP_H

#include "config_dir.h"
#include "ward.h"

struct eg_stopgap;

/* For a directory that has a file self.conf, unless the namespace is the machine's, or that cannot
 * be told. NULL: nothing is shut. */
struct eg_stopgap *eg_stopgap_begin(const char *config_dir);

/* Readable when eg_stopgap_work() has something to look at. Not the caller's; -1: never. */
int eg_stopgap_fd(const struct eg_stopgap *stopgap);
void eg_stopgap_work(struct eg_stopgap *stopgap);

/* Whether nothing leaves the namespace by any interface but loopback, as far as that can be told.
 */
bool eg_stopgap_is_shut(const struct eg_stopgap *stopgap);

/* What the files say: where self.conf is for something else, nothing has to be shut. */
void eg_stopgap_take_files(struct eg_stopgap **stopgap, const struct eg_config_file *files,
			   size_t n);

/* Opens what one of them guards by now. */
void eg_stopgap_look(struct eg_stopgap **stopgap, struct eg_ward *const *wards, size_t n);

/* Opens nothing: what is shut is so until a daemon guards it, whether this one ends or not. */
void eg_stopgap_free(struct eg_stopgap *stopgap);

#endif /* EG_STOPGAP_H */
