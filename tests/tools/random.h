/* SPDX-License-Identifier: GPL-2.0-only */
/* Random numbers that a seed repeats: Steele, Lea and Flood's SplitMix64. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

#endif
