// SPDX-License-Identifier: GPL-2.0
#include "net/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "policy/address.h"
#include "util/cleanup.h"

/* More than the kernel puts into one datagram of a dump (32 KiB). */
#define BUFFER_SIZE   65536
#define OVERRUNS_MAX  1000
#define DUMP_ATTEMPTS 50

struct eg_netlink {
	struct mnl_socket *socket;
	int fd;
	unsigned int sequence;
	size_t used; /* of the buffer, which may hold keys then */
	char buffer[BUFFER_SIZE];
};

struct opening {
	int bus;
	struct mnl_socket *socket;
};

static int open_socket(void *argument)
{
	struct opening *opening = argument;

	opening->socket = mnl_socket_open2(opening->bus, SOCK_CLOEXEC);
	return opening->socket ? 0 : -errno;
}

int eg_netlink_open(const struct eg_netns *netns, int bus, struct eg_netlink **ret_netlink)
{
	/* The kernel answers at once: this is for a kernel that does not answer at all. */
	static const struct timeval patience = {.tv_sec = 5};
	EG_AUTO_NETLINK struct eg_netlink *netlink = NULL;
	struct opening opening = {.bus = bus};
	int result;

	/* What the buffer holds before it is used is nobody's concern, and to clear it takes longer
	 * than to ask. */
	netlink = malloc(sizeof(*netlink));
	if (!netlink)
		return -ENOMEM;
	netlink->socket = NULL;
	netlink->fd = -1;
	netlink->sequence = 0;
	netlink->used = 0;
	result = eg_netns_run(netns, open_socket, &opening);
	netlink->socket = opening.socket;
	if (result < 0)
		return result;
	if (mnl_socket_bind(netlink->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	netlink->fd = mnl_socket_get_fd(netlink->socket);
	if (setsockopt(netlink->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	*ret_netlink = EG_TAKE(netlink);
	return 0;
}

void eg_netlink_close(struct eg_netlink *netlink)
{
	if (!netlink)
		return;
	if (netlink->socket)
		mnl_socket_close(netlink->socket);
	explicit_bzero(netlink->buffer, netlink->used);
	free(netlink);
}

struct nlmsghdr *eg_netlink_request(char *buffer, __u16 type, __u16 flags)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	/* An answer to anything but a dump has no end of its own. */
	if ((flags & NLM_F_DUMP) != NLM_F_DUMP)
		message->nlmsg_flags |= NLM_F_ACK;
	return message;
}

/*
 * The next datagram of the kernel's. Where others flood the socket, a dump reports ENOBUFS before
 * it has written anything, and goes on when there is room again (netlink_dump()): nothing is lost
 * by reading on. An answer that was lost shows as a timeout.
 */
static ssize_t receive(struct eg_netlink *netlink)
{
	for (int overruns = 0;;) {
		struct sockaddr_nl from = {0};
		socklen_t from_len = sizeof(from);
		ssize_t len = recvfrom(netlink->fd, netlink->buffer, sizeof(netlink->buffer),
				       MSG_TRUNC, (struct sockaddr *)&from, &from_len);

		if (len > 0 && (size_t)len > netlink->used)
			netlink->used = (size_t)len < BUFFER_SIZE ? (size_t)len : BUFFER_SIZE;
		if (len < 0 && errno == ENOBUFS && ++overruns < OVERRUNS_MAX)
			continue;
		if (len < 0 && errno != EINTR)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (len < 0 || from.nl_pid)
			continue;
		if ((size_t)len > sizeof(netlink->buffer))
			return -EMSGSIZE;
		return len;
	}
}

struct answer {
	int (*visit)(const struct nlmsghdr *message, void *argument);
	void *argument;
	unsigned int sequence;
	unsigned int port;
	bool interrupted;
	int visited; /* what the visitor returned */
};

/* The error number that NLMSG_ERROR and NLMSG_DONE start with. */
static int message_error(const struct nlmsghdr *message)
{
	int error;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(error))
		return message->nlmsg_type == NLMSG_DONE ? 0 : -EBADMSG;
	memcpy(&error, mnl_nlmsg_get_payload(message), sizeof(error));
	return error > 0 ? -EBADMSG : error;
}

/* True at the end of the answer. */
static bool take_message(const struct nlmsghdr *message, struct answer *answer, int *ret_error)
{
	if (!mnl_nlmsg_seq_ok(message, answer->sequence) ||
	    !mnl_nlmsg_portid_ok(message, answer->port))
		return false;
	if (message->nlmsg_flags & NLM_F_DUMP_INTR)
		answer->interrupted = true;
	switch (message->nlmsg_type) {
	case NLMSG_ERROR:
	case NLMSG_DONE:
		*ret_error = message_error(message);
		return true;
	case NLMSG_NOOP:
	case NLMSG_OVERRUN:
		return false;
	default:
		/* What follows an error is read all the same, to leave the socket empty. */
		if (!answer->visited)
			answer->visited = answer->visit(message, answer->argument);
		return false;
	}
}

static int read_answer(struct eg_netlink *netlink, struct answer *answer)
{
	for (;;) {
		ssize_t len = receive(netlink);
		const struct nlmsghdr *message = (const struct nlmsghdr *)netlink->buffer;
		int left, error;

		if (len < 0)
			return (int)len;
		for (left = (int)len; mnl_nlmsg_ok(message, left);
		     message = mnl_nlmsg_next(message, &left))
			if (take_message(message, answer, &error))
				return error;
	}
}

int eg_netlink_ask(struct eg_netlink *netlink, struct nlmsghdr *request,
		   int (*visit)(const struct nlmsghdr *message, void *argument),
		   void (*reset)(void *argument), void *argument)
{
	for (int i = 0; i < DUMP_ATTEMPTS; i++) {
		struct answer answer = {
			.visit = visit,
			.argument = argument,
			.sequence = ++netlink->sequence,
			.port = mnl_socket_get_portid(netlink->socket),
		};
		int result;

		request->nlmsg_seq = answer.sequence;
		if (mnl_socket_sendto(netlink->socket, request, request->nlmsg_len) < 0)
			return -errno;
		result = read_answer(netlink, &answer);
		if (result < 0)
			return result;
		if (!answer.interrupted)
			return answer.visited;
		if (reset)
			reset(argument);
	}
	return -EAGAIN;
}

int eg_netlink_u32(const struct nlattr *attr, __u32 *ret_number)
{
	if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
		return -EBADMSG;
	*ret_number = mnl_attr_get_u32(attr);
	return 0;
}

int eg_netlink_addr(const struct nlattr *attr, __u8 family, union eg_addr *ret_addr)
{
	size_t len = eg_family_bits(family) / 8;

	if (mnl_attr_get_payload_len(attr) != len)
		return -EBADMSG;
	*ret_addr = (union eg_addr){};
	memcpy(ret_addr->bytes, mnl_attr_get_payload(attr), len);
	return 0;
}
