/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a protocol tracker is asked, and the switch that asks it. Pure: an entry that the caller
 * owns, a packet, the settings and the time go in; the entry's protocol state and a step come out.
 *
 * Two questions, the same for each protocol:
 *	X_new()     may this packet open a flow?  0 or the reason why not
 *	X_packet()  what does it do to its flow?  fills a struct ct_step
 * Timeouts are in ticks. Order and rules are those of nf_conntrack's trackers.
 */
#ifndef PROTO_H
#define PROTO_H

#include "compat.h"

#include "../include/ct_config.h"
#include "parse.h"

enum ct_verdict {
	CT_V_ACCEPT, /* belongs to the flow: refresh, account */
	CT_V_IGNORE, /* let through with the flow's class, but it changes no timeout and is not counted */
	CT_V_REFUSE, /* INVALID; the flow is as before, unless chunks before the bad one changed it */
	CT_V_REOPEN, /* the flow is over and this packet opens the next one */
	CT_V_CLOSE,  /* count it, then the flow is over */
};

struct ct_step {
	__u64 now;             /* ticks; set by the caller */
	enum ct_verdict verdict;
	enum ct_reason reason; /* with CT_V_REFUSE */
	__u64 timeout;         /* ticks from now, with CT_V_ACCEPT */
	bool assured;          /* the flow becomes assured */
	bool changed;          /* the protocol's state is another: worth an event */
};

static __always_inline __u64 ct_timeout(const struct ct_settings *s, enum ct_timeout id)
{
	return READ_ONCE(CT_TIMEOUT_OF(s)[id]);
}

#include "proto_generic.h"
#include "proto_gre.h"
#include "proto_icmp.h"
#include "proto_sctp.h"
#include "proto_tcp.h"
#include "proto_udp.h"

/* Prepare `e` for the first packet of a flow; sets e->expires. 0, or the reason for INVALID. */
static __always_inline enum ct_reason ct_proto_new(struct ct_entry *e, const struct ct_parsed *p,
						   const struct ct_settings *s, __u64 now)
{
	switch (p->tuple.proto) {
	case CT_IPPROTO_TCP:
		return ct_tcp_new(e, p, s, now);
	case CT_IPPROTO_UDP:
		return ct_udp_new(e, p, s, now);
	}
	if (ct_is_icmp(&p->tuple))
		return ct_icmp_new(e, p, s, now);
	switch (p->tuple.proto) {
	case CT_IPPROTO_SCTP:
		return ct_sctp_new(e, p, s, now);
	case CT_IPPROTO_GRE:
		return ct_gre_new(e, s, now);
	case CT_IPPROTO_UDPLITE:
		return ct_udplite_new(e, s, now);
	}
	return ct_generic_new(e, p, s, now);
}

/* Let a packet of direction `dir` act on its flow. The caller owns `e`. */
static __always_inline void ct_proto_packet(struct ct_entry *e, const struct ct_parsed *p,
					    enum ct_dir dir, const struct ct_settings *s,
					    __u64 now, struct ct_step *step)
{
	step->now = now;
	step->verdict = CT_V_ACCEPT;
	step->reason = CT_R_NONE;
	step->timeout = 0;
	step->assured = false;
	step->changed = false;

	if (p->tuple.proto == CT_IPPROTO_TCP)
		ct_tcp_packet(e, p, dir, s, step);
	else if (p->tuple.proto == CT_IPPROTO_UDP)
		ct_udp_packet(e, s, now, step);
	else if (ct_is_icmp(&p->tuple))
		ct_icmp_packet(p, s, step);
	else if (p->tuple.proto == CT_IPPROTO_SCTP)
		ct_sctp_packet(e, p, dir, s, step);
	else if (p->tuple.proto == CT_IPPROTO_GRE)
		ct_gre_packet(e, s, step);
	else if (p->tuple.proto == CT_IPPROTO_UDPLITE)
		ct_udplite_packet(e, s, step);
	else
		ct_generic_packet(s, step);
}

#endif
