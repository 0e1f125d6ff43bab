// SPDX-License-Identifier: GPL-2.0
/*
 * Empty programs at the hooks that a guard uses: what the hooks cost by themselves.
 *
 * usage: empties HOOK...
 *
 * HOOK: device:NETNS:INTERFACE  tcx egress there
 *       peer:NETNS:INTERFACE    tcx ingress there
 *       netns:NETNS             netfilter, post-routing, both families
 *       cgroup:DIRECTORY        sock_create, connect4 and connect6 of a cgroup
 *
 * Says `ready`, and takes them away when its standard input ends. NETNS is a name in /run/netns.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kern/internal.h"

/* Numbers of newer kernels (kern/hold.c). */
#define PROG_TYPE_NETFILTER 32
#define ATTACH_NETFILTER    45

static void give_up(const char *what)
{
	fprintf(stderr, "empties: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int load(enum bpf_prog_type type, enum bpf_attach_type attach, int result)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = result},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach);
	int fd = bpf_prog_load(type, "empty", "GPL", insns, 2, &opts);

	if (fd < 0)
		give_up("an empty program");
	return fd;
}

static void enter(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		give_up(path);
	close(fd);
}

static void at_interface(const char *netns, const char *interface, enum eg_direction direction)
{
	int prog = load(BPF_PROG_TYPE_SCHED_CLS, (enum bpf_attach_type)0, -1);
	int link;

	enter(netns);
	link = eg_tcx_attach(prog, if_nametoindex(interface), direction);
	if (link < 0) {
		errno = -link;
		give_up(interface);
	}
}

static void at_netfilter(const char *netns)
{
	struct {
		__u32 prog_fd, target, attach_type, flags;
		__u32 pf, hooknum;
		__s32 priority;
		__u32 netfilter_flags;
	} attr = {
		.attach_type = ATTACH_NETFILTER,
		.hooknum = NF_INET_POST_ROUTING,
		.priority = INT_MAX - 1,
	};

	attr.prog_fd = (__u32)load((enum bpf_prog_type)PROG_TYPE_NETFILTER,
				   (enum bpf_attach_type)ATTACH_NETFILTER, NF_ACCEPT);
	enter(netns);
	for (int i = 0; i < 2; i++) {
		attr.pf = i ? NFPROTO_IPV6 : NFPROTO_IPV4;
		if (syscall(__NR_bpf, BPF_LINK_CREATE, &attr, sizeof(attr)) < 0)
			give_up("post-routing");
	}
}

static void at_cgroup(const char *directory)
{
	static const struct {
		enum bpf_prog_type type;
		enum bpf_attach_type attach;
	} hooks[] = {
		{BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE},
		{BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT},
		{BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT},
	};
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		give_up(directory);
	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++)
		if (bpf_link_create(load(hooks[i].type, hooks[i].attach, 1), fd, hooks[i].attach,
				    NULL) < 0)
			give_up(directory);
}

int main(int argc, char **argv)
{
	char byte;

	for (int i = 1; i < argc; i++) {
		char *hook = strtok(argv[i], ":"), *place = strtok(NULL, ":");
		const char *interface = strtok(NULL, ":");

		errno = EINVAL;
		if (!hook || !place)
			give_up("the head of bench/empties.c has the hooks");
		if (strcmp(hook, "device") == 0 && interface)
			at_interface(place, interface, EG_EGRESS);
		else if (strcmp(hook, "peer") == 0 && interface)
			at_interface(place, interface, EG_INGRESS);
		else if (strcmp(hook, "netns") == 0)
			at_netfilter(place);
		else if (strcmp(hook, "cgroup") == 0)
			at_cgroup(place);
		else
			give_up(hook);
	}
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	return 0;
}
