/* SPDX-License-Identifier: GPL-2.0 */
/* Interfaces' names as events need them: by layer and index, in the target's words. */
#ifndef EG_IFNAMES_H
#define EG_IFNAMES_H

#include "net/survey.h"

struct eg_ifname {
	enum eg_layer layer;
	__u32 ifindex;  /* in the namespace of the layer's hook */
	bool ambiguous; /* two peers, in different namespaces, have the same index */
	char name[IFNAMSIZ];
};

/* Starts as {.netns = what eg_netns_find() needs, .fd = -1}. Holds no descriptor: that would keep
 * the namespace alive. */
struct eg_ifnames {
	struct eg_netns netns;
	struct eg_ifname *names;
	size_t n;
	__u64 read_at_ns;
};
void eg_ifnames_free(struct eg_ifnames *ifnames);

/*
 * An interface's name in the target's namespace; for `peer`, that of the underlay it is the other
 * end of. Read anew when one is not known, at most once a second. NULL: not known. As it came: not
 * escaped.
 */
const char *eg_ifname_get(struct eg_ifnames *ifnames, enum eg_layer layer, __u32 ifindex,
			  __u64 now_ns);

#endif /* EG_IFNAMES_H */
