/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files that are written and read as a whole.
 *
 * What is written takes the place of what was there in one step (rename), when all of it is on the disk:
 * so there is the old file or the new one, whatever goes wrong. It is the caller's, with mode 0600,
 * whatever the old one's were. A symbolic link stays, and what it points to is replaced. What is no
 * file (a device, a FIFO) is written to as it is.
 */
#ifndef WHOLEFILE_H
#define WHOLEFILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct wholefile {
	FILE *to;
	char path[PATH_MAX]; /* of what is to be replaced */
	char temporary[PATH_MAX];
};

/*
 * Begin to write; `path` "-" is standard output. 0 or -errno. Signals that would end the process set
 * wholefile_interrupted until the end, so that nothing stays behind.
 */
int wholefile_begin(struct wholefile *w, const char *path);
bool wholefile_interrupted(void);
/*
 * All has been written; false: not all, keep the old one. 0 or -errno; `to` is closed, if it is not
 * standard output.
 */
int wholefile_end(struct wholefile *w, bool all);

/*
 * Read to the end; "-" is standard input. Memory is taken as bytes come, and not for more than `most`;
 * where the first of them are none for `begins`, no more is read. 0 or -errno; *data is for free().
 */
typedef bool wholefile_begins_fn(const void *data, size_t size);
int wholefile_read(const char *path, uint64_t most, wholefile_begins_fn *begins, uint8_t **data,
		   size_t *size);

#endif
