// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/* GRE and UDP-Lite conversations. */
#include "talk.h"

static void protocol(uint8_t proto)
{
	talk.proto = proto;
}

// GRE: 30 s, and 180 s, assured, from the first packet that finds a replied flow.
CONVERSATION(gre)
{
	protocol(IPPROTO_GRE);
	SAY(CT_ORIGINAL, .payload = 40);
	WANT_CLASS(NEW, PASS);
	WANT_TIMEOUT(30);
	LATER(20);
	SAY(CT_ORIGINAL, .payload = 40);
	WANT_CLASS(NEW, PASS);
	WANT_TIMEOUT(30);
	WANT_STATUS(0);
	SAY(CT_REPLY, .payload = 60);
	WANT_CLASS(ESTABLISHED, PASS);
	WANT_TIMEOUT(30);
	WANT_STATUS(CT_S_SEEN_REPLY);
	SAY(CT_REPLY, .payload = 60);
	WANT_TIMEOUT(180);
	WANT_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED);
	SAY(CT_ORIGINAL, .payload = 60);
	WANT_TIMEOUT(180);
	LATER(180);
	WANT_GONE();
}

// The key of version 0 makes no flow of its own, nor does a header that is not all there.
CONVERSATION(gre_keys)
{
	protocol(IPPROTO_GRE);
	SAY(CT_ORIGINAL, .gre_key = 1);
	WANT_CLASS(NEW, PASS);
	SAY(CT_REPLY, .gre_key = 2);
	WANT_CLASS(ESTABLISHED, PASS);
	SAY(CT_REPLY, .pptp = true); /* call id 0: no call */
	WANT_CLASS(ESTABLISHED, PASS);
	WANT_FLOWS(1);
}

// PPTP: each direction has the receiver's call id, so each is a flow that nobody answers; without
// the control connection nothing says which belong together (so it is with nf_conntrack).
CONVERSATION(pptp)
{
	struct ct_tuple t;
	struct ct_flow flow;

	protocol(IPPROTO_GRE);
	t = talk_tuple();
	for (int i = 0; i < 2; i++) {
		SAY(CT_ORIGINAL, .pptp = true, .call_id = 7, .payload = 9);
		WANT_CLASS(NEW, PASS);
		SAY(CT_REPLY, .pptp = true, .call_id = 9, .payload = 9);
		WANT_CLASS(NEW, PASS);
		SAY(CT_REPLY, .pptp = true, .call_id = 7, .payload = 9);
		WANT_CLASS(NEW, PASS);
		WANT_FLOWS(3);
	}
	t.dport = htobe16(7);
	CHECK_EQ(flow_get(&t, &flow), 0);
	CHECK_EQ(flow.tuple.sport, 0);
	CHECK_EQ(flow.tuple.dport, htobe16(7));
	CHECK_EQ(flow.entry.counters[CT_ORIGINAL].packets, 2);
	CHECK_EQ(flow.entry.counters[CT_REPLY].packets, 0);
}

// Version 1 that carries no PPP is invalid.
CONVERSATION(gre_version_1)
{
	struct pkt_desc d;
	static struct pkt p;
	struct seen s;

	protocol(IPPROTO_GRE);
	d = talk_desc(CT_ORIGINAL, &(struct pkt_desc){ .pptp = true, .call_id = 7 });
	build_for(talk.hook, &p, &d);
	pkt_set16(&p, p.l4 + 2, ETH_P_IP);
	s = send_frame(talk.hook, p.data, p.len, NULL);
	CHECK_EQ(s.class, CT_INVALID);
	CHECK_EQ(s.reason, CT_R_GRE_PROTOCOL);
	WANT_FLOWS(0);
}

// UDP-Lite has UDP's timeouts, but is a stream from the second packet on.
CONVERSATION(udplite)
{
	protocol(IPPROTO_UDPLITE);
	SAY(CT_ORIGINAL, .payload = 40);
	WANT_CLASS(NEW, PASS);
	WANT_TIMEOUT(30);
	SAY(CT_ORIGINAL, .coverage = 8, .payload = 40);
	WANT_CLASS(NEW, PASS);
	WANT_TIMEOUT(30);
	SAY(CT_REPLY, .coverage = 20, .payload = 40);
	WANT_CLASS(ESTABLISHED, PASS);
	WANT_TIMEOUT(30);
	WANT_STATUS(CT_S_SEEN_REPLY);
	SAY(CT_ORIGINAL);
	WANT_TIMEOUT(120);
	WANT_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED);
	WANT_FLOWS(1);
	talk.bport++;
	SAY(CT_ORIGINAL);
	WANT_CLASS(NEW, PASS);
	WANT_FLOWS(2);
}

// Coverage that can't be, and no checksum at all.
CONVERSATION(udplite_wrong)
{
	protocol(IPPROTO_UDPLITE);
	SAY(CT_ORIGINAL, .coverage = 7, .payload = 40);
	WANT_REASON(INVALID, UDPLITE_COVERAGE, PASS);
	SAY(CT_ORIGINAL, .coverage = 49, .payload = 40);
	WANT_REASON(INVALID, UDPLITE_COVERAGE, PASS);
	SAY(CT_ORIGINAL, .coverage = 48, .payload = 40);
	WANT_CLASS(NEW, PASS);
	WANT_FLOWS(1);
}

// An ICMP error finds the flow of the PPTP or UDP-Lite packet that it carries.
CONVERSATION(icmp_errors)
{
	static struct pkt about;

	for (int i = 0; i < 2; i++) {
		struct pkt_desc d;

		protocol(i ? IPPROTO_GRE : IPPROTO_UDPLITE);
		d = talk_desc(CT_ORIGINAL,
			      &(struct pkt_desc){ .pptp = true, .call_id = 7, .payload = 20 });
		SAY(CT_ORIGINAL, .pptp = true, .call_id = 7, .payload = 20);
		WANT_CLASS(NEW, PASS);
		pkt_build(&about, &d);
		SAY(CT_REPLY, .proto = talk.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
		    .icmp_type = talk.v6 ? 1 : 3, .quote = &about, .quote_len = talk.v6 ? 48 : 28);
		WANT_CLASS(RELATED, PASS);
	}
}

CHECK_MAIN()
