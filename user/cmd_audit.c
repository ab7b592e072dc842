// SPDX-License-Identifier: GPL-2.0-only
/*
 * audit: does everything hold that is to hold? It counts for itself: it walks the maps, asks the
 * kernel what is attached, and looks for what is left of what has gone. It changes nothing.
 *
 * What is read while packets go on is never all of one moment. For sums, audit.h says why that
 * does no harm. Of a single flow or slot that looks wrong it is remembered who it is, and it is
 * looked at again: an insert or a delete takes a microsecond, and nobody mends what is broken.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "audit.h"
#include "cmd.h"
#include "leftovers.h"
#include "log.h"
#include "mapped.h"
#include "object.h"
#include "opts.h"
#include "out.h"
#include "pins.h"
#include "repair.h"

#define BATCH 4096
/* How often figures are read again, and how often something that looks wrong is looked at again. */
#define READINGS       8
#define CONTRADICTIONS 3
#define LOOKS	       4
#define LOOKS_DYING    100
#define PAUSE_MS       30
/* Suspects that are looked at again; there is no need to list a million. */
#define SUSPECTS 4096

/* Seconds: what the contract promises, and what bpf/sweep.h takes at the most. */
#define UNCONFIRMED_SECONDS 30
#define SWEEP_SECONDS	    4
#define SWEEP_ROUND_SECONDS 5
/* A slice of the sweep takes this many flows that are due, and the next comes 5 ms later. */
#define SLICE_DUE 1024

struct result {
	bool known;
	bool ok;
	char text[1024];
};

/* --- one family's table -------------------------------------------------------------------- */

enum suspicion {
	ODD,	   /* not a flow that lives */
	UNSLOTTED, /* its slot does not hold its key */
	LATE,	   /* past its time */
	UNOWNED,   /* a slot that no flow owns */
	SUSPICIONS,
};

struct suspect {
	enum suspicion why;
	__u8 key[sizeof(struct ct_key6)];
	__u64 word;
	__u32 slot;
};

struct family {
	const char *name;
	int table, index;
	__u32 key_size;
	__u32 used;  /* slots that have been taken ever */
	__u8 *keys;  /* of the index */
	__u8 *owned; /* slots: a flow says that it is its */
	struct suspect *suspects;
	size_t n, over; /* over: found no room */
};

struct world {
	const struct instance *in;
	int stats, unconfirmed, sources, cpus;
	void *per_cpu;
	struct ct_state *state;
	struct family family[2];
	struct audit_reading r;
	__u64 now, hz;
	__u64 oldest;	   /* unconfirmed: ticks since it was prepared */
	__u64 latest;	   /* flows: ticks that one is past its time */
	__u64 index_flows; /* that have been compared with the index */
	struct result result[AUDIT_MAX];
};

static void pause_ms(long ms)
{
	const struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&pause, NULL);
}

__attribute__((format(printf, 4, 5))) static void conclude(struct world *w, enum audit_id id,
							   bool ok, const char *format, ...)
{
	struct result *r = &w->result[id];
	va_list args;

	r->known = true;
	r->ok = ok;
	va_start(args, format);
	vsnprintf(r->text, sizeof(r->text), format, args);
	va_end(args);
}

/* Add a sentence to what is wrong. */
__attribute__((format(printf, 3, 4))) static void blame(struct world *w, enum audit_id id,
							const char *format, ...)
{
	struct result *r = &w->result[id];
	size_t at = r->known && !r->ok ? strlen(r->text) : 0;
	va_list args;

	r->known = true;
	r->ok = false;
	if (at + 3 >= sizeof(r->text))
		return;
	if (at)
		at += (size_t)sprintf(r->text + at, "; ");
	va_start(args, format);
	vsnprintf(r->text + at, sizeof(r->text) - at, format, args);
	va_end(args);
}

/* Otherwise it holds. */
__attribute__((format(printf, 3, 4))) static void unblamed(struct world *w, enum audit_id id,
							   const char *format, ...)
{
	struct result *r = &w->result[id];
	va_list args;

	if (r->known)
		return;
	r->known = r->ok = true;
	va_start(args, format);
	vsnprintf(r->text, sizeof(r->text), format, args);
	va_end(args);
}

/* --- reading ------------------------------------------------------------------------------- */

static int read_stats(struct world *w, struct ct_stats *sum)
{
	const uint64_t *from = w->per_cpu;
	uint64_t *to = (uint64_t *)sum;
	size_t words = sizeof(*sum) / sizeof(*to);
	__u32 zero = 0;

	memset(sum, 0, sizeof(*sum));
	if (bpf_map_lookup_elem(w->stats, &zero, w->per_cpu))
		return -errno;
	for (int cpu = 0; cpu < w->cpus; cpu++)
		for (size_t i = 0; i < words; i++)
			to[i] += from[(size_t)cpu * words + i];
	return 0;
}

/* A level that packets raise before they lower it again: the lowest of some looks. */
static uint64_t read_level(const __u64 *word)
{
	uint64_t least = __atomic_load_n(word, __ATOMIC_RELAXED);

	for (int i = 0; i < 64; i++) {
		uint64_t now = __atomic_load_n(word, __ATOMIC_RELAXED);

		if ((int64_t)(now - least) < 0)
			least = now;
	}
	return least;
}

/* The time in ticks comes from the kernel: a tick is not quite what a clock says. */
static int read_time(struct world *w)
{
	struct ct_ctl m = {}, answer = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &m, .data_size_in = sizeof(m),
		    .data_out = &answer, .data_size_out = sizeof(answer));
	int fd = instance_fd(w->in, PIN_PROGS "/ct_ctl_get");
	int err = fd < 0 ? fd : bpf_prog_test_run_opts(fd, &run);

	if (fd >= 0)
		close(fd);
	w->now = answer.now;
	w->hz = clock_hz();
	return err;
}

typedef void each_fn(struct world *w, struct family *f, const void *key, const void *value);

/* Every element of a hash map, once each that was there all the time. 0 or -errno. */
static int each_element(struct world *w, struct family *f, int map, size_t key_size,
			size_t value_size, each_fn *each)
{
	__u32 room = BATCH, n, from = 0, to = 0;
	bool first = true, last = false;
	char *keys = NULL, *values = NULL;
	int err = 0;

	while (!last && !err) {
		if (!keys) {
			keys = malloc(room * key_size);
			values = malloc(room * value_size);
			if (!keys || !values) {
				err = -ENOMEM;
				break;
			}
		}
		n = room;
		if (bpf_map_lookup_batch(map, first ? NULL : &from, &to, keys, values, &n, NULL)) {
			if (errno == ENOSPC && room < 1U << 20) { /* a bucket has more than that */
				free(keys);
				free(values);
				keys = NULL;
				values = NULL;
				room *= 4;
				continue;
			}
			last = errno == ENOENT;
			err = last ? 0 : -errno;
		}
		for (__u32 i = 0; i < n && !err; i++)
			each(w, f, keys + i * key_size, values + i * value_size);
		from = to;
		first = false;
	}
	free(keys);
	free(values);
	return err;
}

static void suspect(struct family *f, enum suspicion why, const void *key, __u64 word, __u32 slot)
{
	struct suspect *s = &f->suspects[f->n];

	if (f->n == SUSPECTS) {
		f->over++;
		return;
	}
	f->n++;
	s->why = why;
	memcpy(s->key, key, f->key_size);
	s->word = word;
	s->slot = slot;
}

/* The key that a slot holds has its hint in the last byte, which is no part of the key. */
static bool same_key(const struct family *f, const void *a, const void *b)
{
	return !memcmp(a, b, f->key_size - 1);
}

static bool slot_free(const struct family *f, const __u8 *key)
{
	return !(key[f->key_size - 1] >> 6);
}

static bool is_odd(const struct family *f, const __u8 *key, const struct ct_entry *e)
{
	return (e->word & CT_WORD_PHASE) != CT_WORD_LIVE || !(e->status & CT_S_CONFIRMED) ||
	       e->status & CT_S_DYING || key[f->key_size - 1];
}

/* How long the sweep may take to come by: it has more to do when many flows end at once. */
static __u64 sweep_ticks(const struct world *w, const struct family *f)
{
	return SWEEP_SECONDS * w->hz + f->used / SLICE_DUE * w->hz / 100;
}

/* The flow says that it is counted for its source. */
static void count_counted(struct world *w, const struct family *f, const void *key,
			  const struct ct_entry *e)
{
	struct ct_source source = { .family = f == &w->family[0] ? CT_IPV4 : CT_IPV6 };
	int from = e->swapped & 1;

	if (source.family == CT_IPV4) {
		const struct ct_key4 *k = key;

		source.addr.ip = k->addr[from];
		source.zone = k->zone;
	} else {
		const struct ct_key6 *k = key;

		memcpy(&source.addr, k->addr[from], sizeof(source.addr) / 2);
		source.zone = k->zone;
	}
	audit_count(&w->r.counted, &source, 1);
}

static void count_entry(struct world *w, struct family *f, const void *key, const void *value)
{
	const struct ct_entry *e = value;
	__u64 late = w->now > e->expires ? w->now - e->expires : 0;

	if (!(e->word & CT_WORD_LIVE)) {
		w->r.dying++;
		suspect(f, ODD, key, e->word, e->slot);
		return;
	}
	w->r.flows++;
	w->index_flows++;
	if (e->status & CT_S_COUNTED)
		count_counted(w, f, key, e);
	if (is_odd(f, key, e))
		suspect(f, ODD, key, e->word, e->slot);
	if (w->now && late > w->latest)
		w->latest = late;
	if (w->now && late > sweep_ticks(w, f))
		suspect(f, LATE, key, e->word, e->slot);
	if (e->slot < f->used && same_key(f, key, f->keys + (size_t)e->slot * f->key_size))
		f->owned[e->slot] = 1;
	else
		suspect(f, UNSLOTTED, key, e->word, e->slot);
}

static void count_unconfirmed(struct world *w, struct family *f, const void *key, const void *value)
{
	const struct ct_entry *e = value;
	__u64 age = w->now > e->start ? w->now - e->start : 0;

	(void)f;
	(void)key;
	if (e->word & CT_WORD_LIVE)
		w->r.unconfirmed++;
	else
		w->r.unconfirmed_dead++;
	if (w->now && age > w->oldest)
		w->oldest = age;
}

static void count_source(struct world *w, struct family *f, const void *key, const void *value)
{
	const __u64 *word = value;

	/* The lower half, without the bit that is set while it is being deleted. */
	audit_count(&w->r.sources[f == &w->family[1]], key, *word & INT32_MAX);
}

/* The slots of the index that have been taken ever, into memory. 0 or -errno. */
static int read_index(struct world *w, struct family *f)
{
	__u32 *numbers = malloc(BATCH * sizeof(*numbers)), from = 0, to = 0, done = 0;
	__u64 used = __atomic_load_n(&w->state->next_slot[f == &w->family[1]], __ATOMIC_RELAXED);
	int err = 0;

	f->used = (__u32)(used < w->state->max_slots ? used : w->state->max_slots);
	f->n = f->over = 0;
	free(f->keys);
	free(f->owned);
	f->keys = calloc(f->used + 1, f->key_size);
	f->owned = calloc(f->used + 1, 1);
	if (!numbers || !f->keys || !f->owned)
		err = -ENOMEM;
	while (!err && done < f->used) {
		__u32 n = f->used - done < BATCH ? f->used - done : BATCH;

		if (bpf_map_lookup_batch(f->index, done ? &from : NULL, &to, numbers,
					 f->keys + (size_t)done * f->key_size, &n, NULL) &&
		    (errno != ENOENT || !n))
			err = -errno;
		from = to;
		done += n;
	}
	free(numbers);
	return err;
}

static void find_unowned(struct family *f)
{
	for (__u32 i = 0; i < f->used; i++) {
		const __u8 *key = f->keys + (size_t)i * f->key_size;

		if (!f->owned[i] && !slot_free(f, key))
			suspect(f, UNOWNED, key, 0, i);
	}
}

/* Read all figures once, and the tables for suspects. 0 or -errno. */
static int take_reading(struct world *w)
{
	int err;

	memset(&w->r, 0, sizeof(w->r));
	w->oldest = w->latest = w->index_flows = 0;
	if (read_time(w))
		w->now = 0; /* named under "pins" */
	err = read_index(w, &w->family[0]);
	if (!err)
		err = read_index(w, &w->family[1]);
	if (!err)
		err = read_stats(w, &w->r.before);
	w->r.flows_gauge = read_level(&w->state->flows);
	if (!err)
		err = each_element(w, &w->family[0], w->sources, sizeof(struct ct_source), 8,
				   count_source);
	for (int i = 0; i < 2 && !err; i++)
		err = each_element(w, &w->family[i], w->family[i].table, w->family[i].key_size,
				   sizeof(struct ct_entry), count_entry);
	if (!err)
		err = each_element(w, &w->family[1], w->sources, sizeof(struct ct_source), 8,
				   count_source);
	if (!err)
		err = read_stats(w, &w->r.between);
	w->r.unconfirmed_gauge = read_level(&w->state->unconfirmed);
	if (!err)
		err = each_element(w, NULL, w->unconfirmed, sizeof(struct ct_tuple),
				   sizeof(struct ct_entry), count_unconfirmed);
	if (!err)
		err = read_stats(w, &w->r.after);
	for (int i = 0; i < 2; i++)
		find_unowned(&w->family[i]);
	return err;
}

/* --- sums ---------------------------------------------------------------------------------- */

/* Wait until the sweep has looked at the unconfirmed once more: a second longer than its round. */
static bool wait_for_sweep(const struct world *w)
{
	__u64 last = __atomic_load_n(&w->state->sweep_at, __ATOMIC_RELAXED);

	for (int waited = 0; waited < (SWEEP_ROUND_SECONDS + 2) * 1000; waited += 10) {
		if (__atomic_load_n(&w->state->sweep_at, __ATOMIC_RELAXED) != last)
			return true;
		pause_ms(10);
	}
	return false;
}

/* Compare the figures, and read them again where they do not agree. 0 or -errno. */
static int check_sums(struct world *w)
{
	unsigned int against[AUDIT_EQUATIONS] = {};
	int err = 0;

	for (int i = 0; i < READINGS && !err; i++) {
		bool more = false;

		for (int id = 0; id < AUDIT_EQUATIONS; id++) {
			struct result *r = &w->result[id];
			enum audit_seen seen;

			if (r->known)
				continue;
			seen = audit_judge(&w->r, id);
			against[id] += seen == AUDIT_LESS || seen == AUDIT_MORE;
			r->known = seen == AUDIT_EQUAL || against[id] == CONTRADICTIONS ||
				   i == READINGS - 1;
			r->ok = against[id] < CONTRADICTIONS;
			if (r->known)
				audit_write(&w->r, id, r->text, sizeof(r->text));
			more |= !r->known;
		}
		if (!more)
			break;
		pause_ms(PAUSE_MS);
		err = take_reading(w);
	}
	return err;
}

/* More flows are counted as unconfirmed than there are. */
static bool missing(const struct world *w)
{
	return (!w->result[AUDIT_CREATED].ok && audit_judge(&w->r, AUDIT_CREATED) == AUDIT_MORE) ||
	       (!w->result[AUDIT_UNCONFIRMED].ok &&
		audit_judge(&w->r, AUDIT_UNCONFIRMED) == AUDIT_MORE);
}

/*
 * The unconfirmed are in an LRU map, which pushes some out when it is full and tells nobody. The
 * sweep finds out how many, every five seconds, and counts them as lost: so those that are missing
 * now must have been counted after it. Where it counts some every time, more are being pushed out
 * all the while, and nobody can tell them from others.
 */
static int settle_missing(struct world *w)
{
	static const enum audit_id both[] = { AUDIT_CREATED, AUDIT_UNCONFIRMED };
	uint64_t lost = w->r.before.counters.lost_unconfirmed;
	int err = 0;

	if (wait_for_sweep(w))
		err = take_reading(w);
	for (int i = 0; i < 2; i++)
		w->result[both[i]].known = false;
	if (!err)
		err = check_sums(w);
	for (int i = 0; i < 2 && !err; i++)
		if (audit_judge(&w->r, both[i]) == AUDIT_MORE &&
		    w->r.after.counters.lost_unconfirmed != lost)
			w->result[both[i]].ok = true;
	return err;
}

/* --- single flows and slots ---------------------------------------------------------------- */

/* Look at a suspect again: whether it still is what it was suspected of. */
static bool still(const struct world *w, const struct family *f, struct suspect *s)
{
	__u8 kept[sizeof(struct ct_key6)], key[sizeof(struct ct_key6)];
	struct ct_entry e;
	__u32 slot;

	if (s->why == UNOWNED) {
		if (bpf_map_lookup_elem(f->index, &s->slot, kept) || slot_free(f, kept) ||
		    !same_key(f, kept, s->key))
			return false;
		memcpy(key, kept, f->key_size);
		key[f->key_size - 1] = 0;
		return bpf_map_lookup_elem(f->table, key, &e) || e.slot != s->slot;
	}
	if (bpf_map_lookup_elem(f->table, s->key, &e) || (e.word ^ s->word) & ~CT_WORD_PHASE)
		return false; /* it has gone, or is another one */
	slot = e.slot;
	switch (s->why) {
	case ODD:
		return is_odd(f, s->key, &e);
	case LATE:
		return w->now > e.expires && w->now - e.expires > sweep_ticks(w, f);
	default:
		return slot >= w->state->max_slots || bpf_map_lookup_elem(f->index, &slot, kept) ||
		       !same_key(f, kept, s->key);
	}
}

static void check_suspects(struct world *w)
{
	static const enum audit_id broken[SUSPICIONS] = {
		[ODD] = AUDIT_ENTRIES,
		[UNSLOTTED] = AUDIT_INDEX,
		[LATE] = AUDIT_OVERDUE,
		[UNOWNED] = AUDIT_SLOTS,
	};
	static const char *const words[SUSPICIONS] = {
		[ODD] = "entries that are not live flows, or that somebody holds",
		[UNSLOTTED] = "flows whose slot does not hold their key",
		[LATE] = "flows that the sweep has forgotten",
		[UNOWNED] = "slots taken that are no flow's",
	};
	bool dying = true;

	/* A delete that the map refused is made good by the sweep, which takes longer. */
	for (int look = 0; look < LOOKS || (dying && look < LOOKS_DYING); look++) {
		size_t all = 0;

		dying = true;

		for (int i = 0; i < 2; i++) {
			struct family *f = &w->family[i];
			size_t n = 0;

			for (size_t k = 0; k < f->n; k++) {
				if (!still(w, f, &f->suspects[k]))
					continue;
				dying &= !(f->suspects[k].word & CT_WORD_LIVE) &&
					 f->suspects[k].why == ODD;
				f->suspects[n++] = f->suspects[k];
			}
			f->n = n;
			all += n;
		}
		if (!all)
			return;
		pause_ms(PAUSE_MS);
	}
	for (int i = 0; i < 2; i++) {
		struct family *f = &w->family[i];
		size_t n[SUSPICIONS] = {};

		for (size_t k = 0; k < f->n; k++)
			n[f->suspects[k].why]++;
		for (int why = 0; why < SUSPICIONS; why++)
			if (n[why])
				blame(w, broken[why], "%s: %zu%s %s", f->name, n[why],
				      f->over ? " or more" : "", words[why]);
	}
}

static void check_table(struct world *w)
{
	size_t taken = 0, used = 0;

	check_suspects(w);
	for (int i = 0; i < 2; i++) {
		const struct family *f = &w->family[i];

		used += f->used;
		for (__u32 k = 0; k < f->used; k++)
			taken += !slot_free(f, f->keys + (size_t)k * f->key_size);
	}
	unblamed(w, AUDIT_ENTRIES, "%llu flows", (unsigned long long)w->r.flows);
	unblamed(w, AUDIT_INDEX, "%llu flows", (unsigned long long)w->index_flows);
	unblamed(w, AUDIT_SLOTS, "%zu taken, %zu free, of %llu", taken, used - taken,
		 2 * (unsigned long long)w->state->max_slots);
	if (!w->now || !w->hz) {
		conclude(w, AUDIT_OVERDUE, false, "the time can't be read");
		conclude(w, AUDIT_AGE, false, "the time can't be read");
		return;
	}
	unblamed(w, AUDIT_OVERDUE, "%llu ms at most",
		 (unsigned long long)(w->latest * 1000 / w->hz));
	conclude(w, AUDIT_AGE, w->oldest <= UNCONFIRMED_SECONDS * w->hz,
		 "the oldest of %llu: %llu ms",
		 (unsigned long long)(w->r.unconfirmed + w->r.unconfirmed_dead),
		 (unsigned long long)(w->oldest * 1000 / w->hz));
}

/* Was the instance loaded so lately that the sweep need not have come yet? */
static bool is_young(const struct world *w)
{
	int fd = instance_fd(w->in, PIN_PROGS "/ct_ctl_arm");
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	struct timespec now;

	if (fd < 0)
		return false;
	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		info.load_time = 0;
	close(fd);
	clock_gettime(CLOCK_BOOTTIME, &now);
	return info.load_time / 1000000000 + 3 > (__u64)now.tv_sec;
}

/* It says when it will look at the unconfirmed again: not long after that it has done so. */
static void check_sweep(struct world *w)
{
	__u64 late = 0;

	if (is_young(w)) {
		conclude(w, AUDIT_SWEEP, true, "%llu runs, of programs just loaded",
			 (unsigned long long)w->state->gc_runs);
		return;
	}
	for (int waited = 0; waited < 2000; waited += 20) {
		__u64 at = __atomic_load_n(&w->state->sweep_at, __ATOMIC_RELAXED);

		if (read_time(w))
			break;
		late = w->now > at ? w->now - at : 0;
		if (late <= 2 * w->hz) {
			conclude(w, AUDIT_SWEEP, true, "%llu runs",
				 (unsigned long long)w->state->gc_runs);
			return;
		}
		pause_ms(20);
	}
	conclude(w, AUDIT_SWEEP, false, "%llu runs; it has not come for %llu s",
		 (unsigned long long)w->state->gc_runs,
		 (unsigned long long)(w->hz ? late / w->hz : 0));
}

/* --- programs, maps and interfaces ---------------------------------------------------------- */

static void check_stages(struct world *w)
{
	static const struct {
		const char *array, *text;
		const char *program[CT_STAGE_MAX]; /* NULL: anybody's, or none */
	} arrays[] = {
		{ "xdp_stages",
		  "XDP",
		  { [CT_STAGE_IN] = "ct_xdp_in", [CT_STAGE_CONFIRM] = "ct_xdp_confirm" } },
		{ "tc_stages",
		  "tc",
		  { [CT_STAGE_IN] = "ct_tc_in", [CT_STAGE_CONFIRM] = "ct_tc_confirm" } },
	};
	static const char *const stages[CT_STAGE_MAX] = {
#define X(id, name) [CT_STAGE_##id] = name,
		CT_STAGES(X)
#undef X
	};
	char policies[128] = "no policy";
	unsigned int filled = 0;

	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
		int fd = instance_fd(w->in, arrays[i].array);

		for (__u32 stage = 0; stage < CT_STAGE_MAX; stage++) {
			const char *program = arrays[i].program[stage];
			__u32 id = 0, wanted = program ? program_pinned(w->in, program) : 0;

			if (fd < 0 || bpf_map_lookup_elem(fd, &stage, &id))
				id = 0;
			if (!program) {
				if (id && stage == CT_STAGE_POLICY)
					program_words(id, policies, sizeof(policies));
			} else if (!id) {
				blame(w, AUDIT_STAGES, "%s: stage %s is empty", arrays[i].text,
				      stages[stage]);
			} else if (id != wanted) {
				char other[64];

				program_words(id, other, sizeof(other));
				blame(w, AUDIT_STAGES, "%s: stage %s has %s, not ours",
				      arrays[i].text, stages[stage], other);
			} else {
				filled++;
			}
		}
		if (fd >= 0)
			close(fd);
	}
	unblamed(w, AUDIT_STAGES, "%u, and %s", filled, policies);
}

struct pins {
	struct world *w;
	__u32 maps[64];
	char names[64][16];
	unsigned int n, programs;
	bool second; /* now the programs: all maps are known */
};

static void check_map_pin(const struct object_part *part, struct pins *p)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	int fd = instance_fd(p->w->in, part->name);

	if (fd < 0) {
		blame(p->w, AUDIT_PINS, "%s: %s", part->name,
		      fd == -ENOENT ? "its pin has gone" : strerror(-fd));
		return;
	}
	if (!bpf_obj_get_info_by_fd(fd, &info, &len) && p->n < 64) {
		snprintf(p->names[p->n], sizeof(p->names[0]), "%s", part->name);
		p->maps[p->n++] = info.id;
	}
	close(fd);
}

/* A map of this program that is called like a pinned one has to be that one. */
static void check_program_map(struct pins *p, const char *program, __u32 id)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);
	int fd = bpf_map_get_fd_by_id(id);

	if (fd < 0)
		return;
	if (!bpf_obj_get_info_by_fd(fd, &info, &len))
		for (unsigned int i = 0; i < p->n; i++)
			if (!strcmp(p->names[i], info.name) && p->maps[i] != id)
				blame(p->w, AUDIT_PINS, "%s uses map %u %s, pinned is map %u",
				      program, id, info.name, p->maps[i]);
	close(fd);
}

static void check_program_pin(const struct object_part *part, struct pins *p)
{
	__u32 maps[64] = {}, len;
	struct bpf_prog_info info = { .nr_map_ids = 64, .map_ids = (__u64)(unsigned long)maps };
	char path[128];
	int fd;

	snprintf(path, sizeof(path), PIN_PROGS "/%s", part->name);
	fd = instance_fd(p->w->in, path);
	if (fd < 0) {
		blame(p->w, AUDIT_PINS, "%s: %s", part->name,
		      fd == -ENOENT ? "its pin has gone" : strerror(-fd));
		return;
	}
	p->programs++;
	len = sizeof(info);
	if (!bpf_obj_get_info_by_fd(fd, &info, &len))
		for (__u32 i = 0; i < info.nr_map_ids && i < 64; i++)
			check_program_map(p, part->name, maps[i]);
	close(fd);
}

static void check_pin(const struct object_part *part, void *arg)
{
	struct pins *p = arg;

	if (!part->pinned || part->program != p->second)
		return;
	if (part->program)
		check_program_pin(part, p);
	else
		check_map_pin(part, p);
}

static void check_pins(struct world *w)
{
	struct pins p = { .w = w };

	object_each(check_pin, &p);
	p.second = true;
	object_each(check_pin, &p);
	unblamed(w, AUDIT_PINS, "%u programs, %u maps", p.programs, p.n);
}

static void check_interfaces(struct world *w)
{
	struct hooking *h = calloc(CT_IFACES, sizeof(*h));
	int n = h ? hookings_all(h, CT_IFACES, w->in) : -ENOMEM;

	if (n < 0)
		blame(w, AUDIT_INTERFACES, "they can't be read: %s", strerror(-n));
	for (int i = 0; i < n; i++) {
		const char *at = NULL, *sentence;
		size_t length;

		while ((sentence = words_next(&h[i].wrong, &at, &length)))
			blame(w, AUDIT_INTERFACES, "%s: %.*s", h[i].nic.name, (int)length,
			      sentence);
	}
	unblamed(w, AUDIT_INTERFACES, "%d attached", n);
	free(h);
}

static struct world *auditing; /* nftw() hands nothing on */
static unsigned int owned_pins;

static int check_owner_of(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)ftw;
	owned_pins++;
	if (type == FTW_NS)
		return 0; /* it has gone meanwhile */
	if (st->st_uid && st->st_uid != geteuid())
		blame(auditing, AUDIT_OWNER, "%s belongs to user %u", path, st->st_uid);
	else if (st->st_mode & 022 && !S_ISLNK(st->st_mode))
		blame(auditing, AUDIT_OWNER, "%s: others may write to it (mode %04o)", path,
		      st->st_mode & 07777);
	return 0;
}

static void check_owner(struct world *w)
{
	auditing = w;
	owned_pins = 0;
	nftw(w->in->dir, check_owner_of, 8, FTW_PHYS | FTW_MOUNT);
	unblamed(w, AUDIT_OWNER, "%u pins and directories", owned_pins);
}

static void blame_leftover(const char *what, void *arg)
{
	blame(arg, AUDIT_LEFTOVERS, "%s", what);
}

static void check_leftovers(struct world *w)
{
	int n = leftovers_find(blame_leftover, w);

	if (n < 0)
		blame(w, AUDIT_LEFTOVERS, "they can't be looked for: %s", strerror(-n));
	unblamed(w, AUDIT_LEFTOVERS, "none");
}

/* --- the command --------------------------------------------------------------------------- */

static void world_close(struct world *w)
{
	int fds[] = { w->stats,		  w->unconfirmed,     w->sources,	  w->family[0].table,
		      w->family[1].table, w->family[0].index, w->family[1].index };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	for (int i = 0; i < 2; i++) {
		free(w->family[i].keys);
		free(w->family[i].owned);
		free(w->family[i].suspects);
	}
	free(w->per_cpu);
	mapped_release(w->state, sizeof(*w->state));
}

/* What is needed to count. Whether it is all there. */
static bool world_open(struct world *w)
{
	w->stats = instance_fd(w->in, "stats");
	w->unconfirmed = instance_fd(w->in, "unconfirmed");
	w->sources = instance_fd(w->in, "sources");
	w->family[0] = (struct family){ .name = "IPv4",
					.key_size = sizeof(struct ct_key4),
					.table = instance_fd(w->in, "ct4"),
					.index = instance_fd(w->in, "index4") };
	w->family[1] = (struct family){ .name = "IPv6",
					.key_size = sizeof(struct ct_key6),
					.table = instance_fd(w->in, "ct6"),
					.index = instance_fd(w->in, "index6") };
	for (int i = 0; i < 2; i++)
		w->family[i].suspects = calloc(SUSPECTS, sizeof(struct suspect));
	w->cpus = libbpf_num_possible_cpus();
	w->per_cpu = calloc(w->cpus > 0 ? (size_t)w->cpus : 1, sizeof(struct ct_stats));
	w->state = mapped(w->in, "state", sizeof(*w->state));
	return w->stats >= 0 && w->unconfirmed >= 0 && w->sources >= 0 && w->family[0].table >= 0 &&
	       w->family[1].table >= 0 && w->family[0].index >= 0 && w->family[1].index >= 0 &&
	       w->family[0].suspects && w->family[1].suspects && w->per_cpu && w->state;
}

static void check_all(struct world *w)
{
	int err;

	check_pins(w);
	if (world_open(w)) {
		err = take_reading(w);
		if (!err) {
			check_table(w); /* of the first reading: sums may take more */
			err = check_sums(w);
		}
		if (!err && missing(w))
			err = settle_missing(w);
		if (err)
			blame(w, AUDIT_PINS, "the maps can't be read: %s", strerror(-err));
		else
			check_sweep(w);
	}
	check_stages(w);
	check_interfaces(w);
	check_owner(w);
	/* What could not be looked at does not hold. */
	for (int id = 0; id < AUDIT_LEFTOVERS; id++)
		if (!w->result[id].known)
			conclude(w, id, false, "can't be looked at");
	world_close(w);
}

static void json_figure(const char *key, uint64_t value, void *arg)
{
	json_u64(arg, key, value);
}

static int show(const struct world *w, bool json)
{
	unsigned int broken = 0, known = 0;
	struct json j;

	for (int id = 0; id < AUDIT_MAX; id++) {
		known += w->result[id].known;
		broken += w->result[id].known && !w->result[id].ok;
	}
	if (json) {
		json_init(&j, stdout);
		json_object(&j, NULL);
		json_string(&j, "instance", w->in ? w->in->name : NULL);
		json_bool(&j, "ok", !broken);
		json_array_lines(&j, "invariants");
		for (int id = 0; id < AUDIT_MAX; id++) {
			const struct result *r = &w->result[id];

			if (!r->known)
				continue;
			json_object(&j, NULL);
			json_string(&j, "name", audit_names[id]);
			json_bool(&j, "ok", r->ok);
			json_string(&j, "text", r->text);
			json_object(&j, "figures");
			if (w->in)
				audit_figures(&w->r, id, json_figure, &j);
			json_object_end(&j);
			json_object_end(&j);
		}
		json_array_end(&j);
		json_object_end(&j);
		json_flush(&j);
		return broken ? 1 : 0;
	}
	if (!w->in)
		printf("there is no instance here\n");
	for (int id = 0; id < AUDIT_MAX; id++) {
		if (!w->result[id].known)
			continue;
		printf("%-6s  %-11s  %s\n", w->result[id].ok ? "ok" : "BROKEN", audit_names[id],
		       w->result[id].text);
		if (log_verbose)
			printf("%21s(%s)\n", "", audit_help[id]);
	}
	if (broken)
		printf("%u of %u are broken\n", broken, known);
	return broken ? 1 : 0;
}

int cmd_audit(struct instance *in, int argc, char **argv)
{
	struct world *w;
	int code, err;
	bool json;

	if (!out_alone(argc, argv, &json, &code))
		return code;
	w = calloc(1, sizeof(*w));
	if (!w)
		return fail(strerror(ENOMEM), NULL, "figures");
	err = pins_find(in->name, in->dir, sizeof(in->dir));
	if (!err && repair_due(in))
		err = repair(in);
	if (err != -ENOENT || geteuid()) {
		/* Nobody may change it while we look; packets do. */
		if (instance_open(in) || instance_lock(in) || instance_open(in)) {
			free(w);
			return 1;
		}
		w->in = in;
		check_all(w);
	}
	check_leftovers(w);
	code = show(w, json);
	free(w);
	return code;
}
