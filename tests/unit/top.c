// SRC: user/top.c user/fmt.c user/json.c
// SPDX-License-Identifier: GPL-2.0-only
/* Who fills the table: sums, rates from look to look, which rows are shown and how. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "json.h"
#include "top.h"
#include "../../include/ct_proto.h"
#include "../../user/table.h"

/* What table.c says of a flow; here without a table. */
uint64_t flow_timeout(const struct ct_flow *flow, const struct ct_clock *clock)
{
	(void)clock;
	return flow->entry.expires;
}

uint32_t flow_id(const struct ct_flow *flow)
{
	return (uint32_t)flow->entry.word;
}

void tuple_invert(const struct ct_tuple *tuple, struct ct_tuple *inverse)
{
	*inverse = *tuple;
	inverse->src = tuple->dst;
	inverse->dst = tuple->src;
}

#define SECOND 1000000000ULL

static struct top top;
static struct ct_clock now_clock = { .hz = 250, .mono_ns = 100 * SECOND, .wall_ns = 1000 * SECOND };

/* A TCP flow in a slot of its own; it began 10 s ago. */
static struct ct_flow flow(uint32_t slot, const char *src, const char *dst, uint16_t dport)
{
	bool v6 = strchr(src, ':');
	struct ct_flow f;

	memset(&f, 0, sizeof(f));
	f.tuple.family = v6 ? CT_IPV6 : CT_IPV4;
	f.tuple.proto = IPPROTO_TCP;
	f.tuple.sport = htons((uint16_t)(1000 + slot));
	f.tuple.dport = htons(dport);
	inet_pton(v6 ? AF_INET6 : AF_INET, src, &f.tuple.src);
	inet_pton(v6 ? AF_INET6 : AF_INET, dst, &f.tuple.dst);
	f.entry.word = ((uint64_t)slot + 1) << 32 | CT_WORD_LIVE;
	f.entry.slot = slot;
	f.entry.status = CT_S_CONFIRMED;
	f.entry.state = CT_TCP_SYN_SENT;
	f.entry.start = now_clock.mono_ns - 10 * SECOND;
	f.entry.counters[0] = (struct ct_counters){ 1, 60 };
	return f;
}

static void begin(enum top_by by, unsigned int prefix, size_t rows)
{
	now_clock.mono_ns = 100 * SECOND;
	top_free(&top);
	CHECK(top_init(&top, by, prefix, rows, 12345));
	top_begin(&top, now_clock.mono_ns);
}

/* The next look, so many seconds later. */
static void again(unsigned int seconds)
{
	now_clock.mono_ns += seconds * SECOND;
	top_begin(&top, now_clock.mono_ns);
}

static void add(const struct ct_flow *f)
{
	CHECK(top_add(&top, f, &now_clock, true));
}

/* What is shown of it now; `json`: as an object. */
static const char *shown(bool json, size_t width, const char *rest)
{
	static char *text;
	size_t len;
	FILE *out;
	struct json j;

	free(text);
	out = open_memstream(&text, &len);
	if (json) {
		json_init(&j, out);
		top_json(&top, &j, &now_clock);
		json_flush(&j);
	} else {
		top_text(&top, out, width, rest);
	}
	fclose(out);
	return text;
}

// Flows are summed up by their source: how many, unreplied, assured; the one with most comes first.
TEST(sums)
{
	struct ct_flow f;

	begin(TOP_BY_SRC, 128, 10);
	f = flow(0, "10.0.1.1", "10.0.2.1", 80);
	add(&f);
	for (uint32_t i = 1; i < 4; i++) {
		f = flow(i, "10.0.1.2", "10.0.2.1", 80);
		f.entry.status |= i > 1 ? CT_S_SEEN_REPLY : 0;
		f.entry.status |= i > 2 ? CT_S_ASSURED : 0;
		add(&f);
	}
	top_end(&top, 8);
	CHECK_STR(shown(false, 0, ""),
		  "4 flows of 8 (50.0%): 2 unreplied, 1 assured; 2 sources\n"
		  "SOURCE      FLOWS UNREPLIED  ASSURED  SHARE   PACKETS/S       BYTES/S\n"
		  "10.0.1.2        3         1        1  75.0%         0.3          18.0\n"
		  "10.0.1.1        1         1        0  25.0%         0.1           6.0\n");
	CHECK_STR(shown(true, 0, ""),
		  "{\"time\":\"1970-01-01T00:16:40.000000Z\",\"interval\":0.000,\"by\":\"src\",\"flows\":4,"
		  "\"max\":8,\"unreplied\":2,\"assured\":1,\"keys\":2,\"top\":["
		  "{\"src\":\"10.0.1.2\",\"flows\":3,\"unreplied\":1,\"assured\":1,\"share\":0.7500,"
		  "\"packets_per_second\":0.3,\"bytes_per_second\":18.0},"
		  "{\"src\":\"10.0.1.1\",\"flows\":1,\"unreplied\":1,\"assured\":0,\"share\":0.2500,"
		  "\"packets_per_second\":0.1,\"bytes_per_second\":6.0}]}\n");
}

// An empty table, and one of which nothing is asked for: no rows, and whole JSON.
TEST(nothing)
{
	struct ct_flow f = flow(0, "10.0.1.1", "10.0.2.1", 80);

	begin(TOP_BY_DST, 128, 10);
	top_end(&top, 0);
	CHECK_STR(shown(false, 0, ""),
		  "0 flows of 0 (0.0%): 0 unreplied, 0 assured; 0 destinations\n"
		  "DESTINATION    FLOWS UNREPLIED  ASSURED  SHARE   PACKETS/S       BYTES/S\n");
	again(1);
	CHECK(top_add(&top, &f, &now_clock, false));
	top_end(&top, 10);
	CHECK_STR(shown(true, 0, ""),
		  "{\"time\":\"1970-01-01T00:16:40.000000Z\",\"interval\":1.000,\"by\":\"dst\",\"flows\":1,"
		  "\"max\":10,\"unreplied\":1,\"assured\":0,\"keys\":0,\"top\":[]}\n");
}

// Rates are of the time between two looks; of a flow that is new, and of one that another has replaced in
// its slot, everything counts, and what a flow had before counts never.
TEST(rates)
{
	struct ct_flow f, g;

	begin(TOP_BY_SRC, 128, 10);
	f = flow(0, "10.0.1.1", "10.0.2.1", 80);
	g = flow(1, "10.0.1.2", "10.0.2.1", 80);
	f.entry.counters[0] = (struct ct_counters){ 1000, 100000 };
	add(&f);
	top_end(&top, 10);
	CHECK(top.best[0].packets == 100 && top.best[0].bytes == 10000);
	again(2);
	f.entry.counters[0].packets += 10;
	f.entry.counters[1] = (struct ct_counters){ 4, 400 };
	g.entry.start = now_clock.mono_ns - SECOND;
	add(&f);
	add(&g);
	top_end(&top, 10);
	CHECK(top.best[0].packets == 7 && top.best[0].bytes == 200);
	CHECK(top.best[1].packets == .5 && top.best[1].bytes == 30);
	again(1);
	f = flow(0, "10.0.1.3", "10.0.2.1", 80);
	f.entry.word += 1 << 8; /* another generation */
	f.entry.start = now_clock.mono_ns - SECOND / 2;
	f.entry.counters[0] = (struct ct_counters){ 2000, 200000 };
	add(&f);
	add(&g);
	top_end(&top, 10);
	CHECK(top.best[0].packets == 2000 && top.best[0].bytes == 200000);
	CHECK(top.best[1].packets == 0 && top.best[1].bytes == 0);
	/* It is owned at times: that is no other flow. */
	again(1);
	f.entry.word |= CT_WORD_BUSY;
	add(&f);
	top_end(&top, 10);
	CHECK(top.best[0].packets == 0);
}

// A flow that an upgrade has moved to another slot is not taken for a new one.
TEST(moved)
{
	struct ct_flow f = flow(0, "10.0.1.1", "10.0.2.1", 80);

	begin(TOP_BY_SRC, 128, 10);
	add(&f);
	top_end(&top, 10);
	again(1);
	f.entry.slot = 5;
	f.entry.counters[0].packets = 1000;
	add(&f);
	top_end(&top, 10);
	CHECK(top.best[0].packets == 0);
	again(1);
	f.entry.counters[0].packets += 5;
	add(&f);
	top_end(&top, 10);
	CHECK(top.best[0].packets == 5);
}

// The first look has the rates of whole lives: of a second at least, and of none where nobody knows when a flow began.
TEST(rates_at_first)
{
	struct ct_flow f = flow(0, "10.0.1.1", "10.0.2.1", 80), g = flow(1, "10.0.1.2", "10.0.2.1", 80);

	f.entry.start = now_clock.mono_ns - 1000;
	g.entry.start = 0;
	begin(TOP_BY_SRC, 128, 10);
	add(&f);
	add(&g);
	top_end(&top, 10);
	CHECK(top.best[0].packets == 1 && top.best[0].bytes == 60);
	CHECK(top.best[1].packets == 0);
}

// IPv6 sources go by their prefix, IPv4 ones by the whole address; families are apart.
TEST(prefix)
{
	static const struct {
		unsigned int prefix;
		const char *key;
		unsigned int keys;
	} cases[] = {
		{ 128, "2001:db8:1:2::1", 5 }, { 127, "2001:db8:1:2::2/127", 4 },
		{ 64, "2001:db8:1:2::/64", 3 }, { 48, "2001:db8:1::/48", 3 },
		{ 33, "2001:db8::/33", 2 },	{ 32, "2001:db8::/32", 2 },
		{ 1, "::/1", 2 },
	};
	static const char *const sources[] = { "2001:db8:1:2::1", "2001:db8:1:2::1", "2001:db8:1:2::2",
					       "2001:db8:1:2::3", "2001:db8:2:2::3", "32.1.13.184" };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_CASE("/%u", cases[i].prefix);
		begin(TOP_BY_SRC, cases[i].prefix, 10);
		for (uint32_t n = 0; n < sizeof(sources) / sizeof(sources[0]); n++) {
			struct ct_flow f = flow(n, sources[n], strchr(sources[n], ':') ? "::1" : "::", 80);

			add(&f);
		}
		top_end(&top, 100);
		CHECK_EQ(top.n, cases[i].keys);
		CHECK(strstr(shown(true, 0, ""), cases[i].key) != NULL);
		CHECK(strstr(shown(true, 0, ""), "\"32.1.13.184\"") != NULL);
	}
}

// Ports go with their protocols, and are called what the protocol has in their place.
TEST(ports)
{
	static const struct {
		uint8_t proto;
		uint16_t port;
		const char *text, *json;
	} cases[] = {
		{ IPPROTO_TCP, 80, "\ntcp 80                 ", "\"proto\":\"tcp\",\"protonum\":6,\"port\":80," },
		{ IPPROTO_UDP, 80, "\nudp 80                 ", "\"proto\":\"udp\",\"protonum\":17,\"port\":80," },
		{ IPPROTO_ICMP, 8 << 8, "\nicmp type 8 code 0     ",
		  "\"proto\":\"icmp\",\"protonum\":1,\"type\":8,\"code\":0," },
		{ IPPROTO_GRE, 0, "\ngre                    ", "\"proto\":\"gre\",\"protonum\":47,\"key\":0," },
		{ IPPROTO_GRE, 7, "\ngre key 7              ", "\"proto\":\"gre\",\"protonum\":47,\"key\":7," },
		{ 89, 0, "\nprotocol 89            ", "\"proto\":\"unknown\",\"protonum\":89,\"flows\"" },
	};

	begin(TOP_BY_PORT, 128, 10);
	for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ct_flow f = flow(i, "10.0.1.1", "10.0.2.1", cases[i].port);

		f.tuple.proto = cases[i].proto;
		add(&f);
	}
	top_end(&top, 10);
	CHECK_EQ(top.n, 6);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK_CASE("%s", cases[i].text);
		CHECK(strstr(shown(false, 0, ""), cases[i].text) != NULL);
		CHECK(strstr(shown(true, 0, ""), cases[i].json) != NULL);
	}
}

// Single flows, the fastest first, as they were when they were looked at.
TEST(flows)
{
	begin(TOP_BY_FLOW, 128, 2);
	for (uint32_t i = 0; i < 6; i++) {
		static struct ct_flow f; /* the walk uses its memory again */

		f = flow(i, "10.0.1.1", "10.0.2.1", (uint16_t)(80 + i));
		f.entry.counters[0].bytes = 1000 * (1 + (i * 5 + 3) % 6); /* 4 3 2 1 6 5 */
		f.entry.status |= i == 5 ? CT_S_SEEN_REPLY : 0;
		f.entry.status |= i == 4 ? CT_S_SEEN_REPLY | CT_S_ASSURED : 0;
		add(&f);
	}
	top_end(&top, 10);
	CHECK_STR(shown(false, 0, ""),
		  "6 flows of 10 (60.0%): 4 unreplied, 1 assured; 6 flows\n"
		  "  PACKETS/S       BYTES/S STATUS    FLOW\n"
		  "        0.1         600.0 assured   tcp SYN_SENT src=10.0.1.1 dst=10.0.2.1 sport=1004 dport=84\n"
		  "        0.1         500.0 replied   tcp SYN_SENT src=10.0.1.1 dst=10.0.2.1 sport=1005 dport=85\n");
	CHECK(strstr(shown(true, 0, ""), "\"bytes_per_second\":600.0,\"flow\":{\"family\":\"ipv4\",") != NULL);
}

// Lines are cut where the window ends, and a terminal is told to forget what stood behind them.
TEST(window)
{
	struct ct_flow f = flow(0, "10.0.1.1", "10.0.2.1", 80);

	begin(TOP_BY_SRC, 128, 10);
	add(&f);
	top_end(&top, 10);
	CHECK_STR(shown(false, 20, "|"),
		  "1 flows of 10 (10.0%|\nSOURCE      FLOWS UN|\n10.0.1.1        1   |\n");
}

// A million flows of a million sources: summed up exactly, and the rows shown are the right ones.
TEST(million)
{
	struct ct_flow f = flow(0, "10.0.0.0", "10.0.2.1", 80);
	struct timespec from, to;
	double seconds;

	begin(TOP_BY_SRC, 128, 10);
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (uint32_t i = 0; i < 1000000; i++) {
		uint32_t n = (uint32_t)(i * 2654435761ULL % 1000003); /* in no order */

		f.entry.slot = i;
		f.entry.word = (uint64_t)i << 32 | CT_WORD_LIVE;
		f.tuple.src.ip = htonl(0x0a000000 + (n < 500 ? n % 10 : n));
		if (!top_add(&top, &f, &now_clock, true))
			CHECK(false);
	}
	top_end(&top, 1000000);
	clock_gettime(CLOCK_MONOTONIC, &to);
	seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	printf("  a million flows: %.0f ms\n", seconds * 1e3);
	CHECK_EQ(top.flows, 1000000);
	CHECK_EQ(top.shown, 10);
	for (uint32_t i = 0; i < 10; i++) {
		CHECK_EQ(ntohl(top.best[i].key.addr.ip) >> 8, 0x0a0000);
		CHECK(top.best[i].flows >= 45);
	}
	top_free(&top);
}

CHECK_MAIN()
