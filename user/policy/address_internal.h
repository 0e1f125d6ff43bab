/* SPDX-License-Identifier: GPL-2.0 */
/* What those share who read addresses, rules and endpoints: a part of a text, and what may be in
 * one. Readers return 0 or -EINVAL, with a message that has the column. */
#ifndef EG_ADDRESS_INTERNAL_H
#define EG_ADDRESS_INTERNAL_H

#include <string.h>

#include "policy/address.h"

/* The part of a text, from `from` up to `to`, that one function reads; columns are those of the
 * whole text. */
struct eg_part {
	const char *text;
	size_t from;
	size_t to;
	struct eg_error *error;
	bool own; /* we wrote it: v4-mapped addresses are all right */
};

#define EG_PART_FAIL(part, at, ...)                                                                \
	eg_error_at((part)->error, 1, (unsigned int)(at) + 1, __VA_ARGS__)

static inline struct eg_part eg_part_whole(const char *text, struct eg_error *error)
{
	return (struct eg_part){.text = text, .to = strlen(text), .error = error};
}

static inline struct eg_part eg_part_between(const struct eg_part *part, size_t from, size_t to)
{
	struct eg_part inner = *part;

	inner.from = from;
	inner.to = to;
	return inner;
}

static inline char *eg_part_quote(char to[EG_QUOTE_LEN], const struct eg_part *part)
{
	return eg_quote(to, part->text + part->from, part->to - part->from);
}

/* Where `c` is first in the part, or its end. */
static inline size_t eg_part_find(const struct eg_part *part, char c)
{
	size_t at = part->from;

	while (at < part->to && part->text[at] != c)
		at++;
	return at;
}

static inline bool eg_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool eg_part_has_letter(const struct eg_part *part)
{
	for (size_t i = part->from; i < part->to; i++) {
		if ((part->text[i] | 0x20) >= 'a' && (part->text[i] | 0x20) <= 'z')
			return true;
	}
	return false;
}

/* `what` is what it is, for the message. */
int eg_read_number(const struct eg_part *part, const char *what, unsigned int min, unsigned int max,
		   unsigned int *ret_number);
int eg_read_port(const struct eg_part *part, __u16 *ret_port);

int eg_not_an_address(const struct eg_part *part, size_t at);
int eg_read_addr(const struct eg_part *part, __u8 *ret_family, union eg_addr *ret_addr);
int eg_read_prefix(const struct eg_part *part, struct eg_prefix *ret_prefix);
bool eg_is_ipv4_with_port(const struct eg_part *part);

#endif /* EG_ADDRESS_INTERNAL_H */
