/* SPDX-License-Identifier: GPL-2.0 */
/* What this kernel and this process can do, found by trying, not by version numbers. */
#ifndef EG_FEATURES_H
#define EG_FEATURES_H

#include <stdbool.h>

#include "util/error.h"

struct eg_features {
	char kernel[128]; /* uname -r */
	bool bpf;         /* bpf() works for us */
	int bpf_errno;    /* why not */
	bool jit;
	bool btf;           /* /sys/kernel/btf/vmlinux */
	bool checksum_test; /* row 4's second half can be enforced */
	bool tcx;           /* else clsact */
	bool clsact;
	bool netfilter_link; /* for the `netns` layer */
	bool ringbuf_maps;
	bool netns_cookie; /* SO_NETNS_COOKIE */
	bool bpffs;        /* mounted at /sys/fs/bpf, as PID 1 sees it */
	bool cgroup2;
	char cgroup2_path[256];
	bool wireguard;         /* the kernel's own */
	char missing_caps[256]; /* "CAP_BPF CAP_NET_ADMIN", empty: none missing */
};

/* Tries each. What cannot be tried, for a missing privilege say, is not there. */
void eg_features_probe(struct eg_features *ret_features);

/* BPF programs at netfilter hooks, without trying one at a hook. */
bool eg_features_has_netfilter(void);

/* Whether `device` and `peer` can be enforced here, else what is missing and what to do (exit
 * status EG_EXIT_FAILED for missing privileges, EG_EXIT_KERNEL for a kernel that can't). */
int eg_features_check(struct eg_error *error);

#endif /* EG_FEATURES_H */
