/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whose a cgroup is: its path, and the container's id and name. Asking a container engine can take
 * seconds, so a thread of its own asks, and whoever shows events waits only a moment for it.
 */
#ifndef EG_OWNERS_H
#define EG_OWNERS_H

#include "eg_abi.h"

/* NULL or empty: not known. */
struct eg_owner {
	char *cgroup;
	char *container;
	char container_id[65];
};

struct eg_owners;
int eg_owners_new(struct eg_owners **ret_owners);
/* Waits a moment at most for an engine that does not answer. The process then ends without the exit
 * handlers of libraries that are still in use. */
void eg_owners_free(struct eg_owners *owners);
static inline void eg_owners_freep(struct eg_owners **owners)
{
	eg_owners_free(*owners);
}
#define EG_AUTO_OWNERS __attribute__((cleanup(eg_owners_freep)))

/*
 * Waits at most `wait_ms` for what is not known yet, and all calls together at most that long in
 * each second, so that unknown cgroups can't hold a stream up. NULL: not known (yet). Valid until
 * the next call; for one thread.
 */
const struct eg_owner *eg_owners_get(struct eg_owners *owners, __u64 cgroup_id,
				     unsigned int wait_ms);

#endif /* EG_OWNERS_H */
