/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table: the only file that knows how flows are kept.
 *
 * Who may touch an entry
 * ----------------------
 * Packets on all CPUs, the sweep, evictions and control programs meet in one entry. Whoever wants
 * to read or change more than `word` owns it first: cmpxchg LIVE -> LIVE|BUSY on `word`, and a
 * plain store gives it back. Everybody who owns runs with softirqs off and without sleeping, so an
 * entry is owned for tens of nanoseconds, and the wait for it is bounded (CT_OWN_LONG); a packet
 * that can't have it in that time keeps the class of its flow, and is counted (`contended`).
 *
 * Elements are re-used the moment they are deleted
 * ------------------------------------------------
 * A pointer from a lookup may show another flow by the time it is used. So `word` also says whose
 * the entry is: 32 secret bits of the key's hash and 24 random bits of this incarnation.
 *
 *   - To delete, one owns the entry, tells the listeners, stores DEAD, deletes the key. Nobody
 *     can own a DEAD entry, and nobody else can delete this key: exactly one DESTROY.
 *   - A packet that looked up key K and is late finds DEAD, or another hash: a miss. If it finds K
 *     again in a new incarnation, then that is K's entry and the packet belongs there.
 *   - Between its read of `word` and its cmpxchg the element may go through all of this; then the
 *     word has another generation and the cmpxchg fails.
 *   - The map fills an element before it links it. So an entry is inserted BUSY: nobody can own
 *     it while the kernel still copies it, nor before its NEW is out.
 *
 * A delete that the map refuses (its bucket lock can time out, since 6.15) leaves the entry STUCK:
 * a miss, which the sweep deletes again.
 *
 * The unconfirmed are in an LRU, which gives an element up without asking who owns it. A packet
 * that holds one through that may write into the next flow's entry there: its state may then be
 * off until its next packet. It can't get into the table: confirm takes a copy, by one cmpxchg.
 *
 * The slot index
 * --------------
 * Every entry owns a slot of an array that holds its key. What walks the table (sweep, dump,
 * flush, eviction) walks slots: it can stop anywhere and go on later, on any CPU. The spare byte
 * of the slot's key is the hint: how expendable the flow is, and the second (mod 64) at which
 * looking at the entry may pay. Hints are read without owning anything; they may be late or early,
 * the entry decides. Packets write a hint only when the class changes or the end comes nearer.
 */
#ifndef TABLE_H
#define TABLE_H

#include "event.h"
#include "maps.h"
#include "source.h"
#include "stats.h"

#define CT_OWN_TRIES 16
#define CT_OWN_LONG 8192
#define CT_WORD_STUCK 0x08ULL

/* Two bits of a hint. */
enum ct_hint_class {
	CT_HINT_FREE,
	CT_HINT_UNREPLIED,
	CT_HINT_REPLIED,
	CT_HINT_ASSURED,
};

#define CT_HINT_SECONDS 0x3f
/* No deadline is put further ahead than this; one that looks further away is past. */
#define CT_HINT_FAR 44

/* How many hints an eviction looks at: a byte each, one after the other. */
#define CT_EVICT_LOOK 8192
/* ... once it has seen a replied flow, and when another has just found nobody. */
#define CT_EVICT_PREFER 64
#define CT_EVICT_GLANCE 256

struct ct_wait {
	struct ct_entry *e;
	__u32 hash;
	int result;
};

static long ct_own_try(__u32 i, void *ctx)
{
	struct ct_wait *wait = ctx;
	struct ct_entry *e = wait->e;
	__u64 word = READ_ONCE(e->word);

	(void)i;
	if (word >> CT_WORD_HASH_SHIFT != wait->hash || !(word & CT_WORD_LIVE)) {
		wait->result = -CT_ENOENT;
		return 1;
	}
	if ((word & CT_WORD_PHASE) != CT_WORD_LIVE ||
	    __sync_val_compare_and_swap(&e->word, word, word | CT_WORD_BUSY) != word)
		return 0;
	wait->result = 0;
	return 1;
}

/* The owner sends events, or its (virtual) CPU has been taken away: wait for some 50 us. */
static __noinline int ct_own_long(struct ct_entry *e, __u32 hash)
{
	struct ct_wait wait = { .e = e, .hash = hash, .result = -CT_EBUSY };

	bpf_loop(CT_OWN_LONG, ct_own_try, &wait, 0);
	return wait.result;
}

/* Own an entry: 0; -CT_ENOENT: it is not (any more) the one of this hash; -CT_EBUSY. */
static __always_inline int ct_own(struct ct_entry *e, __u32 hash)
{
	for (int i = 0; i < CT_OWN_TRIES; i++) {
		__u64 word = READ_ONCE(e->word);

		if (word >> CT_WORD_HASH_SHIFT != hash)
			return -CT_ENOENT;
		if ((word & CT_WORD_PHASE) == CT_WORD_LIVE) {
			if (__sync_val_compare_and_swap(&e->word, word, word | CT_WORD_BUSY) == word)
				return 0;
		} else if (!(word & CT_WORD_LIVE)) {
			return -CT_ENOENT;
		}
	}
	return ct_own_long(e, hash);
}

/* Give an owned entry back with this phase. */
static __always_inline void ct_release_as(struct ct_entry *e, __u64 phase)
{
	__u64 word = (e->word & ~CT_WORD_PHASE) | phase;

	barrier(); /* what was written under ownership stays before this */
	if (ct_weak_memory)
		__sync_lock_test_and_set(&e->word, word);
	else
		WRITE_ONCE(e->word, word);
}

static __always_inline void ct_release(struct ct_entry *e)
{
	ct_release_as(e, CT_WORD_LIVE);
}

static __always_inline bool ct_expired(const struct ct_entry *e, __u64 now)
{
	return now >= e->expires;
}

/* 0: IPv4, 1: IPv6; the index of everything that exists once per family. */
static __always_inline __u32 ct_engine(__u8 family)
{
	return family == CT_IPV4 ? 0 : 1;
}

/* Canonical key and hash of `t` into the record. */
static __always_inline void ct_table_key(struct ct_pkt *pkt, const struct ct_tuple *t)
{
	if (t->family == CT_IPV4) {
		pkt->swapped = ct_key4_of(&pkt->key.v4, t);
		pkt->hash = ct_hash_words(pkt->key.words, 4, ct_salt);
	} else {
		pkt->swapped = ct_key6_of(&pkt->key.v6, t);
		pkt->hash = ct_hash_words(pkt->key.words, 10, ct_salt);
	}
}

/* The entry of the record's key, owned by nobody. Does not create. */
static __always_inline struct ct_entry *ct_table_lookup(struct ct_pkt *pkt, __u8 family)
{
	if (family == CT_IPV4)
		return bpf_map_lookup_elem(&ct4, &pkt->key.v4);
	return bpf_map_lookup_elem(&ct6, &pkt->key.v6);
}

/* The hint of a slot; CT_HINT_FREE where there is no such slot. */
static __always_inline __u8 ct_hint_read(__u32 engine, __u32 slot)
{
	if (engine == 0) {
		struct ct_key4 *k = bpf_map_lookup_elem(&index4, &slot);

		return k ? READ_ONCE(k->pad) : CT_HINT_FREE;
	} else {
		struct ct_key6 *k = bpf_map_lookup_elem(&index6, &slot);

		return k ? READ_ONCE(k->pad) : CT_HINT_FREE;
	}
}

static __always_inline void ct_hint_set(__u32 engine, __u32 slot, __u8 hint)
{
	if (engine == 0) {
		struct ct_key4 *k = bpf_map_lookup_elem(&index4, &slot);

		if (k)
			WRITE_ONCE(k->pad, hint);
	} else {
		struct ct_key6 *k = bpf_map_lookup_elem(&index6, &slot);

		if (k)
			WRITE_ONCE(k->pad, hint);
	}
}

static __always_inline enum ct_hint_class ct_hint_class(const struct ct_entry *e)
{
	if (e->status & CT_S_ASSURED)
		return CT_HINT_ASSURED;
	return e->status & CT_S_SEEN_REPLY ? CT_HINT_REPLIED : CT_HINT_UNREPLIED;
}

/* The hint that fits the entry as it is. Rounded up: the sweep must not come early. */
static __always_inline __u8 ct_hint(const struct ct_entry *e, __u64 now, __u32 hz)
{
	__u64 left = e->expires > now ? e->expires - now : 0;
	__u64 at;

	if (!hz)
		return CT_HINT_UNREPLIED << 6;
	at = left > (__u64)CT_HINT_FAR * hz ? now + (__u64)CT_HINT_FAR * hz : e->expires;
	return ct_hint_class(e) << 6 | ((at + hz - 1) / hz & CT_HINT_SECONDS);
}

static __always_inline bool ct_hint_due(__u8 hint, __u64 now_seconds)
{
	return ((hint - now_seconds) & CT_HINT_SECONDS) > CT_HINT_FAR + 1 ||
	       ((hint - now_seconds) & CT_HINT_SECONDS) == 0;
}

static __always_inline void ct_hint_write(const struct ct_entry *e, __u8 family, __u64 now,
					  __u32 hz)
{
	ct_hint_set(ct_engine(family), e->slot, ct_hint(e, now, hz));
}

static __always_inline int ct_slot_take(struct ct_state *st, __u32 engine, __u32 *slot)
{
	__u32 next;

	if (engine == 0 ? !bpf_map_pop_elem(&free4, slot) : !bpf_map_pop_elem(&free6, slot))
		return 0;
	if (READ_ONCE(*ct_of(st->next_slot, engine)) >= st->max_slots)
		return -CT_ENOSPC;
	next = __sync_fetch_and_add(ct_of(st->next_slot, engine), 1);
	if (next >= st->max_slots)
		return -CT_ENOSPC; /* walkers bound next_slot by max_slots */
	*slot = next;
	return 0;
}

static __always_inline void ct_slot_give(__u32 engine, __u32 slot)
{
	ct_hint_set(engine, slot, CT_HINT_FREE);
	if (engine == 0)
		bpf_map_push_elem(&free4, &slot, BPF_ANY);
	else
		bpf_map_push_elem(&free6, &slot, BPF_ANY);
}

/* The owned flow is not counted for its source any more: it is assured, or at its end. */
static __always_inline void ct_table_count_out(struct ct_entry *e, const struct ct_tuple *original)
{
	if (!(e->status & CT_S_COUNTED))
		return;
	e->status &= ~CT_S_COUNTED;
	ct_source_leave(original);
}

/* Delete a key whose entry is DEAD, and free its slot. */
static __always_inline void ct_table_drop(__u32 engine, const void *key, struct ct_entry *e)
{
	struct ct_state *st = ct_state();
	__u32 slot = e->slot;
	long err = -1;

	/* Once again if the bucket's lock was busy: before 6.15 that is EBUSY. */
	for (int i = 0; i < 2 && err; i++)
		err = engine == 0 ? bpf_map_delete_elem(&ct4, key) :
				    bpf_map_delete_elem(&ct6, key);
	/* ENOENT: somebody deleted the key behind our back (bpftool); then `e` is nobody's any more. */
	if (err && err != -CT_ENOENT) {
		WRITE_ONCE(e->word, (e->word & ~CT_WORD_PHASE) | CT_WORD_STUCK);
		return;
	}
	ct_slot_give(engine, slot);
	if (st)
		__sync_fetch_and_sub(&st->flows, 1);
}

/*
 * End an entry that the caller owns: its one DESTROY, and out of the table. `key` is its key,
 * IPv4's or IPv6's by `engine`. The entry must not be touched afterwards.
 */
ct_global int ct_table_destroy4(const struct ct_key4 *key, struct ct_entry *e, __u32 end,
					__u64 now)
{
	struct ct_tuple original;
	struct ct_key4 k;

	if (!key || !e)
		return 0;
	k = *key;
	ct_tuple_of_key4(&original, &k, e->swapped & 1);
	ct_table_count_out(e, &original);
	e->status |= CT_S_DYING;
	ct_event(CT_EV_DESTROY, end, &original, e, now);
	ct_count_end(end);
	ct_release_as(e, CT_WORD_DEAD);
	ct_table_drop(0, &k, e);
	return 0;
}

ct_global int ct_table_destroy6(const struct ct_key6 *key, struct ct_entry *e, __u32 end,
					__u64 now)
{
	struct ct_tuple original;
	struct ct_key6 k;

	if (!key || !e)
		return 0;
	k = *key;
	ct_tuple_of_key6(&original, &k, e->swapped & 1);
	ct_table_count_out(e, &original);
	e->status |= CT_S_DYING;
	ct_event(CT_EV_DESTROY, end, &original, e, now);
	ct_count_end(end);
	ct_release_as(e, CT_WORD_DEAD);
	ct_table_drop(1, &k, e);
	return 0;
}

static __always_inline void ct_table_destroy(struct ct_pkt *pkt, __u8 family, struct ct_entry *e,
					     enum ct_end end)
{
	if (family == CT_IPV4)
		ct_table_destroy4(&pkt->key.v4, e, end, pkt->now);
	else
		ct_table_destroy6(&pkt->key.v6, e, end, pkt->now);
}

/* What somebody who walks the slots wants of a flow. */
enum ct_slot_want {
	CT_WANT_EXPIRED,   /* destroy it if its time is up */
	CT_WANT_EVICTABLE, /* destroy it if it is not assured */
	CT_WANT_ALL,       /* destroy it */
};

/* The owned entry `e` of slot `slot`: is it what is wanted? */
static __always_inline bool ct_slot_wanted(struct ct_entry *e, __u32 slot, __u32 want, __u64 now)
{
	if (e->slot != slot)
		return false; /* the slot has changed hands */
	if (want == CT_WANT_EXPIRED)
		return ct_expired(e, now);
	if (want == CT_WANT_EVICTABLE)
		return !(e->status & CT_S_ASSURED);
	return true;
}

/* Bring a DEAD entry to its end whose delete the map refused; see the top. */
static __always_inline bool ct_stuck(struct ct_entry *e, __u32 slot)
{
	__u64 word = READ_ONCE(e->word);

	return (word & CT_WORD_PHASE) == CT_WORD_STUCK && e->slot == slot &&
	       __sync_val_compare_and_swap(&e->word, word,
					   (word & ~CT_WORD_PHASE) | CT_WORD_DEAD) == word;
}

/* Destroy the flow of a slot if it is what is wanted; else renew the hint. 1 if destroyed. */
ct_global int ct_slot_destroy4(__u32 slot, __u32 want, __u32 end, __u64 now, __u32 hz)
{
	struct ct_key4 *kept = bpf_map_lookup_elem(&index4, &slot);
	struct ct_entry *e;
	struct ct_key4 key;

	if (!kept)
		return 0;
	key = *kept;
	key.pad = 0;
	e = bpf_map_lookup_elem(&ct4, &key);
	if (!e)
		return 0;
	if (ct_stuck(e, slot)) {
		ct_table_drop(0, &key, e);
		return 0;
	}
	if (ct_own(e, ct_hash_words((void *)&key, 4, ct_salt)))
		return 0;
	if (ct_slot_wanted(e, slot, want, now)) {
		ct_table_destroy4(&key, e, end, now);
		return 1;
	}
	if (e->slot == slot)
		WRITE_ONCE(kept->pad, ct_hint(e, now, hz));
	ct_release(e);
	return 0;
}

ct_global int ct_slot_destroy6(__u32 slot, __u32 want, __u32 end, __u64 now, __u32 hz)
{
	struct ct_key6 *kept = bpf_map_lookup_elem(&index6, &slot);
	struct ct_entry *e;
	struct ct_key6 key;

	if (!kept)
		return 0;
	key = *kept;
	key.pad = 0;
	e = bpf_map_lookup_elem(&ct6, &key);
	if (!e)
		return 0;
	if (ct_stuck(e, slot)) {
		ct_table_drop(1, &key, e);
		return 0;
	}
	if (ct_own(e, ct_hash_words((void *)&key, 10, ct_salt)))
		return 0;
	if (ct_slot_wanted(e, slot, want, now)) {
		ct_table_destroy6(&key, e, end, now);
		return 1;
	}
	if (e->slot == slot)
		WRITE_ONCE(kept->pad, ct_hint(e, now, hz));
	ct_release(e);
	return 0;
}

static __always_inline int ct_slot_destroy(__u32 engine, __u32 slot, enum ct_slot_want want,
					   enum ct_end end, __u64 now, __u32 hz)
{
	return engine == 0 ? ct_slot_destroy4(slot, want, end, now, hz) :
			     ct_slot_destroy6(slot, want, end, now, hz);
}

/* Small: eight calls share 512 bytes of stack, and before 6.2 each takes whole 32. */
struct ct_eviction {
	__u8 engine;
	__u8 done;
	__u8 take;  /* a replied one may go */
	__u8 since; /* hints looked at since the first of a replied flow */
	__u32 at;
	__u32 used;
	__u32 replied; /* the slot of that one, + 1; 0: none has been seen */
	__u32 now_seconds;
	__u32 began; /* where the hand was */
};

/* Destroy the flow of a slot, if it is what is wanted, to make room. 1 if it went. */
static __always_inline __u32 ct_evict_one(__u32 engine, __u32 slot, enum ct_slot_want want,
					  enum ct_end end)
{
	const struct ct_settings *s = ct_settings();

	return s ? ct_slot_destroy(engine, slot, want, end, ct_now(), s->hz) : 0;
}

/*
 * No unreplied flow has been found near the first replied one: it goes, if it may; and if it is still there:
 * another CPU may have taken it meanwhile, and in its slot is the newest flow of all.
 */
static __always_inline void ct_evict_replied(struct ct_eviction *ev)
{
	__u32 slot = ev->replied - 1;

	ev->replied = 0;
	if (ct_hint_read(ev->engine, slot) >> 6 != CT_HINT_REPLIED)
		return;
	ev->done = ct_evict_one(ev->engine, slot, CT_WANT_EVICTABLE, CT_END_EVICTED);
	if (ev->done)
		ev->at = slot + 1;
}

static long ct_evict_slot(__u32 i, void *ctx)
{
	struct ct_eviction *ev = ctx;
	__u32 slot = ev->at;
	__u8 hint;

	(void)i;
	if (ev->replied && ++ev->since > CT_EVICT_PREFER) {
		if (ev->take)
			ct_evict_replied(ev);
		return !ev->take || ev->done;
	}
	if (++ev->at >= ev->used)
		ev->at = 0;
	hint = ct_hint_read(ev->engine, slot);
	switch (hint >> 6) {
	case CT_HINT_UNREPLIED:
		ev->done = ct_evict_one(ev->engine, slot, CT_WANT_EVICTABLE, CT_END_EVICTED);
		break;
	case CT_HINT_REPLIED:
		if (ev->replied)
			break;
		ev->replied = slot + 1;
		ev->since = 0;
		break;
	case CT_HINT_ASSURED:
		/* Past its time, and the sweep has not come by yet. */
		if (ct_hint_due(hint, ev->now_seconds))
			ev->done = ct_evict_one(ev->engine, slot, CT_WANT_EXPIRED, CT_END_TIMEOUT);
		break;
	}
	return ev->done != 0;
}

/*
 * Make room: a flow of this engine that is not assured goes. The hand runs round the slots, so among
 * equals the one that has been there longest goes first. Unreplied flows go before replied ones, if there
 * are some among the next CT_EVICT_PREFER slots: in a table full of replied ones, to look further would be
 * to find him who has just come and waits for his answer, and to pay for it with every packet. With `take` the
 * replied one goes then, and the hand is behind it; without, the hand waits there.
 *
 * It looks at CT_EVICT_LOOK hints at most; when the table is larger and all of those are assured, the next
 * new flow's eviction goes on from there. Having found nobody, it looks at CT_EVICT_GLANCE only for the rest
 * of the tick. 1 if somebody went.
 */
ct_global int ct_evict(__u32 engine, __u32 take, __u64 now, __u32 hz)
{
	struct ct_eviction ev = { .engine = engine, .take = take };
	struct ct_state *st = ct_state();
	__u32 look = CT_EVICT_LOOK;

	if (!st || !hz)
		return 0;
	ev.now_seconds = now / hz;
	ev.used = READ_ONCE(*ct_of(st->next_slot, engine));
	if (ev.used > st->max_slots)
		ev.used = st->max_slots;
	if (!ev.used)
		return 0;
	ev.at = READ_ONCE(*ct_of(st->hand, engine));
	if (ev.at >= ev.used)
		ev.at = 0;
	ev.began = ev.at;
	ev.replied = READ_ONCE(ct_zero);
	ev.since = ev.replied;
	ev.done = ev.replied;
	if (READ_ONCE(*ct_of(ct_barren, engine)) == (__u32)now)
		look = CT_EVICT_GLANCE;
	/* Some rounds of a small table, for a replied one that can't be had. */
	bpf_loop(ev.used < look / 8 ? ev.used * 4 + CT_EVICT_PREFER : look, ct_evict_slot, &ev, 0);
	if (!ev.done && ev.replied) {
		ev.at = ev.replied - 1;
		if (ev.take)
			ct_evict_replied(&ev);
	}
	st = ct_state(); /* once more: there is no room on the stack to keep it */
	if (!st)
		return 0;
	/* Unless another CPU has moved it: behind it are the newest flows. */
	__sync_val_compare_and_swap(ct_of(st->hand, ev.engine), ev.began, ev.at);
	if (!ev.done && !ev.replied)
		WRITE_ONCE(*ct_of(ct_barren, ev.engine), (__u32)now);
	return ev.done;
}

/* Room for one more flow: counts it, and gives its slot. 0 or -CT_ENOSPC. */
static __always_inline int ct_table_reserve(__u32 engine, const struct ct_settings *s,
					    const struct ct_pkt *pkt, __u32 *slot)
{
	struct ct_state *st = ct_state();
	__u64 now = pkt->now;

	if (!st)
		return -CT_ENOSPC;
	if (pkt->flags & CT_PKT_ADOPTED) {
		if (ct_slot_take(st, engine, slot))
			return -CT_ENOSPC;
		__sync_fetch_and_add(&st->flows, 1);
		return 0;
	}
	if (__sync_fetch_and_add(&st->flows, 1) >= s->knob.max &&
	    !ct_evict(engine, false, now, s->hz) && !ct_evict(!engine, false, now, s->hz) &&
	    !ct_evict(engine, true, now, s->hz) && !ct_evict(!engine, true, now, s->hz))
		goto full;
	if (!ct_slot_take(st, engine, slot))
		return 0;
	if (ct_evict(engine, true, now, s->hz) && !ct_slot_take(st, engine, slot))
		return 0;
full:
	__sync_fetch_and_sub(&st->flows, 1);
	return -CT_ENOSPC;
}

/*
 * Count the record's new flow for its source, if there is a limit to keep; one of another table, if it was
 * counted there. 0 or -CT_EDQUOT.
 */
ct_global int ct_table_count_in(__u32 record_slot)
{
	const struct ct_settings *s = ct_settings();
	struct ct_pkt *pkt = ct_record(record_slot);
	bool adopted, counted;
	__u32 limit;
	int fate;

	if (!pkt || !s)
		return 0;
	adopted = pkt->flags & CT_PKT_ADOPTED;
	counted = pkt->entry.status & CT_S_COUNTED;
	limit = s->knob.max_unassured_per_source;
	pkt->entry.status &= ~CT_S_COUNTED;
	if (adopted ? !counted : !limit || pkt->entry.status & CT_S_ASSURED)
		return 0;
	fate = ct_source_enter(&pkt->original, adopted ? CT_SOURCE_ALL : limit);
	if (fate == CT_SOURCE_REFUSED)
		return -CT_EDQUOT;
	if (fate == CT_SOURCE_COUNTED)
		pkt->entry.status |= CT_S_COUNTED;
	return 0;
}

/* It has not got into the table. */
ct_global int ct_table_count_back(__u32 record_slot)
{
	struct ct_pkt *pkt = ct_record(record_slot);

	if (pkt)
		ct_table_count_out(&pkt->entry, &pkt->original);
	return 0;
}

/*
 * Put the record's entry into the table under the record's key. It is complete but for its slot
 * and word. 0; -CT_EEXIST: the flow is there already; -CT_ENOSPC: full; another -errno.
 *
 * The entry in the table is still the caller's, who ends that with ct_table_publish(): so nobody
 * can update or destroy it before its NEW is out.
 */
ct_global int ct_table_insert(__u32 record_slot)
{
	const struct ct_settings *s = ct_settings();
	struct ct_pkt *pkt = ct_record(record_slot);
	struct ct_state *st = ct_state();
	__u32 slot = 0, engine;
	struct ct_entry *e;
	long err;

	if (!pkt || !s || !st)
		return -CT_ENOSPC;
	e = &pkt->entry;
	engine = ct_engine(pkt->original.family);
	if (ct_table_reserve(engine, s, pkt, &slot))
		return -CT_ENOSPC;
	e->slot = slot;
	e->word = (__u64)pkt->hash << CT_WORD_HASH_SHIFT |
		  (bpf_get_prandom_u32() & CT_WORD_GENERATION) | CT_WORD_LIVE | CT_WORD_BUSY;
	if (engine == 0) {
		struct ct_key4 *kept = bpf_map_lookup_elem(&index4, &slot);

		if (kept) {
			struct ct_key4 key = pkt->key.v4;

			key.pad = ct_hint(e, pkt->now, s->hz);
			*kept = key;
		}
		err = bpf_map_update_elem(&ct4, &pkt->key.v4, e, BPF_NOEXIST);
	} else {
		struct ct_key6 *kept = bpf_map_lookup_elem(&index6, &slot);

		if (kept) {
			struct ct_key6 key = pkt->key.v6;

			key.pad = ct_hint(e, pkt->now, s->hz);
			*kept = key;
		}
		err = bpf_map_update_elem(&ct6, &pkt->key.v6, e, BPF_NOEXIST);
	}
	if (err) {
		ct_slot_give(engine, slot);
		__sync_fetch_and_sub(&st->flows, 1);
	}
	return err;
}

/* The flow just inserted is everybody's from here on. */
static __always_inline void ct_table_publish(struct ct_pkt *pkt)
{
	struct ct_entry *e = ct_table_lookup(pkt, pkt->original.family);

	if (e)
		ct_release(e);
}

/*
 * The unconfirmed: between `in` at one hook and `confirm` at the next, keyed by the tuple as seen.
 * The word's hash is that of the flow's canonical key here too. While it is unconfirmed, `start`
 * holds the tick at which the entry was prepared.
 */
static __always_inline int ct_unconfirmed_insert(struct ct_pkt *pkt)
{
	struct ct_state *st = ct_state();
	struct ct_entry *e = &pkt->entry;
	long err;

	e->word = (__u64)pkt->hash << CT_WORD_HASH_SHIFT |
		  (bpf_get_prandom_u32() & CT_WORD_GENERATION) | CT_WORD_LIVE;
	e->start = pkt->now;
	err = bpf_map_update_elem(&unconfirmed, &pkt->pub.tuple, e, BPF_NOEXIST);
	if (!err && st)
		__sync_fetch_and_add(&st->unconfirmed, 1);
	return err;
}

/*
 * Delete an entry which is DEAD: it has been confirmed, or is over. First it is counted out: the
 * sweep takes those that are counted and not there for pushed out, so there must not be one for a
 * moment who isn't.
 */
static __always_inline void ct_unconfirmed_delete(const struct ct_tuple *t)
{
	struct ct_state *st = ct_state();

	if (st)
		__sync_fetch_and_sub(&st->unconfirmed, 1);
	__sync_fetch_and_add(&ct_unconfirmed_gone, 1);
	/* The sweep has been quicker and counted it out; or the LRU has, which is seen as lost then. */
	if (bpf_map_delete_elem(&unconfirmed, t) && st)
		__sync_fetch_and_add(&st->unconfirmed, 1);
}

/* Take an owned unconfirmed entry out: that of the flow which began with pkt->original. */
static __always_inline void ct_unconfirmed_drop(struct ct_pkt *pkt, struct ct_entry *e)
{
	ct_release_as(e, CT_WORD_DEAD);
	ct_unconfirmed_delete(&pkt->original);
}

#endif
