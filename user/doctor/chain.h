/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The OUTPUT chains that a namespace has in force, from what iptables-save prints of either
 * backend, and what they do with a packet. PURE.
 */
#ifndef EG_DOCTOR_CHAIN_H
#define EG_DOCTOR_CHAIN_H

#include "policy/wgmodel.h"

/* Why something is not known: a sentence, or its end. */
#define EG_DOCTOR_WHY 512

enum eg_doctor_backend {
	EG_DOCTOR_LEGACY,
	EG_DOCTOR_NFT,
	EG_DOCTOR_BACKENDS
};
extern const char *const eg_doctor_backend_names[EG_DOCTOR_BACKENDS]; /* "legacy", "nft" */

/* One backend. */
struct eg_doctor_tables {
	bool known;              /* the chains are what there is */
	char why[EG_DOCTOR_WHY]; /* if not */
	bool others;             /* tables of nftables' own, which iptables does not show */
	bool no_ipv6;            /* the chain of IPv6 is not known */
	char *text;
	struct eg_wgfile *file;
	struct eg_wgmodel *model; /* its chain4, chain6 */
};

/*
 * Reads what iptables-save (`text4`) and ip6tables-save (`text6`) printed; either may be empty, for
 * no rules. 0 or -ENOMEM.
 */
int eg_doctor_tables_read(const char *text4, const char *text6, const char *ifname,
			  struct eg_doctor_tables *ret_tables);
void eg_doctor_tables_free(struct eg_doctor_tables *tables);

enum eg_doctor_fate {
	EG_DOCTOR_PASSES,
	EG_DOCTOR_DROPPED,
	EG_DOCTOR_MAYBE, /* a rule says that is not followed here */
};

struct eg_doctor_packet {
	struct eg_prefix dst; /* a whole address */
	const char *out;      /* its interface */
	bool tunnel;          /* which is the tunnel */
	__u32 mark;
};

/* What becomes of a packet that belongs to no connection yet, through all backends: dropped where
 * one of them drops it. */
enum eg_doctor_fate eg_doctor_fate(const struct eg_doctor_tables tables[EG_DOCTOR_BACKENDS],
				   const struct eg_doctor_packet *packet);

#endif /* EG_DOCTOR_CHAIN_H */
