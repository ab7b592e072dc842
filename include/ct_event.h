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
	X(DESTROY, "destroy", "[DESTROY] ")                                                        \
	X(INVALID, "invalid", "[INVALID] ")

enum ct_event_type {
#define X(id, name, tag) CT_EV_##id,
	CT_EVENTS(X)
#undef X
	CT_EV_MAX,
	CT_EV_SYNC = 0xffff, /* in no ring: a flow of the table, as `events --sync` tells it */
};

/* A packet that was refused: what INVALID tells of it besides its tuple. TCP's fields are else 0. */
struct ct_refused {
	__u32 ifindex; /* by which it came in, or was to go out */
	__u32 len;     /* bytes from the IP header on; 0 if there is none to be read */
	__u32 seq;     /* host order, as all here */
	__u32 ack;
	__u16 win;
	__u8 tcp_flags; /* CT_TCP_FLAGS */
	__u8 side;      /* enum ct_side */
};

struct ct_event {
	__u16 type;   /* enum ct_event_type */
	__u16 length; /* of the record, this header included */
	__u8 reason;  /* enum ct_end, with DESTROY; enum ct_reason, with INVALID */
	__u8 pad[3];
	__u64 lost;   /* records this listener has lost so far: a rise is a gap at this place */
	__u64 now;    /* ticks; what flow.entry.expires is to be compared with */
	__u64 time;   /* ns */
	union {
		struct ct_flow flow;
		struct { /* INVALID: no flow, but a packet */
			struct ct_tuple tuple; /* as seen; without a family if that can't be read */
			struct ct_refused refused;
		};
	};
};

/* As many listeners as there are bits in a type's mask of them. */
#define CT_LISTENERS 8

/* In a listener's mask: DESTROYs that its ring has no room for go into its backlog. */
#define CT_LISTEN_RELIABLE 0x80000000U

/*
 * One per listener. The slot's owner writes `mask`; programs add to the rest with atomics, because
 * every CPU does.
 */
struct ct_listener {
	__u64 delivered;
	__u64 lost;
	__u32 mask; /* 1 << enum ct_event_type, and CT_LISTEN_RELIABLE; 0: nobody listens */
	__u32 closed; /* not 0: nothing follows what is in the ring; see user/listener.c */
};

/* The map `listener_state`. Its layout never changes: listeners live through upgrades. */
struct ct_listeners {
	__u32 listening; /* OR of the masks, and above them a count of changes: the one word every
			  * event looks at; user space writes it */
	__u32 pad;
	struct ct_listener slot[CT_LISTENERS];
};

_Static_assert(sizeof(struct ct_event) == 32 + sizeof(struct ct_flow), "ct_event is a record");

#endif
