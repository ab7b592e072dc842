/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Expiry without a daemon: a kernel timer that walks the slot index in slices and re-arms itself.
 * An expired entry is a miss for packets at once; the sweep is there to tell the listeners and to
 * free the memory, a second later on an idle machine.
 *
 * A full round takes a second. A slice looks at CT_SLICE slots at most, each a byte in an array;
 * only slots whose hint is due cost a lookup. It ends early after CT_SLICE_DUE of those, so that
 * a million flows that end together do not hold the CPU; the next slice then comes soon.
 *
 * Once another set of programs is in force the sweep stops: that one has its own.
 *
 * The timer runs on one CPU at a time and is alone in writing cursor and gc_*; ct_ctl_sweep, which
 * does too, is for tests and for an instance at its end.
 */
#ifndef SWEEP_H
#define SWEEP_H

#include "stage.h"

#define CT_SLICE 16384
#define CT_SLICE_DUE 1024
#define CT_ROUND_NS 1000000000ULL
#define CT_HURRY_NS 5000000ULL
/* Seconds between two looks at the unconfirmed. */
#define CT_UNCONFIRMED_ROUND 5

struct ct_slice {
	__u32 engine;
	__u32 used; /* slots there are */
	__u32 at;   /* next slot */
	__u32 due;
	__u32 expired;
	__u32 hz;
	__u64 now;
	__u64 now_seconds;
};

static long ct_sweep_slot(__u32 i, void *ctx)
{
	struct ct_slice *slice = ctx;
	__u8 hint;

	(void)i;
	if (slice->at >= slice->used)
		slice->at = 0;
	hint = ct_hint_read(slice->engine, slice->at);
	if (hint >> 6 != CT_HINT_FREE && ct_hint_due(hint, slice->now_seconds)) {
		slice->expired += ct_slot_destroy(slice->engine, slice->at, CT_WANT_EXPIRED,
						  CT_END_TIMEOUT, slice->now, slice->hz);
		slice->due++;
	}
	slice->at++;
	return slice->due >= CT_SLICE_DUE;
}

struct ct_sweep_unconfirmed {
	__u64 before; /* ticks: older ones go */
	__u64 left;
	__u64 swept;
	__u64 dead; /* deleted, too, but counted already when they died */
};

static long ct_sweep_unconfirmed(void *map, const void *key, struct ct_entry *e, void *ctx)
{
	struct ct_sweep_unconfirmed *sweep = ctx;
	__u64 word = READ_ONCE(e->word);

	(void)map;
	sweep->left++;
	if ((__s64)(e->start - sweep->before) > 0)
		return 0;
	/* Dead ones are there when their delete was refused. */
	if (!(word & CT_WORD_DEAD) &&
	    ((word & CT_WORD_PHASE) != CT_WORD_LIVE ||
	     __sync_val_compare_and_swap(&e->word, word,
					 (word & ~CT_WORD_PHASE) | CT_WORD_DEAD) != word))
		return 0;
	if (!bpf_map_delete_elem(&unconfirmed, key)) {
		if (word & CT_WORD_DEAD)
			sweep->dead++;
		else
			sweep->swept++;
		sweep->left--;
	}
	return 0;
}

/*
 * Sweep the unconfirmed that were prepared `age` seconds ago or earlier. Also finds out how many
 * the LRU has pushed out: it doesn't tell.
 */
static __always_inline void ct_sweep_the_unconfirmed(struct ct_state *st, __u64 now, __u64 age)
{
	/*
	 * Counted from `now`, not from 0: a number the verifier knows is another state in each round
	 * of the walk ("the sequence of 8193 jumps is too complex").
	 */
	struct ct_sweep_unconfirmed sweep = {
		.before = now - age,
		.left = now,
		.swept = now,
		.dead = now,
	};
	__u64 before, seen, gone, lost = 0;

	gone = READ_ONCE(ct_unconfirmed_gone);
	before = READ_ONCE(st->unconfirmed);
	bpf_for_each_map_elem(&unconfirmed, ct_sweep_unconfirmed, &sweep, 0);
	sweep.left -= now;
	sweep.swept -= now;
	ct_count_many(CT_C_SWEPT_UNCONFIRMED, sweep.swept);
	sweep.swept += sweep.dead - now;
	__sync_fetch_and_sub(&st->unconfirmed, sweep.swept);
	gone = READ_ONCE(ct_unconfirmed_gone) - gone;
	/*
	 * Of those that were counted before the walk, each has been seen by it, or has been taken out
	 * meanwhile, or had been pushed out. Those that came during the walk may have been seen, too, and
	 * some have been seen that were taken out: so there are more lost ones, perhaps, which the
	 * next walk counts.
	 */
	seen = sweep.left + sweep.swept;
	/* After an upgrade others take them out, and count these elsewhere: the next set's sweep will see. */
	if ((__s64)(before - seen - gone) > 0 && !ct_superseded())
		lost = before - seen - gone;
	__sync_fetch_and_sub(&st->unconfirmed, lost);
	ct_count_many(CT_C_LOST_UNCONFIRMED, lost);
}

/* One slice of one engine; true if there was more due than fits one. */
static __always_inline bool ct_sweep_slice(struct ct_state *st, __u32 engine, __u32 slots,
					   __u64 now, __u32 hz)
{
	struct ct_slice slice = { .engine = engine, .now = now, .hz = hz };
	long done;

	if (!hz)
		return false;
	slice.now_seconds = now / hz;
	slice.used = READ_ONCE(*ct_of(st->next_slot, engine));
	if (slice.used > st->max_slots)
		slice.used = st->max_slots;
	if (slots > slice.used)
		slots = slice.used;
	slice.at = *ct_of(st->cursor, engine);
	done = bpf_loop(slots, ct_sweep_slot, &slice, 0);
	*ct_of(st->cursor, engine) = slice.at;
	if (done > 0)
		st->gc_scanned += done;
	st->gc_expired += slice.expired;
	return slice.due >= CT_SLICE_DUE;
}

/* One run of the timer. Returns nanoseconds until the next. */
static __always_inline __u64 ct_sweep(struct ct_state *st, const struct ct_settings *s)
{
	__u64 began = bpf_ktime_get_ns(), now = ct_now(), next;
	__u64 used, runs;
	bool more;

	used = READ_ONCE(st->next_slot[0]);
	if (used < READ_ONCE(st->next_slot[1]))
		used = READ_ONCE(st->next_slot[1]);
	runs = used / CT_SLICE + 1;
	more = ct_sweep_slice(st, 0, CT_SLICE, now, s->hz);
	more |= ct_sweep_slice(st, 1, CT_SLICE, now, s->hz);
	if (now >= st->sweep_at) {
		st->sweep_at = now + (__u64)s->hz * CT_UNCONFIRMED_ROUND;
		ct_sweep_the_unconfirmed(st, now, (__u64)s->hz * CT_UNCONFIRMED_SECONDS);
	}
	st->gc_runs++;
	st->gc_last_ns = bpf_ktime_get_ns() - began;
	next = CT_ROUND_NS / runs;
	return more && next > CT_HURRY_NS ? CT_HURRY_NS : next;
}

static int ct_sweep_tick(void *map, __u32 *key, struct ct_sweep_timer *t)
{
	struct ct_state *st = ct_state();
	struct ct_settings *s = ct_settings();

	(void)map;
	(void)key;
	if (st && s && !ct_superseded())
		bpf_timer_start(&t->timer, ct_sweep(st, s), 0);
	return 0;
}

#endif
