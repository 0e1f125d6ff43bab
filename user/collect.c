// SPDX-License-Identifier: GPL-2.0
#include "collect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "derive.h"
#include "eg_packet.h"
#include "home.h"
#include "kern/features.h"
#include "kern/guard.h"
#include "kern/hold.h"
#include "net/hidden.h"
#include "net/survey.h"
#include "net/target.h"
#include "owners.h"
#include "policy/address.h"
#include "policy/explain.h"
#include "resolver.h"
#include "select.h"
#include "util/cleanup.h"
#include "util/file.h"

#define NS_PER_S      1000000000LL
#define OWNER_WAIT_MS 2000

/* A guard while it is collected. Texts hold strangers' names as they came: renderers escape. */
struct collection {
	struct eg_pins *pins;
	const char *pin_dir;
	struct eg_owners *owners;
	const struct eg_holds *holds; /* NULL: could not be asked */
	struct eg_guard_view *view;
	struct eg_guard *guard;
	const struct eg_meta *meta;
	struct eg_policy *policy; /* NULL: could not be read */
	struct eg_netns netns;
	int lost;    /* why it could not be looked for, 0: it could */
	bool found;  /* the namespace is still there */
	bool moved;  /* the target's name means another namespace now */
	bool listed; /* `survey` is filled in */
	struct eg_survey survey;
	struct eg_text problems; /* why it is degraded */
	bool failed;             /* memory is out */
	bool device_is_tcx;
};

__s64 eg_realtime_offset(void)
{
	struct timespec monotonic, realtime;

	clock_gettime(CLOCK_MONOTONIC, &monotonic);
	clock_gettime(CLOCK_REALTIME, &realtime);
	return (realtime.tv_sec - monotonic.tv_sec) * NS_PER_S +
	       (realtime.tv_nsec - monotonic.tv_nsec);
}

/* --- strings --------------------------------------------------------------------------------- */

static char *keep(struct collection *c, const char *string)
{
	char *copy = strdup(string);

	if (!copy)
		c->failed = true;
	return copy;
}

static __attribute__((format(printf, 3, 4))) void add_string(struct collection *c, char ***list,
							     const char *format, ...)
{
	size_t n = 0;
	char **larger;
	char *string;
	va_list args;
	int len;

	while (*list && (*list)[n])
		n++;
	larger = reallocarray(*list, n + 2, sizeof(**list));
	if (!larger) {
		c->failed = true;
		return;
	}
	*list = larger;
	larger[n] = NULL;
	va_start(args, format);
	len = vasprintf(&string, format, args);
	va_end(args);
	if (len < 0) {
		c->failed = true;
		return;
	}
	larger[n] = string;
	larger[n + 1] = NULL;
}

#define add_note(c, ...)    add_string(c, &(c)->view->notes, __VA_ARGS__)
#define add_problem(c, ...) add_part(&(c)->problems, "; ", __VA_ARGS__)

static __attribute__((format(printf, 3, 4))) void add_part(struct eg_text *text, const char *before,
							   const char *format, ...)
{
	char part[256];
	va_list args;

	va_start(args, format);
	vsnprintf(part, sizeof(part), format, args);
	va_end(args);
	eg_text_printf(text, "%s%s", text->len ? before : "", part);
}

static char *take_text(struct collection *c, struct eg_text *text)
{
	char *string;

	if (!text->len && !text->failed) {
		eg_text_free(text);
		return NULL;
	}
	string = eg_text_take(text);
	if (!string)
		c->failed = true;
	return string;
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

static void add_endpoints(struct collection *c, const struct eg_endpoint *endpoints, size_t n)
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
			add_string(c, &c->view->endpoints, "%s", text);
	}
}

static void collect_policy(struct collection *c)
{
	struct eg_guard_view *view = c->view;
	struct eg_error why = {};

	eg_collect_policy(c->guard, &c->policy, &why);
	if (!c->policy) {
		add_problem(c, "%s", why.message);
		return;
	}
	view->mode = c->policy->mode == EG_MODE_AUDIT ? "audit" : "enforce";
	view->policy = eg_policy_format(c->policy, false);
	if (!view->policy)
		c->failed = true;
	for (size_t i = 0; i < c->policy->n_tunnels; i++)
		add_string(c, &view->tunnels, "%s", c->policy->tunnels[i]);
	add_endpoints(c, c->policy->endpoints, c->policy->n_endpoints);
	add_endpoints(c, c->policy->derived.endpoints, c->policy->derived.n_endpoints);
	if (c->policy->endpoint_shape == EG_SHAPE_ANY)
		add_note(c, "any UDP packet to an endpoint may leave, WireGuard's or not "
			    "(--endpoint-shape any): weaker");
}

/* Whether what is pinned is what was made, and the tables that decide still say what the policy
 * says. */
static void collect_tables(struct collection *c)
{
	EG_AUTO_IMAGE struct eg_image *image = NULL;
	const char *what = NULL;
	int same = eg_guard_is_genuine(c->guard, &what);

	if (same < 0)
		add_problem(c, "whether its programs are as they were made is not known: %s",
			    strerror(-same));
	else if (!same)
		add_problem(c, "something else is pinned as its `%s`: attach again", what);

	if (!c->policy || eg_image_compile(c->policy, &image, NULL) < 0)
		return;
	same = eg_guard_check(c->guard, image, &what);
	if (same < 0)
		add_problem(c, "whether its tables are as they were made is not known: %s",
			    strerror(-same));
	else if (!same)
		add_problem(
			c,
			"its table of %s is not what the policy in force makes of it: something "
			"else has written to it: attach again",
			what);
}

static void collect_recent_one(struct collection *c, const struct eg_recent *from,
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
		to->cgroup = keep(c, owner->cgroup);
	if (owner && owner->container)
		to->container = keep(c, owner->container);
	else if (owner && owner->container_id[0])
		to->container = keep(c, owner->container_id);
}

static void collect_recent(struct collection *c)
{
	EG_AUTO_FREE struct eg_recent *recent = NULL;
	__s64 offset = eg_realtime_offset();
	size_t n = 0;

	if (eg_guard_recent(c->guard, &recent, &n) < 0) {
		add_note(c, "what was blocked lately can't be read");
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

static void collect_meta(struct collection *c)
{
	const struct eg_meta *meta = c->meta;
	struct eg_guard_view *view = c->view;

	view->target = strndup(meta->target, EG_TARGET_MAX);
	c->failed = c->failed || !view->target;
	view->since_realtime_ns = meta->guarded_since_realtime_ns;
	view->target_started_realtime_ns = meta->target_started_realtime_ns;
	if (meta->flags & EG_META_NO_CHECKSUM_TEST)
		add_note(c, "not covered: a pending checksum that rewrites the packet later "
			    "(malformed); this kernel has no BTF to look at it");
	if (meta->flags & EG_META_HOST)
		add_note(c, "guards the initial namespace: this machine itself");
	if (meta->try_until_realtime_ns) {
		time_t until = (time_t)(meta->try_until_realtime_ns / NS_PER_S);
		struct tm tm;
		char at[32];

		localtime_r(&until, &tm);
		strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S", &tm);
		add_note(c, "on trial: taken away at %s unless attached again without --try", at);
	}
}

/* --- the namespace ------------------------------------------------------------------------------
 */

static struct eg_netns guarded_netns(const struct eg_meta *meta)
{
	return (struct eg_netns){.fd = -1,
				 .dev = (dev_t)meta->netns_dev,
				 .inode = (ino_t)meta->netns_inode,
				 .cookie = meta->netns_cookie};
}

/* Whether a target's text names something that may come back as another namespace. A process does
 * not: its number would be another process; nor does a namespace by its own number. */
static bool may_move(const char *text)
{
	return strncmp(text, "pid:", 4) != 0 && strncmp(text, "/proc/", 6) != 0 &&
	       strncmp(text, "net:[", 5) != 0;
}

/*
 * Where a kernel (before 5.14) gives a namespace no cookie, the next one may have the inode of one
 * that is gone. Nothing of the guard is in force in there then; nor is it where root inside has
 * taken everything off, which comes to the same.
 */
static bool is_another_of_that_number(struct collection *c)
{
	return !c->meta->netns_cookie && c->found && eg_guard_is_dead(c->guard);
}

static void find_target(struct collection *c)
{
	EG_AUTO_TARGET struct eg_target target = {.netns = EG_NETNS_NONE};
	struct eg_netns guarded = guarded_netns(c->meta);
	char text[EG_TARGET_MAX + 1] = {};
	struct eg_error why = {};
	int result;

	memcpy(text, c->meta->target, EG_TARGET_MAX);
	result = eg_netns_find(guarded.dev, guarded.inode, guarded.cookie, &c->netns);
	c->found = result == 0;
	c->lost = result == -ENOENT ? 0 : result;
	if (c->lost)
		add_problem(c, "cannot look for its namespace: %s", strerror(-result));
	if (!text[0] || !may_move(text))
		return;
	if (eg_target_resolve(text, &target, &why) < 0) {
		if (why.exit == EG_EXIT_FAILED)
			add_problem(c, "whether the target is still the same is not known: %s",
				    why.message);
		return;
	}
	c->moved = target.kind != EG_TARGET_PID &&
		   (!eg_netns_same(&target.netns, &guarded) || is_another_of_that_number(c));
}

static bool on_cgroup(const struct collection *c)
{
	return c->meta->flags & EG_META_CGROUP;
}

/* What is known of a cgroup's namespaces is its tunnel's. */
static void find_home(struct collection *c)
{
	struct eg_home home = {};
	int result = eg_guard_home(c->guard, &home);

	if (result == 0)
		result = eg_home_open(&home, &c->netns);
	c->found = result == 0;
	if (c->meta->flags & EG_META_NO_CHECKSUM_TEST)
		add_note(c, "no tunnel is free: this kernel has no BTF by which to know one, and "
			    "all is judged as if it left in the clear");
	else if (result == -ENOENT)
		add_note(c,
			 "no tunnel is free: its network namespace %s; attach again when a "
			 "process of the cgroup is in it",
			 home.netns_inode ? "is gone" : "is not known");
	else if (result < 0)
		add_problem(c, "cannot look for its tunnel's namespace: %s", strerror(-result));
}

/* A tun counts by its index, which whoever attached has asked about. */
static void look_at_tuns(struct collection *c)
{
	struct eg_home home = {};

	if (!c->listed || eg_guard_home(c->guard, &home) < 0)
		return;
	for (size_t i = 0; i < c->survey.n_tunnels; i++) {
		const struct eg_tunnel *tunnel = &c->survey.tunnels[i];
		bool known = tunnel->kind != EG_TUNNEL_USERSPACE;

		for (size_t j = 0; j < EG_TUNNELS_MAX; j++)
			known = known || home.tuns[j] == tunnel->link.ifindex;
		if (!known)
			add_note(c,
				 "the userspace tunnel %s was made since the guard was attached, "
				 "and is not free: attach again",
				 tunnel->link.name);
	}
}

static void take_survey(struct collection *c)
{
	struct eg_error why = {};

	if (!c->found || !c->policy)
		return;
	if (eg_survey_take(&c->netns, c->policy, &c->survey, &why) < 0)
		add_problem(c, "%s", why.message);
	else
		c->listed = true;
}

static const char *tunnel_kind_name(enum eg_tunnel_kind kind)
{
	switch (kind) {
	case EG_TUNNEL_NOT:
		return "no tunnel";
	case EG_TUNNEL_KERNEL:
		return "WireGuard";
	case EG_TUNNEL_USERSPACE:
		return "userspace WireGuard";
	case EG_TUNNEL_TUN:
		return "tun, no WireGuard answers";
	}
	return "no tunnel";
}

static void collect_tunnel(struct collection *c, const char *name, struct eg_text *text)
{
	for (size_t i = 0; i < c->survey.n_tunnels; i++) {
		const struct eg_tunnel *tunnel = &c->survey.tunnels[i];

		if (strcmp(tunnel->link.name, name) == 0) {
			add_part(text, ", ", "%s (%s, %s)", name, tunnel_kind_name(tunnel->kind),
				 tunnel->link.flags & IFF_UP ? "up" : "down");
			return;
		}
	}
	for (size_t i = 0; i < c->survey.n_underlays; i++) {
		const struct eg_link *link = &c->survey.underlays[i].link;

		if (strcmp(link->name, name) == 0) {
			add_part(text, ", ", "%s (%s, not a tunnel: guarded as an underlay)", name,
				 link->kind[0] ? link->kind : "no WireGuard");
			add_problem(c, "%s is declared as the tunnel, but is none", name);
			return;
		}
	}
	add_part(text, ", ", "%s absent", name);
}

static void collect_tunnels(struct collection *c)
{
	EG_AUTO_TEXT struct eg_text text = {};

	for (size_t i = 0; c->listed && i < c->policy->n_tunnels; i++)
		collect_tunnel(c, c->policy->tunnels[i], &text);
	c->view->tunnel_state = take_text(c, &text);
}

/* Why a tunnel that is up may carry nothing: nobody looks for a server that has moved. */
static void collect_mismatch(struct collection *c)
{
	EG_AUTO_TEXT struct eg_text lines = {};
	char *next;

	for (size_t i = 0; c->listed && i < c->survey.n_tunnels; i++)
		eg_derive_mismatch(&c->netns, &c->survey.tunnels[i], c->policy, &lines);
	c->failed = c->failed || lines.failed;
	for (char *line = lines.data; line && *line; line = next) {
		next = strchrnul(line, '\n');
		if (*next)
			*next++ = '\0';
		add_note(c, "%s", line);
	}
}

/* --- layers -------------------------------------------------------------------------------------
 */

/* One layer's interfaces while they are counted. */
struct coverage {
	enum eg_layer layer;
	size_t wanted, covered;
	bool tcx, clsact;
	char **interfaces;
	struct eg_text detail;
};

static void count_cover(struct collection *c, struct coverage *coverage, const char *name,
			enum eg_cover_state state, bool tcx)
{
	const char *layer = eg_layer_names[coverage->layer];

	coverage->wanted++;
	switch (state) {
	case EG_COVER_NONE:
		add_problem(c, "%s has no `%s` layer: attach again", name, layer);
		add_part(&coverage->detail, "; ", "not on %s", name);
		return;
	case EG_COVER_BEHIND:
		add_problem(c, "another program runs before `%s` on %s", layer, name);
		add_part(&coverage->detail, "; ", "behind another program on %s", name);
		break;
	case EG_COVER_UNPINNED:
		add_problem(c,
			    "`%s` on %s has lost its pin, so nothing keeps it in force: attach "
			    "again",
			    layer, name);
		add_part(&coverage->detail, "; ", "not pinned on %s", name);
		break;
	case EG_COVER_ATTACHED:
		coverage->covered++;
		break;
	}
	coverage->tcx = coverage->tcx || tcx;
	coverage->clsact = coverage->clsact || !tcx;
	add_string(c, &coverage->interfaces, "%s", name);
}

static void add_layer(struct collection *c, enum eg_layer layer, const char *state,
		      char **interfaces, char *detail)
{
	c->view->layers[c->view->n_layers++] = (struct eg_layer_view){
		.name = eg_layer_names[layer],
		.state = state,
		.interfaces = interfaces,
		.detail = detail,
	};
}

/* `blind`: what the layer does not see on this kernel. */
static void add_coverage(struct collection *c, struct coverage *coverage, const char *blind)
{
	const char *state = "attached";

	if (coverage->wanted && coverage->covered < coverage->wanted)
		state = coverage->interfaces ? "partial" : "missing";
	if (coverage->tcx)
		add_part(&coverage->detail, "; ", "tcx");
	if (coverage->clsact)
		add_part(&coverage->detail, "; ", "clsact");
	if (coverage->interfaces)
		add_part(&coverage->detail, "; ", "%s", blind);
	add_layer(c, coverage->layer, state, EG_TAKE(coverage->interfaces),
		  take_text(c, &coverage->detail));
}

static void collect_device(struct collection *c)
{
	struct coverage coverage = {.layer = EG_LAYER_DEVICE};
	size_t ways_out = 0;

	for (size_t i = 0; i < c->survey.n_underlays; i++) {
		const struct eg_link *link = &c->survey.underlays[i].link;
		bool tcx = false;
		enum eg_cover_state state = eg_guard_device_state(c->guard, &c->netns, link, &tcx);

		count_cover(c, &coverage, link->name, state, tcx);
		ways_out += !c->survey.underlays[i].by_others;
	}
	if (!ways_out) {
		add_part(&coverage.detail, "; ", "there is no underlay");
		add_problem(c, "it has no interface that leads out but tunnels, so nothing is "
			       "covered: when one appears, attach again");
	}
	c->device_is_tcx = coverage.tcx && !coverage.clsact;
	add_coverage(
		c, &coverage,
		c->device_is_tcx
			? "does not see PACKET_QDISC_BYPASS, AF_XDP, nor what is rewritten later"
			: "does not see PACKET_QDISC_BYPASS, AF_XDP, nor what is rewritten later; "
			  "NET_ADMIN inside can take it away");
}

/* One that was moved there after attach has its layer still. */
static int add_hidden(const struct eg_hidden *hidden, void *argument)
{
	struct collection *c = argument;
	bool tcx;

	if (hidden->peer &&
	    eg_guard_peer_state(c->guard, hidden->link, hidden->peer, &tcx) == EG_COVER_ATTACHED)
		return 0;
	add_note(c,
		 "root inside has another network namespace (net:[%llu]), which this guard "
		 "does not cover, and where %s leads out: move it back, and attach again",
		 (unsigned long long)hidden->netns->inode, hidden->link->name);
	c->view->hidden = true;
	return 0;
}

static void collect_hidden(struct collection *c)
{
	int result = eg_hidden_visit(&c->netns, add_hidden, c);

	if (result < 0) {
		add_note(c,
			 "whether root inside has interfaces in other namespaces is not known: %s",
			 result == -E2BIG ? "its processes hold too much to look through"
					  : strerror(-result));
		c->view->hidden = true;
	}
}

/* What only privileges over the host's own namespaces make possible: an interface on top of one of
 * theirs, a receiving path that begins with XDP and skips tc. */
static bool is_root_a_stranger(struct collection *c)
{
	if (eg_netns_is_ours(&c->netns) == 0)
		return true;
	add_string(c, &c->view->notes,
		   "root inside is root in the host's user namespace, and with NET_ADMIN can get "
		   "past the guard: give the containers no NET_ADMIN, or remap their users");
	return false;
}

/*
 * What gets past `device` needs no more than NET_RAW, which engines give by default: AF_XDP, and a
 * packet socket that asks for PACKET_QDISC_BYPASS. Only `peer` sees what they send.
 */
static const char *holds_against(struct collection *c, const struct coverage *peer, size_t without)
{
	if (without || peer->covered < peer->wanted)
		return "processes without NET_ADMIN and NET_RAW";
	if (!c->device_is_tcx || c->meta->flags & EG_META_NO_CHECKSUM_TEST ||
	    (peer->wanted && !is_root_a_stranger(c)) || c->view->hidden)
		return "processes without NET_ADMIN";
	/* Not all that was moved to another namespace before attach is found. */
	return peer->wanted ? "root with NET_ADMIN inside, on the listed interfaces" : NULL;
}

static void collect_peer(struct collection *c)
{
	struct coverage coverage = {.layer = EG_LAYER_PEER};
	const char *against;
	size_t without = 0;

	for (size_t i = 0; i < c->survey.n_underlays; i++) {
		const struct eg_underlay *underlay = &c->survey.underlays[i];
		bool tcx = false;
		enum eg_cover_state state;

		/* What it sends comes by an underlay that has one. */
		if (underlay->by_others)
			continue;
		if (!underlay->has_peer) {
			without++;
			add_part(&coverage.detail, "; ", "%s has no peer in reach",
				 underlay->link.name);
			if (!(c->meta->flags & EG_META_ACCEPT_DEVICE_ONLY))
				add_problem(c, "%s has no peer in reach, `device` stands alone",
					    underlay->link.name);
			continue;
		}
		state = eg_guard_peer_state(c->guard, &underlay->link, &underlay->peer, &tcx);
		count_cover(c, &coverage, underlay->link.name, state, tcx);
	}
	/* Root inside can have an ifb send packets on that tc ingress never sees. `device` refuses
	 * those if it can tell them (which takes BTF), and if it cannot be taken away (tcx). */
	if (coverage.wanted && (!c->device_is_tcx || c->meta->flags & EG_META_NO_CHECKSUM_TEST))
		add_string(c, &c->view->notes,
			   "root inside can get past both layers here: that `peer` holds takes a "
			   "kernel with tcx (6.6) and BTF");
	against = holds_against(c, &coverage, without);
	if (against)
		c->view->holds_against = keep(c, against);
	if (!coverage.wanted && without)
		add_layer(c, EG_LAYER_PEER, "not available", NULL, take_text(c, &coverage.detail));
	else
		add_coverage(
			c, &coverage,
			"sees what comes out there, and nothing that leaves by another interface");
}

static enum eg_sockets_state sockets_state(struct collection *c, const char **ret_missing)
{
	return on_cgroup(c) ? eg_guard_cgroup_sockets_state(c->guard, ret_missing)
			    : eg_guard_sockets_state(c->guard, ret_missing);
}

/* It holds nothing back that `device` and `peer` would not; but a guard that was made with it and
 * has it no more has been tampered with. */
static void collect_socket(struct collection *c)
{
	const char *missing, *obstacle;

	switch (sockets_state(c, &missing)) {
	case EG_SOCKETS_NONE:
		obstacle = eg_sockets_obstacle();
		add_layer(c, EG_LAYER_SOCKET, "not available", NULL,
			  keep(c, obstacle ? obstacle
					   : "this machine could not have it when the guard was "
					     "attached: attach again to try"));
		return;
	case EG_SOCKETS_MISSING:
		add_problem(c, "the layer `socket` is not whole (%s): attach again", missing);
		add_layer(c, EG_LAYER_SOCKET, "missing", NULL, keep(c, missing));
		return;
	case EG_SOCKETS_ATTACHED:
		add_layer(c, EG_LAYER_SOCKET, "attached", NULL,
			  keep(c, eg_guard_has_setsockopt(c->guard)
					  ? "sock_create, connect4, connect6, setsockopt; no name "
					    "for packet sockets, and for older sockets until they "
					    "connect"
					  : "sock_create, connect4, connect6; no name for packet "
					    "sockets, and for older sockets until they connect; "
					    "does not refuse PACKET_QDISC_BYPASS"));
		return;
	}
}

/* Nobody holds it: because nobody was asked to, or because whoever was has died. */
static const char *why_not_held(struct collection *c)
{
	if (c->meta->hold_prog_id) {
		add_problem(c, "the process that held `netns` was killed: an interface that "
			       "appears is not covered until it runs again");
		return "missing";
	}
	return "not held";
}

static void collect_netns(struct collection *c)
{
	EG_AUTO_TEXT struct eg_text detail = {};
	const char *state = "attached";
	struct eg_held held = {};

	if (!c->holds || eg_holds_of(c->holds, c->guard, &held) < 0) {
		add_layer(c, EG_LAYER_NETNS, "not known", NULL,
			  keep(c, "the kernel's links can't be listed"));
		return;
	}
	if (!c->listed) {
		state = "missing";
		eg_text_printf(&detail, "%s",
			       c->found || c->lost ? "not known" : "the namespace is gone");
	} else if (held.ipv4 && held.ipv6) {
		eg_text_printf(&detail,
			       "IP packets on interfaces without `device`; held by a process, "
			       "priority %d; does not see packet sockets and frames that are not "
			       "IP",
			       held.priority);
	} else if (held.ipv4 || held.ipv6) {
		state = "partial";
		eg_text_printf(&detail, "IPv%d only", held.ipv4 ? 4 : 6);
		add_problem(c, "`netns` judges IPv%d only: attach again with --foreground",
			    held.ipv4 ? 4 : 6);
	} else if (!c->meta->hold_prog_id &&
		   (c->meta->flags & EG_META_NO_CHECKSUM_TEST || !eg_features_has_netfilter())) {
		state = "not available";
		eg_text_printf(&detail, "it takes BPF netfilter links (Linux 6.4) and BTF: an "
					"interface that appears is not covered until it is found");
	} else {
		state = why_not_held(c);
		eg_text_printf(&detail, "an interface that appears is not covered until attach "
					"runs again; --foreground holds it");
	}
	add_layer(c, EG_LAYER_NETNS, state, NULL, take_text(c, &detail));
}

/* The kernel keeps what is attached to a removed cgroup as long as a socket of it lives, which a
 * guard that drops its last packets makes long. A cgroup made by that name since is another one. */
static void add_removed_cgroup(struct collection *c)
{
	int exists = eg_guard_cgroup_exists(c->guard);

	if (exists == 0)
		add_problem(c, "the cgroup was removed; sockets made in it are held still, but one "
			       "made by the same name since is not guarded: attach --replace");
	else if (exists < 0)
		add_problem(c, "whether its cgroup is still there is not known: %s",
			    strerror(-exists));
}

static void collect_cgroup(struct collection *c)
{
	bool on = eg_guard_is_on_cgroup(c->guard);

	if (!on)
		add_problem(c, "the layer `cgroup` is not on the cgroup: attach again");
	add_removed_cgroup(c);
	add_layer(c, EG_LAYER_CGROUP, on ? "attached" : "missing", NULL,
		  keep(c, "egress of the cgroup and all beneath it, in every network namespace"));
	add_note(c, "not seen: packet sockets, sockets made outside the cgroup, what the kernel "
		    "sends by itself (answers, kernel WireGuard's own packets)");
	c->view->holds_against = keep(c, "processes without NET_ADMIN and NET_RAW that cannot "
					 "leave the cgroup, by sockets made in it");
}

static void collect_layers(struct collection *c)
{
	c->view->layers = calloc(EG_LAYER_COUNT, sizeof(*c->view->layers));
	if (!c->view->layers) {
		c->failed = true;
		return;
	}
	if (on_cgroup(c)) {
		collect_cgroup(c);
		collect_socket(c);
		return;
	}
	if (c->listed) {
		collect_hidden(c);
		collect_device(c);
		collect_peer(c);
	} else {
		const char *why = c->found || c->lost ? "not known" : "the namespace is gone";

		add_layer(c, EG_LAYER_DEVICE, "missing", NULL, keep(c, why));
		add_layer(c, EG_LAYER_PEER, "missing", NULL, keep(c, why));
	}
	collect_netns(c);
	collect_socket(c);
	add_layer(c, EG_LAYER_CGROUP, "not available", NULL,
		  keep(c, "of guards on a cgroup: attach --cgroup"));
}

/* --- DNS ----------------------------------------------------------------------------------------
 */

/* The container that the guard was attached to, if it is one of Docker's. */
static bool docker_container_of(const struct eg_meta *meta, struct eg_container *ret_container)
{
	if (!meta->container_id[0] || strncmp(meta->target, "podman:", 7) == 0)
		return false;
	*ret_container = (struct eg_container){.runtime = EG_RUNTIME_DOCKER};
	snprintf(ret_container->id, sizeof(ret_container->id), "%.64s", meta->container_id);
	return true;
}

/* Whether what refuses Docker's resolver is on loopback, and first there. */
static bool is_resolver_refused(struct collection *c)
{
	EG_AUTO_FREE struct eg_link *links = NULL;
	size_t n = 0;

	if (eg_links_get(&c->netns, &links, &n) < 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (links[i].loopback)
			return eg_guard_lo_state(c->guard, &c->netns, &links[i]) ==
			       EG_COVER_ATTACHED;
	}
	return false;
}

static void collect_resolver(struct collection *c, struct eg_text *detail)
{
	struct eg_container container;
	struct eg_resolver resolver;

	eg_resolver_find(&c->netns, docker_container_of(c->meta, &container) ? &container : NULL,
			 &resolver);
	c->view->dns_resolver = eg_resolver_way_names[resolver.way];
	if (resolver.way == EG_RESOLVER_NONE || resolver.way == EG_RESOLVER_INSIDE)
		return;
	c->view->dns_refused =
		c->policy && eg_resolver_is_refused(&resolver, c->policy) && is_resolver_refused(c);
	eg_text_printf(detail, "%s%s", c->view->dns_refused ? "Docker's resolver is refused: " : "",
		       resolver.why);
	if (c->view->dns_refused)
		return;
	c->view->dns =
		keep(c, resolver.way == EG_RESOLVER_OUTSIDE ? "outside the guard" : "not known");
	if (c->policy && eg_resolver_is_refused(&resolver, c->policy))
		add_problem(c, "DNS is to go through the tunnel alone, and Docker's "
			       "resolver " EG_DOCKER_RESOLVER " is not refused: attach again");
}

static void collect_dns(struct collection *c)
{
	EG_AUTO_TEXT struct eg_text detail = {};

	if (on_cgroup(c)) {
		c->view->dns = keep(c, "not known");
		eg_text_printf(&detail, "a resolver on loopback (systemd-resolved, Docker's) is "
					"another process, and asks outside the guard: name the "
					"tunnel's resolver in resolv.conf");
	} else if (c->found) {
		collect_resolver(c, &detail);
	} else if (c->lost) {
		c->view->dns = keep(c, "not known");
		eg_text_printf(&detail, "cannot look at the resolvers of its processes: %s",
			       strerror(-c->lost));
	}
	if (!c->view->dns && c->policy && eg_policy_dns(c->policy) == EG_DNS_TUNNEL) {
		c->view->dns = keep(c, "tunnel");
	} else if (!c->view->dns && c->policy) {
		c->view->dns = keep(c, "lan");
		eg_text_printf(&detail, "queries to the LAN's resolvers pass, which is a likely "
					"DNS leak; --dns tunnel forbids them");
	}
	c->view->dns_detail = take_text(c, &detail);
}

/* --- one guard ----------------------------------------------------------------------------------
 */

/* Locks for this moment only, and not at all where another command is at work. */
static void reclaim_viewers(struct collection *c)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};

	if (eg_pins_open(c->pin_dir, false, &pins, NULL) == 0 && eg_pins_lock(&pins, 0, NULL) == 0)
		eg_viewers_reclaim(c->guard);
}

static void conclude(struct collection *c)
{
	struct eg_guard_view *view = c->view;

	if (on_cgroup(c) && eg_guard_is_dead(c->guard)) {
		view->state = EG_STATE_GONE;
		view->reason = keep(c, "the cgroup was removed");
	} else if (c->moved) {
		view->state = EG_STATE_UNGUARDED;
		view->reason = keep(c, "the target has another namespace now, without a guard: "
				       "attach again (with --replace if processes live on in "
				       "the old one)");
	} else if (!on_cgroup(c) && !c->found && !c->lost && !eg_guard_is_dead(c->guard)) {
		view->state = EG_STATE_DEGRADED;
		view->reason =
			keep(c, "it is in force, but its namespace is not to be found: neither "
				"a process nor a file holds it, maybe an open descriptor");
	} else if (!on_cgroup(c) && !c->found && !c->lost) {
		view->state = EG_STATE_GONE;
		view->reason = keep(c, "nothing holds its namespace any more");
	} else if (c->problems.len || c->problems.failed) {
		view->state = EG_STATE_DEGRADED;
		view->reason = take_text(c, &c->problems);
	} else if (c->policy && c->policy->mode == EG_MODE_AUDIT) {
		view->state = EG_STATE_AUDIT;
		view->reason = keep(c, "what would be dropped passes");
	} else {
		view->state = EG_STATE_ENFORCING;
	}
}

static void collect_counters(struct collection *c)
{
	struct eg_guard_view *view = c->view;
	const enum eg_reason fragment = EG_REASON_FRAGMENT;
	struct eg_totals totals;

	if (eg_guard_counters(c->guard, view->counters) < 0) {
		add_problem(c, "the counters can't be read");
		return;
	}
	view->have_counters = true;
	eg_totals(view->counters, &totals);
	if (totals.dropped[fragment].packets || totals.would_drop[fragment].packets)
		add_note(c,
			 "UDP to an endpoint came in fragments, and all but the first of each are "
			 "refused (fragment); if it was the tunnel's: %s",
			 eg_reason_hint(fragment, EG_FAMILY_NONE, &(union eg_addr){}));
}

static void collect_answers(struct collection *c)
{
	struct eg_guard_view *view = c->view;

	if (!c->policy || c->policy->on_block != EG_ON_BLOCK_REJECT ||
	    eg_guard_answers(c->guard, &view->answers_sent, &view->answers_withheld) < 0)
		return;
	view->answers = true;
	add_note(c, "what `device` drops is answered: %llu answers, %llu withheld by the limit",
		 (unsigned long long)view->answers_sent,
		 (unsigned long long)view->answers_withheld);
}

static void collect_open_guard(struct collection *c)
{
	c->meta = eg_guard_meta(c->guard);
	collect_meta(c);
	collect_policy(c);
	collect_tables(c);
	if (on_cgroup(c))
		find_home(c);
	else
		find_target(c);
	take_survey(c);
	if (on_cgroup(c))
		look_at_tuns(c);
	collect_tunnels(c);
	/* Before something inside is asked once more, which could move interfaces meanwhile. */
	collect_layers(c);
	collect_mismatch(c);
	collect_dns(c);
	collect_counters(c);
	collect_answers(c);
	collect_recent(c);
	reclaim_viewers(c);
	conclude(c);
}

static int collect_guard(struct eg_pins *pins, const char *pin_dir, const char *name,
			 struct eg_owners *owners, const struct eg_holds *holds,
			 struct eg_guard_view *view)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	struct collection c = {.pins = pins,
			       .pin_dir = pin_dir,
			       .owners = owners,
			       .holds = holds,
			       .view = view,
			       .netns = EG_NETNS_NONE};
	struct eg_error why = {};
	int result;

	view->name = keep(&c, name);
	view->state = EG_STATE_DEGRADED;
	result = eg_guard_open(pins, name, &guard, &why);
	c.guard = guard;
	if (result == -ENOENT)
		return -ENOENT; /* detached since it was listed */
	if (result == -EPROTO)
		add_string(&c, &view->notes, "`egressguard attach` replaces it, new beside old");
	if (result < 0)
		view->reason = keep(&c, why.message[0] ? why.message : strerror(-result));
	else
		collect_open_guard(&c);

	eg_policy_free(c.policy);
	eg_survey_free(&c.survey);
	eg_netns_close(&c.netns);
	eg_text_free(&c.problems);
	return c.failed ? -ENOMEM : 0;
}

/* --- all of them --------------------------------------------------------------------------------
 */

static int collect_all(struct eg_pins *pins, const char *pin_dir, char **names,
		       struct eg_status_view *status)
{
	EG_AUTO_OWNERS struct eg_owners *owners = NULL;
	EG_AUTO_HOLDS struct eg_holds *holds = NULL;
	size_t n = 0;
	int result = eg_owners_new(&owners);

	/* Once for all guards: it takes a look at each link of the machine. */
	(void)eg_holds_get(&holds);

	while (names[n])
		n++;
	status->guards = calloc(n + 1, sizeof(*status->guards));
	if (!status->guards)
		return -ENOMEM;
	for (size_t i = 0; result == 0 && i < n; i++) {
		status->n_guards++;
		result = collect_guard(pins, pin_dir, names[i], owners, holds,
				       &status->guards[status->n_guards - 1]);
		if (result == -ENOENT) {
			status->n_guards--;
			free(status->guards[status->n_guards].name);
			status->guards[status->n_guards] = (struct eg_guard_view){};
			result = 0;
		}
	}
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
		result = collect_all(&pins, common->pin_dir, names, &status);
	if (result == 0 && names && !common->guard && !common->netns)
		result = collect_half_made(&pins, &status);
	eg_names_free(names);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result, "%s", strerror(-result));
	*ret_status = status;
	status = (struct eg_status_view){};
	return 0;
}
