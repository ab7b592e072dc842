// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/* Protocols that the tracker knows nothing of: an address pair, a number, ten minutes. */
#include "talk.h"

static void protocol(uint8_t proto)
{
	talk.proto = proto;
}

// ESP: NEW, then ESTABLISHED; 600 s from every packet, and never assured.
CONVERSATION(esp)
{
	protocol(IPPROTO_ESP);
	SAY(CT_ORIGINAL, .payload = 40);
	WANT_CLASS(NEW, PASS);
	WANT_TIMEOUT(600);
	LATER(100);
	SAY(CT_ORIGINAL, .payload = 40);
	WANT_CLASS(NEW, PASS);
	WANT_TIMEOUT(600);
	SAY(CT_REPLY, .payload = 60);
	WANT_CLASS(ESTABLISHED, PASS);
	LATER(500);
	SAY(CT_REPLY, .payload = 60);
	WANT_TIMEOUT(600);
	WANT_STATUS(CT_S_SEEN_REPLY);
	WANT_COUNT(CT_ORIGINAL, 2, 2 * (talk.v6 ? 80 : 60));
	WANT_COUNT(CT_REPLY, 2, 2 * (talk.v6 ? 100 : 80));
	LATER(600);
	WANT_GONE();
}

// Each protocol number and each pair of addresses is a flow; what is inside is not looked at.
CONVERSATION(one_flow_for_each_protocol)
{
	static const uint8_t numbers[] = { 2, 4, 41, 50, 89, 253 };

	set_knob(CT_K_CHECKSUM, 0); /* it would look at 132 and 136 */
	for (size_t i = 0; i < sizeof(numbers); i++) {
		protocol(numbers[i]);
		SAY(CT_ORIGINAL, .data = "12345678", .payload = 8);
		WANT_CLASS(NEW, PASS);
		SAY(CT_ORIGINAL, .data = "87654321", .payload = 8);
		WANT_CLASS(NEW, PASS);
		SAY(CT_REPLY); /* nothing behind the IP header at all */
		WANT_CLASS(ESTABLISHED, PASS);
		WANT_FLOWS(i + 1);
	}
	talk.b = talk.v6 ? "fd00:2::2" : "10.0.2.2";
	SAY(CT_ORIGINAL);
	WANT_CLASS(NEW, PASS);
}

// AH is a protocol of its own over IPv4, and a header on the way to the next over IPv6.
CONVERSATION(ah)
{
	protocol(IPPROTO_UDP);
	SAY(CT_ORIGINAL, .ext = "a");
	WANT_CLASS(NEW, PASS);
	SAY(CT_REPLY);
	if (talk.v6)
		WANT_CLASS(ESTABLISHED, PASS);
	else
		WANT_CLASS(NEW, PASS);
	WANT_FLOWS(talk.v6 ? 1 : 2);
}

// A packet without a next header is no flow.
TEST(no_next_header)
{
	for (int hook = 0; hook < HOOKS; hook++) {
		world_begin(hook);
		talk_begin(hook, true);
		CHECK_CASE("%s", harness_hooks[hook]);
		protocol(IPPROTO_NONE);
		SAY(CT_ORIGINAL, .payload = 8);
		WANT_REASON(INVALID, IP6_NO_NEXT, PASS);
		WANT_FLOWS(0);
	}
}

CHECK_MAIN()
