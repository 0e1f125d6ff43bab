// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>

#include "cmd.h"
#include "collect.h"
#include "log.h"
#include "options.h"
#include "out/render.h"
#include "strays.h"
#include "util/cleanup.h"

enum own_option {
	OPTION_CHECK = EG_OPTION_OWN,
	OPTION_FORMAT,
};

static const struct eg_option option_table[] = {
	EG_OPTION_ENTRY_NETNS,
	EG_OPTION_ENTRY_JSON,
	{OPTION_FORMAT, "--format", "prometheus|json|text", "print in another format"},
	{OPTION_CHECK, "--check", NULL,
	 "exit with 0 if every guard shown is enforcing, else with 1; for health checks"},
	EG_OPTION_ENTRY_PIN_DIR,
	{},
};

static const struct eg_help help = {
	.command = "status",
	.usage = "[GUARD | --netns TARGET] [--json | --format prometheus] [--check]",
	.summary = "Show guards: what each covers, what it does not, and what it has counted.",
	.options = option_table,
	.example = "egressguard status wireguard --check",
};

struct request {
	struct eg_common common;
	bool check;
	int (*render)(const struct eg_status_view *status, FILE *to);
};

static int set_format(struct request *request, const char *name, struct eg_error *error)
{
	int (*render)(const struct eg_status_view *status, FILE *to) = NULL;

	if (strcmp(name, "prometheus") == 0)
		render = eg_render_prometheus;
	else if (strcmp(name, "json") == 0)
		render = eg_render_json.status;
	else if (strcmp(name, "text") == 0)
		render = eg_render_text.status;
	else
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--format '%s': prometheus, json or text", name);
	if (request->render && request->render != render)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL, "one format is enough");
	request->render = render;
	return 0;
}

static int read_options(int argc, char **argv, struct request *request, struct eg_error *error)
{
	struct eg_options options = {.help = &help, .argc = argc, .argv = argv};
	const char *value = NULL;
	int id = 0, result;

	while ((result = eg_options_next(&options, &id, &value, error)) > 0) {
		if (id == OPTION_CHECK)
			request->check = true;
		else if (id == OPTION_FORMAT)
			result = set_format(request, value, error);
		else if (id == EG_OPTION_JSON)
			result = set_format(request, "json", error);
		else
			result = eg_common_take(&request->common, id, value, error);
		if (result < 0)
			return result;
	}
	if (!request->render)
		request->render = eg_render_text.status;
	return result;
}

/* No guard at all guards nothing. */
static bool all_enforce(const struct eg_status_view *status)
{
	for (size_t i = 0; i < status->n_guards; i++) {
		if (status->guards[i].state != EG_STATE_ENFORCING)
			return false;
	}
	return status->n_guards > 0;
}

static int show(const struct request *request, bool *ret_enforcing, struct eg_error *error)
{
	EG_AUTO(eg_status_view_free) struct eg_status_view status = {};
	int result = eg_collect_status(&request->common, &status, error);

	if (result < 0)
		return result;
	/* A health check is about guards, and asked often. */
	if (!request->check)
		result = eg_collect_stranded(&status, error);
	if (result < 0)
		return result;
	if (status.stranded_why)
		eg_log_warning("status", "whether containers are stranded is not known of all: %s",
			       status.stranded_why);
	result = eg_render_end(request->render(&status, stdout), error);
	if (result < 0)
		return result;
	*ret_enforcing = all_enforce(&status);
	return 0;
}

int cmd_status(int argc, char **argv)
{
	struct request request = {};
	struct eg_error error = {};
	bool enforcing = false;
	int result = read_options(argc, argv, &request, &error);

	if (result == 0 && request.common.help) {
		eg_help_print(&help, stdout);
		return EG_EXIT_OK;
	}
	if (result == 0)
		result = show(&request, &enforcing, &error);
	if (result == 0 && !request.common.guard && !request.common.netns)
		eg_strays_warn("status", &request.common);
	if (result < 0) {
		int exit = eg_log_error("status", result, &error);

		if (result == -ENOENT)
			eg_strays_warn("status", &request.common);

		/* A health check knows 0 and 1; a command line that is wrong is neither. */
		return request.check && exit != EG_EXIT_USAGE ? EG_EXIT_FAILED : exit;
	}
	return request.check && !enforcing ? EG_EXIT_FAILED : EG_EXIT_OK;
}
