/* SPDX-License-Identifier: GPL-2.0 */
/* The network namespace of a container, which is not simply that of its process. */
#ifndef EG_CONTAINER_NETNS_H
#define EG_CONTAINER_NETNS_H

#include "net/netns.h"
#include "net/runtime.h"

/*
 * Opens the namespace that a running container's engine has made for it. Its first process can
 * leave that: whoever may make a user namespace (with Podman, any process) may make network
 * namespaces in it, go there, and leave other processes, or sockets, where it was.
 *
 * So what the engine keeps counts (NetworkSettings.SandboxKey), where root's engine says so of a
 * container that has its own network; else where the process is, unless that namespace can be of
 * the container's own making: then -EPERM. -ESRCH, with EG_EXIT_NO_SUCH: the process has ended.
 */
int eg_container_netns(const struct eg_container *container, struct eg_netns *ret_netns,
		       struct eg_error *error);

/* Whose network it shares, as the engine has it (an id); NULL: it has its own. */
const char *eg_container_shares_with(const struct eg_container *container);

#endif /* EG_CONTAINER_NETNS_H */
