// SPDX-License-Identifier: GPL-2.0
/* tcx links by the bare system call: libbpf before 1.3 does not know them. */
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kern/internal.h"
#include "util/cleanup.h"

/* From linux/bpf.h of 6.6; the headers we build with may be older. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS  47
#define FLAG_BEFORE        (1U << 3)

/* The parts of union bpf_attr in use, in its layout. */
struct link_create {
	__u32 prog_fd;
	__u32 ifindex;
	__u32 attach_type;
	__u32 flags;
	__u32 relative_fd; /* 0 with FLAG_BEFORE: before all others */
	__u32 pad;
	__u64 expected_revision;
};

struct prog_attach {
	__u32 ifindex;
	__u32 prog_fd;
	__u32 attach_type;
	__u32 flags;
	__u32 replace_fd;
	__u32 relative_fd; /* as above */
	__u64 expected_revision;
};

struct prog_query {
	__u32 ifindex;
	__u32 attach_type;
	__u32 query_flags;
	__u32 attach_flags;
	__u64 prog_ids;
	__u32 count;
	__u32 pad;
	__u64 prog_attach_flags;
	__u64 link_ids;
	__u64 link_attach_flags;
	__u64 revision;
};

static int bpf_call(int command, void *attr, size_t size)
{
	int result = (int)syscall(__NR_bpf, command, attr, size);

	return result < 0 ? -errno : result;
}

static __u32 attach_type(enum eg_direction direction)
{
	return direction == EG_EGRESS ? ATTACH_TCX_EGRESS : ATTACH_TCX_INGRESS;
}

int eg_tcx_attach(int prog_fd, __u32 ifindex, enum eg_direction direction)
{
	struct link_create attr = {
		.prog_fd = (__u32)prog_fd,
		.ifindex = ifindex,
		.attach_type = attach_type(direction),
		.flags = FLAG_BEFORE,
	};

	return bpf_call(BPF_LINK_CREATE, &attr, sizeof(attr));
}

static int change_prog(int command, int prog_fd, __u32 ifindex, enum eg_direction direction,
		       __u32 flags)
{
	struct prog_attach attr = {
		.ifindex = ifindex,
		.prog_fd = (__u32)prog_fd,
		.attach_type = attach_type(direction),
		.flags = flags,
	};

	return bpf_call(command, &attr, sizeof(attr));
}

int eg_tcx_attach_prog(int prog_fd, __u32 ifindex, enum eg_direction direction)
{
	return change_prog(BPF_PROG_ATTACH, prog_fd, ifindex, direction, FLAG_BEFORE);
}

int eg_tcx_detach_prog(int prog_fd, __u32 ifindex, enum eg_direction direction)
{
	return change_prog(BPF_PROG_DETACH, prog_fd, ifindex, direction, 0);
}

int eg_tcx_query(__u32 ifindex, enum eg_direction direction, __u32 ids[EG_TCX_MAX],
		 __u32 link_ids[EG_TCX_MAX])
{
	struct prog_query attr = {
		.ifindex = ifindex,
		.attach_type = attach_type(direction),
		.prog_ids = (__u64)(unsigned long)ids,
		.link_ids = (__u64)(unsigned long)link_ids,
		.count = EG_TCX_MAX,
	};
	int err = bpf_call(BPF_PROG_QUERY, &attr, sizeof(attr));

	return err < 0 ? err : (int)attr.count;
}

int eg_tcx_ask_pin(int dir_fd, const char *pin, struct eg_tcx_link *ret_link)
{
	char path[EG_PIN_PATH_LEN];
	EG_AUTO_CLOSE int link_fd = bpf_obj_get(eg_pin_path(path, dir_fd, pin));
	__u32 len = sizeof(*ret_link);

	*ret_link = (struct eg_tcx_link){};
	if (link_fd < 0 || bpf_obj_get_info_by_fd(link_fd, ret_link, &len) < 0)
		return -errno;
	return 0;
}
