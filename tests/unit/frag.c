// SRC:
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fragments: what of a datagram has been seen, and which fragment is refused.
 */
#include <stdlib.h>

#include "check.h"
#include "frag.h"
#include "names.h"

static struct ct_datagram d;
static struct ct_parsed p;

static void begin(void)
{
	memset(&d, 0, sizeof(d));
}

/* A fragment of bytes [from, to), behind an IPv4 header of 20 or an IPv6 header and its fragment's. */
static enum ct_reason add(__u8 family, __u32 from, __u32 to, bool more)
{
	memset(&p, 0, sizeof(p));
	p.tuple.family = family;
	p.frag_off = from;
	p.frag_len = to - from;
	p.frag_more = more;
	p.fragment = from ? CT_FRAG_LATER : CT_FRAG_FIRST;
	p.len = p.frag_len + (family == CT_IPV4 ? 20 : 48);
	return ct_frag_add(&d, &p);
}
#define MORE(from, to) add(CT_IPV4, from, to, true)
#define LAST(from, to) add(CT_IPV4, from, to, false)

#define WANT(got, want) CHECK_STR(reason_name(got), reason_name(want))

// In order, in reverse, and the middle last: all of it is there in the end, and not before.
TEST(orders)
{
	static const int orders[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 0, 2, 1 },
					 { 1, 2, 0 }, { 2, 0, 1 }, { 1, 0, 2 } };
	static const __u32 edge[] = { 0, 1480, 2960, 3008 };

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		begin();
		for (int n = 0; n < 3; n++) {
			int which = orders[i][n];

			CHECK_CASE("order %zu, fragment %d", i, which);
			WANT(add(CT_IPV4, edge[which], edge[which + 1], which < 2), CT_R_NONE);
			if (!which)
				d.flags |= CT_FRAG_KNOWN;
			CHECK_EQ(ct_frag_complete(&d), n == 2);
		}
		CHECK_EQ(d.total, 3008);
		CHECK_EQ(d.reach, 3008);
	}
}

// The very same again is refused and does no harm; so is a part of what is there.
TEST(duplicates)
{
	begin();
	WANT(MORE(0, 1480), CT_R_NONE);
	WANT(MORE(0, 1480), CT_R_FRAG_OVERLAP);
	WANT(MORE(8, 16), CT_R_FRAG_OVERLAP);
	WANT(MORE(1472, 1480), CT_R_FRAG_OVERLAP);
	WANT(LAST(1480, 1501), CT_R_NONE);
	WANT(LAST(1480, 1501), CT_R_FRAG_OVERLAP);
	d.flags |= CT_FRAG_KNOWN;
	CHECK_EQ(ct_frag_complete(&d), true);
}

// A part over another, at either end or around it, spoils the datagram.
TEST(overlaps)
{
	static const __u32 parts[][2] = { { 0, 808 },	  { 792, 800 + 800 }, { 1592, 2400 },
					  { 792, 1608 },  { 0, 2400 },	       { 0, 1592 } };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		CHECK_CASE("%u to %u", parts[i][0], parts[i][1]);
		begin();
		WANT(MORE(800, 1600), CT_R_NONE);
		WANT(MORE(parts[i][0], parts[i][1]), CT_R_FRAG_OVERLAP);
		WANT(MORE(1600, 1608), CT_R_FRAG_OVERLAP);
		WANT(MORE(4000, 4800), CT_R_FRAG_OVERLAP);
	}
	CHECK_CASE("just beside it");
	begin();
	WANT(MORE(800, 1600), CT_R_NONE);
	WANT(MORE(0, 800), CT_R_NONE);
	WANT(MORE(1600, 2400), CT_R_NONE);
}

// There is one end.
TEST(ends)
{
	begin();
	WANT(LAST(1600, 2000), CT_R_NONE);
	WANT(MORE(1600, 2000), CT_R_FRAG_OVERLAP);
	WANT(MORE(2000, 2008), CT_R_FRAG_OVERLAP); /* beyond it: spoilt */
	WANT(MORE(0, 800), CT_R_FRAG_OVERLAP);

	CHECK_CASE("another end");
	begin();
	WANT(LAST(1600, 2000), CT_R_NONE);
	WANT(LAST(800, 1000), CT_R_FRAG_OVERLAP);
	WANT(MORE(0, 800), CT_R_FRAG_OVERLAP);

	CHECK_CASE("an end before something seen");
	begin();
	WANT(MORE(1600, 2000), CT_R_NONE);
	WANT(LAST(800, 1000), CT_R_FRAG_OVERLAP);
	WANT(MORE(0, 800), CT_R_FRAG_OVERLAP);

	CHECK_CASE("up to the end");
	begin();
	WANT(LAST(1600, 2001), CT_R_NONE);
	WANT(MORE(0, 1600), CT_R_NONE);
}

// Lengths: none, odd, and more than a datagram can have.
TEST(lengths)
{
	for (int v6 = 0; v6 < 2; v6++) {
		__u8 family = v6 ? CT_IPV6 : CT_IPV4;
		/* IPv4 counts its header; IPv6 what follows the fixed one. */
		__u32 most = v6 ? 65535 : 65515;

		CHECK_CASE("IPv%d", v6 ? 6 : 4);
		begin();
		WANT(add(family, 0, 0, true), CT_R_FRAG_LENGTH);
		WANT(add(family, 1600, 1600, false), CT_R_FRAG_LENGTH);
		WANT(add(family, 0, 7, true), CT_R_FRAG_LENGTH);
		WANT(add(family, 0, 7, false), CT_R_NONE);
		begin();
		WANT(add(family, 0, 15, true), v6 ? CT_R_FRAG_LENGTH : CT_R_NONE);
		WANT(add(family, 8, 16, true), CT_R_NONE); /* IPv4: 15 were taken for 8 */
		begin();
		WANT(add(family, 65504, most + 1, false), CT_R_FRAG_LENGTH);
		WANT(add(family, 65504, most, false), CT_R_NONE);
		WANT(add(family, 0, 65504, true), CT_R_NONE);
		d.flags |= CT_FRAG_KNOWN;
		CHECK_EQ(ct_frag_complete(&d), true);
		begin();
		WANT(add(family, 65528, 65536, true), CT_R_FRAG_LENGTH);
		WANT(add(family, 65528, 65536 + 600, false), CT_R_FRAG_LENGTH);
	}
}

// Options and headers in front of the fragment header count as well.
TEST(long_headers)
{
	begin();
	memset(&p, 0, sizeof(p));
	p.tuple.family = CT_IPV4;
	p.frag_off = 65000;
	p.frag_len = 65535 - 60 - 65000;
	p.len = p.frag_len + 60;
	WANT(ct_frag_add(&d, &p), CT_R_NONE);
	begin();
	p.frag_len++;
	p.len++;
	WANT(ct_frag_add(&d, &p), CT_R_FRAG_LENGTH);
	p.tuple.family = CT_IPV6;
	p.frag_len = 65535 - 16 - 65000;
	p.len = 40 + 16 + 8 + p.frag_len;
	WANT(ct_frag_add(&d, &p), CT_R_NONE);
	begin();
	p.frag_len++;
	p.len++;
	WANT(ct_frag_add(&d, &p), CT_R_FRAG_LENGTH);
}

// The first fragment acts for what came before it; and UDP's length has to be there in the end.
TEST(gather)
{
	begin();
	WANT(LAST(1480, 3008), CT_R_NONE);
	d.early += 1528;
	WANT(MORE(0, 1480), CT_R_NONE);
	p.bytes = 1500;
	p.payload = 1460;
	p.need = 3008;
	ct_frag_gather(&d, &p, 5000);
	CHECK_EQ(p.bytes, 3028);
	CHECK_EQ(p.payload, 1460 + 1528);
	CHECK_EQ(d.seq, 5000 - 1480);
	CHECK_EQ(d.early, 0);
	WANT(ct_frag_short(&d), CT_R_NONE);
	d.need = 3009;
	WANT(ct_frag_short(&d), CT_R_UDP_LENGTH);
	WANT(MORE(0, 1480), CT_R_UDP_LENGTH);
}

// Random fragments against a model that keeps every byte's eighth by itself.
TEST(model)
{
	static bool there[8193];

	srand(1);
	for (int round = 0; round < 4000; round++) {
		__u32 total = 0, reach = 0, span = 1U << (4 + rand() % 9);
		bool bad = false;

		begin();
		memset(there, 0, sizeof(there));
		for (int n = 0; n < 40; n++) {
			__u32 from = (__u32)rand() % span, to = from + 1 + (__u32)rand() % (span / 4);
			bool more = rand() % 10, some = false, all = true, contradicts;
			enum ct_reason want;

			for (__u32 i = from; i < to; i++) {
				some |= there[i];
				all &= there[i];
			}
			contradicts = more ? total && to > total :
					     to < reach || (total && to != total);
			want = bad || contradicts || some ? CT_R_FRAG_OVERLAP : CT_R_NONE;
			CHECK_CASE("round %d, fragment %d: %u to %u", round, n, from, to);
			WANT(add(CT_IPV4, from * 8, to * 8, more), want);
			bad |= contradicts || (some && !all);
			CHECK_EQ(!!(d.flags & CT_FRAG_BAD), bad);
			if (want)
				continue;
			for (__u32 i = from; i < to; i++)
				there[i] = true;
			if (!more)
				total = to;
			if (to > reach)
				reach = to;
		}
	}
}

CHECK_MAIN()
