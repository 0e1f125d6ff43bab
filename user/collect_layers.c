// SPDX-License-Identifier: GPL-2.0
/* What `status` finds of a guard's layers: on which interfaces they are, and what that holds
 * against. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collection.h"
#include "kern/features.h"
#include "net/cgroup_socket.h"
#include "net/hidden.h"
#include "policy/explain.h"
#include "resolver.h"
#include "util/cleanup.h"

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

static void count_cover(struct eg_collection *c, struct coverage *coverage, const char *name,
			enum eg_cover_state state, bool tcx)
{
	const char *layer = eg_layer_names[coverage->layer];

	coverage->wanted++;
	switch (state) {
	case EG_COVER_NONE:
		eg_add_problem(c, "%s has no `%s` layer: attach again", name, layer);
		eg_add_part(&coverage->detail, "; ", "not on %s", name);
		return;
	case EG_COVER_BEHIND:
		eg_add_problem(c, "another program runs before `%s` on %s", layer, name);
		eg_add_part(&coverage->detail, "; ", "behind another program on %s", name);
		break;
	case EG_COVER_UNPINNED:
		eg_add_problem(c,
			       "`%s` on %s has lost its pin, so nothing keeps it in force: attach "
			       "again",
			       layer, name);
		eg_add_part(&coverage->detail, "; ", "not pinned on %s", name);
		break;
	case EG_COVER_ATTACHED:
		coverage->covered++;
		break;
	}
	coverage->tcx = coverage->tcx || tcx;
	coverage->clsact = coverage->clsact || !tcx;
	eg_add_string(c, &coverage->interfaces, "%s", name);
}

static void add_layer(struct eg_collection *c, enum eg_layer layer, const char *state,
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
static void add_coverage(struct eg_collection *c, struct coverage *coverage, const char *blind)
{
	const char *state = "attached";

	if (coverage->wanted && coverage->covered < coverage->wanted)
		state = coverage->interfaces ? "partial" : "missing";
	if (coverage->tcx)
		eg_add_part(&coverage->detail, "; ", "tcx");
	if (coverage->clsact)
		eg_add_part(&coverage->detail, "; ", "clsact");
	if (coverage->interfaces)
		eg_add_part(&coverage->detail, "; ", "%s", blind);
	add_layer(c, coverage->layer, state, EG_TAKE(coverage->interfaces),
		  eg_take_text(c, &coverage->detail));
}

static void collect_device(struct eg_collection *c)
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
		eg_add_part(&coverage.detail, "; ", "there is no underlay");
		eg_add_problem(c, "it has no interface that leads out but tunnels, so nothing is "
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
	struct eg_collection *c = argument;
	bool tcx;

	if (hidden->peer &&
	    eg_guard_peer_state(c->guard, hidden->link, hidden->peer, &tcx) == EG_COVER_ATTACHED)
		return 0;
	eg_add_note(c,
		    "root inside has another network namespace (net:[%llu]), which this guard "
		    "does not cover, and where %s leads out: move it back, and attach again",
		    (unsigned long long)hidden->netns->inode, hidden->link->name);
	c->view->hidden = true;
	return 0;
}

static void collect_hidden(struct eg_collection *c)
{
	int result = eg_hidden_visit(&c->netns, add_hidden, c);

	if (result < 0) {
		eg_add_note(
			c,
			"whether root inside has interfaces in other namespaces is not known: %s",
			result == -E2BIG ? "its processes hold too much to look through"
					 : strerror(-result));
		c->view->hidden = true;
	}
}

/* What only privileges over the host's own namespaces make possible: an interface on top of one of
 * theirs, a receiving path that begins with XDP and skips tc. */
static bool is_root_a_stranger(struct eg_collection *c)
{
	if (eg_netns_is_ours(&c->netns) == 0)
		return true;
	eg_add_string(
		c, &c->view->notes,
		"root inside is root in the host's user namespace, and with NET_ADMIN can get "
		"past the guard: give the containers no NET_ADMIN, or remap their users");
	return false;
}

static const char *const against_root = "root with NET_ADMIN inside, on the listed interfaces";

/*
 * What gets past `device` needs no more than NET_RAW, which engines give by default: AF_XDP, and a
 * packet socket that asks for PACKET_QDISC_BYPASS. Only `peer` sees what they send.
 */
static const char *holds_against(struct eg_collection *c, const struct coverage *peer,
				 size_t without)
{
	if (without || peer->covered < peer->wanted)
		return "processes without NET_ADMIN and NET_RAW";
	if (!c->device_is_tcx || c->meta->flags & EG_META_NO_CHECKSUM_TEST ||
	    (peer->wanted && !is_root_a_stranger(c)) || c->view->hidden)
		return "processes without NET_ADMIN";
	/* Not all that was moved to another namespace before attach is found. */
	return peer->wanted ? against_root : NULL;
}

/* What refuses it stands where packets leave by loopback. Only root inside of a user namespace of
 * its own has to be excepted: others are not claimed to be held. */
void eg_except_resolver(struct eg_collection *c)
{
	char *claim = c->view->holds_against;

	if (!claim || strcmp(claim, against_root) != 0)
		return;
	c->view->holds_against = NULL;
	if (asprintf(&c->view->holds_against, "%s, Docker's resolver excepted", claim) < 0) {
		c->view->holds_against = NULL;
		c->failed = true;
	}
	free(claim);
	eg_add_note(c, "Docker's resolver " EG_DOCKER_RESOLVER " is refused on loopback: root with "
		       "NET_ADMIN inside gets past that, by rewriting addresses where loopback "
		       "arrives; `dns:` with the tunnel's resolver leaves nothing to get at");
}

static void collect_peer(struct eg_collection *c)
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
			eg_add_part(&coverage.detail, "; ", "%s has no peer in reach",
				    underlay->link.name);
			if (!(c->meta->flags & EG_META_ACCEPT_DEVICE_ONLY))
				eg_add_problem(c, "%s has no peer in reach, `device` stands alone",
					       underlay->link.name);
			continue;
		}
		state = eg_guard_peer_state(c->guard, &underlay->link, &underlay->peer, &tcx);
		count_cover(c, &coverage, underlay->link.name, state, tcx);
	}
	/* Root inside can have an ifb send packets on that tc ingress never sees. `device` refuses
	 * those if it can tell them (which takes BTF), and if it cannot be taken away (tcx). */
	if (coverage.wanted && (!c->device_is_tcx || c->meta->flags & EG_META_NO_CHECKSUM_TEST))
		eg_add_string(
			c, &c->view->notes,
			"root inside can get past both layers here: that `peer` holds takes a "
			"kernel with tcx (6.6) and BTF");
	against = holds_against(c, &coverage, without);
	if (against)
		c->view->holds_against = eg_keep(c, against);
	if (!coverage.wanted && without)
		add_layer(c, EG_LAYER_PEER, "not available", NULL,
			  eg_take_text(c, &coverage.detail));
	else
		add_coverage(
			c, &coverage,
			"sees what comes out there, and nothing that leaves by another interface");
}

static enum eg_sockets_state sockets_state(struct eg_collection *c, const char **ret_missing)
{
	return eg_is_on_cgroup(c) ? eg_guard_cgroup_sockets_state(c->guard, ret_missing)
				  : eg_guard_sockets_state(c->guard, ret_missing);
}

/* It holds nothing back that `device` and `peer` would not; but a guard that was made with it and
 * has it no more has been tampered with. */
static void collect_socket(struct eg_collection *c)
{
	const char *missing, *obstacle;

	switch (sockets_state(c, &missing)) {
	case EG_SOCKETS_NONE:
		obstacle = eg_sockets_obstacle();
		add_layer(c, EG_LAYER_SOCKET, "not available", NULL,
			  eg_keep(c, obstacle ? obstacle
					      : "this machine could not have it when the guard was "
						"attached: attach again to try"));
		return;
	case EG_SOCKETS_MISSING:
		eg_add_problem(c, "the layer `socket` is not whole (%s): attach again", missing);
		add_layer(c, EG_LAYER_SOCKET, "missing", NULL, eg_keep(c, missing));
		return;
	case EG_SOCKETS_ATTACHED:
		add_layer(
			c, EG_LAYER_SOCKET, "attached", NULL,
			eg_keep(c, eg_guard_has_setsockopt(c->guard)
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
static const char *why_not_held(struct eg_collection *c, const struct eg_held *held)
{
	if (c->meta->hold_prog_id && held->others) {
		eg_add_problem(c, "the layer `netns` is not the holder's: another program stands "
				  "over the guard's tables in its place: run --foreground again");
		return "missing";
	}
	if (c->meta->hold_prog_id) {
		eg_add_problem(c, "the process that held `netns` was killed: an interface that "
				  "appears is not covered until it runs again");
		return "missing";
	}
	return "not held";
}

/* Of a guard that was never held nobody's links are asked for: that takes a look at each link of
 * the machine. The list may be older than the guard's word on who holds it. */
static int ask_held(struct eg_collection *c, struct eg_held *ret_held)
{
	EG_AUTO_HOLDS struct eg_holds *again = NULL;
	bool old = *c->holds;
	int result;

	if (!c->meta->hold_prog_id)
		return 0;
	result = old ? 0 : eg_holds_get(c->holds);
	if (result == 0)
		result = eg_holds_of(*c->holds, c->guard, ret_held);
	if (result < 0 || !old || ret_held->ipv4 || ret_held->ipv6)
		return result;
	result = eg_holds_get(&again);
	return result < 0 ? result : eg_holds_of(again, c->guard, ret_held);
}

static void collect_netns(struct eg_collection *c)
{
	EG_AUTO_TEXT struct eg_text detail = {};
	const char *state = "attached";
	struct eg_held held = {};

	if (ask_held(c, &held) < 0) {
		add_layer(c, EG_LAYER_NETNS, "not known", NULL,
			  eg_keep(c, "the kernel's links can't be listed"));
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
		eg_add_problem(c, "`netns` judges IPv%d only: attach again with --foreground",
			       held.ipv4 ? 4 : 6);
	} else if (!c->meta->hold_prog_id &&
		   (c->meta->flags & EG_META_NO_CHECKSUM_TEST || !eg_features_has_netfilter())) {
		state = "not available";
		eg_text_printf(&detail, "it takes BPF netfilter links (Linux 6.4) and BTF: an "
					"interface that appears is not covered until it is found");
	} else {
		state = why_not_held(c, &held);
		eg_text_printf(&detail, "an interface that appears is not covered until attach "
					"runs again; the daemon holds it, or --foreground");
	}
	add_layer(c, EG_LAYER_NETNS, state, NULL, eg_take_text(c, &detail));
}

/* The kernel keeps what is attached to a removed cgroup as long as a socket of it lives, which a
 * guard that drops its last packets makes long. A cgroup made by that name since is another one. */
static void add_removed_cgroup(struct eg_collection *c)
{
	int exists = eg_guard_cgroup_exists(c->guard);

	if (exists == 0)
		eg_add_problem(c,
			       "the cgroup was removed; sockets made in it are held still, but one "
			       "made by the same name since is not guarded: attach --replace");
	else if (exists < 0)
		eg_add_problem(c, "whether its cgroup is still there is not known: %s",
			       strerror(-exists));
}

/* The guard is on it all the same, and sees nothing of what is made from then on. */
static void look_at_new_sockets(struct eg_collection *c)
{
	EG_AUTO_CGROUP struct eg_cgroup cgroup = EG_CGROUP_NONE;
	char text[EG_TARGET_MAX + 1] = {};
	int keeps;

	memcpy(text, c->meta->target, EG_TARGET_MAX);
	if (strncmp(text, EG_CGROUP_PREFIX, strlen(EG_CGROUP_PREFIX)) != 0 ||
	    eg_cgroup_open(text + strlen(EG_CGROUP_PREFIX), &cgroup, NULL) < 0)
		return; /* that it was removed is told already */
	keeps = eg_cgroup_keeps_sockets(&cgroup);
	if (keeps == 0)
		eg_add_problem(c,
			       "sockets do not belong to the cgroup they are made in any more, so "
			       "the guard sees nothing of new ones: net_cls or net_prio of cgroup "
			       "v1 is in use, and this kernel is older than 5.15");
	else if (keeps < 0)
		eg_add_problem(c,
			       "whether sockets still belong to the cgroup they are made in is "
			       "not known: %s",
			       strerror(-keeps));
}

static void collect_cgroup(struct eg_collection *c)
{
	bool on = eg_guard_is_on_cgroup(c->guard);

	if (!on)
		eg_add_problem(c, "the layer `cgroup` is not on the cgroup: attach again");
	add_removed_cgroup(c);
	look_at_new_sockets(c);
	add_layer(
		c, EG_LAYER_CGROUP, on ? "attached" : "missing", NULL,
		eg_keep(c, "egress of the cgroup and all beneath it, in every network namespace"));
	eg_add_note(
		c,
		"not seen: packet sockets, sockets of other families than IPv4 and IPv6 (PPP over "
		"L2TP, RDS), sockets made outside the cgroup, what the kernel sends by itself "
		"(answers, kernel WireGuard's own packets)");
	c->view->holds_against =
		eg_keep(c, "processes without NET_ADMIN and NET_RAW that cannot "
			   "leave the cgroup, by IPv4 and IPv6 sockets made in it");
}

void eg_collect_layers(struct eg_collection *c)
{
	c->view->layers = calloc(EG_LAYER_COUNT, sizeof(*c->view->layers));
	if (!c->view->layers) {
		c->failed = true;
		return;
	}
	if (eg_is_on_cgroup(c)) {
		collect_cgroup(c);
		collect_socket(c);
		return;
	}
	if (c->listed) {
		if (!c->state_only)
			collect_hidden(c);
		collect_device(c);
		collect_peer(c);
	} else {
		const char *why = c->found || c->lost ? "not known" : "the namespace is gone";

		add_layer(c, EG_LAYER_DEVICE, "missing", NULL, eg_keep(c, why));
		add_layer(c, EG_LAYER_PEER, "missing", NULL, eg_keep(c, why));
	}
	collect_netns(c);
	collect_socket(c);
	add_layer(c, EG_LAYER_CGROUP, "not available", NULL,
		  eg_keep(c, "of guards on a cgroup: attach --cgroup"));
}
