/* SPDX-License-Identifier: GPL-2.0 */
/* What the daemon makes of its policy files: whose word counts where one does not parse, and what
 * is said of it. */
#ifndef EG_POLICY_FILES_H
#define EG_POLICY_FILES_H

#include "config_dir.h"
#include "copies.h"
#include "ward.h"

/* Starts as {}. */
struct eg_policy_files {
	struct eg_copies *copies; /* NULL: none are kept */
	char *copies_dir;
	bool own_is_shut; /* nothing leaves our own network while it is not guarded (stopgap.h) */
	size_t n;
	size_t n_open;       /* that do not parse, with nothing to go by: their targets are open */
	struct eg_text open; /* which, and for what they seem to be */
	struct eg_text old;  /* that do not parse, and what counts for them */
};

/* Where the copies are: what --state-dir says (NULL: nothing), or systemd; else, of the usual
 * directory of policy files alone, the usual place, since two daemons cannot share one. NULL:
 * nowhere. The caller frees it. */
char *eg_policy_files_place(const char *state_dir, const char *config_dir);

/* Takes a copy of each file in `dir` from now on (NULL: nowhere); where that cannot be, says so. */
void eg_policy_files_open(struct eg_policy_files *files, const char *dir);
void eg_policy_files_free(struct eg_policy_files *files);

/* For all files anew: _begin(), _take() for each, _end() with all of them. */
void eg_policy_files_begin(struct eg_policy_files *files);
void eg_policy_files_take(struct eg_policy_files *files, struct eg_ward *ward,
			  const struct eg_config_file *file);
void eg_policy_files_end(struct eg_policy_files *files, const char *config_dir,
			 const struct eg_config_file *config_files, size_t n);

/* `what` ("ready", say) into the log, and all to the service manager; louder where a target is
 * open, of those that could not be guarded (`failed`: their names) too. */
void eg_policy_files_say(const struct eg_policy_files *files, const char *what,
			 const struct eg_text *failed);
/* To the service manager alone. */
void eg_policy_files_show(const struct eg_policy_files *files, const struct eg_text *failed);
/* Adds a name to those of one line, which ends when it is long. */
void eg_policy_files_name(struct eg_text *names, const char *name, const char *what);

/* Writing copies, one at a time; no guard's to wait for. */
bool eg_policy_files_has_work(const struct eg_policy_files *files);
void eg_policy_files_work(struct eg_policy_files *files);

#endif /* EG_POLICY_FILES_H */
