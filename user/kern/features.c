// SPDX-License-Identifier: GPL-2.0
/*
 * Each probe tries the thing itself: a tiny program, a tiny map, a hook on the loopback device of a
 * namespace that lives as long as the probe. Nothing of the machine's own is touched.
 */
#include "kern/features.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/genetlink.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <mntent.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "kern/internal.h"
#include "net/netlink.h"
#include "util/cleanup.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* From linux/bpf.h of 6.4, and from linux/capability.h of 5.8. */
#define PROG_TYPE_NETFILTER 32
#define ATTACH_NETFILTER    45
#define CAP_NUMBER_PERFMON  38
#define CAP_NUMBER_BPF      39

#define LOOPBACK_IFINDEX 1

/* --- tiny programs --------------------------------------------------------------------------- */

static const struct bpf_insn move_zero = {.code = BPF_ALU64 | BPF_MOV | BPF_K};
static const struct bpf_insn leave = {.code = BPF_JMP | BPF_EXIT};

static int load(enum bpf_prog_type type, int attach, const struct bpf_insn *insns, size_t n)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts);
	int fd;

	opts.expected_attach_type = (enum bpf_attach_type)attach;
	fd = bpf_prog_load(type, "eg_probe", "GPL", insns, n, &opts);
	return fd < 0 ? -errno : fd;
}

static int load_empty(void)
{
	const struct bpf_insn insns[] = {move_zero, leave};

	return load(BPF_PROG_TYPE_SCHED_CLS, 0, insns, 2);
}

/* `return 0` after reading eight bytes of kernel memory to the stack. */
static int load_kernel_reader(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 3, .src_reg = 1},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 1, .src_reg = 10},
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 1, .imm = -8},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 8},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_probe_read_kernel},
		move_zero,
		leave,
	};

	return load(BPF_PROG_TYPE_SCHED_CLS, 0, insns, sizeof(insns) / sizeof(*insns));
}

static int load_netfilter(void)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = NF_ACCEPT},
		leave,
	};

	return load((enum bpf_prog_type)PROG_TYPE_NETFILTER, ATTACH_NETFILTER, insns, 2);
}

static bool is_jited(int prog_fd)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(prog_fd, &info, &len) == 0 && info.jited_prog_len > 0;
}

static bool works(int fd)
{
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* --- hooks, in a namespace of their own ------------------------------------------------------ */

static bool attaches_netfilter(void)
{
	EG_AUTO_CLOSE int prog_fd = load_netfilter();
	struct eg_netfilter_link attr = {
		.prog_fd = (__u32)prog_fd,
		.attach_type = ATTACH_NETFILTER,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_POST_ROUTING,
		.priority = 1,
	};

	return prog_fd >= 0 && works((int)syscall(__NR_bpf, BPF_LINK_CREATE, &attr, sizeof(attr)));
}

static bool attaches_clsact(int prog_fd)
{
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;

	return eg_netns_open_self(&netns) == 0 &&
	       eg_clsact_attach(&netns, prog_fd, LOOPBACK_IFINDEX, EG_EGRESS) == 0;
}

/* Without attaching anything: the first and the last link of a machine cost it milliseconds. */
static bool has_tcx(void)
{
	__u32 ids[EG_TCX_MAX];

	return eg_tcx_query(LOOPBACK_IFINDEX, EG_EGRESS, ids, NULL) >= 0;
}

static void *probe_clsact(void *argument)
{
	struct eg_features *features = argument;
	EG_AUTO_CLOSE int prog_fd = -1;

	if (unshare(CLONE_NEWNET) < 0)
		return NULL;
	prog_fd = load_empty();
	features->clsact = prog_fd >= 0 && attaches_clsact(prog_fd);
	return NULL;
}

static void *probe_hooks(void *argument)
{
	struct eg_features *features = argument;
	EG_AUTO_CLOSE int prog_fd = -1;

	if (unshare(CLONE_NEWNET) < 0)
		return NULL;
	prog_fd = load_empty();
	if (prog_fd < 0)
		return NULL;
	features->tcx = works(eg_tcx_attach(prog_fd, LOOPBACK_IFINDEX, EG_EGRESS));
	features->clsact = attaches_clsact(prog_fd);
	features->netfilter_link = attaches_netfilter();
	return NULL;
}

static void probe_apart(void *(*probe)(void *), struct eg_features *features)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, probe, features) == 0)
		pthread_join(thread, NULL);
}

/* --- maps ------------------------------------------------------------------------------------ */

static bool makes_ringbuf_maps(void)
{
	EG_AUTO_CLOSE int ring_fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "eg_probe", 0, 0,
						   (__u32)sysconf(_SC_PAGESIZE), NULL);
	LIBBPF_OPTS(bpf_map_create_opts, opts);

	opts.inner_map_fd = (__u32)ring_fd;
	return ring_fd >= 0 &&
	       works(bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "eg_probe", 4, 4, 1, &opts));
}

/* --- surroundings ---------------------------------------------------------------------------- */

static bool tells_netns_cookie(void)
{
	EG_AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	__u64 cookie;
	socklen_t len = sizeof(cookie);

	return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) == 0;
}

static void find_cgroup2(struct eg_features *features)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *mount;

	if (!mounts)
		return;
	while (!features->cgroup2 && (mount = getmntent(mounts))) {
		if (strcmp(mount->mnt_type, "cgroup2") != 0 ||
		    strlen(mount->mnt_dir) >= sizeof(features->cgroup2_path))
			continue;
		strcpy(features->cgroup2_path, mount->mnt_dir);
		features->cgroup2 = true;
	}
	endmntent(mounts);
}

static int see_family(const struct nlmsghdr *message, void *argument)
{
	(void)message;
	*(bool *)argument = true;
	return 0;
}

/* Asking for the family loads the module where there is one. */
static bool has_wireguard(void)
{
	EG_AUTO_NETLINK struct eg_netlink *netlink = NULL;
	EG_AUTO_NETNS struct eg_netns netns = EG_NETNS_NONE;
	char buffer[1024] = {};
	struct nlmsghdr *request = eg_netlink_request(buffer, GENL_ID_CTRL, 0);
	struct genlmsghdr *genl = mnl_nlmsg_put_extra_header(request, sizeof(*genl));
	bool found = false;

	genl->cmd = CTRL_CMD_GETFAMILY;
	genl->version = 1;
	mnl_attr_put_strz(request, CTRL_ATTR_FAMILY_NAME, "wireguard");
	return eg_netns_open_self(&netns) == 0 &&
	       eg_netlink_open(&netns, NETLINK_GENERIC, &netlink) == 0 &&
	       eg_netlink_ask(netlink, request, see_family, NULL, &found) == 0 && found;
}

static void find_missing_caps(struct eg_features *features)
{
	static const struct {
		unsigned int number;
		const char *name;
	} needed[] = {
		{CAP_NUMBER_BPF, "CAP_BPF"},         {CAP_NET_ADMIN, "CAP_NET_ADMIN"},
		{CAP_NUMBER_PERFMON, "CAP_PERFMON"}, {CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
		{CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
	};
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
	size_t len = 0;

	if (syscall(SYS_capget, &header, data) < 0)
		return;
	for (size_t i = 0; i < sizeof(needed) / sizeof(*needed); i++)
		if (!(data[needed[i].number / 32].effective & 1U << needed[i].number % 32))
			len += (size_t)snprintf(features->missing_caps + len,
						sizeof(features->missing_caps) - len, "%s%s",
						len ? " " : "", needed[i].name);
}

/* --- all of it ------------------------------------------------------------------------------- */

static void probe_programs(struct eg_features *features)
{
	EG_AUTO_CLOSE int prog_fd = load_empty();

	features->bpf = prog_fd >= 0;
	features->bpf_errno = prog_fd < 0 ? -prog_fd : 0;
	if (!features->bpf)
		return;
	features->jit = is_jited(prog_fd);
	features->ringbuf_maps = makes_ringbuf_maps();
}

static void probe_needed(struct eg_features *features)
{
	struct utsname name;

	eg_libbpf_capture();
	if (uname(&name) == 0)
		snprintf(features->kernel, sizeof(features->kernel), "%s", name.release);
	find_missing_caps(features);
	probe_programs(features);
}

void eg_features_probe(struct eg_features *ret_features)
{
	struct eg_features features = {};

	probe_needed(&features);
	features.btf = access("/sys/kernel/btf/vmlinux", R_OK) == 0;
	features.checksum_test = features.bpf && features.btf && works(load_kernel_reader());
	if (features.bpf)
		probe_apart(probe_hooks, &features);
	features.netns_cookie = tells_netns_cookie();
	features.bpffs = eg_bpffs_lasts();
	find_cgroup2(&features);
	features.wireguard = has_wireguard();
	*ret_features = features;
}

bool eg_features_has_netfilter(void)
{
	return works(load_netfilter());
}

static bool misses(const struct eg_features *features, const char *cap)
{
	return strstr(features->missing_caps, cap) != NULL;
}

int eg_features_check(struct eg_error *error)
{
	struct eg_features features = {};

	probe_needed(&features);
	features.tcx = features.bpf && has_tcx();
	if (features.bpf && !features.tcx)
		probe_apart(probe_clsact, &features);
	/* CAP_SYS_ADMIN stands for the two that 5.8 took out of it; SYS_PTRACE and PERFMON are
	 * needed by parts that say so themselves. */
	if (misses(&features, "CAP_NET_ADMIN") || misses(&features, "CAP_SYS_ADMIN"))
		return eg_error_set(error, EG_EXIT_FAILED, EPERM,
				    "this needs root, or these capabilities: %s",
				    features.missing_caps);
	if (!features.bpf && features.bpf_errno == ENOSYS)
		return eg_error_set(error, EG_EXIT_KERNEL, ENOSYS,
				    "this kernel (%s) was built without bpf() (CONFIG_BPF_SYSCALL)",
				    features.kernel);
	if (!features.bpf && (features.bpf_errno == EPERM || features.bpf_errno == EACCES))
		return eg_error_set(error, EG_EXIT_FAILED, EPERM,
				    "the kernel does not let this process use bpf(): run as root "
				    "outside of containers, or in one with CAP_BPF, CAP_NET_ADMIN "
				    "and CAP_SYS_ADMIN");
	if (!features.bpf)
		return eg_error_set(error, EG_EXIT_KERNEL, features.bpf_errno,
				    "this kernel (%s) loads no tc programs: %s", features.kernel,
				    strerror(features.bpf_errno));
	if (!features.ringbuf_maps)
		return eg_error_set(error, EG_EXIT_KERNEL, ENOTSUP,
				    "this kernel (%s) has no BPF ring buffers: 5.10 or later is "
				    "needed",
				    features.kernel);
	if (!features.tcx && !features.clsact)
		return eg_error_set(error, EG_EXIT_KERNEL, ENOTSUP,
				    "this kernel (%s) has neither tcx (6.6 or later) nor clsact "
				    "(CONFIG_NET_CLS_ACT, CONFIG_NET_CLS_BPF, sch_ingress)",
				    features.kernel);
	return 0;
}
