// SPDX-License-Identifier: GPL-2.0
#include "bed.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kern/features.h"
#include "util/cleanup.h"

static char mount_dir[] = "/tmp/egressguard-kern-XXXXXX";
static char pin_dir[sizeof(mount_dir) + 16];
const char *bed_pin_dir = pin_dir;

static void skip_all(const char *why)
{
	printf("1..0 # SKIP %s\n", why);
	exit(0);
}

int bed_up(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip_all("needs root");
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
		skip_all("needs namespaces of its own");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || !mkdtemp(mount_dir) ||
	    mount("bpf", mount_dir, "bpf", 0, "mode=0700") < 0)
		return -1;
	snprintf(pin_dir, sizeof(pin_dir), "%s/guards", mount_dir);
	/* The private mount goes with us; the directory below it can go when it is empty. */
	return 0;
}

int bed_down(void **state)
{
	(void)state;
	umount2(mount_dir, MNT_DETACH);
	rmdir(mount_dir);
	return 0;
}

struct eg_pins bed_pins(void)
{
	struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	struct eg_error error = {};

	if (eg_pins_open(pin_dir, true, &pins, &error) || eg_pins_lock(&pins, 5000, &error))
		fail_msg("%s", error.message);
	return pins;
}

/* --- containers ----------------------------------------------------------------------------- */

void bed_run(const struct bed_container *container, const char *format, ...)
{
	char command[1024] = "";
	size_t len = 0;
	va_list args;

	if (container)
		len = (size_t)snprintf(command, sizeof(command), "nsenter --net=/proc/%d/ns/net ",
				       container->pid);
	va_start(args, format);
	vsnprintf(command + len, sizeof(command) - len, format, args);
	va_end(args);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static pid_t hold_namespace(void)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

void bed_container_look(struct bed_container *container)
{
	EG_AUTO_FREE struct eg_link *links = NULL;
	size_t n = 0;

	assert_int_equal(eg_links_get(&container->netns, &links, &n), 0);
	for (size_t i = 0; i < n; i++)
		if (strcmp(links[i].name, "eth0") == 0)
			container->link = links[i];
	assert_true(container->link.ifindex);
	assert_int_equal(eg_peer_find(&container->netns, &container->link, &container->peer), 0);
}

struct bed_container bed_container_start(int number)
{
	struct bed_container container = {.pid = hold_namespace(), .netns = EG_NETNS_NONE};

	assert_int_equal(eg_netns_open_pid(container.pid, &container.netns, NULL), 0);
	bed_run(NULL, "ip link add host%d type veth peer name eth0 netns %d", number,
		container.pid);
	bed_run(NULL, "ip addr add 10.77.%d.1/24 dev host%d", number, number);
	bed_run(NULL, "ip link set host%d up", number);
	bed_run(&container, "ip addr add 10.77.%d.2/24 dev eth0", number);
	bed_run(&container, "ip link set eth0 up");
	bed_run(&container, "ip route add default via 10.77.%d.1", number);
	bed_run(&container, "ip neigh replace 10.77.%d.1 lladdr 02:00:00:00:00:01 dev eth0",
		number);
	bed_container_look(&container);
	return container;
}

void bed_container_stop(struct bed_container *container)
{
	bed_run(NULL, "ip link del %s", container->peer.name);
	eg_peer_close(&container->peer);
	eg_netns_close(&container->netns);
	kill(container->pid, SIGKILL);
	waitpid(container->pid, NULL, 0);
}

struct sending {
	const char *addr;
	unsigned int n;
};

static int send_inside(void *argument)
{
	const struct sending *sending = argument;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	EG_AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || inet_pton(AF_INET, sending->addr, &to.sin_addr) != 1)
		return -EINVAL;
	for (unsigned int i = 0; i < sending->n; i++)
		if (sendto(fd, "probe", 5, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			return -errno;
	return 0;
}

void bed_send(const struct bed_container *container, const char *addr, unsigned int n)
{
	struct sending sending = {.addr = addr, .n = n};

	assert_int_equal(eg_netns_run(&container->netns, send_inside, &sending), 0);
}

/* --- images --------------------------------------------------------------------------------- */

static struct eg_image *image_new(size_t n)
{
	struct eg_image *image = calloc(1, sizeof(*image));

	assert_non_null(image);
	image->addrs = calloc(n + 1, sizeof(*image->addrs));
	assert_non_null(image->addrs);
	image->n_addrs = n;
	return image;
}

struct eg_image *bed_image(size_t n, const char *const *prefixes)
{
	struct eg_image *image = image_new(n);

	for (size_t i = 0; i < n; i++) {
		struct eg_image_addr *addr = &image->addrs[i];
		char text[64];
		char *slash;

		snprintf(text, sizeof(text), "%s", prefixes[i]);
		slash = strchr(text, '/');
		*slash = '\0';
		addr->prefix.family = EG_FAMILY_IPV4;
		addr->prefix.len = (__u8)atoi(slash + 1);
		assert_int_equal(inet_pton(AF_INET, text, &addr->prefix.addr.v4_be), 1);
		addr->value.flags = EG_ADDR_LAN;
	}
	assert_int_equal(eg_image_fill_fronts(image), 0);
	return image;
}

struct eg_image *bed_image_many(size_t n, __u32 offset)
{
	struct eg_image *image = image_new(n);

	for (size_t i = 0; i < n; i++) {
		struct eg_image_addr *addr = &image->addrs[i];

		addr->prefix.family = EG_FAMILY_IPV4;
		addr->prefix.len = 32;
		addr->prefix.addr.v4_be = htonl(0x0a000000 + ((__u32)i * 97 + offset) % (1 << 24));
		addr->value.flags = EG_ADDR_LAN;
	}
	assert_int_equal(eg_image_fill_fronts(image), 0);
	return image;
}

/* --- guards --------------------------------------------------------------------------------- */

struct eg_meta bed_meta(const char *name, const struct bed_container *container)
{
	struct eg_meta meta = {
		.netns_cookie = container->netns.cookie,
		.netns_inode = container->netns.inode,
		.netns_dev = container->netns.dev,
	};

	snprintf(meta.name, sizeof(meta.name), "%s", name);
	return meta;
}

void bed_cover(struct eg_guard *guard, const struct bed_container *container)
{
	struct eg_error error = {};

	if (eg_guard_cover_device(guard, &container->netns, &container->link, &error) ||
	    eg_guard_cover_peer(guard, &container->link, &container->peer, &error))
		fail_msg("%s", error.message);
}

struct eg_guard *bed_guard(struct eg_pins *pins, const char *name,
			   const struct bed_container *container, const char *text,
			   const struct eg_image *image)
{
	struct eg_meta meta = bed_meta(name, container);
	struct eg_guard *guard = NULL;
	struct eg_error error = {};

	if (eg_guard_create(pins, &meta, text, image, &guard, &error))
		fail_msg("%s", error.message);
	bed_cover(guard, container);
	if (eg_guard_commit(guard, &error))
		fail_msg("%s", error.message);
	guard->grace_ns = 0;
	return guard;
}

struct looking {
	__u32 ifindex;
	enum eg_direction direction;
};

bool bed_has_tcx(void)
{
	static struct eg_features features;
	static bool probed;

	if (!probed)
		eg_features_probe(&features);
	probed = true;
	return features.tcx;
}

/* Asked of tc, not of our own reader of filters. */
static int count_filters(const struct looking *looking)
{
	char command[128];
	FILE *lines;
	int n = 0;

	snprintf(command, sizeof(command),
		 "tc filter show dev $(ip -o link | sed -n 's/^%u: \\([^:@]*\\).*/\\1/p') %s",
		 looking->ifindex, looking->direction == EG_EGRESS ? "egress" : "ingress");
	lines = popen(command, "r");
	assert_non_null(lines);
	for (char line[1024]; fgets(line, sizeof(line), lines);)
		n += strstr(line, " bpf ") && strstr(line, "handle");
	assert_int_equal(pclose(lines), 0);
	return n;
}

static int count_inside(void *argument)
{
	const struct looking *looking = argument;
	__u32 ids[EG_TCX_MAX];

	return bed_has_tcx() ? eg_tcx_query(looking->ifindex, looking->direction, ids, NULL)
			     : count_filters(looking);
}

bool bed_device_covered(const struct bed_container *container)
{
	struct looking looking = {container->link.ifindex, EG_EGRESS};

	return eg_netns_run(&container->netns, count_inside, &looking) > 0;
}

bool bed_peer_covered(const struct bed_container *container)
{
	struct looking looking = {container->peer.ifindex, EG_INGRESS};

	return eg_netns_run(&container->peer.netns, count_inside, &looking) > 0;
}

static __u32 map_id(int fd)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	return info.id;
}

struct bed_ids bed_ids(const struct eg_guard *guard)
{
	struct bed_ids ids = {};

	for (enum eg_map map = 0; map < EG_MAP_COUNT; map++)
		ids.maps[map] = map_id(guard->maps[map]);
	memcpy(ids.progs, guard->prog_ids, sizeof(ids.progs));
	return ids;
}

static bool is_gone(int fd)
{
	if (fd < 0)
		return errno == ENOENT;
	close(fd);
	return false;
}

static bool all_gone(const struct bed_ids *ids)
{
	for (enum eg_map map = 0; map < EG_MAP_COUNT; map++)
		if (!is_gone(bpf_map_get_fd_by_id(ids->maps[map])))
			return false;
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++)
		if (!is_gone(bpf_prog_get_fd_by_id(ids->progs[prog])))
			return false;
	return true;
}

bool bed_ids_gone(const struct bed_ids *ids)
{
	for (int i = 0; i < 200; i++) {
		if (all_gone(ids))
			return true;
		usleep(10 * 1000);
	}
	return false;
}

/* --- the pin directory ---------------------------------------------------------------------- */

bool bed_has(const char *entry)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", pin_dir, entry);
	return access(path, F_OK) == 0;
}

size_t bed_entries(void)
{
	EG_AUTO_CLOSEDIR DIR *dir = opendir(pin_dir);
	struct dirent *entry;
	size_t n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	return n;
}
