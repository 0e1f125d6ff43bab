// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "cmd.h"
#include "log.h"
#include "oci.h"
#include "oci/call.h"
#include "oci_bundle.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/text.h"

#define EG_AUTO_JSON EG_AUTO(json_decrefp)

enum {
	OPTION_RUNTIME = EG_OCI_OPTION_OWN
};

static const struct eg_option option_table[] = {
	EG_OCI_OPTION_ENTRIES,
	{OPTION_RUNTIME, "--runtime", "PROGRAM",
	 "the OCI runtime to execute, a path or a name in PATH (default: runc, or crun where there "
	 "is no runc)"},
	{},
};

static const struct eg_help help = {
	.command = "oci-runtime",
	.usage = "[--policy NAME] [--optional] [--runtime PROGRAM] [OPTION...] RUNTIME-ARGUMENT...",
	.summary = "An OCI runtime for Docker and containerd: runc or crun, with the hook "
		   "`egressguard oci-hook` put into each container's config.json, and its network "
		   "sealed again before it runs.",
	.options = option_table,
	.example = "egressguard oci-runtime --policy wireguard create --bundle DIR ID",
	.more = "In /etc/docker/daemon.json: {\"runtimes\": {\"egressguard\": {\"path\": "
		"\"/usr/local/bin/egressguard\", \"runtimeArgs\": [\"oci-runtime\", \"--policy\", "
		"\"wireguard\"]}}}; then `runtime: egressguard` in the compose file. A container "
		"names "
		"its policy by the annotation egressguard.policy, or has that of --policy, or "
		"names one by EGRESSGUARD_POLICY in its environment.",
};

struct runtime {
	struct eg_oci_terms terms;
	const char *program; /* --runtime, NULL: the usual ones */
	char **argv;         /* the runtime's own arguments, behind its name */
	int argc;
	struct eg_oci_call call;
};

/* --- command line
 * ---------------------------------------------------------------------------------
 */

/* Ours come first; the first argument that is none of them is the runtime's. */
static bool is_ours(const char *argument)
{
	if (!argument || strcmp(argument, "--help") == 0)
		return argument;
	for (const struct eg_option *option = option_table; option->name; option++) {
		size_t len = strlen(option->name);

		if (strncmp(argument, option->name, len) == 0 &&
		    (argument[len] == '\0' || argument[len] == '='))
			return true;
	}
	return false;
}

static int read_arguments(int argc, char **argv, struct runtime *runtime, bool *ret_help,
			  struct eg_error *error)
{
	struct eg_options options = {.help = &help, .argc = argc, .argv = argv};
	const char *value = NULL;
	int id = 0, result = 0;

	while (is_ours(argv[options.at + 1])) {
		result = eg_options_next(&options, &id, &value, error);
		if (result < 0)
			return result;
		if (id == EG_OPTION_HELP) {
			*ret_help = true;
			return 0;
		}
		if (id == OPTION_RUNTIME)
			runtime->program = value;
		else
			result = eg_oci_take(&runtime->terms, id, value, error);
		if (result < 0)
			return result;
	}
	runtime->argv = argv + options.at + 1;
	runtime->argc = argc - options.at - 1;
	return eg_oci_call_read(runtime->argc, runtime->argv, &runtime->call, error);
}

/* --- the runtime that is executed ---------------------------------------------------------------
 */

/* Does not come back, but where there is none. */
static int execute(const struct runtime *runtime, int argc, char *const *argv)
{
	static const char *const usual[] = {"runc", "crun"};
	const char **all = calloc((size_t)argc + 2, sizeof(*all));

	if (!all)
		return -ENOMEM;
	for (int i = 0; i < argc; i++)
		all[i + 1] = argv[i];
	for (size_t i = 0; i < sizeof(usual) / sizeof(*usual); i++) {
		all[0] = runtime->program ? runtime->program : usual[i];
		execvp(all[0], (char *const *)all);
		if (runtime->program || errno != ENOENT)
			break;
	}
	free(all);
	return -errno;
}

static int execute_all(const struct runtime *runtime, struct eg_error *error)
{
	int result = execute(runtime, runtime->argc, runtime->argv);
	char quoted[EG_QUOTE_LEN];
	const char *program = runtime->program ? runtime->program : "runc";

	return eg_error_set(error, EG_EXIT_FAILED, -result,
			    "cannot execute the OCI runtime %s: %s; --runtime names another",
			    eg_quote(quoted, program, strlen(program)), strerror(-result));
}

/* What `RUNTIME --root … state ID` says. */
static int ask_state(const struct runtime *runtime, char **ret_text, size_t *ret_len)
{
	int n = runtime->call.command, result, status = 0, pipe_fds[2];
	char **argv = calloc((size_t)n + 2, sizeof(*argv));
	pid_t pid;

	if (!argv)
		return -ENOMEM;
	memcpy(argv, runtime->argv, (size_t)n * sizeof(*argv));
	argv[n] = (char *)"state";
	argv[n + 1] = (char *)runtime->call.id;
	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		free(argv);
		return -errno;
	}
	pid = fork();
	if (pid == 0) {
		dup2(pipe_fds[1], STDOUT_FILENO);
		execute(runtime, n + 2, argv);
		_exit(127);
	}
	close(pipe_fds[1]);
	free(argv);
	result = pid < 0 ? -errno : eg_fd_read(pipe_fds[0], EG_OCI_TEXT_MAX, ret_text, ret_len);
	close(pipe_fds[0]);
	if (pid > 0 && waitpid(pid, &status, 0) == pid && status != 0 && result == 0)
		result = -ESRCH;
	return result;
}

/* --- what is added
 * ----------------------------------------------------------------------------------
 */

/* Docker's containers have its name in containerd's paths. */
static void find_engine(struct runtime *runtime, const char *bundle)
{
	const char *root = runtime->call.root;

	if (!runtime->terms.engine && (strstr(bundle, "/moby/") || (root && strstr(root, "/moby"))))
		runtime->terms.engine = "docker";
}

/* crun calls no hooks for it, runc where it can tell the container's state; and what has been
 * running goes on at once. */
static int restore(const struct runtime *runtime, const char *bundle, struct eg_error *error)
{
	int wants = eg_oci_bundle_wants_guard(bundle, &runtime->terms, error);

	if (wants <= 0)
		return wants;
	return eg_error_set(
		error, EG_EXIT_USAGE, EOPNOTSUPP,
		"a container that is restored from a checkpoint runs before it could be "
		"guarded: start it anew instead");
}

static int create(struct runtime *runtime, struct eg_error *error)
{
	EG_AUTO_FREE char *here = runtime->call.bundle ? NULL : getcwd(NULL, 0);
	const char *bundle = runtime->call.bundle ? runtime->call.bundle : here;

	if (!bundle)
		return eg_error_set(error, EG_EXIT_FAILED, errno,
				    "the working directory, which is the bundle, is gone: %m");
	if (runtime->call.kind == EG_OCI_CALL_RESTORE)
		return restore(runtime, bundle, error);
	find_engine(runtime, bundle);
	runtime->terms.late = runtime->call.kind == EG_OCI_CALL_CREATE;
	return eg_oci_bundle_add_hooks(bundle, &runtime->terms, error);
}

/* Interfaces that came after the hook are covered before anything can use them. */
static int start(const struct runtime *runtime, struct eg_error *error)
{
	EG_AUTO_JSON json_t *config = NULL, *state = NULL;
	EG_AUTO_FREE char *text = NULL;
	struct eg_oci_terms terms = {};
	const char *bundle;
	size_t len = 0;
	int result;

	if (!runtime->call.id)
		return 0;
	result = ask_state(runtime, &text, &len);
	if (result == 0)
		state = json_loadb(text, len, JSON_DECODE_INT_AS_REAL, NULL);
	bundle = json_string_value(json_object_get(state, "bundle"));
	if (!bundle)
		return eg_error_set(error, EG_EXIT_FAILED, EBADMSG,
				    "the runtime does not tell the container's state: whether it "
				    "is sealed is not known, and it is not started");
	result = eg_oci_bundle_find_hook(bundle, &config, &terms, error);
	if (result == -ENOENT)
		return 0;
	if (result < 0)
		return result;
	terms.late = false;
	terms.starts = true;
	return eg_oci_seal("oci-runtime", text, len, &terms, error);
}

/* Who called the runtime looks there for what went wrong, and shows nothing else. */
static void tell_caller(const char *path, const struct eg_error *error)
{
	EG_AUTO_FREE char *line = NULL;
	EG_AUTO_FCLOSE FILE *log = NULL;
	EG_AUTO_JSON json_t *entry = NULL;
	char when[32], message[EG_ERROR_LEN + 64];
	time_t now = time(NULL);
	struct tm utc;

	if (!path)
		return;
	snprintf(message, sizeof(message), "egressguard: %s", error->message);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
	entry = json_pack("{s:s, s:s, s:s}", "level", "error", "msg", message, "time", when);
	line = entry ? json_dumps(entry, JSON_COMPACT) : NULL;
	log = line ? fopen(path, "ae") : NULL;
	if (log)
		fprintf(log, "%s\n", line);
}

int cmd_oci_runtime(int argc, char **argv)
{
	struct runtime runtime = {};
	struct eg_error error = {};
	bool wants_help = false;
	int result = read_arguments(argc, argv, &runtime, &wants_help, &error);

	if (wants_help) {
		eg_help_print(&help, stdout);
		return EG_EXIT_OK;
	}
	if (result == 0) {
		switch (runtime.call.kind) {
		case EG_OCI_CALL_CREATE:
		case EG_OCI_CALL_RUN:
		case EG_OCI_CALL_RESTORE:
			result = create(&runtime, &error);
			break;
		case EG_OCI_CALL_START:
			result = start(&runtime, &error);
			break;
		case EG_OCI_CALL_OTHER:
			break;
		}
	}
	if (result == 0)
		result = execute_all(&runtime, &error);
	tell_caller(eg_oci_call_log(argc, argv), &error);
	return eg_log_error("oci-runtime", result, &error);
}
