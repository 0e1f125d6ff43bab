/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What each of the daemon's policy files said when it last parsed, kept on the disk. After a reboot
 * no guard is there to say so: a file that was spoilt meanwhile would leave its target open.
 */
#ifndef EG_COPIES_H
#define EG_COPIES_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"

#define EG_COPIES_DIR "/var/lib/egressguard"

struct eg_copies;

/*
 * Makes the directory `dir` (mode 0700) where it is missing, and takes it for this process: two
 * daemons would take each other's copies for those of files that are gone. -EPERM where others than
 * root could have written to it: what is in it says nothing then.
 */
int eg_copies_open(const char *dir, struct eg_copies **ret_copies, struct eg_error *error);
void eg_copies_free(struct eg_copies *copies);

/* The copy of the file `entry`: its text, and what it means. -ENOENT: there is none. -EPERM: others
 * than root could have written it. `error` says why in any case. The caller frees both. */
int eg_copies_read(const struct eg_copies *copies, const char *entry, char **ret_text,
		   struct eg_policy **ret_policy, struct eg_error *error);

/* Has `text` become the copy of `entry`, when eg_copies_work() comes to it. */
int eg_copies_keep(struct eg_copies *copies, const char *entry, const char *text);

/* Whether there is something for eg_copies_work(), which writes at most one, to the disk and in the
 * place of the one before in one step; what a disk takes long for is no guard's to wait for.
 * On failure the copy from before stays, and `error` says of which it is. */
bool eg_copies_has_work(const struct eg_copies *copies);
int eg_copies_work(struct eg_copies *copies, struct eg_error *error);

/* Removes those that `is_wanted` does not want, as their files are gone. */
typedef bool (*eg_copies_is_wanted)(void *argument, const char *entry);
void eg_copies_sweep(struct eg_copies *copies, eg_copies_is_wanted is_wanted, void *argument);

#endif /* EG_COPIES_H */
