/* SPDX-License-Identifier: GPL-2.0 */
/* What a command says on stderr: its one error, warnings, notes. Whoever makes a message escapes
 * the strangers' strings in it (eg_escape()); what was forgotten is made harmless here. */
#ifndef EG_LOG_H
#define EG_LOG_H

#include "util/error.h"

/* "egressguard attach: message"; `command` NULL for egressguard itself. Returns error->exit, so
 * that a command can end with `return eg_log_error("attach", result, &error);`. A failure that
 * nobody put into words is told by its number, and is none the less a failure. */
int eg_log_error(const char *command, int result, const struct eg_error *error);

/* "egressguard attach: warning: message" */
void eg_log_warning(const char *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* "egressguard attach: message", for what is neither result nor failure. */
void eg_log_note(const char *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* EG_LOG_H */
