/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A program as libbpf has made it ready for this kernel, with all that it would pass on. libbpf
 * relocates all programs of an object before it loads the first, and asks whoever has registered a
 * section before it loads one of that section. What it shows then can be kept, and be loaded by
 * somebody else, or once more.
 */
#ifndef EG_RELOCATED_H
#define EG_RELOCATED_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

struct eg_relocated {
	enum bpf_prog_type type;
	char *name;
	struct bpf_insn *insns;
	size_t n_insns;
	struct bpf_prog_load_opts opts;
	void *func_info, *line_info; /* those of the object go where it fails to load */
};
void eg_relocated_free(struct eg_relocated *relocated);

/* 0 or -errno. Descriptors in it are those of the object, and go with it. */
int eg_relocated_copy(const struct bpf_program *prog, const struct bpf_prog_load_opts *opts,
		      struct eg_relocated *ret_relocated);

/* Returns a descriptor or -errno. */
int eg_relocated_load(struct eg_relocated *relocated);

/* To be called before an object is opened whose programs are to be seen. Where that fails, libbpf
 * loads as it always does. */
void eg_relocated_prepare(void);

/* What is to be done with one, which may be changed by it. Not 0: the object cannot be loaded. */
typedef int (*eg_relocated_seen)(struct bpf_program *prog, struct bpf_prog_load_opts *opts,
				 void *argument);

/* bpf_object__load(), by which each program that it is about to load is shown; NULL: to nobody. */
int eg_relocated_load_all(struct bpf_object *object, eg_relocated_seen seen, void *argument);

#endif /* EG_RELOCATED_H */
