/* SPDX-License-Identifier: GPL-2.0-only */
/* Conversations for every rule of TCP, UDP, ICMP and what is common to all, named after it. */
#include "written.h"

#include <stdio.h>

/* Next numbers: 101 from a, 201 from b; windows 1000 both, if not said otherwise. */
static void handshake_with(uint16_t awin, uint16_t bwin, const char *aopt, const char *bopt)
{
	struct say s = { .kind = SAY_TCP, .flags = SYN, .seq = 100, .win = awin };

	snprintf(s.options, sizeof(s.options), "%s", aopt);
	add(&s);
	AT(SYN_SENT);
	s = (struct say){ .kind = SAY_TCP, .dir = CT_REPLY, .flags = SYN | ACK, .seq = 200,
			  .ack = 101, .win = bwin };
	snprintf(s.options, sizeof(s.options), "%s", bopt);
	add(&s);
	AT(SYN_RECV);
	A(ACK, .seq = 101, .ack = 201, .win = awin);
	AT(ESTABLISHED);
}

static void handshake(void)
{
	handshake_with(1000, 1000, "", "");
}

/* Closed by both, a first. Next: 102, 202. */
static void closed(void)
{
	handshake();
	A(FIN | ACK, .seq = 101, .ack = 201, .win = 1000);
	AT(FIN_WAIT);
	B(FIN | ACK, .seq = 201, .ack = 102, .win = 1000);
	AT(LAST_ACK);
	A(ACK, .seq = 102, .ack = 202, .win = 1000);
	AT(TIME_WAIT);
}

/* --- opening --------------------------------------------------------------------------------- */

TALK(life)
{
	handshake();
	B(PSH | ACK, .seq = 201, .ack = 101, .payload = 100, .win = 1000);
	A(ACK, .seq = 101, .ack = 301, .win = 1000);
	A(PSH | ACK, .seq = 101, .ack = 301, .payload = 300, .win = 1000);
	B(ACK, .seq = 301, .ack = 401, .win = 1000);
	A(FIN | ACK, .seq = 401, .ack = 301, .win = 1000);
	AT(FIN_WAIT);
	B(ACK, .seq = 301, .ack = 402, .win = 1000);
	AT(CLOSE_WAIT);
	B(PSH | ACK, .seq = 301, .ack = 402, .payload = 10, .win = 1000);
	A(ACK, .seq = 402, .ack = 311, .win = 1000);
	B(FIN | ACK, .seq = 311, .ack = 402, .win = 1000);
	AT(LAST_ACK);
	A(ACK, .seq = 402, .ack = 312, .win = 1000);
	AT(TIME_WAIT);
	B(FIN | ACK, .seq = 311, .ack = 402, .win = 1000);
	AT(TIME_WAIT);
	A(ACK, .seq = 402, .ack = 312, .win = 1000);
	AT(TIME_WAIT);
}

TALK(b_closes_first)
{
	handshake();
	B(FIN | ACK, .seq = 201, .ack = 101, .win = 1000);
	A(ACK, .seq = 101, .ack = 202, .win = 1000);
	A(FIN | ACK, .seq = 101, .ack = 202, .win = 1000);
	B(ACK, .seq = 202, .ack = 102, .win = 1000);
	AT(TIME_WAIT);
}

TALK(simultaneous_close)
{
	handshake();
	A(FIN | ACK, .seq = 101, .ack = 201);
	B(FIN | ACK, .seq = 201, .ack = 101);
	AT(LAST_ACK);
	A(ACK, .seq = 102, .ack = 202);
	AT(TIME_WAIT);
	B(ACK, .seq = 202, .ack = 102);
}

TALK(syn_repeated_does_not_refresh)
{
	A(SYN, .seq = 100);
	IS(NEW);
	A(SYN, .seq = 100);
	IS(NEW);
	AT(SYN_SENT);
	A(SYN, .seq = 5000);
	B(SYN | ACK, .seq = 200, .ack = 5001);
	AT(SYN_RECV);
}

TALK(ecn_syn)
{
	A(SYN | ECE | CWR, .seq = 100);
	IS(NEW);
	B(SYN | ACK | ECE, .seq = 200, .ack = 101);
	A(ACK, .seq = 101, .ack = 201);
	AT(ESTABLISHED);
	A(PSH | ACK | CWR, .seq = 101, .ack = 201, .payload = 5);
}

TALK(syn_with_data)
{
	A(SYN, .seq = 100, .payload = 50);
	B(SYN | ACK, .seq = 200, .ack = 151);
	AT(SYN_RECV);
	A(ACK, .seq = 151, .ack = 201);
	AT(ESTABLISHED);
}

TALK(syn_with_data_half_taken)
{
	A(SYN, .seq = 100, .payload = 50);
	B(SYN | ACK, .seq = 200, .ack = 101, .payload = 7);
	A(ACK, .seq = 101, .ack = 208, .payload = 50);
}

TALK(every_first_packet)
{
	for (int flags = 0; flags < 256; flags++)
		A(flags, .seq = 100, .ack = 200, .port = (uint16_t)flags);
}

TALK(every_flag_in_established)
{
	handshake();
	for (int flags = 0; flags < 256; flags++)
		if (!(flags & RST) && (flags & (SYN | FIN | ACK)) != (FIN | ACK))
			A(flags, .seq = 101, .ack = 201);
}

TALK(syn_ack_of_something_else)
{
	A(SYN, .seq = 100);
	B(SYN | ACK, .seq = 200, .ack = 100);
	AT(SYN_RECV);
	B(SYN | ACK, .seq = 200, .ack = 102);
	B(SYN | ACK, .seq = 200, .ack = 101);
	AT(SYN_RECV);
	B(SYN | ACK, .seq = 200, .ack = 101);
	B(SYN | ACK, .seq = 300, .ack = 101);
}

TALK(syn_ack_of_too_much)
{
	A(SYN, .seq = 100);
	B(SYN | ACK, .seq = 200, .ack = 102);
	IS(INVALID);
	AT(SYN_SENT);
	B(SYN | ACK, .seq = 200, .ack = 101);
	AT(SYN_RECV);
}

TALK(syn_ack_from_a)
{
	A(SYN, .seq = 100);
	A(SYN | ACK, .seq = 100, .ack = 1);
	IS(INVALID);
	B(ACK, .seq = 200, .ack = 55);
	A(ACK, .seq = 101, .ack = 201);
}

TALK(simultaneous_open)
{
	A(SYN, .seq = 100, .options = "mss 1460,wscale 2,sackOK");
	B(SYN, .seq = 200, .options = "mss 1460,wscale 3,sackOK");
	AT(SYN_SENT2);
	A(SYN | ACK, .seq = 100, .ack = 201, .options = "mss 1460,wscale 2,sackOK");
	AT(SYN_RECV);
	B(SYN | ACK, .seq = 200, .ack = 101, .options = "mss 1460,wscale 3,sackOK");
	AT(SYN_RECV);
	B(ACK, .seq = 201, .ack = 101);
	AT(ESTABLISHED);
	A(ACK, .seq = 101, .ack = 201);
	AT(ESTABLISHED);
}

TALK(simultaneous_open_ended_by_a)
{
	A(SYN, .seq = 100);
	B(SYN, .seq = 200);
	B(SYN, .seq = 200);
	A(SYN, .seq = 100);
	B(SYN | ACK, .seq = 200, .ack = 101);
	AT(SYN_RECV);
	A(ACK, .seq = 101, .ack = 201);
	AT(ESTABLISHED);
}

TALK(simultaneous_open_reset)
{
	A(SYN, .seq = 100);
	B(SYN, .seq = 200);
	AT(SYN_SENT2);
	A(RST, .seq = 101);
	B(RST | ACK, .seq = 0, .ack = 101);
}

TALK(handshake_by_reply_ack)
{
	A(SYN, .seq = 100);
	B(SYN | ACK, .seq = 200, .ack = 101);
	B(ACK, .seq = 201, .ack = 101);
	AT(SYN_RECV);
	A(FIN | ACK, .seq = 101, .ack = 201);
	AT(FIN_WAIT);
}

/* --- refused, reset -------------------------------------------------------------------------- */

TALK(refused)
{
	A(SYN, .seq = 100);
	B(RST | ACK, .seq = 0, .ack = 101);
	NO_FLOW();
	B(RST | ACK, .seq = 0, .ack = 101);
	IS(INVALID);
	A(SYN, .seq = 900);
	B(SYN | ACK, .seq = 700, .ack = 901);
	AT(SYN_RECV);
}

TALK(refused_with_wrong_ack)
{
	A(SYN, .seq = 100);
	B(RST | ACK, .seq = 0, .ack = 102);
	A(SYN, .seq = 100);
	B(RST | ACK, .seq = 0, .ack = 0);
	NO_FLOW();
	A(SYN, .seq = 100);
	B(RST | ACK, .seq = 1, .ack = 101);
	A(SYN, .seq = 100);
	B(RST, .seq = 0);
}

TALK(reset_before_reply)
{
	A(SYN, .seq = 100);
	A(RST, .seq = 101);
	IS(NEW);
	NO_FLOW();
	A(SYN, .seq = 100);
	AT(SYN_SENT);
}

TALK(reset_before_reply_picked_up)
{
	A(ACK, .seq = 100, .ack = 200);
	AT(ESTABLISHED);
	A(RST, .seq = 100);
	NO_FLOW();
}

/* a's window is 1000 from 201 on; b has said 201. */
#define RESET(name, ...)                                                                           \
	TALK(name)                                                                                 \
	{                                                                                          \
		handshake();                                                                       \
		A(PSH | ACK, .seq = 101, .ack = 201, .payload = 10, .win = 1000);                  \
		B(RST, __VA_ARGS__);                                                               \
		A(ACK, .seq = 111, .ack = 201, .win = 1000);                                       \
		B(PSH | ACK, .seq = 201, .ack = 111, .payload = 10, .win = 1000);                  \
	}
RESET(reset_exact, .seq = 201)
RESET(reset_below, .seq = 200)
RESET(reset_above, .seq = 202)
RESET(reset_in_window, .seq = 700)
RESET(reset_at_edge, .seq = 1201)
RESET(reset_over_edge, .seq = 1202)
RESET(reset_far, .seq = 900000)
RESET(reset_zero, .seq = 0)
RESET(reset_far_below, .seq = 0x80000500)

TALK(reset_by_a_exact)
{
	handshake();
	B(PSH | ACK, .seq = 201, .ack = 101, .payload = 10);
	A(RST | ACK, .seq = 101, .ack = 211);
	AT(CLOSE);
}

TALK(reset_acks_zero)
{
	handshake();
	B(RST | ACK, .seq = 201, .ack = 0);
	AT(CLOSE);
}

TALK(reset_acks_too_much)
{
	handshake();
	B(RST | ACK, .seq = 201, .ack = 5000);
	IS(INVALID);
}

TALK(reset_behind_data)
{
	handshake();
	B(PSH | ACK, .seq = 201, .ack = 101, .payload = 500);
	B(RST, .seq = 701);
	AT(CLOSE);
}

TALK(reset_train)
{
	handshake();
	B(ACK, .seq = 201, .ack = 101, .payload = 100);
	A(ACK, .seq = 101, .ack = 201);
	B(RST, .seq = 301);
	AT(ESTABLISHED);
	B(ACK, .seq = 301, .ack = 101, .payload = 100);
	B(RST, .seq = 400);
	AT(ESTABLISHED);
	B(ACK, .seq = 401, .ack = 101, .payload = 100);
	B(RST, .seq = 501);
	AT(CLOSE);
	B(RST, .seq = 502);
}

TALK(reset_invalid_ignored)
{
	KNOB(TCP_IGNORE_INVALID_RST, 1);
	handshake();
	B(RST, .seq = 200);
	AT(ESTABLISHED);
	B(RST, .seq = 0);
	B(RST, .seq = 0x80000000);
}

TALK(reset_in_every_closing_state)
{
	handshake();
	A(FIN | ACK, .seq = 101, .ack = 201);
	B(RST, .seq = 77777777);
	AT(CLOSE);
	A(RST, .seq = 1);
	AT(CLOSE);
}

TALK(reset_in_syn_recv)
{
	A(SYN, .seq = 100);
	B(SYN | ACK, .seq = 200, .ack = 101);
	A(RST, .seq = 150);
	A(RST, .seq = 101);
	AT(CLOSE);
	A(ACK, .seq = 101, .ack = 201);
}

TALK(reset_of_syn_ack)
{
	A(SYN, .seq = 100);
	B(SYN | ACK, .seq = 200, .ack = 101);
	B(RST, .seq = 199);
	B(RST, .seq = 0);
}

TALK(reset_from_both_sides_out_of_window)
{
	handshake();
	B(RST, .seq = 900000);
	IS(INVALID);
	A(RST, .seq = 900000);
	IS(INVALID);
	AT(ESTABLISHED);
}

TALK(fin_from_both_sides_out_of_window)
{
	handshake();
	B(FIN | ACK, .seq = 900000, .ack = 101);
	IS(INVALID);
	A(FIN | ACK, .seq = 900000, .ack = 201);
	IS(INVALID);
	AT(ESTABLISHED);
}

TALK(fin_and_reset_out_of_window)
{
	handshake();
	B(FIN | ACK, .seq = 201, .ack = 90000);
	IS(INVALID);
	B(RST, .seq = 900000);
	A(RST, .seq = 900000);
	AT(ESTABLISHED);
}

TALK(fin_from_both_sides_unassured)
{
	A(SYN, .seq = 100);
	B(SYN | ACK, .seq = 200, .ack = 101);
	B(FIN | ACK, .seq = 900000, .ack = 101);
	A(FIN | ACK, .seq = 900000, .ack = 201);
}

/* --- a SYN where none belongs ---------------------------------------------------------------- */

TALK(syn_in_established_challenged)
{
	handshake();
	A(SYN, .seq = 5000);
	IS(ESTABLISHED);
	AT(ESTABLISHED);
	B(ACK, .seq = 201, .ack = 101);
	AT(ESTABLISHED);
	A(RST, .seq = 201);
	B(ACK, .seq = 201, .ack = 101);
	A(ACK, .seq = 101, .ack = 201);
}

TALK(syn_in_established_reset)
{
	handshake();
	A(SYN, .seq = 5000);
	B(RST | ACK, .seq = 0, .ack = 5001);
	AT(CLOSE);
}

TALK(syn_in_established_reset_by_another_ack)
{
	handshake();
	A(SYN, .seq = 5000);
	B(RST | ACK, .seq = 0, .ack = 5002);
	A(ACK, .seq = 101, .ack = 201);
}

TALK(syn_in_established_resync)
{
	handshake();
	A(SYN, .seq = 5000, .win = 4000, .options = "wscale 3,sackOK");
	AT(ESTABLISHED);
	B(SYN | ACK, .seq = 9000, .ack = 5000);
	AT(ESTABLISHED);
	A(SYN, .seq = 5000, .win = 4000, .options = "wscale 3,sackOK");
	B(SYN | ACK, .seq = 9000, .ack = 5001, .win = 3000, .options = "wscale 2,sackOK");
	AT(SYN_RECV);
	A(ACK, .seq = 5001, .ack = 9001, .win = 500);
	AT(ESTABLISHED);
	B(PSH | ACK, .seq = 9001, .ack = 5001, .payload = 500, .win = 500);
}

TALK(syn_in_established_resync_without_options)
{
	handshake_with(1000, 1000, "wscale 4,sackOK", "wscale 5,sackOK");
	A(SYN, .seq = 5000, .win = 4000);
	B(SYN | ACK, .seq = 9000, .ack = 5001, .win = 3000, .options = "wscale 2,sackOK");
	AT(SYN_RECV);
	A(ACK, .seq = 5001, .ack = 9001, .win = 500);
}

TALK(syn_of_b_in_established)
{
	handshake();
	B(SYN, .seq = 5000);
	IS(INVALID);
	A(SYN | ACK, .seq = 6000, .ack = 5001);
	IS(INVALID);
}

TALK(syn_ack_in_established)
{
	handshake();
	B(SYN | ACK, .seq = 200, .ack = 101);
	AT(ESTABLISHED);
	A(ACK, .seq = 101, .ack = 201);
	B(SYN | ACK, .seq = 700, .ack = 101);
	B(RST, .seq = 201);
	AT(CLOSE);
}

TALK(syn_in_syn_recv)
{
	A(SYN, .seq = 100);
	B(SYN | ACK, .seq = 200, .ack = 101);
	A(SYN, .seq = 100);
	AT(SYN_RECV);
	B(SYN | ACK, .seq = 200, .ack = 101);
	A(SYN, .seq = 700);
	B(SYN | ACK, .seq = 300, .ack = 701);
	AT(SYN_RECV);
	A(ACK, .seq = 701, .ack = 301);
	AT(ESTABLISHED);
}

TALK(challenge_in_syn_sent)
{
	A(SYN, .seq = 100);
	B(ACK, .seq = 7000, .ack = 6000);
	IS(ESTABLISHED);
	AT(SYN_SENT);
	A(RST, .seq = 6000);
	AT(CLOSE);
	A(SYN, .seq = 100);
	B(SYN | ACK, .seq = 7000, .ack = 101);
}

TALK(challenge_in_syn_sent_wrong_reset)
{
	A(SYN, .seq = 100);
	B(ACK, .seq = 7000, .ack = 6000);
	A(RST, .seq = 6001);
	A(RST, .seq = 5999);
	B(SYN | ACK, .seq = 7000, .ack = 101);
}

TALK(challenge_in_last_ack)
{
	handshake();
	A(FIN | ACK, .seq = 101, .ack = 201);
	B(FIN | ACK, .seq = 201, .ack = 102);
	AT(LAST_ACK);
	A(SYN, .seq = 9000);
	AT(LAST_ACK);
	B(ACK, .seq = 202, .ack = 102);
	AT(LAST_ACK);
	B(ACK, .seq = 202, .ack = 102);
	A(RST, .seq = 102);
}

TALK(syn_in_fin_wait_and_close_wait)
{
	handshake();
	A(FIN | ACK, .seq = 101, .ack = 201);
	A(SYN, .seq = 9000);
	AT(FIN_WAIT);
	B(ACK, .seq = 201, .ack = 102);
	AT(CLOSE_WAIT);
	A(SYN, .seq = 9000);
	AT(CLOSE_WAIT);
	B(SYN | ACK, .seq = 4000, .ack = 9001);
	AT(SYN_RECV);
}

/* --- ports used again ------------------------------------------------------------------------ */

TALK(time_wait_reused_by_a)
{
	closed();
	A(SYN, .seq = 9000);
	IS(NEW);
	AT(SYN_SENT);
	B(SYN | ACK, .seq = 8000, .ack = 9001);
	A(ACK, .seq = 9001, .ack = 8001);
	AT(ESTABLISHED);
}

TALK(time_wait_reused_by_b)
{
	closed();
	B(SYN, .seq = 9000);
	IS(NEW);
	AT(SYN_SENT);
	A(SYN | ACK, .seq = 8000, .ack = 9001);
	B(ACK, .seq = 9001, .ack = 8001);
	AT(ESTABLISHED);
}

TALK(close_reused_after_own_reset)
{
	handshake();
	A(RST, .seq = 101);
	AT(CLOSE);
	A(SYN, .seq = 9000);
	IS(NEW);
	AT(SYN_SENT);
}

TALK(close_reused_after_others_reset)
{
	handshake();
	B(RST, .seq = 201);
	AT(CLOSE);
	A(SYN, .seq = 9000);
	IS(ESTABLISHED);
	AT(CLOSE);
	B(SYN | ACK, .seq = 8000, .ack = 9001);
	AT(SYN_RECV);
	A(ACK, .seq = 9001, .ack = 8001);
	AT(ESTABLISHED);
}

TALK(close_reused_by_b)
{
	handshake();
	B(RST, .seq = 201);
	B(SYN, .seq = 9000);
	IS(INVALID);
}

TALK(close_after_fin_reused)
{
	handshake();
	A(FIN | ACK, .seq = 101, .ack = 201);
	B(RST, .seq = 201);
	AT(CLOSE);
	A(SYN, .seq = 9000);
	IS(NEW);
	AT(SYN_SENT);
}

TALK(packets_in_close)
{
	handshake();
	B(RST, .seq = 201);
	A(ACK, .seq = 101, .ack = 201);
	AT(CLOSE);
	A(FIN | ACK, .seq = 101, .ack = 201);
	AT(CLOSE);
	A(ACK, .seq = 101, .ack = 999);
	B(SYN | ACK, .seq = 201, .ack = 101);
}

/* --- windows --------------------------------------------------------------------------------- */

/* Each inequality one below, on, and one above its edge. b may send up to 201 + 1000. */
static void edge_one(uint32_t isn, int by)
{
	A(SYN, .seq = isn + 100, .win = 1000);
	B(SYN | ACK, .seq = isn + 200, .ack = isn + 101, .win = 1000);
	A(ACK, .seq = isn + 101, .ack = isn + 201, .win = 1000);
	B(ACK, .seq = isn + 1201 + (uint32_t)by, .ack = isn + 101, .payload = 10, .win = 1000);
}

static void edge_overshoot(uint32_t isn, int by)
{
	A(SYN, .seq = isn + 100, .win = 1000);
	B(SYN | ACK, .seq = isn + 200, .ack = isn + 101, .win = 1000);
	A(ACK, .seq = isn + 101, .ack = isn + 201, .win = 1000);
	/* seq is over; end - maxend + 1 <= 1000 */
	B(ACK, .seq = isn + 1300, .ack = isn + 101, .payload = (uint16_t)(900 + by), .win = 1000);
	A(ACK, .seq = isn + 101, .ack = isn + 2200, .win = 1000);
}

static void edge_two(uint32_t isn, int by)
{
	A(SYN, .seq = isn + 100, .win = 1000);
	B(SYN | ACK, .seq = isn + 200, .ack = isn + 101, .win = 1000);
	A(ACK, .seq = isn + 101, .ack = isn + 201, .win = 1000);
	for (uint32_t i = 0; i < 3; i++) {
		B(ACK, .seq = isn + 201 + i * 1000, .ack = isn + 101, .payload = 1000, .win = 1000);
		A(ACK, .seq = isn + 101, .ack = isn + 1201 + i * 1000, .win = 1000);
	}
	/* end >= 3201 - 1000 */
	B(ACK, .seq = isn + 2101 + (uint32_t)by, .ack = isn + 101, .payload = 100, .win = 900);
	A(ACK, .seq = isn + 101, .ack = isn + 3201, .win = 999);
}

static void edge_three(uint32_t isn, int by)
{
	A(SYN, .seq = isn + 100, .win = 1000);
	B(SYN | ACK, .seq = isn + 200, .ack = isn + 101, .win = 1000);
	A(ACK, .seq = isn + 101, .ack = isn + 201, .win = 1000);
	B(ACK, .seq = isn + 201, .ack = isn + 101, .payload = 100, .win = 1000);
	A(ACK, .seq = isn + 101, .ack = isn + 301 + (uint32_t)by, .win = 1000);
}

static void edge_four(uint32_t isn, int by)
{
	A(SYN, .seq = isn + 100, .win = 60000);
	B(SYN | ACK, .seq = isn + 200, .ack = isn + 101, .win = 60000);
	A(ACK, .seq = isn + 101, .ack = isn + 201, .win = 60000);
	for (uint32_t i = 0; i < 70; i++) {
		B(ACK, .seq = isn + 201 + i * 1000, .ack = isn + 101, .payload = 1000);
		if (i % 10 == 9)
			A(ACK, .seq = isn + 101, .ack = isn + 1201 + i * 1000, .win = 60000);
	}
	/* sack >= 70201 - 66000 */
	A(ACK, .seq = isn + 101, .ack = isn + 4201 + (uint32_t)by, .win = 60000);
}

static void acked_zero(uint32_t isn, int by)
{
	A(SYN, .seq = isn + 100, .win = 1000);
	B(SYN | ACK, .seq = isn + 200, .ack = isn + 101, .win = 1000);
	A(ACK, .seq = isn + 101, .ack = isn + 201, .win = NO_WINDOW);
	B(ACK, .seq = isn + 201 + (uint32_t)by, .ack = isn + 101, .payload = 1, .win = 1000);
	A(ACK, .seq = isn + 101, .ack = isn + 201, .win = NO_WINDOW);
}

#define EDGE(name, of)                                                                             \
	TALK(name##_below) { of(0, -1); }                                                          \
	TALK(name##_on) { of(0, 0); }                                                              \
	TALK(name##_above) { of(0, 1); }                                                           \
	TALK(name##_below_wrapped) { of(0u - 250, -1); }                                           \
	TALK(name##_on_wrapped) { of(0u - 250, 0); }                                               \
	TALK(name##_above_wrapped) { of(0u - 250, 1); }
EDGE(seq_upper_edge, edge_one)
EDGE(overshoot_edge, edge_overshoot)
EDGE(seq_lower_edge, edge_two)
EDGE(ack_upper_edge, edge_three)
EDGE(ack_lower_edge, edge_four)
EDGE(zero_window_edge, acked_zero)

/* What begins in the window and ends behind it widens the receiver's window for II. */
TALK(window_grows_by_what_was_sent)
{
	handshake();
	B(ACK, .seq = 1201, .ack = 101, .payload = 500, .win = 1000);
	A(ACK, .seq = 101, .ack = 1701, .win = 900);
	B(ACK, .seq = 201, .ack = 101, .win = 1000);
	B(ACK, .seq = 200, .ack = 101, .win = 1000);
	B(ACK, .seq = 199, .ack = 101, .win = 1000);
}

/* A window is counted from the acknowledgement on, and a SACK block is behind it. */
TALK(window_grows_by_sack)
{
	handshake_with(1000, 1000, "sackOK", "sackOK");
	B(ACK, .seq = 701, .ack = 101, .payload = 500, .win = 1000);
	A(ACK, .seq = 101, .ack = 201, .win = 1000, .options = "nop,nop,sack 701:1201");
	B(ACK, .seq = 1201, .ack = 101, .payload = 1000, .win = 1000);
	B(ACK, .seq = 201, .ack = 101, .win = 1000);
	B(ACK, .seq = 200, .ack = 101, .win = 1000);
}

TALK(window_learnt_from_a_reset)
{
	A(SYN, .seq = 100);
	B(ACK, .seq = 7000, .ack = 6000);
	B(RST, .seq = 9000, .win = 1000);
	AT(CLOSE);
	B(ACK, .seq = 10001, .ack = 101, .win = 1000);
	B(ACK, .seq = 10000, .ack = 101, .win = 1000);
	B(ACK, .seq = 12001, .ack = 101, .win = 1000);
}

TALK(reset_zero_in_syn_recv)
{
	A(SYN, .seq = 100);
	B(SYN | ACK, .seq = 200, .ack = 101);
	A(RST, .seq = 0);
	AT(CLOSE);
}

TALK(resync_remembers_window)
{
	handshake();
	A(SYN, .seq = 5000, .win = 10);
	B(SYN | ACK, .seq = 9000, .ack = 5001, .win = 1000);
	AT(SYN_RECV);
	B(ACK, .seq = 9002, .ack = 5001, .payload = 20, .win = 1000);
	B(ACK, .seq = 9002, .ack = 5001, .payload = 5, .win = 1000);
}

TALK(windows_scaled)
{
	handshake_with(1000, 1000, "mss 1460,nop,wscale 3", "mss 1460,nop,wscale 2");
	B(ACK, .seq = 201, .ack = 101, .payload = 1000, .win = 1000);
	A(ACK, .seq = 101, .ack = 1201, .win = 1000);
	B(ACK, .seq = 1201 + 8000, .ack = 101, .payload = 10, .win = 1000);
	IS(ESTABLISHED);
	B(ACK, .seq = 1201 + 8000 + 2000, .ack = 101, .payload = 10, .win = 1000);
	A(ACK, .seq = 101 + 4001, .ack = 1201, .payload = 10, .win = 1000);
}

TALK(scale_offered_by_a_alone)
{
	handshake_with(1000, 1000, "wscale 7", "");
	B(ACK, .seq = 201, .ack = 101, .payload = 10, .win = 1000);
	A(ACK, .seq = 101, .ack = 211, .win = 1000);
	B(ACK, .seq = 211 + 1001, .ack = 101, .payload = 10, .win = 1000);
}

TALK(scale_offered_by_b_alone)
{
	handshake_with(1000, 1000, "", "wscale 7");
	B(ACK, .seq = 201, .ack = 101, .payload = 10, .win = 1000);
	A(ACK, .seq = 101 + 1201, .ack = 211, .payload = 10, .win = 1000);
}

TALK(scale_beyond_14)
{
	handshake_with(1000, 1000, "wscale 15", "wscale 255");
	A(ACK, .seq = 101, .ack = 201, .win = 3);
	B(ACK, .seq = 201 + 3 * 16384, .ack = 101, .payload = 10);
}

TALK(syn_windows_are_not_scaled)
{
	A(SYN, .seq = 100, .win = 100, .options = "wscale 14");
	B(SYN | ACK, .seq = 200, .ack = 101, .win = 100, .options = "wscale 14");
	A(ACK, .seq = 101 + 101, .ack = 201, .win = 1);
	A(ACK, .seq = 101 + 300, .ack = 201, .win = 1);
}

TALK(sack_extends_ack)
{
	handshake_with(1000, 1000, "sackOK", "sackOK");
	B(ACK, .seq = 301, .ack = 101, .payload = 100, .win = 1000);
	A(ACK, .seq = 101, .ack = 201, .win = 1000, .options = "nop,nop,sack 301:401");
	B(ACK, .seq = 1201, .ack = 101, .payload = 100, .win = 1000);
	A(ACK, .seq = 101, .ack = 201, .win = 1000, .options = "nop,nop,sack 301:402");
	A(ACK, .seq = 101, .ack = 201, .win = 1000, .options = "nop,nop,sack 301:1302");
	IS(INVALID);
	A(ACK, .seq = 101, .ack = 201, .win = 1000,
	  .options = "nop,nop,sack 301:401 1201:1301 250:260");
}

TALK(sack_not_permitted)
{
	handshake();
	A(ACK, .seq = 101, .ack = 201, .win = 1000, .options = "nop,nop,sack 301:99999");
	IS(ESTABLISHED);
}

TALK(sack_permitted_by_one)
{
	handshake_with(1000, 1000, "sackOK", "");
	A(ACK, .seq = 101, .ack = 201, .win = 1000, .options = "nop,nop,sack 301:99999");
	B(ACK, .seq = 201, .ack = 101, .win = 1000, .options = "nop,nop,sack 301:99999");
}

TALK(two_sack_options)
{
	handshake_with(1000, 1000, "sackOK", "sackOK");
	A(ACK, .seq = 101, .ack = 201, .win = 1000, .options = "sack 101:201,sack 301:99999");
	A(ACK, .seq = 101, .ack = 201, .win = 1000, .options = "sack 301:99999,sack 101:201");
}

TALK(sack_half_the_numbers_away)
{
	A(ACK, .seq = 100, .ack = 200);
	B(ACK, .seq = 200, .ack = 100, .options = "nop,nop,sack 1:2147483747");
	A(ACK, .seq = 100, .ack = 200, .port = 1);
	B(ACK, .seq = 200, .ack = 100, .port = 1, .options = "nop,nop,sack 1:2147483748");
	A(ACK, .seq = 100, .ack = 200, .port = 2);
	B(ACK, .seq = 200, .ack = 100, .port = 2, .options = "nop,nop,sack 1:2147483749");
}

TALK(syn_again_without_options)
{
	A(SYN, .seq = 100, .options = "wscale 2,sackOK");
	A(SYN, .seq = 200);
	A(SYN, .seq = 300, .options = "nop,nop,nop,nop");
	A(SYN, .seq = 400, .options = "wscale 3");
	A(SYN, .seq = 500);
	B(SYN | ACK, .seq = 200, .ack = 501, .options = "wscale 4,sackOK");
	B(SYN | ACK, .seq = 300, .ack = 501);
}

TALK(liberal_remembers_overshoot)
{
	KNOB(TCP_BE_LIBERAL, 1);
	handshake();
	B(ACK, .seq = 1250, .ack = 101, .payload = 10, .win = 1000);
	KNOB(TCP_BE_LIBERAL, 0);
	A(ACK, .seq = 101, .ack = 1260, .win = 1000);
	IS(ESTABLISHED);
}

TALK(simultaneous_open_forgotten_by_syn)
{
	A(SYN, .seq = 100);
	B(SYN, .seq = 200);
	A(SYN | ACK, .seq = 100, .ack = 201);
	AT(SYN_RECV);
	A(SYN, .seq = 100);
	AT(SYN_RECV);
	B(ACK, .seq = 201, .ack = 101);
	AT(SYN_RECV);
}

TALK(reset_after_own_syn)
{
	handshake();
	A(SYN, .seq = 5000);
	A(RST | ACK, .seq = 700, .ack = 5001);
	A(ACK, .seq = 101, .ack = 201);
}

TALK(sack_behind_timestamp)
{
	handshake_with(1000, 1000, "sackOK", "sackOK");
	A(ACK, .seq = 101, .ack = 201, .options = "nop,nop,TS val 1 ecr 2,nop,nop,sack 1:999");
	IS(INVALID);
	A(ACK, .seq = 101, .ack = 201, .options = "TS val 1 ecr 2,sack 1:999");
	IS(INVALID);
	A(ACK, .seq = 101, .ack = 201, .options = "eol,eol,sack 1:999");
	IS(ESTABLISHED);
	A(ACK, .seq = 101, .ack = 201, .options = "hex 0500,sack 1:999");
	A(ACK, .seq = 101, .ack = 201, .options = "hex 1e28dead,sack 1:999");
	A(ACK, .seq = 101, .ack = 201, .options = "hex 05090000000000000009,sack 1:999");
	A(ACK, .seq = 101, .ack = 201, .options = "hex 0a");
	A(ACK, .seq = 101, .ack = 201, .options = "nop,nop,nop,hex 05");
}

TALK(zero_window_then_probe)
{
	handshake();
	A(ACK, .seq = 101, .ack = 201, .win = NO_WINDOW);
	B(ACK, .seq = 200, .ack = 101, .win = 1000);
	A(ACK, .seq = 101, .ack = 201, .win = NO_WINDOW);
	B(ACK, .seq = 201, .ack = 101, .payload = 1, .win = 1000);
	A(ACK, .seq = 101, .ack = 201, .win = NO_WINDOW);
	A(ACK, .seq = 101, .ack = 202, .win = 500);
}

TALK(keepalive)
{
	handshake();
	A(ACK, .seq = 100, .ack = 201);
	B(ACK, .seq = 201, .ack = 101);
	A(ACK, .seq = 100, .ack = 201, .payload = 1);
	B(ACK, .seq = 201, .ack = 101);
}

TALK(retransmitted)
{
	handshake();
	for (int i = 0; i < 6; i++)
		A(PSH | ACK, .seq = 101, .ack = 201, .payload = 10, .win = 1000);
	B(ACK, .seq = 201, .ack = 111, .win = 1000);
	for (int i = 0; i < 6; i++)
		B(ACK, .seq = 201, .ack = 111, .win = 1000);
	A(ACK, .seq = 111, .ack = 201, .win = 999);
}

TALK(max_retrans_zero)
{
	KNOB(TCP_MAX_RETRANS, 0);
	handshake();
	A(ACK, .seq = 101, .ack = 201);
	KNOB(TCP_MAX_RETRANS, 1);
	A(ACK, .seq = 101, .ack = 201);
	A(ACK, .seq = 101, .ack = 201);
}

TALK(retransmitted_fin)
{
	handshake();
	for (int i = 0; i < 6; i++)
		A(FIN | ACK, .seq = 101, .ack = 201, .win = 1000);
	for (int i = 0; i < 6; i++)
		B(ACK, .seq = 201, .ack = 102, .win = 1000);
}

TALK(unacknowledged_data)
{
	handshake();
	A(PSH | ACK, .seq = 101, .ack = 201, .payload = 100);
	B(ACK, .seq = 201, .ack = 151);
	B(ACK, .seq = 201, .ack = 201);
	B(PSH | ACK, .seq = 201, .ack = 201, .payload = 10);
	A(PSH | ACK, .seq = 201, .ack = 211, .payload = 10);
	B(ACK, .seq = 211, .ack = 211);
}

TALK(liberal)
{
	KNOB(TCP_BE_LIBERAL, 1);
	handshake();
	A(ACK, .seq = 900000, .ack = 201);
	IS(ESTABLISHED);
	A(ACK, .seq = 101, .ack = 900000);
	IS(ESTABLISHED);
	KNOB(TCP_BE_LIBERAL, 0);
	A(ACK, .seq = 900000, .ack = 201);
	IS(INVALID);
}

TALK(every_timeout)
{
	uint8_t seconds = 40;

	for (uint8_t i = CT_T_TCP_SYN_SENT; i < CT_T_MAX; i++, seconds += 5)
		if (i != CT_T_TCP_SYN_SENT2) /* the kernel has no sysctl for it */
			add(&(struct say){ .kind = SAY_TIMEOUT, .knob = i, .value = seconds });
	closed();
	A(SYN, .seq = 9000);
	B(SYN, .seq = 9000);
	AT(SYN_SENT2);
	A(RST, .seq = 9001);
	A(ACK, .seq = 1, .ack = 2, .port = 1);
	B(ACK, .seq = 2, .ack = 1, .port = 1);
	B(FIN | ACK, .seq = 2, .ack = 1, .port = 1);
	A(ACK, .seq = 1, .ack = 3, .port = 1);
	AT(CLOSE_WAIT);
	A(RST, .seq = 1, .port = 1);
	AT(CLOSE);
	A_UDP(.payload = 1);
	B_UDP(.payload = 1);
	A_ICMP(.icmp_type = 8, .icmp_id = 1);
	B_ICMP(.icmp_type = 0, .icmp_id = 1);
}

TALK(timeouts_cut_only_what_is_longer)
{
	TIMEOUT(TCP_ESTABLISHED, 100);
	TIMEOUT(TCP_RETRANS, 50);
	TIMEOUT(TCP_UNACK, 70);
	handshake();
	A(ACK, .seq = 101, .ack = 201, .win = 1000, .payload = 10);
	B(ACK, .seq = 201, .ack = 111, .win = NO_WINDOW);
	for (int i = 0; i < 5; i++)
		B(ACK, .seq = 201, .ack = 111, .win = 1000);
	B(RST, .seq = 300);
	TIMEOUT(TCP_UNACK, 200);
	A(ACK, .seq = 111, .ack = 201, .win = 1000, .payload = 10);
	TIMEOUT(TCP_CLOSE, 250);
	TIMEOUT(TCP_FIN_WAIT, 250);
	A(FIN | ACK, .seq = 121, .ack = 201, .win = 1000);
	A(RST, .seq = 122);
	AT(CLOSE);
}

/* --- every kind of packet in every state ----------------------------------------------------- */

/* The flow of this port, brought into a state; both sides have begun with 100 and 200. */
static void reach(uint8_t state, uint16_t port)
{
	A(SYN, .seq = 100, .port = port);
	if (state == CT_TCP_SYN_SENT)
		return;
	if (state == CT_TCP_SYN_SENT2) {
		B(SYN, .seq = 200, .port = port);
		return;
	}
	B(SYN | ACK, .seq = 200, .ack = 101, .port = port);
	if (state == CT_TCP_SYN_RECV)
		return;
	A(ACK, .seq = 101, .ack = 201, .port = port);
	if (state == CT_TCP_ESTABLISHED)
		return;
	if (state == CT_TCP_CLOSE) {
		A(RST, .seq = 101, .port = port);
		return;
	}
	A(FIN | ACK, .seq = 101, .ack = 201, .port = port);
	if (state == CT_TCP_FIN_WAIT)
		return;
	B(ACK, .seq = 201, .ack = 102, .port = port);
	if (state == CT_TCP_CLOSE_WAIT)
		return;
	B(FIN | ACK, .seq = 201, .ack = 102, .port = port);
	if (state == CT_TCP_LAST_ACK)
		return;
	A(ACK, .seq = 102, .ack = 202, .port = port);
}

/* From either side, each in a flow of its own; then again, and an ACK, to see what it has led to. */
static void every_packet_in(uint8_t state)
{
	static const uint8_t kinds[] = { SYN, SYN | ACK, FIN | ACK, ACK, RST };
	bool closed_by_a = state >= CT_TCP_FIN_WAIT && state <= CT_TCP_TIME_WAIT;
	bool closed_by_b = state == CT_TCP_LAST_ACK || state == CT_TCP_TIME_WAIT;
	uint16_t port = 0;

	for (uint8_t dir = 0; dir < 2; dir++)
		for (size_t i = 0; i < sizeof(kinds); i++, port++) {
			uint32_t next[] = { 101 + closed_by_a, 201 + closed_by_b };
			struct say s = { .kind = SAY_TCP, .dir = dir, .flags = kinds[i],
					 .port = port };

			reach(state, port);
			writing->say[writing->n - 1].want_state = state + 1;
			s.seq = next[dir] - !!(kinds[i] & SYN);
			s.ack = kinds[i] & ACK ? next[!dir] : 0;
			add(&s);
			add(&s);
			A(ACK, .seq = 101, .ack = 201, .port = port);
		}
}

TALK(every_packet_in_syn_sent) { every_packet_in(CT_TCP_SYN_SENT); }
TALK(every_packet_in_syn_recv) { every_packet_in(CT_TCP_SYN_RECV); }
TALK(every_packet_in_established) { every_packet_in(CT_TCP_ESTABLISHED); }
TALK(every_packet_in_fin_wait) { every_packet_in(CT_TCP_FIN_WAIT); }
TALK(every_packet_in_close_wait) { every_packet_in(CT_TCP_CLOSE_WAIT); }
TALK(every_packet_in_last_ack) { every_packet_in(CT_TCP_LAST_ACK); }
TALK(every_packet_in_time_wait) { every_packet_in(CT_TCP_TIME_WAIT); }
TALK(every_packet_in_close) { every_packet_in(CT_TCP_CLOSE); }
TALK(every_packet_in_syn_sent2) { every_packet_in(CT_TCP_SYN_SENT2); }

/* --- data on the SYN, and before the handshake's end (TCP Fast Open, RFC 7413) --------------- */

TALK(fast_open)
{
	A(SYN, .seq = 100, .payload = 50, .win = 1000, .options = "mss 1460,hex 220a0102030405060708");
	IS(NEW);
	B(SYN | ACK, .seq = 200, .ack = 151, .win = 1000);
	AT(SYN_RECV);
	B(PSH | ACK, .seq = 201, .ack = 151, .payload = 400, .win = 1000);
	AT(SYN_RECV);
	B(PSH | ACK, .seq = 601, .ack = 151, .payload = 400, .win = 1000);
	A(ACK, .seq = 151, .ack = 1001, .win = 1000);
	AT(ESTABLISHED);
	A(PSH | ACK, .seq = 151, .ack = 1001, .payload = 10, .win = 1000);
	B(ACK, .seq = 1001, .ack = 161, .win = 1000);
}

TALK(fast_open_data_refused)
{
	A(SYN, .seq = 100, .payload = 50, .win = 1000, .options = "hex 2202,nop,nop");
	B(SYN | ACK, .seq = 200, .ack = 101, .win = 1000);
	AT(SYN_RECV);
	A(PSH | ACK, .seq = 101, .ack = 201, .payload = 50, .win = 1000);
	AT(ESTABLISHED);
	B(ACK, .seq = 201, .ack = 151, .win = 1000);
}

TALK(fast_open_data_half_taken)
{
	A(SYN, .seq = 100, .payload = 50, .win = 1000);
	B(SYN | ACK, .seq = 200, .ack = 121, .win = 1000);
	A(PSH | ACK, .seq = 121, .ack = 201, .payload = 30, .win = 1000);
	AT(ESTABLISHED);
	B(ACK, .seq = 201, .ack = 151, .win = 1000);
}

TALK(fast_open_acked_too_far)
{
	A(SYN, .seq = 100, .payload = 50);
	B(SYN | ACK, .seq = 200, .ack = 152);
	IS(INVALID);
	AT(SYN_SENT);
	B(SYN | ACK, .seq = 200, .ack = 100);
	AT(SYN_RECV);
}

TALK(fast_open_again_without_data)
{
	A(SYN, .seq = 100, .payload = 50, .win = 1000, .options = "wscale 2,sackOK");
	A(SYN, .seq = 100, .win = 500);
	B(SYN | ACK, .seq = 200, .ack = 151, .win = 1000, .options = "wscale 2,sackOK");
	AT(SYN_RECV);
	A(ACK, .seq = 151, .ack = 201, .win = 1000);
	B(ACK, .seq = 201 + 4001, .ack = 151, .payload = 10, .win = 1000);
}

TALK(fast_open_again_with_data)
{
	A(SYN, .seq = 100, .win = 1000);
	A(SYN, .seq = 100, .payload = 50, .win = 500);
	B(SYN | ACK, .seq = 200, .ack = 151, .win = 1000);
	AT(SYN_RECV);
	A(SYN, .seq = 100, .payload = 50, .win = 500);
	B(SYN | ACK, .seq = 200, .ack = 151, .win = 1000);
	A(ACK, .seq = 151, .ack = 201, .win = 500);
}

/* The server sends as much as the SYN's window has room for, and one more than that. */
TALK(fast_open_answer_to_the_edge)
{
	A(SYN, .seq = 100, .payload = 50, .win = 1000);
	B(SYN | ACK, .seq = 200, .ack = 151, .win = 1000);
	B(ACK, .seq = 200, .ack = 151, .payload = 1, .win = 1000);
	B(ACK, .seq = 201, .ack = 151, .payload = 1, .win = 1000);
	B(ACK, .seq = 202, .ack = 151, .payload = 998, .win = 1000);
	B(ACK, .seq = 1200, .ack = 151, .payload = 1, .win = 1000);
	A(ACK, .seq = 151, .ack = 1201, .win = 1000);
}

TALK(fast_open_answer_on_the_syn_ack)
{
	A(SYN, .seq = 100, .payload = 50, .win = 1000);
	B(SYN | ACK, .seq = 200, .ack = 151, .payload = 600, .win = 1000);
	AT(SYN_RECV);
	B(ACK, .seq = 801, .ack = 151, .payload = 100, .win = 1000);
	A(ACK, .seq = 151, .ack = 901, .win = 1000);
	AT(ESTABLISHED);
}

TALK(fast_open_reset)
{
	A(SYN, .seq = 100, .payload = 50);
	B(RST | ACK, .seq = 0, .ack = 151);
	NO_FLOW();
	A(SYN, .seq = 100, .payload = 50);
	B(RST | ACK, .seq = 0, .ack = 101);
	NO_FLOW();
	A(SYN, .seq = 100, .payload = 50);
	B(RST | ACK, .seq = 0, .ack = 152);
}

TALK(fast_open_over_time_wait)
{
	closed();
	A(SYN, .seq = 9000, .payload = 50);
	IS(NEW);
	AT(SYN_SENT);
	B(SYN | ACK, .seq = 8000, .ack = 9051);
	AT(SYN_RECV);
	B(ACK, .seq = 8001, .ack = 9051, .payload = 100);
	A(ACK, .seq = 9051, .ack = 8101);
	AT(ESTABLISHED);
}

TALK(fast_open_resync)
{
	handshake();
	A(SYN, .seq = 5000, .payload = 50);
	AT(ESTABLISHED);
	B(SYN | ACK, .seq = 9000, .ack = 5001);
	AT(ESTABLISHED);
	A(SYN, .seq = 5000, .payload = 50);
	B(SYN | ACK, .seq = 9000, .ack = 5051);
	AT(SYN_RECV);
	B(ACK, .seq = 9001, .ack = 5051, .payload = 10);
	A(ACK, .seq = 5051, .ack = 9011);
	AT(ESTABLISHED);
}

TALK(fast_open_simultaneous)
{
	A(SYN, .seq = 100, .payload = 50);
	B(SYN, .seq = 200, .payload = 60);
	AT(SYN_SENT2);
	A(SYN | ACK, .seq = 100, .ack = 261);
	AT(SYN_RECV);
	B(SYN | ACK, .seq = 200, .ack = 151);
	B(ACK, .seq = 261, .ack = 151);
	AT(ESTABLISHED);
}

/* Until the client has acknowledged something, all but the first segment is an overshoot. */
TALK(server_speaks_and_closes_first)
{
	A(SYN, .seq = 100, .payload = 5);
	B(SYN | ACK, .seq = 200, .ack = 106);
	B(PSH | ACK, .seq = 201, .ack = 106, .payload = 100);
	AT(SYN_RECV);
	B(FIN | ACK, .seq = 301, .ack = 106);
	AT(SYN_RECV);
	A(ACK, .seq = 106, .ack = 302);
	AT(ESTABLISHED);
	B(FIN | ACK, .seq = 301, .ack = 106);
	AT(FIN_WAIT);
	A(ACK, .seq = 106, .ack = 302);
	AT(CLOSE_WAIT);
	A(FIN | ACK, .seq = 106, .ack = 302);
	AT(LAST_ACK);
	B(ACK, .seq = 302, .ack = 107);
	AT(TIME_WAIT);
}

TALK(server_closes_with_its_first_segment)
{
	A(SYN, .seq = 100, .payload = 5);
	B(SYN | ACK, .seq = 200, .ack = 106);
	B(FIN | ACK, .seq = 201, .ack = 106, .payload = 100);
	AT(FIN_WAIT);
	A(FIN | ACK, .seq = 106, .ack = 302);
	AT(LAST_ACK);
	B(ACK, .seq = 302, .ack = 107);
	AT(TIME_WAIT);
}

/* --- what the rules above leave open --------------------------------------------------------- */

/* Picked up, neither side is refused anything; after a resync the SYN's side is, like any other. */
TALK(picked_up_then_resync)
{
	A(ACK, .seq = 100, .ack = 200, .win = 1000);
	B(ACK, .seq = 200, .ack = 100, .win = 1000);
	A(SYN, .seq = 7000, .win = 1000);
	B(SYN | ACK, .seq = 900, .ack = 7001, .win = 1000);
	AT(SYN_RECV);
	A(ACK, .seq = 7001, .ack = 901, .win = 1000);
	AT(ESTABLISHED);
	A(ACK, .seq = 900000, .ack = 901, .win = 1000);
	IS(INVALID);
	B(ACK, .seq = 900000, .ack = 7001, .win = 1000);
	IS(ESTABLISHED);
}

TALK(picked_up_then_resync_with_options)
{
	A(ACK, .seq = 100, .ack = 200, .win = 1000);
	B(ACK, .seq = 200, .ack = 100, .win = 1000);
	A(SYN, .seq = 7000, .win = 1000, .options = "wscale 2,sackOK");
	B(SYN | ACK, .seq = 900, .ack = 7001, .win = 1000, .options = "wscale 3,sackOK");
	A(ACK, .seq = 7001, .ack = 901, .win = 1000);
	AT(ESTABLISHED);
	A(ACK, .seq = 900000, .ack = 901, .win = 1000);
	IS(INVALID);
	B(ACK, .seq = 900000, .ack = 7001, .win = 1000);
	IS(ESTABLISHED);
}

TALK(resync_in_last_ack)
{
	handshake();
	A(FIN | ACK, .seq = 101, .ack = 201);
	B(FIN | ACK, .seq = 201, .ack = 102);
	A(SYN, .seq = 9000);
	AT(LAST_ACK);
	B(SYN | ACK, .seq = 4000, .ack = 9001);
	AT(SYN_RECV);
	A(ACK, .seq = 9001, .ack = 4001);
	AT(ESTABLISHED);
	B(FIN | ACK, .seq = 4001, .ack = 9001);
	A(FIN | ACK, .seq = 9001, .ack = 4002);
	B(ACK, .seq = 4002, .ack = 9002);
	AT(TIME_WAIT);
}

TALK(resync_around_the_wrap)
{
	handshake();
	A(SYN, .seq = 0xffffffff, .win = 1000);
	B(SYN | ACK, .seq = 0xffffffff, .ack = 0, .win = 1000);
	AT(SYN_RECV);
	A(ACK, .seq = 0, .ack = 0, .win = 1000);
	AT(ESTABLISHED);
	B(ACK, .seq = 0, .ack = 0, .payload = 1000, .win = 1000);
	A(ACK, .seq = 0, .ack = 1001, .win = 1000);
	IS(INVALID);
}

/* A FIN after the SYN in LAST_ACK: the ACK then is no challenge. */
TALK(no_challenge_in_last_ack)
{
	handshake();
	B(FIN | ACK, .seq = 201, .ack = 101);
	A(FIN | ACK, .seq = 101, .ack = 202);
	AT(LAST_ACK);
	A(SYN, .seq = 9000);
	A(FIN | ACK, .seq = 101, .ack = 202);
	AT(LAST_ACK);
	B(ACK, .seq = 202, .ack = 102);
	AT(TIME_WAIT);
}

TALK(reset_train_around_the_wrap)
{
	A(SYN, .seq = 100, .win = 1000);
	B(SYN | ACK, .seq = 0xffffffaa, .ack = 101, .win = 1000);
	A(ACK, .seq = 101, .ack = 0xffffffab, .win = 1000);
	AT(ESTABLISHED);
	B(ACK, .seq = 0xffffffab, .ack = 101, .payload = 100, .win = 1000);
	B(RST, .seq = 0x10);
	AT(ESTABLISHED);
	B(ACK, .seq = 0x0f, .ack = 101, .payload = 1, .win = 1000);
	B(RST, .seq = 0x10);
	AT(CLOSE);
}

/* Before the flow is assured, a reset that acknowledges the end of the last ACK is believed. */
TALK(reset_that_knows_the_last_ack)
{
	A(SYN, .seq = 100, .win = 1000);
	B(SYN | ACK, .seq = 200, .ack = 101, .win = 1000);
	B(ACK, .seq = 201, .ack = 101, .win = 1000);
	AT(SYN_RECV);
	B(RST | ACK, .seq = 900000, .ack = 202);
	AT(SYN_RECV);
	B(RST | ACK, .seq = 900000, .ack = 201);
	AT(CLOSE);
}

/* A FIN or reset from each side, out of the window: cut only if 120 s or more are left. */
TALK(both_sides_refused_shortly_before_the_end)
{
	TIMEOUT(TCP_UNACK, 50);
	TIMEOUT(TCP_ESTABLISHED, 110);
	handshake();
	B(FIN | ACK, .seq = 900000, .ack = 101);
	A(RST, .seq = 900000);
	TIMEOUT(TCP_ESTABLISHED, 130);
	A(ACK, .seq = 101, .ack = 201, .win = 999);
	B(RST, .seq = 900000);
	A(FIN | ACK, .seq = 900000, .ack = 201);
}

/* Repeats cut before a reset does, a reset before unacknowledged data, that before a closed window. */
TALK(which_timeout_comes_first)
{
	TIMEOUT(TCP_RETRANS, 50);
	TIMEOUT(TCP_UNACK, 70);
	TIMEOUT(TCP_CLOSE, 60);
	handshake();
	A(PSH | ACK, .seq = 101, .ack = 201, .payload = 10, .win = NO_WINDOW);
	for (int i = 0; i < 3; i++)
		A(PSH | ACK, .seq = 101, .ack = 201, .payload = 10, .win = NO_WINDOW);
	B(FIN | ACK, .seq = 201, .ack = 101, .win = 1000);
	B(RST, .seq = 202);
	AT(CLOSE);
}

/* A window is never 0 to the tracker, and a SYN may offer none. */
TALK(syn_offers_no_window)
{
	A(SYN, .seq = 100, .win = NO_WINDOW);
	B(SYN | ACK, .seq = 200, .ack = 101, .win = NO_WINDOW);
	B(ACK, .seq = 201, .ack = 101, .payload = 1, .win = NO_WINDOW);
	A(ACK, .seq = 101, .ack = 201, .win = NO_WINDOW);
	A(ACK, .seq = 101, .ack = 201, .payload = 2, .win = 10);
	A(ACK, .seq = 103, .ack = 201, .payload = 1, .win = 10);
}

/* The second SYN of a simultaneous open moves on: in SYN_SENT2 that begins nothing anew. */
TALK(simultaneous_open_with_another_syn)
{
	A(SYN, .seq = 100, .win = 1000);
	B(SYN, .seq = 200, .win = 1000);
	AT(SYN_SENT2);
	A(SYN, .seq = 101, .win = 500);
	B(SYN, .seq = 5000, .win = 500);
	A(SYN | ACK, .seq = 100, .ack = 201, .win = 1000);
	B(ACK, .seq = 201, .ack = 101, .win = 1000);
}

/* In SYN_RECV a SYN/ACK with a higher number does. */
TALK(simultaneous_open_begins_anew)
{
	A(SYN, .seq = 100, .win = 1000, .options = "wscale 3,sackOK");
	B(SYN, .seq = 200, .win = 1000, .options = "wscale 3,sackOK");
	A(SYN | ACK, .seq = 100, .ack = 201, .win = 1000, .options = "wscale 3,sackOK");
	AT(SYN_RECV);
	A(SYN | ACK, .seq = 900, .ack = 201, .win = 700, .options = "wscale 1");
	AT(SYN_RECV);
	B(ACK, .seq = 201, .ack = 901, .win = 1000);
	A(ACK, .seq = 901, .ack = 201, .win = 1000);
}

/* --- in the middle --------------------------------------------------------------------------- */

TALK(picked_up)
{
	A(ACK, .seq = 100, .ack = 200, .win = 100);
	IS(NEW);
	AT(ESTABLISHED);
	A(ACK, .seq = 100, .ack = 200, .payload = 100, .win = 100);
	B(ACK, .seq = 200, .ack = 200, .payload = 100, .win = 100);
	IS(ESTABLISHED);
	A(ACK, .seq = 200, .ack = 300, .win = 100);
	A(ACK, .seq = 900000, .ack = 300, .win = 100);
	IS(ESTABLISHED);
	B(ACK, .seq = 900000, .ack = 7, .win = 100);
	A(FIN | ACK, .seq = 200, .ack = 300);
	B(FIN | ACK, .seq = 300, .ack = 201);
	A(ACK, .seq = 201, .ack = 301);
	AT(TIME_WAIT);
}

TALK(picked_up_then_syn)
{
	A(ACK, .seq = 100, .ack = 200);
	A(SYN, .seq = 7000, .options = "wscale 2,sackOK");
	AT(ESTABLISHED);
	B(SYN | ACK, .seq = 900, .ack = 7001, .options = "wscale 2,sackOK");
	AT(SYN_RECV);
	A(ACK, .seq = 7001, .ack = 901);
}

TALK(picked_up_then_reset)
{
	A(ACK, .seq = 100, .ack = 200);
	B(RST, .seq = 200);
	NO_FLOW();
}

TALK(picked_up_not_loose)
{
	KNOB(TCP_LOOSE, 0);
	A(ACK, .seq = 100, .ack = 200);
	IS(INVALID);
	NO_FLOW();
	A(SYN, .seq = 100);
	IS(NEW);
}

TALK(answered_in_the_middle)
{
	A(SYN, .seq = 100);
	B(ACK, .seq = 200, .ack = 101);
	AT(SYN_SENT);
	B(FIN | ACK, .seq = 200, .ack = 101);
	IS(INVALID);
	A(ACK, .seq = 101, .ack = 201);
	IS(INVALID);
}

/* --- other protocols ------------------------------------------------------------------------- */

TALK(udp)
{
	A_UDP(.payload = 10);
	IS(NEW);
	A_UDP(.payload = 0);
	IS(NEW);
	B_UDP(.payload = 100);
	IS(ESTABLISHED);
	A_UDP(.payload = 10);
	IS(ESTABLISHED);
	B_UDP(.payload = 100, .port = 1);
	IS(NEW);
}

TALK(udp_stream)
{
	A_UDP(.payload = 10);
	B_UDP(.payload = 10);
	A_UDP(.payload = 10, .port = 1);
	WAIT(2100);
	A_UDP(.payload = 10);
	B_UDP(.payload = 10);
	A_UDP(.payload = 10, .port = 1);
	B_UDP(.payload = 10, .port = 1);
	B_UDP(.payload = 10, .port = 1);
}

/* Waiting shows which packets refresh. */
TALK(what_refreshes)
{
	A(SYN, .seq = 100, .win = 1000);
	B(SYN | ACK, .seq = 200, .ack = 101, .win = 1000, .port = 1);
	A(SYN, .seq = 100, .win = 1000, .port = 1);
	B(SYN | ACK, .seq = 200, .ack = 101, .win = 1000, .port = 1);
	A(ACK, .seq = 101, .ack = 201, .win = 1000, .port = 1);
	WAIT(2100);
	A(SYN, .seq = 100, .win = 1000);
	A(SYN, .seq = 900, .win = 1000, .port = 1);
	B(SYN | ACK, .seq = 900, .ack = 101, .win = 1000, .port = 1);
	B(ACK, .seq = 1300, .ack = 101, .payload = 100, .win = 1000, .port = 1);
	B(ACK, .seq = 3300, .ack = 101, .payload = 100, .win = 1000, .port = 1);
	A_ERROR(.icmp_type = 3, .quote = IPPROTO_TCP, .port = 1);
	A(ACK, .seq = 101, .ack = 201, .win = 1000, .port = 1);
}

TALK(other_protocol)
{
	A_OTHER(.payload = 10);
	IS(NEW);
	A_OTHER(.payload = 0);
	B_OTHER(.payload = 20);
	IS(ESTABLISHED);
	A_OTHER(.payload = 30);
}

TALK(flawed)
{
	for (uint8_t flaw = TCP_DOFF_4; flaw <= L4_CUT_AT_20; flaw++) {
		A(SYN, .seq = 100, .flaw = flaw);
		IS(INVALID);
	}
	handshake();
	for (uint8_t flaw = TCP_DOFF_4; flaw <= L4_CUT_AT_20; flaw++)
		A(ACK, .seq = 101, .ack = 201, .win = 1000, .flaw = flaw);
	for (uint8_t flaw = UDP_LENGTH_7; flaw <= UDP_LENGTH_MORE; flaw++) {
		A_UDP(.payload = 10, .flaw = flaw);
		IS(INVALID);
	}
	A_UDP(.payload = 10, .flaw = L4_CUT_SHORT);
	A_ICMP(.icmp_type = 8, .icmp_id = 7, .flaw = L4_CUT_SHORT);
}

/* IPv6 knows no UDP length of 0 but in a jumbogram; a checksum covers all that IP carries. */
TALK(udp_length)
{
	A_UDP(.payload = 10, .flaw = UDP_LENGTH_0);
	IS(INVALID);
	B_UDP(.payload = 10, .flaw = UDP_LENGTH_LESS, .port = 1);
	IS(INVALID);
}

static void wrong_checksums(void)
{
	for (uint8_t flaw = WRONG_CHECKSUM; flaw <= NO_CHECKSUM; flaw++) {
		A(SYN, .seq = 100, .payload = 9, .port = flaw, .flaw = flaw);
		A_UDP(.payload = 9, .port = flaw, .flaw = flaw);
		A_ICMP(.icmp_type = 8, .icmp_id = flaw, .payload = 9, .flaw = flaw);
		A(ACK, .seq = 101, .ack = 201, .payload = 1, .flaw = flaw);
		B(RST, .seq = 201, .payload = 1, .flaw = flaw);
		B_ERROR(.icmp_type = 3, .icmp_code = 3, .quote = IPPROTO_TCP, .flaw = flaw);
	}
}

TALK(checksums)
{
	handshake();
	B(ACK, .seq = 201, .ack = 101, .flaw = WRONG_CHECKSUM);
	IS(INVALID);
	A_UDP(.payload = 10, .flaw = NO_CHECKSUM);
	IS(NEW);
	wrong_checksums();
}

TALK(checksums_unverified)
{
	KNOB(CHECKSUM, 0);
	handshake();
	B(ACK, .seq = 201, .ack = 101, .flaw = WRONG_CHECKSUM);
	IS(ESTABLISHED);
	wrong_checksums();
}

TALK(extension_headers)
{
	static const char *const exts[] = { "h", "d", "r", "f", "hd", "hrd", "dddd", "a", "m", "i", "s" };

	for (size_t i = 0; i < sizeof(exts) / sizeof(exts[0]); i++) {
		struct say s = { .kind = SAY_TCP, .flags = SYN, .seq = 100, .port = (uint16_t)i };

		snprintf(s.ext, sizeof(s.ext), "%s", exts[i]);
		add(&s);
		s.kind = SAY_UDP;
		add(&s);
	}
}

TALK(error_about_little)
{
	A_UDP(.payload = 100);
	for (uint16_t n = 20; n <= 60; n++)
		B_ERROR(.icmp_type = 3, .icmp_code = 3, .quote = IPPROTO_UDP, .quoted = n);
	A(SYN, .seq = 100);
	for (uint16_t n = 20; n <= 60; n++)
		B_ERROR(.icmp_type = 3, .icmp_code = 3, .quote = IPPROTO_TCP, .quoted = n);
}

TALK(icmp_query)
{
	B_ICMP(.icmp_type = 0, .icmp_id = 7);
	IS(INVALID);
	A_ICMP(.icmp_type = 8, .icmp_id = 7);
	IS(NEW);
	A_ICMP(.icmp_type = 8, .icmp_id = 7);
	IS(NEW);
	B_ICMP(.icmp_type = 0, .icmp_id = 8);
	IS(INVALID);
	B_ICMP(.icmp_type = 0, .icmp_id = 7);
	IS(ESTABLISHED);
	A_ICMP(.icmp_type = 8, .icmp_id = 7);
	IS(ESTABLISHED);
	B_ICMP(.icmp_type = 8, .icmp_id = 7);
	IS(NEW);
	A_ICMP(.icmp_type = 8, .icmp_code = 1, .icmp_id = 7);
}

TALK(every_icmp_type)
{
	for (int type = 0; type < 256; type++)
		if (type != 5 && type != 137)
			A_ICMP(.icmp_type = (uint8_t)type, .icmp_id = 9);
}

TALK(icmp_error)
{
	B_ERROR(.icmp_type = 3, .icmp_code = 1, .quote = IPPROTO_TCP);
	IS(INVALID);
	handshake();
	B_ERROR(.icmp_type = 3, .icmp_code = 1, .quote = IPPROTO_TCP);
	IS(RELATED);
	A_ERROR(.icmp_type = 11, .quote = IPPROTO_TCP);
	IS(RELATED);
	B_ERROR(.icmp_type = 12, .quote = IPPROTO_TCP);
	IS(RELATED);
	B_ERROR(.icmp_type = 3, .icmp_code = 4, .quote = IPPROTO_TCP, .misdirected = true);
	IS(INVALID);
	B_ERROR(.icmp_type = 3, .icmp_code = 3, .quote = IPPROTO_UDP);
	IS(INVALID);
	A_UDP(.payload = 10);
	B_ERROR(.icmp_type = 3, .icmp_code = 3, .quote = IPPROTO_UDP);
	IS(RELATED);
	A_UDP(.payload = 10);
	IS(NEW);
	A_ICMP(.icmp_type = 8, .icmp_id = 7);
	B_ERROR(.icmp_type = 11, .quote = IPPROTO_ICMP, .icmp_id = 7);
	IS(RELATED);
	B_ICMP(.icmp_type = 0, .icmp_id = 7);
	A_ERROR(.icmp_type = 11, .quote = IPPROTO_ICMP, .icmp_id = 7);
}

TALK(icmp_error_does_not_touch)
{
	A(SYN, .seq = 100);
	B_ERROR(.icmp_type = 3, .icmp_code = 1, .quote = IPPROTO_TCP);
	IS(RELATED);
	AT(SYN_SENT);
	A(SYN, .seq = 100);
	IS(NEW);
	A_ERROR(.icmp_type = 3, .icmp_code = 1, .quote = IPPROTO_TCP);
}

/* --- zones ----------------------------------------------------------------------------------- */

/* The same addresses and ports in three zones: as many flows, each with a life of its own. */
TALK(same_tuple_in_every_zone)
{
	for (uint8_t zone = 0; zone < 3; zone++) {
		ZONE(zone);
		A(SYN, .seq = 100 * (1U + zone));
		IS(NEW);
		AT(SYN_SENT);
	}
	ZONE(1);
	B(SYN | ACK, .seq = 200, .ack = 201);
	AT(SYN_RECV);
	ZONE(2);
	B(SYN | ACK, .seq = 200, .ack = 302);
	AT(SYN_SENT);
	IS(INVALID);
	B(RST | ACK, .ack = 301);
	NO_FLOW();
	ZONE(0);
	A(SYN, .seq = 100);
	AT(SYN_SENT);
	ZONE(1);
	A(ACK, .seq = 201, .ack = 201);
	AT(ESTABLISHED);
}

/* An answer that comes in another zone is no answer. */
TALK(answer_in_another_zone)
{
	ZONE(1);
	A_UDP(.payload = 10);
	A_ICMP(.icmp_type = 8, .icmp_id = 7);
	A_OTHER(.payload = 1);
	ZONE(2);
	B_UDP(.payload = 10);
	IS(NEW);
	B_ICMP(.icmp_type = 0, .icmp_id = 7);
	IS(INVALID);
	B_OTHER(.payload = 1);
	IS(NEW);
	ZONE(1);
	B_UDP(.payload = 10);
	IS(ESTABLISHED);
	B_ICMP(.icmp_type = 0, .icmp_id = 7);
	IS(ESTABLISHED);
}

TALK(error_in_another_zone)
{
	ZONE(3);
	A_UDP(.payload = 10);
	ZONE(0);
	B_ERROR(.icmp_type = 3, .icmp_code = 3, .quote = IPPROTO_UDP);
	IS(INVALID);
	ZONE(3);
	B_ERROR(.icmp_type = 3, .icmp_code = 3, .quote = IPPROTO_UDP);
	IS(RELATED);
}

TALK(zones_end_apart)
{
	ZONE(1);
	handshake();
	ZONE(2);
	handshake();
	A(RST, .seq = 101);
	AT(CLOSE);
	ZONE(1);
	A(ACK, .seq = 101, .ack = 201, .win = 1000);
	AT(ESTABLISHED);
	AGE(60);
	ZONE(2);
	A(SYN, .seq = 5000);
	IS(NEW);
	ZONE(1);
	A(ACK, .seq = 101, .ack = 201, .win = 1000);
	IS(ESTABLISHED);
}

/* --- time ------------------------------------------------------------------------------------ */

/* What is over is a miss for the packet that meets it, and for the one after. */
TALK(expired_flows_are_gone)
{
	A_UDP(.payload = 10);
	AGE(20);
	A_UDP(.payload = 10);
	IS(NEW);
	AGE(40);
	B_UDP(.payload = 10);
	IS(NEW);
	A_ICMP(.icmp_type = 8, .icmp_id = 7);
	A_OTHER(.payload = 1);
	AGE(40);
	B_ICMP(.icmp_type = 0, .icmp_id = 7);
	IS(INVALID);
	B_OTHER(.payload = 1);
	IS(ESTABLISHED);
	AGE(700);
	B_OTHER(.payload = 1);
	IS(NEW);
}

TALK(expired_in_every_state)
{
	A(SYN, .seq = 100);
	AGE(200);
	B(SYN | ACK, .seq = 200, .ack = 101);
	IS(INVALID);
	NO_FLOW();
	A(SYN, .seq = 100);
	B(SYN | ACK, .seq = 200, .ack = 101);
	AGE(90);
	A(ACK, .seq = 101, .ack = 201);
	IS(NEW);
	AT(ESTABLISHED);
	AGE(400);
	handshake();
	A(FIN | ACK, .seq = 101, .ack = 201, .win = 1000);
	AGE(200);
	B(ACK, .seq = 201, .ack = 102, .win = 1000);
	IS(NEW);
	AGE(400);
	closed();
	AGE(100);
	A(ACK, .seq = 102, .ack = 202, .win = 1000);
	IS(ESTABLISHED);
	AGE(200);
	A(ACK, .seq = 102, .ack = 202, .win = 1000);
	IS(NEW);
	AGE(500);
	handshake();
	AGE(500000);
	A(ACK, .seq = 101, .ack = 201, .win = 1000);
	IS(NEW);
}

TALK(error_about_an_expired_flow)
{
	A_UDP(.payload = 10);
	AGE(40);
	B_ERROR(.icmp_type = 3, .icmp_code = 3, .quote = IPPROTO_UDP);
	IS(INVALID);
}

TALK(others_expire_meanwhile)
{
	for (uint16_t port = 0; port < 20; port++)
		A_UDP(.payload = 10, .port = port);
	handshake();
	AGE(40);
	A(ACK, .seq = 101, .ack = 201, .win = 1000);
	A_UDP(.payload = 10, .port = 7);
	IS(NEW);
}

/* --- super-packets --------------------------------------------------------------------------- */

/*
 * A packet that stands for many is one to the tracker: its ends, not its segments', are looked at.
 * No longer than a page here, which is what test_run takes.
 */
TALK(super_packet)
{
	handshake_with(60000, 60000, "mss 1460", "mss 1460");
	A(PSH | ACK, .seq = 101, .ack = 201, .payload = 3000, .segs = 10, .win = 60000);
	IS(ESTABLISHED);
	B(ACK, .seq = 201, .ack = 3101, .win = 60000);
	B(ACK, .seq = 201, .ack = 3101, .payload = 3000, .segs = 3, .win = 60000);
	A(ACK, .seq = 3101, .ack = 3201, .payload = 3199, .segs = 32, .win = 60000);
	B(ACK, .seq = 3201, .ack = 6300, .win = 60000);
	A(ACK, .seq = 6300, .ack = 3201, .win = 60000);
}

TALK(super_packet_at_the_windows_edge)
{
	handshake_with(2000, 2000, "mss 1460", "mss 1460");
	A(PSH | ACK, .seq = 101, .ack = 201, .payload = 2000, .segs = 7, .win = 2000);
	IS(ESTABLISHED);
	A(PSH | ACK, .seq = 2101, .ack = 201, .payload = 1999, .segs = 7, .win = 2000);
	B(ACK, .seq = 201, .ack = 2101, .win = 2000);
	A(PSH | ACK, .seq = 9102, .ack = 201, .payload = 1000, .segs = 2, .win = 2000);
	IS(INVALID);
	A(PSH | ACK, .seq = 2101, .ack = 201, .payload = 2001, .segs = 7, .win = 2000);
	B(ACK, .seq = 201, .ack = 4102, .win = 2000);
	A(PSH | ACK, .seq = 9102, .ack = 201, .payload = 3000, .segs = 7, .win = 2000);
	IS(INVALID);
}

TALK(super_packet_retransmitted)
{
	handshake_with(60000, 60000, "mss 1460", "mss 1460");
	for (int i = 0; i < 6; i++)
		A(PSH | ACK, .seq = 101, .ack = 201, .payload = 2920, .segs = 2, .win = 60000);
	B(ACK, .seq = 201, .ack = 1561, .win = 60000);
	A(FIN | PSH | ACK, .seq = 3021, .ack = 201, .payload = 2920, .segs = 2, .win = 60000);
	AT(FIN_WAIT);
}

TALK(super_packet_picks_up)
{
	A(ACK, .seq = 101, .ack = 201, .payload = 2920, .segs = 2, .win = 60000);
	IS(NEW);
	B(ACK, .seq = 201, .ack = 3021, .win = 60000);
	IS(ESTABLISHED);
}

/* --- fragments ------------------------------------------------------------------------------- */

/*
 * The kernel puts a datagram together before it looks at it, ours takes the fragments as they come.
 * What both make of it is compared when it is complete.
 */
static void datagram(enum ct_dir dir, uint16_t id, const char *order)
{
	static const uint16_t at[] = { 0, 496, 1000, 0 };

	for (const char *o = order; *o; o++) {
		int i = *o - '0';

		SAY(UDP, dir, .payload = 1592, .more = o[1] != 0, PART(at[i], at[i + 1], id));
	}
}

TALK(fragments_in_order)
{
	datagram(CT_ORIGINAL, 7, "012");
	IS(NEW);
	datagram(CT_REPLY, 7, "012");
	IS(ESTABLISHED);
	datagram(CT_ORIGINAL, 8, "012");
	IS(ESTABLISHED);
}

TALK(fragments_in_every_order)
{
	static const char *const orders[] = { "012", "021", "102", "120", "201", "210" };
	uint16_t id = 1;

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		for (int dir = 0; dir < 2; dir++, id++)
			datagram(dir, id, orders[i]);
}

TALK(fragments_id_used_again)
{
	for (int i = 0; i < 4; i++) {
		datagram(CT_ORIGINAL, 7, i & 1 ? "210" : "012");
		datagram(CT_REPLY, 7, i & 1 ? "012" : "120");
	}
}

TALK(fragments_of_two_datagrams_interleaved)
{
	A_UDP(.payload = 1592, .port = 1, AND_THEN, PART(0, 800, 1));
	A_UDP(.payload = 1592, .port = 2, AND_THEN, PART(0, 800, 2));
	A_UDP(.payload = 1592, .port = 2, AND_THEN, PART(800, 0, 2));
	A_UDP(.payload = 1592, .port = 1, PART(800, 0, 1));
	IS(NEW);
	A_UDP(.payload = 10, .port = 2);
	IS(NEW);
}

TALK(fragments_of_tcp_and_icmp)
{
	handshake();
	A(PSH | ACK, .seq = 101, .ack = 201, .payload = 900, .win = 1000, AND_THEN, PART(0, 400, 3));
	A(PSH | ACK, .seq = 101, .ack = 201, .payload = 900, .win = 1000, PART(400, 0, 3));
	IS(ESTABLISHED);
	B(ACK, .seq = 201, .ack = 1001, .win = 1000);
	A_ICMP(.icmp_type = 8, .icmp_id = 7, .payload = 1000, AND_THEN, PART(0, 504, 4));
	A_ICMP(.icmp_type = 8, .icmp_id = 7, .payload = 1000, PART(504, 0, 4));
	IS(NEW);
	B_ICMP(.icmp_type = 0, .icmp_id = 7, .payload = 1000, AND_THEN, PART(504, 0, 4));
	B_ICMP(.icmp_type = 0, .icmp_id = 7, .payload = 1000, PART(0, 504, 4));
	IS(ESTABLISHED);
}

/* What follows it does not matter: the whole is outside the window. */
TALK(fragments_of_tcp_outside_the_window)
{
	handshake();
	A(PSH | ACK, .seq = 90101, .ack = 201, .payload = 900, AND_THEN, PART(0, 400, 3));
	A(PSH | ACK, .seq = 90101, .ack = 201, .payload = 900, PART(400, 0, 3));
	IS(INVALID);
}

TALK(fragments_of_another_protocol)
{
	A_OTHER(.payload = 1000, AND_THEN, PART(0, 504, 4));
	A_OTHER(.payload = 1000, PART(504, 0, 4));
	IS(NEW);
	B_OTHER(.payload = 1000, AND_THEN, PART(504, 0, 4));
	B_OTHER(.payload = 1000, PART(0, 504, 4));
	IS(ESTABLISHED);
}

TALK(fragments_in_zones)
{
	ZONE(1);
	A_UDP(.payload = 1592, AND_THEN, PART(0, 800, 1));
	ZONE(2);
	A_UDP(.payload = 1592, AND_THEN, PART(0, 800, 1));
	A_UDP(.payload = 1592, AND_THEN, PART(800, 0, 1));
	ZONE(1);
	A_UDP(.payload = 1592, PART(800, 0, 1));
	ZONE(2);
	B_UDP(.payload = 10);
	IS(ESTABLISHED);
}

TALK(fragments_expire)
{
	datagram(CT_ORIGINAL, 7, "012");
	AGE(20);
	datagram(CT_ORIGINAL, 8, "210");
	AGE(20);
	datagram(CT_REPLY, 7, "012");
	IS(ESTABLISHED);
	AGE(40);
	datagram(CT_REPLY, 8, "102");
	IS(NEW);
}

TALK(fragments_without_the_first)
{
	A_UDP(.payload = 1592, PART(800, 0, 1));
	NO_FLOW();
	A_UDP(.payload = 10);
	IS(NEW);
	A_UDP(.payload = 1592, PART(800, 1000, 2));
}

/* RFC 5722 for IPv6, and Linux for IPv4 as well: what overlaps is thrown away, all of it. */
TALK(fragments_that_overlap)
{
	A_UDP(.payload = 10);
	A_UDP(.payload = 1592, AND_THEN, PART(0, 800, 1));
	A_UDP(.payload = 1592, PART(792, 0, 1), .counted = 800);
}

TALK(fragment_twice)
{
	A_UDP(.payload = 1592, AND_THEN, PART(0, 800, 1));
	A_UDP(.payload = 1592, AND_THEN, PART(0, 800, 1));
	A_UDP(.payload = 1592, PART(800, 0, 1));
	B_UDP(.payload = 10);
}

/* One fragment that is the whole. */
TALK(fragment_alone)
{
	A_UDP(.payload = 10, PART(0, 0, 1));
	IS(NEW);
	B_UDP(.payload = 10, PART(0, 0, 1));
	IS(ESTABLISHED);
}

/* They are verified where packets come in, not where the host sends them. */
TALK(checksums_of_each_protocol)
{
	A(SYN, .seq = 100, .payload = 10, .flaw = WRONG_LAST_BYTE);
	A_UDP(.payload = 10, .flaw = WRONG_LAST_BYTE);
	A_ICMP(.icmp_type = 8, .icmp_id = 7, .payload = 10, .flaw = WRONG_LAST_BYTE);
	SAY(SCTP, CT_ORIGINAL, .options = "init 11", .flaw = WRONG_LAST_BYTE);
	B(SYN, .seq = 100, .payload = 10, .flaw = WRONG_LAST_BYTE, .port = 1);
	IS(INVALID);
	A_UDP(.payload = 10, .port = 1);
	B_UDP(.payload = 10, .flaw = WRONG_LAST_BYTE, .port = 1);
	IS(INVALID);
	B_ICMP(.icmp_type = 8, .icmp_id = 8, .payload = 10, .flaw = WRONG_LAST_BYTE);
	IS(INVALID);
	SAY(SCTP, CT_REPLY, .options = "init 11", .flaw = WRONG_LAST_BYTE, .port = 1);
	IS(INVALID);
	B_ERROR(.icmp_type = 3, .icmp_code = 3, .quote = IPPROTO_UDP, .port = 1,
		.flaw = WRONG_LAST_BYTE);
	IS(INVALID);
	B_OTHER(.payload = 10, .flaw = WRONG_LAST_BYTE);
	IS(NEW);
}
