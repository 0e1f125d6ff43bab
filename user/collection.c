// SPDX-License-Identifier: GPL-2.0
#include "collection.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool eg_is_on_cgroup(const struct eg_collection *c)
{
	return c->meta->flags & EG_META_CGROUP;
}

char *eg_keep(struct eg_collection *c, const char *string)
{
	char *copy = strdup(string);

	if (!copy)
		c->failed = true;
	return copy;
}

void eg_add_string(struct eg_collection *c, char ***list, const char *format, ...)
{
	size_t n = 0;
	char **larger;
	char *string;
	va_list args;
	int len;

	while (*list && (*list)[n])
		n++;
	larger = reallocarray(*list, n + 2, sizeof(**list));
	if (!larger) {
		c->failed = true;
		return;
	}
	*list = larger;
	larger[n] = NULL;
	va_start(args, format);
	len = vasprintf(&string, format, args);
	va_end(args);
	if (len < 0) {
		c->failed = true;
		return;
	}
	larger[n] = string;
	larger[n + 1] = NULL;
}

void eg_add_part(struct eg_text *text, const char *before, const char *format, ...)
{
	char part[256];
	va_list args;

	va_start(args, format);
	vsnprintf(part, sizeof(part), format, args);
	va_end(args);
	eg_text_printf(text, "%s%s", text->len ? before : "", part);
}

char *eg_take_text(struct eg_collection *c, struct eg_text *text)
{
	char *string;

	if (!text->len && !text->failed) {
		eg_text_free(text);
		return NULL;
	}
	string = eg_text_take(text);
	if (!string)
		c->failed = true;
	return string;
}
