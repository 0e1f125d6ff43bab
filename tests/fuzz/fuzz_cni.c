// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of a container runtime, in the form of tests/unit/golden/cni: what is accepted can be
 * answered, with JSON; what is refused has an error that can be told, as JSON, and is safe to
 * print.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cni/protocol.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
	if (!condition)
		abort();
}

static void require_object(const char *text)
{
	json_t *json;

	require(text != NULL);
	json = json_loads(text, 0, NULL);
	require(json_is_object(json));
	require(json_is_string(json_object_get(json, "cniVersion")));
	json_decref(json);
}

static void check_error(const char *version, const struct eg_cni_error *error)
{
	EG_AUTO_FREE char *text = eg_cni_format_error(version, error);

	require(error->code > 0 && error->message[0] != '\0');
	for (const char *c = error->message; *c; c++)
		require((unsigned char)*c >= 0x20 && *c != 0x7f);
	require_object(text);
}

static void check_request(const struct eg_cni_request *request)
{
	if (request->command == EG_CNI_ADD)
		require_object(request->result);
	if (request->command == EG_CNI_ADD || request->command == EG_CNI_CHECK) {
		require(!request->policy != !request->policy_name);
		require(request->netns[0] == '/' && request->name[0]);
		require(!request->policy || !request->policy->target);
	}
	if (request->policy_name)
		require(request->policy_name[0] != '.' && !strchr(request->policy_name, '/'));
	if (request->policy)
		require(request->policy->derived.n_endpoints == 0);
}

/* Cuts the line of that name out, if it comes next. */
static const char *variable(char **text, const char *name)
{
	size_t len = strlen(name);
	char *value = *text + len + 1, *end;

	if (strncmp(*text, name, len) != 0 || (*text)[len] != '=')
		return NULL;
	end = strchr(value, '\n');
	if (!end)
		return NULL;
	*end = '\0';
	*text = end + 1;
	return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	EG_AUTO_CNI_REQUEST struct eg_cni_request *request = NULL;
	EG_AUTO_FREE char *copy = malloc(size + 1), *input = NULL;
	struct eg_cni_environment environment = {};
	struct eg_cni_error error = {};
	char *text = copy;
	size_t len;

	require(copy != NULL);
	memcpy(copy, data, size);
	copy[size] = '\0';
	environment.command = variable(&text, "CNI_COMMAND");
	environment.container_id = variable(&text, "CNI_CONTAINERID");
	environment.netns = variable(&text, "CNI_NETNS");
	environment.ifname = variable(&text, "CNI_IFNAME");
	environment.args = variable(&text, "CNI_ARGS");
	/* just as long as it is, so that ASan sees a byte read too much */
	len = size - (size_t)(text - copy);
	input = malloc(len ? len : 1);
	require(input != NULL);
	memcpy(input, text, len);
	if (eg_cni_read(&environment, input, len, &request, &error) == 0)
		check_request(request);
	else
		check_error(eg_cni_version_of(input, len), &error);
	return 0;
}
