// SRC: user/fmt.c user/json.c
// SPDX-License-Identifier: GPL-2.0-only
/* Flows as text: conntrack(8)'s lines to the byte (1.4.7's, copied from it), and our JSON. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "fmt.h"
#include "json.h"
#include "out.h"
#include "../../user/table.h"

#include "tuple.h"

/* What table.c says of a flow; here without a table. */
uint64_t flow_timeout(const struct ct_flow *flow, const struct ct_clock *clock)
{
	return flow->entry.expires > clock->ticks ?
		       (flow->entry.expires - clock->ticks) / clock->hz : 0;
}

uint32_t flow_id(const struct ct_flow *flow)
{
	return (uint32_t)(flow->entry.word >> CT_WORD_HASH_SHIFT);
}

void tuple_invert(const struct ct_tuple *tuple, struct ct_tuple *inverse)
{
	ct_tuple_invert(tuple, inverse);
}

#define SECOND 1000000000ULL

/* 2026-11-20 09:00:42 UTC, 100 s after boot. */
static const struct ct_clock now_clock = {
	.ticks = 1000000,
	.hz = 250,
	.mono_ns = 100 * SECOND,
	.wall_ns = 1795165242 * SECOND + 123456789,
};

static void set_addr(union ct_addr *addr, uint8_t family, const char *text)
{
	memset(addr, 0, sizeof(*addr));
	inet_pton(family == CT_IPV6 ? AF_INET6 : AF_INET, text, addr);
}

static struct ct_flow flow(uint8_t family, uint8_t proto, const char *src, const char *dst,
			   uint16_t sport, uint16_t dport, uint64_t timeout)
{
	struct ct_flow f;

	memset(&f, 0, sizeof(f));
	f.tuple.family = family;
	f.tuple.proto = proto;
	set_addr(&f.tuple.src, family, src);
	set_addr(&f.tuple.dst, family, dst);
	f.tuple.sport = htons(sport);
	f.tuple.dport = htons(dport);
	f.entry.status = CT_S_CONFIRMED;
	f.entry.expires = now_clock.ticks + timeout * now_clock.hz;
	f.entry.word = 2883669655ULL << CT_WORD_HASH_SHIFT | CT_WORD_LIVE;
	return f;
}

static struct ct_flow established(void)
{
	struct ct_flow f = flow(CT_IPV4, IPPROTO_TCP, "10.0.1.1", "10.0.2.1", 1000, 80, 431999);

	f.entry.state = CT_TCP_ESTABLISHED;
	f.entry.status |= CT_S_SEEN_REPLY | CT_S_ASSURED;
	f.entry.counters[CT_ORIGINAL] = (struct ct_counters){ 6, 520 };
	f.entry.counters[CT_REPLY] = (struct ct_counters){ 5, 460 };
	f.entry.start = now_clock.mono_ns - 12500000000ULL;
	return f;
}

static const char *line(const struct ct_flow *f, unsigned int formats)
{
	static char text[FMT_LINE];
	char *end = fmt_flow(text, f, &now_clock, formats);

	CHECK_EQ(*end, 0);
	CHECK_EQ(end - text, strlen(text));
	return text;
}

// A TCP flow that both sides have spoken in, with its counters.
TEST(fmt_tcp_established)
{
	struct ct_flow f = established();

	CHECK_STR(line(&f, 0), "tcp      6 431999 ESTABLISHED src=10.0.1.1 dst=10.0.2.1 sport=1000 "
			       "dport=80 packets=6 bytes=520 src=10.0.2.1 dst=10.0.1.1 sport=80 "
			       "dport=1000 packets=5 bytes=460 [ASSURED] mark=0 use=1");
}

// Without accounting there are no counters.
TEST(fmt_no_counters)
{
	struct ct_flow f = established();

	memset(f.entry.counters, 0, sizeof(f.entry.counters));
	CHECK_STR(line(&f, 0), "tcp      6 431999 ESTABLISHED src=10.0.1.1 dst=10.0.2.1 sport=1000 "
			       "dport=80 src=10.0.2.1 dst=10.0.1.1 sport=80 dport=1000 [ASSURED] "
			       "mark=0 use=1");
}

// Nobody answered; a mark and a zone.
TEST(fmt_udp_unreplied)
{
	struct ct_flow f = flow(CT_IPV4, IPPROTO_UDP, "10.0.1.1", "10.0.2.1", 1001, 53, 29);

	f.entry.mark = 42;
	f.tuple.zone = 7;
	f.entry.counters[CT_ORIGINAL] = (struct ct_counters){ 1, 29 };
	CHECK_STR(line(&f, 0), "udp      17 29 src=10.0.1.1 dst=10.0.2.1 sport=1001 dport=53 "
			       "packets=1 bytes=29 [UNREPLIED] src=10.0.2.1 dst=10.0.1.1 sport=53 "
			       "dport=1001 packets=0 bytes=0 mark=42 zone=7 use=1");
}

// ICMP queries have type, code and id; the reply's type is the answer's.
TEST(fmt_icmp)
{
	struct ct_flow f = flow(CT_IPV4, IPPROTO_ICMP, "10.0.1.1", "10.0.2.1", 77, 8 << 8, 29);

	CHECK_STR(line(&f, 0), "icmp     1 29 src=10.0.1.1 dst=10.0.2.1 type=8 code=0 id=77 "
			       "[UNREPLIED] src=10.0.2.1 dst=10.0.1.1 type=0 code=0 id=77 mark=0 "
			       "use=1");
	f = flow(CT_IPV6, IPPROTO_ICMPV6, "fd00::1", "fd00::2", 77, 128 << 8, 29);
	CHECK_STR(line(&f, 0), "icmpv6   58 29 src=fd00::1 dst=fd00::2 type=128 code=0 id=77 "
			       "[UNREPLIED] src=fd00::2 dst=fd00::1 type=129 code=0 id=77 mark=0 "
			       "use=1");
}

// Protocols conntrack(8) has no name for are "unknown"; GRE shows its keys in hex.
TEST(fmt_other_protocols)
{
	struct ct_flow f = flow(CT_IPV4, 253, "10.0.1.253", "10.0.2.1", 0, 0, 599);

	CHECK_STR(line(&f, 0), "unknown  253 599 src=10.0.1.253 dst=10.0.2.1 [UNREPLIED] "
			       "src=10.0.2.1 dst=10.0.1.253 mark=0 use=1");
	f = flow(CT_IPV4, IPPROTO_GRE, "10.0.2.1", "10.0.1.1", 0, 9, 29);
	CHECK_STR(line(&f, 0), "gre      47 29 src=10.0.2.1 dst=10.0.1.1 srckey=0x0 dstkey=0x9 "
			       "[UNREPLIED] src=10.0.1.1 dst=10.0.2.1 srckey=0x9 dstkey=0x0 "
			       "mark=0 use=1");
	f = flow(CT_IPV4, IPPROTO_GRE, "10.0.1.1", "10.0.2.1", 0x12, 5, 0);
	CHECK_STR(line(&f, 0), "gre      47 0 src=10.0.1.1 dst=10.0.2.1 srckey=0x12 dstkey=0x5 "
			       "[UNREPLIED] src=10.0.2.1 dst=10.0.1.1 srckey=0x5 dstkey=0x12 "
			       "mark=0 use=1");
	f = flow(CT_IPV4, IPPROTO_DCCP, "10.0.1.1", "10.0.2.1", 0, 0, 0);
	CHECK_STR(line(&f, 0), "dccp     33 0 src=10.0.1.1 dst=10.0.2.1 sport=0 dport=0 "
			       "[UNREPLIED] src=10.0.2.1 dst=10.0.1.1 sport=0 dport=0 mark=0 "
			       "use=1");
}

// SCTP has states, UDP-Lite has none; both have ports.
TEST(fmt_sctp_and_udplite)
{
	static const char *const states[] = { "NONE",	      "CLOSED",	       "COOKIE_WAIT",
					      "COOKIE_ECHOED", "ESTABLISHED",   "SHUTDOWN_SENT",
					      "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT",
					      "UNKNOWN" };
	struct ct_flow f = flow(CT_IPV6, IPPROTO_SCTP, "fd00:1::1", "fd00:2::1", 1000, 99, 9);

	f.entry.state = CT_SCTP_CLOSED;
	CHECK_STR(line(&f, 0), "sctp     132 9 CLOSED src=fd00:1::1 dst=fd00:2::1 sport=1000 dport=99 "
			       "[UNREPLIED] src=fd00:2::1 dst=fd00:1::1 sport=99 dport=1000 mark=0 "
			       "use=1");
	for (uint8_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		f.entry.state = i;
		CHECK_STR(fmt_state(&f), states[i]);
	}
	f = flow(CT_IPV4, IPPROTO_UDPLITE, "10.0.1.1", "10.0.2.1", 1000, 99, 119);
	f.entry.status |= CT_S_SEEN_REPLY | CT_S_ASSURED;
	CHECK_STR(line(&f, 0), "udplite  136 119 src=10.0.1.1 dst=10.0.2.1 sport=1000 dport=99 "
			       "src=10.0.2.1 dst=10.0.1.1 sport=99 dport=1000 [ASSURED] mark=0 use=1");
}

// -o extended puts the family in front, -o id the id behind, -o ktimestamp the beginning.
TEST(fmt_formats)
{
	struct ct_flow f = flow(CT_IPV6, IPPROTO_TCP, "fd00::1", "fd00::2", 5, 80, 39999);

	setenv("TZ", "UTC", 1);
	tzset();
	f.entry.state = CT_TCP_CLOSE;
	f.entry.start = now_clock.mono_ns - 3 * SECOND;
	CHECK_STR(line(&f, OUT_EXTENDED | OUT_ID),
		  "ipv6     10 tcp      6 39999 CLOSE src=fd00::1 dst=fd00::2 sport=5 dport=80 "
		  "[UNREPLIED] src=fd00::2 dst=fd00::1 sport=80 dport=5 mark=0 use=1 "
		  "id=2883669655");
	CHECK_STR(line(&f, OUT_KTIMESTAMP),
		  "tcp      6 39999 CLOSE src=fd00::1 dst=fd00::2 sport=5 dport=80 [UNREPLIED] "
		  "src=fd00::2 dst=fd00::1 sport=80 dport=5 mark=0 delta-time=3 "
		  "[start=Fri Nov 20 09:00:39 2026] use=1");
	f = flow(CT_IPV4, IPPROTO_TCP, "10.0.1.1", "10.0.2.1", 1, 2, 3);
	CHECK_STR(line(&f, OUT_EXTENDED),
		  "ipv4     2 tcp      6 3 NONE src=10.0.1.1 dst=10.0.2.1 sport=1 dport=2 "
		  "[UNREPLIED] src=10.0.2.1 dst=10.0.1.1 sport=2 dport=1 mark=0 use=1");
}

static const char *event_line(const struct ct_flow *f, uint16_t type, unsigned int formats)
{
	static char text[FMT_LINE];
	struct ct_event ev = { .type = type, .length = sizeof(ev), .flow = *f };

	fmt_event(text, &ev, "ra", &now_clock, formats);
	return text;
}

// Events show counters only at the end, a mark only if there is one, and no use count.
TEST(fmt_events)
{
	struct ct_flow f = established();

	CHECK_STR(event_line(&f, CT_EV_NEW, 0),
		  "    [NEW] tcp      6 431999 ESTABLISHED src=10.0.1.1 dst=10.0.2.1 sport=1000 "
		  "dport=80 src=10.0.2.1 dst=10.0.1.1 sport=80 dport=1000 [ASSURED]");
	f.entry.mark = 7;
	CHECK_STR(event_line(&f, CT_EV_UPDATE, OUT_ID),
		  " [UPDATE] tcp      6 431999 ESTABLISHED src=10.0.1.1 dst=10.0.2.1 sport=1000 "
		  "dport=80 src=10.0.2.1 dst=10.0.1.1 sport=80 dport=1000 [ASSURED] mark=7 "
		  "id=2883669655");
	CHECK_STR(event_line(&f, CT_EV_DESTROY, OUT_TIMESTAMP),
		  "[1795165242.123456]\t[DESTROY] tcp      6 431999 ESTABLISHED src=10.0.1.1 "
		  "dst=10.0.2.1 sport=1000 dport=80 packets=6 bytes=520 src=10.0.2.1 dst=10.0.1.1 "
		  "sport=80 dport=1000 packets=5 bytes=460 [ASSURED] mark=7");
}

// What timed out has no timeout to show.
TEST(fmt_destroyed_by_timeout)
{
	struct ct_flow f = flow(CT_IPV4, IPPROTO_UDP, "10.0.1.1", "10.0.2.1", 1000, 80, 0);

	f.entry.counters[CT_ORIGINAL] = (struct ct_counters){ 1, 28 };
	CHECK_STR(event_line(&f, CT_EV_DESTROY, OUT_EXTENDED),
		  "[DESTROY] ipv4     2 udp      17 src=10.0.1.1 dst=10.0.2.1 sport=1000 dport=80 "
		  "packets=1 bytes=28 [UNREPLIED] src=10.0.2.1 dst=10.0.1.1 sport=80 dport=1000 "
		  "packets=0 bytes=0");
	f.entry.start = now_clock.mono_ns - 31 * SECOND;
	CHECK_STR(event_line(&f, CT_EV_DESTROY, OUT_KTIMESTAMP),
		  "[DESTROY] udp      17 src=10.0.1.1 dst=10.0.2.1 sport=1000 dport=80 "
		  "packets=1 bytes=28 [UNREPLIED] src=10.0.2.1 dst=10.0.1.1 sport=80 dport=1000 "
		  "packets=0 bytes=0 delta-time=31 [start=Fri Nov 20 09:00:11 2026] "
		  "[stop=Fri Nov 20 09:00:42 2026]");
}

static char *json_text;
static struct json j;
static FILE *json_out;

static void json_begin(void)
{
	static size_t len;

	free(json_text);
	json_out = open_memstream(&json_text, &len);
	json_init(&j, json_out);
}

static const char *json_done(void)
{
	json_flush(&j);
	fclose(json_out);
	return json_text;
}

static const char *flow_json(const struct ct_flow *f)
{
	json_begin();
	fmt_flow_json(&j, NULL, f, &now_clock);
	return json_done();
}

static struct ct_event refused(uint8_t reason, uint8_t family, uint8_t proto)
{
	struct ct_event ev = { .type = CT_EV_INVALID, .length = sizeof(ev), .reason = reason };

	if (family)
		ev.tuple = flow(family, proto, family == CT_IPV4 ? "10.0.1.1" : "fd00::1",
				family == CT_IPV4 ? "10.0.2.1" : "fd00::2", 1000, 80, 0)
				   .tuple;
	ev.refused = (struct ct_refused){ .len = 52, .seq = 4294967295, .ack = 2, .win = 501,
					  .tcp_flags = 0x18 };
	return ev;
}

// A refused packet: what it was, what was wrong with it, and where.
TEST(fmt_refused)
{
	struct ct_event ev = refused(CT_R_TCP_SEQ_OVER, CT_IPV4, IPPROTO_TCP);
	char text[FMT_LINE];

	fmt_event(text, &ev, "ra", &now_clock, 0);
	CHECK_STR(text, "[INVALID] tcp      6 src=10.0.1.1 dst=10.0.2.1 sport=1000 dport=80 "
			"reason=tcp_seq_over in=ra len=52 flags=PSH,ACK seq=4294967295 ack=2 win=501");
	json_begin();
	fmt_refused_json(&j, NULL, &ev, "ra");
	CHECK_STR(json_done(),
		  "{\"interface\":\"ra\",\"hook\":\"ingress\",\"len\":52,\"family\":\"ipv4\","
		  "\"proto\":\"tcp\",\"protonum\":6,\"zone\":0,\"src\":\"10.0.1.1\","
		  "\"dst\":\"10.0.2.1\",\"sport\":1000,\"dport\":80,\"tcp\":{\"flags\":[\"PSH\",\"ACK\"],"
		  "\"seq\":4294967295,\"ack\":2,\"win\":501}}\n");
	ev = refused(CT_R_UDP_LENGTH, CT_IPV6, IPPROTO_UDP);
	ev.refused.side = CT_EGRESS;
	ev.tuple.zone = 3;
	fmt_event(text, &ev, "#7", &now_clock, OUT_TIMESTAMP);
	CHECK_STR(strchr(text, '\t') + 1,
		  "[INVALID] udp      17 src=fd00::1 dst=fd00::2 sport=1000 dport=80 "
		  "reason=udp_length out=#7 len=52 zone=3");
	/* Nothing of it could be read. */
	ev = refused(CT_R_IP4_TRUNCATED, 0, 0);
	ev.refused.len = 0;
	fmt_event(text, &ev, "ra", &now_clock, 0);
	CHECK_STR(text, "[INVALID] reason=ip4_truncated in=ra len=0");
	json_begin();
	fmt_refused_json(&j, NULL, &ev, "ra");
	CHECK_STR(json_done(), "{\"interface\":\"ra\",\"hook\":\"ingress\",\"len\":0}\n");
	/* A program newer than we are. */
	ev.reason = 255;
	fmt_event(text, &ev, "ra", &now_clock, 0);
	CHECK_STR(text, "[INVALID] reason=unknown in=ra len=0");
}

// The flow of the contract.
TEST(fmt_json_tcp)
{
	struct ct_flow f = established();

	CHECK_STR(flow_json(&f),
		  "{\"family\":\"ipv4\",\"proto\":\"tcp\",\"protonum\":6,\"state\":\"ESTABLISHED\","
		  "\"timeout\":431999,\"zone\":0,\"mark\":0,\"id\":2883669655,"
		  "\"assured\":true,\"replied\":true,"
		  "\"status\":[\"SEEN_REPLY\",\"ASSURED\",\"CONFIRMED\"],"
		  "\"original\":{\"src\":\"10.0.1.1\",\"dst\":\"10.0.2.1\",\"sport\":1000,"
		  "\"dport\":80,\"packets\":6,\"bytes\":520},"
		  "\"reply\":{\"src\":\"10.0.2.1\",\"dst\":\"10.0.1.1\",\"sport\":80,"
		  "\"dport\":1000,\"packets\":5,\"bytes\":460},"
		  "\"start\":\"2026-11-20T09:00:29.623456Z\",\"age\":12.500}\n");
}

// No state, no ports, no start where there are none; ICMP has type, code and id instead.
TEST(fmt_json_others)
{
	struct ct_flow f = flow(CT_IPV6, IPPROTO_ICMPV6, "fd00::1", "fd00::2", 77, 128 << 8, 29);

	CHECK_STR(flow_json(&f),
		  "{\"family\":\"ipv6\",\"proto\":\"icmpv6\",\"protonum\":58,\"timeout\":29,"
		  "\"zone\":0,\"mark\":0,\"id\":2883669655,\"assured\":false,\"replied\":false,"
		  "\"status\":[\"CONFIRMED\"],"
		  "\"original\":{\"src\":\"fd00::1\",\"dst\":\"fd00::2\",\"type\":128,\"code\":0,"
		  "\"id\":77,\"packets\":0,\"bytes\":0},"
		  "\"reply\":{\"src\":\"fd00::2\",\"dst\":\"fd00::1\",\"type\":129,\"code\":0,"
		  "\"id\":77,\"packets\":0,\"bytes\":0}}\n");
	/* GRE's key is what packets of the direction carry. */
	f = flow(CT_IPV4, IPPROTO_GRE, "10.0.1.1", "10.0.2.1", 0, 7, 30);
	CHECK_STR(flow_json(&f),
		  "{\"family\":\"ipv4\",\"proto\":\"gre\",\"protonum\":47,\"timeout\":30,"
		  "\"zone\":0,\"mark\":0,\"id\":2883669655,\"assured\":false,\"replied\":false,"
		  "\"status\":[\"CONFIRMED\"],"
		  "\"original\":{\"src\":\"10.0.1.1\",\"dst\":\"10.0.2.1\",\"key\":7,\"packets\":0,"
		  "\"bytes\":0},"
		  "\"reply\":{\"src\":\"10.0.2.1\",\"dst\":\"10.0.1.1\",\"key\":0,\"packets\":0,"
		  "\"bytes\":0}}\n");
	f = flow(CT_IPV4, IPPROTO_SCTP, "10.0.1.1", "10.0.2.1", 0, 7, 210);
	f.entry.state = CT_SCTP_ESTABLISHED;
	CHECK_STR(flow_json(&f),
		  "{\"family\":\"ipv4\",\"proto\":\"sctp\",\"protonum\":132,"
		  "\"state\":\"ESTABLISHED\",\"timeout\":210,"
		  "\"zone\":0,\"mark\":0,\"id\":2883669655,\"assured\":false,\"replied\":false,"
		  "\"status\":[\"CONFIRMED\"],"
		  "\"original\":{\"src\":\"10.0.1.1\",\"dst\":\"10.0.2.1\",\"sport\":0,"
		  "\"dport\":7,\"packets\":0,\"bytes\":0},"
		  "\"reply\":{\"src\":\"10.0.2.1\",\"dst\":\"10.0.1.1\",\"sport\":7,"
		  "\"dport\":0,\"packets\":0,\"bytes\":0}}\n");
	f = flow(CT_IPV4, 50, "10.0.1.1", "10.0.2.1", 0, 0, 600);
	CHECK_STR(flow_json(&f),
		  "{\"family\":\"ipv4\",\"proto\":\"unknown\",\"protonum\":50,\"timeout\":600,"
		  "\"zone\":0,\"mark\":0,\"id\":2883669655,\"assured\":false,\"replied\":false,"
		  "\"status\":[\"CONFIRMED\"],"
		  "\"original\":{\"src\":\"10.0.1.1\",\"dst\":\"10.0.2.1\",\"packets\":0,"
		  "\"bytes\":0},"
		  "\"reply\":{\"src\":\"10.0.2.1\",\"dst\":\"10.0.1.1\",\"packets\":0,"
		  "\"bytes\":0}}\n");
}

// Every address is written as inet_ntop() writes it.
TEST(fmt_addr_as_inet_ntop)
{
	char got[FMT_ADDR], want[INET6_ADDRSTRLEN];
	union ct_addr addr;

	srandom(1);
	for (unsigned int i = 0; i < 200000; i++) {
		uint8_t *byte = (uint8_t *)&addr;
		unsigned int zero = i & 0xff; /* words that are zero: all the patterns */

		for (int w = 0; w < 8; w++) {
			unsigned long r = zero & 1U << w ? 0 : (unsigned long)random();

			/* small words, 0xffff and ordinary ones */
			if (r % 5 == 1)
				r = 0xffff;
			else if (r % 5 == 2)
				r &= 0xf;
			byte[2 * w] = (uint8_t)(r >> 8);
			byte[2 * w + 1] = (uint8_t)r;
		}
		inet_ntop(AF_INET6, &addr, want, sizeof(want));
		fmt_addr(got, &addr, CT_IPV6);
		if (strcmp(got, want))
			REQUIRE(CHECK_STR(got, want));
		inet_ntop(AF_INET, &addr, want, sizeof(want));
		fmt_addr(got, &addr, CT_IPV4);
		if (strcmp(got, want))
			REQUIRE(CHECK_STR(got, want));
	}
}

// Numbers of every length.
TEST(fmt_u64_as_printf)
{
	char got[32], want[32];

	for (int shift = 0; shift < 64; shift++) {
		uint64_t value = UINT64_MAX >> shift;

		snprintf(want, sizeof(want), "%llu", (unsigned long long)value);
		CHECK_EQ(fmt_u64(got, value) - got, strlen(want));
		CHECK_STR(got, want);
	}
	fmt_u64(got, 0);
	CHECK_STR(got, "0");
}

// Dates agree with the C library's, leap years and turns of centuries included.
TEST(fmt_iso_as_gmtime)
{
	char got[32], want[32];

	for (uint64_t day = 0; day < 200 * 366; day++) {
		time_t t = (time_t)(day * 86400 + day * 7919 % 86400);
		struct tm tm;

		gmtime_r(&t, &tm);
		strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.000007Z", &tm);
		fmt_iso(got, (uint64_t)t * SECOND + 7999);
		if (strcmp(got, want))
			REQUIRE(CHECK_STR(got, want));
	}
}

// What we have no name for is NULL, or says so.
TEST(fmt_unknown_names)
{
	struct ct_flow f = established();

	CHECK_STR(fmt_event_type(CT_EV_DESTROY), "destroy");
	CHECK_STR(fmt_event_type(CT_EV_MAX), NULL);
	CHECK_STR(fmt_event_type(CT_EV_SYNC), "sync");
	CHECK_STR(fmt_end(CT_END_EVICTED), "evicted");
	CHECK_STR(fmt_end(CT_END_NONE), NULL);
	CHECK_STR(fmt_end(CT_END_MAX), NULL);
	f.entry.state = CT_TCP_STATE_MAX;
	CHECK_STR(fmt_state(&f), "UNKNOWN");
	f.tuple.proto = IPPROTO_UDP;
	CHECK_STR(fmt_state(&f), NULL);
}

// The longest line there can be fits.
TEST(fmt_longest_line)
{
	struct ct_flow f = flow(CT_IPV6, IPPROTO_TCP, "fd00:1111:2222:3333:4444:5555:6666:7777",
				"fd00:1111:2222:3333:4444:5555:6666:8888", 65535, 65535, 0);

	f.entry.expires = UINT64_MAX;
	f.entry.state = CT_TCP_ESTABLISHED;
	f.entry.status = 0xffff & ~CT_S_SEEN_REPLY;
	f.entry.mark = UINT32_MAX;
	f.tuple.zone = UINT16_MAX;
	f.entry.start = 1;
	memset(f.entry.counters, 0xff, sizeof(f.entry.counters));
	CHECK(strlen(line(&f, ~0U)) < FMT_LINE - 128);
	CHECK(strlen(event_line(&f, CT_EV_DESTROY, ~0U)) < FMT_LINE - 128);
}

CHECK_MAIN()
