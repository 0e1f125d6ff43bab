/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The layer `socket`: programs at the root of the cgroup v2 hierarchy, one set for all guards of a
 * pin directory, pinned in _shared/ there:
 *
 *   shared_meta   version
 *   cookies       cookie of a network namespace -> index of its guard
 *   calls_HOOK    index -> the guard's own program for that hook
 *   prog_HOOK     the program at the root, which looks up the one and calls the other
 *   link_HOOK     what keeps it there
 *
 * A guard's programs, and its storage of owners, are the guard's own (bpf/socket.h). So nothing is
 * shared but the way to them: a guard is replaced by new entries in calls_HOOK, and what is lost of
 * the set costs a guard the names of new sockets until attach mends it, never what it holds back.
 */
#ifndef EG_KERN_SHARED_H
#define EG_KERN_SHARED_H

#include "kern/internal.h"

#define EG_SHARED_DIR "_shared"

enum eg_hook {
#define X(id, name, always) EG_HOOK_##id,
	EG_SHARED_HOOKS(X)
#undef X
	EG_HOOK_COUNT
};

struct eg_hook_info {
	enum bpf_attach_type attach;
	enum eg_prog prog; /* the guard's */
	bool always;
	const char *function;
	const char *calls;
	const char *prog_pin;
	const char *link_pin;
};
extern const struct eg_hook_info eg_hooks[EG_HOOK_COUNT];

/* The set's maps: those that are not the calls of a hook. */
#define EG_SHARED_META    "shared_meta"
#define EG_SHARED_COOKIES "cookies"

struct eg_shared_set {
	int root_fd;
	const char *root_path;
	int dir_fd; /* of _shared */
	int meta_fd;
	int cookies_fd;
	int calls_fd[EG_HOOK_COUNT];
	__u32 prog_ids[EG_HOOK_COUNT];
	__u32 has; /* a bit for each hook that this kernel has */
};

#define EG_SHARED_SET_NONE                                                                         \
	((struct eg_shared_set){.root_fd = -1,                                                     \
				.dir_fd = -1,                                                      \
				.meta_fd = -1,                                                     \
				.cookies_fd = -1,                                                  \
				.calls_fd = {-1, -1, -1, -1}})
_Static_assert(EG_HOOK_COUNT == 4, "EG_SHARED_SET_NONE has no descriptor of any hook");

static inline bool eg_shared_has(const struct eg_shared_set *set, enum eg_hook hook)
{
	return set->has >> hook & 1;
}

void eg_shared_close(struct eg_shared_set *set);

/* Says that it cannot do `what` there, and returns `err`. */
int eg_shared_failed(const struct eg_shared_set *set, int err, const char *what,
		     struct eg_error *error);

/* --- what is pinned (shared_pins.c) ----------------------------------------------------------- */

/* -ENOENT: there is none. -EBADF: it is not what we pinned there. */
int eg_shared_open_dir(int root_fd);
int eg_shared_open_cookies(int dir_fd);
int eg_shared_open_calls(int dir_fd, enum eg_hook hook);
/* Whether that is what one of those came back with. */
bool eg_shared_is_missing(int err);

/* 0: all of it is there and in force. `ret_missing`: what is not. */
int eg_shared_open(struct eg_shared_set *set, const char **ret_missing);

/* The links first: what they call must be there as long as they are. */
int eg_shared_remove_pins(int dir_fd);

/* What `cookies` holds. */
struct eg_shared_entries {
	struct eg_shared_place {
		__u64 cookie;
		struct eg_shared_entry value;
	} * all;
	size_t n;
};

void eg_shared_entries_free(struct eg_shared_entries *entries);
int eg_shared_entries(int cookies_fd, struct eg_shared_entries *ret_entries);
/* NULL: there is none. */
const struct eg_shared_place *eg_shared_find_cookie(const struct eg_shared_entries *entries,
						    __u64 cookie);
const struct eg_shared_place *eg_shared_find_prog(const struct eg_shared_entries *entries,
						  __u32 prog_id);

/* --- making the set (shared_make.c) ----------------------------------------------------------- */

/* What this machine cannot do, as opposed to what failed this time. -EOPNOTSUPP. */
int eg_shared_cannot(struct eg_error *error, const char *why);

/* Opens the set, and makes what is not there. */
int eg_shared_have(struct eg_shared_set *set, struct eg_error *error);

/* The cookie of a namespace where user space cannot read it (before Linux 5.14): by a program that
 * is there for this moment. */
int eg_shared_ask_cookie(const struct eg_shared_set *set, const struct eg_netns *netns,
			 __u64 *ret_cookie, struct eg_error *error);

#endif /* EG_KERN_SHARED_H */
