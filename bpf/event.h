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

/* A record of this type in the ring of listener `i`, if it wants one and has room; or NULL. */
static __always_inline struct ct_event *ct_event_begin(struct ct_listener *l, __u32 i, __u32 type,
						       __u32 reason, __u64 now, __u64 time)
{
	struct ct_event *ev;
	void *ring;

	if (!(READ_ONCE(l->mask) & (1U << (type & 31))))
		return NULL;
	ring = bpf_map_lookup_elem(&listeners, &i);
	if (!ring)
		return NULL;
	ev = bpf_ringbuf_reserve(ring, sizeof(*ev), 0);
	if (!ev) {
		__sync_fetch_and_add(&l->lost, 1);
		return NULL;
	}
	ev->type = type;
	ev->length = sizeof(*ev);
	ev->reason = reason;
	ev->pad[0] = ev->pad[1] = ev->pad[2] = 0;
	ev->lost = READ_ONCE(l->lost);
	ev->now = now;
	ev->time = time;
	return ev;
}

static __always_inline void ct_event_end(struct ct_listener *l, struct ct_event *ev)
{
	bpf_ringbuf_submit(ev, 0);
	__sync_fetch_and_add(&l->delivered, 1);
}

ct_global int ct_event_send(__u32 type, __u32 reason, const struct ct_tuple *original,
			    const struct ct_entry *e, __u64 now)
{
	struct ct_listeners *ls = ct_listeners();
	__u64 time = ct_now_ns(now);

	if (!original || !e || !ls)
		return 0;
	for (int i = 0; i < CT_LISTENERS; i++) {
		struct ct_listener *l = &ls->slot[i];
		struct ct_event *ev = ct_event_begin(l, i, type, reason, now, time);

		if (!ev)
			continue;
		ev->flow.tuple = *original;
		ev->flow.entry = *e;
		ct_event_end(l, ev);
	}
	return 0;
}

/* Of the record's packet, which is INVALID. */
ct_global int ct_event_refused(__u32 record_slot)
{
	struct ct_pkt *pkt = ct_record(record_slot);
	struct ct_listeners *ls = ct_listeners();
	__u64 time;

	if (!pkt || !ls)
		return 0;
	time = ct_now_ns(pkt->now);
	for (int i = 0; i < CT_LISTENERS; i++) {
		struct ct_listener *l = &ls->slot[i];
		struct ct_event *ev = ct_event_begin(l, i, CT_EV_INVALID, pkt->pub.reason,
						     pkt->now, time);

		if (!ev)
			continue;
		ev->tuple = pkt->pub.tuple;
		__builtin_memset(&ev->flow.entry, 0, sizeof(ev->flow.entry));
		ev->refused.ifindex = pkt->pub.ifindex;
		ev->refused.len = pkt->parsed.len;
		ev->refused.side = pkt->side;
		if (pkt->pub.tuple.proto == CT_IPPROTO_TCP) {
			ev->refused.seq = pkt->parsed.seq;
			ev->refused.ack = pkt->parsed.ack;
			ev->refused.win = pkt->parsed.win;
			ev->refused.tcp_flags = pkt->parsed.tcp_flags;
		}
		ct_event_end(l, ev);
	}
	return 0;
}

/* log_invalid, as nf_conntrack has it: 0 none, 255 every protocol, else that one. */
static __always_inline void ct_event_invalid(const struct ct_pkt *pkt, __u32 log)
{
	struct ct_listeners *ls = ct_listeners();

	if (log != 255 && log != pkt->pub.tuple.proto)
		return;
	if (ls && READ_ONCE(ls->listening) & (1U << CT_EV_INVALID))
		ct_event_refused(pkt->slot);
}

static __always_inline void ct_event(enum ct_event_type type, enum ct_end reason,
				     const struct ct_tuple *original, const struct ct_entry *e,
				     __u64 now)
{
	struct ct_listeners *ls = ct_listeners();

	if (ls && READ_ONCE(ls->listening) & (1U << type))
		ct_event_send(type, reason, original, e, now);
}

/* The least room left for this type in any listener's ring, in bytes; what a flush heeds. */
static __always_inline __u64 ct_event_room(enum ct_event_type type)
{
	struct ct_listeners *ls = ct_listeners();
	__u64 room = ~0ULL;

	if (!ls)
		return room;
	for (int i = 0; i < CT_LISTENERS; i++) {
		__u32 key = i; /* a counter whose address is taken is forgotten: "infinite loop" */
		__u64 used, size;
		void *ring;

		if (!(READ_ONCE(ls->slot[i].mask) & (1U << type)))
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
