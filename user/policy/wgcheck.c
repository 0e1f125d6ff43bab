// SPDX-License-Identifier: GPL-2.0
#include "policy/wgcheck.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/array.h"
#include "policy/wgcheck_internal.h"
#include "util/cleanup.h"
#include "util/text.h"

const char *const eg_wgseverity_names[3] = {"error", "warning", "note"};

const struct eg_wgfinding_info eg_wgfinding_infos[EG_WGFINDING_COUNT] = {
#define X(name, id, severity, why) [EG_WGFINDING_##name] = {id, EG_WGSEVERITY_##severity, why},
	EG_WGFINDINGS(X)
#undef X
};

/* --- what must not be quoted ------------------------------------------------------------------ */

/* Who has so many has told enough. */
#define FINDINGS_MAX 1000

#define SECRET_PIECE_MIN 8  /* of a key of this file */
#define SECRET_RUN_MIN   40 /* of anything that looks like one */

static bool is_key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '+' || c == '/' || c == '=';
}

/* A message, and which of its bytes are not to be shown. */
struct masked {
	const char *text;
	size_t len;
	bool *hidden;
};

/* Whatever of a secret, so long that it tells something, is in the text. */
static void hide(struct masked *masked, const char *secret, size_t len)
{
	for (size_t i = 0; i + SECRET_PIECE_MIN <= masked->len; i++) {
		if (memmem(secret, len, masked->text + i, SECRET_PIECE_MIN))
			memset(masked->hidden + i, true, SECRET_PIECE_MIN);
	}
}

/* Calls `take` for whatever is so long and looks like a key. */
static void each_run(const char *text, size_t text_len,
		     void (*take)(void *argument, const char *run, size_t len), void *argument)
{
	size_t len;

	for (size_t at = 0; at < text_len; at += len + 1) {
		for (len = 0; at + len < text_len && is_key_char(text[at + len]);)
			len++;
		if (len >= SECRET_RUN_MIN)
			take(argument, text + at, len);
	}
}

static void hide_run(void *argument, const char *run, size_t len)
{
	hide(argument, run, len);
}

static void add_secret(void *argument, const char *text, size_t len)
{
	struct eg_wgchecker *checker = argument;
	struct eg_token secret = {.text = text, .len = len};

	if (EG_ARRAY_ADD(checker->secrets, checker->n_secrets, secret) < 0)
		checker->failed = true;
}

/* The values of keys, and whatever else in the file may be one. */
static void find_secrets(struct eg_wgchecker *checker)
{
	const struct eg_wgfile *file = checker->file;

	for (size_t i = 0; i < file->n_lines; i++) {
		const struct eg_wgline *line = &file->lines[i];

		if (line->kind == EG_WGLINE_SETTING && eg_wgkey_is_secret(line->key))
			add_secret(checker, line->value.text, line->value.len);
	}
	each_run(file->text, file->len, add_secret, checker);
}

static void hide_secrets(struct eg_wgchecker *checker, char *text)
{
	EG_AUTO_FREE bool *hidden = calloc(strlen(text) + 1, sizeof(*hidden));
	struct masked masked = {.text = text, .len = strlen(text), .hidden = hidden};

	if (!hidden || checker->failed) {
		checker->failed = true;
		*text = '\0';
		return;
	}
	for (size_t i = 0; i < checker->n_secrets; i++)
		hide(&masked, checker->secrets[i].text, checker->secrets[i].len);
	each_run(text, masked.len, hide_run, &masked);
	for (size_t i = 0; i < masked.len; i++)
		text[i] = hidden[i] ? '*' : text[i];
}

/* --- findings --------------------------------------------------------------------------------- */

/* Formats and hides keys. Who quotes what the file has makes it safe to print; that there is no
 * control character in the end is seen to here. */
static char *say(struct eg_wgchecker *checker, const char *format, va_list arguments)
{
	char *text = NULL;

	if (vasprintf(&text, format, arguments) < 0) {
		checker->failed = true;
		return NULL;
	}
	hide_secrets(checker, text);
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
	return text;
}

void eg_wgfind(struct eg_wgchecker *checker, enum eg_wgfinding_id id, struct eg_wgplace place,
	       const char *format, ...)
{
	struct eg_wgfinding finding = {.id = id, .line = place.line, .column = place.column};
	va_list arguments;

	if (checker->report->n_findings >= FINDINGS_MAX)
		return;
	va_start(arguments, format);
	finding.what = say(checker, format, arguments);
	va_end(arguments);
	if (EG_ARRAY_ADD(checker->report->findings, checker->report->n_findings, finding) < 0) {
		free(finding.what);
		checker->failed = true;
	}
}

void eg_wgfix(struct eg_wgchecker *checker, const char *format, ...)
{
	struct eg_wgreport *report = checker->report;
	va_list arguments;
	char *fix;

	va_start(arguments, format);
	fix = say(checker, format, arguments);
	va_end(arguments);
	if (report->n_findings == 0 || report->findings[report->n_findings - 1].fix)
		free(fix);
	else
		report->findings[report->n_findings - 1].fix = fix;
}

char *eg_wgcommand_format(const struct eg_wgchecker *checker, const struct eg_wgop *op,
			  char to[EG_WGCOMMAND_LEN])
{
	const struct eg_shell_command *command = eg_wgop_command(checker->model->hooks, op);
	EG_AUTO_TEXT struct eg_text text = {};

	for (size_t i = 0; i < command->n_words && text.len < EG_WGCOMMAND_LEN; i++)
		eg_text_printf(&text, "%s%s", i ? " " : "", command->words[i].text);
	if (op->kind == EG_WGOP_NO_IPV6 && command->writes)
		eg_text_printf(&text, " >%s", command->writes);
	return eg_escape(to, EG_WGCOMMAND_LEN, text.data ? text.data : "", text.len);
}

/* --- the file's mode -------------------------------------------------------------------------- */

/* wg-quick's own test: the file's mode and its directory's. */
static void check_mode(struct eg_wgchecker *checker)
{
	const struct eg_wgfacts *facts = checker->facts;

	if (!facts->have_mode || !(facts->mode & facts->dir_mode & 0007))
		return;
	eg_wgfind(checker, EG_WGFINDING_WORLD_READABLE, EG_WGNOWHERE,
		  "the file's mode is %04o: everybody on this machine may read it",
		  facts->mode & 07777);
	eg_wgfix(checker, "chmod 600 %s", eg_wgname(checker));
}

/* --- the file's name -------------------------------------------------------------------------- */

#define IFNAME_LEN 15

/* wg-quick's own test. */
static bool is_good_name(const char *name)
{
	size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789_=+.-");
	const size_t end = strlen(".conf");

	return !name[len] && len > end && len - end <= IFNAME_LEN &&
	       strcmp(name + len - end, ".conf") == 0;
}

static void check_name(struct eg_wgchecker *checker)
{
	const char *name = checker->facts->name;
	const char *slash = name ? strrchr(name, '/') : NULL;

	name = slash ? slash + 1 : name;
	if (!name || is_good_name(name))
		return;
	eg_wgfind(checker, EG_WGFINDING_FILE_NAME, EG_WGNOWHERE,
		  "'%s' is no name that wg-quick takes: 1 to %d of a-z A-Z 0-9 _ = + . - and then "
		  ".conf",
		  name, IFNAME_LEN);
	eg_wgfix(checker, "call it wg0.conf");
}

/* --- the report ------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const struct eg_wgfinding *left = a, *right = b;

	if (left->line != right->line)
		return left->line < right->line ? -1 : 1;
	if (left->column != right->column)
		return left->column < right->column ? -1 : 1;
	if (left->id != right->id)
		return left->id < right->id ? -1 : 1;
	return strcmp(left->what, right->what);
}

static void finish(struct eg_wgreport *report)
{
	if (report->n_findings)
		qsort(report->findings, report->n_findings, sizeof(report->findings[0]), compare);
	for (size_t i = 0; i < report->n_findings; i++)
		report->counts[eg_wgfinding_infos[report->findings[i].id].severity]++;
}

int eg_wgcheck(const struct eg_wgfile *file, const struct eg_wgfacts *facts,
	       struct eg_wgreport **ret_report)
{
	EG_AUTO_WGREPORT struct eg_wgreport *report = calloc(1, sizeof(*report));
	EG_AUTO_WGMODEL struct eg_wgmodel *model = NULL;
	struct eg_wgchecker checker = {.file = file, .facts = facts, .report = report};

	if (!report || eg_wgmodel_read(file, facts, &model) < 0)
		return -ENOMEM;
	checker.model = model;
	find_secrets(&checker);
	check_mode(&checker);
	check_name(&checker);
	eg_wgcheck_format(&checker);
	eg_wgcheck_hooks(&checker);
	eg_wgcheck_routes(&checker);
	eg_wgcheck_kill_switch(&checker);
	free(checker.secrets);
	if (checker.failed)
		return -ENOMEM;
	finish(report);
	*ret_report = EG_TAKE(report);
	return 0;
}

void eg_wgreport_free(struct eg_wgreport *report)
{
	if (!report)
		return;
	for (size_t i = 0; i < report->n_findings; i++) {
		free(report->findings[i].what);
		free(report->findings[i].fix);
	}
	free(report->findings);
	free(report);
}
