// SPDX-License-Identifier: GPL-2.0
#include "journal.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "eg_abi.h"
#include "log.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/text.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* The service manager says which file it is that leads to the journal; stderr may since have been
 * turned elsewhere. */
static bool is_stderr_the_journals(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, inode;
	struct stat own;

	return stream && sscanf(stream, "%llu:%llu", &dev, &inode) == 2 &&
	       fstat(STDERR_FILENO, &own) == 0 && own.st_dev == dev && own.st_ino == inode;
}

/* Its own protocol: a datagram of FIELD=VALUE lines. No value of ours has a newline. */
static bool send_to_journal(const char *fields, size_t len)
{
	static const struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
	EG_AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && sendto(fd, fields, len, MSG_NOSIGNAL, (const struct sockaddr *)&to,
				 sizeof(to)) == (ssize_t)len;
}

static bool to_journal(const char *command, enum eg_journal_level level, const char *guard,
		       const char *message)
{
	EG_AUTO_TEXT struct eg_text fields = {};
	size_t start;

	if (!is_stderr_the_journals())
		return false;
	eg_text_printf(&fields,
		       "PRIORITY=%d\nSYSLOG_IDENTIFIER=egressguard\nEGRESSGUARD_COMMAND=%s\n",
		       (int)level, command);
	if (guard)
		eg_text_printf(&fields, "EGRESSGUARD_GUARD=%s\n", guard);
	eg_text_printf(&fields, "MESSAGE=%s%s", guard ? guard : "", guard ? ": " : "");
	start = fields.len;
	eg_text_printf(&fields, "%s", message);
	for (size_t at = start; !fields.failed && at < fields.len; at++)
		if (fields.data[at] == '\n')
			fields.data[at] = ' ';
	eg_text_add(&fields, "\n", 1);
	return !fields.failed && send_to_journal(fields.data, fields.len);
}

void eg_journal(const char *command, enum eg_journal_level level, const char *guard,
		const char *format, ...)
{
	char message[EG_ERROR_LEN * 2], name[EG_NAME_MAX * 4];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	if (guard)
		guard = eg_escape(name, sizeof(name), guard, strlen(guard));
	if (to_journal(command, level, guard, message))
		return;
	if (level <= EG_JOURNAL_WARNING)
		eg_log_warning(command, "%s%s%s", guard ? guard : "", guard ? ": " : "", message);
	else
		eg_log_note(command, "%s%s%s", guard ? guard : "", guard ? ": " : "", message);
}
