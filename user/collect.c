// SPDX-License-Identifier: GPL-2.0
#include "collect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collection.h"
#include "eg_packet.h"
#include "kern/guard.h"
#include "log.h"
#include "policy/address.h"
#include "policy/explain.h"
#include "net/target.h"
#include "select.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define NS_PER_S      1000000000LL
#define OWNER_WAIT_MS 2000

__s64 eg_realtime_offset(void)
{
	__u64 monotonic_ns = eg_monotonic_ns();

	return (__s64)(eg_realtime_ns() - monotonic_ns);
}

/* --- what stands in the guard's own maps --------------------------------------------------------
 */

int eg_collect_policy(struct eg_guard *guard, struct eg_policy **ret_policy, struct eg_error *error)
{
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	EG_AUTO_FREE char *text = NULL;
	struct eg_error why = {};
	size_t len = 0;
	int result = eg_guard_policy(guard, &text, &len);

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot read the policy in force: %s", strerror(-result));
	result = eg_policy_new(&policy);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "out of memory");
	result = eg_policy_parse(policy, text, len, true, &why);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot read the policy in force: line %u: %s", why.line,
				    why.message);
	*ret_policy = EG_TAKE(policy);
	return 0;
}

static void add_endpoints(struct eg_collection *c, const struct eg_endpoint *endpoints, size_t n)
{
	char text[EG_ADDRESS_TEXT_LEN];

	for (size_t i = 0; i < n; i++) {
		bool twice = false;

		if (endpoints[i].family == EG_FAMILY_NONE)
			continue; /* a host's name: its addresses are among the derived ones */
		eg_endpoint_format(text, &endpoints[i]);
		for (char **other = c->view->endpoints; other && *other; other++)
			twice = twice || strcmp(*other, text) == 0;
		if (!twice)
			eg_add_string(c, &c->view->endpoints, "%s", text);
	}
}

/* A tunnel that cannot come up has this reason, and nothing else shows it. */
static void add_names(struct eg_collection *c)
{
	const struct eg_derived *derived = &c->policy->derived;
	char name[256 * 4];

	for (size_t i = 0; i < derived->n_names && !derived->n_endpoints; i++)
		eg_add_note(c,
			    "no address of the endpoint %s is known, so nothing leaves to it: the "
			    "daemon asks again, without one attach again",
			    eg_escape(name, sizeof(name), derived->names[i].host,
				      strlen(derived->names[i].host)));
}

static void collect_policy(struct eg_collection *c)
{
	struct eg_guard_view *view = c->view;
	struct eg_error why = {};

	eg_collect_policy(c->guard, &c->policy, &why);
	if (!c->policy) {
		eg_add_problem(c, "%s", why.message);
		return;
	}
	view->mode = c->policy->mode == EG_MODE_AUDIT ? "audit" : "enforce";
	if (c->state_only)
		return;
	view->policy = eg_policy_format(c->policy, false);
	if (!view->policy)
		c->failed = true;
	for (size_t i = 0; i < c->policy->n_tunnels; i++)
		eg_add_string(c, &view->tunnels, "%s", c->policy->tunnels[i]);
	add_endpoints(c, c->policy->endpoints, c->policy->n_endpoints);
	add_endpoints(c, c->policy->derived.endpoints, c->policy->derived.n_endpoints);
	add_names(c);
	if (c->policy->endpoint_shape == EG_SHAPE_ANY)
		eg_add_note(c, "any UDP packet to an endpoint may leave, WireGuard's or not "
			       "(--endpoint-shape any): weaker");
}

/* Whether what is pinned is what was made, and the tables that decide still say what the policy
 * says. */
static void collect_tables(struct eg_collection *c)
{
	EG_AUTO_IMAGE struct eg_image *image = NULL;
	const char *what = NULL;
	int same = eg_guard_is_genuine(c->guard, &what);

	if (same < 0)
		eg_add_problem(c, "whether its programs are as they were made is not known: %s",
			       strerror(-same));
	else if (!same)
		eg_add_problem(c, "something else is pinned as its `%s`: attach again", what);

	if (!c->policy || eg_image_compile(c->policy, &image, NULL) < 0)
		return;
	same = eg_guard_check(c->guard, image, &what);
	if (same < 0)
		eg_add_problem(c, "whether its tables are as they were made is not known: %s",
			       strerror(-same));
	else if (!same)
		eg_add_problem(
			c,
			"its table of %s is not what the policy in force makes of it: something "
			"else has written to it: attach again",
			what);
}

static void collect_recent_one(struct eg_collection *c, const struct eg_recent *from,
			       struct eg_recent_view *to, __s64 offset)
{
	const struct eg_owner *owner = eg_owners_get(c->owners, from->key.cgroup_id, OWNER_WAIT_MS);

	*to = (struct eg_recent_view){
		.family = from->key.family,
		.dst = from->key.dst,
		.dport = EG_FROM_BE16(from->key.dport_be),
		.proto = from->key.proto,
		.reason = from->key.reason,
		.layer = from->key.layer,
		.would = from->key.would,
		.packets = from->value.packets,
		.bytes = from->value.bytes,
		.first_realtime_ns = from->value.first_ns + (__u64)offset,
		.last_realtime_ns = from->value.last_ns + (__u64)offset,
		.pid = from->value.pid,
	};
	if (from->value.pid) {
		to->comm = strndup(from->value.comm, EG_COMM_LEN);
		c->failed = c->failed || !to->comm;
	}
	if (owner && owner->cgroup)
		to->cgroup = eg_keep(c, owner->cgroup);
	if (owner && owner->container)
		to->container = eg_keep(c, owner->container);
	else if (owner && owner->container_id[0])
		to->container = eg_keep(c, owner->container_id);
}

static void collect_recent(struct eg_collection *c)
{
	EG_AUTO_FREE struct eg_recent *recent = NULL;
	__s64 offset = eg_realtime_offset();
	size_t n = 0;

	if (eg_guard_recent(c->guard, &recent, &n) < 0) {
		eg_add_note(c, "what was blocked lately can't be read");
		return;
	}
	c->view->recent = calloc(n + 1, sizeof(*c->view->recent));
	if (!c->view->recent) {
		c->failed = true;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		/* Numbers that index names: another version's map must not lead out of them. */
		if (recent[i].key.reason >= EG_REASON_COUNT ||
		    recent[i].key.layer >= EG_LAYER_COUNT)
			continue;
		collect_recent_one(c, &recent[i], &c->view->recent[c->view->n_recent++], offset);
	}
}

static void collect_meta(struct eg_collection *c)
{
	const struct eg_meta *meta = c->meta;
	struct eg_guard_view *view = c->view;

	view->target = strndup(meta->target, EG_TARGET_MAX);
	c->failed = c->failed || !view->target;
	view->since_realtime_ns = meta->guarded_since_realtime_ns;
	view->target_started_realtime_ns = meta->target_started_realtime_ns;
	if (meta->flags & EG_META_NO_CHECKSUM_TEST)
		eg_add_note(c,
			    "not covered: a pending checksum that rewrites the packet later, and "
			    "packets chained behind another one (malformed); this kernel has "
			    "no BTF to look at them");
	if (meta->flags & EG_META_FILE_SPOILT)
		eg_add_note(c, "its policy file did not parse when the daemon last read it: what "
			       "is in force is what the file said before; put it right, and have "
			       "the daemon read it again (SIGHUP)");
	if (meta->flags & EG_META_HOST)
		eg_add_note(c, "guards the initial namespace: this machine itself");
	if (meta->try_until_realtime_ns) {
		time_t until = (time_t)(meta->try_until_realtime_ns / NS_PER_S);
		struct tm tm;
		char at[32];

		localtime_r(&until, &tm);
		strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S", &tm);
		eg_add_note(c, "on trial: taken away at %s unless attached again without --try",
			    at);
	}
}

/* --- one guard ----------------------------------------------------------------------------------
 */

/* Locks for this moment only, and not at all where another command is at work. */
static void reclaim_viewers(struct eg_collection *c)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};

	if (eg_pins_open(c->pin_dir, false, &pins, NULL) == 0 && eg_pins_lock(&pins, 0, NULL) == 0)
		eg_viewers_reclaim(c->guard);
}

/* From when the target was started, until it was guarded or until now. */
static void measure_gap(struct eg_guard_view *view)
{
	__u64 since = view->since_realtime_ns, started = view->target_started_realtime_ns;

	if (!since)
		since = eg_realtime_ns();
	if (started && since > started)
		view->unguarded_ns = since - started;
}

static void conclude(struct eg_collection *c)
{
	struct eg_guard_view *view = c->view;

	if (eg_is_on_cgroup(c) && eg_guard_is_dead(c->guard)) {
		view->state = EG_STATE_GONE;
		view->reason = eg_keep(c, "the cgroup was removed");
	} else if (c->moved) {
		view->state = EG_STATE_UNGUARDED;
		view->reason = eg_keep(c, "the target has another namespace now, without a guard: "
					  "attach again (with --replace if processes live on in "
					  "the old one)");
	} else if (!eg_is_on_cgroup(c) && !c->found && !c->lost && !eg_guard_is_dead(c->guard)) {
		view->state = EG_STATE_DEGRADED;
		view->reason =
			eg_keep(c, "it is in force, but its namespace is not to be found: neither "
				   "a process nor a file holds it, maybe an open descriptor");
	} else if (!eg_is_on_cgroup(c) && !c->found && !c->lost) {
		view->state = EG_STATE_GONE;
		view->reason = eg_keep(c, "nothing holds its namespace any more");
	} else if (c->problems.len || c->problems.failed) {
		view->state = EG_STATE_DEGRADED;
		view->reason = eg_take_text(c, &c->problems);
	} else if (c->policy && c->policy->mode == EG_MODE_AUDIT) {
		view->state = EG_STATE_AUDIT;
		view->reason = eg_keep(c, "what would be dropped passes");
	} else {
		view->state = EG_STATE_ENFORCING;
	}
	/* What stands on a namespace that the target has no longer is nothing to its users. */
	if (view->state == EG_STATE_UNGUARDED) {
		free(view->holds_against);
		view->holds_against = NULL;
		eg_add_note(c, "layers, tunnel and counters are of the namespace that it had");
	}
}

static void collect_counters(struct eg_collection *c)
{
	struct eg_guard_view *view = c->view;
	const enum eg_reason fragment = EG_REASON_FRAGMENT;
	struct eg_totals totals;

	if (eg_guard_counters(c->guard, view->counters) < 0) {
		eg_add_problem(c, "the counters can't be read");
		return;
	}
	view->have_counters = true;
	eg_totals(view->counters, &totals);
	if (totals.dropped[fragment].packets || totals.would_drop[fragment].packets)
		eg_add_note(
			c,
			"UDP to an endpoint came in fragments, and all but the first of each are "
			"refused (fragment); if it was the tunnel's: %s",
			eg_reason_hint(fragment, EG_FAMILY_NONE, &(union eg_addr){}));
}

static void collect_answers(struct eg_collection *c)
{
	struct eg_guard_view *view = c->view;

	if (!c->policy || c->policy->on_block != EG_ON_BLOCK_REJECT ||
	    eg_guard_answers(c->guard, &view->answers_sent, &view->answers_withheld) < 0)
		return;
	view->answers = true;
	eg_add_note(c, "what `device` drops is answered: %llu answers, %llu withheld by the limit",
		    (unsigned long long)view->answers_sent,
		    (unsigned long long)view->answers_withheld);
}

static void collect_open_guard(struct eg_collection *c)
{
	c->meta = eg_guard_meta(c->guard);
	collect_meta(c);
	collect_policy(c);
	collect_tables(c);
	if (eg_is_on_cgroup(c))
		eg_find_home(c);
	else
		eg_find_target(c);
	eg_take_survey(c);
	if (eg_is_on_cgroup(c))
		eg_look_at_tuns(c);
	eg_collect_tunnels(c);
	/* Before something inside is asked once more, which could move interfaces meanwhile. */
	eg_collect_layers(c);
	eg_collect_mismatch(c);
	eg_collect_dns(c);
	if (!c->state_only) {
		collect_counters(c);
		collect_answers(c);
	}
	if (c->owners)
		collect_recent(c);
	/* Who follows a guard does that now and then. */
	if (!c->known)
		reclaim_viewers(c);
	conclude(c);
	measure_gap(c->view);
}

/* With what the caller has put into the collection. */
static int collect_guard(struct eg_collection *c, const char *name)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	struct eg_guard_view *view = c->view;
	struct eg_error why = {};
	int result;

	view->name = eg_keep(c, name);
	view->state = EG_STATE_DEGRADED;
	result = eg_guard_open(c->pins, name, &guard, &why);
	c->guard = guard;
	if (result == -ENOENT)
		return -ENOENT; /* detached since it was listed */
	if (result == -EPROTO)
		eg_add_string(c, &view->notes, "`egressguard attach` replaces it, new beside old");
	if (result < 0)
		view->reason = eg_keep(c, why.message[0] ? why.message : strerror(-result));
	else
		collect_open_guard(c);

	eg_policy_free(c->policy);
	eg_survey_free(&c->survey);
	eg_netns_close(&c->netns);
	eg_text_free(&c->problems);
	return c->failed ? -ENOMEM : 0;
}

int eg_collect_state(const char *pin_dir, const char *name, const struct eg_netns *netns,
		     const struct eg_hold *hold, struct eg_status_view *ret_status)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	EG_AUTO_HOLDS struct eg_holds *holds = NULL;
	struct eg_collection c = {
		.pins = &pins,
		.pin_dir = pin_dir,
		.known = netns,
		.state_only = true,
		.netns = EG_NETNS_NONE,
	};
	int result = eg_pins_open(pin_dir, false, &pins, NULL);

	if (result == 0 && hold)
		result = eg_holds_by(hold, &holds);
	if (result < 0)
		return result;
	c.holds = &holds;
	c.view = ret_status->guards = calloc(1, sizeof(*ret_status->guards));
	if (!c.view)
		return -ENOMEM;
	ret_status->n_guards = 1;
	return collect_guard(&c, name);
}

void eg_collect_warn_absent(const char *command, const struct eg_pins *pins, const char *name)
{
	EG_AUTO(eg_status_view_free) struct eg_status_view status = {};
	const struct eg_guard_view *guard;
	char safe[4 * EG_NAME_MAX + 1];

	if (eg_collect_state(pins->path, name, NULL, NULL, &status) < 0)
		return;
	guard = &status.guards[0];
	if (guard->state != EG_STATE_UNGUARDED && guard->state != EG_STATE_GONE)
		return;
	eg_log_warning(command, "'%s' is %s: %s", eg_escape(safe, sizeof(safe), name, strlen(name)),
		       eg_guard_state_names[guard->state], guard->reason ? guard->reason : "");
}

/* --- all of them --------------------------------------------------------------------------------
 */

static int collect_all(struct eg_pins *pins, const struct eg_common *common, char **names,
		       struct eg_status_view *status)
{
	EG_AUTO_OWNERS struct eg_owners *owners = NULL;
	EG_AUTO_HOLDS struct eg_holds *holds = NULL;
	size_t n = 0;
	int result = eg_owners_new(&owners);

	while (names[n])
		n++;
	/* What all guards ask of the machine is read once, where there are several. */
	if (n > 1)
		eg_netns_remember_processes(0);
	status->guards = calloc(n + 1, sizeof(*status->guards));
	if (!status->guards)
		return -ENOMEM;
	for (size_t i = 0; result == 0 && i < n; i++) {
		struct eg_collection c = {
			.pins = pins,
			.pin_dir = common->pin_dir,
			.of_self = common->netns && strcmp(common->netns, EG_TARGET_OF_SELF) == 0,
			.owners = owners,
			.holds = &holds,
			.view = &status->guards[status->n_guards++],
			.netns = EG_NETNS_NONE,
		};

		result = collect_guard(&c, names[i]);
		if (result == -ENOENT) {
			status->n_guards--;
			free(status->guards[status->n_guards].name);
			status->guards[status->n_guards] = (struct eg_guard_view){};
			result = 0;
		}
	}
	eg_netns_forget_processes();
	return result;
}

static bool has_guard(const struct eg_status_view *status, const char *name)
{
	for (size_t i = 0; i < status->n_guards; i++) {
		if (strcmp(status->guards[i].name, name) == 0)
			return true;
	}
	return false;
}

static int add_half_made(struct eg_status_view *status, const char *name)
{
	struct eg_guard_view *guards =
		reallocarray(status->guards, status->n_guards + 1, sizeof(*guards));
	struct eg_guard_view *view;

	if (!guards)
		return -ENOMEM;
	status->guards = guards;
	view = &guards[status->n_guards++];
	*view = (struct eg_guard_view){.state = EG_STATE_DEGRADED};
	view->name = strdup(name);
	view->reason =
		strdup("a command that was killed left it half-made, and it may be in force: "
		       "attach again, or detach it");
	return view->name && view->reason ? 0 : -ENOMEM;
}

/* What no guard has the name of, but may keep packets in all the same. */
static int collect_half_made(struct eg_pins *pins, struct eg_status_view *status)
{
	char **names = NULL;
	int result = eg_pins_list(pins, true, &names);

	for (char **name = names; result == 0 && name && *name; name++) {
		if (!has_guard(status, *name))
			result = add_half_made(status, *name);
	}
	eg_names_free(names);
	return result;
}

int eg_collect_status(const struct eg_common *common, struct eg_status_view *ret_status,
		      struct eg_error *error)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	EG_AUTO(eg_status_view_free)
	struct eg_status_view status = {
		.version = EG_VERSION,
		.pin_dir = common->pin_dir ? common->pin_dir : EG_PIN_ROOT,
	};
	char **names = NULL;
	int result = eg_pins_open(common->pin_dir, false, &pins, error);

	if (result == -ENOENT && !common->guard && !common->netns)
		result = 0;
	else if (result == 0)
		result = eg_select_guards(&pins, common, &names, error);
	if (result < 0)
		return result;
	if (names)
		result = collect_all(&pins, common, names, &status);
	if (result == 0 && names && !common->guard && !common->netns)
		result = collect_half_made(&pins, &status);
	eg_names_free(names);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "%s", strerror(-result));
	*ret_status = status;
	status = (struct eg_status_view){};
	return 0;
}
