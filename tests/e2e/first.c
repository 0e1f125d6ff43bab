// SPDX-License-Identifier: GPL-2.0
/*
 * A container's only process, whose first instructions are to send: to 203.0.113.7 and
 * 2001:db8:7::7 by UDP, to 203.0.113.7 by TCP and ICMP. On for `first MS` milliseconds, 60 if not
 * said. Prints "sent N" at its end, whether anything came out or not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STEP_NS 2000000L
#define MS_NS   1000000L

static const struct sockaddr_in v4 = {
	.sin_family = AF_INET,
	.sin_port = 0xbb01, /* 443 */
	.sin_addr.s_addr = 0x077100cb,
};
static const struct sockaddr_in6 v6 = {
	.sin6_family = AF_INET6,
	.sin6_port = 0xbb01,
	.sin6_addr.s6_addr = {0x20, 0x01, 0x0d, 0xb8, 0, 7, [15] = 7},
};

static int send_all(void)
{
	static const struct icmphdr echo = {.type = ICMP_ECHO, .checksum = 0xfff7};
	int sockets[] = {socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET6, SOCK_DGRAM, 0),
			 socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0),
			 socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)};
	int sent = 0;

	sent += sendto(sockets[0], "x", 1, 0, (const struct sockaddr *)&v4, sizeof(v4)) == 1;
	sent += sendto(sockets[1], "x", 1, 0, (const struct sockaddr *)&v6, sizeof(v6)) == 1;
	sent += connect(sockets[2], (const struct sockaddr *)&v4, sizeof(v4)) < 0 &&
		errno == EINPROGRESS;
	sent += sendto(sockets[3], &echo, sizeof(echo), 0, (const struct sockaddr *)&v4,
		       sizeof(v4)) == (ssize_t)sizeof(echo);
	for (size_t i = 0; i < sizeof(sockets) / sizeof(*sockets); i++)
		close(sockets[i]);
	return sent;
}

int main(int argc, char **argv)
{
	int sent = send_all();
	long ms = argc > 1 ? strtol(argv[1], NULL, 10) : 60;
	const struct timespec step = {.tv_nsec = STEP_NS};

	for (long i = 0; i < ms * MS_NS / STEP_NS; i++) {
		nanosleep(&step, NULL);
		sent += send_all();
	}
	printf("sent %d\n", sent);
	return 0;
}
