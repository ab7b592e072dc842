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
/*
 * No packet is in the old set any more: the arrays keep `confirm` alone; and they go themselves, once no
 * policy is in force for `next`.
 */
void policies_tidy(const struct instance *in, const struct instance *next);

#endif
