// SPDX-License-Identifier: GPL-2.0
#include "oci/call.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "util/text.h"

/* One of an option's two forms, "--name VALUE" or "--name=VALUE", with one hyphen or two. */
struct word {
	const char *name;
	size_t len;
	const char *value; /* after "=", or NULL */
};

static bool read_option(const char *argument, struct word *ret_word)
{
	const char *name = argument, *end;

	if (*name != '-')
		return false;
	name += name[1] == '-' ? 2 : 1;
	end = strchr(name, '=');
	*ret_word = (struct word){.name = name,
				  .len = end ? (size_t)(end - name) : strlen(name),
				  .value = end ? end + 1 : NULL};
	return ret_word->len > 0;
}

static bool is_one_of(const struct word *word, const char *const *names)
{
	for (; *names; names++)
		if (strlen(*names) == word->len && strncmp(*names, word->name, word->len) == 0)
			return true;
	return false;
}

static const char *const with_value[] = {"root",           "log", "log-format", "criu", "rootless",
					 "cgroup-manager", NULL};
static const char *const switches[] = {"debug", "systemd-cgroup", "version", "v", "help", "h",
				       NULL};
static const char *const is_root[] = {"root", NULL};
static const char *const is_log[] = {"log", NULL};
static const char *const is_bundle[] = {"bundle", "b", NULL};
static const char *const is_config[] = {"config", "f", NULL};
/* Of `create`, `run` and `restore`. */
static const char *const bundle_with_value[] = {"bundle",
						"b",
						"console-socket",
						"pid-file",
						"pidfd-socket",
						"preserve-fds",
						"image-path",
						"work-path",
						"manage-cgroups-mode",
						"empty-ns",
						"lsm-profile",
						"lsm-mount-context",
						NULL};
static const char *const bundle_switches[] = {
	"no-pivot",   "no-new-keyring",  "no-subreaper", "detach",    "d",
	"keep",       "tcp-established", "ext-unix-sk",  "shell-job", "file-locks",
	"auto-dedup", "lazy-pages",      "help",         "h",         NULL};

static const struct command {
	const char *name;
	enum eg_oci_call_kind kind;
} commands[] = {
	{"create", EG_OCI_CALL_CREATE},    {"run", EG_OCI_CALL_RUN},
	{"restore", EG_OCI_CALL_RESTORE},  {"start", EG_OCI_CALL_START},
	{"checkpoint", EG_OCI_CALL_OTHER}, {"delete", EG_OCI_CALL_OTHER},
	{"events", EG_OCI_CALL_OTHER},     {"exec", EG_OCI_CALL_OTHER},
	{"features", EG_OCI_CALL_OTHER},   {"help", EG_OCI_CALL_OTHER},
	{"kill", EG_OCI_CALL_OTHER},       {"list", EG_OCI_CALL_OTHER},
	{"mounts", EG_OCI_CALL_OTHER},     {"pause", EG_OCI_CALL_OTHER},
	{"ps", EG_OCI_CALL_OTHER},         {"resume", EG_OCI_CALL_OTHER},
	{"spec", EG_OCI_CALL_OTHER},       {"state", EG_OCI_CALL_OTHER},
	{"update", EG_OCI_CALL_OTHER},     {},
};

/* Its `name` is NULL where there is none. */
static const struct command *find_command(const char *name)
{
	const struct command *command = commands;

	while (command->name && strcmp(command->name, name) != 0)
		command++;
	return command;
}

static int unknown(const char *what, const char *argument, struct eg_error *error)
{
	char quoted[EG_QUOTE_LEN];

	return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
			    "%s %s is not one of an OCI runtime's that are known here, so whether "
			    "it starts a container cannot be told",
			    what, eg_quote(quoted, argument, strlen(argument)));
}

static int read_globals(int argc, char *const *argv, struct eg_oci_call *call,
			struct eg_error *error)
{
	struct word word;
	int i = 0;

	for (; i < argc && read_option(argv[i], &word); i++) {
		const char *value = word.value;

		if (is_one_of(&word, switches))
			continue;
		if (!is_one_of(&word, with_value))
			return unknown("the option", argv[i], error);
		if (!value && i + 1 < argc)
			value = argv[++i];
		if (is_one_of(&word, is_root))
			call->root = value;
	}
	call->command = i;
	return 0;
}

/* With an option that nobody knows, what follows may be its value or the bundle: the hook would be
 * in one bundle, and the container of another one. */
static int read_bundle(int argc, char *const *argv, struct eg_oci_call *call,
		       struct eg_error *error)
{
	struct word word;

	for (int i = call->command + 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (!read_option(argv[i], &word))
			continue;
		if (is_one_of(&word, is_config))
			return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
					    "a container by another file than its bundle's "
					    "config.json gets no hook: leave %s out",
					    word.len > 1 ? "--config" : "-f");
		if (is_one_of(&word, bundle_switches))
			continue;
		if (!is_one_of(&word, bundle_with_value))
			return unknown("the option", argv[i], error);
		if (!word.value && i + 1 < argc)
			word.value = argv[++i];
		if (is_one_of(&word, is_bundle))
			call->bundle = word.value;
	}
	return 0;
}

int eg_oci_call_read(int argc, char *const *argv, struct eg_oci_call *ret_call,
		     struct eg_error *error)
{
	struct eg_oci_call call = {};
	const struct command *command;
	struct word word;
	int result = read_globals(argc, argv, &call, error);

	if (result < 0)
		return result;
	if (call.command == argc) {
		*ret_call = call;
		return 0;
	}
	command = find_command(argv[call.command]);
	if (!command->name)
		return unknown("the command", argv[call.command], error);
	call.kind = command->kind;
	if (call.kind == EG_OCI_CALL_CREATE || call.kind == EG_OCI_CALL_RUN ||
	    call.kind == EG_OCI_CALL_RESTORE)
		result = read_bundle(argc, argv, &call, error);
	for (int i = call.command + 1; call.kind == EG_OCI_CALL_START && i < argc; i++)
		if (!read_option(argv[i], &word))
			call.id = argv[i];
	if (result == 0)
		*ret_call = call;
	return result;
}

const char *eg_oci_call_log(int argc, char *const *argv)
{
	struct word word;

	for (int i = 0; i < argc && !find_command(argv[i])->name; i++) {
		if (read_option(argv[i], &word) && is_one_of(&word, is_log))
			return word.value || i + 1 == argc ? word.value : argv[i + 1];
	}
	return NULL;
}
