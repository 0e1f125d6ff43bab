// SPDX-License-Identifier: GPL-2.0
#include "policy/qname.h"

#include <errno.h>
#include <string.h>

#define LABEL_MAX 63

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_plain(char c)
{
	return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static int refuse(const char *host, const char *why, struct eg_error *error)
{
	char quoted[EG_QUOTE_LEN];

	return eg_error_set(error, EG_EXIT_USAGE, EINVAL,
			    "%s cannot be asked for by name (%s): write the endpoint's address",
			    eg_quote(quoted, host, strlen(host)), why);
}

/* Labels with their lengths before them. Returns how many bytes, or -EINVAL. */
static int write_labels(const char *host, __u8 to[EG_QNAME_MAX], struct eg_error *error)
{
	size_t len = 0;

	while (*host && strcmp(host, ".") != 0) {
		size_t label = strcspn(host, ".");

		if (!label || label > LABEL_MAX)
			return refuse(host, "a label is empty or too long", error);
		if (len + label + 2 > EG_QNAME_MAX)
			return refuse(host, "it is too long", error);
		to[len++] = (__u8)label;
		for (size_t i = 0; i < label; i++) {
			if (!is_plain(host[i]))
				return refuse(host,
					      "it has other characters than letters, digits, "
					      "'-' and '_'",
					      error);
			to[len++] = (__u8)(is_letter(host[i]) ? host[i] | 0x20 : host[i]);
		}
		host += label;
		host += *host == '.' && host[1];
	}
	to[len++] = 0;
	return (int)len;
}

static bool is_lower(__u8 byte)
{
	return byte >= 'a' && byte <= 'z';
}

/* A label's length is at most 63 and never a letter, so that what folds is a letter of the name. */
static void take_word(const __u8 *bytes, __u32 *ret_word, __u32 *ret_fold)
{
	__u8 fold[4];

	for (int i = 0; i < 4; i++)
		fold[i] = is_lower(bytes[i]) ? 0x20 : 0;
	memcpy(ret_word, bytes, sizeof(*ret_word));
	memcpy(ret_fold, fold, sizeof(*ret_fold));
}

int eg_qname_make(const char *host, struct eg_bootstrap_name *ret_name, struct eg_error *error)
{
	struct eg_bootstrap_name name = {};
	__u8 bytes[EG_QNAME_MAX];
	int len = write_labels(host, bytes, error);

	if (len < 0)
		return len;
	if (len < EG_QNAME_MIN)
		return refuse(host, "it is too short", error);
	name.len = (__u32)len;
	for (int i = 0; i * 4 + 4 <= len; i++)
		take_word(bytes + i * 4, &name.words[i], &name.fold[i]);
	take_word(bytes + len - 4, &name.tail, &name.tail_fold);
	*ret_name = name;
	return 0;
}

__u8 *eg_qname_bytes(const struct eg_bootstrap_name *name, __u8 to[EG_QNAME_MAX])
{
	__u32 whole = name->len / 4 * 4;

	memcpy(to, name->words, whole);
	memcpy(to + name->len - 4, &name->tail, 4);
	return to;
}

char *eg_qname_format(char to[EG_QNAME_TEXT_LEN], const struct eg_bootstrap_name *name)
{
	__u8 bytes[EG_QNAME_MAX] = {};
	size_t at = 0, len = 0;

	if (name->len >= EG_QNAME_MIN && name->len <= EG_QNAME_MAX)
		eg_qname_bytes(name, bytes);
	/* A guard's table may be anybody's: it need not end. */
	while (bytes[at] && at + bytes[at] + 1 < sizeof(bytes)) {
		if (at)
			to[len++] = '.';
		memcpy(to + len, bytes + at + 1, bytes[at]);
		len += bytes[at];
		at += bytes[at] + 1U;
	}
	to[len] = '\0';
	return to;
}

bool eg_qname_is_in(const struct eg_bootstrap *bootstrap, const struct eg_bootstrap_name *name)
{
	for (size_t i = 0; i < EG_BOOTSTRAP_NAMES; i++)
		if (memcmp(&bootstrap->names[i], name, sizeof(*name)) == 0)
			return true;
	return false;
}

int eg_qname_add(struct eg_bootstrap *bootstrap, const struct eg_bootstrap_name *name)
{
	struct eg_bootstrap_name *names = bootstrap->names;
	size_t at = 0;

	if (eg_qname_is_in(bootstrap, name))
		return 0;
	if (names[EG_BOOTSTRAP_NAMES - 1].len)
		return -ENOSPC;
	while (names[at].len && memcmp(&names[at], name, sizeof(*name)) < 0)
		at++;
	memmove(&names[at + 1], &names[at], (EG_BOOTSTRAP_NAMES - 1 - at) * sizeof(*name));
	names[at] = *name;
	return 0;
}
