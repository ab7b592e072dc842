// SPDX-License-Identifier: GPL-2.0-only
/*
 * The programs. A packet's story starts in one of the three entry programs and ends in a verdict:
 *
 *	ct_xdp ──────────┐ fill the record ┌ ct_xdp_in ─ policy ─ ct_xdp_confirm
 *	ct_tc_ingress ───┼─── tail call ───┤
 *	ct_tc_egress ────┘                 └ ct_tc_in ── policy ─ ct_tc_confirm
 *
 * Each entry program first looks whether another set of programs is in force (an upgrade is under
 * way), which then gets the packet as if it had come to it.
 *
 * Packets are only read. tc programs end in TC_ACT_UNSPEC, so whatever else is attached runs too.
 */
#include "ctl.h"
#include "hook.h"
#include "stage.h"

/* A packet comes in at a driver (or, in generic mode, just behind it). */
SEC("xdp")
int ct_xdp(struct xdp_md *ctx)
{
	struct ct_iface *iface = ct_iface(ctx->ingress_ifindex);
	struct ct_pkt *pkt = ct_record(CT_REC_XDP);

	if (ct_superseded())
		bpf_tail_call(ctx, &xdp_stages, CT_STAGE_NEXT);
	if (!iface || !(READ_ONCE(iface->flags) & CT_IF_ACTIVE) || !pkt)
		return XDP_PASS;
	if (!(iface->flags & CT_IF_CONFIRM_XDP)) {
		struct ct_meta *meta;

		/* A driver that keeps no metadata: tc ingress does it all. */
		if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
			return XDP_PASS;
		meta = (void *)(long)ctx->data_meta;
		if ((void *)(meta + 1) > (void *)(long)ctx->data)
			return XDP_PASS;
		meta->magic = 0;
	}
	if (!ct_pkt_from_xdp(pkt, ctx, iface))
		return XDP_PASS;
	bpf_tail_call(ctx, &xdp_stages, CT_STAGE_IN);
	ct_missing(pkt, CT_STAGE_IN);
	return XDP_PASS;
}

SEC("xdp")
int ct_xdp_in(struct xdp_md *ctx)
{
	struct ct_pkt *pkt = ct_record_ours(CT_REC_XDP);

	if (!pkt)
		return XDP_PASS;
	if (ct_in(pkt) == CT_DROP)
		return XDP_DROP;
	bpf_tail_call(ctx, &xdp_stages, CT_STAGE_POLICY);
	bpf_tail_call(ctx, &xdp_stages, CT_STAGE_CONFIRM);
	ct_missing(pkt, CT_STAGE_CONFIRM);
	ct_tag_xdp(ctx, pkt, CT_TAG_DONE);
	return XDP_PASS;
}

SEC("xdp")
int ct_xdp_confirm(struct xdp_md *ctx)
{
	struct ct_pkt *pkt = ct_record_ours(CT_REC_XDP);

	if (!pkt)
		return XDP_PASS;
	if (pkt->iface_flags & CT_IF_CONFIRM_XDP)
		return ct_confirm(pkt) == CT_DROP ? XDP_DROP : XDP_PASS;
	/* Whether the packet is delivered or forwarded is not known yet: tc will. */
	ct_tag_xdp(ctx, pkt, ct_leave(pkt) ? CT_TAG_UNCONFIRMED : CT_TAG_DONE);
	return XDP_PASS;
}

/* A packet comes in as an skb: for the first time, or after XDP has seen it. */
SEC("tc")
int ct_tc_ingress(struct __sk_buff *skb)
{
	struct ct_iface *iface = ct_iface(skb->ifindex);
	struct ct_pkt *pkt = ct_record(CT_REC_TC);
	__u32 told = skb->tc_index;
	enum ct_tag tag;

	barrier_var(told); /* read once, here: "dereference of modified ctx ptr" otherwise */
	if (ct_superseded())
		bpf_tail_call(skb, &tc_stages, CT_STAGE_NEXT);
	if (!iface || !pkt)
		return TC_ACT_UNSPEC;
	if (iface->flags & CT_IF_CONFIRM_XDP)
		return TC_ACT_UNSPEC; /* XDP did it all */
	if (iface->hook != CT_HOOK_TC)
		told = ct_tag_meta(skb);
	else if (!(iface->flags & CT_IF_LOOPBACK))
		told = 0; /* on lo it has been seen when it went out */
	tag = ct_tag_decode(told);
	if (skb->pkt_type == PACKET_OTHERHOST) {
		/* Not ours; but XDP can't know, and a bridge may let it out again. */
		if (tag != CT_TAG_NONE)
			ct_tag_write(skb, told);
		return TC_ACT_UNSPEC;
	}
	if (tag == CT_TAG_DONE) {
		ct_tag_write(skb, told);
		return TC_ACT_UNSPEC;
	}
	/* An unconfirmed flow must find its confirm even after `in` has been switched off. */
	if (tag == CT_TAG_NONE && !(READ_ONCE(iface->flags) & CT_IF_ACTIVE))
		return TC_ACT_UNSPEC;
	/* What XDP has seen it has verified. */
	if (!ct_pkt_from_skb(pkt, skb, iface, CT_INGRESS, iface->zone,
			     tag == CT_TAG_NONE && ct_verifies()))
		return TC_ACT_UNSPEC;
	if (unlikely(tag == CT_TAG_BEFORE))
		tag = ct_tag_before(pkt);
	if (tag == CT_TAG_UNCONFIRMED) {
		pkt->flags |= CT_PKT_UNCONFIRMED;
		ct_record_hash(pkt);
		bpf_tail_call(skb, &tc_stages, CT_STAGE_CONFIRM);
		ct_missing(pkt, CT_STAGE_CONFIRM);
	} else {
		bpf_tail_call(skb, &tc_stages, CT_STAGE_IN);
		ct_missing(pkt, CT_STAGE_IN);
	}
	return TC_ACT_UNSPEC;
}

/*
 * A packet goes out: this host's own, or one it forwards. `from`, the interface it came in by, and
 * the tag that was put on there say whether `in` has seen it.
 */
SEC("tc")
int ct_tc_egress(struct __sk_buff *skb)
{
	struct ct_iface *iface = ct_iface(skb->ifindex), *from = NULL;
	enum ct_tag tag = ct_tag_decode(skb->tc_index);
	struct ct_pkt *pkt = ct_record(CT_REC_TC);
	__u32 told = skb->tc_index;

	if (ct_superseded())
		bpf_tail_call(skb, &tc_stages, CT_STAGE_NEXT_EGRESS);
	if (!iface || !pkt)
		return TC_ACT_UNSPEC;
	if (skb->ingress_ifindex)
		from = ct_iface(skb->ingress_ifindex);
	if (from && (tag == CT_TAG_DONE || from->flags & CT_IF_CONFIRM_XDP))
		return TC_ACT_UNSPEC;
	if (!ct_pkt_from_skb(pkt, skb, iface, CT_EGRESS, from ? from->zone : iface->zone, false))
		return TC_ACT_UNSPEC;
	/*
	 * A bridge, a VLAN device and the like put themselves in the place of `from`. Then only the
	 * tag tells, if it is about this packet and not about one that this one carries. Of a later
	 * fragment nobody can say: the tag may be that of a packet which was cut up on the way.
	 */
	if (!from && tag != CT_TAG_NONE) {
		ct_record_hash(pkt);
		if (pkt->parsed.fragment != CT_FRAG_LATER && !ct_tag_matches(told, pkt->hash))
			tag = CT_TAG_NONE;
		else if (tag == CT_TAG_DONE)
			return TC_ACT_UNSPEC;
	}
	if (tag == CT_TAG_NONE && (!from || !(READ_ONCE(from->flags) & CT_IF_ACTIVE))) {
		/* Ours, or from where nobody looks: the whole chain, here. */
		if (!(READ_ONCE(iface->flags) & CT_IF_ACTIVE))
			return TC_ACT_UNSPEC;
		bpf_tail_call(skb, &tc_stages, CT_STAGE_IN);
		ct_missing(pkt, CT_STAGE_IN);
		return TC_ACT_UNSPEC;
	}
	/* Unconfirmed; or without a tag: it crossed an attach, or somebody wiped the tag off. */
	if (pkt->pub.reason || pkt->parsed.icmp_error || pkt->parsed.fragment == CT_FRAG_LATER)
		return TC_ACT_UNSPEC;
	if (unlikely(tag == CT_TAG_BEFORE)) {
		tag = ct_tag_before(pkt);
		if (tag == CT_TAG_NONE) {
			bpf_tail_call(skb, &tc_stages, CT_STAGE_IN);
			ct_missing(pkt, CT_STAGE_IN);
			return TC_ACT_UNSPEC;
		}
	}
	pkt->flags |= tag == CT_TAG_UNCONFIRMED ? CT_PKT_UNCONFIRMED : CT_PKT_LOOK;
	bpf_tail_call(skb, &tc_stages, CT_STAGE_CONFIRM);
	ct_missing(pkt, CT_STAGE_CONFIRM);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int ct_tc_in(struct __sk_buff *skb)
{
	struct ct_pkt *pkt = ct_record_ours(CT_REC_TC);

	if (!pkt)
		return TC_ACT_UNSPEC;
	if (ct_in(pkt) == CT_DROP)
		return TC_ACT_SHOT;
	bpf_tail_call(skb, &tc_stages, CT_STAGE_POLICY);
	bpf_tail_call(skb, &tc_stages, CT_STAGE_CONFIRM);
	ct_missing(pkt, CT_STAGE_CONFIRM);
	ct_tag_skb(skb, pkt, CT_TAG_DONE);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int ct_tc_confirm(struct __sk_buff *skb)
{
	struct ct_pkt *pkt = ct_record_ours(CT_REC_TC);

	if (!pkt)
		return TC_ACT_UNSPEC;
	if (pkt->side == CT_INGRESS) {
		if (!(pkt->flags & (CT_PKT_PREPARED | CT_PKT_UNCONFIRMED))) {
			pkt->pub.pending = 0;
			ct_tag_skb(skb, pkt, CT_TAG_DONE);
			return TC_ACT_UNSPEC;
		}
		if (ct_where(skb) == CT_WHERE_LATER) {
			ct_tag_skb(skb, pkt, ct_leave(pkt) ? CT_TAG_UNCONFIRMED : CT_TAG_DONE);
			return TC_ACT_UNSPEC;
		}
		ct_tag_skb(skb, pkt, CT_TAG_DONE);
	} else if (pkt->iface_flags & CT_IF_LOOPBACK) {
		ct_tag_skb(skb, pkt, CT_TAG_DONE);
	}
	return ct_confirm(pkt) == CT_DROP ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/* Control programs: see ctl.h. */
SEC("tc")
int ct_ctl_get(struct __sk_buff *skb)
{
	return ct_ctl_do_get(skb);
}

SEC("tc")
int ct_ctl_delete(struct __sk_buff *skb)
{
	return ct_ctl_do_delete(skb);
}

SEC("tc")
int ct_ctl_dump(struct __sk_buff *skb)
{
	return ct_ctl_do_walk(skb, CT_WALK_DUMP);
}

SEC("tc")
int ct_ctl_select(struct __sk_buff *skb)
{
	return ct_ctl_do_request(skb, false);
}

SEC("tc")
int ct_ctl_change(struct __sk_buff *skb)
{
	return ct_ctl_do_request(skb, true);
}

SEC("tc")
int ct_ctl_create(struct __sk_buff *skb)
{
	return ct_ctl_do_create(skb);
}

SEC("tc")
int ct_ctl_flush(struct __sk_buff *skb)
{
	return ct_ctl_do_walk(skb, CT_WALK_FLUSH);
}

SEC("tc")
int ct_ctl_relearn(struct __sk_buff *skb)
{
	return ct_ctl_do_walk(skb, CT_WALK_RELEARN);
}

SEC("tc")
int ct_ctl_adopt(struct __sk_buff *skb)
{
	return ct_ctl_do_adopt(skb);
}

SEC("tc")
int ct_ctl_restore(struct __sk_buff *skb)
{
	return ct_ctl_do_restore(skb);
}

SEC("tc")
int ct_ctl_add(struct __sk_buff *skb)
{
	return ct_ctl_do_add(skb);
}

SEC("tc")
int ct_ctl_sweep(struct __sk_buff *skb)
{
	return ct_ctl_do_sweep(skb);
}

SEC("tc")
int ct_ctl_arm(struct __sk_buff *skb)
{
	(void)skb;
	return ct_ctl_do_arm();
}

char LICENSE[] SEC("license") = "GPL";
