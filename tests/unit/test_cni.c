// SPDX-License-Identifier: GPL-2.0
/*
 * The CNI plugin's protocol. golden/cni has exchanges: NAME.in is what a runtime asks (CNI_* of the
 * environment, a line each, an empty line, standard input), NAME.out what was understood and what
 * is answered. EG_GOLDEN_WRITE=1 writes them.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>

#include "cni/protocol.h"
#include "golden.h"
#include "util/cleanup.h"
#include "util/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Asks, with just the bytes that there are, so that ASan sees one that is read too much. */
static int ask(const struct eg_cni_environment *environment, const char *input, size_t len,
	       struct eg_cni_request **ret_request, struct eg_cni_error *error)
{
	EG_AUTO_FREE char *exact = malloc(len ? len : 1);

	assert_non_null(exact);
	memcpy(exact, input, len);
	return eg_cni_read(environment, exact, len, ret_request, error);
}

/* --- golden exchanges ------------------------------------------------------------------------ */

static const char **variable(struct eg_cni_environment *environment, const char *line)
{
	struct {
		const char *prefix;
		const char **value;
	} variables[] = {
		{"CNI_COMMAND=", &environment->command},
		{"CNI_CONTAINERID=", &environment->container_id},
		{"CNI_NETNS=", &environment->netns},
		{"CNI_IFNAME=", &environment->ifname},
		{"CNI_ARGS=", &environment->args},
	};

	for (size_t i = 0; i < COUNT(variables); i++) {
		if (strncmp(line, variables[i].prefix, strlen(variables[i].prefix)) == 0)
			return variables[i].value;
	}
	fail_msg("no variable of the protocol: %s", line);
	return NULL;
}

/* Cuts `text` into its lines. Returns what follows the empty one. */
static char *read_environment(char *text, struct eg_cni_environment *environment)
{
	while (*text && *text != '\n') {
		char *end = strchr(text, '\n');

		assert_non_null(end);
		*end = '\0';
		*variable(environment, text) = strchr(text, '=') + 1;
		text = end + 1;
	}
	return *text ? text + 1 : text;
}

static void put(struct eg_text *text, const char *key, const char *value)
{
	if (value)
		eg_text_printf(text, "%s: %s\n", key, value);
}

static void describe(const struct eg_cni_request *request, struct eg_text *text)
{
	EG_AUTO_FREE char *versions = NULL;

	put(text, "command", eg_cni_command_names[request->command]);
	put(text, "version", request->version);
	put(text, "network", request->network);
	put(text, "container", request->container_id);
	put(text, "netns", request->netns);
	put(text, "interface", request->ifname);
	put(text, "name", request->name[0] ? request->name : NULL);
	put(text, "policy name", request->policy_name);
	put(text, "pin dir", request->pin_dir);
	if (request->mute)
		put(text, "mute", "until it is sealed");
	if (request->accept_device_only)
		put(text, "accept", "device only");
	if (request->policy) {
		EG_AUTO_FREE char *policy = eg_policy_format(request->policy, false);

		assert_non_null(policy);
		eg_text_printf(text, "policy:\n%s", policy);
	}
	if (request->command == EG_CNI_VERSION)
		versions = eg_cni_format_versions(request->version);
	put(text, "answer", request->result ? request->result : versions);
}

static char *exchange(char *text, size_t len)
{
	struct eg_cni_environment environment = {};
	EG_AUTO_CNI_REQUEST struct eg_cni_request *request = NULL;
	struct eg_cni_error error = {};
	struct eg_text out = {};
	const char *input = read_environment(text, &environment);
	size_t input_len = len - (size_t)(input - text);

	eg_text_add(&out, "", 0);
	if (ask(&environment, input, input_len, &request, &error) == 0) {
		describe(request, &out);
	} else {
		EG_AUTO_FREE char *answer =
			eg_cni_format_error(eg_cni_version_of(input, input_len), &error);

		assert_non_null(answer);
		eg_text_printf(&out, "answer: %s\n", answer);
	}
	return eg_text_take(&out);
}

static void check_golden(const char *name)
{
	char path[512], out_path[512];
	EG_AUTO_FREE char *text = NULL, *wanted = NULL, *found = NULL;
	size_t len, wanted_len;

	snprintf(path, sizeof(path), "%s/cni/%s.in", golden_dir(), name);
	snprintf(out_path, sizeof(out_path), "%s/cni/%s.out", golden_dir(), name);
	text = golden_read(path, &len);
	assert_non_null(text);
	found = exchange(text, len);
	if (getenv("EG_GOLDEN_WRITE")) {
		EG_AUTO_FCLOSE FILE *file = fopen(out_path, "w");

		assert_non_null(file);
		fputs(found, file);
		return;
	}
	wanted = golden_read(out_path, &wanted_len);
	if (!wanted || strcmp(wanted, found) != 0)
		fail_msg("%s: not as in %s:\n%s", name, out_path, found);
}

static void golden_exchanges(void **state)
{
	char path[512];
	EG_AUTO_CLOSEDIR DIR *dir = NULL;
	const struct dirent *entry;
	size_t n = 0;

	(void)state;
	snprintf(path, sizeof(path), "%s/cni", golden_dir());
	dir = opendir(path);
	if (!dir)
		fail_msg("cannot open %s (EG_GOLDEN says where the golden files are)", path);
	while ((entry = readdir(dir))) {
		char name[256];
		size_t len = strlen(entry->d_name);

		if (len <= 3 || strcmp(entry->d_name + len - 3, ".in") != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)len - 3, entry->d_name);
		check_golden(name);
		n++;
	}
	assert_true(n > 30);
}

/* --- what is refused -------------------------------------------------------------------------- */

#define POLICY   "\"policy\":{}"
#define RESULT   "\"prevResult\":{\"cniVersion\":\"1.0.0\"}"
#define CONFIG   "\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"type\":\"egressguard-cni\""
#define COMPLETE "{" CONFIG "," POLICY "," RESULT "}"

static const struct eg_cni_environment of_add = {
	.command = "ADD",
	.container_id = "abc",
	.netns = "/run/netns/x",
	.ifname = "eth0",
};

static int code_of(const struct eg_cni_environment *environment, const char *input)
{
	EG_AUTO_CNI_REQUEST struct eg_cni_request *request = NULL;
	struct eg_cni_error error = {};

	if (ask(environment, input, strlen(input), &request, &error) == 0)
		return 0;
	assert_null(request);
	assert_true(error.message[0]);
	return (int)error.code;
}

static void environment_is_checked(void **state)
{
	static const struct {
		struct eg_cni_environment environment;
		int code;
	} cases[] = {
		{{.command = NULL}, EG_CNI_BAD_ENVIRONMENT},
		{{.command = ""}, EG_CNI_BAD_ENVIRONMENT},
		{{.command = "add"}, EG_CNI_BAD_ENVIRONMENT},
		{{"ADD", NULL, "/n", "eth0", NULL}, EG_CNI_BAD_ENVIRONMENT},
		{{"ADD", "abc", NULL, "eth0", NULL}, EG_CNI_BAD_ENVIRONMENT},
		{{"ADD", "abc", "/n", NULL, NULL}, EG_CNI_BAD_ENVIRONMENT},
		{{"ADD", "", "/n", "eth0", NULL}, EG_CNI_BAD_ENVIRONMENT},
		{{"ADD", "../x", "/n", "eth0", NULL}, EG_CNI_BAD_ENVIRONMENT},
		{{"ADD", "a b", "/n", "eth0", NULL}, EG_CNI_BAD_ENVIRONMENT},
		{{"ADD", "abc", "n", "eth0", NULL}, EG_CNI_BAD_ENVIRONMENT},
		{{"ADD", "abc", "netns:x", "eth0", NULL}, EG_CNI_BAD_ENVIRONMENT},
		{{"ADD", "abc", "/n", "..", NULL}, EG_CNI_BAD_ENVIRONMENT},
		{{"ADD", "abc", "/n", "e/0", NULL}, EG_CNI_BAD_ENVIRONMENT},
		{{"ADD", "abc", "/n", "abcdefghijklmnop", NULL}, EG_CNI_BAD_ENVIRONMENT},
		{{"DEL", NULL, "/n", "eth0", NULL}, EG_CNI_BAD_ENVIRONMENT},
		{{"ADD", "abc", "/n", "eth0", NULL}, 0},
		{{"ADD", "abc", "/n", "abcdefghijklmno", NULL}, 0},
		{{"ADD", "abc", "/n", "eth0", "=;;=x;K8S_POD_NAME;K8S_POD_NAME=;"}, 0},
		{{"DEL", "abc", NULL, "eth0", NULL}, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int code = code_of(&cases[i].environment, COMPLETE);

		if (code != cases[i].code)
			fail_msg("case %zu: code %d, not %d", i, code, cases[i].code);
	}
}

static void malformed_input_is_refused(void **state)
{
	static const struct {
		const char *input;
		int code;
	} cases[] = {
		{"", EG_CNI_BAD_JSON},
		{"{", EG_CNI_BAD_JSON},
		{"[]", EG_CNI_BAD_JSON},
		{"null", EG_CNI_BAD_JSON},
		{COMPLETE "x", EG_CNI_BAD_JSON},
		{"{" CONFIG ",\"name\":\"other\"," POLICY "," RESULT "}", EG_CNI_BAD_JSON},
		{"{\"name\":\"a\\u0000b\"}", EG_CNI_BAD_JSON},
		{"{}", EG_CNI_BAD_VERSION},
		{"{\"cniVersion\":1}", EG_CNI_BAD_VERSION},
		{"{\"cniVersion\":\"0.2.0\",\"name\":\"net\"}", EG_CNI_BAD_VERSION},
		{"{\"cniVersion\":\"1.0\",\"name\":\"net\"}", EG_CNI_BAD_VERSION},
		{"{\"cniVersion\":\"1.0.0\"}", EG_CNI_BAD_CONFIG},
		{"{\"cniVersion\":\"1.0.0\",\"name\":\"-net\"}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG "," RESULT "}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG "," POLICY ",\"policyName\":\"x\"," RESULT "}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG ",\"policy\":null," RESULT "}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG ",\"policy\":[]," RESULT "}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG ",\"policy\":\"[Lan]\\nAllow = x\"," RESULT "}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG ",\"policy\":{\"Target\":\"x\"}," RESULT "}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG ",\"policy\":{\"Lan\":{}}," RESULT "}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG ",\"policy\":{\"Lan\":null}," RESULT "}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG ",\"policy\":{\"Lan\":[true]}," RESULT "}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG ",\"policy\":{\"Lan\":1.5}," RESULT "}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG ",\"policy\":{\"Allow\":[\"10.0.0.1\",[]]}," RESULT "}",
		 EG_CNI_BAD_CONFIG},
		{"{" CONFIG ",\"policy\":{\"SourcePort\":1,\"sourceport\":2}," RESULT "}",
		 EG_CNI_BAD_CONFIG},
		{"{" CONFIG ",\"policy\":{\"SourcePort\":-1}," RESULT "}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG ",\"policy\":{\"Derived\":\"x\"}," RESULT "}", EG_CNI_BAD_FIELD},
		{"{" CONFIG ",\"policyName\":\"../shadow\"," RESULT "}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG ",\"policyName\":\".x\"," RESULT "}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG ",\"policyName\":7," RESULT "}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG "," POLICY ",\"acceptDeviceOnly\":\"yes\"," RESULT "}",
		 EG_CNI_BAD_CONFIG},
		{"{" CONFIG "," POLICY ",\"pinDir\":\"x\"," RESULT "}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG "," POLICY "," RESULT ",\"polcy\":{}}", EG_CNI_BAD_FIELD},
		{"{" CONFIG "," POLICY "," RESULT ",\"bridge\":\"cni0\"}", EG_CNI_BAD_FIELD},
		{"{" CONFIG "," POLICY "}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG "," POLICY ",\"prevResult\":null}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG "," POLICY ",\"prevResult\":[]}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG "," POLICY ",\"prevResult\":{\"cniVersion\":1}}", EG_CNI_BAD_CONFIG},
		{"{" CONFIG "," POLICY "," RESULT ",\"example.com/x\":1}", 0},
		{COMPLETE, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int code = code_of(&of_add, cases[i].input);

		if (code != cases[i].code)
			fail_msg("%s: code %d, not %d", cases[i].input, code, cases[i].code);
	}
}

/* What is to go goes, whatever became of its policy. */
static void del_takes_what_add_would_not(void **state)
{
	struct eg_cni_environment environment = of_add;

	(void)state;
	environment.command = "DEL";
	environment.netns = NULL;
	assert_int_equal(code_of(&environment, "{" CONFIG "}"), 0);
	assert_int_equal(code_of(&environment, "{" CONFIG ",\"policy\":{\"Nonsense\":1}}"), 0);
	assert_int_equal(code_of(&environment, "{" CONFIG ",\"polcy\":7,\"pinDir\":7}"), 0);
	assert_int_equal(code_of(&environment, "{"), EG_CNI_BAD_JSON);
	environment = (struct eg_cni_environment){.command = "GC"};
	assert_int_equal(code_of(&environment, "{" CONFIG "}"), EG_CNI_BAD_VERSION);
	assert_int_equal(code_of(&environment, "{\"cniVersion\":\"1.1.0\",\"name\":\"net\"}"), 0);
	environment.command = "STATUS";
	assert_int_equal(code_of(&environment, "{" CONFIG "," POLICY "}"), EG_CNI_BAD_VERSION);
	assert_int_equal(
		code_of(&environment, "{\"cniVersion\":\"1.1.0\",\"name\":\"net\"," POLICY "}"), 0);
	environment = of_add;
	environment.command = "CHECK";
	assert_int_equal(code_of(&environment, "{\"cniVersion\":\"0.3.1\",\"name\":\"net\"}"),
			 EG_CNI_BAD_VERSION);
}

/* --- names ------------------------------------------------------------------------------------ */

static void check_name(const char *id, const char *args, const char *wanted)
{
	EG_AUTO_CNI_REQUEST struct eg_cni_request *request = NULL;
	struct eg_cni_environment environment = of_add;
	struct eg_cni_error error = {};

	environment.container_id = id;
	environment.args = args;
	assert_int_equal(ask(&environment, COMPLETE, strlen(COMPLETE), &request, &error), 0);
	assert_string_equal(request->name, wanted);
}

static void guards_have_the_names_of_pods(void **state)
{
	EG_AUTO_CNI_REQUEST struct eg_cni_request *request = NULL;
	struct eg_cni_environment environment = of_add;
	char args[512], id[EG_NAME_MAX + 1] = {};

	(void)state;
	check_name("0123ab", NULL, "0123ab");
	check_name("0123ab", "IgnoreUnknown=1", "0123ab");
	check_name("0123ab", "IgnoreUnknown=1;K8S_POD_NAME=web", "web");
	check_name("0123ab", "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=7",
		   "shop.web-0");
	check_name("0123ab", "K8S_POD_NAMESPACE=shop", "0123ab");
	check_name("0123ab", "K8S_POD_NAMESPACE=../x;K8S_POD_NAME=web", "web");
	check_name("0123ab", "K8S_POD_NAME=../x", "0123ab");
	check_name("0123ab", "K8S_POD_NAME_X=y;XK8S_POD_NAME=z", "0123ab");
	/* Too long for a guard's name: then by the id, and if that is too long, not at all. */
	snprintf(args, sizeof(args), "K8S_POD_NAMESPACE=a;K8S_POD_NAME=%0*d", EG_NAME_MAX - 2, 0);
	check_name("0123ab", args, "0123ab");
	memset(id, 'a', EG_NAME_MAX - 1);
	check_name(id, NULL, id);
	memset(id, 'a', EG_NAME_MAX);
	environment.container_id = id;
	assert_int_equal(code_of(&environment, COMPLETE), EG_CNI_BAD_ENVIRONMENT);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* Not a byte of what the plugins before said is lost, but for the version, which is ours to say. */
static void the_result_is_passed_through(void **state)
{
	static const char input[] =
		"{" CONFIG "," POLICY
		",\"prevResult\":{\"cniVersion\":\"0.4.0\",\"interfaces\":[{\"name\":\"eth0\","
		"\"mac\":\"00:11\",\"sandbox\":\"/x\",\"mtu\":1500}],\"ips\":[{\"version\":\"4\","
		"\"interface\":0,\"address\":\"10.1.0.5/16\",\"gateway\":\"10.1.0.1\"}],"
		"\"routes\":[{\"dst\":\"0.0.0.0/0\"}],\"dns\":{\"nameservers\":[\"10.1.0.1\"]},"
		"\"later\":[null,true,{\"\\u00fc\":\"\\u202e\"}]}}";
	EG_AUTO_CNI_REQUEST struct eg_cni_request *request = NULL;
	struct eg_cni_error error = {};
	json_t *asked, *answered;

	(void)state;
	assert_int_equal(ask(&of_add, input, strlen(input), &request, &error), 0);
	asked = json_loads(input, 0, NULL);
	answered = json_loads(request->result, 0, NULL);
	assert_non_null(answered);
	assert_string_equal(json_string_value(json_object_get(answered, "cniVersion")), "1.0.0");
	json_object_set_new(answered, "cniVersion", json_string("0.4.0"));
	assert_true(json_equal(answered, json_object_get(asked, "prevResult")));
	json_decref(asked);
	json_decref(answered);
}

static void errors_are_json_whatever_they_say(void **state)
{
	static const char *const messages[] = {"plain", "quote \" and \\ and \n",
					       "cut within \xe2\x82", "\xff", ""};

	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++) {
		struct eg_cni_error error = {.code = EG_CNI_FAILED};
		EG_AUTO_FREE char *text = NULL;
		json_t *json;

		strcpy(error.message, messages[i]);
		text = eg_cni_format_error("1.0.0", &error);
		assert_non_null(text);
		json = json_loads(text, 0, NULL);
		assert_int_equal(json_integer_value(json_object_get(json, "code")), EG_CNI_FAILED);
		assert_true(json_is_string(json_object_get(json, "msg")));
		json_decref(json);
	}
}

static void answers_have_the_version_of_the_question(void **state)
{
	(void)state;
	assert_string_equal(eg_cni_version_of("", 0), "1.1.0");
	assert_string_equal(eg_cni_version_of("{}", 2), "1.1.0");
	assert_string_equal(eg_cni_version_of("{\"cniVersion\":\"9.9.9\"}", 22), "1.1.0");
	assert_string_equal(eg_cni_version_of("{\"cniVersion\":\"0.4.0\"}", 22), "0.4.0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_exchanges),
		cmocka_unit_test(environment_is_checked),
		cmocka_unit_test(malformed_input_is_refused),
		cmocka_unit_test(del_takes_what_add_would_not),
		cmocka_unit_test(guards_have_the_names_of_pods),
		cmocka_unit_test(the_result_is_passed_through),
		cmocka_unit_test(errors_are_json_whatever_they_say),
		cmocka_unit_test(answers_have_the_version_of_the_question),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
