// SPDX-License-Identifier: GPL-2.0
/* How an OCI runtime is called, and a hook put into a config.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "oci/call.h"
#include "oci/hooks.h"

#define HOOK "{\"path\":\"/x\"}"

static const struct eg_oci_hook last = {.stage = "createRuntime", .text = HOOK};
static const struct eg_oci_hook first = {.stage = "prestart", .first = true, .text = HOOK};

static void becomes_with(const struct eg_oci_hook *hook, const char *config, const char *wanted)
{
	EG_AUTO_TEXT struct eg_text got = {};
	struct eg_error error = {};

	assert_int_equal(eg_oci_hooks_add(config, strlen(config), hook, &got, &error), 0);
	assert_string_equal(got.data, wanted);
}

static void becomes(const char *config, const char *wanted)
{
	becomes_with(&last, config, wanted);
}

static void refused(const char *config)
{
	EG_AUTO_TEXT struct eg_text got = {};
	struct eg_error error = {};

	assert_int_equal(eg_oci_hooks_add(config, strlen(config), &last, &got, &error), -74);
	assert_int_equal(got.len, 0);
	assert_true(strstr(error.message, "config.json: ") == error.message);
}

static void a_hook_is_the_last_of_its_stage(void **state)
{
	(void)state;
	becomes("{}", "{\"hooks\":{\"createRuntime\":[" HOOK "]}}");
	becomes("{\"a\":1}", "{\"hooks\":{\"createRuntime\":[" HOOK "]},\"a\":1}");
	becomes("{\"hooks\":{}}", "{\"hooks\":{\"createRuntime\":[" HOOK "]}}");
	becomes("{\"hooks\":null,\"a\":1}", "{\"hooks\":{\"createRuntime\":[" HOOK "]},\"a\":1}");
	becomes("{\"hooks\":{\"prestart\":[{\"path\":\"/n\"}]}}",
		"{\"hooks\":{\"createRuntime\":[" HOOK "],\"prestart\":[{\"path\":\"/n\"}]}}");
	becomes("{\"hooks\":{\"createRuntime\":null}}",
		"{\"hooks\":{\"createRuntime\":[" HOOK "]}}");
	becomes("{\"hooks\":{\"createRuntime\":[ ]}}",
		"{\"hooks\":{\"createRuntime\":[ " HOOK "]}}");
	becomes("{\"hooks\" : {\"createRuntime\":[{\"path\":\"/n\",\"args\":[\"]\"]}\n] }, "
		"\"z\":2}\n",
		"{\"hooks\" : {\"createRuntime\":[{\"path\":\"/n\",\"args\":[\"]\"]}\n," HOOK
		"] }, \"z\":2}\n");
}

static void a_hook_is_the_first_of_its_stage(void **state)
{
	(void)state;
	becomes_with(&first, "{}", "{\"hooks\":{\"prestart\":[" HOOK "]}}");
	becomes_with(&first, "{\"hooks\":{\"prestart\":[]}}",
		     "{\"hooks\":{\"prestart\":[" HOOK "]}}");
	becomes_with(&first, "{\"hooks\":{\"prestart\":[ {\"path\":\"/n\"}]}}",
		     "{\"hooks\":{\"prestart\":[" HOOK ", {\"path\":\"/n\"}]}}");
	becomes_with(&first, "{\"hooks\":{\"createRuntime\":[{\"path\":\"/n\"}]}}",
		     "{\"hooks\":{\"prestart\":[" HOOK "],\"createRuntime\":[{\"path\":\"/n\"}]}}");
}

static void all_else_stays_as_it_is(void **state)
{
	(void)state;
	becomes("{\"n\":18446744073709551615,\"s\":\"\\\"hooks\\\":{}\",\"o\":{\"hooks\":1}}",
		"{\"hooks\":{\"createRuntime\":[" HOOK "]},\"n\":18446744073709551615,"
		"\"s\":\"\\\"hooks\\\":{}\",\"o\":{\"hooks\":1}}");
}

static void what_a_reader_may_take_for_two_is_refused(void **state)
{
	(void)state;
	refused("{\"hooks\":{},\"hooks\":{}}");
	refused("{\"Hooks\":{}}");
	refused("{\"hoo\\u006bs\":{}}");
	refused("{\"hooks\":{\"createruntime\":[]}}");
	refused("{\"hooks\":{\"createRuntime\":[],\"createRuntime\":[]}}");
	refused("{\"hooks\":[]}");
	refused("{\"hooks\":{\"createRuntime\":{}}}");
	refused("{\"hooks\":7}");
	refused("[]");
	refused("");
	refused("{");
	refused("{\"a\"");
	refused("{\"a\":1,}");
	refused("{\"a\":\"");
	refused("{} {}");
	refused("{\"a\":[[1]");
}

#define ARGUMENTS_MAX 32

static int split(const char *line, char **argv)
{
	static char buffer[256];
	char *save = NULL;
	int argc = 0;

	snprintf(buffer, sizeof(buffer), "%s", line);
	for (char *word = strtok_r(buffer, " ", &save); word; word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	return argc;
}

static struct eg_oci_call call_of(const char *line)
{
	char *argv[ARGUMENTS_MAX] = {};
	struct eg_error error = {};
	struct eg_oci_call call = {};
	int argc = split(line, argv);

	if (eg_oci_call_read(argc, argv, &call, &error) < 0) {
		assert_true(error.message[0]);
		call.command = -1;
	}
	return call;
}

static void a_call_is_read_as_runc_reads_it(void **state)
{
	(void)state;
	struct eg_oci_call call = call_of(
		"--root /r/moby --log /l --log-format json create --bundle /b --pid-file /p ID");

	assert_int_equal(call.kind, EG_OCI_CALL_CREATE);
	assert_string_equal(call.root, "/r/moby");
	assert_string_equal(call.bundle, "/b");
	call = call_of("--debug --systemd-cgroup --log=/l -root=/r run -b /b ID");
	assert_int_equal(call.kind, EG_OCI_CALL_RUN);
	assert_string_equal(call.root, "/r");
	assert_string_equal(call.bundle, "/b");
	assert_null(call_of("create ID").bundle);
	assert_string_equal(call_of("restore -bundle=/b ID").bundle, "/b");
	assert_int_equal(call_of("restore ID").kind, EG_OCI_CALL_RESTORE);
	assert_string_equal(call_of("create --pid-file --bundle=/p -b /b ID").bundle, "/b");
	assert_null(call_of("run --no-pivot --console-socket --bundle=/p --keep ID").bundle);
	assert_null(call_of("run -- --bundle=/p").bundle);
	call = call_of("--root create start ID");
	assert_int_equal(call.kind, EG_OCI_CALL_START);
	assert_string_equal(call.id, "ID");
	assert_null(call_of("start").id);
	assert_int_equal(call_of("--root start kill ID").kind, EG_OCI_CALL_OTHER);
	assert_int_equal(call_of("--version").command, 1);
	assert_int_equal(call_of("").kind, EG_OCI_CALL_OTHER);
}

static void what_is_not_known_is_refused(void **state)
{
	(void)state;
	assert_int_equal(call_of("--new create ID").command, -1);
	assert_int_equal(call_of("--new=1 create ID").command, -1);
	assert_int_equal(call_of("createandstart ID").command, -1);
	assert_int_equal(call_of("create --config /c ID").command, -1);
	assert_int_equal(call_of("run -f /c ID").command, -1);
	assert_int_equal(call_of("create --new --bundle=/b ID").command, -1);
	assert_int_equal(call_of("create --bundle /b --new ID").command, -1);
	assert_int_equal(call_of("run --bun=/b ID").command, -1);
	assert_int_equal(call_of("run -b/b ID").command, -1);
	assert_int_equal(call_of("run -db /b ID").command, -1);
}

static const char *log_of(const char *line)
{
	char *argv[ARGUMENTS_MAX] = {};

	return eg_oci_call_log(split(line, argv), argv);
}

static void the_caller_is_told_where_it_asks_for_it(void **state)
{
	(void)state;
	assert_string_equal(log_of("--root /r --log /l --log-format json create ID"), "/l");
	assert_string_equal(log_of("--debug -log=/l create ID"), "/l");
	assert_string_equal(log_of("--polcy any --root /r --log /l create ID"), "/l");
	assert_null(log_of("--root /r exec ID program --log /l"));
	assert_null(log_of("--log-format json create ID"));
	assert_null(log_of("--log"));
	assert_null(log_of(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hook_is_the_last_of_its_stage),
		cmocka_unit_test(a_hook_is_the_first_of_its_stage),
		cmocka_unit_test(all_else_stays_as_it_is),
		cmocka_unit_test(what_a_reader_may_take_for_two_is_refused),
		cmocka_unit_test(a_call_is_read_as_runc_reads_it),
		cmocka_unit_test(what_is_not_known_is_refused),
		cmocka_unit_test(the_caller_is_told_where_it_asks_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
