/* SPDX-License-Identifier: GPL-2.0-only */
/* The end of an instance: what happens between the last detach and the removal of its pins. */
#ifndef ENDING_H
#define ENDING_H

#include "instance.h"

/*
 * No packet can reach the instance any more: empty its stages, end every flow with its event, tell
 * the listeners that nothing follows. The number of flows there were; -1, reported: it can be tried
 * again, unless the instance is damaged.
 */
long instance_end(const struct instance *in);
/* Are pins missing without which it can't end as it should? */
bool instance_damaged(const struct instance *in);
/*
 * Have its interfaces gone, and its namespace, as far as can be seen? Without links nothing tells of
 * the interfaces; then it counts only if it is `named` by who wants to know.
 */
bool orphaned(const struct instance *in, bool named);
/* End and remove an instance if its network namespace has gone. 0, -EXDEV if it has not, -errno. */
int orphan_remove(struct instance *in);
/*
 * Likewise, but only if its links say so, too; or if it is not whole and nobody is at work on it. For
 * pins_each(). 0.
 */
int orphan_clear(const char *name, const char *dir, void *arg);

#endif
