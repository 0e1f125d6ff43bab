// SPDX-License-Identifier: GPL-2.0
/* What an image says of an address, an endpoint, a port: its lists are sorted. */
#include "policy/image.h"

#include <stdlib.h>
#include <string.h>

#include "policy/address.h"
#include "policy/networks.h"

size_t eg_image_up_to(const struct eg_image *image, const struct eg_prefix *prefix)
{
	size_t low = 0, high = image->n_addrs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (eg_prefix_compare(&image->addrs[middle].prefix, prefix) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* An entry that covers the address sorts before it, and covers whatever sorts between the two. So
 * if the nearest one before does not cover it, what they have in common is the longest that can. */
struct eg_addr_value eg_image_addr(const struct eg_image *image, __u8 family,
				   const union eg_addr *addr)
{
	struct eg_prefix wanted = {.addr = *addr, .family = family, .len = eg_family_bits(family)};
	const struct eg_image_addr *entry;
	size_t n;

	for (;;) {
		n = eg_image_up_to(image, &wanted);
		entry = n ? &image->addrs[n - 1] : NULL;
		if (!entry || entry->prefix.family != family)
			return (struct eg_addr_value){};
		if (eg_prefix_contains(&entry->prefix, family, addr))
			return entry->value;
		wanted.addr = *addr;
		wanted.len = (__u8)eg_addr_common_bits(family, &entry->prefix.addr, addr);
		eg_addr_mask(family, &wanted.addr, wanted.len);
	}
}

int eg_image_endpoint_compare(const void *a, const void *b)
{
	const struct eg_image_endpoint *left = a, *right = b;
	int order = left->family - right->family;

	if (!order)
		order = memcmp(&left->addr, &right->addr, sizeof(left->addr));
	return order ? order : left->port - right->port;
}

bool eg_image_endpoint(const struct eg_image *image, __u8 family, const union eg_addr *addr,
		       __u16 port)
{
	struct eg_image_endpoint wanted = {.addr = *addr, .port = port, .family = family};

	return image->n_endpoints && bsearch(&wanted, image->endpoints, image->n_endpoints,
					     sizeof(wanted), eg_image_endpoint_compare);
}

static int compare_rules(const void *a, const void *b)
{
	const struct eg_image_rule *left = a, *right = b;

	if (left->rule_set != right->rule_set)
		return left->rule_set < right->rule_set ? -1 : 1;
	if (left->proto != right->proto)
		return left->proto - right->proto;
	return left->port - right->port;
}

bool eg_image_rule(const struct eg_image *image, __u32 rule_set, __u8 proto, __u16 port)
{
	struct eg_image_rule wanted = {.rule_set = rule_set, .port = port, .proto = proto};

	return image->n_rules &&
	       bsearch(&wanted, image->rules, image->n_rules, sizeof(wanted), compare_rules);
}

const struct eg_image_rule *eg_image_rule_set(const struct eg_image *image, __u32 rule_set,
					      size_t *ret_n)
{
	size_t low = 0, high = image->n_rules, n = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (image->rules[middle].rule_set < rule_set)
			low = middle + 1;
		else
			high = middle;
	}
	while (rule_set && low + n < image->n_rules && image->rules[low + n].rule_set == rule_set)
		n++;
	*ret_n = n;
	return image->rules + low;
}
