// SPDX-License-Identifier: GPL-2.0
#include "daemon/mend.h"

#include <stdlib.h>
#include <string.h>

enum eg_mend eg_mend_next(struct eg_mending *mending, const char *reason, __u64 now_ns)
{
	bool is_same = mending->reason && strcmp(mending->reason, reason) == 0;

	if (mending->tried_ns && now_ns <= mending->tried_ns + EG_MEND_AGAIN_NS)
		return EG_MEND_WAIT;
	mending->tried_ns = now_ns;
	mending->in_vain = is_same;
	if (is_same)
		return EG_MEND_SILENT;
	free(mending->reason);
	mending->reason = strdup(reason); /* NULL: it is said once more */
	return EG_MEND_SAY;
}

void eg_mend_end(struct eg_mending *mending)
{
	free(mending->reason);
	*mending = (struct eg_mending){};
}
