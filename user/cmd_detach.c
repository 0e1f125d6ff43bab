// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "config_dir.h"
#include "kern/guard.h"
#include "log.h"
#include "options.h"
#include "reap.h"
#include "select.h"
#include "strays.h"
#include "util/cleanup.h"
#include "util/text.h"

#define LOCK_WAIT_MS 30000

enum own_option {
	OPTION_ALL = EG_OPTION_OWN,
};

static const struct eg_option option_table[] = {
	EG_OPTION_ENTRY_NETNS,
	{OPTION_ALL, "--all", NULL, "every guard there is"},
	EG_OPTION_ENTRY_PIN_DIR,
	{},
};

static const struct eg_help help = {
	.command = "detach",
	.usage = "GUARD | --netns TARGET | --all",
	.summary = "Take a guard away: from then on its namespace can reach whatever its own "
		   "firewall allows.",
	.options = option_table,
	.example = "egressguard detach wireguard",
};

static int read_options(int argc, char **argv, struct eg_common *common, bool *ret_all,
			struct eg_error *error)
{
	struct eg_options options = {.help = &help, .argc = argc, .argv = argv};
	const char *value = NULL;
	int id = 0;
	int next;

	while ((next = eg_options_next(&options, &id, &value, error)) > 0) {
		if (id == OPTION_ALL)
			*ret_all = true;
		else if (eg_common_take(common, id, value, error) < 0)
			return -EINVAL;
	}
	if (next < 0 || common->help)
		return next;
	if (*ret_all && (common->guard || common->netns))
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "--all is every guard: leave out the name, or leave out --all");
	if (!*ret_all && !common->guard && !common->netns)
		return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
				    "which guard is missing: GUARD, --netns TARGET or --all");
	return 0;
}

static void note_keeper(const char *name)
{
	char escaped[EG_NAME_MAX * 4];

	eg_escape(escaped, sizeof(escaped), name, strlen(name));
	if (eg_config_dir_keeps(name))
		eg_log_note("detach",
			    "the daemon puts '%s' back, as " EG_CONFIG_DIR
			    "/%s.conf is there: take that away first, and have it read its files "
			    "(systemctl reload egressguard)",
			    escaped, escaped);
}

static int detach_one(struct eg_pins *pins, const char *name, struct eg_error *error)
{
	char escaped[EG_NAME_MAX * 4];
	int result = eg_guard_remove(pins, name, error);

	if (result == 0) {
		printf("%s: detached\n", eg_escape(escaped, sizeof(escaped), name, strlen(name)));
		note_keeper(name);
	}
	return result;
}

/* One that cannot be taken away does not save the others; the first one's error is told. */
static int detach_all_of(struct eg_pins *pins, char **names, struct eg_error *error)
{
	int first = 0;

	for (char **name = names; *name; name++) {
		struct eg_error why = {};
		int result = detach_one(pins, *name, &why);

		if (result < 0 && first == 0) {
			first = result;
			*error = why;
		}
	}
	return first;
}

/* A killed command may have left a half-made guard, which no other command sees, in force. */
static bool detach_half_made(struct eg_pins *pins, const struct eg_common *common)
{
	return common->guard && detach_one(pins, common->guard, NULL) == 0;
}

static int detach(const struct eg_common *common, bool all, struct eg_error *error)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	char **names = NULL;
	int result = eg_pins_open(common->pin_dir, false, &pins, error);

	if (result == -ENOENT && all)
		return 0;
	if (result == 0)
		result = eg_pins_lock(&pins, LOCK_WAIT_MS, error);
	if (result == 0)
		result = eg_select_guards(&pins, common, &names, error);
	if (result == -ENOENT && detach_half_made(&pins, common))
		return 0;
	/* Of a detach that was killed there may be something left all the same. */
	if (result == -ENOENT)
		eg_sweep(&pins, NULL);
	if (result == 0)
		result = detach_all_of(&pins, names, error);
	eg_names_free(names);
	if (result == 0)
		result = eg_reap(&pins, error);
	return result < 0 ? result : eg_sweep(&pins, error);
}

int cmd_detach(int argc, char **argv)
{
	struct eg_common common = {};
	struct eg_error error = {};
	bool all = false;
	int exit = EG_EXIT_OK;
	int result = read_options(argc, argv, &common, &all, &error);

	if (result == 0 && common.help) {
		eg_help_print(&help, stdout);
		return EG_EXIT_OK;
	}
	if (result == 0)
		result = detach(&common, all, &error);
	if (result < 0)
		exit = eg_log_error("detach", result, &error);
	if (result == -ENOENT || (result == 0 && all))
		eg_strays_warn("detach", &common);
	return exit;
}
