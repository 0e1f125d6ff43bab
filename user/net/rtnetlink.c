// SPDX-License-Identifier: GPL-2.0
#include "net/rtnetlink.h"

int eg_rtnetlink_dump(const struct eg_netns *netns, __u16 type, size_t header_size,
		      int (*visit)(const struct nlmsghdr *message, void *argument),
		      void (*reset)(void *argument), void *argument)
{
	EG_AUTO_NETLINK struct eg_netlink *netlink = NULL;
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *request;
	int result = eg_netlink_open(netns, NETLINK_ROUTE, &netlink);

	if (result < 0)
		return result;
	request = eg_netlink_request(buffer, type, NLM_F_DUMP);
	mnl_nlmsg_put_extra_header(request, header_size);
	result = eg_netlink_ask(netlink, request, visit, reset, argument);
	if (result < 0)
		reset(argument);
	return result;
}
