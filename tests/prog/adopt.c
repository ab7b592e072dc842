// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/* What an upgrade asks of the programs: flows of another table taken over, and the switch itself. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "ct.skel.h"
#include "talk.h"

static struct {
	struct ct_ctl m;
	struct ct_flow flow[CT_DUMP_FLOWS];
} message;

/* Hand `n` flows to ct_ctl_adopt; what it said is in message.m. */
static void adopt(enum ct_adopt what, const struct ct_flow *flows, __u32 n)
{
	__u32 size = (__u32)(sizeof(message.m) + n * sizeof(*flows));
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = &message, .data_size_in = size,
		    .data_out = &message, .data_size_out = size);

	memcpy(message.flow, flows, n * sizeof(*flows));
	message.m.count = n;
	message.m.reason = what;
	CHECK_EQ(bpf_prog_test_run_opts(bpf_program__fd(skel->progs.ct_ctl_adopt), &run), 0);
	CHECK_EQ(run.retval, 0);
}

static void adopt_all(enum ct_adopt what, const struct ct_flow *flows, size_t n)
{
	for (size_t i = 0; i < n; i += CT_DUMP_FLOWS) {
		__u32 some = (__u32)(n - i < CT_DUMP_FLOWS ? n - i : CT_DUMP_FLOWS);

		memset(&message.m, 0, sizeof(message.m));
		adopt(what, flows + i, some);
		CHECK_EQ(message.m.count, some);
		CHECK_EQ(message.m.full, 0);
	}
}

// Flows that are forgotten are gone without a word; entered again they are what they were, with the
// same id, but for their counters and windows.
CONVERSATION(forget_and_enter)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow was, is;
	struct ct_event ev;

	ORIG(SYN, .seq = 100);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	ORIG(ACK, .seq = 101, .ack = 201);
	CHECK_EQ(flow_get(&t, &was), 0);
	listen_begin(0, ~0U, 4096);
	adopt(CT_ADOPT_FORGET, &was, 1);
	WANT_FLOWS(0);
	CHECK_EQ(counter(CT_C_DESTROYED), 0);
	LATER(5);
	adopt(CT_ADOPT_ENTER, &was, 1);
	CHECK_EQ(message.m.full, 0);
	CHECK_EQ(listen_take(0, &ev, 1), 0);
	listen_end(0);
	CHECK_EQ(flow_get(&t, &is), 0);
	CHECK_MEM(&is.tuple, &was.tuple, sizeof(was.tuple));
	CHECK_EQ(is.entry.word, was.entry.word);
	CHECK_EQ(is.entry.expires, was.entry.expires);
	CHECK_EQ(is.entry.state, CT_TCP_ESTABLISHED);
	CHECK_EQ(is.entry.status, was.entry.status | CT_S_ADOPTED);
	CHECK_EQ(is.entry.start, was.entry.start);
	CHECK_EQ(is.entry.counters[CT_ORIGINAL].packets, 0);
	CHECK_EQ(is.entry.counters[CT_REPLY].bytes, 0);
	CHECK_EQ(counter(CT_C_CONFIRMED), 1);
	/* What was far outside the window is believed, once for each side. */
	ORIG(ACK, .seq = 50000101, .ack = 201, .payload = 10);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	WANT_COUNT(CT_ORIGINAL, 1, talk.v6 ? 70 : 50);
}

// Whatever their number; and one that is there already stays as it is.
TEST(many)
{
	static struct ct_flow flows[512];
	size_t n;

	world_begin(XDP);
	for (int v6 = 0; v6 < 2; v6++) {
		talk_begin(XDP, v6);
		for (unsigned int i = 0; i < 200; i++) {
			talk.aport = (uint16_t)(1000 + i);
			ORIG(SYN);
		}
	}
	n = dump(flows, 512);
	CHECK_EQ(n, 400);
	adopt_all(CT_ADOPT_FORGET, flows, n);
	WANT_FLOWS(0);
	adopt_all(CT_ADOPT_ENTER, flows, n);
	WANT_FLOWS(400);
	WANT_SOUND();
	memset(&message.m, 0, sizeof(message.m));
	adopt(CT_ADOPT_ENTER, flows, CT_DUMP_FLOWS);
	CHECK_EQ(message.m.count, 0);
	CHECK_EQ(message.m.full, 0);
	WANT_FLOWS(400);
	WANT_SOUND();
}

// A table without a slot to spare takes no more: nobody is evicted for it.
TEST(full)
{
	struct ct_tuple t;
	struct ct_flow one;

	world_begin(XDP);
	talk_begin(XDP, false);
	talk.aport = 999;
	ORIG(SYN);
	t = talk_tuple();
	CHECK_EQ(flow_get(&t, &one), 0);
	adopt(CT_ADOPT_FORGET, &one, 1);
	for (unsigned int i = 0; i < world_size; i++) {
		talk.aport = (uint16_t)(1000 + i);
		ORIG(SYN);
	}
	WANT_FLOWS(world_size);
	adopt(CT_ADOPT_ENTER, &one, 1);
	CHECK_EQ(message.m.full, 1);
	CHECK_EQ(message.m.count, 0);
	CHECK_EQ(ended(CT_END_EVICTED), 0);
	WANT_FLOWS(world_size);
	CHECK_EQ(flow_get(&t, &one), -ENOENT);
}

// What the table before learns late is taken, until a packet has come here.
CONVERSATION(renew)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow flow, late;

	ORIG(SYN, .seq = 100);
	CHECK_EQ(flow_get(&t, &flow), 0);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	CHECK_EQ(flow_get(&t, &late), 0);
	adopt(CT_ADOPT_FORGET, &flow, 1);
	adopt(CT_ADOPT_ENTER, &flow, 1);
	late.entry.mark = 7;
	late.entry.expires += 1000;
	adopt(CT_ADOPT_RENEW, &late, 1);
	CHECK_EQ(message.m.count, 1);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(flow.entry.state, CT_TCP_SYN_RECV);
	CHECK_EQ(flow.entry.status, late.entry.status | CT_S_ADOPTED);
	CHECK_EQ(flow.entry.mark, 7);
	CHECK_EQ(flow.entry.expires, late.entry.expires);
	ORIG(ACK, .seq = 101, .ack = 201);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	adopt(CT_ADOPT_RENEW, &late, 1);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(flow.entry.state, CT_TCP_ESTABLISHED);
}

// Also where packets are not counted; and the end of it is not a change to tell of.
CONVERSATION(renew_without_acct)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow flow, late;
	struct ct_event ev;

	set_knob(CT_K_ACCT, 0);
	ORIG(SYN, .seq = 100);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	ORIG(ACK, .seq = 101, .ack = 201);
	CHECK_EQ(flow_get(&t, &late), 0);
	adopt(CT_ADOPT_FORGET, &late, 1);
	adopt(CT_ADOPT_ENTER, &late, 1);
	listen_begin(0, ~0U, 4096);
	ORIG(ACK, .seq = 101, .ack = 201);
	CHECK_EQ(listen_take(0, &ev, 1), 0);
	ORIG(FIN | ACK, .seq = 101, .ack = 201);
	WANT(FIN_WAIT, ESTABLISHED, PASS);
	CHECK_EQ(listen_take(0, &ev, 1), 1);
	listen_end(0);
	for (int what = CT_ADOPT_RENEW; what <= CT_ADOPT_COUNT; what++) {
		memset(&message.m, 0, sizeof(message.m));
		message.m.family = talk.v6;
		adopt(what, &late, 1);
		CHECK_EQ(message.m.count, 1);
		CHECK_EQ(flow_get(&t, &flow), 0);
		CHECK_EQ(flow.entry.state, CT_TCP_FIN_WAIT);
		CHECK_EQ(flow.entry.status, late.entry.status);
	}
}

// A flow whose time the table before may have renewed does not end before that is known.
CONVERSATION(lasts)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow early, late, is;

	for (int what = CT_ADOPT_ENTER; what <= CT_ADOPT_RENEW; what++) {
		ORIG(SYN, .seq = 100);
		CHECK_EQ(flow_get(&t, &early), 0);
		late = early;
		early.entry.expires -= 119 * (__u64)HZ; /* of 120 s */
		adopt(CT_ADOPT_FORGET, &early, 1);
		adopt(CT_ADOPT_ENTER, what == CT_ADOPT_ENTER ? &early : &late, 1);
		if (what == CT_ADOPT_RENEW)
			adopt(CT_ADOPT_RENEW, &early, 1);
		LATER(5);
		sweep();
		CHECK_EQ(flow_get(&t, &is), 0);
		memset(&message.m, 0, sizeof(message.m));
		message.m.family = talk.v6;
		message.m.first = what * 64;
		message.m.full = message.m.first + 64;
		adopt(CT_ADOPT_COUNT, &early, 1);
		CHECK_EQ(message.m.count, 1);
		CHECK_EQ(flow_get(&t, &is), -ENOENT);
		sweep();
		WANT_FLOWS(0);
	}
}

// Counters are added to what was counted here meanwhile, and only once, however often it is tried.
CONVERSATION(count_once)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow flow, final;

	ORIG(SYN, .seq = 100);
	CHECK_EQ(flow_get(&t, &final), 0);
	adopt(CT_ADOPT_FORGET, &final, 1);
	adopt(CT_ADOPT_ENTER, &final, 1);
	final.entry.counters[CT_ORIGINAL].packets = 5;
	final.entry.counters[CT_ORIGINAL].bytes = 500;
	final.entry.counters[CT_REPLY].packets = 3;
	final.entry.counters[CT_REPLY].bytes = 300;
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	for (int tries = 0; tries < 2; tries++) {
		memset(&message.m, 0, sizeof(message.m));
		message.m.family = talk.v6;
		message.m.full = 64; /* slots 0 to 63 */
		adopt(CT_ADOPT_COUNT, &final, 1);
		CHECK_EQ(message.m.first, 64);
		CHECK_EQ(message.m.count, !tries);
	}
	/* The end of the walk. */
	memset(&message.m, 0, sizeof(message.m));
	message.m.family = talk.v6;
	message.m.first = 64;
	adopt(CT_ADOPT_COUNT, &final, 0);
	CHECK_EQ(message.m.first, ~0U);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(flow.entry.counters[CT_ORIGINAL].packets, 5);
	CHECK_EQ(flow.entry.counters[CT_ORIGINAL].bytes, 500);
	CHECK_EQ(flow.entry.counters[CT_REPLY].packets, 4);
	CHECK_EQ(flow.entry.counters[CT_REPLY].bytes, 300 + (talk.v6 ? 60 : 40));
}

// Another flow that has taken the place is left alone.
CONVERSATION(another_incarnation)
{
	static const enum ct_adopt what[] = { CT_ADOPT_ENTER, CT_ADOPT_RENEW, CT_ADOPT_COUNT,
					      CT_ADOPT_FORGET };
	struct ct_tuple t = talk_tuple();
	struct ct_flow flow, other, is;

	ORIG(SYN, .seq = 100);
	CHECK_EQ(flow_get(&t, &flow), 0);
	other = flow;
	other.entry.word ^= 0x100;
	other.entry.state = CT_TCP_CLOSE;
	other.entry.counters[CT_REPLY].packets = 9;
	for (size_t i = 0; i < sizeof(what) / sizeof(what[0]); i++) {
		memset(&message.m, 0, sizeof(message.m));
		message.m.family = talk.v6;
		adopt(what[i], &other, 1);
		CHECK_EQ(message.m.count, 0);
		CHECK_EQ(flow_get(&t, &is), 0);
		CHECK_MEM(&is, &flow, sizeof(is));
	}
}

// The counters of the set before are added to ours, once.
TEST(add_stats)
{
	static struct {
		struct ct_ctl m;
		struct ct_stats stats;
	} add;
	__u64 *words = (__u64 *)&add.stats;

	world_begin(XDP);
	talk_begin(XDP, false);
	ORIG(SYN);
	for (size_t i = 0; i < sizeof(add.stats) / 8; i++)
		words[i] = 1000 + i;
	for (int tries = 0; tries < 2; tries++)
		CHECK_EQ(run_prog(bpf_program__fd(skel->progs.ct_ctl_add), &add, sizeof(add)), 0);
	add.stats = get_stats();
	for (size_t i = 0; i < sizeof(add.stats) / 8; i++)
		CHECK(words[i] == 1000 + i || words[i] == 1001 + i); /* the SYN has counted, too */
}

static enum ct_stage next_stage(void)
{
	return talk.hook == EGRESS ? CT_STAGE_NEXT_EGRESS : CT_STAGE_NEXT;
}

// One store hands every packet to the next set's entry program, and one takes it back. While that
// one is not there the old one does its work.
CONVERSATION(superseded)
{
	int drop;

	policy_begin(talk.hook, "ct_test_shot");
	drop = policy_fd(talk.hook);
	put_stage(talk.hook, CT_STAGE_POLICY, -1);
	skel->data_epoch->ct_epoch[0]++;
	ORIG(SYN);
	WANT(SYN_SENT, NEW, PASS);
	put_stage(talk.hook, next_stage(), drop);
	REPLY(SYN | ACK);
	CHECK_EQ(talk.last.verdict, DROP);
	CHECK_EQ(talk.last.class, NO_CLASS);
	skel->data_epoch->ct_epoch[0]--;
	REPLY(SYN | ACK);
	WANT(SYN_RECV, ESTABLISHED, PASS);
	put_stage(talk.hook, next_stage(), -1);
	policy_end(talk.hook);
}

CHECK_MAIN()
