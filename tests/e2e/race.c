// SPDX-License-Identifier: GPL-2.0
/*
 * Sends UDP packets from a packet socket's TX ring while another process keeps rewriting their
 * destination, in the memory that the kernel sends from: whoever reads a packet's header there
 * twice may read two addresses. `race --help` says how. Exit status: 0 sent, 2 usage, 3 refused.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
	"usage: race INTERFACE MAC SOURCE ALLOWED FORBIDDEN MILLISECONDS [bypass]\n"
	"\n"
	"Sends to ALLOWED and, as the race goes, FORBIDDEN: IPv4 addresses whose halves have the\n"
	"same sum, so that one checksum is right for both. Destination port 9, next hop MAC.\n"
	"`bypass`: past the qdisc. Prints how many packets were sent.\n";

#define FRAMES     4
#define FRAME_SIZE 2048
#define PAYLOAD    32
#define PACKET_LEN (sizeof(struct iphdr) + sizeof(struct udphdr) + PAYLOAD)
/* Where the kernel looks for the packet of a frame (packet(7), PACKET_TX_RING). */
#define DATA_OFFSET (TPACKET2_HDRLEN - sizeof(struct sockaddr_ll))

struct race {
	struct sockaddr_ll to;
	struct in_addr src, allowed, forbidden;
	long milliseconds;
	bool bypass;
	int fd;
	uint8_t *ring;
};

static int refused(const char *call)
{
	printf("refused: %s: %s\n", call, strerror(errno));
	return 3;
}

static uint32_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t sum_of(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	return fold(sum);
}

static struct tpacket2_hdr *frame_at(const struct race *race, unsigned int i)
{
	return (struct tpacket2_hdr *)(race->ring + i % FRAMES * FRAME_SIZE);
}

static struct iphdr *packet_at(const struct race *race, unsigned int i)
{
	return (struct iphdr *)((uint8_t *)frame_at(race, i) + DATA_OFFSET);
}

static int open_ring(struct race *race)
{
	struct tpacket_req req = {
		.tp_block_size = FRAMES * FRAME_SIZE,
		.tp_block_nr = 1,
		.tp_frame_size = FRAME_SIZE,
		.tp_frame_nr = FRAMES,
	};
	int version = TPACKET_V2;
	int one = 1;

	race->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (race->fd < 0)
		return refused("socket");
	if (setsockopt(race->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    setsockopt(race->fd, SOL_PACKET, PACKET_TX_RING, &req, sizeof(req)) < 0)
		return refused("PACKET_TX_RING");
	if (race->bypass &&
	    setsockopt(race->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)) < 0)
		return refused("PACKET_QDISC_BYPASS");
	race->ring = mmap(NULL, req.tp_block_size, PROT_READ | PROT_WRITE, MAP_SHARED, race->fd, 0);
	if (race->ring == MAP_FAILED)
		return refused("mmap");
	if (bind(race->fd, (struct sockaddr *)&race->to, sizeof(race->to)) < 0)
		return refused("bind");
	return 0;
}

static void fill(const struct race *race)
{
	struct udphdr udp = {
		.source = htons(40000), .dest = htons(9), .len = htons(sizeof(udp) + PAYLOAD)};
	struct iphdr ip = {.version = 4,
			   .ihl = 5,
			   .tot_len = htons(PACKET_LEN),
			   .ttl = 64,
			   .protocol = IPPROTO_UDP,
			   .saddr = race->src.s_addr,
			   .daddr = race->allowed.s_addr};

	ip.check = htons((uint16_t)~sum_of(&ip, sizeof(ip)));
	for (unsigned int i = 0; i < FRAMES; i++) {
		memcpy(packet_at(race, i), &ip, sizeof(ip));
		memcpy(packet_at(race, i) + 1, &udp, sizeof(udp));
		frame_at(race, i)->tp_len = PACKET_LEN;
	}
}

/* Each on a processor of its own, where there are two. */
static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Until it is killed. */
static void rewrite(const struct race *race)
{
	for (unsigned int round = 0;; round++) {
		uint32_t daddr = round & 1 ? race->forbidden.s_addr : race->allowed.s_addr;

		for (unsigned int i = 0; i < FRAMES; i++)
			*(volatile uint32_t *)&packet_at(race, i)->daddr = daddr;
		/* Long enough to be seen by another processor. */
		for (unsigned int i = 0; i < round % 128; i++)
			__asm__ volatile("" ::: "memory");
	}
}

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static int send_ring(const struct race *race)
{
	long long end = now_ms() + race->milliseconds;
	unsigned long sent = 0;

	while (now_ms() < end) {
		for (unsigned int i = 0; i < FRAMES; i++) {
			volatile uint32_t *status = &frame_at(race, i)->tp_status;

			if (*status == TP_STATUS_AVAILABLE) {
				*status = TP_STATUS_SEND_REQUEST;
				sent++;
			}
		}
		/* What device or qdisc refuse is the kernel's to count. */
		if (sendto(race->fd, NULL, 0, 0, (const struct sockaddr *)&race->to,
			   sizeof(race->to)) < 0 &&
		    errno != ENOBUFS && errno != EAGAIN)
			return refused("sendto");
	}
	printf("sent %lu\n", sent);
	return 0;
}

static bool read_arguments(struct race *race, int argc, char **argv)
{
	uint8_t *mac = race->to.sll_addr;

	if (argc < 7 || argc > 8)
		return false;
	race->to.sll_family = AF_PACKET;
	race->to.sll_protocol = htons(ETH_P_IP);
	race->to.sll_ifindex = (int)if_nametoindex(argv[1]);
	race->to.sll_halen = ETH_ALEN;
	race->milliseconds = atol(argv[6]);
	race->bypass = argc == 8 && !strcmp(argv[7], "bypass");
	return race->to.sll_ifindex &&
	       sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		      &mac[4], &mac[5]) == 6 &&
	       inet_pton(AF_INET, argv[3], &race->src) == 1 &&
	       inet_pton(AF_INET, argv[4], &race->allowed) == 1 &&
	       inet_pton(AF_INET, argv[5], &race->forbidden) == 1 &&
	       sum_of(&race->allowed, 4) == sum_of(&race->forbidden, 4) &&
	       (argc < 8 || race->bypass);
}

int main(int argc, char **argv)
{
	struct race race = {};
	pid_t writer;
	int status;

	if (!read_arguments(&race, argc, argv)) {
		fputs(help, argc == 2 && !strcmp(argv[1], "--help") ? stdout : stderr);
		return 2;
	}
	status = open_ring(&race);
	if (status)
		return status;
	fill(&race);
	writer = fork();
	if (writer < 0)
		return refused("fork");
	if (!writer) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pin(1);
		rewrite(&race);
	}
	pin(0);
	status = send_ring(&race);
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
	return status;
}
