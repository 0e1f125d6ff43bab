// SPDX-License-Identifier: GPL-2.0
#include "util/thread.h"

#include <signal.h>

int eg_thread_start(pthread_t *ret_thread, void *(*function)(void *argument), void *argument)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(ret_thread, NULL, function, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -err;
}
