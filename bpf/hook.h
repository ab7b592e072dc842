/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between XDP and tc: how a packet gets into its record, how a hook tells the next
 * one what it saw, and how the host is asked where a packet goes.
 */
#ifndef HOOK_H
#define HOOK_H

#include "maps.h"
#include "stats.h"

/* <linux/pkt_cls.h> */
#define TC_ACT_UNSPEC (-1) /* go on with the next program or filter: a tracker decides nothing */
#define TC_ACT_SHOT 2

#define PACKET_OTHERHOST 3

/*
 * What a hook tells the next: in front of the packet from XDP to tc ingress (metadata), in
 * skb->tc_index from there to tc egress. The magic is random per instance, because after a
 * decapsulation, or behind somebody else's program, anything may stand in either place.
 */
enum ct_tag {
	CT_TAG_NONE,        /* `in` has not seen it, or nobody can tell */
	CT_TAG_DONE,        /* seen; nothing is left to confirm */
	CT_TAG_UNCONFIRMED, /* seen; its flow is among the unconfirmed */
};

struct ct_meta {
	__u32 magic;
	__u32 tag;
};

#define CT_TAG_BITS 2

static __always_inline __u32 ct_tag_encode(enum ct_tag tag)
{
	return (ct_magic << CT_TAG_BITS | tag) & 0xffff;
}

static __always_inline enum ct_tag ct_tag_decode(__u32 tc_index)
{
	if (!tc_index || (tc_index ^ ct_tag_encode(CT_TAG_NONE)) >> CT_TAG_BITS)
		return CT_TAG_NONE;
	return tc_index & 3;
}

/* tc_classid too: a program behind us that returns TC_ACT_OK makes the kernel copy it over. */
static __always_inline void ct_tag_skb(struct __sk_buff *skb, enum ct_tag tag)
{
	skb->tc_index = ct_tag_encode(tag);
	skb->tc_classid = ct_tag_encode(tag);
}

static __always_inline enum ct_tag ct_tag_meta(struct __sk_buff *skb)
{
	struct ct_meta *meta = (void *)(long)skb->data_meta;

	if ((void *)(meta + 1) > (void *)(long)skb->data || meta->magic != ct_magic)
		return CT_TAG_NONE;
	return meta->tag & 3;
}

static __always_inline void ct_tag_xdp(struct xdp_md *ctx, enum ct_tag tag)
{
	struct ct_meta *meta = (void *)(long)ctx->data_meta;

	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return; /* there is none: the whole chain runs in XDP */
	meta->magic = ct_magic;
	meta->tag = tag;
}

/* The record, for a stage: NULL if another build filled it. */
static __always_inline struct ct_pkt *ct_record_ours(enum ct_record_slot slot)
{
	struct ct_pkt *pkt = ct_record(slot);

	if (pkt && pkt->pub.abi == CT_ABI)
		return pkt;
	ct_count(CT_C_STALE_RECORD);
	return NULL;
}

static __always_inline void ct_record_begin(struct ct_pkt *pkt, const struct ct_iface *iface,
					    enum ct_record_slot slot, enum ct_side side)
{
	pkt->pub.abi = CT_ABI;
	pkt->pub.ifindex = iface->ifindex;
	pkt->pub.class = CT_UNTRACKED;
	pkt->pub.dir = 0;
	pkt->pub.reason = 0;
	pkt->pub.state = 0;
	pkt->pub.status = 0;
	pkt->pub.zone = iface->zone;
	pkt->pub.mark = 0;
	pkt->flags = 0;
	pkt->segments = 1;
	pkt->side = side;
	pkt->slot = slot;
	pkt->iface_flags = iface->flags;
	pkt->now = ct_now();
}

/* The parser's result into the record. False if the packet is none of ours. */
static __always_inline bool ct_record_parsed(struct ct_pkt *pkt, int result)
{
	if (result < 0)
		return false;
	pkt->pub.reason = result;
	pkt->pub.len = pkt->parsed.len;
	pkt->pub.tuple = pkt->parsed.tuple;
	pkt->pub.tuple.zone = pkt->pub.zone;
	return true;
}

static __always_inline bool ct_pkt_from_xdp(struct ct_pkt *pkt, struct xdp_md *ctx,
					    const struct ct_iface *iface)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;

	ct_record_begin(pkt, iface, CT_REC_XDP, CT_INGRESS);
	return ct_record_parsed(pkt, ct_parse(&pkt->parsed, data, data_end, data_end - data, 0));
}

/*
 * Parse the readable part of an skb into the record. A function of its own for the verifier's sake:
 * the parser is most of what it has to look at, and would be looked at for each call.
 */
ct_global int ct_parse_skb(struct __sk_buff *skb, __u32 how)
{
	struct ct_pkt *pkt = ct_record(CT_REC_TC);

	if (!pkt)
		return CT_PARSE_NOT_IP;
	return ct_parse(&pkt->parsed, (void *)(long)skb->data, (void *)(long)skb->data_end,
			skb->len, how);
}

static __always_inline bool ct_pkt_from_skb(struct ct_pkt *pkt, struct __sk_buff *skb,
					    const struct ct_iface *iface, enum ct_side side)
{
	__u32 how = 0, reach = skb->len;
	int result;

	ct_record_begin(pkt, iface, CT_REC_TC, side);
	if (iface->flags & CT_IF_L3)
		how |= CT_FRAME_L3;
	if (skb->gso_size) {
		how |= CT_FRAME_GSO;
		pkt->segments = skb->gso_segs ?: 1;
	}
	result = ct_parse_skb(skb, how);
	if (unlikely(result == CT_PARSE_MORE)) {
		/* Headers outside the linear part are pulled into it; their bytes stay as they are. */
		if (reach > CT_PARSE_REACH)
			reach = CT_PARSE_REACH;
		if (!bpf_skb_pull_data(skb, reach))
			result = ct_parse_skb(skb, how);
	}
	return ct_record_parsed(pkt, result);
}

/* Who confirms a flow whose first packet has come in. */
enum ct_where {
	CT_WHERE_HERE,  /* we do, now: it is delivered, or goes out where nobody of ours confirms */
	CT_WHERE_LATER, /* the interface it goes out by; or nobody, because the host drops it */
};

#define CT_FIB_SUCCESS 0
#define CT_FIB_BLACKHOLE 1
#define CT_FIB_UNREACHABLE 2
#define CT_FIB_PROHIBIT 3
#define CT_FIB_NO_NEIGH 7

/* Asked for first packets only. */
static __always_inline enum ct_where ct_where(struct __sk_buff *skb, const struct ct_pkt *pkt)
{
	const struct ct_tuple *t = &pkt->pub.tuple;
	struct bpf_fib_lookup fib = {};
	struct ct_iface *out;

	/* The host's own address as source, from outside: the host takes it for a forgery. */
	if (ct_addr_equal(&t->src, &t->dst))
		return CT_WHERE_LATER;
	fib.family = t->family;
	fib.l4_protocol = t->proto;
	fib.ifindex = skb->ingress_ifindex;
	if (t->family == CT_IPV4) {
		fib.ipv4_src = t->src.ip;
		fib.ipv4_dst = t->dst.ip;
	} else {
		__builtin_memcpy(fib.ipv6_src, t->src.ip6, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, t->dst.ip6, sizeof(fib.ipv6_dst));
	}
	switch (bpf_fib_lookup(skb, &fib, sizeof(fib), 0)) {
	case CT_FIB_SUCCESS:
	case CT_FIB_NO_NEIGH:
		out = ct_iface(fib.ifindex);
		return out && out->flags & CT_IF_CONFIRMS ? CT_WHERE_LATER : CT_WHERE_HERE;
	case CT_FIB_BLACKHOLE:
	case CT_FIB_UNREACHABLE:
	case CT_FIB_PROHIBIT:
		return CT_WHERE_LATER;
	default:
		return CT_WHERE_HERE;
	}
}

#endif
