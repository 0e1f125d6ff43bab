/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the readers of the hooks' commands share: words, and one reader for each program. PURE.
 */
#ifndef EG_WGHOOKS_INTERNAL_H
#define EG_WGHOOKS_INTERNAL_H

#include "policy/wghooks.h"
#include "util/text.h"

struct eg_wgreader {
	struct eg_wghooks *hooks;
	const char *ifname; /* what %i means, or NULL */
	bool failed;        /* there is no memory */
};

/* --- words: wghooks_words.c ---------------------------------------------------------------------
 */

bool eg_wgword_is(const char *a, const char *b);
/* `words` ends with NULL. */
bool eg_wgword_is_of(const char *word, const char *const *words);
/* `ip` takes any beginning of its words. */
bool eg_wgword_begins(const char *word, const char *whole);
bool eg_wgword_is_tunnel(const struct eg_wgreader *reader, const char *word);
/* The same thing said in another way is the same. */
const char *eg_wgword_normal(const struct eg_wgreader *reader, const char *word);
/* "" behind the last one. */
const char *eg_wgword_at(const struct eg_shell_command *command, size_t i);
/* The words from `from` on, in their normal form, each after a blank. */
void eg_wgword_add_all(const struct eg_wgreader *reader, struct eg_text *text,
		       const struct eg_shell_command *command, size_t from);

/* --- programs: what the words from `at` on do, into `op`
 * -------------------------------------------- */

/* wghooks_ip.c */
void eg_wgread_ip(struct eg_wgreader *reader, const struct eg_shell_command *command, size_t at,
		  const struct eg_wghook *hook, struct eg_wgop *op);

/* wghooks_tools.c; iptables and its kin go by `op->tool` */
void eg_wgread_tables(struct eg_wgreader *reader, const struct eg_shell_command *command, size_t at,
		      struct eg_wgop *op);
void eg_wgread_nft(const struct eg_shell_command *command, size_t at, struct eg_wgop *op);
void eg_wgread_wg(struct eg_wgreader *reader, const struct eg_shell_command *command, size_t at,
		  struct eg_wgop *op);
void eg_wgread_sysctl(struct eg_wgreader *reader, const struct eg_shell_command *command, size_t at,
		      struct eg_wgop *op);
/* A harmless program that writes into /proc/sys: all its words are looked at. */
void eg_wgread_writes(struct eg_wgreader *reader, const struct eg_shell_command *command,
		      struct eg_wgop *op);

#endif /* EG_WGHOOKS_INTERNAL_H */
