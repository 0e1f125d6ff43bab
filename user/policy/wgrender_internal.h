/* SPDX-License-Identifier: GPL-2.0 */
/* Between the files of the renderer. */
#ifndef EG_WGRENDER_INTERNAL_H
#define EG_WGRENDER_INTERNAL_H

#include <string.h>

#include "policy/wgrender.h"
#include "util/text.h"

#define EG_WGRENDER_CHAIN "EGRESSGUARD-%i"

struct eg_wgrenderer {
	const struct eg_wgfile *file;
	const struct eg_wgmodel *model; /* of the file as it was */
	const struct eg_wgmodel *base;  /* of what is left of it */
	enum eg_wgkill kill;
	struct eg_prefix *lan; /* what goes past the tunnel */
	size_t n_lan;
	const char *end; /* of a line */
	struct eg_text text;
	bool failed;
};

/* --- what the file did by hand (wgrender_edits.c) --------------------------------------------- */

/* What becomes of a hook, or of a list of its commands, that may make the pattern's edits. */
enum eg_wgfate {
	EG_WGFATE_KEEP,
	EG_WGFATE_GO,
	EG_WGFATE_PART,  /* some of its commands go */
	EG_WGFATE_STUCK, /* some ought to go, and cannot be taken out alone */
};

/* A part of a list, by its place in the hook's text. */
struct eg_wgpart {
	size_t from, to;
	bool stays;
};

#define EG_WGPARTS_MAX 64

enum eg_wgfate eg_wgfate_of_list(const struct eg_wgmodel *model, size_t hook, size_t list);
enum eg_wgfate eg_wgfate_of_hook(const struct eg_wgmodel *model, size_t hook);
/* The commands of a list that `&&` joins, with what stands before the first. Returns how many, 0:
 * they cannot be told apart. */
size_t eg_wgparts_find(const struct eg_wgmodel *model, size_t hook, size_t list,
		       struct eg_wgpart parts[EG_WGPARTS_MAX]);
/* -EINVAL and the error for what would come to harm beside the rendered edits, or by half. */
int eg_wgedits_refuse(const struct eg_wgmodel *model, struct eg_error *error);
/* `Table = off`, where the hooks then do what wg-quick does without it. */
bool eg_wgedit_is_table_off(const struct eg_wgmodel *model, const struct eg_wgline *line);
/* LAN, or shared addresses: what a route past the tunnel may be for. */
bool eg_wgedit_is_private(const struct eg_prefix *prefix);

/* --- what is written instead (wgrender_block.c) ----------------------------------------------- */

/* Fills renderer->lan, from the file as it was. */
void eg_wgblock_find_lan(struct eg_wgrenderer *renderer);
void eg_wgblock_put(struct eg_wgrenderer *renderer);

static inline bool eg_wgline_begins(const struct eg_wgline *line, const char *text)
{
	return line->raw_len >= strlen(text) && memcmp(line->raw, text, strlen(text)) == 0;
}

#endif /* EG_WGRENDER_INTERNAL_H */
