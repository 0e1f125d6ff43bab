// SPDX-License-Identifier: GPL-2.0
#include "owners.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net/pod.h"
#include "net/runtime.h"
#include "util/thread.h"

/* A bounded cache with one place for each id: cgroup ids are given out in sequence, so that those
 * of one machine's containers seldom meet; where they do, the later one replaces the earlier. */
#define OWNERS_MAX 512

#define END_WAIT_MS 300 /* for the thread */

#define MS_PER_S  1000U
#define NS_PER_MS 1000000L
#define NS_PER_S  1000000000L

enum entry_state {
	ENTRY_FREE,
	ENTRY_ASKED, /* the thread writes it, nobody else */
	ENTRY_KNOWN, /* the thread leaves it alone */
};

struct entry {
	__u64 cgroup_id;
	enum entry_state state;
	struct eg_owner owner;
};

struct eg_owners {
	pthread_mutex_t lock;
	pthread_cond_t asked;
	pthread_cond_t answered; /* or ended */
	pthread_t thread;
	bool stop, ended;
	bool left; /* by its maker: the thread frees */
	struct timespec wait_period;
	unsigned int waited_ms; /* in this period */
	struct entry entries[OWNERS_MAX];
};

static void clear(struct eg_owner *owner)
{
	free(owner->cgroup);
	free(owner->container);
	*owner = (struct eg_owner){};
}

static void destroy(struct eg_owners *owners)
{
	for (size_t i = 0; i < OWNERS_MAX; i++)
		clear(&owners->entries[i].owner);
	pthread_mutex_destroy(&owners->lock);
	pthread_cond_destroy(&owners->asked);
	pthread_cond_destroy(&owners->answered);
	free(owners);
}

static void find_owner(__u64 cgroup_id, struct eg_owner *owner)
{
	if (eg_cgroup_path(cgroup_id, &owner->cgroup) < 0 ||
	    !eg_cgroup_container_id(owner->cgroup, owner->container_id) ||
	    eg_pod_name(owner->container_id, &owner->container) == 0)
		return;
	for (int runtime = 0; runtime < EG_RUNTIME_COUNT && !owner->container; runtime++) {
		EG_AUTO_CONTAINER struct eg_container container = {};

		if (eg_runtime_inspect((enum eg_runtime)runtime, owner->container_id, &container,
				       NULL) == 0 &&
		    container.name)
			owner->container = strdup(container.name);
	}
}

static struct entry *next_asked(struct eg_owners *owners)
{
	for (size_t i = 0; i < OWNERS_MAX; i++) {
		if (owners->entries[i].state == ENTRY_ASKED)
			return &owners->entries[i];
	}
	return NULL;
}

static void *answer(void *argument)
{
	struct eg_owners *owners = argument;
	bool left;

	pthread_mutex_lock(&owners->lock);
	while (!owners->stop) {
		struct entry *entry = next_asked(owners);
		struct eg_owner owner = {};

		if (!entry) {
			pthread_cond_wait(&owners->asked, &owners->lock);
			continue;
		}
		pthread_mutex_unlock(&owners->lock);
		find_owner(entry->cgroup_id, &owner);
		pthread_mutex_lock(&owners->lock);
		entry->owner = owner;
		entry->state = ENTRY_KNOWN;
		pthread_cond_signal(&owners->answered);
	}
	owners->ended = true;
	left = owners->left;
	pthread_cond_signal(&owners->answered);
	pthread_mutex_unlock(&owners->lock);
	if (left)
		destroy(owners);
	return NULL;
}

int eg_owners_new(struct eg_owners **ret_owners)
{
	struct eg_owners *owners = calloc(1, sizeof(*owners));
	pthread_condattr_t monotonic;
	int result;

	if (!owners)
		return -ENOMEM;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&owners->lock, NULL);
	pthread_cond_init(&owners->asked, NULL);
	pthread_cond_init(&owners->answered, &monotonic);
	pthread_condattr_destroy(&monotonic);
	result = eg_thread_start(&owners->thread, answer, owners);
	if (result < 0) {
		destroy(owners);
		return result;
	}
	*ret_owners = owners;
	return 0;
}

static unsigned int elapsed_ms(const struct timespec *from, const struct timespec *to)
{
	return (unsigned int)((to->tv_sec - from->tv_sec) * MS_PER_S +
			      (to->tv_nsec - from->tv_nsec) / NS_PER_MS);
}

static struct timespec after_ms(const struct timespec *from, unsigned int ms)
{
	struct timespec at = *from;

	at.tv_sec += ms / MS_PER_S;
	at.tv_nsec += (long)(ms % MS_PER_S) * NS_PER_MS;
	if (at.tv_nsec >= NS_PER_S) {
		at.tv_sec++;
		at.tv_nsec -= NS_PER_S;
	}
	return at;
}

/* With the lock. */
static void wait_for(struct eg_owners *owners, const struct entry *entry, unsigned int wait_ms)
{
	struct timespec start, now, until;

	clock_gettime(CLOCK_MONOTONIC, &start);
	if (elapsed_ms(&owners->wait_period, &start) >= MS_PER_S) {
		owners->wait_period = start;
		owners->waited_ms = 0;
	}
	if (owners->waited_ms >= wait_ms)
		return;
	until = after_ms(&start, wait_ms - owners->waited_ms);
	while (entry->state == ENTRY_ASKED &&
	       pthread_cond_timedwait(&owners->answered, &owners->lock, &until) == 0)
		;
	clock_gettime(CLOCK_MONOTONIC, &now);
	owners->waited_ms += elapsed_ms(&start, &now);
}

const struct eg_owner *eg_owners_get(struct eg_owners *owners, __u64 cgroup_id,
				     unsigned int wait_ms)
{
	struct entry *entry = &owners->entries[cgroup_id % OWNERS_MAX];
	const struct eg_owner *owner = NULL;

	if (!cgroup_id)
		return NULL;
	pthread_mutex_lock(&owners->lock);
	if (entry->state == ENTRY_FREE ||
	    (entry->state == ENTRY_KNOWN && entry->cgroup_id != cgroup_id)) {
		clear(&entry->owner);
		entry->cgroup_id = cgroup_id;
		entry->state = ENTRY_ASKED;
		pthread_cond_signal(&owners->asked);
		wait_for(owners, entry, wait_ms);
	}
	/* Once known, an entry is changed by this thread alone. */
	if (entry->state == ENTRY_KNOWN && entry->cgroup_id == cgroup_id)
		owner = &entry->owner;
	pthread_mutex_unlock(&owners->lock);
	return owner;
}

/* Exit handlers of libraries take away what the thread still uses (OpenSSL's, below libcurl): it
 * would crash, and the whole process with it. */
static void leave(int status, void *argument)
{
	(void)argument;
	fflush(NULL);
	_exit(status);
}

void eg_owners_free(struct eg_owners *owners)
{
	struct timespec now, until;
	pthread_t thread;
	bool ended;

	if (!owners)
		return;
	thread = owners->thread;
	clock_gettime(CLOCK_MONOTONIC, &now);
	until = after_ms(&now, END_WAIT_MS);
	pthread_mutex_lock(&owners->lock);
	owners->stop = true;
	pthread_cond_signal(&owners->asked);
	while (!owners->ended &&
	       pthread_cond_timedwait(&owners->answered, &owners->lock, &until) == 0)
		;
	ended = owners->ended;
	owners->left = !ended;
	pthread_mutex_unlock(&owners->lock);
	if (ended) {
		pthread_join(thread, NULL);
		destroy(owners);
	} else {
		pthread_detach(thread);
		on_exit(leave, NULL);
	}
}
