// SPDX-License-Identifier: GPL-2.0
#include "policy/networks.h"

#include "policy/address.h"

#define V4(a, b, c, d, bits)                                                                       \
	{                                                                                          \
		.addr = {.bytes = {a, b, c, d}}, .family = EG_FAMILY_IPV4, .len = bits             \
	}
#define V6(a, b, c, d, bits)                                                                       \
	{                                                                                          \
		.addr = {.bytes = {a, b, c, d}}, .family = EG_FAMILY_IPV6, .len = bits             \
	}

const struct eg_prefix eg_lan_prefixes[EG_LAN_PREFIXES] = {
	V4(10, 0, 0, 0, 8),
	V4(172, 16, 0, 0, 12),
	V4(192, 168, 0, 0, 16),
	V6(0xfc, 0, 0, 0, 7),
};

const struct eg_prefix eg_lan_exception = V6(0xfd, 0x00, 0x0e, 0xc2, 32);

const struct eg_prefix eg_multicast_prefixes[EG_MULTICAST_PREFIXES] = {
	V4(224, 0, 0, 0, 24),     V4(239, 0, 0, 0, 8),      V6(0xff, 0x01, 0, 0, 16),
	V6(0xff, 0x02, 0, 0, 16), V6(0xff, 0x03, 0, 0, 16), V6(0xff, 0x04, 0, 0, 16),
	V6(0xff, 0x05, 0, 0, 16),
};

void eg_addr_mask(__u8 family, union eg_addr *addr, unsigned int len)
{
	unsigned int bytes = eg_family_bits(family) / 8;

	for (unsigned int i = 0; i < bytes; i++) {
		unsigned int before = i * 8;

		if (len <= before)
			addr->bytes[i] = 0;
		else if (len < before + 8)
			addr->bytes[i] &= (__u8)(0xff << (before + 8 - len));
	}
}

unsigned int eg_addr_common_bits(__u8 family, const union eg_addr *a, const union eg_addr *b)
{
	unsigned int bytes = eg_family_bits(family) / 8;

	for (unsigned int i = 0; i < bytes; i++) {
		__u8 differs = a->bytes[i] ^ b->bytes[i];

		if (differs)
			return i * 8 + (unsigned int)__builtin_clz(differs) - 24;
	}
	return bytes * 8;
}

bool eg_addr_is_lan(__u8 family, const union eg_addr *addr)
{
	if (eg_prefix_contains(&eg_lan_exception, family, addr))
		return false;
	for (size_t i = 0; i < EG_LAN_PREFIXES; i++) {
		if (eg_prefix_contains(&eg_lan_prefixes[i], family, addr))
			return true;
	}
	return false;
}
