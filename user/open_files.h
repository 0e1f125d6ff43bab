/* SPDX-License-Identifier: GPL-2.0 */
/* How many files a process that keeps guards may have open. */
#ifndef EG_OPEN_FILES_H
#define EG_OPEN_FILES_H

#include <stddef.h>

/* As many as this process may have at all. */
void eg_open_files_raise(void);

/* Warns where `n` guards, each of them followed, may need more than that. */
void eg_open_files_check(size_t n);

#endif /* EG_OPEN_FILES_H */
