// SPDX-License-Identifier: GPL-2.0
#include "capabilities.h"

#include <cap-ng.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>

static const unsigned int needed[] = {
	CAP_BPF,          /* programs and maps */
	CAP_PERFMON,      /* programs that read kernel memory by BTF */
	CAP_NET_ADMIN,    /* to attach them; WireGuard's state by netlink */
	CAP_NET_RAW,      /* packet sockets, where it is asked which way Docker's resolver takes */
	CAP_SYS_ADMIN,    /* setns(); bpffs; programs at the root of the cgroups */
	CAP_SYS_PTRACE,   /* /proc/PID/ns and /proc/PID/root of others */
	CAP_SYS_RESOURCE, /* locked memory, where kernels before 5.11 count maps as such */
	/* A container's sockets and its wg0.conf belong to whatever user it runs as. */
	CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, /* open_by_handle_at(): which cgroup an id is */
};

static bool is_needed(unsigned int capability)
{
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (needed[i] == capability)
			return true;
	return false;
}

int eg_capabilities_drop(void)
{
	bool bounded;

	if (capng_get_caps_process() < 0)
		return -EPERM;
	bounded = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	for (unsigned int capability = 0; capability <= (unsigned int)CAP_LAST_CAP; capability++) {
		if (is_needed(capability))
			continue;
		if (capng_update(CAPNG_DROP,
				 CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_INHERITABLE |
					 CAPNG_BOUNDING_SET,
				 capability) < 0)
			return -EINVAL;
	}
	/* Without CAP_SETPCAP, which a service manager may have kept from us, the bounding set
	 * stays as that one made it. */
	if (bounded && capng_apply(CAPNG_SELECT_BOUNDS) < 0)
		return -EPERM;
	if (capng_apply(CAPNG_SELECT_CAPS) < 0)
		return -EPERM;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}
