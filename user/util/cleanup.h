/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ownership: a local that owns something carries a cleanup attribute and starts as NULL or -1; it
 * is given away with EG_TAKE() or EG_TAKE_FD(), which leave NULL or -1 behind.
 */
#ifndef EG_CLEANUP_H
#define EG_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void eg_cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void eg_cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void eg_cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

static inline void eg_cleanup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define EG_AUTO(function) __attribute__((cleanup(function)))
#define EG_AUTO_FREE      EG_AUTO(eg_cleanup_free)
#define EG_AUTO_CLOSE     EG_AUTO(eg_cleanup_close)
#define EG_AUTO_FCLOSE    EG_AUTO(eg_cleanup_fclose)
#define EG_AUTO_CLOSEDIR  EG_AUTO(eg_cleanup_closedir)

#define EG_TAKE(pointer)                                                                           \
	({                                                                                         \
		__auto_type eg_taken = (pointer);                                                  \
		(pointer) = NULL;                                                                  \
		eg_taken;                                                                          \
	})

#define EG_TAKE_FD(fd)                                                                             \
	({                                                                                         \
		int eg_taken = (fd);                                                               \
		(fd) = -1;                                                                         \
		eg_taken;                                                                          \
	})

#endif /* EG_CLEANUP_H */
