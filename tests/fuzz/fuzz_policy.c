// SPDX-License-Identifier: GPL-2.0
/*
 * Policy files. Whatever is accepted is written as a text that reads back as itself; whatever is
 * refused has a message that is safe to print and a place inside the text. The first byte says
 * whether [Derived] may be read.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
	if (!condition)
		abort();
}

static unsigned int count_lines(const char *text, size_t len)
{
	unsigned int lines = 1;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	return lines;
}

static void check_error(const struct eg_error *error, const char *text, size_t len)
{
	require(error->exit == EG_EXIT_USAGE);
	require(error->line >= 1 && error->line <= count_lines(text, len));
	require(error->column >= 1 && error->column <= len + 1);
	require(error->message[0] != '\0');
	for (const char *c = error->message; *c; c++)
		require((unsigned char)*c >= 0x20 && *c != 0x7f);
}

static void check_policy(const struct eg_policy *policy, bool derived)
{
	EG_AUTO_FREE char *text = eg_policy_format(policy, derived);
	EG_AUTO_FREE char *text_again = NULL;
	EG_AUTO_POLICY struct eg_policy *again = NULL;

	require(text && eg_policy_new(&again) == 0);
	require(eg_policy_parse(again, text, strlen(text), derived, NULL) == 0);
	text_again = eg_policy_format(again, derived);
	require(text_again && strcmp(text, text_again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	EG_AUTO_POLICY struct eg_policy *policy = NULL;
	const char *text = (const char *)data + 1;
	struct eg_error error = {};
	bool derived;

	if (size == 0)
		return 0;
	derived = data[0] & 1;
	require(eg_policy_new(&policy) == 0);
	if (eg_policy_parse(policy, text, size - 1, derived, &error) == 0)
		check_policy(policy, derived);
	else
		check_error(&error, text, size - 1);
	return 0;
}
