/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Conversations:
 *
 *	// SRC: tests/unit/packet.c tests/prog/harness.c
 *	#include "talk.h"
 *
 *	// A SYN that is answered and acknowledged makes an assured flow.
 *	CONVERSATION(handshake)
 *	{
 *		ORIG(SYN, .seq = 100);
 *		WANT(SYN_SENT, NEW, PASS);
 *		REPLY(SYN | ACK, .seq = 200, .ack = 101);
 *		WANT(SYN_RECV, ESTABLISHED, PASS);
 *		LATER(3);
 *		...
 *	}
 *
 * A conversation is three tests, handshake_xdp, handshake_ingress and handshake_egress, and each
 * runs it over IPv4 and over IPv6, in an empty table. After it the counters must add up. Of every
 * packet it is checked that the program left all its bytes alone, and that it was counted once.
 */
#ifndef TALK_H
#define TALK_H

#include <errno.h>
#include <stdlib.h>

#include "check.h"
#include "harness.h"
#include "names.h"

#define ANY_REASON (-1)

/* Of the protocol that is talked. */
static inline const char *state_name(int state)
{
	return talk.proto == IPPROTO_SCTP ? sctp_state_name(state) : tcp_state_name(state);
}

static inline const char *verdict_name(enum verdict verdict)
{
	return (const char *const[]){ "PASS", "DROP", "REFUSED" }[verdict];
}

static inline void check_names(const char *file, int line, const char *what, const char *got,
			       const char *want)
{
	if (got == want || !strcmp(got, want))
		return;
	check_fail(file, line);
	printf("%s: got %s, wanted %s\n", what, got, want);
}

static inline void check_seen(const char *file, int line, const struct seen *s)
{
	if (!s->wrong)
		return;
	check_fail(file, line);
	printf("%s\n", s->wrong);
}

static inline void talk_say(const char *file, int line, enum ct_dir dir, const struct pkt_desc *d)
{
	talk.last = talk_send(dir, d);
	check_seen(file, line, &talk.last);
}

/* A packet from a to b, or back. TCP with these flags; else whatever `talk.proto` is. */
#define ORIG(bits, ...)                                                                            \
	talk_say(__FILE__, __LINE__, CT_ORIGINAL,                                                  \
		 &(struct pkt_desc){ .tcp_flags = (bits), __VA_ARGS__ })
#define REPLY(bits, ...)                                                                           \
	talk_say(__FILE__, __LINE__, CT_REPLY,                                                     \
		 &(struct pkt_desc){ .tcp_flags = (bits), __VA_ARGS__ })
#define SAY(dir, ...) talk_say(__FILE__, __LINE__, (dir), &(struct pkt_desc){ __VA_ARGS__ })

static inline bool want_flow(const char *file, int line, struct ct_flow *flow)
{
	struct ct_tuple t = talk_tuple();
	int err = flow_get(&t, flow);

	if (!err)
		return true;
	check_fail(file, line);
	printf("the flow: got none (%d), wanted one\n", err);
	return false;
}

static inline void want_seen(const char *file, int line, int class, int reason,
			     enum verdict verdict)
{
	check_names(file, line, "class", class_name(talk.last.class), class_name(class));
	if (reason != ANY_REASON)
		check_names(file, line, "reason", reason_name(talk.last.reason),
			    reason_name(reason));
	check_names(file, line, "verdict", verdict_name(talk.last.verdict), verdict_name(verdict));
}

static inline void want_state(const char *file, int line, int state, int class,
			      enum verdict verdict)
{
	struct ct_flow flow;

	want_seen(file, line, class, class == CT_INVALID ? ANY_REASON : CT_R_NONE, verdict);
	if (want_flow(file, line, &flow))
		check_names(file, line, "state", state_name(flow.entry.state), state_name(state));
}

static inline void want_timeout(const char *file, int line, double seconds)
{
	struct ct_flow flow;
	double left;

	if (!want_flow(file, line, &flow))
		return;
	left = ((double)flow.entry.expires - (double)*world_now) / HZ;
	if (left == seconds)
		return;
	check_fail(file, line);
	printf("timeout: got %g s, wanted %g s\n", left, seconds);
}

static inline void want_status(const char *file, int line, __u16 status)
{
	struct ct_flow flow;

	if (!want_flow(file, line, &flow) || flow.entry.status == status)
		return;
	check_fail(file, line);
	printf("status: got");
#define X(id, bit, name)                                                                           \
	if (flow.entry.status & 1 << (bit))                                                        \
		printf(" " name);
	CT_STATUSES(X)
#undef X
	printf(", wanted");
#define X(id, bit, name)                                                                           \
	if (status & 1 << (bit))                                                                   \
		printf(" " name);
	CT_STATUSES(X)
#undef X
	printf("\n");
}

static inline void want_count(const char *file, int line, enum ct_dir dir, __u64 n, __u64 bytes)
{
	const struct ct_counters *c;
	struct ct_flow flow;

	if (!want_flow(file, line, &flow))
		return;
	c = &flow.entry.counters[dir];
	check_eq(file, line, "packets", (long long)c->packets, (long long)n);
	check_eq(file, line, "bytes", (long long)c->bytes, (long long)bytes);
}

static inline void want_gone(const char *file, int line)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow flow;

	check_eq(file, line, "getting the flow", flow_get(&t, &flow), -ENOENT);
}

/* What the last packet was taken for, and the TCP or SCTP state of the flow after it. */
#define WANT(state, class, verdict)                                                                \
	want_state(__FILE__, __LINE__, CT_TCP_##state, CT_##class, verdict)
#define WANT_SCTP(state, class, verdict)                                                           \
	want_state(__FILE__, __LINE__, CT_SCTP_##state, CT_##class, verdict)
#define WANT_CLASS(class, verdict) want_seen(__FILE__, __LINE__, CT_##class, CT_R_NONE, verdict)
/* Invalid or untracked, for this reason. */
#define WANT_REASON(class, reason, verdict)                                                        \
	want_seen(__FILE__, __LINE__, CT_##class, CT_R_##reason, verdict)
#define WANT_UNSEEN()		  want_seen(__FILE__, __LINE__, NO_CLASS, CT_R_NONE, PASS)
#define WANT_TIMEOUT(seconds)	  want_timeout(__FILE__, __LINE__, (seconds))
#define WANT_STATUS(status)	  want_status(__FILE__, __LINE__, CT_S_CONFIRMED | (status))
#define WANT_COUNT(dir, n, bytes) want_count(__FILE__, __LINE__, (dir), (n), (bytes))
#define WANT_GONE()		  want_gone(__FILE__, __LINE__)
#define WANT_FLOWS(n)		  CHECK_EQ(table_elements(), (n))
#define WANT_SOUND()		  CHECK_STR(world_broken(), NULL)

static inline void converse(enum hook hook, void (*script)(void))
{
	for (int v6 = 0; v6 < 2; v6++) {
		world_begin(hook);
		talk_begin(hook, v6);
		CHECK_CASE("%s, IPv%d", harness_hooks[hook], v6 ? 6 : 4);
		script();
		CHECK_CASE("%s, IPv%d, after it", harness_hooks[hook], v6 ? 6 : 4);
		WANT_SOUND();
	}
}

#define CONVERSATION(name)                                                                         \
	static void script_##name(void);                                                           \
	TEST(name##_xdp)                                                                           \
	{                                                                                          \
		converse(XDP, script_##name);                                                      \
	}                                                                                          \
	TEST(name##_ingress)                                                                       \
	{                                                                                          \
		converse(INGRESS, script_##name);                                                  \
	}                                                                                          \
	TEST(name##_egress)                                                                        \
	{                                                                                          \
		converse(EGRESS, script_##name);                                                   \
	}                                                                                          \
	static void script_##name(void)

#endif
