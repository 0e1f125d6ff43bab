/* SPDX-License-Identifier: GPL-2.0 */
/* The host-side end of a veth, watched: every frame that comes out of the namespace there, before
 * any hook of that end (the layer `peer` among them) has had its say. */
#ifndef EG_FAR_END_H
#define EG_FAR_END_H

#include "net/link.h"

struct eg_far_end; /* a packet socket, which goes with us */
typedef void (*eg_far_end_frame)(const __u8 *frame, size_t len, void *argument);

/* Watches the other end of a veth from now on: `call` gets, in eg_far_end_read(), each frame that
 * comes out there. 0 or -errno. */
int eg_far_end_open(const struct eg_peer *peer, eg_far_end_frame call, void *argument,
		    struct eg_far_end **ret_far_end);
void eg_far_end_close(struct eg_far_end *far_end);
static inline void eg_far_end_closep(struct eg_far_end **far_end)
{
	eg_far_end_close(*far_end);
}

/* Readable when frames are there: for poll(2). */
int eg_far_end_fd(const struct eg_far_end *far_end);
/* Calls with each frame that is there; 0 or -errno. */
int eg_far_end_read(struct eg_far_end *far_end);
/* Frames that did not fit since it was opened. */
__u64 eg_far_end_lost(struct eg_far_end *far_end);

#endif /* EG_FAR_END_H */
