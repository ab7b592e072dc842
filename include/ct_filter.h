/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * FILTER: which flows are meant. User space makes one of its options (user/filter.c), the programs
 * look for the flows that it matches (bpf/match.h).
 */
#ifndef CT_FILTER_H
#define CT_FILTER_H

#include "ct_types.h"

/* What has been asked for; fields count only if their bit is set. */
#define CT_FILTER_FAMILY      0x0001
#define CT_FILTER_PROTO       0x0002
#define CT_FILTER_STATE       0x0004
#define CT_FILTER_STATUS      0x0008
#define CT_FILTER_MARK        0x0010
#define CT_FILTER_ZONE        0x0020
#define CT_FILTER_ICMP_TYPE   0x0040
#define CT_FILTER_ICMP_CODE   0x0080
#define CT_FILTER_ICMP_ID     0x0100
#define CT_FILTER_ORIG_SRC    0x0200
#define CT_FILTER_ORIG_DST    0x0400
#define CT_FILTER_REPLY_SRC   0x0800
#define CT_FILTER_REPLY_DST   0x1000
#define CT_FILTER_ORIG_SPORT  0x2000
#define CT_FILTER_ORIG_DPORT  0x4000
#define CT_FILTER_REPLY_SPORT 0x8000
#define CT_FILTER_REPLY_DPORT 0x10000

#define CT_FILTER_ADDRESSES                                                                        \
	(CT_FILTER_ORIG_SRC | CT_FILTER_ORIG_DST | CT_FILTER_REPLY_SRC | CT_FILTER_REPLY_DST)
#define CT_FILTER_PORTS                                                                            \
	(CT_FILTER_ORIG_SPORT | CT_FILTER_ORIG_DPORT | CT_FILTER_REPLY_SPORT |                     \
	 CT_FILTER_REPLY_DPORT)
#define CT_FILTER_ICMP (CT_FILTER_ICMP_TYPE | CT_FILTER_ICMP_CODE | CT_FILTER_ICMP_ID)
/* Of these the tuple does not tell. */
#define CT_FILTER_OF_ENTRY (CT_FILTER_STATE | CT_FILTER_STATUS | CT_FILTER_MARK)

#define CT_FILTER_NO_STATE 0xff

/* The four address options, and likewise the four port options, in this order. */
enum ct_filter_place {
	CT_FILTER_AT_ORIG_SRC,
	CT_FILTER_AT_ORIG_DST,
	CT_FILTER_AT_REPLY_SRC,
	CT_FILTER_AT_REPLY_DST,
	CT_FILTER_PLACES,
};

struct ct_filter_prefix {
	union ct_addr addr; /* bits that are not in the mask are zero */
	union ct_addr mask; /* of IPv4 the first word; the others are zero */
};

struct ct_filter {
	__u32 fields;     /* CT_FILTER_*; 0 matches every flow */
	__u32 mark;
	__u32 mark_mask;
	__be16 port[CT_FILTER_PLACES];
	__u16 icmp_id;    /* host order, as everything here but addresses and ports */
	__u16 zone;
	__u16 status;     /* bits that are wanted */
	__u8 family;      /* CT_IPV4, CT_IPV6; also set by the first address */
	__u8 proto;
	__u8 tcp_state;   /* of that name, or CT_FILTER_NO_STATE */
	__u8 sctp_state;
	__u8 icmp_type;   /* of the original direction */
	__u8 icmp_code;
	__u8 unset;       /* -u UNSET: neither answered nor assured */
	__u8 pad[3];
	struct ct_filter_prefix prefix[CT_FILTER_PLACES];
};

_Static_assert(sizeof(struct ct_filter) == 36 + 4 * 32, "ct_filter is part of a message: no holes");

#endif
