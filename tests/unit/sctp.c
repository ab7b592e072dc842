// SRC: tests/unit/packet.c
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The SCTP tracker: packets as they are on the wire, through the parser, into a flow. What is wanted
 * is what nf_conntrack_proto_sctp.c does.
 */
#include <stdio.h>

#include "check.h"
#include "names.h"
#include "packet.h"
#include "proto.h"

#define HZ 250

/* The tags of an association, as packets of each direction carry them. */
#define ATAG 0x0a0a0a0a
#define BTAG 0x0b0b0b0b

static struct ct_settings settings;
static struct ct_parsed parsed;
static struct ct_entry flow;
static struct ct_step step;
static __u64 now;
static struct pkt p;

static void begin(void)
{
	memset(&settings, 0, sizeof(settings));
	memset(&flow, 0, sizeof(flow));
	/* A value of its own for each timeout, so that one taken for another shows. */
	for (int i = 0; i < CT_T_MAX; i++)
		CT_TIMEOUT_OF(&settings)[i] = 1000 + 10 * i;
	settings.hz = HZ;
	now = 1000000;
}

static int parse(uint32_t tag, const char *chunks)
{
	pkt_build(&p, &(struct pkt_desc){ .l3 = true,
					  .src = "10.0.1.1",
					  .dst = "10.0.2.1",
					  .sport = 1000,
					  .dport = 2000,
					  .vtag = tag,
					  .chunks = chunks });
	return ct_parse(&parsed, p.data, p.data + p.len, p.len, CT_FRAME_L3);
}

/* The flow's first packet: 0, or the reason why it is none. */
static int opens(uint32_t tag, const char *chunks)
{
	int reason = parse(tag, chunks);

	memset(&flow, 0, sizeof(flow));
	if (!reason)
		reason = ct_proto_new(&flow, &parsed, &settings, now);
	if (!reason)
		flow.status = CT_S_CONFIRMED;
	return reason;
}

/* A packet of the flow, with what the core does after the tracker: 0, or why it is refused. */
static int says(enum ct_dir dir, uint32_t tag, const char *chunks)
{
	int reason = parse(tag, chunks);

	memset(&step, 0xa5, sizeof(step));
	if (reason)
		return reason;
	ct_proto_packet(&flow, &parsed, dir, &settings, now, &step);
	if (step.assured)
		flow.status |= CT_S_ASSURED;
	if (step.verdict == CT_V_REFUSE)
		return step.reason;
	if (dir == CT_REPLY)
		flow.status |= CT_S_SEEN_REPLY;
	if (step.verdict == CT_V_ACCEPT)
		flow.expires = now + step.timeout;
	return 0;
}

static bool want_reason(const char *file, int line, int got, int want)
{
	if (got == want)
		return true;
	check_fail(file, line);
	printf("reason: got %s, wanted %s\n", reason_name(got), reason_name(want));
	return false;
}

static bool want_state(const char *file, int line, int want)
{
	if (flow.state == want)
		return true;
	check_fail(file, line);
	printf("state: got %s, wanted %s\n", sctp_state_name(flow.state), sctp_state_name(want));
	return false;
}

#define REASON(got, want)   want_reason(__FILE__, __LINE__, (got), CT_R_##want)
#define OPEN(tag, chunks)   REASON(opens((tag), (chunks)), NONE)
#define A(chunks)	    REASON(says(CT_ORIGINAL, ATAG, (chunks)), NONE)
#define B(chunks)	    REASON(says(CT_REPLY, BTAG, (chunks)), NONE)
#define A_TAG(tag, chunks)  REASON(says(CT_ORIGINAL, (tag), (chunks)), NONE)
#define B_TAG(tag, chunks)  REASON(says(CT_REPLY, (tag), (chunks)), NONE)
#define AT(name)	    want_state(__FILE__, __LINE__, CT_SCTP_##name)
#define WANT_TIMEOUT(id)    CHECK_EQ(flow.expires - now, CT_TIMEOUT_OF(&settings)[CT_T_SCTP_##id])
#define WANT_UNCHANGED(statement)                                                                  \
	do {                                                                                       \
		struct ct_entry before = flow;                                                     \
		statement;                                                                         \
		CHECK_MEM(&flow, &before, sizeof(flow));                                           \
	} while (0)

/* A flow in `state`, confirmed and answered, of which both tags are known. */
static void flow_in(int state)
{
	begin();
	flow.state = state;
	flow.status = CT_S_CONFIRMED | CT_S_SEEN_REPLY;
	flow.expires = now + 12345;
	flow.l4.sctp.tag[CT_ORIGINAL] = htobe32(ATAG);
	flow.l4.sctp.tag[CT_REPLY] = htobe32(BTAG);
}

/* An association by the book. The tag of an INIT is the one its sender wants to see. */
static void handshake(void)
{
	begin();
	OPEN(0, "init 0x0b0b0b0b");
	B("init_ack 0x0a0a0a0a");
	A("cookie_echo");
	B("cookie_ack");
}

/* --- the table ------------------------------------------------------------------------------- */

/*
 * nf_conntrack's table once more, as text: a letter pair per state in the order of their numbers,
 * NO CL CW CE ES SS SR SA HS. IV: invalid. `tag` is as the packet's direction has to carry it: 'r'
 * right, '0' zero, 'o' that of the other direction.
 */
static const struct row {
	const char *kind;
	const char *chunk[CT_DIRS];
	char tag;
	const char *cells[CT_DIRS];
} rows[] = {
	{ "INIT",
	  { "init 0x0b0b0b0b", "init 0x0a0a0a0a" },
	  '0',
	  { "CL CL CW CE ES CL CL SA CW", "IV CL CW CE ES SS SR SA IV" } },
	{ "INIT ACK",
	  { "init_ack 0x0b0b0b0b", "init_ack 0x0a0a0a0a" },
	  'r',
	  { "CL CL CW CE ES SS SR SA CL", "IV CW CW CE ES SS SR SA IV" } },
	{ "ABORT",
	  { "abort", "abort" },
	  'r',
	  { "CL CL CL CL CL CL CL CL CL", "IV CL CL CL CL CL CL CL IV" } },
	{ "ABORT with T",
	  { "abort T", "abort T" },
	  'o',
	  { "CL CL CL CL CL CL CL CL CL", "IV CL CL CL CL CL CL CL IV" } },
	{ "SHUTDOWN",
	  { "shutdown", "shutdown" },
	  'r',
	  { "CL CL CW CE SS SS SR SA CL", "IV CL CW CE SR SS SR SA IV" } },
	{ "SHUTDOWN ACK",
	  { "shutdown_ack", "shutdown_ack" },
	  'r',
	  { "SA CL CW CE ES SA SA SA SA", "IV CL CW CE ES SA SA SA IV" } },
	{ "ERROR",
	  { "error", "error" },
	  'r',
	  { "CL CL CW CE ES SS SR SA CL", "IV CL CW CL ES SS SR SA IV" } },
	{ "COOKIE ECHO",
	  { "cookie_echo", "cookie_echo" },
	  'r',
	  { "CL CL CE CE ES SS SR SA CL", "IV CL CE CE ES SS SR SA IV" } },
	{ "COOKIE ACK",
	  { "cookie_ack", "cookie_ack" },
	  'r',
	  { "CL CL CW ES ES SS SR SA CL", "IV CL CW ES ES SS SR SA IV" } },
	{ "SHUTDOWN COMPLETE",
	  { "shutdown_complete", "shutdown_complete" },
	  'r',
	  { "CL CL CW CE ES SS SR CL CL", "IV CL CW CE ES SS SR CL IV" } },
	{ "SHUTDOWN COMPLETE with T",
	  { "shutdown_complete T", "shutdown_complete T" },
	  'o',
	  { "CL CL CW CE ES SS SR CL CL", "IV CL CW CE ES SS SR CL IV" } },
	{ "HEARTBEAT",
	  { "heartbeat", "heartbeat" },
	  'r',
	  { "HS CL CW CE ES SS SR SA HS", "IV CL CW CE ES SS SR SA HS" } },
	{ "HEARTBEAT ACK",
	  { "heartbeat_ack", "heartbeat_ack" },
	  'r',
	  { "CL CL CW CE ES SS SR SA HS", "IV CL CW CE ES SS SR SA ES" } },
	{ "DATA",
	  { "data 10", "data 10" },
	  'r',
	  { "NO CL CW CE ES SS SR SA HS", "NO CL CW CE ES SS SR SA HS" } },
	{ "SACK",
	  { "sack", "sack" },
	  'r',
	  { "NO CL CW CE ES SS SR SA HS", "NO CL CW CE ES SS SR SA HS" } },
	{ "a chunk nobody knows",
	  { "type 200", "type 200" },
	  'r',
	  { "NO CL CW CE ES SS SR SA HS", "NO CL CW CE ES SS SR SA HS" } },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

#define INVALID 9

/* What the text says: a state's number, or INVALID. */
static int cell(const struct row *row, int dir, int state)
{
	static const char words[] = "NO CL CW CE ES SS SR SA HS IV";

	for (int i = 0; i <= INVALID; i++)
		if (!strncmp(words + 3 * i, row->cells[dir] + 3 * state, 2))
			return i;
	return -1;
}

static uint32_t tag_of(const struct row *row, int dir)
{
	if (row->tag == '0')
		return 0;
	return (row->tag == 'r') == (dir == CT_ORIGINAL) ? ATAG : BTAG;
}

static void want_cell(const struct row *row, int dir, int state)
{
	int want = cell(row, dir, state), reason;
	struct ct_entry before;

	flow_in(state);
	before = flow;
	reason = says(dir, tag_of(row, dir), row->chunk[dir]);
	if (want == INVALID) {
		REASON(reason, SCTP_STATE);
		CHECK_MEM(&flow, &before, sizeof(flow));
		return;
	}
	if (!REASON(reason, NONE))
		return;
	want_state(__FILE__, __LINE__, want);
	CHECK_EQ(step.changed, want != state);
	CHECK_EQ(step.assured, want != state && want == CT_SCTP_ESTABLISHED);
	if (!strcmp(row->kind, "INIT") && state == CT_SCTP_CLOSED && want == state) {
		CHECK_EQ(step.verdict, CT_V_IGNORE);
		CHECK_EQ(flow.expires, before.expires);
		return;
	}
	CHECK_EQ(step.verdict, CT_V_ACCEPT);
	CHECK_EQ(step.timeout, CT_TIMEOUT_OF(&settings)[CT_T_SCTP_CLOSED + want - CT_SCTP_CLOSED]);
}

// Every chunk in every state, both ways, does what its cell says.
TEST(every_chunk_in_every_state)
{
	for (size_t row = 0; row < ROWS; row++)
		for (int dir = 0; dir < 2; dir++)
			for (int state = 1; state < CT_SCTP_STATE_MAX; state++) {
				CHECK_CASE("%s %s in %s", dir ? "reply" : "original",
					   rows[row].kind, sctp_state_name(state));
				CHECK(cell(&rows[row], dir, state) >= 0);
				want_cell(&rows[row], dir, state);
			}
}

// States have the kernel's numbers and names, and each its timeout.
TEST(states)
{
	static const char *const names[] = { "NONE",	      "CLOSED",	       "COOKIE_WAIT",
					     "COOKIE_ECHOED", "ESTABLISHED",   "SHUTDOWN_SENT",
					     "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT" };
	static const char *const timeouts[] = {
#define X(id, key, seconds, help) [CT_T_##id] = #key,
		CT_TIMEOUTS(X)
#undef X
	};

	CHECK_EQ(CT_SCTP_STATE_MAX, 9);
	for (int i = 0; i < 9; i++) {
		char key[64] = "sctp_timeout_", *end = key + strlen(key);

		CHECK_STR(sctp_state_name(i), names[i]);
		if (!i)
			continue;
		for (const char *c = names[i]; *c; c++)
			*end++ = *c == '_' ? '_' : (char)(*c | 0x20);
		*end = '\0';
		CHECK_STR(timeouts[CT_T_SCTP_CLOSED + i - CT_SCTP_CLOSED], key);
	}
}

/* --- opening --------------------------------------------------------------------------------- */

// Which chunks may begin a flow, with a tag and without: the column NONE of the original direction.
TEST(first_packets)
{
	static const struct {
		const char *chunks;
		int with_tag, without; /* reasons */
		int state;
	} firsts[] = {
		{ "init 7", CT_R_SCTP_TAG, 0, CT_SCTP_CLOSED },
		{ "init_ack 7", CT_R_SCTP_TAG, 0, CT_SCTP_CLOSED },
		{ "abort", CT_R_SCTP_FIRST, CT_R_SCTP_FIRST, 0 },
		{ "abort T", CT_R_SCTP_FIRST, CT_R_SCTP_FIRST, 0 },
		{ "shutdown", CT_R_SCTP_TAG, 0, CT_SCTP_CLOSED },
		{ "shutdown_ack", 0, 0, CT_SCTP_SHUTDOWN_ACK_SENT },
		{ "error", CT_R_SCTP_TAG, 0, CT_SCTP_CLOSED },
		{ "cookie_echo", CT_R_SCTP_TAG, 0, CT_SCTP_CLOSED },
		{ "cookie_ack", CT_R_SCTP_FIRST, CT_R_SCTP_FIRST, 0 },
		{ "shutdown_complete", CT_R_SCTP_FIRST, CT_R_SCTP_FIRST, 0 },
		{ "shutdown_complete T", CT_R_SCTP_FIRST, CT_R_SCTP_FIRST, 0 },
		{ "heartbeat", 0, 0, CT_SCTP_HEARTBEAT_SENT },
		{ "heartbeat_ack", 0, 0, CT_SCTP_CLOSED },
		{ "data 10", CT_R_SCTP_FIRST, CT_R_SCTP_FIRST, 0 },
		{ "sack", CT_R_SCTP_FIRST, CT_R_SCTP_FIRST, 0 },
		{ "type 200", CT_R_SCTP_FIRST, CT_R_SCTP_FIRST, 0 },
		{ "heartbeat, data 10", CT_R_SCTP_FIRST, CT_R_SCTP_FIRST, 0 },
		{ "heartbeat, abort", CT_R_SCTP_FIRST, CT_R_SCTP_FIRST, 0 },
		/* One chunk after the other: HS, then what its cell says. */
		{ "heartbeat, shutdown_ack", 0, 0, CT_SCTP_SHUTDOWN_ACK_SENT },
		{ "heartbeat, heartbeat_ack", 0, 0, CT_SCTP_HEARTBEAT_SENT },
		{ "heartbeat, error", 0, 0, CT_SCTP_CLOSED },
		{ "shutdown_ack, heartbeat", 0, 0, CT_SCTP_SHUTDOWN_ACK_SENT },
		{ "cookie_echo, heartbeat", 0, 0, CT_SCTP_CLOSED },
	};

	begin();
	for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++)
		for (int tag = 0; tag < 2; tag++) {
			int want = tag ? firsts[i].with_tag : firsts[i].without;

			CHECK_CASE("%s, tag %d", firsts[i].chunks, tag);
			want_reason(__FILE__, __LINE__, opens(tag, firsts[i].chunks), want);
			if (want)
				continue;
			want_state(__FILE__, __LINE__, firsts[i].state);
			CHECK_EQ(flow.expires - now, CT_TIMEOUT_OF(&settings)[CT_T_SCTP_CLOSED +
								     firsts[i].state - 1]);
		}
}

// The four packets of an opening, data, and the three of an end.
TEST(by_the_book)
{
	begin();
	OPEN(0, "init 0x0b0b0b0b");
	AT(CLOSED);
	WANT_TIMEOUT(CLOSED);
	B("init_ack 0x0a0a0a0a");
	AT(COOKIE_WAIT);
	WANT_TIMEOUT(COOKIE_WAIT);
	CHECK_EQ(step.changed, true);
	A("cookie_echo, data 100");
	AT(COOKIE_ECHOED);
	WANT_TIMEOUT(COOKIE_ECHOED);
	CHECK_EQ(flow.status & CT_S_ASSURED, 0);
	B("cookie_ack, sack");
	AT(ESTABLISHED);
	WANT_TIMEOUT(ESTABLISHED);
	CHECK_EQ(flow.status & CT_S_ASSURED, CT_S_ASSURED);
	A("data 1, data 2, data 3");
	B("sack, data 1000");
	CHECK_EQ(step.changed, false);
	WANT_TIMEOUT(ESTABLISHED);
	A("shutdown");
	AT(SHUTDOWN_SENT);
	B("shutdown_ack");
	AT(SHUTDOWN_ACK_SENT);
	A("shutdown_complete");
	AT(CLOSED);
	WANT_TIMEOUT(CLOSED);
	CHECK_EQ(flow.status & CT_S_ASSURED, CT_S_ASSURED);
}

// INITs that nobody answers do not keep the flow; before it is confirmed they do.
TEST(init_again)
{
	__u64 expires;

	begin();
	OPEN(0, "init 7");
	expires = flow.expires;
	now += 100;
	A_TAG(0, "init 8");
	CHECK_EQ(step.verdict, CT_V_IGNORE);
	CHECK_EQ(flow.expires, expires);
	/* ... but it is the new tag that counts. */
	REASON(says(CT_REPLY, 7, "init_ack 9"), SCTP_TAG);
	B_TAG(8, "init_ack 9");
	AT(COOKIE_WAIT);
	now += 100;
	A_TAG(0, "init 8");
	AT(COOKIE_WAIT);
	WANT_TIMEOUT(COOKIE_WAIT);

	begin();
	OPEN(0, "init 7");
	flow.status = 0;
	now += 100;
	A_TAG(0, "init 7");
	WANT_TIMEOUT(CLOSED);
}

/* --- tags ------------------------------------------------------------------------------------ */

// Whatever the chunk, a packet with a wrong tag is refused, and changes nothing.
TEST(wrong_tags)
{
	static const uint32_t wrong[] = { 0, 1, ATAG ^ 0x80000000, BTAG ^ 1 };

	for (size_t row = 0; row < ROWS; row++)
		for (int dir = 0; dir < 2; dir++)
			for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
				uint32_t tag = wrong[i];

				if (tag == tag_of(&rows[row], dir))
					continue;
				/* Answered below; and a SHUTDOWN ACK's is not looked at. */
				if (strstr(rows[row].kind, "HEARTBEAT") ||
				    !strcmp(rows[row].kind, "SHUTDOWN ACK"))
					continue;
				CHECK_CASE("%s %s with %08x", dir ? "reply" : "original",
					   rows[row].kind, tag);
				flow_in(CT_SCTP_ESTABLISHED);
				WANT_UNCHANGED(REASON(says(dir, tag, rows[row].chunk[dir]),
						      SCTP_TAG));
			}
}

// ABORT and SHUTDOWN COMPLETE: with T the tag is the other direction's, without it is this one's.
TEST(t_bit)
{
	static const char *const chunks[][2] = { { "abort", "abort T" },
						 { "shutdown_complete", "shutdown_complete T" } };

	for (int i = 0; i < 2; i++)
		for (int dir = 0; dir < 2; dir++)
			for (int t = 0; t < 2; t++) {
				uint32_t own = dir ? BTAG : ATAG, other = dir ? ATAG : BTAG;

				CHECK_CASE("%s from %s", chunks[i][t], dir ? "b" : "a");
				flow_in(CT_SCTP_SHUTDOWN_ACK_SENT);
				WANT_UNCHANGED(REASON(says(dir, t ? own : other, chunks[i][t]),
						      SCTP_TAG));
				REASON(says(dir, t ? other : own, chunks[i][t]), NONE);
				AT(CLOSED);
			}
}

// A SHUTDOWN ACK is believed with any tag; so the host that has forgotten can still end it.
TEST(shutdown_ack_with_any_tag)
{
	flow_in(CT_SCTP_SHUTDOWN_SENT);
	B_TAG(0x12345678, "shutdown_ack");
	AT(SHUTDOWN_ACK_SENT);
	A_TAG(BTAG, "shutdown_complete T");
	AT(CLOSED);
}

// One chunk of those that have a rule of their own takes the others past the common rule.
TEST(tags_of_bundles)
{
	flow_in(CT_SCTP_ESTABLISHED);
	REASON(says(CT_ORIGINAL, 99, "shutdown, data 10"), SCTP_TAG);
	AT(ESTABLISHED);
	A_TAG(99, "shutdown_ack, shutdown, data 10");
	AT(SHUTDOWN_SENT);
}

// SHUTDOWN ACK of an association that was never seen: its answer carries the same tag.
TEST(out_of_the_blue)
{
	begin();
	OPEN(77, "shutdown_ack");
	REASON(says(CT_REPLY, 76, "shutdown_complete"), SCTP_TAG);
	B_TAG(77, "shutdown_complete");
	AT(CLOSED);
	begin();
	OPEN(77, "shutdown_ack");
	B_TAG(77, "abort");
	AT(CLOSED);
}

// A chunk that is refused makes the packet invalid; what those before it did stays.
TEST(third_chunk_refused)
{
	__u64 expires;

	flow_in(CT_SCTP_ESTABLISHED);
	expires = flow.expires;
	now++;
	REASON(says(CT_ORIGINAL, ATAG, "data 5, shutdown, abort T"), SCTP_TAG);
	AT(SHUTDOWN_SENT);
	CHECK_EQ(flow.expires, expires);
	/* Listeners hear of it with the next packet, once. */
	B("data 5");
	CHECK_EQ(step.changed, true);
	WANT_TIMEOUT(SHUTDOWN_SENT);
	B("data 5");
	CHECK_EQ(step.changed, false);

	CHECK_CASE("assured");
	flow_in(CT_SCTP_COOKIE_ECHOED);
	REASON(says(CT_REPLY, BTAG, "cookie_ack, abort T"), SCTP_TAG);
	AT(ESTABLISHED);
	CHECK_EQ(flow.status & CT_S_ASSURED, CT_S_ASSURED);

	CHECK_CASE("nothing done");
	flow_in(CT_SCTP_ESTABLISHED);
	WANT_UNCHANGED(REASON(says(CT_ORIGINAL, ATAG, "data 5, sack, abort T, shutdown"), SCTP_TAG));
	A("data 5");
	CHECK_EQ(step.changed, false);
}

// Chunks act in their order, and the last state's timeout counts.
TEST(in_order)
{
	flow_in(CT_SCTP_ESTABLISHED);
	A("shutdown, shutdown_ack");
	AT(SHUTDOWN_ACK_SENT);
	WANT_TIMEOUT(SHUTDOWN_ACK_SENT);
	flow_in(CT_SCTP_ESTABLISHED);
	A("shutdown_ack, shutdown");
	AT(SHUTDOWN_SENT);
	WANT_TIMEOUT(SHUTDOWN_SENT);
	flow_in(CT_SCTP_COOKIE_ECHOED);
	B("cookie_ack, shutdown, abort");
	AT(CLOSED);
	CHECK_EQ(flow.status & CT_S_ASSURED, CT_S_ASSURED);
}

/* --- further paths --------------------------------------------------------------------------- */

// A path that is opened by a HEARTBEAT: answered, it is established. The tags are believed.
TEST(heartbeat_path)
{
	begin();
	OPEN(ATAG, "heartbeat");
	AT(HEARTBEAT_SENT);
	WANT_TIMEOUT(HEARTBEAT_SENT);
	now += 10;
	A("heartbeat");
	WANT_TIMEOUT(HEARTBEAT_SENT);
	B("heartbeat_ack");
	AT(ESTABLISHED);
	WANT_TIMEOUT(ESTABLISHED);
	CHECK_EQ(flow.status & CT_S_ASSURED, CT_S_ASSURED);
	A("data 10");
	B("sack");
	REASON(says(CT_ORIGINAL, BTAG, "data 10"), SCTP_TAG);
	REASON(says(CT_REPLY, ATAG, "sack"), SCTP_TAG);
}

// The other side tries such a path, too: it waits on, and then it, too, is answered.
TEST(heartbeats_from_both)
{
	begin();
	OPEN(ATAG, "heartbeat");
	B("heartbeat");
	AT(HEARTBEAT_SENT);
	A("heartbeat_ack");
	AT(HEARTBEAT_SENT);
	B("heartbeat_ack");
	AT(ESTABLISHED);
}

// A path that we see first by an answer on it: the tag of its direction is known, the other is not.
TEST(path_from_the_middle)
{
	begin();
	OPEN(ATAG, "heartbeat_ack");
	AT(CLOSED);
	REASON(says(CT_REPLY, ATAG, "data 1"), SCTP_TAG);
	REASON(says(CT_REPLY, BTAG, "data 1"), SCTP_TAG);
	A("data 1");
	B("heartbeat");
	AT(CLOSED);
	B("data 1");
}

// Nothing but heartbeats comes back on such a path, until it is established.
TEST(heartbeat_path_is_no_association)
{
	begin();
	OPEN(ATAG, "heartbeat");
	REASON(says(CT_REPLY, 0, "init 5"), SCTP_STATE);
	REASON(says(CT_REPLY, 0, "data 5"), NONE); /* no tag is known yet: 0 */
	AT(HEARTBEAT_SENT);
	REASON(says(CT_REPLY, BTAG, "data 5"), SCTP_TAG);
	AT(HEARTBEAT_SENT);
	A_TAG(0, "init 5");
	AT(COOKIE_WAIT);
}

// A HEARTBEAT with another tag is let through; answered from the other side, it was right.
TEST(heartbeat_with_another_tag)
{
	__u64 expires;

	flow_in(CT_SCTP_ESTABLISHED);
	expires = flow.expires;
	now++;
	A_TAG(111, "heartbeat");
	CHECK_EQ(step.verdict, CT_V_IGNORE);
	CHECK_EQ(flow.expires, expires);
	A("data 1"); /* the old one still holds */
	B_TAG(222, "heartbeat_ack");
	CHECK_EQ(step.verdict, CT_V_ACCEPT);
	WANT_TIMEOUT(ESTABLISHED);
	B_TAG(222, "data 1");
	REASON(says(CT_REPLY, BTAG, "data 1"), SCTP_TAG);
	/* The first heartbeat of the side that asked says its new tag. */
	REASON(says(CT_ORIGINAL, 111, "data 1"), SCTP_TAG);
	A_TAG(111, "heartbeat");
	A_TAG(111, "data 1");
	REASON(says(CT_ORIGINAL, ATAG, "data 1"), SCTP_TAG);
}

// An answer with another tag counts only if the other side asked with another tag just before.
TEST(heartbeat_ack_with_another_tag)
{
	flow_in(CT_SCTP_ESTABLISHED);
	WANT_UNCHANGED(REASON(says(CT_REPLY, 222, "heartbeat_ack"), SCTP_TAG));

	CHECK_CASE("asked by itself");
	flow_in(CT_SCTP_ESTABLISHED);
	B_TAG(222, "heartbeat");
	WANT_UNCHANGED(REASON(says(CT_REPLY, 222, "heartbeat_ack"), SCTP_TAG));
	A_TAG(111, "heartbeat_ack");
	A_TAG(111, "data 1");

	CHECK_CASE("a right heartbeat in between");
	for (int dir = 0; dir < 2; dir++)
		for (int ack = 0; ack < 2; ack++) {
			flow_in(CT_SCTP_ESTABLISHED);
			A_TAG(111, "heartbeat");
			REASON(says(dir, dir ? BTAG : ATAG, ack ? "heartbeat_ack" : "heartbeat"),
			       NONE);
			REASON(says(CT_REPLY, 222, "heartbeat_ack"), SCTP_TAG);
		}
}

// With data, or twice in one packet, another tag is refused.
TEST(heartbeat_with_another_tag_and_more)
{
	flow_in(CT_SCTP_ESTABLISHED);
	WANT_UNCHANGED(REASON(says(CT_ORIGINAL, 111, "heartbeat, data 1"), SCTP_TAG));
	WANT_UNCHANGED(REASON(says(CT_ORIGINAL, 111, "data 1, heartbeat"), SCTP_TAG));
	REASON(says(CT_ORIGINAL, 111, "heartbeat, heartbeat"), SCTP_TAG);
	flow_in(CT_SCTP_ESTABLISHED);
	REASON(says(CT_ORIGINAL, 111, "heartbeat, heartbeat, heartbeat, heartbeat"), SCTP_TAG);
	flow_in(CT_SCTP_ESTABLISHED);
	REASON(says(CT_ORIGINAL, 111, "heartbeat, heartbeat_ack"), SCTP_TAG);
	/* The first of them was remembered. */
	B_TAG(222, "heartbeat_ack");
	/* What other chunks do behind one is done, but the flow is not refreshed for it. */
	flow_in(CT_SCTP_ESTABLISHED);
	now++;
	A_TAG(111, "heartbeat, shutdown");
	CHECK_EQ(step.verdict, CT_V_IGNORE);
	AT(SHUTDOWN_SENT);
	CHECK_EQ(step.changed, true);
}

/* --- collisions (RFC 9260 5.2) --------------------------------------------------------------- */

// Both open at once: the INIT ACK that repeats its sender's INIT counts, another is a late one.
TEST(both_open)
{
	begin();
	OPEN(0, "init 0x0b0b0b0b"); /* a's */
	B_TAG(0, "init 0x0a0a0a0a");
	AT(CLOSED);
	/* a answers b's INIT with the tag of its own INIT. */
	REASON(says(CT_ORIGINAL, ATAG, "init_ack 0x0c0c0c0c"), SCTP_TAG);
	A("init_ack 0x0b0b0b0b");
	/* b answers a's INIT. */
	REASON(says(CT_REPLY, BTAG, "init_ack 0x0d0d0d0d"), SCTP_TAG);
	B("init_ack 0x0a0a0a0a");
	AT(COOKIE_WAIT);
	B("cookie_echo");
	AT(COOKIE_ECHOED);
	A("cookie_ack");
	AT(ESTABLISHED);
	A("data 1");
	B("data 1");
}

// An INIT ACK to an INIT that has been replaced does not disturb what was agreed on since.
TEST(late_init_ack)
{
	begin();
	OPEN(0, "init 0x0b0b0b0b");
	B_TAG(0, "init 0x0a0a0a0a");
	A("init_ack 0x0b0b0b0b");
	B("cookie_echo");
	AT(CLOSED);
	A("cookie_ack");
	/* After a COOKIE ACK no INIT is open any more: only the known tag is repeated. */
	REASON(says(CT_REPLY, BTAG, "init_ack 0x0d0d0d0d"), SCTP_TAG);
	B("init_ack 0x0a0a0a0a");
}

// An INIT within an association says the tag its sender wants from now on: a restart.
TEST(restart)
{
	handshake();
	A_TAG(0, "init 0x0c0c0c0c");
	AT(ESTABLISHED);
	WANT_TIMEOUT(ESTABLISHED);
	REASON(says(CT_REPLY, BTAG, "data 1"), SCTP_TAG);
	B_TAG(0x0c0c0c0c, "init_ack 0x0e0e0e0e");
	A_TAG(0x0e0e0e0e, "cookie_echo");
	B_TAG(0x0c0c0c0c, "cookie_ack");
	AT(ESTABLISHED);
	A_TAG(0x0e0e0e0e, "data 1");
	REASON(says(CT_ORIGINAL, ATAG, "data 1"), SCTP_TAG);
}

// An INIT with the tag that is known already is an old one: it makes no INIT ACK free.
TEST(old_init)
{
	handshake();
	B_TAG(0, "init 0x0a0a0a0a");
	AT(ESTABLISHED);
	REASON(says(CT_ORIGINAL, ATAG, "init_ack 0x0c0c0c0c"), SCTP_TAG);
	A("init_ack 0x0b0b0b0b");
	B("data 1");
	/* Of another tag it is a new one. */
	B_TAG(0, "init 0x0d0d0d0d");
	A_TAG(0x0d0d0d0d, "init_ack 0x0c0c0c0c");
	B_TAG(0x0c0c0c0c, "cookie_echo");
}

// Two INITs of one side: the other's is forgotten, and that side's INIT ACK is free again.
TEST(init_twice_in_a_collision)
{
	begin();
	OPEN(0, "init 0x0b0b0b0b");
	B_TAG(0, "init 0x0a0a0a0a");
	B_TAG(0, "init 0x0a0a0a0b");
	/* a's is not open any more: b may answer with the tag it has announced, and no other. */
	REASON(says(CT_REPLY, BTAG, "init_ack 0x0a0a0a0c"), SCTP_TAG);
	B("init_ack 0x0a0a0a0b");
	/* b's is: a's INIT ACK may say anything. */
	A_TAG(0x0a0a0a0b, "init_ack 0x0f0f0f0f");
	B_TAG(0x0f0f0f0f, "cookie_echo");
}

/* --- packets --------------------------------------------------------------------------------- */

// Which chunks may be together.
TEST(bundles)
{
	static const struct {
		const char *chunks;
		int reason;
	} bundles[] = {
		{ "", CT_R_SCTP_CHUNKS },
		{ "data 1, data 2, sack", 0 },
		{ "cookie_echo, data 1", 0 },
		{ "data 1, cookie_echo", CT_R_SCTP_CHUNKS },
		{ "cookie_ack, data 1", 0 },
		{ "sack, cookie_ack", CT_R_SCTP_CHUNKS },
		{ "cookie_ack, cookie_ack", CT_R_SCTP_CHUNKS },
		{ "init 7", 0 },
		{ "init 7, data 1", CT_R_SCTP_CHUNKS },
		{ "data 1, init 7", CT_R_SCTP_CHUNKS },
		{ "init_ack 7", 0 },
		{ "init_ack 7, type 200", CT_R_SCTP_CHUNKS },
		{ "type 200, init_ack 7", CT_R_SCTP_CHUNKS },
		{ "shutdown_complete", 0 },
		{ "shutdown_complete T", 0 },
		{ "shutdown_complete T, sack", CT_R_SCTP_CHUNKS },
		{ "sack, shutdown_complete", CT_R_SCTP_CHUNKS },
		{ "abort, abort, shutdown, error, heartbeat", 0 },
	};

	for (size_t i = 0; i < sizeof(bundles) / sizeof(bundles[0]); i++) {
		CHECK_CASE("\"%s\"", bundles[i].chunks);
		want_reason(__FILE__, __LINE__, parse(7, bundles[i].chunks), bundles[i].reason);
	}
}

/* Chunk lengths as they are in the packet, whatever they are worth. */
static int parse_lengths(uint16_t first, uint16_t second)
{
	parse(7, "data 3, sack");
	pkt_set16(&p, p.l4 + 12 + 2, first);
	pkt_set16(&p, p.l4 + 12 + 20 + 2, second);
	return ct_parse(&parsed, p.data, p.data + p.len, p.len, CT_FRAME_L3);
}

// A chunk without a length is refused; one that passes the end is the last; padding is no part of it.
TEST(chunk_lengths)
{
	CHECK_EQ(parse_lengths(19, 16), 0);
	CHECK_EQ(parsed.chunk_set, 1 << CT_SC_DATA | 1 << CT_SC_OTHER);
	REASON(parse_lengths(0, 16), SCTP_CHUNKS);
	REASON(parse_lengths(17, 0), SCTP_CHUNKS);
	/* The second one is not met: it is within the first. */
	CHECK_EQ(parse_lengths(36, 0), 0);
	CHECK_EQ(parsed.chunk_set, 1 << CT_SC_DATA);
	CHECK_EQ(parse_lengths(65535, 0), 0);
	CHECK_EQ(parsed.chunk_set, 1 << CT_SC_DATA);
	/* 1 to 4 are four bytes: then comes what is behind them, the TSN, which is 0. */
	for (uint16_t len = 1; len <= 4; len++)
		REASON(parse_lengths(len, 16), SCTP_CHUNKS);
}

// All chunks of a large packet are followed, and of a kind in a row any number.
TEST(many_chunks)
{
	pkt_start(&p);
	pkt_ip4(&p, "10.0.1.1", "10.0.2.1");
	pkt_sctp(&p, 1, 2, 7);
	for (int i = 0; i < 4000; i++)
		pkt_sctp_chunks(&p, i % 2 ? "type 200" : "error");
	pkt_sctp_chunks(&p, "abort");
	pkt_finish(&p);
	CHECK_EQ(ct_parse(&parsed, p.data, p.data + p.len, p.len, CT_FRAME_L3), 0);
	CHECK_EQ(parsed.chunks, CT_SC_ABORT << 8 | CT_SC_ERROR << 4 | CT_SC_ERROR);

	/* Behind what we can reach nothing is looked at: not even a chunk without a length. */
	pkt_start(&p);
	pkt_ip4(&p, "10.0.1.1", "10.0.2.1");
	pkt_sctp(&p, 1, 2, 7);
	pkt_sctp_chunks(&p, "data 16300, type 200, type 200, type 200, type 200, type 200,"
			    "type 200, type 200, type 200, abort");
	pkt_finish(&p);
	CHECK_EQ(ct_parse(&parsed, p.data, p.data + p.len, p.len, CT_FRAME_L3), 0);
	CHECK_EQ(parsed.chunk_set, 1 << CT_SC_DATA | 1 << CT_SC_OTHER);
}

/* Text of random chunks. */
static __u32 random_state;

static __u32 random_below(__u32 n)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % n;
}

/*
 * One packet as the rules say, written once more from RFC 9260 and the kernel's order of things, on
 * an association of its own: for bundles, which the tests above have few of.
 */
static struct model {
	int state, assured;
	uint32_t tag[2];
	int init[2], failed, failed_dir;
} model;

/* Of one chunk: 1 go on, 0 refused. */
static int model_chunk(const struct row *row, int dir, uint32_t tag, int data, int *ignore)
{
	struct model *m = &model;
	const char *k = row->kind;
	int want;

	if (!strncmp(k, "ABORT", 5)) {
		if (tag != m->tag[strchr(k, 'w') ? !dir : dir])
			return 0;
	} else if (!strcmp(k, "HEARTBEAT") || !strcmp(k, "HEARTBEAT ACK")) {
		int ack = k[9] == ' ';

		if (!m->tag[dir]) {
			m->tag[dir] = tag;
		} else if (tag == m->tag[dir]) {
			m->failed = 0;
		} else if (data || *ignore) {
			return 0;
		} else if (!ack) {
			m->failed = 1;
			m->failed_dir = dir;
			*ignore = 1;
			return 1;
		} else if (!m->failed || m->failed_dir == dir) {
			return 0;
		} else {
			m->failed = 0;
			m->tag[dir] = tag;
			m->tag[!dir] = 0;
		}
	}
	want = cell(row, dir, m->state);
	if (want == INVALID)
		return 0;
	if (want == CT_SCTP_ESTABLISHED && m->state != want)
		m->assured = 1;
	m->state = want;
	return 1;
}

// Random bundles of the chunks that may be together, with right and wrong tags, do as the rules say.
TEST(random_bundles)
{
	static const size_t may[] = { 2, 3, 4, 5, 6, 11, 12, 13, 14 }; /* rows */

	random_state = 1;
	for (int round = 0; round < 20000 && check_failures < 5; round++) {
		flow_in(1 + (int)random_below(8));
		model = (struct model){ .state = flow.state, .tag = { ATAG, BTAG } };
		for (int packet = 0; packet < 6; packet++) {
			static const uint32_t tags[] = { ATAG, BTAG, 0, 1 };
			uint32_t tag = tags[random_below(4)];
			int dir = (int)random_below(2), n = 1 + (int)random_below(5);
			int ignore = 0, ok = 1, own = 0, data = 0;
			const struct row *row[5];
			char text[256] = "";

			for (int i = 0; i < n; i++) {
				row[i] = &rows[may[random_below(9)]];
				strcat(strcat(text, i ? "," : ""), row[i]->chunk[dir]);
				data |= !strcmp(row[i]->kind, "DATA");
				own |= strstr(row[i]->kind, "HEART") || strstr(row[i]->kind, "ABORT") ||
				       !strcmp(row[i]->kind, "SHUTDOWN ACK");
			}
			if (!own && tag != model.tag[dir])
				ok = 0;
			for (int i = 0; i < n && ok; i++)
				ok = model_chunk(row[i], dir, tag, data, &ignore);
			CHECK_CASE("round %d, packet %d: %s, %s, tag %x", round, packet,
				   dir ? "reply" : "original", text, tag);
			CHECK_EQ(!says(dir, tag, text), ok);
			if (ok)
				CHECK_EQ(step.verdict, ignore ? CT_V_IGNORE : CT_V_ACCEPT);
			want_state(__FILE__, __LINE__, model.state);
			CHECK_EQ(!!(flow.status & CT_S_ASSURED), model.assured);
			CHECK_EQ(be32toh(flow.l4.sctp.tag[0]), model.tag[0]);
			CHECK_EQ(be32toh(flow.l4.sctp.tag[1]), model.tag[1]);
		}
	}
}

CHECK_MAIN()
