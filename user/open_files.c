// SPDX-License-Identifier: GPL-2.0
#include "open_files.h"

#include <sys/resource.h>

#include "journal.h"

/* What a guard that is followed takes, and what is none's. */
#define DESCRIPTORS_EACH 14
#define DESCRIPTORS_OWN  400 /* most of it for guards that are being made (kern/spare.c) */

void eg_open_files_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* What does not fit would be left without a guard, or with one that nobody follows. */
void eg_open_files_check(size_t n)
{
	size_t needed = n * DESCRIPTORS_EACH + DESCRIPTORS_OWN;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= needed)
		return;
	eg_journal("daemon", EG_JOURNAL_WARNING, NULL,
		   "%zu guards take up to %zu open files, and this process may have %llu: some may "
		   "be left open, or not be followed; raise the limit (LimitNOFILE= in the unit)",
		   n, needed, (unsigned long long)limit.rlim_cur);
}
