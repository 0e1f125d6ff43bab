/* SPDX-License-Identifier: GPL-2.0 */
/* The daemon's directory of policy files: NAME.conf is the guard NAME's. */
#ifndef EG_CONFIG_DIR_H
#define EG_CONFIG_DIR_H

#include <stdbool.h>
#include <limits.h>

#include "eg_abi.h"
#include "policy/policy.h"

#define EG_CONFIG_DIR "/etc/egressguard"

struct eg_config_file {
	/* The guard's: the file's, or what there is room for; of self.conf the host's. */
	char name[EG_NAME_MAX];
	char entry[NAME_MAX + 1]; /* the file's, in the directory */
	char *text;               /* NULL: it cannot be read, or does not parse */
	struct eg_policy *policy; /* NULL likewise; has a target */
	struct eg_error error;    /* why */
	/* What it seems to be for where it does not parse, for people only; may be empty. */
	char hint[EG_TARGET_MAX];
};

/* All of its files that are called *.conf, by name; none that begins with a dot. The caller frees
 * them with eg_config_files_free(). A directory that is not there has none. */
int eg_config_dir_read(const char *directory, struct eg_config_file **ret_files, size_t *ret_n,
		       struct eg_error *error);
void eg_config_files_free(struct eg_config_file *files, size_t n);

/* Whose directory it is: one daemon's. The descriptor keeps it so. -EWOULDBLOCK: another's. */
int eg_config_dir_lock(const char *directory, int *ret_fd, struct eg_error *error);

/* Whether a daemon keeps the guard of that name, by its file in the usual directory. */
bool eg_config_dir_keeps(const char *name);

#endif /* EG_CONFIG_DIR_H */
