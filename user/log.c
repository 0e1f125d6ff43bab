// SPDX-License-Identifier: GPL-2.0
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "out/render.h"
#include "util/text.h"

#define RED    "\033[31m"
#define YELLOW "\033[33m"
#define PLAIN  "\033[0m"

/* Backslashes stay as they are: they are the escapes that the message's maker made. */
static void add_safely(struct eg_text *line, const char *message)
{
	while (*message) {
		size_t len = strcspn(message, "\\\n");
		char safe[4 * EG_ERROR_LEN];

		if (!len) {
			eg_text_add(line, message++, 1);
			continue;
		}
		if (len > EG_ERROR_LEN - 1)
			len = EG_ERROR_LEN - 1;
		eg_escape(safe, sizeof(safe), message, len);
		eg_text_add(line, safe, strlen(safe));
		message += len;
	}
}

static void say(const char *command, const char *color, const char *kind, const char *message)
{
	EG_AUTO_TEXT struct eg_text line = {};
	bool colored = color && eg_color(stderr);

	eg_text_printf(&line, "%segressguard%s%s:%s%s ", colored ? color : "", command ? " " : "",
		       command ? command : "", kind, colored ? PLAIN : "");
	add_safely(&line, message);
	eg_text_add(&line, "\n", 1);
	/* One write, so that lines of several processes do not mix. */
	if (!line.failed)
		fwrite(line.data, 1, line.len, stderr);
}

int eg_log_error(const char *command, int result, const struct eg_error *error)
{
	say(command, RED, "", error->message[0] ? error->message : strerror(-result));
	return error->exit == EG_EXIT_OK ? EG_EXIT_FAILED : error->exit;
}

void eg_log_warning(const char *command, const char *format, ...)
{
	char message[EG_ERROR_LEN];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	say(command, YELLOW, " warning:", message);
}

void eg_log_note(const char *command, const char *format, ...)
{
	char message[EG_ERROR_LEN];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	say(command, NULL, "", message);
}
