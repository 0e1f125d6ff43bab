// SPDX-License-Identifier: GPL-2.0
/* What `status` finds of a guard's target: the namespace, its tunnels, its DNS. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "collection.h"
#include "home.h"
#include "mismatch.h"
#include "net/target.h"
#include "resolver.h"
#include "util/cleanup.h"

#define PROCESSES_AGE_NS 1000000000ULL

/* --- the namespace ------------------------------------------------------------------------------
 */

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
static bool is_another_of_that_number(struct eg_collection *c)
{
	return !c->meta->netns_cookie && c->found && eg_guard_is_dead(c->guard);
}

/* Whether the caller has the guard's namespace open. */
static bool is_known(const struct eg_collection *c, const struct eg_netns *guarded)
{
	return c->known && c->known->fd >= 0 && eg_netns_same(c->known, guarded);
}

static int take_known(struct eg_collection *c)
{
	c->netns = *c->known;
	c->netns.fd = fcntl(c->known->fd, F_DUPFD_CLOEXEC, 3);
	return c->netns.fd < 0 ? -errno : 0;
}

/* What there is to find of a target that is a file, by its number alone. */
static bool is_where_it_was(const struct eg_collection *c, const char *text,
			    const struct eg_netns *guarded)
{
	return c->state_only && c->meta->netns_cookie && is_known(c, guarded) &&
	       eg_target_is_but_file_of(text, c->known);
}

static bool is_container(const char *text)
{
	return strncmp(text, "docker:", 7) == 0 || strncmp(text, "podman:", 7) == 0;
}

/* Who follows the guard has it open; where its target is, it is there; else it is looked for among
 * all. */
static int find_netns(struct eg_collection *c, const struct eg_netns *guarded,
		      struct eg_target *target)
{
	if (is_known(c, guarded))
		return take_known(c);
	if (target->netns.fd < 0 || !eg_netns_same(&target->netns, guarded))
		return eg_netns_find(guarded->dev, guarded->inode, guarded->cookie, &c->netns);
	c->netns = target->netns;
	target->netns.fd = -1;
	return 0;
}

void eg_find_target(struct eg_collection *c)
{
	EG_AUTO_TARGET struct eg_target target = {.netns = EG_NETNS_NONE};
	struct eg_netns guarded = eg_netns_of_meta(c->meta);
	char text[EG_TARGET_MAX + 1] = {};
	struct eg_error why = {};
	bool asked;
	int resolved = -ENOENT, result;

	memcpy(text, c->meta->target, EG_TARGET_MAX);
	if (is_where_it_was(c, text, &guarded) && take_known(c) == 0) {
		c->found = true;
		return;
	}
	asked = text[0] && may_move(text) && !c->of_self;
	if (asked)
		resolved = eg_target_find(text, &target, &why);
	result = find_netns(c, &guarded, &target);
	c->found = result == 0;
	c->lost = result == -ENOENT ? 0 : result;
	if (c->lost)
		eg_add_problem(c, "cannot look for its namespace: %s", strerror(-result));
	if (asked && resolved < 0 && why.exit == EG_EXIT_FAILED)
		eg_add_problem(c, "whether the target is still the same is not known: %s",
			       why.message);
	/* Where an engine does not run its containers may, as Podman's do. */
	else if (asked && (resolved == -ECONNREFUSED || resolved == -EREMOTE))
		eg_add_note(c, "whether the target is still the same is not known: %s",
			    why.message);
	else if (asked && resolved == -ENOENT && c->found && is_container(text))
		eg_add_note(c,
			    "its network is in use, and nothing runs by the name of its target, by "
			    "which the daemon finds it (%s): a container that shares it was left "
			    "alone, or its own is called otherwise (container_name: in a compose "
			    "file, Target = in the policy)",
			    why.message);
	if (resolved < 0)
		return;
	c->moved = target.kind != EG_TARGET_PID &&
		   (!eg_netns_same(&target.netns, &guarded) || is_another_of_that_number(c));
	if (!c->moved)
		return;
	eg_target_learn(&target);
	c->view->target_started_realtime_ns = target.started_realtime_ns;
	c->view->since_realtime_ns = 0;
}

/* What is known of a cgroup's namespaces is its tunnel's. */
void eg_find_home(struct eg_collection *c)
{
	struct eg_home home = {};
	int result = eg_guard_home(c->guard, &home);

	if (result == 0)
		result = eg_home_open(&home, &c->netns);
	c->found = result == 0;
	if (c->meta->flags & EG_META_NO_CHECKSUM_TEST)
		eg_add_note(c,
			    "no tunnel is free: this kernel has no BTF by which to know one, and "
			    "all is judged as if it left in the clear");
	else if (result == -ENOENT)
		eg_add_note(c,
			    "no tunnel is free: its network namespace %s; attach again when a "
			    "process of the cgroup is in it",
			    home.netns_inode ? "is gone" : "is not known");
	else if (result < 0)
		eg_add_problem(c, "cannot look for its tunnel's namespace: %s", strerror(-result));
}

/* A tun counts by its index, which whoever attached has asked about. */
void eg_look_at_tuns(struct eg_collection *c)
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
			eg_add_note(
				c,
				"the userspace tunnel %s was made since the guard was attached, "
				"and is not free: attach again",
				tunnel->link.name);
	}
}

void eg_take_survey(struct eg_collection *c)
{
	struct eg_error why = {};

	if (!c->found || !c->policy)
		return;
	if (eg_survey_take(&c->netns, c->policy, &c->survey, &why) < 0)
		eg_add_problem(c, "%s", why.message);
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

static void collect_tunnel(struct eg_collection *c, const char *name, struct eg_text *text)
{
	for (size_t i = 0; i < c->survey.n_tunnels; i++) {
		const struct eg_tunnel *tunnel = &c->survey.tunnels[i];

		if (strcmp(tunnel->link.name, name) == 0) {
			eg_add_part(text, ", ", "%s (%s, %s)", name, tunnel_kind_name(tunnel->kind),
				    tunnel->link.flags & IFF_UP ? "up" : "down");
			return;
		}
	}
	for (size_t i = 0; i < c->survey.n_underlays; i++) {
		const struct eg_link *link = &c->survey.underlays[i].link;

		if (strcmp(link->name, name) == 0) {
			eg_add_part(text, ", ", "%s (%s, not a tunnel: guarded as an underlay)",
				    name, link->kind[0] ? link->kind : "no WireGuard");
			eg_add_problem(c, "%s is declared as the tunnel, but is none", name);
			return;
		}
	}
	eg_add_part(text, ", ", "%s absent", name);
}

void eg_collect_tunnels(struct eg_collection *c)
{
	EG_AUTO_TEXT struct eg_text text = {};

	for (size_t i = 0; c->listed && i < c->policy->n_tunnels; i++)
		collect_tunnel(c, c->policy->tunnels[i], &text);
	c->view->tunnel_state = eg_take_text(c, &text);
}

/* Ends the line where it ends; the one after it, or NULL. */
static char *cut_line(char *line)
{
	char *end = strchr(line, '\n');

	if (end)
		*end++ = '\0';
	return end && *end ? end : NULL;
}

/* Why a tunnel that is up may carry nothing: nobody looks for a server that has moved. And whether
 * it carries past the guard. */
void eg_collect_mismatch(struct eg_collection *c)
{
	EG_AUTO_TEXT struct eg_text lines = {}, elsewhere = {};
	char *line, *next;

	for (size_t i = 0; c->listed && i < c->survey.n_tunnels; i++)
		eg_mismatch_tell(&c->netns, &c->survey.tunnels[i], c->policy, &lines,
				 eg_is_on_cgroup(c) ? NULL : &elsewhere);
	c->failed = c->failed || lines.failed || elsewhere.failed;
	for (line = lines.data; line && *line; line = next) {
		next = cut_line(line);
		eg_add_note(c, "%s", line);
	}
	for (line = elsewhere.data; line && *line; line = next) {
		next = cut_line(line);
		eg_add_problem(c, "%s", line);
	}
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
static bool is_resolver_refused(struct eg_collection *c)
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

/* The state hangs on the resolver only where it would have to be refused, and is not. */
static bool is_resolver_of_concern(struct eg_collection *c)
{
	const struct eg_resolver unknown = {.way = EG_RESOLVER_UNKNOWN};

	return c->found && c->policy && eg_resolver_is_refused(&unknown, c->policy) &&
	       !is_resolver_refused(c);
}

static void collect_resolver(struct eg_collection *c, struct eg_text *detail)
{
	struct eg_container container;
	struct eg_resolver resolver;

	/* A thousand guards cannot each afford a look at all processes of the machine. */
	if (c->state_only)
		eg_netns_remember_processes(PROCESSES_AGE_NS);
	eg_resolver_find(&c->netns, docker_container_of(c->meta, &container) ? &container : NULL,
			 &resolver);
	if (c->state_only)
		eg_netns_forget_processes();
	c->view->dns_resolver = eg_resolver_way_names[resolver.way];
	if (resolver.way == EG_RESOLVER_NONE || resolver.way == EG_RESOLVER_INSIDE)
		return;
	c->view->dns_refused =
		c->policy && eg_resolver_is_refused(&resolver, c->policy) && is_resolver_refused(c);
	eg_text_printf(detail, "%s%s", c->view->dns_refused ? "Docker's resolver is refused: " : "",
		       resolver.why);
	if (c->view->dns_refused) {
		eg_except_resolver(c);
		return;
	}
	c->view->dns =
		eg_keep(c, resolver.way == EG_RESOLVER_OUTSIDE ? "outside the guard" : "not known");
	if (c->policy && eg_resolver_is_refused(&resolver, c->policy))
		eg_add_problem(c, "DNS is to go through the tunnel alone, and Docker's "
				  "resolver " EG_DOCKER_RESOLVER " is not refused: attach again");
}

void eg_collect_dns(struct eg_collection *c)
{
	EG_AUTO_TEXT struct eg_text detail = {};

	if (c->state_only && (eg_is_on_cgroup(c) || !is_resolver_of_concern(c)))
		return;
	if (eg_is_on_cgroup(c)) {
		c->view->dns = eg_keep(c, "not known");
		eg_text_printf(&detail, "a resolver on loopback (systemd-resolved, Docker's) is "
					"another process, and asks outside the guard: name the "
					"tunnel's resolver in resolv.conf");
	} else if (c->found) {
		collect_resolver(c, &detail);
	} else if (c->lost) {
		c->view->dns = eg_keep(c, "not known");
		eg_text_printf(&detail, "cannot look at the resolvers of its processes: %s",
			       strerror(-c->lost));
	}
	if (!c->view->dns && c->policy && eg_policy_dns(c->policy) == EG_DNS_TUNNEL) {
		c->view->dns = eg_keep(c, "tunnel");
	} else if (!c->view->dns && c->policy) {
		c->view->dns = eg_keep(c, "lan");
		eg_text_printf(&detail, "queries to the LAN's resolvers pass, which is a likely "
					"DNS leak; --dns tunnel forbids them");
	}
	c->view->dns_detail = eg_take_text(c, &detail);
}
