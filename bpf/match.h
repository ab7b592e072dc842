/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Does a flow match a filter? Pure: the control programs ask of the entries they walk past, user
 * space of the flows that events tell of.
 */
#ifndef MATCH_H
#define MATCH_H

#include "compat.h"

#include "../include/ct_filter.h"
#include "../include/ct_proto.h"
#include "tuple.h"

static __always_inline bool ct_filter_address(const struct ct_filter *f, enum ct_filter_place place,
					      const union ct_addr *addr)
{
	const struct ct_filter_prefix *p = &f->prefix[place];

	if (!(f->fields & CT_FILTER_ORIG_SRC << place))
		return true;
	return !((p->addr.ip6[0] ^ addr->ip6[0]) & p->mask.ip6[0]) &&
	       !((p->addr.ip6[1] ^ addr->ip6[1]) & p->mask.ip6[1]) &&
	       !((p->addr.ip6[2] ^ addr->ip6[2]) & p->mask.ip6[2]) &&
	       !((p->addr.ip6[3] ^ addr->ip6[3]) & p->mask.ip6[3]);
}

static __always_inline bool ct_filter_port(const struct ct_filter *f, enum ct_filter_place place,
					   __be16 port)
{
	return !(f->fields & CT_FILTER_ORIG_SPORT << place) || f->port[place] == port;
}

/* There is no NAT: replies come from where the original direction goes to. */
static __always_inline bool ct_filter_ports(const struct ct_filter *f, const struct ct_tuple *t)
{
	return ct_has_ports(t->proto) && ct_filter_port(f, CT_FILTER_AT_ORIG_SRC, t->sport) &&
	       ct_filter_port(f, CT_FILTER_AT_ORIG_DST, t->dport) &&
	       ct_filter_port(f, CT_FILTER_AT_REPLY_SRC, t->dport) &&
	       ct_filter_port(f, CT_FILTER_AT_REPLY_DST, t->sport);
}

static __always_inline bool ct_filter_icmp(const struct ct_filter *f, const struct ct_tuple *t)
{
	__u16 type_code = bpf_ntohs(t->dport);

	if (!ct_is_icmp(t))
		return false;
	if (f->fields & CT_FILTER_ICMP_TYPE && f->icmp_type != type_code >> 8)
		return false;
	if (f->fields & CT_FILTER_ICMP_CODE && f->icmp_code != (type_code & 0xff))
		return false;
	return !(f->fields & CT_FILTER_ICMP_ID) || f->icmp_id == bpf_ntohs(t->sport);
}

/* As far as the tuple of its original direction tells. */
static __always_inline bool ct_filter_tuple(const struct ct_filter *f, const struct ct_tuple *t)
{
	if (f->fields & CT_FILTER_FAMILY && f->family != t->family)
		return false;
	if (f->fields & CT_FILTER_PROTO && f->proto != t->proto)
		return false;
	if (f->fields & CT_FILTER_ZONE && f->zone != t->zone)
		return false;
	if (f->fields & CT_FILTER_PORTS && !ct_filter_ports(f, t))
		return false;
	if (f->fields & CT_FILTER_ICMP && !ct_filter_icmp(f, t))
		return false;
	return ct_filter_address(f, CT_FILTER_AT_ORIG_SRC, &t->src) &&
	       ct_filter_address(f, CT_FILTER_AT_ORIG_DST, &t->dst) &&
	       ct_filter_address(f, CT_FILTER_AT_REPLY_SRC, &t->dst) &&
	       ct_filter_address(f, CT_FILTER_AT_REPLY_DST, &t->src);
}

/* The state that is asked for of this protocol. */
static __always_inline __u8 ct_filter_state(const struct ct_filter *f, __u8 proto)
{
	if (proto == CT_IPPROTO_TCP)
		return f->tcp_state;
	return proto == CT_IPPROTO_SCTP ? f->sctp_state : CT_FILTER_NO_STATE;
}

/* As far as the entry tells. */
static __always_inline bool ct_filter_entry(const struct ct_filter *f, __u8 proto,
					    const struct ct_entry *e)
{
	if (f->fields & CT_FILTER_STATE && ct_filter_state(f, proto) != e->state)
		return false;
	if (f->fields & CT_FILTER_MARK && (e->mark ^ f->mark) & f->mark_mask)
		return false;
	if (!(f->fields & CT_FILTER_STATUS))
		return true;
	if (f->unset && e->status & (CT_S_SEEN_REPLY | CT_S_ASSURED))
		return false;
	return (e->status & f->status) == f->status;
}

static __always_inline bool ct_filter_match(const struct ct_filter *f, const struct ct_tuple *t,
					    const struct ct_entry *e)
{
	return ct_filter_tuple(f, t) && ct_filter_entry(f, t->proto, e);
}

#endif
