// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "collect.h"
#include "kern/guard.h"
#include "log.h"
#include "options.h"
#include "out/render.h"
#include "policy/image.h"
#include "policy_options.h"
#include "select.h"
#include "util/cleanup.h"
#include "util/text.h"

static const struct eg_option option_table[] = {
	EG_OPTION_ENTRY_PIN_DIR,
	{},
};

static const struct eg_help help = {
	.command = "policy",
	.usage = "check FILE...\nshow GUARD",
	.summary =
		"check: read policy files as attach would, and say where one is wrong. show: print "
		"the policy in force as a policy file; what attach found out for itself follows "
		"as comments.",
	.options = option_table,
	.example = "egressguard policy check /etc/egressguard/wireguard.conf",
};

struct request {
	struct eg_common common;
	const char *verb;
	const char **operands; /* after the verb */
	size_t n_operands;
};

/* --- check --------------------------------------------------------------------------------------
 */

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static int check_file(const char *path)
{
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	EG_AUTO_IMAGE struct eg_image *image = NULL;
	struct eg_error error = {};
	char safe[512];
	int result = eg_policy_read_file(path, &policy, &error);

	eg_escape(safe, sizeof(safe), path, strlen(path));
	if (result == 0) {
		size_t n_endpoints = policy->n_endpoints;
		struct eg_error why = {};

		eg_policy_drop_hosts(policy);
		result = eg_image_compile(policy, &image, &why);
		if (result < 0)
			eg_error_set(&error, why.exit, -result, "%s: %s", safe, why.message);
		else
			printf("%s: ok (%zu rule%s, %zu denied prefix%s, %zu endpoint%s%s)\n", safe,
			       policy->n_allow, plural(policy->n_allow), policy->n_deny,
			       policy->n_deny == 1 ? "" : "es", n_endpoints, plural(n_endpoints),
			       policy->target ? "" : "; no Target =, which the daemon needs");
	}
	return result < 0 ? eg_log_error("policy", result, &error) : EG_EXIT_OK;
}

/* All of them, whatever is wrong with the first. Returns the exit status. */
static int check(const struct request *request)
{
	int worst = EG_EXIT_OK;

	for (size_t i = 0; i < request->n_operands; i++) {
		int status = check_file(request->operands[i]);

		worst = status > worst ? status : worst;
	}
	return worst;
}

/* --- show ---------------------------------------------------------------------------------------
 */

static void print_commented(const char *text, FILE *to)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		fprintf(to, "# %.*s\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static int show_guard(const struct eg_common *common, struct eg_error *error)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	EG_AUTO_FREE char *name = NULL;
	EG_AUTO_FREE char *text = NULL;
	char *derived;
	size_t len = 0;
	int result = eg_select_open(common, &pins, &name, error);

	if (result == 0)
		result = eg_guard_open(&pins, name, &guard, error);
	if (result < 0)
		return result;
	result = eg_guard_policy(guard, &text, &len);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot read the policy in force: %s", strerror(-result));
	eg_collect_warn_absent("policy", &pins, name);
	derived = strstr(text, "\n[Derived]");
	if (derived)
		*derived++ = '\0';
	printf("%s%s", text, derived ? "\n" : "");
	if (derived) {
		puts("# What attach found out for itself; a policy file may not say it.");
		print_commented(derived, stdout);
	}
	return eg_render_end(0, error);
}

/* --- the command --------------------------------------------------------------------------------
 */

static int read_options(int argc, char **argv, struct request *request, struct eg_error *error)
{
	struct eg_options options = {.help = &help, .argc = argc, .argv = argv};
	const char *value = NULL;
	int id = 0, result;

	while ((result = eg_options_next(&options, &id, &value, error)) > 0) {
		if (id != EG_OPTION_OPERAND)
			result = eg_common_take(&request->common, id, value, error);
		else if (!request->verb)
			request->verb = value;
		else
			request->operands[request->n_operands++] = value;
		if (result < 0)
			return result;
	}
	return result;
}

static int wrong_verb(const char *verb, struct eg_error *error)
{
	char safe[256];

	if (!verb)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "needs check FILE..., or show GUARD");
	return eg_error_set(error, EG_EXIT_USAGE, EINVAL, "'%s' is neither check nor show",
			    eg_escape(safe, sizeof(safe), verb, strlen(verb)));
}

/* Returns the exit status, or a negative number and `error`. */
static int run(struct request *request, struct eg_error *error)
{
	if (request->verb && strcmp(request->verb, "check") == 0) {
		if (!request->n_operands)
			return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
					    "check needs a FILE, or several");
		return check(request);
	}
	if (request->verb && strcmp(request->verb, "show") == 0) {
		if (request->n_operands > 1)
			return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
					    "show needs one GUARD, not several");
		request->common.guard = request->n_operands ? request->operands[0] : NULL;
		return show_guard(&request->common, error);
	}
	return wrong_verb(request->verb, error);
}

int cmd_policy(int argc, char **argv)
{
	EG_AUTO_FREE const char **operands = calloc((size_t)argc, sizeof(*operands));
	struct request request = {.operands = operands};
	struct eg_error error = {};
	int result =
		operands ? read_options(argc, argv, &request, &error) : eg_error_no_memory(&error);

	if (result == 0 && request.common.help) {
		eg_help_print(&help, stdout);
		return EG_EXIT_OK;
	}
	if (result == 0)
		result = run(&request, &error);
	return result < 0 ? eg_log_error("policy", result, &error) : result;
}
