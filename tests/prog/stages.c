// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/* The stages: one that is missing, a policy in between, a record that is not ours. */
#include "talk.h"

/* A stage slot of the talk's hook is empty. */
static void without(enum ct_stage stage)
{
	put_stage(talk.hook, stage, -1);
}

static void with(enum ct_stage stage)
{
	put_stage(talk.hook, stage, stage_prog(talk.hook, stage));
}

// Without `in` a packet passes, counted as a missing stage and as nothing else.
CONVERSATION(no_in)
{
	without(CT_STAGE_IN);
	for (__u64 i = 1; i <= 3; i++) {
		ORIG(SYN);
		WANT_UNSEEN();
		CHECK_EQ(counter(CT_C_STAGE_MISSING), i);
	}
	WANT_FLOWS(0);
	CHECK_EQ(counter(CT_C_CREATED), 0);
	CHECK_EQ(counter(CT_C_IN_WITHOUT_CONFIRM), 0);
	with(CT_STAGE_IN);
	ORIG(SYN);
	WANT(SYN_SENT, NEW, PASS);
	CHECK_EQ(counter(CT_C_DROP_POLICY), 0);
}

// Without `confirm` a new flow is classified and forgotten, by name; a known one goes on.
CONVERSATION(no_confirm)
{
	ORIG(SYN);
	without(CT_STAGE_CONFIRM);
	REPLY(SYN | ACK);
	WANT(SYN_RECV, ESTABLISHED, PASS);
	CHECK_EQ(counter(CT_C_STAGE_MISSING), 1);
	CHECK_EQ(counter(CT_C_IN_WITHOUT_CONFIRM), 0);
	talk.aport++;
	for (__u64 i = 1; i <= 3; i++) {
		ORIG(SYN);
		WANT_CLASS(NEW, PASS);
		WANT_GONE();
		CHECK_EQ(counter(CT_C_STAGE_MISSING), 1 + i);
		CHECK_EQ(counter(CT_C_IN_WITHOUT_CONFIRM), i);
	}
	CHECK_EQ(unconfirmed_elements(), 0);
	with(CT_STAGE_CONFIRM);
	ORIG(SYN);
	WANT(SYN_SENT, NEW, PASS);
	CHECK_EQ(counter(CT_C_DROP_POLICY), 0); /* nobody dropped those before */
}

// What one packet left in the record is nothing to the next: a known flow's packet confirms
// nothing.
CONVERSATION(nothing_left_in_the_record)
{
	ORIG(SYN);
	talk.aport++;
	without(CT_STAGE_CONFIRM);
	ORIG(SYN); /* prepared, and left so */
	with(CT_STAGE_CONFIRM);
	talk.aport--;
	REPLY(SYN | ACK);
	WANT(SYN_RECV, ESTABLISHED, PASS);
	SAY(CT_ORIGINAL, .tcp_flags = SYN | FIN);
	WANT_REASON(INVALID, TCP_FLAGS, PASS);
	WANT_FLOWS(1);
	talk.aport++;
	WANT_GONE();
}

// `confirm` run twice on one record makes no second flow, and loses none.
CONVERSATION(confirm_twice)
{
	ORIG(SYN);
	CHECK_EQ(run_stage(talk.hook, CT_STAGE_CONFIRM), PASS);
	WANT_FLOWS(1);
	WANT(SYN_SENT, NEW, PASS);
}

// A record that another build has filled is let alone: the packet passes, counted as stale.
CONVERSATION(stale_record)
{
	__u32 foreign = CT_ABI + 1;

	ORIG(SYN);
	for (__u64 i = 1; i <= 2; i++) {
		put_record_abi(talk.hook, foreign);
		CHECK_EQ(run_stage(talk.hook, i == 1 ? CT_STAGE_IN : CT_STAGE_CONFIRM), PASS);
		CHECK_EQ(counter(CT_C_STALE_RECORD), i);
	}
	CHECK_EQ(counter(CT_C_CREATED), 1);
	WANT_FLOWS(1);
}

// A stage that runs before any packet came finds no record of ours.
CONVERSATION(empty_record)
{
	CHECK_EQ(run_stage(talk.hook, CT_STAGE_CONFIRM), PASS);
	CHECK_EQ(run_stage(talk.hook, CT_STAGE_IN), PASS);
	CHECK_EQ(counter(CT_C_STALE_RECORD), 2);
	WANT_FLOWS(0);
}

/* --- a policy -------------------------------------------------------------------------------- */

// A policy that passes everything changes nothing.
CONVERSATION(policy_passes)
{
	policy_begin(talk.hook, "ct_test_pass");
	ORIG(SYN);
	WANT(SYN_SENT, NEW, PASS);
	REPLY(SYN | ACK);
	WANT(SYN_RECV, ESTABLISHED, PASS);
	SAY(CT_ORIGINAL, .tcp_flags = SYN | FIN);
	WANT_REASON(INVALID, TCP_FLAGS, PASS);
	CHECK_EQ(counter(CT_C_DROP_POLICY), 0);
	CHECK_EQ(counter(CT_C_STAGE_MISSING), 0);
	policy_end(talk.hook);
}

// The first packet of a flow that the policy drops leaves nothing behind, and is counted at once.
CONVERSATION(policy_drops)
{
	policy_begin(talk.hook, "ct_test_drop");
	for (__u64 i = 1; i <= 3; i++) {
		ORIG(SYN);
		WANT_CLASS(NEW, DROP);
		CHECK_EQ(counter(CT_C_DROP_POLICY), i);
		WANT_GONE();
	}
	CHECK_EQ(unconfirmed_elements(), 0);
	policy_end(talk.hook);
	ORIG(SYN);
	WANT(SYN_SENT, NEW, PASS);
	CHECK_EQ(counter(CT_C_DROP_POLICY), 3);
}

// One that just returns its verdict is found out when the next packet comes by.
CONVERSATION(policy_drops_silently)
{
	policy_begin(talk.hook, "ct_test_shot");
	ORIG(SYN);
	WANT_CLASS(NEW, DROP);
	CHECK_EQ(counter(CT_C_DROP_POLICY), 0);
	ORIG(SYN);
	WANT_CLASS(NEW, DROP);
	CHECK_EQ(counter(CT_C_DROP_POLICY), 1);
	policy_end(talk.hook);
	ORIG(SYN);
	WANT(SYN_SENT, NEW, PASS);
	CHECK_EQ(counter(CT_C_DROP_POLICY), 2);
	ORIG(SYN);
	CHECK_EQ(counter(CT_C_DROP_POLICY), 2);
}

// A packet of a known flow that the policy drops has acted on its flow: `in` came before.
CONVERSATION(policy_drops_known)
{
	ORIG(SYN);
	policy_begin(talk.hook, "ct_test_drop");
	REPLY(SYN | ACK);
	WANT(SYN_RECV, ESTABLISHED, DROP);
	policy_end(talk.hook);
}

// Dropped for being invalid: the policy does not see it, and has not dropped it.
CONVERSATION(policy_and_drop_invalid)
{
	set_knob(CT_K_DROP_INVALID, 1);
	policy_begin(talk.hook, "ct_test_drop");
	SAY(CT_ORIGINAL, .tcp_flags = SYN | FIN);
	WANT_REASON(INVALID, TCP_FLAGS, DROP);
	CHECK_EQ(counter(CT_C_DROP_INVALID), 1);
	CHECK_EQ(counter(CT_C_DROP_POLICY), 0);
	policy_end(talk.hook);
}

// The mark that a policy writes is the new flow's.
CONVERSATION(policy_marks)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow flow;

	policy_begin(talk.hook, "ct_test_mark");
	ORIG(SYN);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(flow.entry.mark, 42);
	policy_end(talk.hook);
	talk.aport++;
	t = talk_tuple();
	ORIG(SYN);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(flow.entry.mark, 0);
}

// A policy sees class, direction, state, status, mark, length, tuple and reason of the packet.
CONVERSATION(policy_sees)
{
	unsigned int len = talk.v6 ? 60 : 40;

	policy_begin(talk.hook, "ct_test_look");
	ORIG(SYN);
	CHECK_EQ(policy_memory(0), CT_NEW);
	CHECK_EQ(policy_memory(1), CT_ORIGINAL);
	CHECK_EQ(policy_memory(2), CT_TCP_SYN_SENT);
	CHECK_EQ(policy_memory(3), 0);
	CHECK_EQ(policy_memory(5), len);
	CHECK_EQ(be16toh(policy_memory(6)), talk.aport);
	CHECK_EQ(policy_memory(7), CT_R_NONE);
	REPLY(SYN | ACK, .payload = 10);
	CHECK_EQ(policy_memory(0), CT_ESTABLISHED);
	CHECK_EQ(policy_memory(1), CT_REPLY);
	CHECK_EQ(policy_memory(2), CT_TCP_SYN_RECV);
	CHECK_EQ(policy_memory(3), CT_S_CONFIRMED | CT_S_SEEN_REPLY);
	CHECK_EQ(policy_memory(5), len + 10);
	CHECK_EQ(be16toh(policy_memory(6)), talk.bport);
	SAY(CT_ORIGINAL, .tcp_flags = SYN | FIN);
	CHECK_EQ(policy_memory(0), CT_INVALID);
	CHECK_EQ(policy_memory(3), 0); /* not of the packet before */
	CHECK_EQ(policy_memory(7), CT_R_TCP_FLAGS);
	policy_end(talk.hook);
}

// A policy that passes, and no confirm behind it: nothing is left, and the next packet counts it.
CONVERSATION(policy_without_confirm)
{
	policy_begin(talk.hook, "ct_test_pass");
	without(CT_STAGE_CONFIRM);
	ORIG(SYN);
	WANT_CLASS(NEW, PASS);
	WANT_GONE();
	CHECK_EQ(unconfirmed_elements(), 0);
	with(CT_STAGE_CONFIRM);
	ORIG(SYN);
	WANT(SYN_SENT, NEW, PASS);
	CHECK_EQ(counter(CT_C_DROP_POLICY) + counter(CT_C_IN_WITHOUT_CONFIRM), 1);
	policy_end(talk.hook);
}

CHECK_MAIN()
