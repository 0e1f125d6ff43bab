/* SPDX-License-Identifier: GPL-2.0 */
#ifndef EG_THREAD_H
#define EG_THREAD_H

#include <pthread.h>

/* A thread that takes no signals: those are for the threads that were there before. 0 or -errno;
 * the caller joins or detaches it. */
int eg_thread_start(pthread_t *ret_thread, void *(*function)(void *argument), void *argument);

#endif /* EG_THREAD_H */
