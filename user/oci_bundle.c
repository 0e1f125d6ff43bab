// SPDX-License-Identifier: GPL-2.0
#include "oci_bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "oci/hooks.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/text.h"

#define EG_AUTO_JSON EG_AUTO(json_decrefp)

#define CONFIG         "config.json"
#define CONFIG_NEW     ".config.json.egressguard"
#define STAGE_FIRST    "prestart"
#define STAGE_LAST     "createRuntime"
#define HOOK_TIMEOUT_S 60 /* longer than a lock is waited for */
#define HOOK_ARGS_MAX  24

struct bundle {
	const char *path;
	int dir_fd;
	char *text;
	size_t len;
	json_t *config;
};

static void bundle_close(struct bundle *bundle)
{
	eg_cleanup_close(&bundle->dir_fd);
	free(bundle->text);
	json_decref(bundle->config);
}

static int bundle_error(const struct bundle *bundle, int errnum, const char *what,
			struct eg_error *error)
{
	char safe[PATH_MAX];

	return eg_error_set(error, EG_EXIT_FAILED, errnum, "%s %.512s/" CONFIG ": %s", what,
			    eg_escape(safe, sizeof(safe), bundle->path, strlen(bundle->path)),
			    strerror(errnum));
}

static int bundle_open(struct bundle *bundle, struct eg_error *error)
{
	char quoted[EG_QUOTE_LEN];
	json_error_t where;
	int result;

	bundle->dir_fd = open(bundle->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (bundle->dir_fd < 0)
		return bundle_error(bundle, errno, "cannot open the directory of", error);
	result = eg_file_read(bundle->dir_fd, CONFIG, EG_OCI_TEXT_MAX, &bundle->text, &bundle->len);
	if (result < 0)
		return bundle_error(bundle, -result, "cannot read", error);
	bundle->config = json_loadb(bundle->text, bundle->len, JSON_DECODE_INT_AS_REAL, &where);
	if (!json_is_object(bundle->config))
		return eg_error_set(error, EG_EXIT_FAILED, EBADMSG,
				    "the bundle's " CONFIG " is no JSON object: %s",
				    eg_quote(quoted, where.text, sizeof(where.text)));
	return 0;
}

/* --- which policy -------------------------------------------------------------------------------
 */

/* Of the container's environment, which an image may set as well as a person. */
static const char *policy_of_environment(const json_t *config)
{
	const json_t *environment = json_object_get(json_object_get(config, "process"), "env");
	const char *found = NULL;
	const json_t *entry;
	size_t i;

	json_array_foreach(environment, i, entry)
	{
		const char *text = json_string_value(entry);

		if (text && strncmp(text, EG_OCI_ENV "=", sizeof(EG_OCI_ENV)) == 0)
			found = text + sizeof(EG_OCI_ENV);
	}
	return found;
}

static const char *policy_of(const json_t *config, const struct eg_oci_terms *terms)
{
	const json_t *annotations = json_object_get(config, "annotations");
	const char *named = json_string_value(json_object_get(annotations, EG_OCI_POLICY));

	if (named)
		return named;
	return terms->policy ? terms->policy : policy_of_environment(config);
}

/* *ret_policy is NULL where it is started without a guard. */
static int choose_policy(const json_t *config, const struct eg_oci_terms *terms,
			 const char **ret_policy, struct eg_error *error)
{
	int result = eg_oci_check_annotations(json_object_get(config, "annotations"), error);

	if (result < 0)
		return result;
	*ret_policy = policy_of(config, terms);
	if (*ret_policy || terms->optional)
		return 0;
	return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
			    "the container names no policy, and is not started without: "
			    "give it the annotation " EG_OCI_POLICY "=NAME, or " EG_OCI_ENV
			    "=NAME in its environment, or the runtime --policy NAME in its "
			    "runtimeArgs (of a file NAME.conf in /etc/egressguard)");
}

int eg_oci_bundle_wants_guard(const char *path, const struct eg_oci_terms *terms,
			      struct eg_error *error)
{
	EG_AUTO(bundle_close) struct bundle bundle = {.path = path, .dir_fd = -1};
	const char *policy = NULL;
	int result = bundle_open(&bundle, error);

	if (result == 0)
		result = choose_policy(bundle.config, terms, &policy, error);
	return result < 0 ? result : policy != NULL;
}

/* --- the hooks
 * --------------------------------------------------------------------------------------
 */

static void add_argument(json_t *args, const char *option, const char *value)
{
	if (!value)
		return;
	json_array_append_new(args, json_string(option));
	json_array_append_new(args, json_string(value));
}

static void add_switch(json_t *args, const char *option, bool on)
{
	if (on)
		json_array_append_new(args, json_string(option));
}

static json_t *sealing_arguments(const struct eg_oci_terms *terms, const char *policy)
{
	json_t *args = json_pack("[s, s]", "egressguard", "oci-hook");

	if (!args)
		return NULL;
	add_argument(args, "--policy", policy);
	add_argument(args, "--engine", terms->engine);
	add_argument(args, "--config-dir", terms->config_dir);
	add_argument(args, "--pin-dir", terms->pin_dir);
	add_switch(args, "--accept-device-only", terms->accept_device_only);
	add_switch(args, "--late", terms->late);
	return args;
}

/* The hook as an object, NULL: out of memory, or what is not UTF-8. Takes `args`. */
static json_t *make_hook(const char *program, json_t *args)
{
	return args ? json_pack("{s:s, s:o, s:i}", "path", program, "args", args, "timeout",
				HOOK_TIMEOUT_S)
		    : NULL;
}

/* One that is another container's, or the engine's, is theirs to use. */
static bool makes_netns(const json_t *config)
{
	const json_t *namespaces = json_object_get(json_object_get(config, "linux"), "namespaces");
	const json_t *entry;
	size_t i;

	json_array_foreach(namespaces, i, entry)
	{
		const char *type = json_string_value(json_object_get(entry, "type"));
		const char *path = json_string_value(json_object_get(entry, "path"));

		if (type && strcmp(type, "network") == 0)
			return !path || !*path;
	}
	return false;
}

static int write_config(const struct bundle *bundle, const struct eg_text *text,
			struct eg_error *error)
{
	EG_AUTO_CLOSE int fd = -1;
	struct stat before;
	ssize_t written;

	if (fstatat(bundle->dir_fd, CONFIG, &before, 0) < 0)
		return bundle_error(bundle, errno, "cannot look at", error);
	unlinkat(bundle->dir_fd, CONFIG_NEW, 0);
	fd = openat(bundle->dir_fd, CONFIG_NEW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return bundle_error(bundle, errno, "cannot write beside", error);
	written = write(fd, text->data, text->len);
	if (written != (ssize_t)text->len || fchown(fd, before.st_uid, before.st_gid) < 0 ||
	    fchmod(fd, before.st_mode & 07777) < 0 ||
	    renameat(bundle->dir_fd, CONFIG_NEW, bundle->dir_fd, CONFIG) < 0) {
		int errnum = written >= 0 && written < (ssize_t)text->len ? ENOSPC : errno;

		unlinkat(bundle->dir_fd, CONFIG_NEW, 0);
		return bundle_error(bundle, errnum, "cannot write", error);
	}
	return 0;
}

static json_t *hooks_of(const json_t *config, const char *stage)
{
	return json_object_get(json_object_get(config, "hooks"), stage);
}

/* What a reader makes of it: our hook is where it should be. */
static int check_added(const struct eg_text *text, const struct eg_oci_hook *place,
		       const json_t *hook, struct eg_error *error)
{
	EG_AUTO_JSON json_t *config =
		json_loadb(text->data, text->len, JSON_DECODE_INT_AS_REAL, NULL);
	const json_t *hooks = hooks_of(config, place->stage);
	const json_t *there = json_array_get(hooks, place->first ? 0 : json_array_size(hooks) - 1);

	if (json_equal(json_object_get(there, "path"), json_object_get(hook, "path")) &&
	    json_equal(json_object_get(there, "args"), json_object_get(hook, "args")))
		return 0;
	return eg_error_set(error, EG_EXIT_FAILED, EBADMSG,
			    "the hook could not be put into the bundle's " CONFIG
			    ": the container is not started without");
}

/* Takes `hook`. `to` is what `from` was, with it. */
static int add_hook(const char *from, size_t len, json_t *hook, const char *stage, bool first,
		    struct eg_text *to, struct eg_error *error)
{
	EG_AUTO_JSON json_t *owned = hook;
	EG_AUTO_FREE char *hook_text = hook ? json_dumps(hook, JSON_COMPACT) : NULL;
	const struct eg_oci_hook place = {.stage = stage, .first = first, .text = hook_text};
	int result;

	if (!hook_text)
		return eg_error_set(error, EG_EXIT_FAILED, EINVAL,
				    "the hook cannot be written: out of memory, or something in "
				    "its arguments is not UTF-8");
	result = eg_oci_hooks_add(from, len, &place, to, error);
	return result < 0 ? result : check_added(to, &place, owned, error);
}

int eg_oci_bundle_add_hooks(const char *path, const struct eg_oci_terms *terms,
			    struct eg_error *error)
{
	EG_AUTO(bundle_close) struct bundle bundle = {.path = path, .dir_fd = -1};
	EG_AUTO_TEXT struct eg_text sealed = {}, mute = {};
	char program[PATH_MAX];
	const char *policy = NULL;
	bool makes;
	ssize_t len;
	int result = bundle_open(&bundle, error);

	if (result == 0)
		result = choose_policy(bundle.config, terms, &policy, error);
	if (result < 0 || !policy)
		return result;
	len = readlink("/proc/self/exe", program, sizeof(program) - 1);
	if (len <= 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno, "cannot tell where I am: %m");
	program[len] = '\0';
	makes = makes_netns(bundle.config);
	result = add_hook(bundle.text, bundle.len,
			  make_hook(program, sealing_arguments(terms, policy)), STAGE_LAST, false,
			  &sealed, error);
	if (result == 0 && makes)
		result = add_hook(sealed.data, sealed.len,
				  make_hook(program, json_pack("[s, s, s]", "egressguard",
							       "oci-hook", "--mute")),
				  STAGE_FIRST, true, &mute, error);
	return result < 0 ? result : write_config(&bundle, makes ? &mute : &sealed, error);
}

/* --- the hook that is there ----------------------------------------------------------------------
 */

static int read_hook(const json_t *hook, struct eg_oci_terms *ret_terms, struct eg_error *error)
{
	const json_t *args = json_object_get(hook, "args");
	char *argv[HOOK_ARGS_MAX + 1] = {};
	size_t n = json_array_size(args);

	if (n < 2 || n > HOOK_ARGS_MAX)
		return -ENOENT;
	for (size_t i = 0; i < n; i++) {
		argv[i] = (char *)json_string_value(json_array_get(args, i));
		if (!argv[i])
			return -ENOENT;
	}
	if (strcmp(argv[0], "egressguard") != 0 || strcmp(argv[1], "oci-hook") != 0)
		return -ENOENT;
	*ret_terms = (struct eg_oci_terms){};
	return eg_oci_terms_read((int)n - 1, argv + 1, ret_terms, NULL, error);
}

int eg_oci_bundle_find_hook(const char *path, json_t **ret_config, struct eg_oci_terms *ret_terms,
			    struct eg_error *error)
{
	EG_AUTO(bundle_close) struct bundle bundle = {.path = path, .dir_fd = -1};
	int result = bundle_open(&bundle, error);
	const json_t *hook;
	size_t i;

	if (result < 0)
		return result;
	json_array_foreach(hooks_of(bundle.config, STAGE_LAST), i, hook)
	{
		result = read_hook(hook, ret_terms, error);
		if (result == -ENOENT)
			continue;
		if (result == 0)
			*ret_config = EG_TAKE(bundle.config);
		return result;
	}
	return -ENOENT;
}
