/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Records in a listener's ring. Each begins with its type and its length: a reader skips types it
 * does not know and ignores what follows the part it knows, so old and new versions understand
 * each other.
 */
#ifndef CT_EVENT_H
#define CT_EVENT_H

#include "ct_types.h"

/*
 *	X(id, "name", "tag as conntrack(8) prints it")
 */
#define CT_EVENTS(X)                                                                               \
	X(NEW, "new", "    [NEW] ")                                                                \
	X(UPDATE, "update", " [UPDATE] ")                                                          \
	X(DESTROY, "destroy", "[DESTROY] ")

enum ct_event_type {
#define X(id, name, tag) CT_EV_##id,
	CT_EVENTS(X)
#undef X
	CT_EV_MAX,
};

struct ct_event {
	__u16 type;   /* enum ct_event_type */
	__u16 length; /* of the record, this header included */
	__u8 reason;  /* enum ct_end, with DESTROY */
	__u8 pad[3];
	__u64 lost;   /* records this listener has lost so far: a rise is a gap at this place */
	__u64 now;    /* ticks; what flow.entry.expires is to be compared with */
	__u64 time;   /* ns */
	struct ct_flow flow;
};

/* As many listeners as there are bits in a type's mask of them. */
#define CT_LISTENERS 8

/*
 * One per listener, in the map `listener_state`. The slot's owner writes `mask`; programs add to
 * the rest with atomics, because every CPU does.
 */
struct ct_listener {
	__u64 delivered;
	__u64 lost;
	__u32 mask; /* 1 << enum ct_event_type; 0: nobody listens */
	__u32 closed; /* nothing follows what is in the ring: the instance has been detached */
};

_Static_assert(sizeof(struct ct_event) == 32 + sizeof(struct ct_flow), "ct_event is a record");

#endif
