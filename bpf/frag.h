/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fragments: which parts of a datagram have been seen, and whose it is. Pure.
 *
 * Nothing is reassembled: each fragment is let through as it comes. The first one has the ports; it
 * acts on its flow, and what became of it is kept under the datagram's id for the others, which get
 * the same class. One that comes before the first has nobody to ask (CT_R_FRAG_EARLY), but what it
 * brings is remembered: the first then acts for both, as the whole datagram would.
 *
 * What is refused is what ip_frag_queue() and nf_ct_frag6_queue() refuse. A fragment of which all
 * is there already is a duplicate: refused, and no harm done. One that overlaps another in part, or
 * disagrees about the datagram's end, was made to be put together in two ways: with it the rest of
 * the datagram is refused (RFC 5722, RFC 8200 4.5).
 */
#ifndef FRAG_H
#define FRAG_H

#include "compat.h"

#include "../include/ct_stats.h"
#include "parse.h"

/* Fragments begin at multiples of 8 bytes, in datagrams of 65,535 at most: a bit for each 8. */
#define CT_FRAG_WORDS 128

/* Seconds a datagram may take: ip_frag_time; nf_conntrack_frag6_timeout. */
#define CT_FRAG4_SECONDS 30
#define CT_FRAG6_SECONDS 60

/*
 * What tells datagrams apart (RFC 791 3.2; RFC 8200 4.5 leaves the protocol out).
 */
struct ct_frag_key {
	union ct_addr src;
	union ct_addr dst;
	__be32 id;
	__u16 zone;
	__u8 proto; /* IPv4 only */
	__u8 family;
};

enum ct_frag_flag {
	CT_FRAG_BAD = 0x1,   /* the rest of it is refused */
	CT_FRAG_KNOWN = 0x2, /* the first fragment has been here: the fields from `class` on */
	CT_FRAG_END = 0x4,   /* so has the last: `total` */
	CT_FRAG_IGNORED = 0x8, /* its flow let the first through, but does not count it */
};

/* A datagram of which not everything has been seen yet: the value in `fragments`. */
struct ct_datagram {
	__u32 busy;    /* not 0: somebody owns the rest; see maps.h */
	__u32 flags;   /* enum ct_frag_flag */
	__u64 expires; /* ticks */
	__u32 total;   /* bytes behind the IP header */
	__u32 reach;   /* the end of what has been seen of them */
	__u32 units;   /* bits set in `seen` */
	__u32 early;   /* bytes that came before the first fragment, for its flow's account */
	__u32 need;    /* bytes that there have to be, by the first fragment; 0: any number */
	__u32 seq;     /* TCP: a byte's sequence number less its place in the datagram */
	__u32 walk;    /* where in `seen` a loop is, and from which unit it goes to which */
	__u32 start;
	__u32 last;
	__be32 id;     /* as in the key; an element that was used again meanwhile has another */
	__be16 sport;  /* as in struct ct_tuple */
	__be16 dport;
	__u8 proto;
	__u8 class;    /* enum ct_class */
	__u8 dir;      /* enum ct_dir */
	__u8 reason;   /* enum ct_reason; with CT_FRAG_BAD, why */
	__u64 seen[CT_FRAG_WORDS];
};

static __always_inline void ct_frag_key_of(struct ct_frag_key *k, const struct ct_parsed *p,
					   __u16 zone)
{
	k->src = p->tuple.src;
	k->dst = p->tuple.dst;
	k->id = p->frag_id;
	k->zone = zone;
	k->proto = p->tuple.family == CT_IPV4 ? p->tuple.proto : 0;
	k->family = p->tuple.family;
}

static __always_inline __u64 ct_frag_seconds(__u8 family)
{
	return family == CT_IPV4 ? CT_FRAG4_SECONDS : CT_FRAG6_SECONDS;
}

/* What there was before of the units that a fragment brings. */
enum ct_frag_before {
	CT_FRAG_NOTHING,
	CT_FRAG_SOME,
	CT_FRAG_ALL,
};

/*
 * Look at units [start, stop), at least one; or mark them. The place is kept in `d` and read anew
 * in each round, the ends as well: or the verifier follows every path by itself.
 */
ct_global int ct_frag_units(struct ct_datagram *d, __u32 start, __u32 stop, __u32 mark)
{
	__u64 there = 0, missing = 0;

	if (!d)
		return CT_FRAG_ALL;
	WRITE_ONCE(d->walk, start / 64);
	WRITE_ONCE(d->start, start);
	WRITE_ONCE(d->last, stop - 1);
	for (int i = 0; i < CT_FRAG_WORDS; i++) {
		__u32 at = READ_ONCE(d->walk), from = READ_ONCE(d->start), to = READ_ONCE(d->last);
		__u64 mask = ~0ULL, seen;

		if (at > to / 64)
			break;
		if (at == from / 64)
			mask &= ~0ULL << (from & 63);
		if (at == to / 64)
			mask &= ~0ULL >> (63 - (to & 63));
		WRITE_ONCE(d->walk, at + 1);
		barrier_var(at);
		at &= CT_FRAG_WORDS - 1;
		seen = READ_ONCE(d->seen[at]);
		there |= seen & mask;
		missing |= ~seen & mask;
		if (mark)
			WRITE_ONCE(d->seen[at], seen | mask);
	}
	return !there ? CT_FRAG_NOTHING : missing ? CT_FRAG_SOME : CT_FRAG_ALL;
}

static __always_inline enum ct_reason ct_frag_spoil(struct ct_datagram *d, enum ct_reason reason)
{
	d->flags |= CT_FRAG_BAD;
	d->reason = reason;
	return reason;
}

/* Add a fragment to its datagram, which the caller owns. 0, or the reason why it is refused. */
static __always_inline enum ct_reason ct_frag_add(struct ct_datagram *d, const struct ct_parsed *p)
{
	__u32 end = p->frag_off + p->frag_len, start = p->frag_off / 8, stop;
	__u32 headers = p->len - p->frag_len - (p->tuple.family == CT_IPV4 ? 0 : 48);

	if (d->flags & CT_FRAG_BAD)
		return d->reason;
	if (p->frag_more && end & 7) {
		if (p->tuple.family == CT_IPV6)
			return CT_R_FRAG_LENGTH;
		end &= ~7U; /* IPv4 leaves the odd bytes out */
	}
	if (end <= p->frag_off || headers + end > 65535)
		return CT_R_FRAG_LENGTH;
	/* Ends where something has been seen beyond, or where the end is known to be another. */
	if (p->frag_more ? d->flags & CT_FRAG_END && end > d->total :
			   end < d->reach || (d->flags & CT_FRAG_END && end != d->total))
		return ct_frag_spoil(d, CT_R_FRAG_OVERLAP);
	stop = (end + 7) / 8;
	switch (ct_frag_units(d, start, stop, false)) {
	case CT_FRAG_SOME:
		return ct_frag_spoil(d, CT_R_FRAG_OVERLAP);
	case CT_FRAG_ALL:
		return CT_R_FRAG_OVERLAP;
	default:
		ct_frag_units(d, start, stop, true);
	}
	d->units += stop - start;
	if (end > d->reach)
		d->reach = end;
	if (!p->frag_more) {
		d->total = end;
		d->flags |= CT_FRAG_END;
	}
	return CT_R_NONE;
}

/* Is the datagram shorter than its first fragment has said? Spoils it then. */
static __always_inline enum ct_reason ct_frag_short(struct ct_datagram *d)
{
	if (d->flags & CT_FRAG_END && d->need > d->total)
		return ct_frag_spoil(d, d->proto == CT_IPPROTO_UDPLITE ? CT_R_UDPLITE_COVERAGE :
									 CT_R_UDP_LENGTH);
	return CT_R_NONE;
}

/*
 * The first fragment has been added: its tracker is to see as much of the datagram as has come,
 * and what comes later is to be found in TCP's sequence space (`end`: behind what `p` itself has).
 */
static __always_inline void ct_frag_gather(struct ct_datagram *d, struct ct_parsed *p, __u32 end)
{
	d->need = p->need;
	d->proto = p->tuple.proto;
	d->seq = end - p->frag_len;
	p->bytes += d->early;
	d->early = 0;
	if (d->reach > p->frag_len)
		p->payload += d->reach - p->frag_len;
}

static __always_inline bool ct_frag_complete(const struct ct_datagram *d)
{
	return d->flags & CT_FRAG_KNOWN && d->flags & CT_FRAG_END && !(d->flags & CT_FRAG_BAD) &&
	       d->units == (d->total + 7) / 8;
}

#endif
