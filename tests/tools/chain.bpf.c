// SPDX-License-Identifier: GPL-2.0-only
/*
 * Somebody else's programs in libxdp's chain: each counts what it meets, and drops UDP to a port. Like
 * ours, the filter is one of those that may change a packet, which libxdp before 1.5.5 can't have in
 * its dispatcher where the kernel looks at that (6.13).
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} met_filter SEC(".maps"), met_balancer SEC(".maps");

static __always_inline int meet(struct xdp_md *ctx, void *counter, __u16 port)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(counter, &zero);

	if (n)
		__sync_fetch_and_add(n, 1);
	if ((void *)(udp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) ||
	    ip->protocol != IPPROTO_UDP)
		return XDP_PASS;
	return udp->dest == bpf_htons(port) ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int filter(struct xdp_md *ctx)
{
	bpf_xdp_adjust_tail(ctx, 0);
	return meet(ctx, &met_filter, 7001);
}

SEC("xdp")
int balancer(struct xdp_md *ctx)
{
	return meet(ctx, &met_balancer, 7002);
}

char _license[] SEC("license") = "GPL";
