// SPDX-License-Identifier: GPL-2.0
/*
 * Sends what a test wants sent, in each of the ways a process can: the namespace tests run it
 * inside their namespaces. `probe --help` lists the ways. Exit status: 0 an answer came (or, where
 * none is waited for, everything was sent); 1 no answer; 2 usage; 3 the kernel refused to send.
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
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static const char help[] =
	"usage: probe WAY DESTINATION [OPTION VALUE]...\n"
	"\n"
	"DESTINATION is ADDR, ADDR:PORT, or [ADDR6]:PORT; for `marker` an interface.\n"
	"\n"
	"  tcp       connect, send a line, wait for one\n"
	"  udp       sendto, wait for an answer\n"
	"  connected the same on a connected socket\n"
	"  icmp      an echo request from a raw socket, wait for the reply\n"
	"  raw       a UDP packet with an IP header of our own (--source), no answer\n"
	"  packet    the same through a packet socket on --interface to --mac, no answer\n"
	"  bypass    the same with PACKET_QDISC_BYPASS\n"
	"  marker    a frame of ethertype 0x88b5 out of the interface, to find an end in a "
	"capture\n"
	"\n"
	"  --netns FILE     from in there\n"
	"  --count N        send so many (1); waits for the last one's answer\n"
	"  --timeout MS     for an answer (1000), times $EG_SLOW where it is slow\n"
	"  --mark N         SO_MARK\n"
	"  --bind IFACE     SO_BINDTODEVICE\n"
	"  --source ADDR    bind to it; with raw, packet, bypass: forge it\n"
	"  --sport PORT     bind to it\n"
	"  --size N         bytes of payload (60)\n"
	"  --payload KIND   text, or wireguard: shaped like a WireGuard data message\n"
	"  --interface IF   for packet, bypass\n"
	"  --mac MAC        the next hop's, for packet, bypass\n"
	"  --gap US         between two packets (0)\n"
	"  --segment N      for udp, connected: have the kernel cut it (UDP_SEGMENT)\n";

struct probe {
	const char *way;
	int family;
	struct sockaddr_storage dst;
	socklen_t dst_len;
	struct sockaddr_storage src; /* family 0: not given */
	uint16_t dport, sport;
	long count, timeout_ms, size, gap_us, segment;
	uint32_t mark;
	const char *bind_to;
	const char *interface;
	bool wireguard;
	uint8_t mac[ETH_ALEN];
	uint8_t payload[65536];
};

static int usage(const char *why, const char *what)
{
	fprintf(stderr, "probe: %s '%s'\n", why, what);
	return 2;
}

/* The kernel said no: the test may want to know what it said. */
static int refused(const char *call)
{
	printf("refused: %s: %s\n", call, strerror(errno));
	return 3;
}

static void *address_of(struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET)
		return &((struct sockaddr_in *)address)->sin_addr;
	return &((struct sockaddr_in6 *)address)->sin6_addr;
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
	if (address->ss_family == AF_INET)
		((struct sockaddr_in *)address)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)address)->sin6_port = htons(port);
}

static bool parse_address(const char *text, struct sockaddr_storage *ret_address)
{
	memset(ret_address, 0, sizeof(*ret_address));
	ret_address->ss_family = AF_INET;
	if (inet_pton(AF_INET, text, address_of(ret_address)) == 1)
		return true;
	ret_address->ss_family = AF_INET6;
	return inet_pton(AF_INET6, text, address_of(ret_address)) == 1;
}

static bool parse_destination(struct probe *probe, const char *text)
{
	char copy[128];
	char *address = copy;
	char *port = NULL;

	if (strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);
	if (copy[0] == '[') {
		char *end = strchr(copy, ']');

		if (!end)
			return false;
		*end = '\0';
		address = copy + 1;
		if (end[1] == ':')
			port = end + 2;
	} else if (strchr(copy, ':') && strchr(copy, ':') == strrchr(copy, ':')) {
		port = strchr(copy, ':');
		*port++ = '\0';
	}
	if (port)
		probe->dport = (uint16_t)atoi(port);
	if (!parse_address(address, &probe->dst))
		return false;
	probe->family = probe->dst.ss_family;
	probe->dst_len =
		probe->family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	return true;
}

static int set_socket(const struct probe *probe, int fd)
{
	if (probe->mark &&
	    setsockopt(fd, SOL_SOCKET, SO_MARK, &probe->mark, sizeof(probe->mark)) < 0)
		return refused("SO_MARK");
	if (probe->bind_to && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, probe->bind_to,
					 (socklen_t)strlen(probe->bind_to) + 1) < 0)
		return refused("SO_BINDTODEVICE");
	if (probe->segment) {
		int segment = (int)probe->segment;

		if (setsockopt(fd, SOL_UDP, UDP_SEGMENT, &segment, sizeof(segment)) < 0)
			return refused("UDP_SEGMENT");
	}
	return 0;
}

static int bind_source(const struct probe *probe, int fd)
{
	struct sockaddr_storage src = probe->src;

	if (!src.ss_family && !probe->sport)
		return 0;
	src.ss_family = (sa_family_t)probe->family;
	set_port(&src, probe->sport);
	if (bind(fd, (struct sockaddr *)&src, probe->dst_len) < 0)
		return refused("bind");
	return 0;
}

static int wait_for(const struct probe *probe, int fd, short events)
{
	struct pollfd poll_fd = {.fd = fd, .events = events};

	return poll(&poll_fd, 1, (int)probe->timeout_ms) > 0 ? 0 : 1;
}

static int read_answer(const struct probe *probe, int fd)
{
	char answer[2048];
	ssize_t len;

	if (wait_for(probe, fd, POLLIN)) {
		puts("no answer");
		return 1;
	}
	len = recv(fd, answer, sizeof(answer) - 1, 0);
	if (len <= 0) {
		printf("no answer: %s\n", len ? strerror(errno) : "closed");
		return 1;
	}
	answer[len] = '\0';
	answer[strcspn(answer, "\n")] = '\0';
	printf("answer: %s\n", answer);
	return 0;
}

static int probe_tcp(struct probe *probe, int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (connect(fd, (struct sockaddr *)&probe->dst, probe->dst_len) < 0 && errno != EINPROGRESS)
		return refused("connect");
	if (wait_for(probe, fd, POLLOUT)) {
		puts("no answer");
		return 1;
	}
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error) {
		printf("no answer: %s\n", strerror(error));
		return 1;
	}
	if (send(fd, "probe\n", 6, MSG_NOSIGNAL) < 0)
		return refused("send");
	return read_answer(probe, fd);
}

static int probe_udp(struct probe *probe, int fd, bool connected)
{
	if (connected && connect(fd, (struct sockaddr *)&probe->dst, probe->dst_len) < 0)
		return refused("connect");
	for (long i = 0; i < probe->count; i++) {
		ssize_t sent = connected ? send(fd, probe->payload, (size_t)probe->size, 0)
					 : sendto(fd, probe->payload, (size_t)probe->size, 0,
						  (struct sockaddr *)&probe->dst, probe->dst_len);
		if (sent < 0)
			return refused(connected ? "send" : "sendto");
		if (probe->gap_us)
			usleep((useconds_t)probe->gap_us);
	}
	return read_answer(probe, fd);
}

static int probe_stream_or_datagram(struct probe *probe)
{
	bool tcp = !strcmp(probe->way, "tcp");
	int fd = socket(probe->family,
			(tcp ? SOCK_STREAM | SOCK_NONBLOCK : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	int status;

	if (fd < 0)
		return refused("socket");
	status = set_socket(probe, fd);
	if (!status)
		status = bind_source(probe, fd);
	if (!status && tcp)
		status = probe_tcp(probe, fd);
	else if (!status)
		status = probe_udp(probe, fd, !strcmp(probe->way, "connected"));
	close(fd);
	return status;
}

static int probe_icmp(struct probe *probe)
{
	bool v4 = probe->family == AF_INET;
	int fd = socket(probe->family, SOCK_RAW | SOCK_CLOEXEC, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
	uint8_t request[16] = {v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST};
	uint16_t id = htons((uint16_t)getpid());
	uint16_t sum;
	int status;

	if (fd < 0)
		return refused("socket");
	status = set_socket(probe, fd);
	if (!status)
		status = bind_source(probe, fd);
	if (status)
		goto out;
	memcpy(request + 4, &id, 2);
	sum = sum_end(sum_add(0, request, sizeof(request)));
	if (v4) /* the kernel fills in ICMPv6's */
		memcpy(request + 2, &sum, 2);
	for (long i = 0; i < probe->count; i++) {
		if (sendto(fd, request, sizeof(request), 0, (struct sockaddr *)&probe->dst,
			   probe->dst_len) < 0) {
			status = refused("sendto");
			goto out;
		}
	}
	while (!(status = wait_for(probe, fd, POLLIN))) {
		uint8_t reply[256];
		ssize_t len = recv(fd, reply, sizeof(reply), 0);
		const uint8_t *icmp = v4 ? reply + (reply[0] & 15) * 4 : reply;

		if (len >= (v4 ? 28 : 8) && icmp[0] == (v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) &&
		    !memcmp(icmp + 4, &id, 2)) {
			puts("answer: echo reply");
			break;
		}
	}
	if (status)
		puts("no answer");
out:
	close(fd);
	return status;
}

/* The source address that the kernel would take. */
static void find_source(struct probe *probe)
{
	socklen_t len = sizeof(probe->src);
	int fd;

	if (probe->src.ss_family)
		return;
	fd = socket(probe->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	set_port(&probe->dst, 9);
	if (connect(fd, (struct sockaddr *)&probe->dst, probe->dst_len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&probe->src, &len) < 0)
		probe->src.ss_family = (sa_family_t)probe->family;
	close(fd);
}

/* Writes an IP and UDP packet; returns its length. */
static size_t build_packet(struct probe *probe, uint8_t *packet)
{
	size_t payload = (size_t)probe->size;
	struct udphdr udp = {.source = htons(probe->sport ? probe->sport : 40000),
			     .dest = htons(probe->dport),
			     .len = htons((uint16_t)(sizeof(udp) + payload))};
	size_t address_len = probe->family == AF_INET ? 4 : 16;
	size_t header;
	uint32_t sum;

	find_source(probe);
	if (probe->family == AF_INET) {
		struct iphdr ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP};

		header = sizeof(ip);
		ip.tot_len = htons((uint16_t)(header + sizeof(udp) + payload));
		memcpy(&ip.saddr, address_of(&probe->src), 4);
		memcpy(&ip.daddr, address_of(&probe->dst), 4);
		ip.check = sum_end(sum_add(0, &ip, sizeof(ip)));
		memcpy(packet, &ip, sizeof(ip));
	} else {
		struct ip6_hdr ip = {.ip6_flow = htonl(6U << 28)};

		header = sizeof(ip);
		ip.ip6_plen = udp.len;
		ip.ip6_nxt = IPPROTO_UDP;
		ip.ip6_hlim = 64;
		memcpy(&ip.ip6_src, address_of(&probe->src), 16);
		memcpy(&ip.ip6_dst, address_of(&probe->dst), 16);
		memcpy(packet, &ip, sizeof(ip));
	}
	sum = sum_add(0, address_of(&probe->src), address_len);
	sum = sum_add(sum, address_of(&probe->dst), address_len);
	sum += IPPROTO_UDP + (uint32_t)(sizeof(udp) + payload);
	sum = sum_add(sum, &udp, sizeof(udp));
	sum = sum_add(sum, probe->payload, payload);
	udp.check = sum_end(sum);
	memcpy(packet + header, &udp, sizeof(udp));
	memcpy(packet + header + sizeof(udp), probe->payload, payload);
	return header + sizeof(udp) + payload;
}

static int send_all(const struct probe *probe, int fd, const uint8_t *packet, size_t len,
		    const struct sockaddr *to, socklen_t to_len)
{
	for (long i = 0; i < probe->count; i++) {
		if (sendto(fd, packet, len, 0, to, to_len) < 0)
			return refused("sendto");
		if (probe->gap_us)
			usleep((useconds_t)probe->gap_us);
	}
	puts("sent");
	return 0;
}

static int probe_raw(struct probe *probe)
{
	static uint8_t packet[sizeof(probe->payload) + 64];
	int fd = socket(probe->family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	size_t len;
	int status;

	if (fd < 0)
		return refused("socket");
	status = set_socket(probe, fd);
	if (!status) {
		len = build_packet(probe, packet);
		set_port(&probe->dst, 0); /* a raw IPv6 socket takes it for a protocol */
		status = send_all(probe, fd, packet, len, (struct sockaddr *)&probe->dst,
				  probe->dst_len);
	}
	close(fd);
	return status;
}

static int packet_socket(const char *interface, uint16_t protocol, struct sockaddr_ll *ret_to)
{
	*ret_to = (struct sockaddr_ll){.sll_family = AF_PACKET,
				       .sll_protocol = htons(protocol),
				       .sll_ifindex = (int)if_nametoindex(interface),
				       .sll_halen = ETH_ALEN};
	return socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int probe_packet(struct probe *probe)
{
	static uint8_t packet[sizeof(probe->payload) + 64];
	bool bypass = !strcmp(probe->way, "bypass");
	struct sockaddr_ll to;
	int one = 1;
	int fd, status;

	if (!probe->interface)
		return usage("needs --interface:", probe->way);
	fd = packet_socket(probe->interface, probe->family == AF_INET ? ETH_P_IP : ETH_P_IPV6, &to);
	if (fd < 0)
		return refused("socket");
	memcpy(to.sll_addr, probe->mac, ETH_ALEN);
	if (bypass && setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0)
		status = refused("PACKET_QDISC_BYPASS");
	else
		status = set_socket(probe, fd);
	if (!status)
		status = send_all(probe, fd, packet, build_packet(probe, packet),
				  (struct sockaddr *)&to, sizeof(to));
	close(fd);
	return status;
}

/* ETH_P_802_EX1, for local experiments: no guard is on the interfaces where captures run. */
static int send_marker(const struct probe *probe, const char *interface)
{
	struct sockaddr_ll to;
	int fd = packet_socket(interface, 0x88b5, &to);
	int status;

	if (fd < 0)
		return refused("socket");
	memset(to.sll_addr, 0xff, ETH_ALEN);
	status = send_all(probe, fd, (const uint8_t *)"end of capture", 14, (struct sockaddr *)&to,
			  sizeof(to));
	close(fd);
	return status;
}

/* Cheaper than a process that does it first. */
static bool enter_netns(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool entered = fd >= 0 && setns(fd, CLONE_NEWNET) == 0;

	if (fd >= 0)
		close(fd);
	return entered;
}

static bool take_option(struct probe *probe, const char *name, const char *value)
{
	if (!strcmp(name, "--netns"))
		return enter_netns(value);
	if (!strcmp(name, "--count"))
		probe->count = atol(value);
	else if (!strcmp(name, "--timeout"))
		probe->timeout_ms = atol(value);
	else if (!strcmp(name, "--mark"))
		probe->mark = (uint32_t)strtoul(value, NULL, 0);
	else if (!strcmp(name, "--bind"))
		probe->bind_to = value;
	else if (!strcmp(name, "--source"))
		return parse_address(value, &probe->src);
	else if (!strcmp(name, "--sport"))
		probe->sport = (uint16_t)atoi(value);
	else if (!strcmp(name, "--size"))
		probe->size = atol(value);
	else if (!strcmp(name, "--payload"))
		probe->wireguard = !strcmp(value, "wireguard");
	else if (!strcmp(name, "--interface"))
		probe->interface = value;
	else if (!strcmp(name, "--mac"))
		return sscanf(value, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &probe->mac[0],
			      &probe->mac[1], &probe->mac[2], &probe->mac[3], &probe->mac[4],
			      &probe->mac[5]) == 6;
	else if (!strcmp(name, "--gap"))
		probe->gap_us = atol(value);
	else if (!strcmp(name, "--segment"))
		probe->segment = atol(value);
	else
		return false;
	return true;
}

static struct probe probe = {.count = 1, .timeout_ms = 1000, .size = 60};

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(help, stdout);
		return 0;
	}
	if (argc < 3 || argc % 2 == 0)
		return usage("see --help; not enough of", argc > 1 ? argv[1] : "");
	probe.way = argv[1];
	for (int i = 3; i < argc; i += 2) {
		if (!take_option(&probe, argv[i], argv[i + 1]))
			return usage("bad option", argv[i]);
	}
	if (getenv("EG_SLOW") && atol(getenv("EG_SLOW")) > 1)
		probe.timeout_ms *= atol(getenv("EG_SLOW"));
	if (probe.size < 0 || probe.size > (long)sizeof(probe.payload) - 64)
		return usage("bad --size for", probe.way);
	memset(probe.payload, 'x', sizeof(probe.payload));
	if (probe.wireguard)
		memcpy(probe.payload, "\4\0\0\0", 4);
	if (!strcmp(probe.way, "marker"))
		return send_marker(&probe, argv[2]);

	if (!parse_destination(&probe, argv[2]))
		return usage("bad destination", argv[2]);
	if (!strcmp(probe.way, "raw"))
		return probe_raw(&probe);
	if (!strcmp(probe.way, "packet") || !strcmp(probe.way, "bypass"))
		return probe_packet(&probe);
	if (!strcmp(probe.way, "icmp"))
		return probe_icmp(&probe);
	set_port(&probe.dst, probe.dport);
	if (!strcmp(probe.way, "tcp") || !strcmp(probe.way, "udp") ||
	    !strcmp(probe.way, "connected"))
		return probe_stream_or_datagram(&probe);
	return usage("no such way", probe.way);
}
