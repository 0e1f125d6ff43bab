// SPDX-License-Identifier: GPL-2.0
#include "net/suggest.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "net/runtime.h"
#include "policy/array.h"
#include "util/cleanup.h"

#define NETNS_DIR      "/run/netns"
#define SUGGESTION_MAX 1024
#define ESCAPED_LEN    512

struct names {
	char **names;
	size_t n;
	char *made; /* by compose, of the service of that name */
};

static void names_free(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->names[i]);
	free(names->names);
	free(names->made);
}

static void add_name(struct names *names, const char *name)
{
	char *copy = names->n < SUGGESTION_MAX ? strdup(name) : NULL;

	if (copy && EG_ARRAY_ADD(names->names, names->n, copy) < 0)
		free(copy);
}

static void add_netns_names(struct names *names)
{
	EG_AUTO_CLOSEDIR DIR *dir = opendir(NETNS_DIR);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			add_name(names, entry->d_name);
}

static void add_container_names(struct names *names, const char *service, enum eg_runtime runtime)
{
	struct eg_container *containers = NULL;
	size_t n = 0;

	if (eg_runtime_list(runtime, &containers, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const char *of = containers[i].compose_service;

		if (!names->made && of && strcmp(of, service) == 0)
			names->made = strdup(containers[i].name);
		add_name(names, containers[i].name);
		eg_container_free(&containers[i]);
	}
	free(containers);
}

static void put_hint(const char *name, struct names *names, struct eg_text *hint)
{
	char *end = NULL;
	const char *nearest = names->made;
	char escaped[ESCAPED_LEN];

	if (!nearest && EG_ARRAY_ADD(names->names, names->n, end) == 0)
		nearest = eg_nearest(name, (const char *const *)names->names);
	if (!nearest)
		return;
	eg_escape(escaped, sizeof(escaped), nearest, strlen(nearest));
	if (names->made)
		eg_text_printf(hint,
			       "; the container of the compose file's service of that name is "
			       "called '%s': name that, or give it its name by container_name:",
			       escaped);
	else
		eg_text_printf(hint, "; did you mean '%s'?", escaped);
}

void eg_target_suggest(const char *name, int runtime, struct eg_text *hint)
{
	EG_AUTO(names_free) struct names names = {0};

	if (runtime < 0)
		add_netns_names(&names);
	for (int i = 0; i < EG_RUNTIME_COUNT; i++)
		if (runtime < 0 || runtime == i)
			add_container_names(&names, name, (enum eg_runtime)i);
	put_hint(name, &names, hint);
}
