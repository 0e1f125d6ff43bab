/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs of ours in the kernel that no guard of a directory has: a bpffs that was unmounted,
 * moved or covered by another one while its guards were in force leaves such; so does a guard that
 * was made with another --pin-dir, which is in order.
 */
#ifndef EG_STRAYS_H
#define EG_STRAYS_H

#include "kern/pins.h"
#include "net/survey.h"

struct eg_stray {
	__u32 prog_id;
	char function[16]; /* "eg_device" */
	bool known;        /* the rest is filled in: the program still has its guard's identity */
	char name[EG_NAME_MAX];
	char target[EG_TARGET_MAX + 1];
	__u64 netns_cookie, netns_inode, netns_dev;
};

/*
 * `pins` NULL: there is no directory, every program is a stray. Programs that are just being made
 * or taken away by somebody else look the same for a moment. The caller frees *ret_strays.
 */
int eg_strays_find(const struct eg_pins *pins, struct eg_stray **ret_strays, size_t *ret_n);

/* The same, of those alone that are on the interfaces of a namespace, or on their other ends. */
int eg_strays_on(const struct eg_pins *pins, const struct eg_netns *netns,
		 const struct eg_survey *survey, struct eg_stray **ret_strays, size_t *ret_n);

#endif /* EG_STRAYS_H */
