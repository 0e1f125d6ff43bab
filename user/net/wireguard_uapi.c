// SPDX-License-Identifier: GPL-2.0
/*
 * Userspace WireGuard: the process that holds the tun device, and its UAPI socket
 * (wireguard.com/xplatform). All of it is a stranger's.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#include "net/parse.h"
#include "net/patience.h"
#include "net/process.h"
#include "net/wireguard_ways.h"
#include "policy/address.h"
#include "policy/array.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/file.h"

#ifndef TUNGETDEVNETNS
#define TUNGETDEVNETNS _IO('T', 227)
#endif

#define ANSWER_MAX  (1U << 20)
#define PATIENCE_MS 2000
#define RETRY_MS    10
#define FDINFO_MAX  4096

/* --- the answer ---------------------------------------------------------------------------- */

struct reader {
	struct eg_wg_device device;
	struct eg_wg_peer *peer; /* NULL: before the first */
	long error;
	bool ended; /* errno= was seen */
};

static int read_number(const char *value, unsigned long long max, unsigned long long *ret_number)
{
	unsigned long long number = 0;

	if (!*value)
		return -EBADMSG;
	for (; *value; value++) {
		if (*value < '0' || *value > '9' ||
		    __builtin_mul_overflow(number, 10ULL, &number) ||
		    __builtin_add_overflow(number, (unsigned long long)(*value - '0'), &number))
			return -EBADMSG;
	}
	if (number > max)
		return -EBADMSG;
	*ret_number = number;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static int start_peer(struct reader *reader, const char *value)
{
	struct eg_wg_device *device = &reader->device;
	struct eg_wg_peer peer = {0};
	int result;

	if (strlen(value) != 2 * sizeof(peer.public_key))
		return -EBADMSG;
	for (size_t i = 0; i < sizeof(peer.public_key); i++) {
		int high = hex_digit(value[2 * i]), low = hex_digit(value[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EBADMSG;
		peer.public_key[i] = (__u8)(high << 4 | low);
	}
	result = EG_ARRAY_ADD(device->peers, device->n_peers, peer);
	reader->peer = result < 0 ? NULL : &device->peers[device->n_peers - 1];
	return result;
}

/* ADDR:PORT or [ADDR%ZONE]:PORT. The zone says where a link-local address is, which is not ours to
 * follow. */
static int read_endpoint(struct reader *reader, const char *value)
{
	struct eg_endpoint endpoint = {0};
	char text[EG_ADDRESS_TEXT_LEN], *zone, *after;
	struct eg_error error;

	if (strlen(value) >= sizeof(text))
		return -EBADMSG;
	strcpy(text, value);
	zone = strchr(text, '%');
	after = zone ? strchr(zone, ']') : NULL;
	if (zone && !after)
		return -EBADMSG;
	if (zone)
		memmove(zone, after, strlen(after) + 1);
	if (eg_endpoint_parse(text, &endpoint, &error) < 0)
		return -EBADMSG;
	if (endpoint.family == EG_FAMILY_NONE) {
		free(endpoint.host);
		return -EBADMSG;
	}
	reader->peer->endpoint = endpoint;
	return 0;
}

static int read_allowed_ip(struct reader *reader, const char *value)
{
	const char *slash = strchr(value, '/');
	unsigned long long length;

	if (!slash || slash == value || read_number(slash + 1, 128, &length) < 0)
		return -EBADMSG;
	reader->peer->default_route |= !length;
	return 0;
}

static int read_peer_number(const char *value, __u64 *to)
{
	unsigned long long number;

	if (read_number(value, UINT64_MAX, &number) < 0)
		return -EBADMSG;
	*to = number;
	return 0;
}

static int read_listen_port(struct reader *reader, const char *value)
{
	unsigned long long number;

	if (read_number(value, UINT16_MAX, &number) < 0)
		return -EBADMSG;
	reader->device.listen_port = (__u16)number;
	return 0;
}

static int read_fwmark(struct reader *reader, const char *value)
{
	unsigned long long number;

	if (read_number(value, UINT32_MAX, &number) < 0)
		return -EBADMSG;
	reader->device.fwmark = (__u32)number;
	return 0;
}

static int read_last_handshake(struct reader *reader, const char *value)
{
	return read_peer_number(value, &reader->peer->last_handshake_s);
}

static int read_rx_bytes(struct reader *reader, const char *value)
{
	return read_peer_number(value, &reader->peer->rx_bytes);
}

static int read_tx_bytes(struct reader *reader, const char *value)
{
	return read_peer_number(value, &reader->peer->tx_bytes);
}

static int read_errno(struct reader *reader, const char *value)
{
	unsigned long long number;

	/* Implementations write it with either sign. */
	if (read_number(value + (*value == '-'), 4095, &number) < 0)
		return -EBADMSG;
	reader->error = (long)number;
	reader->ended = true;
	return 0;
}

/* Keys that are not here are passed over: keys of cryptography, and what the forks of WireGuard
 * add. */
static const struct {
	const char *name;
	bool of_peer;
	int (*read)(struct reader *reader, const char *value);
} keys[] = {
	{"public_key", false, start_peer},
	{"listen_port", false, read_listen_port},
	{"fwmark", false, read_fwmark},
	{"endpoint", true, read_endpoint},
	{"allowed_ip", true, read_allowed_ip},
	{"last_handshake_time_sec", true, read_last_handshake},
	{"rx_bytes", true, read_rx_bytes},
	{"tx_bytes", true, read_tx_bytes},
	{"errno", false, read_errno},
};

static bool is_key(const char *key, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((key[i] < 'a' || key[i] > 'z') && (key[i] < '0' || key[i] > '9') &&
		    key[i] != '_')
			return false;
	return len;
}

/* Longer than any value of theirs. */
#define VALUE_LEN 256

static int read_value(struct reader *reader, size_t key, const char *value, size_t len)
{
	char text[VALUE_LEN];

	if (len >= sizeof(text) || (keys[key].of_peer && !reader->peer))
		return -EBADMSG;
	memcpy(text, value, len);
	text[len] = '\0';
	return keys[key].read(reader, text);
}

static int read_line(struct reader *reader, const char *line, size_t len)
{
	const char *equals = memchr(line, '=', len);
	size_t key_len = equals ? (size_t)(equals - line) : 0;

	if (!is_key(line, key_len) || memchr(line, '\0', len) || reader->ended)
		return -EBADMSG;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strlen(keys[i].name) == key_len && memcmp(keys[i].name, line, key_len) == 0)
			return read_value(reader, i, equals + 1, len - key_len - 1);
	return 0;
}

static int read_answer(struct reader *reader, const char *text, size_t len)
{
	while (len) {
		const char *end = memchr(text, '\n', len);
		int result;

		if (!end)
			return -EBADMSG;
		if (end == text)
			break;
		result = read_line(reader, text, (size_t)(end - text));
		if (result < 0)
			return result;
		len -= (size_t)(end - text) + 1;
		text = end + 1;
	}
	/* The empty line was there, and nothing after it; errno= before it. */
	if (len != 1 || !reader->ended)
		return -EBADMSG;
	return reader->error ? -(int)reader->error : 0;
}

int eg_wg_uapi_parse(const char *text, size_t len, struct eg_wg_device *ret_device)
{
	struct reader reader = {0};
	int result = read_answer(&reader, text, len);

	if (result < 0) {
		eg_wg_device_free(&reader.device);
		return result;
	}
	*ret_device = reader.device;
	return 0;
}

/* --- the conversation ---------------------------------------------------------------------- */

/* 0, or -ETIMEDOUT. */
static int wait_for(int fd, short events, __s64 deadline)
{
	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = events};
		__s64 left = deadline - eg_monotonic_ms();
		int ready;

		if (left <= 0)
			return -ETIMEDOUT;
		ready = poll(&poll_fd, 1, (int)left);
		if (ready > 0)
			return 0;
		if (ready < 0 && errno != EINTR)
			return -errno;
	}
}

/* Through the descriptor, so that nobody can put another socket in its place meanwhile. */
static int connect_to(int path_fd, __s64 deadline)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	EG_AUTO_CLOSE int fd = -1;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d", path_fd);
	while (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};

		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		/* Its queue is full, and poll() cannot wait for that. */
		if (eg_monotonic_ms() >= deadline)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return EG_TAKE_FD(fd);
}

static int send_request(int fd, __s64 deadline)
{
	static const char request[] = "get=1\n\n";
	size_t len = strlen(request), sent = 0;

	while (sent < len) {
		ssize_t written = send(fd, request + sent, len - sent, MSG_NOSIGNAL);

		if (written > 0) {
			sent += (size_t)written;
		} else if (written < 0 && errno == EAGAIN) {
			int result = wait_for(fd, POLLOUT, deadline);

			if (result < 0)
				return result;
		} else if (written < 0 && errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/* Up to the empty line that ends an answer, or to its end. */
static int receive_answer(int fd, __s64 deadline, char *buffer, size_t *ret_len)
{
	size_t len = 0;

	for (;;) {
		ssize_t got;
		int result = wait_for(fd, POLLIN, deadline);

		if (result < 0)
			return result;
		got = recv(fd, buffer + len, ANSWER_MAX + 1 - len, 0);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got < 0)
			return -errno;
		len += (size_t)got;
		*ret_len = len;
		if (len > ANSWER_MAX)
			return -EFBIG;
		if (!got || (len >= 2 && buffer[len - 1] == '\n' && buffer[len - 2] == '\n'))
			return 0;
	}
}

static int converse(int path_fd, __s64 deadline, struct eg_wg_device *ret_device)
{
	EG_AUTO_CLOSE int fd = connect_to(path_fd, deadline);
	EG_AUTO_FREE char *answer = NULL;
	size_t len = 0;
	int result;

	if (fd < 0)
		return fd;
	/* In one piece from the start: growing would leave copies of keys behind. */
	answer = malloc(ANSWER_MAX + 1);
	if (!answer)
		return -ENOMEM;
	result = send_request(fd, deadline);
	if (!result)
		result = receive_answer(fd, deadline, answer, &len);
	if (!result)
		result = eg_wg_uapi_parse(answer, len, ret_device);
	explicit_bzero(answer, len);
	return result;
}

static int open_socket(int root_fd, const char *ifname)
{
	static const char *const directories[] = {"var/run/wireguard", "run/wireguard"};
	int result = -ENOENT;

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
		EG_AUTO_CLOSE int fd = -1;
		char path[64];
		struct stat stat;

		snprintf(path, sizeof(path), "%s/%s.sock", directories[i], ifname);
		fd = eg_open_in_root(root_fd, path, O_PATH);
		if (fd < 0) {
			result = fd;
			continue;
		}
		if (fstat(fd, &stat) < 0)
			return -errno;
		if (!S_ISSOCK(stat.st_mode)) {
			result = -ENOTSOCK;
			continue;
		}
		return EG_TAKE_FD(fd);
	}
	return result;
}

/* --- who holds the tun --------------------------------------------------------------------- */

/* Through a copy of the holder's own descriptor the kernel tells in which namespace the tun is:
 * another container may have one of the same name. */
static int check_holds(pid_t pid, int holder_fd, const struct eg_netns *netns)
{
	EG_AUTO_CLOSE int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
	EG_AUTO_CLOSE int tun_fd = -1, netns_fd = -1;
	struct stat stat;

	if (pid_fd < 0)
		return -errno;
	tun_fd = (int)syscall(SYS_pidfd_getfd, pid_fd, holder_fd, 0);
	if (tun_fd < 0)
		return -errno;
	netns_fd = ioctl(tun_fd, TUNGETDEVNETNS);
	if (netns_fd < 0 || fstat(netns_fd, &stat) < 0)
		return -errno;
	return stat.st_dev == netns->dev && stat.st_ino == netns->inode ? 0 : -ENOENT;
}

/* "iff:" in /proc/PID/fdinfo/FD: a descriptor of /dev/net/tun that has this interface. Reading it
 * touches no file of the process. */
static bool names_interface(int fdinfo_dir, const char *fd_name, const char *ifname)
{
	char wanted[IFNAMSIZ + 8];
	EG_AUTO_FREE char *text = NULL;
	size_t len;

	if (eg_file_read(fdinfo_dir, fd_name, FDINFO_MAX, &text, &len) < 0)
		return false;
	snprintf(wanted, sizeof(wanted), "\niff:\t%s\n", ifname);
	return strstr(text, wanted) != NULL;
}

/* Whether a descriptor can be of a tun at all: a device file is a path, and outside of the
 * namespace, where there are many to look at, the usual one. */
static bool may_be_tun(int fd_dir, const char *fd_name, bool usual_path)
{
	static const char usual[] = "/tun";
	char path[256];
	ssize_t len = readlinkat(fd_dir, fd_name, path, sizeof(path));
	ssize_t usual_len = (ssize_t)strlen(usual);

	if (len <= 0 || path[0] != '/')
		return false;
	return !usual_path ||
	       (len >= usual_len && memcmp(path + len - usual_len, usual, strlen(usual)) == 0);
}

struct holder {
	const struct eg_netns *netns;
	const char *ifname;
	bool inside; /* looking at the processes of the namespace, else at the others */
	struct eg_wg_device device;
	__s64 deadline; /* for all of them: many silent holders must not take longer than one */
	int result;     /* of the last holder that was asked */
};

/* The holder's descriptor of the tun, -1: the process has none. */
static int find_tun_fd(pid_t pid, int proc_fd, const struct holder *holder)
{
	EG_AUTO_CLOSE int fdinfo_fd = -1;
	EG_AUTO_CLOSEDIR DIR *fds = NULL;
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "%d/fdinfo", pid);
	fdinfo_fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%d/fd", pid);
	fd = openat(proc_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		fds = fdopendir(fd);
	if (!fds && fd >= 0)
		close(fd);
	while (fds && fdinfo_fd >= 0) {
		const struct dirent *entry = readdir(fds);

		if (!entry)
			break;
		if (entry->d_name[0] != '.' &&
		    may_be_tun(dirfd(fds), entry->d_name, !holder->inside) &&
		    names_interface(fdinfo_fd, entry->d_name, holder->ifname))
			return atoi(entry->d_name);
	}
	return -1;
}

static int ask_holder(pid_t pid, int proc_fd, struct holder *holder)
{
	EG_AUTO_CLOSE int root_fd = -1, socket_fd = -1;
	char path[32];

	snprintf(path, sizeof(path), "%d/root", pid);
	root_fd = openat(proc_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return -errno;
	socket_fd = open_socket(root_fd, holder->ifname);
	if (socket_fd < 0)
		return -ECONNREFUSED;
	return converse(socket_fd, holder->deadline, &holder->device);
}

static int try_process(pid_t pid, int proc_fd, void *argument)
{
	struct holder *holder = argument;
	int fd, result;

	if (eg_monotonic_ms() >= holder->deadline)
		return -ETIMEDOUT;
	if (eg_process_in_netns(pid, proc_fd, holder->netns) != holder->inside)
		return 0;
	fd = find_tun_fd(pid, proc_fd, holder);
	if (fd < 0)
		return 0;
	result = check_holds(pid, fd, holder->netns);
	/* Where the kernel does not let us ask, a process of the namespace is believed: it could
	 * hold a tun of that name elsewhere only by having come from there. */
	if (result < 0 && (result == -ENOENT || !holder->inside))
		return 0;
	holder->result = ask_holder(pid, proc_fd, holder);
	/* One that does not answer is as good as none: another one may hold it too. */
	return !holder->result;
}

int eg_wg_get_userspace(const struct eg_netns *netns, const struct eg_link *link,
			struct eg_wg_device *ret_device)
{
	__s64 began = eg_monotonic_ms();
	__s64 left = eg_patience_left(netns->inode, began);
	struct holder holder = {
		.netns = netns,
		.ifname = link->name,
		.inside = true,
		.deadline = began + (left < PATIENCE_MS ? left : PATIENCE_MS),
		.result = -ENOENT,
	};
	int result;

	if (!left)
		return -ETIMEDOUT;
	result = eg_processes_visit(try_process, &holder);
	if (!result) {
		holder.inside = false;
		result = eg_processes_visit(try_process, &holder);
	}
	eg_patience_take(netns->inode, eg_monotonic_ms(), eg_monotonic_ms() - began, result > 0);
	if (result == -ETIMEDOUT && holder.result != -ENOENT)
		return holder.result;
	if (result < 0)
		return result;
	if (!result)
		return holder.result;
	*ret_device = holder.device;
	return 0;
}
