/* SPDX-License-Identifier: GPL-2.0 */
/* Files that say what a test expects, below tests/unit/golden or where EG_GOLDEN says. */
#ifndef EG_TESTS_GOLDEN_H
#define EG_TESTS_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>

#include "util/cleanup.h"
#include "util/text.h"

static inline const char *golden_dir(void)
{
	const char *dir = getenv("EG_GOLDEN");

	return dir ? dir : "tests/unit/golden";
}

/* Ends in a NUL that `ret_len` does not count. NULL: it cannot be read. The caller frees. */
static inline char *golden_read(const char *path, size_t *ret_len)
{
	EG_AUTO_FCLOSE FILE *file = fopen(path, "r");
	EG_AUTO_TEXT struct eg_text text = {};
	char buffer[4096];
	size_t got;

	if (!file)
		return NULL;
	eg_text_add(&text, "", 0);
	while ((got = fread(buffer, 1, sizeof(buffer), file)) > 0)
		eg_text_add(&text, buffer, got);
	*ret_len = text.len;
	return eg_text_take(&text);
}

#endif /* EG_TESTS_GOLDEN_H */
