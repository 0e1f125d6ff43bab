// SPDX-License-Identifier: GPL-2.0
#include "aside.h"

#include <errno.h>
#include <stdio.h>

#include "kern/guard.h"
#include "util/cleanup.h"

#define INODE_LEN 24 /* its digits, the hyphen, the NUL */

int eg_aside(struct eg_pins *pins, const char *name, char **ret_name, struct eg_error *error)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	EG_AUTO_FREE char *aside = NULL;
	int result = eg_guard_open(pins, name, &guard, error);

	if (result < 0)
		return result;
	if (asprintf(&aside, "%.*s-%llu", EG_NAME_MAX - INODE_LEN, name,
		     (unsigned long long)eg_guard_meta(guard)->netns_inode) < 0) {
		aside = NULL;
		return eg_error_set(error, EG_EXIT_FAILED, ENOMEM, "out of memory");
	}
	result = eg_guard_rename(pins, name, aside, error);
	if (result == 0)
		*ret_name = EG_TAKE(aside);
	return result;
}
