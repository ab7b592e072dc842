/* SPDX-License-Identifier: GPL-2.0-only */
/* The operator's own programs between `in` and `confirm`: at most one for each type of hook. */
#ifndef POLICY_H
#define POLICY_H

#include "object.h"

struct bpf_object;

/* Put a pinned program into the stage array of its type. 0 or 1, reported. */
int policy_set(const struct instance *in, const char *path);
/* The ids of the policies in force, 0 for none; and put them back. */
void policies_read(const struct instance *in, uint32_t ids[STAGE_ARRAYS]);
void policies_restore(const struct instance *in, const uint32_t ids[STAGE_ARRAYS]);
/* Those of the instance into the arrays of a set of programs just loaded. 0 or -errno. */
int policies_copy(const struct instance *in, const struct bpf_object *obj);

#endif
