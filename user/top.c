// SPDX-License-Identifier: GPL-2.0-only
#include "top.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fmt.h"
#include "json.h"
#include "table.h"

#define ROOM_LEAST 1024

static const struct {
	const char *word, *column, *one, *many;
} bys[TOP_BY_MAX] = {
#define X(id, word, column, one, many) { #word, column, one, many },
	TOP_BYS(X)
#undef X
};

enum top_by top_by_word(const char *word)
{
	enum top_by by = 0;

	while (by < TOP_BY_MAX && strcmp(bys[by].word, word))
		by++;
	return by;
}

/* --- memory ----------------------------------------------------------------------------------- */

bool top_init(struct top *t, enum top_by by, unsigned int prefix, size_t wanted, uint64_t seed)
{
	*t = (struct top){ .by = by, .prefix = prefix, .wanted = wanted, .seed = seed | 1 };
	t->best = calloc(wanted + 1, sizeof(*t->best));
	t->kept = by == TOP_BY_FLOW ? calloc(wanted + 1, sizeof(*t->kept)) : NULL;
	if (t->best && (t->kept || by != TOP_BY_FLOW))
		return true;
	top_free(t);
	return false;
}

void top_free(struct top *t)
{
	free(t->seen[0]);
	free(t->seen[1]);
	free(t->rows);
	free(t->index);
	free(t->best);
	free(t->kept);
	memset(t, 0, sizeof(*t));
}

/* What is known of the flow in that slot. NULL: no memory. */
static struct top_seen *seen(struct top *t, int engine, size_t slot)
{
	size_t slots = t->slots[engine] ? t->slots[engine] : ROOM_LEAST;
	struct top_seen *all;

	if (slot < t->slots[engine])
		return &t->seen[engine][slot];
	while (slots <= slot)
		slots *= 2;
	all = realloc(t->seen[engine], slots * sizeof(*all));
	if (!all)
		return NULL;
	memset(all + t->slots[engine], 0, (slots - t->slots[engine]) * sizeof(*all));
	t->seen[engine] = all;
	t->slots[engine] = slots;
	return &all[slot];
}

/* --- keys ------------------------------------------------------------------------------------- */

/* Whoever fills the table picks the addresses: the seed is what he doesn't know. */
static size_t hash(const struct top *t, const struct top_key *key)
{
	uint64_t words[3] = {}, h = t->seed;

	memcpy(words, key, sizeof(*key));
	for (size_t i = 0; i < 3; i++) {
		h = (h ^ words[i]) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 32;
	}
	return (size_t)((h * t->seed) >> 20);
}

/* Where in the index the row of this key is, or belongs. */
static uint32_t *place(struct top *t, const struct top_key *key)
{
	size_t mask = 2 * t->room - 1, at = hash(t, key) & mask;

	while (t->index[at] && memcmp(&t->rows[t->index[at] - 1].key, key, sizeof(*key)))
		at = (at + 1) & mask;
	return &t->index[at];
}

/* Twice the room. False when there is no memory. */
static bool grow(struct top *t)
{
	size_t room = t->room ? 2 * t->room : ROOM_LEAST;
	struct top_row *rows = realloc(t->rows, room * sizeof(*rows));
	uint32_t *index;

	if (!rows)
		return false;
	t->rows = rows;
	index = calloc(2 * room, sizeof(*index));
	if (!index)
		return false;
	free(t->index);
	t->index = index;
	t->room = room;
	for (size_t i = 0; i < t->n; i++)
		*place(t, &rows[i].key) = (uint32_t)i + 1;
	return true;
}

/* The row of a key. NULL: no memory. */
static struct top_row *row_of(struct top *t, const struct top_key *key)
{
	uint32_t *at;

	if (t->n == t->room && !grow(t))
		return NULL;
	at = place(t, key);
	if (!*at) {
		t->rows[t->n] = (struct top_row){ .key = *key };
		*at = (uint32_t)++t->n;
	}
	return &t->rows[*at - 1];
}

static void cut(union ct_addr *addr, unsigned int prefix)
{
	for (unsigned int i = 0; i < 4; i++) {
		unsigned int bits = prefix > 32 * i ? prefix - 32 * i : 0;

		if (bits < 32)
			addr->ip6[i] &= bits ? htonl(~0U << (32 - bits)) : 0;
	}
}

static void key_of(const struct top *t, const struct ct_tuple *tuple, struct top_key *key)
{
	memset(key, 0, sizeof(*key));
	if (t->by == TOP_BY_PORT) {
		key->port = tuple->dport;
		key->proto = tuple->proto;
		return;
	}
	key->addr = t->by == TOP_BY_SRC ? tuple->src : tuple->dst;
	key->family = tuple->family;
	if (tuple->family == CT_IPV6)
		cut(&key->addr, t->prefix);
}

/* --- one look --------------------------------------------------------------------------------- */

void top_begin(struct top *t, uint64_t now_ns)
{
	t->last_ns = t->now_ns;
	t->now_ns = now_ns;
	t->flows = t->unreplied = t->assured = t->n = t->shown = 0;
	if (t->index)
		memset(t->index, 0, 2 * t->room * sizeof(*t->index));
}

double top_interval(const struct top *t)
{
	return t->last_ns ? (double)(t->now_ns - t->last_ns) / 1e9 : 0;
}

/*
 * How fast the flow is: since the look before, or since it began if that is later. At the first
 * look, over its life, of which a second counts at least.
 */
static void rates(const struct top *t, const struct ct_flow *flow, const struct ct_clock *clock,
		  struct top_seen *s, struct top_row *add)
{
	const struct ct_entry *e = &flow->entry;
	struct top_seen now = {
		.word = e->word & ~CT_WORD_PHASE,
		.packets = e->counters[0].packets + e->counters[1].packets,
		.bytes = e->counters[0].bytes + e->counters[1].bytes,
	}, before = *s;
	double seconds = top_interval(t);

	*s = now;
	if (before.word != now.word)
		before = (struct top_seen){};
	if (!seconds) {
		/* When it began is not known: nor is its rate. */
		if (!e->start)
			return;
		seconds = clock->mono_ns > e->start ? (double)(clock->mono_ns - e->start) / 1e9 : 0;
		if (seconds < 1)
			seconds = 1;
	} else if (!before.word && e->start && e->start < t->last_ns) {
		return; /* it was in another slot: an upgrade has moved it */
	}
	if (now.packets > before.packets)
		add->packets = (double)(now.packets - before.packets) / seconds;
	if (now.bytes > before.bytes)
		add->bytes = (double)(now.bytes - before.bytes) / seconds;
}

/* Is `a` to stand in front of `b`? The last resort is the key, so that equals keep their places. */
static bool ahead(const struct top_row *a, const struct top_row *b)
{
	if (a->flows != b->flows)
		return a->flows > b->flows;
	if (a->bytes != b->bytes)
		return a->bytes > b->bytes;
	if (a->packets != b->packets)
		return a->packets > b->packets;
	if (a->flow)
		return memcmp(&a->flow->tuple, &b->flow->tuple, sizeof(a->flow->tuple)) < 0;
	return memcmp(&a->key, &b->key, sizeof(a->key)) < 0;
}

/* Put a row among the best, if it is one of them; its flow is copied to where it will not change. */
static void contend(struct top *t, const struct top_row *row)
{
	size_t at = t->shown;
	struct ct_flow *room = NULL;

	if (!t->wanted || (at == t->wanted && !ahead(row, &t->best[at - 1])))
		return;
	if (row->flow) /* that of the last one, who goes, or one that is free yet */
		room = at == t->wanted ? (struct ct_flow *)t->best[at - 1].flow : &t->kept[at];
	if (at == t->wanted)
		at--;
	else
		t->shown++;
	for (; at && ahead(row, &t->best[at - 1]); at--)
		t->best[at] = t->best[at - 1];
	t->best[at] = *row;
	if (!room)
		return;
	*room = *row->flow;
	t->best[at].flow = room;
}

bool top_add(struct top *t, const struct ct_flow *flow, const struct ct_clock *clock, bool match)
{
	bool unreplied = !(flow->entry.status & CT_S_SEEN_REPLY);
	bool assured = flow->entry.status & CT_S_ASSURED;
	struct top_row add = { .flows = 1, .unreplied = unreplied, .assured = assured }, *row;
	struct top_seen *s = seen(t, flow->tuple.family == CT_IPV6, flow->entry.slot);

	if (!s)
		return false;
	t->flows++;
	t->unreplied += unreplied;
	t->assured += assured;
	rates(t, flow, clock, s, &add);
	if (!match)
		return true;
	if (t->by == TOP_BY_FLOW) {
		add.flow = flow;
		t->n++;
		contend(t, &add);
		return true;
	}
	key_of(t, &flow->tuple, &add.key);
	row = row_of(t, &add.key);
	if (!row)
		return false;
	row->flows++;
	row->unreplied += add.unreplied;
	row->assured += add.assured;
	row->packets += add.packets;
	row->bytes += add.bytes;
	return true;
}

void top_end(struct top *t, uint64_t max)
{
	t->max = max;
	for (size_t i = 0; i < t->n && t->by != TOP_BY_FLOW; i++)
		contend(t, &t->rows[i]);
}

/* --- text ------------------------------------------------------------------------------------- */

static char *put(char *p, const char *text)
{
	size_t n = strlen(text);

	memcpy(p, text, n + 1);
	return p + n;
}

/* "10.0.1.1", "fd00:1::/64" */
static char *put_addr(char *p, const struct top *t, const struct top_key *key)
{
	p = fmt_addr(p, &key->addr, key->family);
	if (key->family == CT_IPV6 && t->prefix < 128)
		p = fmt_u64(put(p, "/"), t->prefix);
	return p;
}

/* "tcp 80", "icmp type 8 code 0", "gre", "protocol 89" */
static char *put_port(char *p, const struct top_key *key)
{
	unsigned int port = ntohs(key->port);

	if (strcmp(fmt_proto(key->proto), "unknown"))
		p = put(p, fmt_proto(key->proto));
	else
		p = fmt_u64(put(p, "protocol "), key->proto);
	switch (fmt_ports(key->proto)) {
	case FMT_PORTS:
		return fmt_u64(put(p, " "), port);
	case FMT_ICMP:
		p = fmt_u64(put(p, " type "), port >> 8);
		return fmt_u64(put(p, " code "), port & 0xff);
	case FMT_KEYS:
		return port ? fmt_u64(put(p, " key "), port) : p;
	default:
		return p;
	}
}

/* "tcp ESTABLISHED src=10.0.1.1 ..." */
static char *put_flow(char *p, const struct ct_flow *flow)
{
	const char *state = fmt_state(flow);

	p = put(put(p, fmt_proto(flow->tuple.proto)), " ");
	if (state)
		p = put(put(p, state), " ");
	return fmt_tuple(p, &flow->tuple);
}

/* Write a line that is as wide as it may be. */
static void put_line(FILE *out, const char *line, size_t width, const char *rest)
{
	fprintf(out, "%.*s%s\n", width ? (int)width : FMT_LINE, line, rest);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* What the flows of a row have in common. */
static char *put_key(char *p, const struct top *t, const struct top_row *row)
{
	return t->by == TOP_BY_PORT ? put_port(p, &row->key) : put_addr(p, t, &row->key);
}

/* As wide as the widest key. */
static int key_width(const struct top *t)
{
	int width = (int)strlen(bys[t->by].column);
	char text[FMT_ADDR + 8];

	for (size_t i = 0; i < t->shown; i++) {
		int length = (int)(put_key(text, t, &t->best[i]) - text);

		width = length > width ? length : width;
	}
	return width;
}

/* Keys come first, so that a narrow window cuts off something else. */
static void text_sums(const struct top *t, FILE *out, size_t width, const char *rest)
{
	char line[FMT_LINE], key[FMT_ADDR + 8];
	int column = key_width(t);

	sprintf(line, "%-*s %8s %9s %8s %6s %11s %13s", column, bys[t->by].column, "FLOWS", "UNREPLIED",
		"ASSURED", "SHARE", "PACKETS/S", "BYTES/S");
	put_line(out, line, width, rest);
	for (size_t i = 0; i < t->shown; i++) {
		const struct top_row *row = &t->best[i];

		put_key(key, t, row);
		sprintf(line, "%-*s %8" PRIu32 " %9" PRIu32 " %8" PRIu32 " %5.1f%% %11.1f %13.1f", column,
			key, row->flows, row->unreplied, row->assured, percent(row->flows, t->flows),
			row->packets, row->bytes);
		put_line(out, line, width, rest);
	}
}

static void text_flows(const struct top *t, FILE *out, size_t width, const char *rest)
{
	char line[FMT_LINE];

	sprintf(line, "%11s %13s %-9s %s", "PACKETS/S", "BYTES/S", "STATUS", bys[t->by].column);
	put_line(out, line, width, rest);
	for (size_t i = 0; i < t->shown; i++) {
		const struct top_row *row = &t->best[i];

		put_flow(line + sprintf(line, "%11.1f %13.1f %-9s ", row->packets, row->bytes,
					row->assured ? "assured" : row->unreplied ? "unreplied" : "replied"),
			 row->flow);
		put_line(out, line, width, rest);
	}
}

void top_text(const struct top *t, FILE *out, size_t width, const char *rest)
{
	char line[FMT_LINE];

	sprintf(line, "%" PRIu64 " flows of %" PRIu64 " (%.1f%%): %" PRIu64 " unreplied, %" PRIu64
		" assured; %zu %s", t->flows, t->max, percent(t->flows, t->max), t->unreplied,
		t->assured, t->n, t->n == 1 ? bys[t->by].one : bys[t->by].many);
	put_line(out, line, width, rest);
	if (t->by == TOP_BY_FLOW)
		text_flows(t, out, width, rest);
	else
		text_sums(t, out, width, rest);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void json_key(const struct top *t, struct json *j, const struct top_key *key)
{
	unsigned int port = ntohs(key->port);
	char text[FMT_ADDR + 8];

	if (t->by != TOP_BY_PORT) {
		put_addr(text, t, key);
		json_string(j, bys[t->by].word, text);
		return;
	}
	json_string(j, "proto", fmt_proto(key->proto));
	json_u64(j, "protonum", key->proto);
	switch (fmt_ports(key->proto)) {
	case FMT_PORTS:
		json_u64(j, "port", port);
		break;
	case FMT_ICMP:
		json_u64(j, "type", port >> 8);
		json_u64(j, "code", port & 0xff);
		break;
	case FMT_KEYS:
		json_u64(j, "key", port);
		break;
	default:
		break;
	}
}

static void json_rate(struct json *j, const char *key, double per_second)
{
	json_fixed(j, key, (uint64_t)(per_second * 10 + 0.5), 1);
}

static void json_row(const struct top *t, struct json *j, const struct top_row *row,
		     const struct ct_clock *clock)
{
	json_object(j, NULL);
	if (t->by != TOP_BY_FLOW) {
		json_key(t, j, &row->key);
		json_u64(j, "flows", row->flows);
		json_u64(j, "unreplied", row->unreplied);
		json_u64(j, "assured", row->assured);
		json_fixed(j, "share", (uint64_t)(percent(row->flows, t->flows) * 100 + 0.5), 4);
	}
	json_rate(j, "packets_per_second", row->packets);
	json_rate(j, "bytes_per_second", row->bytes);
	if (t->by == TOP_BY_FLOW)
		fmt_flow_json(j, "flow", row->flow, clock);
	json_object_end(j);
}

void top_json(const struct top *t, struct json *j, const struct ct_clock *clock)
{
	char time[FMT_LINE];

	fmt_iso(time, clock->wall_ns);
	json_object(j, NULL);
	json_string(j, "time", time);
	json_fixed(j, "interval", (uint64_t)(top_interval(t) * 1e3 + 0.5), 3);
	json_string(j, "by", bys[t->by].word);
	json_u64(j, "flows", t->flows);
	json_u64(j, "max", t->max);
	json_u64(j, "unreplied", t->unreplied);
	json_u64(j, "assured", t->assured);
	json_u64(j, "keys", t->n);
	json_array(j, "top");
	for (size_t i = 0; i < t->shown; i++)
		json_row(t, j, &t->best[i], clock);
	json_array_end(j);
	json_object_end(j);
}
