// SPDX-License-Identifier: GPL-2.0-only
#include "migrate.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/btf.h>

/* Far beyond any map's; they keep BTF that nobody's compiler made from costing time or memory. */
#define SIZE_MOST  (1 << 20)
#define DEPTH_MOST 32
#define WORK_MOST  (1 << 20)

/*
 * Copy `from_bits` from bit `from` of the source to bit `to` of the target, where they become
 * `to_bits`. If both are the same this is any run of bits. Otherwise it is a number of at most 64.
 */
struct op {
	__u32 from, to;
	__u32 from_bits, to_bits;
	bool is_signed;
};

/* Operations that belong to a member of a union, `variant`. Those of group 0 to none. */
struct group {
	char *variant;
	struct op *ops;
	size_t count, room;
};

struct migration {
	struct group *groups;
	size_t count;
	size_t from_size, to_size;
	bool same;
	char *dropped;
};

/* A value, or a part of one: type `id` at bit `at`; `bits` is the width of a bitfield, else 0. */
struct part {
	const struct btf *btf;
	__u32 id, bits;
	__u64 at;
};

enum kind { NUMBER, STRUCT, UNION, ARRAY };

/* What there is to know of a type behind its typedefs and qualifiers. */
struct type {
	const struct btf_type *t;
	enum kind kind;
	__u64 size;
	bool is_signed, is_bool, network; /* of a number */
};

/* A member under the name by which its parent knows it. */
struct member {
	const char *name;
	struct part part;
	__u64 end;	    /* bit behind the struct it is in */
	struct part either; /* the outermost union it shares with others; id 0: none */
	bool found;	    /* has a counterpart, or is dropped by a union's being copied */
};

struct members {
	struct member *of;
	size_t count, room;
};

/* A plan in the making. */
struct plan {
	struct migration *m;
	FILE *dropped;
	char path[256]; /* of the member being looked at */
	size_t work;
	int depth;
	bool quiet; /* what is dropped has been said of another element of the array */
	char *why;
	size_t why_size;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct plan *p, int err, const char *format,
							...)
{
	char what[128];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(p->why, p->why_size, "%s%s%s", p->path, p->path[0] ? ": " : "", what);
	return -err;
}

static int no_memory(struct plan *p)
{
	return refuse(p, ENOMEM, "out of memory");
}

static int work(struct plan *p)
{
	return ++p->work > WORK_MOST ? refuse(p, E2BIG, "a type too large to look through") : 0;
}

/* Lengthen the path. Returns the length to cut it to afterwards. */
__attribute__((format(printf, 2, 3))) static size_t enter(struct plan *p, const char *format, ...)
{
	size_t was = strlen(p->path);
	va_list args;

	va_start(args, format);
	vsnprintf(p->path + was, sizeof(p->path) - was, format, args);
	va_end(args);
	return was;
}

static size_t enter_member(struct plan *p, const char *name)
{
	return enter(p, "%s%s", p->path[0] ? "." : "", name);
}

static void leave(struct plan *p, size_t length)
{
	p->path[length] = '\0';
}

static void drop(struct plan *p)
{
	if (!p->quiet)
		fprintf(p->dropped, "%s%s", ftell(p->dropped) > 0 ? ", " : "", p->path);
}

/* ---- Types ----------------------------------------------------------------------------------- */

static const char *name_at(const struct btf *btf, __u32 offset)
{
	const char *name = btf__name_by_offset(btf, offset);

	return name ? name : "";
}

static bool is_network(const char *name)
{
	return !strcmp(name, "__be16") || !strcmp(name, "__be32") || !strcmp(name, "__be64");
}

static const char *kind_text(enum kind kind)
{
	static const char *const text[] = { [NUMBER] = "a number",
					    [STRUCT] = "a struct",
					    [UNION] = "a union",
					    [ARRAY] = "an array" };

	return text[kind];
}

static int look_number(struct plan *p, struct type *type)
{
	type->kind = NUMBER;
	type->size = type->t->size;
	if (btf_is_int(type->t)) {
		type->is_signed = btf_int_encoding(type->t) & BTF_INT_SIGNED;
		type->is_bool = btf_int_encoding(type->t) & BTF_INT_BOOL;
		/* how bitfields were described before structs said it themselves (kernel 4.20) */
		if (btf_int_offset(type->t) || btf_int_bits(type->t) != type->size * 8)
			return refuse(p, ENOTSUP, "a number of %u bits", btf_int_bits(type->t));
	} else {
		type->is_signed = btf_kflag(type->t);
	}
	if (type->size != 1 && type->size != 2 && type->size != 4 && type->size != 8)
		return refuse(p, ENOTSUP, "a number of %llu bytes", type->size);
	return 0;
}

static int look(struct plan *p, const struct btf *btf, __u32 id, struct type *type, int depth);

static int look_array(struct plan *p, const struct btf *btf, struct type *type, int depth)
{
	const struct btf_array *a = btf_array(type->t);
	struct type element;
	int err = look(p, btf, a->type, &element, depth + 1);

	type->kind = ARRAY;
	type->size = err ? 0 : a->nelems * element.size;
	return err;
}

static int look(struct plan *p, const struct btf *btf, __u32 id, struct type *type, int depth)
{
	int err = work(p);

	*type = (struct type){ .t = btf__type_by_id(btf, id) };
	for (int i = 0; type->t && !err; i++) {
		if (i > DEPTH_MOST || depth > DEPTH_MOST)
			return refuse(p, ELOOP, "a type nested without end");
		if (btf_is_typedef(type->t))
			type->network |= is_network(name_at(btf, type->t->name_off));
		else if (!btf_is_mod(type->t))
			break;
		type->t = btf__type_by_id(btf, type->t->type);
	}
	if (err)
		return err;
	if (!type->t)
		return refuse(p, EINVAL, "a type that its BTF does not have");
	switch (btf_kind(type->t)) {
	case BTF_KIND_INT:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return look_number(p, type);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		type->kind = btf_is_union(type->t) ? UNION : STRUCT;
		type->size = type->t->size;
		break;
	case BTF_KIND_ARRAY:
		err = look_array(p, btf, type, depth);
		break;
	case BTF_KIND_UNKN:
		return refuse(p, ENOTSUP, "a type that nothing is known of");
	case BTF_KIND_PTR:
		return refuse(p, ENOTSUP, "a pointer");
	case BTF_KIND_FLOAT:
		return refuse(p, ENOTSUP, "a floating-point number");
	default:
		return refuse(p, ENOTSUP, "BTF's kind %u, which is no value", btf_kind(type->t));
	}
	if (!err && type->size > SIZE_MOST)
		err = refuse(p, E2BIG, "%llu bytes are too many", type->size);
	return err;
}

static bool same(struct plan *p, const struct btf *a, __u32 a_id, const struct btf *b, __u32 b_id,
		 int depth);

static bool same_members(struct plan *p, const struct btf *a, const struct btf_type *at,
			 const struct btf *b, const struct btf_type *bt, int depth)
{
	const struct btf_member *am = btf_members(at), *bm = btf_members(bt);

	if (btf_vlen(at) != btf_vlen(bt))
		return false;
	for (__u32 i = 0; i < btf_vlen(at); i++)
		if (strcmp(name_at(a, am[i].name_off), name_at(b, bm[i].name_off)) != 0 ||
		    btf_member_bit_offset(at, i) != btf_member_bit_offset(bt, i) ||
		    btf_member_bitfield_size(at, i) != btf_member_bitfield_size(bt, i) ||
		    !same(p, a, am[i].type, b, bm[i].type, depth + 1))
			return false;
	return true;
}

/* What can't be converted is not the same either, and is refused when it is its turn. */
static bool same(struct plan *p, const struct btf *a, __u32 a_id, const struct btf *b, __u32 b_id,
		 int depth)
{
	struct type at, bt;

	if (look(p, a, a_id, &at, depth) || look(p, b, b_id, &bt, depth) || at.kind != bt.kind ||
	    at.size != bt.size)
		return false;
	switch (at.kind) {
	case NUMBER:
		return at.is_signed == bt.is_signed && at.is_bool == bt.is_bool &&
		       at.network == bt.network;
	case ARRAY:
		return btf_array(at.t)->nelems == btf_array(bt.t)->nelems &&
		       same(p, a, btf_array(at.t)->type, b, btf_array(bt.t)->type, depth + 1);
	default:
		return same_members(p, a, at.t, b, bt.t, depth);
	}
}

/* ---- Operations ------------------------------------------------------------------------------ */

/* The group of a variant within another's: -ENOENT unless it is the same one. */
static int group_of(struct plan *p, const char *variant, int within)
{
	struct migration *m = p->m;
	struct group *groups;
	char *name = NULL;

	if (within)
		return strcmp(m->groups[within].variant, variant) ? -ENOENT : within;
	for (size_t i = 1; i < m->count; i++)
		if (!strcmp(m->groups[i].variant, variant))
			return (int)i;
	groups = realloc(m->groups, (m->count + 1) * sizeof(*groups));
	if (groups)
		m->groups = groups;
	if (!groups || !(name = strdup(variant)))
		return no_memory(p);
	groups[m->count] = (struct group){ .variant = name };
	return (int)m->count++;
}

/* Both go on where `last` ends, and what comes out is a run of bytes or no more than a word. */
static bool merges(const struct op *last, const struct op *op)
{
	return last->from_bits == last->to_bits && op->from_bits == op->to_bits &&
	       last->from + last->from_bits == op->from && last->to + last->to_bits == op->to &&
	       ((last->from % 8 == 0 && last->to % 8 == 0) || last->to_bits + op->to_bits <= 64);
}

static int add(struct plan *p, int group, const struct op *op)
{
	struct group *g = &p->m->groups[group];

	if (!op->from_bits)
		return 0;
	if (g->count && merges(&g->ops[g->count - 1], op)) {
		g->ops[g->count - 1].from_bits += op->from_bits;
		g->ops[g->count - 1].to_bits += op->to_bits;
		return 0;
	}
	if (g->count == g->room) {
		size_t room = g->room ? 2 * g->room : 16;
		struct op *ops = realloc(g->ops, room * sizeof(*ops));

		if (!ops)
			return no_memory(p);
		g->ops = ops;
		g->room = room;
	}
	g->ops[g->count++] = *op;
	return 0;
}

static int add_copy(struct plan *p, int group, const struct part *from, const struct part *to,
		    __u64 bytes)
{
	return add(p, group,
		   &(struct op){ .from = (__u32)from->at,
				 .to = (__u32)to->at,
				 .from_bits = (__u32)bytes * 8,
				 .to_bits = (__u32)bytes * 8 });
}

/* ---- Planning -------------------------------------------------------------------------------- */

static int plan_part(struct plan *p, const struct part *from, const struct part *to, int group);

static int plan_number(struct plan *p, const struct part *from, const struct type *a,
		       const struct part *to, const struct type *b, int group)
{
	__u32 from_bits = from->bits ? from->bits : (__u32)a->size * 8;
	__u32 to_bits = to->bits ? to->bits : (__u32)b->size * 8;

	if (from_bits > a->size * 8 || to_bits > b->size * 8)
		return refuse(p, EINVAL, "a bitfield wider than its type");
	if (a->network != b->network)
		return refuse(p, ENOTSUP, "its byte order has changed");
	if (a->network && from_bits != to_bits)
		return refuse(p, ENOTSUP, "its width has changed, and it is in network order");
	if (b->is_bool && !a->is_bool)
		return refuse(p, ERANGE, "a number has become true or false");
	if (a->is_signed && !b->is_signed)
		return refuse(p, ERANGE, "it may be negative, and can't be any more");
	if (from_bits + (b->is_signed && !a->is_signed) > to_bits)
		return refuse(p, ERANGE, "%u bits may not fit into %s%u", from_bits,
			      b->is_signed ? "a signed " : "", to_bits);
	return add(p, group,
		   &(struct op){ .from = (__u32)from->at,
				 .to = (__u32)to->at,
				 .from_bits = from_bits,
				 .to_bits = to_bits,
				 .is_signed = a->is_signed });
}

static int plan_array(struct plan *p, const struct part *from, const struct type *a,
		      const struct part *to, const struct type *b, int group)
{
	const struct btf_array *fa = btf_array(a->t), *ta = btf_array(b->t);
	__u32 both = fa->nelems < ta->nelems ? fa->nelems : ta->nelems;
	struct part x = { .btf = from->btf, .id = fa->type, .at = from->at };
	struct part y = { .btf = to->btf, .id = ta->type, .at = to->at };
	struct type of_a, of_b;
	bool quiet = p->quiet;
	size_t was;
	int err;

	err = look(p, x.btf, x.id, &of_a, p->depth);
	if (!err)
		err = look(p, y.btf, y.id, &of_b, p->depth);
	if (err)
		return err;
	if (same(p, x.btf, x.id, y.btf, y.id, p->depth)) {
		err = add_copy(p, group, &x, &y, both * of_a.size);
	} else {
		was = enter(p, "[]");
		for (__u32 i = 0; i < both && !err; i++) {
			err = plan_part(p, &x, &y, group);
			x.at += of_a.size * 8;
			y.at += of_b.size * 8;
			p->quiet = true;
		}
		leave(p, was);
		p->quiet = quiet;
	}
	if (!err && fa->nelems > both) {
		was = enter(p, "[%u..]", both);
		drop(p);
		leave(p, was);
	}
	return err;
}

static int list_member(struct plan *p, struct members *members, const struct member *member)
{
	if (members->count == members->room) {
		size_t room = members->room ? 2 * members->room : 32;
		struct member *of = realloc(members->of, room * sizeof(*of));

		if (!of)
			return no_memory(p);
		members->of = of;
		members->room = room;
	}
	members->of[members->count++] = *member;
	return 0;
}

/*
 * List the members of a struct or union, those of unnamed ones in it as its own. An unnamed number
 * is padding.
 */
static int list(struct plan *p, struct members *members, const struct part *of,
		const struct part *either, int depth)
{
	const struct btf_member *m;
	__u64 end;
	struct type type;
	int err = look(p, of->btf, of->id, &type, depth);

	if (err)
		return err;
	if (type.kind == UNION && !either->id)
		either = of;
	end = of->at + type.size * 8;
	m = btf_members(type.t);
	for (__u32 i = 0; i < btf_vlen(type.t) && !err; i++) {
		struct member member = {
			.name = name_at(of->btf, m[i].name_off),
			.part = { .btf = of->btf,
				  .id = m[i].type,
				  .bits = btf_member_bitfield_size(type.t, i),
				  .at = of->at + btf_member_bit_offset(type.t, i) },
			.end = end,
			.either = *either,
		};
		struct type inner;

		err = work(p);
		if (err)
			break;
		if (member.name[0]) {
			err = list_member(p, members, &member);
			continue;
		}
		err = look(p, of->btf, m[i].type, &inner, depth);
		if (err || (inner.kind != STRUCT && inner.kind != UNION))
			continue;
		if (member.part.at + inner.size * 8 > end)
			return refuse(p, EINVAL, "an unnamed member beyond the end");
		err = list(p, members, &member.part, either, depth + 1);
	}
	return err;
}

static struct member *find(struct plan *p, const struct members *members, const char *name)
{
	for (size_t i = 0; i < members->count && !work(p); i++)
		if (!strcmp(members->of[i].name, name))
			return &members->of[i];
	return NULL;
}

static bool is_part(const struct part *a, const struct part *b)
{
	return a->id == b->id && a->at == b->at;
}

static int in_bounds(struct plan *p, const struct member *m)
{
	struct type type;
	int err = look(p, m->part.btf, m->part.id, &type, p->depth);

	if (err)
		return err;
	if (m->part.at + (m->part.bits ? m->part.bits : type.size * 8) > m->end)
		return refuse(p, EINVAL, "a member beyond the end of its struct");
	return 0;
}

/* `group` may be what group_of() said: -ENOENT, these are never in use. */
static int plan_found(struct plan *p, struct member *from, const struct member *to, int group)
{
	size_t was;
	int err;

	if (group < 0)
		return group == -ENOENT ? 0 : group;
	from->found = true;
	was = enter_member(p, to->name);
	err = in_bounds(p, from);
	if (!err)
		err = in_bounds(p, to);
	if (!err)
		err = plan_part(p, &from->part, &to->part, group);
	leave(p, was);
	return err;
}

/*
 * The members of an unnamed union that begins at `to->of[i]`. Copied as it is if the source has
 * one that is laid out the same, else one by one.
 *
 * Which of them is in use is for the caller to say, unless the source has but one of them and it
 * was no alternative there.
 */
static int plan_union(struct plan *p, struct members *from, const struct members *to, size_t i,
		      size_t count, int group)
{
	size_t pairs = 0;
	int err = 0;

	for (size_t n = i; n < i + count; n++) {
		const struct member *m = &to->of[n], *x = find(p, from, m->name);

		if (!x)
			continue;
		pairs++;
		if (x->either.id &&
		    same(p, x->either.btf, x->either.id, m->either.btf, m->either.id, p->depth)) {
			struct part whole = x->either;
			struct type type;

			for (size_t k = 0; k < from->count; k++)
				from->of[k].found |= is_part(&from->of[k].either, &whole);
			err = look(p, whole.btf, whole.id, &type, p->depth);
			return err ? err : add_copy(p, group, &whole, &m->either, type.size);
		}
	}
	for (size_t n = i; n < i + count && !err; n++) {
		struct member *x = find(p, from, to->of[n].name);
		int of = group;

		if (!x)
			continue;
		if (pairs > 1 || x->either.id)
			of = group_of(p, x->name, group);
		err = plan_found(p, x, &to->of[n], of);
	}
	return err;
}

static int plan_members(struct plan *p, struct members *from, const struct members *to, int group)
{
	int err = 0;

	for (size_t i = 0, count; i < to->count && !err; i += count) {
		const struct member *m = &to->of[i];
		struct member *x;

		count = 1;
		if (m->either.id) {
			while (i + count < to->count &&
			       is_part(&m->either, &to->of[i + count].either))
				count++;
			err = plan_union(p, from, to, i, count, group);
			continue;
		}
		x = find(p, from, m->name);
		if (x)
			err = plan_found(p, x, m,
					 x->either.id ? group_of(p, x->name, group) : group);
	}
	for (size_t i = 0; i < from->count && !err; i++)
		if (!from->of[i].found) {
			size_t was = enter_member(p, from->of[i].name);

			drop(p);
			leave(p, was);
		}
	return err;
}

/* A struct, or a named union: its members are those of one like an unnamed one's. */
static int plan_struct(struct plan *p, const struct part *from, const struct part *to, int group)
{
	static const struct part none;
	struct members a = { 0 }, b = { 0 };
	int err = list(p, &a, from, &none, p->depth);

	if (!err)
		err = list(p, &b, to, &none, p->depth);
	if (!err)
		err = plan_members(p, &a, &b, group);
	if (!err && p->work > WORK_MOST)
		err = -E2BIG; /* a search was given up, and said so */
	free(a.of);
	free(b.of);
	return err;
}

static int plan_part(struct plan *p, const struct part *from, const struct part *to, int group)
{
	struct type a, b;
	int err;

	err = look(p, from->btf, from->id, &a, p->depth);
	if (!err)
		err = look(p, to->btf, to->id, &b, p->depth);
	if (err)
		return err;
	if (a.kind != b.kind)
		return refuse(p, ENOTSUP, "%s has become %s", kind_text(a.kind), kind_text(b.kind));
	if (a.kind == NUMBER)
		return plan_number(p, from, &a, to, &b, group);
	if (from->bits || to->bits || from->at % 8 || to->at % 8)
		return refuse(p, EINVAL, "%s that does not begin at a byte", kind_text(a.kind));
	if (same(p, from->btf, from->id, to->btf, to->id, p->depth))
		return add_copy(p, group, from, to, a.size);
	if (++p->depth > DEPTH_MOST)
		return refuse(p, ELOOP, "a type nested without end");
	if (a.kind == ARRAY)
		err = plan_array(p, from, &a, to, &b, group);
	else
		err = plan_struct(p, from, to, group);
	p->depth--;
	return err;
}

static int plan(struct plan *p, const struct part *from, const struct part *to)
{
	struct type a, b;
	int err;

	p->m->groups = calloc(1, sizeof(*p->m->groups));
	if (!p->m->groups)
		return no_memory(p);
	p->m->count = 1;
	err = look(p, from->btf, from->id, &a, 0);
	if (!err)
		err = look(p, to->btf, to->id, &b, 0);
	if (err)
		return err;
	p->m->from_size = a.size;
	p->m->to_size = b.size;
	p->m->same = same(p, from->btf, from->id, to->btf, to->id, 0);
	return plan_part(p, from, to, 0);
}

struct migration *migration_plan(const struct btf *from, __u32 from_type, const struct btf *to,
				 __u32 to_type, char *why, size_t size)
{
	struct plan p = { .why = why, .why_size = size };
	size_t length;
	int err;

	p.m = calloc(1, sizeof(*p.m));
	p.dropped = p.m ? open_memstream(&p.m->dropped, &length) : NULL;
	if (p.dropped) {
		err = plan(&p, &(struct part){ .btf = from, .id = from_type },
			   &(struct part){ .btf = to, .id = to_type });
		if (fclose(p.dropped) && !err)
			err = no_memory(&p);
	} else {
		err = no_memory(&p);
	}
	if (!err)
		return p.m;
	migration_free(p.m);
	errno = -err;
	return NULL;
}

void migration_free(struct migration *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->count; i++) {
		free(m->groups[i].variant);
		free(m->groups[i].ops);
	}
	free(m->groups);
	free(m->dropped);
	free(m);
}

bool migration_same(const struct migration *m)
{
	return m->same;
}

size_t migration_from_size(const struct migration *m)
{
	return m->from_size;
}

size_t migration_to_size(const struct migration *m)
{
	return m->to_size;
}

const char *migration_dropped(const struct migration *m)
{
	return m->dropped;
}

/* ---- Running --------------------------------------------------------------------------------- */

/* Wide enough for 64 bits that begin in the middle of a byte. */
typedef unsigned __int128 word;

/*
 * BTF counts bits from the least significant one of a byte on little-endian machines, from the
 * most significant one on others; so a field of bits is where the bytes, read as one number in the
 * machine's order, have it.
 */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BYTE(i, bytes)	       ((bytes)-1 - (i))
#define SHIFT(at, bits, bytes) ((at) % 8)
#else
#define BYTE(i, bytes)	       (i)
#define SHIFT(at, bits, bytes) ((bytes)*8 - (at) % 8 - (bits))
#endif

static word get_bytes(const __u8 *p, __u32 bytes)
{
	word w = 0;

	for (__u32 i = 0; i < bytes; i++)
		w = w << 8 | p[BYTE(i, bytes)];
	return w;
}

static __u64 ones(__u32 bits)
{
	return bits < 64 ? (1ULL << bits) - 1 : ~0ULL;
}

static __u64 get_bits(const __u8 *from, __u32 at, __u32 bits)
{
	__u32 bytes = (at % 8 + bits + 7) / 8;

	return (__u64)(get_bytes(from + at / 8, bytes) >> SHIFT(at, bits, bytes)) & ones(bits);
}

static void put_bits(__u8 *to, __u32 at, __u32 bits, __u64 value)
{
	__u32 bytes = (at % 8 + bits + 7) / 8, shift = SHIFT(at, bits, bytes);
	__u8 *p = to + at / 8;
	word w = get_bytes(p, bytes);

	w &= ~((word)ones(bits) << shift);
	w |= (word)(value & ones(bits)) << shift;
	for (__u32 i = bytes; i-- > 0; w >>= 8)
		p[BYTE(i, bytes)] = (__u8)w;
}

static void run_number(const struct op *op, const __u8 *from, __u8 *to)
{
	__u64 value = get_bits(from, op->from, op->from_bits);

	if (op->is_signed && value >> (op->from_bits - 1))
		value |= ~ones(op->from_bits);
	put_bits(to, op->to, op->to_bits, value);
}

/* A run of bits that begins at a byte: bytes, and what is left of the last one. */
static void run_bytes(const struct op *op, const __u8 *from, __u8 *to)
{
	__u32 bytes = op->to_bits / 8, rest = op->to_bits % 8;

	memcpy(to + op->to / 8, from + op->from / 8, bytes);
	if (rest)
		put_bits(to, op->to + bytes * 8, rest, get_bits(from, op->from + bytes * 8, rest));
}

static void run_group(const struct group *g, const __u8 *from, __u8 *to)
{
	for (size_t i = 0; i < g->count; i++) {
		const struct op *op = &g->ops[i];

		if (op->from_bits == op->to_bits && !(op->from % 8) && !(op->to % 8))
			run_bytes(op, from, to);
		else
			run_number(op, from, to);
	}
}

void migration_run(const struct migration *m, const void *from, void *to, const char *variant)
{
	run_group(&m->groups[0], from, to);
	for (size_t i = 1; variant && i < m->count; i++)
		if (!strcmp(m->groups[i].variant, variant))
			run_group(&m->groups[i], from, to);
}
