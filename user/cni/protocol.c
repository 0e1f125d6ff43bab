// SPDX-License-Identifier: GPL-2.0
#include "cni/protocol.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cni/policy_json.h"
#include "util/cleanup.h"
#include "util/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define IFNAME_MAX 15 /* bytes */

const char *const eg_cni_command_names[EG_CNI_COMMANDS] = {
	[EG_CNI_ADD] = "ADD", [EG_CNI_CHECK] = "CHECK",   [EG_CNI_DEL] = "DEL",
	[EG_CNI_GC] = "GC",   [EG_CNI_STATUS] = "STATUS", [EG_CNI_VERSION] = "VERSION",
};

/* Oldest first. What comes before knows no chains. */
static const char *const versions[] = {"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
#define LATEST (COUNT(versions) - 1)

/* The first version that has it. */
static const char *const since[EG_CNI_COMMANDS] = {
	[EG_CNI_ADD] = "0.3.0", [EG_CNI_CHECK] = "0.4.0",  [EG_CNI_DEL] = "0.3.0",
	[EG_CNI_GC] = "1.1.0",  [EG_CNI_STATUS] = "1.1.0", [EG_CNI_VERSION] = "0.3.0",
};

/* Keys of a network configuration: ours, and those that every plugin may be handed. */
static const char *const known_keys[] = {
	"policy",     "policyName", "mute",         "acceptDeviceOnly",
	"pinDir",     "cniVersion", "cniVersions",  "name",
	"type",       "args",       "capabilities", "runtimeConfig",
	"prevResult", "ipMasq",     "ipam",         "dns",
	NULL,
};

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}
#define AUTO_JSON EG_AUTO(cleanup_json)

int eg_cni_fail(struct eg_cni_error *error, enum eg_cni_code code, const char *format, ...)
{
	va_list args;

	if (error) {
		error->code = code;
		va_start(args, format);
		vsnprintf(error->message, sizeof(error->message), format, args);
		va_end(args);
	}
	return -EINVAL;
}

static int no_memory(struct eg_cni_error *error)
{
	return eg_cni_fail(error, EG_CNI_FAILED, "out of memory");
}

void eg_cni_request_free(struct eg_cni_request *request)
{
	if (!request)
		return;
	free(request->network);
	free(request->container_id);
	free(request->netns);
	free(request->ifname);
	eg_policy_free(request->policy);
	free(request->policy_name);
	free(request->pin_dir);
	free(request->result);
	free(request);
}

/* --- the environment ------------------------------------------------------------------------- */

static bool is_given(const char *value)
{
	return value && *value;
}

int eg_cni_command(const struct eg_cni_environment *environment, enum eg_cni_command *ret_command,
		   struct eg_cni_error *error)
{
	char quoted[EG_QUOTE_LEN];

	if (!is_given(environment->command))
		return eg_cni_fail(
			error, EG_CNI_BAD_ENVIRONMENT,
			"CNI_COMMAND is not set: this is a CNI plugin, to be called by a "
			"container runtime; see egressguard-cni(8)");
	for (int i = 0; i < EG_CNI_COMMANDS; i++) {
		if (strcmp(environment->command, eg_cni_command_names[i]) == 0) {
			*ret_command = (enum eg_cni_command)i;
			return 0;
		}
	}
	return eg_cni_fail(error, EG_CNI_BAD_ENVIRONMENT,
			   "CNI_COMMAND %s: not ADD, CHECK, DEL, GC, STATUS or VERSION",
			   eg_quote(quoted, environment->command, strlen(environment->command)));
}

/* What the specification has names be, and what a guard's name may always be. */
static bool is_name(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)text[i]) && (i == 0 || !strchr("_.-", text[i])))
			return false;
	}
	return len > 0;
}

static bool is_ifname(const char *text)
{
	if (strlen(text) > IFNAME_MAX || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return false;
	for (; *text; text++) {
		if (*text == '/' || *text == ':' || isspace((unsigned char)*text))
			return false;
	}
	return true;
}

static int bad_variable(const char *name, const char *value, const char *why,
			struct eg_cni_error *error)
{
	char quoted[EG_QUOTE_LEN];

	return eg_cni_fail(error, EG_CNI_BAD_ENVIRONMENT, "%s %s: %s", name,
			   eg_quote(quoted, value, strlen(value)), why);
}

/* Of ADD, CHECK and DEL. The namespace may be gone when DEL comes. */
static int check_variables(const struct eg_cni_environment *environment,
			   enum eg_cni_command command, struct eg_cni_error *error)
{
	const struct {
		const char *name, *value;
		bool wanted;
	} variables[] = {
		{"CNI_CONTAINERID", environment->container_id, true},
		{"CNI_NETNS", environment->netns, command != EG_CNI_DEL},
		{"CNI_IFNAME", environment->ifname, true},
	};

	for (size_t i = 0; i < COUNT(variables); i++) {
		if (variables[i].wanted && !is_given(variables[i].value))
			return eg_cni_fail(error, EG_CNI_BAD_ENVIRONMENT, "%s is not set",
					   variables[i].name);
	}
	if (!is_name(environment->container_id, strlen(environment->container_id)))
		return bad_variable("CNI_CONTAINERID", environment->container_id,
				    "not a letter or digit, followed by such, '_', '.' or '-'",
				    error);
	if (!is_ifname(environment->ifname))
		return bad_variable("CNI_IFNAME", environment->ifname,
				    "not the name of a network interface", error);
	if (command != EG_CNI_DEL && environment->netns[0] != '/')
		return bad_variable("CNI_NETNS", environment->netns,
				    "not the path of a network namespace", error);
	return 0;
}

/* The value of a key in "KEY=VALUE;KEY=VALUE", NULL: it has none. */
static const char *find_argument(const char *args, const char *key, size_t *ret_len)
{
	size_t key_len = strlen(key);

	while (args && *args) {
		size_t len = strcspn(args, ";");

		if (len > key_len && args[key_len] == '=' && strncmp(args, key, key_len) == 0) {
			*ret_len = len - key_len - 1;
			return args + key_len + 1;
		}
		args += len + (args[len] == ';');
	}
	return NULL;
}

/* A name that people know, if there is one. It need not be this pod's alone: who uses it sees to
 * that. */
static int name_guard(struct eg_cni_request *request, const struct eg_cni_environment *environment,
		      struct eg_cni_error *error)
{
	size_t space_len = 0, len = 0;
	const char *space = find_argument(environment->args, "K8S_POD_NAMESPACE", &space_len);
	const char *name = find_argument(environment->args, "K8S_POD_NAME", &len);

	if (name && is_name(name, len)) {
		bool has_space = space && is_name(space, space_len);
		size_t whole = len + (has_space ? space_len + 1 : 0);

		if (whole < sizeof(request->name)) {
			snprintf(request->name, sizeof(request->name), "%.*s%s%.*s",
				 has_space ? (int)space_len : 0, has_space ? space : "",
				 has_space ? "." : "", (int)len, name);
			return 0;
		}
	}
	if (strlen(environment->container_id) >= sizeof(request->name))
		return eg_cni_fail(error, EG_CNI_BAD_ENVIRONMENT,
				   "CNI_CONTAINERID: too long for the name of a guard, at most %zu "
				   "bytes",
				   sizeof(request->name) - 1);
	strcpy(request->name, environment->container_id);
	return 0;
}

static int copy(char **to, const char *from, struct eg_cni_error *error)
{
	if (!is_given(from))
		return 0;
	*to = strdup(from);
	return *to ? 0 : no_memory(error);
}

static int read_environment(struct eg_cni_request *request,
			    const struct eg_cni_environment *environment,
			    struct eg_cni_error *error)
{
	if (check_variables(environment, request->command, error) < 0 ||
	    copy(&request->container_id, environment->container_id, error) < 0 ||
	    copy(&request->netns, environment->netns, error) < 0 ||
	    copy(&request->ifname, environment->ifname, error) < 0)
		return -EINVAL;
	return request->command == EG_CNI_DEL ? 0 : name_guard(request, environment, error);
}

/* --- the configuration ----------------------------------------------------------------------- */

static json_t *load(const char *input, size_t len, json_error_t *ret_why)
{
	return json_loadb(input, len, JSON_REJECT_DUPLICATES, ret_why);
}

static int parse(const char *input, size_t len, json_t **ret_config, struct eg_cni_error *error)
{
	json_error_t why = {};
	AUTO_JSON json_t *config = load(input, len, &why);
	char safe[2 * JSON_ERROR_TEXT_LENGTH];

	if (!config)
		return eg_cni_fail(error, EG_CNI_BAD_JSON,
				   "the network configuration on standard input: line %d, column "
				   "%d: %s",
				   why.line, why.column,
				   eg_escape(safe, sizeof(safe), why.text, strlen(why.text)));
	if (!json_is_object(config))
		return eg_cni_fail(error, EG_CNI_BAD_JSON,
				   "the network configuration on standard input is no object");
	*ret_config = EG_TAKE(config);
	return 0;
}

/* Of `versions`; their number: none of them. */
static size_t find_version(const char *text)
{
	size_t i = 0;

	while (i < COUNT(versions) && strcmp(versions[i], text) != 0)
		i++;
	return i;
}

static int read_version(struct eg_cni_request *request, const json_t *config,
			struct eg_cni_error *error)
{
	const char *text = json_string_value(json_object_get(config, "cniVersion"));
	const char *first = since[request->command];
	char quoted[EG_QUOTE_LEN];
	size_t version;

	if (!text)
		return eg_cni_fail(error, EG_CNI_BAD_VERSION,
				   "the network configuration has no cniVersion: it must be one "
				   "from %s to %s",
				   versions[0], versions[LATEST]);
	version = find_version(text);
	if (version == COUNT(versions))
		return eg_cni_fail(error, EG_CNI_BAD_VERSION,
				   "cniVersion %s: this plugin knows those from %s to %s",
				   eg_quote(quoted, text, strlen(text)), versions[0],
				   versions[LATEST]);
	if (version < find_version(first))
		return eg_cni_fail(error, EG_CNI_BAD_VERSION,
				   "cniVersion %s has no %s, which came with %s", versions[version],
				   eg_cni_command_names[request->command], first);
	request->version = versions[version];
	return 0;
}

static int read_network(struct eg_cni_request *request, const json_t *config,
			struct eg_cni_error *error)
{
	const char *name = json_string_value(json_object_get(config, "name"));
	char quoted[EG_QUOTE_LEN];

	if (!is_given(name))
		return eg_cni_fail(error, EG_CNI_BAD_CONFIG,
				   "the network configuration has no name");
	if (!is_name(name, strlen(name)))
		return eg_cni_fail(error, EG_CNI_BAD_CONFIG,
				   "the network's name %s: not a letter or digit, followed by "
				   "such, '_', '.' or '-'",
				   eg_quote(quoted, name, strlen(name)));
	return copy(&request->network, name, error);
}

/* A misspelt policy would be none. Keys with a slash are a runtime's, in its own name space. */
static int check_keys(const json_t *config, struct eg_cni_error *error)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)config, key, value)
	{
		EG_AUTO_FREE char *text = NULL;
		char quoted[EG_QUOTE_LEN], quoted_value[EG_QUOTE_LEN];
		const char *nearest;
		size_t i = 0;

		while (known_keys[i] && strcmp(known_keys[i], key) != 0)
			i++;
		if (known_keys[i] || strchr(key, '/'))
			continue;
		text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
		nearest = eg_nearest(key, known_keys);
		return eg_cni_fail(error, EG_CNI_BAD_FIELD, "this plugin knows no %s (%s)%s%s%s",
				   eg_quote(quoted, key, strlen(key)),
				   text ? eg_quote(quoted_value, text, strlen(text)) : "",
				   nearest ? "; did you mean '" : "", nearest ? nearest : "",
				   nearest ? "'?" : "");
	}
	return 0;
}

/* Nothing that leads out of the directory, and nothing hidden. */
static int read_policy_name(struct eg_cni_request *request, const json_t *value,
			    struct eg_cni_error *error)
{
	const char *name = json_string_value(value);

	if (!is_given(name) || *name == '.' || strchr(name, '/'))
		return eg_cni_fail(error, EG_CNI_BAD_CONFIG,
				   "policyName: not the name of a policy, which is a file's name "
				   "without .conf, and no path");
	return copy(&request->policy_name, name, error);
}

static int read_policy(struct eg_cni_request *request, const json_t *config,
		       struct eg_cni_error *error)
{
	const json_t *policy = json_object_get(config, "policy");
	const json_t *file = json_object_get(config, "policyName");

	if (request->mute && (policy || file))
		return eg_cni_fail(
			error, EG_CNI_BAD_CONFIG,
			"there is a policy beside mute: the entry with mute comes before "
			"the plugin that makes the interface, one with the policy after it");
	if (request->mute)
		return 0;
	if (!policy == !file)
		return eg_cni_fail(error, EG_CNI_BAD_CONFIG,
				   policy ? "there are both policy and policyName: leave one out"
					  : "what is to be enforced is missing: policy, with the "
					    "keys of a policy file, or policyName, the name of "
					    "one");
	return policy ? eg_cni_policy_read(policy, &request->policy, error)
		      : read_policy_name(request, file, error);
}

static int read_mute(struct eg_cni_request *request, const json_t *config,
		     struct eg_cni_error *error)
{
	const json_t *mute = json_object_get(config, "mute");

	if (mute && !json_is_boolean(mute))
		return eg_cni_fail(error, EG_CNI_BAD_CONFIG, "mute is neither true nor false");
	request->mute = json_is_true(mute);
	return 0;
}

static int read_places(struct eg_cni_request *request, const json_t *config,
		       struct eg_cni_error *error)
{
	const json_t *accept = json_object_get(config, "acceptDeviceOnly");
	const json_t *pin_dir = json_object_get(config, "pinDir");
	const char *path = json_string_value(pin_dir);

	if (accept && !json_is_boolean(accept))
		return eg_cni_fail(error, EG_CNI_BAD_CONFIG,
				   "acceptDeviceOnly is neither true nor false");
	request->accept_device_only = json_is_true(accept);
	if (pin_dir && (!path || *path != '/'))
		return eg_cni_fail(error, EG_CNI_BAD_CONFIG, "pinDir is not a whole path");
	return copy(&request->pin_dir, path, error);
}

/* What the plugins before have made is passed on as it is: nothing of it is changed by a guard. */
static int read_result(struct eg_cni_request *request, const json_t *config,
		       struct eg_cni_error *error)
{
	AUTO_JSON json_t *result = json_copy(json_object_get(config, "prevResult"));
	const json_t *version;

	if (!json_is_object(result))
		return eg_cni_fail(error, EG_CNI_BAD_CONFIG,
				   "there is no prevResult: this plugin guards the interfaces that "
				   "others make, so it comes after them in a list of plugins");
	version = json_object_get(result, "cniVersion");
	if (version && !json_is_string(version))
		return eg_cni_fail(error, EG_CNI_BAD_CONFIG,
				   "the prevResult's cniVersion is no string");
	if (json_object_set_new(result, "cniVersion", json_string(request->version)) < 0)
		return no_memory(error);
	request->result = json_dumps(result, JSON_INDENT(4));
	return request->result ? 0 : no_memory(error);
}

/* The first of a list has nothing to pass on. */
static int make_result(struct eg_cni_request *request, const json_t *config,
		       struct eg_cni_error *error)
{
	AUTO_JSON json_t *result = NULL;

	if (json_object_get(config, "prevResult"))
		return eg_cni_fail(
			error, EG_CNI_BAD_CONFIG,
			"there is a prevResult, and the entry with mute comes before the "
			"plugin that makes the interface, as the first of the list");
	result = json_pack("{s:s, s:[], s:[], s:{}}", "cniVersion", request->version, "interfaces",
			   "ips", "dns");
	request->result = result ? json_dumps(result, JSON_INDENT(4)) : NULL;
	return request->result ? 0 : no_memory(error);
}

/* What goes needs none of it. */
static int read_config(struct eg_cni_request *request, const json_t *config,
		       struct eg_cni_error *error)
{
	bool goes = request->command == EG_CNI_DEL || request->command == EG_CNI_GC;

	if (goes) {
		const char *path = json_string_value(json_object_get(config, "pinDir"));

		return path && *path == '/' ? copy(&request->pin_dir, path, error) : 0;
	}
	if (check_keys(config, error) < 0 || read_mute(request, config, error) < 0 ||
	    read_places(request, config, error) < 0 || read_policy(request, config, error) < 0)
		return -EINVAL;
	if (request->command != EG_CNI_ADD)
		return 0;
	return request->mute ? make_result(request, config, error)
			     : read_result(request, config, error);
}

static bool has_attachment(enum eg_cni_command command)
{
	return command == EG_CNI_ADD || command == EG_CNI_CHECK || command == EG_CNI_DEL;
}

int eg_cni_read(const struct eg_cni_environment *environment, const char *input, size_t len,
		struct eg_cni_request **ret_request, struct eg_cni_error *error)
{
	EG_AUTO_CNI_REQUEST struct eg_cni_request *request = calloc(1, sizeof(*request));
	AUTO_JSON json_t *config = NULL;

	if (!request)
		return no_memory(error);
	if (eg_cni_command(environment, &request->command, error) < 0)
		return -EINVAL;
	if (request->command == EG_CNI_VERSION) {
		request->version = eg_cni_version_of(input, len);
		*ret_request = EG_TAKE(request);
		return 0;
	}
	if (has_attachment(request->command) && read_environment(request, environment, error) < 0)
		return -EINVAL;
	if (parse(input, len, &config, error) < 0 || read_version(request, config, error) < 0 ||
	    read_network(request, config, error) < 0 || read_config(request, config, error) < 0)
		return -EINVAL;
	*ret_request = EG_TAKE(request);
	return 0;
}

const char *eg_cni_version_of(const char *input, size_t len)
{
	AUTO_JSON json_t *config = load(input, len, NULL);
	const char *text = json_string_value(json_object_get(config, "cniVersion"));
	size_t version = text ? find_version(text) : COUNT(versions);

	return versions[version < COUNT(versions) ? version : LATEST];
}

/* --- answers --------------------------------------------------------------------------------- */

static char *format(json_t *answer)
{
	AUTO_JSON json_t *owned = answer;

	return owned ? json_dumps(owned, JSON_INDENT(4)) : NULL;
}

char *eg_cni_format_error(const char *version, const struct eg_cni_error *error)
{
	char safe[EG_ERROR_LEN * 4];
	json_t *message = json_string(error->message);

	/* Too long a message was cut, which may have been within a character. */
	if (!message)
		message = json_string(
			eg_escape(safe, sizeof(safe), error->message, strlen(error->message)));
	return message ? format(json_pack("{s:s, s:i, s:o}", "cniVersion", version, "code",
					  (int)error->code, "msg", message))
		       : NULL;
}

char *eg_cni_format_versions(const char *version)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < COUNT(versions); i++) {
		if (json_array_append_new(list, json_string(versions[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list ? format(json_pack("{s:s, s:o}", "cniVersion", version, "supportedVersions",
				       list))
		    : NULL;
}
