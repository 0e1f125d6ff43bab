/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How functions report failure: they return 0 or -errno, and where a person must be told, they fill
 * a struct eg_error with one sentence (what is wrong, what to do) and the exit status that fits.
 * They never print it themselves: the command does, once.
 */
#ifndef EG_ERROR_H
#define EG_ERROR_H

#include <stddef.h>

/* Exit status, as egressguard(8) lists it. */
enum eg_exit {
	EG_EXIT_OK = 0,
	EG_EXIT_FAILED = 1,  /* nothing changed */
	EG_EXIT_USAGE = 2,   /* usage or policy error */
	EG_EXIT_NO_SUCH = 3, /* no such guard or target */
	EG_EXIT_LEAK = 4,    /* verify, run */
	EG_EXIT_KERNEL = 5,  /* this kernel, or this target, cannot enforce what was asked */
};

#define EG_ERROR_LEN 1024

struct eg_error {
	enum eg_exit exit;
	unsigned int line;   /* 1-based place in the text that was read, 0: none */
	unsigned int column; /* 1-based, in bytes */
	char message[EG_ERROR_LEN];
};

/* Fills `error` (which may be NULL) and returns -errnum, so that callers can write
 * `return eg_error_set(error, EG_EXIT_USAGE, EINVAL, "…")`. */
int eg_error_set(struct eg_error *error, enum eg_exit exit, int errnum, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* The same where memory is out: -ENOMEM. */
int eg_error_no_memory(struct eg_error *error);

/* The same with a place in a text: EG_EXIT_USAGE and -EINVAL. */
int eg_error_at(struct eg_error *error, unsigned int line, unsigned int column, const char *format,
		...) __attribute__((format(printf, 4, 5)));

#endif /* EG_ERROR_H */
