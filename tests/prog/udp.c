// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/* UDP conversations: unreplied, replied, stream; and what makes two packets one flow. */
#include "talk.h"

#define UDP_FROM_A(...) SAY(CT_ORIGINAL, __VA_ARGS__)
#define UDP_FROM_B(...) SAY(CT_REPLY, __VA_ARGS__)

static void udp(void)
{
	talk.proto = IPPROTO_UDP;
}

// Asked, answered once, done: 30 s each time, never assured.
CONVERSATION(one_question)
{
	udp();
	UDP_FROM_A(.payload = 30);
	WANT_CLASS(NEW, PASS);
	WANT_TIMEOUT(30);
	WANT_STATUS(0);
	LATER(1);
	UDP_FROM_B(.payload = 300);
	WANT_CLASS(ESTABLISHED, PASS);
	WANT_TIMEOUT(30);
	WANT_STATUS(CT_S_SEEN_REPLY);
	WANT_COUNT(CT_ORIGINAL, 1, (talk.v6 ? 48 : 28) + 30);
	WANT_COUNT(CT_REPLY, 1, (talk.v6 ? 48 : 28) + 300);
	LATER(29.9);
	WANT_STATUS(CT_S_SEEN_REPLY);
	LATER(0.1);
	WANT_GONE();
}

// Never answered: NEW for ever, 30 s from the last packet.
CONVERSATION(unanswered)
{
	udp();
	for (int i = 0; i < 5; i++) {
		UDP_FROM_A();
		WANT_CLASS(NEW, PASS);
		WANT_TIMEOUT(30);
		WANT_STATUS(0);
		LATER(29);
	}
}

// Answered and older than two seconds: a stream, assured, 120 s. At two seconds it is not yet.
CONVERSATION(stream)
{
	udp();
	UDP_FROM_A();
	UDP_FROM_B();
	LATER(2);
	UDP_FROM_A();
	WANT_TIMEOUT(30);
	WANT_STATUS(CT_S_SEEN_REPLY);
	LATER_TICKS(1);
	UDP_FROM_A();
	WANT_CLASS(ESTABLISHED, PASS);
	WANT_TIMEOUT(120);
	WANT_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED);
	LATER(119);
	UDP_FROM_B();
	WANT_TIMEOUT(120);
}

// A flow that ended is a miss at once: the next packet, of whichever side, opens another.
CONVERSATION(again_from_the_other_side)
{
	struct ct_tuple t;
	struct ct_flow flow;

	udp();
	t = talk_tuple();
	UDP_FROM_A();
	LATER(30);
	UDP_FROM_B();
	WANT_CLASS(NEW, PASS);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(be16toh(flow.tuple.sport), talk.bport);
	CHECK_EQ(ended(CT_END_TIMEOUT), 1);
	WANT_FLOWS(1);
}

// Without a checksum, with other hop limits, in VLANs, behind options: the same flow.
CONVERSATION(what_does_not_matter)
{
	udp();
	UDP_FROM_A();
	UDP_FROM_B(.no_checksum = true);
	WANT_CLASS(ESTABLISHED, PASS);
	UDP_FROM_B(.ttl = 1, .tos = 0xff, .flow_label = 77);
	WANT_CLASS(ESTABLISHED, PASS);
	UDP_FROM_B(.vlan = { { .tpid = ETH_P_8021AD, .vid = 9 }, { .vid = 10 } });
	WANT_CLASS(ESTABLISHED, PASS);
	if (talk.v6)
		UDP_FROM_B(.ext = "hdraf");
	else
		UDP_FROM_B(.ip4_options = 40, .df = true);
	WANT_CLASS(ESTABLISHED, PASS);
	WANT_FLOWS(1);
}

// TCP and UDP between the same ports are two flows.
CONVERSATION(protocols_apart)
{
	udp();
	UDP_FROM_A();
	UDP_FROM_B();
	talk.proto = IPPROTO_TCP;
	ORIG(SYN);
	WANT(SYN_SENT, NEW, PASS);
	WANT_FLOWS(2);
}

// A host that talks to itself has two directions if its ports differ, and one if they are the same.
// Coming in from outside such a packet is a forgery, which the host drops: it is not confirmed.
CONVERSATION(to_itself)
{
	udp();
	talk.b = talk.a;
	UDP_FROM_A();
	WANT_CLASS(NEW, PASS);
	if (talk.hook == INGRESS) {
		WANT_FLOWS(0);
		sweep_unconfirmed();
		return;
	}
	UDP_FROM_B();
	WANT_CLASS(ESTABLISHED, PASS);
	WANT_FLOWS(1);
	talk.aport = talk.bport;
	UDP_FROM_A();
	WANT_CLASS(NEW, PASS);
	LATER(3);
	UDP_FROM_B();
	WANT_CLASS(NEW, PASS);
	WANT_FLOWS(2);
}

// Multicast and broadcast are flows that nobody answers from that address.
CONVERSATION(multicast)
{
	udp();
	talk.b = talk.v6 ? "ff02::fb" : "224.0.0.251";
	UDP_FROM_A(.eth_dst = talk.v6 ? "33:33:00:00:00:fb" : "01:00:5e:00:00:fb");
	WANT_CLASS(NEW, PASS);
	UDP_FROM_A(.eth_dst = talk.v6 ? "33:33:00:00:00:fb" : "01:00:5e:00:00:fb");
	WANT_CLASS(NEW, PASS);
	WANT_FLOWS(1);
	if (talk.v6)
		return;
	talk.a = "0.0.0.0";
	talk.b = "255.255.255.255";
	UDP_FROM_A(.eth_dst = "ff:ff:ff:ff:ff:ff");
	WANT_CLASS(NEW, PASS);
	WANT_FLOWS(2);
}

// Frames for another host that a promiscuous device shows us are not ours (tc can tell).
TEST(other_hosts)
{
	world_begin(INGRESS);
	talk.proto = IPPROTO_UDP;
	UDP_FROM_A(.eth_dst = "02:00:00:00:00:99");
	WANT_UNSEEN();
	WANT_FLOWS(0);
}

// Lengths that lie are invalid, and neither make nor touch a flow.
CONVERSATION(lying_lengths)
{
	static const uint16_t lies[] = { 0, 7, 29, 0xffff };

	udp();
	for (int tracked = 0; tracked < 2; tracked++) {
		for (size_t i = 0; i < 4; i++) {
			struct pkt_desc d = { .src = talk.a,
					      .dst = talk.b,
					      .sport = talk.aport,
					      .dport = talk.bport,
					      .payload = 20 };
			static struct pkt p;
			struct seen s;

			build_for(talk.hook, &p, &d);
			pkt_set16(&p, p.l4 + 4, lies[i]);
			s = send_frame(talk.hook, p.data, p.len, NULL);
			CHECK_EQ(s.class, CT_INVALID);
			CHECK_EQ(s.reason, CT_R_UDP_LENGTH);
		}
		WANT_FLOWS(tracked);
		if (!tracked)
			UDP_FROM_A();
	}
	WANT_COUNT(CT_ORIGINAL, 1, talk.v6 ? 48 : 28);
}

// 400 flows at once, of which each knows its own direction and its own answer.
CONVERSATION(many_flows)
{
	char a[64], b[64];

	udp();
	for (int round = 0; round < 3; round++)
		for (unsigned int i = 0; i < 400; i++) {
			/* addresses above and below each other, ports likewise */
			talk.a = numbered(talk.v6, a, 2 + 2 * (i * 7919 % 1000));
			talk.b = numbered(talk.v6, b, 1 + 2 * (i * 104729 % 1000));
			talk.aport = 1 + i * 31 % 300;
			talk.bport = 1 + i * 17 % 300;
			if (round == 1)
				UDP_FROM_B();
			else
				UDP_FROM_A();
			if (round)
				WANT_CLASS(ESTABLISHED, PASS);
			else
				WANT_CLASS(NEW, PASS);
		}
	WANT_FLOWS(400);
}

CHECK_MAIN()
