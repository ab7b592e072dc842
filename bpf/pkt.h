/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The packet record: all that the stages know of a packet. An entry program fills it, the stages
 * it tail-calls read it; it lives in a per-CPU slot of its hook and is filled again for the next
 * packet.
 *
 * Why one slot per CPU and hook type is enough: from the entry program to the last stage a packet
 * stays on its CPU with softirqs off, and no stage sends a packet. Two hooks may follow each other
 * in one call chain (tc ingress, forwarding, tc egress), but the first has ended when the second
 * begins.
 */
#ifndef PKT_H
#define PKT_H

#include "compat.h"

#include "../include/ct_config.h"
#include "../include/ct_stats.h"
#include "../include/ctloader/ct_packet.h"
#include "parse.h"
#include "tuple.h"

/* Where the record is kept: index into `record`. tc ingress is done before egress begins. */
enum ct_record_slot {
	CT_REC_XDP,
	CT_REC_TC,
	CT_REC_CTL, /* control programs: packets may interrupt them before 6.3 */
	CT_RECORDS,
};

#define CT_PKT_PREPARED    0x01 /* `entry` is a new flow's, not in any map yet */
#define CT_PKT_UNCONFIRMED 0x02 /* its flow is among the unconfirmed: an earlier hook put it there */
#define CT_PKT_LOOK        0x04 /* nobody said what the earlier hook made of it: look the flow up */
#define CT_PKT_IN_RAN      0x08 /* `in` ran at this hook */
#define CT_PKT_CLOSED      0x20 /* it ended its flow */
#define CT_PKT_IGNORED     0x40 /* its flow let it through, and does not count it */
#define CT_PKT_ADOPTED     0x80 /* `entry` is from another table: no room is made for it */
#define CT_PKT_ANSWERED    0x10 /* unconfirmed, and this is the reply to it: see ct_meet_answered */

/* See csum.h. One word more, for the zeros behind an odd end. */
#define CT_CHUNK 512

struct ct_chunk {
	__u32 word[CT_CHUNK / 4 + 1];
	__u32 off;  /* in the frame: of the next piece */
	__u32 left; /* bytes from there on */
};

struct ct_pkt {
	struct ct_packet pub; /* what a policy program may rely on */
	__u32 flags;          /* CT_PKT_* */
	__u32 segments;       /* packets it stands for */
	__u32 hash;           /* of the key */
	__u8 swapped;         /* against the key's order */
	__u8 side;            /* enum ct_side */
	__u8 iface_flags;     /* CT_IF_* of its interface */
	__u8 slot;            /* enum ct_record_slot: where this is */
	__u64 now;            /* ticks */
	union {
		struct ct_key4 v4;
		struct ct_key6 v6;
		__u32 words[10];
	} key;
	struct ct_parsed parsed;
	struct ct_tuple original; /* of its flow, once known: what events carry */
	struct ct_entry entry;
};

static __always_inline void ct_classify(struct ct_pkt *pkt, enum ct_class class,
					enum ct_reason reason)
{
	pkt->pub.class = class;
	pkt->pub.reason = reason;
}

static __always_inline enum ct_class ct_reason_class(int reason)
{
	switch (reason) {
#define X(id, class, key, help) \
	case CT_R_##id:         \
		return CT_##class;
		CT_REASONS(X)
#undef X
	}
	return CT_INVALID;
}

static __always_inline void ct_show_flow(struct ct_pkt *pkt, const struct ct_entry *e,
					 enum ct_dir dir)
{
	pkt->pub.dir = dir;
	pkt->pub.state = e->state;
	pkt->pub.status = e->status & ~CT_S_INTERNAL;
	pkt->pub.mark = e->mark;
}

/* The original direction's tuple of the packet's flow, for events. */
static __always_inline void ct_original(struct ct_pkt *pkt, enum ct_dir dir)
{
	if (dir == CT_ORIGINAL)
		pkt->original = pkt->pub.tuple;
	else
		ct_tuple_invert(&pkt->pub.tuple, &pkt->original);
}

#endif
