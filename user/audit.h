/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What must hold of an instance, and whether figures that were read of it agree. Pure: reading is
 * cmd_audit.c's.
 *
 * Sound under load
 * ----------------
 * While we count, packets go on. So counters, which only rise, are read before the count and after
 * it, and each side of an equation becomes a range that holds what was true at any moment between.
 * Ranges that overlap are no contradiction; ranges of one number each, which are equal, prove the
 * equation. Ranges that do not overlap contradict it, but for a packet that was on its way between
 * two stores, a microsecond long (or as long as its virtual CPU is taken away). So a reading that
 * contradicts is taken again: a packet has passed on by then, but a flow that has been lost, or
 * counted twice, is lost in every reading.
 *
 * What can hide in a range is a difference smaller than the traffic of one reading, some
 * milliseconds; and it can't hide for long: the next reading that is quieter shows it.
 */
#ifndef AUDIT_H
#define AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ct_stats.h"

/*
 * The invariants, in the order in which they are shown.
 *	X(id, "name", "help")
 */
#define AUDIT_INVARIANTS(X)                                                                        \
	X(CREATED, "created", "flows opened = confirmed + dropped, swept, lost before + unconfirmed") \
	X(CONFIRMED, "confirmed", "flows confirmed = flows in the table + destroyed")              \
	X(ENDS, "ends", "flows destroyed = the sum of the reasons")                                \
	X(EVICTED, "evicted", "flows evicted = destroyed for that reason")                         \
	X(DROPPED, "dropped", "clashes, refusals and full tables are among those dropped before")  \
	X(CLASSES, "classes", "invalid and untracked packets = the sum of their reasons")          \
	X(FLOWS, "flows", "the count of flows that packets go by is that of the table")            \
	X(UNCONFIRMED, "unconfirmed", "the count of unconfirmed flows is that of their map")       \
	X(SOURCES, "sources", "the counts of flows by source are those of the flows that are counted") \
	X(ENTRIES, "entries", "every entry is a live flow that nobody holds for good")             \
	X(INDEX, "index", "every flow owns a slot of the index, which holds its key")              \
	X(SLOTS, "slots", "every slot of the index is a flow's or free")                           \
	X(OVERDUE, "overdue", "no flow is past its time for longer than a sweep takes")            \
	X(AGE, "age", "no flow has been unconfirmed for more than 30 s")                           \
	X(SWEEP, "sweep", "the sweep runs")                                                        \
	X(STAGES, "stages", "every stage is filled with its program")                              \
	X(PINS, "pins", "every program and map is pinned, and the programs use these maps")        \
	X(INTERFACES, "interfaces", "every link and filter is in place, and runs our programs")    \
	X(OWNER, "owner", "all pins are the owner's, and nobody else may write to them")           \
	X(LEFTOVERS, "leftovers", "nothing is left of an instance that has gone")

enum audit_id {
#define X(id, name, help) AUDIT_##id,
	AUDIT_INVARIANTS(X)
#undef X
	AUDIT_MAX,
};

extern const char *const audit_names[AUDIT_MAX];
extern const char *const audit_help[AUDIT_MAX];

/* A number that was somewhere in here while we looked; numbers wrap as counters do. */
struct audit_range {
	uint64_t least, most;
};

struct audit_range audit_exactly(uint64_t n);
struct audit_range audit_between(uint64_t before, uint64_t after);
struct audit_range audit_sum(struct audit_range a, struct audit_range b);

enum audit_seen {
	AUDIT_EQUAL,   /* it holds */
	AUDIT_OVERLAP, /* it may hold: traffic was too much to tell */
	AUDIT_LESS,    /* the left side is too small */
	AUDIT_MORE,
};

enum audit_seen audit_compare(struct audit_range left, struct audit_range right);

/* Flows counted for sources: how many, and a sum that is another if they are of other sources. */
struct audit_counted {
	uint64_t flows, mixed;
};

void audit_count(struct audit_counted *c, const struct ct_source *source, uint64_t flows);

/* What one reading saw. */
struct audit_reading {
	struct ct_stats before, between, after; /* the table was counted, then the unconfirmed */
	uint64_t flows_gauge, unconfirmed_gauge; /* state.flows, state.unconfirmed, when it was */
	uint64_t flows, dying;                   /* entries: live; dead, and not yet deleted */
	uint64_t unconfirmed, unconfirmed_dead;
	struct audit_counted counted;    /* flows that say that they are */
	struct audit_counted sources[2]; /* by the counts, before the table was counted and after */
};

/* The invariants that are equations of such figures are the first ones, up to this. */
#define AUDIT_EQUATIONS (AUDIT_SOURCES + 1)

enum audit_seen audit_judge(const struct audit_reading *r, enum audit_id id);
/* The equation with its figures, for eyes. */
void audit_write(const struct audit_reading *r, enum audit_id id, char *text, size_t size);

/* The same for programs: call `each` for every figure. */
typedef void audit_figure_fn(const char *key, uint64_t value, void *arg);
void audit_figures(const struct audit_reading *r, enum audit_id id, audit_figure_fn *each,
		   void *arg);

#endif
