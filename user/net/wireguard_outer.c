// SPDX-License-Identifier: GPL-2.0
/*
 * Where the packets that carry a tunnel leave. A WireGuard device sends by the namespace it was
 * made in, wherever it is moved to, and the kernel does not tell which that is; a userspace one by
 * its process's. But both have UDP sockets there, bound to their port and no address, from when
 * they are up: 5.10 to 7.3 list the kernel's own among the others in /proc/net.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "net/sockets.h"
#include "net/wireguard.h"
#include "util/cleanup.h"

#define LOOKS        3 /* its port may just be changing, or it goes down */
#define LOOK_WAIT_NS 50000000

static int find_socket(void *argument)
{
	const __u16 *port = argument;
	char local[48];
	int has;

	snprintf(local, sizeof(local), "%08X:%04X ", 0, *port);
	has = eg_sockets_has("udp", local);
	if (has)
		return has;
	snprintf(local, sizeof(local), "%032X:%04X ", 0, *port);
	has = eg_sockets_has("udp6", local);
	return has == -ENOENT ? 0 : has; /* a kernel without IPv6 */
}

/* A device of the kernel whose first namespace is gone has no carrier, and sends nothing. */
static int is_up(const struct eg_netns *netns, __u32 ifindex)
{
	EG_AUTO_FREE struct eg_link *links = NULL;
	size_t n = 0;
	int result = eg_links_get(netns, &links, &n);

	for (size_t i = 0; result == 0 && i < n; i++) {
		if (links[i].ifindex == ifindex)
			return (links[i].flags & IFF_UP) && (links[i].flags & IFF_RUNNING);
	}
	return result;
}

/* 1: it is up and has a port, and nothing is bound to that here. */
static int look(const struct eg_netns *netns, const struct eg_link *link, __u16 port)
{
	int result = port ? is_up(netns, link->ifindex) : 0;

	if (result <= 0)
		return result;
	result = eg_netns_run(netns, find_socket, &port);
	return result < 0 ? result : !result;
}

int eg_wg_sends_elsewhere(const struct eg_netns *netns, const struct eg_link *link,
			  const struct eg_wg_device *device)
{
	const struct timespec wait = {.tv_nsec = LOOK_WAIT_NS};
	int result = look(netns, link, device->listen_port);

	for (int i = 1; result > 0 && i < LOOKS; i++) {
		EG_AUTO_WG_DEVICE struct eg_wg_device again = {0};

		nanosleep(&wait, NULL);
		result = is_up(netns, link->ifindex);
		if (result <= 0)
			break;
		result = eg_wg_get(netns, link, &again, NULL);
		if (result == 0)
			result = look(netns, link, again.listen_port);
	}
	return result;
}
