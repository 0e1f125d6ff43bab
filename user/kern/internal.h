/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of kern/ share among themselves, and with tests/kern. */
#ifndef EG_KERN_INTERNAL_H
#define EG_KERN_INTERNAL_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kern/guard.h"

/* --- a guard's maps and programs ------------------------------------------------------------ */

/* X(identifier, name of the map and of its pin, type, key, value, "what it is, for a person") */
#define EG_MAPS(X)                                                                                 \
	X(META, meta, BPF_MAP_TYPE_ARRAY, __u32, struct eg_meta, "identity")                       \
	X(CONTROL, control, BPF_MAP_TYPE_ARRAY, __u32, struct eg_control, "control")               \
	X(CONFIG, config, BPF_MAP_TYPE_ARRAY, __u32, struct eg_config, "settings")                 \
	X(FRONT4, front4, BPF_MAP_TYPE_ARRAY, __u32, struct eg_front4, "IPv4 overview")            \
	X(FRONT6, front6, BPF_MAP_TYPE_ARRAY, __u32, struct eg_front6, "IPv6 overview")            \
	X(ADDR4, addr4, BPF_MAP_TYPE_LPM_TRIE, struct eg_addr4_key, struct eg_addr_value,          \
	  "IPv4 prefixes")                                                                         \
	X(ADDR6, addr6, BPF_MAP_TYPE_LPM_TRIE, struct eg_addr6_key, struct eg_addr_value,          \
	  "IPv6 prefixes")                                                                         \
	X(ENDPOINTS, endpoints, BPF_MAP_TYPE_HASH, struct eg_endpoint_key, __u8, "endpoints")      \
	X(RULES, rules, BPF_MAP_TYPE_HASH, struct eg_rule_key, __u8, "rules with a port")          \
	X(TUNNELS, tunnels, BPF_MAP_TYPE_ARRAY, __u32, struct eg_tunnels, "tunnels")               \
	X(BOOTSTRAP, bootstrap, BPF_MAP_TYPE_ARRAY, __u32, struct eg_bootstrap,                    \
	  "endpoints' names")                                                                      \
	X(WINDOW, window, BPF_MAP_TYPE_ARRAY, __u32, struct eg_bootstrap_window,                   \
	  "time for endpoints' names")                                                             \
	X(HOME, home, BPF_MAP_TYPE_ARRAY, __u32, struct eg_home, "namespace of the tunnel")        \
	X(COUNTERS, counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct eg_counter, "counters")     \
	X(ANSWERS, answers, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct eg_answers, "answers")        \
	X(RECENT, recent, BPF_MAP_TYPE_LRU_HASH, struct eg_recent_key, struct eg_recent_value,     \
	  "recent drops")                                                                          \
	X(VIEWERS, viewers, BPF_MAP_TYPE_ARRAY_OF_MAPS, __u32, __u32, "viewers")                   \
	X(VIEWER_BEATS, viewer_beats, BPF_MAP_TYPE_ARRAY, __u32, struct eg_viewer_beats,           \
	  "viewers' heartbeats")                                                                   \
	X(VIEWER_LOST, viewer_lost, BPF_MAP_TYPE_ARRAY, __u32, __u64, "events lost")               \
	X(PROBES, probes, BPF_MAP_TYPE_ARRAY, __u32, struct eg_probes, "sockets of `verify`")      \
	X(POLICY, policy, BPF_MAP_TYPE_HASH, struct eg_policy_key, struct eg_policy_chunk,         \
	  "text of the policy")                                                                    \
	X(OWNERS, owners, BPF_MAP_TYPE_SK_STORAGE, int, struct eg_maker, "owners of sockets")      \
	X(UNDERLAYS, underlays, BPF_MAP_TYPE_HASH, __u32, __u8, "underlays")

/* The identity comes first: whatever directory has pins of ours has it too. */
enum eg_map {
#define X(id, name, type, key, value, what) EG_MAP_##id,
	EG_MAPS(X)
#undef X
	EG_MAP_COUNT
};

struct eg_map_info {
	const char *name;
	enum bpf_map_type type;
	__u32 key_size;
	__u32 value_size;
	const char *what;
};
extern const struct eg_map_info eg_maps[EG_MAP_COUNT];

/* X(identifier, "function", "pin", when it is loaded, of which object): NOW with the guard; LATER
 * when the first interface needs it, which few guards have. Guards of earlier versions have the
 * pins of all. */
#define EG_PROGS(X)                                                                                \
	X(DEVICE, "eg_device", "prog_device", NOW, GUARD)                                          \
	X(DEVICE_L3, "eg_device_l3", "prog_device_l3", LATER, GUARD)                               \
	X(LO, "eg_lo", "prog_lo", LATER, GUARD)                                                    \
	X(PEER, "eg_peer", "prog_peer", NOW, GUARD)                                                \
	X(SOCK_CREATE, "eg_sock_create", "prog_sock_create", LATER, GUARD)                         \
	X(CONNECT4, "eg_connect4", "prog_connect4", LATER, GUARD)                                  \
	X(CONNECT6, "eg_connect6", "prog_connect6", LATER, GUARD)                                  \
	X(SETSOCKOPT, "eg_setsockopt", "prog_setsockopt", LATER, GUARD)                            \
	X(CGROUP, "eg_cgroup", "prog_cgroup", LATER, CGROUP)

enum eg_prog {
#define X(id, function, pin, when, object) EG_PROG_##id,
	EG_PROGS(X)
#undef X
	EG_PROG_COUNT
};

enum eg_prog_when {
	EG_PROG_LOADED_NOW,
	EG_PROG_LOADED_LATER,
};

/* A program can only be loaded together with those of its own object. */
enum eg_object {
	EG_OBJECT_GUARD,
	EG_OBJECT_CGROUP,
};

struct eg_prog_info {
	const char *function;
	const char *pin;
	enum eg_prog_when when;
	enum eg_object object;
};
extern const struct eg_prog_info eg_progs[EG_PROG_COUNT];

struct eg_guard {
	int root_fd; /* the directory of all guards */
	int dir_fd;  /* this guard's; stays the same through renames */
	char *root_path;
	char name[EG_NAME_MAX];
	bool made;      /* by eg_guard_create(), and not yet committed */
	bool other_abi; /* only meta's first two members mean anything; */
	bool readable;  /* unless all of it does, and `control` and `policy` (EG_ABI_READABLE) */
	__u64 grace_ns; /* EG_TRANSITION_NS, but in tests */
	/* -1: at rest, or none: to be had by eg_guard_map() and eg_guard_prog(). */
	int maps[EG_MAP_COUNT];
	int progs[EG_PROG_COUNT];
	__u32 map_ids[EG_MAP_COUNT];   /* 0: not asked yet, eg_guard_map_id() */
	__u32 prog_ids[EG_PROG_COUNT]; /* 0: not loaded yet */
	struct eg_meta meta;
};

/* Whether /sys/fs/bpf is a bpffs that PID 1 sees. */
bool eg_bpffs_lasts(void);

/* --- places: the directories in which a guard may be (pins.h) -------------------------------- */

enum eg_place {
	EG_PLACE_NAME,
	EG_PLACE_NEW,
	EG_PLACE_OLD,
	EG_PLACE_GONE,
	EG_PLACE_HALF, /* numbered: this is the first */
};
#define EG_HALVES_MAX 64

#define EG_PLACE_LEN 256
/* The directory's name of a guard's place (`number` is of EG_PLACE_HALF alone), and the other way
 * round: 0, or -errno where no guard can have it. */
int eg_place_name(char to[EG_PLACE_LEN], enum eg_place place, unsigned int number,
		  const char *name);
int eg_place_parse(const char *entry, enum eg_place *ret_place, char ret_name[EG_NAME_MAX]);

enum eg_dir_kind {
	EG_DIR_NONE,
	EG_DIR_EMPTY,
	EG_DIR_OURS,
	EG_DIR_OTHER_ABI,
};

/*
 * What an entry of the root is: an eg_dir_kind, and its directory where it is one (ret_dir_fd may
 * be NULL). What is not ours, and so not to be touched, is -EBADF; with a message, as all failures.
 */
int eg_dir_check(int root_fd, const char *root_path, const char *entry, int *ret_dir_fd,
		 struct eg_error *error);

/* Whether some link or filter hangs on this directory's pins. */
bool eg_dir_in_force(int dir_fd);

/* 1 or 0. */
int eg_place_exists(int root_fd, enum eg_place place, unsigned int number, const char *name);

/* Finishes a commit that was interrupted between its two renames. The functions of places need the
 * root's lock, but for eg_place_current(). */
int eg_place_settle(int root_fd, const char *root_path, const char *name, struct eg_error *error);

int eg_place_move(int root_fd, const char *root_path, const char *name, enum eg_place from,
		  enum eg_place to, unsigned int to_number, struct eg_error *error);
/* Moves _new-NAME to a free _half-NAME. */
int eg_place_aside(int root_fd, const char *root_path, const char *name, struct eg_error *error);

/* The directory that counts as the guard: NAME, or what an interrupted commit left of it. */
int eg_place_current(int root_fd, const char *name, char to[EG_PLACE_LEN]);

/* Takes a directory of ours away with all that hangs on it, by way of _gone-NAME, so that no other
 * place ever holds less than a whole guard. -ENOENT: there is none. */
int eg_place_remove(int root_fd, const char *root_path, enum eg_place place, unsigned int number,
		    const char *name, struct eg_error *error);

/* All of a guard's leftovers: half-made, replaced, half-removed. Returns how many. */
int eg_leftovers_remove(int root_fd, const char *root_path, const char *name,
			struct eg_error *error);

/* Calls `visit` for each entry's name until that returns non-zero, and returns that. */
int eg_dir_visit(int dir_fd, int (*visit)(const char *entry, void *argument), void *argument);

/* Pins are reached through the directory's descriptor: a rename in between must not lead into
 * another guard. */
#define EG_PIN_PATH_LEN 320
char *eg_pin_path(char to[EG_PIN_PATH_LEN], int dir_fd, const char *pin);

/* Opens a pin and makes sure that it is a map or program ("bpf-map", "bpf-prog"). */
int eg_pin_open(int dir_fd, const char *pin, const char *type);
int eg_pin_make(const struct eg_guard *guard, int fd, const char *pin, struct eg_error *error);
/* Detaches what a link_* pin holds, too. It is no failure that there is none. */
int eg_pin_unlink(int dir_fd, const char *pin);
__u32 eg_prog_id(int prog_fd);
/* The tag of its instructions, 0: not known. */
__u64 eg_prog_tag(int prog_fd);
/* Whether it uses a map: 1, 0 or -errno. */
int eg_prog_uses(int prog_fd, int map_fd);
/* The maps that a program of ours uses, a bit for each; `with_btf`: as it is compiled to read the
 * kernel's memory. */
__u32 eg_prog_maps(enum eg_prog prog, bool with_btf);
/* The same of the program of the layer `netns`, its own map left out. */
__u32 eg_hold_maps(void);

/* --- one guard ------------------------------------------------------------------------------- */

/* Without a name or a place; with both, and nothing opened yet. NULL: out of memory. */
struct eg_guard *eg_guard_blank(void);
struct eg_guard *eg_guard_new(const struct eg_pins *pins, const char *name);

/* -EINVAL: it is no name for a guard. */
int eg_guard_check_name(const char *name, struct eg_error *error);
/* From its map into guard->meta. */
int eg_guard_read_meta(struct eg_guard *guard);

/* --- descriptors ----------------------------------------------------------------------------- */

/* Whether it is such a map: 0, -EBADF, or another -errno; ret_id may be NULL. */
int eg_map_check(int fd, enum eg_map map, __u32 *ret_id);

/* For whoever opens a guard: whatever is pinned there is the guard's. 0 or -errno. */
int eg_guard_open_map(struct eg_guard *guard, enum eg_map map);
int eg_guard_open_prog(struct eg_guard *guard, enum eg_prog prog);

/* The guard's descriptor, opened again if it is at rest. -EBADF: something else is pinned in its
 * place by now, and is not taken for it; -ENOENT also of a program: it is not loaded yet. */
int eg_guard_map(struct eg_guard *guard, enum eg_map map);
int eg_guard_prog(struct eg_guard *guard, enum eg_prog prog);
/* The kernel's number of a map, at rest or not. 0: it does not tell. */
__u32 eg_guard_map_id(struct eg_guard *guard, enum eg_map map);

/* An element of a map: 0 or -errno. */
int eg_guard_lookup(struct eg_guard *guard, enum eg_map map, const void *key, void *ret_value);
int eg_guard_update(struct eg_guard *guard, enum eg_map map, const void *key, const void *value);
int eg_guard_delete(struct eg_guard *guard, enum eg_map map, const void *key);

/* Lets go of maps and programs, or of one program; what is pinned stays. */
void eg_guard_unload(struct eg_guard *guard);
void eg_guard_drop_prog(struct eg_guard *guard, enum eg_prog prog);

/* --- loading and filling -------------------------------------------------------------------- */

/* Loads the programs with tables that `image` and a text of `policy_len` bytes fit into; and those
 * of `wished`, a bit for each, unless that is more than goes at once. */
int eg_guard_load(struct eg_guard *guard, const struct eg_image *image, size_t policy_len,
		  unsigned int wished, struct eg_error *error);

/* The same for a guard that nobody has asked for yet: as most are, with BTF, and marked as a spare
 * (EG_META_SPARE), since its programs have no pins. 0 or -errno. */
int eg_guard_load_spare(struct eg_guard *guard, unsigned int wished);
/* Puts a spare's maps and programs (spare.h) into a guard that has none. Its tables are of the size
 * that few rules need. False: there is none. */
bool eg_spare_take(struct eg_guard *guard, unsigned int wished);
/* The program of the layer `netns` over exactly this guard's maps, if it came with them; NULL. */
struct eg_hold *eg_spare_take_hold(struct eg_guard *guard);

/* Loads the program of the layer `netns` over a guard's maps, or, without one, over small ones: its
 * descriptor and that of its own map. To be asked by any thread. 0 or -errno. */
int eg_hold_load(struct eg_guard *guard, int *ret_prog_fd, int *ret_settings_fd);

/* Makes sure that a program is loaded, over the guard's own maps, and pinned. It is the same kind
 * as the guard's others, with the checksum test or without, or it is none at all. */
int eg_guard_need(struct eg_guard *guard, enum eg_prog prog, struct eg_error *error);

/* The same for several, a bit for each. */
int eg_guard_need_some(struct eg_guard *guard, unsigned int progs, struct eg_error *error);

/* Whether it is this kernel that cannot load, and not this moment that does not let us. To be asked
 * at once. */
bool eg_load_is_lasting(int err);

/* Makes the tables of a slot that is not in use hold exactly this image. */
int eg_guard_fill(struct eg_guard *guard, __u32 slot, const struct eg_image *image,
		  struct eg_error *error);
/* 1 if a slot's tables hold exactly this image, 0 if not (*ret_what: which one), -errno. */
int eg_guard_check_tables(struct eg_guard *guard, __u32 slot, const struct eg_image *image,
			  const char **ret_what);
int eg_guard_fill_policy(struct eg_guard *guard, __u32 slot, const char *text, size_t len,
			 struct eg_error *error);
int eg_guard_write_meta(struct eg_guard *guard);

/* --- elements of a map ---------------------------------------------------------------------- */

/*
 * Calls `visit` with each key and value (in unspecified order) until that returns non-zero. In
 * batches where the kernel has them. Where programs write to the map at the same time, keys may be
 * given twice or left out.
 */
int eg_map_visit(int fd, size_t key_size, size_t value_size,
		 int (*visit)(const void *key, const void *value, void *argument), void *argument);

/* Whether a batch failed because the kernel has none for that map (an errno). */
bool eg_batch_is_unsupported(int err);

/* --- attaching ------------------------------------------------------------------------------ */

/* Which way a filter or link hangs on an interface. */
enum eg_direction {
	EG_EGRESS,
	EG_INGRESS
};

/* As if the kernel had no tcx, for tests; also by EGRESSGUARD_FORCE_CLSACT=1 in the environment. */
extern bool eg_force_clsact;
bool eg_clsact_forced(void);

/* In the calling thread's namespace. -EINVAL: this kernel has no tcx. */
int eg_tcx_attach(int prog_fd, __u32 ifindex, enum eg_direction direction);
/* Without a link: it stays until somebody takes the program away, or the interface. */
int eg_tcx_attach_prog(int prog_fd, __u32 ifindex, enum eg_direction direction);
int eg_tcx_detach_prog(int prog_fd, __u32 ifindex, enum eg_direction direction);
/* Ids of the programs in order, and of their links (NULL: not asked); returns how many. */
#define EG_TCX_MAX 64
int eg_tcx_query(__u32 ifindex, enum eg_direction direction, __u32 ids[EG_TCX_MAX],
		 __u32 link_ids[EG_TCX_MAX]);

/* The beginning of struct bpf_link_info (linux/bpf.h), with the part for tcx that older headers
 * lack. */
struct eg_tcx_link {
	__u32 type;
	__u32 id;
	__u32 prog_id;
	__u32 pad;
	__u32 ifindex; /* 0: the interface is gone */
	__u32 attach_type;
};

/* What a pinned link says of itself. */
int eg_tcx_ask_pin(int dir_fd, const char *pin, struct eg_tcx_link *ret_link);

/* The same for clsact; `netns` is the calling thread's. -EMEDIUMTYPE: another qdisc is in the way.
 */
int eg_clsact_attach(const struct eg_netns *netns, int prog_fd, __u32 ifindex,
		     enum eg_direction direction);
int eg_clsact_state(const struct eg_netns *netns, __u32 ifindex, enum eg_direction direction,
		    const __u32 *prog_ids, size_t n, enum eg_cover_state *ret_state);
/* Ids of the programs of an interface's BPF filters; returns how many. */
int eg_clsact_progs(const struct eg_netns *netns, __u32 ifindex, enum eg_direction direction,
		    __u32 ids[EG_TCX_MAX]);
/* Removes filters with these programs; ifindex 0: from every interface. */
int eg_clsact_detach(const struct eg_netns *netns, __u32 ifindex, const __u32 *prog_ids, size_t n);

/* Detaches the filters of a guard's directory, wherever they are; ifindex 0: of every underlay. */
int eg_filters_detach(int dir_fd, struct eg_error *error);

/* From linux/bpf.h of 6.4, which older headers lack. */
#define EG_PROG_TYPE_NETFILTER 32
#define EG_LINK_TYPE_NETFILTER 10
#define EG_ATTACH_NETFILTER    45

/* The beginning of union bpf_attr (linux/bpf.h) for BPF_LINK_CREATE, with the part for netfilter
 * that older headers lack. */
struct eg_netfilter_link {
	__u32 prog_fd;
	__u32 target_fd;
	__u32 attach_type;
	__u32 flags;
	__u32 pf;
	__u32 hooknum;
	__s32 priority;
	__u32 netfilter_flags;
};

/* --- at a cgroup ---------------------------------------------------------------------------- */

/* Whether the guard's cgroup is gone, and nothing of it is in force. */
bool eg_guard_cgroup_is_gone(struct eg_guard *guard);

/* --- what all guards share ------------------------------------------------------------------ */

/* The programs that a guard needs there, a bit for each; 0: the set is not made yet. */
unsigned int eg_shared_progs(int root_fd);

/* Takes the socket programs of a guard's directory out of the shared set. */
int eg_shared_forget(int root_fd, int dir_fd, const char *root_path, struct eg_error *error);

/* Takes the set away once it serves no guard. */
int eg_shared_end(int root_fd);

/* Forgets the programs of directories that are not there any more, then as above. */
int eg_shared_sweep(int root_fd);

/* --- libbpf's own words --------------------------------------------------------------------- */

/* Keeps libbpf from printing; the last line that says why is kept for this thread. */
void eg_libbpf_capture(void);
void eg_libbpf_forget(void);
const char *eg_libbpf_why(void);
bool eg_libbpf_verifier_refused(void);

#endif /* EG_KERN_INTERNAL_H */
