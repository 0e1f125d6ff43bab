/* SPDX-License-Identifier: GPL-2.0 */
/* The log of a process that stays: the journal, with fields, where stderr leads there; else a line
 * on stderr, as the other commands write it. */
#ifndef EG_JOURNAL_H
#define EG_JOURNAL_H

enum eg_journal_level {
	EG_JOURNAL_ERROR = 3, /* syslog's numbers */
	EG_JOURNAL_WARNING = 4,
	EG_JOURNAL_NOTICE = 5,
	EG_JOURNAL_INFO = 6,
};

/*
 * `guard` (NULL: none) becomes the field EGRESSGUARD_GUARD, and in the line "NAME: ". `message` is
 * one line without strangers' bytes: whoever makes it escapes them.
 */
void eg_journal(const char *command, enum eg_journal_level level, const char *guard,
		const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif /* EG_JOURNAL_H */
