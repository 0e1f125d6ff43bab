// SPDX-License-Identifier: GPL-2.0
/*
 * A hook put into anything that may be a config.json: where another reader takes what went in for
 * JSON, it takes what comes out for the same, with the hook as the last, or the first, of its
 * stage. And anything that may be a runtime's command line.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oci/call.h"
#include "oci/hooks.h"
#include "util/cleanup.h"

#define HOOK     "{\"path\":\"/x\",\"args\":[\"]\"]}"
#define ARGS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
	if (!condition)
		abort();
}

static json_t *read_json(const char *text, size_t len)
{
	json_t *json = json_loadb(text, len, JSON_DECODE_INT_AS_REAL, NULL);

	if (json_is_object(json))
		return json;
	json_decref(json);
	return NULL;
}

/* Takes the hook out again, and what was made for it. */
static void take_out(const struct eg_oci_hook *place, json_t *after, const json_t *before)
{
	json_t *hooks = json_object_get(after, "hooks");
	json_t *list = json_object_get(hooks, place->stage);
	size_t at = place->first ? 0 : json_array_size(list) - 1;
	json_t *hooks_before = json_object_get(before, "hooks");
	json_t *hook = json_loads(HOOK, 0, NULL);

	require(json_array_size(list) > 0);
	require(json_equal(json_array_get(list, at), hook));
	json_decref(hook);
	json_array_remove(list, at);
	if (!json_is_array(json_object_get(hooks_before, place->stage))) {
		require(json_array_size(list) == 0);
		json_object_del(hooks, place->stage);
		if (json_object_get(hooks_before, place->stage))
			json_object_set_new(hooks, place->stage, json_null());
	}
	if (!json_is_object(hooks_before)) {
		require(json_object_size(hooks) == 0);
		json_object_del(after, "hooks");
		if (hooks_before)
			json_object_set_new(after, "hooks", json_null());
	}
}

static void check_hook(const struct eg_oci_hook *place, const char *text, size_t len)
{
	EG_AUTO_TEXT struct eg_text added = {};
	struct eg_error error = {};
	json_t *before = read_json(text, len), *after;
	int result = eg_oci_hooks_add(text, len, place, &added, &error);

	if (result < 0)
		require(error.message[0] && added.len == 0);
	if (result == 0 && before) {
		after = read_json(added.data, added.len);
		require(after != NULL);
		take_out(place, after, before);
		require(json_equal(after, before));
		json_decref(after);
	}
	json_decref(before);
}

static void check_call(const char *text, size_t len)
{
	EG_AUTO_FREE char *line = strndup(text, len);
	char *argv[ARGS_MAX + 1] = {}, *save = NULL;
	struct eg_oci_call call = {};
	struct eg_error error = {};
	int argc = 0;

	for (char *word = strtok_r(line, " \n", &save); word && argc < ARGS_MAX;
	     word = strtok_r(NULL, " \n", &save))
		argv[argc++] = word;
	if (eg_oci_call_read(argc, argv, &call, &error) < 0) {
		require(error.message[0] != '\0');
		return;
	}
	require(call.command >= 0 && call.command <= argc);
	/* What starts a container is none of the others. */
	if (call.kind == EG_OCI_CALL_OTHER && call.command < argc)
		require(strcmp(argv[call.command], "create") != 0 &&
			strcmp(argv[call.command], "run") != 0 &&
			strcmp(argv[call.command], "restore") != 0 &&
			strcmp(argv[call.command], "start") != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct eg_oci_hook places[] = {
		{.stage = "createRuntime", .text = HOOK},
		{.stage = "prestart", .first = true, .text = HOOK},
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		check_hook(&places[i], (const char *)data, size);
	check_call((const char *)data, size);
	return 0;
}
