// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "doctor.h"
#include "log.h"
#include "out/render.h"
#include "policy/address.h"
#include "policy/array.h"
#include "util/cleanup.h"
#include "util/text.h"

enum {
	OPTION_CONF = EG_OPTION_OWN,
	OPTION_TUNNEL,
	OPTION_PORT,
	OPTION_HOST_PORT,
};

static const struct eg_option option_table[] = {
	EG_OPTION_ENTRY_NETNS,
	{OPTION_CONF, "--conf", "FILE",
	 "the tunnel's configuration (default: it is looked for in the container)"},
	{OPTION_TUNNEL, "--tunnel", "IFACE",
	 "the tunnel's interface (default: the WireGuard interface found, else wg0)"},
	{OPTION_PORT, "--port", "[ADDR:]PORT:INSIDE",
	 "try this published port too (default: those that the engine knows)"},
	{OPTION_HOST_PORT, "--host-port", "PORT=STATUS",
	 "what curl's exit status was when it asked for that port on the host, where the host "
	 "cannot "
	 "be reached from here (Docker Desktop)"},
	EG_OPTION_ENTRY_JSON,
	EG_OPTION_ENTRY_PIN_DIR,
	{},
};

static const struct eg_help help = {
	.command = "doctor",
	.usage = "[--netns TARGET] [--conf FILE] [--tunnel IFACE] [--port [ADDR:]PORT:INSIDE]...\n"
		 "       [--host-port PORT=STATUS]... [--json]",
	.summary =
		"Look at a live WireGuard container and those that share its namespace: say what "
		"is "
		"wrong, what was seen of it, and the fix, most likely cause first. Changes nothing "
		"and needs no BPF. Without TARGET: the one container that has a tunnel, or whose "
		"network others share. Exits with 1 if anything is wrong.",
	.options = option_table,
	.example = "egressguard doctor --netns wireguard",
};

struct request {
	struct eg_common common;
	struct eg_doctor_request doctor;
};

static void show_progress(const char *what)
{
	fprintf(stderr, "\r\033[Klooking at %s", what);
	fflush(stderr);
}

/* --- options ---------------------------------------------------------------------------------- */

static int wrong_port(const char *option, const char *value, const char *form,
		      struct eg_error *error)
{
	char safe[256];

	return eg_error_set(error, EG_EXIT_USAGE, EINVAL, "%s '%s': write %s", option,
			    eg_escape(safe, sizeof(safe), value, strlen(value)), form);
}

static int add_port(struct request *request, const struct eg_doctor_port_option *port,
		    struct eg_error *error)
{
	if (EG_ARRAY_ADD(request->doctor.ports, request->doctor.n_ports, *port) < 0)
		return eg_error_no_memory(error);
	return 0;
}

/* [ADDR:]PORT:INSIDE, as in docker's -p; an IPv6 address in brackets. */
static int take_port(struct request *request, const char *value, struct eg_error *error)
{
	static const char form[] = "[ADDRESS:]PORT:PORT-INSIDE, such as 8080:80";
	struct eg_doctor_port_option port = {};
	char copy[128], *inside, *outside, *host = NULL;
	union eg_addr addr;
	__u8 family;

	if ((size_t)snprintf(copy, sizeof(copy), "%s", value) >= sizeof(copy))
		return wrong_port("--port", value, form, error);
	inside = strrchr(copy, ':');
	if (!inside)
		return wrong_port("--port", value, form, error);
	*inside++ = '\0';
	outside = strrchr(copy, ':');
	if (outside) {
		*outside++ = '\0';
		host = copy;
		if (*host == '[' && host[strlen(host) - 1] == ']') {
			host[strlen(host) - 1] = '\0';
			host++;
		}
	} else {
		outside = copy;
	}
	if (eg_port_parse(inside, &port.port, NULL) < 0 ||
	    eg_port_parse(outside, &port.host_port, NULL) < 0 ||
	    (host &&
	     (strlen(host) >= sizeof(port.host) || eg_addr_parse(host, &family, &addr, NULL) < 0)))
		return wrong_port("--port", value, form, error);
	if (host)
		strcpy(port.host, host);
	return add_port(request, &port, error);
}

/* PORT=STATUS */
static int take_host_port(struct request *request, const char *value, struct eg_error *error)
{
	static const char form[] = "PORT=STATUS, with curl's exit status, such as 8080=28";
	struct eg_doctor_port_option port = {.has_result = true};
	char number[8];
	size_t len = strcspn(value, "=");
	unsigned long status;
	char *end;

	if (len >= sizeof(number) || value[len] != '=' || value[len + 1] < '0' ||
	    value[len + 1] > '9')
		return wrong_port("--host-port", value, form, error);
	memcpy(number, value, len);
	number[len] = '\0';
	status = strtoul(value + len + 1, &end, 10);
	if (*end || status > 255 || eg_port_parse(number, &port.host_port, NULL) < 0)
		return wrong_port("--host-port", value, form, error);
	port.curl = (int)status;
	return add_port(request, &port, error);
}

static int take_tunnel(struct request *request, const char *value, struct eg_error *error)
{
	char safe[256];

	if (!*value || strlen(value) > 15 || strchr(value, '/'))
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--tunnel '%s': no interface can have that name",
				    eg_escape(safe, sizeof(safe), value, strlen(value)));
	request->doctor.tunnel = value;
	return 0;
}

static int take_operand(const char *value, struct eg_error *error)
{
	char safe[256];

	eg_escape(safe, sizeof(safe), value, strlen(value));
	return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
			    "'%s': name what to look at by --netns %s", safe, safe);
}

static int read_options(int argc, char **argv, struct request *request, struct eg_error *error)
{
	struct eg_options options = {.help = &help, .argc = argc, .argv = argv};
	const char *value = NULL;
	int id = 0, result;

	while ((result = eg_options_next(&options, &id, &value, error)) > 0) {
		if (id == OPTION_CONF)
			request->doctor.conf = value;
		else if (id == OPTION_TUNNEL)
			result = take_tunnel(request, value, error);
		else if (id == OPTION_PORT)
			result = take_port(request, value, error);
		else if (id == OPTION_HOST_PORT)
			result = take_host_port(request, value, error);
		else if (id == EG_OPTION_OPERAND)
			result = take_operand(value, error);
		else
			result = eg_common_take(&request->common, id, value, error);
		if (result < 0)
			return result;
	}
	return result;
}

/* --- the command ------------------------------------------------------------------------------ */

static int show(const struct eg_doctor_facts *facts, bool json, struct eg_error *error)
{
	const struct eg_renderer *renderer = json ? &eg_render_json : &eg_render_text;
	EG_AUTO_DOCTOR_REPORT struct eg_doctor_report *report = NULL;
	int result = eg_doctor_judge(facts, &report);

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "out of memory");
	result = eg_render_end(renderer->doctor(report, stdout), error);
	if (result < 0)
		return result;
	return eg_doctor_is_healthy(report) ? EG_EXIT_OK : EG_EXIT_FAILED;
}

static int run(struct request *request, struct eg_error *error)
{
	EG_AUTO(eg_doctor_facts_free) struct eg_doctor_facts facts = {};
	char target[EG_TARGET_MAX];
	int result = 0;

	if (!request->common.netns) {
		result = eg_doctor_find_target(target, error);
		request->common.netns = target;
	}
	if (result < 0)
		return result;
	request->doctor.common = &request->common;
	if (isatty(STDERR_FILENO))
		request->doctor.progress = show_progress;
	result = eg_doctor_collect(&request->doctor, &facts, error);
	if (request->doctor.progress)
		fputs("\r\033[K", stderr);
	return result < 0 ? result : show(&facts, request->common.json, error);
}

int cmd_doctor(int argc, char **argv)
{
	struct request request = {};
	struct eg_error error = {};
	int result = read_options(argc, argv, &request, &error);

	if (result == 0 && request.common.help) {
		eg_help_print(&help, stdout);
		result = EG_EXIT_OK;
	} else if (result == 0) {
		result = run(&request, &error);
	}
	free(request.doctor.ports);
	return result < 0 ? eg_log_error("doctor", result, &error) : result;
}
