// SPDX-License-Identifier: GPL-2.0
/* `verify`: whether the tunnel and the LAN work, which says nothing about leaks. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "policy/address.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "verify_run.h"

#define TUNNEL_WAIT_MS  5000
#define TUNNEL_STEP_MS  100
#define HANDSHAKE_OLD_S 180 /* WireGuard's REJECT_AFTER_TIME */

/* --- beside: the LAN and the tunnel ----------------------------------------------------------- */

static int add_check(struct run *run, const char *what, const char *name, const char *state,
		     const char *detail)
{
	struct eg_verify_view *view = run->view;
	struct eg_verify_check_view *larger =
		reallocarray(view->checks, view->n_checks + 1, sizeof(*larger));

	if (!larger)
		return -ENOMEM;
	view->checks = larger;
	larger[view->n_checks] = (struct eg_verify_check_view){
		.what = what, .name = strdup(name), .state = state, .detail = strdup(detail)};
	view->n_checks++;
	return larger[view->n_checks - 1].name && larger[view->n_checks - 1].detail ? 0 : -ENOMEM;
}

/* Waits for a frame that answers, as `is_answer` tells. */
static bool hear(struct run *run, int fd, const void *argument,
		 bool (*is_answer)(const __u8 *frame, size_t len, const void *argument))
{
	const __u64 until_ns = eg_monotonic_ns() + ANSWER_WAIT_MS * NS_PER_MS;
	__u8 frame[256];

	while (eg_monotonic_ns() < until_ns) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		ssize_t len;

		eg_run_look(run);
		if (poll(&poll_fd, 1, 20) <= 0)
			continue;
		len = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);
		if (len > 0 && is_answer(frame, (size_t)len, argument))
			return true;
	}
	return false;
}

static bool is_arp_reply(const __u8 *frame, size_t len, const void *argument)
{
	const struct lane *lane = argument;

	return len >= 42 && frame[21] == 2 && memcmp(frame + 28, lane->gateway4.bytes, 4) == 0;
}

static bool answers_arp(struct lane *lane)
{
	struct eg_probe probe = {.family = EG_FAMILY_IPV4, .src = lane->addr4};
	__u8 frame[EG_ARP_FRAME_LEN];
	struct eg_refusal refusal = {};

	memcpy(probe.src_mac, lane->mac, sizeof(probe.src_mac));
	memset(probe.dst_mac, 0xff, sizeof(probe.dst_mac));
	eg_probe_arp(&probe, lane->gateway4.bytes, frame);
	for (int i = 0; i < TRIES; i++) {
		if (eg_prober_send_frame(lane->arp, frame, sizeof(frame), &refusal) == 0 &&
		    hear(lane->run, eg_prober_fd(lane->arp), lane, is_arp_reply))
			return true;
	}
	return false;
}

static bool is_echo_reply(const __u8 *packet, size_t len, const void *argument)
{
	const struct trial *trial = argument;
	const size_t header = len ? (packet[0] & 15U) * 4 : 0;

	return len > header + 8 && packet[header] == 0 &&
	       memmem(packet, len, trial->probe.token, EG_TOKEN_LEN);
}

/* 1: answers, 0: does not, -1: the policy does not let it be asked. */
static int answers_ping(struct lane *lane)
{
	struct trial trial = {.probe = {.content = EG_CONTENT_ECHO}};
	EG_AUTO_PROBER struct eg_prober *prober = NULL;
	int result = 0;

	eg_trial_address(lane, &trial, EG_FAMILY_IPV4, NUMBER_MASK - 1);
	trial.probe.dst = lane->gateway4;
	eg_trial_send(lane, &trial, EG_WAY_ICMP, 0, &prober);
	if (prober && hear(lane->run, eg_prober_fd(prober), &trial, is_echo_reply))
		result = 1;
	eg_run_look(lane->run);
	/* It goes out of scope. */
	lane->run->n_cookies--;
	for (size_t layer = 0; layer < EG_LAYER_COUNT; layer++) {
		if (trial.evidence.dropped[layer])
			result = -1;
	}
	return result;
}

int eg_lane_check_lan(struct lane *lane)
{
	char name[EG_ADDRESS_TEXT_LEN];
	bool arp;
	int ping;

	if (!lane->has4 || !lane->has_gateway4 || !lane->arp)
		return 0;
	eg_addr_format(name, EG_FAMILY_IPV4, &lane->gateway4);
	arp = answers_arp(lane);
	ping = answers_ping(lane);
	if (ping < 0)
		return add_check(lane->run, "lan", name, arp ? "works" : "fails",
				 arp ? "answers ARP; the policy does not let it be pinged"
				     : "does not answer ARP");
	return add_check(lane->run, "lan", name, ping || arp ? "works" : "fails",
			 ping && arp ? "answers ARP and ping"
			 : ping      ? "answers ping, but not ARP"
			 : arp       ? "answers ARP, but not ping"
				     : "answers neither ARP nor ping");
}

struct tunnel_state {
	__u64 tx, rx, handshake_s;
	bool elsewhere; /* its outer packets leave from another namespace */
};

static int read_tunnel(const struct run *run, const struct eg_tunnel *tunnel,
		       struct tunnel_state *ret_state, struct eg_error *error)
{
	EG_AUTO_WG_DEVICE struct eg_wg_device device = {};
	struct tunnel_state state = {};
	int result = eg_wg_get(run->request->netns, &tunnel->link, &device, error);

	if (result < 0)
		return result;
	for (size_t i = 0; i < device.n_peers; i++) {
		state.tx += device.peers[i].tx_bytes;
		state.rx += device.peers[i].rx_bytes;
		if (device.peers[i].last_handshake_s > state.handshake_s)
			state.handshake_s = device.peers[i].last_handshake_s;
	}
	*ret_state = state;
	return 0;
}

static bool leaves_elsewhere(const struct run *run, const struct eg_tunnel *tunnel)
{
	EG_AUTO_WG_DEVICE struct eg_wg_device device = {};

	return eg_wg_get(run->request->netns, &tunnel->link, &device, NULL) == 0 &&
	       eg_wg_sends_elsewhere(run->request->netns, &tunnel->link, &device) > 0;
}

static __u64 age_of(const struct tunnel_state *state)
{
	__u64 now = (__u64)time(NULL);

	return now > state->handshake_s ? now - state->handshake_s : 0;
}

static bool is_fresh(const struct tunnel_state *state)
{
	return state->handshake_s && age_of(state) < HANDSHAKE_OLD_S;
}

/* A packet to the test address, which the server throws away: nobody has it there either. */
static int send_through(struct run *run, const struct eg_tunnel *tunnel,
			struct eg_refusal *ret_refusal)
{
	EG_AUTO_PROBER struct eg_prober *prober = NULL;
	struct eg_probe probe = {.content = EG_CONTENT_UDP,
				 .family = EG_FAMILY_IPV4,
				 .dst = eg_test_address(EG_FAMILY_IPV4),
				 .dport = DISCARD_PORT};
	const struct eg_prober_request request = {.netns = run->request->netns,
						  .link = &tunnel->link,
						  .way = EG_WAY_UDP,
						  .probe = &probe};
	int result;

	/* Not the run's own token: its far ends are elsewhere. */
	if (getrandom(probe.token, sizeof(probe.token), GRND_NONBLOCK) < 0)
		memset(probe.token, 0x67, sizeof(probe.token));
	result = eg_prober_open(&request, &prober, ret_refusal);
	return result < 0 ? result : eg_prober_send(prober, ret_refusal);
}

static int tell_tunnel(struct run *run, const char *name, const struct tunnel_state *before,
		       const struct tunnel_state *after)
{
	char detail[200];

	if (!is_fresh(after)) {
		snprintf(detail, sizeof(detail),
			 after->handshake_s ? "the last handshake was %llu s ago: the server does "
					      "not answer"
					    : "there was no handshake yet: the server does not "
					      "answer",
			 (unsigned long long)age_of(after));
		return add_check(run, "tunnel", name, "fails", detail);
	}
	snprintf(detail, sizeof(detail), "last handshake %llu s ago; %s%s",
		 (unsigned long long)age_of(after),
		 after->tx > before->tx ? "a packet went into it" : "it sent no packet",
		 before->elsewhere ? "; what carries it leaves from another namespace" : "");
	return add_check(run, "tunnel", name, after->tx > before->tx ? "works" : "fails", detail);
}

int eg_run_check_tunnel(struct run *run, const struct eg_tunnel *tunnel)
{
	const struct timespec step = {.tv_nsec = TUNNEL_STEP_MS * NS_PER_MS};
	struct tunnel_state before, after;
	struct eg_refusal refusal = {};
	struct eg_error error = {};
	char detail[200];

	if (!(tunnel->link.flags & IFF_UP))
		return add_check(run, "tunnel", tunnel->link.name, "fails", "it is down");
	if (read_tunnel(run, tunnel, &before, &error) < 0)
		return add_check(run, "tunnel", tunnel->link.name, "cannot tell", error.message);
	if (send_through(run, tunnel, &refusal) < 0) {
		snprintf(detail, sizeof(detail),
			 refusal.errnum == ENOKEY ? "no peer of it takes what is for the test "
						    "address (%s: %s)"
						  : "%s: %s",
			 refusal.call, strerror(refusal.errnum));
		return add_check(run, "tunnel", tunnel->link.name,
				 refusal.errnum == ENOKEY ? "cannot tell" : "fails", detail);
	}
	before.elsewhere = leaves_elsewhere(run, tunnel);
	after = before;
	for (int i = 0; i < TUNNEL_WAIT_MS / TUNNEL_STEP_MS; i++) {
		nanosleep(&step, NULL);
		eg_run_look(run);
		if (read_tunnel(run, tunnel, &after, &error) < 0)
			return add_check(run, "tunnel", tunnel->link.name, "cannot tell",
					 error.message);
		if (is_fresh(&after) && after.tx > before.tx)
			break;
	}
	return tell_tunnel(run, tunnel->link.name, &before, &after);
}
