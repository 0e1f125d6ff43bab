// SPDX-License-Identifier: GPL-2.0
/* Which interfaces are the tunnel. */
#include "derive.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"

#define TUNNEL_NAME_DEFAULT "wg0"

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

/* What there is to choose from. Owns nothing. */
struct choice {
	const struct eg_netns *netns;
	const struct eg_link *links;
	size_t n;
	bool unattended;
	struct eg_policy *policy;
	struct eg_text *warnings;
};

/* What whoever is root inside can bring about. A person is asked to put it right; where nobody is
 * there, `instead` is done, and the namespace not left open. */
static int give_up_or_warn(const struct choice *choice, const struct eg_error *why,
			   const char *instead, struct eg_error *error)
{
	if (!choice->unattended) {
		if (error)
			*error = *why;
		return -EINVAL;
	}
	eg_text_printf(choice->warnings, "%s; %s\n", why->message, instead);
	return 0;
}

static bool is_wireguard(const struct choice *choice, const struct eg_link *link)
{
	enum eg_tunnel_kind kind = eg_tunnel_kind(choice->netns, link);

	return kind == EG_TUNNEL_KERNEL || kind == EG_TUNNEL_USERSPACE;
}

/* Nobody named the tunnel this time: it stays what it was. A WireGuard device that has come since,
 * while that one is away, may have been made inside, and would be free from then on. */
static int keep_tunnels(const struct choice *choice, const struct eg_policy *in_force,
			struct eg_error *error)
{
	const struct eg_link *other = NULL;
	struct eg_error why = {};
	char name[EG_LINK_NAME_LEN];
	bool there = false;
	int result = 0;

	for (size_t i = 0; i < choice->n; i++) {
		const struct eg_link *link = &choice->links[i];

		if (!is_wireguard(choice, link))
			continue;
		if (eg_policy_has_tunnel(in_force, link->name))
			there = true;
		else
			other = link;
	}
	if (other && !there) {
		eg_error_set(&why, EG_EXIT_USAGE, EINVAL,
			     "the guard in force has the tunnel %s, which is not there; %s is "
			     "WireGuard too, but nobody named it, and whoever is root inside "
			     "can make one: if it is the tunnel now, --tunnel %s; if not, "
			     "--tunnel %s",
			     in_force->tunnels[0], eg_link_name(name, other), name,
			     in_force->tunnels[0]);
		result = give_up_or_warn(choice, &why, "the tunnel stays what it was", error);
	}
	for (size_t i = 0; result == 0 && i < in_force->n_tunnels; i++)
		result = add_tunnel(choice->policy, in_force->tunnels[i], error);
	return result;
}

/* The one WireGuard interface, *ret_found, NULL: there is none. -EINVAL: which one is meant cannot
 * be told. */
static int find_wireguard(const struct choice *choice, const struct eg_link **ret_found,
			  struct eg_error *why)
{
	const struct eg_link *found = NULL;
	char first[EG_LINK_NAME_LEN], second[EG_LINK_NAME_LEN];

	for (size_t i = 0; i < choice->n; i++) {
		const struct eg_link *link = &choice->links[i];

		if (!is_wireguard(choice, link))
			continue;
		if (found)
			return eg_error_set(
				why, EG_EXIT_USAGE, EINVAL,
				"the namespace has two WireGuard interfaces, %s and %s: "
				"name the tunnel with --tunnel %s (or both, if traffic "
				"through either is meant to be free)",
				eg_link_name(first, found), eg_link_name(second, link), first);
		found = link;
	}
	if (found && !is_plain_name(found->name))
		return eg_error_set(
			why, EG_EXIT_USAGE, EINVAL,
			"the WireGuard interface is called '%s', which is no name to be "
			"trusted: rename it, or name it with --tunnel",
			eg_link_name(first, found));
	*ret_found = found;
	return 0;
}

static int choose_tunnel(const struct choice *choice, struct eg_error *error)
{
	const struct eg_link *found = NULL;
	struct eg_error why = {};
	int result = find_wireguard(choice, &found, &why);

	if (result < 0)
		result = give_up_or_warn(
			choice, &why,
			"the tunnel is " TUNNEL_NAME_DEFAULT " until the policy names it", error);
	return result < 0 ? result
			  : add_tunnel(choice->policy, found ? found->name : TUNNEL_NAME_DEFAULT,
				       error);
}

static int check_declared(const struct eg_netns *netns, const struct eg_link *link,
			  struct eg_error *error)
{
	char name[EG_LINK_NAME_LEN];
	char kind[sizeof(link->kind) * 4];

	eg_link_name(name, link);
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
static void warn_undeclared(const struct choice *choice, const struct eg_link *link)
{
	char name[EG_LINK_NAME_LEN];

	if (!is_wireguard(choice, link))
		return;
	eg_link_name(name, link);
	eg_text_printf(choice->warnings,
		       "%s is WireGuard, but the policy's tunnel is %s: what goes through %s is "
		       "judged as if it left in the clear. If it is the tunnel: --tunnel %s\n",
		       name, choice->policy->tunnels[0], name, name);
}

int eg_derive_tunnels(const struct eg_netns *netns, const struct eg_policy *in_force,
		      bool unattended, struct eg_policy *policy, struct eg_text *warnings,
		      struct eg_error *error)
{
	EG_AUTO_FREE struct eg_link *links = NULL;
	struct choice choice = {
		.netns = netns, .unattended = unattended, .policy = policy, .warnings = warnings};
	struct eg_error why = {};
	int result = netns->fd < 0 ? 0 : eg_links_get(netns, &links, &choice.n);

	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot list the namespace's interfaces: %s",
				    strerror(-result));
	choice.links = links;
	if (policy->n_tunnels == 0)
		result = in_force && in_force->n_tunnels ? keep_tunnels(&choice, in_force, error)
							 : choose_tunnel(&choice, error);
	for (size_t i = 0; result == 0 && i < choice.n; i++) {
		if (!eg_policy_has_tunnel(policy, links[i].name))
			warn_undeclared(&choice, &links[i]);
		else if (check_declared(netns, &links[i], &why) < 0)
			result = give_up_or_warn(&choice, &why,
						 "what goes through it is judged as if it left in "
						 "the clear",
						 error);
	}
	return result;
}
