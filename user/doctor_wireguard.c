// SPDX-License-Identifier: GPL-2.0
/* WireGuard's own state, a handshake where there is none of late, and whether anything comes back.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "doctor.h"
#include "policy/address.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define NS_PER_S 1000000000ULL
/* A session is renewed after two minutes, and WireGuard tries every five seconds. */
#define HANDSHAKE_FRESH_S 150
#define PROVOKE_MS        7000
#define PROVOKE_STEP_MS   100
#define DISCARD_PORT      9

static void nap(unsigned int ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000L};

	nanosleep(&time, NULL);
}

static int read_wireguard(const struct eg_netns *netns, struct eg_doctor_facts *facts)
{
	struct eg_wg_device device = {};
	struct eg_error why = {};
	int result = eg_wg_get(netns, facts->tunnel_link, &device, &why);

	if (result < 0) {
		eg_doctor_say(facts->wg_why, "%s", why.message);
		return result;
	}
	eg_wg_device_free(&facts->wg);
	facts->wg = device;
	facts->have_wg = true;
	return 0;
}

bool eg_doctor_has_session(const struct eg_doctor_facts *facts)
{
	__u64 now = eg_realtime_ns() / NS_PER_S;

	for (size_t i = 0; i < facts->wg.n_peers; i++) {
		const struct eg_wg_peer *peer = &facts->wg.peers[i];

		if (peer->last_handshake_s && now < peer->last_handshake_s + HANDSHAKE_FRESH_S &&
		    (peer->default_route || facts->wg.n_peers == 1))
			return true;
	}
	return false;
}

struct sending {
	const char *tunnel;
	union eg_addr to; /* of IPv4 */
};

/* One empty datagram into the tunnel, to the port `discard` of an address that nobody has. It goes
 * no further than WireGuard's server, which, as routers do, may answer that its time is over. */
static int send_packet(void *argument)
{
	const struct sending *sending = argument;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(DISCARD_PORT)};
	EG_AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int hops = 1;

	memcpy(&to.sin_addr, sending->to.bytes, sizeof(to.sin_addr));
	if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_TTL, &hops, sizeof(hops)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, sending->tunnel,
		       (socklen_t)strlen(sending->tunnel)) < 0 ||
	    sendto(fd, "", 0, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

/* An address that a peer takes: another is dropped before there is a handshake. */
static bool find_taken(const struct eg_doctor_facts *facts, union eg_addr *ret_to)
{
	static const struct eg_prefix nobody = {
		.addr = {.bytes = {198, 51, 100, 1}}, .family = EG_FAMILY_IPV4, .len = 32};
	const struct eg_wgmodel *model = facts->model;
	bool any = model && eg_wgmodel_tunnels(model, &nobody);

	for (size_t i = 0; i < facts->wg.n_peers; i++)
		any |= facts->wg.peers[i].default_route;
	*ret_to = nobody.addr;
	for (size_t i = 0; !any && model && i < model->n_allowed; i++) {
		if (model->allowed[i].prefix.family != EG_FAMILY_IPV4)
			continue;
		*ret_to = eg_doctor_inside(&model->allowed[i].prefix).addr;
		any = true;
	}
	return any;
}

int eg_doctor_send_into(const struct eg_netns *netns, struct eg_doctor_facts *facts)
{
	struct sending sending = {.tunnel = facts->tunnel};

	if (!find_taken(facts, &sending.to))
		return -ENOKEY; /* which address a peer would take is not known */
	return eg_netns_run(netns, send_packet, &sending);
}

/* A tunnel that nobody uses makes no handshake, so its age alone says nothing. */
static void provoke(const struct eg_netns *netns, struct eg_doctor_facts *facts)
{
	int result = eg_doctor_send_into(netns, facts);

	if (result < 0) {
		eg_doctor_say(facts->wg_why, "no packet could be sent into the tunnel: %s",
			      result == -ENOKEY ? "which addresses its peers take is not known"
						: strerror(-result));
		return;
	}
	facts->provoked = true;
	for (int waited = 0; waited < PROVOKE_MS; waited += PROVOKE_STEP_MS) {
		if (eg_doctor_has_session(facts))
			return;
		nap(PROVOKE_STEP_MS);
		if (read_wireguard(netns, facts) < 0)
			return;
	}
}

void eg_doctor_collect_wireguard(const struct eg_doctor_request *request,
				 const struct eg_netns *netns, struct eg_doctor_facts *facts)
{
	if (!facts->tunnel_link || !(facts->tunnel_link->flags & IFF_UP) ||
	    (facts->kind != EG_TUNNEL_KERNEL && facts->kind != EG_TUNNEL_USERSPACE) ||
	    read_wireguard(netns, facts) < 0 || !facts->wg.n_peers || eg_doctor_has_session(facts))
		return;
	if (request->progress)
		request->progress("a handshake");
	provoke(netns, facts);
}

static void count_bytes(const struct eg_wg_device *wg, __u64 *ret_sent, __u64 *ret_received)
{
	*ret_sent = *ret_received = 0;
	for (size_t i = 0; i < wg->n_peers; i++) {
		*ret_sent += wg->peers[i].tx_bytes;
		*ret_received += wg->peers[i].rx_bytes;
	}
}

/* What was sent into it since it was read first, and what came back, which may take until `until`
 * on the monotonic clock. */
void eg_doctor_count_traffic(const struct eg_netns *netns, long until,
			     struct eg_doctor_facts *facts)
{
	__u64 sent, received;

	count_bytes(&facts->wg, &sent, &received);
	for (bool again = facts->have_wg; again; again = eg_monotonic_ms() < until) {
		EG_AUTO_WG_DEVICE struct eg_wg_device now = {};

		if (eg_wg_get(netns, facts->tunnel_link, &now, NULL) < 0)
			return;
		count_bytes(&now, &facts->sent, &facts->received);
		if (facts->sent < sent || facts->received < received)
			return; /* it was made anew meanwhile */
		facts->sent -= sent;
		facts->received -= received;
		facts->asked = true;
		if (facts->received || !facts->sent)
			return;
		nap(PROVOKE_STEP_MS);
	}
}
