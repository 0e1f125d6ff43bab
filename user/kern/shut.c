// SPDX-License-Identifier: GPL-2.0
#include "kern/shut.h"

#include <errno.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <unistd.h>

#include "kern/internal.h"
#include "net/link.h"
#include "util/cleanup.h"

struct eg_shut {
	int prog_fd;
	__u32 prog_id;
	size_t n;
	int *links;
	bool is_whole;
};

struct shutting {
	struct eg_shut *shut;
	const struct eg_link *links;
	size_t n_links;
	int failed; /* one of them; the others are shut all the same */
};

/* r0 = TC_ACT_SHOT; exit */
static int load(void)
{
	static const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_SHOT},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "egress_shut", "GPL", insns,
			       sizeof(insns) / sizeof(insns[0]), NULL);

	return fd < 0 ? -errno : fd;
}

static int add_link(struct eg_shut *shut, __u32 ifindex)
{
	int *links = reallocarray(shut->links, shut->n + 1, sizeof(*links)), fd;

	if (!links)
		return -ENOMEM;
	shut->links = links;
	fd = eg_tcx_attach(shut->prog_fd, ifindex, EG_EGRESS);
	if (fd < 0)
		return fd;
	links[shut->n++] = fd;
	return 0;
}

static int shut_links(void *argument)
{
	struct shutting *shutting = argument;
	struct eg_shut *shut = shutting->shut;

	shut->is_whole = true;
	for (size_t i = 0; i < shutting->n_links; i++) {
		const struct eg_link *link = &shutting->links[i];
		__u32 ids[EG_TCX_MAX], link_ids[EG_TCX_MAX];
		int n;

		if (link->loopback)
			continue;
		n = eg_tcx_query(link->ifindex, EG_EGRESS, ids, link_ids);
		if (n == 0)
			n = add_link(shut, link->ifindex);
		else if (n > 0 && ids[0] != shut->prog_id)
			shut->is_whole = false;
		if (n >= 0 || n == -ENODEV) /* gone meanwhile */
			continue;
		shut->is_whole = false;
		shutting->failed = n;
	}
	return 0;
}

int eg_shut_new(struct eg_shut **ret_shut)
{
	struct eg_shut *shut = calloc(1, sizeof(*shut));
	int result;

	if (!shut)
		return -ENOMEM;
	result = shut->prog_fd = load();
	if (result >= 0)
		shut->prog_id = eg_prog_id(shut->prog_fd);
	if (result >= 0 && !shut->prog_id)
		result = -EIO;
	if (result < 0) {
		eg_shut_free(shut);
		return result;
	}
	*ret_shut = shut;
	return 0;
}

/* Whoever is inside may have them come and go. */
static void drop_gone(struct eg_shut *shut)
{
	size_t kept = 0;

	for (size_t i = 0; i < shut->n; i++) {
		struct eg_tcx_link link = {};
		__u32 len = sizeof(link);

		if (bpf_obj_get_info_by_fd(shut->links[i], &link, &len) == 0 && !link.ifindex)
			close(shut->links[i]);
		else
			shut->links[kept++] = shut->links[i];
	}
	shut->n = kept;
}

int eg_shut_look(struct eg_shut *shut, const struct eg_netns *netns)
{
	EG_AUTO_FREE struct eg_link *links = NULL;
	struct shutting shutting = {.shut = shut};
	int result = eg_links_get(netns, &links, &shutting.n_links);

	drop_gone(shut);
	shutting.links = links;
	if (result == 0)
		result = eg_netns_run(netns, shut_links, &shutting);
	if (result < 0)
		shut->is_whole = false;
	return result < 0 ? result : shutting.failed;
}

size_t eg_shut_count(const struct eg_shut *shut)
{
	return shut->n;
}

bool eg_shut_is_whole(const struct eg_shut *shut)
{
	return shut->is_whole;
}

void eg_shut_free(struct eg_shut *shut)
{
	if (!shut)
		return;
	for (size_t i = 0; i < shut->n; i++)
		close(shut->links[i]);
	eg_cleanup_close(&shut->prog_fd);
	free(shut->links);
	free(shut);
}
