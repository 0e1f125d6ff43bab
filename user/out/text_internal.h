/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the text renderer share. */
#ifndef EG_TEXT_INTERNAL_H
#define EG_TEXT_INTERNAL_H

#include "out/format.h"
#include "out/render.h"

#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define BOLD   "\033[1m"
#define PLAIN  "\033[0m"

/* `color` is one of those above; it is left out where the line is not `colored`. */
void eg_put_colored(struct eg_text *line, bool colored, const char *color, const char *text);

/* "1 packet", "2 packets". */
void eg_put_count(struct eg_text *text, __u64 n, const char *what);

/* The renderer's verification and doctor (out/render.h): 0 or -errno. */
int eg_text_verification(const struct eg_verify_view *verify, FILE *to);
int eg_text_doctor(const struct eg_doctor_report *report, FILE *to);

#endif /* EG_TEXT_INTERNAL_H */
