/* SPDX-License-Identifier: GPL-2.0-only */
/* The bytes that TCP streams carry: known by their position. */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdint.h>
#include <stdlib.h>

#define PATTERN 65521 /* bytes until it repeats: a prime, so that a block which comes at the wrong
		       * place is noticed */

/* `len` bytes from any position: the pattern, and its beginning again. */
static uint8_t *pattern_new(size_t len)
{
	uint8_t *bytes = malloc(PATTERN + len);
	uint32_t x = 1;

	if (!bytes)
		abort();
	for (size_t i = 0; i < PATTERN; i++) {
		x = x * 1664525 + 1013904223;
		bytes[i] = x >> 24;
	}
	for (size_t i = 0; i < len; i++)
		bytes[PATTERN + i] = bytes[i];
	return bytes;
}

#endif
