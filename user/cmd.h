/* SPDX-License-Identifier: GPL-2.0 */
/* The table of commands: main.c looks a name up and calls. Each command has a file of its own,
 * cmd_NAME.c, reads its options, prints its one error, and returns an exit status. */
#ifndef EG_CMD_H
#define EG_CMD_H

#include "util/error.h"

struct eg_command {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the command's name */
	const char *summary;
};
extern const struct eg_command eg_commands[]; /* ends with a NULL name */

int cmd_attach(int argc, char **argv);
int cmd_detach(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_policy(int argc, char **argv);
int cmd_features(int argc, char **argv);
int cmd_daemon(int argc, char **argv);
int cmd_wgconf(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_oci_hook(int argc, char **argv);
int cmd_oci_runtime(int argc, char **argv);
int cmd_cni(int argc, char **argv);

#endif /* EG_CMD_H */
