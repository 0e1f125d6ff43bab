// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "cni/protocol.h"
#include "cni_check.h"
#include "kern/features.h"
#include "kern/guard.h"
#include "log.h"
#include "net/link.h"
#include "net/mute.h"
#include "options.h"
#include "reap.h"
#include "start.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/text.h"

#define LOCK_WAIT_MS 30000

static const struct eg_option option_table[] = {{}};

static const struct eg_help help = {
	.command = "cni",
	.usage = "[--help]",
	.summary = "The CNI plugin: called by a container runtime, it seals a pod's network "
		   "namespace before anything runs in it.",
	.options = option_table,
	.example = "ln -s /usr/local/bin/egressguard /opt/cni/bin/egressguard-cni",
	.more = "Runtimes call it by the type of a plugin in a network configuration, "
		"`egressguard-cni`, with CNI_COMMAND and the like in the environment: see "
		"egressguard-cni(8).",
};

/* --- what the runtime is told ---------------------------------------------------------------- */

/* A runtime's log is where warnings of a pod belong. */
static void print_warnings(const struct eg_text *warnings)
{
	const char *line = warnings->len ? warnings->data : "";

	while (*line) {
		size_t len = strcspn(line, "\n");

		eg_log_warning("cni", "%.*s", (int)len, line);
		line += len + (line[len] == '\n');
	}
}

/* In the words of the specification: which member of the request is to blame. */
static int told(const struct eg_cni_request *request, int result, const struct eg_error *why,
		struct eg_cni_error *error)
{
	const char *message = why->message[0] ? why->message : strerror(-result);

	if (result == -EBUSY || result == -EAGAIN)
		return eg_cni_fail(error, EG_CNI_AGAIN, "%s", message);
	if (why->exit == EG_EXIT_USAGE && result == -EPERM)
		return eg_cni_fail(error, EG_CNI_BAD_ENVIRONMENT, "CNI_NETNS: %s", message);
	if (why->exit == EG_EXIT_USAGE)
		return eg_cni_fail(error, EG_CNI_BAD_CONFIG, "%s", message);
	if (result == -EEXIST)
		return eg_cni_fail(error, EG_CNI_FAILED,
				   "the pod '%s' has a guard already, which allows less than the "
				   "configuration of network '%s': give both the same policy, or "
				   "have egressguard attach --replace put a wider one in force",
				   request->name, request->network);
	if (why->exit == EG_EXIT_KERNEL && !request->accept_device_only && !request->mute)
		return eg_cni_fail(error, EG_CNI_FAILED,
				   "the pod '%s' is not guarded, and must not start: %s (in a "
				   "network configuration: acceptDeviceOnly)",
				   request->name, message);
	return eg_cni_fail(error, EG_CNI_FAILED,
			   "the pod '%s' is not guarded, and must not start: %s", request->name,
			   message);
}

/* --- ADD and CHECK --------------------------------------------------------------------------- */

static int open_netns(const struct eg_cni_request *request, struct eg_netns *ret_netns,
		      struct eg_cni_error *error)
{
	struct eg_error why = {};

	if (eg_netns_open_path(request->netns, ret_netns, &why) == 0)
		return 0;
	return eg_cni_fail(error, EG_CNI_BAD_ENVIRONMENT, "CNI_NETNS: %s", why.message);
}

/* A policy that is the configuration's own, or that of a name in it. */
static int take_policy(struct eg_cni_request *request, struct eg_cni_error *error)
{
	const struct eg_start_request start = {.policy = request->policy_name};
	char quoted[EG_QUOTE_LEN];
	struct eg_error why = {};

	if (!request->policy && eg_start_policy(&start, &request->policy, &why) < 0)
		return eg_cni_fail(error, EG_CNI_BAD_CONFIG, "policyName: %s", why.message);
	if (!request->policy->target)
		return 0;
	return eg_cni_fail(error, EG_CNI_BAD_CONFIG,
			   "policyName %s: that policy has a Target, which the daemon guards, and "
			   "here it would be any pod: name one without, in " EG_TEMPLATES,
			   eg_quote(quoted, request->policy_name, strlen(request->policy_name)));
}

static int seal(const struct eg_netns *netns, const struct eg_cni_request *request,
		const char *name, struct eg_start_result *result, struct eg_error *error)
{
	const struct eg_start_request start = {
		.given = request->policy,
		.name = name,
		.engine = EG_START_ENGINE_OTHER,
		.pin_dir = request->pin_dir,
		.accept_device_only = request->accept_device_only,
		.of_namespace = true,
	};

	return eg_start_seal(netns, &start, result, error);
}

/* Something has made a result, but not yet what it would be there for: the plugin that will comes
 * later in the list, and nothing would guard what it makes. */
static int check_interface(const struct eg_netns *netns, const struct eg_cni_request *request,
			   struct eg_cni_error *error)
{
	EG_AUTO_FREE struct eg_link *links = NULL;
	size_t n = 0;
	int result = eg_links_get(netns, &links, &n);

	if (result < 0)
		return eg_cni_fail(error, EG_CNI_FAILED,
				   "the pod '%s' is not guarded, and must not start: cannot list "
				   "its interfaces: %s",
				   request->name, strerror(-result));
	for (size_t i = 0; i < n; i++)
		if (strcmp(links[i].name, request->ifname) == 0)
			return 0;
	return eg_cni_fail(error, EG_CNI_BAD_CONFIG,
			   "there is no interface '%s' yet: this plugin guards what others make, "
			   "so it comes after the one that makes it in the list of plugins",
			   request->ifname);
}

/* The first entry of the list. A pod that runs already, and gets a network more, is not made mute:
 * it has a guard for that. */
static int mute(const struct eg_cni_request *request, struct eg_cni_error *error)
{
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	struct eg_error why = {};
	int status = open_netns(request, &netns, error);

	if (status < 0)
		return status;
	status = eg_start_mute(&netns, &why);
	return status < 0 ? told(request, status, &why, error) : 0;
}

/* The interface that it was kept mute for is there, and sealed. */
static int unmute(const struct eg_netns *netns, const struct eg_cni_request *request,
		  struct eg_cni_error *error)
{
	struct eg_error why = {};
	int status = eg_unmute(netns, &why);

	return status < 0 ? told(request, status, &why, error) : 0;
}

/* Two pods may have one name for a while, when a new one comes and the old one's namespace is still
 * there; the container's id is nobody else's. */
static int add(struct eg_cni_request *request, struct eg_cni_error *error)
{
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	EG_AUTO(eg_start_result_free) struct eg_start_result result = {};
	struct eg_error why = {};
	int status;

	if (request->mute)
		return mute(request, error);
	status = open_netns(request, &netns, error);
	if (status == 0)
		status = take_policy(request, error);
	if (status < 0)
		return status;
	status = seal(&netns, request, request->name, &result, &why);
	if (status == -EBUSY && strlen(request->container_id) < sizeof(request->name)) {
		eg_start_result_free(&result);
		result = (struct eg_start_result){};
		strcpy(request->name, request->container_id);
		status = seal(&netns, request, request->name, &result, &why);
	}
	print_warnings(&result.warnings);
	if (status < 0)
		return told(request, status, &why, error);
	status = check_interface(&netns, request, error);
	if (status == 0)
		status = unmute(&netns, request, error);
	if (status < 0)
		return status;
	if (!result.has_interface)
		eg_log_warning("cni",
			       "%s: the namespace has no interface yet that leads out: what comes "
			       "by a network without this plugin will not be covered",
			       result.name);
	if (!result.has_endpoint)
		eg_log_warning("cni",
			       "%s: no endpoint may be reached, so no tunnel will come up: name it "
			       "in the policy (Endpoint)",
			       result.name);
	return 0;
}

/* Of the first entry nothing is left to see once the last one has sealed the pod. */
static int check_mute(const struct eg_netns *netns, const struct eg_cni_request *request,
		      struct eg_cni_error *error)
{
	int is_mute = eg_is_mute(netns);

	if (is_mute < 0)
		return eg_cni_fail(error, EG_CNI_CANNOT_TELL,
				   "whether the pod '%s' is mute cannot be told: %s", request->name,
				   strerror(-is_mute));
	if (is_mute)
		return eg_cni_fail(error, EG_CNI_UNGUARDED,
				   "the pod '%s' is mute: no entry of this plugin with a policy "
				   "comes after the plugin that makes its interface",
				   request->name);
	return 0;
}

static int check(struct eg_cni_request *request, struct eg_cni_error *error)
{
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	int status = open_netns(request, &netns, error);

	if (status == 0 && request->mute)
		return check_mute(&netns, request, error);
	if (status == 0)
		status = take_policy(request, error);
	return status < 0 ? status : eg_cni_check(request, error);
}

/* --- DEL and GC ------------------------------------------------------------------------------ */

/*
 * Guards whose namespace is gone are taken away, and no others, whatever the runtime says: a pod
 * loses one of two networks while it runs, and processes may outlive what the runtime knows of
 * them. So the runtime's list of what is valid makes no difference here: what is not in it and
 * still there stays sealed, and what is gone needs no guard.
 */
static int reap(const struct eg_cni_request *request, struct eg_error *error)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	int result = eg_pins_open(request->pin_dir, false, &pins, error);

	if (result == -ENOENT)
		return 0;
	if (result == 0)
		result = eg_pins_lock(&pins, LOCK_WAIT_MS, error);
	if (result == 0)
		result = eg_reap(&pins, error);
	return result < 0 ? result : eg_sweep(&pins, error);
}

/* Whatever is left keeps nothing open and nothing alive, and the next command takes it away. A pod
 * whose end is refused would stay for ever. */
static int delete (const struct eg_cni_request *request)
{
	struct eg_error why = {};

	if (reap(request, &why) < 0)
		eg_log_warning("cni", "guards of what is gone are left: %s", why.message);
	return 0;
}

static int collect_garbage(const struct eg_cni_request *request, struct eg_cni_error *error)
{
	struct eg_error why = {};
	int result = reap(request, &why);

	return result < 0 ? told(request, result, &why, error) : 0;
}

/* --- STATUS ---------------------------------------------------------------------------------- */

/* Whether an ADD could be served now, as far as that is known without a pod. */
static int status(struct eg_cni_request *request, struct eg_cni_error *error)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	struct eg_error why = {};
	int result = eg_features_check(&why);

	if (result == 0)
		result = eg_pins_open(request->pin_dir, true, &pins, &why);
	if (result < 0)
		return eg_cni_fail(error, EG_CNI_UNAVAILABLE, "%s", why.message);
	result = request->mute ? 0 : take_policy(request, error);
	if (result < 0)
		error->code = EG_CNI_UNAVAILABLE;
	return result;
}

/* --- all together ---------------------------------------------------------------------------- */

static int serve(struct eg_cni_request *request, struct eg_cni_error *error)
{
	switch (request->command) {
	case EG_CNI_ADD:
		return add(request, error);
	case EG_CNI_CHECK:
		return check(request, error);
	case EG_CNI_DEL:
		return delete (request);
	case EG_CNI_GC:
		return collect_garbage(request, error);
	case EG_CNI_STATUS:
		return status(request, error);
	case EG_CNI_VERSION:
		break;
	}
	return 0;
}

/* VERSION may be asked for without anything on standard input, from a terminal too. */
static int read_input(enum eg_cni_command command, char **ret_input, size_t *ret_len,
		      struct eg_cni_error *error)
{
	int result = -ENOTTY;

	if (command != EG_CNI_VERSION || !isatty(STDIN_FILENO))
		result = eg_fd_read(STDIN_FILENO, EG_CNI_INPUT_MAX, ret_input, ret_len);
	if (result < 0 && command != EG_CNI_VERSION)
		return eg_cni_fail(error, EG_CNI_IO,
				   "cannot read the network configuration from standard input: %s",
				   strerror(-result));
	return 0;
}

/* *ret_answer is the caller's to free: NULL where success has none. */
static int answer(const struct eg_cni_environment *environment, const char **ret_version,
		  char **ret_answer, struct eg_cni_error *error)
{
	EG_AUTO_CNI_REQUEST struct eg_cni_request *request = NULL;
	EG_AUTO_FREE char *input = NULL;
	enum eg_cni_command command;
	size_t len = 0;
	int result = eg_cni_command(environment, &command, error);

	if (result == 0)
		result = read_input(command, &input, &len, error);
	*ret_version = eg_cni_version_of(input ? input : "", len);
	if (result == 0)
		result = eg_cni_read(environment, input ? input : "", len, &request, error);
	if (result == 0)
		result = serve(request, error);
	if (result < 0 || !request)
		return result;
	if (command == EG_CNI_VERSION)
		*ret_answer = eg_cni_format_versions(request->version);
	else
		*ret_answer = EG_TAKE(request->result);
	return 0;
}

/* A runtime that does not get the answer takes it for a failure: so do we. */
static int print(const char *text)
{
	struct eg_error error = {};

	if (puts(text) >= 0 && fflush(stdout) == 0)
		return 0;
	eg_error_set(&error, EG_EXIT_FAILED, errno, "cannot write the answer: %m");
	return eg_log_error("cni", -EIO, &error);
}

int cmd_cni(int argc, char **argv)
{
	const struct eg_cni_environment environment = {
		.command = getenv("CNI_COMMAND"),
		.container_id = getenv("CNI_CONTAINERID"),
		.netns = getenv("CNI_NETNS"),
		.ifname = getenv("CNI_IFNAME"),
		.args = getenv("CNI_ARGS"),
	};
	EG_AUTO_FREE char *text = NULL;
	struct eg_cni_error error = {};
	const char *version;
	int result;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		eg_help_print(&help, stdout);
		return EG_EXIT_OK;
	}
	result = answer(&environment, &version, &text, &error);
	if (result < 0)
		text = eg_cni_format_error(version, &error);
	if (text && print(text) != 0)
		return EG_EXIT_FAILED;
	return result < 0 ? EG_EXIT_FAILED : EG_EXIT_OK;
}
