// SPDX-License-Identifier: GPL-2.0
/* The readers of user/net/parse.h, with answers as they should be and as they should not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/genetlink.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/wireguard.h>
#include <string.h>

#include "net/parse.h"
#include "net/process.h"
#include "net/route.h"
#include "util/cleanup.h"
#include "util/text.h"

#define ID    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

/* --- cgroups ------------------------------------------------------------------------------- */

static void test_cgroup_container_id(void **state)
{
	static const struct {
		const char *path;
		const char *id; /* NULL: none */
	} cases[] = {
		{"/docker/" ID, ID},
		{"/system.slice/docker-" ID ".scope", ID},
		{"/machine.slice/libpod-" ID ".scope/container", ID},
		{"/kubepods/burstable/pod1a2b/cri-containerd-" ID ".scope", ID},
		{"/docker/" ID "/docker/" OTHER, ID}, /* what a container makes below its own */
		{"/machine.slice/libpod-conmon-" ID ".scope", NULL},
		{"/machine.slice/machine-libpod_pod_" OTHER ".slice/libpod-" ID ".scope/container",
		 ID},
		{"/machine.slice/machine-libpod_pod_" OTHER ".slice/libpod-conmon-" ID ".scope",
		 NULL},
		{"/machine.slice/machine-libpod_pod_" OTHER ".slice", NULL},
		{"/libpod_parent/" OTHER "/libpod-" ID, ID},
		{"/libpod_parent/libpod-" ID, ID},
		{"/libpod_parent/" ID, ID},
		{"/docker/" ID "/libpod_parent/" OTHER "/libpod-" OTHER, ID},
		{"/docker/" ID "/libpod-" OTHER, ID},
		{"/", NULL},
		{"", NULL},
		{"/docker/" ID "0", NULL},
		{"/docker/x" ID, NULL},
		{"/docker/0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF", NULL},
		{"/docker/0123456789abcdef", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char id[65] = "untouched";

		assert_int_equal(eg_cgroup_container_id(cases[i].path, id), cases[i].id != NULL);
		assert_string_equal(id, cases[i].id ? cases[i].id : "untouched");
	}
}

static void test_cgroup_names_id(void **state)
{
	(void)state;
	assert_true(eg_cgroup_names_id("2:cpu:/\n1:name=systemd:/docker/" ID "\n0::/\n", ID));
	assert_true(eg_cgroup_names_id("0::/docker/" OTHER "/docker/" ID "\n", ID));
	assert_false(eg_cgroup_names_id("0::/docker/" OTHER "\n", ID));
	assert_false(eg_cgroup_names_id("0::/docker/" ID "0\n", ID));
	assert_false(eg_cgroup_names_id("0::/libpod-conmon-" ID ".scope\n", ID));
	assert_false(eg_cgroup_names_id("", ID));
}

/* --- netlink ------------------------------------------------------------------------------- */

static struct nlmsghdr *new_message(char *buffer, __u16 type)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

	message->nlmsg_type = type;
	return message;
}

static struct nlmsghdr *new_link(char *buffer, const char *name, unsigned short type)
{
	struct nlmsghdr *message = new_message(buffer, RTM_NEWLINK);
	struct ifinfomsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));

	header->ifi_index = 7;
	header->ifi_type = type;
	header->ifi_flags = IFF_UP;
	mnl_attr_put_strz(message, IFLA_IFNAME, name);
	return message;
}

static void put_kind(struct nlmsghdr *message, const char *kind, int tun_type)
{
	struct nlattr *info = mnl_attr_nest_start(message, IFLA_LINKINFO);
	struct nlattr *data;

	mnl_attr_put_strz(message, IFLA_INFO_KIND, kind);
	if (tun_type) {
		data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
		mnl_attr_put_u8(message, IFLA_TUN_TYPE, (uint8_t)tun_type);
		mnl_attr_nest_end(message, data);
	}
	mnl_attr_nest_end(message, info);
}

static void test_link_veth(void **state)
{
	char buffer[1024];
	struct nlmsghdr *message = new_link(buffer, "eth0", ARPHRD_ETHER);
	struct eg_link link;

	(void)state;
	put_kind(message, "veth", 0);
	mnl_attr_put_u32(message, IFLA_LINK, 12);
	mnl_attr_put_u32(message, IFLA_LINK_NETNSID, 0);
	mnl_attr_put_u32(message, IFLA_MASTER, 3);
	assert_int_equal(eg_link_parse(message, &link), 0);
	assert_string_equal(link.name, "eth0");
	assert_string_equal(link.kind, "veth");
	assert_int_equal(link.ifindex, 7);
	assert_int_equal(link.peer_ifindex, 12);
	assert_int_equal(link.peer_nsid, 0);
	assert_int_equal(link.master, 3);
	assert_true(link.link_header);
	assert_false(link.loopback);
	assert_false(link.tap);
}

/* Equal indexes on both sides: old kernels leave out IFLA_LINK. */
static void test_link_equal_index(void **state)
{
	char buffer[1024];
	struct nlmsghdr *message = new_link(buffer, "eth0", ARPHRD_ETHER);
	struct eg_link link;

	(void)state;
	put_kind(message, "veth", 0);
	mnl_attr_put_u32(message, IFLA_LINK_NETNSID, 5);
	assert_int_equal(eg_link_parse(message, &link), 0);
	assert_int_equal(link.peer_ifindex, 7);
	assert_int_equal(link.peer_nsid, 5);
}

/* The mode of a tun, not its type, tells what its frames look like. */
static void test_link_tun(void **state)
{
	char buffer[1024];
	struct nlmsghdr *message;
	struct eg_link link;

	(void)state;
	message = new_link(buffer, "tun0", ARPHRD_ETHER);
	put_kind(message, "tun", IFF_TUN);
	assert_int_equal(eg_link_parse(message, &link), 0);
	assert_false(link.tap);
	assert_false(link.link_header);
	assert_int_equal(link.peer_nsid, -1);

	message = new_link(buffer, "tap0", ARPHRD_NONE);
	put_kind(message, "tun", IFF_TAP);
	assert_int_equal(eg_link_parse(message, &link), 0);
	assert_true(link.tap);
	assert_true(link.link_header);
}

static void test_link_malformed(void **state)
{
	char buffer[1024];
	struct nlmsghdr *message;
	struct eg_link link;

	(void)state;
	message = new_link(buffer, "a-name-that-is-far-too-long", ARPHRD_ETHER);
	assert_int_equal(eg_link_parse(message, &link), -EBADMSG);
	message = new_link(buffer, "", ARPHRD_ETHER);
	assert_int_equal(eg_link_parse(message, &link), -EBADMSG);
	message = new_link(buffer, "eth0", ARPHRD_ETHER);
	mnl_attr_put_u8(message, IFLA_LINK, 1);
	assert_int_equal(eg_link_parse(message, &link), -EBADMSG);
	message = new_message(buffer, RTM_NEWLINK);
	assert_int_equal(eg_link_parse(message, &link), -EBADMSG);
}

static struct nlmsghdr *new_route(char *buffer, const char *dst, unsigned char len, __u32 oif)
{
	struct nlmsghdr *message = new_message(buffer, RTM_NEWROUTE);
	struct rtmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	struct in_addr addr;

	inet_pton(AF_INET, dst, &addr);
	header->rtm_family = AF_INET;
	header->rtm_dst_len = len;
	header->rtm_type = RTN_UNICAST;
	if (len)
		mnl_attr_put(message, RTA_DST, sizeof(addr), &addr);
	mnl_attr_put_u32(message, RTA_OIF, oif);
	return message;
}

/* As `doctor` reads them. */
static void test_route_message(void **state)
{
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *message = new_route(buffer, "192.168.0.0", 16, 3);
	struct eg_route route;
	struct in_addr gateway;

	(void)state;
	inet_pton(AF_INET, "172.18.0.1", &gateway);
	mnl_attr_put_u32(message, RTA_TABLE, 51820);
	mnl_attr_put(message, RTA_GATEWAY, sizeof(gateway), &gateway);
	assert_int_equal(eg_route_message_parse(message, &route), 0);
	assert_int_equal(route.prefix.len, 16);
	assert_int_equal(route.table, 51820);
	assert_int_equal(route.ifindex, 3);
	assert_true(route.has_gateway);
	assert_int_equal(route.gateway.v4_be, gateway.s_addr);
	mnl_attr_put(message, RTA_DST, 2, "xx");
	assert_int_equal(eg_route_message_parse(message, &route), -EBADMSG);
	message = new_route(buffer, "192.168.0.0", 33, 3);
	assert_int_equal(eg_route_message_parse(message, &route), -EBADMSG);
	message->nlmsg_type = RTM_NEWLINK;
	assert_int_equal(eg_route_message_parse(message, &route), -EBADMSG);
}

static void test_ip_rule(void **state)
{
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *message = new_message(buffer, RTM_NEWRULE);
	struct fib_rule_hdr *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	struct eg_ip_rule rule;

	(void)state;
	*header = (struct fib_rule_hdr){
		.family = AF_INET, .action = FR_ACT_TO_TBL, .flags = FIB_RULE_INVERT};
	mnl_attr_put_u32(message, FRA_TABLE, 51820);
	mnl_attr_put_u32(message, FRA_FWMARK, 51820);
	mnl_attr_put_u32(message, FRA_SUPPRESS_PREFIXLEN, (__u32)-1);
	mnl_attr_put_u32(message, FRA_PRIORITY, 32765);
	assert_int_equal(eg_ip_rule_parse(message, &rule), 0);
	assert_true(rule.invert && rule.has_mark && !rule.narrow && !rule.has_dst);
	assert_int_equal(rule.table, 51820);
	assert_int_equal(rule.mark, 51820);
	assert_int_equal(rule.suppress, -1);
	assert_int_equal(rule.priority, 32765);
	mnl_attr_put_u32(message, FRA_SUPPRESS_PREFIXLEN, 0);
	mnl_attr_put_strz(message, FRA_IIFNAME, "eth0");
	assert_int_equal(eg_ip_rule_parse(message, &rule), 0);
	assert_int_equal(rule.suppress, 0);
	assert_true(rule.narrow);
	header->action = FR_ACT_PROHIBIT;
	assert_int_equal(eg_ip_rule_parse(message, &rule), 0);
	assert_int_equal(rule.table, 0);
	header->dst_len = 33;
	assert_int_equal(eg_ip_rule_parse(message, &rule), -EBADMSG);
}

static void test_route(void **state)
{
	char buffer[1024];
	struct eg_prefix subnet;
	struct nlmsghdr *message = new_route(buffer, "172.18.0.0", 16, 4);
	struct rtmsg *header = mnl_nlmsg_get_payload(message);

	(void)state;
	assert_int_equal(eg_route_parse(message, 9, 4, &subnet), 0);
	assert_int_equal(subnet.len, 16);
	assert_int_equal(subnet.family, EG_FAMILY_IPV4);
	assert_int_equal(subnet.addr.v4_be, htonl(0xac120000));
	assert_int_equal(eg_route_parse(message, 9, 0, &subnet), -ENOENT);
	header->rtm_type = RTN_LOCAL;
	assert_int_equal(eg_route_parse(message, 9, 4, &subnet), -ENOENT);
	message = new_route(buffer, "0.0.0.0", 0, 4);
	assert_int_equal(eg_route_parse(message, 9, 4, &subnet), -ENOENT);
	message = new_route(buffer, "0.0.0.0", 1, 4);
	mnl_attr_put_u32(message, RTA_GATEWAY, htonl(0xac120001));
	assert_int_equal(eg_route_parse(message, 9, 4, &subnet), -ENOENT);
	message = new_route(buffer, "172.18.0.0", 33, 4);
	assert_int_equal(eg_route_parse(message, 9, 4, &subnet), -EBADMSG);
}

static struct nlmsghdr *new_wg_message(char *buffer)
{
	struct nlmsghdr *message = new_message(buffer, 0x20);

	mnl_nlmsg_put_extra_header(message, sizeof(struct genlmsghdr));
	mnl_attr_put_strz(message, WGDEVICE_A_IFNAME, "wg0");
	return message;
}

static struct nlattr *start_wg_peer(struct nlmsghdr *message, int key)
{
	struct nlattr *peer = mnl_attr_nest_start(message, 0);
	__u8 public_key[WG_KEY_LEN];

	memset(public_key, key, sizeof(public_key));
	mnl_attr_put(message, WGPEER_A_PUBLIC_KEY, sizeof(public_key), public_key);
	return peer;
}

static void put_allowed_ip(struct nlmsghdr *message, __u16 family, __u8 len)
{
	struct nlattr *ip = mnl_attr_nest_start(message, 0);

	mnl_attr_put_u16(message, WGALLOWEDIP_A_FAMILY, family);
	mnl_attr_put_u8(message, WGALLOWEDIP_A_CIDR_MASK, len);
	mnl_attr_nest_end(message, ip);
}

/* Two messages; the second peer goes on from the first into the second. */
static void test_wg_messages(void **state)
{
	EG_AUTO_WG_DEVICE struct eg_wg_device device = {0};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(51820)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(51821)};
	__s64 handshake[2] = {1700000000, 5};
	struct nlattr *peers, *peer, *ips;
	struct nlmsghdr *message;
	__u8 secret[WG_KEY_LEN];
	char buffer[4096];

	(void)state;
	memset(secret, 0x5e, sizeof(secret));
	inet_pton(AF_INET, "203.0.113.9", &v4.sin_addr);
	inet_pton(AF_INET6, "2001:db8::9", &v6.sin6_addr);

	message = new_wg_message(buffer);
	mnl_attr_put(message, WGDEVICE_A_PRIVATE_KEY, sizeof(secret), secret);
	mnl_attr_put_u16(message, WGDEVICE_A_LISTEN_PORT, 4500);
	mnl_attr_put_u32(message, WGDEVICE_A_FWMARK, 51820);
	peers = mnl_attr_nest_start(message, WGDEVICE_A_PEERS);
	peer = start_wg_peer(message, 1);
	mnl_attr_put(message, WGPEER_A_PRESHARED_KEY, sizeof(secret), secret);
	mnl_attr_put(message, WGPEER_A_ENDPOINT, sizeof(v4), &v4);
	mnl_attr_put(message, WGPEER_A_LAST_HANDSHAKE_TIME, sizeof(handshake), handshake);
	mnl_attr_put_u64(message, WGPEER_A_RX_BYTES, 10);
	mnl_attr_put_u64(message, WGPEER_A_TX_BYTES, 20);
	mnl_attr_nest_end(message, peer);
	peer = start_wg_peer(message, 2);
	mnl_attr_put(message, WGPEER_A_ENDPOINT, sizeof(v6), &v6);
	ips = mnl_attr_nest_start(message, WGPEER_A_ALLOWEDIPS);
	put_allowed_ip(message, AF_INET, 24);
	mnl_attr_nest_end(message, ips);
	mnl_attr_nest_end(message, peer);
	mnl_attr_nest_end(message, peers);
	assert_int_equal(eg_wg_message_parse(message, &device), 0);
	assert_int_equal(device.n_peers, 2);

	message = new_wg_message(buffer);
	peers = mnl_attr_nest_start(message, WGDEVICE_A_PEERS);
	peer = start_wg_peer(message, 2);
	ips = mnl_attr_nest_start(message, WGPEER_A_ALLOWEDIPS);
	put_allowed_ip(message, AF_INET6, 0);
	mnl_attr_nest_end(message, ips);
	mnl_attr_nest_end(message, peer);
	peer = start_wg_peer(message, 3);
	mnl_attr_nest_end(message, peer);
	mnl_attr_nest_end(message, peers);
	assert_int_equal(eg_wg_message_parse(message, &device), 0);

	assert_int_equal(device.n_peers, 3);
	assert_int_equal(device.listen_port, 4500);
	assert_int_equal(device.fwmark, 51820);
	assert_int_equal(device.peers[0].public_key[31], 1);
	assert_int_equal(device.peers[0].endpoint.family, EG_FAMILY_IPV4);
	assert_int_equal(device.peers[0].endpoint.port, 51820);
	assert_memory_equal(&device.peers[0].endpoint.addr, &v4.sin_addr, 4);
	assert_int_equal(device.peers[0].last_handshake_s, 1700000000);
	assert_int_equal(device.peers[0].rx_bytes, 10);
	assert_int_equal(device.peers[0].tx_bytes, 20);
	assert_false(device.peers[0].default_route);
	assert_int_equal(device.peers[1].endpoint.family, EG_FAMILY_IPV6);
	assert_int_equal(device.peers[1].endpoint.port, 51821);
	assert_memory_equal(&device.peers[1].endpoint.addr, &v6.sin6_addr, 16);
	assert_true(device.peers[1].default_route);
	assert_int_equal(device.peers[2].endpoint.family, EG_FAMILY_NONE);
	assert_int_equal(device.peers[2].public_key[0], 3);
}

static void test_wg_malformed(void **state)
{
	EG_AUTO_WG_DEVICE struct eg_wg_device device = {0};
	struct nlattr *peers, *peer;
	struct nlmsghdr *message;
	char buffer[4096];

	(void)state;
	message = new_wg_message(buffer);
	peers = mnl_attr_nest_start(message, WGDEVICE_A_PEERS);
	peer = mnl_attr_nest_start(message, 0); /* a peer without a key */
	mnl_attr_nest_end(message, peer);
	mnl_attr_nest_end(message, peers);
	assert_int_equal(eg_wg_message_parse(message, &device), -EBADMSG);

	message = new_wg_message(buffer);
	peers = mnl_attr_nest_start(message, WGDEVICE_A_PEERS);
	peer = start_wg_peer(message, 1);
	mnl_attr_put_u16(message, WGPEER_A_ENDPOINT, AF_INET); /* half a sockaddr */
	mnl_attr_nest_end(message, peer);
	mnl_attr_nest_end(message, peers);
	assert_int_equal(eg_wg_message_parse(message, &device), -EBADMSG);

	message = new_wg_message(buffer);
	mnl_attr_put_u8(message, WGDEVICE_A_LISTEN_PORT, 1);
	assert_int_equal(eg_wg_message_parse(message, &device), -EBADMSG);
}

/* --- UAPI ---------------------------------------------------------------------------------- */

#define KEY_A "b85996fecc9c7f1fc6d2572a76eda11d59bcd20be8e543b15ce4bd85a8e75a33"
#define KEY_B "58402e695ba1772b1cc9309755f043251ea77fdcf10fbe63989ceb7e19321376"

static int parse_uapi(const char *text, struct eg_wg_device *device)
{
	return eg_wg_uapi_parse(text, strlen(text), device);
}

static void test_uapi(void **state)
{
	EG_AUTO_WG_DEVICE struct eg_wg_device device = {0};

	(void)state;
	assert_int_equal(
		parse_uapi("private_key=e84b5a6d2717c1003a13b431570353dbaca9146cf150c5f8575680feba5"
			   "2027a\nlisten_port=12912\nfwmark=51820\njc=4\n"
			   "public_key=" KEY_A "\npreshared_key=" KEY_B "\nprotocol_version=1\n"
			   "endpoint=[2001:db8::7%eth0]:51820\nlast_handshake_time_sec=1700000000\n"
			   "last_handshake_time_nsec=5\nrx_bytes=18446744073709551615\ntx_bytes=3\n"
			   "allowed_ip=192.168.4.4/32\n"
			   "public_key=" KEY_B "\nendpoint=203.0.113.9:1\nallowed_ip=10.0.0.0/8\n"
			   "allowed_ip=0.0.0.0/0\nerrno=0\n\n",
			   &device),
		0);
	assert_int_equal(device.listen_port, 12912);
	assert_int_equal(device.fwmark, 51820);
	assert_int_equal(device.n_peers, 2);
	assert_int_equal(device.peers[0].public_key[0], 0xb8);
	assert_int_equal(device.peers[0].public_key[31], 0x33);
	assert_int_equal(device.peers[0].endpoint.family, EG_FAMILY_IPV6);
	assert_int_equal(device.peers[0].endpoint.port, 51820);
	assert_int_equal(device.peers[0].rx_bytes, UINT64_MAX);
	assert_int_equal(device.peers[0].last_handshake_s, 1700000000);
	assert_false(device.peers[0].default_route);
	assert_int_equal(device.peers[1].endpoint.addr.v4_be, htonl(0xcb007109));
	assert_true(device.peers[1].default_route);
}

static void test_uapi_long_unknown_value(void **state)
{
	EG_AUTO_WG_DEVICE struct eg_wg_device device = {0};
	EG_AUTO_TEXT struct eg_text text = {0};

	(void)state;
	eg_text_printf(&text, "i1=%05000d\nerrno=0\n\n", 0);
	assert_int_equal(eg_wg_uapi_parse(text.data, text.len, &device), 0);
}

static void test_uapi_malformed(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"errno=0\n",
		"errno=0",
		"errno=0\n\nerrno=0\n\n",
		"listen_port=1\n\n",
		"errno=x\n\n",
		"errno=\n\n",
		"listen_port=65536\nerrno=0\n\n",
		"listen_port=-1\nerrno=0\n\n",
		"listen_port= 1\nerrno=0\n\n",
		"fwmark=99999999999999999999999\nerrno=0\n\n",
		"endpoint=203.0.113.9:1\nerrno=0\n\n", /* before any peer */
		"public_key=" KEY_A "0\nerrno=0\n\n",
		"public_key=zz" KEY_A "\nerrno=0\n\n",
		"public_key=" KEY_A "\nendpoint=host.example:1\nerrno=0\n\n",
		"public_key=" KEY_A "\nendpoint=203.0.113.9\nerrno=0\n\n",
		"public_key=" KEY_A "\nendpoint=fe80::1%eth0:1\nerrno=0\n\n",
		"public_key=" KEY_A "\nallowed_ip=/0\nerrno=0\n\n",
		"public_key=" KEY_A "\nallowed_ip=10.0.0.0\nerrno=0\n\n",
		"public_key=" KEY_A "\nallowed_ip=::/129\nerrno=0\n\n",
		"HTTP/1.1 200 OK\r\n\r\n",
		"=1\nerrno=0\n\n",
		"Listen_port=1\nerrno=0\n\n",
		"errno=0\nlisten_port=1\n\n",
	};
	struct eg_wg_device device = {.listen_port = 77};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse_uapi(bad[i], &device) != -EBADMSG)
			fail_msg("taken: %s", bad[i]);
	}
	assert_int_equal(eg_wg_uapi_parse("listen_port=1\0\nerrno=0\n\n", 24, &device), -EBADMSG);
	assert_int_equal(parse_uapi("errno=1\n\n", &device), -1);
	assert_int_equal(parse_uapi("errno=-22\n\n", &device), -EINVAL);
	assert_int_equal(device.listen_port, 77);
	assert_null(device.peers);
}

/* Every beginning of a good answer is no answer. */
static void test_uapi_cut(void **state)
{
	static const char text[] =
		"listen_port=1\npublic_key=" KEY_A "\nendpoint=203.0.113.9:51820\nerrno=0\n\n";
	struct eg_wg_device device = {0};

	(void)state;
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		assert_int_equal(eg_wg_uapi_parse(text, len, &device), -EBADMSG);
	assert_int_equal(eg_wg_uapi_parse(text, sizeof(text) - 1, &device), 0);
	eg_wg_device_free(&device);
}

/* --- engines ------------------------------------------------------------------------------- */

static const char good_container[] =
	"{\"Id\":\"" ID "\",\"Name\":\"/wireguard\",\"State\":{\"Running\":true,\"Pid\":4242,"
	"\"StartedAt\":\"2024-01-02T03:04:05.123456789Z\"},\"HostConfig\":{\"NetworkMode\":"
	"\"bridge\",\"Dns\":[\"10.2.0.1\",\"fd00::1\"],\"RestartPolicy\":{\"Name\":\"always\"}},"
	"\"NetworkSettings\":{\"SandboxKey\":\"/run/docker/netns/0123\","
	"\"Networks\":{\"bridge\":{\"IPAddress\":\"172.18.0.2\","
	"\"IPPrefixLen\":16,\"GlobalIPv6Address\":\"fd00:18::2\",\"GlobalIPv6PrefixLen\":64},"
	"\"idle\":{\"IPAddress\":\"\",\"IPPrefixLen\":0}}}}";

static int parse_container(const char *json, struct eg_container *container, struct eg_error *error)
{
	return eg_container_parse(json, strlen(json), EG_RUNTIME_DOCKER, container, error);
}

static void test_container(void **state)
{
	EG_AUTO_CONTAINER struct eg_container container = {0};
	struct eg_error error;

	(void)state;
	assert_int_equal(parse_container(good_container, &container, &error), 0);
	assert_string_equal(container.id, ID);
	assert_string_equal(container.name, "wireguard");
	assert_true(container.running);
	assert_int_equal(container.pid, 4242);
	assert_true(container.started_realtime_ns == 1704164645123456789ULL);
	assert_string_equal(container.network_mode, "bridge");
	assert_string_equal(container.sandbox, "/run/docker/netns/0123");
	assert_string_equal(container.restart_policy, "always");
	assert_int_equal(container.n_subnets, 2);
	assert_int_equal(container.subnets[0].addr.v4_be, htonl(0xac120000));
	assert_int_equal(container.subnets[0].len, 16);
	assert_int_equal(container.subnets[1].family, EG_FAMILY_IPV6);
	assert_int_equal(container.subnets[1].addr.bytes[15], 0);
	assert_int_equal(container.subnets[1].len, 64);
	assert_string_equal(container.dns[0], "10.2.0.1");
	assert_string_equal(container.dns[1], "fd00::1");
	assert_null(container.dns[2]);
}

static void test_container_sparse(void **state)
{
	EG_AUTO_CONTAINER struct eg_container container = {0};
	struct eg_error error;

	(void)state;
	assert_int_equal(parse_container("{\"Id\":\"" ID "\",\"Name\":\"x\",\"State\":{\"Running\":"
					 "false,\"Pid\":0,\"StartedAt\":\"0001-01-01T00:00:00Z\"},"
					 "\"HostConfig\":null,\"NetworkSettings\":{}}",
					 &container, &error),
			 0);
	assert_false(container.running);
	assert_int_equal(container.pid, 0);
	assert_string_equal(container.network_mode, "");
	assert_string_equal(container.sandbox, "");
	assert_null(container.dns);
	assert_int_equal(container.n_subnets, 0);
}

static int parse_labels(const char *labels, struct eg_container *container)
{
	EG_AUTO_TEXT struct eg_text json = {0};

	eg_text_printf(&json,
		       "{\"Id\":\"" ID "\",\"Name\":\"/x\",\"State\":{\"Running\":false},"
		       "\"Config\":%s}",
		       labels);
	return parse_container(json.data, container, NULL);
}

static void test_labels(void **state)
{
	static const char *const odd[] = {
		"null",
		"{}",
		"7",
		"{\"Labels\":null}",
		"{\"Labels\":[\"com.docker.compose.service\"]}",
		"{\"Labels\":{\"com.docker.compose.service\":7,"
		"\"com.docker.compose.project.config_files\":\"\"}}",
	};
	EG_AUTO_CONTAINER struct eg_container container = {0};

	(void)state;
	assert_int_equal(parse_labels("{\"Labels\":{\"com.docker.compose.service\":\"web\","
				      "\"com.docker.compose.project.config_files\":\"/srv/a b\"}}",
				      &container),
			 0);
	assert_string_equal(container.compose_service, "web");
	assert_string_equal(container.compose_files, "/srv/a b");
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		EG_AUTO_CONTAINER struct eg_container without = {0};

		assert_int_equal(parse_labels(odd[i], &without), 0);
		assert_null(without.compose_service);
		assert_null(without.compose_files);
	}
}

/* What makes no sense in them is left out, and refuses nothing. */
static void test_published(void **state)
{
	EG_AUTO_CONTAINER struct eg_container container = {0};
	struct eg_error error;

	(void)state;
	assert_int_equal(
		parse_container(
			"{\"Id\":\"" ID "\",\"Name\":\"/x\",\"State\":{\"Running\":true,\"Pid\":1,"
			"\"StartedAt\":\"\"},\"NetworkSettings\":{\"Ports\":{"
			"\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"8080\"},"
			"{\"HostIp\":\"::\",\"HostPort\":\"8080\"}],\"53/udp\":null,"
			"\"53/tcp\":[{\"HostPort\":\"5353\"}],\"0/tcp\":[{\"HostPort\":\"1\"}],"
			"\"x\":[{\"HostPort\":\"1\"}],\"99999/tcp\":[{\"HostPort\":\"1\"}],"
			"\"81/tcp\":[{\"HostPort\":\"70000\"},{\"HostPort\":8},1,[],{}],"
			"\"82/nonsense\":[{\"HostPort\":\"1\"}],\"83/tcp\":7}}}",
			&container, &error),
		0);
	assert_int_equal(container.n_published, 3);
	for (size_t i = 0; i < container.n_published; i++) {
		const struct eg_published *one = &container.published[i];

		assert_int_equal(one->proto, 6);
		assert_int_equal(one->host_port, one->port == 80 ? 8080 : 5353);
	}
}

static void test_engine_text(void **state)
{
	static const char info[] = "{\"OperatingSystem\":\"Docker Desktop\",\"NCPU\":4}";
	char text[32] = "";

	(void)state;
	assert_int_equal(eg_engine_text(text, sizeof(text), "OperatingSystem", info, strlen(info)),
			 0);
	assert_string_equal(text, "Docker Desktop");
	assert_int_equal(eg_engine_text(text, sizeof(text), "NCPU", info, strlen(info)), -EBADMSG);
	assert_int_equal(eg_engine_text(text, 8, "OperatingSystem", info, strlen(info)), -EBADMSG);
	assert_int_equal(eg_engine_text(text, sizeof(text), "OperatingSystem", "[", 1), -EBADMSG);
}

static void test_container_malformed(void **state)
{
#define HEAD  "{\"Id\":\"" ID "\",\"Name\":\"/x\","
#define STATE "\"State\":{\"Running\":true,\"Pid\":5}"
	static const char *const bad[] = {
		"",
		"null",
		"[]",
		"{}",
		"\"" ID "\"",
		"{\"Id\":5,\"Name\":\"/x\"," STATE "}",
		"{\"Id\":\"../../etc\",\"Name\":\"/x\"," STATE "}",
		"{\"Id\":\"" ID "0\",\"Name\":\"/x\"," STATE "}",
		"{\"Id\":\"" ID "\",\"Name\":\"/\"," STATE "}",
		"{\"Id\":\"" ID "\",\"Name\":[]," STATE "}",
		"{\"Id\":\"" ID "\",\"Name\":\"/x\\u0000y\"," STATE "}",
		HEAD "\"State\":[]}",
		HEAD "\"State\":{\"Running\":\"true\",\"Pid\":5}}",
		HEAD "\"State\":{\"Running\":true}}",
		HEAD "\"State\":{\"Running\":true,\"Pid\":-1}}",
		HEAD "\"State\":{\"Running\":true,\"Pid\":0}}",
		HEAD "\"State\":{\"Running\":true,\"Pid\":1.5}}",
		HEAD "\"State\":{\"Running\":true,\"Pid\":\"5\"}}",
		HEAD "\"State\":{\"Running\":true,\"Pid\":4294967297}}",
		HEAD "\"State\":{\"Running\":true,\"Pid\":99999999999999999999}}",
		HEAD STATE ",\"HostConfig\":[]}",
		HEAD STATE ",\"HostConfig\":{\"Dns\":{}}}",
		HEAD STATE ",\"HostConfig\":{\"Dns\":[1]}}",
		HEAD STATE ",\"HostConfig\":{\"RestartPolicy\":\"always\"}}",
		HEAD STATE ",\"NetworkSettings\":{\"Networks\":[]}}",
		HEAD STATE ",\"NetworkSettings\":{\"Networks\":{\"a\":1}}}",
		HEAD STATE ",\"NetworkSettings\":{\"Networks\":{\"a\":{\"IPAddress\":\"x\","
			   "\"IPPrefixLen\":16}}}}",
		HEAD STATE ",\"NetworkSettings\":{\"Networks\":{\"a\":{\"IPAddress\":"
			   "\"172.18.0.2\",\"IPPrefixLen\":33}}}}",
		HEAD STATE ",\"NetworkSettings\":{\"Networks\":{\"a\":{\"IPAddress\":"
			   "\"172.18.0.2\"}}}}",
		HEAD STATE "} trailing",
	};
	struct eg_container container = {.pid = 77};
	struct eg_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse_container(bad[i], &container, &error) != -EBADMSG)
			fail_msg("taken: %s", bad[i]);
		assert_non_null(strstr(error.message, "malformed"));
	}
	assert_int_equal(container.pid, 77);
}

static void test_container_cut(void **state)
{
	struct eg_container container = {0};

	(void)state;
	for (size_t len = 0; len < sizeof(good_container) - 1; len++)
		assert_int_equal(eg_container_parse(good_container, len, EG_RUNTIME_DOCKER,
						    &container, NULL),
				 -EBADMSG);
}

static void test_container_deep_and_long(void **state)
{
	EG_AUTO_TEXT struct eg_text deep = {0}, lengthy = {0};
	struct eg_container container = {0};

	(void)state;
	for (int i = 0; i < 1000000; i++)
		eg_text_add(&deep, "[", 1);
	assert_int_equal(
		eg_container_parse(deep.data, deep.len, EG_RUNTIME_DOCKER, &container, NULL),
		-EBADMSG);
	eg_text_printf(&lengthy, "{\"Id\":\"" ID "\"," STATE ",\"Name\":\"%08000d\"}", 0);
	assert_int_equal(
		eg_container_parse(lengthy.data, lengthy.len, EG_RUNTIME_DOCKER, &container, NULL),
		-EBADMSG);
}

static void test_container_list(void **state)
{
	static const char json[] = "[{\"Id\":\"" ID "\",\"Names\":[\"/a\",\"/b/alias\"]},"
				   "{\"Id\":\"" OTHER "\",\"Names\":[]},"
				   "{\"Id\":\"" OTHER "\",\"Names\":[\"/c\"]}]";
	static const char bad[] = "[{\"Id\":\"" ID "\",\"Names\":[\"/a\"]},{\"Id\":1}]";
	struct eg_container *containers = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(eg_container_list_parse(json, strlen(json), EG_RUNTIME_PODMAN, &containers,
						 &n, NULL),
			 0);
	assert_int_equal(n, 2);
	assert_string_equal(containers[0].name, "a");
	assert_string_equal(containers[1].id, OTHER);
	assert_int_equal(containers[1].runtime, EG_RUNTIME_PODMAN);
	for (size_t i = 0; i < n; i++)
		eg_container_free(&containers[i]);
	free(containers);
	assert_int_equal(
		eg_container_list_parse(bad, strlen(bad), EG_RUNTIME_PODMAN, &containers, &n, NULL),
		-EBADMSG);
	assert_int_equal(eg_container_list_parse("{}", 2, EG_RUNTIME_PODMAN, &containers, &n, NULL),
			 -EBADMSG);
}

static void test_engine_message(void **state)
{
	static const char json[] = "{\"message\":\"no\\u001b[31m\"}";
	char text[64];

	(void)state;
	assert_string_equal(eg_engine_message(text, sizeof(text), json, strlen(json)),
			    "no\\x1b[31m");
	assert_string_equal(eg_engine_message(text, sizeof(text), "oops", 4), "");
}

static int read_event(const char *json, struct eg_engine_event *ret_event)
{
	return eg_engine_event_parse(json, strlen(json), ret_event);
}

static void test_engine_event(void **state)
{
	struct eg_engine_event event;

	(void)state;
	assert_int_equal(read_event("{\"Type\":\"container\",\"Action\":\"start\",\"Actor\":{"
				    "\"ID\":\"0123\",\"Attributes\":{\"name\":\"app\"}}}\n",
				    &event),
			 0);
	assert_string_equal(event.id, "0123");
	assert_string_equal(event.name, "app");
	/* The name is the network's. */
	assert_int_equal(read_event("{\"Type\":\"network\",\"Action\":\"connect\",\"Actor\":{"
				    "\"ID\":\"9\",\"Attributes\":{\"container\":\"0123\","
				    "\"name\":\"bridge\"}}}",
				    &event),
			 0);
	assert_string_equal(event.id, "0123");
	assert_string_equal(event.name, "");
	assert_int_equal(read_event("{\"Type\":\"image\",\"Actor\":{\"ID\":\"sha\"}}", &event),
			 -ENOMSG);
	assert_int_equal(read_event("{\"Type\":\"container\",\"Actor\":{\"ID\":7}}", &event),
			 -ENOMSG);
	assert_int_equal(read_event("{\"Type\":3,\"Actor\":[]}", &event), -EBADMSG);
	assert_int_equal(read_event("[]", &event), -EBADMSG);
	assert_int_equal(read_event("{", &event), -EBADMSG);
}

/* What an image has its container do all the time is nothing to look at. */
static void test_engine_event_own(void **state)
{
	static const char *const own[] = {"exec_create: /bin/true", "exec_die", "exec",
					  "health_status: healthy", "oom"};
	struct eg_engine_event event;

	(void)state;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		EG_AUTO_TEXT struct eg_text json = {};

		eg_text_printf(&json,
			       "{\"Type\":\"container\",\"Action\":\"%s\",\"Actor\":{"
			       "\"ID\":\"0123\"}}",
			       own[i]);
		assert_int_equal(read_event(json.data, &event), -ENOMSG);
	}
}

/* A NUL and what is no UTF-8, in a label's name and its text, hide nothing of what is beside. */
static void test_odd_text(void **state)
{
	EG_AUTO_CONTAINER struct eg_container container = {};
	struct eg_container *list = NULL;
	struct eg_engine_event event;
	size_t n = 0;
	static const char entries[] =
		"[{\"Id\":\"" ID "\",\"Names\":[\"/odd\"],\"Labels\":{\"a\\u0000\":\"\\u0000\"}},"
		"{\"Id\":\"" ID "\",\"Names\":[\"/other\"]}]";

	(void)state;
	assert_int_equal(parse_container("{\"Id\":\"" ID "\",\"Name\":\"/x\",\"State\":{"
					 "\"Running\":false},\"Config\":{\"Labels\":{\"a\\u0000b\":"
					 "\"\\\\u0000\\u0000\xff\","
					 "\"com.docker.compose.project\":\"\\\\u0000\"}}}",
					 &container, NULL),
			 0);
	assert_string_equal(container.name, "x");
	/* A backslash, and no escape. */
	assert_string_equal(container.compose_project, "\\u0000");
	assert_int_equal(eg_container_list_parse(entries, strlen(entries), EG_RUNTIME_DOCKER, &list,
						 &n, NULL),
			 0);
	assert_int_equal(n, 2);
	assert_string_equal(list[1].name, "other");
	for (size_t i = 0; i < n; i++)
		eg_container_free(&list[i]);
	free(list);
	assert_int_equal(read_event("{\"Type\":\"container\",\"Actor\":{\"ID\":\"0123\","
				    "\"Attributes\":{\"a\\u0000\":\"\\u0000\",\"name\":\"x\"}}}",
				    &event),
			 0);
	assert_string_equal(event.name, "x");
}

static void test_engine_event_begin(void **state)
{
	static const struct {
		const char *text, *id;
	} cases[] = {
		{"{\"status\":\"exec: \\\"id\\\":\\\"no\",\"id\":\"" ID "\",\"from\":", ID},
		{"{\"Type\":\"container\",\"Actor\":{\"ID\":\"" ID
		 "\",\"Attributes\":{\"id\":\"0123\"",
		 ID},
		{"{\"id\":\"0123\",\"ID\":\"" ID "\"", ""},
		{"{\"id\":\"" ID, ""},
		{"{\"id\":\"", ""},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct eg_engine_event event;

		eg_engine_event_begin(cases[i].text, strlen(cases[i].text), &event);
		assert_string_equal(event.id, cases[i].id);
		assert_string_equal(event.name, "");
	}
}

static void test_rfc3339(void **state)
{
	static const struct {
		const char *text;
		__u64 ns;
	} cases[] = {
		{"2024-01-02T03:04:05Z", 1704164645000000000ULL},
		{"2024-01-02T03:04:05.5Z", 1704164645500000000ULL},
		{"2024-01-02T03:04:05.123456789+02:00", 1704157445123456789ULL},
		{"2024-01-02T03:04:05.1234567899999-01:30", 1704170045123456789ULL},
		{"0001-01-01T00:00:00Z", 0},
		{"9999-12-31T23:59:59Z", 0},
		{"2024-01-02T03:04:05", 0},
		{"2024-01-02T03:04:05.Z", 0},
		{"2024-01-02T03:04:05+2:00", 0},
		{"2024-01-02T03:04:05Zx", 0},
		{"yesterday", 0},
		{"", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (eg_rfc3339_parse(cases[i].text) != cases[i].ns)
			fail_msg("%s is %llu", cases[i].text,
				 (unsigned long long)eg_rfc3339_parse(cases[i].text));
}

static void test_pid(void **state)
{
	(void)state;
	assert_int_equal(eg_pid_parse("1"), 1);
	assert_int_equal(eg_pid_parse("2147483647"), 2147483647);
	assert_int_equal(eg_pid_parse("2147483648"), 0);
	assert_int_equal(eg_pid_parse("99999999999999999999"), 0);
	assert_int_equal(eg_pid_parse(""), 0);
	assert_int_equal(eg_pid_parse("-1"), 0);
	assert_int_equal(eg_pid_parse("1x"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cgroup_container_id),
		cmocka_unit_test(test_cgroup_names_id),
		cmocka_unit_test(test_link_veth),
		cmocka_unit_test(test_link_equal_index),
		cmocka_unit_test(test_link_tun),
		cmocka_unit_test(test_link_malformed),
		cmocka_unit_test(test_route),
		cmocka_unit_test(test_wg_messages),
		cmocka_unit_test(test_wg_malformed),
		cmocka_unit_test(test_uapi),
		cmocka_unit_test(test_uapi_long_unknown_value),
		cmocka_unit_test(test_uapi_malformed),
		cmocka_unit_test(test_uapi_cut),
		cmocka_unit_test(test_container),
		cmocka_unit_test(test_container_sparse),
		cmocka_unit_test(test_container_malformed),
		cmocka_unit_test(test_published),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_engine_text),
		cmocka_unit_test(test_route_message),
		cmocka_unit_test(test_ip_rule),
		cmocka_unit_test(test_container_cut),
		cmocka_unit_test(test_container_deep_and_long),
		cmocka_unit_test(test_container_list),
		cmocka_unit_test(test_engine_message),
		cmocka_unit_test(test_engine_event),
		cmocka_unit_test(test_engine_event_own),
		cmocka_unit_test(test_engine_event_begin),
		cmocka_unit_test(test_odd_text),
		cmocka_unit_test(test_rfc3339),
		cmocka_unit_test(test_pid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
