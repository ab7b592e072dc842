/* SPDX-License-Identifier: GPL-2.0-only */
/* CRC32c (RFC 9260 A), bit by bit: what SCTP packets are built with. */
#ifndef CRC32C_H
#define CRC32C_H

#include <stddef.h>
#include <stdint.h>

static uint32_t crc32c(const uint8_t *bytes, size_t len)
{
	uint32_t crc = ~0U;

	for (; len; len--) {
		crc ^= *bytes++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

#endif
