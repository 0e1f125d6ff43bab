// SPDX-License-Identifier: GPL-2.0
#include "finding.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/thread.h"

#define NS_PER_S  1000000000ULL
#define NS_PER_MS 1000000ULL

#define FRESH_NS (5000 * NS_PER_MS) /* so long an answer may wait for who asked */

struct eg_finding {
	pthread_mutex_t lock;
	pthread_cond_t done_now;
	char *target;
	__u64 asked_ns, done_ns;
	bool done;
	bool left; /* by who asked: the thread frees */

	struct eg_target found;
	struct eg_error error;
	int result;
};

static void destroy(struct eg_finding *finding)
{
	eg_target_close(&finding->found);
	pthread_mutex_destroy(&finding->lock);
	pthread_cond_destroy(&finding->done_now);
	free(finding->target);
	free(finding);
}

static void *find(void *argument)
{
	struct eg_finding *finding = argument;
	struct eg_target found = {.netns = EG_NETNS_NONE};
	struct eg_error error = {};
	int result = eg_target_find(finding->target, &found, &error);
	bool left;

	pthread_mutex_lock(&finding->lock);
	finding->found = found;
	finding->error = error;
	finding->result = result;
	finding->done_ns = eg_monotonic_ns();
	finding->done = true;
	left = finding->left;
	pthread_cond_signal(&finding->done_now);
	pthread_mutex_unlock(&finding->lock);
	if (left)
		destroy(finding);
	return NULL;
}

static int start(struct eg_finding *finding)
{
	pthread_t thread;
	int err = eg_thread_start(&thread, find, finding);

	if (!err)
		pthread_detach(thread);
	return err;
}

static int begin(const char *target, struct eg_finding **ret_finding)
{
	struct eg_finding *finding = calloc(1, sizeof(*finding));
	pthread_condattr_t monotonic;
	int result;

	if (!finding)
		return -ENOMEM;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&finding->lock, NULL);
	pthread_cond_init(&finding->done_now, &monotonic);
	pthread_condattr_destroy(&monotonic);
	finding->found.netns = EG_NETNS_NONE;
	finding->target = strdup(target);
	finding->asked_ns = eg_monotonic_ns();
	result = finding->target ? start(finding) : -ENOMEM;
	if (result < 0)
		destroy(finding);
	else
		*ret_finding = finding;
	return result;
}

static bool wait_for(struct eg_finding *finding, unsigned int wait_ms)
{
	const __u64 at = eg_monotonic_ns() + wait_ms * NS_PER_MS;
	const struct timespec until = {
		.tv_sec = (time_t)(at / NS_PER_S),
		.tv_nsec = (long)(at % NS_PER_S),
	};
	bool done;

	pthread_mutex_lock(&finding->lock);
	while (!finding->done &&
	       pthread_cond_timedwait(&finding->done_now, &finding->lock, &until) == 0)
		;
	done = finding->done;
	pthread_mutex_unlock(&finding->lock);
	return done;
}

/* Exit handlers of libraries take away what the thread still uses (OpenSSL's, below libcurl). */
static void leave(int status, void *argument)
{
	(void)argument;
	fflush(NULL);
	_exit(status);
}

void eg_finding_free(struct eg_finding *finding)
{
	static bool leaves;
	bool done;

	if (!finding)
		return;
	pthread_mutex_lock(&finding->lock);
	done = finding->done;
	finding->left = true;
	pthread_mutex_unlock(&finding->lock);
	if (done) {
		destroy(finding);
	} else if (!leaves) {
		leaves = true;
		on_exit(leave, NULL);
	}
}

/* Another target's, or from long ago. */
static bool is_stale(const struct eg_finding *finding, const char *target)
{
	return strcmp(finding->target, target) != 0 ||
	       eg_monotonic_ns() > finding->done_ns + FRESH_NS;
}

int eg_finding_ask(struct eg_finding **finding, const char *target, unsigned int wait_ms,
		   __u64 *ret_asked_ns, struct eg_target *ret_target, struct eg_error *error)
{
	int result = 0;
	bool done = *finding && wait_for(*finding, 0);

	/* One at a time: who does not answer is not asked twice. */
	if (done && is_stale(*finding, target)) {
		eg_finding_free(EG_TAKE(*finding));
		done = false;
	}
	if (!*finding) {
		result = begin(target, finding);
		done = result == 0 && wait_for(*finding, wait_ms);
	}
	if (result < 0)
		return eg_error_set(error, EG_EXIT_FAILED, -result,
				    "cannot ask what the target is: %s", strerror(-result));
	if (!done)
		return eg_error_set(error, EG_EXIT_FAILED, EINPROGRESS,
				    "the container engine has not answered yet");
	*ret_asked_ns = (*finding)->asked_ns;
	*error = (*finding)->error;
	result = (*finding)->result;
	if (result == 0) {
		*ret_target = (*finding)->found;
		(*finding)->found = (struct eg_target){.netns = EG_NETNS_NONE};
	}
	eg_finding_free(EG_TAKE(*finding));
	return result;
}
