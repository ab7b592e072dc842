/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A fragment meets its datagram: see frag.h. `in` asks twice, before and after it looks at a first
 * fragment; a later one never gets there.
 */
#ifndef FRAGMENT_H
#define FRAGMENT_H

#include "proto.h"
#include "table.h"

enum ct_joined {
	CT_JOIN_GO_ON, /* a first fragment, for `in` to look at */
	CT_JOIN_OVER,  /* it has its class */
	CT_JOIN_DROP,  /* it came before the first, and is not wanted */
};

struct ct_frag_wait {
	struct ct_datagram *d;
	bool owned;
};

static long ct_frag_try(__u32 i, void *ctx)
{
	struct ct_frag_wait *wait = ctx;

	(void)i;
	if (__sync_val_compare_and_swap(&wait->d->busy, 0, 1))
		return 0;
	wait->owned = true;
	return 1;
}

static __noinline bool ct_frag_own_long(struct ct_datagram *d)
{
	struct ct_frag_wait wait = { .d = d };

	bpf_loop(CT_OWN_LONG, ct_frag_try, &wait, 0);
	return wait.owned;
}

static __always_inline bool ct_frag_own(struct ct_datagram *d)
{
	return !__sync_val_compare_and_swap(&d->busy, 0, 1) || ct_frag_own_long(d);
}

static __always_inline void ct_frag_release(struct ct_datagram *d)
{
	barrier(); /* what was written under ownership stays before this */
	if (ct_weak_memory)
		__sync_lock_test_and_set(&d->busy, 0);
	else
		WRITE_ONCE(d->busy, 0);
}

static const __u8 ct_frag_none[sizeof(struct ct_datagram)];

/*
 * The datagram of the record's packet, owned, and its key into `key`. A new one if there is none,
 * except for a later fragment that is to be dropped for that. NULL: it can't be had.
 */
static __always_inline struct ct_datagram *ct_frag_open(struct ct_pkt *pkt, struct ct_frag_key *key,
							const struct ct_settings *s)
{
	bool later = pkt->parsed.fragment == CT_FRAG_LATER;
	struct ct_datagram *d;
	__u64 expires;

	ct_frag_key_of(key, &pkt->parsed, pkt->pub.zone);
	d = bpf_map_lookup_elem(&fragments, key);
	expires = d ? READ_ONCE(d->expires) : 0; /* 0: whoever has made it has not owned it yet */
	if (expires && pkt->now >= expires) {
		bpf_map_delete_elem(&fragments, key);
		d = NULL;
	}
	if (!d) {
		if (later && s->knob.frag_early)
			return NULL;
		bpf_map_update_elem(&fragments, key, ct_frag_none, BPF_NOEXIST);
		d = bpf_map_lookup_elem(&fragments, key);
	}
	if (!d)
		return NULL;
	if (!ct_frag_own(d)) {
		ct_count(CT_C_CONTENDED);
		return NULL;
	}
	if (!d->expires) {
		d->expires = pkt->now + ct_frag_seconds(key->family) * s->hz;
		d->id = key->id;
	}
	/* Another's; or nobody's yet, because its first fragment was refused or is not through. */
	if (d->id != key->id ||
	    (later && s->knob.frag_early && !(d->flags & CT_FRAG_KNOWN))) {
		ct_frag_release(d);
		return NULL;
	}
	return d;
}

/* Give it back; a datagram of which all has been seen is forgotten, and its id free for another. */
static __always_inline void ct_frag_close(struct ct_datagram *d, const struct ct_frag_key *key)
{
	bool complete = ct_frag_complete(d);

	ct_frag_release(d);
	if (complete)
		bpf_map_delete_elem(&fragments, key);
}

/*
 * What came behind the first fragment into its flow: `bytes` for its account, and for TCP all up to
 * `reach` behind `seq`. The flow is that of pub.tuple, in the table or not yet. A new one is in
 * neither while the CPU of its first fragment is between `in` and confirm: what another CPU sees of
 * the datagram in that moment is not counted.
 */
ct_global int ct_frag_more(__u32 record_slot, __u32 bytes, __u32 seq, __u32 reach)
{
	const struct ct_settings *s = ct_settings();
	struct ct_pkt *pkt = ct_record(record_slot);
	struct ct_entry *e;

	if (!pkt || !s || (pkt->pub.class != CT_NEW && pkt->pub.class != CT_ESTABLISHED))
		return 0;
	e = &pkt->entry;
	if (!(pkt->flags & CT_PKT_PREPARED)) {
		ct_table_key(pkt, &pkt->pub.tuple);
		e = ct_table_lookup(pkt, pkt->pub.tuple.family);
		if (!e) {
			ct_original(pkt, pkt->pub.dir);
			e = bpf_map_lookup_elem(&unconfirmed, &pkt->original);
		}
		if (!e || ct_own(e, pkt->hash)) {
			if (e)
				ct_count(CT_C_CONTENDED);
			return 0;
		}
	}
	if (pkt->pub.tuple.proto == CT_IPPROTO_TCP)
		ct_tcp_more(&e->l4.tcp, pkt->pub.dir, seq, seq + reach);
	if (s->knob.acct)
		e->counters[pkt->pub.dir & 1].bytes += bytes;
	ct_show_flow(pkt, e, pkt->pub.dir);
	if (!(pkt->flags & CT_PKT_PREPARED))
		ct_release(e);
	return 0;
}

/*
 * A fragment, before `in` looks at it. Returns enum ct_joined: a first one has got what came
 * before it, a later one has its class.
 */
ct_global int ct_frag_join(__u32 record_slot)
{
	const struct ct_settings *s = ct_settings();
	struct ct_pkt *pkt = ct_record(record_slot);
	struct ct_frag_key key;
	struct ct_datagram *d;
	enum ct_reason reason;
	__u32 bytes, seq;
	bool later;

	if (!pkt || !s)
		return CT_JOIN_OVER;
	later = pkt->parsed.fragment == CT_FRAG_LATER;
	d = ct_frag_open(pkt, &key, s);
	if (!d) {
		if (!later)
			return CT_JOIN_GO_ON;
		ct_classify(pkt, CT_UNTRACKED, CT_R_FRAG_EARLY);
		return s->knob.frag_early ? CT_JOIN_DROP : CT_JOIN_OVER;
	}
	reason = ct_frag_add(d, &pkt->parsed);
	if (!reason && !later)
		ct_frag_gather(d, &pkt->parsed, ct_tcp_end(&pkt->parsed));
	if (!reason)
		reason = ct_frag_short(d);
	if (!reason && later && !(d->flags & CT_FRAG_KNOWN)) {
		d->early += pkt->parsed.bytes;
		reason = CT_R_FRAG_EARLY;
	}
	if (reason || !later) {
		ct_frag_release(d);
		if (!reason)
			return CT_JOIN_GO_ON;
		ct_classify(pkt, ct_reason_class(reason), reason);
		return CT_JOIN_OVER;
	}
	ct_classify(pkt, d->class, d->reason);
	pkt->pub.dir = d->dir;
	pkt->pub.tuple.sport = d->sport;
	pkt->pub.tuple.dport = d->dport;
	pkt->pub.tuple.proto = d->proto;
	bytes = d->flags & CT_FRAG_IGNORED ? 0 : pkt->parsed.bytes;
	seq = d->seq;
	ct_frag_close(d, &key);
	ct_frag_more(record_slot, bytes, seq, pkt->parsed.frag_off + pkt->parsed.frag_len);
	return CT_JOIN_OVER;
}

/*
 * A first fragment, after `in`: what the others are to get. Some may have come between the two, on
 * another CPU.
 */
ct_global int ct_frag_first(__u32 record_slot)
{
	const struct ct_settings *s = ct_settings();
	struct ct_pkt *pkt = ct_record(record_slot);
	struct ct_frag_key key;
	struct ct_datagram *d;
	__u32 bytes, seq, reach;

	if (!pkt || !s)
		return 0;
	d = ct_frag_open(pkt, &key, s);
	if (!d)
		return 0;
	/* Not the one that it was added to: that could not be had, or has been pushed out since. */
	if (!(d->seen[0] & 1)) {
		ct_frag_release(d);
		return 0;
	}
	d->class = pkt->pub.class;
	d->dir = pkt->pub.dir;
	d->proto = pkt->pub.tuple.proto;
	d->sport = pkt->pub.tuple.sport;
	d->dport = pkt->pub.tuple.dport;
	if (!(d->flags & CT_FRAG_BAD))
		d->reason = pkt->pub.reason;
	d->flags |= CT_FRAG_KNOWN;
	if (pkt->flags & CT_PKT_IGNORED)
		d->flags |= CT_FRAG_IGNORED;
	bytes = d->early;
	d->early = 0;
	seq = d->seq;
	reach = d->reach;
	ct_frag_close(d, &key);
	if (bytes)
		ct_frag_more(record_slot, pkt->flags & CT_PKT_IGNORED ? 0 : bytes, seq, reach);
	return 0;
}

#endif
