// SPDX-License-Identifier: GPL-2.0
#include "net/patience.h"

/* A namespace takes the place of another one now and then, with all its patience: nobody inside can
 * choose its number. */
#define PLACES 1024

struct patience {
	__u64 inode;
	__s64 left_ms;
	__s64 since_ms; /* when that was so */
};

static struct patience *find(__u64 inode, __s64 now_ms)
{
	static struct patience places[PLACES];
	struct patience *patience = &places[inode % PLACES];
	__s64 back;

	if (patience->inode != inode)
		*patience = (struct patience){
			.inode = inode, .left_ms = EG_PATIENCE_MS, .since_ms = now_ms};
	back = (now_ms - patience->since_ms) / EG_PATIENCE_SHARE;
	if (back > 0) {
		patience->left_ms += back;
		patience->since_ms = now_ms;
	}
	if (patience->left_ms > EG_PATIENCE_MS)
		patience->left_ms = EG_PATIENCE_MS;
	return patience;
}

/* Less than a prompt answer takes would never be one. */
__s64 eg_patience_left(__u64 netns_inode, __s64 now_ms)
{
	const struct patience *patience = find(netns_inode, now_ms);

	return patience->left_ms < EG_PATIENCE_PROMPT_MS ? 0 : patience->left_ms;
}

void eg_patience_take(__u64 netns_inode, __s64 now_ms, __s64 took_ms, int answered)
{
	struct patience *patience = find(netns_inode, now_ms);

	/* The time that it took is none in which patience came back. */
	patience->since_ms = now_ms;
	if (answered && took_ms < EG_PATIENCE_PROMPT_MS)
		patience->left_ms = EG_PATIENCE_MS;
	else
		patience->left_ms -= took_ms;
	if (patience->left_ms < 0)
		patience->left_ms = 0;
}
