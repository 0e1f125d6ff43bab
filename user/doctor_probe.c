// SPDX-License-Identifier: GPL-2.0
/* What people notice, tried: names, and published ports from the host and from inside. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "doctor.h"
#include "net/survey.h"
#include "policy/address.h"
#include "policy/array.h"
#include "resolver.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/text.h"

#define CONNECT_MS      2000
#define ANSWER_MS       3000
#define DNS_MS          1500
#define DNS_TRIES       2
#define DNS_MAX         4
#define DNS_SERVFAIL    2
#define PORTS_MAX       32
#define RESOLV_CONF_MAX (64U << 10)

/* An address of either family, and a port. */
struct place {
	struct sockaddr_storage address;
	socklen_t len;
};

static struct place place_of(__u8 family, const union eg_addr *addr, __u16 port)
{
	struct place place = {};

	if (family == EG_FAMILY_IPV4) {
		struct sockaddr_in *to = (struct sockaddr_in *)&place.address;

		to->sin_family = AF_INET;
		to->sin_port = htons(port);
		memcpy(&to->sin_addr, addr->bytes, 4);
		place.len = sizeof(*to);
	} else {
		struct sockaddr_in6 *to = (struct sockaddr_in6 *)&place.address;

		to->sin6_family = AF_INET6;
		to->sin6_port = htons(port);
		memcpy(&to->sin6_addr, addr->bytes, 16);
		place.len = sizeof(*to);
	}
	return place;
}

static bool wait_for(int fd, short events, int ms)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};
	int n;

	do {
		n = poll(&poll_fd, 1, ms);
	} while (n < 0 && errno == EINTR);
	return n > 0;
}

/* --- DNS -------------------------------------------------------------------------------------- */

struct dns_question {
	struct place to;
	bool answered;
	bool failed; /* it says that it could not find out */
};

/* A name that nobody has (RFC 2606), so that no cache answers. */
static size_t make_query(__u8 query[64])
{
	static const __u8 tail[] = {7, 'i', 'n', 'v', 'a', 'l', 'i', 'd', 0, 0, 1, 0, 1};
	__u8 random[10] = {};
	char label[24];
	size_t len;

	(void)!getrandom(random, sizeof(random), GRND_NONBLOCK);
	snprintf(label, sizeof(label), "eg%02x%02x%02x%02x%02x%02x", random[2], random[3],
		 random[4], random[5], random[6], random[7]);
	memcpy(query, random, 2);
	memcpy(query + 2, (const __u8[]){1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, 10);
	len = strlen(label);
	query[12] = (__u8)len;
	memcpy(query + 13, label, len);
	memcpy(query + 13 + len, tail, sizeof(tail));
	return 13 + len + sizeof(tail);
}

static int ask_dns(void *argument)
{
	struct dns_question *question = argument;
	EG_AUTO_CLOSE int fd = socket(question->to.address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	__u8 query[64], answer[512];
	size_t len = make_query(query);

	if (fd < 0 || connect(fd, (struct sockaddr *)&question->to.address, question->to.len) < 0)
		return -errno;
	for (int i = 0; i < DNS_TRIES && !question->answered; i++) {
		if (send(fd, query, len, 0) < 0 && errno != ECONNREFUSED)
			return -errno;
		if (!wait_for(fd, POLLIN, DNS_MS))
			continue;
		question->answered = recv(fd, answer, sizeof(answer), MSG_DONTWAIT) >= 12 &&
				     memcmp(answer, query, 2) == 0;
		question->failed = question->answered && (answer[3] & 0xf) == DNS_SERVFAIL;
	}
	return 0;
}

static enum eg_doctor_dns_seen seen_of(enum eg_resolver_seen seen)
{
	switch (seen) {
	case EG_RESOLVER_SEEN_NOWHERE:
		break;
	case EG_RESOLVER_SEEN_TUNNEL:
		return EG_DOCTOR_DNS_TUNNEL;
	case EG_RESOLVER_SEEN_UNDERLAY:
		return EG_DOCTOR_DNS_UNDERLAY;
	case EG_RESOLVER_SEEN_OUTSIDE:
		return EG_DOCTOR_DNS_OUTSIDE;
	}
	return EG_DOCTOR_DNS_NOT_SEEN;
}

static void ask_docker(const struct eg_target *target, const struct eg_doctor_facts *facts,
		       struct eg_doctor_dns *dns)
{
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	EG_AUTO_SURVEY struct eg_survey survey = {};
	enum eg_resolver_seen seen = EG_RESOLVER_SEEN_NOWHERE;

	if (eg_policy_new(&policy) < 0 ||
	    eg_policy_set(policy, EG_KEY_TUNNEL, facts->tunnel, NULL) < 0 ||
	    eg_survey_take(&target->netns, policy, &survey, NULL) < 0 ||
	    eg_resolver_ask(&target->netns, &survey, &seen) < 0)
		return;
	dns->seen = seen_of(seen);
}

/* No answer would come through a tunnel that has no session: that is said without waiting for it.
 */
static bool tunnel_is_dead(const struct eg_doctor_facts *facts)
{
	return facts->provoked && !eg_doctor_has_session(facts);
}

/* What was asked and not answered is silent, and so is what could not be asked. */
static void ask_server(const struct eg_target *target, const struct place *to,
		       struct eg_doctor_dns *dns)
{
	struct dns_question question = {.to = *to};
	int result = eg_netns_run(&target->netns, ask_dns, &question);

	dns->errnum = result < 0 ? -result : 0;
	dns->asked = question.failed     ? EG_DOCTOR_DNS_FAILED
		     : question.answered ? EG_DOCTOR_DNS_ANSWERED
					 : EG_DOCTOR_DNS_SILENT;
}

static int add_server(const char *text, const struct eg_target *target,
		      struct eg_doctor_facts *facts)
{
	struct eg_doctor_dns dns = {};
	struct eg_route route;
	struct place to;
	union eg_addr addr;
	__u8 family;

	eg_escape(dns.server, sizeof(dns.server), text, strlen(text));
	if (eg_addr_parse(text, &family, &addr, NULL) < 0)
		return EG_ARRAY_ADD(facts->dns, facts->n_dns, dns);
	dns.address =
		(struct eg_prefix){.addr = addr, .family = family, .len = eg_family_bits(family)};
	dns.docker = strcmp(text, EG_DOCKER_RESOLVER) == 0;
	dns.loopback = family == EG_FAMILY_IPV4 && addr.bytes[0] == 127;
	to = place_of(family, &addr, 53);
	if (dns.docker) {
		ask_docker(target, facts, &dns);
		if (!tunnel_is_dead(facts))
			ask_server(target, &to, &dns);
		return EG_ARRAY_ADD(facts->dns, facts->n_dns, dns);
	}
	dns.known = true;
	dns.result = eg_route_lookup(&target->netns, family, &addr, 0, &route);
	if (dns.result < 0) {
		dns.asked = EG_DOCTOR_DNS_SILENT;
		dns.errnum = -dns.result;
	} else {
		dns.ifindex = route.ifindex;
		if (!tunnel_is_dead(facts))
			ask_server(target, &to, &dns);
		/* who answers at all is there */
		if (dns.asked == EG_DOCTOR_DNS_FAILED)
			dns.asked = EG_DOCTOR_DNS_ANSWERED;
	}
	return EG_ARRAY_ADD(facts->dns, facts->n_dns, dns);
}

static int read_servers(char *text, const struct eg_target *target, struct eg_doctor_facts *facts)
{
	char *rest = NULL;
	int result = 0;

	for (char *line = strtok_r(text, "\n", &rest); line && result == 0;
	     line = strtok_r(NULL, "\n", &rest)) {
		char server[64];

		if (facts->n_dns < DNS_MAX && sscanf(line, " nameserver %63s", server) == 1)
			result = add_server(server, target, facts);
	}
	return result;
}

/* What `ip netns exec` gives to what it starts in a namespace of a name. */
static int read_named(const struct eg_target *target, char **ret_text, size_t *ret_len,
		      struct eg_doctor_facts *facts)
{
	static const char kind[] = "netns:";
	char path[EG_TARGET_MAX + 32];

	if (target->kind != EG_TARGET_NETNS)
		return -ENOENT;
	snprintf(path, sizeof(path), "/etc/netns/%s/resolv.conf", target->text + strlen(kind));
	eg_escape(facts->resolv_conf, sizeof(facts->resolv_conf), path, strlen(path));
	return eg_file_read(AT_FDCWD, path, RESOLV_CONF_MAX, ret_text, ret_len);
}

int eg_doctor_collect_dns(const struct eg_target *target, struct eg_doctor_facts *facts)
{
	EG_AUTO_CLOSE int root = -1;
	EG_AUTO_FREE char *text = NULL;
	pid_t pid = eg_doctor_resolv_pid(target);
	char path[32];
	size_t len;
	int result;

	if (!pid) {
		result = read_named(target, &text, &len, facts);
		if (result == 0)
			return read_servers(text, target, facts);
		facts->resolv_conf[0] = '\0';
		eg_doctor_say(
			facts->dns_why,
			"no process in the namespace has a resolv.conf of its own%s, and this "
			"machine's own says nothing of it",
			target->kind == EG_TARGET_NETNS ? ", and there is none in /etc/netns" : "");
		return result == -ENOMEM ? result : 0;
	}
	snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	result = root < 0 ? -errno
			  : eg_file_read_in_root(root, "/etc/resolv.conf", RESOLV_CONF_MAX, &text,
						 &len);
	if (result < 0) {
		eg_doctor_say(facts->dns_why, "resolv.conf of process %d cannot be read: %s",
			      (int)pid, strerror(-result));
		return result == -ENOMEM ? result : 0;
	}
	return read_servers(text, target, facts);
}

/* --- published ports -------------------------------------------------------------------------- */

struct visit {
	struct place to;
	enum eg_doctor_answer answer;
};

/* Connects and asks for a page, as a browser would: what is no web server answers that too, or
 * closes. */
static int visit_port(void *argument)
{
	static const char page[] = "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";
	struct visit *visit = argument;
	EG_AUTO_CLOSE int fd =
		socket(visit->to.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int errnum = 0;
	socklen_t len = sizeof(errnum);
	char answer[256];
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&visit->to.address, visit->to.len) < 0)
		errnum = errno;
	if (errnum == EINPROGRESS) {
		errnum = ETIMEDOUT;
		if (wait_for(fd, POLLOUT, CONNECT_MS) &&
		    getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len) < 0)
			errnum = errno;
	}
	visit->answer = errnum == ECONNREFUSED ? EG_DOCTOR_REFUSED : EG_DOCTOR_NO_ROUTE;
	if (errnum)
		return 0;
	visit->answer = EG_DOCTOR_SILENT;
	(void)send(fd, page, strlen(page), MSG_NOSIGNAL);
	if (!wait_for(fd, POLLIN, ANSWER_MS))
		return 0;
	n = recv(fd, answer, sizeof(answer), 0);
	visit->answer = n > 0 ? EG_DOCTOR_ANSWERED : EG_DOCTOR_CLOSED;
	return 0;
}

static enum eg_doctor_answer visit_from(const struct eg_netns *netns, __u8 family,
					const union eg_addr *addr, __u16 port)
{
	struct visit visit = {.to = place_of(family, addr, port)};

	if (eg_netns_run(netns, visit_port, &visit) < 0)
		return EG_DOCTOR_UNTRIED;
	return visit.answer;
}

/* On loopback, and on the namespace's own address, which is where the host's end sends to. */
static enum eg_doctor_answer visit_inside(const struct eg_target *target,
					  const struct eg_doctor_facts *facts, __u16 port)
{
	static const union eg_addr loopback = {.bytes = {127, 0, 0, 1}};
	enum eg_doctor_answer answer = visit_from(&target->netns, EG_FAMILY_IPV4, &loopback, port);

	for (size_t i = 0; answer == EG_DOCTOR_REFUSED && i < facts->n_addrs; i++) {
		const struct eg_link_addr *addr = &facts->addrs[i];

		if (addr->family == EG_FAMILY_IPV4 &&
		    strcmp(eg_doctor_link_name(facts, addr->ifindex), facts->underlay) == 0)
			answer = visit_from(&target->netns, addr->family, &addr->addr, port);
	}
	return answer;
}

/* Where published ports are: the namespace of whoever listens at the engine's socket, or else our
 * own. */
static int open_host(const struct eg_doctor_facts *facts, const struct eg_target *target,
		     struct eg_netns *ret_netns)
{
	if (facts->have_engine && target->kind == EG_TARGET_CONTAINER) {
		pid_t pid = eg_runtime_pid(target->container.runtime);

		if (pid > 0 && eg_netns_open_pid(pid, ret_netns, NULL) == 0)
			return 0;
	}
	return eg_netns_open_self(ret_netns);
}

/* What curl's exit status says (curl(1), EXIT CODES). */
static void take_result(int status, struct eg_doctor_port *port)
{
	switch (status) {
	case 0:
	case 1: /* a protocol that it does not know */
	case 8:
	case 18:
	case 22:
		port->outside = EG_DOCTOR_ANSWERED;
		break;
	case 7:
		port->outside = EG_DOCTOR_REFUSED;
		break;
	case 28:
		port->outside = EG_DOCTOR_SILENT;
		break;
	case 52:
	case 56:
		port->outside = EG_DOCTOR_CLOSED;
		break;
	default:
		eg_doctor_say(port->why, "curl's exit status %d tells nothing here", status);
	}
}

static const struct eg_doctor_port_option *find_result(const struct eg_doctor_request *request,
						       __u16 host_port)
{
	for (size_t i = 0; i < request->n_ports; i++) {
		if (request->ports[i].has_result && request->ports[i].host_port == host_port)
			return &request->ports[i];
	}
	return NULL;
}

/* From inside Docker Desktop's machine the proxy on the host is reached by a name alone. */
static void visit_desktop(struct eg_doctor_port *port)
{
	char host[] = "host.docker.internal";
	struct eg_endpoint name = {.host = host, .port = port->host_port};
	EG_AUTO_NETNS struct eg_netns self = EG_NETNS_NONE;
	struct eg_endpoint *found = NULL;
	size_t n = 0;

	snprintf(port->host, sizeof(port->host), "%s", host);
	if (eg_netns_open_self(&self) == 0 &&
	    eg_endpoint_resolve(&name, CONNECT_MS, &found, &n, NULL) == 0 && n)
		port->outside = visit_from(&self, found[0].family, &found[0].addr, port->host_port);
	for (size_t i = 0; i < n; i++)
		free(found[i].host);
	free(found);
	if (port->outside == EG_DOCTOR_ANSWERED || port->outside == EG_DOCTOR_SILENT ||
	    port->outside == EG_DOCTOR_CLOSED)
		return;
	port->outside = EG_DOCTOR_UNTRIED;
	snprintf(
		port->why, sizeof(port->why),
		"the host's side cannot be tried from inside Docker Desktop's machine; on the host "
		"run `curl -s -o /dev/null -m 5 http://127.0.0.1:%u/; echo $?` and give what it "
		"prints: --host-port %u=STATUS",
		port->host_port, port->host_port);
}

static int try_port(const struct eg_doctor_request *request, const struct eg_target *target,
		    const struct eg_netns *host, struct eg_doctor_port *port,
		    struct eg_doctor_facts *facts)
{
	const struct eg_doctor_port_option *result = find_result(request, port->host_port);
	union eg_addr addr;
	__u8 family;

	if (port->proto != IPPROTO_TCP) {
		eg_doctor_say(port->why,
			      "published for another protocol than TCP, which nobody need answer");
		return EG_ARRAY_ADD(facts->ports, facts->n_ports, *port);
	}
	port->inside = visit_inside(target, facts, port->port);
	if (result) {
		snprintf(port->host, sizeof(port->host), "the host");
		take_result(result->curl, port);
	} else if (facts->docker_desktop) {
		visit_desktop(port);
	} else if (eg_addr_parse(port->host, &family, &addr, NULL) == 0) {
		port->outside = visit_from(host, family, &addr, port->host_port);
	}
	if (port->inside == EG_DOCTOR_UNTRIED ||
	    (port->outside == EG_DOCTOR_UNTRIED && !port->why[0]))
		eg_doctor_say(port->why, "it could not be tried");
	return EG_ARRAY_ADD(facts->ports, facts->n_ports, *port);
}

static bool is_any(const char *host)
{
	return !*host || strcmp(host, "0.0.0.0") == 0;
}

/* Once for each port: an engine lists it for IPv4 and for IPv6. */
static bool is_listed(const struct eg_doctor_facts *facts, const struct eg_published *published)
{
	for (size_t i = 0; i < facts->n_ports; i++) {
		if (facts->ports[i].proto == published->proto &&
		    facts->ports[i].host_port == published->host_port)
			return true;
	}
	return false;
}

int eg_doctor_collect_ports(const struct eg_doctor_request *request, const struct eg_target *target,
			    struct eg_doctor_facts *facts)
{
	EG_AUTO_NETNS struct eg_netns host = EG_NETNS_NONE;
	const struct eg_container *container = &target->container;
	int result = open_host(facts, target, &host);
	bool named = false;

	if (result < 0)
		return result;
	for (size_t i = 0; result == 0 && i < request->n_ports; i++) {
		const struct eg_doctor_port_option *option = &request->ports[i];
		struct eg_doctor_port port = {
			.proto = IPPROTO_TCP, .port = option->port, .host_port = option->host_port};

		if (!option->port)
			continue;
		named = true;
		snprintf(port.host, sizeof(port.host), "%s",
			 is_any(option->host) ? "127.0.0.1" : option->host);
		result = try_port(request, target, &host, &port, facts);
	}
	for (size_t i = 0; result == 0 && i < container->n_published; i++) {
		const struct eg_published *published = &container->published[i];
		struct eg_doctor_port port = {.proto = published->proto,
					      .port = published->port,
					      .host_port = published->host_port};

		if (is_listed(facts, published))
			continue;
		if (facts->n_ports >= PORTS_MAX) {
			eg_doctor_say(facts->ports_why, "only the first %u were tried", PORTS_MAX);
			break;
		}
		snprintf(port.host, sizeof(port.host), "%s",
			 is_any(published->host)              ? "127.0.0.1"
			 : strcmp(published->host, "::") == 0 ? "::1"
							      : published->host);
		result = try_port(request, target, &host, &port, facts);
	}
	if (result == 0 && !named && target->kind != EG_TARGET_CONTAINER)
		eg_doctor_say(facts->ports_why,
			      "no engine tells which are published: name one by --port "
			      "[ADDRESS:]PORT:PORT-INSIDE");
	return result;
}
