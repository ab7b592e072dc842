// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The end of flows by time: a miss at once, and out of the table when the sweep comes by, which
 * these tests run by hand, once a second as its timer does.
 */
#include "talk.h"

static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(random_state >> 33) % n;
}

/* Time goes by, with the sweep once a second. */
static void wait_sweeping(unsigned int seconds)
{
	while (seconds-- > 0) {
		LATER(1);
		sweep();
	}
}

/*
 * The sweep's promise: it works with whole seconds, and comes once in each, so nothing is in the
 * table two seconds after its end.
 */
#define WANT_SWEPT() CHECK_EQ(overdue(2 * HZ), 0)

// A flow is there until its last tick, and not one longer, whoever asks.
CONVERSATION(to_the_tick)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow flow;

	ORIG(SYN);
	LATER(120);
	LATER_TICKS(-1);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(dump(&flow, 1), 1);
	LATER_TICKS(1);
	CHECK_EQ(flow_get(&t, &flow), -ENOENT);
	CHECK_EQ(dump(&flow, 1), 0);
	WANT_FLOWS(1); /* not swept yet */
	REPLY(SYN | ACK);
	WANT_REASON(INVALID, TCP_STATE, PASS); /* and no flow for a packet */
	CHECK_EQ(ended(CT_END_TIMEOUT), 1);
	WANT_FLOWS(0);
}

// The sweep takes out what has ended, for its timeout, and nothing else.
CONVERSATION(swept)
{
	ORIG(SYN);
	wait_sweeping(119);
	WANT_FLOWS(1);
	CHECK_EQ(ended(CT_END_TIMEOUT), 0);
	wait_sweeping(3);
	WANT_FLOWS(0);
	CHECK_EQ(ended(CT_END_TIMEOUT), 1);
	CHECK_EQ(get_state().gc_expired, 1);
}

// A flow that is used is never swept, though each look of the sweep had been planned before.
CONVERSATION(kept_alive)
{
	talk.proto = IPPROTO_UDP;
	SAY(CT_ORIGINAL);
	for (int i = 0; i < 50; i++) {
		wait_sweeping(29);
		SAY(CT_ORIGINAL);
		WANT_CLASS(NEW, PASS);
		WANT_TIMEOUT(30);
	}
	WANT_FLOWS(1);
	CHECK_EQ(counter(CT_C_DESTROYED), 0);
}

// A flow of five days is left alone while it is idle.
CONVERSATION(long_idle)
{
	ORIG(SYN);
	REPLY(SYN | ACK);
	ORIG(ACK);
	wait_sweeping(2000);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	WANT_TIMEOUT(432000 - 2000);
}

// When a long life is cut short (432000 s to 10 s), the sweep comes in time for the new end.
CONVERSATION(cut_short)
{
	for (int wait = 0; wait < 70; wait += 3) {
		talk.aport++;
		ORIG(SYN);
		REPLY(SYN | ACK);
		ORIG(ACK);
		wait_sweeping(wait);
		REPLY(RST);
		WANT(CLOSE, ESTABLISHED, PASS);
		wait_sweeping(9);
		WANT_FLOWS(1);
		wait_sweeping(3);
		WANT_FLOWS(0);
	}
}

// Stepwise shorter: TIME_WAIT 120 s, then CLOSE 10 s, in the middle of its life.
CONVERSATION(cut_short_twice)
{
	ORIG(SYN);
	REPLY(SYN | ACK);
	ORIG(ACK);
	ORIG(FIN | ACK);
	REPLY(FIN | ACK);
	ORIG(ACK);
	wait_sweeping(60);
	REPLY(RST);
	wait_sweeping(12);
	WANT_FLOWS(0);
}

// A flow that ends and comes back at once is another one: the sweep leaves it alone.
CONVERSATION(back_again)
{
	talk.proto = IPPROTO_UDP;
	SAY(CT_ORIGINAL);
	LATER(30);
	SAY(CT_ORIGINAL);
	WANT_CLASS(NEW, PASS);
	for (int i = 0; i < 3; i++)
		sweep();
	WANT_FLOWS(1);
	WANT_TIMEOUT(30);
	CHECK_EQ(ended(CT_END_TIMEOUT), 1);
}

/* One packet of a random flow of forty, with whatever it does to it. */
static void random_packet(void)
{
	static const uint8_t flags[] = { SYN, SYN | ACK, ACK, ACK, FIN | ACK, RST };
	enum ct_dir dir = random_below(2);
	uint32_t i = random_below(40);

	talk.v6 = i & 1;
	talk.a = talk.v6 ? "fd00:1::1" : "10.0.1.1";
	talk.b = talk.v6 ? "fd00:2::1" : "10.0.2.1";
	talk.aport = 1000 + i;
	if (i % 5 == 0) {
		talk.proto = IPPROTO_UDP;
		SAY(dir);
	} else {
		talk.proto = IPPROTO_TCP;
		ORIG(SYN);
		SAY(dir, .tcp_flags = flags[random_below(6)]);
	}
}

// Whatever flows do, in an hour of anything: all that ended is out in time, nothing else is.
TEST(random_lives)
{
	const char *seed = getenv("SEED");

	world_begin(XDP);
	random_state = seed ? strtoull(seed, NULL, 0) : 1;
	printf("  SEED=%llu\n", (unsigned long long)random_state);
	for (int second = 0; second < 3600 && check_failures < 5; second++) {
		CHECK_CASE("second %d", second);
		if (!random_below(6))
			random_packet();
		LATER_TICKS(random_below(HZ));
		if (!random_below(6))
			random_packet();
		*world_now =
			(*world_now / HZ + 1) * HZ + random_below(20); /* a timer is never exact */
		sweep();
		WANT_SWEPT();
	}
	WANT_SOUND();
	CHECK(ended(CT_END_TIMEOUT) > 100);
}

// After the sweep has been held up (the clock jumps), all that ended meanwhile still goes within
// a round of its planned looks, 64 s.
TEST(clock_jumps)
{
	static const unsigned int jumps[] = { 2,  17, 18, 19, 20,  31,	 44,	45,
					      46, 63, 64, 65, 100, 1000, 86400, 500000 };

	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		world_begin(XDP);
		CHECK_CASE("%u s", jumps[i]);
		for (int n = 0; n < 64; n++) { /* with ends of all kinds */
			talk.aport = 1000 + n;
			talk.proto = n % 3 ? IPPROTO_TCP : IPPROTO_UDP;
			ORIG(n % 3 ? SYN : 0);
			if (n % 2)
				REPLY(n % 3 ? SYN | ACK : 0);
			LATER(1);
		}
		LATER(jumps[i]);
		wait_sweeping(64);
		WANT_SWEPT();
		wait_sweeping(130);
		WANT_FLOWS(0);
		WANT_SOUND();
	}
}

// Three thousand flows that end together do not hold the CPU: a sweep takes some 1024 of them, and
// comes again.
TEST(many_at_once)
{
	char b[64];
	int sweeps = 0;

	world_begin(XDP);
	talk.proto = IPPROTO_UDP;
	for (unsigned int i = 0; i < 3000; i++) {
		talk.b = numbered(false, b, 1 + i);
		SAY(CT_ORIGINAL);
	}
	WANT_FLOWS(3000);
	LATER(31);
	for (size_t left = 3000; left && sweeps < 10; sweeps++) {
		size_t before = left;

		sweep();
		left = table_elements();
		CHECK(before - left <= 1100);
		CHECK(before - left >= 900 || !left);
	}
	WANT_FLOWS(0);
	CHECK(sweeps <= 4);
	CHECK_EQ(get_state().gc_expired, 3000);
	CHECK_EQ(get_state().gc_runs, sweeps);
	CHECK_EQ(ended(CT_END_TIMEOUT), 3000);
	WANT_SOUND();
}

__attribute__((constructor)) static void size(void)
{
	world_size = 4096;
}

CHECK_MAIN()
