// SRC: user/snapshot.c
// SPDX-License-Identifier: GPL-2.0-only
/* The table at a place of the stream, out of a walk and what happened meanwhile. */
#include <string.h>

#include "../tools/random.h"
#include "check.h"
#include "snapshot.h"

#define SLOTS 64
#define RING  20000
#define STEP  4 /* slots that a step of the walk copies */

/* A world: flows in slots, and the ring of a listener that has come at some time. */
static struct ct_flow slot[SLOTS];
static bool lives[SLOTS];
static struct ct_event ring[RING];
static unsigned int written, taken;
static uint64_t clock_ns;
static uint32_t generations;
static uint64_t rng;
static struct snapshot s;

static uint32_t below(uint32_t n)
{
	return (uint32_t)(next_random(&rng) % n);
}

/* `told`: the programs know of the listener by now. Before, some do. */
static void tell(enum ct_event_type type, const struct ct_flow *flow, bool told)
{
	if (!told && below(2))
		return;
	ring[written++] = (struct ct_event){ .type = type, .time = clock_ns, .flow = *flow };
}

/* Something happens: to a slot that is chosen at random. There are fewer tuples than slots. */
static void happen(bool told)
{
	uint32_t i = below(SLOTS);
	struct ct_flow *f = &slot[i];

	clock_ns += below(2); /* two events may have the same time */
	if (lives[i] && below(3)) {
		f->entry.state++;
		tell(CT_EV_UPDATE, f, told);
	} else if (lives[i]) {
		lives[i] = false;
		f->entry.word ^= CT_WORD_LIVE | CT_WORD_DEAD; /* as it is in no table */
		tell(CT_EV_DESTROY, f, told);
	} else {
		memset(f, 0, sizeof(*f));
		f->tuple.sport = (__be16)(i % (SLOTS / 4));
		f->entry.word = (uint64_t)(f->tuple.sport % 4) << CT_WORD_HASH_SHIFT |
				++generations << 8 | CT_WORD_LIVE;
		lives[i] = true;
		tell(CT_EV_NEW, f, told);
	}
}

static void much_happens(bool told, uint32_t most)
{
	for (uint32_t n = below(most + 1); n; n--)
		happen(told);
}

static void take_ring(unsigned int up_to)
{
	for (; taken < up_to; taken++)
		CHECK_EQ(snapshot_event(&s, &ring[taken]), 0);
}

static void walk(uint32_t churn)
{
	for (unsigned int first = 0; first < SLOTS; first += STEP) {
		struct ct_flow copied[STEP];
		uint64_t began;
		int n = 0;

		take_ring(written);
		began = clock_ns;
		for (unsigned int i = first; i < first + STEP; i++) {
			much_happens(true, churn);
			if (lives[i])
				copied[n++] = slot[i];
		}
		much_happens(true, churn);
		for (int i = 0; i < n; i++)
			CHECK_EQ(snapshot_flow(&s, &copied[i], began), 0);
	}
}

/* The entry of this incarnation, NULL if it is not there; and there must not be two. */
static const struct snapshot_entry *entry_of(const struct ct_flow *f)
{
	const struct snapshot_entry *found = NULL;

	for (uint32_t i = 0; i < s.used; i++) {
		const struct snapshot_entry *e = &s.entries[i];

		if (!e->here || (e->flow.entry.word ^ f->entry.word) & ~CT_WORD_PHASE ||
		    memcmp(&e->flow.tuple, &f->tuple, sizeof(f->tuple)))
			continue;
		CHECK(!found);
		found = e;
	}
	return found;
}

static void want_the_table(void)
{
	size_t n = 0;

	for (int i = 0; i < SLOTS; i++) {
		const struct snapshot_entry *e = lives[i] ? entry_of(&slot[i]) : NULL;

		if (!lives[i])
			continue;
		n++;
		if (!CHECK(e != NULL))
			continue;
		CHECK_EQ(e->flow.entry.state, slot[i].entry.state);
	}
	CHECK_EQ(s.flows, n);
}

// Whatever happens while the table is walked through: at the place behind it, what has been put together
// is the table, each flow once and in the state that it is in.
TEST(is_the_table)
{
	for (uint64_t seed = 1; seed <= 2000; seed++) {
		CHECK_CASE("seed %llu", (unsigned long long)seed);
		rng = seed;
		memset(lives, 0, sizeof(lives));
		written = taken = 0;
		much_happens(false, 400);
		written = 0; /* nobody was there */
		much_happens(false, 30);
		taken = written; /* they may have missed the half of it */
		walk(below(8));
		take_ring(written);
		want_the_table();
		snapshot_free(&s);
	}
}

// An event from before the copy does not set the flow back; one from after it, or from the same moment, counts.
TEST(older_is_no_news)
{
	struct ct_event ev = { .type = CT_EV_UPDATE, .time = 9 };
	struct ct_flow f = { .entry.word = 1 << 8, .entry.state = 5 };

	CHECK_EQ(snapshot_flow(&s, &f, 10), 0);
	ev.flow = f;
	ev.flow.entry.state = 4;
	CHECK_EQ(snapshot_event(&s, &ev), 0);
	CHECK_EQ(entry_of(&f)->flow.entry.state, 5);
	ev.time = 10;
	ev.flow.entry.state = 6;
	CHECK_EQ(snapshot_event(&s, &ev), 0);
	CHECK_EQ(entry_of(&f)->flow.entry.state, 6);
	snapshot_free(&s);
}

// It grows as need be, and what has gone makes room.
TEST(grows)
{
	struct ct_event ev = { .type = CT_EV_DESTROY };
	struct ct_flow f = {};

	for (uint32_t i = 0; i < 10000; i++) {
		f.entry.word = (uint64_t)(i * 2654435761U) << CT_WORD_HASH_SHIFT | i << 8;
		CHECK_EQ(snapshot_flow(&s, &f, 0), 0);
		ev.flow = f;
		if (i % 2)
			CHECK_EQ(snapshot_event(&s, &ev), 0);
	}
	CHECK_EQ(s.flows, 5000);
	CHECK_EQ(s.size, 8192);
	CHECK_EQ(snapshot_event(&s, &ev), 0); /* one that is not there any more */
	CHECK_EQ(s.flows, 5000);
	snapshot_free(&s);
	CHECK_EQ(snapshot_event(&s, &ev), 0);
	CHECK_EQ(s.flows, 0);
}

CHECK_MAIN()
