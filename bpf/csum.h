/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Verifying checksums (`checksum`), where nf_conntrack does: of whole packets that come in, TCP,
 * UDP, UDP-Lite, ICMP, ICMPv6 and SCTP, before anything else is believed of them; a UDP checksum
 * of 0 is none, over IPv6 too (udp_error()). What this host sends is taken for right, and a
 * fragment can't be told.
 *
 * Not every packet that comes in has been on a wire. Of one that has not (CHECKSUM_PARTIAL: from
 * this machine, a container, a guest; or merged by GRO) the checksum is yet to be written: its
 * field holds the sum of the pseudo-header, and SCTP's 0. An skb says that it is such a packet. At
 * XDP nobody does, so there a field with that value is taken for right: on interfaces where such
 * packets come in at all (CT_IF_PARTIAL), and nowhere else, for anybody can send that value.
 */
#ifndef CSUM_H
#define CSUM_H

#include "maps.h"
#include "sum.h"

/* <linux/skbuff.h> */
#define CT_CHECKSUM_PARTIAL 3

/* The largest IP packet, in chunks. */
#define CT_CHUNKS (65536 / CT_CHUNK)

#define CT_SCTP_HEADER 12

static __always_inline struct ct_chunk *ct_chunk(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&chunk, &zero);
}

/*
 * `len` bytes of the packet at `off` into the chunk: 1 to CT_CHUNK. In this form verifiers before
 * 6.8 see that it is not 0, too: "R3 min value is outside of the allowed memory range".
 */
static __always_inline long ct_chunk_load(struct ct_chunk *c, void *ctx, enum ct_record_slot slot,
					  __u32 off, __u32 len)
{
	barrier_var(len);
	len = ((len - 1) & (CT_CHUNK - 1)) + 1;
	c->word[len / 4] = 0;
	return slot == CT_REC_XDP ? bpf_xdp_load_bytes(ctx, off, c->word, len) :
				    bpf_skb_load_bytes(ctx, off, c->word, len);
}

/*
 * The sum of `len` bytes of the packet from `off` on, folded; or -1. A helper takes memory of the
 * packet itself in pieces of a constant size only. What is shorter, or is not in the readable part
 * of an skb, is copied. The cursor is in the map, for the reason that ct_skip_ext() gives.
 */
static __always_inline int ct_sum_packet(const struct ct_frame *f, void *ctx,
					 enum ct_record_slot slot, __u32 off, __u32 len)
{
	struct ct_chunk *c = ct_chunk();
	__s64 sum = 0;

	if (!c)
		return -1;
	WRITE_ONCE(c->off, off);
	for (int i = 0; i < CT_CHUNKS; i++) {
		const void *at;

		off = READ_ONCE(c->off);
		if (len < CT_CHUNK)
			break;
		at = ct_at(f, off, CT_CHUNK);
		if (!at) {
			if (ct_chunk_load(c, ctx, slot, off, CT_CHUNK))
				return -1;
			at = c->word;
		}
		sum = bpf_csum_diff(NULL, 0, (void *)at, CT_CHUNK, sum);
		WRITE_ONCE(c->off, off + CT_CHUNK);
		len -= CT_CHUNK;
	}
	len &= CT_CHUNK - 1;
	if (len) {
		if (ct_chunk_load(c, ctx, slot, off, len))
			return -1;
		sum = bpf_csum_diff(NULL, 0, c->word, (len + 3) & ~3U, sum);
	}
	return ct_sum_fold(sum);
}

ct_global int ct_sum_xdp(struct xdp_md *ctx, __u32 off, __u32 len)
{
	struct ct_frame f = { (void *)(long)ctx->data, (void *)(long)ctx->data_end };

	return ct_sum_packet(&f, ctx, CT_REC_XDP, off, len);
}

ct_global int ct_sum_skb(struct __sk_buff *skb, __u32 off, __u32 len)
{
	struct ct_frame f = { (void *)(long)skb->data, (void *)(long)skb->data_end };

	return ct_sum_packet(&f, skb, CT_REC_TC, off, len);
}

/* The first `n` bytes of the chunk. */
ct_global int ct_crc_chunk(__u32 crc, __u32 n)
{
	struct ct_chunk *c = ct_chunk();

	if (!c || n > CT_CHUNK)
		return 0;
	for (__u32 i = 0; i < CT_CHUNK / 8; i++) {
		if (8 * i + 8 > n)
			break;
		crc = ct_crc_8(crc, c->word[2 * i], c->word[2 * i + 1]);
	}
	for (__u32 i = 0; i < 7; i++) {
		__u32 at = (n & ~7U) + i;

		if (at >= n)
			break;
		barrier_var(at);
		crc = ct_crc_1(crc, ((const __u8 *)c->word)[at & (CT_CHUNK - 1)]);
	}
	return crc;
}

/* Is the CRC of an SCTP packet right? It covers the packet, its own field taken for 0. */
static __always_inline bool ct_crc_right(void *ctx, enum ct_record_slot slot, __u32 off, __u32 len,
					 bool partial)
{
	struct ct_chunk *c = ct_chunk();
	__u32 crc = CT_CRC_BEGIN, told = 0;

	if (!c)
		return true;
	WRITE_ONCE(c->off, off);
	WRITE_ONCE(c->left, len);
	for (int i = 0; i < CT_CHUNKS; i++) {
		__u32 at = READ_ONCE(c->off), left = READ_ONCE(c->left);
		__u32 n = left < CT_CHUNK ? left : CT_CHUNK;

		barrier_var(n);
		if (!n || n > CT_CHUNK)
			break;
		if (ct_chunk_load(c, ctx, slot, at, n))
			return true;
		if (!i) {
			told = c->word[2];
			if (partial && !told)
				return true;
			c->word[2] = 0;
		}
		crc = ct_crc_chunk(crc, n);
		WRITE_ONCE(c->off, at + n);
		WRITE_ONCE(c->left, left - n);
	}
	return told == ct_crc_end(crc);
}

/* The record has parsed a packet whose checksum can be told: not in pieces, and not refused yet. */
static __always_inline bool ct_verifiable(const struct ct_pkt *pkt)
{
	return !pkt->parsed.fragment && (!pkt->pub.reason || pkt->pub.reason == CT_R_ND);
}

/*
 * Compute the checksum of the record's packet. `partial`: one that is yet to be finished is right.
 * Returns what is wrong with it (enum ct_reason), or 0.
 */
static __always_inline int ct_verify_packet(const struct ct_pkt *pkt, void *ctx,
					    enum ct_record_slot slot, bool partial)
{
	const struct ct_parsed *p = &pkt->parsed;
	__u32 off = p->l4_off, len = p->l4_end - off, covered = len;
	__u64 pseudo = ct_sum_pseudo(&p->tuple, len);
	enum ct_reason reason;
	int sum;

	switch (p->tuple.proto) {
	case CT_IPPROTO_TCP:
		if (partial && p->check == ct_sum_fold(pseudo))
			return 0;
		reason = CT_R_TCP_CHECKSUM;
		break;
	case CT_IPPROTO_UDP:
		if (!p->check || (partial && p->check == ct_sum_fold(pseudo)))
			return 0;
		reason = CT_R_UDP_CHECKSUM;
		break;
	case CT_IPPROTO_UDPLITE:
		covered = p->need ?: len; /* RFC 3828 3.1 */
		reason = CT_R_UDPLITE_CHECKSUM;
		break;
	case CT_IPPROTO_SCTP:
		if (len < CT_SCTP_HEADER || ct_crc_right(ctx, slot, off, len, partial))
			return 0;
		return CT_R_SCTP_CHECKSUM;
	default:
		if (!ct_is_icmp(&p->tuple))
			return 0;
		if (p->tuple.family == CT_IPV4)
			pseudo = 0;
		reason = CT_R_ICMP_CHECKSUM;
	}
	sum = slot == CT_REC_XDP ? ct_sum_xdp(ctx, off, covered) :
				   ct_sum_skb(ctx, off, covered);
	return sum < 0 || ct_sum_fold(pseudo + sum) == 0xffff ? 0 : reason;
}

/* A packet with a wrong IPv4 header is believed nothing: not that it is a fragment, either. */
static __always_inline bool ct_verify_ip4(struct ct_pkt *pkt, const struct ct_frame *f)
{
	if (likely(!ct_ip4_wrong(&pkt->parsed, f)))
		return true;
	pkt->pub.reason = CT_R_IP4_CHECKSUM;
	pkt->parsed.fragment = CT_FRAG_NONE;
	return false;
}

/* Functions of their own, for the verifier's sake: it looks at them once. */
ct_global int ct_verify_xdp(struct xdp_md *ctx)
{
	struct ct_frame f = { (void *)(long)ctx->data, (void *)(long)ctx->data_end };
	struct ct_pkt *pkt = ct_record(CT_REC_XDP);
	int reason;

	if (!pkt || !ct_verify_ip4(pkt, &f) || !ct_verifiable(pkt))
		return 0;
	reason = ct_verify_packet(pkt, ctx, CT_REC_XDP, pkt->iface_flags & CT_IF_PARTIAL);
	if (reason)
		pkt->pub.reason = reason;
	return 0;
}

/* Does the kernel know that the packet's checksum is yet to be finished? */
static __always_inline bool ct_skb_partial(struct __sk_buff *skb)
{
	__u8 bits;

	if (bpf_probe_read_kernel(&bits, sizeof(bits), (void *)skb + ct_ip_summed / 8))
		return false;
	return (bits >> ct_ip_summed % 8 & 3) == CT_CHECKSUM_PARTIAL;
}

/*
 * Has the hardware summed up the packet (CHECKSUM_COMPLETE), from the network header on, and is the
 * result right? If not, it is computed all the same, as in nf_ip_checksum(). That sum is what
 * bpf_csum_update() returns; and it changes nothing by adding 0.
 */
static __always_inline bool ct_skb_complete(struct __sk_buff *skb, const struct ct_pkt *pkt)
{
	const struct ct_parsed *p = &pkt->parsed;
	__u32 from = pkt->iface_flags & CT_IF_L3 ? 0 : sizeof(struct ct_wire_eth);
	__s64 whole = bpf_csum_update(skb, 0);
	__u64 sum;
	int head;

	if (whole < 0 || skb->len != p->l4_end || p->tuple.proto == CT_IPPROTO_SCTP ||
	    p->tuple.proto == CT_IPPROTO_UDPLITE)
		return false;
	head = ct_sum_skb(skb, from, p->l4_off - from);
	if (head < 0)
		return false;
	sum = whole + (~head & 0xffff);
	if (p->tuple.proto != CT_IPPROTO_ICMP)
		sum += ct_sum_pseudo(&p->tuple, p->l4_end - p->l4_off);
	return ct_sum_fold(sum) == 0xffff;
}

ct_global int ct_verify_skb(struct __sk_buff *skb)
{
	struct ct_frame f = { (void *)(long)skb->data, (void *)(long)skb->data_end };
	struct ct_pkt *pkt = ct_record(CT_REC_TC);
	bool partial;
	int reason;

	if (!pkt || !ct_verify_ip4(pkt, &f) || !ct_verifiable(pkt))
		return 0;
	/* Super-packets are made by this machine: by GRO, which verifies, or by a sender on it. */
	if (skb->gso_size)
		return 0;
	/* Verified by the hardware: CHECKSUM_UNNECESSARY. */
	if (bpf_csum_level(skb, BPF_CSUM_LEVEL_QUERY) >= 0)
		return 0;
	partial = !ct_ip_summed && pkt->iface_flags & CT_IF_PARTIAL;
	if (ct_ip_summed && ct_skb_partial(skb))
		return 0;
	if (ct_skb_complete(skb, pkt))
		return 0;
	reason = ct_verify_packet(pkt, skb, CT_REC_TC, partial);
	if (reason)
		pkt->pub.reason = reason;
	return 0;
}

#endif
