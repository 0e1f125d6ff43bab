/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loading a guard's programs at the same time. The verifier takes most of what `attach` takes, is
 * on one processor for each program, and libbpf hands it one after the other.
 */
#ifndef EG_TOGETHER_H
#define EG_TOGETHER_H

#include "kern/internal.h"

/* The programs of an object by descriptor, -1: not loaded. Owned. */
struct eg_loaded {
	int fds[EG_PROG_COUNT];
};
void eg_loaded_close(struct eg_loaded *loaded);
#define EG_LOADED_NONE ((struct eg_loaded){.fds = {-1, -1, -1, -1, -1, -1, -1, -1, -1}})
_Static_assert(EG_PROG_COUNT == 9, "EG_LOADED_NONE has no descriptor of any program");

/*
 * In place of bpf_object__load(), of an object that was opened after eg_relocated_prepare(): those
 * programs of the object that are to be loaded are afterwards in *ret_loaded, and are not to be
 * looked for in the object. 0 or -errno. Where several were loaded together, nothing is known of
 * why that failed: an object like it, loaded in turn, tells.
 */
int eg_load_object(struct bpf_object *object, bool together, struct eg_loaded *ret_loaded);

#endif /* EG_TOGETHER_H */
