/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rules that a namespace has in force in OUTPUT and INPUT, from what iptables-save prints of
 * either backend, and what they do with a packet. PURE.
 */
#ifndef EG_DOCTOR_CHAIN_H
#define EG_DOCTOR_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "policy/policy.h"

/* Why something is not known: a sentence, or its end. */
#define EG_DOCTOR_WHY 512

enum eg_doctor_backend {
	EG_DOCTOR_LEGACY,
	EG_DOCTOR_NFT,
	EG_DOCTOR_BACKENDS
};
extern const char *const eg_doctor_backend_names[EG_DOCTOR_BACKENDS]; /* "legacy", "nft" */

struct eg_doctor_rule {
	char *saved;  /* as iptables-save has it, behind "-A ": as it came */
	char **words; /* its own, unquoted; the first is its chain */
	size_t n_words;
	unsigned int number; /* within its chain, from 1 */
};

/* Of one family. */
struct eg_doctor_rules {
	struct eg_doctor_rule *rules; /* of all chains, as they were listed */
	size_t n;
	char **chains; /* those that are not the kernel's own */
	size_t n_chains;
	bool output_drops, input_drops; /* the policies */
	bool elsewhere; /* mangle, raw or security drop some of what leaves: not followed */
};

/* One backend. */
struct eg_doctor_tables {
	bool known;              /* the chains are what there is */
	char why[EG_DOCTOR_WHY]; /* if not */
	bool others;             /* tables of nftables' own, which iptables does not show */
	struct eg_doctor_rules four, six;
};

/*
 * Reads what iptables-save (`text4`) and ip6tables-save (`text6`) printed; either may be empty, for
 * no rules. 0 or -ENOMEM.
 */
int eg_doctor_tables_read(const char *text4, const char *text6,
			  struct eg_doctor_tables *ret_tables);
void eg_doctor_tables_free(struct eg_doctor_tables *tables);

/* How many rules OUTPUT has, without those of other chains. */
size_t eg_doctor_rules_count(const struct eg_doctor_rules *rules);

enum eg_doctor_fate {
	EG_DOCTOR_PASSES,
	EG_DOCTOR_DROPPED,
	EG_DOCTOR_MAYBE, /* a rule says that is not followed here */
};

/* A packet that leaves, or one that comes in. */
struct eg_doctor_packet {
	struct eg_prefix far; /* whom it goes to, or comes from: a whole address */
	const char *device;   /* the interface that it takes, NULL: not known */
	__u32 mark;
	__u8 proto;     /* 0: any, so that what a rule says of that is not followed */
	__u16 far_port; /* 0: any */
	__u16 own_port; /* 0: any */
	bool incoming;
	bool reply; /* to something that was sent, or received, before */
};

/* By which rule. */
struct eg_doctor_drop {
	enum eg_doctor_backend backend;
	const struct eg_doctor_rule *rule; /* NULL: by the policy */
	unsigned int n_backends;           /* how many of them drop it */
};

/* What becomes of a packet through all backends: dropped where one of them drops it; then *ret_drop
 * is the first that does, unless NULL. */
enum eg_doctor_fate eg_doctor_fate(const struct eg_doctor_tables tables[EG_DOCTOR_BACKENDS],
				   const struct eg_doctor_packet *packet,
				   struct eg_doctor_drop *ret_drop);

/* Whether one backend drops it. */
bool eg_doctor_drops(const struct eg_doctor_tables *tables, const struct eg_doctor_packet *packet,
		     const struct eg_doctor_rule **ret_rule);

/* Whether a rule has this pair of words, and no `!` before it: ("-o", "wg0"). */
bool eg_doctor_rule_has(const struct eg_doctor_rule *rule, const char *option, const char *value);

#endif /* EG_DOCTOR_CHAIN_H */
