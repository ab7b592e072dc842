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
/*
 * An upgrade. A policy was loaded with the stage array of its day, through which it lets packets go on to
 * `confirm`. So that array has to stay, pinned under "policies/", and to lead to the newest `confirm`.
 *
 * Those of the instance into the arrays of a set of programs just loaded, number `number`, and keep the
 * arrays that they use: 1 if there are any, 0 or -errno. The second takes that back.
 */
int policies_copy(const struct instance *in, const struct bpf_object *obj, uint32_t number);
void policies_copy_undo(const struct instance *in, uint32_t number);
/* From here on they go on to `confirm` of the set pinned at `next`. Can be repeated. 0 or -errno. */
int policies_update(const struct instance *in, const struct instance *next);
/* Once no policy is in force for `next`, no array needs to be kept. */
void policies_tidy(const struct instance *in, const struct instance *next);

#endif
