/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For policy programs: XDP or tc programs that run between `in`, which says what a packet is, and
 * `confirm`, which makes a new flow a tracked one. A flow whose first packet the policy drops is
 * never tracked.
 *
 *	#include <linux/bpf.h>            (or vmlinux.h)
 *	#include <bpf/bpf_helpers.h>
 *	#define CT_POLICY_TC              (or CT_POLICY_XDP)
 *	#include <ctloader/ct_policy.bpf.h>
 *
 *	SEC("tc")
 *	int my_policy(struct __sk_buff *skb)
 *	{
 *		struct ct_packet *pkt = ct_policy_packet();
 *
 *		if (pkt && pkt->class == CT_NEW && pkt->tuple.dport == bpf_htons(23))
 *			return ct_policy_drop(pkt);
 *		return ct_policy_pass(skb);
 *	}
 *
 * It works on the instance's own maps, so it is loaded with them and given to attach:
 *
 *	D=/sys/fs/bpf/ctloader/INSTANCE   ('ctloader status' shows it)
 *	bpftool prog load my_policy.o /sys/fs/bpf/my_policy type tc \
 *		map name record pinned $D/record map name stats pinned $D/stats \
 *		map name tc_stages pinned $D/tc_stages
 *	ctloader attach --policy /sys/fs/bpf/my_policy eth0
 *
 * In force it stays so through upgrades. One that is attached later than the next upgrade or resize, or to
 * another instance, has to be loaded again: it would call programs that have gone, and is refused.
 *
 * The packet may be read, not changed in length; pkt->mark may be written, and a NEW flow is then
 * confirmed with it.
 */
#ifndef CT_POLICY_BPF_H
#define CT_POLICY_BPF_H

#include "../ct_config.h"
#include "../ct_stats.h"
#include "ct_packet.h"

#if defined(CT_POLICY_XDP)
#define ct_policy_stages xdp_stages
#define CT_POLICY_SLOT 0
#define CT_POLICY_PASSED 2 /* XDP_PASS */
#define CT_POLICY_DROPPED 1 /* XDP_DROP */
#elif defined(CT_POLICY_TC)
#define ct_policy_stages tc_stages
#define CT_POLICY_SLOT 1
#define CT_POLICY_PASSED (-1) /* TC_ACT_UNSPEC */
#define CT_POLICY_DROPPED 2 /* TC_ACT_SHOT */
#else
#error "define CT_POLICY_XDP or CT_POLICY_TC before including this"
#endif

/* Sizes are those of the pinned maps, which take the place of these. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct ct_packet);
} record SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ct_stats);
} stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, CT_STAGE_MAX);
	__type(key, __u32);
	__type(value, __u32);
} ct_policy_stages SEC(".maps");

/* The packet at hand; NULL when another version of ctloader filled the record. */
static inline struct ct_packet *ct_policy_packet(void)
{
	__u32 slot = CT_POLICY_SLOT;
	struct ct_packet *pkt = bpf_map_lookup_elem(&record, &slot);

	return pkt && pkt->abi == CT_ABI ? pkt : (void *)0;
}

/* Let the packet go on: to confirm. Ends the program. */
#define ct_policy_pass(ctx)                                                                       \
	({                                                                                        \
		bpf_tail_call(ctx, &ct_policy_stages, CT_STAGE_CONFIRM);                          \
		CT_POLICY_PASSED; /* confirm is not there: the next packet counts this one */     \
	})

/*
 * Drop it, counted as dropped.policy at once. (A policy that simply returns a drop verdict has it
 * counted when the next packet comes by on this CPU.)
 */
static inline int ct_policy_drop(struct ct_packet *pkt)
{
	__u32 zero = 0;
	struct ct_stats *s = bpf_map_lookup_elem(&stats, &zero);

	pkt->pending = 0;
	if (s)
		s->counters.drop_policy++;
	return CT_POLICY_DROPPED;
}

#endif
