// SPDX-License-Identifier: GPL-2.0
#include "stopgap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal.h"
#include "kern/shut.h"
#include "net/monitor.h"
#include "net/target.h"
#include "util/cleanup.h"

#define OWN_FILE EG_TARGET_OF_SELF ".conf"

struct eg_stopgap {
	struct eg_netns own; /* owned */
	int monitor_fd;      /* owned; -1: what comes later is not seen */
	bool complete;       /* all that there was when we looked last is shut */
	int failed;          /* -errno that was said last */
};

static bool has_own_file(const char *config_dir)
{
	EG_AUTO_FREE char *path = NULL;

	if (asprintf(&path, "%s/%s", config_dir, OWN_FILE) < 0) {
		path = NULL;
		return false;
	}
	return access(path, F_OK) == 0;
}

/* Without it this network is as open as without a daemon, and the guard comes all the same. */
static void say_failed(struct eg_stopgap *stopgap, int result, size_t n)
{
	if (result < 0 && result != stopgap->failed)
		eg_journal("daemon", EG_JOURNAL_WARNING, NULL,
			   "this network cannot be shut until it is guarded (%s)%s: what joins it "
			   "before that is not held",
			   strerror(-result), n ? ", not all of it" : "");
	stopgap->failed = result;
}

static void shut(struct eg_stopgap *stopgap, struct eg_shut_count *ret_count)
{
	int result = stopgap->monitor_fd < 0 ? stopgap->monitor_fd : 0;
	int err = eg_shut(&stopgap->own, ret_count);

	if (err)
		result = err;
	stopgap->complete = result == 0;
	say_failed(stopgap, result, ret_count->shut);
}

struct eg_stopgap *eg_stopgap_begin(const char *config_dir)
{
	EG_AUTO_NETNS struct eg_netns own = EG_NETNS_NONE;
	struct eg_shut_count count = {};
	struct eg_stopgap *stopgap;

	if (!has_own_file(config_dir) || eg_netns_open_self(&own) < 0 || eg_netns_is_initial(&own))
		return NULL;
	stopgap = calloc(1, sizeof(*stopgap));
	if (!stopgap)
		return NULL;
	stopgap->own = own;
	own = EG_NETNS_NONE;
	/* First: what comes while we look is looked at again. */
	stopgap->monitor_fd = -1;
	eg_monitor_open(&stopgap->own, &stopgap->monitor_fd);
	shut(stopgap, &count);
	if (count.guarded && !count.shut) {
		eg_stopgap_free(stopgap);
		return NULL;
	}
	if (stopgap->complete)
		eg_journal("daemon", EG_JOURNAL_INFO, NULL,
			   "nothing leaves this network until it is guarded");
	return stopgap;
}

int eg_stopgap_fd(const struct eg_stopgap *stopgap)
{
	return stopgap ? stopgap->monitor_fd : -1;
}

void eg_stopgap_work(struct eg_stopgap *stopgap)
{
	struct eg_shut_count count;

	if (stopgap && eg_monitor_drain(stopgap->monitor_fd) != 0)
		shut(stopgap, &count);
}

bool eg_stopgap_is_shut(const struct eg_stopgap *stopgap)
{
	return stopgap && stopgap->complete;
}

static void end(struct eg_stopgap **stopgap)
{
	int err = eg_shut_open(&(*stopgap)->own);

	if (err)
		eg_journal("daemon", EG_JOURNAL_WARNING, NULL,
			   "this network cannot be opened again (%s): what may leave it does not "
			   "either, until this container is made anew",
			   strerror(-err));
	eg_stopgap_free(*stopgap);
	*stopgap = NULL;
}

void eg_stopgap_take_files(struct eg_stopgap **stopgap, const struct eg_config_file *files,
			   size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (*stopgap && strcmp(files[i].entry, OWN_FILE) == 0 && files[i].policy &&
		    strcmp(files[i].policy->target, EG_TARGET_OF_SELF) != 0)
			end(stopgap);
}

void eg_stopgap_look(struct eg_stopgap **stopgap, struct eg_ward *const *wards, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (*stopgap && eg_ward_guards_self(wards[i]))
			end(stopgap);
}

void eg_stopgap_free(struct eg_stopgap *stopgap)
{
	if (!stopgap)
		return;
	eg_cleanup_close(&stopgap->monitor_fd);
	eg_netns_close(&stopgap->own);
	free(stopgap);
}
