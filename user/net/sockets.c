// SPDX-License-Identifier: GPL-2.0
#include "net/sockets.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

/* Each line has a number, a colon and a blank before the local address. */
int eg_sockets_has(const char *table, const char *local)
{
	EG_AUTO_FREE char *line = NULL;
	char path[48];
	size_t room = 0;
	FILE *list;
	int found = 0;

	snprintf(path, sizeof(path), "/proc/thread-self/net/%s", table);
	list = fopen(path, "re");
	if (!list)
		return -errno;
	while (!found && getline(&line, &room, list) > 0) {
		const char *colon = strchr(line, ':');

		found = colon && colon[1] == ' ' && strncmp(colon + 2, local, strlen(local)) == 0;
	}
	if (!found && ferror(list))
		found = -EIO;
	fclose(list);
	return found;
}
