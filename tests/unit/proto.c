// SRC:
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The protocol trackers: what a packet does to its flow, and for how long the flow is kept then.
 * The clock, the settings and the packets are the test's.
 */
#include <stdio.h>

#include "check.h"
#include "proto.h"

#define HZ 250

enum {
	FIN = 0x01,
	SYN = 0x02,
	RST = 0x04,
	PSH = 0x08,
	ACK = 0x10,
	URG = 0x20,
	ECE = 0x40,
	CWR = 0x80,
};

static struct ct_settings settings;
static struct ct_entry flow;
static struct ct_step step;
static __u64 now;

/*
 * A flow as the core keeps it: settings with a value of its own for each timeout, so that one
 * taken for another shows; 300 s for "unacknowledged" between the short ones and "established".
 */
static void begin(void)
{
	memset(&settings, 0, sizeof(settings));
	memset(&flow, 0, sizeof(flow));
	for (int i = 0; i < CT_T_MAX; i++)
		settings.timeout[i] = 1000 + 10 * i;
	settings.timeout[CT_T_TCP_ESTABLISHED] = 432000 * HZ;
	settings.timeout[CT_T_TCP_UNACK] = 300 * HZ;
	settings.timeout[CT_T_TCP_RETRANS] = 300 * HZ;
	settings.knob[CT_K_TCP_LOOSE] = 1;
	settings.knob[CT_K_TCP_MAX_RETRANS] = 3;
	settings.knob[CT_K_TCP_BE_LIBERAL] = 1; /* these tests are about states, not windows */
	settings.hz = HZ;
	now = 1000000;
}

static const char *const state_names[] = {
#define X(id, name) name,
	CT_TCP_STATES(X)
#undef X
};

static const char *name_of(int state)
{
	return state >= 0 && state < CT_TCP_STATE_MAX ? state_names[state]
						      : "a number of no meaning";
}

static bool want_state(const char *file, int line, int want)
{
	if (flow.state == want)
		return true;
	check_fail(file, line);
	printf("state: got %s, wanted %s\n", name_of(flow.state), name_of(want));
	return false;
}
#define WANT_STATE(name) want_state(__FILE__, __LINE__, CT_TCP_##name)

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

/* A packet of the flow, with what the core does after the tracker. The tracker's verdict. */
static int packet(const struct ct_parsed *p, enum ct_dir dir)
{
	memset(&step, 0xa5, sizeof(step));
	ct_proto_packet(&flow, p, dir, &settings, now, &step);
	if (step.verdict == CT_V_REFUSE || step.verdict == CT_V_REOPEN)
		return step.verdict;
	if (dir == CT_REPLY)
		flow.status |= CT_S_SEEN_REPLY;
	if (step.assured)
		flow.status |= CT_S_ASSURED;
	if (step.verdict == CT_V_ACCEPT)
		flow.expires = now + step.timeout;
	return step.verdict;
}

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

#define WANT_TIMEOUT(id) CHECK_EQ(flow.expires - now, settings.timeout[CT_T_##id])
#define WANT_UNCHANGED(statement)                                                                  \
	do {                                                                                       \
		struct ct_entry before = flow;                                                     \
		statement;                                                                         \
		CHECK_MEM(&flow, &before, sizeof(flow));                                           \
	} while (0)

/* --- TCP: the tables ------------------------------------------------------------------------- */

/*
 * nf_conntrack's tables once more, as text: a letter pair per state in the order of their numbers,
 * NO SS SR ES FW CW LA TW CL S2. IV: invalid; IG: ignored.
 */
static const struct row {
	const char *kind;
	__u8 flags;
	const char *cells[CT_DIRS];
} rows[] = {
	{ "syn", SYN, { "SS SS IG IG IG IG IG SS SS S2", "IV S2 IV IV IV IV IV SS IV S2" } },
	{ "synack",
	  SYN | ACK,
	  { "IV IV SR IV IV IV IV IV IV SR", "IV SR IG IG IG IG IG IG IG SR" } },
	{ "fin", FIN | ACK, { "IV IV FW FW LA LA LA TW CL IV", "IV IV FW FW LA LA LA TW CL IV" } },
	{ "ack", ACK, { "ES IV ES ES CW CW TW TW CL IV", "IV IG SR ES CW CW TW TW CL IG" } },
	{ "rst", RST, { "IV CL CL CL CL CL CL CL CL CL", "IV CL CL CL CL CL CL CL CL CL" } },
	{ "none", 0, { "IV IV IV IV IV IV IV IV IV IV", "IV IV IV IV IV IV IV IV IV IV" } },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static int cell_value(const char *cell)
{
	static const char words[] = "NO SS SR ES FW CW LA TW CL S2 IV IG";

	for (int i = 0; i < 12; i++)
		if (!strncmp(words + 3 * i, cell, 2))
			return i;
	return -1;
}

/* What the text above says: a state's number, CT_IV or CT_IG. */
static int table(int dir, size_t row, int state)
{
	return cell_value(rows[row].cells[dir] + 3 * state);
}

// Both tables are nf_conntrack's, cell by cell.
TEST(tcp_tables)
{
	CHECK_EQ(ROWS, CT_TI_MAX);
	for (int dir = 0; dir < 2; dir++)
		for (size_t row = 0; row < ROWS; row++)
			for (int state = 0; state < CT_TCP_STATE_MAX; state++) {
				CHECK_CASE("%s %s in %s", dir ? "reply" : "original",
					   rows[row].kind, name_of(state));
				CHECK(table(dir, row, state) >= 0);
				CHECK_EQ(ct_tcp_table[dir][row][state], table(dir, row, state));
			}
}

// States have the kernel's numbers: scripts and ctnetlink know them.
TEST(tcp_state_numbers)
{
	static const char *const names[] = { "NONE",	 "SYN_SENT",   "SYN_RECV", "ESTABLISHED",
					     "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT",
					     "CLOSE",	 "SYN_SENT2" };

	CHECK_EQ(CT_TCP_STATE_MAX, 10);
	for (int i = 0; i < 10; i++)
		CHECK_STR(state_names[i], names[i]);
	CHECK_EQ(CT_T_TCP_SYN_SENT, CT_TCP_SYN_SENT);
	CHECK_EQ(CT_T_TCP_SYN_SENT2, CT_TCP_SYN_SENT2);
}

// Of several flags RST counts first, then SYN with or without ACK, then FIN, then ACK.
TEST(tcp_kinds)
{
	for (int flags = 0; flags < 256; flags++) {
		const char *want = "none", *got = rows[ct_tcp_index(flags)].kind;

		if (flags & ACK)
			want = "ack";
		if (flags & FIN)
			want = "fin";
		if (flags & SYN)
			want = flags & ACK ? "synack" : "syn";
		if (flags & RST)
			want = "rst";
		CHECK_CASE("flags %02x", flags);
		CHECK_STR(got, want);
	}
}

/* A flow in `state`, replied or not, of whose past nothing special is known. */
static void flow_in(int state, bool replied)
{
	begin();
	flow.state = state;
	flow.status = CT_S_CONFIRMED | (replied ? CT_S_SEEN_REPLY : 0);
	flow.expires = now + 12345;
	flow.l4.tcp.last_index = CT_TI_ACK;
	flow.l4.tcp.last_seq = 1;
}

static void want_cell(int dir, size_t row, int state, bool replied)
{
	const struct segment s = { .flags = rows[row].flags, .seq = 5000, .ack = 6000 };
	int cell = table(dir, row, state);
	bool ignored = cell == CT_IG;
	__u64 expires, want_timeout;

	/* An ended connection is opened anew only if its end was seen: here none was. */
	if (cell == CT_TCP_SYN_SENT && state >= CT_TCP_TIME_WAIT)
		ignored = true;
	flow_in(state, replied);
	expires = flow.expires;
	if (cell == CT_IV) {
		WANT_UNCHANGED(CHECK_EQ(segment(&s, dir), CT_V_REFUSE));
		CHECK_EQ(step.reason, CT_R_TCP_STATE);
		return;
	}
	if (ignored) {
		CHECK_EQ(segment(&s, dir), CT_V_IGNORE);
		CHECK_EQ(flow.state, state);
		CHECK_EQ(flow.expires, expires);
		CHECK_EQ(flow.l4.tcp.last_index, ct_tcp_index(s.flags));
		CHECK_EQ(flow.l4.tcp.last_dir, dir);
		CHECK_EQ(flow.l4.tcp.last_seq, 5000);
		CHECK_EQ(step.changed, false);
		CHECK_EQ(step.assured, false);
		return;
	}
	segment(&s, dir);
	CHECK_EQ(flow.state, cell);
	CHECK_EQ(step.changed, cell != state);
	CHECK_EQ(step.assured, replied && cell == CT_TCP_ESTABLISHED &&
				       (state == CT_TCP_SYN_RECV || state == CT_TCP_ESTABLISHED));
	if (!replied && s.flags & RST) {
		CHECK_EQ(step.verdict, CT_V_CLOSE);
		return;
	}
	if (!replied && s.flags == SYN && state == CT_TCP_SYN_SENT) {
		CHECK_EQ(step.verdict, CT_V_IGNORE);
		CHECK_EQ(flow.expires, expires);
		return;
	}
	CHECK_EQ(step.verdict, CT_V_ACCEPT);
	want_timeout = settings.timeout[s.flags & RST ? CT_T_TCP_CLOSE : cell];
	if (!replied && cell == CT_TCP_ESTABLISHED)
		want_timeout = settings.timeout[CT_T_TCP_UNACK];
	CHECK_EQ(step.timeout, want_timeout);
}

// Every kind of packet in every state, both ways, replied or not, does what its cell says.
TEST(tcp_every_packet_in_every_state)
{
	for (int replied = 0; replied < 2; replied++)
		for (int dir = 0; dir < 2; dir++)
			for (size_t row = 0; row < ROWS; row++)
				for (int state = 1; state < CT_TCP_STATE_MAX; state++) {
					CHECK_CASE("%s %s in %s, %s", dir ? "reply" : "original",
						   rows[row].kind, name_of(state),
						   replied ? "replied" : "unreplied");
					want_cell(dir, row, state, replied);
				}
}

/* --- TCP: opening ---------------------------------------------------------------------------- */

// Only a SYN opens a connection, and a bare ACK picks one up; every other first packet is invalid.
TEST(tcp_first_packets)
{
	begin();
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
	begin();
	settings.knob[CT_K_TCP_LOOSE] = 0;
	CHECK_EQ(OPEN(ACK), CT_R_TCP_NO_SYN);
	CHECK_EQ(OPEN(SYN), 0);
	CHECK_EQ(OPEN(RST), CT_R_TCP_STATE);
}

// A connection that was picked up gets 300 s until it is answered, but never more than established.
TEST(tcp_picked_up_timeout)
{
	begin();
	settings.timeout[CT_T_TCP_ESTABLISHED] = 100 * HZ;
	OPEN(ACK);
	WANT_TIMEOUT(TCP_ESTABLISHED);
	ORIG(ACK);
	WANT_TIMEOUT(TCP_ESTABLISHED);
}

// Picked up: capped until the first answer has been seen, assured by the packet after it.
TEST(tcp_picked_up)
{
	begin();
	OPEN(ACK);
	CHECK_EQ(ORIG(ACK, .payload = 10), CT_V_ACCEPT);
	WANT_TIMEOUT(TCP_UNACK);
	CHECK_EQ(REPLY(ACK, .ack = 10), CT_V_ACCEPT);
	WANT_TIMEOUT(TCP_UNACK);
	CHECK_EQ(flow.status, CT_S_SEEN_REPLY);
	CHECK_EQ(ORIG(ACK, .seq = 10), CT_V_ACCEPT);
	WANT_TIMEOUT(TCP_ESTABLISHED);
	CHECK_EQ(flow.status, CT_S_SEEN_REPLY | CT_S_ASSURED);
}

// SYN, SYN/ACK, ACK: established and assured; data keeps it so.
TEST(tcp_handshake)
{
	begin();
	CHECK_EQ(OPEN(SYN, .seq = 100), 0);
	CHECK_EQ(REPLY(SYN | ACK, .seq = 200, .ack = 101), CT_V_ACCEPT);
	WANT_STATE(SYN_RECV);
	WANT_TIMEOUT(TCP_SYN_RECV);
	CHECK_EQ(step.changed, true);
	CHECK_EQ(flow.status, CT_S_SEEN_REPLY);
	CHECK_EQ(ORIG(ACK, .seq = 101, .ack = 201), CT_V_ACCEPT);
	WANT_STATE(ESTABLISHED);
	WANT_TIMEOUT(TCP_ESTABLISHED);
	CHECK_EQ(flow.status, CT_S_SEEN_REPLY | CT_S_ASSURED);
	CHECK_EQ(REPLY(PSH | ACK, .payload = 100), CT_V_ACCEPT);
	WANT_TIMEOUT(TCP_ESTABLISHED);
	CHECK_EQ(step.changed, false);
}

// A connection is not assured by its SYN/ACK, nor while only one side has spoken, nor by closing.
TEST(tcp_not_assured)
{
	begin();
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
	begin();
	OPEN(SYN, .seq = 100);
	now += 50;
	WANT_UNCHANGED({
		CHECK_EQ(ORIG(SYN, .seq = 100), CT_V_IGNORE);
		CHECK_EQ(step.changed, false);
	});
}

// Both sides open at once: SYN_SENT2, then either SYN/ACK, then the ACK of either side.
TEST(tcp_simultaneous_open)
{
	begin();
	OPEN(SYN, .seq = 100);
	CHECK_EQ(REPLY(SYN, .seq = 200), CT_V_IGNORE); /* a SYN while unreplied: as one repeated */
	WANT_STATE(SYN_SENT2);
	CHECK_EQ(step.changed, true);
	WANT_TIMEOUT(TCP_SYN_SENT);
	CHECK_EQ(ORIG(SYN, .seq = 100), CT_V_ACCEPT);
	WANT_STATE(SYN_SENT2);
	WANT_TIMEOUT(TCP_SYN_SENT2);
	CHECK_EQ(ORIG(SYN | ACK, .seq = 100, .ack = 201), CT_V_ACCEPT);
	WANT_STATE(SYN_RECV);
	CHECK_EQ(REPLY(SYN | ACK, .seq = 200, .ack = 101), CT_V_IGNORE);
	CHECK_EQ(REPLY(ACK, .seq = 201, .ack = 101), CT_V_ACCEPT);
	WANT_STATE(ESTABLISHED);
	WANT_TIMEOUT(TCP_ESTABLISHED);
	CHECK_EQ(flow.status & CT_S_ASSURED, CT_S_ASSURED);
}

// Without two SYNs, an ACK of the answering side ends no handshake.
TEST(tcp_reply_ack_is_no_handshake)
{
	begin();
	OPEN(SYN);
	REPLY(SYN | ACK);
	CHECK_EQ(REPLY(ACK), CT_V_ACCEPT);
	WANT_STATE(SYN_RECV);
}

// A server that still knows an old connection answers a SYN with a challenge ACK; the RST then
// that the client answers ends the flow, and a SYN/ACK would go on as usual.
TEST(tcp_challenge_ack_to_syn)
{
	begin();
	OPEN(SYN, .seq = 100);
	CHECK_EQ(REPLY(ACK, .seq = 900, .ack = 800), CT_V_IGNORE);
	WANT_STATE(SYN_SENT);
	WANT_TIMEOUT(TCP_SYN_SENT);
	CHECK_EQ(REPLY(SYN | ACK, .seq = 200, .ack = 101), CT_V_ACCEPT);
	WANT_STATE(SYN_RECV);
}

/* --- TCP: closing ---------------------------------------------------------------------------- */

/* An established connection. */
static void established(void)
{
	begin();
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
		CHECK_EQ(flow.l4.tcp.peer_flags[first] & CT_TF_CLOSE_INIT, CT_TF_CLOSE_INIT);
		CHECK_EQ(flow.l4.tcp.peer_flags[!first] & CT_TF_CLOSE_INIT, 0);
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
		CHECK_EQ(SEND(dir, RST, EXACT(dir)), CT_V_ACCEPT);
		WANT_STATE(CLOSE);
		WANT_TIMEOUT(TCP_CLOSE);
		CHECK_EQ(step.changed, true);
		CHECK_EQ(SEND(!dir, RST | ACK), CT_V_ACCEPT);
		WANT_STATE(CLOSE);
		CHECK_EQ(step.changed, false);
	}
}

// A reset of what was never answered ends the flow at once, whoever sends it.
TEST(tcp_refused)
{
	for (int dir = 0; dir < 2; dir++) {
		CHECK_CASE("from the %s side", dir ? "reply" : "original");
		begin();
		OPEN(SYN);
		CHECK_EQ(SEND(dir, RST | ACK), CT_V_CLOSE);
		begin();
		OPEN(ACK);
		CHECK_EQ(SEND(dir, RST), CT_V_CLOSE);
	}
}

/* --- TCP: again ------------------------------------------------------------------------------ */

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
			WANT_UNCHANGED(CHECK_EQ(SEND(dir, SYN), CT_V_REOPEN));
		}
}

// A SYN after a reset: believed from the side that sent the reset, let through from the other.
TEST(tcp_reopen_after_reset)
{
	established();
	ORIG(RST, EXACT(CT_ORIGINAL));
	CHECK_EQ(ORIG(SYN, .seq = 900), CT_V_REOPEN);

	established();
	REPLY(RST, EXACT(CT_REPLY));
	CHECK_EQ(ORIG(SYN, .seq = 900), CT_V_IGNORE);
	WANT_STATE(CLOSE);

	/* In CLOSE, a SYN of the answering side opens nothing. */
	established();
	REPLY(RST, EXACT(CT_REPLY));
	CHECK_EQ(REPLY(SYN, .seq = 900), CT_V_REFUSE);
}

// A reset after a FIN: the connection was closed, and a SYN of either reason opens the next.
TEST(tcp_reopen_after_fin_and_reset)
{
	established();
	REPLY(FIN | ACK);
	REPLY(RST, EXACT(CT_REPLY));
	WANT_STATE(CLOSE);
	CHECK_EQ(ORIG(SYN, .seq = 900), CT_V_REOPEN);
}

// Only the last packet's reset counts: one that something followed may have been a forgery.
TEST(tcp_reset_and_then_something)
{
	established();
	ORIG(RST, EXACT(CT_ORIGINAL));
	REPLY(ACK);
	WANT_STATE(CLOSE);
	CHECK_EQ(ORIG(SYN, .seq = 900), CT_V_IGNORE);
}

// A SYN that we ignored and the other side answers: both hosts know better, and we follow.
TEST(tcp_resync)
{
	static const int states[] = { CT_TCP_SYN_RECV, CT_TCP_ESTABLISHED, CT_TCP_FIN_WAIT,
				      CT_TCP_CLOSE_WAIT, CT_TCP_LAST_ACK };

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		CHECK_CASE("%s", name_of(states[i]));
		flow_in(states[i], true);
		flow.l4.tcp.peer_flags[CT_REPLY] = CT_TF_CLOSE_INIT;
		CHECK_EQ(ORIG(SYN, .seq = 5000), CT_V_IGNORE);
		CHECK_EQ(flow.state, states[i]);
		CHECK_EQ(REPLY(SYN | ACK, .seq = 7000, .ack = 5001), CT_V_ACCEPT);
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
	CHECK_EQ(REPLY(SYN | ACK, .ack = 5001), CT_V_ACCEPT);
	WANT_STATE(SYN_RECV);
}

// ... but only if it acknowledges exactly that SYN, data on it included, and answers it at once.
TEST(tcp_no_resync)
{
	established();
	ORIG(SYN, .seq = 5000);
	CHECK_EQ(REPLY(SYN | ACK, .ack = 5000), CT_V_IGNORE);
	WANT_STATE(ESTABLISHED);

	established();
	ORIG(SYN, .seq = 5000);
	CHECK_EQ(REPLY(SYN | ACK, .ack = 5002), CT_V_IGNORE);

	established();
	ORIG(SYN, .seq = 5000, .payload = 10);
	CHECK_EQ(REPLY(SYN | ACK, .ack = 5001), CT_V_IGNORE);
	established();
	ORIG(SYN, .seq = 5000, .payload = 10);
	CHECK_EQ(REPLY(SYN | ACK, .ack = 5011), CT_V_ACCEPT);
	WANT_STATE(SYN_RECV);

	established();
	ORIG(SYN, .seq = 5000);
	ORIG(ACK, .seq = 101);
	CHECK_EQ(REPLY(SYN | ACK, .ack = 5001), CT_V_IGNORE);
	WANT_STATE(ESTABLISHED);

	established();
	CHECK_EQ(REPLY(SYN | ACK, .ack = 101), CT_V_IGNORE);
}

// Sequence numbers wrap.
TEST(tcp_resync_wraps)
{
	established();
	ORIG(SYN, .seq = 0xffffffff);
	CHECK_EQ(REPLY(SYN | ACK, .ack = 0), CT_V_ACCEPT);
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
	CHECK_EQ(ORIG(SYN, .seq = 5000), CT_V_IGNORE);
	REPLY(ACK, .seq = 202, .ack = 101);
	WANT_STATE(LAST_ACK);
	REPLY(ACK, .seq = 202, .ack = 102);
	WANT_STATE(TIME_WAIT);
}

/* --- UDP ------------------------------------------------------------------------------------- */

static struct ct_parsed udp_parsed(void)
{
	return (struct ct_parsed){ .tuple = { .family = CT_IPV4, .proto = CT_IPPROTO_UDP } };
}

static void udp_open(void)
{
	struct ct_parsed p = udp_parsed();

	memset(&flow, 0, sizeof(flow));
	CHECK_EQ(ct_proto_new(&flow, &p, &settings, now), 0);
}

static void udp(enum ct_dir dir)
{
	struct ct_parsed p = udp_parsed();

	CHECK_EQ(packet(&p, dir), CT_V_ACCEPT);
	CHECK_EQ(step.changed, false);
}

#define WANT_STREAM()                                                                              \
	do {                                                                                       \
		WANT_TIMEOUT(UDP_STREAM);                                                          \
		CHECK_EQ(flow.status &CT_S_ASSURED, CT_S_ASSURED);                                 \
	} while (0)
#define WANT_NO_STREAM()                                                                           \
	do {                                                                                       \
		WANT_TIMEOUT(UDP);                                                                 \
		CHECK_EQ(flow.status &CT_S_ASSURED, 0);                                            \
	} while (0)

// Unanswered UDP never becomes a stream, however long it goes on.
TEST(udp_unreplied)
{
	begin();
	udp_open();
	WANT_NO_STREAM();
	for (int i = 0; i < 10; i++) {
		now += HZ;
		udp(CT_ORIGINAL);
		WANT_NO_STREAM();
	}
}

// Answered within two seconds it is no stream yet; the first packet after them makes it one.
TEST(udp_stream)
{
	begin();
	udp_open();
	udp(CT_REPLY);
	WANT_NO_STREAM();
	now += 2 * HZ - 1;
	udp(CT_ORIGINAL);
	WANT_NO_STREAM();
	now++;
	udp(CT_ORIGINAL); /* at two seconds exactly */
	WANT_NO_STREAM();
	now++;
	udp(CT_ORIGINAL);
	WANT_STREAM();
	udp(CT_REPLY);
	WANT_STREAM();
}

// A first reply that comes late still finds an unreplied flow; the packet after it makes a stream.
TEST(udp_late_reply)
{
	begin();
	udp_open();
	now += 20 * HZ;
	udp(CT_REPLY);
	WANT_NO_STREAM();
	udp(CT_ORIGINAL);
	WANT_STREAM();
}

// The two seconds are right across the wrap of the clock's low half.
TEST(udp_wrap)
{
	for (int before = -3; before <= 2 * HZ + 3; before++) {
		CHECK_CASE("begun %d ticks before the wrap", before);
		begin();
		now = 0x500000000ULL - before;
		udp_open();
		udp(CT_REPLY);
		now += 2 * HZ;
		udp(CT_ORIGINAL);
		WANT_NO_STREAM();
		now++;
		udp(CT_ORIGINAL);
		WANT_STREAM();
	}
}

// Once a stream, always a stream: also after 2^31 ticks (99 days at 250 Hz, 25 at 1000).
TEST(udp_old_stream)
{
	begin();
	udp_open();
	udp(CT_REPLY);
	for (int i = 1; i <= 64 && check_failures < 2; i++) {
		CHECK_CASE("%d times 2^27 ticks later", i);
		now += 1ULL << 27;
		udp(CT_ORIGINAL);
		WANT_STREAM();
	}
}

// The two seconds are seconds whatever the kernel's clock rate is.
TEST(udp_hz)
{
	static const __u32 rates[] = { 100, 250, 300, 1000 };

	for (size_t i = 0; i < 4; i++) {
		CHECK_CASE("%u Hz", rates[i]);
		begin();
		settings.hz = rates[i];
		udp_open();
		udp(CT_REPLY);
		now += 2 * rates[i];
		udp(CT_ORIGINAL);
		WANT_NO_STREAM();
		now++;
		udp(CT_ORIGINAL);
		WANT_STREAM();
	}
}

/* --- ICMP and the rest ----------------------------------------------------------------------- */

static struct ct_parsed icmp_parsed(__u8 family, __u8 type)
{
	return (struct ct_parsed){ .tuple = { .family = family,
					      .proto = family == CT_IPV4 ? 1 : 58,
					      .dport = htobe16(type << 8) } };
}

// Of all types only the questions open a flow.
TEST(icmp_only_questions_open)
{
	begin();
	for (int type = 0; type < 256; type++) {
		struct ct_parsed p4 = icmp_parsed(CT_IPV4, type), p6 = icmp_parsed(CT_IPV6, type);
		bool asks4 = type == 8 || type == 13 || type == 15 || type == 17;
		bool asks6 = type == 128 || type == 139;

		CHECK_CASE("ICMP type %d", type);
		CHECK_EQ(ct_proto_new(&flow, &p4, &settings, now), asks4 ? 0 : CT_R_ICMP_UNASKED);
		CHECK_CASE("ICMPv6 type %d", type);
		CHECK_EQ(ct_proto_new(&flow, &p6, &settings, now), asks6 ? 0 : CT_R_ICMP_UNASKED);
	}
}

// Questions and answers refresh the flow, each family with its own timeout, and never assure it.
TEST(icmp_timeouts)
{
	struct ct_parsed question4 = icmp_parsed(CT_IPV4, 8), answer4 = icmp_parsed(CT_IPV4, 0);
	struct ct_parsed question6 = icmp_parsed(CT_IPV6, 128), answer6 = icmp_parsed(CT_IPV6, 129);

	begin();
	CHECK_EQ(ct_proto_new(&flow, &question4, &settings, now), 0);
	WANT_TIMEOUT(ICMP);
	now += 100;
	CHECK_EQ(packet(&answer4, CT_REPLY), CT_V_ACCEPT);
	WANT_TIMEOUT(ICMP);
	now += 1000;
	CHECK_EQ(packet(&question4, CT_ORIGINAL), CT_V_ACCEPT);
	CHECK_EQ(flow.status, CT_S_SEEN_REPLY);

	begin();
	CHECK_EQ(ct_proto_new(&flow, &question6, &settings, now), 0);
	WANT_TIMEOUT(ICMPV6);
	now += 100;
	CHECK_EQ(packet(&answer6, CT_REPLY), CT_V_ACCEPT);
	WANT_TIMEOUT(ICMPV6);
}

// Every other protocol, ICMP in the wrong family among them: one timeout, no state, never assured.
TEST(generic_protocols)
{
	for (int family = 0; family < 2; family++)
		for (int proto = 0; proto < 256; proto++) {
			struct ct_parsed p = { .tuple = { .family = family ? CT_IPV6 : CT_IPV4,
							  .proto = proto } };

			if (proto == 6 || proto == 17 || proto == (family ? 58 : 1))
				continue;
			CHECK_CASE("protocol %d over IPv%d", proto, family ? 6 : 4);
			begin();
			CHECK_EQ(ct_proto_new(&flow, &p, &settings, now), 0);
			WANT_TIMEOUT(GENERIC);
			now += 1000;
			CHECK_EQ(packet(&p, CT_REPLY), CT_V_ACCEPT);
			WANT_TIMEOUT(GENERIC);
			now += 10 * HZ;
			CHECK_EQ(packet(&p, CT_ORIGINAL), CT_V_ACCEPT);
			CHECK_EQ(flow.status, CT_S_SEEN_REPLY);
			CHECK_EQ(flow.state, 0);
		}
}

// The defaults are the kernel's.
TEST(default_settings)
{
	static const struct {
		const char *key;
		long value;
	} want[] = { { "tcp_timeout_syn_sent", 120 },
		     { "tcp_timeout_syn_recv", 60 },
		     { "tcp_timeout_established", 432000 },
		     { "tcp_timeout_fin_wait", 120 },
		     { "tcp_timeout_close_wait", 60 },
		     { "tcp_timeout_last_ack", 30 },
		     { "tcp_timeout_time_wait", 120 },
		     { "tcp_timeout_close", 10 },
		     { "tcp_timeout_syn_sent2", 120 },
		     { "tcp_timeout_unacknowledged", 300 },
		     { "udp_timeout", 30 },
		     { "udp_timeout_stream", 120 },
		     { "icmp_timeout", 30 },
		     { "icmpv6_timeout", 30 },
		     { "generic_timeout", 600 },
		     { "tcp_loose", 1 },
		     { "checksum", 1 },
		     { "acct", 1 },
		     { "drop_invalid", 0 },
		     { "full", 0 } };
	static const struct {
		const char *key;
		long value;
	} have[] = {
#define X(id, key, seconds, help) { key, seconds },
		CT_TIMEOUTS(X)
#undef X
#define X(id, key, value, largest, help) { key, value },
			CT_KNOBS(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		int found = 0;

		CHECK_CASE("%s", want[i].key);
		for (size_t j = 0; j < sizeof(have) / sizeof(have[0]); j++) {
			if (!have[j].key || strcmp(have[j].key, want[i].key))
				continue;
			found++;
			CHECK_EQ(have[j].value, want[i].value);
		}
		CHECK_EQ(found, 1);
	}
}

CHECK_MAIN()
