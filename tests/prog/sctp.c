// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/* SCTP conversations through the loaded programs. */
#include "talk.h"

/* The tags of packets from a and from b; each side announces the one it wants to see. */
#define ATAG 0x0a0a0a0a
#define BTAG 0x0b0b0b0b
#define A_INIT "init 0x0b0b0b0b"
#define B_INIT_ACK "init_ack 0x0a0a0a0a"

#define A(text, ...) SAY(CT_ORIGINAL, .chunks = (text), .vtag = ATAG, __VA_ARGS__)
#define B(text, ...) SAY(CT_REPLY, .chunks = (text), .vtag = BTAG, __VA_ARGS__)
#define A_TAG(tag, text) SAY(CT_ORIGINAL, .chunks = (text), .vtag = (tag))
#define B_TAG(tag, text) SAY(CT_REPLY, .chunks = (text), .vtag = (tag))
#define WANT_INVALID(reason) WANT_REASON(INVALID, reason, PASS)

static void sctp(void)
{
	talk.proto = IPPROTO_SCTP;
	talk.bport = 2905;
}

static void handshake(void)
{
	sctp();
	A_TAG(0, A_INIT);
	B(B_INIT_ACK);
	A("cookie_echo");
	B("cookie_ack");
	WANT_SCTP(ESTABLISHED, ESTABLISHED, PASS);
}

// An association from INIT to SHUTDOWN COMPLETE, with the kernel's states and seconds.
CONVERSATION(by_the_book)
{
	unsigned int ip = talk.v6 ? 40 : 20;

	sctp();
	A_TAG(0, A_INIT);
	WANT_SCTP(CLOSED, NEW, PASS);
	WANT_TIMEOUT(10);
	WANT_STATUS(0);
	B(B_INIT_ACK);
	WANT_SCTP(COOKIE_WAIT, ESTABLISHED, PASS);
	WANT_TIMEOUT(3);
	WANT_STATUS(CT_S_SEEN_REPLY);
	A("cookie_echo, data 100");
	WANT_SCTP(COOKIE_ECHOED, ESTABLISHED, PASS);
	WANT_TIMEOUT(3);
	B("cookie_ack, sack");
	WANT_SCTP(ESTABLISHED, ESTABLISHED, PASS);
	WANT_TIMEOUT(210);
	WANT_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED);
	LATER(200);
	A("data 1000, data 10");
	WANT_TIMEOUT(210);
	LATER(200);
	B("sack");
	WANT_TIMEOUT(210);
	WANT_COUNT(CT_ORIGINAL, 3,
		   3 * (ip + 12) + 20 + (4 + 16 + 100) + (16 + 1000) + (16 + 12));
	WANT_COUNT(CT_REPLY, 3, 3 * (ip + 12) + 20 + 4 + 16 + 16);
	A("shutdown");
	WANT_SCTP(SHUTDOWN_SENT, ESTABLISHED, PASS);
	WANT_TIMEOUT(3);
	B("shutdown_ack");
	WANT_SCTP(SHUTDOWN_ACK_SENT, ESTABLISHED, PASS);
	WANT_TIMEOUT(3);
	A("shutdown_complete");
	WANT_SCTP(CLOSED, ESTABLISHED, PASS);
	WANT_TIMEOUT(10);
	WANT_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED);
	WANT_FLOWS(1);
	LATER(10);
	WANT_GONE();
}

// The other side shuts down.
CONVERSATION(shutdown_from_the_other_side)
{
	handshake();
	B("shutdown");
	WANT_SCTP(SHUTDOWN_RECD, ESTABLISHED, PASS);
	WANT_TIMEOUT(3);
	A("shutdown_ack");
	WANT_SCTP(SHUTDOWN_ACK_SENT, ESTABLISHED, PASS);
	B("shutdown_complete");
	WANT_SCTP(CLOSED, ESTABLISHED, PASS);
}

// An INIT that nobody answers is NEW each time, and ends 10 s after the first.
CONVERSATION(unanswered)
{
	sctp();
	A_TAG(0, A_INIT);
	LATER(3);
	A_TAG(0, A_INIT);
	WANT_SCTP(CLOSED, NEW, PASS);
	WANT_TIMEOUT(7);
	WANT_COUNT(CT_ORIGINAL, 1, (talk.v6 ? 40 : 20) + 32); /* as the kernel counts */
	LATER(7);
	WANT_GONE();
	A_TAG(0, A_INIT);
	WANT_SCTP(CLOSED, NEW, PASS);
	WANT_TIMEOUT(10);
	CHECK_EQ(ended(CT_END_TIMEOUT), 1);
}

// What opens no association is invalid and leaves nothing.
CONVERSATION(first_packets)
{
	static const char *const never[] = { "data 10",	   "sack",  "abort", "shutdown_complete",
					     "cookie_ack", "type 77" };

	sctp();
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		A(never[i]);
		WANT_INVALID(SCTP_FIRST);
	}
	A(A_INIT);
	WANT_INVALID(SCTP_TAG);
	A("shutdown");
	WANT_INVALID(SCTP_TAG);
	A_TAG(0, "init 1, data 10");
	WANT_INVALID(SCTP_CHUNKS);
	A("");
	WANT_INVALID(SCTP_CHUNKS);
	WANT_FLOWS(0);
	A("shutdown_ack");
	WANT_SCTP(SHUTDOWN_ACK_SENT, NEW, PASS);
	WANT_TIMEOUT(3);
	B_TAG(ATAG, "shutdown_complete");
	WANT_SCTP(CLOSED, ESTABLISHED, PASS);
}

// A forged ABORT, without the tag, does nothing; the right one ends it.
CONVERSATION(blind_abort)
{
	handshake();
	LATER(100);
	for (unsigned int i = 0; i < 3; i++) {
		A_TAG(i, "abort");
		WANT_INVALID(SCTP_TAG);
		B_TAG(i, "abort T");
		WANT_INVALID(SCTP_TAG);
	}
	WANT_TIMEOUT(110);
	A("data 1");
	WANT_SCTP(ESTABLISHED, ESTABLISHED, PASS);
	B_TAG(ATAG, "abort T");
	WANT_SCTP(CLOSED, ESTABLISHED, PASS);
	WANT_TIMEOUT(10);
}

// Data with another association's tag is refused, and refreshes nothing.
CONVERSATION(wrong_tags)
{
	handshake();
	LATER(10);
	A_TAG(BTAG, "data 10");
	WANT_INVALID(SCTP_TAG);
	B_TAG(0, "sack");
	WANT_INVALID(SCTP_TAG);
	WANT_TIMEOUT(200);
	WANT_COUNT(CT_REPLY, 2, 2 * ((talk.v6 ? 40 : 20) + 12) + 20 + 4);
}

// A further path of an association: heartbeats alone, both ways, establish it.
CONVERSATION(further_path)
{
	sctp();
	A("heartbeat 40");
	WANT_SCTP(HEARTBEAT_SENT, NEW, PASS);
	WANT_TIMEOUT(30);
	LATER(20);
	A("heartbeat 40");
	WANT_TIMEOUT(30);
	B("heartbeat_ack 40");
	WANT_SCTP(ESTABLISHED, ESTABLISHED, PASS);
	WANT_TIMEOUT(210);
	WANT_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED);
	A("data 10");
	WANT_CLASS(ESTABLISHED, PASS);
	/* A heartbeat with another tag passes; without its answer it is worth nothing. */
	A_TAG(77, "heartbeat");
	WANT_CLASS(ESTABLISHED, PASS);
	A_TAG(77, "data 10");
	WANT_INVALID(SCTP_TAG);
	B_TAG(88, "heartbeat_ack");
	WANT_CLASS(ESTABLISHED, PASS);
	A_TAG(77, "heartbeat");
	A_TAG(77, "data 10");
	WANT_CLASS(ESTABLISHED, PASS);
	B_TAG(88, "data 10");
	WANT_CLASS(ESTABLISHED, PASS);
}

// Both sides open at once, between the same ports: one flow, and the late INIT ACK is refused.
CONVERSATION(both_open)
{
	sctp();
	A_TAG(0, A_INIT);
	B_TAG(0, "init 0x0a0a0a0a");
	WANT_SCTP(CLOSED, ESTABLISHED, PASS);
	B("init_ack 0x0d0d0d0d");
	WANT_INVALID(SCTP_TAG);
	A("init_ack 0x0b0b0b0b");
	WANT_CLASS(ESTABLISHED, PASS);
	B(B_INIT_ACK);
	WANT_SCTP(COOKIE_WAIT, ESTABLISHED, PASS);
	A("cookie_echo");
	B("cookie_ack");
	WANT_SCTP(ESTABLISHED, ESTABLISHED, PASS);
	WANT_FLOWS(1);
}

// A packet that is refused in its third chunk has done what its first two say, and no more.
CONVERSATION(third_chunk_refused)
{
	struct ct_event ev[8];
	size_t n;

	sctp();
	A_TAG(0, A_INIT);
	B(B_INIT_ACK);
	A("cookie_echo");
	listen_begin(0, 1 << CT_EV_UPDATE, 4096);
	B("cookie_ack, shutdown, abort T");
	WANT_INVALID(SCTP_TAG);
	WANT_SCTP(SHUTDOWN_RECD, INVALID, PASS);
	WANT_STATUS(CT_S_SEEN_REPLY | CT_S_ASSURED);
	WANT_TIMEOUT(3);
	/* As with nf_conntrack, listeners hear of it with the next packet. */
	CHECK_EQ(listen_take(0, ev, 8), 0);
	A("sack");
	WANT_SCTP(SHUTDOWN_RECD, ESTABLISHED, PASS);
	n = listen_take(0, ev, 8);
	if (CHECK_EQ(n, 1))
		CHECK_EQ(ev[0].flow.entry.state, CT_SCTP_SHUTDOWN_RECD);
	listen_end(0);
}

// UPDATE for every state and for nothing else.
CONVERSATION(events)
{
	struct ct_event ev[16];
	static const int states[] = { CT_SCTP_COOKIE_WAIT, CT_SCTP_COOKIE_ECHOED,
				      CT_SCTP_ESTABLISHED, CT_SCTP_SHUTDOWN_SENT };
	size_t n;

	listen_begin(0, 1 << CT_EV_UPDATE, 16384);
	handshake();
	A("data 10");
	B("sack");
	A("shutdown");
	A("shutdown");
	n = listen_take(0, ev, 16);
	CHECK_EQ(n, 4);
	for (size_t i = 0; i < n && i < 4; i++)
		CHECK_EQ(ev[i].flow.entry.state, states[i]);
	listen_end(0);
}

// 400 chunks are all followed, the last of them too.
CONVERSATION(many_chunks)
{
	static char text[8192];

	handshake();
	text[0] = '\0';
	for (int i = 0; i < 60; i++)
		strcat(text, "data,");
	strcpy(text + strlen(text), "shutdown");
	A(text);
	WANT_SCTP(SHUTDOWN_SENT, ESTABLISHED, PASS);
	text[0] = '\0';
	for (int i = 0; i < 17; i++)
		strcat(text, i % 2 ? "error," : "shutdown,");
	text[strlen(text) - 1] = '\0';
	A(text);
	WANT_INVALID(SCTP_TOO_MANY);
}

// TCP, SCTP and UDP-Lite between the same ports are three flows.
CONVERSATION(protocols_apart)
{
	sctp();
	A_TAG(0, A_INIT);
	talk.proto = IPPROTO_TCP;
	ORIG(SYN);
	WANT(SYN_SENT, NEW, PASS);
	talk.proto = IPPROTO_UDPLITE;
	SAY(CT_ORIGINAL);
	WANT_CLASS(NEW, PASS);
	WANT_FLOWS(3);
}

// An ICMP error about an INIT belongs to its flow, and changes nothing there.
CONVERSATION(icmp_error)
{
	static struct pkt about;

	sctp();
	A_TAG(0, A_INIT);
	LATER(2);
	pkt_build(&about, &(struct pkt_desc){ .src = talk.a, .dst = talk.b, .sport = talk.aport,
					      .dport = talk.bport, .chunks = A_INIT });
	SAY(CT_REPLY, .proto = talk.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, .icmp_type = talk.v6 ? 1 : 3,
	    .quote = &about, .quote_len = talk.v6 ? 48 : 28);
	WANT_CLASS(RELATED, PASS);
	WANT_SCTP(CLOSED, RELATED, PASS);
	WANT_TIMEOUT(8);
	about.data[about.l4 + 3]++;
	SAY(CT_REPLY, .proto = talk.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, .icmp_type = talk.v6 ? 1 : 3,
	    .quote = &about);
	WANT_INVALID(ICMP_UNRELATED);
}

// A packet in fragments is judged by the chunks of the first; the others have its class.
CONVERSATION(fragments)
{
	static struct pkt whole, part;
	struct pkt_desc d;
	struct seen s;

	handshake();
	d = talk_desc(CT_ORIGINAL, &(struct pkt_desc){ .vtag = ATAG, .chunks = "data 2000, shutdown" });
	build_for(talk.hook, &whole, &d);
	pkt_fragment(&part, &whole, 0, 1000, 7);
	s = send_frame(talk.hook, part.data, part.len, NULL);
	CHECK_EQ(s.class, CT_ESTABLISHED);
	pkt_fragment(&part, &whole, 1000, whole.len - whole.l4 - 1000, 7);
	s = send_frame(talk.hook, part.data, part.len, NULL);
	CHECK_EQ(s.class, CT_ESTABLISHED);
	talk.last = s;
	WANT_SCTP(ESTABLISHED, ESTABLISHED, PASS);
	CHECK_EQ(fragment_elements(), 0);
}

CHECK_MAIN()
