// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/* Zones: the same addresses and ports, told apart by where a packet came in. */
#include "talk.h"

// The same tuple in two zones is two flows, which know nothing of each other.
CONVERSATION(two_zones)
{
	ORIG(SYN, .seq = 100);
	put_zone(7);
	WANT_GONE();
	ORIG(SYN, .seq = 100);
	WANT(SYN_SENT, NEW, PASS);
	WANT_FLOWS(2);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	WANT(SYN_RECV, ESTABLISHED, PASS);
	put_zone(0);
	REPLY(RST | ACK, .ack = 101);
	WANT_GONE();
	put_zone(7);
	ORIG(ACK, .seq = 101, .ack = 201);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
}

// The flow and its events carry the zone.
CONVERSATION(zone_of_a_flow)
{
	struct ct_tuple t;
	struct ct_flow flow;

	put_zone(0xfffe);
	ORIG(SYN);
	t = talk_tuple();
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(flow.tuple.zone, 0xfffe);
	CHECK_EQ(dump(&flow, 1), 1);
	CHECK_EQ(flow.tuple.zone, 0xfffe);
	t.zone = 0xfeff;
	CHECK_EQ(flow_get(&t, &flow), -ENOENT);
}

// An error is related to a flow of its own zone only.
CONVERSATION(errors_stay_in_their_zone)
{
	static struct pkt about;
	const struct pkt_desc syn = { .src = talk.a,
				      .dst = talk.b,
				      .sport = talk.aport,
				      .dport = talk.bport,
				      .tcp_flags = SYN };
	const struct pkt_desc error = { .dst = talk.a,
					.icmp_type = talk.v6 ? 1 : 3,
					.quote = &about,
					.proto = talk.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP };

	pkt_build(&about, &syn);
	put_zone(7);
	ORIG(SYN);
	talk_say(__FILE__, __LINE__, CT_REPLY, &error);
	WANT_CLASS(RELATED, PASS);
	put_zone(8);
	talk_say(__FILE__, __LINE__, CT_REPLY, &error);
	WANT_REASON(INVALID, ICMP_UNRELATED, PASS);
}

CHECK_MAIN()
