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
	struct eg_shut *shut;
	struct eg_netns netns;
	int monitor_fd;
	int failed; /* as it was last said */
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
static void say_open(int result, bool some)
{
	eg_journal("daemon", EG_JOURNAL_WARNING, NULL,
		   "this network cannot be shut until it is guarded (%s)%s: what joins it "
		   "before that is not held",
		   result == -EINVAL ? "it takes Linux 6.6" : strerror(-result),
		   some ? ", not all of it" : "");
}

static int look(struct eg_stopgap *stopgap)
{
	int result = eg_shut_look(stopgap->shut, &stopgap->netns);

	if (result < 0 && result != stopgap->failed)
		say_open(result, eg_shut_count(stopgap->shut) > 0);
	stopgap->failed = result;
	return result;
}

/* What comes after the first look is told. */
static int begin(struct eg_stopgap *stopgap)
{
	int result = eg_shut_new(&stopgap->shut);

	if (result == 0)
		result = eg_monitor_open(&stopgap->netns, &stopgap->monitor_fd);
	if (result < 0) {
		say_open(result, false);
		return result;
	}
	result = look(stopgap);
	if (eg_stopgap_is_shut(stopgap))
		eg_journal("daemon", EG_JOURNAL_INFO, NULL,
			   "nothing leaves this network until it is guarded");
	return eg_shut_count(stopgap->shut) ? 0 : result;
}

struct eg_stopgap *eg_stopgap_begin(const char *config_dir)
{
	EG_AUTO_NETNS struct eg_netns own = EG_NETNS_NONE;
	struct eg_stopgap *stopgap;

	if (!has_own_file(config_dir) || eg_netns_open_self(&own) < 0 || eg_netns_is_initial(&own))
		return NULL;
	stopgap = calloc(1, sizeof(*stopgap));
	if (!stopgap) {
		say_open(-ENOMEM, false);
		return NULL;
	}
	stopgap->netns = own;
	own.fd = -1;
	stopgap->monitor_fd = -1;
	if (begin(stopgap) == 0)
		return stopgap;
	eg_stopgap_free(stopgap);
	return NULL;
}

int eg_stopgap_fd(const struct eg_stopgap *stopgap)
{
	return stopgap ? stopgap->monitor_fd : -1;
}

void eg_stopgap_work(struct eg_stopgap *stopgap)
{
	if (stopgap && eg_monitor_drain(stopgap->monitor_fd) != 0)
		look(stopgap);
}

bool eg_stopgap_is_shut(const struct eg_stopgap *stopgap)
{
	return stopgap && eg_shut_is_whole(stopgap->shut);
}

void eg_stopgap_take_files(struct eg_stopgap **stopgap, const struct eg_config_file *files,
			   size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (*stopgap && strcmp(files[i].entry, OWN_FILE) == 0 && files[i].policy &&
		    strcmp(files[i].policy->target, EG_TARGET_OF_SELF) != 0) {
			eg_stopgap_free(*stopgap);
			*stopgap = NULL;
		}
}

void eg_stopgap_look(struct eg_stopgap **stopgap, struct eg_ward *const *wards, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (*stopgap && eg_ward_guards_self(wards[i])) {
			eg_stopgap_free(*stopgap);
			*stopgap = NULL;
		}
}

void eg_stopgap_free(struct eg_stopgap *stopgap)
{
	if (!stopgap)
		return;
	eg_shut_free(stopgap->shut);
	eg_cleanup_close(&stopgap->monitor_fd);
	eg_netns_close(&stopgap->netns);
	free(stopgap);
}
