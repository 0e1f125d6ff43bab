// SPDX-License-Identifier: GPL-2.0
#include "verify.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>

#include "far_end.h"
#include "policy/address.h"
#include "prober.h"
#include "util/cleanup.h"

#define NS_PER_MS       1000000ULL
#define CONTROL_WAIT_MS 1500 /* the first time; a slow machine has it too */
#define FENCE_WAIT_MS   2000
#define BLIND_WAIT_MS   30  /* where the far end has not seen anything allowed */
#define EVENT_WAIT_MS   150 /* where no far end tells when it is over */
#define GRACE_MS        8   /* for what another processor still has in its hands */
#define LATE_MS         200
#define TRIES           3
#define ANSWER_WAIT_MS  400
#define TUNNEL_WAIT_MS  5000
#define TUNNEL_STEP_MS  100
#define HANDSHAKE_OLD_S 180 /* WireGuard's REJECT_AFTER_TIME */
#define PROBES_MS       4000
#define COOKIES_MAX     8192
#define DISCARD_PORT    9
#define PORT_MIN        20000
#define PORT_RANGE      40000

/* Numbers in tokens: the lane, and what in it. */
#define NUMBER_LANE   16
#define NUMBER_TWIN   128 /* + row */
#define NUMBER_ROUTED 256 /* + family */
#define NUMBER_FENCE  1024
#define NUMBER_MASK   0xffff

/* One probe and all that is seen of it. */
struct trial {
	bool sent;
	struct eg_probe probe;
	struct eg_evidence evidence;
};

/* One underlay. */
struct lane {
	struct run *run;
	__u32 index;
	const struct eg_underlay *underlay;
	const struct eg_link *link;
	struct eg_far_end *far_end; /* NULL: none */
	struct eg_prober *arp;      /* NULL: none */
	__u8 mac[6], nobody[6];
	union eg_addr addr4, addr6, gateway4, gateway6;
	bool has4, has6, has_gateway4, has_gateway6;
	bool control;
	__u32 fence_sent, fence_seen;
	struct trial routed4, routed6;
	struct trial rows[EG_PROBE_ROW_COUNT], twins[EG_PROBE_ROW_COUNT];
};

struct sent_by {
	__u64 cookie;
	struct trial *trial;
};

struct run {
	const struct eg_verify_request *request;
	struct eg_verify_view *view;
	__u8 token[EG_TOKEN_RUN_LEN];
	struct eg_viewer *viewer; /* NULL: no guard */
	__u64 beat_ns;
	struct lane *lanes;
	size_t n_lanes;
	__u64 recent[EG_PROBE_SOCKETS]; /* cookies that the guard knows to be ours */
	size_t n_recent;
	__u32 pid;            /* ours, as the guard sees it; 0: not known */
	struct trial *bypass; /* the last that asked for PACKET_QDISC_BYPASS */
	struct sent_by *cookies;
	size_t n_cookies;
	size_t done, all;
	int failed;
};

static bool is_up(const struct lane *lane)
{
	return lane->link && lane->link->flags & IFF_UP;
}

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (__u64)now.tv_sec * 1000000000ULL + (__u64)now.tv_nsec;
}

int eg_verify_doubt(struct eg_verify_view *view, const char *format, ...)
{
	size_t n = 0;
	char **larger;
	va_list args;
	int len;

	while (view->doubts && view->doubts[n])
		n++;
	larger = reallocarray(view->doubts, n + 2, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	view->doubts = larger;
	va_start(args, format);
	len = vasprintf(&larger[n], format, args);
	va_end(args);
	if (len < 0)
		larger[n] = NULL;
	larger[n + 1] = NULL;
	return len < 0 ? -ENOMEM : 0;
}

/* --- what is seen ---------------------------------------------------------------------------- */

static struct trial *trial_by_number(struct run *run, __u32 number)
{
	__u32 lane = number >> NUMBER_LANE, what = number & NUMBER_MASK;

	if (lane >= run->n_lanes)
		return NULL;
	if (what < EG_PROBE_ROW_COUNT)
		return &run->lanes[lane].rows[what];
	if (what >= NUMBER_TWIN && what - NUMBER_TWIN < EG_PROBE_ROW_COUNT)
		return &run->lanes[lane].twins[what - NUMBER_TWIN];
	if (what == NUMBER_ROUTED + EG_FAMILY_IPV4)
		return &run->lanes[lane].routed4;
	if (what == NUMBER_ROUTED + EG_FAMILY_IPV6)
		return &run->lanes[lane].routed6;
	return NULL;
}

static bool is_syn_of(const struct trial *trial, const __u8 *frame, size_t len)
{
	return trial->sent && trial->probe.content == EG_CONTENT_TCP &&
	       eg_probe_has_ports(&trial->probe, frame, len);
}

/* A SYN is small; in longer frames four bytes may be there by chance. */
#define SYN_MAX 128

static struct trial *trial_by_ports(struct lane *lane, const __u8 *frame, size_t len)
{
	if (len > SYN_MAX)
		return NULL;
	for (enum eg_probe_row row = 0; row < EG_PROBE_ROW_COUNT; row++) {
		if (is_syn_of(&lane->rows[row], frame, len))
			return &lane->rows[row];
		if (is_syn_of(&lane->twins[row], frame, len))
			return &lane->twins[row];
	}
	return NULL;
}

static void on_frame(const __u8 *frame, size_t len, void *argument)
{
	struct lane *lane = argument;
	struct trial *trial;
	__u32 number;

	if (!eg_token_find(lane->run->token, frame, len, &number)) {
		trial = trial_by_ports(lane, frame, len);
	} else if (number >> NUMBER_LANE == lane->index && (number & NUMBER_MASK) >= NUMBER_FENCE) {
		lane->fence_seen = number & NUMBER_MASK;
		return;
	} else {
		trial = trial_by_number(lane->run, number);
	}
	if (trial)
		trial->evidence.seen++;
}

static void note_event(const struct eg_event *event, struct eg_evidence *evidence)
{
	evidence->reason[event->layer] = event->reason;
	if (event->verdict == EG_VERDICT_DROP)
		evidence->dropped[event->layer]++;
	else if (event->verdict == EG_VERDICT_WOULD_DROP)
		evidence->would_drop[event->layer]++;
}

/* The guard refused an option to a process, and knows of no socket. */
static bool is_our_bypass(const struct run *run, const struct eg_event *event)
{
	return run->bypass && event->layer == EG_LAYER_SOCKET && event->flags & EG_EVENT_PROBE &&
	       event->reason == EG_REASON_QDISC_BYPASS;
}

static int on_event(const struct eg_event *event, void *argument)
{
	struct run *run = argument;

	if (event->layer >= EG_LAYER_COUNT)
		return 0;
	if (!event->socket_cookie) {
		if (is_our_bypass(run, event))
			note_event(event, &run->bypass->evidence);
		return 0;
	}
	for (size_t i = run->n_cookies; i > 0; i--) {
		if (run->cookies[i - 1].cookie != event->socket_cookie)
			continue;
		note_event(event, &run->cookies[i - 1].trial->evidence);
		break;
	}
	return 0;
}

/* Reads what is there. */
static void look(struct run *run)
{
	int result = 0;

	if (run->viewer && now_ns() - run->beat_ns > 400 * NS_PER_MS) {
		run->beat_ns = now_ns();
		result = eg_viewer_beat(run->viewer);
	}
	if (run->viewer && result == 0)
		result = eg_viewer_consume(run->viewer);
	for (size_t i = 0; i < run->n_lanes && result >= 0; i++) {
		if (run->lanes[i].far_end)
			result = eg_far_end_read(run->lanes[i].far_end);
	}
	if (result < 0 && !run->failed)
		run->failed = result;
}

/* Until `done` says so, or the time is up. Says whether it was the former. */
static bool look_for(struct run *run, unsigned int ms, bool (*done)(const void *argument),
		     const void *argument)
{
	const __u64 until_ns = now_ns() + ms * NS_PER_MS;
	const struct timespec nap = {.tv_nsec = NS_PER_MS / 2};

	for (;;) {
		look(run);
		if (done && done(argument))
			return true;
		if (run->failed || now_ns() >= until_ns)
			return false;
		nanosleep(&nap, NULL);
	}
}

static __u64 events_lost(const struct run *run)
{
	return run->viewer ? eg_viewer_lost(run->viewer) : 0;
}

static __u64 frames_lost(const struct lane *lane)
{
	return lane->far_end ? eg_far_end_lost(lane->far_end) : 0;
}

/* --- what is allowed ------------------------------------------------------------------------- */

static bool fence_is_seen(const void *argument)
{
	const struct lane *lane = argument;

	return lane->fence_seen == lane->fence_sent;
}

/*
 * A frame that every policy allows, and that takes the way of all frames. Once it is seen at the
 * far end, so has been what was sent before it: so it is both the end of a row and the proof that
 * the far end could have seen something.
 */
static bool fence(struct lane *lane, unsigned int ms)
{
	struct eg_probe probe = {.family = EG_FAMILY_IPV4};
	__u8 frame[EG_ARP_FRAME_LEN];
	struct eg_refusal refusal = {};
	const union eg_addr target = eg_test_address(EG_FAMILY_IPV4);

	if (!lane->far_end || !lane->arp)
		return false;
	lane->fence_sent = NUMBER_FENCE + (lane->fence_sent + 1) % (NUMBER_MASK - NUMBER_FENCE);
	eg_token_make(probe.token, lane->run->token, lane->index << NUMBER_LANE | lane->fence_sent);
	memcpy(probe.src_mac, lane->mac, sizeof(probe.src_mac));
	memcpy(probe.dst_mac, lane->nobody, sizeof(probe.dst_mac));
	eg_probe_arp(&probe, target.bytes, frame);
	if (eg_prober_send_frame(lane->arp, frame, sizeof(frame), &refusal) < 0)
		return false;
	return look_for(lane->run, ms, fence_is_seen, lane);
}

/* --- sending one ----------------------------------------------------------------------------- */

static __u16 random_port(void)
{
	__u16 port = 0;

	if (getrandom(&port, sizeof(port), GRND_NONBLOCK) < 0)
		port = (__u16)now_ns();
	return (__u16)(PORT_MIN + port % PORT_RANGE);
}

static int tell_guard(struct run *run)
{
	if (!run->request->guard)
		return 0;
	return eg_guard_set_probes(run->request->guard, run->recent, run->n_recent, run->pid,
				   PROBES_MS);
}

/* From now on the guard counts what this socket sends as ours. */
static int announce(struct run *run, const struct eg_prober *prober, struct trial *trial)
{
	__u64 cookie = eg_prober_cookie(prober);

	if (run->n_cookies == COOKIES_MAX)
		return -E2BIG;
	run->cookies[run->n_cookies++] = (struct sent_by){.cookie = cookie, .trial = trial};
	memmove(run->recent + 1, run->recent, sizeof(run->recent) - sizeof(run->recent[0]));
	run->recent[0] = cookie;
	if (run->n_recent < EG_PROBE_SOCKETS)
		run->n_recent++;
	return tell_guard(run);
}

static void note_refusal(struct trial *trial, const struct eg_refusal *refusal)
{
	struct eg_evidence *evidence = &trial->evidence;

	evidence->call = refusal->call;
	evidence->refused_errno = refusal->errnum;
	if (strcmp(refusal->call, "socket") == 0 && refusal->errnum == EAFNOSUPPORT) {
		evidence->absent = true;
		evidence->call = "this kernel has no such sockets";
	}
}

static bool is_ordinary(enum eg_probe_way way)
{
	return way != EG_WAY_PACKET && way != EG_WAY_BYPASS && way != EG_WAY_XDP;
}

/* Opens, announces and sends. What the kernel refuses is evidence, not an error. */
static void send_trial(struct lane *lane, struct trial *trial, enum eg_probe_way way,
		       unsigned int flags, struct eg_prober **ret_prober)
{
	struct run *run = lane->run;
	const struct eg_prober_request request = {
		.netns = run->request->netns,
		.link = lane->link,
		.way = way,
		.mapped = flags & EG_PROBE_MAPPED,
		.mark = flags & EG_PROBE_MARKED ? run->request->mark : 0,
		.probe = &trial->probe,
	};
	struct eg_refusal refusal = {};
	int result = 0;

	/* Before the socket is made, as the option may be refused. */
	if (way == EG_WAY_BYPASS) {
		run->bypass = trial;
		result = tell_guard(run);
	}
	if (result < 0) {
		run->failed = result;
		return;
	}
	result = eg_prober_open(&request, ret_prober, &refusal);
	if (result == 0) {
		result = announce(run, *ret_prober, trial);
		if (result < 0) {
			run->failed = result;
			return;
		}
		trial->sent = true;
		result = eg_prober_send(*ret_prober, &refusal);
	}
	if (result < 0)
		note_refusal(trial, &refusal);
}

static bool is_accounted_for(const void *argument)
{
	const struct eg_evidence *evidence = argument;

	for (size_t layer = 0; layer < EG_LAYER_COUNT; layer++) {
		if (evidence->dropped[layer] || evidence->would_drop[layer])
			return true;
	}
	return evidence->seen > 0;
}

/* Sends, and waits until nothing more can come of it. */
static void try_trial(struct lane *lane, struct trial *trial, enum eg_probe_way way,
		      unsigned int flags)
{
	EG_AUTO_PROBER struct eg_prober *prober = NULL;
	const __u64 frames_before = frames_lost(lane), events_before = events_lost(lane->run);
	struct eg_evidence *evidence = &trial->evidence;

	evidence->guarded = lane->run->request->guard != NULL;
	evidence->watched = lane->far_end != NULL;
	evidence->ordinary = is_ordinary(way);
	evidence->routed = trial->probe.family == EG_FAMILY_IPV4
				   ? is_accounted_for(&lane->routed4.evidence)
				   : is_accounted_for(&lane->routed6.evidence);
	send_trial(lane, trial, way, flags, &prober);
	if (lane->far_end)
		evidence->control = fence(lane, lane->control ? FENCE_WAIT_MS : BLIND_WAIT_MS);
	else
		look_for(lane->run, EVENT_WAIT_MS, is_accounted_for, evidence);
	look_for(lane->run, GRACE_MS, NULL, NULL);
	evidence->frames_lost = frames_lost(lane) - frames_before;
	evidence->events_lost = events_lost(lane->run) - events_before;
}

/* --- rows ------------------------------------------------------------------------------------ */

static void address_trial(const struct lane *lane, struct trial *trial, __u8 family, __u32 number)
{
	struct eg_probe *probe = &trial->probe;
	const bool v4 = family == EG_FAMILY_IPV4;

	probe->family = family;
	probe->src = v4 ? lane->addr4 : lane->addr6;
	probe->dst = eg_test_address(family);
	probe->via = eg_test_lan(family);
	probe->sport = random_port();
	probe->dport = random_port();
	memcpy(probe->src_mac, lane->mac, sizeof(probe->src_mac));
	memcpy(probe->dst_mac, lane->nobody, sizeof(probe->dst_mac));
	eg_token_make(probe->token, lane->run->token, lane->index << NUMBER_LANE | number);
	switch (probe->content) {
	case EG_CONTENT_DNS:
		probe->dport = EG_PORT_DNS;
		break;
	case EG_CONTENT_WIREGUARD:
		probe->dport = EG_PORT_WG;
		break;
	case EG_CONTENT_SOURCE:
		probe->src = eg_test_source(family);
		probe->dst = eg_test_lan(family);
		break;
	case EG_CONTENT_ENDPOINT:
		probe->dst = lane->run->request->endpoint.addr;
		probe->dport = lane->run->request->endpoint.port;
		break;
	case EG_CONTENT_UDP:
	case EG_CONTENT_TCP:
	case EG_CONTENT_ECHO:
	case EG_CONTENT_BIG:
	case EG_CONTENT_FRAGMENT:
	case EG_CONTENT_EXTENSIONS:
	case EG_CONTENT_SOURCE_ROUTE:
	case EG_CONTENT_VLAN:
	case EG_CONTENT_QINQ:
	case EG_CONTENT_NOT_IP:
		break;
	}
}

/* Why there is nothing to try, NULL: there is. */
static const char *why_absent(const struct lane *lane, enum eg_probe_row row, __u8 family)
{
	const struct eg_probe_info *info = &eg_probe_rows[row];

	if (row == EG_PROBE_ROW_ENDPOINT && family == EG_FAMILY_NONE)
		return "no endpoint is known";
	if (is_ordinary(info->way) && family == EG_FAMILY_IPV6 && !lane->has6)
		return "no IPv6 here";
	if (is_ordinary(info->way) && family == EG_FAMILY_IPV4 && !lane->has4)
		return "no IPv4 here";
	if (!lane->link->link_header &&
	    (family == EG_FAMILY_NONE || info->content == EG_CONTENT_VLAN ||
	     info->content == EG_CONTENT_QINQ || info->way == EG_WAY_XDP))
		return "no Ethernet here";
	return NULL;
}

/* The same packet by a packet socket. */
static void try_twin(struct lane *lane, enum eg_probe_row row)
{
	struct trial *twin = &lane->twins[row];

	*twin = (struct trial){.probe = {.content = eg_probe_rows[row].content}};
	if (twin->probe.content == EG_CONTENT_BIG)
		twin->probe.content = EG_CONTENT_UDP;
	address_trial(lane, twin, lane->rows[row].probe.family, NUMBER_TWIN + row);
	try_trial(lane, twin, EG_WAY_PACKET, 0);
	lane->rows[row].evidence.twin = &twin->evidence;
}

static void try_row(struct lane *lane, enum eg_probe_row row)
{
	const struct eg_probe_info *info = &eg_probe_rows[row];
	struct run *run = lane->run;
	struct trial *trial = &lane->rows[row];
	__u8 family = row == EG_PROBE_ROW_ENDPOINT ? run->request->endpoint.family : info->family;
	const char *absent = why_absent(lane, row, family);

	if (run->request->progress)
		run->request->progress(lane->link->name, info->what, run->done, run->all);
	run->done++;
	*trial = (struct trial){.probe = {.content = info->content}};
	address_trial(lane, trial, family, row);
	if (absent) {
		trial->evidence = (struct eg_evidence){.absent = true, .call = absent};
		return;
	}
	try_trial(lane, trial, info->way, info->flags);
	if (eg_row_wants_twin(&trial->evidence))
		try_twin(lane, row);
}

/* --- a lane ---------------------------------------------------------------------------------- */

/* A packet of an ordinary socket to the router: allowed or not, it shows whether such packets get
 * as far as the interface, and has the router's hardware address found. */
static void try_routed(struct lane *lane, __u8 family)
{
	const bool v4 = family == EG_FAMILY_IPV4;
	struct trial *trial = v4 ? &lane->routed4 : &lane->routed6;

	if (v4 ? !lane->has4 || !lane->has_gateway4 : !lane->has6 || !lane->has_gateway6)
		return;
	for (int i = 0; i < TRIES && !is_accounted_for(&trial->evidence); i++) {
		EG_AUTO_PROBER struct eg_prober *prober = NULL;

		trial->probe = (struct eg_probe){.content = EG_CONTENT_UDP};
		address_trial(lane, trial, family, NUMBER_ROUTED + family);
		trial->probe.dst = v4 ? lane->gateway4 : lane->gateway6;
		trial->probe.dport = DISCARD_PORT;
		send_trial(lane, trial, EG_WAY_UDP, 0, &prober);
		look_for(lane->run, ANSWER_WAIT_MS, is_accounted_for, &trial->evidence);
	}
}

static void find_addresses(struct lane *lane)
{
	EG_AUTO_FREE struct eg_link_addr *addrs = NULL;
	const struct eg_netns *netns = lane->run->request->netns;
	const union eg_addr test4 = eg_test_address(EG_FAMILY_IPV4);
	const union eg_addr test6 = eg_test_address(EG_FAMILY_IPV6);
	size_t n = 0;

	if (eg_addrs_get(netns, &addrs, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const bool local =
			addrs[i].addr.bytes[0] == 0xfe && (addrs[i].addr.bytes[1] & 0xc0) == 0x80;

		if (addrs[i].ifindex != lane->link->ifindex)
			continue;
		if (addrs[i].family == EG_FAMILY_IPV4 && !lane->has4) {
			lane->addr4 = addrs[i].addr;
			lane->has4 = true;
		} else if (addrs[i].family == EG_FAMILY_IPV6 && (!lane->has6 || !local)) {
			lane->addr6 = addrs[i].addr;
			lane->has6 = true;
		}
	}
	lane->has_gateway4 = eg_gateway_find(netns, lane->link->ifindex, EG_FAMILY_IPV4, &test4,
					     &lane->gateway4) == 0;
	lane->has_gateway6 = eg_gateway_find(netns, lane->link->ifindex, EG_FAMILY_IPV6, &test6,
					     &lane->gateway6) == 0;
	/* Nobody's, where it has none: the packets that are sent as they are have some source. */
	if (!lane->has4)
		lane->addr4 = eg_test_lan(EG_FAMILY_IPV4);
	if (!lane->has6)
		lane->addr6 = eg_test_lan(EG_FAMILY_IPV6);
}

/* A unicast address that is administered locally, and that nobody has. */
static void make_nobody(__u8 mac[6])
{
	if (getrandom(mac, 6, GRND_NONBLOCK) < 0)
		memset(mac, 0x67, 6);
	mac[0] = (__u8)((mac[0] & 0xfe) | 0x02);
}

static int describe_lane(struct lane *lane)
{
	struct eg_verify_underlay_view *view = &lane->run->view->underlays[lane->index];

	view->name = strdup(lane->link->name);
	if (!view->name)
		return -ENOMEM;
	if (lane->far_end) {
		view->far_end = strdup(lane->underlay->peer.name);
		return view->far_end ? 0 : -ENOMEM;
	}
	view->detail =
		strdup(is_up(lane) ? "its far end cannot be watched: the guard's own word is "
				     "all there is"
				   : "it is down: nothing can leave by it now");
	return view->detail ? 0 : -ENOMEM;
}

static int open_lane(struct lane *lane)
{
	const struct eg_netns *netns = lane->run->request->netns;
	struct eg_refusal refusal = {};
	int result = 0;

	make_nobody(lane->nobody);
	if (!is_up(lane))
		return describe_lane(lane);
	if (lane->link->link_header)
		result = eg_prober_hardware_address(netns, lane->link->name, lane->mac);
	if (result == 0 && lane->underlay->has_peer)
		result = eg_far_end_open(&lane->underlay->peer, on_frame, lane, &lane->far_end);
	/* Without it nothing allowed is seen, and so nothing is called safe. */
	if (result == 0 && lane->link->link_header)
		eg_prober_open_arp(netns, lane->link, &lane->arp, &refusal);
	if (result < 0)
		return result;
	find_addresses(lane);
	return describe_lane(lane);
}

static int start_lane(struct lane *lane)
{
	if (!is_up(lane))
		return 0;
	for (int i = 0; i < TRIES && !lane->control; i++)
		lane->control = fence(lane, CONTROL_WAIT_MS / TRIES);
	try_routed(lane, EG_FAMILY_IPV4);
	try_routed(lane, EG_FAMILY_IPV6);
	if (lane->far_end && !lane->control)
		return eg_verify_doubt(lane->run->view,
				       "%s: an ARP request, which is allowed, was not seen at the "
				       "far end, so nothing would be",
				       lane->link->name);
	return 0;
}

static void judge_lane(struct lane *lane)
{
	struct eg_verify_underlay_view *view = &lane->run->view->underlays[lane->index];

	for (enum eg_probe_row row = 0; row < EG_PROBE_ROW_COUNT; row++) {
		struct eg_verify_row_view *to = &view->rows[view->n_rows++];
		const struct eg_evidence *twin = lane->rows[row].evidence.twin;

		to->row = row;
		to->seen = lane->rows[row].evidence.seen + (twin ? twin->seen : 0);
		eg_row_judge(&lane->rows[row].evidence, &to->verdict);
	}
}

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
	const __u64 until_ns = now_ns() + ANSWER_WAIT_MS * NS_PER_MS;
	__u8 frame[256];

	while (now_ns() < until_ns) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		ssize_t len;

		look(run);
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

	address_trial(lane, &trial, EG_FAMILY_IPV4, NUMBER_MASK - 1);
	trial.probe.dst = lane->gateway4;
	send_trial(lane, &trial, EG_WAY_ICMP, 0, &prober);
	if (prober && hear(lane->run, eg_prober_fd(prober), &trial, is_echo_reply))
		result = 1;
	look(lane->run);
	/* It goes out of scope. */
	lane->run->n_cookies--;
	for (size_t layer = 0; layer < EG_LAYER_COUNT; layer++) {
		if (trial.evidence.dropped[layer])
			result = -1;
	}
	return result;
}

static int check_lan(struct lane *lane)
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
	snprintf(detail, sizeof(detail), "last handshake %llu s ago; %s",
		 (unsigned long long)age_of(after),
		 after->tx > before->tx ? "a packet went into it" : "it sent no packet");
	return add_check(run, "tunnel", name, after->tx > before->tx ? "works" : "fails", detail);
}

static int check_tunnel(struct run *run, const struct eg_tunnel *tunnel)
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
	after = before;
	for (int i = 0; i < TUNNEL_WAIT_MS / TUNNEL_STEP_MS; i++) {
		nanosleep(&step, NULL);
		look(run);
		if (read_tunnel(run, tunnel, &after, &error) < 0)
			return add_check(run, "tunnel", tunnel->link.name, "cannot tell",
					 error.message);
		if (is_fresh(&after) && after.tx > before.tx)
			break;
	}
	return tell_tunnel(run, tunnel->link.name, &before, &after);
}

/* --- all of it ------------------------------------------------------------------------------- */

static int make_socket(void *argument)
{
	int *fd = argument;

	*fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return *fd < 0 ? -errno : 0;
}

/* Asked of the guard, for getpid() tells another number inside of a PID namespace. */
static void learn_pid(struct run *run)
{
	EG_AUTO_CLOSE int fd = -1;

	if (run->request->guard && eg_netns_run(run->request->netns, make_socket, &fd) == 0)
		run->pid = eg_guard_maker_of(run->request->guard, fd);
}

static int open_run(struct run *run, struct eg_error *error)
{
	const struct eg_verify_request *request = run->request;
	int result = 0;

	if (getrandom(run->token, sizeof(run->token), 0) != sizeof(run->token))
		return eg_error_set(error, EG_EXIT_FAILED, EIO, "no random bytes");
	run->lanes = calloc(request->survey->n_underlays + 1, sizeof(*run->lanes));
	run->cookies = calloc(COOKIES_MAX, sizeof(*run->cookies));
	run->view->underlays =
		calloc(request->survey->n_underlays + 1, sizeof(*run->view->underlays));
	if (!run->lanes || !run->cookies || !run->view->underlays)
		return eg_error_set(error, EG_EXIT_FAILED, ENOMEM, "out of memory");
	run->view->n_underlays = request->survey->n_underlays;
	if (request->guard)
		result = eg_viewer_open(request->guard, on_event, run, &run->viewer, error);
	if (result < 0)
		return result;
	run->beat_ns = now_ns();
	learn_pid(run);
	for (size_t i = 0; i < request->survey->n_underlays && result == 0; i++) {
		struct lane *lane = &run->lanes[run->n_lanes++];

		*lane = (struct lane){.run = run,
				      .index = (__u32)i,
				      .underlay = &request->survey->underlays[i],
				      .link = &request->survey->underlays[i].link};
		result = open_lane(lane);
		if (is_up(lane))
			run->all += EG_PROBE_ROW_COUNT;
	}
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot prepare the sockets to send from and to watch by: %s",
				    strerror(-result));
	return 0;
}

static void close_run(struct run *run)
{
	for (size_t i = 0; i < run->n_lanes; i++) {
		eg_far_end_close(run->lanes[i].far_end);
		eg_prober_close(run->lanes[i].arp);
	}
	if (run->viewer && run->request->guard)
		eg_guard_set_probes(run->request->guard, NULL, 0, 0, 0);
	eg_viewer_close(run->viewer);
	free(run->lanes);
	free(run->cookies);
}

static int doubt_nothing_tried(struct run *run)
{
	if (!run->n_lanes)
		return eg_verify_doubt(run->view, "there is no interface that leads out but "
						  "tunnels, so there was nothing to try");
	if (!run->all)
		return eg_verify_doubt(run->view, "every interface that leads out is down, so "
						  "there was nothing to try");
	return 0;
}

static int run_lanes(struct run *run)
{
	int result = doubt_nothing_tried(run);

	for (size_t i = 0; i < run->n_lanes && result == 0; i++)
		result = start_lane(&run->lanes[i]);
	for (size_t i = 0; i < run->n_lanes && result == 0; i++) {
		if (!is_up(&run->lanes[i]))
			continue;
		for (enum eg_probe_row row = 0; row < EG_PROBE_ROW_COUNT && !run->failed; row++)
			try_row(&run->lanes[i], row);
	}
	return result ? result : run->failed;
}

static int run_checks(struct run *run)
{
	int result = 0;

	for (size_t i = 0; i < run->request->survey->n_tunnels && result == 0; i++)
		result = check_tunnel(run, &run->request->survey->tunnels[i]);
	for (size_t i = 0; i < run->n_lanes && result == 0; i++)
		result = check_lan(&run->lanes[i]);
	return result ? result : run->failed;
}

static __u64 all_lost(const struct run *run)
{
	__u64 lost = events_lost(run);

	for (size_t i = 0; i < run->n_lanes; i++)
		lost += frames_lost(&run->lanes[i]);
	return lost;
}

/* What comes late still counts. */
static int end_lanes(struct run *run)
{
	const __u64 lost_before = all_lost(run);
	int result = 0;

	look_for(run, LATE_MS, NULL, NULL);
	if (all_lost(run) != lost_before)
		result = eg_verify_doubt(run->view, "frames or events were lost at the end");
	for (size_t i = 0; i < run->n_lanes && result == 0; i++) {
		if (is_up(&run->lanes[i]))
			judge_lane(&run->lanes[i]);
	}
	return result ? result : run->failed;
}

int eg_verify_run(const struct eg_verify_request *request, struct eg_verify_view *view,
		  struct eg_error *error)
{
	struct run run = {.request = request, .view = view};
	int result = open_run(&run, error);

	eg_prober_stay();
	if (result == 0) {
		result = run_lanes(&run);
		if (result == 0)
			result = run_checks(&run);
		if (result == 0)
			result = end_lanes(&run);
		if (result < 0)
			eg_error_set(error, EG_EXIT_FAILED, -result, "while probing: %s",
				     strerror(-result));
	}
	close_run(&run);
	return result;
}
