// SPDX-License-Identifier: GPL-2.0
/* What an interface is, and userspace WireGuard's state: a real wireguard-go with a root of its
 * own, and stand-ins that do not play by the rules. */
#include "bed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "net/wireguard.h"
#include "policy/address.h"
#include "util/cleanup.h"

#define PRIVATE_KEY "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
#define PUBLIC_KEY  "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="

static char root_a[256], root_b[256];

/* The machine's own files, with a /run of its own. */
static void make_root(char *root)
{
	const char *directory = getenv("TMPDIR");

	snprintf(root, sizeof(root_a), "%s/eg-root-XXXXXX", directory ? directory : "/tmp");
	assert_non_null(mkdtemp(root));
	bed_run("mount --bind / %s && mount --bind /dev %s/dev && mount -t tmpfs tmpfs %s/run && "
		"mkdir -p %s/run/wireguard",
		root, root, root, root);
}

static void remove_root(const char *root)
{
	bed_run("umount %s/run %s/dev %s && rmdir %s", root, root, root, root);
}

static int set_up(void **state)
{
	(void)state;
	bed_run("ip netns add inner; ip netns add third; mkdir -p /run/wireguard");
	make_root(root_a);
	make_root(root_b);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	remove_root(root_a);
	remove_root(root_b);
	bed_run("ip netns del inner; ip netns del third");
	return 0;
}

struct answering {
	const struct eg_netns *netns;
	const char *name;
};

static bool answers(void *argument)
{
	const struct answering *answering = argument;
	EG_AUTO_FREE struct eg_link *links = NULL;
	size_t n = 0;

	if (eg_links_get(answering->netns, &links, &n) < 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(links[i].name, answering->name) == 0)
			return eg_tunnel_kind(answering->netns, &links[i]) == EG_TUNNEL_USERSPACE;
	return false;
}

static bool can_connect(void *argument)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	EG_AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", (const char *)argument);
	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
}

static pid_t start_wireguard(const char *netns, const char *root, const char *name)
{
	const char *const argv[] = {"wireguard-go", "-f", name, NULL};
	char path[512];
	pid_t pid;

	snprintf(path, sizeof(path), "%s/run/wireguard/%s.sock", root, name);
	unlink(path);
	pid = bed_start(netns, root, argv);
	bed_wait(can_connect, path);
	return pid;
}

static void configure(const char *root, const char *name, int port)
{
	bed_run("echo " PRIVATE_KEY " >%s/run/key && chroot %s wg set %s listen-port %d "
		"fwmark 51820 private-key /run/key peer " PUBLIC_KEY
		" endpoint 198.51.100.7:51820 allowed-ips 0.0.0.0/0",
		root, root, name, port);
}

static void check_device(const struct eg_netns *netns, const char *name, int port)
{
	EG_AUTO_WG_DEVICE struct eg_wg_device device = {0};
	struct eg_link link = bed_link(netns, name);
	char text[EG_ADDRESS_TEXT_LEN];
	struct eg_error error = {0};

	assert_int_equal(eg_tunnel_kind(netns, &link), EG_TUNNEL_USERSPACE);
	if (eg_wg_get(netns, &link, &device, &error) < 0)
		fail_msg("%s", error.message);
	assert_int_equal(device.listen_port, port);
	assert_int_equal(device.fwmark, 51820);
	assert_int_equal(device.n_peers, 1);
	assert_int_equal(device.peers[0].public_key[0], 0xc5);
	assert_string_equal(eg_endpoint_format(text, &device.peers[0].endpoint),
			    "198.51.100.7:51820");
	assert_true(device.peers[0].default_route);
}

/* The UAPI socket is below another root; another namespace has a wg0 too, of another process. */
static void test_wireguard_go(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner"), third = bed_open("third");
	pid_t first = start_wireguard("inner", root_a, "wg0");
	pid_t second = start_wireguard("third", root_b, "wg0");

	(void)state;
	configure(root_a, "wg0", 4501);
	configure(root_b, "wg0", 4502);
	check_device(&inner, "wg0", 4501);
	check_device(&third, "wg0", 4502);
	bed_stop(first);
	bed_stop(second);
}

/* Started here, its interface moved into the namespace; a wg0 of another namespace is in the way.
 */
static void test_wireguard_go_from_outside(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner");
	struct answering answering = {.netns = &inner, .name = "wg0"};
	pid_t first = start_wireguard(NULL, root_a, "wg0"), second;

	(void)state;
	bed_run("ip link set wg0 netns inner");
	second = start_wireguard(NULL, root_b, "wg0");
	configure(root_a, "wg0", 4503);
	configure(root_b, "wg0", 4504);
	bed_wait(answers, &answering);
	check_device(&inner, "wg0", 4503);
	/* Without its process, the other one's answer does not stand in for it. */
	bed_stop(first);
	bed_run("ip -n inner tuntap add mode tun name wg0");
	assert_false(answers(&answering));
	bed_run("ip -n inner link del wg0");
	bed_stop(second);
}

static void test_not_tunnels(void **state)
{
	EG_AUTO_NETNS struct eg_netns inner = bed_open("inner");
	struct eg_wg_device device = {0};
	struct eg_error error;
	struct eg_link link;

	(void)state;
	bed_run("ip -n inner link add wg0 type veth peer name wg1");
	link = bed_link(&inner, "wg0");
	assert_int_equal(eg_tunnel_kind(&inner, &link), EG_TUNNEL_NOT);
	assert_int_equal(eg_wg_get(&inner, &link, &device, &error), -EINVAL);
	assert_non_null(strstr(error.message, "of kind veth"));
	bed_run("ip -n inner link del wg0; ip -n inner tuntap add mode tap name wg0");
	link = bed_link(&inner, "wg0");
	assert_int_equal(eg_tunnel_kind(&inner, &link), EG_TUNNEL_NOT);
	bed_run("ip -n inner link del wg0; ip -n inner tuntap add mode tun name wg0");
	link = bed_link(&inner, "wg0");
	assert_int_equal(eg_tunnel_kind(&inner, &link), EG_TUNNEL_TUN);
	assert_int_equal(eg_wg_get(&inner, &link, &device, &error), -ENOENT);
	assert_non_null(strstr(error.message, "--endpoint"));
	bed_run("ip -n inner link del wg0");
}

/* --- stand-ins: this process holds the tun ------------------------------------------------- */

struct server {
	int fd;
	const char *answer; /* NULL: none */
	bool endless;
	bool stop;
	pthread_t thread;
};

static void serve(const struct server *server, int fd)
{
	struct pollfd hung_up = {.fd = fd, .events = POLLRDHUP};

	if (server->answer)
		send(fd, server->answer, strlen(server->answer), MSG_NOSIGNAL);
	while (server->endless && send(fd, "jc=1\n", 5, MSG_NOSIGNAL) > 0)
		;
	poll(&hung_up, 1, 5000);
	close(fd);
}

static void *run_server(void *argument)
{
	const struct server *server = argument;
	int fd;

	while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
		if (__atomic_load_n(&server->stop, __ATOMIC_SEQ_CST)) {
			close(fd);
			break;
		}
		serve(server, fd);
	}
	return NULL;
}

static void server_start(struct server *server, const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	strcpy(addr.sun_path, path);
	server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(server->fd, 4), 0);
	assert_int_equal(pthread_create(&server->thread, NULL, run_server, server), 0);
}

static void server_stop(struct server *server, const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, path);
	__atomic_store_n(&server->stop, true, __ATOMIC_SEQ_CST);
	(void)connect(fd, (struct sockaddr *)&addr, sizeof(addr));
	pthread_join(server->thread, NULL);
	close(fd);
	close(server->fd);
	unlink(path);
}

static int open_tun(const char *name)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	strcpy(request.ifr_name, name);
	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	return fd;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void test_stand_ins(void **state)
{
	static const char path[] = "/run/wireguard/fake0.sock";
	static const struct {
		const char *answer;
		bool endless;
		int result;
	} cases[] = {
		{"listen_port=9\nerrno=0\n\n", false, 0},
		{"SSH-2.0-OpenSSH_9.2\n\n", false, -EBADMSG},
		{"listen_port=9\n", false, -ETIMEDOUT},
		/* patience with a namespace is restored by an answer */
		{"listen_port=9\nerrno=0\n\n", false, 0},
		{NULL, false, -ETIMEDOUT},
		{"listen_port=9\nerrno=0\n\n", false, 0},
		{NULL, true, -EFBIG},
		{"errno=13\n\n", false, -EACCES},
	};
	EG_AUTO_CLOSE int tun_fd = open_tun("fake0");
	EG_AUTO_NETNS struct eg_netns self = EG_NETNS_NONE;
	struct eg_link link;

	(void)state;
	assert_int_equal(eg_netns_open_self(&self), 0);
	link = bed_link(&self, "fake0");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct server server = {.answer = cases[i].answer, .endless = cases[i].endless};
		EG_AUTO_WG_DEVICE struct eg_wg_device device = {0};
		struct eg_error error = {0};
		double before = now();

		server_start(&server, path);
		assert_int_equal(eg_wg_get(&self, &link, &device, &error), cases[i].result);
		assert_true(now() - before < 3.0);
		assert_int_equal(eg_tunnel_kind(&self, &link),
				 cases[i].result ? EG_TUNNEL_TUN : EG_TUNNEL_USERSPACE);
		server_stop(&server, path);
	}
}

/* A file that is no socket, a link out of the root, a socket without a listener. */
static void test_no_socket(void **state)
{
	EG_AUTO_CLOSE int tun_fd = open_tun("fake0");
	EG_AUTO_NETNS struct eg_netns self = EG_NETNS_NONE;
	struct eg_wg_device device = {0};
	struct eg_error error;
	struct eg_link link;

	(void)state;
	assert_int_equal(eg_netns_open_self(&self), 0);
	link = bed_link(&self, "fake0");
	assert_int_equal(eg_wg_get(&self, &link, &device, &error), -ECONNREFUSED);
	bed_run("mkfifo /run/wireguard/fake0.sock");
	assert_int_equal(eg_wg_get(&self, &link, &device, &error), -ECONNREFUSED);
	bed_run("rm /run/wireguard/fake0.sock; ln -s /proc/1/root/x /run/wireguard/fake0.sock");
	assert_int_equal(eg_wg_get(&self, &link, &device, &error), -ECONNREFUSED);
	bed_run("rm /run/wireguard/fake0.sock");
}

/* --- host names ---------------------------------------------------------------------------- */

static void test_resolve(void **state)
{
	struct eg_endpoint endpoint = {.port = 51820, .host = (char *)"two.example"};
	EG_AUTO_FREE struct eg_endpoint *found = NULL, *copy = NULL;
	struct eg_error error;
	size_t n = 0, n_copy = 0;
	bool v4 = false;

	(void)state;
	bed_run("cp /etc/hosts /run/hosts; printf '198.51.100.1 two.example\\n"
		"2001:db8::1 two.example\\n' >>/run/hosts; mount --bind /run/hosts /etc/hosts");
	assert_int_equal(eg_endpoint_resolve(&endpoint, 2000, &found, &n, &error), 0);
	bed_run("umount /etc/hosts; rm /run/hosts");
	assert_int_equal(n, 2);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(found[i].port, 51820);
		assert_null(found[i].host);
		v4 |= found[i].family == EG_FAMILY_IPV4;
	}
	assert_true(v4);
	assert_int_equal(eg_endpoint_resolve(&found[0], 2000, &copy, &n_copy, &error), 0);
	assert_int_equal(n_copy, 1);
	assert_memory_equal(&copy[0].addr, &found[0].addr, sizeof(copy[0].addr));
}

static void test_resolve_fails(void **state)
{
	struct eg_endpoint endpoint = {.port = 51820, .host = (char *)"absent\033.invalid"};
	struct eg_endpoint *found = NULL;
	struct eg_error error;
	double before = now();
	size_t n = 0;

	(void)state;
	assert_true(eg_endpoint_resolve(&endpoint, 200, &found, &n, &error) < 0);
	assert_true(now() - before < 1.5);
	assert_non_null(strstr(error.message, "absent\\x1b.invalid"));
	assert_non_null(strstr(error.message, "--endpoint ADDR:PORT"));
	assert_null(found);
}

/* The name server is there but never answers. */
static void test_resolve_hangs(void **state)
{
	struct eg_endpoint endpoint = {.port = 51820, .host = (char *)"slow.example"};
	struct eg_endpoint *found = NULL;
	struct eg_error error;
	double before;
	size_t n = 0;

	(void)state;
	bed_run("ip link add silent0 type veth peer name silent1; ip link set silent0 up; "
		"ip link set silent1 netns third; ip -n third link set silent1 up; "
		"ip addr add 192.168.99.1/24 dev silent0; "
		"ip neigh add 192.168.99.2 lladdr 02:00:00:00:00:99 dev silent0");
	bed_run("echo nameserver 192.168.99.2 >/run/resolv; echo hosts: files dns >/run/nss; "
		"mount --bind /run/resolv $(realpath /etc/resolv.conf); "
		"mount --bind /run/nss /etc/nsswitch.conf");
	before = now();
	assert_true(eg_endpoint_resolve(&endpoint, 300, &found, &n, &error) < 0);
	assert_true(now() - before >= 0.29);
	assert_true(now() - before < 1.5);
	assert_non_null(strstr(error.message, "no answer in time"));
	bed_run("umount $(realpath /etc/resolv.conf) /etc/nsswitch.conf; ip link del silent0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wireguard_go),
		cmocka_unit_test(test_wireguard_go_from_outside),
		cmocka_unit_test(test_not_tunnels),
		cmocka_unit_test(test_stand_ins),
		cmocka_unit_test(test_no_socket),
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_resolve_fails),
		cmocka_unit_test(test_resolve_hangs),
	};

	bed_check_private();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
