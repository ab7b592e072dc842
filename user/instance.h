/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An instance: the pinned maps, programs and links of one tracker. Everything ctloader knows of it
 * is found through its directory of pins; there is no daemon.
 */
#ifndef INSTANCE_H
#define INSTANCE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "../include/ct_config.h"
#include "../include/ct_stats.h"

/* Options in front of the command. */
struct global {
	const char *instance; /* --instance; NULL: the namespace's own */
	const char *netns;    /* --netns; NULL: the caller's */
	bool reads;           /* the command changes nothing */
};

struct instance {
	char name[64];
	char dir[PATH_MAX]; /* .../ctloader/NAME */
	bool reads;         /* maps and programs are opened for reading only */
	int lock;           /* flock on dir; -1 when not held */
};

/*
 * Enter the namespace asked for and find the instance's name. Reports its errors; returns 0, 1
 * (failed) or 2 (usage).
 */
int instance_init(struct instance *in, const struct global *g);
/* What names our network namespace for as long as the machine runs; instance_init() asks for it. */
uint64_t netns_cookie(void);
/*
 * Whether the namespace of that cookie is to be found: it has a process, or is mounted somewhere. If
 * not it may yet live, by a descriptor or a socket that somebody holds.
 */
bool netns_found(uint64_t cookie);
/*
 * Is what is pinned at in->dir an instance of this build and namespace? Its state into *st. 0;
 * -ENOENT: nothing, or not whole; -EPROTO: of another build; -EXDEV: of another namespace.
 */
int instance_check(const struct instance *in, struct ct_state *st);
/* Its map `epoch`, whatever build it is of. 0 or -errno. */
int instance_epoch(const struct instance *in, struct ct_epoch *e);
/* Is this pin there? 0, -ENOENT, -errno. */
int instance_has(const struct instance *in, const char *name);
/* Find the pinned instance, and put it right if its last loader died at work. Reports when there is none, or it is of another build; 0 or 1. */
int instance_open(struct instance *in);
/* Report that there is no such instance, or no longer. Returns 1. */
int instance_gone(void);
/* A pinned map or program by its path below the instance, e.g. "ct4", "progs/ct_ctl_get". fd or -errno. */
int instance_fd(const struct instance *in, const char *name);
/* The same, reporting failure. fd or -1. */
int instance_need(const struct instance *in, const char *name);
/* Hold the instance against other loaders; waits. 0 or 1, reported. */
int instance_lock(struct instance *in);
/* Report who holds it. Returns 1. */
int instance_busy(const struct instance *in);
void instance_close(struct instance *in);

/*
 * The clock of an instance: how its ticks relate to seconds and to the wall.
 */
struct ct_clock {
	uint64_t ticks;    /* now */
	uint64_t mono_ns;  /* now, CLOCK_MONOTONIC */
	uint64_t wall_ns;  /* now, CLOCK_REALTIME */
	unsigned int hz;   /* ticks per second */
};
/* Ticks per second of this kernel; needs no instance. */
unsigned int clock_hz(void);
/* A clock that shows this time now. */
void clock_at(struct ct_clock *clock, uint64_t ticks, uint64_t mono_ns);
/* Read the clock of an instance. 0 or 1, reported. */
int clock_read(const struct instance *in, struct ct_clock *clock);

#endif
