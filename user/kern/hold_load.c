// SPDX-License-Identifier: GPL-2.0
/*
 * The program of the layer `netns`, loaded over a guard's maps. libbpf reads all that the kernel
 * tells of its types for each object, which takes longer than the verifier, and finds the same each
 * time. So what it made of the program the first time is kept as a pattern, without the maps; where
 * that cannot be loaded, libbpf does it all again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <string.h>

#include "kern/internal.h"
#include "kern/relocated.h"
#include "netns.skel.h"
#include "util/cleanup.h"

#define PROGRAM "eg_netns"
/* The program's own map, in the place behind the guard's. */
#define OWN_MAP EG_MAP_COUNT
#define MAPS    (EG_MAP_COUNT + 1)

struct pattern {
	struct eg_relocated program; /* in the place of a map's descriptor: which one */
	struct bpf_map_info own_map;
	int btf_fd;
};

static void pattern_free(struct pattern *pattern)
{
	if (!pattern)
		return;
	eg_relocated_free(&pattern->program);
	eg_cleanup_close(&pattern->btf_fd);
	free(pattern);
}

static void pattern_freep(struct pattern **pattern)
{
	pattern_free(*pattern);
}

/* Whoever is first; for the rest of the process's life. */
static struct pattern *the_pattern;

static const char *map_name(unsigned int which)
{
	return which == OWN_MAP ? "hold" : eg_maps[which].name;
}

static int take_fd(int fd, int *ret_fd)
{
	int own = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (own < 0)
		return fd < 0 ? -ENOENT : -errno;
	*ret_fd = own;
	return 0;
}

/* --- the pattern ------------------------------------------------------------------------------ */

static int find_map(struct bpf_object *object, int fd)
{
	for (unsigned int which = 0; which < MAPS; which++)
		if (bpf_object__find_map_fd_by_name(object, map_name(which)) == fd)
			return (int)which;
	return -ENOTSUP;
}

static bool is_wide(const struct bpf_insn *insn)
{
	return insn->code == (BPF_LD | BPF_IMM | BPF_DW);
}

/* Anything but whole maps would have to be understood. */
static int take_maps_out(struct bpf_object *object, struct eg_relocated *program)
{
	for (size_t i = 0; i < program->n_insns; i++) {
		struct bpf_insn *insn = &program->insns[i];
		int which;

		if (!is_wide(insn))
			continue;
		i++;
		if (!insn->src_reg || insn->src_reg == BPF_PSEUDO_FUNC)
			continue;
		which = insn->src_reg == BPF_PSEUDO_MAP_FD ? find_map(object, insn->imm) : -ENOTSUP;
		if (which < 0)
			return which;
		insn->imm = which;
	}
	return 0;
}

static int ask_own_map(struct bpf_object *object, struct bpf_map_info *ret_info)
{
	__u32 len = sizeof(*ret_info);
	int fd = bpf_object__find_map_fd_by_name(object, map_name(OWN_MAP));

	if (fd < 0)
		return -ENOENT;
	return bpf_obj_get_info_by_fd(fd, ret_info, &len) < 0 ? -errno : 0;
}

static int learn(struct bpf_object *object, const struct bpf_program *prog,
		 const struct bpf_prog_load_opts *opts, struct pattern **ret_pattern)
{
	EG_AUTO(pattern_freep) struct pattern *pattern = calloc(1, sizeof(*pattern));
	int err;

	if (!pattern)
		return -ENOMEM;
	pattern->btf_fd = -1;
	/* Of what else goes by a descriptor none is in use. */
	if (opts->fd_array || opts->attach_prog_fd || opts->attach_btf_obj_fd || opts->prog_flags ||
	    !opts->prog_btf_fd)
		return -ENOTSUP;
	err = eg_relocated_copy(prog, opts, &pattern->program);
	if (!err)
		err = take_maps_out(object, &pattern->program);
	if (!err)
		err = ask_own_map(object, &pattern->own_map);
	if (!err)
		err = take_fd((int)opts->prog_btf_fd, &pattern->btf_fd);
	if (err)
		return err;
	pattern->program.opts.prog_btf_fd = (__u32)pattern->btf_fd;
	*ret_pattern = EG_TAKE(pattern);
	return 0;
}

struct lesson {
	struct bpf_object *object;
	struct pattern *learned; /* NULL: nothing, and it is loaded all the same */
};

static int seen(struct bpf_program *prog, struct bpf_prog_load_opts *opts, void *argument)
{
	struct lesson *lesson = argument;

	if (!lesson->learned)
		(void)learn(lesson->object, prog, opts, &lesson->learned);
	return 0;
}

static struct pattern *get_pattern(void)
{
	return __atomic_load_n(&the_pattern, __ATOMIC_ACQUIRE);
}

/* Of one that was loaded. */
static void keep(struct pattern *pattern)
{
	struct pattern *none = NULL;

	if (!__atomic_compare_exchange_n(&the_pattern, &none, pattern, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		pattern_free(pattern);
}

/* --- by the pattern --------------------------------------------------------------------------- */

static int make_own_map(const struct bpf_map_info *info)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = info->map_flags);
	int fd = bpf_map_create((enum bpf_map_type)info->type, info->name, info->key_size,
				info->value_size, info->max_entries, &opts);

	return fd < 0 ? -errno : fd;
}

static int put_maps_in(const struct pattern *pattern, const int fds[MAPS],
		       struct bpf_insn **ret_insns)
{
	const struct eg_relocated *program = &pattern->program;
	struct bpf_insn *insns = reallocarray(NULL, program->n_insns, sizeof(*insns));

	if (!insns)
		return -ENOMEM;
	memcpy(insns, program->insns, program->n_insns * sizeof(*insns));
	for (size_t i = 0; i < program->n_insns; i++) {
		if (!is_wide(&insns[i]))
			continue;
		if (insns[i].src_reg == BPF_PSEUDO_MAP_FD)
			insns[i].imm = fds[insns[i].imm];
		i++;
	}
	*ret_insns = insns;
	return 0;
}

static int load_by(const struct pattern *pattern, struct eg_guard *guard, int *ret_prog_fd,
		   int *ret_own_fd)
{
	struct eg_relocated program = pattern->program;
	EG_AUTO_FREE struct bpf_insn *insns = NULL;
	EG_AUTO_CLOSE int own_fd = -1;
	int fds[MAPS], err;

	/* All that libbpf would have wanted to be there, too. */
	for (enum eg_map map = 0; map < EG_MAP_COUNT; map++) {
		fds[map] = eg_guard_map(guard, map);
		if (fds[map] < 0)
			return fds[map];
	}
	own_fd = fds[OWN_MAP] = make_own_map(&pattern->own_map);
	if (own_fd < 0)
		return own_fd;
	err = put_maps_in(pattern, fds, &insns);
	if (err)
		return err;
	program.insns = insns;
	err = eg_relocated_load(&program);
	if (err < 0)
		return err;
	*ret_prog_fd = err;
	*ret_own_fd = EG_TAKE_FD(own_fd);
	return 0;
}

/* --- by libbpf -------------------------------------------------------------------------------- */

static void close_object(struct bpf_object **object)
{
	bpf_object__close(*object);
}

static int reuse(struct bpf_map *found, struct eg_guard *guard, enum eg_map map)
{
	int fd = eg_guard_map(guard, map);

	return fd < 0 ? fd : bpf_map__reuse_fd(found, fd);
}

/* All maps but the program's own are the guard's. Without a guard the object makes its own, small
 * ones. */
static int choose_maps(struct bpf_object *object, struct eg_guard *guard)
{
	int err = 0;

	for (enum eg_map map = 0; map < EG_MAP_COUNT && !err; map++) {
		struct bpf_map *found = bpf_object__find_map_by_name(object, eg_maps[map].name);

		if (!found)
			err = -ENOENT;
		else if (guard)
			err = reuse(found, guard, map);
		else if (map == EG_MAP_RULES || map == EG_MAP_ENDPOINTS || map == EG_MAP_POLICY)
			err = bpf_map__set_max_entries(found, 1);
	}
	return err;
}

/* What is refused is no pattern. */
static int load_and_learn(struct bpf_object *object)
{
	struct lesson lesson = {.object = object};
	int err = eg_relocated_load_all(object, seen, &lesson);

	if (err)
		pattern_free(lesson.learned);
	else if (lesson.learned)
		keep(lesson.learned);
	return err;
}

static int load_object(struct eg_guard *guard, int *ret_prog_fd, int *ret_own_fd)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "egressguard");
	EG_AUTO(close_object) struct bpf_object *object = NULL;
	EG_AUTO_CLOSE int prog_fd = -1;
	struct bpf_program *prog;
	size_t elf_size;
	const void *elf = netns_bpf__elf_bytes(&elf_size);
	int err;

	object = bpf_object__open_mem(elf, elf_size, &opts);
	if (!object)
		return -errno;
	prog = bpf_object__find_program_by_name(object, PROGRAM);
	if (!prog)
		return -ENOENT;
	bpf_program__set_type(prog, (enum bpf_prog_type)EG_PROG_TYPE_NETFILTER);
	bpf_program__set_expected_attach_type(prog, (enum bpf_attach_type)EG_ATTACH_NETFILTER);
	err = choose_maps(object, guard);
	if (!err)
		err = guard && !get_pattern() ? load_and_learn(object) : bpf_object__load(object);
	if (!err)
		err = take_fd(bpf_program__fd(prog), &prog_fd);
	if (!err)
		err = take_fd(bpf_object__find_map_fd_by_name(object, map_name(OWN_MAP)),
			      ret_own_fd);
	if (err)
		return err;
	*ret_prog_fd = EG_TAKE_FD(prog_fd);
	return 0;
}

int eg_hold_load(struct eg_guard *guard, int *ret_prog_fd, int *ret_settings_fd)
{
	const struct pattern *pattern = get_pattern();

	eg_libbpf_capture();
	eg_libbpf_forget();
	eg_relocated_prepare();
	if (guard && pattern && load_by(pattern, guard, ret_prog_fd, ret_settings_fd) == 0)
		return 0;
	eg_libbpf_forget();
	return load_object(guard, ret_prog_fd, ret_settings_fd);
}
