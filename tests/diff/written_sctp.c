/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Conversations for every rule of SCTP, UDP-Lite and GRE, named after it. a's tag is 11: what b
 * sends carries it. b's is 22.
 */
#include "written.h"

#include <stdio.h>

#define TO_A 11
#define TO_B 22

static void sctp(enum ct_dir dir, uint16_t port, uint32_t vtag, const char *chunks)
{
	struct say s = { .kind = SAY_SCTP, .dir = dir, .port = port, .vtag = vtag };

	snprintf(s.options, sizeof(s.options), "%s", chunks);
	add(&s);
}

/* An association of this port, in this state. */
static void reach(enum ct_sctp_state state, uint16_t port)
{
	static const struct {
		enum ct_dir dir;
		uint32_t vtag;
		const char *chunks;
		enum ct_sctp_state state;
	} way[] = {
		{ CT_ORIGINAL, 0, "init 11", CT_SCTP_CLOSED },
		{ CT_REPLY, TO_A, "init_ack 22", CT_SCTP_COOKIE_WAIT },
		{ CT_ORIGINAL, TO_B, "cookie_echo", CT_SCTP_COOKIE_ECHOED },
		{ CT_REPLY, TO_A, "cookie_ack", CT_SCTP_ESTABLISHED },
		{ CT_ORIGINAL, TO_B, "shutdown", CT_SCTP_SHUTDOWN_SENT },
		{ CT_REPLY, TO_A, "shutdown_ack", CT_SCTP_SHUTDOWN_ACK_SENT },
	};

	if (state == CT_SCTP_HEARTBEAT_SENT) {
		sctp(CT_ORIGINAL, port, TO_B, "heartbeat");
		AT_SCTP(HEARTBEAT_SENT);
		return;
	}
	for (size_t i = 0; i < sizeof(way) / sizeof(way[0]); i++) {
		if (state == CT_SCTP_SHUTDOWN_RECD && way[i].state == CT_SCTP_SHUTDOWN_SENT) {
			sctp(CT_REPLY, port, TO_A, "shutdown");
			AT_SCTP(SHUTDOWN_RECD);
			return;
		}
		sctp(way[i].dir, port, way[i].vtag, way[i].chunks);
		writing->say[writing->n - 1].want_state = way[i].state + 1;
		if (way[i].state == state)
			return;
	}
}

/* A chunk with this tag from each side in each state. */
static void in_every_state(const char *chunks, uint32_t to_b, uint32_t to_a)
{
	uint16_t port = (uint16_t)writing->n; /* not one that has been used */

	for (int state = CT_SCTP_CLOSED; state < CT_SCTP_STATE_MAX; state++)
		for (int dir = 0; dir < 2; dir++, port++) {
			reach(state, port);
			sctp(dir, port, dir ? to_a : to_b, chunks);
			sctp(dir, port, dir ? to_a : to_b, "data 10");
		}
}

TALK(sctp_life)
{
	reach(CT_SCTP_ESTABLISHED, 0);
	IS(ESTABLISHED);
	A_SCTP(TO_B, "data 100");
	B_SCTP(TO_A, "sack");
	B_SCTP(TO_A, "sack,data 50");
	A_SCTP(TO_B, "sack");
	A_SCTP(TO_B, "heartbeat");
	B_SCTP(TO_A, "heartbeat_ack");
	A_SCTP(TO_B, "shutdown");
	AT_SCTP(SHUTDOWN_SENT);
	B_SCTP(TO_A, "shutdown_ack");
	AT_SCTP(SHUTDOWN_ACK_SENT);
	A_SCTP(TO_B, "shutdown_complete");
	AT_SCTP(CLOSED);
	A_SCTP(0, "init 33");
	AT_SCTP(CLOSED);
	B_SCTP(33, "init_ack 44");
	AT_SCTP(COOKIE_WAIT);
}

TALK(sctp_shut_down_by_b)
{
	reach(CT_SCTP_ESTABLISHED, 0);
	B_SCTP(TO_A, "shutdown");
	AT_SCTP(SHUTDOWN_RECD);
	A_SCTP(TO_B, "data 10");
	A_SCTP(TO_B, "shutdown_ack");
	AT_SCTP(SHUTDOWN_ACK_SENT);
	B_SCTP(TO_A, "shutdown_complete");
	AT_SCTP(CLOSED);
}

#define ROW(chunk)                                                                                 \
	TALK(sctp_##chunk##_in_every_state)                                                        \
	{                                                                                          \
		in_every_state(#chunk, TO_B, TO_A);                                                \
	}
ROW(data)
ROW(sack)
ROW(abort)
ROW(shutdown)
ROW(shutdown_ack)
ROW(error)
ROW(cookie_echo)
ROW(cookie_ack)
ROW(shutdown_complete)
ROW(heartbeat)
ROW(heartbeat_ack)
ROW(ecne)

/* FORWARD TSN, and whatever comes later: types that the tracker doesn't know. */
TALK(sctp_unknown_chunk_in_every_state)
{
	in_every_state("type 192", TO_B, TO_A);
}

TALK(sctp_init_in_every_state)
{
	in_every_state("init 33", 0, 0);
}

TALK(sctp_init_of_the_same_tag_in_every_state)
{
	in_every_state("init 11", 0, 0);
	in_every_state("init 22", 0, 0);
}

TALK(sctp_init_ack_in_every_state)
{
	in_every_state("init_ack 22", TO_B, TO_A);
}

TALK(sctp_init_ack_of_another_tag_in_every_state)
{
	in_every_state("init_ack 33", TO_B, TO_A);
}

TALK(sctp_first_packet)
{
	static const char *const chunks[] = {
		"data 10", "init 11", "init_ack 11", "sack", "heartbeat", "heartbeat_ack", "abort",
		"abort T", "shutdown", "shutdown_ack", "error", "cookie_echo", "cookie_ack", "ecne",
		"shutdown_complete", "shutdown_complete T", "type 192", "", "data 10,heartbeat",
		"heartbeat,data 10", "sack,heartbeat",
	};

	for (uint16_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		sctp(CT_ORIGINAL, i, TO_B, chunks[i]);
		sctp(CT_REPLY, i, TO_A, "init_ack 22");
		sctp(CT_ORIGINAL, 100 + i, 0, chunks[i]);
	}
}

TALK(sctp_init_must_have_no_tag)
{
	A_SCTP(5, "init 11");
	IS(INVALID);
	NO_FLOW();
	A_SCTP(0, "init 11");
	IS(NEW);
	A_SCTP(5, "init 11");
	IS(INVALID);
	B_SCTP(TO_A, "init 22");
	IS(INVALID);
}

TALK(sctp_init_of_tag_zero)
{
	A_SCTP(0, "init 0");
	B_SCTP(0, "init_ack 22");
	A_SCTP(TO_B, "cookie_echo");
	B_SCTP(0, "cookie_ack");
}

TALK(sctp_init_repeated_does_not_refresh)
{
	A_SCTP(0, "init 11");
	AGE(5);
	A_SCTP(0, "init 11");
	IS(NEW);
	A_SCTP(0, "init 12");
	AGE(6);
	B_SCTP(12, "init_ack 22");
}

/* RFC 9260, 5.2.1: both send an INIT, and each answers the other's. */
TALK(sctp_collision)
{
	A_SCTP(0, "init 11");
	B_SCTP(0, "init 22");
	B_SCTP(TO_A, "init_ack 22");
	A_SCTP(TO_B, "init_ack 11");
	A_SCTP(TO_B, "cookie_echo");
	B_SCTP(TO_A, "cookie_echo");
	B_SCTP(TO_A, "cookie_ack");
	A_SCTP(TO_B, "cookie_ack");
	A_SCTP(TO_B, "data 10");
	B_SCTP(TO_A, "sack");
}

TALK(sctp_collision_with_late_init_ack)
{
	A_SCTP(0, "init 11");
	B_SCTP(0, "init 22");
	A_SCTP(TO_B, "init_ack 33");
	B_SCTP(33, "cookie_echo");
	A_SCTP(TO_B, "cookie_ack");
	B_SCTP(TO_A, "init_ack 44");
	B_SCTP(TO_A, "init_ack 22");
	A_SCTP(TO_B, "data 10");
	B_SCTP(33, "data 10");
	B_SCTP(TO_A, "data 10");
}

/* An INIT of b's from before, and its answer, come after a's own association has begun. */
TALK(sctp_stale_init_ack)
{
	reach(CT_SCTP_COOKIE_ECHOED, 0);
	B_SCTP(TO_A, "init_ack 23");
	B_SCTP(TO_A, "cookie_ack");
	AT_SCTP(ESTABLISHED);
	B_SCTP(TO_A, "init_ack 23");
	A_SCTP(TO_B, "data 10");
	A_SCTP(23, "data 10");
}

TALK(sctp_restart)
{
	reach(CT_SCTP_ESTABLISHED, 0);
	A_SCTP(0, "init 33");
	B_SCTP(33, "init_ack 44");
	A_SCTP(44, "cookie_echo");
	B_SCTP(33, "cookie_ack");
	A_SCTP(44, "data 10");
	B_SCTP(33, "sack");
	B_SCTP(TO_A, "sack");
	A_SCTP(TO_B, "sack");
}

TALK(sctp_restart_by_b)
{
	reach(CT_SCTP_ESTABLISHED, 0);
	B_SCTP(0, "init 33");
	A_SCTP(33, "init_ack 44");
	B_SCTP(44, "cookie_echo");
	A_SCTP(33, "cookie_ack");
	B_SCTP(44, "data 10");
	A_SCTP(33, "sack");
}

TALK(sctp_restart_forgotten)
{
	reach(CT_SCTP_ESTABLISHED, 0);
	A_SCTP(0, "init 33");
	A_SCTP(TO_B, "data 10");
	B_SCTP(TO_A, "sack");
	B_SCTP(33, "sack");
}

/* Every chunk with a tag that is wrong, zero, the sender's own. */
static void tags(uint32_t to_b, uint32_t to_a)
{
	static const char *const chunks[] = {
		"data 10", "sack", "heartbeat", "heartbeat_ack", "error", "shutdown", "shutdown_ack",
		"cookie_echo", "cookie_ack", "abort", "shutdown_complete", "ecne",
	};

	for (uint16_t i = 0; i < 2 * sizeof(chunks) / sizeof(chunks[0]); i++) {
		reach(CT_SCTP_ESTABLISHED, i);
		sctp(i & 1, i, i & 1 ? to_a : to_b, chunks[i / 2]);
		sctp(i & 1, i, i & 1 ? TO_A : TO_B, "data 10");
	}
}

TALK(sctp_wrong_tag)
{
	tags(77, 77);
}

TALK(sctp_zero_tag)
{
	tags(0, 0);
}

TALK(sctp_peers_tag)
{
	tags(TO_A, TO_B);
}

TALK(sctp_tag_of_t_bit)
{
	static const char *const chunks[] = { "abort T", "abort", "shutdown_complete T",
					      "shutdown_complete" };
	static const uint32_t vtags[] = { TO_A, TO_B, 0, 77 };
	uint16_t port = 0;

	for (size_t i = 0; i < 4; i++)
		for (size_t j = 0; j < 4; j++)
			for (int dir = 0; dir < 2; dir++, port++) {
				reach(i < 2 ? CT_SCTP_ESTABLISHED : CT_SCTP_SHUTDOWN_ACK_SENT, port);
				sctp(dir, port, vtags[j], chunks[i]);
			}
}

TALK(sctp_abort_answers_init)
{
	A_SCTP(0, "init 11");
	B_SCTP(TO_A, "abort");
	AT_SCTP(CLOSED);
	A_SCTP(0, "init 12", .port = 1);
	B_SCTP(0, "abort T", .port = 1);
	B_SCTP(12, "abort T", .port = 1);
	B_SCTP(12, "abort", .port = 1);
}

TALK(sctp_bundles)
{
	static const char *const chunks[] = {
		"cookie_echo,data 10", "data 10,cookie_echo", "cookie_ack,data 10",
		"data 10,cookie_ack", "sack,data 10,data 20", "init 33,data 10", "data 10,init 33",
		"init_ack 22,data 10", "shutdown_complete,data 10", "data 10,shutdown_complete",
		"sack,shutdown", "shutdown,sack", "shutdown,shutdown_ack", "abort,data 10",
		"data 10,abort", "error,abort", "heartbeat,heartbeat_ack", "cookie_ack,shutdown",
		"cookie_echo,cookie_ack", "cookie_ack,cookie_echo", "error,cookie_echo",
		"heartbeat,shutdown,shutdown_ack",
	};
	uint16_t port = 0;

	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++)
		for (int dir = 0; dir < 2; dir++, port++) {
			reach(dir ? CT_SCTP_COOKIE_ECHOED : CT_SCTP_COOKIE_WAIT, port);
			sctp(dir, port, dir ? TO_A : TO_B, chunks[i]);
		}
}

TALK(sctp_bundles_in_established)
{
	static const char *const chunks[] = {
		"sack,shutdown", "shutdown,sack", "shutdown,shutdown_ack", "abort,data 10",
		"data 10,abort", "error,abort", "heartbeat,heartbeat_ack", "cookie_ack,shutdown",
		"abort,shutdown", "shutdown,abort", "heartbeat,init 33", "data 1,data 2,data 3,data 4",
	};
	uint16_t port = 0;

	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++)
		for (int dir = 0; dir < 2; dir++, port++) {
			reach(CT_SCTP_ESTABLISHED, port);
			sctp(dir, port, dir ? TO_A : TO_B, chunks[i]);
		}
}

TALK(sctp_chunk_lengths)
{
	static const char *const chunks[] = {
		"hex 00000000", "hex 00000001", "hex 00000003", "hex 00000004", "hex 0000ffff",
		"hex 07000008", "hex 0700000800000001", "hex 07000005", "hex 0700000500000000",
		"hex 000000", "hex 00", "sack,hex 07", "sack,hex 0700", "sack,hex 070008",
		"sack,hex 07000000", "sack,hex 07000001", "sack,hex 0700ffff",
		"hex 0300000603030000,shutdown", "hex 0300000503030000,shutdown",
		"hex 03000003,shutdown", "hex 03000002,shutdown", "hex ff000004,shutdown",
		"hex 0f000004,shutdown",
	};

	for (uint16_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		reach(CT_SCTP_ESTABLISHED, i);
		sctp(CT_ORIGINAL, i, TO_B, chunks[i]);
	}
}

TALK(sctp_init_lengths)
{
	static const char *const chunks[] = {
		"hex 01000004", "hex 010000040000000b", "hex 010000140000000b", "hex 01000000",
		"hex 010000140000000b0001000000010001", "hex 010000140000000b000100000001000100000001",
		"hex 010000120000000b000100000001000100000001", "hex 0100",
	};

	for (uint16_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++)
		sctp(CT_ORIGINAL, i, 0, chunks[i]);
}

TALK(sctp_cut_short)
{
	A_SCTP(0, "init 11", .flaw = L4_CUT_SHORT);
	IS(INVALID);
	A_SCTP(0, "");
	IS(INVALID);
	reach(CT_SCTP_ESTABLISHED, 0);
	A_SCTP(TO_B, "");
	A_SCTP(TO_B, "data 1", .flaw = L4_CUT_SHORT);
	IS(INVALID);
}

/* A second path: the association was made by other addresses, which the tracker can't know. */
TALK(sctp_heartbeat_only)
{
	A_SCTP(TO_B, "heartbeat");
	IS(NEW);
	AT_SCTP(HEARTBEAT_SENT);
	A_SCTP(TO_B, "data 10");
	B_SCTP(TO_A, "heartbeat_ack");
	IS(ESTABLISHED);
	AT_SCTP(ESTABLISHED);
	A_SCTP(TO_B, "data 10");
	B_SCTP(TO_A, "sack");
	B_SCTP(99, "sack");
	A_SCTP(99, "data 10");
	A_SCTP(TO_B, "shutdown");
	AT_SCTP(SHUTDOWN_SENT);
}

TALK(sctp_heartbeats_cross)
{
	A_SCTP(TO_B, "heartbeat");
	B_SCTP(TO_A, "heartbeat");
	B_SCTP(TO_A, "heartbeat_ack");
	A_SCTP(TO_B, "heartbeat_ack");
}

TALK(sctp_heartbeat_of_another_tag)
{
	A_SCTP(TO_B, "heartbeat");
	A_SCTP(33, "heartbeat");
	B_SCTP(TO_A, "heartbeat_ack");
	A_SCTP(33, "data 10");
	A_SCTP(TO_B, "data 10");
	reach(CT_SCTP_ESTABLISHED, 1);
	A_SCTP(33, "heartbeat", .port = 1);
	B_SCTP(TO_A, "heartbeat_ack", .port = 1);
	A_SCTP(33, "data 10", .port = 1);
	B_SCTP(44, "heartbeat", .port = 1);
	A_SCTP(33, "heartbeat_ack", .port = 1);
	A_SCTP(TO_B, "heartbeat_ack", .port = 1);
	B_SCTP(44, "data 10", .port = 1);
}

TALK(sctp_timeouts)
{
	reach(CT_SCTP_COOKIE_WAIT, 0);
	AGE(8);
	A_SCTP(TO_B, "cookie_echo");
	IS(INVALID);
	reach(CT_SCTP_ESTABLISHED, 0);
	AGE(200);
	A_SCTP(TO_B, "data 10");
	AGE(200);
	B_SCTP(TO_A, "data 10");
	IS(ESTABLISHED);
	AGE(300);
	B_SCTP(TO_A, "data 10");
	IS(INVALID);
}

TALK(sctp_error)
{
	A_SCTP(0, "init 11");
	B_ERROR(.icmp_type = 3, .icmp_code = 2, .quote = IPPROTO_SCTP);
	IS(RELATED);
	B_ERROR(.icmp_type = 3, .icmp_code = 2, .quote = IPPROTO_SCTP, .port = 1);
	IS(INVALID);
	for (uint16_t n = 20; n <= 60; n++)
		B_ERROR(.icmp_type = 3, .icmp_code = 3, .quote = IPPROTO_SCTP, .quoted = n);
}

/* The state changes although the packet is refused; the event waits for the flow's next packet. */
TALK(sctp_refused_but_changed)
{
	for (int dir = 0; dir < 2; dir++)
		for (int way = 0; way < 3; way++) {
			uint16_t port = (uint16_t)(3 * dir + way);

			reach(CT_SCTP_ESTABLISHED, port);
			sctp(dir, port, dir ? TO_A : TO_B, "shutdown,abort T");
			IS(INVALID);
			if (way)
				SAY(ERROR, way == 1, .icmp_type = 3, .icmp_code = 1,
				    .quote = IPPROTO_SCTP, .port = port);
			sctp(!dir, port, dir ? TO_B : TO_A, "data 10");
		}
}

TALK(sctp_in_zones)
{
	for (uint8_t zone = 1; zone < 4; zone++) {
		ZONE(zone);
		reach(CT_SCTP_COOKIE_WAIT, 0);
	}
	ZONE(2);
	A_SCTP(TO_B, "cookie_echo");
	AT_SCTP(COOKIE_ECHOED);
	ZONE(1);
	A_SCTP(TO_B, "abort");
	AT_SCTP(CLOSED);
}

/* --- UDP-Lite -------------------------------------------------------------------------------- */

TALK(udplite)
{
	A_UDPLITE(.payload = 10);
	IS(NEW);
	A_UDPLITE(.payload = 10, .coverage = 8);
	IS(NEW);
	B_UDPLITE(.payload = 20, .coverage = 12);
	IS(ESTABLISHED);
	A_UDPLITE(.payload = 10);
	IS(ESTABLISHED);
	AGE(20);
	B_UDPLITE(.payload = 20);
	AGE(100);
	A_UDPLITE(.payload = 20);
}

TALK(udplite_coverage)
{
	for (uint16_t coverage = 0; coverage < 22; coverage++)
		A_UDPLITE(.payload = 10, .coverage = coverage, .port = coverage);
	A_UDPLITE(.payload = 10, .flaw = L4_CUT_SHORT);
	IS(INVALID);
	A_UDPLITE(.payload = 0);
	IS(NEW);
}

TALK(udplite_is_not_udp)
{
	A_UDPLITE(.payload = 10);
	B_UDP(.payload = 10);
	IS(NEW);
	B_ERROR(.icmp_type = 3, .icmp_code = 3, .quote = IPPROTO_UDPLITE);
	IS(RELATED);
}

/* --- GRE ------------------------------------------------------------------------------------- */

TALK(gre)
{
	A_GRE(.payload = 10);
	IS(NEW);
	A_GRE(.payload = 10);
	IS(NEW);
	B_GRE(.payload = 20);
	IS(ESTABLISHED);
	A_GRE(.payload = 20);
	IS(ESTABLISHED);
	AGE(100);
	B_GRE(.payload = 20);
	IS(ESTABLISHED);
	B_ERROR(.icmp_type = 3, .icmp_code = 2, .quote = IPPROTO_GRE);
	IS(RELATED);
}

TALK(gre_calls)
{
	A_GRE(.payload = 10, .call = true, .icmp_id = 5);
	IS(NEW);
	A_GRE(.payload = 10, .call = true, .icmp_id = 6);
	IS(NEW);
	B_GRE(.payload = 10, .call = true, .icmp_id = 5);
	A_GRE(.payload = 10, .call = true, .icmp_id = 5);
	B_GRE(.payload = 10);
	IS(NEW);
	A_GRE(.payload = 10, .flaw = L4_CUT_SHORT);
}
