// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Settings are in force with the next packet. Every timeout and every knob of the lists in
 * ct_proto.h has a row here that says how it shows; one that has none fails.
 */
#include "talk.h"

/* The setting that is being tested, and what it is to become. */
static struct ct_settings next;
static bool changed;

/* Rows call this right before the packet that has to show the setting. */
static void change(void)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow before, after;
	int known = flow_get(&t, &before);

	put_settings(&next);
	changed = true;
	/* What flows have been promised stays until then. */
	CHECK_EQ(flow_get(&t, &after), known);
	if (!known)
		CHECK_EQ(after.entry.expires, before.entry.expires);
}

/* --- a packet for each timeout --------------------------------------------------------------- */

static void syn_sent(void)
{
	change();
	ORIG(SYN, .seq = 100);
}

static void syn_recv(void)
{
	ORIG(SYN, .seq = 100);
	change();
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
}

static void answered(void)
{
	ORIG(SYN, .seq = 100);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
}

static void handshake(void)
{
	answered();
	ORIG(ACK, .seq = 101, .ack = 201);
	WANT(ESTABLISHED, ESTABLISHED, PASS);
}

static void established(void)
{
	answered();
	change();
	ORIG(ACK, .seq = 101, .ack = 201);
}

static void fin_wait(void)
{
	handshake();
	change();
	ORIG(FIN | ACK, .seq = 101, .ack = 201);
}

static void close_wait(void)
{
	handshake();
	ORIG(FIN | ACK, .seq = 101, .ack = 201);
	change();
	REPLY(ACK, .seq = 201, .ack = 102);
}

static void last_ack(void)
{
	handshake();
	ORIG(FIN | ACK, .seq = 101, .ack = 201);
	change();
	REPLY(FIN | ACK, .seq = 201, .ack = 102);
}

static void time_wait(void)
{
	handshake();
	ORIG(FIN | ACK, .seq = 101, .ack = 201);
	REPLY(FIN | ACK, .seq = 201, .ack = 102);
	change();
	ORIG(ACK, .seq = 102, .ack = 202);
}

static void closed(void)
{
	handshake();
	change();
	REPLY(RST, .seq = 201);
}

static void both_open(void)
{
	ORIG(SYN, .seq = 100);
	REPLY(SYN, .seq = 200);
	change();
	ORIG(SYN, .seq = 100);
	WANT(SYN_SENT2, ESTABLISHED, PASS);
}

static void repeated(void)
{
	handshake();
	for (int i = 0; i < 2; i++)
		ORIG(ACK, .seq = 101, .ack = 201);
	WANT_TIMEOUT(432000);
	change();
	ORIG(ACK, .seq = 101, .ack = 201);
}

static void unacknowledged(void)
{
	handshake();
	change();
	ORIG(ACK, .seq = 101, .ack = 201, .payload = 10);
}

static void udp(void)
{
	talk.proto = IPPROTO_UDP;
	SAY(CT_ORIGINAL);
	change();
	SAY(CT_REPLY);
}

static void udp_stream(void)
{
	talk.proto = IPPROTO_UDP;
	SAY(CT_ORIGINAL);
	SAY(CT_REPLY);
	LATER(3);
	change();
	SAY(CT_ORIGINAL);
}

static void ping(void)
{
	talk.proto = talk.v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	talk.aport = 77;
	SAY(CT_ORIGINAL, .icmp_type = talk.v6 ? 128 : 8, .icmp_id = 77);
	change();
	SAY(CT_REPLY, .icmp_type = talk.v6 ? 129 : 0, .icmp_id = 77);
}

static void generic(void)
{
	talk.proto = IPPROTO_ESP;
	SAY(CT_ORIGINAL);
	change();
	SAY(CT_REPLY);
}

/* An association, packet by packet; `shows` is the one whose timeout is looked at. */
static const struct sctp_packet {
	enum ct_timeout shows;
	enum ct_dir dir;
	uint32_t tag;
	const char *chunks;
} sctp_packets[] = {
	{ CT_T_SCTP_CLOSED, CT_ORIGINAL, 0, "init 0xb" },
	{ CT_T_SCTP_COOKIE_WAIT, CT_REPLY, 0xb, "init_ack 0xa" },
	{ CT_T_SCTP_COOKIE_ECHOED, CT_ORIGINAL, 0xa, "cookie_echo" },
	{ CT_T_SCTP_ESTABLISHED, CT_REPLY, 0xb, "cookie_ack" },
	{ CT_T_SCTP_SHUTDOWN_SENT, CT_ORIGINAL, 0xa, "shutdown" },
	{ CT_T_SCTP_SHUTDOWN_ACK_SENT, CT_REPLY, 0xb, "shutdown_ack" },
};

static void sctp_until(enum ct_timeout shows)
{
	talk.proto = IPPROTO_SCTP;
	for (size_t i = 0; !changed; i++) {
		const struct sctp_packet *p = &sctp_packets[i];

		if (p->shows == shows)
			change();
		SAY(p->dir, .chunks = p->chunks, .vtag = p->tag);
	}
}

#define SCTP_ROW(name, STATE)                 \
	static void name(void)                \
	{                                     \
		sctp_until(CT_T_SCTP_##STATE); \
	}
SCTP_ROW(sctp_closed, CLOSED)
SCTP_ROW(sctp_cookie_wait, COOKIE_WAIT)
SCTP_ROW(sctp_cookie_echoed, COOKIE_ECHOED)
SCTP_ROW(sctp_established, ESTABLISHED)
SCTP_ROW(sctp_shutdown_sent, SHUTDOWN_SENT)
SCTP_ROW(sctp_shutdown_ack_sent, SHUTDOWN_ACK_SENT)
#undef SCTP_ROW

static void sctp_shutdown_recd(void)
{
	talk.proto = IPPROTO_SCTP;
	for (int i = 0; i < 4; i++)
		SAY(sctp_packets[i].dir, .chunks = sctp_packets[i].chunks,
		    .vtag = sctp_packets[i].tag);
	change();
	SAY(CT_REPLY, .chunks = "shutdown", .vtag = 0xb);
}

static void sctp_heartbeat_sent(void)
{
	talk.proto = IPPROTO_SCTP;
	change();
	SAY(CT_ORIGINAL, .chunks = "heartbeat", .vtag = 0xa);
}

static void gre(void)
{
	talk.proto = IPPROTO_GRE;
	SAY(CT_ORIGINAL);
	change();
	SAY(CT_REPLY);
}

static void gre_stream(void)
{
	talk.proto = IPPROTO_GRE;
	SAY(CT_ORIGINAL);
	SAY(CT_REPLY);
	change();
	SAY(CT_ORIGINAL);
}

static const struct timeout_row {
	void (*converse)(void);
	int family; /* 0: both */
} timeout_rows[CT_T_MAX] = {
	[CT_T_TCP_SYN_SENT] = { syn_sent, 0 },
	[CT_T_TCP_SYN_RECV] = { syn_recv, 0 },
	[CT_T_TCP_ESTABLISHED] = { established, 0 },
	[CT_T_TCP_FIN_WAIT] = { fin_wait, 0 },
	[CT_T_TCP_CLOSE_WAIT] = { close_wait, 0 },
	[CT_T_TCP_LAST_ACK] = { last_ack, 0 },
	[CT_T_TCP_TIME_WAIT] = { time_wait, 0 },
	[CT_T_TCP_CLOSE] = { closed, 0 },
	[CT_T_TCP_SYN_SENT2] = { both_open, 0 },
	[CT_T_TCP_RETRANS] = { repeated, 0 },
	[CT_T_TCP_UNACK] = { unacknowledged, 0 },
	[CT_T_UDP] = { udp, 0 },
	[CT_T_UDP_STREAM] = { udp_stream, 0 },
	[CT_T_ICMP] = { ping, CT_IPV4 },
	[CT_T_ICMPV6] = { ping, CT_IPV6 },
	[CT_T_GENERIC] = { generic, 0 },
	[CT_T_SCTP_CLOSED] = { sctp_closed, 0 },
	[CT_T_SCTP_COOKIE_WAIT] = { sctp_cookie_wait, 0 },
	[CT_T_SCTP_COOKIE_ECHOED] = { sctp_cookie_echoed, 0 },
	[CT_T_SCTP_ESTABLISHED] = { sctp_established, 0 },
	[CT_T_SCTP_SHUTDOWN_SENT] = { sctp_shutdown_sent, 0 },
	[CT_T_SCTP_SHUTDOWN_RECD] = { sctp_shutdown_recd, 0 },
	[CT_T_SCTP_SHUTDOWN_ACK_SENT] = { sctp_shutdown_ack_sent, 0 },
	[CT_T_SCTP_HEARTBEAT_SENT] = { sctp_heartbeat_sent, 0 },
	[CT_T_GRE] = { gre, 0 },
	[CT_T_GRE_STREAM] = { gre_stream, 0 },
};

/* --- a packet for each knob, told what it has been set to ------------------------------------ */

static void tcp_loose(__u32 on)
{
	change();
	ORIG(ACK, .seq = 5000, .ack = 6000);
	if (on)
		WANT(ESTABLISHED, NEW, PASS);
	else
		WANT_REASON(INVALID, TCP_NO_SYN, PASS);
}

static void tcp_be_liberal(__u32 on)
{
	handshake();
	change();
	ORIG(ACK, .seq = 900000, .ack = 201);
	if (on)
		WANT(ESTABLISHED, ESTABLISHED, PASS);
	else
		WANT_REASON(INVALID, TCP_SEQ_OVER, PASS);
}

static void tcp_ignore_invalid_rst(__u32 on)
{
	handshake();
	change();
	REPLY(RST, .seq = 200);
	if (on)
		WANT(ESTABLISHED, ESTABLISHED, PASS);
	else
		WANT_REASON(INVALID, TCP_RST, PASS);
}

static void tcp_max_retrans(__u32 most)
{
	handshake();
	change();
	ORIG(ACK, .seq = 101, .ack = 201); /* the handshake's, once more */
	WANT_TIMEOUT(most == 1 ? 300 : 432000);
}

static void acct(__u32 on)
{
	ORIG(SYN, .seq = 100);
	change();
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	WANT_COUNT(CT_REPLY, on, on * (talk.v6 ? 60 : 40));
	WANT_COUNT(CT_ORIGINAL, !on, !on * (talk.v6 ? 60 : 40));
}

static void timestamp(__u32 on)
{
	struct ct_tuple t = talk_tuple();
	struct ct_flow flow;

	change();
	ORIG(SYN);
	REQUIRE(!flow_get(&t, &flow));
	CHECK_EQ(flow.entry.start, on ? *world_now * (1000000000 / HZ) : 0);
}

static void max(__u32 most)
{
	handshake(); /* assured: it can't be pushed out */
	talk.aport++;
	change();
	ORIG(SYN);
	WANT_CLASS(NEW, PASS);
	WANT_FLOWS(most);
	CHECK_EQ(counter(CT_C_UNTRACKED_FULL), most == 1);
}

static void drop_invalid(__u32 on)
{
	change();
	ORIG(SYN | FIN);
	WANT_REASON(INVALID, TCP_FLAGS, on ? DROP : PASS);
}

static void full(__u32 drop)
{
	next.knob.max = 1;
	handshake();
	talk.aport++;
	change();
	ORIG(SYN);
	WANT_CLASS(NEW, drop ? DROP : PASS);
	WANT_FLOWS(1);
}

static void max_unassured_per_source(__u32 most)
{
	change();
	ORIG(SYN);
	talk.aport++;
	ORIG(SYN);
	WANT_CLASS(NEW, PASS);
	WANT_FLOWS(most ? 1 : 2);
	CHECK_EQ(counter(CT_C_UNTRACKED_SOURCE), most);
}

static void checksum(__u32 on)
{
	struct pkt_desc d = talk_desc(CT_ORIGINAL, &(struct pkt_desc){ .tcp_flags = SYN });
	static struct pkt p;

	build_for(talk.hook, &p, &d);
	p.data[p.l4 + 16] ^= 0x10;
	change();
	talk.last = send_frame(talk.hook, p.data, p.len, NULL);
	if (on && talk.hook != EGRESS) /* what the host sends is taken for right */
		WANT_REASON(INVALID, TCP_CHECKSUM, PASS);
	else
		WANT(SYN_SENT, NEW, PASS);
}

static void frag_early(__u32 drop)
{
	change();
	ORIG(ACK, .frag_offset = 800, .payload = 80);
	WANT_REASON(UNTRACKED, FRAG_EARLY, drop ? DROP : PASS);
}

static void log_invalid(__u32 on)
{
	static struct ct_event events[4];

	listen_begin(0, 1 << CT_EV_INVALID, 65536);
	change();
	ORIG(SYN | FIN);
	CHECK_EQ(listen_take(0, events, 4), !!on);
	listen_end(0);
}

static const struct knob_row {
	void (*converse)(__u32 value);
	__u32 values[2]; /* from the one to the other, and back */
} knob_rows[CT_K_MAX_] = {
	[CT_K_TCP_LOOSE] = { tcp_loose, { 0, 1 } },
	[CT_K_TCP_BE_LIBERAL] = { tcp_be_liberal, { 0, 1 } },
	[CT_K_TCP_IGNORE_INVALID_RST] = { tcp_ignore_invalid_rst, { 0, 1 } },
	[CT_K_TCP_MAX_RETRANS] = { tcp_max_retrans, { 1, 3 } },
	[CT_K_ACCT] = { acct, { 0, 1 } },
	[CT_K_TIMESTAMP] = { timestamp, { 0, 1 } },
	[CT_K_MAX] = { max, { 1, 2 } },
	[CT_K_DROP_INVALID] = { drop_invalid, { 0, 1 } },
	[CT_K_FULL] = { full, { 0, 1 } },
	[CT_K_CHECKSUM] = { checksum, { 0, 1 } },
	[CT_K_FRAG_EARLY] = { frag_early, { 0, 1 } },
	[CT_K_MAX_UNASSURED_PER_SOURCE] = { max_unassured_per_source, { 0, 1 } },
	[CT_K_LOG_INVALID] = { log_invalid, { 0, IPPROTO_TCP } },
};

/* --------------------------------------------------------------------------------------------- */

static void try_timeout(enum hook hook, bool v6, const char *key, enum ct_timeout id)
{
	const struct timeout_row *row = &timeout_rows[id];

	CHECK_CASE("%s, %s, IPv%d", key, harness_hooks[hook], v6 ? 6 : 4);
	REQUIRE(row->converse && "a row says how this timeout shows");
	if (row->family && row->family != (v6 ? CT_IPV6 : CT_IPV4))
		return;
	world_begin(hook);
	talk_begin(hook, v6);
	next = get_settings();
	CT_TIMEOUT_OF(&next)[id] = 77 * HZ;
	changed = false;
	row->converse();
	CHECK(changed);
	WANT_TIMEOUT(77);
	WANT_SOUND();
}

static void try_knob(enum hook hook, bool v6, const char *key, enum ct_knob id, int to)
{
	const struct knob_row *row = &knob_rows[id];

	CHECK_CASE("%s set to %u, %s, IPv%d", key, row->values[to], harness_hooks[hook], v6 ? 6 : 4);
	REQUIRE(row->converse && "a row says how this knob shows");
	world_begin(hook);
	talk_begin(hook, v6);
	set_knob(id, row->values[!to]);
	next = get_settings();
	CT_KNOB_OF(&next)[id] = row->values[to];
	changed = false;
	row->converse(row->values[to]);
	CHECK(changed);
	WANT_SOUND();
}

// Every timeout: the next packet gives the flow the new one, and until then the old one holds.
TEST(timeouts)
{
	for (int hook = 0; hook < HOOKS; hook++)
		for (int v6 = 0; v6 < 2; v6++) {
#define X(id, key, seconds, help) try_timeout(hook, v6, #key, CT_T_##id);
			CT_TIMEOUTS(X)
#undef X
		}
}

// Every knob, switched on and off: the next packet meets what it has been set to.
TEST(knobs)
{
	for (int hook = 0; hook < HOOKS; hook++)
		for (int v6 = 0; v6 < 2; v6++)
			for (int to = 0; to < 2; to++) {
#define X(id, key, value, largest, help) try_knob(hook, v6, #key, CT_K_##id, to);
				CT_KNOBS(X)
#undef X
			}
}

CHECK_MAIN()
