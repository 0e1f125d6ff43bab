/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How long one namespace may keep us waiting, for all that is asked of something inside it
 * together: it can have any number of silent tunnels, and be asked for each more than once, by a
 * command that has the lock of all guards, or by a daemon that has other namespaces. PURE but for
 * what it keeps; not for threads.
 *
 * What was used up comes back: at once with a prompt answer, else with time, a twentieth of it. So
 * who is always slow costs that much, and who was slow once is asked again.
 */
#ifndef EG_PATIENCE_H
#define EG_PATIENCE_H

#include <linux/types.h>

#define EG_PATIENCE_MS        6000
#define EG_PATIENCE_PROMPT_MS 500
#define EG_PATIENCE_SHARE     20

/* Milliseconds that the namespace may take now; 0: it is not to be asked. `now_ms`: of a clock that
 * does not go back. */
__s64 eg_patience_left(__u64 netns_inode, __s64 now_ms);

/* It has been asked, and has taken so long. */
void eg_patience_take(__u64 netns_inode, __s64 now_ms, __s64 took_ms, int answered);

#endif /* EG_PATIENCE_H */
