// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "out/text_internal.h"

#define NAME_WIDTH 13
#define INDENT     8
#define WIDTH_MIN  40

static const char *const severity_colors[] = {RED, YELLOW, BOLD};
static const char *const state_colors[] = {
	[EG_DOCTOR_OK] = GREEN,
	[EG_DOCTOR_WRONG] = RED,
	[EG_DOCTOR_CANNOT_TELL] = YELLOW,
};

/* Of a terminal; 0: it is none, and lines stay whole for whoever looks for words in them. */
static size_t width_of(FILE *to)
{
	struct winsize size = {};

	if (!isatty(fileno(to)) || ioctl(fileno(to), TIOCGWINSZ, &size) < 0 ||
	    size.ws_col < WIDTH_MIN)
		return 0;
	return size.ws_col;
}

/* `text`, broken at blanks, its further lines indented. `at` is the column it starts at. */
static void put_wrapped(struct eg_text *line, const char *text, size_t at, size_t indent,
			size_t width)
{
	while (*text) {
		size_t len = strcspn(text, " ");

		if (width && at + len > width && at > indent) {
			eg_text_printf(line, "\n%*s", (int)indent, "");
			at = indent;
		}
		eg_text_add(line, text, len);
		at += len;
		text += len;
		if (*text == ' ') {
			eg_put(line, " ");
			at++;
			text++;
		}
	}
}

static void put_part(struct eg_text *line, const char *name, const char *text, size_t width)
{
	if (!text)
		return;
	eg_text_printf(line, "   %-*s", INDENT - 3, name);
	put_wrapped(line, text, INDENT, INDENT, width);
	eg_put(line, "\n");
}

/* A command is never broken: it is there to be pasted. */
static void put_remedy(struct eg_text *line, const struct eg_doctor_remedy *remedy, bool first,
		       size_t width)
{
	eg_text_printf(line, "   %-*s", INDENT - 3, first ? "fix" : "or");
	put_wrapped(line, remedy->what, INDENT, INDENT, width);
	eg_put(line, remedy->n_commands ? ":\n" : "\n");
	for (size_t i = 0; i < remedy->n_commands; i++)
		eg_text_printf(line, "%*s%s\n", INDENT + 4, "", remedy->commands[i]);
}

static void put_finding(struct eg_text *line, size_t number,
			const struct eg_doctor_finding *finding, size_t width, bool colored)
{
	const struct eg_doctor_info *info = &eg_doctor_infos[finding->id];
	const char *severity = eg_wgseverity_names[finding->severity];

	eg_text_printf(line, "%zu. ", number);
	eg_put_colored(line, colored, severity_colors[finding->severity], severity);
	eg_put(line, ": ");
	put_wrapped(line, finding->what, 5 + strlen(severity), 3, width);
	eg_text_printf(line, " [%s]\n", info->id);
	put_part(line, "seen", finding->evidence, width);
	put_part(line, "why", info->why, width);
	for (size_t i = 0; i < finding->n_remedies; i++)
		put_remedy(line, &finding->remedies[i], i == 0, width);
	eg_put(line, "\n");
}

static void put_check(struct eg_text *line, const struct eg_doctor_check *check, size_t width,
		      bool colored)
{
	const char *state = eg_doctor_state_names[check->state];
	size_t indent = 2 + NAME_WIDTH + strlen("cannot tell") + 2;

	eg_text_printf(line, "  %-*s", NAME_WIDTH, check->name);
	eg_put_colored(line, colored, state_colors[check->state], state);
	if (check->state == EG_DOCTOR_WRONG || (check->detail && check->detail[0])) {
		eg_text_printf(line, "%*s", (int)(strlen("cannot tell") + 2 - strlen(state)), "");
		put_wrapped(line, check->state == EG_DOCTOR_WRONG ? "see above" : check->detail,
			    indent, indent, width);
	}
	eg_put(line, "\n");
}

static void put_summary(struct eg_text *line, const struct eg_doctor_report *report, bool colored)
{
	size_t unknown = 0;

	for (size_t i = 0; i < report->n_checks; i++)
		unknown += report->checks[i].state == EG_DOCTOR_CANNOT_TELL;
	eg_put_safe(line, report->target);
	eg_put(line, ": ");
	if (report->n_findings) {
		for (int i = EG_WGSEVERITY_ERROR; i <= EG_WGSEVERITY_NOTE; i++)
			eg_text_printf(line, "%s%u %s%s", i ? ", " : "", report->counts[i],
				       eg_wgseverity_names[i], report->counts[i] == 1 ? "" : "s");
	} else {
		eg_put_colored(line, colored, GREEN, "nothing is wrong");
		eg_put(line, unknown ? " with what could be seen" : "");
	}
	if (unknown)
		eg_text_printf(line, "; %zu of %zu checks cannot tell", unknown, report->n_checks);
	eg_put(line, "\n");
}

int eg_text_doctor(const struct eg_doctor_report *report, FILE *to)
{
	struct eg_text *line = eg_line_start();
	bool colored = eg_color(to);
	size_t width = width_of(to);

	for (size_t i = 0; i < report->n_findings; i++)
		put_finding(line, i + 1, &report->findings[i], width, colored);
	eg_put(line, "checks\n");
	for (size_t i = 0; i < report->n_checks; i++)
		put_check(line, &report->checks[i], width, colored);
	eg_put(line, "\n");
	put_summary(line, report, colored);
	return eg_line_end(line, to);
}
