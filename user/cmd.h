/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The commands. Each gets an instance on which instance_init() has been called, and its own
 * arguments with argv[0] its name; it parses its options before it opens the instance. Each
 * returns the exit code: 0 done, 1 failed or nothing matched, 2 wrong usage.
 */
#ifndef CMD_H
#define CMD_H

#include "instance.h"

#ifndef CTLOADER_VERSION
#define CTLOADER_VERSION "0.1.0"
#endif

int cmd_attach(struct instance *in, int argc, char **argv);
int cmd_detach(struct instance *in, int argc, char **argv);
int cmd_upgrade(struct instance *in, int argc, char **argv);
int cmd_status(struct instance *in, int argc, char **argv);
int cmd_audit(struct instance *in, int argc, char **argv);
int cmd_list(struct instance *in, int argc, char **argv);
int cmd_get(struct instance *in, int argc, char **argv);
int cmd_count(struct instance *in, int argc, char **argv);
int cmd_delete(struct instance *in, int argc, char **argv);
int cmd_update(struct instance *in, int argc, char **argv);
int cmd_create(struct instance *in, int argc, char **argv);
int cmd_flush(struct instance *in, int argc, char **argv);
int cmd_save(struct instance *in, int argc, char **argv);
int cmd_restore(struct instance *in, int argc, char **argv);
int cmd_events(struct instance *in, int argc, char **argv);
int cmd_stats(struct instance *in, int argc, char **argv);
int cmd_top(struct instance *in, int argc, char **argv);
int cmd_set(struct instance *in, int argc, char **argv);
int cmd_show(struct instance *in, int argc, char **argv);

#endif
