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
	int backlogs;             /* the map of that name; -1: of a build that has none */
	struct ct_listeners *map; /* the map `listener_state` */
};

/* A ring that we read. */
struct ring {
	int fd;
	struct ring_buffer *reader;
	const unsigned long *read, *written; /* up to where, as the kernel keeps it */
};

struct listener {
	struct listeners all;
	unsigned int slot;
	int dir;                    /* locked: the slot is ours */
	struct ring ring, backlog;  /* bpf/event.h says which record goes where */
	uint32_t backlog_bytes;     /* 0: it has none. To be set before listener_open(), as `least` */
	unsigned long backlog_end;  /* the reading of it stops here */
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
 * Places in the stream: `listener_at` is where the reading is (while `each` runs, where its record begins),
 * `listener_written` behind all that any program has written or begun to; of the first ring.
 */
uint64_t listener_at(const struct listener *l);
uint64_t listener_written(const struct listener *l);
/* What has ever been put into the backlog. If that is the same later on, no record has gone past the ring. */
uint64_t listener_kept(const struct listener *l);
/* Records lost so far, told or not. */
uint64_t listener_lost(const struct listener *l);
/* Be told of the types in `mask` from now on. Others may still be in the ring. */
void listener_ask(struct listener *l, uint32_t mask);
/* Is it still registered with the instance that it was opened for, and will there be more to read? */
bool listener_stands(const struct listener *l);
/*
 * Unregister, wait until no program can write any more, and hand on what is left in the ring (not
 * if `each` has ended the reading). Releases everything.
 */
void listener_close(struct listener *l, bool drain);

/*
 * Do what makes many events: listeners that died are not waited for, and those that did not take theirs are
 * named. Returns what `what` returned, which is not -ENOENT; -ENOENT, reported: the instance has gone
 * meanwhile.
 */
long listeners_told(const struct instance *in, long (*what)(void *arg), void *arg);
/* Empty the table so, by table_flush(). The number of flows deleted, or -errno. */
long listeners_flush(struct table *t, enum ct_end reason);
/* Free the places of listeners that died; a loader that died at a resize was one, too. */
void listeners_reap(const struct instance *in);
/* Tell all that nothing follows. Their rings are theirs: what is in them can be read. */
int listeners_end(const struct instance *in);

#endif
