// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/* The control programs: get, delete, dump and flush, as user space runs them. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "ct.skel.h"
#include "talk.h"

static struct ct_tuple inverse(const struct ct_tuple *t)
{
	struct ct_tuple i = *t;

	i.src = t->dst;
	i.dst = t->src;
	i.sport = t->dport;
	i.dport = t->sport;
	return i;
}

// A flow is found by either direction, and is shown by its original one.
CONVERSATION(get)
{
	struct ct_tuple t = talk_tuple(), back = inverse(&t);
	struct ct_flow there, here;

	ORIG(SYN);
	CHECK_EQ(flow_get(&t, &there), 0);
	CHECK_EQ(flow_get(&back, &here), 0);
	CHECK_MEM(&there, &here, sizeof(there));
	CHECK_MEM(&there.tuple, &t, sizeof(t));
}

// Asking changes nothing, and what is none is not there.
CONVERSATION(get_nothing)
{
	struct ct_tuple t = talk_tuple(), other;
	struct ct_flow flow;
	struct ct_entry before, after;

	ORIG(SYN);
	CHECK_EQ(raw_get(&t, &before), 0);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(raw_get(&t, &after), 0);
	CHECK_MEM(&after, &before, sizeof(after));
	other = t;
	other.proto = IPPROTO_UDP;
	CHECK_EQ(flow_get(&other, &flow), -ENOENT);
	other = t;
	other.family = 7;
	CHECK_EQ(flow_get(&other, &flow), -ENOENT);
	other.family = 0;
	CHECK_EQ(flow_delete(&other, 0, CT_END_DELETED), -ENOENT);
	WANT_FLOWS(1);
}

// A delete names an incarnation: one that took its place is not deleted for it.
CONVERSATION(delete_exactly_this)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow first, second;

	ORIG(SYN);
	CHECK_EQ(flow_get(&t, &first), 0);
	REPLY(RST | ACK);
	ORIG(SYN);
	CHECK_EQ(flow_get(&t, &second), 0);
	CHECK(first.entry.word != second.entry.word);
	CHECK_EQ(flow_delete(&t, first.entry.word, CT_END_DELETED), -ENOENT);
	WANT_FLOWS(1);
	CHECK_EQ(flow_delete(&t, second.entry.word, CT_END_DELETED), 0);
	WANT_FLOWS(0);
	CHECK_EQ(flow_delete(&t, second.entry.word, CT_END_DELETED), -ENOENT);
	CHECK_EQ(ended(CT_END_DELETED), 1);
}

/* Flows of both families: `n` of each. */
static void many(unsigned int n)
{
	for (int v6 = 0; v6 < 2; v6++) {
		talk.v6 = v6;
		talk.a = v6 ? "fd00:1::1" : "10.0.1.1";
		talk.b = v6 ? "fd00:2::1" : "10.0.2.1";
		for (unsigned int i = 0; i < n; i++) {
			talk.aport = 1000 + i;
			ORIG(SYN);
		}
	}
}

// A dump shows every flow once, whatever their number is to the size of a page.
TEST(dump_pages)
{
	static const unsigned int sizes[] = { 0, 1, 15, 16, 17, 31, 32, 33, 200 };
	static struct ct_flow flows[1024];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		static bool seen[2][1024];

		world_begin(XDP);
		CHECK_CASE("%u flows of each family", sizes[i]);
		many(sizes[i]);
		memset(seen, 0, sizeof(seen));
		CHECK_EQ(dump(flows, 1024), 2 * sizes[i]);
		for (size_t n = 0; n < 2 * sizes[i]; n++) {
			bool *mine = &seen[flows[n].tuple.family == CT_IPV6]
					  [(be16toh(flows[n].tuple.sport) - 1000) & 1023];

			CHECK(!*mine);
			*mine = true;
			CHECK_EQ(flows[n].entry.state, CT_TCP_SYN_SENT);
		}
		WANT_SOUND();
	}
}

// A dump with gaps in the table (every third flow deleted), and with some past their time.
TEST(dump_gaps)
{
	static struct ct_flow flows[1024];
	struct ct_tuple t;

	world_begin(XDP);
	many(100);
	for (unsigned int i = 0; i < 100; i += 3) {
		talk.aport = 1000 + i;
		t = talk_tuple();
		CHECK_EQ(flow_delete(&t, 0, CT_END_DELETED), 0);
	}
	CHECK_EQ(dump(flows, 1024), 200 - 34);
	LATER(60);
	talk.aport = 5000;
	ORIG(SYN);
	LATER(60); /* all but this one */
	CHECK_EQ(dump(flows, 1024), 1);
	CHECK_EQ(be16toh(flows[0].tuple.sport), 5000);
	WANT_SOUND();
}

// A flush takes all flows out, of both families, with the reason that it was given.
TEST(flush_all)
{
	world_begin(XDP);
	many(300);
	CHECK_EQ(flush(CT_END_FLUSHED), 600);
	WANT_FLOWS(0);
	CHECK_EQ(ended(CT_END_FLUSHED), 600);
	CHECK_EQ(flush(CT_END_FLUSHED), 0);
	many(300); /* and the places can be taken again */
	WANT_FLOWS(600);
	WANT_SOUND();
}

/* The relearn of both tables, as attach runs it on a table that was kept. */
static void relearn(void)
{
	for (int family = 0; family < 2; family++) {
		struct ct_ctl m = { .family = family };

		CHECK_EQ(run_prog(bpf_program__fd(skel->progs.ct_ctl_relearn), &m, sizeof(m)), 0);
	}
}

// After a time in which nobody looked, the windows of an established connection are learned anew:
// what was far outside before is believed, in both directions.
CONVERSATION(relearn_windows)
{
	ORIG(SYN, .seq = 100);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	ORIG(ACK, .seq = 101, .ack = 201);
	ORIG(ACK, .seq = 50000101, .ack = 201, .payload = 10);
	WANT_REASON(INVALID, TCP_SEQ_OVER, PASS);
	relearn();
	ORIG(ACK, .seq = 50000101, .ack = 70000201, .payload = 10);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	/* How much room the other side offers is not known before it has been seen. */
	ORIG(ACK, .seq = 60000101, .ack = 70000201, .payload = 10);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	REPLY(ACK, .seq = 70000201, .ack = 60000111);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	/* And then hold again. */
	ORIG(ACK, .seq = 90000101, .ack = 70000201, .payload = 10);
	WANT_REASON(INVALID, TCP_SEQ_OVER, PASS);
}

CHECK_MAIN()
