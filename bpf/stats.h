/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counting. Every counter is this CPU's own. What only packets count is added to plainly, because
 * a packet does not interrupt another; what control programs count too, atomically (see ctl.h).
 */
#ifndef STATS_H
#define STATS_H

#include "maps.h"

static __always_inline struct ct_stats *ct_stats(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&stats, &zero);
}

static __always_inline void ct_count(enum ct_counter id)
{
	struct ct_stats *s = ct_stats();

	if (s)
		CT_COUNTER_OF(s)[id]++;
}

static __always_inline void ct_count_many(enum ct_counter id, __u64 n)
{
	struct ct_stats *s = ct_stats();

	if (s && n)
		__sync_fetch_and_add(&CT_COUNTER_OF(s)[id], n);
}

/* A packet gets its class, once, at the hook where its `in` ran. */
static __always_inline void ct_count_packet(const struct ct_pkt *pkt)
{
	struct ct_stats *s = ct_stats();
	__u32 side = pkt->side, class = pkt->pub.class, reason = pkt->pub.reason;

	/* clang checks one copy and indexes with another: "R0 max value is outside of the ..." */
	barrier_var(side);
	barrier_var(class);
	if (!s || side >= CT_SIDES || class >= CT_CLASS_MAX)
		return;
	CT_PACKETS_OF(s)[side][class]++;
	if (!reason)
		return;
	barrier_var(reason);
	if (reason < CT_R_MAX)
		CT_REASON_OF(s)[reason]++;
}

static __always_inline void ct_count_end(enum ct_end end)
{
	struct ct_stats *s = ct_stats();

	if (!s || end >= CT_END_MAX)
		return;
	__sync_fetch_and_add(&CT_END_OF(s)[end], 1);
	__sync_fetch_and_add(&s->counters.destroyed, 1);
	if (end == CT_END_EVICTED)
		__sync_fetch_and_add(&s->counters.evicted, 1);
}

#endif
