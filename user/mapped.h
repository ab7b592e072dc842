/* SPDX-License-Identifier: GPL-2.0-only */
/* Pinned arrays (BPF_F_MMAPABLE) as memory: fields are read and written one by one, atomically. */
#ifndef MAPPED_H
#define MAPPED_H

#include <stddef.h>

struct instance;

/*
 * The values of the instance's array `name`, `size` bytes of them, shared with the programs; for a
 * command that only reads, a copy of them. NULL when that fails, which is reported. Elements are a
 * multiple of 8 bytes apart.
 */
void *mapped(const struct instance *in, const char *name, size_t size);
/* See to it that what mapped() gave is what it is now. 0 or 1, reported. */
int mapped_renew(const struct instance *in, const char *name, void *memory, size_t size);
/* Takes NULL, too. */
void mapped_release(void *memory, size_t size);

#endif
