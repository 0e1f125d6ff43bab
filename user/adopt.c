// SPDX-License-Identifier: GPL-2.0
#include "adopt.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "kern/hold.h"
#include "renew.h"

#define EVENTS_SIZE (64 * (sizeof(struct inotify_event) + NAME_MAX + 1))

int eg_adopt_watch(const char *pin_dir, int *ret_fd, struct eg_error *error)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	int result = eg_pins_open(pin_dir, true, &pins, error);
	int fd;

	if (result < 0)
		return result;
	fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	/* A guard gets its name when it is whole, and loses it before it is taken away. */
	if (fd < 0 || inotify_add_watch(fd, pins.path, IN_MOVE | IN_DELETE | IN_ONLYDIR) < 0) {
		result = eg_error_set(error, EG_EXIT_FAILED, errno, "cannot watch %s: %m",
				      pins.path);
		if (fd >= 0)
			close(fd);
		return result;
	}
	*ret_fd = fd;
	return 0;
}

/* By an earlier daemon, and by none now: a guard container has one of its own. */
static bool is_left(struct eg_guard *guard, const struct eg_holds *holds)
{
	struct eg_held held = {};

	return holds && eg_guard_meta(guard)->flags & EG_META_KEPT &&
	       eg_holds_of(holds, guard, &held) == 0 && !held.ipv4 && !held.ipv6;
}

/* `holds` NULL: those of the start of a container alone. */
static void look(struct eg_pins *pins, const char *name, const struct eg_holds *holds,
		 eg_adopt_found found, void *argument)
{
	EG_AUTO_GUARD struct eg_guard *guard = NULL;
	int opened = eg_guard_open(pins, name, &guard, NULL);

	if (opened < 0 && !(guard && eg_can_renew(guard)))
		return;
	if (eg_guard_meta(guard)->flags & EG_META_STARTED || (opened == 0 && is_left(guard, holds)))
		found(argument, name);
}

void eg_adopt_all(const char *pin_dir, eg_adopt_found found, void *argument)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	EG_AUTO_HOLDS struct eg_holds *holds = NULL;
	char **names = NULL;

	if (eg_pins_open(pin_dir, false, &pins, NULL) < 0 || eg_pins_list(&pins, false, &names) < 0)
		return;
	(void)eg_holds_get(&holds);
	for (char **name = names; name && *name; name++)
		look(&pins, *name, holds, found, argument);
	eg_names_free(names);
}

void eg_adopt_new(const char *pin_dir, int fd, eg_adopt_found found, eg_adopt_found changed,
		  void *argument)
{
	EG_AUTO_PINS struct eg_pins pins = {.dir_fd = -1, .lock_fd = -1};
	char buffer[EVENTS_SIZE] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool open = eg_pins_open(pin_dir, false, &pins, NULL) == 0;
	bool lost = false;
	ssize_t len;

	while ((len = read(fd, buffer, sizeof(buffer))) > 0) {
		for (char *at = buffer; at < buffer + len;) {
			const struct inotify_event *event = (const struct inotify_event *)at;
			char name[EG_NAME_MAX];

			at += sizeof(*event) + event->len;
			lost = lost || event->mask & IN_Q_OVERFLOW;
			/* Of what is not whole, or not a guard's, it is no name. */
			if (!event->len ||
			    eg_pin_name_unescape(name, sizeof(name), event->name) < 0)
				continue;
			changed(argument, name);
			if (open && event->mask & IN_MOVED_TO)
				look(&pins, name, NULL, found, argument);
		}
	}
	if (!lost)
		return;
	changed(argument, NULL);
	eg_adopt_all(pin_dir, found, argument);
}
