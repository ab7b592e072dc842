// SRC:
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * UDP, ICMP and the protocols nobody knows: what a packet does to its flow, and for how long the
 * flow is kept then. TCP has its own tests: proto_tcp.c and proto_tcp_window.c.
 */
#include "flow.h"

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

/* --- UDP-Lite and GRE ------------------------------------------------------------------------ */

// Both are a stream from the first packet that finds a replied flow; the reply itself does not yet.
TEST(udplite_and_gre)
{
	static const struct {
		__u8 proto;
		enum ct_timeout unreplied, replied;
	} both[] = { { CT_IPPROTO_UDPLITE, CT_T_UDP, CT_T_UDP_STREAM },
		     { CT_IPPROTO_GRE, CT_T_GRE, CT_T_GRE_STREAM } };

	for (size_t i = 0; i < 2; i++)
		for (int dir = 0; dir < 2; dir++) {
			struct ct_parsed p = { .tuple = { .family = CT_IPV4, .proto = both[i].proto } };

			CHECK_CASE("protocol %d, direction %d", both[i].proto, dir);
			begin();
			memset(&flow, 0, sizeof(flow));
			CHECK_EQ(ct_proto_new(&flow, &p, &settings, now), 0);
			CHECK_EQ(flow.expires - now, CT_TIMEOUT_OF(&settings)[both[i].unreplied]);
			now += 5 * HZ;
			CHECK_EQ(packet(&p, CT_ORIGINAL), CT_V_ACCEPT);
			CHECK_EQ(flow.expires - now, CT_TIMEOUT_OF(&settings)[both[i].unreplied]);
			CHECK_EQ(packet(&p, CT_REPLY), CT_V_ACCEPT);
			CHECK_EQ(flow.expires - now, CT_TIMEOUT_OF(&settings)[both[i].unreplied]);
			CHECK_EQ(flow.status, CT_S_SEEN_REPLY);
			CHECK_EQ(packet(&p, dir), CT_V_ACCEPT);
			CHECK_EQ(flow.expires - now, CT_TIMEOUT_OF(&settings)[both[i].replied]);
			CHECK_EQ(flow.status, CT_S_SEEN_REPLY | CT_S_ASSURED);
			CHECK_EQ(step.changed, false);
			CHECK_EQ(flow.state, 0);
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

			if (proto == 6 || proto == 17 || proto == 47 || proto == 132 || proto == 136 ||
			    proto == (family ? 58 : 1))
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
		     { "sctp_timeout_closed", 10 },
		     { "sctp_timeout_cookie_wait", 3 },
		     { "sctp_timeout_cookie_echoed", 3 },
		     { "sctp_timeout_established", 210 },
		     { "sctp_timeout_shutdown_sent", 3 },
		     { "sctp_timeout_shutdown_recd", 3 },
		     { "sctp_timeout_shutdown_ack_sent", 3 },
		     { "sctp_timeout_heartbeat_sent", 30 },
		     { "gre_timeout", 30 },
		     { "gre_timeout_stream", 180 },
		     { "tcp_loose", 1 },
		     { "checksum", 1 },
		     { "acct", 1 },
		     { "drop_invalid", 0 },
		     { "full", 0 } };
	static const struct {
		const char *key;
		long value;
	} have[] = {
#define X(id, key, seconds, help) { #key, seconds },
		CT_TIMEOUTS(X)
#undef X
#define X(id, key, value, largest, help) { #key, value },
			CT_KNOBS(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		int found = 0;

		CHECK_CASE("%s", want[i].key);
		for (size_t j = 0; j < sizeof(have) / sizeof(have[0]); j++) {
			if (strcmp(have[j].key, want[i].key))
				continue;
			found++;
			CHECK_EQ(have[j].value, want[i].value);
		}
		CHECK_EQ(found, 1);
	}
}

CHECK_MAIN()
