// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>

#include "cmd.h"
#include "collect.h"
#include "log.h"
#include "net/target.h"
#include "options.h"
#include "out/render.h"
#include "outer.h"
#include "policy/address.h"
#include "policy/explain.h"
#include "select.h"
#include "util/cleanup.h"
#include "util/text.h"
#include "verify.h"

#define MARK_OF_WG_QUICK 51820
#define SAFE_LEN         (4 * EG_TARGET_MAX)

enum own_option {
	OPTION_ALLOW_LEAKS = EG_OPTION_OWN,
};

static const struct eg_option option_table[] = {
	EG_OPTION_ENTRY_NETNS,
	EG_OPTION_ENTRY_JSON,
	{OPTION_ALLOW_LEAKS, "--allow-leaks", NULL,
	 "in audit mode: send the probes although they will leave"},
	EG_OPTION_ENTRY_PIN_DIR,
	{},
};

static const struct eg_help help = {
	.command = "verify",
	.usage = "[GUARD | --netns TARGET] [--json] [--allow-leaks]",
	.summary = "Prove it: try every known way out of the namespace, and say what stopped each. "
		   "Without a guard, whatever else is there is tried.",
	.options = option_table,
	.example = "egressguard verify wireguard",
	.more = "The probes go to addresses that no network has (198.51.100.222, "
		"2001:db8:6567:7264::222), so nobody can receive them. Exit status: 0 sealed, 4 a "
		"leak was found, 1 it cannot tell.",
};

/* All that is verified, and by what. */
struct subject {
	struct eg_common common;
	bool allow_leaks;
	struct eg_status_view status;
	struct eg_guard_view *guard_view; /* NULL: no guard */
	struct eg_pins pins;
	struct eg_guard *guard;
	struct eg_policy *policy;
	struct eg_netns netns;
	struct eg_survey survey;
	struct eg_verify_view view;
};

static int read_options(int argc, char **argv, struct subject *subject, struct eg_error *error)
{
	struct eg_options options = {.help = &help, .argc = argc, .argv = argv};
	const char *value = NULL;
	int id = 0, result;

	while ((result = eg_options_next(&options, &id, &value, error)) > 0) {
		if (id == OPTION_ALLOW_LEAKS)
			subject->allow_leaks = true;
		else
			result = eg_common_take(&subject->common, id, value, error);
		if (result < 0)
			return result;
	}
	return result;
}

/* --- with a guard ---------------------------------------------------------------------------- */

static int find_netns(struct subject *subject, struct eg_error *error)
{
	const struct eg_meta *meta = eg_guard_meta(subject->guard);
	int result;

	if (meta->flags & EG_META_CGROUP)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "the guard '%s' is on a cgroup, and verify sends its probes "
				    "from a network namespace: `egressguard verify --netns TARGET` "
				    "tries what leaves there, `egressguard status %s` shows what "
				    "this guard covers",
				    meta->name, meta->name);
	result = eg_netns_find((dev_t)meta->netns_dev, (ino_t)meta->netns_inode, meta->netns_cookie,
			       &subject->netns);
	if (result == -ENOENT)
		return eg_error_set(error, EG_EXIT_NO_SUCH, ENOENT,
				    "the guard's namespace is not to be found");
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot look for the guard's namespace: %s", strerror(-result));
	return 0;
}

/* What the guard says of itself is necessary, and not enough. */
static int refuse_or_doubt(struct subject *subject, struct eg_error *error)
{
	const struct eg_guard_view *guard = subject->guard_view;
	const char *reason = guard->reason ? guard->reason : "";
	char safe[SAFE_LEN];
	int result = 0;

	eg_escape(safe, sizeof(safe), reason, strlen(reason));
	switch (guard->state) {
	case EG_STATE_ENFORCING:
		break;
	case EG_STATE_AUDIT:
		if (!subject->allow_leaks)
			return eg_error_set(error, EG_EXIT_FAILED, EPERM,
					    "the guard is in audit mode, where nothing is dropped: "
					    "every probe would leave. --allow-leaks sends them all "
					    "the same, and shows what would be dropped");
		result = eg_verify_doubt(&subject->view, "the guard is in audit mode");
		break;
	case EG_STATE_DEGRADED:
		result = eg_verify_doubt(&subject->view, "the guard is degraded: %s", reason);
		break;
	case EG_STATE_UNGUARDED:
		return eg_error_set(error, EG_EXIT_FAILED, ESTALE, "cannot tell: %s", safe);
	case EG_STATE_GONE:
		return eg_error_set(error, EG_EXIT_NO_SUCH, ENOENT, "the guard is gone: %s", safe);
	}
	if (result == 0 && guard->dns && strcmp(guard->dns, "tunnel") != 0 &&
	    strcmp(guard->dns, "lan") != 0)
		result = eg_verify_doubt(&subject->view, "dns is %s: %s", guard->dns,
					 guard->dns_detail ? guard->dns_detail : "");
	return result;
}

/* What may leave to the test addresses proves nothing there. */
static int doubt_policy(struct subject *subject, struct eg_error *error)
{
	static const __u8 families[] = {EG_FAMILY_IPV4, EG_FAMILY_IPV6};
	static const __u8 protos[] = {EG_PROTO_TCP, EG_PROTO_UDP};
	EG_AUTO_IMAGE struct eg_image *image = NULL;
	int result = eg_image_compile(subject->policy, &image, error);

	for (size_t i = 0; result == 0 && i < 4; i++) {
		const struct eg_question question = {.family = families[i / 2],
						     .proto = protos[i % 2],
						     .dst = eg_test_address(families[i / 2]),
						     .dport = 20000};
		struct eg_explanation explanation = {};
		char address[EG_ADDRESS_TEXT_LEN];

		eg_explain(subject->policy, image, &question, &explanation);
		if (explanation.verdict != EG_VERDICT_ALLOW)
			continue;
		eg_addr_format(address, question.family, &question.dst);
		return eg_error_set(error, EG_EXIT_FAILED, EINVAL,
				    "cannot tell: the policy allows the test address %s, so what "
				    "leaves to it proves nothing: %s",
				    address, explanation.why);
	}
	return result;
}

static int take_guard(struct subject *subject, struct eg_error *error)
{
	int result;

	if (subject->status.n_guards != 1)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    subject->status.n_guards
					    ? "which guard? There are several; `egressguard "
					      "status` lists them"
					    : "which namespace is missing: there are no guards, so "
					      "name one with --netns TARGET");
	subject->guard_view = &subject->status.guards[0];
	subject->view.guard = strdup(subject->guard_view->name);
	subject->view.mode = subject->guard_view->mode;
	if (!subject->view.guard)
		return -ENOMEM;
	result = refuse_or_doubt(subject, error);
	if (result == 0)
		result = eg_pins_open(subject->common.pin_dir, false, &subject->pins, error);
	if (result == 0)
		result = eg_guard_open(&subject->pins, subject->view.guard, &subject->guard, error);
	if (result == 0)
		result = eg_collect_policy(subject->guard, &subject->policy, error);
	if (result == 0)
		result = doubt_policy(subject, error);
	if (result == 0 && eg_guard_has_probes(subject->guard) > 0)
		result = eg_error_set(error, EG_EXIT_FAILED, EBUSY,
				      "another verify is at work on this guard: try again when it "
				      "is done");
	return result == 0 ? find_netns(subject, error) : result;
}

static int describe_guard(struct subject *subject)
{
	const struct eg_guard_view *guard = subject->guard_view;

	if (!guard)
		return 0;
	subject->view.target = strdup(guard->target ? guard->target : guard->name);
	if (guard->holds_against)
		subject->view.holds_against = strdup(guard->holds_against);
	return subject->view.target && (!guard->holds_against || subject->view.holds_against)
		       ? 0
		       : -ENOMEM;
}

/* --- without one ----------------------------------------------------------------------------- */

/* Whatever is a WireGuard interface is a tunnel: nobody has declared another. */
static int declare_tunnels(struct subject *subject, struct eg_error *error)
{
	EG_AUTO_FREE struct eg_link *links = NULL;
	size_t n = 0;
	int result = eg_links_get(&subject->netns, &links, &n);

	if (result == 0)
		result = eg_policy_new(&subject->policy);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot list the namespace's interfaces: %s",
				    strerror(-result));
	for (size_t i = 0; i < n && result == 0; i++) {
		enum eg_tunnel_kind kind = eg_tunnel_kind(&subject->netns, &links[i]);

		if (kind == EG_TUNNEL_KERNEL || kind == EG_TUNNEL_USERSPACE)
			result =
				eg_policy_set(subject->policy, EG_KEY_TUNNEL, links[i].name, error);
	}
	return result;
}

static int take_target(struct subject *subject, struct eg_target *target, struct eg_error *error)
{
	if (eg_netns_is_initial(&target->netns))
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "that is the namespace of this machine itself: there is no far "
				    "end of it to watch");
	subject->view.target = strdup(target->text);
	subject->netns = target->netns;
	target->netns.fd = -1;
	if (!subject->view.target)
		return -ENOMEM;
	return declare_tunnels(subject, error);
}

/* A guard that was attached to a target of that name may be on another namespace by now. */
static bool is_on(const struct subject *subject, const struct eg_target *target)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	const struct eg_meta *meta;
	struct eg_netns of_guard;

	if (subject->status.n_guards != 1 ||
	    eg_pins_open(subject->common.pin_dir, false, &pins, NULL) < 0 ||
	    eg_guard_open(&pins, subject->status.guards[0].name, &guard, NULL) < 0)
		return false;
	meta = eg_guard_meta(guard);
	of_guard = eg_netns_of_meta(meta);
	return eg_netns_same(&target->netns, &of_guard);
}

static int find_subject(struct subject *subject, struct eg_error *error)
{
	EG_AUTO_TARGET struct eg_target target = {.netns = EG_NETNS_NONE};
	int result = 0, collected;

	if (subject->common.netns)
		result = eg_target_resolve(subject->common.netns, &target, error);
	if (result < 0)
		return result;
	collected = eg_collect_status(&subject->common, &subject->status, error);
	if (subject->common.netns &&
	    (collected == -ENOENT || (collected == 0 && !is_on(subject, &target))))
		return take_target(subject, &target, error);
	if (collected < 0)
		return collected;
	result = take_guard(subject, error);
	return result == 0 ? describe_guard(subject) : result;
}

/* --- what is asked of it --------------------------------------------------------------------- */

static void show_progress(const char *interface, const char *what, size_t done, size_t all)
{
	char safe[4 * IFNAMSIZ];

	fprintf(stderr, "\r\033[K%zu/%zu %s: %s", done + 1, all,
		eg_escape(safe, sizeof(safe), interface, strlen(interface)), what);
	fflush(stderr);
}

/* The tunnel's own mark, which rules that other tools make let pass. */
static __u32 find_mark(const struct subject *subject)
{
	for (size_t i = 0; i < subject->survey.n_tunnels; i++) {
		EG_AUTO_WG_DEVICE struct eg_wg_device device = {};

		if (eg_wg_get(&subject->netns, &subject->survey.tunnels[i].link, &device, NULL) ==
			    0 &&
		    device.fwmark)
			return device.fwmark;
	}
	return MARK_OF_WG_QUICK;
}

/* The first that the policy knows; without a guard, the first that the tunnel has. */
static struct eg_endpoint find_endpoint(const struct subject *subject)
{
	const struct eg_policy *policy = subject->policy;

	for (size_t i = 0; policy && i < policy->n_endpoints; i++) {
		if (policy->endpoints[i].family != EG_FAMILY_NONE)
			return policy->endpoints[i];
	}
	if (policy && policy->derived.n_endpoints)
		return policy->derived.endpoints[0];
	for (size_t i = 0; i < subject->survey.n_tunnels; i++) {
		EG_AUTO_WG_DEVICE struct eg_wg_device device = {};

		if (eg_wg_get(&subject->netns, &subject->survey.tunnels[i].link, &device, NULL) ==
			    0 &&
		    device.n_peers)
			return device.peers[0].endpoint;
	}
	return (struct eg_endpoint){.family = EG_FAMILY_NONE};
}

/* What carries a tunnel is a way out too, and where it leaves from elsewhere no row has tried it.
 */
static int doubt_tunnels(struct subject *subject)
{
	int result = 0;

	/* Of a guard `status` has said so: it is degraded. */
	for (size_t i = 0; !subject->guard && result == 0 && i < subject->survey.n_tunnels; i++) {
		const struct eg_tunnel *tunnel = &subject->survey.tunnels[i];
		EG_AUTO_WG_DEVICE struct eg_wg_device device = {};
		EG_AUTO_TEXT struct eg_text line = {};

		if (eg_wg_get(&subject->netns, &tunnel->link, &device, NULL) == 0)
			eg_outer_tell(&subject->netns, tunnel, &device, &line);
		if (line.failed)
			result = -ENOMEM;
		else if (line.len)
			result = eg_verify_doubt(&subject->view, "%.*s", (int)line.len - 1,
						 line.data);
	}
	return result;
}

static int verify(struct subject *subject, struct eg_error *error)
{
	struct eg_verify_request request = {.netns = &subject->netns,
					    .survey = &subject->survey,
					    .progress =
						    isatty(STDERR_FILENO) ? show_progress : NULL};
	size_t rows[4], doubts = 0;
	int result = find_subject(subject, error);

	if (result == 0)
		result = eg_survey_take(&subject->netns, subject->policy, &subject->survey, error);
	if (result == 0)
		result = doubt_tunnels(subject);
	if (result < 0)
		return result;
	request.guard = subject->guard;
	request.endpoint = find_endpoint(subject);
	request.mark = find_mark(subject);
	result = eg_verify_run(&request, &subject->view, error);
	if (request.progress)
		fputs("\r\033[K", stderr);
	if (result < 0)
		return result;
	while (subject->view.doubts && subject->view.doubts[doubts])
		doubts++;
	eg_verify_count(&subject->view, rows);
	subject->view.result = eg_verify_conclude(rows, doubts);
	return 0;
}

static int show(const struct subject *subject, struct eg_error *error)
{
	const struct eg_renderer *renderer =
		subject->common.json ? &eg_render_json : &eg_render_text;

	return eg_render_end(renderer->verification(&subject->view, stdout), error);
}

static int exit_status(enum eg_verify_result result)
{
	switch (result) {
	case EG_VERIFY_SEALED:
		return EG_EXIT_OK;
	case EG_VERIFY_LEAK:
		return EG_EXIT_LEAK;
	case EG_VERIFY_UNKNOWN:
		break;
	}
	return EG_EXIT_FAILED;
}

static void free_subject(struct subject *subject)
{
	eg_status_view_free(&subject->status);
	eg_verify_view_free(&subject->view);
	eg_survey_free(&subject->survey);
	eg_policy_free(subject->policy);
	eg_guard_close(subject->guard);
	eg_pins_close(&subject->pins);
	eg_netns_close(&subject->netns);
}

int cmd_verify(int argc, char **argv)
{
	struct subject subject = {.netns = EG_NETNS_NONE,
				  .pins = {.dir_fd = -1, .lock_fd = -1},
				  .view = {.result = EG_VERIFY_UNKNOWN}};
	struct eg_error error = {};
	int result = read_options(argc, argv, &subject, &error);
	int status = EG_EXIT_OK;

	if (result == 0 && subject.common.help) {
		eg_help_print(&help, stdout);
		return EG_EXIT_OK;
	}
	if (result == 0)
		result = verify(&subject, &error);
	if (result == 0)
		result = show(&subject, &error);
	status = result < 0 ? eg_log_error("verify", result, &error)
			    : exit_status(subject.view.result);
	free_subject(&subject);
	return status;
}
