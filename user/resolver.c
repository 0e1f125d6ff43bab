// SPDX-License-Identifier: GPL-2.0
#include "resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/cgroup.h"
#include "net/container_netns.h"
#include "net/sockets.h"
#include "policy/address.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/text.h"

#define PIDS_MAX        64
#define RESOLV_CONF_MAX (64U << 10)
#define OWNERS_MAX      4 /* a container in another's network, in another's … */

const char *const eg_resolver_way_names[4] = {
	[EG_RESOLVER_NONE] = "none",
	[EG_RESOLVER_INSIDE] = "inside",
	[EG_RESOLVER_OUTSIDE] = "outside",
	[EG_RESOLVER_UNKNOWN] = "not known",
};

static const char fix[] = "the fix: `dns:` in the compose file, with the address of the tunnel's "
			  "resolver";

/* --- resolv.conf --------------------------------------------------------------------------------
 */

/* The line's first word is `keyword`, and then `word`. */
static bool line_has(const char *line, const char *keyword, const char *word)
{
	size_t blank;

	line += strspn(line, " \t");
	if (strncmp(line, keyword, strlen(keyword)) != 0)
		return false;
	line += strlen(keyword);
	blank = strspn(line, " \t");
	return blank && strcspn(line + blank, " \t\r\n#") == strlen(word) &&
	       strncmp(line + blank, word, strlen(word)) == 0;
}

static const char *next_line(const char *line)
{
	line = strchr(line, '\n');
	return line ? line + 1 : NULL;
}

bool eg_resolv_conf_has_docker(const char *text)
{
	for (const char *line = text; line; line = next_line(line)) {
		if (line_has(line, "nameserver", EG_DOCKER_RESOLVER))
			return true;
	}
	return false;
}

bool eg_resolv_conf_asks_host(const char *text)
{
	static const char comment[] = "# ExtServers:";

	for (const char *line = text; line; line = next_line(line)) {
		size_t len = strcspn(line, "\n");

		if (strncmp(line, comment, strlen(comment)) == 0 && memmem(line, len, "host(", 5))
			return true;
	}
	return false;
}

/* --- who asks it ---------------------------------------------------------------------------------
 */

struct asker {
	pid_t pid;
	bool from_host; /* as its resolv.conf says */
};

/* 1 or 0; 0 also where there is nothing to ask by. */
static int look_at_process(pid_t pid, struct asker *asker)
{
	EG_AUTO_CLOSE int root = -1;
	EG_AUTO_FREE char *text = NULL;
	char path[32];
	size_t len = 0;
	int result;

	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		result = -errno;
	else
		result = eg_file_read_in_root(root, "/etc/resolv.conf", RESOLV_CONF_MAX, &text,
					      &len);
	switch (-result) {
	case 0:
		break;
	case ENOENT:
	case ESRCH:
	case ENOTDIR:
	case ELOOP:
		return 0;
	default:
		return result;
	}
	if (!eg_resolv_conf_has_docker(text))
		return 0;
	*asker = (struct asker){.pid = pid, .from_host = eg_resolv_conf_asks_host(text)};
	return 1;
}

static int look_for_sockets(void *argument)
{
	union eg_addr addr;
	char address[16];
	__u8 family;
	int udp, tcp;

	(void)argument;
	if (eg_addr_parse(EG_DOCKER_RESOLVER, &family, &addr, NULL) < 0)
		return -EINVAL;
	snprintf(address, sizeof(address), "%08X:", addr.v4_be);
	udp = eg_sockets_has("udp", address);
	tcp = eg_sockets_has("tcp", address);
	return udp > 0 || tcp > 0 ? 1 : udp < 0 ? udp : tcp;
}

/*
 * 1, 0, or why some process could not be looked at. A process whose resolv.conf names other servers
 * can ask it all the same: what counts is whether anything listens at its address.
 */
static int find_asker(const struct eg_netns *netns, struct asker *asker)
{
	pid_t pids[PIDS_MAX];
	size_t n = 0;
	int failed = eg_netns_pids(netns, pids, PIDS_MAX, &n);
	int listens;

	for (size_t i = 0; i < n; i++) {
		int asks = look_at_process(pids[i], asker);

		if (asks > 0)
			return 1;
		if (asks < 0 && !failed)
			failed = asks;
	}
	listens = eg_netns_run(netns, look_for_sockets, NULL);
	if (listens <= 0)
		return failed ? failed : listens;
	*asker = (struct asker){.pid = n ? pids[0] : 0};
	return 1;
}

/* --- the container that has the resolver
 * ------------------------------------------------------------ */

static bool is_users_network(const struct eg_container *container)
{
	static const char *const without[] = {"default", "bridge", "none", "host"};
	const char *mode = container->network_mode;

	if (container->runtime != EG_RUNTIME_DOCKER || !mode || !*mode)
		return false;
	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
		if (strcmp(mode, without[i]) == 0)
			return false;
	}
	return true;
}

/* The one in whose network a container is: the resolver is that one's, with its settings. */
static int find_owner(const char *id, struct eg_container *ret_owner)
{
	static const char shared[] = "container:";
	char name[sizeof(ret_owner->id)];

	snprintf(name, sizeof(name), "%s", id);
	for (int i = 0; i < OWNERS_MAX; i++) {
		EG_AUTO_CONTAINER struct eg_container container = {};
		int result = eg_runtime_inspect(EG_RUNTIME_DOCKER, name, &container, NULL);

		if (result < 0)
			return result;
		if (!container.network_mode ||
		    strncmp(container.network_mode, shared, strlen(shared)) != 0) {
			*ret_owner = container;
			container = (struct eg_container){};
			return 0;
		}
		if (strlen(container.network_mode + strlen(shared)) >= sizeof(name))
			return -EBADMSG;
		strcpy(name, container.network_mode + strlen(shared));
	}
	return -ELOOP;
}

/* That it is this namespace which the container's processes are in: a process may have come in
 * here from a container of another. */
static int check_netns(const struct eg_netns *netns, const struct eg_container *owner)
{
	EG_AUTO_NETNS struct eg_netns own = EG_NETNS_NONE;
	int result = eg_container_netns(owner, &own, NULL);

	if (result < 0)
		return result;
	return eg_netns_same(&own, netns) ? 0 : -ENOENT;
}

static int owner_of(const struct eg_netns *netns, const struct eg_container *known, pid_t pid,
		    struct eg_container *ret_owner)
{
	EG_AUTO_CONTAINER struct eg_container owner = {};
	char id[sizeof(owner.id)];
	int result = -ENOENT;

	if (known && known->runtime == EG_RUNTIME_DOCKER)
		result = find_owner(known->id, &owner);
	else if (pid && eg_cgroup_container_of(pid, id))
		result = find_owner(id, &owner);
	if (result == 0)
		result = check_netns(netns, &owner);
	if (result < 0)
		return result;
	*ret_owner = owner;
	owner = (struct eg_container){};
	return 0;
}

/* --- where it asks
 * ----------------------------------------------------------------------------------- */

static void say_unknown(struct eg_resolver *resolver, const char *why)
{
	resolver->way = EG_RESOLVER_UNKNOWN;
	snprintf(resolver->why, sizeof(resolver->why),
		 "cannot tell from which namespace Docker's resolver " EG_DOCKER_RESOLVER
		 " asks (%s), so it may be the host's, where no layer sees it; %s",
		 why, fix);
}

static void say_outside(struct eg_resolver *resolver)
{
	resolver->way = EG_RESOLVER_OUTSIDE;
	snprintf(resolver->why, sizeof(resolver->why),
		 "Docker's resolver " EG_DOCKER_RESOLVER
		 " asks from the host's namespace, where no layer sees it (ExtServers in "
		 "resolv.conf); %s",
		 fix);
}

/* Servers that the user named are asked from the container's namespace, by all versions. One on
 * loopback is the container's own, and what asks on from there is judged. */
static bool are_asked_inside(const struct eg_container *owner)
{
	union eg_addr addr;
	__u8 family;

	if (!owner->dns || !owner->dns[0])
		return false;
	for (char **server = owner->dns; *server; server++) {
		if (eg_addr_parse(*server, &family, &addr, NULL) < 0 ||
		    (family == EG_FAMILY_IPV4 && addr.bytes[0] == 127))
			return false;
	}
	return true;
}

static void judge(const struct eg_container *owner, struct eg_resolver *resolver)
{
	char version[64] = "", safe[256], why[512];

	if (are_asked_inside(owner)) {
		resolver->way = EG_RESOLVER_INSIDE;
		return;
	}
	if (owner->dns && owner->dns[0]) {
		say_unknown(resolver, "one of its servers is on loopback");
		return;
	}
	if (eg_runtime_version(EG_RUNTIME_DOCKER, version, sizeof(version)) < 0)
		snprintf(version, sizeof(version), "of a version that it does not tell");
	snprintf(
		why, sizeof(why),
		"the container has no `dns:`, and Docker %s does not tell where it has its servers "
		"from",
		eg_escape(safe, sizeof(safe), version, strlen(version)));
	say_unknown(resolver, why);
}

void eg_resolver_find(const struct eg_netns *netns, const struct eg_container *known,
		      struct eg_resolver *ret_resolver)
{
	EG_AUTO_CONTAINER struct eg_container owner = {};
	struct eg_resolver resolver = {.way = EG_RESOLVER_NONE};
	struct asker asker = {};
	int asks = find_asker(netns, &asker);
	int found = -ENOENT;

	if (asks > 0 || (known && known->runtime == EG_RUNTIME_DOCKER))
		found = owner_of(netns, known, asker.pid, &owner);
	if (asks > 0 && asker.from_host)
		say_outside(&resolver);
	else if (found == 0 && (asks > 0 || is_users_network(&owner)))
		judge(&owner, &resolver);
	else if (asks > 0)
		say_unknown(&resolver, "the engine cannot be asked about its container");
	else if (asks < 0)
		say_unknown(&resolver, "the resolvers of its processes cannot be looked at");
	*ret_resolver = resolver;
}

void eg_resolver_presume(const struct eg_container *known, struct eg_resolver *ret_resolver)
{
	*ret_resolver = (struct eg_resolver){.way = EG_RESOLVER_NONE};
	if (known && known->runtime == EG_RUNTIME_DOCKER)
		say_unknown(ret_resolver, "the container is only being started");
}

bool eg_resolver_is_refused(const struct eg_resolver *resolver, const struct eg_policy *policy)
{
	const union eg_addr address = {.bytes = {127, 0, 0, 11}};

	if (resolver->way == EG_RESOLVER_NONE || resolver->way == EG_RESOLVER_INSIDE ||
	    eg_policy_dns(policy) != EG_DNS_TUNNEL)
		return false;
	for (size_t i = 0; i < policy->n_allow_dns; i++) {
		if (eg_prefix_contains(&policy->allow_dns[i], EG_FAMILY_IPV4, &address))
			return false;
	}
	return true;
}
