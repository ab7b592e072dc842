// SRC: tests/unit/packet.c tests/prog/harness.c
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bad input, through the loaded programs: each kind is counted under its own name, none is taken
 * for a flow's, none leaves an entry. The same frames go through all three hooks, and through the
 * parser as the C compiler sees it: all have to say the same.
 *
 * test_run takes no frame below 14 bytes and, for tc, none that ends inside its first IP header.
 * The first are tested in unit/parse.c only, the others there and in XDP. Nor does it take frames
 * without an Ethernet header.
 */
#include "broken.h"
#include "parse.h"
#include "talk.h"

static struct pkt p;

/* What the parser says of p.data, natively built. */
static int native(size_t len)
{
	static uint8_t aligned[PKT_ROOM + 2];
	struct ct_parsed parsed;

	memcpy(aligned + 2, p.data, len);
	return ct_parse(&parsed, aligned + 2, aligned + 2 + len, (__u32)len, 0);
}

static int class_of(int reason)
{
	switch (reason) {
#define X(id, class, key, help)                                                                    \
	case CT_R_##id:                                                                            \
		return CT_##class;
		CT_REASONS(X)
#undef X
	}
	return NO_CLASS;
}

/* The first `len` bytes of `p` through the hook; bytes and number of counts are looked at. */
static void run(enum hook hook, size_t len)
{
	talk.last = send_frame(hook, p.data, len, NULL);
	check_seen(__FILE__, __LINE__, &talk.last);
}

/* A frame that is not to be tracked: the reason that the native parser sees, and no entry. */
static void want_refused(enum hook hook, size_t len)
{
	int reason = native(len);

	run(hook, len);
	if (hook != XDP && talk.last.verdict == REFUSED)
		return;
	if (reason == CT_PARSE_NOT_IP)
		want_seen(__FILE__, __LINE__, NO_CLASS, CT_R_NONE, PASS);
	else
		want_seen(__FILE__, __LINE__, class_of(reason), reason, PASS);
}

// Each way to be unparseable has its own counter, and its class; no such packet makes an entry.
TEST(every_reason_is_counted)
{
	for (int hook = 0; hook < HOOKS; hook++) {
		world_begin(hook);
		for (int reason = 1; reason < CT_R_MAX; reason++) {
			if (!broken_by[reason] || reason == CT_R_ETH_TRUNCATED)
				continue;
			CHECK_CASE("%s, %s", harness_hooks[hook], reason_name(reason));
			broken_by[reason](&p);
			want_refused(hook, p.len);
			if (talk.last.verdict != REFUSED)
				CHECK_EQ(reasons(reason), 1);
		}
		WANT_FLOWS(0);
		WANT_SOUND();
	}
}

// With drop_invalid on, the invalid ones are dropped, and the untracked ones are not.
TEST(drop_invalid)
{
	for (int hook = 0; hook < HOOKS; hook++) {
		__u64 dropped = 0;

		world_begin(hook);
		set_knob(CT_K_DROP_INVALID, 1);
		for (int reason = 1; reason < CT_R_MAX; reason++) {
			bool invalid = class_of(reason) == CT_INVALID;

			if (!broken_by[reason] || reason == CT_R_ETH_TRUNCATED)
				continue;
			CHECK_CASE("%s, %s", harness_hooks[hook], reason_name(reason));
			broken_by[reason](&p);
			run(hook, p.len);
			if (hook != XDP && talk.last.verdict == REFUSED)
				continue;
			want_seen(__FILE__, __LINE__, class_of(reason), reason,
				  invalid ? DROP : PASS);
			dropped += invalid;
		}
		CHECK_EQ(counter(CT_C_DROP_INVALID), dropped);
		CHECK_EQ(counter(CT_C_DROP_POLICY), 0);
	}
}

/* --- reasons that a flow or the table gives -------------------------------------------------- */

static void error_about_syn(const char *to)
{
	static struct pkt about;

	pkt_build(&about, &(struct pkt_desc){ .src = talk.a,
					      .dst = talk.b,
					      .sport = talk.aport,
					      .dport = talk.bport,
					      .tcp_flags = SYN });
	SAY(CT_REPLY, .dst = to, .proto = IPPROTO_ICMP, .icmp_type = 3, .quote = &about);
}

/* A connection of which the next bytes are 101 and 201. */
static void handshake(void)
{
	ORIG(SYN, .seq = 100);
	REPLY(SYN | ACK, .seq = 200, .ack = 101);
	ORIG(ACK, .seq = 101, .ack = 201);
}

static void give_reason(int reason)
{
	switch (reason) {
	case CT_R_TCP_STATE:
		ORIG(RST);
		break;
	case CT_R_TCP_SEQ_OVER:
		handshake();
		ORIG(ACK, .seq = 101 + 1000000, .ack = 201, .payload = 10);
		break;
	case CT_R_TCP_ACK_OVER:
		handshake();
		ORIG(ACK, .seq = 101, .ack = 201 + 1000);
		break;
	case CT_R_TCP_RST:
		handshake();
		REPLY(RST, .seq = 200);
		break;
	case CT_R_TCP_NO_SYN:
		set_knob(CT_K_TCP_LOOSE, 0);
		ORIG(ACK);
		break;
	case CT_R_SCTP_FIRST:
		SAY(CT_ORIGINAL, .proto = IPPROTO_SCTP, .chunks = "data 10");
		break;
	case CT_R_SCTP_TAG:
		SAY(CT_ORIGINAL, .proto = IPPROTO_SCTP, .chunks = "heartbeat", .vtag = 1);
		SAY(CT_ORIGINAL, .proto = IPPROTO_SCTP, .chunks = "data 10", .vtag = 2);
		break;
	case CT_R_SCTP_STATE:
		SAY(CT_ORIGINAL, .proto = IPPROTO_SCTP, .chunks = "heartbeat", .vtag = 1);
		SAY(CT_REPLY, .proto = IPPROTO_SCTP, .chunks = "init 1");
		break;
	case CT_R_ICMP_UNASKED:
		SAY(CT_ORIGINAL, .proto = IPPROTO_ICMP, .icmp_type = 0);
		break;
	case CT_R_ICMP_UNRELATED:
		error_about_syn(talk.a);
		break;
	case CT_R_ICMP_ADDRESS:
		ORIG(SYN);
		error_about_syn(talk.b);
		break;
	case CT_R_FRAG_LENGTH:
		ORIG(ACK, .ip_id = 7, .frag_offset = 65528, .payload = 80);
		break;
	case CT_R_FRAG_OVERLAP:
		ORIG(ACK, .ip_id = 7, .frag_offset = 800, .payload = 80);
		ORIG(ACK, .ip_id = 7, .frag_offset = 808, .payload = 80);
		break;
	case CT_R_FRAG_EARLY:
		ORIG(ACK, .ip_id = 7, .frag_offset = 800, .payload = 80);
		break;
	}
}

// Every other reason in the list is one that some packet gets, too.
TEST(every_other_reason_is_counted)
{
	for (int hook = 0; hook < HOOKS; hook++)
		for (int reason = 1; reason < CT_R_MAX; reason++) {
			/* No frame that test_run takes is long enough for headers out of reach. */
			if (!broken_by_state(reason) || reason == CT_R_UNREADABLE ||
			    broken_by_checksum(reason)) /* not at egress: checksum.c */
				continue;
			CHECK_CASE("%s, %s", harness_hooks[hook], reason_name(reason));
			world_begin(hook);
			give_reason(reason);
			CHECK(reasons(reason) > 0);
			want_seen(__FILE__, __LINE__, class_of(reason), reason, PASS);
			WANT_SOUND();
		}
}

/* --- frames of all lengths ------------------------------------------------------------------- */

// Frames of up to 60 bytes of whatever kind are never a flow's.
TEST(tiny_frames)
{
	static const uint8_t fill[] = { 0x00, 0x45, 0x60, 0xff };
	static const uint16_t types[] = { 0,	       ETH_P_IP,     ETH_P_IPV6,
					  ETH_P_8021Q, ETH_P_8021AD, ETH_P_ARP,
					  60 };

	for (int hook = 0; hook < HOOKS; hook++) {
		world_begin(hook);
		set_knob(CT_K_CHECKSUM, 0);
		for (size_t f = 0; f < sizeof(fill); f++)
			for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++)
				for (size_t len = 0; len <= 60; len++) {
					memset(p.data, fill[f], 60);
					memset(p.data, 0, 6); /* to lo */
					pkt_set16(&p, 12, types[t]);
					CHECK_CASE("%s, %zu bytes of %02x, EtherType %04x",
						   harness_hooks[hook], len, fill[f], types[t]);
					if (len >= 14) {
						want_refused(hook, len);
						continue;
					}
					run(hook, len);
					CHECK_EQ(talk.last.verdict, REFUSED);
				}
		WANT_FLOWS(0);
		WANT_SOUND();
	}
}

/* Packets of the flow between 10.0.1.1:1000 and 10.0.2.1:80, and the like. */
static const struct pkt_desc of_a_flow[] = {
	{ .tcp_flags = ACK, .tcp_options = "nop,nop,TS val 1 ecr 1", .payload = 9 },
	{ .tcp_flags = ACK, .vlan = { { .vid = 1 }, { .vid = 2 } } },
	{ .proto = IPPROTO_UDP, .payload = 9 },
	{ .proto = IPPROTO_ICMP, .icmp_type = 8, .icmp_id = 7 },
	{ .chunks = "heartbeat", .vtag = 5 },
	{ .proto = IPPROTO_UDPLITE, .payload = 9 },
};
#define OF_A_FLOW (sizeof(of_a_flow) / sizeof(of_a_flow[0]))

static void build_of_flow(enum hook hook, size_t i, bool v6, bool back)
{
	struct pkt_desc d = of_a_flow[i];

	d.src = v6 ? "fd00:1::1" : "10.0.1.1";
	d.dst = v6 ? "fd00:2::1" : "10.0.2.1";
	d.sport = 1000;
	d.dport = 80;
	if (v6)
		d.ext = "hdra";
	else
		d.ip4_options = 8;
	if (v6 && d.icmp_type) {
		d.proto = IPPROTO_ICMPV6;
		d.icmp_type = 128;
	}
	if (back) {
		d = pkt_answer(&d);
		d.eth_dst = NULL;
	}
	build_for(hook, &p, &d);
}

/* Make it an IP packet that honestly ends at `len`. */
static void set_ip_length(size_t len)
{
	if (p.data[p.ip] >> 4 == 6)
		pkt_set16(&p, p.ip + 4, len - p.ip - 40);
	else
		pkt_set16(&p, p.ip + 2, len - p.ip);
}

// A packet of a tracked flow that is cut off anywhere in its headers does not belong to it.
TEST(cut_packets_of_a_flow)
{
	for (int hook = 0; hook < HOOKS; hook++)
		for (size_t i = 0; i < 2 * OF_A_FLOW; i++) {
			struct ct_flow before, after;
			size_t whole;

			world_begin(hook);
			set_knob(CT_K_CHECKSUM, 0);
			build_of_flow(hook, i / 2, i % 2, false);
			run(hook, p.len);
			CHECK_EQ(talk.last.class, CT_NEW);
			build_of_flow(hook, i / 2, i % 2, true);
			run(hook, p.len);
			CHECK_EQ(talk.last.class, CT_ESTABLISHED);
			CHECK_EQ(dump(&before, 1), 1);
			whole = p.len;
			for (size_t len = 14; len < whole; len++) {
				CHECK_CASE("%s, packet %zu, IPv%d, %zu of %zu bytes",
					   harness_hooks[hook], i / 2, i % 2 ? 6 : 4, len, whole);
				want_refused(hook, len);
				CHECK(talk.last.class == CT_INVALID ||
				      talk.last.verdict == REFUSED);
			}
			for (size_t len = p.ip + (i % 2 ? 40 : 20); len < p.payload; len++) {
				CHECK_CASE("%s, packet %zu, IPv%d, ends at %zu of %zu bytes",
					   harness_hooks[hook], i / 2, i % 2 ? 6 : 4, len, whole);
				set_ip_length(len);
				want_refused(hook, len);
				CHECK_EQ(talk.last.class, CT_INVALID);
				want_refused(hook, whole); /* and something follows it */
			}
			CHECK_EQ(dump(&after, 1), 1);
			CHECK_MEM(&after, &before, sizeof(after));
			WANT_SOUND();
		}
}

// 0, 1, 8, 30 and 32 extension headers of each kind are followed; 33 are too many.
TEST(extension_headers)
{
	static const char *const kinds[] = { "h", "d", "r", "f", "a", "hdrfa" };
	static const size_t counts[] = { 0, 1, 8, 30, 32, 33 };

	for (int hook = 0; hook < HOOKS; hook++)
		for (size_t kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++)
			for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
				char ext[40] = "";

				world_begin(hook);
				talk_begin(hook, true);
				CHECK_CASE("%s, %zu times %s", harness_hooks[hook], counts[i],
					   kinds[kind]);
				for (size_t n = 0; n < counts[i]; n++)
					ext[n] = kinds[kind][n % strlen(kinds[kind])];
				ORIG(SYN, .seq = 100);
				REPLY(SYN | ACK, .ack = 101, .ext = ext);
				if (counts[i] == 33)
					WANT_REASON(INVALID, IP6_EXT_TOO_MANY, PASS);
				else
					WANT(SYN_RECV, ESTABLISHED, PASS);
				WANT_SOUND();
			}
}

// What is not IP is not counted at all.
TEST(not_ip)
{
	static const uint16_t types[] = { ETH_P_ARP, ETH_P_LLDP, ETH_P_MPLS_UC, ETH_P_PPP_SES, 46 };

	for (int hook = 0; hook < HOOKS; hook++) {
		world_begin(hook);
		for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
			CHECK_CASE("%s, EtherType %04x", harness_hooks[hook], types[i]);
			build_of_flow(hook, 0, false, false);
			pkt_set16(&p, 12, types[i]);
			run(hook, p.len);
			WANT_UNSEEN();
		}
		WANT_FLOWS(0);
	}
}

/* --- anything -------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(random_state >> 33) % n;
}

/* A first packet, with some bytes behind the MAC addresses changed; where it ends. */
static size_t random_frame(void)
{
	static const uint8_t telling[] = { 0, 0xff, IPPROTO_NONE, IPPROTO_FRAGMENT };
	int reason = 1 + (int)random_below(CT_R_MAX - 1);

	if (random_below(4) && broken_by[reason])
		broken_by[reason](&p);
	else
		build_of_flow(INGRESS, random_below(OF_A_FLOW), random_below(2), random_below(2));
	for (uint32_t n = random_below(4); n > 0 && p.len > 12; n--)
		p.data[12 + random_below(p.len - 12)] =
			random_below(4) ? random_below(256) : telling[random_below(4)];
	return random_below(3) ? p.len : random_below(p.len + 1);
}

// Whatever comes: all hooks and the native parser agree, and a first packet is NEW or no flow's.
TEST(random_frames)
{
	const char *seed = getenv("SEED");

	random_state = seed ? strtoull(seed, NULL, 0) : 1;
	printf("  SEED=%llu\n", (unsigned long long)random_state);
	for (int i = 0; i < 4000 && check_failures < 10; i++) {
		size_t len = random_frame();
		int reason;

		if (len < 14)
			continue;
		reason = native(len);
		for (int hook = 0; hook < HOOKS; hook++) {
			world_begin(hook);
			set_knob(CT_K_CHECKSUM, 0);
			CHECK_CASE("round %d, %s", i, harness_hooks[hook]);
			run(hook, len);
			if (hook != XDP && talk.last.verdict == REFUSED)
				continue;
			CHECK_EQ(talk.last.verdict, PASS);
			if (reason > 0) {
				CHECK_EQ(talk.last.reason, reason);
				CHECK_EQ(talk.last.class, class_of(reason));
			}
			if (reason == CT_PARSE_NOT_IP)
				CHECK_EQ(talk.last.class, NO_CLASS);
			CHECK(talk.last.class != CT_ESTABLISHED && talk.last.class != CT_RELATED);
			CHECK_EQ(table_elements() + unconfirmed_elements(),
				 talk.last.class == CT_NEW);
			WANT_SOUND();
		}
	}
}

CHECK_MAIN()
