/* SPDX-License-Identifier: GPL-2.0 */
/* How a finding is put right: words, and commands that work when they are pasted into a shell of
 * the machine's root. PURE. */
#ifndef EG_DOCTOR_REMEDY_H
#define EG_DOCTOR_REMEDY_H

#include "doctor/judge_internal.h"

/* A way to put the last finding right, in words; those of before stay, and are better. */
void eg_doctor_fix(struct eg_doctor_judging *judging, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A command of that way, after those that it has. */
void eg_doctor_run(struct eg_doctor_judging *judging, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The same, to be run inside the namespace. */
void eg_doctor_run_inside(struct eg_doctor_judging *judging, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* To let everything be made anew: a restart of the containers, or wg-quick down and up; only up
 * where there is no tunnel. The second adds it to the way that was begun. */
void eg_doctor_fix_restart(struct eg_doctor_judging *judging);
void eg_doctor_run_restart(struct eg_doctor_judging *judging);

/* To attach a guard, with `options` (" --replace", or ""), and what is known of the tunnel. */
void eg_doctor_run_attach(struct eg_doctor_judging *judging, const char *options);

/* To write the configuration anew, and let it be read. */
void eg_doctor_fix_render(struct eg_doctor_judging *judging, const char *why);

/* To let iptables pass what it drops: in each backend that drops `packet` its rule goes, where it
 * is for that alone (`own_option` and `own_value` are in it), else one with `match` is put before
 * all others. */
void eg_doctor_run_let(struct eg_doctor_judging *judging, const struct eg_doctor_packet *packet,
		       const char *own_option, const char *own_value, const char *match);

/* "iptables-nft: -A OUTPUT -o wg0 -j DROP" */
char *eg_doctor_say_drop(char to[EG_DOCTOR_WHY], const struct eg_doctor_packet *packet,
			 const struct eg_doctor_drop *drop);

/* All ways of a finding, in one text; NULL: no memory. The caller frees it. */
char *eg_doctor_fix_text(const struct eg_doctor_finding *finding);

#endif /* EG_DOCTOR_REMEDY_H */
