/* SPDX-License-Identifier: GPL-2.0 */
/* The guards that the daemon keeps in force. */
#ifndef EG_WARDS_H
#define EG_WARDS_H

#include "ward.h"

/* Starts as {}. Owns them. */
struct eg_wards {
	struct eg_ward **ward;
	size_t n;
};
void eg_wards_free(struct eg_wards *wards);

/* By the guard's name; NULL: there is none. */
struct eg_ward *eg_wards_find(const struct eg_wards *wards, const char *name);

/* Takes it over. False, and it stays the caller's: out of memory. */
bool eg_wards_add(struct eg_wards *wards, struct eg_ward *ward);

/* Lets go of those without a file that have nothing left to keep up. */
void eg_wards_drop_finished(struct eg_wards *wards);

/* Adds the names of those whose target could not be guarded, as it stands now. */
void eg_wards_name_open(const struct eg_wards *wards, struct eg_text *names);

/* When the first of them has something to do: CLOCK_MONOTONIC nanoseconds, `latest` at the most. */
__u64 eg_wards_due_ns(const struct eg_wards *wards, __u64 latest);

#endif /* EG_WARDS_H */
