/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ICMP and ICMPv6 questions and answers, matched by identifier. Only a question opens a flow
 * (icmp_packet() in nf_conntrack_proto_icmp.c). Errors are not asked here: they belong to the flow
 * of the packet they carry, see stage.h.
 */
#ifndef PROTO_ICMP_H
#define PROTO_ICMP_H

static __always_inline enum ct_timeout ct_icmp_timeout(const struct ct_parsed *p)
{
	return p->tuple.family == CT_IPV4 ? CT_T_ICMP : CT_T_ICMPV6;
}

static __always_inline enum ct_reason ct_icmp_new(struct ct_entry *e, const struct ct_parsed *p,
						  const struct ct_settings *s, __u64 now)
{
	__u8 type = bpf_ntohs(p->tuple.dport) >> 8;

	if (ct_icmp_kind(p->tuple.family, type) != CT_ICMP_REQUEST)
		return CT_R_ICMP_UNASKED;
	e->expires = now + ct_timeout(s, ct_icmp_timeout(p));
	return CT_R_NONE;
}

static __always_inline void ct_icmp_packet(const struct ct_parsed *p, const struct ct_settings *s,
					   struct ct_step *step)
{
	step->timeout = ct_timeout(s, ct_icmp_timeout(p));
}

#endif
