/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events: one record into the ring of every listener that asked for this type. Without a listener
 * it costs one test of a word. The caller owns the entry, so the record is a snapshot.
 *
 * A listener numbers what it reads. `lost` in each record is the listener's count of losses so
 * far, taken before the record is reserved; two CPUs may take their ring space in the other order,
 * so a reader counts a rise and ignores a fall.
 */
#ifndef EVENT_H
#define EVENT_H

#include "maps.h"

ct_global int ct_event_send(__u32 type, __u32 reason, const struct ct_tuple *original,
				    const struct ct_entry *e, __u64 now)
{
	__u64 time = ct_now_ns(now);

	if (!original || !e)
		return 0;
	for (int i = 0; i < CT_LISTENERS; i++) {
		__u32 key = i; /* a counter whose address is taken is forgotten: "infinite loop" */
		struct ct_listener *l = bpf_map_lookup_elem(&listener_state, &key);
		struct ct_event *ev;
		void *ring;

		if (!l || !(READ_ONCE(l->mask) & (1U << (type & 31))))
			continue;
		ring = bpf_map_lookup_elem(&listeners, &key);
		if (!ring)
			continue;
		ev = bpf_ringbuf_reserve(ring, sizeof(*ev), 0);
		if (!ev) {
			__sync_fetch_and_add(&l->lost, 1);
			continue;
		}
		ev->type = type;
		ev->length = sizeof(*ev);
		ev->reason = reason;
		ev->pad[0] = ev->pad[1] = ev->pad[2] = 0;
		ev->lost = READ_ONCE(l->lost);
		ev->now = now;
		ev->time = time;
		ev->flow.tuple = *original;
		ev->flow.entry = *e;
		bpf_ringbuf_submit(ev, 0);
		__sync_fetch_and_add(&l->delivered, 1);
	}
	return 0;
}

static __always_inline void ct_event(enum ct_event_type type, enum ct_end reason,
				     const struct ct_tuple *original, const struct ct_entry *e,
				     __u64 now)
{
	struct ct_state *st = ct_state();

	if (st && READ_ONCE(st->listening) & (1U << type))
		ct_event_send(type, reason, original, e, now);
}

/* The least room left in any listener's ring, in bytes; what a flush heeds. */
static __always_inline __u64 ct_event_room(void)
{
	__u64 room = ~0ULL;

	for (int i = 0; i < CT_LISTENERS; i++) {
		__u32 key = i; /* a counter whose address is taken is forgotten: "infinite loop" */
		struct ct_listener *l = bpf_map_lookup_elem(&listener_state, &key);
		__u64 used, size;
		void *ring;

		if (!l || !(READ_ONCE(l->mask) & (1U << CT_EV_DESTROY)))
			continue;
		ring = bpf_map_lookup_elem(&listeners, &key);
		if (!ring)
			continue;
		size = bpf_ringbuf_query(ring, 1 /* BPF_RB_RING_SIZE */);
		used = bpf_ringbuf_query(ring, 0 /* BPF_RB_AVAIL_DATA */);
		if (size - used < room)
			room = size - used;
	}
	return room;
}

#endif
