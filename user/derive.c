// SPDX-License-Identifier: GPL-2.0
#include "derive.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "names.h"
#include "net/cgroup_target.h"
#include "outer.h"
#include "policy/address.h"
#include "policy/explain.h"
#include "policy/image.h"
#include "policy/networks.h"
#include "policy/peers.h"
#include "policy/wgconf.h"
#include "util/cleanup.h"
#include "util/file.h"

#define ESCAPED_IFNAME_LEN  (IFNAMSIZ * 4)
#define TUNNEL_NAME_DEFAULT "wg0"
/* Of what there can be any number of, as root inside has it: nobody's log is to be drowned. */
#define SHOWN_MAX 4
/* They stay once they are known, and root inside can give the tunnel any number of addresses. */
#define TUNNEL_ONLY_MAX 1024

static char *escaped_name(char to[ESCAPED_IFNAME_LEN], const struct eg_link *link)
{
	return eg_escape(to, ESCAPED_IFNAME_LEN, link->name, sizeof(link->name));
}

/* --- tunnels --------------------------------------------------------------------------------- */

static int add_tunnel(struct eg_policy *policy, const char *name, struct eg_error *error)
{
	char *copy = strdup(name);

	if (!copy)
		return eg_error_no_memory(error);
	policy->tunnels[policy->n_tunnels++] = copy;
	return 0;
}

/* What wg-quick takes for a name. One that comes from inside is put into the policy, and so on the
 * user's terminal. */
static bool is_plain_name(const char *name)
{
	return name[strspn(
		       name,
		       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=+.-")] ==
	       '\0';
}

/* What whoever is root inside can bring about. A person is asked to put it right; where nobody is
 * there, `instead` is done, and the namespace not left open. */
static int give_up_or_warn(bool unattended, const struct eg_error *why, const char *instead,
			   struct eg_text *warnings, struct eg_error *error)
{
	if (!unattended) {
		if (error)
			*error = *why;
		return -EINVAL;
	}
	eg_text_printf(warnings, "%s; %s\n", why->message, instead);
	return 0;
}

/* Nobody named the tunnel this time: it stays what it was. A WireGuard device that has come since,
 * while that one is away, may have been made inside, and would be free from then on. */
static int keep_tunnels(const struct eg_netns *netns, const struct eg_link *links, size_t n,
			const struct eg_policy *in_force, bool unattended, struct eg_policy *policy,
			struct eg_text *warnings, struct eg_error *error)
{
	const struct eg_link *other = NULL;
	struct eg_error why = {};
	char name[ESCAPED_IFNAME_LEN];
	bool there = false;
	int result = 0;

	for (size_t i = 0; i < n; i++) {
		enum eg_tunnel_kind kind = eg_tunnel_kind(netns, &links[i]);

		if (kind != EG_TUNNEL_KERNEL && kind != EG_TUNNEL_USERSPACE)
			continue;
		if (eg_policy_has_tunnel(in_force, links[i].name))
			there = true;
		else
			other = &links[i];
	}
	if (other && !there) {
		eg_error_set(&why, EG_EXIT_USAGE, EINVAL,
			     "the guard in force has the tunnel %s, which is not there; %s is "
			     "WireGuard too, but nobody named it, and whoever is root inside "
			     "can make one: if it is the tunnel now, --tunnel %s; if not, "
			     "--tunnel %s",
			     in_force->tunnels[0], escaped_name(name, other), name,
			     in_force->tunnels[0]);
		result = give_up_or_warn(unattended, &why, "the tunnel stays what it was", warnings,
					 error);
	}
	for (size_t i = 0; result == 0 && i < in_force->n_tunnels; i++)
		result = add_tunnel(policy, in_force->tunnels[i], error);
	return result;
}

/* The one WireGuard interface, *ret_found, NULL: there is none. -EINVAL: which one is meant cannot
 * be told. */
static int find_wireguard(const struct eg_netns *netns, const struct eg_link *links, size_t n,
			  const struct eg_link **ret_found, struct eg_error *why)
{
	const struct eg_link *found = NULL;
	char first[ESCAPED_IFNAME_LEN], second[ESCAPED_IFNAME_LEN];

	for (size_t i = 0; i < n; i++) {
		enum eg_tunnel_kind kind = eg_tunnel_kind(netns, &links[i]);

		if (kind != EG_TUNNEL_KERNEL && kind != EG_TUNNEL_USERSPACE)
			continue;
		if (found)
			return eg_error_set(
				why, EG_EXIT_USAGE, EINVAL,
				"the namespace has two WireGuard interfaces, %s and %s: "
				"name the tunnel with --tunnel %s (or both, if traffic "
				"through either is meant to be free)",
				escaped_name(first, found), escaped_name(second, &links[i]), first);
		found = &links[i];
	}
	if (found && !is_plain_name(found->name))
		return eg_error_set(
			why, EG_EXIT_USAGE, EINVAL,
			"the WireGuard interface is called '%s', which is no name to be "
			"trusted: rename it, or name it with --tunnel",
			escaped_name(first, found));
	*ret_found = found;
	return 0;
}

static int choose_tunnel(const struct eg_netns *netns, const struct eg_link *links, size_t n,
			 bool unattended, struct eg_policy *policy, struct eg_text *warnings,
			 struct eg_error *error)
{
	const struct eg_link *found = NULL;
	struct eg_error why = {};
	int result = find_wireguard(netns, links, n, &found, &why);

	if (result < 0)
		result = give_up_or_warn(unattended, &why,
					 "the tunnel is " TUNNEL_NAME_DEFAULT
					 " until the policy names it",
					 warnings, error);
	return result < 0 ? result
			  : add_tunnel(policy, found ? found->name : TUNNEL_NAME_DEFAULT, error);
}

static int check_declared(const struct eg_netns *netns, const struct eg_link *link,
			  struct eg_error *error)
{
	char name[ESCAPED_IFNAME_LEN];
	char kind[sizeof(link->kind) * 4];

	escaped_name(name, link);
	switch (eg_tunnel_kind(netns, link)) {
	case EG_TUNNEL_KERNEL:
	case EG_TUNNEL_USERSPACE:
		return 0;
	case EG_TUNNEL_TUN:
		return eg_error_set(
			error, EG_EXIT_FAILED, EINVAL,
			"%s is a tun device, but no userspace WireGuard answers for it: "
			"start it, or take %s down and give --endpoint ADDR:PORT",
			name, name);
	case EG_TUNNEL_NOT:
		break;
	}
	eg_escape(kind, sizeof(kind), link->kind, sizeof(link->kind));
	return eg_error_set(error, EG_EXIT_FAILED, EINVAL,
			    "%s is not WireGuard but %s%s: a guard would let everything out "
			    "through it. Name the real tunnel with --tunnel IFACE",
			    name, *kind ? "a device of kind " : "a physical device", kind);
}

/* `--tunnel wg1` where wg0 is the tunnel, say. */
static void warn_undeclared(const struct eg_netns *netns, const struct eg_link *link,
			    const struct eg_policy *policy, struct eg_text *warnings)
{
	enum eg_tunnel_kind kind = eg_tunnel_kind(netns, link);
	char name[ESCAPED_IFNAME_LEN];

	if (kind != EG_TUNNEL_KERNEL && kind != EG_TUNNEL_USERSPACE)
		return;
	escaped_name(name, link);
	eg_text_printf(warnings,
		       "%s is WireGuard, but the policy's tunnel is %s: what goes through %s is "
		       "judged as if it left in the clear. If it is the tunnel: --tunnel %s\n",
		       name, policy->tunnels[0], name, name);
}

int eg_derive_tunnels(const struct eg_netns *netns, const struct eg_policy *in_force,
		      bool unattended, struct eg_policy *policy, struct eg_text *warnings,
		      struct eg_error *error)
{
	EG_AUTO_FREE struct eg_link *links = NULL;
	struct eg_error why = {};
	size_t n = 0;
	int result = netns->fd < 0 ? 0 : eg_links_get(netns, &links, &n);

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot list the namespace's interfaces: %s",
				    strerror(-result));
	if (policy->n_tunnels == 0) {
		result = in_force && in_force->n_tunnels
				 ? keep_tunnels(netns, links, n, in_force, unattended, policy,
						warnings, error)
				 : choose_tunnel(netns, links, n, unattended, policy, warnings,
						 error);
		if (result < 0)
			return result;
	}
	for (size_t i = 0; i < n; i++) {
		if (!eg_policy_has_tunnel(policy, links[i].name)) {
			warn_undeclared(netns, &links[i], policy, warnings);
			continue;
		}
		if (check_declared(netns, &links[i], &why) == 0)
			continue;
		result = give_up_or_warn(unattended, &why,
					 "what goes through it is judged as if it left in the "
					 "clear",
					 warnings, error);
		if (result < 0)
			return result;
	}
	return 0;
}

/* --- the tunnel's configuration -------------------------------------------------------------- */

static int add_tunnel_only(struct eg_policy *policy, const struct eg_prefix *prefix)
{
	/* The interface, its configuration and the policy in force say much the same. */
	for (size_t i = 0; i < policy->derived.n_tunnel_only; i++) {
		if (eg_prefix_compare(&policy->derived.tunnel_only[i], prefix) == 0)
			return 0;
	}
	return eg_policy_add_prefix(&policy->derived.tunnel_only, &policy->derived.n_tunnel_only,
				    prefix);
}

/* A wg0.conf has keys in it. */
static void wipe(char *text, size_t len)
{
	if (text)
		explicit_bzero(text, len);
}

/* What of a wg0.conf narrows: its addresses and its DNS servers. */
static int take_narrowing(const struct eg_wgconf *conf, struct eg_policy *policy)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < conf->n_addresses; i++)
		result = add_tunnel_only(policy, &conf->addresses[i]);
	for (size_t i = 0; result == 0 && i < conf->n_dns; i++)
		result = add_tunnel_only(policy, &conf->dns[i]);
	if (conf->n_dns)
		policy->derived.dns_servers = true;
	return result;
}

/* Tunnel-only prefixes of the guard in force, and whether there are DNS servers. */
static int keep_narrowing(const struct eg_policy *in_force, struct eg_policy *policy,
			  struct eg_error *error)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < in_force->derived.n_tunnel_only; i++)
		result = add_tunnel_only(policy, &in_force->derived.tunnel_only[i]);
	if (in_force->derived.dns_servers)
		policy->derived.dns_servers = true;
	return result < 0 ? eg_error_no_memory(error) : 0;
}

/* The policy is read again from elsewhere. */
static int make_absolute(char **path)
{
	char *absolute = realpath(*path, NULL);

	if (!absolute)
		return -errno;
	free(*path);
	*path = absolute;
	return 0;
}

static int take_conf_file(struct eg_policy *policy, struct eg_error *error)
{
	EG_AUTO_WGCONF struct eg_wgconf *conf = NULL;
	EG_AUTO_FREE char *text = NULL;
	struct eg_error at = {};
	char path[512];
	size_t len = 0;
	int result = eg_file_read(AT_FDCWD, policy->wg_conf, EG_WGCONF_MAX, &text, &len);

	eg_escape(path, sizeof(path), policy->wg_conf, strlen(policy->wg_conf));
	if (result < 0)
		return eg_error_set(error, EG_EXIT_USAGE, -result, "cannot read %s: %s", path,
				    strerror(-result));
	result = eg_wgconf_parse(text, len, &conf, &at);
	wipe(text, len);
	if (result < 0)
		return eg_error_set(error, EG_EXIT_USAGE, -result, "%s:%u:%u: %s", path, at.line,
				    at.column, at.message);
	result = take_narrowing(conf, policy);
	if (result == 0)
		result = make_absolute(&policy->wg_conf);
	if (result < 0)
		return eg_error_no_memory(error);
	/* the user's --endpoint is more explicit still */
	for (size_t i = 0; policy->n_endpoints == 0 && i < conf->n_endpoints; i++) {
		const struct eg_endpoint *endpoint = &conf->endpoints[i];
		struct eg_derived *derived = &policy->derived;

		result = endpoint->family == EG_FAMILY_NONE
				 ? eg_policy_add_endpoint(&derived->names, &derived->n_names,
							  endpoint)
				 : eg_policy_add_endpoint(&derived->endpoints,
							  &derived->n_endpoints, endpoint);
		if (result < 0)
			return eg_error_no_memory(error);
	}
	return 0;
}

/* The places where images keep the tunnel's configuration. */
static const char *const conf_places[] = {
	"/etc/wireguard/%s.conf",
	"/config/wg_confs/%s.conf",
	"/config/%s.conf",
};

/* -ENOENT: there is none. The text is a stranger's. */
static int read_conf_inside(pid_t pid, const char *tunnel, char **ret_text, size_t *ret_len,
			    char *ret_path, size_t path_size)
{
	EG_AUTO_CLOSE int root = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(conf_places) / sizeof(conf_places[0]); i++) {
		int result;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(ret_path, path_size, conf_places[i], tunnel);
#pragma GCC diagnostic pop
		result = eg_file_read_in_root(root, ret_path, EG_WGCONF_MAX, ret_text, ret_len);
		if (result != -ENOENT && result != -ENOTDIR)
			return result;
	}
	return -ENOENT;
}

/* A container's own configuration, of which only what narrows is taken; one that can't be read
 * takes nothing away and is worth a warning, no failure. */
static int take_conf_inside(pid_t pid, const char *tunnel, struct eg_policy *policy,
			    struct eg_text *warnings, struct eg_error *error)
{
	EG_AUTO_WGCONF struct eg_wgconf *conf = NULL;
	EG_AUTO_FREE char *text = NULL;
	struct eg_error at = {};
	char path[256];
	size_t len = 0;
	int result = read_conf_inside(pid, tunnel, &text, &len, path, sizeof(path));

	if (result == -ENOENT)
		return 0;
	if (result < 0) {
		eg_text_printf(
			warnings,
			"the container's %s cannot be read (%s): its DNS servers and subnets "
			"are not known as tunnel-only\n",
			path, result == -EINVAL ? "it is no regular file" : strerror(-result));
		return 0;
	}
	result = eg_wgconf_parse(text, len, &conf, &at);
	wipe(text, len);
	if (result < 0) {
		eg_text_printf(warnings,
			       "the container's %s:%u:%u: %s; its DNS servers and subnets are not "
			       "known as tunnel-only\n",
			       path, at.line, at.column, at.message);
		return 0;
	}
	return take_narrowing(conf, policy) < 0 ? eg_error_no_memory(error) : 0;
}

static int take_conf(const struct eg_target *target, enum eg_derive_terms terms,
		     struct eg_policy *policy, struct eg_text *warnings, struct eg_error *error)
{
	bool container = target->kind == EG_TARGET_CONTAINER;
	int result = 0;

	if (policy->wg_conf ? strcmp(policy->wg_conf, "none") == 0 : !container)
		return 0;
	if (policy->wg_conf && strcmp(policy->wg_conf, "auto") != 0)
		return take_conf_file(policy, error);
	if (terms == EG_DERIVE_STARTING)
		return 0;
	if (!target->pid)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--wg-conf auto looks inside the container that owns the "
				    "namespace, but '%s' names no process: give --wg-conf FILE",
				    target->text);
	for (size_t i = 0; result == 0 && i < policy->n_tunnels; i++)
		result = take_conf_inside(target->pid, policy->tunnels[i], policy, warnings, error);
	return result;
}

/* --- endpoints ------------------------------------------------------------------------------- */

/* An IPv6 socket names an IPv4 endpoint by a v4-mapped address; its packets are IPv4 all the same.
 */
static struct eg_endpoint unmapped(const struct eg_endpoint *endpoint)
{
	static const __u8 mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct eg_endpoint plain = *endpoint;

	if (plain.family == EG_FAMILY_IPV6 && memcmp(plain.addr.bytes, mapped, 12) == 0) {
		plain.family = EG_FAMILY_IPV4;
		plain.addr = (union eg_addr){};
		memcpy(plain.addr.bytes, endpoint->addr.bytes + 12, 4);
	}
	return plain;
}

static struct eg_known_peer known_peer(const struct eg_wg_peer *live)
{
	struct eg_known_peer peer = {.endpoint = unmapped(&live->endpoint)};

	memcpy(peer.public_key, live->public_key, sizeof(peer.public_key));
	if (peer.endpoint.port == 0)
		peer.endpoint = (struct eg_endpoint){};
	return peer;
}

/* All peers that it has now, whether they are somewhere yet or not. */
static int take_live_peers(const struct eg_netns *netns, const struct eg_tunnel *tunnel,
			   struct eg_derived *derived, struct eg_error *error)
{
	EG_AUTO_WG_DEVICE struct eg_wg_device device = {};
	int result = eg_wg_get(netns, &tunnel->link, &device, error);

	for (size_t i = 0; result == 0 && i < device.n_peers; i++) {
		struct eg_known_peer peer = known_peer(&device.peers[i]);

		if (eg_peers_add(derived, &peer) < 0)
			result = eg_error_no_memory(error);
	}
	return result;
}

/* Keys are known from when the first of their endpoints is. */
static int learn_peers(const struct eg_netns *netns, const struct eg_survey *survey,
		       struct eg_derived *derived, struct eg_error *error)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < survey->n_tunnels; i++)
		result = take_live_peers(netns, &survey->tunnels[i], derived, error);
	if (result == 0 && eg_peers_to_endpoints(derived) < 0)
		result = eg_error_no_memory(error);
	if (result == 0 && !derived->n_endpoints)
		derived->n_peers = 0;
	return result;
}

/* Where the known ones are now. A tunnel that cannot be asked moves nobody. */
static bool move_peers(const struct eg_netns *netns, const struct eg_survey *survey,
		       struct eg_derived *derived)
{
	bool moved = false;

	for (size_t i = 0; i < survey->n_tunnels; i++) {
		EG_AUTO_WG_DEVICE struct eg_wg_device device = {};

		if (eg_wg_get(netns, &survey->tunnels[i].link, &device, NULL) < 0)
			continue;
		for (size_t j = 0; j < device.n_peers; j++) {
			struct eg_known_peer live = known_peer(&device.peers[j]);

			if (eg_peers_move(derived, live.public_key, &live.endpoint))
				moved = true;
		}
	}
	return moved;
}

static bool lets_reach(const struct eg_policy *policy, const struct eg_image *image,
		       const struct eg_endpoint *endpoint)
{
	struct eg_question question = {
		.family = endpoint->family,
		.proto = EG_PROTO_UDP,
		.dst = endpoint->addr,
		.dport = endpoint->port,
		.wireguard = true,
	};
	struct eg_explanation explanation;

	eg_explain(policy, image, &question, &explanation);
	return explanation.verdict == EG_VERDICT_ALLOW;
}

static void add_stray(const struct eg_tunnel *tunnel, const struct eg_endpoint *live,
		      struct eg_text *lines)
{
	char text[EG_ADDRESS_TEXT_LEN];
	char name[ESCAPED_IFNAME_LEN];

	eg_endpoint_format(text, live);
	eg_text_printf(
		lines,
		"a peer of %s is at %s, which the policy does not let it reach; if that is "
		"your server: attach --endpoint %s --replace, or Endpoint = %s in the file of a "
		"guard that the daemon keeps\n",
		escaped_name(name, &tunnel->link), text, text, text);
}

void eg_derive_mismatch(const struct eg_netns *netns, const struct eg_tunnel *tunnel,
			const struct eg_policy *policy, struct eg_text *lines,
			struct eg_text *elsewhere)
{
	EG_AUTO_WG_DEVICE struct eg_wg_device device = {};
	EG_AUTO_IMAGE struct eg_image *image = NULL;
	char name[ESCAPED_IFNAME_LEN];
	size_t strays = 0;

	if (eg_wg_get(netns, &tunnel->link, &device, NULL) < 0 ||
	    eg_image_compile(policy, &image, NULL) < 0)
		return;
	if (elsewhere)
		eg_outer_tell(netns, tunnel, &device, elsewhere);
	escaped_name(name, &tunnel->link);
	if (policy->source_port && device.listen_port && policy->source_port != device.listen_port)
		eg_text_printf(lines,
			       "%s sends from port %u, and the policy lets it send from port %u "
			       "only: it cannot reach its endpoint\n",
			       name, device.listen_port, policy->source_port);
	for (size_t i = 0; i < device.n_peers; i++) {
		struct eg_endpoint live = unmapped(&device.peers[i].endpoint);

		if (live.family == EG_FAMILY_NONE || live.port == 0 ||
		    lets_reach(policy, image, &live))
			continue;
		/* How many there are is the namespace's word. */
		if (strays++ < SHOWN_MAX)
			add_stray(tunnel, &live, lines);
	}
	if (strays > SHOWN_MAX)
		eg_text_printf(lines, "%zu more peers of %s are where it may not reach them\n",
			       strays - SHOWN_MAX, name);
}

static int keep_endpoints(const struct eg_policy *in_force, struct eg_policy *policy)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < in_force->derived.n_endpoints; i++)
		result = eg_policy_add_endpoint(&policy->derived.endpoints,
						&policy->derived.n_endpoints,
						&in_force->derived.endpoints[i]);
	for (size_t i = 0; result == 0 && i < in_force->derived.n_peers; i++)
		result = eg_peers_add(&policy->derived, &in_force->derived.peers[i]);
	return result;
}

static int no_endpoint(const struct eg_target *target, const struct eg_survey *survey,
		       const struct eg_policy *policy, struct eg_error *error)
{
	if (survey->n_tunnels)
		return eg_error_set(
			error, EG_EXIT_USAGE, EINVAL,
			"the tunnel %s knows no endpoint yet: give --endpoint ADDR:PORT "
			"or --wg-conf FILE",
			policy->tunnels[0]);
	if (target->netns.fd < 0)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "the network namespace of the tunnel is not known, and no "
				    "endpoint is given: start the tunnel and a process in the "
				    "cgroup first, or give --endpoint ADDR:PORT or --wg-conf FILE");
	return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
			    "the namespace has no tunnel %s, and no endpoint is given: start the "
			    "tunnel first, or give --endpoint ADDR:PORT or --wg-conf FILE",
			    policy->tunnels[0]);
}

static bool has_endpoints(const struct eg_policy *policy)
{
	return policy && policy->derived.n_endpoints;
}

static int take_endpoints(const struct eg_target *target, const struct eg_survey *survey,
			  const struct eg_policy *in_force, enum eg_derive_terms terms,
			  struct eg_policy *policy, struct eg_text *warnings,
			  struct eg_error *error)
{
	bool unattended = terms != EG_DERIVE_BY_HAND;
	int result;

	if (eg_names_take(policy) < 0)
		return eg_error_no_memory(error);
	result = eg_names_resolve(policy, in_force, unattended, warnings, error);
	if (result < 0)
		return result;
	/* A name that nobody knows yet is no reason to believe the namespace. */
	if (policy->n_endpoints || policy->derived.n_endpoints || policy->derived.n_names)
		return 0;
	if (unattended && has_endpoints(in_force)) {
		if (keep_endpoints(in_force, policy) < 0)
			return eg_error_no_memory(error);
		if (move_peers(&target->netns, survey, &policy->derived) &&
		    eg_peers_to_endpoints(&policy->derived) < 0)
			return eg_error_no_memory(error);
		return 0;
	}
	result = learn_peers(&target->netns, survey, &policy->derived, error);
	if (result < 0)
		return result;
	if (policy->derived.n_endpoints)
		return 0;
	if (has_endpoints(in_force))
		return keep_endpoints(in_force, policy) < 0 ? eg_error_no_memory(error) : 0;
	return unattended ? 0 : no_endpoint(target, survey, policy, error);
}

/* Those that a person or a file named stay, wherever the peers are. */
bool eg_derive_follows_peers(const struct eg_policy *policy)
{
	bool of_file = policy->wg_conf && *policy->wg_conf == '/';

	return policy->n_endpoints == 0 && !policy->derived.n_names && !of_file &&
	       (policy->derived.n_peers || !policy->derived.n_endpoints);
}

bool eg_derive_has_moved(const struct eg_netns *netns, const struct eg_policy *in_force)
{
	EG_AUTO_POLICY struct eg_policy *now = NULL;
	EG_AUTO_SURVEY struct eg_survey survey = {};

	if (!eg_derive_follows_peers(in_force) || eg_policy_new(&now) < 0 ||
	    eg_survey_take(netns, in_force, &survey, NULL) < 0 || !survey.n_tunnels)
		return false;
	if (!in_force->derived.n_endpoints)
		return learn_peers(netns, &survey, &now->derived, NULL) == 0 &&
		       now->derived.n_endpoints;
	return keep_endpoints(in_force, now) == 0 && move_peers(netns, &survey, &now->derived);
}

/* --- addresses ------------------------------------------------------------------------------- */

static struct eg_prefix host_prefix(const struct eg_link_addr *addr)
{
	return (struct eg_prefix){
		.addr = addr->addr,
		.family = addr->family,
		.len = eg_family_bits(addr->family),
	};
}

static struct eg_prefix subnet_of(const struct eg_link_addr *addr)
{
	struct eg_prefix subnet = host_prefix(addr);

	subnet.len = addr->prefix_len;
	for (unsigned int bit = subnet.len; bit < eg_family_bits(subnet.family); bit++)
		subnet.addr.bytes[bit / 8] &= (__u8) ~(0x80 >> bit % 8);
	return subnet;
}

static bool is_link_local(const struct eg_link_addr *addr)
{
	if (addr->family == EG_FAMILY_IPV4)
		return addr->addr.bytes[0] == 169 && addr->addr.bytes[1] == 254;
	return addr->addr.bytes[0] == 0xfe && (addr->addr.bytes[1] & 0xc0) == 0x80;
}

/* Asked again where the answer was that something failed: without it the guard allows less, and the
 * next attach would be refused for allowing more. */
static bool peer_knows(const struct eg_peer *peer, const struct eg_link_addr *addr,
		       struct eg_prefix *ret_subnet)
{
	int result = eg_peer_route(peer, addr->family, &addr->addr, ret_subnet);

	if (result < 0 && result != -ENOENT)
		result = eg_peer_route(peer, addr->family, &addr->addr, ret_subnet);
	return result == 0;
}

/* Whether some other end on the host leads to an address: it may be a bridge's in the namespace,
 * with the veth as a port. */
static bool known_by_peers(const struct eg_survey *survey, const struct eg_link_addr *addr,
			   struct eg_prefix *ret_subnet)
{
	for (size_t i = 0; i < survey->n_underlays; i++) {
		const struct eg_underlay *underlay = &survey->underlays[i];

		if (underlay->has_peer && peer_knows(&underlay->peer, addr, ret_subnet))
			return true;
	}
	return false;
}

/* Whether something leaves by an interface that nobody outside can be asked about, and that is
 * accepted. */
static bool is_device_only(const struct eg_survey *survey)
{
	if (!survey->device_alone_accepted)
		return false;
	for (size_t i = 0; i < survey->n_underlays; i++) {
		if (!survey->underlays[i].has_peer && !survey->underlays[i].by_others)
			return true;
	}
	return false;
}

/* The subnet of an underlay's address as something outside the namespace knows it. */
static bool known_outside(const struct eg_target *target, const struct eg_survey *survey,
			  const struct eg_underlay *underlay, const struct eg_link_addr *addr,
			  struct eg_prefix *ret_subnet)
{
	for (size_t i = 0; i < target->container.n_subnets; i++) {
		if (eg_prefix_contains(&target->container.subnets[i], addr->family, &addr->addr)) {
			*ret_subnet = target->container.subnets[i];
			return true;
		}
	}
	if (underlay->by_others && known_by_peers(survey, addr, ret_subnet))
		return true;
	if (underlay->by_others && !is_device_only(survey))
		return false;
	if (underlay->has_peer)
		return peer_knows(&underlay->peer, addr, ret_subnet);
	/* Nothing outside can be asked. */
	if (!survey->device_alone_accepted)
		return false;
	/* Such a guard holds against processes without NET_ADMIN and NET_RAW only, and those cannot
	 * change an address. */
	*ret_subnet = subnet_of(addr);
	return true;
}

/* Nearly all addresses are of the same few. */
static int add_on_link(struct eg_derived *derived, const struct eg_prefix *subnet)
{
	for (size_t i = 0; i < derived->n_on_link; i++)
		if (eg_prefix_compare(&derived->on_link[i], subnet) == 0)
			return 0;
	return eg_policy_add_prefix(&derived->on_link, &derived->n_on_link, subnet);
}

/* *unknown counts those that are the namespace's word alone. */
static int take_underlay_addr(const struct eg_target *target, const struct eg_survey *survey,
			      const struct eg_underlay *underlay, const struct eg_link_addr *addr,
			      struct eg_policy *policy, size_t *unknown, struct eg_text *warnings)
{
	struct eg_prefix own = host_prefix(addr);
	char text[EG_ADDRESS_TEXT_LEN];
	char name[ESCAPED_IFNAME_LEN];
	struct eg_prefix subnet;
	int result;

	if (is_link_local(addr))
		return 0;
	if (!known_outside(target, survey, underlay, addr, &subnet)) {
		if (policy->lan && eg_addr_is_lan(addr->family, &addr->addr))
			return 0;
		if ((*unknown)++ >= SHOWN_MAX)
			return 0;
		eg_text_printf(warnings,
			       "%s has the address %s, which nothing outside the namespace knows: "
			       "unless a rule allows it, packets from it are dropped (source)\n",
			       escaped_name(name, &underlay->link), eg_prefix_format(text, &own));
		return 0;
	}
	result = eg_policy_add_prefix(&policy->derived.sources, &policy->derived.n_sources, &own);
	if (result == 0)
		result = add_on_link(&policy->derived, &subnet);
	return result;
}

static int take_addresses(const struct eg_target *target, const struct eg_survey *survey,
			  struct eg_policy *policy, struct eg_text *warnings,
			  struct eg_error *error)
{
	EG_AUTO_FREE struct eg_link_addr *addrs = NULL;
	size_t n = 0, unknown = 0;
	int result = eg_addrs_get(&target->netns, &addrs, &n);

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot list the namespace's addresses: %s", strerror(-result));
	for (size_t i = 0; result == 0 && i < n; i++) {
		for (size_t j = 0; result == 0 && j < survey->n_underlays; j++) {
			if (survey->underlays[j].link.ifindex == addrs[i].ifindex)
				result = take_underlay_addr(target, survey, &survey->underlays[j],
							    &addrs[i], policy, &unknown, warnings);
		}
		for (size_t j = 0; result == 0 && j < survey->n_tunnels; j++) {
			struct eg_prefix subnet = subnet_of(&addrs[i]);

			if (survey->tunnels[j].link.ifindex == addrs[i].ifindex &&
			    !is_link_local(&addrs[i]) &&
			    policy->derived.n_tunnel_only < TUNNEL_ONLY_MAX)
				result = add_tunnel_only(policy, &subnet);
		}
	}
	if (unknown > SHOWN_MAX)
		eg_text_printf(warnings,
			       "%zu more addresses are there that nothing outside the namespace "
			       "knows\n",
			       unknown - SHOWN_MAX);
	return result < 0 ? eg_error_no_memory(error) : 0;
}

/* --- what the user should know --------------------------------------------------------------- */

static void warn_overlap(const struct eg_policy *policy, struct eg_text *warnings)
{
	const struct eg_derived *derived = &policy->derived;
	size_t overlaps = 0;

	for (size_t i = 0; i < derived->n_tunnel_only; i++) {
		for (size_t j = 0; j < derived->n_on_link; j++) {
			const struct eg_prefix *tunnel = &derived->tunnel_only[i];
			const struct eg_prefix *underlay = &derived->on_link[j];
			char first[EG_ADDRESS_TEXT_LEN];
			char second[EG_ADDRESS_TEXT_LEN];

			if (!eg_prefix_covers(tunnel, underlay) &&
			    !eg_prefix_covers(underlay, tunnel))
				continue;
			if (overlaps++ >= SHOWN_MAX)
				continue;
			eg_text_printf(
				warnings,
				"the tunnel's own %s overlaps the underlay's %s: it is "
				"reachable through the tunnel only, unless --allow names it\n",
				eg_prefix_format(first, tunnel),
				eg_prefix_format(second, underlay));
		}
	}
	if (overlaps > SHOWN_MAX)
		eg_text_printf(warnings,
			       "%zu more of the tunnel's prefixes overlap the underlay's\n",
			       overlaps - SHOWN_MAX);
}

/* A Docker network outside RFC 1918, say: the gateway and the neighbours are not LAN. */
static void warn_not_lan(const struct eg_policy *policy, struct eg_text *warnings)
{
	EG_AUTO_IMAGE struct eg_image *image = NULL;

	if (!policy->lan || eg_image_compile(policy, &image, NULL) < 0)
		return;
	for (size_t i = 0; i < policy->derived.n_on_link; i++) {
		const struct eg_prefix *subnet = &policy->derived.on_link[i];
		struct eg_addr_value value = eg_image_addr(image, subnet->family, &subnet->addr);
		char text[EG_ADDRESS_TEXT_LEN];

		if (value.flags & (EG_ADDR_LAN | EG_ADDR_RULE))
			continue;
		eg_prefix_format(text, subnet);
		eg_text_printf(
			warnings,
			"the underlay's network %s is not LAN (RFC 1918, fc00::/7): if it is "
			"meant to be reachable, --allow %s\n",
			text, text);
	}
}

static void warn_names(const struct eg_policy *policy, struct eg_text *warnings)
{
	if (policy->n_bootstrap_dns && !policy->derived.n_names)
		eg_text_printf(warnings,
			       "--bootstrap-dns lets nothing be asked, as no endpoint is given by "
			       "name: --endpoint NAME:PORT, or --wg-conf FILE\n");
	if (policy->n_bootstrap_dns && policy->dns == EG_DNS_LAN)
		eg_text_printf(warnings,
			       "with --dns lan any name may be asked for of resolvers in the LAN, "
			       "whatever --bootstrap-dns says\n");
}

static void warn_dns(const struct eg_policy *policy, struct eg_text *warnings)
{
	if (policy->dns == EG_DNS_AUTO && eg_policy_dns(policy) == EG_DNS_LAN)
		eg_text_printf(
			warnings,
			"the tunnel names no DNS servers that are known here, so DNS queries to "
			"the LAN are allowed and counted as lan-dns: --dns tunnel forbids them, "
			"--dns lan accepts them\n");
}

int eg_derive(const struct eg_target *target, const struct eg_survey *survey,
	      const struct eg_policy *in_force, enum eg_derive_terms terms,
	      struct eg_policy *policy, struct eg_text *warnings, struct eg_error *error)
{
	/* A guard on a cgroup does not see them wherever they leave. */
	const bool on_cgroup =
		strncmp(target->text, EG_CGROUP_PREFIX, strlen(EG_CGROUP_PREFIX)) == 0;
	int result = take_conf(target, terms, policy, warnings, error);

	if (result == 0)
		result = take_endpoints(target, survey, in_force, terms, policy, warnings, error);
	if (result == 0 && in_force)
		result = keep_narrowing(in_force, policy, error);
	if (result == 0 && target->netns.fd >= 0)
		result = take_addresses(target, survey, policy, warnings, error);
	if (result < 0)
		return result;
	for (size_t i = 0; i < survey->n_tunnels; i++)
		eg_derive_mismatch(&target->netns, &survey->tunnels[i], policy, warnings,
				   on_cgroup ? NULL : warnings);
	warn_overlap(policy, warnings);
	warn_not_lan(policy, warnings);
	warn_names(policy, warnings);
	warn_dns(policy, warnings);
	return 0;
}
