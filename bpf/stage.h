/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The bodies of the stages, the same for XDP and tc.
 *
 *	ct_in		find the packet's flow and let the packet act on it, or prepare a new one
 *	ct_confirm	put the new flow into the table and tell the listeners
 *	ct_leave	the new flow will be confirmed at a later hook: put it among the unconfirmed
 *
 * `in` never makes anything that others can see. What it prepared is in the packet record and is
 * forgotten with it, unless confirm or leave takes it on; so a packet that is dropped in between,
 * by whomever, leaves nothing behind.
 */
#ifndef STAGE_H
#define STAGE_H

#include "fragment.h"
#include "proto.h"
#include "table.h"

/* Verdict of a stage. */
enum ct_pass {
	CT_PASS,
	CT_DROP,
};

/* Seconds after which an entry is no longer expected to be confirmed. */
#define CT_UNCONFIRMED_SECONDS 20

static __always_inline void ct_account(struct ct_pkt *pkt, struct ct_entry *e, enum ct_dir dir,
				       const struct ct_settings *s)
{
	if (!s->knob.acct)
		return;
	e->counters[dir & 1].packets += pkt->segments;
	e->counters[dir & 1].bytes += pkt->parsed.bytes;
}

/* A flow that is counted for its source has become assured. Out of line: it is rare. */
ct_global int ct_counted_assured(__u32 record_slot, struct ct_entry *e, __u32 dir)
{
	struct ct_pkt *pkt = ct_record(record_slot);

	if (!pkt || !e)
		return 0;
	ct_original(pkt, dir);
	ct_table_count_out(e, &pkt->original);
	return 0;
}

/* The flow has become assured, or its end comes nearer: renew its hint. */
static __always_inline void ct_hint_changed(struct ct_pkt *pkt, struct ct_entry *e, enum ct_dir dir,
					    const struct ct_settings *s)
{
	ct_hint_write(e, pkt->pub.tuple.family, pkt->now, s->hz);
	if (unlikely(e->status & CT_S_COUNTED) && e->status & CT_S_ASSURED)
		ct_counted_assured(pkt->slot, e, dir);
}

/* What became of the entry a packet met. */
enum ct_met {
	CT_MET,      /* classified; the entry has been given back, or is gone with the packet counted */
	CT_MET_OVER, /* the entry is no more (or was never this flow's): the packet is a first one */
	CT_MET_BUSY, /* another CPU holds it, for longer than we can wait */
};

/*
 * The packet's flow is there, but can't be had. It gets the class that it would have had in all
 * likelihood; its flow doesn't see it.
 */
static __always_inline void ct_met_busy(struct ct_pkt *pkt, const struct ct_entry *e)
{
	bool replied = READ_ONCE(e->status) & CT_S_SEEN_REPLY ||
		       (pkt->swapped ^ READ_ONCE(e->swapped)) & 1;

	ct_classify(pkt, replied ? CT_ESTABLISHED : CT_NEW, CT_R_NONE);
	ct_count(CT_C_CONTENDED);
}

/*
 * Let a packet act on the entry that was found for it: in the table, or among the unconfirmed.
 */
static __always_inline enum ct_met ct_meet(struct ct_pkt *pkt, struct ct_entry *e,
					   const struct ct_settings *s, bool confirmed)
{
	__u8 family = pkt->pub.tuple.family;
	enum ct_hint_class class;
	struct ct_step step;
	enum ct_dir dir;
	__u64 expires;
	__u16 status;
	int err;

	err = ct_own(e, pkt->hash);
	if (unlikely(err)) {
		if (err != -CT_EBUSY)
			return CT_MET_OVER;
		ct_met_busy(pkt, e);
		return CT_MET_BUSY;
	}
	if (unlikely(ct_expired(e, pkt->now))) {
		if (confirmed) {
			ct_table_destroy(pkt, family, e, CT_END_TIMEOUT);
		} else {
			ct_unconfirmed_drop(pkt, e);
			ct_count(CT_C_SWEPT_UNCONFIRMED);
		}
		return CT_MET_OVER;
	}

	if (unlikely(e->status & CT_S_ADOPTED))
		e->status &= ~CT_S_ADOPTED;
	dir = (pkt->swapped ^ e->swapped) & 1 ? CT_REPLY : CT_ORIGINAL;
	status = e->status;
	ct_proto_packet(e, &pkt->parsed, dir, s, pkt->now, &step);

	switch (step.verdict) {
	case CT_V_REFUSE:
		if (unlikely(step.assured)) { /* by a chunk before the one that is refused */
			e->status |= CT_S_ASSURED;
			if (confirmed)
				ct_hint_changed(pkt, e, dir, s);
		}
		ct_classify(pkt, CT_INVALID, step.reason);
		ct_show_flow(pkt, e, dir);
		ct_release(e);
		return CT_MET;
	case CT_V_REOPEN:
		if (confirmed) {
			ct_table_destroy(pkt, family, e, CT_END_REPLACED);
		} else {
			ct_unconfirmed_drop(pkt, e);
			ct_count(CT_C_DROPPED_UNCONFIRMED);
		}
		return CT_MET_OVER;
	default:
		break;
	}

	class = ct_hint_class(e);
	expires = e->expires;
	/* A flow that its answer ends is told of as unreplied, like a refused TCP connection. */
	if (dir == CT_REPLY && step.verdict != CT_V_CLOSE)
		e->status |= CT_S_SEEN_REPLY;
	if (step.assured)
		e->status |= CT_S_ASSURED;
	if (step.verdict == CT_V_ACCEPT)
		e->expires = pkt->now + step.timeout;
	if (step.verdict != CT_V_IGNORE)
		ct_account(pkt, e, dir, s);
	else
		pkt->flags |= CT_PKT_IGNORED;

	ct_classify(pkt, dir == CT_REPLY || e->status & CT_S_SEEN_REPLY ? CT_ESTABLISHED : CT_NEW,
		    CT_R_NONE);
	ct_show_flow(pkt, e, dir);

	if (unlikely(step.verdict == CT_V_CLOSE)) {
		pkt->flags |= CT_PKT_CLOSED;
		if (confirmed) {
			ct_table_destroy(pkt, family, e, CT_END_CLOSED);
		} else {
			ct_unconfirmed_drop(pkt, e);
			ct_count(CT_C_DROPPED_UNCONFIRMED);
		}
		return CT_MET;
	}
	if (confirmed) {
		if (ct_hint_class(e) != class || e->expires < expires)
			ct_hint_changed(pkt, e, dir, s);
		if (step.changed || e->status != status) {
			ct_original(pkt, dir);
			ct_event(CT_EV_UPDATE, CT_END_NONE, &pkt->original, e, pkt->now);
		}
	}
	ct_release(e);
	return CT_MET;
}

/* The same for a flow among the unconfirmed. Rare, so not part of the fast path's code. */
ct_global int ct_meet_unconfirmed(__u32 record_slot)
{
	const struct ct_settings *s = ct_settings();
	struct ct_pkt *pkt = ct_record(record_slot);
	struct ct_entry *e;

	if (!pkt || !s)
		return CT_MET_OVER;
	pkt->original = pkt->pub.tuple;
	e = bpf_map_lookup_elem(&unconfirmed, &pkt->original);
	return e ? ct_meet(pkt, e, s, false) : CT_MET_OVER;
}

/*
 * The flow of the packet that an ICMP error carries. Besides the table, for errors that this host
 * sends itself, the unconfirmed: it drops a packet (no route, TTL 0) before that is confirmed, and
 * then complains about it.
 */
static __always_inline struct ct_entry *ct_in_error_flow(struct ct_pkt *pkt)
{
	struct ct_tuple *inner = &pkt->parsed.inner;
	struct ct_entry *e;

	inner->zone = pkt->pub.tuple.zone;
	ct_table_key(pkt, inner);
	e = ct_table_lookup(pkt, inner->family);
	if (!e && pkt->side == CT_EGRESS)
		e = bpf_map_lookup_elem(&unconfirmed, inner);
	return e;
}

/* What a refused SCTP packet has changed is told with the next one, be it an error about the flow. */
static __always_inline void ct_tell_late(struct ct_pkt *pkt, struct ct_entry *e, enum ct_dir dir)
{
	const struct ct_tuple *inner = &pkt->parsed.inner;

	if (inner->proto != CT_IPPROTO_SCTP || !e->l4.sctp.untold || !(e->status & CT_S_CONFIRMED))
		return;
	e->l4.sctp.untold = 0;
	if (dir == CT_REPLY) /* the error's: the packet in it went the other way */
		pkt->original = *inner;
	else
		ct_tuple_invert(inner, &pkt->original);
	ct_event(CT_EV_UPDATE, CT_END_NONE, &pkt->original, e, pkt->now);
}

/* An ICMP error belongs to the flow of the packet it is about, and changes nothing there. */
static __always_inline void ct_in_icmp_error(struct ct_pkt *pkt)
{
	struct ct_entry *e = ct_in_error_flow(pkt);
	int err = e ? ct_own(e, pkt->hash) : -CT_ENOENT;
	enum ct_dir dir;

	if (err == -CT_EBUSY) {
		ct_classify(pkt, CT_RELATED, CT_R_NONE);
		ct_count(CT_C_CONTENDED);
		return;
	}
	if (err || !e) {
		ct_classify(pkt, CT_INVALID, CT_R_ICMP_UNRELATED);
		return;
	}
	if (ct_expired(e, pkt->now)) {
		ct_classify(pkt, CT_INVALID, CT_R_ICMP_UNRELATED);
	} else if (!ct_addr_equal(&pkt->pub.tuple.dst, &pkt->parsed.inner.src)) {
		/* Errors go back to who sent the packet; this one does not. */
		ct_classify(pkt, CT_INVALID, CT_R_ICMP_ADDRESS);
	} else {
		dir = (pkt->swapped ^ e->swapped) & 1 ? CT_ORIGINAL : CT_REPLY;
		ct_classify(pkt, CT_RELATED, CT_R_NONE);
		ct_show_flow(pkt, e, dir);
		ct_tell_late(pkt, e, dir);
	}
	ct_release(e);
}

/*
 * The mark that flows begin with whose first packet comes in by this interface. Not inlined: only first
 * packets ask.
 */
ct_global int ct_iface_mark(__u32 ifindex)
{
	struct ct_iface *iface = ct_iface(ifindex);

	return iface ? READ_ONCE(iface->mark) : 0;
}

/* First packet of a flow: prepare an entry in the record, for nobody else to see. */
static __always_inline void ct_in_new(struct ct_pkt *pkt, const struct ct_settings *s)
{
	struct ct_entry *e = &pkt->entry;
	enum ct_reason reason;

	__builtin_memset(e, 0, sizeof(*e));
	reason = ct_proto_new(e, &pkt->parsed, s, pkt->now);
	if (reason) {
		ct_classify(pkt, CT_INVALID, reason);
		return;
	}
	e->swapped = pkt->swapped;
	/* On lo, what goes out is what comes in. */
	if (pkt->side == CT_INGRESS || pkt->iface_flags & CT_IF_LOOPBACK)
		e->mark = ct_iface_mark(pkt->pub.ifindex);
	ct_account(pkt, e, CT_ORIGINAL, s);
	ct_classify(pkt, CT_NEW, CT_R_NONE);
	ct_show_flow(pkt, e, CT_ORIGINAL);
	pkt->original = pkt->pub.tuple;
	pkt->flags |= CT_PKT_PREPARED;
}

/* A flow has met its own entry at confirm: two first packets at once. Act on it as the second. */
ct_global int ct_clash(__u32 record_slot)
{
	const struct ct_settings *s = ct_settings();
	struct ct_pkt *pkt = ct_record(record_slot);
	struct ct_entry *e;

	if (!pkt || !s)
		return CT_MET_OVER;
	e = ct_table_lookup(pkt, pkt->pub.tuple.family);
	return e ? ct_meet(pkt, e, s, true) : CT_MET_OVER;
}

/*
 * Put the record's entry (its own, or the copy of an unconfirmed one) into the table and tell.
 * When it does not get in, the packet still passes, unless `full` says drop. enum ct_pass.
 */
ct_global int ct_confirm_entry(__u32 record_slot)
{
	const struct ct_settings *s = ct_settings();
	struct ct_pkt *pkt = ct_record(record_slot);
	struct ct_entry *e;
	int err = -CT_EEXIST;

	if (!pkt || !s)
		return CT_PASS;
	e = &pkt->entry;
	e->status |= CT_S_CONFIRMED;
	e->mark = pkt->pub.mark;
	e->start = s->knob.timestamp ? ct_now_ns(pkt->now) : 0;

	/* Again if the flow that was in the way has gone meanwhile, or is being deleted. */
	for (int i = 0; i < 4 && err == -CT_EEXIST; i++) {
		err = ct_table_count_in(record_slot);
		if (!err) {
			err = ct_table_insert(record_slot);
			if (err)
				ct_table_count_back(record_slot);
		}
		if ((err == -CT_EEXIST || err == -CT_EDQUOT) && ct_clash(record_slot) != CT_MET_OVER) {
			ct_count(CT_C_CLASH_RESOLVED);
			ct_count(CT_C_DROPPED_UNCONFIRMED);
			return CT_PASS;
		}
	}
	if (!err) {
		ct_count(CT_C_CONFIRMED);
		ct_event(CT_EV_NEW, CT_END_NONE, &pkt->original, e, pkt->now);
		ct_table_publish(pkt);
		return CT_PASS;
	}
	ct_count(CT_C_DROPPED_UNCONFIRMED);
	if (err != -CT_ENOSPC && err != -CT_EDQUOT) {
		ct_count(CT_C_INSERT_FAILED);
		return CT_PASS;
	}
	if (s->knob.full) {
		ct_count(err == -CT_EDQUOT ? CT_C_DROP_SOURCE : CT_C_DROP_TABLE_FULL);
		return CT_DROP;
	}
	ct_count(err == -CT_EDQUOT ? CT_C_UNTRACKED_SOURCE : CT_C_UNTRACKED_FULL);
	return CT_PASS;
}

/*
 * Take the unconfirmed flow that began with a packet of tuple pkt->original: a copy of its entry
 * into the record, and nobody else will confirm it. It is deleted when it is in the table, so that
 * the flow is never in neither. 0, -CT_ENOENT, -CT_EBUSY.
 */
static __always_inline int ct_take_left(struct ct_pkt *pkt)
{
	struct ct_entry *e = bpf_map_lookup_elem(&unconfirmed, &pkt->original);
	int err;

	if (!e)
		return -CT_ENOENT;
	err = ct_own(e, pkt->hash);
	if (err)
		return err;
	pkt->entry = *e;
	ct_release_as(e, CT_WORD_DEAD);
	return 0;
}

/* The tuple under which the packet's flow is kept among the unconfirmed, into pkt->original. */
static __always_inline void ct_original_of_left(struct ct_pkt *pkt)
{
	if (pkt->flags & CT_PKT_ANSWERED)
		ct_tuple_invert(&pkt->pub.tuple, &pkt->original);
	else
		pkt->original = pkt->pub.tuple;
}

/* Confirm a flow that an earlier hook left among the unconfirmed. */
static __always_inline enum ct_pass ct_confirm_left(struct ct_pkt *pkt)
{
	enum ct_pass pass;

	ct_table_key(pkt, &pkt->pub.tuple);
	ct_original_of_left(pkt);
	if (ct_take_left(pkt)) {
		/* It is in the table when another packet of the flow was quicker. */
		if (!ct_table_lookup(pkt, pkt->pub.tuple.family))
			ct_count(pkt->flags & CT_PKT_LOOK ? CT_C_CONFIRM_WITHOUT_IN :
							    CT_C_CONFIRM_MISSED);
		return CT_PASS;
	}
	if (!(pkt->flags & CT_PKT_IN_RAN)) /* else a policy may have changed it */
		pkt->pub.mark = pkt->entry.mark;
	pass = ct_confirm_entry(pkt->slot);
	ct_original_of_left(pkt); /* a clash may have put another flow's there */
	ct_unconfirmed_delete(&pkt->original);
	return pass;
}

/*
 * This host answers a packet which, we thought, it would forward: it was delivered after all (a
 * transparent proxy, a routing rule we can't see). The answer acts on the unconfirmed flow, and
 * confirms it. enum ct_met.
 */
ct_global int ct_meet_answered(__u32 record_slot)
{
	const struct ct_settings *s = ct_settings();
	struct ct_pkt *pkt = ct_record(record_slot);
	struct ct_entry *e;
	int met;

	if (!pkt || !s)
		return CT_MET_OVER;
	ct_tuple_invert(&pkt->pub.tuple, &pkt->original);
	e = bpf_map_lookup_elem(&unconfirmed, &pkt->original);
	if (!e)
		return CT_MET_OVER;
	met = ct_meet(pkt, e, s, false);
	if (met == CT_MET && pkt->pub.class == CT_ESTABLISHED && !(pkt->flags & CT_PKT_CLOSED))
		pkt->flags |= CT_PKT_UNCONFIRMED | CT_PKT_ANSWERED;
	return met;
}

static __always_inline void ct_in_find(struct ct_pkt *pkt, const struct ct_settings *s)
{
	struct ct_entry *e;
	int met;

	ct_table_key(pkt, &pkt->pub.tuple);
	e = ct_table_lookup(pkt, pkt->pub.tuple.family);
	if (likely(e) && likely(ct_meet(pkt, e, s, true) != CT_MET_OVER))
		return;
	met = ct_meet_unconfirmed(pkt->slot);
	if (met == CT_MET && pkt->pub.class == CT_NEW && !(pkt->flags & CT_PKT_CLOSED))
		pkt->flags |= CT_PKT_UNCONFIRMED;
	if (met != CT_MET_OVER)
		return;
	if (pkt->side == CT_EGRESS && ct_meet_answered(pkt->slot) != CT_MET_OVER)
		return;
	ct_in_new(pkt, s);
}

/* Stage 1. What the parser found wrong, if anything, is in pub.reason. */
static __always_inline enum ct_pass ct_in(struct ct_pkt *pkt)
{
	const struct ct_settings *s = ct_settings();
	enum ct_joined joined = CT_JOIN_GO_ON;

	if (!s)
		return CT_PASS;
	if (unlikely(pkt->parsed.fragment) &&
	    !(pkt->pub.reason && pkt->parsed.fragment == CT_FRAG_LATER))
		joined = ct_frag_join(pkt->slot);
	if (joined == CT_JOIN_GO_ON) {
		if (pkt->pub.reason)
			ct_classify(pkt, ct_reason_class(pkt->pub.reason), pkt->pub.reason);
		else if (pkt->parsed.icmp_error)
			ct_in_icmp_error(pkt);
		else
			ct_in_find(pkt, s);
		if (unlikely(pkt->parsed.fragment))
			ct_frag_first(pkt->slot);
	}
	ct_count_packet(pkt);

	if (joined == CT_JOIN_DROP) {
		ct_count(CT_C_DROP_FRAG_EARLY);
		return CT_DROP;
	}
	if (unlikely(pkt->pub.class == CT_INVALID)) {
		if (s->knob.log_invalid)
			ct_event_invalid(pkt, s->knob.log_invalid);
		if (s->knob.drop_invalid) {
			ct_count(CT_C_DROP_INVALID);
			return CT_DROP;
		}
	}
	pkt->flags |= CT_PKT_IN_RAN;
	pkt->pub.pending = 1;
	return CT_PASS;
}

/* Stage 3. */
static __always_inline enum ct_pass ct_confirm(struct ct_pkt *pkt)
{
	pkt->pub.pending = 0;
	if (pkt->flags & CT_PKT_PREPARED) {
		ct_count(CT_C_CREATED);
		return ct_confirm_entry(pkt->slot);
	}
	if (pkt->flags & (CT_PKT_UNCONFIRMED | CT_PKT_LOOK))
		return ct_confirm_left(pkt);
	return CT_PASS;
}

/*
 * Stage 3 where a later hook confirms: put the flow among the unconfirmed. True if it is there. It
 * is when a packet of the same flow was quicker, too; one entry serves both.
 */
static __always_inline bool ct_leave(struct ct_pkt *pkt)
{
	pkt->pub.pending = 0;
	if (pkt->flags & CT_PKT_UNCONFIRMED)
		return true;
	if (!(pkt->flags & CT_PKT_PREPARED))
		return false;
	ct_count(CT_C_CREATED);
	pkt->entry.mark = pkt->pub.mark;
	if (ct_unconfirmed_insert(pkt))
		ct_count(CT_C_DROPPED_UNCONFIRMED);
	return true;
}

/* A tail call came back: the stage is not there. The packet passes, counted, and leaves nothing. */
static __always_inline void ct_missing(struct ct_pkt *pkt, enum ct_stage stage)
{
	ct_count(CT_C_STAGE_MISSING);
	if (stage == CT_STAGE_CONFIRM && pkt->flags & CT_PKT_PREPARED)
		ct_count(CT_C_IN_WITHOUT_CONFIRM);
	pkt->pub.pending = 0;
}

#endif
