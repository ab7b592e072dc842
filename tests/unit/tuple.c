// SRC: tests/unit/packet.c
/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tuples and keys: what makes two packets one flow, and what keeps two flows apart. Tuples come
 * out of the parser, so that these tests stand on packets, not on how we store them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "packet.h"
#include "parse.h"
#include "tuple.h"

#define A4 "10.0.1.1"
#define B4 "10.0.2.1"
#define A6 "fd00:1::1"
#define B6 "fd00:2::1"

/* Both keys in one, so that a test may serve both families. */
union key {
	struct ct_key4 v4;
	struct ct_key6 v6;
	__u32 words[10];
};

/* Key of a tuple; what was in `k` before must not matter. Whether the tuple is swapped. */
static bool key_of(union key *k, const struct ct_tuple *t)
{
	memset(k, 0xa5, sizeof(*k));
	if (t->family == CT_IPV6)
		return ct_key6_of(&k->v6, t);
	memset(&k->v4 + 1, 0, sizeof(*k) - sizeof(k->v4));
	return ct_key4_of(&k->v4, t);
}

static bool same_key(const struct ct_tuple *a, const struct ct_tuple *b)
{
	union key ka, kb;

	key_of(&ka, a);
	key_of(&kb, b);
	return a->family == b->family && !memcmp(&ka, &kb, sizeof(ka));
}

static struct ct_tuple inverse(const struct ct_tuple *t)
{
	struct ct_tuple i;

	memset(&i, 0xa5, sizeof(i));
	ct_tuple_invert(t, &i);
	return i;
}

static bool same_tuple(const struct ct_tuple *a, const struct ct_tuple *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static struct ct_tuple tuple_of(const struct pkt_desc *d)
{
	static struct ct_parsed parsed;
	static struct pkt p;

	pkt_build(&p, d);
	memmove(p.data + 2, p.data, p.len); /* aligns the IP header */
	CHECK_EQ(ct_parse(&parsed, p.data + 2, p.data + 2 + p.len, p.len, 0), 0);
	return parsed.tuple;
}
#define TUPLE(...) tuple_of(&(struct pkt_desc){ __VA_ARGS__ })

/* Numbers that are the same every time; SEED=N gives others. */
static uint64_t random_state;

static void random_begin(void)
{
	const char *seed = getenv("SEED");

	random_state = seed ? strtoull(seed, NULL, 0) : 1;
	printf("  SEED=%llu\n", (unsigned long long)random_state);
}

static uint32_t random_u32(void)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(random_state >> 32);
}

static uint32_t random_below(uint32_t n)
{
	return (random_u32() >> 1) % n;
}

/* A tuple of any kind; few different values, so that parts of it are often equal. */
static struct ct_tuple random_tuple(void)
{
	static const uint8_t questions4[] = { 8, 0, 13, 14, 15, 16, 17, 18 };
	static const uint8_t questions6[] = { 128, 129, 139, 140 };
	struct ct_tuple t = { .family = random_below(2) ? CT_IPV4 : CT_IPV6 };
	bool v4 = t.family == CT_IPV4;

	for (int i = 0; i < (v4 ? 1 : 4); i++) {
		t.src.ip6[i] = random_below(2) ? random_u32() : random_below(2) << 24;
		t.dst.ip6[i] = random_below(2) ? t.src.ip6[i] : random_u32();
	}
	t.zone = random_below(2) ? random_u32() : 0;
	switch (random_below(4)) {
	case 0:
		t.proto = random_below(256);
		if (t.proto != (v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
			break;
		/* fall through */
	case 1:
		t.proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		t.sport = random_u32();
		t.dport = htobe16((v4 ? questions4[random_below(8)] : questions6[random_below(4)])
					  << 8 |
				  random_below(3));
		break;
	default:
		t.proto = random_below(2) ? IPPROTO_TCP : IPPROTO_UDP;
		t.sport = random_u32();
		t.dport = random_below(2) ? t.sport : random_u32();
	}
	return t;
}

/* --- one flow -------------------------------------------------------------------------------- */

/* A packet and its answer: one key, seen from opposite sides. */
static void want_one_flow(const struct pkt_desc *d)
{
	struct pkt_desc answer = pkt_answer(d);
	struct ct_tuple there = tuple_of(d), back = tuple_of(&answer), i = inverse(&there);
	union key k;

	CHECK(same_key(&there, &back));
	CHECK(key_of(&k, &there) != key_of(&k, &back));
	CHECK(same_tuple(&i, &back));
}

// A packet and its answer have the same key and differ in being swapped, whoever begins.
TEST(both_directions_have_one_key)
{
	static const char *const hosts[][2] = { { A4, B4 },
						{ B4, A4 },
						{ "10.0.0.255", "10.0.1.0" },
						{ "255.255.255.255", "0.0.0.1" },
						{ A6, B6 },
						{ B6, A6 },
						{ "fd00::1", "fd00::2" },
						{ "::ff", "::100" },
						{ "1::", "::1" } };
	static const uint16_t ports[][2] = { { 1000, 80 }, { 80, 1000 }, { 7, 7 },
					     { 0, 0 },	   { 255, 256 }, { 0, 0xffff } };

	for (size_t h = 0; h < sizeof(hosts) / sizeof(hosts[0]); h++) {
		const char *src = hosts[h][0], *dst = hosts[h][1];

		for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
			CHECK_CASE("%s %d -> %s %d", src, ports[i][0], dst, ports[i][1]);
			want_one_flow(&(struct pkt_desc){ .src = src,
							  .dst = dst,
							  .tcp_flags = SYN,
							  .sport = ports[i][0],
							  .dport = ports[i][1] });
			want_one_flow(&(struct pkt_desc){ .src = src,
							  .dst = dst,
							  .sport = ports[i][0],
							  .dport = ports[i][1] });
		}
		CHECK_CASE("%s -> %s", src, dst);
		want_one_flow(&(struct pkt_desc){ .src = src, .dst = dst, .proto = IPPROTO_ESP });
		want_one_flow(&(struct pkt_desc){ .src = src,
						  .dst = dst,
						  .icmp_id = 9,
						  .icmp_type = strchr(src, ':') ? 128 : 8 });
	}
}

// Each ICMP question and its answer, with the same code, are one flow.
TEST(icmp_questions_and_answers)
{
	static const struct {
		const char *src, *dst;
		uint8_t question, answer, proto;
	} rows[] = { { A4, B4, 8, 0, 1 },   { A4, B4, 13, 14, 1 },    { A4, B4, 15, 16, 1 },
		     { A4, B4, 17, 18, 1 }, { A6, B6, 128, 129, 58 }, { A6, B6, 139, 140, 58 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ct_tuple question =
			TUPLE(.src = rows[i].src, .dst = rows[i].dst, .icmp_id = 7, .icmp_code = 2,
			      .icmp_type = rows[i].question);
		struct ct_tuple answer =
			TUPLE(.src = rows[i].dst, .dst = rows[i].src, .icmp_id = 7, .icmp_code = 2,
			      .icmp_type = rows[i].answer, .proto = rows[i].proto);
		struct ct_tuple forth = inverse(&question), back = inverse(&answer);

		CHECK_CASE("type %d", rows[i].question);
		CHECK(same_tuple(&forth, &answer));
		CHECK(same_tuple(&back, &question));
		CHECK(same_key(&question, &answer));
		CHECK(!ct_tuple_swapped(&question));
		CHECK(ct_tuple_swapped(&answer));
	}
}

// Where both ends are the same, nothing tells the directions apart: every packet is an original
// one.
TEST(equal_endpoints)
{
	struct ct_tuple t[] = { TUPLE(.src = A4, .dst = A4, .sport = 7, .dport = 7),
				TUPLE(.src = A6, .dst = A6, .sport = 7, .dport = 7),
				TUPLE(.src = A4, .dst = A4, .proto = IPPROTO_ESP) };

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct ct_tuple back = inverse(&t[i]);

		CHECK_CASE("row %zu", i);
		CHECK(same_tuple(&t[i], &back));
		CHECK(!ct_tuple_swapped(&t[i]));
	}
}

// A host that talks to itself between two ports, or pings itself, still has two directions.
TEST(hairpins)
{
	want_one_flow(&(struct pkt_desc){ .src = A4, .dst = A4, .sport = 7, .dport = 9 });
	want_one_flow(&(struct pkt_desc){ .src = A4, .dst = A4, .sport = 9, .dport = 7 });
	want_one_flow(&(struct pkt_desc){ .src = A6, .dst = A6, .sport = 7, .dport = 9 });
	want_one_flow(&(struct pkt_desc){ .src = A4, .dst = A4, .icmp_type = 8, .icmp_id = 1 });
	want_one_flow(&(struct pkt_desc){ .src = A6, .dst = A6, .icmp_type = 128, .icmp_id = 1 });
}

/* --- two flows ------------------------------------------------------------------------------- */

// Endpoints are pairs: the same two addresses and the same two ports, crossed over, are another
// flow.
TEST(endpoints_are_pairs)
{
	struct ct_tuple a = TUPLE(.src = A4, .dst = B4, .sport = 1, .dport = 2);
	struct ct_tuple b = TUPLE(.src = A4, .dst = B4, .sport = 2, .dport = 1);
	struct ct_tuple c = TUPLE(.src = A6, .dst = B6, .sport = 1, .dport = 2);
	struct ct_tuple d = TUPLE(.src = A6, .dst = B6, .sport = 2, .dport = 1);

	CHECK(!same_key(&a, &b));
	CHECK(!same_key(&c, &d));
}

// Each part of a tuple keeps flows apart: addresses word by word, ports, protocol, zone.
TEST(every_part_counts)
{
	struct ct_tuple base = TUPLE(.src = A6, .dst = B6, .sport = 1, .dport = 2);

	for (size_t byte = 0; byte < offsetof(struct ct_tuple, family); byte++)
		for (int bit = 0; bit < 8; bit++) {
			struct ct_tuple other = base;

			CHECK_CASE("byte %zu, bit %d", byte, bit);
			((uint8_t *)&other)[byte] ^= 1 << bit;
			CHECK(!same_key(&base, &other));
		}
	base = TUPLE(.src = A4, .dst = B4, .sport = 1, .dport = 2);
	for (size_t byte = 0; byte < offsetof(struct ct_tuple, family); byte++)
		for (int bit = 0; bit < 8; bit++) {
			struct ct_tuple other = base;

			if (byte % 16 >= 4 && byte < 32)
				continue; /* no part of an IPv4 address */
			CHECK_CASE("IPv4, byte %zu, bit %d", byte, bit);
			((uint8_t *)&other)[byte] ^= 1 << bit;
			CHECK(!same_key(&base, &other));
		}
}

// The zone is in the key, whole, and in the tuple that comes back out of it.
TEST(zones)
{
	struct ct_tuple t = TUPLE(.src = A4, .dst = B4, .sport = 1, .dport = 2), u = t, back;
	union key k;

	t.zone = 0x1234;
	CHECK(!same_key(&t, &u));
	u.zone = 0x3412;
	CHECK(!same_key(&t, &u));
	key_of(&k, &t);
	CHECK_EQ(k.v4.zone, 0x1234);
	ct_tuple_of_key4(&back, &k.v4, false);
	CHECK_EQ(back.zone, 0x1234);
	back = inverse(&t);
	CHECK_EQ(back.zone, 0x1234);
}

// Two hosts that ping each other with the same identifier have two flows.
TEST(pings_of_two_hosts)
{
	struct ct_tuple a = TUPLE(.src = A4, .dst = B4, .icmp_type = 8, .icmp_id = 7);
	struct ct_tuple b = TUPLE(.src = B4, .dst = A4, .icmp_type = 8, .icmp_id = 7);
	struct ct_tuple c = TUPLE(.src = A6, .dst = B6, .icmp_type = 128, .icmp_id = 7);
	struct ct_tuple d = TUPLE(.src = B6, .dst = A6, .icmp_type = 128, .icmp_id = 7);
	struct ct_tuple to_a = inverse(&a), to_b = inverse(&b);

	CHECK(!same_key(&a, &b));
	CHECK(!same_key(&c, &d));
	CHECK(!same_key(&to_a, &b));
	CHECK(!same_key(&to_b, &a));
}

// Questions of different kinds with the same identifier are different flows; so are their codes.
TEST(kinds_of_questions)
{
	static const uint8_t types[] = { 8, 13, 15, 17 };

	for (size_t i = 0; i < 4; i++)
		for (size_t j = 0; j < 4; j++) {
			struct ct_tuple a = TUPLE(.src = A4, .dst = B4, .icmp_type = types[i]);
			struct ct_tuple b = TUPLE(.src = A4, .dst = B4, .icmp_type = types[j]);

			CHECK_CASE("types %d and %d", types[i], types[j]);
			CHECK_EQ(same_key(&a, &b), i == j);
			b.dport ^= htobe16(1);
			CHECK(!same_key(&a, &b));
		}
}

/* --- properties of all ----------------------------------------------------------------------- */

// Inverting twice gives the tuple back; a tuple and its inverse have one key.
TEST(invert_is_an_involution)
{
	random_begin();
	for (int i = 0; i < 200000 && check_failures < 5; i++) {
		struct ct_tuple t = random_tuple(), there = inverse(&t), back = inverse(&there);
		union key k;

		CHECK_CASE("round %d, protocol %d", i, t.proto);
		CHECK(same_tuple(&t, &back));
		CHECK(same_key(&t, &there));
		CHECK_EQ(key_of(&k, &t) != key_of(&k, &there), !same_tuple(&t, &there));
	}
}

// From a tuple to its key and back gives the tuple; taken the other way round, its inverse.
TEST(key_to_tuple)
{
	random_begin();
	for (int i = 0; i < 200000 && check_failures < 5; i++) {
		struct ct_tuple t = random_tuple(), there, back, want = inverse(&t);
		union key k;
		bool swapped = key_of(&k, &t);

		CHECK_CASE("round %d, protocol %d", i, t.proto);
		memset(&there, 0xa5, sizeof(there));
		memset(&back, 0xa5, sizeof(back));
		if (t.family == CT_IPV4) {
			ct_tuple_of_key4(&there, &k.v4, swapped);
			ct_tuple_of_key4(&back, &k.v4, !swapped);
			CHECK_EQ(k.v4.pad, 0);
		} else {
			ct_tuple_of_key6(&there, &k.v6, swapped);
			ct_tuple_of_key6(&back, &k.v6, !swapped);
			CHECK_EQ(k.v6.pad, 0);
		}
		CHECK_MEM(&there, &t, sizeof(t));
		CHECK_MEM(&back, &want, sizeof(t));
	}
}

// Keys of random tuples are equal only if the tuples are, or are each other's inverse.
TEST(no_key_is_two_flows)
{
	int pairs = 0;

	random_begin();
	for (int i = 0; i < 200000 && check_failures < 5; i++) {
		struct ct_tuple t = random_tuple(), u = t, back;

		/* Shuffle: the same parts in other places. */
		if (random_below(2))
			u.src = t.dst;
		if (random_below(2))
			u.dst = t.src;
		if (random_below(2))
			u.sport = t.dport;
		if (random_below(2))
			u.dport = t.sport;
		if (ct_is_icmp(&t))
			u.dport = t.dport;
		back = inverse(&u);
		CHECK_CASE("round %d, protocol %d", i, t.proto);
		CHECK_EQ(same_key(&t, &u), same_tuple(&t, &u) || same_tuple(&t, &back));
		pairs += same_key(&t, &u);
	}
	CHECK_CASE("both outcomes happen");
	CHECK(pairs > 1000 && pairs < 199000);
}

/* --- hash ------------------------------------------------------------------------------------ */

static __u32 hash_of(const union key *k, bool v4, const __u64 *salt)
{
	return ct_hash_words(k->words, v4 ? 4 : 10, salt);
}

static void random_salt(__u64 salt[11])
{
	for (int i = 0; i < 11; i++)
		salt[i] = (__u64)random_u32() << 32 | random_u32();
}

// The hash is the upper half of the sum of products, modulo 2^64 (written another way here).
TEST(hash_is_multilinear)
{
	__u64 salt[11];

	random_begin();
	for (int i = 0; i < 1000; i++) {
		__u32 word[10];
		unsigned __int128 sum;

		random_salt(salt);
		sum = salt[0];
		for (int w = 0; w < 10; w++) {
			word[w] = random_u32();
			sum += (unsigned __int128)salt[w + 1] * word[w];
		}
		CHECK_CASE("round %d", i);
		CHECK_EQ(ct_hash_words(word, 10, salt), (__u32)((__u64)sum >> 32));
	}
}

// Both directions of a flow have one hash; another salt gives another; every bit of a key counts.
TEST(hash_of_flows)
{
	__u64 salt[11], other[11];
	int same = 0;

	random_begin();
	random_salt(salt);
	random_salt(other);
	for (int i = 0; i < 2000 && check_failures < 5; i++) {
		struct ct_tuple t = random_tuple(), back = inverse(&t);
		bool v4 = t.family == CT_IPV4;
		union key k, l;
		__u32 hash;

		CHECK_CASE("round %d", i);
		key_of(&k, &t);
		key_of(&l, &back);
		hash = hash_of(&k, v4, salt);
		CHECK_EQ(hash_of(&l, v4, salt), hash);
		same += hash_of(&k, v4, other) == hash;
		for (int bit = 0; bit < (v4 ? 128 : 320); bit++) {
			l = k;
			l.words[bit / 32] ^= 1U << bit % 32;
			same += hash_of(&l, v4, salt) == hash;
		}
	}
	CHECK_CASE("accidents among half a million, of which 2^-32 each is expected");
	CHECK(same <= 2);
}

static int by_value(const void *a, const void *b)
{
	__u32 x = *(const __u32 *)a, y = *(const __u32 *)b;

	return x < y ? -1 : x > y;
}

// Flows that look alike (a scan: consecutive ports and addresses) collide no more than random ones.
TEST(hash_of_a_scan)
{
	enum { N = 1 << 17 }; /* 2^17 * 2^17 / 2 / 2^32: two accidents expected */
	static __u32 hashes[N];
	__u64 salt[11];
	int same = 0;

	random_begin();
	random_salt(salt);
	for (__u32 i = 0; i < N; i++) {
		struct ct_tuple t = { .family = CT_IPV4,
				      .proto = IPPROTO_TCP,
				      .src.ip = htobe32(0x0a000101),
				      .dst.ip = htobe32(0x0a000200 + i / 512),
				      .sport = htobe16(40000),
				      .dport = htobe16(i % 512) };
		union key k;

		key_of(&k, &t);
		hashes[i] = hash_of(&k, true, salt);
	}
	qsort(hashes, N, sizeof(hashes[0]), by_value);
	for (int i = 1; i < N; i++)
		same += hashes[i] == hashes[i - 1];
	CHECK(same < 20);
}

CHECK_MAIN()
