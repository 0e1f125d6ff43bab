// SPDX-License-Identifier: GPL-2.0
#include "far_end.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include "util/cleanup.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

#define BUFFER_SIZE (16 << 20)
#define SNAP_LEN    512 /* what is looked for comes again and again in a packet's payload */

struct eg_far_end {
	int fd;
	eg_far_end_frame call;
	void *argument;
	__u64 lost;
};

struct opening {
	__u32 ifindex;
	int fd;
};

/* Only the beginning of each frame is kept. */
static int keep_beginnings(int fd)
{
	struct sock_filter code[] = {{.code = BPF_RET | BPF_K, .k = SNAP_LEN}};
	struct sock_fprog program = {.len = 1, .filter = code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
											   : 0;
}

static int open_inside(void *argument)
{
	struct opening *opening = argument;
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons(ETH_P_ALL),
				 .sll_ifindex = (int)opening->ifindex};
	/* Without a protocol it gets nothing before it is bound. */
	EG_AUTO_CLOSE int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int size = BUFFER_SIZE, one = 1;
	int result;

	if (fd < 0)
		return -errno;
	result = keep_beginnings(fd);
	if (result < 0)
		return result;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0 ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	opening->fd = EG_TAKE_FD(fd);
	return 0;
}

int eg_far_end_open(const struct eg_peer *peer, eg_far_end_frame call, void *argument,
		    struct eg_far_end **ret_far_end)
{
	struct opening opening = {.ifindex = peer->ifindex, .fd = -1};
	struct eg_far_end *far_end;
	int result = eg_netns_run(&peer->netns, open_inside, &opening);

	if (result < 0)
		return result;
	far_end = calloc(1, sizeof(*far_end));
	if (!far_end) {
		close(opening.fd);
		return -ENOMEM;
	}
	*far_end = (struct eg_far_end){.fd = opening.fd, .call = call, .argument = argument};
	*ret_far_end = far_end;
	return 0;
}

void eg_far_end_close(struct eg_far_end *far_end)
{
	if (!far_end)
		return;
	close(far_end->fd);
	free(far_end);
}

int eg_far_end_fd(const struct eg_far_end *far_end)
{
	return far_end->fd;
}

int eg_far_end_read(struct eg_far_end *far_end)
{
	__u8 frame[SNAP_LEN];
	ssize_t len;

	while ((len = recv(far_end->fd, frame, sizeof(frame), 0)) >= 0)
		far_end->call(frame, (size_t)len, far_end->argument);
	/* ENETDOWN: told once when the interface goes down; frames may come again. */
	if (errno == EAGAIN || errno == EINTR || errno == ENETDOWN)
		return 0;
	return -errno;
}

__u64 eg_far_end_lost(struct eg_far_end *far_end)
{
	struct tpacket_stats stats = {};
	socklen_t len = sizeof(stats);

	/* Reading it sets it to zero. */
	if (getsockopt(far_end->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) == 0)
		far_end->lost += stats.tp_drops;
	return far_end->lost;
}
