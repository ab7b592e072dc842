// SPDX-License-Identifier: GPL-2.0-only
#include "flowfile.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <zlib.h>

#include "../include/ct_proto.h"
#include "instance.h"

#define MAGIC	   "ctflows\n"
#define MAGIC_SIZE 8
#define END	   0xff

#define FRONT_SIZE (MAGIC_SIZE + 4 + 4 + 8 + 1) /* of the header, up to the first kind */
#define TAIL_SIZE  (1 + 8 + 4)

/* A timeout is in 32 bits of seconds, as everywhere. */
#define TIMEOUT_MOST (1000ULL * UINT32_MAX)
/* RFC 7323 2.3 */
#define SCALE_MOST 14
/* What a UDP flow waits at most before it is a stream. */
#define STREAM_MOST 2000

/* Of which flows a column tells: parts of a kind. */
enum whose {
	ALL,
	IP4 = 1,
	IP6 = 2,
	UDP = 4,
	TCP = 8,
	SCTP = 16,
	FAMILIES = IP4 | IP6,
	PROTOCOLS = UDP | TCP | SCTP,
};

enum column {
#define X(id, whose, name, bytes, member) COLUMN_##id,
	FLOWFILE_COLUMNS(X, X)
#undef X
	COLUMNS,
};

static const struct {
	const char *name;
	uint8_t whose, size;
	bool wire;
} columns[COLUMNS] = {
#define NUMBER(id, whose, name, bytes, member) [COLUMN_##id] = { name, whose, bytes, false },
#define WIRE(id, whose, name, bytes, member)   [COLUMN_##id] = { name, whose, bytes, true },
	FLOWFILE_COLUMNS(NUMBER, WIRE)
#undef NUMBER
#undef WIRE
};

#define NUMBER(id, whose, name, bytes, member)
#define WIRE(id, whose, name, bytes, member)                                                       \
	_Static_assert(sizeof(((struct ct_flow *)0)->member) == (bytes), name);
FLOWFILE_COLUMNS(NUMBER, WIRE)
#undef NUMBER
#undef WIRE

static uint64_t number_of(const struct ct_flow *flow, enum column column)
{
	switch (column) {
#define NUMBER(id, whose, name, bytes, member)                                                     \
	case COLUMN_##id:                                                                          \
		return flow->member;
#define WIRE(id, whose, name, bytes, member)
		FLOWFILE_COLUMNS(NUMBER, WIRE)
#undef NUMBER
#undef WIRE
	default:
		return 0;
	}
}

/* False: it is too large for the member. */
static bool number_put(struct ct_flow *flow, enum column column, uint64_t value)
{
	switch (column) {
#define NUMBER(id, whose, name, bytes, member)                                                     \
	case COLUMN_##id:                                                                          \
		flow->member = value;                                                              \
		return flow->member == value;
#define WIRE(id, whose, name, bytes, member)
		FLOWFILE_COLUMNS(NUMBER, WIRE)
#undef NUMBER
#undef WIRE
	default:
		return true;
	}
}

static void *wire_of(struct ct_flow *flow, enum column column)
{
	switch (column) {
#define NUMBER(id, whose, name, bytes, member)
#define WIRE(id, whose, name, bytes, member)                                                       \
	case COLUMN_##id:                                                                          \
		return &flow->member;
		FLOWFILE_COLUMNS(NUMBER, WIRE)
#undef NUMBER
#undef WIRE
	default:
		return NULL;
	}
}

/* Who has members of its own in ct_entry.l4. */
static enum whose protocol_of(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return TCP;
	case IPPROTO_UDP:
		return UDP;
	case IPPROTO_SCTP:
		return SCTP;
	default:
		return ALL;
	}
}

/* --- Times ------------------------------------------------------------------------------------ */

#define NS_PER_MS 1000000

void flowfile_leave(struct ct_flow *flow, const struct ct_clock *clock)
{
	struct ct_entry *e = &flow->entry;
	uint64_t left = e->expires > clock->ticks ? e->expires - clock->ticks : 0;

	e->status &= (uint16_t)~CT_S_INTERNAL;
	/* No rounding, for the usual frequencies; and never more than there is. */
	e->expires = left / clock->hz * 1000 + left % clock->hz * 1000 / clock->hz;
	if (e->start)
		e->start += clock->wall_ns - clock->mono_ns;
	if (flow->tuple.proto == IPPROTO_UDP) {
		int32_t to_go = (int32_t)(e->l4.udp.stream_at - (uint32_t)clock->ticks);
		uint64_t ms = to_go > 0 ? to_go * 1000ULL / clock->hz : 0;

		/* After some months of silence what is long past looks as if it were to come. */
		e->l4.udp.stream_at = ms <= STREAM_MOST ? (uint32_t)ms : 0;
	}
}

bool flowfile_arrive(struct ct_flow *flow, uint64_t saved_ns, const struct ct_clock *clock)
{
	uint64_t passed = clock->wall_ns > saved_ns ? (clock->wall_ns - saved_ns) / NS_PER_MS : 0;
	struct ct_entry *e = &flow->entry;

	if (e->expires <= passed)
		return false;
	e->expires = clock->ticks + (e->expires - passed) * clock->hz / 1000;
	/* One that began before this machine did is at a negative time here: these are modulo 2^64. */
	if (e->start)
		e->start = e->start - clock->wall_ns + clock->mono_ns ?: 1;
	if (flow->tuple.proto == IPPROTO_UDP) {
		uint64_t ms = e->l4.udp.stream_at > passed ? e->l4.udp.stream_at - passed : 0;

		e->l4.udp.stream_at = (uint32_t)(clock->ticks + ms * clock->hz / 1000);
	}
	return e->expires > clock->ticks;
}

/* --- Writing ---------------------------------------------------------------------------------- */

/* The kinds that we write, each with its columns. */
static const uint8_t our_kinds[] = {
	IP4, IP6, IP4 | UDP, IP6 | UDP, IP4 | TCP, IP6 | TCP, IP4 | SCTP, IP6 | SCTP,
};
#define OUR_KINDS sizeof(our_kinds)

static bool is_in(enum column column, enum whose kind)
{
	return (columns[column].whose & kind) == columns[column].whose;
}

static uint8_t *put_number(uint8_t *to, uint64_t value, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++, value >>= 8)
		*to++ = (uint8_t)value;
	return to;
}

static uint8_t *put_bytes(uint8_t *to, const void *bytes, size_t size)
{
	memcpy(to, bytes, size);
	return to + size;
}

static void put(struct flowfile_writer *w, const uint8_t *from, const uint8_t *to)
{
	size_t size = (size_t)(to - from);

	w->crc = (uint32_t)crc32(w->crc, from, (uInt)size);
	fwrite_unlocked(from, 1, size, w->to);
}

static uint8_t *put_kind(uint8_t *to, enum whose kind)
{
	uint8_t *count = to++;

	*count = 0;
	for (enum column c = 0; c < COLUMNS; c++) {
		if (!is_in(c, kind))
			continue;
		(*count)++;
		*to++ = (uint8_t)strlen(columns[c].name);
		to = put_bytes(to, columns[c].name, strlen(columns[c].name));
		*to++ = columns[c].size;
	}
	return to;
}

void flowfile_begin(struct flowfile_writer *w, FILE *to, uint64_t saved_ns)
{
	uint8_t head[8192], *at = head + FRONT_SIZE;

	*w = (struct flowfile_writer){ .to = to };
	for (size_t i = 0; i < OUR_KINDS; i++)
		at = put_kind(at, our_kinds[i]);
	memcpy(head, MAGIC, MAGIC_SIZE);
	put_number(head + MAGIC_SIZE, FLOWFILE_VERSION, 4);
	put_number(head + MAGIC_SIZE + 4, (uint64_t)(at - head), 4);
	put_number(head + MAGIC_SIZE + 8, saved_ns, 8);
	head[FRONT_SIZE - 1] = OUR_KINDS;
	put(w, head, at);
}

void flowfile_add(struct flowfile_writer *w, const struct ct_flow *flow)
{
	enum whose whose = (flow->tuple.family == CT_IPV4 ? IP4 : IP6) |
			   protocol_of(flow->tuple.proto);
	struct ct_flow copy = *flow;
	uint8_t row[512], *at = row + 1;

	row[0] = 0;
	while (our_kinds[row[0]] != whose)
		row[0]++;
	for (enum column c = 0; c < COLUMNS; c++) {
		if (!is_in(c, whose))
			continue;
		if (columns[c].wire)
			at = put_bytes(at, wire_of(&copy, c), columns[c].size);
		else
			at = put_number(at, number_of(&copy, c), columns[c].size);
	}
	put(w, row, at);
	w->rows++;
}

void flowfile_end(struct flowfile_writer *w)
{
	uint8_t tail[TAIL_SIZE] = { END };

	put_number(tail + 1, w->rows, 8);
	put(w, tail, tail + TAIL_SIZE - 4);
	put_number(tail + TAIL_SIZE - 4, w->crc, 4);
	fwrite_unlocked(tail + TAIL_SIZE - 4, 1, 4, w->to);
}

/* --- Reading ---------------------------------------------------------------------------------- */

/* What is wrong, in words. */
struct complaint {
	char *why;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static int refuse(const struct complaint *c,
							const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->why, c->size, format, args);
	va_end(args);
	return -EINVAL;
}

static uint64_t get_number(const uint8_t *from, unsigned int size)
{
	uint64_t value = 0;

	while (size-- > 0)
		value = value << 8 | from[size];
	return value;
}

static uint32_t checksum(const uint8_t *data, size_t size)
{
	const size_t piece = 1 << 30; /* zlib's lengths are ints */
	uLong crc = 0;

	for (; size > piece; data += piece, size -= piece)
		crc = crc32(crc, data, (uInt)piece);
	return (uint32_t)crc32(crc, data, (uInt)size);
}

/* Is the file whole, and ours? The version first: another's may be whole in another way. */
static int check_whole(const uint8_t *data, size_t size, const struct complaint *c)
{
	if (!size)
		return refuse(c, "it is empty");
	if (memcmp(data, MAGIC, size < MAGIC_SIZE ? size : MAGIC_SIZE) != 0)
		return refuse(c, "it is no file of saved flows");
	if (size < FRONT_SIZE + TAIL_SIZE)
		return refuse(c, "it is cut off");
	if (get_number(data + MAGIC_SIZE, 4) != FLOWFILE_VERSION) {
		refuse(c, "it is of version %" PRIu64 " of the format, this build knows %d",
		       get_number(data + MAGIC_SIZE, 4), FLOWFILE_VERSION);
		return -ENOTSUP;
	}
	if (checksum(data, size - 4) != get_number(data + size - 4, 4))
		return refuse(c, "it is cut off or altered: its checksum does not fit");
	return 0;
}

/* The column of ours that a name and size mean; -1: none. -EINVAL */
static int find_column(const uint8_t *name, size_t length, uint8_t size, const struct complaint *c)
{
	bool known = false;

	for (enum column i = 0; i < COLUMNS; i++) {
		if (strlen(columns[i].name) != length || memcmp(columns[i].name, name, length) != 0)
			continue;
		known = true;
		if (columns[i].wire ? size == columns[i].size : size && size <= 8)
			return i;
	}
	if (!known)
		return -1;
	return refuse(c, "its column %.*s has %u bytes", (int)length, (const char *)name, size);
}

/* Is all there without which a row is no flow, and does it go together? */
static int check_kind(struct flowfile_kind *k, const struct complaint *c)
{
	unsigned int seen[COLUMNS] = {};

	for (unsigned int i = 0; i < k->columns; i++) {
		int id = k->column[i].id;

		k->size += k->column[i].size;
		if (id < 0)
			continue;
		if (seen[id]++)
			return refuse(c, "its column %s is there twice", columns[id].name);
		k->whose |= columns[id].whose;
	}
	k->family = k->whose & IP4 ? CT_IPV4 : CT_IPV6;
	if (!seen[COLUMN_PROTO] || !seen[COLUMN_TIMEOUT] ||
	    !(seen[COLUMN_SRC4] + seen[COLUMN_SRC6]) || !(seen[COLUMN_DST4] + seen[COLUMN_DST6]))
		return refuse(c, "it has rows without src, dst, proto or timeout_ms");
	if ((k->whose & FAMILIES) == FAMILIES)
		return refuse(c, "it has rows of both IPv4 and IPv6");
	if (k->whose & PROTOCOLS & ((k->whose & PROTOCOLS) - 1))
		return refuse(c, "it has rows of two protocols at once");
	return 0;
}

static int read_kind(struct flowfile *f, struct flowfile_kind *k, const struct complaint *c)
{
	if (f->at == f->end)
		return refuse(c, "its header ends in the middle");
	k->columns = *f->at++;
	for (unsigned int i = 0; i < k->columns; i++) {
		size_t left = (size_t)(f->end - f->at), length = left ? *f->at : 0;
		int id;

		if (left < length + 2)
			return refuse(c, "its header ends in the middle");
		k->column[i].size = f->at[length + 1];
		id = find_column(f->at + 1, length, k->column[i].size, c);
		if (id < -1)
			return id;
		k->column[i].id = (int16_t)id;
		f->at += length + 2;
	}
	return check_kind(k, c);
}

static int read_header(struct flowfile *f, const uint8_t *data, size_t size,
		       const struct complaint *c)
{
	uint64_t header = get_number(data + MAGIC_SIZE + 4, 4);
	int err = 0;

	if (header < FRONT_SIZE || header > size - TAIL_SIZE)
		return refuse(c, "its header has no end");
	f->saved_ns = get_number(data + MAGIC_SIZE + 8, 8);
	f->kinds = data[FRONT_SIZE - 1];
	if (!f->kinds || f->kinds > FLOWFILE_KINDS)
		return refuse(c, "it has %u kinds of rows", f->kinds);
	f->at = data + FRONT_SIZE;
	f->end = data + header;
	for (unsigned int i = 0; i < f->kinds && !err; i++)
		err = read_kind(f, &f->kind[i], c);
	if (!err && f->at != f->end)
		return refuse(c, "its header is too long");
	f->first = f->end;
	f->end = data + size - TAIL_SIZE;
	return err;
}

static int read_columns(struct flowfile *f, const struct flowfile_kind *k, struct ct_flow *flow,
			const struct complaint *c)
{
	for (unsigned int i = 0; i < k->columns; i++) {
		enum column id = (enum column)k->column[i].id;
		uint8_t size = k->column[i].size;

		if (k->column[i].id < 0) {
			/* not ours */
		} else if (columns[id].wire) {
			memcpy(wire_of(flow, id), f->at, size);
		} else if (!number_put(flow, id, get_number(f->at, size))) {
			return refuse(c, "%s %" PRIu64 " is more than this build knows",
				      columns[id].name, get_number(f->at, size));
		}
		f->at += size;
	}
	return 0;
}

/* Can the programs work with these values? */
static int check_flow(const struct flowfile_kind *k, const struct ct_flow *flow,
		      const struct complaint *c)
{
	enum whose protocol = k->whose & PROTOCOLS, of = protocol_of(flow->tuple.proto);
	const struct ct_entry *e = &flow->entry;
	uint8_t states = of == TCP ? CT_TCP_STATE_MAX : of == SCTP ? CT_SCTP_STATE_MAX : 0;

	if (protocol && protocol != of)
		return refuse(c, "it is of protocol %u, and in a row of another", flow->tuple.proto);
	if (states ? !e->state || e->state >= states : e->state)
		return refuse(c, "state %u is none of its protocol", e->state);
	if (e->expires > TIMEOUT_MOST)
		return refuse(c, "timeout_ms %" PRIu64 " is too long", (uint64_t)e->expires);
	if (of == TCP && (e->l4.tcp.scale[CT_ORIGINAL] > SCALE_MOST ||
			  e->l4.tcp.scale[CT_REPLY] > SCALE_MOST))
		return refuse(c, "windows are never scaled so much");
	if (of == UDP && e->l4.udp.stream_at > STREAM_MOST)
		return refuse(c, "udp.stream_ms %u is too long", e->l4.udp.stream_at);
	return 0;
}

static int read_row(struct flowfile *f, struct ct_flow *flow, const struct complaint *c)
{
	const struct flowfile_kind *k;
	uint8_t number = *f->at++;
	int err;

	if (number >= f->kinds)
		return refuse(c, "it is of kind %u, which the header does not have", number);
	k = &f->kind[number];
	if ((size_t)(f->end - f->at) < k->size)
		return refuse(c, "it goes beyond the end");
	memset(flow, 0, sizeof(*flow));
	flow->tuple.family = k->family;
	err = read_columns(f, k, flow, c);
	return err ? err : check_flow(k, flow, c);
}

/* Every row once, so that nobody has to be ready for a bad one later. */
static int check_rows(struct flowfile *f, const struct complaint *c)
{
	struct ct_flow flow;
	char why[128];

	for (f->rows = 0; f->at < f->end; f->rows++)
		if (read_row(f, &flow, &(struct complaint){ why, sizeof(why) }))
			return refuse(c, "its flow %" PRIu64 " can't be read: %s", f->rows + 1, why);
	if (f->end[0] != END || get_number(f->end + 1, 8) != f->rows)
		return refuse(c, "it has %" PRIu64 " flows, and says something else", f->rows);
	return 0;
}

bool flowfile_begins(const void *data, size_t size)
{
	return size >= FRONT_SIZE && !memcmp(data, MAGIC, MAGIC_SIZE) &&
	       get_number((const uint8_t *)data + MAGIC_SIZE, 4) == FLOWFILE_VERSION;
}

int flowfile_open(struct flowfile *f, const void *data, size_t size, char *why, size_t why_size)
{
	const struct complaint c = { why, why_size };
	int err;

	memset(f, 0, sizeof(*f));
	err = check_whole(data, size, &c);
	if (!err)
		err = read_header(f, data, size, &c);
	flowfile_rewind(f);
	if (!err)
		err = check_rows(f, &c);
	flowfile_rewind(f);
	return err;
}

void flowfile_rewind(struct flowfile *f)
{
	f->at = f->first;
}

bool flowfile_next(struct flowfile *f, struct ct_flow *flow)
{
	char why[128];

	return f->at < f->end && !read_row(f, flow, &(struct complaint){ why, sizeof(why) });
}
