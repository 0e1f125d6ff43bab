// SPDX-License-Identifier: GPL-2.0
#include "oci.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "log.h"
#include "net/mute.h"
#include "net/runtime.h"
#include "start.h"
#include "util/cleanup.h"
#include "util/text.h"

#define EG_AUTO_JSON EG_AUTO(json_decrefp)

/* --- options ----------------------------------------------------------------------------------
 */

int eg_oci_take(struct eg_oci_terms *terms, int id, const char *value, struct eg_error *error)
{
	char quoted[EG_QUOTE_LEN];

	switch (id) {
	case EG_OCI_OPTION_POLICY:
		terms->policy = value;
		return 0;
	case EG_OCI_OPTION_OPTIONAL:
		terms->optional = true;
		return 0;
	case EG_OCI_OPTION_LATE:
		terms->late = true;
		return 0;
	case EG_OCI_OPTION_MUTE:
		terms->mute = true;
		return 0;
	case EG_OCI_OPTION_CONFIG_DIR:
		terms->config_dir = value;
		return 0;
	case EG_OCI_OPTION_ACCEPT_DEVICE_ONLY:
		terms->accept_device_only = true;
		return 0;
	case EG_OPTION_PIN_DIR:
		terms->pin_dir = value;
		return 0;
	case EG_OCI_OPTION_ENGINE:
		terms->engine = value;
		if (strcmp(value, "docker") == 0 || strcmp(value, "podman") == 0 ||
		    strcmp(value, "other") == 0)
			return 0;
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--engine %s: it is docker, podman or other",
				    eg_quote(quoted, value, strlen(value)));
	default:
		value = value ? value : "--help";
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL, "%s is not expected here",
				    eg_quote(quoted, value, strlen(value)));
	}
}

static const struct eg_option hook_options[] = {
	EG_OCI_OPTION_ENTRIES,
	{EG_OCI_OPTION_LATE, "--late", NULL,
	 "its interfaces may come after this hook: set by `egressguard oci-runtime`, which seals "
	 "it "
	 "again before it runs"},
	{EG_OCI_OPTION_MUTE, "--mute", NULL,
	 "keep a network that has no interface yet from answering anybody until it is sealed, and "
	 "do no more: set by `egressguard oci-runtime`, for the first hook of all"},
	{},
};

const struct eg_help eg_oci_hook_help = {
	.command = "oci-hook",
	.usage = "[--policy NAME] [--optional] [--engine ENGINE] [--config-dir DIR] <STATE",
	.summary = "Seal a container's network before its first process runs: a hook for the stage "
		   "createRuntime of an OCI runtime, which tells the container's state on standard "
		   "input and starts nothing if this fails.",
	.options = hook_options,
	.example = "podman --hooks-dir /usr/local/share/containers/oci/hooks.d run --annotation "
		   "egressguard.policy=wireguard IMAGE",
	.more = "The container's annotation egressguard.policy=NAME says which policy file it has. "
		"It is in force when this command has ended, whatever becomes of the engine, until "
		"the container's network ends.",
};

int eg_oci_terms_read(int argc, char **argv, struct eg_oci_terms *terms, bool *ret_help,
		      struct eg_error *error)
{
	struct eg_options options = {.help = &eg_oci_hook_help, .argc = argc, .argv = argv};
	const char *value = NULL;
	int id = 0, result;

	while ((result = eg_options_next(&options, &id, &value, error)) > 0) {
		if (id == EG_OPTION_HELP && ret_help) {
			*ret_help = true;
			return 0;
		}
		result = eg_oci_take(terms, id, value, error);
		if (result < 0)
			return result;
	}
	return result;
}

/* --- the state ----------------------------------------------------------------------------------
 */

static const char *annotation(const json_t *state, const char *key)
{
	return json_string_value(json_object_get(json_object_get(state, "annotations"), key));
}

/* One that is misspelt would be no word for a guard at all. */
int eg_oci_check_annotations(const json_t *annotations, struct eg_error *error)
{
	static const char *const known[] = {EG_OCI_POLICY, EG_OCI_NAME, NULL};
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)annotations, key, value)
	{
		const char *nearest = eg_nearest(key, known);
		char quoted[EG_QUOTE_LEN];

		if (strncmp(key, EG_OCI_PREFIX, strlen(EG_OCI_PREFIX)) != 0 ||
		    strcmp(key, EG_OCI_POLICY) == 0 || strcmp(key, EG_OCI_NAME) == 0)
			continue;
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "there is no annotation %s; did you mean '%s'?",
				    eg_quote(quoted, key, strlen(key)),
				    nearest ? nearest : EG_OCI_POLICY);
	}
	return 0;
}

static int engine_of(const json_t *state, const struct eg_oci_terms *terms)
{
	const char *manager = annotation(state, "io.container.manager");
	const char *engine = terms->engine;

	if (!engine && manager && strcmp(manager, "libpod") == 0)
		engine = "podman";
	for (int i = 0; engine && i < EG_RUNTIME_COUNT; i++)
		if (strcmp(engine, eg_runtime_names[i]) == 0)
			return i;
	return EG_START_ENGINE_OTHER;
}

static int parse_state(const char *text, size_t len, json_t **ret_state, struct eg_error *error)
{
	json_error_t where;
	json_t *state = json_loadb(text, len, JSON_DECODE_INT_AS_REAL, &where);
	char quoted[EG_QUOTE_LEN];

	if (json_is_object(state)) {
		*ret_state = state;
		return 0;
	}
	json_decref(state);
	return eg_error_set(error, EG_EXIT_USAGE, EBADMSG,
			    "the container's state on standard input is not what an OCI runtime "
			    "tells a hook (%s): this command is for a runtime to call",
			    eg_quote(quoted, where.text, sizeof(where.text)));
}

/* Its process is there and has not run yet, or it is too late. */
static int find_process(const json_t *state, pid_t *ret_pid, struct eg_error *error)
{
	const char *status = json_string_value(json_object_get(state, "status"));
	double pid = json_number_value(json_object_get(state, "pid"));
	char quoted[EG_QUOTE_LEN];

	if (!status || (strcmp(status, "creating") != 0 && strcmp(status, "created") != 0))
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "the container's status is %s, and it can be sealed without a "
				    "gap only before it runs: the stage of this hook is "
				    "createRuntime",
				    eg_quote(quoted, status ? status : "not told",
					     strlen(status ? status : "not told")));
	if (pid < 1 || pid > 4194304)
		return eg_error_set(error, EG_EXIT_FAILED, EBADMSG,
				    "the container's state names no process");
	*ret_pid = (pid_t)pid;
	return 0;
}

/* --- sealing ------------------------------------------------------------------------------------
 */

/* Who starts a container that then has no network wants to know why; stderr is thrown away. */
static void warn(const char *command, const char *guard, const char *line, size_t len)
{
	char name[EG_NAME_MAX * 4];

	eg_escape(name, sizeof(name), guard, strlen(guard));
	eg_log_warning(command, "%s: %.*s", name, (int)len, line);
	syslog(LOG_WARNING, "%s: %s: %.*s", command, name, (int)len, line);
}

static void say(const char *command, const struct eg_start_result *result)
{
	static const char *const outcomes[] = {
		[EG_START_SEALED] = "guarded, before anything runs there",
		[EG_START_AGAIN] = "guarded already",
		[EG_START_JOINED] = "a container shares its network, which is guarded",
	};
	static const char no_endpoint[] =
		"no endpoint is known, so the tunnel cannot come up until `egressguard daemon` "
		"learns it, or the policy names it (Endpoint =)";
	const char *line = result->warnings.len ? result->warnings.data : "";
	char name[EG_NAME_MAX * 4], aside[EG_NAME_MAX * 4];

	openlog("egressguard", LOG_PID, LOG_DAEMON);
	while (*line) {
		size_t len = strcspn(line, "\n");

		warn(command, result->name, line, len);
		line += len + (line[len] == '\n');
	}
	if (!result->has_endpoint)
		warn(command, result->name, no_endpoint, strlen(no_endpoint));
	eg_escape(name, sizeof(name), result->name, sizeof(result->name));
	if (result->aside)
		syslog(LOG_NOTICE,
		       "%s: %s: the namespace that it had is still in use: its guard "
		       "stays in force as '%s'",
		       command, name,
		       eg_escape(aside, sizeof(aside), result->aside, strlen(result->aside)));
	syslog(LOG_NOTICE, "%s: %s: %s", command, name, outcomes[result->outcome]);
}

static int open_netns(const json_t *state, struct eg_netns *ret_netns, struct eg_error *error)
{
	pid_t pid = 0;
	int result = find_process(state, &pid, error);

	return result < 0 ? result : eg_netns_open_pid(pid, ret_netns, error);
}

int eg_oci_mute(const char *text, size_t len, struct eg_error *error)
{
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	EG_AUTO_JSON json_t *state = NULL;
	int result = parse_state(text, len, &state, error);

	if (result == 0)
		result = open_netns(state, &netns, error);
	return result < 0 ? result : eg_start_mute(&netns, error);
}

int eg_oci_seal(const char *command, const char *text, size_t len, const struct eg_oci_terms *terms,
		struct eg_error *error)
{
	EG_AUTO(eg_start_result_free) struct eg_start_result sealed = {};
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	EG_AUTO_JSON json_t *state = NULL;
	struct eg_start_request request = {
		.policy = terms->policy,
		.config_dir = terms->config_dir,
		.pin_dir = terms->pin_dir,
		.accept_device_only = terms->accept_device_only,
	};
	int result = parse_state(text, len, &state, error);

	if (result == 0)
		result = eg_oci_check_annotations(json_object_get(state, "annotations"), error);
	if (result < 0)
		return result;
	if (annotation(state, EG_OCI_POLICY))
		request.policy = annotation(state, EG_OCI_POLICY);
	if (!request.policy && terms->optional)
		return 0;
	if (!request.policy)
		return eg_error_set(
			error, EG_EXIT_USAGE, EINVAL,
			"the container names no policy: give it the annotation " EG_OCI_POLICY
			"=NAME, or this command --policy NAME (of a file "
			"NAME.conf in /etc/egressguard)");
	request.name = annotation(state, EG_OCI_NAME);
	request.container_id = json_string_value(json_object_get(state, "id"));
	request.engine = engine_of(state, terms);
	result = open_netns(state, &netns, error);
	if (result == 0)
		result = eg_start_seal(&netns, &request, &sealed, error);
	if (result == 0 && !sealed.has_interface && !terms->late && !terms->starts)
		result = eg_error_set(
			error, EG_EXIT_FAILED, ENETDOWN,
			"the container has no network interface yet. Its engine gives it one after "
			"the hooks (as Podman does with --userns), and this hook cannot guard "
			"that: start it with the runtime `egressguard oci-runtime`, which looks "
			"again; or it has no network and needs no guard");
	if (result == 0 && !terms->late)
		result = eg_unmute(&netns, error);
	if (result == 0)
		say(command, &sealed);
	return result;
}
