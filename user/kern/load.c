// SPDX-License-Identifier: GPL-2.0
/* Opening, sizing and loading the programs and their maps. */
#include <errno.h>
#include <fcntl.h>
#include <linux/pkt_cls.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.skel.h"
#include "cgroup_nobtf.skel.h"
#include "eg_packet.h"
#include "guard.skel.h"
#include "guard_nobtf.skel.h"
#include "kern/internal.h"
#include "kern/relocated.h"
#include "kern/together.h"
#include "util/cleanup.h"

const struct eg_map_info eg_maps[EG_MAP_COUNT] = {
#define X(id, name, type, key, value, what)                                                        \
	[EG_MAP_##id] = {#name, type, sizeof(key), sizeof(value), what},
	EG_MAPS(X)
#undef X
};

const struct eg_prog_info eg_progs[EG_PROG_COUNT] = {
#define X(id, function, pin, when, object)                                                         \
	[EG_PROG_##id] = {function, pin, EG_PROG_LOADED_##when, EG_OBJECT_##object},
	EG_PROGS(X)
#undef X
};

static void close_object(struct bpf_object **object)
{
	bpf_object__close(*object);
}

/* --- sizes ---------------------------------------------------------------------------------- */

/*
 * Hash tables take memory for their buckets at once, and a machine may have a thousand guards. Room
 * for twice what the policy needs lets it grow in place; one that does not fit any more is
 * replaced with its guard, by whoever asked (eg_guard_replace()).
 */
static __u32 room(size_t needed, __u32 least, __u32 most)
{
	__u32 entries = least;

	while (entries < most && entries < 2 * needed)
		entries *= 2;
	return EG_SLOTS * (entries < most ? entries : most);
}

static int size_map(struct bpf_object *object, enum eg_map map, __u32 entries)
{
	struct bpf_map *found = bpf_object__find_map_by_name(object, eg_maps[map].name);

	return found ? bpf_map__set_max_entries(found, entries) : -ENOENT;
}

struct sizes {
	__u32 rules, endpoints, policy;
};

static struct sizes sizes_for(size_t n_rules, size_t n_endpoints, size_t policy_len)
{
	return (struct sizes){
		.rules = room(n_rules, 1024, EG_MAX_RULES),
		.endpoints = room(n_endpoints, 64, EG_MAX_ENDPOINTS),
		.policy =
			room(policy_len / EG_POLICY_CHUNK + 1, 64, EG_POLICY_CHUNKS_MAX / EG_SLOTS),
	};
}

static int size_maps(struct bpf_object *object, const struct sizes *sizes)
{
	int err = size_map(object, EG_MAP_RULES, sizes->rules);

	if (!err)
		err = size_map(object, EG_MAP_ENDPOINTS, sizes->endpoints);
	return err ? err : size_map(object, EG_MAP_POLICY, sizes->policy);
}

/* --- one object ----------------------------------------------------------------------------- */

static int take_fd(int fd, int *ret_fd)
{
	int own = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (own < 0)
		return fd < 0 ? -ENOENT : -errno;
	*ret_fd = own;
	return 0;
}

static int take_map(struct bpf_object *object, struct eg_guard *guard, enum eg_map map)
{
	return take_fd(bpf_object__find_map_fd_by_name(object, eg_maps[map].name),
		       &guard->maps[map]);
}

static int take_prog(struct eg_loaded *loaded, struct eg_guard *guard, enum eg_prog prog)
{
	if (loaded->fds[prog] < 0)
		return -ENOENT;
	guard->progs[prog] = EG_TAKE_FD(loaded->fds[prog]);
	guard->prog_ids[prog] = eg_prog_id(guard->progs[prog]);
	guard->meta.prog_tags[prog] = eg_prog_tag(guard->progs[prog]);
	/* So that a program tells whose it is when its pins are out of reach (strays.h). It is none
	 * the worse without. */
	(void)bpf_prog_bind_map(guard->progs[prog], guard->maps[EG_MAP_META], NULL);
	return guard->prog_ids[prog] && guard->meta.prog_tags[prog] ? 0 : -EBADF;
}

static void drop_progs(struct eg_guard *guard, unsigned int progs)
{
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++)
		if (progs >> prog & 1)
			eg_guard_drop_prog(guard, prog);
}

/* The programs with what reads the kernel's memory, or without. */
static const void *object_bytes(enum eg_object which, bool with_btf, size_t *ret_size)
{
	switch (which) {
	case EG_OBJECT_GUARD:
		return with_btf ? guard_bpf__elf_bytes(ret_size)
				: guard_nobtf_bpf__elf_bytes(ret_size);
	case EG_OBJECT_CGROUP:
		return with_btf ? cgroup_bpf__elf_bytes(ret_size)
				: cgroup_nobtf_bpf__elf_bytes(ret_size);
	}
	return NULL;
}

static struct bpf_object *open_object(enum eg_object which, bool with_btf)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "egressguard");
	size_t elf_size = 0;
	const void *elf = object_bytes(which, with_btf, &elf_size);

	eg_libbpf_forget();
	eg_relocated_prepare();
	return bpf_object__open_mem(elf, elf_size, &opts);
}

/* Which programs bpf_object__load() is going to load: a bit for each. */
static int choose(struct bpf_object *object, enum eg_object which, unsigned int progs)
{
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++) {
		struct bpf_program *found;
		int err;

		if (eg_progs[prog].object != which)
			continue;
		found = bpf_object__find_program_by_name(object, eg_progs[prog].function);
		err = found ? bpf_program__set_autoload(found, progs >> prog & 1) : -ENOENT;
		if (err)
			return err;
	}
	return 0;
}

static unsigned int progs_now(void)
{
	unsigned int progs = 0;

	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++)
		if (eg_progs[prog].when == EG_PROG_LOADED_NOW)
			progs |= 1U << prog;
	return progs;
}

static int take_programs(struct eg_guard *guard, struct eg_loaded *loaded, unsigned int progs)
{
	int err = 0;

	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT && !err; prog++)
		if (progs >> prog & 1)
			err = take_prog(loaded, guard, prog);
	return err;
}

/* What is to be loaded of an object, and how: a bit for each program. */
struct loading {
	enum eg_object which;
	bool with_btf;
	unsigned int progs;
	bool together;
	const struct sizes *sizes; /* the maps'; NULL: they are there */
};

/* The guard's own maps, if it has some already, in place of new ones. */
static int prepare_maps(struct bpf_object *object, struct eg_guard *guard,
			const struct loading *loading)
{
	int err = 0;

	if (loading->sizes)
		return size_maps(object, loading->sizes);
	for (enum eg_map map = 0; map < EG_MAP_COUNT && !err; map++) {
		struct bpf_map *found = bpf_object__find_map_by_name(object, eg_maps[map].name);

		err = found ? eg_guard_map(guard, map) : -ENOENT;
		if (err >= 0)
			err = bpf_map__reuse_fd(found, err);
	}
	return err;
}

static int load_once(struct eg_guard *guard, const struct loading *loading)
{
	EG_AUTO(close_object)
	struct bpf_object *object = open_object(loading->which, loading->with_btf);
	EG_AUTO(eg_loaded_close) struct eg_loaded loaded = EG_LOADED_NONE;
	int err;

	if (!object)
		return -errno;
	err = prepare_maps(object, guard, loading);
	if (!err)
		err = choose(object, loading->which, loading->progs);
	if (!err)
		err = eg_load_object(object, loading->together, &loaded);
	for (enum eg_map map = 0; map < EG_MAP_COUNT && !err && loading->sizes; map++)
		err = take_map(object, guard, map);
	return err ? err : take_programs(guard, &loaded, loading->progs);
}

/* Those of `wished` as well, if they can be had at once. */
static int load_object(struct eg_guard *guard, bool with_btf, const struct sizes *sizes,
		       unsigned int wished)
{
	struct loading loading = {
		.which = EG_OBJECT_GUARD,
		.with_btf = with_btf,
		.progs = progs_now() | wished,
		.together = true,
		.sizes = sizes,
	};
	int err = load_once(guard, &loading);

	if (!err)
		return 0;
	eg_guard_unload(guard);
	loading.together = false;
	loading.progs = progs_now();
	return load_once(guard, &loading);
}

/* Those that look into the kernel's structures, where they may. The others are the same programs
 * with BTF and without, and without, libbpf need not read all that the kernel has of it. */
#define READ_KERNEL                                                                                \
	(1U << EG_PROG_DEVICE | 1U << EG_PROG_DEVICE_L3 | 1U << EG_PROG_LO | 1U << EG_PROG_PEER |  \
	 1U << EG_PROG_CGROUP)

/* Over the guard's own maps. */
static int load_some_of(struct eg_guard *guard, enum eg_object which, bool with_btf,
			unsigned int progs)
{
	struct loading loading = {
		.which = which,
		.with_btf = with_btf,
		.progs = progs,
		.together = __builtin_popcount(progs) > 1,
	};
	int err = load_once(guard, &loading);

	if (!err || !loading.together)
		return err;
	drop_progs(guard, progs);
	loading.together = false;
	return load_once(guard, &loading);
}

static unsigned int progs_of(enum eg_object which, unsigned int progs)
{
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++)
		if (eg_progs[prog].object != which)
			progs &= ~(1U << prog);
	return progs;
}

static int load_some(struct eg_guard *guard, unsigned int progs)
{
	bool with_btf = !(guard->meta.flags & EG_META_NO_CHECKSUM_TEST);
	static const enum eg_object objects[] = {EG_OBJECT_GUARD, EG_OBJECT_CGROUP};
	int err = 0;

	for (size_t i = 0; i < sizeof(objects) / sizeof(*objects) && !err; i++) {
		unsigned int own = progs_of(objects[i], progs);

		if (own & READ_KERNEL)
			err = load_some_of(guard, objects[i], with_btf, own & READ_KERNEL);
		if (own & ~READ_KERNEL && !err)
			err = load_some_of(guard, objects[i], false, own & ~READ_KERNEL);
	}
	return err;
}

/* --- which object --------------------------------------------------------------------------- */

static int load_failed(int err, struct eg_error *error)
{
	if (eg_libbpf_verifier_refused())
		return eg_error_set(error, EG_EXIT_KERNEL, -err,
				    "this kernel's verifier refuses the guard's programs (%s): %s; "
				    "`egressguard features` tells what this kernel can do",
				    strerror(-err), eg_libbpf_why());
	if (err == -EPERM || err == -EACCES)
		return eg_error_set(error, EG_EXIT_FAILED, -err,
				    "the kernel does not let this process load BPF programs (%s): "
				    "run as root, with CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN",
				    eg_libbpf_why());
	if (err == -ENOMEM)
		return eg_error_set(error, EG_EXIT_FAILED, -err,
				    "no memory for the guard's programs and maps (%s)",
				    eg_libbpf_why());
	return eg_error_set(error, EG_EXIT_KERNEL, -err,
			    "cannot load the guard's programs (%s): %s; `egressguard features` "
			    "tells what this kernel can do",
			    strerror(-err), eg_libbpf_why());
}

/*
 * Whether the programs may read the kernel's memory. A lockdown in confidentiality mode lets them
 * be loaded all the same, on older kernels, and then fails each read, which makes every frame
 * malformed. An ARP frame that is let pass tells; its count is taken back.
 */
static int can_read_kernel(struct eg_guard *guard)
{
	const __u32 index = eg_counter_index(EG_LAYER_DEVICE, 0, EG_REASON_CONTROL);
	EG_AUTO_FREE struct eg_counter *zeros =
		calloc((size_t)libbpf_num_possible_cpus(), sizeof(*zeros));
	__u8 frame[60] = {[12] = EG_ETHERTYPE_ARP >> 8, [13] = EG_ETHERTYPE_ARP & 0xff};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));
	int err;

	if (!zeros)
		return -ENOMEM;
	if (bpf_prog_test_run_opts(guard->progs[EG_PROG_DEVICE], &opts) < 0)
		return -errno;
	if ((int)opts.retval != TC_ACT_UNSPEC)
		return 0;
	err = eg_guard_update(guard, EG_MAP_COUNTERS, &index, zeros);
	return err ? err : 1;
}

/* Whether it is this kernel that cannot, and not this moment that does not let us: a guard must not
 * become weaker because memory was short. */
bool eg_load_is_lasting(int err)
{
	if (eg_libbpf_verifier_refused())
		return true;
	switch (-err) {
	case ENOMEM:
	case EIO:
	case EPERM:
	case ENOSPC:
	case EMFILE:
	case ENFILE:
	case EAGAIN:
	case EINTR:
		return false;
	}
	return true;
}

/* 1: loaded. 0: this kernel cannot take it. */
static int load_with_btf(struct eg_guard *guard, const struct sizes *sizes, unsigned int wished)
{
	int err;

	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return eg_load_is_lasting(-errno) ? 0 : -errno;
	err = load_object(guard, true, sizes, wished);
	/* libbpf says of a BTF that it could not read that there is none: once more, to be sure. */
	if (err && eg_load_is_lasting(err) && !eg_libbpf_verifier_refused()) {
		eg_guard_unload(guard);
		err = load_object(guard, true, sizes, wished);
	}
	if (!err)
		err = can_read_kernel(guard);
	else if (eg_load_is_lasting(err))
		err = 0;
	if (err <= 0)
		eg_guard_unload(guard);
	return err;
}

/* A machine may be locked down since it was loaded. */
static bool take_spare(struct eg_guard *guard, const struct sizes *sizes, unsigned int wished)
{
	const struct sizes usual = sizes_for(0, 0, 0);

	if (memcmp(sizes, &usual, sizeof(usual)) != 0 || !eg_spare_take(guard, wished))
		return false;
	if (can_read_kernel(guard) == 1)
		return true;
	eg_guard_unload(guard);
	return false;
}

int eg_guard_load(struct eg_guard *guard, const struct eg_image *image, size_t policy_len,
		  unsigned int wished, struct eg_error *error)
{
	const struct sizes sizes = sizes_for(image->n_rules, image->n_endpoints, policy_len);
	int err;

	eg_libbpf_capture();
	guard->meta.flags &= ~(__u32)EG_META_NO_CHECKSUM_TEST;
	eg_libbpf_forget();
	if (take_spare(guard, &sizes, wished))
		return 0;
	err = load_with_btf(guard, &sizes, wished);
	if (err)
		return err < 0 ? load_failed(err, error) : 0;
	/* A locked-down kernel refuses to read its memory; others may have moved what we look for.
	 * The rest of the decision needs neither. */
	err = load_object(guard, false, &sizes, wished);
	if (err)
		return load_failed(err, error);
	guard->meta.flags |= EG_META_NO_CHECKSUM_TEST;
	return 0;
}

int eg_guard_load_spare(struct eg_guard *guard, unsigned int wished)
{
	const struct sizes usual = sizes_for(0, 0, 0);
	int err;

	eg_libbpf_capture();
	eg_libbpf_forget();
	guard->meta.magic = EG_ABI_MAGIC;
	guard->meta.abi_version = EG_ABI_VERSION;
	guard->meta.flags = EG_META_SPARE;
	err = load_with_btf(guard, &usual, wished);
	if (err <= 0)
		return err ? err : -EOPNOTSUPP;
	return eg_guard_write_meta(guard);
}

static int note_tags(struct eg_guard *guard, struct eg_error *error)
{
	int err = eg_guard_write_meta(guard);

	return err ? eg_error_set(error, EG_EXIT_FAILED, -err,
				  "cannot write what the guard's programs are: %s", strerror(-err))
		   : 0;
}

int eg_guard_need_some(struct eg_guard *guard, unsigned int progs, struct eg_error *error)
{
	unsigned int missing = 0;
	int err;

	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT; prog++)
		if (progs >> prog & 1 && !guard->prog_ids[prog])
			missing |= 1U << prog;
	if (!missing)
		return 0;
	eg_libbpf_capture();
	eg_libbpf_forget();
	err = load_some(guard, missing);
	if (err)
		load_failed(err, error);
	/* Their tags before their pins, which are held against them. */
	if (!err && guard->dir_fd >= 0)
		err = note_tags(guard, error);
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT && !err; prog++)
		if (missing >> prog & 1)
			err = eg_pin_make(guard, guard->progs[prog], eg_progs[prog].pin, error);
	for (enum eg_prog prog = 0; prog < EG_PROG_COUNT && err; prog++) {
		if (!(missing >> prog & 1))
			continue;
		eg_guard_drop_prog(guard, prog);
		eg_pin_unlink(guard->dir_fd, eg_progs[prog].pin);
	}
	return err;
}

int eg_guard_need(struct eg_guard *guard, enum eg_prog prog, struct eg_error *error)
{
	return eg_guard_need_some(guard, 1U << prog, error);
}
