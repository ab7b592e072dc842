/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A listener: a ring of its own, registered in one of the CT_LISTENERS slots of an instance.
 *
 * Who owns slot i holds a flock on the directory `listener-i` below the instance, so a listener
 * that dies is one whose directory is there and not locked: the slot is taken from it. A listener
 * takes no other lock, so that one which is stopped holds up nobody.
 */
#ifndef LISTENER_H
#define LISTENER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../include/ct_config.h"
#include "../include/ct_stats.h"

struct instance;
struct ring_buffer;
struct table;

/*
 * One record, or the loss of some. `seq` counts every record of this listener from 1, lost ones
 * included. `lost` records are missing just before this one; `ev` is NULL when nothing follows
 * them. False ends the reading.
 */
typedef bool listener_fn(const struct ct_event *ev, uint64_t seq, uint64_t lost, void *arg);

/* What those of one instance share. */
struct listeners {
	int dir;                  /* of the instance */
	int rings;                /* the map `listeners` */
	struct ct_listeners *map; /* the map `listener_state` */
};

struct listener {
	struct listeners all;
	unsigned int slot;
	int dir;                    /* locked: the slot is ours */
	int ring;
	struct ring_buffer *reader;
	size_t least;               /* bytes of the shortest record that is one; 0: a struct ct_event */
	uint64_t seq;               /* of the last record */
	uint64_t lost;              /* reported so far */
	listener_fn *each;
	void *arg;
};

/*
 * Register a listener for the event types in `mask` (1 << enum ct_event_type) with a ring of
 * `ring_bytes`, a power of two of at least a page. Reports its errors: 0 or 1; after a failure
 * there is nothing to close.
 */
int listener_open(struct listener *l, const struct instance *in, uint32_t mask,
		  uint32_t ring_bytes, listener_fn *each, void *arg);
/*
 * Wait up to `timeout_ms` for records and hand them on. The number read, 0 also when a signal
 * came; -ECANCELED when `each` returned false; -ENODATA at the end of the stream, losses told;
 * another -errno for a failure.
 */
int listener_poll(struct listener *l, int timeout_ms);
/*
 * Unregister, wait until no program can write any more, and hand on what is left in the ring (not
 * if `each` has ended the reading). Releases everything.
 */
void listener_close(struct listener *l, bool drain);

/*
 * Empty the table, by table_flush(), and say which listeners did not take their events. The number
 * of flows deleted, or -errno; -ENOENT, reported: the instance has gone meanwhile.
 */
long listeners_flush(struct table *t, enum ct_end reason);
/* Likewise with some flows, by table_change(). */
long listeners_change(struct table *t, const struct ct_request *what, enum ct_end reason);
/* Free the places of listeners that died; a loader that died at a resize was one, too. */
void listeners_reap(const struct instance *in);
/* Tell all that nothing follows. Their rings are theirs: what is in them can be read. */
int listeners_end(const struct instance *in);

#endif
