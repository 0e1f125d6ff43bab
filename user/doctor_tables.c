// SPDX-License-Identifier: GPL-2.0
/* The iptables rules of a namespace, of both backends. What there is to read is asked of the
 * kernel; the reading is done by this machine's iptables-save, run inside the namespace. */
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "doctor.h"
#include "net/netlink.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/text.h"

#define SAVE_MAX (1U << 19)
#define SAVE_MS  3000

/* --- running one ------------------------------------------------------------------------------ */

static const char *const program_dirs[] = {"/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin"};

/* All that it prints; -ETIMEDOUT, -EFBIG. */
static int read_output(int fd, struct eg_text *output)
{
	long until = eg_monotonic_ms() + SAVE_MS;

	for (;;) {
		struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
		char buffer[4096];
		long left = until - eg_monotonic_ms();
		ssize_t n;

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&poll_fd, 1, (int)left) <= 0)
			continue;
		n = read(fd, buffer, sizeof(buffer));
		if (n == 0)
			return output->failed ? -ENOMEM : 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			eg_text_add(output, buffer, (size_t)n);
		if (output->len > SAVE_MAX)
			return -EFBIG;
	}
}

struct saving {
	const char *program; /* "iptables-nft-save" */
	struct eg_text output;
};

static int spawn(const char *program, int out, pid_t *ret_pid)
{
	char name[32];
	char where[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", language[] = "LC_ALL=C";
	char *arguments[] = {name, NULL};
	char *environment[] = {where, language, NULL};
	posix_spawn_file_actions_t actions;
	int result = ENOENT;

	snprintf(name, sizeof(name), "%s", program);
	if (posix_spawn_file_actions_init(&actions) != 0)
		return -ENOMEM;
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	for (size_t i = 0; result == ENOENT && i < sizeof(program_dirs) / sizeof(program_dirs[0]);
	     i++) {
		char path[64];

		snprintf(path, sizeof(path), "%s/%s", program_dirs[i], program);
		result = posix_spawn(ret_pid, path, &actions, NULL, arguments, environment);
	}
	posix_spawn_file_actions_destroy(&actions);
	return -result;
}

/* On a thread inside the namespace: what it starts is there too. */
static int save(void *argument)
{
	struct saving *saving = argument;
	int pipe_fds[2], status = 0, result;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	result = spawn(saving->program, pipe_fds[1], &pid);
	close(pipe_fds[1]);
	if (result == 0) {
		result = read_output(pipe_fds[0], &saving->output);
		if (result < 0)
			kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (result == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
			result = -EIO;
	}
	close(pipe_fds[0]);
	return result;
}

/* `there`: the kernel says that there are such rules. */
static int read_saved(const struct eg_netns *netns, const char *program, bool there,
		      char **ret_text, struct eg_doctor_tables *tables)
{
	struct saving saving = {.program = program};
	int result = there ? eg_netns_run(netns, save, &saving) : 0;
	char *text = eg_text_take(&saving.output);

	if (!text || result == -ENOMEM) {
		free(text);
		return -ENOMEM;
	}
	if (result < 0) {
		tables->known = false;
		eg_doctor_say(tables->why,
			      result == -ENOENT
				      ? "there are rules, and %s, which would show them, is not "
					"installed here"
				      : "there are rules, and %s could not show them",
			      program);
	}
	*ret_text = text;
	return 0;
}

/* --- what there is ---------------------------------------------------------------------------- */

struct presence {
	bool legacy4, legacy6;
	bool nft4, nft6;
	bool others;
	int nft_result;
};

/* The tables of iptables that can hold a packet back. */
static const char *const holding[] = {"filter", "mangle", "raw", "security"};
#define N_HOLDING (sizeof(holding) / sizeof(holding[0]))

static bool is_holding(const char *name)
{
	for (size_t i = 0; i < N_HOLDING; i++) {
		if (strcmp(name, holding[i]) == 0)
			return true;
	}
	return false;
}

static bool lists_holding(const char *path)
{
	EG_AUTO_FREE char *text = NULL;
	char *rest = NULL;
	size_t len;

	if (eg_file_read(AT_FDCWD, path, 4096, &text, &len) < 0)
		return false;
	for (char *name = strtok_r(text, "\n", &rest); name; name = strtok_r(NULL, "\n", &rest)) {
		if (is_holding(name))
			return true;
	}
	return false;
}

static int find_legacy(void *argument)
{
	struct presence *presence = argument;

	presence->legacy4 = lists_holding("/proc/thread-self/net/ip_tables_names");
	presence->legacy6 = lists_holding("/proc/thread-self/net/ip6_tables_names");
	return 0;
}

/* The one of iptables-nft that rules no packet out; those that wg-quick makes against spoofing; and
 * of families that never see what leaves by IP. */
static bool says_nothing(__u8 family, const char *name)
{
	if (family == NFPROTO_ARP || family == NFPROTO_BRIDGE ||
	    strncmp(name, "wg-quick-", strlen("wg-quick-")) == 0)
		return true;
	return strcmp(name, "nat") == 0 && (family == NFPROTO_IPV4 || family == NFPROTO_IPV6);
}

static int take_table(const struct nlmsghdr *message, void *argument)
{
	const struct nfgenmsg *header = mnl_nlmsg_get_payload(message);
	struct presence *presence = argument;
	const struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(*header))
		return -EBADMSG;
	mnl_attr_for_each(attr, message, sizeof(*header))
	{
		const char *name = mnl_attr_get_payload(attr);

		if (mnl_attr_get_type(attr) != NFTA_TABLE_NAME ||
		    mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0)
			continue;
		if (header->nfgen_family == NFPROTO_IPV4 && is_holding(name))
			presence->nft4 = true;
		else if (header->nfgen_family == NFPROTO_IPV6 && is_holding(name))
			presence->nft6 = true;
		else if (!says_nothing(header->nfgen_family, name))
			presence->others = true;
	}
	return 0;
}

static void find_nft(const struct eg_netns *netns, struct presence *presence)
{
	EG_AUTO_NETLINK struct eg_netlink *netlink = NULL;
	char buffer[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *request;
	struct nfgenmsg *header;
	int result = eg_netlink_open(netns, NETLINK_NETFILTER, &netlink);

	if (result == 0) {
		request = eg_netlink_request(buffer, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE,
					     NLM_F_DUMP);
		header = mnl_nlmsg_put_extra_header(request, sizeof(*header));
		*header = (struct nfgenmsg){.nfgen_family = NFPROTO_UNSPEC};
		result = eg_netlink_ask(netlink, request, take_table, NULL, presence);
	}
	/* a kernel without nftables has no rules of its */
	if (result != -EPROTONOSUPPORT && result != -EOPNOTSUPP && result != -EINVAL)
		presence->nft_result = result;
}

/* --- both backends ---------------------------------------------------------------------------- */

static int read_backend(const struct eg_netns *netns, enum eg_doctor_backend backend, bool has4,
			bool has6, struct eg_doctor_facts *facts)
{
	EG_AUTO_FREE char *text4 = NULL;
	EG_AUTO_FREE char *text6 = NULL;
	struct eg_doctor_tables *tables = &facts->tables[backend];
	struct eg_doctor_tables unread = {.known = true};
	char program[32];
	int result;

	snprintf(program, sizeof(program), "iptables-%s-save", eg_doctor_backend_names[backend]);
	result = read_saved(netns, program, has4, &text4, &unread);
	snprintf(program, sizeof(program), "ip6tables-%s-save", eg_doctor_backend_names[backend]);
	if (result == 0)
		result = read_saved(netns, program, has6, &text6, &unread);
	if (result < 0)
		return result;
	if (!unread.known) {
		*tables = unread;
		return 0;
	}
	result = eg_doctor_tables_read(text4, text6, tables);
	if (result == -ENOMEM || result == 0)
		return result;
	eg_doctor_say(tables->why, "what is there cannot be read: %s", strerror(-result));
	return 0;
}

int eg_doctor_collect_tables(const struct eg_target *target, struct eg_doctor_facts *facts)
{
	struct presence presence = {};
	int result = eg_netns_run(&target->netns, find_legacy, &presence);

	if (result == 0)
		result = read_backend(&target->netns, EG_DOCTOR_LEGACY, presence.legacy4,
				      presence.legacy6, facts);
	if (result < 0)
		return result;
	find_nft(&target->netns, &presence);
	if (presence.nft_result < 0) {
		eg_doctor_say(facts->tables[EG_DOCTOR_NFT].why, "the kernel does not say: %s",
			      strerror(-presence.nft_result));
		return 0;
	}
	result = read_backend(&target->netns, EG_DOCTOR_NFT, presence.nft4, presence.nft6, facts);
	facts->tables[EG_DOCTOR_NFT].others = presence.others;
	return result;
}
