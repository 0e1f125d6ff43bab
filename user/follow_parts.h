/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of follow.h share among themselves. */
#ifndef EG_FOLLOW_PARTS_H
#define EG_FOLLOW_PARTS_H

#include <net/if.h>

#include "cover.h"
#include "follow.h"
#include "net/witness.h"

#define EG_FOLLOW_NS_PER_MS 1000000ULL

#define EG_FOLLOW_LOCK_MS 5000 /* where it is waited for */
/* A userspace WireGuard answers some time after its interface is there. */
#define EG_FOLLOW_TUN_PATIENCE_NS (10000 * EG_FOLLOW_NS_PER_MS)

struct eg_follow_known {
	__u32 ifindex;
	char name[IFNAMSIZ];
	bool tunnel;
};

struct eg_follow {
	char *pin_dir; /* NULL: the usual place */
	char *name;
	eg_follow_say say;
	void *argument;

	struct eg_guard *guard;
	struct eg_netns netns; /* fd -1: let go of */
	struct eg_witness witness;
	struct eg_hold *hold; /* NULL: let go of, or not to be had here */
	bool cannot_hold;     /* this kernel */
	bool changed;         /* interfaces or addresses, since somebody asked */
	bool claimed;         /* the guard's meta names our hold */
	struct eg_policy *policy;
	__u64 policy_generation;

	struct eg_cover_pass pass;
	struct eg_follow_known *known;
	size_t n_known;
	char complaint[EG_ERROR_LEN]; /* the last one, to say it once */

	int epoll_fd, monitor_fd, timer_fd, inotify_fd;
	__u64 tick_ns, look_ns; /* when to do it */
	__u64 space_until_ns;   /* no look before */
	__u64 names_ns;         /* when to see whether names may be asked for */
	bool names_open;
	__u64 tun_until_ns;
};

/* What happens, and what fails: that is tried again and again, and said once. */
__attribute__((format(printf, 3, 4))) void eg_follow_tell(struct eg_follow *follow, bool warning,
							  const char *format, ...);
void eg_follow_complain(struct eg_follow *follow, const struct eg_error *error);

/* When the next look is to be; and what else there is to wait for. */
void eg_follow_look_at(struct eg_follow *follow, __u64 at_ns);
int eg_follow_wait_for(struct eg_follow *follow, int fd);

/* --- the guard -------------------------------------------------------------------------------- */

int eg_follow_open_guard(struct eg_follow *follow, struct eg_guard **ret_guard,
			 struct eg_error *error);
int eg_follow_lock(struct eg_follow *follow, unsigned int wait_ms, struct eg_pins *pins,
		   struct eg_error *error);
/* Under the lock. The guard's meta then says which holder is the newest. */
int eg_follow_claim(struct eg_follow *follow, __u32 id);
/* Whoever ends in order is not missed afterwards. */
void eg_follow_disclaim(struct eg_follow *follow);
/* The new one is in force before the old one ends. */
int eg_follow_take_hold(struct eg_follow *follow, struct eg_error *error);
int eg_follow_read_policy(struct eg_follow *follow, struct eg_error *error);
bool eg_follow_is_our_namespace(const struct eg_follow *follow, const struct eg_meta *meta);
enum eg_follow_end eg_follow_check_guard(struct eg_follow *follow);

/* --- its namespace ---------------------------------------------------------------------------- */

int eg_follow_find_namespace(struct eg_follow *follow, struct eg_error *error);
int eg_follow_start_monitor(struct eg_follow *follow);
/* Where that is not possible, the next tick tells. */
void eg_follow_watch_witness(struct eg_follow *follow);
/* All by which we keep the namespace alive. */
void eg_follow_let_go(struct eg_follow *follow);
/* Whether something else still keeps it; whether it has ended. */
void eg_follow_check_witness(struct eg_follow *follow);
enum eg_follow_end eg_follow_check_gone(struct eg_follow *follow);

/* --- its interfaces --------------------------------------------------------------------------- */

int eg_follow_look(struct eg_follow *follow, unsigned int lock_wait_ms, struct eg_error *error);
/* Does not wait for others; what fails is said, and tried again. */
void eg_follow_look_again(struct eg_follow *follow);

#endif /* EG_FOLLOW_PARTS_H */
