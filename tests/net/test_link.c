// SPDX-License-Identifier: GPL-2.0
/*
 * Namespaces, interfaces, and where veths lead:
 *
 *   here: br0 172.18.0.1/16, fd00:18::1/64 --- vh0  =  eth0 in `inner` (172.18.0.2/16)
 *   `third`: eth1p 10.9.0.1/24                      =  eth1 in `inner` (10.9.0.2/24)
 *   `inner`: va = vb
 */
#include "bed.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "policy/address.h"
#include "util/cleanup.h"
#include "util/file.h"

static int set_up(void **state)
{
	(void)state;
	bed_run("ip netns add inner; ip netns add third");
	bed_run("ip link add br0 type bridge; ip link set br0 up");
	bed_run("ip addr add 172.18.0.1/16 dev br0; ip -6 addr add fd00:18::1/64 dev br0 nodad");
	bed_run("ip link add vh0 type veth peer name eth0 netns inner");
	bed_run("ip link set vh0 master br0 up");
	bed_run("ip -n third link add eth1p type veth peer name eth1 netns inner");
	bed_run("ip -n inner link add va type veth peer name vb");
	bed_run("ip -n inner addr add 172.18.0.2/16 dev eth0");
	bed_run("ip -n inner -6 addr add fd00:18::2/64 dev eth0 nodad");
	bed_run("ip -n inner link set eth0 up; ip -n inner link set lo up");
	bed_run("ip -n inner addr add 10.9.0.2/24 dev eth1; ip -n inner link set eth1 up");
	bed_run("ip -n third addr add 10.9.0.1/24 dev eth1p; ip -n third link set eth1p up");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	bed_run("ip netns del inner; ip netns del third; ip link del br0");
	return 0;
}

/* --- namespaces ---------------------------------------------------------------------------- */

static void test_open(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner"), third = bed_open("third");
	EG_AUTO_NETNS struct eg_netns again = bed_open("inner"), self = EG_NETNS_NONE;
	EG_AUTO_NETNS struct eg_netns initial = EG_NETNS_NONE;
	struct eg_error error;

	(void)state;
	assert_int_equal(eg_netns_open_self(&self), 0);
	/* PID 1's may be hidden; kernel threads are in the same one. */
	if (eg_netns_open_pid(1, &initial, &error) < 0)
		assert_int_equal(eg_netns_open_pid(2, &initial, &error), 0);
	assert_true(eg_netns_same(&inner, &again));
	assert_int_equal(inner.cookie, again.cookie);
	assert_false(eg_netns_same(&inner, &third));
	assert_false(eg_netns_same(&inner, &self));
	assert_true(eg_netns_is_initial(&initial));
	assert_false(eg_netns_is_initial(&self));
	assert_false(eg_netns_is_initial(&inner));
}

static void test_open_refuses(void **state)
{
	struct eg_netns netns = {.fd = -1, .inode = 77};
	struct eg_error error;

	(void)state;
	assert_int_equal(eg_netns_open_path("/run/netns/absent", &netns, &error), -ENOENT);
	assert_int_equal(error.exit, EG_EXIT_NO_SUCH);
	assert_int_equal(eg_netns_open_path("/dev/null", &netns, &error), -EINVAL);
	assert_int_equal(error.exit, EG_EXIT_NO_SUCH);
	assert_int_equal(eg_netns_open_path("/proc/self/ns/mnt", &netns, &error), -EINVAL);
	assert_int_equal(eg_netns_open_path("/run/netns", &netns, &error), -EINVAL);
	bed_run("mkfifo /run/netns/fifo");
	assert_int_equal(eg_netns_open_path("/run/netns/fifo", &netns, &error), -EINVAL);
	bed_run("rm /run/netns/fifo");
	assert_int_equal(eg_netns_open_pid(2147483647, &netns, &error), -ESRCH);
	assert_int_equal(error.exit, EG_EXIT_NO_SUCH);
	assert_int_equal(netns.inode, 77);
}

static int learn_self(void *argument)
{
	return eg_netns_open_self(argument);
}

static int return_value(void *argument)
{
	return *(int *)argument;
}

static void test_run(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner"), before = EG_NETNS_NONE;
	EG_AUTO_NETNS struct eg_netns inside = EG_NETNS_NONE, after = EG_NETNS_NONE;
	struct eg_netns none = EG_NETNS_NONE;
	int value = -42;

	(void)state;
	assert_int_equal(eg_netns_open_self(&before), 0);
	assert_int_equal(eg_netns_run(&inner, learn_self, &inside), 0);
	assert_int_equal(eg_netns_open_self(&after), 0);
	assert_true(eg_netns_same(&inner, &inside));
	assert_true(eg_netns_same(&before, &after));
	assert_int_equal(eg_netns_run(&inner, return_value, &value), -42);
	value = 5;
	assert_int_equal(eg_netns_run(&none, return_value, &value), -EBADF);
}

static void test_find(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner"), found = EG_NETNS_NONE;

	(void)state;
	assert_int_equal(eg_netns_find(inner.dev, inner.inode, inner.cookie, &found), 0);
	assert_true(eg_netns_same(&inner, &found));
	assert_int_equal(found.cookie, inner.cookie);
	assert_int_equal(eg_netns_find(inner.dev, inner.inode + 100000, 0, &found), -ENOENT);
	/* The inode came back, the namespace did not. */
	if (inner.cookie)
		assert_int_equal(
			eg_netns_find(inner.dev, inner.inode, inner.cookie + 1000000, &found),
			-ENOENT);
}

struct visited {
	size_t n, inner, self;
	const struct eg_netns *wanted, *own;
};

static int count_visit(const struct eg_netns *netns, void *argument)
{
	struct visited *visited = argument;

	if (!visited->n++)
		assert_true(eg_netns_same(netns, visited->own));
	visited->inner += eg_netns_same(netns, visited->wanted);
	visited->self += eg_netns_same(netns, visited->own);
	return 0;
}

static int stop_visit(const struct eg_netns *netns, void *argument)
{
	(void)netns;
	(*(int *)argument)++;
	return 9;
}

static void test_visit(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner"), self = EG_NETNS_NONE;
	struct visited visited = {.wanted = &inner, .own = &self};
	const char *const sleeper[] = {"sleep", "60", NULL};
	pid_t pid = bed_start("inner", NULL, sleeper);
	int stopped = 0;

	(void)state;
	assert_int_equal(eg_netns_open_self(&self), 0);
	assert_int_equal(eg_netns_visit(count_visit, &visited), 0);
	assert_int_equal(visited.inner, 1);
	assert_int_equal(visited.self, 1);
	assert_int_equal(eg_netns_visit(stop_visit, &stopped), 9);
	assert_int_equal(stopped, 1);
	bed_stop(pid);
}

static size_t count_pids(const struct eg_netns *netns, pid_t *pids, size_t max)
{
	size_t n = 0;

	assert_int_equal(eg_netns_pids(netns, pids, max, &n), 0);
	return n;
}

static bool has_one_pid(void *argument)
{
	pid_t pids[4];

	return count_pids(argument, pids, 4) == 1;
}

static void test_pids(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner");
	const char *const sleeper[] = {"sleep", "60", NULL};
	pid_t pids[4], first, second;

	(void)state;
	assert_int_equal(count_pids(&inner, pids, 4), 0);
	first = bed_start("inner", NULL, sleeper);
	bed_wait(has_one_pid, &inner);
	assert_int_equal(count_pids(&inner, pids, 4), 1);
	assert_int_equal(pids[0], first);
	second = bed_start("inner", NULL, sleeper);
	while (count_pids(&inner, pids, 4) != 2)
		;
	assert_true(pids[0] < pids[1]);
	assert_int_equal(count_pids(&inner, pids, 1), 1);

	/* As they were, and all of those: until they are forgotten. */
	eg_netns_remember_processes(0);
	assert_int_equal(count_pids(&inner, pids, 4), 2);
	assert_true(pids[0] < pids[1]);
	assert_int_equal(count_pids(&inner, pids, 1), 1);
	bed_stop(first);
	assert_int_equal(count_pids(&inner, pids, 4), 2);
	eg_netns_forget_processes();
	assert_int_equal(count_pids(&inner, pids, 4), 1);
	assert_int_equal(pids[0], second);
	bed_stop(second);
}

/* --- interfaces ---------------------------------------------------------------------------- */

static void test_links(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner");
	EG_AUTO_FREE struct eg_link *links = NULL;
	struct eg_link link;
	size_t n;

	(void)state;
	assert_int_equal(eg_links_get(&inner, &links, &n), 0);
	for (size_t i = 1; i < n; i++)
		assert_true(links[i - 1].ifindex < links[i].ifindex);
	link = bed_link(&inner, "lo");
	assert_true(link.loopback);
	link = bed_link(&inner, "eth0");
	assert_string_equal(link.kind, "veth");
	assert_true(link.link_header);
	assert_true(link.peer_nsid >= 0);
	link = bed_link(&inner, "va");
	assert_int_equal(link.peer_nsid, -1);
	assert_int_equal(link.peer_ifindex, bed_link(&inner, "vb").ifindex);
}

/* A tun in IP mode that claims to be Ethernet. */
static void test_tun_link(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner");
	struct eg_link tun, tap;

	(void)state;
	bed_run("ip -n inner tuntap add mode tun name t0; ip -n inner tuntap add mode tap name t1");
	tun = bed_link(&inner, "t0");
	tap = bed_link(&inner, "t1");
	bed_run("ip -n inner link del t0; ip -n inner link del t1");
	assert_string_equal(tun.kind, "tun");
	assert_false(tun.tap);
	assert_false(tun.link_header);
	assert_true(tap.tap);
	assert_true(tap.link_header);
}

static void test_addrs(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner");
	EG_AUTO_FREE struct eg_link_addr *addrs = NULL;
	__u32 eth0 = bed_link(&inner, "eth0").ifindex;
	size_t n, v4 = 0, v6 = 0;
	union eg_addr wanted;
	__u8 family;

	(void)state;
	assert_int_equal(eg_addr_parse("fd00:18::2", &family, &wanted, NULL), 0);
	assert_int_equal(eg_addrs_get(&inner, &addrs, &n), 0);
	for (size_t i = 0; i < n; i++) {
		if (addrs[i].ifindex != eth0)
			continue;
		if (addrs[i].family == EG_FAMILY_IPV4) {
			assert_int_equal(addrs[i].addr.v4_be, htonl(0xac120002));
			assert_int_equal(addrs[i].prefix_len, 16);
			v4++;
		} else if (memcmp(&addrs[i].addr, &wanted, sizeof(wanted)) == 0) {
			assert_int_equal(addrs[i].prefix_len, 64);
			v6++;
		}
	}
	assert_int_equal(v4, 1);
	assert_int_equal(v6, 1);
}

/* --- the other end ------------------------------------------------------------------------- */

static void test_peer_here(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner"), self = EG_NETNS_NONE;
	struct eg_link eth0 = bed_link(&inner, "eth0");
	struct eg_peer peer;

	(void)state;
	assert_int_equal(eg_netns_open_self(&self), 0);
	assert_int_equal(eg_peer_find(&inner, &eth0, &peer), 0);
	assert_true(eg_netns_same(&peer.netns, &self));
	assert_string_equal(peer.name, "vh0");
	assert_int_equal(peer.ifindex, bed_link(&self, "vh0").ifindex);
	assert_int_equal(peer.master, bed_link(&self, "br0").ifindex);
	eg_peer_close(&peer);
}

static void test_peer_in_third(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner"), third = bed_open("third");
	struct eg_link eth1 = bed_link(&inner, "eth1");
	struct eg_peer peer;

	(void)state;
	assert_int_equal(eg_peer_find(&inner, &eth1, &peer), 0);
	assert_true(eg_netns_same(&peer.netns, &third));
	assert_string_equal(peer.name, "eth1p");
	assert_int_equal(peer.master, 0);
	eg_peer_close(&peer);
}

static void test_peer_within_reach(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner"), self = EG_NETNS_NONE;
	struct eg_link va = bed_link(&inner, "va"), br0, forged;
	struct eg_peer peer;

	(void)state;
	assert_int_equal(eg_netns_open_self(&self), 0);
	assert_int_equal(eg_peer_find(&inner, &va, &peer), -ENOENT);
	br0 = bed_link(&self, "br0");
	assert_int_equal(eg_peer_find(&self, &br0, &peer), -ENOENT);
	/* An interface that does not point back. */
	forged = bed_link(&inner, "eth0");
	forged.peer_ifindex = br0.ifindex;
	assert_int_equal(eg_peer_find(&inner, &forged, &peer), -ENOENT);
	forged.peer_ifindex = 99999;
	assert_int_equal(eg_peer_find(&inner, &forged, &peer), -ENOENT);
	forged = bed_link(&inner, "eth0");
	forged.peer_nsid = 4711;
	assert_int_equal(eg_peer_find(&inner, &forged, &peer), -ENOENT);
}

/* Veths here that lead to another interface of the namespace, and to one of the same index in
 * another namespace. */
static void test_peer_points_elsewhere(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner"), self = EG_NETNS_NONE;
	struct eg_link forged = bed_link(&inner, "eth0");
	struct eg_peer peer;

	(void)state;
	assert_int_equal(eg_netns_open_self(&self), 0);
	bed_run("ip link add vh9 type veth peer name eth9 netns inner");
	bed_run("ip netns add fourth; ip -n fourth link add same index %u type veth peer name vh8 "
		"index 77",
		forged.ifindex);
	bed_run("ip -n fourth link set vh8 netns %d", getpid());
	forged.peer_ifindex = bed_link(&self, "vh9").ifindex;
	assert_int_equal(eg_peer_find(&inner, &forged, &peer), -ENOENT);
	forged.peer_ifindex = bed_link(&self, "vh8").ifindex;
	assert_int_equal(bed_link(&self, "vh8").peer_ifindex, forged.ifindex);
	assert_int_equal(eg_peer_find(&inner, &forged, &peer), -ENOENT);
	bed_run("ip link del vh8; ip link del vh9; ip netns del fourth");
}

static int route(const struct eg_peer *peer, const char *text,
		 char subnet_text[EG_ADDRESS_TEXT_LEN])
{
	struct eg_prefix subnet;
	union eg_addr addr;
	__u8 family;
	int result;

	assert_int_equal(eg_addr_parse(text, &family, &addr, NULL), 0);
	result = eg_peer_route(peer, family, &addr, &subnet);
	if (!result)
		eg_prefix_format(subnet_text, &subnet);
	return result;
}

static void test_peer_route(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner");
	struct eg_link eth0 = bed_link(&inner, "eth0"), eth1 = bed_link(&inner, "eth1");
	char subnet[EG_ADDRESS_TEXT_LEN];
	struct eg_peer peer;

	(void)state;
	/* A default route and half of the internet over the same bridge. */
	bed_run("ip route add default via 172.18.0.9; ip route add 128.0.0.0/1 via 172.18.0.9");
	bed_run("ip route add unreachable 192.168.7.0/24; ip -6 route add unreachable "
		"fd00:7::/64");
	assert_int_equal(eg_peer_find(&inner, &eth0, &peer), 0);
	assert_int_equal(route(&peer, "172.18.0.2", subnet), 0);
	assert_string_equal(subnet, "172.18.0.0/16");
	assert_int_equal(route(&peer, "fd00:18::2", subnet), 0);
	assert_string_equal(subnet, "fd00:18::/64");
	assert_int_equal(route(&peer, "fe80::1234", subnet), 0);
	assert_string_equal(subnet, "fe80::/64");
	assert_int_equal(route(&peer, "172.18.0.1", subnet), -ENOENT); /* the bridge's own */
	assert_int_equal(route(&peer, "198.51.100.7", subnet), -ENOENT);
	assert_int_equal(route(&peer, "10.1.2.3", subnet), -ENOENT); /* default route */
	assert_int_equal(route(&peer, "10.9.0.2", subnet), -ENOENT);
	assert_int_equal(route(&peer, "192.168.7.1", subnet), -ENOENT);
	assert_int_equal(route(&peer, "fd00:7::1", subnet), -ENOENT);
	assert_int_equal(route(&peer, "2001:db8::1", subnet), -ENOENT);
	eg_peer_close(&peer);
	bed_run("ip route del default; ip route del 128.0.0.0/1; ip route del 192.168.7.0/24");
	bed_run("ip -6 route del fd00:7::/64");

	assert_int_equal(eg_peer_find(&inner, &eth1, &peer), 0);
	assert_int_equal(route(&peer, "10.9.0.2", subnet), 0);
	assert_string_equal(subnet, "10.9.0.0/24");
	assert_int_equal(route(&peer, "172.18.0.2", subnet), -ENOENT);
	eg_peer_close(&peer);
}

static bool stop_thread;

static void *rename_links(void *argument)
{
	(void)argument;
	while (!__atomic_load_n(&stop_thread, __ATOMIC_RELAXED))
		if (system("ip -n inner link add churn type veth peer name churn2;"
			   "ip -n inner link del churn") != 0)
			break;
	return NULL;
}

/* Dumps that are interrupted are asked for again. */
static void test_links_while_changing(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner");
	pthread_t thread;

	(void)state;
	/* So many that a dump takes several messages. */
	bed_run("for i in $(seq 100); do echo link add p$i type veth peer name q$i; done | "
		"ip -n inner -batch -");
	stop_thread = false;
	assert_int_equal(pthread_create(&thread, NULL, rename_links, NULL), 0);
	for (int i = 0; i < 300; i++) {
		EG_AUTO_FREE struct eg_link *links = NULL;
		size_t n, found = 0;

		assert_int_equal(eg_links_get(&inner, &links, &n), 0);
		for (size_t at = 0; at < n; at++)
			found += strcmp(links[at].name, "eth0") == 0;
		assert_int_equal(found, 1);
	}
	__atomic_store_n(&stop_thread, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	bed_run("for i in $(seq 100); do echo link del p$i; done | ip -n inner -batch -");
}

/* Under a number of its own, so that the process's is free for whom it is to forge for. */
static int open_route_socket(void *argument)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_pid = 1};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	*(int *)argument = fd;
	return fd < 0 ? -errno : bind(fd, (struct sockaddr *)&addr, sizeof(addr));
}

static void *forge_answers(void *argument)
{
	struct sockaddr_nl to = {.nl_family = AF_NETLINK, .nl_pid = (__u32)getpid()};
	struct nlmsghdr done = {
		.nlmsg_len = sizeof(done),
		.nlmsg_type = NLMSG_DONE,
		.nlmsg_seq = 1,
		.nlmsg_pid = (__u32)getpid(),
	};

	while (!__atomic_load_n(&stop_thread, __ATOMIC_RELAXED))
		sendto(*(int *)argument, &done, sizeof(done), MSG_DONTWAIT, (struct sockaddr *)&to,
		       sizeof(to));
	return NULL;
}

/* Whoever has CAP_NET_ADMIN inside can send to our sockets: here, ends of dumps. */
static void test_links_forged(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner");
	EG_AUTO_CLOSE int fd = -1;
	pthread_t thread;

	(void)state;
	assert_int_equal(eg_netns_run(&inner, open_route_socket, &fd), 0);
	stop_thread = false;
	assert_int_equal(pthread_create(&thread, NULL, forge_answers, &fd), 0);
	for (int i = 0; i < 300; i++)
		bed_link(&inner, "eth0");
	__atomic_store_n(&stop_thread, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The other end in the last of many namespaces. */
#define MANY 1000
static void test_peer_among_many(void **state)
{
	EG_AUTO_NETNS struct eg_netns last = EG_NETNS_NONE, self = EG_NETNS_NONE;
	struct eg_link link;
	struct eg_peer peer;
	double before, took;

	(void)state;
	bed_run("for i in $(seq %d); do echo netns add many$i; done | ip -batch -", MANY);
	bed_run("ip link add far0 type veth peer name far1 netns many%d", MANY);
	bed_run("ip link set far0 netns many%d", MANY / 2);
	last = bed_open("many1000");
	assert_int_equal(eg_netns_open_self(&self), 0);
	link = bed_link(&last, "far1");
	before = now();
	assert_int_equal(eg_peer_find(&last, &link, &peer), 0);
	took = now() - before;
	assert_string_equal(peer.name, "far0");
	eg_peer_close(&peer);
	print_message("peer among %d namespaces: %.1f ms\n", MANY, took * 1000);
	bed_run("for i in $(seq %d); do echo netns del many$i; done | ip -batch -", MANY);
	assert_true(took < 1.0);
}

/* --- files --------------------------------------------------------------------------------- */

static void test_open_in_root(void **state)
{
	EG_AUTO_CLOSE int root_fd = -1, fd = -1;
	EG_AUTO_FREE char *data = NULL;
	char root[] = "/tmp/eg-root-XXXXXX";
	size_t len;

	(void)state;
	assert_non_null(mkdtemp(root));
	bed_run("cd %s && mkdir -p etc var && echo inside >etc/passwd && ln -s /etc abs && "
		"ln -s ../../../../etc up && ln -s /proc/self/root magic && mkfifo pipe",
		root);
	root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(root_fd >= 0);
	for (size_t i = 0; i < 3; i++) {
		static const char *const paths[] = {"abs/passwd", "up/passwd", "/../../etc/passwd"};
		EG_AUTO_FREE char *text = NULL;
		EG_AUTO_CLOSE int at = eg_open_in_root(root_fd, paths[i], O_RDONLY);

		assert_true(at >= 0);
		assert_int_equal(eg_fd_read(at, 100, &text, &len), 0);
		assert_string_equal(text, "inside\n");
		assert_int_equal(len, 7);
	}
	assert_int_equal(eg_open_in_root(root_fd, "magic/etc/passwd", O_RDONLY), -ENOENT);
	fd = eg_open_in_root(root_fd, "pipe", O_RDONLY); /* does not wait for a writer */
	assert_true(fd >= 0);
	assert_int_equal(eg_file_read(root_fd, "etc/passwd", 6, &data, &len), -EFBIG);
	assert_null(data);
	assert_int_equal(eg_file_read(root_fd, "etc/passwd", 7, &data, &len), 0);
	assert_int_equal(eg_file_read(root_fd, "absent", 7, &data, &len), -ENOENT);
	bed_run("rm -r %s", root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_open_refuses),
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_visit),
		cmocka_unit_test(test_pids),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_tun_link),
		cmocka_unit_test(test_addrs),
		cmocka_unit_test(test_peer_here),
		cmocka_unit_test(test_peer_in_third),
		cmocka_unit_test(test_peer_within_reach),
		cmocka_unit_test(test_peer_points_elsewhere),
		cmocka_unit_test(test_peer_route),
		cmocka_unit_test(test_links_while_changing),
		cmocka_unit_test(test_links_forged),
		cmocka_unit_test(test_peer_among_many),
		cmocka_unit_test(test_open_in_root),
	};

	bed_check_private();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
