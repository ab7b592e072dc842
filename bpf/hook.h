/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between XDP and tc: how a packet gets into its record, how a hook tells the next
 * one what it saw, and how the host is asked where a packet goes.
 */
#ifndef HOOK_H
#define HOOK_H

#include "csum.h"
#include "maps.h"
#include "stats.h"
#include "table.h"

/* <linux/pkt_cls.h> */
#define TC_ACT_UNSPEC (-1) /* go on with the next program or filter: a tracker decides nothing */
#define TC_ACT_SHOT 2

#define PACKET_OTHERHOST 3

/*
 * What a hook tells the next: in front of the packet from XDP to tc ingress (metadata), in
 * skb->tc_index from there to tc egress. Anything may stand in either place behind somebody else's
 * program, so both carry a magic that is random per instance; and after an encapsulation it is
 * about another packet, so the tag has some bits of the flow's hash, for those who can compare.
 *
 *	tag: magic:7 hash:7 enum ct_tag:2
 *
 * An upgrade may come between two hooks, and the new set's `unconfirmed` may be another map
 * (user/replace.h). So in a tag, the lower bit of CT_TAG_UNCONFIRMED is that of the number of the set
 * which wrote it.
 */
enum ct_tag {
	CT_TAG_NONE,        /* `in` has not seen it, or nobody can tell */
	CT_TAG_DONE,        /* seen; nothing is left to confirm */
	CT_TAG_UNCONFIRMED, /* seen; its flow is among the unconfirmed */
	CT_TAG_BEFORE,      /* seen; its flow is, or was, among those of the set before this one */
};

struct ct_meta {
	__u32 magic;
	__u32 tag;
};

/*
 * The bits of a packet's hash. 0: it has none, because it was refused by itself. The next hook may
 * see nothing wrong with it (it verifies no checksum), and takes that for a match.
 */
static __always_inline __u32 ct_tag_bits(__u32 hash)
{
	return hash ? (hash & 0x7f) ?: 1 : 0;
}

static __always_inline __u32 ct_tag_encode(__u32 hash, enum ct_tag tag)
{
	return (ct_magic & 0x7f) << 9 | ct_tag_bits(hash) << 2 |
	       (tag == CT_TAG_UNCONFIRMED ? tag | (ct_epoch_own & 1) : tag);
}

static __always_inline enum ct_tag ct_tag_decode(__u32 tag)
{
	if ((tag >> 9 & 0x7f) != (ct_magic & 0x7f))
		return CT_TAG_NONE;
	if (!(tag & CT_TAG_UNCONFIRMED))
		return tag & CT_TAG_DONE;
	return ((tag ^ ct_epoch_own) & 1) ? CT_TAG_BEFORE : CT_TAG_UNCONFIRMED;
}

/*
 * What a tag CT_TAG_BEFORE means to this packet: its flow is here, as the maps are the same or it was
 * brought over; or it stayed behind, and it is as if nobody had seen the packet.
 */
static __always_inline enum ct_tag ct_tag_before(const struct ct_pkt *pkt)
{
	return bpf_map_lookup_elem(&unconfirmed, &pkt->pub.tuple) ? CT_TAG_UNCONFIRMED :
								    CT_TAG_NONE;
}

/* Is the tag about the packet of this hash? */
static __always_inline bool ct_tag_matches(__u32 tag, __u32 hash)
{
	__u32 bits = tag >> 2 & 0x7f;

	return !bits || bits == ct_tag_bits(hash);
}

/* tc_classid too: a program behind us that returns TC_ACT_OK makes the kernel copy it over. */
static __always_inline void ct_tag_write(struct __sk_buff *skb, __u32 tag)
{
	skb->tc_index = tag;
	skb->tc_classid = tag;
}

static __always_inline void ct_tag_skb(struct __sk_buff *skb, const struct ct_pkt *pkt,
				       enum ct_tag tag)
{
	ct_tag_write(skb, ct_tag_encode(pkt->hash, tag));
}

/* The tag that XDP has put in front of the packet; 0: none. */
static __always_inline __u32 ct_tag_meta(struct __sk_buff *skb)
{
	struct ct_meta *meta = (void *)(long)skb->data_meta;

	if ((void *)(meta + 1) > (void *)(long)skb->data || meta->magic != ct_magic)
		return 0;
	return meta->tag;
}

static __always_inline void ct_tag_xdp(struct xdp_md *ctx, const struct ct_pkt *pkt,
				       enum ct_tag tag)
{
	struct ct_meta *meta = (void *)(long)ctx->data_meta;

	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return; /* there is none: the whole chain runs in XDP */
	meta->magic = ct_magic;
	meta->tag = ct_tag_encode(pkt->hash, tag);
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
					    enum ct_record_slot slot, enum ct_side side,
					    __u16 zone)
{
	/* The packet before this one met `in` and never came to confirm. */
	if (pkt->pub.pending)
		ct_count(CT_C_DROP_POLICY);
	pkt->pub.pending = 0;
	pkt->pub.abi = CT_ABI;
	pkt->pub.ifindex = iface->ifindex;
	pkt->pub.class = CT_UNTRACKED;
	pkt->pub.dir = 0;
	pkt->pub.reason = 0;
	pkt->pub.state = 0;
	pkt->pub.status = 0;
	pkt->pub.zone = zone;
	pkt->pub.mark = 0;
	pkt->flags = 0;
	pkt->segments = 1;
	pkt->hash = 0;
	pkt->side = side;
	pkt->slot = slot;
	pkt->iface_flags = iface->flags;
	pkt->now = ct_now();
}

/* The parser's result into the record. False if the packet is none of ours. */
static __always_inline bool ct_record_parsed(struct ct_pkt *pkt, int result)
{
	if (result == CT_PARSE_NOT_IP)
		return false;
	pkt->pub.reason = result == CT_PARSE_MORE ? CT_R_UNREADABLE : result;
	pkt->pub.len = pkt->parsed.len;
	pkt->pub.tuple = pkt->parsed.tuple;
	pkt->pub.tuple.zone = pkt->pub.zone;
	return true;
}

/* The key and hash of a packet for which `in` has not run at this hook. */
static __always_inline void ct_record_hash(struct ct_pkt *pkt)
{
	if (pkt->pub.reason)
		return;
	pkt->parsed.inner.zone = pkt->pub.zone;
	ct_table_key(pkt, pkt->parsed.icmp_error ? &pkt->parsed.inner : &pkt->pub.tuple);
}

/* Are checksums to be verified? */
static __always_inline bool ct_verifies(void)
{
	const struct ct_settings *s = ct_settings();

	return s && s->knob.checksum;
}

static __always_inline bool ct_pkt_from_xdp(struct ct_pkt *pkt, struct xdp_md *ctx,
					    const struct ct_iface *iface)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;

	ct_record_begin(pkt, iface, CT_REC_XDP, CT_INGRESS, iface->zone);
	if (!ct_record_parsed(pkt, ct_parse(&pkt->parsed, data, data_end, data_end - data, 0)))
		return false;
	if (ct_verifies())
		ct_verify_xdp(ctx);
	return true;
}

/* Nearly all headers are within this; more is pulled only when it is not enough. */
#define CT_PULL_FIRST 256

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
					    const struct ct_iface *iface, enum ct_side side,
					    __u16 zone, bool verify)
{
	__u32 how = 0;
	int result;

	ct_record_begin(pkt, iface, CT_REC_TC, side, zone);
	if (iface->flags & CT_IF_L3)
		how |= CT_FRAME_L3;
	if (skb->gso_size) {
		how |= CT_FRAME_GSO;
		pkt->segments = skb->gso_segs ?: 1;
	}
	result = ct_parse_skb(skb, how);
	/* Headers outside the linear part are pulled into it; their bytes stay as they are. */
	for (int i = 0; i < 2 && unlikely(result == CT_PARSE_MORE); i++) {
		__u32 reach = i ? CT_PARSE_REACH : CT_PULL_FIRST;

		if (bpf_skb_pull_data(skb, skb->len < reach ? skb->len : reach))
			break;
		result = ct_parse_skb(skb, how);
	}
	if (!ct_record_parsed(pkt, result))
		return false;
	if (verify)
		ct_verify_skb(skb);
	return true;
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
#define CT_FIB_FRAG_NEEDED 8

/* Asked for first packets only; of the packet in the record of tc. enum ct_where. */
ct_global int ct_where(struct __sk_buff *skb)
{
	struct ct_pkt *pkt = ct_record(CT_REC_TC);
	struct bpf_fib_lookup fib = {};
	const struct ct_tuple *t;
	struct ct_iface *out;

	if (!pkt)
		return CT_WHERE_HERE;
	t = &pkt->pub.tuple;
	/* The host's own address as source, from outside: the host takes it for a forgery. */
	if (ct_addr_equal(&t->src, &t->dst))
		return CT_WHERE_LATER;
	fib.family = t->family;
	fib.l4_protocol = t->proto;
	if (ct_has_ports(t->proto)) {
		fib.sport = t->sport;
		fib.dport = t->dport;
	}
	fib.ifindex = skb->ingress_ifindex;
	if (t->family == CT_IPV4) {
		fib.tos = pkt->parsed.tos;
		fib.ipv4_src = t->src.ip;
		fib.ipv4_dst = t->dst.ip;
	} else {
		fib.flowinfo = bpf_htonl(pkt->parsed.tos << 20);
		__builtin_memcpy(fib.ipv6_src, t->src.ip6, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, t->dst.ip6, sizeof(fib.ipv6_dst));
	}
	switch (bpf_fib_lookup(skb, &fib, sizeof(fib), 0)) {
	case CT_FIB_SUCCESS:
	case CT_FIB_NO_NEIGH:
	case CT_FIB_FRAG_NEEDED:
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
