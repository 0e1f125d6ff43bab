/* SPDX-License-Identifier: GPL-2.0 */
/* How an outgoing device is told to be a declared tunnel, for the layers that see it. */
#ifndef EG_TUNNEL_H
#define EG_TUNNEL_H

#include "maps.h"

/* ARPHRD_NONE: a tun in IP mode */
#define EG_ARPHRD_NONE 0xfffe

/* Names are compared up to their final NUL: behind it stands what was there before. The first that
 * is not there is behind the last. */
EG_INLINE int eg_tunnel_is_declared(const __u64 name[EG_TUNNEL_NAME_WORDS], __u32 slot)
{
	const struct eg_tunnels *declared = bpf_map_lookup_elem(&tunnels, &slot);

	if (!declared)
		return 0;
	for (__u32 i = 0; i < EG_TUNNELS_MAX; i++) {
		const struct eg_tunnel_name *tunnel = &declared->names[i];

		if (!tunnel->mask[0])
			return 0;
		if ((name[0] & tunnel->mask[0]) == tunnel->name[0] &&
		    (name[1] & tunnel->mask[1]) == tunnel->name[1])
			return 1;
	}
	return 0;
}

/* As two words, zero behind the text: there is no memcmp() here. */
#define EG_KIND_IS(kind, text)                                                                     \
	({                                                                                         \
		__u64 wanted_[2] = {};                                                             \
		__builtin_memcpy(wanted_, text, sizeof(text));                                     \
		(kind)[0] == wanted_[0] && (kind)[1] == wanted_[1];                                \
	})

#endif /* EG_TUNNEL_H */
