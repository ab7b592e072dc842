// SPDX-License-Identifier: GPL-2.0-only
/*
 * Policy programs for the tests of this folder, written as ct_policy.bpf.h says, built once for XDP
 * (-DCT_POLICY_XDP) and once for tc (-DCT_POLICY_TC).
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "ctloader/ct_policy.bpf.h"

#ifdef CT_POLICY_XDP
#define POLICY(name)                                                                               \
	SEC("xdp")                                                                                 \
	int name(struct xdp_md *ctx)
#else
#define POLICY(name)                                                                               \
	SEC("tc")                                                                                  \
	int name(struct __sk_buff *ctx)
#endif

/* What the last packet looked like: see ct_test_look. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} policy_memory SEC(".maps");

static void note(__u32 word, __u64 value)
{
	bpf_map_update_elem(&policy_memory, &word, &value, BPF_ANY);
}

/* Everything passes. */
POLICY(ct_test_pass)
{
	return ct_policy_pass(ctx);
}

/* Everything is dropped, and counted at once. */
POLICY(ct_test_drop)
{
	struct ct_packet *pkt = ct_policy_packet();

	return pkt ? ct_policy_drop(pkt) : CT_POLICY_PASSED;
}

/* Everything is dropped, without a word. */
POLICY(ct_test_shot)
{
	(void)ctx;
	return CT_POLICY_DROPPED;
}

/* Every new flow gets the mark 42. */
POLICY(ct_test_mark)
{
	struct ct_packet *pkt = ct_policy_packet();

	if (pkt && pkt->class == CT_NEW)
		pkt->mark = 42;
	return ct_policy_pass(ctx);
}

/* Remember what the record says of the packet. */
POLICY(ct_test_look)
{
	struct ct_packet *pkt = ct_policy_packet();

	if (pkt) {
		note(0, pkt->class);
		note(1, pkt->dir);
		note(2, pkt->state);
		note(3, pkt->status);
		note(4, pkt->mark);
		note(5, pkt->len);
		note(6, pkt->tuple.sport);
		note(7, pkt->reason);
	}
	return ct_policy_pass(ctx);
}

char LICENSE[] SEC("license") = "GPL";
