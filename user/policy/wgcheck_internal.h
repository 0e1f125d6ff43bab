/* SPDX-License-Identifier: GPL-2.0 */
/* Between the files of the check. */
#ifndef EG_WGCHECK_INTERNAL_H
#define EG_WGCHECK_INTERNAL_H

#include "policy/wgcheck.h"

struct eg_wgchecker {
	const struct eg_wgfile *file;
	const struct eg_wgfacts *facts;
	const struct eg_wgmodel *model;
	struct eg_wgreport *report;
	struct eg_token *secrets; /* what no message may have a part of */
	size_t n_secrets;
	bool failed;
};

/* What to call the file in a command; never NULL. */
static inline const char *eg_wgname(const struct eg_wgchecker *checker)
{
	return checker->facts->name ? checker->facts->name : "FILE";
}

/* The file as a whole. */
#define EG_WGNOWHERE ((struct eg_wgplace){})

static inline struct eg_wgplace eg_wgat(const struct eg_wgline *line, unsigned int column)
{
	return (struct eg_wgplace){line->number, column};
}

/* What is wrong; then eg_wgfix() says what to do. */
void eg_wgfind(struct eg_wgchecker *checker, enum eg_wgfinding_id id, struct eg_wgplace place,
	       const char *format, ...) __attribute__((format(printf, 4, 5)));
void eg_wgfix(struct eg_wgchecker *checker, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A command's words as they would be run, at most so many bytes of them, safe to print. */
#define EG_WGCOMMAND_LEN 240
char *eg_wgcommand_format(const struct eg_wgchecker *checker, const struct eg_wgop *op,
			  char to[EG_WGCOMMAND_LEN]);

void eg_wgcheck_format(struct eg_wgchecker *checker); /* lines and values */
void eg_wgcheck_hooks(struct eg_wgchecker *checker);  /* what is run when */
void eg_wgcheck_routes(struct eg_wgchecker *checker); /* what takes the tunnel */
/* What must get through the chains of one IP version: the LAN where no kill switch comes `early`,
 * WireGuard's own packets, the tunnel, loopback. */
void eg_wgcheck_passes(struct eg_wgchecker *checker, __u8 family, bool early);
/* No address of the internet: private, link-local, multicast. */
bool eg_wgcheck_is_private(const struct eg_prefix *prefix);
void eg_wgcheck_kill_switch(struct eg_wgchecker *checker); /* and what is held back */

#endif /* EG_WGCHECK_INTERNAL_H */
