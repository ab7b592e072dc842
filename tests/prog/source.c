// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/* max_unassured_per_source: who is counted, by every way in and out, and what becomes of one too many. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "ct.skel.h"
#include "talk.h"

static void limit(__u32 flows)
{
	set_knob(CT_K_MAX_UNASSURED_PER_SOURCE, flows);
}

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

static void assured(unsigned int n)
{
	unreplied(n);
	REPLY(SYN | ACK);
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

static __u32 count(void)
{
	struct ct_tuple t = talk_tuple();

	return source_count(&t);
}

// A source may have so many flows that are not assured, and no more; what it has goes on, and so do others.
CONVERSATION(limited)
{
	limit(3);
	for (unsigned int i = 0; i < 5; i++) {
		unreplied(i);
		WANT_CLASS(NEW, PASS);
		CHECK_EQ(there(i), i < 3);
		CHECK_EQ(count(), i < 3 ? i + 1 : 3);
	}
	WANT_FLOWS(3);
	CHECK_EQ(counter(CT_C_UNTRACKED_SOURCE), 2);
	CHECK_EQ(counter(CT_C_DROPPED_UNCONFIRMED), 2);
	CHECK_EQ(counter(CT_C_EVICTED), 0);
	unreplied(1);
	WANT(SYN_SENT, NEW, PASS);
	CHECK_EQ(counter(CT_C_UNTRACKED_SOURCE), 2);
	talk.a = talk.v6 ? "fd00:1:0:1::1" : "10.0.1.2";
	unreplied(0);
	CHECK(there(0));
	CHECK_EQ(count(), 1);
	CHECK_EQ(source_elements(), 2);
}

// With `full` set to drop, one too many is dropped, and counted for that.
CONVERSATION(dropped)
{
	limit(1);
	set_knob(CT_K_FULL, 1);
	unreplied(0);
	unreplied(1);
	WANT_CLASS(NEW, DROP);
	WANT_GONE();
	CHECK_EQ(counter(CT_C_DROP_SOURCE), 1);
	CHECK_EQ(counter(CT_C_DROP_TABLE_FULL), 0);
	CHECK_EQ(counter(CT_C_UNTRACKED_SOURCE), 0);
}

// What becomes assured is not counted any more: a source may have any number of those.
CONVERSATION(assured_ones)
{
	limit(1);
	for (unsigned int i = 0; i < 10; i++) {
		unreplied(i);
		CHECK_EQ(count(), 1);
		REPLY(SYN | ACK);
		CHECK_EQ(count(), 1);
		ORIG(ACK);
		CHECK_EQ(count(), 0);
		REPLY(ACK);
		CHECK_EQ(source_elements(), 0);
	}
	WANT_FLOWS(10);
	CHECK_EQ(counter(CT_C_UNTRACKED_SOURCE), 0);
	/* Their end is nobody's business either. */
	unreplied(20);
	flush(CT_END_FLUSHED);
	CHECK_EQ(source_elements(), 0);
}

// Each way in which a flow ends gives its place free.
CONVERSATION(ends)
{
	struct ct_tuple t = talk_tuple();

	limit(1);
	ORIG(SYN);
	CHECK_EQ(count(), 1);
	REPLY(RST | ACK, .ack = 1); /* closed at once: nobody had answered */
	WANT_GONE();
	CHECK_EQ(source_elements(), 0);

	ORIG(SYN);
	LATER(121);
	sweep();
	WANT_GONE();
	CHECK_EQ(source_elements(), 0);

	ORIG(SYN);
	LATER(121);
	ORIG(SYN); /* it finds the one before past its time */
	CHECK_EQ(ended(CT_END_TIMEOUT), 2);
	CHECK_EQ(count(), 1);

	CHECK_EQ(flow_delete(&t, 0, CT_END_DELETED), 0);
	CHECK_EQ(source_elements(), 0);

	ORIG(SYN);
	CHECK_EQ(flush(CT_END_FLUSHED), 1);
	CHECK_EQ(source_elements(), 0);

	ORIG(SYN, .seq = 100);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	ORIG(RST, .seq = 101);
	CHECK_EQ(count(), 1);
	ORIG(SYN, .seq = 5000); /* a new connection takes its place */
	CHECK_EQ(ended(CT_END_REPLACED), 1);
	CHECK_EQ(count(), 1);
	WANT_FLOWS(1);
	CHECK_EQ(counter(CT_C_UNTRACKED_SOURCE), 0);
}

// An eviction, too; and a flow that found no room in the table is not counted.
CONVERSATION(full_table)
{
	limit(100);
	set_knob(CT_K_MAX, 4);
	for (unsigned int i = 0; i < 20; i++)
		unreplied(i);
	CHECK_EQ(count(), 4);
	CHECK_EQ(counter(CT_C_EVICTED), 16);
	for (unsigned int i = 20; i < 24; i++)
		assured(i);
	CHECK_EQ(source_elements(), 0);
	unreplied(30);
	CHECK(!there(30));
	CHECK_EQ(counter(CT_C_UNTRACKED_FULL), 1);
	CHECK_EQ(source_elements(), 0);
}

// One too many pushes nobody out.
CONVERSATION(nobody_goes_for_it)
{
	const char *a = talk.a;

	limit(2);
	set_knob(CT_K_MAX, 3);
	talk.a = talk.v6 ? "fd00:1:0:1::1" : "10.0.1.2";
	unreplied(0);
	talk.a = a;
	for (unsigned int i = 0; i < 10; i++)
		unreplied(i);
	CHECK_EQ(counter(CT_C_EVICTED), 0);
	CHECK_EQ(counter(CT_C_UNTRACKED_SOURCE), 8);
	talk.a = talk.v6 ? "fd00:1:0:1::1" : "10.0.1.2";
	CHECK(there(0));
}

// UDP becomes assured when it has gone on for a while; ICMP never does.
CONVERSATION(other_protocols)
{
	limit(1);
	talk.proto = IPPROTO_UDP;
	ORIG(0);
	REPLY(0);
	CHECK_EQ(count(), 1);
	LATER(3);
	ORIG(0);
	CHECK_EQ(count(), 0);
	talk.proto = talk.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	for (int i = 0; i < 3; i++) {
		SAY(CT_ORIGINAL, .icmp_type = talk.v6 ? 128 : 8, .icmp_id = 7);
		SAY(CT_REPLY, .icmp_type = talk.v6 ? 129 : 0, .icmp_id = 7);
		CHECK_EQ(count(), 1);
	}
	SAY(CT_ORIGINAL, .icmp_type = talk.v6 ? 128 : 8, .icmp_id = 8);
	CHECK_EQ(counter(CT_C_UNTRACKED_SOURCE), 1);
	CHECK_EQ(count(), 1);
}

// Who answers is not who is counted, and who connects back is somebody else.
CONVERSATION(original_source)
{
	const char *a = talk.a, *b = talk.b;

	limit(1);
	unreplied(0);
	REPLY(SYN | ACK);
	CHECK_EQ(source_elements(), 1);
	talk.a = b;
	talk.b = a;
	unreplied(5);
	CHECK(there(5));
	CHECK_EQ(source_elements(), 2);
	CHECK_EQ(count(), 1);
	CHECK_EQ(counter(CT_C_UNTRACKED_SOURCE), 0);
}

// IPv4 addresses are sources by themselves, of IPv6 ones the first half is; zones are worlds apart.
CONVERSATION(sources)
{
	static const struct {
		const char *a[2];
		bool same;
	} pairs[2][3] = {
		{ { { "10.0.1.1", "10.0.1.1" }, true },
		  { { "10.0.1.1", "10.0.1.2" }, false },
		  { { "10.0.1.1", "10.0.0.1" }, false } },
		{ { { "fd00:1:2:3::1", "fd00:1:2:3:ffff:ffff:ffff:ffff" }, true },
		  { { "fd00:1:2:3::1", "fd00:1:2:2::1" }, false },
		  { { "fd00:1:2:3::1", "fd00:1:2:b::1" }, false } },
	};

	for (int i = 0; i < 3; i++) {
		flush(CT_END_FLUSHED);
		limit(1);
		for (unsigned int n = 0; n < 2; n++) {
			talk.a = pairs[talk.v6][i].a[n];
			unreplied(n);
			CHECK_EQ(there(n), n == 0 || !pairs[talk.v6][i].same);
		}
	}
	put_zone(7);
	talk.zone = 7;
	unreplied(1);
	CHECK(there(1));
	CHECK_EQ(count(), 1);
}

// Off, nothing is counted; switched on, what is there already is not; switched off, what is counted ends as
// ever.
CONVERSATION(on_and_off)
{
	for (unsigned int i = 0; i < 5; i++)
		unreplied(i);
	CHECK_EQ(source_elements(), 0);
	limit(2);
	for (unsigned int i = 5; i < 10; i++)
		unreplied(i);
	WANT_FLOWS(7);
	CHECK_EQ(count(), 2);
	unreplied(0);
	REPLY(SYN | ACK);
	ORIG(ACK);
	CHECK_EQ(count(), 2);
	limit(0);
	for (unsigned int i = 10; i < 15; i++)
		unreplied(i);
	WANT_FLOWS(12);
	CHECK_EQ(count(), 2);
	unreplied(5);
	REPLY(SYN | ACK);
	ORIG(ACK);
	CHECK_EQ(count(), 1);
	limit(1);
	unreplied(20);
	CHECK(!there(20));
	flush(CT_END_FLUSHED);
	CHECK_EQ(source_elements(), 0);
	unreplied(20);
	CHECK(there(20));
}

// A limit that is lowered takes nothing away: who is above it gets no more.
CONVERSATION(lowered)
{
	limit(5);
	for (unsigned int i = 0; i < 5; i++)
		unreplied(i);
	limit(2);
	WANT_FLOWS(5);
	unreplied(5);
	CHECK(!there(5));
	for (unsigned int i = 0; i < 4; i++) {
		struct ct_tuple t;

		flow(i);
		t = talk_tuple();
		CHECK_EQ(flow_delete(&t, 0, CT_END_DELETED), 0);
	}
	unreplied(6);
	CHECK(there(6));
	CHECK_EQ(count(), 2);
}

/* --- another table ---------------------------------------------------------------------------- */

static void adopt(enum ct_adopt what, const struct ct_flow *flow)
{
	struct {
		struct ct_ctl m;
		struct ct_flow flow;
	} message = { .m = { .count = 1, .reason = what }, .flow = *flow };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &message, .data_size_in = sizeof(message),
		    .data_out = &message, .data_size_out = sizeof(message));

	CHECK_EQ(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.ct_ctl_adopt), &run), 0);
}

// A table that takes the place of another counts the flows that were counted there, whatever the limit; what
// it learns late of one that has become assured, and what is forgotten, is counted out.
CONVERSATION(adopted)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow was;

	limit(1);
	ORIG(SYN, .seq = 100);
	CHECK_EQ(flow_get(&t, &was), 0);
	CHECK(was.entry.status & CT_S_COUNTED);
	adopt(CT_ADOPT_FORGET, &was);
	CHECK_EQ(source_elements(), 0);
	unreplied(1);
	CHECK_EQ(count(), 1);
	flow(0);
	adopt(CT_ADOPT_ENTER, &was);
	WANT_FLOWS(2);
	CHECK_EQ(count(), 2);
	/* Once more is not twice. */
	adopt(CT_ADOPT_ENTER, &was);
	CHECK_EQ(count(), 2);
	/* There it was counted out, and says so by being assured. */
	was.entry.status = (was.entry.status | CT_S_SEEN_REPLY | CT_S_ASSURED) & ~CT_S_COUNTED;
	was.entry.state = CT_TCP_ESTABLISHED;
	adopt(CT_ADOPT_RENEW, &was);
	CHECK_EQ(count(), 1);
	adopt(CT_ADOPT_COUNT, &was);
	CHECK_EQ(count(), 1);
	flush(CT_END_FLUSHED);
	CHECK_EQ(source_elements(), 0);
	/* One that was not counted there is not counted here. */
	adopt(CT_ADOPT_ENTER, &was);
	WANT_FLOWS(1);
	CHECK_EQ(source_elements(), 0);
	adopt(CT_ADOPT_FORGET, &was);
}

CHECK_MAIN()
