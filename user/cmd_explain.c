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
#include "policy/explain.h"
#include "policy_options.h"
#include "select.h"
#include "util/cleanup.h"
#include "util/text.h"

#define OPERANDS_MAX 3

static const struct eg_option option_table[] = {
	EG_OPTION_ENTRY_JSON,
	EG_OPTION_ENTRY_PIN_DIR,
	{},
};

static const struct eg_help help = {
	.command = "explain",
	.usage = "GUARD PROTO DEST[:PORT] [--json]\n"
		 "--policy FILE [POLICY OPTION...] PROTO DEST[:PORT] [--json]",
	.summary = "Say what a policy does with a packet to DEST, by which row of the decision "
		   "table, and why. PROTO is tcp, udp, icmp, icmpv6, wireguard, bootstrap (a "
		   "question for the "
		   "endpoint's name), or another protocol's name or "
		   "number.",
	.options = option_table,
	.policy = true,
	.example = "egressguard explain wireguard tcp 203.0.113.7:443",
};

struct request {
	struct eg_common common; /* guard NULL: explain the options' policy */
	struct eg_policy_options policy;
	const char *operands[OPERANDS_MAX];
	size_t n_operands;
	const char *proto;
	const char *dest;
};

static int take(struct request *request, int id, const char *value, struct eg_error *error)
{
	char safe[256];

	if (EG_OPTION_IS_POLICY(id))
		return eg_policy_options_take(&request->policy, id, value, error);
	if (id != EG_OPTION_OPERAND)
		return eg_common_take(&request->common, id, value, error);
	if (request->n_operands == OPERANDS_MAX)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL, "what is '%s'? See --help",
				    eg_escape(safe, sizeof(safe), value, strlen(value)));
	request->operands[request->n_operands++] = value;
	return 0;
}

static int read_options(int argc, char **argv, struct request *request, struct eg_error *error)
{
	struct eg_options options = {.help = &help, .argc = argc, .argv = argv};
	const char *value = NULL;
	int id = 0, result;
	size_t first;

	while ((result = eg_options_next(&options, &id, &value, error)) > 0) {
		result = take(request, id, value, error);
		if (result < 0)
			return result;
	}
	if (result < 0 || request->common.help)
		return result;

	first = eg_policy_options_any(&request->policy) ? 0 : 1;
	if (request->n_operands == OPERANDS_MAX && first == 0)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "give either GUARD or a policy by options, not both");
	if (request->n_operands != first + 2)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL, "%s",
				    first ? "needs GUARD PROTO DEST[:PORT], or --policy FILE PROTO "
					    "DEST[:PORT]"
					  : "needs PROTO DEST[:PORT]");
	request->common.guard = first ? request->operands[0] : NULL;
	request->proto = request->operands[first];
	request->dest = request->operands[first + 1];
	return 0;
}

static int policy_of_guard(const struct eg_common *common, struct eg_policy **ret_policy,
			   struct eg_error *error)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	EG_AUTO_FREE char *name = NULL;
	int result = eg_select_open(common, &pins, &name, error);

	if (result == 0)
		result = eg_guard_open(&pins, name, &guard, error);
	if (result == 0)
		result = eg_collect_policy(guard, ret_policy, error);
	if (result == 0)
		eg_collect_warn_absent("explain", &pins, name);
	return result;
}

static int policy_of_options(const struct eg_policy_options *options, struct eg_policy **ret_policy,
			     struct eg_error *error)
{
	int result = eg_policy_options(options, ret_policy, error);
	const char *wg_conf;

	if (result < 0)
		return result;
	wg_conf = (*ret_policy)->wg_conf;
	if (eg_policy_drop_hosts(*ret_policy))
		eg_log_note("explain", "endpoints given by a host's name are not resolved here, "
				       "and left out");
	if (wg_conf && strcmp(wg_conf, "auto") != 0 && strcmp(wg_conf, "none") != 0)
		eg_log_note("explain", "what attach would take from the tunnel's configuration is "
				       "left out");
	return 0;
}

static int explain(const struct request *request, struct eg_error *error)
{
	const struct eg_renderer *renderer =
		request->common.json ? &eg_render_json : &eg_render_text;
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	EG_AUTO_IMAGE struct eg_image *image = NULL;
	struct eg_explanation explanation = {};
	struct eg_question question = {};
	int result = eg_question_parse(request->proto, request->dest, &question, error);

	if (result < 0)
		return result;
	result = request->common.guard ? policy_of_guard(&request->common, &policy, error)
				       : policy_of_options(&request->policy, &policy, error);
	if (result == 0)
		result = eg_image_compile(policy, &image, error);
	if (result < 0)
		return result;
	eg_explain(policy, image, &question, &explanation);
	return eg_render_end(renderer->explanation(&question, &explanation, stdout), error);
}

int cmd_explain(int argc, char **argv)
{
	struct request request = {};
	struct eg_error error = {};
	int result = read_options(argc, argv, &request, &error);

	if (result == 0 && request.common.help)
		eg_help_print(&help, stdout);
	else if (result == 0)
		result = explain(&request, &error);
	eg_policy_options_free(&request.policy);
	return result < 0 ? eg_log_error("explain", result, &error) : EG_EXIT_OK;
}
