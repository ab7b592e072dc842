/* SPDX-License-Identifier: GPL-2.0-only */
/* Messages to the operator: one line each, on standard error. */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>

/* The command being run, for the prefix of every message. */
void log_command(const char *name);
/* -v raises it: 1 shows the steps of attach and detach, 2 what libbpf has to say. */
extern int log_verbose;
/* With -o json an error is also an object on standard output. */
extern bool log_json;
/* Called before each message, by whoever has taken the terminal, to give it back. NULL: nobody. */
extern void (*log_prepare)(void);

/*
 * Report an error: "ctloader: COMMAND: WHAT: WHY (TODO)". `todo` may be NULL. `why` and `todo` are
 * taken as they are; `what` is a format. Returns 1, the exit code of a failure.
 */
int fail(const char *why, const char *todo, const char *what, ...)
	__attribute__((format(printf, 3, 4)));
/* The same for wrong usage; returns 2. */
int usage_error(const char *why, const char *what, ...) __attribute__((format(printf, 2, 3)));
/* A line that is no error: printed as "ctloader: COMMAND: ...". */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Shown with -v only. */
void verbose(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
