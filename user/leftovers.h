/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is in the kernel and in the file system that looks like ours and belongs to nobody: no
 * instance reaches it and no process holds it.
 */
#ifndef LEFTOVERS_H
#define LEFTOVERS_H

/*
 * Call `say` for each, in words. Looks again for two seconds before it says so: the kernel frees
 * what it frees some time later, and a loader is at work for as long as it takes. How many, or
 * -errno.
 */
int leftovers_find(void (*say)(const char *what, void *arg), void *arg);

#endif
