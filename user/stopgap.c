// SPDX-License-Identifier: GPL-2.0
#include "stopgap.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "journal.h"
#include "kern/shut.h"
#include "net/target.h"
#include "util/cleanup.h"

#define OWN_FILE EG_TARGET_OF_SELF ".conf"

struct eg_stopgap {
	struct eg_shut *shut;
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

struct eg_stopgap *eg_stopgap_begin(const char *config_dir)
{
	EG_AUTO_NETNS struct eg_netns own = EG_NETNS_NONE;
	struct eg_stopgap *stopgap;
	size_t n = 0;
	int result;

	if (!has_own_file(config_dir) || eg_netns_open_self(&own) < 0 || eg_netns_is_initial(&own))
		return NULL;
	stopgap = calloc(1, sizeof(*stopgap));
	result = stopgap ? eg_shut(&own, &stopgap->shut, &n) : -ENOMEM;
	/* Without it this network is as open as without a daemon, and the guard comes all the same.
	 */
	if (result < 0)
		eg_journal("daemon", EG_JOURNAL_WARNING, NULL,
			   "this network cannot be shut until it is guarded (%s)%s: what joins it "
			   "before that is not held",
			   result == -EINVAL ? "it takes Linux 6.6" : strerror(-result),
			   n ? ", not all of it" : "");
	if (n == 0) {
		eg_stopgap_free(stopgap);
		return NULL;
	}
	if (result == 0)
		eg_journal("daemon", EG_JOURNAL_INFO, NULL,
			   "nothing leaves this network until it is guarded");
	return stopgap;
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
	free(stopgap);
}
