// SPDX-License-Identifier: GPL-2.0
#include "net/cgroup_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/sched.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/cgroup.h"
#include "net/netlink.h"
#include "util/cleanup.h"
#include "util/file.h"

/* kernfs numbers its root so; a cgroup's id is its number there. */
#define ROOT_ID 1

/* From linux/inet_diag.h of 5.8. */
#define DIAG_CGROUP_ID 21

/* A frozen cgroup keeps the process, too. */
#define CHILD_MS 1000

#define PROC_CGROUP_MAX (1U << 20)

/* --- whose a socket is --------------------------------------------------------------------------
 */

struct asking {
	__u32 cookie[2];
	__u64 cgroup_id; /* 0: not told */
};

static int take_answer(const struct nlmsghdr *message, void *argument)
{
	const struct inet_diag_msg *diag = mnl_nlmsg_get_payload(message);
	struct asking *asking = argument;
	const struct nlattr *attr;

	if (message->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(*diag) ||
	    memcmp(diag->id.idiag_cookie, asking->cookie, sizeof(asking->cookie)) != 0)
		return 0;
	mnl_attr_for_each(attr, message, sizeof(*diag))
	{
		if (mnl_attr_get_type(attr) == DIAG_CGROUP_ID &&
		    mnl_attr_get_payload_len(attr) >= sizeof(__u64))
			asking->cgroup_id = mnl_attr_get_u64(attr);
	}
	return 0;
}

/* Of a UDP socket that is bound, in our own namespace. */
static int cgroup_of(int fd, __u64 *ret_id)
{
	EG_AUTO_NETLINK struct eg_netlink *netlink = NULL;
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *request = eg_netlink_request(buffer, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP);
	struct inet_diag_req_v2 *what = mnl_nlmsg_put_extra_header(request, sizeof(*what));
	struct sockaddr_in name = {};
	struct asking asking = {};
	__u64 cookie = 0;
	socklen_t name_len = sizeof(name), cookie_len = sizeof(cookie);
	int result;

	if (getsockname(fd, (struct sockaddr *)&name, &name_len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &cookie_len) < 0)
		return -errno;
	asking.cookie[0] = (__u32)cookie;
	asking.cookie[1] = (__u32)(cookie >> 32);
	*what = (struct inet_diag_req_v2){.sdiag_family = AF_INET,
					  .sdiag_protocol = IPPROTO_UDP,
					  .idiag_states = ~0U,
					  .id = {.idiag_sport = name.sin_port}};
	result = eg_netns_open_path("/proc/thread-self/ns/net", &netns, NULL);
	if (result == 0)
		result = eg_netlink_open(&netns, NETLINK_SOCK_DIAG, &netlink);
	if (result == 0)
		result = eg_netlink_ask(netlink, request, take_answer, NULL, &asking);
	if (result < 0)
		return result;
	*ret_id = asking.cgroup_id;
	return asking.cgroup_id ? 0 : -ENODATA;
}

/* Calls nothing but the kernel: it runs in a copy of a process that may have threads. */
static int make_socket(void)
{
	const struct sockaddr_in any = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (const struct sockaddr *)&any, sizeof(any)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* --- made in another cgroup ---------------------------------------------------------------------
 */

/* From linux/sched.h, of which older ones know no cgroup. */
struct clone_arguments {
	__u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	__u64 set_tid, set_tid_size, cgroup;
};
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

static int wait_for(int read_fd, int *ret_fd)
{
	struct pollfd waiting = {.fd = read_fd, .events = POLLIN};

	if (poll(&waiting, 1, CHILD_MS) != 1)
		return -ETIMEDOUT;
	return read(read_fd, ret_fd, sizeof(*ret_fd)) == sizeof(*ret_fd) && *ret_fd >= 0 ? 0 : -EIO;
}

/* A process with our own table of descriptors, so that its socket stays when it ends. */
static int socket_made_in(int cgroup_fd, int *ret_fd)
{
	struct clone_arguments arguments = {.flags = CLONE_FILES | CLONE_INTO_CGROUP,
					    .cgroup = (__u64)cgroup_fd};
	EG_AUTO_CLOSE int read_fd = -1;
	EG_AUTO_CLOSE int write_fd = -1;
	int ends[2], fd = -1, result;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	read_fd = ends[0];
	write_fd = ends[1];
	pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		fd = make_socket();
		_exit(write(write_fd, &fd, sizeof(fd)) == sizeof(fd) ? 0 : 1);
	}
	result = wait_for(read_fd, &fd);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
	if (result < 0)
		return result;
	*ret_fd = fd;
	return 0;
}

static int ask_in(int cgroup_fd, __u64 *ret_id)
{
	EG_AUTO_CLOSE int fd = -1;
	int result = socket_made_in(cgroup_fd, &fd);

	return result < 0 ? result : cgroup_of(fd, ret_id);
}

/* Where its controllers are passed on to those beneath, no process may be in a cgroup itself. */
static int ask_elsewhere(__u64 *ret_id)
{
	EG_AUTO_CLOSEDIR DIR *dir = NULL;
	EG_AUTO_CLOSE int root_fd = -1;
	const struct dirent *entry;
	int result = eg_cgroup_root_open(&root_fd);

	if (result < 0)
		return result;
	dir = fdopendir(root_fd);
	if (!dir)
		return -errno;
	(void)EG_TAKE_FD(root_fd);
	result = -EBUSY;
	while (result < 0 && (entry = readdir(dir))) {
		EG_AUTO_CLOSE int fd = -1;

		if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
			continue;
		fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			result = ask_in(fd, ret_id);
	}
	return result;
}

/* --- this process --------------------------------------------------------------------------------
 */

/* Whether it is in the root of cgroup v2 itself, as far as it can see. */
static bool are_we_in_root(void)
{
	EG_AUTO_FREE char *text = NULL;
	const char *line;
	size_t len;

	if (eg_file_read(AT_FDCWD, "/proc/self/cgroup", PROC_CGROUP_MAX, &text, &len) < 0)
		return true;
	line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
	if (!line)
		return true;
	line = strchr(line, '/');
	return !line || line[1] == '\n' || line[1] == '\0';
}

int eg_cgroup_keeps_sockets(const struct eg_cgroup *cgroup)
{
	EG_AUTO_CLOSE int fd = make_socket();
	__u64 id = 0;
	int result = fd < 0 ? -errno : cgroup_of(fd, &id);

	if (result < 0)
		return result;
	if (id != ROOT_ID)
		return 1;
	if (!are_we_in_root())
		return 0;
	result = ask_in(cgroup->fd, &id);
	if (result == -EBUSY || result == -EOPNOTSUPP || result == -ETIMEDOUT)
		result = ask_elsewhere(&id);
	return result < 0 ? result : id != ROOT_ID;
}
