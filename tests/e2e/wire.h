/* SPDX-License-Identifier: GPL-2.0 */
/* Packets as the small programs of the namespace tests write them. */
#ifndef WIRE_H
#define WIRE_H

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>

/* The internet checksum. */
static inline uint32_t sum_add(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	if (len & 1)
		sum += (uint32_t)bytes[len - 1] << 8;
	return sum;
}

static inline uint16_t sum_end(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

#endif
