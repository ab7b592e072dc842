// SRC:
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP's states: what each kind of packet does in each of them, and whole connections. The windows
 * have their own tests, proto_tcp_window.c. The rules are those of nf_conntrack_proto_tcp.c.
 */
#include "flow.h"

/* A TCP segment; seq, ack and payload as the test says. */
struct segment {
	__u8 flags;
	__u32 seq, ack, payload;
};

static struct ct_parsed tcp_parsed(const struct segment *s)
{
	return (struct ct_parsed){ .tuple = { .family = CT_IPV4, .proto = CT_IPPROTO_TCP },
				   .tcp_flags = s->flags,
				   .seq = s->seq,
				   .ack = s->ack,
				   .sack = s->ack,
				   .win = 1000,
				   .payload = s->payload };
}

/* The flow's first packet. The reason why it is none, or 0. */
static int opens(const struct segment *s)
{
	struct ct_parsed p = tcp_parsed(s);

	memset(&flow, 0, sizeof(flow));
	return ct_proto_new(&flow, &p, &settings, now);
}
#define OPEN(bits, ...) opens(&(struct segment){ .flags = (bits), __VA_ARGS__ })

static int segment(const struct segment *s, enum ct_dir dir)
{
	struct ct_parsed p = tcp_parsed(s);

	return packet(&p, dir);
}
#define SEND(dir, bits, ...) segment(&(struct segment){ .flags = (bits), __VA_ARGS__ }, (dir))
#define ORIG(...)	     SEND(CT_ORIGINAL, __VA_ARGS__)
#define REPLY(...)	     SEND(CT_REPLY, __VA_ARGS__)

/* The sequence number that the other side waits for: a reset with another one is not believed. */
#define EXACT(dir) .seq = flow.l4.tcp.peer[!(dir)].maxack

/* For conversations about states, which don't bother to count bytes. */
static void begin_liberal(void)
{
	begin();
	settings.knob.tcp_be_liberal = 1;
}

/* --- every kind of packet in every state ----------------------------------------------------- */

/*
 * Who sends what, in which state, and what comes of it: the next state; "invalid" or "ignored",
 * which both keep the state; or "reopens": the flow is over, and the packet the first of another.
 * What follows the comma is for the reader. flow_in() says what else is true of such a flow.
 */
static const char *const cells[] = {
	"original syn in NONE: SYN_SENT, it opens the flow",
	"original syn in SYN_SENT: SYN_SENT, the same SYN again",
	"original syn in SYN_RECV: ignored, if the server answers it we were wrong",
	"original syn in ESTABLISHED: ignored, the server may know better and answer",
	"original syn in FIN_WAIT: ignored, likewise",
	"original syn in CLOSE_WAIT: ignored, likewise",
	"original syn in LAST_ACK: ignored, likewise; the answer may be a challenge ACK",
	"original syn in TIME_WAIT: reopens, after FINs from both sides",
	"original syn in CLOSE: reopens, after a FIN or its own sender's reset",
	"original syn in SYN_SENT2: SYN_SENT2, the same SYN again, while both open",

	"original synack in NONE: invalid, it answers nothing",
	"original synack in SYN_SENT: invalid, the server has sent no SYN",
	"original synack in SYN_RECV: SYN_RECV, answers the server's SYN of a simultaneous open",
	"original synack in ESTABLISHED: invalid",
	"original synack in FIN_WAIT: invalid",
	"original synack in CLOSE_WAIT: invalid",
	"original synack in LAST_ACK: invalid",
	"original synack in TIME_WAIT: invalid",
	"original synack in CLOSE: invalid",
	"original synack in SYN_SENT2: SYN_RECV, both have opened and this side answers",

	"original fin in NONE: invalid, it opens nothing",
	"original fin in SYN_SENT: invalid, there is nothing to close yet",
	"original fin in SYN_RECV: FIN_WAIT, it acknowledges the SYN/ACK as well",
	"original fin in ESTABLISHED: FIN_WAIT, the first FIN",
	"original fin in FIN_WAIT: LAST_ACK, the second FIN",
	"original fin in CLOSE_WAIT: LAST_ACK, the second FIN",
	"original fin in LAST_ACK: LAST_ACK, sent again",
	"original fin in TIME_WAIT: TIME_WAIT, sent again",
	"original fin in CLOSE: CLOSE",
	"original fin in SYN_SENT2: invalid, there is nothing to close yet",

	"original ack in NONE: ESTABLISHED, picked up in the middle",
	"original ack in SYN_SENT: invalid, there is nothing to acknowledge",
	"original ack in SYN_RECV: ESTABLISHED, the end of the handshake",
	"original ack in ESTABLISHED: ESTABLISHED",
	"original ack in FIN_WAIT: CLOSE_WAIT, taken for the FIN's acknowledgement",
	"original ack in CLOSE_WAIT: CLOSE_WAIT",
	"original ack in LAST_ACK: TIME_WAIT, the last FIN's acknowledgement",
	"original ack in TIME_WAIT: TIME_WAIT, sent again",
	"original ack in CLOSE: CLOSE",
	"original ack in SYN_SENT2: invalid, SYN/ACKs come first",

	"original rst in NONE: invalid, there is nothing to reset",
	"original rst in SYN_SENT: CLOSE, given up",
	"original rst in SYN_RECV: CLOSE",
	"original rst in ESTABLISHED: CLOSE, if its sequence number is exact",
	"original rst in FIN_WAIT: CLOSE",
	"original rst in CLOSE_WAIT: CLOSE",
	"original rst in LAST_ACK: CLOSE",
	"original rst in TIME_WAIT: CLOSE",
	"original rst in CLOSE: CLOSE",
	"original rst in SYN_SENT2: CLOSE",

	"original none in NONE: invalid, no such packet exists",
	"original none in SYN_SENT: invalid",
	"original none in SYN_RECV: invalid",
	"original none in ESTABLISHED: invalid",
	"original none in FIN_WAIT: invalid",
	"original none in CLOSE_WAIT: invalid",
	"original none in LAST_ACK: invalid",
	"original none in TIME_WAIT: invalid",
	"original none in CLOSE: invalid",
	"original none in SYN_SENT2: invalid",

	"reply syn in NONE: invalid, a flow does not begin with its answer",
	"reply syn in SYN_SENT: SYN_SENT2, both open at once",
	"reply syn in SYN_RECV: invalid, servers do not open",
	"reply syn in ESTABLISHED: invalid",
	"reply syn in FIN_WAIT: invalid",
	"reply syn in CLOSE_WAIT: invalid",
	"reply syn in LAST_ACK: invalid",
	"reply syn in TIME_WAIT: reopens, the other way round",
	"reply syn in CLOSE: invalid",
	"reply syn in SYN_SENT2: SYN_SENT2, the same SYN again, while both open",

	"reply synack in NONE: invalid, it answers nothing",
	"reply synack in SYN_SENT: SYN_RECV, the answer",
	"reply synack in SYN_RECV: ignored, the answer again",
	"reply synack in ESTABLISHED: ignored, the ACK may have been lost behind us",
	"reply synack in FIN_WAIT: ignored, likewise",
	"reply synack in CLOSE_WAIT: ignored, likewise",
	"reply synack in LAST_ACK: ignored, likewise",
	"reply synack in TIME_WAIT: ignored, likewise",
	"reply synack in CLOSE: ignored, likewise",
	"reply synack in SYN_SENT2: SYN_RECV, both have opened and this side answers",

	"reply fin in NONE: invalid",
	"reply fin in SYN_SENT: invalid, there is nothing to close yet",
	"reply fin in SYN_RECV: FIN_WAIT, the server closes before the handshake's last ACK",
	"reply fin in ESTABLISHED: FIN_WAIT, the first FIN",
	"reply fin in FIN_WAIT: LAST_ACK, the second FIN",
	"reply fin in CLOSE_WAIT: LAST_ACK, the second FIN",
	"reply fin in LAST_ACK: LAST_ACK, sent again",
	"reply fin in TIME_WAIT: TIME_WAIT, sent again",
	"reply fin in CLOSE: CLOSE",
	"reply fin in SYN_SENT2: invalid, there is nothing to close yet",

	"reply ack in NONE: invalid, nothing is picked up by its answer",
	"reply ack in SYN_SENT: ignored, a challenge by a server that knows an older connection",
	"reply ack in SYN_RECV: SYN_RECV, data before the handshake's last ACK",
	"reply ack in ESTABLISHED: ESTABLISHED",
	"reply ack in FIN_WAIT: CLOSE_WAIT, taken for the FIN's acknowledgement",
	"reply ack in CLOSE_WAIT: CLOSE_WAIT",
	"reply ack in LAST_ACK: TIME_WAIT, the last FIN's acknowledgement",
	"reply ack in TIME_WAIT: TIME_WAIT, sent again",
	"reply ack in CLOSE: CLOSE",
	"reply ack in SYN_SENT2: ignored, a challenge perhaps",

	"reply rst in NONE: invalid, there is nothing to reset",
	"reply rst in SYN_SENT: CLOSE, refused",
	"reply rst in SYN_RECV: CLOSE",
	"reply rst in ESTABLISHED: CLOSE, if its sequence number is exact",
	"reply rst in FIN_WAIT: CLOSE",
	"reply rst in CLOSE_WAIT: CLOSE",
	"reply rst in LAST_ACK: CLOSE",
	"reply rst in TIME_WAIT: CLOSE",
	"reply rst in CLOSE: CLOSE",
	"reply rst in SYN_SENT2: CLOSE",

	"reply none in NONE: invalid, no such packet exists",
	"reply none in SYN_SENT: invalid",
	"reply none in SYN_RECV: invalid",
	"reply none in ESTABLISHED: invalid",
	"reply none in FIN_WAIT: invalid",
	"reply none in CLOSE_WAIT: invalid",
	"reply none in LAST_ACK: invalid",
	"reply none in TIME_WAIT: invalid",
	"reply none in CLOSE: invalid",
	"reply none in SYN_SENT2: invalid",
};
#define CELLS (sizeof(cells) / sizeof(cells[0]))

/* The kinds of packets that the cells speak of: a packet of each, and the number it goes by. */
static const struct kind {
	const char *name;
	__u8 flags;
	enum ct_tcp_index index;
} kinds[] = {
	{ "syn", SYN, CT_TI_SYN },	 { "synack", SYN | ACK, CT_TI_SYNACK },
	{ "fin", FIN | ACK, CT_TI_FIN }, { "ack", ACK, CT_TI_ACK },
	{ "rst", RST, CT_TI_RST },	 { "none", 0, CT_TI_NONE },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

enum outcome { INVALID = CT_TCP_STATE_MAX, IGNORED, REOPENS };

/* A cell's sentence, taken apart. */
struct cell {
	enum ct_dir dir;
	const struct kind *kind;
	int state;
	int then; /* a state, or enum outcome */
};

static int state_of(const char *name)
{
	for (int i = 0; i < CT_TCP_STATE_MAX; i++)
		if (!strcmp(name, tcp_state_name(i)))
			return i;
	return -1;
}

static int outcome_of(const char *name)
{
	static const char *const words[] = { "invalid", "ignored", "reopens" };

	for (int i = 0; i < 3; i++)
		if (!strcmp(name, words[i]))
			return INVALID + i;
	return state_of(name);
}

static bool cell_read(const char *sentence, struct cell *c)
{
	char dir[16], kind[16], state[16], then[16];

	if (sscanf(sentence, "%15s %15s in %15[A-Z_0-9]: %15[A-Za-z_0-9]", dir, kind, state,
		   then) != 4)
		return false;
	c->dir = strcmp(dir, "reply") ? CT_ORIGINAL : CT_REPLY;
	c->kind = NULL;
	for (size_t i = 0; i < KINDS; i++)
		if (!strcmp(kind, kinds[i].name))
			c->kind = &kinds[i];
	c->state = state_of(state);
	c->then = outcome_of(then);
	return c->kind && c->state >= 0 && c->then >= 0;
}

/*
 * A flow in `state` whose past is the plainest that leads there: the opening side closed first, or
 * has reset. In the middle of its windows: next are 1000 from the original side, 5000 from the
 * other.
 */
static void flow_in(int state, bool replied)
{
	struct ct_tcp *t = &flow.l4.tcp;

	begin();
	flow.state = state;
	flow.status = CT_S_CONFIRMED | (replied ? CT_S_SEEN_REPLY : 0);
	flow.expires = now + 12345;
	t->peer[CT_ORIGINAL] = (struct ct_tcp_peer){ 1000, 2000, 1000, 5000 };
	t->peer[CT_REPLY] = (struct ct_tcp_peer){ 5000, 6000, 1000, 1000 };
	t->peer_flags[CT_ORIGINAL] = t->peer_flags[CT_REPLY] = CT_TF_MAXACK;
	t->last_index = CT_TI_ACK;
	t->last_dir = CT_ORIGINAL;
	t->last_seq = 7;
	t->last_ack = 8;
	t->last_win = 1000;
	if (state >= CT_TCP_FIN_WAIT) /* in SYN_SENT2 too, where it must not matter */
		t->peer_flags[CT_ORIGINAL] |= CT_TF_CLOSE_INIT;
	if (state == CT_TCP_SYN_SENT) {
		t->peer[CT_REPLY] = (struct ct_tcp_peer){};
		t->last_index = CT_TI_SYN;
	}
}

/* The packet of a cell. A SYN is the one that the side has begun with. */
static struct segment segment_of(const struct cell *c)
{
	__u32 next[] = { 1000, 5000 };

	return (struct segment){ .flags = c->kind->flags,
				 .seq = next[c->dir] - !!(c->kind->flags & SYN),
				 .ack = c->kind->flags & ACK ? next[!c->dir] : 0 };
}

static void want_ignored(const struct cell *c, const struct segment *s)
{
	bool challenge =
		c->dir == CT_REPLY && c->kind->index == CT_TI_ACK && c->state == CT_TCP_SYN_SENT;
	__u64 expires = flow.expires;
	__u32 last_ack = flow.l4.tcp.last_ack;

	WANT_VERDICT(segment(s, c->dir), IGNORE);
	want_state(__FILE__, __LINE__, c->state);
	CHECK_EQ(flow.expires, expires);
	/* Remembered: what comes next may tell what it was. */
	CHECK_EQ(flow.l4.tcp.last_index, c->kind->index);
	CHECK_EQ(flow.l4.tcp.last_dir, c->dir);
	CHECK_EQ(flow.l4.tcp.last_seq, s->seq);
	CHECK_EQ(flow.l4.tcp.last_end, s->seq + !!(s->flags & SYN));
	CHECK_EQ(flow.l4.tcp.last_ack, challenge ? s->ack : last_ack);
	CHECK_EQ(flow.l4.tcp.last_win, 1000);
	CHECK_EQ(step.changed, false);
	CHECK_EQ(step.assured, false);
}

static void want_next_state(const struct cell *c, const struct segment *s, bool replied)
{
	__u64 expires = flow.expires, timeout = CT_TIMEOUT_OF(&settings)[c->then];
	int verdict = segment(s, c->dir);

	want_state(__FILE__, __LINE__, c->then);
	CHECK_EQ(step.changed, c->then != c->state);
	CHECK_EQ(step.assured, replied && c->then == CT_TCP_ESTABLISHED);
	if (!replied && c->kind->index == CT_TI_RST) {
		WANT_VERDICT(verdict, CLOSE); /* there never was a connection */
		return;
	}
	if (!replied && c->kind->index == CT_TI_SYN && c->state == CT_TCP_SYN_SENT) {
		WANT_VERDICT(verdict, IGNORE); /* nobody answers: it is not kept alive */
		CHECK_EQ(flow.expires, expires);
		return;
	}
	WANT_VERDICT(verdict, ACCEPT);
	if (!replied && c->then == CT_TCP_ESTABLISHED)
		timeout = settings.timeout.tcp_timeout_unacknowledged;
	CHECK_EQ(flow.expires - now, timeout);
}

static void want_cell(const struct cell *c, bool replied)
{
	struct segment s = segment_of(c);

	flow_in(c->state, replied);
	switch (c->then) {
	case INVALID:
		WANT_UNCHANGED(WANT_VERDICT(segment(&s, c->dir), REFUSE));
		CHECK_EQ(step.reason, CT_R_TCP_STATE);
		break;
	case IGNORED:
		want_ignored(c, &s);
		break;
	case REOPENS:
		WANT_UNCHANGED(WANT_VERDICT(segment(&s, c->dir), REOPEN));
		break;
	default:
		want_next_state(c, &s, replied);
	}
}

/* In NONE there is no flow: the packet is the first of one, or of none. */
static void want_first(const struct cell *c)
{
	struct segment s = segment_of(c);
	int reason;

	begin();
	reason = opens(&s);
	if (c->then == INVALID) {
		CHECK_EQ(reason, CT_R_TCP_STATE);
		want_cell(c, false);
		return;
	}
	CHECK_EQ(reason, 0);
	want_state(__FILE__, __LINE__, c->then);
}

// Every cell of both tables, each for a flow that has been answered and for one that has not.
TEST(tcp_cells)
{
	struct cell c;

	for (size_t i = 0; i < CELLS; i++)
		for (int replied = 0; replied < 2; replied++) {
			CHECK_CASE("%s%s", cells[i], replied ? "" : " [unreplied]");
			REQUIRE(cell_read(cells[i], &c));
			if (c.state == CT_TCP_NONE && c.dir == CT_ORIGINAL)
				want_first(&c);
			else
				want_cell(&c, replied);
		}
}

// ... and none is left out.
TEST(tcp_cells_are_all_there)
{
	static int seen[CT_DIRS][KINDS][CT_TCP_STATE_MAX];
	struct cell c;

	for (size_t i = 0; i < CELLS; i++)
		if (cell_read(cells[i], &c))
			seen[c.dir][c.kind - kinds][c.state]++;
	for (int dir = 0; dir < CT_DIRS; dir++)
		for (size_t kind = 0; kind < KINDS; kind++)
			for (int state = 0; state < CT_TCP_STATE_MAX; state++) {
				CHECK_CASE("%s %s in %s", dir ? "reply" : "original",
					   kinds[kind].name, tcp_state_name(state));
				CHECK_EQ(seen[dir][kind][state], 1);
			}
	CHECK_EQ(KINDS, CT_TI_MAX);
}

// States have the kernel's numbers: scripts and ctnetlink know them.
TEST(tcp_state_numbers)
{
	static const char *const names[] = { "NONE",	 "SYN_SENT",   "SYN_RECV", "ESTABLISHED",
					     "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT",
					     "CLOSE",	 "SYN_SENT2" };

	CHECK_EQ(CT_TCP_STATE_MAX, 10);
	for (int i = 0; i < 10; i++)
		CHECK_STR(tcp_state_name(i), names[i]);
	CHECK_EQ(CT_T_TCP_SYN_SENT, CT_TCP_SYN_SENT);
	CHECK_EQ(CT_T_TCP_SYN_SENT2, CT_TCP_SYN_SENT2);
}

// Of several flags RST counts first, then SYN with or without ACK, then FIN, then ACK.
TEST(tcp_kinds)
{
	for (int flags = 0; flags < 256; flags++) {
		enum ct_tcp_index want = CT_TI_NONE;

		if (flags & ACK)
			want = CT_TI_ACK;
		if (flags & FIN)
			want = CT_TI_FIN;
		if (flags & SYN)
			want = flags & ACK ? CT_TI_SYNACK : CT_TI_SYN;
		if (flags & RST)
			want = CT_TI_RST;
		CHECK_CASE("flags %02x", flags);
		CHECK_EQ(ct_tcp_index(flags), want);
	}
}

/* --- opening --------------------------------------------------------------------------------- */

// Only a SYN opens a connection, and a bare ACK picks one up; every other first packet is invalid.
TEST(tcp_first_packets)
{
	begin_liberal();
	for (int flags = 0; flags < 256; flags++) {
		if (!ct_tcp_flags_valid(flags))
			continue;
		CHECK_CASE("flags %02x", flags);
		switch (flags & (SYN | FIN | RST | ACK)) {
		case SYN:
			CHECK_EQ(OPEN(flags), 0);
			WANT_STATE(SYN_SENT);
			WANT_TIMEOUT(TCP_SYN_SENT);
			break;
		case ACK:
			CHECK_EQ(OPEN(flags), 0);
			WANT_STATE(ESTABLISHED);
			WANT_TIMEOUT(TCP_UNACK);
			break;
		default:
			CHECK_EQ(OPEN(flags), CT_R_TCP_STATE);
		}
	}
}

// With tcp_loose off, a connection has to begin with a SYN.
TEST(tcp_loose_off)
{
	begin_liberal();
	settings.knob.tcp_loose = 0;
	CHECK_EQ(OPEN(ACK), CT_R_TCP_NO_SYN);
	CHECK_EQ(OPEN(SYN), 0);
	CHECK_EQ(OPEN(RST), CT_R_TCP_STATE);
}

// A connection that was picked up gets 300 s until it is answered, but never more than established.
TEST(tcp_picked_up_timeout)
{
	begin_liberal();
	settings.timeout.tcp_timeout_established = 100 * HZ;
	OPEN(ACK);
	WANT_TIMEOUT(TCP_ESTABLISHED);
	ORIG(ACK);
	WANT_TIMEOUT(TCP_ESTABLISHED);
}

// Picked up: capped until the first answer has been seen, assured by the packet after it.
TEST(tcp_picked_up)
{
	begin_liberal();
	OPEN(ACK);
	WANT_VERDICT(ORIG(ACK, .payload = 10), ACCEPT);
	WANT_TIMEOUT(TCP_UNACK);
	WANT_VERDICT(REPLY(ACK, .ack = 10), ACCEPT);
	WANT_TIMEOUT(TCP_UNACK);
	CHECK_EQ(flow.status, CT_S_SEEN_REPLY);
	WANT_VERDICT(ORIG(ACK, .seq = 10), ACCEPT);
	WANT_TIMEOUT(TCP_ESTABLISHED);
	CHECK_EQ(flow.status, CT_S_SEEN_REPLY | CT_S_ASSURED);
}

// SYN, SYN/ACK, ACK: established and assured; data keeps it so.
TEST(tcp_handshake)
{
	begin_liberal();
	CHECK_EQ(OPEN(SYN, .seq = 100), 0);
	WANT_VERDICT(REPLY(SYN | ACK, .seq = 200, .ack = 101), ACCEPT);
	WANT_STATE(SYN_RECV);
	WANT_TIMEOUT(TCP_SYN_RECV);
	CHECK_EQ(step.changed, true);
	CHECK_EQ(flow.status, CT_S_SEEN_REPLY);
	WANT_VERDICT(ORIG(ACK, .seq = 101, .ack = 201), ACCEPT);
	WANT_STATE(ESTABLISHED);
	WANT_TIMEOUT(TCP_ESTABLISHED);
	CHECK_EQ(flow.status, CT_S_SEEN_REPLY | CT_S_ASSURED);
	WANT_VERDICT(REPLY(PSH | ACK, .payload = 100), ACCEPT);
	WANT_TIMEOUT(TCP_ESTABLISHED);
	CHECK_EQ(step.changed, false);
}

// A connection is not assured by its SYN/ACK, nor while only one side has spoken, nor by closing.
TEST(tcp_not_assured)
{
	begin_liberal();
	OPEN(SYN);
	REPLY(SYN | ACK);
	REPLY(SYN | ACK);
	REPLY(ACK);
	WANT_STATE(SYN_RECV);
	CHECK_EQ(flow.status & CT_S_ASSURED, 0);
	ORIG(FIN | ACK);
	WANT_STATE(FIN_WAIT);
	REPLY(FIN | ACK);
	ORIG(ACK);
	WANT_STATE(TIME_WAIT);
	CHECK_EQ(flow.status & CT_S_ASSURED, 0);
}

// Repeating a SYN that nobody answers does not keep the flow alive.
TEST(tcp_syn_again)
{
	begin_liberal();
	OPEN(SYN, .seq = 100);
	now += 50;
	WANT_UNCHANGED({
		WANT_VERDICT(ORIG(SYN, .seq = 100), IGNORE);
		CHECK_EQ(step.changed, false);
	});
}

// Both sides open at once: SYN_SENT2, then either SYN/ACK, then the ACK of either side.
TEST(tcp_simultaneous_open)
{
	begin_liberal();
	OPEN(SYN, .seq = 100);
	WANT_VERDICT(REPLY(SYN, .seq = 200), IGNORE); /* a SYN while unreplied: as one repeated */
	WANT_STATE(SYN_SENT2);
	CHECK_EQ(step.changed, true);
	WANT_TIMEOUT(TCP_SYN_SENT);
	WANT_VERDICT(ORIG(SYN, .seq = 100), ACCEPT);
	WANT_STATE(SYN_SENT2);
	WANT_TIMEOUT(TCP_SYN_SENT2);
	WANT_VERDICT(ORIG(SYN | ACK, .seq = 100, .ack = 201), ACCEPT);
	WANT_STATE(SYN_RECV);
	WANT_VERDICT(REPLY(SYN | ACK, .seq = 200, .ack = 101), IGNORE);
	WANT_VERDICT(REPLY(ACK, .seq = 201, .ack = 101), ACCEPT);
	WANT_STATE(ESTABLISHED);
	WANT_TIMEOUT(TCP_ESTABLISHED);
	CHECK_EQ(flow.status & CT_S_ASSURED, CT_S_ASSURED);
}

// ... but a SYN that comes after them makes one forget that both had opened.
TEST(tcp_simultaneous_open_forgotten)
{
	begin_liberal();
	OPEN(SYN, .seq = 100);
	REPLY(SYN, .seq = 200);
	ORIG(SYN | ACK, .seq = 100, .ack = 201);
	WANT_STATE(SYN_RECV);
	WANT_VERDICT(ORIG(SYN, .seq = 100), IGNORE);
	WANT_VERDICT(REPLY(ACK, .seq = 201, .ack = 101), ACCEPT);
	WANT_STATE(SYN_RECV);
}

// Without two SYNs, an ACK of the answering side ends no handshake.
TEST(tcp_reply_ack_is_no_handshake)
{
	begin_liberal();
	OPEN(SYN);
	REPLY(SYN | ACK);
	WANT_VERDICT(REPLY(ACK), ACCEPT);
	WANT_STATE(SYN_RECV);
}

// A server that still knows an old connection answers a SYN with a challenge ACK; the RST then
// that the client answers ends the flow, and a SYN/ACK would go on as usual.
TEST(tcp_challenge_ack_to_syn)
{
	begin_liberal();
	OPEN(SYN, .seq = 100);
	WANT_VERDICT(REPLY(ACK, .seq = 900, .ack = 800), IGNORE);
	WANT_STATE(SYN_SENT);
	WANT_TIMEOUT(TCP_SYN_SENT);
	WANT_VERDICT(REPLY(SYN | ACK, .seq = 200, .ack = 101), ACCEPT);
	WANT_STATE(SYN_RECV);
}

/* --- closing --------------------------------------------------------------------------------- */

/* An established connection. */
static void established(void)
{
	begin_liberal();
	OPEN(SYN, .seq = 100);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	ORIG(ACK, .seq = 101, .ack = 201);
	WANT_STATE(ESTABLISHED);
}

// Whoever closes first: FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, each with its own timeout.
TEST(tcp_close)
{
	for (int first = 0; first < 2; first++) {
		CHECK_CASE("%s side first", first ? "reply" : "original");
		established();
		SEND(first, FIN | ACK);
		WANT_STATE(FIN_WAIT);
		WANT_TIMEOUT(TCP_FIN_WAIT);
		CHECK_EQ(flow.l4.tcp.peer_flags[first], CT_TF_MAXACK | CT_TF_CLOSE_INIT);
		CHECK_EQ(flow.l4.tcp.peer_flags[!first], CT_TF_MAXACK);
		SEND(!first, ACK);
		WANT_STATE(CLOSE_WAIT);
		WANT_TIMEOUT(TCP_CLOSE_WAIT);
		SEND(!first, FIN | ACK);
		WANT_STATE(LAST_ACK);
		WANT_TIMEOUT(TCP_LAST_ACK);
		SEND(first, ACK);
		WANT_STATE(TIME_WAIT);
		WANT_TIMEOUT(TCP_TIME_WAIT);
		CHECK_EQ(flow.status & CT_S_ASSURED, CT_S_ASSURED);
	}
}

// A second FIN of the side that closed first does not make the other one the closer.
TEST(tcp_fin_again)
{
	established();
	ORIG(FIN | ACK);
	ORIG(FIN | ACK);
	WANT_STATE(LAST_ACK);
	CHECK_EQ(flow.l4.tcp.peer_flags[CT_ORIGINAL] & CT_TF_CLOSE_INIT, CT_TF_CLOSE_INIT);
	CHECK_EQ(flow.l4.tcp.peer_flags[CT_REPLY] & CT_TF_CLOSE_INIT, 0);
}

// A reset of a connection that was answered closes it; the flow stays for the timeout of CLOSE.
TEST(tcp_reset)
{
	for (int dir = 0; dir < 2; dir++) {
		CHECK_CASE("from the %s side", dir ? "reply" : "original");
		established();
		WANT_VERDICT(SEND(dir, RST, EXACT(dir)), ACCEPT);
		WANT_STATE(CLOSE);
		WANT_TIMEOUT(TCP_CLOSE);
		CHECK_EQ(step.changed, true);
		WANT_VERDICT(SEND(!dir, RST | ACK), ACCEPT);
		WANT_STATE(CLOSE);
		CHECK_EQ(step.changed, false);
	}
}

// A reset of what was never answered ends the flow at once, whoever sends it.
TEST(tcp_refused)
{
	for (int dir = 0; dir < 2; dir++) {
		CHECK_CASE("from the %s side", dir ? "reply" : "original");
		begin_liberal();
		OPEN(SYN);
		WANT_VERDICT(SEND(dir, RST | ACK), CLOSE);
		begin_liberal();
		OPEN(ACK);
		WANT_VERDICT(SEND(dir, RST), CLOSE);
	}
}

/* --- again ----------------------------------------------------------------------------------- */

// A SYN to a connection that was closed by FINs opens the next one, from either side.
TEST(tcp_reopen_after_fin)
{
	for (int dir = 0; dir < 2; dir++)
		for (int closer = 0; closer < 2; closer++) {
			CHECK_CASE("closed by %d, opened by %d", closer, dir);
			established();
			SEND(closer, FIN | ACK);
			SEND(!closer, FIN | ACK);
			SEND(closer, ACK);
			WANT_STATE(TIME_WAIT);
			WANT_UNCHANGED(WANT_VERDICT(SEND(dir, SYN), REOPEN));
		}
}

// A SYN after a reset: believed from the side that sent the reset, let through from the other.
TEST(tcp_reopen_after_reset)
{
	established();
	ORIG(RST, EXACT(CT_ORIGINAL));
	WANT_VERDICT(ORIG(SYN, .seq = 900), REOPEN);

	established();
	REPLY(RST, EXACT(CT_REPLY));
	WANT_VERDICT(ORIG(SYN, .seq = 900), IGNORE);
	WANT_STATE(CLOSE);

	/* In CLOSE, a SYN of the answering side opens nothing. */
	established();
	REPLY(RST, EXACT(CT_REPLY));
	WANT_VERDICT(REPLY(SYN, .seq = 900), REFUSE);
}

// A reset after a FIN: the connection was closed, and a SYN of either reason opens the next.
TEST(tcp_reopen_after_fin_and_reset)
{
	established();
	REPLY(FIN | ACK);
	REPLY(RST, EXACT(CT_REPLY));
	WANT_STATE(CLOSE);
	WANT_VERDICT(ORIG(SYN, .seq = 900), REOPEN);
}

// Only the last packet's reset counts: one that something followed may have been a forgery.
TEST(tcp_reset_and_then_something)
{
	established();
	ORIG(RST, EXACT(CT_ORIGINAL));
	REPLY(ACK);
	WANT_STATE(CLOSE);
	WANT_VERDICT(ORIG(SYN, .seq = 900), IGNORE);
}

// A SYN that we ignored and the other side answers: both hosts know better, and we follow.
TEST(tcp_resync)
{
	static const int states[] = { CT_TCP_SYN_RECV, CT_TCP_ESTABLISHED, CT_TCP_FIN_WAIT,
				      CT_TCP_CLOSE_WAIT, CT_TCP_LAST_ACK };

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		CHECK_CASE("%s", tcp_state_name(states[i]));
		flow_in(states[i], true);
		flow.l4.tcp.peer_flags[CT_REPLY] = CT_TF_CLOSE_INIT;
		WANT_VERDICT(ORIG(SYN, .seq = 5000), IGNORE);
		CHECK_EQ(flow.state, states[i]);
		WANT_VERDICT(REPLY(SYN | ACK, .seq = 7000, .ack = 5001), ACCEPT);
		WANT_STATE(SYN_RECV);
		WANT_TIMEOUT(TCP_SYN_RECV);
		CHECK_EQ(step.changed, true);
		CHECK_EQ(flow.l4.tcp.peer_flags[CT_REPLY] & CT_TF_CLOSE_INIT, 0);
		ORIG(ACK, .seq = 5001, .ack = 7001);
		WANT_STATE(ESTABLISHED);
	}
	CHECK_CASE("CLOSE, after a reset that we could not trust");
	established();
	REPLY(RST);
	ORIG(SYN, .seq = 5000);
	WANT_VERDICT(REPLY(SYN | ACK, .ack = 5001), ACCEPT);
	WANT_STATE(SYN_RECV);
}

// ... but only if it acknowledges exactly that SYN, data on it included, and answers it at once.
TEST(tcp_no_resync)
{
	established();
	ORIG(SYN, .seq = 5000);
	WANT_VERDICT(REPLY(SYN | ACK, .ack = 5000), IGNORE);
	WANT_STATE(ESTABLISHED);

	established();
	ORIG(SYN, .seq = 5000);
	WANT_VERDICT(REPLY(SYN | ACK, .ack = 5002), IGNORE);

	established();
	ORIG(SYN, .seq = 5000, .payload = 10);
	WANT_VERDICT(REPLY(SYN | ACK, .ack = 5001), IGNORE);
	established();
	ORIG(SYN, .seq = 5000, .payload = 10);
	WANT_VERDICT(REPLY(SYN | ACK, .ack = 5011), ACCEPT);
	WANT_STATE(SYN_RECV);

	established();
	ORIG(SYN, .seq = 5000);
	ORIG(ACK, .seq = 101);
	WANT_VERDICT(REPLY(SYN | ACK, .ack = 5001), IGNORE);
	WANT_STATE(ESTABLISHED);

	established();
	WANT_VERDICT(REPLY(SYN | ACK, .ack = 101), IGNORE);
}

// Sequence numbers wrap.
TEST(tcp_resync_wraps)
{
	established();
	ORIG(SYN, .seq = 0xffffffff);
	WANT_VERDICT(REPLY(SYN | ACK, .ack = 0), ACCEPT);
	WANT_STATE(SYN_RECV);
}

// In LAST_ACK an ignored SYN makes the other side send a challenge ACK (RFC 5961), which does not
// acknowledge the last FIN: the state stays. The ACK after it may.
TEST(tcp_challenge_ack_in_last_ack)
{
	established();
	REPLY(FIN | ACK, .seq = 201, .ack = 101);
	ORIG(FIN | ACK, .seq = 101, .ack = 202);
	WANT_STATE(LAST_ACK);
	WANT_VERDICT(ORIG(SYN, .seq = 5000), IGNORE);
	WANT_VERDICT(REPLY(ACK, .seq = 202, .ack = 101), IGNORE);
	WANT_STATE(LAST_ACK);
	WANT_VERDICT(REPLY(ACK, .seq = 202, .ack = 102), ACCEPT);
	WANT_STATE(TIME_WAIT);
}

// ... if it is the next packet: after another one of the SYN's side it is an ACK like others.
TEST(tcp_no_challenge_ack_in_last_ack)
{
	established();
	REPLY(FIN | ACK, .seq = 201, .ack = 101);
	ORIG(FIN | ACK, .seq = 101, .ack = 202);
	ORIG(SYN, .seq = 5000);
	ORIG(FIN | ACK, .seq = 101, .ack = 202);
	WANT_STATE(LAST_ACK);
	REPLY(ACK, .seq = 202, .ack = 102);
	WANT_STATE(TIME_WAIT);
}

CHECK_MAIN()
