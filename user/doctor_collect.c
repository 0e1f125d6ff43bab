// SPDX-License-Identifier: GPL-2.0
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "collect.h"
#include "net/mute.h"
#include "policy/address.h"
#include "policy/array.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/text.h"

#define NS_PER_S  1000000000ULL
#define ANSWER_MS 3000
/* Whoever can read what he gets answers within ten seconds, if only by a keepalive. */
#define KEEPALIVE_MS 12000
#define OWNERS_MAX   4 /* a container in another's network, in another's ... */

void eg_doctor_say(char to[EG_DOCTOR_WHY], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(to, EG_DOCTOR_WHY, format, arguments);
	va_end(arguments);
}

/* --- interfaces ------------------------------------------------------------------------------- */

static const struct eg_link *find_link(const struct eg_doctor_facts *facts, const char *name)
{
	for (size_t i = 0; i < facts->n_links; i++) {
		if (strcmp(facts->links[i].name, name) == 0)
			return &facts->links[i];
	}
	return NULL;
}

/* By its name, where one was given; else the one that is a tunnel, else wg0. */
static void find_tunnel(const char *name, const struct eg_netns *netns,
			struct eg_doctor_facts *facts)
{
	for (size_t i = 0; !name && i < facts->n_links; i++) {
		const struct eg_link *link = &facts->links[i];
		enum eg_tunnel_kind kind = eg_tunnel_kind(netns, link);

		if (kind == EG_TUNNEL_KERNEL || kind == EG_TUNNEL_USERSPACE)
			name = link->name;
	}
	snprintf(facts->tunnel, sizeof(facts->tunnel), "%s", name ? name : "wg0");
	facts->tunnel_link = find_link(facts, facts->tunnel);
	if (facts->tunnel_link)
		facts->kind = eg_tunnel_kind(netns, facts->tunnel_link);
}

static void find_underlay(struct eg_doctor_facts *facts)
{
	for (size_t i = 0; i < facts->n_links; i++) {
		const struct eg_link *link = &facts->links[i];

		if (link->loopback || link == facts->tunnel_link ||
		    strcmp(link->kind, "wireguard") == 0 || !(link->flags & IFF_UP))
			continue;
		snprintf(facts->underlay, sizeof(facts->underlay), "%s", link->name);
		return;
	}
}

/* --- its configuration ------------------------------------------------------------------------ */

static const char *const conf_places[] = {
	"/etc/wireguard/%s.conf",
	"/config/wg_confs/%s.conf",
	"/config/%s.conf",
};

/* In the container, as its mounts have it. */
static int open_inside(pid_t pid, struct eg_doctor_facts *facts)
{
	char path[64];
	EG_AUTO_CLOSE int root = -1;
	int result = -ENOENT;

	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(conf_places) / sizeof(conf_places[0]); i++) {
		struct stat info;
		int fd;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(path, sizeof(path), conf_places[i], facts->tunnel);
#pragma GCC diagnostic pop
		fd = eg_open_in_root(root, path, O_PATH);
		if (fd < 0)
			continue;
		if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode)) {
			close(fd);
			continue;
		}
		close(fd);
		fd = eg_open_in_root(root, path, O_RDONLY);
		if (fd < 0) {
			result = fd;
			continue;
		}
		snprintf(facts->conf, sizeof(facts->conf), "%s", path);
		facts->conf_path = strdup(path);
		return fd;
	}
	return result;
}

static int parse_conf(struct eg_doctor_facts *facts, size_t len)
{
	struct eg_error why = {};
	int result = eg_wgfile_parse(facts->conf_text, len, &facts->conf_file, &why);

	if (result == -ENOMEM)
		return result;
	if (result < 0) {
		eg_doctor_say(facts->conf_why, "%s:%u: %s", facts->conf, why.line, why.message);
		return 0;
	}
	facts->conf_facts.ifname = facts->tunnel;
	result = eg_wgmodel_read(facts->conf_file, &facts->conf_facts, &facts->model);
	if (result == 0)
		result = eg_wgcheck(facts->conf_file, &facts->conf_facts, &facts->conf_report);
	return result;
}

int eg_doctor_collect_conf(const struct eg_doctor_request *request, const struct eg_target *target,
			   struct eg_doctor_facts *facts)
{
	EG_AUTO_CLOSE int fd = -ENOENT;
	struct stat info;
	size_t len = 0;
	int result;

	if (request->conf) {
		eg_escape(facts->conf, sizeof(facts->conf), request->conf, strlen(request->conf));
		fd = open(request->conf, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		fd = fd < 0 ? -errno : fd;
		facts->conf_path = fd < 0 ? NULL : strdup(request->conf);
	} else if (target->kind == EG_TARGET_CONTAINER || target->kind == EG_TARGET_PID) {
		fd = open_inside(target->pid, facts);
	}
	if (fd < 0) {
		int errnum = -fd;

		if (request->conf || errnum != ENOENT)
			eg_doctor_say(facts->conf_why, "%s: %s", facts->conf, strerror(errnum));
		else
			eg_doctor_say(
				facts->conf_why,
				"no %s.conf was found in the usual places: name it by --conf FILE",
				facts->tunnel);
		return 0;
	}
	result = fstat(fd, &info) < 0 ? -errno
				      : eg_fd_read(fd, EG_WGFILE_MAX, &facts->conf_text, &len);
	if (result < 0) {
		eg_doctor_say(facts->conf_why, "%s: %s", facts->conf, strerror(-result));
		return result == -ENOMEM ? result : 0;
	}
	if (!facts->conf_path)
		return -ENOMEM;
	facts->conf_changed_realtime_ns =
		(__u64)info.st_mtim.tv_sec * NS_PER_S + (__u64)info.st_mtim.tv_nsec;
	return parse_conf(facts, len);
}

/* --- settings --------------------------------------------------------------------------------- */

struct sysctl_reading {
	const char *underlay, *tunnel;
	struct eg_doctor_sysctls *sysctls;
};

static int read_sysctl(const char *protocol, const char *interface, const char *name)
{
	EG_AUTO_FREE char *text = NULL;
	char path[160];
	size_t len;

	snprintf(path, sizeof(path), "/proc/sys/net/%s/conf/%s/%s", protocol, interface, name);
	if (!*interface || strchr(interface, '/') ||
	    eg_file_read(AT_FDCWD, path, 64, &text, &len) < 0)
		return -1;
	return atoi(text);
}

static int read_sysctls(void *argument)
{
	const struct sysctl_reading *reading = argument;

	*reading->sysctls = (struct eg_doctor_sysctls){
		.rp_filter_all = read_sysctl("ipv4", "all", "rp_filter"),
		.rp_filter_underlay = read_sysctl("ipv4", reading->underlay, "rp_filter"),
		.valid_mark_all = read_sysctl("ipv4", "all", "src_valid_mark"),
		.valid_mark_underlay = read_sysctl("ipv4", reading->underlay, "src_valid_mark"),
		.no_ipv6_all = read_sysctl("ipv6", "all", "disable_ipv6"),
		.no_ipv6_default = read_sysctl("ipv6", "default", "disable_ipv6"),
		.no_ipv6_tunnel = read_sysctl("ipv6", reading->tunnel, "disable_ipv6"),
	};
	return 0;
}

/* --- routes ----------------------------------------------------------------------------------- */

static int add_lookup(const struct eg_netns *netns, const struct eg_prefix *address, bool public,
		      struct eg_doctor_facts *facts)
{
	struct eg_doctor_lookup lookup = {.address = *address, .public = public};

	lookup.result = eg_route_lookup(netns, address->family, &address->addr, 0, &lookup.route);
	return EG_ARRAY_ADD(facts->lookups, facts->n_lookups, lookup);
}

/* Asked of the kernel alone, not sent to: two halves of the internet. */
static int look_up_public(const struct eg_netns *netns, struct eg_doctor_facts *facts)
{
	static const char *const addresses[] = {"1.1.1.1", "203.0.113.1", "2001:db8::1"};
	int result = 0;

	for (size_t i = 0; result == 0 && i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct eg_prefix address = {};

		result = eg_prefix_parse(addresses[i], &address, NULL);
		if (result == 0)
			result = add_lookup(netns, &address, true, facts);
	}
	return result;
}

static int look_up_lan(const struct eg_netns *netns, struct eg_doctor_facts *facts)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < EG_WGLAN_NETWORKS; i++) {
		struct eg_prefix address = eg_doctor_inside(eg_wglan_networks[i]);

		result = add_lookup(netns, &address, false, facts);
	}
	for (size_t i = 0; result == 0 && facts->model && i < facts->model->hooks->n_ops; i++) {
		const struct eg_wgop *op = &facts->model->hooks->ops[i];
		struct eg_prefix address;

		if (!eg_wgop_excludes(op))
			continue;
		address = eg_doctor_inside(&op->prefix);
		result = add_lookup(netns, &address, false, facts);
	}
	return result;
}

static void look_up_endpoint(const struct eg_netns *netns, struct eg_doctor_facts *facts)
{
	for (size_t i = 0; i < facts->wg.n_peers; i++) {
		const struct eg_endpoint *endpoint = &facts->wg.peers[i].endpoint;

		if (!endpoint->family ||
		    (!facts->wg.peers[i].default_route && facts->wg.n_peers > 1))
			continue;
		facts->have_endpoint = true;
		facts->endpoint.address = (struct eg_prefix){
			.addr = endpoint->addr,
			.family = endpoint->family,
			.len = eg_family_bits(endpoint->family),
		};
		facts->endpoint.result = eg_route_lookup(netns, endpoint->family, &endpoint->addr,
							 facts->wg.fwmark, &facts->endpoint.route);
		return;
	}
}

int eg_doctor_collect_routes(const struct eg_target *target, struct eg_doctor_facts *facts)
{
	const struct eg_netns *netns = &target->netns;
	struct sysctl_reading reading = {facts->underlay, facts->tunnel, &facts->sysctls};
	int result;

	facts->sysctls = (struct eg_doctor_sysctls){-1, -1, -1, -1, -1, -1, -1};
	(void)eg_netns_run(netns, read_sysctls, &reading);
	result = eg_routes_get(netns, &facts->routes, &facts->n_routes);
	if (result == 0)
		result = eg_ip_rules_get(netns, &facts->rules, &facts->n_rules);
	facts->mute = eg_is_mute(netns) > 0;
	facts->routes_result = result;
	facts->have_routes = result == 0;
	if (result == 0)
		result = look_up_public(netns, facts);
	if (result == 0)
		result = look_up_lan(netns, facts);
	look_up_endpoint(netns, facts);
	return result == -ENOMEM ? result : 0;
}

/* --- the guard -------------------------------------------------------------------------------- */

static bool has_endpoint(const struct eg_guard_view *guard, const struct eg_doctor_facts *facts)
{
	for (size_t i = 0; i < facts->wg.n_peers; i++) {
		const struct eg_endpoint *endpoint = &facts->wg.peers[i].endpoint;
		char text[EG_ADDRESS_TEXT_LEN];

		if (!endpoint->family || !facts->have_endpoint ||
		    memcmp(&endpoint->addr, &facts->endpoint.address.addr,
			   sizeof(endpoint->addr)) != 0)
			continue;
		eg_endpoint_format(text, endpoint);
		for (char **known = guard->endpoints; known && *known; known++) {
			if (strcmp(*known, text) == 0)
				return true;
		}
	}
	return false;
}

static void take_guard(const struct eg_guard_view *guard, struct eg_doctor_facts *facts)
{
	const char *reason = guard->reason ? guard->reason : "";

	facts->guard = guard->state == EG_STATE_ENFORCING ? EG_DOCTOR_GUARD_ENFORCING
							  : EG_DOCTOR_GUARD_OTHER;
	eg_escape(facts->guard_name, sizeof(facts->guard_name), guard->name, strlen(guard->name));
	snprintf(facts->guard_state, sizeof(facts->guard_state), "%s",
		 eg_guard_state_names[guard->state]);
	eg_escape(facts->guard_why, sizeof(facts->guard_why), reason, strlen(reason));
	eg_doctor_word(facts->words.guard, guard->name);
	if (guard->target)
		eg_doctor_word(facts->words.guard_target, guard->target);
	facts->guard_endpoint_known =
		facts->have_endpoint && guard->endpoints && guard->endpoints[0];
	facts->guard_lets_endpoint = facts->guard_endpoint_known && has_endpoint(guard, facts);
}

void eg_doctor_collect_guard(const struct eg_doctor_request *request,
			     const struct eg_target *target, struct eg_doctor_facts *facts)
{
	struct eg_common common = {.pin_dir = request->common->pin_dir};
	EG_AUTO(eg_status_view_free) struct eg_status_view status = {};
	struct eg_error why = {};
	int result;

	common.netns = target->text;
	result = eg_collect_status(&common, &status, &why);
	if (result == -ENOENT || (result == 0 && !status.n_guards)) {
		facts->guard = EG_DOCTOR_GUARD_NONE;
	} else if (result < 0) {
		facts->guard = EG_DOCTOR_GUARD_UNKNOWN;
		eg_doctor_say(facts->guard_why, "%s", why.message);
	} else {
		take_guard(&status.guards[0], facts);
	}
}

/* --- all of it -------------------------------------------------------------------------------- */

static void tell(const struct eg_doctor_request *request, const char *what)
{
	if (request->progress)
		request->progress(what);
}

/* A container that is stopped is no target, and yet what this is about. */
static int collect_stopped(const char *text, struct eg_doctor_facts *facts)
{
	static const char *const prefixes[EG_RUNTIME_COUNT] = {"docker:", "podman:"};

	for (enum eg_runtime runtime = 0; runtime < EG_RUNTIME_COUNT; runtime++) {
		EG_AUTO_CONTAINER struct eg_container container = {};
		size_t len = strlen(prefixes[runtime]);
		const char *name = strncmp(text, prefixes[runtime], len) == 0 ? text + len : text;

		if (eg_runtime_inspect(runtime, name, &container, NULL) < 0 || container.running)
			continue;
		facts->stopped = true;
		facts->podman = runtime == EG_RUNTIME_PODMAN;
		facts->owner = strdup(container.name);
		if (asprintf(&facts->target, "%s%s", prefixes[runtime], container.name) < 0)
			facts->target = NULL;
		if (!facts->owner || !facts->target)
			return -ENOMEM;
		snprintf(facts->tunnel, sizeof(facts->tunnel), "wg0");
		eg_doctor_collect_containers(&container, NULL, facts);
		return 0;
	}
	return -ENOENT;
}

/* What curl said of a port is of use where it is known where that leads to. */
static int check_results(const struct eg_doctor_request *request, const struct eg_target *target,
			 struct eg_error *error)
{
	const struct eg_container *container = &target->container;

	for (size_t i = 0; i < request->n_ports; i++) {
		const struct eg_doctor_port_option *result = &request->ports[i];
		bool known = !result->has_result;

		for (size_t k = 0; !known && k < request->n_ports; k++)
			known = request->ports[k].port &&
				request->ports[k].host_port == result->host_port;
		for (size_t k = 0; !known && k < container->n_published; k++)
			known = container->published[k].host_port == result->host_port;
		if (!known)
			return eg_error_set(
				error, EG_EXIT_USAGE, EINVAL,
				"--host-port %u=%d: no published port %u is known here; "
				"say where it leads to: --port %u:PORT-INSIDE",
				result->host_port, result->curl, result->host_port,
				result->host_port);
	}
	return 0;
}

static bool is_cut_off(const struct eg_doctor_facts *facts)
{
	/* made by modules in each namespace, and down */
	static const char *const fallbacks[] = {"tunl0",   "gre0",    "gretap0",  "erspan0", "sit0",
						"ip6tnl0", "ip_vti0", "ip6_vti0", "ip6gre0"};

	for (size_t i = 0; i < facts->n_links; i++) {
		const struct eg_link *link = &facts->links[i];
		bool fallback = link->loopback;

		for (size_t k = 0; k < sizeof(fallbacks) / sizeof(fallbacks[0]); k++)
			fallback |= strcmp(link->name, fallbacks[k]) == 0;
		if (!fallback)
			return false;
	}
	return true;
}

/* wg-quick gives it its addresses once: the oldest of them tells when. */
static void find_tunnel_age(struct eg_doctor_facts *facts)
{
	__u32 now_cs = (__u32)(eg_monotonic_ms() / 10), age_cs = 0;
	bool known = false;

	for (size_t i = 0; facts->tunnel_link && i < facts->n_addrs; i++) {
		const struct eg_link_addr *addr = &facts->addrs[i];

		if (addr->ifindex != facts->tunnel_link->ifindex || !addr->made_known)
			continue;
		known = true;
		if (now_cs - addr->made_cs > age_cs)
			age_cs = now_cs - addr->made_cs;
	}
	if (known)
		facts->tunnel_made_realtime_ns = eg_realtime_ns() - (__u64)age_cs * 10000000U;
}

static int collect_interfaces(const struct eg_doctor_request *request,
			      const struct eg_target *target, struct eg_doctor_facts *facts)
{
	int result = eg_links_get(&target->netns, &facts->links, &facts->n_links);

	if (result == 0)
		result = eg_addrs_get(&target->netns, &facts->addrs, &facts->n_addrs);
	if (result < 0)
		return result;
	find_tunnel(request->tunnel, &target->netns, facts);
	find_underlay(facts);
	find_tunnel_age(facts);
	facts->cut_off = is_cut_off(facts);
	return 0;
}

/* What is sent into the tunnel, asked of the resolver, and tried at ports; and what comes back. */
static int collect_traffic(const struct eg_doctor_request *request, const struct eg_target *target,
			   struct eg_doctor_facts *facts)
{
	long start = eg_monotonic_ms();
	int result;

	tell(request, "dns");
	if (facts->have_wg)
		facts->send_result = eg_doctor_send_into(&target->netns, facts);
	result = eg_doctor_collect_dns(target, facts);
	if (result == 0)
		eg_doctor_count_traffic(&target->netns, eg_monotonic_ms() + ANSWER_MS, facts);
	if (result == 0) {
		tell(request, "published ports");
		result = eg_doctor_collect_ports(request, target, facts);
	}
	/* silence is silence after a while only */
	if (result == 0 && facts->asked && facts->sent && !facts->received &&
	    eg_doctor_has_session(facts)) {
		tell(request, "what comes back through the tunnel");
		eg_doctor_count_traffic(&target->netns, start + KEEPALIVE_MS, facts);
	}
	return result;
}

static int collect_running(const struct eg_doctor_request *request, const struct eg_target *target,
			   struct eg_doctor_facts *facts)
{
	bool is_container = target->kind == EG_TARGET_CONTAINER;
	int result;

	facts->target = strdup(target->text);
	facts->owner = is_container ? strdup(target->container.name) : NULL;
	if (!facts->target || (is_container && !facts->owner))
		return -ENOMEM;
	if (facts->owner_gone)
		facts->owner_again = eg_doctor_again(&target->container);
	facts->podman = is_container && target->container.runtime == EG_RUNTIME_PODMAN;
	facts->no_network = is_container && target->container.network_mode &&
			    strcmp(target->container.network_mode, "none") == 0;
	facts->started_realtime_ns = target->started_realtime_ns;
	tell(request, "containers");
	eg_doctor_collect_containers(is_container ? &target->container : NULL, target, facts);
	tell(request, "interfaces");
	result = collect_interfaces(request, target, facts);
	if (result < 0)
		return result;
	if (facts->cut_off) {
		eg_doctor_find_rejoin(target, facts);
		return 0;
	}
	tell(request, "wg0.conf");
	result = eg_doctor_collect_conf(request, target, facts);
	if (result < 0)
		return result;
	eg_doctor_collect_words(request, target, facts);
	eg_doctor_collect_wireguard(request, &target->netns, facts);
	tell(request, "routes");
	result = eg_doctor_collect_routes(target, facts);
	if (result == 0) {
		tell(request, "iptables");
		result = eg_doctor_collect_tables(target, facts);
	}
	if (result < 0)
		return result;
	tell(request, "the guard");
	eg_doctor_collect_guard(request, target, facts);
	result = collect_traffic(request, target, facts);
	facts->now_realtime_ns = eg_realtime_ns();
	return result;
}

/* Who was asked about may itself be in another container's network: that one is what this is about.
 * *ret_stranded: that one exists no more. */
static int find_owner(struct eg_target *target, bool *ret_stranded, struct eg_error *error)
{
	static const char shared[] = "container:";

	for (int i = 0; i < OWNERS_MAX && target->kind == EG_TARGET_CONTAINER; i++) {
		EG_AUTO_TARGET struct eg_target owner = {.netns = EG_NETNS_NONE};
		const char *mode = target->container.network_mode;
		char text[EG_TARGET_MAX];
		int result;

		if (!mode || strncmp(mode, shared, strlen(shared)) != 0)
			return 0;
		snprintf(text, sizeof(text), "%s:%s", eg_runtime_names[target->container.runtime],
			 mode + strlen(shared));
		result = eg_target_resolve(text, &owner, error);
		if (result == -ENOENT) {
			*ret_stranded = true;
			return 0;
		}
		if (result < 0)
			return result;
		eg_target_close(target);
		*target = owner;
		owner = (struct eg_target){.netns = EG_NETNS_NONE};
	}
	return 0;
}

int eg_doctor_collect(const struct eg_doctor_request *request, struct eg_doctor_facts *facts,
		      struct eg_error *error)
{
	EG_AUTO_TARGET struct eg_target target = {.netns = EG_NETNS_NONE};
	bool stranded = false;
	int result = eg_target_resolve(request->common->netns, &target, error);

	if (result == 0)
		result = find_owner(&target, &stranded, error);
	if (result == -ESRCH) {
		result = collect_stopped(request->common->netns, facts);
		if (result == -ENOENT)
			return -ESRCH; /* as `error` says */
	} else if (result < 0) {
		return result;
	} else {
		facts->owner_gone = stranded;
		result = check_results(request, &target, error);
		if (result < 0)
			return result;
		result = collect_running(request, &target, facts);
	}
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot look at the namespace: %s", strerror(-result));
	return 0;
}
