// SPDX-License-Identifier: GPL-2.0
/*
 * Somebody who does not stop: sends to the internet in every way a process can, one packet of each
 * family in turn, over and over, and asks the LAN and the internet for answers in between. The test
 * of the state table runs it inside the guarded namespace of the bed (tests/e2e/lib.sh), whose
 * addresses it knows. What was sent when is in a file of records, for tests/e2e/states.py.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static const char help[] =
	"usage: talk inside|outside RECORDS ROUNDS\n"
	"       talk families\n"
	"\n"
	"  inside    from the guarded namespace, until it is killed\n"
	"  outside   from the internet: what the guarded namespace's kernel would answer\n"
	"  families  prints the families: tag, name, what it asks for\n"
	"\n"
	"RECORDS is appended to. ROUNDS holds how many rounds were finished, and for each family\n"
	"that waits for answers how many came.\n";

#define INTERFACE    "eth0"
#define MARK         51820
#define WG_PORT      51820
#define TAG_BASE     20000 /* what tells a family in a capture: a port, an id, the payload */
#define PAYLOAD      64
#define GAP_NS       300000 /* between two packets; times $EG_SLOW */
#define OUTSIDE_GAP  3000000
#define ANSWERS_MAX  8
#define BIG_PAYLOAD  3000
#define GSO_SEGMENT  100
#define ETHERTYPE_NO 0x88b6 /* for local experiments */
#define ESP          50
#define VLAN_ID      5

static const char me4[] = "172.18.0.2", me6[] = "fd00:18::2";
static const char public4[] = "203.0.113.7", public6[] = "2001:db8:7::7";
static const char forged4[] = "198.51.100.77", forged6[] = "2001:db8:100::77";
static const char endpoint4[] = "203.0.113.9";
static const char mapped4[] = "::ffff:203.0.113.7";
static const char lan4[] = "192.168.1.10", lan6[] = "fd00:1::10";
static const uint8_t next_hop[ETH_ALEN] = {2, 0, 0, 0, 0, 1};

enum how {
	TCP,       /* a connection that is given up in the next round */
	UDP,       /* sendto on a socket that stays */
	CONNECTED, /* a connected socket of its own */
	HELD,      /* one that was connected when all began */
	BIG,       /* more than fits: fragments */
	GSO,       /* one call, several datagrams */
	ECHO,      /* from a raw socket */
	RAW,       /* with an IP header of our own */
	PROTOCOL,  /* neither TCP nor UDP nor ICMP */
	PACKET,    /* through a packet socket */
	BYPASS,    /* the same, past the qdisc */
	SOURCE,    /* the same, with a public source */
	FRAGMENT,  /* the same, not the first of its packet */
	TAGGED,    /* the same, with a VLAN tag */
	NOT_IP,    /* the same, neither IPv4 nor IPv6 */
	ASK_UDP,   /* the responder, and counts answers */
	ASK_TCP,   /* connects to it */
};

enum flag {
	BOUND = 1,  /* to the underlay */
	MARKED = 2, /* as WireGuard's own packets are */
	FROM_OUTSIDE = 4,
};

struct family {
	const char *name;
	const char *to;
	enum how how;
	int version;
	uint16_t port; /* 0: the tag */
	uint8_t flags;
	const char *wanted; /* ASK_*: what is asked for */
};

/* clang-format off */
#define SEND(name, to, how, version, flags)	  {name, to, how, version, 0, flags, NULL}
#define ASK(name, to, how, version, port, wanted) {name, to, how, version, port, 0, wanted}
static const struct family families[] = {
	SEND("TCP", public4, TCP, 4, 0),
	SEND("TCP, IPv6", public6, TCP, 6, 0),
	SEND("TCP bound to eth0", public4, TCP, 4, BOUND),
	SEND("TCP bound to eth0, IPv6", public6, TCP, 6, BOUND),
	SEND("TCP with a forged mark", public4, TCP, 4, MARKED),
	SEND("TCP with a forged mark, IPv6", public6, TCP, 6, MARKED),
	SEND("TCP, v4-mapped", mapped4, TCP, 6, BOUND),
	SEND("UDP", public4, UDP, 4, 0),
	SEND("UDP, IPv6", public6, UDP, 6, 0),
	SEND("UDP bound to eth0", public4, UDP, 4, BOUND),
	SEND("UDP bound to eth0, IPv6", public6, UDP, 6, BOUND),
	SEND("UDP with a forged mark", public4, UDP, 4, MARKED),
	SEND("UDP with a forged mark, IPv6", public6, UDP, 6, MARKED),
	SEND("UDP, v4-mapped", mapped4, UDP, 6, BOUND),
	SEND("connected UDP", public4, CONNECTED, 4, BOUND),
	SEND("connected UDP, IPv6", public6, CONNECTED, 6, BOUND),
	SEND("UDP connected before", public4, HELD, 4, MARKED),
	SEND("UDP connected before, IPv6", public6, HELD, 6, MARKED),
	SEND("UDP in fragments", public4, BIG, 4, BOUND),
	SEND("UDP in fragments, IPv6", public6, BIG, 6, BOUND),
	SEND("UDP in segments (GSO)", public4, GSO, 4, BOUND),
	SEND("UDP in segments (GSO), IPv6", public6, GSO, 6, BOUND),
	SEND("echo", public4, ECHO, 4, 0),
	SEND("echo, IPv6", public6, ECHO, 6, 0),
	SEND("echo bound to eth0", public4, ECHO, 4, BOUND),
	SEND("echo bound to eth0, IPv6", public6, ECHO, 6, BOUND),
	SEND("raw", public4, RAW, 4, BOUND),
	SEND("raw, IPv6", public6, RAW, 6, BOUND),
	SEND("another protocol (ESP)", public4, PROTOCOL, 4, BOUND),
	SEND("another protocol (ESP), IPv6", public6, PROTOCOL, 6, BOUND),
	SEND("packet socket", public4, PACKET, 4, 0),
	SEND("packet socket, IPv6", public6, PACKET, 6, 0),
	SEND("packet socket past the qdisc", public4, BYPASS, 4, 0),
	SEND("packet socket past the qdisc, IPv6", public6, BYPASS, 6, 0),
	SEND("packet socket, forged source", public4, SOURCE, 4, 0),
	SEND("packet socket, forged source, IPv6", public6, SOURCE, 6, 0),
	SEND("packet socket, a later fragment", public4, FRAGMENT, 4, 0),
	SEND("packet socket, a later fragment, IPv6", public6, FRAGMENT, 6, 0),
	SEND("packet socket, VLAN tag", public4, TAGGED, 4, 0),
	SEND("packet socket, VLAN tag, IPv6", public6, TAGGED, 6, 0),
	SEND("packet socket, not IP", public4, NOT_IP, 4, 0),
	{"text to the endpoint, UDP", endpoint4, UDP, 4, WG_PORT, MARKED, NULL},
	{"text to the endpoint, TCP", endpoint4, TCP, 4, WG_PORT, MARKED, NULL},
	SEND("a later fragment to the endpoint", endpoint4, FRAGMENT, 4, 0),
	SEND("echo reply", me4, ECHO, 4, FROM_OUTSIDE),
	SEND("echo reply, IPv6", me6, ECHO, 6, FROM_OUTSIDE),
	SEND("TCP reset", me4, TCP, 4, FROM_OUTSIDE),
	SEND("TCP reset, IPv6", me6, TCP, 6, FROM_OUTSIDE),
	SEND("port unreachable", me4, UDP, 4, FROM_OUTSIDE),
	SEND("port unreachable, IPv6", me6, UDP, 6, FROM_OUTSIDE),
	ASK("LAN, UDP", lan4, ASK_UDP, 4, 9999, "lan"),
	ASK("LAN, UDP, IPv6", lan6, ASK_UDP, 6, 9999, "lan"),
	ASK("LAN, TCP", lan4, ASK_TCP, 4, 80, "lan"),
	ASK("tunnel, UDP", public4, ASK_UDP, 4, 443, "tunnel"),
	ASK("tunnel, UDP, IPv6", public6, ASK_UDP, 6, 443, "tunnel"),
	ASK("tunnel, TCP", public4, ASK_TCP, 4, 443, "tunnel"),
};
/* clang-format on */
#define N_FAMILIES (sizeof(families) / sizeof(families[0]))

/* Its socket, from one round to the next. */
static struct slot {
	int fd;
	unsigned long answers;
} slots[N_FAMILIES];

/* What tests/e2e/states.py reads. */
struct record {
	uint64_t time_ns;
	uint16_t tag;
	uint16_t what; /* 0 sent, 1 refused, 2 answered */
	uint32_t error;
};
enum {
	SENT,
	REFUSED,
	ANSWERED
};
static struct record records[4 * N_FAMILIES];
static size_t n_records;

static uint16_t tag_of(const struct family *family)
{
	return (uint16_t)(TAG_BASE + (family - families));
}

static void record(const struct family *family, uint16_t what, int error)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (n_records < sizeof(records) / sizeof(records[0]))
		records[n_records++] = (struct record){
			.time_ns = (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec,
			.tag = tag_of(family),
			.what = what,
			.error = (uint32_t)error,
		};
}

static socklen_t address(const struct family *family, const char *text, uint16_t port,
			 struct sockaddr_storage *ret_address)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)ret_address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret_address;

	memset(ret_address, 0, sizeof(*ret_address));
	if (family->version == 4) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(port);
		inet_pton(AF_INET, text, &in4->sin_addr);
		return sizeof(*in4);
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	inet_pton(AF_INET6, text, &in6->sin6_addr);
	return sizeof(*in6);
}

static socklen_t destination(const struct family *family, struct sockaddr_storage *ret_address)
{
	uint16_t port = family->port ? family->port : tag_of(family);

	/* A raw IPv6 socket takes it for a protocol. */
	if (family->how == ECHO || family->how == RAW || family->how == PROTOCOL)
		port = 0;
	return address(family, family->to, port, ret_address);
}

/* The payload, to its last byte, tells the family. */
static const uint8_t *payload(const struct family *family, size_t size)
{
	static uint8_t bytes[BIG_PAYLOAD];

	for (size_t i = 0; i < size; i += 2) {
		bytes[i] = (uint8_t)(tag_of(family) >> 8);
		bytes[i + 1] = (uint8_t)tag_of(family);
	}
	return bytes;
}

static int set_up(const struct family *family, int fd)
{
	uint32_t mark = MARK;
	int one = 1, segment = GSO_SEGMENT, small = 4096;
	struct sockaddr_storage self;
	socklen_t len;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	if (family->flags & MARKED && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) < 0)
		return -errno;
	if (family->flags & BOUND &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, INTERFACE, sizeof(INTERFACE)) < 0)
		return -errno;
	if (family->how == GSO && setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof(int)) < 0)
		return -errno;
	if (family->how == BYPASS &&
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0)
		return -errno;
	/* So that its packets can be told in a capture although the port is not the tag. */
	if (family->how == ASK_UDP || family->how == ASK_TCP || family->port ||
	    family->flags & FROM_OUTSIDE) {
		const char *from = "::";

		if (family->version == 4)
			from = "0.0.0.0";
		if (family->flags & FROM_OUTSIDE)
			from = family->version == 4 ? public4 : public6;
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		len = address(family, from, family->how == ECHO ? 0 : tag_of(family), &self);
		if (bind(fd, (struct sockaddr *)&self, len) < 0)
			return -errno;
	}
	return 0;
}

static int make_socket(const struct family *family)
{
	int domain = family->version == 4 ? AF_INET : AF_INET6;

	switch (family->how) {
	case TCP:
	case ASK_TCP:
		return socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	case UDP:
	case CONNECTED:
	case HELD:
	case BIG:
	case GSO:
	case ASK_UDP:
		return socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	case ECHO:
		return socket(domain, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
			      family->version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	case RAW:
		return socket(domain, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
	case PROTOCOL:
		return socket(domain, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, ESP);
	case PACKET:
	case BYPASS:
	case SOURCE:
	case FRAGMENT:
	case TAGGED:
	case NOT_IP:
		return socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	}
	return -1;
}

/* The family's socket, ready to send. */
static int open_slot(const struct family *family, struct slot *slot)
{
	struct sockaddr_storage to;
	int err;

	if (slot->fd >= 0)
		return 0;
	slot->fd = make_socket(family);
	err = set_up(family, slot->fd);
	if (!err && (family->how == CONNECTED || family->how == HELD)) {
		socklen_t len = destination(family, &to);

		if (connect(slot->fd, (struct sockaddr *)&to, len) < 0)
			err = -errno;
	}
	if (err && slot->fd >= 0) {
		close(slot->fd);
		slot->fd = -1;
	}
	return err;
}

static void close_slot(struct slot *slot)
{
	struct linger at_once = {.l_onoff = 1};

	if (slot->fd < 0)
		return;
	setsockopt(slot->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(slot->fd);
	slot->fd = -1;
}

/* An IP packet with UDP in it; of a later fragment, only what follows. Returns its length. */
static size_t build(const struct family *family, uint8_t *packet)
{
	const char *from = family->version == 4 ? me4 : me6;
	bool later = family->how == FRAGMENT;
	struct udphdr udp = {.source = htons(tag_of(family)),
			     .dest = htons(tag_of(family)),
			     .len = htons(sizeof(udp) + PAYLOAD)};
	size_t inner = later ? PAYLOAD : sizeof(udp) + PAYLOAD;
	struct ip6_frag fragment = {.ip6f_nxt = IPPROTO_UDP,
				    .ip6f_offlg = htons(128),
				    .ip6f_ident = htonl(tag_of(family))};
	struct sockaddr_storage src, dst;
	uint32_t sum = IPPROTO_UDP + sizeof(udp) + PAYLOAD;
	size_t header;

	if (family->how == SOURCE)
		from = family->version == 4 ? forged4 : forged6;
	address(family, from, 0, &src);
	address(family, family->to, 0, &dst);
	if (family->version == 4) {
		struct iphdr ip = {.version = 4,
				   .ihl = 5,
				   .ttl = 64,
				   .protocol = IPPROTO_UDP,
				   .id = htons(tag_of(family)),
				   .frag_off = htons(later ? 16 : 0)};

		header = sizeof(ip);
		ip.tot_len = htons((uint16_t)(header + inner));
		memcpy(&ip.saddr, &((struct sockaddr_in *)&src)->sin_addr, 4);
		memcpy(&ip.daddr, &((struct sockaddr_in *)&dst)->sin_addr, 4);
		ip.check = sum_end(sum_add(0, &ip, sizeof(ip)));
		memcpy(packet, &ip, sizeof(ip));
		sum = sum_add(sum, &ip.saddr, 8);
	} else {
		struct ip6_hdr ip = {.ip6_flow = htonl(6U << 28)};

		header = sizeof(ip);
		ip.ip6_nxt = IPPROTO_UDP;
		ip.ip6_hlim = 64;
		ip.ip6_src = ((struct sockaddr_in6 *)&src)->sin6_addr;
		ip.ip6_dst = ((struct sockaddr_in6 *)&dst)->sin6_addr;
		sum = sum_add(sum, &ip.ip6_src, 32);
		if (later) {
			ip.ip6_nxt = IPPROTO_FRAGMENT;
			memcpy(packet + header, &fragment, sizeof(fragment));
			header += sizeof(fragment);
		}
		ip.ip6_plen = htons((uint16_t)(header - sizeof(ip) + inner));
		memcpy(packet, &ip, sizeof(ip));
	}
	if (!later) {
		sum = sum_add(sum, &udp, sizeof(udp));
		udp.check = sum_end(sum_add(sum, payload(family, PAYLOAD), PAYLOAD));
		memcpy(packet + header, &udp, sizeof(udp));
		header += sizeof(udp);
	}
	memcpy(packet + header, payload(family, PAYLOAD), PAYLOAD);
	return header + PAYLOAD;
}

static uint8_t own_mac[ETH_ALEN];
static int own_index;

static int send_frame(const struct family *family, const struct slot *slot)
{
	uint8_t frame[256];
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = own_index, .sll_halen = ETH_ALEN};
	uint16_t type = htons(family->version == 4 ? ETH_P_IP : ETH_P_IPV6);
	uint16_t tag[2] = {htons(ETH_P_8021Q), htons(VLAN_ID)};
	size_t len = 2 * ETH_ALEN;

	memcpy(frame, next_hop, ETH_ALEN);
	memcpy(frame + ETH_ALEN, own_mac, ETH_ALEN);
	memcpy(to.sll_addr, next_hop, ETH_ALEN);
	if (family->how == TAGGED) {
		memcpy(frame + len, tag, sizeof(tag));
		len += sizeof(tag);
	}
	if (family->how == NOT_IP)
		type = htons(ETHERTYPE_NO);
	memcpy(frame + len, &type, sizeof(type));
	to.sll_protocol = type;
	len += sizeof(type);
	if (family->how == NOT_IP) {
		memcpy(frame + len, payload(family, PAYLOAD), PAYLOAD);
		len += PAYLOAD;
	} else {
		len += build(family, frame + len);
	}
	return sendto(slot->fd, frame, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

static int send_echo(const struct family *family, const struct slot *slot)
{
	uint8_t request[8 + PAYLOAD] = {family->version == 4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST};
	uint16_t id = htons(tag_of(family)), sum;
	struct sockaddr_storage to;
	socklen_t len = destination(family, &to);

	memcpy(request + 4, &id, 2);
	memcpy(request + 8, payload(family, PAYLOAD), PAYLOAD);
	sum = sum_end(sum_add(0, request, sizeof(request)));
	if (family->version == 4) /* the kernel fills in ICMPv6's */
		memcpy(request + 2, &sum, 2);
	return sendto(slot->fd, request, sizeof(request), 0, (struct sockaddr *)&to, len) < 0
		       ? -errno
		       : 0;
}

static int send_datagram(const struct family *family, const struct slot *slot)
{
	uint8_t packet[256];
	const uint8_t *data;
	size_t size = PAYLOAD;
	struct sockaddr_storage to;
	socklen_t len = destination(family, &to);
	bool connected = family->how == CONNECTED || family->how == HELD;
	int err = 0;

	if (family->how == BIG)
		size = BIG_PAYLOAD;
	else if (family->how == GSO)
		size = 3 * GSO_SEGMENT;
	data = payload(family, size);
	if (family->how == RAW) {
		size = build(family, packet);
		data = packet;
	}
	/* The first may only tell that an ICMP error came for an earlier one. */
	for (int i = 0; i < 2; i++) {
		err = 0;
		if (sendto(slot->fd, data, size, 0, connected ? NULL : (struct sockaddr *)&to,
			   connected ? 0 : len) >= 0)
			break;
		err = -errno;
	}
	return err;
}

static int send_one(const struct family *family, struct slot *slot)
{
	struct sockaddr_storage to;
	socklen_t len;
	int err = open_slot(family, slot);

	if (err)
		return err;
	switch (family->how) {
	case TCP:
	case ASK_TCP:
		len = destination(family, &to);
		if (connect(slot->fd, (struct sockaddr *)&to, len) < 0 && errno != EINPROGRESS)
			return -errno;
		return 0;
	case UDP:
	case CONNECTED:
	case HELD:
	case BIG:
	case GSO:
	case RAW:
	case PROTOCOL:
	case ASK_UDP:
		return send_datagram(family, slot);
	case ECHO:
		return send_echo(family, slot);
	case PACKET:
	case BYPASS:
	case SOURCE:
	case FRAGMENT:
	case TAGGED:
	case NOT_IP:
		return send_frame(family, slot);
	}
	return -EINVAL;
}

/* Whether it came by the way that is asked for: the tunnel's addresses are its own. */
static bool right_way(const struct family *family, const char *own)
{
	bool tunnel = strncmp(own, "10.13.13.2", 10) == 0 || strncmp(own, "fd13::2", 7) == 0;

	return tunnel == (strcmp(family->wanted, "tunnel") == 0);
}

/* What came for the last round's packet. */
static void take_answer(const struct family *family, struct slot *slot)
{
	struct sockaddr_storage own = {};
	socklen_t len = sizeof(own);
	char text[256] = "";
	const void *in = &((struct sockaddr_in *)&own)->sin_addr;
	int error = 0;

	if (slot->fd < 0)
		return;
	if (family->how == ASK_UDP) {
		ssize_t got = recv(slot->fd, text, sizeof(text) - 1, 0);

		while (got > 0 || (got < 0 && errno != EAGAIN)) {
			if (got > 5 && right_way(family, text + 5)) { /* "from ADDRESS ..." */
				slot->answers++;
				record(family, ANSWERED, 0);
			}
			got = recv(slot->fd, text, sizeof(text) - 1, 0);
		}
		return;
	}
	len = sizeof(error);
	if (getsockopt(slot->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error)
		return;
	len = sizeof(own);
	if (getpeername(slot->fd, (struct sockaddr *)&own, &len) < 0)
		return; /* not connected */
	len = sizeof(own);
	getsockname(slot->fd, (struct sockaddr *)&own, &len);
	if (family->version == 6)
		in = &((struct sockaddr_in6 *)&own)->sin6_addr;
	inet_ntop(own.ss_family, in, text, sizeof(text));
	if (right_way(family, text)) {
		slot->answers++;
		record(family, ANSWERED, 0);
	}
}

static bool asks(const struct family *family)
{
	return family->how == ASK_UDP || family->how == ASK_TCP;
}

static bool stays_open(const struct family *family)
{
	return family->how != TCP && family->how != ASK_TCP && family->how != CONNECTED;
}

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static void talk_round(bool outside, long slow)
{
	struct timespec gap = {.tv_nsec = slow * (outside ? OUTSIDE_GAP : GAP_NS)};

	for (size_t i = 0; i < N_FAMILIES; i++) {
		const struct family *family = &families[i];
		int err;

		if (outside != !!(family->flags & FROM_OUTSIDE))
			continue;
		if (asks(family))
			take_answer(family, &slots[i]);
		if (!stays_open(family))
			close_slot(&slots[i]);
		err = send_one(family, &slots[i]);
		/* So some sockets are told that a hook on the way has dropped it. */
		if (err == -ENOBUFS || err == -EPERM)
			err = 0;
		record(family, err ? REFUSED : SENT, -err);
		nanosleep(&gap, NULL);
	}
}

static bool tell(int records_fd, int rounds_fd, unsigned long rounds)
{
	size_t size = n_records * sizeof(records[0]);
	char text[16 * (ANSWERS_MAX + 1)];
	int len = snprintf(text, sizeof(text), "%10lu", rounds);

	if (write(records_fd, records, size) != (ssize_t)size)
		return false;
	n_records = 0;
	for (size_t i = 0; i < N_FAMILIES; i++) {
		if (asks(&families[i]))
			len += snprintf(text + len, sizeof(text) - (size_t)len, " %10lu",
					slots[i].answers);
	}
	text[len++] = '\n';
	return pwrite(rounds_fd, text, (size_t)len, 0) == len;
}

static int find_interface(void)
{
	struct ifreq request = {.ifr_name = INTERFACE};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result = ioctl(fd, SIOCGIFHWADDR, &request);

	if (result == 0) {
		memcpy(own_mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
		own_index = (int)if_nametoindex(INTERFACE);
	}
	close(fd);
	return result;
}

int main(int argc, char **argv)
{
	const char *slow_text = getenv("EG_SLOW");
	long slow = slow_text ? atol(slow_text) : 1;
	bool outside;
	int records_fd, rounds_fd;

	if (argc == 2 && strcmp(argv[1], "families") == 0) {
		for (size_t i = 0; i < N_FAMILIES; i++)
			printf("%u\t%s\t%s\n", tag_of(&families[i]), families[i].name,
			       families[i].wanted ? families[i].wanted : "probe");
		return 0;
	}
	outside = argc == 4 && strcmp(argv[1], "outside") == 0;
	if (argc != 4 || (!outside && strcmp(argv[1], "inside") != 0)) {
		fputs(help, stderr);
		return 2;
	}
	records_fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	rounds_fd = open(argv[3], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (records_fd < 0 || rounds_fd < 0) {
		perror("talk: open");
		return 1;
	}
	if (!outside && find_interface() < 0) {
		perror("talk: " INTERFACE);
		return 1;
	}
	signal(SIGTERM, stop);
	for (size_t i = 0; i < N_FAMILIES; i++) {
		slots[i].fd = -1;
		if (families[i].how == HELD && open_slot(&families[i], &slots[i]) < 0) {
			perror("talk: connect");
			return 1;
		}
	}
	for (unsigned long rounds = 1; !stopped; rounds++) {
		talk_round(outside, slow > 0 && slow < 500 ? slow : 1);
		if (!tell(records_fd, rounds_fd, rounds)) {
			perror("talk: write");
			return 1;
		}
	}
	return 0;
}
