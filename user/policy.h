/* SPDX-License-Identifier: GPL-2.0-only */
/* The operator's own programs between `in` and `confirm`: at most one for each type of hook. */
#ifndef POLICY_H
#define POLICY_H

#include "object.h"

struct bpf_object;

/*
 * Put a pinned program into the stage array of its type. The one before is kept, in a stage that only an
 * upgrade uses, until policy_settle(): there it is put back, unless the new one is to stay. 0 or 1,
 * reported.
 */
int policy_set(const struct instance *in, const char *path);
/* 0 or -errno; also when no policy was set. */
int policy_settle(const struct instance *in, bool keep);
/* Those of the instance into the arrays of a set of programs just loaded. 0 or -errno. */
int policies_copy(const struct instance *in, const struct bpf_object *obj);

#endif
