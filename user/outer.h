/* SPDX-License-Identifier: GPL-2.0 */
/* What is to be said of where a tunnel's outer packets leave. */
#ifndef EG_OUTER_H
#define EG_OUTER_H

#include "net/survey.h"
#include "util/text.h"

/*
 * Adds a line where they leave from another namespace than this one, and so past every layer on it,
 * or where that cannot be told. `device` is what the tunnel said just now.
 */
void eg_outer_tell(const struct eg_netns *netns, const struct eg_tunnel *tunnel,
		   const struct eg_wg_device *device, struct eg_text *lines);

#endif /* EG_OUTER_H */
