// SRC: user/migrate.c -lbpf
// SPDX-License-Identifier: GPL-2.0-only
/* Values of one build's maps into those of another's, by the names of their members. */
#include <errno.h>
#include <stdlib.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "../tools/random.h"
#include "check.h"
#include "migrate.h"

/* Types that every BTF here has, in this order. */
enum { U8 = 1, U16, U32, U64, S8, S16, S32, S64, BOOL, BE16, BE32, PTR, FLOAT, ENUM, OWN };

struct field {
	const char *name;
	int type;
	__u32 at, bits; /* both in bits */
};

static struct btf *from, *to;
static struct migration *m;
static char why[256];

static struct btf *new_btf(void)
{
	struct btf *btf = btf__new_empty();

	for (int size = 1; size <= 8; size *= 2)
		btf__add_int(btf, "unsigned", size, 0);
	for (int size = 1; size <= 8; size *= 2)
		btf__add_int(btf, "signed", size, BTF_INT_SIGNED);
	btf__add_int(btf, "_Bool", 1, BTF_INT_BOOL);
	btf__add_typedef(btf, "__be16", U16);
	btf__add_typedef(btf, "__be32", U32);
	btf__add_ptr(btf, U8);
	btf__add_float(btf, "double", 8);
	btf__add_enum(btf, "choice", 4);
	btf__add_enum_value(btf, "ONE", 1);
	return btf;
}

static void finish(void)
{
	migration_free(m);
	btf__free(from);
	btf__free(to);
	m = NULL;
	from = to = NULL;
}

static void begin(void)
{
	finish();
	from = new_btf();
	to = new_btf();
}

static int composite(struct btf *btf, bool is_union, __u32 size, const struct field *f)
{
	int id = is_union ? btf__add_union(btf, "u", size) : btf__add_struct(btf, "s", size);

	for (; f->type; f++)
		CHECK_EQ(btf__add_field(btf, f->name, f->type, f->at, f->bits), 0);
	return id;
}
#define STRUCT(btf, size, ...) composite(btf, false, size, (struct field[]){ __VA_ARGS__, { 0 } })
#define UNION(btf, size, ...)  composite(btf, true, size, (struct field[]){ __VA_ARGS__, { 0 } })
#define ARRAY(btf, type, n)    btf__add_array(btf, U32, type, n)
#define FIELD(s, member, type)                                                                     \
	{                                                                                          \
#member, type, 8 * offsetof(struct s, member), 0                                   \
	}

static bool plan(int from_type, int to_type)
{
	migration_free(m);
	strcpy(why, "");
	m = migration_plan(from, from_type, to, to_type, why, sizeof(why));
	if (!m)
		printf("  refused: %s\n", why);
	return m;
}

static void want_refused(int from_type, int to_type, int err, const char *text)
{
	migration_free(m);
	errno = 0;
	m = migration_plan(from, from_type, to, to_type, why, sizeof(why));
	if (CHECK(!m)) {
		CHECK_EQ(errno, err);
		if (text)
			CHECK_STR(why, text);
	}
}

// The same layout may be shared, whatever its types are called; it is copied as a whole.
TEST(same)
{
	static const char text[12] = "0123456789a";
	char out[12];
	int a, b;

	begin();
	a = STRUCT(from, 12, { "x", U32, 0, 0 }, { "y", BE16, 32, 0 }, { "bit", U8, 48, 3 },
		   { "e", ENUM, 64, 0 });
	btf__add_typedef(to, "number", U32);
	btf__add_volatile(to, OWN);
	b = STRUCT(to, 12, { "x", OWN + 1, 0, 0 }, { "y", BE16, 32, 0 }, { "bit", U8, 48, 3 },
		   { "e", U32, 64, 0 });
	REQUIRE(plan(a, b));
	CHECK(migration_same(m));
	CHECK_EQ(migration_from_size(m), 12);
	CHECK_EQ(migration_to_size(m), 12);
	CHECK_STR(migration_dropped(m), "");
	migration_run(m, text, out, NULL);
	CHECK_MEM(out, text, 12);
	finish();
}

// Any difference of name, place, type, sign, byte order, length or number of members is seen.
TEST(not_same)
{
	int a, inner, b[10], n = 0;

	begin();
	inner = STRUCT(from, 4, { "i", U32, 0, 0 });
	a = STRUCT(from, 16, { "x", U32, 0, 0 }, { "y", U8, 32, 3 }, { "s", inner, 64, 0 },
		   { "t", ARRAY(from, U8, 4), 96, 0 });
#define LIKE(size, x_name, x, x_at, bits, i_name, len, ...)                                        \
	(inner = STRUCT(to, 4, { i_name, U32, 0, 0 }),                                             \
	 STRUCT(to, size, { x_name, x, x_at, 0 }, { "y", U8, 32, bits }, { "s", inner, 64, 0 },    \
		{ "t", ARRAY(to, U8, len), 96, 0 }, ##__VA_ARGS__))
	CHECK(plan(a, LIKE(16, "x", U32, 0, 3, "i", 4)) && migration_same(m));
	b[n++] = LIKE(20, "x", U32, 0, 3, "i", 4);
	b[n++] = LIKE(16, "z", U32, 0, 3, "i", 4);
	b[n++] = LIKE(20, "x", U32, 128, 3, "i", 4);
	b[n++] = LIKE(24, "x", U64, 128, 3, "i", 4);
	b[n++] = LIKE(16, "x", U32, 0, 4, "i", 4);
	b[n++] = LIKE(16, "x", U32, 0, 3, "j", 4);
	b[n++] = LIKE(16, "x", U32, 0, 3, "i", 3);
	b[n++] = LIKE(16, "x", U32, 0, 3, "i", 4, { "more", U8, 48, 0 });
#undef LIKE
	for (int i = 0; i < n; i++) {
		CHECK_CASE("layout %d", i);
		CHECK(plan(a, b[i]) && !migration_same(m));
	}
	finish();
}

// Members find each other by name, wherever they are; new ones keep what is there.
TEST(moved_new_and_dropped)
{
	struct old {
		__u32 a, gone;
		__u64 b;
		__u8 c;
	} old = { .a = 0x11111111, .gone = 0x22222222, .b = 0x3333333333333333, .c = 0x44 };
	struct new
	{
		__u8 c;
		__u64 b;
		__u32 more;
		__u32 a;
	}
	new = { .more = 77 };

	begin();
	REQUIRE(plan(STRUCT(from, sizeof(old), FIELD(old, a, U32), FIELD(old, gone, PTR),
			    FIELD(old, b, U64), FIELD(old, c, U8)),
		     STRUCT(to, sizeof(new), FIELD(new, c, U8), FIELD(new, b, U64),
			    FIELD(new, more, PTR), FIELD(new, a, U32))));
	CHECK_STR(migration_dropped(m), "gone");
	migration_run(m, &old, &new, NULL);
	CHECK_EQ(new.a, 0x11111111);
	CHECK_EQ(new.b, 0x3333333333333333);
	CHECK_EQ(new.c, 0x44);
	CHECK_EQ(new.more, 77);
	finish();
}

// A number that gets wider keeps its value, negative ones too.
TEST(widened)
{
	struct old {
		__s8 a;
		__s32 b;
		__u8 c;
		__u16 d;
		__u32 e;
		bool f;
	} old = { -3, -70000, 0xfe, 0xfffe, 7, true };
	struct new
	{
		__s64 a, b;
		__u32 c;
		__s32 d;
		__u64 e;
		__u32 f;
	}
	new;

	begin();
	memset(&new, 0xaa, sizeof(new));
	REQUIRE(plan(
		STRUCT(from, sizeof(old), FIELD(old, a, S8), FIELD(old, b, S32), FIELD(old, c, U8),
		       FIELD(old, d, U16), FIELD(old, e, ENUM), FIELD(old, f, BOOL)),
		STRUCT(to, sizeof(new), FIELD(new, a, S64), FIELD(new, b, S64), FIELD(new, c, U32),
		       FIELD(new, d, S32), FIELD(new, e, U64), FIELD(new, f, U32))));
	migration_run(m, &old, &new, NULL);
	CHECK_EQ(new.a, -3);
	CHECK_EQ(new.b, -70000);
	CHECK_EQ(new.c, 0xfe);
	CHECK_EQ(new.d, 0xfffe);
	CHECK_EQ(new.e, 7);
	CHECK_EQ(new.f, 1);
	finish();
}

// A number that may not fit is refused, and so is what is no number of the same kind.
TEST(refused)
{
	static const struct {
		int from, to, err;
		const char *why;
	} row[] = {
		{ U32, U16, ERANGE, "s.x: 32 bits may not fit into 16" },
		{ U32, S32, ERANGE, "s.x: 32 bits may not fit into a signed 32" },
		{ S32, U64, ERANGE, "s.x: it may be negative, and can't be any more" },
		{ U8, BOOL, ERANGE, "s.x: a number has become true or false" },
		{ BE32, U32, ENOTSUP, "s.x: its byte order has changed" },
		{ BE16, BE32, ENOTSUP, "s.x: its width has changed, and it is in network order" },
		{ PTR, PTR, ENOTSUP, "s.x: a pointer" },
		{ FLOAT, FLOAT, ENOTSUP, "s.x: a floating-point number" },
		{ U32, OWN, ENOTSUP, "s.x: a number has become a struct" },
		{ OWN, U32, ENOTSUP, "s.x: a struct has become a number" },
		{ OWN, OWN + 1, ENOTSUP, "s.x: a struct has become a union" },
		{ OWN + 2, U32, ENOTSUP, "s.x: an array has become a number" },
		{ OWN + 2, OWN + 3, ERANGE, "s.x[]: 32 bits may not fit into 16" },
		{ OWN + 4, OWN + 4, ENOTSUP, "s.x: BTF's kind 7, which is no value" },
	};
	int inner, a, b;

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		begin();
		for (int side = 0; side < 2; side++) {
			struct btf *btf = side ? to : from;

			STRUCT(btf, 4, { "i", U32, 0, 0 });
			UNION(btf, 4, { "i", U32, 0, 0 });
			ARRAY(btf, U32, 2);
			ARRAY(btf, U16, 2);
			btf__add_fwd(btf, "unknown", BTF_FWD_STRUCT);
			inner = STRUCT(btf, 8, { "x", side ? row[i].to : row[i].from, 0, 0 });
			*(side ? &b : &a) = STRUCT(btf, 8, { "s", inner, 0, 0 });
		}
		CHECK_CASE("row %zu", i);
		want_refused(a, b, row[i].err, row[i].why);
	}
	/* a map without BTF */
	want_refused(0, 0, ENOTSUP, "a type that nothing is known of");
	finish();
}

// Bitfields go where they are now, and from and into whole numbers.
TEST(bitfields)
{
	struct old {
		__u8 before : 3;
		__u8 moved : 2;
		__s8 negative : 3;
		__u8 whole;
		__u64 wide : 50;
	} old = { .before = 5, .moved = 2, .negative = -3, .whole = 3, .wide = 0x2aaaaaaaaaaab };
	struct new
	{
		__u32 more : 7;
		__u32 moved : 5;
		__s32 negative : 9;
		__u32 whole : 8;
		__u8 before;
	__u64:
		0;
		__u64 one : 1;
		__u64 wide : 60;
	}
	new = { .more = 99, .one = 1 };

	begin();
	REQUIRE(plan(
		STRUCT(from, sizeof(old), { "before", U8, 0, 3 }, { "moved", U8, 3, 2 },
		       { "negative", S8, 5, 3 }, { "whole", U8, 8, 0 }, { "wide", U64, 64, 50 }),
		STRUCT(to, sizeof(new), { "more", U32, 0, 7 }, { "moved", U32, 7, 5 },
		       { "negative", S32, 12, 9 }, { "whole", U32, 21, 8 }, { "before", U8, 32, 0 },
		       { "one", U64, 64, 1 }, { "wide", U64, 65, 60 })));
	migration_run(m, &old, &new, NULL);
	CHECK_EQ(new.before, 5);
	CHECK_EQ(new.moved, 2);
	CHECK_EQ(new.negative, -3);
	CHECK_EQ(new.whole, 3);
	CHECK_EQ(new.wide, 0x2aaaaaaaaaaab);
	CHECK_EQ(new.more, 99);
	CHECK_EQ(new.one, 1);
	want_refused(STRUCT(from, 1, { "x", U8, 0, 4 }), STRUCT(to, 1, { "x", U8, 0, 3 }), ERANGE,
		     "x: 4 bits may not fit into 3");
	finish();
}

// Structs within structs are converted as such; what is dropped is called by its path.
TEST(nested)
{
	struct old {
		struct {
			__u32 a, gone;
			struct {
				__u16 x, y;
			} deep;
		} in;
		__u32 z;
	} old = { { 1, 2, { 3, 4 } }, 5 };
	struct new
	{
		__u64 z;
		struct {
			struct {
				__u16 y, x;
			} deep;
			__u32 a;
		} in;
	}
	new = { 0 };
	int deep, in, a;

	begin();
	deep = STRUCT(from, 4, { "x", U16, 0, 0 }, { "y", U16, 16, 0 });
	in = STRUCT(from, 12, { "a", U32, 0, 0 }, { "gone", U32, 32, 0 }, { "deep", deep, 64, 0 });
	a = STRUCT(from, sizeof(old), { "in", in, 0, 0 }, { "z", U32, 96, 0 });
	deep = STRUCT(to, 4, { "y", U16, 0, 0 }, { "x", U16, 16, 0 });
	in = STRUCT(to, 8, { "deep", deep, 0, 0 }, { "a", U32, 32, 0 });
	REQUIRE(plan(a, STRUCT(to, sizeof(new), { "z", U64, 0, 0 }, { "in", in, 64, 0 })));
	CHECK_STR(migration_dropped(m), "in.gone");
	migration_run(m, &old, &new, NULL);
	CHECK_EQ(new.in.a, 1);
	CHECK_EQ(new.in.deep.x, 3);
	CHECK_EQ(new.in.deep.y, 4);
	CHECK_EQ(new.z, 5);
	finish();
}

// Members of an unnamed struct are its parent's, on either side.
TEST(unnamed_struct)
{
	static const __u32 old[3] = { 1, 2, 3 };
	__u32 new[3] = { 0 };
	int inner;

	begin();
	inner = STRUCT(from, 8, { "a", U32, 0, 0 }, { "b", U32, 32, 0 });
	REQUIRE(plan(STRUCT(from, 12, { "", inner, 0, 0 }, { "c", U32, 64, 0 }),
		     (inner = STRUCT(to, 8, { "c", U32, 0, 0 }, { "b", U32, 32, 0 }),
		      STRUCT(to, 12, { "a", U32, 0, 0 }, { "", inner, 32, 0 }))));
	migration_run(m, old, new, NULL);
	CHECK_EQ(new[0], 1);
	CHECK_EQ(new[1], 3);
	CHECK_EQ(new[2], 2);
	finish();
}

// Arrays go element by element up to the end of the shorter one.
TEST(arrays)
{
	struct old {
		__u32 grown[2], shrunk[3];
		struct {
			__u8 x, y;
		} of[2];
		__u16 deep[2][3];
	} old = { { 1, 2 }, { 3, 4, 5 }, { { 6, 7 }, { 8, 9 } }, { { 1, 2, 3 }, { 4, 5, 6 } } };
	struct new
	{
		__u64 grown[3];
		__u32 shrunk[2];
		struct {
			__u16 y;
		} of[3];
		__u16 deep[2][2];
	}
	new;
	int of, a, deep;

	begin();
	memset(&new, 0xff, sizeof(new));
	of = STRUCT(from, 2, { "x", U8, 0, 0 }, { "y", U8, 8, 0 });
	deep = ARRAY(from, U16, 3);
	a = STRUCT(from, sizeof(old), FIELD(old, grown, ARRAY(from, U32, 2)),
		   FIELD(old, shrunk, ARRAY(from, U32, 3)), FIELD(old, of, ARRAY(from, of, 2)),
		   FIELD(old, deep, ARRAY(from, deep, 2)));
	of = STRUCT(to, 2, { "y", U16, 0, 0 });
	deep = ARRAY(to, U16, 2);
	REQUIRE(plan(a,
		     STRUCT(to, sizeof(new), FIELD(new, grown, ARRAY(to, U64, 3)),
			    FIELD(new, shrunk, ARRAY(to, U32, 2)), FIELD(new, of, ARRAY(to, of, 3)),
			    FIELD(new, deep, ARRAY(to, deep, 2)))));
	CHECK_STR(migration_dropped(m), "shrunk[2..], of[].x, deep[][2..]");
	migration_run(m, &old, &new, NULL);
	CHECK_EQ(new.grown[0], 1);
	CHECK_EQ(new.grown[1], 2);
	CHECK_EQ(new.grown[2], -1);
	CHECK_EQ(new.shrunk[0], 3);
	CHECK_EQ(new.shrunk[1], 4);
	CHECK_EQ(new.of[0].y, 7);
	CHECK_EQ(new.of[1].y, 9);
	CHECK_EQ(new.of[2].y, 0xffff);
	CHECK_EQ(new.deep[0][0], 1);
	CHECK_EQ(new.deep[0][1], 2);
	CHECK_EQ(new.deep[1][0], 4);
	CHECK_EQ(new.deep[1][1], 5);
	finish();
}

/* As ct_entry has it: a union of what protocols remember, beside the rest. */
static int entry(struct btf *btf, const char *name, bool is_new)
{
	int tcp = is_new ? STRUCT(btf, 8, { "seq", U64, 0, 0 })
			 : STRUCT(btf, 8, { "flags", U32, 0, 0 }, { "seq", U32, 32, 0 });
	int udp = STRUCT(btf, 4, { "at", U32, 0, 0 });
	int l4 = is_new ? UNION(btf, 8, { "udp", udp, 0, 0 }, { "tcp", tcp, 0, 0 })
			: UNION(btf, 8, { "tcp", tcp, 0, 0 }, { "udp", udp, 0, 0 },
				{ "words", ARRAY(btf, U32, 2), 0, 0 });

	return STRUCT(btf, 12, { "mark", U32, is_new ? 64 : 0, 0 },
		      { name, l4, is_new ? 0 : 32, 0 });
}

// Of a union that has changed, the member named by the caller is converted, or none.
TEST(union_by_variant)
{
	static const __u32 old[3] = { 7, 1, 2 };

	for (int unnamed = 0; unnamed < 2; unnamed++) {
		const char *name = unnamed ? "" : "l4";
		__u32 new[3] = { 8, 8, 8 };

		begin();
		REQUIRE(plan(entry(from, name, false), entry(to, name, true)));
		CHECK_STR(migration_dropped(m),
			  unnamed ? "tcp.flags, words" : "l4.tcp.flags, l4.words");
		migration_run(m, old, new, NULL);
		CHECK_MEM(new, ((__u32[]){ 8, 8, 7 }), 12);
		migration_run(m, old, new, "words");
		CHECK_MEM(new, ((__u32[]){ 8, 8, 7 }), 12);
		migration_run(m, old, new, "udp");
		CHECK_MEM(new, ((__u32[]){ 1, 8, 7 }), 12);
		migration_run(m, old, new, "tcp");
		CHECK_MEM(new, ((__u32[]){ 2, 0, 7 }), 12);
	}
	finish();
}

// A union that has not changed is copied, whatever is in it.
TEST(union_as_it_is)
{
	static const __u32 old[3] = { 7, 1, 2 };

	for (int unnamed = 0; unnamed < 2; unnamed++) {
		const char *name = unnamed ? "" : "l4";
		__u32 new[4] = { 8, 8, 8, 8 };
		int u = UNION((begin(), from), 8, { "a", U64, 0, 0 }, { "b", U32, 0, 0 });
		int a = STRUCT(from, 12, { "mark", U32, 0, 0 }, { name, u, 32, 0 });

		u = UNION(to, 8, { "a", U64, 0, 0 }, { "b", U32, 0, 0 });
		REQUIRE(plan(a, STRUCT(to, 16, { name, u, 64, 0 }, { "mark", U32, 0, 0 })));
		CHECK_STR(migration_dropped(m), "");
		migration_run(m, old, new, "b");
		CHECK_MEM(new, ((__u32[]){ 7, 8, 1, 2 }), 16);
	}
	finish();
}

// What was alone and has become one of several is that one; and the other way round, if it is in
// use.
TEST(union_that_came_or_went)
{
	static const __u32 old[2] = { 7, 1 };
	__u32 new[3] = { 8, 8, 8 };
	int alone, u;

	begin();
	alone = STRUCT(from, 8, { "mark", U32, 0, 0 }, { "ip", U32, 32, 0 });
	u = UNION(to, 8, { "ip", U32, 0, 0 }, { "ip6", U64, 0, 0 });
	REQUIRE(plan(alone, STRUCT(to, 12, { "", u, 0, 0 }, { "mark", U32, 64, 0 })));
	migration_run(m, old, new, NULL);
	CHECK_MEM(new, ((__u32[]){ 1, 8, 7 }), 12);

	begin();
	u = UNION(from, 4, { "ip", U32, 0, 0 }, { "other", U32, 0, 0 });
	alone = STRUCT(from, 8, { "mark", U32, 0, 0 }, { "", u, 32, 0 });
	memset(new, 0, sizeof(new));
	REQUIRE(plan(alone, STRUCT(to, 8, { "ip", U32, 0, 0 }, { "mark", U32, 32, 0 })));
	CHECK_STR(migration_dropped(m), "other");
	migration_run(m, old, new, "other");
	CHECK_MEM(new, ((__u32[]){ 0, 7 }), 8);
	migration_run(m, old, new, "ip");
	CHECK_MEM(new, ((__u32[]){ 1, 7 }), 8);
	finish();
}

// A value need not be a struct.
TEST(plain_values)
{
	__u64 new = ~0ULL;

	begin();
	REQUIRE(plan(U32, U64));
	migration_run(m, &(__u32){ 5 }, &new, NULL);
	CHECK_EQ(new, 5);
	REQUIRE(plan(ARRAY(from, U16, 2), ARRAY(to, U32, 2)));
	migration_run(m, (__u16[]){ 1, 2 }, &new, NULL);
	CHECK_EQ(new, 0x200000001);
	finish();
}

/* --- Any pair of layouts, against a conversion bit by bit ---------------------------------------
 */

enum kind { NUMBER, ARRAY_OF, STRUCT_OF, UNION_OF };

/* A type with its place in its parent. Rules of C that matter to nobody here are not kept. */
struct node {
	char name[2]; /* "" is an unnamed struct */
	enum kind kind;
	bool is_signed, placed;
	unsigned int size, bits; /* of a number: bytes of its type, width if it is a bitfield */
	unsigned int count;	 /* of an array */
	unsigned int children, at;
	struct node *child[8];
};

static struct node pool[8192];
static size_t pool_used;
static uint64_t seed;

static unsigned int random_to(unsigned int n)
{
	return (unsigned int)(next_random(&seed) % n);
}

static struct node *new_node(const struct node *like)
{
	struct node *n = &pool[pool_used++];

	*n = *like;
	return n;
}

static unsigned int bits_of(const struct node *n)
{
	switch (n->kind) {
	case NUMBER:
		return n->bits ? n->bits : n->size * 8;
	case ARRAY_OF:
		return n->count * bits_of(n->child[0]);
	default:
		return n->size * 8;
	}
}

static void random_number(struct node *n, unsigned int at_least)
{
	n->is_signed = random_to(2);
	do
		n->size = 1U << random_to(4);
	while (n->size * 8 < at_least);
	n->bits = 0;
	if (!random_to(3))
		do
			n->bits = 1 + random_to(n->size * 8);
		while (n->bits < at_least);
}

/* `names` has a bit for each name that is taken where this one is to be. */
static void random_name(struct node *n, unsigned int *names)
{
	do
		n->name[0] = (char)('a' + random_to(26));
	while (*names & 1U << (n->name[0] - 'a'));
	*names |= 1U << (n->name[0] - 'a');
}

static struct node *random_node(int depth, unsigned int *names);

static void random_children(struct node *n, int depth, unsigned int *names)
{
	unsigned int inside = 0;

	for (unsigned int i = random_to(5); i > 0; i--)
		n->child[n->children++] = random_node(depth + 1, n->name[0] ? &inside : names);
}

static struct node *random_node(int depth, unsigned int *names)
{
	struct node *n = new_node(&(struct node){ .kind = depth > 3 ? NUMBER : random_to(4) });
	unsigned int inside = 0;

	if (depth && (n->kind != STRUCT_OF || random_to(2)))
		random_name(n, names);
	if (n->kind == NUMBER) {
		random_number(n, 1);
	} else if (n->kind == ARRAY_OF) {
		n->count = 1 + random_to(4);
		n->child[n->children++] = random_node(depth + 1, &inside);
		n->child[0]->bits = 0;
		strcpy(n->child[0]->name, "e");
	} else if (n->kind == STRUCT_OF) {
		random_children(n, depth, names);
	} else {
		n->children = 1 + random_to(3);
		for (unsigned int i = 0; i < n->children; i++) {
			n->child[i] = random_node(depth + 1, &inside);
			if (!n->child[i]->name[0])
				random_name(n->child[i], &inside);
		}
	}
	return n;
}

static unsigned int names_in(const struct node *n)
{
	unsigned int names = 0;

	for (unsigned int i = 0; i < n->children; i++)
		names |= n->child[i]->name[0] ? 1U << (n->child[i]->name[0] - 'a')
					      : names_in(n->child[i]);
	return names;
}

/* What the next build has made of a type. `names` are those taken around it. */
static struct node *random_change(const struct node *of, unsigned int *names)
{
	struct node *n = new_node(of);
	unsigned int inside = names_in(of);

	if (n->kind == ARRAY_OF) {
		n->child[0] = random_change(of->child[0], &inside);
		n->child[0]->bits = 0;
	}
	if (!random_to(3)) { /* as it was, but for what is in it */
		for (unsigned int i = 0; n->kind != ARRAY_OF && i < n->children; i++)
			n->child[i] = random_change(of->child[i], &inside);
		return n;
	}
	n->placed = false;
	if (n->kind == NUMBER && !random_to(4)) {
		random_number(n, bits_of(n));
		n->is_signed = of->is_signed;
	} else if (n->kind == NUMBER && !random_to(100)) {
		random_number(n, 1);
	} else if (n->kind == ARRAY_OF) {
		n->count = 1 + random_to(4);
	} else if (n->kind != NUMBER) {
		unsigned int *around = n->name[0] ? &inside : names;

		n->children = 0;
		for (unsigned int i = 0; i < of->children; i++)
			if (random_to(8))
				n->child[n->children++] = random_change(of->child[i], around);
		if (!random_to(4)) {
			struct node *more = random_node(3, around);

			if (!more->name[0])
				random_name(more, around);
			n->child[n->children++] = more;
		}
		for (unsigned int i = n->children; i > 1; i--) {
			unsigned int with = random_to(i);
			struct node *was = n->child[with];

			n->child[with] = n->child[i - 1];
			n->child[i - 1] = was;
		}
	}
	return n;
}

/* Find a place for what has none, or has something in it that had none. */
static bool place(struct node *n)
{
	unsigned int end = 0, most = 0;
	bool changed = !n->placed;

	for (unsigned int i = 0; i < n->children; i++)
		changed |= place(n->child[i]);
	n->placed = true;
	if (!changed || (n->kind != STRUCT_OF && n->kind != UNION_OF))
		return changed;
	for (unsigned int i = 0; i < n->children; i++) {
		struct node *c = n->child[i];

		if (n->kind == STRUCT_OF && !random_to(4))
			end += random_to(8);
		if (c->kind != NUMBER || !c->bits)
			end = (end + 7) / 8 * 8;
		c->at = end;
		end += bits_of(c);
		most = end > most ? end : most;
		if (n->kind == UNION_OF)
			end = 0;
	}
	n->size = (most + 7) / 8;
	return true;
}

static int describe(struct btf *btf, const struct node *n)
{
	static const int numbers[2][9] = { { [1] = U8, [2] = U16, [4] = U32, [8] = U64 },
					   { [1] = S8, [2] = S16, [4] = S32, [8] = S64 } };
	struct field f[9] = { { 0 } };

	if (n->kind == NUMBER)
		return numbers[n->is_signed][n->size];
	for (unsigned int i = 0; i < n->children; i++)
		f[i] = (struct field){ n->child[i]->name, describe(btf, n->child[i]),
				       n->child[i]->at, n->child[i]->bits };
	if (n->kind == ARRAY_OF)
		return ARRAY(btf, f[0].type, n->count);
	return composite(btf, n->kind == UNION_OF, n->size, f);
}

static bool same_node(const struct node *a, const struct node *b)
{
	if (a->kind != b->kind || strcmp(a->name, b->name) || a->at != b->at ||
	    a->size != b->size || a->bits != b->bits || a->count != b->count ||
	    a->is_signed != b->is_signed || a->children != b->children)
		return false;
	for (unsigned int i = 0; i < a->children; i++)
		if (!same_node(a->child[i], b->child[i]))
			return false;
	return true;
}

static bool get_bit(const __u8 *p, unsigned int at)
{
	return p[at / 8] >> at % 8 & 1;
}

static void put_bit(__u8 *p, unsigned int at, bool bit)
{
	p[at / 8] = (__u8)((p[at / 8] & ~(1 << at % 8)) | bit << at % 8);
}

/* The conversion being checked: buffers, what the caller says is in use, and bits that have a name.
 */
static struct {
	const __u8 *from;
	__u8 *to;
	const char *variant;
} slow;

/* A member by its name, unnamed structs looked into; *at becomes its place. */
static const struct node *member(const struct node *in, const char *name, unsigned int *at)
{
	for (unsigned int i = 0; i < in->children; i++) {
		const struct node *c = in->child[i], *found = NULL;
		unsigned int inside = *at + c->at;

		if (!strcmp(c->name, name))
			found = c;
		else if (!c->name[0])
			found = member(c, name, &inside);
		if (found) {
			*at = inside;
			return found;
		}
	}
	return NULL;
}

static bool slow_number(const struct node *a, unsigned int a_at, const struct node *b,
			unsigned int b_at, bool in_use)
{
	unsigned int n = bits_of(a);

	for (unsigned int i = 0; in_use && i < bits_of(b); i++)
		put_bit(slow.to, b_at + i,
			i < n ? get_bit(slow.from, a_at + i)
			      : a->is_signed && get_bit(slow.from, a_at + n - 1));
	return a->is_signed == b->is_signed ? n <= bits_of(b) : !a->is_signed && n < bits_of(b);
}

/* `within`: the member of a union that this is in. Returns false if it has to be refused. */
static bool slow_convert(const struct node *a, unsigned int a_at, const struct node *b,
			 unsigned int b_at, const char *within)
{
	bool in_use = !within || (slow.variant && !strcmp(within, slow.variant)), fits = true;
	unsigned int a_step = bits_of(a) / (a->count ? a->count : 1);
	unsigned int b_step = bits_of(b) / (b->count ? b->count : 1);

	if (a->kind != b->kind)
		return false;
	if (a->kind == NUMBER)
		return slow_number(a, a_at, b, b_at, in_use);
	if (a->kind != ARRAY_OF) { /* what has not changed takes its padding along */
		struct node moved = *a;

		moved.at = b->at;
		strcpy(moved.name, b->name);
		if (same_node(&moved, b)) {
			for (unsigned int i = 0; in_use && i < bits_of(b); i++)
				put_bit(slow.to, b_at + i, get_bit(slow.from, a_at + i));
			return true;
		}
	}
	for (unsigned int i = 0; a->kind == ARRAY_OF && i < a->count && i < b->count; i++)
		fits &= slow_convert(a->child[0], a_at + i * a_step, b->child[0], b_at + i * b_step,
				     within);
	for (unsigned int i = 0; a->kind != ARRAY_OF && i < b->children; i++) {
		const struct node *to_c = b->child[i], *from_c;
		unsigned int from_at = a_at;

		if (!to_c->name[0]) {
			fits &= slow_convert(a, a_at, to_c, b_at + to_c->at, within);
			continue;
		}
		from_c = member(a, to_c->name, &from_at);
		if (!from_c || (a->kind == UNION_OF && within && strcmp(within, to_c->name)))
			continue;
		fits &= slow_convert(from_c, from_at, to_c, b_at + to_c->at,
				     a->kind == UNION_OF ? to_c->name : within);
	}
	return fits;
}

/* Set the bits of what has a name in `n`; between them, anything may be. */
static void set_named(const struct node *n, __u8 *mask, unsigned int at)
{
	unsigned int step = bits_of(n) / (n->count ? n->count : 1);

	for (unsigned int i = 0; n->kind == NUMBER && i < bits_of(n); i++)
		put_bit(mask, at + i, true);
	for (unsigned int i = 0; n->kind == ARRAY_OF && i < n->count; i++)
		set_named(n->child[0], mask, at + i * step);
	for (unsigned int i = 0; n->kind != ARRAY_OF && i < n->children; i++)
		set_named(n->child[i], mask, at + n->child[i]->at);
}

static __u8 *random_bytes(size_t size)
{
	__u8 *p = malloc(size);

	for (size_t i = 0; i < size; i++)
		p[i] = (__u8)random_to(256);
	return p;
}

static __u8 *copy_of(const __u8 *bytes, size_t size)
{
	__u8 *p = malloc(size);

	memcpy(p, bytes, size);
	return p;
}

/* Buffers of exactly the size, so that ASan sees what goes beyond. */
static bool check_pair(const struct node *a, const struct node *b, const char *variant)
{
	__u8 *old = random_bytes(a->size), *want = random_bytes(b->size);
	__u8 *got = copy_of(want, b->size), *mask = calloc(1, b->size + 1);
	bool fits, right;

	slow.from = old;
	slow.to = want;
	slow.variant = variant;
	fits = slow_convert(a, 0, b, 0, NULL);
	set_named(b, mask, 0);
	right = CHECK_EQ(!!m, fits);
	if (right && m) {
		migration_run(m, old, got, variant);
		for (size_t i = 0; i < b->size; i++) {
			want[i] &= mask[i];
			got[i] &= mask[i];
		}
		right = CHECK_MEM(got, want, b->size);
	}
	free(old);
	free(want);
	free(got);
	free(mask);
	return right;
}

static const struct node *root_a, *root_b;

static void random_pair(uint64_t number, int *a, int *b)
{
	struct node *x, *y;
	unsigned int names = 0;

	begin();
	seed = number;
	pool_used = 0;
	x = new_node(&(struct node){ .kind = STRUCT_OF, .name = "r" });
	random_children(x, 0, &names);
	place(x);
	y = random_change(x, &names);
	place(y);
	*a = describe(from, x);
	*b = describe(to, y);
	root_a = x;
	root_b = y;
}

// Random layouts, and what may have become of them, convert as a slow conversion by name does.
TEST(like_a_slow_conversion)
{
	static const char *const variants[] = { NULL, "a", "k", "t" };
	int planned = 0, shared = 0, a, b;
	const int rounds = 4000;

	for (int i = 0; i < rounds; i++) {
		CHECK_CASE("seed %d", i);
		random_pair((uint64_t)i, &a, &b);
		migration_free(m);
		m = migration_plan(from, a, to, b, why, sizeof(why));
		planned += m != NULL;
		if (m) {
			CHECK_EQ(migration_same(m), same_node(root_a, root_b));
			shared += migration_same(m);
		}
		for (size_t v = 0; v < sizeof(variants) / sizeof(variants[0]); v++)
			if (!check_pair(root_a, root_b, variants[v]))
				goto out;
	}
out:
	CHECK_CASE("%d planned, %d of these the same", planned, shared);
	CHECK(planned > rounds / 2 && planned < rounds && shared > 100);
	finish();
}

/* --- BTF that no compiler made -----------------------------------------------------------------
 */

// Types that contain themselves, or more than they have room for, are refused.
TEST(hostile)
{
	int id;

	begin(); /* a struct that has itself for a member */
	id = STRUCT(from, 4, { "x", OWN, 0, 0 });
	STRUCT(to, 4, { "x", OWN, 0, 0 }, { "y", U8, 0, 0 });
	want_refused(id, id, ELOOP, NULL);

	begin(); /* the same without a name */
	STRUCT(from, 4, { "", OWN, 0, 0 }, { "x", U32, 0, 0 });
	STRUCT(to, 4, { "x", U32, 0, 0 });
	want_refused(OWN, OWN, ELOOP, "a type nested without end");

	begin(); /* and many times over: that would take for ever */
	id = STRUCT(from, 4, { "", OWN, 0, 0 }, { "", OWN, 0, 0 }, { "x", U32, 0, 0 });
	STRUCT(to, 4, { "", OWN, 0, 0 }, { "", OWN, 0, 0 }, { "y", U32, 0, 0 });
	want_refused(id, id, ELOOP, "a type nested without end");

	begin(); /* typedefs of each other */
	btf__add_typedef(from, "a", OWN + 1);
	btf__add_typedef(from, "b", OWN);
	want_refused(OWN, U32, ELOOP, "a type nested without end");

	begin(); /* an array of itself */
	btf__add_array(from, U32, OWN, 1);
	want_refused(OWN, U32, ELOOP, "a type nested without end");

	begin();
	id = STRUCT(to, 4, { "x", U32, 0, 0 });
	want_refused(STRUCT(from, 4, { "x", U32, 8, 0 }), id, EINVAL,
		     "x: a member beyond the end of its struct");
	want_refused(STRUCT(from, 0, { "x", U32, 0, 0 }), id, EINVAL,
		     "x: a member beyond the end of its struct");
	want_refused(STRUCT(from, 4, { "x", U8, 31, 4 }), id, EINVAL,
		     "x: a member beyond the end of its struct");
	want_refused(STRUCT(from, 4, { "x", U8, 0, 9 }), id, EINVAL,
		     "x: a bitfield wider than its type");
	want_refused(STRUCT(from, 4, { "x", 1000, 0, 0 }), id, EINVAL,
		     "x: a type that its BTF does not have");
	want_refused(STRUCT(from, 4, { "x", ARRAY(from, U64, 1U << 31), 0, 0 }), id, E2BIG,
		     "x: 17179869184 bytes are too many");
	want_refused(STRUCT(from, 1U << 31, { "x", U32, 0, 0 }), id, E2BIG,
		     "2147483648 bytes are too many");
	want_refused(STRUCT(from, 8, { "", STRUCT(from, 8, { "x", U32, 32, 0 }), 32, 0 }), id,
		     EINVAL, "an unnamed member beyond the end");

	begin(); /* nothing, very often */
	id = STRUCT(to, 0, { "nothing", STRUCT(to, 0, { 0 }), 0, 0 });
	want_refused(ARRAY(from, STRUCT(from, 0, { 0 }), ~0U), ARRAY(to, id, ~0U), E2BIG,
		     "[]: a type too large to look through");
	finish();
}

/* A copy of `of` in which a few bytes of the types are others. NULL: libbpf would not have it. */
static struct btf *damaged(const struct btf *of)
{
	const struct btf_header *h;
	struct btf *btf;
	__u8 *bytes;
	__u32 size;

	h = btf__raw_data(of, &size);
	bytes = copy_of((const __u8 *)h, size);
	for (unsigned int n = 1 + random_to(3); n > 0; n--)
		bytes[h->hdr_len + h->type_off + random_to(h->type_len)] = (__u8)random_to(256);
	btf = btf__new(bytes, size);
	free(bytes);
	return btf;
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

// Whatever BTF says: what has a plan stays within both buffers (ASan sees to it).
TEST(damaged)
{
	int planned = 0, a, b;

	libbpf_set_print(silent);
	for (int i = 0; i < 20000; i++) {
		struct btf *broken;

		CHECK_CASE("seed %d", i);
		random_pair((uint64_t)i, &a, &b);
		broken = damaged(i & 1 ? from : to);
		if (!broken)
			continue;
		migration_free(m);
		m = i & 1 ? migration_plan(broken, a, to, b, why, sizeof(why))
			  : migration_plan(from, a, broken, b, why, sizeof(why));
		btf__free(broken);
		if (m) {
			__u8 *old = random_bytes(migration_from_size(m));
			__u8 *new = random_bytes(migration_to_size(m));

			planned++;
			migration_run(m, old, new, NULL);
			migration_run(m, old, new, "a");
			free(old);
			free(new);
		}
	}
	CHECK(planned > 2000);
	finish();
}

CHECK_MAIN()
