// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/* ICMP and ICMPv6: questions and answers, and errors about packets of tracked flows. */
#include "talk.h"

#define ID 77

/* Pings from a to b; the flow of these is what flow checks are about. */
static void pings(void)
{
	talk.proto = talk.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	talk.aport = ID;
}

#define ASK(dir)    SAY(dir, .icmp_type = talk.v6 ? 128 : 8, .icmp_id = ID)
#define ANSWER(dir) SAY(dir, .icmp_type = talk.v6 ? 129 : 0, .icmp_id = ID)

// A ping and its answer are a flow of 30 s, which never becomes assured.
CONVERSATION(ping)
{
	pings();
	ASK(CT_ORIGINAL);
	WANT_CLASS(NEW, PASS);
	WANT_TIMEOUT(30);
	LATER(1);
	ANSWER(CT_REPLY);
	WANT_CLASS(ESTABLISHED, PASS);
	WANT_TIMEOUT(30);
	ANSWER(CT_REPLY); /* twice does no harm */
	WANT_CLASS(ESTABLISHED, PASS);
	LATER(10);
	ASK(CT_ORIGINAL);
	WANT_CLASS(ESTABLISHED, PASS);
	WANT_TIMEOUT(30);
	WANT_STATUS(CT_S_SEEN_REPLY);
	WANT_COUNT(CT_ORIGINAL, 2, 2 * (talk.v6 ? 48 : 28));
	WANT_COUNT(CT_REPLY, 2, 2 * (talk.v6 ? 48 : 28));
	LATER(30);
	WANT_GONE();
}

// An answer to no question is invalid: without a flow, of the asking side, with another id.
CONVERSATION(unasked)
{
	pings();
	ANSWER(CT_REPLY);
	WANT_REASON(INVALID, ICMP_UNASKED, PASS);
	WANT_FLOWS(0);
	ASK(CT_ORIGINAL);
	ANSWER(CT_ORIGINAL);
	WANT_REASON(INVALID, ICMP_UNASKED, PASS);
	SAY(CT_REPLY, .icmp_type = talk.v6 ? 129 : 0, .icmp_id = ID + 1);
	WANT_REASON(INVALID, ICMP_UNASKED, PASS);
	LATER(30);
	ANSWER(CT_REPLY);
	WANT_REASON(INVALID, ICMP_UNASKED, PASS);
	WANT_FLOWS(0);
}

// Two hosts that ping each other with the same id have two flows.
CONVERSATION(both_ask)
{
	pings();
	ASK(CT_ORIGINAL);
	WANT_CLASS(NEW, PASS);
	ASK(CT_REPLY);
	WANT_CLASS(NEW, PASS);
	WANT_FLOWS(2);
	ANSWER(CT_REPLY);
	WANT_CLASS(ESTABLISHED, PASS);
	WANT_COUNT(CT_REPLY, 1, talk.v6 ? 48 : 28);
	ANSWER(CT_ORIGINAL);
	WANT_CLASS(ESTABLISHED, PASS);
	WANT_COUNT(CT_REPLY, 1, talk.v6 ? 48 : 28);
	WANT_COUNT(CT_ORIGINAL, 1, talk.v6 ? 48 : 28);
}

// A host that pings itself has one flow with two directions.
CONVERSATION(ping_itself)
{
	pings();
	talk.b = talk.a;
	ASK(CT_ORIGINAL);
	WANT_CLASS(NEW, PASS);
	if (talk.hook == INGRESS) {
		WANT_FLOWS(0); /* from outside it would be a forgery */
		sweep_unconfirmed();
		return;
	}
	ANSWER(CT_ORIGINAL);
	WANT_CLASS(ESTABLISHED, PASS);
	WANT_FLOWS(1);
}

// The other questions, each with its own answer only.
CONVERSATION(other_questions)
{
	static const uint8_t types4[] = { 13, 15, 17 }, types6[] = { 139 };
	const uint8_t *types = talk.v6 ? types6 : types4;

	pings();
	for (size_t i = 0; i < (talk.v6 ? 1 : 3); i++) {
		SAY(CT_ORIGINAL, .icmp_type = types[i], .icmp_id = ID);
		WANT_CLASS(NEW, PASS);
		ANSWER(CT_REPLY);
		WANT_REASON(INVALID, ICMP_UNASKED, PASS);
		SAY(CT_REPLY, .icmp_type = types[i] + 1, .icmp_id = ID);
		WANT_CLASS(ESTABLISHED, PASS);
	}
	WANT_FLOWS(talk.v6 ? 1 : 3);
}

// Every type that neither asks, answers nor reports is invalid; neighbours are left alone.
CONVERSATION(types)
{
	pings();
	for (unsigned int type = 0; type < 256; type++) {
		bool nd = talk.v6 && ((type >= 130 && type <= 136) || type == 143 || type == 151 ||
				      type == 152);
		bool error =
			talk.v6 ? type < 128 || type == 137
				: type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
		bool question = talk.v6 ? type == 128 || type == 139
					: type == 8 || type == 13 || type == 15 || type == 17;
		bool answer = talk.v6 ? type == 129 || type == 140
				      : type == 0 || type == 14 || type == 16 || type == 18;

		SAY(CT_ORIGINAL, .icmp_type = type, .icmp_id = 1000 + type);
		if (nd)
			WANT_REASON(UNTRACKED, ND, PASS);
		else if (error)
			WANT_REASON(INVALID, ICMP_INNER, PASS); /* quotes nothing of use */
		else if (question)
			WANT_CLASS(NEW, PASS);
		else if (answer)
			WANT_REASON(INVALID, ICMP_UNASKED, PASS);
		else
			WANT_REASON(INVALID, ICMP_TYPE, PASS);
	}
	WANT_FLOWS(talk.v6 ? 2 : 4);
}

// Unanswered questions and answers of the other family's ICMP are generic.
CONVERSATION(other_familys_icmp)
{
	talk.proto = talk.v6 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	SAY(CT_ORIGINAL, .payload = 8);
	WANT_CLASS(NEW, PASS);
	CHECK_EQ(table_elements(), 1);
	SAY(CT_REPLY, .payload = 8);
	WANT_CLASS(ESTABLISHED, PASS);
	WANT_FLOWS(1);
}

/* --- errors ---------------------------------------------------------------------------------- */

/* The last packet of the flow that an error is about. */
static struct pkt about;

static void quote(enum ct_dir dir, uint8_t tcp_flags, uint8_t icmp_type)
{
	struct pkt_desc d = { .src = dir ? talk.b : talk.a,
			      .dst = dir ? talk.a : talk.b,
			      .sport = dir ? talk.bport : talk.aport,
			      .dport = dir ? talk.aport : talk.bport,
			      .proto = talk.proto,
			      .tcp_flags = tcp_flags,
			      .icmp_type = icmp_type,
			      .icmp_id = ID,
			      .payload = 100 };

	pkt_build(&about, &d);
}

/* An error about it, from a router, to `to`. */
static void error_to(const char *file, int line, const char *to, uint8_t type, uint8_t code,
		     size_t len)
{
	const struct pkt_desc d = { .src = talk.v6 ? "fd00:9::fe" : "192.0.2.254",
				    .dst = to,
				    .proto = talk.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
				    .icmp_type = type,
				    .icmp_code = code,
				    .quote = &about,
				    .quote_len = len };

	talk_say(file, line, CT_REPLY, &d);
}
#define ERROR_TO(to, type, code) error_to(__FILE__, __LINE__, to, type, code, 0)
#define UNREACHABLE		 (talk.v6 ? 1 : 3)
#define TIME_EXCEEDED		 (talk.v6 ? 3 : 11)

/* WANT_RELATED: class RELATED, and the flow exactly as it was. */
#define WANT_RELATED(statement)                                                                    \
	do {                                                                                       \
		struct ct_tuple t = talk_tuple();                                                  \
		struct ct_flow before, after;                                                      \
		CHECK_EQ(flow_get(&t, &before), 0);                                                \
		statement;                                                                         \
		WANT_CLASS(RELATED, PASS);                                                         \
		CHECK_EQ(flow_get(&t, &after), 0);                                                 \
		CHECK_MEM(&after, &before, sizeof(after));                                         \
	} while (0)

// An error about a packet of a flow is RELATED, from any router, and changes nothing in the flow.
CONVERSATION(error_is_related)
{
	talk.proto = IPPROTO_UDP;
	SAY(CT_ORIGINAL, .payload = 100);
	LATER(3);
	quote(CT_ORIGINAL, 0, 0);
	WANT_RELATED(ERROR_TO(talk.a, UNREACHABLE, 3));
	WANT_TIMEOUT(27);
	WANT_STATUS(0);
	SAY(CT_ORIGINAL);
	WANT_CLASS(NEW, PASS); /* an error is no answer */
	SAY(CT_REPLY);
	quote(CT_REPLY, 0, 0);
	WANT_RELATED(ERROR_TO(talk.b, TIME_EXCEEDED, 0));
	WANT_FLOWS(1);
}

// So are all types of errors, about TCP, pings, their answers, and protocols we know nothing of.
CONVERSATION(errors_of_all_types)
{
	static const uint8_t types4[] = { 3, 4, 5, 11, 12 }, types6[] = { 1, 2, 3, 4 };

	ORIG(SYN);
	for (size_t i = 0; i < (talk.v6 ? 4 : 5); i++) {
		quote(CT_ORIGINAL, SYN, 0);
		WANT_RELATED(ERROR_TO(talk.a, talk.v6 ? types6[i] : types4[i], 1));
	}
	talk.proto = IPPROTO_ESP;
	SAY(CT_ORIGINAL, .payload = 40);
	quote(CT_ORIGINAL, 0, 0);
	WANT_RELATED(ERROR_TO(talk.a, UNREACHABLE, 1));
	pings();
	ASK(CT_ORIGINAL);
	quote(CT_ORIGINAL, 0, talk.v6 ? 128 : 8);
	WANT_RELATED(ERROR_TO(talk.a, TIME_EXCEEDED, 0));
	ANSWER(CT_REPLY);
	quote(CT_REPLY, 0, talk.v6 ? 129 : 0);
	WANT_RELATED(ERROR_TO(talk.b, UNREACHABLE, 1));
	WANT_FLOWS(3);
}

// An error goes back to who sent the packet. One that goes elsewhere is invalid.
CONVERSATION(error_to_somebody_else)
{
	ORIG(SYN);
	quote(CT_ORIGINAL, SYN, 0);
	ERROR_TO(talk.b, UNREACHABLE, 1);
	WANT_REASON(INVALID, ICMP_ADDRESS, PASS);
	ERROR_TO(talk.v6 ? "fd00:1::2" : "10.0.1.2", UNREACHABLE, 1);
	WANT_REASON(INVALID, ICMP_ADDRESS, PASS);
	if (talk.v6) {
		/* the same first three words */
		ERROR_TO("fd00:1::1:0:1", UNREACHABLE, 1);
		WANT_REASON(INVALID, ICMP_ADDRESS, PASS);
	}
	quote(CT_REPLY, SYN | ACK, 0);
	ERROR_TO(talk.a, UNREACHABLE, 1);
	WANT_REASON(INVALID, ICMP_ADDRESS, PASS);
	ERROR_TO(talk.b, UNREACHABLE, 1);
	WANT_CLASS(RELATED, PASS);
}

// An error about no flow is invalid: none, another port, another protocol, one that has ended.
CONVERSATION(error_about_no_flow)
{
	quote(CT_ORIGINAL, SYN, 0);
	ERROR_TO(talk.a, UNREACHABLE, 1);
	WANT_REASON(INVALID, ICMP_UNRELATED, PASS);
	ORIG(SYN);
	ERROR_TO(talk.a, UNREACHABLE, 1);
	WANT_CLASS(RELATED, PASS);
	talk.aport++;
	quote(CT_ORIGINAL, SYN, 0);
	talk.aport--;
	ERROR_TO(talk.a, UNREACHABLE, 1);
	WANT_REASON(INVALID, ICMP_UNRELATED, PASS);
	talk.proto = IPPROTO_UDP;
	quote(CT_ORIGINAL, 0, 0);
	ERROR_TO(talk.a, UNREACHABLE, 1);
	WANT_REASON(INVALID, ICMP_UNRELATED, PASS);
	talk.proto = IPPROTO_TCP;
	quote(CT_ORIGINAL, SYN, 0);
	LATER(120);
	ERROR_TO(talk.a, UNREACHABLE, 1);
	WANT_REASON(INVALID, ICMP_UNRELATED, PASS);
}

// An error that quotes less than what names the flow is invalid, however little is missing.
CONVERSATION(error_that_is_cut_off)
{
	size_t need = talk.v6 ? 44 : 24;

	ORIG(SYN);
	quote(CT_ORIGINAL, SYN, 0);
	for (size_t len = 1; len < need + 20; len++) {
		error_to(__FILE__, __LINE__, talk.a, UNREACHABLE, 1, len);
		if (len < need)
			WANT_REASON(INVALID, ICMP_INNER, PASS);
		else
			WANT_CLASS(RELATED, PASS);
	}
}

// An error about an error belongs to nothing.
CONVERSATION(error_about_error)
{
	static struct pkt first;
	struct pkt_desc d;

	ORIG(SYN);
	quote(CT_ORIGINAL, SYN, 0);
	first = about;
	d = (struct pkt_desc){
		.src = talk.b, .dst = talk.a, .icmp_type = UNREACHABLE, .quote = &first
	};
	pkt_build(&about, &d);
	ERROR_TO(talk.b, UNREACHABLE, 1);
	WANT_REASON(INVALID, ICMP_INNER, PASS);
}

// Errors are no flows: after a thousand of them the table is as it was.
CONVERSATION(errors_leave_nothing)
{
	ORIG(SYN);
	quote(CT_ORIGINAL, SYN, 0);
	for (int i = 0; i < 500; i++) {
		ERROR_TO(talk.a, UNREACHABLE, 1);
		WANT_CLASS(RELATED, PASS);
		ERROR_TO(talk.b, UNREACHABLE, 1);
		WANT_REASON(INVALID, ICMP_ADDRESS, PASS);
	}
	WANT_FLOWS(1);
	CHECK_EQ(counter(CT_C_CREATED), 1);
}

CHECK_MAIN()
