// SPDX-License-Identifier: GPL-2.0
/* The kernel's WireGuard: generic netlink, as linux/wireguard.h describes it. */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <string.h>

#include "net/netlink.h"
#include "net/parse.h"
#include "net/wireguard_ways.h"
#include "policy/array.h"
#include "util/cleanup.h"

static int take_endpoint(const struct nlattr *attr, struct eg_endpoint *endpoint)
{
	size_t len = mnl_attr_get_payload_len(attr);
	struct sockaddr_in6 v6;
	struct sockaddr_in v4;
	sa_family_t family;

	if (len < sizeof(family))
		return -EBADMSG;
	memcpy(&family, mnl_attr_get_payload(attr), sizeof(family));
	if (family == AF_INET && len >= sizeof(v4)) {
		memcpy(&v4, mnl_attr_get_payload(attr), sizeof(v4));
		*endpoint = (struct eg_endpoint){
			.family = EG_FAMILY_IPV4,
			.addr.v4_be = v4.sin_addr.s_addr,
			.port = ntohs(v4.sin_port),
		};
		return 0;
	}
	if (family == AF_INET6 && len >= sizeof(v6)) {
		memcpy(&v6, mnl_attr_get_payload(attr), sizeof(v6));
		*endpoint = (struct eg_endpoint){
			.family = EG_FAMILY_IPV6,
			.port = ntohs(v6.sin6_port),
		};
		memcpy(endpoint->addr.bytes, &v6.sin6_addr, sizeof(endpoint->addr.bytes));
		return 0;
	}
	return -EBADMSG;
}

/* struct __kernel_timespec */
static int take_handshake(const struct nlattr *attr, struct eg_wg_peer *peer)
{
	__s64 seconds;

	if (mnl_attr_get_payload_len(attr) < sizeof(seconds))
		return -EBADMSG;
	memcpy(&seconds, mnl_attr_get_payload(attr), sizeof(seconds));
	peer->last_handshake_s = seconds > 0 ? (__u64)seconds : 0;
	return 0;
}

/* True if the prefix has no length, whatever its family. */
static int take_allowed_ip(const struct nlattr *nested, bool *ret_default)
{
	bool has_family = false, has_length = false;
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nested)
	{
		switch (mnl_attr_get_type(attr)) {
		case WGALLOWEDIP_A_FAMILY:
			if (mnl_attr_validate(attr, MNL_TYPE_U16) < 0)
				return -EBADMSG;
			has_family = true;
			break;
		case WGALLOWEDIP_A_CIDR_MASK:
			if (mnl_attr_validate(attr, MNL_TYPE_U8) < 0)
				return -EBADMSG;
			has_length = true;
			*ret_default = mnl_attr_get_u8(attr) == 0;
			break;
		}
	}
	return has_family && has_length ? 0 : -EBADMSG;
}

static int take_allowed_ips(const struct nlattr *nested, struct eg_wg_peer *peer)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nested)
	{
		bool is_default = false;
		int result = take_allowed_ip(attr, &is_default);

		if (result < 0)
			return result;
		peer->default_route |= is_default;
	}
	return 0;
}

static int take_u64(const struct nlattr *attr, __u64 *to)
{
	if (mnl_attr_validate(attr, MNL_TYPE_U64) < 0)
		return -EBADMSG;
	*to = mnl_attr_get_u64(attr);
	return 0;
}

static int take_peer_attribute(const struct nlattr *attr, struct eg_wg_peer *peer)
{
	switch (mnl_attr_get_type(attr)) {
	case WGPEER_A_PUBLIC_KEY:
		if (mnl_attr_get_payload_len(attr) != WG_KEY_LEN)
			return -EBADMSG;
		memcpy(peer->public_key, mnl_attr_get_payload(attr), WG_KEY_LEN);
		return 0;
	case WGPEER_A_ENDPOINT:
		return take_endpoint(attr, &peer->endpoint);
	case WGPEER_A_LAST_HANDSHAKE_TIME:
		return take_handshake(attr, peer);
	case WGPEER_A_RX_BYTES:
		return take_u64(attr, &peer->rx_bytes);
	case WGPEER_A_TX_BYTES:
		return take_u64(attr, &peer->tx_bytes);
	case WGPEER_A_ALLOWEDIPS:
		return take_allowed_ips(attr, peer);
	default: /* the preshared key among them */
		return 0;
	}
}

static const struct nlattr *find_public_key(const struct nlattr *nested)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nested)
	{
		if (mnl_attr_get_type(attr) == WGPEER_A_PUBLIC_KEY &&
		    mnl_attr_get_payload_len(attr) == WG_KEY_LEN)
			return attr;
	}
	return NULL;
}

/* `first` in its message: only such a peer can be the rest of the message before's last one. */
static int take_peer(const struct nlattr *nested, bool first, struct eg_wg_device *device)
{
	const struct nlattr *attr, *key = find_public_key(nested);
	struct eg_wg_peer *last;
	int result;

	if (!key)
		return -EBADMSG;
	last = device->n_peers ? &device->peers[device->n_peers - 1] : NULL;
	if (!first || !last ||
	    memcmp(last->public_key, mnl_attr_get_payload(key), WG_KEY_LEN) != 0) {
		result = EG_ARRAY_ADD(device->peers, device->n_peers, (struct eg_wg_peer){0});
		if (result < 0)
			return result;
		last = &device->peers[device->n_peers - 1];
	}
	mnl_attr_for_each_nested(attr, nested)
	{
		result = take_peer_attribute(attr, last);
		if (result < 0)
			return result;
	}
	return 0;
}

static int take_peers(const struct nlattr *nested, struct eg_wg_device *device)
{
	const struct nlattr *attr;
	bool first = true;

	mnl_attr_for_each_nested(attr, nested)
	{
		int result = take_peer(attr, first, device);

		if (result < 0)
			return result;
		first = false;
	}
	return 0;
}

static int take_device_attribute(const struct nlattr *attr, struct eg_wg_device *device)
{
	switch (mnl_attr_get_type(attr)) {
	case WGDEVICE_A_LISTEN_PORT:
		if (mnl_attr_validate(attr, MNL_TYPE_U16) < 0)
			return -EBADMSG;
		device->listen_port = mnl_attr_get_u16(attr);
		return 0;
	case WGDEVICE_A_FWMARK:
		return eg_netlink_u32(attr, &device->fwmark);
	case WGDEVICE_A_PEERS:
		return take_peers(attr, device);
	default: /* the private key among them */
		return 0;
	}
}

int eg_wg_message_parse(const struct nlmsghdr *message, struct eg_wg_device *device)
{
	const struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(struct genlmsghdr))
		return -EBADMSG;
	mnl_attr_for_each(attr, message, sizeof(struct genlmsghdr))
	{
		int result = take_device_attribute(attr, device);

		if (result < 0)
			return result;
	}
	return 0;
}

static int take_family(const struct nlmsghdr *message, void *argument)
{
	const struct nlattr *attr;
	__u16 *family = argument;

	mnl_attr_for_each(attr, message, sizeof(struct genlmsghdr))
	{
		if (mnl_attr_get_type(attr) != CTRL_ATTR_FAMILY_ID)
			continue;
		if (mnl_attr_validate(attr, MNL_TYPE_U16) < 0)
			return -EBADMSG;
		*family = mnl_attr_get_u16(attr);
	}
	return 0;
}

static struct nlmsghdr *generic_request(char *buffer, __u16 type, __u16 flags, __u8 command,
					__u8 version)
{
	struct nlmsghdr *request = eg_netlink_request(buffer, type, flags);
	struct genlmsghdr *header = mnl_nlmsg_put_extra_header(request, sizeof(*header));

	header->cmd = command;
	header->version = version;
	return request;
}

/* The number that this kernel gave to the family. -ENOENT: it has no WireGuard. */
static int find_family(struct eg_netlink *netlink, __u16 *ret_family)
{
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *request;
	__u16 family = 0;
	int result;

	request = generic_request(buffer, GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY, 1);
	mnl_attr_put_strz(request, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
	result = eg_netlink_ask(netlink, request, take_family, NULL, &family);
	if (result < 0)
		return result;
	if (!family)
		return -ENOENT;
	*ret_family = family;
	return 0;
}

static int take_message(const struct nlmsghdr *message, void *argument)
{
	return eg_wg_message_parse(message, argument);
}

static void forget_device(void *argument)
{
	eg_wg_device_free(argument);
}

int eg_wg_get_kernel(const struct eg_netns *netns, const struct eg_link *link,
		     struct eg_wg_device *ret_device)
{
	EG_AUTO_WG_DEVICE struct eg_wg_device device = {0};
	EG_AUTO_NETLINK struct eg_netlink *netlink = NULL;
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *request;
	__u16 family;
	int result = eg_netlink_open(netns, NETLINK_GENERIC, &netlink);

	if (result < 0)
		return result;
	result = find_family(netlink, &family);
	if (result < 0)
		return result;
	request = generic_request(buffer, family, NLM_F_DUMP, WG_CMD_GET_DEVICE, WG_GENL_VERSION);
	mnl_attr_put_u32(request, WGDEVICE_A_IFINDEX, link->ifindex);
	result = eg_netlink_ask(netlink, request, take_message, forget_device, &device);
	if (result < 0)
		return result;
	*ret_device = device;
	device = (struct eg_wg_device){0};
	return 0;
}
