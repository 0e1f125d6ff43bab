// SPDX-License-Identifier: GPL-2.0
#include "verify.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "verify_run.h"

#define CONTROL_WAIT_MS 1500 /* the first time; a slow machine has it too */
#define LATE_MS         200
#define PORT_MIN        20000
#define PORT_RANGE      40000

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

/* --- rows ------------------------------------------------------------------------------------ */

static __u16 random_port(void)
{
	__u16 port = 0;

	if (getrandom(&port, sizeof(port), GRND_NONBLOCK) < 0)
		port = (__u16)eg_monotonic_ns();
	return (__u16)(PORT_MIN + port % PORT_RANGE);
}

void eg_trial_address(const struct lane *lane, struct trial *trial, __u8 family, __u32 number)
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
	if (eg_way_is_ordinary(info->way) && family == EG_FAMILY_IPV6 && !lane->has6)
		return "no IPv6 here";
	if (eg_way_is_ordinary(info->way) && family == EG_FAMILY_IPV4 && !lane->has4)
		return "no IPv4 here";
	if (!lane->link->link_header &&
	    (family == EG_FAMILY_NONE || info->content == EG_CONTENT_VLAN ||
	     info->content == EG_CONTENT_QINQ || info->way == EG_WAY_XDP))
		return "no Ethernet here";
	return NULL;
}

static void try_twin_by(struct lane *lane, enum eg_probe_row row, enum eg_probe_way way,
			const char *by)
{
	struct trial *twin = &lane->twins[row];

	*twin = (struct trial){.probe = {.content = eg_probe_rows[row].content}};
	if (twin->probe.content == EG_CONTENT_BIG)
		twin->probe.content = EG_CONTENT_UDP;
	eg_trial_address(lane, twin, lane->rows[row].probe.family, NUMBER_TWIN + row);
	if (way == EG_WAY_XDP && !lane->link->link_header)
		twin->evidence = (struct eg_evidence){.absent = true, .call = "no Ethernet here"};
	else
		eg_trial_try(lane, twin, way, way == EG_WAY_BYPASS ? EG_PROBE_PERMITTED : 0);
	twin->evidence.by = by;
	lane->rows[row].evidence.twin = &twin->evidence;
}

/* The same packet by a packet socket; where that may not go past the qdisc, by one of ours that the
 * guard lets do so. A guard of before does not: then by AF_XDP, which takes the same way. */
static void try_twin(struct lane *lane, enum eg_probe_row row)
{
	if (eg_way_is_ordinary(eg_probe_rows[row].way)) {
		try_twin_by(lane, row, EG_WAY_PACKET, "a packet socket");
		return;
	}
	try_twin_by(lane, row, EG_WAY_BYPASS, "a socket that it let pass");
	if (!lane->twins[row].sent)
		try_twin_by(lane, row, EG_WAY_XDP, "AF_XDP");
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
	eg_trial_address(lane, trial, family, row);
	if (absent) {
		trial->evidence = (struct eg_evidence){.absent = true, .call = absent};
		return;
	}
	eg_trial_try(lane, trial, info->way, info->flags);
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
	for (int i = 0; i < TRIES && !eg_evidence_is_there(&trial->evidence); i++) {
		EG_AUTO_PROBER struct eg_prober *prober = NULL;

		trial->probe = (struct eg_probe){.content = EG_CONTENT_UDP};
		eg_trial_address(lane, trial, family, NUMBER_ROUTED + family);
		trial->probe.dst = v4 ? lane->gateway4 : lane->gateway6;
		trial->probe.dport = DISCARD_PORT;
		eg_trial_send(lane, trial, EG_WAY_UDP, 0, &prober);
		eg_run_look_for(lane->run, ANSWER_WAIT_MS, eg_evidence_is_there, &trial->evidence);
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
	view->detail = strdup(eg_lane_is_up(lane)
				      ? "its far end cannot be watched: the guard's own word is "
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
	if (!eg_lane_is_up(lane))
		return describe_lane(lane);
	if (lane->link->link_header)
		result = eg_prober_hardware_address(netns, lane->link->name, lane->mac);
	if (result == 0 && lane->underlay->has_peer)
		result = eg_far_end_open(&lane->underlay->peer, eg_lane_on_frame, lane,
					 &lane->far_end);
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
	if (!eg_lane_is_up(lane))
		return 0;
	for (int i = 0; i < TRIES && !lane->control; i++)
		lane->control = eg_lane_fence(lane, CONTROL_WAIT_MS / TRIES);
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
		return eg_error_no_memory(error);
	run->view->n_underlays = request->survey->n_underlays;
	if (request->guard)
		result = eg_viewer_open(request->guard, eg_run_on_event, run, &run->viewer, error);
	if (result < 0)
		return result;
	run->beat_ns = eg_monotonic_ns();
	learn_pid(run);
	for (size_t i = 0; i < request->survey->n_underlays && result == 0; i++) {
		struct lane *lane = &run->lanes[run->n_lanes++];

		*lane = (struct lane){.run = run,
				      .index = (__u32)i,
				      .underlay = &request->survey->underlays[i],
				      .link = &request->survey->underlays[i].link};
		result = open_lane(lane);
		if (eg_lane_is_up(lane))
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
		if (!eg_lane_is_up(&run->lanes[i]))
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
		result = eg_run_check_tunnel(run, &run->request->survey->tunnels[i]);
	for (size_t i = 0; i < run->n_lanes && result == 0; i++)
		result = eg_lane_check_lan(&run->lanes[i]);
	return result ? result : run->failed;
}

static __u64 all_lost(const struct run *run)
{
	__u64 lost = eg_run_events_lost(run);

	for (size_t i = 0; i < run->n_lanes; i++)
		lost += eg_lane_frames_lost(&run->lanes[i]);
	return lost;
}

/* What comes late still counts. */
static int end_lanes(struct run *run)
{
	const __u64 lost_before = all_lost(run);
	int result = 0;

	eg_run_look_for(run, LATE_MS, NULL, NULL);
	if (all_lost(run) != lost_before)
		result = eg_verify_doubt(run->view, "frames or events were lost at the end");
	for (size_t i = 0; i < run->n_lanes && result == 0; i++) {
		if (eg_lane_is_up(&run->lanes[i]))
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
