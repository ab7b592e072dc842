// SRC: tests/unit/packet.c
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP's windows: every inequality of the tracker one below its edge, on it and one above, with the
 * edge at each of the places on the circle of sequence numbers where an ordinary comparison, or a
 * signed one, would go wrong. And what a packet in the window says about the next.
 */
#include "flow.h"

/*
 * S sends, R receives; the numbers are those of S and R before the packet, before `base` is added.
 * Two kilobytes behind S's last acknowledged byte and R's, nobody has been acknowledged more.
 */
#define S_END	 100000
#define S_MAXEND 101000 /* R has room for a thousand more */
#define S_MAXWIN 3000
#define R_END	 200000
#define R_MAXEND 203000
#define R_MAXWIN 1500

static __u32 base;
#define N(number) (base + (__u32)(number))

static struct ct_tcp *const t = &flow.l4.tcp;
#define S	(&t->peer[from])
#define R	(&t->peer[!from])
#define S_FLAGS (t->peer_flags[from])
#define R_FLAGS (t->peer_flags[!from])

/* Flags of both sides; nothing that a later packet does may lose one. */
#define KNOWN (CT_TF_MAXACK | CT_TF_SCALE)

/* An assured connection with these numbers, in which `from` is about to send. */
static void connection(enum ct_dir from)
{
	begin();
	flow.state = CT_TCP_ESTABLISHED;
	flow.status = CT_S_CONFIRMED | CT_S_SEEN_REPLY | CT_S_ASSURED;
	flow.expires = now + 432000 * HZ;
	*S = (struct ct_tcp_peer){ N(S_END), N(S_MAXEND), S_MAXWIN, N(R_END) };
	*R = (struct ct_tcp_peer){ N(R_END), N(R_MAXEND), R_MAXWIN, N(S_END) };
	S_FLAGS = R_FLAGS = KNOWN;
	t->last_index = CT_TI_ACK;
	t->last_dir = !from;
	t->last_seq = N(R_END);
	t->last_ack = N(S_END);
	t->last_end = N(R_END);
	t->last_win = 1000;
}

/* An ACK without data from S that fits in every way; tests change what they are about. */
static struct ct_parsed fitting(void)
{
	return (struct ct_parsed){ .tuple = { .family = CT_IPV4, .proto = CT_IPPROTO_TCP },
				   .tcp_flags = ACK,
				   .seq = N(S_END),
				   .ack = N(R_END),
				   .sack = N(R_END),
				   .win = 1000 };
}

/* What becomes of a packet. */
enum fate { ACCEPTED, IGNORED, SEQ_OVER, ACK_OVER, BAD_RST, FATES };
static const char *const fates[] = { "accepted",
				     "ignored",
				     "refused, its SEQ is over",
				     "refused, its ACK is over",
				     "refused, a bogus reset",
				     "something else" };

static enum fate fate_of(const struct ct_parsed *p, enum ct_dir from)
{
	switch (packet(p, from)) {
	case CT_V_ACCEPT:
		return ACCEPTED;
	case CT_V_IGNORE:
		return IGNORED;
	case CT_V_REFUSE:
		return step.reason == CT_R_TCP_SEQ_OVER	  ? SEQ_OVER
		       : step.reason == CT_R_TCP_ACK_OVER ? ACK_OVER
		       : step.reason == CT_R_TCP_RST	  ? BAD_RST
							  : FATES;
	default:
		return FATES;
	}
}

static void want_fate(const char *file, int line, const struct ct_parsed *p, enum ct_dir from,
		      enum fate want)
{
	enum fate got = fate_of(p, from);

	if (got == want)
		return;
	check_fail(file, line);
	printf("the packet: got %s, wanted %s\n", fates[got], fates[want]);
}
#define WANT(fate) want_fate(__FILE__, __LINE__, &p, from, (fate))
/* One below the edge, on it, one above. */
#define WANT_EDGE(...) WANT(((const enum fate[]){ __VA_ARGS__ })[by + 1])
/* Likewise a number of the entry. */
#define WANT_AT_EDGE(got, ...) CHECK_EQ(got, ((const __u32[]){ __VA_ARGS__ })[by + 1])
/* It fails without a trace in what is known of the two sides. */
#define WANT_FORGOTTEN(statement)                                                                  \
	do {                                                                                       \
		struct ct_tcp_peer before[] = { t->peer[0], t->peer[1] };                          \
		__u8 flags[] = { t->peer_flags[0], t->peer_flags[1] };                             \
		statement;                                                                         \
		CHECK_MEM(t->peer, before, sizeof(before));                                        \
		CHECK_MEM(t->peer_flags, flags, sizeof(flags));                                    \
	} while (0)

static const __u32 bases[] = { 1000, 0x7fffff00, 0x80000000, 0xffffff00, 0xffffffff, 0 };
static const char *const sides[] = { "original", "reply" };

/* The tests' body: a packet from `from` that lies `by` beside the edge. */
typedef void (*edge_test)(enum ct_dir from, int by);

/*
 * One below, on and above `edge` (a number as above), from either side, with the edge laid on every
 * base, and then the connection, whose edge is then wherever it is.
 */
static void each_edge(const char *name, __u32 edge, edge_test test)
{
	static const char *const words[] = { "one below", "on the edge", "one above" };

	for (int laid = 0; laid < 2; laid++)
		for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
			for (int from = 0; from < CT_DIRS; from++)
				for (int by = -1; by <= 1; by++) {
					base = bases[i] - (laid ? S_END : edge);
					CHECK_CASE("%s, %s, %s at 0x%08x, %s side sends", name,
						   words[by + 1], laid ? "S.end" : "edge", bases[i],
						   sides[from]);
					connection(from);
					test(from, by);
				}
}

#define EDGE(id, name, edge)                                                                       \
	static void edge_##id(enum ct_dir from, int by);                                           \
	TEST(edge_##id)                                                                            \
	{                                                                                          \
		each_edge(name, edge, edge_##id);                                                  \
	}                                                                                          \
	static void edge_##id(enum ct_dir from, int by)

/* --- comparing ------------------------------------------------------------------------------- */

// A number is before another if less than half the circle lies between them.
TEST(before_and_after)
{
	static const struct {
		__u32 ahead;
		bool before, after;
	} want[] = { { 0, false, false },
		     { 1, true, false },
		     { 0x7fffffff, true, false },
		     { 0x80000001, false, true },
		     { 0xffffffff, false, true } };

	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
		for (size_t j = 0; j < sizeof(want) / sizeof(want[0]); j++) {
			CHECK_CASE("0x%08x and 0x%x further", bases[i], want[j].ahead);
			CHECK_EQ(ct_before(bases[i], bases[i] + want[j].ahead), want[j].before);
			CHECK_EQ(ct_after(bases[i], bases[i] + want[j].ahead), want[j].after);
		}
}

// SYN, FIN and each byte take a sequence number.
TEST(what_takes_numbers)
{
	struct ct_parsed p = { .seq = 0xfffffffe, .payload = 10 };

	CHECK_EQ(ct_tcp_end(&p), 8);
	p.tcp_flags = SYN;
	CHECK_EQ(ct_tcp_end(&p), 9);
	p.tcp_flags = FIN | ACK;
	CHECK_EQ(ct_tcp_end(&p), 9);
	p.tcp_flags = ACK | PSH | RST | URG;
	CHECK_EQ(ct_tcp_end(&p), 8);
}

/* --- I ... IV -------------------------------------------------------------------------------- */

// I: what begins within R's room is accepted, however far it reaches; what begins behind it is not.
EDGE(1, "I: seq <= S.maxend", S_MAXEND)
{
	struct ct_parsed p = fitting();

	p.seq = N(S_MAXEND + by);
	p.payload = R_MAXWIN;
	if (by > 0)
		WANT_FORGOTTEN(WANT(SEQ_OVER));
	else
		WANT(ACCEPTED);
}

// II: not older than R's window.
EDGE(2, "II: end >= S.end - R.maxwin", S_END - R_MAXWIN)
{
	struct ct_parsed p = fitting();

	p.seq = N(S_END - R_MAXWIN + by);
	if (by < 0)
		WANT_FORGOTTEN(WANT(IGNORED));
	else
		WANT(ACCEPTED);
}

// ... by its end: the part of it that is new counts.
EDGE(2_by_its_end, "II: end (with data and FIN) >= S.end - R.maxwin", S_END - R_MAXWIN)
{
	struct ct_parsed p = fitting();

	p.tcp_flags = FIN | ACK;
	p.seq = N(S_END - R_MAXWIN - 701 + by);
	p.payload = 700;
	WANT_EDGE(IGNORED, ACCEPTED, ACCEPTED);
}

// ... and of a side that has not been seen yet no window is known: everything is new.
EDGE(2_unseen, "II, R not seen: no lower edge", S_END - R_MAXWIN)
{
	struct ct_parsed p = fitting();

	R->maxwin = 0;
	p.seq = N(S_END - R_MAXWIN + by);
	WANT(ACCEPTED);
}

// III: acknowledges nothing that R has not sent.
EDGE(3, "III: ack <= R.end", R_END)
{
	struct ct_parsed p = fitting();

	p.ack = p.sack = N(R_END + by);
	if (by > 0)
		WANT_FORGOTTEN(WANT(ACK_OVER));
	else
		WANT(ACCEPTED);
}

// ... nor by a SACK block, if R has permitted them; if not, they are nothing.
EDGE(3_sack, "III: sack <= R.end", R_END)
{
	struct ct_parsed p = fitting();

	p.ack = N(R_END - 900);
	p.sack = N(R_END + by);
	R_FLAGS |= CT_TF_SACK_PERM;
	WANT_EDGE(ACCEPTED, ACCEPTED, ACK_OVER);
	connection(from);
	S_FLAGS |= CT_TF_SACK_PERM; /* that is for the other's SACK blocks */
	WANT(ACCEPTED);
}

// IV: an acknowledgement may be late by MAXACKWINDOW, which is 66000 at least.
EDGE(4, "IV: ack >= R.end - 66000", R_END - 66000)
{
	struct ct_parsed p = fitting();

	p.ack = p.sack = N(R_END - 66000 + by);
	if (by < 0)
		WANT_FORGOTTEN(WANT(IGNORED));
	else
		WANT(ACCEPTED);
}

// ... or S's own largest window, if that is larger.
EDGE(4_larger, "IV: ack >= R.end - S.maxwin (66001)", R_END - 66001)
{
	struct ct_parsed p = fitting();

	S->maxwin = 66001;
	p.ack = p.sack = N(R_END - 66001 + by);
	WANT_EDGE(IGNORED, ACCEPTED, ACCEPTED);
}

// ... and not if it is less, by however little.
EDGE(4_less, "IV: ack >= R.end - 66000, S.maxwin 65999", R_END - 66000)
{
	struct ct_parsed p = fitting();

	S->maxwin = 65999;
	p.ack = p.sack = N(R_END - 66000 + by);
	WANT_EDGE(IGNORED, ACCEPTED, ACCEPTED);
}

// ... where a SACK block says more than the acknowledgement, it is the block that counts.
EDGE(4_sack, "IV: sack >= R.end - 66000", R_END - 66000)
{
	struct ct_parsed p = fitting();

	R_FLAGS |= CT_TF_SACK_PERM;
	p.ack = N(R_END - 66000 - 500);
	p.sack = N(R_END - 66000 + by);
	WANT_EDGE(IGNORED, ACCEPTED, ACCEPTED);
}

// The upper bounds come before the lower ones, and I before III: that is the reason given.
TEST(which_is_the_reason)
{
	for (int from = 0; from < CT_DIRS; from++) {
		struct ct_parsed p;

		CHECK_CASE("%s side sends", sides[from]);
		base = 0;
		connection(from);
		p = fitting();
		p.seq = N(S_MAXEND + 100000);
		p.ack = p.sack = N(R_END + 1);
		WANT(SEQ_OVER); /* I and III */
		p.seq = N(S_END - 100000);
		WANT(ACK_OVER); /* II and III */
		p.ack = p.sack = N(R_END - 100000);
		WANT(IGNORED); /* II and IV */
	}
}

/* --- the overshoot that is forgiven ---------------------------------------------------------- */

/* A packet that begins one behind the room and ends at `end`. */
static struct ct_parsed overshooting(__u32 end)
{
	struct ct_parsed p = fitting();

	p.seq = N(S_MAXEND + 1);
	p.payload = end - p.seq;
	return p;
}

static void want_forgiven(enum ct_dir from, const struct ct_parsed *sent)
{
	struct ct_tcp_peer sender = *S, receiver = *R;
	struct ct_parsed p = *sent;

	sender.end = p.seq + p.payload;
	WANT(IGNORED);
	CHECK_MEM(S, &sender, sizeof(sender));
	CHECK_MEM(R, &receiver, sizeof(receiver));
	CHECK_EQ(S_FLAGS, KNOWN | CT_TF_UNACKED);
	CHECK_EQ(R_FLAGS, KNOWN);
}

// Up to a window too much is let through, and its end remembered for III.
EDGE(overshoot, "I, forgiven: end - S.maxend + 1 <= R.maxwin", S_MAXEND + R_MAXWIN - 1)
{
	struct ct_parsed p = overshooting(N(S_MAXEND + R_MAXWIN - 1 + by));

	if (by > 0)
		WANT_FORGOTTEN(WANT(SEQ_OVER));
	else
		want_forgiven(from, &p);
}

// ... and its acknowledgement is accepted then.
EDGE(overshoot_acknowledged, "III behind a forgiven overshoot", S_MAXEND + 700)
{
	struct ct_parsed p = overshooting(N(S_MAXEND + 700));

	WANT(IGNORED);
	from = !from;
	p = fitting();
	p.seq = N(R_END);
	p.ack = p.sack = N(S_MAXEND + 700 + by);
	WANT_EDGE(ACCEPTED, ACCEPTED, ACK_OVER);
}

// Only if nothing else is wrong: not if it is older than S's last overshoot by a window ...
EDGE(overshoot_2, "I, and II: end >= S.end - R.maxwin", S_MAXEND + 500)
{
	struct ct_parsed p = overshooting(N(S_MAXEND + 500 + by));

	S->end = N(S_MAXEND + 500 + R_MAXWIN);
	if (by < 0)
		WANT_FORGOTTEN(WANT(SEQ_OVER));
	else
		want_forgiven(from, &p);
}

// ... not if it acknowledges too much ...
EDGE(overshoot_3, "I, and III: ack <= R.end", R_END)
{
	struct ct_parsed p = overshooting(N(S_MAXEND + 10));

	p.ack = p.sack = N(R_END + by);
	if (by > 0)
		WANT_FORGOTTEN(WANT(SEQ_OVER));
	else
		want_forgiven(from, &p);
}

// ... or too little ...
EDGE(overshoot_4, "I, and IV: ack >= R.end - 66000", R_END - 66000)
{
	struct ct_parsed p = overshooting(N(S_MAXEND + 10));

	p.ack = p.sack = N(R_END - 66000 + by);
	if (by < 0)
		WANT_FORGOTTEN(WANT(SEQ_OVER));
	else
		want_forgiven(from, &p);
}

// ... where SACK blocks count as they do in III and IV ...
EDGE(overshoot_3_sack, "I, and III: sack <= R.end", R_END)
{
	struct ct_parsed p = overshooting(N(S_MAXEND + 10));

	R_FLAGS |= CT_TF_SACK_PERM;
	p.ack = N(R_END - 900);
	p.sack = N(R_END + by);
	WANT_EDGE(IGNORED, IGNORED, SEQ_OVER);
}

EDGE(overshoot_4_sack, "I, and IV: sack >= R.end - 66000", R_END - 66000)
{
	struct ct_parsed p = overshooting(N(S_MAXEND + 10));

	R_FLAGS |= CT_TF_SACK_PERM;
	p.ack = N(R_END - 66000 - 500);
	p.sack = N(R_END - 66000 + by);
	WANT_EDGE(SEQ_OVER, IGNORED, IGNORED);
}

// ... and not as long as nobody knows R's window.
EDGE(overshoot_unseen, "I, R not seen", S_MAXEND)
{
	struct ct_parsed p = fitting();

	R->maxwin = 0;
	p.seq = N(S_MAXEND + by);
	WANT_EDGE(ACCEPTED, ACCEPTED, SEQ_OVER);
}

/* --- liberal --------------------------------------------------------------------------------- */

/* A packet that breaks the inequality, by much. */
static struct ct_parsed outside(int inequality)
{
	struct ct_parsed p = fitting();

	if (inequality == 1)
		p.seq = N(S_MAXEND + 100000);
	if (inequality == 2)
		p.seq = N(S_END - 100000);
	if (inequality == 3)
		p.ack = p.sack = N(R_END + 100000);
	if (inequality == 4)
		p.ack = p.sack = N(R_END - 100000);
	return p;
}

// tcp_be_liberal, or a sender whose windows can't be known: everything is accepted, what is outside
// teaches nothing, and it refreshes the flow.
TEST(liberal)
{
	static const enum fate strict[] = { SEQ_OVER, IGNORED, ACK_OVER, IGNORED };

	for (int from = 0; from < CT_DIRS; from++)
		for (int i = 1; i <= 4; i++) {
			struct ct_parsed p;

			CHECK_CASE("inequality %d broken, %s side sends", i, sides[from]);
			base = 0;
			connection(from);
			p = outside(i);
			R_FLAGS |= CT_TF_LIBERAL; /* the receiver's is for what it sends */
			WANT(strict[i - 1]);
			S_FLAGS |= CT_TF_LIBERAL;
			WANT_FORGOTTEN(WANT(ACCEPTED));
			connection(from);
			settings.knob.tcp_be_liberal = 1;
			flow.expires = now + 1;
			WANT_FORGOTTEN(WANT(ACCEPTED));
			WANT_TIMEOUT(TCP_ESTABLISHED);
		}
}

// A forgiven overshoot is remembered by the liberal as well.
TEST(liberal_overshoot)
{
	for (int from = 0; from < CT_DIRS; from++) {
		struct ct_parsed p;

		CHECK_CASE("%s side sends", sides[from]);
		base = 0;
		connection(from);
		settings.knob.tcp_be_liberal = 1;
		p = overshooting(N(S_MAXEND + 10));
		WANT(ACCEPTED);
		CHECK_EQ(S->end, N(S_MAXEND + 10));
		CHECK_EQ(S_FLAGS, KNOWN | CT_TF_UNACKED);
		WANT_TIMEOUT(TCP_UNACK);
	}
}

/* --- what a packet in the window says -------------------------------------------------------- */

// S.end follows the highest byte sent; new data is unacknowledged, old data changes nothing.
EDGE(s_end, "S.end < end", S_END)
{
	struct ct_parsed p = fitting();

	p.seq = N(S_END - 10 + by);
	p.payload = 10;
	WANT(ACCEPTED);
	CHECK_EQ(S->end, N(S_END + (by > 0)));
	CHECK_EQ(S_FLAGS, KNOWN | (by > 0 ? CT_TF_UNACKED : 0));
	if (by > 0)
		WANT_TIMEOUT(TCP_UNACK);
	else
		WANT_TIMEOUT(TCP_ESTABLISHED);
}

// S.maxack follows the highest acknowledgement.
EDGE(s_maxack, "S.maxack < ack", R_END - 100)
{
	struct ct_parsed p = fitting();

	S->maxack = N(R_END - 100);
	p.ack = p.sack = N(R_END - 100 + by);
	WANT(ACCEPTED);
	CHECK_EQ(S->maxack, N(R_END - 100 + (by > 0)));
}

// The first acknowledgement is the highest, whatever stood there before.
EDGE(s_maxack_first, "S.maxack not known", R_END - 100)
{
	struct ct_parsed p = fitting();

	S->maxack = N(R_END - 100);
	S_FLAGS = 0;
	p.ack = p.sack = N(R_END - 100 + by);
	WANT(ACCEPTED);
	CHECK_EQ(S->maxack, N(R_END - 100 + by));
	CHECK_EQ(S_FLAGS, CT_TF_MAXACK);
}

// S.maxwin is the largest window S has offered ...
EDGE(s_maxwin, "S.maxwin < win", S_END)
{
	struct ct_parsed p = fitting();

	p.win = (__u16)(S_MAXWIN + by);
	WANT(ACCEPTED);
	CHECK_EQ(S->maxwin, S_MAXWIN + (by > 0));
}

// ... counted from the acknowledgement on, though a SACK block lies between.
EDGE(s_maxwin_sack, "S.maxwin < win + (sack - ack)", R_END)
{
	struct ct_parsed p = fitting();

	R_FLAGS |= CT_TF_SACK_PERM;
	p.ack = N(R_END - 1200);
	p.sack = N(R_END - 200);
	p.win = (__u16)(S_MAXWIN - 1000 + by);
	S->maxack = N(R_END - 1300);
	WANT(ACCEPTED);
	CHECK_EQ(S->maxwin, S_MAXWIN + (by > 0));
	/* The block acknowledges nothing for good; and the packet may come again. */
	CHECK_EQ(S->maxack, N(R_END - 1200));
	CHECK_EQ(t->last_ack, N(R_END - 1200));
	S->maxack = N(R_END - 1100);
	WANT(ACCEPTED);
	CHECK_EQ(S->maxack, N(R_END - 1100));
	CHECK_EQ(t->retransmits, 1);
}

// R has room for more than it said, if S sent more and it was within: R.maxwin grows by as much.
EDGE(r_maxwin, "S.maxend < end", S_MAXEND)
{
	struct ct_parsed p = fitting();

	p.seq = N(S_MAXEND - 10 + by);
	p.payload = 10;
	WANT(ACCEPTED);
	CHECK_EQ(R->maxwin, R_MAXWIN + (by > 0));
	CHECK_EQ(S->maxend, N(S_MAXEND));
	connection(from);
	R->maxwin = 0; /* not seen yet: still unknown */
	WANT(ACCEPTED);
	CHECK_EQ(R->maxwin, 0);
}

// R.maxend: the acknowledgement and the window offered with it.
EDGE(r_maxend, "R.maxend <= sack + win", R_MAXEND)
{
	struct ct_parsed p = fitting();

	p.win = (__u16)(R_MAXEND - R_END + by);
	WANT(ACCEPTED);
	CHECK_EQ(R->maxend, N(R_MAXEND + (by > 0)));
}

// ... or the block behind it.
EDGE(r_maxend_sack, "R.maxend <= sack + win, ack below", R_MAXEND)
{
	struct ct_parsed p = fitting();

	R_FLAGS |= CT_TF_SACK_PERM;
	p.ack = N(R_END - 700);
	p.win = (__u16)(R_MAXEND - R_END + by);
	WANT(ACCEPTED);
	CHECK_EQ(R->maxend, N(R_MAXEND + (by > 0)));
}

// A window of 0 leaves room for a probe of one byte.
EDGE(r_maxend_closed, "R.maxend <= sack + 0", R_END - 10)
{
	struct ct_parsed p = fitting();

	R->maxend = N(R_END - 10);
	p.ack = p.sack = N(R_END - 10 + by);
	p.win = 0;
	WANT(ACCEPTED);
	CHECK_EQ(R->maxend, N(R_END - 10) + ((const __u32[]){ 0, 1, 2 })[by + 1]);
	/* Nothing more goes until it opens: don't wait for days. */
	WANT_TIMEOUT(TCP_RETRANS);
}

// R's data is acknowledged by an ACK of all of it, and by nothing less.
EDGE(r_unacked, "R.unacked until ack == R.end", R_END - 1)
{
	struct ct_parsed p = fitting();

	R_FLAGS |= CT_TF_UNACKED;
	p.ack = p.sack = N(R_END - 1 + by);
	WANT(ACCEPTED);
	CHECK_EQ(R_FLAGS, KNOWN | (by > 0 ? 0 : CT_TF_UNACKED));
	if (by > 0)
		WANT_TIMEOUT(TCP_ESTABLISHED);
	else
		WANT_TIMEOUT(TCP_UNACK);
}

// ... though a SACK block reaches as far.
TEST(sack_acknowledges_nothing)
{
	for (int from = 0; from < CT_DIRS; from++) {
		struct ct_parsed p;

		CHECK_CASE("%s side sends", sides[from]);
		base = 0;
		connection(from);
		R_FLAGS |= CT_TF_UNACKED | CT_TF_SACK_PERM;
		p = fitting();
		p.ack = N(R_END - 100);
		WANT(ACCEPTED);
		CHECK_EQ(R_FLAGS & CT_TF_UNACKED, CT_TF_UNACKED);
	}
}

// What either side has not been acknowledged shortens the flow's life, whoever speaks.
TEST(unacked_by_either_side)
{
	for (int from = 0; from < CT_DIRS; from++)
		for (int whose = 0; whose < CT_DIRS; whose++) {
			struct ct_parsed p;

			CHECK_CASE("%s side sends, data of the %s side", sides[from], sides[whose]);
			base = 0;
			connection(from);
			t->peer_flags[whose] |= CT_TF_UNACKED;
			p = fitting();
			p.ack = p.sack = N(R_END - 1);
			WANT(ACCEPTED);
			WANT_TIMEOUT(TCP_UNACK);
		}
}

// Without ACK there is no acknowledgement, whatever stands in the field: as if it fitted.
TEST(reset_without_ack)
{
	for (int from = 0; from < CT_DIRS; from++)
		for (int acks = 0; acks < 3; acks++) {
			struct ct_parsed p;

			base = 0;
			connection(from);
			p = fitting();
			p.tcp_flags = acks ? RST | ACK : RST;
			p.ack = p.sack = acks == 2 ? N(R_END + 5) : acks ? 0 : N(R_END + 5);
			CHECK_CASE("%s side resets, %s", sides[from],
				   acks == 2 ? "acknowledges too much"
				   : acks    ? "acknowledges 0"
					     : "no ACK");
			WANT(acks == 2 ? ACK_OVER : ACCEPTED);
			CHECK_EQ(flow.state, acks == 2 ? CT_TCP_ESTABLISHED : CT_TCP_CLOSE);
			CHECK_EQ(S->maxack, N(R_END));
		}
}

/* --- opening: what is known of a side from its first packet on ------------------------------- */

/* After a SYN of the original side, 1000 in number, with a window of 500: SYN_SENT. */
static void opened(__u8 options, __u8 scale)
{
	struct ct_parsed p = { .tuple = { .family = CT_IPV4, .proto = CT_IPPROTO_TCP },
			       .tcp_flags = SYN,
			       .seq = N(1000),
			       .win = 500,
			       .tcp_options = options,
			       .scale = scale };

	begin();
	memset(&flow, 0, sizeof(flow));
	CHECK_EQ(ct_proto_new(&flow, &p, &settings, now), CT_R_NONE);
}

static struct ct_parsed syn_ack(void)
{
	return (struct ct_parsed){ .tuple = { .family = CT_IPV4, .proto = CT_IPPROTO_TCP },
				   .tcp_flags = SYN | ACK,
				   .seq = N(7000),
				   .ack = N(1001),
				   .sack = N(1001),
				   .win = 300 };
}

#define EACH_BASE(name)                                                                            \
	for (size_t base_ = 0;                                                                     \
	     base_ < sizeof(bases) / sizeof(bases[0]) &&                                           \
	     (base = bases[base_], CHECK_CASE("%s, from 0x%08x", name, base), true);               \
	     base_++)

// A SYN says where its side begins, what window it offers (never none), and nothing of the other.
TEST(first_syn)
{
	EACH_BASE ("a SYN") {
		opened(0, 0);
		CHECK_EQ(t->peer[CT_ORIGINAL].end, N(1001));
		CHECK_EQ(t->peer[CT_ORIGINAL].maxend, N(1001));
		CHECK_EQ(t->peer[CT_ORIGINAL].maxwin, 500);
		CHECK_EQ(t->peer[CT_REPLY].maxwin, 0);
		CHECK_EQ(t->peer_flags[CT_ORIGINAL], 0);
		CHECK_EQ(t->peer_flags[CT_REPLY], 0);
	}
}

// A window of 0 in a SYN counts as 1: 0 would mean that the side has not been seen.
TEST(first_syn_without_window)
{
	struct ct_parsed p = { .tuple = { .proto = CT_IPPROTO_TCP }, .tcp_flags = SYN };
	struct ct_parsed q = syn_ack();

	begin();
	CHECK_EQ(ct_proto_new(&flow, &p, &settings, now), CT_R_NONE);
	CHECK_EQ(t->peer[CT_ORIGINAL].maxwin, 1);
	q.ack = q.sack = 1;
	q.win = 0;
	WANT_VERDICT(packet(&q, CT_REPLY), ACCEPT);
	CHECK_EQ(t->peer[CT_REPLY].maxwin, 1);
	CHECK_EQ(t->peer[CT_ORIGINAL].maxend, 2);
}

// Data on a SYN (TCP Fast Open) is sent: the SYN/ACK may acknowledge all of it, some, or none.
TEST(syn_with_data)
{
	EACH_BASE ("SYN with 50 bytes")
		for (int acked = -1; acked <= 51; acked++) {
			struct ct_parsed p = { .tuple = { .proto = CT_IPPROTO_TCP },
					       .tcp_flags = SYN,
					       .seq = N(1000),
					       .win = 500,
					       .payload = 50 };
			struct ct_parsed q = syn_ack();

			CHECK_CASE("50 bytes on the SYN, %d acknowledged, from 0x%08x", acked,
				   base);
			begin();
			CHECK_EQ(ct_proto_new(&flow, &p, &settings, now), CT_R_NONE);
			CHECK_EQ(t->peer[CT_ORIGINAL].end, N(1051));
			q.ack = q.sack = N(1001 + acked);
			WANT_VERDICT(packet(&q, CT_REPLY), ACCEPT + (acked > 50 ? CT_V_REFUSE : 0));
			want_state(__FILE__, __LINE__,
				   acked > 50 ? CT_TCP_SYN_SENT : CT_TCP_SYN_RECV);
		}
}

// The server may send before the handshake's last ACK: still SYN_RECV. Nobody has said how much, so
// its first segment is in the window, and the next ones are an overshoot that is forgiven.
TEST(data_before_the_last_ack)
{
	EACH_BASE("after the SYN/ACK")
	{
		struct ct_parsed p = syn_ack(), data;

		opened(0, 0);
		WANT_VERDICT(packet(&p, CT_REPLY), ACCEPT);
		data = p;
		data.tcp_flags = ACK | PSH;
		data.seq = N(7001);
		data.payload = 200;
		WANT_VERDICT(packet(&data, CT_REPLY), ACCEPT);
		WANT_STATE(SYN_RECV);
		WANT_TIMEOUT(TCP_SYN_RECV);
		CHECK_EQ(t->peer[CT_REPLY].end, N(7201));
		data.seq = N(7201);
		WANT_VERDICT(packet(&data, CT_REPLY), IGNORE);
		CHECK_EQ(t->peer[CT_REPLY].end, N(7401));
		p = data;
		p.seq = N(1001);
		p.ack = p.sack = N(7401);
		p.payload = 0;
		WANT_VERDICT(packet(&p, CT_ORIGINAL), ACCEPT);
		WANT_STATE(ESTABLISHED);
		CHECK_EQ(flow.status & CT_S_ASSURED, CT_S_ASSURED);
	}
}

// A SYN/ACK says the same of the answering side, and how much the other may send.
TEST(first_syn_ack)
{
	EACH_BASE ("a SYN/ACK") {
		struct ct_parsed p = syn_ack();

		opened(0, 0);
		WANT_VERDICT(packet(&p, CT_REPLY), ACCEPT);
		WANT_STATE(SYN_RECV);
		CHECK_EQ(t->peer[CT_REPLY].end, N(7001));
		CHECK_EQ(t->peer[CT_REPLY].maxend, N(7001));
		CHECK_EQ(t->peer[CT_REPLY].maxwin, 300);
		CHECK_EQ(t->peer[CT_REPLY].maxack, N(1001));
		CHECK_EQ(t->peer[CT_ORIGINAL].end, N(1001));
		CHECK_EQ(t->peer[CT_ORIGINAL].maxend, N(1301));
		CHECK_EQ(t->peer[CT_ORIGINAL].maxwin, 500);
	}
}

/* In SYN_SENT or SYN_RECV: the original side's SYN comes again, its number moved. */
static void again(int state, __u32 move, __u32 from_end)
{
	struct ct_tcp_peer *me = &t->peer[CT_ORIGINAL];
	struct ct_parsed p = syn_ack();

	opened(0, 0);
	flow.state = state;
	me->end = me->maxend = N(1001);
	p.tcp_flags = state == CT_TCP_SYN_RECV ? SYN | ACK : SYN;
	p.seq = N(1000) + move;
	p.ack = p.sack = N(7001);
	if (state == CT_TCP_SYN_RECV) {
		t->peer[CT_REPLY] = (struct ct_tcp_peer){ N(7001), N(7001), 300, N(1001) };
		me->maxend = N(1301);
		me->maxack = N(6000);
	}
	p.win = 77;
	packet(&p, CT_ORIGINAL);
	CHECK_EQ(me->end, N(1001) + from_end);
	CHECK_EQ(me->maxwin, from_end ? 77 : 500);
	if (state == CT_TCP_SYN_RECV) /* and it is checked and learnt from as any other */
		CHECK_EQ(me->maxack, N(7001));
}

// A SYN again: with a higher number its side begins anew, with an older one nothing changes.
TEST(edge_syn_again)
{
	for (int laid = 0; laid < 2; laid++)
		for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
			for (int by = -1; by <= 1; by++)
				for (int state = CT_TCP_SYN_SENT; state <= CT_TCP_SYN_RECV;
				     state++) {
					base = bases[i] - (laid ? 0 : 1001);
					CHECK_CASE("S.end < end of a SYN in %s, %+d, %s at 0x%08x",
						   tcp_state_name(state), by, laid ? "0" : "edge",
						   bases[i]);
					again(state, (__u32)by, by > 0);
				}
}

// ... in other states it is a packet like others: its side does not begin anew.
TEST(syn_again_while_both_open)
{
	EACH_BASE ("a second SYN in SYN_SENT2") {
		struct ct_parsed p = syn_ack();

		opened(0, 0);
		flow.state = CT_TCP_SYN_SENT2;
		t->peer[CT_REPLY] = (struct ct_tcp_peer){ N(7001), N(7001), 300, 0 };
		p.seq = N(1001); /* one higher */
		p.ack = p.sack = N(7001);
		p.win = 77;
		WANT_VERDICT(packet(&p, CT_ORIGINAL), ACCEPT);
		CHECK_EQ(t->peer[CT_ORIGINAL].maxwin, 500);
	}
}

// Both open at once: the reply's SYN begins its side, and says nothing of what it may send.
TEST(reply_syn)
{
	EACH_BASE ("the reply's SYN") {
		struct ct_parsed p = syn_ack();

		opened(0, 0);
		p.tcp_flags = SYN;
		p.ack = p.sack = 0;
		packet(&p, CT_REPLY);
		WANT_STATE(SYN_SENT2);
		CHECK_EQ(t->simultaneous, 1);
		CHECK_EQ(t->peer[CT_REPLY].end, N(7001));
		CHECK_EQ(t->peer[CT_REPLY].maxend, N(7001));
		CHECK_EQ(t->peer[CT_REPLY].maxwin, 300);
		CHECK_EQ(t->peer[CT_ORIGINAL].maxend, N(1001));
		/* Seen before, in SYN_SENT and with a higher number: begins again, likewise. */
		flow.state = CT_TCP_SYN_SENT;
		p.seq = N(8000);
		p.win = 90;
		WANT_VERDICT(packet(&p, CT_REPLY), ACCEPT);
		WANT_STATE(SYN_SENT2);
		CHECK_EQ(t->peer[CT_REPLY].end, N(8001));
		CHECK_EQ(t->peer[CT_REPLY].maxwin, 90);
		CHECK_EQ(t->peer[CT_ORIGINAL].maxend, N(1001));
		/* And with an ACK, which says something of the other side. */
		flow.state = CT_TCP_SYN_SENT;
		p.tcp_flags = SYN | ACK;
		p.seq = N(9000);
		p.ack = p.sack = N(1001);
		WANT_VERDICT(packet(&p, CT_REPLY), ACCEPT);
		WANT_STATE(SYN_RECV);
		CHECK_EQ(t->peer[CT_REPLY].end, N(9001));
		CHECK_EQ(t->peer[CT_REPLY].maxack, N(1001));
		CHECK_EQ(t->peer[CT_ORIGINAL].maxend, N(1091));
	}
}

/* A side that was not seen yet (or again) sends something that is no SYN. */
static void unseen(enum ct_dir from)
{
	connection(from);
	S->maxwin = 0;
	t->scale[from] = 3;
}

// In the middle a side is taken by its word: it may send what it sends, and the window is scaled.
TEST(first_in_the_middle)
{
	EACH_BASE ("S unseen")
		for (int from = 0; from < CT_DIRS; from++) {
			struct ct_parsed p;

			CHECK_CASE("S unseen, %s side, from 0x%08x", sides[from], base);
			unseen(from);
			p = fitting();
			p.seq = N(9000000);
			p.payload = 10;
			p.win = 100;
			WANT(ACCEPTED);
			CHECK_EQ(S->end, N(9000010));
			CHECK_EQ(S->maxwin, 800);
			CHECK_EQ(S->maxend, N(9000810));
			CHECK_EQ(S_FLAGS, KNOWN); /* R may have acknowledged all of it */
			CHECK_EQ(R->end, N(R_END));
			CHECK_EQ(R->maxwin, R_MAXWIN);
			unseen(from);
			p.win = 0;
			WANT(ACCEPTED);
			CHECK_EQ(S->maxwin, 1);
			CHECK_EQ(S->maxend, N(9000011));
			unseen(from);
			t->scale[from] = 14;
			p.win = 3;
			WANT(ACCEPTED);
			CHECK_EQ(S->maxwin, 3 << 14);
			CHECK_EQ(S->maxend, N(9000010 + (3 << 14)));
		}
}

// ... and of the other side, not seen either, it is believed how far that has come.
TEST(first_of_both_in_the_middle)
{
	EACH_BASE ("nobody seen")
		for (int from = 0; from < CT_DIRS; from++) {
			struct ct_parsed p;

			CHECK_CASE("nobody seen, %s side, from 0x%08x", sides[from], base);
			unseen(from);
			R->maxwin = 0;
			p = fitting();
			p.ack = p.sack = N(9000000);
			p.win = 100;
			WANT(ACCEPTED);
			CHECK_EQ(R->end, N(9000000));
			CHECK_EQ(R->maxend, N(9000800)); /* the window that it offers */
			CHECK_EQ(R->maxwin, 0);
			/* By a SACK block, too; and though more room was there before. */
			unseen(from);
			R->maxwin = 0;
			R_FLAGS |= CT_TF_SACK_PERM;
			p.ack = N(R_END - 70000);
			p.sack = N(R_END - 50000);
			p.win = 0;
			WANT(ACCEPTED);
			CHECK_EQ(R->end, N(R_END - 50000));
			CHECK_EQ(R->maxend, N(R_END - 50000 + 1));
		}
}

// The answer to a keepalive acknowledges one more than we have seen, which is believed of a side
// that has not been seen since; two more are not.
EDGE(keepalive, "III of a side not seen: sack == R.end + 1", R_END + 1)
{
	struct ct_parsed p;

	unseen(from);
	p = fitting();
	p.ack = p.sack = N(R_END + 1 + by);
	WANT_EDGE(ACCEPTED, ACCEPTED, ACK_OVER);
	WANT_AT_EDGE(R->end, N(R_END), N(R_END + 1), N(R_END));
}

// ... or reports it in a SACK block.
EDGE(keepalive_sack, "III of a side not seen: SACK edge == R.end + 1", R_END + 1)
{
	struct ct_parsed p;

	unseen(from);
	R_FLAGS |= CT_TF_SACK_PERM;
	p = fitting();
	p.sack = N(R_END + 1 + by);
	WANT_EDGE(ACCEPTED, ACCEPTED, ACK_OVER);
	WANT_AT_EDGE(R->end, N(R_END), N(R_END + 1), N(R_END));
}

// After a pause in which nobody looked (ct_tcp_relearn), S may send on until R has been seen again.
EDGE(relearn, "I after a pause, R not seen", S_MAXEND)
{
	struct ct_parsed p;

	R->maxwin = 0;
	S_FLAGS |= CT_TF_RELEARN;
	p = fitting();
	p.seq = N(S_MAXEND + by);
	p.payload = 5;
	WANT(ACCEPTED);
	CHECK_EQ(S->maxend, N(S_MAXEND + (by > 0 ? 6 : 0)));
	/* Then it holds as ever. */
	connection(from);
	S_FLAGS |= CT_TF_RELEARN;
	p.payload = R_MAXWIN;
	WANT_EDGE(ACCEPTED, ACCEPTED, SEQ_OVER);
}

// A pause forgets both windows, and nothing else.
TEST(pause)
{
	struct ct_entry before;

	base = 0;
	connection(CT_ORIGINAL);
	before = flow;
	ct_tcp_relearn(t);
	for (int dir = 0; dir < CT_DIRS; dir++) {
		CHECK_EQ(t->peer[dir].maxwin, 0);
		CHECK_EQ(t->peer_flags[dir], KNOWN | CT_TF_RELEARN);
		t->peer[dir].maxwin = before.l4.tcp.peer[dir].maxwin;
		t->peer_flags[dir] = KNOWN;
	}
	CHECK_MEM(&flow, &before, sizeof(flow));
}

// A flow that is picked up: end, window and room of its sender; of neither side is any more known,
// so neither is refused anything.
TEST(picked_up)
{
	EACH_BASE ("the first packet is an ACK")
		for (int win = 0; win < 2; win++) {
			struct ct_parsed p = fitting();

			p.payload = 10;
			p.win = win * 400;
			begin();
			CHECK_EQ(ct_proto_new(&flow, &p, &settings, now), CT_R_NONE);
			CHECK_EQ(t->peer[CT_ORIGINAL].end, N(S_END + 10));
			CHECK_EQ(t->peer[CT_ORIGINAL].maxwin, win ? 400 : 1);
			CHECK_EQ(t->peer[CT_ORIGINAL].maxend, N(S_END + 10 + (win ? 400 : 1)));
			CHECK_EQ(t->peer[CT_REPLY].maxwin, 0);
			CHECK_EQ(t->peer_flags[CT_REPLY], CT_TF_SACK_PERM | CT_TF_LIBERAL);
			CHECK_EQ(t->peer_flags[CT_ORIGINAL] & (CT_TF_SACK_PERM | CT_TF_LIBERAL),
				 CT_TF_SACK_PERM | CT_TF_LIBERAL);
		}
}

// What such a flow's first packet acknowledges is not believed either: III has no edge yet.
TEST(picked_up_acknowledges)
{
	struct ct_parsed p;

	base = 0;
	p = fitting();
	for (int win = 0; win < 2; win++) {
		p.win = win;
		begin();
		CHECK_EQ(ct_proto_new(&flow, &p, &settings, now), CT_R_NONE);
		CHECK_EQ(t->peer[CT_REPLY].end, 0);
		CHECK_EQ(t->peer[CT_REPLY].maxend, 0);
	}
}

/* --- options of a SYN ------------------------------------------------------------------------ */

/* An IP packet as it is on the wire, read by the parser. */
static struct ct_parsed parsed(const struct pkt_desc *d)
{
	static struct pkt built;
	static __u32 aligned[64];
	struct ct_parsed p = {};

	pkt_build(&built, d);
	memcpy(aligned, built.data, built.len);
	CHECK_EQ(ct_parse(&p, aligned, (char *)aligned + built.len, (__u32)built.len, CT_FRAME_L3),
		 0);
	return p;
}
#define PARSED(...)                                                                                \
	parsed(&(struct pkt_desc){ .l3 = true,                                                     \
				   .src = "10.0.1.1",                                              \
				   .dst = "10.0.2.1",                                              \
				   .sport = 1000,                                                  \
				   .dport = 80,                                                    \
				   __VA_ARGS__ })

/* A handshake with these options. What the window 100 of an ACK from the original side is worth. */
static __u32 window_of_100(const char *offer, const char *answer)
{
	struct ct_parsed p = PARSED(.tcp_flags = SYN, .seq = 1000, .win = 10, .tcp_options = offer);

	begin();
	CHECK_EQ(ct_proto_new(&flow, &p, &settings, now), CT_R_NONE);
	p = PARSED(.tcp_flags = SYN | ACK, .seq = 7000, .ack = 1001, .win = 10,
		   .tcp_options = answer);
	WANT_VERDICT(packet(&p, CT_REPLY), ACCEPT);
	CHECK_EQ(t->peer[CT_ORIGINAL].maxend, 1011); /* the window of a SYN is never scaled */
	p = PARSED(.tcp_flags = ACK, .seq = 1001, .ack = 7001, .win = 100);
	WANT_VERDICT(packet(&p, CT_ORIGINAL), ACCEPT);
	CHECK_EQ(t->peer[CT_REPLY].maxend - 7001, t->peer[CT_ORIGINAL].maxwin);
	return t->peer[CT_ORIGINAL].maxwin;
}

// Windows are scaled by what the SYN offered, 14 at most (RFC 7323 2.3), if both offered it.
TEST(window_scale)
{
	static const struct {
		const char *offer, *answer;
		__u32 worth;
	} rows[] = {
		{ "wscale 0", "wscale 7", 100 },
		{ "wscale 1", "wscale 7", 100 << 1 },
		{ "wscale 13", "wscale 7", 100 << 13 },
		{ "wscale 14", "wscale 7", 100 << 14 },
		{ "wscale 15", "wscale 7", 100 << 14 },
		{ "wscale 255", "wscale 7", 100 << 14 },
		{ "wscale 5", "wscale 0", 100 << 5 },
		{ "wscale 5", "mss 1460", 100 },
		{ "wscale 5", NULL, 100 },
		{ NULL, "wscale 5", 100 },
		{ "mss 1460", "wscale 5", 100 },
		{ NULL, NULL, 100 },
		{ "mss 1460,sackOK,nop,wscale 9", "wscale 1", 100 << 9 },
	};

	base = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_CASE("offered %s, answered %s", rows[i].offer ?: "nothing",
			   rows[i].answer ?: "nothing");
		CHECK_EQ(window_of_100(rows[i].offer, rows[i].answer), rows[i].worth);
	}
}

// Each side's windows are scaled by its own shift.
TEST(window_scale_of_each_side)
{
	struct ct_parsed p;

	window_of_100("wscale 3", "wscale 6");
	p = PARSED(.tcp_flags = ACK, .seq = 7001, .ack = 1001, .win = 100);
	WANT_VERDICT(packet(&p, CT_REPLY), ACCEPT);
	CHECK_EQ(t->peer[CT_REPLY].maxwin, 6400);
	CHECK_EQ(t->peer[CT_ORIGINAL].maxend, 7401);
}

// A SYN that comes again says anew what it offers; one without any option says nothing of it.
TEST(options_again)
{
	static const struct {
		const char *options;
		__u8 flags, scale;
	} rows[] = {
		{ "wscale 2,sackOK", CT_TF_SCALE | CT_TF_SACK_PERM, 2 },
		{ NULL, CT_TF_SCALE | CT_TF_SACK_PERM, 2 },
		{ "wscale 3", CT_TF_SCALE, 3 },
		{ "sackOK", CT_TF_SACK_PERM, 0 },
		{ "nop,nop,nop,nop", 0, 0 },
	};
	struct ct_parsed p = PARSED(.tcp_flags = SYN, .seq = 1000);

	begin();
	CHECK_EQ(ct_proto_new(&flow, &p, &settings, now), CT_R_NONE);
	t->peer_flags[CT_ORIGINAL] |= CT_TF_LIBERAL; /* no option, and not forgotten with them */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_CASE("again, with %s", rows[i].options ?: "nothing");
		p = PARSED(.tcp_flags = SYN, .seq = 2000 + 1000 * (__u32)i,
			   .tcp_options = rows[i].options);
		packet(&p, CT_ORIGINAL);
		CHECK_EQ(t->peer_flags[CT_ORIGINAL], rows[i].flags | CT_TF_LIBERAL);
		CHECK_EQ(t->scale[CT_ORIGINAL], rows[i].scale);
	}
}

// A shift counts where the option is, and nowhere else.
TEST(scale_without_the_option)
{
	opened(CT_TO_ANY | CT_TO_SACK_PERM, 9);
	CHECK_EQ(t->scale[CT_ORIGINAL], 0);
	opened(CT_TO_ANY | CT_TO_SCALE, 9);
	CHECK_EQ(t->scale[CT_ORIGINAL], 9);
}

// The SACK edge is the highest right edge above the acknowledgement, wherever its block stands.
TEST(sack_edge)
{
	static const struct {
		const char *options;
		__u32 sack;
	} rows[] = {
		{ NULL, 5000 },
		{ "nop,nop,sack 5100:5200", 5200 },
		{ "nop,nop,sack 5100:5001", 5001 },
		{ "nop,nop,sack 5100:5000", 5000 },
		{ "nop,nop,sack 5100:4999", 5000 }, /* a duplicate (RFC 2883) */
		{ "nop,nop,sack 5100:5200 5300:5400 5500:5600", 5600 },
		{ "nop,nop,sack 5500:5600 5300:5400 5100:5200", 5600 },
		{ "nop,nop,sack 5100:5200 5500:5600 5300:5400", 5600 },
		{ "nop,nop,TS val 1 ecr 2,nop,nop,sack 5100:5200", 5200 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ct_parsed p =
			PARSED(.tcp_flags = ACK, .ack = 5000, .tcp_options = rows[i].options);

		CHECK_CASE("%s", rows[i].options ?: "none");
		CHECK_EQ(p.sack, rows[i].sack);
	}
}

// ... and the comparison goes around the circle.
TEST(sack_edge_wraps)
{
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
		for (int by = -1; by <= 1; by++) {
			struct ct_parsed p;
			char options[64];

			CHECK_CASE("right edge %+d of ack 0x%08x", by, bases[i]);
			snprintf(options, sizeof(options), "nop,nop,sack %u:%u", bases[i] - 500,
				 bases[i] + (__u32)by);
			p = PARSED(.tcp_flags = ACK, .ack = bases[i], .tcp_options = options);
			CHECK_EQ(p.sack, bases[i] + (by > 0));
		}
}

/* --- resync: a SYN/ACK to a SYN that was ignored --------------------------------------------- */

// The SYN's side begins with what its SYN said, the other with the SYN/ACK; the past is forgotten.
TEST(resync)
{
	EACH_BASE ("resync")
		for (int options = 0; options < 8; options++) {
			/* Below the old number, or above. */
			__u32 seq = options & 4 ? N(50000) : N(7000000);
			struct ct_parsed p = fitting();
			__u8 has = (options & 1 ? CT_TO_SCALE | CT_TO_ANY : 0) |
				   (options & 2 ? CT_TO_SACK_PERM | CT_TO_ANY : 0);

			CHECK_CASE("resync, options %d, from 0x%08x", options, base);
			connection(CT_ORIGINAL);
			t->scale[0] = t->scale[1] = 5;
			for (int dir = 0; dir < CT_DIRS; dir++)
				t->peer_flags[dir] |= CT_TF_CLOSE_INIT | CT_TF_UNACKED |
						      CT_TF_SCALE | CT_TF_SACK_PERM;
			p.tcp_flags = SYN;
			p.seq = seq;
			p.win = 123;
			p.tcp_options = has;
			p.scale = 9;
			WANT_VERDICT(packet(&p, CT_ORIGINAL), IGNORE);
			p = syn_ack();
			p.seq = N(8000000);
			p.ack = p.sack = seq + 1;
			p.tcp_options = CT_TO_SCALE | CT_TO_SACK_PERM | CT_TO_ANY;
			p.scale = 2;
			WANT_VERDICT(packet(&p, CT_REPLY), ACCEPT);
			WANT_STATE(SYN_RECV);
			CHECK_EQ(step.changed, true);
			CHECK_EQ(t->peer[CT_ORIGINAL].end, seq + 1);
			CHECK_EQ(t->peer[CT_ORIGINAL].maxend, seq + 301); /* the SYN/ACK's window */
			CHECK_EQ(t->peer[CT_ORIGINAL].maxwin, 123);
			CHECK_EQ(t->peer[CT_REPLY].end, N(8000001));
			CHECK_EQ(t->peer[CT_REPLY].maxend, N(8000001));
			CHECK_EQ(t->peer[CT_REPLY].maxwin, 300);
			CHECK_EQ(t->peer[CT_REPLY].maxack, seq + 1);
			CHECK_EQ(t->scale[CT_ORIGINAL], options & 1 ? 9 : 0);
			CHECK_EQ(t->scale[CT_REPLY], options & 1 ? 2 : 0);
			CHECK_EQ(t->peer_flags[CT_ORIGINAL],
				 (options & 1 ? CT_TF_SCALE : 0) |
					 (options & 2 ? CT_TF_SACK_PERM : 0));
			CHECK_EQ(t->peer_flags[CT_REPLY],
				 CT_TF_SCALE | CT_TF_SACK_PERM | CT_TF_MAXACK);
		}
}

// Of a flow that was picked up, the side that answers stays liberal; the SYN's side is known now.
TEST(resync_of_a_picked_up_flow)
{
	struct ct_parsed p;

	base = 0;
	connection(CT_ORIGINAL);
	t->peer_flags[CT_ORIGINAL] = t->peer_flags[CT_REPLY] = CT_TF_LIBERAL | CT_TF_SACK_PERM;
	p = fitting();
	p.tcp_flags = SYN;
	packet(&p, CT_ORIGINAL);
	p = syn_ack();
	p.ack = p.sack = N(S_END + 1);
	WANT_VERDICT(packet(&p, CT_REPLY), ACCEPT);
	CHECK_EQ(t->peer_flags[CT_ORIGINAL], 0);
	CHECK_EQ(t->peer_flags[CT_REPLY], CT_TF_LIBERAL | CT_TF_MAXACK);
}

// A SYN without window is remembered as one that offers a byte.
TEST(resync_without_window)
{
	struct ct_parsed p;

	base = 0;
	connection(CT_ORIGINAL);
	p = fitting();
	p.tcp_flags = SYN;
	p.win = 0;
	packet(&p, CT_ORIGINAL);
	p = syn_ack();
	p.ack = p.sack = N(S_END + 1);
	WANT_VERDICT(packet(&p, CT_REPLY), ACCEPT);
	CHECK_EQ(t->peer[CT_ORIGINAL].maxwin, 1);
}

// Only a SYN/ACK of exactly that SYN: one below or above it is ignored, too.
TEST(edge_resync)
{
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
		for (int by = -1; by <= 1; by++) {
			struct ct_parsed p;

			CHECK_CASE("SYN/ACK's ack == the SYN's end, %+d, edge at 0x%08x", by,
				   bases[i]);
			base = bases[i] - (S_END + 1);
			connection(CT_ORIGINAL);
			p = fitting();
			p.tcp_flags = SYN;
			WANT_VERDICT(packet(&p, CT_ORIGINAL), IGNORE);
			p = syn_ack();
			p.ack = p.sack = N(S_END + 1 + by);
			want_verdict(__FILE__, __LINE__, packet(&p, CT_REPLY),
				     by ? CT_V_IGNORE : CT_V_ACCEPT);
			want_state(__FILE__, __LINE__, by ? CT_TCP_ESTABLISHED : CT_TCP_SYN_RECV);
		}
}

/* --- resets ---------------------------------------------------------------------------------- */

static struct ct_parsed reset(__u32 seq)
{
	struct ct_parsed p = fitting();

	p.tcp_flags = RST;
	p.seq = seq;
	p.ack = p.sack = 0;
	return p;
}

// An established connection is reset by exactly the number that R waits for; below it is a forgery,
// above it may be answered by a challenge, and changes nothing.
EDGE(reset, "RST: seq == R.maxack", S_END)
{
	struct ct_parsed p = reset(N(S_END + by));

	if (by < 0) {
		WANT_UNCHANGED(WANT(BAD_RST));
		return;
	}
	WANT(ACCEPTED);
	WANT_AT_EDGE(flow.state, CT_TCP_ESTABLISHED, CT_TCP_CLOSE, CT_TCP_ESTABLISHED);
	if (!by)
		WANT_TIMEOUT(TCP_CLOSE);
	if (by > 0)
		WANT_TIMEOUT(TCP_UNACK);
}

// tcp_ignore_invalid_rst: the one below is let through as well, and believed as little.
EDGE(reset_ignored, "RST: seq == R.maxack, tcp_ignore_invalid_rst", S_END)
{
	struct ct_parsed p = reset(N(S_END + by));

	settings.knob.tcp_ignore_invalid_rst = 1;
	WANT(ACCEPTED);
	WANT_AT_EDGE(flow.state, CT_TCP_ESTABLISHED, CT_TCP_CLOSE, CT_TCP_ESTABLISHED);
}

// Before the connection is established, or assured, one above is good enough.
EDGE(reset_not_established, "RST, not established: seq >= R.maxack", S_END)
{
	struct ct_parsed p = reset(N(S_END + by));

	for (int assured = 0; assured < 2; assured++) {
		connection(from);
		if (assured)
			flow.state = CT_TCP_SYN_RECV;
		else
			flow.status &= ~CT_S_ASSURED;
		WANT_EDGE(BAD_RST, ACCEPTED, ACCEPTED);
		CHECK_EQ(flow.state == CT_TCP_CLOSE, by >= 0);
	}
}

// A train: right behind the last packet of the same side, if that was an ACK.
EDGE(reset_train, "RST behind S's last packet: seq == last_end", S_END + 700)
{
	struct ct_parsed p = fitting();

	p.payload = 700;
	WANT(ACCEPTED);
	p = reset(N(S_END + 700 + by));
	WANT(ACCEPTED);
	WANT_AT_EDGE(flow.state, CT_TCP_ESTABLISHED, CT_TCP_CLOSE, CT_TCP_ESTABLISHED);
	/* No train: something of the other side came between ... */
	connection(from);
	t->last_dir = !from;
	t->last_end = N(S_END + 700);
	WANT(ACCEPTED);
	CHECK_EQ(flow.state, CT_TCP_ESTABLISHED);
	/* ... or it was no ACK. */
	connection(from);
	t->last_dir = from;
	t->last_index = CT_TI_SYNACK;
	t->last_end = N(S_END + 700);
	WANT(ACCEPTED);
	CHECK_EQ(flow.state, CT_TCP_ESTABLISHED);
}

// A reset that is exact is still refused if it is not in the window.
EDGE(reset_window, "RST in the window: seq <= S.maxend", S_MAXEND)
{
	struct ct_parsed p = reset(N(S_MAXEND + by));

	R->maxack = p.seq;
	R->maxwin = 1; /* nothing is forgiven */
	WANT_EDGE(ACCEPTED, ACCEPTED, SEQ_OVER);
	WANT_AT_EDGE(flow.state, CT_TCP_CLOSE, CT_TCP_CLOSE, CT_TCP_ESTABLISHED);
}

// While the connection closes, any reset will do.
TEST(reset_while_closing)
{
	for (int from = 0; from < CT_DIRS; from++)
		for (int state = CT_TCP_SYN_SENT; state < CT_TCP_STATE_MAX; state++) {
			struct ct_parsed p;
			bool closing = state >= CT_TCP_FIN_WAIT && state <= CT_TCP_CLOSE;

			CHECK_CASE("in %s, %s side sends", tcp_state_name(state), sides[from]);
			base = 0;
			connection(from);
			flow.state = state;
			p = reset(N(S_MAXEND + 100000000));
			if (state == CT_TCP_ESTABLISHED)
				p.seq = N(S_MAXEND + 100000000);
			WANT(closing ? ACCEPTED : SEQ_OVER);
			CHECK_EQ(flow.state, closing ? CT_TCP_CLOSE : state);
		}
}

// ... but what is no reset has to be in the window, after a reset too.
TEST(after_a_reset)
{
	for (int from = 0; from < CT_DIRS; from++) {
		struct ct_parsed p;

		CHECK_CASE("%s side sends", sides[from]);
		base = 0;
		connection(from);
		flow.state = CT_TCP_CLOSE;
		p = fitting();
		p.seq = N(S_MAXEND + 1000000);
		WANT(SEQ_OVER);
		p = fitting();
		WANT(ACCEPTED);
	}
}

// Number 0 is what a host puts into the reset that answers a SYN: good while nothing is
// established, though it is below what R has acknowledged; then the window decides.
TEST(reset_zero)
{
	for (int established = 0; established < 2; established++)
		for (int from = 0; from < CT_DIRS; from++) {
			struct ct_parsed p;

			CHECK_CASE("%s, %s side sends", established ? "established" : "SYN_RECV",
				   sides[from]);
			base = 1000 - S_END; /* 0 is in the window of 1500, and below R.maxack */
			connection(from);
			if (!established)
				flow.state = CT_TCP_SYN_RECV;
			p = reset(0);
			WANT(established ? BAD_RST : ACCEPTED);
			CHECK_EQ(flow.state, established ? CT_TCP_ESTABLISHED : CT_TCP_CLOSE);
			/* 1 is no 0. */
			connection(from);
			flow.state = CT_TCP_SYN_RECV;
			p = reset(1);
			WANT(BAD_RST);
		}
}

// In SYN_SENT number 0 fits wherever the side is, in other states only where it is.
TEST(reset_zero_in_syn_sent)
{
	for (int state = CT_TCP_SYN_SENT; state <= CT_TCP_SYN_RECV; state++)
		for (int from = 0; from < CT_DIRS; from++) {
			struct ct_parsed p;

			CHECK_CASE("in %s, %s side sends", tcp_state_name(state), sides[from]);
			base = 0x80000000; /* from there, 0 is neither before nor after */
			connection(from);
			flow.state = state;
			p = reset(0);
			WANT(state == CT_TCP_SYN_SENT ? ACCEPTED : SEQ_OVER);
			CHECK_EQ(S->end, N(S_END));
			/* A SYN with number 0 is as old as its number says. */
			base = 0;
			connection(from);
			flow.state = CT_TCP_SYN_SENT;
			if (from == CT_ORIGINAL) {
				p.tcp_flags = SYN;
				WANT(IGNORED);
			}
			base = 0x80000000;
			/* 1 does not. */
			connection(from);
			flow.state = CT_TCP_SYN_SENT;
			p = reset(1);
			WANT(SEQ_OVER);
		}
}

/* A reset from far outside the window closes only if it need not be in it. */
static void want_believed(const char *file, int line, const struct ct_parsed *p, enum ct_dir from,
			  bool believed)
{
	want_fate(file, line, p, from, believed ? ACCEPTED : SEQ_OVER);
	CHECK_EQ(flow.state == CT_TCP_CLOSE, believed);
}
#define WANT_BELIEVED(believed) want_believed(__FILE__, __LINE__, &p, from, (believed))

// The answer to a SYN that we ignored acknowledges exactly that SYN: nobody else could know it.
EDGE(reset_of_ignored_syn, "RST/ACK: ack == end of the SYN that was ignored", R_END + 1)
{
	struct ct_parsed p = fitting();

	p.tcp_flags = RST | ACK;
	p.seq = N(S_MAXEND + 1000000);
	p.ack = p.sack = N(R_END + 1 + by);
	t->last_index = CT_TI_SYN;
	t->last_end = N(R_END + 1);
	WANT_BELIEVED(!by);
	/* Before the connection is assured, too. */
	connection(from);
	flow.status &= ~CT_S_ASSURED;
	R_FLAGS = 0;
	t->last_index = CT_TI_SYN;
	t->last_end = N(R_END + 1);
	WANT_BELIEVED(!by);
	/* Not from the SYN's own side, */
	connection(from);
	t->last_index = CT_TI_SYN;
	t->last_dir = from;
	t->last_end = N(R_END + 1);
	WANT_BELIEVED(false);
	/* nor if it was something else, */
	connection(from);
	R_FLAGS = 0;
	t->last_index = CT_TI_FIN;
	t->last_end = N(R_END + 1);
	WANT_BELIEVED(false);
	/* nor before any answer has been seen. */
	connection(from);
	flow.status = CT_S_CONFIRMED;
	t->last_index = CT_TI_SYN;
	t->last_end = N(R_END + 1);
	WANT_BELIEVED(false);
}

// Before the connection is assured, the same goes for the answer to an ACK.
EDGE(reset_of_ignored_ack, "RST/ACK: ack == end of the last ACK", R_END)
{
	struct ct_parsed p = fitting();

	p.tcp_flags = RST | ACK;
	p.seq = N(S_MAXEND + 1000000);
	p.ack = p.sack = N(R_END + by);
	R_FLAGS = 0; /* S's data has never been acknowledged: nothing to compare with */
	flow.status &= ~CT_S_ASSURED;
	WANT_BELIEVED(!by);
	connection(from);
	R_FLAGS = 0;
	WANT_BELIEVED(false); /* assured */
}

// The client's reset after a challenge ACK carries what that acknowledged.
EDGE(reset_after_challenge, "RST after a challenge: seq == last_ack", S_MAXEND + 1000000)
{
	struct ct_parsed p = reset(N(S_MAXEND + 1000000 + by));

	if (from == CT_REPLY)
		return; /* clients are on the original side */
	flow.state = CT_TCP_SYN_SENT;
	R_FLAGS = 0;
	t->last_ack = N(S_MAXEND + 1000000);
	WANT_BELIEVED(!by || !p.seq); /* 0: see reset_zero_in_syn_sent */
	/* In another state, after another kind, or after an ACK of the client itself: no. */
	for (int i = 0; i < 3; i++) {
		connection(from);
		flow.state = i == 0 ? CT_TCP_SYN_SENT2 : CT_TCP_SYN_SENT;
		R_FLAGS = 0;
		t->last_ack = N(S_MAXEND + 1000000);
		if (i == 1)
			t->last_index = CT_TI_SYNACK;
		if (i == 2)
			t->last_dir = CT_ORIGINAL;
		WANT_BELIEVED(i && !p.seq);
	}
}

/* --- timeouts -------------------------------------------------------------------------------- */

/* What the flow's timeout is set to, in seconds; 300 is the one that may cut it. */
static const unsigned int around_300[] = { 299, 300, 301, 432000 };
#define EACH_AROUND_300(what)                                                                      \
	for (size_t i = 0;                                                                         \
	     i < 4 && (CHECK_CASE("%s, the state's own is %u s", what, around_300[i]), true); i++)

static unsigned int at_most_300(unsigned int seconds)
{
	return seconds < 300 ? seconds : 300;
}

static void cutting(unsigned int own, enum ct_timeout by)
{
	base = 0;
	connection(CT_ORIGINAL);
	settings.timeout.tcp_timeout_established = own * HZ;
	settings.timeout.tcp_timeout_unacknowledged = 1000000 * HZ;
	settings.timeout.tcp_timeout_max_retrans = 1000000 * HZ;
	CT_TIMEOUT_OF(&settings)[by] = 300 * HZ;
}

// Data that is not acknowledged cuts the timeout to 300 s, and never lengthens it.
TEST(cut_by_unacked)
{
	EACH_AROUND_300 ("unacknowledged data") {
		struct ct_parsed p;

		cutting(around_300[i], CT_T_TCP_UNACK);
		p = fitting();
		p.payload = 1;
		WANT_VERDICT(packet(&p, CT_ORIGINAL), ACCEPT);
		CHECK_EQ(step.timeout, at_most_300(around_300[i]) * HZ);
	}
}

// So does a closed window.
TEST(cut_by_closed_window)
{
	EACH_AROUND_300 ("window 0")
		for (int win = 0; win < 2; win++) {
			struct ct_parsed p;

			cutting(around_300[i], CT_T_TCP_RETRANS);
			p = fitting();
			p.win = win;
			WANT_VERDICT(packet(&p, CT_ORIGINAL), ACCEPT);
			CHECK_EQ(step.timeout,
				 (win ? around_300[i] : at_most_300(around_300[i])) * HZ);
		}
}

// And a flow that was picked up, until it is answered.
TEST(cut_before_the_answer)
{
	EACH_AROUND_300 ("picked up")
		for (int replied = 0; replied < 2; replied++) {
			struct ct_parsed p;

			cutting(around_300[i], CT_T_TCP_UNACK);
			flow.status = CT_S_CONFIRMED | (replied ? CT_S_SEEN_REPLY : 0);
			p = fitting();
			WANT_VERDICT(packet(&p, CT_ORIGINAL), ACCEPT);
			CHECK_EQ(step.timeout,
				 (replied ? around_300[i] : at_most_300(around_300[i])) * HZ);
			CHECK_EQ(step.assured, replied);
		}
}

/* `n` packets that are all the same; the timeout after the last one, in seconds. */
static unsigned int repeated(unsigned int own, unsigned int most, int n)
{
	struct ct_parsed p;

	cutting(own, CT_T_TCP_RETRANS);
	settings.knob.tcp_max_retrans = most;
	p = fitting();
	p.payload = 1;
	for (int i = 0; i < n; i++)
		WANT_VERDICT(packet(&p, CT_ORIGINAL), ACCEPT);
	return (unsigned int)(step.timeout / HZ);
}

// tcp_max_retrans repeats of the same cut it, too: one less does not.
TEST(cut_by_repeats)
{
	for (unsigned int most = 1; most <= 15; most++) {
		CHECK_CASE("tcp_max_retrans %u", most);
		CHECK_EQ(repeated(1000, most, (int)most),
			 1000); /* one less: the first is no repeat */
		CHECK_EQ(repeated(1000, most, (int)most + 1), 300);
		CHECK_EQ(repeated(1000, most, 40), 300);
	}
	CHECK_CASE("tcp_max_retrans 0");
	CHECK_EQ(repeated(1000, 0, 1), 300);
	EACH_AROUND_300 ("repeated")
		CHECK_EQ(repeated(around_300[i], 3, 10), at_most_300(around_300[i]));
}

// A repeat is the same in every field: direction, seq, ack, end and window.
TEST(what_is_a_repeat)
{
	static const char *const fields[] = { "direction", "seq", "ack", "end", "win", "nothing" };

	for (int field = 0; field < 6; field++) {
		enum ct_dir from = CT_ORIGINAL;
		struct ct_parsed p;

		CHECK_CASE("another %s", fields[field]);
		base = 0;
		connection(from);
		p = fitting();
		p.ack = p.sack = N(R_END - 5);
		p.payload = 3;
		WANT(ACCEPTED);
		WANT(ACCEPTED);
		CHECK_EQ(t->retransmits, 1);
		if (field == 0)
			t->last_dir = CT_REPLY;
		if (field == 1) {
			p.seq--;
			p.payload++;
		}
		if (field == 2)
			p.ack = p.sack = N(R_END - 4);
		if (field == 3)
			p.payload++;
		if (field == 4)
			p.win++;
		WANT(ACCEPTED);
		CHECK_EQ(t->retransmits, field == 5 ? 2 : 0);
		CHECK_EQ(t->last_dir, from);
		CHECK_EQ(t->last_seq, p.seq);
		CHECK_EQ(t->last_ack, p.ack);
		CHECK_EQ(t->last_end, p.seq + p.payload);
		CHECK_EQ(t->last_win, p.win);
	}
}

// Only ACKs (with data or without) count as repeats: a FIN that comes again does not.
TEST(fin_is_no_repeat)
{
	struct ct_parsed p;

	base = 0;
	connection(CT_ORIGINAL);
	p = fitting();
	p.tcp_flags = FIN | ACK;
	for (int i = 0; i < 10; i++)
		WANT_VERDICT(packet(&p, CT_ORIGINAL), ACCEPT);
	CHECK_EQ(t->retransmits, 0);
	CHECK_EQ(t->last_end, N(R_END)); /* of the last ACK */
}

// A reset cuts the timeout to that of CLOSE, though data is unacknowledged and the window closed;
// only too many repeats come first, if they cut it at all.
TEST(timeout_of_a_reset)
{
	struct ct_parsed p;

	base = 0;
	connection(CT_ORIGINAL);
	t->peer_flags[CT_ORIGINAL] |= CT_TF_UNACKED;
	settings.timeout.tcp_timeout_close = 400 * HZ;
	p = reset(N(S_END));
	p.win = 0;
	WANT_VERDICT(packet(&p, CT_ORIGINAL), ACCEPT);
	WANT_TIMEOUT(TCP_CLOSE);
	connection(CT_ORIGINAL);
	settings.timeout.tcp_timeout_close = 400 * HZ;
	t->retransmits = 3;
	WANT_VERDICT(packet(&p, CT_ORIGINAL), ACCEPT);
	WANT_TIMEOUT(TCP_RETRANS);
}

/* --- both sides say that it is over ---------------------------------------------------------- */

/* A FIN or reset far outside the window, after one of the other side; what is left, in seconds. */
static unsigned int refused_twice(unsigned int left, unsigned int unacked, __u8 first, __u8 second)
{
	enum ct_dir from = CT_REPLY;
	struct ct_parsed p;

	base = 0;
	connection(from);
	settings.timeout.tcp_timeout_unacknowledged = unacked * HZ;
	flow.expires = now + left * HZ;
	p = fitting();
	p.seq = N(S_MAXEND + 1000000);
	p.tcp_flags = first;
	WANT(SEQ_OVER);
	CHECK_EQ(flow.expires, now + left * HZ);
	from = CT_ORIGINAL;
	p.seq = N(R_MAXEND + 1000000);
	p.ack = p.sack = N(S_END);
	p.tcp_flags = second;
	WANT(SEQ_OVER);
	WANT_STATE(ESTABLISHED);
	if (flow.expires != now + left * HZ) /* the first of the two is still the one remembered */
		CHECK_EQ(t->last_dir, CT_REPLY);
	return (unsigned int)((flow.expires - now) / HZ);
}

// A FIN or reset out of the window, and then one of the other side: the flow's life is cut.
TEST(both_sides_refused)
{
	static const __u8 ends[] = { FIN | ACK, RST };

	for (int i = 0; i < 4; i++) {
		CHECK_CASE("%s, then %s", i & 1 ? "RST" : "FIN", i & 2 ? "RST" : "FIN");
		CHECK_EQ(refused_twice(1000, 300, ends[i & 1], ends[i >> 1]), 300);
	}
	CHECK_CASE("FIN, then data");
	CHECK_EQ(refused_twice(1000, 300, FIN | ACK, ACK), 1000);
	CHECK_CASE("data, then FIN");
	CHECK_EQ(refused_twice(1000, 300, ACK, FIN | ACK), 1000);
}

// ... if 120 s or more are left, and more than it is cut to.
TEST(edge_both_sides_refused)
{
	for (unsigned int left = 119; left <= 121; left++) {
		CHECK_CASE("%u s left, cut to 50 from 120 on", left);
		CHECK_EQ(refused_twice(left, 50, RST, RST), left < 120 ? left : 50);
	}
	for (unsigned int left = 299; left <= 301; left++) {
		CHECK_CASE("%u s left, cut to 300", left);
		CHECK_EQ(refused_twice(left, 300, RST, RST), left < 300 ? left : 300);
	}
}

// The same side saying it twice is not both sides; nor is it anything before the flow is assured.
TEST(one_side_refused)
{
	enum ct_dir from = CT_ORIGINAL;
	struct ct_parsed p;

	base = 0;
	connection(from);
	p = fitting();
	p.tcp_flags = FIN | ACK;
	p.seq = N(S_MAXEND + 1000000);
	WANT(SEQ_OVER);
	WANT(SEQ_OVER);
	WANT_TIMEOUT(TCP_ESTABLISHED);
	CHECK_EQ(t->last_index, CT_TI_FIN);
	CHECK_EQ(t->last_dir, from);
	connection(from);
	flow.status &= ~CT_S_ASSURED;
	t->last_index = CT_TI_FIN;
	WANT_UNCHANGED(WANT(SEQ_OVER));
}

CHECK_MAIN()
