// SPDX-License-Identifier: GPL-2.0
#include "strays.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kern/strays.h"
#include "log.h"
#include "net/target.h"
#include "util/cleanup.h"

/* A program that loses its last user is gone some milliseconds later; one that is just being made
 * has its pin as soon. */
#define LOOKS 8

static const struct timespec until_next = {.tv_nsec = 50 * 1000 * 1000};

/* Which guards are meant: each may be NULL. */
struct meant {
	const char *name;
	const struct eg_netns *netns;
};

static bool is_meant(const struct eg_stray *stray, const struct meant *meant)
{
	struct eg_netns netns = {.fd = -1,
				 .dev = (dev_t)stray->netns_dev,
				 .inode = (ino_t)stray->netns_inode,
				 .cookie = stray->netns_cookie};

	if (meant->netns)
		return stray->known && eg_netns_same(&netns, meant->netns);
	return !meant->name || (stray->known && strcmp(stray->name, meant->name) == 0);
}

/* Keeps one of each guard that is meant. */
static size_t keep_guards(struct eg_stray *strays, size_t n, const struct meant *meant)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		bool wanted = is_meant(&strays[i], meant);

		for (size_t j = 0; wanted && j < kept; j++)
			wanted = strays[i].known != strays[j].known ||
				 strcmp(strays[i].name, strays[j].name) != 0 ||
				 strays[i].netns_inode != strays[j].netns_inode;
		if (wanted)
			strays[kept++] = strays[i];
	}
	return kept;
}

static void put_stray(const struct eg_stray *stray, const char *where, struct eg_text *lines)
{
	char name[EG_NAME_MAX * 4], target[EG_TARGET_MAX * 4];

	if (stray->known)
		eg_text_printf(
			lines,
			"programs of a guard '%s' on '%s' are in the kernel, and may be in "
			"force, but its pins are not in %s\n",
			eg_escape(name, sizeof(name), stray->name, strlen(stray->name)),
			eg_escape(target, sizeof(target), stray->target, strlen(stray->target)),
			where);
	else
		eg_text_printf(lines,
			       "a program %s (id %u) of some guard is in the kernel, and may be in "
			       "force, but its pins are not in %s\n",
			       stray->function, stray->prog_id, where);
}

static void put_strays(const struct eg_stray *strays, size_t n, const char *pin_dir,
		       struct eg_text *lines)
{
	for (size_t i = 0; i < n; i++)
		put_stray(&strays[i], pin_dir ? pin_dir : EG_PIN_ROOT, lines);
	if (n)
		eg_text_printf(
			lines,
			"if such a guard was made with --pin-dir, name that directory; if "
			"something is mounted over the BPF file system that has its pins, or that "
			"was moved, unmount what is on top, or name the place with --pin-dir; if "
			"that was unmounted, what is left goes with its interface, or by `bpftool "
			"link detach id ID` (tcx) and `tc filter del dev IFACE egress pref 1` "
			"(clsact)\n");
}

void eg_strays_on_tell(const struct eg_pins *pins, const char *pin_dir,
		       const struct eg_netns *netns, const struct eg_survey *survey,
		       struct eg_text *lines)
{
	EG_AUTO_FREE struct eg_stray *strays = NULL;
	size_t n = 0;

	for (int look = 0; look < LOOKS; look++) {
		if (look)
			nanosleep(&until_next, NULL);
		free(EG_TAKE(strays));
		if (eg_strays_on(pins, netns, survey, &strays, &n) < 0 || !n)
			return;
	}
	put_strays(strays, keep_guards(strays, n, &(struct meant){}), pin_dir, lines);
}

static bool find_strays(const struct eg_common *common, const struct meant *meant,
			struct eg_stray **ret_strays, size_t *ret_n)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	int result = eg_pins_open(common->pin_dir, false, &pins, NULL);

	if (result < 0 && result != -ENOENT)
		return false;
	if (eg_strays_find(result ? NULL : &pins, ret_strays, ret_n) < 0)
		return false;
	*ret_n = keep_guards(*ret_strays, *ret_n, meant);
	return *ret_n > 0;
}

void eg_strays_warn(const char *command, const struct eg_common *common)
{
	EG_AUTO_TARGET struct eg_target target = {.netns = EG_NETNS_NONE};
	EG_AUTO_FREE struct eg_stray *strays = NULL;
	EG_AUTO_TEXT struct eg_text lines = {};
	struct meant meant = {.name = common->guard};
	size_t n = 0;

	if (common->netns && eg_target_resolve(common->netns, &target, NULL) < 0)
		return;
	if (common->netns)
		meant.netns = &target.netns;
	for (int look = 0; look < LOOKS; look++) {
		if (look)
			nanosleep(&until_next, NULL);
		free(EG_TAKE(strays));
		if (!find_strays(common, &meant, &strays, &n))
			return;
	}
	put_strays(strays, n, common->pin_dir, &lines);
	for (char *line = lines.data, *next; line && *line; line = next) {
		next = strchrnul(line, '\n');
		if (*next)
			*next++ = '\0';
		eg_log_warning(command, "%s", line);
	}
}
