// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"
#include "net/runtime.h"
#include "log.h"
#include "util/text.h"

const struct eg_command eg_commands[] = {
	{"attach", cmd_attach, "guard a network namespace"},
	{"detach", cmd_detach, "take a guard away"},
	{"status", cmd_status, "show guards, what they cover and what they counted"},
	{"events", cmd_events, "show blocked packets live"},
	{"explain", cmd_explain, "say which rule decides over a packet, and why"},
	{"policy", cmd_policy, "check policy files; show the policy in force"},
	{"verify", cmd_verify, "prove it, with live probes"},
	{"wgconf", cmd_wgconf, "check a wg0.conf of the pattern; write its edits right"},
	{"daemon", cmd_daemon, "keep the guards of a directory of policy files in force"},
	{"oci-hook", cmd_oci_hook, "seal a container before it runs: for Podman, CRI-O"},
	{"oci-runtime", cmd_oci_runtime, "an OCI runtime that seals each container: for Docker"},
	{"cni", cmd_cni, "a CNI plugin that seals each pod: for Podman, containerd, Kubernetes"},
	{"doctor", cmd_doctor, "find what is wrong with a live pattern, and say the fix"},
	{"features", cmd_features, "show what this kernel can enforce"},
	{},
};

static void print_usage(FILE *to)
{
	fputs("Usage: egressguard COMMAND [OPTION...]\n"
	      "       egressguard COMMAND --help\n"
	      "       egressguard --version\n"
	      "\n"
	      "Lets a network namespace reach its WireGuard tunnel and its LAN, and nothing else.\n"
	      "\n"
	      "Commands:\n",
	      to);
	for (const struct eg_command *command = eg_commands; command->name; command++)
		fprintf(to, "  %-11s %s\n", command->name, command->summary);
}

static int unknown(const char *word)
{
	const char *names[sizeof(eg_commands) / sizeof(eg_commands[0])] = {};
	char safe[256];
	struct eg_error error;
	const char *nearest;
	int result;

	for (size_t i = 0; eg_commands[i].name; i++)
		names[i] = eg_commands[i].name;
	nearest = eg_nearest(word, names);
	eg_escape(safe, sizeof(safe), word, strlen(word));
	if (nearest)
		result = eg_error_set(&error, EG_EXIT_USAGE, EINVAL,
				      "unknown command '%s'; did you mean '%s'?", safe, nearest);
	else
		result = eg_error_set(&error, EG_EXIT_USAGE, EINVAL,
				      "unknown command '%s'; egressguard --help lists them", safe);
	return eg_log_error(NULL, result, &error);
}

/* For engines that take the path of a runtime or a plugin and no arguments: a link of that name to
 * us. */
static bool is_called(const char *program, const char *name)
{
	const char *last = strrchr(program, '/');

	return strcmp(last ? last + 1 : program, name) == 0;
}

int main(int argc, char **argv)
{
	if (argc > 0 && is_called(argv[0], "egressguard-runtime"))
		return cmd_oci_runtime(argc, argv);
	if (argc > 0 && is_called(argv[0], "egressguard-cni"))
		return cmd_cni(argc, argv);
	if (argc < 2) {
		print_usage(stderr);
		return EG_EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0) {
		print_usage(stdout);
		return EG_EXIT_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("egressguard %s%s\n", EG_VERSION,
		       eg_runtime_available() ? ""
					      : " (built without libcurl: no container names)");
		return EG_EXIT_OK;
	}
	for (const struct eg_command *command = eg_commands; command->name; command++) {
		if (strcmp(command->name, argv[1]) == 0)
			return command->run(argc - 1, argv + 1);
	}
	return unknown(argv[1]);
}
