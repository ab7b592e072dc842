/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Another set of programs in the place of the running one, with packets on their way: an upgrade, or a
 * table of another size. No packet is lost, and none goes untracked.
 *
 *	1. Load the new set beside the old. It shares every map of which the layout and size are the
 *	   same, but for the stage arrays: an old `in` can't reach a new `confirm` (but through a policy).
 *	2. If the table is another one: copy the flows, and keep up with the old table by its events.
 *	3. Pin all of it under next-N/, N being the number of the new set (ct_epoch).
 *	4. Put the new entry programs into the stages CT_STAGE_NEXT of the old arrays.
 *	5. Write N to ct_epoch.now. From this store on every packet at every hook on every CPU is the new
 *	   set's; to take it back is one store as well. Everything before it can be undone without a
 *	   trace, everything after it can be repeated: that is what replace_resume() does for a loader that
 *	   died.
 *	6. Put the new programs into links and filters, wait until no packet is in an old one, bring over
 *	   what the old ones have counted meanwhile, remove pins that only they had, and rename next-N/
 *	   to done-N/.
 *	7. Move the pins of done-N/ to where the old ones are.
 *
 * What two tables can at worst cost: a flow whose first packet met the old table within the
 * microseconds between the last look at the events and the store is entered that much later.
 * TCP's windows are learned anew, as after any other break.
 */
#ifndef REPLACE_H
#define REPLACE_H

#include "instance.h"

struct replaced {
	uint64_t flows; /* in the table afterwards */
	uint32_t abi;   /* of the set before */
	uint64_t build; /* likewise: object_build() */
	bool table;     /* the table is another one */
};

/*
 * Replace the programs of an instance by this binary's, with a table for `max` flows (0: as many as it
 * has). The caller holds the lock and has begun a change. 0; 1, reported: nothing has changed; 2,
 * reported: done, but for something that the next command will do (the change must not be ended).
 */
int replace(const struct instance *in, uint32_t max, struct replaced *what);
/* Is there something to finish or take back? Yes when in doubt. */
bool replace_pending(const struct instance *in);
/*
 * Finish or take back what a loader that died was about. Called by repair(). 0 or -errno; -ESTALE: it is
 * for a build to finish that knows the layouts of the new set.
 */
int replace_resume(const struct instance *in);

#endif
