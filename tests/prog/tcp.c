// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/* TCP conversations: packets in; class, state, timeout, status and counters out. */
#include "talk.h"

/* A handshake: an assured flow in ESTABLISHED. Next numbers: 101 from a, 201 from b. */
static void handshake(void)
{
	ORIG(SYN, .seq = 100);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	ORIG(ACK, .seq = 101, .ack = 201);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
}

/* Closed by both, a first: TIME_WAIT. */
static void close_by_a(void)
{
	ORIG(FIN | ACK, .seq = 101, .ack = 201);
	REPLY(FIN | ACK, .seq = 201, .ack = 102);
	ORIG(ACK, .seq = 102, .ack = 202);
	WANT(TIME_WAIT, ESTABLISHED, PASS);
}

/* --- from the first packet to the last ------------------------------------------------------- */

// The whole life: opened, used, closed, forgotten.
CONVERSATION(life)
{
	WANT_GONE();
	ORIG(SYN, .seq = 100);
	WANT(SYN_SENT, NEW, PASS);
	WANT_TIMEOUT(120);
	WANT_STATUS(0);
	LATER(1);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	WANT(SYN_RECV, ESTABLISHED, PASS);
	WANT_TIMEOUT(60);
	WANT_STATUS(CT_S_SEEN_REPLY);
	LATER(1);
	ORIG(ACK, .seq = 101, .ack = 201);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	WANT_TIMEOUT(432000);
	WANT_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED);
	LATER(10);
	REPLY(PSH | ACK, .seq = 201, .ack = 101, .payload = 100);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	WANT_TIMEOUT(300); /* until it is acknowledged */
	ORIG(ACK, .seq = 101, .ack = 301);
	WANT_TIMEOUT(432000);
	ORIG(FIN | ACK, .seq = 101, .ack = 301);
	WANT(FIN_WAIT, ESTABLISHED, PASS);
	WANT_TIMEOUT(120);
	REPLY(ACK, .seq = 301, .ack = 102);
	WANT(CLOSE_WAIT, ESTABLISHED, PASS);
	WANT_TIMEOUT(60);
	REPLY(FIN | ACK, .seq = 301, .ack = 102);
	WANT(LAST_ACK, ESTABLISHED, PASS);
	WANT_TIMEOUT(30);
	ORIG(ACK, .seq = 102, .ack = 302);
	WANT(TIME_WAIT, ESTABLISHED, PASS);
	WANT_TIMEOUT(120);
	WANT_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED);
	WANT_FLOWS(1);
	LATER(120);
	WANT_GONE();
}

// Closed by the side that did not open it: the same states.
CONVERSATION(closed_by_server)
{
	handshake();
	REPLY(FIN | ACK, .seq = 201, .ack = 101);
	WANT(FIN_WAIT, ESTABLISHED, PASS);
	ORIG(ACK, .seq = 101, .ack = 202);
	WANT(CLOSE_WAIT, ESTABLISHED, PASS);
	LATER(59);
	ORIG(ACK, .seq = 101, .ack = 202, .payload = 10); /* half closed, and still talking */
	WANT(CLOSE_WAIT, ESTABLISHED, PASS);
	WANT_TIMEOUT(60);
	ORIG(FIN | ACK, .seq = 111, .ack = 202);
	WANT(LAST_ACK, ESTABLISHED, PASS);
	REPLY(ACK, .seq = 202, .ack = 112);
	WANT(TIME_WAIT, ESTABLISHED, PASS);
}

// Half closed for an hour, with data every 50 s: the flow lives.
CONVERSATION(half_closed)
{
	handshake();
	ORIG(FIN | ACK, .seq = 101, .ack = 201);
	REPLY(ACK, .seq = 201, .ack = 102);
	for (unsigned int i = 0; i < 72; i++) {
		LATER(50);
		REPLY(ACK, .seq = 201 + i, .ack = 102, .payload = 1);
		WANT(CLOSE_WAIT, ESTABLISHED, PASS);
	}
}

// One key for both directions: the answering side may have the lower or the higher address.
CONVERSATION(either_address_order)
{
	talk.a = talk.v6 ? "fd00:2::1" : "10.0.2.1";
	talk.b = talk.v6 ? "fd00:1::1" : "10.0.1.1";
	handshake();
	close_by_a();
	WANT_FLOWS(1);
}

// Packets and bytes are counted for each direction, from the IP header on, without padding.
CONVERSATION(counters)
{
	unsigned int ip = talk.v6 ? 40 : 20;

	handshake();
	WANT_COUNT(CT_ORIGINAL, 2, 2 * (ip + 20));
	WANT_COUNT(CT_REPLY, 1, ip + 20);
	REPLY(ACK, .payload = 1000, .vlan = { { .vid = 5 } },
	      .tcp_options = "nop,nop,TS val 1 ecr 1");
	WANT_COUNT(CT_REPLY, 2, 2 * (ip + 20) + 12 + 1000);
	WANT_COUNT(CT_ORIGINAL, 2, 2 * (ip + 20));
}

// With acct off nothing is counted, and the flow is tracked all the same.
CONVERSATION(acct_off)
{
	set_knob(CT_K_ACCT, 0);
	handshake();
	WANT_COUNT(CT_ORIGINAL, 0, 0);
	WANT_COUNT(CT_REPLY, 0, 0);
	WANT_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED);
}

// A flow remembers when it was confirmed; with timestamp off it does not.
CONVERSATION(timestamps)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow flow;
	__u64 began = *world_now;

	ORIG(SYN);
	LATER(5);
	REPLY(SYN | ACK);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(flow.entry.start, began * (1000000000 / HZ));
	set_knob(CT_K_TIMESTAMP, 0);
	talk.aport++;
	t = talk_tuple();
	ORIG(SYN);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(flow.entry.start, 0);
}

// Settings are in force with the next packet; what has been promised before stays.
CONVERSATION(settings_at_once)
{
	struct ct_settings s = get_settings();

	ORIG(SYN);
	s.timeout.tcp_timeout_syn_sent = 7 * HZ;
	s.timeout.tcp_timeout_syn_recv = 9 * HZ;
	put_settings(&s);
	WANT_TIMEOUT(120);
	REPLY(SYN | ACK);
	WANT_TIMEOUT(9);
	talk.aport++;
	ORIG(SYN);
	WANT_TIMEOUT(7);
}

// A super-packet counts as the segments it stands for (tc alone sees such).
TEST(gso_segments)
{
	static const enum hook hooks[] = { INGRESS, EGRESS };

	for (int i = 0; i < 2; i++) {
		static struct pkt p;
		struct seen s;

		CHECK_CASE("%s", harness_hooks[hooks[i]]);
		world_begin(hooks[i]);
		ORIG(SYN);
		REPLY(SYN | ACK);
		build_for(hooks[i], &p,
			  &(struct pkt_desc){ .src = talk.a,
					      .dst = talk.b,
					      .sport = talk.aport,
					      .dport = talk.bport,
					      .tcp_flags = ACK,
					      .payload = 3000 });
		s = send_frame(hooks[i], p.data, p.len,
			       &(struct skb_desc){ .gso_size = 1000, .gso_segs = 3 });
		check_seen(__FILE__, __LINE__, &s);
		CHECK_EQ(s.class, CT_ESTABLISHED);
		WANT_COUNT(CT_ORIGINAL, 1 + 3, 40 + 3040);
	}
}

/* --- opening --------------------------------------------------------------------------------- */

// A SYN that is repeated without an answer gets no new time: after 120 s the flow is gone.
CONVERSATION(syn_again)
{
	ORIG(SYN, .seq = 100);
	for (int i = 0; i < 11; i++) {
		LATER(10);
		ORIG(SYN, .seq = 100);
		WANT(SYN_SENT, NEW, PASS);
		WANT_TIMEOUT(110 - 10 * i);
	}
	LATER(10);
	WANT_GONE();
	ORIG(SYN, .seq = 100);
	WANT(SYN_SENT, NEW, PASS);
	WANT_TIMEOUT(120);
	CHECK_EQ(ended(CT_END_TIMEOUT), 1);
}

// Both sides send a SYN at once.
CONVERSATION(simultaneous_open)
{
	ORIG(SYN, .seq = 100);
	REPLY(SYN, .seq = 200);
	WANT(SYN_SENT2, ESTABLISHED, PASS);
	WANT_TIMEOUT(120);
	ORIG(SYN | ACK, .seq = 100, .ack = 201);
	WANT(SYN_RECV, ESTABLISHED, PASS);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	WANT(SYN_RECV, ESTABLISHED, PASS);
	REPLY(ACK, .seq = 201, .ack = 101);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	WANT_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED);
	WANT_FLOWS(1);
}

// Picked up in the middle: NEW until the other side speaks, then as if we had always been there.
CONVERSATION(picked_up)
{
	ORIG(ACK, .seq = 5000, .ack = 6000, .payload = 10);
	WANT(ESTABLISHED, NEW, PASS);
	WANT_TIMEOUT(300);
	LATER(10);
	ORIG(ACK, .seq = 5010, .ack = 6000, .payload = 10);
	WANT(ESTABLISHED, NEW, PASS);
	WANT_TIMEOUT(300);
	REPLY(ACK, .seq = 6000, .ack = 5020);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	WANT_TIMEOUT(300);
	WANT_STATUS(CT_S_SEEN_REPLY);
	ORIG(ACK, .seq = 5020, .ack = 6000);
	WANT_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED);
	/* Its windows are learned by now, and that a byte was in flight. */
	WANT_TIMEOUT(300);
	REPLY(ACK, .seq = 6000, .ack = 5020);
	WANT_TIMEOUT(432000);
}

// With tcp_loose off nothing is picked up.
CONVERSATION(not_picked_up)
{
	set_knob(CT_K_TCP_LOOSE, 0);
	ORIG(ACK, .seq = 5000, .ack = 6000);
	WANT_REASON(INVALID, TCP_NO_SYN, PASS);
	WANT_FLOWS(0);
	handshake();
}

// What can't open a connection is invalid, and leaves no entry.
CONVERSATION(impossible_openings)
{
	static const uint8_t flags[] = { SYN | ACK, FIN | ACK, FIN | ACK | URG, RST,
					 RST | ACK, RST | PSH, FIN | ACK | PSH };

	for (size_t i = 0; i < sizeof(flags); i++) {
		talk.aport++;
		ORIG(flags[i]);
		WANT_REASON(INVALID, TCP_STATE, PASS);
		REPLY(flags[i]);
		WANT_REASON(INVALID, TCP_STATE, PASS);
	}
	WANT_FLOWS(0);
}

// Flags that mean nothing are invalid before and within a connection, which they do not touch.
CONVERSATION(impossible_flags)
{
	static const uint8_t flags[] = {
		SYN | FIN,	 SYN | RST,	 FIN, FIN | RST, URG, PSH, 0xff,
		SYN | ACK | URG, SYN | FIN | ACK
	};

	for (size_t i = 0; i < sizeof(flags); i++) {
		ORIG(flags[i]);
		WANT_REASON(INVALID, TCP_FLAGS, PASS);
	}
	WANT_FLOWS(0);
	handshake();
	LATER(10);
	for (size_t i = 0; i < sizeof(flags); i++) {
		ORIG(flags[i]);
		WANT_REASON(INVALID, TCP_FLAGS, PASS);
		REPLY(flags[i]);
		WANT_REASON(INVALID, TCP_FLAGS, PASS);
	}
	WANT_TIMEOUT(432000 - 10);
	WANT_COUNT(CT_ORIGINAL, 2, 2 * (talk.v6 ? 60 : 40));
}

// ECN in the handshake is no reason to refuse it; nor is urgent or pushed data.
CONVERSATION(other_flags)
{
	ORIG(SYN | ECE | CWR, .seq = 100);
	WANT(SYN_SENT, NEW, PASS);
	REPLY(SYN | ACK | ECE, .seq = 200, .ack = 101);
	WANT(SYN_RECV, ESTABLISHED, PASS);
	ORIG(ACK | URG | PSH | CWR, .seq = 101, .ack = 201, .payload = 1);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
}

// Ports may be 0, and equal.
CONVERSATION(odd_ports)
{
	struct pkt_desc d = { .src = talk.a, .dst = talk.b, .dport = 7, .tcp_flags = SYN };
	static struct pkt p;
	struct seen s;

	build_for(talk.hook, &p, &d); /* source port 0 */
	s = send_frame(talk.hook, p.data, p.len, NULL);
	CHECK_EQ(s.class, CT_NEW);
	d = (struct pkt_desc){ .src = talk.b, .dst = talk.a, .sport = 7, .tcp_flags = SYN | ACK };
	build_for(talk.hook, &p, &d);
	s = send_frame(talk.hook, p.data, p.len, NULL);
	CHECK_EQ(s.class, CT_ESTABLISHED);
	talk.aport = talk.bport = 7;
	handshake();
	WANT_FLOWS(2);
}

// The same ports crossed over are another connection.
CONVERSATION(crossed_ports)
{
	handshake();
	talk.aport = 80;
	talk.bport = 1000;
	WANT_GONE();
	ORIG(SYN);
	WANT(SYN_SENT, NEW, PASS);
	WANT_FLOWS(2);
}

/* --- resets ---------------------------------------------------------------------------------- */

// Refused: the flow ends with the RST, which still belongs to it.
CONVERSATION(refused)
{
	ORIG(SYN, .seq = 100);
	REPLY(RST | ACK, .ack = 101);
	WANT_CLASS(ESTABLISHED, PASS);
	WANT_GONE();
	WANT_FLOWS(0);
	CHECK_EQ(ended(CT_END_CLOSED), 1);
	REPLY(RST | ACK, .ack = 101);
	WANT_REASON(INVALID, TCP_STATE, PASS);
	ORIG(SYN, .seq = 300);
	WANT(SYN_SENT, NEW, PASS);
}

// Given up before it was answered: the same.
CONVERSATION(given_up)
{
	ORIG(SYN, .seq = 100);
	ORIG(RST, .seq = 101);
	WANT_CLASS(NEW, PASS);
	WANT_GONE();
	CHECK_EQ(ended(CT_END_CLOSED), 1);
}

// A connection that is reset stays for ten seconds, in which more resets belong to it.
CONVERSATION(reset)
{
	handshake();
	REPLY(RST, .seq = 201);
	WANT(CLOSE, ESTABLISHED, PASS);
	WANT_TIMEOUT(10);
	LATER(5);
	ORIG(RST, .seq = 101);
	WANT(CLOSE, ESTABLISHED, PASS);
	WANT_TIMEOUT(10);
	LATER(10);
	WANT_GONE();
	ORIG(RST, .seq = 101);
	WANT_REASON(INVALID, TCP_STATE, PASS);
	WANT_FLOWS(0);
}

// A reset in TIME_WAIT shortens it to the time of CLOSE.
CONVERSATION(reset_in_time_wait)
{
	handshake();
	close_by_a();
	REPLY(RST, .seq = 202);
	WANT(CLOSE, ESTABLISHED, PASS);
	WANT_TIMEOUT(10);
}

/* --- the next connection on the same ports --------------------------------------------------- */

// A SYN in TIME_WAIT opens the next connection within the same second: another flow, from zero.
CONVERSATION(reopened)
{
	handshake();
	close_by_a();
	ORIG(SYN, .seq = 900);
	WANT(SYN_SENT, NEW, PASS);
	WANT_TIMEOUT(120);
	WANT_STATUS(0);
	WANT_COUNT(CT_ORIGINAL, 1, talk.v6 ? 60 : 40);
	WANT_FLOWS(1);
	CHECK_EQ(ended(CT_END_REPLACED), 1);
	REPLY(SYN | ACK, .seq = 800, .ack = 901);
	WANT(SYN_RECV, ESTABLISHED, PASS);
}

// If the other side opens it, the new flow runs the other way.
CONVERSATION(reopened_backwards)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow before, after;

	handshake();
	close_by_a();
	CHECK_EQ(flow_get(&t, &before), 0);
	REPLY(SYN, .seq = 900);
	WANT(SYN_SENT, NEW, PASS);
	CHECK_EQ(flow_get(&t, &after), 0);
	CHECK_MEM(&after.tuple.src, &before.tuple.dst, 16);
	CHECK_MEM(&after.tuple.dst, &before.tuple.src, 16);
	CHECK_EQ(after.tuple.sport, before.tuple.dport);
	ORIG(SYN | ACK, .seq = 300, .ack = 901); /* now the reply */
	WANT(SYN_RECV, ESTABLISHED, PASS);
	CHECK_EQ(ended(CT_END_REPLACED), 1);
}

// After its own reset a host may connect again at once; after the other's, only with its consent.
CONVERSATION(reopened_after_reset)
{
	handshake();
	ORIG(RST, .seq = 101);
	ORIG(SYN, .seq = 900);
	WANT(SYN_SENT, NEW, PASS);
	CHECK_EQ(ended(CT_END_REPLACED), 1);

	talk.aport++;
	handshake();
	REPLY(RST, .seq = 201); /* may be a forgery */
	LATER(1);
	ORIG(SYN, .seq = 900);
	WANT(CLOSE, ESTABLISHED, PASS);
	WANT_TIMEOUT(9);
	REPLY(SYN | ACK, .seq = 800, .ack = 901);
	WANT(SYN_RECV, ESTABLISHED, PASS);
	ORIG(ACK, .seq = 901, .ack = 801);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	CHECK_EQ(ended(CT_END_REPLACED), 1);
}

// A SYN into a living connection changes nothing until the other side answers it.
CONVERSATION(syn_into_connection)
{
	handshake();
	LATER(10);
	ORIG(SYN, .seq = 900);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	WANT_TIMEOUT(432000 - 10);
	WANT_COUNT(CT_ORIGINAL, 2, 2 * (talk.v6 ? 60 : 40));
	REPLY(ACK, .seq = 201, .ack = 101); /* a challenge: the old one lives */
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	REPLY(SYN | ACK, .seq = 800, .ack = 901); /* too late to be the answer */
	WANT(ESTABLISHED, ESTABLISHED, PASS);
	ORIG(SYN, .seq = 900);
	REPLY(SYN | ACK, .seq = 800, .ack = 901);
	WANT(SYN_RECV, ESTABLISHED, PASS);
	WANT_TIMEOUT(60);
}

// A SYN from the other side into a living connection is invalid.
CONVERSATION(reply_syn_into_connection)
{
	handshake();
	LATER(10);
	REPLY(SYN, .seq = 900);
	WANT_REASON(INVALID, TCP_STATE, PASS);
	WANT_TIMEOUT(432000 - 10);
}

// A server that remembers an older connection answers a SYN with an ACK: ignored, but a reply. The
// client's RST then closes the flow, which has seen a reply, with the time of CLOSE.
CONVERSATION(challenge_ack_to_syn)
{
	ORIG(SYN, .seq = 100);
	LATER(1);
	REPLY(ACK, .seq = 800, .ack = 700);
	WANT(SYN_SENT, ESTABLISHED, PASS);
	WANT_TIMEOUT(119);
	WANT_STATUS(CT_S_SEEN_REPLY);
	ORIG(RST, .seq = 700);
	WANT(CLOSE, ESTABLISHED, PASS);
	WANT_TIMEOUT(10);
}

// In LAST_ACK an ignored SYN is answered by a challenge ACK (RFC 5961): it is not the last ACK.
CONVERSATION(challenge_ack_in_last_ack)
{
	handshake();
	REPLY(FIN | ACK, .seq = 201, .ack = 101);
	ORIG(FIN | ACK, .seq = 101, .ack = 202);
	WANT(LAST_ACK, ESTABLISHED, PASS);
	ORIG(SYN, .seq = 5000);
	WANT(LAST_ACK, ESTABLISHED, PASS);
	REPLY(ACK, .seq = 202, .ack = 101);
	WANT(LAST_ACK, ESTABLISHED, PASS);
	REPLY(ACK, .seq = 202, .ack = 102);
	WANT(TIME_WAIT, ESTABLISHED, PASS);
}

/* --- invalid packets ------------------------------------------------------------------------- */

// What the state table refuses is invalid; the flow keeps state, time and counters.
CONVERSATION(refused_by_state)
{
	ORIG(SYN, .seq = 100);
	LATER(3);
	ORIG(ACK, .seq = 101, .ack = 201);
	WANT(SYN_SENT, INVALID, PASS);
	WANT_REASON(INVALID, TCP_STATE, PASS);
	ORIG(FIN | ACK, .seq = 101, .ack = 201);
	WANT(SYN_SENT, INVALID, PASS);
	REPLY(FIN | ACK, .seq = 200, .ack = 101);
	WANT(SYN_SENT, INVALID, PASS);
	WANT_TIMEOUT(117);
	WANT_STATUS(0);
	WANT_COUNT(CT_ORIGINAL, 1, talk.v6 ? 60 : 40);
	WANT_COUNT(CT_REPLY, 0, 0);
}

// With drop_invalid on, what is invalid is dropped and counted; nothing else is.
CONVERSATION(drop_invalid)
{
	set_knob(CT_K_DROP_INVALID, 1);
	ORIG(RST);
	WANT_REASON(INVALID, TCP_STATE, DROP);
	ORIG(SYN | FIN);
	WANT_REASON(INVALID, TCP_FLAGS, DROP);
	CHECK_EQ(counter(CT_C_DROP_INVALID), 2);
	handshake();
	ORIG(SYN | ACK);
	WANT(ESTABLISHED, INVALID, DROP);
	ORIG(ACK, .frag_offset = 8, .payload = 20);
	WANT_REASON(UNTRACKED, FRAG_EARLY, PASS);
	CHECK_EQ(counter(CT_C_DROP_INVALID), 3);
	CHECK_EQ(counter(CT_C_DROP_POLICY), 0);
}

// Where the interface is not (or no longer) active, nothing is tracked and nothing is counted.
CONVERSATION(inactive_interface)
{
	handshake();
	put_iface(1, talk.hook == XDP ? CT_IF_CONFIRM_XDP : 0,
		  talk.hook == XDP ? CT_HOOK_NATIVE : CT_HOOK_TC, 0);
	ORIG(RST);
	WANT_UNSEEN();
	put_iface(1, 0, 0, 0);
	ORIG(RST);
	WANT_UNSEEN();
	WANT_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED);
}

CHECK_MAIN()
