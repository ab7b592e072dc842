/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The public head of the packet record: what `in` found out, for the policy program that runs
 * before `confirm`. See ct_policy.bpf.h for how such a program is written.
 */
#ifndef CT_PACKET_H
#define CT_PACKET_H

#include "../ct_types.h"

struct ct_packet {
	__u32 abi;     /* CT_ABI of who filled it; a stage of another build leaves it alone */
	__u32 ifindex; /* the interface it came in by (ingress) or goes out by (egress) */
	__u8 class;    /* enum ct_class */
	__u8 dir;      /* enum ct_dir; of no meaning without a flow */
	__u8 reason;   /* enum ct_reason: why it is invalid or untracked */
	__u8 state;    /* of the protocol, after this packet */
	__u16 status;  /* CT_S_* of the flow, 0 without one */
	__u16 zone;
	__u32 mark;    /* of the flow; what a policy writes here a NEW flow is confirmed with */
	__u32 len;     /* bytes from the IP header on */
	struct ct_tuple tuple; /* as seen */
	__u32 pending; /* not 0 from `in` to `confirm`; a packet dropped in between leaves it behind */
	__u32 pad;
};

#endif
