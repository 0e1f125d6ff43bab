// SPDX-License-Identifier: GPL-2.0
#include "net/monitor.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "util/cleanup.h"

/* One datagram tells as much as a thousand: what does not fit is lost, and that is told, too. */
#define READS_MAX 1024

static int open_inside(void *argument)
{
	const struct sockaddr_nl group = {.nl_family = AF_NETLINK,
					  .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
						       RTMGRP_IPV6_IFADDR};
	EG_AUTO_CLOSE int fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&group, sizeof(group)) < 0)
		return -errno;
	*(int *)argument = EG_TAKE_FD(fd);
	return 0;
}

int eg_monitor_open(const struct eg_netns *netns, int *ret_fd)
{
	return eg_netns_run(netns, open_inside, ret_fd);
}

/* Whoever sends to the socket from inside makes us look, and no more. */
int eg_monitor_drain(int fd)
{
	char byte;

	for (int i = 0; i < READS_MAX; i++) {
		ssize_t len = recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC);

		if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return i > 0;
		if (len < 0 && errno != ENOBUFS && errno != EINTR)
			return -errno;
	}
	return 1;
}
