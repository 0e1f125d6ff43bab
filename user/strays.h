/* SPDX-License-Identifier: GPL-2.0 */
/* Guards whose programs are in the kernel and whose pins are not where they are looked for. */
#ifndef EG_STRAYS_OF_COMMANDS_H
#define EG_STRAYS_OF_COMMANDS_H

#include "kern/pins.h"
#include "net/survey.h"
#include "options.h"
#include "util/text.h"

/*
 * One line for each such guard on a namespace's interfaces, and one that says what to do; nothing
 * where there is none, or where that cannot be told. `pin_dir` as the user gave it. What is being
 * made or taken away just now is waited for.
 */
void eg_strays_on_tell(const struct eg_pins *pins, const char *pin_dir,
		       const struct eg_netns *netns, const struct eg_survey *survey,
		       struct eg_text *lines);

/* Warns of all that there are, or of that guard which the command line names. */
void eg_strays_warn(const char *command, const struct eg_common *common);

#endif /* EG_STRAYS_OF_COMMANDS_H */
