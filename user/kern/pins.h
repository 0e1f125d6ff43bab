/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The place in bpffs where guards live: PIN_ROOT/GUARD/{maps, prog_*, link_*, filter_*}.
 *
 * Guard names are escaped (bpffs refuses dots): [A-Za-z0-9-] stay, every other byte becomes _XX in
 * upper-case hex. None of these is an escaped name:
 *
 *   _new-GUARD    a guard being made
 *   _half-GUARD   one that a killed command left half-made; also _half1-GUARD and so on
 *   _old-GUARD    one being replaced; it counts as GUARD where that is missing
 *   _gone-GUARD   one being taken away
 *   _shared       for a later layer
 */
#ifndef EG_PINS_H
#define EG_PINS_H

#include <stdbool.h>

#include "eg_abi.h"
#include "util/error.h"

#define EG_PIN_ROOT "/sys/fs/bpf/egressguard"

struct eg_pins {
	int dir_fd;  /* owned */
	int lock_fd; /* owned; -1: not locked */
	char *path;  /* owned */
};
void eg_pins_close(struct eg_pins *pins);
#define EG_AUTO_PINS __attribute__((cleanup(eg_pins_close)))

/*
 * `pin_dir` NULL: EG_PIN_ROOT, which must be in the bpffs that PID 1 sees (same device as
 * /proc/1/root/sys/fs/bpf): in a private mount the guard would die with it, so that is refused;
 * bpffs is mounted there if nothing is. Otherwise any directory of any bpffs. With `create` missing
 * directories are made; without, -ENOENT means that there are no guards.
 */
int eg_pins_open(const char *pin_dir, bool create, struct eg_pins *ret_pins,
		 struct eg_error *error);

/* An exclusive flock on the root, for every command that changes something. Waits up to `wait_ms`;
 * then fails with a message. Unlocked by eg_pins_close(). */
int eg_pins_lock(struct eg_pins *pins, unsigned int wait_ms, struct eg_error *error);

/* Guards' names, unescaped, sorted, NULL-terminated; the caller frees each and the array. With
 * `leftovers`, names of half-made and half-removed ones instead. */
int eg_pins_list(const struct eg_pins *pins, bool leftovers, char ***ret_names);
void eg_names_free(char **names);

/* Removes every half-made guard (`_new-…`, `_half-…`), what was left of removed ones (`_gone-…`),
 * and every replaced one (`_old-…`) whose successor is in place; one without a successor gets its
 * name back. What is not ours stays. Needs the lock. */
int eg_pins_sweep(struct eg_pins *pins);

/* PURE. */
int eg_pin_name_escape(char *to, size_t size, const char *name);
int eg_pin_name_unescape(char *to, size_t size, const char *pin_name);

#endif /* EG_PINS_H */
