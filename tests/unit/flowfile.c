// SRC: user/flowfile.c -lz
// SPDX-License-Identifier: GPL-2.0-only
/* Files of flows: what is written is read again, elsewhere and by others; what is damaged is refused. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <zlib.h>

#include "../tools/random.h"
#include "check.h"
#include "ct_proto.h"
#include "flowfile.h"
#include "instance.h"

#define SECOND 1000000000ULL
#define SAVED  (1700000000 * SECOND)

static struct flowfile file;
static char why[256];
static uint64_t seed;

/* --- Files in memory -------------------------------------------------------------------------- */

static char *written;
static size_t size;
static FILE *stream;
static struct flowfile_writer writer;

static void begin(void)
{
	free(written);
	written = NULL;
	stream = open_memstream(&written, &size);
	flowfile_begin(&writer, stream, SAVED);
}

static void end(void)
{
	flowfile_end(&writer);
	fclose(stream);
}

/* Open a copy that ends where it ends, for ASan to see to it. */
static int try(const void *data, size_t length)
{
	static void *copy;

	free(copy);
	copy = malloc(length ? length : 1);
	memcpy(copy, data, length);
	strcpy(why, "");
	return flowfile_open(&file, copy, length, why, sizeof(why));
}

static void want_refused(const void *data, size_t length, const char *text)
{
	CHECK_EQ(try(data, length), -EINVAL);
	if (text)
		CHECK_STR(why, text);
	CHECK(why[0]);
}

static uint64_t some(uint64_t most)
{
	return next_random(&seed) % (most + 1);
}

static void some_bytes(void *to, size_t n)
{
	for (uint8_t *p = to; n > 0; n--)
		*p++ = (uint8_t)some(255);
}

static void some_tcp(struct ct_entry *e)
{
	some_bytes(&e->l4.tcp, sizeof(e->l4.tcp));
	e->state = (uint8_t)(1 + some(CT_TCP_STATE_MAX - 2));
	e->l4.tcp.scale[0] = (uint8_t)some(14);
	e->l4.tcp.scale[1] = (uint8_t)some(14);
}

static void some_sctp(struct ct_entry *e)
{
	struct ct_sctp *s = &e->l4.sctp;

	e->state = (uint8_t)(1 + some(CT_SCTP_STATE_MAX - 2));
	some_bytes(s, offsetof(struct ct_sctp, init) + sizeof(s->init));
	s->wrong_tag = some(1);
	s->wrong_dir = some(1);
	s->untold = some(1);
}

/* A flow as it is in a file, with something in every member that there is. */
static struct ct_flow some_flow(uint8_t family, uint8_t proto)
{
	struct ct_flow f = { .tuple = { .family = family, .proto = proto } };
	size_t address = family == CT_IPV4 ? 4 : 16;

	some_bytes(&f.tuple.src, address);
	some_bytes(&f.tuple.dst, address);
	some_bytes(&f.tuple.sport, 2);
	some_bytes(&f.tuple.dport, 2);
	f.tuple.zone = (uint16_t)some(UINT16_MAX);
	f.entry.expires = some(1000ULL * UINT32_MAX);
	f.entry.mark = (uint32_t)some(UINT32_MAX);
	f.entry.status = (uint16_t)some(UINT16_MAX);
	some_bytes(f.entry.counters, sizeof(f.entry.counters));
	f.entry.start = next_random(&seed);
	if (proto == IPPROTO_TCP)
		some_tcp(&f.entry);
	else if (proto == IPPROTO_SCTP)
		some_sctp(&f.entry);
	else if (proto == IPPROTO_UDP)
		f.entry.l4.udp.stream_at = (uint32_t)some(2000);
	return f;
}

static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP,
				     IPPROTO_GRE, IPPROTO_UDPLITE, 0, 255 };
#define PROTOCOLS sizeof(protocols)

/* One of each. */
static size_t some_file(struct ct_flow *flows)
{
	size_t n = 0;

	begin();
	for (int v6 = 0; v6 < 2; v6++)
		for (size_t i = 0; i < PROTOCOLS; i++) {
			flows[n] = some_flow(v6 ? CT_IPV6 : CT_IPV4, protocols[i]);
			flowfile_add(&writer, &flows[n++]);
		}
	end();
	return n;
}

// Everything that is said of a flow comes back, of every protocol, in the order of the file.
TEST(round_trip)
{
	struct ct_flow flows[2 * PROTOCOLS], flow;
	size_t n;

	for (seed = 0; seed < 200; seed++) {
		CHECK_CASE("seed %d", (int)seed);
		n = some_file(flows);
		REQUIRE(try(written, size) == 0);
		CHECK_EQ(file.rows, n);
		CHECK_EQ(file.saved_ns, SAVED);
		for (int again = 0; again < 2; again++) {
			for (size_t i = 0; i < n; i++) {
				REQUIRE(flowfile_next(&file, &flow));
				CHECK_MEM(&flow, &flows[i], sizeof(flow));
			}
			CHECK(!flowfile_next(&file, &flow));
			CHECK(!flowfile_next(&file, &flow));
			flowfile_rewind(&file);
		}
	}
}

// A table without flows is a file, too.
TEST(no_flows)
{
	struct ct_flow flow;

	begin();
	end();
	REQUIRE(try(written, size) == 0);
	CHECK_EQ(file.rows, 0);
	CHECK(!flowfile_next(&file, &flow));
}

// The bytes are the promised ones, whatever machine writes them.
TEST(bytes)
{
	static const uint8_t head[] = { 'c', 't', 'f', 'l', 'o', 'w', 's', '\n', 1, 0, 0, 0 };
	static const uint8_t saved[] = { 0x00, 0x00, 0x2a, 0x36, 0xfe, 0x9c, 0x97, 0x17, 8 };
	static const uint8_t row[] = {
		2,				/* IPv4, UDP */
		10, 0, 1, 1, 10, 0, 2, 1,	/* src, dst */
		0x03, 0xe8, 0x00, 0x50,		/* sport 1000, dport 80 */
		7, 0, 17,			/* zone, proto */
		0x30, 0x75, 0, 0, 0, 0, 0, 0,	/* 30000 ms */
		0xef, 0xbe, 0xad, 0xde,		/* mark */
		0x0a, 0,			/* CONFIRMED, SEEN_REPLY */
		1, 0, 0, 0, 0, 0, 0, 0,		/* packets, bytes */
		0x00, 1, 0, 0, 0, 0, 0, 0,
		2, 0, 0, 0, 0, 0, 0, 0,
		0x00, 2, 0, 0, 0, 0, 0, 0,
		3, 0, 0, 0, 0, 0, 0, 0,		/* start */
		0xd0, 0x07, 0, 0,		/* a stream in 2000 ms */
		0xff, 1, 0, 0, 0, 0, 0, 0, 0,
	};
	const struct ct_flow flow = {
		.tuple = { .src.ip = htonl(0x0a000101), .dst.ip = htonl(0x0a000201),
			   .sport = htons(1000), .dport = htons(80), .zone = 7,
			   .proto = IPPROTO_UDP, .family = CT_IPV4 },
		.entry = { .expires = 30000, .mark = 0xdeadbeef,
			   .status = CT_S_CONFIRMED | CT_S_SEEN_REPLY, .start = 3,
			   .counters = { { 1, 256 }, { 2, 512 } }, .l4.udp.stream_at = 2000 },
	};
	size_t at;

	begin();
	flowfile_add(&writer, &flow);
	end();
	at = size - 4 - sizeof(row);
	CHECK_MEM(written, head, sizeof(head));
	CHECK_EQ((uint8_t)written[12] | (uint8_t)written[13] << 8, at);
	CHECK_MEM(written + 16, saved, sizeof(saved));
	CHECK_MEM(written + at, row, sizeof(row));
	CHECK_EQ(crc32(0, (uint8_t *)written, (uInt)size), 0x2144df1c); /* of whatever ends with its CRC */
}

/* --- Times ------------------------------------------------------------------------------------ */

static const struct ct_clock here = { .ticks = 5000000, .mono_ns = 20000 * SECOND,
				      .wall_ns = SAVED, .hz = 250 };

/* Saved here, restored there. */
static bool move(struct ct_flow *flow, const struct ct_clock *there)
{
	flowfile_leave(flow, &here);
	return flowfile_arrive(flow, here.wall_ns, there);
}

// What is left of a flow's time is the same in other ticks, less what has passed on the wall.
TEST(time_left)
{
	static const struct {
		unsigned int hz;
		uint64_t ticks, passed, left, want; /* seconds, but ticks */
	} rows[] = {
		{ 250, 5000000, 0, 100, 100 },	{ 1000, 77, 0, 100, 100 },
		{ 100, 1ULL << 40, 0, 100, 100 }, { 300, 9, 40, 100, 60 },
		{ 1000, 9, 99, 100, 1 },	{ 250, 9, 86400, 432000, 345600 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ct_flow flow = { .entry.expires = here.ticks + rows[i].left * here.hz };
		struct ct_clock there = { .ticks = rows[i].ticks, .hz = rows[i].hz, .mono_ns = 1,
					  .wall_ns = SAVED + rows[i].passed * SECOND };

		CHECK_CASE("row %zu", i);
		CHECK(move(&flow, &there));
		CHECK_EQ(flow.entry.expires, there.ticks + rows[i].want * there.hz);
	}
}

// A flow whose time is over meanwhile is not there any more, to the tick.
TEST(time_over)
{
	for (uint64_t passed = 9; passed <= 12; passed++) {
		struct ct_flow flow = { .entry.expires = here.ticks + 10 * here.hz };
		struct ct_clock there = here;

		there.wall_ns += passed * SECOND;
		CHECK_EQ(move(&flow, &there), passed < 10);
	}
	for (uint64_t ticks = 0; ticks < 5; ticks++) {
		struct ct_flow flow = { .entry.expires = here.ticks + ticks };

		CHECK_EQ(move(&flow, &here), ticks > 0);
	}
	for (uint64_t ms = 0; ms < 8; ms++) { /* a tick is four of these */
		struct ct_flow flow = { .entry.expires = ms };

		CHECK_EQ(flowfile_arrive(&flow, SAVED, &here), ms >= 4);
	}
}

// A clock that was set back, or begins in 1970, takes nothing away.
TEST(clock_set_back)
{
	struct ct_flow flow = { .entry.expires = here.ticks + 10 * here.hz };
	struct ct_clock there = { .ticks = 1, .hz = 250, .mono_ns = 1, .wall_ns = 5 * SECOND };

	CHECK(move(&flow, &there));
	CHECK_EQ(flow.entry.expires, 1 + 10 * 250);
}

// When it began is the same moment of the wall's clock, also if this machine was not up then; and a
// flow of which that is not known stays so.
TEST(start)
{
	struct ct_flow flow = { .entry = { .expires = here.ticks + 5000,
					   .start = here.mono_ns - 50 * SECOND } };
	struct ct_clock there = { .ticks = 10, .hz = 250, .mono_ns = 3 * SECOND,
				  .wall_ns = SAVED + 7 * SECOND };

	CHECK(move(&flow, &there));
	CHECK_EQ(there.wall_ns - there.mono_ns + flow.entry.start, SAVED - 50 * SECOND);
	flow.entry.expires = here.ticks + 5000;
	flow.entry.start = here.mono_ns + 4 * SECOND; /* 0 there, which would mean "not known" */
	CHECK(move(&flow, &there));
	CHECK_EQ(flow.entry.start, 1);
	flow.entry.expires = here.ticks + 5000;
	flow.entry.start = 0;
	CHECK(move(&flow, &there));
	CHECK_EQ(flow.entry.start, 0);
}

// A UDP flow becomes a stream two seconds after it began, here and there; other protocols' words are
// not taken for it.
TEST(stream)
{
	static const struct {
		int64_t at; /* ticks from now, at 250 */
		uint64_t passed;
		uint32_t want; /* ticks from now, at 1000 */
	} rows[] = {
		{ 500, 0, 2000 }, { 250, 0, 1000 }, { 500, 1, 1000 }, { 500, 5, 0 },
		{ -9, 0, 0 },	  { 501, 0, 0 },    { INT32_MAX, 0, 0 },
	};
	struct ct_flow tcp = { .tuple.proto = IPPROTO_TCP, .entry.expires = here.ticks + 25000 };
	struct ct_clock there = { .ticks = (1ULL << 32) - 500, .hz = 1000 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ct_flow flow = { .tuple.proto = IPPROTO_UDP,
					.entry.expires = here.ticks + 25000 };

		CHECK_CASE("row %zu", i);
		flow.entry.l4.udp.stream_at = (uint32_t)(here.ticks + (uint64_t)rows[i].at);
		there.wall_ns = SAVED + rows[i].passed * SECOND;
		CHECK(move(&flow, &there));
		CHECK_EQ(flow.entry.l4.udp.stream_at - (uint32_t)there.ticks, rows[i].want);
	}
	tcp.entry.l4.words[0] = 12345;
	CHECK(move(&tcp, &there));
	CHECK_EQ(tcp.entry.l4.words[0], 12345);
}

/* --- Damage ----------------------------------------------------------------------------------- */

static void small_file(void)
{
	const struct ct_flow tcp = some_flow(CT_IPV4, IPPROTO_TCP);
	const struct ct_flow icmp = some_flow(CT_IPV6, IPPROTO_ICMPV6);

	begin();
	flowfile_add(&writer, &tcp);
	flowfile_add(&writer, &icmp);
	end();
}

// Cut off anywhere, it is refused; and with anything behind it.
TEST(cut_off)
{
	char *longer;

	seed = 1;
	small_file();
	want_refused(written, 0, "it is empty");
	want_refused(written, 5, "it is cut off");
	want_refused(written, 20, "it is cut off");
	want_refused(written, size - 1, "it is cut off or altered: its checksum does not fit");
	for (size_t i = 0; i < size; i++) {
		CHECK_CASE("%zu of %zu bytes", i, size);
		want_refused(written, i, NULL);
	}
	longer = calloc(1, size + 64);
	memcpy(longer, written, size);
	for (size_t i = 1; i < 64; i++)
		want_refused(longer, size + i, NULL);
	free(longer);
}

// A bit that is wrong anywhere is noticed; so is a row that is missing, doubled, or in another place.
TEST(altered)
{
	size_t row, first;
	char *copy;

	seed = 2;
	small_file();
	for (size_t i = 0; i < 8 * size; i++) {
		CHECK_CASE("bit %zu", i);
		written[i / 8] ^= (char)(1 << i % 8);
		CHECK(try(written, size) < 0);
		CHECK(why[0]);
		written[i / 8] ^= (char)(1 << i % 8);
	}
	CHECK_CASE("rows");
	CHECK_EQ(try(written, size), 0);
	first = (size_t)(file.first - (file.end - (size - 13)));
	row = file.kind[4].size + 1;
	copy = malloc(size + row);
	memcpy(copy, written, first); /* without the first row */
	memcpy(copy + first, written + first + row, size - first - row);
	want_refused(copy, size - row, NULL);
	memcpy(copy, written, first + row); /* with it twice */
	memcpy(copy + first + row, written + first, size - first);
	want_refused(copy, size + row, NULL);
	free(copy);
}

// Other files are none of ours, and those of a later format are said to be.
TEST(others)
{
	seed = 3;
	small_file();
	want_refused("\x7f" "ELF, or whatever it is that somebody names instead", 40,
		     "it is no file of saved flows");
	want_refused("x", 1, "it is no file of saved flows");
	written[8] = 2;
	CHECK_EQ(try(written, size), -ENOTSUP);
	CHECK_STR(why, "it is of version 2 of the format, this build knows 1");
	written[8] = 0;
	CHECK_EQ(try(written, size), -ENOTSUP);
}

/* --- Other builds ----------------------------------------------------------------------------- */

static uint8_t made[4096];
static size_t at;

static void number(uint64_t value, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++, value >>= 8)
		made[at++] = (uint8_t)value;
}

static void column(const char *name, uint8_t bytes)
{
	number(strlen(name), 1);
	memcpy(made + at, name, strlen(name));
	at += strlen(name);
	number(bytes, 1);
}

static void make(unsigned int kinds)
{
	at = 0;
	memcpy(made, "ctflows\n", 8);
	at = 8;
	number(1, 4);
	number(0, 4);
	number(SAVED, 8);
	number(kinds, 1);
}

/* One kind of rows; "src", "dst", "proto" and "timeout_ms" are the first of its columns. */
static void make_one(unsigned int columns)
{
	make(1);
	number(4 + columns, 1);
	column("src", 4);
	column("dst", 4);
	column("proto", 1);
	column("timeout_ms", 8);
}

static void rows(void)
{
	made[12] = (uint8_t)at;
	made[13] = (uint8_t)(at >> 8);
}

static void row(uint8_t proto)
{
	number(0, 1);
	number(0x0101000a, 4);
	number(0x0102000a, 4);
	number(proto, 1);
	number(5000, 8);
}

static void seal(uint64_t count)
{
	number(255, 1);
	number(count, 8);
	number(crc32(0, made, (uInt)at), 4);
}

// By their names columns are found, wherever and however wide they are; what we have none of is passed
// over, and what is not there is 0.
TEST(by_name)
{
	struct ct_flow flow;

	make_one(4);
	column("weight", 6);
	column("mark", 8);
	column("tcp.state", 2);
	column("", 0);
	rows();
	row(IPPROTO_TCP);
	number(0x123456789abc, 6);
	number(0xfedcba98, 8);
	number(CT_TCP_ESTABLISHED, 2);
	row(IPPROTO_TCP);
	number(0, 6);
	number(1, 8);
	number(CT_TCP_CLOSE, 2);
	seal(2);
	REQUIRE(try(made, at) == 0);
	REQUIRE(flowfile_next(&file, &flow));
	CHECK_EQ(flow.tuple.family, CT_IPV4);
	CHECK_EQ(flow.tuple.src.ip, htonl(0x0a000101));
	CHECK_EQ(flow.entry.mark, 0xfedcba98);
	CHECK_EQ(flow.entry.state, CT_TCP_ESTABLISHED);
	CHECK_EQ(flow.entry.expires, 5000);
	CHECK_EQ(flow.entry.counters[0].bytes, 0);
	REQUIRE(flowfile_next(&file, &flow));
	CHECK_EQ(flow.entry.mark, 1);
	CHECK(!flowfile_next(&file, &flow));
}

// What we have no room for is refused, and named.
TEST(too_large)
{
	static const struct {
		const char *name;
		uint8_t bytes;
		uint64_t value;
		const char *why;
	} cases[] = {
		{ "mark", 8, 1ULL << 32, "mark 4294967296 is more than this build knows" },
		{ "zone", 4, 65536, "zone 65536 is more than this build knows" },
		{ "tcp.last_index", 1, 8, "tcp.last_index 8 is more than this build knows" },
		{ "tcp.last_dir", 1, 2, "tcp.last_dir 2 is more than this build knows" },
		{ "tcp.retransmits", 1, 16, "tcp.retransmits 16 is more than this build knows" },
		{ "tcp.original.scale", 1, 15, "windows are never scaled so much" },
		{ "tcp.reply.scale", 1, 15, "windows are never scaled so much" },
		{ "sctp.state", 1, 1, "it has rows of two protocols at once" },
		{ "mark", 9, 0, "its column mark has 9 bytes" },
		{ "mark", 0, 0, "its column mark has 0 bytes" },
		{ "sport", 4, 0, "its column sport has 4 bytes" },
		{ "src", 5, 0, "its column src has 5 bytes" },
		{ "src", 4, 0, "its column src is there twice" },
		{ "src", 16, 0, "it has rows of both IPv4 and IPv6" },
	};
	char text[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool header = !strncmp(cases[i].why, "it", 2);

		CHECK_CASE("%s", cases[i].name);
		make_one(2);
		column("tcp.state", 1);
		column(cases[i].name, cases[i].bytes);
		rows();
		row(IPPROTO_TCP);
		number(CT_TCP_ESTABLISHED, 1);
		number(cases[i].value, cases[i].bytes);
		seal(1);
		snprintf(text, sizeof(text), "%s%s", header ? "" : "its flow 1 can't be read: ",
			 cases[i].why);
		want_refused(made, at, text);
	}
}

/* One row with a state and nothing else. */
static void want_state(const char *name, uint8_t proto, uint8_t state, bool good)
{
	make_one(1);
	column(name, 1);
	rows();
	row(proto);
	number(state, 1);
	seal(1);
	CHECK_CASE("%s %u of protocol %u", name, state, proto);
	CHECK_EQ(try(made, at), good ? 0 : -EINVAL);
}

// A state is one that the programs have a row for, in a row of that protocol.
TEST(states)
{
	for (unsigned int state = 0; state < 256; state++) {
		want_state("tcp.state", IPPROTO_TCP, (uint8_t)state,
			   state && state < CT_TCP_STATE_MAX);
		want_state("sctp.state", IPPROTO_SCTP, (uint8_t)state,
			   state && state < CT_SCTP_STATE_MAX);
		want_state("tcp.state", IPPROTO_UDP, (uint8_t)state, false);
		want_state("elsewhere.state", IPPROTO_UDP, (uint8_t)state, true);
		want_state("elsewhere.state", IPPROTO_TCP, (uint8_t)state, false);
	}
}

// Times are bounded.
TEST(long_times)
{
	for (int more = 0; more < 2; more++) {
		make_one(1);
		column("udp.stream_ms", 4);
		rows();
		row(IPPROTO_UDP);
		at -= 8;
		number(1000ULL * UINT32_MAX + (uint64_t)more, 8);
		number(0, 4);
		seal(1);
		CHECK_EQ(try(made, at), more ? -EINVAL : 0);
		at -= 13 + 12;
		number(5000, 8);
		number(2000 + (uint64_t)more, 4);
		seal(1);
		CHECK_EQ(try(made, at), more ? -EINVAL : 0);
	}
}

// What a row can't do without, and what the header says of itself.
TEST(headers)
{
	make(0);
	rows();
	seal(0);
	want_refused(made, at, "it has 0 kinds of rows");
	make(33);
	rows();
	seal(0);
	want_refused(made, at, "it has 33 kinds of rows");
	make(1);
	number(3, 1);
	column("src", 4);
	column("dst", 4);
	column("proto", 1);
	rows();
	seal(0);
	want_refused(made, at, "it has rows without src, dst, proto or timeout_ms");
	make_one(1);
	rows();
	seal(0);
	want_refused(made, at, "its header ends in the middle");
	make(2);
	number(0, 1);
	rows();
	seal(0);
	want_refused(made, at, "it has rows without src, dst, proto or timeout_ms");
	make_one(0);
	number(0, 1);
	rows();
	seal(0);
	want_refused(made, at, "its header is too long");
	make_one(0);
	made[12] = 24;
	seal(0);
	want_refused(made, at, "its header has no end");
	made[12] = 0xff;
	made[13] = 0xff;
	made[15] = 0xff;
	at -= 4;
	number(crc32(0, made, (uInt)at), 4);
	want_refused(made, at, "its header has no end");
	make_one(1); /* a column whose name and size are the end of the file */
	number(11, 1);
	made[12] = (uint8_t)(at + 12);
	seal(0);
	want_refused(made, at, "its header has no end");
	make_one(0);
	rows();
	number(254, 1);
	number(0, 8);
	number(crc32(0, made, (uInt)at), 4);
	want_refused(made, at, "it has 0 flows, and says something else");
	make_one(0);
	rows();
	row(IPPROTO_ICMP);
	seal(2);
	want_refused(made, at, "it has 1 flows, and says something else");
	make_one(0);
	rows();
	row(IPPROTO_ICMP);
	at--;
	seal(1);
	want_refused(made, at, "its flow 1 can't be read: it goes beyond the end");
	make_one(0);
	rows();
	number(1, 1);
	seal(1);
	want_refused(made, at,
		     "its flow 1 can't be read: it is of kind 1, which the header does not have");
}

/* --- Malice ----------------------------------------------------------------------------------- */

static void put_crc(uint8_t *data, size_t length)
{
	uint32_t crc = (uint32_t)crc32(0, data, (uInt)(length - 4));

	for (int i = 0; i < 4; i++)
		data[length - 4 + i] = (uint8_t)(crc >> 8 * i);
}

// Whatever a file with the right checksum says: what can be read has values that the programs can take,
// and nothing is read beyond its end (ASan sees to it).
TEST(hostile)
{
	struct ct_flow flows[2 * PROTOCOLS], flow;
	int readable = 0;

	for (int i = 0; i < 4000; i++) {
		uint8_t *data;
		size_t length;
		uint64_t n = 0;

		seed = (uint64_t)i;
		CHECK_CASE("seed %d", i);
		if (!(i % 50))
			some_file(flows);
		length = some(3) ? size : some(size);
		if (length < 4)
			continue;
		data = malloc(length);
		memcpy(data, written, length);
		for (uint64_t k = some(3); k > 0; k--) /* the rows more often than the header */
			data[some(1) ? some(length - 1) : length - 1 - some(length / 3)] =
				(uint8_t)(some(1) ? some(255) : some(3));
		put_crc(data, length);
		if (!try(data, length)) {
			readable++;
			while (flowfile_next(&file, &flow)) {
				n++;
				CHECK(flow.entry.expires <= 1000ULL * UINT32_MAX);
				CHECK(flow.entry.state < 10);
			}
			CHECK_EQ(n, file.rows);
		} else {
			CHECK(why[0]);
		}
		free(data);
	}
	CHECK(readable > 200);
	CHECK(readable < 3500);
	free(written);
	written = NULL;
	try("", 0);
}

CHECK_MAIN()
