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
	size_t n;
	int links[];
};

struct shutting {
	int prog_fd;
	const struct eg_link *links;
	size_t n_links;
	struct eg_shut *shut;
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

static int shut_links(void *argument)
{
	struct shutting *shutting = argument;

	for (size_t i = 0; i < shutting->n_links; i++) {
		const struct eg_link *link = &shutting->links[i];
		__u32 ids[EG_TCX_MAX], link_ids[EG_TCX_MAX];
		int fd;

		if (link->loopback)
			continue;
		fd = eg_tcx_query(link->ifindex, EG_EGRESS, ids, link_ids);
		if (fd > 0)
			continue;
		if (fd == 0)
			fd = eg_tcx_attach(shutting->prog_fd, link->ifindex, EG_EGRESS);
		if (fd < 0) {
			shutting->failed = fd;
			continue;
		}
		shutting->shut->links[shutting->shut->n++] = fd;
	}
	return 0;
}

int eg_shut(const struct eg_netns *netns, struct eg_shut **ret_shut, size_t *ret_n)
{
	EG_AUTO_FREE struct eg_link *links = NULL;
	EG_AUTO_CLOSE int prog_fd = load();
	struct shutting shutting = {.prog_fd = prog_fd};
	int result = prog_fd;

	if (result >= 0)
		result = eg_links_get(netns, &links, &shutting.n_links);
	if (result < 0)
		return result;
	shutting.links = links;
	shutting.shut = calloc(1, sizeof(*shutting.shut) + shutting.n_links * sizeof(int));
	if (!shutting.shut)
		return -ENOMEM;
	result = eg_netns_run(netns, shut_links, &shutting);
	*ret_n = shutting.shut->n;
	*ret_shut = shutting.shut;
	return result < 0 ? result : shutting.failed;
}

void eg_shut_free(struct eg_shut *shut)
{
	if (!shut)
		return;
	for (size_t i = 0; i < shut->n; i++)
		close(shut->links[i]);
	free(shut);
}
