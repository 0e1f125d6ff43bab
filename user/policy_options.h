/* SPDX-License-Identifier: GPL-2.0 */
/* The options that make a policy (`attach`, `explain`, `run`): --policy FILE, one for each key of
 * EG_POLICY_KEYS that has one, --no-lan, --audit. */
#ifndef EG_POLICY_OPTIONS_H
#define EG_POLICY_OPTIONS_H

#include "options.h"
#include "policy/policy.h"

/* Ids of policy options are negative, so that they can't meet a command's own. */
#define EG_OPTION_IS_POLICY(id) ((id) < 0)

/* The table of them; ends with a NULL name. */
const struct eg_option *eg_policy_option_table(void);

struct eg_policy_option {
	int id;
	const char *value;
};

/* What was given on the command line, in its order. Starts as {}. */
struct eg_policy_options {
	const char *file; /* --policy, NULL: not given */
	struct eg_policy_option *given;
	size_t n_given;
};
void eg_policy_options_free(struct eg_policy_options *options);
#define EG_AUTO_POLICY_OPTIONS __attribute__((cleanup(eg_policy_options_free)))

/* Keeps one option, as eg_options_next() gave it (EG_OPTION_IS_POLICY). Points into argv. */
int eg_policy_options_take(struct eg_policy_options *options, int id, const char *value,
			   struct eg_error *error);

static inline bool eg_policy_options_any(const struct eg_policy_options *options)
{
	return options->file || options->n_given;
}

/*
 * The policy they make: the defaults, then the file, then the options: one that does not repeat
 * replaces the file's value, one that repeats adds to it. Errors name where it went wrong:
 * "--allow '10.0.0.1/8': …", or "FILE:LINE:COLUMN: …".
 */
int eg_policy_options(const struct eg_policy_options *options, struct eg_policy **ret_policy,
		      struct eg_error *error);

/* The text of a policy file, whole, and what it says over the defaults. Both are the caller's to
 * free; ret_text may be NULL. */
int eg_policy_read_text(const char *path, char **ret_text, struct eg_policy **ret_policy,
			struct eg_error *error);

/* A policy file over the defaults. */
int eg_policy_read_file(const char *path, struct eg_policy **ret_policy, struct eg_error *error);

/* Takes endpoints out whose host is not resolved, for who only asks what a policy says. Returns how
 * many there were. */
size_t eg_policy_drop_hosts(struct eg_policy *policy);

#endif /* EG_POLICY_OPTIONS_H */
