/* SPDX-License-Identifier: GPL-2.0 */
/* eg_decide() on the host, over an image. PURE. */
#ifndef EG_JUDGE_H
#define EG_JUDGE_H

#include "eg_packet.h"
#include "policy/explain.h"
#include "policy/image.h"

/* Whose tables and switches decide. A NULL member is what the image says. */
struct eg_case {
	const struct eg_image *image;
	const struct eg_config *config;
	const struct eg_addr_value *src; /* what is true of the packet's source */
	const struct eg_addr_value *dst; /* and of its destination */
};

/* Rows 6 to 17. */
enum eg_reason eg_case_decide(const struct eg_case *asked, const struct eg_packet *packet);

/* What the programs try before eg_judge(): the same reason, or a negative number where the frame is
 * not plain (eg_plain.h). */
int eg_image_judge_plain(const struct eg_image *image, const struct eg_host_frame *frame,
			 struct eg_packet *ret_packet);

/* Whether row 13 lets the protocol pass without a rule that lists it. */
bool eg_proto_is_plain(__u8 family, __u8 proto);

#endif /* EG_JUDGE_H */
