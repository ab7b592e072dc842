/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Control programs: what user space has the kernel do with the table. They are tc programs that no
 * interface runs; BPF_PROG_TEST_RUN does, with a struct ct_ctl for a packet, which they answer in.
 *
 * test_run switches softirqs off since 6.3, so an entry is owned here as briefly as by a packet.
 * Before, a packet may come in between on this CPU: hence a record of their own, atomic counts,
 * and, if it is for the very flow that is owned at the moment, a packet that finds it busy.
 */
#ifndef CTL_H
#define CTL_H

#include "hook.h"
#include "match.h"
#include "sweep.h"

/* Slots one call looks at. */
#define CT_CTL_SLOTS 16384
/* For so long may it take to copy a table, switch, and come back for what the old one learned. */
#define CT_ADOPT_SECONDS 30
/* Flows one call of flush destroys, or of change deletes or updates: about a millisecond. */
#define CT_CTL_FLUSH 1024
/* Entries one call looks at, wherever its slots don't tell enough. */
#define CT_CTL_LOOK 4096

static __always_inline struct ct_ctl *ct_ctl_message(struct __sk_buff *skb)
{
	struct ct_ctl *m = (void *)(long)skb->data;

	return (void *)(m + 1) > (void *)(long)skb->data_end ? NULL : m;
}

static __always_inline void ct_ctl_time(struct ct_ctl *m)
{
	m->now = ct_now();
	m->now_ns = ct_now_ns(m->now);
}

/* Own the flow of this tuple, in either direction. NULL: not there. */
static __always_inline struct ct_entry *ct_ctl_own(struct ct_pkt *pkt, const struct ct_tuple *t)
{
	struct ct_entry *e;

	pkt->pub.abi = CT_ABI;
	pkt->slot = CT_REC_CTL;
	pkt->pub.tuple = *t;
	pkt->now = ct_now();
	if (pkt->pub.tuple.family != CT_IPV4 && pkt->pub.tuple.family != CT_IPV6)
		return NULL;
	ct_table_key(pkt, &pkt->pub.tuple);
	e = ct_table_lookup(pkt, pkt->pub.tuple.family);
	if (!e || ct_own(e, pkt->hash))
		return NULL;
	return e;
}

static __always_inline int ct_ctl_do_get(struct __sk_buff *skb)
{
	struct ct_ctl *m = ct_ctl_message(skb);
	struct ct_pkt *pkt = ct_record(CT_REC_CTL);
	struct ct_entry *e;

	if (!m || !pkt)
		return CT_ENOSPC;
	ct_ctl_time(m);
	e = ct_ctl_own(pkt, &m->flow.tuple);
	if (!e)
		return CT_ENOENT;
	if (ct_expired(e, pkt->now)) {
		ct_release(e);
		return CT_ENOENT;
	}
	ct_original(pkt, (pkt->swapped ^ e->swapped) & 1 ? CT_REPLY : CT_ORIGINAL);
	m->flow.tuple = pkt->original;
	m->flow.entry = *e;
	ct_release(e);
	return 0;
}

/* Delete the flow of the message, if it is still the incarnation its word names (0: any). */
static __always_inline int ct_ctl_do_delete(struct __sk_buff *skb)
{
	struct ct_ctl *m = ct_ctl_message(skb);
	struct ct_pkt *pkt = ct_record(CT_REC_CTL);
	__u64 word;
	struct ct_entry *e;
	__u32 end;

	if (!m || !pkt)
		return CT_ENOSPC;
	ct_ctl_time(m);
	e = ct_ctl_own(pkt, &m->flow.tuple);
	if (!e)
		return CT_ENOENT;
	word = m->flow.entry.word;
	end = m->reason;
	if (word && (word ^ e->word) & ~CT_WORD_PHASE) {
		ct_release(e);
		return CT_ENOENT;
	}
	ct_table_destroy(pkt, pkt->pub.tuple.family, e, end);
	return 0;
}

struct ct_ctl_walk {
	struct __sk_buff *skb;
	__u32 engine;
	__u32 at;
	__u32 used;
	__u32 count;
	__u32 limit;
	__u32 end;
	__u32 hz;
	__u32 all;    /* what is past its time, too */
	__u32 looked; /* entries. In one word with `busy`: the verifier would follow it from turn to turn */
	__u32 busy;   /* the last entry could not be had: somebody owns it for long */
	__u64 now;
};

union ct_ctl_key {
	struct ct_key4 v4;
	struct ct_key6 v6;
};

/* The tuple of a packet of this key: functions of their own, or the verifier sees too many paths. */
ct_global int ct_ctl_tuple(__u32 engine, const union ct_ctl_key *key, __u32 swapped,
			   struct ct_tuple *t)
{
	if (!key || !t)
		return 0;
	if (engine == 0)
		ct_tuple_of_key4(t, &key->v4, swapped & 1);
	else
		ct_tuple_of_key6(t, &key->v6, swapped & 1);
	return 0;
}

/* Does the flow match? Without `e`: may it, as far as this tuple tells? */
ct_global int ct_ctl_matches(const struct ct_filter *f, const struct ct_tuple *t,
			     const struct ct_entry *e)
{
	if (!f || !t || !ct_filter_tuple(f, t))
		return 0;
	return !e || ct_filter_entry(f, t->proto, e);
}

/* The same: ct_own(), for walks. */
ct_global int ct_ctl_own_entry(struct ct_entry *e, __u32 hash)
{
	return e ? ct_own(e, hash) : -CT_ENOENT;
}

/* May the flow of this key match? Which of the two directions is the original one its entry knows. */
static __always_inline bool ct_ctl_may_match(const struct ct_filter *f, __u32 engine,
					     const union ct_ctl_key *key, struct ct_tuple *scratch)
{
	if (!(f->fields & ~CT_FILTER_OF_ENTRY))
		return true;
	ct_ctl_tuple(engine, key, false, scratch);
	if (ct_ctl_matches(f, scratch, NULL))
		return true;
	ct_ctl_tuple(engine, key, true, scratch);
	return ct_ctl_matches(f, scratch, NULL);
}

/* The key of a slot. False: there is no flow. */
static __always_inline bool ct_ctl_key_of_slot(__u32 engine, __u32 slot, union ct_ctl_key *key)
{
	if (engine == 0) {
		struct ct_key4 *kept = bpf_map_lookup_elem(&index4, &slot);

		if (!kept || kept->pad >> 6 == CT_HINT_FREE)
			return false;
		key->v4 = *kept;
		key->v4.pad = 0;
	} else {
		struct ct_key6 *kept = bpf_map_lookup_elem(&index6, &slot);

		if (!kept || kept->pad >> 6 == CT_HINT_FREE)
			return false;
		key->v6 = *kept;
		key->v6.pad = 0;
	}
	return true;
}

/*
 * Own the flow of a slot, if one is there, lives, and matches the filter (NULL: any does). Most that
 * don't match their keys tell: those entries are not looked up. The key into *key; its tuple, as it
 * began, into *original.
 */
static __always_inline struct ct_entry *ct_ctl_own_slot(struct ct_ctl_walk *walk, __u32 slot,
							const struct ct_filter *f,
							union ct_ctl_key *key,
							struct ct_tuple *original)
{
	struct ct_entry *e;
	__u32 hash;
	int err;

	if (!ct_ctl_key_of_slot(walk->engine, slot, key) ||
	    (f && !ct_ctl_may_match(f, walk->engine, key, original)))
		return NULL;
	if (walk->engine == 0) {
		hash = ct_hash_words((void *)&key->v4, 4, ct_salt);
		e = bpf_map_lookup_elem(&ct4, &key->v4);
	} else {
		hash = ct_hash_words((void *)&key->v6, 10, ct_salt);
		e = bpf_map_lookup_elem(&ct6, &key->v6);
	}
	if (f)
		walk->looked++;
	err = e ? ct_ctl_own_entry(e, hash) : -CT_ENOENT;
	walk->busy = err == -CT_EBUSY;
	if (err || !e)
		return NULL;
	ct_ctl_tuple(walk->engine, key, e->swapped, original);
	if (e->slot == slot && (walk->all || !ct_expired(e, walk->now)) &&
	    (!f || ct_ctl_matches(f, original, e)))
		return e;
	/* The slot has changed hands, the flow is over, or is not what is looked for. */
	ct_release(e);
	return NULL;
}

/*
 * Copy the flow of a slot behind the message. At one that can't be had the walk stops: a flow that lives is
 * not to be missed, and whoever runs us can wait.
 */
static long ct_ctl_dump_slot(__u32 i, void *ctx)
{
	struct ct_ctl_walk *walk = ctx;
	union ct_ctl_key key = {};
	struct ct_flow flow = {};
	struct ct_entry *e;

	(void)i;
	if (walk->at >= walk->used || walk->count >= CT_DUMP_FLOWS)
		return 1;
	e = ct_ctl_own_slot(walk, walk->at, NULL, &key, &flow.tuple);
	if (walk->busy)
		return 1;
	walk->at++;
	if (!e)
		return 0;
	flow.entry = *e;
	ct_release(e);
	if (!bpf_skb_store_bytes(walk->skb, sizeof(struct ct_ctl) + walk->count * sizeof(flow),
				 &flow, sizeof(flow), 0))
		walk->count++;
	return 0;
}

/*
 * Packets of an owned flow may have passed unseen: forget the windows of a connection. Half-closed
 * ones, too: data may go on for hours in the other direction.
 */
static __always_inline bool ct_ctl_forget_windows(struct ct_entry *e, __u8 proto)
{
	if (proto != CT_IPPROTO_TCP || e->state < CT_TCP_ESTABLISHED || e->state > CT_TCP_CLOSE)
		return false;
	ct_tcp_relearn(&e->l4.tcp);
	return true;
}

static long ct_ctl_relearn_slot(__u32 i, void *ctx)
{
	struct ct_ctl_walk *walk = ctx;
	struct ct_tuple original = {};
	union ct_ctl_key key = {};
	struct ct_entry *e;

	(void)i;
	if (walk->at >= walk->used)
		return 1;
	e = ct_ctl_own_slot(walk, walk->at++, NULL, &key, &original);
	if (!e)
		return 0;
	walk->count += ct_ctl_forget_windows(e, original.proto);
	ct_release(e);
	return 0;
}

static long ct_ctl_flush_slot(__u32 i, void *ctx)
{
	struct ct_ctl_walk *walk = ctx;
	__u32 slot = walk->at;

	(void)i;
	if (slot >= walk->used || walk->count >= walk->limit)
		return 1;
	walk->at++;
	if (ct_hint_read(walk->engine, slot) >> 6 != CT_HINT_FREE)
		walk->count += ct_slot_destroy(walk->engine, slot, CT_WANT_ALL, walk->end,
					       walk->now, walk->hz);
	return 0;
}

enum ct_ctl_walks {
	CT_WALK_DUMP,
	CT_WALK_FLUSH,
	CT_WALK_RELEARN,
};

/* A walk from m->first on. False: the programs' maps are not there. */
static __always_inline bool ct_ctl_walk_begin(struct ct_ctl_walk *walk, const struct ct_ctl *m)
{
	struct ct_settings *s = ct_settings();
	struct ct_state *st = ct_state();

	if (!s || !st)
		return false;
	walk->engine = m->family & 1;
	walk->at = m->first;
	walk->end = m->reason;
	walk->hz = s->hz;
	walk->now = ct_now();
	walk->used = READ_ONCE(*ct_of(st->next_slot, walk->engine));
	if (walk->used > st->max_slots)
		walk->used = st->max_slots;
	return true;
}

/* What the walk has come to; 1: there are more slots. Ends with m->first == 0 after the last. */
static __always_inline int ct_ctl_walk_end(const struct ct_ctl_walk *walk, __u32 full)
{
	struct ct_ctl *m = ct_ctl_message(walk->skb);

	if (!m)
		return CT_ENOSPC;
	ct_ctl_time(m);
	m->first = walk->at >= walk->used ? 0 : walk->at;
	m->count = walk->count;
	m->full = full;
	return walk->at >= walk->used ? 0 : 1;
}

/*
 * How many flows may change in one call: no more than the listeners have room for, packets' events
 * beside ours.
 */
static __always_inline __u32 ct_ctl_limit(const struct ct_ctl *m, enum ct_event_type type)
{
	__u64 room = ct_event_room(type);

	return room < CT_CTL_FLUSH && !m->full ? room : CT_CTL_FLUSH;
}

/* Walk the slots from m->first on. */
static __always_inline int ct_ctl_do_walk(struct __sk_buff *skb, enum ct_ctl_walks what)
{
	struct ct_ctl *m = ct_ctl_message(skb);
	struct ct_ctl_walk walk = { .skb = skb };
	__u32 full = 0;

	if (!m || !ct_ctl_walk_begin(&walk, m))
		return CT_ENOSPC;
	walk.all = what == CT_WALK_DUMP && m->full;
	if (what == CT_WALK_DUMP) {
		bpf_loop(CT_CTL_SLOTS, ct_ctl_dump_slot, &walk, 0);
	} else if (what == CT_WALK_RELEARN) {
		bpf_loop(CT_CTL_SLOTS, ct_ctl_relearn_slot, &walk, 0);
	} else {
		walk.limit = ct_ctl_limit(m, CT_EV_DESTROY);
		full = !walk.limit;
		bpf_loop(CT_CTL_SLOTS, ct_ctl_flush_slot, &walk, 0);
	}
	return ct_ctl_walk_end(&walk, full);
}

/* --- Flows by a filter: see struct ct_request ---------------------------------------------------- */

static __always_inline struct ct_request *ct_ctl_request(struct __sk_buff *skb)
{
	struct ct_request *r = (void *)(long)skb->data + sizeof(struct ct_ctl);

	return (void *)(r + 1) > (void *)(long)skb->data_end ? NULL : r;
}

/* Is the walk to look at another slot? */
static __always_inline bool ct_ctl_goes_on(const struct ct_ctl_walk *walk)
{
	return walk->at < walk->used && walk->count < walk->limit && walk->looked < CT_CTL_LOOK;
}

/* Count the flow of a slot, or copy it behind the request. */
static long ct_ctl_select_slot(__u32 i, void *ctx)
{
	struct ct_ctl_walk *walk = ctx;
	struct ct_request *r = ct_ctl_request(walk->skb);
	union ct_ctl_key key = {};
	struct ct_flow flow = {};
	struct ct_entry *e;
	__u8 action;

	(void)i;
	if (!r || !ct_ctl_goes_on(walk))
		return 1;
	action = r->action;
	e = ct_ctl_own_slot(walk, walk->at, &r->filter, &key, &flow.tuple);
	if (!e) {
		walk->at += !walk->busy;
		return walk->busy != 0;
	}
	walk->at++;
	if (action == CT_ACTION_DUMP)
		flow.entry = *e;
	ct_release(e);
	if (action != CT_ACTION_DUMP ||
	    !bpf_skb_store_bytes(walk->skb,
				 sizeof(struct ct_ctl) + sizeof(struct ct_request) +
					 walk->count * sizeof(flow),
				 &flow, sizeof(flow), 0))
		walk->count++;
	return 0;
}

/*
 * Do to an owned flow what is asked for, and tell. It need not change anything: who asks is told that
 * it was done.
 */
static __always_inline void ct_ctl_update(const struct ct_request *r, struct ct_entry *e,
					  const struct ct_tuple *original, __u64 now, __u32 hz)
{
	e->mark = (e->mark & ~r->mark_mask) ^ r->mark;
	if (r->set_timeout) {
		e->expires = now + (__u64)r->timeout * hz;
		ct_hint_write(e, original->family, now, hz);
	}
	ct_event(CT_EV_UPDATE, CT_END_NONE, original, e, now);
	ct_release(e);
}

static long ct_ctl_change_slot(__u32 i, void *ctx)
{
	struct ct_ctl_walk *walk = ctx;
	struct ct_request *r = ct_ctl_request(walk->skb);
	struct ct_tuple original = {};
	union ct_ctl_key key = {};
	struct ct_entry *e;

	(void)i;
	if (!r || !ct_ctl_goes_on(walk))
		return 1;
	e = ct_ctl_own_slot(walk, walk->at, &r->filter, &key, &original);
	if (!e) {
		walk->at += !walk->busy;
		return walk->busy != 0;
	}
	walk->at++;
	walk->count++;
	if (r->action == CT_ACTION_UPDATE)
		ct_ctl_update(r, e, &original, walk->now, walk->hz);
	else if (walk->engine == 0)
		ct_table_destroy4(&key.v4, e, walk->end, walk->now);
	else
		ct_table_destroy6(&key.v6, e, walk->end, walk->now);
	return 0;
}

/* Update the one flow of the message, if it is still the incarnation its word names (0: any). */
static __always_inline int ct_ctl_change_one(struct __sk_buff *skb, struct ct_ctl *m)
{
	struct ct_request *r = ct_ctl_request(skb);
	struct ct_pkt *pkt = ct_record(CT_REC_CTL);
	struct ct_settings *s = ct_settings();
	__u64 word = m->flow.entry.word;
	struct ct_entry *e;

	if (!r || !pkt || !s)
		return CT_ENOSPC;
	ct_ctl_time(m);
	e = ct_ctl_own(pkt, &m->flow.tuple);
	if (!e)
		return CT_ENOENT;
	if (ct_expired(e, pkt->now) || (word && (word ^ e->word) & ~CT_WORD_PHASE)) {
		ct_release(e);
		return CT_ENOENT;
	}
	ct_original(pkt, (pkt->swapped ^ e->swapped) & 1 ? CT_REPLY : CT_ORIGINAL);
	if (r->action == CT_ACTION_UPDATE)
		ct_ctl_update(r, e, &pkt->original, pkt->now, s->hz);
	else
		ct_table_destroy(pkt, pkt->original.family, e, m->reason);
	return 0;
}

static __always_inline int ct_ctl_do_request(struct __sk_buff *skb, bool change)
{
	struct ct_request *r = ct_ctl_request(skb);
	struct ct_ctl *m = ct_ctl_message(skb);
	struct ct_ctl_walk walk = { .skb = skb };

	if (!m || !r || (r->action >= CT_ACTION_DELETE) != change)
		return CT_ENOSPC;
	if (change && m->flow.tuple.family)
		return ct_ctl_change_one(skb, m);
	if (!ct_ctl_walk_begin(&walk, m))
		return CT_ENOSPC;
	walk.looked = READ_ONCE(ct_zero); /* a known one is known for ever to verifiers before 6.7 */
	if (!change) {
		walk.all = m->full != 0;
		walk.limit = r->action == CT_ACTION_DUMP ? CT_DUMP_FLOWS : ~0U;
		bpf_loop(CT_CTL_SLOTS, ct_ctl_select_slot, &walk, 0);
	} else {
		walk.limit = ct_ctl_limit(m, r->action == CT_ACTION_UPDATE ? CT_EV_UPDATE :
									   CT_EV_DESTROY);
		bpf_loop(CT_CTL_SLOTS, ct_ctl_change_slot, &walk, 0);
	}
	return ct_ctl_walk_end(&walk, !walk.limit);
}

/* --- A flow that no packet begins ----------------------------------------------------------------- */

/* The entry of the message, as its first packets would have left it. */
static __always_inline void ct_ctl_fill(struct ct_entry *e, const struct ct_ctl *m, __u8 proto,
					const struct ct_settings *s, __u64 now)
{
	const struct ct_entry *wanted = &m->flow.entry;

	__builtin_memset(e, 0, sizeof(*e));
	e->status = (wanted->status & (CT_S_SEEN_REPLY | CT_S_ASSURED)) | CT_S_CONFIRMED;
	e->mark = wanted->mark;
	e->expires = now + (__u64)m->first * s->hz;
	e->start = s->knob.timestamp ? ct_now_ns(now) : 0;
	switch (proto) {
	case CT_IPPROTO_TCP:
		e->state = wanted->state;
		ct_tcp_created(&e->l4.tcp, e->state);
		break;
	case CT_IPPROTO_SCTP:
		e->state = wanted->state;
		e->l4.sctp.tag[CT_ORIGINAL] = wanted->l4.sctp.tag[CT_ORIGINAL];
		e->l4.sctp.tag[CT_REPLY] = wanted->l4.sctp.tag[CT_REPLY];
		break;
	case CT_IPPROTO_UDP:
		e->l4.udp.stream_at = now + (__u64)s->hz * CT_UDP_STREAM_AFTER;
		break;
	}
}

/* The flow that is in the way of a new one. True if it has gone: its time was up. */
static __always_inline bool ct_ctl_make_way(struct ct_pkt *pkt)
{
	struct ct_entry *e = ct_table_lookup(pkt, pkt->original.family);

	if (!e || ct_own(e, pkt->hash))
		return true;
	if (ct_expired(e, pkt->now)) {
		ct_table_destroy(pkt, pkt->original.family, e, CT_END_TIMEOUT);
		return true;
	}
	ct_release(e);
	return false;
}

/* It counts for its source as any other, but is not refused for that: somebody wants it. */
static __always_inline void ct_ctl_count_in(struct ct_pkt *pkt, const struct ct_settings *s)
{
	__u32 flags = pkt->flags;

	if (s->knob.max_unassured_per_source && !(pkt->entry.status & CT_S_ASSURED))
		pkt->entry.status |= CT_S_COUNTED;
	pkt->flags |= CT_PKT_ADOPTED;
	ct_table_count_in(CT_REC_CTL);
	pkt->flags = flags;
}

/* Put the flow of the message into the table. 0, CT_EEXIST, CT_ENOSPC. */
static __always_inline int ct_ctl_do_create(struct __sk_buff *skb)
{
	struct ct_ctl *m = ct_ctl_message(skb);
	struct ct_pkt *pkt = ct_record(CT_REC_CTL);
	struct ct_settings *s = ct_settings();
	int err = -CT_EEXIST;

	if (!m || !pkt || !s)
		return CT_ENOSPC;
	ct_ctl_time(m);
	pkt->original = m->flow.tuple;
	if (pkt->original.family != CT_IPV4 && pkt->original.family != CT_IPV6)
		return CT_ENOSPC;
	pkt->pub.abi = CT_ABI;
	pkt->slot = CT_REC_CTL;
	pkt->flags = 0;
	pkt->now = ct_now();
	ct_table_key(pkt, &pkt->original);
	ct_ctl_fill(&pkt->entry, m, pkt->original.proto, s, pkt->now);
	pkt->entry.swapped = pkt->swapped;

	ct_ctl_count_in(pkt, s);
	for (int i = 0; i < 4 && err == -CT_EEXIST && ct_ctl_make_way(pkt); i++)
		err = ct_table_insert(CT_REC_CTL);
	if (err) {
		ct_table_count_back(CT_REC_CTL);
		return -err;
	}
	ct_count_many(CT_C_CREATED, 1);
	ct_count_many(CT_C_CONFIRMED, 1);
	ct_event(CT_EV_NEW, CT_END_NONE, &pkt->original, &pkt->entry, pkt->now);
	ct_table_publish(pkt);
	return 0;
}

/* --- Taking over another table: see enum ct_adopt ---------------------------------------------- */

/* With the frames of all that a full table calls, a few bytes more would be too many for 6.1. */
struct ct_ctl_adoption {
	struct __sk_buff *skb;
	__u32 count; /* flows there are */
	__u32 what;  /* enum ct_adopt */
	__u32 done;
	__u32 full;
};

/*
 * Packets renew its time in the table before, and nobody tells of that: until it is known at the end
 * (CT_ADOPT_COUNT) the entry lasts.
 */
static __always_inline void ct_ctl_last(struct ct_entry *e, __u64 now)
{
	const struct ct_settings *s = ct_settings();

	if (s && e->expires < now + (__u64)s->hz * CT_ADOPT_SECONDS)
		e->expires = now + (__u64)s->hz * CT_ADOPT_SECONDS;
}

/*
 * The record's entry into the table as it is, but for its counters and windows: packets pass that
 * this copy misses.
 */
static __always_inline void ct_ctl_enter(struct ct_pkt *pkt, struct ct_ctl_adoption *a)
{
	__u64 generation = pkt->entry.word & CT_WORD_GENERATION;
	struct ct_entry *e;
	int err;

	pkt->pub.abi = CT_ABI;
	pkt->slot = CT_REC_CTL;
	pkt->flags = CT_PKT_ADOPTED;
	pkt->now = ct_now();
	ct_table_key(pkt, &pkt->original);
	pkt->entry.swapped = pkt->swapped;
	pkt->entry.status |= CT_S_ADOPTED;
	__builtin_memset(pkt->entry.counters, 0, sizeof(pkt->entry.counters));
	ct_ctl_forget_windows(&pkt->entry, pkt->original.proto);
	ct_ctl_last(&pkt->entry, pkt->now);
	ct_table_count_in(CT_REC_CTL);
	err = ct_table_insert(CT_REC_CTL);
	if (err) {
		ct_table_count_back(CT_REC_CTL);
		a->full += err != -CT_EEXIST;
		return;
	}
	e = ct_table_lookup(pkt, pkt->original.family);
	if (!e)
		return;
	/* It keeps the generation, and with it the id by which people know it. */
	WRITE_ONCE(e->word, (__u64)pkt->hash << CT_WORD_HASH_SHIFT | generation | CT_WORD_LIVE |
				    CT_WORD_BUSY);
	ct_release(e);
	a->done++;
}

/*
 * What the table before knows by now of the owned entry `e`, unless packets have come here since. (Its
 * counters don't tell: accounting may be off.)
 */
static __always_inline void ct_ctl_renew(struct ct_pkt *pkt, struct ct_entry *e, bool last)
{
	struct ct_settings *s = ct_settings();

	if (!(e->status & CT_S_ADOPTED))
		return;
	e->expires = pkt->entry.expires;
	e->mark = pkt->entry.mark;
	e->status = (pkt->entry.status & ~CT_S_COUNTED) | (e->status & CT_S_COUNTED) | CT_S_ADOPTED;
	if (e->status & CT_S_ASSURED)
		ct_table_count_out(e, &pkt->original);
	e->state = pkt->entry.state;
	e->l4 = pkt->entry.l4;
	ct_ctl_forget_windows(e, pkt->original.proto);
	if (!last)
		ct_ctl_last(e, ct_now());
	if (s)
		ct_hint_write(e, pkt->original.family, ct_now(), s->hz);
}

/* The i-th flow behind the message into the record: there is no room for it on the stack. */
static __always_inline bool ct_ctl_read(struct __sk_buff *skb, __u32 i, struct ct_pkt *pkt)
{
	__u32 off = sizeof(struct ct_ctl) + i * sizeof(struct ct_flow);

	return !bpf_skb_load_bytes(skb, off, &pkt->original, sizeof(pkt->original)) &&
	       !bpf_skb_load_bytes(skb, off + sizeof(pkt->original), &pkt->entry,
				   sizeof(pkt->entry));
}

static long ct_ctl_adopt_one(__u32 i, void *ctx)
{
	struct ct_ctl_adoption *a = ctx;
	struct ct_pkt *pkt = ct_record(CT_REC_CTL);
	struct ct_entry *e;

	if (!pkt || i >= a->count || i >= CT_DUMP_FLOWS || !ct_ctl_read(a->skb, i, pkt))
		return 1;
	if (pkt->original.family != CT_IPV4 && pkt->original.family != CT_IPV6)
		return 0;
	if (a->what == CT_ADOPT_ENTER) {
		ct_ctl_enter(pkt, a);
		return 0;
	}
	e = ct_ctl_own(pkt, &pkt->original);
	if (!e)
		return 0;
	if ((e->word ^ pkt->entry.word) & CT_WORD_GENERATION) {
		ct_release(e); /* another one took its place */
		return 0;
	}
	a->done++;
	if (a->what == CT_ADOPT_FORGET) {
		ct_table_count_out(e, &pkt->original);
		ct_release_as(e, CT_WORD_DEAD);
		if (pkt->original.family == CT_IPV4)
			ct_table_drop(0, &pkt->key.v4, e);
		else
			ct_table_drop(1, &pkt->key.v6, e);
		return 0;
	}
	ct_ctl_renew(pkt, e, a->what == CT_ADOPT_COUNT);
	if (a->what == CT_ADOPT_COUNT) {
		e->status &= ~CT_S_ADOPTED; /* it is ours alone now */
		for (int dir = 0; dir < CT_DIRS; dir++) {
			e->counters[dir].packets += pkt->entry.counters[dir].packets;
			e->counters[dir].bytes += pkt->entry.counters[dir].bytes;
		}
	}
	ct_release(e);
	return 0;
}

static __always_inline int ct_ctl_do_adopt(struct __sk_buff *skb)
{
	struct ct_ctl *m = ct_ctl_message(skb);
	struct ct_state *st = ct_state();
	struct ct_ctl_adoption a = { .skb = skb };
	__u32 *merged, next;

	if (!m || !st)
		return CT_ENOSPC;
	a.count = m->count;
	a.what = m->reason;
	merged = ct_of(st->merged, m->family & 1);
	next = m->full ?: ~0U;
	if (a.what == CT_ADOPT_COUNT && m->first != *merged)
		a.count = 0;
	else if (a.what == CT_ADOPT_COUNT)
		*merged = next;
	bpf_loop(CT_DUMP_FLOWS, ct_ctl_adopt_one, &a, 0);
	m = ct_ctl_message(skb);
	if (!m)
		return CT_ENOSPC;
	ct_ctl_time(m);
	m->first = *merged;
	m->count = a.done;
	m->full = a.full;
	return 0;
}

/* --- Flows of another time or machine ---------------------------------------------------------- */

struct ct_ctl_restoration {
	struct __sk_buff *skb;
	__u32 count; /* flows there are */
	__u32 done;
	__u32 there; /* left alone: the table has them */
	__u32 full;
};

/*
 * The record's entry into the table, as a flow that is confirmed now: counted, and told of. No other
 * makes room for it. The packets that have passed unseen since it was saved may have moved the windows.
 */
static __always_inline int ct_ctl_begin_again(struct ct_pkt *pkt)
{
	const struct ct_settings *s = ct_settings();
	struct ct_state *st = ct_state();
	int err;

	if (!s || !st || READ_ONCE(st->flows) >= s->knob.max)
		return -CT_ENOSPC;
	pkt->flags = CT_PKT_ADOPTED;
	pkt->entry.swapped = pkt->swapped;
	pkt->entry.status &= CT_S_SEEN_REPLY | CT_S_ASSURED;
	pkt->entry.status |= CT_S_CONFIRMED;
	ct_ctl_forget_windows(&pkt->entry, pkt->original.proto);
	ct_ctl_count_in(pkt, s);
	err = ct_table_insert(CT_REC_CTL);
	if (err) {
		ct_table_count_back(CT_REC_CTL);
		return err;
	}
	ct_count_many(CT_C_CREATED, 1);
	ct_count_many(CT_C_CONFIRMED, 1);
	ct_event(CT_EV_NEW, CT_END_NONE, &pkt->original, &pkt->entry, pkt->now);
	ct_table_publish(pkt);
	return 0;
}

static long ct_ctl_restore_one(__u32 i, void *ctx)
{
	struct ct_ctl_restoration *r = ctx;
	struct ct_pkt *pkt = ct_record(CT_REC_CTL);
	struct ct_entry *e;
	int err;

	if (!pkt || i >= r->count || i >= CT_DUMP_FLOWS || !ct_ctl_read(r->skb, i, pkt))
		return 1;
	if (pkt->original.family != CT_IPV4 && pkt->original.family != CT_IPV6)
		return 0;
	e = ct_ctl_own(pkt, &pkt->original);
	if (e && !ct_expired(e, pkt->now)) {
		ct_release(e);
		r->there++;
		return 0;
	}
	if (e)
		ct_table_destroy(pkt, pkt->original.family, e, CT_END_TIMEOUT);
	err = ct_ctl_begin_again(pkt);
	r->done += !err;
	r->there += err == -CT_EEXIST;
	r->full += err && err != -CT_EEXIST;
	return 0;
}

/* Enter the flows behind the message: as many as the listeners have room for, packets' events beside ours. */
static __always_inline int ct_ctl_do_restore(struct __sk_buff *skb)
{
	struct ct_ctl *m = ct_ctl_message(skb);
	struct ct_ctl_restoration r = { .skb = skb };

	if (!m)
		return CT_ENOSPC;
	r.count = m->count;
	if (!m->full) {
		__u64 room = ct_event_room(CT_EV_NEW);

		if (room < r.count)
			r.count = room;
	}
	bpf_loop(CT_DUMP_FLOWS, ct_ctl_restore_one, &r, 0);
	m = ct_ctl_message(skb);
	if (!m)
		return CT_ENOSPC;
	ct_ctl_time(m);
	m->count = r.done;
	m->first = r.there;
	m->full = r.full;
	return 0;
}

struct ct_ctl_sum {
	struct __sk_buff *skb;
	struct ct_stats *stats;
};

static long ct_ctl_add_word(__u32 i, void *ctx)
{
	struct ct_ctl_sum *sum = ctx;
	__u64 word;

	barrier_var(i);
	if (i >= sizeof(struct ct_stats) / 8 ||
	    bpf_skb_load_bytes(sum->skb, sizeof(struct ct_ctl) + i * 8, &word, 8))
		return 1;
	if (word)
		__sync_fetch_and_add((__u64 *)sum->stats + i, word);
	return 0;
}

/* Add the counters behind the message (a struct ct_stats) to ours, once. */
static __always_inline int ct_ctl_do_add(struct __sk_buff *skb)
{
	struct ct_ctl_sum sum = { .skb = skb, .stats = ct_stats() };
	struct ct_state *st = ct_state();

	if (!st || !sum.stats)
		return CT_ENOSPC;
	if (st->merged_stats)
		return 0;
	st->merged_stats = 1;
	bpf_loop(sizeof(struct ct_stats) / 8, ct_ctl_add_word, &sum, 0);
	return 0;
}

/* Arm the sweep; where it is armed already, it merely comes a second from now. */
static __always_inline int ct_ctl_do_arm(void)
{
	__u32 zero = 0;
	struct ct_sweep_timer *t = bpf_map_lookup_elem(&sweep_timer, &zero);

	if (!t)
		return CT_ENOENT;
	bpf_timer_init(&t->timer, &sweep_timer, 1 /* CLOCK_MONOTONIC */);
	bpf_timer_set_callback(&t->timer, ct_sweep_tick);
	return bpf_timer_start(&t->timer, CT_ROUND_NS, 0) ? CT_ENOSPC : 0;
}

/* Sweep now: one run of what the timer does; with m->first set, every unconfirmed entry. */
static __always_inline int ct_ctl_do_sweep(struct __sk_buff *skb)
{
	struct ct_ctl *m = ct_ctl_message(skb);
	struct ct_settings *s = ct_settings();
	struct ct_state *st = ct_state();

	if (!m || !s || !st)
		return CT_ENOSPC;
	if (m->first)
		ct_sweep_the_unconfirmed(st, ct_now(), 0);
	else
		ct_sweep(st, s);
	return 0;
}

#endif
