// SPDX-License-Identifier: GPL-2.0
/* libbpf tells the reason of a failure in what it prints, and nowhere else. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "kern/internal.h"

static _Thread_local struct {
	char line[512];
	bool verifier;
} why;

/* Copies one line without its indent and libbpf's own prefix. */
static void keep(const char *line, size_t len)
{
	static const char prefix[] = "libbpf: ";

	if (len >= sizeof(prefix) - 1 && strncmp(line, prefix, sizeof(prefix) - 1) == 0) {
		line += sizeof(prefix) - 1;
		len -= sizeof(prefix) - 1;
	}
	snprintf(why.line, sizeof(why.line), "%.*s", (int)len, line);
}

/* The verifier's log ends with its complaint, then statistics ("processed 12 insns …"). */
static void keep_last_of_log(const char *log)
{
	const char *line = log, *last = NULL;
	size_t last_len = 0;

	while (*line) {
		size_t len = strcspn(line, "\n");

		if (len && strncmp(line, "processed ", 10) != 0 &&
		    strncmp(line, "-- END", 6) != 0 &&
		    strncmp(line, "verification time", 17) != 0) {
			last = line;
			last_len = len;
		}
		line += len + (line[len] == '\n');
	}
	if (last)
		keep(last, last_len);
}

static int capture(enum libbpf_print_level level, const char *format, va_list args)
{
	static _Thread_local char text[64 * 1024];
	const char *log;

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(text, sizeof(text), format, args);
	log = strstr(text, "BEGIN PROG LOAD LOG");
	if (log) {
		why.verifier = true;
		log = strchr(log, '\n');
		if (log)
			keep_last_of_log(log + 1);
	} else if (!why.verifier) {
		/* What follows the verifier's own words only repeats that it failed. */
		keep(text, strcspn(text, "\n"));
	}
	return 0;
}

void eg_libbpf_capture(void)
{
	libbpf_set_print(capture);
}

void eg_libbpf_forget(void)
{
	why.line[0] = '\0';
	why.verifier = false;
}

const char *eg_libbpf_why(void)
{
	return *why.line ? why.line : "no reason given";
}

bool eg_libbpf_verifier_refused(void)
{
	return why.verifier;
}
