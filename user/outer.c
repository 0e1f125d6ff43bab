// SPDX-License-Identifier: GPL-2.0
#include "outer.h"

#include <string.h>

void eg_outer_tell(const struct eg_netns *netns, const struct eg_tunnel *tunnel,
		   const struct eg_wg_device *device, struct eg_text *lines)
{
	bool kernel = tunnel->kind == EG_TUNNEL_KERNEL;
	int result = eg_wg_sends_elsewhere(netns, &tunnel->link, device);
	char name[4 * IFNAMSIZ];

	eg_escape(name, sizeof(name), tunnel->link.name, sizeof(tunnel->link.name));
	if (result < 0)
		eg_text_printf(lines,
			       "whether the outer packets of %s leave from this namespace is not "
			       "known: %s\n",
			       name, strerror(-result));
	else if (result)
		eg_text_printf(lines,
			       "%s has no UDP socket in this namespace: its outer packets leave "
			       "from another one, which %s, and the guard does not see them: %s "
			       "in this one\n",
			       name, kernel ? "it was made in" : "its process is in",
			       kernel ? "make it" : "run that");
}
