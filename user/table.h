/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of an instance as user space sees it: flows. Reading and deleting is done by control
 * programs inside the kernel, which own an entry while they copy it: no torn entry, no entry of
 * another flow that took the place of the one asked for.
 */
#ifndef TABLE_H
#define TABLE_H

#include "instance.h"

struct table {
	const struct instance *in;
	int select, get, delete, flush; /* control programs */
	int change, create, restore;    /* opened when they are needed */
	int state;
	struct ct_clock clock; /* refreshed by every call */
};

/* A walk through the table. Zeros when it begins, but for `all`, and what is asked for in asked.r. */
struct table_walk {
	bool all;             /* what is past its time and has not been swept yet, too */
	bool done;            /* there are no more */
	__u8 family;
	__u32 first;          /* slot to go on with */
	unsigned int waited;  /* for the flow there, which somebody owns */
	struct {
		struct ct_ctl m;
		struct ct_request r;  /* CT_ACTION_COUNT or _DUMP */
		struct ct_flow flows[CT_DUMP_FLOWS];
	} asked;
};

/* 0 or 1, reported. */
int table_open(struct table *t, const struct instance *in);
void table_close(struct table *t);

/*
 * Call `each` for every flow that lives and matches: once for every one that lived throughout the
 * walk. The walk ends early when `each` returns false. Returns 0 or -errno.
 */
typedef bool table_each_fn(const struct ct_flow *flow, const struct ct_clock *clock, void *arg);
int table_each(struct table *t, const struct ct_filter *filter, table_each_fn *each, void *arg);
/*
 * The same by hand: the next flows of a walk, which are then in asked.flows. Their number, which may be 0
 * although there are more; -errno.
 */
int table_next(struct table *t, struct table_walk *walk);
/* How many match. Or -errno. */
long table_count_matching(struct table *t, const struct ct_filter *filter);
/* The flow of this tuple, either direction. 0, -ENOENT, -errno. */
int table_get(struct table *t, const struct ct_tuple *tuple, struct ct_flow *flow);
/* Delete exactly this flow (not one that took its place). 0, -ENOENT, -errno. */
int table_delete(struct table *t, const struct ct_flow *flow, enum ct_end reason);
/*
 * Delete (with this reason) or update the flows that match a filter, each with its event. Waits for
 * listeners as a flush does. How many there were, or -errno.
 */
long table_change(struct table *t, const struct ct_request *what, enum ct_end reason);
/* Update the flow of this tuple, either direction. 0, -ENOENT, -errno. */
int table_update(struct table *t, const struct ct_tuple *tuple, const struct ct_request *what);
/*
 * Put a flow into the table: tuple, status, state, mark and SCTP's tags are taken of `flow`. 0,
 * -EEXIST, -ENOSPC, -errno.
 */
int table_create(struct table *t, const struct ct_flow *flow, uint32_t timeout);
/*
 * Delete every flow with its event. Waits for slow listeners, but not for ever. The number
 * deleted, or -errno.
 */
long table_flush(struct table *t, enum ct_end reason);
/* How long listeners that have no room have been waited for. */
struct patience {
	uint64_t waited, since; /* ms in all; when this wait began, 0: it has not */
	bool over;
};

/* What has become of flows that were to be restored. */
struct restored {
	uint64_t entered;
	uint64_t there; /* the table had them, in either direction: left as they are */
	uint64_t full;  /* there was no room */
	struct patience patience;
};

/* For who will restore. 0 or 1, reported. */
int table_restore_open(struct table *t);
/*
 * Put flows into the table as if they were confirmed now, each with its event; up to CT_DUMP_FLOWS. Their
 * times are the instance's, and TCP's windows are learned anew. Waits for slow listeners, but not for
 * ever. Adds to *r. 0 or -errno.
 */
int table_restore(struct table *t, const struct ct_flow *flows, uint32_t n, struct restored *r);
/*
 * Forget the windows of TCP connections, because packets of theirs may not have been seen.
 * The next packet of each side is believed. 0 or -errno.
 */
int table_relearn(const struct instance *in);
/* Flows in the table, without a walk. */
int table_count(struct table *t, uint64_t *flows);

/* Seconds left, 0 if past; what `list` prints. */
uint64_t flow_timeout(const struct ct_flow *flow, const struct ct_clock *clock);
/* The id that names this incarnation of the flow. */
uint32_t flow_id(const struct ct_flow *flow);
/* The tuple of a packet in the other direction (ICMP types answered). */
void tuple_invert(const struct ct_tuple *tuple, struct ct_tuple *inverse);

#endif
