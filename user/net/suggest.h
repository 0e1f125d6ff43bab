/* SPDX-License-Identifier: GPL-2.0 */
#ifndef EG_NET_SUGGEST_H
#define EG_NET_SUGGEST_H

#include "util/text.h"

/* What may have been meant by a name that is nobody's, as the end of a sentence: the container that
 * compose made of the service of that name, else the nearest name there is; nothing where there is
 * none. Asked are all engines, and /run/netns, or the one runtime alone where that is not negative.
 */
void eg_target_suggest(const char *name, int runtime, struct eg_text *hint);

#endif /* EG_NET_SUGGEST_H */
