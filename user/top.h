/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who fills the table: flows summed up by what they have in common, and how fast they are. Pure but
 * for memory: the walk, the clock and the terminal are the caller's (cmd_top.c).
 *
 *	top_init(&t, TOP_BY_SRC, 128, 10, random);
 *	top_begin(&t, now_ns);			each look at the table
 *	top_add(&t, flow, clock, true);		each flow in it
 *	top_end(&t, max);
 *	top_text(&t, stdout, 0, "");
 */
#ifndef TOP_H
#define TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "../include/ct_types.h"

struct ct_clock;
struct json;

/*
 * What flows are summed up by.
 *	X(id, word, "COLUMN", "what", "and many of them")
 */
#define TOP_BYS(X)                                                                                 \
	X(SRC, src, "SOURCE", "source", "sources")                                                 \
	X(DST, dst, "DESTINATION", "destination", "destinations")                                  \
	X(PORT, port, "PORT", "port", "ports")                                                     \
	X(FLOW, flow, "FLOW", "flow", "flows")

enum top_by {
#define X(id, word, column, one, many) TOP_BY_##id,
	TOP_BYS(X)
#undef X
	TOP_BY_MAX,
};

struct top_key {
	union ct_addr addr; /* source or destination; bits behind the prefix are zero */
	__be16 port;        /* as in struct ct_tuple: of the destination */
	uint8_t proto;
	uint8_t family;
};

/* The flows of one key. Rates are per second. */
struct top_row {
	struct top_key key;
	uint32_t flows, unreplied, assured;
	double packets, bytes;
	const struct ct_flow *flow; /* by flow: which */
};

/*
 * What the last look has seen, by the slot of the flow: slots are dense and walked in order. What `word`
 * says is another with each flow that takes the slot.
 */
struct top_seen {
	uint64_t word;
	uint64_t packets, bytes;
};

struct top {
	enum top_by by;
	unsigned int prefix; /* bits of an IPv6 address that make a key */
	size_t wanted;       /* rows to show */
	uint64_t seed;

	uint64_t flows, unreplied, assured; /* all that are in the table */
	uint64_t max;                       /* and may be */
	uint64_t now_ns, last_ns;           /* when this look began, and the one before; 0: none */

	struct top_seen *seen[2]; /* of each family */
	size_t slots[2];

	struct top_row *rows; /* one for each key, in the order in which they came */
	size_t n, room;
	uint32_t *index;      /* row + 1 by the hash of its key, 0: free; twice as many as `room` */

	struct top_row *best; /* those to be shown, in order */
	struct ct_flow *kept; /* by flow: copies of these */
	size_t shown;
};

/* False when there is no memory. */
bool top_init(struct top *t, enum top_by by, unsigned int prefix, size_t wanted, uint64_t seed);
void top_free(struct top *t);

void top_begin(struct top *t, uint64_t now_ns);
/* False when there is no memory. `match`: it is among those asked for; all count as in the table. */
bool top_add(struct top *t, const struct ct_flow *flow, const struct ct_clock *clock, bool match);
void top_end(struct top *t, uint64_t max);

/* Seconds since the look before; 0: there was none. */
double top_interval(const struct top *t);
/*
 * The table, `width` columns of it (0: all). `rest` ends each line: what a terminal has to be told to
 * forget what stood there, or "".
 */
void top_text(const struct top *t, FILE *out, size_t width, const char *rest);
/* One object, on a line. */
void top_json(const struct top *t, struct json *j, const struct ct_clock *clock);

/* "src" of TOP_BY_SRC; TOP_BY_MAX when there is no such word. */
enum top_by top_by_word(const char *word);

#endif
