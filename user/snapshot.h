/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table at one place of a listener's stream, put together from a walk through the table, which takes
 * its time, and from what the stream says meanwhile. Pure: the one who follows both feeds it.
 *
 *	1. Register the ring, and wait until every program that may not have seen it yet has ended.
 *	   From here on whatever happens to a flow is in the ring, or counted as lost. What the ring
 *	   has by now is passed over: some programs told, and others did not.
 *	2. Walk. Before each step everything that the ring has is taken: snapshot_event(); after it,
 *	   each flow that it gave: snapshot_flow().
 *	3. After the last step the ring has been written up to some place P. Everything before P is
 *	   taken. If nothing has been lost, this is the table at P, and what the ring has from P on
 *	   are the changes to it.
 *
 * Why: a program owns an entry while it changes it and while it writes the event, and the walk owns it while
 * it copies. So of each incarnation of a flow (its tuple and the word's hash and generation) there is one
 * order of its NEW, copies, UPDATEs and DESTROY, which is also that in the ring; and a copy comes after the
 * NEW, and before the DESTROY.
 *
 *   - A flow that lives at P is here. If it began after 1, its NEW is in the ring; if before, then it
 *     has kept its slot all the time, and the walk came by (it waits for one that is owned).
 *   - A flow that is here lives at P. It came by a NEW, an UPDATE or a copy. If it had ended before P, its
 *     DESTROY would be before P in the ring, and be taken after each of these: that is clear for NEW
 *     and UPDATE; and had the DESTROY been taken before the step that gave the copy, then the flow would
 *     have been dead when that step began.
 *   - It is here once: a NEW of a flow that has been copied already is known by its incarnation.
 *   - It is as it was told last. An event that is older than the copy says nothing new, and is passed
 *     over by its time; where the clocks of two CPUs leave that open, it has the same state as
 *     the copy, for there would be another event if not.
 *   - Its DESTROY, still to come, is behind P; its NEW is not.
 */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../include/ct_event.h"

struct snapshot_entry {
	struct ct_flow flow;
	uint64_t time; /* ns; nothing older is news of it */
	uint32_t next; /* of those with the same hash, or of the free ones: 1 + its index; 0: none */
	bool here;
};

struct snapshot {
	struct snapshot_entry *entries;
	uint32_t used, size; /* of them; `size` is a power of two */
	uint32_t *heads;     /* 1 + index, `size` of them */
	uint32_t free;
	size_t flows;        /* that are here */
};

void snapshot_free(struct snapshot *s);
/* A flow as a step of the walk gave it that began at `time` (ns, CLOCK_MONOTONIC). 0 or -ENOMEM. */
int snapshot_flow(struct snapshot *s, const struct ct_flow *flow, uint64_t time);
/* The next NEW, UPDATE or DESTROY of the ring; others are no matter. 0 or -ENOMEM. */
int snapshot_event(struct snapshot *s, const struct ct_event *ev);

#endif
