/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a loader that died has left half done, and how it is found and put right.
 *
 * Whoever changes an instance holds the lock on its directory, which ends with the process, and sets
 * `changing` in the map `epoch` for as long. So an instance that is changing and not locked is one
 * whose loader died (or met an error twice, and said so). What it was about can be seen:
 *
 *	a directory without `state`       it was being made or removed: remove it (one with it and without
 *					  `epoch` is another build's)
 *	life is MAKING or ENDING          nothing was attached yet, or the last is being detached: end it
 *	an interface is COMING            detach it; if the change was decided, it stays
 *	an interface is LEAVING           it stays; if the change was decided, detach it
 *	a policy was to be another one    likewise: see policy.h
 *	next-N/                           an upgrade: see replace.h
 *
 * Every command that opens an instance does so by instance_open(), which calls this.
 */
#ifndef REPAIR_H
#define REPAIR_H

#include "instance.h"

/* Is there something to put right, as far as can be seen without the lock? */
bool repair_due(const struct instance *in);
/*
 * Put right what is; takes the lock if `in` doesn't hold it, and leaves everything alone if another
 * has it. 0; -ENOENT when the instance was to end, and has; -EXDEV, -EPROTO: that is for who is in its
 * namespace, or for a build that knows its layouts; -ESTALE: for the build that began an upgrade.
 */
int repair(struct instance *in);

/* A change of the instance begins: the lock is held. 0 or 1, reported. */
int change_begin(const struct instance *in);
/*
 * Up to here it would be taken back if we died, from here on it is finished; or from the moment when
 * another set of programs is in force. 0 or 1, reported.
 */
int change_decide(const struct instance *in);
int change_decide_at_switch(const struct instance *in);
/*
 * It has ended, and the instance is `life` (enum ct_life) from here on; or not (`whole` is false, or an
 * upgrade could be neither finished nor taken back).
 */
int change_end(const struct instance *in, int life, bool whole);
/* What the instance is to become, in case that we die. 0 or 1, reported. */
int change_life(const struct instance *in, int life);

#endif
