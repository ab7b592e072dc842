// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/* A full table: who goes to make room, and what becomes of a new flow when nobody may go. */
#include "talk.h"

/* The flow number `n` of a test. */
static void flow(unsigned int n)
{
	talk.aport = 1000 + n;
}

static void unreplied(unsigned int n)
{
	flow(n);
	ORIG(SYN);
}

static void replied(unsigned int n)
{
	unreplied(n);
	REPLY(SYN | ACK);
}

static void assured(unsigned int n)
{
	replied(n);
	ORIG(ACK);
}

static bool there(unsigned int n)
{
	struct ct_flow found;
	struct ct_tuple t;

	flow(n);
	t = talk_tuple();
	return !flow_get(&t, &found);
}

/* Of the flows from..to-1, how many are there. */
static int count_there(unsigned int from, unsigned int to)
{
	int n = 0;

	for (; from < to; from++)
		n += there(from);
	return n;
}

// Unreplied flows go first, then replied ones; assured ones stay.
CONVERSATION(order)
{
	set_knob(CT_K_MAX, 12);
	for (unsigned int i = 0; i < 4; i++) { /* mixed, so that places in the index tell nothing */
		unreplied(i);
		assured(20 + i);
		replied(10 + i);
	}
	for (unsigned int i = 0; i < 4; i++) {
		replied(30 + i);
		CHECK_EQ(count_there(0, 4), 3 - (int)i);
		CHECK_EQ(count_there(10, 14), 4);
		CHECK_EQ(count_there(20, 24), 4);
		CHECK(there(30 + i));
	}
	for (unsigned int i = 0; i < 8; i++) {
		assured(40 + i);
		CHECK_EQ(count_there(10, 14) + count_there(30, 34), 7 - (int)i);
		CHECK_EQ(count_there(20, 24), 4);
		CHECK(there(40 + i));
	}
	CHECK_EQ(counter(CT_C_EVICTED), 12);
	CHECK_EQ(ended(CT_END_EVICTED), 12);
	WANT_FLOWS(12);
}

// Among equals, the one that has been there longest goes first.
CONVERSATION(oldest_first)
{
	set_knob(CT_K_MAX, 32);
	for (unsigned int i = 0; i < 32; i++)
		unreplied(i);
	for (unsigned int i = 0; i < 100; i++) {
		unreplied(32 + i);
		CHECK(!there(i));
		CHECK(there(i + 1));
		CHECK(there(32 + i));
	}
	WANT_FLOWS(32);
}

// With only assured flows left, a new one passes, untracked, and is counted so.
CONVERSATION(full_pass)
{
	set_knob(CT_K_MAX, 5);
	for (unsigned int i = 0; i < 5; i++)
		assured(i);
	unreplied(10);
	CHECK_EQ(talk.last.verdict, PASS);
	WANT_GONE();
	CHECK_EQ(counter(CT_C_UNTRACKED_FULL), 1);
	CHECK_EQ(counter(CT_C_DROP_TABLE_FULL), 0);
	CHECK_EQ(counter(CT_C_EVICTED), 0);
	CHECK_EQ(counter(CT_C_INSERT_FAILED), 0);
	CHECK_EQ(count_there(0, 5), 5);
	WANT_FLOWS(5);
}

// ... or is dropped, if `full` says so; the assured ones are not touched and go on.
CONVERSATION(full_drop)
{
	set_knob(CT_K_MAX, 5);
	set_knob(CT_K_FULL, 1);
	for (unsigned int i = 0; i < 5; i++)
		assured(i);
	unreplied(10);
	CHECK_EQ(talk.last.verdict, DROP);
	WANT_GONE();
	CHECK_EQ(counter(CT_C_DROP_TABLE_FULL), 1);
	CHECK_EQ(counter(CT_C_UNTRACKED_FULL), 0);
	flow(3);
	REPLY(ACK);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	CHECK_EQ(counter(CT_C_DROP_POLICY), 0);
	WANT_FLOWS(5);
}

// When an assured flow has gone, the next new one gets in.
CONVERSATION(room_again)
{
	struct ct_tuple t;

	set_knob(CT_K_MAX, 3);
	for (unsigned int i = 0; i < 3; i++)
		assured(i);
	unreplied(10);
	CHECK(!there(10));
	flow(1);
	t = talk_tuple();
	CHECK_EQ(flow_delete(&t, 0, CT_END_DELETED), 0);
	unreplied(10);
	CHECK(there(10));
	CHECK(there(0));
	CHECK(there(2));
}

// Packets of flows that are in the table push nobody out, however full it is.
CONVERSATION(no_room_needed)
{
	set_knob(CT_K_MAX, 4);
	for (unsigned int i = 0; i < 4; i++)
		unreplied(i);
	for (unsigned int i = 0; i < 4; i++) {
		flow(i);
		ORIG(SYN);
		REPLY(SYN | ACK);
		ORIG(ACK);
		REPLY(RST);
	}
	CHECK_EQ(counter(CT_C_EVICTED), 0);
	WANT_FLOWS(4);
}

// A packet that is no flow's pushes nobody out either.
CONVERSATION(invalid_packets)
{
	set_knob(CT_K_MAX, 4);
	for (unsigned int i = 0; i < 4; i++)
		unreplied(i);
	flow(10);
	ORIG(RST);
	ORIG(SYN | FIN);
	REPLY(SYN | ACK);
	CHECK_EQ(counter(CT_C_EVICTED), 0);
	CHECK_EQ(count_there(0, 4), 4);
}

// An assured flow that is closing is still assured; one that was reset before it was is not.
CONVERSATION(closing)
{
	set_knob(CT_K_MAX, 2);
	assured(0);
	REPLY(FIN | ACK);
	ORIG(FIN | ACK);
	REPLY(ACK);
	WANT(TIME_WAIT, ESTABLISHED, PASS);
	replied(1);
	REPLY(RST);
	unreplied(2);
	CHECK(there(0));
	CHECK(!there(1));
	CHECK(there(2));
}

// A limit that is lowered is not enforced on those who are there: each new flow pushes out one.
CONVERSATION(lowered)
{
	for (unsigned int i = 0; i < 20; i++)
		unreplied(i);
	set_knob(CT_K_MAX, 10);
	WANT_FLOWS(20);
	unreplied(20);
	WANT_FLOWS(20);
	CHECK(there(20));
	CHECK_EQ(counter(CT_C_EVICTED), 1);
}

// A limit above the size of the maps: the maps' size is the limit, and no insert fails.
CONVERSATION(limit_beyond_the_maps)
{
	set_knob(CT_K_MAX, 10 * world_size);
	for (unsigned int i = 0; i < world_size + 50; i++) {
		unreplied(i);
		CHECK(there(i));
	}
	WANT_FLOWS(world_size);
	CHECK_EQ(counter(CT_C_EVICTED), 50);
	CHECK_EQ(counter(CT_C_INSERT_FAILED), 0);
}

// Both families share the limit: a flow of one makes room for one of the other.
TEST(across_families)
{
	for (int hook = 0; hook < HOOKS; hook++)
		for (int v6 = 0; v6 < 2; v6++) {
			world_begin(hook);
			talk_begin(hook, v6);
			CHECK_CASE("%s, full of IPv%d", harness_hooks[hook], v6 ? 6 : 4);
			set_knob(CT_K_MAX, 6);
			for (unsigned int i = 0; i < 5; i++)
				assured(i);
			unreplied(5);
			talk_begin(hook, !v6);
			unreplied(0);
			CHECK(there(0));
			talk_begin(hook, v6);
			CHECK_EQ(count_there(0, 5), 5);
			CHECK(!there(5));
			WANT_FLOWS(6);
			WANT_SOUND();
		}
}

// An answered flow stays while there are unanswered ones of the other family.
TEST(unreplied_of_the_other_family_first)
{
	for (int v6 = 0; v6 < 2; v6++) {
		world_begin(XDP);
		set_knob(CT_K_MAX, 10);
		talk_begin(XDP, v6);
		replied(0);
		talk_begin(XDP, !v6);
		for (unsigned int i = 1; i < 10; i++)
			unreplied(i);
		talk_begin(XDP, v6);
		for (unsigned int i = 20; i < 29; i++)
			replied(i);
		CHECK_EQ(count_there(0, 1), 1);
		CHECK_EQ(count_there(20, 29), 9);
		CHECK_EQ(ended(CT_END_EVICTED), 9);
		/* When all of them have been answered, the next makes one of them go. */
		unreplied(30);
		CHECK_EQ(count_there(0, 1) + count_there(20, 29), 9);
		WANT_SOUND();
	}
}

// One flow that may go, among 900 that may not, is found.
TEST(needle)
{
	static const unsigned int places[] = { 0, 63, 64, 500, 899 };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		world_begin(XDP);
		CHECK_CASE("place %u", places[i]);
		set_knob(CT_K_MAX, 900);
		for (unsigned int n = 0; n < 900; n++)
			if (n == places[i])
				unreplied(n);
			else
				assured(n);
		unreplied(1000);
		CHECK(there(1000));
		CHECK(!there(places[i]));
		CHECK_EQ(count_there(0, 900), 899);
		CHECK_EQ(counter(CT_C_UNTRACKED_FULL), 0);
		WANT_SOUND();
	}
}

// An assured flow whose time is up is no flow: it makes room before the sweep has come by.
TEST(past_their_time)
{
	world_begin(XDP);
	set_knob(CT_K_MAX, 5);
	for (unsigned int i = 0; i < 5; i++) {
		assured(i);
		ORIG(FIN | ACK);
		REPLY(FIN | ACK);
		ORIG(ACK); /* TIME_WAIT, 120 s */
	}
	for (int i = 0; i < 119; i++) {
		LATER(1);
		sweep();
	}
	unreplied(10);
	CHECK(!there(10));
	LATER(2);
	unreplied(10);
	CHECK(there(10));
	CHECK_EQ(ended(CT_END_TIMEOUT), 1);
	CHECK_EQ(counter(CT_C_EVICTED), 0);
	WANT_FLOWS(5);
	WANT_SOUND();
}

// A flood that is answered fills the table with answered flows. A new one that waits for its answer is the only
// one without: it is not the next to go for that, but has its time like all others.
CONVERSATION(waiting_among_answered)
{
	set_knob(CT_K_MAX, 600);
	for (unsigned int i = 0; i < 600; i++)
		replied(i);
	unreplied(1000);
	for (unsigned int i = 2000; i < 2400; i++) {
		replied(i);
		CHECK(there(1000));
		CHECK(!there(i - 1999));
		CHECK(there(i - 1998));
	}
	CHECK_EQ(counter(CT_C_UNTRACKED_FULL), 0);
	CHECK_EQ(counter(CT_C_EVICTED), 401);
}

// When a whole round has found nobody who may go, the next ones in the same tick look around a little only: else
// each packet of a flood would go round. A tick later one looks far again.
TEST(nobody_again)
{
	world_begin(XDP);
	talk_begin(XDP, false);
	set_knob(CT_K_MAX, 900);
	for (unsigned int n = 0; n < 899; n++)
		assured(n);
	unreplied(899); /* in the last place, while the hand is at the first */
	set_knob(CT_K_MAX, 1000);
	flow(899);
	REPLY(SYN | ACK);
	ORIG(ACK);
	set_knob(CT_K_MAX, 900);
	unreplied(1000);
	CHECK(!there(1000));
	set_knob(CT_K_MAX, 1000);
	unreplied(1001); /* in place 900 */
	set_knob(CT_K_MAX, 901);
	unreplied(1002);
	CHECK(!there(1002));
	CHECK(there(1001));
	CHECK_EQ(counter(CT_C_UNTRACKED_FULL), 2);
	LATER_TICKS(1);
	unreplied(1003);
	CHECK(there(1003));
	CHECK(!there(1001));
	WANT_SOUND();
}

// A flood of new flows with answered ones among them: these stay, and the limit holds all the time.
TEST(flood)
{
	world_begin(XDP);
	set_knob(CT_K_MAX, 500);
	for (unsigned int i = 0; i < 200; i++)
		assured(i);
	for (unsigned int i = 1000; i < 6000; i++) {
		unreplied(i);
		if (i % 100 == 0) {
			CHECK_CASE("after %u", i);
			CHECK(get_state().flows <= 500);
		}
	}
	CHECK_EQ(count_there(0, 200), 200);
	CHECK_EQ(counter(CT_C_EVICTED), 200 + 5000 - 500);
	CHECK_EQ(counter(CT_C_UNTRACKED_FULL), 0);
	WANT_FLOWS(500);
	WANT_SOUND();
}

CHECK_MAIN()
