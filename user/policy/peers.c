// SPDX-License-Identifier: GPL-2.0
#include "policy/peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/array.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* 32 bytes are 42 digits of six bits, one of four, and a '='. */
char *eg_key_format(char to[EG_KEY_TEXT_LEN + 1], const __u8 key[32])
{
	for (unsigned int digit = 0; digit < EG_KEY_TEXT_LEN - 1; digit++) {
		unsigned int bit = digit * 6, at = bit / 8;
		unsigned int pair = (unsigned int)key[at] << 8 | (at + 1 < 32 ? key[at + 1] : 0);

		to[digit] = digits[pair >> (10 - bit % 8) & 63];
	}
	to[EG_KEY_TEXT_LEN - 1] = '=';
	to[EG_KEY_TEXT_LEN] = '\0';
	return to;
}

bool eg_key_parse(const char *text, __u8 ret_key[32])
{
	__u8 key[33] = {};
	char again[EG_KEY_TEXT_LEN + 1];

	for (unsigned int digit = 0; digit < EG_KEY_TEXT_LEN - 1; digit++) {
		const char *found = text[digit] ? strchr(digits, text[digit]) : NULL;
		unsigned int bit = digit * 6, at = bit / 8;
		unsigned int pair;

		if (!found)
			return false;
		pair = (unsigned int)(found - digits) << (10 - bit % 8);
		key[at] |= (__u8)(pair >> 8);
		key[at + 1] |= (__u8)pair;
	}
	/* The '=' at its end, and no bits that nobody would write. */
	if (strncmp(eg_key_format(again, key), text, EG_KEY_TEXT_LEN) != 0)
		return false;
	memcpy(ret_key, key, 32);
	return true;
}

static bool is_same_place(const struct eg_endpoint *a, const struct eg_endpoint *b)
{
	return a->family == b->family && a->port == b->port &&
	       memcmp(&a->addr, &b->addr, sizeof(a->addr)) == 0;
}

int eg_peers_add(struct eg_derived *derived, const struct eg_known_peer *peer)
{
	return EG_ARRAY_ADD(derived->peers, derived->n_peers, *peer);
}

bool eg_peers_move(struct eg_derived *derived, const __u8 key[32],
		   const struct eg_endpoint *endpoint)
{
	if (endpoint->family == EG_FAMILY_NONE || endpoint->port == 0)
		return false;
	for (size_t i = 0; i < derived->n_peers; i++) {
		struct eg_known_peer *peer = &derived->peers[i];

		if (memcmp(peer->public_key, key, sizeof(peer->public_key)) != 0)
			continue;
		if (is_same_place(&peer->endpoint, endpoint))
			return false;
		peer->endpoint = *endpoint;
		peer->endpoint.host = NULL;
		return true;
	}
	return false;
}

int eg_peers_to_endpoints(struct eg_derived *derived)
{
	struct eg_endpoint *endpoints = NULL;
	size_t n = 0;

	for (size_t i = 0; i < derived->n_peers; i++) {
		const struct eg_endpoint *endpoint = &derived->peers[i].endpoint;
		bool known = endpoint->family == EG_FAMILY_NONE;

		for (size_t j = 0; !known && j < n; j++)
			known = is_same_place(&endpoints[j], endpoint);
		if (!known && EG_ARRAY_ADD(endpoints, n, *endpoint) < 0) {
			free(endpoints);
			return -ENOMEM;
		}
	}
	for (size_t i = 0; i < derived->n_endpoints; i++)
		free(derived->endpoints[i].host);
	free(derived->endpoints);
	derived->endpoints = endpoints;
	derived->n_endpoints = n;
	return 0;
}
