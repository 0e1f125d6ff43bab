// SPDX-License-Identifier: GPL-2.0
#include "policy/wgrender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/wgrender_internal.h"
#include "util/cleanup.h"

const char *const eg_wgkill_names[3] = {"both", "iptables", "egressguard"};

#define ROUNDS_MAX 16
#define REPLACED   "# wgconf render: was: "

/* --- lines that stay -------------------------------------------------------------------------- */

static void put_raw(struct eg_wgrenderer *renderer, const struct eg_wgline *line)
{
	eg_text_add(&renderer->text, line->raw, line->raw_len);
	eg_text_add(&renderer->text, "\n", 1);
}

/* A separator, and what stands there without the blanks that end it. */
static void put_piece(struct eg_wgrenderer *renderer, const char *separator, const char *text,
		      size_t len)
{
	while (len && strchr(" \t;", text[len - 1]))
		len--;
	eg_text_printf(&renderer->text, "%s%.*s", separator, (int)len, text);
}

static void put_parts(struct eg_wgrenderer *renderer, size_t at, size_t list, const char *separator)
{
	const struct eg_wghook *hook = &renderer->model->hooks->hooks[at];
	struct eg_wgpart parts[EG_WGPARTS_MAX];
	size_t n = eg_wgparts_find(renderer->model, at, list, parts);

	for (size_t i = 0; i < n; i++) {
		if (!parts[i].stays)
			continue;
		put_piece(renderer, separator, hook->text + parts[i].from,
			  parts[i].to - parts[i].from);
		separator = " && ";
	}
}

/* The commands of a hook that stay, as a line of their own. */
static void put_rest(struct eg_wgrenderer *renderer, size_t at)
{
	const struct eg_wghook *hook = &renderer->model->hooks->hooks[at];
	const char *separator = "";

	eg_text_printf(&renderer->text, "%s = ", eg_wgkey_name(hook->line->key));
	for (size_t list = 0; list < hook->shell->n_spans; list++) {
		const struct eg_shell_span *span = &hook->shell->spans[list];
		enum eg_wgfate fate = span->assigns ? EG_WGFATE_KEEP
						    : eg_wgfate_of_list(renderer->model, at, list);

		if (span->to <= span->from || fate == EG_WGFATE_GO)
			continue;
		if (fate == EG_WGFATE_PART)
			put_parts(renderer, at, list, separator);
		else
			put_piece(renderer, separator, hook->text + span->from,
				  span->to - span->from);
		separator = "; ";
	}
	eg_text_printf(&renderer->text, "%s", renderer->end);
}

/* A hook without its backslashes. */
static void put_joined(struct eg_wgrenderer *renderer, size_t at)
{
	const struct eg_wghook *hook = &renderer->model->hooks->hooks[at];
	const char *separator = "";

	eg_text_printf(&renderer->text, "%s = ", eg_wgkey_name(hook->line->key));
	for (const char *word = hook->text; *word;) {
		size_t len = strcspn(word, "\t");

		eg_text_printf(&renderer->text, "%s%.*s", separator, (int)len, word);
		word += len + strspn(word + len, "\t");
		separator = " ";
	}
	eg_text_printf(&renderer->text, "%s", renderer->end);
}

static size_t find_hook(const struct eg_wgmodel *model, const struct eg_wgline *line)
{
	for (size_t i = 0; i < model->hooks->n_hooks; i++) {
		if (model->hooks->hooks[i].line == line)
			return i;
	}
	return (size_t)-1;
}

/* The hook at line `at` with what continues it. Returns the line after. */
static size_t put_hook(struct eg_wgrenderer *renderer, size_t at, size_t hook)
{
	const struct eg_wgfile *file = renderer->file;
	enum eg_wgfate fate = eg_wgfate_of_hook(renderer->model, hook);
	bool continued = renderer->model->hooks->hooks[hook].continued;
	size_t next = at;

	do {
		if (fate != EG_WGFATE_KEEP || continued)
			eg_text_printf(&renderer->text, REPLACED);
		put_raw(renderer, &file->lines[next++]);
	} while (next < file->n_lines && file->lines[next].kind == EG_WGLINE_CONTINUED);
	if (fate == EG_WGFATE_PART)
		put_rest(renderer, hook);
	else if (fate == EG_WGFATE_KEEP && continued)
		put_joined(renderer, hook);
	return next;
}

/* Everything but what was rendered before, with the edits made by hand as comments. */
static void put_base(struct eg_wgrenderer *renderer)
{
	const struct eg_wgfile *file = renderer->file;

	for (size_t i = 0; i < file->n_lines;) {
		const struct eg_wgline *line = &file->lines[i];
		size_t hook = find_hook(renderer->model, line);

		if (eg_wgline_begins(line, EG_WGRENDER_BEGIN)) {
			while (i < file->n_lines &&
			       !eg_wgline_begins(&file->lines[i], EG_WGRENDER_END) &&
			       file->lines[i].kind != EG_WGLINE_SECTION)
				i++;
			i += i < file->n_lines &&
			     eg_wgline_begins(&file->lines[i], EG_WGRENDER_END);
		} else if (hook != (size_t)-1) {
			i = put_hook(renderer, i, hook);
		} else {
			if (eg_wgedit_is_table_off(renderer->model, line))
				eg_text_printf(&renderer->text, REPLACED);
			put_raw(renderer, line);
			i++;
		}
	}
}

/* --- the file --------------------------------------------------------------------------------- */

/* The last line of the first [Interface] that says something: the block comes behind it. */
static size_t find_place(const struct eg_wgfile *file)
{
	size_t place = 0;
	bool in = false;

	for (size_t i = 0; i < file->n_lines; i++) {
		const struct eg_wgline *line = &file->lines[i];

		if (line->kind == EG_WGLINE_SECTION) {
			if (in)
				break;
			in = line->section == EG_WGSECTION_INTERFACE;
		}
		if (in && line->kind != EG_WGLINE_EMPTY)
			place = i + 1;
	}
	return place;
}

/* Behind comments that follow a hook at once, too: they belong to it. */
static size_t after_comments(const struct eg_wgfile *file, size_t place)
{
	while (place && place < file->n_lines && file->lines[place].kind == EG_WGLINE_EMPTY &&
	       eg_wgline_begins(&file->lines[place], REPLACED))
		place++;
	return place;
}

static const char *line_end(const struct eg_wgfile *file)
{
	if (file->n_lines && file->lines[0].raw_len &&
	    file->lines[0].raw[file->lines[0].raw_len - 1] == '\r')
		return "\r\n";
	return "\n";
}

/* Renders `renderer->file` into its text. */
static int render(struct eg_wgrenderer *renderer, const struct eg_wgfacts *facts)
{
	EG_AUTO_FREE char *base_text = NULL;
	EG_AUTO_WGFILE struct eg_wgfile *base_file = NULL;
	EG_AUTO_WGMODEL struct eg_wgmodel *base = NULL;
	size_t place;

	put_base(renderer);
	base_text = eg_text_take(&renderer->text);
	renderer->text = (struct eg_text){};
	if (!base_text || eg_wgfile_parse(base_text, strlen(base_text), &base_file, NULL) < 0 ||
	    eg_wgmodel_read(base_file, facts, &base) < 0)
		return -ENOMEM;
	renderer->base = base;
	eg_text_add(&renderer->text, "", 0);
	place = after_comments(base_file, find_place(base_file));
	for (size_t i = 0; i < base_file->n_lines; i++) {
		if (i == place && place)
			eg_wgblock_put(renderer);
		put_raw(renderer, &base_file->lines[i]);
	}
	if (place && place == base_file->n_lines)
		eg_wgblock_put(renderer);
	renderer->base = NULL;
	return renderer->failed || renderer->text.failed ? -ENOMEM : 0;
}

/* Without what no reader of the format takes. */
static const char *skip_mark(const struct eg_wgfile *file, size_t *ret_len)
{
	size_t skip = file->byte_order_mark ? 3 : 0;

	*ret_len = file->len - skip;
	return file->text + skip;
}

static int render_once(const char *from, size_t len, const struct eg_wgfacts *facts,
		       enum eg_wgkill kill, char **ret_text, struct eg_error *error)
{
	EG_AUTO_WGFILE struct eg_wgfile *file = NULL;
	EG_AUTO_WGMODEL struct eg_wgmodel *model = NULL;
	struct eg_wgrenderer renderer = {.kill = kill};
	int result = eg_wgfile_parse(from, len, &file, NULL);

	if (result == 0)
		result = eg_wgmodel_read(file, facts, &model);
	if (result == 0 && model)
		result = eg_wgedits_refuse(model, error);
	if (result < 0 || !model)
		return result;
	renderer.file = file;
	renderer.model = model;
	renderer.end = line_end(file);
	eg_wgblock_find_lan(&renderer);
	result = renderer.failed ? -ENOMEM : render(&renderer, facts);
	free(renderer.lan);
	if (result == 0)
		*ret_text = eg_text_take(&renderer.text);
	else
		eg_text_free(&renderer.text);
	return result == 0 && !*ret_text ? -ENOMEM : result;
}

/* What is left of a hook may read otherwise than it did before its other half: do it until nothing
 * changes. The first round is nearly always the last. */
static int render_all(const struct eg_wgfile *file, const struct eg_wgfacts *facts,
		      enum eg_wgkill kill, char **ret_text, struct eg_error *error)
{
	EG_AUTO_FREE char *text = NULL;
	size_t len;
	const char *from = skip_mark(file, &len);
	int result = render_once(from, len, facts, kill, &text, error);

	for (int round = 0; result == 0 && text && round < ROUNDS_MAX; round++) {
		char *next = NULL;
		bool done;

		result = render_once(text, strlen(text), facts, kill, &next, error);
		if (result < 0 || !next)
			break;
		done = strcmp(text, next) == 0;
		free(text);
		text = next;
		if (done)
			break;
	}
	if (result == 0)
		*ret_text = EG_TAKE(text);
	return result;
}

int eg_wgrender(const struct eg_wgfile *file, const struct eg_wgfacts *facts, enum eg_wgkill kill,
		char **ret_text, struct eg_wgreport **ret_report, struct eg_error *error)
{
	EG_AUTO_WGFILE struct eg_wgfile *rendered = NULL;
	EG_AUTO_FREE char *text = NULL;
	int result = render_all(file, facts, kill, &text, error);

	if (result == 0 && text)
		result = eg_wgfile_parse(text, strlen(text), &rendered, NULL);
	if (result == 0)
		result = eg_wgcheck(rendered, facts, ret_report);
	if (result == 0)
		*ret_text = EG_TAKE(text);
	return result;
}
