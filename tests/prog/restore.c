// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/* Flows that were saved are entered again: what is kept, counted and told, and what is left alone. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "ct.skel.h"
#include "talk.h"

static struct {
	struct ct_ctl m;
	struct ct_flow flow[CT_DUMP_FLOWS];
} message;

/* Hand `n` flows to ct_ctl_restore; what it said is in message.m. */
static int restore(const struct ct_flow *flows, __u32 n, bool force)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &message, .data_out = &message.m,
		    .data_size_in = (__u32)(sizeof(message.m) + n * sizeof(*flows)),
		    .data_size_out = sizeof(message.m));

	memset(&message, 0, sizeof(message));
	memcpy(message.flow, flows, n * sizeof(*flows));
	message.m.count = n;
	message.m.full = force;
	if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.ct_ctl_restore), &run))
		CHECK_EQ(errno, ENOSPC); /* it hands all of it back */
	return (int)run.retval;
}

/* What a restore says: so many entered, there already, without room. */
static void want_restored(int line, __u32 entered, __u32 there, __u32 full)
{
	check_eq(__FILE__, line, "entered", message.m.count, entered);
	check_eq(__FILE__, line, "there", message.m.first, there);
	check_eq(__FILE__, line, "without room", message.m.full, full);
}
#define WANT_RESTORED(...) want_restored(__LINE__, __VA_ARGS__)

/* The flow of the talk, as it is now; and an empty table. */
static struct ct_flow taken(void)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow flow = {};

	CHECK_EQ(flow_get(&t, &flow), 0);
	flush(CT_END_FLUSHED);
	WANT_FLOWS(0);
	return flow;
}

// A connection is what it was, but for its id and its windows; it counts as one that was created and
// confirmed now, and listeners are told.
CONVERSATION(connection)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow was, is;
	struct ct_event ev;

	ORIG(SYN, .seq = 100);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	ORIG(ACK, .seq = 101, .ack = 201);
	was = taken();
	was.entry.mark = 42;
	was.entry.status |= CT_S_ADOPTED | CT_S_DYING;
	was.entry.slot = 12345;
	LATER(5);
	listen_begin(0, ~0U, 4096);
	CHECK_EQ(restore(&was, 1, false), 0);
	WANT_RESTORED(1, 0, 0);
	CHECK_EQ(listen_take(0, &ev, 1), 1);
	listen_end(0);
	CHECK_EQ(flow_get(&t, &is), 0);
	CHECK_EQ(ev.type, CT_EV_NEW);
	CHECK_MEM(&ev.flow.tuple, &was.tuple, sizeof(was.tuple));
	CHECK_EQ(ev.flow.entry.word | CT_WORD_BUSY, is.entry.word | CT_WORD_BUSY);
	CHECK_EQ(ev.flow.entry.mark, 42);
	CHECK_EQ(ev.flow.entry.status, CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_CONFIRMED);
	CHECK_MEM(&is.tuple, &was.tuple, sizeof(was.tuple));
	CHECK_EQ(is.entry.expires, was.entry.expires);
	CHECK_EQ(is.entry.state, CT_TCP_ESTABLISHED);
	CHECK_EQ(is.entry.status, CT_S_SEEN_REPLY | CT_S_ASSURED | CT_S_CONFIRMED);
	CHECK_EQ(is.entry.mark, 42);
	CHECK_EQ(is.entry.start, was.entry.start);
	CHECK_MEM(is.entry.counters, was.entry.counters, sizeof(was.entry.counters));
	CHECK_EQ(counter(CT_C_CREATED), 2);
	CHECK_EQ(counter(CT_C_CONFIRMED), 2);
	WANT_FLOWS(1);
	WANT_SOUND();
	/* What was far outside the windows is believed, once for each side. */
	ORIG(ACK, .seq = 50000101, .ack = 70000201, .payload = 10);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	REPLY(ACK, .seq = 70000201, .ack = 50000111);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	WANT_COUNT(CT_ORIGINAL, 3, talk.v6 ? 190 : 130);
	ORIG(ACK, .seq = 90000101, .ack = 70000201, .payload = 10);
	WANT_REASON(INVALID, TCP_SEQ_OVER, PASS);
}

// The other direction's packets find it, too: it is not entered turned round.
CONVERSATION(either_direction)
{
	struct ct_flow was;

	ORIG(SYN, .seq = 100);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	was = taken();
	CHECK_EQ(restore(&was, 1, false), 0);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	WANT(SYN_RECV, ESTABLISHED, PASS);
	ORIG(ACK, .seq = 101, .ack = 201);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
}

// A flow that is there stays as it is, whichever side began it.
CONVERSATION(there)
{
	struct ct_flow was, now;
	struct ct_tuple t;

	ORIG(SYN, .seq = 100);
	was = taken();
	was.entry.mark = 42;
	LATER(1);
	for (int turned = 0; turned < 2; turned++) {
		SAY(turned ? CT_REPLY : CT_ORIGINAL, .tcp_flags = SYN, .seq = 900);
		t = talk_tuple();
		CHECK_EQ(restore(&was, 1, false), 0);
		WANT_RESTORED(0, 1, 0);
		CHECK_EQ(flow_get(&t, &now), 0);
		CHECK_EQ(now.entry.mark, 0);
		CHECK_EQ(now.entry.expires, *world_now + 120 * HZ);
		WANT_FLOWS(1);
		flush(CT_END_FLUSHED);
	}
	CHECK_EQ(counter(CT_C_CONFIRMED), 3);
}

// One that is there and over makes way, with its event; and one that comes twice is entered once.
CONVERSATION(over)
{
	struct ct_flow pair[2];

	ORIG(SYN, .seq = 100);
	pair[0] = taken();
	pair[0].entry.expires += 1000 * HZ;
	pair[1] = pair[0];
	ORIG(SYN, .seq = 100);
	LATER(121);
	CHECK_EQ(restore(pair, 2, false), 0);
	WANT_RESTORED(1, 1, 0);
	CHECK_EQ(ended(CT_END_TIMEOUT), 1);
	WANT_FLOWS(1);
	ORIG(SYN, .seq = 100);
	WANT(SYN_SENT, NEW, PASS);
	WANT_FLOWS(1);
}

// No flow is evicted for it: a table as full as `max` says takes no more.
TEST(full)
{
	struct ct_flow flows[CT_DUMP_FLOWS];

	world_begin(XDP);
	talk_begin(XDP, false);
	for (unsigned int i = 0; i < CT_DUMP_FLOWS; i++) {
		talk.aport = (uint16_t)(1000 + i);
		ORIG(SYN);
	}
	CHECK_EQ(dump(flows, CT_DUMP_FLOWS), CT_DUMP_FLOWS);
	flush(CT_END_FLUSHED);
	set_knob(CT_K_MAX, 10);
	for (unsigned int i = 0; i < 5; i++) {
		talk.aport = (uint16_t)(5000 + i);
		ORIG(SYN);
	}
	CHECK_EQ(restore(flows, CT_DUMP_FLOWS, false), 0);
	WANT_RESTORED(5, 0, CT_DUMP_FLOWS - 5);
	WANT_FLOWS(10);
	CHECK_EQ(restore(flows, CT_DUMP_FLOWS, false), 0);
	WANT_RESTORED(0, 5, CT_DUMP_FLOWS - 5);
	CHECK_EQ(ended(CT_END_EVICTED), 0);
	WANT_SOUND();
}

// Nor is more entered than listeners have room for, unless they have been waited for long enough; then
// what is lost is counted.
TEST(listeners)
{
	static struct ct_event events[64];
	struct ct_flow flows[CT_DUMP_FLOWS];

	world_begin(XDP);
	talk_begin(XDP, true);
	for (unsigned int i = 0; i < CT_DUMP_FLOWS; i++) {
		talk.aport = (uint16_t)(1000 + i);
		ORIG(SYN);
	}
	CHECK_EQ(dump(flows, CT_DUMP_FLOWS), CT_DUMP_FLOWS);
	flush(CT_END_FLUSHED);
	listen_begin(0, 1U << CT_EV_NEW, 4096); /* 20 events */
	listen_begin(1, 1U << CT_EV_DESTROY, 4096);
	CHECK_EQ(restore(flows, CT_DUMP_FLOWS, false), 0);
	WANT_RESTORED(10, 0, 0); /* half of that is for packets */
	CHECK_EQ(restore(flows + 10, 6, false), 0);
	WANT_RESTORED(5, 0, 0);
	CHECK_EQ(listen_take(0, events, 64), 15);
	CHECK_EQ(restore(flows, CT_DUMP_FLOWS, true), 0);
	WANT_RESTORED(1, 15, 0);
	flush(CT_END_FLUSHED);
	CHECK_EQ(restore(flows, CT_DUMP_FLOWS, true), 0);
	WANT_RESTORED(CT_DUMP_FLOWS, 0, 0);
	flush(CT_END_FLUSHED);
	CHECK_EQ(restore(flows, CT_DUMP_FLOWS, true), 0);
	CHECK_EQ(get_listener(0).lost, 1 + 2 * CT_DUMP_FLOWS - 20);
	flush(CT_END_FLUSHED);
	listen_end(0);
	listen_end(1);
	listen_begin(0, 1U << CT_EV_NEW, 8192);
	CHECK_EQ(restore(flows, CT_DUMP_FLOWS, false), 0);
	CHECK_EQ(listen_take(0, events, 64), CT_DUMP_FLOWS);
	listen_end(0);
	WANT_SOUND();
}

// Nonsense is passed over: a family that there is not, fewer flows than were promised.
TEST(nonsense)
{
	struct ct_flow flows[2] = { { .tuple.family = 7 }, { .tuple.family = 0 } };

	world_begin(XDP);
	CHECK_EQ(restore(flows, 2, false), 0);
	WANT_RESTORED(0, 0, 0);
	WANT_FLOWS(0);
	WANT_SOUND();
}

static __u32 sources(void)
{
	__u8 key[32], next[32];
	const void *last = NULL;
	__u32 n = 0;

	while (!bpf_map_get_next_key(bpf_map__fd(skel->maps.sources), last, next)) {
		memcpy(key, next, sizeof(key));
		last = key;
		n++;
	}
	return n;
}

// What is not assured counts for its source from now on, though that has as many as it may.
CONVERSATION(counts_for_its_source)
{
	struct ct_flow was[2];

	ORIG(SYN, .seq = 100);
	was[0] = taken();
	was[1] = was[0];
	was[1].tuple.sport ^= htons(1);
	set_knob(CT_K_MAX_UNASSURED_PER_SOURCE, 1);
	CHECK_EQ(restore(was, 2, false), 0);
	WANT_RESTORED(2, 0, 0);
	CHECK_EQ(sources(), 1);
	talk.aport += 2;
	ORIG(SYN, .seq = 100);
	WANT_FLOWS(2);
	CHECK_EQ(counter(CT_C_UNTRACKED_SOURCE), 1);
	flush(CT_END_FLUSHED);
	CHECK_EQ(sources(), 0);
	was[0].entry.status |= CT_S_SEEN_REPLY | CT_S_ASSURED;
	CHECK_EQ(restore(was, 1, false), 0);
	CHECK_EQ(sources(), 0);
}

CHECK_MAIN()
