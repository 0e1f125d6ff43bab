// SPDX-License-Identifier: GPL-2.0
/*
 * What a test run cannot show, with real frames through a veth pair in a namespace of its own:
 * frames cut at every byte, frames whose bytes are not in the skb's linear part, tags that the
 * kernel takes out, pending checksums.
 */
#include "fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "eg_packet.h"
#include "util/cleanup.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define UNDERLAY "eg0"
#define PEER     "eg1"
#define TUN      "egtun0"

#define SKIP(...)                                                                                  \
	do {                                                                                       \
		printf("\nSKIP: " __VA_ARGS__);                                                    \
		printf("\n");                                                                      \
		fflush(stdout);                                                                    \
		skip();                                                                            \
	} while (0)

static const char policy_text[] =
	"[Lan]\nDns = lan\n"
	"[WireGuard]\nEndpoint = 203.0.113.9:51820\nEndpoint = [2001:db8::9]:51820\n"
	"[Derived]\nTunnelOnly = 10.2.0.0/16\nOnLink = 172.18.0.0/16\n";

static struct fixture fixture;
static struct packets_frame frame;

/* Of every shape that the parser knows; each is also sent in pieces. */
static const struct packets_sketch sketches[] = {
	{.ethertype = EG_ETHERTYPE_ARP, .payload_len = 28},
	{.ethertype = 0x88cc, .payload_len = 20},
	{.family = 4, .src = "172.18.0.2", .dst = "192.168.1.5", .proto = 6, .dport = 80},
	{.family = 4, .src = "172.18.0.2", .dst = "203.0.113.7", .proto = 6, .dport = 80},
	{.family = 4, .src = "172.18.0.2", .dst = "192.168.1.5", .proto = 1, .icmp_type = 8},
	{.family = 4, .src = "172.18.0.2", .dst = "192.168.1.5", .proto = 132, .dport = 80},
	{.family = 4, .src = "172.18.0.2", .dst = "192.168.1.5", .proto = 47, .payload_len = 9},
	{.family = 4,
	 .src = "172.18.0.2",
	 .dst = "203.0.113.9",
	 .proto = 17,
	 .dport = 51820,
	 .payload = {3},
	 .payload_len = 64},
	{.family = 4,
	 .src = "172.18.0.2",
	 .dst = "192.168.1.5",
	 .proto = 17,
	 .dport = 80,
	 .payload_len = 9,
	 .options = {1, 148, 4, 0, 0, 131, 7, 4, 8, 8, 8, 8},
	 .n_options = 12},
	{.family = 4,
	 .src = "172.18.0.2",
	 .dst = "192.168.1.5",
	 .proto = 6,
	 .dport = 80,
	 .options = {1, 148, 4, 0, 0, 1, 1, 131, 7, 4, 8, 8, 8, 8},
	 .n_options = 16},
	{.family = 4,
	 .src = "172.18.0.2",
	 .dst = "192.168.1.5",
	 .proto = 17,
	 .payload_len = 30,
	 .fragment = EG_FRAGMENT_LATER},
	{.family = 4, .src = "172.18.0.2", .dst = "10.2.0.1", .proto = 6, .vlan_tags = 1},
	{.family = 4, .src = "172.18.0.2", .dst = "10.3.0.1", .proto = 6, .vlan_tags = 2},
	{.family = 4, .src = "172.18.0.2", .dst = "10.3.0.1", .proto = 6, .vlan_tags = 3},
	{.family = 6, .src = "fd00::2", .dst = "fd00::5", .proto = 6, .dport = 80},
	{.family = 6, .src = "fd00::2", .dst = "2001:db8:7::7", .proto = 17, .dport = 443},
	{.family = 6, .src = "fd00::2", .dst = "fd00::5", .proto = 58, .icmp_type = 128},
	{.family = 6,
	 .src = "fe80::2",
	 .dst = "ff02::1:ff00:1",
	 .proto = 58,
	 .ttl = 255,
	 .icmp_type = 135,
	 .payload_len = 16},
	{.family = 6,
	 .src = "fd00::2",
	 .dst = "2001:db8::9",
	 .proto = 17,
	 .dport = 51820,
	 .payload = {4},
	 .payload_len = 40},
	{.family = 6,
	 .src = "fd00::2",
	 .dst = "fd00::5",
	 .proto = 6,
	 .dport = 80,
	 .exts = {0, 60, 60},
	 .n_exts = 3},
	{.family = 6,
	 .src = "fd00::2",
	 .dst = "fd00::5",
	 .proto = 6,
	 .dport = 80,
	 .exts = {0, 43},
	 .n_exts = 2,
	 .vlan_tags = 1},
	{.family = 6,
	 .src = "fd00::2",
	 .dst = "2001:db8::9",
	 .proto = 17,
	 .payload_len = 20,
	 .fragment = EG_FRAGMENT_LATER},
};

/* --- the bed ---------------------------------------------------------------------------------- */

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static __u32 index_of(const char *name)
{
	__u32 ifindex = if_nametoindex(name);

	if (!ifindex)
		fail_msg("there is no interface %s", name);
	return ifindex;
}

/* A tcx link, or a clsact filter where there is no tcx; in force until it goes out of scope. */
struct attachment {
	int link_fd;
	__u32 ifindex;
	__u32 prog_id;
};

static void detach(struct attachment *attachment)
{
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;

	if (attachment->link_fd >= 0) {
		close(attachment->link_fd);
	} else if (attachment->ifindex) {
		assert_int_equal(eg_netns_open_self(&netns), 0);
		assert_int_equal(
			eg_clsact_detach(&netns, attachment->ifindex, &attachment->prog_id, 1), 0);
	}
}
#define AUTO_DETACH EG_AUTO(detach)
#define DETACHED    ((struct attachment){.link_fd = -1})

static struct attachment attach(enum eg_prog prog, const char *name, enum eg_direction direction)
{
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	struct attachment attachment = {.ifindex = index_of(name),
					.prog_id = fixture.guard->prog_ids[prog]};
	int err = 0;

	attachment.link_fd =
		eg_tcx_attach(fixture.guard->progs[prog], attachment.ifindex, direction);
	if (attachment.link_fd == -EINVAL) {
		assert_int_equal(eg_netns_open_self(&netns), 0);
		err = eg_clsact_attach(&netns, fixture.guard->progs[prog], attachment.ifindex,
				       direction);
	} else if (attachment.link_fd < 0) {
		err = attachment.link_fd;
	}
	if (err < 0)
		fail_msg("attach to %s: %s", name, strerror(-err));
	return attachment;
}

struct way {
	bool bypass; /* PACKET_QDISC_BYPASS: past tc egress */
	bool header; /* PACKET_VNET_HDR */
};

static int open_sender(const char *name, struct way way)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)index_of(name)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int on = 1;

	assert_true(fd >= 0);
	if (way.bypass)
		assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)),
				 0);
	if (way.header)
		assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* 0, or the negative errno with which the kernel refuses the frame by itself. A drop at tc egress
 * is ENOBUFS for the sender. */
static int send_bytes(int fd, const struct eg_host_frame *host, bool header)
{
	static __u8 bytes[PACKETS_ROOM + sizeof(struct virtio_net_hdr)];
	struct virtio_net_hdr vnet = {};
	size_t at = header ? sizeof(vnet) : 0;

	if (host->checksum_pending)
		vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vnet.csum_start = (__u16)host->checksum_start;
	vnet.csum_offset = (__u16)host->checksum_offset;
	memcpy(bytes, &vnet, sizeof(vnet));
	memcpy(bytes + at, host->bytes, host->length);
	if (send(fd, bytes, at + host->length, 0) < 0 && errno != ENOBUFS)
		return -errno;
	return 0;
}

/* --- what was counted ------------------------------------------------------------------------- */

static void wait_a_little(void)
{
	const struct timespec pause = {.tv_nsec = 200000};

	nanosleep(&pause, NULL);
}

/* The one reason that the layer has counted since `before`. Ingress may take a moment. */
static enum eg_reason reason_since(const struct fixture_counters *before, enum eg_layer layer)
{
	struct fixture_counters after;

	for (int i = 0; i < 10000; i++) {
		int found = -1;

		fixture_count_layer(&fixture, layer, &after);
		for (enum eg_reason reason = 0; reason < EG_REASON_COUNT; reason++) {
			__u64 n =
				fixture_counted(before, &after, eg_counter_index(layer, 0, reason))
					.packets;

			if (!n)
				continue;
			assert_true(found < 0);
			assert_int_equal(n, 1);
			found = (int)reason;
		}
		if (found >= 0)
			return (enum eg_reason)found;
		wait_a_little();
	}
	fail_msg("the frame was not counted");
	return EG_REASON_COUNT;
}

static void say_frame(const struct eg_host_frame *host)
{
	fprintf(stderr, "%u bytes, checksum %u %u+%u:", host->length, host->checksum_pending,
		host->checksum_start, host->checksum_offset);
	for (__u32 i = 0; i < host->length && i < 160; i++)
		fprintf(stderr, "%s%02x", i % 16 ? " " : "\n  ", host->bytes[i]);
	fputc('\n', stderr);
}

/* Sends and compares with what the same function says here. False: the kernel did not take it. */
static bool send_and_check(int fd, bool header, const struct eg_host_frame *host,
			   enum eg_layer layer)
{
	struct fixture_counters before;
	enum eg_reason expected = fixture_judge(&fixture, host, NULL), reason;

	fixture_count_layer(&fixture, layer, &before);
	if (send_bytes(fd, host, header) < 0)
		return false;
	reason = reason_since(&before, layer);
	if (reason != expected) {
		say_frame(host);
		fail_msg("the kernel says %s, the host %s", eg_reason_names[reason],
			 eg_reason_names[expected]);
	}
	return true;
}

/* --- cut frames ------------------------------------------------------------------------------- */

/* Every length from the least that the kernel sends; lengths in the headers stay, and lie. */
static void cut_all(int fd, enum eg_layer layer)
{
	for (size_t i = 0; i < COUNT(sketches); i++) {
		__u32 whole;

		packets_build(&sketches[i], &frame);
		whole = frame.host.length;
		for (__u32 length = 14; length <= whole; length++) {
			frame.host.length = frame.host.captured = length;
			/* A tag of which nothing follows is dropped before tc ingress. */
			if (layer == EG_LAYER_PEER && sketches[i].vlan_tags && length < 14 + 4 + 2)
				continue;
			assert_true(send_and_check(fd, false, &frame.host, layer));
		}
	}
}

static void test_cut_device(void **state)
{
	AUTO_DETACH struct attachment link = attach(EG_PROG_DEVICE, UNDERLAY, EG_EGRESS);
	EG_AUTO_CLOSE int fd = open_sender(UNDERLAY, (struct way){});

	(void)state;
	cut_all(fd, EG_LAYER_DEVICE);
}

/* There the kernel has taken the outermost tag out of the bytes. */
static void test_cut_peer(void **state)
{
	AUTO_DETACH struct attachment link = attach(EG_PROG_PEER, PEER, EG_INGRESS);
	EG_AUTO_CLOSE int fd = open_sender(UNDERLAY, (struct way){.bypass = true});

	(void)state;
	cut_all(fd, EG_LAYER_PEER);
}

/* --- frames in pages -------------------------------------------------------------------------- */

struct ring {
	int fd;
	__u8 *memory;
	size_t size;
	unsigned int next;
};
#define RING_FRAME  2048
#define RING_FRAMES 64

static void open_ring(struct ring *ring)
{
	struct tpacket_req request = {.tp_block_size = RING_FRAME * RING_FRAMES,
				      .tp_block_nr = 1,
				      .tp_frame_size = RING_FRAME,
				      .tp_frame_nr = RING_FRAMES};
	int version = TPACKET_V2;

	ring->fd = open_sender(UNDERLAY, (struct way){});
	ring->next = 0;
	ring->size = RING_FRAME * RING_FRAMES;
	assert_int_equal(
		setsockopt(ring->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)), 0);
	assert_int_equal(
		setsockopt(ring->fd, SOL_PACKET, PACKET_TX_RING, &request, sizeof(request)), 0);
	ring->memory = mmap(NULL, ring->size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	assert_true(ring->memory != MAP_FAILED);
}

/* Of such a frame only the link-layer header is in the linear part. */
static void ring_send(struct ring *ring, const struct eg_host_frame *host)
{
	struct tpacket2_hdr *header =
		(struct tpacket2_hdr *)(ring->memory + RING_FRAME * (ring->next % RING_FRAMES));

	while (__atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE) != TP_STATUS_AVAILABLE)
		wait_a_little();
	memcpy((__u8 *)header + TPACKET2_HDRLEN - sizeof(struct sockaddr_ll), host->bytes,
	       host->length);
	header->tp_len = host->length;
	__atomic_store_n(&header->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
	if (send(ring->fd, NULL, 0, 0) >= 0) {
		ring->next++;
		return;
	}
	/* After a drop the kernel would send the same frame again. */
	assert_int_equal(errno, ENOBUFS);
	__atomic_store_n(&header->tp_status, TP_STATUS_AVAILABLE, __ATOMIC_RELEASE);
}

static void ring_check(struct ring *ring, const struct eg_host_frame *host)
{
	enum eg_reason expected = fixture_judge(&fixture, host, NULL), reason;
	struct fixture_counters before;

	fixture_count_layer(&fixture, EG_LAYER_DEVICE, &before);
	ring_send(ring, host);
	reason = reason_since(&before, EG_LAYER_DEVICE);
	if (reason != expected) {
		say_frame(host);
		fail_msg("in pages: the kernel says %s, the host %s", eg_reason_names[reason],
			 eg_reason_names[expected]);
	}
}

static void test_pages(void **state)
{
	AUTO_DETACH struct attachment link = attach(EG_PROG_DEVICE, UNDERLAY, EG_EGRESS);
	struct packets_random random = {.state = 4};
	unsigned int seen[EG_REASON_COUNT] = {};
	struct ring ring;

	(void)state;
	open_ring(&ring);
	for (size_t i = 0; i < COUNT(sketches); i++) {
		packets_build(&sketches[i], &frame);
		for (__u32 length = frame.host.length; length > 14; length--) {
			frame.host.length = frame.host.captured = length;
			ring_check(&ring, &frame.host);
		}
	}
	for (int i = 0; i < 3000;) {
		packets_random_frame(&random, fixture.policy, PACKETS_TRUNCATED, &frame);
		if (frame.host.length <= 14 || frame.host.length > 1514)
			continue;
		ring_check(&ring, &frame.host);
		seen[fixture_judge(&fixture, &frame.host, NULL)]++;
		i++;
	}
	assert_true(seen[EG_REASON_LAN] && seen[EG_REASON_ENDPOINT] && seen[EG_REASON_PUBLIC] &&
		    seen[EG_REASON_SOURCE_ROUTE] && seen[EG_REASON_FRAGMENT]);
	munmap(ring.memory, ring.size);
	close(ring.fd);
}

/* --- pending checksums ------------------------------------------------------------------------ */

static void need_checksum_test(void)
{
	if (fixture.guard->meta.flags & EG_META_NO_CHECKSUM_TEST)
		SKIP("this kernel has no BTF, so the checksum test is not there");
}

static const struct packets_sketch arp = {.ethertype = EG_ETHERTYPE_ARP, .payload_len = 46};
static const struct packets_sketch tcp4 = {
	.family = 4, .src = "172.18.0.2", .dst = "192.168.1.5", .proto = 6, .payload_len = 20};
static const struct packets_sketch udp4 = {
	.family = 4, .src = "172.18.0.2", .dst = "192.168.1.5", .proto = 17, .payload_len = 20};
static const struct packets_sketch tcp6 = {
	.family = 6, .src = "fd00::2", .dst = "fd00::5", .proto = 6, .payload_len = 20};
static const struct packets_sketch tagged = {.vlan_tags = 1,
					     .family = 4,
					     .src = "172.18.0.2",
					     .dst = "192.168.1.5",
					     .proto = 6,
					     .payload_len = 20};

/* Aims at every place; returns how many of the frames may leave. */
static unsigned int aim_everywhere(int fd, const struct packets_sketch *sketch, enum eg_layer layer,
				   unsigned int *ret_sent)
{
	/* A checksum that starts in the link-layer header is given up by the kernel when it takes
	 * that header off, which is before `peer`: nothing is pending there any more. */
	__u32 first = layer == EG_LAYER_PEER ? 14 : 0;
	unsigned int passed = 0, sent = 0;

	packets_build(sketch, &frame);
	frame.host.checksum_pending = 1;
	for (__u32 start = first; start + 2 <= frame.host.length; start++)
		for (__u32 offset = 0; offset <= 20; offset++) {
			frame.host.checksum_start = start;
			frame.host.checksum_offset = offset;
			if (!send_and_check(fd, true, &frame.host, layer))
				continue;
			sent++;
			passed += eg_reason_verdict(fixture_judge(&fixture, &frame.host, NULL)) ==
				  EG_VERDICT_ALLOW;
		}
	*ret_sent = sent;
	return passed;
}

static void aim_all(int fd, enum eg_layer layer)
{
	unsigned int sent;

	assert_int_equal(aim_everywhere(fd, &tcp4, layer, &sent), 1);
	assert_true(sent > 500);
	assert_int_equal(aim_everywhere(fd, &udp4, layer, &sent), 1);
	assert_int_equal(aim_everywhere(fd, &tcp6, layer, &sent), 1);
	assert_int_equal(aim_everywhere(fd, &arp, layer, &sent), 0);
	assert_true(sent > 500);
}

static void test_checksum_device(void **state)
{
	AUTO_DETACH struct attachment link = attach(EG_PROG_DEVICE, UNDERLAY, EG_EGRESS);
	EG_AUTO_CLOSE int fd = open_sender(UNDERLAY, (struct way){.header = true});
	unsigned int sent;

	(void)state;
	need_checksum_test();
	aim_all(fd, EG_LAYER_DEVICE);
	assert_int_equal(aim_everywhere(fd, &tagged, EG_LAYER_DEVICE, &sent), 1);
}

static void test_checksum_peer(void **state)
{
	AUTO_DETACH struct attachment link = attach(EG_PROG_PEER, PEER, EG_INGRESS);
	EG_AUTO_CLOSE int fd = open_sender(UNDERLAY, (struct way){.header = true, .bypass = true});

	(void)state;
	need_checksum_test();
	aim_all(fd, EG_LAYER_PEER);
}

static int open_tun(void)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	snprintf(request.ifr_name, sizeof(request.ifr_name), TUN);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		SKIP("no tun interface: %s", strerror(errno));
	return fd;
}

/* An interface without a link-layer header: offsets count from the IP header. */
static void test_l3(void **state)
{
	EG_AUTO_CLOSE int tun = open_tun();
	AUTO_DETACH struct attachment link = DETACHED;
	EG_AUTO_CLOSE int fd = -1;
	struct packets_sketch sketch;
	unsigned int sent;

	(void)state;
	run("ip link set " TUN " txqueuelen 10000 up");
	link = attach(EG_PROG_DEVICE_L3, TUN, EG_EGRESS);
	fd = open_sender(TUN, (struct way){.header = true});
	for (size_t i = 0; i < COUNT(sketches); i++) {
		__u32 whole;

		if (!sketches[i].family || sketches[i].vlan_tags)
			continue;
		sketch = sketches[i];
		sketch.no_link_header = true;
		packets_build(&sketch, &frame);
		whole = frame.host.length;
		for (__u32 length = 1; length <= whole; length++) {
			frame.host.length = frame.host.captured = length;
			send_and_check(fd, true, &frame.host, EG_LAYER_DEVICE);
		}
		assert_true(send_and_check(fd, true, &frame.host, EG_LAYER_DEVICE));
	}
	need_checksum_test();
	sketch = tcp4;
	sketch.no_link_header = true;
	assert_int_equal(aim_everywhere(fd, &sketch, EG_LAYER_DEVICE, &sent), 1);
	assert_true(sent > 500);
	sketch = tcp6;
	sketch.no_link_header = true;
	assert_int_equal(aim_everywhere(fd, &sketch, EG_LAYER_DEVICE, &sent), 1);
}

/* --- why it matters: the positive control ----------------------------------------------------- */

static void set_checksum_offload(bool on)
{
	struct ethtool_value value = {.cmd = ETHTOOL_STXCSUM, .data = on};
	struct ifreq request = {.ifr_data = (void *)&value};
	EG_AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(request.ifr_name, sizeof(request.ifr_name), UNDERLAY);
	assert_int_equal(ioctl(fd, SIOCETHTOOL, &request), 0);
}

static int open_capture(void)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)index_of(PEER)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* What arrived at the other end; 0 bytes if nothing did. */
static size_t captured(int fd, __u8 *bytes, size_t size)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	ssize_t n;

	if (poll(&ready, 1, 200) != 1)
		return 0;
	n = recv(fd, bytes, size, 0);
	return n < 0 ? 0 : (size_t)n;
}

/* Aims at two bytes: without a guard they arrive rewritten, with it nothing arrives. False: this
 * kernel refuses such a frame by itself. */
static bool rewrite(const struct packets_sketch *sketch, __u32 start, __u32 offset)
{
	EG_AUTO_CLOSE int sender = open_sender(UNDERLAY, (struct way){.header = true});
	EG_AUTO_CLOSE int capture = open_capture();
	AUTO_DETACH struct attachment link = DETACHED;
	__u8 bytes[2048];

	packets_build(sketch, &frame);
	frame.host.checksum_pending = 1;
	frame.host.checksum_start = start;
	frame.host.checksum_offset = offset;
	if (send_bytes(sender, &frame.host, true) == -EINVAL)
		return false;
	assert_int_equal(captured(capture, bytes, sizeof(bytes)), frame.host.length);
	assert_memory_equal(bytes, frame.bytes, start + offset);
	assert_memory_not_equal(bytes + start + offset, frame.bytes + start + offset, 2);

	link = attach(EG_PROG_DEVICE, UNDERLAY, EG_EGRESS);
	assert_int_equal(fixture_judge(&fixture, &frame.host, NULL), EG_REASON_MALFORMED);
	assert_true(send_and_check(sender, true, &frame.host, EG_LAYER_DEVICE));
	assert_int_equal(captured(capture, bytes, sizeof(bytes)), 0);
	return true;
}

static void test_rewrite(void **state)
{
	(void)state;
	need_checksum_test();
	set_checksum_offload(false);
	/* The destination address. */
	assert_true(rewrite(&tcp4, 14 + 16, 0));
	/* The frame's type, where the kernel allows a checksum that starts before the network
	 * header; in ARP's own bytes at least. */
	if (!rewrite(&arp, 0, 12))
		assert_true(rewrite(&arp, 14 + 14, 0));
	set_checksum_offload(true);
}

/* An allowed frame arrives as it was sent, a blocked one does not arrive. */
static void test_arrives(void **state)
{
	AUTO_DETACH struct attachment link = attach(EG_PROG_DEVICE, UNDERLAY, EG_EGRESS);
	AUTO_DETACH struct attachment link_peer = attach(EG_PROG_PEER, PEER, EG_INGRESS);
	EG_AUTO_CLOSE int sender = open_sender(UNDERLAY, (struct way){});
	EG_AUTO_CLOSE int capture = open_capture();
	__u8 bytes[2048];

	(void)state;
	for (size_t i = 0; i < COUNT(sketches); i++) {
		bool allowed;

		packets_build(&sketches[i], &frame);
		if (sketches[i].vlan_tags)
			continue;
		allowed = eg_reason_verdict(fixture_judge(&fixture, &frame.host, NULL)) ==
			  EG_VERDICT_ALLOW;
		assert_int_equal(send_bytes(sender, &frame.host, false), 0);
		assert_int_equal(captured(capture, bytes, sizeof(bytes)),
				 allowed ? frame.host.length : 0);
		if (allowed)
			assert_memory_equal(bytes, frame.bytes, frame.host.length);
	}
}

static int set_up(void **state)
{
	(void)state;
	/* Nothing of the stack's own on the wire. */
	run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1");
	run("ip link add " UNDERLAY " type veth peer name " PEER);
	run("ip link set " UNDERLAY " up && ip link set " PEER " up");
	fixture_open(&fixture, policy_text);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fixture_close(&fixture);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_device),    cmocka_unit_test(test_cut_peer),
		cmocka_unit_test(test_pages),         cmocka_unit_test(test_checksum_device),
		cmocka_unit_test(test_checksum_peer), cmocka_unit_test(test_l3),
		cmocka_unit_test(test_rewrite),       cmocka_unit_test(test_arrives),
	};

	fixture_enter("test_live");
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
