/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the judging share. */
#ifndef EG_DOCTOR_JUDGE_INTERNAL_H
#define EG_DOCTOR_JUDGE_INTERNAL_H

#include <stdarg.h>

#include "doctor/judge.h"
#include "util/text.h"

struct eg_doctor_judging {
	const struct eg_doctor_facts *facts;
	struct eg_doctor_report *report;
	const char *area; /* the check that is being made */
	bool wrong;
	char doubt[512]; /* why this check cannot tell; "" */
	bool failed;
	bool other_server; /* the configuration names another than the one in force */
	bool one_backend;  /* something is dropped that one of two backends lets pass */
};

/* NULL and `failed`: no memory. */
char *eg_doctor_format(struct eg_doctor_judging *judging, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

/* One check: what is found, or doubted, between the two is of this one. `format` says what was seen
 * if all is well. */
void eg_doctor_begin(struct eg_doctor_judging *judging, const char *area);
void eg_doctor_end(struct eg_doctor_judging *judging, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void eg_doctor_doubt(struct eg_doctor_judging *judging, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The next two are of the last finding. */
void eg_doctor_find(struct eg_doctor_judging *judging, enum eg_doctor_id id, const char *format,
		    ...) __attribute__((format(printf, 3, 4)));
void eg_doctor_evidence(struct eg_doctor_judging *judging, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void eg_doctor_severity(struct eg_doctor_judging *judging, enum eg_wgseverity severity);

bool eg_doctor_has(const struct eg_doctor_judging *judging, enum eg_doctor_id id);
/* Whether anything is wrong with the tunnel, its routes or its rules: what fails beyond may follow
 * from it. */
bool eg_doctor_tunnel_is_wrong(const struct eg_doctor_judging *judging);

/* Whether something is wrong by which nothing can come back through the tunnel. */
bool eg_doctor_is_silenced(const struct eg_doctor_judging *judging);

/* What the tunnel is to carry of a family, by its configuration, or else by its peers. */
bool eg_doctor_wants(const struct eg_doctor_facts *facts, __u8 family);
/* Whether the tunnel has an address of a family, link-local ones apart. */
bool eg_doctor_has_address(const struct eg_doctor_facts *facts, __u8 family);
/* The table of the tunnel's rules, which is its mark. */
__u32 eg_doctor_table(const struct eg_doctor_facts *facts);
/* A packet to `far` that leaves by the underlay. */
struct eg_doctor_packet eg_doctor_past_tunnel(const struct eg_doctor_facts *facts,
					      const struct eg_prefix *far);
/* An address of the internet's. */
struct eg_prefix eg_doctor_public(__u8 family);
/* The router of the underlay, by the routes that are there. */
bool eg_doctor_gateway(const struct eg_doctor_facts *facts, __u8 family,
		       union eg_addr *ret_gateway);
/* The one that is taken of those of a prefix in a table, NULL: none. */
const struct eg_route *eg_doctor_find_route(const struct eg_doctor_facts *facts,
					    const struct eg_prefix *prefix, __u32 table);
/* The table of a hook's route; false where only the shell knows it. */
bool eg_doctor_has_table(const struct eg_doctor_facts *facts, const struct eg_wgop *op,
			 __u32 *ret_table);
/* "IPv4" */
const char *eg_doctor_family(__u8 family);

void eg_doctor_judge_handshake(struct eg_doctor_judging *judging);
void eg_doctor_judge_containers(struct eg_doctor_judging *judging);
void eg_doctor_judge_tunnel(struct eg_doctor_judging *judging);
void eg_doctor_judge_conf(struct eg_doctor_judging *judging);
void eg_doctor_judge_routes(struct eg_doctor_judging *judging);
void eg_doctor_judge_holding(struct eg_doctor_judging *judging);
void eg_doctor_judge_dns(struct eg_doctor_judging *judging);
void eg_doctor_judge_ports(struct eg_doctor_judging *judging);

#endif /* EG_DOCTOR_JUDGE_INTERNAL_H */
