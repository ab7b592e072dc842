/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What this process may do. A command keeps the capabilities that it needs; those that it needs at
 * times only (to mount, to enter a namespace) are raised for just that long. All others are gone
 * before anything is looked at, and no_new_privs sees to it that none comes back.
 */
#ifndef PRIV_H
#define PRIV_H

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>

#define CAP(name) (1ULL << CAP_##name)

struct privileges {
	uint64_t needs;	   /* it can't do without them */
	uint64_t uses;	   /* it tells more with them */
	uint64_t at_times; /* raised by priv_raise() for as long as it takes */
};

/* At the start of main(): the environment, the umask, no_new_privs. */
void priv_start(void);
/* Drop everything else, in every set. What is needed and missing is remembered. */
void priv_limit(const struct privileges *p);
/* Is all there that the command needs? Reports what is missing. 0 or 1. */
int priv_check(void);
/* The same for what can't be done without. Reports what is missing. 0 or 1. */
int priv_need(uint64_t caps);
/* From here on nothing is raised any more: what is not in force goes. */
void priv_settle(void);
/* Has this process one of the capabilities it kept, raised or not? */
bool priv_has(int cap);
/* Has it none at all, nor root's files? Then there is nothing that others could make it misuse. */
bool priv_none(void);
/* Put one into force, as far as it is there; and out of force again. */
void priv_raise(int cap);
void priv_lower(int cap);
/* Put them into force, as far as they are there, for good. */
void priv_keep(uint64_t caps);

#endif
