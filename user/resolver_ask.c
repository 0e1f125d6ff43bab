// SPDX-License-Identifier: GPL-2.0
/* Docker's resolver, asked: from which namespace does its own query leave? */
#include "resolver.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define WAIT_MS  2000
#define GRACE_MS 150 /* for the namespace's own sight of what the engine's has seen */
#define LABEL    21  /* its length, and "eg" with 18 random digits */

/* --- the query
 * ------------------------------------------------------------------------------------- */

/* A name that nobody has: `.invalid` is kept for that (RFC 2606). */
static int make_label(__u8 label[LABEL])
{
	__u8 random[(LABEL - 3) / 2];
	char text[LABEL - 2];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(text + 2 * i, 3, "%02x", random[i]);
	label[0] = LABEL - 1;
	label[1] = 'e';
	label[2] = 'g';
	memcpy(label + 3, text, LABEL - 3);
	return 0;
}

static size_t make_query(const __u8 label[LABEL], __u8 query[64])
{
	static const __u8 header[12] = {0x45, 0x47, 0x01, 0x00, 0x00, 0x01};
	static const __u8 tail[] = {7, 'i', 'n', 'v', 'a', 'l', 'i', 'd', 0, 0, 1, 0, 1};

	memcpy(query, header, sizeof(header));
	memcpy(query + sizeof(header), label, LABEL);
	memcpy(query + sizeof(header) + LABEL, tail, sizeof(tail));
	return sizeof(header) + LABEL + sizeof(tail);
}

/* --- the sockets
 * ----------------------------------------------------------------------------------- */

static int open_watch(void *argument)
{
	int *fd = argument;

	*fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
	return *fd < 0 ? -errno : 0;
}

static int open_asking(void *argument)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0x7f00000b)};
	EG_AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	*(int *)argument = EG_TAKE_FD(fd);
	return 0;
}

static int open_engines(int *ret_fd)
{
	EG_AUTO_NETNS struct eg_netns engine = EG_NETNS_NONE;
	pid_t pid = eg_runtime_pid(EG_RUNTIME_DOCKER);
	int result = pid < 0 ? (int)pid : eg_netns_open_pid(pid, &engine, NULL);

	return result < 0 ? result : eg_netns_run(&engine, open_watch, ret_fd);
}

/* --- what is seen
 * ---------------------------------------------------------------------------------- */

struct watch {
	int inside, engines;
	__u8 label[LABEL];
	const struct eg_survey *survey;
	bool seen_by_engine;
	enum eg_resolver_seen seen;
};

static bool is_tunnel(const struct eg_survey *survey, int ifindex)
{
	for (size_t i = 0; i < survey->n_tunnels; i++) {
		if (survey->tunnels[i].link.ifindex == (__u32)ifindex)
			return true;
	}
	return false;
}

/* Takes all packets that are there; true if one was the query on its way out. */
static bool take_packets(int fd, struct watch *watch, struct sockaddr_ll *ret_where, bool loopback)
{
	bool found = false;

	for (;;) {
		__u8 packet[512];
		struct sockaddr_ll where = {};
		socklen_t len = sizeof(where);
		ssize_t n =
			recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&where, &len);

		if (n < 0)
			return found;
		if ((!loopback && where.sll_hatype == ARPHRD_LOOPBACK) ||
		    where.sll_pkttype != PACKET_OUTGOING || found ||
		    !memmem(packet, (size_t)n, watch->label, LABEL))
			continue;
		found = true;
		*ret_where = where;
	}
}

static void look(struct watch *watch)
{
	struct sockaddr_ll where;

	if (take_packets(watch->inside, watch, &where, false))
		watch->seen = is_tunnel(watch->survey, where.sll_ifindex)
				      ? EG_RESOLVER_SEEN_TUNNEL
				      : EG_RESOLVER_SEEN_UNDERLAY;
	/* What left the namespace in the clear comes by the engine's too. */
	if (watch->engines >= 0 && take_packets(watch->engines, watch, &where, true))
		watch->seen_by_engine = true;
}

static void wait_for_sight(struct watch *watch)
{
	long until = eg_monotonic_ms() + WAIT_MS, left;

	while (watch->seen == EG_RESOLVER_SEEN_NOWHERE && (left = until - eg_monotonic_ms()) > 0) {
		struct pollfd fds[] = {{.fd = watch->inside, .events = POLLIN},
				       {.fd = watch->engines, .events = POLLIN}};
		bool before = watch->seen_by_engine;

		if (poll(fds, 2, (int)left) < 0 && errno != EINTR)
			break;
		look(watch);
		if (watch->seen_by_engine && !before)
			until = eg_monotonic_ms() + GRACE_MS;
	}
	if (watch->seen == EG_RESOLVER_SEEN_NOWHERE && watch->seen_by_engine)
		watch->seen = EG_RESOLVER_SEEN_OUTSIDE;
}

int eg_resolver_ask(const struct eg_netns *netns, const struct eg_survey *survey,
		    enum eg_resolver_seen *ret_seen)
{
	EG_AUTO_CLOSE int asking = -1;
	EG_AUTO_CLOSE int inside = -1;
	EG_AUTO_CLOSE int engines = -1;
	struct watch watch = {.survey = survey};
	__u8 query[64];
	int result = make_label(watch.label);

	if (result == 0)
		result = eg_netns_run(netns, open_watch, &inside);
	if (result == 0)
		result = eg_netns_run(netns, open_asking, &asking);
	if (result < 0)
		return result;
	/* Without it, what is not seen inside is not known. */
	(void)open_engines(&engines);
	watch.inside = inside;
	watch.engines = engines;
	if (send(asking, query, make_query(watch.label, query), 0) < 0)
		return -errno;
	wait_for_sight(&watch);
	*ret_seen = watch.seen;
	return 0;
}
