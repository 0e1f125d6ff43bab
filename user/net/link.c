// SPDX-License-Identifier: GPL-2.0
#include "net/link.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/ioctl.h>
#include <linux/nsfs.h>

#include "net/parse.h"
#include "net/process.h"
#include "net/rtnetlink.h"
#include "policy/array.h"
#include "util/cleanup.h"

/* --- interfaces ---------------------------------------------------------------------------- */

/* A name of the message, -EBADMSG if it does not fit. */
static int take_name(const struct nlattr *attr, char *to, size_t size)
{
	size_t len = strnlen(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr));

	if (len >= size)
		return -EBADMSG;
	memcpy(to, mnl_attr_get_payload(attr), len);
	to[len] = '\0';
	return 0;
}

/* IFLA_INFO_DATA of a tun. */
static int take_tun(const struct nlattr *data, struct eg_link *link)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, data)
	{
		if (mnl_attr_get_type(attr) != IFLA_TUN_TYPE)
			continue;
		if (mnl_attr_validate(attr, MNL_TYPE_U8) < 0)
			return -EBADMSG;
		link->tap = mnl_attr_get_u8(attr) == IFF_TAP;
	}
	return 0;
}

static int take_info(const struct nlattr *info, struct eg_link *link)
{
	const struct nlattr *attr, *data = NULL;
	int result = 0;

	mnl_attr_for_each_nested(attr, info)
	{
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			result = take_name(attr, link->kind, sizeof(link->kind));
		else if (mnl_attr_get_type(attr) == IFLA_INFO_DATA)
			data = attr;
		if (result < 0)
			return result;
	}
	if (strcmp(link->kind, "tun") != 0)
		return 0;
	/* Where the kernel says nothing of the mode, its type is all that tells. */
	link->tap = link->type == ARPHRD_ETHER;
	return data ? take_tun(data, link) : 0;
}

static int take_link_attribute(const struct nlattr *attr, struct eg_link *link)
{
	switch (mnl_attr_get_type(attr)) {
	case IFLA_IFNAME:
		return take_name(attr, link->name, sizeof(link->name));
	case IFLA_LINKINFO:
		return take_info(attr, link);
	case IFLA_LINK:
		return eg_netlink_u32(attr, &link->peer_ifindex);
	case IFLA_LINK_NETNSID:
		link->elsewhere = true;
		return eg_netlink_u32(attr, (__u32 *)&link->peer_nsid);
	case IFLA_MASTER:
		return eg_netlink_u32(attr, &link->master);
	default:
		return 0;
	}
}

int eg_link_parse(const struct nlmsghdr *message, struct eg_link *ret_link)
{
	struct eg_link link = {.peer_nsid = -1};
	const struct ifinfomsg *header = mnl_nlmsg_get_payload(message);
	const struct nlattr *attr;

	if (message->nlmsg_type != RTM_NEWLINK ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(*header))
		return -EBADMSG;
	link.ifindex = (__u32)header->ifi_index;
	link.type = header->ifi_type;
	link.flags = header->ifi_flags;
	link.loopback = header->ifi_flags & IFF_LOOPBACK;
	mnl_attr_for_each(attr, message, sizeof(*header))
	{
		int result = take_link_attribute(attr, &link);

		if (result < 0)
			return result;
	}
	if (!link.name[0] || !link.ifindex)
		return -EBADMSG;
	/* The owner of a tun may give it any type (TUNSETLINK): what its frames look like is its
	 * mode's to say. */
	link.link_header = strcmp(link.kind, "tun") == 0 ? link.tap : link.type == ARPHRD_ETHER;
	/* Some kernels leave out the index of a peer in another namespace where it is equal. */
	if (link.peer_nsid >= 0 && !link.peer_ifindex)
		link.peer_ifindex = link.ifindex;
	*ret_link = link;
	return 0;
}

struct links {
	struct eg_link *links;
	size_t n;
};

static int add_link(const struct nlmsghdr *message, void *argument)
{
	struct links *links = argument;
	struct eg_link link;
	int result = eg_link_parse(message, &link);

	return result < 0 ? result : EG_ARRAY_ADD(links->links, links->n, link);
}

static void forget_links(void *argument)
{
	struct links *links = argument;

	free(links->links);
	*links = (struct links){0};
}

static int compare_links(const void *a, const void *b)
{
	const struct eg_link *left = a, *right = b;

	return (left->ifindex > right->ifindex) - (left->ifindex < right->ifindex);
}

char *eg_link_name(char to[EG_LINK_NAME_LEN], const struct eg_link *link)
{
	return eg_escape(to, EG_LINK_NAME_LEN, link->name, sizeof(link->name));
}

int eg_links_get(const struct eg_netns *netns, struct eg_link **ret_links, size_t *ret_n)
{
	struct links links = {};
	int result = eg_rtnetlink_dump(netns, RTM_GETLINK, sizeof(struct ifinfomsg), add_link,
				       forget_links, &links);

	if (result < 0)
		return result;
	if (links.n)
		qsort(links.links, links.n, sizeof(*links.links), compare_links);
	*ret_links = links.links;
	*ret_n = links.n;
	return 0;
}

/*
 * Kinds that never touch a wire themselves, on all kernels from 5.10 on. Those that can be moved to
 * another namespace than the one they send in are here only if the kernel says so where they were
 * (get_link_net in their rtnl_link_ops): macvlan, ipvlan, macsec and WireGuard do not, or not on
 * all of them. A bridge, a bond, a VRF and the ports of theirs cannot be in different namespaces.
 */
static const char *const kinds_by_others[] = {
	"dummy",  "bridge",    "bond",      "vrf", "vlan",   "ipip", "gre",  "gretap", "erspan",
	"ip6gre", "ip6gretap", "ip6erspan", "sit", "ip6tnl", "vti",  "vti6", "vxlan",  "geneve",
};

/* Of a veth the kernel tells where its other end is, wherever that is moved to. */
static bool is_veth_inside(const struct eg_link *link)
{
	return strcmp(link->kind, "veth") == 0 && link->peer_ifindex;
}

bool eg_link_sends_by_others(const struct eg_link *link)
{
	if (link->elsewhere)
		return false;
	if (is_veth_inside(link))
		return true;
	for (size_t i = 0; i < sizeof(kinds_by_others) / sizeof(*kinds_by_others); i++)
		if (strcmp(link->kind, kinds_by_others[i]) == 0)
			return true;
	return false;
}

/* --- addresses ----------------------------------------------------------------------------- */

static __u8 family_of(int af)
{
	switch (af) {
	case AF_INET:
		return EG_FAMILY_IPV4;
	case AF_INET6:
		return EG_FAMILY_IPV6;
	default:
		return EG_FAMILY_NONE;
	}
}

static size_t address_len(__u8 family)
{
	return family == EG_FAMILY_IPV4 ? 4 : 16;
}

int eg_link_addr_parse(const struct nlmsghdr *message, struct eg_link_addr *ret_addr)
{
	const struct ifaddrmsg *header = mnl_nlmsg_get_payload(message);
	struct eg_link_addr addr = {0};
	const struct nlattr *attr;
	bool found = false, local = false;

	if (message->nlmsg_type != RTM_NEWADDR ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(*header))
		return -EBADMSG;
	addr.family = family_of(header->ifa_family);
	if (addr.family == EG_FAMILY_NONE)
		return -ENODATA;
	addr.ifindex = header->ifa_index;
	addr.prefix_len = header->ifa_prefixlen;
	if (addr.prefix_len > address_len(addr.family) * 8)
		return -EBADMSG;
	mnl_attr_for_each(attr, message, sizeof(*header))
	{
		int type = mnl_attr_get_type(attr);

		if (type == IFA_CACHEINFO &&
		    mnl_attr_get_payload_len(attr) >= sizeof(struct ifa_cacheinfo)) {
			const struct ifa_cacheinfo *info = mnl_attr_get_payload(attr);

			addr.made_cs = info->cstamp;
			addr.made_known = true;
		}
		/* On a point-to-point interface IFA_ADDRESS is the other side's. */
		if (type != IFA_LOCAL && (type != IFA_ADDRESS || local))
			continue;
		if (eg_netlink_addr(attr, addr.family, &addr.addr) < 0)
			return -EBADMSG;
		found = true;
		local = type == IFA_LOCAL;
	}
	if (!found)
		return -ENODATA;
	*ret_addr = addr;
	return 0;
}

struct addrs {
	struct eg_link_addr *addrs;
	size_t n;
};

static int add_addr(const struct nlmsghdr *message, void *argument)
{
	struct addrs *addrs = argument;
	struct eg_link_addr addr;
	int result = eg_link_addr_parse(message, &addr);

	if (result == -ENODATA)
		return 0;
	return result < 0 ? result : EG_ARRAY_ADD(addrs->addrs, addrs->n, addr);
}

static void forget_addrs(void *argument)
{
	struct addrs *addrs = argument;

	free(addrs->addrs);
	*addrs = (struct addrs){0};
}

int eg_addrs_get(const struct eg_netns *netns, struct eg_link_addr **ret_addrs, size_t *ret_n)
{
	struct addrs addrs = {};
	int result = eg_rtnetlink_dump(netns, RTM_GETADDR, sizeof(struct ifaddrmsg), add_addr,
				       forget_addrs, &addrs);

	if (result < 0)
		return result;
	*ret_addrs = addrs.addrs;
	*ret_n = addrs.n;
	return 0;
}

/* --- routes -------------------------------------------------------------------------------- */

int eg_route_parse(const struct nlmsghdr *message, __u32 ifindex, __u32 other_ifindex,
		   struct eg_prefix *ret_subnet)
{
	const struct rtmsg *header = mnl_nlmsg_get_payload(message);
	struct eg_prefix subnet = {0};
	const struct nlattr *attr;
	__u32 oif = 0;

	if (message->nlmsg_type != RTM_NEWROUTE ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(*header))
		return -EBADMSG;
	subnet.family = family_of(header->rtm_family);
	subnet.len = header->rtm_dst_len;
	if (subnet.family == EG_FAMILY_NONE || subnet.len > address_len(subnet.family) * 8)
		return -EBADMSG;
	if (header->rtm_type != RTN_UNICAST || !subnet.len)
		return -ENOENT;
	mnl_attr_for_each(attr, message, sizeof(*header))
	{
		int result = 0;

		switch (mnl_attr_get_type(attr)) {
		case RTA_DST:
			result = eg_netlink_addr(attr, subnet.family, &subnet.addr);
			break;
		case RTA_OIF:
			result = eg_netlink_u32(attr, &oif);
			break;
		case RTA_GATEWAY:
		case RTA_VIA:
		case RTA_MULTIPATH:
			/* What lies behind a router is not the underlay's own subnet: half of the
			 * internet may be routed that way (0.0.0.0/1). */
			return -ENOENT;
		}
		if (result < 0)
			return result;
	}
	if (!oif || (oif != ifindex && oif != other_ifindex))
		return -ENOENT;
	*ret_subnet = subnet;
	return 0;
}

struct route {
	const struct eg_peer *peer;
	struct eg_prefix subnet;
};

static int take_route(const struct nlmsghdr *message, void *argument)
{
	struct route *route = argument;

	return eg_route_parse(message, route->peer->ifindex, route->peer->master, &route->subnet);
}

/* Each interface has a route to fe80::/64: the one that is meant must be named. */
static bool is_link_local(__u8 family, const union eg_addr *addr)
{
	return family == EG_FAMILY_IPV6 && addr->bytes[0] == 0xfe &&
	       (addr->bytes[1] & 0xc0) == 0x80;
}

int eg_peer_route(const struct eg_peer *peer, __u8 family, const union eg_addr *addr,
		  struct eg_prefix *ret_subnet)
{
	EG_AUTO_NETLINK struct eg_netlink *netlink = NULL;
	struct route route = {.peer = peer};
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *request;
	struct rtmsg *header;
	int result = eg_netlink_open(&peer->netns, NETLINK_ROUTE, &netlink);

	if (result < 0)
		return result;
	request = eg_netlink_request(buffer, RTM_GETROUTE, 0);
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->rtm_family = family == EG_FAMILY_IPV4 ? AF_INET : AF_INET6;
	header->rtm_dst_len = (unsigned char)(address_len(family) * 8);
	header->rtm_flags = RTM_F_FIB_MATCH;
	mnl_attr_put(request, RTA_DST, address_len(family), addr->bytes);
	if (is_link_local(family, addr))
		mnl_attr_put_u32(request, RTA_OIF, peer->master ? peer->master : peer->ifindex);
	result = eg_netlink_ask(netlink, request, take_route, NULL, &route);
	if (result == -ENETUNREACH || result == -EHOSTUNREACH || result == -EACCES ||
	    result == -EINVAL)
		return -ENOENT; /* no route, or one that refuses (unreachable, prohibit, blackhole)
				 */
	if (result < 0)
		return result;
	if (!route.subnet.len)
		return -ENOENT;
	*ret_subnet = route.subnet;
	return 0;
}

struct gateway {
	__u8 family;
	bool found;
	union eg_addr addr;
};

static int take_gateway(const struct nlmsghdr *message, void *argument)
{
	struct gateway *gateway = argument;
	const struct nlattr *attr;

	if (message->nlmsg_type != RTM_NEWROUTE ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(struct rtmsg))
		return -EBADMSG;
	mnl_attr_for_each(attr, message, sizeof(struct rtmsg))
	{
		int result;

		if (mnl_attr_get_type(attr) != RTA_GATEWAY)
			continue;
		result = eg_netlink_addr(attr, gateway->family, &gateway->addr);
		if (result < 0)
			return result;
		gateway->found = true;
	}
	return 0;
}

int eg_gateway_find(const struct eg_netns *netns, __u32 ifindex, __u8 family,
		    const union eg_addr *addr, union eg_addr *ret_gateway)
{
	EG_AUTO_NETLINK struct eg_netlink *netlink = NULL;
	struct gateway gateway = {.family = family};
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *request;
	struct rtmsg *header;
	int result = eg_netlink_open(netns, NETLINK_ROUTE, &netlink);

	if (result < 0)
		return result;
	request = eg_netlink_request(buffer, RTM_GETROUTE, 0);
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->rtm_family = family == EG_FAMILY_IPV4 ? AF_INET : AF_INET6;
	header->rtm_dst_len = (unsigned char)(address_len(family) * 8);
	mnl_attr_put(request, RTA_DST, address_len(family), addr->bytes);
	mnl_attr_put_u32(request, RTA_OIF, ifindex);
	result = eg_netlink_ask(netlink, request, take_gateway, NULL, &gateway);
	if (result == 0 && !gateway.found)
		result = -ENOENT;
	if (result == 0)
		*ret_gateway = gateway.addr;
	return result;
}

/* --- the other end of a veth --------------------------------------------------------------- */

static int take_nsid(const struct nlmsghdr *message, void *argument)
{
	const struct nlattr *attr;
	int *nsid = argument;

	mnl_attr_for_each(attr, message, NLMSG_ALIGN(sizeof(struct rtgenmsg)))
	{
		if (mnl_attr_get_type(attr) == NETNSA_NSID)
			return eg_netlink_u32(attr, (__u32 *)nsid);
	}
	return 0;
}

/* The number by which the socket's namespace knows another, NETNSA_NSID_NOT_ASSIGNED if it does
 * not. */
static int ask_nsid(struct eg_netlink *netlink, int netns_fd, int *ret_nsid)
{
	int nsid = NETNSA_NSID_NOT_ASSIGNED;
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *request;
	int result;

	request = eg_netlink_request(buffer, RTM_GETNSID, 0);
	mnl_nlmsg_put_extra_header(request, sizeof(struct rtgenmsg));
	mnl_attr_put_u32(request, NETNSA_FD, (__u32)netns_fd);
	result = eg_netlink_ask(netlink, request, take_nsid, NULL, &nsid);
	if (!result)
		*ret_nsid = nsid;
	return result;
}

struct candidates {
	struct eg_netlink *netlink; /* in the veth's namespace */
	const struct eg_netns *netns;
	int nsid;
	struct eg_netns found;
};

static int try_candidate(const struct eg_netns *netns, void *argument)
{
	struct candidates *candidates = argument;
	int nsid, result;

	if (eg_netns_same(netns, candidates->netns))
		return 0;
	result = ask_nsid(candidates->netlink, netns->fd, &nsid);
	if (result < 0)
		return result;
	if (nsid != candidates->nsid)
		return 0;
	/* By a descriptor of its own: the one we were given is closed after us. */
	candidates->found = *netns;
	candidates->found.fd = fcntl(netns->fd, F_DUPFD_CLOEXEC, 0);
	return candidates->found.fd < 0 ? -errno : 1;
}

static int take_link(const struct nlmsghdr *message, void *argument)
{
	return eg_link_parse(message, argument);
}

static int ask_link(struct eg_netlink *netlink, __u32 ifindex, struct eg_link *ret_link)
{
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct eg_link link = {0};
	struct nlmsghdr *request;
	struct ifinfomsg *header;
	int result;

	request = eg_netlink_request(buffer, RTM_GETLINK, 0);
	header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
	header->ifi_index = (int)ifindex;
	result = eg_netlink_ask(netlink, request, take_link, NULL, &link);
	if (!result)
		*ret_link = link;
	return result;
}

/* That the interface with this index, in the namespace of the socket, is a veth whose other end is
 * `veth` in `netns`. */
static int check_points_back(struct eg_netlink *netlink, const struct eg_netns *netns,
			     const struct eg_link *veth, const struct eg_link *peer)
{
	int nsid;
	int result = ask_nsid(netlink, netns->fd, &nsid);

	if (result < 0)
		return result;
	if (strcmp(peer->kind, "veth") != 0 || peer->peer_ifindex != veth->ifindex ||
	    peer->peer_nsid < 0 || peer->peer_nsid != nsid)
		return -ENOENT;
	return 0;
}

static int find_namespace(const struct eg_netns *netns, int nsid, struct eg_netns *ret_netns)
{
	EG_AUTO_NETLINK struct eg_netlink *netlink = NULL;
	struct candidates candidates = {.netns = netns, .nsid = nsid, .found = EG_NETNS_NONE};
	int result = eg_netlink_open(netns, NETLINK_ROUTE, &netlink);

	if (result < 0)
		return result;
	candidates.netlink = netlink;
	result = eg_netns_search(try_candidate, &candidates);
	if (result < 0)
		return result;
	if (!result)
		return -ENOENT;
	eg_netns_learn_cookie(&candidates.found);
	*ret_netns = candidates.found;
	return 0;
}

int eg_peer_find(const struct eg_netns *netns, const struct eg_link *veth, struct eg_peer *ret_peer)
{
	EG_AUTO_NETLINK struct eg_netlink *netlink = NULL;
	EG_AUTO_NETNS struct eg_netns there = EG_NETNS_NONE;
	struct eg_link link;
	int result;

	if (strcmp(veth->kind, "veth") != 0 || veth->peer_nsid < 0 || !veth->peer_ifindex)
		return -ENOENT;
	result = find_namespace(netns, veth->peer_nsid, &there);
	if (result < 0)
		return result;
	/* Without privileges on the host, one can make network namespaces only in a user namespace
	 * of one's own, and there be anything. */
	result = eg_netns_is_ours(&there);
	if (result <= 0)
		return result ? result : -ENOENT;
	result = eg_netlink_open(&there, NETLINK_ROUTE, &netlink);
	if (result < 0)
		return result;
	result = ask_link(netlink, veth->peer_ifindex, &link);
	if (!result)
		result = check_points_back(netlink, netns, veth, &link);
	if (result < 0)
		return result == -ENODEV ? -ENOENT : result;
	*ret_peer = (struct eg_peer){
		.netns = there,
		.ifindex = link.ifindex,
		.master = link.master,
	};
	memcpy(ret_peer->name, link.name, sizeof(ret_peer->name));
	there.fd = -1;
	return 0;
}

void eg_peer_close(struct eg_peer *peer)
{
	eg_netns_close(&peer->netns);
}
