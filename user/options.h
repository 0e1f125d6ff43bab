/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Command lines: a table of options per command, from which both the reader and `--help` are made.
 * Names are exact and in full; values as `--option value` or `--option=value`; `--` ends options.
 */
#ifndef EG_OPTIONS_H
#define EG_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "util/error.h"

/* The ids of options that several commands share. A command's own start at EG_OPTION_OWN. Those
 * of the policy (policy_options.h) are negative. */
enum eg_option_id {
	EG_OPTION_OPERAND, /* no option: an operand */
	EG_OPTION_HELP,    /* `--help`, known to every command */
	EG_OPTION_NETNS,
	EG_OPTION_JSON,
	EG_OPTION_PIN_DIR,
	EG_OPTION_OWN,
};

struct eg_option {
	int id;
	const char *name;     /* "--netns" */
	const char *argument; /* "TARGET"; NULL: a switch */
	const char *help;
};

#define EG_OPTION_ENTRY_NETNS                                                                      \
	{                                                                                          \
		EG_OPTION_NETNS, "--netns", "TARGET",                                              \
			"a name in /run/netns, a container, a PID, or a path; docker:NAME, "       \
			"podman:NAME, "                                                            \
			"netns:NAME, pid:N to be explicit"                                         \
	}
#define EG_OPTION_ENTRY_JSON                                                                       \
	{                                                                                          \
		EG_OPTION_JSON, "--json", NULL, "print JSON"                                       \
	}
#define EG_OPTION_ENTRY_PIN_DIR                                                                    \
	{                                                                                          \
		EG_OPTION_PIN_DIR, "--pin-dir", "DIR",                                             \
			"where guards live, in a bpffs (default: /sys/fs/bpf/egressguard)"         \
	}

/* A command's help, and what its reader knows. */
struct eg_help {
	const char *command;             /* "attach" */
	const char *usage;               /* after "egressguard attach "; further lines after "\n" */
	const char *summary;             /* a sentence */
	const struct eg_option *options; /* ends with a NULL name; without --help */
	bool policy;                     /* takes the options of policy_options.h as well */
	const char *example;             /* a whole command line */
	const char *more;                /* a paragraph, or NULL */
};

/* Starts as {.help = &help, .argc = argc, .argv = argv}. */
struct eg_options {
	const struct eg_help *help;
	int argc;
	char **argv; /* argv[0] is the command's name */
	int at;      /* the last one read */
	bool operands_only;
};

/*
 * Reads the next one. 1: *ret_id says which (EG_OPTION_OPERAND for an operand), *ret_value is its
 * value (NULL for a switch); 0: the end; -EINVAL and `error`: an unknown option (with the nearest
 * one), a value that is missing or too much.
 */
int eg_options_next(struct eg_options *options, int *ret_id, const char **ret_value,
		    struct eg_error *error);

/* The option of that id in the command's help (or among the policy's), NULL for an operand. */
const struct eg_option *eg_option_find(const struct eg_help *help, int id);

/* Prints a command's help. */
void eg_help_print(const struct eg_help *help, FILE *to);

/* What most commands on guards take. */
struct eg_common {
	const char *guard;   /* NULL: not given */
	const char *netns;   /* --netns */
	const char *pin_dir; /* --pin-dir */
	bool json;           /* --json */
	bool help;           /* --help */
};

/* Takes one of the common options, or an operand as GUARD. -EINVAL and `error`: a second GUARD, or
 * one beside --netns. */
int eg_common_take(struct eg_common *common, int id, const char *value, struct eg_error *error);

/* Reads a command line that has nothing but the common ones. */
int eg_common_read(struct eg_common *common, const struct eg_help *help, int argc, char **argv,
		   struct eg_error *error);

#endif /* EG_OPTIONS_H */
