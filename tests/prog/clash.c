// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two first packets of one flow at once: both have been in `in` before either reaches `confirm`.
 * One is held up in XDP in front of a missing confirm, the other goes through tc; then XDP's
 * confirm runs. What comes last meets its own flow and acts on it as a second packet.
 */
#include "talk.h"

/* A packet gets as far as in front of XDP's confirm. */
static void hold(enum ct_dir dir, uint8_t flags)
{
	talk.hook = XDP;
	put_zone(0);
	put_stage(XDP, CT_STAGE_CONFIRM, -1);
	SAY(dir, .tcp_flags = flags);
	put_stage(XDP, CT_STAGE_CONFIRM, stage_prog(XDP, CT_STAGE_CONFIRM));
}

/* Another goes all the way in tc. */
static void pass(enum ct_dir dir, uint8_t flags)
{
	talk.hook = EGRESS;
	put_zone(0);
	SAY(dir, .tcp_flags = flags);
}

static void go_on(void)
{
	CHECK_EQ(run_stage(XDP, CT_STAGE_CONFIRM), PASS);
}

/* Both families, for a script of the above. */
static void both(void (*script)(void))
{
	for (int v6 = 0; v6 < 2; v6++) {
		world_begin(XDP);
		talk_begin(XDP, v6);
		CHECK_CASE("IPv%d", v6 ? 6 : 4);
		script();
		WANT_SOUND();
	}
}

static void same_direction(void)
{
	unsigned int ip = talk.v6 ? 40 : 20;

	talk.proto = IPPROTO_UDP;
	hold(CT_ORIGINAL, 0);
	WANT_CLASS(NEW, PASS);
	WANT_GONE();
	pass(CT_ORIGINAL, 0);
	WANT_CLASS(NEW, PASS);
	WANT_COUNT(CT_ORIGINAL, 1, ip + 8);
	go_on();
	WANT_FLOWS(1);
	WANT_COUNT(CT_ORIGINAL, 2, 2 * (ip + 8)); /* neither is lost */
	WANT_STATUS(0);
	CHECK_EQ(counter(CT_C_CLASH_RESOLVED), 1);
	CHECK_EQ(counter(CT_C_CONFIRMED), 1);
	CHECK_EQ(counter(CT_C_INSERT_FAILED), 0);
}

// Two questions at once (DNS for A and AAAA): one flow with both.
TEST(udp_same_direction)
{
	both(same_direction);
}

static void opposite_directions(void)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow flow;

	talk.proto = IPPROTO_UDP;
	t = talk_tuple();
	hold(CT_REPLY, 0);
	WANT_CLASS(NEW, PASS);
	pass(CT_ORIGINAL, 0);
	WANT_CLASS(NEW, PASS);
	go_on();
	WANT_FLOWS(1);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_MEM(&flow.tuple, &t, sizeof(t)); /* the first at confirm has opened it */
	WANT_STATUS(CT_S_SEEN_REPLY);
	WANT_COUNT(CT_ORIGINAL, 1, talk.v6 ? 48 : 28);
	WANT_COUNT(CT_REPLY, 1, talk.v6 ? 48 : 28);
	CHECK_EQ(counter(CT_C_CLASH_RESOLVED), 1);
}

// Both hosts begin at once: one flow, of whoever was first, answered by the other.
TEST(udp_opposite_directions)
{
	both(opposite_directions);
}

static void tcp_syn_twice(void)
{
	hold(CT_ORIGINAL, SYN);
	pass(CT_ORIGINAL, SYN);
	go_on();
	WANT_FLOWS(1);
	WANT(SYN_SENT, NEW, PASS);
	pass(CT_REPLY, SYN | ACK);
	WANT(SYN_RECV, ESTABLISHED, PASS);
	CHECK_EQ(counter(CT_C_CLASH_RESOLVED), 1);
}

// A SYN and its repetition.
TEST(tcp_same_direction)
{
	both(tcp_syn_twice);
}

static void tcp_syn_each(void)
{
	hold(CT_REPLY, SYN);
	pass(CT_ORIGINAL, SYN);
	go_on();
	WANT_FLOWS(1);
	pass(CT_ORIGINAL, SYN);
	WANT(SYN_SENT2, ESTABLISHED, PASS);
}

// A SYN from each side: a simultaneous open.
TEST(tcp_opposite_directions)
{
	both(tcp_syn_each);
}

static void gone_meanwhile(void)
{
	struct ct_tuple t = talk_tuple();

	hold(CT_ORIGINAL, SYN);
	pass(CT_ORIGINAL, SYN);
	CHECK_EQ(flow_delete(&t, 0, CT_END_DELETED), 0);
	go_on();
	WANT_FLOWS(1);
	CHECK_EQ(counter(CT_C_CLASH_RESOLVED), 0);
	CHECK_EQ(counter(CT_C_CONFIRMED), 2);
}

// If the flow in the way has gone meanwhile, there is no clash.
TEST(no_clash_after_delete)
{
	both(gone_meanwhile);
}

static void expired_meanwhile(void)
{
	pass(CT_ORIGINAL, SYN);
	LATER(120);
	hold(CT_ORIGINAL, SYN); /* finds it expired, and takes it out */
	WANT_FLOWS(0);
	pass(CT_ORIGINAL, SYN);
	go_on();
	WANT_FLOWS(1);
	CHECK_EQ(ended(CT_END_TIMEOUT), 1);
	CHECK_EQ(counter(CT_C_CLASH_RESOLVED), 1);
}

// A flow whose time is up is not met, but replaced.
TEST(no_clash_with_the_expired)
{
	both(expired_meanwhile);
}

static void closed_meanwhile(void)
{
	hold(CT_ORIGINAL, SYN);
	pass(CT_ORIGINAL, SYN);
	pass(CT_REPLY, SYN | ACK);
	pass(CT_ORIGINAL, ACK);
	pass(CT_ORIGINAL, RST);
	go_on(); /* a SYN from who reset: the next connection */
	WANT_FLOWS(1);
	pass(CT_ORIGINAL, SYN);
	WANT(SYN_SENT, NEW, PASS);
	CHECK_EQ(ended(CT_END_REPLACED), 1);
}

// A first packet that meets a connection which is over opens the next one.
TEST(clash_with_the_closed)
{
	both(closed_meanwhile);
}

/* --- busy entries ---------------------------------------------------------------------------- */

/* Another CPU takes the flow's entry and does not give it back; true if it could. */
static bool keep_busy(bool busy)
{
	struct ct_tuple t = talk_tuple();
	struct ct_entry e;

	if (raw_get(&t, &e))
		return false;
	e.word = busy ? e.word | CT_WORD_BUSY : e.word & ~CT_WORD_BUSY;
	return !raw_put(&t, &e);
}

// A packet that can't have its flow's entry passes with the class that it would have had; it is
// counted as contended, and its flow does not see it.
CONVERSATION(busy)
{
	unsigned int ip = talk.v6 ? 40 : 20;
	static struct pkt about;
	const struct pkt_desc syn = talk_desc(CT_ORIGINAL, &(struct pkt_desc){ .tcp_flags = SYN });

	ORIG(SYN);
	REQUIRE(keep_busy(true));
	ORIG(SYN);
	WANT_CLASS(NEW, PASS);
	CHECK_EQ(counter(CT_C_CONTENDED), 1);
	pkt_build(&about, &syn);
	SAY(CT_REPLY, .proto = talk.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
	    .icmp_type = talk.v6 ? 1 : 3, .quote = &about);
	WANT_CLASS(RELATED, PASS);
	CHECK_EQ(counter(CT_C_CONTENDED), 2);
	REQUIRE(keep_busy(false));
	WANT(SYN_SENT, RELATED, PASS);
	WANT_COUNT(CT_ORIGINAL, 1, ip + 20);
	REPLY(SYN | ACK);
	REQUIRE(keep_busy(true));
	ORIG(ACK);
	WANT_CLASS(ESTABLISHED, PASS);
	CHECK_EQ(counter(CT_C_CONTENDED), 3);
	REQUIRE(keep_busy(false));
	WANT(SYN_RECV, ESTABLISHED, PASS);
	WANT_FLOWS(1);
}

// The first reply to a flow is ESTABLISHED, also when it can't have the entry: a policy that lets
// no NEW flows in from outside would drop it otherwise.
CONVERSATION(busy_first_reply)
{
	ORIG(SYN);
	REQUIRE(keep_busy(true));
	REPLY(SYN | ACK);
	WANT_CLASS(ESTABLISHED, PASS);
	CHECK_EQ(counter(CT_C_CONTENDED), 1);
	REQUIRE(keep_busy(false));
	WANT_STATUS(0);
}

// A walk does not pass over a flow that it can't have, also if it is the first: it stops there.
CONVERSATION(busy_dump)
{
	struct ct_flow flows[3];
	__be16 first = talk.aport;

	for (int i = 0; i < 3; i++) {
		ORIG(SYN);
		talk.aport++;
	}
	for (int i = 0; i < 3; i++) {
		talk.aport = first + i;
		REQUIRE(keep_busy(true));
		CHECK_EQ(dump(flows, 3), DUMP_STOPPED);
		REQUIRE(keep_busy(false));
		CHECK_EQ(dump(flows, 3), 3);
	}
}

static void busy_at_confirm(void)
{
	hold(CT_ORIGINAL, SYN);
	pass(CT_ORIGINAL, SYN);
	REQUIRE(keep_busy(true));
	go_on();
	REQUIRE(keep_busy(false));
	WANT_FLOWS(1);
	CHECK_EQ(counter(CT_C_CONTENDED), 1);
	CHECK_EQ(counter(CT_C_CONFIRMED), 1);
	CHECK_EQ(counter(CT_C_INSERT_FAILED), 0);
}

// A first packet that meets its own flow at confirm, and that flow's entry busy, lets it be.
TEST(busy_clash)
{
	both(busy_at_confirm);
}

static void events_of_a_clash(void)
{
	static struct ct_event events[8];

	talk.proto = IPPROTO_UDP;
	listen_begin(0, 7, 65536);
	hold(CT_REPLY, 0);
	CHECK_EQ(listen_take(0, events, 8), 0);
	pass(CT_ORIGINAL, 0);
	go_on();
	CHECK_EQ(listen_take(0, events, 8), 2);
	CHECK_EQ(events[0].type, CT_EV_NEW);
	CHECK_EQ(events[1].type, CT_EV_UPDATE);
	CHECK_EQ(events[1].flow.entry.status, CT_S_CONFIRMED | CT_S_SEEN_REPLY);
	CHECK_MEM(&events[1].flow.tuple, &events[0].flow.tuple, sizeof(struct ct_tuple));
}

// One NEW, and an UPDATE for what the second packet changed.
TEST(clash_events)
{
	both(events_of_a_clash);
}

CHECK_MAIN()
