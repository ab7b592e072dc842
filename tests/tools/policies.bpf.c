// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policy programs for tests, for tc.
 *
 *	ct_test_drop81	drops whatever goes to TCP or UDP port 81, the way a policy should
 *	ct_test_shot81	likewise, but simply returns the verdict
 *	ct_test_slow	keeps a flow's first packet for a second between `in` and `confirm`, if it comes
 *			from port SLOW, or is an ICMP query with that id; the map `ct_test_times` then
 *			says from when to when
 */
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#define CT_POLICY_TC
#include "ctloader/ct_policy.bpf.h"

#define SLOW 4242
#define SLOW_NS 1000000000ULL

/* Begin and end, CLOCK_MONOTONIC in ns. Written by the packet that is kept. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} ct_test_times SEC(".maps");

SEC("tc")
int ct_test_drop81(struct __sk_buff *skb)
{
	struct ct_packet *pkt = ct_policy_packet();

	if (pkt && pkt->tuple.proto != IPPROTO_ICMP && pkt->tuple.dport == bpf_htons(81))
		return ct_policy_drop(pkt);
	return ct_policy_pass(skb);
}

SEC("tc")
int ct_test_shot81(struct __sk_buff *skb)
{
	struct ct_packet *pkt = ct_policy_packet();

	if (pkt && pkt->tuple.proto != IPPROTO_ICMP && pkt->tuple.dport == bpf_htons(81))
		return CT_POLICY_DROPPED;
	return ct_policy_pass(skb);
}

static void note_time(__u32 which)
{
	__u64 now = bpf_ktime_get_ns();

	bpf_map_update_elem(&ct_test_times, &which, &now, BPF_ANY);
}

static long spin(__u32 i, void *ctx)
{
	__u64 *until = ctx;

	(void)i;
	return bpf_ktime_get_ns() >= *until;
}

/* One bpf_loop() is no more than 2^23 rounds, which may not be enough. */
static long spin_on(__u32 i, void *ctx)
{
	bpf_loop(1 << 23, spin, ctx, 0);
	return spin(i, ctx);
}

SEC("tc")
int ct_test_slow(struct __sk_buff *skb)
{
	struct ct_packet *pkt = ct_policy_packet();
	__u64 until;

	if (pkt && pkt->class == CT_NEW && pkt->tuple.sport == bpf_htons(SLOW)) {
		note_time(0);
		until = bpf_ktime_get_ns() + SLOW_NS;
		bpf_loop(64, spin_on, &until, 0);
		note_time(1);
	}
	return ct_policy_pass(skb);
}

char LICENSE[] SEC("license") = "GPL";
