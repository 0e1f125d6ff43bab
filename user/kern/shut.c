// SPDX-License-Identifier: GPL-2.0
#include "kern/shut.h"

#include <errno.h>
#include <linux/pkt_cls.h>
#include <string.h>

#include "kern/internal.h"
#include "net/link.h"
#include "util/cleanup.h"

#define NAME "egress_shut"

/* r0 = TC_ACT_SHOT; exit */
static int load(void)
{
	static const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_SHOT},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, NAME, "GPL", insns,
			       sizeof(insns) / sizeof(insns[0]), NULL);

	return fd < 0 ? -errno : fd;
}

/* A program's own name, "" where it cannot be told. */
static int open_named(__u32 prog_id, char name[BPF_OBJ_NAME_LEN])
{
	EG_AUTO_CLOSE int fd = bpf_prog_get_fd_by_id(prog_id);
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	*name = '\0';
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	memcpy(name, info.name, BPF_OBJ_NAME_LEN);
	return EG_TAKE_FD(fd);
}

/* Opens the program if it shuts, this process's or one before. -ENOENT: it does not. */
static int open_shutting(__u32 prog_id)
{
	char name[BPF_OBJ_NAME_LEN];
	EG_AUTO_CLOSE int fd = open_named(prog_id, name);

	return fd < 0 || strcmp(name, NAME) == 0 ? EG_TAKE_FD(fd) : -ENOENT;
}

static bool shuts(__u32 prog_id)
{
	EG_AUTO_CLOSE int fd = open_shutting(prog_id);

	return fd >= 0;
}

static bool guards(__u32 prog_id)
{
	char name[BPF_OBJ_NAME_LEN];
	EG_AUTO_CLOSE int fd = open_named(prog_id, name);

	return fd >= 0 && (strcmp(name, eg_progs[EG_PROG_DEVICE].function) == 0 ||
			   strcmp(name, eg_progs[EG_PROG_DEVICE_L3].function) == 0);
}

/* Something done to each interface that the namespace has now, loopback excepted, inside of it. */
struct change {
	const struct eg_netns *netns;
	int (*change)(struct change *change, __u32 ifindex);
	int prog_fd;
	struct eg_shut_count count;
};

/* Returns the last error, after all have had their turn. */
static int change_links(void *argument)
{
	struct change *change = argument;
	EG_AUTO_FREE struct eg_link *links = NULL;
	size_t n = 0;
	int result = eg_links_get(change->netns, &links, &n);

	for (size_t i = 0; i < n; i++) {
		int err = links[i].loopback ? 0 : change->change(change, links[i].ifindex);

		if (err && err != -ENODEV) /* gone meanwhile */
			result = err;
	}
	return result;
}

/* --- shut ----------------------------------------------------------------------------------- */

static int shut(struct change *change, __u32 ifindex)
{
	__u32 ids[EG_TCX_MAX], link_ids[EG_TCX_MAX];
	bool tcx = !eg_clsact_forced();
	int n = tcx ? eg_tcx_query(ifindex, EG_EGRESS, ids, link_ids) : -EINVAL, err;

	if (n == -EINVAL) {
		tcx = false;
		n = eg_clsact_progs(change->netns, ifindex, EG_EGRESS, ids);
	}
	if (n < 0)
		return n;
	/* Whatever comes behind the first one may be kept from running by that. */
	if (n > 0 && shuts(ids[0])) {
		change->count.shut++;
		return 0;
	}
	if (n > 0 && guards(ids[0])) {
		change->count.guarded++;
		return 0;
	}
	err = tcx ? eg_tcx_attach_prog(change->prog_fd, ifindex, EG_EGRESS)
		  : eg_clsact_attach(change->netns, change->prog_fd, ifindex, EG_EGRESS);
	change->count.shut += err == 0;
	return err;
}

int eg_shut(const struct eg_netns *netns, struct eg_shut_count *ret_count)
{
	EG_AUTO_CLOSE int prog_fd = load();
	struct change change = {.netns = netns, .change = shut, .prog_fd = prog_fd};
	int result = prog_fd < 0 ? prog_fd : eg_netns_run(netns, change_links, &change);

	*ret_count = change.count;
	return result;
}

/* --- open again ----------------------------------------------------------------------------- */

static int open_tcx(__u32 ifindex)
{
	__u32 ids[EG_TCX_MAX], link_ids[EG_TCX_MAX];
	int n = eg_tcx_query(ifindex, EG_EGRESS, ids, link_ids), result = 0;

	for (int i = 0; i < n; i++) {
		EG_AUTO_CLOSE int fd = open_shutting(ids[i]);
		int err = fd < 0 ? 0 : eg_tcx_detach_prog(fd, ifindex, EG_EGRESS);

		if (err)
			result = err;
	}
	return n == -EINVAL ? 0 : n < 0 ? n : result;
}

static int open_clsact(const struct eg_netns *netns, __u32 ifindex)
{
	__u32 ids[EG_TCX_MAX];
	int n = eg_clsact_progs(netns, ifindex, EG_EGRESS, ids), result = n < 0 ? n : 0;

	for (int i = 0; i < n; i++) {
		int err = shuts(ids[i]) ? eg_clsact_detach(netns, ifindex, &ids[i], 1) : 0;

		if (err)
			result = err;
	}
	return result;
}

static int open_again(struct change *change, __u32 ifindex)
{
	int tcx = open_tcx(ifindex), clsact = open_clsact(change->netns, ifindex);

	return tcx ? tcx : clsact;
}

int eg_shut_open(const struct eg_netns *netns)
{
	struct change change = {.netns = netns, .change = open_again, .prog_fd = -1};

	return eg_netns_run(netns, change_links, &change);
}
