// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include "attach.h"
#include "cmd.h"
#include "collect.h"
#include "config_dir.h"
#include "follow.h"
#include "log.h"
#include "net/cgroup_target.h"
#include "options.h"
#include "policy/address.h"
#include "policy_options.h"
#include "try.h"
#include "util/cleanup.h"
#include "util/notify.h"
#include "util/text.h"

#define TRY_SECONDS_MAX 86400

enum own_option {
	OPTION_NAME = EG_OPTION_OWN,
	OPTION_REPLACE,
	OPTION_ACCEPT_DEVICE_ONLY,
	OPTION_HOST,
	OPTION_TRY,
	OPTION_FOREGROUND,
	OPTION_CGROUP,
};

static const struct eg_option option_table[] = {
	EG_OPTION_ENTRY_NETNS,
	{OPTION_CGROUP, "--cgroup", "DIR",
	 "instead of a network namespace: a directory of the cgroup v2 hierarchy, or its path as "
	 "/proc/PID/cgroup has it; see below"},
	{OPTION_NAME, "--name", "NAME", "what the guard is called (default: the target's name)"},
	{OPTION_REPLACE, "--replace", NULL,
	 "replace the policy in force, even by one that allows more"},
	{OPTION_ACCEPT_DEVICE_ONLY, "--accept-device-only", NULL,
	 "accept interfaces that only the layer 'device' can guard; NET_RAW gets past it"},
	{OPTION_HOST, "--host", NULL, "guard the initial namespace: this whole machine"},
	{OPTION_TRY, "--try", "SECONDS",
	 "take the guard away again after SECONDS, unless the same attach without --try confirms "
	 "it"},
	{OPTION_FOREGROUND, "--foreground", NULL,
	 "stay, hold the layer `netns`, and guard interfaces that appear, until a signal ends it"},
	EG_OPTION_ENTRY_PIN_DIR,
	{},
};

static const struct eg_help help = {
	.command = "attach",
	.usage = "--netns TARGET | --cgroup DIR [OPTION...]",
	.summary = "Guard a network namespace, or a cgroup: it can reach its tunnel, its LAN and "
		   "WireGuard's "
		   "endpoint, and nothing else.",
	.options = option_table,
	.policy = true,
	.example = "egressguard attach --netns wireguard --deny 192.168.1.1",
	.more = "The guard stays in force when this command has ended, until 'egressguard "
		"detach'.\n"
		"\n"
		"With --cgroup it judges what IPv4 and IPv6 sockets send that are made in that "
		"cgroup "
		"and in all beneath it, in whatever network namespace; for a service that has no "
		"namespace to itself. It is weaker: it sees no packet sockets, no sockets of other "
		"families or made elsewhere, and nothing that the kernel or another process sends, "
		"and "
		"holds against processes without NET_ADMIN and NET_RAW that cannot leave the "
		"cgroup. "
		"One tunnel is free to it, that of the namespace the cgroup's processes are in. "
		"--accept-device-only, --host and --foreground are about interfaces, and refused; "
		"--on-block reject has no effect. egressguard(8), GUARDS ON CGROUPS, has the rest.",
};

static int read_seconds(const char *value, unsigned int *ret_seconds, struct eg_error *error)
{
	char *end = NULL;
	unsigned long seconds = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || seconds == 0 || seconds > TRY_SECONDS_MAX)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--try '%s': not a number of seconds from 1 to %d", value,
				    TRY_SECONDS_MAX);
	*ret_seconds = (unsigned int)seconds;
	return 0;
}

static int take_option(struct eg_attach_request *request, struct eg_policy_options *policy, int id,
		       const char *value, struct eg_error *error)
{
	if (EG_OPTION_IS_POLICY(id))
		return eg_policy_options_take(policy, id, value, error);
	switch (id) {
	case EG_OPTION_NETNS:
		request->target = value;
		return 0;
	case OPTION_CGROUP:
		request->cgroup = value;
		return 0;
	case EG_OPTION_PIN_DIR:
		request->pin_dir = value;
		return 0;
	case OPTION_NAME:
		request->name = value;
		return 0;
	case OPTION_REPLACE:
		request->replace = true;
		return 0;
	case OPTION_ACCEPT_DEVICE_ONLY:
		request->accept_device_only = true;
		return 0;
	case OPTION_HOST:
		request->host = true;
		return 0;
	case OPTION_FOREGROUND:
		request->foreground = true;
		return 0;
	case OPTION_TRY:
		return read_seconds(value, &request->try_seconds, error);
	default:
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "'%s': attach takes no operand; the target is given as "
				    "--netns TARGET or --cgroup DIR",
				    value);
	}
}

static void print_lines(FILE *to, const char *prefix, const struct eg_text *lines)
{
	const char *line = lines->len ? lines->data : "";

	while (*line) {
		size_t len = strcspn(line, "\n");

		fprintf(to, "%s%.*s\n", prefix, (int)len, line);
		line += len + (line[len] == '\n');
	}
}

static void print_warnings(const struct eg_text *warnings)
{
	const char *line = warnings->len ? warnings->data : "";

	while (*line) {
		size_t len = strcspn(line, "\n");

		eg_log_warning("attach", "%.*s", (int)len, line);
		line += len + (line[len] == '\n');
	}
}

static void print_endpoints(const struct eg_endpoint *endpoints, size_t n, const char *whence)
{
	for (size_t i = 0; i < n; i++) {
		char text[EG_ADDRESS_TEXT_LEN];

		printf("  endpoint %s%s\n", eg_endpoint_format(text, &endpoints[i]), whence);
	}
}

/* What may leave in the clear is for the user to see and to judge. */
static void print_tunnel(const struct eg_policy *policy)
{
	for (size_t i = 0; i < policy->n_tunnels; i++)
		printf("  tunnel %s\n", policy->tunnels[i]);
	print_endpoints(policy->endpoints, policy->n_endpoints, "");
	print_endpoints(policy->derived.endpoints, policy->derived.n_endpoints,
			policy->n_endpoints || (policy->wg_conf && *policy->wg_conf == '/')
				? ""
				: " (learned)");
}

/* `gap`: the state that status shows, where that is not what it should be; else NULL. */
static void print_result(const struct eg_attach_request *request, const struct eg_policy *policy,
			 const struct eg_attach_result *result, const char *gap)
{
	const char *mode = gap                             ? gap
			   : policy->mode == EG_MODE_AUDIT ? "audit: drops nothing"
							   : "enforcing";
	char name[EG_NAME_MAX * 4];
	char target[EG_TARGET_MAX * 4];

	eg_escape(name, sizeof(name), result->name, sizeof(result->name));
	eg_escape(target, sizeof(target), policy->target, strlen(policy->target));
	switch (result->outcome) {
	case EG_ATTACH_CREATED:
		printf("%s: guarding %s (%s)\n", name, target, mode);
		break;
	case EG_ATTACH_UNCHANGED:
		printf("%s: guarding %s already, %s (%s)\n", name, target,
		       result->mended ? "and on new interfaces too" : "nothing changed", mode);
		break;
	case EG_ATTACH_REPLACED:
		printf("%s: guarding %s, policy replaced (%s)\n", name, target, mode);
		print_lines(stdout, "  + ", &result->diff.widened);
		print_lines(stdout, "  - ", &result->diff.narrowed);
		break;
	}
	print_tunnel(policy);
	if (result->container)
		printf("When this container restarts, its namespace is a new one and has no guard "
		       "until this command runs again, or the daemon (egressguard-daemon(8)) "
		       "comes to it.\n");
	if (request->try_seconds)
		printf("It is taken away again in %u s, unless the same command without --try "
		       "confirms it.\n",
		       request->try_seconds);
	if (result->outcome != EG_ATTACH_UNCHANGED && !request->pin_dir &&
	    eg_config_dir_keeps(result->name))
		eg_log_note("attach",
			    "the daemon keeps '%s' by " EG_CONFIG_DIR
			    "/%s.conf: what that says is in force "
			    "again when the daemon reads its files, or the target has another "
			    "namespace; to "
			    "change it for good, change the file (systemctl reload egressguard)",
			    name, name);
}

/* What `status` would say against calling this sealed is said here already. Returns the state that
 * it shows where that is neither `enforcing` nor `audit`, or NULL. */
static const char *warn_of_gaps(const struct eg_attach_request *request, const char *name)
{
	const char *gap = NULL;
	const struct eg_common common = {.guard = name, .pin_dir = request->pin_dir};
	struct eg_status_view status = {};
	struct eg_error why = {};

	if (eg_collect_status(&common, &status, &why) < 0) {
		eg_log_warning("attach", "whether anything is left uncovered is not known: %s",
			       why.message);
		return "not known whether all is covered";
	}
	for (size_t i = 0; i < status.n_guards; i++) {
		const struct eg_guard_view *guard = &status.guards[i];

		if (guard->dns && guard->dns_detail &&
		    (strcmp(guard->dns, "outside the guard") == 0 ||
		     strcmp(guard->dns, "not known") == 0))
			eg_log_warning("attach", "dns: %s: %s", guard->dns, guard->dns_detail);
		if (guard->hidden)
			eg_log_warning(
				"attach",
				"root inside may have interfaces in another network "
				"namespace, which this guard does not cover: see egressguard "
				"status");
		if (guard->state == EG_STATE_ENFORCING || guard->state == EG_STATE_AUDIT)
			continue;
		gap = eg_guard_state_names[guard->state];
		eg_log_warning("attach", "%s: %s", gap,
			       guard->reason ? guard->reason : "see egressguard status");
	}
	eg_status_view_free(&status);
	return gap;
}

/* --- --foreground -------------------------------------------------------------------------------
 */

static void say(void *argument, bool warning, const char *line)
{
	(void)argument;
	if (warning)
		eg_log_warning("attach", "%s", line);
	else
		eg_log_note("attach", "%s", line);
}

/* Until a signal comes or there is nothing to follow any more. */
static const char *follow_until(struct eg_follow *follow, int signal_fd)
{
	struct pollfd waiting[] = {{.fd = signal_fd, .events = POLLIN},
				   {.fd = eg_follow_fd(follow), .events = POLLIN}};

	for (;;) {
		switch (eg_follow_work(follow)) {
		case EG_FOLLOW_GOES_ON:
			break;
		case EG_FOLLOW_DETACHED:
			return "the guard was taken away";
		case EG_FOLLOW_GONE:
			return "its namespace has ended, and the guard with it";
		case EG_FOLLOW_TAKEN_OVER:
			return "another process follows the guard now";
		}
		if (poll(waiting, 2, -1) > 0 && (waiting[0].revents & POLLIN))
			return "stopped: `device` and `peer` stay in force, the layer `netns` ends";
	}
}

static int stay(const char *pin_dir, const char *name, struct eg_error *error)
{
	EG_AUTO_FOLLOW struct eg_follow *follow = NULL;
	EG_AUTO_CLOSE int signal_fd = -1;
	const char *why;
	sigset_t signals;
	int result;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (signal_fd < 0)
		return eg_error_set(error, EG_EXIT_FAILED, errno, "cannot wait for signals: %m");
	result = eg_follow_new(pin_dir, name, say, NULL, &follow, error);
	if (result < 0)
		return result;
	/* Where that is not to be had, it is seen within a second. */
	(void)eg_follow_watch(follow);
	eg_log_note("attach", "following the guard");
	eg_notify("READY=1");
	why = follow_until(follow, signal_fd);
	eg_notify("STOPPING=1");
	eg_log_note("attach", "%s", why);
	return 0;
}

static int attach(const struct eg_attach_request *request, struct eg_policy *policy)
{
	struct eg_attach_result result = {};
	struct eg_error error = {};
	int status = eg_attach(request, policy, &result, &error);

	/* A mistake in what was asked is told alone; a refusal may have its cause in the warnings.
	 */
	if (error.exit != EG_EXIT_USAGE)
		print_warnings(&result.warnings);
	if (status == -EEXIST)
		print_lines(stderr, "  + ", &result.diff.widened);
	if (status == 0 && request->try_seconds &&
	    eg_try_start(request->pin_dir, result.name, result.try_until_realtime_ns) < 0)
		eg_log_warning("attach", "--try: no process could be started to take the guard "
					 "away again: it stays until 'egressguard detach'");
	if (status == 0)
		print_result(request, policy, &result, warn_of_gaps(request, result.name));
	if (status == 0 && request->foreground) {
		fflush(stdout);
		status = stay(request->pin_dir, result.name, &error);
	}
	eg_attach_result_free(&result);
	return status < 0 ? eg_log_error("attach", status, &error) : EG_EXIT_OK;
}

/* `Target =` of a file. */
static void set_target(struct eg_attach_request *request, const char *text)
{
	const size_t prefix = strlen(EG_CGROUP_PREFIX);

	if (text && strncmp(text, EG_CGROUP_PREFIX, prefix) == 0)
		request->cgroup = text + prefix;
	else
		request->target = text;
}

/* What is about interfaces, or holds the layer `netns`, has no meaning for a cgroup. */
static int check_target(const struct eg_attach_request *request, struct eg_error *error)
{
	const char *of_netns = request->accept_device_only ? "--accept-device-only"
			       : request->host             ? "--host"
			       : request->foreground       ? "--foreground"
							   : NULL;

	if (request->target && request->cgroup)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--netns and --cgroup are two targets: a guard has one");
	if (request->cgroup && of_netns)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "%s is for a network namespace, and has no meaning for a "
				    "cgroup: leave it out",
				    of_netns);
	if (!request->target && !request->cgroup)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "what to guard is missing: --netns TARGET, --cgroup DIR, or "
				    "Target = in the policy file");
	return 0;
}

int cmd_attach(int argc, char **argv)
{
	EG_AUTO_POLICY_OPTIONS struct eg_policy_options policy_options = {};
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	EG_AUTO_FREE char *target = NULL;
	struct eg_options options = {.help = &help, .argc = argc, .argv = argv};
	struct eg_attach_request request = {};
	struct eg_error error = {};
	const char *value = NULL;
	int id = 0;
	int next;

	while ((next = eg_options_next(&options, &id, &value, &error)) > 0) {
		if (id == EG_OPTION_HELP) {
			eg_help_print(&help, stdout);
			return EG_EXIT_OK;
		}
		next = take_option(&request, &policy_options, id, value, &error);
		if (next < 0)
			break;
	}
	if (next == 0)
		next = eg_policy_options(&policy_options, &policy, &error);
	if (next < 0)
		return eg_log_error("attach", next, &error);
	if (request.foreground && request.try_seconds) {
		next = eg_error_set(&error, EG_EXIT_USAGE, EINVAL,
				    "--try takes the guard away again, and --foreground stays with "
				    "it: leave one of them out");
		return eg_log_error("attach", next, &error);
	}
	if (!request.target && !request.cgroup && policy->target) {
		/* eg_attach() replaces the policy's own copy */
		target = strdup(policy->target);
		set_target(&request, target);
	}
	next = check_target(&request, &error);
	if (next < 0)
		return eg_log_error("attach", next, &error);
	return attach(&request, policy);
}
