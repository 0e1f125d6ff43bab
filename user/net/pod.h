/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a kubelet's containers are called. containerd writes down of each what it was asked for, in
 * a file that the machine's root alone may write; so nobody has to be asked.
 */
#ifndef EG_POD_H
#define EG_POD_H

#include <stddef.h>

/* "NAMESPACE/POD/CONTAINER" of an OCI runtime's config.json, "NAMESPACE/POD" of a pod's sandbox. As
 * the file has it: escape before printing. -ENOENT: it is no kubelet's. */
int eg_pod_parse(const char *config, size_t len, char **ret_name);

/* The same of the container with that id (64 digits) in containerd's place, or k3s's. -ENOENT too
 * where there is none of that id. *ret_name is the caller's to free. */
int eg_pod_name(const char *container_id, char **ret_name);

#endif /* EG_POD_H */
