// SPDX-License-Identifier: GPL-2.0
#include "util/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static void fill(struct eg_error *error, enum eg_exit exit, unsigned int line, unsigned int column,
		 const char *format, va_list args)
{
	if (!error)
		return;
	error->exit = exit;
	error->line = line;
	error->column = column;
	vsnprintf(error->message, sizeof(error->message), format, args);
}

int eg_error_set(struct eg_error *error, enum eg_exit exit, int errnum, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill(error, exit, 0, 0, format, args);
	va_end(args);
	return -errnum;
}

int eg_error_no_memory(struct eg_error *error)
{
	return eg_error_set(error, EG_EXIT_FAILED, ENOMEM, "out of memory");
}

int eg_error_at(struct eg_error *error, unsigned int line, unsigned int column, const char *format,
		...)
{
	va_list args;

	va_start(args, format);
	fill(error, EG_EXIT_USAGE, line, column, format, args);
	va_end(args);
	return -EINVAL;
}
